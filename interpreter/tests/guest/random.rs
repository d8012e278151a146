//! Random numbers of the kind that finds mistakes.

/// xorshift.
#[derive(Clone)]
pub struct Random(pub u64);

impl Random {
    /// Any 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// 0 to n - 1.
    pub fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 11) % n
    }

    /// True with the probability 1 / n.
    pub fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// A value of the kind that finds mistakes: small, near a power of two, or anything.
    pub fn value(&mut self) -> u64 {
        let sign = |negative: bool, v: u64| if negative { v.wrapping_neg() } else { v };
        let negative = self.once_in(2);
        match self.below(4) {
            0 => sign(negative, self.below(20)),
            1 => {
                let near = 1u64 << self.below(64);
                sign(negative, near.wrapping_add(self.below(5)).wrapping_sub(2))
            }
            2 => self.next() >> self.below(64),
            _ => self.next(),
        }
    }
}

/// The number in an environment variable, or else `otherwise`.
pub fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}
