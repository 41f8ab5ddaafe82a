//! One host's mode changed in the operator's own text: nothing else of it moves.
//!
//! The loaded configuration knows which bytes the mode is written in, so those bytes are replaced and no others. Writing
//! the file anew from its parsed form would not do: `toml_edit`, too, turns CRLF into LF and drops a byte order mark.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::diff;
use crate::config::model::{Config, Host};
use crate::config::problem::{Place, SourceFile};
use crate::config::reader::quotable;
use crate::hostname::HostPattern;
use crate::policy::client_auth::Mode;

/// Quotation marks that TOML puts around a text, the longer ones first.
const QUOTES: [&str; 4] = ["\"\"\"", "'''", "\"", "'"];

/// A configuration file with another mode in it, not yet written.
#[derive(Clone, Debug)]
pub struct Edited {
    /// The file as it was loaded.
    pub file: Arc<SourceFile>,
    /// Its new text.
    pub text: String,
    /// From the loaded text to the new one: unified, three lines of context. Empty if nothing changes.
    pub diff: String,
    /// Where the mode stands, from 1.
    pub line: usize,
}

/// Why a mode cannot be changed in the text.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// There is nothing to judge by.
    #[error("{}:{line}: `{host}` names neither a CA nor pins, so `{}` has nothing to judge by", path.display(), mode.label())]
    NoTrust {
        path: PathBuf,
        line: usize,
        host: String,
        mode: Mode,
        /// What to write.
        remedy: String,
    },
    /// The change would not be the one that is wanted.
    #[error("{}:{line}: the mode of `{host}` cannot be changed without changing more; change it by hand", path.display())]
    NotAlone { path: PathBuf, line: usize, host: String },
}

impl Config {
    /// The host that has `name` among its names, as they are configured.
    pub fn host(&self, name: &str) -> Option<&Host> {
        let name = HostPattern::parse(name).ok()?;
        let mut hosts = self.hosts.iter().map(|host| &host.value);
        hosts.find(|host| host.names.iter().any(|known| known.value == name))
    }
}

/// The file that says that `host` is in `mode`, where `config` is what it belongs to.
pub fn set_mode(config: &Config, host: &Host, mode: Mode) -> Result<Edited, EditError> {
    let place = &host.client_auth.mode.place;
    let name = || host.names.first().map(|name| name.value.to_string()).unwrap_or_default();
    let (path, line) = (&place.file.path, place.line_and_column().0);
    let has_trust = host.client_auth.ca.is_some() || !host.client_auth.pins.is_empty();
    if mode != Mode::Off && !has_trust {
        return Err(EditError::NoTrust { path: path.clone(), line, host: name(), mode, remedy: remedy(config, mode) });
    }
    let text = replaced(place, mode);
    if !is_alone(&place.file.text, &text, &host.names[0].value, mode) {
        return Err(EditError::NotAlone { path: path.clone(), line, host: name() });
    }
    Ok(Edited { file: Arc::clone(&place.file), diff: diff::unified(place, &text), text, line })
}

/// What to write in the host, with a CA that there is.
fn remedy(config: &Config, mode: Mode) -> String {
    let ca = config.cas.keys().next().map_or("NAME".to_owned(), |name| quotable(name));
    format!("write client_auth = {{ mode = \"{}\", ca = \"{ca}\" }}", mode.label())
}

/// The text with another word at `place`, in the quotation marks that are there.
fn replaced(place: &Place, mode: Mode) -> String {
    let Range { start, end } = place.span;
    let (before, written, after) = (&place.file.text[..start], &place.file.text[start..end], &place.file.text[end..]);
    let quote = QUOTES.iter().find(|quote| written.starts_with(**quote)).unwrap_or(&"\"");
    format!("{before}{quote}{}{quote}{after}", mode.label())
}

/// Whether the new text means what the old one did but for the mode of the host whose first name is `name`.
fn is_alone(old: &str, new: &str, name: &HostPattern, mode: Mode) -> bool {
    let (Ok(mut old), Ok(new)) = (old.parse::<toml::Table>(), new.parse::<toml::Table>()) else { return false };
    let hosts = old.get_mut("host").and_then(toml::Value::as_array_mut);
    let host = hosts.and_then(|hosts| hosts.iter_mut().find(|host| first_name(host).as_ref() == Some(name)));
    let Some(written) = host.and_then(|host| host.get_mut("client_auth")?.get_mut("mode")) else { return false };
    *written = mode.label().into();
    old == new
}

fn first_name(host: &toml::Value) -> Option<HostPattern> {
    let names = host.get("names")?;
    let first = names.as_array().map_or(Some(names), |names| names.first())?;
    HostPattern::parse(first.as_str()?).ok()
}

#[cfg(test)]
mod tests;
