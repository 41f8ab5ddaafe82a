//! Commands that are printed, completed with what the caller said: they can be pasted as they stand.

use std::ffi::OsString;
use std::fmt;
use std::sync::OnceLock;

/// Where a command begins in a text; it ends with the next such mark.
const BEGINS: &str = "`originlock ";

/// What this process was called with. Set once, by the verb.
static SAID: OnceLock<Again> = OnceLock::new();

/// What a further command has to be told again.
#[derive(Clone, Default, Debug)]
pub(super) struct Again {
    /// The hostnames.
    pub(super) hosts: Vec<String>,
    /// Which proxy, as the verbs that ask nobody else are told.
    pub(super) admin: Options,
    /// Which proxy, as the verbs of `aop` are told.
    pub(super) origin: Options,
    /// Who asks Cloudflare, and about which zone.
    pub(super) cloudflare: Options,
    /// The certificate for Cloudflare's edges.
    pub(super) leaf: Options,
    /// Where the journal is.
    pub(super) state: Options,
    /// The API, where it is another than Cloudflare's own.
    pub(super) api: Option<String>,
}

/// Options with their values, as a shell reads them.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct Options(Vec<(&'static str, Option<String>)>);

impl Options {
    /// Those that have a value.
    pub(super) fn given<const N: usize>(options: [(&'static str, Option<String>); N]) -> Self {
        Self(options.into_iter().filter(|(_, value)| value.is_some()).collect())
    }

    /// With a word that has no value.
    pub(super) fn flag(mut self, name: &'static str) -> Self {
        self.0.insert(0, (name, None));
        self
    }
}

impl fmt::Display for Options {
    /// Each behind a blank.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, value)| match value {
            Some(value) => write!(f, " {name} {}", quoted(value)),
            None => write!(f, " {name}"),
        })
    }
}

/// What the commands in all texts of this process are completed with.
pub(super) fn remember(again: Again) {
    // Whoever was first is the verb itself.
    let _ = SAID.set(again);
}

/// `text` with its commands as they can be pasted.
pub(super) fn completed(text: &str) -> String {
    SAID.get().map_or_else(|| text.to_owned(), |again| again.complete(text))
}

/// The command line of this process with `verb` in the place of its own.
pub(super) fn with_verb(verb: &str) -> String {
    replaced(std::env::args_os(), verb)
}

fn replaced(words: impl Iterator<Item = OsString>, verb: &str) -> String {
    let words = words.map(|word| word.to_string_lossy().into_owned()).enumerate();
    let words = words.map(|(at, word)| match at {
        0 => "originlock".to_owned(),
        2 => verb.to_owned(),
        _ => quoted(&word),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// `text` as one word of a shell's.
pub(super) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:=+,@".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

impl Again {
    fn complete(&self, text: &str) -> String {
        let mut parts = text.split('`');
        let mut whole = parts.next().unwrap_or_default().to_owned();
        let mut inside = true;
        for part in parts {
            whole.push('`');
            match inside && part.starts_with("originlock ") {
                true => whole += &self.command(part),
                false => whole += part,
            }
            inside = !inside;
        }
        match &self.api {
            Some(api) => whole.replace(crate::cloudflare::DEFAULT_API, api.trim_end_matches('/')),
            None => whole,
        }
    }

    fn command(&self, text: &str) -> String {
        let mut words: Vec<String> = text.split(' ').filter(|word| *word != "…").map(str::to_owned).collect();
        let verb: Vec<String> = words.iter().skip(1).take(2).cloned().collect();
        let [first, second] = [0, 1].map(|at| verb.get(at).map_or("", String::as_str));
        let options: Vec<&Options> = match (first, second) {
            ("aop", "plan" | "apply" | "rotate") => vec![&self.leaf, &self.cloudflare, &self.state, &self.origin],
            ("aop", "rollback") => vec![&self.cloudflare, &self.state, &self.origin],
            ("aop", "status") => vec![&self.cloudflare, &self.origin],
            ("status" | "ready" | "explain" | "enforce" | "observe" | "confirm" | "reload", _) => vec![&self.admin],
            _ => Vec::new(),
        };
        let is_aop = first == "aop" && !options.is_empty();
        self.name_hosts(&mut words, is_aop, second);
        let mut whole = words.join(" ");
        for (name, value) in options.into_iter().flat_map(|options| &options.0) {
            if !words.iter().any(|word| word == name) {
                whole += &Options(vec![(name, value.clone())]).to_string();
            }
        }
        whole
    }

    /// Verbs of `aop` take several, and need one where they change something.
    fn name_hosts(&self, words: &mut Vec<String>, is_aop: bool, verb: &str) {
        let known = match is_aop {
            true => &self.hosts[..],
            false => &self.hosts[..self.hosts.len().min(1)],
        };
        if known.is_empty() {
            return;
        }
        let known: Vec<_> = known.iter().map(|host| quoted(host)).collect();
        if let Some(at) = words.iter().position(|word| word == "HOST") {
            words.splice(at..=at, known);
        } else if is_aop && verb != "status" && words.get(3).is_none_or(|word| word.starts_with('-')) {
            words.splice(3..3, known);
        }
    }
}

/// The words of `text`; a command in it is one word, since a command that is broken over lines cannot be pasted.
pub(super) fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = match rest.find(BEGINS) {
            Some(at) if !rest[..at].contains(char::is_whitespace) => rest[at + 1..].find('`').map(|end| at + 1 + end),
            Some(_) | None => None,
        };
        let from = end.unwrap_or(0);
        let end = rest[from..].find(char::is_whitespace).map_or(rest.len(), |end| from + end);
        words.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again() -> Again {
        let given = |name, value: &str| Options::given([(name, Some(value.to_owned()))]);
        Again {
            hosts: vec!["shop.example.com".to_owned(), "www.example.com".to_owned()],
            admin: given("-c", "/etc/o.toml"),
            origin: given("-c", "/etc/o.toml"),
            cloudflare: given("--zone", "example.com"),
            leaf: given("--certificate", "my leaf.pem"),
            state: given("--state", "/var/lib/o"),
            api: Some("http://127.0.0.1:1/client/v4/".to_owned()),
        }
    }

    #[test]
    fn a_printed_command_repeats_what_the_caller_said() {
        for (text, completed) in [
            ("`originlock status` lists the names", "`originlock status -c /etc/o.toml` lists the names"),
            ("`originlock explain HOST` says", "`originlock explain shop.example.com -c /etc/o.toml` says"),
            (
                "first `originlock aop rotate a.example.com …`, then --replace",
                "first `originlock aop rotate a.example.com --certificate 'my leaf.pem' --zone example.com --state \
                 /var/lib/o -c /etc/o.toml`, then --replace",
            ),
            (
                "`originlock aop rollback` or `originlock pki leaf`",
                "`originlock aop rollback shop.example.com www.example.com --zone example.com --state /var/lib/o -c \
                 /etc/o.toml` or `originlock pki leaf`",
            ),
            (
                "`originlock aop status HOST --zone other.org`",
                "`originlock aop status shop.example.com www.example.com --zone other.org -c /etc/o.toml`",
            ),
            ("set `tls` in originlock `x`", "set `tls` in originlock `x`"),
            ("`curl https://api.cloudflare.com/client/v4/ips`", "`curl http://127.0.0.1:1/client/v4/ips`"),
        ] {
            assert_eq!(again().complete(text), completed);
            assert_eq!(again().complete(completed), completed, "once is enough");
        }
        assert_eq!(Again::default().complete("`originlock aop status HOST`"), "`originlock aop status HOST`");
    }

    #[test]
    fn a_command_line_is_repeated_with_another_verb() {
        let words = ["/usr/bin/originlock", "aop", "plan", "plan", "--key", "my key"].map(OsString::from);
        assert_eq!(replaced(words.into_iter(), "apply"), "originlock aop apply plan --key 'my key'");
    }

    #[test]
    fn a_command_is_one_word() {
        let text = "see  (`originlock ready a --wait 10m`), and `set it` \n so";
        let expected = ["see", "(`originlock ready a --wait 10m`),", "and", "`set", "it`", "so"];
        assert_eq!(words(text), expected);
        assert_eq!(words("`originlock broken off"), ["`originlock", "broken", "off"]);
    }

    #[test]
    fn a_word_for_the_shell_stays_one_word() {
        for (text, word) in [("/etc/a.toml", "/etc/a.toml"), ("a b", "'a b'"), ("it's $x", r"'it'\''s $x'"), ("", "''")]
        {
            assert_eq!(quoted(text), word);
        }
    }
}
