//! Code and constants that all traces of an arena share.
//!
//! A thunk calls a Rust function from cold code without disturbing the trace: it keeps all registers. Its argument is pushed
//! before it is called.
#![forbid(unsafe_code)]

use crate::code::CodeError;
use crate::code::arena::Arena;
use crate::code::buffer::Code;
use crate::code::encode::{self, Mem, Rm, op};
use crate::code::x64::{self, Assembler};
use dynasmrt::{DynasmApi, dynasm};

/// Addresses of the shared code.
#[derive(Debug)]
pub struct Thunks {
    /// Sixteen bytes whose lower half is the sign bit of a double.
    pub sign_mask: usize,
    /// Sixteen bytes whose lower half is all other bits of a double.
    pub abs_mask: usize,
    /// The write barrier for the pushed object, which it pops.
    pub barrier: usize,
    /// Finds free cells: a [`Refill`](crate::lua::entry::Refill) is pushed, and the first cell's address stays on the stack, or 0.
    pub refill: usize,
    /// Rounds the pushed double down; it stays on the stack.
    pub floor: usize,
    /// Rounds the pushed double up; it stays on the stack.
    pub ceil: usize,
    _code: Code,
}

/// Rust functions that thunks call, `extern "C-unwind"`: all take the state and a pointer to the pushed word.
#[derive(Clone, Copy, Debug)]
pub struct ThunkFunctions {
    /// The write barrier's slow path.
    pub barrier: usize,
    /// Replaces the word, a request for free cells, by the address of the first one.
    pub refill: usize,
    /// Rounds the word, a double, down.
    pub floor: usize,
    /// Rounds the word, a double, up.
    pub ceil: usize,
}

impl Thunks {
    /// Makes the shared code of an arena.
    pub fn new(arena: &Arena, functions: ThunkFunctions) -> Result<Thunks, CodeError> {
        let mut buffer = arena.begin(2048)?;
        let asm = &mut buffer.asm;
        // Blocks start at multiples of 16.
        for word in [1 << 63, 0, !(1 << 63), 0u64] {
            asm.push_u64(word);
        }
        let ThunkFunctions { barrier, refill, floor, ceil } = functions;
        let [barrier, refill, floor, ceil] =
            [(barrier, 8), (refill, 0), (floor, 0), (ceil, 0)].map(|(function, popped)| {
                asm.align(16, 0xcc);
                let offset = asm.offset().0;
                thunk(asm, function, popped);
                offset
            });
        let code = buffer.publish()?;
        let start = code.start();
        Ok(Thunks {
            sign_mask: start,
            abs_mask: start + 16,
            barrier: start + barrier,
            refill: start + refill,
            floor: start + floor,
            ceil: start + ceil,
            _code: code,
        })
    }
}

/// Keeps the registers that a call may change, calls, and pops `popped` bytes of arguments.
fn thunk(asm: &mut Assembler, function: usize, popped: i16) {
    let general: Vec<u8> = (0..16).filter(|&r| x64::CALLER_SAVED & 1 << r != 0).collect();
    // rsp was 16-aligned before the argument and the return address were pushed.
    let vectors = 16 * 16;
    let frame = (general.len() * 8 + vectors).next_multiple_of(16) - general.len() * 8;
    for &reg in &general {
        encode::push(asm, Rm::Reg(reg));
    }
    dynasm!(asm; .arch x64; sub rsp, frame as i32);
    for reg in 0..16u8 {
        dynasm!(asm; .arch x64; movups [rsp + 16 * i32::from(reg)], Rx(reg));
    }
    let argument = (frame + general.len() * 8 + 8) as i32;
    encode::rm(asm, op::MOV, x64::ARGUMENTS[0], Rm::Reg(x64::CONTEXT));
    encode::rm(asm, op::LEA, x64::ARGUMENTS[1], Rm::Mem(Mem::at(x64::STACK, argument)));
    encode::mov_imm(asm, x64::RESULT, function as u64);
    encode::call(asm, Rm::Reg(x64::RESULT));
    for reg in 0..16u8 {
        dynasm!(asm; .arch x64; movups Rx(reg), [rsp + 16 * i32::from(reg)]);
    }
    dynasm!(asm; .arch x64; add rsp, frame as i32);
    for &reg in general.iter().rev() {
        encode::pop(asm, Rm::Reg(reg));
    }
    dynasm!(asm; .arch x64; ret popped);
}
