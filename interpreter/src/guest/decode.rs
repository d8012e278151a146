//! From bytes to [`Insn`]: iced-x86 decodes, this chooses the handler and converts the operands.

mod vector;

use iced_x86::{Code, CodeSize, Decoder, DecoderError, DecoderOptions, Instruction, Mnemonic, OpKind, Register};
use perilune_runtime::guest::cpu::mode;

use super::exec::{self, Field, Handler, Insn, Kind, Memory, NO_REGISTER, Operand, mark};
use super::exec::{
    alu, bits, branch, control, cpuid, data, far, legacy, multiply, segment, shift, stack, string, system,
};

/// The longest instruction.
pub const LONGEST: usize = 15;

/// Why there is no instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Truncated;

/// The width of code in a mode, in bits.
fn width(bits: u32) -> u32 {
    match bits & mode::WIDTH {
        mode::BITS_64 => 64,
        mode::BITS_32 => 32,
        _ => 16,
    }
}

/// Decodes the instruction at the start of `bytes`, which lies at `rip`. What is no instruction becomes one that raises #UD.
pub fn decode(bytes: &[u8], rip: u64, mode: u32) -> Result<Insn, Truncated> {
    let mut decoder = Decoder::with_ip(width(mode), bytes, rip, DecoderOptions::AMD);
    let mut instruction = Instruction::default();
    decoder.decode_out(&mut instruction);
    if instruction.is_invalid() && decoder.last_error() == DecoderError::NoMoreBytes && bytes.len() < LONGEST {
        return Err(Truncated);
    }
    if instruction.mnemonic() == Mnemonic::Pause
        && let Some(exchange) = exchange_with_r8(&bytes[..instruction.len()])
    {
        return decode(&exchange, rip, mode);
    }
    let mut insn = convert(&instruction, bytes.get(..instruction.len()).unwrap_or(&[]));
    insn.field = field(&decoder, &instruction);
    Ok(insn)
}

/// The field of an instruction's immediate operand, for instructions that are likely to have it written.
fn field(decoder: &Decoder, instruction: &Instruction) -> Field {
    use Mnemonic::{Add, And, Cmp, Mov, Or, Sub, Test, Xor};
    let last = instruction.op_count().saturating_sub(1);
    let sign = match instruction.op_kind(last) {
        OpKind::Immediate8 | OpKind::Immediate16 | OpKind::Immediate32 | OpKind::Immediate64 => 1,
        OpKind::Immediate8to16 | OpKind::Immediate8to32 | OpKind::Immediate8to64 | OpKind::Immediate32to64 => -1,
        _ => return Field::default(),
    };
    if !matches!(instruction.mnemonic(), Mov | Add | Sub | And | Or | Xor | Cmp | Test) {
        return Field::default();
    }
    let offsets = decoder.get_constant_offsets(instruction);
    Field { at: offsets.immediate_offset() as u8, size: sign * offsets.immediate_size() as i8 }
}

/// 90h with REX.B is an exchange with R8, whatever prefix stands before it; the decoder takes it for PAUSE after F3h. Answers the bytes
/// with a prefix that means nothing instead.
fn exchange_with_r8(bytes: &[u8]) -> Option<Vec<u8>> {
    let rex = *bytes.len().checked_sub(2).and_then(|at| bytes.get(at))?;
    (rex & 0xf1 == 0x41).then(|| bytes.iter().map(|byte| if *byte == 0xf3 { 0x3e } else { *byte }).collect())
}

/// The decoded form of an instruction with its bytes.
pub fn convert(instruction: &Instruction, bytes: &[u8]) -> Insn {
    let chosen = choose(instruction, bytes).unwrap_or(Chosen { handler: exec::undefined, select: 0, size: 0 });
    let mut insn = Insn {
        handler: chosen.handler,
        immediate: 0,
        memory: memory(instruction),
        operands: [Operand::default(); 3],
        length: (instruction.len() as u8).max(1),
        size: chosen.size,
        select: chosen.select,
        marks: marks(instruction) | vector::marks(instruction),
        field: Field::default(),
    };
    for n in 0..instruction.op_count().min(3) {
        insn.operands[n as usize] = operand(instruction, n, &mut insn.immediate);
    }
    let first = insn.operands[0].size;
    for operand in &mut insn.operands {
        if operand.kind == Kind::Immediate && operand.size == 0 {
            operand.size = if first == 0 { 8 } else { first };
        }
    }
    specialize(&mut insn);
    insn
}

/// Replaces general handlers by those for the most frequent combinations of operands.
fn specialize(insn: &mut Insn) {
    let is_mov = std::ptr::fn_addr_eq(insn.handler, data::mov as Handler);
    let [to, from, _] = insn.operands;
    if is_mov
        && to.kind == Kind::Gpr
        && (from.kind == Kind::Immediate || from.kind == Kind::Gpr && from.size == to.size)
    {
        insn.handler = data::mov_to_register;
    } else if is_mov && to.kind == Kind::Gpr && from.kind == Kind::Memory {
        insn.handler = data::mov_load;
    } else if is_mov && to.kind == Kind::Memory && from.kind == Kind::Gpr {
        insn.handler = data::mov_store;
    }
}

fn marks(instruction: &Instruction) -> u8 {
    let mut marks = 0;
    let mut put = |mark: u8, wanted: bool| marks |= if wanted { mark } else { 0 };
    let repeated = instruction.has_rep_prefix() || instruction.has_repne_prefix();
    put(mark::REP, instruction.has_rep_prefix());
    put(mark::REPNE, instruction.has_repne_prefix());
    put(mark::LOCK, instruction.has_lock_prefix());
    let leaves = instruction.flow_control() != iced_x86::FlowControl::Next;
    put(mark::LAST, leaves || repeated && instruction.is_string_instruction() || instruction.is_invalid());
    let system_call = matches!(instruction.mnemonic(), Mnemonic::Syscall | Mnemonic::Sysret | Mnemonic::Sysretq);
    put(mark::STEPS, system_call || instruction.flow_control() == iced_x86::FlowControl::Interrupt);
    marks
}

fn memory(instruction: &Instruction) -> Memory {
    let number = |r: Register| match r {
        Register::None | Register::RIP | Register::EIP => NO_REGISTER,
        r => r.full_register().number() as u8,
    };
    let (base, index) = (instruction.memory_base(), instruction.memory_index());
    let string = (0..instruction.op_count()).find_map(|n| string_address(instruction.op_kind(n)));
    let size = match (string, base, index) {
        (Some(size), _, _) => size,
        (None, Register::None, Register::None) => (instruction.memory_displ_size() as u8).max(2),
        (None, Register::None, index) => index.size() as u8,
        (None, base, _) => base.size() as u8,
    };
    // 64-bit code has no use for prefixes but FS and GS: whether #SS or #GP is raised follows from the base alone.
    let ignored = instruction.code_size() == CodeSize::Code64
        && matches!(instruction.segment_prefix(), Register::CS | Register::DS | Register::ES | Register::SS);
    let on_stack = matches!(base, Register::RSP | Register::ESP | Register::RBP | Register::EBP);
    let segment = match instruction.memory_segment() {
        _ if ignored && on_stack => Register::SS.number(),
        _ if ignored => Register::DS.number(),
        Register::None => Register::DS.number(),
        segment => segment.number(),
    };
    Memory {
        displacement: instruction.memory_displacement64(),
        base: number(base),
        index: number(index),
        scale: instruction.memory_index_scale().trailing_zeros() as u8,
        segment: segment as u8,
        size: counter_size(instruction).unwrap_or(size),
    }
}

/// The address size of an implicit operand of a string instruction.
fn string_address(kind: OpKind) -> Option<u8> {
    match kind {
        OpKind::MemorySegSI | OpKind::MemoryESDI | OpKind::MemorySegDI => Some(2),
        OpKind::MemorySegESI | OpKind::MemoryESEDI | OpKind::MemorySegEDI => Some(4),
        OpKind::MemorySegRSI | OpKind::MemoryESRDI | OpKind::MemorySegRDI => Some(8),
        _ => None,
    }
}

/// The size of the counter of LOOP and JrCXZ, and of the base of XLAT.
fn counter_size(instruction: &Instruction) -> Option<u8> {
    use Code::{
        Jcxz_rel8_16, Jcxz_rel8_32, Jecxz_rel8_16, Jecxz_rel8_32, Jecxz_rel8_64, Jrcxz_rel8_16, Jrcxz_rel8_64,
        Loop_rel8_16_CX, Loop_rel8_16_ECX, Loop_rel8_16_RCX, Loop_rel8_32_CX, Loop_rel8_32_ECX, Loop_rel8_64_ECX,
        Loop_rel8_64_RCX, Loope_rel8_16_CX, Loope_rel8_16_ECX, Loope_rel8_16_RCX, Loope_rel8_32_CX, Loope_rel8_32_ECX,
        Loope_rel8_64_ECX, Loope_rel8_64_RCX, Loopne_rel8_16_CX, Loopne_rel8_16_ECX, Loopne_rel8_16_RCX,
        Loopne_rel8_32_CX, Loopne_rel8_32_ECX, Loopne_rel8_64_ECX, Loopne_rel8_64_RCX,
    };
    match instruction.code() {
        Jcxz_rel8_16 | Jcxz_rel8_32 | Loop_rel8_16_CX | Loop_rel8_32_CX | Loope_rel8_16_CX | Loope_rel8_32_CX
        | Loopne_rel8_16_CX | Loopne_rel8_32_CX => Some(2),
        Jecxz_rel8_16 | Jecxz_rel8_32 | Jecxz_rel8_64 | Loop_rel8_16_ECX | Loop_rel8_32_ECX | Loop_rel8_64_ECX
        | Loope_rel8_16_ECX | Loope_rel8_32_ECX | Loope_rel8_64_ECX | Loopne_rel8_16_ECX | Loopne_rel8_32_ECX
        | Loopne_rel8_64_ECX => Some(4),
        Jrcxz_rel8_16 | Jrcxz_rel8_64 | Loop_rel8_16_RCX | Loop_rel8_64_RCX | Loope_rel8_16_RCX | Loope_rel8_64_RCX
        | Loopne_rel8_16_RCX | Loopne_rel8_64_RCX => Some(8),
        _ => None,
    }
}

fn operand(instruction: &Instruction, n: u32, immediate: &mut u64) -> Operand {
    let register = |r: Register| {
        let number = r.full_register().number() as u8;
        let size = r.size() as u8;
        let kind = match r {
            Register::AH | Register::CH | Register::DH | Register::BH => {
                return Operand { kind: Kind::High, register: r as u8 - Register::AH as u8, size };
            }
            r if r.is_gpr() => Kind::Gpr,
            r if r.is_segment_register() => Kind::Segment,
            r if r.is_cr() => Kind::Control,
            r if r.is_dr() => Kind::Debug,
            r if r.is_xmm() => Kind::Xmm,
            r if r.is_mm() => Kind::Mmx,
            r if r.is_st() => Kind::St,
            _ => Kind::None,
        };
        Operand { kind, register: number, size }
    };
    let mut constant = |value: u64, size: u8| {
        *immediate = value;
        Operand { kind: Kind::Immediate, register: 0, size }
    };
    match instruction.op_kind(n) {
        OpKind::Register => register(instruction.op_register(n)),
        OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64 => {
            constant(instruction.near_branch_target(), 8)
        }
        OpKind::FarBranch16 => constant(instruction.far_branch16().into(), 8),
        OpKind::FarBranch32 => constant(instruction.far_branch32().into(), 8),
        // The second immediate of ENTER is the only one of its kind that counts here.
        OpKind::Immediate8_2nd => {
            constant(u64::from(instruction.immediate16()) | u64::from(instruction.immediate8_2nd()) << 32, 8)
        }
        OpKind::Immediate8
        | OpKind::Immediate16
        | OpKind::Immediate32
        | OpKind::Immediate64
        | OpKind::Immediate8to16
        | OpKind::Immediate8to32
        | OpKind::Immediate8to64
        | OpKind::Immediate32to64 => constant(instruction.immediate(n), 0),
        // With a 16-bit destination MOVSXD reads 32 bits all the same.
        _ if instruction.code() == Code::Movsxd_r16_rm16 => Operand { kind: Kind::Memory, register: 0, size: 4 },
        _ => Operand { kind: Kind::Memory, register: 0, size: instruction.memory_size().size() as u8 },
    }
}

/// What executes an instruction, and how.
struct Chosen {
    handler: Handler,
    select: u16,
    size: u8,
}

fn plain(handler: Handler) -> Option<Chosen> {
    Some(Chosen { handler, select: 0, size: 0 })
}

fn selected(handler: Handler, select: u16) -> Option<Chosen> {
    Some(Chosen { handler, select, size: 0 })
}

fn sized(handler: Handler, size: u8) -> Option<Chosen> {
    Some(Chosen { handler, select: 0, size })
}

/// The handler of an instruction, or `None` when there is none.
fn choose(instruction: &Instruction, bytes: &[u8]) -> Option<Chosen> {
    if instruction.is_invalid() {
        return None;
    }
    strings(instruction)
        .or_else(|| integers(instruction.mnemonic()))
        .or_else(|| moves(instruction))
        .or_else(|| stacks(instruction))
        .or_else(|| branches(instruction))
        .or_else(|| returns(instruction))
        .or_else(|| systems(instruction))
        .or_else(|| legacies(instruction))
        .or_else(|| floats(instruction, bytes))
}

/// The size of the first operand that has one.
fn first_size(instruction: &Instruction) -> u8 {
    match instruction.op_kind(0) {
        OpKind::Register => instruction.op_register(0).size() as u8,
        _ => instruction.memory_size().size() as u8,
    }
}

fn strings(instruction: &Instruction) -> Option<Chosen> {
    if !instruction.is_string_instruction() {
        return None;
    }
    use Mnemonic as M;
    let (handler, size): (Handler, u8) = match instruction.mnemonic() {
        M::Movsb => (string::string::<{ string::MOVS }>, 1),
        M::Movsw => (string::string::<{ string::MOVS }>, 2),
        M::Movsd => (string::string::<{ string::MOVS }>, 4),
        M::Movsq => (string::string::<{ string::MOVS }>, 8),
        M::Cmpsb => (string::string::<{ string::CMPS }>, 1),
        M::Cmpsw => (string::string::<{ string::CMPS }>, 2),
        M::Cmpsd => (string::string::<{ string::CMPS }>, 4),
        M::Cmpsq => (string::string::<{ string::CMPS }>, 8),
        M::Stosb => (string::string::<{ string::STOS }>, 1),
        M::Stosw => (string::string::<{ string::STOS }>, 2),
        M::Stosd => (string::string::<{ string::STOS }>, 4),
        M::Stosq => (string::string::<{ string::STOS }>, 8),
        M::Lodsb => (string::string::<{ string::LODS }>, 1),
        M::Lodsw => (string::string::<{ string::LODS }>, 2),
        M::Lodsd => (string::string::<{ string::LODS }>, 4),
        M::Lodsq => (string::string::<{ string::LODS }>, 8),
        M::Scasb => (string::string::<{ string::SCAS }>, 1),
        M::Scasw => (string::string::<{ string::SCAS }>, 2),
        M::Scasd => (string::string::<{ string::SCAS }>, 4),
        M::Scasq => (string::string::<{ string::SCAS }>, 8),
        M::Insb => (string::string::<{ string::INS }>, 1),
        M::Insw => (string::string::<{ string::INS }>, 2),
        M::Insd => (string::string::<{ string::INS }>, 4),
        M::Outsb => (string::string::<{ string::OUTS }>, 1),
        M::Outsw => (string::string::<{ string::OUTS }>, 2),
        M::Outsd => (string::string::<{ string::OUTS }>, 4),
        _ => return None,
    };
    sized(handler, size)
}

fn integers(mnemonic: Mnemonic) -> Option<Chosen> {
    use Mnemonic as M;
    plain(match mnemonic {
        M::Add => alu::binary::<{ alu::ADD }>,
        M::Or => alu::binary::<{ alu::OR }>,
        M::Adc => alu::binary::<{ alu::ADC }>,
        M::Sbb => alu::binary::<{ alu::SBB }>,
        M::And => alu::binary::<{ alu::AND }>,
        M::Sub => alu::binary::<{ alu::SUB }>,
        M::Xor => alu::binary::<{ alu::XOR }>,
        M::Cmp => alu::binary::<{ alu::CMP }>,
        M::Test => alu::test,
        M::Inc => alu::inc,
        M::Dec => alu::dec,
        M::Neg => alu::neg,
        M::Not => alu::not,
        M::Xadd => alu::xadd,
        M::Cmpxchg => alu::cmpxchg,
        M::Cmpxchg8b | M::Cmpxchg16b => alu::cmpxchg_pair,
        M::Rol => shift::shift::<{ shift::ROL }>,
        M::Ror => shift::shift::<{ shift::ROR }>,
        M::Rcl => shift::shift::<{ shift::RCL }>,
        M::Rcr => shift::shift::<{ shift::RCR }>,
        M::Shl | M::Sal => shift::shift::<{ shift::SHL }>,
        M::Shr => shift::shift::<{ shift::SHR }>,
        M::Sar => shift::shift::<{ shift::SAR }>,
        M::Shld => shift::double::<true>,
        M::Shrd => shift::double::<false>,
        M::Mul => multiply::mul,
        M::Imul => multiply::imul,
        M::Div => multiply::div,
        M::Idiv => multiply::idiv,
        M::Bt => bits::bit::<{ bits::TEST }>,
        M::Bts => bits::bit::<{ bits::SET }>,
        M::Btr => bits::bit::<{ bits::RESET }>,
        M::Btc => bits::bit::<{ bits::COMPLEMENT }>,
        M::Bsf => bits::scan::<true>,
        M::Bsr => bits::scan::<false>,
        M::Bswap => bits::bswap,
        M::Popcnt => data::popcnt,
        _ => return None,
    })
}

fn moves(instruction: &Instruction) -> Option<Chosen> {
    use Mnemonic as M;
    let condition = instruction.condition_code();
    if condition != iced_x86::ConditionCode::None {
        let code = condition_number(condition);
        let branches = instruction.is_jcc_short_or_near() || instruction.is_loopcc();
        match instruction.op_count() {
            _ if branches || instruction.is_string_instruction() => {}
            1 => return selected(data::setcc, code),
            _ => return selected(data::cmov, code),
        }
    }
    match instruction.mnemonic() {
        M::Mov => match (instruction.op0_register(), instruction.op1_register()) {
            (r, _) if instruction.op0_kind() == OpKind::Register && r.is_segment_register() => plain(segment::mov_to),
            (r, _) if r.is_cr() => plain(control::write_control),
            (_, r) if r.is_cr() => plain(control::read_control),
            (r, _) if r.is_dr() => plain(control::write_debug),
            (_, r) if r.is_dr() => plain(control::read_debug),
            _ => plain(data::mov),
        },
        M::Movzx | M::Movnti => plain(data::mov),
        M::Movsx | M::Movsxd => plain(data::movsx),
        M::Lea => plain(data::lea),
        M::Xchg => plain(data::xchg),
        M::Cbw => sized(data::widen, 2),
        M::Cwde => sized(data::widen, 4),
        M::Cdqe => sized(data::widen, 8),
        M::Cwd => sized(data::fill_sign, 2),
        M::Cdq => sized(data::fill_sign, 4),
        M::Cqo => sized(data::fill_sign, 8),
        M::Xlatb => plain(data::xlat),
        M::Lahf => plain(data::lahf),
        M::Sahf => plain(data::sahf),
        M::Clc => plain(data::clc),
        M::Stc => plain(data::stc),
        M::Cmc => plain(data::cmc),
        M::Cld => plain(data::cld),
        M::Std => plain(data::std),
        M::Nop | M::Prefetch | M::Prefetchw | M::Prefetchnta | M::Prefetcht0 | M::Prefetcht1 | M::Prefetcht2 => {
            plain(exec::nothing)
        }
        M::Clflush => plain(data::clflush),
        M::Reservednop if instruction.op0_kind() == OpKind::Register && is_prefetch(instruction.code()) => None,
        M::Lfence | M::Mfence | M::Sfence | M::Endbr64 | M::Endbr32 | M::Reservednop => plain(exec::nothing),
        _ => None,
    }
}

/// 0Fh 0Dh, which has no form with two registers.
fn is_prefetch(code: Code) -> bool {
    matches!(code, Code::Reservednop_rm16_r16_0F0D | Code::Reservednop_rm32_r32_0F0D | Code::Reservednop_rm64_r64_0F0D)
}

/// The number that instructions encode for a condition.
fn condition_number(condition: iced_x86::ConditionCode) -> u16 {
    use iced_x86::ConditionCode as C;
    match condition {
        C::None | C::o => 0,
        C::no => 1,
        C::b => 2,
        C::ae => 3,
        C::e => 4,
        C::ne => 5,
        C::be => 6,
        C::a => 7,
        C::s => 8,
        C::ns => 9,
        C::p => 10,
        C::np => 11,
        C::l => 12,
        C::ge => 13,
        C::le => 14,
        C::g => 15,
    }
}

fn stacks(instruction: &Instruction) -> Option<Chosen> {
    use Mnemonic as M;
    let bytes = instruction.stack_pointer_increment().unsigned_abs() as u8;
    let to_segment = instruction.op0_kind() == OpKind::Register && instruction.op0_register().is_segment_register();
    match instruction.mnemonic() {
        M::Push => sized(stack::push_operand, bytes),
        M::Pop if to_segment => sized(stack::pop_segment, bytes),
        M::Pop => sized(stack::pop_operand, bytes),
        M::Pusha => sized(stack::pusha, 2),
        M::Pushad => sized(stack::pusha, 4),
        M::Popa => sized(stack::popa, 2),
        M::Popad => sized(stack::popa, 4),
        M::Pushf => sized(stack::pushf, 2),
        M::Pushfd => sized(stack::pushf, 4),
        M::Pushfq => sized(stack::pushf, 8),
        M::Popf => sized(stack::popf, 2),
        M::Popfd => sized(stack::popf, 4),
        M::Popfq => sized(stack::popf, 8),
        M::Enter => sized(
            stack::enter,
            match instruction.code() {
                Code::Enterw_imm16_imm8 => 2,
                Code::Enterd_imm16_imm8 => 4,
                _ => 8,
            },
        ),
        M::Leave => sized(
            stack::leave,
            match instruction.code() {
                Code::Leavew => 2,
                Code::Leaved => 4,
                _ => 8,
            },
        ),
        _ => None,
    }
}

fn branches(instruction: &Instruction) -> Option<Chosen> {
    use Mnemonic as M;
    let near = match instruction.op0_kind() {
        OpKind::NearBranch16 => Some(2),
        OpKind::NearBranch32 => Some(4),
        OpKind::NearBranch64 => Some(8),
        _ => None,
    };
    let far_immediate = match instruction.op0_kind() {
        OpKind::FarBranch16 => Some(2),
        OpKind::FarBranch32 => Some(4),
        _ => None,
    };
    let selector = instruction.far_branch_selector();
    let far_memory = match instruction.code() {
        Code::Jmp_m1616 | Code::Call_m1616 => Some(2),
        Code::Jmp_m1632 | Code::Call_m1632 => Some(4),
        Code::Jmp_m1664 | Code::Call_m1664 => Some(8),
        _ => None,
    };
    let near_or_indirect = near.unwrap_or(first_size(instruction));
    let chosen = |handler: Handler, select: u16, size: u8| Some(Chosen { handler, select, size });
    match instruction.mnemonic() {
        M::Jmp | M::Call if far_immediate.is_some() || far_memory.is_some() => {
            let handler: Handler = if instruction.mnemonic() == M::Jmp { far::jmp } else { far::call };
            chosen(handler, selector, far_immediate.or(far_memory)?)
        }
        M::Jmp => sized(if near.is_some() { branch::jmp } else { branch::jmp_indirect }, near_or_indirect),
        M::Call => sized(if near.is_some() { branch::call } else { branch::call_indirect }, near_or_indirect),
        M::Loopne => chosen(branch::looping, 0, near?),
        M::Loope => chosen(branch::looping, 1, near?),
        M::Loop => chosen(branch::looping, 2, near?),
        M::Jcxz | M::Jecxz | M::Jrcxz => chosen(branch::looping, 3, near?),
        _ if instruction.is_jcc_short_or_near() => {
            chosen(branch::jcc, condition_number(instruction.condition_code()), near?)
        }
        _ => None,
    }
}

fn returns(instruction: &Instruction) -> Option<Chosen> {
    use Mnemonic as M;
    let width = match instruction.code() {
        Code::Retnw | Code::Retnw_imm16 | Code::Retfw | Code::Retfw_imm16 => 2,
        Code::Retnd | Code::Retnd_imm16 | Code::Retfd | Code::Retfd_imm16 => 4,
        _ => 8,
    };
    match instruction.mnemonic() {
        M::Ret => sized(branch::ret, width),
        M::Retf => sized(far::ret, width),
        M::Iret => sized(far::iret, 2),
        M::Iretd => sized(far::iret, 4),
        M::Iretq => sized(far::iret, 8),
        M::Syscall => plain(far::syscall),
        M::Sysret => sized(far::sysret, 4),
        M::Sysretq => sized(far::sysret, 8),
        M::Sysenter => plain(far::sysenter),
        M::Sysexit | M::Sysexitq => plain(far::sysexit),
        M::Int => Some(Chosen { handler: system::interrupt, select: u16::from(instruction.immediate8()), size: 1 }),
        M::Int3 => Some(Chosen { handler: system::interrupt, select: 3, size: 1 }),
        M::Int1 => Some(Chosen { handler: system::interrupt, select: 1, size: 1 }),
        // Size 0 marks the form with a condition.
        M::Into => selected(system::interrupt, 4),
        _ => None,
    }
}

fn systems(instruction: &Instruction) -> Option<Chosen> {
    use Mnemonic as M;
    let operand_size = match instruction.code() {
        Code::Lgdt_m1632_16 | Code::Lidt_m1632_16 => 2,
        _ => 4,
    };
    let table = |handler: Handler, select: u16| Some(Chosen { handler, select, size: operand_size });
    match instruction.mnemonic() {
        M::In => plain(system::input),
        M::Out => plain(system::output),
        M::Cli => plain(system::cli),
        M::Sti => plain(system::sti),
        M::Hlt => plain(system::hlt),
        M::Pause => plain(system::pause),
        M::Cpuid => plain(cpuid::cpuid),
        M::Rdtsc => selected(system::rdtsc, 0),
        M::Rdtscp => selected(system::rdtsc, 1),
        M::Rdpmc => plain(system::rdpmc),
        M::Rdmsr => plain(control::rdmsr),
        M::Wrmsr => plain(control::wrmsr),
        M::Clts => plain(control::clts),
        M::Smsw => plain(control::smsw),
        M::Lmsw => plain(control::lmsw),
        M::Sgdt => table(system::store_table, 0),
        M::Sidt => table(system::store_table, 1),
        M::Lgdt => table(system::load_table, 0),
        M::Lidt => table(system::load_table, 1),
        M::Sldt => selected(segment::store_task, 0),
        M::Str => selected(segment::store_task, 1),
        M::Lldt => plain(segment::lldt),
        M::Ltr => plain(segment::ltr),
        M::Verr => plain(segment::query::<{ segment::VERR }>),
        M::Verw => plain(segment::query::<{ segment::VERW }>),
        M::Lar => plain(segment::query::<{ segment::LAR }>),
        M::Lsl => plain(segment::query::<{ segment::LSL }>),
        M::Invlpg => plain(system::invlpg),
        M::Invpcid => plain(system::invpcid),
        M::Invd | M::Wbinvd => plain(system::cache_control),
        M::Swapgs => plain(system::swapgs),
        M::Rdfsbase => selected(system::segment_base, 4),
        M::Rdgsbase => selected(system::segment_base, 5),
        M::Wrfsbase => selected(system::segment_base, 12),
        M::Wrgsbase => selected(system::segment_base, 13),
        M::Clac => selected(system::access_flag, 0),
        M::Stac => selected(system::access_flag, 1),
        M::Vmcall | M::Vmmcall => plain(system::hypercall),
        _ => None,
    }
}

fn floats(instruction: &Instruction, bytes: &[u8]) -> Option<Chosen> {
    let (handler, select, size) = vector::choose(instruction, bytes)?;
    Some(Chosen { handler, select, size })
}

fn legacies(instruction: &Instruction) -> Option<Chosen> {
    use Mnemonic as M;
    match instruction.mnemonic() {
        M::Daa => plain(legacy::decimal::<true>),
        M::Das => plain(legacy::decimal::<false>),
        M::Aaa => plain(legacy::ascii::<true>),
        M::Aas => plain(legacy::ascii::<false>),
        M::Aam => plain(legacy::aam),
        M::Aad => plain(legacy::aad),
        M::Salc => plain(legacy::salc),
        M::Bound => plain(legacy::bound),
        M::Les => selected(legacy::load_pointer, 0),
        M::Lss => selected(legacy::load_pointer, 2),
        M::Lds => selected(legacy::load_pointer, 3),
        M::Lfs => selected(legacy::load_pointer, 4),
        M::Lgs => selected(legacy::load_pointer, 5),
        _ => None,
    }
}
