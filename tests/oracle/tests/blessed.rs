//! The blessed files are what PUC 5.4.8 says today, and each case has one.

use std::process::Command;

#[test]
fn blessed_files_are_the_oracles_answers() {
    let bless = Command::new(env!("CARGO_BIN_EXE_bless")).arg("--check").output().expect("bless runs");
    let text = String::from_utf8_lossy(&bless.stdout);
    assert!(bless.status.success(), "{text}");
}
