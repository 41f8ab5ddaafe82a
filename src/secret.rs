//! Bytes that must not be printed.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use zeroize::Zeroizing;

/// Key material. Wiped on drop; `Debug` shows nothing of it, and there is no `Display`.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes. Every call is a place to look at in a review.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What is kept of a bearer token: enough to recognise it.
#[derive(Clone)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// Of a token as its file holds it.
    pub fn of(token: &[u8]) -> Self {
        Self(digest(&SHA256, token).as_ref().try_into().expect("SHA-256 is 32 bytes long"))
    }

    /// Whether `presented` is the token. Takes as long for one wrong token as for another of its length.
    pub fn matches(&self, presented: &[u8]) -> bool {
        verify_slices_are_equal(&self.0, &Self::of(presented).0).is_ok()
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_recognised_and_never_shown() {
        let token = TokenDigest::of(b"0123456789abcdef");
        assert!(token.matches(b"0123456789abcdef"));
        for wrong in [&b""[..], b"0123456789abcdeF", b"0123456789abcde", b"0123456789abcdef0"] {
            assert!(!token.matches(wrong));
        }
        assert_eq!(format!("{token:?} {:?}", Secret::new(b"key".to_vec())), "TokenDigest(…) Secret(…)");
    }
}
