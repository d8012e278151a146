//! What all objects of the heap have in common: a header of eight bytes and a pointer type.

use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::NonNull;

/// What kind of object a header belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// A string.
    String,
    /// A table.
    Table,
    /// A Lua function.
    LuaFunction,
    /// A native function.
    NativeFunction,
    /// A userdata.
    Userdata,
    /// A coroutine.
    Thread,
    /// A captured variable.
    Cell,
    /// A function prototype.
    Proto,
    /// A shape.
    Shape,
}

/// The first eight bytes of every object.
///
/// `color` is the collector's: equal to the heap's barrier color while the object has been scanned in the cycle under way,
/// so that the write barrier is one compare. The other bytes belong to the object's kind.
#[repr(C)]
pub struct Header {
    /// The object's kind.
    pub kind: Kind,
    /// The collector's color; see [`super::Heap::barrier_color`].
    pub color: std::cell::Cell<u8>,
    /// Used by the kind: tables keep their array's kind here, strings whether they are short.
    pub detail: std::cell::Cell<u8>,
    /// Used by the kind: flags.
    pub flags: std::cell::Cell<u8>,
    /// Used by the kind: a string's hash, a table's capacities.
    pub extra: std::cell::Cell<u32>,
}

impl Header {
    /// A header for a new object.
    pub fn new(kind: Kind) -> Header {
        Header {
            kind,
            color: std::cell::Cell::new(0),
            detail: std::cell::Cell::new(0),
            flags: std::cell::Cell::new(0),
            extra: std::cell::Cell::new(0),
        }
    }
}

/// A pointer to an object of the heap. It is valid until the next safepoint, and longer if the object is reachable from a
/// root: the heap does not move objects. Not a root itself.
#[repr(transparent)]
pub struct Gc<T>(NonNull<T>, PhantomData<*mut T>);

impl<T> Gc<T> {
    /// A pointer from an address.
    ///
    /// # Safety
    /// `object` must be a live object of type `T` in the heap.
    #[inline(always)]
    pub const unsafe fn from_raw(object: *mut T) -> Gc<T> {
        // SAFETY: a live object is not at null.
        Gc(unsafe { NonNull::new_unchecked(object) }, PhantomData)
    }

    /// The address as a pointer.
    #[inline(always)]
    pub const fn as_ptr(self) -> *mut T {
        self.0.as_ptr()
    }

    /// The address as a number.
    #[inline(always)]
    pub fn address(self) -> usize {
        self.0.as_ptr().expose_provenance()
    }

    /// The address of the object's header.
    #[inline(always)]
    pub fn header(self) -> *mut Header {
        self.as_ptr().cast()
    }
}

impl<T> Clone for Gc<T> {
    #[inline(always)]
    fn clone(&self) -> Gc<T> {
        *self
    }
}
impl<T> Copy for Gc<T> {}

impl<T> PartialEq for Gc<T> {
    #[inline(always)]
    fn eq(&self, other: &Gc<T>) -> bool {
        self.0 == other.0
    }
}
impl<T> Eq for Gc<T> {}

impl<T> Deref for Gc<T> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: valid by the type's contract; objects are changed through their `Cell`s only.
        unsafe { self.0.as_ref() }
    }
}

impl<T> std::fmt::Debug for Gc<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:p}", self.0)
    }
}
