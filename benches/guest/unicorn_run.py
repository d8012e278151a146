"""Runs a kernel on Unicorn: unicorn_run.py FILE ROUNDS. FILE is the kernel's bytes, which belong at 4 MiB. Prints the kernel's answer."""

import sys

from unicorn import Uc, UC_ARCH_X86, UC_MODE_64
from unicorn.x86_const import UC_X86_REG_RAX, UC_X86_REG_RDI, UC_X86_REG_RSP

KERNEL, STACK, END = 0x400000, 0x200000, 0x100000

with open(sys.argv[1], "rb") as file:
    code = file.read()
machine = Uc(UC_ARCH_X86, UC_MODE_64)
machine.mem_map(END, 0x1000)
machine.mem_map(STACK, 0x10000)
machine.mem_map(KERNEL, (len(code) + 0xFFFF) & ~0xFFFF)
machine.mem_write(KERNEL, code)
machine.mem_write(STACK + 0x8000, END.to_bytes(8, "little"))
machine.reg_write(UC_X86_REG_RSP, STACK + 0x8000)
machine.reg_write(UC_X86_REG_RDI, int(sys.argv[2]))
machine.emu_start(KERNEL, END)
print(machine.reg_read(UC_X86_REG_RAX) & 0x7F)
