//! Jumps, calls and returns, and how they lead to other blocks.
//!
//! A target on the block's own page is at the same place in each address space that has the page, so the jump is linked to the target's code
//! once there is some, and costs nothing more. Any other target, computed or on another page, is looked up in the table of branch
//! targets, whose keys contain address space and mode ([`super::super::tier`]).

use super::super::block::{Kind, Step};
use super::super::flags::Flags;
use super::super::frame::{self, SCRATCH, SCRATCH2, spilled};
use super::super::table;
use super::memory::{Access, Address, constant};
use super::{Cold, Exit, Link, Translator, Why};
use crate::code::encode::{self, Rm, op};
use crate::code::x64::{self, Condition, DISPLACEMENT};
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};
use iced_x86::{ConditionCode, Mnemonic, OpKind};
use perilune_runtime::guest::layout;
use perilune_runtime::guest::tlb::PAGE_SHIFT;

/// The number of an address's page.
fn page(address: u64) -> u64 {
    address >> PAGE_SHIFT
}

fn condition(code: ConditionCode) -> Condition {
    use Condition as C;
    match code {
        ConditionCode::None | ConditionCode::o => C::Overflow,
        ConditionCode::no => C::NoOverflow,
        ConditionCode::b => C::Below,
        ConditionCode::ae => C::AboveOrEqual,
        ConditionCode::e => C::Equal,
        ConditionCode::ne => C::NotEqual,
        ConditionCode::be => C::BelowOrEqual,
        ConditionCode::a => C::Above,
        ConditionCode::s => C::Sign,
        ConditionCode::ns => C::NoSign,
        ConditionCode::p => C::Parity,
        ConditionCode::np => C::NoParity,
        ConditionCode::l => C::Less,
        ConditionCode::ge => C::GreaterOrEqual,
        ConditionCode::le => C::LessOrEqual,
        ConditionCode::g => C::Greater,
    }
}

impl Translator<'_> {
    /// Jcc. Where it goes back to the block's start, that is the straight way.
    pub(super) fn jump_if(&mut self, step: &Step) {
        self.restore_flags();
        self.state.done += 1;
        let holds = condition(step.instruction.condition_code());
        let target = step.instruction.near_branch_target();
        if target == self.start
            && self.state.charged == self.state.done
            && let Some(label) = self.start_label()
        {
            x64::jump_if(self.asm(), holds, label);
        } else if target == self.start {
            let out = self.edge_label(step.next());
            x64::jump_if(self.asm(), holds.inverse(), out);
            self.edge(target);
            self.turned = true;
        } else if self.needs_nothing(target) {
            let label = self.exit(Why::Link, target);
            let site = x64::jump_if(self.asm(), holds, label);
            self.link(site, target);
        } else {
            let taken = self.edge_label(target);
            x64::jump_if(self.asm(), holds, taken);
        }
        self.state.done -= 1;
    }

    /// LOOP and JRCXZ, which leave the flags alone. Their jumps are short.
    pub(super) fn looping(&mut self, step: &Step) {
        self.state.done += 1;
        let taken = self.edge_label(step.instruction.near_branch_target());
        let over = self.label();
        if step.instruction.mnemonic() == Mnemonic::Loop {
            self.touch(super::bit(1));
            dynasm!(self.buffer.asm; .arch x64; lea rcx, [rcx - 1]; jrcxz =>over; jmp =>taken; =>over);
        } else {
            let yes = self.label();
            dynasm!(self.buffer.asm; .arch x64; jrcxz =>yes; jmp BYTE =>over; =>yes; jmp =>taken; =>over);
        }
        self.state.done -= 1;
    }

    /// JMP.
    pub(super) fn jump(&mut self, step: &Step) {
        self.state.done += 1;
        self.edge(step.instruction.near_branch_target());
        self.state.done -= 1;
    }

    /// CALL.
    pub(super) fn call(&mut self, step: &Step) {
        self.push_return(step);
        self.state.done += 1;
        self.edge(step.instruction.near_branch_target());
        self.state.done -= 1;
    }

    fn push_return(&mut self, step: &Step) {
        let place = self.push_place(step);
        constant(&mut self.buffer.asm, SCRATCH, step.next() as i64);
        encode::rm(&mut self.buffer.asm, op::MOV_TO, SCRATCH, Rm::Mem(place.mem()));
        self.move_rsp(-8);
    }

    /// JMP and CALL of a value.
    pub(super) fn indirect(&mut self, step: &Step) {
        self.exit_point(step);
        self.save_flags();
        if step.instruction.op0_kind() == OpKind::Memory {
            let size = 8;
            let access = Access { address: Address::of(&step.instruction), size, write: false, aligned: false };
            let place = self.access(step, access);
            encode::rm(&mut self.buffer.asm, op::MOV, SCRATCH, Rm::Mem(place.mem()));
        } else {
            self.load(step.instruction.op0_register().number() as u8, SCRATCH);
        }
        if step.kind == Kind::CallIndirect {
            // A target that is not canonical must be known before the return address is written: the interpreter raises the exception.
            let exit = self.exit(Why::Untranslated, step.rip());
            dynasm!(self.buffer.asm; .arch x64; mov r11, rax; shl r11, 16; sar r11, 16; cmp r11, rax);
            x64::jump_if(self.asm(), Condition::NotEqual, exit);
            dynasm!(self.buffer.asm; .arch x64; mov [rsp + frame::TEMPORARY], rax);
            self.push_return(step);
            dynasm!(self.buffer.asm; .arch x64; mov rax, [rsp + frame::TEMPORARY]);
        }
        self.target(step, 0);
    }

    /// RET.
    pub(super) fn return_to(&mut self, step: &Step) {
        let access = Access { address: Address::at(4, 0), size: 8, write: false, aligned: false };
        let place = self.access(step, access);
        let arguments = if step.instruction.op_count() == 1 { step.instruction.immediate16() } else { 0 };
        let released = 8 + i32::from(arguments);
        // Saving the flags takes rax.
        self.save_flags();
        encode::rm(&mut self.buffer.asm, op::MOV, SCRATCH, Rm::Mem(place.mem()));
        self.move_rsp(released);
        self.target(step, released);
    }

    /// Goes to the address in rax, by the table. The flags are saved, the budget is charged.
    fn target(&mut self, step: &Step, released: i32) {
        let label = self.label();
        self.state.done += 1;
        let exit = self.number(Why::Target, step.rip());
        self.state.done -= 1;
        if let Some(Exit { released: known, .. }) = self.exits.last_mut() {
            *known = released;
        }
        dynasm!(self.buffer.asm
            ; .arch x64
            ; mov r11d, eax
            ; and r11d, table::MASK as i32
            ; shl r11d, table::SHIFT as i8
            ; add r11, [BYTE rsp + frame::TABLE as i8]
            ; xor rax, [BYTE rsp + frame::KEY as i8]
            ; cmp rax, [r11 + table::KEY]
        );
        x64::jump_if(self.asm(), Condition::NotEqual, label);
        dynasm!(self.buffer.asm; .arch x64; jmp QWORD [r11 + table::CODE]);
        self.cold.push(Cold::Target { label, exit });
    }

    /// The rare part of [`Translator::target`].
    pub(super) fn leave_for_target(&mut self, label: DynamicLabel, exit: u32) {
        self.place(label);
        dynasm!(self.buffer.asm
            ; .arch x64
            ; xor rax, [BYTE rsp + frame::KEY as i8]
            ; mov r11, [BYTE rsp + frame::MACHINE as i8]
            ; mov [r11 + layout::RIP as i32], rax
        );
        self.leave(Flags::SAVED, exit);
    }

    /// Whether a jump can lead to `target` with nothing in between.
    fn needs_nothing(&self, target: u64) -> bool {
        let charged = self.state.charged == self.state.done;
        charged && page(target) == page(self.start) && self.state.flags.host
    }

    /// Goes on at `target`: the instructions up to here are done.
    pub(super) fn edge(&mut self, target: u64) {
        let unexecuted = self.state.charged - self.state.done;
        if self.state.charged == 0 {
            self.keep_flags();
            self.charge(self.state.done, target);
        } else if unexecuted != 0 {
            dynasm!(self.buffer.asm
                ; .arch x64
                ; mov rax, [BYTE rsp + frame::BUDGET as i8]
                ; lea rax, [rax + unexecuted]
                ; mov [BYTE rsp + frame::BUDGET as i8], rax
            );
            self.state.charged = self.state.done;
        }
        if target == self.start {
            self.edge_to_start();
        } else if page(target) == page(self.start) {
            if !self.state.flags.saved {
                self.restore_flags();
            }
            let label = self.exit(Why::Link, target);
            let site = x64::jump(self.asm(), label);
            self.link(site, target);
        } else {
            self.save_flags();
            self.edge_by_table(target);
        }
    }

    /// Goes to the block's own start.
    fn edge_to_start(&mut self) {
        let label = self.start_label().unwrap_or_else(|| {
            self.restore_flags();
            self.entries.0
        });
        x64::jump(self.asm(), label);
    }

    /// The start of the block that goes with where the flags are: an entry, or the copy that begins with a recipe. `None` if they have to be
    /// moved first.
    fn start_label(&mut self) -> Option<DynamicLabel> {
        let (host, saved) = self.entries;
        let flags = self.state.flags;
        if self.flags_dead || flags.saved {
            return Some(saved);
        }
        match self.again {
            Some((known, label, _)) if known == flags => Some(label),
            None if flags.recipe.is_some() => {
                let label = self.label();
                self.again = Some((flags, label, false));
                Some(label)
            }
            _ if flags.host => Some(host),
            _ => None,
        }
    }

    /// Goes to a constant target on another page.
    fn edge_by_table(&mut self, target: u64) {
        let label = self.label();
        let exit = self.number(Why::Link, target);
        let entry = table::offset(target);
        dynasm!(self.buffer.asm; .arch x64; mov r11, [BYTE rsp + frame::TABLE as i8]);
        constant(&mut self.buffer.asm, SCRATCH, target as i64);
        dynasm!(self.buffer.asm
            ; .arch x64
            ; xor rax, [BYTE rsp + frame::KEY as i8]
            ; cmp rax, [r11 + entry + table::KEY]
        );
        x64::jump_if(self.asm(), Condition::NotEqual, label);
        dynasm!(self.buffer.asm; .arch x64; jmp QWORD [r11 + entry + table::CODE]);
        self.cold.push(Cold::Exit { label, flags: Flags::SAVED, exit });
    }

    /// A rare edge: answers what leads there.
    fn edge_label(&mut self, target: u64) -> DynamicLabel {
        let label = self.label();
        self.cold.push(Cold::Edge { label, state: self.state, target });
        label
    }

    fn link(&mut self, site: usize, target: u64) {
        self.links.push(Link { site, target, saved: self.state.flags.saved });
    }
}

const _: () = assert!(SCRATCH2 == 11 && DISPLACEMENT == 4 && spilled(11) == frame::SPILLED);
