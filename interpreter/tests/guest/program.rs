//! Random programs of 64-bit user code: made, assembled, followed step by step, and made smaller.
//!
//! A program is a list of [`Item`]s, so that parts of it can be left out and the rest assembled again. It is made while it is
//! executed: each new instruction is chosen with the registers that the ones before have left, so that its memory operand hits what is
//! there, by any addressing form; what a branch skips is chosen with the registers at the branch. A program may still fault
//! anywhere, which is as good an end as another one.

use std::collections::{BTreeMap, BTreeSet};

use iced_x86::{
    FlowControl, Formatter, Instruction, InstructionInfoFactory, IntelFormatter, Mnemonic, OpAccess, OpKind, Register,
};
use perilune_runtime::guest::cpu::flag;

use super::forms::{
    candidates, decoder, excluded, is_handled, memory_operand, read_flags, state, undefined_flags, undefined_result,
    value_of, written_flags,
};
use super::machine::Guest;
use super::native::{CODE, CONSTANT, DATA, DATA_SIZE, Ending, Registers, STACK};
use super::random::Random;

/// Where programs begin.
pub const ENTRY: u64 = CODE + 0x80;

/// Where there is nothing but a breakpoint.
const NOWHERE: u64 = CODE + 0xfff;

/// The pages that programs use.
pub const PAGES: [u64; 5] = [CODE, DATA, DATA + 0x1000, CONSTANT, STACK];

/// A part of a program.
#[derive(Clone, Debug)]
pub enum Item {
    /// An instruction, with the address that its rip-relative operand means.
    Plain(Vec<u8>, Option<u64>),
    /// A place.
    Label(u32),
    /// A jump to a place, with the number of its condition; short where that reaches.
    Jump { condition: Option<u8>, short: bool, to: u32 },
    /// A call.
    Call(u32),
    /// LEA of a place into a register.
    Address { register: u8, of: u32 },
    /// Writes the operand of the instruction at a place.
    Patch { at: u32, value: u32 },
}

/// A program with all that it works on.
#[derive(Clone)]
pub struct Program {
    /// Its instructions.
    pub items: Vec<Item>,
    /// Registers at its start.
    pub registers: Registers,
    /// What is in both pages of data, then in the page of constants, then in that of the stack.
    pub memory: Vec<u8>,
}

impl Program {
    /// Answers the code, and where each item lies. Places that are not there are [`NOWHERE`].
    pub fn assemble(&self) -> (Vec<u8>, Vec<u64>) {
        let mut long: BTreeSet<usize> = BTreeSet::new();
        loop {
            let size = |(n, item): (usize, &Item)| match item {
                Item::Plain(bytes, _) => bytes.len() as u64,
                Item::Label(_) => 0,
                Item::Jump { short: true, .. } if !long.contains(&n) => 2,
                Item::Jump { condition, .. } => 5 + u64::from(condition.is_some()),
                Item::Call(_) => 5,
                Item::Address { .. } => 7,
                Item::Patch { .. } => 10,
            };
            let mut places = vec![ENTRY];
            for part in self.items.iter().enumerate() {
                places.push(places[places.len() - 1] + size(part));
            }
            let place = |label: u32| {
                let at = self.items.iter().position(|item| matches!(item, Item::Label(l) if *l == label));
                at.map_or(NOWHERE, |n| places[n])
            };
            let far = |n: usize, to: u32| place(to).wrapping_sub(places[n + 1]) as i64;
            let reaches = |n: usize, to: u32| i8::try_from(far(n, to)).is_ok();
            let before = long.len();
            for (n, item) in self.items.iter().enumerate() {
                if let Item::Jump { short: true, to, .. } = item
                    && !reaches(n, *to)
                {
                    long.insert(n);
                }
            }
            if long.len() != before {
                continue;
            }
            let mut code = Vec::new();
            for (n, item) in self.items.iter().enumerate() {
                let next = places[n + 1];
                let disp = |to: u64| (to.wrapping_sub(next) as u32).to_le_bytes();
                match item {
                    Item::Plain(bytes, target) => {
                        let mut bytes = bytes.clone();
                        if let Some(target) = target {
                            set_displacement(&mut bytes, disp(*target));
                        }
                        code.extend(bytes);
                    }
                    Item::Label(_) => {}
                    Item::Jump { condition, short: true, to } if !long.contains(&n) => {
                        code.extend([condition.map_or(0xeb, |c| 0x70 | c), far(n, *to) as u8]);
                    }
                    Item::Jump { condition, to, .. } => {
                        match condition {
                            Some(c) => code.extend([0x0f, 0x80 | c]),
                            None => code.push(0xe9),
                        }
                        code.extend(disp(place(*to)));
                    }
                    Item::Call(to) => {
                        code.push(0xe8);
                        code.extend(disp(place(*to)));
                    }
                    Item::Address { register, of } => {
                        code.extend([0x48 | register >> 3 << 2, 0x8d, 0x05 | (register & 7) << 3]);
                        code.extend(disp(place(*of)));
                    }
                    Item::Patch { at, value } => {
                        code.extend([0xc7, 0x05]);
                        code.extend(disp(place(*at) + u64::from(OPERAND)));
                        code.extend(value.to_le_bytes());
                    }
                }
            }
            return (code, places);
        }
    }

    /// The page of code: breakpoints around the program.
    pub fn code(&self) -> Vec<u8> {
        let (code, _) = self.assemble();
        let mut page = vec![0xcc; 0x1000];
        let start = (ENTRY - CODE) as usize;
        page[start..start + code.len()].copy_from_slice(&code);
        page
    }

    /// The program as text.
    pub fn listing(&self) -> String {
        let (code, places) = self.assemble();
        let mut formatter = IntelFormatter::new();
        let mut text = String::new();
        for (n, item) in self.items.iter().enumerate() {
            if let Item::Label(label) = item {
                text += &format!("{label}:\n");
                continue;
            }
            let at = (places[n] - ENTRY) as usize;
            let bytes = &code[at..(places[n + 1] - ENTRY) as usize];
            let mut decoder = iced_x86::Decoder::with_ip(64, bytes, places[n], iced_x86::DecoderOptions::AMD);
            let mut line = String::new();
            formatter.format(&decoder.decode(), &mut line);
            text += &format!("  {:x}  {line:40} {bytes:02x?}\n", places[n]);
        }
        text
    }
}

fn set_displacement(bytes: &mut [u8], value: [u8; 4]) {
    let (instruction, decoder) = decoder(bytes, 64);
    let at = decoder.get_constant_offsets(&instruction).displacement_offset();
    bytes[at..at + 4].copy_from_slice(&value);
}

/// A moment of a run, before an instruction.
#[derive(Clone)]
pub struct Step {
    /// The registers.
    pub registers: Registers,
    /// The flags that have no defined value.
    pub undefined: u64,
}

/// A run, step by step.
pub struct Trace {
    /// The states, from before the first instruction to the end.
    pub steps: Vec<Step>,
    /// How it ended.
    pub ending: Ending,
}

/// Where the operand lies in an instruction that is patched.
const OPERAND: u8 = 2;

/// The most instructions that a program may execute.
const LIMIT: usize = 1500;

/// Follows a program that lies in the guest's memory. Nothing if it executes too much, or something with an effect
/// that the manual leaves undefined and a later instruction could tell.
pub fn follow(guest: &mut Guest, registers: Registers) -> Option<Trace> {
    let mut trace = Trace { steps: vec![Step { registers, undefined: 0 }], ending: ENDLESS };
    while trace.steps.len() < LIMIT {
        let now = trace.steps.last().expect("there is a first one").clone();
        let undefined = effect(guest, &now)?;
        let (registers, ending) = guest.run(now.registers, 1);
        if ending.vector != 255 {
            trace.steps.push(Step { registers, undefined: now.undefined });
            trace.ending = ending;
            return Some(trace);
        }
        trace.steps.push(Step { registers, undefined });
    }
    None
}

/// How a run ends that has no end.
const ENDLESS: Ending = Ending { vector: 255, code: 0, address: 0 };

/// The flags that are undefined behind the next instruction; nothing if it is none that a program may execute.
pub fn effect(guest: &Guest, now: &Step) -> Option<u64> {
    let rip = now.registers.rip;
    if !(CODE..CODE + 0x1000).contains(&rip) {
        return Some(now.undefined);
    }
    let bytes = &guest.read(rip, (CODE + 0x1000 - rip).min(15) as usize);
    let (instruction, _) = decoder(bytes, 64);
    if instruction.is_invalid() {
        return Some(now.undefined);
    }
    let forbidden = excluded(&instruction) && instruction.mnemonic() != Mnemonic::Int3 || state(&instruction);
    if forbidden || !is_handled(bytes, 64) && instruction.mnemonic() != Mnemonic::Ud2 {
        return None;
    }
    // A repeated instruction that overwrites itself may go on or not.
    if instruction.is_string_instruction() && now.registers.gpr[7] & !0xfff == CODE {
        return None;
    }
    let cl = now.registers.gpr[1];
    if read_flags(&instruction) & now.undefined != 0 || undefined_result(&instruction, cl) {
        return None;
    }
    Some(now.undefined & !written_flags(&instruction, cl) | undefined_flags(&instruction, cl))
}

/// Kinds of instructions, with how often each is wanted.
pub type Weights = [(Family, u64); 8];

/// Of everything something.
pub const MIXED: Weights = [
    (Family::Integer, 44),
    (Family::Shift, 9),
    (Family::Condition, 9),
    (Family::Multiply, 5),
    (Family::Stack, 6),
    (Family::Vector, 20),
    (Family::Text, 5),
    (Family::Old, 3),
];

/// Mostly x87.
pub const FLOATING: Weights = [
    (Family::Integer, 12),
    (Family::Shift, 2),
    (Family::Condition, 5),
    (Family::Multiply, 1),
    (Family::Stack, 2),
    (Family::Vector, 6),
    (Family::Text, 2),
    (Family::Old, 70),
];

/// A kind of instructions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// Moves, sums, logic, bits.
    Integer,
    /// Shifts and rotations.
    Shift,
    /// SETcc and CMOVcc.
    Condition,
    /// Multiplication and division.
    Multiply,
    /// PUSH, POP, LEAVE.
    Stack,
    /// SSE.
    Vector,
    /// String instructions.
    Text,
    /// x87 and MMX.
    Old,
}

fn family(i: &Instruction) -> Option<Family> {
    use Mnemonic as M;
    let needs = |feature: &str| i.cpuid_features().iter().any(|f| format!("{f:?}").starts_with(feature));
    let named = |start: &str| format!("{:?}", i.mnemonic()).starts_with(start);
    if i.flow_control() != FlowControl::Next || i.is_privileged() || state(i) {
        return None;
    }
    Some(match i.mnemonic() {
        _ if i.is_string_instruction() => Family::Text,
        M::Shl | M::Sal | M::Shr | M::Sar | M::Rol | M::Ror | M::Rcl | M::Rcr | M::Shld | M::Shrd => Family::Shift,
        M::Mul | M::Imul | M::Div | M::Idiv => Family::Multiply,
        _ if named("Set") || named("Cmov") => Family::Condition,
        _ if i.is_stack_instruction() => Family::Stack,
        _ if needs("SSE") => Family::Vector,
        _ if needs("FPU") || needs("MMX") => Family::Old,
        _ => Family::Integer,
    })
}

/// What makes programs.
pub struct Maker {
    weights: Weights,
    heads: Vec<(Family, Vec<Vec<u8>>)>,
    info: InstructionInfoFactory,
}

/// A program in the making.
struct Draft<'m> {
    maker: &'m mut Maker,
    random: &'m mut Random,
    guest: &'m mut Guest,
    program: Program,
    now: Step,
    /// Registers that must keep their values.
    reserved: Vec<Register>,
    labels: u32,
    /// New items are not executed before this place comes.
    skipping: Option<u32>,
    /// Places of instructions whose operand may be written.
    operands: Vec<u32>,
    /// Those that were written, and what.
    patched: BTreeMap<u32, u32>,
    ended: bool,
    /// The base of many operands.
    base: u8,
    /// How many functions the next item is in: their returns need the stack as it was.
    calls: u32,
}

impl Maker {
    /// Sorts the forms into families.
    pub fn new(weights: Weights) -> Maker {
        let mut heads: Vec<(Family, Vec<Vec<u8>>)> = weights.map(|(family, _)| (family, Vec::new())).to_vec();
        for head in candidates() {
            let mut bytes = head.clone();
            bytes.resize(15, 0x11);
            let (instruction, _) = decoder(&bytes, 64);
            if instruction.is_invalid() || excluded(&instruction) || !is_handled(&bytes, 64) {
                continue;
            }
            if let Some(kind) = family(&instruction) {
                heads.iter_mut().find(|(family, _)| *family == kind).expect("all are there").1.push(head);
            }
        }
        Maker { weights, heads, info: InstructionInfoFactory::new() }
    }

    /// Makes a program of some `length` instructions. The guest is used to execute it meanwhile.
    pub fn program(&mut self, random: &mut Random, guest: &mut Guest, length: u64) -> Program {
        let mut registers = Registers {
            gpr: std::array::from_fn(|_| random.value()),
            rip: ENTRY,
            rflags: Guest::FLAGS | random.next() & flag::ARITHMETIC,
            fx: super::forms::float_state(random),
        };
        if random.once_in(30) {
            registers.rflags |= flag::DF;
        }
        for register in [3, 5, 6, 7, 12] {
            registers.gpr[register] = somewhere(random);
        }
        registers.gpr[4] = STACK + 0x800 + (random.below(0x100) & if random.once_in(8) { !0 } else { !7 });
        let memory = (0..(DATA_SIZE + 0x2000) / 8).flat_map(|_| random.value().to_le_bytes()).collect();
        let program = Program { items: Vec::new(), registers, memory };
        load(guest, &program);
        let base = [3, 5, 6, 7][random.below(4) as usize];
        let mut draft = Draft {
            base,
            maker: self,
            random,
            guest,
            program,
            now: Step { registers, undefined: 0 },
            reserved: vec![Register::RSP],
            labels: 0,
            skipping: None,
            operands: Vec::new(),
            patched: BTreeMap::new(),
            ended: false,
            calls: 0,
        };
        draft.block(length, 0);
        draft.program
    }
}

/// Puts a program's code and memory where it runs.
pub fn load(guest: &mut Guest, program: &Program) {
    for (at, bytes) in parts(program) {
        guest.write(at, &bytes);
    }
}

/// The pages of a program with their contents.
pub fn parts(program: &Program) -> [(u64, Vec<u8>); 4] {
    let (data, rest) = program.memory.split_at(DATA_SIZE);
    let (constants, stack) = rest.split_at(0x1000);
    [(CODE, program.code()), (DATA, data.to_vec()), (CONSTANT, constants.to_vec()), (STACK, stack.to_vec())]
}

/// An address of data: anywhere, often at the border of two pages.
fn somewhere(random: &mut Random) -> u64 {
    match random.below(16) {
        0..3 => DATA + 0x1000 - random.below(16),
        3 => CONSTANT + random.below(0xff0),
        4 => STACK + random.below(0xff0),
        5 => DATA + random.below(DATA_SIZE as u64),
        _ => DATA + 8 * random.below(DATA_SIZE as u64 / 8 - 2),
    }
}

impl Draft<'_> {
    fn label(&mut self) -> u32 {
        self.labels += 1;
        self.labels
    }

    /// Items that follow one another, some with structure.
    fn block(&mut self, length: u64, depth: u32) {
        for _ in 0..length {
            if self.ended || self.program.assemble().0.len() > 0xc00 {
                return;
            }
            let deep = depth >= 3;
            match self.random.below(100) {
                0..=9 if !deep => self.branch(depth),
                10..=12 if !deep => self.repeat(depth),
                13..=16 if !deep => self.call(depth),
                17..=18 => self.indirect(),
                19..=21 => self.patched(),
                22..=25 => self.pointer(),
                26..=28 => self.same_place(),
                _ => self.instruction(),
            }
        }
    }

    /// A jump over some items.
    fn branch(&mut self, depth: u32) {
        let to = self.label();
        let condition = (!self.random.once_in(8)).then(|| self.random.below(16) as u8);
        let short = !self.random.once_in(3);
        let length = 1 + self.random.below(6);
        if self.append(Item::Jump { condition, short, to }) {
            if self.skipping.is_none() && self.now.registers.rip != self.end() {
                self.skipping = Some(to);
            }
            self.block(length, depth + 1);
            self.place(to);
        }
    }

    /// A loop with a counter.
    fn repeat(&mut self, depth: u32) {
        let register = [Register::RBX, Register::R8, Register::R14, Register::R15][self.random.below(4) as usize];
        if self.reserved.contains(&register) {
            return;
        }
        let number = register.number() as u8;
        let (high, low) = (number >> 3, number & 7);
        let most = if self.random.once_in(3) { 120 } else { 12 };
        let times = 1 + self.random.below(most) as u8;
        let start = self.label();
        self.append(Item::Plain(vec![0x40 | high, 0xb8 | low, times, 0, 0, 0], None));
        self.place(start);
        self.reserved.push(register);
        let length = 1 + self.random.below(8);
        self.block(length, depth + 1);
        self.reserved.pop();
        self.append(Item::Plain(vec![0x48 | high, 0xff, 0xc8 | low], None));
        if self.append(Item::Jump { condition: Some(5), short: true, to: start }) && self.skipping.is_none() {
            self.finish();
        }
    }

    /// Executes the loop that the last item closes. If that does not end well, it is a loop no longer.
    fn finish(&mut self) {
        let (before, end) = (self.now.clone(), self.end());
        for _ in 0..LIMIT / 4 {
            if self.now.registers.rip == end {
                return;
            }
            let Some(undefined) = effect(self.guest, &self.now) else { break };
            let (registers, ending) = self.guest.run(self.now.registers, 1);
            if ending.vector != 255 {
                break;
            }
            self.now = Step { registers, undefined };
        }
        self.program.items.pop();
        self.now = before;
        self.go_on();
    }

    /// A call of a function that stands right behind it.
    fn call(&mut self, depth: u32) {
        let (function, behind) = (self.label(), self.label());
        if self.random.once_in(2) {
            self.append(Item::Call(function));
        } else {
            let register = self.scratch();
            self.append(Item::Address { register, of: function });
            self.append(Item::Plain(vec![0x40 | register >> 3, 0xff, 0xd0 | register & 7], None));
        }
        let called = self.skipping.is_none();
        if called {
            self.skipping = Some(function);
        }
        self.append(Item::Jump { condition: None, short: true, to: behind });
        self.place(function);
        let length = 1 + self.random.below(5);
        self.calls += 1;
        self.block(length, depth + 2);
        self.calls -= 1;
        let taken = if self.random.once_in(8) { vec![0xc2, 8, 0] } else { vec![0xc3] };
        self.append(Item::Plain(taken, None));
        self.place(behind);
        self.go_on();
    }

    /// A jump by a register, or a return to an address that no call has pushed.
    fn indirect(&mut self) {
        let (register, to) = (self.scratch(), self.label());
        self.append(Item::Address { register, of: to });
        let (high, low) = (register >> 3, register & 7);
        if self.random.once_in(2) {
            self.append(Item::Plain(vec![0x40 | high, 0xff, 0xe0 | low], None));
        } else {
            self.append(Item::Plain(vec![0x40 | high, 0x50 | low], None));
            self.append(Item::Plain(vec![0xc3], None));
        }
        self.place(to);
        self.go_on();
    }

    /// An instruction whose operand is written before it, or will be by a later item.
    fn patched(&mut self) {
        let value = self.random.value() as u32;
        let known = self.operands.len() as u64;
        if known > 0 && self.random.once_in(2) {
            let at = self.operands[self.random.below(known) as usize];
            self.append(Item::Patch { at, value });
            return;
        }
        let (at, register) = (self.label(), self.scratch());
        if self.random.once_in(2) {
            self.append(Item::Patch { at, value });
        }
        // mov or add of a constant; both have the operand behind two bytes.
        let (high, low) = (register >> 3, register & 7);
        let bytes = match register {
            0..8 if self.random.once_in(2) => vec![0x81, 0xc0 | low, 1, 2, 3, 4],
            _ => vec![0x40 | high, 0xb8 | low, 1, 2, 3, 4],
        };
        self.place(at);
        self.append(Item::Plain(bytes, None));
        self.operands.push(at);
    }

    /// Some instructions with the same operand in memory, by base and index: what one has computed of the address, another one may have
    /// overwritten.
    fn same_place(&mut self) {
        let (base, index, scale) = (self.base, self.scratch(), self.random.below(4) as u8);
        let gpr = self.now.registers.gpr;
        let sum = gpr[usize::from(base)].wrapping_add(gpr[usize::from(index)] << scale);
        let distance = somewhere(self.random).wrapping_sub(sum) as i64;
        let Ok(displacement) = i32::try_from(distance) else { return };
        for _ in 0..2 + self.random.below(4) {
            let register = self.scratch();
            // Opcode, and what stands in the register's field if that is no register.
            let (opcode, extension): (&[u8], Option<u8>) = match self.random.below(12) {
                0..=2 => (&[0x8b], None),    // mov
                3 => (&[0x03], None),        // add
                4 => (&[0x01], None),        // add to memory
                5 => (&[0x87], None),        // xchg
                6 => (&[0xf7], Some(6)),     // div
                7 => (&[0xf7], Some(7)),     // idiv
                8 => (&[0xf7], Some(4)),     // mul
                9 => (&[0x0f, 0xb1], None),  // cmpxchg
                10 => (&[0x0f, 0xc1], None), // xadd
                _ => (&[0xff], Some(6)),     // push
            };
            if opcode == [0xff] && self.calls > 0 {
                continue;
            }
            let field = extension.unwrap_or(register);
            let rex = 0x48 | field >> 3 << 2 | index >> 3 << 1 | base >> 3;
            let address = [0x84 | (field & 7) << 3, scale << 6 | (index & 7) << 3 | base & 7];
            let bytes = [&[rex], opcode, &address, &displacement.to_le_bytes()].concat();
            self.append(Item::Plain(bytes, None));
        }
    }

    /// A register gets an address.
    fn pointer(&mut self) {
        let register = self.scratch();
        let address = (somewhere(self.random) as u32).to_le_bytes();
        self.append(Item::Plain([&[0x40 | register >> 3, 0xb8 | register & 7][..], &address].concat(), None));
    }

    /// The number of a register that may be overwritten.
    fn scratch(&mut self) -> u8 {
        loop {
            let number = self.random.below(16) as u8;
            if !self.reserved.iter().any(|register| register.number() == usize::from(number)) {
                return number;
            }
        }
    }

    /// A random instruction of a random family.
    fn instruction(&mut self) {
        let weights = self.maker.weights;
        let mut choice = self.random.below(weights.iter().map(|(_, weight)| weight).sum());
        let mut kind = 0;
        while choice >= weights[kind].1 {
            choice -= weights[kind].1;
            kind += 1;
        }
        if weights[kind].0 == Family::Stack && self.calls > 0 {
            return;
        }
        for _ in 0..12 {
            let heads = &self.maker.heads[kind].1;
            let head = heads[self.random.below(heads.len() as u64) as usize].clone();
            if let Some(item) = self.form(weights[kind].0, &head)
                && self.append(item)
            {
                return;
            }
        }
    }

    /// An instruction of a form, with an operand where there is memory.
    fn form(&mut self, kind: Family, head: &[u8]) -> Option<Item> {
        let mut bytes = head.to_vec();
        let modrm = bytes.pop()?;
        // The same base again and again: what is known of its page shall matter.
        let low = if self.random.once_in(2) { self.base } else { self.random.below(8) as u8 };
        bytes.push(modrm | low);
        while bytes.len() < 15 {
            bytes.push(self.random.value() as u8);
        }
        let (instruction, _) = decoder(&bytes, 64);
        if instruction.is_invalid() || excluded(&instruction) || !is_handled(&bytes, 64) {
            return None;
        }
        // Prefixes may have made another one of it.
        if family(&instruction) != Some(kind) {
            return None;
        }
        bytes.truncate(instruction.len());
        let operand = memory_operand(&instruction);
        if instruction.op_kind(operand) != OpKind::Memory || instruction.mnemonic() == Mnemonic::Lea {
            return Some(Item::Plain(bytes, None));
        }
        let border = self.random.once_in(3);
        let target = if border { DATA + 0xff0 + self.random.below(32) } else { somewhere(self.random) };
        if instruction.is_ip_rel_memory_operand() {
            return Some(Item::Plain(bytes, (!head.contains(&0x67)).then_some(target)));
        }
        let now = instruction.virtual_address(operand, 0, |register, _, _| match register {
            r if r.is_segment_register() => Some(0),
            r => Some(value_of(&self.now.registers, r)),
        })?;
        let offsets = decoder(&bytes, 64).1.get_constant_offsets(&instruction);
        let (at, size) = (offsets.displacement_offset(), offsets.displacement_size());
        match size {
            4 => {
                let old = i32::from_le_bytes(bytes[at..at + 4].try_into().ok()?);
                let wanted = i64::from(old).wrapping_add(target.wrapping_sub(now) as i64);
                bytes[at..at + 4].copy_from_slice(&i32::try_from(wanted).ok()?.to_le_bytes());
            }
            // Near enough as it is, or not at all.
            _ if !PAGES.contains(&(now & !0xfff)) => return None,
            _ => {}
        }
        Some(Item::Plain(bytes, None))
    }

    /// Whether an instruction writes a register that must keep its value.
    fn spoils(&mut self, bytes: &[u8]) -> bool {
        let (instruction, _) = decoder(bytes, 64);
        // What it does to rsp is what it is there for.
        let stack = instruction.is_stack_instruction();
        let info = self.maker.info.info(&instruction);
        info.used_registers().iter().any(|used| {
            let writes = !matches!(used.access(), OpAccess::Read | OpAccess::CondRead | OpAccess::NoMemAccess);
            let register = used.register().full_register();
            writes && self.reserved.contains(&register) && !(stack && register == Register::RSP)
        })
    }

    /// Appends an item and executes it; takes it back if it cannot be executed, mostly.
    fn append(&mut self, item: Item) -> bool {
        if self.ended {
            return false;
        }
        if let Item::Plain(bytes, _) = &item
            && !matches!(bytes[..], [0xc3] | [0xc2, ..] | [_, 0x50..=0x57])
            && !self.random.once_in(60)
            && self.spoils(&bytes.clone())
        {
            return false;
        }
        let start = self.end();
        self.program.items.push(item);
        if self.skipping.is_some() {
            return true;
        }
        self.write_code();
        self.now.registers.rip = start;
        let Some(undefined) = effect(self.guest, &self.now) else {
            self.program.items.pop();
            return false;
        };
        let (mut registers, mut ending) = self.guest.run(self.now.registers, 1);
        // A string instruction that is repeated goes on.
        for _ in 0..8 {
            if ending.vector == 255 && registers.rip == start {
                (registers, ending) = self.guest.run(registers, 1);
            }
        }
        if ending.vector == 255 {
            if let Some(Item::Patch { at, value, .. }) = self.program.items.last() {
                self.patched.insert(*at, *value);
            }
            self.now = Step { registers, undefined };
            return true;
        }
        if self.random.once_in(1000) {
            self.ended = true;
            return true;
        }
        self.program.items.pop();
        false
    }

    /// Writes the code as it is after what has been executed.
    fn write_code(&mut self) {
        let (_, places) = self.program.assemble();
        let code = self.program.code();
        self.guest.write(CODE, &code);
        for (item, place) in self.program.items.iter().zip(places) {
            if let Item::Label(label) = item
                && let Some(value) = self.patched.get(label)
            {
                self.guest.write(place + u64::from(OPERAND), &value.to_le_bytes());
            }
        }
    }

    /// A place, from which on items are executed again if it was waited for.
    fn place(&mut self, label: u32) {
        self.program.items.push(Item::Label(label));
        if self.skipping == Some(label) {
            self.go_on();
            self.skipping = None;
        }
    }

    /// Goes on at the end, wherever the last item has led.
    fn go_on(&mut self) {
        self.now.registers.rip = self.end();
    }

    fn end(&self) -> u64 {
        *self.program.assemble().1.last().expect("the end")
    }
}

/// Leaves out what is not needed for `fails` to say something; answers the rest, and what was said of it.
pub fn shrink(program: &Program, fails: &mut dyn FnMut(&Program) -> Option<String>) -> (Program, String) {
    let mut least = program.clone();
    let mut said = fails(&least).unwrap_or_else(|| "it does not fail when it is run again".into());
    let mut size = least.items.len().div_ceil(2).max(1);
    loop {
        let mut at = 0;
        let mut smaller = false;
        while at < least.items.len() {
            let mut candidate = least.clone();
            candidate.items.drain(at..(at + size).min(least.items.len()));
            if let Some(text) = fails(&candidate) {
                (least, said, smaller) = (candidate, text, true);
            } else {
                at += size;
            }
        }
        match (smaller, size) {
            (false, 1) => return (least, said),
            (false, _) => size = size.div_ceil(2),
            (true, _) => {}
        }
    }
}
