//! Runs an image as the options say.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use iced_x86::{Decoder, DecoderOptions, Formatter, Instruction, IntelFormatter};
use perilune::guest::{Budget, Exit, Gpa, Gva, Machine, Reason, Register, Start};

use crate::options::{Options, Serial};

/// The status when the guest could not be started.
pub const FAILED: u8 = 2;
const TRIPLE_FAULT: u8 = 4;
const OUT_OF_BUDGET: u8 = 6;
const RESET: u8 = 8;

/// Instructions between two looks at standard input.
const TURN: u64 = 1_000_000;

/// Standard output that shows each byte at once at line ends, and whatever is left at a read.
struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = io::stdout().write(bytes)?;
        io::stdout().flush()?;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

/// Runs the image; answers the status to exit with.
pub fn run(options: &Options) -> Result<u8, String> {
    let path = options.image.display();
    let image = fs::read(&options.image).map_err(|e| format!("{path}: {e}"))?;
    let mut builder = Machine::builder().memory(options.memory).translation(options.translation);
    if let Some(told) = options.gdb {
        builder = builder.gdb(told);
    }
    let mut machine = builder.build().map_err(|e| e.to_string())?;
    let loaded = match options.flat {
        Some(address) => machine.load_flat(&image, Gpa(address), if options.real { Start::Real } else { Start::Long }),
        None => machine.load(&image, &options.append),
    };
    loaded.map_err(|e| format!("{path}: {e}"))?;
    let input = serial(&mut machine, &options.serial)?;
    let trace = Trace::new(&mut machine, &options.trace)?;
    let exit = drive(&mut machine, options.budget, input.as_ref(), &trace);
    if options.stats {
        statistics(&machine);
    }
    Ok(match exit {
        Exit::Debug(value) => (value << 1 | 1) as u8,
        Exit::Halted => 0,
        Exit::Reset => RESET,
        Exit::Budget => OUT_OF_BUDGET,
        other => {
            eprintln!("perilune-vm: {}", last_words(&mut machine, other));
            TRIPLE_FAULT
        }
    })
}

fn last_words(machine: &mut Machine, exit: Exit) -> String {
    let what = if exit == Exit::TripleFault { "triple fault".into() } else { format!("{exit:?}") };
    format!("{what} at rip {:#x} after {} instructions", machine.get(Register::Rip), machine.instructions())
}

/// Connects the serial port; answers what comes from standard input.
fn serial(machine: &mut Machine, serial: &Serial) -> Result<Option<Receiver<Vec<u8>>>, String> {
    match serial {
        Serial::None => Ok(None),
        Serial::File(path) => {
            let file = File::create(path).map_err(|e| format!("{}: {e}", path.display()))?;
            machine.set_serial_output(Box::new(file));
            Ok(None)
        }
        Serial::Stdio => {
            machine.set_serial_output(Box::new(Stdout));
            let (sender, receiver) = mpsc::channel();
            thread::spawn(move || {
                let mut bytes = [0; 256];
                while let Ok(count @ 1..) = io::stdin().read(&mut bytes) {
                    if sender.send(bytes[..count].to_vec()).is_err() {
                        break;
                    }
                }
            });
            Ok(Some(receiver))
        }
    }
}

/// Runs to the end, with looks at the input in between.
fn drive(machine: &mut Machine, budget: Option<u64>, input: Option<&Receiver<Vec<u8>>>, trace: &Trace) -> Exit {
    let end = budget.map_or(u64::MAX, |budget| machine.instructions().saturating_add(budget));
    loop {
        if let Some(bytes) = input.and_then(|input| input.try_recv().ok()) {
            machine.serial_input(&bytes);
        }
        if trace.instructions {
            instruction(machine);
        }
        let turn = if trace.instructions { 1 } else { TURN };
        let left = end - machine.instructions();
        match machine.run(Budget::Instructions(turn.min(left))) {
            Exit::Budget if machine.instructions() < end => {}
            exit @ (Exit::Budget | Exit::Halted | Exit::TripleFault | Exit::Reset | Exit::Debug(_) | Exit::Stopped) => {
                return exit;
            }
            told => {
                eprintln!("{:>12} {:#018x} {told:?}", machine.instructions(), machine.get(Register::Rip));
                machine.emulate();
            }
        }
    }
}

/// What is printed as it happens.
struct Trace {
    instructions: bool,
}

impl Trace {
    fn new(machine: &mut Machine, what: &[String]) -> Result<Trace, String> {
        let mut trace = Trace { instructions: false };
        for name in what {
            let reasons: Vec<Reason> = match name.as_str() {
                "instructions" => {
                    trace.instructions = true;
                    continue;
                }
                "ports" => vec![Reason::PortIn, Reason::PortOut],
                "exceptions" => vec![Reason::Exception],
                name => Reason::ALL.iter().copied().filter(|reason| reason.name() == name).collect(),
            };
            if reasons.is_empty() {
                let names: Vec<&str> = Reason::ALL.iter().map(|reason| reason.name()).collect();
                return Err(format!(
                    "--trace: '{name}' is none of instructions, ports, exceptions, {}",
                    names.join(", ")
                ));
            }
            for reason in reasons {
                machine.intercept(reason, true);
            }
        }
        Ok(trace)
    }
}

/// Prints the instruction at rip.
fn instruction(machine: &mut Machine) {
    let (time, rip) = (machine.instructions(), machine.get(Register::Rip));
    let (linear, bits) = machine.code_address();
    let mut bytes = [0; 15];
    let mut length = bytes.len();
    // At the end of the last page that is mapped there are fewer.
    while length > 0 && machine.read_virtual(Gva(linear), &mut bytes[..length]).is_err() {
        length -= 1;
    }
    let mut instruction = Instruction::default();
    Decoder::with_ip(bits, &bytes[..length], rip, DecoderOptions::AMD).decode_out(&mut instruction);
    let mut text = String::new();
    IntelFormatter::new().format(&instruction, &mut text);
    eprintln!("{time:>12} {rip:#018x} {text}");
}

fn statistics(machine: &Machine) {
    let (decoded, dropped) = machine.blocks();
    eprintln!("instructions {}", machine.instructions());
    eprintln!("blocks decoded {decoded}, dropped because they were written {dropped}");
    for (name, count) in machine.translated() {
        eprintln!("translator: {name} {count}");
    }
    for (reason, count) in machine.exits() {
        eprintln!("exit {} {count}", reason.name());
    }
}
