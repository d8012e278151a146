//! How Rust enters compiled code: one trampoline at the start of each arena, and the fixed frame that it makes.
//!
//! ```text
//! rbp+8   return address             rbp-40 and below   spill slots (`exit::spill_offset`)
//! rbp     the caller's rbp           ...                registers stored at an exit
//! rbp-8   rbx, r12, r13, r14, r15    rsp                (16-aligned)
//! ```
//!
//! The frame stands from the prologue's end to the epilogue's start, in all code of the arena, wherever it is: rbp-based
//! rules describe it in one entry. Only the prologue and the epilogue themselves need rows of their own; they are recorded
//! here, next to the instructions they describe.

use super::CodeError;
use super::exit::{self, Deoptimizer, EXIT_STATE_OFFSET, SAVED_BYTES};
use super::x64::{self, Assembler};
use dynasmrt::x64::Rq;
use dynasmrt::{DynasmApi, dynasm};
use perilune_unwind::frame::{Change, Frame, Register, X86_64};
use perilune_unwind::object::Symbol;
use std::ops::Range;

/// The two words at the exit state's head are pushed by exits, so the frame ends above them.
const FRAME_BYTES: i32 = -EXIT_STATE_OFFSET - SAVED_BYTES - 16;

// At a function's entry rsp is 8 below a multiple of 16; rbp is pushed, then the saved registers, then the frame.
const _: () = assert!((SAVED_BYTES + FRAME_BYTES) % 16 == 0);
// The frame must not step over the guard page below the stack.
const _: () = assert!(SAVED_BYTES + FRAME_BYTES < 4096);

/// What the trampoline saves, in the order of its pushes, with the DWARF names.
const SAVED: [(u8, Register); 5] = [
    (Rq::RBX as u8, X86_64::RBX),
    (Rq::R12 as u8, X86_64::R12),
    (Rq::R13 as u8, X86_64::R13),
    (Rq::R14 as u8, X86_64::R14),
    (Rq::R15 as u8, X86_64::R15),
];
const _: () = assert!(SAVED.len() * 8 == SAVED_BYTES as usize);

/// The start of an arena: entry, saver and epilogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trampoline {
    start: usize,
    saver: usize,
    epilogue: usize,
    end: usize,
}

/// Its code and how its frame comes and goes.
pub(super) struct Assembled {
    pub(super) trampoline: Trampoline,
    pub(super) code: Vec<u8>,
    pub(super) frame: Frame,
}

/// The signature of the entry.
type Enter = unsafe extern "C-unwind" fn(context: *mut u8, base: *mut u8, entry: *const u8) -> u64;

impl Trampoline {
    /// Runs the code at `entry` until it exits, and answers what the deoptimizer did, or what the code had in rax when it
    /// jumped to the epilogue. `context` and `base` are in the registers of these names ([`x64`]) when it starts.
    ///
    /// # Safety
    /// `entry` is the start of published code of this trampoline's arena that is correct for `context` and `base`, and
    /// it and all code that it jumps to stay published until this returns or unwinds.
    pub unsafe fn enter(&self, context: *mut u8, base: *mut u8, entry: usize) -> u64 {
        // SAFETY: the arena holds a trampoline of this signature at its start.
        let enter: Enter = unsafe { std::mem::transmute(self.start) };
        // SAFETY: the caller vouches for the code at `entry`.
        unsafe { enter(context, base, entry as *const u8) }
    }

    /// Jumped to by exit stubs, after their two pushes.
    pub fn saver(&self) -> usize {
        self.saver
    }

    /// Jumped to by code that leaves without an exit: rax holds the answer.
    pub fn epilogue(&self) -> usize {
        self.epilogue
    }

    /// All of the trampoline.
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }

    /// Names of its parts.
    pub fn symbols(&self) -> Vec<Symbol> {
        let symbol = |name: &str, start: usize, end: usize| Symbol {
            name: name.into(),
            start: start as u64,
            size: (end - start) as u64,
        };
        vec![
            symbol("perilune_enter", self.start, self.saver),
            symbol("perilune_exit", self.saver, self.epilogue),
            symbol("perilune_leave", self.epilogue, self.end),
        ]
    }
}

/// Assembles the trampoline of an arena at `start`.
pub(super) fn assemble(start: usize, deoptimizer: Deoptimizer) -> Result<Assembled, CodeError> {
    let mut asm = Assembler::new(start);
    let mut frame = Frame::new();
    emit_prologue(&mut asm, &mut frame);
    asm.align(16, 0xcc);
    let saver = asm.offset().0;
    exit::emit_saver(&mut asm, deoptimizer);
    let epilogue = asm.offset().0;
    emit_epilogue(&mut asm, &mut frame);
    let end = asm.offset().0;
    let trampoline = Trampoline { start, saver: start + saver, epilogue: start + epilogue, end: start + end };
    Ok(Assembled { trampoline, code: asm.finalize()?, frame })
}

fn emit_prologue(asm: &mut Assembler, frame: &mut Frame) {
    dynasm!(asm; .arch x64; push rbp);
    frame.step(asm.offset().0, Change::Cfa(X86_64::RSP, 16));
    frame.step(asm.offset().0, Change::Saved(X86_64::RBP, -16));
    dynasm!(asm; .arch x64; mov rbp, rsp);
    frame.step(asm.offset().0, Change::Cfa(X86_64::RBP, 16));
    let mut offset = -16;
    for (register, name) in SAVED {
        dynasm!(asm; .arch x64; push Rq(register));
        offset -= 8;
        frame.step(asm.offset().0, Change::Saved(name, offset));
    }
    let [context, base, entry] = [0, 1, 2].map(|argument| x64::ARGUMENTS[argument]);
    dynasm!(asm
        ; .arch x64
        ; sub rsp, FRAME_BYTES
        ; mov Rq(x64::CONTEXT), Rq(context)
        ; mov Rq(x64::BASE), Rq(base)
        ; jmp Rq(entry)
    );
}

fn emit_epilogue(asm: &mut Assembler, frame: &mut Frame) {
    dynasm!(asm; .arch x64; lea rsp, [rbp - SAVED_BYTES]);
    frame.step(asm.offset().0, Change::Remember);
    for (register, name) in SAVED.into_iter().rev() {
        dynasm!(asm; .arch x64; pop Rq(register));
        frame.step(asm.offset().0, Change::Restored(name));
    }
    dynasm!(asm; .arch x64; pop rbp);
    frame.step(asm.offset().0, Change::Restored(X86_64::RBP));
    frame.step(asm.offset().0, Change::Cfa(X86_64::RSP, 8));
    dynasm!(asm; .arch x64; ret);
    // What follows in the arena runs in the whole frame.
    frame.step(asm.offset().0, Change::Recall);
}

#[cfg(test)]
mod tests {
    use super::*;
    use iced_x86::{Code, Decoder, DecoderOptions, Instruction, OpKind, Register as Hardware};
    use perilune_unwind::cfi::{self, Row};
    use std::collections::BTreeMap;

    const START: usize = 0x7fff_0000_0000;
    const LENGTH: u32 = 1 << 28;

    /// The registers that belong to the caller, with the DWARF names.
    const OURS: [(Hardware, Register); 6] = [
        (Hardware::RBP, X86_64::RBP),
        (Hardware::RBX, X86_64::RBX),
        (Hardware::R12, X86_64::R12),
        (Hardware::R13, X86_64::R13),
        (Hardware::R14, X86_64::R14),
        (Hardware::R15, X86_64::R15),
    ];

    /// What single instructions do to the frame. Addresses count from the CFA.
    #[derive(Clone)]
    struct Machine {
        rsp: i64,
        /// `None` while it holds the caller's value.
        rbp: Option<i64>,
        /// The registers that hold the caller's value.
        whole: Vec<Hardware>,
        /// Where the caller's values lie in memory.
        memory: BTreeMap<i64, Hardware>,
    }

    impl Machine {
        fn at_entry() -> Machine {
            let whole = OURS.iter().map(|&(register, _)| register).collect();
            Machine { rsp: -8, rbp: None, whole, memory: BTreeMap::new() }
        }

        fn step(&mut self, instruction: &Instruction) {
            let register = instruction.op0_register();
            match instruction.code() {
                Code::Push_r64 => {
                    self.rsp -= 8;
                    self.memory.remove(&self.rsp);
                    if self.whole.contains(&register) {
                        self.memory.insert(self.rsp, register);
                    }
                }
                Code::Pop_r64 => {
                    assert_eq!(self.memory.get(&self.rsp), Some(&register), "{instruction}");
                    self.rsp += 8;
                    self.whole.push(register);
                    if register == Hardware::RBP {
                        self.rbp = None;
                    }
                }
                Code::Mov_rm64_r64 | Code::Mov_r64_rm64 if register == Hardware::RBP => {
                    assert_eq!(instruction.op1_register(), Hardware::RSP);
                    self.rbp = Some(self.rsp);
                    self.whole.retain(|&whole| whole != register);
                }
                Code::Sub_rm64_imm32 => {
                    assert_eq!(register, Hardware::RSP);
                    self.rsp -= instruction.immediate(1) as i64;
                }
                Code::Lea_r64_m if register == Hardware::RSP => {
                    assert_eq!(instruction.memory_base(), Hardware::RBP);
                    self.rsp = self.rbp.unwrap() + instruction.memory_displacement64() as i64;
                }
                Code::Retnq => assert_eq!(self.rsp, -8),
                _ => {
                    assert_ne!(register, Hardware::RSP, "{instruction}");
                    // Stores name a register second; what is named first is written.
                    if instruction.op0_kind() == OpKind::Register {
                        self.whole.retain(|&whole| whole != register);
                    }
                }
            }
        }

        /// Whether `row` finds all that belongs to the caller.
        fn check(&self, row: &Row, at: &str) {
            let (register, offset) = row.cfa;
            let base = match register {
                X86_64::RSP => self.rsp,
                X86_64::RBP => self.rbp.unwrap_or_else(|| panic!("{at}: no frame in rbp")),
                _ => panic!("{at}: CFA from {register:?}"),
            };
            assert_eq!(base + offset, 0, "{at}: CFA");
            assert!(row.saved.contains(&(X86_64::RA, -8)), "{at}: return address");
            for (hardware, register) in OURS {
                match row.saved.iter().find(|saved| saved.0 == register) {
                    Some((_, offset)) => {
                        assert_eq!(self.memory.get(offset), Some(&hardware), "{at}: {hardware:?}");
                        assert!(*offset >= self.rsp, "{at}: {hardware:?} lies below rsp");
                    }
                    None => assert!(self.whole.contains(&hardware), "{at}: {hardware:?}"),
                }
            }
        }
    }

    unsafe extern "C-unwind" fn never(_: &mut exit::ExitState, _: *mut u8) -> u64 {
        unreachable!("this trampoline is not run")
    }

    #[test]
    fn the_frame_is_described_at_every_instruction() {
        let Assembled { trampoline, code, frame } = assemble(START, never).unwrap();
        let eh_frame = cfi::eh_frame(&frame, START as u64, LENGTH).unwrap();
        let debug_frame = cfi::debug_frame(&frame, START as u64, LENGTH).unwrap();
        let check = |machine: &Machine, address: usize, what: &str| {
            let at = format!("{:#x} ({what})", address - START);
            machine.check(&cfi::eh_frame_row(&eh_frame, address as u64).unwrap(), &at);
            machine.check(&cfi::debug_frame_row(&debug_frame, address as u64).unwrap(), &at);
        };
        let mut machine = Machine::at_entry();
        let mut body = None;
        let mut checked = 0;
        for instruction in &mut Decoder::with_ip(64, &code, START as u64, DecoderOptions::NONE) {
            let address = instruction.ip() as usize;
            if address == trampoline.saver {
                // From the body, with the two words that an exit pushes.
                machine = body.clone().expect("the prologue comes first");
                machine.rsp -= 16;
            }
            if instruction.code() == Code::Int3 {
                continue;
            }
            check(&machine, address, &instruction.to_string());
            checked += 1;
            if instruction.code() == Code::Jmp_rm64 {
                assert_eq!(machine.rsp % 16, 0, "the CFA is a multiple of 16, and so is rsp in the body");
                body = Some(machine.clone());
            }
            machine.step(&instruction);
        }
        assert!(checked > 50, "{checked} instructions");
        let body = body.unwrap();
        for address in [trampoline.end, trampoline.end + 1, START + 12345, START + LENGTH as usize - 1] {
            check(&body, address, "body");
        }
    }
}
