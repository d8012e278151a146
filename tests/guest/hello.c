// The smallest kernel: a line on COM1, the multiboot information, arithmetic, and out.
#include "kernel.h"

void trap(struct frame *f) {
    say("unexpected vector", f->vector);
    outb(0xf4, 0x7e);
}

static u64 fib(u64 n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

int main(u32 *info) {
    print("hello from the guest\n");
    say("flags", info[0]);
    print((const char *)(u64)info[4]);
    print("\n");
    say("fib", fib(20));
    return 21;
}
