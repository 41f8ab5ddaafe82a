//! What is counted, from the start and after known handshakes.

use std::io::{Read, Write};
use std::net::TcpStream;

use originlock::policy::verdict::Reason;
use originlock::telemetry::metrics::Refusal;
use originlock::upstream::UpstreamError;

use crate::support::certificates::{Shape, now};
use crate::support::{HostSetup, World, pki};

const OFF: &str = "off.example.com";
const OBSERVE: &str = "observe.example.com";
const ENFORCE: &str = "enforce.example.com";

fn world() -> World {
    World::builder()
        .crl("ours", &pki().crl())
        .host(HostSetup::new(OFF))
        .host(HostSetup::new(OBSERVE).observe("ours"))
        .host(HostSetup::new(ENFORCE).enforce("ours"))
        .start()
}

fn handshakes(host: &str, mode: &str, reason: &str, resumed: bool) -> String {
    format!("originlock_handshakes_total{{host=\"{host}\",mode=\"{mode}\",reason=\"{reason}\",resumed=\"{resumed}\"}}")
}

#[test]
fn every_series_is_there_from_the_start() {
    let world = world();
    let mut expected = Vec::new();
    for (host, mode) in [(OBSERVE, "observe"), (ENFORCE, "enforce")] {
        let never = [Reason::SniMissing, Reason::SniUnknown, Reason::NotTls];
        let broken = [Reason::HandshakeTimeout, Reason::ClientAlert, Reason::ClientEof, Reason::ProtocolError];
        for reason in Reason::HANDSHAKE.into_iter().filter(|reason| !never.contains(reason)) {
            expected.push(handshakes(host, mode, reason.label(), false));
            if !broken.contains(&reason) {
                expected.push(handshakes(host, mode, reason.label(), true));
            }
        }
    }
    for resumed in [false, true] {
        expected.push(handshakes(OFF, "off", "no_certificate", resumed));
    }
    for reason in ["sni_missing", "sni_unknown", "not_tls", "handshake_timeout", "client_eof", "protocol_error"] {
        expected.push(handshakes("_other", "none", reason, false));
    }
    for host in [OFF, OBSERVE, ENFORCE] {
        for class in ["2xx", "3xx", "4xx", "5xx"] {
            expected.push(format!("originlock_requests_total{{host=\"{host}\",status_class=\"{class}\"}}"));
        }
        for reason in Refusal::ALL.map(Refusal::label) {
            expected.push(format!("originlock_requests_refused_total{{host=\"{host}\",reason=\"{reason}\"}}"));
        }
        for reason in UpstreamError::REASONS {
            expected.push(format!("originlock_upstream_errors_total{{host=\"{host}\",reason=\"{reason}\"}}"));
        }
    }
    for reason in ["connections", "connections_per_address"] {
        expected.push(format!("originlock_connections_shed_total{{reason=\"{reason}\"}}"));
    }
    for name in ["connections_open", "log_dropped_total", "panics_total", "request_duration_seconds_count"] {
        expected.push(format!("originlock_{name}"));
    }
    expected.push("originlock_reloads_total{result=\"failure\"}".to_owned());
    for series in expected {
        assert_eq!(world.metric(&series), Some(0.0), "{series}");
    }
    assert_eq!(world.metric("originlock_reload_success"), Some(1.0));
    assert_eq!(world.metric("originlock_config_generation"), Some(1.0));
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(world.metric(&format!("originlock_build_info{{version=\"{version}\"}}")), Some(1.0));
}

#[test]
fn handshakes_and_requests_are_counted_where_they_belong() {
    let world = world();
    let edge = world.client(ENFORCE).presenting(Shape::P256).remembering();
    for _ in 0..3 {
        edge.get().expect("it is let in");
    }
    for shape in [Shape::UnknownCa, Shape::Expired, Shape::Revoked] {
        world.client(ENFORCE).presenting(shape).get().map(|_| ()).expect_err("refused");
        world.client(OBSERVE).presenting(shape).get().expect("it is let in");
    }
    world.client(ENFORCE).get().map(|_| ()).expect_err("refused");
    world.client(OFF).get().expect("it is let in");
    for (series, count) in [
        (handshakes(ENFORCE, "enforce", "verified", false), 1.0),
        (handshakes(ENFORCE, "enforce", "verified", true), 2.0),
        (handshakes(ENFORCE, "enforce", "unknown_issuer", false), 1.0),
        (handshakes(ENFORCE, "enforce", "expired", false), 1.0),
        (handshakes(ENFORCE, "enforce", "revoked", false), 1.0),
        (handshakes(ENFORCE, "enforce", "no_certificate", false), 1.0),
        (handshakes(OBSERVE, "observe", "unknown_issuer", false), 1.0),
        (handshakes(OBSERVE, "observe", "verified", false), 0.0),
        (handshakes(OFF, "off", "no_certificate", false), 1.0),
        (format!("originlock_requests_total{{host=\"{ENFORCE}\",status_class=\"2xx\"}}"), 3.0),
        (format!("originlock_requests_total{{host=\"{OBSERVE}\",status_class=\"2xx\"}}"), 3.0),
        ("originlock_handshake_duration_seconds_count{outcome=\"admit\"}".to_owned(), 7.0),
        ("originlock_handshake_duration_seconds_count{outcome=\"refuse\"}".to_owned(), 4.0),
        ("originlock_request_duration_seconds_count".to_owned(), 7.0),
        ("originlock_connections_open".to_owned(), 0.0),
    ] {
        world.wait_for_metric(&series, count);
    }
}

#[test]
fn the_expiry_of_the_last_client_certificate_is_that_of_a_recognised_one() {
    let world = world();
    for host in [OBSERVE, ENFORCE] {
        let series = format!("originlock_client_certificate_not_after_seconds{{host=\"{host}\"}}");
        assert_eq!(world.metric(&series), None, "none was presented yet");
        let good = pki().credential(Shape::P256).fields().not_after.seconds() as f64;
        world.client(host).presenting(Shape::P256).get().expect("it is let in");
        world.next_handshake();
        assert_eq!(world.metric(&series), Some(good));
        for shape in [Shape::UnknownCa, Shape::ForgedProof, Shape::SelfSignedCa] {
            // Let in or not, a stranger's certificate neither rings nor silences the alarm.
            let _ = world.client(host).presenting(shape).get();
            world.next_handshake();
        }
        assert_eq!(world.metric(&series), Some(good));
    }
}

#[test]
fn the_expiry_of_what_the_operator_must_renew_is_exported() {
    let mut world = world();
    let ca = "originlock_ca_certificate_not_after_seconds{ca=\"ours\",subject=\"CN=origin-pull CA\"}";
    assert_eq!(world.metric(ca), Some(pki().ours.not_after().seconds() as f64));
    let crl = "originlock_crl_next_update_seconds{ca=\"ours\"}";
    assert_eq!(world.metric(crl), Some((now().seconds() + 7 * 86_400) as f64));
    let server = format!("originlock_server_certificate_not_after_seconds{{host=\"{OFF}\"}}");
    assert_eq!(world.metric(&server), Some((now().seconds() + 365 * 86_400) as f64));
    world.change_and_reload(|setup| setup.ca("ours").crl = None);
    assert_eq!(world.metric(crl), None);
}

#[test]
fn open_connections_are_counted_up_and_down() {
    let world = world();
    let first = world.client(OFF).connect().expect("it is let in");
    let second = world.client(OFF).connect().expect("it is let in");
    world.wait_for_metric("originlock_connections_open", 2.0);
    drop((first, second));
    world.wait_for_metric("originlock_connections_open", 0.0);
}

#[test]
fn hosts_beyond_the_bound_share_one_series() {
    let names: Vec<String> = (0..5).map(|number| format!("host-{number}.example.com")).collect();
    let mut builder = World::builder().tables("[limits]\nper_host_series = 2\n");
    for name in &names {
        builder = builder.host(HostSetup::new(name));
    }
    let world = builder.start();
    for name in &names {
        world.client(name).get().expect("it is let in");
    }
    world.wait_for_metric(&handshakes("_rest", "off", "no_certificate", false), 3.0);
    assert_eq!(world.metric(&handshakes(&names[0], "off", "no_certificate", false)), Some(1.0));
    assert_eq!(world.metric(&handshakes(&names[4], "off", "no_certificate", false)), None);
}

#[test]
fn the_admin_side_serves_what_is_counted() {
    let world = world();
    let url = world.server().admin_url().expect("an admin side").to_owned();
    let authority = url.trim_start_matches("http://").trim_end_matches('/');
    let mut socket = TcpStream::connect(authority).expect("the admin side");
    write!(socket, "GET /metrics HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains(&handshakes(ENFORCE, "enforce", "verified", false)));
}
