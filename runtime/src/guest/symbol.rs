//! What an image calls its addresses: the symbols of functions, and labels of assembly, in the table of an ELF file.

use object::LittleEndian as Le;
use object::elf::{FileHeader32, FileHeader64, STT_FUNC, STT_NOTYPE};
use object::read::elf::{FileHeader, Sym};

/// A symbol of an image.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Symbol {
    start: u64,
    /// Bytes; 0 if the table does not say.
    size: u64,
    name: String,
}

/// The symbols of an image.
#[derive(Clone, Default, Debug)]
pub struct Symbols {
    /// By address, and of those at the same one the best name first.
    sorted: Vec<Symbol>,
}

impl Symbols {
    /// Those of an ELF file; none if it has no table, or none that can be read.
    pub fn of(image: &[u8]) -> Symbols {
        let mut found =
            of_elf::<FileHeader64<Le>>(image).or_else(|| of_elf::<FileHeader32<Le>>(image)).unwrap_or_default();
        found.sort_by(|(a, x), (b, y)| (a.start, x, &a.name).cmp(&(b.start, y, &b.name)));
        found.dedup_by_key(|(symbol, _)| symbol.start);
        Symbols { sorted: found.into_iter().map(|(symbol, _)| symbol).collect() }
    }

    /// The symbol that covers an address, and how far the address lies behind its start. One whose size the table does not say reaches to the
    /// next one, or a page far.
    pub fn find(&self, address: u64) -> Option<(&str, u64)> {
        let behind = self.sorted.partition_point(|symbol| symbol.start <= address);
        let symbol = &self.sorted[behind.checked_sub(1)?];
        let offset = address - symbol.start;
        (offset < if symbol.size == 0 { 0x1000 } else { symbol.size }).then_some((&symbol.name, offset))
    }
}

/// The symbols of code, each with its rank among those at the same address.
fn of_elf<H: FileHeader<Endian = Le>>(image: &[u8]) -> Option<Vec<(Symbol, u32)>> {
    let header = H::parse(image).ok()?;
    let sections = header.sections(Le, image).ok()?;
    let table = sections.symbols(Le, image, object::elf::SHT_SYMTAB).ok()?;
    let mut found = Vec::new();
    for symbol in table.symbols() {
        let (kind, defined) = (symbol.st_type(), symbol.st_shndx(Le) != object::elf::SHN_UNDEF);
        let Ok(name) = symbol.name(Le, table.strings()) else { continue };
        let Ok(name) = std::str::from_utf8(name) else { continue };
        if !defined || symbol.is_absolute(Le) || name.is_empty() || kind != STT_FUNC && kind != STT_NOTYPE {
            continue;
        }
        let rank = u32::from(kind != STT_FUNC) * 2 + u32::from(symbol.is_local());
        found.push((
            Symbol { start: symbol.st_value(Le).into(), size: symbol.st_size(Le).into(), name: name.into() },
            rank,
        ));
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_by_what_covers_them() {
        let symbol = |start, size, name: &str| Symbol { start, size, name: name.into() };
        let symbols = Symbols { sorted: vec![symbol(0x1000, 8, "a"), symbol(0x1010, 0, "b"), symbol(0x1020, 4, "c")] };
        let found = [0xfff, 0x1000, 0x1007, 0x1008, 0x1010, 0x101f, 0x1023, 0x1024].map(|at| symbols.find(at));
        let (a, b) = (|offset| Some(("a", offset)), |offset| Some(("b", offset)));
        assert_eq!(found, [None, a(0), a(7), None, b(0), b(15), Some(("c", 3)), None]);
        assert_eq!(Symbols::default().find(5), None);
        assert_eq!(Symbols::of(b"\x7fELF and no more").sorted, []);
    }
}
