//! Backends behind `https://`.

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::*;

struct TlsBackend {
    backend: Backend,
    acceptor: TlsAcceptor,
    spec: UpstreamSpec,
}

impl TlsBackend {
    async fn new(name: &str) -> Self {
        let backend = Backend::new().await;
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut server = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .unwrap();
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der().clone()).unwrap();
        let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();

        let address = Address { protocol: address::Protocol::Https, ..backend.address() };
        let mut spec = UpstreamSpec::new("test", vec![address]);
        spec.tls = Some(Arc::new(client));
        Self { backend, acceptor: TlsAcceptor::from(Arc::new(server)), spec }
    }
}

#[test]
fn a_verified_backend_is_asked_in_http11_and_its_connection_used_again() {
    run(async {
        let TlsBackend { backend, acceptor, mut spec } = TlsBackend::new("shop.internal").await;
        spec.tls_server_name = Some("shop.internal".into());
        let script = spawn_local(async move {
            let stream = acceptor.accept(backend.accept().await.0).await.unwrap();
            let (server_name, alpn) = (stream.get_ref().1.server_name(), stream.get_ref().1.alpn_protocol());
            assert_eq!((server_name, alpn), (Some("shop.internal"), Some(&b"http/1.1"[..])));
            let mut peer = Peer(stream);
            for _ in 0..3 {
                peer.answer(OK).await;
                peer.0.flush().await.unwrap();
            }
        });
        let client = client(spec);
        for _ in 0..3 {
            assert_eq!(text(client.send(get()).await.unwrap()).await.unwrap(), "ok");
        }
        script.await.unwrap();
    });
}

#[test]
fn a_backend_with_another_name_is_sent_nothing() {
    run(async {
        let TlsBackend { backend, acceptor, spec } = TlsBackend::new("other.internal").await;
        let script = spawn_local(async move { acceptor.accept(backend.accept().await.0).await.is_err() });
        let error = client(spec).send(get()).await.unwrap_err();
        assert_eq!((error.status(), error.reason()), (StatusCode::BAD_GATEWAY, "tls_failed"));
        assert!(script.await.unwrap());
    });
}

#[test]
fn a_backend_that_never_ends_its_handshake_is_a_gateway_timeout() {
    run(async {
        let TlsBackend { backend, mut spec, .. } = TlsBackend::new("shop.internal").await;
        spec.timeouts.connect = Duration::from_millis(30);
        let error = client(spec).send(get()).await.unwrap_err();
        assert_eq!((error.status(), error.reason()), (StatusCode::GATEWAY_TIMEOUT, "connect_timeout"));
        drop(backend);
    });
}
