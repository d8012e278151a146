//! The state of the processor, as compiled code sees it: all `#[repr(C)]`, all offsets in [`super::layout`].
//!
//! Names are those of the AMD64 Architecture Programmer's Manual (APM). Registers hold what the guest would read; nothing is kept in
//! another form on the side, but for [`Cpu::mode`], which is computed from them by [`Cpu::update_mode`].

use std::fmt;

/// Bits of rflags.
pub mod flag {
    /// Carry.
    pub const CF: u64 = 1;
    /// Parity of the low byte.
    pub const PF: u64 = 1 << 2;
    /// Carry out of bit 3.
    pub const AF: u64 = 1 << 4;
    /// Zero.
    pub const ZF: u64 = 1 << 6;
    /// Sign.
    pub const SF: u64 = 1 << 7;
    /// Single step.
    pub const TF: u64 = 1 << 8;
    /// Interrupts are let in.
    pub const IF: u64 = 1 << 9;
    /// String instructions go downwards.
    pub const DF: u64 = 1 << 10;
    /// Signed overflow.
    pub const OF: u64 = 1 << 11;
    /// The privilege level for ports.
    pub const IOPL: u64 = 3 << 12;
    /// Nested task.
    pub const NT: u64 = 1 << 14;
    /// No instruction breakpoint for one instruction.
    pub const RF: u64 = 1 << 16;
    /// Virtual-8086 mode.
    pub const VM: u64 = 1 << 17;
    /// Alignment check; with SMAP, access to user pages.
    pub const AC: u64 = 1 << 18;
    /// Virtual interrupt flag.
    pub const VIF: u64 = 1 << 19;
    /// Virtual interrupt pending.
    pub const VIP: u64 = 1 << 20;
    /// CPUID is there.
    pub const ID: u64 = 1 << 21;
    /// The bit that is always set.
    pub const FIXED: u64 = 2;
    /// The six flags that arithmetic sets.
    pub const ARITHMETIC: u64 = CF | PF | AF | ZF | SF | OF;
}

/// Bits of cr0.
pub mod cr0 {
    /// Protected mode.
    pub const PE: u64 = 1;
    /// WAIT raises #NM when TS is set.
    pub const MP: u64 = 1 << 1;
    /// No x87.
    pub const EM: u64 = 1 << 2;
    /// Task switched: x87 and SSE raise #NM.
    pub const TS: u64 = 1 << 3;
    /// Always set.
    pub const ET: u64 = 1 << 4;
    /// x87 errors raise #MF.
    pub const NE: u64 = 1 << 5;
    /// Supervisor writes respect read-only pages.
    pub const WP: u64 = 1 << 16;
    /// Alignment checks are possible.
    pub const AM: u64 = 1 << 18;
    /// Not write-through.
    pub const NW: u64 = 1 << 29;
    /// Cache disabled.
    pub const CD: u64 = 1 << 30;
    /// Paging.
    pub const PG: u64 = 1 << 31;
}

/// Bits of cr4.
pub mod cr4 {
    /// Virtual-8086 extensions.
    pub const VME: u64 = 1;
    /// Protected-mode virtual interrupts.
    pub const PVI: u64 = 1 << 1;
    /// RDTSC is privileged.
    pub const TSD: u64 = 1 << 2;
    /// Debugging extensions.
    pub const DE: u64 = 1 << 3;
    /// Pages of 4 MiB.
    pub const PSE: u64 = 1 << 4;
    /// Physical addresses of more than 32 bits.
    pub const PAE: u64 = 1 << 5;
    /// Machine check.
    pub const MCE: u64 = 1 << 6;
    /// Global pages.
    pub const PGE: u64 = 1 << 7;
    /// RDPMC at any privilege.
    pub const PCE: u64 = 1 << 8;
    /// SSE and FXSAVE.
    pub const OSFXSR: u64 = 1 << 9;
    /// SSE exceptions raise #XM.
    pub const OSXMMEXCPT: u64 = 1 << 10;
    /// No SGDT, SIDT, SLDT, STR, SMSW for user code.
    pub const UMIP: u64 = 1 << 11;
    /// RDFSBASE and the like.
    pub const FSGSBASE: u64 = 1 << 16;
    /// PCIDs.
    pub const PCIDE: u64 = 1 << 17;
    /// The supervisor does not execute user pages.
    pub const SMEP: u64 = 1 << 20;
    /// The supervisor does not touch user pages, but with AC set.
    pub const SMAP: u64 = 1 << 21;
}

/// Bits of the EFER register.
pub mod efer {
    /// SYSCALL and SYSRET.
    pub const SCE: u64 = 1;
    /// Long mode is enabled.
    pub const LME: u64 = 1 << 8;
    /// Long mode is active.
    pub const LMA: u64 = 1 << 10;
    /// No-execute pages.
    pub const NXE: u64 = 1 << 11;
}

/// Numbers of the general registers, as instructions encode them.
pub mod gpr {
    #![allow(missing_docs, reason = "the names of the registers")]
    pub const RAX: usize = 0;
    pub const RCX: usize = 1;
    pub const RDX: usize = 2;
    pub const RBX: usize = 3;
    pub const RSP: usize = 4;
    pub const RBP: usize = 5;
    pub const RSI: usize = 6;
    pub const RDI: usize = 7;
}

/// Numbers of the segment registers, as instructions encode them.
pub mod seg {
    #![allow(missing_docs, reason = "the names of the registers")]
    pub const ES: usize = 0;
    pub const CS: usize = 1;
    pub const SS: usize = 2;
    pub const DS: usize = 3;
    pub const FS: usize = 4;
    pub const GS: usize = 5;
}

/// A segment register with its hidden part.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(C)]
pub struct Segment {
    /// The selector.
    pub selector: u16,
    /// Bits 0 to 7: byte 5 of the descriptor (type, S, DPL, P); bits 8 to 11: AVL, L, D/B, G.
    pub attributes: u16,
    /// The limit in bytes; granularity is applied.
    pub limit: u32,
    /// The base.
    pub base: u64,
}

impl Segment {
    /// Bit of [`Segment::attributes`]: data may be written, code may be read.
    pub const WRITABLE: u16 = 1 << 1;
    /// Data grows downwards, code is conforming.
    pub const EXPAND_DOWN: u16 = 1 << 2;
    /// Code.
    pub const CODE: u16 = 1 << 3;
    /// Code or data, not a system segment.
    pub const CODE_OR_DATA: u16 = 1 << 4;
    /// Present.
    pub const PRESENT: u16 = 1 << 7;
    /// 64-bit code.
    pub const LONG: u16 = 1 << 9;
    /// 32-bit operands, addresses or stack.
    pub const BIG: u16 = 1 << 10;
    /// The limit counts pages.
    pub const PAGES: u16 = 1 << 11;

    /// The segment that `selector` means in real mode.
    pub fn real(selector: u16) -> Segment {
        Segment { selector, attributes: 0x93, limit: 0xffff, base: u64::from(selector) << 4 }
    }

    /// The privilege level of the descriptor.
    pub fn dpl(&self) -> u8 {
        (self.attributes >> 5 & 3) as u8
    }

    /// Whether `bit` of the attributes is set.
    pub fn has(&self, bit: u16) -> bool {
        self.attributes & bit != 0
    }
}

/// GDTR or IDTR.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(C)]
pub struct TableRegister {
    /// The linear address of the table.
    pub base: u64,
    /// The offset of its last byte.
    pub limit: u16,
}

/// The x87 and SSE registers, in the layout that FXSAVE has in 64-bit mode (APM volume 2, figure 11-5), so that FXSAVE is a copy and
/// the host can load it as it is.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Fx {
    /// Control word.
    pub control: u16,
    /// Status word.
    pub status: u16,
    /// One bit for each physical register that is not empty.
    pub tag: u8,
    reserved: u8,
    /// The last opcode.
    pub opcode: u16,
    /// The address of the last instruction.
    pub instruction: u64,
    /// The address of the last memory operand.
    pub data: u64,
    /// SSE control and status.
    pub mxcsr: u32,
    /// The bits of MXCSR that exist.
    pub mxcsr_mask: u32,
    /// ST0 to ST7, ten bytes each.
    pub st: [[u8; 16]; 8],
    /// XMM0 to XMM15.
    pub xmm: [u128; 16],
    rest: [u8; 96],
}

const _: () = assert!(size_of::<Fx>() == 512);

/// The bits of MXCSR that exist: all sixteen.
pub const MXCSR_MASK: u32 = 0xffff;

impl Default for Fx {
    fn default() -> Fx {
        Fx {
            control: 0x37f,
            status: 0,
            tag: 0,
            reserved: 0,
            opcode: 0,
            instruction: 0,
            data: 0,
            mxcsr: 0x1f80,
            mxcsr_mask: MXCSR_MASK,
            st: [[0; 16]; 8],
            xmm: [0; 16],
            rest: [0; 96],
        }
    }
}

impl fmt::Debug for Fx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fx")
            .field("control", &self.control)
            .field("status", &self.status)
            .field("tag", &self.tag)
            .field("mxcsr", &self.mxcsr)
            .field("st", &self.st)
            .field("xmm", &self.xmm)
            .finish_non_exhaustive()
    }
}

/// Bits of [`Cpu::mode`]: all that the meaning of an instruction's bytes depends on, and that blocks are therefore keyed by.
pub mod mode {
    /// The width of code: 0 for 16 bits, 1 for 32, 2 for 64.
    pub const WIDTH: u32 = 3;
    /// [`WIDTH`] of 32-bit code.
    pub const BITS_32: u32 = 1;
    /// [`WIDTH`] of 64-bit code.
    pub const BITS_64: u32 = 2;
    /// CPL 3.
    pub const USER: u32 = 1 << 2;
    /// CR0.PE is clear.
    pub const REAL: u32 = 1 << 3;
    /// x87 and MMX instructions raise nothing (CR0.EM and CR0.TS are clear).
    pub const X87: u32 = 1 << 4;
    /// SSE instructions raise nothing (likewise, and CR4.OSFXSR is set).
    pub const SSE: u32 = 1 << 5;
    /// The stack pointer has 32 bits, outside of 64-bit mode.
    pub const STACK_32: u32 = 1 << 6;
    /// Outside of 64-bit mode: ES, CS, SS, DS have base 0 and limit 4 GiB, and may be read and written (CS: read).
    pub const FLAT: u32 = 1 << 7;
    /// Single step: TF is set.
    pub const STEP: u32 = 1 << 8;
}

/// Bits of [`Cpu::attention`]: why the dispatch loop should look up before the next instruction.
pub mod attention {
    /// Code that somebody had decoded was modified.
    pub const CODE: u32 = 1;
    /// A device may have an interrupt to deliver, or the flag that lets it in has changed.
    pub const INTERRUPT: u32 = 1 << 1;
    /// The device timers have to be looked at.
    pub const TIMER: u32 = 1 << 2;
    /// The translation of addresses or the mode has changed: what comes next has to be looked up again.
    pub const LOOKUP: u32 = 1 << 3;
    /// The next instruction is for the interpreter: compiled code left at it.
    pub const INTERPRET: u32 = 1 << 5;
    /// An exit is wanted: [`super::super::machine::Machine::pending`] has it.
    pub const EXIT: u32 = 1 << 4;
}

/// What a processor waits for.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(u8)]
pub enum Activity {
    /// It runs.
    #[default]
    Running,
    /// HLT: it waits for an interrupt.
    Halted,
    /// Shut down by a triple fault.
    Shutdown,
}

/// The processor.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct Cpu {
    /// RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 to R15.
    pub gpr: [u64; 16],
    /// The address of the next instruction.
    pub rip: u64,
    /// The flags.
    pub rflags: u64,
    /// While an instruction is interpreted: where it goes on when it completes.
    pub next_rip: u64,
    /// Instructions that may still be executed before the dispatch loop has to look up. Compiled code counts it down.
    pub budget: i64,
    /// The virtual time at which the budget is 0; see [`Cpu::time`].
    pub horizon: u64,
    /// Bits of [`mod@attention`]. Not 0: leave compiled code before the next instruction.
    pub attention: u32,
    /// Bits of [`mod@mode`].
    pub mode: u32,
    /// ES, CS, SS, DS, FS, GS.
    pub segments: [Segment; 6],
    /// The local descriptor table.
    pub ldtr: Segment,
    /// The task register.
    pub tr: Segment,
    /// The global descriptor table.
    pub gdtr: TableRegister,
    /// The interrupt descriptor table.
    pub idtr: TableRegister,
    /// CR0.
    pub cr0: u64,
    /// CR2: the address of the last page fault.
    pub cr2: u64,
    /// CR3: the root of the page tables.
    pub cr3: u64,
    /// CR4.
    pub cr4: u64,
    /// DR0 to DR7; 4 and 5 are not in use.
    pub dr: [u64; 8],
    /// The privilege level.
    pub cpl: u8,
    /// What it waits for.
    pub activity: Activity,
    /// Interrupts wait for one instruction (STI, MOV SS, POP SS).
    pub shadow: bool,
    /// An NMI is being handled.
    pub nmi_blocked: bool,
    /// Model-specific registers.
    pub msr: Msrs,
    /// x87 and SSE.
    pub fx: Fx,
}

/// Model-specific registers.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(C)]
pub struct Msrs {
    /// EFER.
    pub efer: u64,
    /// STAR: selectors of SYSCALL and SYSRET, and EIP of SYSCALL in legacy mode.
    pub star: u64,
    /// LSTAR: RIP of SYSCALL from 64-bit code.
    pub lstar: u64,
    /// CSTAR: RIP of SYSCALL from compatibility mode.
    pub cstar: u64,
    /// SFMASK: flags that SYSCALL clears.
    pub sfmask: u64,
    /// KernelGSbase: what SWAPGS exchanges.
    pub kernel_gs_base: u64,
    /// SYSENTER_CS.
    pub sysenter_cs: u64,
    /// SYSENTER_ESP.
    pub sysenter_esp: u64,
    /// SYSENTER_EIP.
    pub sysenter_eip: u64,
    /// PAT.
    pub pat: u64,
    /// What is added to virtual time to get the TSC.
    pub tsc_offset: u64,
    /// TSC_AUX.
    pub tsc_aux: u64,
}

/// The value of PAT after a reset.
const PAT_RESET: u64 = 0x0007_0406_0007_0406;

impl Default for Cpu {
    /// The state after a reset (APM volume 2, table 14-1): real mode, at the last 16 bytes below 4 GiB.
    fn default() -> Cpu {
        let mut cpu = Cpu {
            gpr: [0; 16],
            rip: 0xfff0,
            rflags: flag::FIXED,
            next_rip: 0,
            budget: 0,
            horizon: 0,
            attention: 0,
            mode: 0,
            segments: [Segment::real(0); 6],
            ldtr: Segment { attributes: 0x82, limit: 0xffff, ..Segment::default() },
            tr: Segment { attributes: 0x8b, limit: 0xffff, ..Segment::default() },
            gdtr: TableRegister { base: 0, limit: 0xffff },
            idtr: TableRegister { base: 0, limit: 0xffff },
            cr0: cr0::CD | cr0::NW | cr0::ET,
            cr2: 0,
            cr3: 0,
            cr4: 0,
            dr: [0, 0, 0, 0, 0, 0, 0xffff_0ff0, 0x400],
            cpl: 0,
            activity: Activity::Running,
            shadow: false,
            nmi_blocked: false,
            msr: Msrs { pat: PAT_RESET, ..Msrs::default() },
            fx: Fx::default(),
        };
        cpu.segments[seg::CS] = Segment { selector: 0xf000, attributes: 0x9b, limit: 0xffff, base: 0xffff_0000 };
        cpu.update_mode();
        cpu
    }
}

impl Cpu {
    /// Virtual time: the number of instructions retired since the start, and what was skipped while the processor was halted.
    #[inline]
    pub fn time(&self) -> u64 {
        self.horizon.wrapping_sub(self.budget as u64)
    }

    /// The time-stamp counter.
    pub fn tsc(&self) -> u64 {
        self.time().wrapping_add(self.msr.tsc_offset)
    }

    /// Whether long mode is active.
    #[inline]
    pub fn long(&self) -> bool {
        self.msr.efer & efer::LMA != 0
    }

    /// Whether the code is 64-bit code.
    #[inline]
    pub fn code64(&self) -> bool {
        self.mode & mode::WIDTH == mode::BITS_64
    }

    /// Whether `bits` of rflags are set.
    #[inline]
    pub fn has(&self, bits: u64) -> bool {
        self.rflags & bits != 0
    }

    /// The I/O privilege level.
    pub fn iopl(&self) -> u8 {
        ((self.rflags & flag::IOPL) >> 12) as u8
    }

    /// Computes [`Cpu::mode`]: after each change of a control register, EFER, a segment register, CPL or TF.
    pub fn update_mode(&mut self) {
        let code = &self.segments[seg::CS];
        let real = self.cr0 & cr0::PE == 0;
        let width = if !real && self.long() && code.has(Segment::LONG) {
            mode::BITS_64
        } else {
            u32::from(code.has(Segment::BIG) && !real)
        };
        let mut bits = width;
        let mut put = |bit: u32, wanted: bool| bits |= if wanted { bit } else { 0 };
        put(mode::USER, self.cpl == 3);
        put(mode::REAL, real);
        let x87 = self.cr0 & (cr0::EM | cr0::TS) == 0;
        put(mode::X87, x87);
        put(mode::SSE, x87 && self.cr4 & cr4::OSFXSR != 0);
        put(mode::STACK_32, self.segments[seg::SS].has(Segment::BIG));
        let flat =
            |s: &Segment| s.base == 0 && s.limit == u32::MAX && s.has(Segment::PRESENT) && s.has(Segment::WRITABLE);
        let down = |s: &Segment| !s.has(Segment::CODE) && s.has(Segment::EXPAND_DOWN);
        put(mode::FLAT, !real && self.segments[..4].iter().all(|s| flat(s) && !down(s)));
        put(mode::STEP, self.rflags & flag::TF != 0);
        self.mode = bits;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_after_a_reset_is_real() {
        let cpu = Cpu::default();
        assert_eq!(cpu.mode, mode::REAL | mode::X87);
    }

    #[test]
    fn the_mode_follows_the_registers() {
        let mut cpu = Cpu::default();
        cpu.cr0 |= cr0::PE;
        cpu.msr.efer = efer::LME | efer::LMA;
        cpu.cr4 = cr4::OSFXSR;
        cpu.segments[seg::CS].attributes = 0x9b | Segment::LONG;
        cpu.cpl = 3;
        cpu.update_mode();
        assert_eq!(cpu.mode, mode::BITS_64 | mode::USER | mode::X87 | mode::SSE);
    }
}
