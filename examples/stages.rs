//! One script at every stage: source, bytecode, and for its trace the IR as recorded and optimized, and the machine code.
#![forbid(unsafe_code)]

use perilune::{Lua, Options, Result};

const SOURCE: &str = "\
local sum = 0
for i = 1, 1000 do
  if i % 3 == 0 then sum = sum + i end
end
print(sum)
";

fn main() -> Result<()> {
    println!("---- source\n{SOURCE}");
    let prototype = perilune_interpreter::lua::compile::compile(SOURCE.as_bytes(), b"=stages");
    match prototype {
        Ok(prototype) => println!("---- bytecode\n{}", perilune_interpreter::lua::listing::listing(&prototype)),
        Err(error) => println!("it does not compile: {error:?}"),
    }
    println!(
        "---- the run: a line for each trace, its IR as recorded (first `snap`: what an exit restores), after the"
    );
    println!("---- passes, and its machine code, on standard error");
    let mut options = Options::new();
    if let Err(why) = options.jit_mode("dump") {
        println!("no traces: {why}");
    }
    let lua = Lua::with_options(&options);
    lua.load(SOURCE).name("=stages").exec()?;
    lua.flush();
    Ok(())
}
