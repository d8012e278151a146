// Floating point as a compiler makes it: SSE2 doubles and floats, x87 long doubles, FXSAVE around it.
#include "kernel.h"

void trap(struct frame *f) {
    say("unexpected vector", f->vector);
    say("rip", f->rip);
    outb(0xf4, 0x7e);
}

static u8 image[512] __attribute__((aligned(16)));

static double spectral(int n) {
    static double u[64], v[64];
    for (int i = 0; i < n; i++) u[i] = 1;
    for (int step = 0; step < 10; step++) {
        for (int i = 0; i < n; i++) {
            double sum = 0;
            for (int j = 0; j < n; j++) sum += u[j] / ((i + j) * (i + j + 1) / 2 + i + 1);
            v[i] = sum;
        }
        for (int i = 0; i < n; i++) u[i] = v[i];
    }
    return u[0];
}

static u64 bits(double x) {
    union { double d; u64 u; } c = { .d = x };
    return c.u;
}

int main(u32 *info) {
    (void)info;
    say("spectral", bits(spectral(50)));
    float f = 1;
    for (int i = 1; i < 30; i++) f = f * 1.1f + 1.0f / i;
    say("float", (u64)(f * 1000));
    long double x = 2, y = 1;
    for (int i = 0; i < 20; i++) y = (y + x / y) / 2;
    say("root", bits((double)y));
    __asm__ volatile("fxsave (%0)" : : "r"(image) : "memory");
    __asm__ volatile("xorps %%xmm0, %%xmm0; fninit" : : : "memory");
    __asm__ volatile("fxrstor (%0)" : : "r"(image) : "memory");
    say("mxcsr", *(u32 *)(image + 24));
    return 3;
}
