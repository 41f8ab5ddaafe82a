//! What one request works with.

use originlock::clock::Timestamp;
use serde_json::Value;

use super::random::Random;
use super::settings::Settings;
use super::state::Counters;

/// The moment of a request and its body.
#[derive(Debug)]
pub struct Call<'a> {
    pub now: Timestamp,
    pub settings: &'a Settings,
    pub random: &'a mut Random,
    pub counters: &'a mut Counters,
    pub body: &'a Value,
    pub query: &'a [(String, String)],
}

impl Call<'_> {
    /// A field of the query.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The moment that a reading answers for.
    pub fn read_at(&self) -> Timestamp {
        self.now.before(self.settings.read_lag)
    }
}
