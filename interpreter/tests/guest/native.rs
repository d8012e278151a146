//! Executes single instructions on the host: the reference that the interpreter is held against.
//!
//! No code of our own surrounds the instruction: a breakpoint's signal handler replaces all registers by those of the test, the
//! instruction runs, and the next signal (a breakpoint behind it, or a fault) takes the registers and puts those of the
//! test program back. The kernel tells vector, error code and address of a fault.

use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use perilune_runtime::guest::cpu::Fx;

/// Where the test's memory lies, for the host and for the guest alike: below 4 GiB, so that 32-bit addresses reach it.
pub const BASE: u64 = 0x2000_0000;
/// The page of code, all breakpoints but for the instruction.
pub const CODE: u64 = BASE;
/// Two pages of data, with a page behind them that is not there.
pub const DATA: u64 = BASE + 0x2000;
/// Bytes of data.
pub const DATA_SIZE: usize = 0x2000;
/// A page that can only be read.
pub const CONSTANT: u64 = BASE + 0x5000;
/// A page of stack, between pages that are not there.
pub const STACK: u64 = BASE + 0x7000;
/// Bytes of the whole range.
pub const SIZE: usize = 0x9000;

/// What user code may do with a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// What it is for: code is read, written and executed, constants are read, all else is read and written.
    Usual,
    /// It is read and, if it holds code, executed.
    ReadOnly,
    /// It is not there.
    Absent,
    /// It is the supervisor's. On the host, where no test can have such pages, it is not there.
    Supervisor,
}

/// Registers before and after.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Registers {
    /// General registers, as instructions number them.
    pub gpr: [u64; 16],
    /// rip.
    pub rip: u64,
    /// Flags.
    pub rflags: u64,
    /// x87 and SSE.
    pub fx: Fx,
}

/// How an instruction ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ending {
    /// The vector of the exception; 3 when the instruction completed.
    pub vector: u8,
    /// The error code.
    pub code: u32,
    /// The address of a page fault.
    pub address: u64,
}

/// Seconds that code may run on the host.
const PATIENCE: u32 = 5;

const IDLE: u32 = 0;
const ENTER: u32 = 1;
const INSIDE: u32 = 2;

static PHASE: AtomicU32 = AtomicU32::new(IDLE);
static EXCHANGE: AtomicPtr<Exchange> = AtomicPtr::new(std::ptr::null_mut());
static LOCK: Mutex<()> = Mutex::new(());

struct Exchange {
    thread: libc::pthread_t,
    narrow: bool,
    registers: Registers,
    ending: Ending,
    host: libc::mcontext_t,
    host_state: [u8; 4096],
}

/// Where the kernel puts each general register, in the order of their numbers.
const PLACES: [libc::c_int; 16] = [
    libc::REG_RAX,
    libc::REG_RCX,
    libc::REG_RDX,
    libc::REG_RBX,
    libc::REG_RSP,
    libc::REG_RBP,
    libc::REG_RSI,
    libc::REG_RDI,
    libc::REG_R8,
    libc::REG_R9,
    libc::REG_R10,
    libc::REG_R11,
    libc::REG_R12,
    libc::REG_R13,
    libc::REG_R14,
    libc::REG_R15,
];

/// Bytes of extended state that the kernel saves, from the words that it leaves in the image (its magic number, then the size).
fn state_size(image: &[u8; 512]) -> usize {
    let word = |at: usize| u32::from_le_bytes(image[at..at + 4].try_into().expect("four bytes"));
    if word(464) == 0x4650_5853 { word(468) as usize } else { 512 }
}

extern "C" fn on_signal(signal: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let exchange = EXCHANGE.load(Ordering::Relaxed);
    let phase = PHASE.load(Ordering::Relaxed);
    if exchange.is_null() || phase == IDLE {
        if signal == libc::SIGALRM {
            return;
        }
        // A fault of the test program itself: let the default action report it.
        // SAFETY: resetting a signal's action is always allowed; the fault occurs again on return.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
        return;
    }
    if signal == libc::SIGALRM {
        // SAFETY: as below; the thread waits for its own code, so it is there.
        let thread = unsafe { (*exchange).thread };
        // SAFETY: both may be called in a signal's handler.
        if unsafe { libc::pthread_self() } != thread {
            // The kernel may choose any thread.
            // SAFETY: as above.
            unsafe { libc::pthread_kill(thread, signal) };
            return;
        }
        if phase != INSIDE {
            return;
        }
    }
    // SAFETY: the kernel passes a context that is valid until we return; `exchange` points to a value that the function that
    // raised the signal holds on its stack and does not touch while the signal is handled.
    let (context, exchange) = unsafe { (&mut (*context.cast::<libc::ucontext_t>()).uc_mcontext, &mut *exchange) };
    // SAFETY: the kernel's image of the extended state has at least the 512 bytes of FXSAVE.
    let image = unsafe { &mut *context.fpregs.cast::<[u8; 512]>() };
    let size = state_size(image).min(4096);
    // SAFETY: the image is `size` bytes long, as the kernel says in it.
    let state = unsafe { std::slice::from_raw_parts_mut(context.fpregs.cast::<u8>(), size) };
    let registers = &mut exchange.registers;
    if phase == ENTER {
        exchange.host = *context;
        exchange.host_state[..size].copy_from_slice(state);
        for (value, place) in registers.gpr.iter().zip(PLACES) {
            context.gregs[place as usize] = *value as i64;
        }
        context.gregs[libc::REG_RIP as usize] = registers.rip as i64;
        if exchange.narrow {
            // Linux's selectors for 32-bit user code and data: CS in the lowest 16 bits, SS in the highest.
            let selectors = &mut context.gregs[libc::REG_CSGSFS as usize];
            *selectors = *selectors & 0x0000_ffff_ffff_0000 | 0x23 | 0x2b << 48;
        }
        context.gregs[libc::REG_EFL as usize] = registers.rflags as i64;
        // SAFETY: `Fx` is 512 bytes without padding, any of which may be read as bytes. The kernel's words behind byte 464 stay.
        let fx: &[u8; 512] = unsafe { &*(&raw const registers.fx).cast() };
        state[..416].copy_from_slice(&fx[..416]);
        if size > 520 {
            // Both x87 and SSE come from the image.
            state[512] |= 3;
        }
        PHASE.store(INSIDE, Ordering::Relaxed);
        return;
    }
    for (value, place) in registers.gpr.iter_mut().zip(PLACES) {
        *value = context.gregs[place as usize] as u64;
    }
    registers.rip = context.gregs[libc::REG_RIP as usize] as u64;
    registers.rflags = context.gregs[libc::REG_EFL as usize] as u64;
    // SAFETY: `Fx` is made of integers only, so all bytes are valid for it.
    let fx: &mut [u8; 512] = unsafe { &mut *(&raw mut registers.fx).cast() };
    fx[..416].copy_from_slice(&state[..416]);
    let vector = context.gregs[libc::REG_TRAPNO as usize] as u8;
    exchange.ending = Ending {
        vector: if signal == libc::SIGALRM { 255 } else { vector },
        code: context.gregs[libc::REG_ERR as usize] as u32,
        address: context.gregs[libc::REG_CR2 as usize] as u64,
    };
    context.gregs = exchange.host.gregs;
    state.copy_from_slice(&exchange.host_state[..size]);
    PHASE.store(IDLE, Ordering::Relaxed);
}

/// The host as a processor: the mapping, and the right to use the signals.
pub struct Host {
    _lock: std::sync::MutexGuard<'static, ()>,
}

impl Host {
    /// Maps the memory and takes over the signals. One at a time.
    pub fn new() -> Host {
        let lock = LOCK.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let none = libc::PROT_NONE;
        let all = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
        let data = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: the range is not in use (MAP_FIXED_NOREPLACE fails if it were), or it is ours from an earlier call.
        unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
            let at = libc::mmap(BASE as *mut _, SIZE, none, flags, -1, 0);
            assert_eq!(at as u64, BASE, "the test's range of addresses is free");
            let protect = |at: u64, size: usize, how| assert_eq!(libc::mprotect(at as *mut _, size, how), 0);
            protect(CODE, 0x1000, all);
            protect(DATA, DATA_SIZE, data);
            protect(CONSTANT, 0x1000, libc::PROT_READ);
            protect(STACK, 0x1000, data);
            // Touch them, so that a fault means what the protection says.
            std::ptr::read_volatile(CONSTANT as *const u8);
            let stack = vec![0u8; 1 << 16].leak();
            let alternative = libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: stack.len() };
            assert_eq!(libc::sigaltstack(&raw const alternative, std::ptr::null_mut()), 0);
            for signal in [libc::SIGALRM, libc::SIGTRAP, libc::SIGSEGV, libc::SIGFPE, libc::SIGILL, libc::SIGBUS] {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = on_signal as *const () as usize;
                action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
                assert_eq!(libc::sigaction(signal, &raw const action, std::ptr::null_mut()), 0);
            }
        }
        Host { _lock: lock }
    }

    fn range(at: u64, size: usize) -> *mut u8 {
        assert!(at >= BASE && at + size as u64 <= BASE + SIZE as u64);
        at as *mut u8
    }

    /// Reads the test's memory: data or stack.
    pub fn read(&self, at: u64, size: usize) -> &[u8] {
        // SAFETY: the range lies in our mapping, in pages that can be read.
        unsafe { std::slice::from_raw_parts(Host::range(at, size), size) }
    }

    /// Writes code, data or stack.
    pub fn write(&mut self, at: u64, bytes: &[u8]) {
        // SAFETY: the range lies in our mapping, in pages that can be written; nothing else refers to it.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), Host::range(at, bytes.len()), bytes.len()) };
    }

    /// Writes the page of constants.
    pub fn write_constants(&mut self, bytes: &[u8]) {
        // SAFETY: the page is ours, and no reference into it is alive.
        assert_eq!(unsafe { libc::mprotect(CONSTANT as *mut _, 0x1000, libc::PROT_READ | libc::PROT_WRITE) }, 0);
        self.write(CONSTANT, bytes);
        self.protect(CONSTANT, Access::Usual);
    }

    /// Changes what may be done with the page at `at`.
    pub fn protect(&mut self, at: u64, access: Access) {
        let write = if at == CONSTANT { 0 } else { libc::PROT_WRITE };
        let execute = if at == CODE { libc::PROT_EXEC } else { 0 };
        let how = match access {
            Access::Usual => libc::PROT_READ | write | execute,
            Access::ReadOnly => libc::PROT_READ | execute,
            Access::Absent | Access::Supervisor => libc::PROT_NONE,
        };
        // SAFETY: the page is ours, and no reference into it is alive, since those borrow `self`.
        assert_eq!(unsafe { libc::mprotect(Host::range(at, 0x1000).cast(), 0x1000, how) }, 0);
    }

    /// Executes what lies at `registers.rip` until a breakpoint or a fault. A breakpoint leaves rip behind its one byte.
    /// `narrow` makes it 32-bit code. What does not end within seconds ends with vector 255.
    pub fn run(&mut self, registers: Registers, narrow: bool) -> (Registers, Ending) {
        let mut exchange = Box::new(Exchange {
            // SAFETY: it has no preconditions.
            thread: unsafe { libc::pthread_self() },
            narrow,
            registers,
            ending: Ending { vector: 0, code: 0, address: 0 },
            // SAFETY: an all-zero context is a valid value; the handler fills it.
            host: unsafe { std::mem::zeroed() },
            host_state: [0; 4096],
        });
        // SAFETY: Linux's selector for user data; 64-bit code does not look at DS and ES, 32-bit code needs them.
        unsafe { std::arch::asm!("mov ds, {0:e}", "mov es, {0:e}", in(reg) 0x2b) };
        EXCHANGE.store(&raw mut *exchange, Ordering::Relaxed);
        PHASE.store(ENTER, Ordering::Relaxed);
        // SAFETY: the breakpoint's handler runs the instruction with its own registers and then restores all of ours; memory outside
        // of the mapping is out of the reach of the instructions that the tests generate.
        unsafe {
            libc::alarm(PATIENCE);
            std::arch::asm!("int3");
            libc::alarm(0);
        }
        EXCHANGE.store(std::ptr::null_mut(), Ordering::Relaxed);
        (exchange.registers, exchange.ending)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nothing refers to it any more.
        unsafe { libc::munmap(BASE as *mut _, SIZE) };
    }
}
