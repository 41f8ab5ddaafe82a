//! The process itself, beside what it serves.

use prometheus::{Counter, Gauge, IntGauge, Registry};

use super::register::{gauge, register};
use crate::telemetry::process::ProcessUsage;

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

    pub(super) fn update(&self, usage: ProcessUsage) {
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
