//! What the connections of one worker share, and what all workers share.

use std::rc::Rc;
use std::sync::Arc;

use super::admission::Admission;
use super::identities::Identities;
use super::lifetime::Lifetimes;
use crate::clock::Clock;
use crate::snapshot::current::Current;
use crate::telemetry::observer::Observer;
use crate::upstream::Upstreams;

/// One for the process.
#[derive(Debug)]
pub struct Shared {
    pub current: Arc<Current>,
    pub observer: Observer,
    pub clock: Clock,
    pub admission: Admission,
}

/// One per thread; nothing of it is ever locked.
pub struct Worker {
    pub shared: Arc<Shared>,
    pub upstreams: Upstreams,
    pub identities: Identities,
    pub lifetimes: Lifetimes,
}

impl Worker {
    /// A worker without connections.
    pub fn new(shared: Arc<Shared>) -> Rc<Self> {
        Rc::new(Self {
            shared,
            upstreams: Upstreams::default(),
            identities: Identities::default(),
            lifetimes: Lifetimes::default(),
        })
    }
}
