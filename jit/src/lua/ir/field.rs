//! The fields of heap objects that traces read and write: for each its text name, the type of its value in the IR,
//! its width in memory and its offset from the object's address. Each field is an alias class of its own.
#![forbid(unsafe_code)]

use perilune_runtime::lua::layout;

use super::Type;
pub use layout::{CELL_VALUE, FUNCTION_CELLS, VALUE_SIZE, VALUE_TAG};

/// How a field lies in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Width {
    /// One byte, zero-extended.
    U8,
    /// Four bytes, zero-extended.
    U32,
    /// Eight bytes.
    U64,
}

macro_rules! define_fields {
    ($($(#[$doc:meta])* $name:ident = $text:literal $ty:ident $width:ident $mutable:literal $offset:expr;)*) => {
        /// A field of a heap object.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        #[repr(u8)]
        pub enum Field { $($(#[$doc])* $name),* }

        impl Field {
            /// All fields, in order.
            pub const ALL: &'static [Field] = &[$(Field::$name),*];
            /// The name in the text form.
            pub const fn name(self) -> &'static str {
                match self { $(Field::$name => $text),* }
            }
            /// The type of its value.
            pub const fn ty(self) -> Type {
                match self { $(Field::$name => Type::$ty),* }
            }
            /// Its width in memory.
            pub const fn width(self) -> Width {
                match self { $(Field::$name => Width::$width),* }
            }
            /// Whether it can change while the object lives.
            pub const fn mutable(self) -> bool {
                match self { $(Field::$name => $mutable),* }
            }
            /// Its offset from the object's address.
            pub const fn offset(self) -> usize {
                match self { $(Field::$name => $offset),* }
            }
        }
    };
}

define_fields! {
    /// The tag that all array elements have, or `tag::MIXED` when they differ.
    TableArrayKind = "table.arraykind" Int U8 true layout::HEADER_DETAIL;
    /// Flags of the table, among them whether it is in use as a metatable.
    TableFlags = "table.flags" Int U8 true layout::HEADER_FLAGS;
    /// The number of slots and what else the table keeps in its header.
    TableExtra = "table.extra" Int U32 true layout::HEADER_EXTRA;
    /// The memory of the array part: payloads, then tags.
    TableArray = "table.array" Ptr U64 true layout::TABLE_ARRAY;
    /// The number of elements of the array part.
    TableArrayLen = "table.len" Int U32 true layout::TABLE_LEN;
    /// The number of elements that the array memory has room for.
    TableArrayCap = "table.cap" Int U32 true layout::TABLE_CAPACITY;
    /// The shape.
    TableShape = "table.shape" Ptr U64 true layout::TABLE_SHAPE;
    /// The values of the named fields.
    TableSlots = "table.slots" Ptr U64 true layout::TABLE_SLOTS;
    /// The hash part or null.
    TableHash = "table.hash" Ptr U64 true layout::TABLE_HASH;
    /// The mask of a hash part (the object is its address).
    HashMask = "hash.mask" Int U32 true layout::HASH_MASK;
    /// The metatable or null.
    TableMeta = "table.meta" Ptr U64 true layout::TABLE_META;
    /// The number of bytes.
    StringLen = "string.len" Int U64 false layout::STRING_LEN;
    /// The bytes.
    StringData = "string.data" Ptr U64 false layout::STRING_DATA;
    /// 1 if the string is short, and so interned.
    StringShort = "string.short" Int U8 false layout::HEADER_DETAIL;
    /// The prototype of a Lua function.
    FunctionProto = "function.proto" Ptr U64 false layout::FUNCTION_PROTO;
    /// The Rust function of a native function.
    NativeFunction = "native.function" Ptr U64 false layout::NATIVE_FUNCTION;
    /// The metatable of a userdata or null.
    UserdataMeta = "userdata.meta" Ptr U64 true layout::USERDATA_META;
    /// The metatable of all values of a type or null (the object is the state, and 8 bytes on for each type).
    StateTypeMeta = "state.typemeta" Ptr U64 true layout::STATE_TYPE_METAS;
}

impl Field {
    /// The field with this name.
    pub fn by_name(name: &str) -> Option<Field> {
        Field::ALL.iter().copied().find(|f| f.name() == name)
    }
    /// The field with this number.
    pub fn by_index(index: u16) -> Option<Field> {
        Field::ALL.get(index as usize).copied()
    }
}
