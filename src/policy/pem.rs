//! Certificates in a text that somebody wrote: PEM (RFC 7468) with whatever stands around it.

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};

/// Why a text holds no certificates to work with.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
    #[error("there is no certificate in it; PEM is expected, with `-----BEGIN CERTIFICATE-----`")]
    Empty,
    /// It has no business here, and may have to be replaced now.
    #[error("there is a private key in it")]
    PrivateKey,
    #[error("the PEM is broken")]
    Broken(#[source] pem::Error),
    /// It can be read, but not be told apart into blocks.
    #[error("it is not clear where each certificate begins and ends")]
    Unclear,
}

/// A text whose certificates can be taken out and added, all else of it staying byte for byte.
#[derive(Debug)]
pub struct PemText<'a> {
    text: &'a [u8],
    /// From each `-----BEGIN` to the end of its `-----END` line, in the order of the text.
    blocks: Vec<(Range<usize>, CertificateDer<'static>)>,
}

impl<'a> PemText<'a> {
    /// # Errors
    /// As of [`certificates`], and where that finds other ones than stand between the marks.
    pub fn read(text: &'a [u8]) -> Result<Self, PemError> {
        let (known, spans) = (certificates(text)?, blocks(text));
        let same = |(span, der): (&Range<usize>, &CertificateDer<'_>)| {
            CertificateDer::from_pem_slice(&text[span.clone()]).is_ok_and(|found| found == *der)
        };
        match spans.len() == known.len() && spans.iter().zip(&known).all(same) {
            true => Ok(Self { text, blocks: spans.into_iter().zip(known).collect() }),
            false => Err(PemError::Unclear),
        }
    }

    /// The certificates, in the order of the text.
    pub fn certificates(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.blocks.iter().map(|(_, der)| der)
    }

    /// The text without the certificates that `keep` does not pick, and with `added` at its end.
    ///
    /// # Errors
    /// It would hold no certificate, or other ones than are meant.
    pub fn edited(
        &self,
        keep: impl Fn(&CertificateDer<'_>) -> bool,
        added: &[CertificateDer<'static>],
    ) -> Result<Vec<u8>, PemError> {
        let (mut text, mut at) = (Vec::with_capacity(self.text.len()), 0);
        for (span, _) in self.blocks.iter().filter(|(_, der)| !keep(der)) {
            text.extend_from_slice(&self.text[at..span.start]);
            at = span.end;
        }
        text.extend_from_slice(&self.text[at..]);
        let newline = if self.text.windows(2).any(|pair| pair == b"\r\n") { "\r\n" } else { "\n" };
        if !added.is_empty() && !text.is_empty() && !text.ends_with(b"\n") {
            text.extend_from_slice(newline.as_bytes());
        }
        added.iter().for_each(|der| text.extend_from_slice(block(der, newline).as_bytes()));
        let meant = self.certificates().filter(|der| keep(der)).chain(added);
        match certificates(&text)?.iter().eq(meant) {
            true => Ok(text),
            false => Err(PemError::Unclear),
        }
    }
}

/// All certificates of `text`, in its order; at least one.
///
/// # Errors
/// There is none, one that is broken off, or a private key.
pub fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    // Encrypted ones, too, which are no section that is known here.
    if text.windows(KEY_MARK.len()).any(|window| window == KEY_MARK) {
        return Err(PemError::PrivateKey);
    }
    let certificates: Vec<_> =
        CertificateDer::pem_slice_iter(text).collect::<Result<_, _>>().map_err(PemError::Broken)?;
    match certificates.is_empty() {
        true => Err(PemError::Empty),
        false => Ok(certificates),
    }
}

fn blocks(text: &[u8]) -> Vec<Range<usize>> {
    let (mut blocks, mut begun, mut at) = (Vec::new(), None, 0);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(BEGIN) {
            begun = line.starts_with(BEGIN_CERTIFICATE).then_some(at);
        } else if line.starts_with(END_CERTIFICATE)
            && let Some(start) = begun.take()
        {
            blocks.push(start..at + line.len());
        }
        at += line.len();
    }
    blocks
}

/// RFC 7468, section 5.1.
fn block(der: &CertificateDer<'_>, newline: &str) -> String {
    let base64 = STANDARD.encode(der);
    let mut text = format!("-----BEGIN CERTIFICATE-----{newline}");
    for line in base64.as_bytes().chunks(LINE_CHARS) {
        text.extend([&String::from_utf8_lossy(line), newline]);
    }
    text + "-----END CERTIFICATE-----" + newline
}

const BEGIN: &[u8] = b"-----BEGIN ";
const BEGIN_CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";
const END_CERTIFICATE: &[u8] = b"-----END CERTIFICATE-----";
/// How the first line of every private key ends.
const KEY_MARK: &[u8] = b"PRIVATE KEY-----";
/// RFC 7468, section 2.
const LINE_CHARS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: &str = "-----BEGIN CERTIFICATE-----\nMAMCAQc=\n-----END CERTIFICATE-----\n";

    #[test]
    fn certificates_come_in_the_order_of_the_text_and_nothing_else_does() {
        let other = BLOCK.replace("MAMCAQc=", "MAMCAQg=");
        let text = format!("# the old one\r\n{BLOCK}subject=CN=new\n{other}");
        let read = certificates(text.as_bytes()).expect("two certificates");
        assert_eq!(read.iter().map(|der| der[4]).collect::<Vec<_>>(), [7, 8]);
    }

    #[test]
    fn what_holds_no_certificates_is_told_apart() {
        let key = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAMCAQc=\n-----END ENCRYPTED PRIVATE KEY-----\n";
        for (text, expected) in [
            (String::new(), "Err(Empty)"),
            ("MAMCAQc=".to_owned(), "Err(Empty)"),
            (format!("{BLOCK}{key}"), "Err(PrivateKey)"),
            (BLOCK.replace("-----END CERTIFICATE-----", ""), "Err(Broken("),
            (BLOCK.replace("MAMC", "!!!!"), "Err(Broken("),
        ] {
            let read = format!("{:?}", certificates(text.as_bytes()));
            assert!(read.starts_with(expected), "{text:?}: {read}");
        }
    }

    fn der(last: u8) -> CertificateDer<'static> {
        vec![0x30, 3, 2, 1, last].into()
    }

    #[test]
    fn all_but_the_blocks_that_are_meant_stays_byte_for_byte() {
        let other = BLOCK.replace("MAMCAQc=", "MAMCAQg=");
        for newline in ["\n", "\r\n"] {
            let lines = |text: &str| text.replace('\n', newline).into_bytes();
            let text = lines(&format!("\u{feff}# the old one\n{BLOCK}# the \tnew one \n{other}# the end"));
            let read = PemText::read(&text).expect("two certificates");
            assert_eq!(read.edited(|_| true, &[]).expect("nothing changes"), text);
            let without = read.edited(|known| *known != der(7), &[]).expect("one is left");
            assert_eq!(without, lines(&format!("\u{feff}# the old one\n# the \tnew one \n{other}# the end")));
            let with = read.edited(|_| true, &[der(9)]).expect("a third one");
            let third = BLOCK.replace("MAMCAQc=", "MAMCAQk=");
            assert_eq!(with, [text.clone(), lines(&format!("\n{third}"))].concat());
            let swapped = read.edited(|known| *known == der(8), &[der(9)]).expect("another one");
            assert_eq!(certificates(&swapped).expect("certificates"), [der(8), der(9)]);
            assert!(matches!(read.edited(|_| false, &[]), Err(PemError::Empty)));
        }
    }

    #[test]
    fn bytes_that_are_no_text_stay_too_and_what_is_unclear_is_left_alone() {
        let text = [b"# caf\xe9\n".as_slice(), BLOCK.as_bytes()].concat();
        let read = PemText::read(&text).expect("a certificate");
        assert!(read.edited(|_| true, &[der(9)]).expect("a second one").starts_with(&text));
        // A block in a block is read as one; lines that end in CR alone are lines to the parser.
        let nested =
            "-----BEGIN CERTIFICATE-----\nMAMC\n-----BEGIN CERTIFICATE-----\nAQc=\n-----END CERTIFICATE-----\n";
        for unclear in [nested.to_owned(), BLOCK.replace('\n', "\r")] {
            certificates(unclear.as_bytes()).expect("it can be read");
            assert!(matches!(PemText::read(unclear.as_bytes()), Err(PemError::Unclear)), "{unclear:?}");
        }
    }
}
