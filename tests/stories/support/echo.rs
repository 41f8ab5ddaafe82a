//! A backend that answers 200 with the head that it received, and can be told to hold an answer back.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use super::PATIENCE;

/// The backend. It lives as long as the process.
#[derive(Clone, Debug)]
pub struct Echo {
    pub address: SocketAddr,
    gate: Arc<Gate>,
}

/// Requests for `/held` wait here.
#[derive(Default, Debug)]
struct Gate {
    state: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl Echo {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let gate = Arc::new(Gate::default());
        let echo = Self { address, gate: Arc::clone(&gate) };
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let gate = Arc::clone(&gate);
                // A connection that breaks off ends its thread and nothing else.
                thread::spawn(move || drop(serve(socket, &gate)));
            }
        });
        echo
    }

    /// Waits until `count` requests for `/held` have arrived.
    pub fn wait_for_held(&self, count: usize) {
        let state = self.gate.state.lock().expect("a gate");
        let (_state, waited) =
            self.gate.changed.wait_timeout_while(state, PATIENCE, |(held, _)| *held < count).expect("a gate");
        assert!(!waited.timed_out(), "the request did not reach the backend");
    }

    /// Answers the requests for `/held`, and all later ones at once.
    pub fn release(&self) {
        self.gate.state.lock().expect("a gate").1 = true;
        self.gate.changed.notify_all();
    }
}

fn serve(socket: TcpStream, gate: &Gate) -> std::io::Result<()> {
    let mut writer = socket.try_clone()?;
    let mut reader = BufReader::new(socket);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length = length.and_then(|length| length.parse().ok()).unwrap_or(0);
        std::io::copy(&mut (&mut reader).take(length), &mut std::io::sink())?;
        if head.starts_with("GET /held ") {
            gate.hold();
        }
        write!(writer, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{head}", head.len())?;
    }
}

impl Gate {
    fn hold(&self) {
        let mut state = self.state.lock().expect("a gate");
        state.0 += 1;
        self.changed.notify_all();
        drop(self.changed.wait_while(state, |(_, open)| !*open).expect("a gate"));
    }
}
