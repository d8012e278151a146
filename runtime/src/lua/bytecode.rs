//! Bytecode: 32-bit words for a register machine.
//!
//! ```text
//!          31      24 23      16 15 14        7 6       0
//!   ABC   |    C     |    B     |k|     A      |   op    |
//!   ABx   |           Bx (17 bits)|     A      |   op    |
//!   Ax    |               Ax (25 bits)         |   op    |
//! ```
//!
//! `sBx` and `sJ` are `Bx` and `Ax` with an offset, so that they can be negative. `sB` and `sC` are `B - 127` and `C - 127`. Jumps are relative to
//! the word after the instruction *and its extra word*.
//!
//! Some instructions own the word behind them (`extra` in the table): the index of an inline cache, a hot counter that
//! the interpreter counts down in place, or a wide operand. When a loop is compiled its back edge's opcode is replaced by
//! the `J` form and the counter by the number of the trace; what stood there is kept by the prototype.
//!
//! A test that skips is always followed by a `JMP` (one word); the back edge of a `repeat` loop is a `JMPBACK` that such a
//! `JMP` leaps over.
//!
//! `R[i]` is a register, `K[i]` a constant, `U[i]` an upvalue's cell, `RK(i)` is `K[i]` if `k` is set, else `R[i]`.

#![forbid(unsafe_code)]

/// One bytecode word.
pub type Word = u32;

/// How an instruction's operands lie in its word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// Three 8-bit operands and the bit `k`.
    Abc,
    /// `A` and a 17-bit unsigned operand.
    ABx,
    /// `A` and a 17-bit signed operand.
    AsBx,
    /// A 25-bit signed jump distance.
    J,
}

/// What the word behind an instruction holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extra {
    /// There is none.
    None,
    /// The index of an inline cache.
    Cache,
    /// A hot counter, or the number of a trace once the instruction is patched.
    Counter,
    /// A wide operand.
    Wide,
}

/// Calls `$m!` with the table of opcodes: `(Name, "text", layout, extra, "meaning")`.
#[macro_export]
macro_rules! for_each_op {
    ($m:ident) => {
        $m! {
            (Move, "MOVE", Abc, None, "R[A] := R[B]"),
            (LoadI, "LOADI", AsBx, None, "R[A] := sBx, an integer"),
            (LoadF, "LOADF", AsBx, None, "R[A] := sBx, a float"),
            (LoadK, "LOADK", ABx, None, "R[A] := K[Bx]"),
            (LoadKX, "LOADKX", Abc, Wide, "R[A] := K[extra]"),
            (LoadFalse, "LOADFALSE", Abc, None, "R[A] := false"),
            (LFalseSkip, "LFALSESKIP", Abc, None, "R[A] := false; skip the next instruction"),
            (LoadTrue, "LOADTRUE", Abc, None, "R[A] := true"),
            (LoadNil, "LOADNIL", Abc, None, "R[A], ..., R[A+B] := nil"),
            (GetUpval, "GETUPVAL", Abc, None, "R[A] := U[B]"),
            (SetUpval, "SETUPVAL", Abc, None, "U[B] := R[A]"),
            (NewCell, "NEWCELL", Abc, None, "R[A] := a new cell that holds R[A]"),
            (GetCell, "GETCELL", Abc, None, "R[A] := the content of the cell R[B]"),
            (SetCell, "SETCELL", Abc, None, "the content of the cell R[A] := RK(B)"),
            (GetTabUp, "GETTABUP", Abc, Cache, "R[A] := U[B][K[C]], K[C] a short string"),
            (GetTable, "GETTABLE", Abc, None, "R[A] := R[B][R[C]]"),
            (GetI, "GETI", Abc, None, "R[A] := R[B][C]"),
            (GetField, "GETFIELD", Abc, Cache, "R[A] := R[B][K[C]], K[C] a short string"),
            (SetTabUp, "SETTABUP", Abc, Cache, "U[A][K[B]] := RK(C), K[B] a short string"),
            (SetTable, "SETTABLE", Abc, None, "R[A][R[B]] := RK(C)"),
            (SetI, "SETI", Abc, None, "R[A][B] := RK(C)"),
            (SetField, "SETFIELD", Abc, Cache, "R[A][K[B]] := RK(C), K[B] a short string"),
            (NewTable, "NEWTABLE", Abc, Wide, "R[A] := {}; B named fields and `extra` array elements are expected"),
            (SelfOp, "SELF", Abc, Cache, "R[A+1] := R[B]; R[A] := R[B][K[C]], K[C] a short string"),
            (AddI, "ADDI", Abc, None, "R[A] := R[B] + sC; k: the operands were swapped in the source"),
            (AddK, "ADDK", Abc, None, "R[A] := R[B] + K[C], a number; k as in ADDI"),
            (SubK, "SUBK", Abc, None, "R[A] := R[B] - K[C], a number"),
            (MulK, "MULK", Abc, None, "R[A] := R[B] * K[C], a number; k as in ADDI"),
            (ModK, "MODK", Abc, None, "R[A] := R[B] % K[C], a number"),
            (PowK, "POWK", Abc, None, "R[A] := R[B] ^ K[C], a number"),
            (DivK, "DIVK", Abc, None, "R[A] := R[B] / K[C], a number"),
            (IDivK, "IDIVK", Abc, None, "R[A] := R[B] // K[C], a number"),
            (BAndK, "BANDK", Abc, None, "R[A] := R[B] & K[C], an integer; k as in ADDI"),
            (BOrK, "BORK", Abc, None, "R[A] := R[B] | K[C], an integer; k as in ADDI"),
            (BXorK, "BXORK", Abc, None, "R[A] := R[B] ~ K[C], an integer; k as in ADDI"),
            (ShrI, "SHRI", Abc, None, "R[A] := R[B] >> sC; k: it was R[B] << -sC in the source"),
            (ShlI, "SHLI", Abc, None, "R[A] := sC << R[B]"),
            (Add, "ADD", Abc, None, "R[A] := R[B] + R[C]"),
            (Sub, "SUB", Abc, None, "R[A] := R[B] - R[C]"),
            (Mul, "MUL", Abc, None, "R[A] := R[B] * R[C]"),
            (Mod, "MOD", Abc, None, "R[A] := R[B] % R[C]"),
            (Pow, "POW", Abc, None, "R[A] := R[B] ^ R[C]"),
            (Div, "DIV", Abc, None, "R[A] := R[B] / R[C]"),
            (IDiv, "IDIV", Abc, None, "R[A] := R[B] // R[C]"),
            (BAnd, "BAND", Abc, None, "R[A] := R[B] & R[C]"),
            (BOr, "BOR", Abc, None, "R[A] := R[B] | R[C]"),
            (BXor, "BXOR", Abc, None, "R[A] := R[B] ~ R[C]"),
            (Shl, "SHL", Abc, None, "R[A] := R[B] << R[C]"),
            (Shr, "SHR", Abc, None, "R[A] := R[B] >> R[C]"),
            (Unm, "UNM", Abc, None, "R[A] := -R[B]"),
            (BNot, "BNOT", Abc, None, "R[A] := ~R[B]"),
            (Not, "NOT", Abc, None, "R[A] := not R[B]"),
            (Len, "LEN", Abc, None, "R[A] := #R[B]"),
            (Concat, "CONCAT", Abc, None, "R[A] := R[A] .. ... .. R[A+B-1]"),
            (Close, "CLOSE", Abc, None, "close all to-be-closed variables from R[A] on"),
            (Tbc, "TBC", Abc, None, "mark R[A] as to be closed; a captured variable goes into its cell after this"),
            (Jmp, "JMP", J, None, "pc += sJ"),
            (JmpBack, "JMPBACK", J, Counter, "pc += sJ, a loop's back edge"),
            (Eq, "EQ", Abc, None, "if (R[A] == R[B]) ~= k then skip the next instruction"),
            (Lt, "LT", Abc, None, "if (R[A] < R[B]) ~= k then skip the next instruction"),
            (Le, "LE", Abc, None, "if (R[A] <= R[B]) ~= k then skip the next instruction"),
            (EqK, "EQK", Abc, None, "if (R[A] == K[B]) ~= k then skip the next instruction"),
            (EqI, "EQI", Abc, None, "if (R[A] == sB) ~= k then skip the next instruction"),
            (LtI, "LTI", Abc, None, "if (R[A] < sB) ~= k then skip; C: sB was a float in the source"),
            (LeI, "LEI", Abc, None, "if (R[A] <= sB) ~= k then skip; C as in LTI"),
            (GtI, "GTI", Abc, None, "if (R[A] > sB) ~= k then skip; C as in LTI"),
            (GeI, "GEI", Abc, None, "if (R[A] >= sB) ~= k then skip; C as in LTI"),
            (Test, "TEST", Abc, None, "if (not R[A]) == k then skip the next instruction"),
            (TestSet, "TESTSET", Abc, None, "if (not R[B]) == k then skip the next instruction, else R[A] := R[B]"),
            (Call, "CALL", Abc, None, "R[A], ..., R[A+C-2] := R[A](R[A+1], ..., R[A+B-1]); B = 0: up to top; C = 0: all, sets top"),
            (TailCall, "TAILCALL", Abc, None, "return R[A](R[A+1], ..., R[A+B-1]); B as in CALL; k: there are variables to be closed"),
            (Return, "RETURN", Abc, None, "return R[A], ..., R[A+B-2]; B = 0: up to top; k: there are variables to be closed"),
            (Return0, "RETURN0", Abc, None, "return; nothing to be closed, no extra arguments"),
            (Return1, "RETURN1", Abc, None, "return R[A]; as RETURN0"),
            (ForPrep, "FORPREP", ABx, None, "prepare R[A..A+3]; if the loop does not run then pc += Bx, behind its FORLOOP"),
            (ForLoop, "FORLOOP", ABx, Counter, "update R[A..A+3]; if the loop goes on then pc -= Bx"),
            (TForPrep, "TFORPREP", ABx, None, "mark R[A+3] as to be closed (unless nil or false); pc += Bx, to the TFORCALL"),
            (TForCall, "TFORCALL", Abc, None, "R[A+4], ..., R[A+3+C] := R[A](R[A+1], R[A+2])"),
            (TForLoop, "TFORLOOP", ABx, Counter, "if R[A+4] ~= nil then R[A+2] := R[A+4]; pc -= Bx"),
            (SetList, "SETLIST", Abc, Wide, "R[A][extra+i] := R[A+i] for 1 <= i <= B; B = 0: up to top"),
            (Closure, "CLOSURE", ABx, None, "R[A] := closure of prototype Bx"),
            (VarArg, "VARARG", Abc, None, "R[A], ..., R[A+C-2] := the extra arguments; C = 0: all, sets top"),
            (VarArgPrep, "VARARGPREP", Abc, None, "move the A fixed parameters above the extra arguments"),
            (JJmpBack, "JJMPBACK", J, Counter, "enter trace `extra` in place of JMPBACK"),
            (JForLoop, "JFORLOOP", ABx, Counter, "FORLOOP; if the loop goes on, enter trace `extra`"),
            (JTForLoop, "JTFORLOOP", ABx, Counter, "TFORLOOP; if the loop goes on, enter trace `extra`"),
        }
    };
}

macro_rules! define_ops {
    ($(($name:ident, $text:literal, $layout:ident, $extra:ident, $doc:literal),)*) => {
        /// The opcodes. See the module's documentation for the operands.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub enum Op {
            $(#[doc = concat!("`", $doc, "`")] $name,)*
        }

        impl Op {
            /// All opcodes, by number.
            pub const ALL: &[Op] = &[$(Op::$name,)*];
            const TEXTS: &[&str] = &[$($text,)*];
            const LAYOUTS: &[Layout] = &[$(Layout::$layout,)*];
            const EXTRAS: &[Extra] = &[$(Extra::$extra,)*];
        }
    };
}
for_each_op!(define_ops);

impl Op {
    /// The opcode with this number, if there is one.
    #[inline]
    pub fn from_u8(n: u8) -> Option<Op> {
        Self::ALL.get(usize::from(n)).copied()
    }

    /// The name in dumps.
    pub fn text(self) -> &'static str {
        Self::TEXTS[self as usize]
    }

    /// Where the operands lie.
    pub fn layout(self) -> Layout {
        Self::LAYOUTS[self as usize]
    }

    /// What the next word holds.
    #[inline]
    pub fn extra(self) -> Extra {
        Self::EXTRAS[self as usize]
    }

    /// Words that the instruction takes: 1, or 2 with an extra word.
    #[inline]
    pub fn words(self) -> usize {
        if self.extra() == Extra::None { 1 } else { 2 }
    }

    /// The opcode that a patched one stands for; itself for all others.
    pub fn original(self) -> Op {
        match self {
            Op::JJmpBack => Op::JmpBack,
            Op::JForLoop => Op::ForLoop,
            Op::JTForLoop => Op::TForLoop,
            op => op,
        }
    }
}

/// Largest register number plus one; also the largest frame.
pub const MAX_REGISTERS: usize = 255;
/// Largest `A`, `B` and `C`.
pub const MAX_ABC: u32 = 0xff;
/// Largest `Bx`.
pub const MAX_BX: u32 = (1 << 17) - 1;
/// Offset of `sBx`.
pub const OFFSET_SBX: i32 = (MAX_BX >> 1) as i32;
/// Largest `Ax`.
pub const MAX_AX: u32 = (1 << 25) - 1;
/// Offset of `sJ`.
pub const OFFSET_SJ: i32 = (MAX_AX >> 1) as i32;
/// Offset of `sB` and `sC`, which hold -127 to 128.
pub const OFFSET_SC: i32 = 127;
/// What a hot counter starts from before a tier sets its own threshold.
pub const COUNTER_START: u32 = 56;

/// Builds an `ABC` word.
#[inline]
pub const fn abc(op: Op, a: u32, b: u32, c: u32, k: bool) -> Word {
    op as u32 | a << 7 | (k as u32) << 15 | b << 16 | c << 24
}

/// Builds an `ABx` word.
#[inline]
pub const fn abx(op: Op, a: u32, bx: u32) -> Word {
    op as u32 | a << 7 | bx << 15
}

/// Builds an `AsBx` word.
#[inline]
pub const fn asbx(op: Op, a: u32, sbx: i32) -> Word {
    abx(op, a, (sbx + OFFSET_SBX) as u32)
}

/// Builds a jump.
#[inline]
pub const fn sj(op: Op, distance: i32) -> Word {
    op as u32 | ((distance + OFFSET_SJ) as u32) << 7
}

/// The number of the opcode.
#[inline(always)]
pub const fn op_number(w: Word) -> u8 {
    (w & 0x7f) as u8
}

/// The opcode. Panics if the word does not hold one, which no word made by the compiler or accepted by the loader does.
#[inline]
pub fn op(w: Word) -> Op {
    Op::from_u8(op_number(w)).expect("not an opcode")
}

/// Operand `A`.
#[inline(always)]
pub const fn a(w: Word) -> usize {
    (w >> 7 & 0xff) as usize
}

/// Operand `B`.
#[inline(always)]
pub const fn b(w: Word) -> usize {
    (w >> 16 & 0xff) as usize
}

/// Operand `C`.
#[inline(always)]
pub const fn c(w: Word) -> usize {
    (w >> 24) as usize
}

/// The bit `k`.
#[inline(always)]
pub const fn k(w: Word) -> bool {
    w & 1 << 15 != 0
}

/// Operand `B` as a signed number.
#[inline(always)]
pub const fn sb(w: Word) -> i32 {
    b(w) as i32 - OFFSET_SC
}

/// Operand `C` as a signed number.
#[inline(always)]
pub const fn sc(w: Word) -> i32 {
    c(w) as i32 - OFFSET_SC
}

/// Operand `Bx`.
#[inline(always)]
pub const fn bx(w: Word) -> usize {
    (w >> 15) as usize
}

/// Operand `sBx`.
#[inline(always)]
pub const fn sbx(w: Word) -> i32 {
    bx(w) as i32 - OFFSET_SBX
}

/// The distance of a jump.
#[inline(always)]
pub const fn jump(w: Word) -> i32 {
    (w >> 7) as i32 - OFFSET_SJ
}

/// Whether the instruction uses a list of values that ends at the stack's top.
pub fn takes_open_list(w: Word) -> bool {
    matches!(op(w), Op::Call | Op::TailCall | Op::Return | Op::SetList) && b(w) == 0
}

/// The word with another opcode and the same operands.
#[inline]
pub const fn with_op(w: Word, op: Op) -> Word {
    w & !0x7f | op as u32
}
