//! What the compiler makes of a function, before it is given a place in the heap.
//!
//! A [`Prototype`] owns plain Rust data only, so that the compiler needs no state and no collector. Loading turns the tree
//! into heap objects ([`crate::lua::function::Proto`]).

#![forbid(unsafe_code)]

use std::rc::Rc;

use super::bytecode::Word;

/// A constant of a function.
#[derive(Clone, Debug)]
pub enum Constant {
    /// nil
    Nil,
    /// A boolean.
    Boolean(bool),
    /// An integer.
    Integer(i64),
    /// A float.
    Float(f64),
    /// A string, short or long.
    String(Rc<[u8]>),
}

/// Where a closure finds an upvalue's cell when it is made.
#[derive(Clone, Debug)]
pub struct UpvalueSource {
    /// In a register of the enclosing function; otherwise among its upvalues.
    pub in_register: bool,
    /// The register or the upvalue's index.
    pub index: u8,
    /// The variable is never assigned after its initialization.
    pub constant: bool,
    /// The variable's name.
    pub name: Rc<[u8]>,
}

/// A local variable's life.
#[derive(Clone, Debug)]
pub struct LocalVariable {
    /// Its name; generated ones as `(for state)`.
    pub name: Rc<[u8]>,
    /// Its register.
    pub register: u8,
    /// The register holds a cell with the value in it.
    pub in_cell: bool,
    /// First instruction (an index into the code) where it is alive.
    pub start: u32,
    /// First instruction where it is no more.
    pub end: u32,
}

/// A compiled function.
#[derive(Clone, Debug, Default)]
pub struct Prototype {
    /// The code; extra words included.
    pub code: Vec<Word>,
    /// The constants.
    pub constants: Vec<Constant>,
    /// The functions inside this one.
    pub functions: Vec<Rc<Prototype>>,
    /// The upvalues.
    pub upvalues: Vec<UpvalueSource>,
    /// The line of each word of the code.
    pub lines: Vec<u32>,
    /// The local variables, in the order of their declaration.
    pub locals: Vec<LocalVariable>,
    /// The chunk's name as given to `load`, with `@` or `=` in front where there is one.
    pub source: Rc<[u8]>,
    /// The name under which it is declared: `f`, or `a.b` also for methods. Not part of binary chunks.
    pub name: Option<Rc<[u8]>>,
    /// The line where the function begins, 0 for a main chunk.
    pub line_defined: u32,
    /// The line where it ends, 0 for a main chunk.
    pub last_line_defined: u32,
    /// Number of fixed parameters.
    pub parameters: u8,
    /// Takes extra arguments.
    pub is_vararg: bool,
    /// Number of registers it needs.
    pub max_stack: u8,
    /// Number of inline caches it needs.
    pub caches: u32,
}
