//! Whole images in a guest machine: built here from assembly and C with the system's tools, run by `perilune-vm` or the Rust API.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

use perilune::guest::{Action, Budget, Error, Exit, Filter, Gpa, Gva, Machine, Reason, Register, Start, Translation};

fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guest");
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn tool(name: &str, arguments: &[&str]) {
    let done = Command::new(name).args(arguments).output();
    let done = done.unwrap_or_else(|e| panic!("{name} is needed to build the images: {e}"));
    assert!(done.status.success(), "{name} {arguments:?}\n{}", String::from_utf8_lossy(&done.stderr));
}

/// Builds the image of a kernel, once, whichever test is the first to want it; answers its path.
fn image(kernel: &str) -> PathBuf {
    static BUILT: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    built.entry(kernel.into()).or_insert_with(|| build(kernel)).clone()
}

fn build(kernel: &str) -> PathBuf {
    let source = |name: &str| format!("{}/tests/guest/{name}", env!("CARGO_MANIFEST_DIR"));
    let made = |ending: &str| folder().join(format!("{kernel}{ending}")).to_string_lossy().into_owned();
    let (boot, object, linked, image) = (made(".boot.o"), made(".o"), made(".elf64"), made(".elf"));
    tool("cc", &["-c", "-m64", &source("boot.S"), "-o", &boot]);
    let flags = "-c -m64 -O2 -ffreestanding -fno-pic -fno-stack-protector -fcf-protection=none -mno-red-zone -mgeneral-regs-only \
                 -fno-asynchronous-unwind-tables -Wall -Wextra -Werror";
    let flags = if kernel == "floats" { flags.replace("-mgeneral-regs-only", "-msse2") } else { flags.into() };
    let flags: Vec<&str> = flags.split_whitespace().collect();
    tool("cc", &[&flags[..], &[&source(&format!("{kernel}.c")), "-o", &object]].concat());
    let script = source("kernel.ld");
    tool(
        "ld",
        &[
            "-m",
            "elf_x86_64",
            "-z",
            "max-page-size=4096",
            "-z",
            "noexecstack",
            "-T",
            &script,
            &boot,
            &object,
            "-o",
            &linked,
        ],
    );
    tool("objcopy", &["-O", "elf32-i386", &linked, &image]);
    image.into()
}

fn vm(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_perilune-vm")).args(arguments).output().expect("perilune-vm runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// How kernels are run: interpreted; translated as users have it; each block translated before it is first executed.
const TRANSLATIONS: [&str; 3] = ["off", "on", "1"];

/// Runs a kernel with and without translation; its output must be that of the file beside it, and its status `status`.
fn check(kernel: &str, status: i32, arguments: &[&str]) {
    let image = image(kernel);
    let path = format!("{}/tests/guest/{kernel}.out", env!("CARGO_MANIFEST_DIR"));
    let wanted = std::fs::read_to_string(&path).expect(&path);
    let mut instructions = Vec::new();
    for translation in TRANSLATIONS {
        let options = ["--translate", translation, "--budget", "1G", "--stats", &image.to_string_lossy()];
        let done = vm(&[arguments, &options].concat());
        assert_eq!(text(&done.stdout), wanted, "{translation}: {}", text(&done.stderr));
        assert_eq!(done.status.code(), Some(status), "{translation}: {}", text(&done.stderr));
        let told = text(&done.stderr);
        let count = |name: &str| told.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
        instructions.push(count("instructions"));
        let translated = count("translator: instructions translated").unwrap_or(0);
        assert_eq!(translated > 0, translation != "off" && cfg!(feature = "jit"), "{translation}: {told}");
    }
    // Time, and with it what interrupts find, is the same in all of them.
    assert_eq!([instructions[0]; 3][..], instructions);
}

#[test]
fn a_kernel_in_c_prints_and_leaves() {
    check("hello", 43, &["--append", "one two"]);
}

#[test]
fn exceptions_pages_rings_and_timers() {
    check("traps", 1, &[]);
}

#[test]
fn floating_point() {
    check("floats", 7, &[]);
}

#[test]
fn code_is_written_and_pages_move_while_they_are_used() {
    check("torture", 7, &[]);
}

/// The address of a symbol of a kernel that [`image`] has built.
fn symbol(kernel: &str, name: &str) -> u64 {
    let linked = folder().join(format!("{kernel}.elf64"));
    let told = Command::new("nm").arg(&linked).output().expect("nm is needed to find symbols");
    let told = text(&told.stdout);
    let line = told.lines().find(|line| line.ends_with(&format!(" {name}"))).unwrap_or_else(|| panic!("no {name}"));
    u64::from_str_radix(line.split(' ').next().expect("an address"), 16).expect("a number")
}

/// Runs the kernel `torture` in slices, behind each of which the monitor writes a function that the kernel calls. With `renew`, another
/// machine goes on behind each slice, which has decoded and translated nothing.
fn torture(translation: Translation, renew: bool) -> (Exit, u64, Vec<u64>, Vec<u8>) {
    const MEMORY: u64 = 4 << 20;
    let new = || Machine::builder().memory(MEMORY).translation(translation).build().expect("a machine");
    let image = std::fs::read(image("torture")).expect("the image");
    let frames = symbol("torture", "frames");
    let mut machine = new();
    machine.load(&image, "").expect("loaded");
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |n: u64| {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (random >> 33) % n
    };
    loop {
        let exit = machine.run(Budget::Instructions(1 + next(40_000)));
        if exit != Exit::Budget {
            let registers = Register::ALL.iter().map(|register| machine.get(*register)).collect();
            let memory = machine.slice(Gpa(0), MEMORY as usize).expect("RAM").to_vec();
            return (exit, machine.instructions(), registers, memory);
        }
        // Not into a function that is being executed.
        if machine.get(Register::Rip) < 1 << 30 {
            let function = [&[0xb8][..], &(next(1 << 31) as u32).to_le_bytes(), &[0xc3]].concat();
            machine.write(Gpa(frames + 64 * next(16 * 64)), &function).expect("RAM");
        }
        if renew {
            let snapshot = machine.snapshot();
            machine = new();
            machine.restore(&snapshot).expect("as large");
        }
    }
}

#[test]
fn the_monitor_writes_code_that_is_used() {
    let expected = torture(Translation::Off, true);
    assert_eq!(expected.0, Exit::Debug(3));
    for translation in [Translation::Off, Translation::On, Translation::After(1)] {
        assert!(torture(translation, false) == expected, "{translation:?}");
    }
}

#[test]
fn operands_that_are_rewritten() {
    check("rewrite", 1, &[]);
}

#[test]
fn tables_whole_pages_apart() {
    check("tables", 7, &[]);
}

/// In slices of any length the translated guest has at each end what the interpreted one has.
#[test]
fn slices_end_alike() {
    let kernel = std::fs::read(image("rewrite")).expect("the image");
    let mut machines = [Translation::Off, Translation::After(1), Translation::On].map(|translation| {
        let machine = Machine::builder().memory(16 << 20).translation(translation).build();
        let mut machine = machine.expect("a machine");
        machine.load(&kernel, "").expect("loaded");
        machine
    });
    for slice in 0u64.. {
        let length = [1, 200, 997, 64, 130, 4001][slice as usize % 6];
        let ends = machines.each_mut().map(|machine| machine.run(Budget::Instructions(length)));
        let states = machines.each_mut().map(|machine| {
            let time = machine.instructions();
            (time, Register::ALL.iter().map(|register| machine.get(*register)).collect::<Vec<_>>())
        });
        assert_eq!(states[0], states[1], "slice {slice}");
        assert_eq!(states[0], states[2], "slice {slice}");
        assert_eq!([ends[0]; 3], ends, "slice {slice}");
        if ends[0] != Exit::Budget {
            break;
        }
    }
}

#[test]
fn runs_repeat_exactly() {
    let image = image("traps");
    let run = || {
        let mut machine = Machine::builder().memory(16 << 20).build().expect("a machine");
        machine.load(&std::fs::read(&image).expect("the image"), "").expect("loaded");
        let exit = machine.run(Budget::Unlimited);
        (exit, machine.instructions(), machine.blocks())
    };
    let first = run();
    assert_eq!(first.0, Exit::Debug(0));
    assert_eq!(first, run());
}

#[test]
fn damaged_images_are_refused() {
    let good = std::fs::read(image("hello")).expect("the image");
    let mut machine = Machine::builder().memory(4 << 20).build().expect("a machine");
    for length in 0..good.len().min(4096) {
        // A part may be a whole image; it must not be more than an error or a load.
        let _ = machine.load(&good[..length], "");
    }
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    for _ in 0..3000 {
        let mut bad = good.clone();
        for _ in 0..3 {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let at = (random >> 33) as usize % 400;
            bad[at] = (random >> 24) as u8;
        }
        if machine.load(&bad, "").is_ok() {
            machine.run(Budget::Instructions(2000));
        }
    }
    let refused = |image: &[u8]| machine_error(Machine::builder().memory(1 << 20), image);
    assert!(refused(b"hello").contains("neither an ELF"));
    assert!(refused(&good).contains("do not fit"));
}

fn machine_error(builder: perilune::guest::Builder, image: &[u8]) -> String {
    builder.build().expect("a machine").load(image, "").expect_err("refused").to_string()
}

/// A machine with code at 8000h in 64-bit mode.
fn flat(code: &[u8]) -> Machine {
    let mut machine = Machine::builder().memory(1 << 20).build().expect("a machine");
    machine.load_flat(code, Gpa(0x8000), Start::Long).expect("loaded");
    machine
}

/// A page at two addresses: what is relative to rip is relative to the one it is executed at.
#[test]
fn code_at_two_addresses_is_two_blocks() {
    // 1000h: page tables that map 0 to 1 GiB at 0, and at 40000000h too.
    let mut code = vec![
        0x48, 0x8d, 0x05, 0xf9, 0xff, 0xff, 0xff, // lea rax, [rip - 7]
        0x48, 0xff, 0xc9, // dec rcx
        0x75, 0xf4, // jnz back
        0xe7, 0xf4, // out 0xf4, eax
    ];
    code.resize(16, 0x90);
    for translation in [Translation::Off, Translation::After(1), Translation::After(3)] {
        let mut machine = Machine::builder().memory(2 << 20).translation(translation).build().expect("a machine");
        machine.load_flat(&code, Gpa(0x8000), Start::Long).expect("loaded");
        let (root, low) = (0x10_0000u64, 0x10_1000u64);
        for (at, value) in [(root, low | 3), (low, 0x83), (low + 8, 0x83)] {
            machine.write(Gpa(at), &value.to_le_bytes()).expect("written");
        }
        machine.set(Register::Cr3, root);
        for start in [0x8000, 0x4000_8000, 0x8000] {
            machine.set(Register::Rip, start);
            machine.set(Register::Rcx, 300);
            assert_eq!(machine.run(Budget::Instructions(10_000)), Exit::Debug(start as u32), "{translation:?}");
        }
    }
}

#[test]
fn budgets_are_exact() {
    // 1: inc rax; jmp 1b
    let mut machine = flat(&[0x48, 0xff, 0xc0, 0xeb, 0xfb]);
    for count in [1, 2, 3, 1000, 1, 77_777, 10_000_001] {
        let before = machine.instructions();
        assert_eq!(machine.run(Budget::Instructions(count)), Exit::Budget);
        assert_eq!(machine.instructions() - before, count);
    }
    let total = machine.instructions();
    assert_eq!(machine.get(Register::Rax), total.div_ceil(2));
}

#[test]
fn endless_exceptions_are_a_triple_fault() {
    // ud2, without a table of interrupts.
    let mut machine = flat(&[0x0f, 0x0b]);
    assert_eq!(machine.run(Budget::Unlimited), Exit::TripleFault);
    // And it stays one.
    assert_eq!(machine.run(Budget::Unlimited), Exit::TripleFault);
}

#[test]
fn what_is_asked_for_is_told() {
    // vmcall; cpuid; in al, 0x10; rdtsc; hlt
    let mut machine = flat(&[0x0f, 0x01, 0xc1, 0x0f, 0xa2, 0xe4, 0x10, 0x0f, 0x31, 0xf4]);
    for reason in [Reason::Hypercall, Reason::Cpuid, Reason::PortIn] {
        machine.intercept(reason, true);
    }
    assert_eq!(machine.run(Budget::Unlimited), Exit::Hypercall);
    assert_eq!(machine.run(Budget::Unlimited), Exit::Hypercall);
    machine.set(Register::Rax, 0);
    machine.skip().expect("an instruction");
    let cpuid = Exit::Intercepted { reason: Reason::Cpuid, number: 0, value: None };
    assert_eq!(machine.run(Budget::Unlimited), cpuid);
    machine.emulate();
    assert_eq!(machine.run(Budget::Unlimited), Exit::PortIn { port: 0x10, size: 1 });
    assert_eq!(machine.get(Register::Rbx), u64::from(u32::from_le_bytes(*b"Auth")));
    machine.answer_port(1, 0x5a).expect("an instruction");
    assert_eq!(machine.get(Register::Rax) & 0xff, 0x5a);
    machine.intercept(Reason::Rdtsc, false);
    assert_eq!(machine.run(Budget::Unlimited), Exit::Halted);
}

#[test]
fn code_that_writes_itself() {
    // mov byte [rip + 1], 7 (the immediate of the next instruction); mov eax, 1; hlt
    let mut machine = flat(&[0xc6, 0x05, 0x01, 0x00, 0x00, 0x00, 0x07, 0xb8, 1, 0, 0, 0, 0xf4]);
    assert_eq!(machine.run(Budget::Unlimited), Exit::Halted);
    assert_eq!(machine.get(Register::Rax), 7);
    // The monitor writes code that was executed before.
    machine.write(Gpa(0x8008), &[9]).expect("RAM");
    machine.set(Register::Rip, 0x8007);
    machine.emulate();
    assert!(matches!(machine.run(Budget::Instructions(1)), Exit::Halted | Exit::Budget));
}

/// 1: mov [0x9000], rax; mov rbx, [0x9008]; inc rax; cmp rax, 3; jne 1b; out 0x10, al; hlt
const LOOP: &[u8] = &[
    0x48, 0x89, 0x04, 0x25, 0x00, 0x90, 0, 0, 0x48, 0x8b, 0x1c, 0x25, 0x08, 0x90, 0, 0, 0x48, 0xff, 0xc0, 0x48, 0x83,
    0xf8, 3, 0x75, 0xe7, 0xe6, 0x10, 0xf4,
];

#[test]
fn hooks_see_each_event_once() {
    use std::sync::Arc;

    let log = Arc::new(Mutex::new(Vec::new()));
    let hooked = |filter: &Filter| {
        let log = Arc::clone(&log);
        let name = format!("{filter:?}").split(['(', ' ']).next().unwrap_or("").to_string();
        move |machine: &mut Machine, exit: &Exit| {
            let what = match exit {
                Exit::Access { address, value, write, .. } => format!("{address:x} {value} {write}"),
                Exit::PortOut { port, value, .. } => format!("{port:x} {value}"),
                _ => format!("{:x}", machine.get(Register::Rip)),
            };
            log.lock().expect("the log").push(format!("{name} {what}"));
            Action::Continue
        }
    };
    let mut machine = flat(LOOP);
    machine.write(Gpa(0x9008), &[9]).expect("RAM");
    for filter in [
        Filter::Blocks,
        Filter::Instructions(Gva(0x8010)..Gva(0x8011)),
        Filter::Memory(Gva(0x9000)..Gva(0x9010)),
        Filter::Ports(0x10..=0x1f),
    ] {
        let function = hooked(&filter);
        machine.hook(filter, function);
    }
    assert_eq!(machine.run(Budget::Unlimited), Exit::Halted);
    let round = |n: u32| [format!("Memory 9000 {n} true"), "Memory 9008 9 false".into(), "Instructions 8010".into()];
    let mut expected = vec!["Blocks 8000".to_string()];
    for n in 0..3 {
        expected.extend(round(n));
        expected.push(if n < 2 { "Blocks 8000".into() } else { "Blocks 8019".into() });
    }
    expected.push("Ports 10 3".into());
    assert_eq!(*log.lock().expect("the log"), expected);
    assert_eq!(machine.instructions(), 3 * 5 + 2);
}

#[test]
fn hooks_come_and_go_while_the_guest_runs() {
    let mut machine = flat(LOOP);
    // A hook that removes itself and puts another one in its place, which stops the run.
    let mut own = None;
    let id = machine.hook(Filter::Instructions(Gva(0x8010)..Gva(0x8011)), move |machine, _| {
        if own.replace(()).is_none() {
            return Action::Continue;
        }
        machine.hook(Filter::Memory(Gva(0x9000)..Gva(0x9001)), |_, _| Action::Stop);
        Action::Continue
    });
    assert_eq!(machine.run(Budget::Unlimited), Exit::Access { address: 0x9000, size: 8, value: 2, write: true });
    assert_eq!(machine.get(Register::Rip), 0x8008);
    assert!(machine.unhook(id) && !machine.unhook(id));
    // A hook that does the instruction's work itself.
    machine.hook(Filter::Ports(0..=0xff), |machine, _| {
        machine.set(Register::Rbx, 77);
        machine.skip().expect("an instruction");
        Action::Handled
    });
    assert_eq!(machine.run(Budget::Unlimited), Exit::Halted);
    assert_eq!(machine.get(Register::Rbx), 77);
}

#[test]
fn interrupts_are_told_before_they_are_delivered() {
    let mut machine = Machine::builder().memory(16 << 20).build().expect("a machine");
    machine.load(&std::fs::read(image("traps")).expect("the image"), "").expect("loaded");
    let seen = std::sync::Arc::new(Mutex::new(Vec::new()));
    let log = std::sync::Arc::clone(&seen);
    machine.hook(Filter::Interrupts, move |_, exit| {
        let Exit::Intercepted { number, .. } = exit else { panic!("{exit:?}") };
        log.lock().expect("the log").push(*number);
        Action::Continue
    });
    assert_eq!(machine.run(Budget::Unlimited), Exit::Debug(0));
    assert_eq!(*seen.lock().expect("the log"), [0x20, 0x20, 0x20, 0x20, 0x20, 0x40, 0x40, 0x40]);
}

#[test]
fn a_snapshot_is_the_whole_machine() {
    let mut machine = Machine::builder().memory(16 << 20).build().expect("a machine");
    machine.load(&std::fs::read(image("traps")).expect("the image"), "").expect("loaded");
    // In the middle of everything, timers running.
    assert_eq!(machine.run(Budget::Instructions(3_000_000)), Exit::Budget);
    let snapshot = machine.snapshot();
    let rest = |machine: &mut Machine| {
        let exit = machine.run(Budget::Unlimited);
        let registers: Vec<u64> = Register::ALL.iter().map(|register| machine.get(*register)).collect();
        let memory = machine.slice(Gpa(0), 16 << 20).expect("RAM").to_vec();
        (exit, machine.instructions(), registers, memory)
    };
    let first = rest(&mut machine);
    assert_eq!(first.0, Exit::Debug(0));
    for _ in 0..3 {
        machine.restore(&snapshot).expect("the same machine");
        assert_eq!(machine.instructions(), 3_000_000);
        assert!(rest(&mut machine) == first);
    }
    let mut other = Machine::builder().memory(16 << 20).build().expect("a machine");
    other.restore(&snapshot).expect("as large");
    assert!(rest(&mut other) == first);
    let mut smaller = Machine::builder().memory(8 << 20).build().expect("a machine");
    assert!(smaller.restore(&snapshot).is_err());
}

#[test]
fn addresses_are_checked() {
    let mut machine = flat(&[0xf4]);
    assert_eq!(machine.slice(Gpa(0x8000), 1).expect("RAM"), &[0xf4]);
    assert!(matches!(machine.slice(Gpa(0xf_ffff), 2), Err(Error::Address(_))));
    assert!(machine.write(Gpa(1 << 20), &[1]).is_err());
    assert_eq!(machine.translate(Gva(0x1234)), Some(Gpa(0x1234)));
    assert_eq!(machine.translate(Gva(1 << 40)), None);
    assert_eq!(machine.translate(Gva(1 << 50)), None);
    let mut bytes = [0; 4];
    machine.write_virtual(Gva(0x8ffe), &[1, 2, 3, 4]).expect("mapped");
    machine.read_virtual(Gva(0x8ffe), &mut bytes).expect("mapped");
    assert_eq!(bytes, [1, 2, 3, 4]);
    assert!(machine.read_virtual(Gva(u64::MAX - 1), &mut bytes).is_err());
}

#[test]
fn rom_is_not_written() {
    // mov byte [0x9000], 1; mov al, [0x9000]; hlt
    let mut machine = flat(&[0xc6, 0x04, 0x25, 0, 0x90, 0, 0, 1, 0x8a, 0x04, 0x25, 0, 0x90, 0, 0, 0xf4]);
    machine.write(Gpa(0x9000), &[5]).expect("RAM");
    machine.make_rom(Gpa(0x9000), 0x1000);
    assert_eq!(machine.run(Budget::Unlimited), Exit::Halted);
    assert_eq!(machine.get(Register::Rax) & 0xff, 5);
}

#[test]
fn real_mode_reaches_a_handler() {
    // mov word [0x84], 0x7d00; mov word [0x86], 0; int 0x21; hlt -- and at 7d00h: mov ax, 0x1234; iret
    let mut code = vec![0xc7, 0x06, 0x84, 0, 0x00, 0x7d, 0xc7, 0x06, 0x86, 0, 0, 0, 0xcd, 0x21, 0xf4];
    code.resize(0x100, 0);
    code.extend([0xb8, 0x34, 0x12, 0xcf]);
    let mut machine = Machine::builder().memory(1 << 20).build().expect("a machine");
    machine.load_flat(&code, Gpa(0x7c00), Start::Real).expect("loaded");
    machine.set(Register::Rsp, 0x7000);
    assert_eq!(machine.run(Budget::Unlimited), Exit::Halted);
    assert_eq!(machine.get(Register::Rax), 0x1234);
    assert_eq!(machine.get(Register::Rsp), 0x7000);
}

#[test]
fn the_command_tells_what_is_wrong() {
    let done = vm(&["/nowhere/at/all"]);
    assert_eq!(done.status.code(), Some(2));
    assert!(text(&done.stderr).contains("/nowhere/at/all"), "{}", text(&done.stderr));
    let done = vm(&["--trace", "nothing", &image("hello").to_string_lossy()]);
    assert!(text(&done.stderr).contains("'nothing' is none of instructions"), "{}", text(&done.stderr));
    let done = vm(&["--help"]);
    assert!(text(&done.stdout).contains("Usage: perilune-vm"));
}

#[test]
fn what_happens_can_be_traced() {
    let image = image("hello");
    let done = vm(&["--serial", "none", "--trace", "cpuid,write-control", "--stats", &image.to_string_lossy()]);
    let told = text(&done.stderr);
    assert!(told.contains("WriteControl") && told.contains("instructions "), "{told}");
    let done = vm(&["--serial", "none", "--trace", "instructions", "--budget", "3", &image.to_string_lossy()]);
    assert!(text(&done.stderr).contains("mov esp,"), "{}", text(&done.stderr));
    assert_eq!(done.status.code(), Some(6));
}

/// The examples in Lua, which are run by `perilune`, with the compiler and without.
#[test]
fn lua_scripts_are_monitors() {
    let wanted = [
        ("ports", "halted\tbl = 55\t"),
        ("hypercalls", "the guest says: Hello, monitor\nhalted\trax = 42\n"),
        (
            "tracer",
            "reads  0x9000: 3\nwrites 0x9000: 2\nreads  0x9000: 2\nwrites 0x9000: 1\nhalted\nblock 0x8000: 3 times\n",
        ),
        ("fuzzer", "found: bug\tvector 6\tin time\n"),
    ];
    for (name, output) in wanted {
        let modes: &[&[&str]] = if cfg!(feature = "jit") { &[&["-jon"], &["-joff"]] } else { &[&[]] };
        for mode in modes {
            let path = format!("{}/examples/guest/{name}.lua", env!("CARGO_MANIFEST_DIR"));
            let done =
                Command::new(env!("CARGO_BIN_EXE_perilune")).args(*mode).arg(&path).output().expect("perilune runs");
            assert!(text(&done.stdout).starts_with(output), "{name}: {}{}", text(&done.stdout), text(&done.stderr));
        }
    }
}

#[test]
fn lua_scripts_are_told_what_is_wrong() {
    let said = |code: &str| {
        let code = format!("local guest = require 'guest' local m = guest.machine(1 << 20) {code}");
        let done = Command::new(env!("CARGO_BIN_EXE_perilune")).args(["-e", &code]).output().expect("perilune runs");
        text(&done.stderr)
    };
    for (code, message) in [
        ("guest.machine(1)", "guest memory of 1 bytes"),
        ("m:load('x')", "neither an ELF"),
        ("m:get('eax')", "no register is named 'eax'"),
        ("m:intercept('all')", "no exit is named 'all'"),
        ("m.run({})", "userdata expected"),
        ("m:read(1 << 20, 1)", "nothing is mapped at 0x100000"),
        ("m:read(0, -1)", "out of range"),
        ("m:hook('port', 1)", "function expected"),
        ("m:load_flat('\\xe6\\x10', 0x8000) m:hook('port', function() return 'what' end) m:run()", "not 'what'"),
        ("m:load_flat('\\xe6\\x10', 0x8000) m:hook('port', function() error('mine') end) m:run()", "mine"),
        ("m:restore(m)", "a snapshot of a guest machine is wanted"),
    ] {
        assert!(said(code).contains(message), "{code}: {}", said(code));
    }
}
