//! Why a run ended, and what can go wrong before one.

use std::fmt;

use perilune_runtime::guest::exit::{Detail, Exit as Raw, Reason};
use perilune_runtime::guest::{image, memory, snapshot};

/// How long a run may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Budget {
    /// Exactly so many instructions, unless something else ends the run before. A repeated string instruction counts once for each
    /// page that it touches; time in which the processor is halted counts a nanosecond as an instruction.
    Instructions(u64),
    /// Until something else ends it.
    Unlimited,
}

/// Why a run ended. rip stands behind the last instruction that was executed, but for the exits that say otherwise: there it stands at
/// the instruction that exited, which has had no effect yet; [`skip`](super::Machine::skip) or
/// [`emulate`](super::Machine::emulate) goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// The budget is used up.
    Budget,
    /// Halted, and nothing will ever wake it.
    Halted,
    /// An exception while a double fault was delivered.
    TripleFault,
    /// The guest asked for a reset.
    Reset,
    /// The guest wrote this to the debug-exit port, F4h.
    Debug(u32),
    /// [`Stop`](super::Machine::stopper) was used.
    Stopped,
    /// At the instruction: it reads a port.
    PortIn {
        /// The port.
        port: u16,
        /// 1, 2 or 4 bytes.
        size: u8,
    },
    /// At the instruction: it writes a port.
    PortOut {
        /// The port.
        port: u16,
        /// 1, 2 or 4 bytes.
        size: u8,
        /// What it writes.
        value: u32,
    },
    /// At the instruction: it reads or writes physical memory where nothing is.
    Mmio {
        /// The address.
        address: u64,
        /// Bytes.
        size: u8,
        /// What it writes.
        value: Option<u64>,
    },
    /// Behind the instruction: it accessed memory that is watched.
    Access {
        /// The address, as the instruction uses it.
        address: u64,
        /// Bytes.
        size: u8,
        /// What was read or written; of more than 8 bytes, the first 8.
        value: u64,
        /// It was a write.
        write: bool,
    },
    /// At the instruction: VMCALL or VMMCALL.
    Hypercall,
    /// At the instruction: it raised an exception, which is about to be delivered.
    Exception {
        /// The vector.
        vector: u8,
        /// The error code.
        code: u32,
    },
    /// At the instruction: an intercepted one of another kind.
    Intercepted {
        /// What kind.
        reason: Reason,
        /// The number of the register, MSR or vector that it is about; 0 if none.
        number: u32,
        /// What it is about to write there.
        value: Option<u64>,
    },
}

impl From<Raw> for Exit {
    fn from(raw: Raw) -> Exit {
        match (raw.reason, raw.detail) {
            (Reason::Budget, _) => Exit::Budget,
            (Reason::Halted, _) => Exit::Halted,
            (Reason::TripleFault, _) => Exit::TripleFault,
            (Reason::Reset, _) => Exit::Reset,
            (Reason::Stopped, _) => Exit::Stopped,
            (Reason::Hypercall, _) => Exit::Hypercall,
            (Reason::PortIn, Detail::Port { port, size, .. }) => Exit::PortIn { port, size },
            (Reason::PortOut, Detail::Port { port, size, value }) => Exit::PortOut { port, size, value },
            (_, Detail::Value(value)) => Exit::Debug(value),
            (_, Detail::Access { address, size, value, write }) => Exit::Access { address, size, value, write },
            (_, Detail::Physical { address, size, value }) => Exit::Mmio { address, size, value },
            (_, Detail::Exception(e)) => Exit::Exception { vector: e.vector, code: e.code },
            (reason, Detail::Register { number, value }) => Exit::Intercepted { reason, number, value },
            (reason, Detail::Vector(vector)) => Exit::Intercepted { reason, number: vector.into(), value: None },
            (reason, Detail::None | Detail::Port { .. }) => Exit::Intercepted { reason, number: 0, value: None },
        }
    }
}

impl Exit {
    /// The kind of what the guest was about to do, or `None` when the run is over for another reason.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Exit::Budget | Exit::Halted | Exit::TripleFault | Exit::Reset | Exit::Debug(_) | Exit::Stopped => None,
            Exit::PortIn { .. } => Some(Reason::PortIn),
            Exit::PortOut { .. } => Some(Reason::PortOut),
            Exit::Mmio { .. } => Some(Reason::Mmio),
            Exit::Access { .. } => Some(Reason::Watch),
            Exit::Hypercall => Some(Reason::Hypercall),
            Exit::Exception { .. } => Some(Reason::Exception),
            Exit::Intercepted { reason, .. } => Some(*reason),
        }
    }
}

/// What can go wrong in setting a machine up.
#[derive(Debug)]
pub enum Error {
    /// There is no memory of that size.
    Memory(memory::Error),
    /// The image cannot be loaded.
    Image(image::Error),
    /// The snapshot is one of another machine.
    Snapshot(snapshot::OtherSize),
    /// There is no RAM or ROM, or no translation, at an address.
    Address(u64),
    /// There is no room for machine code; without translation the machine can be had.
    Translator(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Memory(error) => error.fmt(f),
            Error::Image(error) => error.fmt(f),
            Error::Snapshot(error) => error.fmt(f),
            Error::Address(address) => write!(f, "nothing is mapped at {address:#x}"),
            Error::Translator(why) => write!(f, "the translator: {why}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<memory::Error> for Error {
    fn from(error: memory::Error) -> Error {
        Error::Memory(error)
    }
}

impl From<snapshot::OtherSize> for Error {
    fn from(error: snapshot::OtherSize) -> Error {
        Error::Snapshot(error)
    }
}

impl From<image::Error> for Error {
    fn from(error: image::Error) -> Error {
        Error::Image(error)
    }
}
