//! Reads the text form of an IR. Nothing is folded: what comes out is what stands there. Names of results are free,
//! and must be defined before they are used (but for the second operand of a `phi`, which always is).
#![forbid(unsafe_code)]

use std::collections::HashMap;

use super::op::TypeRule;
use super::{Const, Field, Helper, Inst, Ir, Link, Op, Operand, Ref, Ty, Type};
use crate::lua::snapshot::{ExitMode, Frame, FrameKind, Resume, SlotValue};

/// What is wrong with a text, and in which line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for ParseError {}

type Parsed<T> = Result<T, String>;

/// Reads an IR whose calls name helpers of this table. Empty lines and what follows a `;` are ignored.
pub fn parse(text: &str, helpers: &'static [Helper]) -> Result<Ir, ParseError> {
    let mut parser = Parser { ir: Ir::new(helpers), names: HashMap::new() };
    for (number, line) in text.lines().enumerate() {
        let line = line.split(';').next().unwrap_or_default().trim();
        if !line.is_empty() {
            parser.line(line).map_err(|message| ParseError { line: number + 1, message })?;
        }
    }
    Ok(parser.ir)
}

struct Parser<'t> {
    ir: Ir,
    names: HashMap<&'t str, Ref>,
}

impl<'t> Parser<'t> {
    fn line(&mut self, line: &'t str) -> Parsed<()> {
        let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
        match first {
            "snap" => self.snapshot(rest),
            "link" => self.link(rest),
            _ if first.starts_with('%') => {
                let rest = rest.trim_start().strip_prefix("= ").ok_or("expected '='")?;
                let r = self.inst(rest)?;
                self.names.insert(first, r);
                Ok(())
            }
            _ => self.inst(line).map(|_| ()),
        }
    }

    fn link(&mut self, text: &str) -> Parsed<()> {
        self.ir.link = match text.split_once(' ') {
            None if text == "loop" => Link::Loop,
            None if text == "interpreter" => Link::Interpreter,
            Some(("trace", number)) => Link::Trace(number_of(number)?),
            Some(("tailcall", number)) => Link::TailCall(number_of(number)?),
            Some(("switch", call)) => {
                let mut words = call.split(' ');
                let mut next = || words.next().ok_or("expected register, number of arguments and of results");
                Link::Switch {
                    register: number_of(next()?)?,
                    arguments: number_of(next()?)?,
                    wanted: number_of(next()?)?,
                }
            }
            Some(("return", results)) => {
                let (first, count) = results.split_once(' ').ok_or("expected a register and a number of results")?;
                Link::Return { first: number_of(first)?, count: number_of(count)? }
            }
            _ => return Err(format!("unknown link '{text}'")),
        };
        Ok(())
    }

    fn inst(&mut self, text: &'t str) -> Parsed<Ref> {
        let mut words = text.split_whitespace();
        let head = words.next().ok_or("expected an operation")?;
        let (head, guard) = head.strip_suffix('!').map_or((head, false), |h| (h, true));
        let (head, notag) = head.strip_suffix(".notag").map_or((head, false), |h| (h, true));
        let (name, ty) = head.split_once('.').unwrap_or((head, "void"));
        let op = Op::by_name(name).ok_or_else(|| format!("unknown operation '{name}'"))?;
        let ty = Type::by_name(ty).ok_or_else(|| format!("unknown type '{ty}'"))?;
        let mut operands = [Ref::NONE; 3];
        for (kind, operand) in op.operands().into_iter().zip(&mut operands) {
            *operand = match kind {
                Operand::No => continue,
                // A call's arguments are optional, but stand before the helper's name.
                Operand::Opt if op == Op::Call && words.clone().count() == 1 => continue,
                Operand::Opt if words.clone().next().is_none() => continue,
                _ => self.operand(kind, words.next().ok_or("too few operands")?)?,
            };
        }
        if let Some(word) = words.next() {
            return Err(format!("unexpected '{word}'"));
        }
        let [a, b, c] = operands;
        let r = Ref::inst(self.ir.insts.len());
        if self.ir.insts.len() >= Ir::MAX_INSTS {
            return Err("too many instructions".to_owned());
        }
        self.ir.insts.push(Inst::new(op, Ty::new(ty).set_guard(guard).set_notag(notag), a, b, c));
        Ok(r)
    }

    fn operand(&mut self, kind: Operand, word: &'t str) -> Parsed<Ref> {
        match kind {
            Operand::No => Ok(Ref::NONE),
            Operand::Ref | Operand::Opt => self.reference(word),
            Operand::Imm => number_of::<u16>(word).map(Ref),
            Operand::Slot => {
                let slot = word.strip_prefix('#').ok_or_else(|| format!("expected a slot, not '{word}'"))?;
                number_of::<i16>(slot).map(|s| Ref(s as u16))
            }
            Operand::Field => {
                Field::by_name(word).map(|f| Ref(f as u16)).ok_or_else(|| format!("unknown field '{word}'"))
            }
            Operand::Helper => {
                let n = self.ir.helpers.iter().position(|h| h.name == word);
                n.map(|n| Ref(n as u16)).ok_or_else(|| format!("unknown helper '{word}'"))
            }
        }
    }

    fn reference(&mut self, word: &str) -> Parsed<Ref> {
        if word.starts_with('%') {
            return self.names.get(word).copied().ok_or_else(|| format!("undefined '{word}'"));
        }
        let c = constant(word)?;
        if let Some(n) = self.ir.consts.iter().skip(1).position(|k| *k == c) {
            return Ok(Ref(n as u16 + 1));
        }
        if self.ir.consts.len() >= Ir::MAX_CONSTS {
            return Err("too many constants".to_owned());
        }
        self.ir.consts.push(c);
        Ok(Ref(self.ir.consts.len() as u16 - 1))
    }

    fn snapshot(&mut self, text: &str) -> Parsed<()> {
        let (head, rest) = text.split_once('[').ok_or("expected '['")?;
        let (slots, mut frames) = rest.split_once(']').ok_or("expected ']'")?;
        let mut objects: Vec<(Ref, Vec<Ref>)> = Vec::new();
        while let Some(rest) = frames.trim_start().strip_prefix('{') {
            let (object, rest) = rest.split_once('}').ok_or("expected '}'")?;
            let (name, parts) = object.split_once(':').ok_or("expected ':'")?;
            let parts = parts.split_whitespace().map(|word| self.reference(word)).collect::<Parsed<_>>()?;
            objects.push((self.reference(name)?, parts));
            frames = rest;
        }
        let mut head = head.split_whitespace();
        let mode = head.next().and_then(ExitMode::by_name).ok_or("unknown mode")?;
        let pc = keyed(head.next(), "pc")?;
        let top = keyed(head.next(), "top")?;
        let mut entries = Vec::new();
        for entry in slots.split_whitespace() {
            let (slot, value) = entry.split_once('=').ok_or("expected slot=value")?;
            entries.push(SlotValue { slot: number_of(slot)?, value: self.reference(value)? });
        }
        if !entries.is_sorted_by(|a, b| a.slot < b.slot) {
            return Err("slots must ascend".to_owned());
        }
        let mut list = Vec::new();
        for frame in frames.split_inclusive(')').map(str::trim).filter(|f| !f.is_empty()) {
            list.push(self.frame(frame)?);
        }
        if !objects.is_sorted_by(|a, b| a.0 < b.0) {
            return Err("unbuilt objects must ascend".to_owned());
        }
        let snapshots = &mut self.ir.snapshots;
        snapshots.push(self.ir.insts.len(), Resume { mode, pc, top }, &entries, list.iter().copied());
        snapshots.set_objects(snapshots.len() - 1, objects.iter().map(|(object, parts)| (*object, &parts[..])));
        Ok(())
    }

    fn frame(&mut self, text: &str) -> Parsed<Frame> {
        let (kind, rest) = text.split_once('(').ok_or("expected '('")?;
        let kind = FrameKind::by_name(kind).ok_or_else(|| format!("unknown kind of frame '{kind}'"))?;
        let mut words = rest.strip_suffix(')').ok_or("expected ')'")?.split_whitespace();
        let function = words.next().and_then(|w| w.strip_prefix("f=")).ok_or("expected 'f='")?;
        Ok(Frame {
            kind,
            function: if function == "-" { Ref::NONE } else { self.reference(function)? },
            return_pc: keyed(words.next(), "ret")?,
            base: keyed(words.next(), "base")?,
            wanted: keyed(words.next(), "want")?,
            return_address: 0,
            varargs: keyed(words.next(), "va")?,
            pending: words.next().map_or(Ok(0), |word| keyed(Some(word), "pend"))?,
            proto: 0,
        })
    }
}

fn number_of<T: std::str::FromStr>(word: &str) -> Parsed<T> {
    word.parse().map_err(|_| format!("not a number in range: '{word}'"))
}

/// The number in `key=number`.
fn keyed<T: std::str::FromStr>(word: Option<&str>, key: &str) -> Parsed<T> {
    let value = word.and_then(|w| w.split_once('=')).filter(|(k, _)| *k == key);
    number_of(value.ok_or_else(|| format!("expected '{key}='"))?.1)
}

fn constant(word: &str) -> Parsed<Const> {
    match word {
        "nil" => return Ok(Const::Nil),
        "true" => return Ok(Const::Bool(true)),
        "false" => return Ok(Const::Bool(false)),
        _ => {}
    }
    if let Some((ty, address)) = word.split_once(":0x") {
        let bits = u64::from_str_radix(address, 16).map_err(|_| format!("not an address: '{word}'"))?;
        return match Type::by_name(ty) {
            None if ty == "nan" => Ok(Const::Float(f64::from_bits(bits))),
            Some(Type::Ptr) => Ok(Const::Ptr(bits)),
            Some(ty) if ty.is_object() || ty == Type::Light => Ok(Const::Object(ty, bits)),
            _ => Err(format!("unknown type '{ty}'")),
        };
    }
    if let Ok(i) = word.parse() {
        return Ok(Const::Int(i));
    }
    word.parse().map(Const::Float).map_err(|_| format!("not a constant: '{word}'"))
}

/// The type that an instruction must state, where its operation leaves no choice.
pub(super) fn fixed_type(inst: &Inst, ir: &Ir) -> Option<Type> {
    Some(match inst.op.type_rule() {
        TypeRule::Void => Type::Void,
        TypeRule::Ints | TypeRule::Int => Type::Int,
        TypeRule::Floats | TypeRule::Float => Type::Float,
        TypeRule::Ptr => Type::Ptr,
        TypeRule::Cell => Type::Cell,
        TypeRule::Field => Field::by_index(inst.b.0)?.ty(),
        TypeRule::Helper => ir.helpers.get(inst.b.0 as usize)?.result,
        TypeRule::Numbers | TypeRule::Compare | TypeRule::Stored | TypeRule::Any => return None,
    })
}
