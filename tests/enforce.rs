//! `originlock enforce` with a proxy that may not write its own configuration, as it should be: the built program, twice.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use originlock::clock::Clock;
use originlock::pki::files::write_pair;
use originlock::pki::{Ca, CaOptions, KeyType, LeafOptions, Validity};

/// A user that owns nothing.
const NOBODY: u32 = 65534;
const HOST: &str = "client_auth = { mode = \"observe\", ca = \"ours\" } # why";

/// A proxy of another user, or of this one with a folder that it may not write. Killed in the end.
struct Proxy {
    folder: tempfile::TempDir,
    child: Child,
    is_root: bool,
}

impl Proxy {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        let validity = Validity::days(Clock::System.now(), 30);
        let options = CaOptions { common_name: "ours".into(), key_type: KeyType::default(), validity };
        let (ca, issued) = Ca::create(&options).expect("a CA");
        write_pair(&path.join("ca.pem"), &path.join("ca.key"), &issued).expect("files");
        let (_, other) = Ca::create(&options).expect("a CA");
        write_pair(&path.join("other-ca.pem"), &path.join("other-ca.key"), &other).expect("files");
        let site = ca.issue(&LeafOptions::server(&["shop.example.com"], validity)).expect("a leaf");
        write_pair(&path.join("site.pem"), &path.join("site.key"), &site).expect("files");
        fs::create_dir(path.join("run")).expect("a folder");
        let config = format!(
            "[[listener]]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"unix:{}\"\n[ca.ours]\nbundle = [\"ca.pem\"]\n\
             [[host]]\nnames = [\"shop.example.com\"]\ncertificate = {{ chain = \"site.pem\", key = \"site.key\" }}\n\
             {HOST}\nupstream = \"http://127.0.0.1:1\"\n",
            path.join("run/admin.sock").display()
        );
        fs::write(path.join("originlock.toml"), config).expect("a file");
        let mut command = Command::new("setpriv");
        let id = NOBODY.to_string();
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups", env!("CARGO_BIN_EXE_originlock")]);
        let is_root = fs::metadata(path).expect("a folder").uid() == 0;
        match is_root {
            true => ["run", "site.key"]
                .iter()
                .for_each(|name| chown(path.join(name), Some(NOBODY), Some(NOBODY)).expect("root may")),
            false => command = Command::new(env!("CARGO_BIN_EXE_originlock")),
        }
        fs::set_permissions(path, Permissions::from_mode(0o555)).expect("one's own folder");
        command.args(["run", "-c"]).arg(path.join("originlock.toml")).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the program runs");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        assert!(lines.any(|line| line.is_ok_and(|line| line.contains("admin side"))), "it never came up");
        // What it says later has to go somewhere.
        std::thread::spawn(move || lines.count());
        Self { folder, child, is_root }
    }

    fn originlock(&self, line: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_originlock"));
        command.args(line.split(' ')).arg("-c").arg(self.config());
        command.output().expect("the program runs")
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("originlock.toml")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.config()).expect("the configuration")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // So that it can be removed.
        let _ = fs::set_permissions(self.folder.path(), Permissions::from_mode(0o755));
    }
}

#[test]
fn what_the_proxy_may_not_write_the_command_writes_or_prints() {
    let proxy = Proxy::start();
    let before = proxy.text();
    let not_ready = proxy.originlock("enforce shop.example.com");
    assert_eq!((not_ready.status.code(), proxy.text()), (Some(3), before.clone()), "{not_ready:?}");

    // Nobody could take it back.
    let waiting = proxy.originlock("enforce shop.example.com --force --confirm-within 10m");
    let said = String::from_utf8_lossy(&waiting.stderr);
    assert!(waiting.status.code() == Some(1) && said.contains("is not writable here"), "{waiting:?}");
    assert_eq!(proxy.text(), before);

    let enforced = proxy.originlock("enforce shop.example.com --force");
    let said = String::from_utf8_lossy(&enforced.stdout);
    if !proxy.is_root {
        assert_eq!((enforced.status.code(), proxy.text()), (Some(1), before));
        assert!(said.contains(&format!("-{HOST}\n+{}\n", HOST.replace("observe", "enforce"))), "{enforced:?}");
        return;
    }
    assert!(enforced.status.success() && said.contains("observe → enforce"), "{enforced:?}");
    assert!(said.contains("shop.example.com without a certificate: refused with certificate_required"), "{said}");
    assert_eq!(proxy.text(), before.replace(HOST, &HOST.replace("observe", "enforce")));

    let broken = proxy.folder.path().join("ca.pem");
    let pem = fs::read(&broken).expect("the CA");
    fs::write(&broken, "nonsense").expect("root may");
    let refused = proxy.originlock("observe shop.example.com");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(78) && said.contains("no certificate found"), "{refused:?}");
    assert!(proxy.text().contains("enforce"), "the old text is back");
    fs::write(&broken, &pem).expect("root may");

    let observed = proxy.originlock("observe shop.example.com");
    assert!(observed.status.success(), "{observed:?}");
    assert_eq!(proxy.text(), before);

    // A CA that is replaced and not loaded would come into force with the mode, judged by nobody.
    fs::copy(proxy.folder.path().join("other-ca.pem"), &broken).expect("root may");
    let refused = proxy.originlock("enforce shop.example.com --force");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(1) && said.contains("trusts is not what is in force"), "{refused:?}");
    assert_eq!(proxy.text(), before);
    let status = proxy.originlock("status");
    let said = String::from_utf8_lossy(&status.stdout);
    assert!(said.contains("shop.example.com  observe"), "{said}");

    fs::write(&broken, &pem).expect("root may");

    // Whoever owns the folder could have root write elsewhere.
    chown(proxy.folder.path(), Some(NOBODY), None).expect("root may");
    fs::set_permissions(proxy.config(), Permissions::from_mode(0o444)).expect("root may");
    let refused = proxy.originlock("enforce shop.example.com --force");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(1) && said.contains("belongs to user 65534"), "{refused:?}");
    assert_eq!(proxy.text(), before);
}
