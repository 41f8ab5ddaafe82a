//! A panic is a bug; it ends the connection that it happened on, and is told.

use std::panic;
use std::sync::Arc;

use tracing::error;

use crate::telemetry::metrics::Metrics;

/// Counts and logs every panic of this process from now on.
///
/// The message is ours; where it quotes a value it may be a stranger's, and the log escapes it.
pub fn count(metrics: Arc<Metrics>) {
    panic::set_hook(Box::new(move |info| {
        metrics.panicked();
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let message = info.payload_as_str().unwrap_or("(no message)");
        error!(code.location = place, exception.message = message, "panic; please report this");
    }));
}
