//! Translates a block into a buffer of the arena.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `mod` | the walk over the instructions, the budget, exits |
//! | `memory` | addresses and their checks |
//! | `copy` | instructions that are copied with other registers; division, LEA |
//! | `x87` | x87 instructions |
//! | `branch` | jumps, calls, returns, and how they lead to other blocks |
//!
//! *Entries.* A block is entered with the flags in the host's flags (`host`) or in the frame (`saved`); where the first thing a block
//! does to the flags is to write all of them, and nothing before that can leave, both are one.
//!
//! *Loops.* A block that jumps to its own start, with flags that only a recipe knows, is translated twice: the second copy begins with
//! that recipe, so that the loop never saves flags.

mod branch;
mod copy;
mod memory;
mod x87;

use super::block::{Block, Kind, Step};
use super::flags::{self, Effect, Flags};
use super::frame::{BUDGET, SCRATCH, SCRATCH2};
use super::trampoline::Trampoline;
use crate::code::buffer::Buffer;
use crate::code::x64::{self, Assembler, Condition};
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};
use iced_x86::{Encoder, InstructionInfoFactory};

/// Why an exit is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// The block has come to an instruction that is the interpreter's.
    Untranslated,
    /// An access is not in the TLB, crosses a page, is not aligned where it must be, goes to a device, or writes code.
    Memory,
    /// A division would raise an exception, or might.
    Divide,
    /// The budget does not reach.
    Budget,
    /// The x87 state unmasks exceptions, or is about to.
    X87,
    /// A helper's instruction did not complete.
    Helper,
    /// Behind a helper, something wants attention.
    Attention,
    /// A jump to a block that it is not linked to.
    Link,
    /// A branch whose target is not in the table.
    Target,
}

/// What is known of an exit.
#[derive(Clone, Copy, Debug)]
pub struct Exit {
    /// Why it is taken.
    pub why: Why,
    /// The address of the next instruction; for [`Why::Target`] that of the branch, whose target is in the machine's rip.
    pub rip: u64,
    /// How many instructions the budget was charged that were not executed.
    pub unexecuted: i32,
    /// For [`Why::Target`]: what the branch has added to rsp, to be taken back if it must not complete.
    pub released: i32,
    /// The last x87 instruction that the block has executed before, if the state remembers one.
    pub last: Option<Last>,
}

/// What the x87 state remembers of its last instruction.
#[derive(Clone, Copy, Debug)]
pub struct Last {
    /// Its address.
    pub rip: u64,
    /// Its opcode.
    pub opcode: u16,
}

/// A jump to another block on the same page.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// The offset of the displacement in the code.
    pub site: usize,
    /// The target's address.
    pub target: u64,
    /// The flags are in the frame, not in the host's flags.
    pub saved: bool,
}

/// A block's code, before it is published.
pub struct Translation {
    /// The code.
    pub buffer: Buffer,
    /// Offset of the entry with flags in the host's flags.
    pub host: usize,
    /// Offset of the entry with flags in the frame.
    pub saved: usize,
    /// Its exits, by number.
    pub exits: Vec<Exit>,
    /// Its jumps to other blocks.
    pub links: Vec<Link>,
    /// The group slots that it uses, as bits.
    pub groups: u16,
}

/// Code that is placed behind the block: it is run rarely.
enum Cold {
    /// Leaves.
    Exit { label: DynamicLabel, flags: Flags, exit: u32 },
    /// Asks the TLB.
    Walk { label: DynamicLabel, back: DynamicLabel, access: memory::Access, kept: bool, exit: DynamicLabel },
    /// Asks the TLB for a group.
    Group { label: DynamicLabel, back: DynamicLabel, group: memory::Group, exit: DynamicLabel },
    /// Leads to another block, behind a jump that was taken.
    Edge { label: DynamicLabel, state: State, target: u64 },
    /// Loads the x87 state.
    Load { label: DynamicLabel, back: DynamicLabel, exit: DynamicLabel },
    /// Puts a branch's target into rip and leaves.
    Target { label: DynamicLabel, exit: u32 },
}

/// What changes from instruction to instruction.
#[derive(Clone, Copy)]
struct State {
    flags: Flags,
    /// How many instructions the budget was charged.
    charged: i32,
    /// How many instructions have completed.
    done: i32,
    /// The last x87 instruction, if the frame does not know of it.
    last: Option<Last>,
}

/// A translation in progress.
pub struct Translator<'t> {
    buffer: Buffer,
    trampoline: Trampoline,
    block: &'t Block,
    start: u64,
    /// The number of the first exit.
    first_exit: u32,
    state: State,
    exits: Vec<Exit>,
    links: Vec<Link>,
    cold: Vec<Cold>,
    encoder: Encoder,
    factory: InstructionInfoFactory,
    /// Where the block begins with flags in the host's flags, and in the frame.
    entries: (DynamicLabel, DynamicLabel),
    /// The number of the instruction that is being translated.
    index: usize,
    /// What rax holds, if that is part of an address.
    held: Option<memory::Sum>,
    /// The last instruction was a conditional jump to the block's start that has led on to what follows, too.
    turned: bool,
    /// The x87 state is in the host's for sure.
    loaded: bool,
    /// The numbers of instructions whose access to memory was checked before, and where in the frame the addends lie.
    checked: Vec<(usize, i32)>,
    /// The group slots that are free, as bits.
    free_groups: u16,
    /// The numbers of instructions that begin a group, and their group slots.
    groups: Vec<(usize, u32)>,
    /// The first thing that the block does to the flags is to write all of them.
    flags_dead: bool,
    /// Where the block begins with flags that a recipe knows, once there is such a copy, or is going to be.
    again: Option<(Flags, DynamicLabel, bool)>,
}

/// The most bytes that a block's code may have: a bound that the arena gives back at once.
pub fn bound(steps: usize) -> usize {
    1024 + 2 * steps * 220
}

impl<'t> Translator<'t> {
    /// Translates `block`; its exits are numbered from `first_exit` on, and it may use the group slots `free_groups`.
    pub fn translate(
        buffer: Buffer,
        trampoline: Trampoline,
        block: &'t Block,
        start: u64,
        first_exit: u32,
        free_groups: u16,
    ) -> Translation {
        let mut buffer = buffer;
        let entries = (buffer.asm.new_dynamic_label(), buffer.asm.new_dynamic_label());
        let mut translator = Translator {
            buffer,
            trampoline,
            block,
            start,
            first_exit,
            state: State { flags: Flags::SAVED, charged: 0, done: 0, last: None },
            exits: Vec::new(),
            links: Vec::new(),
            cold: Vec::new(),
            encoder: Encoder::new(64),
            factory: InstructionInfoFactory::new(),
            entries,
            index: 0,
            checked: Vec::new(),
            free_groups,
            groups: Vec::new(),
            held: None,
            turned: false,
            loaded: false,
            flags_dead: starts_with_all_flags(block),
            again: None,
        };
        let (host, saved) = translator.entries();
        translator.body();
        translator.copies();
        translator.emit_cold();
        let groups = translator.groups.iter().fold(0, |bits, (_, group)| bits | 1 << group);
        let Translator { buffer, exits, links, .. } = translator;
        Translation { buffer, host, saved, exits, links, groups }
    }

    fn asm(&mut self) -> &mut Assembler {
        &mut self.buffer.asm
    }

    fn offset(&self) -> usize {
        self.buffer.asm.offset().0
    }

    fn label(&mut self) -> DynamicLabel {
        self.buffer.asm.new_dynamic_label()
    }

    fn place(&mut self, label: DynamicLabel) {
        dynasm!(self.buffer.asm; .arch x64; =>label);
    }

    /// Emits the entries; answers their offsets.
    fn entries(&mut self) -> (usize, usize) {
        let (host_label, saved_label) = self.entries;
        let host = self.offset();
        self.place(host_label);
        if self.flags_dead {
            self.place(saved_label);
            return (host, host);
        }
        if self.reads_flags_first() {
            // The other way round: the saved entry restores.
            let over = self.label();
            x64::jump(self.asm(), over);
            let saved = self.offset();
            self.place(saved_label);
            let mut flags = Flags::SAVED;
            flags.restore(&mut self.buffer.asm, &mut self.encoder);
            self.place(over);
            self.state.flags = Flags::HOST;
            return (host, saved);
        }
        let mut flags = Flags::HOST;
        flags.save(&mut self.buffer.asm, &mut self.encoder);
        let saved = self.offset();
        self.place(saved_label);
        (host, saved)
    }

    /// Whether the first instruction needs the flags where the host has them.
    fn reads_flags_first(&self) -> bool {
        self.block.steps.first().is_some_and(|step| {
            step.kind == Kind::JumpIf || step.kind == Kind::Copy && flags::effect(&step.instruction) == Effect::Reads
        })
    }

    /// The block once, from the state as it is.
    fn body(&mut self) {
        self.checked.clear();
        self.held = None;
        self.turned = false;
        self.loaded = false;
        for (index, step) in self.block.steps.iter().enumerate() {
            self.index = index;
            self.step(step);
            self.state.done += 1;
        }
        let ended = self.block.steps.last().is_some_and(|step| ends(step.kind));
        if self.turned || ended {
            // It leads on by itself.
        } else if self.block.leaves {
            let exit = self.exit(Why::Untranslated, self.block.next);
            x64::jump(self.asm(), exit);
        } else {
            self.tell_last();
            self.edge(self.block.next);
        }
    }

    /// The second copy of a loop, if it turned out that one is wanted.
    fn copies(&mut self) {
        if let Some((flags, label, false)) = self.again {
            self.again = Some((flags, label, true));
            self.place(label);
            self.state = State { flags, charged: 0, done: 0, last: None };
            self.body();
        }
    }

    fn step(&mut self, step: &Step) {
        if step.kind != Kind::Copy {
            self.held = None;
        }
        if leads_on(step.kind) {
            self.tell_last();
        }
        match step.kind {
            Kind::Copy => self.copy(step, false),
            Kind::CopyRax => self.copy(step, true),
            Kind::Divide => self.divide(step),
            Kind::Address => self.address(step),
            Kind::Nothing => {}
            Kind::Push => self.push(step),
            Kind::Pop => self.pop(step),
            Kind::LeaveFrame => self.leave_frame(step),
            Kind::JumpIf => self.jump_if(step),
            Kind::Loop => self.looping(step),
            Kind::Jump => self.jump(step),
            Kind::Call => self.call(step),
            Kind::JumpIndirect | Kind::CallIndirect => self.indirect(step),
            Kind::Return => self.return_to(step),
            Kind::X87 => self.x87(step),
            Kind::Helper => self.helper(step),
            Kind::Leave => unreachable!("blocks end before these"),
        }
    }

    /// An exit at the state as it is; answers what leads there. The flags have to be recoverable or still in the host's flags.
    fn exit(&mut self, why: Why, rip: u64) -> DynamicLabel {
        let label = self.label();
        let exit = self.number(why, rip);
        self.cold.push(Cold::Exit { label, flags: self.state.flags, exit });
        label
    }

    /// Enters an exit into the table; answers its number.
    fn number(&mut self, why: Why, rip: u64) -> u32 {
        let unexecuted = self.state.charged - self.state.done;
        self.exits.push(Exit { why, rip, unexecuted, released: 0, last: self.state.last });
        self.first_exit + self.exits.len() as u32 - 1
    }

    /// Makes the flags safe from being overwritten. Overwrites rax.
    fn keep_flags(&mut self) {
        if !self.state.flags.recoverable() {
            self.save_flags();
        }
    }

    /// Puts the flags into the frame. Overwrites rax.
    fn save_flags(&mut self) {
        self.held = None;
        self.state.flags.save(&mut self.buffer.asm, &mut self.encoder);
    }

    /// Puts the flags into the host's flags. Overwrites rax.
    fn restore_flags(&mut self) {
        if !self.state.flags.host {
            self.held = None;
        }
        self.state.flags.restore(&mut self.buffer.asm, &mut self.encoder);
    }

    /// Before host registers are written: what knows the flags by a recipe that needs them must know them otherwise.
    fn touch(&mut self, registers: u16) {
        if self.state.flags.recipe.is_some_and(|recipe| recipe.uses & registers != 0) {
            if !self.state.flags.host && !self.state.flags.saved {
                self.restore_flags();
            }
            self.state.flags.recipe = None;
        }
    }

    /// Before something that may leave at an instruction, or that overwrites the host's flags: makes the flags safe, and looks at the budget
    /// if that has not been done.
    fn exit_point(&mut self, step: &Step) {
        self.keep_flags();
        if self.state.charged == 0 {
            let total = self.block.steps.len() as i32;
            self.charge(total, step.rip());
        }
        self.state.flags.host = false;
    }

    /// Charges the budget for `count` instructions, and leaves before the one at `rip` if it does not reach. The flags must be recoverable.
    fn charge(&mut self, count: i32, rip: u64) {
        self.state.charged = count;
        self.state.flags.host = false;
        let exit = self.exit(Why::Budget, rip);
        dynasm!(self.buffer.asm; .arch x64; sub QWORD [BYTE rsp + BUDGET as i8], count);
        x64::jump_if(self.asm(), Condition::Sign, exit);
    }

    /// Calls the interpreter's handler.
    fn helper(&mut self, step: &Step) {
        self.held = None;
        self.exit_point(step);
        self.save_flags();
        let at = self.number(Why::Helper, step.rip());
        // The state is stored, and what it remembers with it.
        self.loaded = false;
        self.state.last = None;
        self.state.done += 1;
        let behind = self.number(Why::Attention, step.next());
        self.state.done -= 1;
        debug_assert_eq!(at + 1, behind);
        dynasm!(self.buffer.asm; .arch x64; mov eax, at as i32);
        x64::call_to(&mut self.buffer.asm, self.trampoline.helper);
        self.state.flags = Flags::SAVED;
    }

    fn emit_cold(&mut self) {
        while let Some(cold) = self.cold.pop() {
            match cold {
                Cold::Exit { label, flags, exit } => {
                    self.place(label);
                    self.leave(flags, exit);
                }
                Cold::Walk { label, back, access, kept, exit } => self.walk((label, back), access, kept, exit),
                Cold::Group { label, back, group, exit } => self.fill(label, back, &group, exit),
                Cold::Edge { label, state, target } => {
                    self.place(label);
                    self.state = state;
                    self.edge(target);
                    // An edge may want a second copy of the block.
                    self.copies();
                }
                Cold::Load { label, back, exit } => self.load_x87(label, back, exit),
                Cold::Target { label, exit } => self.leave_for_target(label, exit),
            }
        }
    }

    /// Leaves by an exit.
    fn leave(&mut self, flags: Flags, exit: u32) {
        let mut flags = flags;
        flags.save(&mut self.buffer.asm, &mut self.encoder);
        dynasm!(self.buffer.asm; .arch x64; mov eax, exit as i32);
        x64::jump_to(&mut self.buffer.asm, self.trampoline.exit);
    }
}

/// Whether an instruction of this kind leads to other blocks.
fn leads_on(kind: Kind) -> bool {
    ends(kind) || matches!(kind, Kind::JumpIf | Kind::Loop)
}

/// Whether an instruction of this kind goes nowhere else but where it leads.
fn ends(kind: Kind) -> bool {
    matches!(kind, Kind::Jump | Kind::Call | Kind::JumpIndirect | Kind::CallIndirect | Kind::Return)
}

/// Whether a block writes all flags before it reads them, and before it can leave.
fn starts_with_all_flags(block: &Block) -> bool {
    for step in &block.steps {
        let memory = (0..step.instruction.op_count()).any(|n| step.instruction.op_kind(n) == iced_x86::OpKind::Memory);
        match step.kind {
            Kind::Address | Kind::Nothing => {}
            Kind::Copy if !memory => match flags::effect(&step.instruction) {
                Effect::None => {}
                Effect::Writes => return true,
                Effect::Reads | Effect::Changes => return false,
            },
            _ => return false,
        }
    }
    false
}

/// A host register as a bit.
const fn bit(register: u8) -> u16 {
    1 << register
}

const _: () = assert!(SCRATCH == 0 && SCRATCH2 == 11, "written as rax and r11 in what is assembled here");
