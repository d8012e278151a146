//! Loops: numeric and generic `for`, back edges, and where a trace ends: at its own head, at the head of another trace,
//! or back in the interpreter.

use perilune_runtime::lua::bytecode::{self as bc, Op, Word};
use perilune_runtime::lua::function::Special;
use perilune_runtime::lua::number;
use perilune_runtime::lua::value::{Value, tag};

use super::super::helpers::H;
use super::super::ir::build::{BuildError, Builder};
use super::super::ir::{Link, Op as Ins, Ref, Type};
use super::super::opt::peel::peel;
use super::super::snapshot::ExitMode;
use super::meta::Handler;
use super::{Abort, Next, Origin, Rec, Recorder};

/// How often a recording follows the back edge of a loop that is not compiled.
const MAX_UNROLL: u32 = 8;

impl Recorder {
    /// What is known at the head of a numeric loop: the control variable is the index, and the step is what it is now.
    pub(super) fn begin_loop(&mut self) -> Rec<()> {
        let Some(site) = self.site else { return Ok(()) };
        let w = self.entry_proto.word(site as usize);
        if bc::op(w).original() != Op::ForLoop {
            return Ok(());
        }
        let a = bc::a(w);
        let index = self.get(a)?;
        let control = self.at(a + 3);
        self.slots.know(control, index);
        let step = self.loop_step(a + 2)?;
        let slot = self.at(a + 2);
        self.slots.know(slot, step);
        Ok(())
    }

    /// The step of a numeric loop: a constant if it is one forwards or backwards, as nearly all are. Of any other one the
    /// direction is checked, so that a loop over all kinds of steps has one trace.
    fn loop_step(&mut self, register: usize) -> Rec<Ref> {
        let (step, actual) = (self.get(register)?, self.actual(register));
        if matches!(actual.as_number(), Some(1.0 | -1.0)) {
            let expected = self.value_constant(actual)?;
            self.guard_value(step, expected)?;
            return Ok(expected);
        }
        if self.b.ir().constant(step).is_some() {
            return Ok(step);
        }
        let forwards = actual.as_number().is_some_and(|s| s > 0.0);
        let zero = if actual.is_integer() { self.b.int(0) } else { self.b.float(0.0) };
        self.b.guard(if forwards { Ins::Gt } else { Ins::Lt }, step, zero)?;
        Ok(step)
    }

    /// The trace has come back to its head.
    pub(super) fn close_loop(&mut self) -> Rec<Next> {
        self.snapshot_here();
        self.b.plain(Ins::Interrupt)?;
        if self.allocates {
            self.b.plain(Ins::Gcstep)?;
        }
        if self.keep_recorded {
            self.recorded = Some(self.b.ir().clone());
        }
        if self.b.passes().peel {
            match peel(&mut self.b, &self.inherited) {
                Ok(()) => return Ok(Next::Done),
                Err(
                    BuildError::TypeInstability
                    | BuildError::TooManyPhis
                    | BuildError::GuardFails
                    | BuildError::TooLong,
                ) => {}
                Err(error) => return Err(error.into()),
            }
        }
        // The slots go through memory, and the head checks them again.
        let head = if let Origin::Exit { parent, .. } = self.origin { parent } else { self.number };
        self.b.set_link(Link::Trace(head));
        Ok(Next::Done)
    }

    /// The trace has come to the head of another one, at `pc`. The frames of inlined calls are pushed for good.
    pub(super) fn link_to(&mut self, trace: u32, pc: u32) -> Rec<Next> {
        self.snapshot(ExitMode::Reexecute, pc);
        self.b.plain(Ins::Interrupt)?;
        if self.allocates {
            self.b.plain(Ins::Gcstep)?;
        }
        self.end(Link::Trace(trace))
    }

    /// Follows a back edge of a loop that is not this trace's own.
    fn count_back_edge(&mut self) -> Rec<()> {
        let key = (self.proto.address(), self.pc);
        let count = self.back_edges.entry(key).or_insert(0);
        *count += 1;
        if *count > MAX_UNROLL {
            return Err(Abort::Reason("inner loop"));
        }
        Ok(())
    }

    fn is_own_site(&self) -> bool {
        self.frames.is_empty() && self.site == Some(self.pc)
    }

    /// Whether a loop's trace has come to an instruction behind the loop.
    pub(super) fn has_left_loop(&self) -> bool {
        let (Some(site), Some(head)) = (self.site, self.head) else { return false };
        self.frames.is_empty() && !(head..=site).contains(&self.pc)
    }

    /// The target of the back edge at the current pc.
    fn back_target(&self, w: Word) -> u32 {
        let next = self.pc as i64 + 2;
        (match bc::op(w).original() {
            Op::JmpBack => next + i64::from(bc::jump(w)),
            _ => next - bc::bx(w) as i64,
        }) as u32
    }

    /// After the effects of a back edge that is taken have been recorded.
    fn take_back_edge(&mut self, w: Word) -> Rec<Next> {
        if bc::op(w) != bc::op(w).original() && !self.is_own_site() {
            let trace = self.proto.word(self.pc as usize + 1);
            // A loop's own trace, come to in the middle of a side trace or an outer loop.
            return self.link_to(trace, self.back_target(w));
        }
        if !self.is_own_site() {
            self.count_back_edge()?;
        }
        Ok(Next::More)
    }

    pub(super) fn op_jump_back(&mut self, w: Word) -> Rec<Next> {
        self.take_back_edge(w)
    }

    pub(super) fn op_for_loop(&mut self, w: Word) -> Rec<Next> {
        let a = bc::a(w);
        if self.actual(a).tag() == tag::INTEGER {
            let count = self.get(a + 1)?;
            let (index, step) = (self.get(a)?, self.get(a + 2)?);
            let zero = self.b.int(0);
            if self.actual(a + 1).raw_integer() == 0 {
                self.b.guard(Ins::Eq, count, zero)?;
                return Ok(Next::More);
            }
            self.b.guard(Ins::Ne, count, zero)?;
            let one = self.b.int(1);
            let count = self.b.binary(Ins::Sub, count, one)?;
            let index = self.b.binary(Ins::Add, index, step)?;
            self.set(a, index);
            self.set(a + 1, count);
            self.set(a + 3, index);
        } else {
            let (index, limit, step) = (self.get(a)?, self.get(a + 1)?, self.loop_step(a + 2)?);
            let (i, l, s) =
                (self.actual(a).raw_float(), self.actual(a + 1).raw_float(), self.actual(a + 2).raw_float());
            let next = self.b.binary(Ins::Add, index, step)?;
            let (holds, op, not) =
                if s > 0.0 { (i + s <= l, Ins::Le, Ins::Ugt) } else { (l <= i + s, Ins::Ge, Ins::Ult) };
            if !holds {
                self.b.guard(not, next, limit)?;
                return Ok(Next::More);
            }
            self.b.guard(op, next, limit)?;
            self.set(a, next);
            self.set(a + 3, next);
        }
        self.take_back_edge(w)
    }

    /// Does the loop run, and how often? As the interpreter has it: the count is what is left after the first iteration.
    pub(super) fn op_for_prep(&mut self, w: Word) -> Rec<Next> {
        let a = bc::a(w);
        let (init, limit, step) = (self.actual(a), self.actual(a + 1), self.actual(a + 2));
        if [init, limit, step].iter().any(|v| v.is_string()) {
            // Whether it fails depends on the text.
            return Err(Abort::Reason("loop over strings"));
        }
        if !(init.is_number() && limit.is_number() && step.is_number()) {
            let operands = [(self.get(a)?, init), (self.get(a + 1)?, limit), (self.get(a + 2)?, step)];
            return self.fail("loop over something else than numbers", &operands);
        }
        if step.as_number() == Some(0.0) {
            let (found, expected) = (self.get(a + 2)?, self.value_constant(step)?);
            self.guard_value(found, expected)?;
            return Err(Abort::Fails("loop with step zero"));
        }
        let by = self.loop_step(a + 2)?;
        if init.is_integer() && step.is_integer() {
            return self.prepare_integers(w, by);
        }
        let as_float = |r: &mut Recorder, register: usize| -> Rec<Ref> {
            let v = r.get(register)?;
            Ok(if r.ty(v) == Type::Int { r.b.i2f(v)? } else { v })
        };
        let i = as_float(self, a)?;
        let l = as_float(self, a + 1)?;
        let by = if self.ty(by) == Type::Int { self.b.i2f(by)? } else { by };
        let s = step.as_number().unwrap_or(0.0);
        let (x, y) = (init.as_number().unwrap_or(0.0), limit.as_number().unwrap_or(0.0));
        // What is not a number does not keep the first round from running.
        let (misses, op) = if s > 0.0 { (y < x, Ins::Gt) } else { (x < y, Ins::Lt) };
        let runs = !misses;
        self.b.guard(if runs { op.negated(true) } else { op }, i, l)?;
        if !runs {
            return Ok(Next::More);
        }
        self.set(a, i);
        self.set(a + 1, l);
        self.set(a + 2, by);
        self.set(a + 3, i);
        self.enter_loop(w)
    }

    fn prepare_integers(&mut self, w: Word, step: Ref) -> Rec<Next> {
        let a = bc::a(w);
        let s = self.actual(a + 2).raw_integer();
        let init = self.get(a)?;
        let Some((limit, y)) = self.integer_limit(a + 1, s > 0)? else { return Ok(Next::More) };
        let x = self.actual(a).raw_integer();
        let (runs, op, not) = if s > 0 { (x <= y, Ins::Le, Ins::Gt) } else { (x >= y, Ins::Ge, Ins::Lt) };
        self.b.guard(if runs { op } else { not }, init, limit)?;
        if !runs {
            return Ok(Next::More);
        }
        let distance = if s > 0 { y.wrapping_sub(x) } else { x.wrapping_sub(y) };
        let count = if s.unsigned_abs() == 1 {
            if s > 0 { self.b.binary(Ins::Sub, limit, init)? } else { self.b.binary(Ins::Sub, init, limit)? }
        } else if s == i64::MIN || distance < 0 {
            // It spans more than half of all integers.
            self.call_helper(H::LoopCount, &[init, limit, step])?
        } else {
            let count =
                if s > 0 { self.b.binary(Ins::Sub, limit, init)? } else { self.b.binary(Ins::Sub, init, limit)? };
            let (zero, least) = (self.b.int(0), self.b.int(i64::MIN));
            self.b.guard(Ins::Ge, count, zero)?;
            let by = if s > 0 {
                step
            } else {
                self.b.guard(Ins::Ne, step, least)?;
                self.b.unary(Ins::Neg, step)?
            };
            self.b.binary(Ins::Idiv, count, by)?
        };
        self.set(a + 1, count);
        self.set(a + 2, step);
        self.set(a + 3, init);
        self.enter_loop(w)
    }

    /// The limit of a loop over integers, as an integer, and what it is now: a float is rounded towards the inside. None: it lies
    /// before all integers, and the loop does not run.
    fn integer_limit(&mut self, register: usize, forwards: bool) -> Rec<Option<(Ref, i64)>> {
        let (r, actual) = (self.get(register)?, self.actual(register));
        if self.ty(r) != Type::Float {
            return Ok(Some((r, actual.raw_integer())));
        }
        let rounded = if forwards { actual.raw_float().floor() } else { actual.raw_float().ceil() };
        if let Some(limit) = number::float_to_int(rounded) {
            let rounded = self.b.unary(if forwards { Ins::Floor } else { Ins::Ceil }, r)?;
            return Ok(Some((self.b.f2i(rounded)?, limit)));
        }
        // Outside of all integers. What is not a number counts as negative.
        let end = 2f64.powi(63);
        let (op, bound, limit) = if rounded > 0.0 { (Ins::Ge, end, i64::MAX) } else { (Ins::Ult, -end, i64::MIN) };
        let bound = self.b.float(bound);
        self.b.guard(op, r, bound)?;
        Ok(if forwards == (rounded > 0.0) { Some((self.b.int(limit), limit)) } else { None })
    }

    /// The first iteration of a loop begins: perhaps its trace is there.
    fn enter_loop(&mut self, w: Word) -> Rec<Next> {
        let back = self.pc as usize + 1 + bc::bx(w);
        // FORPREP leaps behind the loop: the back edge stands before its target.
        let site = back - 2;
        let at = self.proto.word(site);
        if bc::op_number(at) == Op::JForLoop as u8 {
            let trace = self.proto.word(site + 1);
            return self.link_to(trace, self.pc + 1);
        }
        Ok(Next::More)
    }

    pub(super) fn op_tfor_prep(&mut self, w: Word) -> Rec<Next> {
        self.close_later(bc::a(w) + 3)
    }

    pub(super) fn op_tfor_call(&mut self, w: Word) -> Rec<Next> {
        let (a, wanted) = (bc::a(w), bc::c(w));
        if let Some(native) = self.actual(a).as_native()
            && native.special() == Special::Next
            && let Some(_) = self.actual(a + 1).as_table()
        {
            let f = self.get(a)?;
            let expected = self.value_constant(self.actual(a))?;
            self.guard_value(f, expected)?;
            return self.record_next(a, wanted);
        }
        if let Some(native) = self.actual(a).as_native()
            && native.special() == Special::IpairsNext
            && self.actual(a + 1).is_table()
        {
            let f = self.get(a)?;
            let expected = self.value_constant(self.actual(a))?;
            self.guard_value(f, expected)?;
            return self.next_element(a, wanted);
        }
        self.call_iterator(a, wanted as i16)
    }

    /// As the interpreter does it: a copy of the function and its arguments, and a call of that.
    pub(super) fn call_iterator(&mut self, a: usize, wanted: i16) -> Rec<Next> {
        for i in (0..3).rev() {
            let value = self.get(a + i)?;
            self.set(a + 4 + i, value);
        }
        self.iterate(a + 4, wanted, self.actual(a))
    }

    /// `next` on a table in a generic loop.
    fn record_next(&mut self, a: usize, wanted: usize) -> Rec<Next> {
        let (table, key) = ((self.get(a + 1)?, self.actual(a + 1)), (self.get(a + 2)?, self.actual(a + 2)));
        let (k, v) = self.next_entry(table, key, wanted > 1)?.unwrap_or((Ref::NIL, Ref::NIL));
        self.set(a + 4, k);
        if wanted > 1 {
            self.set(a + 5, v);
        }
        for i in 2..wanted {
            self.set(a + 4 + i, Ref::NIL);
        }
        Ok(Next::More)
    }

    /// The entry of a table behind a key, if there is one; its value if that is asked for.
    fn next_entry(&mut self, table: Handler, key: Handler, with_value: bool) -> Rec<Option<(Ref, Ref)>> {
        let found = match table.1.as_table().map(|t| t.next(key.1)) {
            Some(Ok(found)) => found,
            _ => return Err(Abort::Reason("invalid key to next")),
        };
        let answer = if self.ty(key.0) == Type::Float {
            self.call_helper(H::NextFloat, &[table.0, key.0])?
        } else {
            let [payload, tag] = self.with_tag(key.0);
            self.call_helper(H::Next, &[table.0, payload, tag])?
        };
        let expected = self.b.int(found.is_some().into());
        self.guard_value(answer, expected)?;
        let Some((k, v)) = found else { return Ok(None) };
        let address = (&raw const self.state().scratch) as u64;
        let scratch = self.b.ptr(address);
        let ty = |tag| Type::from_tag(tag).ok_or(Abort::Reason("internal value"));
        let key = self.b.vload(scratch, 0, ty(k.tag())?)?;
        let value = if with_value { self.b.vload(scratch, 1, ty(v.tag())?)? } else { Ref::NIL };
        Ok(Some((key, value)))
    }

    /// A call of `next`, in register `a`, on a table.
    pub(super) fn call_next(&mut self, a: usize, arguments: usize, wanted: i16) -> Rec<Next> {
        if !(1..=2).contains(&arguments) || !self.actual(a + 1).is_table() {
            return self.full_call(a, arguments, wanted);
        }
        let (function, expected) = (self.get(a)?, self.value_constant(self.actual(a))?);
        self.guard_value(function, expected)?;
        let table = (self.get(a + 1)?, self.actual(a + 1));
        let key = if arguments > 1 { (self.get(a + 2)?, self.actual(a + 2)) } else { (Ref::NIL, Value::NIL) };
        let values = match self.next_entry(table, key, wanted != 1)? {
            None => vec![Ref::NIL],
            Some((k, v)) => vec![k, v],
        };
        self.results(self.at(a), wanted, &values);
        Ok(Next::More)
    }

    pub(super) fn op_tfor_loop(&mut self, w: Word) -> Rec<Next> {
        let a = bc::a(w);
        let first = self.get(a + 4)?;
        // Nil or not is settled by the type.
        if self.ty(first) == Type::Nil {
            return Ok(Next::More);
        }
        self.set(a + 2, first);
        self.take_back_edge(w)
    }

    /// A boolean constant.
    pub(super) fn bool_constant(value: bool) -> Ref {
        Builder::bool(value)
    }
}
