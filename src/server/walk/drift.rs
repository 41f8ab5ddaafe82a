//! What a reload would change besides the one mode. Readiness was judged under what is in force, so that nothing else may
//! come into force with it: no half-done rotation of a CA, no file that somebody has just put into `hosts.d`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::edit::Edited;
use crate::config::model::Config;
use crate::snapshot::Snapshot;

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
    for (old, new) in before.all.iter().zip(&after.all) {
        let (name, from, to) = (&old.name, old.client_auth.mode(), new.client_auth.mode());
        if **name != *host && from != to {
            return Some(format!("`{name}` is in {}, and its file says {}", from.label(), to.label()));
        }
        let trust = old.client_auth.trust().zip(new.client_auth.trust());
        if trust.is_some_and(|(old, new)| old.digest() != new.digest()) {
            return Some(format!(
                "what `{name}` trusts is not what is in force: a CA, a revocation list or a pinned certificate has \
                 changed in its file"
            ));
        }
    }
    let same_ranges = Arc::ptr_eq(&before.networks, &after.networks) || before.networks == after.networks;
    (!same_ranges).then(|| "the ranges that count as Cloudflare's have changed in their file".to_owned())
}
