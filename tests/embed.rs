//! The embedding face: values both ways, errors, limits, panics.

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use perilune::{Bytes, Error, Function, Lua, LuaString, Options, Result, Session, Table, Userdata, Value, Values};

#[test]
fn values_go_both_ways() -> Result<()> {
    let lua = Lua::new();
    let id: Function = lua.eval("function(...) return ... end")?;
    assert_eq!(id.call::<i64>(i64::MIN)?, i64::MIN);
    assert_eq!(id.call::<u8>(255)?, 255);
    assert_eq!(id.call::<f64>(0.5)?, 0.5);
    assert_eq!(id.call::<i32>(3.0)?, 3);
    assert_eq!(id.call::<i32>("0x10")?, 16);
    assert_eq!(id.call::<String>(7)?, "7");
    assert_eq!(id.call::<String>(7.0)?, "7.0");
    assert_eq!(id.call::<String>("päß")?, "päß");
    assert_eq!(id.call::<Bytes>(&b"\0\xff"[..])?, Bytes(b"\0\xff".to_vec()));
    assert_eq!(id.call::<LuaString>(Bytes(vec![0; 100]))?.len(), 100);
    assert_eq!(id.call::<Option<bool>>(None::<bool>)?, None);
    assert_eq!(id.call::<Option<bool>>(true)?, Some(true));
    assert_eq!(id.call::<Vec<String>>(vec!["a", "b"])?, ["a", "b"]);
    let map = HashMap::from([("one".to_string(), 1), ("two".to_string(), 2)]);
    assert_eq!(id.call::<HashMap<String, i32>>(map.clone())?, map);
    assert_eq!(id.call::<(i64, String, Option<i64>)>((1, "x"))?, (1, "x".to_string(), None));
    let (first, rest) = id.call::<(i64, Values)>((1, 2, 3.5))?;
    assert_eq!((first, rest), (1, Values(vec![Value::Integer(2), Value::Float(3.5)])));
    id.call::<()>(())
}

#[test]
fn what_does_not_fit_is_an_error() {
    let lua = Lua::new();
    let wrong = |outcome: Result<()>, message: &str| assert_eq!(outcome.unwrap_err().to_string(), message);
    wrong(lua.eval::<i64>("'x'").map(drop), "value #1: number expected, got string");
    wrong(lua.eval::<(i64, u8)>("1, 256").map(drop), "value #2: value out of range");
    wrong(lua.eval::<i64>("1.5").map(drop), "value #1: number has no integer representation");
    wrong(lua.eval::<String>("'\\xff'").map(drop), "value #1: string is not valid UTF-8");
    wrong(lua.eval::<Table>("").map(drop), "value #1: table expected, got no value");
    wrong(lua.eval::<Vec<i64>>("{1, {}}").map(drop), "value #1: element 2: number expected, got table");
    wrong(lua.pack(u64::MAX).map(drop), "18446744073709551615 does not fit into an integer of Lua");
}

#[test]
fn tables_can_be_read_and_written() -> Result<()> {
    let lua = Lua::new();
    let t = lua.table_from([("x", 1), ("y", 2)])?;
    t.set(1, "first")?;
    t.push("second")?;
    lua.globals().set("t", &t)?;
    assert_eq!(lua.eval::<String>("t.x .. t.y .. t[1] .. t[2] .. #t")?, "12firstsecond2");
    assert_eq!(t.len()?, 2);
    let mut entries = Vec::new();
    for entry in t.pairs() {
        let (key, value) = entry?;
        entries.push(format!("{key:?}={value:?}"));
    }
    entries.sort();
    assert_eq!(entries, [r#""x"=1"#, r#""y"=2"#, r#"1="first""#, r#"2="second""#]);
    assert_eq!(t.set(f64::NAN, 1).unwrap_err().to_string(), "table index is NaN");
    assert_eq!(t.raw_set(Value::Nil, 1).unwrap_err().to_string(), "table index is nil");
    assert!(!t.is_empty() && lua.table()?.is_empty());
    Ok(())
}

#[test]
fn metamethods_are_respected() -> Result<()> {
    let lua = Lua::new();
    let t: Table = lua.eval(
        "setmetatable({}, {__index = function(_, k) if k == 'bad' then error('no ' .. k) end return k .. '!' end,
            __newindex = function(t, k, v) rawset(t, k, v * 2) end, __len = function() return 7 end})",
    )?;
    assert_eq!(t.get::<String>("k")?, "k!");
    assert_eq!(t.raw_get::<Option<String>>("k")?, None);
    t.set("n", 21)?;
    assert_eq!(t.raw_get::<i64>("n")?, 42);
    assert_eq!((t.len()?, t.raw_len()), (7, 0));
    let error = t.get::<Value>("bad").unwrap_err();
    assert!(error.message().ends_with("no bad"), "{error}");
    assert!(error.traceback().is_some());
    assert!(t.metatable().is_some());
    t.set_metatable(None)?;
    assert_eq!(t.get::<Option<String>>("k")?, None);
    Ok(())
}

#[test]
fn functions_of_rust_are_functions_of_lua() -> Result<()> {
    let lua = Lua::new();
    let log = Rc::new(RefCell::new(Vec::new()));
    let kept = Rc::clone(&log);
    let note = lua.function(move |_, (text, n): (String, Option<i64>)| {
        kept.borrow_mut().push(text);
        Ok((n.unwrap_or(0) + 1, "done"))
    })?;
    lua.globals().set("note", note)?;
    assert_eq!(lua.eval::<(i64, String)>("note('a', 41)")?, (42, "done".into()));
    lua.exec("note('b') assert(select('#', note('c')) == 2)")?;
    assert_eq!(*log.borrow(), ["a", "b", "c"]);
    let sum = lua.function(|_, numbers: Values| {
        Ok(numbers.0.iter().map(|v| if let Value::Integer(i) = v { *i } else { 0 }).sum::<i64>())
    })?;
    assert_eq!(sum.call::<i64>(Values((1..=100).map(Value::Integer).collect()))?, 5050);
    drop(lua);
    Ok(())
}

#[test]
fn native_functions_may_call_back() -> Result<()> {
    let lua = Lua::new();
    let twice = lua.function(|lua, (f, x): (Function, i64)| {
        lua.globals().set("seen", x)?;
        let once: i64 = f.call(x)?;
        f.call::<i64>(once)
    })?;
    lua.globals().set("twice", twice)?;
    assert_eq!(lua.eval::<i64>("twice(function(x) return x * 3 end, 5)")?, 45);
    assert_eq!(lua.eval::<i64>("twice(function(x) return twice(function(y) return y + 1 end, x) end, 5)")?, 9);
    assert_eq!(lua.eval::<i64>("seen")?, 7);
    let deep: Error = lua.exec("local function f(x) return twice(f, x) end f(1)").unwrap_err();
    assert!(deep.message().contains("stack overflow"), "{deep}");
    assert_eq!(lua.eval::<i64>("1 + 1")?, 2);
    Ok(())
}

#[test]
fn errors_have_message_value_and_traceback() -> Result<()> {
    let lua = Lua::new();
    let error = lua.load("local function f() error({code = 7}) end\nf()").name("=chunk").exec().unwrap_err();
    let Some(Value::Table(value)) = error.value() else { panic!("{error:?}") };
    assert_eq!(value.get::<i64>("code")?, 7);
    assert_eq!(error.message(), "(error object is a table value)");
    let error = lua.load("\nlocal x = nil + 1").name("@script.lua").exec().unwrap_err();
    assert_eq!(error.to_string(), "script.lua:2: attempt to perform arithmetic on a nil value");
    assert!(error.traceback().unwrap().contains("script.lua:2: in main chunk"), "{error:?}");
    let error = lua.load("x = = 1").name("@script.lua").exec().unwrap_err();
    assert_eq!(error.to_string(), "script.lua:1: unexpected symbol near '='");
    assert!(error.traceback().is_none());
    let error = lua.exec("error(setmetatable({}, {__tostring = function() return 'spoken' end}))").unwrap_err();
    assert_eq!(error.report(), b"spoken");
    Ok(())
}

#[test]
fn errors_of_rust_are_errors_of_lua() -> Result<()> {
    let lua = Lua::new();
    let fail = lua.function(|_, (): ()| -> Result<()> { Err(Error::new("out of luck")) })?;
    lua.globals().set("fail", fail)?;
    let error = lua.load("\nfail()").name("=chunk").exec().unwrap_err();
    assert_eq!(error.to_string(), "chunk:2: out of luck");
    let value = lua.function(|lua, (): ()| -> Result<()> { Err(Error::from_value(lua.pack(vec![5])?)) })?;
    lua.globals().set("value", value)?;
    assert_eq!(lua.eval::<i64>("select(2, pcall(value))[1]")?, 5);
    let pick = lua.function(|_, (_, n): (Value, i64)| Ok(n))?;
    lua.globals().set("pick", pick)?;
    let message = |code: &str| lua.load(code).name("=c").exec().unwrap_err().to_string();
    assert_eq!(message("pick(1, {})"), "c:1: bad argument #2 to 'pick' (number expected, got table)");
    assert_eq!(message("pick(1)"), "c:1: bad argument #2 to 'pick' (number expected, got no value)");
    assert_eq!(message("pick(1, 1.5)"), "c:1: bad argument #2 to 'pick' (number has no integer representation)");
    Ok(())
}

#[test]
fn panics_pass_through_and_leave_the_state_usable() -> Result<()> {
    struct Dropped(Rc<RefCell<u32>>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            *self.0.borrow_mut() += 1;
        }
    }
    let lua = Lua::new();
    let drops = Rc::new(RefCell::new(0));
    let kept = Rc::clone(&drops);
    let panicking = lua.function(move |_, n: i64| {
        let _witness = Dropped(Rc::clone(&kept));
        assert!(n < 90, "too large: {n}");
        Ok(n)
    })?;
    lua.globals().set("panicking", panicking)?;
    for code in [
        "for i = 1, 100 do panicking(i) end",
        "pcall(function() for i = 1, 100 do panicking(i) end end)",
        "coroutine.wrap(function() for i = 1, 100 do panicking(i) end end)()",
        "table.sort({3, 2, 1}, function(a, b) for i = 1, 100 do panicking(i) end end)",
    ] {
        *drops.borrow_mut() = 0;
        let panic = catch_unwind(AssertUnwindSafe(|| lua.exec(code))).unwrap_err();
        assert_eq!(panic.downcast_ref::<String>().unwrap(), "too large: 90");
        assert_eq!(*drops.borrow(), 90);
        let sum = "local s = 0 for i = 1, 1000 do s = s + i end return s, coroutine.isyieldable()";
        assert_eq!(lua.eval::<(i64, bool)>(sum)?, (500_500, false));
    }
    Ok(())
}

#[test]
fn the_traceback_of_a_panic_names_all_lua_frames() -> Result<()> {
    let lua = Lua::new();
    let panicking = lua.function(|_, n: i64| {
        assert!(n < 90, "too large: {n}");
        Ok(n)
    })?;
    lua.globals().set("panicking", panicking)?;
    // Compiled frames with a call inlined, below the interpreter, below sort, in a coroutine.
    let code = "
        local function inlined(i) local n = panicking(i) return n end
        local function loop() for i = 1, 100 do inlined(i) end end
        local function compare(a, b) loop() return a < b end
        local function body() table.sort({3, 2, 1}, compare) end
        local wrapped = coroutine.wrap(body)
        local function outer() local x = wrapped() return x end
        outer()";
    let outcome = catch_unwind(AssertUnwindSafe(|| lua.load(code).name("=code").exec()));
    assert!(outcome.is_err());
    let traceback = lua.take_panic_traceback().expect("a panic has passed");
    let mut rest = traceback.as_str();
    for frame in [
        "code:2: in upvalue 'inlined'",
        "code:3: in upvalue 'loop'",
        "code:4: in function <code:4>",
        "in function 'table.sort'",
        "code:5: in function <code:5>",
        "code:7: in local 'outer'",
        "code:8: in main chunk",
    ] {
        let at =
            rest.find(frame).unwrap_or_else(|| panic!("{frame} is missing, or in the wrong place, in:\n{traceback}"));
        rest = &rest[at + frame.len()..];
    }
    assert_eq!(lua.take_panic_traceback(), None);
    assert_eq!(lua.eval::<i64>("1 + 1")?, 2);
    Ok(())
}

#[test]
fn a_profile_names_functions_and_says_where_the_time_went() -> Result<()> {
    let lua = Lua::new();
    let profiler = lua.profile(Duration::from_millis(1));
    // Until there are enough samples, however fast or slow the machine is.
    let code = "
        local function busy(n) local s = 0 for i = 1, n do s = s + i % 7 * 0.5 end return s end
        local start = os.clock()
        while os.clock() - start < 0.3 do busy(10000) end";
    lua.load(code).name("=code").exec()?;
    let profile = profiler.finish();
    let all: u64 = profile.split.iter().sum();
    assert!(all > 10, "{profile:?}");
    let busy = |stack: &&String| stack.contains("main_chunk (code:0);busy (code:2);[");
    let found: u64 = profile.stacks.iter().filter(|(stack, _)| busy(stack)).map(|(_, count)| count).sum();
    assert!(found * 2 > all, "{profile:?}");
    if cfg!(feature = "jit") {
        assert!(profile.split[1] * 2 > all, "{profile:?}");
        assert!(profile.folded().contains("[compiled code] "), "{profile:?}");
    }
    Ok(())
}

#[test]
fn handles_keep_their_objects() -> Result<()> {
    let lua = Lua::new();
    let t = lua.table_from([("x", 5)])?;
    let weak: Table = lua.eval("setmetatable({}, {__mode = 'v'})")?;
    weak.set("t", &t)?;
    lua.collect_garbage();
    assert_eq!(t.get::<i64>("x")?, 5);
    let other = t.clone();
    drop(t);
    lua.collect_garbage();
    assert!(weak.get::<Option<Table>>("t")?.is_some());
    drop(other);
    lua.collect_garbage();
    assert!(weak.get::<Option<Table>>("t")?.is_none());
    Ok(())
}

#[test]
fn userdata_hold_values_of_rust() -> Result<()> {
    let lua = Lua::new();
    let counter = lua.userdata(5_u32)?;
    let add = lua.function(|_, (this, n): (Userdata, u32)| {
        let counter = this.get::<u32>().ok_or_else(|| Error::new("a counter expected"))?;
        *counter.borrow_mut() += n;
        Ok(*counter.borrow())
    })?;
    let meta = lua.table()?;
    meta.set("__index", lua.table_from([("add", add)])?)?;
    counter.set_metatable(Some(&meta))?;
    lua.globals().set("counter", &counter)?;
    assert_eq!(lua.eval::<u32>("counter:add(37)")?, 42);
    assert_eq!(*counter.get::<u32>().unwrap().borrow(), 42);
    assert!(counter.get::<String>().is_none());
    assert_eq!(lua.eval::<String>("type(counter)")?, "userdata");
    Ok(())
}

#[test]
fn what_lua_lets_go_is_dropped() -> Result<()> {
    let lua = Lua::new();
    let witness = Rc::new(());
    // The handle inside the userdata is dropped by the collector.
    let held = (Rc::clone(&witness), lua.table()?);
    lua.userdata(held)?;
    let captured = Rc::clone(&witness);
    lua.function(move |_, (): ()| Ok(Rc::strong_count(&captured)))?;
    assert_eq!(Rc::strong_count(&witness), 3);
    lua.collect_garbage();
    assert_eq!(Rc::strong_count(&witness), 1);
    lua.globals().set("kept", lua.userdata(Rc::clone(&witness))?)?;
    drop(lua);
    assert_eq!(Rc::strong_count(&witness), 1);
    Ok(())
}

#[test]
fn finalizers_run_at_the_end_at_last() -> Result<()> {
    let lua = Lua::new();
    let runs = Rc::new(RefCell::new(Vec::new()));
    let kept = Rc::clone(&runs);
    let meta = lua.table()?;
    let note = lua.function(move |_, t: Table| {
        kept.borrow_mut().push(t.get::<i64>("n")?);
        Ok(())
    })?;
    meta.set("__gc", note)?;
    for n in 1..=2 {
        let t = lua.table_from([("n", n)])?;
        t.set_metatable(Some(&meta))?;
        lua.globals().set(n, t)?;
    }
    drop(meta);
    drop(lua);
    assert_eq!(*runs.borrow(), [2, 1]);
    Ok(())
}

#[test]
fn memory_can_be_limited() -> Result<()> {
    let lua = Lua::with_options(&Options::new().memory_limit(8 << 20));
    let error = lua.exec("local t = {} for i = 1, 1e9 do t[i] = {i} end").unwrap_err();
    assert_eq!(error.to_string(), "not enough memory");
    let error = lua.exec("local s = 'x' while true do s = s .. s end").unwrap_err();
    assert_eq!(error.to_string(), "not enough memory");
    assert!(lua.used_memory() <= 8 << 20);
    lua.set_memory_limit(None);
    assert_eq!(lua.eval::<i64>("#('x'):rep(16 << 20)")?, 16 << 20);
    Ok(())
}

#[test]
fn what_grows_by_being_appended_to_shares_its_memory() -> Result<()> {
    for jit in [false, true] {
        let lua = Lua::with_options(&Options::new().jit(jit));
        let before = lua.used_memory();
        // Each of these in memory of its own would take 1 GB.
        lua.exec("collectgarbage('stop') s = '' for i = 1, 14000 do s = s .. i .. '0123456789' end")?;
        let grown = lua.used_memory() - before;
        assert!(grown < 8 << 20, "{grown} bytes in use");
        // Room for at most half as much again is kept with it, until it goes.
        lua.exec("collectgarbage() collectgarbage()")?;
        let length = lua.eval::<usize>("#s")?;
        let kept = lua.used_memory() - before;
        assert!((length..length * 2).contains(&kept), "{kept} bytes in use for {length}");
        lua.exec("s = nil collectgarbage() collectgarbage()")?;
        let left = lua.used_memory().saturating_sub(before);
        assert!(left < 64 << 10, "{left} bytes left");
    }
    Ok(())
}

#[test]
fn what_fits_after_a_collection_is_had() -> Result<()> {
    // Each leaves five of the eight megabytes as garbage and then wants four.
    let requests = [
        "local s = ('s'):rep(4 << 20)",
        "local s = ('s'):rep(2 << 20) garbage(3 << 20) s = s:upper()",
        "local s = ('s'):rep(2 << 20) garbage(3 << 20) s = s .. s:sub(1, 10)",
        "local s = ('s'):rep(1 << 20) .. 's' garbage(5 << 20) for i = 1, 3 do s = s .. ('s'):rep(1 << 19) .. i end",
        "local s = ('s'):rep(1 << 20) garbage(4 << 20) s = table.concat { s, s, s, 'end' }",
        "local s = ('s'):rep(1 << 20) garbage(4 << 20) s = ('%s%s%s'):format(s, s, s)",
        "local t = {} for i = 1, 400000 do t[i] = i end",
        "local t = {} for i = 1, 400000 do table.insert(t, i) end",
        "local t = {} for i = 1, 60000 do t[-i] = i end",
        "local t = {} for i = 1, 30000 do t['name' .. i] = i end",
    ];
    for (jit, code) in [false, true].into_iter().flat_map(|jit| requests.map(|code| (jit, code))) {
        let lua = Lua::with_options(&Options::new().jit(jit).memory_limit(8 << 20));
        lua.exec("function garbage(n) collectgarbage('stop') local g = ('g'):rep(n) end garbage(5 << 20)")?;
        let outcome = lua.exec(code);
        assert!(outcome.is_ok(), "{code}: {outcome:?}");
    }
    Ok(())
}

#[test]
fn memory_runs_out_wherever_it_is_wanted() -> Result<()> {
    let loops = [
        "local t = {} for i = 1, 1e9 do t[i] = {i} end",
        "local t = {} for i = 1, 1e9 do t[i] = 'n' .. i end",
        "local t = {} for i = 1, 1e9 do t[i] = string.char(i % 256) .. i .. ':' .. i end",
        "local t = {} for i = 1, 1e9 do t[i] = function() return i end end",
        "local t = {} for i = 1, 1e9 do t[i] = i + 0.5 end",
        "local t = {} for i = 1, 1e9 do t['k' .. i] = i end",
        "local t = {} for i = 1, 1e9 do t[i] = string.format('%d %s', i, i) end",
        "local list for i = 1, 1e9 do local before = list list = function() return before end end",
        // Half of the small objects are gone, and their places are there to be taken.
        "local t = {} for i = 1, 40000 do t[i] = {} end for i = 1, 40000, 2 do t[i] = false end collectgarbage() \
         local s = ('x'):rep(1 << 20) local list for i = 1, 1e9 do list = {list} end",
    ];
    for (jit, code) in [false, true].into_iter().flat_map(|jit| loops.map(|code| (jit, code))) {
        let lua = Lua::with_options(&Options::new().jit(jit).memory_limit(4 << 20));
        let error = lua.exec(code).unwrap_err();
        assert_eq!(error.to_string(), "not enough memory", "{code}");
        assert!(lua.used_memory() <= 4 << 20, "{code}: {} bytes", lua.used_memory());
        lua.collect_garbage();
        assert_eq!(lua.eval::<i64>("select('#', ('x'):rep(100):byte(1, -1))")?, 100, "{code}");
    }
    Ok(())
}

#[test]
fn running_code_can_be_stopped_from_another_thread() -> Result<()> {
    for jit in [false, true] {
        let lua = Lua::with_options(&Options::new().jit(jit));
        for code in ["while true do end", "local n = 0 for i = 1, math.huge do n = n + i % 7 end"] {
            let interrupt = lua.interrupt();
            let started = lua.function(|_, (): ()| Ok(()))?;
            lua.globals().set("started", started)?;
            let stopper = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(50));
                interrupt.stop();
            });
            let error = lua.load(code).name("=c").exec().unwrap_err();
            assert_eq!(error.to_string(), "c:1: interrupted!");
            stopper.join().unwrap();
        }
        assert_eq!(lua.eval::<i64>("1")?, 1);
    }
    Ok(())
}

#[test]
fn a_lua_dropped_while_it_runs_ends_when_it_can() -> Result<()> {
    let place = Rc::new(RefCell::new(None));
    let lua = Lua::new();
    let inner = Rc::clone(&place);
    let suicide = lua.function(move |_, (): ()| {
        drop(inner.borrow_mut().take());
        Ok(5)
    })?;
    *place.borrow_mut() = Some(lua);
    assert_eq!(suicide.call::<i64>(())?, 5);
    let after = catch_unwind(AssertUnwindSafe(|| suicide.call::<i64>(())));
    assert!(after.is_err());
    Ok(())
}

#[test]
fn states_do_not_mix() {
    let (a, b) = (Lua::new(), Lua::new());
    let table = a.table().unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| b.globals().set("x", &table))).is_err());
    assert_eq!(b.eval::<i64>("1").unwrap(), 1);
}

#[test]
fn sessions_share_local_variables() -> Result<()> {
    let lua = Lua::new();
    let mut session = Session::new(&lua);
    let mut run = |text: &str| session.run(session.load(text, "=s")?);
    run("local n = 0; local function count() n = n + 1 return n end")?;
    run("count() count()")?;
    assert_eq!(run("n, count()")?.0, [lua.pack(2)?, lua.pack(3)?]);
    run("do local n = 10 end; local n = n * 2")?;
    assert_eq!(run("n, count(), (function() return n end)()")?.0, [lua.pack(6)?, lua.pack(4)?, lua.pack(6)?]);
    assert!(run("local c <const> = 1; c = 2").unwrap_err().message().contains("const variable 'c'"));
    // Many of them, and compiled loops over them.
    for i in 0..400 {
        run(&format!("local v{i} = {i}"))?;
    }
    assert_eq!(run("for i = 1, 1000 do v0 = v0 + v399 end return v0")?.0, [lua.pack(399_000)?]);
    lua.collect_garbage();
    assert_eq!(session.get(b"v200"), Some(lua.pack(200)?));
    assert_eq!(session.names().count(), 402);
    let error = session.load("x = = 1", "=s").map(|_| ()).unwrap_err();
    assert_eq!((error.message().as_ref(), error.place()), ("s:1: unexpected symbol near '='", Some(4)));
    Ok(())
}

#[test]
fn binary_chunks_are_accepted_where_that_is_said() -> Result<()> {
    let lua = Lua::new();
    let chunk = lua.eval::<Bytes>("string.dump(load('return ... + 1'), true)")?.0;
    let error = lua.load(&chunk).into_function().map(|_| ()).unwrap_err();
    assert!(error.message().contains("attempt to load a binary chunk"), "{}", error.message());
    assert_eq!(lua.load(&chunk).binary(true).into_function()?.call::<i64>(1)?, 2);
    let error = lua.load(&chunk[..chunk.len() - 1]).name("=c").binary(true).into_function().map(|_| ()).unwrap_err();
    assert_eq!(error.message(), "c: bad binary format (truncated chunk)");
    Ok(())
}

#[test]
#[cfg(feature = "jit")]
fn a_debugger_is_looked_for_only_where_one_may_come() {
    let mut off = Options::new();
    off.gdb("off").unwrap();
    for (options, expected) in [(Options::new(), true), (Options::new().jit(false), true), (off, false)] {
        assert_eq!(Lua::with_options(&options).interrupt().look_for_debugger(), expected);
    }
}
