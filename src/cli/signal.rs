//! Ctrl-C: stops the running program with an error; the second one, if the first was not heeded, ends the process.

#![expect(unsafe_code, reason = "signal handlers")]

use std::sync::OnceLock;

use perilune::Interrupt;

static INTERRUPT: OnceLock<Interrupt> = OnceLock::new();

/// Lets Ctrl-C stop a state's program from now on, and a broken pipe end the process, as it ends others.
pub fn watch(interrupt: Interrupt) {
    let handler: extern "C" fn(libc::c_int) = stop;
    if INTERRUPT.set(interrupt).is_ok() {
        // SAFETY: the handler only does what a signal handler may.
        unsafe {
            libc::signal(libc::SIGINT, handler as libc::sighandler_t);
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        }
    }
}

/// Takes back a Ctrl-C that nothing has heeded.
pub fn clear() {
    if let Some(interrupt) = INTERRUPT.get() {
        interrupt.clear();
    }
}

/// Waits until the terminal has a line, or what it holds has ended. False if Ctrl-C came instead.
pub fn wait_for_line() -> bool {
    let mut input = libc::pollfd { fd: libc::STDIN_FILENO, events: libc::POLLIN, revents: 0 };
    // SAFETY: one descriptor is given, and it lives through the call. It ends at a signal even where reads are restarted.
    let outcome = unsafe { libc::poll(&raw mut input, 1, -1) };
    outcome >= 0 || std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted
}

extern "C" fn stop(_: libc::c_int) {
    if INTERRUPT.get().is_none_or(Interrupt::stop) {
        // SAFETY: both may be called in a handler; the signal arrives when it returns.
        unsafe {
            libc::signal(libc::SIGINT, libc::SIG_DFL);
            libc::raise(libc::SIGINT);
        }
    }
}
