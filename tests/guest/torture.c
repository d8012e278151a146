// Code that is written while it runs and tables that change while they are used: pseudo-random calls of small functions in a window
// of pages, which meanwhile are rewritten through one mapping or the other, copied, remapped, made read-only, absent or not executable,
// in three address spaces. All that is seen goes into a hash, accessed and dirty bits and error codes too. Then the same with PCIDs, where there are
// any: nothing may come out differently.
#include "kernel.h"

enum { SPACES = 3, PAGES = 16, SLOTS = 64, STEPS = 6000, PRESENT = 1, WRITABLE = 2, ACCESSED = 0x20, DIRTY = 0x40 };
#define NO_EXECUTE (1ul << 63)
#define WINDOW 0x8000000000ul

static u64 tables[SPACES][4][512] __attribute__((aligned(4096)));
static u8 frames[PAGES][4096] __attribute__((aligned(4096)));
static u8 fresh[PAGES][4096];

static u64 seed, hash, faults, space, pcids;

static u32 chance(u32 n) {
    seed = seed * 6364136223846793005ul + 1442695040888963407ul;
    return (u32)(seed >> 33) % n;
}

static void note(u64 v) { hash = (hash ^ v) * 0x100000001b3ul; }

static u64 *entry(u32 page) { return &tables[space][3][page]; }
static u8 *at(u32 page, u32 slot) { return (u8 *)(WINDOW + page * 4096ul + slot * (4096 / SLOTS)); }

// A fault in the window: the page gets back what it lacked.
void trap(struct frame *f) {
    u64 address;
    __asm__ volatile("mov %%cr2, %0" : "=r"(address));
    if (f->vector != 14 || address - WINDOW >= PAGES * 4096ul) {
        say("unexpected vector", f->vector);
        say("rip", f->rip);
        outb(0xf4, 0x7e);
    }
    note(f->error);
    note(address - WINDOW);
    faults++;
    u64 *e = entry((address - WINDOW) >> 12);
    *e = (*e | PRESENT | WRITABLE) & ~NO_EXECUTE;
    invlpg((void *)address);
}

// Writes one of a few functions of one argument: each keeps to the 64 bytes of its slot, or ends in a jump to the next one.
static void write_function(u8 *to, u32 last) {
    u32 value = chance(0x7fffffff);
    u8 *p = to;
    switch (chance(last ? 4 : 6)) {
    case 0: *p++ = 0xb8; __builtin_memcpy(p, &value, 4); p += 4; break;                                                // mov eax, value
    case 1: *p++ = 0x89; *p++ = 0xf8; *p++ = 0x05; __builtin_memcpy(p, &value, 4); p += 4; break;                      // mov eax, edi; add eax, value
    case 2: *p++ = 0x89; *p++ = 0xf8; *p++ = 0x35; __builtin_memcpy(p, &value, 4); p += 4; break;                      // mov eax, edi; xor eax, value
    case 3: *p++ = 0x6b; *p++ = 0xc7; *p++ = (u8)value; break;                                                         // imul eax, edi, value
    case 4: *p++ = 0x83; *p++ = 0xc7; *p++ = (u8)value; *p = 0xeb; p[1] = (u8)(64 - 2 - (p - to)); return;             // add edi, value; jmp next
    case 5: *p++ = 0xc1; *p++ = 0xcf; *p++ = value & 31; *p = 0xeb; p[1] = (u8)(64 - 2 - (p - to)); return;            // ror edi, value; jmp next
    }
    *p = 0xc3;
}

static u32 call(u32 page, u32 slot) { return ((u32(*)(u32))at(page, slot))((u32)hash); }

static void select_space(u64 next, int keep) {
    space = next;
    u64 value = (u64)tables[space][0];
    if (pcids) value |= (space + 1) | (keep ? NO_EXECUTE : 0);
    __asm__ volatile("mov %0, %%cr3" : : "r"(value) : "memory");
}

static void look_at(u32 page) {
    u64 *e = entry(page);
    note(*e & (ACCESSED | DIRTY | WRITABLE | PRESENT));
    *e &= ~(u64)(ACCESSED | DIRTY);
    invlpg(at(page, 0));
}

// Copies functions, never so that a slot that jumps on becomes the last one of the page.
static void copy(u32 from, u32 to) {
    u8 *source = at(from, 0), *target = at(to, 0);
    u64 count = 64 * (1 + chance(8)), start = 64 * (u64)chance(SLOTS - 9);
    source += start;
    target += start;
    __asm__ volatile("rep movsb" : "+S"(source), "+D"(target), "+c"(count) : : "memory");
}

static void step(void) {
    u32 page = chance(PAGES), slot = chance(SLOTS), other = chance(PAGES);
    u64 *e = entry(page);
    switch (chance(13)) {
    default: note(call(page, slot)); break;
    case 4: write_function(at(page, slot), slot == SLOTS - 1); break;
    case 5: write_function(frames[other] + slot * 64, slot == SLOTS - 1); break;
    case 6:
        *e = (u64)frames[other] | PRESENT | WRITABLE;
        invlpg(at(page, 0));
        break;
    case 7: select_space(chance(SPACES), chance(2)); break;
    case 8: look_at(page); break;
    case 9: copy(page, other); break;
    case 10:
        *e = chance(2) ? *e & ~(u64)WRITABLE : chance(2) ? *e & ~(u64)PRESENT : *e | NO_EXECUTE;
        invlpg(at(page, 0));
        break;
    case 11:
        // A loop that rewrites what it calls: the operand of an instruction, not its length.
        write_function(at(page, SLOTS - 1), 1);
        for (u32 i = 0; i < 20; i++) {
            note(call(page, SLOTS - 1));
            if (at(page, SLOTS - 1)[0] == 0xb8) *(volatile u32 *)(at(page, SLOTS - 1) + 1) = i * 77;
        }
        break;
    }
}

static void run(const char *name) {
    seed = 42;
    hash = 0xcbf29ce484222325ul;
    faults = 0;
    for (u32 i = 0; i < PAGES; i++)
        for (u32 j = 0; j < 4096; j++) ((volatile u8 *)frames[i])[j] = fresh[i][j];
    for (u32 s = 0; s < SPACES; s++)
        for (u32 i = 0; i < PAGES; i++) tables[s][3][i] = (u64)frames[(i + s) % PAGES] | PRESENT | WRITABLE;
    select_space(0, 0);
    for (u32 i = 0; i < STEPS; i++) step();
    for (u32 i = 0; i < PAGES; i++)
        for (u32 j = 0; j < 4096; j++) note(frames[i][j]);
    for (u32 s = 0; s < SPACES; s++)
        for (u32 i = 0; i < PAGES; i++) note(tables[s][3][i] & 0xfff);
    say(name, hash);
    say("faults", faults);
}

u32 main(u32 information) {
    (void)information;
    seed = 7;
    for (u32 i = 0; i < PAGES; i++)
        for (u32 j = 0; j < SLOTS; j++) write_function(fresh[i] + j * 64, j == SLOTS - 1);
    for (u32 s = 0; s < SPACES; s++) {
        tables[s][0][0] = (u64)pdpt | PRESENT | WRITABLE;
        for (u32 level = 0; level < 3; level++) tables[s][level][level == 0] = (u64)tables[s][level + 1] | PRESENT | WRITABLE;
    }
    run("plain");
    u32 a = 1, b, c = 0, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    if (c & 1 << 17) {
        select_space(0, 0);
        u64 cr4;
        __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
        __asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | 1 << 17) : "memory");
        pcids = 1;
    }
    run("tagged");
    return 3;
}
