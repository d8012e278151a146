# Loads and stores in the first-level cache: c[i] = a[i] + b[i], and the sum of it. A round is 1,024 elements.

    .include "answer.inc"
    .section .kernel, "awx"
    .globl kernel
kernel:
    xor %eax, %eax
    xor %edx, %edx
    test %rdi, %rdi
    jz 3f
    lea a(%rip), %rsi
1:  xor %ecx, %ecx
2:  mov (%rsi,%rcx,8), %rax
    add 8192(%rsi,%rcx,8), %rax
    mov %rax, 16384(%rsi,%rcx,8)
    add %rax, %rdx
    inc %ecx
    cmp $1024, %ecx
    jne 2b
    dec %rdi
    jnz 1b
    mov %rdx, %rax
3:  answer

    .balign 4096
a:
    .set n, 1
    .rept 2048
    .quad n
    .set n, (n * 25173 + 13849) & 0xffff
    .endr
    .skip 8192
