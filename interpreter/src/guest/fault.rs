//! Delivering exceptions and interrupts: real mode's vectors, protected mode's and long mode's gates (APM volume 2, chapter 8).
//!
//! A delivery that fails has had no effect; the caller combines its exception with the first one. Task gates are not there: #GP.

use perilune_runtime::guest::cpu::gpr::RSP;
use perilune_runtime::guest::cpu::{Activity, Cpu, Segment, attention, flag, mode, seg};
use perilune_runtime::guest::exception::{Combined, Exception, combine, has_error_code, vector};
use perilune_runtime::guest::exit::{Detail, Exit, Reason};
use perilune_runtime::guest::machine::{Machine, canonical};

use super::exec::operand::{mask, set_gpr};
use super::exec::segment::{self, Descriptor, fault, refresh};
use super::exec::{Done, Stop, access, stack, system};

/// Where an event comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Source {
    /// An exception; rip is that of the instruction, or of the next one for traps.
    Exception,
    /// INT n: the gate's privilege is checked.
    Software,
    /// A device.
    External,
}

/// Something to deliver.
#[derive(Clone, Copy, Debug)]
struct Event {
    vector: u8,
    code: Option<u32>,
    source: Source,
    /// The rip to return to.
    back: u64,
    /// The flags to return to.
    flags: u64,
}

impl Event {
    /// The error code of a fault about an entry of the interrupt descriptor table.
    fn entry_fault(&self, which: u8) -> Stop {
        let external = u32::from(self.source != Source::Software);
        Exception::with_code(which, u32::from(self.vector) << 3 | 2 | external).into()
    }

    /// Adds to an exception of the delivery that it was an external event.
    fn mark(&self, stop: Stop) -> Stop {
        match stop {
            Stop::Exception(e)
                if self.source != Source::Software
                    && matches!(
                        e.vector,
                        vector::INVALID_TSS | vector::NOT_PRESENT | vector::STACK | vector::PROTECTION
                    ) =>
            {
                Exception::with_code(e.vector, e.code | 1).into()
            }
            stop => stop,
        }
    }
}

/// INT n: goes on at the handler, with the next instruction to return to.
pub fn software(m: &mut Machine, vector: u8) -> Done {
    let (back, flags) = (m.cpu.next_rip, m.cpu.rflags & !flag::RF);
    enter(m, &Event { vector, code: None, source: Source::Software, back, flags })
}

/// The trap behind an instruction that was executed with TF set; rip stands behind it already.
pub fn single_step(m: &mut Machine) -> Stop {
    // DR6: bit 14 tells of a single step; the others are those that are always set.
    m.cpu.dr[6] |= 0xffff_0ff0 | 1 << 14;
    Exception::plain(vector::DEBUG).into()
}

/// Delivers an interrupt of a device, between two instructions.
pub fn external(m: &mut Machine, vector: u8) -> Done {
    m.cpu.activity = Activity::Running;
    let event = Event { vector, code: None, source: Source::External, back: m.cpu.rip, flags: m.cpu.rflags };
    match enter(m, &event) {
        Ok(()) => {
            m.cpu.rip = m.cpu.next_rip;
            Ok(())
        }
        Err(Stop::Exception(exception)) => raise_after(m, vector, exception),
        Err(Stop::Exit) => Err(Stop::Exit),
    }
}

/// Delivers an exception of the instruction at rip; for traps, rip stands behind it already. A triple fault shuts down.
pub fn exception(m: &mut Machine, exception: Exception) -> Done {
    let trap = exception.vector == vector::DEBUG;
    if trap {
        // The instruction is over and cannot be executed again: the monitor is not asked.
        m.exits.count(Reason::Exception);
    } else {
        system::leave_with(m, Reason::Exception, Detail::Exception(exception))?;
    }
    let flags = if trap { m.cpu.rflags } else { m.cpu.rflags | flag::RF };
    let real = m.cpu.mode & mode::REAL != 0;
    let code = (has_error_code(exception.vector) && !real).then_some(exception.code);
    let event = Event { vector: exception.vector, code, source: Source::Exception, back: m.cpu.rip, flags };
    match enter(m, &event) {
        Ok(()) => {
            m.cpu.rip = m.cpu.next_rip;
            Ok(())
        }
        Err(Stop::Exception(second)) => raise_after(m, exception.vector, second),
        Err(Stop::Exit) => Err(Stop::Exit),
    }
}

fn raise_after(m: &mut Machine, first: u8, second: Exception) -> Done {
    match combine(first, second.vector) {
        Combined::Serial => exception(m, second),
        Combined::DoubleFault => exception(m, Exception::with_code(vector::DOUBLE_FAULT, 0)),
        Combined::TripleFault => {
            m.exits.count(Reason::TripleFault);
            m.cpu.activity = Activity::Shutdown;
            m.request_exit(Exit { reason: Reason::TripleFault, detail: Detail::None });
            Err(Stop::Exit)
        }
    }
}

/// Changes rip (in `next_rip`), CS, SS, RSP, flags and privilege as the gate says, with all that is pushed; or changes nothing.
fn enter(m: &mut Machine, event: &Event) -> Done {
    let before = Saved::of(&m.cpu);
    let entered = if m.cpu.mode & mode::REAL != 0 {
        real(m, event)
    } else if m.cpu.long() {
        long(m, event)
    } else {
        protected(m, event)
    };
    match entered {
        Ok(()) => {
            refresh(m);
            m.cpu.shadow = false;
            m.cpu.attention |= attention::INTERRUPT;
            Ok(())
        }
        Err(stop) => {
            before.restore(m);
            Err(event.mark(stop))
        }
    }
}

/// What a delivery that fails half way has to put back.
struct Saved {
    segments: [Segment; 6],
    rsp: u64,
    cpl: u8,
    rflags: u64,
    next_rip: u64,
}

impl Saved {
    fn of(cpu: &Cpu) -> Saved {
        Saved { segments: cpu.segments, rsp: cpu.gpr[RSP], cpl: cpu.cpl, rflags: cpu.rflags, next_rip: cpu.next_rip }
    }

    fn restore(&self, m: &mut Machine) {
        m.cpu.segments = self.segments;
        m.cpu.gpr[RSP] = self.rsp;
        m.cpu.cpl = self.cpl;
        m.cpu.rflags = self.rflags;
        m.cpu.next_rip = self.next_rip;
        m.refresh();
    }
}

/// Real mode: a vector of segment and offset.
fn real(m: &mut Machine, event: &Event) -> Done {
    let table = m.cpu.idtr;
    if u32::from(event.vector) * 4 + 3 > u32::from(table.limit) {
        return Err(Exception::PROTECTION.into());
    }
    let entry = u32::from_le_bytes(access::load_implicit(m, table.base.wrapping_add(u64::from(event.vector) * 4))?);
    let cs = m.cpu.segments[seg::CS].selector;
    stack::push(m, 2, event.flags)?;
    stack::push(m, 2, cs.into())?;
    stack::push(m, 2, event.back)?;
    let segment = &mut m.cpu.segments[seg::CS];
    segment.selector = (entry >> 16) as u16;
    segment.base = u64::from(segment.selector) << 4;
    m.cpu.next_rip = u64::from(entry & 0xffff);
    m.cpu.rflags &= !(flag::IF | flag::TF | flag::AC | flag::RF);
    Ok(())
}

/// A gate of the interrupt descriptor table.
struct Gate {
    selector: u16,
    offset: u64,
    /// Number of the stack in the task state, or 0.
    stack: u8,
    kind: u8,
}

/// Reads and checks the gate of an event. `wide` is long mode's form.
fn gate(m: &mut Machine, event: &Event, wide: bool) -> Done<Gate> {
    let size = if wide { 16 } else { 8 };
    let table = m.cpu.idtr;
    let at = u64::from(event.vector) * size;
    if at + size - 1 > u64::from(table.limit) {
        return Err(event.entry_fault(vector::PROTECTION));
    }
    let at = table.base.wrapping_add(at);
    let low = u64::from_le_bytes(access::load_implicit(m, at)?);
    let entry = Descriptor { at, low };
    let kind = entry.kind();
    let known = matches!((kind, wide), (14 | 15, _) | (6 | 7, false));
    let denied = event.source == Source::Software && entry.dpl() < m.cpu.cpl;
    if !known || entry.has(Segment::CODE_OR_DATA) || denied {
        return Err(event.entry_fault(vector::PROTECTION));
    }
    if !entry.has(Segment::PRESENT) {
        return Err(event.entry_fault(vector::NOT_PRESENT));
    }
    let mut offset = low & 0xffff;
    if kind >= 14 {
        offset |= low >> 32 & 0xffff_0000;
    }
    if wide {
        offset |= segment::upper(m, &entry)?;
    }
    let stack = if wide { (low >> 32 & 7) as u8 } else { 0 };
    Ok(Gate { selector: (low >> 16) as u16, offset, stack, kind })
}

/// The handler's code segment, and the privilege it runs with.
fn handler(m: &mut Machine, gate: &Gate, wide: bool) -> Done<(Segment, u8)> {
    if gate.selector & !3 == 0 {
        return Err(Exception::PROTECTION.into());
    }
    let mut found = segment::descriptor(m, gate.selector, vector::PROTECTION)?;
    let width = found.has(Segment::LONG) && !found.has(Segment::BIG);
    if !found.is_code() || found.dpl() > m.cpu.cpl || wide && !width {
        return Err(fault(vector::PROTECTION, gate.selector).into());
    }
    if !found.has(Segment::PRESENT) {
        return Err(fault(vector::NOT_PRESENT, gate.selector).into());
    }
    segment::mark_accessed(m, &mut found)?;
    let conforming = found.has(Segment::EXPAND_DOWN);
    let cpl = if conforming { m.cpu.cpl } else { found.dpl() };
    Ok((found.segment(gate.selector & !3 | u16::from(cpl)), cpl))
}

fn clear_flags(m: &mut Machine, gate: &Gate) {
    m.cpu.rflags &= !(flag::TF | flag::NT | flag::RF | flag::VM);
    if gate.kind & 1 == 0 {
        m.cpu.rflags &= !flag::IF;
    }
}

fn long(m: &mut Machine, event: &Event) -> Done {
    let gate = gate(m, event, true)?;
    let (code, cpl) = handler(m, &gate, true)?;
    let inner = cpl < m.cpu.cpl;
    let (old_ss, old_rsp, old_cs) =
        (m.cpu.segments[seg::SS].selector, m.cpu.gpr[RSP], m.cpu.segments[seg::CS].selector);
    let mut top = old_rsp;
    if gate.stack != 0 || inner {
        let at = if gate.stack != 0 { 0x1c + 8 * u32::from(gate.stack) } else { 4 + 8 * u32::from(cpl) };
        let tr = m.cpu.tr;
        if at + 7 > tr.limit {
            return Err(fault(vector::INVALID_TSS, tr.selector).into());
        }
        top = u64::from_le_bytes(access::load_implicit(m, tr.base.wrapping_add(at.into()))?);
        if !canonical(top) {
            return Err(Exception::plain(vector::STACK).into());
        }
    }
    if !canonical(gate.offset) {
        return Err(Exception::PROTECTION.into());
    }
    m.cpu.cpl = cpl;
    m.cpu.segments[seg::CS] = code;
    if inner {
        m.cpu.segments[seg::SS] = segment::null_stack(cpl);
    }
    m.refresh();
    m.cpu.gpr[RSP] = top & !15;
    let values = [u64::from(old_ss), old_rsp, event.flags, old_cs.into(), event.back];
    for value in values {
        stack::push(m, 8, value)?;
    }
    if let Some(code) = event.code {
        stack::push(m, 8, code.into())?;
    }
    m.cpu.next_rip = gate.offset;
    clear_flags(m, &gate);
    Ok(())
}

fn protected(m: &mut Machine, event: &Event) -> Done {
    let gate = gate(m, event, false)?;
    let (code, cpl) = handler(m, &gate, false)?;
    let size = if gate.kind >= 14 { 4 } else { 2 };
    let (old_ss, old_rsp, old_cs) =
        (m.cpu.segments[seg::SS].selector, m.cpu.gpr[RSP], m.cpu.segments[seg::CS].selector);
    let inner = cpl < m.cpu.cpl;
    if gate.offset > u64::from(code.limit) {
        return Err(Exception::PROTECTION.into());
    }
    if inner {
        let (selector, top) = inner_stack(m, cpl)?;
        let ss = segment::stack_segment(m, selector, cpl, vector::INVALID_TSS)?;
        m.cpu.segments[seg::SS] = ss;
        m.cpu.cpl = cpl;
        m.cpu.segments[seg::CS] = code;
        m.refresh();
        let width = stack::width(m);
        set_gpr(m, RSP, width, top & mask(width));
        stack::push(m, size, old_ss.into())?;
        stack::push(m, size, old_rsp)?;
    }
    m.cpu.segments[seg::CS] = code;
    m.refresh();
    stack::push(m, size, event.flags)?;
    stack::push(m, size, old_cs.into())?;
    stack::push(m, size, event.back)?;
    if let Some(code) = event.code {
        stack::push(m, size, code.into())?;
    }
    m.cpu.next_rip = gate.offset;
    clear_flags(m, &gate);
    Ok(())
}

/// The stack of a privilege level, from a 32-bit or 16-bit task state.
fn inner_stack(m: &mut Machine, cpl: u8) -> Done<(u16, u64)> {
    let tr = m.cpu.tr;
    let wide = tr.attributes & 8 != 0;
    let (at, size) = if wide { (4 + 8 * u32::from(cpl), 6) } else { (2 + 4 * u32::from(cpl), 4) };
    if at + size - 1 > tr.limit {
        return Err(fault(vector::INVALID_TSS, tr.selector).into());
    }
    let at = tr.base.wrapping_add(at.into());
    let load = |m: &mut Machine, at: u64| access::load_implicit::<2>(m, at).map(u16::from_le_bytes);
    if wide {
        let top = u32::from_le_bytes(access::load_implicit(m, at)?);
        Ok((load(m, at.wrapping_add(4))?, top.into()))
    } else {
        let top = load(m, at)?;
        Ok((load(m, at.wrapping_add(2))?, top.into()))
    }
}
