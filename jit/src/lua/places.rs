//! Where the values of a trace are at each point of its code: the one source for whoever looks at registers and frame from outside.
//!
//! The register allocator's table says what each instruction does; this is what remains of it when the trace has been compiled,
//! about three bytes for each value that is made or moved: from which instruction on a register or spill slot holds which value.
//! Together with the snapshots, which say what the Lua slots hold, it tells debuggers where each variable is.
//!
//! ```text
//! event:  instructions since the last event | location | value        each a number of seven bits a byte, lowest first
//! location:  0..31 a register, from 32 on a spill slot
//! value:  0 nothing | 2 * constant + 1 | 2 * (1 + zigzag(how many instructions before this one))
//! ```
//!
//! [`Places::intervals`] decodes it. What is written while an instruction is under way counts as overwritten from its second
//! byte on, or from behind its last exit if the result comes after that: debuggers stop between machine instructions, and a
//! range that begins too late or ends too early says "optimized out", never something wrong.
#![forbid(unsafe_code)]

use super::allocate::constraint::{self, Tie};
use super::allocate::{Allocation, Features, Location, Options, Place, Reg};
use super::emit::Layout;
use super::ir::{Ir, Link, Op, Ref};
use crate::code::x64::DISPLACEMENT;
use std::ops::Range;

const REGISTERS: usize = 32;

/// The encoded table of a trace.
#[derive(Debug, Default)]
pub struct Places(Box<[u8]>);

/// Where a value is in a range of code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interval {
    /// The value: an instruction's result, or a constant that happens to be in a register.
    pub value: Ref,
    /// Where it is.
    pub location: Location,
    /// Offsets from the start of the trace's code.
    pub code: Range<u32>,
}

/// What happens to a location in front of instruction `at`.
#[derive(Clone, Copy)]
struct Event {
    at: usize,
    location: usize,
    /// What is there from now on; `NONE`: nothing that is known.
    value: Ref,
}

fn index(location: Location) -> usize {
    match location {
        Location::Register(reg) => reg.0.into(),
        Location::Spill(slot) => REGISTERS + usize::from(slot),
    }
}

fn location(index: usize) -> Location {
    match index.checked_sub(REGISTERS) {
        None => Location::Register(Reg(index as u8)),
        Some(slot) => Location::Spill(slot as u16),
    }
}

fn place_index(place: Place) -> Option<usize> {
    match place {
        Place::Reg(reg) => Some(reg.0.into()),
        Place::Spill(slot) => Some(REGISTERS + usize::from(slot)),
        Place::None | Place::Const(_) => None,
    }
}

impl Places {
    /// What an allocation says.
    pub fn encode(ir: &Ir, allocation: &Allocation, options: Options<'_>) -> Places {
        let mut encoder =
            Encoder { bytes: Vec::with_capacity(64 + 3 * ir.insts.len()), last: 0, holds: vec![Ref::NONE; REGISTERS] };
        encoder.entry(ir, allocation, options);
        let mut after = allocation.after.iter().peekable();
        for (at, (inst, assigned)) in ir.insts.iter().zip(&allocation.insts).enumerate() {
            if assigned.live && !matches!(inst.op, Op::Pval | Op::Loop) {
                if constraint::may_take_temps(inst.op) {
                    let shape = constraint::shape(ir, inst, options.features);
                    for (temp, used) in [(assigned.temp, shape.temp), (assigned.vector_temp, shape.vector_temp)] {
                        if used {
                            encoder.event(at + 1, temp.0.into(), Ref::NONE);
                        }
                    }
                }
                if let Some(dst) = assigned.dst {
                    let value = if inst.has_result() { Ref::inst(at) } else { Ref::NONE };
                    encoder.event(at + 1, dst.0.into(), value);
                }
                if let Some(slot) = assigned.store {
                    encoder.event(at + 1, REGISTERS + usize::from(slot), Ref::inst(at));
                }
            }
            while let Some((_, m)) = after.next_if(|(behind, _)| *behind == at) {
                if let Some(to) = place_index(m.to) {
                    encoder.event(at + 1, to, encoder.value(m.from));
                }
            }
        }
        let back: Vec<(Option<usize>, Ref)> =
            allocation.back_edge.iter().map(|m| (place_index(m.to), encoder.value(m.from))).collect();
        for (to, value) in back {
            to.into_iter().for_each(|to| encoder.event(ir.insts.len() + 1, to, value));
        }
        Places(encoder.bytes.into_boxed_slice())
    }

    /// Bytes of the table.
    pub fn size(&self) -> usize {
        self.0.len()
    }

    fn events(&self) -> impl Iterator<Item = Event> {
        let mut bytes = self.0.iter();
        let mut at = 0;
        std::iter::from_fn(move || {
            let mut number = || {
                let (mut result, mut shift) = (0, 0);
                loop {
                    let byte = *bytes.next()?;
                    result |= usize::from(byte & 0x7f) << shift;
                    shift += 7;
                    if byte & 0x80 == 0 {
                        return Some(result);
                    }
                }
            };
            let (delta, location, value) = (number()?, number()?, number()?);
            at += delta;
            let value = match (value, value & 1) {
                (0, _) => Ref::NONE,
                (value, 1) => Ref((value >> 1) as u16),
                (value, _) => Ref::inst((at as isize - unzigzag((value >> 1) - 1)) as usize),
            };
            Some(Event { at, location, value })
        })
    }

    /// All that is known, in the order of the values. Allocation and code must be those of this `ir`, `layout` and processor.
    pub fn intervals(&self, ir: &Ir, layout: &Layout, features: Features) -> Vec<Interval> {
        let events: Vec<Event> = self.events().collect();
        let most = events.iter().map(|event| event.location + 1).max().unwrap_or(0).max(REGISTERS);
        let loop_at = if ir.link == Link::Loop { ir.loop_index() } else { None };
        let mut decoder =
            Decoder { ir, layout, features, sites: 0, holds: vec![(Ref::NONE, 0); most], out: Vec::new() };
        let head = loop_at.map(|loop_at| (loop_at, decoder.loop_head(loop_at, &events)));
        decoder.run(&events, head);
        let mut out = decoder.out;
        out.sort_by_key(|interval| (interval.value, interval.code.start));
        out
    }
}

/// A signed number as an unsigned one that is small if it is near 0.
fn zigzag(number: isize) -> usize {
    (number << 1 ^ number >> (isize::BITS - 1)) as usize
}

fn unzigzag(number: usize) -> isize {
    (number >> 1) as isize ^ -((number & 1) as isize)
}

struct Encoder {
    bytes: Vec<u8>,
    /// The place of the last event.
    last: usize,
    holds: Vec<Ref>,
}

impl Encoder {
    /// What is where when the moves at the trace's entry are done.
    fn entry(&mut self, ir: &Ir, allocation: &Allocation, options: Options<'_>) {
        let mut inherited: Vec<(usize, Ref)> = Vec::new();
        for (at, inst) in ir.insts.iter().enumerate().take_while(|(_, inst)| matches!(inst.op, Op::Pval | Op::Nop)) {
            if let Some((_, from)) =
                options.inherited.iter().find(|(parent, _)| *parent == inst.a && inst.op == Op::Pval)
            {
                inherited.push((index(*from), Ref::inst(at)));
            }
        }
        let value = |from: Place| match from {
            Place::Const(r) => r,
            from => inherited.iter().find(|(at, _)| Some(*at) == place_index(from)).map_or(Ref::NONE, |(_, r)| *r),
        };
        let moved: Vec<(usize, Ref)> =
            allocation.entry.iter().filter_map(|m| Some((place_index(m.to)?, value(m.from)))).collect();
        let is_moved = |at: usize| moved.iter().any(|(to, _)| *to == at);
        for (at, r) in inherited.iter().filter(|(at, _)| !is_moved(*at)).chain(&moved) {
            self.event(0, *at, *r);
        }
    }

    fn value(&self, place: Place) -> Ref {
        match place {
            Place::Const(r) => r,
            place => place_index(place).and_then(|at| self.holds.get(at)).copied().unwrap_or(Ref::NONE),
        }
    }

    fn event(&mut self, at: usize, location: usize, value: Ref) {
        if self.holds.len() <= location {
            self.holds.resize(location + 1, Ref::NONE);
        }
        self.holds[location] = value;
        let value = match value {
            r if r.is_none() => 0,
            r if r.is_const() => 2 * usize::from(r.0) + 1,
            r => 2 * (1 + zigzag(at as isize - r.index() as isize)),
        };
        for number in [at - self.last, location, value] {
            self.number(number);
        }
        self.last = at;
    }

    fn number(&mut self, mut number: usize) {
        while number > 0x7f {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }
}

struct Decoder<'a> {
    ir: &'a Ir,
    layout: &'a Layout,
    features: Features,
    /// Exits that lie before the instruction at hand.
    sites: usize,
    /// What each location holds, and since which offset.
    holds: Vec<(Ref, u32)>,
    out: Vec<Interval>,
}

impl Decoder<'_> {
    /// What is in the same place each time that the loop's head is reached.
    fn loop_head(&self, loop_at: usize, events: &[Event]) -> Vec<Ref> {
        let (before, body) = events.split_at(events.partition_point(|event| event.at <= loop_at));
        let mut head = vec![Ref::NONE; self.holds.len()];
        self.simulate(&mut head, 0..loop_at, before);
        let phis: Vec<(Ref, Ref)> = self.ir.phis().map(|phi| (phi.a, phi.b)).collect();
        // Whether what was a value in one iteration is one under its name in the next.
        let goes_on = |was: Ref, is: Ref| {
            let outer = was.is_const() || (was.is_inst() && was.index() < loop_at);
            (was == is && outer && !phis.iter().any(|(left, _)| *left == was)) || phis.contains(&(is, was))
        };
        loop {
            let mut end = head.clone();
            self.simulate(&mut end, loop_at..self.ir.insts.len(), body);
            let both = head.iter().zip(&end);
            let next: Vec<Ref> = both.map(|(is, was)| if goes_on(*was, *is) { *is } else { Ref::NONE }).collect();
            if next == head {
                return head;
            }
            head = next;
        }
    }

    /// What is where behind some instructions, and behind the moves that follow them.
    fn simulate(&self, holds: &mut [Ref], insts: Range<usize>, events: &[Event]) {
        let mut events = events.iter().peekable();
        for at in insts {
            while let Some(event) = events.next_if(|event| event.at <= at) {
                holds[event.location] = event.value;
            }
            let clobbers = self.clobbers(at).1;
            for (_, r) in holds.iter_mut().enumerate().take(REGISTERS).filter(|(n, _)| clobbers & 1 << n != 0) {
                *r = Ref::NONE;
            }
        }
        events.for_each(|event| holds[event.location] = event.value);
    }

    /// The registers that an instruction overwrites on the way, and whether its result comes before its exits.
    fn clobbers(&self, at: usize) -> (bool, u32) {
        let inst = &self.ir.insts[at];
        if matches!(inst.op, Op::Nop | Op::Carg | Op::Phi | Op::Pval | Op::Loop) {
            return (false, 0);
        }
        if self.offset(at) == self.offset(at + 1) {
            return (false, 0);
        }
        let shape = constraint::shape(self.ir, inst, self.features);
        (shape.tie == Tie::Early, shape.call | shape.clobbers)
    }

    fn offset(&self, at: usize) -> u32 {
        self.layout.offset(at) as u32
    }

    fn set(&mut self, location: usize, value: Ref, old_until: u32, from: u32) {
        let (old, since) = std::mem::replace(&mut self.holds[location], (value, from));
        if !old.is_none() && since < old_until {
            self.out.push(Interval { value: old, location: self::location(location), code: since..old_until });
        }
    }

    /// Where the exits of an instruction end; its first byte if it has none.
    fn behind_exits(&mut self, at: usize) -> u32 {
        let (start, end) = (self.layout.offset(at), self.layout.offset(at + 1));
        let mut result = start + 1;
        while let Some(site) = self.layout.sites.get(self.sites).filter(|site| site.offset < end) {
            if site.offset >= start {
                result = site.offset + DISPLACEMENT;
            }
            self.sites += 1;
        }
        result as u32
    }

    fn run(&mut self, events: &[Event], head: Option<(usize, Vec<Ref>)>) {
        let mut events = events.iter().peekable();
        while let Some(event) = events.next_if(|event| event.at == 0) {
            self.set(event.location, event.value, 0, self.offset(0));
        }
        for at in 0..self.ir.insts.len() {
            let (start, end) = (self.offset(at), self.offset(at + 1));
            if let Some((_, head)) = head.as_ref().filter(|(loop_at, _)| *loop_at == at) {
                for (location, stays) in head.iter().enumerate() {
                    if self.holds[location].0 != *stays {
                        self.set(location, *stays, start, end);
                    }
                }
            }
            let (early, clobbers) = self.clobbers(at);
            let behind = self.behind_exits(at);
            for register in (0..REGISTERS).filter(|register| clobbers & 1 << register != 0) {
                self.set(register, Ref::NONE, start + 1, end);
            }
            while let Some(event) = events.next_if(|event| event.at == at + 1) {
                let early = event.value.is_none() || early && event.value == Ref::inst(at);
                self.set(event.location, event.value, if early { start + 1 } else { behind }, end);
            }
        }
        let end = self.layout.end as u32;
        for location in 0..self.holds.len() {
            self.set(location, Ref::NONE, end, end);
        }
    }
}
