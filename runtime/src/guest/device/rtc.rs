//! The real-time clock and its 128 bytes of memory. The time starts at 2000-01-01 00:00:00 and goes with virtual time.

const SECOND: u64 = 1_000_000_000;

/// The clock.
#[derive(Clone, Debug)]
pub struct Rtc {
    index: u8,
    memory: [u8; 128],
    /// Periodic interrupts delivered, in units of 1/32768 s.
    ticked: u64,
}

const REGISTER_A: usize = 10;
const REGISTER_B: usize = 11;
const REGISTER_C: usize = 12;
const REGISTER_D: usize = 13;
const PERIODIC: u8 = 0x40;
const BINARY: u8 = 4;
const HOURS_24: u8 = 2;

impl Default for Rtc {
    fn default() -> Rtc {
        Rtc::new(0)
    }
}

impl Rtc {
    /// A clock whose memory says how much RAM there is.
    pub fn new(ram: u64) -> Rtc {
        let mut memory = [0; 128];
        memory[REGISTER_A] = 0x26;
        memory[REGISTER_B] = HOURS_24;
        memory[REGISTER_D] = 0x80;
        let mut put = |at: usize, value: u64| {
            let value = value.min(0xffff) as u16;
            memory[at..at + 2].copy_from_slice(&value.to_le_bytes());
        };
        put(0x15, 640);
        put(0x17, (ram.saturating_sub(1 << 20)) >> 10);
        put(0x30, (ram.saturating_sub(1 << 20)) >> 10);
        put(0x34, (ram.saturating_sub(16 << 20)) >> 16);
        memory[0x32] = 0x20;
        Rtc { index: 0, memory, ticked: 0 }
    }

    /// Writes port 70h or 71h.
    pub fn write(&mut self, port: u16, value: u8, now: u64) {
        if port == 0x70 {
            self.index = value & 0x7f;
        } else {
            let at = usize::from(self.index);
            match at {
                REGISTER_C | REGISTER_D => {}
                REGISTER_A => self.memory[at] = value & 0x7f,
                _ => self.memory[at] = value,
            }
            self.ticked = self.ticks(now);
        }
    }

    /// Reads port 71h.
    pub fn read(&mut self, now: u64) -> u8 {
        let at = usize::from(self.index);
        match at {
            0 | 2 | 4 | 6..=9 | 0x32 => self.clock(at, now),
            REGISTER_C => std::mem::take(&mut self.memory[at]),
            _ => self.memory[at],
        }
    }

    fn clock(&self, at: usize, now: u64) -> u8 {
        let seconds = now / SECOND;
        let (year, month, day) = date(seconds / 86400);
        let hour = seconds / 3600 % 24;
        let b = self.memory[REGISTER_B];
        let encode = |value: u64| if b & BINARY != 0 { value as u8 } else { (value / 10 * 16 + value % 10) as u8 };
        match at {
            0 => encode(seconds % 60),
            2 => encode(seconds / 60 % 60),
            4 if b & HOURS_24 == 0 => {
                encode(if hour.is_multiple_of(12) { 12 } else { hour % 12 }) | if hour >= 12 { 0x80 } else { 0 }
            }
            4 => encode(hour),
            // 2000-01-01 was a Saturday, day 7.
            6 => encode((seconds / 86400 + 6) % 7 + 1),
            7 => encode(day),
            8 => encode(month),
            9 => encode(year % 100),
            _ => encode(year / 100),
        }
    }

    /// The period of the periodic interrupt in 1/32768 s.
    fn period(&self) -> Option<u64> {
        let rate = self.memory[REGISTER_A] & 15;
        let wanted = self.memory[REGISTER_B] & PERIODIC != 0 && rate != 0;
        // Rates 1 and 2 are those of 8 and 9.
        wanted.then(|| 1 << (if rate < 3 { rate + 7 } else { rate } - 1))
    }

    fn ticks(&self, now: u64) -> u64 {
        (u128::from(now) * 32768 / u128::from(SECOND)) as u64
    }

    /// Whether line 8 had an edge since the last call.
    pub fn advance(&mut self, now: u64) -> bool {
        let Some(period) = self.period() else { return false };
        let ticks = self.ticks(now);
        let fired = ticks / period > self.ticked / period;
        self.ticked = ticks;
        // Bit 7 says that there is an interrupt until register C is read.
        let quiet = self.memory[REGISTER_C] & 0x80 == 0;
        if fired {
            self.memory[REGISTER_C] |= 0xc0;
        }
        fired && quiet
    }

    /// When line 8 will have its next edge.
    pub fn next_event(&self) -> Option<u64> {
        let period = self.period()?;
        let tick = (self.ticked / period + 1) * period;
        Some((u128::from(tick) * u128::from(SECOND)).div_ceil(32768) as u64)
    }
}

/// Year, month and day of a number of days since 2000-01-01.
fn date(mut days: u64) -> (u64, u64, u64) {
    let mut year = 2000;
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in lengths {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(date(0), (2000, 1, 1));
        assert_eq!(date(59), (2000, 2, 29));
        assert_eq!(date(366), (2001, 1, 1));
        assert_eq!(date(9678), (2026, 7, 1));
    }

    #[test]
    fn the_clock_counts_in_bcd() {
        let mut rtc = Rtc::new(0);
        let now = SECOND * (3600 * 13 + 59);
        rtc.write(0x70, 0, now);
        assert_eq!(rtc.read(now), 0x59);
        rtc.write(0x70, 4, now);
        assert_eq!(rtc.read(now), 0x13);
    }

    #[test]
    fn periodic_interrupts() {
        let mut rtc = Rtc::new(0);
        assert_eq!(rtc.next_event(), None);
        rtc.write(0x70, 11, 0);
        rtc.write(0x71, HOURS_24 | PERIODIC, 0);
        let first = rtc.next_event().expect("an edge");
        assert_eq!(first, 976_563);
        assert!(rtc.advance(first));
        rtc.write(0x70, 12, 0);
        assert_eq!(rtc.read(0), 0xc0);
    }
}
