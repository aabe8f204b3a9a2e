//! Standalone files of pcodec, undone within the bounds of a chunk.
//!
//! Sits below [`super::step`]. The library decodes one of the file's own chunks after the other; what their
//! headers announce is compared before it is set aside with the bytes that are there and the numbers that
//! are expected.

use pco::data_types::{Number, NumberType};
use pco::metadata::DeltaEncoding;
use pco::standalone;
use pco::wrapped;

use crate::error::{Error, Result};

/// Bytes before the metadata of a chunk: the type of its numbers, and their count minus one.
const PREAMBLE_BYTES: usize = 4;

/// The way of coding that has a dictionary, in the lowest 4 bits of a chunk's metadata; the 25 bits
/// behind say how many values it has, which follow as they are.
const DICTIONARY: u32 = 4;

/// How far back a chunk of few numbers may refer, log 2; encoders of pcodec 1 write up to 15.
const LEAST_WINDOW_LOG: u32 = 16;

/// The file `encoded`, whose numbers have `expected` bytes together.
///
/// # Errors
/// `DataLoss` when it has other numbers or is damaged, `Unimplemented` for a type that is not known.
pub(super) fn pcodec(encoded: &[u8], expected: u64) -> Result<Vec<u8>> {
    let (file, rest) = standalone::FileDecompressor::new(encoded).map_err(damaged)?;
    let kind = file.peek_number_type_or_termination(rest).map_err(damaged)?;
    // The version of the format is the last thing before the chunks, in one byte or two.
    let version_bytes = if file.format_version().major >= 4 { 2 } else { 1 };
    let start = encoded.len().saturating_sub(rest.len() + version_bytes);
    let (chunks, rest) = wrapped::FileDecompressor::new(encoded.get(start..).unwrap_or_default()).map_err(damaged)?;
    macro_rules! numbers {
        ($kind:ty) => {{
            let numbers = numbers::<$kind>(&chunks, rest, count::<$kind>(expected)?)?;
            Ok(numbers.iter().flat_map(|number| number.to_le_bytes()).collect())
        }};
    }
    match kind {
        Some(NumberType::U8) => numbers!(u8),
        Some(NumberType::U16) => numbers!(u16),
        Some(NumberType::U32) => numbers!(u32),
        Some(NumberType::U64) => numbers!(u64),
        Some(NumberType::I8) => numbers!(i8),
        Some(NumberType::I16) => numbers!(i16),
        Some(NumberType::I32) => numbers!(i32),
        Some(NumberType::I64) => numbers!(i64),
        Some(NumberType::F16) => numbers!(half::f16),
        Some(NumberType::F32) => numbers!(f32),
        Some(NumberType::F64) => numbers!(f64),
        None => Err(Error::data_loss("pcodec: there are no numbers")),
        Some(other) => Err(Error::unimplemented(format!("pcodec: numbers of type {other:?} are not supported"))),
    }
}

/// The `expected` numbers of the chunks in `rest`, up to the mark of the end.
fn numbers<T: Number + Default>(chunks: &wrapped::FileDecompressor, rest: &[u8], expected: usize) -> Result<Vec<T>> {
    let mut numbers = vec![T::default(); expected];
    let (mut rest, mut filled) = (rest, 0);
    loop {
        match rest.first() {
            // The mark of the end.
            Some(0) => break,
            Some(kind) if *kind == T::NUMBER_TYPE_BYTE => {}
            Some(kind) => return Err(Error::data_loss(format!("pcodec: a chunk has numbers of another type, {kind}"))),
            None => return Err(Error::data_loss("pcodec: the file is cut off")),
        }
        let count = checked_count::<T>(rest)?;
        let places = numbers.get_mut(filled..).and_then(|places| places.get_mut(..count)).ok_or_else(|| {
            Error::data_loss(format!("pcodec: a chunk has {count} numbers, expected {} more", expected - filled))
        })?;
        let metadata = rest.get(PREAMBLE_BYTES..).unwrap_or_default();
        let (mut chunk, page) = chunks.chunk_decompressor::<T, _>(metadata).map_err(damaged)?;
        check_window(&chunk.meta().delta_encoding, count)?;
        let mut page = chunk.page_decompressor(page, count).map_err(damaged)?;
        let found = page.read(places).map_err(damaged)?;
        if !found.finished || found.n_processed != count {
            return Err(Error::data_loss(format!("pcodec: {} of {count} numbers were decoded", found.n_processed)));
        }
        rest = page.into_src();
        filled += count;
    }
    if filled != expected {
        return Err(Error::data_loss(format!("pcodec: {filled} numbers were decoded, expected exactly {expected}")));
    }
    Ok(numbers)
}

/// The count of numbers of the chunk that `rest` starts with, whose dictionary, if it has one, is there.
fn checked_count<T>(rest: &[u8]) -> Result<usize> {
    let cut_off = || Error::data_loss("pcodec: the file is cut off");
    let (preamble, metadata) = rest.split_at_checked(PREAMBLE_BYTES).ok_or_else(cut_off)?;
    let count = match preamble {
        [_, low, middle, high] => u32::from_le_bytes([*low, *middle, *high, 0]) as usize + 1,
        _ => return Err(cut_off()),
    };
    // Shorter metadata has no dictionary: its values take more bytes.
    let Some(head) = metadata.first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes)) else { return Ok(count) };
    let values = (head >> 4) as usize & ((1 << 25) - 1);
    if head & 0xf == DICTIONARY && values.saturating_mul(size_of::<T>()) > metadata.len() - 4 {
        let found = metadata.len() - 4;
        return Err(Error::data_loss(format!("pcodec: a dictionary of {values} values in {found} bytes")));
    }
    Ok(count)
}

/// Refuses references back to numbers that a chunk of `count` numbers does not have: what they may refer
/// to is set aside twice.
fn check_window(encoding: &DeltaEncoding, count: usize) -> Result<()> {
    let most = LEAST_WINDOW_LOG.max(count.next_power_of_two().ilog2());
    match encoding {
        DeltaEncoding::Lookback { config, .. } if config.window_n_log > most => {
            let found = config.window_n_log;
            Err(Error::data_loss(format!("pcodec: a window of 2^{found} numbers for a chunk of {count}")))
        }
        _ => Ok(()),
    }
}

/// How many numbers have `bytes` bytes together.
fn count<T>(bytes: u64) -> Result<usize> {
    let size = size_of::<T>() as u64;
    let count = bytes.is_multiple_of(size).then_some(bytes / size).and_then(|count| usize::try_from(count).ok());
    count.ok_or_else(|| Error::data_loss(format!("pcodec: numbers of {size} bytes cannot fill {bytes}")))
}

fn damaged(error: impl std::fmt::Display) -> Error {
    Error::data_loss(format!("pcodec: {error}"))
}
