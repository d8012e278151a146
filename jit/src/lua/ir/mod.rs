//! The intermediate representation of a trace: linear SSA in one array, eight bytes an instruction.
//!
//! A [`Ref`] below [`Ref::BIAS`] names a constant, any other an instruction, whose result it stands for. References
//! point backwards only, except the second operand of a `phi`. Instructions are never moved: dropping one leaves a
//! `nop`, so that positions (which [`Snapshot`]s use, too) stay valid.
//!
//! Slots are relative to the Lua base at the trace's entry, in `sload`s and in snapshots alike, also inside inlined
//! calls. Written slots live in snapshots only; `sync` is the one instruction that stores them.
//!
//! | file | what |
//! | --- | --- |
//! | `op` | the table of operations |
//! | `field`, `helper` | object fields; what is known of helpers |
//! | `build` | emits instructions, folding and numbering values on the way |
//! | `print`, `parse` | the text form |
//! | `verify` | checks an IR |
//! | [`eval`](super::eval), beside this folder | runs an IR without compiling it |
#![forbid(unsafe_code)]

pub mod build;
pub mod field;
pub mod helper;
pub mod op;
pub mod parse;
pub mod print;
pub mod verify;

use super::snapshot::{Snapshot, Snapshots};
pub use field::{Field, Width};
pub use helper::{Access, Args, CAUGHT, Class, Failure, Helper};
pub use op::{Alias, Effect, Op, Operand, TypeRule};
use perilune_runtime::lua::function::MAX_UPVALUES;
use perilune_runtime::lua::table::MAX_INLINE;
use perilune_runtime::lua::value::tag;

/// A reference to a constant or to an instruction's result.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
#[repr(transparent)]
pub struct Ref(pub u16);

impl Ref {
    /// References from here on are instructions.
    pub const BIAS: u16 = 0x8000;
    /// No reference.
    pub const NONE: Ref = Ref(0);
    /// The constant nil.
    pub const NIL: Ref = Ref(1);
    /// The constant false.
    pub const FALSE: Ref = Ref(2);
    /// The constant true.
    pub const TRUE: Ref = Ref(3);

    /// The reference to instruction `index`.
    pub const fn inst(index: usize) -> Ref {
        Ref(Ref::BIAS + index as u16)
    }
    /// Whether it names a constant.
    pub const fn is_const(self) -> bool {
        self.0 != 0 && self.0 < Ref::BIAS
    }
    /// Whether it names an instruction.
    pub const fn is_inst(self) -> bool {
        self.0 >= Ref::BIAS
    }
    /// Whether it names nothing.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
    /// The index of the instruction that it names.
    pub const fn index(self) -> usize {
        debug_assert!(self.is_inst());
        (self.0 - Ref::BIAS) as usize
    }
}

/// The type of a value in the IR. The first twelve are the tags of Lua values, by the same numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Type {
    /// nil; always the constant.
    Nil = 0,
    /// A boolean: 0 or 1.
    Bool = 1,
    /// An integer.
    Int = 2,
    /// A float.
    Float = 3,
    /// A light userdata.
    Light = 4,
    /// A string.
    String = 5,
    /// A table.
    Table = 6,
    /// A function written in Lua.
    Function = 7,
    /// A function written in Rust.
    Native = 8,
    /// A full userdata.
    Userdata = 9,
    /// A coroutine.
    Thread = 10,
    /// A captured variable's cell.
    Cell = 11,
    /// An address that is no Lua value.
    Ptr = 12,
    /// No value.
    Void = 13,
}

const _: () = assert!(Type::Float as u8 == tag::FLOAT && Type::Light as u8 == tag::LIGHT);
const _: () = assert!(Type::Table as u8 == tag::TABLE && Type::Cell as u8 == tag::CELL);

impl Type {
    /// All types, in order.
    pub const ALL: [Type; 14] = [
        Type::Nil,
        Type::Bool,
        Type::Int,
        Type::Float,
        Type::Light,
        Type::String,
        Type::Table,
        Type::Function,
        Type::Native,
        Type::Userdata,
        Type::Thread,
        Type::Cell,
        Type::Ptr,
        Type::Void,
    ];

    /// The type of Lua values with this tag.
    pub fn from_tag(tag: u8) -> Option<Type> {
        if tag <= Type::Cell as u8 { Some(Type::ALL[tag as usize]) } else { None }
    }
    /// The tag of Lua values of this type.
    pub const fn tag(self) -> u8 {
        debug_assert!((self as u8) <= Type::Cell as u8);
        self as u8
    }
    /// The name in the text form.
    pub const fn name(self) -> &'static str {
        match self {
            Type::Nil => "nil",
            Type::Bool => "bool",
            Type::Int => "int",
            Type::Float => "float",
            Type::Light => "light",
            Type::String => "string",
            Type::Table => "table",
            Type::Function => "function",
            Type::Native => "native",
            Type::Userdata => "userdata",
            Type::Thread => "thread",
            Type::Cell => "cell",
            Type::Ptr => "ptr",
            Type::Void => "void",
        }
    }
    /// The type with this name.
    pub fn by_name(name: &str) -> Option<Type> {
        Type::ALL.into_iter().find(|t| t.name() == name)
    }
    /// Whether its values are objects of the heap.
    pub const fn is_object(self) -> bool {
        (self as u8) >= Type::String as u8 && (self as u8) <= Type::Cell as u8
    }
    /// Whether it is an integer or a float.
    pub const fn is_number(self) -> bool {
        matches!(self, Type::Int | Type::Float)
    }
    /// Whether a Lua slot can hold it.
    pub const fn is_value(self) -> bool {
        (self as u8) <= Type::Cell as u8
    }
}

/// The type and the flags of an instruction, in one byte.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Ty(u8);

impl Ty {
    const GUARD: u8 = 0x80;
    const NOTAG: u8 = 0x40;

    /// A type without flags.
    pub const fn new(ty: Type) -> Ty {
        Ty(ty as u8)
    }
    /// The type, with the guard flag.
    pub const fn guarded(ty: Type) -> Ty {
        Ty(ty as u8 | Ty::GUARD)
    }
    /// The type.
    pub const fn base(self) -> Type {
        Type::ALL[(self.0 & 0xf) as usize]
    }
    /// Whether the instruction may leave the trace.
    pub const fn is_guard(self) -> bool {
        self.0 & Ty::GUARD != 0
    }
    /// With or without the guard flag.
    #[must_use]
    pub const fn set_guard(self, on: bool) -> Ty {
        Ty(if on { self.0 | Ty::GUARD } else { self.0 & !Ty::GUARD })
    }
    /// Whether a store leaves out the tag, since memory holds it already.
    pub const fn is_notag(self) -> bool {
        self.0 & Ty::NOTAG != 0
    }
    /// With or without the `notag` flag.
    #[must_use]
    pub const fn set_notag(self, on: bool) -> Ty {
        Ty(if on { self.0 | Ty::NOTAG } else { self.0 & !Ty::NOTAG })
    }
}

impl std::fmt::Debug for Ty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.base().name(), if self.is_guard() { "!" } else { "" })
    }
}

/// An instruction. The operands are references or literals, as the table of operations says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(C)]
pub struct Inst {
    /// What it does.
    pub op: Op,
    /// Type and flags.
    pub ty: Ty,
    /// First operand.
    pub a: Ref,
    /// Second operand.
    pub b: Ref,
    /// Third operand.
    pub c: Ref,
}

const _: () = assert!(size_of::<Inst>() == 8);

impl Inst {
    /// A dropped instruction.
    pub const NOP: Inst = Inst { op: Op::Nop, ty: Ty::new(Type::Void), a: Ref::NONE, b: Ref::NONE, c: Ref::NONE };

    /// An instruction.
    pub const fn new(op: Op, ty: Ty, a: Ref, b: Ref, c: Ref) -> Inst {
        Inst { op, ty, a, b, c }
    }
    /// The type of the result (of the operands, for comparisons and stores).
    pub const fn base(&self) -> Type {
        self.ty.base()
    }
    /// Operand `n`.
    pub const fn operand(&self, n: usize) -> Ref {
        [self.a, self.b, self.c][n]
    }
    /// The operands that are references to values.
    pub fn refs(&self) -> impl Iterator<Item = Ref> + use<> {
        let (kinds, values) = (self.op.operands(), [self.a, self.b, self.c]);
        (0..3).filter_map(move |i| match kinds[i] {
            Operand::Ref => Some(values[i]),
            Operand::Opt if !values[i].is_none() => Some(values[i]),
            _ => None,
        })
    }
    /// The same instruction with each reference replaced.
    #[must_use]
    pub fn map_refs(mut self, mut f: impl FnMut(Ref) -> Ref) -> Inst {
        let kinds = self.op.operands();
        for (kind, operand) in kinds.into_iter().zip([&mut self.a, &mut self.b, &mut self.c]) {
            if kind == Operand::Ref || (kind == Operand::Opt && !operand.is_none()) {
                *operand = f(*operand);
            }
        }
        self
    }
    /// The stack slot in `a`.
    pub const fn slot(&self) -> i16 {
        self.a.0 as i16
    }
    /// The field in `b`.
    pub fn field(&self) -> Field {
        Field::ALL[self.b.0 as usize]
    }
    /// Whether it can leave the trace.
    pub const fn can_exit(&self) -> bool {
        self.ty.is_guard() || matches!(self.op, Op::Gcstep | Op::Interrupt | Op::Room)
    }
    /// Whether it reads the snapshot that applies to it.
    pub const fn needs_snapshot(&self) -> bool {
        self.can_exit() || matches!(self.op, Op::Sync | Op::Args | Op::Line)
    }
    /// Whether it has a result that other instructions can refer to.
    pub fn has_result(&self) -> bool {
        self.op.has_result() && self.base() != Type::Void
    }
}

/// A constant.
#[derive(Clone, Copy, Debug)]
pub enum Const {
    /// nil
    Nil,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float. Two floats are the same constant if their bits are the same.
    Float(f64),
    /// An object of the heap (or a light userdata): its type and address. A strong root.
    Object(Type, u64),
    /// An address that is no Lua value.
    Ptr(u64),
}

impl PartialEq for Const {
    fn eq(&self, other: &Const) -> bool {
        self.ty() == other.ty() && self.payload() == other.payload()
    }
}

impl Eq for Const {}

impl std::hash::Hash for Const {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.ty(), self.payload()).hash(state);
    }
}

impl Const {
    /// Its type.
    pub const fn ty(self) -> Type {
        match self {
            Const::Nil => Type::Nil,
            Const::Bool(_) => Type::Bool,
            Const::Int(_) => Type::Int,
            Const::Float(_) => Type::Float,
            Const::Object(ty, _) => ty,
            Const::Ptr(_) => Type::Ptr,
        }
    }
    /// Its 64 bits, as in a Lua value's payload.
    pub const fn payload(self) -> u64 {
        match self {
            Const::Nil => 0,
            Const::Bool(b) => b as u64,
            Const::Int(i) => i as u64,
            Const::Float(f) => f.to_bits(),
            Const::Object(_, p) | Const::Ptr(p) => p,
        }
    }
}

/// How a trace goes on at its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    /// To its `loop` instruction.
    Loop,
    /// Into another trace, after all slots of the last snapshot have been stored.
    Trace(u32),
    /// Into the trace at the entry of the function that has taken the place of the one it was entered in, by a tail call,
    /// after all slots of the last snapshot have been stored.
    TailCall(u32),
    /// Returns from the frame it was entered in: into the trace for what the caller does next, after the slots of the
    /// last snapshot have been stored. If there is none, the interpreter executes the return.
    Return {
        /// The register of the first result.
        first: u8,
        /// How many results there are.
        count: u16,
    },
    /// Into the trace for what the coroutine does next that runs after a call of `coroutine.resume`, `coroutine.yield` or the
    /// like, after all slots of the last snapshot have been stored. If there is none, the interpreter goes on there.
    Switch {
        /// The register of the called function.
        register: u8,
        /// The number of its arguments.
        arguments: u16,
        /// How many results are wanted; -1 for all.
        wanted: i16,
    },
    /// Back to the interpreter, through the last snapshot.
    Interpreter,
}

impl Link {
    /// Whether another trace may go on at the end, after the slots have been stored.
    pub const fn leads_on(self) -> bool {
        !matches!(self, Link::Loop | Link::Interpreter)
    }

    /// The trace that it names.
    pub const fn target(self) -> Option<u32> {
        match self {
            Link::Trace(number) | Link::TailCall(number) => Some(number),
            _ => None,
        }
    }
}

/// An object that lies in one cell of the heap, as it is when a trace has just made it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Made {
    /// A table without array, whose slots lie in its own cell.
    Table {
        /// How many slots there are.
        slots: usize,
        /// The shape that it is made with, a constant.
        shape: Ref,
    },
    /// The cell of a captured variable.
    Cell,
    /// A Lua function.
    Function {
        /// Its prototype, a constant.
        proto: Ref,
        /// How many upvalues it has.
        upvalues: usize,
    },
}

/// The IR of a trace.
#[derive(Clone, Debug)]
pub struct Ir {
    /// The instructions.
    pub insts: Vec<Inst>,
    /// The constants, by reference; the first one is a placeholder for [`Ref::NONE`].
    pub consts: Vec<Const>,
    /// The snapshots.
    pub snapshots: Snapshots,
    /// How it goes on at the end.
    pub link: Link,
    /// The helpers that it can name.
    pub helpers: &'static [Helper],
}

impl Ir {
    /// The most instructions that an IR may have.
    pub const MAX_INSTS: usize = 4000;
    /// The most constants that an IR may have.
    pub const MAX_CONSTS: usize = 4000;

    /// An empty IR.
    pub fn new(helpers: &'static [Helper]) -> Ir {
        let mut consts = Vec::with_capacity(64);
        consts.extend([Const::Nil, Const::Nil, Const::Bool(false), Const::Bool(true)]);
        Ir { insts: Vec::with_capacity(128), consts, snapshots: Snapshots::default(), link: Link::Interpreter, helpers }
    }

    /// The instruction that a reference names.
    pub fn inst(&self, r: Ref) -> &Inst {
        &self.insts[r.index()]
    }
    /// The constant that a reference names, if it names one.
    pub fn constant(&self, r: Ref) -> Option<Const> {
        if r.is_const() { Some(self.consts[r.0 as usize]) } else { None }
    }
    /// The integer constant that a reference names, if it names one.
    pub fn int(&self, r: Ref) -> Option<i64> {
        match self.constant(r) {
            Some(Const::Int(i)) => Some(i),
            _ => None,
        }
    }
    /// The integer constant that is an instruction's second operand, if that is one: not all second operands are references.
    pub fn second_int(&self, inst: &Inst) -> Option<i64> {
        if inst.op.operands()[1] == Operand::Ref { self.int(inst.b) } else { None }
    }
    /// The float constant that a reference names, if it names one.
    pub fn float(&self, r: Ref) -> Option<f64> {
        match self.constant(r) {
            Some(Const::Float(f)) => Some(f),
            _ => None,
        }
    }
    /// The type of what a reference names.
    pub fn ty(&self, r: Ref) -> Type {
        match self.constant(r) {
            Some(c) => c.ty(),
            None if r.is_none() => Type::Void,
            None => self.inst(r).base(),
        }
    }
    /// The helper that a call names.
    pub fn helper(&self, call: &Inst) -> &'static Helper {
        &self.helpers[call.b.0 as usize]
    }
    /// The object that an instruction makes, if all of it lies in one cell of the heap.
    #[inline]
    pub fn made(&self, inst: &Inst) -> Option<Made> {
        if inst.op == Op::Call && self.helper(inst).access == Access::Fresh { self.made_by(inst) } else { None }
    }
    fn made_by(&self, inst: &Inst) -> Option<Made> {
        let (helper, args) = (self.helper(inst), self.call_args(inst));
        if helper.makes_cell() {
            return Some(Made::Cell);
        }
        if helper.makes_function() {
            let upvalues = self.int(args[1]).filter(|count| (0..=MAX_UPVALUES as i64).contains(count))?;
            return args[0].is_const().then_some(Made::Function { proto: args[0], upvalues: upvalues as usize });
        }
        if !helper.makes_table() || self.int(args[1]) != Some(0) || !args[2].is_const() {
            return None;
        }
        let slots = self.int(args[0]).filter(|slots| (0..=MAX_INLINE as i64).contains(slots))?;
        Some(Made::Table { slots: slots as usize, shape: args[2] })
    }
    /// Whether an exit here without need does no harm: the interpreter executes again what had no effects.
    pub fn can_be_forced(&self, inst: &Inst) -> bool {
        inst.can_exit()
            && match inst.op {
                Op::Call => !matches!(self.helper(inst).access, Access::Writes(_)),
                op => op != Op::Gcstep && !self.asks_for_error(inst),
            }
    }
    /// Whether a guard asks if a helper has caught an error. The interpreter goes on elsewhere then.
    fn asks_for_error(&self, inst: &Inst) -> bool {
        let catches = |call: &Inst| call.op == Op::Call && self.helper(call).failure == Failure::Caught;
        inst.op.is_compare() && inst.a.is_inst() && catches(self.inst(inst.a)) && self.int(inst.b) == Some(CAUGHT)
    }
    /// The arguments of a call, first to last.
    pub fn call_args(&self, call: &Inst) -> Args {
        let mut at = call.a;
        Args::from_last(std::iter::from_fn(|| {
            let last = at;
            if last.is_inst() && self.inst(last).op == Op::Carg {
                at = self.inst(last).a;
                return Some(self.inst(last).b);
            }
            at = Ref::NONE;
            (!last.is_none()).then_some(last)
        }))
    }
    /// Whether a reference names an object that is not made.
    pub fn is_unbuilt(&self, r: Ref) -> bool {
        r.is_inst() && self.inst(r).op == Op::Unbuilt
    }
    /// Whether there are such objects. Programs that wait for a finalizer, and allocate meanwhile, must not wait for ever: so a
    /// collection comes all the same, if later.
    pub fn has_unbuilt(&self) -> bool {
        self.insts.iter().any(|inst| inst.op == Op::Unbuilt)
    }
    /// The results that a snapshot refers to and that have places where it is read: all but unbuilt objects. Not each is named
    /// once only.
    pub fn located<'a>(&'a self, snapshot: &'a Snapshot) -> impl Iterator<Item = Ref> + 'a {
        // What is not built is listed among the objects.
        let has_unbuilt = !self.snapshots.objects(snapshot).is_empty();
        self.snapshots.refs(snapshot).filter(move |r| r.is_inst() && !(has_unbuilt && self.is_unbuilt(*r)))
    }
    /// Gives back memory that is not in use, when the trace is complete.
    pub fn shrink(&mut self) {
        self.insts.shrink_to_fit();
        self.consts.shrink_to_fit();
        self.snapshots.shrink();
    }
    /// The index of the `loop` instruction, if there is one.
    pub fn loop_index(&self) -> Option<usize> {
        self.insts.iter().position(|i| i.op == Op::Loop)
    }
    /// The phis: at the end of the trace.
    pub fn phis(&self) -> impl Iterator<Item = &Inst> {
        self.insts.iter().rev().take_while(|i| matches!(i.op, Op::Phi | Op::Nop)).filter(|i| i.op == Op::Phi)
    }
}
