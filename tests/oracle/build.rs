//! Builds PUC Lua 5.4.8 with the options that distributions use (`-O2`, no API checks), whatever profile Cargo is in,
//! and links it into the binary `puc` alone: the library half of this package contains no C.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let lua = lua_src::Build::new().opt_level("2").debug(false).build(lua_src::Lua54);
    for lib in lua.libs() {
        println!("cargo::rustc-link-arg-bin=puc={}/lib{lib}.a", lua.lib_dir().display());
    }
    println!("cargo::rustc-link-arg-bin=puc=-lm");
    println!("cargo::rustc-link-arg-bin=puc=-ldl");
}
