//! The names of registers.

use perilune_runtime::guest::cpu::{Cpu, seg};

macro_rules! registers {
    ($($name:ident = $text:literal, $field:expr;)*) => {
        /// A register that can be read and written as a number of 64 bits.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[allow(missing_docs, reason = "the names of the registers")]
        pub enum Register {
            $($name,)*
        }

        impl Register {
            /// All registers.
            pub const ALL: &'static [Register] = &[$(Register::$name,)*];

            /// The name in small letters: `rax`.
            pub fn name(self) -> &'static str {
                match self { $(Register::$name => $text,)* }
            }

            /// The field of the processor's state.
            pub(super) fn field(self, cpu: &mut Cpu) -> &mut u64 {
                let field: fn(&mut Cpu) -> &mut u64 = match self { $(Register::$name => $field,)* };
                field(cpu)
            }
        }
    };
}

registers! {
    Rax = "rax", |c| &mut c.gpr[0];
    Rcx = "rcx", |c| &mut c.gpr[1];
    Rdx = "rdx", |c| &mut c.gpr[2];
    Rbx = "rbx", |c| &mut c.gpr[3];
    Rsp = "rsp", |c| &mut c.gpr[4];
    Rbp = "rbp", |c| &mut c.gpr[5];
    Rsi = "rsi", |c| &mut c.gpr[6];
    Rdi = "rdi", |c| &mut c.gpr[7];
    R8 = "r8", |c| &mut c.gpr[8];
    R9 = "r9", |c| &mut c.gpr[9];
    R10 = "r10", |c| &mut c.gpr[10];
    R11 = "r11", |c| &mut c.gpr[11];
    R12 = "r12", |c| &mut c.gpr[12];
    R13 = "r13", |c| &mut c.gpr[13];
    R14 = "r14", |c| &mut c.gpr[14];
    R15 = "r15", |c| &mut c.gpr[15];
    Rip = "rip", |c| &mut c.rip;
    Rflags = "rflags", |c| &mut c.rflags;
    Cr0 = "cr0", |c| &mut c.cr0;
    Cr2 = "cr2", |c| &mut c.cr2;
    Cr3 = "cr3", |c| &mut c.cr3;
    Cr4 = "cr4", |c| &mut c.cr4;
    Efer = "efer", |c| &mut c.msr.efer;
    FsBase = "fs_base", |c| &mut c.segments[seg::FS].base;
    GsBase = "gs_base", |c| &mut c.segments[seg::GS].base;
}

impl Register {
    /// The register of that name.
    pub fn by_name(name: &str) -> Option<Register> {
        Register::ALL.iter().copied().find(|register| register.name() == name)
    }
}
