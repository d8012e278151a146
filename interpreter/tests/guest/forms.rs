//! The forms of instructions: which there are, what the manual leaves undefined of them, and states of the vector units to run them with.

use iced_x86::{Code, Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register, RflagsBits};
use perilune_interpreter::guest::decode;
use perilune_interpreter::guest::exec::{self, Handler};
use perilune_runtime::guest::cpu::{Fx, flag, mode};

use super::native::{CODE, Registers};
use super::random::Random;

/// The opcodes of an instruction's form, its prefixes, and how much follows.
pub fn candidates() -> Vec<Vec<u8>> {
    let prefixes: &[&[u8]] = &[
        &[],
        &[0x66],
        &[0xf2],
        &[0xf3],
        &[0x48],
        &[0x66, 0x41],
        &[0x4f],
        &[0x67],
        &[0x44],
        &[0xf2, 0x48],
        &[0xf3, 0x4d],
    ];
    let mut all = Vec::new();
    for prefix in prefixes {
        for map in [&[][..], &[0x0f][..]] {
            for opcode in 0..=255u8 {
                let head = [*prefix, map, &[opcode]].concat();
                for extension in 0..8u8 {
                    for kind in [0xc0u8, 0x80, 0x40, 0x00] {
                        let mut bytes = head.clone();
                        bytes.push(kind | extension << 3);
                        all.push(bytes);
                    }
                }
            }
        }
    }
    all
}

/// Instructions whose effect on the host is not that on a guest, or reaches beyond the test.
pub fn excluded(i: &Instruction) -> bool {
    use Mnemonic as M;
    let names = matches!(
        i.mnemonic(),
        M::Syscall | M::Sysenter | M::Sysexit | M::Sysexitq | M::Sysret | M::Sysretq | M::Int | M::Int1 | M::Int3 | M::Into
            | M::Iret | M::Iretd | M::Iretq | M::Retf
            | M::Cpuid | M::Rdtsc | M::Rdtscp | M::Rdpmc
            // Tables and segments of the host.
            | M::Sgdt | M::Sidt | M::Sldt | M::Str | M::Smsw | M::Lar | M::Lsl | M::Verr | M::Verw
            | M::Les | M::Lds | M::Lfs | M::Lgs | M::Lss | M::Rdfsbase | M::Rdgsbase | M::Wrfsbase | M::Wrgsbase
            | M::Vmcall | M::Vmmcall
            // The host may let user code do it.
            | M::Popf | M::Popfd | M::Popfq
    );
    let segments = |n: u32| i.op_kind(n) == OpKind::Register && i.op_register(n).is_segment_register();
    let far = matches!(
        i.code(),
        Code::Jmp_m1616 | Code::Jmp_m1632 | Code::Jmp_m1664 | Code::Call_m1616 | Code::Call_m1632 | Code::Call_m1664
    );
    let far = far || matches!(i.op0_kind(), OpKind::FarBranch16 | OpKind::FarBranch32);
    let segment = matches!(i.segment_prefix(), Register::FS | Register::GS);
    // A prefix that is reserved there, and turns the condition round on some processors.
    let repeated_loop = i.is_loopcc() && (i.has_rep_prefix() || i.has_repne_prefix());
    names || far || segment || repeated_loop || (0..i.op_count()).any(segments)
}

/// Whether the interpreter has a handler for it.
pub fn is_handled(bytes: &[u8], bits: u32) -> bool {
    let width = if bits == 64 { mode::BITS_64 } else { mode::BITS_32 };
    decode::decode(bytes, CODE, width | mode::USER)
        .is_ok_and(|insn| !std::ptr::fn_addr_eq(insn.handler, exec::undefined as Handler))
}

/// The number of the operand in memory.
pub fn memory_operand(i: &Instruction) -> u32 {
    (0..i.op_count()).find(|n| i.op_kind(*n) == OpKind::Memory).unwrap_or(0)
}

/// The value of a general register or a part of one.
pub fn value_of(r: &Registers, register: Register) -> u64 {
    let full = r.gpr[register.full_register().number()];
    match register.size() {
        1 => full & 0xff,
        2 => full & 0xffff,
        4 => full & 0xffff_ffff,
        _ => full,
    }
}

/// Decodes the first instruction, as if it lay at the middle of the page of code.
pub fn decoder(bytes: &[u8], bits: u32) -> (Instruction, Decoder<'_>) {
    let mut decoder = Decoder::with_ip(bits, bytes, CODE + 0x800, DecoderOptions::AMD);
    let instruction = decoder.decode();
    (instruction, decoder)
}

/// Flags that have no defined value after the instruction with this value of CL.
pub fn undefined_flags(i: &Instruction, cl: u64) -> u64 {
    let bits = i.rflags_undefined();
    let mut undefined = flags(bits);
    use Mnemonic as M;
    let (size, masked) = (operand_size(i), shift_count(i, cl));
    match i.mnemonic() {
        M::Shl | M::Sal | M::Shr | M::Sar | M::Rol | M::Ror | M::Rcl | M::Rcr | M::Shld | M::Shrd => {
            undefined |= if masked > 1 { flag::OF } else { 0 };
            if masked == 1 {
                undefined &= !flag::OF;
            }
            if masked == 0 {
                undefined = 0;
            }
            if masked >= 8 * size as u64 && matches!(i.mnemonic(), M::Shl | M::Sal | M::Shr | M::Shld | M::Shrd) {
                undefined |= flag::CF;
            }
            if masked > 8 * size as u64 && matches!(i.mnemonic(), M::Shld | M::Shrd) {
                undefined |= flag::ARITHMETIC;
            }
        }
        _ => {}
    }
    undefined
}

/// Bytes of the first operand.
fn operand_size(i: &Instruction) -> usize {
    if i.op0_kind() == OpKind::Register { i.op0_register().size() } else { i.memory_size().size() }
}

/// By how many bits a shift with this value of CL shifts.
fn shift_count(i: &Instruction, cl: u64) -> u64 {
    let by = if i.op_count() == 3 { i.op_kind(2) } else { i.op_kind(1) };
    let count = if by == OpKind::Register { cl } else { i.immediate8().into() };
    count & if operand_size(i) == 8 { 63 } else { 31 }
}

/// Double shifts of 16 bits by more, and BSWAP of 16 bits, have no defined result.
pub fn undefined_result(i: &Instruction, cl: u64) -> bool {
    match i.mnemonic() {
        Mnemonic::Shld | Mnemonic::Shrd => operand_size(i) == 2 && shift_count(i, cl) > 16,
        Mnemonic::Bswap => i.op0_register().size() == 2,
        _ => false,
    }
}

/// A double, a float, or any bits: of the kind that finds mistakes.
fn float_bits(random: &mut Random) -> u64 {
    let double = [0.0, 1.0, -1.5, 1e300, -1e-310, f64::INFINITY, f64::NAN, 2147483648.5, 3.75, 1e18];
    let single = [0.0f32, 1.0, -2.5, 1e38, 1e-40, f32::NEG_INFINITY, f32::NAN, 12345.678];
    match random.below(4) {
        0 => double[random.below(10) as usize].to_bits(),
        1 => {
            u64::from(single[random.below(8) as usize].to_bits()) << 32
                | u64::from(single[random.below(8) as usize].to_bits())
        }
        2 => (random.next() as i64 as f64 / 1e9).to_bits(),
        _ => random.next(),
    }
}

/// Values in all registers of x87 and SSE, exceptions mostly masked.
pub fn float_state(random: &mut Random) -> Fx {
    let mut fx = Fx::default();
    fx.mxcsr = 0x1f80 | (random.next() as u32 & 0xe07f);
    if random.once_in(8) {
        fx.mxcsr &= !(random.next() as u32 & 0x1f80);
    }
    fx.control = 0x37f & !(random.next() as u16 & 0xf00) | (random.next() as u16 & 0xf00);
    if random.once_in(8) {
        fx.control &= !(random.next() as u16 & 0x3f);
    }
    let unmasked = !fx.control & 0x3f;
    fx.status = random.next() as u16 & 0x7f7f & !unmasked;
    fx.tag = if random.once_in(3) { random.next() as u8 } else { 0xff };
    for xmm in &mut fx.xmm {
        *xmm = u128::from(float_bits(random)) << 64 | u128::from(float_bits(random));
    }
    for st in &mut fx.st {
        let exponent = if random.once_in(4) { random.next() as u16 } else { 0x3fff - 20 + random.below(60) as u16 };
        let exponent = if random.once_in(2) { exponent } else { exponent | 0x8000 };
        let significand = if random.once_in(8) { random.value() } else { random.value() | 1 << 63 };
        st[..8].copy_from_slice(&significand.to_le_bytes());
        st[8..10].copy_from_slice(&exponent.to_le_bytes());
    }
    fx
}

/// What differs of x87 and SSE; the pointers to the last instruction are not looked at, since hosts keep them only when they must.
pub fn float_difference(ours: &Fx, native: &Fx) -> Option<String> {
    let head = |fx: &Fx| (fx.control, fx.status, fx.tag, fx.mxcsr);
    let st = |fx: &Fx| fx.st.map(|st| st[..10].to_vec());
    let mut text = String::new();
    if head(ours) != head(native) {
        text += &format!("control, status, tag, mxcsr {:x?}, natively {:x?}\n", head(ours), head(native));
    }
    for n in 0..8 {
        if st(ours)[n] != st(native)[n] {
            text += &format!("st{n} {:x?}, natively {:x?}\n", st(ours)[n], st(native)[n]);
        }
    }
    for n in 0..16 {
        if ours.xmm[n] != native.xmm[n] {
            text += &format!("xmm{n} {:x}, natively {:x}\n", ours.xmm[n], native.xmm[n]);
        }
    }
    (!text.is_empty()).then_some(text)
}

/// Instructions that store or load state of the processor as a whole: parts of it have no meaning for programs, or differ by host.
pub fn state(i: &Instruction) -> bool {
    use Mnemonic as M;
    matches!(
        i.mnemonic(),
        M::Fxsave | M::Fxsave64 | M::Fxrstor | M::Fxrstor64 | M::Fnsave | M::Fsave | M::Frstor | M::Fnstenv | M::Fstenv
            | M::Fldenv | M::Ldmxcsr | M::Stmxcsr
            // The host may let user code set more flags than the guest.
            | M::Popf | M::Popfd | M::Popfq | M::Salc
    )
}

fn flags(bits: u32) -> u64 {
    let named = [
        (RflagsBits::OF, flag::OF),
        (RflagsBits::SF, flag::SF),
        (RflagsBits::ZF, flag::ZF),
        (RflagsBits::AF, flag::AF),
        (RflagsBits::CF, flag::CF),
        (RflagsBits::PF, flag::PF),
    ];
    named.iter().filter(|(bit, _)| bits & bit != 0).fold(0, |all, (_, flag)| all | flag)
}

/// The flags that an instruction reads.
pub fn read_flags(i: &Instruction) -> u64 {
    flags(i.rflags_read())
}

/// The flags that have a new value after an instruction with this value of CL, defined or not.
pub fn written_flags(i: &Instruction, cl: u64) -> u64 {
    use Mnemonic as M;
    let shift = matches!(
        i.mnemonic(),
        M::Shl | M::Sal | M::Shr | M::Sar | M::Rol | M::Ror | M::Rcl | M::Rcr | M::Shld | M::Shrd
    );
    // A count of 0, or a repetition of no times, leaves all flags as they are.
    if i.is_string_instruction() || shift && shift_count(i, cl) == 0 { 0 } else { flags(i.rflags_modified()) }
}
