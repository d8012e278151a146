//! `perilune-vm`: runs a bare-metal image in a guest machine.

#![forbid(unsafe_code)]

mod options;
mod run;

use std::process::ExitCode;

use options::{Command, Options};

fn main() -> ExitCode {
    match options::parse(std::env::args_os().skip(1)) {
        Ok(Command::Help) => {
            print!("{}", options::HELP);
            ExitCode::SUCCESS
        }
        Ok(Command::Version) => {
            println!("perilune-vm {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Ok(Command::Run(options)) => start(&options),
        Err(message) => {
            eprintln!("perilune-vm: {message}\nTry perilune-vm --help.");
            ExitCode::from(run::FAILED)
        }
    }
}

fn start(options: &Options) -> ExitCode {
    match run::run(options) {
        Ok(status) => ExitCode::from(status),
        Err(message) => {
            eprintln!("perilune-vm: {message}");
            ExitCode::from(run::FAILED)
        }
    }
}
