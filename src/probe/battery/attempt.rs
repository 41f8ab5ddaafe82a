//! The attempts by their names. A closed set: `docs/reference/probe.md` has them all.

/// Something that an attacker would try, or that has to work all the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Attempt {
    NoCertificate,
    OtherCa,
    RightCertificate,
}

impl Attempt {
    /// Its word in tables and reports.
    pub fn label(self) -> &'static str {
        match self {
            Self::NoCertificate => "no_certificate",
            Self::OtherCa => "other_ca",
            Self::RightCertificate => "right_certificate",
        }
    }

    /// What is tried, in a few words.
    pub fn what(self) -> &'static str {
        match self {
            Self::NoCertificate => "no certificate",
            Self::OtherCa => "a certificate of a CA that nobody trusts",
            Self::RightCertificate => "the right certificate",
        }
    }
}
