//! The tracing compiler as the interpreter sees it: decides what is recorded, keeps the traces, and runs them.
//!
//! A loop that gets hot is recorded as a root trace, and its back edge patched to enter it; an exit that is taken often is
//! recorded as a side trace, which the exit then leads to. What cannot be recorded is an ordinary, named abort; the site
//! is tried again after twice as many iterations.

use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use perilune_runtime::lua::bytecode::{self as bc, Word};
use perilune_runtime::lua::function::Proto;
use perilune_runtime::lua::heap::{Gc, Roots};
use perilune_runtime::lua::state::{MAX_NESTING, State, activity};
use perilune_runtime::lua::thread::EXTRA_STACK;
use perilune_runtime::lua::tier::{Answer, Entry, LineLoop, Outcome, Site, Tier};

use super::announce::{self, Unannounced};
use super::deopt::{self, Entered};
use super::engine::Engine;
use super::entry::Left;
use super::gain::Account;
use super::ir::Link;
use super::lines;
use super::machine::StressCounts;
use super::opt::Passes;
use super::options::{Options, Verbosity};
use super::page::{self, Page};
use super::prototypes::Prototypes;
use super::record::native::Intrinsics;
use super::record::{Inheritance, LOOP_TRIES, MAX_FRAMES, Next, Origin, Recorder, Setup};
use super::returns::{Behind, FIXED, ReturnTraces};
use super::sites::{head_of, patch_loop, set_counter};
use super::snapshot::Frame;
use super::trace::Trace;
use crate::code::publish::Telling;

/// A site that failed is tried again after up to this many times its threshold.
pub(super) const MAX_PENALTY: u32 = 12;

/// After so many prototypes that have not outlived their traces for long, new ones have to be hotter by one threshold more: a
/// program that makes functions all the time, and drops them, is not to spend its time on compiling them.
const WASTED: u32 = 8;
/// How many thresholds that may come to.
const MAX_WASTE: u32 = 100;

/// The tracing compiler of a state.
pub struct Jit {
    options: Options,
    intrinsics: Rc<Intrinsics>,
    pub(super) traces: Vec<Option<Box<Trace>>>,
    recorder: Option<Box<Recorder>>,
    pub(super) prototypes: Rc<RefCell<Prototypes>>,
    /// Number of traces that there are.
    pub(super) alive: usize,
    /// Numbers of traces that are gone, and can be given away.
    pub(super) free: Vec<u32>,
    /// Where the next recording begins.
    pub(super) pending: Option<Pending>,
    /// The traces for what is done behind calls.
    pub(super) returns: ReturnTraces,
    pub(super) engine: Engine,
    /// Kinds of guards and how many of each there are in all traces.
    guards: BTreeMap<String, u64>,
    aborts: u64,
    /// Prototypes that were worked on and are gone.
    wasted: u32,
    pub(super) account: Account,
    pub(super) unannounced: Unannounced,
    /// The page of the trace viewer.
    pub(super) page: Option<Page>,
}

/// What got hot when compiled code was left.
#[derive(Clone, Copy)]
pub(super) enum Pending {
    /// An exit: the frames stand as its snapshot says.
    Exit { trace: u32, exit: u32, at: Entered },
    /// A place behind a call, that has returned or is about to.
    Return(Behind),
}

impl Jit {
    /// A compiler for a state whose library is open.
    pub fn new(state: &mut State, options: Options) -> Jit {
        let intrinsics = Rc::new(Intrinsics::new(state));
        let (engine, account) = (Engine::new(&options), Account::new(options.hotexit));
        announce::describe_layout();
        let page = options.page.clone().map(Page::new);
        Jit {
            options,
            intrinsics,
            traces: vec![None],
            recorder: None,
            prototypes: Rc::default(),
            alive: 0,
            free: Vec::new(),
            pending: None,
            returns: ReturnTraces::default(),
            engine,
            guards: BTreeMap::new(),
            aborts: 0,
            wasted: 0,
            account,
            unannounced: Unannounced::default(),
            page,
        }
    }

    /// Plugs a compiler into a state.
    pub fn install(state: &mut State, options: Options) {
        // Lines of interpreted code are shown without a compiler, too.
        let may_show_lines = options.telling != Telling::Never && !options.evaluate;
        if !options.on && !may_show_lines {
            return;
        }
        state.lines.on = may_show_lines && options.telling == Telling::AtOnce;
        let may_come = may_show_lines && options.telling == Telling::Batches && options.perf.is_none();
        state.debugger_met.store(!may_come, Ordering::Relaxed);
        if options.on {
            state.hot_loop = options.hotloop;
            state.hot_function = options.hotloop;
        }
        let jit = Jit::new(state, options);
        state.tier = Some(Box::new(jit));
    }

    /// The compiler that [`Jit::install`] has plugged into a state.
    pub fn find(state: &mut State) -> Option<&mut Jit> {
        let tier: &mut dyn Any = &mut **state.tier.as_mut()?;
        tier.downcast_mut()
    }

    /// Changes the mode while programs run: with `off` no more traces are made; those that there are stay in use.
    ///
    /// # Errors
    /// When there is no such mode or no compiler, as a message.
    pub fn set_mode(state: &mut State, mode: &str) -> Result<(), String> {
        let jit = Jit::find(state).ok_or("the compiler is off since the start")?;
        let was_on = jit.options.on;
        jit.options.set_mode(mode)?;
        if jit.options.on && !was_on {
            let threshold = jit.options.hotloop;
            (state.hot_loop, state.hot_function) = (threshold, threshold);
        }
        Ok(())
    }

    /// The parameters.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The traces there are.
    pub fn traces(&self) -> impl Iterator<Item = &Trace> {
        self.traces.iter().flatten().map(|t| &**t)
    }

    /// A trace by its number.
    pub fn trace(&self, number: u32) -> Option<&Trace> {
        self.traces.get(number as usize).and_then(|t| t.as_deref())
    }

    /// The number under which a prototype is watched.
    pub(super) fn watch(&self, proto: Gc<Proto>) -> u32 {
        self.prototypes.borrow_mut().of(proto);
        proto.watched.get()
    }

    pub(super) fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }

    pub(super) fn trace_mut(&mut self, number: u32) -> Option<&mut Trace> {
        self.traces.get_mut(number as usize).and_then(|t| t.as_deref_mut())
    }

    /// Number of recordings that were given up.
    pub fn aborts(&self) -> u64 {
        self.aborts
    }

    /// The compiler of a state.
    ///
    /// # Safety
    /// The state's tier must be a `Jit`.
    pub(super) unsafe fn of(state: *mut State) -> *mut Jit {
        // SAFETY: the caller's promise; the tier is boxed, so the pointer stays valid.
        match unsafe { &mut (*state).tier } {
            Some(tier) => (&raw mut **tier).cast::<Jit>(),
            None => std::ptr::null_mut(),
        }
    }

    fn setup(&self, state: *mut State) -> Setup {
        let (passes, lines) = (self.options.passes, self.engine.is_debugged());
        Setup {
            state,
            intrinsics: self.intrinsics.clone(),
            prototypes: self.prototypes.clone(),
            // Who looks at each line wants to look into tables.
            passes: Passes { sink: passes.sink && !lines, ..passes },
            omit: self.options.omit,
            number: self.next_number(),
            max_length: self.options.maxrecord,
            allocates: false,
            room: 0,
            varies: false,
            again: None,
            lines,
            begun: false,
            keep_recorded: self.options.verbosity == Verbosity::Dump || self.page.is_some(),
        }
    }

    pub(super) fn is_recording(&self) -> bool {
        self.recorder.is_some()
    }

    /// Whether nothing can be recorded now.
    fn is_full(&self) -> bool {
        self.is_recording() || self.alive >= self.options.maxtrace as usize
    }

    /// The number that the next trace will have.
    fn next_number(&self) -> u32 {
        let free = self.free.iter().rev().find(|number| self.engine.is_free(**number));
        free.copied().unwrap_or(self.traces.len() as u32)
    }

    /// Puts a trace under the next number.
    pub(super) fn insert(&mut self, trace: Box<Trace>) {
        let number = trace.number as usize;
        self.free.retain(|free| *free as usize != number);
        if number == self.traces.len() {
            self.traces.push(None);
        }
        self.traces[number] = Some(trace);
        self.alive += 1;
    }

    /// Drops a trace: nothing leads to it any more.
    fn drop_trace(&mut self, number: u32) -> Option<Box<Trace>> {
        let trace = self.traces[number as usize].take();
        page::gone(&mut self.page, &self.engine, trace.as_deref());
        self.engine.drop_trace(number);
        self.unannounced.forget(number);
        self.alive -= usize::from(trace.is_some());
        if let Some(trace) = &trace
            && let Some(place) = trace.behind
        {
            self.returns.remove(&place);
        }
        self.free.push(number);
        trace
    }

    // ---- recording

    fn begin_loop(&mut self, state: *mut State, proto: Gc<Proto>, site: u32) -> Answer {
        let Some(head) = head_of(proto, site) else { return Answer::Continue };
        let setup = self.setup(state);
        // SAFETY: the state is alive; the borrow ends here.
        let at = Entered::top(unsafe { &*state });
        self.recorder = Some(Box::new(Recorder::at_loop(setup, (at.base, at.depth, proto), site, head)));
        Answer::Record
    }

    /// The function in the top frame is hot. Answers whether it calls itself, or a native one calls it: only those are worth a trace of their
    /// own, all others are inlined. It is looked at again later.
    fn is_worth_a_trace(&self, state: *mut State, proto: Gc<Proto>) -> bool {
        // SAFETY: the state is alive; the borrow ends here.
        let recurs = unsafe { deopt::recurs(&*state, proto) || deopt::is_inner(&*state) };
        let mut prototypes = self.prototypes.borrow_mut();
        let known = prototypes.of(proto);
        known.hot = true;
        let is_worth_it = recurs || known.recursive;
        if !is_worth_it {
            proto.hot.set(self.options.hotloop.saturating_mul(known.look_later()));
        }
        is_worth_it
    }

    fn begin_entry(&mut self, state: *mut State, proto: Gc<Proto>) -> Answer {
        // SAFETY: as above.
        let at = Entered::top(unsafe { &*state });
        let setup = self.setup(state);
        self.recorder = Some(Box::new(Recorder::at_entry(setup, (at.base, at.depth, proto))));
        Answer::Record
    }

    /// Begins to record what is done behind a call.
    fn begin_return(&mut self, state: *mut State, Behind { at, pc, place }: Behind) -> Result<(), &'static str> {
        // SAFETY: the state is alive; the borrow ends with this statement.
        let thread = unsafe { (*state).thread };
        let function = thread.slot(at.base as usize - 1).as_lua_function();
        let Some(proto) = function.map(|f| f.proto()) else { return Err("no function") };
        // The list begins where the function was.
        let call = proto.original_code()[pc as usize - 1];
        let top = (place.open != FIXED).then(|| (bc::a(call) + place.open as usize) as i16);
        let mut setup = self.setup(state);
        // The called function may have allocated without looking at the collector.
        setup.allocates = true;
        self.recorder = Some(Box::new(Recorder::at_return(setup, (at.base, at.depth, proto), pc, place.open, top)));
        Ok(())
    }

    /// Begins to record where a trace was just left.
    fn begin_exit(&mut self, state: *mut State, (from, exit, at): (u32, u32, Entered)) -> Result<(), &'static str> {
        let Some(trace) = self.trace(from) else { return Err("the trace is gone") };
        let varies = trace.is_variant(exit as usize);
        let begun = trace.has_begun_line(exit as usize);
        let (allocates, room, again) = (trace.allocates, trace.room, trace.begins_again_at(exit as usize));
        let setup = Setup { allocates, room, varies, begun, again, ..self.setup(state) };
        let snapshot = *trace.ir.snapshots.get(exit as usize);
        // SAFETY: the state is alive; the borrow ends with this statement.
        let thread = unsafe { (*state).thread };
        let mut inlined: Vec<(Frame, Gc<Proto>)> = Vec::new();
        for f in trace.ir.snapshots.frames(&snapshot) {
            let function = thread.slot((i64::from(at.base) + i64::from(f.base)) as usize - 1);
            let Some(function) = function.as_lua_function() else { return Err("no function") };
            inlined.push((*f, function.proto()));
        }
        let inheritance = Inheritance::new(&trace.ir, &snapshot);
        let entry = (at.base, at.depth, trace.proto);
        let recorder = Recorder::at_exit(setup, from, exit, entry, &inlined, &inheritance, snapshot.resume())
            .map_err(|_| "cannot begin")?;
        self.recorder = Some(Box::new(recorder));
        Ok(())
    }

    /// A recording is complete: makes a trace of it.
    fn complete(&mut self, state: *mut State, recorder: Recorder) {
        let recorded = recorder.finish();
        let number = self.next_number();
        let root = match recorded.origin {
            Origin::Loop(_) | Origin::Entry | Origin::Return { .. } => number,
            Origin::Exit { parent, .. } => self.trace(parent).map_or(parent, |t| t.root),
        };
        let ancestry = match recorded.origin {
            Origin::Exit { parent, exit } => self.trace(parent).map(|parent| parent.ancestry(exit as usize)),
            _ => None,
        };
        let trace = Box::new(Trace::new(number, root, recorded, self.options.hotexit, ancestry.unwrap_or_default()));
        let origin = trace.origin;
        let proto = trace.proto;
        self.insert(trace);
        let writing = self.engine.writing();
        // SAFETY: the interpreter has passed its own state.
        let compiled = unsafe { self.engine.compile(state, &self.traces, number) };
        if let Err(reason) = compiled {
            self.drop_trace(number);
            self.failed(proto, origin, &reason);
            return;
        }
        self.prototypes.borrow_mut().of(proto).traces.push(number);
        // SAFETY: as above; the borrow ends with this statement.
        proto.keep(unsafe { &mut (*state).heap }, self.traces[number as usize].iter().flat_map(|t| t.references()));
        self.announce(number);
        match origin {
            Origin::Loop(site) => patch_loop(proto, site, number),
            Origin::Entry => {
                proto.entry_trace.set(number);
                proto.hot.set(1);
            }
            Origin::Return { .. } => {
                let place = self.trace(number).and_then(|t| t.behind);
                self.returns.extend(place.map(|place| (place, number)));
            }
            Origin::Exit { parent, exit } => {
                // A side trace that nothing leads to does no harm.
                if self.engine.link(parent, exit, number).is_ok()
                    && let Some(parent) = self.trace_mut(parent)
                {
                    parent.exits[exit as usize].side = Some(number);
                }
                if let Some(root) = self.trace_mut(root) {
                    root.sides += 1;
                }
            }
        }
        drop(writing);
        if self.options.count_guards {
            self.count_guards(number);
        }
        self.report(number);
        self.show(number);
    }

    fn count_guards(&mut self, number: u32) {
        let Some(trace) = self.traces[number as usize].as_deref() else { return };
        for inst in trace.ir.insts.iter().filter(|i| i.can_exit()) {
            let kind = format!("{}.{}", inst.op.name(), inst.base().name());
            *self.guards.entry(kind).or_insert(0) += 1;
        }
    }

    fn failed(&mut self, proto: Gc<Proto>, origin: Origin, reason: &str) {
        self.aborts += 1;
        match origin {
            Origin::Loop(site) => {
                let mut prototypes = self.prototypes.borrow_mut();
                let count = prototypes.of(proto).penalties.entry(site).or_insert(0);
                *count = (*count + 1).min(MAX_PENALTY);
                let start = self.options.hotloop.saturating_mul(1 << *count).max(4 << *count);
                // Perhaps they all began in the last iteration. Then the next one does not, if there is more than one.
                set_counter(proto, site, if *count + 1 == LOOP_TRIES { 1 } else { start });
            }
            Origin::Entry => {
                let mut prototypes = self.prototypes.borrow_mut();
                let known = prototypes.of(proto);
                known.entry_penalty = (known.entry_penalty + 1).min(MAX_PENALTY);
                proto.hot.set(self.options.hotloop.saturating_mul(1 << known.entry_penalty).max(4));
            }
            Origin::Return { pc, open } => {
                let mut prototypes = self.prototypes.borrow_mut();
                if let Some((missed, threshold)) = prototypes.of(proto).returns.get_mut(&(pc, open)) {
                    (*missed, *threshold) = (0, threshold.saturating_mul(3).max(16));
                }
            }
            Origin::Exit { parent, exit } => {
                if let Some(trace) = self.trace_mut(parent) {
                    let exit = &mut trace.exits[exit as usize];
                    exit.threshold = exit.threshold.saturating_mul(3).max(16);
                    exit.count = 0;
                }
            }
        }
        if self.options.verbosity >= Verbosity::Lines || self.page.is_some() {
            let (place, what) = self.describe(proto, origin);
            if let Some(page) = &mut self.page {
                page.add_abort(&place, &what, reason);
            }
            if self.options.verbosity >= Verbosity::Lines {
                self.options.say(format_args!("abort   {place} {what}: {reason}\n"));
            }
        }
    }

    /// An exit to the interpreter was taken. Answers whether to record from there.
    fn took_exit(&mut self, state: &State, left: Left) -> bool {
        let Left { trace: number, snapshot, at, outcome, .. } = left;
        let Some(trace) = self.trace(number) else { return false };
        if snapshot + 1 == trace.exits.len() {
            let follows = |jit: &Jit| jit.may_grow(number) && !jit.engine.shows_frames();
            match trace.ir.link {
                Link::Return { count, .. } => return follows(self) && self.missed_return(state, count),
                Link::Switch { .. } => return follows(self) && self.missed_switch(state),
                _ => {}
            }
        }
        let patience = self.account.patience();
        let Some(trace) = self.trace_mut(number) else { return false };
        let e = &mut trace.exits[snapshot];
        e.count = e.count.saturating_add(1);
        let hot = e.count >= e.threshold.saturating_mul(patience)
            && e.side.is_none()
            && !e.is_dead_end
            && outcome == Outcome::Continue
            && self.may_grow(number);
        if hot {
            self.pending = Some(Pending::Exit { trace: number, exit: snapshot as u32, at });
        }
        hot
    }

    /// Whether the tree of a trace may have another one, and there is room for it.
    fn may_grow(&self, number: u32) -> bool {
        let root = self.trace(number).and_then(|trace| self.trace(trace.root));
        !self.is_full() && root.is_none_or(|root| root.sides < self.options.maxside)
    }
}

/// Notes what a state is at from now on. Answers what it was at.
fn begin(state: *mut State, doing: u32) -> u32 {
    // SAFETY: the interpreter has passed its own state; the borrow is for this moment.
    unsafe { (*state).begin(doing) }
}

fn meets_debugger(jit: &mut Jit, state: *mut State) -> bool {
    // SAFETY: as above.
    jit.meet_debugger(unsafe { &mut *state })
}

impl Jit {
    /// Records the instruction that is about to be executed.
    fn record_one(&mut self, state: *mut State, pc: *const Word) -> Answer {
        match self.pending.take() {
            None => {}
            Some(Pending::Exit { trace: parent, exit, at }) => {
                if let Err(reason) = self.begin_exit(state, (parent, exit, at)) {
                    if let Some(proto) = self.trace(parent).map(|t| t.proto) {
                        self.failed(proto, Origin::Exit { parent, exit }, reason);
                    }
                    return Answer::Continue;
                }
            }
            Some(Pending::Return(behind)) if self.begin_return(state, behind).is_err() => return Answer::Continue,
            Some(Pending::Return(_)) => {}
        }
        let Some(mut recorder) = self.recorder.take() else { return Answer::Continue };
        self.account.pay();
        match recorder.step(pc) {
            Ok(Next::More) => {
                self.recorder = Some(recorder);
                Answer::Record
            }
            Ok(Next::Done) => {
                self.complete(state, *recorder);
                Answer::Continue
            }
            Err(abort) => {
                let (proto, origin) = recorder.place();
                self.failed(proto, origin, &abort.to_string());
                Answer::Continue
            }
        }
    }
}

impl Drop for Jit {
    fn drop(&mut self) {
        self.write_page();
        if self.options.verbosity >= Verbosity::Lines
            && let Some(spent) = announce::spent()
        {
            self.options.say(format_args!("{spent}\n"));
        }
        for (kind, count) in &self.guards {
            self.options.say(format_args!("guard {kind} {count}\n"));
        }
        if self.options.exit_stress {
            let StressCounts { reached, failed, values, found } = self.engine.stress_counts();
            self.options.say(format_args!(
                "exit stress: {reached} guards reached, {failed} failed by force; {values} values left, {found} found\n"
            ));
        }
    }
}

impl Tier for Jit {
    fn hot(&mut self, state: *mut State, proto: Gc<Proto>, site: Site) -> Answer {
        if meets_debugger(self, state) {
            return Answer::Continue;
        }
        match site {
            Site::Loop(pc) if self.options.on => set_counter(proto, pc, self.options.hotloop),
            Site::Function if !self.is_worth_a_trace(state, proto) => return Answer::Continue,
            Site::Loop(_) | Site::Function => {}
        }
        if self.is_full() || !self.options.on {
            return Answer::Continue;
        }
        let waits = self.prototypes.borrow_mut().waits(proto, site, self.account.patience_for_roots());
        if waits > 0 {
            let counter = self.options.hotloop.saturating_mul(waits);
            match site {
                Site::Loop(pc) => set_counter(proto, pc, counter),
                Site::Function => proto.hot.set(counter),
            }
            return Answer::Continue;
        }
        match site {
            Site::Loop(pc) => self.begin_loop(state, proto, pc),
            Site::Function => self.begin_entry(state, proto),
        }
    }

    fn record(&mut self, state: *mut State, pc: *const Word) -> Answer {
        let doing = begin(state, activity::COMPILER);
        let answer = self.record_one(state, pc);
        begin(state, doing);
        answer
    }

    fn abort(&mut self, _state: *mut State, reason: &'static str) {
        self.pending = None;
        if let Some(recorder) = self.recorder.take() {
            let (proto, origin) = recorder.place();
            self.failed(proto, origin, reason);
        }
    }

    fn follows_error(&mut self) -> bool {
        self.recorder.as_mut().is_some_and(|recorder| recorder.follows_error())
    }

    fn entry(&self, _trace: u32) -> Entry {
        enter
    }

    fn line_loop(&mut self, state: *mut State) -> Option<LineLoop> {
        self.engine.prepare_lines(state).then_some(lines::run as LineLoop)
    }

    fn roots(&self, roots: &mut Roots) {
        self.engine.roots(roots);
        if let Some(recorder) = &self.recorder {
            recorder.roots(roots);
        }
    }

    fn prototypes_died(&mut self, watched: Vec<u32>) -> u32 {
        for number in watched {
            self.wasted += 1;
            let known = self.prototypes.borrow_mut().forget(number);
            for trace in known.traces {
                self.drop_trace(trace);
            }
            self.engine.forget_lines(number);
        }
        self.options.hotloop.saturating_mul(1 + (self.wasted / WASTED).min(MAX_WASTE))
    }

    fn memory(&self) -> usize {
        self.engine.memory()
    }
}

/// Runs a trace until it leaves to the interpreter.
///
/// # Safety
/// The state's tier is a `Jit` that has this trace, and the top frame is that of the trace's function, at its head.
unsafe fn enter(state: *mut State, number: u32) -> Outcome {
    // SAFETY: the caller's promise. The compiler is only borrowed for moments: what runs may come back to it.
    unsafe {
        if !may_enter(state, number) {
            return Outcome::Continue;
        }
        let (at, thread) = (Entered::top(&*state), (*state).thread);
        let counted = (*Jit::of(state)).trace(number).and_then(|trace| trace.counted(&*state, at));
        let doing = (*state).begin(activity::COMPILED);
        let outer = std::mem::take(&mut (*state).work);
        let left = Engine::run(state, number, at);
        (*state).begin(doing);
        // It may have been left in another frame, or coroutine.
        let counted = |left: Left| counted.filter(|_| left.at == at && (*state).thread == thread);
        let outcome = left.map_or(Outcome::Continue, |left| after(state, number, counted(left), left));
        (*state).work = outer;
        outcome
    }
}

/// Whether a trace can be entered in the top frame: there is room for all that it does. The stack may move.
///
/// # Safety
/// As for [`enter`].
pub(super) unsafe fn may_enter(state: *mut State, number: u32) -> bool {
    // SAFETY: the caller's promise. The compiler is borrowed for a moment.
    unsafe {
        let room = (*Jit::of(state)).trace(number).map_or(0, |trace| trace.room);
        has_nesting(&*state) && ensure_room(&mut *state, room)
    }
}

/// How the interpreter goes on where compiled code, entered in trace `number` where its loop had counted so far, was left.
///
/// # Safety
/// As for [`enter`].
pub(super) unsafe fn after(state: *mut State, number: u32, counted: Option<i64>, left: Left) -> Outcome {
    // SAFETY: the caller's promise. The compiler is only borrowed for moments.
    unsafe {
        let work = std::mem::take(&mut (*state).work);
        (*Jit::of(state)).announce_late();
        if (*Jit::of(state)).meet_debugger(&mut *state) {
            return left.outcome;
        }
        // While there is a hook nothing is recorded. An exit because somebody wants attention says nothing.
        let asked = (*state).interrupt.load(Ordering::Relaxed) != 0;
        let counts = left.counts && !asked && !(*state).thread.is_hooked();
        if left.snapshot == 0 {
            let room = (*Jit::of(state)).trace(left.trace).map_or(0, |trace| trace.room);
            if left.at.base as usize + room > (*state).thread.size() {
                // It was come to by another trace, and did not find enough room.
                ensure_room(&mut *state, room);
                return left.outcome;
            }
        }
        if !counts {
            return left.outcome;
        }
        let jit = Jit::of(state);
        (*jit).watch_gain(&*state, number, counted, work, left);
        if (*jit).took_exit(&*state, left) { Outcome::Record } else { left.outcome }
    }
}

/// Whether compiled code may be entered in the top frame: the end of the nesting is not near.
pub(super) fn has_nesting(state: &State) -> bool {
    state.nesting + (MAX_FRAMES as u32) < MAX_NESTING
}

/// Makes the stack large enough for what a trace may build on it that begins in the top frame. False: it may not be entered.
fn ensure_room(state: &mut State, slots: usize) -> bool {
    let wanted = state.thread.frames().last().map_or(0, |f| f.base as usize) + slots;
    wanted <= state.thread.size() || make_room(state, wanted)
}

/// How often a coroutine comes to compiled code before its stack grows for it: most coroutines live too short for that.
const REFUSALS: u32 = 3;

#[cold]
fn make_room(state: &mut State, wanted: usize) -> bool {
    use perilune_runtime::lua::thread::MAX_STACK;
    let thread = state.thread;
    if thread != state.main && thread.refused.get() < state.hot_loop.min(REFUSALS) {
        thread.refused.set(thread.refused.get() + 1);
        return false;
    }
    wanted <= MAX_STACK - EXTRA_STACK && thread.resize(&mut state.heap, wanted).is_ok()
}
