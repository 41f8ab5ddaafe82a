//! Numbers and moments in the sentences about evidence.

use std::time::Duration;

use crate::clock::Timestamp;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// `1 handshake`, `2 handshakes`.
pub fn count(number: u64, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        // Nouns here take `es` behind `ss`, as `address` does, and else `s`.
        _ if noun.ends_with("ss") => format!("{number} {noun}es"),
        _ => format!("{number} {noun}s"),
    }
}

/// A window as in "in the last 24 h".
pub fn window(window: Duration) -> String {
    match window.as_secs() {
        HOUR => "hour".to_owned(),
        seconds if seconds % DAY == 0 && seconds > DAY => format!("{} days", seconds / DAY),
        seconds if seconds % HOUR == 0 => format!("{} h", seconds / HOUR),
        seconds if seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

/// `at 10:42 UTC` of today, `on 2026-11-22 at 10:42 UTC` of another day.
pub fn moment(at: Timestamp, now: Timestamp) -> String {
    let (text, today) = (at.to_string(), day(now));
    match text.get(11..16) {
        Some(time) if day(at) == today => format!("at {time} UTC"),
        Some(time) => format!("on {} at {time} UTC", day(at)),
        None => text,
    }
}

/// `2026-11-22`.
pub fn day(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(..10).unwrap_or(&text).to_owned()
}

/// How far ahead or behind: `in 8 days`, `3 hours ago`.
pub fn distance(at: Timestamp, now: Timestamp) -> String {
    match at >= now {
        true => format!("in {}", span(at.since(now))),
        false => format!("{} ago", span(now.since(at))),
    }
}

/// The largest whole unit, rounded down.
pub fn span(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds >= 2 * DAY => count(seconds / DAY, "day"),
        seconds if seconds >= HOUR => count(seconds / HOUR, "hour"),
        seconds if seconds >= 60 => count(seconds / 60, "minute"),
        seconds => count(seconds, "second"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_moments_read_as_one_would_say_them() {
        assert_eq!(
            [count(0, "address"), count(1, "address"), count(2, "network")],
            ["0 addresses", "1 address", "2 networks"]
        );
        for (seconds, text) in [(HOUR, "hour"), (DAY, "24 h"), (7 * DAY, "7 days"), (25 * HOUR, "25 h"), (90, "90 s")] {
            assert_eq!(window(Duration::from_secs(seconds)), text);
        }
        let now = Timestamp::parse("2026-11-23T22:00:00Z").expect("a time");
        for (at, said, far) in [
            ("2026-11-23T10:42:59Z", "at 10:42 UTC", "11 hours ago"),
            ("2026-11-22T23:59:00Z", "on 2026-11-22 at 23:59 UTC", "22 hours ago"),
            ("2026-12-01T22:00:00Z", "on 2026-12-01 at 22:00 UTC", "in 8 days"),
            ("2026-11-23T22:00:01Z", "at 22:00 UTC", "in 1 second"),
        ] {
            let at = Timestamp::parse(at).expect("a time");
            assert_eq!((moment(at, now).as_str(), distance(at, now).as_str()), (said, far));
        }
        assert_eq!(moment(Timestamp::MAX, now), "never");
    }
}
