//! A reload takes everything or nothing.

use crate::support::certificates::good;
use crate::support::{HostSetup, Shape, World, pki};

use originlock::pki::LeafOptions;

const SHOP: &str = "shop.example.com";

fn world() -> World {
    World::builder().crl("ours", &pki().empty_crl()).host(HostSetup::new(SHOP).enforce("ours")).start()
}

/// The old policy is in force: our certificate is let in, another CA's is not.
fn expect_old_policy(world: &World, broken: &str) {
    let (_, answer) = world.client(SHOP).presenting(Shape::P256).get().expect("the good client is let in");
    assert_eq!(answer.backend_saw("x-client-verify"), Some("SUCCESS"), "{broken}");
    world.client(SHOP).presenting(Shape::UnknownCa).expect_refused("unknown_ca");
}

/// The line of the configuration that holds `text`, counted from 1.
fn line_of(world: &World, text: &str) -> usize {
    let config = std::fs::read_to_string(world.path("originlock.toml")).expect("the configuration");
    config.lines().position(|line| line.contains(text)).expect("the line is there") + 1
}

#[test]
fn a_broken_file_keeps_the_old_policy_and_says_which_line_names_it() {
    let mut world = world();
    // A file, what it is broken with, what the line that names it holds, and what is said.
    let key_of_another = pki().server_certificate(&[SHOP.to_owned()]).key_pem;
    let key_of_another = String::from_utf8(key_of_another.expose().to_vec()).expect("PEM");
    let cases: [(&str, &str, &str, &str); 8] = [
        ("ca/ours.pem", "", "bundle = ", "no certificate found"),
        ("ca/ours.pem", "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n", "bundle = ", "ours.pem"),
        ("ca/ours.pem", &key_of_another, "bundle = ", "private key"),
        ("ca/ours.crl", "", "crl = ", "no certificate revocation list found"),
        ("tls/shop.example.com.pem", "nonsense", "certificate = ", "no certificate found"),
        ("tls/shop.example.com.key", "nonsense", "certificate = ", "no private key found"),
        ("tls/shop.example.com.key", &key_of_another, "certificate = ", "does not belong to the certificate"),
        ("originlock.toml", "workers = 2\n[[host]\n", "", "not TOML"),
    ];
    for (number, (file, broken, named, said)) in cases.into_iter().enumerate() {
        let what = format!("{file} as {broken:?}");
        let whole = std::fs::read(world.path(file)).expect("a file");
        let line = if named.is_empty() { 2 } else { line_of(&world, named) };
        world.write(file, broken);
        let error = world.reload().expect_err(&what);
        assert!(error.contains(said), "{what}: {error}");
        assert!(error.contains(&format!("originlock.toml:{line}")), "{what}: line {line} in {error}");
        assert!(!error.contains("BEGIN PRIVATE KEY"), "{what}: {error}");
        expect_old_policy(&world, &what);
        assert_eq!(world.metric("originlock_reload_success"), Some(0.0), "{what}");
        assert_eq!(world.metric("originlock_config_generation"), Some((number + 1) as f64), "{what}");
        assert_eq!(world.metric("originlock_reloads_total{result=\"failure\"}"), Some((number + 1) as f64), "{what}");
        world.write(file, whole);
        world.reload().expect("the whole file is taken again");
        assert_eq!(world.metric("originlock_reload_success"), Some(1.0), "{what}");
        assert_eq!(world.metric("originlock_config_generation"), Some((number + 2) as f64), "{what}");
    }
    world.change_and_reload(|setup| setup.ca("ours").bundle = pki().other.certificate_pem().into());
    world.client(SHOP).presenting(Shape::UnknownCa).get().expect("the new policy is in force");
}

#[test]
fn one_broken_host_keeps_the_old_policy_of_all_hosts() {
    let mut world = world();
    world.change(|setup| {
        setup.host(SHOP).mode = "observe".into();
        setup.hosts.push(HostSetup::new("blog.example.com").enforce("nobody"));
    });
    let error = world.reload().expect_err("the CA is not defined");
    assert!(error.contains("no CA is called `nobody`"), "{error}");
    expect_old_policy(&world, "an undefined CA");
}

#[test]
fn a_missing_file_keeps_the_old_policy() {
    let world = world();
    std::fs::remove_file(world.path("ca/ours.pem")).expect("the file is there");
    let error = world.reload().expect_err("the bundle is missing");
    assert!(error.contains("ours.pem: cannot be read"), "{error}");
    expect_old_policy(&world, "a missing bundle");
    std::fs::remove_file(world.path("originlock.toml")).expect("the file is there");
    world.reload().expect_err("the configuration is missing");
    expect_old_policy(&world, "a missing configuration");
}

#[test]
fn a_changed_bundle_file_is_in_force_for_the_next_handshake() {
    let world = world();
    world.client(SHOP).presenting(Shape::UnknownCa).get().map(|_| ()).expect_err("refused before");
    world.write("ca/ours.pem", pki().other.certificate_pem());
    world.client(SHOP).presenting(Shape::UnknownCa).get().map(|_| ()).expect_err("a file alone changes nothing");
    world.reload().expect("it is taken");
    world.client(SHOP).presenting(Shape::UnknownCa).get().expect("let in after");
    world.client(SHOP).presenting(Shape::P256).get().map(|_| ()).expect_err("refused after");
}

#[test]
fn a_renewed_server_certificate_is_presented_after_the_reload() {
    let world = world();
    let edge = world.client(SHOP).presenting(Shape::P256);
    let renewed = pki().site.issue(&LeafOptions::server(&[SHOP], good())).expect("a certificate");
    world.write("tls/shop.example.com.pem", &renewed.certificate_pem);
    world.write("tls/shop.example.com.key", renewed.key_pem.expose());
    let presented = |client: &crate::support::Client| {
        client.get().expect("it is let in").0.server_certificate().as_ref() == renewed.certificate_der.as_slice()
    };
    assert!(!presented(&edge));
    world.reload().expect("it is taken");
    assert!(presented(&edge));
}

#[test]
fn hosts_come_and_go_with_a_reload() {
    const BLOG: &str = "blog.example.com";
    let mut world = world();
    let requests = "originlock_requests_total{host=\"blog.example.com\",status_class=\"2xx\"}";
    world.client(BLOG).expect_refused("unrecognized_name");
    assert_eq!(world.metric(requests), None);
    world.change_and_reload(|setup| setup.hosts.push(HostSetup::new(BLOG)));
    assert_eq!(world.metric(requests), Some(0.0));
    world.client(BLOG).get().expect("it is configured");
    world.wait_for_metric(requests, 1.0);
    world.change_and_reload(|setup| setup.hosts.retain(|host| host.names[0] != BLOG));
    world.client(BLOG).expect_refused("unrecognized_name");
    assert_eq!(world.metric(requests), None);
    world.client(SHOP).presenting(Shape::P256).get().expect("the other host stays");
}
