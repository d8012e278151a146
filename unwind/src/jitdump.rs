//! The file by which `perf inject -j` turns compiled code into ELF files with symbols, source lines and the code itself:
//! `jit-PID.dump` in the current folder. How to unwind the code is said, too, so that call chains pass through it.
//!
//! The format is that of Linux, tools/perf/Documentation/jitdump-specification.txt. perf learns of the file by a page of it that is
//! mapped executable, and orders its records by the monotonic clock (`perf record -k 1`).

use crate::cfi::{self, Unwinding};
use crate::frame::Frame;
use crate::lines::Function;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// "JiTD", as a number in the machine's byte order.
const MAGIC: u32 = 0x4A69_5444;
const VERSION: u32 = 1;
const HEADER_SIZE: u32 = 40;
/// `EM_X86_64`.
const MACHINE: u32 = 62;
const CODE_LOAD: u32 = 0;
const DEBUG_INFO: u32 = 2;
const UNWINDING_INFO: u32 = 4;
/// Bytes in front of each record: its kind, its size and the time.
const PREFIX_SIZE: usize = 16;
/// Bytes at the end of each piece of code that are never run: perf maps what unwinds the code there.
pub const GAP: usize = 128;

/// The open file of this process.
#[derive(Debug)]
pub struct JitDump {
    file: File,
    /// How many pieces of code were written.
    count: u64,
    marker: usize,
    /// The rules behind its last step hold in all code.
    frame: Frame,
}

impl JitDump {
    /// Creates `jit-PID.dump` in a folder, for code in which the rules behind the frame's last step hold.
    pub fn create(folder: &Path, frame: Frame) -> io::Result<JitDump> {
        let path = folder.join(format!("jit-{}.dump", std::process::id()));
        // As in `perf`: do not follow where others may lead.
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)?;
        let mut header = Vec::new();
        for word in [MAGIC, VERSION, HEADER_SIZE, MACHINE, 0, std::process::id()] {
            header.extend(word.to_le_bytes());
        }
        header.extend(now().to_le_bytes());
        header.extend(0u64.to_le_bytes());
        file.write_all(&header)?;
        let (protection, flags) = (libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE);
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory in use.
        let marker = unsafe { libc::mmap(std::ptr::null_mut(), PAGE, protection, flags, file.as_raw_fd(), 0) };
        if marker == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(JitDump { file, count: 0, marker: marker as usize, frame })
    }

    /// Adds a function with its lines and its code, which ends with a [`GAP`], under a name.
    pub fn add(&mut self, function: &Function, name: &str, code: &[u8], files: &[String]) -> io::Result<()> {
        let start = function.symbol.start;
        let code = &code[..code.len().saturating_sub(GAP)];
        let mut lines = Vec::new();
        lines.extend(start.to_le_bytes());
        lines.extend((function.rows.len() as u64).to_le_bytes());
        for row in &function.rows {
            lines.extend((start + u64::from(row.offset)).to_le_bytes());
            lines.extend(row.line.to_le_bytes());
            lines.extend(0u32.to_le_bytes());
            lines.extend(files.get(row.file as usize).map_or("?", String::as_str).bytes().filter(|b| *b != 0));
            lines.push(0);
        }
        let mut load = Vec::new();
        load.extend(std::process::id().to_le_bytes());
        // SAFETY: takes nothing and changes nothing.
        load.extend((unsafe { libc::gettid() } as u32).to_le_bytes());
        for word in [start, start, code.len() as u64, self.count] {
            load.extend(word.to_le_bytes());
        }
        load.extend(name.bytes().filter(|b| *b != 0));
        load.push(0);
        load.extend(code);
        self.count += 1;
        // Lines and frames come before the code that they belong to.
        self.record(DEBUG_INFO, &lines)?;
        let Unwinding { frames, header } = cfi::unwinding(&self.frame, code.len() as u32).map_err(io::Error::other)?;
        let size = (frames.len() + header.len()) as u64;
        debug_assert!(size as usize + 8 <= GAP);
        let mut unwinding = Vec::new();
        for word in [size, header.len() as u64, size] {
            unwinding.extend(word.to_le_bytes());
        }
        unwinding.extend(frames.into_iter().chain(header));
        unwinding.resize(unwinding.len().next_multiple_of(8), 0);
        self.record(UNWINDING_INFO, &unwinding)?;
        self.record(CODE_LOAD, &load)
    }

    fn record(&mut self, kind: u32, body: &[u8]) -> io::Result<()> {
        let mut record = Vec::with_capacity(PREFIX_SIZE + body.len());
        record.extend(kind.to_le_bytes());
        record.extend(((PREFIX_SIZE + body.len()) as u32).to_le_bytes());
        record.extend(now().to_le_bytes());
        record.extend(body);
        self.file.write_all(&record)
    }
}

impl Drop for JitDump {
    fn drop(&mut self) {
        // SAFETY: our own mapping, to which nothing refers.
        unsafe { libc::munmap(self.marker as *mut libc::c_void, PAGE) };
    }
}

const PAGE: usize = 4096;

/// Nanoseconds of the monotonic clock.
fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes to `time` alone. The clock is there on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
