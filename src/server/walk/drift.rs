//! What a reload would change besides the one mode or bundle. It was asked for under what is in force, so that nothing else
//! may come into force with it: no half-done rotation of a CA, no file that somebody has just put into `hosts.d`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::bundle::BundleChange;
use crate::config::edit::Edited;
use crate::config::model::Config;
use crate::snapshot::Snapshot;
use crate::snapshot::build::LoadedCa;
use crate::x509::Fingerprint;

/// A configuration and what it means.
#[derive(Clone, Copy)]
pub(super) struct State<'a> {
    pub(super) config: &'a Config,
    pub(super) snapshot: &'a Snapshot,
}

/// The first difference between `before` and `after` that is not `edited` of `host`, in words.
pub(super) fn beside(edited: Option<&Edited>, host: &str, before: State<'_>, after: State<'_>) -> Option<String> {
    sources(edited, before.config, after.config).or_else(|| meaning(host, before.snapshot, after.snapshot))
}

fn sources(edited: Option<&Edited>, before: &Config, after: &Config) -> Option<String> {
    let mut known: BTreeMap<_, _> = before.sources.iter().map(|source| (&source.path, &source.text)).collect();
    if let Some(edited) = edited {
        known.insert(&edited.file.path, &edited.text);
    }
    for source in &after.sources {
        match known.remove(&source.path) {
            Some(text) if *text == source.text => {}
            Some(_) => return Some(format!("{} has changed since it was loaded", source.path.display())),
            None => return Some(format!("{} is new and not in force", source.path.display())),
        }
    }
    known.keys().next().map(|path| format!("{} is gone and still in force", path.display()))
}

/// The files say the same. What they name may not.
fn meaning(host: &str, before: &Snapshot, after: &Snapshot) -> Option<String> {
    let in_pairs = || before.all.iter().zip(&after.all);
    modes(before, after, |name| name == host).or_else(|| {
        let changed = in_pairs().find(|(old, new)| {
            let trust = old.client_auth.trust().zip(new.client_auth.trust());
            trust.is_some_and(|(old, new)| old.digest() != new.digest())
        });
        changed.map(|(old, _)| other_trust(&old.name)).or_else(|| ranges(before, after))
    })
}

/// The first difference between `before` and `after` that is not `change`, in words.
pub(super) fn beside_bundle(change: &BundleChange, before: State<'_>, after: State<'_>) -> Option<String> {
    let (old, new) = (before.snapshot, after.snapshot);
    sources(None, before.config, after.config)
        .or_else(|| modes(old, new, |_| false))
        .or_else(|| bundles(change, old, new))
        .or_else(|| pins(old, new))
        .or_else(|| ranges(old, new))
}

/// In a bundle of the changed file those certificates may come and go that the change is about, elsewhere none.
fn bundles(change: &BundleChange, before: &Snapshot, after: &Snapshot) -> Option<String> {
    before.cas.iter().zip(after.cas.values()).find_map(|((name, old), new)| {
        let certificates = |ca: &LoadedCa| -> BTreeSet<_> {
            ca.bundle.certificates().iter().map(|ca| ca.summary.fingerprint).collect()
        };
        let lists = |ca: &LoadedCa| ca.crls.iter().map(|crl| crl.fingerprint()).collect::<BTreeSet<_>>();
        let meant = |certificate: &Fingerprint| change.affected.contains(name) && change.is_about(*certificate);
        let alike = certificates(old).symmetric_difference(&certificates(new)).all(meant) && lists(old) == lists(new);
        (!alike).then(|| {
            format!(
                "the CA `{name}` is not what is in force: a certificate or a revocation list has changed in its file"
            )
        })
    })
}

fn pins(before: &Snapshot, after: &Snapshot) -> Option<String> {
    let changed = before.all.iter().zip(&after.all).find(|(old, new)| {
        let trust = old.client_auth.trust().zip(new.client_auth.trust());
        trust.is_some_and(|(old, new)| old.pins() != new.pins())
    });
    changed.map(|(old, _)| other_trust(&old.name))
}

fn other_trust(name: &str) -> String {
    format!(
        "what `{name}` trusts is not what is in force: a CA, a revocation list or a pinned certificate has changed in its \
         file"
    )
}

fn modes(before: &Snapshot, after: &Snapshot, expected: impl Fn(&str) -> bool) -> Option<String> {
    before.all.iter().zip(&after.all).find_map(|(old, new)| {
        let (name, from, to) = (&old.name, old.client_auth.mode(), new.client_auth.mode());
        let differs = from != to && !expected(name);
        differs.then(|| format!("`{name}` is in {}, and its file says {}", from.label(), to.label()))
    })
}

fn ranges(before: &Snapshot, after: &Snapshot) -> Option<String> {
    let same = Arc::ptr_eq(&before.networks, &after.networks) || before.networks == after.networks;
    (!same).then(|| "the ranges that count as Cloudflare's have changed in their file".to_owned())
}
