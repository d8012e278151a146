//! The names under which functions are declared, for debuggers and profilers: `f` for `local function f` and `f = function`,
//! `a.b.c` for `function a.b:c` and `a.b.c = function`. (Messages name a function by how it is called, as PUC Lua does.)
#![forbid(unsafe_code)]

use std::rc::Rc;

use super::Compiler;
use crate::lua::ast::{Expr, ExprId, LocalId};

impl Compiler<'_> {
    /// Names the functions among the values that new variables get.
    pub(super) fn name_for_locals(&mut self, first: LocalId, values: &[ExprId]) {
        for (n, value) in values.iter().enumerate() {
            if let Expr::Function(id) = self.ast.expr(*value)
                && let Some(local) = self.ast.locals.get(first.0 as usize + n)
            {
                self.chunk.declared[id.0 as usize] = Some(self.chunk.symbols.shared(local.name));
            }
        }
    }

    /// Names the functions among values that are assigned.
    pub(super) fn name_for_targets(&mut self, targets: &[ExprId], values: &[ExprId]) {
        for (target, value) in targets.iter().zip(values) {
            if let Expr::Function(id) = self.ast.expr(*value) {
                let mut name = Vec::new();
                if self.path(*target, &mut name) {
                    self.chunk.declared[id.0 as usize] = Some(Rc::from(name));
                }
            }
        }
    }

    /// Writes a variable as a path of names; false if it is none.
    fn path(&self, mut variable: ExprId, name: &mut Vec<u8>) -> bool {
        let mut parts = Vec::new();
        loop {
            match self.ast.expr(variable) {
                Expr::Index { object, key } => {
                    let Expr::Str(key) = self.ast.expr(key) else { return false };
                    parts.push(key);
                    variable = object;
                }
                Expr::Local(local) | Expr::ConstLocal(local) => break parts.push(self.ast.local(local).name),
                Expr::Upvalue(n) => break parts.push(self.ast.function(self.id).upvalues[usize::from(n)].name),
                _ => return false,
            }
        }
        let parts: Vec<&[u8]> = parts.iter().rev().map(|part| self.chunk.symbols.text(*part)).collect();
        // Globals are fields of `_ENV`.
        let parts = if parts.len() > 1 && parts[0] == b"_ENV" { &parts[1..] } else { &parts[..] };
        name.extend_from_slice(&parts.join(&b'.'));
        true
    }
}
