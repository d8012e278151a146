//! Calls and returns. A Lua function's call is inlined: only the recorder's base moves. The frames that the interpreter
//! would have are in the snapshots.

use perilune_interpreter::lua::call::is_plain;
use perilune_runtime::lua::bytecode::{self as bc, Op, Word};
use perilune_runtime::lua::function::{LuaFunction, NativeFunction, Proto, Special};
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::value::Value;

use super::super::deopt::PAIRS_RESULTS;
use super::super::helpers::H;
use super::super::ir::{Field, Link, Op as Ins, Ref};
use super::super::snapshot::{ExitMode, Frame, FrameKind};
use super::native::Intrinsic;
use super::slots::BELOW;
use super::{Abort, Inlined, MAX_FRAMES, MAX_RECURSION, MAX_SLOTS, Next, OpenCall, Origin, RESERVE, Rec, Recorder};

/// How often a loop is recorded before its trace may leave it.
pub const LOOP_TRIES: u32 = 4;
/// Words of code of a function that is inlined at once. A longer one must have been called some times: programs that make functions
/// from text, and drop them soon, are not to spend their time on compiling them.
const SHORT: usize = 64;

/// Where in a function's code its entry's trace begins: extra arguments are where they belong by then.
pub fn entry_of(proto: Gc<Proto>) -> u32 {
    u32::from(proto.is_vararg)
}

impl Recorder {
    /// The number of arguments of a call at register `a`.
    fn arguments(&mut self, a: usize, b: usize) -> Rec<usize> {
        if b != 0 {
            return Ok(b - 1);
        }
        let top = self.open_top.take().ok_or(Abort::Reason("open list"))?;
        Ok((top - self.at(a) - 1) as usize)
    }

    pub(super) fn op_call(&mut self, w: Word) -> Rec<Next> {
        let a = bc::a(w);
        let arguments = self.arguments(a, bc::b(w))?;
        let callee = self.actual(a);
        let wanted = bc::c(w) as i16 - 1;
        if let Some(f) = callee.as_lua_function() {
            return self.inline(a, arguments, wanted, f, self.pc + 1, FrameKind::Call);
        }
        if let Some(f) = callee.as_native() {
            return self.native(a, arguments, wanted, f);
        }
        let found = self.call_of_value(a, arguments, callee)?;
        match found.as_lua_function() {
            Some(f) => self.inline(a, arguments + 1, wanted, f, self.pc + 1, FrameKind::Call),
            None => self.call_metamethod(a, arguments + 1, wanted, found),
        }
    }

    /// Calls the native function in a register that a value's `__call` is, if it is one.
    fn call_metamethod(&mut self, a: usize, arguments: usize, wanted: i16, found: Value) -> Rec<Next> {
        let Some(f) = found.as_native().filter(|f| is_plain(*f)) else {
            return Err(Abort::Reason("call of something else than a function"));
        };
        let function = self.get(a)?;
        self.guard_native(function, f)?;
        self.full_call(a, arguments, wanted)
    }

    /// A generic loop's call of its iterator, whose copy and arguments lie from `a` on.
    pub(super) fn iterate(&mut self, a: usize, wanted: i16, callee: Value) -> Rec<Next> {
        if let Some(f) = callee.as_lua_function() {
            return self.inline(a, 2, wanted, f, self.pc + 1, FrameKind::Call);
        }
        if let Some(f) = callee.as_native() {
            return self.native(a, 2, wanted, f);
        }
        let found = self.call_of_value(a, 2, callee)?;
        match found.as_lua_function() {
            Some(f) => self.inline(a, 3, wanted, f, self.pc + 1, FrameKind::Call),
            None => self.call_metamethod(a, 3, wanted, found),
        }
    }

    /// Enters a Lua function, which lies in register `a` below its arguments.
    pub(super) fn inline(
        &mut self,
        a: usize,
        arguments: usize,
        wanted: i16,
        f: Gc<LuaFunction>,
        return_pc: u32,
        kind: FrameKind,
    ) -> Rec<Next> {
        let proto = f.proto();
        if proto.code_len() > SHORT && self.is_new(proto) {
            return Err(Abort::Reason("call of a new function"));
        }
        let same = self.frames.iter().filter(|i| i.proto == proto).count() + usize::from(self.entry_proto == proto);
        let function = self.guard_prototype(a, proto)?;
        let call_slot = self.at(a) - kind.function_at();
        let parameters = usize::from(proto.parameters);
        let extra = if proto.is_vararg { arguments.saturating_sub(parameters) } else { 0 };
        // The callee's base as the interpreter has it before VARARGPREP.
        let base = self.at(a) + 1;
        let moved = if proto.is_vararg { arguments + parameters + 1 } else { 0 };
        let end = base as usize + moved + usize::from(proto.max_stack) + 1;
        if end > MAX_SLOTS {
            return Err(Abort::Reason("stack too deep"));
        }
        self.needed = self.needed.max(end);
        for i in arguments..parameters {
            self.set_slot(base + i as i16, Ref::NIL);
        }
        // What is above the arguments is unknown to the new function, and unwritten.
        let first = base as usize + arguments.max(parameters);
        for s in first..base as usize + arguments.max(parameters) + usize::from(proto.max_stack) + parameters + 2 {
            self.forget_slot(s as i16);
        }
        let caller = self.proto;
        let (varargs, address) = (extra as u16, proto.address());
        let return_address = caller.code_ptr().wrapping_add(return_pc as usize).addr();
        let pending = std::mem::take(&mut self.pending);
        let frame = Frame { kind, function, return_pc, return_address, base, wanted, varargs, pending, proto: address };
        let live = self.live_in_call(caller, frame);
        self.frames.push(Inlined { frame, proto, caller, call_slot, live });
        self.base = base;
        self.proto = proto;
        if same >= MAX_RECURSION || self.frames.len() >= MAX_FRAMES { self.recur() } else { Ok(Next::More) }
    }

    /// Whether a function has been called less than half as often as makes one hot.
    fn is_new(&mut self, proto: Gc<Proto>) -> bool {
        let threshold = self.state().hot_function;
        let calls = threshold.saturating_sub(proto.hot.get());
        calls < threshold / 2 && !self.prototypes.borrow().was_hot(proto)
    }

    /// The function just called runs already several times, or too many others wait for it: it is not inlined, but goes on in the trace that
    /// begins at its entry.
    fn recur(&mut self) -> Rec<Next> {
        let own = self.origin == Origin::Entry && self.entry_proto == self.proto;
        let trace = if own { self.number } else { self.proto.entry_trace.get() };
        if trace == 0 {
            self.prototypes.borrow_mut().of(self.proto).note_recursion(self.proto);
            return Err(Abort::Reason("recursion, or calls too deep"));
        }
        self.enter_varargs()?;
        self.link_to(trace, entry_of(self.proto))
    }

    /// Moves the function and its fixed parameters above the extra arguments.
    pub(super) fn op_vararg_prep(&mut self) -> Rec<Next> {
        self.enter_varargs()?;
        Ok(Next::More)
    }

    fn enter_varargs(&mut self) -> Rec<()> {
        let parameters = usize::from(self.proto.parameters);
        let extra = self.frames.last().map_or(0, |inlined| usize::from(inlined.frame.varargs));
        if extra == 0 {
            return Ok(());
        }
        let delta = (extra + parameters + 1) as i16;
        let function = self.get_slot(self.base - 1)?;
        self.set_slot(self.base + delta - 1, function);
        for i in 0..parameters {
            let value = self.get(i)?;
            self.set_slot(self.base + delta + i as i16, value);
            self.set(i, Ref::NIL);
        }
        self.base += delta;
        let last = self.frames.len() - 1;
        self.frames[last].frame.base = self.base;
        Ok(())
    }

    pub(super) fn op_vararg(&mut self, w: Word) -> Rec<Next> {
        let extra = match self.frames.last() {
            Some(inlined) => usize::from(inlined.frame.varargs),
            None => self.own_extra()?,
        };
        let (a, wanted) = (bc::a(w), bc::c(w));
        let count = if wanted == 0 { extra } else { wanted - 1 };
        let first = self.base - 1 - extra as i16;
        let mut values = Vec::with_capacity(count);
        for i in 0..count {
            values.push(if i < extra { self.get_slot(first + i as i16)? } else { Ref::NIL });
        }
        if self.at(a) as usize + count + RESERVE > MAX_SLOTS {
            return Err(Abort::Reason("stack too deep"));
        }
        values.into_iter().enumerate().for_each(|(i, v)| self.set(a + i, v));
        if wanted == 0 {
            self.open_top = Some(self.at(a) + extra as i16);
        }
        Ok(Next::More)
    }

    /// The number of extra arguments of the trace's own function, guarded.
    fn own_extra(&mut self) -> Rec<usize> {
        let extra = self.thread.frames().last().map_or(0, |f| f.extra as usize);
        if extra + 2 > BELOW as usize {
            return Err(Abort::Reason("many extra arguments of the trace's own function"));
        }
        let found = self.call_helper(H::Extra, &[])?;
        let expected = self.b.int(extra as i64);
        self.guard_value(found, expected)?;
        Ok(extra)
    }

    pub(super) fn op_return(&mut self, w: Word) -> Rec<Next> {
        if self.frames.is_empty() {
            return self.return_from_entry(w);
        }
        let (a, count) = (bc::a(w), self.returned(w)?);
        if let Some(next) = self.close_before_return(w, count)? {
            return Ok(next);
        }
        self.open_top = None;
        let mut values = Vec::with_capacity(count);
        for i in 0..count {
            values.push(self.get(a + i)?);
        }
        let actual = if count > 0 { self.actual(a) } else { Value::NIL };
        self.pop(&values, actual)
    }

    /// How many values a return has.
    fn returned(&mut self, w: Word) -> Rec<usize> {
        if let Some(count) = self.returning.take() {
            return Ok(count);
        }
        match (bc::op(w), bc::b(w)) {
            (Op::Return0, _) => Ok(0),
            (Op::Return1, _) => Ok(1),
            (_, 0) => Ok((self.open_top.ok_or(Abort::Reason("open list"))? - self.at(bc::a(w))) as usize),
            (_, b) => Ok(b - 1),
        }
    }

    /// Whether the trace may leave its own loop, or function. A loop's is to go around; one that has left each time it was recorded
    /// does not do that often.
    pub(super) fn may_leave_loop(&self) -> bool {
        let Origin::Loop(site) = self.origin else { return true };
        let mut prototypes = self.prototypes.borrow_mut();
        prototypes.of(self.entry_proto).penalties.get(&site).is_some_and(|failed| *failed >= LOOP_TRIES)
    }

    /// The frame in which the trace was entered returns: the trace goes on wherever its caller does.
    fn return_from_entry(&mut self, w: Word) -> Rec<Next> {
        if !self.may_leave_loop() {
            return Err(Abort::Reason("return from the loop"));
        }
        let (first, count) = (bc::a(w), self.returned(w)?);
        if let Some(next) = self.close_before_return(w, count)? {
            return Ok(next);
        }
        self.snapshot_here();
        if self.allocates {
            self.b.plain(Ins::Gcstep)?;
        }
        self.end(Link::Return { first: first as u8, count: count as u16 })
    }

    /// Leaves the innermost inlined call with these results; `actual` is what the first one is.
    fn pop(&mut self, values: &[Ref], actual: Value) -> Rec<Next> {
        let Some(inlined) = self.frames.pop() else { return Ok(Next::More) };
        let end = self.base + i16::from(self.proto.max_stack);
        self.base = self.frames.last().map_or(0, |f| f.frame.base);
        self.proto = inlined.caller;
        let to = inlined.call_slot;
        // Nothing is left of the call but its results.
        for s in to..end {
            self.forget_slot(s);
        }
        if inlined.frame.kind.is_meta() {
            let result = (values.first().copied().unwrap_or(Ref::NIL), actual);
            return self.finish_instruction(&inlined, result);
        }
        let mut values = values.to_vec();
        if inlined.frame.kind.is_protected() {
            values.insert(0, Ref::TRUE);
        } else if inlined.frame.kind.has_frame_below() {
            values.resize(PAIRS_RESULTS.into(), Ref::NIL);
        }
        self.results(to, inlined.frame.wanted, &values);
        Ok(Next::More)
    }

    /// Puts results where a call wants them.
    pub(super) fn results(&mut self, to: i16, wanted: i16, values: &[Ref]) {
        let count = if wanted < 0 { values.len() } else { wanted as usize };
        for i in 0..count {
            self.set_slot(to + i as i16, values.get(i).copied().unwrap_or(Ref::NIL));
        }
        if wanted < 0 {
            self.open_top = Some(to + count as i16);
        }
    }

    pub(super) fn op_tail_call(&mut self, w: Word) -> Rec<Next> {
        let a = bc::a(w);
        if self.frames.is_empty() {
            if !self.may_leave_loop() {
                return Err(Abort::Reason("tail call from the loop"));
            }
            if self.actual(a).as_native().is_none() {
                return self.tail_call_from_entry(w);
            }
        }
        let mut arguments = self.arguments(a, bc::b(w))?;
        let mut callee = self.actual(a);
        if let Some(f) = callee.as_native() {
            // The RETURN that follows returns its results.
            return self.native(a, arguments, -1, f);
        }
        if !callee.is_function() {
            callee = self.call_of_value(a, arguments, callee)?;
            arguments += 1;
        }
        let Some(f) = callee.as_lua_function() else { return self.call_metamethod(a, arguments, -1, callee) };
        let mut values = Vec::with_capacity(arguments + 1);
        for i in 0..=arguments {
            values.push(self.get(a + i)?);
        }
        let Some(inlined) = self.frames.pop() else { return Err(Abort::Reason("no frame")) };
        self.proto = inlined.caller;
        self.base = self.frames.last().map_or(0, |i| i.frame.base);
        let to = inlined.call_slot + inlined.frame.kind.function_at();
        for (i, value) in values.iter().enumerate() {
            self.set_slot(to + i as i16, *value);
        }
        let register = (to - self.base) as usize;
        let Frame { wanted, return_pc, kind, pending, .. } = inlined.frame;
        self.pending = pending;
        self.inline(register, arguments, wanted, f, return_pc, kind.tail())
    }

    /// The function in whose frame the trace was entered ends by calling another one, in its place: the trace goes on in the one
    /// that begins at that function's entry.
    fn tail_call_from_entry(&mut self, w: Word) -> Rec<Next> {
        let a = bc::a(w);
        let Some(f) = self.actual(a).as_lua_function() else { return self.leave() };
        let proto = f.proto();
        let own = self.origin == Origin::Entry && self.entry_proto == proto;
        let trace = if own { self.number } else { proto.entry_trace.get() };
        // Extra arguments would lie where the function goes.
        if trace == 0 || self.proto.is_vararg || proto.is_vararg {
            if !proto.is_vararg {
                self.prototypes.borrow_mut().of(proto).note_recursion(proto);
            }
            return self.leave();
        }
        self.guard_prototype(a, proto)?;
        self.snapshot_here();
        self.b.plain(Ins::Interrupt)?;
        if self.allocates {
            self.b.plain(Ins::Gcstep)?;
        }
        let arguments = self.arguments(a, bc::b(w))?;
        let mut values = Vec::with_capacity(arguments + 1);
        for i in 0..=arguments.min(proto.parameters.into()) {
            values.push(self.get(a + i)?);
        }
        values.resize(usize::from(proto.parameters) + 1, Ref::NIL);
        for (slot, value) in (self.base - 1..).zip(values) {
            self.set_slot(slot, value);
        }
        self.proto = proto;
        self.snapshot(ExitMode::Reexecute, 0);
        self.end(Link::TailCall(trace))
    }

    /// Checks that the function in a register is a closure of a prototype. Answers it.
    pub(super) fn guard_prototype(&mut self, a: usize, proto: Gc<Proto>) -> Rec<Ref> {
        let function = self.get(a)?;
        if !function.is_const() {
            let found = self.b.fload(function, Field::FunctionProto)?;
            let expected = self.b.ptr(proto.address() as u64);
            self.guard_value(found, expected)?;
        }
        self.pinned.protos.push(proto);
        Ok(function)
    }

    // ---- native functions

    /// Checks that a native function is this one, or another one of the same code: iterators and the like are made anew each time.
    pub(super) fn guard_native(&mut self, function: Ref, f: Gc<NativeFunction>) -> Rec<()> {
        if self.is_intrinsic(f) {
            let expected = self.value_constant(Value::from(f))?;
            return self.guard_value(function, expected);
        }
        if function.is_const() {
            return Ok(());
        }
        let code = self.b.fload(function, Field::NativeFunction)?;
        let expected = self.b.ptr(f.function() as usize as u64);
        self.guard_value(code, expected)
    }

    fn native(&mut self, a: usize, arguments: usize, wanted: i16, f: Gc<NativeFunction>) -> Rec<Next> {
        let function = self.get(a)?;
        self.guard_native(function, f)?;
        if self.is_intrinsic(f) {
            if let Some(next) = self.raises_error(a, arguments, f)? {
                return Ok(next);
            }
            if self.known(f) == Some(Intrinsic::Pairs)
                && let Some(next) = self.pairs_by_metamethod(a, arguments, wanted)?
            {
                return Ok(next);
            }
            if let Some(values) = self.intrinsic(a, arguments, f)? {
                self.results(self.at(a), wanted, &values);
                return Ok(Next::More);
            }
        }
        if let Some(next) = self.bare_call(a, arguments, wanted, f)? {
            return Ok(next);
        }
        match f.special() {
            Special::None => self.full_call(a, arguments, wanted),
            Special::Pcall => self.pcall(a, arguments, wanted),
            Special::Xpcall => self.xpcall(a, arguments, wanted),
            Special::Resume | Special::Wrapped | Special::Yield => self.switch(a, arguments, wanted),
            Special::Next => self.call_next(a, arguments, wanted),
            Special::IpairsNext => self.full_call(a, arguments, wanted),
        }
    }

    /// Resumes or yields: the trace goes on wherever the coroutine does that runs then.
    fn switch(&mut self, a: usize, arguments: usize, wanted: i16) -> Rec<Next> {
        self.open_top = Some(self.arguments_in_memory(a, arguments));
        self.snapshot_here();
        self.b.plain(Ins::Interrupt)?;
        if self.allocates {
            self.b.plain(Ins::Gcstep)?;
        }
        self.end(Link::Switch { register: a as u8, arguments: arguments as u16, wanted })
    }

    /// A native function and its arguments are to lie in memory, as snapshots have it. Answers where they end.
    fn arguments_in_memory(&mut self, a: usize, arguments: usize) -> i16 {
        let end = self.at(a) + 1 + arguments as i16;
        for s in self.at(a)..end {
            if !self.slots.value(s).is_none() {
                self.slots.modify(s);
            }
        }
        end
    }

    /// Calls a native function with the interpreter's frames standing: it may do anything, and its errors may end in the trace.
    pub(super) fn full_call(&mut self, a: usize, arguments: usize, wanted: i16) -> Rec<Next> {
        match self.catching_call(a, arguments, wanted)? {
            Some(next) => Ok(next),
            None => self.plain_call(a, arguments, wanted),
        }
    }

    /// Calls a native function with the interpreter's frames standing, whose errors lead out of the trace.
    pub(super) fn plain_call(&mut self, a: usize, arguments: usize, wanted: i16) -> Rec<Next> {
        let answer = self.call_natively(H::CallNative, (a, arguments), wanted.into(), a)?;
        if wanted < 0 {
            // How many results there are is checked where they are used.
            self.open_call = Some(OpenCall { to: self.at(a), answer });
            return Ok(Next::More);
        }
        self.guard_done(answer, self.pc + bc::op(self.proto.word(self.pc as usize)).words() as u32)?;
        Ok(Next::More)
    }

    /// Calls a native function for which no frames need to stand, if it is one: where it fails, or would call back, the interpreter
    /// executes the call again.
    fn bare_call(&mut self, a: usize, arguments: usize, wanted: i16, f: Gc<NativeFunction>) -> Rec<Option<Next>> {
        let Some(helper) = self.bare_helper(f) else { return Ok(None) };
        // A side trace that begins here is for what has failed like that.
        let (proto, pc) = (self.proto, self.pc);
        let failed = self.length == 1 && matches!(self.origin, Origin::Exit { .. })
            || self.prototypes.borrow_mut().of(proto).failing.contains(&pc);
        let calls_back = (1..=arguments).any(|i| self.actual(a + i).is_function());
        if failed || calls_back {
            return Ok(None);
        }
        self.bare = true;
        let (first, end) = (self.at(a), self.arguments_in_memory(a, arguments));
        // To be executed again, an open list of arguments ends where it does. A loop's iterator lies where nothing is alive before.
        let w = self.proto.word(self.pc as usize);
        self.open_top = (bc::takes_open_list(w) || bc::op(w) == Op::TForCall).then_some(end);
        self.snapshot_here();
        self.open_top = None;
        self.b.args(first)?;
        let (register, count) = (self.b.int(first.into()), self.b.int(arguments as i64));
        let results = self.b.int(wanted.into());
        let pc = self.b.ptr(self.entry_proto.code_ptr().wrapping_add(1).addr() as u64);
        let answer = self.call_helper(helper, &[register, count, results, pc])?;
        self.b.plain(Ins::Unsync)?;
        for s in first..self.at(usize::from(self.proto.max_stack)).max(end) {
            self.forget_slot(s);
        }
        if wanted < 0 {
            self.open_call = Some(OpenCall { to: first, answer });
        }
        Ok(Some(Next::More))
    }

    /// Calls a native function, in register `a`, by a helper that takes the register, the number of arguments, and `what` is to
    /// become of the results, which change no registers below `first`. Nothing is known of those from `a` on then.
    pub(super) fn call_natively(
        &mut self,
        helper: H,
        (a, arguments): (usize, usize),
        what: i64,
        first: usize,
    ) -> Rec<Ref> {
        self.allocates = true;
        let end = self.arguments_in_memory(a, arguments);
        let saved = self.open_top.replace(end);
        self.snapshot(ExitMode::Raise, self.pc + 1);
        self.open_top = saved;
        let clobbers = self.at(first);
        self.b.sync(clobbers)?;
        let register = self.b.int(a as i64);
        let (count, what) = (self.b.int(arguments as i64), self.b.int(what));
        let answer = self.call_helper(helper, &[register, count, what])?;
        self.b.plain(Ins::Unsync)?;
        self.slots.stored();
        let end = self.at(usize::from(self.proto.max_stack)).max(end);
        for s in self.at(a)..end {
            self.forget_slot(s);
        }
        Ok(answer)
    }

    /// A native function has been called, and the trace need not be left for what it has done. The interpreter goes on at `pc`.
    pub(super) fn guard_done(&mut self, answer: Ref, pc: u32) -> Rec<()> {
        self.snapshot(ExitMode::Continue, pc);
        let zero = self.b.int(0);
        self.b.guard(Ins::Gt, answer, zero)?;
        Ok(())
    }

    /// Takes a snapshot before an instruction that uses an open list of results, from a slot on.
    pub(super) fn snapshot_open(&mut self, first: i16) {
        self.open_top = Some(first);
        self.snapshot(ExitMode::Open, self.pc);
    }

    /// The trace begins where another one has found another number of results than it expects.
    pub(super) fn begin_with_list(&mut self, first: i16) -> Rec<()> {
        let end = self.call_helper(H::ListEnd, &[])?;
        let before = self.b.int(i64::from(first) - 1);
        let answer = self.b.binary(Ins::Sub, end, before)?;
        self.open_results(OpenCall { to: first, answer })
    }

    /// A native function has left all its results: as many as now, or the trace is left before they are used.
    pub(super) fn open_results(&mut self, open: OpenCall) -> Rec<()> {
        let count = i64::from(self.thread.top.get()) - i64::from(self.entry_base) - i64::from(open.to);
        if count < 0 || i64::from(open.to) + count + RESERVE as i64 > MAX_SLOTS as i64 {
            return Err(Abort::Reason("too many results"));
        }
        self.snapshot_open(open.to);
        let expected = self.b.int(count + 1);
        self.guard_value(open.answer, expected)?;
        for s in open.to..open.to + count as i16 {
            self.forget_slot(s);
        }
        self.open_top = Some(open.to + count as i16);
        Ok(())
    }
}
