//! Functions, their prototypes, and the cells of captured variables.
//!
//! Every captured local variable lives in a cell from its declaration on; the closures that capture it share the cell.
//!
//! A prototype's constants and inline caches lie in one buffer: the caches below the constants, counted downwards, so that
//! the interpreter reaches both from one pointer.

use std::cell::{Cell as StdCell, RefCell};
use std::rc::Rc;

use super::bytecode::{Op, Word, op_number};
use super::heap::{Gc, Header, Heap, Kind, OutOfMemory};
use super::prototype::{LocalVariable, UpvalueSource};
use super::shape::Shape;
use super::state::{CallFrame, Raised, State};
use super::table::Table;
use super::value::Value;

/// A captured variable.
#[repr(C)]
pub struct Cell {
    header: Header,
    value: StdCell<Value>,
}

impl Cell {
    pub(super) const VALUE_OFFSET: usize = std::mem::offset_of!(Cell, value);

    /// What it holds.
    #[inline(always)]
    pub fn get(&self) -> Value {
        self.value.get()
    }

    /// Where it is, for the interpreter's loop.
    #[inline(always)]
    pub fn value_ptr(&self) -> *mut Value {
        self.value.as_ptr()
    }
}

impl Gc<Cell> {
    /// Says what a cell holds that was just made.
    pub fn init(self, value: Value) {
        self.value.set(value);
    }

    /// Changes what it holds.
    #[inline(always)]
    pub fn set(self, heap: &mut Heap, value: Value) {
        self.value.set(value);
        if value.is_collectable() {
            heap.barrier(self.header());
        }
    }
}

/// Most upvalues of a function.
pub const MAX_UPVALUES: usize = 255;

/// A function written in Lua: a prototype and its upvalues' cells, which lie behind this head.
#[repr(C)]
pub struct LuaFunction {
    header: Header,
    proto: Gc<Proto>,
    count: u32,
}

const FIRST_CELL: usize = size_of::<LuaFunction>();

impl LuaFunction {
    pub(super) const PROTO_OFFSET: usize = std::mem::offset_of!(LuaFunction, proto);
    pub(super) const COUNT_OFFSET: usize = std::mem::offset_of!(LuaFunction, count);
    pub(super) const CELLS_OFFSET: usize = FIRST_CELL;

    /// Its prototype.
    #[inline(always)]
    pub fn proto(&self) -> Gc<Proto> {
        self.proto
    }

    /// An upvalue's cell.
    ///
    /// # Safety
    /// The function must have that many.
    #[inline(always)]
    pub unsafe fn cell_unchecked(&self, index: usize) -> Gc<Cell> {
        // SAFETY: the cells lie behind the head.
        unsafe { *(&raw const *self).add(1).cast::<Gc<Cell>>().add(index) }
    }

    /// Its upvalues.
    #[inline(always)]
    pub fn cells(&self) -> &[Gc<Cell>] {
        // SAFETY: the cells lie behind the head.
        unsafe { std::slice::from_raw_parts((&raw const *self).add(1).cast(), self.count as usize) }
    }
}

impl Gc<LuaFunction> {
    /// Gives a function that was just made its upvalues' cells, as many as it has.
    #[inline]
    pub fn close(self, cells: impl ExactSizeIterator<Item = Gc<Cell>>) {
        assert!(cells.len() == self.count as usize);
        for (i, cell) in cells.take(self.count as usize).enumerate() {
            // SAFETY: the cells lie behind the head.
            unsafe { self.as_ptr().add(1).cast::<Gc<Cell>>().add(i).write(cell) };
        }
    }

    /// Exchanges an upvalue's cell. The index is below the number of upvalues.
    pub fn set_cell(self, heap: &mut Heap, index: usize, cell: Gc<Cell>) {
        assert!(index < self.count as usize);
        // SAFETY: the cells lie behind the head.
        unsafe { self.as_ptr().add(1).cast::<Gc<Cell>>().add(index).write(cell) };
        heap.barrier(self.header());
    }
}

/// The signature of functions written in Rust. The results are the topmost values of the stack; it answers how many, or by
/// [`goes_on_with`] that there is a call to be made first.
pub type NativeFn = fn(&mut State, CallFrame) -> Result<u32, Raised>;

/// Set in the answer of a native function that wants a call.
const CALL: u32 = 1 << 31;

/// A native function's answer: the topmost `values` values are a function and its arguments, whose results, `wanted` of them
/// (none: all), are the native function's results. What is called so may yield.
pub fn goes_on_with(values: u32, wanted: Option<u8>) -> u32 {
    CALL | wanted.map_or(0, |n| u32::from(n) + 1) << 16 | values
}

/// What [`goes_on_with`] says in a native function's answer, if that is one: the values, and one more than the results
/// wanted, 0 being all.
#[inline]
pub fn call_in_answer(answer: u32) -> Option<(usize, u16)> {
    (answer & CALL != 0).then_some(((answer & 0xffff) as usize, (answer >> 16 & 0x1ff) as u16))
}

/// What a call of a native function means to the interpreter: most are called, a few it does itself, so that neither
/// they nor what they call take native stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Special {
    /// An ordinary function.
    None,
    /// `pcall`
    Pcall,
    /// `xpcall`
    Xpcall,
    /// `coroutine.resume`
    Resume,
    /// What `coroutine.wrap` returns; the thread is its first value.
    Wrapped,
    /// `coroutine.yield`
    Yield,
    /// `next`, which generic loops do inline. Their third value, if it is nil, has a hint for the next step as its payload.
    Next,
    /// The iterator of `ipairs`, which generic loops do inline.
    IpairsNext,
}

/// A function written in Rust, with the values it captured behind this head.
#[repr(C)]
pub struct NativeFunction {
    header: Header,
    function: NativeFn,
    special: Special,
    count: u32,
}

impl NativeFunction {
    pub(super) const FUNCTION_OFFSET: usize = std::mem::offset_of!(NativeFunction, function);

    /// The Rust function.
    #[inline(always)]
    pub fn function(&self) -> NativeFn {
        self.function
    }

    /// What the interpreter does with it.
    #[inline(always)]
    pub fn special(&self) -> Special {
        self.special
    }

    /// Number of captured values.
    pub fn count(&self) -> usize {
        self.count as usize
    }

    /// A captured value, counted from 0.
    pub fn value(&self, index: usize) -> Value {
        assert!(index < self.count());
        // SAFETY: the values lie behind the head.
        unsafe { *(&raw const *self).add(1).cast::<Value>().add(index) }
    }
}

impl Gc<NativeFunction> {
    /// Changes a captured value, counted from 0.
    pub fn set_value(self, heap: &mut Heap, index: usize, value: Value) {
        assert!(index < self.count());
        // SAFETY: the values lie behind the head.
        unsafe { self.as_ptr().add(1).cast::<Value>().add(index).write(value) };
        heap.barrier(self.header());
    }
}

/// What an instruction that names a field remembers of the last table it met.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct InlineCache {
    /// The field lies in the table itself, at `slot`, if it has this shape. In dictionary mode: the dictionary shape, and
    /// `slot` is not used.
    pub shape: Option<Gc<Shape>>,
    /// A table of this shape does not have the field, but: if `holder` is there, `holder` has it at `slot` (while the heap's
    /// epoch is `epoch`); otherwise, for stores, the field is added and the table gets the shape `next`. A holder alone is for
    /// strings. If `shape` is the same, what lies at `slot` is the answer, even if it is nil.
    pub via: Option<Gc<Shape>>,
    /// Where the field was found through `__index`.
    pub holder: Option<Gc<Table>>,
    /// The shape after adding the field.
    pub next: Option<Gc<Shape>>,
    /// The slot.
    pub slot: u32,
    /// The heap's epoch when `via` was entered.
    pub epoch: u32,
    /// How often the instruction has met what the cache did not know.
    pub misses: u32,
    reserved: u32,
}

impl InlineCache {
    /// Empties the cache; the number of misses stays.
    pub fn forget(&mut self) {
        *self = InlineCache { misses: self.misses, ..InlineCache::default() };
    }
}

/// What is known of a function before it is closed over its variables.
#[repr(C)]
pub struct Proto {
    header: Header,
    /// The code; the interpreter counts hot counters down in it and tiers patch it.
    code: *mut Word,
    constants: *mut Value,
    code_len: u32,
    constant_count: u32,
    cache_count: u32,
    /// Counted down at each call; the tier is asked at 0.
    pub hot: StdCell<u32>,
    /// The trace to enter when `hot` reaches 0, or 0: none.
    pub entry_trace: StdCell<u32>,
    /// Number of fixed parameters.
    pub parameters: u8,
    /// Takes extra arguments.
    pub is_vararg: bool,
    /// Number of registers it needs.
    pub max_stack: u8,
    /// The functions inside this one.
    pub functions: Box<[Gc<Proto>]>,
    /// The upvalues.
    pub upvalues: Box<[UpvalueSource]>,
    /// The line of each word of the code; empty if stripped.
    pub lines: Box<[u32]>,
    /// Local variables.
    pub locals: Box<[LocalVariable]>,
    /// The chunk's name as given to `load`.
    pub source: Rc<[u8]>,
    /// The name under which it is declared, if it has one.
    pub name: Option<Rc<[u8]>>,
    /// The line where the function begins, 0 for a main chunk.
    pub line_defined: u32,
    /// The line where it ends.
    pub last_line_defined: u32,
    /// Instructions that a tier has patched: their place, opcode word and extra word as they were.
    pub patched: RefCell<Vec<(u32, Word, Word)>>,
    /// What compiled code of it refers to: it lives as long as the prototype.
    kept: RefCell<Vec<*mut Header>>,
    /// The number under which a tier knows it, and is told of its end; 0: none.
    pub watched: StdCell<u32>,
    /// For an order function.
    pub sorter: StdCell<Sorter>,
}

/// What `table.sort` knows of an order function.
#[derive(Clone, Copy, Debug)]
pub enum Sorter {
    /// So many elements it has been called for.
    Native(u32),
    /// Lua code that sorts by it, and by no other one, so that it can be compiled as a part of that.
    Own(Gc<LuaFunction>),
}

impl Proto {
    pub(super) const CODE_OFFSET: usize = std::mem::offset_of!(Proto, code);
    pub(super) const CONSTANTS_OFFSET: usize = std::mem::offset_of!(Proto, constants);

    /// The first word of the code.
    #[inline(always)]
    pub fn code_ptr(&self) -> *mut Word {
        self.code
    }

    /// The number of the instruction at an address in the code.
    #[inline(always)]
    pub fn index_of(&self, pc: *const Word) -> usize {
        (pc.addr() - self.code.addr()) / size_of::<Word>()
    }

    /// The first constant; inline cache `i` lies at `-(i + 1)`.
    #[inline(always)]
    pub fn constants_ptr(&self) -> *const Value {
        self.constants
    }

    /// Number of words of the code.
    pub fn code_len(&self) -> usize {
        self.code_len as usize
    }

    /// Number of constants.
    pub fn constant_count(&self) -> usize {
        self.constant_count as usize
    }

    /// The first instruction behind those that see to extra arguments and captured parameters, which belong to no line.
    pub fn body_start(&self) -> usize {
        let first = usize::from(self.is_vararg);
        (first..self.code_len())
            .take_while(|pc| {
                first + usize::from(self.parameters) > *pc && op_number(self.word(*pc)) == Op::NewCell as u8
            })
            .last()
            .map_or(first, |pc| pc + 1)
    }

    /// A word of the code as it is now, patched or not.
    #[inline]
    pub fn word(&self, pc: usize) -> Word {
        assert!(pc < self.code_len());
        // SAFETY: within the code.
        unsafe { *self.code.add(pc) }
    }

    /// Changes a word of the code.
    ///
    /// # Safety
    /// The interpreter must be able to run what results.
    pub unsafe fn set_word(&self, pc: usize, word: Word) {
        assert!(pc < self.code_len());
        // SAFETY: within the code.
        unsafe { *self.code.add(pc) = word };
    }

    /// The code as it was before any patches.
    pub fn original_code(&self) -> Vec<Word> {
        // SAFETY: the code is that long.
        let mut code = unsafe { std::slice::from_raw_parts(self.code, self.code_len()) }.to_vec();
        for (pc, word, extra) in &*self.patched.borrow() {
            code[*pc as usize] = *word;
            code[*pc as usize + 1] = *extra;
        }
        code
    }

    /// A constant.
    #[inline]
    pub fn constant(&self, index: usize) -> Value {
        assert!(index < self.constant_count());
        // SAFETY: within the constants.
        unsafe { *self.constants.add(index) }
    }

    /// An inline cache.
    #[inline]
    pub fn cache(&self, index: usize) -> *mut InlineCache {
        assert!(index < self.cache_count as usize);
        // SAFETY: the caches lie below the constants.
        unsafe { self.constants.cast::<InlineCache>().sub(index + 1) }
    }

    /// The line of a word of the code; 0 if unknown.
    pub fn line(&self, pc: usize) -> u32 {
        self.lines.get(pc).copied().unwrap_or(0)
    }

    pub(super) fn for_each_reference(&self, mark: &mut impl FnMut(*mut Header)) {
        self.kept.borrow().iter().for_each(|object| mark(*object));
        for i in 0..self.constant_count() {
            let value = self.constant(i);
            if value.is_collectable() {
                mark(std::ptr::with_exposed_provenance_mut(value.payload() as usize));
            }
        }
        for i in 0..self.cache_count as usize {
            // SAFETY: the cache is there.
            let cache = unsafe { *self.cache(i) };
            for shape in [cache.shape, cache.via, cache.next].into_iter().flatten() {
                mark(shape.header());
            }
            if let Some(holder) = cache.holder {
                mark(holder.header());
            }
        }
        self.functions.iter().for_each(|f| mark(f.header()));
    }
}

impl Gc<Proto> {
    /// Keeps objects alive as long as the prototype.
    pub fn keep(self, heap: &mut Heap, objects: impl IntoIterator<Item = *mut Header>) {
        self.kept.borrow_mut().extend(objects);
        heap.barrier(self.header());
    }
}

impl Drop for Proto {
    fn drop(&mut self) {
        let code = std::ptr::slice_from_raw_parts_mut(self.code, self.code_len());
        let caches = self.cache_count as usize;
        // SAFETY: both come from leaked boxes of these lengths.
        unsafe {
            drop(Box::from_raw(code));
            let first = self.constants.cast::<InlineCache>().sub(caches).cast::<Value>();
            let words = caches * (size_of::<InlineCache>() / size_of::<Value>()) + self.constant_count();
            drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(first, words)));
        }
    }
}

const _: () = assert!(size_of::<InlineCache>().is_multiple_of(size_of::<Value>()));
const _: () = assert!(align_of::<InlineCache>() == align_of::<Value>());

/// What a [`Proto`] is made of.
pub struct ProtoParts {
    /// The code.
    pub code: Box<[Word]>,
    /// The constants.
    pub constants: Vec<Value>,
    /// The functions inside this one.
    pub functions: Box<[Gc<Proto>]>,
}

impl Heap {
    /// A prototype from its parts; the rest is taken from `from`. Not a safepoint: the parts need not be rooted.
    pub fn proto(&mut self, parts: ProtoParts, from: &super::prototype::Prototype) -> Result<Gc<Proto>, OutOfMemory> {
        let size = parts.code.len() * 4 + parts.constants.len() * 16 + from.caches as usize * size_of::<InlineCache>();
        self.reserve(size)?;
        let cell = self.allocate(size_of::<Proto>())?.cast::<Proto>();
        let caches = from.caches as usize * (size_of::<InlineCache>() / size_of::<Value>());
        // An inline cache of zeros is an empty one, and so is one of nils.
        let mut buffer = vec![Value::NIL; caches];
        buffer.extend_from_slice(&parts.constants);
        let buffer = Box::into_raw(buffer.into_boxed_slice()).cast::<Value>();
        let code_len = parts.code.len() as u32;
        // SAFETY: the cell is large enough, and ours; the caches are within the buffer.
        let proto = unsafe {
            buffer.cast::<u8>().write_bytes(0, caches * size_of::<Value>());
            cell.write(Proto {
                header: Header::new(Kind::Proto),
                code: Box::into_raw(parts.code).cast(),
                constants: buffer.add(caches),
                code_len,
                constant_count: parts.constants.len() as u32,
                cache_count: from.caches,
                hot: StdCell::new(super::bytecode::COUNTER_START),
                entry_trace: StdCell::new(0),
                parameters: from.parameters,
                is_vararg: from.is_vararg,
                max_stack: from.max_stack,
                functions: parts.functions,
                upvalues: from.upvalues.clone().into_boxed_slice(),
                lines: from.lines.clone().into_boxed_slice(),
                locals: from.locals.clone().into_boxed_slice(),
                source: from.source.clone(),
                name: from.name.clone(),
                line_defined: from.line_defined,
                last_line_defined: from.last_line_defined,
                patched: RefCell::default(),
                kept: RefCell::default(),
                watched: StdCell::new(0),
                sorter: StdCell::new(Sorter::Native(0)),
            });
            Gc::from_raw(cell)
        };
        self.set_owns(proto.header());
        Ok(proto)
    }

    /// A new cell.
    #[inline]
    pub fn cell(&mut self, value: Value) -> Result<Gc<Cell>, OutOfMemory> {
        let cell = self.allocate(size_of::<Cell>())?.cast::<Cell>();
        // SAFETY: the cell is large enough, and ours.
        unsafe {
            cell.write(Cell { header: Header::new(Kind::Cell), value: StdCell::new(value) });
            Ok(Gc::from_raw(cell))
        }
    }

    /// A Lua function with these upvalues.
    #[inline]
    pub fn lua_function(
        &mut self,
        proto: Gc<Proto>,
        cells: impl ExactSizeIterator<Item = Gc<Cell>>,
    ) -> Result<Gc<LuaFunction>, OutOfMemory> {
        let f = self.open_lua_function(proto, cells.len())?;
        f.close(cells);
        Ok(f)
    }

    /// A Lua function with so many upvalues, whose cells are undefined; the caller must write all of them before the next
    /// safepoint, and before anybody looks.
    #[inline]
    pub fn open_lua_function(&mut self, proto: Gc<Proto>, upvalues: usize) -> Result<Gc<LuaFunction>, OutOfMemory> {
        let f = self.allocate(FIRST_CELL + upvalues * 8)?.cast::<LuaFunction>();
        // SAFETY: the cell has room for the head and the pointers behind it, and is ours.
        unsafe {
            f.write(LuaFunction { header: Header::new(Kind::LuaFunction), proto, count: upvalues as u32 });
            Ok(Gc::from_raw(f))
        }
    }

    /// A native function with captured values (at most 200).
    pub fn native(
        &mut self,
        function: NativeFn,
        special: Special,
        values: &[Value],
    ) -> Result<Gc<NativeFunction>, OutOfMemory> {
        let size = size_of::<NativeFunction>() + size_of_val(values);
        let f = self.allocate(size)?.cast::<NativeFunction>();
        let count = values.len() as u32;
        // SAFETY: the cell has room for the head and the values behind it, and is ours.
        unsafe {
            f.write(NativeFunction { header: Header::new(Kind::NativeFunction), function, special, count });
            std::ptr::copy_nonoverlapping(values.as_ptr(), f.add(1).cast::<Value>(), values.len());
            Ok(Gc::from_raw(f))
        }
    }
}
