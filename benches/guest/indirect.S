# Indirect branches: a threaded interpreter whose program is 256 pseudo-random operations of eight kinds. A round is the program.

    .include "answer.inc"
    .section .kernel, "awx"
    .globl kernel
kernel:
    xor %eax, %eax
    test %rdi, %rdi
    jz 1f
    lea table(%rip), %r8
    mov $1, %edx
    .macro next
    movzbl (%rsi), %ecx
    inc %rsi
    jmp *(%r8,%rcx,8)
    .endm
again:
    lea program(%rip), %rsi
    next
op_add:
    add %rdx, %rax
    next
op_sub:
    sub $7, %rax
    next
op_xor:
    xor %rax, %rdx
    next
op_shift:
    shl $1, %rax
    next
op_rotate:
    rol $5, %rdx
    next
op_increment:
    inc %rdx
    next
op_lea:
    lea 3(%rax,%rdx), %rax
    next
op_swap:
    xchg %rax, %rdx
    next
op_end:
    dec %rdi
    jnz again
1:  answer

    .balign 4096
table:
    .quad op_add, op_sub, op_xor, op_shift, op_rotate, op_increment, op_lea, op_swap, op_end
program:
    .set n, 1
    .rept 256
    .byte (n >> 11) & 7
    .set n, (n * 25173 + 13849) & 0xffff
    .endr
    .byte 8
