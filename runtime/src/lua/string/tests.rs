//! Interning: a string is the same object, however it was made, and another one where a byte differs.

use std::collections::HashSet;

use super::super::state::State;
use super::{MAX_SHORT, Tiny, short::Short};

/// Bytes of which none is like its neighbours, among them zeros.
fn text(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 37 % 11) as u8).collect()
}

#[test]
fn strings_are_interned_whatever_they_are_made_of() {
    let mut state = State::new();
    let heap = &mut state.heap;
    for len in 0..=MAX_SHORT {
        let bytes = text(len);
        let whole = heap.string(&bytes).unwrap();
        assert!(whole.is_short());
        assert_eq!(whole.bytes(), bytes);
        assert_eq!(heap.string(&bytes).unwrap(), whole);
        for at in 0..=len {
            let (a, b) = bytes.split_at(at);
            assert_eq!(heap.string_of_parts(&[a, b]).unwrap(), whole, "{len} bytes, divided at {at}");
            let parts = [a, b].map(|part| heap.string(part).unwrap());
            assert_eq!(heap.concat(parts).unwrap(), whole, "{len} bytes, divided at {at}");
            for second in at..=len {
                let parts = [a, &bytes[at..second], &bytes[second..]];
                assert_eq!(heap.string_of_parts(&parts).unwrap(), whole, "{len} bytes, divided at {at} and {second}");
                let parts = parts.map(|part| heap.string(part).unwrap());
                assert_eq!(heap.concat(parts).unwrap(), whole, "{len} bytes, divided at {at} and {second}");
            }
        }
    }
}

#[test]
fn strings_that_differ_are_others() {
    let mut state = State::new();
    let heap = &mut state.heap;
    let mut all = HashSet::new();
    for len in 0..=MAX_SHORT {
        let zeros = vec![0; len];
        // Of zeros alone only the length differs.
        assert!(all.insert(heap.string(&zeros).unwrap().address()), "{len} zeros");
        for at in 0..len {
            let mut bytes = zeros.clone();
            bytes[at] = 0x80;
            assert!(all.insert(heap.string(&bytes).unwrap().address()), "{len} bytes, another one at {at}");
        }
    }
}

#[test]
fn tiny_strings_hash_as_other_short_ones() {
    for len in 0..=Tiny::MAX {
        let mut short = Short::EMPTY;
        short.push(&text(len));
        assert_eq!(Tiny::new(&text(len)).hash(), short.hash());
    }
}

#[test]
fn each_character_counts_for_all_bits_of_hashes() {
    let mut state = State::new();
    for len in [1, 2, 3, 4, 7, 8, 9, 12, 15, 16, 17, 24, 31, 33, 40, 41, 64, 100] {
        for at in 0..len {
            let mut places = [HashSet::new(), HashSet::new()];
            for byte in 0..=255 {
                let mut bytes = vec![b'a'; len];
                bytes[at] = byte;
                let hash = state.heap.string(&bytes).unwrap().hash();
                places[0].insert(hash & 0x3ff);
                places[1].insert(hash >> 16 & 0x3ff);
            }
            // Of 256 that are thrown into 1024 places by chance, 227 lie alone or are the first, give or take 6.
            let found = places.map(|p| p.len());
            assert!(found.iter().all(|n| *n > 190), "{len} bytes, {at} differs: {found:?} places");
        }
    }
}
