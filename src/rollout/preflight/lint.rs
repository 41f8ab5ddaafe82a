//! The certificate itself, looked at before it goes anywhere: what Cloudflare refuses, and what origins refuse.

use std::time::Duration;

use super::Finding;
use crate::clock::Timestamp;
use crate::pki::key::{self, KeyError};
use crate::rollout::leaf::Leaf;
use crate::rollout::plan::short;
use crate::x509::{CertificateFields, KeyKind};

/// Shorter RSA keys are refused.
const MIN_RSA_BITS: usize = 2048;
/// Signatures with MD5 or SHA-1: md5WithRSA, sha1WithRSA, dsa-with-sha1, ecdsa-with-SHA1.
const BROKEN_SIGNATURES: [&str; 4] =
    ["1.2.840.113549.1.1.4", "1.2.840.113549.1.1.5", "1.2.840.10040.4.3", "1.2.840.10045.4.1"];
/// What ends sooner is hardly worth the trouble, and origins do not call it ready.
const SOON: Duration = Duration::from_hours(14 * 24);
const NEW_LEAF: &str = "`originlock pki leaf` makes one that Cloudflare takes";

/// All that is wrong or remarkable; one good finding where nothing is.
pub(super) fn lint(leaf: &Leaf, now: Timestamp) -> Vec<(&'static str, Finding)> {
    let Some(fields) = &leaf.summary.fields else {
        return vec![("certificate", Finding::fails("the certificate cannot be parsed", NEW_LEAF))];
    };
    let mut found = Vec::new();
    found.extend(shape(fields).map(|finding| ("certificate", finding)));
    found.extend(usage(fields).map(|finding| ("certificate_usage", finding)));
    found.extend(time(fields, now).map(|finding| ("certificate_time", finding)));
    found.extend(strength(fields).map(|finding| ("certificate_strength", finding)));
    found.extend(key::check(&leaf.key, &fields.spki).err().map(|error| ("certificate", of_key(&error))));
    if leaf.followed_by > 0 {
        let warning = Finding::warns(
            format!("{} more in the file; only the leaf is uploaded", certificates(leaf.followed_by)),
            "have the origin trust the CA that signed the leaf itself: Cloudflare's edges may not send what is between",
        );
        found.push(("certificate", warning));
    }
    if found.is_empty() {
        let CertificateFields { not_after, key, .. } = fields;
        let told = format!("{}, {key}, good until {not_after}", short(leaf.sha256()));
        found.push(("certificate", Finding::holds(told)));
    }
    found
}

fn certificates(count: usize) -> String {
    match count {
        1 => "one certificate stands".to_owned(),
        _ => format!("{count} certificates stand"),
    }
}

fn shape(fields: &CertificateFields) -> Option<Finding> {
    match fields {
        CertificateFields { is_ca: true, .. } => Some(Finding::fails(
            format!("{} is the certificate of a CA (CA:TRUE); Cloudflare takes leaves only (1412)", fields.subject),
            NEW_LEAF,
        )),
        CertificateFields { version: ..3, .. } => Some(Finding::fails(
            "it is an X.509 v1 certificate, as a plain `openssl x509 -req` makes; v3 with CA:FALSE is needed",
            NEW_LEAF,
        )),
        CertificateFields { has_basic_constraints: false, .. } => Some(Finding::fails(
            "it has no basic constraints; Cloudflare wants CA:FALSE to be there (1412)",
            "sign it with basicConstraints=CA:FALSE, or let `originlock pki leaf` make one",
        )),
        _ => None,
    }
}

fn usage(fields: &CertificateFields) -> Option<Finding> {
    (!fields.allows_client_auth).then(|| {
        Finding::fails(
            "its key usages do not allow client authentication: Cloudflare would take it, and origins refuse it",
            "sign it with extendedKeyUsage=clientAuth or without any, or let `originlock pki leaf` make one",
        )
    })
}

fn time(fields: &CertificateFields, now: Timestamp) -> Option<Finding> {
    let CertificateFields { not_before, not_after, .. } = fields;
    match () {
        () if *not_after <= now => Some(Finding::fails(format!("it expired on {not_after}"), NEW_LEAF)),
        () if *not_before > now => Some(Finding::fails(
            format!("it is not valid before {not_before}"),
            "wait until then, or look at this machine's clock",
        )),
        () if *not_after <= now.after(SOON) => Some(Finding::warns(
            format!("it ends soon, on {not_after}"),
            "an origin does not call a host ready whose certificate ends within 14 days; make one that lasts longer",
        )),
        () => None,
    }
}

fn strength(fields: &CertificateFields) -> Option<Finding> {
    match &fields.key {
        KeyKind::Rsa(bits) if *bits < MIN_RSA_BITS => {
            Some(Finding::fails(format!("its RSA key has {bits} bits; at least {MIN_RSA_BITS} are needed"), NEW_LEAF))
        }
        _ if BROKEN_SIGNATURES.contains(&fields.signature_oid.as_str()) => {
            Some(Finding::fails("it is signed with an algorithm that is no longer safe (SHA-1, MD5)", NEW_LEAF))
        }
        KeyKind::Rsa(_) | KeyKind::Ecdsa(256 | 384 | 521) => None,
        KeyKind::Ed25519 | KeyKind::Ecdsa(_) | KeyKind::Other(_) => Some(Finding::warns(
            format!("its key is {}; whether Cloudflare takes that is not known", fields.key),
            "if Cloudflare refuses it, make one with ECDSA on P-256, which is the default of `originlock pki leaf`",
        )),
    }
}

fn of_key(error: &KeyError) -> Finding {
    let next_step = match error {
        KeyError::Missing => "name the file with the private key with --key",
        KeyError::Encrypted => {
            "Cloudflare takes keys without a passphrase: `openssl pkey -in KEY -out NEW` writes one; keep it at mode 0600"
        }
        KeyError::Unreadable(_) => "an unencrypted key in PEM is needed: PKCS#8, PKCS#1 or SEC 1",
        KeyError::Mismatch => "give the certificate and the key that were made together",
    };
    Finding::fails(error.to_string(), next_step)
}
