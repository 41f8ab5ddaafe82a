//! Making, finding and removing series: `prometheus` in the shape that this room uses.

use std::collections::HashMap;

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

/// The counter with these label values.
pub(super) fn label(family: &IntCounterVec, values: &[&str]) -> IntCounter {
    family.with_label_values(values)
}

pub(super) fn counter(registry: &Registry, name: &str, help: &str) -> IntCounter {
    register(registry, IntCounter::new(name, help))
}

pub(super) fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    register(registry, IntCounterVec::new(Opts::new(name, help), labels))
}

pub(super) fn gauge(registry: &Registry, name: &str, help: &str) -> IntGauge {
    register(registry, IntGauge::new(name, help))
}

pub(super) fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    register(registry, IntGaugeVec::new(Opts::new(name, help), labels))
}

pub(super) fn histograms(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
    buckets: &[f64],
) -> HistogramVec {
    register(registry, HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels))
}

pub(super) fn register<C: Collector + Clone + 'static>(registry: &Registry, created: prometheus::Result<C>) -> C {
    let collector = created.expect("names, labels and buckets of ours are well formed");
    registry.register(Box::new(collector.clone())).expect("no two metrics of ours share a name");
    collector
}

/// Removes the series for whose labels `keep` says no.
pub(super) fn prune<T: MetricVecBuilder>(family: &MetricVec<T>, keep: impl Fn(&HashMap<&str, &str>) -> bool) {
    for collected in family.collect() {
        for series in collected.get_metric() {
            let labels = series.get_label().iter().map(|label| (label.name(), label.value())).collect();
            if !keep(&labels) {
                // Removing fails only if it is gone already.
                let _ = family.remove(&labels);
            }
        }
    }
}
