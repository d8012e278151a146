//! The Lua module `guest`: a guest machine whose monitor is a Lua program.
//!
//! It stands above both machines and is made of their public faces only. A hook ends the run of the machine, so that the machine is
//! free when the Lua function is called and may be used by it; then the run goes on.

#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use crate::guest::{Action, Budget, Exit, Filter, Gpa, Gva, HookId, Machine, Reason, Register, Snapshot, Start};
use crate::{Bytes, Error, Function, Lua, Result, Table, Userdata, Value};

/// What a machine's userdata holds.
struct Monitored {
    machine: Machine,
    /// The hooks that ended the run, in the order of their calls.
    called: Arc<Mutex<Vec<u64>>>,
    /// The hooks by their numbers. Their Lua functions are in a table of the module that lets go of them with the machine.
    hooks: HashMap<u64, HookId>,
    last: u64,
    output: Output,
}

/// What the guest has printed and nobody has taken yet.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

type Shared = Rc<RefCell<Monitored>>;

/// The machine that the first argument of a method is.
fn monitored(userdata: &Userdata) -> Result<Shared> {
    userdata.get::<Monitored>().ok_or_else(|| Error::new("a guest machine is wanted (use ':', not '.')"))
}

fn told(error: impl std::fmt::Display) -> Error {
    Error::new(error)
}

fn register(name: &str) -> Result<Register> {
    Register::by_name(name).ok_or_else(|| Error::new(format_args!("no register is named '{name}'")))
}

fn reason(name: &str) -> Result<Reason> {
    let found = Reason::ALL.iter().copied().find(|reason| reason.name() == name);
    found.ok_or_else(|| {
        let names: Vec<&str> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        Error::new(format_args!("no exit is named '{name}', but {}", names.join(", ")))
    })
}

/// A number of bytes to read at once.
fn length(bytes: i64) -> Result<usize> {
    usize::try_from(bytes).ok().filter(|n| *n <= 1 << 30).ok_or_else(|| Error::new("the length is out of range"))
}

impl Lua {
    /// Makes the module `guest` known to `require`. Its functions are described in `docs/guest.md`.
    ///
    /// # Errors
    /// When there is no memory, or `package.preload` is no table any more.
    pub fn open_guest(&self) -> Result<()> {
        let package: Table = self.globals().get("package")?;
        let preload: Table = package.get("preload")?;
        preload.set("guest", self.function(|lua, ()| module(lua))?)
    }
}

/// The module.
fn module(lua: &Lua) -> Result<Table> {
    let methods = lua.table()?;
    let functions = lua.table()?;
    functions.set_metatable(Some(&lua.table_from([("__mode", "k")])?))?;
    running(lua, &methods, &functions)?;
    state(lua, &methods)?;
    memory(lua, &methods)?;
    hooks(lua, &methods, &functions)?;
    let meta = lua.table_from([("__index", &methods)])?;
    meta.set("__name", "guest machine")?;
    let machine = lua.function(move |lua, bytes: Option<i64>| -> Result<Userdata> {
        let bytes = bytes.map_or(Ok(256 << 20), |bytes| u64::try_from(bytes).map_err(told))?;
        let mut machine = Machine::builder().memory(bytes).build().map_err(told)?;
        let output = Output::default();
        machine.set_serial_output(Box::new(output.clone()));
        let called = Arc::default();
        let userdata = lua.userdata(Monitored { machine, called, hooks: HashMap::new(), last: 0, output })?;
        userdata.set_metatable(Some(&meta))?;
        Ok(userdata)
    })?;
    lua.table_from([("machine", machine)])
}

/// An exit as a table: its kind, and what else there is to know.
fn exit_table(lua: &Lua, exit: &Exit) -> Result<Table> {
    let table = lua.table()?;
    let kind = match exit {
        Exit::Budget => "budget",
        Exit::Halted => "halted",
        Exit::TripleFault => "triple-fault",
        Exit::Reset => "reset",
        Exit::Debug(_) => "debug",
        Exit::Stopped => "stopped",
        exit => exit.reason().map_or("", Reason::name),
    };
    table.set("kind", kind)?;
    let number = |name: &str, value: u64| table.set(name, value as i64);
    match *exit {
        Exit::Debug(value) => number("value", value.into())?,
        Exit::PortIn { port, size } => {
            number("port", port.into())?;
            number("size", size.into())?;
        }
        Exit::PortOut { port, size, value } => {
            number("port", port.into())?;
            number("size", size.into())?;
            number("value", value.into())?;
        }
        Exit::Mmio { address, size, value } => {
            number("address", address)?;
            number("size", size.into())?;
            value.map_or(Ok(()), |value| number("value", value))?;
        }
        Exit::Access { address, size, value, write } => {
            number("address", address)?;
            number("size", size.into())?;
            number("value", value)?;
            table.set("write", write)?;
        }
        Exit::Exception { vector, code } => {
            number("vector", vector.into())?;
            number("code", code.into())?;
        }
        Exit::Intercepted { number: which, value, .. } => {
            number("number", which.into())?;
            value.map_or(Ok(()), |value| number("value", value))?;
        }
        _ => {}
    }
    Ok(table)
}

/// Runs the machine, and calls the Lua functions of hooks whenever some have ended the run.
fn run(lua: &Lua, functions: &Table, this: &Userdata, budget: Option<i64>) -> Result<Table> {
    let shared = monitored(this)?;
    let now = shared.borrow().machine.instructions();
    let end = budget.map_or(u64::MAX, |budget| now.saturating_add(u64::try_from(budget).unwrap_or(0)));
    loop {
        let (exit, called) = {
            let mut monitored = shared.borrow_mut();
            let left = end - monitored.machine.instructions().min(end);
            let exit = monitored.machine.run(Budget::Instructions(left));
            let called = std::mem::take(&mut *monitored.called.lock().unwrap_or_else(PoisonError::into_inner));
            (exit, called)
        };
        if called.is_empty() {
            return exit_table(lua, &exit);
        }
        let mut handled = false;
        for number in called {
            // A hook may have been removed by the one before it.
            let list: Option<Table> = functions.get(this.clone())?;
            let function: Option<Function> = list.map_or(Ok(None), |list| list.get(number as i64))?;
            let Some(function) = function else { continue };
            let answer: Option<String> = function.call((this.clone(), exit_table(lua, &exit)?))?;
            match answer.as_deref() {
                None => {}
                Some("handled") => handled = true,
                Some("stop") => return exit_table(lua, &exit),
                Some(other) => {
                    return Err(Error::new(format_args!("a hook answers nothing, 'handled' or 'stop', not '{other}'")));
                }
            }
        }
        if !handled {
            shared.borrow_mut().machine.emulate();
        }
    }
}

fn running(lua: &Lua, methods: &Table, functions: &Table) -> Result<()> {
    let load = lua.function(|_, (this, image, line): (Userdata, Bytes, Option<String>)| -> Result<()> {
        monitored(&this)?.borrow_mut().machine.load(&image.0, line.as_deref().unwrap_or("")).map_err(told)
    })?;
    methods.set("load", load)?;
    let load_flat =
        lua.function(|_, (this, code, address, mode): (Userdata, Bytes, i64, Option<String>)| -> Result<()> {
            let start = match mode.as_deref() {
                None | Some("long") => Start::Long,
                Some("real") => Start::Real,
                Some(other) => {
                    return Err(Error::new(format_args!("code starts in 'long' or 'real' mode, not '{other}'")));
                }
            };
            monitored(&this)?.borrow_mut().machine.load_flat(&code.0, Gpa(address as u64), start).map_err(told)
        })?;
    methods.set("load_flat", load_flat)?;
    let functions = functions.clone();
    let run = lua.function(move |lua, (this, budget): (Userdata, Option<i64>)| run(lua, &functions, &this, budget))?;
    methods.set("run", run)?;
    let emulate = lua.function(|_, this: Userdata| -> Result<()> {
        monitored(&this)?.borrow_mut().machine.emulate();
        Ok(())
    })?;
    methods.set("emulate", emulate)?;
    let skip = lua
        .function(|_, this: Userdata| -> Result<()> { monitored(&this)?.borrow_mut().machine.skip().map_err(told) })?;
    methods.set("skip", skip)?;
    let answer = lua.function(|_, (this, size, value): (Userdata, u8, i64)| -> Result<()> {
        monitored(&this)?.borrow_mut().machine.answer_port(size, value as u32).map_err(told)
    })?;
    methods.set("answer_port", answer)
}

fn state(lua: &Lua, methods: &Table) -> Result<()> {
    let get = lua.function(|_, (this, name): (Userdata, String)| -> Result<i64> {
        Ok(monitored(&this)?.borrow_mut().machine.get(register(&name)?) as i64)
    })?;
    methods.set("get", get)?;
    let set = lua.function(|_, (this, name, value): (Userdata, String, i64)| -> Result<()> {
        monitored(&this)?.borrow_mut().machine.set(register(&name)?, value as u64);
        Ok(())
    })?;
    methods.set("set", set)?;
    let instructions = lua.function(|_, this: Userdata| -> Result<i64> {
        Ok(monitored(&this)?.borrow().machine.instructions() as i64)
    })?;
    methods.set("instructions", instructions)?;
    let intercept = lua.function(|_, (this, name, on): (Userdata, String, Option<bool>)| -> Result<()> {
        monitored(&this)?.borrow_mut().machine.intercept(reason(&name)?, on.unwrap_or(true));
        Ok(())
    })?;
    methods.set("intercept", intercept)?;
    let snapshot = lua.function(|lua, this: Userdata| -> Result<Userdata> {
        let snapshot = monitored(&this)?.borrow_mut().machine.snapshot();
        lua.userdata(snapshot)
    })?;
    methods.set("snapshot", snapshot)?;
    let restore = lua.function(|_, (this, snapshot): (Userdata, Userdata)| -> Result<()> {
        let snapshot =
            snapshot.get::<Snapshot>().ok_or_else(|| Error::new("a snapshot of a guest machine is wanted"))?;
        monitored(&this)?.borrow_mut().machine.restore(&snapshot.borrow()).map_err(told)
    })?;
    methods.set("restore", restore)
}

fn memory(lua: &Lua, methods: &Table) -> Result<()> {
    let read = lua.function(|_, (this, address, bytes): (Userdata, i64, i64)| -> Result<Bytes> {
        let shared = monitored(&this)?;
        let monitored = shared.borrow();
        Ok(Bytes(monitored.machine.slice(Gpa(address as u64), length(bytes)?).map_err(told)?.to_vec()))
    })?;
    methods.set("read", read)?;
    let write = lua.function(|_, (this, address, bytes): (Userdata, i64, Bytes)| -> Result<()> {
        monitored(&this)?.borrow_mut().machine.write(Gpa(address as u64), &bytes.0).map_err(told)
    })?;
    methods.set("write", write)?;
    let read_virtual = lua.function(|_, (this, address, bytes): (Userdata, i64, i64)| -> Result<Bytes> {
        let mut buffer = vec![0; length(bytes)?];
        monitored(&this)?.borrow_mut().machine.read_virtual(Gva(address as u64), &mut buffer).map_err(told)?;
        Ok(Bytes(buffer))
    })?;
    methods.set("read_virtual", read_virtual)?;
    let write_virtual = lua.function(|_, (this, address, bytes): (Userdata, i64, Bytes)| -> Result<()> {
        monitored(&this)?.borrow_mut().machine.write_virtual(Gva(address as u64), &bytes.0).map_err(told)
    })?;
    methods.set("write_virtual", write_virtual)?;
    let translate = lua.function(|_, (this, address): (Userdata, i64)| -> Result<Option<i64>> {
        Ok(monitored(&this)?.borrow_mut().machine.translate(Gva(address as u64)).map(|found| found.0 as i64))
    })?;
    methods.set("translate", translate)?;
    let output = lua.function(|_, this: Userdata| -> Result<Bytes> {
        let shared = monitored(&this)?;
        let output = shared.borrow().output.clone();
        let taken = std::mem::take(&mut *output.0.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(Bytes(taken))
    })?;
    methods.set("output", output)?;
    let input = lua.function(|_, (this, bytes): (Userdata, Bytes)| -> Result<()> {
        monitored(&this)?.borrow_mut().machine.serial_input(&bytes.0);
        Ok(())
    })?;
    methods.set("input", input)
}

/// What a hook of that kind is about; the numbers are the first and the last of a range.
fn filter(kind: &str, first: Option<i64>, last: Option<i64>) -> Result<Filter> {
    let (first, last) = (first.map_or(0, |n| n as u64), last.or(first).map_or(u64::MAX - 1, |n| n as u64));
    let addresses = Gva(first)..Gva(last.saturating_add(1));
    Ok(match kind {
        "block" => Filter::Blocks,
        "instruction" => Filter::Instructions(addresses),
        "memory" => Filter::Memory(addresses),
        "port" => Filter::Ports(first.min(0xffff) as u16..=last.min(0xffff) as u16),
        "interrupt" => Filter::Interrupts,
        name => Filter::Reason(reason(name)?),
    })
}

fn hooks(lua: &Lua, methods: &Table, functions: &Table) -> Result<()> {
    let list = functions.clone();
    let hook = lua.function(move |lua, arguments: (Userdata, String, Value, Value, Value)| -> Result<i64> {
        let (this, kind, first, second, third) = arguments;
        // The function comes behind none, one or two numbers.
        let (range, function) = match (first, second, third) {
            (function @ Value::Function(_), ..) => ([Value::Nil, Value::Nil], function),
            (first, function @ Value::Function(_), _) => ([first, Value::Nil], function),
            (first, second, function) => ([first, second], function),
        };
        let [first, last] = range;
        let filter = filter(&kind, lua.unpack(first)?, lua.unpack(last)?)?;
        let function: Function = lua.unpack(function)?;
        let shared = monitored(&this)?;
        let mut monitored = shared.borrow_mut();
        monitored.last += 1;
        let number = monitored.last;
        let mine: Option<Table> = list.get(this.clone())?;
        let mine = mine.map_or_else(|| lua.table(), Ok)?;
        mine.set(number as i64, function)?;
        list.set(this, mine)?;
        let called = Arc::clone(&monitored.called);
        let id = monitored.machine.hook(filter, move |_, _| {
            called.lock().unwrap_or_else(PoisonError::into_inner).push(number);
            Action::Stop
        });
        monitored.hooks.insert(number, id);
        Ok(number as i64)
    })?;
    methods.set("hook", hook)?;
    let list = functions.clone();
    let unhook = lua.function(move |_, (this, number): (Userdata, i64)| -> Result<bool> {
        let shared = monitored(&this)?;
        let mut monitored = shared.borrow_mut();
        let mine: Option<Table> = list.get(this)?;
        if let Some(mine) = mine {
            mine.set(number, Value::Nil)?;
        }
        let removed = monitored.hooks.remove(&(number as u64));
        Ok(removed.is_some_and(|id| monitored.machine.unhook(id)))
    })?;
    methods.set("unhook", unhook)
}
