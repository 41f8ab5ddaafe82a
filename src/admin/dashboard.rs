//! The page for a person: which host demands what, and who came. It works without its script, which only refreshes it.

use std::fmt::{self, Display, Write};

use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse};

use super::{AdminState, HostView};
use crate::clock::Timestamp;
use crate::evidence::handshake::HandshakeOutcome;
use crate::policy::verdict::Decision;

/// Handshakes on the page.
const SHOWN: usize = 50;
/// From here on an expiry is shown as a warning.
const WARN_DAYS: i64 = 30;
const SECONDS_PER_DAY: i64 = 86_400;

/// `GET /`
pub(super) async fn page(State(state): State<AdminState>) -> Html<String> {
    let mut html = String::with_capacity(16 * 1024);
    // Writing to a string cannot fail.
    let _ = write_page(&mut html, &state);
    Html(html)
}

/// `GET /dashboard.css`
pub(super) async fn css() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("static/dashboard.css"))
}

/// `GET /dashboard.js`
pub(super) async fn js() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("static/dashboard.js"))
}

fn write_page(html: &mut String, state: &AdminState) -> fmt::Result {
    html.write_str(concat!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">",
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">",
        "<title>originlock</title><link rel=\"icon\" href=\"data:,\">",
        "<link rel=\"stylesheet\" href=\"/dashboard.css\"><script defer src=\"/dashboard.js\"></script></head><body>",
        "<header><h1>originlock</h1><nav><a href=\"/metrics\">metrics</a> <a href=\"/api/v1/hosts\">hosts</a> ",
        "<a href=\"/api/v1/handshakes\">handshakes</a></nav></header><main>",
    ))?;
    let now = state.clock.now();
    write_hosts(html, &(state.hosts)(), now)?;
    write_handshakes(html, state)?;
    write!(html, "<footer>{} UTC</footer></main></body></html>", Escaped(clock_time(&now.to_string())))
}

fn write_hosts(html: &mut String, hosts: &[HostView], now: Timestamp) -> fmt::Result {
    html.write_str("<section><h2>Hosts</h2>")?;
    if hosts.is_empty() {
        return html.write_str("<p class=\"empty\">No host is configured yet.</p></section>");
    }
    html.write_str(
        "<div class=\"scroll\"><table><thead><tr><th>Names<th>Mode<th>Trust<th>CA expires<th>Certificate expires\
         <th>Upstream</tr></thead><tbody>",
    )?;
    for host in hosts {
        let trust = match (host.ca.as_slice(), host.pins) {
            ([], 0) => "–".to_owned(),
            (ca, 0) => ca.join(", "),
            ([], pins) => format!("{pins} pinned"),
            (ca, pins) => format!("{}, {pins} pinned", ca.join(", ")),
        };
        writeln!(
            html,
            "<tr><td>{}<td><span class=\"badge {mode}\">{mode}</span><td>{}<td>{}<td>{}<td>{}</tr>",
            Escaped(host.names.join(", ")),
            Escaped(trust),
            Expiry(host.ca_not_after, now),
            Expiry(host.certificate_not_after, now),
            Escaped(host.upstream.join(", ")),
            mode = Escaped(host.mode),
        )?;
    }
    html.write_str("</tbody></table></div></section>")
}

fn write_handshakes(html: &mut String, state: &AdminState) -> fmt::Result {
    html.write_str("<section><h2>Recent handshakes</h2>")?;
    let recorded = state.recent.latest(SHOWN);
    if recorded.is_empty() {
        return html.write_str(
            "<p class=\"empty\">Nobody has connected yet. Each handshake appears here as it ends.</p></section>",
        );
    }
    html.write_str(
        "<div class=\"scroll\"><table><thead><tr><th>Time<th>Host<th>Mode<th>Outcome<th>Reason<th>Client certificate\
         <th>From<th>TLS</tr></thead><tbody>",
    )?;
    for recorded in recorded {
        write_handshake(html, &recorded.outcome)?;
    }
    html.write_str("</tbody></table></div></section>")
}

fn write_handshake(html: &mut String, outcome: &HandshakeOutcome) -> fmt::Result {
    let (word, class) = match (outcome.decision, outcome.would_refuse) {
        (Decision::Admit, false) => ("admitted", "good"),
        (Decision::Admit, true) => ("would refuse", "warn"),
        (Decision::Refuse, _) => ("refused", "bad"),
    };
    let at = outcome.at.to_string();
    let asked = outcome.server_name.as_ref().map(|name| name.as_str());
    let certificate = outcome.certificate.as_deref();
    let tls = [outcome.tls_version, outcome.alpn, outcome.resumed.then_some("resumed")];
    writeln!(
        html,
        "<tr><td title=\"{}\">{}<td>{}<td>{}<td class=\"{class}\">{word}\
         <td title=\"{}\">{}<td title=\"{}\">{}<td>{}<td>{}</tr>",
        Escaped(&at),
        Escaped(clock_time(&at)),
        Escaped(asked.or(outcome.host.as_deref()).unwrap_or("–")),
        Escaped(outcome.mode.map_or("–", |mode| mode.label())),
        Escaped(outcome.detail.as_deref().unwrap_or(outcome.reason.explanation())),
        Escaped(outcome.reason.label()),
        Escaped(certificate.map(|certificate| certificate.fingerprint.to_string()).unwrap_or_default()),
        Escaped(certificate.map_or("–", |certificate| certificate.subject())),
        Escaped(outcome.peer),
        Escaped(tls.into_iter().flatten().collect::<Vec<_>>().join(" ")),
    )
}

/// The time of day of an RFC 3339 text, in whole seconds.
fn clock_time(rfc3339: &str) -> &str {
    rfc3339.get(11..19).unwrap_or(rfc3339)
}

/// A date, how far away it is, and a colour when it is near.
struct Expiry(Option<Timestamp>, Timestamp);

impl Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(Some(end), now) = self else { return f.write_str("–") };
        let date = end.to_string();
        let date = date.get(..10).unwrap_or(&date);
        let days = (end.seconds().saturating_sub(now.seconds())).div_euclid(SECONDS_PER_DAY);
        match days {
            ..0 => write!(f, "<span class=\"bad\">{date} (expired)</span>"),
            0..WARN_DAYS => write!(f, "<span class=\"warn\">{date} (in {days} days)</span>"),
            _ => f.write_str(date),
        }
    }
}

/// Text that stays text inside an element or a quoted attribute.
struct Escaped<T>(T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.to_string().chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
