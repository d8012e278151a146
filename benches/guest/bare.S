# Starts a kernel on a bare machine by multiboot 1: to 64-bit mode, the first GiB mapped as it is by pages of 2 MiB. The kernel's
# answer goes to the debug-exit port.

    .section .multiboot, "a"
    .align 4
    .long 0x1badb002, 0, -0x1badb002

    .text
    .code32
    .globl start
start:
    mov $stack_top, %esp
    movl $pdpt + 7, pml4
    movl $pd + 7, pdpt
    mov $0x87, %eax
    xor %ecx, %ecx
1:  mov %eax, pd(,%ecx,8)
    add $0x200000, %eax
    inc %ecx
    cmp $512, %ecx
    jne 1b
    mov %cr4, %eax
    or $0x620, %eax             # PAE, OSFXSR, OSXMMEXCPT
    mov %eax, %cr4
    mov $pml4, %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx
    rdmsr
    or $0x100, %eax             # LME
    wrmsr
    mov %cr0, %eax
    or $0x80000022, %eax        # PG, NE, MP
    and $~4, %eax               # EM
    mov %eax, %cr0
    lgdt gdt_pointer
    ljmp $8, $long_mode

    .code64
long_mode:
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov $ROUNDS, %edi
    call kernel
    out %eax, $0xf4
2:  hlt
    jmp 2b

    .data
    .align 8
gdt:
    .quad 0
    .quad 0x00af9b000000ffff    # 64-bit code
    .quad 0x00cf93000000ffff    # data
gdt_pointer:
    .word gdt_pointer - gdt - 1
    .long gdt

    .bss
    .align 4096
pml4:   .skip 4096
pdpt:   .skip 4096
pd:     .skip 4096
    .skip 16384
stack_top:
