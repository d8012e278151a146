//! Full userdata: a Rust value with a metatable and user values.

use std::any::Any;
use std::cell::{Cell, RefCell};

use super::heap::{Gc, Header, Heap, Kind, OutOfMemory};
use super::table::Table;
use super::value::Value;

/// A userdata. Header flags as a table's ([`super::table::flag::FINALIZER`]).
#[repr(C)]
pub struct Userdata {
    pub(super) header: Header,
    pub(super) meta: Cell<Option<Gc<Table>>>,
    /// What it holds; none once it has been taken out.
    pub data: RefCell<Option<Box<dyn Any>>>,
    pub(super) values: RefCell<Vec<Value>>,
}

impl Userdata {
    /// The metatable.
    pub fn metatable(&self) -> Option<Gc<Table>> {
        self.meta.get()
    }

    /// The `n`th user value, counted from 1.
    pub fn user_value(&self, n: usize) -> Option<Value> {
        self.values.borrow().get(n.wrapping_sub(1)).copied()
    }
}

impl Gc<Userdata> {
    /// Sets the metatable.
    pub fn set_metatable(self, heap: &mut Heap, meta: Option<Gc<Table>>) -> Result<(), OutOfMemory> {
        if let Some(meta) = meta {
            meta.set_flagged(heap)?;
        }
        self.meta.set(meta);
        heap.barrier(self.header());
        Ok(())
    }

    /// Sets the `n`th user value, counted from 1; answers false if there is none.
    pub fn set_user_value(self, heap: &mut Heap, n: usize, value: Value) -> bool {
        match self.values.borrow_mut().get_mut(n.wrapping_sub(1)) {
            Some(place) => *place = value,
            None => return false,
        }
        heap.barrier(self.header());
        true
    }
}

impl Heap {
    /// A userdata that holds `data` and has `values` user values.
    pub fn userdata(&mut self, data: Box<dyn Any>, values: usize) -> Result<Gc<Userdata>, OutOfMemory> {
        let cell = self.allocate(size_of::<Userdata>())?.cast::<Userdata>();
        let header = Header::new(Kind::Userdata);
        let (data, values) = (RefCell::new(Some(data)), RefCell::new(vec![Value::NIL; values]));
        // SAFETY: the cell is large enough, and ours.
        let userdata = unsafe {
            cell.write(Userdata { header, meta: Cell::new(None), data, values });
            Gc::from_raw(cell)
        };
        self.set_owns(userdata.header());
        Ok(userdata)
    }
}
