//! Bodies as they arrive (RFC 9112, sections 6 and 7).

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;

use super::error::HeadError;
use super::framing::Framing;
use super::head::parse_trailers;
use super::limits::HeadLimits;
use super::scan::HeadScanner;
use super::trailers;

/// Chunk extensions of one body, all together: nobody uses them, and they carry no data a limit would count.
const EXTENSION_BYTES: usize = 16 * 1024;

/// Hexadecimal digits of a chunk size, leading zeros included.
const SIZE_DIGITS: u8 = 16;

/// Cuts one body out of a connection's bytes.
#[derive(Debug)]
pub struct BodyDecoder {
    state: State,
    limits: HeadLimits,
    extension_bytes: usize,
}

/// What the next bytes of a body were.
#[derive(Debug)]
pub enum Decoded {
    /// Content; shares the memory of the buffer.
    Data(Bytes),
    /// Trailers, without those that may not stand there; the body is over.
    Trailers(HeaderMap),
    /// Nothing until more has been read.
    NeedMore,
    /// The body is over.
    End,
}

/// Why a body is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("malformed or overflowing chunk size")]
    ChunkSize,
    #[error("malformed or too long chunk extensions")]
    ChunkExtension,
    #[error("a chunk line or chunk does not end in CRLF")]
    ChunkEnd,
    #[error("bad trailers")]
    Trailers(#[source] HeadError),
    #[error("the connection ended within the body")]
    Truncated,
}

#[derive(Debug)]
enum State {
    Length(u64),
    UntilClose,
    Size {
        size: u64,
        digits: u8,
    },
    /// White space is allowed before `;` only (BWS, RFC 9112, section 7.1.1).
    SizeSpace {
        size: u64,
    },
    Extension {
        size: u64,
    },
    SizeLf {
        size: u64,
    },
    Chunk(u64),
    ChunkCr,
    ChunkLf,
    Trailers(HeadScanner),
    End,
}

const NEXT_CHUNK: State = State::Size { size: 0, digits: 0 };

impl BodyDecoder {
    /// `limits` bound the trailers.
    pub fn new(framing: Framing, limits: HeadLimits) -> Self {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::End,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => NEXT_CHUNK,
            Framing::UntilClose => State::UntilClose,
        };
        Self { state, limits, extension_bytes: 0 }
    }

    /// Takes what it can from the front of `buf`; bytes behind the body stay there.
    pub fn decode(&mut self, buf: &mut BytesMut) -> Result<Decoded, BodyError> {
        loop {
            match &mut self.state {
                State::End => return Ok(Decoded::End),
                _ if buf.is_empty() => return Ok(Decoded::NeedMore),
                State::UntilClose => return Ok(Decoded::Data(buf.split().freeze())),
                State::Length(left) => {
                    let data = take(buf, left);
                    if *left == 0 {
                        self.state = State::End;
                    }
                    return Ok(Decoded::Data(data));
                }
                State::Chunk(left) => {
                    let data = take(buf, left);
                    if *left == 0 {
                        self.state = State::ChunkCr;
                    }
                    return Ok(Decoded::Data(data));
                }
                State::Trailers(scanner) => {
                    let scanner = std::mem::take(scanner);
                    return self.decode_trailers(buf, scanner);
                }
                _ => self.step(buf.get_u8())?,
            }
        }
    }

    /// Nothing of the body is left to come.
    pub fn is_end(&self) -> bool {
        matches!(self.state, State::End)
    }

    /// Whether the connection may end here, or the body is cut short.
    pub fn on_eof(&self) -> Result<(), BodyError> {
        match self.state {
            State::End | State::UntilClose => Ok(()),
            _ => Err(BodyError::Truncated),
        }
    }

    /// The bytes left, where they are known beforehand.
    pub fn remaining(&self) -> Option<u64> {
        match self.state {
            State::Length(left) => Some(left),
            State::End => Some(0),
            _ => None,
        }
    }

    /// One byte of what surrounds the chunks.
    fn step(&mut self, byte: u8) -> Result<(), BodyError> {
        self.state = match (&self.state, byte) {
            (State::Size { size, digits }, byte) if byte.is_ascii_hexdigit() => {
                if *digits == SIZE_DIGITS {
                    return Err(BodyError::ChunkSize);
                }
                // Sixteen digits fill a u64 exactly, so the shift cannot lose any.
                State::Size { size: size << 4 | u64::from(hex_value(byte)), digits: digits + 1 }
            }
            (State::Size { digits: 0, .. }, _) => return Err(BodyError::ChunkSize),
            (State::Size { size, .. }, b'\r') => State::SizeLf { size: *size },
            (State::Size { size, .. } | State::SizeSpace { size }, b';') => State::Extension { size: *size },
            (State::Size { size, .. } | State::SizeSpace { size }, b' ' | b'\t') => {
                self.extension_bytes += 1;
                State::SizeSpace { size: *size }
            }
            (State::Size { .. } | State::SizeSpace { .. }, b'\n') => return Err(BodyError::ChunkEnd),
            (State::Size { .. } | State::SizeSpace { .. }, _) => return Err(BodyError::ChunkSize),
            (State::Extension { size }, b'\r') => State::SizeLf { size: *size },
            (State::Extension { .. }, b'\n') => return Err(BodyError::ChunkEnd),
            (State::Extension { size }, byte) if byte == b'\t' || (byte >= b' ' && byte != 0x7f) => {
                self.extension_bytes += 1;
                State::Extension { size: *size }
            }
            (State::Extension { .. }, _) => return Err(BodyError::ChunkExtension),
            (State::SizeLf { size: 0 }, b'\n') => State::Trailers(HeadScanner::default()),
            (State::SizeLf { size }, b'\n') => State::Chunk(*size),
            (State::ChunkCr, b'\r') => State::ChunkLf,
            (State::ChunkLf, b'\n') => NEXT_CHUNK,
            _ => return Err(BodyError::ChunkEnd),
        };
        if self.extension_bytes > EXTENSION_BYTES { Err(BodyError::ChunkExtension) } else { Ok(()) }
    }

    fn decode_trailers(&mut self, buf: &mut BytesMut, mut scanner: HeadScanner) -> Result<Decoded, BodyError> {
        let Some(end) = scanner.find_end(buf, &self.limits).map_err(BodyError::Trailers)? else {
            self.state = State::Trailers(scanner);
            return Ok(Decoded::NeedMore);
        };
        let section = buf.split_to(end).freeze();
        if section.len() == 2 {
            self.state = State::End;
            return Ok(Decoded::End);
        }
        let mut fields = parse_trailers(&section, &self.limits).map_err(BodyError::Trailers)?;
        // Only now: a body that ended badly has no end behind which another message could begin.
        self.state = State::End;
        trailers::remove_forbidden(&mut fields);
        Ok(if fields.is_empty() { Decoded::End } else { Decoded::Trailers(fields) })
    }
}

fn take(buf: &mut BytesMut, left: &mut u64) -> Bytes {
    let length = usize::try_from(*left).unwrap_or(usize::MAX).min(buf.len());
    *left -= length as u64;
    buf.split_to(length).freeze()
}

fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}
