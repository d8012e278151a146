//! Protected calls: `pcall` and `xpcall` of Lua functions are inlined, with a frame of their own below the function's. An error
//! that `error` or `assert` raises inside of one is a jump: the frames up to `pcall` go, and its results are false and the error.

#![forbid(unsafe_code)]

use perilune_interpreter::lua::call::is_plain;
use perilune_interpreter::lua::source::chunk_id;
use perilune_runtime::lua::bytecode as bc;
use perilune_runtime::lua::function::{NativeFunction, Proto};
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::value::Value;

use super::super::helpers::H;
use super::super::ir::{Ref, Type};
use super::super::snapshot::FrameKind;
use super::native::Intrinsic;
use super::{Abort, Inlined, Next, Rec, Recorder, truth};

/// What the message of an instruction's error says.
const FAILURE: &[u8] = b"attempt to ";

impl Recorder {
    /// `pcall`, in register `a`, of the function above it.
    pub(super) fn pcall(&mut self, a: usize, arguments: usize, wanted: i16) -> Rec<Next> {
        let callee = self.actual(a + 1);
        if arguments == 0 {
            return Err(Abort::Reason("pcall of nothing"));
        }
        if let Some(f) = callee.as_lua_function() {
            return self.inline(a + 1, arguments - 1, wanted, f, self.pc + 1, FrameKind::Pcall);
        }
        match callee.as_native() {
            // What these call may yield.
            Some(f) if matches!(self.known(f), Some(Intrinsic::DoFile | Intrinsic::Pairs)) => {
                Err(Abort::Reason("protected call of a function that may yield"))
            }
            Some(f) if is_plain(f) => {
                let function = self.get(a + 1)?;
                let expected = self.value_constant(callee)?;
                self.guard_value(function, expected)?;
                let next = self.full_call(a, arguments, wanted)?;
                // It ends at once.
                self.raises = true;
                Ok(next)
            }
            _ => Err(Abort::Reason("protected call of something else than a function")),
        }
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

    /// If `f`, in register `a`, raises an error that ends at an inlined `pcall`: goes on there. Where that cannot be, the trace ends
    /// before the call: the interpreter raises the error each time.
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
        let error = if is_error { self.error_value(a, arguments)? } else { self.failed_assertion(a, arguments)? };
        let Some(error) = error else { return self.leave_before_error(a, arguments) };
        self.catch(at, error);
        self.raises = true;
        Ok(Some(Next::More))
    }

    /// An error ends at the `pcall` below an inlined call: all above it goes.
    fn catch(&mut self, at: usize, error: Ref) {
        let inlined = self.frames[at];
        let end = self.base + i16::from(self.proto.max_stack);
        self.frames.truncate(at);
        self.base = self.frames.last().map_or(0, |i| i.frame.base);
        self.proto = inlined.caller;
        self.open_top = None;
        for s in inlined.call_slot..end {
            self.forget_slot(s);
        }
        self.results(inlined.call_slot, inlined.frame.wanted, &[Ref::FALSE, error]);
    }

    /// The inlined `pcall` at which an error ends, if the trace can go on there.
    fn catcher(&self) -> Option<usize> {
        let at = self.frames.iter().rposition(|i| i.frame.kind.is_protected())?;
        let Inlined { frame, call_slot, .. } = self.frames[at];
        // The handler of `xpcall` is to see the stack, and variables are closed before it goes.
        let is_pcall = matches!(frame.kind, FrameKind::Pcall | FrameKind::TailPcall);
        (is_pcall && !self.closes_above(call_slot)).then_some(at)
    }

    /// Whether an error that the current instruction raises ends in the trace.
    pub(super) fn catches_failure(&self) -> bool {
        self.catcher().is_some()
    }

    /// The current instruction has raised the error that it raises each time: goes on where that ends, if it is what is expected.
    pub(super) fn catch_failure(&mut self) -> bool {
        let error = self.state().pending_error();
        let text = error.and_then(|error| error.as_string());
        let expected = |text: &[u8]| text.windows(FAILURE.len()).any(|part| part == FAILURE);
        let Some((at, text)) = self.catcher().zip(text.filter(|text| expected(text.bytes()))) else { return false };
        let Ok(error) = self.value_constant(Value::from(text)) else { return false };
        self.catch(at, error);
        true
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
