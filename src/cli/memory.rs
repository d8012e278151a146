//! What the C library's allocator does with memory that it gets back.

#![expect(unsafe_code, reason = "a call of the C library")]

/// Lets the allocator keep what is freed for later use instead of giving it back to the system, up to 64 MiB, and take it from
/// there. The collector frees much at once and the program soon wants it again: a program that fills large tables would
/// spend a quarter of its time in page faults.
pub fn keep() {
    #[cfg(target_env = "gnu")]
    // SAFETY: both are numbers that the function takes; there is one thread yet.
    unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, 64 << 20);
        libc::mallopt(libc::M_MMAP_THRESHOLD, 32 << 20);
    }
}
