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

/// Shows a prompt and waits until the terminal has a line, or its input has ended. False if Ctrl-C came instead, however
/// soon after the prompt.
pub fn ask(prompt: &str) -> bool {
    let mut input = libc::pollfd { fd: libc::STDIN_FILENO, events: libc::POLLIN, revents: 0 };
    // SAFETY: the sets and the descriptor live through the calls. Ctrl-C is held back until the wait has begun, which it ends.
    unsafe {
        let (mut held, mut before) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigemptyset(&raw mut held);
        libc::sigaddset(&raw mut held, libc::SIGINT);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const held, &raw mut before);
        super::print(prompt);
        let outcome = libc::ppoll(&raw mut input, 1, std::ptr::null(), &raw const before);
        let error = std::io::Error::last_os_error();
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
        outcome >= 0 || error.kind() != std::io::ErrorKind::Interrupted
    }
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
