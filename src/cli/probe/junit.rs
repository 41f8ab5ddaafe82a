//! The findings as JUnit's XML, which CI systems show as tests.

use std::fmt::Write;
use std::net::SocketAddr;

use crate::hostname::Hostname;
use crate::probe::battery::{Battery, Finding, Tried};
use crate::telemetry::escape::harmless;

/// One suite, one case for each attempt: holes are failures, what is unclear is an error.
pub(super) fn rendered(host: &Hostname, address: SocketAddr, battery: &Battery) -> String {
    let count = |findings: &[Finding]| battery.tried.iter().filter(|tried| findings.contains(&tried.finding)).count();
    let (failures, errors) = (count(&[Finding::Hole, Finding::ShutOut]), count(&[Finding::Unclear]));
    let (tests, skipped) = (battery.tried.len(), count(&[Finding::Skipped]));
    let seconds: f64 = battery.tried.iter().map(|tried| tried.took.as_secs_f64()).sum();
    let name = escaped(&format!("originlock probe {host} at {address}"));
    let counts = format!(
        "tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\" time=\"{seconds:.3}\""
    );
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a string cannot fail.
    let _ = writeln!(text, "<testsuites name=\"originlock probe\" {counts}>\n  <testsuite name=\"{name}\" {counts}>");
    for tried in &battery.tried {
        text += &case(host, tried);
    }
    text + "  </testsuite>\n</testsuites>\n"
}

fn case(host: &Hostname, tried: &Tried) -> String {
    let detail = escaped(&tried.detail);
    let inside = match tried.finding {
        Finding::Holds => format!("<system-out>{detail}</system-out>"),
        Finding::Hole | Finding::ShutOut => {
            format!("<failure type=\"{}\" message=\"{detail}\"/>", tried.finding.label())
        }
        Finding::Unclear => format!("<error type=\"unclear\" message=\"{detail}\"/>"),
        Finding::Skipped => format!("<skipped message=\"{detail}\"/>"),
    };
    let (class, name) = (escaped(host.as_str()), tried.attempt.label());
    let seconds = tried.took.as_secs_f64();
    format!(
        "    <testcase classname=\"{class}\" name=\"{name}\" time=\"{seconds:.3}\">\n      {inside}\n    </testcase>\n"
    )
}

/// `text` as an attribute or content. What XML cannot hold at all (1.0, section 2.2), and what a terminal would obey,
/// becomes a replacement character.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in harmless(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push(char::REPLACEMENT_CHARACTER),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_a_server_says_ends_an_attribute() {
        assert_eq!(
            escaped("a<b> & \"c\" 'd' \u{0}\u{1b}[2J\u{ffff}\n]]>"),
            "a&lt;b&gt; &amp; &quot;c&quot; &apos;d&apos; \u{fffd}\u{fffd}[2J\u{fffd}\u{fffd}]]&gt;"
        );
    }
}
