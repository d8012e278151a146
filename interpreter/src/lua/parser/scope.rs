//! Scopes: what names and labels mean, decided while they are read (manual §3.5, §3.3.4).
//!
//! Finding a name in an enclosing function makes it an upvalue of all functions in between and marks the variable as
//! captured; assigning to it, wherever that happens, marks it as assigned. A jump to a label that has been seen is bound at
//! once, others wait until the label comes or their block ends.
#![forbid(unsafe_code)]

use super::super::ast::{
    Attribute, Capture, Expr, ExprId, Function, FunctionId, GotoId, Label, LabelId, Local, LocalId, Upvalue,
};
use super::super::source::Parsed;
use super::super::symbol::Symbol;
use super::Parser;
use perilune_runtime::lua::function::MAX_UPVALUES;

/// Limit on local variables of a function that are alive at once.
const MAX_LOCALS: usize = 200;

/// A function that is being read.
pub(super) struct FunctionScope {
    pub(super) id: FunctionId,
    /// Where its variables begin in `Parser::visible`.
    first_local: usize,
    /// How many of its variables are visible.
    visible: usize,
    /// Where its labels begin in `Parser::labels`.
    first_label: usize,
    /// Where its blocks begin in `Parser::blocks`.
    first_block: usize,
    pub(super) upvalues: Vec<Upvalue>,
}

/// A block that is being read.
pub(super) struct BlockScope {
    /// How many variables of the function are visible outside.
    visible: usize,
    first_label: usize,
    first_goto: usize,
    /// Where `break` goes, if the block is a loop.
    exit: Option<LabelId>,
}

/// A label that jumps may go to.
pub(super) struct ActiveLabel {
    name: Symbol,
    line: u32,
    id: LabelId,
}

/// A jump whose label has not been seen.
#[derive(Clone, Copy)]
pub(super) struct PendingGoto {
    name: Symbol,
    line: u32,
    id: GotoId,
    /// How many variables of the function are visible both here and there, as far as is known.
    visible: usize,
}

/// A label that no jump is bound to yet.
const UNBOUND: LabelId = LabelId(u32::MAX);

/// What a name is.
enum Meaning {
    Local(LocalId),
    Constant(LocalId),
    Upvalue(u8),
    Unknown,
}

impl Parser<'_> {
    fn function(&self) -> &FunctionScope {
        self.functions.last().expect("the main function is open as long as there are tokens")
    }

    fn function_mut(&mut self) -> &mut FunctionScope {
        self.functions.last_mut().expect("the main function is open as long as there are tokens")
    }

    pub(super) fn is_vararg(&self) -> bool {
        self.ast.function(self.function().id).is_vararg
    }

    // -------------------------------------------------------------------------------------------------- functions

    /// Opens the main function, whose only upvalue is the environment.
    pub(super) fn open_main(&mut self) -> FunctionId {
        let name = self.env;
        self.ast.locals.push(Local {
            name,
            attribute: Attribute::Regular,
            constant: None,
            captured: true,
            assigned: false,
        });
        let id = self.open_function(0);
        self.function_mut().upvalues.push(Upvalue { name, capture: Capture::Environment, local: LocalId(0) });
        self.ast.functions[0].is_vararg = true;
        id
    }

    pub(super) fn open_function(&mut self, line: u32) -> FunctionId {
        let id = FunctionId(self.ast.functions.len() as u32);
        let first_parameter = self.ast.locals.len() as u32;
        self.ast.functions.push(Function { line, first_parameter, ..Function::default() });
        self.functions.push(FunctionScope {
            id,
            first_local: self.visible.len(),
            visible: 0,
            first_label: self.labels.len(),
            first_block: self.blocks.len(),
            upvalues: Vec::new(),
        });
        self.open_block(None);
        id
    }

    pub(super) fn close_function(&mut self, id: FunctionId, body: super::Block, end_line: u32) -> Parsed<()> {
        self.close_block()?;
        if let Some(scope) = self.functions.pop() {
            self.visible.truncate(scope.first_local);
            let function = &mut self.ast.functions[id.0 as usize];
            function.upvalues = scope.upvalues;
            function.body = body;
            function.end_line = end_line;
        }
        Ok(())
    }

    pub(super) fn limit(&self, what: &str, limit: usize, function: FunctionId) -> Parsed<()> {
        let place = match self.ast.function(function).line {
            0 => "main function".to_string(),
            line => format!("function at line {line}"),
        };
        Err(self.error(&format!("too many {what} (limit is {limit}) in {place}")))
    }

    // -------------------------------------------------------------------------------------------------- variables

    /// Declares a variable, which is not visible before [`Parser::show`].
    pub(super) fn declare(&mut self, name: Symbol) -> Parsed<LocalId> {
        let function = self.function();
        if self.visible.len() + 1 - function.first_local > MAX_LOCALS {
            self.limit("local variables", MAX_LOCALS, function.id)?;
        }
        let id = LocalId(self.ast.locals.len() as u32);
        let attribute = Attribute::Regular;
        self.ast.locals.push(Local { name, attribute, constant: None, captured: false, assigned: false });
        self.visible.push(id);
        Ok(id)
    }

    /// Declares a variable of the compiler's own, which no name finds but which counts.
    pub(super) fn declare_hidden(&mut self, count: usize) -> Parsed<()> {
        let name = self.lexer.symbols.intern(b"(for state)");
        for _ in 0..count {
            self.declare(name)?;
        }
        Ok(())
    }

    /// The oldest `count` declared variables become visible.
    pub(super) fn show(&mut self, count: usize) {
        self.function_mut().visible += count;
    }

    fn find_in(&self, function: &FunctionScope, name: Symbol) -> Option<LocalId> {
        let locals = &self.visible[function.first_local..function.first_local + function.visible];
        locals.iter().rev().copied().find(|&id| self.ast.local(id).name == name)
    }

    /// What `name` is in the function at `depth`; makes upvalues where it belongs to an outer one.
    fn resolve(&mut self, depth: usize, name: Symbol) -> Parsed<Meaning> {
        // Outwards to the function that knows the name ...
        let mut at = depth;
        let mut found = loop {
            let function = &self.functions[at];
            if let Some(id) = self.find_in(function, name) {
                let local = &mut self.ast.locals[id.0 as usize];
                if local.constant.is_some() {
                    return Ok(Meaning::Constant(id));
                }
                if at == depth {
                    return Ok(Meaning::Local(id));
                }
                local.captured = true;
                break (Capture::Local(id), id);
            }
            // In a session the main function may have two of a name, of which the later one is meant.
            if let Some(n) = function.upvalues.iter().rposition(|u| u.name == name) {
                if at == depth {
                    return Ok(Meaning::Upvalue(n as u8));
                }
                let local = function.upvalues[n].local;
                break (Capture::Upvalue(n as u8), local);
            }
            if at == 0 {
                match self.known_upvalue(name)? {
                    None => return Ok(Meaning::Unknown),
                    Some((n, _)) if depth == 0 => return Ok(Meaning::Upvalue(n)),
                    Some((n, local)) => break (Capture::Upvalue(n), local),
                }
            }
            at -= 1;
        };
        // ... and back in, through the functions that do not have it yet.
        while at < depth {
            at += 1;
            let n = self.functions[at].upvalues.len();
            if n >= MAX_UPVALUES {
                self.limit("upvalues", MAX_UPVALUES, self.functions[at].id)?;
            }
            let (capture, local) = found;
            self.functions[at].upvalues.push(Upvalue { name, capture, local });
            found = (Capture::Upvalue(n as u8), local);
        }
        let Capture::Upvalue(n) = found.0 else { return Ok(Meaning::Unknown) };
        Ok(Meaning::Upvalue(n))
    }

    /// The expression for a name.
    pub(super) fn variable(&mut self, name: Symbol, line: u32) -> Parsed<ExprId> {
        let depth = self.functions.len() - 1;
        let expr = match self.resolve(depth, name)? {
            Meaning::Local(id) => Expr::Local(id),
            Meaning::Constant(id) => Expr::ConstLocal(id),
            Meaning::Upvalue(n) => Expr::Upvalue(n),
            Meaning::Unknown => {
                let object = match self.resolve(depth, self.env)? {
                    Meaning::Local(id) => Expr::Local(id),
                    Meaning::Upvalue(n) => Expr::Upvalue(n),
                    Meaning::Constant(id) => self.ast.local(id).constant.unwrap_or(Expr::Nil),
                    Meaning::Unknown => Expr::Nil, // never: the main function has it
                };
                let object = self.new_expr(object, line);
                let key = self.new_expr(Expr::Str(name), line);
                Expr::Index { object, key }
            }
        };
        Ok(self.new_expr(expr, line))
    }

    /// Checks that `target` may be assigned to, and notes that it is.
    pub(super) fn assign_to(&mut self, target: ExprId) -> Parsed<()> {
        let id = match self.ast.expr(target) {
            Expr::Local(id) | Expr::ConstLocal(id) => id,
            Expr::Upvalue(n) => self.function().upvalues[usize::from(n)].local,
            _ => return Ok(()),
        };
        let local = &mut self.ast.locals[id.0 as usize];
        if local.attribute == Attribute::Regular {
            local.assigned = true;
            return Ok(());
        }
        let name = String::from_utf8_lossy(self.lexer.symbols.text(local.name)).into_owned();
        Err(self.semantic_error(&format!("attempt to assign to const variable '{name}'")))
    }

    // ------------------------------------------------------------------------------------------- blocks and labels

    pub(super) fn open_block(&mut self, exit: Option<LabelId>) {
        self.blocks.push(BlockScope {
            visible: self.function().visible,
            first_label: self.labels.len(),
            first_goto: self.gotos.len(),
            exit,
        });
    }

    pub(super) fn close_block(&mut self) -> Parsed<()> {
        let Some(block) = self.blocks.pop() else { return Ok(()) };
        let function = self.function_mut();
        function.visible = block.visible;
        let (first_local, outermost) = (function.first_local, function.first_block == self.blocks.len());
        self.visible.truncate(first_local + block.visible);
        self.labels.truncate(block.first_label);
        if let Some(exit) = block.exit {
            let name = self.break_name();
            self.bind_gotos(block.first_goto, name, exit)?;
        }
        for goto in &mut self.gotos[block.first_goto..] {
            goto.visible = goto.visible.min(block.visible);
        }
        if outermost && let Some(goto) = self.gotos.get(block.first_goto) {
            let (name, line) = (self.lexer.symbols.text(goto.name), goto.line);
            let name = String::from_utf8_lossy(name);
            return Err(self.semantic_error(&if name == "break" {
                format!("break outside loop at line {line}")
            } else {
                format!("no visible label '{name}' for <goto> at line {line}")
            }));
        }
        Ok(())
    }

    fn break_name(&mut self) -> Symbol {
        // A reserved word, so that no label has this name.
        self.lexer.symbols.intern(b"break")
    }

    pub(super) fn new_label(&mut self) -> LabelId {
        let id = LabelId(self.ast.labels.len() as u32);
        self.ast.labels.push(Label { level: self.function().visible as u32 });
        id
    }

    fn find_label(&self, name: Symbol) -> Option<&ActiveLabel> {
        self.labels[self.function().first_label..].iter().find(|l| l.name == name)
    }

    pub(super) fn check_repeated_label(&self, name: Symbol) -> Parsed<()> {
        let Some(label) = self.find_label(name) else { return Ok(()) };
        let (name, line) = (String::from_utf8_lossy(self.lexer.symbols.text(name)), label.line);
        Err(self.semantic_error(&format!("label '{name}' already defined on line {line}")))
    }

    /// Makes the label `name` known and binds the jumps to it that wait in its block. Where nothing follows it in the
    /// block (`last`), the block's variables count as gone.
    pub(super) fn define_label(&mut self, name: Symbol, line: u32, last: bool) -> Parsed<LabelId> {
        let id = self.new_label();
        self.labels.push(ActiveLabel { name, line, id });
        let (first_goto, outside) = match self.blocks.last() {
            Some(block) => (block.first_goto, block.visible),
            None => (0, 0),
        };
        if last {
            self.ast.labels[id.0 as usize].level = outside as u32;
        }
        self.bind_gotos(first_goto, name, id)?;
        Ok(id)
    }

    fn bind_gotos(&mut self, first: usize, name: Symbol, label: LabelId) -> Parsed<()> {
        let level = self.ast.labels[label.0 as usize].level as usize;
        let mut kept = first;
        for i in first..self.gotos.len() {
            let goto = self.gotos[i];
            if goto.name != name {
                self.gotos[kept] = goto;
                kept += 1;
                continue;
            }
            if goto.visible < level {
                let entered = self.visible[self.function().first_local + goto.visible];
                let variable = String::from_utf8_lossy(self.lexer.symbols.text(self.ast.local(entered).name));
                let label = String::from_utf8_lossy(self.lexer.symbols.text(name));
                let line = goto.line;
                let message = format!("<goto {label}> at line {line} jumps into the scope of local '{variable}'");
                return Err(self.semantic_error(&message));
            }
            self.ast.gotos[goto.id.0 as usize] = label;
        }
        self.gotos.truncate(kept);
        Ok(())
    }

    /// A jump to the label `name`.
    pub(super) fn goto(&mut self, name: Symbol, line: u32) -> GotoId {
        let id = GotoId(self.ast.gotos.len() as u32);
        let known = self.find_label(name).map(|l| l.id);
        self.ast.gotos.push(known.unwrap_or(UNBOUND));
        if known.is_none() {
            self.gotos.push(PendingGoto { name, line, id, visible: self.function().visible });
        }
        id
    }

    /// A jump out of the innermost loop.
    pub(super) fn break_out(&mut self, line: u32) -> GotoId {
        let name = self.break_name();
        self.goto(name, line)
    }
}
