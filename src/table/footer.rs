//! Footers of parquet files: read once, kept within a bound, refused when they cannot be true.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::{Bytes, BytesMut};
use object_store::ObjectStoreExt;
use parquet::file::FOOTER_SIZE;
use parquet::file::metadata::{FooterTail, ParquetMetaData, ParquetMetaDataReader};

use super::errors::{check_length, of_store};
use super::{TableFile, footer_guard};
use crate::error::{Error, Result};

/// Bytes read from a file's end in the hope that they hold the whole footer.
const FIRST_READ: u64 = 64 * 1024;

/// Largest footer that is read, in bytes.
const MAX_FOOTER_BYTES: u64 = 256 * 1024 * 1024;

/// Bytes at a file's end that say how long the footer is.
const TAIL_BYTES: u64 = FOOTER_SIZE as u64;

/// Footers of the files of one table.
#[derive(Debug)]
pub(super) struct Footers {
    files: Vec<Arc<TableFile>>,
    rows: Vec<OnceLock<u64>>,
    kept: Mutex<Kept>,
    bound: usize,
}

#[derive(Debug)]
struct Kept {
    footers: Vec<Option<Arc<ParquetMetaData>>>,
    bytes: usize,
}

impl Footers {
    /// Footers of `files`, of which `bound` bytes are kept.
    pub(super) fn new(files: Vec<Arc<TableFile>>, bound: usize) -> Self {
        let kept = Kept { footers: vec![None; files.len()], bytes: 0 };
        let rows = files.iter().map(|file| file.rows.map_or_else(OnceLock::new, OnceLock::from)).collect();
        Self { files, rows, kept: Mutex::new(kept), bound }
    }

    /// The footer of file `index`; read when it is not kept.
    pub(super) async fn get(&self, index: usize) -> Result<Arc<ParquetMetaData>> {
        let kept = |kept: &Kept| kept.footers.get(index).cloned().flatten();
        if let Some(footer) = kept(&self.kept.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(footer);
        }
        let file = self.files.get(index).ok_or_else(|| Error::internal(format!("the table has no file {index}")))?;
        let footer = Arc::new(read(file).await?);
        let rows = count_rows(&footer, &file.url)?;
        let known = self.rows.get(index).map_or(rows, |known| *known.get_or_init(|| rows));
        if known != rows {
            let url = &file.url;
            return Err(Error::failed_precondition(format!("{url} has {rows} rows, expected {known} as registered")));
        }
        self.keep(index, &footer);
        Ok(footer)
    }

    /// Number of rows of file `index`.
    pub(super) async fn rows(&self, index: usize) -> Result<u64> {
        if let Some(rows) = self.rows.get(index).and_then(OnceLock::get) {
            return Ok(*rows);
        }
        let footer = self.get(index).await?;
        count_rows(&footer, "a file of the table")
    }

    fn keep(&self, index: usize, footer: &Arc<ParquetMetaData>) {
        let size = footer.memory_size();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let within = kept.bytes.checked_add(size).filter(|bytes| *bytes <= self.bound);
        if let (Some(bytes), Some(place @ None)) = (within, kept.footers.get_mut(index)) {
            *place = Some(Arc::clone(footer));
            kept.bytes = bytes;
        }
    }
}

/// Rows of all row groups, as a number that can be true.
fn count_rows(footer: &ParquetMetaData, url: &str) -> Result<u64> {
    footer
        .row_groups()
        .iter()
        .try_fold(0_u64, |sum, group| sum.checked_add(u64::try_from(group.num_rows()).ok()?))
        .filter(|sum| i64::try_from(*sum) == Ok(footer.file_metadata().num_rows()))
        .ok_or_else(|| {
            Error::data_loss(format!("{url}: the row groups and the footer state different numbers of rows"))
        })
}

async fn read(file: &TableFile) -> Result<ParquetMetaData> {
    let (url, size) = (&file.url, file.size);
    if size < TAIL_BYTES + 4 {
        return Err(Error::data_loss(format!("{url} has {size} bytes, too few for a parquet file")));
    }
    let end = read_range(file, size.saturating_sub(FIRST_READ), size).await?;
    let tail = footer_tail(&end, url)?;
    if tail.is_encrypted_footer() {
        return Err(Error::unimplemented(format!("{url}: encrypted parquet is not supported")));
    }
    let length = tail.metadata_length() as u64;
    if length > MAX_FOOTER_BYTES {
        return Err(Error::resource_exhausted(format!(
            "{url}: footer of {length} bytes, at most {MAX_FOOTER_BYTES} are read"
        )));
    }
    let Some(start) = size.checked_sub(TAIL_BYTES + length) else {
        return Err(Error::data_loss(format!(
            "{url}: footer of {length} bytes in a file of {size}, truncated or corrupt"
        )));
    };
    let footer = footer_bytes(file, end, start, length).await?;
    footer_guard::check(&footer, url)?;
    ParquetMetaDataReader::decode_metadata(&footer)
        .map_err(|error| Error::data_loss(format!("{url}: the footer cannot be decoded: {error}")).with_source(error))
}

/// The bytes `[start, start + length)`, of which `end` may hold a part already.
async fn footer_bytes(file: &TableFile, end: Bytes, start: u64, length: u64) -> Result<Bytes> {
    let held_from = file.size - end.len() as u64;
    let whole = if start < held_from {
        let mut whole = BytesMut::from(read_range(file, start, held_from).await?);
        whole.extend_from_slice(&end);
        whole.freeze()
    } else {
        end.slice(usize::try_from(start - held_from).unwrap_or(usize::MAX).min(end.len())..)
    };
    let length = usize::try_from(length).unwrap_or(usize::MAX).min(whole.len());
    Ok(whole.slice(..length))
}

fn footer_tail(end: &Bytes, url: &str) -> Result<FooterTail> {
    let corrupt = || Error::data_loss(format!("{url} is no parquet file, or truncated: it does not end in PAR1"));
    let (_, tail) = end.split_last_chunk::<FOOTER_SIZE>().ok_or_else(corrupt)?;
    FooterTail::try_new(tail).map_err(|error| corrupt().with_source(error))
}

async fn read_range(file: &TableFile, start: u64, end: u64) -> Result<Bytes> {
    let bytes = file.store.get_range(&file.path, start..end).await.map_err(|error| of_store(error, &file.url))?;
    check_length(bytes.len(), end - start, &file.url)?;
    Ok(bytes)
}
