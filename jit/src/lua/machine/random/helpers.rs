//! Functions that random traces call: of all classes, with many arguments, some of which fail now and then.

use crate::lua::entry::full_call;
use crate::lua::helpers::{H, HELPERS};
use crate::lua::ir::helper::{Access, Class, Failure};
use crate::lua::ir::{Alias, Helper, Type};
use perilune_runtime::lua::state::State;
use perilune_runtime::lua::value::Value;

use super::generate::{Memory, SLOTS};

extern "C-unwind" fn ints(_: *mut State, a: u64, b: u64, c: u64, d: u64, e: u64) -> u64 {
    clobber();
    a ^ b.rotate_left(1) ^ c.rotate_left(2) ^ d.rotate_left(3) ^ e.rotate_left(4)
}

extern "C-unwind" fn floats(_: *mut State, a: f64, b: f64, c: f64, d: f64, e: f64, f: f64, g: f64, h: f64) -> f64 {
    clobber();
    a - b + c * 0.5 - d + e - f * 0.25 + g - h
}

extern "C-unwind" fn both(_: *mut State, a: u64, x: f64, b: u64, y: f64) -> f64 {
    clobber();
    a as f64 * 0.5 + x - (b & 15) as f64 + y
}

extern "C-unwind" fn not_five(_: *mut State, a: u64) -> u64 {
    clobber();
    u64::from(a % 16 != 5)
}

extern "C-unwind" fn five(_: *mut State, x: f64, a: u64) -> u64 {
    clobber();
    u64::from(a % 16 == 5 && x < 1e9)
}

extern "C-unwind" fn scramble(state: *mut State, memory: *const Memory, site: u64, frame: usize) -> u64 {
    clobber();
    // SAFETY: what runs the trace hands on its state, and borrows nothing of it during a call; the memory is the test's.
    let (state, memory) = unsafe { (&mut *state, &*memory) };
    let call = |state: &mut State| {
        memory[1].set(memory[1].get() ^ 0x55);
        memory[34].set(memory[34].get() & 0xff);
        memory[59].set(Type::Float.tag().into());
        change_last_slot(state);
        1
    };
    // SAFETY: what compiled code has passed.
    unsafe { full_call(state, (site, frame), call) };
    0
}

extern "C-unwind" fn bare(state: *mut State) -> u64 {
    clobber();
    // SAFETY: as above.
    change_last_slot(unsafe { &mut *state });
    0
}

fn change_last_slot(state: &mut State) {
    state.thread.move_stack();
    let slot = super::BASE as usize + SLOTS as usize - 1;
    let old = state.slot(slot);
    state.set_slot(slot, Value::float(if old.is_float() { old.raw_float() + 1.0 } else { 0.5 }));
}

/// Overwrites what a called function may: callers must not keep anything there.
#[inline(always)]
fn clobber() {
    let general: [u64; 9] = [0x5a5a_5a5a_5a5a_5a5a; 9];
    // SAFETY: nothing but registers is written, all of which are named.
    unsafe {
        std::arch::asm!(
            "",
            inlateout("rax") general[0] => _, inlateout("rcx") general[1] => _, inlateout("rdx") general[2] => _,
            inlateout("rsi") general[3] => _, inlateout("rdi") general[4] => _, inlateout("r8") general[5] => _,
            inlateout("r9") general[6] => _, inlateout("r10") general[7] => _, inlateout("r11") general[8] => _,
            inlateout("xmm0") 1.25f64 => _, inlateout("xmm1") 1.25f64 => _, inlateout("xmm2") 1.25f64 => _,
            inlateout("xmm3") 1.25f64 => _, inlateout("xmm4") 1.25f64 => _, inlateout("xmm5") 1.25f64 => _,
            inlateout("xmm6") 1.25f64 => _, inlateout("xmm7") 1.25f64 => _, inlateout("xmm8") 1.25f64 => _,
            inlateout("xmm9") 1.25f64 => _, inlateout("xmm10") 1.25f64 => _, inlateout("xmm11") 1.25f64 => _,
            inlateout("xmm12") 1.25f64 => _, inlateout("xmm13") 1.25f64 => _, inlateout("xmm14") 1.25f64 => _,
            inlateout("xmm15") 1.25f64 => _,
            options(nomem, nostack)
        );
    }
}

/// The number of the full call; those before it are not.
pub(super) const FULL: u16 = 5;
/// Makes a table.
pub(super) const TABLE: u16 = 6;
/// Makes a table that the parent has not built.
pub(super) const BUILT: u16 = 7;
/// The number of the call for which no frames stand.
pub(super) const BARE: u16 = 8;
/// Makes a cell.
pub(super) const CELL: u16 = 9;
/// Makes a cell that the parent has not built.
pub(super) const CELL_BUILT: u16 = 10;
/// Makes a function.
pub(super) const FUNCTION: u16 = 11;
/// Makes a function that the parent has not built.
pub(super) const FUNCTION_BUILT: u16 = 12;

/// Makes the memory of a table's array.
pub(super) const ARRAY: u16 = 13;
/// The same for a table that the parent has not built.
pub(super) const ARRAY_BUILT: u16 = 14;

const INTS: &[Type] = &[Type::Int; 5];
const FLOATS: &[Type] = &[Type::Float; 8];
const BOTH: &[Type] = &[Type::Int, Type::Float, Type::Int, Type::Float];

/// All of them.
pub(super) fn table() -> &'static [Helper] {
    thread_local! {
        static TABLE: &'static [Helper] = Box::leak(Box::new(rows()));
    }
    TABLE.with(|t| *t)
}

fn rows() -> [Helper; 15] {
    let row = |name, args, result, class, access, failure, f: *const ()| {
        // SAFETY: it is called by the types that the row states.
        let entry = unsafe { std::mem::transmute::<*const (), crate::lua::ir::helper::Entry>(f) };
        Helper { name, args, result, class, access, failure, entry }
    };
    let (leaf, allocating) = (Class::Leaf, Class::Allocating);
    let (zero, nonzero) = (Failure::Zero, Failure::NonZero);
    [
        row("ints", INTS, Type::Int, leaf, Access::Pure, Failure::Never, ints as *const ()),
        row("floats", FLOATS, Type::Float, leaf, Access::Pure, Failure::Never, floats as *const ()),
        row("both", BOTH, Type::Float, allocating, Access::Writes(0), Failure::Never, both as *const ()),
        row("not_five", &[Type::Int], Type::Int, allocating, Access::Reads(0), zero, not_five as *const ()),
        row("five", &[Type::Float, Type::Int], Type::Void, leaf, Access::Writes(0), nonzero, five as *const ()),
        row(
            "scramble",
            &[Type::Ptr],
            Type::Void,
            Class::Full,
            Access::Writes(Alias::ALL),
            Failure::Never,
            scramble as *const (),
        ),
        HELPERS[H::TableNew as usize],
        HELPERS[H::TableBuilt as usize],
        row("bare", &[], Type::Void, allocating, Access::Writes(Alias::Slot.bit()), Failure::Never, bare as *const ()),
        HELPERS[H::CellNew as usize],
        HELPERS[H::CellBuilt as usize],
        HELPERS[H::ClosureNew as usize],
        HELPERS[H::ClosureBuilt as usize],
        HELPERS[H::ArrayNew as usize],
        HELPERS[H::ArrayBuilt as usize],
    ]
}
