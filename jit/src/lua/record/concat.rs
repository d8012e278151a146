//! Concatenation: of strings and numbers by helpers, up to four at a time, and of all else by a metamethod.

#![forbid(unsafe_code)]

use perilune_runtime::lua::bytecode::{self as bc, Word};
use perilune_runtime::lua::event::Event;
use perilune_runtime::lua::value::Value;

use super::super::helpers::H;
use super::super::ir::{Ref, Type};
use super::meta::Handler;
use super::{Abort, Next, Rec, Recorder};

/// Most values that a helper concatenates.
const AT_ONCE: usize = 4;

impl Recorder {
    pub(super) fn op_concat(&mut self, w: Word) -> Rec<Next> {
        let (a, n) = (bc::a(w), bc::b(w));
        let mut values = Vec::with_capacity(n);
        for i in a..a + n {
            values.push((self.get(i)?, self.actual(i)));
        }
        self.concat(a, values)
    }

    /// A metamethod has concatenated two values: goes on with `left` of them, of which its result is the last.
    pub(super) fn concat_further(&mut self, a: usize, left: usize, result: Handler) -> Rec<Next> {
        let mut values = Vec::with_capacity(left);
        for i in a..a + left - 1 {
            values.push((self.get(i)?, self.actual(i)));
        }
        values.push(result);
        self.concat(a, values)
    }

    /// Concatenates the values from register `a` on, from right to left. A metamethod finds those in the registers that are left to be
    /// concatenated, and the instruction goes on when it has returned.
    fn concat(&mut self, a: usize, mut values: Vec<(Ref, Value)>) -> Rec<Next> {
        while values.len() > 1 {
            let is_text = |(r, _): &&(Ref, Value)| matches!(self.ty(*r), Type::String | Type::Int | Type::Float);
            let texts = values.iter().rev().take_while(is_text).count();
            if texts < 2 {
                return self.concat_by_metamethod(a, &values);
            }
            let last = values.split_off(values.len() - texts.min(AT_ONCE));
            let mut parts = Vec::with_capacity(last.len());
            for (r, _) in last {
                let is_float = self.ty(r) == Type::Float;
                parts.push(if is_float { self.call_helper(H::FloatToString, &[r])? } else { r });
            }
            // Of a string that is still to be made only the type counts.
            let some = Value::from(self.state().heap.names.event(Event::Concat));
            values.push((self.join(&parts)?, some));
        }
        self.set(a, values[0].0);
        Ok(Next::More)
    }

    fn concat_by_metamethod(&mut self, a: usize, values: &[(Ref, Value)]) -> Rec<Next> {
        let &[.., x, y] = values else { return Err(Abort::Reason("concatenation of nothing")) };
        let handler = match self.handler(x.0, x.1, Event::Concat)? {
            Some(handler) => Some(handler),
            None => self.handler(y.0, y.1, Event::Concat)?,
        };
        let Some(handler) = handler else {
            return self.fail("concatenation of something else than strings and numbers", &[x, y]);
        };
        if values.len() > 2 && handler.1.as_native().is_some() {
            return Err(Abort::Reason("native metamethod within a concatenation"));
        }
        for (register, (r, _)) in (a..).zip(values) {
            self.set(register, *r);
        }
        self.pending = values.len() as u16;
        let next = self.call_meta(handler, &[x.0, y.0]);
        self.pending = 0;
        next
    }

    /// Two to four strings or integers, one behind the other.
    fn join(&mut self, parts: &[Ref]) -> Rec<Ref> {
        let ints = (0..).zip(parts).filter(|(_, r)| self.ty(**r) == Type::Int).fold(0, |ints, (i, _)| ints | 1 << i);
        if ints == 0 {
            return self.call_helper([H::Concat2, H::Concat3, H::Concat4][parts.len() - 2], parts);
        }
        let mut args = vec![self.b.int(parts.len() as i64 | ints << 4)];
        args.extend(parts);
        args.resize(5, self.b.int(0));
        self.call_helper(H::ConcatMixed, &args)
    }
}
