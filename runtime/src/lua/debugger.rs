//! What a debugger needs to know to read a state's memory: one exported descriptor with the list of live states, and names and
//! values of offsets. The gdb script (`unwind/src/perilune_gdb.py`) finds it by its symbol, in stripped programs too, and calls
//! nothing.

use std::cell::RefCell;
use std::ffi::CStr;
use std::mem::offset_of;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use super::bytecode::Word;
use super::frames::Frames;
use super::function::{Cell, LuaFunction, NativeFunction, Proto};
use super::heap::Header;
use super::layout;
use super::shape::Shape;
use super::state::State;
use super::table::{HashPart, Node, Table};
use super::thread::{Frame, Thread};

/// A named number.
#[repr(C)]
pub struct Fact {
    name: *const i8,
    value: usize,
}

// SAFETY: the names are static.
unsafe impl Send for Fact {}

/// What debuggers find.
#[repr(C)]
pub struct Descriptor {
    /// The version of this structure.
    version: usize,
    /// Number of facts.
    count: AtomicUsize,
    facts: AtomicPtr<Fact>,
    /// Number of live states.
    state_count: AtomicUsize,
    /// Their addresses.
    states: AtomicPtr<usize>,
}

/// The descriptor, by the name that debuggers look for.
#[unsafe(no_mangle)]
#[used]
pub static PERILUNE_DESCRIPTOR: Descriptor = Descriptor {
    version: 1,
    count: AtomicUsize::new(0),
    facts: AtomicPtr::new(ptr::null_mut()),
    state_count: AtomicUsize::new(0),
    states: AtomicPtr::new(ptr::null_mut()),
};

/// Owns what the descriptor points to.
static FACTS: Mutex<Vec<Fact>> = Mutex::new(Vec::new());
static STATES: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// Adds facts. Names of facts that stand already are not added.
pub fn describe(facts: &[(&'static CStr, usize)]) {
    let mut known = FACTS.lock().unwrap_or_else(PoisonError::into_inner);
    for &(name, value) in facts {
        if !known.iter().any(|fact| ptr::eq(fact.name, name.as_ptr())) {
            known.push(Fact { name: name.as_ptr().cast(), value });
        }
    }
    PERILUNE_DESCRIPTOR.count.store(known.len(), Ordering::Relaxed);
    PERILUNE_DESCRIPTOR.facts.store(known.as_mut_ptr(), Ordering::Relaxed);
}

/// Puts a state on the list.
pub(super) fn add(state: *const State) {
    static ONCE: Once = Once::new();
    ONCE.call_once(describe_all);
    change(|states| states.push(state.addr()));
}

/// Takes a state off the list.
pub(super) fn remove(state: *const State) {
    change(|states| states.retain(|known| *known != state.addr()));
}

fn change(f: impl FnOnce(&mut Vec<usize>)) {
    let mut states = STATES.lock().unwrap_or_else(PoisonError::into_inner);
    f(&mut states);
    PERILUNE_DESCRIPTOR.state_count.store(states.len(), Ordering::Relaxed);
    PERILUNE_DESCRIPTOR.states.store(states.as_mut_ptr(), Ordering::Relaxed);
}

/// Where a word lies in a value, found by its content: for types whose layout nobody promises.
fn find<T>(value: &T, word: usize) -> usize {
    let words = ptr::from_ref(value).cast::<usize>();
    // SAFETY: all words of the value are read, none behind it; the types asked about have no padding.
    let place = (0..size_of::<T>() / size_of::<usize>()).find(|n| unsafe { *words.add(*n) } == word);
    place.unwrap_or(0) * size_of::<usize>()
}

/// Where 32 bits lie in a value, found by their content.
pub fn find_word<T: Copy>(value: &T, word: u32) -> usize {
    let words = ptr::from_ref(value).cast::<std::mem::MaybeUninit<u32>>();
    let place = (0..size_of::<T>() / 4).find(|n| {
        // SAFETY: within the value; padding that was never written may be read as such, and is compared only if it is no padding:
        // the types asked about have none in front of what is looked for.
        unsafe { (*words.add(*n)).assume_init() == word }
    });
    place.unwrap_or(0) * 4
}

fn describe_all() {
    let mut sample: Vec<u64> = Vec::with_capacity(7);
    sample.extend([0, 0, 0]);
    let number: std::rc::Rc<[u8]> = (&[0u8; 5][..]).into();
    // A fat pointer to the counts, behind which the bytes lie.
    let bytes = number.as_ptr().addr();
    // SAFETY: an `Rc` of a slice is a pointer and a length.
    let words: [usize; 2] = unsafe { std::mem::transmute_copy(&number) };
    let counted = usize::from(words[0] == 5);
    let keys = Shape::keys_offset();
    describe(&[
        (c"vec.pointer", find(&sample, sample.as_ptr().addr())),
        (c"vec.length", find(&sample, 3)),
        (c"shared.pointer", counted * 8),
        (c"shared.length", 8 - counted * 8),
        (c"shared.bytes", bytes - words[counted]),
        (c"state.thread", offset_of!(State, thread)),
        (c"state.globals", offset_of!(State, globals)),
        (c"state.tier", offset_of!(State, tier)),
        (c"thread.stack", layout::THREAD_STACK),
        (c"thread.top", layout::THREAD_TOP),
        (c"thread.frames", Thread::FRAMES_OFFSET + Frames::START_OFFSET),
        (c"thread.frames.end", layout::THREAD_FRAMES_END),
        (c"thread.resumer", offset_of!(Thread, resumer)),
        (c"frame.size", size_of::<Frame>()),
        (c"frame.pc", offset_of!(Frame, pc)),
        (c"frame.base", offset_of!(Frame, base)),
        (c"frame.kind", offset_of!(Frame, kind)),
        (c"frame.flags", offset_of!(Frame, flags)),
        (c"word.size", size_of::<Word>()),
        (c"header.detail", offset_of!(Header, detail)),
        (c"header.flags", offset_of!(Header, flags)),
        (c"string.length", layout::STRING_LEN),
        (c"string.data", layout::STRING_DATA),
        (c"table.array", layout::TABLE_ARRAY),
        (c"table.length", layout::TABLE_LEN),
        (c"table.capacity", layout::TABLE_CAPACITY),
        (c"table.shape", layout::TABLE_SHAPE),
        (c"table.slots", layout::TABLE_SLOTS),
        (c"table.hash", layout::TABLE_HASH),
        (c"table.meta", offset_of!(Table, meta)),
        (c"hash.size", size_of::<HashPart>()),
        (c"hash.mask", HashPart::MASK_OFFSET),
        (c"node.size", size_of::<Node>()),
        (c"node.value", offset_of!(Node, value)),
        (c"shape.count", Shape::COUNT_OFFSET),
        (c"shape.keys", Shape::KEYS_OFFSET),
        (c"keys.list", keys),
        (c"function.prototype", LuaFunction::PROTO_OFFSET),
        (c"native.function", NativeFunction::FUNCTION_OFFSET),
        (c"cell.value", Cell::VALUE_OFFSET),
        (c"prototype.code", Proto::CODE_OFFSET),
        (c"prototype.parameters", offset_of!(Proto, parameters)),
        (c"prototype.lines", offset_of!(Proto, lines)),
        (c"prototype.locals", offset_of!(Proto, locals)),
        (c"prototype.source", offset_of!(Proto, source)),
        (c"prototype.name", offset_of!(Proto, name)),
        (c"prototype.line", offset_of!(Proto, line_defined)),
        (c"local.size", size_of::<super::prototype::LocalVariable>()),
        (c"local.name", offset_of!(super::prototype::LocalVariable, name)),
        (c"local.register", offset_of!(super::prototype::LocalVariable, register)),
        (c"local.in_cell", offset_of!(super::prototype::LocalVariable, in_cell)),
        (c"local.start", offset_of!(super::prototype::LocalVariable, start)),
        (c"local.end", offset_of!(super::prototype::LocalVariable, end)),
    ]);
}

/// The distance from what an `Rc` points to in its own word to a field of its content.
pub(super) fn behind_rc<T, F>(rc: &std::rc::Rc<RefCell<T>>, field: impl FnOnce(&T) -> *const F) -> usize {
    // SAFETY: an `Rc` of a sized type is one pointer.
    let word: usize = unsafe { std::mem::transmute_copy(rc) };
    field(&rc.borrow()).addr() - word
}
