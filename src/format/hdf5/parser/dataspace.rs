//! Dataspace messages: shapes.

use bytes::Bytes;
use hdf5_reader::io::Cursor;
use hdf5_reader::messages::dataspace;

use super::view::{View, parser_error};
use crate::error::{Error, Result};

/// Dimensions at most; libhdf5 has the same limit.
const MAX_RANK: usize = 32;

/// The shape of an array or attribute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) is_null: bool,
    pub(super) shape: Vec<u64>,
    pub(super) maximum: Option<Vec<u64>>,
}

impl Extent {
    /// Elements, if they fit in 64 bits.
    pub(super) fn count(&self) -> Result<u64> {
        if self.is_null {
            return Ok(0);
        }
        self.shape
            .iter()
            .try_fold(1_u64, |total, length| total.checked_mul(*length))
            .ok_or_else(|| Error::data_loss(format!("shape {:?} has more than 2^64 elements", self.shape)))
    }
}

/// The shape in a dataspace message.
pub(super) fn parse(view: &View, body: &Bytes) -> Result<Extent> {
    let addressing = view.addressing;
    let mut cursor = Cursor::new(body);
    let message = dataspace::parse(&mut cursor, addressing.offset_size, addressing.length_size, body.len())
        .map_err(|error| parser_error(&error))?;
    if message.dims.len() > MAX_RANK {
        return Err(Error::data_loss(format!("{} dimensions, expected at most {MAX_RANK}", message.dims.len())));
    }
    let mut largest = message.max_dims.iter().flatten().zip(&message.dims);
    if let Some((most, length)) = largest.find(|(most, length)| length > most) {
        return Err(Error::data_loss(format!("a dimension of {length}, expected at most its maximum of {most}")));
    }
    let is_null = message.dataspace_type == dataspace::DataspaceType::Null;
    Ok(Extent { is_null, shape: message.dims, maximum: message.max_dims })
}
