# REP MOVS: 8 KiB that begin anywhere in a page by quadwords, then 96 bytes by bytes. A round is both.

    .include "answer.inc"
    .section .kernel, "awx"
    .globl kernel
kernel:
    mov %rdi, %rdx
    xor %eax, %eax
    test %rdx, %rdx
    jz 2f
1:  lea source + 0x128(%rip), %rsi
    lea target + 0x540(%rip), %rdi
    mov $1024, %ecx
    rep movsq
    mov $96, %ecx
    rep movsb
    dec %rdx
    jnz 1b
    mov -96(%rdi), %rax
    add -8(%rdi), %rax
    add %rdi, %rax
2:  answer

    .balign 4096
source:
    .set n, 1
    .rept 1152
    .quad n
    .set n, (n * 25173 + 13849) & 0xffff
    .endr
    .balign 4096
target:
    .skip 12288
