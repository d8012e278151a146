//! Where the guest's state is while compiled code runs: which guest register lies in which host register, and what lies where
//! in the frame.
//!
//! Thirteen of the guest's general registers live in host registers, in all blocks alike, so that a jump from block to block moves
//! nothing; most have the register of the same number, so that implicit operands (RDX of MUL, CL of shifts) stay implicit. The
//! host's rsp points to the frame that the entry makes and never moves: signals need a host stack. Two host registers are scratch: rax,
//! which LAHF writes, and r11. The guest's SSE registers are the host's, and from the first x87 instruction on its x87 state is, too. The rest of what code needs often lies in the frame, near rsp.
//!
//! *Page slots.* For each base register the frame remembers the page that the last access through it went to, for reads and for
//! writes apart: the page's address and what is added to a virtual address in it. An access that is aligned and hits costs one compare;
//! all else asks the TLB ([`super::trampoline`]) and remembers. Slots are empty when code is entered, and what forgets translations or
//! looks for dirty pages or new code happens only while none runs (helpers do nothing of the kind), so slots never outlive what they repeat.
#![forbid(unsafe_code)]

use iced_x86::Register;

/// Scratch, and what LAHF and SAHF work on.
pub const SCRATCH: u8 = 0;
/// The second scratch register.
pub const SCRATCH2: u8 = 11;
/// The frame.
pub const STACK: u8 = 4;

/// The host register of each guest register; `None`: it lies in the frame.
pub const HOST: [Option<u8>; 16] = [
    Some(10),
    Some(1),
    Some(2),
    Some(3),
    Some(14),
    Some(5),
    Some(6),
    Some(7),
    Some(8),
    Some(9),
    Some(15),
    None,
    Some(12),
    Some(13),
    None,
    None,
];

/// The guest's stack pointer, in its host register.
pub const GUEST_RSP: u8 = 14;
/// The guest's RAX, in its host register.
pub const GUEST_RAX: u8 = 10;

// What lies in the frame, from rsp.

/// Instructions that may still be executed, less [`SLACK`]; signed.
pub const BUDGET: i32 = 0;
/// The guest's flags as they were last saved: AH as LAHF has it, AL is OF.
pub const FLAGS: i32 = 8;
/// The table of branch targets.
pub const TABLE: i32 = 16;
/// What the keys in that table are combined with: address space and mode.
pub const KEY: i32 = 24;
/// The guest registers without a host register.
pub const SPILLED: i32 = 32;
/// A value that has to outlive a use of both scratch registers.
pub const TEMPORARY: i32 = 56;
/// The bases of FS and GS.
pub const SEGMENTS: i32 = 64;
/// The machine.
pub const MACHINE: i32 = 80;
/// What helpers are given.
pub const CONTEXT: i32 = 88;
/// The host's MXCSR.
pub const HOST_MXCSR: i32 = 96;
/// Whether the guest's SSE registers are in the host's; 0 or 1, 32 bits.
pub const HAS_XMM: i32 = 100;
/// Room for three registers in the routines that ask the TLB.
pub const WALK: i32 = 104;
/// The address of the literal that may be written, the size of such a write less 1, and what is added to the address.
pub const LITERAL: i32 = 128;
/// Whether the guest's x87 state is in the host's x87; 0 or 1, 32 bits.
pub const X87: i32 = 152;
/// What that state remembers of the last instruction that earlier blocks have executed: opcode (16 bits), address, address of its operand.
pub const X87_OPCODE: i32 = 156;
/// See [`X87_OPCODE`].
pub const X87_INSTRUCTION: i32 = 160;
/// See [`X87_OPCODE`].
pub const X87_DATA: i32 = 168;
/// The page slots.
pub const SLOTS: i32 = 176;

/// Bytes of a page slot: page and addend for reads, then for writes.
pub const SLOT_SIZE: i32 = 32;
/// The slot of accesses without a base register.
pub const SLOT_ABSOLUTE: u8 = 16;
/// The slot of accesses through FS or GS.
pub const SLOT_SEGMENT: u8 = 17;
/// The first of the slots of accesses far from where their base points: tables, the parts of a big structure.
pub const SLOT_FAR: u8 = 18;
/// How many of these there are.
pub const SLOT_FAR_COUNT: u8 = 8;
/// The slot that groups are filled through.
pub const SLOT_TEMPORARY: u8 = SLOT_FAR + SLOT_FAR_COUNT;
/// How many there are: one for each guest register, those two, the far ones, the temporary one.
pub const SLOT_COUNT: i32 = SLOT_TEMPORARY as i32 + 1;
/// The group slots: the page of the first access of a group, and the addends of its accesses. Each belongs to one group of one block.
pub const GROUPS: i32 = SLOTS + SLOT_COUNT * SLOT_SIZE;
/// Bytes of a group slot.
pub const GROUP_SIZE: i32 = 32;
/// How many there are.
pub const GROUP_COUNT: i32 = 16;
/// The most accesses in a group.
pub const GROUP_LIMIT: usize = 3;
/// A page that no access can hit: compares keep the low four bits of an address at most.
pub const NO_PAGE: i32 = 0x800;

/// Bytes of the frame; with the six registers saved above and the return address, rsp is 16-aligned below it.
pub const FRAME_BYTES: i32 = GROUPS + GROUP_COUNT * GROUP_SIZE + 8;
const _: () = assert!(FRAME_BYTES % 16 == 8 && FRAME_BYTES < 4096);

/// The most guest instructions in a block.
pub const LIMIT: usize = 64;

/// What is kept back of the budget: a block is begun only if so much is left, so that it can look at the budget when that costs least. It
/// has to be enough for what is executed from one look to the next.
pub const SLACK: i64 = 2 * LIMIT as i64;

/// Where a guest register lies in the frame, if it does.
pub const fn spilled(guest: u8) -> i32 {
    SPILLED
        + match guest {
            11 => 0,
            14 => 8,
            _ => 16,
        }
}

/// Where the part of a page slot for reads or writes lies.
pub const fn slot(slot: u8, write: bool) -> i32 {
    SLOTS + slot as i32 * SLOT_SIZE + if write { 16 } else { 0 }
}

/// The decoder's name for the 64-bit register of a number.
pub fn register64(number: u8) -> Register {
    Register::RAX + u32::from(number)
}

/// The register of a number with the width of `like`.
pub fn sized(number: u8, like: Register) -> Register {
    let number = u32::from(number);
    match like.size() {
        8 => Register::RAX + number,
        4 => Register::EAX + number,
        2 => Register::AX + number,
        // The decoder lists AH to BH between BL and SPL.
        _ if number < 4 => Register::AL + number,
        _ => Register::SPL + (number - 4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_register_has_one_role() {
        let mut used: Vec<u8> = HOST.iter().flatten().copied().collect();
        used.extend([SCRATCH, SCRATCH2, STACK]);
        used.sort_unstable();
        assert_eq!(used, (0..16).collect::<Vec<u8>>());
        assert_eq!((HOST[4], HOST[0]), (Some(GUEST_RSP), Some(GUEST_RAX)));
        let at: Vec<i32> = [11, 14, 15].map(spilled).to_vec();
        assert_eq!(at, [SPILLED, SPILLED + 8, SPILLED + 16]);
        assert!((0..16).all(|guest| HOST[guest].is_some() || [11, 14, 15].contains(&guest)));
    }

    #[test]
    fn registers_have_the_width_of_another() {
        assert_eq!(sized(1, Register::EDX), Register::ECX);
        assert_eq!(sized(10, Register::AL), Register::R10L);
        assert_eq!(sized(6, Register::AL), Register::SIL);
        assert_eq!(sized(3, Register::CL), Register::BL);
        assert_eq!(sized(15, Register::SP), Register::R15W);
    }
}
