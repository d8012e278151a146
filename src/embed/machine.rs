//! The interpreter's functions as the embedding face needs them: every error caught, with its traceback.
#![forbid(unsafe_code)]

use std::rc::Rc;

use perilune_interpreter::lua::api::{self, Mode};
use perilune_interpreter::lua::compile::{compile, compile_session};
use perilune_interpreter::lua::exec::run_finalizers;
use perilune_interpreter::lua::lib::open_libraries;
use perilune_interpreter::lua::load::{SIGNATURE, close_over, close_over_session};
use perilune_interpreter::lua::parser::Variable;
use perilune_interpreter::lua::source::{Parsed, chunk_id};
use perilune_runtime::lua::event::Event;
use perilune_runtime::lua::function::{Cell, LuaFunction, NativeFn, Special};
use perilune_runtime::lua::heap::{Gc, OutOfMemory};
use perilune_runtime::lua::state::{CallFrame, Raised, State};
use perilune_runtime::lua::value::Value as Raw;

use super::shared::{Mark, Shared};
use super::{Error, Lua, Result, Value};

/// The place among the handles of the function that sees each error first.
const HANDLER: usize = 0;

/// An error on its way out, with the traceback of where it was raised; the error's value is its user value.
struct Caught {
    message: Vec<u8>,
    /// None of an error that speaks for itself.
    traceback: Option<Vec<u8>>,
}

/// A new state with the library, whose paths are not the environment's if that is to be ignored.
pub(super) fn open(ignore_environment: bool) -> Box<State> {
    let mut state = State::new();
    let fresh = "a new state has room for the library";
    let handler = state.heap.native(catch, Special::None, &[]).expect(fresh);
    debug_assert_eq!(state.handles.len(), HANDLER);
    state.handles.push(Raw::from(handler));
    if ignore_environment {
        let key = state.heap.string(b"LUA_NOENV").expect(fresh);
        let registry = state.registry;
        registry.set_str(&mut state.heap, key, Raw::TRUE).expect(fresh);
    }
    open_libraries(&mut state).expect(fresh);
    state
}

/// Runs all finalizers: the state is about to end.
pub(super) fn close(state: &mut State) {
    state.heap.finalize_all();
    run_finalizers(state);
}

/// The message handler: keeps message and traceback together with the error's value. The message of an object is what its
/// `__tostring` answers, if that is a string; an error in there is handled in the place of the first.
fn catch(state: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let error = state.arg(f, 0);
    let spoken = match api::to_bytes(error) {
        Some(_) => None,
        None => said(state, error)?,
    };
    let caught = match spoken {
        Some(message) => Caught { message, traceback: None },
        None => {
            let traceback = api::traceback(state, state.thread, None, 1);
            Caught { message: plain_text(error), traceback: Some(traceback) }
        }
    };
    let caught = state.heap.userdata(Box::new(caught), 1)?;
    caught.set_user_value(&mut state.heap, 1, error);
    state.push(Raw::from(caught))?;
    Ok(1)
}

/// What an object's `__tostring` says.
fn said(state: &mut State, object: Raw) -> Result<Option<Vec<u8>>, Raised> {
    let speaker = api::metafield(state, object, Event::ToString);
    if speaker.is_nil() {
        return Ok(None);
    }
    state.push(speaker)?;
    state.push(object)?;
    api::call(state, 1, 1)?;
    let text = state.slot(state.top() - 1);
    state.set_top(state.top() - 1);
    Ok(text.as_string().map(|text| text.bytes().to_vec()))
}

/// An error's value as text, without metamethods.
fn plain_text(error: Raw) -> Vec<u8> {
    api::to_bytes(error).unwrap_or_else(|| format!("(error object is a {} value)", error.type_name()).into_bytes())
}

/// An error's value as an [`Error`].
pub(super) fn error_of(shared: &Rc<Shared>, state: &mut State, raised: Raw) -> Error {
    if let Some(userdata) = raised.as_userdata()
        && let Some(caught) = userdata.data.borrow().as_ref().and_then(|data| data.downcast_ref::<Caught>())
    {
        let value = userdata.user_value(1).unwrap_or(Raw::NIL);
        let kept = Value::from_raw(shared, state, value);
        return Error::raised(caught.message.clone(), kept, caught.traceback.clone());
    }
    let kept = Value::from_raw(shared, state, raised);
    Error::raised(plain_text(raised), kept, None)
}

/// The error that was raised last, whose frames are still there: they go.
fn failed(shared: &Rc<Shared>, state: &mut State, mark: &Mark) -> Error {
    let raised = state.take_error();
    mark.restore(state);
    error_of(shared, state, raised)
}

/// Makes something of the heap; collects garbage and tries again if there is no memory for it.
pub(super) fn make<T>(
    shared: &Rc<Shared>,
    state: &mut State,
    mut f: impl FnMut(&mut State) -> Result<T, OutOfMemory>,
) -> Result<T> {
    f(state).or_else(|OutOfMemory| {
        state.collect_all();
        f(state).map_err(|OutOfMemory| {
            let error = Raw::from(state.heap.names.memory_error());
            error_of(shared, state, error)
        })
    })
}

/// Calls a function for all its results.
pub(super) fn call(lua: &Lua, function: &Value, args: &[Value]) -> Result<Vec<Value>> {
    let shared = lua.shared();
    shared.with(|state| {
        let function = function.raw(shared, state);
        let args: Vec<Raw> = args.iter().map(|arg| arg.raw(shared, state)).collect();
        call_raw(shared, state, function, &args)
    })
}

fn call_raw(shared: &Rc<Shared>, state: &mut State, function: Raw, args: &[Raw]) -> Result<Vec<Value>> {
    let mark = Mark::of(state);
    let first = state.top();
    let mut run = || {
        state.push(function)?;
        args.iter().try_for_each(|arg| state.push(*arg))?;
        let handler = state.handles[HANDLER];
        api::call_handled(state, handler, args.len(), -1)
    };
    match run() {
        Ok(Ok(())) => {
            let results = (first..state.top()).map(|slot| state.slot(slot)).collect::<Vec<_>>();
            let results = results.into_iter().map(|raw| Value::from_raw(shared, state, raw)).collect();
            state.set_top(first);
            Ok(results)
        }
        Ok(Err(raised)) => Err(error_of(shared, state, raised)),
        Err(Raised) => Err(failed(shared, state, &mark)),
    }
}

/// An operation that may call metamethods, as a function of the interpreter's: errors in it are caught as those of any
/// function.
pub(super) fn operate(shared: &Rc<Shared>, state: &mut State, operation: NativeFn, args: &[Raw]) -> Result<Value> {
    let function = make(shared, state, |state| state.heap.native(operation, Special::None, &[]))?;
    let results = call_raw(shared, state, Raw::from(function), args)?;
    Ok(results.into_iter().next().unwrap_or_default())
}

/// `object[key]`
pub(super) fn index(state: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let value = api::index(state, state.arg(f, 0), state.arg(f, 1))?;
    state.push(value)?;
    Ok(1)
}

/// `object[key] = value`
pub(super) fn set_index(state: &mut State, f: CallFrame) -> Result<u32, Raised> {
    api::set_index(state, state.arg(f, 0), state.arg(f, 1), state.arg(f, 2))?;
    Ok(0)
}

/// `#object`
pub(super) fn length(state: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let n = api::length(state, state.arg(f, 0))?;
    state.push(Raw::integer(n))?;
    Ok(1)
}

/// `tostring(object)`
pub(super) fn to_string(state: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let text = api::to_string(state, state.arg(f, 0))?;
    state.push(Raw::from(text))?;
    Ok(1)
}

/// An object has got a metatable: it may have a finalizer now.
pub(super) fn note_finalizer(state: &mut State, object: Raw) {
    if api::metafield(state, object, Event::Gc).is_nil() {
        return;
    }
    let header = match (object.as_table(), object.as_userdata()) {
        (Some(table), _) => table.header(),
        (_, Some(userdata)) => userdata.header(),
        _ => return,
    };
    state.heap.add_finalizer(header);
}

/// Compiles a chunk. Each message names chunk and line, those too that C Lua gives without.
pub(super) fn load(lua: &Lua, text: &[u8], name: &[u8], binary: bool) -> Result<Value> {
    loaded(lua, name, |state| {
        let globals = Raw::from(state.globals);
        if text.first() == Some(&SIGNATURE) {
            return Ok(api::load(state, text, name, if binary { Mode::Any } else { Mode::Text }, globals));
        }
        compile(text, name).map(|prototype| close_over(state, &prototype, globals))
    })
}

/// Compiles a chunk of a session, with the cells of its variables so far. Answers what the chunk declares besides, and which
/// of the function's upvalues that is.
pub(super) fn load_shared(
    lua: &Lua,
    text: &[u8],
    name: &[u8],
    known: &[Variable],
    cell_of: impl Fn(&State, usize) -> Option<Gc<Cell>>,
) -> Result<(Value, Vec<(Variable, usize)>)> {
    let mut declared = Vec::new();
    let function = loaded(lua, name, |state| {
        compile_session(text, name, known).map(|(prototype, shared)| {
            let cells: Vec<_> = shared.iter().map(|s| s.known.and_then(|n| cell_of(state, n))).collect();
            let new = shared.into_iter().zip(1..).filter(|(s, _)| s.known.is_none());
            declared = new.map(|(s, place)| (s.variable, place)).collect();
            close_over_session(state, &prototype, Raw::from(state.globals), cells.into_iter())
        })
    })?;
    Ok((function, declared))
}

/// A function that `f` loads, errors of both kinds caught.
fn loaded(
    lua: &Lua,
    name: &[u8],
    f: impl FnOnce(&mut State) -> Parsed<Result<Gc<LuaFunction>, Raised>>,
) -> Result<Value> {
    let shared = lua.shared();
    shared.with(|state| {
        let mark = Mark::of(state);
        let (outcome, place) = match f(state) {
            Ok(outcome) => (outcome, None),
            Err(problem) => {
                let line =
                    problem.unsaid_line.map(|line| [&chunk_id(name)[..], format!(":{line}: ").as_bytes()].concat());
                (Err(state.raise_text(&[line.unwrap_or_default(), problem.message].concat())), problem.place)
            }
        };
        match outcome {
            Ok(function) => Ok(Value::from_raw(shared, state, Raw::from(function))),
            Err(Raised) => Err(failed(shared, state, &mark).at(place)),
        }
    })
}
