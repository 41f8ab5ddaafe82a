//! A load for `benches/peers/run`: so much work of one kind against a TLS server, with a client certificate.
//!
//! Anything but success ends it with an error: a contestant that answers wrongly fast has no figure.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, ValueEnum};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientSessionMemoryCache, Resumption, Tls12Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, HandshakeKind, SignatureScheme, StreamOwned,
};

mod http2;

const TIMEOUT: Duration = Duration::from_secs(20);
const BODY_BYTES: usize = 10 * 1024 * 1024;
const READ_BYTES: usize = 256 * 1024;

/// Does so much work of one kind against a TLS server
#[derive(Parser)]
struct Args {
    scenario: Scenario,
    #[arg(long)]
    address: SocketAddr,
    /// Name to ask for
    #[arg(long, default_value = "bench.localhost")]
    name: String,
    /// Client certificate; none is presented without it
    #[arg(long, requires = "key")]
    certificate: Option<PathBuf>,
    #[arg(long)]
    key: Option<PathBuf>,
    /// Units of work in all
    #[arg(long, default_value_t = 1)]
    count: usize,
    /// At the same time
    #[arg(long, default_value_t = 4)]
    connections: usize,
    #[arg(long, default_value = "/small")]
    path: String,
    /// Offer X25519MLKEM768 first, instead of X25519 alone
    #[arg(long)]
    post_quantum: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// Connections that end after the handshake
    Full,
    /// The same, resuming a session each time
    Resumed,
    /// GET over HTTP/1.1, one after the other on each connection
    Http1,
    /// GET over HTTP/2, sixteen streams on each connection
    Http2,
    /// GET of ten MiB over HTTP/1.1
    Down,
    /// PUT of ten MiB over HTTP/1.1
    Up,
    /// HTTP/1.1 connections that do nothing after one request, until the input ends
    Idle1,
    /// The same over HTTP/2
    Idle2,
}

fn main() -> Result<()> {
    let args = Arc::new(Args::parse());
    match args.scenario {
        Scenario::Idle1 => return idle(&args),
        Scenario::Idle2 | Scenario::Http2 => return http2::run(&args),
        _ => {}
    }
    let taken = Arc::new(AtomicUsize::new(0));
    let start = |_| {
        let (args, taken) = (Arc::clone(&args), Arc::clone(&taken));
        thread::spawn(move || work(&args, &taken))
    };
    let threads: Vec<_> = (0..args.connections).map(start).collect();
    for thread in threads {
        thread.join().expect("a load thread does not panic")?;
    }
    Ok(())
}

fn work(args: &Args, taken: &AtomicUsize) -> Result<()> {
    let config = Arc::new(args.config(&[b"http/1.1"])?);
    let mut client = Client { args, config, stream: None, buffer: vec![0; READ_BYTES] };
    let body = if args.scenario == Scenario::Up { vec![b'x'; BODY_BYTES] } else { Vec::new() };
    if args.scenario == Scenario::Resumed {
        client.handshake()?;
    }
    while taken.fetch_add(1, Ordering::Relaxed) < args.count {
        match args.scenario {
            Scenario::Full => ensure!(client.handshake()? == HandshakeKind::Full, "resumed"),
            Scenario::Resumed => ensure!(client.handshake()? == HandshakeKind::Resumed, "not resumed"),
            Scenario::Up => client.exchange("PUT", &body)?,
            _ => client.exchange("GET", &body)?,
        }
    }
    Ok(())
}

fn idle(args: &Args) -> Result<()> {
    let config = Arc::new(args.config(&[b"http/1.1"])?);
    let mut open = Vec::new();
    let mut buffer = vec![0; READ_BYTES];
    for _ in 0..args.count {
        let mut client = Client { args, config: Arc::clone(&config), stream: None, buffer };
        client.exchange("GET", b"")?;
        buffer = client.buffer;
        open.push(client.stream);
    }
    wait()
}

/// Says that the connections stand and keeps them until the input ends.
fn wait() -> Result<()> {
    println!("ready");
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

impl Args {
    fn config(&self, alpn: &[&[u8]]) -> Result<ClientConfig> {
        let mut provider = aws_lc_rs::default_provider();
        if !self.post_quantum {
            provider.kx_groups = vec![aws_lc_rs::kx_group::X25519];
        }
        let provider = Arc::new(provider);
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyServer(provider)));
        let mut config = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
                let key = PrivateKeyDer::from_pem_slice(&fs::read(key)?)?;
                builder.with_client_auth_cert(chain, key)?
            }
            _ => builder.with_no_client_auth(),
        };
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        config.resumption = match self.scenario {
            Scenario::Resumed => Resumption::store(Arc::new(ClientSessionMemoryCache::new(32))),
            _ => Resumption::disabled().tls12_resumption(Tls12Resumption::Disabled),
        };
        Ok(config)
    }

    fn server_name(&self) -> Result<ServerName<'static>> {
        Ok(ServerName::try_from(self.name.clone())?)
    }

    fn connect(&self) -> Result<TcpStream> {
        let socket = TcpStream::connect(self.address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        socket.set_write_timeout(Some(TIMEOUT))?;
        Ok(socket)
    }
}

struct Client<'a> {
    args: &'a Args,
    config: Arc<ClientConfig>,
    stream: Option<StreamOwned<ClientConnection, TcpStream>>,
    buffer: Vec<u8>,
}

impl Client<'_> {
    /// A handshake to its end on the server's side too: that end is known by the ticket that follows it.
    fn handshake(&mut self) -> Result<HandshakeKind> {
        let mut socket = self.args.connect()?;
        let mut tls = ClientConnection::new(Arc::clone(&self.config), self.args.server_name()?)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut socket)?;
        }
        while tls.tls13_tickets_received() == 0 {
            ensure!(tls.read_tls(&mut socket)? > 0, "closed without a ticket");
            tls.process_new_packets()?;
        }
        tls.send_close_notify();
        tls.complete_io(&mut socket)?;
        tls.handshake_kind().context("a finished handshake has a kind")
    }

    fn exchange(&mut self, method: &str, body: &[u8]) -> Result<()> {
        if self.stream.is_none() {
            let tls = ClientConnection::new(Arc::clone(&self.config), self.args.server_name()?)?;
            self.stream = Some(StreamOwned::new(tls, self.args.connect()?));
        }
        let stream = self.stream.as_mut().expect("a stream was just made");
        let Args { path, name, .. } = self.args;
        let length = if method == "PUT" { format!("Content-Length: {}\r\n", body.len()) } else { String::new() };
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: {name}\r\nUser-Agent: load\r\nAccept: */*\r\n{length}\r\n");
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        stream.flush()?;
        read_answer(stream, &mut self.buffer)
    }
}

fn read_answer(stream: &mut impl Read, buffer: &mut [u8]) -> Result<()> {
    let mut filled = 0;
    let head = loop {
        match stream.read(&mut buffer[filled..]) {
            Ok(0) => bail!("closed within a head"),
            Ok(bytes) => filled += bytes,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(at) = buffer[..filled].windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
    ensure!(text.starts_with("http/1.1 2"), "{}", text.lines().next().unwrap_or_default());
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or("0", str::trim);
    let mut left = length.parse::<usize>()?.checked_sub(filled - head).context("more than was announced")?;
    while left > 0 {
        let room = left.min(buffer.len());
        let bytes = stream.read(&mut buffer[..room])?;
        ensure!(bytes > 0, "closed within a body");
        left -= bytes;
    }
    Ok(())
}

/// Takes any server for the right one: the load measures the server's work, not its name.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
