//! What we make, as `openssl` sees it.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::inspect::{Usable, ValidityState, inspect};
use super::*;
use crate::clock::Clock;
use crate::policy::verdict::Reason;

const KEY_TYPES: [(KeyType, &str); 5] = [
    (KeyType::P256, "P-256"),
    (KeyType::P384, "P-384"),
    (KeyType::Ed25519, "ED25519"),
    (KeyType::Rsa2048, "2048 bit"),
    (KeyType::Rsa4096, "4096 bit"),
];

fn year() -> Validity {
    Validity::days(Clock::System.now(), 365)
}

fn ca(name: &str, key_type: KeyType) -> (Ca, Issued) {
    Ca::create(&CaOptions { common_name: name.into(), key_type, validity: year() }).expect("a CA")
}

/// Runs `openssl` with `input`, and gives whether it succeeded and what it said.
fn openssl(args: &[&str], input: &[u8]) -> (bool, String) {
    let mut child = Command::new("openssl")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl is installed");
    // It may end without reading all.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    let output = child.wait_with_output().expect("it ends");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path: PathBuf = self.0.path().join(name);
        std::fs::write(&path, content).expect("a file");
        path.to_string_lossy().into_owned()
    }
}

/// What `openssl verify -purpose sslclient` says of `leaf` under `ca`.
fn verify(ca: &str, leaf: &Issued, more: &[&str]) -> (bool, String) {
    let folder = Folder::new();
    let ca = folder.file("ca.pem", ca);
    let leaf = folder.file("leaf.pem", &leaf.certificate_pem);
    let args = ["verify", "-purpose", "sslclient", "-CAfile", &ca];
    openssl(&[&args[..], more, &[&leaf]].concat(), b"")
}

#[test]
fn openssl_accepts_our_client_leaf_whatever_its_key() {
    let (ca, ca_issued) = ca("test CA", KeyType::P256);
    let (_, text) = openssl(&["x509", "-noout", "-text"], ca_issued.certificate_pem.as_bytes());
    for words in ["CA:TRUE, pathlen:0", "Certificate Sign, CRL Sign", "Subject Key Identifier", "CN = test CA"] {
        assert!(text.contains(words), "{words} in {text}");
    }
    for (key_type, name) in KEY_TYPES {
        let names = vec!["shop.example".to_owned(), "192.0.2.1".to_owned()];
        let leaf = ca.issue(&LeafOptions { key_type, names, ..LeafOptions::client("edge", year()) }).expect("a leaf");
        let (good, said) = verify(ca.certificate_pem(), &leaf, &["-x509_strict"]);
        assert!(good, "{key_type:?}: {said}");
        let (_, text) = openssl(&["x509", "-noout", "-text"], leaf.certificate_pem.as_bytes());
        for words in [
            "Version: 3 (0x2)",
            "CA:FALSE",
            "TLS Web Client Authentication",
            "Digital Signature",
            "Authority Key Identifier",
            "Subject Key Identifier",
            "DNS:shop.example, IP Address:192.0.2.1",
            "CN = edge",
            name,
        ] {
            assert!(text.contains(words), "{key_type:?}: {words} in {text}");
        }
        assert!(!text.contains("TLS Web Server Authentication"));
        let pem = String::from_utf8_lossy(leaf.key_pem.expose()).into_owned();
        assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----"), "PKCS#8");
        let (_, of_key) = openssl(&["pkey", "-pubout"], pem.as_bytes());
        let (_, of_leaf) = openssl(&["x509", "-noout", "-pubkey"], leaf.certificate_pem.as_bytes());
        assert_eq!(of_key, of_leaf);
    }
}

#[test]
fn a_ca_of_every_key_signs_and_can_be_taken_up_again() {
    for (key_type, _) in KEY_TYPES {
        let (_, issued) = ca("test CA, \"quoted\" + ümlaut", key_type);
        let again = Ca::load(issued.certificate_pem.as_bytes(), &issued.key_pem).expect("our own CA");
        let leaf = again.issue(&LeafOptions::client("edge", year())).expect("a leaf");
        let (good, said) = verify(&issued.certificate_pem, &leaf, &[]);
        assert!(good, "{key_type:?}: {said}");
    }
}

#[test]
fn a_ca_made_by_openssl_can_sign() {
    let folder = Folder::new();
    let (key, certificate) = (folder.file("k", ""), folder.file("c", ""));
    let subject = "/C=DE/O=Example, Inc./OU=Origin/CN=their CA";
    let args = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", subject, "-keyout", &key];
    let (made, said) = openssl(&[&args[..], &["-out", &certificate]].concat(), b"");
    assert!(made, "{said}");
    let key = Secret::new(std::fs::read(key).expect("a key"));
    let certificate = std::fs::read(certificate).expect("a certificate");
    let ca = Ca::load(&certificate, &key).expect("a CA");
    let leaf = ca.issue(&LeafOptions::client("edge", Validity::days(Clock::System.now(), 10))).expect("a leaf");
    let (good, said) = verify(ca.certificate_pem(), &leaf, &[]);
    assert!(good, "{said}");

    let (_, other) = super::tests::ca("other", KeyType::P256);
    let error = Ca::load(&certificate, &other.key_pem).err().expect("not its key");
    assert!(matches!(error, PkiError::KeyMismatch { .. }), "{error}");
    let error = Ca::load(leaf.certificate_pem.as_bytes(), &leaf.key_pem).err().expect("not a CA");
    assert!(error.to_string().contains("CN=edge"), "{error}");
}

#[test]
fn wrong_certificates_are_wrong_in_the_way_asked_for() {
    let (ours, _) = ca("test CA", KeyType::P256);
    let (namesake, _) = ca("test CA", KeyType::P256);
    let now = Clock::System.now();
    let at = |days: i64| Timestamp::from_seconds(now.seconds() + days * 86_400);
    let client = LeafOptions::client("edge", year());
    for (options, words) in [
        (
            LeafOptions { validity: Validity { not_before: at(-9), not_after: at(-1) }, ..client.clone() },
            "certificate has expired",
        ),
        (
            LeafOptions { validity: Validity { not_before: at(1), not_after: at(9) }, ..client.clone() },
            "certificate is not yet valid",
        ),
        (LeafOptions { purpose: Purpose::Server, ..client.clone() }, "certificate purpose"),
    ] {
        let (good, said) = verify(ours.certificate_pem(), &ours.issue(&options).expect("a leaf"), &[]);
        assert!(!good && said.contains(words), "{words} in {said}");
    }
    let (good, said) = verify(ours.certificate_pem(), &namesake.issue(&client).expect("a leaf"), &[]);
    assert!(!good, "another key under the same name: {said}");
    let name = &ours.certificate().fields.as_ref().expect("fields").subject_der;
    let (good, said) = verify(ours.certificate_pem(), &namesake::namesake(name, &client).expect("a leaf"), &[]);
    assert!(!good && said.contains("certificate signature failure"), "found, and not fooled: {said}");
    let shape = self_signed(&LeafOptions { is_ca: true, purpose: Purpose::Any, ..client }).expect("a certificate");
    let (_, text) = openssl(&["x509", "-noout", "-text"], shape.certificate_pem.as_bytes());
    assert!(text.contains("CA:TRUE") && !text.contains("Extended Key Usage"), "{text}");
}

#[test]
fn openssl_finds_a_revoked_leaf_in_our_list() {
    let (ca, _) = ca("test CA", KeyType::P256);
    let client = LeafOptions::client("edge", year());
    let (revoked, kept) = (ca.issue(&client).expect("a leaf"), ca.issue(&client).expect("a leaf"));
    let list = ca.revocation_list(&[&revoked], 1, year()).expect("a list");
    let folder = Folder::new();
    let list = folder.file("list.pem", list);
    let more = ["-crl_check", "-CRLfile", list.as_str()];
    let (good, said) = verify(ca.certificate_pem(), &revoked, &more);
    assert!(!good && said.contains("certificate revoked"), "{said}");
    let (good, said) = verify(ca.certificate_pem(), &kept, &more);
    assert!(good, "{said}");
}

#[test]
fn a_server_certificate_names_its_hosts() {
    let issued = server_certificate(&["a.localhost", "127.0.0.1"], year()).expect("a certificate");
    let (_, text) = openssl(&["x509", "-noout", "-text"], issued.certificate_pem.as_bytes());
    assert!(text.contains("TLS Web Server Authentication"), "{text}");
    assert!(text.contains("DNS:a.localhost, IP Address:127.0.0.1"), "{text}");
}

#[test]
fn inspection_tells_what_will_work() {
    let (ca, ca_issued) = ca("test CA", KeyType::P256);
    let client = LeafOptions::client("edge", year());
    let leaf = ca.issue(&client).expect("a leaf");
    let server = ca.issue(&LeafOptions { purpose: Purpose::Server, ..client.clone() }).expect("a leaf");
    let alone = self_signed(&client).expect("a certificate");
    let now = Clock::System.now();
    for (issued, usable, reason, line) in [
        (&ca_issued, Usable::CaBundle, None, "bundle = [\"a \\\"b\\\".pem\"]"),
        (&leaf, Usable::ClientLeaf, None, "ca = "),
        (&server, Usable::Nothing, Some(Reason::WrongPurpose), ""),
        (&alone, Usable::PinnedLeaf, Some(Reason::UnknownIssuer), "pins = [\"sha256:"),
    ] {
        let file = inspect("a \"b\".pem", issued.certificate_pem.as_bytes(), now).expect("a certificate");
        let report = &file.certificates[0];
        assert_eq!((report.usable, report.reason), (usable, reason));
        assert!(report.config.join("\n").contains(line), "{:?}", report.config);
        let der = inspect("a", &issued.certificate_der, now).expect("DER is read too");
        assert_eq!(der.certificates[0].sha256, report.sha256);
    }
    let later = now.after(Duration::from_secs(400 * SECONDS_PER_DAY));
    let expired = inspect("a", leaf.certificate_pem.as_bytes(), later).expect("a certificate");
    let fields = expired.certificates[0].fields.as_ref().expect("fields");
    assert_eq!(fields.validity, ValidityState::Expired);
}

#[test]
fn inspection_never_shows_a_key() {
    let leaf = self_signed(&LeafOptions::client("edge", year())).expect("a certificate");
    let key = String::from_utf8_lossy(leaf.key_pem.expose()).into_owned();
    let both = format!("{key}{}", leaf.certificate_pem);
    let inspection = inspect("both.pem", both.as_bytes(), Clock::System.now()).expect("a certificate");
    assert_eq!(inspection.private_keys, 1);
    let shown = format!("{inspection}{inspection:?}{}", serde_json::to_string(&inspection).expect("JSON"));
    let secret = key.lines().nth(1).expect("a line of the key");
    assert!(shown.contains("also holds a private key") && !shown.contains(secret));
}

#[test]
fn what_is_no_certificate_is_an_error() {
    for bytes in [&b""[..], b"hello", b"-----BEGIN CERTIFICATE-----\nAAAA", b"\x30\x03\x02\x01\x00"] {
        assert!(inspect("f.pem", bytes, Timestamp::default()).is_err(), "{bytes:?}");
    }
    let unreadable = b"-----BEGIN CERTIFICATE-----\nMAMCAQA=\n-----END CERTIFICATE-----\n";
    let inspection = inspect("f.pem", unreadable, Timestamp::default()).expect("one section");
    assert_eq!(inspection.certificates[0].reason, Some(Reason::BadEncoding));
}
