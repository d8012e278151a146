//! Runs a Lua script with arguments: `cargo run --example run_script -- script.lua a b c`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use perilune::Lua;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let Some(script) = args.next() else {
        eprintln!("usage: run_script script.lua [arguments]");
        return ExitCode::FAILURE;
    };
    let lua = Lua::new();
    let run = || lua.load_file(&script)?.call::<()>(args.collect::<Vec<String>>());
    match run() {
        Ok(()) => {
            lua.flush();
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{}", String::from_utf8_lossy(&error.report()));
            ExitCode::FAILURE
        }
    }
}
