//! Counts over sliding windows: the last hour by minutes, the last seven days by hours.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// The longest window that can be asked for.
pub const MAX_WINDOW: Duration = Duration::from_hours(7 * 24);
/// The shortest that tells anything.
pub const MIN_WINDOW: Duration = Duration::from_mins(1);
/// Up to here a window is made of minutes, beyond of hours.
const FINE_WINDOW: Duration = Duration::from_hours(1);

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
/// Buckets kept: a window that begins and ends within one touches one more than it is long. Three more leave room for
/// moments at which the clock was wrong.
const MINUTES: usize = 60 + 1 + 3;
const HOURS: usize = 7 * 24 + 1 + 3;

/// Counts by kind. Everything counts in both rings.
///
/// Nothing is forgotten because the clock says so: buckets give way to newer buckets alone, so a clock that jumps ahead
/// and back finds everything where it was. What was counted at a time that turns out to lie ahead is [settled](Self::settle).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(bound = "K: Copy + Ord + Serialize + serde::de::DeserializeOwned")]
pub struct Windows<K> {
    minutes: Ring<K, MINUTE, MINUTES>,
    hours: Ring<K, HOUR, HOURS>,
}

/// The buckets of one grain in which there is something, in ascending order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(bound = "K: Copy + Ord + Serialize + serde::de::DeserializeOwned", transparent)]
struct Ring<K, const STEP: i64, const KEPT: usize> {
    buckets: VecDeque<Bucket<K>>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Bucket<K> {
    /// Steps since the Unix epoch.
    index: i64,
    counts: Vec<(K, u64)>,
}

/// By how much longer something may count than `window` is long: until its bucket has passed.
pub fn grain(window: Duration) -> Duration {
    match window <= FINE_WINDOW {
        true => Duration::from_secs(MINUTE.unsigned_abs()),
        false => Duration::from_secs(HOUR.unsigned_abs()),
    }
}

/// One bucket as a chart shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Slice<K> {
    pub from: Timestamp,
    pub seconds: u64,
    pub counts: Vec<(K, u64)>,
}

impl<K: Copy + Ord> Windows<K> {
    /// Counts `number` more of `kind`.
    pub fn add(&mut self, at: Timestamp, kind: K, number: u64) {
        self.minutes.add(at, kind, number);
        self.hours.add(at, kind, number);
    }

    /// What was counted within `window` before `now`. A bucket counts as long as any part of it lies within, so that a
    /// failure is never forgotten early.
    pub fn sum(&self, window: Duration, now: Timestamp) -> BTreeMap<K, u64> {
        match window <= FINE_WINDOW {
            true => self.minutes.sum(window, now),
            false => self.hours.sum(window.min(MAX_WINDOW), now),
        }
    }

    /// The last hour, oldest first; minutes without anything are left out.
    pub fn last_hour(&self, now: Timestamp) -> Vec<Slice<K>> {
        self.minutes.slices(FINE_WINDOW, now)
    }

    /// The last seven days by hours, likewise.
    pub fn last_week(&self, now: Timestamp) -> Vec<Slice<K>> {
        self.hours.slices(MAX_WINDOW, now)
    }

    /// Whether nothing is left within the longest window.
    pub fn is_empty(&self, now: Timestamp) -> bool {
        self.hours.within(MAX_WINDOW, now).next().is_none()
    }

    /// Moves what lies ahead of `now` to `now`: the clock was set back, and what it called later has happened all the
    /// same. It would otherwise count until that time comes and passes.
    pub fn settle(&mut self, now: Timestamp) {
        self.minutes.settle(now);
        self.hours.settle(now);
    }

    /// Puts what was read from a file in order and within bounds.
    pub fn normalise(&mut self) {
        self.minutes.normalise();
        self.hours.normalise();
    }
}

impl<K: Copy + Ord, const STEP: i64, const KEPT: usize> Ring<K, STEP, KEPT> {
    fn add(&mut self, at: Timestamp, kind: K, number: u64) {
        self.bucket(at.seconds().div_euclid(STEP)).add(kind, number);
    }

    fn bucket(&mut self, index: i64) -> &mut Bucket<K> {
        let mut at = self.buckets.partition_point(|bucket| bucket.index < index);
        let is_there = self.buckets.get(at).is_some_and(|bucket| bucket.index == index);
        // Older than all that a full ring keeps: the clock was set back. Rather too long in the window than lost.
        let goes_to_oldest = at == 0 && self.buckets.len() >= KEPT;
        if !is_there && !goes_to_oldest {
            self.buckets.insert(at, Bucket { index, counts: Vec::new() });
            if self.buckets.len() > KEPT {
                self.buckets.pop_front();
                at -= 1;
            }
        }
        &mut self.buckets[at]
    }

    fn within(&self, window: Duration, now: Timestamp) -> impl Iterator<Item = &Bucket<K>> {
        let window = i64::try_from(window.as_secs()).unwrap_or(i64::MAX);
        let begin = now.seconds().saturating_sub(window);
        let is_past = move |bucket: &Bucket<K>| bucket.index.saturating_add(1).saturating_mul(STEP) <= begin;
        self.buckets.range(self.buckets.partition_point(is_past)..)
    }

    fn sum(&self, window: Duration, now: Timestamp) -> BTreeMap<K, u64> {
        let mut sums = BTreeMap::new();
        for (kind, number) in self.within(window, now).flat_map(|bucket| &bucket.counts) {
            let sum: &mut u64 = sums.entry(*kind).or_default();
            *sum = sum.saturating_add(*number);
        }
        sums
    }

    fn slices(&self, window: Duration, now: Timestamp) -> Vec<Slice<K>> {
        let slice = |bucket: &Bucket<K>| Slice {
            from: Timestamp::from_seconds(bucket.index.saturating_mul(STEP)),
            seconds: STEP.unsigned_abs(),
            counts: bucket.counts.clone(),
        };
        self.within(window, now).map(slice).collect()
    }

    fn settle(&mut self, now: Timestamp) {
        let present = now.seconds().div_euclid(STEP);
        // The bucket after the present one may have been begun since `now` was asked for.
        let is_ahead = |bucket: &Bucket<K>| bucket.index > present.saturating_add(1);
        while self.buckets.back().is_some_and(is_ahead) {
            let Some(ahead) = self.buckets.pop_back() else { break };
            let bucket = self.bucket(present);
            ahead.counts.into_iter().for_each(|(kind, number)| bucket.add(kind, number));
        }
    }

    fn normalise(&mut self) {
        let read = std::mem::take(&mut self.buckets);
        let mut read: Vec<_> = read.into_iter().collect();
        read.sort_unstable_by_key(|bucket| bucket.index);
        for bucket in read {
            let kept = self.bucket(bucket.index);
            bucket.counts.into_iter().for_each(|(kind, number)| kept.add(kind, number));
        }
    }
}

impl<K: Copy + Ord> Bucket<K> {
    fn add(&mut self, kind: K, number: u64) {
        match self.counts.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count = count.saturating_add(number),
            None => self.counts.push((kind, number)),
        }
    }
}

impl<K> Default for Windows<K> {
    fn default() -> Self {
        Self { minutes: Ring { buckets: VecDeque::new() }, hours: Ring { buckets: VecDeque::new() } }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: i64 = 1_800_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    /// What a list of every single count says: those of buckets of which any part lies within the window.
    fn naive(counted: &[(i64, u8, u64)], window: Duration, now: i64) -> BTreeMap<u8, u64> {
        let step = if window <= FINE_WINDOW { MINUTE } else { HOUR };
        let begin = now - i64::try_from(window.as_secs()).expect("a short window");
        let mut sums = BTreeMap::new();
        for (_, kind, number) in counted.iter().filter(|(at, ..)| (at.div_euclid(step) + 1) * step > begin) {
            *sums.entry(*kind).or_default() += number;
        }
        sums
    }

    #[test]
    fn a_week_of_every_minute_fills_the_rings_and_no_more() {
        let mut windows = Windows::default();
        for minute in 0..20 * 24 * 60 {
            windows.add(at(START + minute * MINUTE), (), 1);
        }
        let now = at(START + (20 * 24 * 60 - 1) * MINUTE);
        assert_eq!((windows.minutes.buckets.len(), windows.hours.buckets.len()), (MINUTES, HOURS));
        assert_eq!(windows.sum(FINE_WINDOW, now), [((), 61)].into());
        assert_eq!(windows.sum(MAX_WINDOW, now), [((), 7 * 24 * 60 + 60)].into());
        assert_eq!(windows.sum(MAX_WINDOW * 100, now), windows.sum(MAX_WINDOW, now), "a week is the longest");
    }

    #[test]
    fn a_clock_that_jumps_ahead_and_back_loses_nothing() {
        let mut windows = Windows::default();
        let decade = 10 * 365 * 24 * HOUR;
        for hour in 0..169 {
            windows.add(at(START + hour * HOUR), 1, 1);
        }
        let now = at(START + 168 * HOUR);
        let week = windows.sum(MAX_WINDOW, now);
        windows.add(at(START + decade), 1, 5);
        assert_eq!(windows.sum(MAX_WINDOW, at(START + decade)), [(1, 5)].into(), "to that clock the rest is long ago");
        windows.settle(now);
        assert_eq!(windows.sum(MAX_WINDOW, now), [(1, week[&1] + 5)].into(), "and now it is there again");
        assert_eq!(windows.sum(FINE_WINDOW, at(START + 169 * HOUR + HOUR)), [].into(), "what lay ahead passes as well");
    }

    #[test]
    fn a_clock_set_far_back_loses_nothing() {
        let mut windows = Windows::default();
        for hour in 0..200 {
            windows.add(at(START + hour * HOUR), (), 1);
        }
        let kept: u64 = windows.sum(MAX_WINDOW, at(START + 199 * HOUR))[&()];
        for earlier in [START - 1000 * HOUR, START - 2000 * HOUR] {
            windows.add(at(earlier), (), 1);
        }
        windows.settle(at(START - 2000 * HOUR));
        let sum = windows.sum(MAX_WINDOW, at(START - 2000 * HOUR))[&()];
        assert!(sum >= kept + 2, "{sum} of {kept} and 2");
    }

    #[test]
    fn no_time_is_too_strange() {
        let mut windows = Windows::default();
        for seconds in [i64::MIN, -1, 0, i64::MAX, i64::MIN / 2] {
            windows.add(at(seconds), (), u64::MAX);
            windows.settle(at(seconds));
            windows.sum(FINE_WINDOW, at(seconds));
            windows.sum(Duration::MAX, at(seconds));
            windows.last_hour(at(seconds));
        }
        windows.add(Timestamp::MAX, (), 1);
        windows.normalise();
        assert_eq!(windows.sum(MAX_WINDOW, Timestamp::MAX).len(), 1);
    }

    proptest! {
        #[test]
        fn sums_are_those_of_every_single_count(
            steps in prop::collection::vec((0i64..5000, 0u8..3, 1u64..4), 1..300),
            window in 1u64..8 * 24 * 3600,
            later in 0i64..10_000,
        ) {
            let (mut windows, mut counted, mut now) = (Windows::default(), Vec::new(), START);
            for (step, kind, number) in steps {
                now += step;
                windows.add(at(now), kind, number);
                counted.push((now, kind, number));
            }
            now += later;
            let window = Duration::from_secs(window);
            prop_assert_eq!(windows.sum(window, at(now)), naive(&counted, window.min(MAX_WINDOW), now));
            let (before, read) = (windows.clone(), serde_json::to_string(&windows).expect("JSON"));
            windows.settle(at(now));
            prop_assert_eq!(&windows, &before, "nothing lies ahead");
            let mut again: Windows<u8> = serde_json::from_str(&read).expect("as written");
            again.normalise();
            prop_assert_eq!(again, before);
        }

        #[test]
        fn no_order_of_times_loses_a_count(times in prop::collection::vec(START..START + 100 * HOUR, 1..100)) {
            let mut windows = Windows::default();
            times.iter().for_each(|time| windows.add(at(*time), (), 1));
            let now = at(START);
            windows.settle(now);
            prop_assert_eq!(windows.sum(MAX_WINDOW, now), [((), times.len() as u64)].into());
        }
    }
}
