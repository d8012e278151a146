//! The map by which `perf report` names compiled code: `/tmp/perf-PID.map`, a line for each symbol.
//!
//! The format is `START SIZE NAME`, both numbers in hexadecimal without a prefix (Linux, tools/perf/Documentation/
//! jit-interface.txt). perf reads the file after the process has ended, so a line says what an address meant last.
#![forbid(unsafe_code)]

use crate::object::Symbol;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The open map of this process.
#[derive(Debug)]
pub struct PerfMap {
    file: File,
}

impl PerfMap {
    /// Where perf looks for this process's map.
    pub fn path() -> PathBuf {
        PathBuf::from(format!("/tmp/perf-{}.map", std::process::id()))
    }

    /// Creates or continues the map at `path`.
    pub fn open(path: &Path) -> io::Result<PerfMap> {
        // The name can be foreseen by anybody who may write to the folder: do not follow where they lead.
        let file =
            OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW).open(path)?;
        Ok(PerfMap { file })
    }

    /// Adds symbols. A line end in a name would start a line of its own; it becomes a space.
    pub fn add(&mut self, symbols: &[Symbol]) -> io::Result<()> {
        let mut text = String::new();
        for Symbol { name, start, size } in symbols {
            let name = name.replace(['\n', '\r'], " ");
            text += &format!("{start:x} {size:x} {name}\n");
        }
        self.file.write_all(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_added_and_links_not_followed() {
        let folder = std::env::temp_dir().join(format!("perilune-perf-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (path, link) = (folder.join("map"), folder.join("link"));
        let symbol = |name: &str, start| Symbol { name: name.into(), start, size: 0x1f };
        PerfMap::open(&path).unwrap().add(&[symbol("trace_1", 0x7f00_0000_1000), symbol("a\nb", 0x10)]).unwrap();
        PerfMap::open(&path).unwrap().add(&[symbol("trace_2", 0x20)]).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "7f0000001000 1f trace_1\n10 1f a b\n20 1f trace_2\n");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(PerfMap::open(&link).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
