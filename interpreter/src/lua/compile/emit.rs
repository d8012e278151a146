//! Writing bytecode: words with their lines, constants, registers, and lists of jumps that wait for their target.
//!
//! A list of jumps is threaded through the jumps themselves: each holds the distance to the next one, the last a distance
//! that leads to itself.
#![forbid(unsafe_code)]

use std::hash::{BuildHasherDefault, Hasher};

use perilune_runtime::lua::bytecode::{self as bc, Extra, Op, Word};
use perilune_runtime::lua::prototype::Constant;

use super::super::ast::LabelId;
use super::super::symbol::Symbol;
use super::Compiler;

/// A list of jumps: the place of the first one.
pub(super) type JumpList = usize;
/// The empty list.
pub(super) const NO_JUMP: JumpList = usize::MAX;

/// A register that no function has: a `TESTSET` whose target is not known yet.
const NO_REGISTER: u32 = bc::MAX_ABC;

/// Hashes numbers by one multiplication.
#[derive(Default)]
pub(super) struct NumberHasher(u64);
pub(super) type Hashing = BuildHasherDefault<NumberHasher>;

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&b| self.write_u64(u64::from(b)));
    }
    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0.rotate_left(5) ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    fn write_u8(&mut self, n: u8) {
        self.write_u64(u64::from(n));
    }
}

impl Compiler<'_> {
    // -------------------------------------------------------------------------------------------------------- words

    pub(super) fn pc(&self) -> usize {
        self.proto.code.len()
    }

    /// Writes an instruction; answers its place. Its extra word is 0, the next cache, or a counter at its start.
    pub(super) fn emit(&mut self, word: Word) -> usize {
        let extra = match bc::op(word).extra() {
            Extra::None => None,
            Extra::Wide => Some(0),
            Extra::Counter => Some(bc::COUNTER_START),
            Extra::Cache => {
                self.proto.caches += 1;
                Some(self.proto.caches - 1)
            }
        };
        self.emit_with(word, extra)
    }

    pub(super) fn emit_wide(&mut self, word: Word, extra: u32) -> usize {
        self.emit_with(word, Some(extra))
    }

    fn emit_with(&mut self, word: Word, extra: Option<u32>) -> usize {
        let pc = self.pc();
        self.last = Some(pc);
        self.proto.code.push(word);
        self.proto.lines.push(self.line);
        if let Some(extra) = extra {
            self.proto.code.push(extra);
            self.proto.lines.push(self.line);
        }
        pc
    }

    pub(super) fn emit_abc(&mut self, op: Op, a: u32, b: u32, c: u32) -> usize {
        self.emit(bc::abc(op, a, b, c, false))
    }

    /// The instruction written last belongs to this line.
    pub(super) fn fix_line(&mut self, line: u32) {
        if let Some(last) = self.last {
            self.proto.lines[last..].fill(line);
        }
    }

    /// The instruction before this place, if it is certain that it runs before what comes here.
    pub(super) fn previous(&self) -> Option<Word> {
        let last = self.last?;
        if self.last_target >= self.pc() { None } else { Some(self.proto.code[last]) }
    }

    /// Takes the instruction written last back; it must be of one word and not a place that is jumped to.
    pub(super) fn remove_last(&mut self) {
        self.proto.code.pop();
        self.proto.lines.pop();
        self.last = None;
    }

    /// Sets operand `A`.
    pub(super) fn set_a(&mut self, pc: usize, a: u32) {
        let word = &mut self.proto.code[pc];
        *word = *word & !(0xff << 7) | a << 7;
    }

    /// Sets operand `B`.
    pub(super) fn set_b(&mut self, pc: usize, b: u32) {
        let word = &mut self.proto.code[pc];
        *word = *word & !(0xff << 16) | b << 16;
    }

    /// Sets operand `C`.
    pub(super) fn set_c(&mut self, pc: usize, c: u32) {
        let word = &mut self.proto.code[pc];
        *word = *word & !(0xff << 24) | c << 24;
    }

    /// Sets operand `Bx`, a distance.
    pub(super) fn set_bx(&mut self, pc: usize, bx: usize) {
        if bx > bc::MAX_BX as usize {
            self.fail("control structure too long");
            return;
        }
        let word = &mut self.proto.code[pc];
        *word = *word & 0x7fff | (bx as u32) << 15;
    }

    // ------------------------------------------------------------------------------------------------------- registers

    /// Notes that `n` registers above the free ones are needed.
    pub(super) fn check_stack(&mut self, n: u32) {
        let needed = self.free + n;
        if needed >= bc::MAX_REGISTERS as u32 {
            self.fail("function or expression needs too many registers");
            self.free = self.free.min(bc::MAX_REGISTERS as u32 - 8);
            return;
        }
        self.proto.max_stack = self.proto.max_stack.max(needed as u8);
    }

    pub(super) fn reserve(&mut self, n: u32) {
        self.check_stack(n);
        self.free += n;
    }

    /// Frees a register if it is a temporary.
    pub(super) fn free_register(&mut self, register: u32) {
        if register >= self.var_level() {
            self.free = self.free.saturating_sub(1);
            debug_assert!(self.free == register || self.failure.is_some(), "registers are freed in reverse order");
        }
    }

    // ------------------------------------------------------------------------------------------------------- constants

    fn new_constant(&mut self, constant: Constant) -> u32 {
        self.proto.constants.push(constant);
        self.proto.constants.len() as u32 - 1
    }

    fn keyed_constant(&mut self, key: (u8, u64), constant: Constant) -> u32 {
        if let Some(&index) = self.constants.get(&key) {
            return index;
        }
        let index = self.new_constant(constant);
        self.constants.insert(key, index);
        index
    }

    pub(super) fn nil_constant(&mut self) -> u32 {
        self.keyed_constant((0, 0), Constant::Nil)
    }

    pub(super) fn boolean_constant(&mut self, b: bool) -> u32 {
        self.keyed_constant((1, u64::from(b)), Constant::Boolean(b))
    }

    pub(super) fn int_constant(&mut self, i: i64) -> u32 {
        self.keyed_constant((2, i as u64), Constant::Integer(i))
    }

    pub(super) fn float_constant(&mut self, f: f64) -> u32 {
        self.keyed_constant((3, f.to_bits()), Constant::Float(f))
    }

    pub(super) fn string_constant(&mut self, s: Symbol) -> u32 {
        let (function, index) = self.chunk.string_constants.get(s.0 as usize).copied().unwrap_or((u32::MAX, 0));
        if function == self.id.0 {
            return index;
        }
        let text = self.chunk.symbols.shared(s);
        let index = self.new_constant(Constant::String(text));
        if let Some(entry) = self.chunk.string_constants.get_mut(s.0 as usize) {
            *entry = (self.id.0, index);
        }
        index
    }

    /// `R[register] := K[k]`
    pub(super) fn emit_load_constant(&mut self, register: u32, k: u32) -> usize {
        if k <= bc::MAX_BX {
            self.emit(bc::abx(Op::LoadK, register, k))
        } else {
            self.emit_wide(bc::abc(Op::LoadKX, register, 0, 0, false), k)
        }
    }

    /// Sets `n` registers from `from` on to nil; goes together with a like instruction before.
    pub(super) fn emit_nil(&mut self, from: u32, n: u32) {
        let end = from + n - 1;
        if let Some(word) = self.previous()
            && bc::op(word) == Op::LoadNil
            && let Some(last) = self.last
        {
            let before = bc::a(word) as u32;
            let before_end = before + bc::b(word) as u32;
            if (before <= from && from <= before_end + 1) || (from <= before && before <= end + 1) {
                let first = before.min(from);
                self.set_a(last, first);
                self.set_b(last, before_end.max(end) - first);
                return;
            }
        }
        self.emit_abc(Op::LoadNil, from, n - 1, 0);
    }

    // ----------------------------------------------------------------------------------------------------------- jumps

    /// Writes a jump whose target comes later.
    pub(super) fn jump(&mut self) -> JumpList {
        self.emit(bc::sj(Op::Jmp, -1))
    }

    fn next_jump(&self, at: JumpList) -> JumpList {
        match bc::jump(self.proto.code[at]) {
            -1 => NO_JUMP,
            distance => (at as i64 + 1 + i64::from(distance)) as usize,
        }
    }

    fn set_jump(&mut self, at: usize, target: usize) {
        let distance = target as i64 - (at as i64 + 1);
        if distance.abs() > i64::from(bc::OFFSET_SJ) {
            self.fail("control structure too long");
            return;
        }
        self.proto.code[at] = bc::sj(Op::Jmp, distance as i32);
    }

    /// This place is jumped to: from now on nothing here goes together with what is before.
    pub(super) fn here(&mut self) -> usize {
        self.last_target = self.pc();
        self.last_target
    }

    /// Appends the second list to the first, which should be the shorter one.
    pub(super) fn concat(&mut self, list: &mut JumpList, other: JumpList) {
        if other == NO_JUMP {
            return;
        }
        if *list == NO_JUMP {
            *list = other;
            return;
        }
        let mut at = *list;
        loop {
            let next = self.next_jump(at);
            if next == NO_JUMP {
                break;
            }
            at = next;
        }
        self.set_jump(at, other);
    }

    /// The list with one jump more; takes the same time however long it is.
    pub(super) fn prepend(&mut self, jump: JumpList, list: JumpList) -> JumpList {
        let mut all = jump;
        if all == NO_JUMP {
            return list;
        }
        self.concat(&mut all, list);
        all
    }

    /// Lets plain jumps (those that follow no test) come here.
    pub(super) fn patch_here(&mut self, list: JumpList) {
        let target = self.here();
        let mut at = list;
        while at != NO_JUMP {
            let next = self.next_jump(at);
            self.set_jump(at, target);
            at = next;
        }
    }

    /// Jumps back to `target`.
    pub(super) fn jump_back(&mut self, target: usize) {
        let distance = target as i64 - (self.pc() as i64 + 2);
        if -distance > i64::from(bc::OFFSET_SJ) {
            self.fail("control structure too long");
            return;
        }
        self.emit(bc::sj(Op::JmpBack, distance as i32));
    }

    /// Writes a test and the jump that it controls.
    pub(super) fn conditional_jump(&mut self, test: Word) -> JumpList {
        self.emit(test);
        self.jump()
    }

    /// Makes a test that jumps, the one before the jump at `jump`, keep no value, or keep it in `register`. Answers whether
    /// it was one that can.
    pub(super) fn patch_test(&mut self, jump: JumpList, register: Option<u32>) -> bool {
        let pc = jump - 1;
        let word = self.proto.code[pc];
        if bc::op(word) != Op::TestSet {
            return false;
        }
        match register {
            Some(r) if r as usize != bc::b(word) => self.set_a(pc, r),
            _ => self.proto.code[pc] = bc::abc(Op::Test, bc::b(word) as u32, 0, 0, bc::k(word)),
        }
        true
    }

    /// No jump of the list keeps a value.
    pub(super) fn drop_values(&mut self, list: JumpList) {
        let mut at = list;
        while at != NO_JUMP {
            self.patch_test(at, None);
            at = self.next_jump(at);
        }
    }

    /// Lets the jumps of tests come here, without a value.
    pub(super) fn patch_tests_here(&mut self, list: JumpList) {
        self.drop_values(list);
        self.patch_here(list);
    }

    /// Some jump of the list has no value to keep.
    pub(super) fn needs_value(&self, list: JumpList) -> bool {
        let mut at = list;
        while at != NO_JUMP {
            if bc::op(self.proto.code[at - 1]) != Op::TestSet {
                return true;
            }
            at = self.next_jump(at);
        }
        false
    }

    /// Lets tests that can keep their value in `register` jump to `with_value`, the others to `without`.
    pub(super) fn patch_values(&mut self, list: JumpList, register: u32, with_value: usize, without: usize) {
        let mut at = list;
        while at != NO_JUMP {
            let next = self.next_jump(at);
            let target = if self.patch_test(at, Some(register)) { with_value } else { without };
            self.set_jump(at, target);
            at = next;
        }
    }

    /// Writes the test of a register that keeps its value where it jumps.
    pub(super) fn emit_test_set(&mut self, register: u32, k: bool) -> JumpList {
        self.conditional_jump(bc::abc(Op::TestSet, NO_REGISTER, register, 0, k))
    }

    // ---------------------------------------------------------------------------------------------------------- labels

    /// The label is here.
    pub(super) fn define_label(&mut self, label: LabelId) {
        let pc = self.here();
        let state = &mut self.chunk.labels[label.0 as usize];
        state.pc = Some(pc);
        let pending = std::mem::replace(&mut state.pending, NO_JUMP);
        self.patch_here(pending);
    }

    /// The plain jumps of the list go to the label, which comes later.
    pub(super) fn jump_to_label(&mut self, label: LabelId, jumps: JumpList) {
        let pending = self.chunk.labels[label.0 as usize].pending;
        self.chunk.labels[label.0 as usize].pending = self.prepend(jumps, pending);
    }
}
