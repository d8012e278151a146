//! The variables that are in scope at a place of a trace, their types and where they are.
//!
//! What a snapshot lists is where the allocator has put it. All other slots are right in the Lua stack, which a register points
//! to; what type they have is known if the trace has checked it, else their tag tells.
#![forbid(unsafe_code)]

use std::ops::Range;
use std::rc::Rc;

use perilune_runtime::lua::layout;
use perilune_runtime::lua::prototype::LocalVariable;
use perilune_runtime::lua::value::tag;
use perilune_unwind::frame::{Register, X86_64};
use perilune_unwind::lines::Variable;
use perilune_unwind::types::{self, Expression};

use super::{Explained, Stretch, call};
use crate::code::exit::spill_offset;
use crate::code::x64;
use crate::lua::allocate::{Location, Reg};
use crate::lua::ir::{Ir, Op, Ref, Type};

/// The type of values whose tag tells what they are.
pub(super) const VALUE: usize = 12;
const TEXT_BEHIND: usize = 13;
const TABLE: usize = 14;
const FUNCTION: usize = 15;
const PROTO: usize = 16;
const NATIVE: usize = 17;
const USERDATA: usize = 18;
const THREAD: usize = 19;
const CELL: usize = 20;
const LENGTH: usize = 21;
const PROTO_POINTER: usize = 22;
/// A table and a function that the trace has not made.
const UNBUILT_TABLE: usize = 23;
const UNBUILT_FUNCTION: usize = 24;

const TEXT: (u64, u64) = (layout::STRING_LEN as u64, layout::STRING_DATA as u64);

/// The types of variables; the first ones by the numbers of [`Type`].
pub const TYPES: &[types::Type] = &[
    types::Type::Unit("nil"),
    types::Type::Bool("boolean"),
    types::Type::Signed("integer", 8),
    types::Type::Float("float", 8),
    types::Type::Unsigned("lightuserdata", 8),
    types::Type::Text { length: TEXT.0, data: TEXT.1, behind: false },
    types::Type::Pointer(TABLE),
    types::Type::Pointer(FUNCTION),
    types::Type::Pointer(NATIVE),
    types::Type::Pointer(USERDATA),
    types::Type::Pointer(THREAD),
    types::Type::Pointer(CELL),
    types::Type::Tagged {
        name: "value",
        size: layout::VALUE_SIZE as u64,
        tag: layout::VALUE_TAG as u64,
        variants: &[
            (0, "nil", 0),
            (1, "boolean", 1),
            (2, "integer", 2),
            (3, "float", 3),
            (4, "lightuserdata", 4),
            (5, "string", TEXT_BEHIND),
            (6, "table", 6),
            (7, "function", 7),
            (8, "native", 8),
            (9, "userdata", 9),
            (10, "thread", 10),
        ],
    },
    types::Type::Text { length: TEXT.0, data: TEXT.1, behind: true },
    types::Type::Struct("table", layout::TABLE_LEN as u64 + 4, &[("length", LENGTH, layout::TABLE_LEN as u64)]),
    types::Type::Struct(
        "function",
        layout::FUNCTION_PROTO as u64 + 8,
        &[("prototype", PROTO_POINTER, layout::FUNCTION_PROTO as u64)],
    ),
    types::Type::Struct("prototype", 8, &[]),
    types::Type::Struct("native", 8, &[]),
    types::Type::Struct("userdata", 8, &[]),
    types::Type::Struct("thread", 8, &[]),
    types::Type::Struct(
        "cell",
        (layout::CELL_VALUE + layout::VALUE_SIZE) as u64,
        &[("value", VALUE, layout::CELL_VALUE as u64)],
    ),
    types::Type::Unsigned("length", 4),
    types::Type::Pointer(PROTO),
    types::Type::Unit("unbuilt table"),
    types::Type::Unit("unbuilt function"),
];

/// The types of what lies in slots of the stack, as far as the trace has found them there or stored it.
#[derive(Default)]
pub(super) struct Stored {
    /// By slot, and then by the instruction behind which it is so; none: nobody knows.
    found: Vec<(i16, usize, Option<Type>)>,
    /// The types that the trace expects in slots, and leaves if it does not find them.
    expected: Vec<(i16, Type)>,
    loop_at: Option<usize>,
}

impl Stored {
    pub(super) fn new(ir: &Ir) -> Stored {
        let mut found: Vec<(i16, usize, Option<Type>)> = Vec::new();
        let mut expected: Vec<(i16, Type)> = Vec::new();
        for (at, inst) in ir.insts.iter().enumerate() {
            match inst.op {
                Op::Sload => {
                    found.push((inst.slot(), at, Some(inst.base())));
                    expected.push((inst.slot(), inst.base()));
                }
                Op::Args => {
                    let above = found.iter().map(|f| f.0).filter(|slot| *slot >= inst.slot());
                    let above: std::collections::BTreeSet<i16> = above.collect();
                    found.extend(above.into_iter().map(|slot| (slot, at, None)));
                }
                Op::Sync => {
                    let Some(snapshot) = ir.snapshots.for_inst(at) else { continue };
                    let slots = ir.snapshots.slots(ir.snapshots.get(snapshot)).iter();
                    found.extend(slots.map(|s| (s.slot, at, Some(ir.ty(s.value)))));
                    // The callee may overwrite what is above.
                    let mut above: Vec<i16> = found.iter().map(|f| f.0).filter(|slot| *slot >= inst.slot()).collect();
                    above.sort_unstable();
                    above.dedup();
                    found.extend(above.into_iter().map(|slot| (slot, at, None)));
                }
                _ => {}
            }
        }
        found.sort_by_key(|f| (f.0, f.1));
        Stored { found, expected, loop_at: ir.loop_index() }
    }

    /// The type of what lies in a slot before an instruction.
    fn ty(&self, slot: i16, before: usize) -> Option<Type> {
        let known = self.found.partition_point(|f| (f.0, f.1) < (slot, before));
        let (_, at, ty) = *self.found[..known].last().filter(|f| f.0 == slot)?;
        let loop_at = self.loop_at.filter(|loop_at| (at..before).contains(loop_at));
        // What was so before the loop must be so at its end.
        let stays = |loop_at: usize| {
            let in_loop = self.found[known..].iter().take_while(|f| f.0 == slot).filter(|f| f.1 > loop_at);
            in_loop.into_iter().all(|f| f.2 == ty)
        };
        if loop_at.is_none_or(stays) { ty } else { None }
    }
}

impl Stretch {
    /// The variables of a frame that are in scope.
    pub(super) fn visible(&self, depth: usize) -> &[Visible] {
        self.visible.get(depth).map_or(&[], |visible| visible)
    }
}

/// A variable in scope.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Visible {
    /// Its index among those of its function.
    pub(super) local: usize,
    /// Its type, as an index into [`TYPES`].
    pub(super) ty: usize,
    /// Nothing but the tag in its slot says that it is of that type: this one.
    pub(super) likely: Option<u8>,
}

impl Explained<'_> {
    /// Notes for all stretches which variables are in scope.
    pub(super) fn find_variables(&mut self) {
        let mut stretches = std::mem::take(&mut self.stretches);
        for n in 0..stretches.len() {
            let (before, rest) = stretches.split_at_mut(n);
            let (stretch, last) = (&mut rest[0], before.last());
            let mut visible: Vec<Rc<[Visible]>> = Vec::with_capacity(stretch.depth + 1);
            for depth in 0..=stretch.depth {
                // While it calls nothing changes in a frame.
                let made = |s: &Stretch| self.frames(s.snapshot).get(depth).map(call);
                let same =
                    last.filter(|last| depth < stretch.depth && last.depth >= depth && made(last) == made(stretch));
                visible.push(match same {
                    Some(last) => last.visible[depth].clone(),
                    None => self.find_visible(stretch, depth),
                });
            }
            stretch.visible = visible;
        }
        self.stretches = stretches;
    }

    /// The variables of the frame of this depth that are in scope, but for those that the compiler has made up.
    fn find_visible(&self, stretch: &Stretch, depth: usize) -> Rc<[Visible]> {
        let (proto, pc) = self.trace.place(stretch.snapshot, depth);
        // Where the frame goes on the variable must be alive still, for only then the snapshot tells its value.
        let next = self.resume(stretch, depth);
        let variables = proto.locals.iter().enumerate().take_while(|(_, variable)| variable.start as usize <= pc);
        let alive = variables.filter(|(_, v)| next < v.end as usize && v.name.first() != Some(&b'('));
        alive.map(|(local, variable)| self.typed(stretch, depth, local, variable)).collect()
    }

    fn resume(&self, stretch: &Stretch, depth: usize) -> usize {
        let snapshots = &self.trace.ir.snapshots;
        match self.frames(stretch.snapshot).get(depth) {
            Some(callee) => callee.return_pc as usize,
            None if stretch.snapshot < snapshots.len() => snapshots.get(stretch.snapshot).pc as usize,
            None => 0,
        }
    }

    /// The parameters that have one type wherever they are in scope.
    pub(super) fn stable_parameters(&self, stretches: &[Stretch], depth: usize) -> Vec<Visible> {
        let Some(first) = stretches.first() else { return Vec::new() };
        let (proto, _) = self.trace.place(first.snapshot, depth);
        let is_parameter =
            |local: usize| local < usize::from(proto.parameters) && usize::from(proto.locals[local].register) == local;
        let mut parameters: Vec<Visible> = Vec::new();
        let mut unstable: Vec<usize> = Vec::new();
        for stretch in stretches {
            for visible in stretch.visible(depth).iter().filter(|v| is_parameter(v.local)) {
                match parameters.iter().find(|p| p.local == visible.local) {
                    None => parameters.push(visible.clone()),
                    Some(known) if known.ty != visible.ty => unstable.push(visible.local),
                    Some(_) => {}
                }
            }
        }
        parameters.retain(|p| !unstable.contains(&p.local));
        parameters
    }

    pub(super) fn parameters(&self, stretches: &[Stretch], depth: usize) -> Vec<Variable> {
        let stable = self.stable_parameters(stretches, depth);
        stable.iter().map(|p| self.variable(stretches, depth, p)).collect()
    }

    /// A variable of a frame with its places in some stretches.
    pub(super) fn variable(&self, stretches: &[Stretch], depth: usize, visible: &Visible) -> Variable {
        let (proto, _) = self.trace.place(stretches[0].snapshot, depth);
        let local = &proto.locals[visible.local];
        let mut places: Vec<(Range<u32>, Expression)> = Vec::new();
        for stretch in stretches.iter().filter(|s| s.visible(depth).contains(visible)) {
            for (range, place) in self.places(stretch, depth, local, visible.likely) {
                match places.last_mut() {
                    Some((last, known)) if last.end == range.start && *known == place => last.end = range.end,
                    _ if range.is_empty() => {}
                    _ => places.push((range, place)),
                }
            }
        }
        Variable { name: String::from_utf8_lossy(&local.name).into_owned(), ty: visible.ty, places }
    }

    /// The slot of a variable, relative to the base at the trace's entry.
    fn slot(&self, stretch: &Stretch, depth: usize, local: &LocalVariable) -> i16 {
        let frames = self.frames(stretch.snapshot);
        let base = depth.checked_sub(1).map_or(0, |inner| frames[inner].base);
        base + i16::from(local.register)
    }

    /// What the snapshot says of a slot, or of what the cell holds that would lie there; none: it is right in memory.
    fn value(&self, stretch: &Stretch, slot: i16) -> Option<Ref> {
        let ir = &self.trace.ir;
        let snapshots = &ir.snapshots;
        let snapshot = (stretch.snapshot < snapshots.len()).then(|| snapshots.get(stretch.snapshot))?;
        let slots = snapshots.slots(snapshot);
        let r = slots.binary_search_by_key(&slot, |s| s.slot).ok().map(|n| slots[n].value)?;
        if ir.ty(r) == Type::Cell && ir.is_unbuilt(r) {
            let cell = snapshots.objects(snapshot).iter().find(|unbuilt| unbuilt.object == r)?;
            return snapshots.parts(cell).first().copied();
        }
        Some(r)
    }

    fn typed(&self, stretch: &Stretch, depth: usize, local: usize, variable: &LocalVariable) -> Visible {
        let slot = self.slot(stretch, depth, variable);
        let ty = self.ty(stretch, slot, variable);
        // What the trace will look for in a slot that it has not come to is likely there.
        let is_open = ty == VALUE && !variable.in_cell && self.value(stretch, slot).is_none();
        let (proto, _) = self.trace.place(stretch.snapshot, depth);
        let looked_for = [slot, slot - if is_counter(&proto.locals[..local], variable) { COUNTER_ABOVE } else { 0 }];
        let expected = self.stored.expected.iter().find(|(known, _)| is_open && looked_for.contains(known));
        match expected.map(|(_, ty)| ty.tag()).filter(|tag| has_type(*tag)) {
            Some(tag) => Visible { local, ty: tag_type(tag), likely: Some(tag) },
            None => Visible { local, ty, likely: None },
        }
    }

    fn ty(&self, stretch: &Stretch, slot: i16, local: &LocalVariable) -> usize {
        match self.value(stretch, slot) {
            Some(r) if self.trace.ir.is_unbuilt(r) => match self.trace.ir.ty(r) {
                Type::Function => UNBUILT_FUNCTION,
                _ => UNBUILT_TABLE,
            },
            Some(r) if self.trace.ir.ty(r) == Type::Cell => VALUE,
            Some(r) => self.trace.ir.ty(r) as usize,
            None if local.in_cell => VALUE,
            None => match self.stored.ty(slot, stretch.insts.start) {
                Some(Type::String) => TEXT_BEHIND,
                Some(Type::Cell) | None => VALUE,
                Some(ty) => ty as usize,
            },
        }
    }

    /// Where a variable is, by ranges of offsets.
    fn places(
        &self,
        stretch: &Stretch,
        depth: usize,
        local: &LocalVariable,
        likely: Option<u8>,
    ) -> Vec<(Range<u32>, Expression)> {
        let slot = self.slot(stretch, depth, local);
        let Some(r) = self.value(stretch, slot) else {
            let place = Expression::memory(general(x64::BASE), i64::from(slot) * layout::VALUE_SIZE as i64);
            let place = if local.in_cell { place.deref().plus(layout::CELL_VALUE as u64) } else { place };
            let place = match likely {
                Some(tag) => place.if_byte(layout::VALUE_TAG as u64, tag),
                None => place,
            };
            return vec![(stretch.code.clone(), place)];
        };
        if self.trace.ir.is_unbuilt(r) {
            return vec![(stretch.code.clone(), Expression::constant(0))];
        }
        let ty = self.trace.ir.ty(r);
        if let Some(constant) = self.trace.ir.constant(r) {
            let place = match ty {
                Type::String => Expression::address(constant.payload()),
                Type::Cell => Expression::address(constant.payload() + layout::CELL_VALUE as u64),
                _ => Expression::constant(constant.payload()),
            };
            return vec![(stretch.code.clone(), place)];
        }
        let known = self.places.partition_point(|i| i.value < r);
        let here = self.places[known..].iter().take_while(|i| i.value == r);
        let mut covered = stretch.code.start;
        let mut places = Vec::new();
        for interval in here {
            // Values may be in two places; one is enough.
            let range = interval.code.start.max(covered)..interval.code.end.min(stretch.code.end);
            if !range.is_empty() {
                covered = range.end;
                places.push((range, place(ty, interval.location)));
            }
        }
        places
    }
}

/// How many slots above the loop's own counter the variable of a numeric `for` is.
const COUNTER_ABOVE: i16 = 3;

/// Whether a variable is that of a numeric `for`, which has as many hidden ones: `before` are the variables before it.
fn is_counter(before: &[LocalVariable], variable: &LocalVariable) -> bool {
    let is_hidden = |v: &&LocalVariable| v.name.starts_with(b"(for") && v.register < variable.register;
    before.iter().rev().take(COUNTER_ABOVE as usize + 1).take_while(is_hidden).count() == COUNTER_ABOVE as usize
}

/// Whether values with this tag have a type of their own. Of nil it is better to know nothing: its payload has no meaning.
pub(super) fn has_type(tag: u8) -> bool {
    (tag::BOOLEAN..=tag::THREAD).contains(&tag)
}

/// The index of a tag's type among the types of variables.
pub(super) fn tag_type(tag: u8) -> usize {
    if tag == tag::STRING { TEXT_BEHIND } else { tag.into() }
}

/// The place of a value: for strings and cells that of what the value points to.
fn place(ty: Type, location: Location) -> Expression {
    let offset = if ty == Type::Cell { layout::CELL_VALUE as u64 } else { 0 };
    match (location, ty) {
        (Location::Register(reg), Type::String | Type::Cell) => Expression::memory(general(reg.0), offset as i64),
        (Location::Register(reg), _) if reg.is_vector() => Expression::register(vector(reg)),
        (Location::Register(reg), _) => Expression::register(general(reg.0)),
        (Location::Spill(slot), ty) => {
            let place = Expression::memory(X86_64::RBP, spill_offset(slot).into());
            match ty {
                Type::String => place.deref(),
                Type::Cell => place.deref().plus(offset),
                _ => place,
            }
        }
    }
}

/// DWARF's register by the hardware's number (System V AMD64 ABI, figure 3.36).
fn general(number: u8) -> Register {
    const NUMBERS: [u16; 8] = [0, 2, 1, 3, 7, 6, 4, 5];
    Register(NUMBERS.get(usize::from(number)).copied().unwrap_or(number.into()))
}

fn vector(reg: Reg) -> Register {
    Register(17 + u16::from(reg.number()))
}
