//! What the kernel says about this process (proc(5)). Empty where there is no `/proc`.

use std::fs;

use prometheus::{Counter, Gauge, IntGauge, Registry};

use super::register::{gauge, register};

/// Ticks per second in `/proc/*/stat` as every Linux architecture shows them to user space (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// The kernel's view of this process, under the names that every Prometheus client uses.
#[derive(Debug)]
pub(super) struct ProcessGauges {
    resident_bytes: IntGauge,
    open_fds: IntGauge,
    max_fds: IntGauge,
    cpu_seconds: Counter,
    start_seconds: Gauge,
}

impl ProcessGauges {
    pub(super) fn new(r: &Registry) -> Self {
        Self {
            resident_bytes: gauge(r, "process_resident_memory_bytes", "Resident memory of this process in bytes."),
            open_fds: gauge(r, "process_open_fds", "File descriptors that this process has open."),
            max_fds: gauge(r, "process_max_fds", "File descriptors that this process may have open."),
            cpu_seconds: register(
                r,
                Counter::new("process_cpu_seconds_total", "User and system time that this process spent, in seconds."),
            ),
            start_seconds: register(
                r,
                Gauge::new(
                    "process_start_time_seconds",
                    "The moment when this process started, in seconds since the Unix epoch.",
                ),
            ),
        }
    }

    /// Looks and sets.
    pub(super) fn update(&self) {
        let usage = ProcessUsage::read();
        for (gauge, value) in [
            (&self.resident_bytes, usage.resident_bytes),
            (&self.open_fds, usage.open_fds),
            (&self.max_fds, usage.max_fds),
        ] {
            gauge.set(value.and_then(|value| i64::try_from(value).ok()).unwrap_or(0));
        }
        let spent = usage.cpu_seconds.unwrap_or(0.0) - self.cpu_seconds.get();
        if spent > 0.0 {
            self.cpu_seconds.inc_by(spent);
        }
        self.start_seconds.set(usage.start_seconds.unwrap_or(0.0));
    }
}

/// One look at `/proc/self`. What could not be read is `None`.
#[derive(Clone, Copy, Default, Debug)]
struct ProcessUsage {
    resident_bytes: Option<u64>,
    open_fds: Option<u64>,
    max_fds: Option<u64>,
    cpu_seconds: Option<f64>,
    /// Seconds since the Unix epoch.
    start_seconds: Option<f64>,
}

impl ProcessUsage {
    /// Reads the present state.
    fn read() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let boot_seconds = fs::read_to_string("/proc/stat").ok().and_then(|text| word_after(&text, "btime"));
        Self {
            resident_bytes: fs::read_to_string("/proc/self/status")
                .ok()
                .and_then(|text| word_after(&text, "VmRSS:"))
                .map(|kibibytes: u64| kibibytes * 1024),
            open_fds: fs::read_dir("/proc/self/fd").ok().and_then(|entries| u64::try_from(entries.count()).ok()),
            max_fds: fs::read_to_string("/proc/self/limits").ok().and_then(|text| word_after(&text, "Max open files")),
            // Fields 14 and 15 are user and system time, 22 the start after boot, counted from 1.
            cpu_seconds: stat_field(&stat, 14).zip(stat_field(&stat, 15)).map(|(user, system)| user + system),
            start_seconds: stat_field(&stat, 22).zip(boot_seconds).map(|(start, boot): (f64, f64)| boot + start),
        }
    }
}

/// The first word behind `key` at the start of a line.
fn word_after<T: std::str::FromStr>(text: &str, key: &str) -> Option<T> {
    text.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().next()?.parse().ok()
}

/// Field `number` of `/proc/self/stat` in seconds. The second field is a name that may hold spaces and brackets.
fn stat_field(stat: &str, number: usize) -> Option<f64> {
    let (_, behind_name) = stat.rsplit_once(") ")?;
    let ticks: f64 = behind_name.split(' ').nth(number - 3)?.parse().ok()?;
    Some(ticks / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_with_brackets_does_not_shift_the_fields() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 250 150 0 0 20 0 3 0 12345 1000 200 1844";
        assert_eq!(stat_field(stat, 14), Some(2.5));
        assert_eq!(stat_field(stat, 15), Some(1.5));
        assert_eq!(stat_field(stat, 22), Some(123.45));
        assert_eq!(stat_field("", 14), None);
    }

    #[test]
    fn this_process_has_memory_and_files() {
        let usage = ProcessUsage::read();
        assert!(usage.resident_bytes > Some(1 << 20), "{usage:?}");
        assert!(usage.open_fds >= Some(3), "{usage:?}");
        assert!(usage.max_fds >= usage.open_fds, "{usage:?}");
        assert!(usage.start_seconds > Some(1.5e9), "{usage:?}");
    }
}
