//! Checks that an IR keeps its rules: types, references that point backwards to results, snapshots for whatever can
//! leave, calls between their `sync` and `unsync`, phis at the end. Run on what the recorder and each pass leave, in
//! builds with assertions and in tests.
#![forbid(unsafe_code)]

use super::helper::Class;
use super::op::TypeRule;
use super::parse::fixed_type;
use super::print::names_result;
use super::{Const, Failure, Field, Helper, Inst, Ir, Link, Op, Operand, Ref, Type};
use crate::lua::snapshot::{Parts, Snapshot};
use perilune_runtime::lua::value::tag;

/// The first rule that an IR breaks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifyError {
    /// The index of the instruction.
    pub at: usize,
    /// What is wrong.
    pub message: String,
}

impl std::fmt::Display for VerifyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "instruction {}: {}", self.at, self.message)
    }
}

impl std::error::Error for VerifyError {}

/// Checks an IR.
pub fn verify(ir: &Ir) -> Result<(), VerifyError> {
    let mut verifier = Verifier { ir, synced: false };
    for (at, inst) in ir.insts.iter().enumerate() {
        verifier.inst(at, inst).map_err(|message| VerifyError { at, message })?;
    }
    let end = ir.insts.len();
    verifier.whole().map_err(|message| VerifyError { at: end, message })
}

struct Verifier<'a> {
    ir: &'a Ir,
    /// Between a `sync` and the call that it is for.
    synced: bool,
}

type Checked = Result<(), String>;

fn require(holds: bool, message: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(message()) }
}

impl Verifier<'_> {
    fn inst(&mut self, at: usize, inst: &Inst) -> Checked {
        self.operands(at, inst)?;
        self.types(inst)?;
        require(!inst.refs().any(|r| self.ir.is_unbuilt(r)), || "an unbuilt object as an operand".to_owned())?;
        if inst.needs_snapshot() {
            require(self.ir.snapshots.for_inst(at).is_some(), || "no snapshot applies".to_owned())?;
        }
        if matches!(inst.op, Op::Sync | Op::Args) {
            self.stores_nothing_unbuilt(at)?;
        }
        require(!inst.op.is_compare() || inst.ty.is_guard(), || "a comparison must be a guard".to_owned())?;
        require(inst.op != Op::F2i || inst.ty.is_guard(), || "f2i must be a guard".to_owned())?;
        let full = inst.op == Op::Call && self.ir.helper(inst).class == Class::Full;
        require(!full || self.synced, || "a full call without sync".to_owned())?;
        if !matches!(inst.op, Op::Carg | Op::Nop) {
            require(!self.synced || full, || "something between sync and call".to_owned())?;
            self.synced = inst.op == Op::Sync;
        }
        Ok(())
    }

    fn operands(&self, at: usize, inst: &Inst) -> Checked {
        for (n, kind) in inst.op.operands().into_iter().enumerate() {
            let r = inst.operand(n);
            match kind {
                Operand::No => require(r.is_none(), || format!("operand {n} must be empty"))?,
                Operand::Opt if r.is_none() => {}
                Operand::Ref | Operand::Opt => {
                    let chain = matches!(inst.op, Op::Call | Op::Carg) && n == 0;
                    self.reference(r, if inst.op == Op::Phi { self.ir.insts.len() } else { at }, chain)?;
                }
                Operand::Field => require(Field::by_index(r.0).is_some(), || "unknown field".to_owned())?,
                Operand::Helper => {
                    require((r.0 as usize) < self.ir.helpers.len(), || "unknown helper".to_owned())?;
                }
                Operand::Imm | Operand::Slot => {}
            }
        }
        Ok(())
    }

    /// A reference to a constant or to a result before `limit`; to a `carg` if a chain is allowed.
    fn reference(&self, r: Ref, limit: usize, chain: bool) -> Checked {
        if r.is_inst() {
            require(r.index() < limit, || format!("%{} is not there yet", r.index()))?;
            let target = self.ir.inst(r);
            let ok = names_result(target) && (chain || target.op != Op::Carg) && target.base() != Type::Nil;
            return require(ok, || format!("%{} has no result", r.index()));
        }
        require(r.is_const() && (r.0 as usize) < self.ir.consts.len(), || "no such constant".to_owned())
    }

    fn types(&self, inst: &Inst) -> Checked {
        let ty = inst.base();
        if let Some(fixed) = fixed_type(inst, self.ir) {
            require(ty == fixed, || format!("{} has type {}, not {}", inst.op.name(), fixed.name(), ty.name()))?;
        }
        let is = |r: Ref, wanted: Type| {
            let found = self.ir.ty(r);
            require(found == wanted, || format!("operand is {}, not {}", found.name(), wanted.name()))
        };
        match inst.op.type_rule() {
            TypeRule::Ints | TypeRule::Floats => inst.refs().try_for_each(|r| is(r, ty))?,
            TypeRule::Numbers => {
                require(ty.is_number(), || "not a number".to_owned())?;
                inst.refs().try_for_each(|r| is(r, ty))?;
            }
            TypeRule::Compare => {
                inst.refs().try_for_each(|r| is(r, ty))?;
                let ordered = ty.is_number() || matches!(inst.op, Op::Eq | Op::Ne);
                require(ordered, || format!("{} has no order", ty.name()))?;
            }
            TypeRule::Any | TypeRule::Stored => require(ty != Type::Void, || "needs a type".to_owned())?,
            _ => {}
        }
        self.special(inst, &is)
    }

    /// What single operations ask of their operands.
    fn special(&self, inst: &Inst, is: &dyn Fn(Ref, Type) -> Checked) -> Checked {
        let address = |r: Ref| {
            let ty = self.ir.ty(r);
            require(ty.is_object() || ty == Type::Ptr, || format!("{} is no address", ty.name()))
        };
        match inst.op {
            Op::I2f => is(inst.a, Type::Int),
            Op::F2i => is(inst.a, Type::Float),
            Op::Padd | Op::Byte => address(inst.a).and(is(inst.b, Type::Int)),
            Op::Fload | Op::Fstore | Op::Barrier => address(inst.a),
            Op::Upval => is(inst.a, Type::Function),
            Op::Ustore => is(inst.a, Type::Function).and(is(inst.c, Type::Cell)),
            Op::Aload => {
                is(inst.a, Type::Ptr).and(is(inst.b, Type::Int))?;
                require(inst.ty.is_guard() != inst.c.is_none(), || "a tag check needs the capacity".to_owned())
            }
            Op::Atag | Op::Asettag => is(inst.a, Type::Ptr).and(is(inst.b, Type::Int)).and(is(inst.c, Type::Int)),
            Op::Astore => is(inst.a, Type::Ptr).and(is(inst.b, Type::Int)).and(is(inst.c, inst.base())),
            Op::Vload | Op::Vtag => is(inst.a, Type::Ptr),
            Op::Vstore => is(inst.a, Type::Ptr).and(is(inst.c, inst.base())),
            Op::Cload | Op::Ctag => is(inst.a, Type::Cell),
            Op::Cstore => is(inst.a, Type::Cell).and(is(inst.b, inst.base())),
            Op::Phi => is(inst.a, inst.base()).and(is(inst.b, inst.base())),
            Op::Call => self.call(inst),
            _ => Ok(()),
        }
    }

    fn call(&self, inst: &Inst) -> Checked {
        let helper = self.ir.helper(inst);
        let args = self.ir.call_args(inst);
        require(args.len() == helper.args.len(), || format!("{} takes {}", helper.name, helper.args.len()))?;
        for (&arg, &wanted) in args.iter().zip(helper.args) {
            let found = self.ir.ty(arg);
            let ok = found == wanted || (wanted == Type::Void && found != Type::Float);
            require(ok, || format!("{} takes {}, not {}", helper.name, wanted.name(), found.name()))?;
        }
        let floats = helper.args.iter().filter(|t| **t == Type::Float).count();
        let fit = floats <= Helper::MAX_FLOATS && helper.args.len() - floats <= Helper::MAX_INTS;
        require(fit, || format!("{} takes too many arguments", helper.name))?;
        let fails = helper.failure != Failure::Never;
        require(inst.ty.is_guard() == fails, || "the guard flag must say whether the helper can fail".to_owned())
    }

    fn whole(&self) -> Checked {
        let ir = self.ir;
        require(ir.insts.len() <= Ir::MAX_INSTS, || "too long".to_owned())?;
        require(!self.synced, || "a sync without call".to_owned())?;
        let loops = ir.insts.iter().filter(|i| i.op == Op::Loop).count();
        require(loops == usize::from(ir.link == Link::Loop), || "loop and link do not agree".to_owned())?;
        let phis = ir.insts.iter().filter(|i| i.op == Op::Phi).count();
        require(phis == ir.phis().count(), || "a phi that is not at the end".to_owned())?;
        let loop_at = ir.loop_index().unwrap_or(0);
        for phi in ir.phis() {
            let left = phi.a.is_inst() && phi.a.index() < loop_at;
            require(left, || "the left side of a phi must be computed before the loop".to_owned())?;
        }
        if ir.link.leads_on() {
            self.stores_nothing_unbuilt(ir.insts.len())?;
        }
        let mut last = 0;
        for snapshot in ir.snapshots.iter() {
            require(snapshot.at >= last, || "snapshots out of order".to_owned())?;
            last = snapshot.at;
            for r in ir.snapshots.refs(snapshot) {
                self.reference(r, snapshot.at as usize, false)?;
            }
            for s in ir.snapshots.slots(snapshot) {
                require(ir.ty(s.value).is_value(), || format!("slot {} holds no Lua value", s.slot))?;
            }
            self.objects(snapshot)?;
        }
        Ok(())
    }

    /// The unbuilt objects of a snapshot: each that is referred to is there and says of what it consists. What code
    /// stores on the stack cannot be one.
    fn objects(&self, snapshot: &Snapshot) -> Checked {
        let (ir, objects) = (self.ir, self.ir.snapshots.objects(snapshot));
        for r in ir.snapshots.refs(snapshot).filter(|r| ir.is_unbuilt(*r)) {
            let is_told = objects.iter().any(|o| o.object == r);
            require(is_told, || format!("a snapshot does not say of what %{} consists", r.index()))?;
        }
        for unbuilt in objects {
            require(ir.is_unbuilt(unbuilt.object), || "an object that is built among the unbuilt".to_owned())?;
            let parts =
                Parts::new(ir, ir.ty(unbuilt.object), ir.snapshots.parts(unbuilt)).ok_or("parts are missing")?;
            self.parts(parts)?;
        }
        Ok(())
    }

    fn parts(&self, parts: Parts<'_>) -> Checked {
        let ir = self.ir;
        let is_pointer = |r: Ref| matches!(ir.constant(r), Some(Const::Ptr(_)));
        let is_value = |r: &Ref| ir.ty(*r).is_value();
        match parts {
            Parts::Table(table) => {
                let ok = is_pointer(table.shape) && is_pointer(table.meta);
                require(ok, || "an unbuilt table without shape and metatable".to_owned())?;
                let [kind, capacity] = table.array.map(|r| ir.int(r));
                let has_room = capacity.is_some_and(|capacity| capacity >= table.elements.len() as i64);
                require(kind.is_some() && has_room, || "an unbuilt table without room for its elements".to_owned())?;
                let is_of_kind = |r: &Ref| kind == Some(tag::MIXED.into()) || kind == Some(ir.ty(*r).tag().into());
                let of_kind = table.elements.iter().all(is_of_kind);
                require(of_kind, || "an element of an unbuilt table is of another kind".to_owned())?;
                let values = table.elements.iter().chain(table.slots).all(is_value);
                require(values, || "a part of an unbuilt table is no Lua value".to_owned())
            }
            Parts::Cell(value) => require(is_value(&value), || "an unbuilt cell holds no Lua value".to_owned()),
            Parts::Function(function) => {
                require(is_pointer(function.proto), || "an unbuilt function without prototype".to_owned())?;
                let cells = function.cells.iter().all(|r| ir.ty(*r) == Type::Cell);
                require(cells, || "an upvalue of an unbuilt function is no cell".to_owned())
            }
        }
    }

    /// Whether code stores the slots of the snapshot that applies to an instruction.
    fn stores_nothing_unbuilt(&self, at: usize) -> Checked {
        let snapshots = &self.ir.snapshots;
        let snapshot = snapshots.for_inst(at).map(|number| snapshots.get(number));
        let args = self.ir.insts.get(at).filter(|inst| inst.op == Op::Args);
        let stored = snapshot.is_some_and(|snapshot| match args {
            Some(inst) => {
                snapshots.slots(snapshot).iter().any(|s| s.slot >= inst.slot() && self.ir.is_unbuilt(s.value))
            }
            None => !snapshots.objects(snapshot).is_empty(),
        });
        require(!stored, || "an unbuilt object is stored on the stack".to_owned())
    }
}
