//! Handshakes as they end, as server-sent events (HTML Standard, section 9.2).

use std::convert::Infallible;
use std::fmt::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::extract::rejection::QueryRejection;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body::Frame;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::App;
use super::handshakes::{HandshakeView, HandshakesQuery, Wanted, network_of};
use super::problem::Problem;
use super::rights::{self, Peer, Right};
use crate::snapshot::admin::AdminAccess;

/// How often is looked for news. Nobody who records a handshake has to wake anybody for it.
const TICK: Duration = Duration::from_millis(200);
/// Handshakes told at once: two hundred a second, more than a page can show and a person can read.
const MAX_PER_TICK: usize = 40;
/// How a client is to behave that loses us: the comment has the head sent at once.
const OPENING: &str = "retry: 2000\n: handshakes as they end\n\n";
const KEEP_ALIVE: &str = ": still here\n\n";

/// `GET /api/v1/handshakes/stream`: from now on, or from what `Last-Event-ID` or `after` names.
pub(super) async fn stream(
    State(state): State<App>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    query: Result<axum::extract::Query<HandshakesQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let mut wanted = super::api::understood(query, &state)?;
    let place = state
        .streams
        .clone()
        .try_acquire_owned()
        .map_err(|_| Problem::overloaded(format!("{} pages already watch the handshakes", state.bounds.streams)))?;
    let resumed = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let last = state.recent.last_sequence();
    let after: Option<u64> = resumed.or(wanted.after);
    wanted.after = None;
    // A number that is not yet given out is one of an earlier process: all that is here is news.
    let seen = after.map_or(last, |after| if after > last { 0 } else { after });
    let (sender, receiver) = mpsc::channel(1);
    let draining = state.draining.clone();
    let access = (state.access)();
    let feed = Feed { state, peer, headers, access, wanted, seen, catching_up: after.is_some() };
    tokio::spawn(feed.run(sender, draining, place));
    Ok(([(header::CONTENT_TYPE, "text/event-stream")], Body::new(Events(receiver))).into_response())
}

/// What one client is told.
struct Feed {
    state: App,
    peer: Peer,
    /// With the token, if there was one.
    headers: HeaderMap,
    /// Under which the client was last found to have the right.
    access: Arc<AdminAccess>,
    wanted: Wanted,
    /// The last handshake that was looked at.
    seen: u64,
    /// What is kept is told whole, once, to a client that says where it stood.
    catching_up: bool,
}

impl Feed {
    async fn run(mut self, to: mpsc::Sender<Bytes>, mut draining: watch::Receiver<bool>, _place: OwnedSemaphorePermit) {
        let mut tick = interval(TICK);
        // A client that reads slowly is told less often, not faster afterwards.
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut text = OPENING.to_owned();
        let mut spoken = Instant::now();
        loop {
            if !text.is_empty() {
                spoken = Instant::now();
                tokio::select! {
                    sent = to.send(Bytes::from(std::mem::take(&mut text))) => if sent.is_err() { return },
                    () = super::drained(&mut draining) => return,
                }
            }
            tokio::select! {
                _ = tick.tick() => {}
                () = to.closed() => return,
                () = super::drained(&mut draining) => return,
            }
            if !self.still_may() {
                return;
            }
            self.tell_news(&mut text);
            if text.is_empty() && spoken.elapsed() >= self.state.bounds.keep_alive {
                text.push_str(KEEP_ALIVE);
            }
        }
    }

    /// A right that a reload took away ends what it had begun.
    fn still_may(&mut self) -> bool {
        let access = (self.state.access)();
        if Arc::ptr_eq(&access, &self.access) {
            return true;
        }
        let now = self.state.clock.now();
        let may = rights::admit(Right::Read, &self.peer, &self.headers, &access, now).is_ok();
        self.access = access;
        may
    }

    /// The newest of the news, and before them how many there was no room for.
    fn tell_news(&mut self, text: &mut String) {
        if self.state.recent.last_sequence() == self.seen {
            return;
        }
        let news = self.state.recent.snapshot(self.seen);
        let (Some(first), Some(last)) = (news.first(), news.last()) else { return };
        let gone = first.sequence - self.seen - 1;
        self.seen = last.sequence;
        let view = &*self.state.view;
        let wanted: Vec<_> = news
            .iter()
            .map(|recorded| (recorded, network_of(recorded, view)))
            .filter(|(recorded, network)| self.wanted.takes(recorded, *network))
            .collect();
        let most = if std::mem::take(&mut self.catching_up) { wanted.len() } else { MAX_PER_TICK };
        let cut = wanted.len().saturating_sub(most);
        let skipped = gone + cut as u64;
        // Writing to a string cannot fail, nor can JSON fail to say what a handshake holds.
        if skipped > 0 {
            let _ = write!(text, "event: skipped\ndata: {{\"skipped\":{skipped}}}\n\n");
        }
        for (recorded, network) in &wanted[cut..] {
            let json = serde_json::to_string(&HandshakeView::of(recorded, *network)).unwrap_or_default();
            let _ = write!(text, "event: handshake\nid: {}\ndata: {json}\n\n", recorded.sequence);
        }
    }
}

/// The answer's body: what the feed hands over, one piece at a time.
struct Events(mpsc::Receiver<Bytes>);

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|text| text.map(|text| Ok(Frame::data(text))))
    }
}
