//! QEMU's firmware-configuration device: a selector and a stream of bytes (its document "QEMU Firmware Configuration Device").

const SIGNATURE: u16 = 0;
const ID: u16 = 1;
const RAM_SIZE: u16 = 3;
const PROCESSORS: u16 = 5;
const MOST_PROCESSORS: u16 = 0xf;
const DIRECTORY: u16 = 0x19;

/// The device.
#[derive(Clone, Debug, Default)]
pub struct FwCfg {
    ram: u64,
    key: u16,
    at: usize,
}

impl FwCfg {
    /// A device that tells of `ram` bytes.
    pub fn new(ram: u64) -> FwCfg {
        FwCfg { ram, key: 0, at: 0 }
    }

    /// Selects an item.
    pub fn select(&mut self, key: u16) {
        self.key = key;
        self.at = 0;
    }

    /// The item's next byte; 0 behind its end.
    pub fn read(&mut self) -> u8 {
        let at = self.at;
        self.at += 1;
        let byte = |bytes: &[u8]| bytes.get(at).copied().unwrap_or(0);
        match self.key {
            SIGNATURE => byte(b"QEMU"),
            ID => byte(&1u32.to_le_bytes()),
            RAM_SIZE => byte(&self.ram.to_le_bytes()),
            PROCESSORS | MOST_PROCESSORS => byte(&1u16.to_le_bytes()),
            // No files.
            DIRECTORY => byte(&0u32.to_be_bytes()),
            _ => 0,
        }
    }
}
