# Integer arithmetic: three steps of xorshift, a multiplication, sums with and without carry. A round is one turn of the loop.

    .include "answer.inc"
    .section .kernel, "awx"
    .globl kernel
kernel:
    mov $88172645463325252, %rax
    xor %edx, %edx
    xor %esi, %esi
    test %rdi, %rdi
    jz 2f
1:  mov %rax, %rcx
    shl $13, %rcx
    xor %rcx, %rax
    mov %rax, %rcx
    shr $7, %rcx
    xor %rcx, %rax
    mov %rax, %rcx
    shl $17, %rcx
    xor %rcx, %rax
    imul $31, %rdx, %rdx
    add %rax, %rdx
    adc $0, %rsi
    dec %rdi
    jnz 1b
2:  lea (%rdx,%rsi), %rax
    answer
