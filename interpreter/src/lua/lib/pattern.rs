//! Lua's patterns (manual §6.4.1): a backtracking matcher over bytes.
//!
//! The pattern is interpreted as it stands: what is malformed behind the point where a match fails is never noticed,
//! which programs can see. Recursion (one level a capture, and one for what follows a repetition) is bounded, so that no
//! pattern can exhaust the native stack.

#![forbid(unsafe_code)]

use std::fmt;

use super::set::{PROPERTIES, Set, class_mask};

/// Most captures of a pattern.
pub const MAX_CAPTURES: usize = 32;
/// Most levels of recursion.
const MAX_DEPTH: u32 = 200;
const ESCAPE: u8 = b'%';

/// What is wrong with a pattern.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PatternError {
    /// It takes too many levels of recursion.
    TooComplex,
    /// It ends within an escape.
    EndsWithEscape,
    /// A set is not closed.
    MissingBracket,
    /// `%b` wants two characters.
    MissingBalance,
    /// `%f` wants a set.
    MissingFrontier,
    /// There are more than [`MAX_CAPTURES`].
    TooManyCaptures,
    /// A `)` without its `(`.
    InvalidCapture,
    /// A `(` without its `)`.
    UnfinishedCapture,
    /// The capture, counted from 1, is not there.
    CaptureIndex(u32),
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PatternError::TooComplex => "pattern too complex",
            PatternError::EndsWithEscape => "malformed pattern (ends with '%')",
            PatternError::MissingBracket => "malformed pattern (missing ']')",
            PatternError::MissingBalance => "malformed pattern (missing arguments to '%b')",
            PatternError::MissingFrontier => "missing '[' after '%f' in pattern",
            PatternError::TooManyCaptures => "too many captures",
            PatternError::InvalidCapture => "invalid pattern capture",
            PatternError::UnfinishedCapture => "unfinished capture",
            PatternError::CaptureIndex(i) => return write!(f, "invalid capture index %{i}"),
        })
    }
}

/// Why there is no match.
#[derive(Clone, Copy)]
enum Fail {
    Mismatch,
    Error(PatternError),
}

type Match = Result<usize, Fail>;

impl<T> From<PatternError> for Result<T, Fail> {
    fn from(e: PatternError) -> Self {
        Err(Fail::Error(e))
    }
}

#[derive(Clone, Copy)]
struct Slot {
    start: usize,
    /// In bytes, or [`OPEN`] or [`POSITION`]: in an enum it would be written in parts and read as a whole, which processors wait for.
    length: usize,
}

/// The length of a capture whose `)` has not been come to.
const OPEN: usize = usize::MAX;
/// The length of a capture that is a position.
const POSITION: usize = usize::MAX - 1;

/// A capture's value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Capture<'a> {
    /// A part of the subject.
    Text(&'a [u8]),
    /// A position, counted from 1.
    Position(usize),
}

/// What matches one byte. It is small, so that it stays in registers.
#[derive(Clone, Copy)]
enum Single {
    Any,
    Byte(u8),
    /// The properties wanted, and whether they must be absent.
    Class(u16, bool),
    /// A set: its place among those that were read, until another one is read.
    Set(u8),
}

impl Single {
    #[inline(always)]
    fn matches(self, c: u8, set: &Set) -> bool {
        match self {
            Single::Any => true,
            Single::Byte(b) => b == c,
            Single::Class(mask, negated) => (PROPERTIES[c as usize] & mask != 0) != negated,
            Single::Set(_) => set.has(c),
        }
    }

    /// How many bytes at the start it matches.
    #[inline]
    fn count(self, text: &[u8], set: Set) -> usize {
        match self {
            Single::Any => text.len(),
            Single::Byte(b) => text.iter().take_while(|c| **c == b).count(),
            Single::Class(mask, negated) => {
                text.iter().take_while(|c| (PROPERTIES[**c as usize] & mask != 0) != negated).count()
            }
            Single::Set(_) => text.iter().take_while(|c| set.has(**c)).count(),
        }
    }

    /// The first byte that it matches.
    #[inline]
    fn find(self, text: &[u8], set: Set) -> Option<usize> {
        match self {
            Single::Any => (!text.is_empty()).then_some(0),
            Single::Byte(b) => find_byte(text, b),
            Single::Class(mask, negated) => text.iter().position(|c| (PROPERTIES[*c as usize] & mask != 0) != negated),
            Single::Set(_) => text.iter().position(|c| set.has(*c)),
        }
    }
}

/// The sets read lately, by where they begin and end in the pattern.
struct Sets {
    known: [(usize, usize, Set); SETS],
    next: u8,
}

/// Sets that a matcher remembers.
const SETS: usize = 4;

impl Sets {
    const NONE: Sets = Sets { known: [(usize::MAX, 0, Set::EMPTY); SETS], next: 0 };

    /// The set that this is, if it is one. It has to be copied to be used when others have been read.
    #[inline(always)]
    fn of(&self, single: Single) -> &Set {
        match single {
            Single::Set(place) => &self.known[usize::from(place) % SETS].2,
            _ => &Set::EMPTY,
        }
    }

    /// Remembers a set in place of another one.
    fn add(&mut self, start: usize, end: usize, set: Set) -> Single {
        let place = self.next;
        self.known[usize::from(place)] = (start, end, set);
        self.next = (place + 1) % SETS as u8;
        Single::Set(place)
    }

    /// The set that begins there, and where it ends.
    #[inline]
    fn find(&self, start: usize) -> Option<(Single, usize)> {
        let place = self.known.iter().position(|(at, ..)| *at == start)?;
        Some((Single::Set(place as u8), self.known[place].1))
    }
}

// -------------------------------------------------------------------------------------------------------------- matcher

/// A pattern at work on a subject.
pub struct Matcher<'a> {
    subject: &'a [u8],
    pattern: &'a [u8],
    level: usize,
    depth: u32,
    /// The first captures; most patterns have no others.
    slots: [Slot; FEW],
    more: Vec<Slot>,
    sets: Sets,
}

/// Captures that have their place in the matcher itself.
const FEW: usize = 6;

impl<'a> Matcher<'a> {
    /// The pattern comes without its anchor.
    pub fn new(subject: &'a [u8], pattern: &'a [u8]) -> Matcher<'a> {
        let slots = [Slot { start: 0, length: OPEN }; FEW];
        Matcher { subject, pattern, level: 0, depth: 0, slots, more: Vec::new(), sets: Sets::NONE }
    }

    /// Matches at a place of the subject; answers where the match ends.
    #[inline]
    pub fn match_at(&mut self, start: usize) -> Result<Option<usize>, PatternError> {
        self.level = 0;
        self.depth = 0;
        match self.run(start, 0) {
            Ok(end) => Ok(Some(end)),
            Err(Fail::Mismatch) => Ok(None),
            Err(Fail::Error(e)) => Err(e),
        }
    }

    /// Searches from a place on; answers where the match begins and ends.
    pub fn search(&mut self, from: usize) -> Result<Option<(usize, usize)>, PatternError> {
        let first = self.first().map(|single| (single, *self.sets.of(single)));
        let mut start = from;
        loop {
            if let Some((single, set)) = first {
                match single.find(&self.subject[start..], set) {
                    Some(n) => start += n,
                    None => return Ok(None),
                }
            }
            if let Some(end) = self.match_at(start)? {
                return Ok(Some((start, end)));
            }
            if start >= self.subject.len() {
                return Ok(None);
            }
            start += 1;
        }
    }

    /// What the first byte of every match must be, if the pattern shows it. Where that is not there, the rest of the
    /// pattern is not looked at, malformed or not.
    fn first(&mut self) -> Option<Single> {
        let mut p = 0;
        while self.at(p) == Some(b'(') && p < MAX_CAPTURES {
            p += 1;
        }
        match (self.at(p)?, self.at(p + 1)) {
            (b'(' | b')', _) | (b'$', None) | (ESCAPE, None | Some(b'b' | b'f' | b'0'..=b'9')) => return None,
            _ => {}
        }
        let (single, next) = self.single(p).ok()?;
        (!matches!(self.at(next), Some(b'*' | b'?' | b'-'))).then_some(single)
    }

    /// Number of captures of the last match.
    pub fn captures(&self) -> usize {
        self.level
    }

    /// A capture of the last match, counted from 0. Without any captures, number 0 is the whole match.
    pub fn capture(&self, index: usize, start: usize, end: usize) -> Result<Capture<'a>, PatternError> {
        if index >= self.level {
            return match index {
                0 => Ok(Capture::Text(&self.subject[start..end])),
                _ => Err(PatternError::CaptureIndex(index as u32 + 1)),
            };
        }
        let slot = self.slot(index);
        match slot.length {
            OPEN => Err(PatternError::UnfinishedCapture),
            POSITION => Ok(Capture::Position(slot.start + 1)),
            length => Ok(Capture::Text(&self.subject[slot.start..slot.start + length])),
        }
    }

    #[inline]
    fn slot(&self, index: usize) -> Slot {
        if index < FEW { self.slots[index] } else { self.more[index - FEW] }
    }

    #[inline]
    fn set_slot(&mut self, index: usize, slot: Slot) {
        if index < FEW {
            self.slots[index] = slot;
        } else {
            self.set_further_slot(index - FEW, slot);
        }
    }

    #[cold]
    fn set_further_slot(&mut self, index: usize, slot: Slot) {
        self.more.resize(self.more.len().max(index + 1), slot);
        self.more[index] = slot;
    }

    /// A part of the subject.
    pub fn capture_range(&self, start: usize, end: usize) -> &'a [u8] {
        &self.subject[start..end]
    }

    #[inline]
    fn at(&self, p: usize) -> Option<u8> {
        self.pattern.get(p).copied()
    }

    /// The item of one byte at `p`, and where it ends.
    #[inline]
    fn single(&mut self, p: usize) -> Result<(Single, usize), Fail> {
        match self.pattern[p] {
            b'.' => Ok((Single::Any, p + 1)),
            ESCAPE => match self.at(p + 1) {
                None => PatternError::EndsWithEscape.into(),
                Some(c) => Ok((
                    match class_mask(c) {
                        Some(mask) => Single::Class(mask, c.is_ascii_uppercase()),
                        None => Single::Byte(c),
                    },
                    p + 2,
                )),
            },
            b'[' => self.set(p),
            c => Ok((Single::Byte(c), p + 1)),
        }
    }

    /// The set whose `[` is at `p`.
    fn set(&mut self, p: usize) -> Result<(Single, usize), Fail> {
        match self.sets.find(p) {
            Some(known) => Ok(known),
            None => self.read_set(p),
        }
    }

    fn read_set(&mut self, p: usize) -> Result<(Single, usize), Fail> {
        let Some((set, len)) = Set::at_start(&self.pattern[p..]) else { return PatternError::MissingBracket.into() };
        Ok((self.sets.add(p, p + len, set), p + len))
    }

    /// Matches the pattern from `p` on with the subject from `s` on, one level deeper.
    fn run(&mut self, s: usize, p: usize) -> Match {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return PatternError::TooComplex.into();
        }
        let result = self.items(s, p);
        self.depth -= 1;
        result
    }

    fn items(&mut self, mut s: usize, mut p: usize) -> Match {
        while p < self.pattern.len() {
            match self.pattern[p] {
                b'(' => {
                    return if self.at(p + 1) == Some(b')') {
                        self.open(s, p + 2, POSITION)
                    } else {
                        self.open(s, p + 1, OPEN)
                    };
                }
                b')' => return self.close(s, p + 1),
                b'$' if p + 1 == self.pattern.len() => {
                    return if s == self.subject.len() { Ok(s) } else { Err(Fail::Mismatch) };
                }
                ESCAPE => match self.at(p + 1) {
                    Some(b'b') => {
                        s = self.balance(s, p + 2)?;
                        p += 4;
                        continue;
                    }
                    Some(b'f') => {
                        p = self.frontier(s, p + 2)?;
                        continue;
                    }
                    Some(c @ b'0'..=b'9') => {
                        s = self.back_reference(s, c)?;
                        p += 2;
                        continue;
                    }
                    _ => {}
                },
                _ => {}
            }
            let (single, next) = self.single(p)?;
            match self.at(next) {
                Some(b'*') => return self.longest(s, next + 1, single, 0),
                Some(b'+') => return self.longest(s, next + 1, single, 1),
                Some(b'-') => return self.shortest(s, next + 1, single),
                Some(b'?') => {
                    if self.subject.get(s).is_some_and(|c| single.matches(*c, self.sets.of(single))) {
                        match self.run(s + 1, next + 1) {
                            Err(Fail::Mismatch) => {}
                            result => return result,
                        }
                    }
                    p = next + 1;
                }
                _ => {
                    if !self.subject.get(s).is_some_and(|c| single.matches(*c, self.sets.of(single))) {
                        return Err(Fail::Mismatch);
                    }
                    s += 1;
                    p = next;
                }
            }
        }
        Ok(s)
    }

    /// As many as there are, then fewer; at least `least`.
    fn longest(&mut self, s: usize, p: usize, single: Single, least: usize) -> Match {
        let most = single.count(&self.subject[s..], *self.sets.of(single));
        if p == self.pattern.len() {
            return if most >= least { Ok(s + most) } else { Err(Fail::Mismatch) };
        }
        for n in (least..=most).rev() {
            match self.run(s + n, p) {
                Err(Fail::Mismatch) => {}
                result => return result,
            }
        }
        Err(Fail::Mismatch)
    }

    /// As few as will do.
    fn shortest(&mut self, mut s: usize, p: usize, single: Single) -> Match {
        let set = *self.sets.of(single);
        loop {
            match self.run(s, p) {
                Err(Fail::Mismatch) => {}
                result => return result,
            }
            match self.subject.get(s) {
                Some(c) if single.matches(*c, &set) => s += 1,
                _ => return Err(Fail::Mismatch),
            }
        }
    }

    fn open(&mut self, s: usize, p: usize, length: usize) -> Match {
        let level = self.level;
        if level >= MAX_CAPTURES {
            return PatternError::TooManyCaptures.into();
        }
        self.set_slot(level, Slot { start: s, length });
        self.level = level + 1;
        let result = self.run(s, p);
        if result.is_err() {
            self.level -= 1;
        }
        result
    }

    fn close(&mut self, s: usize, p: usize) -> Match {
        let open = (0..self.level).rev().find(|i| self.slot(*i).length == OPEN);
        let Some(index) = open else { return PatternError::InvalidCapture.into() };
        let start = self.slot(index).start;
        self.set_slot(index, Slot { start, length: s - start });
        let result = self.run(s, p);
        if result.is_err() {
            self.set_slot(index, Slot { start, length: OPEN });
        }
        result
    }

    /// `%bxy`, whose characters are at `p`.
    fn balance(&self, s: usize, p: usize) -> Match {
        let Some(&[open, close]) = self.pattern.get(p..p + 2) else { return PatternError::MissingBalance.into() };
        if self.subject.get(s) != Some(&open) {
            return Err(Fail::Mismatch);
        }
        let mut level = 1;
        for (i, c) in self.subject.iter().enumerate().skip(s + 1) {
            if *c == close {
                level -= 1;
                if level == 0 {
                    return Ok(i + 1);
                }
            } else if *c == open {
                level += 1;
            }
        }
        Err(Fail::Mismatch)
    }

    /// `%f[set]`, whose set is at `p`; answers where the pattern goes on.
    fn frontier(&mut self, s: usize, p: usize) -> Match {
        if self.at(p) != Some(b'[') {
            return PatternError::MissingFrontier.into();
        }
        let (set, next) = self.set(p)?;
        let before = if s == 0 { 0 } else { self.subject[s - 1] };
        let here = self.subject.get(s).copied().unwrap_or(0);
        let has = |c| set.matches(c, self.sets.of(set));
        if !has(before) && has(here) { Ok(next) } else { Err(Fail::Mismatch) }
    }

    fn back_reference(&self, s: usize, digit: u8) -> Match {
        let index = usize::from(digit).wrapping_sub(usize::from(b'1'));
        if index >= self.level || self.slot(index).length == OPEN {
            return PatternError::CaptureIndex(u32::from(digit - b'0')).into();
        }
        let Slot { start, length } = self.slot(index);
        if length == POSITION {
            // It is as long as nothing can be.
            return Err(Fail::Mismatch);
        }
        let text = &self.subject[start..start + length];
        if self.subject[s..].starts_with(text) { Ok(s + length) } else { Err(Fail::Mismatch) }
    }
}

/// Has the pattern any special characters?
pub fn is_plain(pattern: &[u8]) -> bool {
    !pattern.iter().any(|c| b"^$*+?.([%-".contains(c))
}

/// Where a byte first is in the text.
#[inline]
pub fn find_byte(text: &[u8], byte: u8) -> Option<usize> {
    // A look at 32 bytes at once becomes a few vector instructions.
    const WIDE: usize = 32;
    let mut at = 0;
    while let Some(chunk) = text.get(at..at + WIDE) {
        if chunk.iter().fold(false, |found, c| found | (*c == byte)) {
            break;
        }
        at += WIDE;
    }
    text[at..].iter().position(|c| *c == byte).map(|n| at + n)
}

/// Where `needle` begins in the text.
pub fn find_plain(text: &[u8], needle: &[u8]) -> Option<usize> {
    let (first, last) = match needle {
        [] => return Some(0),
        [byte] => return find_byte(text, *byte),
        [first, .., last] => (*first, *last),
    };
    // Places where both the first and the last byte fit are few; 32 places at once, as in `find_byte`.
    const WIDE: usize = 32;
    let places = (text.len() + 1).checked_sub(needle.len())?;
    let (starts, ends) = (&text[..places], &text[needle.len() - 1..]);
    let mut at = 0;
    while at < places {
        let to = places.min(at + WIDE);
        let pairs = || starts[at..to].iter().zip(&ends[at..to]);
        if pairs().fold(false, |found, (s, e)| found | ((*s == first) & (*e == last))) {
            for (i, (s, e)) in pairs().enumerate() {
                if *s == first && *e == last && text[at + i..].starts_with(needle) {
                    return Some(at + i);
                }
            }
        }
        at = to;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The match and its captures as text, `-` where there is none, or the error.
    fn shown(subject: &str, pattern: &str) -> String {
        let (subject, pattern) = (subject.as_bytes(), pattern.as_bytes());
        let (anchored, pattern) = match pattern {
            [b'^', rest @ ..] => (true, rest),
            _ => (false, pattern),
        };
        let mut m = Matcher::new(subject, pattern);
        let found = if anchored { m.match_at(0).map(|e| e.map(|e| (0, e))) } else { m.search(0) };
        let (start, end) = match found {
            Ok(None) => return "-".to_string(),
            Ok(Some(found)) => found,
            Err(e) => return e.to_string(),
        };
        let mut text = format!("{start}..{end}");
        for i in 0..m.captures() {
            text += &match m.capture(i, start, end) {
                Ok(Capture::Text(t)) => format!(" {}", String::from_utf8_lossy(t)),
                Ok(Capture::Position(p)) => format!(" @{p}"),
                Err(e) => return e.to_string(),
            };
        }
        text
    }

    #[track_caller]
    fn check(subject: &str, pattern: &str, expected: &str) {
        assert_eq!(shown(subject, pattern), expected, "{pattern:?} on {subject:?}");
    }

    #[test]
    fn items_and_repetitions() {
        check("hello world", "o w", "4..7");
        check("hello", "l+", "2..4");
        check("hello", "xl*", "-");
        check("hello", "l-o", "2..5");
        check("aXb", "a%ub", "0..3");
        check("key = value", "^(%w+)%s*=%s*(%w+)$", "0..11 key value");
        check("abc", "^b", "-");
        check("abc", "b?c?d?$", "1..3");
        check("", "", "0..0");
        check("", ".*", "0..0");
        check("x", "$", "1..1");
        check("a$b", "$b", "1..3");
        check("a.b", "%.", "1..2");
        check("a-b", "[a%-]+", "0..2");
        check("x]y", "[]]", "1..2");
        check("x]y", "[^]]+", "0..1");
        check("a-z", "[a-]+", "0..2");
        check("m", "[a-z]", "0..1");
        check("m", "[^%a]", "-");
        check("0x1F", "0x%x+", "0..4");
        check(&"ab".repeat(40), "[ab]+", "0..80");
        check(&("a".repeat(60) + "!"), "[^!]+!", "0..61");
    }

    #[test]
    fn captures_and_the_rest() {
        check("abc", "()b()", "1..2 @2 @3");
        check("\"it's\"", "([\"'])(.-)%1", "0..6 \" it's");
        check("f(a(b)c)d", "%b()", "1..8");
        check("f(a(b c", "%b()", "4..4".replace("4..4", "-").as_str());
        check("THE (quick) fox", "%f[%a]%a+%f[%A]", "0..3");
        check("one two", "%f[%w]%w+$", "4..7");
        check("((x))", "(%((.)%))", "-".replace('-', "1..4 (x) x").as_str());
    }

    #[test]
    fn what_is_wrong() {
        check("a", "%", "malformed pattern (ends with '%')");
        check("a", "[a", "malformed pattern (missing ']')");
        check("a", "[]", "malformed pattern (missing ']')");
        check("a", "[a%", "malformed pattern (missing ']')");
        check("a", "%f", "missing '[' after '%f' in pattern");
        check("a", "%bx", "malformed pattern (missing arguments to '%b')");
        check("a", "a)", "invalid pattern capture");
        check("a", "(a", "unfinished capture");
        check("a", "%1", "invalid capture index %1");
        check("a", "(%1)", "invalid capture index %1");
        check("a", "%0", "invalid capture index %0");
        check("a", &"()".repeat(33), "too many captures");
        check(&"a".repeat(300), &"a?".repeat(300), "pattern too complex");
        check("b", "a[", "-");
    }

    #[test]
    fn sets_have_the_bytes_that_their_parts_match() {
        for letter in 0..=255 {
            let set = Set::read(&[ESCAPE, letter]);
            let single = match class_mask(letter) {
                Some(mask) => Single::Class(mask, letter.is_ascii_uppercase()),
                None => Single::Byte(letter),
            };
            assert!((0..=255).all(|c| set.has(c) == single.matches(c, &Set::EMPTY)), "%{}", letter as char);
        }
        for (low, high) in [(0, 0), (0, 255), (63, 64), (64, 127), (65, 90), (128, 191), (192, 255), (255, 255), (9, 8)]
        {
            let set = Set::read(&[low, b'-', high]);
            assert!((0..=255).all(|c| set.has(c) == (low <= c && c <= high)), "{low}-{high}");
        }
    }

    #[test]
    fn a_set_is_held_while_many_others_are_read() {
        check("acegiacegik", "[a-k]-[cd][ef][gh][ij][kl]", "0..11");
        check("xa-acegi-acegik", "[ab][cd][ef][gh][ij][kl]", "9..15");
        check("aaacegim", "[ab]?[ab]*[cd][ef][gh][ij][kl]", "-");
        check("xacegi acegik", "%f[ab][ab][cd][ef][gh][ij][kl]", "7..13");
    }

    #[test]
    fn plain_search() {
        assert_eq!(find_plain(b"abcabd", b"abd"), Some(3));
        assert_eq!(find_plain(b"abc", b""), Some(0));
        assert_eq!(find_plain(b"ab", b"abc"), None);
        assert_eq!(find_plain(b"aab", b"ab"), Some(1));
        assert_eq!(find_plain(b"ab", b"ab"), Some(0));
        assert_eq!(find_plain(b"b", b"b"), Some(0));
        let text = [&[b'a'; 100][..], b"xay", &[b'a'; 40]].concat();
        for (i, n) in [(99, 4), (100, 3), (101, 2), (102, 1), (102, 41)] {
            assert_eq!(find_plain(&text, &text[i..i + n]), Some(i).filter(|_| n != 3 || i == 100));
        }
        assert_eq!(find_plain(&text, b"ya!"), None);
        assert_eq!((find_byte(&text, b'y'), find_byte(&text, b'z')), (Some(102), None));
        assert!(is_plain(b"a]b") && !is_plain(b"a.b"));
    }
}
