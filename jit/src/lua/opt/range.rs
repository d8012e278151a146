//! Range analysis: bounds checks leave loops.
//!
//! An index that grows by the same amount in each iteration is within an array in all of them if it is so in the first and in the last one,
//! and often the last one is known before the loop. So a loop whose first iteration has been peeled off gets, before its `loop`
//! instruction, a guard for the last iteration, and the checks in its body go.
//!
//! A check `ult index len` has held in the first iteration, and a length is below 2^32. Be `s` the index's stride, below 2^31 like all constants
//! here. For `s > 0` the index is never negative: it was in bounds an iteration ago. That it is below `len` follows
//!
//! - from a guard `le y limit`, or `lt`, before the check in each iteration, where `y + d` is the index, and `ult (limit + d) len` before the
//!   loop. If that sum wraps it is none of the first 2^32 numbers.
//! - from a count `c` of the first iteration that goes down by one, with a guard `ne c 0` in each iteration, as those of a numeric `for`:
//!   the n-th iteration after the first one is not come to for `n > c`. There the index is `index + n * s`, and nothing wraps if `c`
//!   is below 2^31. So `ule c 2^31-1` and `ult (index + c * s) len` before the loop will do.
//!
//! For `s < 0` the index is always below `len`, and, by a count, `ge (index + c * s) 0` tells that it is never negative.
//!
//! Of indices that are constants apart one guard will do, the one for the outermost of them. The length and the limit must not change in
//! the loop, nor what an index is made from beside the loop's own variable: their copies came back as the first iteration's.
//!
//! These guards may fail though the loop would not have: it may be left by a `break`, or be about to go one step too far. They
//! have an exit of their own, at the loop's head, and the side trace that begins there is the same loop with its checks in it. What that
//! inherits must be values, of which nothing more is known than in later iterations: so loops that begin with an object which the
//! iteration before has made, and which might not be made (`sink`), keep their checks.
#![forbid(unsafe_code)]

use crate::lua::ir::build::{BuildError, Builder};
use crate::lua::ir::{Const, Inst, Ir, Op, Ref, Ty, Type, Width};
use crate::lua::snapshot::SlotValue;

/// Counts and strides up to here are looked at.
const LIMIT: i64 = i32::MAX as i64;
/// The most operations that an index is made by.
const MAX_DEPTH: u32 = 8;

/// What keeps an index below the length, or from being negative.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bound {
    /// The loop's count.
    Count {
        /// The index is this value and a constant.
        base: Ref,
        stride: i64,
        /// What the count is in the first iteration.
        count: Ref,
    },
    /// This value and a constant, as a guard says.
    Limit(Ref),
}

/// A bounds check that may leave the loop.
struct Check {
    /// Its place in the first iteration.
    at: usize,
    index: Ref,
    len: Ref,
    bound: Bound,
    /// The constant: the one with the largest one is checked for all that are alike.
    offset: i64,
    /// What must not change in the loop.
    constant: Vec<Ref>,
    /// The guard that makes up for it.
    guard: Option<usize>,
}

/// What can be checked before a loop.
pub(super) struct Ranges {
    checks: Vec<Check>,
    /// The guard that the count is not too large, if somebody counts on it.
    limit: Option<usize>,
}

/// Finds the checks of a loop's first iteration that may leave the loop.
pub(super) fn find(body: &Ir, end: &[SlotValue]) -> Option<Ranges> {
    // What a call of a native function leaves in the slots is not looked at.
    if body.insts.iter().any(|inst| matches!(inst.op, Op::Sync | Op::Args)) {
        return None;
    }
    if end.iter().any(|s| s.value.is_inst() && body.made(body.inst(s.value)).is_some()) {
        return None;
    }
    let count = body.insts.iter().find_map(|inst| counts_down(body, end, inst));
    let checks: Vec<Check> = (0..body.insts.len()).filter_map(|at| check(body, end, at, count)).collect();
    (!checks.is_empty()).then_some(Ranges { checks, limit: None })
}

/// The count of a numeric loop, if this is the guard that it is not zero yet.
fn counts_down(body: &Ir, end: &[SlotValue], inst: &Inst) -> Option<Ref> {
    let is_guard = inst.op == Op::Ne && inst.base() == Type::Int && body.int(inst.b) == Some(0) && inst.a.is_inst();
    (is_guard && value_at_end(body, end, inst.a).and_then(|last| distance(body, last, inst.a)) == Some(-1))
        .then_some(inst.a)
}

/// What a slot holds at the end of the iteration, if this is what it held at its start.
fn value_at_end(body: &Ir, end: &[SlotValue], r: Ref) -> Option<Ref> {
    let inst = body.inst(r);
    let is_slot = inst.op == Op::Sload;
    end.iter().find(|s| is_slot && s.slot == inst.slot()).map(|s| s.value)
}

/// A value as another one and a constant, as far down as it goes or to `stop`.
fn split(body: &Ir, mut r: Ref, stop: Ref) -> Option<(Ref, i64)> {
    let mut offset = 0i64;
    while r != stop
        && r.is_inst()
        && let inst = body.inst(r)
        && let (Op::Add, Some(k)) = (inst.op, body.second_int(inst))
    {
        (r, offset) = (inst.a, offset.checked_add(k)?);
    }
    is_small(offset).then_some((r, offset))
}

fn is_small(k: i64) -> bool {
    (-LIMIT..=LIMIT).contains(&k)
}

/// How much a value is larger than another one, if that is a constant.
fn distance(body: &Ir, r: Ref, from: Ref) -> Option<i64> {
    split(body, r, from).filter(|(base, _)| *base == from).map(|(_, offset)| offset)
}

fn check(body: &Ir, end: &[SlotValue], at: usize, count: Option<Ref>) -> Option<Check> {
    let inst = body.insts[at];
    let (index, len) = match inst.op {
        Op::Ult => (inst.a, inst.b),
        Op::Ugt => (inst.b, inst.a),
        _ => return None,
    };
    let is_length = |r: Ref| r.is_inst() && body.inst(r).op == Op::Fload && body.inst(r).field().width() == Width::U32;
    if inst.base() != Type::Int || !is_length(len) || !index.is_inst() {
        return None;
    }
    let mut constant = vec![len];
    let stride = stride(body, end, index, &mut constant, MAX_DEPTH).filter(|stride| *stride != 0)?;
    let (base, offset) = split(body, index, Ref::NONE)?;
    let limited = body.insts[..at].iter().filter(|_| stride > 0).find_map(|guard| limit(body, end, guard, base));
    let (bound, offset) = match limited {
        Some((limit, by)) => {
            constant.extend(limit.is_inst().then_some(limit));
            (Bound::Limit(limit), offset + by)
        }
        None => (Bound::Count { base, stride, count: count? }, offset * stride.signum()),
    };
    Some(Check { at, index, len, bound, offset, constant, guard: None })
}

/// The largest that `base` can be behind a guard: a value that may not change, and a constant.
fn limit(body: &Ir, end: &[SlotValue], guard: &Inst, base: Ref) -> Option<(Ref, i64)> {
    let (smaller, larger, by) = match guard.op {
        Op::Lt => (guard.a, guard.b, -1),
        Op::Le => (guard.a, guard.b, 0),
        Op::Gt => (guard.b, guard.a, -1),
        Op::Ge => (guard.b, guard.a, 0),
        _ => return None,
    };
    let stays = |r: Ref| r.is_const() || value_at_end(body, end, r).is_none_or(|last| last == r);
    let offset = if guard.base() == Type::Int { distance(body, smaller, base)? } else { return None };
    stays(larger).then_some((larger, by - offset))
}

/// By how much a value changes from one iteration to the next, if what is added to `constant` does not change.
fn stride(body: &Ir, end: &[SlotValue], r: Ref, constant: &mut Vec<Ref>, depth: u32) -> Option<i64> {
    if r.is_const() {
        return Some(0);
    }
    let inst = body.inst(r);
    if let Some(last) = value_at_end(body, end, r) {
        return distance(body, last, r);
    }
    let depth = depth.checked_sub(1)?;
    let mut of = |r: Ref| stride(body, end, r, constant, depth);
    let stride = match (inst.op, body.second_int(inst)) {
        (Op::Add, _) => of(inst.a)?.checked_add(of(inst.b)?)?,
        (Op::Sub, _) => of(inst.a)?.checked_sub(of(inst.b)?)?,
        (Op::Mul, Some(k)) => of(inst.a)?.checked_mul(k)?,
        (Op::Shl, Some(k @ 0..=30)) => of(inst.a)?.checked_mul(1 << k)?,
        _ => {
            constant.push(r);
            0
        }
    };
    is_small(stride).then_some(stride)
}

impl Ranges {
    /// Emits the guards before the loop. Nothing of this is numbered: it is about the first iteration's values, as the loop begins.
    pub(super) fn emit(&mut self, b: &mut Builder) -> Result<(), BuildError> {
        b.repeat_snapshot();
        let compare = |op: Op, x: Ref, y: Ref| Inst::new(op, Ty::guarded(Type::Int), x, y, Ref::NONE);
        for at in 0..self.checks.len() {
            if self.checks[at].guard.is_some() {
                continue;
            }
            let (bound, len) = (self.checks[at].bound, self.checks[at].len);
            let falls = matches!(bound, Bound::Count { stride: ..0, .. });
            let alike = |c: &&mut Check| c.bound == bound && (falls || c.len == len);
            let Some(outermost) = self.checks.iter_mut().filter(alike).max_by_key(|c| c.offset) else { continue };
            let (index, offset) = (outermost.index, outermost.offset);
            let last = match bound {
                Bound::Count { stride, count, .. } => {
                    if self.limit.is_none() {
                        let limit = b.constant(Const::Int(LIMIT));
                        self.limit = Some(b.append_alone(compare(Op::Ule, count, limit))?.index());
                    }
                    last_index(b, index, count, stride)?
                }
                Bound::Limit(limit) => plus(b, limit, offset)?,
            };
            let zero = b.constant(Const::Int(0));
            let guard = if falls { compare(Op::Ge, last, zero) } else { compare(Op::Ult, last, len) };
            let guard = b.append_alone(guard)?.index();
            self.checks.iter_mut().filter(alike).for_each(|c| c.guard = Some(guard));
        }
        Ok(())
    }

    /// Drops the checks in the loop that the guards make up for, and guards that make up for none. `subst` is what stands in the loop for
    /// each instruction of the first iteration.
    pub(super) fn drop_checks(&self, b: &mut Builder, subst: &[Ref]) {
        let is_there = |at: usize| subst[at].is_inst() && subst[at].index() > subst.len();
        let is_constant = |r: &Ref| subst[r.index()] == *r;
        let (mut needed, mut counts) = (Vec::new(), false);
        for check in &self.checks {
            if is_there(check.at) && check.constant.iter().all(is_constant) {
                b.drop_inst(subst[check.at].index());
                needed.extend(check.guard);
                counts |= matches!(check.bound, Bound::Count { .. });
            }
        }
        let guards = self.checks.iter().filter_map(|c| c.guard).filter(|guard| !needed.contains(guard));
        guards.chain(self.limit.filter(|_| !counts)).for_each(|guard| b.drop_inst(guard));
    }
}

fn int(op: Op, x: Ref, y: Ref) -> Inst {
    Inst::new(op, Ty::new(Type::Int), x, y, Ref::NONE)
}

/// A value and a constant.
fn plus(b: &mut Builder, r: Ref, k: i64) -> Result<Ref, BuildError> {
    match b.ir().int(r) {
        Some(value) => Ok(b.constant(Const::Int(value.wrapping_add(k)))),
        None if k == 0 => Ok(r),
        None => {
            let k = b.constant(Const::Int(k));
            b.append_alone(int(Op::Add, r, k))
        }
    }
}

/// The index in the last iteration.
fn last_index(b: &mut Builder, index: Ref, count: Ref, stride: i64) -> Result<Ref, BuildError> {
    match stride {
        1 => b.append_alone(int(Op::Add, index, count)),
        -1 => b.append_alone(int(Op::Sub, index, count)),
        _ => {
            let stride = b.constant(Const::Int(stride));
            let way = b.append_alone(int(Op::Mul, count, stride))?;
            b.append_alone(int(Op::Add, index, way))
        }
    }
}

/// The exit of a loop's range guards, if it has some: the snapshot before the loop, when all that leaves by it compares. A
/// loop without them has the check for interrupts there.
pub fn exit(ir: &Ir) -> Option<usize> {
    let loop_at = ir.loop_index()?;
    let number = ir.snapshots.for_inst(loop_at)?;
    let mut leaving =
        ir.insts[ir.snapshots.get(number).at as usize..loop_at].iter().filter(|inst| inst.can_exit()).peekable();
    (leaving.peek().is_some() && leaving.all(|inst| inst.op.is_compare())).then_some(number)
}
