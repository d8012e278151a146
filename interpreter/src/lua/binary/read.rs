//! Reading binary chunks.

#![forbid(unsafe_code)]

use std::rc::Rc;

use perilune_runtime::lua::bytecode::{self as bc, Extra, Op, Word};
use perilune_runtime::lua::prototype::{Constant, LocalVariable, Prototype, UpvalueSource};

use super::{HEADER, NO_NAME, NO_SOURCE, kind, verify};

/// Functions inside of one another; as many as the parser allows.
const MAX_DEPTH: usize = 200;

type Read<T> = Result<T, String>;

/// The function of a binary chunk, which can be run safely; otherwise what is wrong with the chunk.
pub fn read(chunk: &[u8]) -> Read<Prototype> {
    let mut reader = Reader { rest: chunk };
    for (n, &expected) in HEADER.iter().enumerate() {
        if reader.byte()? != expected {
            return Err(wrong_header(n).to_string());
        }
    }
    let prototype = reader.function(&NO_SOURCE.into(), MAX_DEPTH)?;
    verify::verify(&prototype)?;
    Ok(prototype)
}

/// What differs when a byte of the header does.
fn wrong_header(at: usize) -> &'static str {
    match at {
        0..4 => "not a binary chunk",
        4 => "version mismatch",
        5 => "format mismatch",
        6..12 => "corrupted chunk",
        12 => "Instruction size mismatch",
        13 => "lua_Integer size mismatch",
        14 => "lua_Number size mismatch",
        15..23 => "integer format mismatch",
        23..31 => "float format mismatch",
        _ => "not bytecode of this version of perilune",
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or("truncated chunk")?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Read<u8> {
        Ok(self.take(1)?[0])
    }

    fn flag(&mut self) -> Read<bool> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err("a flag is neither 0 nor 1".into()),
        }
    }

    fn eight(&mut self) -> Read<[u8; 8]> {
        self.take(8)?.try_into().map_err(|_| "truncated chunk".into())
    }

    fn number(&mut self) -> Read<u64> {
        let mut n = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            n |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(n);
            }
        }
        Err("integer overflow".into())
    }

    fn small(&mut self) -> Read<u32> {
        u32::try_from(self.number()?).map_err(|_| "integer overflow".into())
    }

    /// How many there are of something that takes at least `size` bytes each: never more than the chunk has room for.
    fn count(&mut self, size: usize) -> Read<usize> {
        let n = usize::try_from(self.number()?).map_err(|_| "integer overflow")?;
        if n > self.rest.len() / size { Err("truncated chunk".into()) } else { Ok(n) }
    }

    fn bytes(&mut self) -> Read<&'a [u8]> {
        let n = self.count(1)?;
        self.take(n)
    }

    fn function(&mut self, outer: &Rc<[u8]>, depth: usize) -> Read<Prototype> {
        if depth == 0 {
            return Err("functions are nested too deeply".into());
        }
        let source = self.bytes()?;
        let source: Rc<[u8]> = if source.is_empty() { outer.clone() } else { source.into() };
        let mut f = Prototype { source, ..Prototype::default() };
        f.line_defined = self.small()?;
        f.last_line_defined = self.small()?;
        f.parameters = self.byte()?;
        f.is_vararg = self.flag()?;
        f.max_stack = self.byte()?;
        let words = self.count(4)?;
        f.code = self.take(words * 4)?.chunks_exact(4).map(|w| Word::from_le_bytes([w[0], w[1], w[2], w[3]])).collect();
        f.caches = number_caches(&mut f.code)?;
        for _ in 0..self.count(1)? {
            f.constants.push(self.constant()?);
        }
        for _ in 0..self.count(2)? {
            let (in_register, index) = (self.flag()?, self.byte()?);
            // Whether the variable ever changes is not known of code that somebody else may have written.
            f.upvalues.push(UpvalueSource { in_register, index, constant: false, name: NO_NAME.into() });
        }
        for _ in 0..self.count(1)? {
            let inner = self.function(&f.source, depth - 1)?;
            f.functions.push(Rc::new(inner));
        }
        self.debug(&mut f)?;
        Ok(f)
    }

    fn constant(&mut self) -> Read<Constant> {
        Ok(match self.byte()? {
            kind::NIL => Constant::Nil,
            kind::FALSE => Constant::Boolean(false),
            kind::TRUE => Constant::Boolean(true),
            kind::INTEGER => Constant::Integer(i64::from_le_bytes(self.eight()?)),
            kind::FLOAT => Constant::Float(f64::from_bits(u64::from_le_bytes(self.eight()?))),
            kind::STRING => Constant::String(self.bytes()?.into()),
            _ => return Err("invalid constant".into()),
        })
    }

    fn debug(&mut self, f: &mut Prototype) -> Read<()> {
        let mut line = 0i64;
        for _ in 0..self.count(1)? {
            let n = self.number()?;
            line = line.wrapping_add((n >> 1) as i64 ^ -((n & 1) as i64));
            f.lines.push(u32::try_from(line).map_err(|_| "invalid line")?);
        }
        for _ in 0..self.count(5)? {
            let name = self.bytes()?.into();
            let (register, in_cell) = (self.byte()?, self.flag()?);
            let (start, end) = (self.small()?, self.small()?);
            f.locals.push(LocalVariable { name, register, in_cell, start, end });
        }
        let names = self.count(1)?;
        if names != 0 && names != f.upvalues.len() {
            return Err("wrong number of upvalue names".into());
        }
        for upvalue in &mut f.upvalues[..names] {
            upvalue.name = self.bytes()?.into();
        }
        Ok(())
    }
}

/// Gives each instruction that has one an inline cache of its own. Answers how many that are.
fn number_caches(code: &mut [Word]) -> Read<u32> {
    let mut caches = 0;
    let mut pc = 0;
    while pc < code.len() {
        let op = Op::from_u8(bc::op_number(code[pc])).ok_or("invalid instruction")?;
        if op.extra() == Extra::Cache
            && let Some(extra) = code.get_mut(pc + 1)
        {
            *extra = caches;
            caches += 1;
        }
        pc += op.words();
    }
    Ok(caches)
}
