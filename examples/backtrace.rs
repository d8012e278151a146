//! A backtrace through compiled frames: a native function that a trace calls prints the Lua traceback, then the native one,
//! and panics; the panic passes through the compiled code to `catch_unwind`, and the state stays usable.
#![forbid(unsafe_code)]

use std::backtrace::Backtrace;
use std::panic::{AssertUnwindSafe, catch_unwind};

use perilune::{Lua, Result};

const SCRIPT: &str = "
local function step(i) local s = probe(i) return s + 1 end
for i = 1, 200 do step(i) end
";

/// Dropped when the panic unwinds.
struct Guard;

impl Drop for Guard {
    fn drop(&mut self) {
        println!("the destructor has run");
    }
}

fn main() -> Result<()> {
    let lua = Lua::new();
    let probe = lua.function(|_, i: i64| {
        let _guard = (i == 150).then_some(Guard);
        if i == 150 {
            println!("{}", Backtrace::force_capture());
            panic!("in a native function below compiled code");
        }
        Ok(i)
    })?;
    lua.globals().set("probe", probe)?;
    let outcome = catch_unwind(AssertUnwindSafe(|| lua.load(SCRIPT).name("=script").exec()));
    println!("the panic was caught: {}", outcome.is_err());
    println!("1 + 1 is still {}", lua.eval::<i64>("1 + 1")?);
    Ok(())
}
