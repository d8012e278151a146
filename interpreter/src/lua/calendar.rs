//! Calendar dates and processor time: what only C's library knows.

use std::ffi::CString;
use std::mem::MaybeUninit;

use libc::{time_t, tm};

/// The processor time that the process has used, in seconds.
pub fn processor_time() -> f64 {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: `time` is there to be written.
    let time = unsafe {
        if libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, time.as_mut_ptr()) != 0 {
            return -1.0;
        }
        time.assume_init()
    };
    // In whole microseconds, as `clock` counts.
    (time.tv_sec * 1_000_000 + time.tv_nsec / 1000) as f64 / 1e6
}

/// A time broken down, in UTC or in the local time zone; none if the year is too large.
pub fn broken_down(time: i64, utc: bool) -> Option<tm> {
    let time: time_t = time;
    let mut parts = MaybeUninit::<tm>::zeroed();
    // SAFETY: both pointers are valid; all zeros are a `tm`.
    unsafe {
        let result = if utc {
            libc::gmtime_r(&raw const time, parts.as_mut_ptr())
        } else {
            libc::localtime_r(&raw const time, parts.as_mut_ptr())
        };
        (!result.is_null()).then(|| parts.assume_init())
    }
}

/// The time of local calendar fields, which need not be in their ranges; none if it is not representable.
pub fn local_time(fields: &[i32; 6], daylight: i32) -> Option<(i64, tm)> {
    let mut parts = MaybeUninit::<tm>::zeroed();
    // SAFETY: all zeros are a `tm`, and the pointer is valid.
    unsafe {
        let p = &mut *parts.as_mut_ptr();
        [p.tm_year, p.tm_mon, p.tm_mday, p.tm_hour, p.tm_min, p.tm_sec] = *fields;
        p.tm_isdst = daylight;
        let time = libc::mktime(p);
        (time != -1).then(|| (time, parts.assume_init()))
    }
}

/// Formats by one conversion of `strftime`, `%` included, which must be one that C's library knows.
pub fn format(conversion: &[u8], parts: &tm) -> Vec<u8> {
    let Ok(conversion) = CString::new(conversion) else { return Vec::new() };
    let mut text = [0u8; 250];
    // SAFETY: the buffer is as large as said, and the other two are valid; `parts` comes from C's library.
    let n = unsafe { libc::strftime(text.as_mut_ptr().cast(), text.len(), conversion.as_ptr(), parts) };
    text[..n].to_vec()
}
