//! What stands at the start of the guest's arena: how Rust enters compiled code, how that leaves, and the routines that blocks call.
//!
//! ```text
//! enter   saves the host's registers, makes the frame, loads the guest's registers, jumps to a block
//! walk    asks the TLB for an access that missed its page slot; fills the slot, or goes on to fill
//! fill    stores the guest's registers, calls Rust to walk the page tables, loads them; or answers that the interpreter must do it
//! x87     loads the guest's x87 state into the host's, or answers that it is the interpreter's
//! helper  stores the guest's registers, calls Rust to execute one instruction, loads them again
//! exit    stores the guest's registers, restores the host's; answers the number of the exit and the flags
//! ```
//!
//! Blocks never move rsp, so all of the arena has one rule: the CFA is rsp plus a constant. Only what stands here has rows of its own. What
//! blocks call has a frame of its own, so that the block is one, too, in a backtrace.

use super::frame::{
    BUDGET, CONTEXT, FLAGS, FRAME_BYTES, GROUP_COUNT, GROUP_SIZE, GROUPS, HAS_XMM, HOST, HOST_MXCSR, KEY, LITERAL,
    MACHINE, NO_PAGE, SEGMENTS, SLACK, SLOT_COUNT, TABLE, TEMPORARY, WALK, X87, X87_DATA, X87_INSTRUCTION, X87_OPCODE,
    slot, spilled,
};
use crate::code::CodeError;
use crate::code::arena::Head;
use crate::code::x64::Assembler;
use dynasmrt::x64::Rq;
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};
use perilune_runtime::guest::cpu::seg;
use perilune_runtime::guest::layout;
use perilune_runtime::guest::machine::Machine;
use perilune_runtime::guest::tlb::{ENTRIES, PAGE_SIZE};
use perilune_unwind::frame::{Change, Frame, Register, X86_64};
use perilune_unwind::object::{Part, Symbol};
use std::ffi::c_void;
use std::mem::offset_of;

/// What the host's code wants back, in the order of its pushes, with the DWARF names.
const SAVED: [(u8, Register); 6] = [
    (Rq::RBP as u8, X86_64::RBP),
    (Rq::RBX as u8, X86_64::RBX),
    (Rq::R12 as u8, X86_64::R12),
    (Rq::R13 as u8, X86_64::R13),
    (Rq::R14 as u8, X86_64::R14),
    (Rq::R15 as u8, X86_64::R15),
];

/// From rsp in a block to the CFA.
const TO_CFA: i32 = FRAME_BYTES + 8 * SAVED.len() as i32 + 8;
const _: () = assert!(TO_CFA % 16 == 0, "rsp is a multiple of 16 in blocks");

/// The bits of the x87 control word that mask exceptions.
pub const X87_MASKS: i32 = 0x3f;
/// The bit of its status word that says that an exception is pending.
const X87_PENDING: i8 = -0x80;

/// What compiled code is entered with, besides the machine.
#[repr(C)]
#[derive(Debug)]
pub struct Context {
    /// The table of branch targets.
    pub table: *const c_void,
    /// What keys in it are combined with.
    pub key: u64,
    /// The guest's flags, as [`FLAGS`] has them.
    pub flags: u64,
    /// 1: the guest's SSE registers are loaded and stored.
    pub has_xmm: u64,
    /// What helpers are given.
    pub owner: *mut c_void,
    /// A literal in a page of code that may be written although the TLB does not say so.
    pub literal: Literal,
}

/// The address of a literal, the size of a write less 1, and what is added to the address.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Literal {
    /// The guest's address.
    pub address: u64,
    /// The size of the write less 1.
    pub last: u64,
    /// What is added to the address to get the host's.
    pub addend: u64,
}

impl Literal {
    /// No write has such a size.
    pub const NONE: Literal = Literal { address: 0, last: u64::MAX, addend: 0 };
}

/// How compiled code ended.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Left {
    /// The number of the exit.
    pub exit: u64,
    /// The guest's flags, as [`FLAGS`] has them.
    pub flags: u64,
}

/// What a helper answers.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Helped {
    /// 0: go on; else the number of the exit to leave by.
    pub exit: u64,
    /// The guest's flags, as [`FLAGS`] has them.
    pub flags: u64,
}

/// What the helper routine calls: the owner, the machine with all registers stored, the number of the exit that stands for the
/// instruction, and the flags.
pub type Helper = unsafe extern "C-unwind" fn(*mut c_void, *mut Machine, u64, u64) -> Helped;

/// What the routine that fills the TLB calls: the machine, the address, what [`walk_argument`] makes with [`WRITES`], and the page slot. Answers 1
/// if the slot is filled, else 0.
pub type Filler = unsafe extern "C-unwind" fn(*mut Machine, u64, u32, *mut [u64; 2]) -> u64;

/// The bit of an argument that says that the access writes.
pub const WRITES: u32 = 1 << 31;

type Enter = unsafe extern "C-unwind" fn(*mut Machine, *const Context, usize) -> Left;

/// Where the parts are.
#[derive(Clone, Copy, Debug)]
pub struct Trampoline {
    enter: usize,
    /// Called: rax has an address, r11d what [`walk_argument`] makes. ZF is set if the slot is filled.
    pub walk_read: usize,
    /// Likewise for writing.
    pub walk_write: usize,
    /// Called: ZF is set if the guest's x87 state is in the host's now. Overwrites rax and r11.
    pub x87: usize,
    /// Called: eax has the number of an exit.
    pub helper: usize,
    /// Jumped to: eax has the number of the exit, and [`FLAGS`] is filled.
    pub exit: usize,
}

/// What a block tells the routine that asks the TLB: bytes of the access, whether it has to be aligned, the slot's place in the frame.
pub fn walk_argument(size: u32, aligned: bool, slot: i32) -> i32 {
    slot << 16 | if aligned { (size as i32 - 1) << 8 } else { 0 } | (size as i32 - 1)
}

impl Trampoline {
    /// Runs the block at `entry` until it leaves.
    ///
    /// # Safety
    /// `entry` is a block's entry for saved flags, made for this machine's state: mode, rip, address space. What the context points to
    /// stays as it is meanwhile, and all code that can be reached from the block stays published.
    pub unsafe fn enter(&self, machine: *mut Machine, context: &Context, entry: usize) -> Left {
        // SAFETY: the arena holds a function of this signature there.
        let enter: Enter = unsafe { std::mem::transmute(self.enter) };
        // SAFETY: the caller vouches for the block.
        unsafe { enter(machine, context, entry) }
    }
}

/// Assembles the head of an arena at `start`.
pub fn assemble(start: usize, helper: Helper, filler: Filler) -> Result<(Trampoline, Head), CodeError> {
    let mut asm = Assembler::new(start);
    let mut frame = Frame::new();
    emit_enter(&mut asm, &mut frame);
    let place = |asm: &mut Assembler| {
        asm.align(16, 0xcc);
        asm.offset().0
    };
    let walk_read = place(&mut asm);
    // The caller is a block, whose registers these routines keep.
    frame.step(walk_read, Change::Remember);
    frame.step(walk_read, Change::Cfa(X86_64::RSP, 8));
    SAVED.iter().for_each(|(_, name)| frame.step(walk_read, Change::Restored(*name)));
    let fill = asm.new_dynamic_label();
    emit_walk(&mut asm, layout::TLB_READ, fill);
    let walk_write = place(&mut asm);
    emit_walk(&mut asm, layout::TLB_WRITE, fill);
    let fill_at = place(&mut asm);
    emit_fill(&mut asm, &mut frame, filler, fill);
    let x87 = place(&mut asm);
    emit_x87(&mut asm);
    let helper_at = place(&mut asm);
    let epilogue = asm.new_dynamic_label();
    emit_helper(&mut asm, &mut frame, helper, epilogue);
    let exit = place(&mut asm);
    emit_exit(&mut asm, &mut frame, epilogue);
    let end = asm.offset().0;
    let parts = [
        ("enter", 0),
        ("walk", walk_read),
        ("fill", fill_at),
        ("x87", x87),
        ("helper", helper_at),
        ("exit", exit),
        ("", end),
    ];
    let part = |pair: &[(&str, usize)]| {
        let (start, size) = ((start + pair[0].1) as u64, (pair[1].1 - pair[0].1) as u64);
        Part { symbol: Symbol { name: format!("perilune_guest_{}", pair[0].0), start, size }, lines: Vec::new() }
    };
    let parts = parts.windows(2).map(part).collect();
    let trampoline = Trampoline {
        enter: start,
        walk_read: start + walk_read,
        walk_write: start + walk_write,
        x87: start + x87,
        helper: start + helper_at,
        exit: start + exit,
    };
    Ok((trampoline, Head { code: asm.finalize()?, frame, parts }))
}

fn gpr(guest: u8) -> i32 {
    layout::GPR as i32 + 8 * i32::from(guest)
}

/// Loads all that the guest has; r11 holds the machine, and the frame lies `shift` bytes above rsp. Overwrites rax; host registers of
/// guest registers come last. The caller's target may be in the frame's temporary.
fn emit_load(asm: &mut Assembler, shift: i32) {
    dynasm!(asm; .arch x64; mov rax, [r11 + layout::BUDGET as i32]; mov [rsp + shift + BUDGET], rax);
    for (n, segment) in [seg::FS, seg::GS].into_iter().enumerate() {
        let base = (layout::SEGMENT_BASE + segment * layout::SEGMENT_SIZE) as i32;
        dynasm!(asm; .arch x64; mov rax, [r11 + base]; mov [rsp + shift + SEGMENTS + 8 * n as i32], rax);
    }
    let no_xmm = asm.new_dynamic_label();
    dynasm!(asm; .arch x64; cmp DWORD [rsp + shift + HAS_XMM], 0; je =>no_xmm; ldmxcsr [r11 + layout::MXCSR as i32]);
    for n in 0..16u8 {
        dynasm!(asm; .arch x64; movaps Rx(n), [r11 + layout::XMM as i32 + 16 * i32::from(n)]);
    }
    dynasm!(asm; .arch x64; =>no_xmm);
    for guest in 0..16u8 {
        match HOST[usize::from(guest)] {
            Some(host) => dynasm!(asm; .arch x64; mov Rq(host), [r11 + gpr(guest)]),
            None => dynasm!(asm; .arch x64; mov rax, [r11 + gpr(guest)]; mov [rsp + shift + spilled(guest)], rax),
        }
    }
}

/// Stores all that the guest has but flags and rip, and gives the host its MXCSR; leaves rax alone, and the machine in r11.
fn emit_store(asm: &mut Assembler, shift: i32) {
    dynasm!(asm; .arch x64; mov r11, [rsp + shift + MACHINE]);
    for guest in 0..16u8 {
        if let Some(host) = HOST[usize::from(guest)] {
            dynasm!(asm; .arch x64; mov [r11 + gpr(guest)], Rq(host));
        }
    }
    for guest in 0..16u8 {
        if HOST[usize::from(guest)].is_none() {
            dynasm!(asm; .arch x64; mov rcx, [rsp + shift + spilled(guest)]; mov [r11 + gpr(guest)], rcx);
        }
    }
    let (no_xmm, no_x87) = (asm.new_dynamic_label(), asm.new_dynamic_label());
    // Only modes with SSE have x87 in the host's, so that the image may have the SSE registers in it.
    dynasm!(asm
        ; .arch x64
        ; cmp DWORD [rsp + shift + X87], 0
        ; je =>no_x87
        ; mov DWORD [rsp + shift + X87], 0
        ; fxsave64 [r11 + layout::FX_IMAGE as i32]
        ; fninit
        ; mov ecx, [rsp + shift + X87_OPCODE]
        ; mov [r11 + layout::X87_OPCODE as i32], cx
        ; mov rcx, [rsp + shift + X87_INSTRUCTION]
        ; mov [r11 + layout::X87_INSTRUCTION as i32], rcx
        ; mov rcx, [rsp + shift + X87_DATA]
        ; mov [r11 + layout::X87_DATA as i32], rcx
        ; =>no_x87
        ; mov rcx, [rsp + shift + BUDGET]
        ; mov [r11 + layout::BUDGET as i32], rcx
        ; cmp DWORD [rsp + shift + HAS_XMM], 0
        ; je =>no_xmm
        ; stmxcsr [r11 + layout::MXCSR as i32]
        ; ldmxcsr [rsp + shift + HOST_MXCSR]
    );
    for n in 0..16u8 {
        dynasm!(asm; .arch x64; movaps [r11 + layout::XMM as i32 + 16 * i32::from(n)], Rx(n));
    }
    dynasm!(asm; .arch x64; =>no_xmm);
}

fn emit_enter(asm: &mut Assembler, frame: &mut Frame) {
    let mut cfa = 8;
    for (register, name) in SAVED {
        dynasm!(asm; .arch x64; push Rq(register));
        cfa += 8;
        frame.step(asm.offset().0, Change::Cfa(X86_64::RSP, cfa));
        frame.step(asm.offset().0, Change::Saved(name, -cfa));
    }
    dynasm!(asm; .arch x64; sub rsp, FRAME_BYTES);
    frame.step(asm.offset().0, Change::Cfa(X86_64::RSP, TO_CFA));
    let fields = [
        (offset_of!(Context, table), TABLE),
        (offset_of!(Context, key), KEY),
        (offset_of!(Context, flags), FLAGS),
        (offset_of!(Context, owner), CONTEXT),
        (offset_of!(Context, literal), LITERAL),
        (offset_of!(Context, literal) + 8, LITERAL + 8),
        (offset_of!(Context, literal) + 16, LITERAL + 16),
    ];
    for (from, to) in fields {
        dynasm!(asm; .arch x64; mov rax, [rsi + from as i32]; mov [rsp + to], rax);
    }
    dynasm!(asm
        ; .arch x64
        ; mov eax, [rsi + offset_of!(Context, has_xmm) as i32]
        ; mov [rsp + HAS_XMM], eax
        ; mov DWORD [rsp + X87], 0
        ; stmxcsr [rsp + HOST_MXCSR]
        ; mov [rsp + MACHINE], rdi
        ; mov [rsp + TEMPORARY], rdx
        ; mov r11, rdi
        ; mov eax, NO_PAGE
    );
    for number in 0..SLOT_COUNT as u8 {
        for write in [false, true] {
            dynasm!(asm; .arch x64; mov [rsp + slot(number, write)], rax);
        }
    }
    for group in 0..GROUP_COUNT {
        dynasm!(asm; .arch x64; mov [rsp + GROUPS + group * GROUP_SIZE], rax);
    }
    emit_load(asm, 0);
    dynasm!(asm; .arch x64; sub QWORD [rsp + BUDGET], SLACK as i32; jmp QWORD [rsp + TEMPORARY]);
}

/// The routine that asks the TLB, as its head comment has it; `tag` is the field for the kind of access.
fn emit_walk(asm: &mut Assembler, tag: usize, fill: DynamicLabel) {
    let (miss, done, no) = (asm.new_dynamic_label(), asm.new_dynamic_label(), asm.new_dynamic_label());
    let entries = layout::TLB_ENTRIES as i32;
    let index_mask = ((ENTRIES - 1) * layout::TLB_ENTRY_SIZE) as i32;
    let shift = PAGE_SIZE.trailing_zeros() - layout::TLB_ENTRY_SIZE.trailing_zeros();
    dynasm!(asm
        ; .arch x64
        ; mov [rsp + 8 + WALK], rcx
        ; mov [rsp + 8 + WALK + 8], rdx
        ; mov [rsp + 8 + WALK + 16], rbx
        ; movzx ecx, r11w
        ; shr ecx, 8
        ; test eax, ecx
        ; jnz =>miss
        ; movzx ecx, r11b
        ; add rcx, rax
        ; and rcx, -(PAGE_SIZE as i32)
        ; mov rdx, [rsp + 8 + MACHINE]
        ; or rcx, [rdx + layout::TLB_SPACE as i32]
        ; mov ebx, eax
        ; shr ebx, shift as i8
        ; and ebx, index_mask
        ; cmp rcx, [rdx + rbx + entries + tag as i32]
        ; jne =>miss
        ; mov rbx, [rdx + rbx + entries + layout::TLB_ADDEND as i32]
        ; and rcx, -(PAGE_SIZE as i32)
        ; shr r11d, 16
        ; mov [rsp + r11 + 8], rcx
        ; mov [rsp + r11 + 16], rbx
        ; cmp eax, eax
        ; =>done
        ; mov rcx, [rsp + 8 + WALK]
        ; mov rdx, [rsp + 8 + WALK + 8]
        ; mov rbx, [rsp + 8 + WALK + 16]
        ; ret
        ; =>miss
    );
    if tag == layout::TLB_WRITE {
        // A literal: the slot gets the addend, for this access only.
        dynasm!(asm
            ; .arch x64
            ; cmp rax, [rsp + 8 + LITERAL]
            ; jne =>no
            ; movzx ecx, r11b
            ; cmp rcx, [rsp + 8 + LITERAL + 8]
            ; jne =>no
            ; shr r11d, 16
            ; mov QWORD [rsp + r11 + 8], NO_PAGE
            ; mov rcx, [rsp + 8 + LITERAL + 16]
            ; mov [rsp + r11 + 16], rcx
            ; cmp eax, eax
            ; jmp =>done
        );
    }
    dynasm!(asm
        ; .arch x64
        ; =>no
        ; mov rcx, [rsp + 8 + WALK]
        ; mov rdx, [rsp + 8 + WALK + 8]
        ; mov rbx, [rsp + 8 + WALK + 16]
    );
    if tag == layout::TLB_WRITE {
        dynasm!(asm; .arch x64; or r11d, WRITES as i32);
    }
    dynasm!(asm; .arch x64; jmp =>fill);
}

/// The end of both walks: has Rust fill the TLB and the slot. Blocks rely on the x87 state being where it is, so while it is in the host's,
/// the interpreter does it.
fn emit_fill(asm: &mut Assembler, frame: &mut Frame, filler: Filler, fill: DynamicLabel) {
    let no = asm.new_dynamic_label();
    dynasm!(asm
        ; .arch x64
        ; =>fill
        ; cmp DWORD [rsp + 8 + X87], 0
        ; jne =>no
        ; sub rsp, 8
    );
    frame.step(asm.offset().0, Change::Cfa(X86_64::RSP, 16));
    dynasm!(asm; .arch x64; mov [rsp + 16 + WALK], rax; mov [rsp + 16 + WALK + 8], r11);
    emit_store(asm, 16);
    dynasm!(asm
        ; .arch x64
        ; mov rdi, r11
        ; mov rsi, [rsp + 16 + WALK]
        ; mov edx, [rsp + 16 + WALK + 8]
        ; mov ecx, edx
        ; and ecx, !WRITES as i32
        ; shr ecx, 16
        ; lea rcx, [rsp + rcx + 16]
        ; mov rax, QWORD filler as usize as i64
        ; call rax
        ; mov [rsp + 16 + WALK + 16], rax
        ; mov r11, [rsp + 16 + MACHINE]
    );
    emit_load(asm, 16);
    dynasm!(asm
        ; .arch x64
        ; mov rax, [rsp + 16 + WALK]
        ; mov r11, [rsp + 16 + WALK + 8]
        ; cmp DWORD [rsp + 16 + WALK + 16], 1
        ; lea rsp, [rsp + 8]
    );
    frame.step(asm.offset().0, Change::Cfa(X86_64::RSP, 8));
    dynasm!(asm; .arch x64; =>no; ret);
}

/// The routine that loads the x87 state, as its head comment has it: the host's exceptions are never unmasked, so a state that unmasks some, or has
/// one pending, is the interpreter's. What the host remembers of the last instruction is of no use; the frame has it.
fn emit_x87(asm: &mut Assembler) {
    let no = asm.new_dynamic_label();
    dynasm!(asm
        ; .arch x64
        ; mov r11, [rsp + 8 + MACHINE]
        ; movzx eax, WORD [r11 + layout::X87_CONTROL as i32]
        ; not eax
        ; test eax, X87_MASKS
        ; jnz =>no
        ; test BYTE [r11 + layout::X87_STATUS as i32], X87_PENDING
        ; jnz =>no
        ; stmxcsr [r11 + layout::MXCSR as i32]
    );
    for n in 0..16u8 {
        dynasm!(asm; .arch x64; movaps [r11 + layout::XMM as i32 + 16 * i32::from(n)], Rx(n));
    }
    dynasm!(asm
        ; .arch x64
        ; fxrstor64 [r11 + layout::FX_IMAGE as i32]
        ; movzx eax, WORD [r11 + layout::X87_OPCODE as i32]
        ; mov [rsp + 8 + X87_OPCODE], eax
        ; mov rax, [r11 + layout::X87_INSTRUCTION as i32]
        ; mov [rsp + 8 + X87_INSTRUCTION], rax
        ; mov rax, [r11 + layout::X87_DATA as i32]
        ; mov [rsp + 8 + X87_DATA], rax
        ; mov DWORD [rsp + 8 + X87], 1
        ; cmp eax, eax
        ; =>no
        ; ret
    );
}

fn emit_helper(asm: &mut Assembler, frame: &mut Frame, helper: Helper, epilogue: DynamicLabel) {
    let leave = asm.new_dynamic_label();
    dynasm!(asm; .arch x64; sub rsp, 8);
    frame.step(asm.offset().0, Change::Cfa(X86_64::RSP, 16));
    emit_store(asm, 16);
    dynasm!(asm
        ; .arch x64
        ; mov rdi, [rsp + 16 + CONTEXT]
        ; mov rsi, r11
        ; mov edx, eax
        ; mov rcx, [rsp + 16 + FLAGS]
        ; mov rax, QWORD helper as usize as i64
        ; call rax
        ; mov [rsp + 16 + FLAGS], rdx
        ; test eax, eax
        ; jnz =>leave
        ; mov r11, [rsp + 16 + MACHINE]
    );
    emit_load(asm, 16);
    dynasm!(asm; .arch x64; add rsp, 8);
    frame.step(asm.offset().0, Change::Cfa(X86_64::RSP, 8));
    dynasm!(asm; .arch x64; ret; =>leave);
    frame.step(asm.offset().0, Change::Cfa(X86_64::RSP, 16));
    dynasm!(asm; .arch x64; add rsp, 16);
    // In the block's place, without coming back to it.
    frame.step(asm.offset().0, Change::Recall);
    dynasm!(asm; .arch x64; jmp =>epilogue);
}

fn emit_exit(asm: &mut Assembler, frame: &mut Frame, epilogue: DynamicLabel) {
    emit_store(asm, 0);
    dynasm!(asm; .arch x64; =>epilogue; mov rdx, [rsp + FLAGS]);
    frame.step(asm.offset().0, Change::Remember);
    dynasm!(asm; .arch x64; add rsp, FRAME_BYTES);
    let mut cfa = TO_CFA - FRAME_BYTES;
    frame.step(asm.offset().0, Change::Cfa(X86_64::RSP, cfa));
    for (register, name) in SAVED.into_iter().rev() {
        dynasm!(asm; .arch x64; pop Rq(register));
        cfa -= 8;
        frame.step(asm.offset().0, Change::Restored(name));
        frame.step(asm.offset().0, Change::Cfa(X86_64::RSP, cfa));
    }
    dynasm!(asm; .arch x64; ret);
    frame.step(asm.offset().0, Change::Recall);
}

#[cfg(test)]
mod tests {
    use super::*;
    use iced_x86::{Code, Decoder, DecoderOptions, Instruction, Register as Hardware};
    use perilune_unwind::cfi;
    use std::collections::BTreeMap;

    const START: usize = 0x7f12_3400_0000;
    const LENGTH: u32 = 1 << 20;

    unsafe extern "C-unwind" fn never(_: *mut c_void, _: *mut Machine, exit: u64, flags: u64) -> Helped {
        Helped { exit, flags }
    }

    unsafe extern "C-unwind" fn nothing(_: *mut Machine, _: u64, _: u32, _: *mut [u64; 2]) -> u64 {
        0
    }

    /// What rsp is, from the CFA, and where the caller's registers are in memory.
    #[derive(Clone)]
    struct Stack {
        rsp: i64,
        memory: BTreeMap<i64, Hardware>,
    }

    impl Stack {
        fn step(&mut self, instruction: &Instruction) {
            match instruction.code() {
                Code::Push_r64 => {
                    self.rsp -= 8;
                    self.memory.insert(self.rsp, instruction.op0_register());
                }
                Code::Pop_r64 => {
                    assert_eq!(self.memory.remove(&self.rsp), Some(instruction.op0_register()), "{instruction}");
                    self.rsp += 8;
                }
                Code::Sub_rm64_imm32 | Code::Sub_rm64_imm8 if instruction.op0_register() == Hardware::RSP => {
                    self.rsp -= instruction.immediate(1) as i64;
                }
                Code::Add_rm64_imm32 | Code::Add_rm64_imm8 if instruction.op0_register() == Hardware::RSP => {
                    self.rsp += instruction.immediate(1) as i64;
                }
                Code::Lea_r64_m if instruction.op0_register() == Hardware::RSP => {
                    assert_eq!(instruction.memory_base(), Hardware::RSP, "{instruction}");
                    self.rsp += instruction.memory_displacement64() as i64;
                }
                Code::Call_rm64 => assert_eq!(self.rsp % 16, 0, "{instruction}"),
                _ => assert_ne!(instruction.op0_register(), Hardware::RSP, "{instruction}"),
            }
        }
    }

    const OURS: [(Hardware, Register); 6] = [
        (Hardware::RBP, X86_64::RBP),
        (Hardware::RBX, X86_64::RBX),
        (Hardware::R12, X86_64::R12),
        (Hardware::R13, X86_64::R13),
        (Hardware::R14, X86_64::R14),
        (Hardware::R15, X86_64::R15),
    ];

    #[test]
    fn the_frame_is_described_at_every_instruction() {
        let (trampoline, head) = assemble(START, never, nothing).unwrap();
        let section = cfi::eh_frame(&head.frame, START as u64, LENGTH).unwrap();
        let check = |stack: &Stack, address: usize, what: &str| {
            let at = format!("{:#x} ({what})", address - START);
            let row = cfi::eh_frame_row(&section, address as u64).unwrap();
            assert_eq!(row.cfa, (X86_64::RSP, -stack.rsp), "{at}");
            for (hardware, register) in OURS {
                let told = row.saved.iter().find(|saved| saved.0 == register).map(|(_, offset)| *offset);
                let real = stack.memory.iter().find(|(_, saved)| **saved == hardware).map(|(offset, _)| *offset);
                assert_eq!(told, real, "{at}: {hardware:?}");
            }
        };
        let mut stack = Stack { rsp: -8, memory: BTreeMap::new() };
        let mut block = None;
        let mut checked = 0;
        for instruction in &mut Decoder::with_ip(64, &head.code, START as u64, DecoderOptions::NONE) {
            let address = instruction.ip() as usize;
            let called = [trampoline.walk_read, trampoline.walk_write, trampoline.x87, trampoline.helper];
            if called.contains(&address) {
                stack = Stack { rsp: -8, memory: BTreeMap::new() };
            } else if address == trampoline.exit {
                stack = Option::clone(&block).expect("the entry comes first");
            }
            if instruction.code() == Code::Int3 {
                continue;
            }
            check(&stack, address, &instruction.to_string());
            checked += 1;
            if instruction.code() == Code::Jmp_rm64 {
                block = Some(stack.clone());
            }
            if instruction.code() == Code::Retnq {
                // What stands behind the routine's return is reached from its middle; the helper has moved rsp there.
                let helper = (trampoline.helper..trampoline.exit).contains(&address);
                stack.rsp -= if helper { 8 } else { 0 };
            } else {
                stack.step(&instruction);
            }
            if stack.rsp == 0 {
                // It has left the routine for the block that called it.
                stack = Option::clone(&block).expect("the entry comes first");
            }
        }
        assert!(checked > 200, "{checked} instructions");
        let block = block.unwrap();
        assert_eq!(block.rsp % 16, 0);
        for address in [START + head.code.len(), START + 54321, START + LENGTH as usize - 1] {
            check(&block, address, "a block");
        }
    }
}
