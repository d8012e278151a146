//! Metamethods. Those that are Lua functions become inlined calls whose result finishes the instruction that asked for them; native
//! ones are called, and the instruction is finished by the helper that calls them.

use perilune_interpreter::lua::call::is_plain;
use perilune_runtime::lua::bytecode::{self as bc, Op, Word};
use perilune_runtime::lua::event::Event;
use perilune_runtime::lua::function::NativeFunction;
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::state::type_index;
use perilune_runtime::lua::table::ABSENT_SHIFT;
use perilune_runtime::lua::value::{Value, tag};

use super::super::helpers::H;
use super::super::ir::{Field, Op as Ins, Ref};
use super::super::snapshot::{ExitMode, FrameKind};
use super::index::Object;
use super::{Abort, Inlined, Next, OpenCondition, Rec, Recorder, truth};

/// Most arguments of a metamethod, those that stand for themselves among them.
const MAX_ARGUMENTS: usize = 8;

/// A metamethod: its reference, and what it is.
pub(super) type Handler = (Ref, Value);

impl Recorder {
    /// The metamethod of a value, guarded to be there or not.
    pub(super) fn handler(&mut self, r: Ref, actual: Value, event: Event) -> Rec<Option<Handler>> {
        if let Some(table) = actual.as_table()
            && self.guard_lacking(Object { r, table }, event)?
        {
            return Ok(None);
        }
        let meta = match actual.as_table().filter(|table| table.shape().is_of_twins()) {
            Some(table) => self.twin(Object { r, table })?,
            None => self.metatable(r, actual)?,
        };
        let Some(meta) = meta else { return Ok(None) };
        let name = self.state().heap.names.event(event);
        let (r, found) = self.raw_field(meta, name)?;
        Ok(if found.is_nil() { None } else { Some((r, found)) })
    }

    /// An operation that no metamethod does fails. What the message calls a table or a userdata, its metatable says, which is guarded.
    pub(super) fn fail<T>(&mut self, what: &'static str, operands: &[Handler]) -> Rec<T> {
        for &(r, actual) in operands.iter().filter(|(_, v)| matches!(v.tag(), tag::TABLE | tag::USERDATA)) {
            let Some(meta) = self.metatable(r, actual)? else { continue };
            let name = self.state().heap.names.event(Event::Name);
            let (name, found) = self.raw_field(meta, name)?;
            if found.is_string() {
                let expected = self.value_constant(found)?;
                self.guard_value(name, expected)?;
            }
        }
        Err(Abort::Fails(what))
    }

    /// The metatable of a value, guarded: tables and userdata have their own, all others one for each type.
    pub(super) fn metatable(&mut self, r: Ref, actual: Value) -> Rec<Option<Object>> {
        if let Some(table) = actual.as_table() {
            return self.guard_metatable(Object { r, table });
        }
        let found = if actual.tag() == tag::USERDATA {
            self.b.fload(r, Field::UserdataMeta)?
        } else {
            let state = self.state.expose_provenance() as u64;
            let place = self.b.ptr(state + 8 * u64::from(type_index(actual.tag())));
            self.b.fload(place, Field::StateTypeMeta)?
        };
        let meta = self.state().metatable_of(actual);
        let expected = self.b.ptr(meta.map_or(0, |m| m.address() as u64));
        self.guard_value(found, expected)?;
        meta.map(|m| self.constant_table(m)).transpose()
    }

    /// The metatable of a table, guarded to be there, but not which one it is: others are alike.
    fn twin(&mut self, o: Object) -> Rec<Option<Object>> {
        let Some(table) = o.table.metatable() else { return self.guard_metatable(o) };
        let (meta, null) = (self.b.fload(o.r, Field::TableMeta)?, self.b.ptr(0));
        self.b.guard(Ins::Ne, meta, null)?;
        Ok(Some(Object { r: meta, table }))
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
            None => match self.handler(y.0, y.1, event)? {
                Some(handler) => handler,
                None => return self.fail("operation on something else than numbers", &[x, y]),
            },
        };
        self.call_meta(handler, &[x.0, y.0])
    }

    /// Calls a metamethod for the current instruction.
    pub(super) fn call_meta(&mut self, mut handler: Handler, args: &[Ref]) -> Rec<Next> {
        let mut args = args.to_vec();
        while !handler.1.is_function() {
            // What can be called in its turn gets itself as the first argument.
            let found = self.handler(handler.0, handler.1, Event::Call)?.filter(|_| args.len() < MAX_ARGUMENTS);
            args.insert(0, handler.0);
            handler = found.ok_or(Abort::Reason("call of something else than a function"))?;
        }
        let register = usize::from(self.proto.max_stack);
        self.set(register, handler.0);
        for (i, arg) in args.iter().enumerate() {
            self.set(register + 1 + i, *arg);
        }
        match (handler.1.as_lua_function(), handler.1.as_native()) {
            (Some(f), _) => self.inline(register, args.len(), 1, f, self.pc + 1, FrameKind::Meta),
            (None, Some(f)) => self.call_native_meta(handler.0, f, args.len()),
            (None, None) => Err(Abort::Reason("call of something else than a function")),
        }
    }

    /// Calls a native metamethod, which lies above the registers with its arguments. Its result goes where the instruction wants it.
    fn call_native_meta(&mut self, function: Ref, f: Gc<NativeFunction>, arguments: usize) -> Rec<Next> {
        if !is_plain(f) {
            return Err(Abort::Reason("metamethod that may yield"));
        }
        self.guard_native(function, f)?;
        let w = self.proto.word(self.pc as usize);
        let register = usize::from(self.proto.max_stack);
        let (target, is_condition) = match bc::op(w) {
            Op::SetTabUp | Op::SetField | Op::SetTable | Op::SetI => (register, false),
            Op::Eq | Op::Lt | Op::Le | Op::LtI | Op::LeI | Op::GtI | Op::GeI => (register, true),
            _ => (bc::a(w), false),
        };
        let answer = self.call_natively(H::CallMeta, (register, arguments), target as i64, target)?;
        if is_condition {
            // Which way it goes is known when it has been executed.
            self.open_condition = Some(OpenCondition { answer, at: self.pc, register });
            return Ok(Next::More);
        }
        self.forget_slot(self.at(target));
        self.guard_done(answer, self.pc + bc::op(w).words() as u32)?;
        Ok(Next::More)
    }

    /// The native metamethod of a comparison has been called: the condition holds as it does now, or the trace is left.
    pub(super) fn condition(&mut self, open: OpenCondition) -> Rec<()> {
        let w = self.proto.word(open.at as usize);
        let holds = bc::k(w) == (self.pc == open.at + 1);
        let slot = self.at(open.register);
        self.snapshot_with_top(ExitMode::Finish, open.at + 1, slot);
        // As `H::CallMeta` answers.
        let expected = self.b.int(if holds { 2 } else { 1 });
        self.guard_value(open.answer, expected)
    }

    /// A metamethod has returned to the current frame: finishes the instruction that it was called for.
    pub(super) fn finish_instruction(&mut self, call: &Inlined, result: Handler) -> Rec<Next> {
        // That instruction is the current one again.
        self.pc = call.frame.return_pc - 1;
        let w: Word = self.proto.word(self.pc as usize);
        match bc::op(w) {
            Op::SetTabUp | Op::SetField | Op::SetTable | Op::SetI => {}
            Op::Eq | Op::Lt | Op::Le | Op::LtI | Op::LeI | Op::GtI | Op::GeI => {
                if truth(self.ty(result.0)).is_none() {
                    self.guard_value(result.0, Self::bool_constant(!result.1.is_falsy()))?;
                }
            }
            Op::Concat => return self.concat_further(bc::a(w), usize::from(call.frame.pending) - 1, result),
            Op::Close | Op::Return => self.close_again(w, call.frame.pending),
            _ => self.set(bc::a(w), result.0),
        }
        Ok(Next::More)
    }

    /// `pairs`, in register `a`, of a value with a metamethod: that is called in its place.
    pub(super) fn pairs_by_metamethod(&mut self, a: usize, arguments: usize, wanted: i16) -> Rec<Option<Next>> {
        if arguments == 0 {
            return Ok(None);
        }
        let (r, actual) = (self.get(a + 1)?, self.actual(a + 1));
        let Some((handler, found)) = self.handler(r, actual, Event::Pairs)? else { return Ok(None) };
        let Some(f) = found.as_lua_function() else {
            return match found.as_native().filter(|f| is_plain(*f)) {
                Some(f) => {
                    self.guard_native(handler, f)?;
                    self.full_call(a, arguments, wanted).map(Some)
                }
                None => Err(Abort::Reason("metamethod that may yield")),
            };
        };
        self.set(a + 1, handler);
        self.set(a + 2, r);
        self.inline(a + 1, 1, wanted, f, self.pc + 1, FrameKind::Pairs).map(Some)
    }

    /// The function that the `__call` of the value in a register is; it takes the value's place, and that becomes its first argument.
    pub(super) fn call_of_value(&mut self, a: usize, arguments: usize, actual: Value) -> Rec<Value> {
        let r = self.get(a)?;
        let handler = self.handler(r, actual, Event::Call)?;
        let Some((f, found)) = handler else {
            return self.fail("call of something else than a function", &[(r, actual)]);
        };
        for i in (0..=arguments).rev() {
            let value = self.get(a + i)?;
            self.set(a + i + 1, value);
        }
        self.set(a, f);
        Ok(found)
    }
}
