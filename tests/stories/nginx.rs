//! In front of a real nginx, with clients that nobody here wrote.

use std::process::Command;

use super::support::{HostSetup, Nginx, Shape, World, pki};

const SHOP: &str = "shop.example.com";
/// Larger than any buffer on the way.
const FILE_BYTES: usize = 3 << 20;

fn start() -> (Nginx, World) {
    let nginx = Nginx::start(&[("www/file", &vec![b'x'; FILE_BYTES])], |address| {
        format!(
            "server {{
               listen {address}; root www;
               location /small {{ return 200 \"small\\n\"; }}
               location /upload {{ proxy_pass http://{address}/small; }}
               location /who {{ return 200 \"$http_x_client_verify $host $http_x_forwarded_for\\n\"; }}
               location /gone {{ return 204; }}
             }}"
        )
    });
    let world = World::with(HostSetup::new(SHOP).observe("ours").upstream(&format!("\"http://{}\"", nginx.address)));
    (nginx, world)
}

/// What curl prints for `path`, and the status behind it.
fn curl(world: &World, path: &str, arguments: &[&str]) -> String {
    let port = world.address().port();
    let credential = pki().credential(Shape::P256);
    world.write("client.pem", credential.chain_pem());
    world.write("client.key", credential.key_pem());
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "30", "--write-out", "%{http_code} %{size_download}"]);
    command.args(["--cacert", "tls/site-ca.pem", "--resolve", &format!("{SHOP}:{port}:127.0.0.1")]);
    command.args(["--cert", "client.pem", "--key", "client.key"]).args(arguments);
    let output = command.arg(format!("https://{SHOP}:{port}{path}")).current_dir(world.path("")).output();
    let output = output.expect("curl is installed; tests/run installs it");
    assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn curl_reaches_nginx_through_the_proxy() {
    let (_nginx, world) = start();
    let upload = "u".repeat(2 << 20);
    world.write("upload", &upload);
    for protocol in ["--http1.1", "--http2"] {
        assert_eq!(curl(&world, "/small", &[protocol]), "small\n200 6");
        assert_eq!(curl(&world, "/who", &[protocol]), format!("SUCCESS {SHOP} 127.0.0.1\n200 35"));
        assert_eq!(curl(&world, "/gone", &[protocol]), "204 0");
        assert_eq!(curl(&world, "/nothing", &[protocol, "--output", "/dev/null"]).split(' ').next(), Some("404"));
        assert_eq!(curl(&world, "/file", &[protocol, "--output", "/dev/null"]), format!("200 {FILE_BYTES}"));
        assert_eq!(curl(&world, "/upload", &[protocol, "--data-binary", "@upload"]), "small\n200 6");
        let head = curl(&world, "/file", &[protocol, "--head"]);
        assert!(head.contains(&format!("ength: {FILE_BYTES}\r\n")) && head.ends_with("200 0"), "{head}");
        let ranged = curl(&world, "/file", &[protocol, "--range", "5-9"]);
        assert_eq!(ranged, "xxxxx206 5");
    }
}

#[test]
fn every_request_of_a_load_is_answered_well() {
    let (_nginx, world) = start();
    let address = world.address();
    for (path, arguments) in [
        ("/small", &["-n", "2000", "-c", "20", "-m", "10"][..]),
        ("/small", &["-n", "2000", "-c", "20", "--h1"]),
        ("/file", &["-n", "40", "-c", "4", "-m", "5"]),
        ("/file", &["-n", "40", "-c", "4", "--h1"]),
    ] {
        let mut command = Command::new("h2load");
        command
            .args(arguments)
            .arg(format!("--connect-to={address}"))
            .arg(format!("https://{SHOP}:{}{path}", address.port()));
        let output = command.output().expect("h2load is installed; tests/run installs it");
        let text = String::from_utf8_lossy(&output.stdout);
        let count = arguments[1];
        let good = format!(
            "requests: {count} total, {count} started, {count} done, {count} succeeded, 0 failed, 0 errored, 0 timeout"
        );
        assert!(
            text.contains(&good) && text.contains(&format!("status codes: {count} 2xx, 0 3xx, 0 4xx, 0 5xx")),
            "{arguments:?}: {text}"
        );
    }
}
