//! What comes to a guest from outside: images of nonsense, and writes to code that was translated.
//!
//! `PERILUNE_GUEST_IMAGES` is the number of images, `PERILUNE_GUEST_SEED` where they begin:
//! `PERILUNE_GUEST_IMAGES=1000000 cargo test --release --test guest_monitor images`.

#![cfg(feature = "jit")]
#![forbid(unsafe_code)]

use std::process::Command;

use perilune::guest::{Action, Budget, Exit, Filter, Gpa, Gva, Machine, Reason, Register, Start, Translation};

/// xorshift.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() >> 11) as usize % n.max(1)
    }

    /// A value of the kind that finds mistakes in sizes and offsets.
    fn value(&mut self) -> u64 {
        match self.below(6) {
            0 => self.below(8) as u64,
            1 => u64::MAX - self.below(8) as u64,
            2 => (1u64 << self.below(64)).wrapping_sub(self.below(3) as u64),
            3 => 0x10_0000 + self.below(0x1000) as u64,
            4 => self.below(0x3000) as u64,
            _ => self.next(),
        }
    }
}

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn tool(name: &str, arguments: &[&str]) {
    let done = Command::new(name).args(arguments).output();
    let done = done.unwrap_or_else(|e| panic!("{name} is needed to build the images: {e}"));
    assert!(done.status.success(), "{name} {arguments:?}\n{}", String::from_utf8_lossy(&done.stderr));
}

/// Good images: an ELF64 and a multiboot ELF32, both with symbols, a multiboot image with addresses, and bytes.
fn good() -> Vec<Vec<u8>> {
    let path = |name: &str| format!("{}/monitor-{name}", env!("CARGO_TARGET_TMPDIR"));
    let source = |name: &str| format!("{}/{name}", env!("CARGO_MANIFEST_DIR"));
    let (wide, narrow, object) = (path("64.elf"), path("32.elf"), path("guest.o"));
    tool("cc", &["-c", "-m64", "-Wa,--defsym,ROUNDS=50", &source("tests/gdb/guest.S"), "-o", &object]);
    tool("ld", &["-z", "noexecstack", "-e", "main", "-Ttext", "0x100000", &object, "-o", &wide]);
    let (bare, kernel, linked) = (path("bare.o"), path("kernel.o"), path("kernel.elf"));
    let include = format!("-Wa,-I{}", source("benches/guest"));
    for (from, to) in [("bare", &bare), ("integer", &kernel)] {
        tool("cc", &["-c", "-m64", &include, &source(&format!("benches/guest/{from}.S")), "-o", to]);
    }
    let script = source("benches/guest/kernel.ld");
    let rwx = "--no-warn-rwx-segments";
    tool("ld", &["-z", "noexecstack", rwx, "-T", &script, &bare, &kernel, "--defsym", "ROUNDS=20", "-o", &linked]);
    tool("objcopy", &["-O", "elf32-i386", &linked, &narrow]);
    let read = |path: &str| std::fs::read(path).expect("just built");
    // Flags with addresses: header, load, end of data, end of all, entry; then out 0xf4, eax.
    let (magic, flags) = (0x1bad_b002u32, 1u32 << 16);
    let header =
        [magic, flags, 0u32.wrapping_sub(magic).wrapping_sub(flags), 0x10_0000, 0x10_0000, 0, 0x10_1000, 0x10_0020];
    let mut addressed: Vec<u8> = header.iter().flat_map(|word| word.to_le_bytes()).collect();
    addressed.extend([0xe7, 0xf4]);
    vec![read(&wide), read(&narrow), addressed.clone(), addressed[32..].to_vec()]
}

/// An image with some of its fields changed, mostly in its headers, parts moved, or the end cut off.
fn garble(good: &[u8], random: &mut Random) -> Vec<u8> {
    let mut image = good.to_vec();
    for _ in 0..1 + random.below(4) {
        let length = image.len();
        let near = if random.below(3) == 0 { length } else { length.min(0x180) };
        let at = random.below(near);
        let size = [1, 2, 4, 8][random.below(4)].min(length - at);
        let value = random.value().to_le_bytes();
        image[at..at + size].copy_from_slice(&value[..size]);
        match random.below(12) {
            // Down to one byte, most often within the headers.
            0 => image.truncate(1 + random.below(near)),
            1 => {
                let from = random.below(length);
                let count = random.below(64).min(length - from.max(at));
                image.copy_within(from..from + count, at);
            }
            _ => {}
        }
    }
    image
}

#[test]
fn images_of_nonsense_are_loaded_or_refused() {
    let good = good();
    let mut machine = Machine::builder().memory(16 << 20).gdb(true).build().expect("a machine");
    for (n, image) in good.iter().take(3).enumerate() {
        machine.load(image, "").expect("a good image");
        assert!(matches!(machine.run(Budget::Instructions(100_000)), Exit::Debug(_)), "image {n}");
    }
    let mut random = Random(setting("PERILUNE_GUEST_SEED", 0x1234_5678_9abc_def1));
    let (mut loaded, mut refused) = (0, 0);
    for number in 0..setting("PERILUNE_GUEST_IMAGES", 4000) {
        let image = garble(&good[random.below(good.len())], &mut random);
        let command_line = if random.below(4) == 0 { "x".repeat(random.below(9000)) } else { String::new() };
        let result = match random.below(8) {
            0 => {
                let start = if random.below(2) == 0 { Start::Real } else { Start::Long };
                machine.load_flat(&image, Gpa(random.value()), start)
            }
            _ => machine.load(&image, &command_line),
        };
        let Err(error) = result else {
            loaded += 1;
            let before = machine.instructions();
            machine.run(Budget::Instructions(3000));
            assert!(machine.instructions() - before <= 3000, "image {number} runs beyond its budget");
            continue;
        };
        refused += 1;
        assert!(!error.to_string().is_empty(), "image {number}");
    }
    eprintln!("{loaded} loaded, {refused} refused");
    assert!(loaded > refused / 20 && refused > loaded / 20, "{loaded} loaded, {refused} refused");
}

const FUNCTION: u64 = 0x8100;
/// Reads a byte from the serial port into the first byte of the function, and goes on at the start.
const READER: u64 = 0x8200;

/// A guest on one page: a loop that calls two functions in one line, and leaves with what they have added up.
fn caller() -> Machine {
    let mut code = vec![0xcc; 0x300];
    let mut put = |at: u64, bytes: &[u8]| code[at as usize - 0x8000..][..bytes.len()].copy_from_slice(bytes);
    put(0x8000, &[0x31, 0xdb, 0xb9, 100, 0, 0, 0]); // xor ebx, ebx; mov ecx, 100
    put(0x8007, &[0xe8, 0xf4, 0, 0, 0, 0x01, 0xc3]); // call 8100h; add ebx, eax
    put(0x800e, &[0xe8, 0xfd, 0, 0, 0, 0x01, 0xc3]); // call 8110h; add ebx, eax
    put(0x8015, &[0xff, 0xc9, 0x75, 0xee, 0x89, 0xd8, 0xe7, 0xf4]); // dec ecx; jnz 8007h; mov eax, ebx; out 0xf4, eax
    put(FUNCTION, &[0x90, 0xb8, 1, 0, 0, 0, 0xc3]); // nop; mov eax, 1; ret
    put(0x8110, &[0xb8, 2, 0, 0, 0, 0xc3]); // mov eax, 2; ret
    // mov edx, 3f8h; mov edi, 8100h; insb; jmp 8000h
    put(READER, &[0xba, 0xf8, 3, 0, 0, 0xbf, 0, 0x81, 0, 0, 0x6c, 0xe9, 0xf0, 0xfd, 0xff, 0xff]);
    let machine = Machine::builder().memory(1 << 20).translation(Translation::After(1)).build();
    let mut machine = machine.expect("a machine");
    machine.load_flat(&code, Gpa(0x8000), Start::Long).expect("loaded");
    assert_eq!(machine.run(Budget::Instructions(5000)), Exit::Debug(300));
    machine
}

/// How many blocks were translated, and how many dropped.
fn translated(machine: &Machine) -> [u64; 2] {
    let counters = machine.translated();
    ["blocks translated", "blocks dropped"]
        .map(|name| counters.iter().find(|(known, _)| known == name).map_or(0, |(_, count)| *count))
}

/// Writes, runs from `start`, and answers how many blocks were translated and dropped since.
fn after(machine: &mut Machine, start: u64, expected: u32, write: impl FnOnce(&mut Machine)) -> [u64; 2] {
    let [made, dropped] = translated(machine);
    write(machine);
    machine.set(Register::Rip, start);
    assert_eq!(machine.run(Budget::Instructions(5000)), Exit::Debug(expected));
    let now = translated(machine);
    [now[0] - made, now[1] - dropped]
}

#[test]
fn writes_drop_the_blocks_they_hit_and_no_others() {
    const START: u64 = 0x8000;
    const NOP: [&[u8]; 2] = [&[0x90], &[0xf8]]; // nop; clc
    let mut m = caller();
    assert_eq!(after(&mut m, START, 300, |_| {}), [0, 0]);
    // Bytes of nobody, right before and behind a function.
    for at in [FUNCTION - 1, FUNCTION + 7] {
        assert_eq!(after(&mut m, START, 300, |m| m.write(Gpa(at), &[0]).expect("RAM")), [0, 0], "{at:x}");
    }
    // The first and the last byte, by each way there is.
    assert_eq!(after(&mut m, START, 300, |m| m.write(Gpa(FUNCTION), NOP[1]).expect("RAM")), [1, 1]);
    assert_eq!(after(&mut m, START, 300, |m| m.write_virtual(Gva(FUNCTION), NOP[0]).expect("mapped")), [1, 1]);
    assert_eq!(after(&mut m, START, 300, |m| m.write(Gpa(FUNCTION + 6), &[0xc3, 0xcc]).expect("RAM")), [1, 1]);
    // Both functions at once.
    let both = [0x90, 0xb8, 3, 0, 0, 0, 0xc3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xb8, 4];
    assert_eq!(after(&mut m, START, 700, |m| m.write(Gpa(FUNCTION), &both).expect("RAM")), [2, 2]);
    // The processor itself, with what a device has; the block that does it is new.
    let [made, dropped] = after(&mut m, READER, 700, |m| m.serial_input(NOP[1]));
    assert!(made >= 2 && dropped == 1, "{made} translated, {dropped} dropped");
    // A hook, from inside of a run.
    let hook = m.hook(Filter::Reason(Reason::PortOut), |m, _| {
        m.write(Gpa(FUNCTION + 2), &[5]).expect("RAM");
        Action::Continue
    });
    assert_eq!(after(&mut m, START, 700, |_| {}), [0, 1]);
    m.unhook(hook);
    assert_eq!(after(&mut m, START, 900, |_| {}), [1, 0]);
    // A snapshot brings the old code back.
    let snapshot = m.snapshot();
    m.write(Gpa(FUNCTION + 2), &[6]).expect("RAM");
    let [_, dropped] = after(&mut m, START, 900, |m| m.restore(&snapshot).expect("as large"));
    assert!(dropped >= 1, "{dropped} dropped");
}
