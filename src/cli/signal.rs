//! Ctrl-C: stops the running program with an error; the second one, if the first was not heeded, ends the process. And a timer, by which
//! compiled loops that are never left notice that a debugger has attached.

#![expect(unsafe_code, reason = "signal handlers")]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

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
        look();
    }
}

/// The signal of the timer. gdb passes it on and says nothing.
const TICK: libc::c_int = libc::SIGVTALRM;
/// After so much processor time, in nanoseconds, a debugger is looked for again.
const INTERVAL: libc::c_long = 50_000_000;

/// Looks for a debugger now, and begins to look for one regularly if one may come: while this thread computes, so that nothing that
/// waits is ever interrupted. (A timer on the whole process's time would make `os.clock` as coarse as the kernel's ticks.)
fn look() {
    if !INTERRUPT.get().is_some_and(Interrupt::look_for_debugger) {
        return;
    }
    let handler: extern "C" fn(libc::c_int) = tick;
    let interval = libc::timespec { tv_sec: 0, tv_nsec: INTERVAL };
    let times = libc::itimerspec { it_interval: interval, it_value: interval };
    // SAFETY: what the calls are given lives through them; the handler only does what a signal handler may. Calls that it comes upon
    // are begun again.
    unsafe {
        let mut event: libc::sigevent = std::mem::zeroed();
        (event.sigev_notify, event.sigev_signo) = (libc::SIGEV_SIGNAL, TICK);
        let mut timer = std::mem::zeroed();
        libc::signal(TICK, handler as libc::sighandler_t);
        // Without a timer there is none: a loop that is never left goes on as it is then.
        if libc::timer_create(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut event, &raw mut timer) == 0 {
            TIMER.store(timer, Ordering::Relaxed);
            libc::timer_settime(timer, 0, &raw const times, std::ptr::null_mut());
        }
    }
}

/// The timer that [`look`] has made.
static TIMER: AtomicPtr<libc::c_void> = AtomicPtr::new(std::ptr::null_mut());

extern "C" fn tick(_: libc::c_int) {
    if !INTERRUPT.get().is_some_and(Interrupt::look_for_debugger) {
        // SAFETY: stops the timer, as may be done in a handler.
        unsafe {
            let never: libc::itimerspec = std::mem::zeroed();
            libc::timer_settime(TIMER.load(Ordering::Relaxed), 0, &raw const never, std::ptr::null_mut());
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
    // SAFETY: the sets and the descriptor live through the calls. Ctrl-C is held back until the wait has begun, which it ends; the timer
    // is not to end it.
    unsafe {
        let (mut held, mut before) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigemptyset(&raw mut held);
        libc::sigaddset(&raw mut held, libc::SIGINT);
        libc::sigaddset(&raw mut held, TICK);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const held, &raw mut before);
        super::print(prompt);
        let mut waiting = before;
        libc::sigaddset(&raw mut waiting, TICK);
        let outcome = libc::ppoll(&raw mut input, 1, std::ptr::null(), &raw const waiting);
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
