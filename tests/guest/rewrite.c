// Code that rewrites an immediate operand, and now and then the instruction around it, on its own page and on another.
#include "kernel.h"

__asm__(".text\n near: mov $0, %eax\n ret\n .balign 4096\n far: mov $0, %eax\n ret\n .balign 4096\n");
extern volatile u8 near[], far[];

void trap(struct frame *f) {
    say("unexpected vector", f->vector);
    outb(0xf4, 0x7e);
}

// mov, add, or, xor of eax and an immediate operand: with 0 in eax all the same.
static const u8 opcodes[4] = {0xb8, 0x05, 0x0d, 0x35};

static u64 rounds(volatile u8 *code, u32 count, u32 period) {
    u64 sum = 0;
    for (u32 i = 0; i < count; i++) {
        u32 result = 0;
        if (period && i % period == 0) code[0] = opcodes[i / period % 4];
        *(volatile u32 *)(code + 1) = i * 3;
        if (i % 7 == 3) code[2] = 1;
        __asm__ volatile("call *%1" : "+a"(result) : "r"(code) : "cc", "memory");
        sum = sum * 5 + result;
    }
    return sum;
}

int main(u32 *info) {
    (void)info;
    say("near", rounds(near, 5000, 0));
    say("far", rounds(far, 5000, 0));
    say("near, other instructions", rounds(near, 5000, 100));
    say("far, other instructions", rounds(far, 5000, 101));
    say("far again", rounds(far, 300000, 0));
    return 0;
}
