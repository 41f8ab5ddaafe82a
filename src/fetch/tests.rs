use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::thread;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::pki::{Ca, CaOptions, Issued, KeyType, LeafOptions, Validity};

/// Takes one connection, reads one request, writes `answer` and closes. What it read comes back.
fn serve_once(answer: &'static [u8]) -> (SocketAddr, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = listener.local_addr().expect("an address");
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a connection");
        let request = read_request(&stream);
        (&stream).write_all(answer).expect("the answer");
        request
    });
    (address, server)
}

fn read_request(stream: impl Read) -> String {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") && reader.read_line(&mut request).expect("a line") > 0 {}
    let length = request.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    request + std::str::from_utf8(&body).expect("text")
}

fn client(endpoint: &str) -> Client {
    let endpoint = Endpoint::parse(endpoint).expect("an endpoint");
    Client::new(endpoint, &TlsFiles::default(), Some(&Secret::new(b"s3cret".to_vec()))).expect("a client")
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(future)
}

#[test]
fn a_request_is_complete_and_an_answer_is_given_as_it_came() {
    let (address, server) = serve_once(b"HTTP/1.1 409 Conflict\r\ncontent-length: 2\r\n\r\n{}");
    let client = client(&format!("http://{address}/prefix/"));
    let answer = wait(client.post("/api/v1/reload?x=1", b"{\"a\":1}".to_vec())).expect("an answer");
    assert_eq!((answer.status.as_u16(), &*answer.body), (409, &b"{}"[..]));
    let request = server.join().expect("the server ends");
    assert!(request.starts_with("POST /prefix/api/v1/reload?x=1 HTTP/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("host: {address}\r\n")), "{request}");
    assert!(request.contains("authorization: Bearer s3cret\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\n{\"a\":1}"), "{request}");
    assert!(!format!("{client:?}").contains("s3cret"));
}

#[test]
fn a_redirect_is_an_answer_like_any_other() {
    let (address, _server) =
        serve_once(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n");
    let answer = wait(client(&format!("http://{address}")).get("/")).expect("an answer");
    assert_eq!(answer.status, StatusCode::FOUND);
}

#[test]
fn a_unix_socket_is_asked_as_localhost() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("admin.sock");
    let listener = UnixListener::bind(&path).expect("a socket");
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a connection");
        let request = read_request(&stream);
        // Without a length: the end of the connection is the end of the answer.
        (&stream).write_all(b"HTTP/1.1 200 OK\r\n\r\nhello").expect("the answer");
        request
    });
    let answer = wait(client(&format!("unix:{}", path.display())).get("/healthz")).expect("an answer");
    assert_eq!(&*answer.body, b"hello");
    assert!(server.join().expect("the server ends").contains("host: localhost\r\n"));
}

#[test]
fn no_answer_takes_longer_or_more_than_is_allowed() {
    let (address, _server) = serve_once(b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello world");
    let small = client(&format!("http://{address}")).with_bounds(DEADLINE, 10);
    assert!(matches!(wait(small.get("/")), Err(FetchError::TooLarge { bytes: 10, .. })));

    let silent = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let hasty = client(&format!("http://{}", silent.local_addr().expect("an address")));
    let hasty = hasty.with_bounds(Duration::from_millis(20), 10);
    assert!(matches!(wait(hasty.get("/")), Err(FetchError::Deadline { .. })));
}

#[test]
fn what_goes_wrong_names_whom_was_asked() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a socket").local_addr().expect("an address");
    let error = wait(client(&format!("http://{free}")).get("/")).expect_err("nobody listens");
    assert_eq!(error.to_string(), format!("http://{free} cannot be reached"));
    assert!(error.is_unreachable());

    let (address, _server) = serve_once(b"SSH-2.0-OpenSSH_9.2\r\n");
    let error = wait(client(&format!("http://{address}")).get("/")).expect_err("no HTTP");
    assert_eq!(error.to_string(), format!("http://{address} did not answer as an HTTP server does"));

    let (address, _server) = serve_once(b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello");
    let error = wait(client(&format!("http://{address}")).get("/")).expect_err("half an answer");
    assert!(matches!(error, FetchError::Http { .. }), "{error}");
}

#[test]
fn endpoints_are_read_as_people_write_them() {
    for (text, read) in [
        ("http://127.0.0.1:9090", Ok("http://127.0.0.1:9090")),
        ("http://127.0.0.1:9090/", Ok("http://127.0.0.1:9090")),
        ("https://admin.example/base/path/", Ok("https://admin.example:443/base/path")),
        ("http://[::1]:9090", Ok("http://[::1]:9090")),
        ("http://prometheus", Ok("http://prometheus:80")),
        ("unix:/run/admin.sock", Ok("unix:/run/admin.sock")),
        ("unix:admin.sock", Err(EndpointError::RelativePath)),
        ("127.0.0.1:9090", Err(EndpointError::Form)),
        ("ftp://a.example", Err(EndpointError::Form)),
        ("http://a.example:99999", Err(EndpointError::Form)),
        ("http://user:password@a.example", Err(EndpointError::UserInfo)),
        ("http://a.example/?a=b", Err(EndpointError::Query)),
        ("http://a.example/#x", Err(EndpointError::Query)),
        ("", Err(EndpointError::Form)),
    ] {
        assert_eq!(Endpoint::parse(text).map(|it| it.to_string()), read.map(str::to_owned), "{text}");
    }
}

#[test]
fn a_token_has_to_be_one_and_is_not_repeated() {
    let endpoint = Endpoint::parse("http://127.0.0.1:1").expect("an endpoint");
    for token in ["", "a b", "a\r\nx: y"] {
        let token = Secret::new(token.as_bytes().to_vec());
        let error = Client::new(endpoint.clone(), &TlsFiles::default(), Some(&token)).expect_err("no token");
        assert!(matches!(error, FetchError::Token));
    }
}

#[test]
fn files_for_tls_are_named_when_they_cannot_be_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").expect("a file");
    let endpoint = Endpoint::parse("https://127.0.0.1:1").expect("an endpoint");
    for (ca, said) in [
        (folder.path().join("none.pem"), "none.pem: cannot be read"),
        (empty, "empty.pem: no certificate found, expected PEM"),
    ] {
        let files = TlsFiles { ca: Some(ca), client: None };
        let error = Client::new(endpoint.clone(), &files, None).expect_err("no CA");
        assert!(error.to_string().ends_with(said), "{error}");
    }
}

#[test]
fn over_tls_the_ca_is_ones_own_and_the_client_says_who_it_is() {
    let now = crate::clock::Clock::System.now();
    let validity = Validity::days(now, 10);
    let options = CaOptions { common_name: "admin".into(), key_type: KeyType::default(), validity };
    let (ca, _) = Ca::create(&options).expect("a CA");
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &[u8]| {
        std::fs::write(folder.path().join(name), text).expect("a file");
        folder.path().join(name)
    };
    let operator = ca.issue(&LeafOptions::client("operator", validity)).expect("a leaf");
    let files = TlsFiles {
        ca: Some(write("ca.pem", ca.certificate_pem().as_bytes())),
        client: Some((
            write("operator.pem", operator.certificate_pem.as_bytes()),
            write("operator.key", operator.key_pem.expose()),
        )),
    };
    let server = ca.issue(&LeafOptions::server(&["localhost"], validity)).expect("a certificate");
    let told = wait(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let port = listener.local_addr().expect("an address").port();
        let acceptor = tls_server(&ca, &server);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let shown = stream.get_ref().1.peer_certificates().map_or(0, <[_]>::len);
                let _ = stream.read(&mut [0; 1024]).await;
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{shown}");
                stream.write_all(answer.as_bytes()).await.expect("the answer");
            }
        });
        let ask = async |host: &str, files: &TlsFiles| {
            let endpoint = Endpoint::parse(&format!("https://{host}:{port}")).expect("an endpoint");
            Client::new(endpoint, files, None).expect("a client").get("/").await
        };
        let nobody = TlsFiles { client: None, ..files.clone() };
        let wrong_ca = TlsFiles { ca: files.client.as_ref().map(|(chain, _)| chain.clone()), client: None };
        [
            ask("localhost", &files).await,
            ask("localhost", &nobody).await,
            ask("127.0.0.1", &files).await,
            ask("localhost", &wrong_ca).await,
        ]
    });
    let [operator, nobody, wrong_name, wrong_ca] = told;
    assert_eq!(&*operator.expect("an answer").body, b"1");
    assert_eq!(&*nobody.expect("an answer").body, b"0");
    for error in [wrong_name, wrong_ca] {
        assert!(matches!(error, Err(FetchError::Tls { .. })), "{error:?}");
    }
}

/// Asks for a client certificate and takes none, too.
fn tls_server(ca: &Ca, issued: &Issued) -> TlsAcceptor {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.certificate_pem().as_bytes()).expect("a CA")).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let verifier = verifier.allow_unauthenticated().build().expect("a verifier");
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.expose()).expect("a key");
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![issued.certificate_der.clone().into()], key)
        .expect("a configuration");
    TlsAcceptor::from(Arc::new(config))
}

#[test]
fn only_tls_and_this_very_machine_are_private() {
    for (text, private) in [
        ("https://api.example.com", true),
        ("unix:/run/admin.sock", true),
        ("http://127.0.0.1:8080", true),
        ("http://[::1]:8080", true),
        ("http://[::ffff:127.0.0.1]", true),
        ("http://localhost", true),
        ("http://api.example.com", false),
        ("http://192.0.2.1", false),
        ("http://localhost.example.com", false),
        ("http://127.0.0.1.example.com", false),
    ] {
        assert_eq!(Endpoint::parse(text).expect("an endpoint").is_private(), private, "{text}");
    }
}
