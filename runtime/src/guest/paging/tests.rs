//! Tests of the walk: random entries at each level against the rules of the manual, written down once more in another way.

use super::*;

/// A small generator: xorshift.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// True once in `n` times.
    fn once_in(&mut self, n: u64) -> bool {
        self.next().is_multiple_of(n)
    }
}

/// Where the tables lie, one page a level from the root down.
const TABLES: u64 = 0x1000;
const VA: u64 = 0xffff_8123_4567_8abc;

fn long_mode(random: &mut Random) -> Cpu {
    let mut cpu = Cpu { cr3: TABLES, cr0: cr0::PE | cr0::PG, cr4: cr4::PAE, ..Cpu::default() };
    cpu.msr.efer = efer::LME | efer::LMA;
    let mut maybe = |field: fn(&mut Cpu) -> &mut u64, bit: u64| {
        if random.once_in(2) {
            *field(&mut cpu) |= bit;
        }
    };
    maybe(|c| &mut c.cr0, cr0::WP);
    maybe(|c| &mut c.cr4, cr4::SMEP);
    maybe(|c| &mut c.cr4, cr4::SMAP);
    maybe(|c| &mut c.msr.efer, efer::NXE);
    maybe(|c| &mut c.rflags, flag::AC);
    cpu
}

/// The address's index into the table of a level, 4 to 1.
fn index(level: u32) -> u64 {
    VA >> (12 + 9 * (level - 1)) & 511
}

/// Fills the path to [`VA`] with entries that are mostly sensible; answers them from the root down, to the leaf.
fn build(random: &mut Random, memory: &mut Memory) -> Vec<u64> {
    let mut entries = Vec::new();
    for level in (1..=4).rev() {
        let table = TABLES + (4 - level) * 0x1000;
        let mut entry = table + 0x1000;
        let leaf = level == 1 || (level == 2 || level == 3) && random.once_in(4);
        if leaf {
            entry = match level {
                1 => 0xa_b000,
                2 => 0x12_3440_0000 & !0x1f_ffff,
                _ => 0x80_0000_0000 >> 1,
            };
            entry |= if level > 1 { entry::LARGE } else { 0 };
        }
        for (bit, odds) in [(entry::PRESENT, 20), (entry::WRITABLE, 4), (entry::USER, 4)] {
            entry |= if random.once_in(odds) { 0 } else { bit };
        }
        for (bit, odds) in [
            (entry::ACCESSED, 2),
            (entry::DIRTY, 2),
            (entry::NO_EXECUTE, 6),
            (1 << 8, 2),
            (1 << 52, 2),
            (1 << 45, 30),
            (1 << 13, 30),
            (1 << 29, 60),
        ] {
            entry |= if random.once_in(odds) { bit } else { 0 };
        }
        // A table's address stays that of the next page, so that a walk cannot leave what the test knows.
        if !leaf {
            entry = entry & !(entry::ADDRESS & !entry::TOO_FAR) | (table + 0x1000);
        }
        if level == 4 && random.once_in(30) {
            entry |= entry::LARGE;
        }
        memory.write(table + index(level as u32) * 8, &entry.to_le_bytes());
        entries.push(entry);
        if leaf {
            break;
        }
    }
    entries
}

/// The rules, in the order in which they apply: the error code, or the physical address.
fn expected(cpu: &Cpu, entries: &[u64], access: Access, user: bool) -> Result<u64, u32> {
    let nxe = cpu.msr.efer & efer::NXE != 0;
    let smep = cpu.cr4 & cr4::SMEP != 0;
    let mut code = 0;
    code |= if access == Access::Write { 2 } else { 0 };
    code |= if user { 4 } else { 0 };
    code |= if access == Access::Execute && (nxe || smep) { 16 } else { 0 };
    for (i, entry) in entries.iter().enumerate() {
        let level = 4 - i;
        if entry & 1 == 0 {
            return Err(code);
        }
        let large = entry & 0x80 != 0 && level > 1;
        let malformed = entry >> 40 & 0xfff != 0
            || entry >> 63 != 0 && !nxe
            || large
                && (level == 4 || level == 3 && entry >> 13 & 0x1ffff != 0 || level == 2 && entry >> 13 & 0xff != 0);
        if malformed {
            return Err(code | 9);
        }
    }
    let all = |bit: u64| entries.iter().all(|e| e & bit != 0);
    let user_page = all(4);
    let executable = !(nxe && entries.iter().any(|e| e >> 63 != 0));
    let allowed = match (user, access) {
        (true, Access::Read) => user_page,
        (true, Access::Write) => user_page && all(2),
        (true, Access::Execute) => user_page && executable,
        (false, Access::Execute) => executable && !(user_page && smep),
        (false, _) if user_page && cpu.cr4 & cr4::SMAP != 0 && !cpu.has(flag::AC) => false,
        (false, Access::Read) => true,
        (false, Access::Write) => all(2) || cpu.cr0 & cr0::WP == 0,
    };
    if !allowed {
        return Err(code | 1);
    }
    let shift = 12 + 9 * (4 - entries.len());
    let frame = entries[entries.len() - 1] & 0xff_ffff_ffff & !0xfff;
    Ok(frame >> shift << shift | VA & ((1 << shift) - 1))
}

#[test]
fn random_tables_in_long_mode() {
    let mut random = Random(0x1234_5678_9abc_def1);
    let mut memory = Memory::new(0x10000).unwrap();
    let (mut mapped, mut denied, mut malformed) = (0, 0, 0);
    for _ in 0..200_000 {
        let cpu = long_mode(&mut random);
        let entries = build(&mut random, &mut memory);
        let access = [Access::Read, Access::Write, Access::Execute][(random.next() % 3) as usize];
        let user = random.once_in(2);
        let by = Accessor { user, implicit: false, silent: false };
        let found = translate(&cpu, &mut memory, VA, access, by);
        let wanted = expected(&cpu, &entries, access, user);
        assert_eq!(found.map(|t| t.physical), wanted, "{entries:x?} {access:?} {user} {cpu:x?}");
        match wanted {
            Ok(_) => mapped += 1,
            Err(code) if code & 8 != 0 => malformed += 1,
            Err(_) => denied += 1,
        }
        for (i, entry) in entries.iter().enumerate() {
            let level = 4 - i as u64;
            let now = memory.read(TABLES + i as u64 * 0x1000 + index(level as u32) * 8).map(u64::from_le_bytes);
            let leaf = i + 1 == entries.len();
            let marks = match wanted {
                Ok(_) => 0x20 | if leaf && access == Access::Write { 0x40 } else { 0 },
                Err(_) => 0,
            };
            assert_eq!(now, Some(entry | marks));
        }
        if let Ok(found) = found {
            let also = |access| expected(&cpu, &entries, access, user).is_ok();
            let dirty = access == Access::Write || entries[entries.len() - 1] & 0x40 != 0;
            assert_eq!(found.readable, also(Access::Read));
            assert_eq!(found.writable, also(Access::Write) && dirty);
            assert_eq!(found.executable, also(Access::Execute));
            assert_eq!(found.large, entries.len() < 4);
        }
    }
    assert!(mapped > 20_000 && denied > 20_000 && malformed > 20_000, "{mapped} {denied} {malformed}");
}

#[test]
fn two_levels_and_pae() {
    let mut memory = Memory::new(0x10000).unwrap();
    let by = Accessor { user: true, implicit: false, silent: false };
    let mut cpu = Cpu { cr3: 0x1000, cr0: cr0::PE | cr0::PG, cr4: cr4::PSE, ..Cpu::default() };
    memory.write(0x1000 + 4 * 3, &0x2007u32.to_le_bytes());
    memory.write(0x2000 + 4 * 5, &0xabcd_e007u32.to_le_bytes());
    memory.write(0x1000 + 4 * 4, &0x1040_2087u32.to_le_bytes());
    let physical =
        |cpu: &Cpu, memory: &mut Memory, va| translate(cpu, memory, va, Access::Write, by).map(|t| t.physical);
    assert_eq!(physical(&cpu, &mut memory, 3 << 22 | 5 << 12 | 0x123), Ok(0xabcd_e123));
    assert_eq!(memory.read(0x1000 + 4 * 3), Some(0x2027u32.to_le_bytes()));
    assert_eq!(memory.read(0x2000 + 4 * 5), Some(0xabcd_e067u32.to_le_bytes()));
    // Bit 13 of a large entry is bit 32 of the address.
    assert_eq!(physical(&cpu, &mut memory, 4 << 22 | 0x12345), Ok(0x1_1041_2345));
    assert_eq!(physical(&cpu, &mut memory, 5 << 22), Err(6));
    cpu.cr4 |= cr4::PAE;
    memory.write(0x1008, &0x3001u64.to_le_bytes());
    memory.write(0x3000 + 8 * 7, &0x2087u64.to_le_bytes());
    memory.write(0x3000 + 8 * 8, &0x80_0087u64.to_le_bytes());
    assert_eq!(physical(&cpu, &mut memory, 1 << 30 | 8 << 21 | 0x777), Ok(0x80_0777));
    assert_eq!(memory.read(0x1008), Some(0x3001u64.to_le_bytes()));
    assert_eq!(physical(&cpu, &mut memory, 1 << 30 | 7 << 21), Err(15));
}

#[test]
fn tables_outside_of_memory_are_malformed() {
    let mut memory = Memory::new(0x10000).unwrap();
    let by = Accessor { user: false, implicit: false, silent: false };
    for cr3 in [0x10000, 0xff_ffff_f000, 0x000f_ffff_ffff_f000] {
        let mut cpu = Cpu { cr3, cr0: cr0::PE | cr0::PG, cr4: cr4::PAE, ..Cpu::default() };
        cpu.msr.efer = efer::LME | efer::LMA;
        assert_eq!(translate(&cpu, &mut memory, VA, Access::Read, by), Err(9));
    }
}
