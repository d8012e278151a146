//! Moves, conversions, flags as data.

use perilune_runtime::guest::cpu::flag::{AF, CF, DF, FIXED, PF, SF, ZF};
use perilune_runtime::guest::cpu::gpr::{RAX, RBX, RDX};
use perilune_runtime::guest::machine::Machine;

use super::operand::{effective, get, get_for_write, gpr, mask, set, set_gpr, sign_extend};
use super::{Done, Insn, Kind, access, flags};

/// MOV between general registers, immediate values and memory; MOVZX; MOVNTI.
pub fn mov(m: &mut Machine, i: &Insn) -> Done {
    let value = get(m, i, 1)?;
    set(m, i, 0, value)
}

/// MOV of an immediate value or a register of the same size to a general register.
pub fn mov_to_register(m: &mut Machine, i: &Insn) -> Done {
    let source = i.operands[1];
    let value = if source.kind == Kind::Immediate { i.immediate } else { m.cpu.gpr[usize::from(source.register & 15)] };
    set_gpr(m, i.operands[0].register.into(), i.operands[0].size, value);
    Ok(())
}

/// MOV from memory to a general register.
pub fn mov_load(m: &mut Machine, i: &Insn) -> Done {
    let offset = effective(m, i);
    let value = access::load(m, i.memory.segment, offset, i.operands[1].size)?;
    set_gpr(m, i.operands[0].register.into(), i.operands[0].size, value);
    Ok(())
}

/// MOV from a general register to memory.
pub fn mov_store(m: &mut Machine, i: &Insn) -> Done {
    let offset = effective(m, i);
    let value = m.cpu.gpr[usize::from(i.operands[1].register & 15)];
    access::store(m, i.memory.segment, offset, i.operands[0].size, value)
}

/// CLFLUSH: there is no cache, but the address has to be readable.
pub fn clflush(m: &mut Machine, i: &Insn) -> Done {
    let offset = effective(m, i);
    access::load(m, i.memory.segment, offset, 1)?;
    Ok(())
}

/// MOVSX, MOVSXD.
pub fn movsx(m: &mut Machine, i: &Insn) -> Done {
    let value = sign_extend(get(m, i, 1)?, i.operands[1].size);
    set(m, i, 0, value)
}

/// LEA.
pub fn lea(m: &mut Machine, i: &Insn) -> Done {
    let address = effective(m, i);
    set(m, i, 0, address)
}

/// XCHG.
pub fn xchg(m: &mut Machine, i: &Insn) -> Done {
    // Memory may be either operand.
    let (first, second) = if i.operands[1].kind == Kind::Memory { (1, 0) } else { (0, 1) };
    let a = get_for_write(m, i, first)?;
    let b = get(m, i, second)?;
    set(m, i, first, b)?;
    set(m, i, second, a)
}

/// CMOVcc. The source is read in any case, and a 32-bit destination loses its upper half in any case.
pub fn cmov(m: &mut Machine, i: &Insn) -> Done {
    let value = get(m, i, 1)?;
    let value = if flags::condition(m, i.select) { value } else { get(m, i, 0)? };
    set(m, i, 0, value)
}

/// SETcc.
pub fn setcc(m: &mut Machine, i: &Insn) -> Done {
    let value = u64::from(flags::condition(m, i.select));
    set(m, i, 0, value)
}

/// CBW, CWDE, CDQE: sign-extends the lower half of rAX.
pub fn widen(m: &mut Machine, i: &Insn) -> Done {
    let half = i.size / 2;
    let value = sign_extend(gpr(m, RAX, half), half);
    set_gpr(m, RAX, i.size, value);
    Ok(())
}

/// CWD, CDQ, CQO: fills rDX with the sign of rAX.
pub fn fill_sign(m: &mut Machine, i: &Insn) -> Done {
    let sign = (sign_extend(gpr(m, RAX, i.size), i.size) as i64 >> 63) as u64;
    set_gpr(m, RDX, i.size, sign);
    Ok(())
}

/// XLAT.
pub fn xlat(m: &mut Machine, i: &Insn) -> Done {
    let offset = m.cpu.gpr[RBX].wrapping_add(gpr(m, RAX, 1)) & mask(i.memory.size);
    let value = access::load(m, i.memory.segment, offset, 1)?;
    set_gpr(m, RAX, 1, value);
    Ok(())
}

/// LAHF.
pub fn lahf(m: &mut Machine, _: &Insn) -> Done {
    let low = m.cpu.rflags & (SF | ZF | AF | PF | CF) | FIXED;
    m.cpu.gpr[RAX] = m.cpu.gpr[RAX] & !0xff00 | low << 8;
    Ok(())
}

/// SAHF.
pub fn sahf(m: &mut Machine, _: &Insn) -> Done {
    let high = m.cpu.gpr[RAX] >> 8;
    flags::set_some(m, SF | ZF | AF | PF | CF, high);
    Ok(())
}

/// CLC.
pub fn clc(m: &mut Machine, _: &Insn) -> Done {
    m.cpu.rflags &= !CF;
    Ok(())
}

/// STC.
pub fn stc(m: &mut Machine, _: &Insn) -> Done {
    m.cpu.rflags |= CF;
    Ok(())
}

/// CMC.
pub fn cmc(m: &mut Machine, _: &Insn) -> Done {
    m.cpu.rflags ^= CF;
    Ok(())
}

/// CLD.
pub fn cld(m: &mut Machine, _: &Insn) -> Done {
    m.cpu.rflags &= !DF;
    Ok(())
}

/// STD.
pub fn std(m: &mut Machine, _: &Insn) -> Done {
    m.cpu.rflags |= DF;
    Ok(())
}

/// POPCNT.
pub fn popcnt(m: &mut Machine, i: &Insn) -> Done {
    let value = get(m, i, 1)?;
    set(m, i, 0, value.count_ones().into())?;
    flags::set(m, if value == 0 { ZF } else { 0 });
    Ok(())
}
