//! Finds where a head ends and refuses the bytes that no head may hold, in one pass.

use super::error::HeadError;
use super::limits::HeadLimits;

/// How far a head that arrives in pieces has been looked at, so that a peer sending it byte by byte costs no more
/// than one sending it whole.
#[derive(Debug, Default)]
pub struct HeadScanner {
    scanned: usize,
    line_start: usize,
    pub(super) skipped_blank_line: bool,
}

impl HeadScanner {
    /// The length of the head or trailer section at the front of `buf`, its empty line included; `None` as long as
    /// that line has not arrived.
    pub(super) fn find_end(&mut self, buf: &[u8], limits: &HeadLimits) -> Result<Option<usize>, HeadError> {
        let mut at = self.scanned;
        while let Some(&byte) = buf.get(at) {
            if !is_control(byte) {
                at += 1;
                continue;
            }
            match (byte, buf.get(at + 1)) {
                (b'\r', None) => break,
                (b'\r', Some(b'\n')) => {
                    let blank = at == self.line_start;
                    at += 2;
                    self.line_start = at;
                    if blank {
                        return if at > limits.bytes { Err(HeadError::TooLarge) } else { Ok(Some(at)) };
                    }
                }
                (b'\r', Some(_)) => return Err(HeadError::BareCr),
                (b'\n', _) => return Err(HeadError::BareLf),
                _ => return Err(HeadError::ControlByte),
            }
        }
        self.scanned = at;
        if buf.len() > limits.bytes { Err(HeadError::TooLarge) } else { Ok(None) }
    }
}

/// Tab is white space within a field value (RFC 9110, section 5.5); all other controls are refused.
fn is_control(byte: u8) -> bool {
    (byte < b' ' && byte != b'\t') || byte == 0x7f
}
