//! Tables against a model, with the collector at work in between.

use std::collections::BTreeMap;

use super::super::state::State;
use super::super::value::Value;

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// A key that the model can order, and its value for the table.
fn key(state: &mut State, random: &mut Random) -> (String, Value) {
    match random.below(4) {
        0 | 1 => {
            let i = random.below(40) as i64 - 2;
            (format!("i{i}"), Value::integer(i))
        }
        2 => {
            let s = format!("field{}", random.below(60));
            let v = Value::from(state.string(s.as_bytes()).unwrap());
            (format!("s{s}"), v)
        }
        _ => {
            let f = random.below(20) as f64 + 0.5;
            (format!("f{f}"), Value::float(f))
        }
    }
}

fn run(seed: u64) {
    let mut state = State::new();
    let mut random = Random(seed);
    let table = state.heap.table(2, 0).unwrap();
    state.handles.push(Value::from(table));
    let mut model: BTreeMap<String, i64> = BTreeMap::new();
    for step in 0..3000 {
        let (name, k) = key(&mut state, &mut random);
        if random.below(3) == 0 {
            table.set(&mut state.heap, k, Value::NIL).unwrap();
            model.remove(&name);
        } else {
            let v = random.below(1000) as i64;
            // A string as a value now and then makes arrays mixed, and is found again by its number.
            table.set(&mut state.heap, k, Value::integer(v)).unwrap();
            model.insert(name.clone(), v);
        }
        assert_eq!(table.get(k).as_integer(), model.get(&name).copied(), "seed {seed}, step {step}, key {name}");
        if step % 500 == 0 {
            state.collect_all();
            let mut seen = 0;
            let mut at = Value::NIL;
            while let Some((k, v)) = table.next(at).unwrap() {
                assert_eq!(table.get(k).as_integer(), v.as_integer());
                seen += 1;
                at = k;
            }
            assert_eq!(seen, model.len(), "seed {seed}, step {step}");
            let n = table.length();
            assert!(n == 0 || !table.get_int(n).is_nil());
            assert!(table.get_int(n + 1).is_nil());
        }
    }
}

#[test]
fn random_operations_agree_with_a_model() {
    (1..30).for_each(run);
}

#[test]
fn clearing_while_traversing_meets_every_entry_once() {
    let mut state = State::new();
    let table = state.heap.table(0, 0).unwrap();
    state.handles.push(Value::from(table));
    for i in 1..=100 {
        let s = state.string(format!("k{i}").as_bytes()).unwrap();
        table.set(&mut state.heap, Value::from(s), Value::integer(i)).unwrap();
        table.set(&mut state.heap, Value::integer(i * if i > 50 { 1000 } else { 1 }), Value::integer(i)).unwrap();
    }
    let (mut at, mut seen) = (Value::NIL, 0);
    while let Some((k, _)) = table.next(at).unwrap() {
        table.set(&mut state.heap, k, Value::NIL).unwrap();
        seen += 1;
        at = k;
    }
    assert_eq!(seen, 200);
    assert_eq!(table.length(), 0);
}

#[test]
fn backwards_filling_ends_in_a_uniform_array() {
    let mut state = State::new();
    let table = state.heap.table(0, 0).unwrap();
    state.handles.push(Value::from(table));
    for i in (1..=1000).rev() {
        table.set(&mut state.heap, Value::integer(i), Value::float(i as f64)).unwrap();
    }
    assert_eq!(table.length(), 1000);
    assert_eq!((1..=1000).filter(|i| table.get_int(*i).raw_float() == *i as f64).count(), 1000);
}

#[test]
fn garbage_is_freed_and_what_is_kept_stays() {
    let mut state = State::new();
    let table = state.heap.table(0, 0).unwrap();
    state.handles.push(Value::from(table));
    let mut peak = 0;
    for i in 0..200_000 {
        let inner = state.heap.table(3, 3).unwrap();
        let s =
            state.string(format!("a string that is long enough not to be interned, number {i}").as_bytes()).unwrap();
        inner.set(&mut state.heap, Value::integer(1), Value::from(s)).unwrap();
        table.set(&mut state.heap, Value::integer(i % 100 + 1), Value::from(inner)).unwrap();
        if state.heap.debt > 0 {
            state.collect_step();
        }
        peak = peak.max(state.heap.used());
    }
    assert!(peak < 8 << 20, "{peak} bytes in use at the peak");
    for i in 1..=100 {
        let s = table.get_int(i).as_table().unwrap().get_int(1).as_string().unwrap();
        assert!(s.bytes().ends_with(format!("number {}", 199_900 + i - 1).as_bytes()));
    }
}

/// A large program begins its tables with hundreds of different fields: each of them is an object, not a map. Shapes that nobody has
/// any more go, and those that stay are found again.
#[test]
fn many_first_fields_lead_to_shapes() {
    let mut state = State::new();
    let first = |state: &mut State, i: usize| {
        let name = state.heap.string(format!("field{i}").as_bytes()).unwrap();
        let table = state.heap.table(0, 0).unwrap();
        table.set_str(&mut state.heap, name, Value::TRUE).unwrap();
        table
    };
    for i in 0..300 {
        let table = first(&mut state, i);
        assert!(!table.shape().is_dictionary(), "field {i}");
        if i % 3 == 0 {
            state.handles.push(Value::from(table));
        }
    }
    state.collect_all();
    for i in 0..300 {
        let table = first(&mut state, i);
        assert_eq!(table.shape().count(), 1);
        if i % 3 == 0 {
            let kept = state.handles[i / 3].as_table().unwrap();
            assert!(kept.shape() == table.shape(), "field {i}");
        }
    }
    // Keys computed at run time are another matter.
    let name = Value::from(state.heap.string(b"computed").unwrap());
    let table = state.heap.table(0, 0).unwrap();
    table.set(&mut state.heap, name, Value::TRUE).unwrap();
    assert!(table.shape().is_dictionary());
}

/// The `n`th key of a kind.
type Key = fn(i64) -> Value;

/// Keys as programs have them.
const KEYS: &[(&str, Key)] = &[
    ("below zero", |n| Value::integer(-n)),
    ("from 2^40", |n| Value::integer((1 << 40) + n)),
    ("steps of 8", |n| Value::integer(n * 8)),
    ("steps of 1000", |n| Value::integer(n * 1000)),
    ("steps of 12345", |n| Value::integer(n * 12345)),
    ("steps of 2^20", |n| Value::integer(n << 20)),
    ("steps of 2^40", |n| Value::integer(n << 40)),
    ("rows", |n| Value::integer((n / 100 + 1) * 65536 + n % 100)),
    ("columns", |n| Value::integer((n % 100 + 1) * 65536 + n / 100)),
    ("squares", |n| Value::integer(-n * n)),
    ("halves", |n| Value::float(n as f64 + 0.5)),
    ("tenths", |n| Value::float(n as f64 * 0.1 + 0.01)),
    ("large floats", |n| Value::float(n as f64 * 1e20)),
    ("addresses", |n| Value::light(0x7f12_3456_0000 + n as usize * 48)),
];

#[test]
fn searches_are_short_whatever_the_distances_of_keys() {
    let mut means = Vec::new();
    for (name, key) in KEYS {
        for count in [6, 48, 750, 12_000, 99_000_i64] {
            let mut state = State::new();
            let (table, copy) = (state.heap.table(0, 0).unwrap(), state.heap.table(0, 0).unwrap());
            for n in 1..=count {
                table.set(&mut state.heap, key(n), Value::TRUE).unwrap();
            }
            let probes: usize = (1..=count).map(|n| table.probes(key(n))).sum();
            means.push(probes as f64 / count as f64);
            assert!(probes <= 4 * count as usize, "{name}, {count} keys: {probes} nodes are looked at");
            // Keys that come in the order of one table's nodes do not pile up in another one, smaller as yet.
            let (mut at, mut probes) = (Value::NIL, 0);
            while let Some((key, _)) = table.next(at).unwrap() {
                copy.set(&mut state.heap, key, Value::TRUE).unwrap();
                probes += copy.probes(key);
                at = key;
            }
            assert!(probes <= 4 * count as usize, "{name}, copy of {count} keys: {probes} nodes are looked at");
        }
    }
    let mean = means.iter().sum::<f64>() / means.len() as f64;
    assert!(mean < 1.5, "{mean} nodes are looked at for a key");
}
