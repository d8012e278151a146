//! Variables to be closed: their declaration puts them on the thread's list, in fact and not in snapshots alone, and the end of
//! their scope takes them off it and calls their metamethods, one at a time, as the interpreter does.

#![forbid(unsafe_code)]

use perilune_interpreter::lua::call::is_plain;
use perilune_runtime::lua::bytecode::{self as bc, Op, Word};
use perilune_runtime::lua::event::Event;

use super::super::helpers::H;
use super::super::ir::{Ref, Type};
use super::super::snapshot::FrameKind;
use super::{Abort, Next, Rec, Recorder, truth};

/// Most results that wait for variables to be closed.
const MAX_WAITING: usize = 200;

impl Recorder {
    /// A register's variable is to be closed from now on, unless it is false or nil.
    pub(super) fn close_later(&mut self, register: usize) -> Rec<Next> {
        let (r, actual) = (self.get(register)?, self.actual(register));
        if truth(self.ty(r)).is_none() {
            self.guard_value(r, Self::bool_constant(!actual.is_falsy()))?;
        }
        if actual.is_falsy() {
            return Ok(Next::More);
        }
        if self.handler(r, actual, Event::Close)?.is_none() {
            return Err(Abort::Reason("value that cannot be closed"));
        }
        let slot = self.b.int(self.at(register).into());
        self.call_helper(H::CloseLater, &[slot])?;
        Ok(Next::More)
    }

    /// The slots of the variables that are to be closed from a register on, the last one first. The trace's own function may
    /// have some from before the trace began; that there are none of them in the calls that it has inlined, it knows.
    fn closing(&mut self, register: usize) -> Rec<Vec<i16>> {
        let (base, level) = (i64::from(self.entry_base), i64::from(self.at(register)));
        let open = self.thread.closing().iter().rev().map(|slot| i64::from(*slot) - base);
        let slots: Vec<i16> = open.take_while(|slot| *slot >= level).map(|slot| slot as i16).collect();
        self.guard_closing(register, slots.first().copied())?;
        Ok(slots)
    }

    /// The variable that is to be closed next, if one is from a register on, lies in this slot.
    fn guard_closing(&mut self, register: usize, slot: Option<i16>) -> Rec<()> {
        if !self.frames.is_empty() {
            return Ok(());
        }
        let level = self.b.int(self.at(register).into());
        let found = self.call_helper(H::Closing, &[level])?;
        let expected = self.b.int(slot.map_or(-1, i64::from));
        self.guard_value(found, expected)
    }

    /// The end of a scope, from a register on. The instruction is executed again for each variable with a Lua function.
    pub(super) fn close(&mut self, register: usize) -> Rec<Next> {
        let free = usize::from(self.proto.max_stack);
        Ok(self.close_down_to(register, free)?.unwrap_or(Next::More))
    }

    /// Before a return of the `count` values from a register on: closes what is to be closed. None: that has been done.
    pub(super) fn close_before_return(&mut self, w: Word, count: usize) -> Rec<Option<Next>> {
        let first = bc::a(w);
        if bc::op(w) != Op::Return || !bc::k(w) {
            return Ok(None);
        }
        if first + count > MAX_WAITING {
            return Err(Abort::Reason("too many results"));
        }
        let open = self.open_top;
        self.pending = count as u16 + 1;
        let closed = self.close_down_to(0, usize::from(self.proto.max_stack).max(first + count))?;
        if closed.is_none() {
            self.pending = 0;
            self.open_top = open;
        }
        Ok(closed)
    }

    /// Closes variables from a register on, until a Lua function is called for that; `free` is the first free register.
    fn close_down_to(&mut self, register: usize, free: usize) -> Rec<Option<Next>> {
        for (i, slot) in self.closing(register)?.into_iter().enumerate() {
            if i > 0 {
                self.guard_closing(register, Some(slot))?;
            }
            if let Some(next) = self.call_closer(slot, free)? {
                return Ok(Some(next));
            }
        }
        Ok(None)
    }

    fn call_closer(&mut self, slot: i16, free: usize) -> Rec<Option<Next>> {
        let (mut r, mut actual) = (self.get_slot(slot)?, self.actual_slot(slot));
        if let Some(cell) = actual.as_cell() {
            actual = cell.get();
            let ty = Type::from_tag(actual.tag()).ok_or(Abort::Reason("internal value in a cell"))?;
            r = self.b.cload(r, ty)?;
        }
        let handler = self.handler(r, actual, Event::Close)?;
        let (f, found) = handler.ok_or(Abort::Reason("call of something else than a function"))?;
        let native = found.as_native();
        match native {
            Some(native) if is_plain(native) => self.guard_native(f, native)?,
            Some(_) => return Err(Abort::Reason("metamethod that may yield")),
            None => {}
        }
        let open = self.open_top.take();
        for (i, value) in [f, r, Ref::NIL].into_iter().enumerate() {
            self.set(free + i, value);
        }
        if let Some(f) = found.as_lua_function() {
            self.guard_prototype(free, f.proto())?;
            self.call_helper(H::CloseNext, &[])?;
            return self.inline(free, 2, 1, f, self.pc + 1, FrameKind::Meta).map(Some);
        }
        if native.is_none() {
            return Err(Abort::Reason("call of something else than a function"));
        }
        self.call_helper(H::CloseNext, &[])?;
        let answer = self.call_natively(H::CallMeta, (free, 2), free as i64, free)?;
        // The instruction looks whether there is more to be closed.
        self.open_top = open;
        self.guard_done(answer, self.pc)?;
        Ok(None)
    }

    /// A closing metamethod has returned: the instruction is executed again, and knows how many values it returns.
    pub(super) fn close_again(&mut self, w: Word, pending: u16) {
        if pending > 0 {
            let count = pending - 1;
            self.returning = Some(count.into());
            if bc::takes_open_list(w) {
                self.open_top = Some(self.at(bc::a(w)) + count as i16);
            }
        }
    }

    /// Whether an error that ends at a slot would close variables first.
    pub(super) fn closes_above(&self, slot: i16) -> bool {
        let level = i64::from(self.entry_base) + i64::from(slot);
        self.thread.closing().last().is_some_and(|slot| i64::from(*slot) >= level)
    }
}
