//! Writing binary chunks.

#![forbid(unsafe_code)]

use perilune_runtime::lua::bytecode::{self as bc, Extra, Word};
use perilune_runtime::lua::function::Proto;
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::value::Value;

use super::{HEADER, kind};

/// The binary chunk of a function; `strip` leaves out what only messages and debugging want.
pub fn dump(proto: Gc<Proto>, strip: bool) -> Vec<u8> {
    let mut writer = Writer { out: HEADER.to_vec(), strip };
    writer.function(proto, None);
    writer.out
}

struct Writer {
    out: Vec<u8>,
    strip: bool,
}

impl Writer {
    fn number(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.out.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.out.push(n as u8);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.out.extend_from_slice(bytes);
    }

    /// `outer` is the source of the enclosing function: an empty one stands for the same.
    fn function(&mut self, proto: Gc<Proto>, outer: Option<&[u8]>) {
        let source = if self.strip || outer == Some(&proto.source[..]) { b"" } else { &proto.source[..] };
        self.bytes(source);
        self.number(proto.line_defined.into());
        self.number(proto.last_line_defined.into());
        self.out.extend_from_slice(&[proto.parameters, u8::from(proto.is_vararg), proto.max_stack]);
        let code = plain_code(proto);
        self.number(code.len() as u64);
        code.iter().for_each(|word| self.out.extend_from_slice(&word.to_le_bytes()));
        self.number(proto.constant_count() as u64);
        (0..proto.constant_count()).for_each(|i| self.constant(proto.constant(i)));
        self.number(proto.upvalues.len() as u64);
        for upvalue in &proto.upvalues {
            self.out.extend_from_slice(&[u8::from(upvalue.in_register), upvalue.index]);
        }
        self.number(proto.functions.len() as u64);
        proto.functions.iter().for_each(|f| self.function(*f, Some(&proto.source)));
        self.debug(proto);
    }

    fn constant(&mut self, value: Value) {
        if let Some(s) = value.as_string() {
            self.out.push(kind::STRING);
            self.bytes(s.bytes());
        } else if value.is_integer() {
            self.out.push(kind::INTEGER);
            self.out.extend_from_slice(&value.raw_integer().to_le_bytes());
        } else if value.is_float() {
            self.out.push(kind::FLOAT);
            self.out.extend_from_slice(&value.raw_float().to_bits().to_le_bytes());
        } else if value.is_nil() {
            self.out.push(kind::NIL);
        } else {
            self.out.push(if value.is_falsy() { kind::FALSE } else { kind::TRUE });
        }
    }

    /// Lines, local variables and the names of upvalues; none of them if stripped.
    fn debug(&mut self, proto: Gc<Proto>) {
        if self.strip {
            self.out.extend_from_slice(&[0, 0, 0]);
            return;
        }
        self.number(proto.lines.len() as u64);
        let mut last = 0u32;
        for &line in &proto.lines {
            // The difference, its sign in the lowest bit.
            let step = i64::from(line) - i64::from(last);
            self.number((step << 1 ^ step >> 63) as u64);
            last = line;
        }
        self.number(proto.locals.len() as u64);
        for local in &proto.locals {
            self.bytes(&local.name);
            self.out.extend_from_slice(&[local.register, u8::from(local.in_cell)]);
            self.number(local.start.into());
            self.number(local.end.into());
        }
        self.number(proto.upvalues.len() as u64);
        proto.upvalues.iter().for_each(|upvalue| self.bytes(&upvalue.name));
    }
}

/// The code as it was compiled, without the state of counters and caches.
fn plain_code(proto: Gc<Proto>) -> Vec<Word> {
    let mut code = proto.original_code();
    let mut pc = 0;
    while pc < code.len() {
        let op = bc::op(code[pc]);
        if matches!(op.extra(), Extra::Cache | Extra::Counter) {
            code[pc + 1] = 0;
        }
        pc += op.words();
    }
    code
}
