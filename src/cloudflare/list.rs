//! The pages of a list: how many, how much and how long, whatever a broken or hostile server sends.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::error::CloudflareError;

/// More than any list has.
const MAX_PAGES: u64 = 1000;
const MAX_ITEMS: usize = 50_000;
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// One list may take as long as this many attempts that each take their whole time: ten minutes.
const ATTEMPTS: u32 = 20;

/// What has been read of one list.
pub(super) struct Pages<'a> {
    doing: &'a str,
    deadline: Instant,
    may_take: Duration,
    taken: u64,
    items: usize,
    bytes: usize,
    /// Of the pages so far, to see one come again.
    known: HashSet<u64>,
    latest: Option<u64>,
}

impl<'a> Pages<'a> {
    /// Of a list that begins now. `attempt`: what one attempt may take.
    pub(super) fn new(doing: &'a str, attempt: Duration) -> Self {
        let may_take = attempt * ATTEMPTS;
        let (deadline, known) = (Instant::now() + may_take, HashSet::new());
        Self { doing, deadline, may_take, taken: 0, items: 0, bytes: 0, known, latest: None }
    }

    /// Where the next page is.
    pub(super) fn path(&self, path: &str) -> String {
        match self.taken {
            0 => path.to_owned(),
            taken => format!("{path}{}page={}", if path.contains('?') { '&' } else { '?' }, taken + 1),
        }
    }

    /// How many pages were read.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Whether the page before comes again: who does not know pages gives the same one for ever.
    pub(super) fn is_the_same_again(&self, items: &[Value]) -> bool {
        self.latest == Some(digest(items))
    }

    /// Counts one page.
    ///
    /// # Errors
    /// No list is as large, or the page has been there already.
    pub(super) fn take(&mut self, items: &[Value], bytes: usize) -> Result<(), CloudflareError> {
        let digest = digest(items);
        (self.taken, self.latest) = (self.taken + 1, Some(digest));
        (self.items, self.bytes) = (self.items + items.len(), self.bytes.saturating_add(bytes));
        let (page, is_new) = (self.taken, self.known.insert(digest));
        match () {
            () if !is_new && !items.is_empty() => Err(self.endless(format!("page {page} repeats an earlier one"))),
            () if page >= MAX_PAGES => Err(self.endless(format!("it has {page} pages and more"))),
            () if self.items > MAX_ITEMS => Err(self.endless(format!("it has more than {MAX_ITEMS} items"))),
            () if self.bytes > MAX_BYTES => {
                Err(self.endless(format!("it is larger than {} MiB", MAX_BYTES / 1024 / 1024)))
            }
            () => Ok(()),
        }
    }

    /// What `call` comes to, if that is in time.
    ///
    /// # Errors
    /// The list takes too long.
    pub(super) async fn in_time<T>(&self, call: impl Future<Output = T>) -> Result<T, CloudflareError> {
        let late = |_| {
            let (seconds, page) = (self.may_take.as_secs_f64(), self.taken + 1);
            self.endless(format!("page {page} did not come within {seconds} s of its beginning"))
        };
        timeout_at(self.deadline, call).await.map_err(late)
    }

    fn endless(&self, why: String) -> CloudflareError {
        CloudflareError::Endless { doing: self.doing.to_owned(), why }
    }
}

fn digest(items: &[Value]) -> u64 {
    let mut hasher = DefaultHasher::new();
    items.hash(&mut hasher);
    hasher.finish()
}
