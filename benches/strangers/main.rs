//! What a ledger of a few configured hosts costs when strangers flood it: `cargo run --release --example strangers`.
//!
//! Ten million distinct strangers, each with a server name, an address and a certificate of its own. A third asks for
//! names that nobody has, a third for one configured name, a third for ever new names under a configured wildcard. Every
//! tenth one also sends a request with a path of its own. Prints memory before and after, and the CPU time per record.

use std::fs;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use originlock::clock::Timestamp;
use originlock::evidence::handshake::HandshakeOutcome;
use originlock::evidence::ledger::{Ledger, Subject};
use originlock::evidence::requests::RequestNote;
use originlock::evidence::store::Store;
use originlock::hostname::{HostPattern, Hostname};
use originlock::policy::client_auth::Mode;
use originlock::policy::trust::TrustDigest;
use originlock::policy::verdict::{Decision, Reason, Verdict};
use originlock::x509::{CertificateFields, CertificateSummary, Fingerprint, KeyKind};

const STRANGERS: u64 = 10_000_000;
/// Made before they are recorded, so that only recording is measured.
const BATCH: u64 = 1000;
const TRUST: TrustDigest = TrustDigest([1; 32]);
const HOSTS: [&[&str]; 3] =
    [&["shop.example.com", "*.shop.example.com"], &["www.example.com", "example.com"], &["api.example.com"]];

fn main() {
    let ledger = Ledger::default();
    let start = Timestamp::from_seconds(1_800_000_000);
    ledger.adopt(&HOSTS.map(subject), start);
    let before = resident_kib();
    let mut spent = 0;
    let (mut handshakes, mut requests) = (0, 0);
    for batch in 0..STRANGERS / BATCH {
        // A flood of a little more than a week, so that every bucket of every window is filled.
        let at = start.after(Duration::from_secs(batch * 65));
        let strangers: Vec<_> = (0..BATCH).map(|number| stranger(batch * BATCH + number, at)).collect();
        let notes: Vec<_> = strangers.iter().step_by(10).filter_map(note).collect();
        let begun = cpu_nanoseconds();
        strangers.iter().for_each(|outcome| ledger.record(outcome));
        notes.iter().for_each(|note| ledger.note(note));
        spent += cpu_nanoseconds() - begun;
        (handshakes, requests) = (handshakes + strangers.len(), requests + notes.len());
    }
    let after = resident_kib();
    println!("{handshakes} handshakes and {requests} request notes of distinct strangers");
    println!("resident memory: {before} KiB before, {after} KiB after, {} KiB more", after.saturating_sub(before));
    println!("{} ns of CPU time per record", spent / (handshakes + requests) as u64);
    let now = start.after(Duration::from_secs(STRANGERS / BATCH * 65));
    let begun = Instant::now();
    let week = Duration::from_hours(7 * 24);
    let by_name: usize = HOSTS.iter().map(|names| ledger.evidence(names[0], week, now).len()).sum();
    println!("evidence of {by_name} names over a week: {:.0} µs", begun.elapsed().as_secs_f64() * 1e6);
    let file = std::env::temp_dir().join(format!("strangers-{}.json", std::process::id()));
    let begun = Instant::now();
    Store::new(&file).save(&ledger, now).expect("the folder for temporary files is writable");
    let spent = begun.elapsed().as_secs_f64() * 1e3;
    println!("saved in {spent:.1} ms: {} KiB", fs::metadata(&file).expect("the file").len() / 1024);
    fs::remove_file(&file).expect("the file");
}

fn subject(names: &[&str]) -> Subject {
    Subject {
        host: names[0].into(),
        names: names.iter().map(|name| HostPattern::parse(name).expect("a pattern")).collect(),
        is_default: false,
        trust: Some(TRUST),
        window: Duration::from_hours(24),
    }
}

fn stranger(number: u64, at: Timestamp) -> HandshakeOutcome {
    let random = scrambled(number);
    let (name, reason) = match number % 3 {
        0 => (format!("x{random:x}.example.net"), Reason::SniUnknown),
        1 => ("www.example.com".to_owned(), Reason::UnknownIssuer),
        _ => (format!("x{random:x}.shop.example.com"), Reason::BadSignature),
    };
    let is_known = reason != Reason::SniUnknown;
    HandshakeOutcome {
        at,
        peer: SocketAddr::new(address(random), 40_000),
        server_name: Hostname::parse(&name).ok(),
        host: is_known.then(|| HOSTS[usize::from(number % 3 == 1)][0].into()),
        mode: is_known.then_some(Mode::Observe),
        trust: is_known.then_some(TRUST),
        verdict: if is_known { Verdict::Failed(reason) } else { Verdict::Absent },
        reason,
        decision: if is_known { Decision::Admit } else { Decision::Refuse },
        would_refuse: is_known,
        proved: is_known,
        matched: None,
        certificate: is_known.then(|| certificate(random)),
        chain_length: usize::from(is_known),
        tls_version: Some("1.3"),
        cipher: None,
        group: None,
        alpn: None,
        resumed: false,
        duration: Duration::from_millis(1),
        alert: None,
        detail: None,
        own: false,
    }
}

/// Half from the whole of IPv4, half from the whole of IPv6; some fall into Cloudflare's ranges.
fn address(random: u64) -> IpAddr {
    match random % 2 {
        0 => IpAddr::from(((random >> 8) as u32).to_be_bytes()),
        _ => IpAddr::V6(Ipv6Addr::from(u128::from(random) << 64 | u128::from(scrambled(random)))),
    }
}

fn certificate(random: u64) -> Arc<CertificateSummary> {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&random.to_be_bytes());
    let fields = CertificateFields {
        subject: format!("CN=stranger {random:x}, O=a name as long as names in such certificates usually are"),
        issuer: format!("CN=CA of {random:x}"),
        serial: format!("{random:x}"),
        not_before: Timestamp::default(),
        not_after: Timestamp::from_seconds(2_000_000_000),
        version: 3,
        is_ca: false,
        has_basic_constraints: true,
        path_length: None,
        allows_client_auth: true,
        self_issued: false,
        key: KeyKind::Ed25519,
        spki_fingerprint: Fingerprint(digest),
        spki: Vec::new(),
        subject_der: Vec::new(),
        issuer_der: Vec::new(),
        signature_oid: String::new(),
    };
    Arc::new(CertificateSummary { fingerprint: Fingerprint(digest), fields: Some(fields) })
}

fn note(outcome: &HandshakeOutcome) -> Option<RequestNote> {
    let name = outcome.server_name.clone()?;
    Some(RequestNote {
        at: outcome.at,
        peer: outcome.peer,
        trust: outcome.trust?,
        reason: outcome.reason,
        requests: 1,
        path: Some(format!("/{name}/some/path")),
        user_agent: Some(format!("scanner/{name}")),
        server_name: Some(name),
    })
}

/// SplitMix64's finaliser, a bijection: no two strangers are the same.
fn scrambled(number: u64) -> u64 {
    let mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Time that this thread spent on a CPU: the machine may be busy with something else. See proc(5), `schedstat`.
fn cpu_nanoseconds() -> u64 {
    let schedstat = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells it");
    schedstat.split_whitespace().next().and_then(|spent| spent.parse().ok()).expect("a number")
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux tells it");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the line is there");
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).expect("a number")
}
