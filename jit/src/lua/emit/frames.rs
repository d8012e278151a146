//! The ends of traces that go on in another frame: a call that is not inlined, and a return from the frame that the trace was
//! entered in. What is usual is done in place, all else by a function.
#![forbid(unsafe_code)]

use super::{Emitter, moves};
use crate::code::encode::{self, Group1, Mem, Rm, Shift, op};
use crate::code::x64::{self, Condition};
use crate::lua::allocate::{END_TEMPS, Location, Place, location_of};
use crate::lua::ir::Ref;
use crate::lua::returns::{ReturnCache, TARGET_CODE, TARGET_SIZE};
use crate::lua::snapshot::{Frame, FrameKind};
use dynasmrt::{DynamicLabel, DynasmLabelApi};
use perilune_runtime::lua::layout;

/// Most frames that are pushed in place.
const MAX_PUSHED: usize = 4;
/// Most results that are returned in place.
const MAX_RETURNED: u16 = 4;
/// log2 of the size of a value.
const VALUE_SHIFT: u8 = layout::VALUE_SIZE.trailing_zeros() as u8;
const FRAME_SIZE: i32 = layout::FRAME_SIZE as i32;
const VALUE_SIZE: i32 = layout::VALUE_SIZE as i32;

/// Whether a frame is one that can be pushed in place.
fn is_plain(frame: &Frame) -> bool {
    matches!(frame.kind, FrameKind::Call | FrameKind::TailCall) && frame.return_address != 0
}

/// A field of a frame that lies so many frames below an address.
fn field(end: u8, below: i32, field: usize) -> Mem {
    Mem::at(end, field as i32 - below * FRAME_SIZE)
}

impl Emitter<'_> {
    /// Pushes the frames of the trace's end for good, if there are any, and moves to the base of the innermost one.
    /// Answers the jump that is taken when calls are nested too deeply for another trace.
    pub(super) fn push_frames(&mut self, point: u16) -> Option<DynamicLabel> {
        let snapshot = self.allocation.points[point as usize].snapshot;
        if snapshot >= self.ir.snapshots.len() {
            return None;
        }
        let frames = self.ir.snapshots.frames(self.ir.snapshots.get(snapshot));
        if frames.is_empty() {
            return None;
        }
        let (slow, done) = (self.asm.new_dynamic_label(), self.asm.new_dynamic_label());
        let in_place = !self.around.shows_frames && frames.len() <= MAX_PUSHED && frames.iter().all(is_plain);
        if in_place {
            self.push_in_place(frames, slow);
            x64::jump(self.asm, done);
        }
        self.asm.dynamic_label(slow);
        self.call_frames(self.around.frames.push, point);
        encode::rm(self.asm, op::TEST, x64::RESULT, Rm::Reg(x64::RESULT));
        let no_room = self.asm.new_dynamic_label();
        x64::jump_if(self.asm, Condition::Equal, no_room);
        encode::rm(self.asm, op::MOV, x64::BASE, Rm::Reg(x64::RESULT));
        self.asm.dynamic_label(done);
        Some(no_room)
    }

    /// The frame that the trace was entered in belongs to another function now, called by it.
    pub(super) fn note_tail_call(&mut self) -> Option<DynamicLabel> {
        let [thread, end, _] = END_TEMPS;
        encode::rm(self.asm, op::MOV, thread, Rm::Mem(Mem::at(x64::CONTEXT, layout::STATE_THREAD as i32)));
        encode::rm(self.asm, op::MOV, end, Rm::Mem(Mem::at(thread, layout::THREAD_FRAMES_END as i32)));
        let flags = Rm::Mem(field(end, 1, layout::FRAME_EXTRA).plus(4));
        encode::group1_dword(self.asm, Group1::Or, flags, layout::FRAME_TAIL);
        None
    }

    fn push_in_place(&mut self, frames: &[Frame], slow: DynamicLabel) {
        let (temp, [thread, end, other]) = (x64::RESULT, END_TEMPS);
        let Some(last) = frames.last() else { return };
        let moved = i32::from(last.base) * VALUE_SIZE;
        encode::rm(self.asm, op::MOV, thread, Rm::Mem(Mem::at(x64::CONTEXT, layout::STATE_THREAD as i32)));
        // The trace has made sure of room on the stack; whether there is room for frames is seen here.
        encode::rm(self.asm, op::MOV, end, Rm::Mem(Mem::at(thread, layout::THREAD_FRAMES_END as i32)));
        encode::rm(self.asm, op::LEA, temp, Rm::Mem(Mem::at(end, frames.len() as i32 * FRAME_SIZE)));
        encode::rm(self.asm, op::CMP, temp, Rm::Mem(Mem::at(thread, layout::THREAD_FRAMES_LIMIT as i32)));
        x64::jump_if(self.asm, Condition::Above, slow);
        encode::rm(self.asm, op::MOV_TO, temp, Rm::Mem(Mem::at(thread, layout::THREAD_FRAMES_END as i32)));
        encode::rm(self.asm, op::MOV.dword(), temp, Rm::Mem(field(end, 1, layout::FRAME_BASE)));
        for (below, frame) in (0..).map(|i: i32| -i).zip(frames) {
            encode::mov_imm(self.asm, other, frame.return_address as u64);
            encode::rm(self.asm, op::MOV_TO, other, Rm::Mem(field(end, below + 1, layout::FRAME_PC)));
            encode::rm(self.asm, op::LEA.dword(), other, Rm::Mem(Mem::at(temp, frame.base.into())));
            encode::rm(self.asm, op::MOV_TO.dword(), other, Rm::Mem(field(end, below, layout::FRAME_BASE)));
            encode::mov_dword(self.asm, field(end, below, layout::FRAME_WANTED), frame.wanted.into());
            encode::mov_dword(self.asm, field(end, below, layout::FRAME_EXTRA), frame.varargs.into());
            let flags = if frame.kind.is_tail() { layout::FRAME_TAIL } else { 0 };
            encode::mov_dword(self.asm, field(end, below, layout::FRAME_EXTRA).plus(4), flags);
            encode::mov_dword(self.asm, field(end, below, layout::FRAME_PENDING), 0);
        }
        // Where the innermost one goes on is said when it is left.
        encode::mov_qword(self.asm, field(end, 1 - frames.len() as i32, layout::FRAME_PC), 0);
        encode::group1(self.asm, Group1::Add, Rm::Reg(x64::BASE), moved);
    }

    /// Returns from the frame that the trace was entered in, and goes on where the caller does; or comes out behind that, all
    /// slots stored, if no trace begins there.
    pub(super) fn return_to_caller(&mut self, point: u16, first: u8, count: u16) {
        let slow = self.asm.new_dynamic_label();
        if count <= MAX_RETURNED {
            self.return_in_place(point, first, count, slow);
        }
        self.asm.dynamic_label(slow);
        self.store_slots(point, x64::RESULT);
        encode::rm(self.asm, op::MOV, x64::ARGUMENTS[0], Rm::Reg(x64::CONTEXT));
        encode::mov_imm(self.asm, x64::ARGUMENTS[1], first.into());
        encode::mov_imm(self.asm, x64::ARGUMENTS[2], count.into());
        self.call_address(self.around.frames.leave);
        let nowhere = self.asm.new_dynamic_label();
        encode::rm(self.asm, op::TEST, x64::RESULT, Rm::Reg(x64::RESULT));
        x64::jump_if(self.asm, Condition::Equal, nowhere);
        encode::rm(self.asm, op::MOV, x64::BASE, Rm::Reg(x64::SECOND_RESULT));
        encode::jump(self.asm, Rm::Reg(x64::RESULT));
        self.asm.dynamic_label(nowhere);
    }

    /// Executes a call that switches coroutines, and goes on in what runs then; or comes out behind that, if it was not executed.
    pub(super) fn switch(&mut self, point: u16, (register, arguments, wanted): (u8, u16, i16)) {
        let pc = self.ir.snapshots.get(self.allocation.points[point as usize].snapshot).pc;
        encode::rm(self.asm, op::MOV, x64::ARGUMENTS[0], Rm::Reg(x64::CONTEXT));
        for (argument, value) in [register.into(), arguments.into(), wanted as u32, pc].into_iter().enumerate() {
            encode::mov_imm(self.asm, x64::ARGUMENTS[1 + argument], value.into());
        }
        self.call_address(self.around.frames.switch);
        let (nowhere, declined) = (self.asm.new_dynamic_label(), self.asm.new_dynamic_label());
        encode::rm(self.asm, op::TEST, x64::RESULT, Rm::Reg(x64::RESULT));
        x64::jump_if(self.asm, Condition::Equal, nowhere);
        encode::rm(self.asm, op::MOV, x64::BASE, Rm::Reg(x64::SECOND_RESULT));
        encode::jump(self.asm, Rm::Reg(x64::RESULT));
        self.asm.dynamic_label(nowhere);
        // How it is left otherwise; 0: as traces are whose link is gone.
        encode::rm(self.asm, op::TEST, x64::SECOND_RESULT, Rm::Reg(x64::SECOND_RESULT));
        x64::jump_if(self.asm, Condition::Equal, declined);
        encode::mov_imm(self.asm, x64::RESULT, self.around.number.into());
        encode::shift_imm(self.asm, Shift::Shl, x64::SECOND_RESULT, 32);
        encode::rm(self.asm, op::OR, x64::RESULT, Rm::Reg(x64::SECOND_RESULT));
        x64::jump_to(self.asm, self.around.trampoline.leave());
        self.asm.dynamic_label(declined);
    }

    /// The usual return: of as many values as are wanted, from a function that was simply called, to a place that is in the
    /// cache.
    fn return_in_place(&mut self, point: u16, first: u8, count: u16, slow: DynamicLabel) {
        let (temp, [thread, end, target]) = (x64::RESULT, END_TEMPS);
        encode::rm(self.asm, op::MOV, thread, Rm::Mem(Mem::at(x64::CONTEXT, layout::STATE_THREAD as i32)));
        encode::rm(self.asm, op::MOV, end, Rm::Mem(Mem::at(thread, layout::THREAD_FRAMES_END as i32)));
        let extra = field(end, 1, layout::FRAME_EXTRA);
        encode::group1_dword(self.asm, Group1::Cmp, Rm::Mem(extra), 0);
        x64::jump_if(self.asm, Condition::NotEqual, slow);
        encode::test_dword(self.asm, extra.plus(4), !layout::FRAME_TAIL);
        x64::jump_if(self.asm, Condition::NotEqual, slow);
        encode::group1_dword(self.asm, Group1::Cmp, Rm::Mem(field(end, 1, layout::FRAME_WANTED)), count.into());
        x64::jump_if(self.asm, Condition::NotEqual, slow);
        encode::rm(self.asm, op::MOV, temp, Rm::Mem(field(end, 2, layout::FRAME_PC)));
        encode::rm(self.asm, op::MOV.dword(), target, Rm::Reg(temp));
        encode::shift_imm(self.asm, Shift::Shl, target, ReturnCache::SHIFT);
        encode::group1(self.asm, Group1::And, Rm::Reg(target), ReturnCache::MASK);
        let cache = self.pooled(self.around.returns as u64);
        encode::rm(self.asm, op::ADD, target, cache);
        encode::rm(self.asm, op::CMP, temp, Rm::Mem(Mem::at(target, 0)));
        x64::jump_if(self.asm, Condition::NotEqual, slow);
        encode::rm(self.asm, op::MOV.dword(), temp, Rm::Mem(field(end, 2, layout::FRAME_BASE)));
        encode::group1(self.asm, Group1::Sub, Rm::Reg(end), FRAME_SIZE);
        encode::rm(self.asm, op::MOV_TO, end, Rm::Mem(Mem::at(thread, layout::THREAD_FRAMES_END as i32)));
        encode::shift_imm(self.asm, Shift::Shl, temp, VALUE_SHIFT);
        encode::rm(self.asm, op::ADD, temp, Rm::Mem(Mem::at(thread, layout::THREAD_STACK as i32)));
        for i in 0..i32::from(count) {
            self.result(point, i32::from(first) + i, i - 1, end);
        }
        encode::rm(self.asm, op::MOV, x64::BASE, Rm::Reg(temp));
        encode::jump(self.asm, Rm::Mem(Mem::at(target, TARGET_CODE as i32)));
    }

    /// Copies the value of a slot, which may not have been stored, to another one further down.
    fn result(&mut self, point: u16, from: i32, to: i32, temp: u8) {
        let point = &self.allocation.points[point as usize];
        let slots = self.ir.snapshots.slots(self.ir.snapshots.get(point.snapshot));
        let to = Mem::at(x64::BASE, to * VALUE_SIZE);
        let Some(slot) = slots.iter().find(|s| i32::from(s.slot) == from) else {
            let from = Mem::at(x64::BASE, from * VALUE_SIZE);
            for (load, store, at) in [
                (op::MOV, op::MOV_TO, layout::VALUE_PAYLOAD),
                (op::MOVZX_BYTE.dword(), op::MOV_TO_BYTE, layout::VALUE_TAG),
            ] {
                encode::rm(self.asm, load, temp, Rm::Mem(from.plus(at as i32)));
                encode::rm(self.asm, store, temp, Rm::Mem(to.plus(at as i32)));
            }
            return;
        };
        let location = location_of(&point.locations, slot.value);
        self.store_located(to, slot.value, location, temp);
    }

    /// Stores a value, wherever it is, in a slot.
    pub(super) fn store_located(&mut self, to: Mem, value: Ref, location: Option<Location>, temp: u8) {
        match location {
            Some(Location::Register(reg)) => self.store_reg(to, reg),
            Some(Location::Spill(spilled)) => {
                encode::rm(self.asm, op::MOV, temp, moves::spill(spilled));
                encode::rm(self.asm, op::MOV_TO, temp, Rm::Mem(to));
            }
            None => match self.immediate(Place::Const(value)) {
                Some(imm) => encode::mov_qword(self.asm, to, imm),
                None => {
                    encode::mov_imm(self.asm, temp, self.payload(value));
                    encode::rm(self.asm, op::MOV_TO, temp, Rm::Mem(to));
                }
            },
        }
        self.store_tag(to, self.ir.ty(value));
    }
}

const _: () = assert!(TARGET_SIZE == 4 << ReturnCache::SHIFT);
