//! A look at a footer's structure before it is decoded.
//!
//! The decoder makes room for as many row groups as a footer states before it reads the first. This
//! walks the footer (Thrift compact protocol, a `FileMetaData` struct) and refuses a number that
//! cannot be true, so that a corrupt footer costs an error and not the process. Understands no more of
//! the footer than where its parts end.

use crate::error::{Error, Result};

/// Most row groups of a file: the format numbers them with 16 bits.
const MAX_ROW_GROUPS: u64 = i16::MAX as u64;

/// Deepest nesting of structs and lists; the format's own is below ten.
const MAX_DEPTH: u32 = 32;

/// The field of `FileMetaData` that lists the row groups.
const ROW_GROUPS: i64 = 4;

/// Checks that `footer` ends where its parts end and states a possible number of row groups.
///
/// # Errors
/// `DataLoss` naming the file.
pub(super) fn check(footer: &[u8], url: &str) -> Result<()> {
    let mut walk = Walk { rest: footer };
    match walk.fields(0) {
        Some(groups) if groups <= MAX_ROW_GROUPS => Ok(()),
        Some(groups) => {
            Err(Error::data_loss(format!("{url}: {groups} row groups stated, at most {MAX_ROW_GROUPS} exist")))
        }
        None => Err(Error::data_loss(format!("{url}: the footer is truncated or corrupt"))),
    }
}

struct Walk<'a> {
    rest: &'a [u8],
}

impl Walk<'_> {
    /// Walks a struct; the largest number of elements that a field numbered [`ROW_GROUPS`] states when
    /// this is the outermost struct. `None` when the bytes end early or mean nothing.
    fn fields(&mut self, depth: u32) -> Option<u64> {
        let (mut field, mut groups) = (0_i64, 0);
        loop {
            let header = self.byte()?;
            if header == 0 {
                return Some(groups);
            }
            field = match header >> 4 {
                0 => zigzag(self.number()?),
                delta => field.checked_add(i64::from(delta))?,
            };
            let kind = header & 0x0f;
            if depth == 0 && field == ROW_GROUPS && kind == 9 {
                groups = groups.max(Walk { rest: self.rest }.list_header()?.0);
                if groups > MAX_ROW_GROUPS {
                    return Some(groups);
                }
            }
            self.value(kind, depth)?;
        }
    }

    /// Walks the value of a field; booleans have theirs in the field's header.
    fn value(&mut self, kind: u8, depth: u32) -> Option<()> {
        if matches!(kind, 1 | 2) { Some(()) } else { self.element(kind, depth) }
    }

    fn element(&mut self, kind: u8, depth: u32) -> Option<()> {
        match kind {
            1..=3 => self.skip(1),
            4..=6 => self.number().map(|_| ()),
            7 => self.skip(8),
            8 => {
                let length = self.number()?;
                self.skip(length)
            }
            9 | 10 if depth < MAX_DEPTH => self.list(depth + 1),
            12 if depth < MAX_DEPTH => self.fields(depth + 1).map(|_| ()),
            _ => None,
        }
    }

    /// Every element takes at least a byte, so that the walk is no longer than the footer.
    fn list(&mut self, depth: u32) -> Option<()> {
        let (count, kind) = self.list_header()?;
        for _ in 0..count {
            self.element(kind, depth)?;
        }
        Some(())
    }

    fn list_header(&mut self) -> Option<(u64, u8)> {
        let header = self.byte()?;
        let count = match header >> 4 {
            15 => self.number()?,
            count => u64::from(count),
        };
        Some((count, header & 0x0f))
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    fn skip(&mut self, count: u64) -> Option<()> {
        self.rest = self.rest.get(usize::try_from(count).ok()?..)?;
        Some(())
    }
}

fn zigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::Kind;

    /// Field 4, a list of structs with `count` elements stated and none there.
    fn groups(count: u64) -> Vec<u8> {
        let mut bytes = vec![0x49, 0xfc];
        let mut rest = count;
        while rest >= 0x80 {
            bytes.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        bytes.push(rest as u8);
        bytes
    }

    #[test]
    fn impossible_numbers_of_row_groups_are_refused() {
        for count in [32_768, 0x7fff_ffff, u64::MAX >> 1] {
            let error = check(&groups(count), "x").unwrap_err();
            assert!(error.kind() == Kind::DataLoss && error.message().contains("row groups stated"), "{error}");
        }
        let error = check(&groups(1000), "x").unwrap_err();
        assert!(error.message().contains("truncated"), "{error}");
    }

    #[test]
    fn a_second_list_of_row_groups_is_seen_too() {
        // An empty list, then field 4 once more, by its full number.
        let mut bytes = vec![0x49, 0x0c, 0x09, 0x08];
        bytes.extend(&groups(1 << 30)[1..]);
        assert!(check(&bytes, "x").unwrap_err().message().contains("row groups stated"));
    }

    #[test]
    fn deep_nesting_is_refused() {
        assert_eq!(check(&vec![0x1c; 1_000_000], "x").unwrap_err().kind(), Kind::DataLoss);
        assert_eq!(check(&[vec![0x19], vec![0x19; 1_000_000]].concat(), "x").unwrap_err().kind(), Kind::DataLoss);
    }

    proptest! {
        #[test]
        fn no_bytes_are_fatal(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = check(&bytes, "x");
        }
    }
}
