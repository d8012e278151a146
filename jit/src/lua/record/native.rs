//! Native functions that become instructions of the trace. All others are called.

use rustc_hash::FxHashMap;

use perilune_interpreter::lua::lib::is_match_iterator;
use perilune_runtime::lua::function::NativeFunction;
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::state::State;
use perilune_runtime::lua::table::Table;
use perilune_runtime::lua::value::Value;

use super::super::helpers::H;
use super::super::ir::{Field, Op as Ins, Ref, Type};
use super::{Abort, Rec, Recorder};

macro_rules! define_intrinsics {
    ($(($name:ident, $library:literal, $function:literal),)*) => {
        /// A native function that the recorder knows.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Intrinsic {
            $(#[doc = concat!("`", $library, ".", $function, "`")] $name,)*
            /// One that has no effects before all that may fail (`math.random` goes on then), and needs no frames but for errors
            /// and callbacks.
            Repeatable,
            /// As above, but that its effects are on its first argument, a table, if that has no metatable.
            Changing,
        }

        const NAMES: &[(Intrinsic, &str, &str)] = &[$((Intrinsic::$name, $library, $function),)*];
    };
}

define_intrinsics! {
    (Floor, "math", "floor"), (Ceil, "math", "ceil"), (Sqrt, "math", "sqrt"), (Abs, "math", "abs"),
    (Max, "math", "max"), (Min, "math", "min"), (Sin, "math", "sin"), (Cos, "math", "cos"), (Tan, "math", "tan"),
    (Exp, "math", "exp"), (Log, "math", "log"), (Fmod, "math", "fmod"), (ToInteger, "math", "tointeger"),
    (Byte, "string", "byte"), (Char, "string", "char"), (Sub, "string", "sub"), (Len, "string", "len"),
    (Type, "", "type"), (RawLen, "", "rawlen"), (Select, "", "select"), (ToString, "", "tostring"),
    (Insert, "table", "insert"), (Unpack, "table", "unpack"), (Pack, "table", "pack"),
    (SetMetatable, "", "setmetatable"), (GetMetatable, "", "getmetatable"), (RawGet, "", "rawget"),
    (RawEqual, "", "rawequal"), (Ipairs, "", "ipairs"), (Pairs, "", "pairs"), (Assert, "", "assert"),
    (Error, "", "error"), (DoFile, "", "dofile"),
}

/// Native functions that are not instructions of the trace, but can be called while no frames stand.
const REPEATABLE: &[(&str, &[&str])] = &[
    (
        "string",
        &[
            "find", "format", "gmatch", "gsub", "lower", "match", "pack", "packsize", "rep", "reverse", "unpack",
            "upper",
        ],
    ),
    ("table", &["concat", "pack"]),
    ("math", &["fmod", "random", "tointeger", "type", "ult"]),
    ("utf8", &["char", "codepoint", "len", "offset"]),
    ("os", &["clock"]),
    ("coroutine", &["isyieldable", "running", "status"]),
    ("", &["tonumber"]),
];
/// As above, of functions that change a table.
const CHANGING: &[(&str, &[&str])] = &[("table", &["remove"]), ("", &["rawset"])];

/// The native functions of a state that the recorder knows, by their objects.
#[derive(Debug, Default)]
pub struct Intrinsics(FxHashMap<usize, Intrinsic>);

impl Intrinsics {
    /// Looks the functions up in the libraries. A program that replaces a library's field later does not change what
    /// the function itself means.
    pub fn new(state: &mut State) -> Intrinsics {
        let field = |state: &mut State, t: Gc<Table>, name: &str| match state.heap.string(name.as_bytes()) {
            Ok(key) => t.get_str(key),
            Err(_) => Value::NIL,
        };
        let mut found = FxHashMap::default();
        let listed = |list: &'static [(&'static str, &'static [&'static str])], intrinsic: Intrinsic| {
            list.iter().flat_map(move |(library, names)| names.iter().map(move |name| (intrinsic, *library, *name)))
        };
        let others = listed(REPEATABLE, Intrinsic::Repeatable).chain(listed(CHANGING, Intrinsic::Changing));
        for (intrinsic, library, name) in NAMES.iter().copied().chain(others) {
            let globals = state.globals;
            let table = if library.is_empty() { Some(globals) } else { field(state, globals, library).as_table() };
            let Some(table) = table else { continue };
            if let Some(f) = field(state, table, name).as_native() {
                found.insert(f.address(), intrinsic);
                // The address names the function for good: it must not be freed.
                state.handles.push(Value::from(f));
            }
        }
        Intrinsics(found)
    }
}

impl Recorder {
    /// Which known function is it?
    pub(super) fn known(&self, f: Gc<NativeFunction>) -> Option<Intrinsic> {
        self.intrinsics.0.get(&f.address()).copied()
    }

    /// Is it a function that the recorder knows?
    pub(super) fn is_intrinsic(&self, f: Gc<NativeFunction>) -> bool {
        self.intrinsics.0.contains_key(&f.address())
    }

    /// How a native function is called for which no frames need to stand, if it is one. What is no instruction of the trace for its
    /// arguments may be one.
    pub(super) fn bare_helper(&self, f: Gc<NativeFunction>) -> Option<H> {
        match self.known(f) {
            None => is_match_iterator(f).then_some(H::CallBare),
            Some(Intrinsic::Changing) => Some(H::CallChanging),
            // They have effects, call functions that may yield, or always raise an error here.
            Some(
                Intrinsic::Insert
                | Intrinsic::SetMetatable
                | Intrinsic::Ipairs
                | Intrinsic::Pairs
                | Intrinsic::Assert
                | Intrinsic::Error
                | Intrinsic::DoFile,
            ) => None,
            Some(_) => Some(H::CallBare),
        }
    }

    /// Records a call of a known function; none if it is not known, or not for these arguments.
    pub(super) fn intrinsic(&mut self, a: usize, n: usize, f: Gc<NativeFunction>) -> Rec<Option<Vec<Ref>>> {
        let Some(&which) = self.intrinsics.0.get(&f.address()) else { return Ok(None) };
        if n == 0 || n > 8 {
            return Ok(None);
        }
        let mut args = Vec::with_capacity(n);
        for i in 1..=n {
            args.push((self.get(a + i)?, self.actual(a + i)));
        }
        let one = |r: Ref| Ok(Some(vec![r]));
        let (x, actual) = args[0];
        match which {
            Intrinsic::Sqrt | Intrinsic::Sin | Intrinsic::Cos | Intrinsic::Tan | Intrinsic::Exp | Intrinsic::Log => {
                self.float_function(which, &args)
            }
            Intrinsic::Floor | Intrinsic::Ceil => self.round(which, x, actual),
            Intrinsic::Abs if self.ty(x).is_number() => one(self.b.unary(Ins::Abs, x)?),
            Intrinsic::Max | Intrinsic::Min => self.extreme(which, &args),
            Intrinsic::Fmod if n == 2 && self.ty(x) == Type::Float && self.ty(args[1].0) == Type::Float => {
                one(self.call_helper(H::Fmod, &[x, args[1].0])?)
            }
            Intrinsic::ToInteger if self.ty(x) == Type::Int => one(x),
            Intrinsic::Byte => self.byte(&args),
            Intrinsic::Char if n == 1 && self.ty(x) == Type::Int && (0..256).contains(&actual.raw_integer()) => {
                let limit = self.b.int(256);
                self.b.guard(Ins::Ult, x, limit)?;
                one(self.call_helper(H::StringChar, &[x])?)
            }
            Intrinsic::Sub => self.part(&args),
            Intrinsic::Len if self.ty(x) == Type::String => one(self.b.fload(x, Field::StringLen)?),
            Intrinsic::RawLen if matches!(self.ty(x), Type::String) => one(self.b.fload(x, Field::StringLen)?),
            Intrinsic::RawLen if matches!(self.ty(x), Type::Table) => one(self.b.fload(x, Field::TableArrayLen)?),
            Intrinsic::Type => {
                let name = self
                    .state()
                    .string(actual.type_name().as_bytes())
                    .map_err(|_| Abort::Reason("not enough memory"))?;
                one(self.value_constant(Value::from(name))?)
            }
            Intrinsic::Select => self.select(&args),
            Intrinsic::ToString => match self.ty(x) {
                Type::String => one(x),
                Type::Int => one(self.call_helper(H::IntToString, &[x])?),
                Type::Float => one(self.call_helper(H::FloatToString, &[x])?),
                _ => Ok(None),
            },
            Intrinsic::Insert => self.insert(&args),
            Intrinsic::Unpack => self.unpack(&args),
            Intrinsic::Pack => self.pack(&args),
            Intrinsic::SetMetatable => self.set_metatable(&args),
            Intrinsic::GetMetatable => self.get_metatable(x, actual),
            Intrinsic::RawGet if n == 2 => self.raw_get(x, actual, args[1]),
            Intrinsic::RawEqual if n == 2 && self.ty(x) != self.ty(args[1].0) => self.unequal_types(x, args[1].0),
            Intrinsic::Ipairs | Intrinsic::Pairs => self.iteration(which, x, actual, f),
            // What it calls may yield.
            Intrinsic::DoFile => Err(Abort::Reason("dofile")),
            Intrinsic::Assert => self.assert(&args),
            _ => Ok(None),
        }
    }

    fn float_function(&mut self, which: Intrinsic, args: &[(Ref, Value)]) -> Rec<Option<Vec<Ref>>> {
        if args.len() != 1 || !self.ty(args[0].0).is_number() {
            return Ok(None);
        }
        let x = args[0].0;
        let x = if self.ty(x) == Type::Int { self.b.i2f(x)? } else { x };
        let helper = match which {
            Intrinsic::Sqrt => return Ok(Some(vec![self.b.unary(Ins::Sqrt, x)?])),
            Intrinsic::Sin => H::Sin,
            Intrinsic::Cos => H::Cos,
            Intrinsic::Tan => H::Tan,
            Intrinsic::Exp => H::Exp,
            _ => H::Log,
        };
        Ok(Some(vec![self.call_helper(helper, &[x])?]))
    }

    fn round(&mut self, which: Intrinsic, x: Ref, actual: Value) -> Rec<Option<Vec<Ref>>> {
        match self.ty(x) {
            Type::Int => Ok(Some(vec![x])),
            Type::Float => {
                let down = which == Intrinsic::Floor;
                let rounded = if down { actual.raw_float().floor() } else { actual.raw_float().ceil() };
                if perilune_runtime::lua::number::float_to_int(rounded).is_none() {
                    return Ok(None);
                }
                let r = self.b.unary(if down { Ins::Floor } else { Ins::Ceil }, x)?;
                Ok(Some(vec![self.b.f2i(r)?]))
            }
            _ => Ok(None),
        }
    }

    /// `math.max` and `math.min` of numbers of one kind: the first of the largest, as comparisons from the left find it.
    fn extreme(&mut self, which: Intrinsic, args: &[(Ref, Value)]) -> Rec<Option<Vec<Ref>>> {
        let ty = self.ty(args[0].0);
        if !ty.is_number() || args.iter().any(|(r, _)| self.ty(*r) != ty) {
            return Ok(None);
        }
        let op = if which == Intrinsic::Max { Ins::Max } else { Ins::Min };
        let mut best = args[0].0;
        for (r, _) in &args[1..] {
            best = self.b.binary(op, best, *r)?;
        }
        Ok(Some(vec![best]))
    }

    /// `string.byte(s, i)`: one byte, which is there.
    fn byte(&mut self, args: &[(Ref, Value)]) -> Rec<Option<Vec<Ref>>> {
        let (s, actual) = args[0];
        let one = Value::integer(1);
        let (i, position) = match args.get(1) {
            Some(arg) => *arg,
            None => (self.b.int(1), one),
        };
        let Some(string) = actual.as_string() else { return Ok(None) };
        if args.len() > 2 || self.ty(i) != Type::Int {
            return Ok(None);
        }
        let at = position.raw_integer();
        if at < 1 || at as u64 > string.len() as u64 {
            return Ok(None);
        }
        let minus = self.b.int(-1);
        let index = self.b.binary(Ins::Add, i, minus)?;
        let len = self.b.fload(s, Field::StringLen)?;
        self.b.guard(Ins::Ult, index, len)?;
        let data = self.b.fload(s, Field::StringData)?;
        Ok(Some(vec![self.b.op(Ins::Byte, Type::Int, data, index, Ref::NONE)?]))
    }

    /// `string.sub(s, i, j)`, with positions of the kind that they have now.
    fn part(&mut self, args: &[(Ref, Value)]) -> Rec<Option<Vec<Ref>>> {
        let Some(string) = args[0].1.as_string() else { return Ok(None) };
        if args.len() < 2 || args.len() > 3 || args[1..].iter().any(|(r, _)| self.ty(*r) != Type::Int) {
            return Ok(None);
        }
        let s = args[0].0;
        let len = self.b.fload(s, Field::StringLen)?;
        let n = string.len() as i64;
        let (zero, one) = (self.b.int(0), self.b.int(1));
        // The start, from 0.
        let (i, start) = (args[1].0, args[1].1.raw_integer());
        let from = if start > 0 {
            self.b.guard(Ins::Ge, i, one)?;
            let minus = self.b.int(-1);
            self.b.binary(Ins::Add, i, minus)?
        } else if start < 0 && start >= -n {
            self.b.guard(Ins::Lt, i, zero)?;
            let from = self.b.binary(Ins::Add, len, i)?;
            self.b.guard(Ins::Ge, from, zero)?;
            from
        } else {
            return Ok(None);
        };
        // The end, behind the last byte.
        let to = match args.get(2) {
            None => len,
            Some((j, end)) if end.raw_integer() >= 0 => {
                self.b.guard(Ins::Ge, *j, zero)?;
                self.b.binary(Ins::Min, *j, len)?
            }
            Some((j, _)) => {
                self.b.guard(Ins::Lt, *j, zero)?;
                let behind = self.b.binary(Ins::Add, len, *j)?;
                let end = self.b.binary(Ins::Add, behind, one)?;
                self.b.binary(Ins::Max, end, zero)?
            }
        };
        // An empty part begins where it ends.
        let from = self.b.binary(Ins::Min, from, to)?;
        Ok(Some(vec![self.call_helper(H::StringPart, &[s, from, to])?]))
    }

    fn select(&mut self, args: &[(Ref, Value)]) -> Rec<Option<Vec<Ref>>> {
        let (x, actual) = args[0];
        if let Some(s) = actual.as_string() {
            if s.bytes() != b"#" {
                return Ok(None);
            }
            let expected = self.value_constant(actual)?;
            self.guard_value(x, expected)?;
            return Ok(Some(vec![self.b.int(args.len() as i64 - 1)]));
        }
        let Some(i) = actual.as_integer() else { return Ok(None) };
        if i < 1 {
            return Ok(None);
        }
        let expected = self.b.int(i);
        self.guard_value(x, expected)?;
        let first = (i as usize).min(args.len());
        Ok(Some(args[first..].iter().map(|(r, _)| *r).collect()))
    }
}
