//! Devices of a PC, as far as kernels without a firmware use them. [`super::bus`] wires them.
//!
//! Time is virtual, in nanoseconds, one for each instruction. A device does nothing by itself: it answers accesses, says when it
//! next wants to be looked at, and is then told the time.

pub mod fw_cfg;
pub mod ioapic;
pub mod lapic;
pub mod pic;
pub mod pit;
pub mod rtc;
pub mod serial;
