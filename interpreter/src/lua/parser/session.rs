//! Sessions: chunks that share variables, as the lines that are typed at a prompt.
//!
//! What a chunk of a session declares with `local` at its outermost level becomes an upvalue of its main function, and so
//! does what it uses of the chunks before it. The chunks' functions can then share the cells. A declaration is an
//! assignment to these new upvalues; until it, the name means what it meant before.
#![forbid(unsafe_code)]

use super::super::ast::{Attribute, Capture, Expr, ExprId, Local, LocalId, Span, StatKind, Upvalue};
use super::super::source::Parsed;
use super::super::symbol::Symbol;
use super::{Parser, finish_list};
use perilune_runtime::lua::function::MAX_UPVALUES;

/// A variable of a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Variable {
    /// Its name. The last one of a name is meant.
    pub name: Vec<u8>,
    /// It was declared `<const>`.
    pub constant: bool,
}

impl Parser<'_> {
    /// Makes variables of the tree of those that are known.
    pub(super) fn know(&mut self, known: &[Variable]) -> Vec<LocalId> {
        let mut ids = Vec::with_capacity(known.len());
        for variable in known {
            let name = self.lexer.symbols.intern(&variable.name);
            let attribute = if variable.constant { Attribute::Const } else { Attribute::Regular };
            ids.push(LocalId(self.ast.locals.len() as u32));
            // Other chunks may assign to it.
            self.ast.locals.push(Local { name, attribute, constant: None, captured: true, assigned: true });
        }
        ids
    }

    /// The main function's upvalue for a variable of the session, made if there is one of this name.
    pub(super) fn known_upvalue(&mut self, name: Symbol) -> Parsed<Option<(u8, LocalId)>> {
        let known = self.session.as_deref().unwrap_or_default();
        let Some(n) = known.iter().rposition(|id| self.ast.local(*id).name == name) else { return Ok(None) };
        let local = known[n];
        Ok(Some((self.share(name, Capture::Known(n as u32), local)?, local)))
    }

    fn share(&mut self, name: Symbol, capture: Capture, local: LocalId) -> Parsed<u8> {
        let n = self.functions[0].upvalues.len();
        if n >= MAX_UPVALUES {
            self.limit("upvalues", MAX_UPVALUES, self.functions[0].id)?;
        }
        self.functions[0].upvalues.push(Upvalue { name, capture, local });
        Ok(n as u8)
    }

    /// Does a variable of this name that is declared here belong to the session?
    pub(super) fn is_shared(&self, name: Symbol) -> bool {
        self.session.is_some() && self.functions.len() == 1 && self.blocks.len() == 1 && name != self.env
    }

    /// Gives the variable that was declared last to the session; answers it as the target of an assignment.
    pub(super) fn give(&mut self, id: LocalId, line: u32) -> Parsed<ExprId> {
        let local = &mut self.ast.locals[id.0 as usize];
        (local.captured, local.assigned) = (true, true);
        let name = local.name;
        let n = self.share(name, Capture::Declared, id)?;
        Ok(self.new_expr(Expr::Upvalue(n), line))
    }

    /// `local a, b = ...` where the variables belong to the session: they are declared and not visible.
    pub(super) fn give_all(&mut self, first: LocalId, count: u32, values: Span, line: u32) -> Parsed<()> {
        self.visible.truncate(self.visible.len() - count as usize);
        let base = self.pending_exprs.len();
        for id in first.0..first.0 + count {
            let target = self.give(LocalId(id), line)?;
            self.pending_exprs.push(target);
        }
        let targets = finish_list(&mut self.pending_exprs, base, &mut self.ast.lists);
        let values = if values.len == 0 {
            let nil = self.new_expr(Expr::Nil, line);
            self.pending_exprs.push(nil);
            finish_list(&mut self.pending_exprs, base, &mut self.ast.lists)
        } else {
            values
        };
        self.push(StatKind::Assign { targets, values }, line);
        Ok(())
    }
}
