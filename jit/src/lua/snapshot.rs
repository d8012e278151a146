//! Snapshots: what the interpreter's frames must look like when a trace is left.
//!
//! A snapshot applies to all instructions from its position on, up to the next one; neighbouring guards share it. It
//! lists the modified slots (those whose content in memory is not what the program would see) with the references of
//! their values, and the frames of inlined calls. Slots that are not listed are right in memory. A slot and its value
//! take four bytes; entries and frames lie in pools, and snapshots in a row with the same frames share them.
//!
//! A value may be an *unbuilt object*: one that the trace has not made, since nothing but exits would see it
//! ([`super::opt::sink`]). The snapshot says of what parts it consists at that point; the exit builds it.
#![forbid(unsafe_code)]

use super::ir::{Ir, Ref, Type};
use std::ops::Range;

/// How the interpreter goes on after an exit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExitMode {
    /// Executes the instruction at `pc`, again if the trace had begun to.
    Reexecute,
    /// The instruction before `pc` has had all its effects, its results are in the slots: goes on at `pc`.
    Continue,
    /// As `Continue`; the instruction at `pc` uses a list of values that ends at the state's top, and begins at the
    /// snapshot's.
    Open,
    /// The comparison before `pc` has called its metamethod: goes on as the outcome says, which lies at the snapshot's top.
    Finish,
    /// An error is pending in the state; the instruction at `pc` raises it.
    Raise,
}

impl ExitMode {
    /// The name in the text form.
    pub const fn name(self) -> &'static str {
        match self {
            ExitMode::Reexecute => "reexec",
            ExitMode::Continue => "continue",
            ExitMode::Open => "open",
            ExitMode::Finish => "finish",
            ExitMode::Raise => "raise",
        }
    }
    /// The mode with this name.
    pub fn by_name(name: &str) -> Option<ExitMode> {
        let all = [ExitMode::Reexecute, ExitMode::Continue, ExitMode::Open, ExitMode::Finish, ExitMode::Raise];
        all.into_iter().find(|m| m.name() == name)
    }
}

/// How an inlined call, which has a frame of its own, came about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FrameKind {
    /// By a call.
    Call,
    /// By a tail call in such a frame.
    TailCall,
    /// As a metamethod: the result finishes the caller's instruction.
    Meta,
    /// By a tail call in a metamethod's frame.
    TailMeta,
    /// By `pcall`, whose own frame lies below it.
    Pcall,
    /// By a tail call in such a frame.
    TailPcall,
    /// By `xpcall`, whose own frame lies below it, with the handler in its first slot.
    Xpcall,
    /// By a tail call in such a frame.
    TailXpcall,
    /// By `pairs`, which goes on with the metamethod's call in place of its own; its frame lies below.
    Pairs,
    /// By a tail call in such a frame.
    TailPairs,
}

impl FrameKind {
    /// All kinds.
    pub const ALL: [FrameKind; 10] = [
        FrameKind::Call,
        FrameKind::TailCall,
        FrameKind::Meta,
        FrameKind::TailMeta,
        FrameKind::Pcall,
        FrameKind::TailPcall,
        FrameKind::Xpcall,
        FrameKind::TailXpcall,
        FrameKind::Pairs,
        FrameKind::TailPairs,
    ];
    /// The name in the text form.
    pub const fn name(self) -> &'static str {
        match self {
            FrameKind::Call => "call",
            FrameKind::TailCall => "tailcall",
            FrameKind::Meta => "meta",
            FrameKind::TailMeta => "tailmeta",
            FrameKind::Pcall => "pcall",
            FrameKind::TailPcall => "tailpcall",
            FrameKind::Xpcall => "xpcall",
            FrameKind::TailXpcall => "tailxpcall",
            FrameKind::Pairs => "pairs",
            FrameKind::TailPairs => "tailpairs",
        }
    }
    /// The kind with this name.
    pub fn by_name(name: &str) -> Option<FrameKind> {
        FrameKind::ALL.into_iter().find(|k| k.name() == name)
    }
    /// The kind of the frame that takes this one's place in a tail call.
    pub const fn tail(self) -> FrameKind {
        match self {
            FrameKind::Call | FrameKind::TailCall => FrameKind::TailCall,
            FrameKind::Meta | FrameKind::TailMeta => FrameKind::TailMeta,
            FrameKind::Pcall | FrameKind::TailPcall => FrameKind::TailPcall,
            FrameKind::Xpcall | FrameKind::TailXpcall => FrameKind::TailXpcall,
            FrameKind::Pairs | FrameKind::TailPairs => FrameKind::TailPairs,
        }
    }
    /// Whether the result finishes the caller's instruction.
    pub const fn is_meta(self) -> bool {
        matches!(self, FrameKind::Meta | FrameKind::TailMeta)
    }
    /// Whether it took another one's place.
    pub const fn is_tail(self) -> bool {
        self as u8 == self.tail() as u8
    }
    /// Whether errors end at the frame below it.
    pub const fn is_protected(self) -> bool {
        self.has_frame_below() && !matches!(self, FrameKind::Pairs | FrameKind::TailPairs)
    }
    /// Whether a native function's frame lies below it.
    pub const fn has_frame_below(self) -> bool {
        self.function_at() > 0
    }
    /// How far above the slot where its results go the function lies.
    pub const fn function_at(self) -> i16 {
        match self {
            FrameKind::Pcall | FrameKind::TailPcall | FrameKind::Pairs | FrameKind::TailPairs => 1,
            FrameKind::Xpcall | FrameKind::TailXpcall => 2,
            _ => 0,
        }
    }
    /// Number of frames that the interpreter has for it.
    pub const fn frames(self) -> usize {
        1 + self.has_frame_below() as usize
    }
}

/// An inlined frame: one above the frame in which the trace began.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Frame {
    /// What it is.
    pub kind: FrameKind,
    /// The function: a constant or a value.
    pub function: Ref,
    /// Where the calling frame goes on after the return.
    pub return_pc: u32,
    /// The address of that instruction; 0 in IR that comes from text.
    pub return_address: usize,
    /// Its base, relative to the base at the trace's entry.
    pub base: i16,
    /// How many results the caller wants; -1 for all.
    pub wanted: i16,
    /// How many extra arguments it has.
    pub varargs: u16,
    /// What the caller's instruction goes on with when it returns: one more than the number of values that are left to be concatenated,
    /// or that wait to be returned; 0 for neither.
    pub pending: u16,
    /// The address of its prototype, for whoever explains the trace; 0 in IR that comes from text.
    pub proto: usize,
}

/// A modified slot and its value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SlotValue {
    /// The slot, relative to the base at the trace's entry.
    pub slot: i16,
    /// The value.
    pub value: Ref,
}

/// An object that the trace has not made, as it is at an exit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unbuilt {
    /// The instruction that stands for it, an `unbuilt`.
    pub object: Ref,
    first_part: u32,
    part_count: u16,
}

/// What an unbuilt object consists of: constants, and values, which may be unbuilt objects in their turn.
#[derive(Clone, Copy, Debug)]
pub enum Parts<'a> {
    /// A table.
    Table(TableParts<'a>),
    /// A cell: what it holds.
    Cell(Ref),
    /// A Lua function.
    Function(FunctionParts<'a>),
}

/// The parts of an unbuilt table.
#[derive(Clone, Copy, Debug)]
pub struct TableParts<'a> {
    /// Its shape.
    pub shape: Ref,
    /// Its metatable; a pointer to null if there is none.
    pub meta: Ref,
    /// Of its array: the kind and the capacity, integers.
    pub array: [Ref; 2],
    /// The values of its array's elements.
    pub elements: &'a [Ref],
    /// The values of its slots; there are no others.
    pub slots: &'a [Ref],
}

/// How many parts of a table stand before its elements and slots: shape, metatable, the array's kind, capacity and length.
pub const TABLE_CONSTANTS: usize = 5;

/// The parts of an unbuilt Lua function.
#[derive(Clone, Copy, Debug)]
pub struct FunctionParts<'a> {
    /// Its prototype.
    pub proto: Ref,
    /// Its upvalues' cells.
    pub cells: &'a [Ref],
}

impl<'a> Parts<'a> {
    /// Of an object of `ir` of a type, from the parts in their order.
    pub fn new(ir: &Ir, ty: Type, parts: &'a [Ref]) -> Option<Parts<'a>> {
        Some(match (ty, parts) {
            (Type::Table, [shape, meta, kind, capacity, len, rest @ ..]) => {
                let len = usize::try_from(ir.int(*len)?).ok()?;
                let (elements, slots) = rest.split_at_checked(len)?;
                let array = [*kind, *capacity];
                Parts::Table(TableParts { shape: *shape, meta: *meta, array, elements, slots })
            }
            (Type::Cell, [value]) => Parts::Cell(*value),
            (Type::Function, [proto, cells @ ..]) => Parts::Function(FunctionParts { proto: *proto, cells }),
            _ => return None,
        })
    }
}

/// A snapshot. Its slots, frames and unbuilt objects lie in the pools of [`Snapshots`].
#[derive(Clone, Copy, Debug)]
pub struct Snapshot {
    /// Index of the first instruction that it applies to.
    pub at: u16,
    /// How the interpreter goes on.
    pub mode: ExitMode,
    /// Number of inlined frames.
    frame_count: u8,
    /// Where the frames begin in the pool.
    first_frame: u32,
    /// Number of modified slots.
    slot_count: u16,
    /// Where the slots begin in the pool.
    first_slot: u32,
    /// Number of unbuilt objects.
    object_count: u16,
    /// Where the unbuilt objects begin in the pool.
    first_object: u32,
    /// Where the innermost frame goes on: an index into its prototype's code.
    pub pc: u32,
    /// First slot that is dead, relative to the base at the trace's entry.
    pub top: i16,
}

/// The snapshots of a trace, in the order of their positions.
#[derive(Clone, Debug)]
pub struct Snapshots {
    list: Vec<Snapshot>,
    slots: Vec<SlotValue>,
    frames: Vec<Frame>,
    objects: Vec<Unbuilt>,
    parts: Vec<Ref>,
}

impl Default for Snapshots {
    fn default() -> Snapshots {
        Snapshots {
            list: Vec::with_capacity(32),
            slots: Vec::with_capacity(256),
            frames: Vec::new(),
            objects: Vec::new(),
            parts: Vec::new(),
        }
    }
}

/// The frames of a snapshot that is being taken.
pub trait FrameList: Iterator<Item = Frame> + Clone {}
impl<I: Iterator<Item = Frame> + Clone> FrameList for I {}

/// The parts of a snapshot that is being taken, but for slots and frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resume {
    /// How the interpreter goes on.
    pub mode: ExitMode,
    /// Where the innermost frame goes on.
    pub pc: u32,
    /// First slot that is dead.
    pub top: i16,
}

impl Snapshots {
    /// Number of snapshots.
    pub fn len(&self) -> usize {
        self.list.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
    /// All snapshots.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Snapshot> + DoubleEndedIterator {
        self.list.iter()
    }
    /// Snapshot `number`.
    pub fn get(&self, number: usize) -> &Snapshot {
        &self.list[number]
    }
    /// The modified slots of a snapshot, in ascending order.
    pub fn slots(&self, snapshot: &Snapshot) -> &[SlotValue] {
        &self.slots[snapshot.slot_range()]
    }
    /// The inlined frames of a snapshot, outermost first.
    pub fn frames(&self, snapshot: &Snapshot) -> &[Frame] {
        &self.frames[snapshot.frame_range()]
    }
    /// The unbuilt objects that a snapshot refers to, directly or as parts of one another, in ascending order.
    pub fn objects(&self, snapshot: &Snapshot) -> &[Unbuilt] {
        let first = snapshot.first_object as usize;
        &self.objects[first..first + usize::from(snapshot.object_count)]
    }
    /// The parts of an unbuilt object.
    pub fn parts(&self, unbuilt: &Unbuilt) -> &[Ref] {
        let first = unbuilt.first_part as usize;
        &self.parts[first..first + usize::from(unbuilt.part_count)]
    }
    /// Says which unbuilt objects snapshot `number` refers to, in ascending order, and what they consist of.
    pub fn set_objects<'a>(&mut self, number: usize, objects: impl Iterator<Item = (Ref, &'a [Ref])>) {
        let first = self.objects.len();
        for (object, parts) in objects {
            let first_part = self.parts.len() as u32;
            self.parts.extend_from_slice(parts);
            self.objects.push(Unbuilt { object, first_part, part_count: parts.len() as u16 });
        }
        debug_assert!(self.objects[first..].is_sorted_by_key(|o| o.object));
        let snapshot = &mut self.list[number];
        snapshot.first_object = first as u32;
        snapshot.object_count = (self.objects.len() - first) as u16;
    }
    /// The number of the snapshot that applies to the instruction with this index.
    pub fn for_inst(&self, index: usize) -> Option<usize> {
        self.list.partition_point(|s| s.at as usize <= index).checked_sub(1)
    }
    /// The numbers of the snapshots that apply to each of the first instructions.
    pub fn by_inst(&self, insts: usize) -> Vec<Option<u16>> {
        let mut next = 0;
        let number = |at: usize| {
            while self.list.get(next).is_some_and(|s| s.at as usize <= at) {
                next += 1;
            }
            next.checked_sub(1).map(|n| n as u16)
        };
        (0..insts).map(number).collect()
    }
    /// All references that a snapshot holds.
    pub fn refs(&self, snapshot: &Snapshot) -> impl Iterator<Item = Ref> {
        let slots = self.slots(snapshot).iter().map(|s| s.value);
        let functions = self.frames(snapshot).iter().map(|f| f.function).filter(|r| !r.is_none());
        slots.chain(functions).chain(self.objects(snapshot).iter().flat_map(|o| self.parts(o)).copied())
    }

    /// Gives back memory that is not in use.
    pub fn shrink(&mut self) {
        let Snapshots { list, slots, frames, objects, parts } = self;
        list.shrink_to_fit();
        slots.shrink_to_fit();
        frames.shrink_to_fit();
        objects.shrink_to_fit();
        parts.shrink_to_fit();
    }

    /// Keeps the snapshots whose numbers `keep` approves. Instructions that use a snapshot must not lose it.
    pub fn retain(&mut self, mut keep: impl FnMut(usize) -> bool) {
        let mut number = 0;
        self.list.retain(|_| {
            number += 1;
            keep(number - 1)
        });
    }

    /// Whether the last snapshot says just this.
    pub fn last_equals(&self, resume: Resume, slots: &[SlotValue], frames: impl FrameList) -> bool {
        let alike = |s: &Snapshot| s.resume() == resume && s.object_count == 0 && self.slots(s) == slots;
        let same = |s: &Snapshot| alike(s) && self.last_frames_equal(s, frames);
        self.list.last().is_some_and(same)
    }

    fn last_frames_equal(&self, last: &Snapshot, frames: impl FrameList) -> bool {
        self.frames(last).iter().copied().eq(frames)
    }

    /// Removes the last snapshot.
    pub fn pop(&mut self) {
        if let Some(last) = self.list.pop() {
            self.slots.truncate(last.first_slot as usize);
        }
    }

    /// Adds a snapshot for the instructions from index `at` on, replacing one at the same position.
    pub fn push(&mut self, at: usize, resume: Resume, slots: &[SlotValue], frames: impl FrameList) {
        debug_assert!(slots.is_sorted_by_key(|s| s.slot));
        if self.list.last().is_some_and(|last| last.at as usize == at) {
            self.pop();
        }
        let frame_count = frames.clone().count() as u8;
        let shared = self.list.last().filter(|last| self.last_frames_equal(last, frames.clone()));
        let first_frame = match shared {
            Some(last) => last.first_frame,
            None => {
                let first = self.frames.len() as u32;
                self.frames.extend(frames);
                first
            }
        };
        let first_slot = self.slots.len() as u32;
        self.slots.extend_from_slice(slots);
        self.list.push(Snapshot {
            at: at as u16,
            mode: resume.mode,
            frame_count,
            first_frame,
            slot_count: slots.len() as u16,
            first_slot,
            object_count: 0,
            first_object: 0,
            pc: resume.pc,
            top: resume.top,
        });
    }
}

impl Snapshot {
    fn slot_range(&self) -> Range<usize> {
        self.first_slot as usize..self.first_slot as usize + self.slot_count as usize
    }
    fn frame_range(&self) -> Range<usize> {
        self.first_frame as usize..self.first_frame as usize + self.frame_count as usize
    }
    /// How the interpreter goes on.
    pub fn resume(&self) -> Resume {
        Resume { mode: self.mode, pc: self.pc, top: self.top }
    }
}
