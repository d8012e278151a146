//! Addresses of memory operands, and the checks before an access.
//!
//! ```text
//!   lea rax, [base + displacement]       the address
//!   and rax, ~fffh | size - 1            its page, if it is aligned
//!   cmp rax, [slot.page]
//!   jne walk                             asks the TLB, fills the slot, comes back
//!   mov r11, [slot.addend]
//!   op  [r11 + base + displacement]
//! ```
//!
//! An address with a segment or a base in the frame is kept in rax, and the page is computed in r11. With an index, rax holds the sum of base
//! and index, for the next accesses too as long as they are made of the same. Accesses whole pages apart from one another (the same element of
//! several tables) are a *group*, with a slot of its own: one compare finds the page of the first, and with it the addends of all.

use super::super::block::{Kind, Step};
use super::super::flags;
use super::super::frame::{
    self, GROUP_LIMIT, GROUP_SIZE, GROUPS, HOST, NO_PAGE, SCRATCH, SCRATCH2, SEGMENTS, SLOT_ABSOLUTE, SLOT_FAR,
    SLOT_FAR_COUNT, SLOT_SEGMENT, SLOT_TEMPORARY, slot, spilled,
};
use super::super::trampoline::walk_argument;
use super::{Cold, Translator, Why};
use crate::code::encode::{self, Mem, Rm, op};
use crate::code::x64::{self, Condition};
use dynasmrt::{DynamicLabel, DynasmApi, dynasm};
use iced_x86::{Instruction, Register};
use perilune_runtime::guest::tlb::PAGE_SIZE;

/// The address of a memory operand, in guest registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Address {
    pub base: Option<u8>,
    pub index: Option<u8>,
    pub scale: u8,
    pub displacement: i64,
    /// FS (0) or GS (1).
    pub segment: Option<u8>,
    /// Computed in 32 bits.
    pub narrow: bool,
}

impl Address {
    pub fn of(instruction: &Instruction) -> Address {
        let number = |register: Register| match register {
            Register::None | Register::RIP | Register::EIP => None,
            register => Some(register.full_register().number() as u8),
        };
        let (base, index) = (instruction.memory_base(), instruction.memory_index());
        Address {
            base: number(base),
            index: number(index),
            scale: instruction.memory_index_scale().trailing_zeros() as u8,
            displacement: instruction.memory_displacement64() as i64,
            segment: match instruction.memory_segment() {
                Register::FS => Some(0),
                Register::GS => Some(1),
                _ => None,
            },
            narrow: base.size() == 4
                || index.size() == 4
                || base == Register::None && index == Register::None && instruction.memory_displ_size() == 4,
        }
    }

    pub fn at(base: u8, displacement: i64) -> Address {
        Address { base: Some(base), index: None, scale: 0, displacement, segment: None, narrow: false }
    }

    /// The host register and displacement that make the address, if no more is needed.
    fn simple(&self) -> Option<(u8, i32)> {
        let plain = self.index.is_none() && self.segment.is_none() && !self.narrow;
        let base = HOST[usize::from(self.base?)]?;
        plain.then_some((base, i32::try_from(self.displacement).ok()?))
    }

    /// The address as a sum that several accesses may share, if it has an index and nothing that lies in the frame.
    fn sum(&self) -> Option<Sum> {
        let base = match self.base {
            Some(base) => Some(HOST[usize::from(base)].map(|_| base)?),
            None => None,
        };
        let index = self.index.filter(|index| HOST[usize::from(*index)].is_some())?;
        let displacement = i32::try_from(self.displacement).ok().filter(|displacement| *displacement != i32::MIN)?;
        let plain = self.segment.is_none() && !self.narrow;
        plain.then_some(Sum { base, index, scale: self.scale, displacement })
    }

    /// The guest registers that it is made of, as bits.
    fn registers(&self) -> u16 {
        self.base.into_iter().chain(self.index).fold(0, |bits, register| bits | 1 << register)
    }

    fn slot(&self) -> u8 {
        match (self.segment, self.base.or(self.index)) {
            (Some(_), _) => SLOT_SEGMENT,
            (None, Some(base)) if (-NEAR..NEAR).contains(&self.displacement) => base,
            (None, Some(base)) => {
                let hash = i64::from(base) * 5 + self.displacement / NEAR;
                SLOT_FAR + hash.rem_euclid(SLOT_FAR_COUNT.into()) as u8
            }
            (None, None) => SLOT_ABSOLUTE,
        }
    }
}

/// A base, an index and a displacement, of which the first two are computed once for accesses that differ in the last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Sum {
    base: Option<u8>,
    index: u8,
    scale: u8,
    displacement: i32,
}

impl Sum {
    /// Whether it is made of one of these host registers.
    pub fn uses(&self, registers: u16) -> bool {
        let host = |guest: u8| HOST[usize::from(guest)].map_or(0, |host| 1 << host);
        (self.base.map_or(0, host) | host(self.index)) & registers != 0
    }

    /// Whether another sum is whole pages away.
    fn shares_page_offset(&self, other: &Sum) -> bool {
        let distance = self.displacement.wrapping_sub(other.displacement);
        Sum { displacement: 0, ..*self } == Sum { displacement: 0, ..*other } && distance % PAGE_SIZE as i32 == 0
    }

    fn address(&self) -> Address {
        let displacement = self.displacement.into();
        Address {
            base: self.base,
            index: Some(self.index),
            scale: self.scale,
            displacement,
            segment: None,
            narrow: false,
        }
    }
}

/// Displacements below this go to the page that the base points to, most likely.
const NEAR: i64 = 2048;

/// An access to memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    pub address: Address,
    pub size: u32,
    pub write: bool,
    /// An address that is not a multiple of the size raises an exception.
    pub aligned: bool,
}

/// Accesses that are checked by one compare.
#[derive(Debug)]
pub(super) struct Group {
    accesses: Vec<Access>,
    /// The group slot's place in the frame.
    at: i32,
}

/// Where an operand lies in the host's memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub index: Option<u8>,
    pub displacement: i32,
}

impl Place {
    /// As an operand of an instruction to be encoded.
    pub fn mem(self) -> Mem {
        Mem { base: SCRATCH2, index: self.index, scale: 0, disp: self.displacement }
    }
}

impl Translator<'_> {
    /// Checks an access, and what can be checked with it. What comes next finds the operand at the answer, which needs r11, and rax if that
    /// is the index.
    pub(super) fn access(&mut self, step: &Step, access: Access) -> Place {
        if let Some((_, addend)) = self.checked.iter().copied().find(|(index, _)| *index == self.index) {
            return self.checked_place(&access, addend);
        }
        self.exit_point(step);
        let group = self.group(step, &access);
        self.check_ahead(step, &access);
        if let Some(group) = group {
            return self.check_group(step, group);
        }
        self.check(step, access, access.address.simple().is_none());
        self.place_of(&access, slot(access.address.slot(), access.write) + 8)
    }

    /// Where an access goes that was checked: loads r11 from the addend's place in the frame, and expects rax to hold what
    /// [`Translator::check`] has left.
    fn place_of(&mut self, access: &Access, addend: i32) -> Place {
        dynasm!(self.buffer.asm; .arch x64; mov r11, [rsp + addend]);
        match (access.address.simple(), access.address.sum()) {
            (Some((base, displacement)), _) => Place { index: Some(base), displacement },
            (None, Some(sum)) => Place { index: Some(SCRATCH), displacement: sum.displacement },
            (None, None) => Place { index: Some(SCRATCH), displacement: 0 },
        }
    }

    /// Finds accesses of the next instructions that are at the same place of their pages as this one, having the same base and index: one
    /// compare is enough for all of them. They count as checked from here on.
    fn group(&mut self, step: &Step, first: &Access) -> Option<Group> {
        let sum = first.address.sum()?;
        let mut accesses = vec![*first];
        let mut members = Vec::new();
        let mut written = flags::written(&step.instruction, &mut self.factory);
        let block = self.block;
        for (index, next) in block.steps.iter().enumerate().skip(self.index + 1) {
            if !matches!(next.kind, Kind::Copy | Kind::Address | Kind::Nothing) || accesses.len() == GROUP_LIMIT {
                break;
            }
            let access = if next.kind == Kind::Copy { self.access_of(&next.instruction) } else { None };
            if let Some(access) = access
                && access.address.registers() & written == 0
                && !self.checked.iter().any(|(known, _)| *known == index)
                && access.size == first.size
                && access.address.sum().is_some_and(|other| other.shares_page_offset(&sum))
            {
                accesses.push(access);
                members.push(index);
            }
            written |= flags::written(&next.instruction, &mut self.factory);
        }
        if members.is_empty() {
            return None;
        }
        let at = self.group_slot()?;
        self.checked.extend(members.iter().enumerate().map(|(n, index)| (*index, at + 16 + 8 * n as i32)));
        Some(Group { accesses, at })
    }

    /// The group slot of the group that begins at this instruction; both copies of a loop share it.
    fn group_slot(&mut self) -> Option<i32> {
        let known = self.groups.iter().find(|(index, _)| *index == self.index).map(|(_, group)| *group);
        let group = match known {
            Some(group) => group,
            None => {
                let group = self.free_groups.trailing_zeros();
                if self.free_groups == 0 {
                    return None;
                }
                self.free_groups &= self.free_groups - 1;
                self.groups.push((self.index, group));
                group
            }
        };
        Some(GROUPS + GROUP_SIZE * group as i32)
    }

    /// Checks a group; answers where its first access goes.
    fn check_group(&mut self, step: &Step, group: Group) -> Place {
        let first = group.accesses[0];
        let mask = -(PAGE_SIZE as i32) | (first.size as i32 - 1);
        let (label, back, at) = (self.label(), self.label(), group.at);
        let exit = self.exit(Why::Memory, step.rip());
        let sum = first.address.sum().expect("a group has sums");
        self.hold(sum);
        encode::rm(&mut self.buffer.asm, op::LEA, SCRATCH2, Rm::Mem(Mem::at(SCRATCH, sum.displacement)));
        dynasm!(self.buffer.asm; .arch x64; and r11, mask; cmp r11, [rsp + at]);
        x64::jump_if(self.asm(), Condition::NotEqual, label);
        self.place(back);
        self.cold.push(Cold::Group { label, back, group, exit });
        self.place_of(&first, at + 8)
    }

    /// The rare part of a group's check: asks the TLB for each access, then enters the page.
    pub(super) fn fill(&mut self, label: DynamicLabel, back: DynamicLabel, group: &Group, exit: DynamicLabel) {
        self.place(label);
        let through = slot(SLOT_TEMPORARY, false);
        for (n, access) in group.accesses.iter().enumerate() {
            let distance = access.address.sum().map_or(0, |sum| sum.displacement);
            dynasm!(self.buffer.asm; .arch x64; lea rax, [rax + distance]);
            dynasm!(self.buffer.asm; .arch x64; mov r11d, walk_argument(access.size, access.aligned, through));
            let routine = if access.write { self.trampoline.walk_write } else { self.trampoline.walk_read };
            x64::call_to(&mut self.buffer.asm, routine);
            dynasm!(self.buffer.asm; .arch x64; lea rax, [rax - distance]);
            x64::jump_if(self.asm(), Condition::NotEqual, exit);
            // A literal is good for one access only.
            dynasm!(self.buffer.asm; .arch x64; cmp QWORD [rsp + through], NO_PAGE);
            x64::jump_if(self.asm(), Condition::Equal, exit);
            let addend = group.at + 8 + 8 * n as i32;
            dynasm!(self.buffer.asm; .arch x64; mov r11, [rsp + through + 8]; mov [rsp + addend], r11);
        }
        let distance = group.accesses[0].address.sum().map_or(0, |sum| sum.displacement);
        dynasm!(self.buffer.asm
            ; .arch x64
            ; lea r11, [rax + distance]
            ; and r11, -(PAGE_SIZE as i32)
            ; mov [rsp + group.at], r11
        );
        x64::jump(self.asm(), back);
    }

    /// Checks accesses of the next instructions here, where the flags are safe: those whose addresses are known already, and whose page
    /// slots nothing else fills before they come.
    fn check_ahead(&mut self, step: &Step, first: &Access) {
        let mut slots = vec![(first.address.slot(), first.write)];
        let mut written = flags::written(&step.instruction, &mut self.factory);
        let block = self.block;
        for (index, next) in block.steps.iter().enumerate().skip(self.index + 1) {
            match next.kind {
                Kind::Address | Kind::Nothing => {}
                Kind::Copy => {
                    if let Some(access) = self.access_of(&next.instruction) {
                        let key = (access.address.slot(), access.write);
                        let known = access.address.segment.is_none() && access.address.registers() & written == 0;
                        if known && !slots.contains(&key) && !self.checked.iter().any(|(checked, _)| *checked == index)
                        {
                            self.check(step, access, false);
                            self.checked.push((index, slot(key.0, key.1) + 8));
                        }
                        slots.push(key);
                    }
                }
                _ => break,
            }
            written |= flags::written(&next.instruction, &mut self.factory);
        }
    }

    /// Where the operand of an access lies that was checked before. Keeps the host's flags.
    fn checked_place(&mut self, access: &Access, addend: i32) -> Place {
        match access.address.sum() {
            Some(sum) => self.hold(sum),
            None if access.address.simple().is_none() => self.address_in_rax(&access.address),
            None => {}
        }
        self.place_of(access, addend)
    }

    /// Emits the check of an access, with an exit at `step`. `kept`: rax has the address behind it.
    fn check(&mut self, step: &Step, access: Access, kept: bool) {
        let mask = -(PAGE_SIZE as i32) | (access.size as i32 - 1);
        let at = slot(access.address.slot(), access.write);
        let (label, back) = (self.label(), self.label());
        let exit = self.exit(Why::Memory, step.rip());
        if let Some(sum) = access.address.sum() {
            self.hold(sum);
            encode::rm(&mut self.buffer.asm, op::LEA, SCRATCH2, Rm::Mem(Mem::at(SCRATCH, sum.displacement)));
            dynasm!(self.buffer.asm; .arch x64; and r11, mask; cmp r11, [rsp + at]);
        } else {
            self.address_in_rax(&access.address);
            if kept {
                dynasm!(self.buffer.asm; .arch x64; mov r11, rax; and r11, mask; cmp r11, [rsp + at]);
            } else {
                dynasm!(self.buffer.asm; .arch x64; and rax, mask; cmp rax, [rsp + at]);
            }
        }
        x64::jump_if(self.asm(), Condition::NotEqual, label);
        self.place(back);
        self.cold.push(Cold::Walk { label, back, access, kept, exit });
    }

    /// Makes rax hold base and scaled index of a sum.
    fn hold(&mut self, sum: Sum) {
        let held = Sum { displacement: 0, ..sum };
        if self.held != Some(held) {
            let address = Address { displacement: 0, ..sum.address() };
            self.offset_in_segment(&address, SCRATCH);
            self.held = Some(held);
        }
    }

    fn address_in_rax(&mut self, address: &Address) {
        self.held = None;
        match address.simple() {
            Some((base, displacement)) => self.simple_address(base, displacement),
            None => self.full_address(address),
        }
    }

    /// Frees rax: adds what it holds to r11.
    pub(super) fn fold(&mut self, place: Place) -> Place {
        if place.index != Some(SCRATCH) {
            return place;
        }
        dynasm!(self.buffer.asm; .arch x64; lea r11, [r11 + rax]);
        Place { index: None, displacement: place.displacement }
    }

    fn simple_address(&mut self, base: u8, displacement: i32) {
        if displacement == 0 {
            dynasm!(self.buffer.asm; .arch x64; mov rax, Rq(base));
        } else {
            encode::rm(&mut self.buffer.asm, op::LEA, SCRATCH, Rm::Mem(Mem::at(base, displacement)));
        }
    }

    /// Computes an address in rax, with the segment's base. Overwrites r11 if the index is in the frame, and the host's flags if there is a
    /// segment.
    pub(super) fn full_address(&mut self, address: &Address) {
        self.offset_in_segment(address, SCRATCH);
        if let Some(segment) = address.segment {
            dynasm!(self.buffer.asm; .arch x64; add rax, [rsp + SEGMENTS + 8 * i32::from(segment)]);
        }
    }

    /// Computes an address without its segment in a host register. May overwrite rax and r11, but no flags.
    pub(super) fn offset_in_segment(&mut self, address: &Address, to: u8) {
        let asm = &mut self.buffer.asm;
        let load = |asm: &mut x64::Assembler, guest: u8, scratch: u8| match HOST[usize::from(guest)] {
            Some(host) => host,
            None => {
                dynasm!(asm; .arch x64; mov Rq(scratch), [rsp + spilled(guest)]);
                scratch
            }
        };
        let base = address.base.map(|guest| load(asm, guest, SCRATCH));
        let index = address.index.map(|guest| load(asm, guest, SCRATCH2));
        let (base, index, displacement) = match (base, index, i32::try_from(address.displacement)) {
            (None, None, _) => {
                constant(
                    asm,
                    to,
                    if address.narrow { address.displacement & 0xffff_ffff } else { address.displacement },
                );
                return;
            }
            (base, index, Ok(displacement)) => (base, index, displacement),
            (base, index, Err(_)) => (base, index, address.displacement as i32),
        };
        let lea = if address.narrow { op::LEA.dword() } else { op::LEA };
        match (base, index) {
            (Some(base), index) => {
                let operand = Mem { base, index, scale: address.scale, disp: displacement };
                encode::rm(asm, lea, to, Rm::Mem(operand));
            }
            (None, Some(index)) => match (address.narrow, address.scale) {
                (true, 0) => dynasm!(asm; .arch x64; lea Rd(to), [Rq(index) + displacement]),
                (true, 1) => dynasm!(asm; .arch x64; lea Rd(to), [NOSPLIT Rq(index) * 2 + displacement]),
                (true, 2) => dynasm!(asm; .arch x64; lea Rd(to), [Rq(index) * 4 + displacement]),
                (true, _) => dynasm!(asm; .arch x64; lea Rd(to), [Rq(index) * 8 + displacement]),
                (false, 0) => dynasm!(asm; .arch x64; lea Rq(to), [Rq(index) + displacement]),
                (false, 1) => dynasm!(asm; .arch x64; lea Rq(to), [NOSPLIT Rq(index) * 2 + displacement]),
                (false, 2) => dynasm!(asm; .arch x64; lea Rq(to), [Rq(index) * 4 + displacement]),
                (false, _) => dynasm!(asm; .arch x64; lea Rq(to), [Rq(index) * 8 + displacement]),
            },
            (None, None) => {}
        }
    }

    /// The rare part of a check.
    pub(super) fn walk(
        &mut self,
        labels: (DynamicLabel, DynamicLabel),
        access: Access,
        kept: bool,
        exit: DynamicLabel,
    ) {
        let (label, back) = labels;
        self.place(label);
        let distance = access.address.sum().map_or(0, |sum| sum.displacement);
        if distance != 0 {
            dynasm!(self.buffer.asm; .arch x64; lea rax, [rax + distance]);
        } else if !kept && access.address.sum().is_none() {
            self.address_in_rax(&access.address);
        }
        let argument = walk_argument(access.size, access.aligned, slot(access.address.slot(), access.write));
        dynasm!(self.buffer.asm; .arch x64; mov r11d, argument);
        let routine = if access.write { self.trampoline.walk_write } else { self.trampoline.walk_read };
        x64::call_to(&mut self.buffer.asm, routine);
        if distance != 0 {
            dynasm!(self.buffer.asm; .arch x64; lea rax, [rax - distance]);
        }
        x64::jump_if(self.asm(), Condition::Equal, back);
        x64::jump(self.asm(), exit);
    }
}

/// Loads a constant.
pub(super) fn constant(asm: &mut x64::Assembler, to: u8, value: i64) {
    match (u32::try_from(value), i32::try_from(value)) {
        (Ok(value), _) => dynasm!(asm; .arch x64; mov Rd(to), value as i32),
        (_, Ok(value)) => dynasm!(asm; .arch x64; mov Rq(to), value),
        _ => dynasm!(asm; .arch x64; mov Rq(to), QWORD value),
    }
}

const _: () = assert!(frame::SLOTS > 127, "a slot is reached with a long displacement");
