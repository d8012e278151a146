//! Keeps gdb's interface to compiled code in the binary when all other symbols are stripped: gdb finds it by name.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for symbol in ["__jit_debug_register_code", "__jit_debug_descriptor", "PERILUNE_DESCRIPTOR"] {
        println!("cargo:rustc-link-arg-bins=-Wl,--export-dynamic-symbol={symbol}");
    }
}
