//! What a block to be translated consists of: its instructions, and how each of them is going to be translated.
//!
//! A block is a run of instructions on one page from the address it is entered at, through conditional jumps that are not
//! taken, up to the first instruction that goes elsewhere for sure, goes back, or is the interpreter's.
#![forbid(unsafe_code)]

use super::frame::LIMIT;
use iced_x86::{
    Code, CpuidFeature, Decoder, DecoderError, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register,
};
use perilune_interpreter::guest::decode;
use perilune_interpreter::guest::exec::{Insn, mark};
use perilune_runtime::guest::cpu::mode;

/// How an instruction is translated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// It is copied, with other registers and addresses.
    Copy,
    /// Copied, with RAX in its own place: it is an implicit operand, or AH is one.
    CopyRax,
    /// Division: copied, when the checks say that it raises nothing.
    Divide,
    /// LEA.
    Address,
    /// Nothing to do.
    Nothing,
    /// PUSH of 64 bits.
    Push,
    /// POP of 64 bits into a register.
    Pop,
    /// LEAVE.
    LeaveFrame,
    /// Jcc.
    JumpIf,
    /// LOOP, JRCXZ.
    Loop,
    /// JMP to an address.
    Jump,
    /// CALL of an address.
    Call,
    /// JMP to a register's or memory's value.
    JumpIndirect,
    /// CALL of a register's or memory's value.
    CallIndirect,
    /// RET.
    Return,
    /// x87, on the host's x87.
    X87,
    /// Executed by the interpreter's handler, called from the block.
    Helper,
    /// Left to the interpreter: the block ends before it.
    Leave,
}

/// An instruction of a block.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// What it is.
    pub instruction: Instruction,
    /// How it is translated.
    pub kind: Kind,
    /// Where its immediate operand lies in its bytes, and how long it is, if that can be read from memory: see [`literal_form`].
    pub immediate: Option<(usize, usize)>,
    /// The host address that the immediate operand is to be read from.
    pub literal: Option<u64>,
    /// For [`Kind::X87`]: the opcode that the state remembers of it, if it does.
    pub opcode: Option<u16>,
}

/// The form with a memory operand of an instruction with an immediate one of the same size, for a register.
pub fn literal_form(instruction: &Instruction) -> Option<Code> {
    use Code::*;
    if instruction.op0_kind() != OpKind::Register {
        return None;
    }
    Some(match instruction.code() {
        Mov_r32_imm32 | Mov_rm32_imm32 => Mov_r32_rm32,
        Mov_r64_imm64 => Mov_r64_rm64,
        Add_rm32_imm32 => Add_r32_rm32,
        Sub_rm32_imm32 => Sub_r32_rm32,
        And_rm32_imm32 => And_r32_rm32,
        Or_rm32_imm32 => Or_r32_rm32,
        Xor_rm32_imm32 => Xor_r32_rm32,
        Cmp_rm32_imm32 => Cmp_r32_rm32,
        _ => return None,
    })
}

impl Step {
    /// Its address.
    pub fn rip(&self) -> u64 {
        self.instruction.ip()
    }

    /// The address behind it.
    pub fn next(&self) -> u64 {
        self.instruction.next_ip()
    }
}

/// A block that is going to be translated.
#[derive(Debug)]
pub struct Block {
    /// Its instructions; [`Kind::Leave`] is not among them.
    pub steps: Vec<Step>,
    /// Where it goes on if the last one goes nowhere else.
    pub next: u64,
    /// The instruction at `next` is the interpreter's.
    pub leaves: bool,
    /// Bytes.
    pub length: usize,
}

/// Decodes the block at the start of `bytes`, which lies at `rip` and goes to the end of its page at most, in 64-bit mode.
pub fn decode(bytes: &[u8], rip: u64, bits: u32) -> Block {
    let mut decoder = Decoder::with_ip(64, bytes, rip, DecoderOptions::AMD);
    let mut block = Block { steps: Vec::new(), next: rip, leaves: false, length: 0 };
    while block.steps.len() < LIMIT {
        let mut instruction = decoder.decode();
        if instruction.is_invalid() {
            // Cut off by the page's end, or none at all.
            block.leaves = true;
            debug_assert!(decoder.last_error() != DecoderError::None);
            break;
        }
        let kind = kind(&instruction, &bytes[block.length..], bits);
        if kind == Kind::Leave {
            block.leaves = true;
            break;
        }
        if let Some(code) = general_form(instruction.code()) {
            instruction.set_code(code);
        }
        block.length += instruction.len();
        block.next = instruction.next_ip();
        let offsets = decoder.get_constant_offsets(&instruction);
        let field = (offsets.immediate_offset(), offsets.immediate_size());
        let immediate = literal_form(&instruction).map(|_| field).filter(|_| kind == Kind::Copy);
        let remembered = |insn: Insn| (!insn.has(mark::CONTROL)).then_some(insn.select);
        let insn = (kind == Kind::X87)
            .then(|| decode::decode(&bytes[block.length - instruction.len()..], instruction.ip(), bits));
        let opcode = insn.and_then(|insn| remembered(insn.ok()?));
        block.steps.push(Step { instruction, kind, immediate, literal: None, opcode });
        let backwards = || instruction.near_branch_target() <= instruction.ip();
        match kind {
            Kind::Jump | Kind::Call | Kind::JumpIndirect | Kind::CallIndirect | Kind::Return => break,
            Kind::JumpIf | Kind::Loop if backwards() => break,
            _ if block.length >= bytes.len() => break,
            _ => {}
        }
    }
    block
}

/// How an instruction is translated, in a mode; `bytes` begin with its own.
fn kind(instruction: &Instruction, bytes: &[u8], bits: u32) -> Kind {
    use Mnemonic as M;
    if misleading(instruction, bytes) {
        return Kind::Leave;
    }
    match instruction.mnemonic() {
        M::Movsb
        | M::Movsw
        | M::Movsq
        | M::Stosb
        | M::Stosw
        | M::Stosd
        | M::Stosq
        | M::Lodsb
        | M::Lodsw
        | M::Lodsd
        | M::Lodsq
        | M::Scasb
        | M::Scasw
        | M::Scasd
        | M::Scasq
        | M::Cmpsb
        | M::Cmpsw
        | M::Cmpsq => Kind::Helper,
        M::Movsd | M::Cmpsd if instruction.is_string_instruction() => Kind::Helper,
        M::Nop | M::Endbr64 | M::Endbr32 | M::Prefetchnta | M::Prefetcht0 | M::Prefetcht1 | M::Prefetcht2 => {
            Kind::Nothing
        }
        M::Lea => Kind::Address,
        M::Push | M::Pop | M::Leave => stack(instruction),
        M::Cld | M::Std | M::Lahf | M::Sahf | M::Xlatb | M::Cmpxchg16b | M::Cmpxchg8b => Kind::Helper,
        M::Div | M::Idiv => Kind::Divide,
        _ if instruction.flow_control() != FlowControl::Next => branch(instruction),
        _ if is_integer(instruction.mnemonic()) => integer(instruction),
        _ if bits & mode::SSE != 0 && is_vector(instruction) => Kind::Copy,
        _ if bits & mode::X87 != 0 && is_x87(instruction) => x87(instruction, bits),
        _ => Kind::Leave,
    }
}

/// What the interpreter's decoder does not take from iced as it is, or what has a prefix with a meaning that a copy would not have.
fn misleading(instruction: &Instruction, bytes: &[u8]) -> bool {
    // 90h with REX.B.
    let exchange =
        instruction.len() >= 2 && bytes[instruction.len() - 1] == 0x90 && bytes[instruction.len() - 2] & 0xf1 == 0x41;
    exchange && matches!(instruction.mnemonic(), Mnemonic::Pause | Mnemonic::Nop | Mnemonic::Xchg)
}

fn stack(instruction: &Instruction) -> Kind {
    let eight = instruction.stack_pointer_increment().unsigned_abs() == 8;
    let register = instruction.op0_kind() == OpKind::Register;
    match instruction.mnemonic() {
        _ if register && !instruction.op0_register().is_gpr() => Kind::Leave,
        Mnemonic::Push if eight => Kind::Push,
        Mnemonic::Pop if eight && register => Kind::Pop,
        // Its increment is that of the instruction's own pop only.
        Mnemonic::Leave if instruction.code() == Code::Leaveq => Kind::LeaveFrame,
        _ => Kind::Helper,
    }
}

fn branch(instruction: &Instruction) -> Kind {
    match instruction.code() {
        Code::Jmp_rel8_64 | Code::Jmp_rel32_64 => Kind::Jump,
        Code::Call_rel32_64 => Kind::Call,
        Code::Jmp_rm64 => Kind::JumpIndirect,
        Code::Call_rm64 => Kind::CallIndirect,
        Code::Retnq | Code::Retnq_imm16 => Kind::Return,
        Code::Loop_rel8_64_RCX | Code::Jrcxz_rel8_64 => Kind::Loop,
        _ if instruction.is_jcc_short_or_near() && instruction.op0_kind() == OpKind::NearBranch64 => Kind::JumpIf,
        _ => Kind::Leave,
    }
}

fn is_integer(mnemonic: Mnemonic) -> bool {
    use Mnemonic as M;
    matches!(
        mnemonic,
        M::Mov
            | M::Movzx
            | M::Movsx
            | M::Movsxd
            | M::Movnti
            | M::Add
            | M::Or
            | M::Adc
            | M::Sbb
            | M::And
            | M::Sub
            | M::Xor
            | M::Cmp
            | M::Test
            | M::Inc
            | M::Dec
            | M::Neg
            | M::Not
            | M::Xadd
            | M::Cmpxchg
            | M::Xchg
            | M::Rol
            | M::Ror
            | M::Rcl
            | M::Rcr
            | M::Shl
            | M::Sal
            | M::Shr
            | M::Sar
            | M::Shld
            | M::Shrd
            | M::Mul
            | M::Imul
            | M::Bt
            | M::Bts
            | M::Btr
            | M::Btc
            | M::Bsf
            | M::Bsr
            | M::Bswap
            | M::Clc
            | M::Stc
            | M::Cmc
            | M::Cbw
            | M::Cwde
            | M::Cdqe
            | M::Cwd
            | M::Cdq
            | M::Cqo
    ) || is_conditional(mnemonic)
}

/// SETcc and CMOVcc.
fn is_conditional(mnemonic: Mnemonic) -> bool {
    use Mnemonic as M;
    matches!(
        mnemonic,
        M::Seto
            | M::Setno
            | M::Setb
            | M::Setae
            | M::Sete
            | M::Setne
            | M::Setbe
            | M::Seta
            | M::Sets
            | M::Setns
            | M::Setp
            | M::Setnp
            | M::Setl
            | M::Setge
            | M::Setle
            | M::Setg
            | M::Cmovo
            | M::Cmovno
            | M::Cmovb
            | M::Cmovae
            | M::Cmove
            | M::Cmovne
            | M::Cmovbe
            | M::Cmova
            | M::Cmovs
            | M::Cmovns
            | M::Cmovp
            | M::Cmovnp
            | M::Cmovl
            | M::Cmovge
            | M::Cmovle
            | M::Cmovg
    )
}

fn integer(instruction: &Instruction) -> Kind {
    use Mnemonic as M;
    let registers = (0..instruction.op_count()).filter(|n| instruction.op_kind(*n) == OpKind::Register);
    let mut registers = registers.map(|n| instruction.op_register(n));
    let memory = (0..instruction.op_count()).any(|n| instruction.op_kind(n) == OpKind::Memory);
    // Registers for the control of the machine, and a base that memory is found with by a bit's number.
    if registers.clone().any(|register| !register.is_gpr()) {
        return Kind::Leave;
    }
    let bit = matches!(instruction.mnemonic(), M::Bt | M::Bts | M::Btr | M::Btc);
    if memory && bit && instruction.op1_kind() == OpKind::Register {
        return Kind::Helper;
    }
    let high = |register| matches!(register, Register::AH | Register::BH | Register::CH | Register::DH);
    let one_operand = instruction.op_count() == 1 && matches!(instruction.mnemonic(), M::Mul | M::Imul);
    let implicit = one_operand
        || matches!(instruction.mnemonic(), M::Cbw | M::Cwde | M::Cdqe | M::Cwd | M::Cdq | M::Cqo | M::Cmpxchg);
    if implicit || registers.any(high) { Kind::CopyRax } else { Kind::Copy }
}

/// The form with a field for its register of an encoding that has none, RAX being meant.
fn general_form(code: Code) -> Option<Code> {
    use Code::*;
    const FORMS: &[(Code, Code)] = &[
        (Add_AL_imm8, Add_rm8_imm8),
        (Add_AX_imm16, Add_rm16_imm16),
        (Add_EAX_imm32, Add_rm32_imm32),
        (Add_RAX_imm32, Add_rm64_imm32),
        (Or_AL_imm8, Or_rm8_imm8),
        (Or_AX_imm16, Or_rm16_imm16),
        (Or_EAX_imm32, Or_rm32_imm32),
        (Or_RAX_imm32, Or_rm64_imm32),
        (Adc_AL_imm8, Adc_rm8_imm8),
        (Adc_AX_imm16, Adc_rm16_imm16),
        (Adc_EAX_imm32, Adc_rm32_imm32),
        (Adc_RAX_imm32, Adc_rm64_imm32),
        (Sbb_AL_imm8, Sbb_rm8_imm8),
        (Sbb_AX_imm16, Sbb_rm16_imm16),
        (Sbb_EAX_imm32, Sbb_rm32_imm32),
        (Sbb_RAX_imm32, Sbb_rm64_imm32),
        (And_AL_imm8, And_rm8_imm8),
        (And_AX_imm16, And_rm16_imm16),
        (And_EAX_imm32, And_rm32_imm32),
        (And_RAX_imm32, And_rm64_imm32),
        (Sub_AL_imm8, Sub_rm8_imm8),
        (Sub_AX_imm16, Sub_rm16_imm16),
        (Sub_EAX_imm32, Sub_rm32_imm32),
        (Sub_RAX_imm32, Sub_rm64_imm32),
        (Xor_AL_imm8, Xor_rm8_imm8),
        (Xor_AX_imm16, Xor_rm16_imm16),
        (Xor_EAX_imm32, Xor_rm32_imm32),
        (Xor_RAX_imm32, Xor_rm64_imm32),
        (Cmp_AL_imm8, Cmp_rm8_imm8),
        (Cmp_AX_imm16, Cmp_rm16_imm16),
        (Cmp_EAX_imm32, Cmp_rm32_imm32),
        (Cmp_RAX_imm32, Cmp_rm64_imm32),
        (Test_AL_imm8, Test_rm8_imm8),
        (Test_AX_imm16, Test_rm16_imm16),
        (Test_EAX_imm32, Test_rm32_imm32),
        (Test_RAX_imm32, Test_rm64_imm32),
        (Xchg_r16_AX, Xchg_rm16_r16),
        (Xchg_r32_EAX, Xchg_rm32_r32),
        (Xchg_r64_RAX, Xchg_rm64_r64),
        (Mov_AL_moffs8, Mov_r8_rm8),
        (Mov_AX_moffs16, Mov_r16_rm16),
        (Mov_EAX_moffs32, Mov_r32_rm32),
        (Mov_RAX_moffs64, Mov_r64_rm64),
        (Mov_moffs8_AL, Mov_rm8_r8),
        (Mov_moffs16_AX, Mov_rm16_r16),
        (Mov_moffs32_EAX, Mov_rm32_r32),
        (Mov_moffs64_RAX, Mov_rm64_r64),
    ];
    FORMS.iter().find_map(|(short, general)| (*short == code).then_some(*general))
}

/// Instructions of SSE and SSE2 on the SSE registers.
fn is_vector(instruction: &Instruction) -> bool {
    use Mnemonic as M;
    let known = instruction.cpuid_features().iter().all(|f| matches!(f, CpuidFeature::SSE | CpuidFeature::SSE2));
    let register = |n: u32| {
        let register = instruction.op_register(n);
        register.is_xmm() || register.is_gpr()
    };
    let operands = (0..instruction.op_count()).all(|n| match instruction.op_kind(n) {
        OpKind::Register => register(n),
        OpKind::Memory | OpKind::Immediate8 => true,
        _ => false,
    });
    let sizes = matches!(instruction.memory_size().size(), 0 | 1 | 2 | 4 | 8 | 16);
    let left = matches!(
        instruction.mnemonic(),
        M::Ldmxcsr | M::Fxsave | M::Fxsave64 | M::Fxrstor | M::Fxrstor64 | M::Maskmovdqu | M::Clflush | M::Pause
    );
    known && operands && sizes && !left && instruction.op_count() > 0 && instruction.flow_control() == FlowControl::Next
}

/// How an x87 instruction is translated: natively, but for those that move the state as a whole, and operands of ten bytes.
fn x87(instruction: &Instruction, bits: u32) -> Kind {
    use Mnemonic as M;
    let whole = matches!(instruction.mnemonic(), M::Fninit | M::Fldenv | M::Fnstenv | M::Frstor | M::Fnsave);
    let old = matches!(instruction.mnemonic(), M::Fneni | M::Fndisi | M::Fnsetpm | M::Frstpm);
    let simple = matches!(instruction.memory_size().size(), 0 | 2 | 4 | 8);
    if bits & mode::SSE != 0 && simple && !whole && !old { Kind::X87 } else { Kind::Helper }
}

fn is_x87(instruction: &Instruction) -> bool {
    use CpuidFeature as F;
    // FCOMI and FCMOVcc came with CMOVcc, which is integer.
    let known = |f: &CpuidFeature| matches!(f, F::FPU | F::FPU287 | F::FPU387 | F::CMOV);
    instruction.cpuid_features().iter().all(known) && instruction.mnemonic() != Mnemonic::Wait
}
