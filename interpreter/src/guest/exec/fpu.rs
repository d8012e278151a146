//! x87: each instruction runs on the host's x87 with the guest's whole state ([`native::x87`]); here are its memory operands, its
//! exceptions, and what the state remembers of the last instruction. FXSAVE and FXRSTOR.

use perilune_runtime::guest::cpu::flag::ARITHMETIC;
use perilune_runtime::guest::cpu::{Fx, MXCSR_MASK, cr0, cr4, mode};
use perilune_runtime::guest::exception::{Exception, vector};
use perilune_runtime::guest::machine::Machine;
use perilune_runtime::guest::tlb::Access;

use super::operand::effective;
use super::{Done, Insn, Kind, access, mark};
use crate::guest::native;

/// x87 and MMX instructions need that CR0 lets them.
pub fn available(m: &Machine) -> Done {
    if m.cpu.mode & mode::X87 == 0 {
        return Err(Exception::plain(vector::DEVICE).into());
    }
    Ok(())
}

/// Instructions that wait raise a pending exception.
pub fn wait_for_errors(m: &Machine) -> Done {
    if native::pending(&m.cpu.fx) {
        return Err(Exception::plain(vector::FLOATING_POINT).into());
    }
    Ok(())
}

/// WAIT.
pub fn wait(m: &mut Machine, _: &Insn) -> Done {
    if m.cpu.cr0 & (cr0::MP | cr0::TS) == cr0::MP | cr0::TS {
        return Err(Exception::plain(vector::DEVICE).into());
    }
    wait_for_errors(m)
}

/// An x87 instruction: `select` is the opcode less D8h, and ModRM in the low byte.
pub fn x87(m: &mut Machine, i: &Insn) -> Done {
    available(m)?;
    if !i.has(mark::NO_WAIT) {
        wait_for_errors(m)?;
    }
    let (opcode, modrm) = ((i.select >> 8) as u8, i.select as u8);
    let mut buffer = [0; 128];
    let memory = i.operands[0].kind == Kind::Memory;
    let size = usize::from(i.operands[0].size).min(buffer.len());
    let (mut fx, flags) = (m.cpu.fx, m.cpu.rflags & ARITHMETIC);
    let offset = effective(m, i);
    if memory {
        // A store that an unmasked exception prevents leaves memory as it is: the buffer begins with that.
        let how = if i.has(mark::STORES) { Access::Write } else { Access::Read };
        access::read_bytes(m, i.memory.segment, offset, &mut buffer[..size], how)?;
    }
    let environment = if memory { Environment::of(opcode, modrm) } else { None };
    let form = &Form { opcode, modrm, short: i.size == 2 };
    match environment {
        Some(environment) => exchange_environment(&mut fx, form, environment, &mut buffer),
        None => {
            let (ax, after) = native::x87(opcode, modrm, &mut fx, &mut buffer, flags);
            m.cpu.rflags = m.cpu.rflags & !ARITHMETIC | after & ARITHMETIC;
            if i.operands[0].kind == Kind::Gpr {
                super::operand::set_gpr(m, 0, 2, ax.into());
            }
            let old = m.cpu.fx;
            (fx.opcode, fx.instruction, fx.data) = match (opcode, modrm) {
                // FNINIT.
                (3, 0xe3) => (0, 0, 0),
                _ if i.has(mark::CONTROL) => (old.opcode, old.instruction, old.data),
                _ => {
                    let last = u16::from(opcode) << 8 | u16::from(modrm);
                    (last, m.cpu.rip, if memory { offset } else { old.data })
                }
            };
        }
    }
    if memory && i.has(mark::STORES) {
        access::write_bytes(m, i.memory.segment, offset, &buffer[..size])?;
    }
    m.cpu.fx = fx;
    Ok(())
}

/// An instruction that moves the x87 environment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Environment {
    /// FLDENV, FRSTOR.
    Load,
    /// FNSTENV.
    Store,
    /// FNSAVE, which initializes afterwards.
    Save,
}

impl Environment {
    fn of(opcode: u8, modrm: u8) -> Option<Environment> {
        match (opcode, modrm >> 3 & 7) {
            (1 | 5, 4) => Some(Environment::Load),
            (1, 6) => Some(Environment::Store),
            (5, 6) => Some(Environment::Save),
            _ => None,
        }
    }
}

/// An instruction, and whether its environment is the one of 14 bytes.
struct Form {
    opcode: u8,
    modrm: u8,
    short: bool,
}

/// Moves the environment. The host works on its form of 28 bytes; the pointers to the last instruction are the guest's, which the host
/// may not have loaded; the form of 14 bytes has each word narrowed.
fn exchange_environment(fx: &mut Fx, form: &Form, environment: Environment, buffer: &mut native::Buffer) {
    let mut long = *buffer;
    if form.short && environment == Environment::Load {
        long = [0; 128];
        for word in 0..7 {
            long[4 * word..4 * word + 2].copy_from_slice(&buffer[2 * word..2 * word + 2]);
        }
        long[28..108].copy_from_slice(&buffer[14..94]);
    }
    let (opcode, instruction, data) = (fx.opcode, fx.instruction, fx.data);
    native::x87(form.opcode, form.modrm, fx, &mut long, 0);
    if environment == Environment::Load {
        let word = |at: usize| u64::from(u32::from_le_bytes([long[at], long[at + 1], long[at + 2], long[at + 3]]));
        (fx.opcode, fx.instruction, fx.data) = ((word(16) >> 16 & 0x7ff) as u16, word(12), word(20));
        return;
    }
    long[12..16].copy_from_slice(&(instruction as u32).to_le_bytes());
    long[16..20].copy_from_slice(&(u32::from(opcode) << 16).to_le_bytes());
    long[20..24].copy_from_slice(&(data as u32).to_le_bytes());
    long[24..28].copy_from_slice(&0xffff_0000u32.to_le_bytes());
    (fx.opcode, fx.instruction, fx.data) =
        if environment == Environment::Save { (0, 0, 0) } else { (opcode, instruction, data) };
    if form.short {
        for word in 0..7 {
            buffer[2 * word..2 * word + 2].copy_from_slice(&long[4 * word..4 * word + 2]);
        }
        buffer[14..94].copy_from_slice(&long[28..108]);
    } else {
        *buffer = long;
    }
}

/// Bytes of the image that FXSAVE writes; the rest stays as it is.
const SAVED: usize = 416;

fn fx_address(m: &Machine, i: &Insn) -> Done<u64> {
    available(m)?;
    let offset = effective(m, i);
    let va = access::linear(m, i.memory.segment, offset, 512, Access::Read)?;
    if va.is_multiple_of(16) { Ok(offset) } else { Err(Exception::PROTECTION.into()) }
}

/// How many SSE registers the mode has.
fn registers(m: &Machine) -> usize {
    if m.cpu.code64() { 16 } else { 8 }
}

/// FXSAVE; size 8 is the form with 64-bit pointers.
pub fn fxsave(m: &mut Machine, i: &Insn) -> Done {
    let offset = fx_address(m, i)?;
    let mut image = [0; 512];
    access::read_bytes(m, i.memory.segment, offset, &mut image, Access::Write)?;
    let fx = m.cpu.fx;
    image[0..2].copy_from_slice(&fx.control.to_le_bytes());
    image[2..4].copy_from_slice(&fx.status.to_le_bytes());
    image[4..6].copy_from_slice(&[fx.tag, 0]);
    image[6..8].copy_from_slice(&fx.opcode.to_le_bytes());
    let pointer = |value: u64| if i.size == 8 { value } else { value & 0xffff_ffff };
    image[8..16].copy_from_slice(&pointer(fx.instruction).to_le_bytes());
    image[16..24].copy_from_slice(&pointer(fx.data).to_le_bytes());
    image[24..28].copy_from_slice(&fx.mxcsr.to_le_bytes());
    image[28..32].copy_from_slice(&MXCSR_MASK.to_le_bytes());
    for (slot, st) in image[32..160].chunks_exact_mut(16).zip(&fx.st) {
        slot[..10].copy_from_slice(&st[..10]);
        slot[10..].fill(0);
    }
    if m.cpu.cr4 & cr4::OSFXSR != 0 {
        let count = registers(m);
        for (slot, xmm) in image[160..SAVED].chunks_exact_mut(16).zip(&fx.xmm).take(count) {
            slot.copy_from_slice(&xmm.to_le_bytes());
        }
    }
    access::write_bytes(m, i.memory.segment, offset, &image)
}

/// FXRSTOR.
pub fn fxrstor(m: &mut Machine, i: &Insn) -> Done {
    let offset = fx_address(m, i)?;
    let mut image = [0; 512];
    access::read_bytes(m, i.memory.segment, offset, &mut image, Access::Read)?;
    let short = |at: usize| u16::from_le_bytes([image[at], image[at + 1]]);
    let word = |at: usize| u32::from(short(at)) | u32::from(short(at + 2)) << 16;
    let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
    let mut fx = m.cpu.fx;
    if m.cpu.cr4 & cr4::OSFXSR != 0 {
        if word(24) & !MXCSR_MASK != 0 {
            return Err(Exception::PROTECTION.into());
        }
        fx.mxcsr = word(24);
        let count = registers(m);
        for (at, xmm) in fx.xmm.iter_mut().enumerate().take(count) {
            *xmm = u128::from(long(160 + 16 * at)) | u128::from(long(168 + 16 * at)) << 64;
        }
    }
    fx.control = short(0);
    fx.status = short(2);
    fx.tag = image[4];
    fx.opcode = short(6) & 0x7ff;
    let pointer = |at: usize| if i.size == 8 { long(at) } else { word(at).into() };
    fx.instruction = pointer(8);
    fx.data = pointer(16);
    for (st, slot) in fx.st.iter_mut().zip(image[32..160].chunks_exact(16)) {
        st[..10].copy_from_slice(&slot[..10]);
        st[10..].fill(0);
    }
    m.cpu.fx = normalized(fx);
    Ok(())
}

/// What the processor keeps of a state: the reserved bit of the control word, and the summary of exceptions.
fn normalized(mut fx: Fx) -> Fx {
    fx.control = fx.control & 0x1f7f | 0x40;
    let unmasked = fx.status & !fx.control & 0x3f != 0;
    fx.status = fx.status & !0x8080 | if unmasked { 0x8080 } else { 0 };
    fx
}
