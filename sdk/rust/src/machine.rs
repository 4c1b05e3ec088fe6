//! What the standard library asks of a machine, answered within the adapter: there is none.
//!
//! It wants its outputs, its environment and a way to exit as soon as anything can panic. Without these answers a
//! component would import nineteen functions of WASI; each takes a call, and a reviewer, time.

#![allow(unsafe_code, reason = "the names of C's library are taken")]

use std::ffi::{c_char, c_int};

/// One of the parts that `writev` takes.
#[repr(C)]
struct Part {
    data: *const u8,
    length: usize,
}

/// All of it is written, to nowhere.
#[unsafe(no_mangle)]
extern "C" fn write(_descriptor: c_int, _data: *const u8, length: usize) -> isize {
    length.cast_signed()
}

/// As [`write`].
#[unsafe(no_mangle)]
unsafe extern "C" fn writev(_descriptor: c_int, parts: *const Part, count: c_int) -> isize {
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: who calls this promises that there are so many.
    let parts = unsafe { std::slice::from_raw_parts(parts, count) };
    parts.iter().map(|part| part.length).sum::<usize>().cast_signed()
}

/// No variable is set.
#[unsafe(no_mangle)]
extern "C" fn getenv(_name: *const c_char) -> *const c_char {
    std::ptr::null()
}

/// An adapter answers; it has no end of its own.
#[unsafe(no_mangle)]
extern "C" fn exit(_code: c_int) -> ! {
    core::arch::wasm32::unreachable()
}
