//! Moves that happen all at once, put into an order in which they can be made one by one.
#![forbid(unsafe_code)]

use super::{Move, Place};

/// A step of the ordered moves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// A copy.
    Move(Move),
    /// Keeps what a place holds on the machine stack.
    Save(Place),
    /// Takes from the machine stack what was saved last. Saves do not nest.
    Restore(Place),
}

/// Orders moves whose targets are all different. A place may be the source of several.
pub fn order(moves: &[Move]) -> Vec<Step> {
    let (mut constants, mut pending): (Vec<Move>, Vec<Move>) = moves
        .iter()
        .filter(|m| m.to != m.from && m.from != Place::None)
        .partition(|m| matches!(m.from, Place::Const(_)));
    let mut steps = Vec::new();
    let mut saved = None;
    while !pending.is_empty() {
        let free = |m: &Move| !pending.iter().any(|other| Some(other.from) == Some(m.to) && saved != Some(other.from));
        match pending.iter().position(free) {
            Some(at) => {
                let m = pending.swap_remove(at);
                if saved == Some(m.from) {
                    steps.push(Step::Restore(m.to));
                    saved = None;
                    // Others that wanted the saved value take it from where it is now.
                    pending.iter_mut().filter(|other| other.from == m.from).for_each(|other| other.from = m.to);
                } else {
                    steps.push(Step::Move(m));
                }
            }
            None => {
                // Only cycles are left. One is broken by saving what its first move will overwrite.
                let first = pending[0].to;
                steps.push(Step::Save(first));
                saved = Some(first);
            }
        }
    }
    steps.extend(constants.drain(..).map(Step::Move));
    steps
}

#[cfg(test)]
mod tests {
    use super::super::Reg;
    use super::*;
    use crate::lua::ir::Ref;
    use std::collections::HashMap;

    fn place(n: u32) -> Place {
        if n < 3 { Place::Reg(Reg(n as u8)) } else { Place::Spill(n as u16) }
    }

    /// Makes the steps and looks whether they had the effect of moving all at once.
    fn check(moves: &[Move]) {
        let key = |p: Place| format!("{p:?}");
        let mut memory: HashMap<String, String> = HashMap::new();
        let read = |memory: &HashMap<String, String>, p: Place| memory.get(&key(p)).cloned().unwrap_or(key(p));
        let mut stack = Vec::new();
        for step in order(moves) {
            match step {
                Step::Move(m) => {
                    let value = read(&memory, m.from);
                    memory.insert(key(m.to), value);
                }
                Step::Save(p) => stack.push(read(&memory, p)),
                Step::Restore(p) => {
                    let value = stack.pop().unwrap();
                    memory.insert(key(p), value);
                }
            }
            assert!(stack.len() < 2);
        }
        assert!(stack.is_empty());
        for m in moves {
            assert_eq!(read(&memory, m.to), key(m.from), "{moves:?}\n{:?}", order(moves));
        }
    }

    #[test]
    fn all_mappings_of_five_places() {
        // Each of five places gets the old value of one of five, or nothing (5), or a constant (6).
        for n in 0..7u32.pow(5) {
            let moves: Vec<Move> = (0..5)
                .map(|to| (to, n / 7u32.pow(to) % 7))
                .filter(|&(_, from)| from != 5)
                .map(|(to, from)| Move {
                    to: place(to),
                    from: if from == 6 { Place::Const(Ref(1)) } else { place(from) },
                })
                .collect();
            check(&moves);
        }
    }
}
