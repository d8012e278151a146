//! Where a compiler plugs into the interpreter.
//!
//! The interpreter asks a [`Tier`] when a counter has run out and tells it what it must know; it knows nothing else of
//! compilers. Machine code and its helpers get `*mut State`; the interpreter holds no reference, cached base or pc across
//! an entry into compiled code, so that compiled code may call a helper that runs the interpreter, and from there other
//! compiled code.

use std::ptr;

use super::bytecode::Word;
use super::function::Proto;
use super::heap::{Gc, Roots};
use super::state::State;

/// What got hot.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Site {
    /// A loop: its back edge, the index of the instruction in the code.
    Loop(u32),
    /// A function's entry.
    Function,
}

/// What the interpreter is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Go on interpreting.
    Continue,
    /// Go on in the recording loop, which calls [`Tier::record`] before each instruction.
    Record,
    /// Enter the compiled code that the site now has.
    Enter,
}

/// How compiled code ended. The Lua stack and the frames stand as the interpreter wants them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Go on interpreting at the top frame's saved pc.
    Continue,
    /// Go on in the recording loop at the top frame's saved pc: a side exit got hot.
    Record,
    /// An error is pending; the top frame's saved pc stands where it was raised.
    Raised,
}

/// A compiler.
pub trait Tier: std::any::Any {
    /// A site's counter ran out. The frame's pc is saved. Sets the site's counter anew.
    fn hot(&mut self, state: *mut State, proto: Gc<Proto>, site: Site) -> Answer;

    /// The recording loop is about to execute the instruction at `pc` in the top frame. Answers `Record` to go on,
    /// `Continue` to leave the recording loop.
    fn record(&mut self, state: *mut State, pc: *const Word) -> Answer;

    /// Recording cannot go on: an error, a hook, or a nested loop of the interpreter.
    fn abort(&mut self, state: *mut State, reason: &'static str);

    /// An error is on its way while recording. Answers whether the recording has followed it to where it ends; if not, it is to be
    /// given up.
    fn follows_error(&mut self) -> bool;

    /// The entry point of a trace; the interpreter calls it, with the borrow of the tier ended.
    fn entry(&self, trace: u32) -> Entry;

    /// How Lua code is run line by line, for a debugger; none if it cannot be.
    fn line_loop(&mut self, state: *mut State) -> Option<LineLoop>;

    /// Keeps what recordings under way, and compiled code that is running, refer to. Prototypes keep what their own
    /// compiled code refers to.
    fn roots(&self, roots: &mut Roots);

    /// Prototypes are gone; they were watched under these numbers. Answers how many iterations make a loop of a new one hot
    /// from now on.
    fn prototypes_died(&mut self, watched: Vec<u32>) -> u32;

    /// Bytes of memory in use.
    fn memory(&self) -> usize;
}

/// Runs a trace: `(state, trace)`.
pub type Entry = unsafe fn(*mut State, u32) -> Outcome;

/// Runs Lua code line by line, with the second argument as the interpreter, until that says that it has ended.
pub type LineLoop = unsafe fn(*mut State, Stepper<'_>);

/// Runs the interpreter up to the next event, or until another frame is on top than the one that is shown. Given how compiled code was
/// left if it was just that. Answers whether the call goes on that it was entered for.
pub type Stepper<'a> = &'a mut dyn FnMut(*mut State, Option<Outcome>) -> bool;

/// What the interpreter came to in the top frame when it ran a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A line begins.
    Line,
    /// A trace is to be entered.
    Enter(u32),
}

/// For a debugger that is to see each line of interpreted code.
#[derive(Clone, Copy, Debug)]
pub struct Lines {
    /// The interpreter stops at each line. The tier may switch it on when it is asked something.
    pub on: bool,
    /// The frame whose lines are shown.
    pub shown: Shown,
    /// What is to be shown next.
    pub event: Option<Event>,
}

/// A frame whose lines are shown to a debugger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shown {
    /// The address of its coroutine.
    pub thread: usize,
    /// The number of the coroutine's frames up to it.
    pub depth: usize,
    /// The instruction that was executed last in it.
    pub last: *const Word,
    /// The instruction whose line the debugger has been told of, if it was not executed yet.
    pub told: *const Word,
}

impl Default for Lines {
    fn default() -> Lines {
        Lines { on: false, shown: Shown { thread: 0, depth: 0, last: ptr::null(), told: ptr::null() }, event: None }
    }
}
