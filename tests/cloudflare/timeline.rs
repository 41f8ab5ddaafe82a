//! What was, is and will be so: whoever asks later, or with a lag, gets the answer of that moment.

use originlock::clock::Timestamp;

/// Values by the moment from which they hold.
#[derive(Clone, Debug)]
pub struct Timeline<T>(Vec<(Timestamp, T)>);

impl<T> Timeline<T> {
    /// Nothing until `from`, then `value`.
    pub fn starting(from: Timestamp, value: T) -> Self {
        Self(vec![(from, value)])
    }

    /// What holds at `moment`; `None` before the beginning.
    pub fn at(&self, moment: Timestamp) -> Option<&T> {
        self.until(moment).next_back().map(|(_, value)| value)
    }

    /// Since when that holds.
    pub fn since(&self, moment: Timestamp) -> Option<Timestamp> {
        self.until(moment).next_back().map(|(from, _)| *from)
    }

    /// All that held up to `moment`, oldest first.
    pub fn until(&self, moment: Timestamp) -> impl DoubleEndedIterator<Item = &(Timestamp, T)> {
        self.0.iter().filter(move |(from, _)| *from <= moment)
    }

    /// From `moment` on `value` holds, whatever was still to come.
    pub fn change(&mut self, moment: Timestamp, value: T) {
        self.0.retain(|(from, _)| *from <= moment);
        self.0.push((moment, value));
    }

    /// Later, at `moment`, `value` will hold.
    pub fn plan(&mut self, moment: Timestamp, value: T) {
        self.0.push((moment, value));
    }
}

impl<T: Default> Timeline<T> {
    /// From the beginning of time.
    pub fn always(value: T) -> Self {
        Self::starting(Timestamp::from_seconds(0), value)
    }

    /// What holds, or the default of a time before the beginning.
    pub fn value(&self, moment: Timestamp) -> T
    where
        T: Clone,
    {
        self.at(moment).cloned().unwrap_or_default()
    }
}
