//! The proxy as curl sees it: nobody here wrote curl, and it verifies the server's certificate.

use std::process::{Command, Output};

use crate::support::{HostSetup, Shape, World, pki};

const SHOP: &str = "shop.example.com";

/// Runs curl against `/`, with the certificate of `shape`.
fn curl(world: &World, shape: Option<Shape>, arguments: &[&str]) -> Output {
    let port = world.address().port();
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "30", "--write-out", "\n%{http_code} %{http_version}"]);
    command.args(["--cacert", "tls/site-ca.pem", "--resolve", &format!("{SHOP}:{port}:127.0.0.1")]);
    if let Some(shape) = shape {
        let credential = pki().credential(shape);
        world.write("client.pem", credential.chain_pem());
        world.write("client.key", credential.key_pem());
        command.args(["--cert", "client.pem", "--key", "client.key"]);
    }
    command.args(arguments).arg(format!("https://{SHOP}:{port}/")).current_dir(world.path(""));
    command.output().expect("curl is installed; tests/run installs it")
}

#[test]
fn curl_is_served_over_both_protocols_and_versions() {
    let world = World::with(HostSetup::new(SHOP).enforce("ours"));
    for (arguments, protocol) in [
        (&["--http1.1"][..], "1.1"),
        (&["--http2"], "2"),
        (&["--http1.1", "--tlsv1.2", "--tls-max", "1.2"], "1.1"),
        (&["--http2", "--tlsv1.2", "--tls-max", "1.2"], "2"),
        (&["--http2", "--tlsv1.3"], "2"),
    ] {
        for shape in [Shape::P256, Shape::P384, Shape::Rsa2048, Shape::Ed25519, Shape::ViaIntermediate] {
            let trusted = shape != Shape::ViaIntermediate;
            let output = curl(&world, Some(shape), arguments);
            let text = String::from_utf8_lossy(&output.stdout);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.success(), trusted, "{arguments:?} {shape:?}: {errors}");
            if trusted {
                assert!(text.ends_with(&format!("\n200 {protocol}")), "{arguments:?} {shape:?}: {text}");
                assert!(text.contains("\r\nx-client-verify: SUCCESS\r\n"), "{arguments:?} {shape:?}: {text}");
            }
        }
    }
}

#[test]
fn curl_names_the_alert_that_refused_it() {
    let world = World::with(HostSetup::new(SHOP).enforce("ours"));
    for (shape, alert) in [
        (None, "certificate required"),
        (Some(Shape::UnknownCa), "unknown ca"),
        (Some(Shape::Expired), "certificate expired"),
        (Some(Shape::SelfSignedCa), "unsupported certificate"),
    ] {
        for protocol in ["--http1.1", "--http2"] {
            let output = curl(&world, shape, &[protocol, "--tlsv1.3"]);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success(), "{shape:?}");
            assert!(errors.contains(alert), "{shape:?} {protocol}: {errors}");
        }
    }
}

#[test]
fn curl_without_a_certificate_is_let_in_where_it_is_only_observed() {
    let world = World::with(HostSetup::new(SHOP).observe("ours"));
    for (shape, verify) in [
        (None, "NONE"),
        (Some(Shape::P256), "SUCCESS"),
        (Some(Shape::UnknownCa), "FAILED:unknown_issuer"),
        (Some(Shape::Version1), "FAILED:unsupported_version"),
        (Some(Shape::SelfSignedCa), "FAILED:ca_as_leaf"),
    ] {
        for protocol in ["--http1.1", "--http2"] {
            let output = curl(&world, shape, &[protocol]);
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(text.contains(&format!("\r\nx-client-verify: {verify}\r\n")), "{shape:?} {protocol}: {text}");
        }
    }
}
