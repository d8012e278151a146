//! The types of variables and the places where they are, as data, and their DWARF.
//!
//! A [`Type`] describes what lies in memory or registers; gdb prints values by it. An [`Expression`] is a DWARF expression
//! (DWARF 5, section 2.5) for one of the few ways in which compiled code keeps a value.
#![forbid(unsafe_code)]

use crate::lines::dwarf_name;
use gimli::write::{AttributeValue, Unit, UnitEntryId};
use gimli::{DwTag, constants};

/// What is known of a type. Other types are named by their index in the table that it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// A signed integer of this many bytes.
    Signed(&'static str, u8),
    /// An unsigned integer.
    Unsigned(&'static str, u8),
    /// A float.
    Float(&'static str, u8),
    /// One byte: false or true.
    Bool(&'static str),
    /// A type with one value, of the same name.
    Unit(&'static str),
    /// A pointer to another type.
    Pointer(usize),
    /// A structure: name, size in bytes, and members by name, type and offset.
    Struct(&'static str, u64, &'static [(&'static str, usize, u64)]),
    /// Text: an object holds its length (8 bytes) and its address at these offsets. A variable of this type is where the object
    /// is, or the pointer to it.
    Text {
        /// The offset of the length.
        length: u64,
        /// The offset of the address.
        data: u64,
        /// A variable is where the pointer to the object is.
        behind: bool,
    },
    /// A tagged value.
    Tagged {
        /// Its name.
        name: &'static str,
        /// Its size in bytes.
        size: u64,
        /// The offset of the tag, a byte.
        tag: u64,
        /// For each tag its name and the type of what then lies at offset 0.
        variants: &'static [(u8, &'static str, usize)],
    },
}

/// Where a value is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expression(Vec<u8>);

impl Expression {
    /// In a register, by its DWARF number.
    pub fn register(register: gimli::Register) -> Expression {
        let mut e = Expression::default();
        match u8::try_from(register.0) {
            Ok(n @ 0..32) => e.0.push(constants::DW_OP_reg0.0 + n),
            _ => {
                e.0.push(constants::DW_OP_regx.0);
                e.unsigned(register.0.into());
            }
        }
        e
    }

    /// In memory, at a register's content plus an offset.
    pub fn memory(register: gimli::Register, offset: i64) -> Expression {
        let mut e = Expression::default();
        // Addresses are in general registers, which have low numbers.
        e.0.push(constants::DW_OP_breg0.0 + register.0 as u8);
        e.signed(offset);
        e
    }

    /// In memory, at this address.
    pub fn address(address: u64) -> Expression {
        let mut e = Expression(vec![constants::DW_OP_addr.0]);
        e.0.extend(address.to_le_bytes());
        e
    }

    /// Nowhere: these eight bytes are the value.
    pub fn constant(bits: u64) -> Expression {
        let mut e = Expression(vec![constants::DW_OP_implicit_value.0, 8]);
        e.0.extend(bits.to_le_bytes());
        e
    }

    /// What lies at this place is the address of another one.
    #[must_use]
    pub fn deref(mut self) -> Expression {
        self.0.push(constants::DW_OP_deref.0);
        self
    }

    /// So many bytes behind this place.
    #[must_use]
    pub fn plus(mut self, offset: u64) -> Expression {
        self.0.push(constants::DW_OP_plus_uconst.0);
        self.unsigned(offset);
        self
    }

    /// So many bytes behind this place as the other one's address says.
    #[must_use]
    pub fn plus_place(mut self, other: &Expression) -> Expression {
        self.0.extend(&other.0);
        self.0.push(constants::DW_OP_plus.0);
        self
    }

    /// The same place if the byte so many bytes behind it has this value; else address 0, which debuggers cannot read.
    #[must_use]
    pub fn if_byte(mut self, offset: u64, value: u8) -> Expression {
        self.0.push(constants::DW_OP_dup.0);
        let mut e = self.plus(offset);
        e.0.extend([constants::DW_OP_deref_size.0, 1, constants::DW_OP_const1u.0, value, constants::DW_OP_eq.0]);
        // Over the next two operations.
        e.0.extend([constants::DW_OP_bra.0, 2, 0, constants::DW_OP_drop.0, constants::DW_OP_lit0.0]);
        e
    }

    fn unsigned(&mut self, value: u64) {
        // Writing to a vector does not fail.
        let _ = gimli::leb128::write::unsigned(&mut self.0, value);
    }

    fn signed(&mut self, value: i64) {
        let _ = gimli::leb128::write::signed(&mut self.0, value);
    }

    pub(crate) fn to_gimli(&self) -> gimli::write::Expression {
        gimli::write::Expression::raw(self.0.clone())
    }
}

/// The entries of types in a unit; made when they are first asked for.
pub(crate) struct Entries<'a> {
    types: &'a [Type],
    made: Vec<Option<UnitEntryId>>,
}

impl<'a> Entries<'a> {
    pub(crate) fn new(types: &'a [Type]) -> Entries<'a> {
        Entries { types, made: vec![None; types.len()] }
    }

    pub(crate) fn get(&mut self, unit: &mut Unit, index: usize) -> UnitEntryId {
        if let Some(id) = self.made[index] {
            return id;
        }
        match self.types[index] {
            Type::Signed(name, size) => self.base(unit, index, name, size, constants::DW_ATE_signed),
            Type::Unsigned(name, size) => self.base(unit, index, name, size, constants::DW_ATE_unsigned),
            Type::Float(name, size) => self.base(unit, index, name, size, constants::DW_ATE_float),
            Type::Bool(name) => self.base(unit, index, name, 1, constants::DW_ATE_boolean),
            Type::Unit(name) => {
                let id = self.add(unit, index, constants::DW_TAG_enumeration_type, Some(name), 1);
                let value = unit.add(id, constants::DW_TAG_enumerator);
                let entry = unit.get_mut(value);
                entry.set(constants::DW_AT_name, AttributeValue::String(dwarf_name(name)));
                entry.set(constants::DW_AT_const_value, AttributeValue::Udata(0));
                id
            }
            Type::Pointer(to) => {
                let id = self.add(unit, index, constants::DW_TAG_pointer_type, None, 8);
                let to = self.get(unit, to);
                unit.get_mut(id).set(constants::DW_AT_type, AttributeValue::UnitRef(to));
                id
            }
            Type::Struct(name, size, members) => {
                let id = self.add(unit, index, constants::DW_TAG_structure_type, Some(name), size);
                for &(name, ty, offset) in members {
                    self.member(unit, id, name, ty, offset);
                }
                id
            }
            Type::Text { length, data, behind } => self.text(unit, index, (length, data), behind),
            Type::Tagged { name, size, tag, variants } => self.tagged(unit, index, (name, size), tag, variants),
        }
    }

    /// Adds an entry of a type.
    fn add(&mut self, unit: &mut Unit, index: usize, tag: DwTag, name: Option<&str>, size: u64) -> UnitEntryId {
        let id = unit.add(unit.root(), tag);
        // Before its parts: they may refer back to it.
        self.made[index] = Some(id);
        let entry = unit.get_mut(id);
        if let Some(name) = name {
            entry.set(constants::DW_AT_name, AttributeValue::String(dwarf_name(name)));
        }
        entry.set(constants::DW_AT_byte_size, AttributeValue::Udata(size));
        id
    }

    fn base(&mut self, unit: &mut Unit, index: usize, name: &str, size: u8, encoding: gimli::DwAte) -> UnitEntryId {
        let id = self.add(unit, index, constants::DW_TAG_base_type, Some(name), size.into());
        unit.get_mut(id).set(constants::DW_AT_encoding, AttributeValue::Encoding(encoding));
        id
    }

    fn member(&mut self, unit: &mut Unit, parent: UnitEntryId, name: &str, ty: usize, offset: u64) -> UnitEntryId {
        let ty = self.get(unit, ty);
        let id = unit.add(parent, constants::DW_TAG_member);
        let entry = unit.get_mut(id);
        entry.set(constants::DW_AT_name, AttributeValue::String(dwarf_name(name)));
        entry.set(constants::DW_AT_type, AttributeValue::UnitRef(ty));
        entry.set(constants::DW_AT_data_member_location, AttributeValue::Udata(offset));
        id
    }

    /// An array of characters whose address and length are read from the object (DWARF 5, section 5.18).
    fn text(&mut self, unit: &mut Unit, index: usize, (length, data): (u64, u64), behind: bool) -> UnitEntryId {
        let character = unit.add(unit.root(), constants::DW_TAG_base_type);
        let entry = unit.get_mut(character);
        entry.set(constants::DW_AT_name, AttributeValue::String(b"char".to_vec()));
        entry.set(constants::DW_AT_byte_size, AttributeValue::Udata(1));
        entry.set(constants::DW_AT_encoding, AttributeValue::Encoding(constants::DW_ATE_signed_char));
        let id = unit.add(unit.root(), constants::DW_TAG_array_type);
        self.made[index] = Some(id);
        let object = || {
            let object = Expression(vec![constants::DW_OP_push_object_address.0]);
            if behind { object.deref() } else { object }
        };
        let address = object().plus(data).deref();
        let mut bound = object().plus(length).deref();
        bound.0.extend([constants::DW_OP_lit1.0, constants::DW_OP_minus.0]);
        let entry = unit.get_mut(id);
        entry.set(constants::DW_AT_name, AttributeValue::String(b"string".to_vec()));
        entry.set(constants::DW_AT_type, AttributeValue::UnitRef(character));
        entry.set(constants::DW_AT_data_location, AttributeValue::Exprloc(address.to_gimli()));
        let range = unit.add(id, constants::DW_TAG_subrange_type);
        unit.get_mut(range).set(constants::DW_AT_upper_bound, AttributeValue::Exprloc(bound.to_gimli()));
        id
    }

    fn tagged(
        &mut self,
        unit: &mut Unit,
        index: usize,
        (name, size): (&str, u64),
        tag: u64,
        variants: &[(u8, &str, usize)],
    ) -> UnitEntryId {
        let id = self.add(unit, index, constants::DW_TAG_structure_type, Some(name), size);
        let tags = unit.add(unit.root(), constants::DW_TAG_enumeration_type);
        unit.get_mut(tags).set(constants::DW_AT_byte_size, AttributeValue::Udata(1));
        for &(tag, name, _) in variants {
            let value = unit.add(tags, constants::DW_TAG_enumerator);
            let entry = unit.get_mut(value);
            entry.set(constants::DW_AT_name, AttributeValue::String(dwarf_name(name)));
            entry.set(constants::DW_AT_const_value, AttributeValue::Udata(tag.into()));
        }
        let part = unit.add(id, constants::DW_TAG_variant_part);
        let discriminant = unit.add(part, constants::DW_TAG_member);
        let entry = unit.get_mut(discriminant);
        entry.set(constants::DW_AT_name, AttributeValue::String(b"type".to_vec()));
        entry.set(constants::DW_AT_type, AttributeValue::UnitRef(tags));
        entry.set(constants::DW_AT_data_member_location, AttributeValue::Udata(tag));
        unit.get_mut(part).set(constants::DW_AT_discr, AttributeValue::UnitRef(discriminant));
        for &(tag, _, ty) in variants {
            let variant = unit.add(part, constants::DW_TAG_variant);
            unit.get_mut(variant).set(constants::DW_AT_discr_value, AttributeValue::Udata(tag.into()));
            self.member(unit, variant, "value", ty, 0);
        }
        id
    }
}
