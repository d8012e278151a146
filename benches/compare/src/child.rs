//! A child process: what it cost and what it said.

use std::io::Read;
use std::process::{Command, Stdio};

/// What a child did.
#[derive(Debug)]
pub struct Outcome {
    /// CPU time, user and system, in seconds.
    pub time: f64,
    /// The wait status.
    pub status: i32,
    /// What it wrote to stdout.
    pub output: Vec<u8>,
}

/// Runs a command to its end, without input.
pub fn run(command: &mut Command) -> Result<Outcome, String> {
    let fail = |program: &Command, e: std::io::Error| format!("{}: {e}", program.get_program().display());
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|e| fail(command, e))?;
    let mut output = Vec::new();
    child.stdout.take().expect("piped").read_to_end(&mut output).map_err(|e| fail(command, e))?;
    let (status, time) = reap(child.id());
    Ok(Outcome { time, status, output })
}

/// Waits for the child; answers its wait status and its CPU time, user and system, in seconds.
fn reap(child: u32) -> (i32, f64) {
    let mut status = 0;
    // SAFETY: an all-zero rusage is valid; wait4 fills in both.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        let reaped = libc::wait4(child.cast_signed(), &raw mut status, 0, &raw mut usage);
        assert_eq!(reaped, child.cast_signed(), "the child can be waited for");
        usage
    };
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
    (status, seconds(usage.ru_utime) + seconds(usage.ru_stime))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_works_takes_time() {
        let busy = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo done; exit 3";
        let outcome = run(Command::new("sh").args(["-c", busy])).expect("sh runs");
        assert_eq!(libc::WEXITSTATUS(outcome.status), 3);
        assert_eq!(outcome.output, b"done\n");
        assert!(outcome.time > 0.0);
    }
}
