//! Where the fields lie that compiled code reads and writes. For the compiler only.

#![forbid(unsafe_code)]

use std::mem::offset_of;

use super::frames::Frames;
use super::function::{Cell, InlineCache, LuaFunction, NativeFunction, Proto};
use super::heap::{FreeRun, Gc, Header, Heap, Kind};
use super::state::State;
use super::string::Str;
use super::table::{HashPart, Table};
use super::thread::{Frame, FrameKind, Thread, frame_flag};
use super::userdata::Userdata;
use super::value::Value;

/// Bytes of a value.
pub const VALUE_SIZE: usize = size_of::<Value>();
/// The payload of a value.
pub const VALUE_PAYLOAD: usize = 0;
/// The tag byte of a value.
pub const VALUE_TAG: usize = 8;
const _: () = assert!(VALUE_SIZE == 16);

/// The kind byte of an object.
pub const HEADER_KIND: usize = offset_of!(Header, kind);
/// The color byte of an object, which the write barrier compares with [`STATE_BARRIER_COLOR`].
pub const HEADER_COLOR: usize = offset_of!(Header, color);
/// A table: the array's kind, a byte. A string: 1 if short.
pub const HEADER_DETAIL: usize = offset_of!(Header, detail);
/// A table's flags, a byte.
pub const HEADER_FLAGS: usize = offset_of!(Header, flags);
/// A table: its number of slots in the lower 16 bits. A string: its hash.
pub const HEADER_EXTRA: usize = offset_of!(Header, extra);

/// The array's buffer: payloads, and behind `capacity` of these the tags.
pub const TABLE_ARRAY: usize = offset_of!(Table, array);
/// The array's length, 32 bits.
pub const TABLE_LEN: usize = offset_of!(Table, len);
/// The array's capacity, 32 bits.
pub const TABLE_CAPACITY: usize = offset_of!(Table, capacity);
/// The shape.
pub const TABLE_SHAPE: usize = offset_of!(Table, shape);
/// The slots: a pointer to values.
pub const TABLE_SLOTS: usize = offset_of!(Table, slots);
/// The hash part, or null.
pub const TABLE_HASH: usize = offset_of!(Table, hash);
/// The mask of a hash part, 32 bits: one less than the number of its nodes.
pub const HASH_MASK: usize = HashPart::MASK_OFFSET;
/// The metatable, or null.
pub const TABLE_META: usize = offset_of!(Table, meta);

/// Bytes of a table; behind it lie its slots, if they are in its own cell.
pub const TABLE_SIZE: usize = size_of::<Table>();
/// The first four bytes of a new table's header.
pub const NEW_TABLE: i32 = Kind::Table as i32;
// A new table is all zeros but for its header, shape and slots.
const _: () = assert!(HEADER_KIND == 0 && HEADER_EXTRA == 4 && TABLE_ARRAY == 8);
const _: () =
    assert!(TABLE_LEN == TABLE_ARRAY + 8 && TABLE_CAPACITY == TABLE_LEN + 4 && TABLE_SHAPE == TABLE_ARRAY + 16);
const _: () = assert!(TABLE_META == TABLE_HASH + 8 && TABLE_SIZE == TABLE_META + 8 && TABLE_SLOTS == TABLE_SHAPE + 8);
const _: () = assert!(super::value::tag::NIL == 0);

/// Number of bytes of a string, 64 bits.
pub const STRING_LEN: usize = Str::LEN_OFFSET;
/// Pointer to a string's bytes.
pub const STRING_DATA: usize = Str::DATA_OFFSET;

/// The prototype of a Lua function.
pub const FUNCTION_PROTO: usize = LuaFunction::PROTO_OFFSET;
/// The number of a Lua function's upvalues, 32 bits.
pub const FUNCTION_COUNT: usize = LuaFunction::COUNT_OFFSET;
/// The first four bytes of a new Lua function's header. The other four are zeros.
pub const NEW_FUNCTION: i32 = Kind::LuaFunction as i32;
/// The first of a Lua function's cells: pointers.
pub const FUNCTION_CELLS: usize = LuaFunction::CELLS_OFFSET;
/// The Rust function of a native function.
pub const NATIVE_FUNCTION: usize = NativeFunction::FUNCTION_OFFSET;
/// Bytes of a cell.
pub const CELL_SIZE: usize = size_of::<Cell>();
/// The first four bytes of a new cell's header. The other four are zeros.
pub const NEW_CELL: i32 = Kind::Cell as i32;
/// The value in a cell.
pub const CELL_VALUE: usize = Cell::VALUE_OFFSET;

/// The code of a prototype.
pub const PROTO_CODE: usize = Proto::CODE_OFFSET;
/// The constants of a prototype.
pub const PROTO_CONSTANTS: usize = Proto::CONSTANTS_OFFSET;
/// Bytes of an inline cache.
pub const CACHE_SIZE: usize = size_of::<InlineCache>();

/// The stack of a thread.
pub const THREAD_STACK: usize = Thread::STACK_OFFSET;
/// Behind the last slot of a thread's stack.
pub const THREAD_LIMIT: usize = Thread::LIMIT_OFFSET;
/// The first free slot of a thread, 32 bits.
pub const THREAD_TOP: usize = Thread::TOP_OFFSET;

/// Behind the last call frame of a thread.
pub const THREAD_FRAMES_END: usize = Thread::FRAMES_OFFSET + Frames::END_OFFSET;
/// Behind the memory that a thread has for call frames.
pub const THREAD_FRAMES_LIMIT: usize = Thread::FRAMES_OFFSET + Frames::LIMIT_OFFSET;
/// Bytes of a call frame.
pub const FRAME_SIZE: usize = size_of::<Frame>();
/// Where a call frame's function goes on.
pub const FRAME_PC: usize = offset_of!(Frame, pc);
/// The first slot of a call frame, 32 bits.
pub const FRAME_BASE: usize = offset_of!(Frame, base);
/// How many results a call frame's caller wants, 32 bits; behind it lies [`FRAME_EXTRA`].
pub const FRAME_WANTED: usize = offset_of!(Frame, wanted);
/// The number of extra arguments of a call frame, 32 bits; behind it lie, in this order, kind and flags, bytes, and detail, 16 bits.
/// All that is 0 for a Lua function without extra arguments that was just called by another one.
pub const FRAME_EXTRA: usize = offset_of!(Frame, extra);
/// Behind [`FRAME_EXTRA`]: the four bytes of a Lua function that was called in place of its caller.
pub const FRAME_TAIL: i32 = (frame_flag::TAIL as i32) << 8;
/// How many results of a call frame's wait to be returned, 32 bits.
pub const FRAME_PENDING: usize = offset_of!(Frame, pending);
const _: () = assert!(FRAME_SIZE == 32 && FRAME_EXTRA == FRAME_WANTED + 4 && FRAME_PENDING == FRAME_EXTRA + 8);
const _: () = assert!(offset_of!(Frame, kind) == FRAME_EXTRA + 4 && offset_of!(Frame, flags) == FRAME_EXTRA + 5);
const _: () = assert!(FrameKind::Lua as u8 == 0);

/// The running thread.
pub const STATE_THREAD: usize = offset_of!(State, thread);
/// What compiled code has executed, 64 bits: see [`State::work`].
pub const STATE_WORK: usize = offset_of!(State, work);
/// The collector's debt, signed 64 bits: a safepoint is due when it is positive.
pub const STATE_DEBT: usize = offset_of!(State, heap) + offset_of!(Heap, debt);
/// The barrier's color, a byte.
pub const STATE_BARRIER_COLOR: usize = offset_of!(State, heap) + offset_of!(Heap, barrier_color);
/// The metatables of all values of a type, or null, one type behind the other.
pub const STATE_TYPE_METAS: usize = offset_of!(State, type_metas);
const _: () = assert!(size_of::<Option<Gc<Table>>>() == 8);
/// The metatable of a userdata, or null.
pub const USERDATA_META: usize = offset_of!(Userdata, meta);
/// The free runs: `start` and `end` for each class of sizes.
pub const STATE_RUNS: usize = offset_of!(State, heap) + offset_of!(Heap, runs);
/// Bytes of a free run's entry.
pub const RUN_SIZE: usize = size_of::<FreeRun>();
/// A free run's next cell.
pub const RUN_START: usize = offset_of!(FreeRun, start);
/// The end of a free run.
pub const RUN_END: usize = offset_of!(FreeRun, end);
