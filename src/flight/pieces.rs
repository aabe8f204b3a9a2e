//! Record batches as IPC messages whose bodies are the batches' own buffers.
//!
//! Sits between the encoder and arrow-ipc, whose `StreamEncoder` gives the buffers of a stream without
//! joining them. It is used for the rows only: dictionaries stay with the encoder, which knows when they
//! change, so a dictionary column is given to arrow-ipc as its keys. In a record batch message the two are
//! the same.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, make_array};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::{IpcWriteOptions, StreamEncoder};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};

use super::message::Message;
use crate::error::{Error, Result};

/// What precedes each message of a stream: a marker, and the length of the header with its padding.
const MARKER: [u8; 4] = [0xff; 4];
const MARKED: usize = 8;

/// Encodes the rows of one stream.
pub(super) struct Pieces {
    /// The schema with keys in the place of dictionaries.
    schema: SchemaRef,
    encoder: StreamEncoder,
}

impl Pieces {
    /// An encoder for batches of `schema`; none when a column holds dictionaries inside of another type.
    ///
    /// # Errors
    /// `Internal` when arrow-ipc refuses the schema.
    pub(super) fn new(schema: &Schema, options: &IpcWriteOptions) -> Result<Option<Self>> {
        let mut fields = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            match field.data_type() {
                DataType::Dictionary(key, _) => {
                    fields.push(Arc::new(Field::new(field.name(), key.as_ref().clone(), true)));
                }
                other if holds_dictionary(other) => return Ok(None),
                _ => fields.push(Arc::clone(field)),
            }
        }
        let schema = Arc::new(Schema::new(fields));
        let mut encoder = StreamEncoder::try_new_with_options(&schema, options.clone()).map_err(refused)?;
        // What comes first is the schema of the keys, which nobody is to see.
        encoder.encode(&RecordBatch::new_empty(Arc::clone(&schema))).map_err(refused)?;
        Ok(Some(Self { schema, encoder }))
    }

    /// The message of the rows of `batch`.
    ///
    /// # Errors
    /// `Internal` when arrow-ipc refuses the batch.
    pub(super) fn message(&mut self, batch: &RecordBatch) -> Result<Message> {
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let columns = batch.columns().iter().map(keys).collect();
        let keyed = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options).map_err(refused)?;
        let mut buffers = self.encoder.encode(&keyed).map_err(refused)?.into_iter();
        let (Some(mark), Some(header)) = (buffers.next(), buffers.next()) else { return Err(unknown_form()) };
        let padding = padded_header(&mark)?.checked_sub(header.len()).ok_or_else(unknown_form)?;
        let mut body: Vec<Buffer> = buffers.filter(|buffer| !buffer.is_empty()).collect();
        if padding > 0 {
            if body.first().is_none_or(|first| first.len() != padding) {
                return Err(unknown_form());
            }
            body.remove(0);
        }
        Ok(Message::new(header, body))
    }
}

/// The keys of a dictionary; other columns as they are.
fn keys(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Dictionary(_, _) => make_array(column.as_any_dictionary().keys().to_data()),
        _ => Arc::clone(column),
    }
}

/// Length of a header with its padding, as the marker before it says.
fn padded_header(mark: &Buffer) -> Result<usize> {
    let (marker, length) = mark.split_first_chunk::<4>().ok_or_else(unknown_form)?;
    let length: [u8; 4] = length.try_into().map_err(|_| unknown_form())?;
    if *marker != MARKER || mark.len() != MARKED {
        return Err(unknown_form());
    }
    usize::try_from(i32::from_le_bytes(length)).map_err(|_| unknown_form())
}

/// Whether a dictionary is anywhere in `data_type`.
pub(super) fn holds_dictionary(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, _) => true,
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => holds_dictionary(field.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| holds_dictionary(field.data_type())),
        _ => false,
    }
}

fn refused(error: ArrowError) -> Error {
    Error::internal(format!("a batch could not be encoded: {error}")).with_source(error)
}

fn unknown_form() -> Error {
    Error::internal("arrow-ipc gave a message of another form than expected")
}
