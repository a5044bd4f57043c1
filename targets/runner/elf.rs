//! How much of a program's file is code, initialised data and zeroed memory.

use std::{fs, path::Path};

/// Bytes of a program, as `size` counts them.
#[derive(Default)]
pub(crate) struct Size {
    /// What never changes: code and constants.
    pub(crate) text: u64,
    /// What is copied to RAM at the start.
    pub(crate) data: u64,
    /// What is zeroed at the start.
    pub(crate) bss: u64,
}

const WRITE: u64 = 1;
const ALLOCATED: u64 = 2;
const ZEROED: u64 = 8;

/// Little-endian fields of an ELF file of either width.
struct Elf {
    bytes: Vec<u8>,
    wide: bool,
}

impl Elf {
    fn number(&self, at: u64, width: usize) -> Option<u64> {
        let at = usize::try_from(at).ok()?;
        let field = self.bytes.get(at..at + width)?;
        Some(
            field
                .iter()
                .rev()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        )
    }

    /// A field that is as wide as an address, at one of two places.
    fn word(&self, base: u64, narrow: u64, wide: u64) -> Option<u64> {
        match self.wide {
            true => self.number(base + wide, 8),
            false => self.number(base + narrow, 4),
        }
    }

    fn name(&self, at: u64) -> Option<&[u8]> {
        let rest = self.bytes.get(usize::try_from(at).ok()?..)?;
        rest.split(|byte| *byte == 0).next()
    }

    fn size(&self) -> Option<Size> {
        let table = self.word(0, 0x20, 0x28)?;
        let counts = if self.wide { 0x3A } else { 0x2E };
        let each = self.number(counts, 2)?;
        let header = |index: u64| table + index * each;
        let names = self.word(header(self.number(counts + 4, 2)?), 0x10, 0x18)?;
        let mut size = Size::default();
        for index in 0..self.number(counts + 2, 2)? {
            let header = header(index);
            let name = self.name(names + self.number(header, 4)?)?;
            let kind = self.number(header + 4, 4)?;
            let flags = self.word(header, 0x08, 0x08)?;
            let bytes = self.word(header, 0x14, 0x20)?;
            let reserved = [&b".stack"[..], b".heap"].contains(&name);
            if flags & ALLOCATED == 0 || reserved {
                continue;
            }
            match (kind == ZEROED, flags & WRITE != 0) {
                (true, _) => size.bss += bytes,
                (false, true) => size.data += bytes,
                (false, false) => size.text += bytes,
            }
        }
        Some(size)
    }
}

/// Reads a program's file.
pub(crate) fn size(path: &Path) -> Result<Size, String> {
    let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let wide = bytes.get(4) == Some(&2);
    let size = Elf { bytes, wide }.size();
    size.ok_or_else(|| format!("{} is not an ELF file", path.display()))
}
