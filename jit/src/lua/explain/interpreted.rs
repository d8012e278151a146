//! What debuggers are told of a line of interpreted code: all variables are in the Lua stack, and what types they have is seen there.
#![forbid(unsafe_code)]

use std::ops::Range;

use perilune_interpreter::lua::names::declared_name;
use perilune_runtime::lua::function::Proto;
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::layout;
use perilune_unwind::frame::X86_64;
use perilune_unwind::lines::{Function, Row, Scope, ScopeKind, Variable};
use perilune_unwind::object::Symbol;
use perilune_unwind::types::Expression;

use super::Files;
use super::variables::{VALUE, has_type, tag_type};
use crate::code::exit::spill_offset;
use crate::code::publish::Publisher;

/// Bytes that are never run in front of the code for a line with which no function begins.
pub const LEAD: usize = 1;

/// The spill slots with the address of the coroutine, and with the distance of the frame's base from the start of its stack in bytes.
pub const BASE_SLOTS: [u16; 2] = [0, 1];

/// A line of interpreted code.
pub struct InterpretedLine<'a> {
    /// The function.
    pub proto: Gc<Proto>,
    /// The line.
    pub line: u32,
    /// The function begins with it: the code is entered at its first byte. Else there is a [`LEAD`].
    pub begins: bool,
    /// What [`interpreted_variables`] has found.
    pub variables: &'a [(u16, u8)],
    /// The code that stands for it.
    pub code: Range<usize>,
}

/// The variables that are in scope at an instruction: their indices among those of the function, and the tags of those that have a type.
pub fn interpreted_variables(proto: Gc<Proto>, pc: usize, tag: impl Fn(usize) -> u8) -> Vec<(u16, u8)> {
    // Parameters that are captured have no cells yet before the body begins.
    let is_there = |in_cell: bool| !in_cell || pc >= proto.body_start();
    let variables = proto.locals.iter().enumerate().take_while(|(_, v)| v.start as usize <= pc);
    let alive = variables.filter(|(_, v)| pc < v.end as usize && v.name.first() != Some(&b'(') && is_there(v.in_cell));
    alive.map(|(n, v)| (n as u16, if v.in_cell { OPEN } else { kind(tag(v.register.into())) })).collect()
}

/// No type is said of these variables: their tags tell.
pub fn leave_types_open(variables: &mut [(u16, u8)]) {
    variables.iter_mut().for_each(|(_, tag)| *tag = OPEN);
}

/// In place of a tag: the type is not known.
const OPEN: u8 = u8::MAX;

fn kind(tag: u8) -> u8 {
    if has_type(tag) { tag } else { OPEN }
}

/// The description of a line.
pub fn interpreted(described: InterpretedLine<'_>, publisher: &mut Publisher) -> Function {
    let InterpretedLine { proto, line, begins, variables, code } = described;
    let file = Files { publisher, known: Vec::new() }.get(proto);
    let whole = 0..code.len() as u32;
    // Breakpoints on the function go to the first byte, those on lines to the first row.
    let row = Row { offset: if begins { 0 } else { LEAD as u32 }, file, line, is_statement: true };
    let is_parameter = |n: &u16| {
        usize::from(*n) < usize::from(proto.parameters) && u16::from(proto.locals[usize::from(*n)].register) == *n
    };
    let (parameters, others): (Vec<_>, Vec<_>) = variables.iter().partition(|(n, _)| is_parameter(n));
    let all = |list: Vec<(u16, u8)>| list.into_iter().map(|v| variable(proto, v, &whole)).collect();
    let block = Scope { range: whole.clone(), kind: ScopeKind::Block, variables: all(others), scopes: Vec::new() };
    let line = line.max(1);
    Function {
        symbol: Symbol { name: format!("line_{line}"), start: code.start as u64, size: code.len() as u64 },
        name: declared_name(&proto),
        file,
        line,
        rows: vec![row],
        parameters: all(parameters),
        scopes: vec![block],
    }
}

/// The description of a function whose lines have a byte each, from `start` on, which stand for them before there is other code.
pub fn lines_to_come(proto: Gc<Proto>, lines: &[u32], start: usize, publisher: &mut Publisher) -> Function {
    let file = Files { publisher, known: Vec::new() }.get(proto);
    let row = |(offset, line): (u32, &u32)| Row { offset, file, line: *line, is_statement: true };
    let name = declared_name(&proto);
    // Conditions of breakpoints may name variables.
    let block = |(offset, line): (u32, &u32)| {
        let range = offset..offset + 1;
        let pc = (proto.body_start()..proto.code_len()).find(|pc| proto.line(*pc) == *line).unwrap_or_default();
        let variables = interpreted_variables(proto, pc, |_| OPEN);
        let variables = variables.into_iter().map(|v| variable(proto, v, &range)).collect();
        Scope { range, kind: ScopeKind::Block, variables, scopes: Vec::new() }
    };
    Function {
        symbol: Symbol { name: format!("lines_of_{name}"), start: start as u64, size: lines.len() as u64 },
        name,
        file,
        line: lines.first().copied().unwrap_or(1),
        rows: (0..).zip(lines).map(row).collect(),
        parameters: Vec::new(),
        scopes: (0..).zip(lines).map(block).collect(),
    }
}

fn variable(proto: Gc<Proto>, (n, tag): (u16, u8), range: &Range<u32>) -> Variable {
    let local = &proto.locals[usize::from(n)];
    let [thread, base] = BASE_SLOTS.map(|slot| Expression::memory(X86_64::RBP, spill_offset(slot).into()).deref());
    let stack = thread.plus(layout::THREAD_STACK as u64).deref();
    let slot = stack.plus_place(&base).plus(u64::from(local.register) * layout::VALUE_SIZE as u64);
    let (ty, place) = match tag {
        OPEN if local.in_cell => (VALUE, slot.deref().plus(layout::CELL_VALUE as u64)),
        OPEN => (VALUE, slot),
        // The value may change while the line is executed, and then so may its type.
        tag => (tag_type(tag), slot.if_byte(layout::VALUE_TAG as u64, tag)),
    };
    let name = String::from_utf8_lossy(&local.name).into_owned();
    Variable { name, ty, places: vec![(range.clone(), place)] }
}
