# x87: a polynomial by Horner's rule at a moving point, with stack exchanges, a load, a store and a conversion. A round is one turn of the loop.

    .include "answer.inc"
    .section .kernel, "awx"
    .globl kernel
kernel:
    lea constants(%rip), %rsi
    fninit
    fldz                            # sum
    fldl (%rsi)                     # x, sum
    test %rdi, %rdi
    jz 3f
1:  fld %st(0)                      # x, x, sum
    fmull 16(%rsi)
    faddl 24(%rsi)
    fmul %st(1), %st
    faddl 32(%rsi)
    fmul %st(1), %st
    fsubl 40(%rsi)
    faddp %st, %st(2)               # x, sum
    faddl 8(%rsi)
    fcoml 48(%rsi)
    fnstsw %ax
    test $1, %ah                    # below the limit?
    jnz 2f
    fstp %st(0)
    fldl (%rsi)
2:  fxch %st(1)                     # sum, x
    fstl 56(%rsi)
    fxch %st(1)
    dec %rdi
    jnz 1b
3:  fstp %st(0)
    fistpll 56(%rsi)
    mov 56(%rsi), %rax
    answer

    .balign 4096
constants:
    .double 0.25, 0.001
    .double 0.75, 1.5, 0.375, 2.25
    .double 1.75, 0.0
