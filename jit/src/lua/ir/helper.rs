//! What the IR knows of a helper, a Rust function that a trace calls: its arguments and result, what it may do, and
//! what it reads and writes. The tables of helpers are static; an IR names helpers by their index in one of them.
//!
//! Every helper has the type `extern "C-unwind" fn(*mut State, ...)`: integers, booleans and pointers in integer
//! registers, floats in vector registers, at most five integer arguments beside the state (three, for full ones) and at most eight floats.
//! Results that are not floats fill 64 bits.
#![forbid(unsafe_code)]

use super::{Ref, Type};

/// What a helper may do. Ordered: each class includes the ones before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Class {
    /// No error, no allocation, no re-entry.
    Leaf,
    /// May allocate or raise; never collects or re-enters.
    Allocating,
    /// Anything: the slots are stored (`Sync`) before it, and it makes the frames stand. Behind its arguments it gets two words: the
    /// place of the call, and the trampoline's frame.
    Full,
}

/// What a helper reads and writes, for the optimizer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// A function of its arguments alone: equal calls are computed once, unused ones dropped.
    Pure,
    /// Reads memory of the alias classes in the mask: repeated only when one of them was written.
    Reads(u16),
    /// Makes an object that nothing else refers to; unused calls are dropped.
    Fresh,
    /// Writes memory of the alias classes in the mask.
    Writes(u16),
}

/// How a helper reports failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// It cannot fail.
    Never,
    /// A result of zero: an error is pending in the state.
    Zero,
    /// A result other than zero: an error is pending in the state.
    NonZero,
    /// As `Zero`; a result of [`CAUGHT`]: there was an error, and it has ended where the helper was told.
    Caught,
}

/// What helpers answer that have caught an error: there are never so many results.
pub const CAUGHT: i64 = i64::MAX;

/// A helper as the IR sees it.
#[derive(Clone, Copy, Debug)]
pub struct Helper {
    /// Its name in dumps and in the text form.
    pub name: &'static str,
    /// The types of the arguments after the state. `Type::Void` takes any non-float.
    pub args: &'static [Type],
    /// The type of the result; `Void` for none.
    pub result: Type,
    /// What it may do.
    pub class: Class,
    /// What it reads and writes.
    pub access: Access,
    /// How it fails.
    pub failure: Failure,
    /// The function, its type erased.
    pub entry: Entry,
}

/// The address of a helper. Whoever fills a table of helpers transmutes its functions to this type; whoever calls
/// one transmutes it back to the type that `args` and `result` tell.
pub type Entry = unsafe extern "C-unwind" fn();

impl Helper {
    /// The most arguments in integer registers, beside the state.
    pub const MAX_INTS: usize = 5;
    /// The most arguments in vector registers.
    pub const MAX_FLOATS: usize = 8;

    /// The most arguments.
    pub const MAX_ARGS: usize = Helper::MAX_INTS + Helper::MAX_FLOATS;

    /// The mask of alias classes that a call may change.
    pub const fn kills(&self) -> u16 {
        match (self.class, self.access) {
            (Class::Full, _) => super::op::Alias::ALL,
            (_, Access::Writes(mask)) => mask,
            _ => 0,
        }
    }

    /// Whether it makes an empty table, from the numbers of named fields and elements to make room for, and the shape.
    pub fn makes_table(&self) -> bool {
        self.makes(&[Type::Int, Type::Int, Type::Ptr], Type::Table)
    }

    /// Whether it makes a cell that holds nil.
    pub fn makes_cell(&self) -> bool {
        self.makes(&[], Type::Cell)
    }

    /// Whether it makes a Lua function, from its prototype and the number of its upvalues, whose cells are to be stored at once.
    pub fn makes_function(&self) -> bool {
        self.makes(&[Type::Ptr, Type::Int], Type::Function)
    }

    /// Whether it makes memory for the array of a table that has none, from the table and the number of elements to make room for.
    pub fn makes_array(&self) -> bool {
        self.makes(&[Type::Table, Type::Int], Type::Ptr)
    }

    fn makes(&self, args: &[Type], result: Type) -> bool {
        self.access == Access::Fresh && self.args == args && self.result == result
    }

    /// Whether equal calls may be computed once.
    pub const fn repeatable(&self) -> bool {
        !matches!(self.class, Class::Full) && matches!(self.access, Access::Pure | Access::Reads(_))
    }

    /// Whether a call may be dropped when its result is unused.
    pub const fn droppable(&self) -> bool {
        matches!(self.failure, Failure::Never)
            && !matches!(self.class, Class::Full)
            && !matches!(self.access, Access::Writes(_))
    }
}

/// The arguments of a call, first to last.
#[derive(Clone, Copy, Debug)]
pub struct Args {
    list: [Ref; Helper::MAX_ARGS],
    /// Where they begin.
    first: usize,
}

impl Args {
    /// From an iterator over the arguments from the last one on.
    pub fn from_last(args: impl Iterator<Item = Ref>) -> Args {
        let mut found = Args { list: [Ref::NONE; Helper::MAX_ARGS], first: Helper::MAX_ARGS };
        for arg in args.take(Helper::MAX_ARGS) {
            found.first -= 1;
            found.list[found.first] = arg;
        }
        found
    }
}

impl std::ops::Deref for Args {
    type Target = [Ref];
    fn deref(&self) -> &[Ref] {
        &self.list[self.first..]
    }
}
