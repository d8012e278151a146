//! Two 8259A interrupt controllers, the second behind line 2 of the first.

/// One of the two.
#[derive(Clone, Debug, Default)]
struct Chip {
    /// Lines that are requested.
    request: u8,
    /// Interrupts that are being serviced.
    service: u8,
    mask: u8,
    /// Levels of the lines.
    level: u8,
    /// Lines that are level-triggered (ELCR).
    by_level: u8,
    /// The vector of line 0.
    base: u8,
    /// The initialization word that is expected next: 2 to 4; 0 when there is none.
    expected: u8,
    needs_fourth: bool,
    auto_end: bool,
    rotate_on_end: bool,
    read_service: bool,
    poll: bool,
    special_mask: bool,
    /// The line with the lowest priority.
    lowest: u8,
}

impl Chip {
    fn new(by_level: u8) -> Chip {
        Chip { mask: 0xff, lowest: 7, by_level, ..Chip::default() }
    }

    fn set(&mut self, line: u8, high: bool) {
        let bit = 1 << line;
        let rose = high && self.level & bit == 0;
        if high {
            self.level |= bit;
            if rose || self.by_level & bit != 0 {
                self.request |= bit;
            }
        } else {
            self.level &= !bit;
            if self.by_level & bit != 0 {
                self.request &= !bit;
            }
        }
    }

    /// The line with the highest priority in a set of lines, and its rank.
    fn first(&self, lines: u8) -> Option<(u8, u8)> {
        (0..8).map(|rank| (rank, (self.lowest + 1 + rank) & 7)).find(|(_, line)| lines & 1 << line != 0)
    }

    /// The line to be delivered next.
    fn pending(&self) -> Option<u8> {
        let (rank, line) = self.first(self.request & !self.mask)?;
        let in_service = if self.special_mask { self.service & !self.mask } else { self.service };
        match self.first(in_service) {
            Some((busy, _)) if busy <= rank => None,
            _ => Some(line),
        }
    }

    fn acknowledge(&mut self, line: u8) {
        let bit = 1 << line;
        if self.by_level & bit == 0 {
            self.request &= !bit;
        }
        if self.auto_end {
            if self.rotate_on_end {
                self.lowest = line;
            }
        } else {
            self.service |= bit;
        }
    }

    fn command(&mut self, value: u8) {
        if value & 0x10 != 0 {
            let by_level = self.by_level;
            let level = self.level;
            *self = Chip { needs_fourth: value & 1 != 0, expected: 2, level, mask: 0, ..Chip::new(by_level) };
            return;
        }
        if value & 8 != 0 {
            if value & 2 != 0 {
                self.read_service = value & 1 != 0;
            }
            self.poll = value & 4 != 0;
            if value & 0x40 != 0 {
                self.special_mask = value & 0x20 != 0;
            }
            return;
        }
        let (specific, rotate, end) = (value & 0x40 != 0, value & 0x80 != 0, value & 0x20 != 0);
        let line = if specific { Some(value & 7) } else { self.first(self.service).map(|(_, line)| line) };
        match line {
            Some(line) if end => {
                self.service &= !(1 << line);
                if rotate {
                    self.lowest = line;
                }
            }
            Some(line) if specific && rotate => self.lowest = line,
            _ if !end && !specific => self.rotate_on_end = rotate,
            _ => {}
        }
    }

    fn data(&mut self, value: u8) {
        match self.expected {
            2 => {
                self.base = value & 0xf8;
                self.expected = 3;
            }
            3 => self.expected = if self.needs_fourth { 4 } else { 0 },
            4 => {
                self.auto_end = value & 2 != 0;
                self.expected = 0;
            }
            _ => self.mask = value,
        }
    }
}

/// Both controllers.
#[derive(Clone, Debug)]
pub struct Pic {
    first: Chip,
    second: Chip,
}

impl Default for Pic {
    fn default() -> Pic {
        Pic { first: Chip::new(0), second: Chip::new(0) }
    }
}

/// The line of the first controller that the second one drives.
const CASCADE: u8 = 2;

impl Pic {
    /// Sets the level of line 0 to 15.
    pub fn set(&mut self, line: u8, high: bool) {
        if line < 8 {
            self.first.set(line, high);
        } else {
            self.second.set(line - 8, high);
        }
        self.cascade();
    }

    fn cascade(&mut self) {
        let wanted = self.second.pending().is_some();
        self.first.set(CASCADE, wanted);
        if !wanted {
            self.first.request &= !(1 << CASCADE);
        }
    }

    /// The vector of the interrupt that is waiting for the processor.
    pub fn vector(&self) -> Option<u8> {
        let line = self.first.pending()?;
        let (chip, line) = if line == CASCADE { (&self.second, self.second.pending()?) } else { (&self.first, line) };
        Some(chip.base + line)
    }

    /// The processor takes the interrupt: its vector. A request that went away in the meantime is line 7, spurious.
    pub fn acknowledge(&mut self) -> u8 {
        let Some(line) = self.first.pending() else { return self.first.base + 7 };
        self.first.acknowledge(line);
        if line != CASCADE {
            return self.first.base + line;
        }
        let vector = match self.second.pending() {
            Some(line) => {
                self.second.acknowledge(line);
                self.second.base + line
            }
            None => self.second.base + 7,
        };
        self.cascade();
        vector
    }

    /// Reads a port.
    pub fn read(&mut self, port: u16) -> u8 {
        let chip = if matches!(port, 0x20 | 0x21 | 0x4d0) { &mut self.first } else { &mut self.second };
        match port {
            0x20 | 0xa0 if chip.poll => {
                chip.poll = false;
                match chip.pending() {
                    Some(line) => {
                        chip.acknowledge(line);
                        0x80 | line
                    }
                    None => 0,
                }
            }
            0x20 | 0xa0 if chip.read_service => chip.service,
            0x20 | 0xa0 => chip.request,
            0x21 | 0xa1 => chip.mask,
            _ => chip.by_level,
        }
    }

    /// Writes a port.
    pub fn write(&mut self, port: u16, value: u8) {
        let chip = if matches!(port, 0x20 | 0x21 | 0x4d0) { &mut self.first } else { &mut self.second };
        match port {
            0x20 | 0xa0 => chip.command(value),
            0x21 | 0xa1 => chip.data(value),
            // Lines 0, 1, 2, 8 and 13 are edge-triggered always.
            0x4d0 => chip.by_level = value & 0xf8,
            _ => chip.by_level = value & 0xde,
        }
        self.cascade();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready() -> Pic {
        let mut pic = Pic::default();
        for (port, value) in
            [(0x20, 0x11), (0x21, 0x20), (0x21, 4), (0x21, 1), (0xa0, 0x11), (0xa1, 0x28), (0xa1, 2), (0xa1, 1)]
        {
            pic.write(port, value);
        }
        pic
    }

    #[test]
    fn priorities_and_ends() {
        let mut pic = ready();
        pic.set(4, true);
        pic.set(1, true);
        assert_eq!(pic.acknowledge(), 0x21);
        assert_eq!(pic.vector(), None);
        pic.write(0x20, 0x20);
        assert_eq!(pic.acknowledge(), 0x24);
        // An edge is one request.
        pic.write(0x20, 0x20);
        assert_eq!(pic.vector(), None);
    }

    #[test]
    fn the_second_controller_goes_through_the_first() {
        let mut pic = ready();
        pic.write(0x21, 0xfb);
        pic.set(8, true);
        assert_eq!(pic.vector(), Some(0x28));
        assert_eq!(pic.acknowledge(), 0x28);
        pic.write(0xa0, 0x20);
        pic.write(0x20, 0x20);
        assert_eq!(pic.vector(), None);
        assert_eq!(pic.acknowledge(), 0x27);
    }

    #[test]
    fn masked_lines_wait() {
        let mut pic = ready();
        pic.write(0x21, 0xff);
        pic.set(0, true);
        assert_eq!(pic.vector(), None);
        pic.write(0x21, 0xfe);
        assert_eq!(pic.acknowledge(), 0x20);
    }
}
