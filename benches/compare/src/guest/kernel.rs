//! Builds the kernels with the system's assembler and linker: for a bare machine, for a Linux process, and as plain bytes.

use perilune_oracle::root;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The kernels.
pub const NAMES: [&str; 9] = ["integer", "memory", "pages", "calls", "indirect", "doubles", "x87", "movs", "modify"];

/// The folder of what is built; it goes when this is dropped.
pub struct Workshop {
    folder: PathBuf,
}

impl Drop for Workshop {
    fn drop(&mut self) {
        // What is left in the system's folder for temporary files does no harm.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A kernel's code, assembled.
pub struct Kernel {
    /// Its name.
    pub name: String,
    folder: PathBuf,
}

fn sources() -> PathBuf {
    root().join("benches/guest")
}

fn tool(name: &str, arguments: &[&dyn AsRef<Path>]) -> Result<(), String> {
    let arguments: Vec<OsString> = arguments.iter().map(|a| a.as_ref().as_os_str().to_owned()).collect();
    let done = Command::new(name).args(&arguments).output().map_err(|e| format!("{name} is needed: {e}"))?;
    let told = String::from_utf8_lossy(&done.stderr);
    if done.status.success() { Ok(()) } else { Err(format!("{name} {arguments:?}:\n{told}")) }
}

impl Workshop {
    /// A folder with what starts the kernels.
    pub fn new() -> Result<Workshop, String> {
        let folder = std::env::temp_dir().join(format!("perilune-guest-compare-{}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let workshop = Workshop { folder };
        for starter in ["bare", "process"] {
            workshop.assemble(starter)?;
        }
        Ok(workshop)
    }

    fn assemble(&self, name: &str) -> Result<(), String> {
        let source = sources().join(format!("{name}.S"));
        let include = format!("-I{}", sources().display());
        let object = self.folder.join(format!("{name}.o"));
        tool("cc", &[&"-c", &"-m64", &format!("-Wa,{include}"), &source, &"-o", &object])
    }

    /// Assembles the kernel of that name.
    pub fn kernel(&self, name: &str) -> Result<Kernel, String> {
        if !NAMES.contains(&name) {
            return Err(format!("no kernel is called '{name}'; there are {}", NAMES.join(", ")));
        }
        self.assemble(name)?;
        Ok(Kernel { name: name.into(), folder: self.folder.clone() })
    }
}

impl Kernel {
    fn link(&self, starter: &str, rounds: u32) -> Result<PathBuf, String> {
        let linked = self.folder.join(format!("{}.{starter}", self.name));
        let object = |name: &str| self.folder.join(format!("{name}.o"));
        let script = sources().join("kernel.ld");
        let count = format!("ROUNDS={rounds}");
        tool(
            "ld",
            &[
                &"-z",
                &"noexecstack",
                &"--no-warn-rwx-segments",
                &"-T",
                &script,
                &object(starter),
                &object(&self.name),
                &"--defsym",
                &count,
                &"-o",
                &linked,
            ],
        )?;
        Ok(linked)
    }

    /// A program for Linux that does so many rounds.
    pub fn process(&self, rounds: u32) -> Result<PathBuf, String> {
        self.link("process", rounds)
    }

    /// A multiboot image that does so many rounds.
    pub fn image(&self, rounds: u32) -> Result<PathBuf, String> {
        let linked = self.link("bare", rounds)?;
        let image = linked.with_extension("image");
        tool("objcopy", &[&"-O", &"elf32-i386", &linked, &image])?;
        Ok(image)
    }

    /// The kernel alone, as it lies in memory from 4 MiB on.
    pub fn bytes(&self) -> Result<PathBuf, String> {
        let linked = self.link("process", 0)?;
        let bytes = linked.with_extension("bin");
        tool("objcopy", &[&"-O", &"binary", &"-j", &".kernel", &linked, &bytes])?;
        Ok(bytes)
    }
}
