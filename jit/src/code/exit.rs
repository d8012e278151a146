//! How compiled code leaves: exit stubs, and the state that they save.
//!
//! A guard that fails jumps to its exit's stub. The stub pushes the exit's number and joins its group, which pushes the
//! owner's number (which trace this is) and jumps to the arena's one saver. These two words are the head of the
//! `ExitState`; the saver stores all registers behind them and calls the deoptimizer, whose answer the trampoline returns.
//!
//! ```text
//! stub n:  push n; jmp group        group:  push owner; jmp saver
//! ```
//!
//! So an exit costs four bytes, and code need not keep track of which trace runs.
//!
//! The state, from low addresses to high, lies in the trampoline's frame (see `trampoline`):
//!
//! ```text
//! owner | number | 16 general registers | 16 XMM registers | pad | spill slots 255 .. 0 | saved registers | rbp
//!                ^ rsp while compiled code runs
//! ```
//!
//! Slot 0 is next to rbp: the first slots are reached with an 8-bit displacement.

use super::trampoline::Trampoline;
use super::x64::{self, Assembler};
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};
use std::mem::offset_of;

/// Spill slots in a frame; a trace that needs more is not compiled.
pub const SPILL_SLOTS: usize = 256;

/// Bytes of the registers that the trampoline saves below rbp: rbx, r12, r13, r14, r15.
pub(super) const SAVED_BYTES: i32 = 40;

/// The exit state's address, relative to rbp.
pub const EXIT_STATE_OFFSET: i32 = -SAVED_BYTES - size_of::<ExitState>() as i32;

/// A spill slot's address, relative to rbp. (dynasm uses an 8-bit displacement only where it is told to: `[BYTE rbp + n]`.)
pub const fn spill_offset(slot: u16) -> i32 {
    assert!((slot as usize) < SPILL_SLOTS);
    -SAVED_BYTES - 8 * (slot as i32 + 1)
}

/// All that compiled code had when it left: registers and spill slots.
#[repr(C)]
#[derive(Debug)]
pub struct ExitState {
    owner: u64,
    number: u64,
    /// The general registers, by hardware number. rsp is the frame's.
    pub general: [u64; 16],
    /// The XMM registers, low half first.
    pub xmm: [[u64; 2]; 16],
    /// Keeps rsp 16-aligned.
    _pad: u64,
    /// The spill slots, the last one first.
    spill: [u64; SPILL_SLOTS],
}

// The saver stores XMM registers with aligned stores; rbp is 16-aligned.
const _: () = assert!(EXIT_STATE_OFFSET % 16 == 0 && offset_of!(ExitState, xmm).is_multiple_of(16));
const _: () = assert!(spill_offset(0) == EXIT_STATE_OFFSET + (offset_of!(ExitState, spill) as i32) + 255 * 8);

impl ExitState {
    /// Who owns the exit, as given to [`emit_stubs`].
    pub fn owner(&self) -> u32 {
        // A push of 32 bits extends its sign into the upper half.
        self.owner as u32
    }

    /// Which of the owner's exits it is, from 0.
    pub fn number(&self) -> u32 {
        self.number as u32
    }

    /// The XMM register as one double.
    pub fn float(&self, register: u8) -> f64 {
        f64::from_bits(self.xmm[register as usize][0])
    }

    /// The contents of a spill slot.
    pub fn spill(&self, slot: u16) -> u64 {
        self.spill[SPILL_SLOTS - 1 - slot as usize]
    }
}

/// What the saver calls: takes the state and the context that the trampoline was given; the answer is what entering the
/// code answers.
pub type Deoptimizer = unsafe extern "C-unwind" fn(state: &mut ExitState, context: *mut u8) -> u64;

/// Stubs in a group: the first one's short jump must reach the group's end.
const GROUP: usize = 16;

/// Bytes that `exits` stubs take at most.
pub const fn stubs_bound(exits: usize) -> usize {
    // A stub: push imm32, jmp rel8. A group's end: push imm32, jmp rel32.
    exits * 7 + exits.div_ceil(GROUP) * 10
}

/// Places each of `exits` at a stub of its own: the stub of `exits[n]` leaves with number `n`. Meant for the end of the
/// owner's code. Answers the stubs' offsets.
pub fn emit_stubs(asm: &mut Assembler, trampoline: &Trampoline, owner: u32, exits: &[DynamicLabel]) -> Vec<u32> {
    let mut offsets = Vec::with_capacity(exits.len());
    for (group, labels) in exits.chunks(GROUP).enumerate() {
        let end = asm.new_dynamic_label();
        for (index, &label) in labels.iter().enumerate() {
            let number = group * GROUP + index;
            asm.dynamic_label(label);
            offsets.push(asm.offset().0 as u32);
            match i8::try_from(number) {
                Ok(short) => dynasm!(asm; .arch x64; push BYTE short),
                Err(_) => dynasm!(asm; .arch x64; push DWORD number as i32),
            }
            if index + 1 < labels.len() {
                dynasm!(asm; .arch x64; jmp BYTE =>end);
            }
        }
        dynasm!(asm; .arch x64; =>end; push DWORD owner as i32);
        x64::jump_to(asm, trampoline.saver());
    }
    offsets
}

/// The saver: stores all registers and calls the deoptimizer. The epilogue follows it; rax holds the answer there.
pub(super) fn emit_saver(asm: &mut Assembler, deoptimizer: Deoptimizer) {
    const GENERAL: i32 = offset_of!(ExitState, general) as i32;
    const XMM: i32 = offset_of!(ExitState, xmm) as i32;
    let general = |register: u8| GENERAL + 8 * i32::from(register);
    for register in (0..16).filter(|&register| register != x64::STACK) {
        dynasm!(asm; .arch x64; mov [rsp + general(register)], Rq(register));
    }
    for register in 0..16 {
        dynasm!(asm; .arch x64; movaps [rsp + XMM + 16 * i32::from(register)], Rx(register));
    }
    dynasm!(asm
        ; .arch x64
        ; lea rax, [rsp + GENERAL]
        ; mov [rsp + general(x64::STACK)], rax
        ; mov rdi, rsp
        ; mov rsi, Rq(x64::CONTEXT)
        ; mov rax, QWORD deoptimizer as usize as i64
        ; call rax
    );
}
