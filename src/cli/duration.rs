//! Lengths of time as people type them.

use std::time::Duration;

/// Reads `500ms`, `90s`, `10m`, `2h`, `1d`, and several of them: `1h30m`.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || "write a number with its unit: 90s, 10m, 2h, 1h30m".to_owned();
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u32 = rest[..digits].parse().map_err(|_| wrong())?;
        let unit = rest[digits..].split(|c: char| c.is_ascii_digit()).next().unwrap_or_default();
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        total += Duration::from_millis(milliseconds) * number;
        rest = &rest[digits + unit.len()..];
    }
    if text.is_empty() { Err(wrong()) } else { Ok(total) }
}

/// As a person says it: the two largest units.
pub(super) fn spoken(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "min"), (seconds % 60, "s")];
    let parts = units.iter().skip_while(|(number, _)| *number == 0).take(2).filter(|(number, _)| *number > 0);
    let parts: Vec<_> = parts.map(|(number, unit)| format!("{number} {unit}")).collect();
    if parts.is_empty() { "0 s".to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_and_said() {
        for (text, seconds, said) in [
            ("0s", 0, "0 s"),
            ("2000ms", 2, "2 s"),
            ("90s", 90, "1 min 30 s"),
            ("10m", 600, "10 min"),
            ("1h30m", 5400, "1 h 30 min"),
            ("2d", 172_800, "2 d"),
            ("1d5s", 86_405, "1 d"),
        ] {
            let duration = parse(text).expect("a length of time");
            assert_eq!((duration.as_secs(), &*spoken(duration)), (seconds, said));
        }
        for text in ["", "10", "m", "-1m", "1.5h", "10 m", "99999999999s", "1w", "1é"] {
            parse(text).expect_err(text);
        }
    }
}
