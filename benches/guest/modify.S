# Code that writes code: the immediate operand of a function on another page, then a call of it. A round is one call.

    .include "answer.inc"
    .section .kernel, "awx"
    .globl kernel
kernel:
    xor %edx, %edx
    test %rdi, %rdi
    jz 2f
1:  mov %edi, function + 1(%rip)
    call function
    add %rax, %rdx
    dec %rdi
    jnz 1b
2:  mov %rdx, %rax
    answer

    .balign 4096
function:
    mov $0, %eax
    ret
    .balign 4096
