//! A real headless Chromium, driven through chromedriver in the words of WebDriver (W3C), of which a story needs few.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::PATIENCE;

/// Ends with its standard input, and so with the story, however that ends. The browser ends with the driver, since it
/// is spoken to through a pipe. The driver alone keeps the output, so that its end is seen.
const DRIVER: &str = "chromedriver --port=0 </dev/null & driver=$!; exec >&-; read -r _; kill -9 $driver; wait $driver";

/// Neither the machine's profile nor anything outside it.
const BROWSER: [&str; 12] = [
    "--headless",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
    "--window-size=1280,900",
];

/// Keys as WebDriver writes them.
pub const BACKSPACE: &str = "\u{e003}";
pub const TAB: &str = "\u{e004}";
pub const ENTER: &str = "\u{e007}";

/// One browser with a profile of its own. One at a time: several would only wait for each other.
pub struct Browser {
    driver: Driver,
    session: String,
    _profile: TempDir,
    _turn: MutexGuard<'static, ()>,
}

/// The running chromedriver.
struct Driver {
    child: Child,
    /// Closed to end it.
    input: Option<ChildStdin>,
    port: u16,
}

/// How often it is started before it is given up.
const STARTS: usize = 3;
/// As much of what it complains about as a person reads.
const MOST_COMPLAINTS_BYTES: usize = 4096;

static TURN: Mutex<()> = Mutex::new(());

impl Browser {
    /// Starts it and goes to `url`.
    pub fn at(url: &str) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let profile = tempfile::tempdir().expect("a folder");
        let driver = Driver::start();
        let folder = format!("--user-data-dir={}", profile.path().display());
        let arguments: Vec<&str> = BROWSER.into_iter().chain([folder.as_str()]).collect();
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
            "goog:chromeOptions": { "args": arguments },
        } } });
        let started = driver.ask("POST", "/session", &wanted);
        let session = format!("/session/{}", started["sessionId"].as_str().expect("a session"));
        let browser = Self { driver, session, _profile: profile, _turn: turn };
        // What the policy forbids is told to the page only, so the page keeps it for us.
        let keep = "window.violations = []; addEventListener('securitypolicyviolation', \
                    (event) => violations.push(`${event.violatedDirective} ${event.blockedURI}`));";
        browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": keep }));
        // It starts with a page of its own, whose requests are none of ours.
        browser.go("about:blank");
        browser.requests();
        browser.go(url);
        browser
    }

    pub fn go(&self, url: &str) {
        self.ask("/url", json!({ "url": url }));
    }

    /// What the body of a function comes to in the page.
    pub fn script(&self, body: &str) -> Value {
        self.ask("/execute/sync", json!({ "script": body, "args": [] }))
    }

    /// Waits until an expression is true in the page.
    pub fn wait_until(&self, expression: &str) {
        let begun = Instant::now();
        while self.script(&format!("return Boolean({expression})")) != json!(true) {
            let text = self.script("return document.body.innerText");
            let text = text.as_str().unwrap_or_default();
            assert!(begun.elapsed() < PATIENCE, "never came about: {expression}\n{text}\n{:?}", self.complaints());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the text of the elements that `selector` finds holds `text`.
    pub fn wait_for_text(&self, selector: &str, text: &str) {
        let (selector, text) = (json!(selector), json!(text));
        self.wait_until(&format!("[...document.querySelectorAll({selector})].some(e => e.innerText.includes({text}))"));
    }

    /// Waits for an element and clicks on it as a pointer does.
    pub fn click(&self, selector: &str) {
        self.wait_until(&format!("document.querySelector({})", json!(selector)));
        let found = self.ask("/element", json!({ "using": "css selector", "value": selector }));
        let id = found.as_object().and_then(|found| found.values().next()?.as_str()).expect("an element");
        self.ask(&format!("/element/{id}/click"), json!({}));
    }

    /// Presses and lets go of keys, one after the other.
    pub fn press(&self, keys: &str) {
        let strokes = keys.chars().flat_map(|key| {
            let key = key.to_string();
            [json!({ "type": "keyDown", "value": key }), json!({ "type": "keyUp", "value": key })]
        });
        let strokes: Vec<Value> = strokes.collect();
        self.ask("/actions", json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": strokes }] }));
    }

    /// Shows the page as on a screen of this width.
    pub fn set_width(&self, pixels: u32) {
        let screen = json!({ "width": pixels, "height": 800, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", screen);
    }

    /// Prefers a colour scheme: `light` or `dark`.
    pub fn set_scheme(&self, scheme: &str) {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", features);
    }

    /// What the browser's console and the page's policy complain about.
    pub fn complaints(&self) -> Vec<String> {
        let logged = self.log("browser").into_iter().map(|line| line["message"].to_string());
        let forbidden = self.script("return window.violations");
        let forbidden = forbidden.as_array().into_iter().flatten().map(Value::to_string);
        logged.chain(forbidden).collect()
    }

    /// Addresses of all requests since it was last asked.
    pub fn requests(&self) -> Vec<String> {
        let requests = self.log("performance").into_iter().filter_map(|line| {
            let event: Value = serde_json::from_str(line["message"].as_str()?).ok()?;
            let sent = event["message"]["method"] == "Network.requestWillBeSent";
            sent.then(|| event["message"]["params"]["request"]["url"].as_str().map(str::to_owned)).flatten()
        });
        requests.collect()
    }

    fn log(&self, kind: &str) -> Vec<Value> {
        self.ask("/se/log", json!({ "type": kind })).as_array().cloned().unwrap_or_default()
    }

    fn devtools(&self, command: &str, parameters: Value) {
        self.ask("/goog/cdp/execute", json!({ "cmd": command, "params": parameters }));
    }

    fn ask(&self, path: &str, body: Value) -> Value {
        self.driver.ask("POST", &format!("{}{path}", self.session), &body)
    }
}

impl Driver {
    /// A port that is free for IPv4 may be taken for IPv6, and then it ends at once.
    fn start() -> Self {
        let mut troubles = Vec::new();
        for _ in 0..STARTS {
            match Self::try_to_start() {
                Ok(driver) => return driver,
                Err(trouble) => troubles.push(trouble),
            }
        }
        panic!("chromedriver does not start; tests/run installs it\n{}", troubles.join("\n"));
    }

    fn try_to_start() -> Result<Self, String> {
        let mut child = Command::new("sh")
            .args(["-c", DRIVER])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("a shell");
        let input = child.stdin.take();
        let (output, errors) = (child.stdout.take().expect("its output"), child.stderr.take().expect("its errors"));
        let (tell, told) = mpsc::channel();
        let complaints = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&complaints);
        // Both go on reading: a driver that cannot say what it has to say stands still.
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some((_, port)) = line.split_once("started successfully on port ") {
                    let _ = tell.send(port.trim_end_matches('.').parse().expect("a port"));
                }
            }
        });
        let errors = thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() < MOST_COMPLAINTS_BYTES {
                    *kept += &format!("{line}\n");
                }
            }
        });
        let mut driver = Self { child, input, port: 0 };
        match told.recv_timeout(PATIENCE) {
            Ok(port) => driver.port = port,
            Err(silence) => {
                drop(driver.input.take());
                let status = driver.child.wait().expect("it ends");
                let _ = errors.join();
                let complaints = complaints.lock().unwrap_or_else(PoisonError::into_inner);
                return Err(format!("{silence}; {status}; {complaints}"));
            }
        }
        Ok(driver)
    }

    /// One command and its answer's value.
    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.exchange(method, path, body).expect("chromedriver answers");
        assert_eq!(status, "200", "{method} {path} {body}: {answer}");
        answer["value"].clone()
    }

    fn exchange(&self, method: &str, path: &str, body: &Value) -> std::io::Result<(String, Value)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (port, length) = (self.port, body.len());
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n")?;
        write!(stream, "Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")?;
        let mut answer = BufReader::new(stream);
        let (mut status, mut length) = (String::new(), 0);
        answer.read_line(&mut status)?;
        loop {
            let mut line = String::new();
            if answer.read_line(&mut line)? <= 2 {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut bytes = vec![0; length];
        answer.read_exact(&mut bytes)?;
        let status = status.split(' ').nth(1).unwrap_or_default().to_owned();
        Ok((status, serde_json::from_slice(&bytes)?))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // A browser that is told to end leaves nothing behind; one that does not listen ends with its driver.
        let _ = self.driver.exchange("DELETE", &self.session, &Value::Null);
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}
