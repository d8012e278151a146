//! `coroutine` (manual §6.2). To resume and to yield is the business of the interpreter's loop.

#![forbid(unsafe_code)]

use perilune_runtime::lua::function::Special;
use perilune_runtime::lua::heap::Gc;
use perilune_runtime::lua::state::{CallFrame, Raised, State};
use perilune_runtime::lua::table::Table;
use perilune_runtime::lua::thread::Status;
use perilune_runtime::lua::value::Value;

use super::super::api::{check_function, check_thread, error, is_given, set_natives, special};
use super::super::coroutine;
use super::{give, give_bytes, new_table};

pub(super) fn open(st: &mut State) -> Result<Gc<Table>, Raised> {
    let table = new_table(st, 8)?;
    set_natives(
        st,
        table,
        &[
            ("create", create),
            ("wrap", wrap),
            ("status", status),
            ("running", running),
            ("isyieldable", isyieldable),
            ("close", close),
        ],
    )?;
    st.set_native(table, "resume", special, Special::Resume)?;
    st.set_native(table, "yield", special, Special::Yield)?;
    Ok(table)
}

fn create(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let function = check_function(st, f, 0)?;
    let thread = coroutine::create(st, function)?;
    give(st, Value::from(thread))
}

fn wrap(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let function = check_function(st, f, 0)?;
    let thread = coroutine::create(st, function)?;
    let wrapped = coroutine::wrap(st, thread)?;
    give(st, Value::from(wrapped))
}

fn status(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let thread = check_thread(st, f, 0)?;
    give_bytes(st, coroutine::status(thread).as_bytes())
}

fn running(st: &mut State, _: CallFrame) -> Result<u32, Raised> {
    let thread = st.thread;
    st.push(Value::from(thread))?;
    st.push(Value::boolean(thread == st.main))?;
    Ok(2)
}

fn isyieldable(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let thread = if is_given(f, 0) { check_thread(st, f, 0)? } else { st.thread };
    give(st, Value::boolean(coroutine::is_yieldable(st, thread)))
}

fn close(st: &mut State, f: CallFrame) -> Result<u32, Raised> {
    let thread = check_thread(st, f, 0)?;
    if !matches!(thread.status.get(), Status::Suspended | Status::Dead) {
        let status = coroutine::status(thread);
        return Err(error(st, format_args!("cannot close a {status} coroutine")));
    }
    match coroutine::close(st, thread)? {
        None => give(st, Value::TRUE),
        Some(error) => {
            st.push(Value::FALSE)?;
            st.push(error)?;
            Ok(2)
        }
    }
}
