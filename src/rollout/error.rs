//! Why a plan came to an end before its end.

use std::time::Duration;

use super::journal::JournalError;
use super::step::StepName;
use crate::cloudflare::CloudflareError;
use crate::remote::admin::AdminError;

/// Why a plan came to an end before its end. Everything done so far stays; the same command goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum RolloutError {
    #[error(transparent)]
    Cloudflare(#[from] CloudflareError),
    #[error(transparent)]
    Origin(#[from] AdminError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// It may still come about.
    #[error("{subject}: {missing}, after {} s; {next_step}", waited.as_secs())]
    TimedOut { step: StepName, subject: String, missing: String, waited: Duration, next_step: String },
    /// It will not come about by waiting.
    #[error("{what}; {next_step}")]
    GaveUp { what: String, next_step: String },
    /// We will not do that.
    #[error("{what}; {next_step}")]
    Unsafe { what: String, next_step: String },
}
