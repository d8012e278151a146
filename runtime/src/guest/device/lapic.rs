//! The local APIC (APM volume 2, chapter 16): priorities, its timer, interrupts to itself.

/// Where its registers lie.
pub const BASE: u64 = 0xfee0_0000;

/// How often a local vector is masked, in its table entry.
const MASKED: u32 = 1 << 16;
const PERIODIC: u32 = 1 << 17;
const ENABLED: u32 = 1 << 8;

/// A set of 256 vectors.
#[derive(Clone, Copy, Debug, Default)]
struct Vectors([u32; 8]);

impl Vectors {
    fn set(&mut self, vector: u8, on: bool) {
        let bit = 1 << (vector & 31);
        let word = &mut self.0[usize::from(vector >> 5)];
        *word = if on { *word | bit } else { *word & !bit };
    }

    fn has(&self, vector: u8) -> bool {
        self.0[usize::from(vector >> 5)] & 1 << (vector & 31) != 0
    }

    fn highest(&self) -> Option<u8> {
        (0..8u8)
            .rev()
            .find(|n| self.0[usize::from(*n)] != 0)
            .map(|n| n * 32 + 31 - self.0[usize::from(n)].leading_zeros() as u8)
    }
}

/// What a write asks of the rest of the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Nothing.
    None,
    /// The interrupt of a level-triggered line was handled.
    EndOf(u8),
    /// A non-maskable interrupt.
    Nmi,
}

/// The local APIC.
#[derive(Clone, Debug)]
pub struct Lapic {
    /// The priority below which interrupts wait: CR8 is its upper half.
    pub tpr: u8,
    /// Bit 11 of the MSR that says where it is.
    enabled: bool,
    id: u32,
    logical: u32,
    format: u32,
    spurious: u32,
    request: Vectors,
    service: Vectors,
    by_level: Vectors,
    command: [u32; 2],
    /// Timer, thermal, performance, LINT0, LINT1, error.
    local: [u32; 6],
    initial: u32,
    divide: u32,
    start: u64,
    delivered: u64,
}

impl Default for Lapic {
    /// As a firmware leaves it: enabled, with the PIC behind LINT0 and the NMI behind LINT1.
    fn default() -> Lapic {
        Lapic {
            tpr: 0,
            enabled: true,
            id: 0,
            logical: 0,
            format: u32::MAX,
            spurious: 0xff | ENABLED,
            request: Vectors::default(),
            service: Vectors::default(),
            by_level: Vectors::default(),
            command: [0; 2],
            local: [MASKED, MASKED, MASKED, 0x700, 0x400, MASKED],
            initial: 0,
            divide: 0,
            start: 0,
            delivered: 0,
        }
    }
}

impl Lapic {
    /// Whether it is there.
    pub fn enabled(&self) -> bool {
        self.enabled
    }

    /// Switches it on or off, which resets it.
    pub fn set_enabled(&mut self, enabled: bool) {
        if enabled != self.enabled {
            *self = Lapic { enabled, ..Lapic::default() };
        }
    }

    /// Nanoseconds of a count: it counts at 1 GHz, divided.
    fn unit(&self) -> u64 {
        let code = self.divide & 3 | self.divide >> 1 & 4;
        if code == 7 { 1 } else { 2 << code }
    }

    fn timer_value(&self, now: u64) -> u32 {
        if self.initial == 0 {
            return 0;
        }
        let elapsed = now.saturating_sub(self.start) / self.unit();
        let initial = u64::from(self.initial);
        if self.local[0] & PERIODIC != 0 {
            (initial - elapsed % initial) as u32
        } else {
            initial.saturating_sub(elapsed) as u32
        }
    }

    fn expirations(&self, now: u64) -> u64 {
        let count = now.saturating_sub(self.start) / self.unit() / u64::from(self.initial.max(1));
        if self.initial == 0 {
            0
        } else if self.local[0] & PERIODIC != 0 {
            count
        } else {
            count.min(1)
        }
    }

    /// Delivers what the timer has to deliver.
    pub fn advance(&mut self, now: u64) {
        let expirations = self.expirations(now);
        if std::mem::replace(&mut self.delivered, expirations) < expirations && self.local[0] & MASKED == 0 {
            self.accept(self.local[0] as u8, false);
        }
    }

    /// When the timer will next expire.
    pub fn next_event(&self) -> Option<u64> {
        let more = self.initial != 0 && (self.local[0] & PERIODIC != 0 || self.delivered == 0);
        let wanted = more && self.local[0] & MASKED == 0;
        wanted.then(|| self.start + (self.delivered + 1) * u64::from(self.initial) * self.unit())
    }

    /// Takes an interrupt of a vector.
    pub fn accept(&mut self, vector: u8, by_level: bool) {
        if vector >= 16 && self.enabled && self.spurious & ENABLED != 0 {
            self.request.set(vector, true);
            self.by_level.set(vector, by_level);
        }
    }

    /// Whether an interrupt with this destination is for this processor.
    pub fn is_destination(&self, destination: u8, logical: bool) -> bool {
        if logical {
            (self.logical >> 24) as u8 & destination != 0
        } else {
            destination == (self.id >> 24) as u8 || destination == 0xff
        }
    }

    /// Whether the PIC's interrupts come through.
    pub fn lets_pic_through(&self) -> bool {
        let lint0 = self.local[3];
        !self.enabled || self.spurious & ENABLED == 0 || lint0 & MASKED == 0 && lint0 >> 8 & 7 == 7
    }

    fn priority(&self) -> u8 {
        let serviced = self.service.highest().unwrap_or(0) & 0xf0;
        if self.tpr & 0xf0 >= serviced { self.tpr } else { serviced }
    }

    /// The vector that the processor would take now.
    pub fn pending(&self) -> Option<u8> {
        self.request.highest().filter(|vector| self.spurious & ENABLED != 0 && vector & 0xf0 > self.priority() & 0xf0)
    }

    /// The processor takes the interrupt.
    pub fn acknowledge(&mut self) -> Option<u8> {
        let vector = self.pending()?;
        self.request.set(vector, false);
        self.service.set(vector, true);
        Some(vector)
    }

    /// Reads a register.
    pub fn read(&self, offset: u64, now: u64) -> u32 {
        let word = (offset >> 4 & 7) as usize;
        match offset & 0xff0 {
            0x20 => self.id,
            0x30 => 0x0005_0014,
            0x80 => self.tpr.into(),
            0xa0 => self.priority().into(),
            0xd0 => self.logical,
            0xe0 => self.format,
            0xf0 => self.spurious,
            0x100..=0x170 => self.service.0[word],
            0x180..=0x1f0 => self.by_level.0[word],
            0x200..=0x270 => self.request.0[word],
            0x300 => self.command[0],
            0x310 => self.command[1],
            0x320..=0x370 => self.local[(offset as usize >> 4) - 0x32],
            0x380 => self.initial,
            0x390 => self.timer_value(now),
            0x3e0 => self.divide,
            _ => 0,
        }
    }

    /// Writes a register.
    pub fn write(&mut self, offset: u64, value: u32, now: u64) -> Effect {
        match offset & 0xff0 {
            0x20 => self.id = value & 0xff00_0000,
            0x80 => self.tpr = value as u8,
            0xb0 => return self.end(),
            0xd0 => self.logical = value & 0xff00_0000,
            0xe0 => self.format = value | 0x0fff_ffff,
            0xf0 => self.spurious = value & 0x3ff,
            0x300 => return self.send(value),
            0x310 => self.command[1] = value & 0xff00_0000,
            0x320..=0x370 => {
                self.advance(now);
                self.local[(offset as usize >> 4) - 0x32] = value & 0x3_f7ff;
            }
            0x380 => {
                self.initial = value;
                self.start = now;
                self.delivered = 0;
            }
            0x3e0 => self.divide = value & 11,
            _ => {}
        }
        Effect::None
    }

    fn end(&mut self) -> Effect {
        let Some(vector) = self.service.highest() else { return Effect::None };
        self.service.set(vector, false);
        if self.by_level.has(vector) { Effect::EndOf(vector) } else { Effect::None }
    }

    /// An interrupt from this processor: there is nobody else to get it.
    fn send(&mut self, value: u32) -> Effect {
        self.command[0] = value & 0xcdfff;
        let me = match value >> 18 & 3 {
            0 => self.is_destination((self.command[1] >> 24) as u8, value & 1 << 11 != 0),
            1 | 2 => true,
            _ => false,
        };
        match value >> 8 & 7 {
            0 | 1 if me => self.accept(value as u8, false),
            4 if me => return Effect::Nmi,
            _ => {}
        }
        Effect::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_have_priorities() {
        let mut lapic = Lapic::default();
        lapic.accept(0x31, false);
        lapic.accept(0x45, false);
        assert_eq!(lapic.acknowledge(), Some(0x45));
        assert_eq!(lapic.acknowledge(), None);
        assert_eq!(lapic.write(0xb0, 0, 0), Effect::None);
        lapic.tpr = 0x30;
        assert_eq!(lapic.acknowledge(), None);
        lapic.tpr = 0x2f;
        assert_eq!(lapic.acknowledge(), Some(0x31));
    }

    #[test]
    fn the_timer_expires() {
        let mut lapic = Lapic::default();
        lapic.write(0x3e0, 11, 0);
        lapic.write(0x320, 0x2_0040, 0);
        lapic.write(0x380, 1000, 500);
        assert_eq!(lapic.next_event(), Some(1500));
        assert_eq!(lapic.read(0x390, 600), 900);
        lapic.advance(1500);
        assert_eq!(lapic.acknowledge(), Some(0x40));
        assert_eq!(lapic.next_event(), Some(2500));
    }

    #[test]
    fn switched_off_it_lets_the_pic_through() {
        let mut lapic = Lapic::default();
        lapic.write(0x350, MASKED, 0);
        assert!(!lapic.lets_pic_through());
        lapic.set_enabled(false);
        lapic.accept(0x31, false);
        assert!(lapic.lets_pic_through() && lapic.pending().is_none());
    }

    #[test]
    fn an_interrupt_to_itself() {
        let mut lapic = Lapic::default();
        assert_eq!(lapic.write(0x300, 1 << 18 | 0x55, 0), Effect::None);
        assert_eq!(lapic.pending(), Some(0x55));
        assert_eq!(lapic.write(0x300, 1 << 18 | 0x400, 0), Effect::Nmi);
    }
}
