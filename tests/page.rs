//! The page of the trace viewer: complete in itself, and what a browser makes of it.

#![cfg(feature = "jit")]
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::Command;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gdb/variables.lua");

/// Runs the script and answers where the page is.
fn page(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("perilune-{name}-{}.html", std::process::id()));
    let output = Command::new(env!("CARGO_BIN_EXE_perilune"))
        .args([&format!("-jhtml={}", path.display()), "-Ohotexit=10", SCRIPT])
        .output()
        .unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    path
}

#[test]
fn the_page_holds_all_stages_and_needs_nothing_else() {
    let path = page("stages");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    for part in [
        "local square = self.x",
        "\"number\":1",
        "\"what\":\"exit 1/",
        "FORLOOP",
        "snap reexec",
        "\"recorded\":\"snap",
        "x = r",
        "\"frames\":[\"Point.norm\",\"main_chunk\"]",
    ] {
        assert!(text.contains(part), "{part} is missing");
    }
    let outside = text.replace("http://www.w3.org/2000/svg", "");
    assert!(!outside.contains("http://") && !outside.contains("https://") && !outside.contains("src="));
}

#[test]
fn a_browser_shows_it() {
    if !Command::new("chromium").arg("--version").output().is_ok_and(|output| output.status.success()) {
        println!("NOT RUN: the trace viewer in a browser (no chromium)");
        assert!(!std::env::var("PERILUNE_REQUIRE").is_ok_and(|value| value == "all"), "chromium is required");
        return;
    }
    let path = page("browser");
    let profile = path.with_extension("profile");
    let dump = |fragment: &str| {
        let output = Command::new("timeout")
            .args(["100", "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=2000"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .args(["--dump-dom", &format!("file://{}#{fragment}", path.display())])
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let code = dump("trace=1&tab=code");
    for part in ["bytes of machine code", "class=\"node on\"", "Trace 1</h2>", "jne exit_", "line 36", "exit 8</text>"]
    {
        assert!(code.contains(part), "{part} is missing in:\n{code}");
    }
    let exits = dump("trace=1&tab=exits");
    for part in ["rebuilds", "Point.norm ← main_chunk", "trace 2</a>", "label = "] {
        assert!(exits.contains(part), "{part} is missing in:\n{exits}");
    }
    std::fs::remove_file(&path).unwrap();
    let _ = std::fs::remove_dir_all(&profile);
}
