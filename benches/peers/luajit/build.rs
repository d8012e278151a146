//! Builds LuaJIT 2.1 with its own makefile (`-O2`, no assertions) when the feature `peer` asks for it.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "peer")]
    {
        let luajit = luajit_src::Build::new().debug(false).build();
        for lib in luajit.libs() {
            println!("cargo::rustc-link-arg-bins={}/lib{lib}.a", luajit.lib_dir().display());
        }
        println!("cargo::rustc-link-arg-bins=-lm");
        println!("cargo::rustc-link-arg-bins=-ldl");
    }
}
