# More pages than the soft TLB has entries: a load and a store on each of 2,048 pages. A round is all of them.

    .include "answer.inc"
    .section .kernel, "awx"
    .globl kernel
kernel:
    mov $1, %edx
    test %rdi, %rdi
    jz 3f
1:  lea pages(%rip), %rsi
    mov $2048, %ecx
2:  add (%rsi), %rdx
    lea 8(%rdx), %rdx
    mov %rdx, 8(%rsi)
    add $4096, %rsi
    dec %ecx
    jnz 2b
    dec %rdi
    jnz 1b
3:  mov %rdx, %rax
    answer

    .balign 4096
pages:
    .skip 2048 * 4096
