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
//!
//! *Stepping.* With a [`Stepper`] code that leaves does not come back to Rust: a function is asked which code goes on in the same
//! frame. To a debugger all of that is one function's frame, in which it can step from code to code. A second entry, [`nest`], is
//! called by compiled code and makes another frame of the same kind on top of its own, so that a debugger sees the one as the
//! other's caller.
//!
//! [`nest`]: Stepping::nest

use super::CodeError;
use super::exit::{self, Deoptimizer, EXIT_STATE_OFFSET, SAVED_BYTES};
use super::x64::{self, Assembler};
use dynasmrt::x64::Rq;
use dynasmrt::{DynasmApi, dynasm};
use perilune_unwind::frame::{Change, Frame, Register, X86_64};
use perilune_unwind::object::{Part, Symbol};
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
    leave: usize,
    stepping: Option<Stepping>,
    epilogue: usize,
    end: usize,
}

/// What a trampoline with a stepper has besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stepping {
    /// Called by compiled code: the stepper, as a function without lines, which debuggers step over.
    pub ask: usize,
    /// Called by compiled code: makes another frame and asks the stepper which code runs in it.
    pub nest: usize,
    /// Its last instruction, which jumps to that code.
    nested: usize,
}

/// Where code goes on, and with which base; what it means besides is an agreement of those who use it.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// The address of the code.
    pub code: usize,
    /// The base.
    pub base: usize,
}

/// What says where code goes on that has left: takes the context, what [`Trampoline::enter`] would have answered, or [`NESTED`] for a
/// frame that has just been made, and the frame's rbp. Code that leaves for good goes on at the epilogue.
pub type Stepper = unsafe extern "C-unwind" fn(context: *mut u8, answer: u64, frame: usize) -> Target;

/// What a stepper is given for a frame that has just been made.
pub const NESTED: u64 = u64::MAX - 1;

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
    pub fn leave(&self) -> usize {
        self.leave
    }

    /// What it has for stepping; nothing without a stepper.
    pub fn stepping(&self) -> Option<Stepping> {
        self.stepping
    }

    /// Jumped to by code that leaves for good.
    pub fn epilogue(&self) -> usize {
        self.epilogue
    }

    /// All of the trampoline.
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }

    /// Its parts, for debuggers.
    pub fn parts(&self) -> Vec<Part> {
        let part = |name: &str, start: usize, end: usize, lines: &[usize]| Part {
            symbol: Symbol { name: name.into(), start: start as u64, size: (end - start) as u64 },
            lines: lines.iter().map(|at| (at - start) as u32).collect(),
        };
        let mut parts = vec![
            part("perilune_enter", self.start, self.saver, &[self.start]),
            part("perilune_exit", self.saver, self.leave, &[self.saver]),
        ];
        match self.stepping {
            None => parts.push(part("perilune_leave", self.leave, self.end, &[self.leave])),
            Some(Stepping { ask, nest, nested }) => parts.extend([
                part("perilune_step", self.leave, ask, &[self.leave]),
                part("perilune_ask", ask, nest, &[]),
                // When a debugger steps into it, it goes on to the second line.
                part("perilune_nest", nest, self.epilogue, &[nest, nested]),
                part("perilune_leave", self.epilogue, self.end, &[self.epilogue]),
            ]),
        }
        parts
    }
}

/// Assembles the trampoline of an arena at `start`.
pub(super) fn assemble(
    start: usize,
    deoptimizer: Deoptimizer,
    stepper: Option<Stepper>,
) -> Result<Assembled, CodeError> {
    let mut asm = Assembler::new(start);
    let mut frame = Frame::new();
    emit_prologue(&mut asm, &mut frame);
    let [context, base, entry] = [0, 1, 2].map(|argument| x64::ARGUMENTS[argument]);
    dynasm!(asm
        ; .arch x64
        ; mov Rq(x64::CONTEXT), Rq(context)
        ; mov Rq(x64::BASE), Rq(base)
        ; jmp Rq(entry)
    );
    asm.align(16, 0xcc);
    let saver = start + asm.offset().0;
    exit::emit_saver(&mut asm, deoptimizer);
    if stepper.is_some() {
        // The call's return address belongs to the saver: else a debugger would not find the frame again that it was made from.
        dynasm!(asm; .arch x64; nop);
    }
    let leave = start + asm.offset().0;
    let stepping = stepper.map(|stepper| {
        emit_step(&mut asm, stepper);
        asm.align(16, 0xcc);
        let ask = start + asm.offset().0;
        emit_thunk(&mut asm, &mut frame, stepper);
        asm.align(16, 0xcc);
        let nest = start + asm.offset().0;
        enter_function(&asm, &mut frame);
        emit_prologue(&mut asm, &mut frame);
        let nested = start + emit_nested(&mut asm, &mut frame, ask);
        Stepping { ask, nest, nested }
    });
    let epilogue = start + asm.offset().0;
    emit_epilogue(&mut asm, &mut frame);
    let end = start + asm.offset().0;
    let trampoline = Trampoline { start, saver, leave, stepping, epilogue, end };
    Ok(Assembled { trampoline, code: asm.finalize()?, frame })
}

/// Asks where code goes on that has left with an answer in rax, and goes there.
fn emit_step(asm: &mut Assembler, stepper: Stepper) {
    dynasm!(asm
        ; .arch x64
        ; mov Rq(x64::ARGUMENTS[1]), rax
        ; mov Rq(x64::ARGUMENTS[0]), Rq(x64::CONTEXT)
        // Exits have pushed two words.
        ; lea rsp, [rbp - SAVED_BYTES - FRAME_BYTES]
        ; mov Rq(x64::ARGUMENTS[2]), rbp
        ; mov rax, QWORD stepper as usize as i64
        ; call rax
        ; mov Rq(x64::BASE), Rq(x64::SECOND_RESULT)
        ; jmp Rq(x64::RESULT)
    );
}

/// In a frame that was made by a call of compiled code: asks which code runs in it, and goes there. Answers the offset of the jump.
///
/// There the frame is described as the caller's. A debugger that steps into this function comes to the jump, and takes the code that it
/// leads to for what the caller has called: it stops there.
fn emit_nested(asm: &mut Assembler, frame: &mut Frame, ask: usize) -> usize {
    dynasm!(asm
        ; .arch x64
        ; mov Rq(x64::ARGUMENTS[2]), rbp
        ; mov Rq(x64::ARGUMENTS[1]), QWORD NESTED as i64
        ; mov Rq(x64::ARGUMENTS[0]), Rq(x64::CONTEXT)
    );
    x64::call_to(asm, ask);
    dynasm!(asm; .arch x64; mov Rq(x64::BASE), Rq(x64::SECOND_RESULT); mov rcx, [rbp]);
    let jump = asm.offset().0;
    frame.step(jump, Change::Cfa(X86_64::RCX, 16));
    dynasm!(asm; .arch x64; jmp Rq(x64::RESULT));
    frame.step(asm.offset().0, Change::Cfa(X86_64::RBP, 16));
    jump
}

/// From here on the frame is what it is where a function is called.
fn enter_function(asm: &Assembler, frame: &mut Frame) {
    for name in SAVED.map(|(_, name)| name).into_iter().chain([X86_64::RBP]) {
        frame.step(asm.offset().0, Change::Restored(name));
    }
    frame.step(asm.offset().0, Change::Cfa(X86_64::RSP, 8));
}

fn emit_thunk(asm: &mut Assembler, frame: &mut Frame, stepper: Stepper) {
    enter_function(asm, frame);
    dynasm!(asm; .arch x64; mov rax, QWORD stepper as usize as i64; jmp rax);
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
    dynasm!(asm; .arch x64; sub rsp, FRAME_BYTES);
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

    unsafe extern "C-unwind" fn nowhere(_: *mut u8, _: u64, _: usize) -> Target {
        unreachable!("this trampoline is not run")
    }

    #[test]
    fn the_frame_is_described_at_every_instruction() {
        check_frames(assemble(START, never, None).unwrap());
        check_frames(assemble(START, never, Some(nowhere)).unwrap());
    }

    fn check_frames(Assembled { trampoline, code, frame }: Assembled) {
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
            if trampoline.stepping.is_some_and(|s| address == s.ask || address == s.nest) {
                machine = Machine::at_entry();
            }
            if instruction.code() == Code::Int3 {
                continue;
            }
            let is_nested = trampoline.stepping.is_some_and(|s| address == s.nested);
            if is_nested {
                // The caller's rbp is what its own frame is found by.
                let row = cfi::eh_frame_row(&eh_frame, address as u64).unwrap();
                assert_eq!((row.cfa, row.saved.len()), ((X86_64::RCX, 16), 7));
            } else {
                check(&machine, address, &instruction.to_string());
            }
            checked += 1;
            if instruction.code() == Code::Jmp_rm64 {
                if address < trampoline.saver || trampoline.stepping.is_some_and(|s| address > s.nest) {
                    assert_eq!(machine.rsp % 16, 0, "the CFA is a multiple of 16, and so is rsp in the body");
                }
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
