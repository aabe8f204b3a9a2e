//! Files on their way to a private copy: bounded, and unpacked where they are packed.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::error::{Error, Result};

/// How a gzip file begins.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Copies the file `from` to `to`, unpacked when it is a gzip file.
///
/// # Errors
/// `NotFound` when there is no such file, `ResourceExhausted` when it has more than `most_bytes` (unpacked),
/// `DataLoss` when it is a damaged gzip file, `Unavailable` when it cannot be read or written.
pub(super) fn copy(from: &Path, to: &Path, most_bytes: u64) -> Result<()> {
    let failed = |error: io::Error| failure(error, from);
    let mut source = File::open(from).map_err(failed)?;
    let mut start = Vec::new();
    Read::by_ref(&mut source).take(GZIP.len() as u64).read_to_end(&mut start).map_err(failed)?;
    source.seek(SeekFrom::Start(0)).map_err(failed)?;
    let mut target = File::create(to).map_err(|error| failure(error, to))?;
    let most = most_bytes.saturating_add(1);
    let copied = if start == GZIP {
        io::copy(&mut MultiGzDecoder::new(source).take(most), &mut target)
    } else {
        io::copy(&mut source.take(most), &mut target)
    };
    match copied.map_err(failed)? {
        bytes if bytes > most_bytes => Err(Error::resource_exhausted(format!(
            "{} holds more than the limit of {most_bytes} bytes (lamindb.database_bytes)",
            from.display()
        ))),
        _ => Ok(()),
    }
}

/// The error of reading or writing a file.
pub(super) fn failure(error: io::Error, path: &Path) -> Error {
    let path = path.display();
    let told = match error.kind() {
        io::ErrorKind::NotFound => Error::not_found(format!("{path} does not exist")),
        io::ErrorKind::PermissionDenied => Error::permission_denied(format!("{path} may not be read")),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            Error::data_loss(format!("{path} is a damaged gzip file"))
        }
        _ => Error::unavailable(format!("{path} cannot be read or written")),
    };
    told.with_source(error)
}
