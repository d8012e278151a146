//! Symbols: the names and strings of one chunk, each kept once and known by a number.
//!
//! All bytes lie in one buffer, so that a chunk costs a handful of allocations however many names it has, and comparing
//! names is comparing numbers.
#![forbid(unsafe_code)]

use std::rc::Rc;

/// The number of a name or string of the chunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Symbol(pub u32);

/// The table of symbols of one chunk.
#[derive(Debug)]
pub struct Symbols {
    bytes: Vec<u8>,
    /// End of each symbol's bytes; it begins where the one before ends.
    ends: Vec<u32>,
    hashes: Vec<u32>,
    /// Open addressing: a symbol's number plus one, or 0.
    slots: Vec<u32>,
    /// What [`Symbols::shared`] has handed out.
    shared: Vec<Option<Rc<[u8]>>>,
}

fn hash(text: &[u8]) -> u32 {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut h = text.len() as u64;
    let mut chunks = text.chunks_exact(8);
    for c in &mut chunks {
        let word = u64::from_le_bytes([c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]]);
        h = (h.rotate_left(5) ^ word).wrapping_mul(K);
    }
    let word = chunks.remainder().iter().fold(0u64, |w, &c| w << 8 | u64::from(c));
    h = (h.rotate_left(5) ^ word).wrapping_mul(K);
    (h >> 32) as u32
}

impl Default for Symbols {
    fn default() -> Self {
        Symbols { bytes: Vec::new(), ends: Vec::new(), hashes: Vec::new(), slots: vec![0; 64], shared: Vec::new() }
    }
}

impl Symbols {
    /// The symbol for this text.
    pub fn intern(&mut self, text: &[u8]) -> Symbol {
        let h = hash(text);
        let mask = self.slots.len() - 1;
        let mut at = h as usize & mask;
        while self.slots[at] != 0 {
            let n = self.slots[at] - 1;
            if self.hashes[n as usize] == h && self.text(Symbol(n)) == text {
                return Symbol(n);
            }
            at = (at + 1) & mask;
        }
        let n = self.ends.len() as u32;
        self.slots[at] = n + 1;
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len() as u32);
        self.hashes.push(h);
        if self.ends.len() * 2 > self.slots.len() {
            self.grow();
        }
        Symbol(n)
    }

    fn grow(&mut self) {
        let mask = self.slots.len() * 2 - 1;
        let mut slots = vec![0; mask + 1];
        for (n, &h) in self.hashes.iter().enumerate() {
            let mut at = h as usize & mask;
            while slots[at] != 0 {
                at = (at + 1) & mask;
            }
            slots[at] = n as u32 + 1;
        }
        self.slots = slots;
    }

    /// The bytes of a symbol.
    pub fn text(&self, s: Symbol) -> &[u8] {
        let n = s.0 as usize;
        let start = if n == 0 { 0 } else { self.ends[n - 1] as usize };
        &self.bytes[start..self.ends[n] as usize]
    }

    /// The bytes of a symbol, shared by all who ask for them.
    pub fn shared(&mut self, s: Symbol) -> Rc<[u8]> {
        let n = s.0 as usize;
        if self.shared.len() <= n {
            self.shared.resize(self.ends.len(), None);
        }
        if let Some(shared) = &self.shared[n] {
            return shared.clone();
        }
        let text: Rc<[u8]> = self.text(s).into();
        self.shared[n] = Some(text.clone());
        text
    }

    /// How many symbols there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// There are no symbols yet.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_has_one_symbol() {
        let mut symbols = Symbols::default();
        let texts: Vec<Vec<u8>> = (0..1000u32).map(|i| format!("name{}", i * 7).into_bytes()).collect();
        let first: Vec<Symbol> = texts.iter().map(|t| symbols.intern(t)).collect();
        let second: Vec<Symbol> = texts.iter().map(|t| symbols.intern(t)).collect();
        assert_eq!(first, second);
        assert_eq!(symbols.len(), 1000);
        for (t, s) in texts.iter().zip(first) {
            assert_eq!(symbols.text(s), &t[..]);
            assert!(Rc::ptr_eq(&symbols.shared(s), &symbols.shared(s)));
        }
        let (empty, zero) = (symbols.intern(b""), symbols.intern(b"\0"));
        assert_ne!(empty, zero);
        assert_eq!((symbols.text(empty), symbols.text(zero)), (&b""[..], &b"\0"[..]));
    }
}
