//! A real nginx.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::world::wait_until;

/// A running nginx; it ends with the story.
pub struct Nginx {
    process: Child,
    pub address: SocketAddr,
    _folder: TempDir,
}

impl Nginx {
    /// Starts one that listens at an address of its own. `http` says what stands in `http { … }`; `files` are beside it.
    pub fn start(files: &[(&str, &[u8])], http: impl FnOnce(SocketAddr) -> String) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let address = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
        for (name, bytes) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, bytes).expect("a file");
        }
        // One process as the user that it is started by: the folder is nobody else's.
        let config = format!(
            "daemon off; master_process off; pid nginx.pid; error_log stderr emerg; worker_rlimit_nofile 4096;
             events {{ worker_connections 2048; }}
             http {{
               access_log off; client_max_body_size 0; keepalive_requests 100000;
               client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
               {}
             }}",
            http(address)
        );
        std::fs::write(folder.path().join("nginx.conf"), config).expect("a file");
        let mut command = Command::new("nginx");
        command.arg("-p").arg(folder.path()).args(["-c", "nginx.conf", "-e", "stderr"]).stdin(Stdio::null());
        let process = command.spawn().expect("nginx is installed; tests/run installs it");
        let nginx = Self { process, address, _folder: folder };
        wait_until("nginx listens", || TcpStream::connect(nginx.address).is_ok());
        nginx
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It is ended, or has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
