# Calls and returns: the 13th Fibonacci number by recursion. A round is 753 calls.

    .include "answer.inc"
    .section .kernel, "awx"
    .globl kernel
kernel:
    push %rbx
    push %rbp
    mov %rdi, %rbx
    xor %ebp, %ebp
    test %rbx, %rbx
    jz 2f
1:  mov $13, %edi
    call fib
    add %rax, %rbp
    dec %rbx
    jnz 1b
2:  mov %rbp, %rax
    pop %rbp
    pop %rbx
    answer

fib:
    mov %rdi, %rax
    cmp $2, %rdi
    jb 3f
    push %rbx
    mov %rdi, %rbx
    dec %rdi
    call fib
    lea -2(%rbx), %rdi
    mov %rax, %rbx
    call fib
    add %rbx, %rax
    pop %rbx
3:  ret
