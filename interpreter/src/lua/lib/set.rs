//! Classes and sets of bytes, as patterns name them (manual §6.4.1).
#![forbid(unsafe_code)]

use std::cell::RefCell;

const ESCAPE: u8 = b'%';

const ALPHA: u16 = 1;
const DIGIT: u16 = 2;
const LOWER: u16 = 4;
const SPACE: u16 = 8;
const UPPER: u16 = 16;
const PUNCT: u16 = 32;
const CONTROL: u16 = 64;
const HEX: u16 = 128;
/// The zero byte, for `%z`, which Lua 5.1 left behind.
const ZERO: u16 = 256;

/// The properties of each byte, as C's "C" locale has them.
pub(super) static PROPERTIES: [u16; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 128 {
        let c = i as u8;
        let mut p = 0;
        if c.is_ascii_alphabetic() {
            p |= ALPHA;
        }
        if c.is_ascii_digit() {
            p |= DIGIT;
        }
        if c.is_ascii_lowercase() {
            p |= LOWER;
        }
        if c == b' ' || (c >= b'\t' && c <= b'\r') {
            p |= SPACE;
        }
        if c.is_ascii_uppercase() {
            p |= UPPER;
        }
        if c.is_ascii_punctuation() {
            p |= PUNCT;
        }
        if c.is_ascii_control() {
            p |= CONTROL;
        }
        if c.is_ascii_hexdigit() {
            p |= HEX;
        }
        if c == 0 {
            p |= ZERO;
        }
        table[i] = p;
        i += 1;
    }
    table
};

/// The bytes with each property, by the number of its bit.
static CLASSES: [[u64; 4]; 9] = {
    let mut table = [[0; 4]; 9];
    let mut c = 0;
    while c < 256 {
        let mut property = 0;
        while property < table.len() {
            if PROPERTIES[c] >> property & 1 != 0 {
                table[property][c / 64] |= 1 << (c % 64);
            }
            property += 1;
        }
        c += 1;
    }
    table
};

/// The properties that a class letter stands for; none if it stands for itself.
#[inline]
pub(super) const fn class_mask(letter: u8) -> Option<u16> {
    Some(match letter.to_ascii_lowercase() {
        b'a' => ALPHA,
        b'c' => CONTROL,
        b'd' => DIGIT,
        b'g' => ALPHA | DIGIT | PUNCT,
        b'l' => LOWER,
        b'p' => PUNCT,
        b's' => SPACE,
        b'u' => UPPER,
        b'w' => ALPHA | DIGIT,
        b'x' => HEX,
        b'z' => ZERO,
        _ => return None,
    })
}

/// A set of bytes: a bit for each.
#[derive(Clone, Copy)]
pub(super) struct Set([u64; 4]);

impl Set {
    pub(super) const EMPTY: Set = Set([0; 4]);

    #[inline(always)]
    pub(super) fn has(self, c: u8) -> bool {
        self.0[usize::from(c >> 6)] >> (c & 63) & 1 != 0
    }

    #[inline]
    fn add(&mut self, c: u8) {
        self.0[usize::from(c >> 6)] |= 1 << (c & 63);
    }

    /// The bytes from `low` to `high`.
    #[inline]
    fn add_range(&mut self, low: u8, high: u8) {
        for (word, first) in self.0.iter_mut().zip((0..).step_by(64)) {
            let (low, high) = (i32::from(low) - first, i32::from(high) - first);
            if low <= high && high >= 0 && low < 64 {
                *word |= u64::MAX << low.max(0) & u64::MAX >> (63 - high.min(63));
            }
        }
    }

    /// The bytes with one of these properties, or with none of them.
    #[inline]
    fn add_class(&mut self, mask: u16, negated: bool) {
        let mut class = [0; 4];
        for (_, set) in CLASSES.iter().enumerate().filter(|(property, _)| mask >> property & 1 != 0) {
            class.iter_mut().zip(set).for_each(|(word, bits)| *word |= bits);
        }
        let flip = if negated { u64::MAX } else { 0 };
        self.0.iter_mut().zip(class).for_each(|(word, bits)| *word |= bits ^ flip);
    }

    /// The bytes that a set's inside names.
    pub(super) fn read(mut text: &[u8]) -> Set {
        let mut set = Set::EMPTY;
        loop {
            match *text {
                [] => return set,
                [ESCAPE, letter, ref rest @ ..] => {
                    match class_mask(letter) {
                        Some(mask) => set.add_class(mask, letter.is_ascii_uppercase()),
                        None => set.add(letter),
                    }
                    text = rest;
                }
                // Behind a range that ended in a `%`. It escapes the bracket at the end of the set, in PUC Lua.
                [ESCAPE] => {
                    set.add(b']');
                    return set;
                }
                [low, b'-', high, ref rest @ ..] => {
                    set.add_range(low, high);
                    text = rest;
                }
                [c, ref rest @ ..] => {
                    set.add(c);
                    text = rest;
                }
            }
        }
    }

    fn complement(self) -> Set {
        Set(self.0.map(|bits| !bits))
    }

    /// The set whose `[` the text begins with, and how many bytes it takes; none if it is not closed.
    fn parse(text: &[u8]) -> Option<(Set, usize)> {
        let at = |q: usize| text.get(q).copied();
        let negated = at(1) == Some(b'^');
        let inside = 1 + usize::from(negated);
        let mut q = inside;
        loop {
            // A bracket right at the start belongs to the set.
            match at(q) {
                None => return None,
                Some(b']') if q > inside => break,
                Some(ESCAPE) if q + 1 >= text.len() => return None,
                Some(ESCAPE) => q += 2,
                Some(_) => q += 1,
            }
        }
        let set = Set::read(&text[inside..q]);
        Some((if negated { set.complement() } else { set }, q + 1))
    }

    /// Does the same in less time: programs match with the same few sets all the time.
    pub(super) fn at_start(text: &[u8]) -> Option<(Set, usize)> {
        KNOWN_SETS.with_borrow_mut(|known| {
            let known = &mut known[KnownSet::place(text)];
            let len = usize::from(known.len);
            // A set ends where its text says; what follows does not matter.
            if len > 0 && text.starts_with(&known.text[..len]) {
                return Some((known.set, len));
            }
            let (set, len) = Set::parse(text)?;
            if let Some(place) = known.text.get_mut(..len) {
                place.copy_from_slice(&text[..len]);
                (known.len, known.set) = (len as u8, set);
            }
            Some((set, len))
        })
    }
}

/// A set that was read before, with its text.
#[derive(Clone, Copy)]
struct KnownSet {
    text: [u8; KnownSet::LONGEST],
    len: u8,
    set: Set,
}

impl KnownSet {
    const LONGEST: usize = 15;
    /// How many are remembered.
    const COUNT: usize = 64;

    /// The place where the set is remembered whose `[` the text begins with.
    fn place(text: &[u8]) -> usize {
        let start = text.first_chunk::<4>().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        (start.wrapping_mul(0x9e37_79b1) >> 26) as usize
    }
}

thread_local! {
    static KNOWN_SETS: RefCell<[KnownSet; KnownSet::COUNT]> =
        const { RefCell::new([KnownSet { text: [0; KnownSet::LONGEST], len: 0, set: Set::EMPTY }; KnownSet::COUNT]) };
}
