# What a multiboot 1 image of the tests starts with: from 32-bit protected mode to 64-bit mode with the first GiB mapped as it is, an
# interrupt table whose entries all lead to `trap`, and then to `main`, whose value goes to the debug-exit port.

    .set MAGIC, 0x1badb002
    .set FLAGS, 2

    .section .multiboot, "a"
    .align 4
    .long MAGIC, FLAGS, -(MAGIC + FLAGS)

    .text
    .code32
    .globl start
start:
    mov $stack_top, %esp
    mov %ebx, multiboot_information
    cmp $0x2badb002, %eax
    jne refuse

    # One page of 1 GiB: PML4 -> PDPT.
    movl $pdpt + 7, pml4
    movl $0x87, pdpt
    mov %cr4, %eax
    or $0x620, %eax             # PAE, OSFXSR, OSXMMEXCPT
    mov %eax, %cr4
    mov $pml4, %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx
    rdmsr
    or $0x901, %eax             # NXE, LME, SCE
    wrmsr
    mov %cr0, %eax
    or $0x80010022, %eax        # PG, WP, NE, MP
    and $~4, %eax               # EM
    mov %eax, %cr0
    lgdt gdt_pointer
    ljmp $8, $long_mode
refuse:
    mov $0x7f, %al
    out %al, $0xf4
    hlt

    .code64
long_mode:
    mov $0x10, %ax
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %ss
    call fill_idt
    lidt idt_pointer
    mov $0x28, %ax
    ltr %ax
    mov multiboot_information, %edi
    call main
    out %eax, $0xf4
1:  hlt
    jmp 1b

# Each entry of the table: push the vector (and a 0 where the processor pushes no error code), and on to `trap`.
    .align 16
entries:
    .set n, 0
    .rept 256
    .align 16
    .if !(n == 8 || n == 10 || n == 11 || n == 12 || n == 13 || n == 14 || n == 17)
    push $0
    .endif
    pushq $n
    jmp common
    .set n, n + 1
    .endr

common:
    push %rax
    push %rcx
    push %rdx
    push %rbx
    push %rbp
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, %rdi
    cld
    call trap
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rbp
    pop %rbx
    pop %rdx
    pop %rcx
    pop %rax
    add $16, %rsp
    iretq

fill_idt:
    lea entries(%rip), %rax
    lea idt(%rip), %rdi
    mov $256, %ecx
1:  mov %ax, (%rdi)
    movw $8, 2(%rdi)
    movw $0xee00, 4(%rdi)       # present, DPL 3, interrupt gate
    mov %rax, %rdx
    shr $16, %rdx
    mov %dx, 6(%rdi)
    shr $16, %rdx
    mov %edx, 8(%rdi)
    movl $0, 12(%rdi)
    add $16, %rax
    add $16, %rdi
    dec %ecx
    jnz 1b
    # The task state's descriptor.
    lea tss(%rip), %rax
    mov %ax, gdt + 0x2a
    shr $16, %rax
    mov %al, gdt + 0x2c
    mov %ah, gdt + 0x2f
    ret

    .data
    .align 8
    .globl gdt
gdt:
    .quad 0
    .quad 0x00af9b000000ffff    # 08: 64-bit code
    .quad 0x00cf93000000ffff    # 10: data
    .quad 0x00cff3000000ffff    # 18: data of CPL 3
    .quad 0x00affb000000ffff    # 20: 64-bit code of CPL 3
    .quad 0x0000890000000067    # 28: task state
    .quad 0
gdt_pointer:
    .word gdt_pointer - gdt - 1
    .quad gdt
idt_pointer:
    .word 4095
    .quad idt
multiboot_information:
    .long 0
    .align 16
    .globl tss
tss:
    .long 0
    .quad interrupt_stack_top
    .skip 84
    .word 0
    .word 0x68
    .skip 8

    .bss
    .align 4096
    .globl pml4
pml4:   .skip 4096
    .globl pdpt
pdpt:   .skip 4096
idt:    .skip 4096
    .skip 16384
stack_top:
    .skip 16384
interrupt_stack_top:
