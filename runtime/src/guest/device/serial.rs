//! The first serial port: a 16550, by vm-superio, with its output to a writer.

use std::convert::Infallible;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use vm_superio::serial::{NoEvents, SerialState};
use vm_superio::{Serial as Registers, Trigger};

/// The interrupt line, as the registers raise it.
#[derive(Clone, Default)]
struct Line(Arc<AtomicBool>);

impl Trigger for Line {
    type E = Infallible;

    fn trigger(&self) -> Result<(), Infallible> {
        self.0.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// Where output goes.
pub type Output = Box<dyn Write + Send>;

/// The port.
pub struct Serial {
    registers: Registers<Line, NoEvents, Output>,
    line: Line,
    /// Input for which the port has no room yet.
    waiting: Vec<u8>,
}

impl Default for Serial {
    fn default() -> Serial {
        let line = Line::default();
        Serial { registers: Registers::new(line.clone(), Box::new(io::sink())), line, waiting: Vec::new() }
    }
}

impl std::fmt::Debug for Serial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Serial").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}

/// The state of a port, without its output.
#[derive(Clone, Debug)]
pub struct Saved {
    registers: SerialState,
    waiting: Vec<u8>,
}

impl Serial {
    /// Sends output to `output` from now on.
    pub fn set_output(&mut self, output: Output) {
        *self.registers.writer_mut() = output;
    }

    /// Puts bytes into the port, as if they came over the wire.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
        self.feed();
    }

    fn feed(&mut self) {
        let room = self.registers.fifo_capacity().min(self.waiting.len());
        if room > 0
            // In loop-back mode nothing is accepted: it waits.
            && let Ok(taken) = self.registers.enqueue_raw_bytes(&self.waiting[..room])
        {
            self.waiting.drain(..taken);
        }
    }

    /// Reads register 0 to 7.
    pub fn read(&mut self, register: u8) -> u8 {
        let value = self.registers.read(register);
        self.feed();
        value
    }

    /// Writes register 0 to 7. What the output cannot take is lost, as on a wire.
    pub fn write(&mut self, register: u8, value: u8) {
        let _ = self.registers.write(register, value);
    }

    /// Whether the interrupt line had an edge since the last call.
    pub fn interrupted(&mut self) -> bool {
        self.line.0.swap(false, Ordering::Relaxed)
    }

    /// The state, to be restored.
    pub fn save(&self) -> Saved {
        Saved { registers: self.registers.state(), waiting: self.waiting.clone() }
    }

    /// Restores a state; output goes on to where it goes.
    pub fn restore(&mut self, saved: &Saved) {
        let output = std::mem::replace(self.registers.writer_mut(), Box::new(io::sink()));
        let restored =
            Registers::from_state(&saved.registers, self.line.clone(), NoEvents, Box::new(io::sink()) as Output);
        if let Ok(registers) = restored {
            self.registers = registers;
        }
        *self.registers.writer_mut() = output;
        self.waiting.clone_from(&saved.waiting);
        self.line.0.store(false, Ordering::Relaxed);
    }
}
