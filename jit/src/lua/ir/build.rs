//! Emits instructions, folding and numbering values on the way.
//!
//! The recorder and the passes that copy code both emit through a [`Builder`]. What comes back for an instruction is
//! the reference that stands for its result: perhaps a constant, or an earlier instruction.
#![forbid(unsafe_code)]

use rustc_hash::{FxBuildHasher, FxHashMap};

use super::{Alias, Const, Effect, Field, Helper, Inst, Ir, Op, Ref, Ty, Type};
use crate::lua::opt::fold::{Fold, fold};
use crate::lua::opt::forward::{self, Found};
use crate::lua::opt::{self, Passes};
use crate::lua::snapshot::{FrameList, Resume, SlotValue};

/// Why an instruction cannot be emitted. Each is a reason to abandon the trace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BuildError {
    /// The trace has too many instructions.
    TooLong,
    /// The trace has too many constants.
    TooManyConstants,
    /// The guard would fail whenever it is executed.
    GuardFails,
    /// A loop-carried value has another type after an iteration than before.
    TypeInstability,
    /// There are more loop-carried values than a loop may have.
    TooManyPhis,
}

impl std::fmt::Display for BuildError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            BuildError::TooLong => "trace too long",
            BuildError::TooManyConstants => "too many constants",
            BuildError::GuardFails => "guard would always fail",
            BuildError::TypeInstability => "loop-carried value changes its type",
            BuildError::TooManyPhis => "too many loop-carried values",
        })
    }
}

impl std::error::Error for BuildError {}

/// Kinds of places: alias classes, fields, and all of them together.
const PLACES: usize = Alias::COUNT + Field::ALL.len() + 1;
const ALL_PLACES: usize = PLACES - 1;

/// A link of a chain of instructions with effects, from the last one on.
#[derive(Clone, Copy)]
struct Effects {
    at: u16,
    /// The one before, as its index plus 1; 0 for none.
    before: u32,
}

/// Builds an [`Ir`].
pub struct Builder {
    ir: Ir,
    passes: Passes,
    constants: FxHashMap<Const, Ref>,
    too_many_constants: bool,
    /// Pure operations and guards that have been emitted, without flags.
    numbers: FxHashMap<Inst, Ref>,
    /// The instructions that read or write memory or call, in chains, one for each kind of place.
    effects: Vec<Effects>,
    /// Where the chains begin: for each alias class and each field what loads or stores it, or may change it; then all.
    last_effect: [u32; PLACES],
    /// While a loop's body is being copied: the index of its `loop` instruction.
    peeling: Option<usize>,
    /// Whether an instruction has used the last snapshot.
    snapshot_used: bool,
    /// Test mode: guards of this kind are left out.
    omit: Option<(Op, Type)>,
}

impl Builder {
    /// A builder for an empty IR.
    pub fn new(helpers: &'static [Helper], passes: Passes) -> Builder {
        let ir = Ir::new(helpers);
        let mut constants = FxHashMap::with_capacity_and_hasher(64, FxBuildHasher);
        constants.extend(ir.consts.iter().enumerate().skip(1).map(|(i, c)| (*c, Ref(i as u16))));
        Builder {
            ir,
            passes,
            constants,
            too_many_constants: false,
            numbers: FxHashMap::with_capacity_and_hasher(128, FxBuildHasher),
            effects: Vec::with_capacity(256),
            last_effect: [0; PLACES],
            peeling: None,
            snapshot_used: true,
            omit: None,
        }
    }

    /// The same builder, leaving out all guards of a kind: for tests that want a missing guard to be noticed.
    #[must_use]
    pub fn omitting(mut self, kind: Option<(Op, Type)>) -> Builder {
        self.omit = kind;
        self
    }

    /// What has been built so far.
    pub fn ir(&self) -> &Ir {
        &self.ir
    }
    /// The finished IR: what need not be allocated is not, dead stores and dead code are gone.
    pub fn finish(mut self) -> Ir {
        if self.passes.sink {
            opt::sink::sink(&mut self.ir, self.passes.dce);
        }
        if self.passes.dse {
            opt::dse::dse(&mut self.ir);
        }
        if self.passes.dce {
            opt::dce::dce(&mut self.ir);
        }
        self.ir.shrink();
        self.ir
    }
    /// The passes that are on.
    pub fn passes(&self) -> Passes {
        self.passes
    }
    /// Indices of the instructions that read or write memory or call, from the last one on.
    pub(crate) fn effects(&self) -> impl Iterator<Item = usize> {
        self.chain(ALL_PLACES)
    }
    /// Of these, the ones that load or store places like those that a load reads, or may change them.
    pub(crate) fn effects_on(&self, load: &Inst) -> impl Iterator<Item = usize> {
        self.chain(match load.op.effect() {
            Effect::Load(Alias::Field) => Alias::COUNT + load.b.0 as usize,
            Effect::Load(class) => class as usize,
            _ => ALL_PLACES,
        })
    }
    /// Of these, the ones that may change the collector's colours, or have set them.
    pub(crate) fn effects_on_colors(&self) -> impl Iterator<Item = usize> {
        self.chain(Alias::Color as usize)
    }

    fn chain(&self, place: usize) -> impl Iterator<Item = usize> {
        let mut next = self.last_effect[place];
        std::iter::from_fn(move || {
            let link = self.effects[next.checked_sub(1)? as usize];
            next = link.before;
            Some(usize::from(link.at))
        })
    }

    fn note_effect(&mut self, at: usize, inst: &Inst) {
        let mut note = |place: usize| {
            self.effects.push(Effects { at: at as u16, before: self.last_effect[place] });
            self.last_effect[place] = self.effects.len() as u32;
        };
        note(ALL_PLACES);
        let mut classes = match inst.op.effect() {
            Effect::Pure | Effect::Guard => 0,
            Effect::Load(Alias::Field) | Effect::Store(Alias::Field) => {
                return note(Alias::COUNT + inst.b.0 as usize);
            }
            Effect::Load(class) => class.bit(),
            // Loads that check a tag look at stores of tags, too.
            Effect::Store(Alias::ArrayTag) => Alias::ArrayTag.bit() | Alias::Array.bit(),
            Effect::Store(class) => class.bit(),
            // The slots of the stack are written by calls of native functions only: their `sync` or `args` says so.
            Effect::Call => self.ir.helper(inst).kills() & !Alias::Slot.bit(),
            Effect::Control => match inst.op {
                Op::Loop => Alias::ALL,
                Op::Sync | Op::Args => Alias::Slot.bit(),
                Op::Gcstep => Alias::Color.bit(),
                _ => 0,
            },
        };
        if classes & Alias::Field.bit() != 0 {
            (Alias::COUNT..ALL_PLACES).for_each(&mut note);
        }
        while classes != 0 {
            note(classes.trailing_zeros() as usize);
            classes &= classes - 1;
        }
    }

    /// Whether memory is unknown at a `loop` instruction: always, except while the loop's body is being copied.
    pub(crate) fn loop_is_closed(&self) -> bool {
        self.peeling.is_none()
    }
    /// Says that a loop's body is being copied behind this `loop` instruction.
    pub(crate) fn set_peeling(&mut self, loop_at: Option<usize>) {
        self.peeling = loop_at;
    }
    /// Whether a loop's body is being copied and this is a value of the first iteration: it may become a phi.
    pub(crate) fn may_be_carried(&self, r: Ref) -> bool {
        r.is_inst() && self.peeling.is_some_and(|loop_at| r.index() < loop_at)
    }
    /// Makes the builder what it was when it had built `ir`, but for constants.
    pub(crate) fn restore(&mut self, ir: Ir) {
        let count = ir.insts.len();
        self.numbers.retain(|_, r| r.index() < count);
        for last in &mut self.last_effect {
            while let Some(link) = last.checked_sub(1).map(|n| self.effects[n as usize])
                && usize::from(link.at) >= count
            {
                *last = link.before;
            }
        }
        let consts = std::mem::take(&mut self.ir.consts);
        self.ir = Ir { consts, ..ir };
        self.peeling = None;
        self.too_many_constants = false;
        self.snapshot_used = true;
    }
    /// Says how the trace goes on at its end.
    pub fn set_link(&mut self, link: super::Link) {
        self.ir.link = link;
    }

    /// The reference to a constant. When there are too many, the next instruction fails.
    pub fn constant(&mut self, c: Const) -> Ref {
        if let Some(&r) = self.constants.get(&c) {
            return r;
        }
        if self.ir.consts.len() >= Ir::MAX_CONSTS {
            self.too_many_constants = true;
            return Ref::NIL;
        }
        let r = Ref(self.ir.consts.len() as u16);
        self.ir.consts.push(c);
        self.constants.insert(c, r);
        r
    }
    /// A constant integer.
    pub fn int(&mut self, i: i64) -> Ref {
        self.constant(Const::Int(i))
    }
    /// A constant float.
    pub fn float(&mut self, f: f64) -> Ref {
        self.constant(Const::Float(f))
    }
    /// A constant boolean.
    pub const fn bool(b: bool) -> Ref {
        if b { Ref::TRUE } else { Ref::FALSE }
    }
    /// A constant object of the heap, or a light userdata.
    pub fn object(&mut self, ty: Type, address: u64) -> Ref {
        self.constant(Const::Object(ty, address))
    }
    /// A constant address.
    pub fn ptr(&mut self, address: u64) -> Ref {
        self.constant(Const::Ptr(address))
    }

    /// The type of what a reference names.
    pub fn ty(&self, r: Ref) -> Type {
        self.ir.ty(r)
    }

    /// Takes a snapshot for the instructions that follow. `slots` are in ascending order.
    pub fn snapshot(&mut self, resume: Resume, slots: &[SlotValue], frames: impl FrameList) {
        if !self.snapshot_used {
            self.ir.snapshots.pop();
        }
        // Snapshots are not shared across the start of a loop: what they refer to may be carried.
        let in_loop = self.ir.snapshots.iter().last().map(|s| s.at as usize) > self.peeling;
        if in_loop && self.ir.snapshots.last_equals(resume, slots, frames.clone()) {
            self.snapshot_used = true;
            return;
        }
        self.ir.snapshots.push(self.ir.insts.len(), resume, slots, frames);
        self.snapshot_used = false;
    }

    /// Adds unbuilt objects, with their parts, to the snapshot that was just taken.
    pub fn objects(&mut self, objects: impl Iterator<Item = (Ref, Vec<Ref>)>) {
        let objects: Vec<(Ref, Vec<Ref>)> = objects.collect();
        if let Some(last) = self.ir.snapshots.len().checked_sub(1).filter(|_| !objects.is_empty()) {
            self.ir.snapshots.set_objects(last, objects.iter().map(|(object, parts)| (*object, &parts[..])));
        }
    }

    /// Emits an instruction. The result is [`Ref::NONE`] if it is a guard that was found unnecessary.
    pub fn emit(&mut self, mut inst: Inst) -> Result<Ref, BuildError> {
        while self.passes.fold {
            match fold(self, inst) {
                Fold::Keep => break,
                Fold::Again(other) => inst = other,
                Fold::Value(r) => return Ok(r),
                Fold::Holds => return Ok(Ref::NONE),
                Fold::Fails => return Err(BuildError::GuardFails),
            }
        }
        if self.omit == Some((inst.op, inst.base())) && (inst.ty.is_guard() || inst.op == Op::Room) {
            if inst.op.is_compare() || inst.op == Op::Room {
                return Ok(Ref::NONE);
            }
            inst.ty = inst.ty.set_guard(false);
            if inst.op == Op::Aload {
                // The capacity is there for the check.
                inst.c = Ref::NONE;
            }
        }
        match inst.op.effect() {
            Effect::Pure | Effect::Guard if self.passes.cse => self.number(inst),
            Effect::Load(_) if self.passes.fwd => match forward::load(self, &inst) {
                Found::Value(r) => Ok(r),
                Found::Tag(tag) => Ok(self.int(tag.into())),
                Found::Constant(c) => Ok(self.constant(c)),
                Found::Nothing => self.append(inst),
            },
            Effect::Store(Alias::Color) if self.passes.fwd && forward::barrier_is_done(self, inst.a) => Ok(Ref::NONE),
            Effect::Store(_) => {
                let known = self.passes.fwd && forward::tag_is_known(self, &inst);
                inst.ty = inst.ty.set_notag(known || inst.ty.is_notag());
                self.append(inst)
            }
            Effect::Call if self.passes.cse => match forward::call(self, &inst) {
                Some(r) => Ok(r),
                None => self.append(inst),
            },
            _ => self.append(inst),
        }
    }

    /// Emits an instruction as it is, which no later one is taken to be equal to.
    pub(crate) fn append_alone(&mut self, inst: Inst) -> Result<Ref, BuildError> {
        let is_omitted = inst.ty.is_guard() && self.omit == Some((inst.op, inst.base()));
        self.append(if is_omitted { Inst::NOP } else { inst })
    }
    /// Drops an instruction that was appended alone, or a guard that nothing emitted since relies on.
    pub(crate) fn drop_inst(&mut self, at: usize) {
        self.ir.insts[at] = Inst::NOP;
    }
    /// Takes the last snapshot once more, so that what follows has an exit of its own.
    pub(crate) fn repeat_snapshot(&mut self) {
        let at = self.ir.insts.len();
        if let Some(last) = self.ir.snapshots.iter().last().copied().filter(|last| (last.at as usize) < at) {
            let slots = self.ir.snapshots.slots(&last).to_vec();
            let frames = self.ir.snapshots.frames(&last).to_vec();
            self.ir.snapshots.push(at, last.resume(), &slots, frames.iter().copied());
        }
        self.snapshot_used = true;
    }

    /// Emits a pure operation or a guard unless an equal one is there.
    fn number(&mut self, inst: Inst) -> Result<Ref, BuildError> {
        if matches!(inst.op, Op::Carg | Op::Nop) {
            return self.append(inst);
        }
        let key = Inst { ty: Ty::new(inst.base()), ..inst };
        if let Some(&r) = self.numbers.get(&key) {
            return Ok(if inst.op.is_compare() { Ref::NONE } else { r });
        }
        let r = self.append(inst)?;
        self.numbers.insert(key, r);
        Ok(r)
    }

    fn append(&mut self, inst: Inst) -> Result<Ref, BuildError> {
        if self.ir.insts.len() >= Ir::MAX_INSTS {
            return Err(BuildError::TooLong);
        }
        if self.too_many_constants {
            return Err(BuildError::TooManyConstants);
        }
        self.snapshot_used |= inst.needs_snapshot();
        if !matches!(inst.op.effect(), Effect::Pure | Effect::Guard) {
            self.note_effect(self.ir.insts.len(), &inst);
        }
        let r = Ref::inst(self.ir.insts.len());
        self.ir.insts.push(inst);
        Ok(r)
    }
}

/// Shorthands for all kinds of instructions.
impl Builder {
    /// An operation of up to three operands with a type of its own choosing.
    pub fn op(&mut self, op: Op, ty: Type, a: Ref, b: Ref, c: Ref) -> Result<Ref, BuildError> {
        self.emit(Inst::new(op, Ty::new(ty), a, b, c))
    }
    /// An operation of one operand whose result has the operand's type.
    pub fn unary(&mut self, op: Op, a: Ref) -> Result<Ref, BuildError> {
        let ty = self.ty(a);
        self.op(op, ty, a, Ref::NONE, Ref::NONE)
    }
    /// An operation of two operands whose result has the operands' type.
    pub fn binary(&mut self, op: Op, a: Ref, b: Ref) -> Result<Ref, BuildError> {
        let ty = self.ty(a);
        self.op(op, ty, a, b, Ref::NONE)
    }
    /// A comparison: the trace leaves unless it holds.
    pub fn guard(&mut self, op: Op, a: Ref, b: Ref) -> Result<Ref, BuildError> {
        let ty = self.ty(a);
        self.emit(Inst::new(op, Ty::guarded(ty), a, b, Ref::NONE))
    }
    /// Loads a slot, checking its type. nil comes back as the constant.
    pub fn sload(&mut self, slot: i16, ty: Type) -> Result<Ref, BuildError> {
        self.load(Inst::new(Op::Sload, Ty::guarded(ty), Ref(slot as u16), Ref::NONE, Ref::NONE))
    }
    /// Loads a slot whose type is known.
    pub fn sload_known(&mut self, slot: i16, ty: Type) -> Result<Ref, BuildError> {
        self.load(Inst::new(Op::Sload, Ty::new(ty), Ref(slot as u16), Ref::NONE, Ref::NONE))
    }
    /// The value that `parent` had in the parent trace, of type `ty`, at the exit where this side trace starts.
    pub fn pval(&mut self, parent: Ref, ty: Type) -> Result<Ref, BuildError> {
        self.op(Op::Pval, ty, parent, Ref::NONE, Ref::NONE)
    }
    /// Emits a load. A load of nil is a check only: its value is the constant.
    pub fn load(&mut self, inst: Inst) -> Result<Ref, BuildError> {
        let r = self.emit(inst)?;
        Ok(if inst.base() == Type::Nil { Ref::NIL } else { r })
    }
    /// An integer as a float.
    pub fn i2f(&mut self, a: Ref) -> Result<Ref, BuildError> {
        self.op(Op::I2f, Type::Float, a, Ref::NONE, Ref::NONE)
    }
    /// A float as an integer; the trace leaves unless the conversion is exact.
    pub fn f2i(&mut self, a: Ref) -> Result<Ref, BuildError> {
        self.emit(Inst::new(Op::F2i, Ty::guarded(Type::Int), a, Ref::NONE, Ref::NONE))
    }
    /// Field of an object.
    pub fn fload(&mut self, object: Ref, field: Field) -> Result<Ref, BuildError> {
        self.op(Op::Fload, field.ty(), object, Ref(field as u16), Ref::NONE)
    }
    /// Stores a field of an object.
    pub fn fstore(&mut self, object: Ref, field: Field, value: Ref) -> Result<Ref, BuildError> {
        self.op(Op::Fstore, Type::Void, object, Ref(field as u16), value)
    }
    /// Cell of upvalue `n` of a Lua function.
    pub fn upval(&mut self, function: Ref, n: u16) -> Result<Ref, BuildError> {
        self.op(Op::Upval, Type::Cell, function, Ref(n), Ref::NONE)
    }
    /// Gives a Lua function that was just made the cell of upvalue `n`.
    pub fn ustore(&mut self, function: Ref, n: u16, cell: Ref) -> Result<Ref, BuildError> {
        self.op(Op::Ustore, Type::Void, function, Ref(n), cell)
    }
    /// Element `index` (from 0) of array memory whose elements are known to have type `ty`.
    pub fn aload(&mut self, array: Ref, index: Ref, ty: Type) -> Result<Ref, BuildError> {
        self.load(Inst::new(Op::Aload, Ty::new(ty), array, index, Ref::NONE))
    }
    /// Element `index` (from 0) of mixed array memory with room for `cap` elements, checking its type.
    pub fn aload_mixed(&mut self, array: Ref, index: Ref, cap: Ref, ty: Type) -> Result<Ref, BuildError> {
        self.load(Inst::new(Op::Aload, Ty::guarded(ty), array, index, cap))
    }
    /// Stores the payload of an element.
    pub fn astore(&mut self, array: Ref, index: Ref, value: Ref) -> Result<Ref, BuildError> {
        let ty = self.ty(value);
        self.op(Op::Astore, ty, array, index, value)
    }
    /// Stores the tag of an element.
    pub fn asettag(&mut self, array: Ref, index: Ref, cap: Ref, ty: Type) -> Result<Ref, BuildError> {
        self.op(Op::Asettag, ty, array, index, cap)
    }
    /// Value `n` behind a pointer, checking its type.
    pub fn vload(&mut self, ptr: Ref, n: u16, ty: Type) -> Result<Ref, BuildError> {
        self.load(Inst::new(Op::Vload, Ty::guarded(ty), ptr, Ref(n), Ref::NONE))
    }
    /// Stores value `n` behind a pointer.
    pub fn vstore(&mut self, ptr: Ref, n: u16, value: Ref) -> Result<Ref, BuildError> {
        let ty = self.ty(value);
        self.op(Op::Vstore, ty, ptr, Ref(n), value)
    }
    /// The value in a cell, checking its type.
    pub fn cload(&mut self, cell: Ref, ty: Type) -> Result<Ref, BuildError> {
        self.load(Inst::new(Op::Cload, Ty::guarded(ty), cell, Ref::NONE, Ref::NONE))
    }
    /// Stores a value in a cell.
    pub fn cstore(&mut self, cell: Ref, value: Ref) -> Result<Ref, BuildError> {
        let ty = self.ty(value);
        self.op(Op::Cstore, ty, cell, value, Ref::NONE)
    }
    /// Calls helper number `helper`. The trace leaves if the helper can fail and does.
    pub fn call(&mut self, helper: u16, args: &[Ref]) -> Result<Ref, BuildError> {
        let mut chain = args.first().copied().unwrap_or(Ref::NONE);
        for &arg in args.iter().skip(1) {
            chain = self.op(Op::Carg, Type::Void, chain, arg, Ref::NONE)?;
        }
        let info = &self.ir.helpers[helper as usize];
        let ty = Ty::new(info.result).set_guard(info.failure != super::Failure::Never);
        self.emit(Inst::new(Op::Call, ty, chain, Ref(helper), Ref::NONE))
    }
    /// Before a full call: stores all slots of the snapshot, pushes its frames. The call may overwrite slots from
    /// `clobbers` on.
    pub fn sync(&mut self, clobbers: i16) -> Result<Ref, BuildError> {
        self.op(Op::Sync, Type::Void, Ref(clobbers as u16), Ref::NONE, Ref::NONE)
    }
    /// Before a call of a native function for which no frames stand: stores the slots of the snapshot from `first` on, which the call
    /// may overwrite.
    pub fn args(&mut self, first: i16) -> Result<Ref, BuildError> {
        self.op(Op::Args, Type::Void, Ref(first as u16), Ref::NONE, Ref::NONE)
    }
    /// Says how many slots the `room` at the start asks for; 0: it is not needed.
    pub fn set_room(&mut self, slots: usize) {
        if let Some(inst) = self.ir.insts.iter_mut().find(|inst| inst.op == Op::Room) {
            inst.a = Ref(slots as u16);
            if slots == 0 {
                *inst = Inst::new(Op::Nop, Ty::new(Type::Void), Ref::NONE, Ref::NONE, Ref::NONE);
            }
        }
    }
    /// An instruction without operands and result: `unsync`, `gcstep`, `interrupt`, `loop`.
    pub fn plain(&mut self, op: Op) -> Result<Ref, BuildError> {
        self.op(op, Type::Void, Ref::NONE, Ref::NONE, Ref::NONE)
    }
}
