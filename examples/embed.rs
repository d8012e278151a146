//! Native functions, values both ways, and errors.
#![forbid(unsafe_code)]

use perilune::{Error, Function, Lua, Options, Result, Table};

fn main() -> Result<()> {
    let lua = Lua::new();

    // A native function; its errors are Lua errors.
    let root = lua.function(
        |_, x: f64| {
            if x < 0.0 { Err(Error::new("the root of a negative number")) } else { Ok(x.sqrt()) }
        },
    )?;
    lua.globals().set("root", root)?;
    println!("root(2) = {}", lua.eval::<f64>("root(2)")?);
    match lua.exec("local function f() return root(-1) + 1 end f()") {
        Ok(()) => println!("no error?"),
        Err(error) => println!("error: {}", error.message()),
    }

    // Values from Rust to Lua and back.
    let settings = lua.table_from([("width", 80), ("height", 25)])?;
    lua.globals().set("settings", settings)?;
    let area: Table = lua.eval("{ area = settings.width * settings.height, name = 'screen' }")?;
    println!("{} has {} cells", area.get::<String>("name")?, area.get::<i64>("area")?);

    // A Lua function, called from Rust. Its loop is compiled.
    let sum: Function = lua.eval("function(n) local s = 0 for i = 1, n do s = s + i end return s end")?;
    println!("the sum up to a million is {}", sum.call::<i64>(1_000_000)?);

    // Limits hold, and the state stays usable.
    let small = Lua::with_options(&Options::new().memory_limit(4 << 20));
    if let Err(error) = small.exec("local t = {} for i = 1, 1e9 do t[i] = { i } end") {
        println!("limited: {}", error.message());
    }
    println!("and still: {}", small.eval::<String>("'usable'")?);
    Ok(())
}
