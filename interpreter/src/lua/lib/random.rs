//! The generator of `math.random`: xoshiro256** (Blackman and Vigna, "Scrambled Linear Pseudorandom Number Generators"),
//! seeded and projected so that a seed gives the same numbers as in PUC Lua.

#![forbid(unsafe_code)]

/// A generator of pseudo-random numbers.
#[derive(Clone, Debug)]
pub struct Generator([u64; 4]);

impl Generator {
    /// A generator for a seed of 128 bits.
    pub fn new(low: u64, high: u64) -> Generator {
        let mut generator = Generator([low, 0xff, high, 0]);
        for _ in 0..16 {
            generator.next();
        }
        generator
    }

    /// A generator whose numbers cannot be foreseen.
    pub fn from_time() -> Generator {
        let (low, high) = Self::seed_from_time();
        Generator::new(low, high)
    }

    /// A seed from the clock and from where the system has put things.
    pub fn seed_from_time() -> (u64, u64) {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let place = std::ptr::from_ref(&now).addr() as u64;
        (now.as_nanos() as u64, place ^ u64::from(std::process::id()))
    }

    /// The next 64 bits.
    #[inline]
    pub fn next(&mut self) -> u64 {
        let [s0, s1, s2, s3] = self.0;
        let (s2, s3) = (s2 ^ s0, s3 ^ s1);
        self.0 = [s0 ^ s3, s1 ^ s2, s2 ^ (s1 << 17), s3.rotate_left(45)];
        s1.wrapping_mul(5).rotate_left(7).wrapping_mul(9)
    }

    /// The next float in `[0, 1)`.
    #[inline]
    pub fn next_float(&mut self) -> f64 {
        (self.next() >> 11) as f64 * (0.5 / (1u64 << 52) as f64)
    }

    /// Projects 64 random bits into `[0, limit]`, with more of them where that is needed.
    #[inline]
    pub fn project(&mut self, bits: u64, limit: u64) -> u64 {
        // The smallest mask of low bits that covers the limit.
        let mask = u64::MAX.checked_shr(limit.leading_zeros()).unwrap_or(0);
        let mut bits = bits & mask;
        while bits > limit {
            bits = self.next() & mask;
        }
        bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_a_seed_are_those_of_puc() {
        let mut g = Generator::new(42, 0);
        assert_eq!(format!("{:.14}", g.next_float()), "0.93081217803957");
        let bits = g.next();
        assert_eq!(g.project(bits, 9) + 1, 2);
        assert_eq!(g.next() as i64, -8358531260401861301);
        let bits = g.next();
        assert_eq!(g.project(bits, 995) + 5, 346);
        let mut g = Generator::new(7, 9);
        assert_eq!(g.next() as i64 ^ i64::MIN, -4586049452589056360);
    }
}
