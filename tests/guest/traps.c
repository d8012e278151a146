// Exceptions with their error codes, page tables, rings, syscalls, interrupts: what the processor's own structures do.
#include "kernel.h"

static volatile u64 last_vector, last_error, last_address, resume;
static volatile u32 ticks;
static volatile u64 stepping, step_rip, step_ring;

static void end_of_interrupt(void) { outb(0x20, 0x20); }

void trap(struct frame *f) {
    last_vector = f->vector;
    last_error = f->error;
    if (f->vector == 14) __asm__ volatile("mov %%cr2, %0" : "=r"(last_address));
    if (f->vector == 0x20) {
        ticks++;
        end_of_interrupt();
        return;
    }
    if (f->vector == 0x40) {
        ticks++;
        *(volatile u32 *)0xfee000b0 = 0;
        return;
    }
    if (f->vector == 1 && stepping) {
        step_rip = f->rip;
        step_ring = f->cs & 3;
        f->rflags &= ~0x100ul;
        return;
    }
    if (f->vector == 0x80) {
        // From CPL 3 back to the kernel: `resume` in its own segments.
        say("from ring", f->cs & 3);
        f->cs = 8;
        f->ss = 0x10;
        f->rsp = f->rdi;
        f->rip = resume;
        return;
    }
    if (!resume) {
        say("unexpected vector", f->vector);
        say("error", f->error);
        say("rip", f->rip);
        outb(0xf4, 0x7e);
    }
    f->rip = resume;
    f->rflags &= ~0x100ul;
    resume = 0;
}

static void report(const char *name) {
    print(name);
    print(": vector ");
    print_hex(last_vector);
    print(", error ");
    print_hex(last_error);
    if (last_vector == 14) {
        print(", address ");
        print_hex(last_address);
    }
    put('\n');
    last_vector = last_error = 0xfff;
}

// Runs an instruction that faults, and goes on behind it.
#define FAULT(name, code, ...)                                                                                          \
    do {                                                                                                                \
        __asm__ volatile("movq $1f, %0\n" code "\n1:" : "=m"(resume) : __VA_ARGS__ : "rax", "rcx", "rdx", "memory");                                    \
        report(name);                                                                                                   \
    } while (0)

static u64 tables[4][512] __attribute__((aligned(4096)));
static u8 page[4096] __attribute__((aligned(4096)));

// Maps a page at 512 GiB with the given bits.
static volatile u8 *map(u64 bits) {
    pml4[1] = (u64)tables[0] | 7;
    tables[0][0] = (u64)tables[1] | 7;
    tables[1][0] = (u64)tables[2] | 7;
    tables[2][0] = (u64)page | bits;
    volatile u8 *at = (u8 *)(1ul << 39);
    invlpg((void *)at);
    return at;
}

static void paging(void) {
    volatile u8 *at = map(3);
    at[5] = 0x77;
    say("mapped", page[5]);
    say("bits", tables[2][0] & 0xfff);
    map(1);
    FAULT("write to read-only", "movb $1, (%1)", "r"(at));
    map(0);
    FAULT("read of nothing", "movb (%1), %%al", "r"(at));
    map(1ul << 63 | 3);
    FAULT("fetch of no-execute", "jmp *%1", "r"(at));
    map(1ul << 45 | 3);
    FAULT("reserved bit", "movb (%1), %%al", "r"(at));
    tables[1][0] = 0x200000 | 1 << 7 | 3;
    invlpg((void *)at);
    *(u64 *)0x200018 = 0x1234;
    say("large page", *(volatile u64 *)(at + 0x18));
    say("large bits", tables[1][0] & 0xfff);
    FAULT("not canonical", "movb (%1), %%al", "r"(1ul << 47));
    u64 calls = 0, moved = 0;
    FAULT("call of not canonical", "mov %%rsp, %%rax; incq %2; call *%1; 1: sub %%rsp, %%rax; mov %%rax, %3; jmp 1f; 1:",
          "r"(1ul << 47), "m"(calls), "m"(moved));
    say("calls", calls);
    say("rsp moved", moved);
}

static void exceptions(void) {
    FAULT("divide", "xor %%ecx, %%ecx; div %%ecx", "r"(0ul));
    FAULT("breakpoint", "int3", "r"(0ul));
    FAULT("undefined", "ud2", "r"(0ul));
    FAULT("selector", "mov $0x58, %%ax; mov %%ax, %%es", "r"(0ul));
    FAULT("not present gate", "int $0x30", "r"(0ul));
    FAULT("unknown msr", "mov %1, %%rcx; rdmsr", "r"(0x12345ul));
    FAULT("cr4", "mov %1, %%cr4", "r"(1ul << 40));
    FAULT("step", "pushf; orl $0x100, (%%rsp); popf; nop", "r"(0ul));
}

static u8 user_stack[4096] __attribute__((aligned(16)));

// CPL 3 and back by int 0x80, with a fault on the way.
__attribute__((naked)) static void to_user(u64 rip __attribute__((unused)), u64 rsp __attribute__((unused))) {
    __asm__ volatile(
        "push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
        "movq $1f, resume(%rip)\n"
        "mov %rsp, %rdx\n"
        "pushq $0x1b\n"
        "push %rsi\n"
        "pushq $0x202\n"
        "pushq $0x23\n"
        "push %rdi\n"
        "mov %rdx, %rdi\n"
        "iretq\n"
        "1: pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
        "cli\n"
        "ret");
}

__attribute__((naked)) static void user(void) { __asm__ volatile("int $0x80"); }

// The end of a system call: back to the kernel's own code.
__attribute__((naked)) static void system_call(void) {
    __asm__ volatile("mov %rdi, %rsp; push %rcx; push %r11; mov $1, %eax; pop %r11; pop %rcx; jmp *resume(%rip)");
}
__attribute__((naked)) static void user_call(void) { __asm__ volatile("syscall"); }

static void rings(void) {
    pdpt[0] |= 4;
    to_user((u64)user, (u64)user_stack + 4096);
    wrmsr(0xc0000081, 0x0010000800000000);
    wrmsr(0xc0000082, (u64)system_call);
    wrmsr(0xc0000084, 0x200);
    to_user((u64)user_call, (u64)user_stack + 4096);
    u16 ss;
    __asm__ volatile("mov %%ss, %0" : "=r"(ss));
    say("ss after syscall", ss);
    }

__attribute__((naked)) static void user_step(void) { __asm__ volatile("pushf; orl $0x100, (%rsp); popf; syscall"); }
__attribute__((naked)) static void step_back(void) { __asm__ volatile("lea user(%rip), %rcx; mov $0x302, %r11d; sysretq"); }

// SYSCALL and SYSRET with a single step: what counts is TF behind them.
static void steps(const char *name, u64 target, u64 mask, void (*from)(void), void (*expected)(void)) {
    stepping = 1;
    step_rip = step_ring = 0xfff;
    wrmsr(0xc0000082, target);
    wrmsr(0xc0000084, mask);
    to_user((u64)from, (u64)user_stack + 4096);
    stepping = 0;
    print(name);
    say(": ring", step_ring);
    say("at the first instruction", step_rip == (u64)expected);
}

static void timer(void) {
    // The PIC to vector 0x20, the PIT at 1000 Hz.
    outb(0x20, 0x11); outb(0x21, 0x20); outb(0x21, 4); outb(0x21, 1);
    outb(0xa0, 0x11); outb(0xa1, 0x28); outb(0xa1, 2); outb(0xa1, 1);
    outb(0x21, 0xfe); outb(0xa1, 0xff);
    outb(0x43, 0x34); outb(0x40, 1193 & 0xff); outb(0x40, 1193 >> 8);
    u64 before = rdtsc();
    __asm__ volatile("sti");
    while (ticks < 5) __asm__ volatile("hlt");
    u64 after = rdtsc();
    __asm__ volatile("cli");
    say("pit ticks", ticks);
    say("about 5 ms", (after - before) / 1000000);
    outb(0x21, 0xff);
    ticks = 0;
    volatile u32 *apic = (u32 *)0xfee00000;
    pdpt[3] = 3ul << 30 | 0x83;
    apic[0x3e0 / 4] = 11;
    apic[0x320 / 4] = 0x20040;
    apic[0x380 / 4] = 10000;
    __asm__ volatile("sti");
    while (ticks < 3) {}
    __asm__ volatile("cli");
    apic[0x320 / 4] = 0x10000;
    say("apic ticks", ticks);
}

int main(u32 *info) {
    (void)info;
    exceptions();
    paging();
    rings();
    steps("step masked by syscall", (u64)system_call, 0x300, user_step, system_call);
    steps("step into syscall", (u64)system_call, 0x200, user_step, system_call);
    steps("step out of sysret", (u64)step_back, 0x200, user_call, user);
    timer();
    return 0;
}
