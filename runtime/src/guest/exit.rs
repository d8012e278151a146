//! VM exits: every way in which the processor leaves the instruction stream of the guest and asks its monitor.
//!
//! One table gives for each reason its name and what it means. The monitor of the interpreter emulates what is not
//! intercepted; what is intercepted, and what nobody can emulate (budget, halt, shutdown), goes to whoever called `run`.

use super::exception::Exception;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal;)*) => {
        /// Why the processor left the guest.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum Reason {
            $($(#[doc = $doc])* $name,)*
        }

        impl Reason {
            /// All reasons, in the order of their numbers.
            pub const ALL: &'static [Reason] = &[$(Reason::$name,)*];

            /// The name, as options and statistics print it.
            pub const fn name(self) -> &'static str {
                match self { $(Reason::$name => $text,)* }
            }
        }
    };
}

reasons! {
    /// INVD, WBINVD.
    CacheControl = "cache-control";
    /// CPUID.
    Cpuid = "cpuid";
    /// RDTSC, RDTSCP.
    Rdtsc = "rdtsc";
    /// RDPMC.
    Rdpmc = "rdpmc";
    /// RDMSR.
    Rdmsr = "rdmsr";
    /// WRMSR.
    Wrmsr = "wrmsr";
    /// MOV from a control register.
    ReadControl = "read-control";
    /// MOV to a control register, CLTS, LMSW.
    WriteControl = "write-control";
    /// SMSW: sensitive, not privileged.
    Smsw = "smsw";
    /// MOV from a debug register.
    ReadDebug = "read-debug";
    /// MOV to a debug register.
    WriteDebug = "write-debug";
    /// SGDT, SIDT: sensitive, not privileged.
    StoreTable = "store-table";
    /// LGDT, LIDT.
    LoadTable = "load-table";
    /// SLDT, STR: sensitive, not privileged.
    StoreTask = "store-task";
    /// LLDT, LTR.
    LoadTask = "load-task";
    /// LAR, LSL, VERR, VERW: sensitive, not privileged.
    SegmentQuery = "segment-query";
    /// INVLPG, INVPCID.
    Invlpg = "invlpg";
    /// PUSHF: sensitive, not privileged.
    Pushf = "pushf";
    /// POPF: sensitive, not privileged.
    Popf = "popf";
    /// CLI, STI.
    InterruptFlag = "interrupt-flag";
    /// IRET.
    Iret = "iret";
    /// INT n, INT3, INTO.
    SoftwareInterrupt = "software-interrupt";
    /// SWAPGS.
    Swapgs = "swapgs";
    /// SYSCALL, SYSENTER.
    Syscall = "syscall";
    /// SYSRET, SYSEXIT.
    Sysret = "sysret";
    /// IN, INS.
    PortIn = "port-in";
    /// OUT, OUTS.
    PortOut = "port-out";
    /// HLT.
    Hlt = "hlt";
    /// PAUSE.
    Pause = "pause";
    /// VMCALL, VMMCALL: a hypercall. Number in rax, arguments in rdi, rsi, rdx, r10, r8, r9; answer in rax.
    Hypercall = "hypercall";
    /// An exception is about to be delivered.
    Exception = "exception";
    /// An external interrupt is about to be delivered.
    Interrupt = "interrupt";
    /// A block is about to be executed.
    Block = "block";
    /// An instruction is about to be executed.
    Instruction = "instruction";
    /// Memory that is watched was accessed, by the instruction before rip.
    Watch = "watch";
    /// An access to physical memory that is neither RAM nor ROM.
    Mmio = "mmio";
    /// The budget of instructions is used up.
    Budget = "budget";
    /// Halted, and no device will ever raise an interrupt.
    Halted = "halted";
    /// An exception during a double fault.
    TripleFault = "triple-fault";
    /// The guest asked for a reset.
    Reset = "reset";
    /// The guest wrote to the debug-exit port.
    DebugExit = "debug-exit";
    /// The monitor asked for a stop.
    Stopped = "stopped";
}

/// A set of reasons.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reasons(u64);

const _: () = assert!(Reason::ALL.len() <= 64);

impl Reasons {
    /// No reason.
    pub const NONE: Reasons = Reasons(0);

    /// The set with `reason`.
    pub const fn with(self, reason: Reason) -> Reasons {
        Reasons(self.0 | 1 << reason as u8)
    }

    /// The set without `reason`.
    pub const fn without(self, reason: Reason) -> Reasons {
        Reasons(self.0 & !(1 << reason as u8))
    }

    /// Whether `reason` is in the set.
    pub const fn contains(self, reason: Reason) -> bool {
        self.0 & 1 << reason as u8 != 0
    }
}

/// What there is to know about an exit beside its reason and the registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Detail {
    /// Nothing.
    #[default]
    None,
    /// A port: its number and the access's size in bytes; for a write, the value.
    Port {
        /// The port.
        port: u16,
        /// 1, 2 or 4.
        size: u8,
        /// The value of a write.
        value: u32,
    },
    /// A physical address that nothing answers at.
    Physical {
        /// The guest-physical address.
        address: u64,
        /// 1, 2, 4 or 8.
        size: u8,
        /// The value of a write.
        value: Option<u64>,
    },
    /// An access to memory that is watched.
    Access {
        /// The guest-virtual address.
        address: u64,
        /// Bytes.
        size: u8,
        /// What was read or written; of more than 8 bytes, the first 8.
        value: u64,
        /// It was a write.
        write: bool,
    },
    /// A control or debug register, or the number of an MSR, and what is about to be written to it.
    Register {
        /// The register's number.
        number: u32,
        /// The value of a write.
        value: Option<u64>,
    },
    /// An exception.
    Exception(Exception),
    /// The vector of an interrupt.
    Vector(u8),
    /// What the guest wrote to the debug-exit port.
    Value(u32),
}

/// A VM exit. The guest's rip stands at the instruction that exited, which has had no effect yet; for a budget, a halt, a debug
/// exit and a reset it stands behind the last instruction that was executed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exit {
    /// Why.
    pub reason: Reason,
    /// What else there is to know.
    pub detail: Detail,
}

/// How often each reason occurred, whether it was intercepted or not.
#[derive(Clone, Debug)]
pub struct Counters([u64; Reason::ALL.len()]);

impl Default for Counters {
    fn default() -> Counters {
        Counters([0; Reason::ALL.len()])
    }
}

impl Counters {
    /// Counts an exit.
    #[inline]
    pub fn count(&mut self, reason: Reason) {
        self.0[reason as usize] += 1;
    }

    /// How often `reason` occurred.
    pub fn get(&self, reason: Reason) -> u64 {
        self.0[reason as usize]
    }

    /// The reasons that occurred, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        Reason::ALL.iter().map(|r| (*r, self.get(*r))).filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        let set = Reasons::NONE.with(Reason::Cpuid).with(Reason::Stopped);
        assert!(set.contains(Reason::Cpuid) && set.contains(Reason::Stopped) && !set.contains(Reason::Hlt));
        assert_eq!(set.without(Reason::Cpuid).without(Reason::Stopped), Reasons::NONE);
    }
}
