//! The names that the machine itself looks up: metamethods and a few words.

#![forbid(unsafe_code)]

use super::heap::{Gc, Heap, OutOfMemory};
use super::string::Str;

macro_rules! define_events {
    ($(($name:ident, $text:literal),)*) => {
        /// A metamethod, or another field of metatables that the machine reads.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub enum Event {
            $(#[doc = concat!("`", $text, "`")] $name,)*
        }

        impl Event {
            /// All of them, by number.
            pub const ALL: &[Event] = &[$(Event::$name,)*];
            const TEXTS: &[&str] = &[$($text,)*];
        }
    };
}

// The first eight are cached as absent in a metatable's header, one bit each.
define_events! {
    (Index, "__index"), (NewIndex, "__newindex"), (Eq, "__eq"), (Len, "__len"), (Call, "__call"), (Gc, "__gc"),
    (Mode, "__mode"), (Close, "__close"),
    (Add, "__add"), (Sub, "__sub"), (Mul, "__mul"), (Mod, "__mod"), (Pow, "__pow"), (Div, "__div"), (IDiv, "__idiv"),
    (BAnd, "__band"), (BOr, "__bor"), (BXor, "__bxor"), (Shl, "__shl"), (Shr, "__shr"), (Unm, "__unm"), (BNot, "__bnot"),
    (Lt, "__lt"), (Le, "__le"), (Concat, "__concat"),
    (ToString, "__tostring"), (Name, "__name"), (Metatable, "__metatable"), (Pairs, "__pairs"),
}

impl Event {
    /// The name as programs write it.
    pub fn text(self) -> &'static str {
        Self::TEXTS[self as usize]
    }

    /// Where a metatable's header caches that it lacks this field.
    #[inline(always)]
    pub fn absent_bit(self) -> Option<u8> {
        ((self as u8) < 8).then(|| 1 << self as u8)
    }
}

/// The interned names of all events, and the message of the memory error, which must exist before it is needed.
pub struct Names {
    events: Vec<Gc<Str>>,
}

impl Names {
    pub(super) fn empty() -> Names {
        Names { events: Vec::new() }
    }

    pub(super) fn new(heap: &mut Heap) -> Result<Names, OutOfMemory> {
        let texts = Event::TEXTS.iter().copied().chain([MEMORY_ERROR]);
        Ok(Names { events: texts.map(|t| heap.string(t.as_bytes())).collect::<Result<_, _>>()? })
    }

    /// The interned name of an event.
    #[inline(always)]
    pub fn event(&self, event: Event) -> Gc<Str> {
        self.events[event as usize]
    }

    /// The message of the memory error.
    pub fn memory_error(&self) -> Gc<Str> {
        self.events[Event::ALL.len()]
    }

    pub(super) fn all(&self) -> &[Gc<Str>] {
        &self.events
    }
}

const MEMORY_ERROR: &str = "not enough memory";
