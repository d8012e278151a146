//! A file, pipe or standard stream with a buffer for each direction.
//!
//! At most one of the two buffers holds something: to write drops what was read ahead (the file's position goes back to
//! where the program believes it to be), to read writes out what was kept. Errors are reported once; what could not be
//! written is dropped then.

#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::fs::File;
use std::io::{Error, IsTerminal, Read, Result, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, ExitStatus};
use std::rc::Rc;

/// A stream that several handles may share.
pub type Shared = Rc<RefCell<Stream>>;

/// Bytes that a buffer holds.
pub const BUFFER: usize = 16 * 1024;

/// When written bytes go to the system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Buffering {
    /// At once.
    None,
    /// At the end of a line.
    Line,
    /// When the buffer is full.
    Full,
}

/// An open or closed stream.
pub struct Stream {
    /// None once it is closed.
    file: Option<File>,
    /// The process at the other end of a pipe.
    child: Option<Child>,
    /// One of the process's three, which cannot be closed.
    standard: bool,
    readable: bool,
    writable: bool,
    buffering: Buffering,
    /// Bytes that the output buffer may hold.
    size: usize,
    /// Read ahead, and how much of it has been consumed.
    input: Vec<u8>,
    at: usize,
    output: Vec<u8>,
    /// The last byte written was no line's end.
    in_line: bool,
    /// Written out before this one waits for input, if it is written by lines.
    tied: Option<Shared>,
}

/// The error of a file that was not opened for what is asked of it.
fn bad_descriptor() -> Error {
    Error::from_raw_os_error(libc::EBADF)
}

/// Retries what a signal has interrupted.
fn retried<R>(mut f: impl FnMut() -> Result<R>) -> Result<R> {
    loop {
        match f() {
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

impl Stream {
    /// A stream on a file.
    pub fn new(file: File, readable: bool, writable: bool) -> Stream {
        Stream {
            file: Some(file),
            child: None,
            standard: false,
            readable,
            writable,
            buffering: Buffering::Full,
            size: BUFFER,
            input: Vec::new(),
            at: 0,
            output: Vec::new(),
            in_line: false,
            tied: None,
        }
    }

    /// The end that remains here of a pipe to a process.
    pub fn of_child(pipe: OwnedFd, child: Child, readable: bool) -> Stream {
        let mut stream = Stream::new(File::from(pipe), readable, !readable);
        stream.child = Some(child);
        stream
    }

    /// The standard input; reading from it writes out `output`.
    pub fn standard_input(file: File, output: &Shared) -> Stream {
        let mut stream = Stream::new(file, true, false);
        (stream.standard, stream.tied) = (true, Some(output.clone()));
        stream
    }

    /// The standard output, written by lines if it is a terminal.
    pub fn standard_output(file: File) -> Stream {
        let buffering = if file.is_terminal() { Buffering::Line } else { Buffering::Full };
        let mut stream = Stream::new(file, false, true);
        (stream.standard, stream.buffering) = (true, buffering);
        stream
    }

    /// The standard error output, which has no buffer.
    pub fn standard_error(file: File) -> Stream {
        let mut stream = Stream::new(file, false, true);
        (stream.standard, stream.buffering) = (true, Buffering::None);
        stream
    }

    /// Has it not been closed?
    pub fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// One of the process's three?
    pub fn is_standard(&self) -> bool {
        self.standard
    }

    /// Sets when written bytes go to the system, and how many may wait.
    pub fn set_buffering(&mut self, buffering: Buffering, size: usize) -> Result<()> {
        self.flush()?;
        self.buffering = buffering;
        self.size = size.clamp(1, 1 << 24);
        Ok(())
    }

    // ---- reading

    /// What can be read without waiting, after waiting until there is something; empty at the end of the file.
    pub fn available(&mut self) -> Result<&[u8]> {
        if self.at == self.input.len() {
            self.fill()?;
        }
        Ok(&self.input[self.at..])
    }

    /// Has something been read ahead?
    pub fn has_input(&self) -> bool {
        self.at < self.input.len()
    }

    /// The next byte; none at the end of the file.
    pub fn peek(&mut self) -> Result<Option<u8>> {
        Ok(self.available()?.first().copied())
    }

    /// Takes bytes that [`Stream::available`] has shown.
    pub fn consume(&mut self, count: usize) {
        self.at += count;
        debug_assert!(self.at <= self.input.len());
    }

    fn fill(&mut self) -> Result<()> {
        if !self.readable {
            return Err(bad_descriptor());
        }
        self.flush()?;
        if let Some(output) = &self.tied
            && let Ok(mut output) = output.try_borrow_mut()
            && output.buffering == Buffering::Line
        {
            // Who reads is not told that a prompt could not be written.
            let _ = output.flush();
        }
        let Some(file) = &mut self.file else { return Err(bad_descriptor()) };
        self.at = 0;
        self.input.resize(BUFFER, 0);
        let result = retried(|| file.read(&mut self.input));
        self.input.truncate(*result.as_ref().unwrap_or(&0));
        result.map(|_| ())
    }

    /// Forgets what was read ahead: the system's position becomes the program's.
    fn drop_input(&mut self) {
        let ahead = self.input.len() - self.at;
        if ahead > 0
            && let Some(file) = &mut self.file
        {
            // A pipe has no position to go back to.
            let _ = file.seek(SeekFrom::Current(-(ahead as i64)));
        }
        self.input.clear();
        self.at = 0;
    }

    // ---- writing

    /// Writes all of the bytes, sooner or later.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if !self.writable {
            return Err(bad_descriptor());
        }
        if !self.input.is_empty() {
            self.drop_input();
        }
        if let Some(last) = bytes.last() {
            self.in_line = *last != b'\n';
        }
        if self.buffering == Buffering::None {
            return self.write_now(bytes);
        }
        if self.output.len() + bytes.len() > self.size {
            self.flush()?;
            if bytes.len() >= self.size {
                return self.write_now(bytes);
            }
        }
        self.output.extend_from_slice(bytes);
        if self.buffering == Buffering::Line
            && let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n')
        {
            return self.flush_but(bytes.len() - 1 - end);
        }
        Ok(())
    }

    fn write_now(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.file {
            Some(file) => file.write_all(bytes),
            None => Err(bad_descriptor()),
        }
    }

    /// Writes out what waits in the buffer.
    pub fn flush(&mut self) -> Result<()> {
        self.flush_but(0)
    }

    /// Writes out what waits in the buffer but the last so many bytes.
    fn flush_but(&mut self, kept: usize) -> Result<()> {
        let end = self.output.len() - kept;
        if end == 0 {
            return Ok(());
        }
        let mut output = std::mem::take(&mut self.output);
        let result = self.write_now(&output[..end]);
        output.drain(..end);
        self.output = output;
        result
    }

    /// Has a line been begun that was not ended?
    pub fn is_in_line(&self) -> bool {
        self.in_line
    }

    // ---- the rest

    /// Moves the position; answers it.
    pub fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        self.flush()?;
        if to != SeekFrom::Current(0) {
            self.drop_input();
        }
        let ahead = (self.input.len() - self.at) as u64;
        let Some(file) = &mut self.file else { return Err(bad_descriptor()) };
        Ok(file.seek(to)?.saturating_sub(ahead))
    }

    /// Closes it. Of a process: waits for its end and answers that.
    pub fn close(&mut self) -> Result<Option<ExitStatus>> {
        let written = self.flush();
        self.file = None;
        self.input = Vec::new();
        self.output = Vec::new();
        self.at = 0;
        match &mut self.child {
            Some(child) => retried(|| child.wait()).map(Some),
            None => written.map(|()| None),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = self.close();
    }
}
