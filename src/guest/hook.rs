//! Hooks: functions that are called when the guest does something.

use std::ops::{Range, RangeInclusive};

use perilune_runtime::guest::exit::{Reason, Reasons};

use super::{Budget, Exit, Gva, Machine, Register};

/// What a hook is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Filter {
    /// Each block (what follows a jump, call, return, exception or interrupt), before its first instruction.
    Blocks,
    /// Each instruction in a range of addresses, before it.
    Instructions(Range<Gva>),
    /// Each access to a range of addresses by an instruction, right after the instruction, in order, with the value. Fetches of
    /// instructions, and what the processor reads of tables, are no such accesses.
    Memory(Range<Gva>),
    /// Each IN, OUT, INS and OUTS with a port of the range, before it.
    Ports(RangeInclusive<u16>),
    /// Each interrupt of a device, before it is delivered.
    Interrupts,
    /// Each exit of a kind, before the instruction.
    Reason(Reason),
}

impl Filter {
    fn reasons(&self) -> Reasons {
        let none = Reasons::NONE;
        match self {
            Filter::Blocks => none.with(Reason::Block),
            Filter::Instructions(_) => none.with(Reason::Instruction),
            Filter::Memory(_) => none.with(Reason::Watch),
            Filter::Ports(_) => none.with(Reason::PortIn).with(Reason::PortOut),
            Filter::Interrupts => none.with(Reason::Interrupt),
            Filter::Reason(reason) => none.with(*reason),
        }
    }

    /// Whether it is about an exit with rip where it is.
    fn matches(&self, exit: &Exit, rip: u64) -> bool {
        match (self, exit) {
            (Filter::Instructions(range), Exit::Intercepted { reason: Reason::Instruction, .. }) => {
                range.contains(&Gva(rip))
            }
            (Filter::Memory(range), Exit::Access { address, size, .. }) => {
                range.start.0 < address.saturating_add(u64::from(*size)) && *address < range.end.0
            }
            (Filter::Ports(ports), Exit::PortIn { port, .. } | Exit::PortOut { port, .. }) => ports.contains(port),
            (Filter::Instructions(_) | Filter::Memory(_) | Filter::Ports(_), _) => false,
            (filter, exit) => exit.reason().is_some_and(|reason| filter.reasons().contains(reason)),
        }
    }
}

/// What is to happen after a hook.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// What the hook was told of takes effect, and the guest goes on.
    Continue,
    /// The hook has done it (and moved rip where that was needed); the guest goes on.
    Handled,
    /// The run ends with this exit.
    Stop,
}

/// The name of a hook, to remove it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct HookId(u64);

type Function = Box<dyn FnMut(&mut Machine, &Exit) -> Action + Send>;

/// A hook; its function is away while it runs.
struct Hook {
    id: HookId,
    filter: Filter,
    function: Option<Function>,
}

/// The hooks of a machine.
#[derive(Default)]
pub(super) struct Hooks {
    hooks: Vec<Hook>,
    last: u64,
    /// What the user asked for by `intercept`.
    asked: Reasons,
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.hooks.iter().map(|hook| &hook.filter)).finish()
    }
}

impl Machine {
    /// Calls `function` whenever the guest does what the filter says, from now on. May be used by a hook too.
    pub fn hook(
        &mut self,
        filter: Filter,
        function: impl FnMut(&mut Machine, &Exit) -> Action + Send + 'static,
    ) -> HookId {
        self.hooks.last += 1;
        let id = HookId(self.hooks.last);
        self.hooks.hooks.push(Hook { id, filter, function: Some(Box::new(function)) });
        self.refresh_hooks();
        id
    }

    /// Removes a hook. May be used by a hook too, for itself or another one. Answers whether it was there.
    pub fn unhook(&mut self, id: HookId) -> bool {
        let before = self.hooks.hooks.len();
        self.hooks.hooks.retain(|hook| hook.id != id);
        self.refresh_hooks();
        before != self.hooks.hooks.len()
    }

    /// Asks to be told of what the guest does as an exit of [`run`](Machine::run), or no longer.
    pub fn intercept(&mut self, reason: Reason, on: bool) {
        self.hooks.asked = if on { self.hooks.asked.with(reason) } else { self.hooks.asked.without(reason) };
        self.refresh_hooks();
    }

    fn refresh_hooks(&mut self) {
        let wanted = self.hooks.hooks.iter().flat_map(|hook| {
            let reasons = hook.filter.reasons();
            Reason::ALL.iter().copied().filter(move |reason| reasons.contains(*reason))
        });
        self.state.intercepts = wanted.fold(self.hooks.asked, Reasons::with);
        let watched: Vec<Range<u64>> = self
            .hooks
            .hooks
            .iter()
            .filter_map(|hook| match &hook.filter {
                Filter::Memory(range) => Some(range.start.0..range.end.0),
                _ => None,
            })
            .collect();
        if watched != self.state.watched {
            self.state.watch(watched);
        }
    }

    /// Runs the guest until something ends the run.
    pub fn run(&mut self, budget: Budget) -> Exit {
        let end = match budget {
            Budget::Instructions(count) => self.instructions().saturating_add(count),
            Budget::Unlimited => u64::MAX,
        };
        loop {
            let exit = self.run_once(end - self.instructions().min(end));
            let Some(reason) = exit.reason() else { return exit };
            match self.call_hooks(&exit) {
                Some(Action::Stop) => return exit,
                Some(Action::Handled) => {}
                Some(Action::Continue) => self.emulate(),
                None if self.hooks.asked.contains(reason) => return exit,
                // A hook wanted its kind, but not this one.
                None => self.emulate(),
            }
        }
    }

    /// Calls the hooks that an exit is about. The strongest answer counts; `None` if there is no hook.
    fn call_hooks(&mut self, exit: &Exit) -> Option<Action> {
        let rip = self.get(Register::Rip);
        let matching = self.hooks.hooks.iter().filter(|hook| hook.filter.matches(exit, rip));
        let ids: Vec<HookId> = matching.map(|hook| hook.id).collect();
        let mut answer = None;
        for id in ids {
            let Some(mut function) = self.find_hook(id).and_then(|hook| hook.function.take()) else { continue };
            let action = function(self, exit);
            if let Some(hook) = self.find_hook(id) {
                hook.function = Some(function);
            }
            answer = match (answer, action) {
                (Some(Action::Stop), _) | (_, Action::Stop) => Some(Action::Stop),
                (Some(Action::Handled), _) | (_, Action::Handled) => Some(Action::Handled),
                _ => Some(Action::Continue),
            };
        }
        answer
    }

    fn find_hook(&mut self, id: HookId) -> Option<&mut Hook> {
        self.hooks.hooks.iter_mut().find(|hook| hook.id == id)
    }
}
