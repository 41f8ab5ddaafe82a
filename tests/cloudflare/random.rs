//! Randomness that comes out the same every time.

use std::time::Duration;

use super::settings::Delay;

/// SplitMix64: small, and good enough to scatter delays and identifiers.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, percent: u32) -> bool {
        self.next() % 100 < u64::from(percent)
    }

    pub fn delay(&mut self, delay: Delay) -> Duration {
        let span = delay.to.saturating_sub(delay.from).as_millis();
        let extra = u64::try_from(span).ok().filter(|span| *span > 0).map_or(0, |span| self.next() % (span + 1));
        delay.from + Duration::from_millis(extra)
    }

    /// 32 hexadecimal digits.
    pub fn identifier(&mut self) -> String {
        format!("{:016x}{:016x}", self.next(), self.next())
    }

    /// In the form of a UUID of version 4.
    pub fn uuid(&mut self) -> String {
        let digits = self.identifier();
        let [a, b, c, d, e] = [0..8, 8..12, 13..16, 17..20, 20..32].map(|range| &digits[range]);
        format!("{a}-{b}-4{c}-8{d}-{e}")
    }
}
