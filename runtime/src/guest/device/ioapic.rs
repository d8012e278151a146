//! The I/O APIC: 24 lines, each with an entry that says which vector it raises.

use super::lapic::Lapic;

/// Where its registers lie.
pub const BASE: u64 = 0xfec0_0000;

const LINES: usize = 24;
const MASKED: u64 = 1 << 16;
const BY_LEVEL: u64 = 1 << 15;
/// The interrupt was accepted, and its end has not been seen.
const ACCEPTED: u64 = 1 << 14;
const LOGICAL: u64 = 1 << 11;

/// The I/O APIC.
#[derive(Clone, Debug)]
pub struct Ioapic {
    select: u8,
    id: u32,
    entries: [u64; LINES],
    levels: u32,
}

impl Default for Ioapic {
    fn default() -> Ioapic {
        Ioapic { select: 0, id: 0, entries: [MASKED; LINES], levels: 0 }
    }
}

impl Ioapic {
    /// Sets the level of a line.
    pub fn set(&mut self, line: u8, high: bool, lapic: &mut Lapic) {
        let bit = 1 << line;
        let rose = high && self.levels & bit == 0;
        self.levels = if high { self.levels | bit } else { self.levels & !bit };
        if rose || high && self.entries[usize::from(line)] & BY_LEVEL != 0 {
            self.deliver(line.into(), lapic);
        }
    }

    fn deliver(&mut self, line: usize, lapic: &mut Lapic) {
        let entry = &mut self.entries[line];
        let by_level = *entry & BY_LEVEL != 0;
        let kind = *entry >> 8 & 7;
        if *entry & MASKED != 0 || by_level && *entry & ACCEPTED != 0 || kind > 1 {
            return;
        }
        if lapic.is_destination((*entry >> 56) as u8, *entry & LOGICAL != 0) {
            lapic.accept(*entry as u8, by_level);
            *entry |= if by_level { ACCEPTED } else { 0 };
        }
    }

    /// The end of an interrupt was signalled: a line that is still high raises it again.
    pub fn end(&mut self, vector: u8, lapic: &mut Lapic) {
        for line in 0..LINES {
            let entry = &mut self.entries[line];
            if *entry as u8 == vector && *entry & BY_LEVEL != 0 {
                *entry &= !ACCEPTED;
                if self.levels & 1 << line != 0 {
                    self.deliver(line, lapic);
                }
            }
        }
    }

    /// Reads a register.
    pub fn read(&self, offset: u64) -> u32 {
        match (offset, self.select) {
            (0, select) => select.into(),
            // The arbitration's number is that of the device.
            (0x10, 0 | 2) => self.id,
            (0x10, 1) => (LINES as u32 - 1) << 16 | 0x11,
            (0x10, 0x10..=0x3f) => {
                let entry = self.entries[usize::from(self.select - 0x10) / 2];
                if self.select & 1 == 0 { entry as u32 } else { (entry >> 32) as u32 }
            }
            _ => 0,
        }
    }

    /// Writes a register.
    pub fn write(&mut self, offset: u64, value: u32, lapic: &mut Lapic) {
        match (offset, self.select) {
            (0, _) => self.select = value as u8,
            (0x10, 0) => self.id = value & 0x0f00_0000,
            (0x10, 0x10..=0x3f) => {
                let line = usize::from(self.select - 0x10) / 2;
                let old = self.entries[line];
                let fixed = ACCEPTED | 1 << 12;
                self.entries[line] = if self.select & 1 == 0 {
                    old & (0xffff_ffff << 32 | fixed) | u64::from(value) & 0x1_ffff & !fixed
                } else {
                    old & 0xffff_ffff | u64::from(value & 0xff00_0000) << 32
                };
                if self.entries[line] & BY_LEVEL == 0 {
                    self.entries[line] &= !ACCEPTED;
                } else if self.levels & 1 << line != 0 {
                    self.deliver(line, lapic);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_raised_again_until_it_is_low() {
        let (mut ioapic, mut lapic) = (Ioapic::default(), Lapic::default());
        ioapic.write(0, 0x10 + 2 * 9, &mut lapic);
        ioapic.write(0x10, 0x8041, &mut lapic);
        ioapic.set(9, true, &mut lapic);
        assert_eq!(lapic.acknowledge(), Some(0x41));
        lapic.write(0xb0, 0, 0);
        ioapic.end(0x41, &mut lapic);
        assert_eq!(lapic.acknowledge(), Some(0x41));
        ioapic.set(9, false, &mut lapic);
        lapic.write(0xb0, 0, 0);
        ioapic.end(0x41, &mut lapic);
        assert_eq!(lapic.acknowledge(), None);
    }
}
