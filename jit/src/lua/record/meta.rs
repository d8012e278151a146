//! Metamethods that are Lua functions: inlined calls whose result finishes the instruction that asked for them.

use perilune_runtime::lua::bytecode::{self as bc, Op, Word};
use perilune_runtime::lua::event::Event;
use perilune_runtime::lua::function::Proto;
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::table::ABSENT_SHIFT;
use perilune_runtime::lua::value::Value;

use super::super::ir::{Field, Op as Ins, Ref, Type};
use super::super::snapshot::FrameKind;
use super::index::Object;
use super::{Abort, Next, Rec, Recorder, truth};

/// A metamethod: its reference, and what it is.
pub(super) type Handler = (Ref, Value);

impl Recorder {
    /// The metamethod of a value, guarded to be there or not.
    pub(super) fn handler(&mut self, r: Ref, actual: Value, event: Event) -> Rec<Option<Handler>> {
        let Some(table) = actual.as_table() else {
            let meta = self.state().metatable_of(actual);
            let name = self.state().heap.names.event(event);
            let has = meta.is_some_and(|meta| !meta.get_str(name).is_nil());
            return if has { Err(Abort::Reason("metamethod of something else than a table")) } else { Ok(None) };
        };
        if self.guard_lacking(Object { r, table }, event)? {
            return Ok(None);
        }
        let Some(meta) = self.guard_metatable(Object { r, table })? else { return Ok(None) };
        let name = self.state().heap.names.event(event);
        let (r, found) = self.raw_field(meta, name)?;
        Ok(if found.is_nil() { None } else { Some((r, found)) })
    }

    /// If a table has a metatable that lacks the metamethod: guards that, whichever metatable it is, by what metatables' headers
    /// know. False, and nothing is recorded: it has no metatable, or one with the metamethod, or the event is not among those.
    fn guard_lacking(&mut self, o: Object, event: Event) -> Rec<bool> {
        let (Some(meta), Some(bit)) = (o.table.metatable(), event.absent_bit()) else { return Ok(false) };
        if !meta.event(&self.state().heap, event).is_nil() {
            return Ok(false);
        }
        let (r, null) = (self.b.fload(o.r, Field::TableMeta)?, self.b.ptr(0));
        self.b.guard(Ins::Ne, r, null)?;
        let (extra, bit) = (self.b.fload(r, Field::TableExtra)?, self.b.int(i64::from(bit) << ABSENT_SHIFT));
        let lacks = self.b.binary(Ins::Band, extra, bit)?;
        let zero = self.b.int(0);
        self.b.guard(Ins::Ne, lacks, zero)?;
        Ok(true)
    }

    /// Calls the metamethod of either operand.
    pub(super) fn binary_meta(&mut self, event: Event, x: (Ref, Value), y: (Ref, Value)) -> Rec<Next> {
        let handler = match self.handler(x.0, x.1, event)? {
            Some(handler) => handler,
            None => self.handler(y.0, y.1, event)?.ok_or(Abort::Reason("operation on something else than numbers"))?,
        };
        self.call_meta(handler, &[x.0, y.0])
    }

    /// Calls a metamethod for the current instruction.
    pub(super) fn call_meta(&mut self, handler: Handler, args: &[Ref]) -> Rec<Next> {
        let Some(f) = handler.1.as_lua_function() else { return Err(Abort::Reason("native metamethod")) };
        let register = usize::from(self.proto.max_stack);
        self.set(register, handler.0);
        for (i, arg) in args.iter().enumerate() {
            self.set(register + 1 + i, *arg);
        }
        self.inline(register, args.len(), 1, f, self.pc + 1, FrameKind::Meta)
    }

    /// A metamethod has returned to the current frame: finishes the instruction that it was called for.
    pub(super) fn finish_instruction(&mut self, caller: Gc<Proto>, return_pc: u32, result: Handler) -> Rec<()> {
        let w: Word = caller.word(return_pc as usize - 1);
        match bc::op(w) {
            Op::SetTabUp | Op::SetField | Op::SetTable | Op::SetI => {}
            Op::Eq | Op::Lt | Op::Le | Op::LtI | Op::LeI | Op::GtI | Op::GeI => {
                if truth(self.ty(result.0)).is_none() {
                    self.guard_value(result.0, Self::bool_constant(!result.1.is_falsy()))?;
                }
            }
            _ => self.set(bc::a(w), result.0),
        }
        Ok(())
    }

    /// The function that a value's `__call` is; it takes the value's place, and that becomes its first argument.
    pub(super) fn call_of_value(&mut self, a: usize, arguments: usize) -> Rec<Value> {
        let (r, actual) = (self.get(a)?, self.actual(a));
        if self.ty(r) == Type::Nil {
            return Err(Abort::Reason("call of something else than a function"));
        }
        let handler = self.handler(r, actual, Event::Call)?;
        let (f, found) = handler.ok_or(Abort::Reason("call of something else than a function"))?;
        if found.as_lua_function().is_none() {
            return Err(Abort::Reason("native metamethod"));
        }
        for i in (0..=arguments).rev() {
            let value = self.get(a + i)?;
            self.set(a + i + 1, value);
        }
        self.set(a, f);
        Ok(found)
    }
}
