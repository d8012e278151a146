//! Load forwarding: what a load would find, when an earlier load or store tells. Also redundant write barriers, and
//! stores whose tag is in memory already.
//!
//! Looks back over the instructions that touch memory until one tells the value or may have changed it. Two places
//! are taken for different when they belong to different fields, elements or distinct objects. An object is distinct
//! from another if both are constants, or if one is made in this trace and the other was there before.
//!
//! In a loop that is already closed, memory at the `loop` instruction is unknown. While a body is being copied behind
//! its first iteration it is not: what a load in the copy finds is what the same load finds one iteration later, with
//! the values renamed by the phis.
#![forbid(unsafe_code)]

use crate::lua::ir::build::Builder;
use crate::lua::ir::{Access, Alias, Const, Effect, Field, Inst, Ir, Op, Ref, Type};
use perilune_runtime::lua::table::MAX_INLINE;

/// What is known of a place in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// The value.
    Value(Ref),
    /// The tag (the load is one of a tag).
    Tag(u8),
    /// A constant.
    Constant(Const),
    /// Nothing.
    Nothing,
}

/// What an earlier instruction says about a load.
enum Verdict {
    Found(Found),
    Unrelated,
    Unknown,
}

/// How two places relate.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Relation {
    Same,
    Different,
    Perhaps,
}

/// What a load would find.
pub fn load(b: &Builder, inst: &Inst) -> Found {
    let Effect::Load(class) = inst.op.effect() else { return Found::Nothing };
    let ir = b.ir();
    let made_at = made_at(ir, inst);
    for at in b.effects_on(inst) {
        if made_at.is_some_and(|made_at| at < made_at) {
            break;
        }
        let verdict = match ir.insts[at].op.effect() {
            Effect::Load(_) => by_load(ir, inst, at),
            Effect::Store(c) if c == class => by_store(ir, inst, &ir.insts[at]),
            Effect::Store(Alias::ArrayTag) if inst.op == Op::Aload && inst.ty.is_guard() => {
                by_tag_store(ir, inst, &ir.insts[at])
            }
            Effect::Call if is_constant_place(inst) => Verdict::Unrelated,
            Effect::Call => Verdict::Unknown,
            Effect::Control => by_control(b, inst, class, at),
            _ => Verdict::Unrelated,
        };
        match verdict {
            Verdict::Found(found) => return found,
            Verdict::Unrelated => {}
            Verdict::Unknown => return Found::Nothing,
        }
    }
    made_at.map_or(Found::Nothing, |made_at| initial(ir, inst.field(), made_at))
}

/// Where an object is made of which a field is loaded that is known then.
fn made_at(ir: &Ir, load: &Inst) -> Option<usize> {
    (load.op == Op::Fload && is_fresh(ir, load.a)).then(|| load.a.index())
}

/// What a field holds in an object that was just made.
fn initial(ir: &Ir, field: Field, made_at: usize) -> Found {
    let (args, helper) = (ir.call_args(&ir.insts[made_at]), ir.helper(&ir.insts[made_at]));
    if helper.makes_function() {
        return if field == Field::FunctionProto { Found::Value(args[0]) } else { Found::Nothing };
    }
    if !helper.makes_table() {
        return Found::Nothing;
    }
    match field {
        Field::TableShape => Found::Value(args[2]),
        Field::TableMeta | Field::TableHash => Found::Constant(Const::Ptr(0)),
        Field::TableArray if ir.int(args[1]) == Some(0) => Found::Constant(Const::Ptr(0)),
        Field::TableArrayLen | Field::TableFlags => Found::Constant(Const::Int(0)),
        Field::TableExtra => match ir.int(args[0]) {
            Some(named) => Found::Constant(Const::Int(named.min(MAX_INLINE as i64) * 0x1_0001)),
            None => Found::Nothing,
        },
        _ => Found::Nothing,
    }
}

/// Whether what a load reads cannot change while its object lives.
fn is_constant_place(inst: &Inst) -> bool {
    inst.op == Op::Byte || (inst.op == Op::Fload && !inst.field().mutable())
}

fn by_load(ir: &Ir, inst: &Inst, at: usize) -> Verdict {
    let earlier = &ir.insts[at];
    // The capacity of an array takes part in checking the tag only.
    let same_place = earlier.a == inst.a && earlier.b == inst.b;
    if same_place && earlier.op == inst.op && earlier.base() == inst.base() {
        return Verdict::Found(Found::Value(Ref::inst(at)));
    }
    let tag_of_value = matches!((inst.op, earlier.op), (Op::Vtag, Op::Vload) | (Op::Ctag, Op::Cload));
    if same_place && tag_of_value {
        return Verdict::Found(Found::Tag(earlier.base().tag()));
    }
    Verdict::Unrelated
}

fn by_store(ir: &Ir, inst: &Inst, store: &Inst) -> Verdict {
    match relate(ir, inst, store) {
        Relation::Different => Verdict::Unrelated,
        Relation::Same if matches!(store.op, Op::Fstore | Op::Ustore) && ir.ty(store.c) == inst.base() => {
            Verdict::Found(Found::Value(store.c))
        }
        Relation::Same if matches!(inst.op, Op::Vtag | Op::Ctag | Op::Atag) => {
            Verdict::Found(Found::Tag(store.base().tag()))
        }
        Relation::Same if store.base() == inst.base() => {
            Verdict::Found(Found::Value(if store.op == Op::Cstore { store.b } else { store.c }))
        }
        // A load without a guard knows its type from its array's header: a store of another type went elsewhere.
        Relation::Perhaps if inst.op == Op::Aload && !inst.ty.is_guard() && store.base() != inst.base() => {
            Verdict::Unrelated
        }
        _ => Verdict::Unknown,
    }
}

/// A store of a tag, seen by a load that checks the tag.
fn by_tag_store(ir: &Ir, inst: &Inst, store: &Inst) -> Verdict {
    match relate(ir, inst, store) {
        Relation::Different => Verdict::Unrelated,
        Relation::Same if store.base() == inst.base() => Verdict::Unrelated,
        _ => Verdict::Unknown,
    }
}

fn by_control(b: &Builder, inst: &Inst, class: Alias, at: usize) -> Verdict {
    let ir = b.ir();
    match ir.insts[at].op {
        Op::Loop if b.loop_is_closed() => Verdict::Unknown,
        Op::Args if class == Alias::Slot && inst.slot() >= ir.insts[at].slot() => Verdict::Unknown,
        Op::Sync if class == Alias::Slot => {
            if inst.slot() >= ir.insts[at].slot() {
                return Verdict::Unknown;
            }
            let Some(number) = ir.snapshots.for_inst(at) else { return Verdict::Unknown };
            let slots = ir.snapshots.slots(ir.snapshots.get(number));
            match slots.iter().find(|s| s.slot == inst.slot()) {
                Some(s) if ir.ty(s.value) == inst.base() => Verdict::Found(Found::Value(s.value)),
                Some(_) => Verdict::Unknown,
                None => Verdict::Unrelated,
            }
        }
        _ => Verdict::Unrelated,
    }
}

/// Whether memory holds the tag of what is about to be stored already.
pub fn tag_is_known(b: &Builder, store: &Inst) -> bool {
    let load_op = match store.op {
        Op::Vstore => Op::Vload,
        Op::Cstore => Op::Cload,
        _ => return false,
    };
    let b_operand = if store.op == Op::Vstore { store.b } else { Ref::NONE };
    let probe =
        Inst { op: load_op, ty: store.ty.set_guard(true).set_notag(false), b: b_operand, c: Ref::NONE, ..*store };
    load(b, &probe) != Found::Nothing
}

/// Whether a write barrier for this object has been executed, or the object was made, and the collector has not run since.
pub fn barrier_is_done(b: &Builder, object: Ref) -> bool {
    let ir = b.ir();
    let is_new = is_fresh(ir, object);
    for at in b.effects_on_colors().take_while(|at| !is_new || *at > object.index()) {
        let inst = &ir.insts[at];
        match inst.op {
            Op::Barrier if inst.a == object => return true,
            Op::Gcstep => return false,
            Op::Loop if b.loop_is_closed() => return false,
            Op::Call if ir.helper(inst).kills() & Alias::Color.bit() != 0 => return false,
            _ => {}
        }
    }
    is_new
}

/// An earlier call of the same helper with the same arguments whose answer still holds.
pub fn call(b: &Builder, call: &Inst) -> Option<Ref> {
    let ir = b.ir();
    let helper = ir.helper(call);
    let reads = match helper.access {
        Access::Reads(mask) => mask,
        _ => 0,
    };
    if !helper.repeatable() {
        return None;
    }
    let args = ir.call_args(call);
    for at in b.effects() {
        let inst = &ir.insts[at];
        match inst.op.effect() {
            Effect::Call if inst.b == call.b && *ir.call_args(inst) == *args => return Some(Ref::inst(at)),
            Effect::Call if ir.helper(inst).kills() & reads != 0 => return None,
            // What is looked up in was there before the table that is stored to, or is another new one.
            Effect::Store(Alias::Field)
                if args.first().is_some_and(|o| objects(ir, *o, inst.a) == Relation::Different) => {}
            Effect::Store(class) if class.bit() & reads != 0 => return None,
            Effect::Control if inst.op == Op::Loop && reads != 0 && b.loop_is_closed() => return None,
            _ => {}
        }
    }
    None
}

/// How the places of a load and of a store of the same alias class relate.
fn relate(ir: &Ir, load: &Inst, store: &Inst) -> Relation {
    match store.op {
        Op::Fstore | Op::Ustore if load.b != store.b => Relation::Different,
        Op::Fstore | Op::Ustore | Op::Cstore => objects(ir, load.a, store.a),
        Op::Astore | Op::Asettag => match objects(ir, load.a, store.a) {
            Relation::Same => indices(ir, load.b, store.b),
            other => other,
        },
        Op::Vstore if load.a.is_const() && store.a.is_const() => {
            let address = |i: &Inst| ir.constant(i.a).map(|c| c.payload().wrapping_add(16 * u64::from(i.b.0)));
            if address(load) == address(store) { Relation::Same } else { Relation::Different }
        }
        Op::Vstore => match objects(ir, load.a, store.a) {
            Relation::Same if load.b == store.b => Relation::Same,
            Relation::Same => Relation::Different,
            // Vectors of slots are the same or disjoint, and disjoint from hash parts.
            Relation::Perhaps if load.b != store.b && is_slots(ir, load.a) && is_slots(ir, store.a) => {
                Relation::Different
            }
            Relation::Perhaps if is_slots(ir, load.a) && is_node(ir, store.a) => Relation::Different,
            Relation::Perhaps if is_node(ir, load.a) && is_slots(ir, store.a) => Relation::Different,
            other => other,
        },
        _ => Relation::Perhaps,
    }
}

fn is_slots(ir: &Ir, r: Ref) -> bool {
    r.is_inst() && ir.inst(r).op == Op::Fload && ir.inst(r).field() == Field::TableSlots
}

/// Whether it points to a node of a hash part.
fn is_node(ir: &Ir, r: Ref) -> bool {
    let is_hash = |r: Ref| r.is_inst() && ir.inst(r).op == Op::Fload && ir.inst(r).field() == Field::TableHash;
    r.is_inst() && ir.inst(r).op == Op::Padd && is_hash(ir.inst(r).a)
}

/// How two objects, or the memory that pointers out of two objects lead to, relate.
fn objects(ir: &Ir, x: Ref, y: Ref) -> Relation {
    if x == y {
        return Relation::Same;
    }
    if x.is_const() && y.is_const() {
        return Relation::Different;
    }
    if is_fresh_apart(ir, x, y) || is_fresh_apart(ir, y, x) {
        return Relation::Different;
    }
    // Memory of the array or the slots of different tables.
    if let (Some((p, field)), Some((q, other))) = (owner(ir, x), owner(ir, y))
        && field == other
        && objects(ir, p, q) == Relation::Different
    {
        return Relation::Different;
    }
    Relation::Perhaps
}

/// The table that memory belongs to, and whether it is its array's or its slots'.
fn owner(ir: &Ir, r: Ref) -> Option<(Ref, Field)> {
    let inst = r.is_inst().then(|| ir.inst(r))?;
    match inst.op {
        Op::Fload if matches!(inst.field(), Field::TableArray | Field::TableSlots) => Some((inst.a, inst.field())),
        Op::Call if ir.helper(inst).makes_array() => Some((ir.call_args(inst)[0], Field::TableArray)),
        _ => None,
    }
}

/// Whether `x` is made in this trace and `y` was there before or is made here, too.
fn is_fresh_apart(ir: &Ir, x: Ref, y: Ref) -> bool {
    is_fresh(ir, x) && (y.is_const() || y < x || is_fresh(ir, y))
}

fn is_fresh(ir: &Ir, r: Ref) -> bool {
    r.is_inst() && ir.ty(r) != Type::Void && {
        let inst = ir.inst(r);
        inst.op == Op::Call && ir.helper(inst).access == Access::Fresh
    }
}

fn indices(ir: &Ir, x: Ref, y: Ref) -> Relation {
    if x == y {
        return Relation::Same;
    }
    let ((base, i), (other, j)) = (split(ir, x), split(ir, y));
    match base == other {
        true if i == j => Relation::Same,
        true => Relation::Different,
        false => Relation::Perhaps,
    }
}

/// An index as a value plus a constant. What a loop carries is taken apart, too: `i + 1` of one iteration is the `i` of the next.
fn split(ir: &Ir, mut r: Ref) -> (Ref, i64) {
    let mut offset = 0i64;
    loop {
        if let Some(k) = ir.int(r) {
            return (Ref::NONE, offset.wrapping_add(k));
        }
        let inst = ir.inst(r);
        match ir.second_int(inst) {
            Some(k) if inst.op == Op::Add => (r, offset) = (inst.a, offset.wrapping_add(k)),
            _ => return (r, offset),
        }
    }
}
