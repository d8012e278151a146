//! The 8254 interval timer: three counters at 1.193182 MHz. Counter 0 drives line 0; counter 2 is read through port 61h.

/// Ticks a second.
const RATE: u128 = 1_193_182;
const SECOND: u128 = 1_000_000_000;

#[derive(Clone, Copy, Debug, Default)]
struct Counter {
    mode: u8,
    bcd: bool,
    /// 1: low byte, 2: high byte, 3: low, then high.
    access: u8,
    /// What was written, 1 to 65536; 0 before the first write.
    reload: u32,
    /// When counting began.
    start: u64,
    low: Option<u8>,
    latched: Option<u16>,
    read_high: bool,
    status: Option<u8>,
    gate: bool,
}

fn ticks(nanoseconds: u64) -> u64 {
    (u128::from(nanoseconds) * RATE / SECOND) as u64
}

/// The first time at which `ticks` have passed.
fn time_of(ticks: u64) -> u64 {
    (u128::from(ticks) * SECOND).div_ceil(RATE) as u64
}

impl Counter {
    fn elapsed(&self, now: u64) -> u64 {
        ticks(now.saturating_sub(self.start))
    }

    fn periodic(&self) -> bool {
        self.mode == 2 || self.mode == 3
    }

    fn value(&self, now: u64) -> u16 {
        let reload = u64::from(self.reload.max(1));
        let elapsed = self.elapsed(now);
        let left = match self.mode {
            // A square wave counts down by two.
            3 => reload - (elapsed * 2) % reload,
            2 => reload - elapsed % reload,
            _ => reload.wrapping_sub(elapsed) & 0xffff,
        };
        let left = (left & 0xffff) as u16;
        if self.bcd { to_bcd(left) } else { left }
    }

    fn output(&self, now: u64) -> bool {
        let reload = u64::from(self.reload);
        if reload == 0 {
            return self.mode != 0;
        }
        let elapsed = self.elapsed(now);
        match self.mode {
            0 | 1 => elapsed >= reload,
            2 => elapsed % reload != reload - 1,
            3 => elapsed % reload < reload.div_ceil(2),
            _ => elapsed != reload,
        }
    }

    fn write(&mut self, value: u8, now: u64) {
        let value = match (self.access, self.low) {
            (1, _) => u16::from(value),
            (2, _) => u16::from(value) << 8,
            (_, None) => {
                self.low = Some(value);
                return;
            }
            (_, Some(low)) => u16::from(value) << 8 | u16::from(low),
        };
        self.low = None;
        let value = if self.bcd { from_bcd(value) } else { value.into() };
        self.reload = match value {
            0 if self.bcd => 10_000,
            0 => 0x1_0000,
            value => value,
        };
        self.start = now;
    }

    fn read(&mut self, now: u64) -> u8 {
        if let Some(status) = self.status.take() {
            return status;
        }
        let value = self.latched.unwrap_or_else(|| self.value(now));
        let high = self.access == 2 || self.access == 3 && self.read_high;
        if self.access == 3 {
            self.read_high = !self.read_high;
        }
        if self.access != 3 || high {
            self.latched = None;
        }
        if high { (value >> 8) as u8 } else { value as u8 }
    }
}

fn to_bcd(value: u16) -> u16 {
    (0..4).fold(0, |all, digit| all | (value / 10u16.pow(digit) % 10) << (4 * digit))
}

fn from_bcd(value: u16) -> u32 {
    (0..4).fold(0, |all, digit| all + u32::from(value >> (4 * digit) & 15) * 10u32.pow(digit))
}

/// The timer.
#[derive(Clone, Debug, Default)]
pub struct Pit {
    counters: [Counter; 3],
    /// The number of edges of counter 0 that were delivered since it was started.
    delivered: u64,
    speaker: u8,
}

impl Pit {
    /// Reads port 40h to 43h or 61h.
    pub fn read(&mut self, port: u16, now: u64) -> u8 {
        match port {
            0x40..=0x42 => self.counters[usize::from(port - 0x40)].read(now),
            0x61 => {
                let out = u8::from(self.counters[2].output(now)) << 5;
                // The refresh bit toggles every 15 microseconds.
                let refresh = ((now / 15_000) as u8 & 1) << 4;
                self.speaker & 3 | refresh | out
            }
            _ => 0xff,
        }
    }

    /// Writes port 40h to 43h or 61h.
    pub fn write(&mut self, port: u16, value: u8, now: u64) {
        match port {
            0x40..=0x42 => {
                let number = usize::from(port - 0x40);
                self.counters[number].write(value, now);
                if number == 0 {
                    self.delivered = 0;
                }
            }
            0x43 => self.command(value, now),
            _ => {
                let rose = value & 1 != 0 && self.speaker & 1 == 0;
                self.speaker = value;
                self.counters[2].gate = value & 1 != 0;
                if rose {
                    self.counters[2].start = now;
                }
            }
        }
    }

    fn command(&mut self, value: u8, now: u64) {
        let latch = |counter: &mut Counter| {
            if counter.latched.is_none() {
                counter.latched = Some(counter.value(now));
            }
        };
        if value >> 6 == 3 {
            for (number, counter) in self.counters.iter_mut().enumerate() {
                if value & 2 << number != 0 {
                    if value & 0x20 == 0 {
                        latch(counter);
                    }
                    if value & 0x10 == 0 {
                        let out = u8::from(counter.output(now)) << 7;
                        counter.status = Some(out | counter.access << 4 | counter.mode << 1 | u8::from(counter.bcd));
                    }
                }
            }
            return;
        }
        let counter = &mut self.counters[usize::from(value >> 6)];
        match value >> 4 & 3 {
            0 => latch(counter),
            access => {
                let mode = value >> 1 & 7;
                let gate = counter.gate;
                *counter = Counter {
                    // Modes 6 and 7 are 2 and 3.
                    mode: if mode > 5 { mode - 4 } else { mode },
                    access,
                    bcd: value & 1 != 0,
                    start: now,
                    gate,
                    ..Counter::default()
                };
            }
        }
    }

    /// How many edges counter 0 has made since it was started.
    fn edges(&self, now: u64) -> u64 {
        let counter = &self.counters[0];
        if counter.reload == 0 {
            return 0;
        }
        let count = counter.elapsed(now) / u64::from(counter.reload);
        if counter.periodic() { count } else { count.min(1) }
    }

    /// Whether line 0 had an edge since the last call.
    pub fn advance(&mut self, now: u64) -> bool {
        let edges = self.edges(now);
        std::mem::replace(&mut self.delivered, edges) < edges
    }

    /// When line 0 will have its next edge.
    pub fn next_event(&self) -> Option<u64> {
        let counter = &self.counters[0];
        let more = counter.reload != 0 && (counter.periodic() || self.delivered == 0);
        more.then(|| counter.start + time_of((self.delivered + 1) * u64::from(counter.reload)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_periodic_counter_has_edges() {
        let mut pit = Pit::default();
        assert_eq!(pit.next_event(), None);
        pit.write(0x43, 0x34, 1000);
        pit.write(0x40, 0x9c, 1000);
        pit.write(0x40, 0x2e, 1000);
        let first = pit.next_event().expect("an edge");
        assert!((10_000_000..10_002_000).contains(&(first - 1000)), "{first}");
        assert!(!pit.advance(first - 1));
        assert!(pit.advance(first));
        assert!(!pit.advance(first));
        assert!(pit.next_event().expect("another") > first);
    }

    #[test]
    fn one_shot_counters_have_one() {
        let mut pit = Pit::default();
        pit.write(0x43, 0x30, 0);
        pit.write(0x40, 100, 0);
        pit.write(0x40, 0, 0);
        assert!(pit.advance(1_000_000));
        assert_eq!(pit.next_event(), None);
    }

    #[test]
    fn counters_can_be_latched_and_read() {
        let mut pit = Pit::default();
        pit.write(0x43, 0x34, 0);
        pit.write(0x40, 0, 0);
        pit.write(0x40, 0x10, 0);
        pit.write(0x43, 0, 1_000_000);
        let value = u16::from_le_bytes([pit.read(0x40, 2_000_000), pit.read(0x40, 2_000_000)]);
        assert_eq!(value, 0x1000 - 1193);
    }
}
