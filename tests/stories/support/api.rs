//! The admin side as a program asks it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use super::client::header;
use super::{PATIENCE, World};

/// Asks over plain TCP, each time over a connection of its own.
pub struct Api {
    pub address: SocketAddr,
}

/// A whole answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Api {
    pub fn of(world: &World) -> Self {
        let url = world.server().admin_url().expect("an admin side");
        let authority = url.split("://").nth(1).expect("a URL").trim_end_matches('/');
        Self { address: authority.parse().expect("an address") }
    }

    pub fn get(&self, path: &str) -> Reply {
        self.ask(&format!("GET {path}"), &[], "")
    }

    /// The JSON at `path`.
    pub fn json(&self, path: &str) -> Value {
        let reply = self.get(path);
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()
    }

    /// Sends `METHOD path` with these header lines; a body is JSON.
    pub fn ask(&self, request: &str, lines: &[&str], body: &str) -> Reply {
        let mut socket = self.open(request, lines, body);
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("an answer");
        Reply::parse(&answer)
    }

    /// Sends the request, and leaves the answer to be read.
    pub fn open(&self, request: &str, lines: &[&str], body: &str) -> TcpStream {
        let mut socket = TcpStream::connect(self.address).expect("the admin side");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        let length = body.len();
        let head = format!(
            "{request} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n{lines}\r\n{body}",
            self.address,
        );
        socket.write_all(head.as_bytes()).expect("sent");
        socket
    }
}

impl Reply {
    pub fn parse(answer: &str) -> Self {
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status: {answer:?}"));
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}
