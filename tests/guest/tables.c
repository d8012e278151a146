// The same element of tables that lie whole pages apart: aligned, not aligned, across pages, and where one of them is not mapped.
#include "kernel.h"

static u8 tables[6 * 4096 + 64] __attribute__((aligned(4096)));
static u64 faults, low[512] __attribute__((aligned(4096))), pd[512] __attribute__((aligned(4096)));
static volatile u64 *entry;

static u64 cr3(void) { u64 v; __asm__ volatile("mov %%cr3, %0" : "=r"(v)); return v; }

// The page of the second table comes when it is first touched.
void trap(struct frame *f) {
    if (f->vector != 14) {
        say("unexpected vector", f->vector);
        outb(0xf4, 0x7e);
    }
    faults++;
    *entry |= 1;
}

static u64 pass(u64 offset, u64 count) {
    u64 sum = 0, n = 0;
    __asm__ volatile("1: mov (%2,%1,8), %%rax\n add 8192(%2,%1,8), %%rax\n mov %%rax, 16384(%2,%1,8)\n"
                     "adc %%rax, %0\n rol $3, %0\n inc %1\n cmp %3, %1\n jne 1b"
                     : "+r"(sum), "+c"(n) : "S"(tables + offset), "r"(count) : "rax", "cc", "memory");
    return sum;
}

// Neighbours, which are on two pages now and then.
static u64 pairs(u64 count) {
    u64 sum = 0, n = 0;
    __asm__ volatile("1: mov (%2,%1,8), %%rax\n add 8(%2,%1,8), %%rax\n add 16(%2,%1,8), %%rax\n"
                     "add %%rax, %0\n rol $5, %0\n inc %1\n cmp %3, %1\n jne 1b"
                     : "+r"(sum), "+c"(n) : "S"(tables), "r"(count) : "rax", "cc", "memory");
    return sum;
}

// What takes the register of an address between two accesses with the same base and index: a division, and a push.
static u64 quotients(u64 count) {
    u64 sum = 0, n = 0;
    __asm__ volatile("1: mov %1, %%rax\n imul $0x1234567, %%rax\n shr $16, %%eax\n xor %%edx, %%edx\n orl $1, (%2,%1,4)\n"
                     "divl (%2,%1,4)\n mov %%eax, (%2,%1,4)\n add %%rdx, %0\n add %%rax, %0\n rol $7, %0\n"
                     "inc %1\n cmp %3, %1\n jne 1b"
                     : "+r"(sum), "+c"(n) : "D"(tables), "r"(count) : "rax", "rdx", "cc", "memory");
    return sum;
}

static u64 pushed(u64 count) {
    u64 sum = 0, n = 0;
    __asm__ volatile("1: push (%2,%1,8)\n mov 8(%2,%1,8), %%rax\n pop %%rdx\n add %%rax, %0\n xor %%rdx, %0\n rol $9, %0\n"
                     "inc %1\n cmp %3, %1\n jne 1b"
                     : "+r"(sum), "+c"(n) : "D"(tables), "r"(count) : "rax", "rdx", "cc", "memory");
    return sum;
}

int main(u32 *info) {
    (void)info;
    for (u64 n = 0; n < sizeof tables; n++) tables[n] = n * n >> 3 ^ n;
    say("aligned", pass(0, 1024));
    say("not aligned", pass(3, 1024));
    say("again", pass(0, 1024));
    // The first 2 MiB by small pages.
    u64 *root = (u64 *)cr3(), *pdpt = (u64 *)(root[0] & ~0xffful);
    for (u64 n = 0; n < 512; n++) {
        low[n] = n << 12 | 3;
        pd[n] = n << 21 | 0x83;
    }
    entry = &low[(u64)(tables + 8192) >> 12];
    pd[0] = (u64)low | 3;
    pdpt[0] = (u64)pd | 3;
    for (u64 round = 0; round < 20; round++) {
        *entry &= ~1ul;
        invlpg(tables + 8192);
        u64 sum = pass(0, 512 + round * 20);
        if (round % 5 == 0) say("with a fault", sum);
    }
    say("faults", faults);
    for (u64 n = 0; n < sizeof tables; n++) tables[n] += n >> 12;
    say("neighbours", pairs(2000));
    // The second page and the fourth change places.
    u64 *second = &low[(u64)(tables + 4096) >> 12], old = second[0];
    second[0] = second[2];
    second[2] = old;
    invlpg(tables + 4096);
    invlpg(tables + 3 * 4096);
    say("neighbours elsewhere", pairs(2000));
    say("pushed", pushed(2500));
    say("quotients", quotients(5000));
    say("pushed quotients", pushed(2500));
    return 3;
}
