//! Floating-point and vector operations, done by the host's own units.
//!
//! The guest's instruction set is the host's, so the operation itself is one instruction between a load of the guest's
//! operands and control registers and a store of the result. Tables of such instructions, each followed by a return, are
//! assembled here for every opcode; the decoder decides which of them exist.
//!
//! The host's MXCSR and x87 control are those of Rust before and after. Exceptions of SSE are masked while an operation runs; those of
//! x87 stay as the guest has them, since x87 raises them at the *next* instruction that waits, and no such instruction runs
//! while one is pending ([`pending`]).

use std::arch::x86_64::__m128i;
use std::arch::{asm, global_asm};

use perilune_runtime::guest::cpu::Fx;

global_asm!(
    ".pushsection .text.perilune_guest_tables, \"ax\", @progbits",
    ".balign 16",
    // The crate may be compiled in several parts.
    ".globl perilune_vector_plain, perilune_compare, perilune_x87",
    ".hidden perilune_vector_plain, perilune_compare, perilune_x87",
    // prefix, 0F, opcode, ModRM C1 (first operand register 0, second 1), return: 8 bytes each.
    ".macro perilune_vector_table prefix:vararg",
    ".set op, 0",
    ".rept 256",
    ".balign 8",
    ".byte \\prefix",
    ".byte op, 0xc1",
    "ret",
    ".set op, op + 1",
    ".endr",
    ".balign 8",
    ".endm",
    "perilune_vector_plain: perilune_vector_table 0x0f",
    "perilune_vector_66: perilune_vector_table 0x66, 0x0f",
    "perilune_vector_f3: perilune_vector_table 0xf3, 0x0f",
    "perilune_vector_f2: perilune_vector_table 0xf2, 0x0f",
    // The same for conversions with 64-bit general registers.
    "perilune_vector_w: perilune_vector_table 0x48, 0x0f",
    "perilune_vector_66w: perilune_vector_table 0x66, 0x48, 0x0f",
    "perilune_vector_f3w: perilune_vector_table 0xf3, 0x48, 0x0f",
    "perilune_vector_f2w: perilune_vector_table 0xf2, 0x48, 0x0f",
    // Comparisons with a predicate: prefix, 0F C2 C1, predicate, return.
    ".macro perilune_compare_table prefix:vararg",
    ".set op, 0",
    ".rept 8",
    ".balign 8",
    ".byte \\prefix",
    ".byte 0xc2, 0xc1, op",
    "ret",
    ".set op, op + 1",
    ".endr",
    ".balign 8",
    ".endm",
    "perilune_compare: perilune_compare_table 0x0f",
    "perilune_compare_table 0x66, 0x0f",
    "perilune_compare_table 0xf3, 0x0f",
    "perilune_compare_table 0xf2, 0x0f",
    // x87: opcodes D8 to DF, all of ModRM; memory operands are at rax. 4 bytes each.
    "perilune_x87:",
    ".set op, 0",
    ".rept 8",
    ".set modrm, 0",
    ".rept 256",
    ".byte 0xd8 + op, modrm",
    "ret",
    "nop",
    ".set modrm, modrm + 1",
    ".endr",
    ".set op, op + 1",
    ".endr",
    ".popsection",
);

unsafe extern "C" {
    static perilune_vector_plain: [[u8; 8]; 8 * 256];
    static perilune_compare: [[u8; 8]; 32];
    static perilune_x87: [[u8; 4]; 8 * 256];
}

/// Which vector instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Vector {
    /// The mandatory prefix: 0 none, 1 66h, 2 F3h, 3 F2h.
    pub prefix: u8,
    /// The opcode behind 0Fh.
    pub opcode: u8,
    /// General registers have 64 bits.
    pub wide: bool,
    /// The predicate of a comparison (opcode C2h).
    pub predicate: u8,
}

/// What a vector instruction works on, and what it gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Operands {
    /// The first register: of SSE, or of MMX in the low half.
    pub first: u128,
    /// The second.
    pub second: u128,
    /// A general register: the source before, the destination after.
    pub general: u64,
    /// MXCSR, all exceptions masked.
    pub mxcsr: u32,
    /// The flags that COMISS and the like set, after.
    pub flags: u64,
}

/// MXCSR as Rust wants it.
const HOST_MXCSR: u32 = 0x1f80;

fn address(which: Vector) -> *const u8 {
    let prefix = usize::from(which.prefix & 3);
    if which.opcode == 0xc2 {
        let table = &raw const perilune_compare;
        return table.cast::<u8>().wrapping_add(8 * (8 * prefix + usize::from(which.predicate & 7)));
    }
    let table = &raw const perilune_vector_plain;
    let row = prefix + if which.wide { 4 } else { 0 };
    table.cast::<u8>().wrapping_add(8 * (256 * row + usize::from(which.opcode)))
}

/// Executes an SSE instruction on registers.
pub fn sse(which: Vector, operands: &mut Operands) {
    let stub = address(which);
    // SAFETY: any bits are a valid `__m128i`.
    let mut first: __m128i = unsafe { std::mem::transmute(operands.first) };
    // SAFETY: as above.
    let second: __m128i = unsafe { std::mem::transmute(operands.second) };
    let (flags, general): (u64, u64);
    let mxcsr = &raw mut operands.mxcsr;
    let host = HOST_MXCSR;
    // SAFETY: the stub is one SSE instruction on xmm0, xmm1, ecx and eax, and a return; the decoder lets no other opcode of the table
    // through. Exceptions are masked (the caller's contract on `mxcsr`), so nothing traps. The host's MXCSR is put back.
    unsafe {
        asm!(
            "ldmxcsr [{mxcsr}]",
            "xor eax, eax",
            "call {stub}",
            "pushfq",
            "pop {flags}",
            "stmxcsr [{mxcsr}]",
            "ldmxcsr [{host}]",
            mxcsr = in(reg) mxcsr,
            stub = in(reg) stub,
            // Written while the pointers are still needed: `lateout` may share their registers.
            flags = out(reg) flags,
            host = in(reg) &raw const host,
            inout("xmm0") first,
            in("xmm1") second,
            inout("rcx") operands.general => _,
            out("rax") general,
        );
        operands.first = std::mem::transmute::<__m128i, u128>(first);
    }
    operands.general = general;
    operands.flags = flags;
}

/// Executes an instruction of MMX, or a conversion between it and SSE. `mmx` are the two MMX registers.
pub fn mmx(which: Vector, operands: &mut Operands, mmx: &mut [u64; 2]) {
    let stub = address(which);
    // SAFETY: any bits are a valid `__m128i`.
    let mut first: __m128i = unsafe { std::mem::transmute(operands.first) };
    // SAFETY: as above.
    let second: __m128i = unsafe { std::mem::transmute(operands.second) };
    let general: u64;
    let mxcsr = &raw mut operands.mxcsr;
    let host = HOST_MXCSR;
    // SAFETY: as in `sse`, on mm0 and mm1 besides. EMMS leaves the x87 stack empty, as it was.
    unsafe {
        asm!(
            "ldmxcsr [{mxcsr}]",
            "movq mm0, [{mmx}]",
            "movq mm1, [{mmx} + 8]",
            "xor eax, eax",
            "call {stub}",
            "movq [{mmx}], mm0",
            "emms",
            "stmxcsr [{mxcsr}]",
            "ldmxcsr [{host}]",
            mxcsr = in(reg) mxcsr,
            stub = in(reg) stub,
            host = in(reg) &raw const host,
            mmx = in(reg) mmx,
            inout("xmm0") first,
            in("xmm1") second,
            inout("rcx") operands.general => _,
            out("rax") general,
            out("mm0") _, out("mm1") _, out("mm2") _, out("mm3") _, out("mm4") _, out("mm5") _, out("mm6") _, out("mm7") _,
            out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
            out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
        );
        operands.first = std::mem::transmute::<__m128i, u128>(first);
    }
    operands.general = general;
}

/// Whether an x87 exception is pending: the next instruction that waits raises #MF instead of being executed.
pub fn pending(fx: &Fx) -> bool {
    fx.status & 0x80 != 0
}

/// Memory operands of x87: the largest is FSAVE's.
pub type Buffer = [u8; 128];

/// Executes an x87 instruction: `opcode` 0 to 7 for D8h to DFh; a memory operand is in `buffer`. Answers AX (of FNSTSW) and the flags.
///
/// While an exception is pending, `opcode` and `modrm` are those of an instruction that does not wait.
pub fn x87(opcode: u8, modrm: u8, fx: &mut Fx, buffer: &mut Buffer, flags: u64) -> (u16, u64) {
    // A memory operand is at rax, without displacement.
    let modrm = if modrm < 0xc0 { modrm & 0x38 } else { modrm };
    let table = &raw const perilune_x87;
    let stub = table.cast::<u8>().wrapping_add(4 * (256 * usize::from(opcode & 7) + usize::from(modrm)));
    let mxcsr = fx.mxcsr;
    fx.mxcsr = HOST_MXCSR;
    let (mut ax, mut flags) = (buffer.as_mut_ptr() as u64, flags);
    // SAFETY: `fx` is a valid image (MXCSR has just been set to one that is); the stub is one x87 instruction on the stack or on the
    // buffer, which is larger than any operand, and a return. No instruction that waits runs while an exception is pending (the
    // caller's contract), so nothing traps; FXSAVE and FNINIT do not wait. All registers that FXRSTOR loads are declared.
    unsafe {
        asm!(
            "fxrstor64 [{fx}]",
            "push {flags}",
            "popfq",
            "call {stub}",
            "pushfq",
            "pop {flags}",
            "fxsave64 [{fx}]",
            "fninit",
            fx = in(reg) std::ptr::from_mut(fx),
            stub = in(reg) stub,
            flags = inout(reg) flags,
            inout("rax") ax,
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
            out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
            out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
            out("mm0") _, out("mm1") _, out("mm2") _, out("mm3") _, out("mm4") _, out("mm5") _, out("mm6") _, out("mm7") _,
            out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
            out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
        );
    }
    fx.mxcsr = mxcsr;
    (ax as u16, flags)
}
