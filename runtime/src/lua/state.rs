//! A Lua state: the heap, the coroutine that runs, the globals, and what an error left behind.
//!
//! `State` is data; running code is the interpreter's business, which also supplies the library.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::function::{NativeFn, Proto, ProtoParts, Special};
use super::heap::{Gc, Heap, OutOfMemory, Roots};
use super::prototype::{Constant, Prototype};
use super::string::{MAX_SHORT, Str};
use super::table::Table;
use super::thread::{MAX_STACK, NATIVE_STACK, Status, Thread};
use super::tier::{Lines, Tier};
use super::value::{Value, tag};

/// An error is on its way; its value lies in the state ([`State::take_error`]). A memory error needs no value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Raised;

impl From<OutOfMemory> for Raised {
    fn from(_: OutOfMemory) -> Raised {
        Raised
    }
}

/// A native function's arguments: where they lie on the running thread's stack.
#[derive(Clone, Copy, Debug)]
pub struct CallFrame {
    /// The first argument's slot.
    pub base: u32,
    /// Number of arguments.
    pub count: u32,
}

/// Where calls that are nested as [`State::nesting`] counts become an error (PUC's `LUAI_MAXCCALLS`).
pub const MAX_NESTING: u32 = 200;

/// Bits of the interrupt word.
pub mod interrupt {
    /// The user wants the program to stop (Ctrl-C).
    pub const STOP: u32 = 1;
    /// The profiler wants to look at the stack.
    pub const SAMPLE: u32 = 2;
    /// A debugger has come, and the compiler is to notice it.
    pub const DEBUGGER: u32 = 4;
}

/// What a state may be at, for the profiler.
pub mod activity {
    /// The interpreter, or a function of the library.
    pub const INTERPRETER: u32 = 0;
    /// Compiled code.
    pub const COMPILED: u32 = 1;
    /// The collector.
    pub const COLLECTOR: u32 = 2;
    /// The compiler.
    pub const COMPILER: u32 = 3;
    /// How many there are.
    pub const COUNT: usize = 4;
    /// Their names.
    pub const NAMES: [&str; COUNT] = ["interpreter", "compiled code", "collector", "compiler"];
}

/// What is called when the profiler wants a sample.
pub type OnSample = Box<dyn FnMut(&mut State)>;

/// A Lua state. Lies in a box: compiled code holds its address.
#[repr(C)]
pub struct State {
    /// The heap.
    pub heap: Heap,
    /// The coroutine that runs.
    pub thread: Gc<Thread>,
    /// The error on its way, if `has_error`.
    error: Value,
    has_error: bool,
    /// An error handler has seen the error on its way.
    pub handled: bool,
    /// The recording loop runs.
    pub recording: bool,
    /// The recording loop waits for a native function that calls back.
    pub recording_waits: bool,
    /// Calls inside of one another for which PUC Lua needs native stack, so that it allows some 200 only: by native
    /// functions, and of the frames with one of the flags `FINISH` and `HANDLER`, those of resuming coroutines included.
    pub nesting: u32,
    /// Not 0: somebody wants the loop's attention. Loops look at it when a counter runs out, compiled ones at each back
    /// edge.
    pub interrupt: Arc<AtomicU32>,
    /// No debugger is to be noticed any more: one was met, or nobody tells debuggers of compiled code.
    pub debugger_met: Arc<AtomicBool>,
    /// What it is at, of [`activity`].
    pub activity: Arc<AtomicU32>,
    /// The profiler, called at a safepoint when the interrupt word asks for it.
    pub on_sample: Option<OnSample>,
    /// Counts changes of running functions' variables from outside (`debug.setlocal`). Compiled code that has called a
    /// native function compares.
    pub outside_changes: u32,
    /// The main coroutine.
    pub main: Gc<Thread>,
    /// The globals.
    pub globals: Gc<Table>,
    /// A table for native functions' own use.
    pub registry: Gc<Table>,
    /// Metatables of the types other than tables and userdata, by tag.
    pub type_metas: [Option<Gc<Table>>; 12],
    /// The compiler, if there is one.
    pub tier: Option<Box<dyn Tier>>,
    /// What compiled code's exits and helpers find their owner by. The compiler's business; null without one.
    pub compiled: *mut (),
    /// Whether and where lines are shown to a debugger.
    pub lines: Lines,
    /// Bytecode instructions that were executed in compiled code since it was entered from the interpreter, up to where the last
    /// trace begins that leads on: iterations of loops are not counted.
    pub work: u64,
    /// Hot counters start from this; `u32::MAX` without a compiler.
    pub hot_loop: u32,
    /// As `hot_loop`, for functions' entries.
    pub hot_function: u32,
    /// Values kept for Rust code outside; a free place holds the tag of dead keys.
    pub handles: Vec<Value>,
    /// Warnings are on (`warn("@on")`).
    pub warnings: bool,
    /// A finalizer runs: no other is started meanwhile.
    pub in_finalizer: bool,
    /// A native function runs for which no frames stand: nothing may call back or collect; that fails.
    pub bare: bool,
    /// Test mode: move the stack at every call.
    pub move_stacks: bool,
    /// What compiled code's helpers answer beside their result. Not kept alive.
    pub scratch: [Value; 4],
    /// For building strings.
    pub buffer: Vec<u8>,
    /// Whatever the interpreter's library keeps for itself.
    pub library: Option<Box<dyn std::any::Any>>,
}

impl State {
    /// A state without any library.
    pub fn new() -> Box<State> {
        let mut heap = Heap::new();
        let fresh = "a new heap has room for the state's own objects";
        let main = heap.thread().expect(fresh);
        main.status.set(Status::Running);
        let globals = heap.table(0, 0).expect(fresh);
        globals.expect_names();
        let registry = heap.table(0, 0).expect(fresh);
        let state = Box::new(State {
            heap,
            thread: main,
            error: Value::NIL,
            has_error: false,
            handled: false,
            recording: false,
            recording_waits: false,
            // The program's own call of its main function.
            nesting: 1,
            interrupt: Arc::default(),
            debugger_met: Arc::new(true.into()),
            activity: Arc::default(),
            on_sample: None,
            outside_changes: 0,
            main,
            globals,
            registry,
            type_metas: [None; 12],
            tier: None,
            compiled: std::ptr::null_mut(),
            lines: Lines::default(),
            work: 0,
            hot_loop: 1 << 20,
            hot_function: 1 << 20,
            handles: Vec::new(),
            warnings: false,
            in_finalizer: false,
            bare: false,
            move_stacks: false,
            scratch: [Value::NIL; 4],
            buffer: Vec::new(),
            library: None,
        });
        super::debugger::add(&raw const *state);
        state
    }

    /// What the collector starts from.
    fn roots(&self, roots: &mut Roots) {
        roots.object(self.thread);
        roots.object(self.main);
        roots.object(self.globals);
        roots.object(self.registry);
        self.type_metas.iter().flatten().for_each(|m| roots.object(*m));
        roots.value(self.error);
        self.handles.iter().for_each(|v| roots.value(*v));
        if let Some(tier) = &self.tier {
            tier.roots(roots);
        }
    }

    fn with_heap<R>(&mut self, f: impl FnOnce(&mut Heap, &dyn Fn(&mut Roots)) -> R) -> R {
        let this: *const State = self;
        let doing = self.begin(activity::COLLECTOR);
        // SAFETY: the roots are read while the heap works; they are other fields than the heap, which `roots` leaves alone.
        let roots = move |roots: &mut Roots| unsafe { (*this).roots(roots) };
        let result = f(&mut self.heap, &roots);
        self.begin(doing);
        if !self.heap.dead_prototypes.is_empty()
            && let Some(tier) = &mut self.tier
        {
            self.hot_loop = tier.prototypes_died(std::mem::take(&mut self.heap.dead_prototypes));
        }
        result
    }

    /// Notes what the state is at from now on. Answers what it was at.
    #[inline]
    pub fn begin(&self, doing: u32) -> u32 {
        // Only this thread writes.
        let before = self.activity.load(Ordering::Relaxed);
        self.activity.store(doing, Ordering::Relaxed);
        before
    }

    /// Lets the profiler take a sample.
    #[cold]
    pub fn sample(&mut self) {
        self.interrupt.fetch_and(!interrupt::SAMPLE, Ordering::Relaxed);
        if let Some(mut on_sample) = self.on_sample.take() {
            on_sample(self);
            self.on_sample = Some(on_sample);
        }
    }

    /// A safepoint's step of the collector, when the debt is positive. Finalizers are left pending.
    #[cold]
    #[inline(never)]
    pub fn collect_step(&mut self) -> bool {
        self.with_heap(|heap, roots| heap.step(roots))
    }

    /// A step that the program asks for; answers whether it finished a cycle.
    pub fn collect_explicit_step(&mut self, bytes: usize) -> bool {
        self.with_heap(|heap, roots| heap.explicit_step(roots, bytes))
    }

    /// A whole cycle of the collector.
    pub fn collect_all(&mut self) {
        self.with_heap(|heap, roots| heap.full(roots));
    }

    // ---- errors

    /// Sets the error on its way.
    pub fn raise(&mut self, error: Value) -> Raised {
        self.error = error;
        self.has_error = true;
        self.handled = false;
        Raised
    }

    /// Is there an error with a value on its way? Otherwise it is the memory error.
    pub fn has_error(&self) -> bool {
        self.has_error
    }

    /// The error that is on its way, unless that is the memory error.
    pub fn pending_error(&self) -> Option<Value> {
        self.has_error.then_some(self.error)
    }

    /// Sets an error with this message, as it stands.
    pub fn raise_text(&mut self, message: &[u8]) -> Raised {
        match self.heap.string(message) {
            Ok(s) => self.raise(Value::from(s)),
            Err(OutOfMemory) => Raised,
        }
    }

    /// Takes the error that was on its way.
    pub fn take_error(&mut self) -> Value {
        if std::mem::replace(&mut self.has_error, false) {
            std::mem::replace(&mut self.error, Value::NIL)
        } else {
            Value::from(self.heap.names.memory_error())
        }
    }

    // ---- the running thread's stack

    /// The slot of the running thread.
    #[inline(always)]
    pub fn slot(&self, index: usize) -> Value {
        self.thread.slot(index)
    }

    /// Writes a slot of the running thread.
    #[inline(always)]
    pub fn set_slot(&mut self, index: usize, value: Value) {
        self.thread.set_slot(index, value);
    }

    /// The first free slot.
    #[inline(always)]
    pub fn top(&self) -> usize {
        self.thread.top.get() as usize
    }

    /// Sets the first free slot.
    #[inline(always)]
    pub fn set_top(&mut self, top: usize) {
        self.thread.top.set(top as u32);
    }

    /// Makes sure that `extra` slots above the top exist. The stack may move.
    #[inline]
    pub fn check_stack(&mut self, extra: usize) -> Result<(), Raised> {
        if self.top() + extra <= self.thread.size() { Ok(()) } else { self.grow_stack(extra) }
    }

    #[cold]
    #[inline(never)]
    fn grow_stack(&mut self, extra: usize) -> Result<(), Raised> {
        let wanted = self.top() + extra;
        let thread = self.thread;
        if wanted > MAX_STACK {
            // Handlers of the overflow get some more room.
            if thread.size() > MAX_STACK {
                if wanted <= thread.size() {
                    return Ok(());
                }
                return Err(self.raise_text(b"error in error handling"));
            }
            thread.resize(&mut self.heap, MAX_STACK + super::thread::EXTRA_STACK)?;
            return Err(self.raise_text(b"stack overflow"));
        }
        Ok(thread.resize(&mut self.heap, wanted + NATIVE_STACK)?)
    }

    /// Pushes a value. Native functions may push [`NATIVE_STACK`] values without asking; the stack grows beyond that
    /// as long as it may.
    #[inline]
    pub fn push(&mut self, value: Value) -> Result<(), Raised> {
        self.check_stack(1)?;
        let top = self.top();
        self.set_slot(top, value);
        self.set_top(top + 1);
        Ok(())
    }

    /// A native function's argument, counted from 0; nil if there is none.
    #[inline]
    pub fn arg(&self, frame: CallFrame, index: usize) -> Value {
        if index < frame.count as usize { self.slot(frame.base as usize + index) } else { Value::NIL }
    }

    // ---- making things

    /// A string.
    pub fn string(&mut self, bytes: &[u8]) -> Result<Gc<Str>, Raised> {
        Ok(self.heap.string(bytes)?)
    }

    /// Sets a native function as a field of a table.
    pub fn set_native(
        &mut self,
        table: Gc<Table>,
        name: &str,
        function: NativeFn,
        special: Special,
    ) -> Result<(), Raised> {
        let key = self.heap.string(name.as_bytes())?;
        let f = self.heap.native(function, special, &[])?;
        Ok(table.set_str(&mut self.heap, key, Value::from(f))?)
    }

    /// The metatable of any value.
    #[inline]
    pub fn metatable_of(&self, value: Value) -> Option<Gc<Table>> {
        match value.tag() {
            tag::TABLE => value.as_table().and_then(|t| t.metatable()),
            tag::USERDATA => value.as_userdata().and_then(|u| u.metatable()),
            t => self.type_metas.get(usize::from(type_index(t))).copied().flatten(),
        }
    }

    /// Sets the metatable of all values of a type other than table and userdata.
    pub fn set_type_metatable(&mut self, tag: u8, meta: Option<Gc<Table>>) -> Result<(), Raised> {
        if let Some(meta) = meta {
            meta.set_flagged(&mut self.heap)?;
        }
        self.type_metas[usize::from(type_index(tag))] = meta;
        self.heap.raise_epoch();
        Ok(())
    }

    /// Gives a compiled function and all inside it their place in the heap.
    pub fn load_prototype(&mut self, from: &Prototype) -> Result<Gc<Proto>, Raised> {
        self.load_with(from, &mut HashMap::new())
    }

    /// `long` has the long strings met so far: one that occurs in several functions becomes one object.
    fn load_with(&mut self, from: &Prototype, long: &mut HashMap<Rc<[u8]>, Gc<Str>>) -> Result<Gc<Proto>, Raised> {
        let mut functions = Vec::with_capacity(from.functions.len());
        for f in &from.functions {
            functions.push(self.load_with(f, long)?);
        }
        let mut constants = Vec::with_capacity(from.constants.len());
        for c in &from.constants {
            constants.push(match c {
                Constant::Nil => Value::NIL,
                Constant::Boolean(b) => Value::boolean(*b),
                Constant::Integer(i) => Value::integer(*i),
                Constant::Float(f) => Value::float(*f),
                Constant::String(s) if s.len() <= MAX_SHORT => Value::from(self.heap.string(s)?),
                Constant::String(s) => match long.get(s) {
                    Some(known) => Value::from(*known),
                    None => {
                        let string = self.heap.string(s)?;
                        long.insert(s.clone(), string);
                        Value::from(string)
                    }
                },
            });
        }
        let mut code = from.code.clone().into_boxed_slice();
        set_counters(&mut code, self.hot_loop);
        let parts = ProtoParts { code, constants, functions: functions.into_boxed_slice() };
        let proto = self.heap.proto(parts, from)?;
        proto.hot.set(self.hot_function);
        Ok(proto)
    }
}

/// Where the metatable of a type's values stands among those of all types, by tag. Functions of both kinds, and both kinds of numbers,
/// share one.
pub fn type_index(t: u8) -> u8 {
    match t {
        tag::FLOAT => tag::INTEGER,
        tag::NATIVE => tag::LUA_FUNCTION,
        t => t,
    }
}

fn set_counters(code: &mut [u32], start: u32) {
    let mut pc = 0;
    while pc < code.len() {
        let op = super::bytecode::op(code[pc]);
        if op.extra() == super::bytecode::Extra::Counter {
            code[pc + 1] = start;
        }
        pc += op.words();
    }
}

impl Drop for State {
    fn drop(&mut self) {
        super::debugger::remove(self);
    }
}
