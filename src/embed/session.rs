//! Sessions: chunks that see the local variables of those before them, as a REPL wants it.
#![forbid(unsafe_code)]

use perilune_interpreter::lua::parser::Variable;
use perilune_runtime::lua::function::Cell;
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::state::State;
use perilune_runtime::lua::value::Value as Raw;

use super::{Function, Lua, Result, Value, Values, machine};

/// Chunks that share local variables: what one declares at its outermost level, those after it can use, as if they stood in
/// one text. (`<close>` variables end with their chunk.)
///
/// ```
/// # fn main() -> perilune::Result<()> {
/// let lua = perilune::Lua::new();
/// let mut session = perilune::Session::new(&lua);
/// session.run(session.load("local x = 20", "=line 1")?)?;
/// let results = session.run(session.load("x = x + 1; return x * 2", "=line 2")?)?;
/// assert_eq!(results.0, [lua.pack(42)?]);
/// # Ok(())
/// # }
/// ```
pub struct Session<'a> {
    lua: &'a Lua,
    known: Vec<Variable>,
    /// For each variable a function that has it, and which upvalue it is there.
    cells: Vec<(Function, usize)>,
}

/// A chunk that has been loaded for a session.
pub struct Entry {
    function: Function,
    declared: Vec<(Variable, usize)>,
}

impl Entry {
    /// Its function.
    pub fn function(&self) -> &Function {
        &self.function
    }
}

impl Function {
    fn cell(&self, state: &State, place: usize) -> Option<Gc<Cell>> {
        self.0.raw(state).as_lua_function()?.cells().get(place).copied()
    }
}

impl<'a> Session<'a> {
    /// A session without variables.
    pub fn new(lua: &'a Lua) -> Session<'a> {
        Session { lua, known: Vec::new(), cells: Vec::new() }
    }

    /// Compiles a chunk: an expression, whose values are its results, or statements. See
    /// [`Chunk::name`](super::Chunk::name) for the name.
    ///
    /// # Errors
    /// Syntax errors.
    pub fn load(&self, text: impl AsRef<[u8]>, name: impl AsRef<[u8]>) -> Result<Entry> {
        let (text, name) = (text.as_ref(), name.as_ref());
        let load = |text: &[u8]| {
            machine::load_shared(self.lua, text, name, &self.known, |state, n| {
                let (function, place) = &self.cells[n];
                function.cell(state, *place)
            })
        };
        let (function, declared) = load(&[b"return ", text].concat()).or_else(|_| load(text))?;
        Ok(Entry { function: self.lua.unpack(function)?, declared })
    }

    /// Runs a chunk and keeps its variables; if it fails, those that were given a value before.
    ///
    /// # Errors
    /// Those of the chunk.
    pub fn run(&mut self, entry: Entry) -> Result<Values> {
        let outcome = entry.function.call(());
        for (variable, place) in entry.declared {
            let cell = (entry.function.clone(), place);
            if outcome.is_err() && value_of(&cell).is_nil() {
                continue;
            }
            if let Some(n) = self.known.iter().position(|v| v.name == variable.name) {
                self.known.remove(n);
                self.cells.remove(n);
            }
            self.known.push(variable);
            self.cells.push(cell);
        }
        outcome
    }

    /// The names of the variables.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.known.iter().map(|variable| &variable.name[..])
    }

    /// The value of a variable.
    pub fn get(&self, name: &[u8]) -> Option<Value> {
        let n = self.known.iter().position(|variable| variable.name == name)?;
        Some(value_of(&self.cells[n]))
    }
}

fn value_of((function, place): &(Function, usize)) -> Value {
    function.0.with(|state, _| {
        let raw = function.cell(state, *place).map_or(Raw::NIL, |cell| cell.get());
        Value::from_raw(&function.0.shared, state, raw)
    })
}
