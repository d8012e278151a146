//! The table of IR operations: for each its text name, the kinds of its three operands, its type rule and its
//! effect. Names, printing, parsing, the verifier and all alias analysis follow from it.
//!
//! Conventions:
//! - A comparison is a guard: the trace goes on when it holds and leaves when it does not. Its type field is the
//!   type of its operands. On integers `Ult Uge Ule Ugt` compare unsigned; on floats they hold when the operands are
//!   unordered *or* the relation holds, so that `Uge` is exactly "not `Lt`". On anything but numbers only `Eq` and
//!   `Ne` exist and compare the 64-bit payload.
//! - A load with the guard flag checks the tag of what it loads; without it the type is known.
//! - `Shl Shr Sar` take counts 0 to 63 (the recorder guards that). `Idiv` and `Mod` floor; the recorder guards that
//!   the divisor is not zero.
//! - `Max(a, b)` is `a < b ? b : a` and `Min(a, b)` is `b < a ? b : a`, so that a NaN or an equal `b` leaves `a`.
#![forbid(unsafe_code)]

/// What an operand field of an instruction holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operand {
    /// Nothing.
    No,
    /// A reference to a value.
    Ref,
    /// A reference, or none.
    Opt,
    /// An unsigned literal.
    Imm,
    /// A stack slot, signed, relative to the base at the trace's entry.
    Slot,
    /// A field (`Field`).
    Field,
    /// A helper's number.
    Helper,
}

/// How the type field of an instruction relates to its operands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TypeRule {
    /// No result; the type is `Void`.
    Void,
    /// No result; operands of one type, which the type field names.
    Compare,
    /// No result; the type field says which tag or what type of value is stored.
    Stored,
    /// Integers to an integer.
    Ints,
    /// Floats to a float.
    Floats,
    /// Integers to an integer, or floats to a float.
    Numbers,
    /// Any operands, an integer result.
    Int,
    /// Any operands, a float result.
    Float,
    /// Any operands, a raw pointer result.
    Ptr,
    /// A cell.
    Cell,
    /// The result's type is what the instruction says (loads).
    Any,
    /// The field's type.
    Field,
    /// The helper's result type.
    Helper,
}

/// Memory that stores of one class can change; loads of other classes stay valid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Alias {
    /// Slots of the Lua stack.
    Slot = 0,
    /// A field of an object's header; fields are told apart by name.
    Field,
    /// Upvalue pointers of closures.
    Upvalue,
    /// Payloads in the array part of tables.
    Array,
    /// Tags in the array part of tables.
    ArrayTag,
    /// 16-byte values behind a raw pointer: named fields, hash nodes, result areas.
    Value,
    /// Values of cells.
    Cell,
    /// Bytes of strings.
    Bytes,
    /// Answers of helpers that read tables.
    Lookup,
    /// The collector's colours.
    Color,
}

impl Alias {
    /// How many classes there are.
    pub const COUNT: usize = Alias::Color as usize + 1;

    /// The bit of this class in a mask.
    pub const fn bit(self) -> u16 {
        1 << self as u8
    }
    /// All classes.
    pub const ALL: u16 = (1 << 10) - 1;
}

/// What an instruction does besides computing its result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Nothing.
    Pure,
    /// Leaves the trace when it does not hold.
    Guard,
    /// Reads memory.
    Load(Alias),
    /// Writes memory.
    Store(Alias),
    /// Calls a helper: the helper's class and effect say what it does.
    Call,
    /// Controls the trace or the collector; never moved or dropped.
    Control,
}

macro_rules! for_each_inst {
    ($m:ident) => {
        $m! {
            /// Nothing: what is left of a dropped instruction.
            Nop = "nop" [No No No] Void Pure;
            /// A slot of the Lua stack.
            Sload = "sload" [Slot No No] Any Load(Alias::Slot);
            /// The value that reference `a` of the parent trace had at the exit where this side trace starts.
            Pval = "pval" [Imm No No] Any Pure;
            /// Stands for an object that is not made: snapshots name it and say of what it consists. Never dropped, since a `gcstep`
            /// counts a byte where there is one.
            Unbuilt = "unbuilt" [No No No] Any Control;

            /// `a == b`.
            Eq = "eq" [Ref Ref No] Compare Guard;
            /// `a ~= b`; holds for NaN.
            Ne = "ne" [Ref Ref No] Compare Guard;
            /// `a < b`.
            Lt = "lt" [Ref Ref No] Compare Guard;
            /// `a >= b`.
            Ge = "ge" [Ref Ref No] Compare Guard;
            /// `a <= b`.
            Le = "le" [Ref Ref No] Compare Guard;
            /// `a > b`.
            Gt = "gt" [Ref Ref No] Compare Guard;
            /// Unsigned (unordered) `a < b`.
            Ult = "ult" [Ref Ref No] Compare Guard;
            /// Unsigned (unordered) `a >= b`.
            Uge = "uge" [Ref Ref No] Compare Guard;
            /// Unsigned (unordered) `a <= b`.
            Ule = "ule" [Ref Ref No] Compare Guard;
            /// Unsigned (unordered) `a > b`.
            Ugt = "ugt" [Ref Ref No] Compare Guard;

            /// `a + b`; integers wrap.
            Add = "add" [Ref Ref No] Numbers Pure;
            /// `a - b`; integers wrap.
            Sub = "sub" [Ref Ref No] Numbers Pure;
            /// `a * b`; integers wrap.
            Mul = "mul" [Ref Ref No] Numbers Pure;
            /// `a / b`.
            Div = "div" [Ref Ref No] Floats Pure;
            /// `a // b`, `b` not zero.
            Idiv = "idiv" [Ref Ref No] Ints Pure;
            /// `a % b`, `b` not zero.
            Mod = "mod" [Ref Ref No] Ints Pure;
            /// `-a`.
            Neg = "neg" [Ref No No] Numbers Pure;
            /// The absolute value of `a`; integers wrap.
            Abs = "abs" [Ref No No] Numbers Pure;
            /// The smaller one.
            Min = "min" [Ref Ref No] Numbers Pure;
            /// The larger one.
            Max = "max" [Ref Ref No] Numbers Pure;
            /// The square root.
            Sqrt = "sqrt" [Ref No No] Floats Pure;
            /// Rounds towards minus infinity.
            Floor = "floor" [Ref No No] Floats Pure;
            /// Rounds towards plus infinity.
            Ceil = "ceil" [Ref No No] Floats Pure;
            /// `a & b`.
            Band = "band" [Ref Ref No] Ints Pure;
            /// `a | b`.
            Bor = "bor" [Ref Ref No] Ints Pure;
            /// `a ~ b`.
            Bxor = "bxor" [Ref Ref No] Ints Pure;
            /// `~a`.
            Bnot = "bnot" [Ref No No] Ints Pure;
            /// `a << b`.
            Shl = "shl" [Ref Ref No] Ints Pure;
            /// `a >> b`, filling with zeros.
            Shr = "shr" [Ref Ref No] Ints Pure;
            /// `a >> b`, filling with the sign.
            Sar = "sar" [Ref Ref No] Ints Pure;

            /// Integer to float.
            I2f = "i2f" [Ref No No] Float Pure;
            /// Float to integer; a guard that the conversion is exact.
            F2i = "f2i" [Ref No No] Int Pure;
            /// Object or pointer plus a number of bytes.
            Padd = "padd" [Ref Ref No] Ptr Pure;

            /// Field `b` of object `a`.
            Fload = "fload" [Ref Field No] Field Load(Alias::Field);
            /// Stores `c` in field `b` of object `a`.
            Fstore = "fstore" [Ref Field Ref] Void Store(Alias::Field);
            /// Upvalue `b` (a cell) of the Lua function `a`.
            Upval = "upval" [Ref Imm No] Cell Load(Alias::Upvalue);
            /// Makes `c` the cell of upvalue `b` of the Lua function `a`, which was just made.
            Ustore = "ustore" [Ref Imm Ref] Void Store(Alias::Upvalue);
            /// Element `b` (from 0) of array memory `a`; `c` is its capacity when the tag is to be checked.
            Aload = "aload" [Ref Ref Opt] Any Load(Alias::Array);
            /// Stores the payload of `c` as element `b` of array memory `a`.
            Astore = "astore" [Ref Ref Ref] Stored Store(Alias::Array);
            /// The tag of element `b` of array memory `a` with capacity `c`.
            Atag = "atag" [Ref Ref Ref] Int Load(Alias::ArrayTag);
            /// Stores the tag of the type that the instruction states, for element `b` of `a` with capacity `c`.
            Asettag = "asettag" [Ref Ref Ref] Stored Store(Alias::ArrayTag);
            /// Value `b` (16 bytes each) behind pointer `a`.
            Vload = "vload" [Ref Imm No] Any Load(Alias::Value);
            /// Stores `c` as value `b` behind pointer `a`: payload and, unless flagged `notag`, tag.
            Vstore = "vstore" [Ref Imm Ref] Stored Store(Alias::Value);
            /// The tag of value `b` behind pointer `a`.
            Vtag = "vtag" [Ref Imm No] Int Load(Alias::Value);
            /// The value in cell `a`.
            Cload = "cload" [Ref No No] Any Load(Alias::Cell);
            /// Stores `b` in cell `a`: payload and, unless flagged `notag`, tag.
            Cstore = "cstore" [Ref Ref No] Stored Store(Alias::Cell);
            /// The tag of the value in cell `a`.
            Ctag = "ctag" [Ref No No] Int Load(Alias::Cell);
            /// The byte at `a + b`, in memory that does not change.
            Byte = "byte" [Ref Ref No] Int Load(Alias::Bytes);
            /// The write barrier: marks container `a` as changed if the collector has already seen it.
            Barrier = "barrier" [Ref No No] Void Store(Alias::Color);

            /// Prepends arguments: `a` is the first argument or a chain of them, `b` the next.
            Carg = "carg" [Ref Ref No] Void Pure;
            /// Calls helper `b` with the arguments `a` (none, one value, or a chain). With the guard flag the trace
            /// leaves when the helper reports failure.
            Call = "call" [Opt Helper No] Helper Call;
            /// Before a full call: stores all slots of the snapshot, whose frames the call pushes. It may overwrite slots from `a`
            /// on.
            Sync = "sync" [Slot No No] Void Control;
            /// Before a call of a native function for which no frames stand: stores the slots of the snapshot from `a` on, the
            /// function and its arguments. The call may overwrite them.
            Args = "args" [Slot No No] Void Control;
            /// After a call of a native function, which has popped the frames if there were any: the stack may lie elsewhere.
            Unsync = "unsync" [No No No] Void Control;

            /// Where the loop starts: the end of the trace jumps here.
            Loop = "loop" [No No No] Void Control;
            /// Value `a` on entry to the loop, `b` after an iteration. Phis stand at the end of the trace.
            Phi = "phi" [Ref Ref No] Any Control;
            /// Collects a step when the collector is due, as it is after many iterations of a loop that would have allocated; leaves when a step would have to do more than mark or sweep.
            Gcstep = "gcstep" [No No No] Void Control;
            /// Leaves when the stack has fewer than `a` slots above the base: what the trace may build on it.
            Room = "room" [Imm No No] Void Control;
            /// Leaves when an interrupt is requested.
            Interrupt = "interrupt" [No No No] Void Control;
            /// A new line begins, for debuggers: an address to stop at, where all that the snapshot lists has a place.
            Line = "line" [No No No] Void Control;
        }
    };
}

macro_rules! define_ops {
    ($($(#[$doc:meta])* $name:ident = $text:literal [$a:ident $b:ident $c:ident] $rule:ident $effect:ident $(($alias:expr))?;)*) => {
        /// An IR operation.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        #[repr(u8)]
        pub enum Op { $($(#[$doc])* $name),* }

        impl Op {
            /// All operations, in order.
            pub const ALL: &'static [Op] = &[$(Op::$name),*];

            /// The name in the text form.
            pub const fn name(self) -> &'static str {
                match self { $(Op::$name => $text),* }
            }
            /// The kinds of the three operands.
            #[inline]
            pub const fn operands(self) -> [Operand; 3] {
                const ALL: &[[Operand; 3]] = &[$([Operand::$a, Operand::$b, Operand::$c]),*];
                ALL[self as usize]
            }
            /// The type rule.
            #[inline]
            pub const fn type_rule(self) -> TypeRule {
                const ALL: &[TypeRule] = &[$(TypeRule::$rule),*];
                ALL[self as usize]
            }
            /// The effect.
            #[inline]
            pub const fn effect(self) -> Effect {
                const ALL: &[Effect] = &[$(Effect::$effect $(($alias))?),*];
                ALL[self as usize]
            }
        }
    };
}
for_each_inst!(define_ops);

impl Op {
    /// The operation with this name.
    pub fn by_name(name: &str) -> Option<Op> {
        Op::ALL.iter().copied().find(|op| op.name() == name)
    }

    /// Whether it yields a value (a call may still yield none).
    pub const fn has_result(self) -> bool {
        !matches!(self.type_rule(), TypeRule::Void | TypeRule::Compare | TypeRule::Stored) && !matches!(self, Op::Phi)
    }

    /// Whether it is a comparison.
    pub const fn is_compare(self) -> bool {
        matches!(self.type_rule(), TypeRule::Compare)
    }

    /// Whether `a op b` equals `b op a` on integers, and for comparisons on everything. Not so float arithmetic:
    /// which of two NaNs comes out depends on their order.
    pub const fn is_commutative(self) -> bool {
        matches!(self, Op::Add | Op::Mul | Op::Band | Op::Bor | Op::Bxor | Op::Eq | Op::Ne)
    }

    /// The comparison that says the same with its operands swapped.
    pub const fn swapped(self) -> Op {
        match self {
            Op::Lt => Op::Gt,
            Op::Gt => Op::Lt,
            Op::Le => Op::Ge,
            Op::Ge => Op::Le,
            Op::Ult => Op::Ugt,
            Op::Ugt => Op::Ult,
            Op::Ule => Op::Uge,
            Op::Uge => Op::Ule,
            op => op,
        }
    }

    /// The comparison that holds exactly when this one does not. `float` says which reading of the unsigned forms.
    pub const fn negated(self, float: bool) -> Op {
        match (self, float) {
            (Op::Eq, _) => Op::Ne,
            (Op::Ne, _) => Op::Eq,
            (Op::Lt, false) | (Op::Ult, true) => Op::Ge,
            (Op::Ge, false) | (Op::Uge, true) => Op::Lt,
            (Op::Le, false) | (Op::Ule, true) => Op::Gt,
            (Op::Gt, false) | (Op::Ugt, true) => Op::Le,
            (Op::Lt, true) | (Op::Ult, false) => Op::Uge,
            (Op::Ge, true) | (Op::Uge, false) => Op::Ult,
            (Op::Le, true) | (Op::Ule, false) => Op::Ugt,
            (Op::Gt, true) | (Op::Ugt, false) => Op::Ule,
            (op, _) => op,
        }
    }
}
