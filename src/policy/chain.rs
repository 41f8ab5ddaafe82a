//! A chain against a CA bundle: webpki's path building, with its errors told in our closed set of reasons.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{
    EndEntityCert, ExpirationPolicy, KeyUsage, RevocationCheckDepth, RevocationOptions, RevocationOptionsBuilder,
    UnknownStatusPolicy, VerifiedPath,
};

use super::bundle::{CaBundle, CaCertificate, Vouches};
use super::crl::Crl;
use super::verdict::Reason;
use crate::clock::Timestamp;
use crate::x509::{CertificateFields, CertificateSummary};

/// What a good chain ends in.
pub(super) struct Anchored {
    /// The CA's subject.
    pub(super) ca: Arc<str>,
    /// When the first of the certificates used, of the CA and of the revocation lists ends.
    pub(super) valid_until: Timestamp,
}

/// Builds and checks a path from the first certificate of `chain` to the bundle (RFC 5280, section 6).
pub(super) fn verify(
    bundle: &CaBundle,
    crls: &[Arc<Crl>],
    chain: &[CertificateDer<'_>],
    now: Timestamp,
) -> Result<Anchored, Reason> {
    let mut lists: Vec<_> = crls.iter().map(|crl| crl.list()).collect();
    let first = verify_with(bundle, crls, &lists, chain, now);
    if first.is_ok() || !share_an_issuer(&lists) {
        return first.map_err(reason);
    }
    // webpki takes the first list of an issuer's name. Where a CA was re-issued with another key there are two, and
    // only one of them is signed by the key in question; with the other one no path is found, so each may come first.
    for _ in 1..lists.len() {
        lists.rotate_left(1);
        match verify_with(bundle, crls, &lists, chain, now) {
            Ok(anchored) => return Ok(anchored),
            Err(webpki::Error::CertRevoked) => return Err(Reason::Revoked),
            Err(_) => {}
        }
    }
    first.map_err(reason)
}

fn share_an_issuer(lists: &[&webpki::CertRevocationList<'_>]) -> bool {
    lists.iter().enumerate().any(|(at, list)| lists[..at].iter().any(|other| other.issuer() == list.issuer()))
}

fn verify_with(
    bundle: &CaBundle,
    crls: &[Arc<Crl>],
    lists: &[&webpki::CertRevocationList<'_>],
    chain: &[CertificateDer<'_>],
    now: Timestamp,
) -> Result<Anchored, webpki::Error> {
    let (leaf, intermediates) = chain.split_first().ok_or(webpki::Error::BadDer)?;
    let leaf = EndEntityCert::try_from(leaf)?;
    // Asked of every path that is found, so that a CA whose time is over does not stand before one that vouches.
    let ca_vouches = |path: &VerifiedPath<'_>| examine(bundle, path, now).map(drop);
    let path = leaf.verify_for_usage(
        aws_lc_rs::default_provider().signature_verification_algorithms.all,
        bundle.anchors(),
        intermediates,
        unix_time(now),
        KeyUsage::client_auth(),
        revocation(lists),
        Some(&ca_vouches),
    )?;
    let (ca, between) = examine(bundle, &path, now)?;
    let ends = between.iter().chain(ca.summary.fields.as_ref()).map(|fields| fields.not_after);
    let issuers: Vec<_> = path.intermediate_certificates().map(|certificate| certificate.issuer()).collect();
    let consulted = |crl: &&Arc<Crl>| {
        let issuer = crl.list().issuer();
        issuer == path.end_entity().issuer() || issuers.contains(&issuer)
    };
    let valid_until = ends.chain(crls.iter().filter(consulted).map(|crl| crl.next_update())).min().unwrap_or(now);
    Ok(Anchored { ca: Arc::clone(&ca.subject), valid_until })
}

/// What webpki does not look at: the CA's own dates and path length. Returns the CA and what lies below it.
fn examine<'a>(
    bundle: &'a CaBundle,
    path: &VerifiedPath<'_>,
    now: Timestamp,
) -> Result<(&'a CaCertificate, Vec<CertificateFields>), webpki::Error> {
    let between = intermediates_of(path).ok_or(webpki::Error::BadDer)?;
    // RFC 5280, section 4.2.1.9: a CA that names itself anew does not count.
    let length = between.iter().filter(|fields| !fields.self_issued).count();
    let (ca, vouches) = bundle.behind(path.anchor(), now, length).ok_or(webpki::Error::UnknownIssuer)?;
    let time = unix_time(now);
    match vouches {
        Vouches::Expired => Err(webpki::Error::CertExpired { time, not_after: time }),
        Vouches::NotYetValid => Err(webpki::Error::CertNotValidYet { time, not_before: time }),
        Vouches::PathTooLong => Err(webpki::Error::PathLenConstraintViolated),
        Vouches::Yes => Ok((ca, between)),
    }
}

/// The whole chain is looked up. A CA without a list of its own is not held against the client: a bundle may hold
/// several CAs of which only one publishes lists.
fn revocation<'a>(lists: &'a [&'a webpki::CertRevocationList<'a>]) -> Option<RevocationOptions<'a>> {
    let builder = RevocationOptionsBuilder::new(lists).ok()?;
    let builder = builder
        .with_depth(RevocationCheckDepth::Chain)
        .with_status_policy(UnknownStatusPolicy::Allow)
        .with_expiration_policy(ExpirationPolicy::Enforce);
    Some(builder.build())
}

/// `None` if one of them cannot be read: its end would be unknown.
fn intermediates_of(path: &VerifiedPath<'_>) -> Option<Vec<CertificateFields>> {
    path.intermediate_certificates()
        .map(|certificate| CertificateSummary::read(&CertificateDer::from(certificate.der().to_vec())).fields)
        .collect()
}

fn unix_time(now: Timestamp) -> UnixTime {
    let seconds = u64::try_from(now.seconds()).unwrap_or(0);
    UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds))
}

#[allow(deprecated, reason = "webpki still declares its superseded errors, and every arm is named")]
fn reason(error: webpki::Error) -> Reason {
    use webpki::Error as E;
    match error {
        E::UnknownIssuer => Reason::UnknownIssuer,
        E::CertExpired { .. } => Reason::Expired,
        E::CertNotValidYet { .. } => Reason::NotYetValid,
        E::CertRevoked => Reason::Revoked,
        E::CrlExpired { .. } | E::UnknownRevocationStatus => Reason::CrlExpired,
        E::CaUsedAsEndEntity => Reason::CaAsLeaf,
        E::UnsupportedCertVersion => Reason::UnsupportedVersion,
        E::RequiredEkuNotFound | E::RequiredEkuNotFoundContext(_) | E::EmptyEkuExtension => Reason::WrongPurpose,
        E::EndEntityUsedAsCa => Reason::UnknownIssuer,
        E::PathLenConstraintViolated
        | E::MaximumPathDepthExceeded
        | E::MaximumPathBuildCallsExceeded
        | E::MaximumSignatureChecksExceeded => Reason::ChainTooLong,
        E::NameConstraintViolation
        | E::MalformedNameConstraint
        | E::MaximumNameConstraintComparisonsExceeded
        | E::InvalidNetworkMaskConstraint => Reason::NameConstraint,
        E::InvalidSignatureForPublicKey
        | E::InvalidCrlSignatureForPublicKey
        | E::IssuerNotCrlSigner
        | E::SignatureAlgorithmMismatch => Reason::BadSignature,
        E::UnsupportedSignatureAlgorithm
        | E::UnsupportedSignatureAlgorithmContext(_)
        | E::UnsupportedSignatureAlgorithmForPublicKey
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
        | E::UnsupportedCrlSignatureAlgorithm
        | E::UnsupportedCrlSignatureAlgorithmContext(_)
        | E::UnsupportedCrlSignatureAlgorithmForPublicKey
        | E::UnsupportedCrlSignatureAlgorithmForPublicKeyContext(_) => Reason::UnsupportedAlgorithm,
        // Broken DER, unknown critical extensions and whatever a later webpki adds: it could not be understood.
        _ => Reason::BadEncoding,
    }
}
