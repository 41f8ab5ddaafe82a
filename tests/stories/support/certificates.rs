//! Certificates of every shape that a client may come with, made once per run.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use originlock::clock::{Clock, Timestamp};
use originlock::pki::{Ca, CaOptions, Issued, KeyType, LeafOptions, Purpose, Validity, self_signed};
use originlock::x509::{CertificateFields, CertificateSummary};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, NameConstraints,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

pub const HOUR: Duration = Duration::from_secs(3600);
pub const DAY: Duration = Duration::from_secs(24 * 3600);
/// Until when a good leaf holds, from the beginning of a world.
pub const LEAF_DAYS: u32 = 30;
/// Until when a revocation list holds.
pub const CRL_DAYS: u32 = 7;

/// What a client presents.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Shape {
    P256,
    P384,
    Rsa2048,
    Ed25519,
    /// Presented with the intermediate CA that signed it.
    ViaIntermediate,
    Expired,
    NotYetValid,
    ServerAuthOnly,
    /// What a plain `openssl req -x509` makes.
    SelfSignedCa,
    /// What `openssl x509 -req` makes without extensions.
    Version1,
    Rsa1024,
    SignedWithSha1,
    /// Named by [`Pki::crl`].
    Revoked,
    /// More certificates than are looked at.
    ManyCertificates,
    /// One certificate larger than is looked at.
    LargeCertificate,
    /// No certificate at all in the place of one.
    Garbage,
    /// Under an intermediate CA that its root does not allow.
    PathTooLong,
    /// Of a CA that may not issue for its name.
    OutsideNameConstraint,
    UnknownCa,
    /// Of a CA with the name of ours and another key.
    SameNameCa,
    /// A good certificate, presented by someone who does not have its key.
    ForgedProof,
}

/// A chain and the key that is signed with.
pub struct Credential {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

/// The CAs of this run. Every story trusts [`Pki::ours`] unless it says otherwise.
pub struct Pki {
    pub ours: Ca,
    ours_key: Issued,
    /// The CA of the hosts' own certificates.
    pub site: Ca,
    pub other: Ca,
    same_name: Ca,
    root: Authority,
    shallow_root: Authority,
    constrained: Authority,
    revoked: Issued,
    made: Mutex<HashMap<Shape, Arc<Credential>>>,
}

/// A CA with what `originlock::pki` does not offer.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: CertificateDer<'static>,
}

/// The beginning of every world. An hour ahead, so that what other programs make now is valid by then.
pub fn now() -> Timestamp {
    static NOW: OnceLock<Timestamp> = OnceLock::new();
    *NOW.get_or_init(|| Timestamp::from_seconds(Clock::System.now().after(HOUR).seconds()))
}

/// The CAs of this run.
pub fn pki() -> &'static Pki {
    static PKI: OnceLock<Pki> = OnceLock::new();
    PKI.get_or_init(Pki::new)
}

impl Pki {
    fn new() -> Self {
        let (ours, ours_key) = ca("origin-pull CA");
        let revoked = ours.issue(&LeafOptions::client("revoked", good())).expect("a leaf");
        let root = Authority::new(None, "deep root", 1, None);
        let shallow_root = Authority::new(None, "shallow root", 0, None);
        let inside = GeneralSubtree::DnsName("inside.example".into());
        let constraints = NameConstraints { permitted_subtrees: vec![inside], excluded_subtrees: Vec::new() };
        Self {
            ours,
            ours_key,
            site: ca("site CA").0,
            other: ca("other CA").0,
            same_name: ca("origin-pull CA").0,
            constrained: Authority::new(None, "constrained CA", 0, Some(constraints)),
            root,
            shallow_root,
            revoked,
            made: Mutex::default(),
        }
    }

    /// A bundle under which every shape comes to its own verdict.
    pub fn bundle(&self) -> String {
        [self.ours.certificate_pem(), &self.root.pem, &self.shallow_root.pem, &self.constrained.pem].join("\n")
    }

    /// A list that names the revoked certificate.
    pub fn crl(&self) -> String {
        self.ours.revocation_list(&[&self.revoked], 1, Validity::days(now(), CRL_DAYS)).expect("a list")
    }

    /// A list that names nobody.
    pub fn empty_crl(&self) -> String {
        self.ours.revocation_list(&[], 2, Validity::days(now(), CRL_DAYS)).expect("a list")
    }

    /// The server certificate for `names`.
    pub fn server_certificate(&self, names: &[String]) -> Issued {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.site.issue(&LeafOptions::server(&names, around(365))).expect("a server certificate")
    }

    /// A credential of `shape`, the same one every time.
    pub fn credential(&self, shape: Shape) -> Arc<Credential> {
        let mut made = self.made.lock().expect("no shape fails to be made");
        Arc::clone(made.entry(shape).or_insert_with(|| Arc::new(self.make(shape))))
    }

    /// A certificate with a key of 1024 bits, and that key, as PEM.
    pub fn weak_rsa(&self) -> (String, String) {
        let credential = self.by_openssl("weak", &["rsa:1024"], "-sha256", LEAF_EXTENSIONS);
        (credential.chain_pem(), credential.key_pem())
    }

    fn make(&self, shape: Shape) -> Credential {
        let of_key = |key_type| LeafOptions { key_type, ..LeafOptions::client("edge", good()) };
        let client = |name: &str| LeafOptions::client(name, good());
        let from_ours = |options: &LeafOptions| Credential::of(&self.ours.issue(options).expect("a leaf"));
        match shape {
            Shape::P256 => from_ours(&of_key(KeyType::P256)),
            Shape::P384 => from_ours(&of_key(KeyType::P384)),
            Shape::Rsa2048 => from_ours(&of_key(KeyType::Rsa2048)),
            Shape::Ed25519 => from_ours(&of_key(KeyType::Ed25519)),
            Shape::ViaIntermediate => self.root.below("via intermediate"),
            Shape::Expired => from_ours(&LeafOptions::client("expired", from_to(-20, -10))),
            Shape::NotYetValid => from_ours(&LeafOptions::client("not yet valid", from_to(10, 20))),
            Shape::ServerAuthOnly => from_ours(&LeafOptions { purpose: Purpose::Server, ..client("server") }),
            Shape::SelfSignedCa => {
                let options = LeafOptions { is_ca: true, purpose: Purpose::Any, ..client("self-signed") };
                Credential::of(&self_signed(&options).expect("a certificate"))
            }
            Shape::Version1 => {
                self.by_openssl("v1", &["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"], "-sha256", "")
            }
            // rustls signs with no such key; in no handshake does the proof come to matter.
            Shape::Rsa1024 => {
                let key = Credential::of(&self_signed(&client("key")).expect("a key")).key;
                let chain = self.by_openssl("weak", &["rsa:1024"], "-sha256", LEAF_EXTENSIONS).chain;
                Credential { chain, key }
            }
            Shape::SignedWithSha1 => {
                let ec = ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
                self.by_openssl("sha1", &ec, "-sha1", LEAF_EXTENSIONS)
            }
            Shape::Revoked => Credential::of(&self.revoked),
            Shape::ManyCertificates => {
                let mut credential = from_ours(&client("many"));
                let junk = CertificateDer::from_pem_slice(self.other.certificate_pem().as_bytes()).expect("a CA");
                credential.chain.extend(vec![junk; 10]);
                credential
            }
            Shape::LargeCertificate => {
                let names = (0..800).map(|number| format!("name-{number}.example.com")).collect();
                from_ours(&LeafOptions { names, ..client("large") })
            }
            Shape::Garbage => {
                let chain = vec![CertificateDer::from(vec![0x30, 0x03, 0x02, 0x01, 0x07])];
                Credential { chain, key: Credential::of(&self_signed(&client("key")).expect("a key")).key }
            }
            Shape::PathTooLong => self.shallow_root.below("path too long"),
            Shape::OutsideNameConstraint => {
                let key = KeyPair::generate().expect("a key");
                let mut params = leaf_params("outside");
                params.subject_alt_names = vec![rcgen::SanType::DnsName("outside.example".try_into().expect("a name"))];
                let leaf = params.signed_by(&key, &self.constrained.issuer).expect("a leaf");
                Credential::new(vec![leaf.der().clone()], &key)
            }
            Shape::UnknownCa => Credential::of(&self.other.issue(&client("stranger")).expect("a leaf")),
            Shape::SameNameCa => Credential::of(&self.same_name.issue(&client("edge")).expect("a leaf")),
            Shape::ForgedProof => {
                let key = Credential::of(&self_signed(&client("thief")).expect("a key")).key;
                Credential { chain: self.credential_of_another(), key }
            }
        }
    }

    /// A good chain whose key nobody keeps.
    fn credential_of_another(&self) -> Vec<CertificateDer<'static>> {
        Credential::of(&self.ours.issue(&LeafOptions::client("edge", good())).expect("a leaf")).chain
    }

    /// A leaf of ours as the `openssl` command makes it.
    fn by_openssl(&self, name: &str, key: &[&str], digest: &str, extensions: &str) -> Credential {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |file: &str, text: &[u8]| std::fs::write(folder.path().join(file), text).expect("a file");
        write("ca.pem", self.ours_key.certificate_pem.as_bytes());
        write("ca.key", self.ours_key.key_pem.expose());
        write("extensions", extensions.as_bytes());
        let subject = format!("/CN={name}");
        let mut request = vec!["req", "-new", "-nodes", "-subj", &subject, "-keyout", "key", "-out", "csr", "-newkey"];
        request.extend(key);
        openssl(folder.path(), &request);
        let mut sign = vec!["x509", "-req", "-in", "csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
        sign.extend(["-days", "30", digest, "-out", "leaf.pem"]);
        if !extensions.is_empty() {
            sign.extend(["-extfile", "extensions"]);
        }
        openssl(folder.path(), &sign);
        let read = |file: &str| std::fs::read(folder.path().join(file)).expect("a file");
        Credential {
            chain: vec![CertificateDer::from_pem_slice(&read("leaf.pem")).expect("a certificate")],
            key: PrivateKeyDer::from_pem_slice(&read("key")).expect("a key"),
        }
    }
}

const LEAF_EXTENSIONS: &str = "basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n";

fn openssl(folder: &Path, arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).current_dir(folder).output();
    let output = output.expect("openssl is installed; tests/run installs it");
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Credential {
    /// Certificate and key as issued.
    pub fn of(issued: &Issued) -> Self {
        Self {
            chain: vec![CertificateDer::from(issued.certificate_der.clone())],
            key: PrivateKeyDer::from_pem_slice(issued.key_pem.expose()).expect("a key"),
        }
    }

    fn new(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> Self {
        Self { chain, key: PrivateKeyDer::try_from(key.serialize_der()).expect("a key") }
    }

    /// The chain as other programs read it.
    pub fn chain_pem(&self) -> String {
        self.chain.iter().map(|der| pem("CERTIFICATE", der)).collect()
    }

    /// The key as other programs read it.
    pub fn key_pem(&self) -> String {
        let label = match &self.key {
            PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
            PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
            _ => "PRIVATE KEY",
        };
        pem(label, self.key.secret_der())
    }

    /// What the leaf says.
    pub fn summary(&self) -> CertificateSummary {
        CertificateSummary::read(&self.chain[0])
    }

    /// What a parseable leaf says.
    pub fn fields(&self) -> CertificateFields {
        self.summary().fields.expect("the leaf can be parsed")
    }
}

impl Authority {
    fn new(above: Option<&Self>, name: &str, path_length: u8, constraints: Option<NameConstraints>) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = named_params(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.name_constraints = constraints;
        let certificate = match above {
            None => params.self_signed(&key),
            Some(above) => params.signed_by(&key, &above.issuer),
        };
        let certificate = certificate.expect("a CA");
        Self { pem: certificate.pem(), der: certificate.der().clone(), issuer: Issuer::new(params, key) }
    }

    /// A leaf under a new intermediate CA, presented with it.
    fn below(&self, name: &str) -> Credential {
        let intermediate = Self::new(Some(self), &format!("{name} CA"), 0, None);
        let key = KeyPair::generate().expect("a key");
        let leaf = leaf_params(name).signed_by(&key, &intermediate.issuer).expect("a leaf");
        Credential::new(vec![leaf.der().clone(), intermediate.der], &key)
    }
}

fn leaf_params(name: &str) -> CertificateParams {
    let mut params = named_params(name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn named_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn ca(name: &str) -> (Ca, Issued) {
    let options = CaOptions { common_name: name.to_owned(), key_type: KeyType::P256, validity: around(3650) };
    Ca::create(&options).expect("a CA")
}

/// From well before the beginning until [`LEAF_DAYS`] after it.
pub fn good() -> Validity {
    around(LEAF_DAYS)
}

/// From two days before the beginning, which is before what a real client's clock shows, until `days` after it.
pub fn around(days: u32) -> Validity {
    from_to(-2, i64::from(days))
}

/// In days from the beginning.
pub fn from_to(from: i64, to: i64) -> Validity {
    let at = |days: i64| Timestamp::from_seconds(now().seconds() + days * 86_400);
    Validity { not_before: at(from), not_after: at(to) }
}

/// RFC 7468.
fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| str::from_utf8(line).expect("ASCII")).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
