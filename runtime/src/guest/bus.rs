//! The bus: which device answers at which port and address, and which line it drives.

use super::device::fw_cfg::FwCfg;
use super::device::ioapic::{self, Ioapic};
use super::device::lapic::{self, Effect, Lapic};
use super::device::pic::Pic;
use super::device::pit::Pit;
use super::device::rtc::Rtc;
use super::device::serial::{self, Serial};

/// What a write to a port asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request {
    /// Nothing.
    None,
    /// A reset of the machine.
    Reset,
    /// The end, with a value.
    Exit(u32),
}

/// Whoever decides: a line of the PIC and of the I/O APIC.
mod line {
    pub const TIMER: u8 = 0;
    pub const SERIAL: u8 = 4;
    pub const CLOCK: u8 = 8;
}

/// The debug-exit port.
pub const DEBUG_EXIT: u16 = 0xf4;

/// The devices, without what cannot be copied.
#[derive(Clone, Debug, Default)]
pub struct Devices {
    /// The local APIC.
    pub lapic: Lapic,
    ioapic: Ioapic,
    pic: Pic,
    pit: Pit,
    rtc: Rtc,
    fw_cfg: FwCfg,
    /// A non-maskable interrupt is waiting.
    pub nmi: bool,
    /// Bits of port 92h.
    system: u8,
}

/// The bus with all devices.
#[derive(Debug)]
pub struct Bus {
    /// All but the serial port.
    pub devices: Devices,
    /// The first serial port.
    pub serial: Serial,
}

/// The state of all devices.
#[derive(Clone, Debug)]
pub struct Saved {
    devices: Devices,
    serial: serial::Saved,
}

impl Bus {
    /// The devices of a machine with `ram` bytes of RAM.
    pub fn new(ram: u64) -> Bus {
        let devices = Devices { rtc: Rtc::new(ram), fw_cfg: FwCfg::new(ram), system: 2, ..Devices::default() };
        Bus { devices, serial: Serial::default() }
    }

    /// The state, to be restored.
    pub fn save(&self) -> Saved {
        Saved { devices: self.devices.clone(), serial: self.serial.save() }
    }

    /// Restores a state.
    pub fn restore(&mut self, saved: &Saved) {
        self.devices = saved.devices.clone();
        self.serial.restore(&saved.serial);
    }

    /// Reads a port, or `None` where nothing is. Wide accesses are bytes of neighbouring ports, but for fw_cfg's.
    pub fn port_in(&mut self, now: u64, port: u16, size: u8) -> Option<u32> {
        let mut value = 0;
        let mut answered = false;
        for n in 0..u16::from(size) {
            let byte = self.byte_in(now, port.wrapping_add(n));
            answered |= byte.is_some();
            value |= u32::from(byte.unwrap_or(0xff)) << (8 * n);
        }
        self.lines();
        answered.then_some(value)
    }

    fn byte_in(&mut self, now: u64, port: u16) -> Option<u8> {
        let devices = &mut self.devices;
        Some(match port {
            0x20 | 0x21 | 0xa0 | 0xa1 | 0x4d0 | 0x4d1 => devices.pic.read(port),
            0x40..=0x43 | 0x61 => devices.pit.read(port, now),
            // The keyboard controller: no key, ready for a command.
            0x60 | 0x64 => 0,
            0x70 => 0xff,
            0x71 => devices.rtc.read(now),
            0x92 => devices.system,
            DEBUG_EXIT => 0,
            0x3f8..=0x3ff => self.serial.read((port - 0x3f8) as u8),
            0x510 => 0,
            0x511 => devices.fw_cfg.read(),
            _ => return None,
        })
    }

    /// Writes a port. Where nothing is, nothing happens.
    pub fn port_out(&mut self, now: u64, port: u16, size: u8, value: u32) -> Request {
        match port {
            DEBUG_EXIT => return Request::Exit(value),
            0x510 if size >= 2 => self.devices.fw_cfg.select(value as u16),
            0xcf9 if value & 4 != 0 => return Request::Reset,
            // The keyboard controller pulses the reset line; port 92h does it by bit 0.
            0x64 if value & 0xff == 0xfe => return Request::Reset,
            0x92 if value & 1 != 0 => return Request::Reset,
            _ => {
                for n in 0..u16::from(size) {
                    self.byte_out(now, port.wrapping_add(n), (value >> (8 * n)) as u8);
                }
            }
        }
        self.lines();
        Request::None
    }

    fn byte_out(&mut self, now: u64, port: u16, value: u8) {
        let devices = &mut self.devices;
        match port {
            0x20 | 0x21 | 0xa0 | 0xa1 | 0x4d0 | 0x4d1 => devices.pic.write(port, value),
            0x40..=0x43 | 0x61 => devices.pit.write(port, value, now),
            0x70 | 0x71 => devices.rtc.write(port, value, now),
            0x92 => devices.system = value & !1,
            0x3f8..=0x3ff => self.serial.write((port - 0x3f8) as u8, value),
            _ => {}
        }
    }

    /// Reads a device's register in physical memory, or `None` where nothing is.
    pub fn memory_in(&mut self, now: u64, address: u64) -> Option<u32> {
        match address & !0xfff {
            lapic::BASE if self.devices.lapic.enabled() => Some(self.devices.lapic.read(address - lapic::BASE, now)),
            ioapic::BASE => Some(self.devices.ioapic.read(address - ioapic::BASE)),
            _ => None,
        }
    }

    /// Writes a device's register in physical memory. Answers whether anything is there.
    pub fn memory_out(&mut self, now: u64, address: u64, value: u32) -> bool {
        let devices = &mut self.devices;
        match address & !0xfff {
            lapic::BASE if devices.lapic.enabled() => match devices.lapic.write(address - lapic::BASE, value, now) {
                Effect::None => {}
                Effect::EndOf(vector) => devices.ioapic.end(vector, &mut devices.lapic),
                Effect::Nmi => devices.nmi = true,
            },
            ioapic::BASE => devices.ioapic.write(address - ioapic::BASE, value, &mut devices.lapic),
            _ => return false,
        }
        true
    }

    /// Raises a line and lowers it again.
    fn pulse(&mut self, line: u8) {
        let devices = &mut self.devices;
        // The timer is line 2 of the I/O APIC.
        let pin = if line == line::TIMER { 2 } else { line };
        for high in [true, false] {
            devices.pic.set(line, high);
            devices.ioapic.set(pin, high, &mut devices.lapic);
        }
    }

    /// Delivers what devices have raised.
    fn lines(&mut self) {
        if self.serial.interrupted() {
            self.pulse(line::SERIAL);
        }
    }

    /// Input for the serial port.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.serial.receive(bytes);
        self.lines();
    }

    /// Tells the devices the time.
    pub fn advance(&mut self, now: u64) {
        if self.devices.pit.advance(now) {
            self.pulse(line::TIMER);
        }
        if self.devices.rtc.advance(now) {
            self.pulse(line::CLOCK);
        }
        self.devices.lapic.advance(now);
        self.lines();
    }

    /// When a device next wants to be told the time.
    pub fn next_event(&self) -> Option<u64> {
        let devices = &self.devices;
        [devices.pit.next_event(), devices.rtc.next_event(), devices.lapic.next_event()].into_iter().flatten().min()
    }

    /// The vector of the interrupt that is waiting for the processor.
    pub fn pending(&self) -> Option<u8> {
        let devices = &self.devices;
        let of_pic = devices.pic.vector().filter(|_| devices.lapic.lets_pic_through());
        of_pic.or_else(|| devices.lapic.pending())
    }

    /// The processor takes the interrupt that is waiting: its vector.
    pub fn acknowledge(&mut self) -> Option<u8> {
        let devices = &mut self.devices;
        if devices.pic.vector().is_some() && devices.lapic.lets_pic_through() {
            return Some(devices.pic.acknowledge());
        }
        devices.lapic.acknowledge()
    }
}
