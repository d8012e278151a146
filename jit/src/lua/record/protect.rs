//! Protected calls: `pcall` and `xpcall` of Lua functions are inlined, with a frame of their own below the function's. An error
//! that `error` or `assert` raises inside of a `pcall` is a jump: the frames go, and its results are false and the error. So is one of an
//! instruction whose operands have types that it cannot take. All other errors are caught by the helper that calls the native function
//! which raises them, or shows them to the handler of an `xpcall`: it leaves false and the error in memory, and the trace goes on there.

#![forbid(unsafe_code)]

use perilune_interpreter::lua::call::is_plain;
use perilune_interpreter::lua::meta::metafield;
use perilune_interpreter::lua::source::chunk_id;
use perilune_runtime::lua::bytecode as bc;
use perilune_runtime::lua::event::Event;
use perilune_runtime::lua::function::{NativeFunction, Proto};
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::value::Value;

use super::super::helpers::{Catcher, H};
use super::super::ir::{CAUGHT, Op as Ins, Ref, Type};
use super::super::snapshot::{ExitMode, FrameKind};
use super::native::Intrinsic;
use super::{Abort, Inlined, Next, OpenCall, Rec, Recorder, truth};

/// A call of a native function whose errors end in the trace. When it has been executed, it is known which way it went.
#[derive(Clone, Copy)]
pub(super) struct CatchingCall {
    /// The helper's answer.
    answer: Ref,
    /// The inlined call at which errors end.
    at: usize,
    /// The slot of the first result.
    to: i16,
    /// How many results are wanted.
    wanted: i16,
    /// Where the calling function goes on.
    next: u32,
}

/// What the messages of instructions' errors say, one of them each.
const FAILURES: &[&[u8]] = &[b"attempt to ", b"'for' ", b"index is nil"];
/// How many values a protected call that has caught an error leaves.
const CAUGHT_VALUES: i16 = 2;

impl Recorder {
    /// `pcall`, in register `a`, of the function above it.
    pub(super) fn pcall(&mut self, a: usize, arguments: usize, wanted: i16) -> Rec<Next> {
        let mut callee = self.actual(a + 1);
        if arguments == 0 {
            return Err(Abort::Reason("pcall of nothing"));
        }
        if let Some(f) = callee.as_native().filter(|f| is_plain(*f) && !self.may_yield(*f)) {
            let function = self.get(a + 1)?;
            let expected = self.value_constant(Value::from(f))?;
            self.guard_value(function, expected)?;
            let next = self.plain_call(a, arguments, wanted)?;
            // It ends at once.
            self.raises = true;
            return Ok(next);
        }
        let mut given = arguments - 1;
        if !callee.is_function() && !metafield(self.state(), callee, Event::Call).is_nil() {
            callee = self.call_of_value(a + 1, given, callee)?;
            given += 1;
        }
        match callee.as_lua_function() {
            Some(f) => self.inline(a + 1, given, wanted, f, self.pc + 1, FrameKind::Pcall),
            None => Err(Abort::Reason("protected call of what may yield, or is no function")),
        }
    }

    /// Whether a native function calls what may yield.
    fn may_yield(&self, f: Gc<NativeFunction>) -> bool {
        matches!(self.known(f), Some(Intrinsic::DoFile | Intrinsic::Pairs))
    }

    /// `xpcall`, in register `a`, of the function above it with the handler above that: they change places.
    pub(super) fn xpcall(&mut self, a: usize, arguments: usize, wanted: i16) -> Rec<Next> {
        let Some(f) = self.actual(a + 1).as_lua_function() else {
            return Err(Abort::Reason("protected call of something else than a Lua function"));
        };
        if arguments < 2 || !self.actual(a + 2).is_function() {
            return Err(Abort::Reason("xpcall without a handler"));
        }
        let (function, handler) = (self.get(a + 1)?, self.get(a + 2)?);
        self.set(a + 1, handler);
        self.set(a + 2, function);
        self.inline(a + 2, arguments - 2, wanted, f, self.pc + 1, FrameKind::Xpcall)
    }

    /// If `f`, in register `a`, raises an error that ends at an inlined `pcall`, and that is just a jump: goes on there.
    pub(super) fn raises_error(&mut self, a: usize, arguments: usize, f: Gc<NativeFunction>) -> Rec<Option<Next>> {
        let is_error = match self.known(f) {
            Some(Intrinsic::Error) => true,
            Some(Intrinsic::Assert) if arguments > 0 && self.actual(a + 1).is_falsy() => false,
            _ => return Ok(None),
        };
        if !self.frames.iter().any(|i| i.frame.kind.is_protected()) {
            return Ok(None);
        }
        let Some(at) = self.catcher() else { return self.leave_before_error(a, arguments) };
        if self.calls_for_error(at) {
            return Ok(None);
        }
        let error = if is_error { self.error_value(a, arguments)? } else { self.failed_assertion(a, arguments)? };
        let Some(error) = error else { return Ok(None) };
        self.catch(at, error);
        self.raises = true;
        Ok(Some(Next::More))
    }

    /// Drops the inlined protected call at which an error ends, and all above it. Answers what it was.
    fn drop_frames(&mut self, at: usize) -> Inlined {
        let inlined = self.frames[at];
        let end = self.base + i16::from(self.proto.max_stack);
        self.frames.truncate(at);
        self.base = self.frames.last().map_or(0, |i| i.frame.base);
        self.proto = inlined.caller;
        self.open_top = None;
        for s in inlined.call_slot..end {
            self.forget_slot(s);
        }
        inlined
    }

    /// An error ends at the `pcall` below an inlined call: all above it goes.
    fn catch(&mut self, at: usize, error: Ref) {
        let Inlined { frame, call_slot, .. } = self.drop_frames(at);
        self.results(call_slot, frame.wanted, &[Ref::FALSE, error]);
    }

    /// An error has ended there, and false and the error lie in memory.
    fn caught(&mut self, at: usize) {
        if self.calls_for_error(at) {
            // They run in the interpreter first.
            self.resumes_at = Some(self.depth_below(at));
        }
        let Inlined { frame, call_slot, .. } = self.drop_frames(at);
        if frame.wanted != 0 {
            self.slots.know(call_slot, Ref::FALSE);
        }
        if frame.wanted < 0 {
            self.open_top = Some(call_slot + CAUGHT_VALUES);
        }
    }

    /// The inlined protected call at which an error ends, if the trace can go on there.
    fn catcher(&self) -> Option<usize> {
        let at = self.frames.iter().rposition(|i| i.frame.kind.is_protected())?;
        (self.may_close() || !self.closes_above(self.frames[at].call_slot)).then_some(at)
    }

    /// Whether the helper that catches an error can close variables: in a coroutine that might yield.
    fn may_close(&self) -> bool {
        self.thread == self.main || self.thread.no_yield.get() > 0
    }

    /// Whether a handler is to see the errors that end at an inlined protected call.
    fn is_handled(&self, at: usize) -> bool {
        matches!(self.frames[at].frame.kind, FrameKind::Xpcall | FrameKind::TailXpcall)
    }

    /// Whether functions are called for an error that ends at an inlined protected call.
    fn calls_for_error(&self, at: usize) -> bool {
        self.is_handled(at) || self.closes_above(self.frames[at].call_slot)
    }

    /// Number of the interpreter's frames below an inlined call.
    fn depth_below(&self, at: usize) -> usize {
        self.entry_depth + self.frames[..at].iter().map(|i| i.frame.kind.frames()).sum::<usize>()
    }

    /// What a helper needs to know of that call.
    fn describe_catcher(&self, at: usize, results: i16) -> i64 {
        let Inlined { frame, call_slot, .. } = self.frames[at];
        let (to, wanted) = (call_slot - self.base, frame.wanted);
        Catcher { results, to, wanted, is_handled: self.is_handled(at) }.packed()
    }

    /// Calls a native function as [`plain_call`](Recorder::plain_call) does, whose errors end in the trace, if that is so.
    pub(super) fn catching_call(&mut self, a: usize, arguments: usize, wanted: i16) -> Rec<Option<Next>> {
        let Some(at) = self.catcher() else { return Ok(None) };
        let what = self.describe_catcher(at, wanted);
        let next = self.pc + bc::op(self.proto.word(self.pc as usize)).words() as u32;
        let answer = self.call_natively(H::CallCatching, (a, arguments), what, a)?;
        self.catching = Some(CatchingCall { answer, at, to: self.at(a), wanted, next });
        Ok(Some(Next::More))
    }

    /// Such a call has returned: errors lead to where they end.
    pub(super) fn call_returned(&mut self, call: CatchingCall) -> Rec<()> {
        self.snapshot_behind(call.at);
        let caught = self.b.int(CAUGHT);
        self.b.guard(Ins::Ne, call.answer, caught)?;
        if call.wanted < 0 {
            self.open_call = Some(OpenCall { to: call.to, answer: call.answer });
            return Ok(());
        }
        self.guard_done(call.answer, call.next)
    }

    /// Such a call has failed, and what it has raised ends in the trace.
    fn call_failed(&mut self, call: CatchingCall) -> Rec<()> {
        let mode = if call.wanted < 0 { ExitMode::Open } else { ExitMode::Continue };
        self.open_top = (call.wanted < 0).then_some(call.to);
        self.snapshot(mode, call.next);
        let caught = self.b.int(CAUGHT);
        self.guard_value(call.answer, caught)?;
        self.caught(call.at);
        Ok(())
    }

    /// Takes a snapshot of the place behind an inlined protected call, when an error has ended there and all slots lie in memory.
    fn snapshot_behind(&mut self, at: usize) {
        let Inlined { frame, call_slot, caller, .. } = self.frames[at];
        let above = self.frames.split_off(at);
        let (base, proto) = (self.base, std::mem::replace(&mut self.proto, caller));
        self.base = self.frames.last().map_or(0, |i| i.frame.base);
        self.open_top = (frame.wanted < 0).then_some(call_slot + CAUGHT_VALUES);
        self.snapshot(ExitMode::Continue, frame.return_pc);
        (self.base, self.proto, self.open_top) = (base, proto, None);
        self.frames.extend(above);
    }

    /// Whether an error that the current instruction raises ends in the trace.
    pub(super) fn catches_failure(&self) -> bool {
        self.catcher().is_some()
    }

    /// An error is on its way: whether what follows it has been recorded, or can be.
    pub fn follows_error(&mut self) -> bool {
        if self.resumes_at.is_some() {
            // Of what is called for another one, which is waited for.
            return true;
        }
        if std::mem::take(&mut self.fails) {
            return self.catch_failure().is_some();
        }
        if let Some(call) = self.catching.take() {
            return self.call_failed(call).is_ok();
        }
        if self.bare {
            let (proto, pc) = (self.proto, self.pc);
            self.prototypes.borrow_mut().of(proto).failing.insert(pc);
        }
        std::mem::take(&mut self.raises)
    }

    /// The current instruction has raised the error that it raises each time: goes on where that ends, if it is what is expected.
    fn catch_failure(&mut self) -> Option<()> {
        let text = self.state().pending_error()?.as_string()?;
        let expected = |part: &&[u8]| text.bytes().windows(part.len()).any(|found| found == *part);
        FAILURES.iter().find(|part| expected(part))?;
        let at = self.catcher()?;
        let error = self.value_constant(Value::from(text)).ok()?;
        if !self.calls_for_error(at) {
            self.catch(at, error);
            return Some(());
        }
        let (register, what) = (usize::from(self.proto.max_stack), self.describe_catcher(at, 0));
        self.set(register, error);
        self.call_natively(H::Raise, (register, 0), what, register).ok()?;
        self.caught(at);
        Some(())
    }

    fn leave_before_error(&mut self, a: usize, arguments: usize) -> Rec<Option<Next>> {
        if self.length <= 1 {
            // A trace of nothing but the error would lead to another one.
            return Ok(None);
        }
        if bc::takes_open_list(self.proto.word(self.pc as usize)) {
            self.open_top = Some(self.at(a + 1 + arguments));
        }
        self.leave().map(Some)
    }

    /// What `error` raises: a message gets the position of the function at its level.
    fn error_value(&mut self, a: usize, arguments: usize) -> Rec<Option<Ref>> {
        if arguments == 0 {
            return Ok(Some(Ref::NIL));
        }
        let message = self.get(a + 1)?;
        let level = match arguments {
            1 => 1,
            _ => {
                let Some(level) = self.actual(a + 2).as_integer() else { return Ok(None) };
                let (found, expected) = (self.get(a + 2)?, self.b.int(level));
                self.guard_value(found, expected)?;
                level
            }
        };
        self.with_position(message, level)
    }

    /// An error's message with the position of the function at a level, if it is a string.
    fn with_position(&mut self, message: Ref, level: i64) -> Rec<Option<Ref>> {
        if self.ty(message) != Type::String || level == 0 {
            return Ok(Some(message));
        }
        let place = match (level, self.frames.last()) {
            (1, _) => Some((self.proto, self.pc)),
            (2, Some(i)) if i.frame.kind == FrameKind::Call => Some((i.caller, i.frame.return_pc - 1)),
            _ => None,
        };
        let Some(position) = place.and_then(|(proto, pc)| position(proto, pc)) else { return Ok(None) };
        let position = self.text_constant(&position)?;
        Ok(Some(self.call_helper(H::Concat2, &[position, message])?))
    }

    fn text_constant(&mut self, text: &[u8]) -> Rec<Ref> {
        let text = self.state().string(text).map_err(|_| Abort::Reason("not enough memory"))?;
        self.value_constant(Value::from(text))
    }

    /// What an `assert` raises that fails.
    fn failed_assertion(&mut self, a: usize, arguments: usize) -> Rec<Option<Ref>> {
        let condition = self.get(a + 1)?;
        if truth(self.ty(condition)).is_none() {
            self.guard_value(condition, Ref::FALSE)?;
        }
        let message = if arguments > 1 { self.get(a + 2)? } else { self.text_constant(b"assertion failed!")? };
        self.with_position(message, 1)
    }
}

/// How a message says where an instruction stands; none where the lines are not known.
fn position(proto: Gc<Proto>, pc: u32) -> Option<Vec<u8>> {
    let line = proto.line(pc as usize);
    let mut text = chunk_id(&proto.source);
    text.extend_from_slice(format!(":{line}: ").as_bytes());
    (line > 0).then_some(text)
}
