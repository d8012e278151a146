// What the kernels of the tests share: types, ports, output on COM1, traps.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;

// What `trap` gets: the registers as boot.S pushes them, then what the processor pushes.
struct frame {
    u64 r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    u64 vector, error, rip, cs, rflags, rsp, ss;
};

static inline void outb(u16 port, u8 value) { __asm__ volatile("out %0, %1" : : "a"(value), "Nd"(port) : "memory"); }
static inline u8 inb(u16 port) { u8 v; __asm__ volatile("in %1, %0" : "=a"(v) : "Nd"(port) : "memory"); return v; }
static inline u64 rdmsr(u32 n) { u32 a, d; __asm__ volatile("rdmsr" : "=a"(a), "=d"(d) : "c"(n)); return (u64)d << 32 | a; }
static inline void wrmsr(u32 n, u64 v) { __asm__ volatile("wrmsr" : : "c"(n), "a"((u32)v), "d"((u32)(v >> 32)) : "memory"); }
static inline u64 rdtsc(void) { u32 a, d; __asm__ volatile("rdtsc" : "=a"(a), "=d"(d)); return (u64)d << 32 | a; }
static inline void invlpg(void *p) { __asm__ volatile("invlpg (%0)" : : "r"(p) : "memory"); }

static inline void put(char c) {
    while (!(inb(0x3fd) & 0x20)) {}
    outb(0x3f8, c);
}

static inline void print(const char *s) {
    for (; *s; s++) put(*s);
}

static inline void print_hex(u64 v) {
    int shift = 60;
    while (shift && !(v >> shift)) shift -= 4;
    for (; shift >= 0; shift -= 4) put("0123456789abcdef"[v >> shift & 15]);
}

static inline void say(const char *name, u64 v) {
    print(name);
    put(' ');
    print_hex(v);
    put('\n');
}

extern u64 pml4[512], pdpt[512];
