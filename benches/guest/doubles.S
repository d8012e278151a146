# SSE2 doubles, scalar and packed: a polynomial of degree 4 by Horner's rule at a moving point, its sum, and two packed sums. A round is one turn of
# the loop.

    .include "answer.inc"
    .section .kernel, "awx"
    .globl kernel
kernel:
    lea constants(%rip), %rsi
    movsd (%rsi), %xmm0             # x
    movsd 8(%rsi), %xmm1            # step
    movsd 16(%rsi), %xmm2           # limit
    movapd 32(%rsi), %xmm3          # packed factor
    xorpd %xmm4, %xmm4              # sum
    xorpd %xmm5, %xmm5              # packed sums
    test %rdi, %rdi
    jz 3f
1:  movapd %xmm0, %xmm6
    mulsd 48(%rsi), %xmm6
    addsd 56(%rsi), %xmm6
    mulsd %xmm0, %xmm6
    addsd 64(%rsi), %xmm6
    mulsd %xmm0, %xmm6
    subsd 72(%rsi), %xmm6
    mulsd %xmm0, %xmm6
    addsd 80(%rsi), %xmm6
    addsd %xmm6, %xmm4
    movapd %xmm6, %xmm7
    unpcklpd %xmm0, %xmm7
    mulpd %xmm3, %xmm7
    addpd %xmm7, %xmm5
    addsd %xmm1, %xmm0
    ucomisd %xmm2, %xmm0
    jb 2f
    movsd (%rsi), %xmm0
2:  dec %rdi
    jnz 1b
3:  addpd %xmm5, %xmm4
    cvttsd2si %xmm4, %rax
    answer

    .balign 4096
constants:
    .double 0.25, 0.001, 1.75, 0.0
    .double 0.5, 0.125
    .double 0.75, 1.5, 0.375, 2.25, 1.125
