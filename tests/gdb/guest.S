# A guest for a session of gdb: an ELF64 image. `main` has `copy` called often, whose instruction for strings is executed by a handler that
# translated code calls; then it writes to the code of `copy`, has `fill` called often, and leaves. Often is ROUNDS times.

    .section .text, "ax"
    .globl main
    .type main, @function
main:
    lea copy(%rip), %rax
    call repeat
    movb $0x90, letters(%rip)
    lea fill(%rip), %rax
    call repeat
    xor %eax, %eax
    out %eax, $0xf4
    hlt
    .size main, . - main

    .type repeat, @function
repeat:
    mov $ROUNDS, %ebx
1:  call *%rax
    dec %ebx
    jnz 1b
    ret
    .size repeat, . - repeat

    .balign 64
    .type copy, @function
copy:
    lea from(%rip), %rsi
    lea to(%rip), %rdi
    mov $4, %ecx
letters:
    rep movsb
    ret
    .size copy, . - copy

    .balign 64
    .type fill, @function
fill:
    lea to(%rip), %rdi
    mov $16, %ecx
    rep stosb
    ret
    .size fill, . - fill

    .balign 4096
from:
    .ascii "sixteen letters."
to: .skip 16
