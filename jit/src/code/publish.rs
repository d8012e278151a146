//! What outsiders are told of published code, and when dropped code may be reused.
//!
//! *Telling.* Each piece of code has a name, source lines and scopes. gdb is told at once, of each by itself: always if it
//! runs this program or is expected to, else of the first hundred, for whoever attaches later. Every image costs a little, and costs gdb time: it
//! resolves all breakpoints again, and reads all images when it attaches. So the rest is collected and told in batches, and
//! small batches are joined when there are many. When code goes, its batch is told anew without it. perf gets a line for
//! each, if it is wanted.
//!
//! *Retiring.* Code that was unlinked (nothing leads to it any more) may still be on the native stack: under a helper that
//! it called. It is freed only when no activation that began before its retirement is left. Activations nest, so it is
//! enough to know when the oldest live one began.
#![forbid(unsafe_code)]

use super::CodeError;
use super::buffer::Code;
use perilune_unwind::frame::Frame;
use perilune_unwind::gdb::{self, Entry};
use perilune_unwind::jitdump::JitDump;
use perilune_unwind::lines::{Batch, Function};
use perilune_unwind::object::{self, Symbol};
use perilune_unwind::perf::PerfMap;
use perilune_unwind::types::Type;
use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::mem;
use std::path::Path;
use std::rc::Rc;

/// Functions in a batch, and batches that are joined.
const BATCH: usize = 100;

/// Counts entries into compiled code of one owner.
#[derive(Debug, Default)]
pub struct Activations {
    live: Cell<usize>,
    /// Counts retirements.
    clock: Cell<u64>,
    /// The clock when the oldest live activation began.
    oldest: Cell<u64>,
}

impl Activations {
    /// Hold the answer while compiled code runs.
    pub fn begin(self: &Rc<Self>) -> Activation {
        if self.live.get() == 0 {
            self.oldest.set(self.clock.get());
        }
        self.live.set(self.live.get() + 1);
        Activation(Rc::clone(self))
    }

    /// Whether something retired at `time` may still be on the stack.
    fn may_run(&self, time: u64) -> bool {
        self.live.get() > 0 && time >= self.oldest.get()
    }
}

/// Compiled code runs while this lives. Activations end in the reverse order of their begin.
#[derive(Debug)]
pub struct Activation(Rc<Activations>);

impl Drop for Activation {
    fn drop(&mut self) {
        self.0.live.set(self.0.live.get() - 1);
    }
}

/// A batch that gdb knows; no entry if all its functions are gone, or if it cannot be described.
#[derive(Debug)]
struct Told {
    functions: Vec<Function>,
    entry: Option<Entry>,
}

/// What gdb was told, and is not to know any more when this is dropped.
#[derive(Debug)]
pub struct Outdated {
    _told: BTreeMap<usize, Told>,
}

/// Keeps the outside informed about the code of one owner, and its dropped code until it may go.
#[derive(Debug, Default)]
pub struct Publisher {
    activations: Rc<Activations>,
    files: Vec<String>,
    /// The index of each file.
    file_indices: BTreeMap<String, u32>,
    /// When there are more, those that are not in use are looked for.
    most_files: usize,
    /// The types of variables.
    types: &'static [Type],
    pending: Vec<Function>,
    told: BTreeMap<usize, Told>,
    /// Batches so far.
    next: usize,
    /// Batches that were told since the last ones were joined, by number.
    small: Vec<usize>,
    /// Where a function that gdb knows is told: its start, and the number of the batch.
    places: BTreeMap<u64, usize>,
    /// By time of retirement.
    retired: VecDeque<(u64, Code)>,
    perf: Option<Perf>,
    telling: Telling,
}

/// What perf is told by.
#[derive(Debug)]
enum Perf {
    Map(PerfMap),
    Dump(JitDump),
}

/// The ways to tell perf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PerfFormat {
    /// `/tmp/perf-PID.map`: names.
    Map,
    /// `jit-PID.dump` in the current folder: names, lines, code.
    JitDump,
}

/// When gdb is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Telling {
    /// In batches.
    #[default]
    Batches,
    /// Of each piece of code at once.
    AtOnce,
    /// Never.
    Never,
}

impl Telling {
    /// At once if a debugger runs this program, else in batches.
    pub fn detect() -> Telling {
        if gdb::is_attached() { Telling::AtOnce } else { Telling::Batches }
    }

    /// Whether a debugger has come to a process in which nobody has told it of everything.
    pub fn is_outdated(self) -> bool {
        self == Telling::Batches && gdb::is_attached()
    }
}

impl Publisher {
    /// One that has published nothing. `types` are those of all variables.
    pub fn new(telling: Telling, types: &'static [Type]) -> Publisher {
        Publisher { telling, types, ..Publisher::default() }
    }

    /// gdb is to be told everything anew, with more details. It is not to drop the answer before that was done: gdb disables breakpoints
    /// of which nothing is left.
    pub fn start_anew(&mut self) -> Outdated {
        let Publisher { activations, retired, perf, types, telling, told, .. } = mem::take(self);
        *self = Publisher { activations, retired, perf, types, telling, ..Publisher::default() };
        Outdated { _told: told }
    }

    /// Whether anybody is told of code.
    pub fn is_wanted(&self) -> bool {
        self.telling != Telling::Never || self.perf.is_some()
    }

    /// From now on tells perf, too, of code in which the rules behind the frame's last step hold.
    pub fn tell_perf(&mut self, format: PerfFormat, frame: &Frame) -> io::Result<()> {
        self.perf = Some(match format {
            PerfFormat::Map => Perf::Map(PerfMap::open(&PerfMap::path())?),
            PerfFormat::JitDump => Perf::Dump(JitDump::create(Path::new("."), frame.clone())?),
        });
        Ok(())
    }

    /// From now on writes names for perf to this map, too.
    pub fn name_for_perf(&mut self, map: PerfMap) {
        self.perf = Some(Perf::Map(map));
    }

    /// Tells perf of a function and its code. Its name there has the function and the line of the source in it.
    fn name(&mut self, function: &Function, code: &[u8]) -> io::Result<()> {
        let Publisher { perf, files, .. } = self;
        let file = files.get(function.file as usize).map_or("?", |file| file.rsplit('/').next().unwrap_or(file));
        let name = format!("{} {} {file}:{}", function.symbol.name, function.name, function.line);
        match perf {
            Some(Perf::Map(map)) => map.add(&[Symbol { name, ..function.symbol }]),
            Some(Perf::Dump(dump)) => dump.add(function, &name, code, files),
            None => Ok(()),
        }
    }

    /// The counter that must be told of entries into compiled code.
    pub fn activations(&self) -> Rc<Activations> {
        Rc::clone(&self.activations)
    }

    /// The index by which rows and scopes refer to a source file, until code is reclaimed. Give an absolute name if there is
    /// one.
    pub fn file(&mut self, name: &str) -> u32 {
        if let Some(&index) = self.file_indices.get(name) {
            return index;
        }
        let index = self.files.len() as u32;
        self.files.push(name.to_string());
        self.file_indices.insert(name.to_string(), index);
        index
    }

    /// The file of an index.
    pub fn file_name(&self, index: u32) -> Option<&str> {
        self.files.get(index as usize).map(String::as_str)
    }

    /// Whether somebody is there already who wants to know of code as soon as it is published.
    pub fn is_watched(&self) -> bool {
        self.telling == Telling::AtOnce || self.perf.is_some()
    }

    /// Whether debuggers are told of what was compiled before they came.
    pub fn tells_in_advance(&self) -> bool {
        self.telling == Telling::Batches
    }

    /// Describes published code, at once or when its batch is full.
    pub fn announce(&mut self, functions: Vec<(Function, &Code)>) -> Result<(), CodeError> {
        if self.perf.is_some() {
            functions.iter().try_for_each(|(function, code)| self.name(function, &code.bytes()))?;
        }
        self.announce_again(functions.into_iter().map(|(function, _)| function).collect())
    }

    /// Tells gdb of these when it is told of the next ones.
    pub fn announce_with_next(&mut self, functions: Vec<Function>) {
        self.pending.extend(functions);
    }

    /// As [`announce`](Publisher::announce), for code that perf has been told of or does not ask for.
    pub fn announce_again(&mut self, functions: Vec<Function>) -> Result<(), CodeError> {
        self.pending.extend(functions);
        match self.telling {
            Telling::Never => {
                self.pending.clear();
                Ok(())
            }
            Telling::AtOnce => self.flush(),
            Telling::Batches if self.next < BATCH || self.pending.len() >= BATCH => self.flush(),
            Telling::Batches => Ok(()),
        }
    }

    /// Tells gdb what is pending.
    fn flush(&mut self) -> Result<(), CodeError> {
        let functions = mem::take(&mut self.pending);
        if functions.is_empty() {
            return Ok(());
        }
        let number = self.next;
        let result = self.add(functions);
        self.small.push(number);
        if self.small.len() < BATCH {
            return result;
        }
        let small = mem::take(&mut self.small);
        let joined =
            small.iter().filter_map(|number| self.told.remove(number)).flat_map(|told| told.functions).collect();
        result.and(self.add(joined))
    }

    /// Tells gdb of a batch.
    fn add(&mut self, functions: Vec<Function>) -> Result<(), CodeError> {
        let number = self.next;
        self.next += 1;
        for function in &functions {
            self.places.insert(function.symbol.start, number);
        }
        let (entry, result) = match self.tell(&functions) {
            Ok(entry) => (entry, Ok(())),
            Err(error) => (None, Err(error)),
        };
        self.told.insert(number, Told { functions, entry });
        result
    }

    /// The name of the function that covers `address`, for dumps.
    pub fn name_at(&self, address: usize) -> Option<&str> {
        let address = address as u64;
        let covers = |function: &&Function| (address.wrapping_sub(function.symbol.start)) < function.symbol.size;
        let told = self.places.range(..=address).next_back().and_then(|(_, place)| self.told.get(place));
        let found = told.and_then(|told| told.functions.iter().find(covers));
        found.or_else(|| self.pending.iter().find(covers)).map(|function| function.symbol.name.as_str())
    }

    /// Takes code to which nothing leads any more; it is freed when nobody can be in it.
    pub fn retire(&mut self, code: Code) {
        let time = self.activations.clock.get();
        self.activations.clock.set(time + 1);
        self.retired.push_back((time, code));
    }

    /// Frees retired code that nobody can be in. Answers how many bytes.
    pub fn reclaim(&mut self) -> Result<usize, CodeError> {
        let count = self.retired.iter().take_while(|(time, _)| !self.activations.may_run(*time)).count();
        let free: Vec<_> = self.retired.drain(..count).map(|(_, code)| code).collect();
        let starts: Vec<_> = free.iter().map(|code| code.start() as u64).collect();
        self.withdraw(&starts)?;
        Ok(free.iter().map(|code| code.range().len()).sum())
    }

    /// Forgets the functions at `starts`. gdb must not know code that is about to be overwritten, so a batch that cannot be
    /// told anew is not told at all.
    fn withdraw(&mut self, starts: &[u64]) -> Result<(), CodeError> {
        self.pending.retain(|function| !starts.contains(&function.symbol.start));
        let mut changed: Vec<_> = starts.iter().filter_map(|start| self.places.remove(start)).collect();
        changed.sort_unstable();
        changed.dedup();
        let mut result = Ok(());
        for place in changed {
            let Some(Told { mut functions, entry }) = self.told.remove(&place) else { continue };
            drop(entry);
            functions.retain(|function| !starts.contains(&function.symbol.start));
            if functions.is_empty() {
                self.small.retain(|small| *small != place);
                continue;
            }
            let entry = self.tell(&functions).unwrap_or_else(|error| {
                result = Err(error);
                None
            });
            self.told.insert(place, Told { functions, entry });
        }
        if self.files.len() > self.most_files.max(BATCH) {
            self.forget_files();
        }
        result
    }

    /// Keeps only the files that functions come from, under new indices.
    fn forget_files(&mut self) {
        let names = mem::take(&mut self.files);
        self.file_indices.clear();
        let mut functions = mem::take(&mut self.pending);
        let mut told = mem::take(&mut self.told);
        for function in functions.iter_mut().chain(told.values_mut().flat_map(|told| &mut told.functions)) {
            function.for_each_file(&mut |index| *index = self.file(&names[*index as usize]));
        }
        (self.pending, self.told) = (functions, told);
        self.most_files = self.files.len() * 2;
    }

    fn tell(&self, functions: &[Function]) -> Result<Option<Entry>, CodeError> {
        if functions.is_empty() {
            return Ok(None);
        }
        let image = object::batch_image(Batch { files: &self.files, functions, types: self.types })?;
        Ok(Some(Entry::new(image)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_functions_are_told_in_few_images_and_forgotten() {
        let mut publisher = Publisher::new(Telling::Batches, &[]);
        let starts: Vec<u64> = (0..350).map(|n| 0x1000_0000 + n * 64).collect();
        for &start in &starts {
            let file = publisher.file(&format!("/{start}.lua"));
            let symbol = Symbol { name: format!("trace_{start}"), start, size: 64 };
            let name = "f".to_string();
            let function = Function { symbol, name, file, line: 1, rows: vec![], parameters: vec![], scopes: vec![] };
            publisher.announce_again(vec![function]).unwrap();
        }
        let functions =
            |publisher: &Publisher| publisher.told.values().map(|told| told.functions.len()).collect::<Vec<_>>();
        assert_eq!((functions(&publisher), publisher.pending.len()), (vec![100, 100, 100], 50));
        assert_eq!(publisher.name_at(starts[7] as usize + 3), Some("trace_268435904"));
        assert_eq!(publisher.name_at(starts[349] as usize), Some("trace_268457792"));
        publisher.withdraw(&starts[..150]).unwrap();
        assert_eq!((functions(&publisher), publisher.pending.len()), (vec![50, 100], 50));
        assert_eq!(publisher.name_at(starts[7] as usize + 3), None);
        assert_eq!((publisher.files.len(), publisher.file(&format!("/{}.lua", starts[349]))), (200, 49));
        publisher.withdraw(&starts).unwrap();
        assert!(publisher.told.is_empty() && publisher.pending.is_empty() && publisher.places.is_empty());
        assert!(publisher.small.is_empty());
    }
}
