//! In front of a real nginx, with clients that nobody here wrote.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use super::support::world::wait_until;
use super::support::{HostSetup, Shape, World, pki};
use tempfile::TempDir;

const SHOP: &str = "shop.example.com";
/// Larger than any buffer on the way.
const FILE_BYTES: usize = 3 << 20;

/// A running nginx; it ends with the story.
struct Nginx {
    process: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Nginx {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let address = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
        let root = folder.path().join("www");
        std::fs::create_dir(&root).expect("a folder");
        std::fs::write(root.join("file"), vec![b'x'; FILE_BYTES]).expect("a file");
        // One process as the user that it is started by: the folder is nobody else's.
        let config = format!(
            "daemon off; master_process off; pid nginx.pid; error_log stderr crit; worker_rlimit_nofile 4096;
             events {{ worker_connections 2048; }}
             http {{
               access_log off; client_max_body_size 0; keepalive_requests 100000;
               client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
               server {{
                 listen {address}; root www;
                 location /small {{ return 200 \"small\\n\"; }}
                 location /upload {{ proxy_pass http://{address}/small; }}
                 location /who {{ return 200 \"$http_x_client_verify $host $http_x_forwarded_for\\n\"; }}
                 location /gone {{ return 204; }}
               }}
             }}"
        );
        std::fs::write(folder.path().join("nginx.conf"), config).expect("a file");
        let mut command = Command::new("nginx");
        command.arg("-p").arg(folder.path()).args(["-c", "nginx.conf", "-e", "stderr"]).stdin(Stdio::null());
        let process = command.spawn().expect("nginx is installed; tests/run installs it");
        let nginx = Self { process, address, _folder: folder };
        wait_until("nginx listens", || TcpStream::connect(nginx.address).is_ok());
        nginx
    }

    fn world(&self) -> World {
        World::with(HostSetup::new(SHOP).observe("ours").upstream(&format!("\"http://{}\"", self.address)))
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It is ended, or has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
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
    let nginx = Nginx::start();
    let world = nginx.world();
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
    let nginx = Nginx::start();
    let world = nginx.world();
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
