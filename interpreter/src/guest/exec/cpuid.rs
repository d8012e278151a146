//! CPUID: what the virtual processor says of itself. It depends on nothing of the host.

use perilune_runtime::guest::cpu::gpr::{RAX, RBX, RCX, RDX};
use perilune_runtime::guest::exit::Reason;
use perilune_runtime::guest::machine::Machine;
use perilune_runtime::guest::paging::PHYSICAL_BITS;

use super::operand::{gpr, set_gpr};
use super::{Done, Insn, system};

/// The local APIC, in both leaves; it goes when it is switched off.
const APIC: u32 = 1 << 9;

/// Features of leaf 1, EDX, that leaf 8000_0001h repeats: FPU, DE, PSE, TSC, MSR, PAE, CX8, APIC, PGE, CMOV, PAT, MMX, FXSR.
const COMMON: u32 =
    1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 8 | 1 << 9 | 1 << 13 | 1 << 15 | 1 << 16 | 1 << 23 | 1 << 24;
/// Leaf 1, EDX: the common ones, SEP, CLFSH, SSE, SSE2.
const LEAF_1_EDX: u32 = COMMON | 1 << 11 | 1 << 19 | 1 << 25 | 1 << 26;
/// Leaf 1, ECX: CX16, PCID, POPCNT, and that there is a hypervisor.
const LEAF_1_ECX: u32 = 1 << 13 | 1 << 17 | 1 << 23 | 1 << 31;
/// Leaf 7, EBX: FSGSBASE, SMEP, INVPCID, SMAP.
const LEAF_7_EBX: u32 = 1 | 1 << 7 | 1 << 10 | 1 << 20;
/// Leaf 7, ECX: UMIP.
const LEAF_7_ECX: u32 = 1 << 2;
/// Leaf 8000_0001h, EDX: SYSCALL, NX, pages of 1 GiB, RDTSCP, long mode.
const EXTENDED_EDX: u32 = COMMON | 1 << 11 | 1 << 20 | 1 << 26 | 1 << 27 | 1 << 29;
/// Leaf 8000_0001h, ECX: LAHF and SAHF in 64-bit mode.
const EXTENDED_ECX: u32 = 1;
/// Family 15, model 107, stepping 1.
const SIGNATURE: u32 = 0x0006_0fb1;

const NAME: &[u8; 48] = b"perilune virtual processor\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

fn word(text: &[u8], at: usize) -> u32 {
    text[at..at + 4].iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

/// EAX, EBX, ECX, EDX of a leaf.
pub fn leaf(leaf: u32, subleaf: u32) -> [u32; 4] {
    let vendor = |last: u32| [last, word(b"Auth", 0), word(b"cAMD", 0), word(b"enti", 0)];
    match leaf {
        0 => vendor(7),
        1 => [SIGNATURE, 1 << 16 | 8 << 8, LEAF_1_ECX, LEAF_1_EDX],
        7 if subleaf == 0 => [0, LEAF_7_EBX, LEAF_7_ECX, 0],
        0x4000_0000 => {
            let name = b"perilune\0\0\0\0";
            [0x4000_0000, word(name, 0), word(name, 4), word(name, 8)]
        }
        0x8000_0000 => vendor(0x8000_0008),
        0x8000_0001 => [SIGNATURE, 0, EXTENDED_ECX, EXTENDED_EDX],
        0x8000_0002..=0x8000_0004 => {
            let at = (leaf - 0x8000_0002) as usize * 16;
            [word(NAME, at), word(NAME, at + 4), word(NAME, at + 8), word(NAME, at + 12)]
        }
        // The TSC runs at one rate, whatever happens.
        0x8000_0007 => [0, 0, 0, 1 << 8],
        0x8000_0008 => [48 << 8 | PHYSICAL_BITS, 0, 0, 0],
        _ => [0; 4],
    }
}

/// CPUID.
pub fn cpuid(m: &mut Machine, _: &Insn) -> Done {
    system::leave(m, Reason::Cpuid)?;
    let mut answer = leaf(gpr(m, RAX, 4) as u32, gpr(m, RCX, 4) as u32);
    if matches!(gpr(m, RAX, 4), 1 | 0x8000_0001) && !m.bus.devices.lapic.enabled() {
        answer[3] &= !APIC;
    }
    for (register, value) in [RAX, RBX, RCX, RDX].into_iter().zip(answer) {
        set_gpr(m, register, 4, value.into());
    }
    Ok(())
}
