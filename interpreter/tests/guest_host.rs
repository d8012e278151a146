//! Every instruction form against the host: the same bytes with the same registers and memory must give the same registers, flags,
//! memory, and the same exception.
//!
//! Forms are generated from the opcode maps: each opcode with each prefix that changes its meaning, each opcode extension, register
//! and memory operands; random registers, displacements and immediates, addresses bent to where memory is, or is not.
//! What the manual leaves undefined is masked, by iced-x86's tables.

#[allow(dead_code, reason = "shared by test programs that use a part of it each")]
mod guest {
    pub mod forms;
    pub mod machine;
    pub mod native;
    pub mod random;
}

use std::collections::{BTreeMap, BTreeSet};

use guest::forms::{
    candidates, decoder, excluded, float_difference, float_state, is_handled, memory_operand, undefined_flags,
    undefined_result, value_of,
};
use guest::machine::Guest;
use guest::native::{CODE, CONSTANT, DATA, DATA_SIZE, Ending, Host, Registers, STACK};
use guest::random::{Random, setting};
use iced_x86::{Code, Instruction, Mnemonic, OpKind, Register};
use perilune_interpreter::guest::decode;
use perilune_interpreter::guest::exec::{Field, Kind};
use perilune_runtime::guest::cpu::{flag, mode};
use perilune_runtime::guest::exception::page_fault;

/// Bends registers and displacement so that a memory operand lies where `target` says, as far as that goes.
fn aim(bytes: &mut [u8], bits: u32, i: &Instruction, registers: &mut Registers, target: u64) {
    let address = |r: &Registers, i: &Instruction| {
        i.virtual_address(memory_operand(i), 0, |register, _, _| match register {
            r if r.is_segment_register() => Some(0),
            register => Some(value_of(r, register)),
        })
    };
    let Some(now) = address(registers, i) else { return };
    let off = target.wrapping_sub(now);
    let (base, index) = (i.memory_base(), i.memory_index());
    let number = |r: Register| r.full_register().number();
    if base.is_gpr() && number(base) != 4 {
        let slot = &mut registers.gpr[number(base)];
        *slot = slot.wrapping_add(off);
    } else if index.is_gpr() {
        let slot = &mut registers.gpr[number(index)];
        *slot = slot.wrapping_add(off >> i.memory_index_scale().trailing_zeros());
    } else {
        let decoder = decoder(bytes, bits).1;
        let offsets = decoder.get_constant_offsets(i);
        if offsets.has_displacement() && offsets.displacement_size() == 4 {
            let at = offsets.displacement_offset();
            let old = u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
            bytes[at..at + 4].copy_from_slice(&old.wrapping_add(off as u32).to_le_bytes());
        }
    }
}

/// One instruction with everything it works on.
#[derive(Clone)]
struct Case {
    bits: u32,
    bytes: Vec<u8>,
    instruction: Instruction,
    registers: Registers,
    data: Vec<u8>,
}

/// Makes a case of a candidate, or nothing if it is no instruction for this test.
fn case(random: &mut Random, head: &[u8], bits: u32) -> Option<Case> {
    let mut bytes = head.to_vec();
    let kind = bytes.pop()?;
    // The low bits of ModRM are random; a displacement and immediate values follow.
    bytes.push(kind | random.below(8) as u8);
    while bytes.len() < 15 {
        bytes.push(random.value() as u8);
    }
    let (instruction, _) = decoder(&bytes, bits);
    if instruction.is_invalid() || excluded(&instruction) || !is_handled(&bytes, bits) {
        return None;
    }
    bytes.truncate(instruction.len());
    let mut registers = Registers {
        gpr: std::array::from_fn(|_| random.value()),
        rip: CODE + 0x800,
        rflags: Guest::FLAGS | random.next() & (flag::ARITHMETIC | flag::DF),
        fx: float_state(random),
    };
    registers.gpr[4] = STACK + 0x400 + random.below(0x800);
    if random.once_in(20) {
        registers.gpr[4] = STACK + random.below(16);
    }
    let target = match random.below(16) {
        0 => DATA + DATA_SIZE as u64 - random.below(16),
        1 => DATA + 0x1000 - random.below(16),
        2 => CONSTANT + random.below(0x1000),
        3 => CONSTANT + 0x1000 - random.below(16),
        _ => DATA + 0x100 + random.below(DATA_SIZE as u64 - 0x200),
    };
    string_registers(random, &instruction, &mut registers, target);
    if instruction.mnemonic() != Mnemonic::Lea
        && (0..instruction.op_count()).any(|n| instruction.op_kind(n) == OpKind::Memory)
    {
        if random.once_in(2)
            && matches!(instruction.mnemonic(), Mnemonic::Bt | Mnemonic::Bts | Mnemonic::Btr | Mnemonic::Btc)
        {
            let number = instruction.op1_register();
            if number.is_gpr() && number.full_register().number() != 4 {
                registers.gpr[number.full_register().number()] = random.below(0x4000).wrapping_sub(0x2000);
            }
        }
        aim(&mut bytes, bits, &instruction, &mut registers, target);
    }
    let (instruction, _) = decoder(&bytes, bits);
    let data = (0..DATA_SIZE / 8).flat_map(|_| random.value().to_le_bytes()).collect();
    if bits == 32 {
        for register in &mut registers.gpr {
            *register &= 0xffff_ffff;
        }
        registers.gpr[8..].fill(0);
    }
    Some(Case { bits, bytes, instruction, registers, data })
}

/// Implicit operands of string instructions, XLAT, and branches by memory or register.
fn string_registers(random: &mut Random, i: &Instruction, registers: &mut Registers, target: u64) {
    if i.is_string_instruction() {
        registers.gpr[6] = target;
        registers.gpr[7] = DATA + random.below(DATA_SIZE as u64);
        registers.gpr[1] = random.below(40);
    }
    if matches!(i.mnemonic(), Mnemonic::Maskmovdqu | Mnemonic::Maskmovq) {
        registers.gpr[7] = target;
    }
    if i.mnemonic() == Mnemonic::Xlatb {
        registers.gpr[3] = target;
    }
    if i.mnemonic() == Mnemonic::Leave || i.mnemonic() == Mnemonic::Enter {
        registers.gpr[5] = STACK + 0x400 + random.below(0x800);
    }
    if matches!(i.mnemonic(), Mnemonic::Div | Mnemonic::Idiv) && random.once_in(2) {
        registers.gpr[2] = if random.once_in(2) { 0 } else { u64::MAX };
    }
}

/// Runs a case on both, and says how they differ.
fn compare(case: &Case, host: &mut Host, guest: &mut Guest) -> Result<(), String> {
    let mut code = vec![0xcc; 0x1000];
    code[0x800..0x800 + case.bytes.len()].copy_from_slice(&case.bytes);
    let stack: Vec<u8> = (0..0x1000u32).map(|n| (n * 7 / 8) as u8).collect();
    // A return address, so that RET finds code.
    let mut stack = stack;
    for at in (0..0x1000).step_by(8) {
        stack[at..at + 8].copy_from_slice(&(CODE + 0x100 + at as u64 / 8).to_le_bytes());
    }
    host.write(CODE, &code);
    host.write(DATA, &case.data);
    host.write(STACK, &stack);
    guest.write(CODE, &code);
    guest.write(DATA, &case.data);
    guest.write(STACK, &stack);
    guest.set_narrow(case.bits == 32);
    let (mut ours, our_end) = guest.run(case.registers, 10_000);
    if our_end.vector == 255 {
        // A branch to itself.
        return Ok(());
    }
    let (mut native, native_end) = host.run(case.registers, case.bits == 32);
    if native.fx.mxcsr & !0xffff != 0 {
        // A bit of MXCSR that this host has and the guest has not.
        return Ok(());
    }
    if native.rip >> 12 == 0xf_ffff_ffff_f600 {
        // A page of the kernel's that user code may execute.
        return Ok(());
    }
    if native_end.vector == 3 {
        // The host reports a breakpoint as a trap: behind it.
        native.rip -= 1;
    }
    let mask = flag::ARITHMETIC & !undefined_flags(&case.instruction, case.registers.gpr[1]) | flag::DF;
    let faulted = native_end.vector != 3;
    let mask = if faulted { flag::ARITHMETIC | flag::DF } else { mask };
    native.rflags &= mask;
    ours.rflags &= mask;
    if undefined_result(&case.instruction, case.registers.gpr[1]) && !faulted {
        native.gpr = ours.gpr;
    }
    let mut wrong = String::new();
    let mut note = |what: &str| wrong.push_str(what);
    // Linux tells of a page that is there for any address of its own half, so that nobody can probe it.
    let hidden = if native_end.address >= 0x7fff_ffff_f000 { page_fault::PRESENT } else { 0 };
    let (our_end, native_end) =
        (Ending { code: our_end.code | hidden, ..our_end }, Ending { code: native_end.code | hidden, ..native_end });
    // Of a long operand, any byte may be the first that faults.
    let long = matches!(case.instruction.memory_size().size(), 14 | 17..);
    // And either of two operands: processors differ.
    let two =
        matches!(case.instruction.mnemonic(), Mnemonic::Cmpsb | Mnemonic::Cmpsw | Mnemonic::Cmpsd | Mnemonic::Cmpsq);
    let is_page_fault = native_end.vector == 14 && !long && !two;
    let same_ending = Ending { address: if is_page_fault { our_end.address } else { 0 }, ..our_end }
        == Ending { address: if is_page_fault { native_end.address } else { 0 }, ..native_end };
    if !same_ending {
        note(&format!("ended with {our_end:x?}, natively {native_end:x?}\n"));
    }
    for n in 0..16 {
        if ours.gpr[n] != native.gpr[n] {
            note(&format!("register {n}: {:#x}, natively {:#x}\n", ours.gpr[n], native.gpr[n]));
        }
    }
    if ours.rip != native.rip {
        note(&format!("rip {:#x}, natively {:#x}\n", ours.rip, native.rip));
    }
    if ours.rflags != native.rflags {
        note(&format!("flags {:#x}, natively {:#x} (mask {mask:#x})\n", ours.rflags, native.rflags));
    }
    // Whether the result behind an overflow or underflow that is not masked would be exact depends on an exponent without bounds.
    if native_end.vector == 19 && native.fx.mxcsr & 0x18 & !(native.fx.mxcsr >> 7) != 0 {
        ours.fx.mxcsr |= 0x20;
        native.fx.mxcsr |= 0x20;
    }
    if let Some(text) = float_difference(&ours.fx, &native.fx) {
        note(&text);
    }
    for (at, size) in [(DATA, DATA_SIZE), (STACK, 0x1000)] {
        let (a, b) = (&guest.read(at, size), host.read(at, size));
        // FXSAVE tells of a bit of MXCSR that this host has and the guest has not: the third byte of the mask.
        let is_image = matches!(case.instruction.mnemonic(), Mnemonic::Fxsave | Mnemonic::Fxsave64);
        let different = a.iter().zip(b).position(|(a, b)| a != b && !(is_image && (a ^ b) == 2));
        if let Some(n) = different.filter(|_| !undefined_result(&case.instruction, case.registers.gpr[1])) {
            note(&format!(
                "memory at {:#x}: {:x?}, natively {:x?}\n",
                at + n as u64,
                &a[n..(n + 8).min(size)],
                &b[n..(n + 8).min(size)]
            ));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

impl Case {
    fn describe(&self) -> String {
        format!(
            "{} ({:02x?}) with {:x?}, flags {:#x}",
            self.instruction, self.bytes, self.registers.gpr, self.registers.rflags
        )
    }
}

/// Runs each form of code of that width `rounds` times; there must be at least `least` forms.
fn every_form(bits: u32, least: usize) {
    let mut random = Random(setting("PERILUNE_GUEST_SEED", 0x1234_5678_9abc_def1));
    let rounds = setting("PERILUNE_GUEST_ROUNDS", 2);
    let mut host = Host::new();
    let mut guest = Guest::new();
    let mut failures: BTreeMap<String, (u32, String)> = BTreeMap::new();
    let mut forms: BTreeSet<Code> = BTreeSet::new();
    let (mut cases, mut faults) = (0, 0);
    for head in candidates() {
        for _ in 0..rounds {
            let Some(case) = case(&mut random, &head, bits) else { continue };
            forms.insert(case.instruction.code());
            cases += 1;
            if let Err(wrong) = compare(&case, &mut host, &mut guest) {
                let name = format!("{:?}", case.instruction.code());
                let entry = failures.entry(name).or_insert_with(|| (0, format!("{}\n{wrong}", case.describe())));
                entry.0 += 1;
            } else if guest.machine.cpu.rip == CODE + 0x800 {
                faults += 1;
            }
        }
    }
    let report: String =
        failures.iter().map(|(name, (count, text))| format!("{name}: {count} times, first:\n{text}\n")).collect();
    eprintln!("{} forms, {cases} cases, {faults} with a fault", forms.len());
    assert!(failures.is_empty(), "{} of {} forms differ\n{report}", failures.len(), forms.len());
    assert!(forms.len() >= least, "{} forms only", forms.len());
}

#[test]
fn every_form_of_64_bit_code_does_what_the_host_does() {
    every_form(64, 1100);
}

#[test]
fn every_form_of_32_bit_code_does_what_the_host_does() {
    every_form(32, 950);
}

/// What the interpreter has, as features of processors: no form that needs nothing else may be missing.
#[test]
fn no_form_is_left_out() {
    use iced_x86::CpuidFeature as F;
    const HAS: &[F] = &[
        F::INTEL8086,
        F::INTEL8086_ONLY,
        F::INTEL186,
        F::INTEL286,
        F::INTEL386,
        F::INTEL486,
        F::X64,
        F::CMOV,
        F::CX8,
        F::CMPXCHG16B,
        F::FPU,
        F::FPU287,
        F::FPU387,
        F::MMX,
        F::SSE,
        F::SSE2,
        F::FXSR,
        F::MSR,
        F::TSC,
        F::RDTSCP,
        F::RDPMC,
        F::SYSCALL,
        F::SEP,
        F::CPUID,
        F::CLFSH,
        F::PAUSE,
        F::POPCNT,
        F::FSGSBASE,
        F::INVPCID,
        F::SMAP,
        F::MULTIBYTENOP,
    ];
    let mut missing: BTreeSet<Code> = BTreeSet::new();
    for head in candidates() {
        let mut bytes = head;
        bytes.resize(15, 0x11);
        let (instruction, _) = decoder(&bytes, 64);
        let needs = instruction.cpuid_features();
        if !instruction.is_invalid() && needs.iter().all(|need| HAS.contains(need)) && !is_handled(&bytes, 64) {
            missing.insert(instruction.code());
        }
    }
    // Instructions that raise #UD, as they should.
    missing.retain(|code| {
        !matches!(code.mnemonic(), Mnemonic::Ud0 | Mnemonic::Ud1 | Mnemonic::Ud2 | Mnemonic::Reservednop)
    });
    assert!(missing.is_empty(), "{missing:?}");
}

/// An operand may be read again where it says so: nothing else depends on these bytes.
#[test]
fn fields_of_operands_hold_nothing_else() {
    let mut random = Random(setting("PERILUNE_GUEST_SEED", 0x1234_5678_9abc_def1));
    let (mut forms, mut signed) = (BTreeSet::new(), 0);
    for (head, width) in candidates().iter().flat_map(|head| [0, mode::BITS_32, mode::BITS_64].map(|w| (head, w))) {
        let mut bytes = head.clone();
        bytes.resize_with(15, || random.value() as u8);
        let Ok(mut insn) = decode::decode(&bytes, CODE, width) else { continue };
        if insn.field == Field::default() {
            continue;
        }
        let old = bytes.clone();
        let (at, size) = (usize::from(insn.field.at), usize::from(insn.field.size.unsigned_abs()));
        bytes[at..at + size].copy_from_slice(&random.value().to_le_bytes()[..size]);
        let length = usize::from(insn.length);
        assert!(insn.field.covers(&old[..length], &bytes[..length]), "{bytes:x?}");
        insn.immediate = insn.field.read(&bytes);
        let anew = decode::decode(&bytes, CODE, width).expect("it was one");
        if !insn.operands.iter().any(|operand| operand.kind == Kind::Memory) {
            // Nobody looks at the address of an operand that is not there.
            insn.memory = anew.memory;
        }
        assert_eq!(format!("{insn:?}"), format!("{anew:?}"), "{bytes:x?} in mode {width:#x}");
        forms.insert(decoder(&bytes, 64).0.code());
        signed += u32::from(insn.field.size < 0);
    }
    assert!(forms.len() > 60 && signed > 100, "{} forms, {signed} signed operands", forms.len());
}
