//! The proxy as `openssl s_client` sees it.

use std::io::Write;
use std::process::{Command, Stdio};

use originlock::policy::verdict::Reason;

use crate::support::{HostSetup, Shape, Version, World, pki};

const SHOP: &str = "shop.example.com";

/// All that s_client says about one connection with one request.
fn s_client(world: &World, shape: Option<Shape>, arguments: &[&str]) -> String {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-ign_eof", "-connect", &world.address().to_string()]);
    if let Some(shape) = shape {
        let credential = pki().credential(shape);
        world.write("client.pem", credential.chain_pem());
        world.write("client.key", credential.key_pem());
        command.args(["-cert", "client.pem", "-key", "client.key"]);
    }
    command.args(arguments).current_dir(world.path("")).stdin(Stdio::piped());
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl is installed; tests/run installs it");
    let mut request = child.stdin.take().expect("a pipe");
    // A refused client may be gone before it reads this.
    let _ = write!(request, "GET / HTTP/1.1\r\nHost: {SHOP}\r\nConnection: close\r\n\r\n");
    drop(request);
    let output = child.wait_with_output().expect("it ends");
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn flag(version: Version) -> &'static str {
    match version {
        Version::Tls12 => "-tls1_2",
        Version::Tls13 => "-tls1_3",
    }
}

#[test]
fn openssl_names_the_alert_of_every_refusal() {
    let world = World::builder()
        .ca("ours", &pki().bundle())
        .crl("ours", &pki().crl())
        .host(HostSetup::new(SHOP).enforce("ours"))
        .start();
    for version in Version::BOTH {
        for (shape, alert) in [
            (None, "alert certificate required"),
            (Some(Shape::UnknownCa), "alert unknown ca"),
            (Some(Shape::SameNameCa), "alert bad certificate"),
            (Some(Shape::Expired), "alert certificate expired"),
            (Some(Shape::NotYetValid), "alert certificate expired"),
            (Some(Shape::Revoked), "alert certificate revoked"),
            (Some(Shape::ServerAuthOnly), "alert unsupported certificate"),
            (Some(Shape::SelfSignedCa), "alert unsupported certificate"),
            (Some(Shape::Version1), "alert unsupported certificate"),
        ] {
            let text = s_client(&world, shape, &["-servername", SHOP, flag(version)]);
            assert!(text.contains(alert), "{shape:?} {version:?}: {text}");
            assert!(!text.contains("HTTP/1.1 200 OK"), "{shape:?} {version:?}: {text}");
        }
    }
}

#[test]
fn openssl_proves_a_key_that_is_too_short_and_is_told_apart() {
    // OpenSSL signs with a key that rustls does not even load, once its own security level allows it.
    let weak = ["-cipher", "DEFAULT@SECLEVEL=0", "-servername", SHOP];
    let (certificate, key) = pki().weak_rsa();
    let mut world = World::with(HostSetup::new(SHOP).observe("ours"));
    world.write("weak.pem", certificate);
    world.write("weak.key", key);
    let arguments = [&weak[..], &["-cert", "weak.pem", "-key", "weak.key"]].concat();
    for version in Version::BOTH {
        let text = s_client(&world, None, &[&arguments[..], &[flag(version)]].concat());
        assert!(text.contains("x-client-verify: FAILED:weak_key"), "{version:?}: {text}");
        assert_eq!(world.next_handshake().reason, Reason::WeakKey);
    }
    world.change_and_reload(|setup| setup.host(SHOP).mode = "enforce".into());
    for version in Version::BOTH {
        let text = s_client(&world, None, &[&arguments[..], &[flag(version)]].concat());
        assert!(text.contains("alert certificate unknown"), "{version:?}: {text}");
    }
}

#[test]
fn openssl_resumes_its_session_with_the_same_host_and_not_with_another() {
    let world = World::builder()
        .host(HostSetup::new(SHOP).enforce("ours"))
        .host(HostSetup::new("blog.example.com").enforce("ours"))
        .start();
    for version in Version::BOTH {
        let shop = ["-servername", SHOP, flag(version)];
        let first = s_client(&world, Some(Shape::P256), &[&shop[..], &["-sess_out", "session"]].concat());
        assert!(first.contains("New, TLSv1"), "{version:?}: {first}");
        let again = s_client(&world, Some(Shape::P256), &[&shop[..], &["-sess_in", "session"]].concat());
        assert!(again.contains("Reused, TLSv1"), "{version:?}: {again}");
        assert!(again.contains("x-client-verify: SUCCESS"), "{version:?}: {again}");
        let blog = ["-servername", "blog.example.com", flag(version), "-sess_in", "session"];
        let other = s_client(&world, Some(Shape::P256), &blog);
        assert!(other.contains("New, TLSv1"), "{version:?}: {other}");
        // The request names the other host, which is not the one that was shaken hands with.
        assert!(other.contains("HTTP/1.1 421"), "{version:?}: {other}");
        let resumed: Vec<bool> = (0..3).map(|_| world.next_handshake().resumed).collect();
        assert_eq!(resumed, [false, true, false], "{version:?}");
    }
}

#[test]
fn openssl_reconnects_five_times_with_one_session() {
    let world = World::with(HostSetup::new(SHOP).enforce("ours"));
    let text = s_client(&world, Some(Shape::P256), &["-servername", SHOP, "-tls1_2", "-reconnect"]);
    assert_eq!(text.matches("Reused, TLSv1.2").count(), 5, "{text}");
    let resumed = (0..6).filter(|_| world.next_handshake().resumed).count();
    assert_eq!(resumed, 5);
}

#[test]
fn openssl_without_a_known_name_or_version_is_refused() {
    let world = World::with(HostSetup::new(SHOP));
    for (arguments, alert, reason) in [
        (&["-servername", "nobody.example"][..], "unrecognized name", Reason::SniUnknown),
        (&["-noservername"], "unrecognized name", Reason::SniMissing),
        (
            &["-servername", SHOP, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"],
            // Without the signature_algorithms of TLS 1.2 rustls looks no further.
            "alert handshake failure",
            Reason::ProtocolError,
        ),
    ] {
        let text = s_client(&world, None, arguments);
        assert!(text.contains(alert), "{arguments:?}: {text}");
        assert_eq!(world.next_handshake().reason, reason, "{arguments:?}");
    }
    for name in ["SHOP.EXAMPLE.COM", "shop.example.com."] {
        let text = s_client(&world, None, &["-servername", name]);
        assert!(text.contains("HTTP/1.1 200 OK"), "{name}: {text}");
    }
}

#[test]
fn openssl_agrees_on_the_post_quantum_group_only_where_both_have_it() {
    let world = World::with(HostSetup::new(SHOP));
    // X25519 is offered alone, as a client without ML-KEM does; the server takes it.
    let text = s_client(&world, None, &["-servername", SHOP, "-groups", "X25519"]);
    assert!(text.contains("HTTP/1.1 200 OK"), "{text}");
    assert_eq!(world.next_handshake().group, Some("X25519"));
    world.client(SHOP).get().expect("it is let in");
    assert_eq!(world.next_handshake().group, Some("X25519MLKEM768"));
}
