//! HTTP/2 frame by frame (RFC 9113), for what no well-behaved client would send.

use std::io;

use super::raw::Raw;
use super::{Shape, World};

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;
pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection with ALPN `h2`.
pub struct Frames {
    pub raw: Raw,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// What became of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    Status(u16),
    Reset(u32),
    GoAway(u32),
    Closed,
}

impl Outcome {
    /// Refused in one of the ways that the protocol allows.
    pub fn is_refusal(self) -> bool {
        matches!(self, Self::Status(400..=499) | Self::Reset(_) | Self::GoAway(_) | Self::Closed)
    }
}

impl Frames {
    /// A client with our certificate that has exchanged settings. It wants no dynamic table.
    pub fn verified(world: &World, name: &str) -> Self {
        Self::begin(world, name, true, &[0, 1, 0, 0, 0, 0])
    }

    pub fn stranger(world: &World, name: &str) -> Self {
        Self::begin(world, name, false, &[0, 1, 0, 0, 0, 0])
    }

    /// With these settings.
    pub fn begin(world: &World, name: &str, verified: bool, settings: &[u8]) -> Self {
        let client = world.client(name).alpn(&["h2"]);
        let client = if verified { client.presenting(Shape::P256) } else { client };
        let mut frames = Self { raw: Raw::open(world, name, client.config()) };
        frames.raw.send(PREFACE);
        frames.send(SETTINGS, 0, 0, settings);
        frames.send(SETTINGS, ACK, 0, &[]);
        frames
    }

    pub fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.raw.send(frame(kind, flags, stream, payload));
    }

    /// HEADERS with these fields, as they are.
    pub fn headers(&mut self, stream: u32, flags: u8, fields: &[(&str, &str)]) {
        self.send(HEADERS, flags | END_HEADERS, stream, &block(fields));
    }

    /// The next frame; an error if the proxy closes.
    pub fn next(&mut self) -> io::Result<Frame> {
        let header = self.raw.exactly(9)?;
        let length = usize::from(header[0]) << 16 | usize::from(header[1]) << 8 | usize::from(header[2]);
        let stream = u32::from_be_bytes([header[5] & 0x7f, header[6], header[7], header[8]]);
        Ok(Frame { kind: header[3], flags: header[4], stream, payload: self.raw.exactly(length)? })
    }

    /// Reads until it is known what became of `stream`.
    pub fn outcome(&mut self, stream: u32) -> Outcome {
        loop {
            let Ok(frame) = self.next() else { return Outcome::Closed };
            let code = |at: usize| frame.payload.get(at..at + 4).map_or(0, number);
            match frame.kind {
                HEADERS if frame.stream == stream => return Outcome::Status(status(&frame.payload)),
                RST_STREAM if frame.stream == stream => return Outcome::Reset(code(0)),
                GOAWAY if code(4) != 0 => return Outcome::GoAway(code(4)),
                _ => {}
            }
        }
    }

    /// Reads until `stream` has ended well; its content.
    pub fn body(&mut self, stream: u32) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let frame = self.next().expect("an open connection");
            assert!(frame.kind != RST_STREAM && frame.kind != GOAWAY, "{frame:?}");
            if frame.stream != stream {
                continue;
            }
            if frame.kind == DATA {
                body.extend_from_slice(&frame.payload);
            }
            if frame.flags & END_STREAM != 0 && matches!(frame.kind, DATA | HEADERS) {
                return body;
            }
        }
    }

    /// A whole `GET`.
    pub fn get(&mut self, stream: u32, authority: &str, path: &str) -> Outcome {
        self.headers(stream, END_STREAM, &get(authority, path));
        self.outcome(stream)
    }
}

/// The pseudo-header fields of a `GET`.
pub fn get<'a>(authority: &'a str, path: &'a str) -> [(&'a str, &'a str); 4] {
    [(":method", "GET"), (":scheme", "https"), (":authority", authority), (":path", path)]
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame").to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// Literal fields without indexing and without Huffman (RFC 7541, section 6.2.2).
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        string(&mut block, name.as_bytes());
        string(&mut block, value.as_bytes());
    }
    block
}

fn string(out: &mut Vec<u8>, text: &[u8]) {
    if text.len() < 127 {
        out.push(text.len() as u8);
    } else {
        out.push(127);
        let mut rest = text.len() - 127;
        while rest >= 128 {
            out.push((rest % 128) as u8 | 128);
            rest /= 128;
        }
        out.push(rest as u8);
    }
    out.extend_from_slice(text);
}

/// Four bytes in the order of the network.
pub fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// The status that an answer's block begins with, behind size updates of the dynamic table.
fn status(block: &[u8]) -> u16 {
    let block = &block[block.iter().take_while(|byte| **byte & 0xe0 == 0x20).count()..];
    match block[0] {
        indexed @ 0x88..=0x8e => [200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)],
        // `:status` by its index, with a literal value.
        0x08 | 0x18 | 0x48 if block[1] & 0x80 == 0 => {
            std::str::from_utf8(&block[2..5]).ok().and_then(|digits| digits.parse().ok()).expect("a status")
        }
        0x08 | 0x18 | 0x48 => huffman_digits(&block[2..]),
        other => panic!("an answer begins with {other:#x}"),
    }
}

/// Three digits in the Huffman code of HPACK: 0 to 2 have five bits, the others six.
fn huffman_digits(bytes: &[u8]) -> u16 {
    let mut bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| u16::from(byte >> bit & 1)));
    let mut number = 0;
    let mut bit = || bits.next().expect("three digits");
    for _ in 0..3 {
        let five = (0..5).fold(0, |code, _| code << 1 | bit());
        let digit = if five < 3 { five } else { (five << 1 | bit()) - 0b011001 + 3 };
        number = number * 10 + digit;
    }
    number
}
