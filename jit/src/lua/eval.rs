//! Runs the IR of a trace directly, on the real Lua stack and the real objects, in place of its machine code.
//!
//! Every value is kept as 64 bits, like a Lua value's payload, in a table with one entry an instruction. Each
//! instruction does what the table of operations says and no more, so that a difference between the evaluator and
//! machine code is a fault in code generation, and one between the evaluator and the interpreter a fault in the
//! recorder or in a pass.
//!
//! What depends on the state (where the stack is, frames, the collector) is behind [`Host`].

use super::ir::helper::Entry;
use super::ir::{Alias, Class, Effect, Failure, Helper, Inst, Ir, Link, Op, Ref, Type, Width, field};
use super::opt::fold::{eval_compare, eval_float, eval_int, exact_int};
use super::snapshot::Snapshot;

/// What the evaluator needs of the state that it runs in.
pub trait Host {
    /// What helpers get as their first argument.
    fn state(&self) -> *mut ();
    /// The address of slot 0: the base at the trace's entry. Asked anew after whatever may move the stack.
    fn base(&self) -> *mut u8;
    /// Pushes the frames of a snapshot; its slots have been stored.
    fn push_frames(&mut self, ir: &Ir, snapshot: &Snapshot, values: &Values<'_>);
    /// Pops the frames that `push_frames` has pushed.
    fn pop_frames(&mut self);
    /// Whether a step of the collector is due, when so many bytes more count as allocated.
    fn collection_due(&mut self, bytes: isize) -> bool;
    /// Makes a step of the collector. False: the trace must leave.
    fn collect(&mut self) -> bool;
    /// Objects that the trace has in hand, which the collector must not take before the matching [`Host::release`].
    fn keep(&mut self, objects: Vec<(Type, u64)>) {
        let _ = objects;
    }
    /// The objects that were kept last are not any more.
    fn release(&mut self) {}
    /// Whether an interrupt is requested.
    fn interrupted(&self) -> bool;
    /// Whether the stack has so many slots above the base.
    fn has_room(&self, slots: usize) -> bool {
        let _ = slots;
        true
    }
    /// The write barrier for the object at this address.
    fn barrier(&mut self, object: u64);
    /// Whether guard `at` is to fail now, whatever it finds: for tests of exits.
    fn force(&mut self, at: usize) -> bool {
        let _ = at;
        false
    }
}

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Instruction `at` left through this snapshot.
    Guard {
        /// The index of the instruction.
        at: usize,
        /// The number of the snapshot.
        snapshot: usize,
    },
    /// The end of a trace that does not loop, through this snapshot.
    End {
        /// The number of the snapshot.
        snapshot: usize,
    },
}

/// The values of all references when a run ended, and how it did.
#[derive(Clone, Debug)]
pub struct ExitResult {
    /// How it ended.
    pub exit: Exit,
    values: Vec<u64>,
}

impl ExitResult {
    /// The values.
    pub fn values<'a>(&'a self, ir: &'a Ir) -> Values<'a> {
        Values { ir, results: &self.values }
    }
    /// The number of the snapshot to restore.
    pub fn snapshot(&self) -> usize {
        match self.exit {
            Exit::Guard { snapshot, .. } | Exit::End { snapshot } => snapshot,
        }
    }
}

/// Looks up what references stand for.
#[derive(Clone, Copy)]
pub struct Values<'a> {
    ir: &'a Ir,
    results: &'a [u64],
}

impl Values<'_> {
    /// The 64 bits of a value.
    pub fn get(&self, r: Ref) -> u64 {
        match self.ir.constant(r) {
            Some(c) => c.payload(),
            None => self.results[r.index()],
        }
    }
    /// The type and the 64 bits of a value.
    pub fn typed(&self, r: Ref) -> (Type, u64) {
        (self.ir.ty(r), self.get(r))
    }
}

/// Runs a trace. `parent` has the values at the exit where a side trace starts.
///
/// # Safety
/// The IR must be verified and have been recorded for this state: constants are live objects, and memory is as the
/// recorder found it where no guard checks it. `host` must be the state's.
pub unsafe fn run(ir: &Ir, host: &mut dyn Host, parent: Option<Values<'_>>) -> ExitResult {
    let mut machine = Machine { ir, host, parent, results: vec![0; ir.insts.len()] };
    let mut at = 0;
    let loop_at = ir.loop_index();
    let exit = loop {
        while at < ir.insts.len() {
            let inst = &ir.insts[at];
            let forced = ir.can_be_forced(inst) && !machine.is_unordered(inst) && machine.host.force(at);
            // SAFETY: the caller's promise.
            if forced || !unsafe { machine.step(at) } {
                break;
            }
            at += 1;
        }
        let snapshot = ir.snapshots.for_inst(at).unwrap_or_default();
        match (ir.link, loop_at) {
            _ if at < ir.insts.len() => break Exit::Guard { at, snapshot },
            (Link::Loop, Some(loop_at)) => {
                machine.carry();
                at = loop_at + 1;
            }
            _ => break Exit::End { snapshot },
        }
    };
    ExitResult { exit, values: machine.results }
}

struct Machine<'a> {
    ir: &'a Ir,
    host: &'a mut dyn Host,
    parent: Option<Values<'a>>,
    results: Vec<u64>,
}

impl Machine<'_> {
    fn get(&self, r: Ref) -> u64 {
        Values { ir: self.ir, results: &self.results }.get(r)
    }

    /// The objects among the results so far, be they needed any more or not: none of them has been collected, since all are
    /// kept whenever that may happen.
    fn objects(&self) -> Vec<(Type, u64)> {
        let results = self.ir.insts.iter().zip(&self.results);
        results.filter(|(inst, value)| inst.base().is_object() && **value != 0).map(|(i, v)| (i.base(), *v)).collect()
    }

    /// Whether a guard holds since its operands have no order: machine code has a jump for that, and the one that leaves behind it.
    fn is_unordered(&self, inst: &Inst) -> bool {
        let is_nan = |r: Ref| f64::from_bits(self.get(r)).is_nan();
        inst.op == Op::Ne && inst.base() == Type::Float && (is_nan(inst.a) || is_nan(inst.b))
    }

    /// The phis, all at once: the left sides get the right sides' values.
    fn carry(&mut self) {
        let moved: Vec<(usize, u64)> = self.ir.phis().map(|phi| (phi.a.index(), self.get(phi.b))).collect();
        for (left, value) in moved {
            self.results[left] = value;
        }
    }

    /// Executes instruction `at`. False: the trace leaves.
    ///
    /// # Safety
    /// As for [`run`].
    unsafe fn step(&mut self, at: usize) -> bool {
        let inst = self.ir.insts[at];
        if inst.op.is_compare() {
            return eval_compare(inst.op, inst.base(), self.get(inst.a), self.get(inst.b));
        }
        let result = match inst.op.effect() {
            // SAFETY: the caller's promise.
            Effect::Load(class) => unsafe { self.load(&inst, class) },
            // SAFETY: the caller's promise.
            Effect::Store(_) => unsafe { self.store(&inst) },
            // SAFETY: the caller's promise.
            Effect::Call => unsafe { self.call(&inst) },
            Effect::Control => self.control(at, &inst).then_some(0),
            Effect::Pure | Effect::Guard => self.pure(&inst),
        };
        match result {
            Some(value) => {
                self.results[at] = value;
                true
            }
            None => false,
        }
    }

    fn pure(&self, inst: &Inst) -> Option<u64> {
        let a = || self.get(inst.a);
        let b = || if inst.b.is_none() { 0 } else { self.get(inst.b) };
        match (inst.op, inst.base()) {
            (Op::Nop | Op::Carg, _) => Some(0),
            (Op::Pval, _) => self.parent.map(|p| p.get(inst.a)),
            (Op::I2f, _) => Some((a() as i64 as f64).to_bits()),
            (Op::F2i, _) => exact_int(f64::from_bits(a())).map(|i| i as u64),
            (Op::Padd, _) => Some(a().wrapping_add(b())),
            (op, Type::Float) => eval_float(op, f64::from_bits(a()), f64::from_bits(b())).map(f64::to_bits),
            (op, _) => eval_int(op, a() as i64, b() as i64).map(|i| i as u64),
        }
    }

    /// # Safety
    /// As for [`run`].
    unsafe fn load(&self, inst: &Inst, class: Alias) -> Option<u64> {
        // SAFETY: verified IR computes addresses of live objects' fields only, and guards bound its indices.
        unsafe {
            match (inst.op, class) {
                (Op::Fload, _) => {
                    let address = self.get(inst.a) + inst.field().offset() as u64;
                    Some(match inst.field().width() {
                        Width::U8 => read::<u8>(address).into(),
                        Width::U32 => read::<u32>(address).into(),
                        Width::U64 => read(address),
                    })
                }
                (Op::Upval, _) => Some(read(self.upvalue(inst))),
                (Op::Byte, _) => Some(read::<u8>(self.get(inst.a).wrapping_add(self.get(inst.b))).into()),
                (_, Alias::Array | Alias::ArrayTag) => self.load_element(inst),
                (Op::Vtag | Op::Ctag, _) => Some(read::<u8>(self.place(inst) + field::VALUE_TAG as u64).into()),
                _ => {
                    let place = self.place(inst);
                    let tag = inst.base().tag();
                    let as_expected = !inst.ty.is_guard() || read::<u8>(place + field::VALUE_TAG as u64) == tag;
                    as_expected.then(|| read(place))
                }
            }
        }
    }

    /// # Safety
    /// As for [`run`].
    unsafe fn load_element(&self, inst: &Inst) -> Option<u64> {
        // SAFETY: the index is within the capacity.
        unsafe {
            if inst.op == Op::Atag {
                return Some(read::<u8>(self.tag_place(inst)).into());
            }
            if inst.ty.is_guard() && read::<u8>(self.tag_place(inst)) != inst.base().tag() {
                return None;
            }
            Some(read(self.get(inst.a).wrapping_add(8 * self.get(inst.b))))
        }
    }

    /// Where the 16-byte value lies that a load or store means.
    fn place(&self, inst: &Inst) -> u64 {
        match inst.op {
            Op::Sload => (self.host.base() as u64).wrapping_add_signed(16 * i64::from(inst.slot())),
            Op::Cload | Op::Cstore | Op::Ctag => self.get(inst.a) + field::CELL_VALUE as u64,
            _ => self.get(inst.a) + 16 * u64::from(inst.b.0),
        }
    }

    /// Where the cell of an upvalue is told.
    fn upvalue(&self, inst: &Inst) -> u64 {
        self.get(inst.a) + field::FUNCTION_CELLS as u64 + 8 * u64::from(inst.b.0)
    }

    /// Where the tag of an element lies: behind the payloads that the array has room for.
    fn tag_place(&self, inst: &Inst) -> u64 {
        self.get(inst.a).wrapping_add(8 * self.get(inst.c)).wrapping_add(self.get(inst.b))
    }

    /// # Safety
    /// As for [`run`].
    unsafe fn store(&mut self, inst: &Inst) -> Option<u64> {
        // SAFETY: as for loads.
        unsafe {
            match inst.op {
                Op::Fstore => {
                    let (address, value) = (self.get(inst.a) + inst.field().offset() as u64, self.get(inst.c));
                    match inst.field().width() {
                        Width::U8 => write(address, value as u8),
                        Width::U32 => write(address, value as u32),
                        Width::U64 => write(address, value),
                    }
                }
                Op::Ustore => write(self.upvalue(inst), self.get(inst.c)),
                Op::Astore => write(self.get(inst.a).wrapping_add(8 * self.get(inst.b)), self.get(inst.c)),
                Op::Asettag => write(self.tag_place(inst), inst.base().tag()),
                Op::Barrier => self.host.barrier(self.get(inst.a)),
                _ => {
                    let (place, value) = (self.place(inst), if inst.op == Op::Cstore { inst.b } else { inst.c });
                    write(place, self.get(value));
                    if !inst.ty.is_notag() {
                        write(place + field::VALUE_TAG as u64, inst.base().tag());
                    }
                }
            }
        }
        Some(0)
    }

    /// # Safety
    /// As for [`run`].
    unsafe fn call(&mut self, inst: &Inst) -> Option<u64> {
        let helper = self.ir.helper(inst);
        let mut ints = [0; Helper::MAX_INTS];
        let mut floats = [0.0; Helper::MAX_FLOATS];
        let (mut next_int, mut next_float) = (ints.iter_mut(), floats.iter_mut());
        for &arg in self.ir.call_args(inst).iter() {
            let value = self.get(arg);
            if self.ir.ty(arg) == Type::Float {
                *next_float.next()? = f64::from_bits(value);
            } else {
                *next_int.next()? = value;
            }
        }
        let full = helper.class == Class::Full;
        if full {
            self.host.keep(self.objects());
        }
        // SAFETY: the table of helpers says what the function takes and returns.
        let result = unsafe { invoke(helper.entry, self.host.state(), &ints, &floats, helper.result == Type::Float) };
        if full {
            self.host.release();
        }
        match helper.failure {
            Failure::Zero | Failure::Caught if result == 0 => None,
            Failure::NonZero if result != 0 => None,
            _ => Some(result),
        }
    }

    /// Control instructions. False: the trace leaves.
    fn control(&mut self, at: usize, inst: &Inst) -> bool {
        match inst.op {
            Op::Sync => self.sync(at),
            Op::Args => self.store_from(inst.slot(), at),
            Op::Unsync => self.host.pop_frames(),
            Op::Interrupt => return !self.host.interrupted(),
            Op::Room => return self.host.has_room(usize::from(inst.a.0)),
            Op::Gcstep if self.host.collection_due(self.ir.has_unbuilt().into()) => {
                if self.needs_unbuilt(at) {
                    return false;
                }
                self.sync(at);
                self.host.keep(self.objects());
                let go_on = self.host.collect();
                self.host.release();
                self.host.pop_frames();
                return go_on;
            }
            _ => {}
        }
        true
    }

    /// Whether the stack cannot be made right here, since objects are missing.
    fn needs_unbuilt(&self, at: usize) -> bool {
        let snapshot = self.ir.snapshots.for_inst(at).map(|number| self.ir.snapshots.get(number));
        snapshot.is_some_and(|snapshot| !self.ir.snapshots.objects(snapshot).is_empty())
    }

    /// Stores the slots of the snapshot that applies, and pushes its frames.
    fn sync(&mut self, at: usize) {
        self.store_from(i16::MIN, at);
        let Some(number) = self.ir.snapshots.for_inst(at) else { return };
        let values = Values { ir: self.ir, results: &self.results };
        self.host.push_frames(self.ir, self.ir.snapshots.get(number), &values);
    }

    /// Stores the slots of the snapshot that applies, from one on.
    fn store_from(&mut self, first: i16, at: usize) {
        let Some(number) = self.ir.snapshots.for_inst(at) else { return };
        let values = Values { ir: self.ir, results: &self.results };
        // SAFETY: the recorder has checked that the stack has room for the trace's deepest snapshot.
        unsafe { store_slots(self.ir, self.ir.snapshots.get(number), &values, (self.host.base(), first)) };
    }
}

/// Stores the slots of a snapshot, from one on, on the Lua stack.
///
/// # Safety
/// `base` must be the address of the trace's slot 0, and the stack must have room for all slots.
pub unsafe fn store_slots(ir: &Ir, snapshot: &Snapshot, values: &Values<'_>, (base, first): (*mut u8, i16)) {
    for entry in ir.snapshots.slots(snapshot).iter().filter(|entry| entry.slot >= first) {
        let place = (base as u64).wrapping_add_signed(field::VALUE_SIZE as i64 * i64::from(entry.slot));
        let (ty, payload) = values.typed(entry.value);
        // SAFETY: the caller's promise.
        unsafe {
            write(place, payload);
            write(place + field::VALUE_TAG as u64, ty.tag());
        }
    }
}

/// # Safety
/// There must be a `T` at the address.
unsafe fn read<T: Copy>(address: u64) -> T {
    // SAFETY: the caller's promise.
    unsafe { std::ptr::with_exposed_provenance::<T>(address as usize).read() }
}

/// # Safety
/// There must be room for a `T` at the address that nobody else looks at.
unsafe fn write<T>(address: u64, value: T) {
    // SAFETY: the caller's promise.
    unsafe { std::ptr::with_exposed_provenance_mut::<T>(address as usize).write(value) }
}

/// Calls a helper with all argument registers filled.
///
/// # Safety
/// The function must take the state, then at most as many integers and floats as there are here, and return a float
/// or 64 bits as `float` says.
unsafe fn invoke(
    entry: Entry,
    state: *mut (),
    i: &[u64; Helper::MAX_INTS],
    f: &[f64; Helper::MAX_FLOATS],
    float: bool,
) -> u64 {
    type Args<R> =
        unsafe extern "C-unwind" fn(*mut (), u64, u64, u64, u64, u64, f64, f64, f64, f64, f64, f64, f64, f64) -> R;
    // SAFETY: in the System V ABI (3.2.3) integer and vector arguments are assigned to registers independently of each
    // other and in order, and a callee ignores registers beyond its parameters.
    unsafe {
        if float {
            let call = std::mem::transmute::<Entry, Args<f64>>(entry);
            let r = call(state, i[0], i[1], i[2], i[3], i[4], f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7]);
            r.to_bits()
        } else {
            let call = std::mem::transmute::<Entry, Args<u64>>(entry);
            call(state, i[0], i[1], i[2], i[3], i[4], f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7])
        }
    }
}

#[cfg(test)]
mod random;
#[cfg(test)]
mod tests;
