//! The bytecode compiler: from a syntax tree to prototypes.
//!
//! Each function is compiled on its own, in one pass over its part of the tree; functions inside it follow later, so that
//! their nesting costs no recursion. `emit` writes words: jumps, constants, registers. `operand` holds the descriptions of
//! half-compiled expressions (*operands*) and brings them into registers; `expr` and `op` compile expressions, `stat`
//! statements. `declared` finds the names of functions.
//!
//! Invariants: local variables lie in registers in the order of their declaration, temporaries above them, like a stack;
//! what allocates a register frees it. A captured variable's register holds a cell from the end of its declaration on.
//!
//! A limit that is hit (registers, jump distances) is noted and reported in the end; until then the code goes wrong
//! quietly, which spares a check at every word emitted.
#![forbid(unsafe_code)]

mod declared;
mod emit;
mod expr;
mod op;
mod operand;
mod stat;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::rc::Rc;

use perilune_runtime::lua::bytecode::{self as bc, Op};
use perilune_runtime::lua::prototype::{LocalVariable, Prototype, UpvalueSource};

use super::ast::{Ast, Attribute, Capture, ExprId, FunctionId, LocalId, Upvalue};
use super::parser::{self, Variable};
use super::source::{Parsed, SyntaxError, chunk_id};
use super::symbol::{Symbol, Symbols};
use emit::{JumpList, NO_JUMP};

/// Compiles a chunk; `name` is its name, with `@` or `=` in front where it has one. The main function has one upvalue,
/// its environment.
pub fn compile(src: &[u8], name: &[u8]) -> Parsed<Rc<Prototype>> {
    let ast = parser::parse(src, name)?;
    compile_ast(ast, name)
}

/// Compiles a chunk of a session, whose variables so far are `known`. Behind the environment, the main function has an
/// upvalue for each of the answered variables: known ones that it uses, and new ones that it declares.
pub fn compile_session(src: &[u8], name: &[u8], known: &[Variable]) -> Parsed<(Rc<Prototype>, Vec<Shared>)> {
    let ast = parser::parse_session(src, name, known)?;
    let shared = |upvalue: &Upvalue| {
        let known = match upvalue.capture {
            Capture::Known(n) => Some(n as usize),
            _ => None,
        };
        let name = ast.symbols.text(upvalue.name).to_vec();
        let constant = ast.local(upvalue.local).attribute == Attribute::Const;
        Shared { known, variable: Variable { name, constant } }
    };
    let all = ast.functions[0].upvalues[1..].iter().map(shared).collect();
    Ok((compile_ast(ast, name)?, all))
}

/// A variable that a chunk shares with its session.
pub struct Shared {
    /// Its number among those that are known; none: the chunk declares it.
    pub known: Option<usize>,
    /// The variable.
    pub variable: Variable,
}

/// Compiles a chunk that has been parsed.
pub fn compile_ast(mut ast: Ast, name: &[u8]) -> Parsed<Rc<Prototype>> {
    let source: Rc<[u8]> = name.into();
    let mut chunk = Chunk {
        registers: vec![0; ast.locals.len()],
        labels: vec![LabelState { pc: None, pending: NO_JUMP, level: 0 }; ast.labels.len()],
        string_constants: vec![(u32::MAX, 0); ast.symbols.len()],
        symbols: std::mem::take(&mut ast.symbols),
        spine: Vec::new(),
        targets: Vec::new(),
        declared: vec![None; ast.functions.len()],
    };
    let mut made: Vec<Made> = Vec::with_capacity(ast.functions.len());
    // An enclosing function comes first, so that the registers of captured variables are known.
    for id in 0..ast.functions.len() as u32 {
        let mut compiler = Compiler::new(&ast, &mut chunk, FunctionId(id));
        compiler.function();
        let Compiler { mut proto, children, failure, .. } = compiler;
        if let Some((message, line)) = failure {
            let mut text = chunk_id(name);
            text.extend_from_slice(format!(":{line}: {message}").as_bytes());
            return Err(Box::new(SyntaxError { message: text, unsaid_line: None, place: None }));
        }
        finish(&ast, &mut chunk, FunctionId(id), &mut proto);
        proto.source = source.clone();
        made.push(Made { proto, children });
    }
    Ok(assemble(made))
}

/// A compiled function that waits for those inside it.
struct Made {
    proto: Prototype,
    children: Vec<FunctionId>,
}

/// Fills in what a prototype takes over from the tree.
fn finish(ast: &Ast, chunk: &mut Chunk, id: FunctionId, proto: &mut Prototype) {
    let function = ast.function(id);
    proto.name = chunk.declared[id.0 as usize].take();
    proto.line_defined = function.line;
    proto.last_line_defined = if id.0 == 0 { 0 } else { function.end_line };
    proto.parameters = function.parameters as u8;
    proto.is_vararg = function.is_vararg;
    for upvalue in &function.upvalues {
        let (in_register, index) = match upvalue.capture {
            Capture::Local(local) => (true, chunk.registers[local.0 as usize]),
            Capture::Upvalue(n) => (false, n),
            Capture::Environment | Capture::Known(_) | Capture::Declared => (true, 0),
        };
        let constant = !ast.local(upvalue.local).assigned;
        let name = chunk.symbols.shared(upvalue.name);
        proto.upvalues.push(UpvalueSource { in_register, index, constant, name });
    }
}

/// Puts the functions into those around them, innermost first.
fn assemble(made: Vec<Made>) -> Rc<Prototype> {
    let mut done: Vec<Rc<Prototype>> = Vec::with_capacity(made.len());
    let count = made.len();
    for Made { mut proto, children } in made.into_iter().rev() {
        // A function's number is its place counted from the front; `done` is filled from the back.
        proto.functions = children.iter().map(|c| done[count - 1 - c.0 as usize].clone()).collect();
        done.push(Rc::new(proto));
    }
    done.pop().unwrap_or_default()
}

/// Where a label is, or who waits for it.
#[derive(Clone, Copy)]
struct LabelState {
    pc: Option<usize>,
    pending: JumpList,
    /// First register above the variables that are alive there.
    level: u32,
}

/// What the functions of a chunk share while they are compiled.
struct Chunk {
    /// The register of each local variable.
    registers: Vec<u8>,
    labels: Vec<LabelState>,
    symbols: Symbols,
    /// For each symbol the function that used it last as a constant, and the constant's index there.
    string_constants: Vec<(u32, u32)>,
    /// Scratch: expressions whose leftmost part is being compiled.
    spine: Vec<ExprId>,
    /// Scratch: targets of the assignments that are being compiled.
    targets: Vec<operand::Operand>,
    /// The names under which functions are declared.
    declared: Vec<Option<Rc<[u8]>>>,
}

/// A variable in scope.
struct Active {
    /// First register above the variables up to this one.
    level: u32,
    /// Its index in the list of the prototype, if it is there.
    debug: Option<usize>,
}

/// Compiles one function.
struct Compiler<'a> {
    ast: &'a Ast,
    chunk: &'a mut Chunk,
    id: FunctionId,
    proto: Prototype,
    /// Constants but for strings: kind and bits.
    constants: HashMap<(u8, u64), u32, emit::Hashing>,
    children: Vec<FunctionId>,
    /// The line of the words that are written.
    line: u32,
    /// Where the last instruction begins.
    last: Option<usize>,
    /// The last place known to be jumped to: no instruction before it may be changed together with one behind.
    last_target: usize,
    /// First free register.
    free: u32,
    active: Vec<Active>,
    /// Registers of the to-be-closed variables in scope.
    closers: Vec<u32>,
    failure: Option<(String, u32)>,
}

impl<'a> Compiler<'a> {
    fn new(ast: &'a Ast, chunk: &'a mut Chunk, id: FunctionId) -> Self {
        Compiler {
            ast,
            chunk,
            id,
            proto: Prototype::default(),
            constants: HashMap::default(),
            children: Vec::new(),
            line: 0,
            last: None,
            last_target: 0,
            free: 0,
            active: Vec::new(),
            closers: Vec::new(),
            failure: None,
        }
    }

    /// Notes that a limit has been hit; the first one is reported.
    #[cold]
    fn fail(&mut self, message: impl Into<String>) {
        if self.failure.is_none() {
            self.failure = Some((message.into(), self.line));
        }
    }

    fn function(&mut self) {
        let function = self.ast.function(self.id);
        self.line = function.line.max(1);
        self.proto.max_stack = 2;
        if function.is_vararg {
            self.emit(bc::abc(Op::VarArgPrep, function.parameters, 0, 0, false));
        }
        let first = LocalId(function.first_parameter);
        self.reserve(function.parameters);
        self.activate(first, function.parameters);
        self.wrap(first, function.parameters);
        for n in 0..function.parameters as usize {
            self.proto.locals[n].start = 0;
        }
        self.stats(function.body);
        self.line = function.end_line;
        let first = self.var_level();
        self.emit_return(first, 0);
        self.deactivate(0);
    }

    // -------------------------------------------------------------------------------------------------- variables

    /// First register above the variables in scope.
    fn var_level(&self) -> u32 {
        self.active.last().map_or(0, |a| a.level)
    }

    /// First register above the first `count` variables in scope.
    fn level_of(&self, count: u32) -> u32 {
        if count == 0 { 0 } else { self.active.get(count as usize - 1).map_or(self.var_level(), |a| a.level) }
    }

    /// The variables come into scope, in the registers above those that are.
    fn activate(&mut self, first: LocalId, count: u32) {
        for n in 0..count {
            let id = LocalId(first.0 + n);
            let local = self.ast.local(id);
            let register = self.var_level();
            if local.constant.is_some() {
                self.active.push(Active { level: register, debug: None });
                continue;
            }
            self.chunk.registers[id.0 as usize] = register as u8;
            self.push_active(local.name, register, local.captured);
        }
    }

    /// Variables of the compiler's own come into scope.
    fn activate_hidden(&mut self, count: u32) {
        let name = self.chunk.symbols.intern(b"(for state)");
        for _ in 0..count {
            let register = self.var_level();
            self.push_active(name, register, false);
        }
    }

    fn push_active(&mut self, name: Symbol, register: u32, in_cell: bool) {
        let name = self.chunk.symbols.shared(name);
        let start = self.pc() as u32;
        let debug = Some(self.proto.locals.len());
        self.proto.locals.push(LocalVariable { name, register: register as u8, in_cell, start, end: start });
        self.active.push(Active { level: register + 1, debug });
    }

    /// Puts the captured ones of these variables, which have just come into scope, into cells.
    fn wrap(&mut self, first: LocalId, count: u32) {
        for n in 0..count {
            let id = LocalId(first.0 + n);
            if self.ast.local(id).captured && self.ast.local(id).constant.is_none() {
                let register = u32::from(self.chunk.registers[id.0 as usize]);
                self.emit(bc::abc(Op::NewCell, register, 0, 0, false));
            }
        }
        let pc = self.pc() as u32;
        let first_active = self.active.len() - count as usize;
        for active in &self.active[first_active..] {
            if let Some(debug) = active.debug {
                self.proto.locals[debug].start = pc;
            }
        }
    }

    /// All variables but the first `count` go out of scope, and their registers are free.
    fn deactivate(&mut self, count: usize) {
        let end = self.pc() as u32;
        for active in self.active.drain(count..) {
            if let Some(debug) = active.debug {
                self.proto.locals[debug].end = end;
            }
        }
        self.free = self.var_level();
        while self.closers.last().is_some_and(|&r| r >= self.free) {
            self.closers.pop();
        }
    }
}
