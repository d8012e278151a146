//! Descriptors and segment registers (APM volume 2, chapter 4).

use perilune_runtime::guest::cpu::{Segment, TableRegister, attention, flag, mode, seg};
use perilune_runtime::guest::exception::{Exception, vector};
use perilune_runtime::guest::exit::Reason;
use perilune_runtime::guest::machine::{Machine, canonical};

use super::operand::{get, set};
use super::{Done, Insn, access, flags, system};

/// A descriptor, as it lies in its table.
#[derive(Clone, Copy, Debug)]
pub struct Descriptor {
    /// The linear address.
    pub at: u64,
    /// The first eight bytes.
    pub low: u64,
}

impl Descriptor {
    /// Byte 5 and the flags, as [`Segment::attributes`] has them.
    pub fn attributes(&self) -> u16 {
        (self.low >> 40 & 0xff | self.low >> 44 & 0xf00) as u16
    }

    /// The privilege level.
    pub fn dpl(&self) -> u8 {
        (self.low >> 45 & 3) as u8
    }

    /// The type of a system descriptor.
    pub fn kind(&self) -> u8 {
        (self.low >> 40 & 15) as u8
    }

    /// Whether a bit of the attributes is set.
    pub fn has(&self, bit: u16) -> bool {
        self.attributes() & bit != 0
    }

    /// Whether it is a code segment.
    pub fn is_code(&self) -> bool {
        self.has(Segment::CODE_OR_DATA) && self.has(Segment::CODE)
    }

    /// Whether it is a data segment that can be written.
    pub fn is_writable_data(&self) -> bool {
        self.has(Segment::CODE_OR_DATA) && !self.has(Segment::CODE) && self.has(Segment::WRITABLE)
    }

    /// The segment register that holds it.
    pub fn segment(&self, selector: u16) -> Segment {
        let raw = (self.low & 0xffff | self.low >> 32 & 0xf_0000) as u32;
        let limit = if self.has(Segment::PAGES) { raw << 12 | 0xfff } else { raw };
        let base = self.low >> 16 & 0xff_ffff | self.low >> 32 & 0xff00_0000;
        Segment { selector, attributes: self.attributes(), limit, base }
    }
}

/// An exception about a selector: its error code is the selector without RPL.
pub fn fault(which: u8, selector: u16) -> Exception {
    Exception::with_code(which, u32::from(selector & !3))
}

/// Reads the descriptor of a selector; a null selector or one beyond the table raises `which`.
pub fn descriptor(m: &mut Machine, selector: u16, which: u8) -> Done<Descriptor> {
    let table = if selector & 4 == 0 {
        m.cpu.gdtr
    } else {
        TableRegister { base: m.cpu.ldtr.base, limit: m.cpu.ldtr.limit.min(0xffff) as u16 }
    };
    let local_missing = selector & 4 != 0 && !m.cpu.ldtr.has(Segment::PRESENT);
    if selector & !3 == 0 || local_missing || u32::from(selector | 7) > u32::from(table.limit) {
        return Err(fault(which, selector).into());
    }
    let at = table.base.wrapping_add(u64::from(selector & !7));
    let low = u64::from_le_bytes(access::load_implicit(m, at)?);
    Ok(Descriptor { at, low })
}

/// The upper half of the base of a 16-byte descriptor (long mode: LDT, TSS, gates).
pub fn upper(m: &mut Machine, descriptor: &Descriptor) -> Done<u64> {
    let high = u32::from_le_bytes(access::load_implicit(m, descriptor.at.wrapping_add(8))?);
    Ok(u64::from(high) << 32)
}

/// Sets the accessed bit of a code or data descriptor.
pub fn mark_accessed(m: &mut Machine, descriptor: &mut Descriptor) -> Done {
    if descriptor.low >> 40 & 1 == 0 {
        descriptor.low |= 1 << 40;
        access::store_implicit(m, descriptor.at.wrapping_add(5), (descriptor.low >> 40) as u8)?;
    }
    Ok(())
}

/// Computes what depends on segments, privilege, flags and control registers; when the mode changes, the dispatch loop looks up.
pub fn refresh(m: &mut Machine) {
    let before = (m.cpu.mode, m.tlb.space);
    m.refresh();
    if before != (m.cpu.mode, m.tlb.space) {
        m.cpu.attention |= attention::LOOKUP;
    }
}

/// Loads a data segment register, SS among them.
pub fn load_data(m: &mut Machine, register: usize, selector: u16) -> Done {
    if m.cpu.mode & mode::REAL != 0 {
        // Limit and attributes stay, as after a trip through protected mode.
        let segment = &mut m.cpu.segments[register];
        segment.selector = selector;
        segment.base = u64::from(selector) << 4;
    } else {
        let cpl = m.cpu.cpl;
        m.cpu.segments[register] = if register == seg::SS {
            stack_segment(m, selector, cpl, vector::PROTECTION)?
        } else {
            data_segment(m, selector)?
        };
    }
    refresh(m);
    if register == seg::SS {
        m.cpu.shadow = true;
        m.cpu.attention |= attention::INTERRUPT;
    }
    Ok(())
}

fn data_segment(m: &mut Machine, selector: u16) -> Done<Segment> {
    if selector & !3 == 0 {
        return Ok(Segment { selector, ..Segment::default() });
    }
    let mut found = descriptor(m, selector, vector::PROTECTION)?;
    let rpl = (selector & 3) as u8;
    let readable = found.has(Segment::CODE_OR_DATA) && (!found.has(Segment::CODE) || found.has(Segment::WRITABLE));
    let conforming = found.is_code() && found.has(Segment::EXPAND_DOWN);
    if !readable || !conforming && (rpl > found.dpl() || m.cpu.cpl > found.dpl()) {
        return Err(fault(vector::PROTECTION, selector).into());
    }
    if !found.has(Segment::PRESENT) {
        return Err(fault(vector::NOT_PRESENT, selector).into());
    }
    mark_accessed(m, &mut found)?;
    Ok(found.segment(selector))
}

/// The stack segment of a selector for privilege `cpl`; what is wrong with the selector raises `which`.
pub fn stack_segment(m: &mut Machine, selector: u16, cpl: u8, which: u8) -> Done<Segment> {
    let rpl = (selector & 3) as u8;
    if selector & !3 == 0 {
        if m.cpu.long() && m.cpu.code64() && cpl < 3 && rpl == cpl {
            return Ok(null_stack(cpl));
        }
        return Err(fault(which, selector).into());
    }
    let mut found = descriptor(m, selector, which)?;
    if rpl != cpl || found.dpl() != cpl || !found.is_writable_data() {
        return Err(fault(which, selector).into());
    }
    if !found.has(Segment::PRESENT) {
        return Err(fault(vector::STACK, selector).into());
    }
    mark_accessed(m, &mut found)?;
    Ok(found.segment(selector))
}

/// The stack segment with a null selector that 64-bit code may have.
pub fn null_stack(cpl: u8) -> Segment {
    Segment { selector: cpl.into(), attributes: u16::from(cpl) << 5 | 0xc93, limit: u32::MAX, base: 0 }
}

/// MOV to a segment register.
pub fn mov_to(m: &mut Machine, i: &Insn) -> Done {
    let selector = get(m, i, 1)? as u16;
    load_data(m, i.operands[0].register.into(), selector)
}

/// LLDT.
pub fn lldt(m: &mut Machine, i: &Insn) -> Done {
    system::leave_protected(m, Reason::LoadTask, true)?;
    let selector = get(m, i, 0)? as u16;
    if selector & !3 == 0 {
        m.cpu.ldtr = Segment { selector, ..Segment::default() };
        return Ok(());
    }
    if selector & 4 != 0 {
        return Err(fault(vector::PROTECTION, selector).into());
    }
    let found = descriptor(m, selector, vector::PROTECTION)?;
    if found.has(Segment::CODE_OR_DATA) || found.kind() != 2 {
        return Err(fault(vector::PROTECTION, selector).into());
    }
    m.cpu.ldtr = system_segment(m, selector, &found)?;
    Ok(())
}

/// LTR.
pub fn ltr(m: &mut Machine, i: &Insn) -> Done {
    system::leave_protected(m, Reason::LoadTask, true)?;
    let selector = get(m, i, 0)? as u16;
    if selector & 4 != 0 {
        return Err(fault(vector::PROTECTION, selector).into());
    }
    let found = descriptor(m, selector, vector::PROTECTION)?;
    let available = found.kind() == 9 || found.kind() == 1 && !m.cpu.long();
    if found.has(Segment::CODE_OR_DATA) || !available {
        return Err(fault(vector::PROTECTION, selector).into());
    }
    let segment = system_segment(m, selector, &found)?;
    let busy = found.low >> 40 | 2;
    access::store_implicit(m, found.at.wrapping_add(5), busy as u8)?;
    m.cpu.tr = Segment { attributes: segment.attributes | 2, ..segment };
    Ok(())
}

fn system_segment(m: &mut Machine, selector: u16, found: &Descriptor) -> Done<Segment> {
    if !found.has(Segment::PRESENT) {
        return Err(fault(vector::NOT_PRESENT, selector).into());
    }
    let mut segment = found.segment(selector);
    if m.cpu.long() {
        segment.base |= upper(m, found)?;
        if !canonical(segment.base) {
            return Err(fault(vector::PROTECTION, selector).into());
        }
    }
    Ok(segment)
}

/// SLDT, STR: a register gets the selector in full width, memory 16 bits.
pub fn store_task(m: &mut Machine, i: &Insn) -> Done {
    system::leave_protected(m, Reason::StoreTask, false)?;
    let selector = if i.select == 0 { m.cpu.ldtr.selector } else { m.cpu.tr.selector };
    set(m, i, 0, selector.into())
}

/// VERR.
pub const VERR: u8 = 0;
/// VERW.
pub const VERW: u8 = 1;
/// LAR.
pub const LAR: u8 = 2;
/// LSL.
pub const LSL: u8 = 3;

/// VERR, VERW, LAR, LSL: ZF says whether the selector passes; nothing faults but the operand.
pub fn query<const OP: u8>(m: &mut Machine, i: &Insn) -> Done {
    system::leave_protected(m, Reason::SegmentQuery, false)?;
    let selector = get(m, i, usize::from(OP >= LAR))? as u16;
    let found = match descriptor(m, selector, vector::PROTECTION) {
        Ok(found) => Some(found).filter(|found| passes::<OP>(m, selector, found)),
        Err(super::Stop::Exception(e)) if e.vector == vector::PROTECTION => None,
        Err(stop) => return Err(stop),
    };
    if let Some(found) = found {
        match OP {
            LAR => set(m, i, 0, found.low >> 32 & 0x00ff_ff00)?,
            LSL => set(m, i, 0, found.segment(selector).limit.into())?,
            _ => {}
        }
    }
    flags::set_some(m, flag::ZF, if found.is_some() { flag::ZF } else { 0 });
    Ok(())
}

fn passes<const OP: u8>(m: &Machine, selector: u16, found: &Descriptor) -> bool {
    let rpl = (selector & 3) as u8;
    let conforming = found.is_code() && found.has(Segment::EXPAND_DOWN);
    let privileged = conforming || found.dpl() >= rpl.max(m.cpu.cpl);
    let right_kind = if found.has(Segment::CODE_OR_DATA) {
        match OP {
            VERR => !found.has(Segment::CODE) || found.has(Segment::WRITABLE),
            VERW => found.is_writable_data(),
            _ => true,
        }
    } else {
        let kinds: &[u8] = match (OP, m.cpu.long()) {
            (LAR, false) => &[1, 2, 3, 4, 5, 9, 11, 12],
            (LAR, true) => &[2, 9, 11, 12],
            (LSL, false) => &[1, 2, 3, 9, 11],
            (LSL, true) => &[2, 9, 11],
            _ => &[],
        };
        kinds.contains(&found.kind())
    };
    privileged && right_kind
}
