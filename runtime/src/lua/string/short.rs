//! The bytes of a short string as words. Hashed, compared and joined as such they are a few instructions, with few branches that
//! depend on the length, and without loads of bytes that were just stored in other portions, which a processor has to wait for.

use super::super::heap::Gc;
use super::{MAX_SHORT, Str, mix};

const WORDS: usize = MAX_SHORT / 8;

/// Calls `visit` with the numbers of the words that so many bytes take, one at least, as long as it answers true. Answers whether it always
/// did. (A loop would become a call of the C library's function to copy or compare memory, which takes longer.)
#[inline(always)]
fn words_of(len: usize, mut visit: impl FnMut(usize) -> bool) -> bool {
    const { assert!(WORDS == 5) };
    visit(0) && (len <= 8 || visit(1) && (len <= 16 || visit(2) && (len <= 24 || visit(3) && (len <= 32 || visit(4)))))
}

/// A word of an interned string.
///
/// # Safety
/// It is one of those that [`words_of`] its length tells.
#[inline(always)]
unsafe fn word(s: Gc<Str>, i: usize) -> u64 {
    debug_assert!(s.is_short());
    // SAFETY: the bytes of a short string lie behind its head, and were written by `Short::write`.
    unsafe { s.as_ptr().add(1).cast::<u64>().add(i).read() }
}

/// Up to eight bytes as a word.
#[inline(always)]
fn word_of(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let [first, last] = [first, last].map(|half| u64::from(u32::from_le_bytes(*half)));
        first | last << ((bytes.len() - 4) * 8)
    } else if let [first, .., last] = bytes {
        let middle = bytes.len() / 2;
        u64::from(*first) | u64::from(bytes[middle]) << (middle * 8) | u64::from(*last) << ((bytes.len() - 1) * 8)
    } else {
        bytes.first().map_or(0, |only| u64::from(*only))
    }
}

/// Up to sixteen bytes, as most strings have, in two words that stay in registers.
#[derive(Clone, Copy)]
pub(super) struct Tiny {
    words: u128,
    len: usize,
}

impl Tiny {
    pub(super) const MAX: usize = 16;

    /// These bytes.
    #[inline(always)]
    pub(super) fn new(bytes: &[u8]) -> Tiny {
        let len = bytes.len();
        debug_assert!(len <= Tiny::MAX);
        let words = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
            (Some(first), Some(last)) if len > 8 => {
                let [first, last] = [first, last].map(|word| u64::from_le_bytes(*word));
                u128::from(first) | u128::from(last >> ((Tiny::MAX - len) * 8)) << 64
            }
            _ => word_of(bytes).into(),
        };
        Tiny { words, len }
    }

    /// The bytes of an interned string that is no longer than that.
    #[inline(always)]
    pub(super) fn of(s: Gc<Str>) -> Tiny {
        debug_assert!(s.len <= Tiny::MAX);
        // SAFETY: as many as there are.
        let [low, high] = unsafe { [word(s, 0), if s.len > 8 { word(s, 1) } else { 0 }] };
        Tiny { words: u128::from(low) | u128::from(high) << 64, len: s.len }
    }

    /// With other bytes behind it; all are no longer than that.
    #[inline(always)]
    pub(super) fn then(self, part: Tiny) -> Tiny {
        // Behind sixteen bytes there is nothing to be shifted.
        Tiny { words: self.words | part.words << (self.len * 8 % 128), len: self.len + part.len }
    }

    /// Its two words.
    #[inline(always)]
    fn halves(self) -> [u64; 2] {
        [self.words as u64, (self.words >> 64) as u64]
    }

    /// The hash, the same as that of a [`Short`].
    #[inline(always)]
    pub(super) fn hash(self) -> u32 {
        let [low, high] = self.halves();
        let h = mix(seed(self.len) ^ low);
        if self.len > 8 { mix(h ^ high) as u32 } else { h as u32 }
    }

    /// Are these the bytes of an interned string?
    #[inline(always)]
    pub(super) fn is(self, s: Gc<Str>) -> bool {
        let [low, high] = self.halves();
        // SAFETY: the lengths are the same.
        s.len == self.len && unsafe { word(s, 0) == low && (self.len <= 8 || word(s, 1) == high) }
    }
}

/// What the hash of a short string begins with.
#[inline(always)]
fn seed(len: usize) -> u64 {
    (len as u64) << 56
}

/// Up to [`MAX_SHORT`] bytes, in words as they lie in memory, with zeros behind the last one.
///
/// It is not moved: that would load two words at once which were just stored one by one, and the processor would wait for all that was
/// begun before them, such as loads from far away.
pub(super) struct Short {
    /// The last two are always zero; they are there for what [`Short::push_word`] carries, also behind a full one.
    words: [u64; WORDS + 2],
    len: usize,
}

impl Short {
    pub(super) const EMPTY: Short = Short { words: [0; WORDS + 2], len: 0 };

    /// Number of bytes.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Appends bytes, which there is room for.
    #[inline(always)]
    pub(super) fn push(&mut self, part: &[u8]) {
        let (words, rest) = part.as_chunks::<8>();
        words.iter().for_each(|word| self.push_word(u64::from_le_bytes(*word), 8));
        if !rest.is_empty() {
            let word = match part.last_chunk::<8>() {
                Some(last) => u64::from_le_bytes(*last) >> ((8 - rest.len()) * 8),
                None => word_of(rest),
            };
            self.push_word(word, rest.len());
        }
    }

    /// Appends bytes, which there is room for.
    #[inline(always)]
    pub(super) fn push_tiny(&mut self, part: Tiny) {
        let [low, high] = part.halves();
        self.push_word(low, part.len.min(8));
        self.push_word(high, part.len.saturating_sub(8));
    }

    /// Appends the bytes of an interned string, which there is room for.
    #[inline(always)]
    pub(super) fn push_string(&mut self, s: Gc<Str>) {
        let mut at = 0;
        while at < s.len {
            // SAFETY: as many as there are.
            self.push_word(unsafe { word(s, at / 8) }, (s.len - at).min(8));
            at += 8;
        }
    }

    /// Appends so many bytes of a word; those behind them are zeros.
    #[inline(always)]
    fn push_word(&mut self, word: u64, len: usize) {
        debug_assert!(self.len + len <= MAX_SHORT);
        let (at, shift) = (self.len / 8, self.len % 8 * 8);
        self.words[at] |= word << shift;
        // In two steps: there may be nothing to shift, by 64 bits then.
        self.words[at + 1] = word >> 1 >> (63 - shift);
        self.len += len;
    }

    /// The hash. It is the same in each run, so that runs can be repeated.
    #[inline(always)]
    pub(super) fn hash(&self) -> u32 {
        let words = &self.words[..self.len.div_ceil(8).max(1)];
        words.iter().fold(seed(self.len), |h, word| mix(h ^ word)) as u32
    }

    /// Are these the bytes of an interned string?
    #[inline(always)]
    pub(super) fn is(&self, s: Gc<Str>) -> bool {
        // SAFETY: the lengths are the same.
        s.len == self.len && words_of(self.len, |i| unsafe { word(s, i) } == self.words[i])
    }

    /// Writes the words.
    ///
    /// # Safety
    /// There is room for them at `to`, which is aligned.
    #[inline(always)]
    pub(super) unsafe fn write(&self, to: *mut u64) {
        words_of(self.len, |i| {
            // SAFETY: the caller's promise.
            unsafe { to.add(i).write(self.words[i]) };
            true
        });
    }
}
