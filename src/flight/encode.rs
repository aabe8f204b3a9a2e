//! Record batches as Flight messages: the schema first, dictionaries when they change, and batches
//! cut so that each message is within its limits.
//!
//! The cutting is our own, by exact sizes: the encoder of arrow-flight cuts by the memory of whole
//! buffers, which is wrong for slices. Batches without rows are not sent.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::ipc::writer::{
    DictionaryHandling, DictionaryTracker, EncodedData, IpcDataGenerator, IpcWriteContext, IpcWriteOptions,
};
use arrow::record_batch::RecordBatch;
use arrow_flight::FlightData;
use futures::Stream;
use futures::StreamExt;
use futures::stream;

use super::dictionary::LargeDictionaries;
use super::size::check_schema;
use super::split::{MessageLimits, fitting_rows};
use crate::engine::BatchStream;
use crate::error::{Error, Result};

/// The messages of an answer: its schema at once, then the batches as they come. Dropping it drops
/// `batches`.
///
/// # Errors
/// `Unimplemented` naming a column whose type cannot be sent.
pub(super) fn messages(
    schema: &SchemaRef,
    batches: BatchStream,
    limits: MessageLimits,
) -> Result<impl Stream<Item = Result<FlightData>> + Send + use<>> {
    let (encoder, first) = Encoder::new(schema, limits)?;
    let remaining = Remaining { encoder, batches, current: None, ready: Vec::new() };
    Ok(stream::once(std::future::ready(Ok(first))).chain(stream::try_unfold(remaining, Remaining::next)))
}

/// What is still to be sent.
struct Remaining {
    encoder: Encoder,
    batches: BatchStream,
    /// A batch and its first row that is not yet encoded.
    current: Option<(RecordBatch, usize)>,
    /// Encoded messages, the next one last.
    ready: Vec<FlightData>,
}

impl Remaining {
    async fn next(mut self) -> Result<Option<(FlightData, Self)>> {
        loop {
            if let Some(message) = self.ready.pop() {
                return Ok(Some((message, self)));
            }
            if let Some((batch, start)) = self.current.take()
                && start < batch.num_rows()
            {
                let rows = fitting_rows(&batch, start, self.encoder.limits);
                self.ready = self.encoder.encode(&batch.slice(start, rows))?;
                self.ready.reverse();
                self.current = Some((batch, start + rows));
                continue;
            }
            match self.batches.next().await {
                None => return Ok(None),
                Some(batch) => self.current = Some((self.encoder.check(batch?)?, 0)),
            }
        }
    }
}

/// Encodes the batches of one stream.
struct Encoder {
    schema: SchemaRef,
    limits: MessageLimits,
    generator: IpcDataGenerator,
    context: IpcWriteContext,
    tracker: DictionaryTracker,
    options: IpcWriteOptions,
    dictionaries: LargeDictionaries,
}

impl Encoder {
    /// The encoder and the schema message.
    fn new(schema: &SchemaRef, limits: MessageLimits) -> Result<(Self, FlightData)> {
        check_schema(schema)?;
        let mut encoder = Self {
            schema: Arc::clone(schema),
            limits,
            generator: IpcDataGenerator::default(),
            context: IpcWriteContext::default(),
            tracker: DictionaryTracker::new(false),
            options: IpcWriteOptions::default(),
            dictionaries: LargeDictionaries::default(),
        };
        let message =
            encoder.generator.schema_to_bytes_with_dictionary_tracker(schema, &mut encoder.tracker, &encoder.options);
        Ok((encoder, flight_data(message)))
    }

    /// Refuses a batch of another schema: a client would read it wrongly.
    fn check(&self, batch: RecordBatch) -> Result<RecordBatch> {
        if Arc::ptr_eq(batch.schema_ref(), &self.schema) || batch.schema_ref() == &self.schema {
            return Ok(batch);
        }
        let names = |schema: &SchemaRef| {
            schema.fields().iter().map(|field| format!("{}: {}", field.name(), field.data_type())).collect::<Vec<_>>()
        };
        Err(Error::internal(format!(
            "a batch has the schema {:?}, expected {:?}",
            names(batch.schema_ref()),
            names(&self.schema)
        )))
    }

    /// The messages of a batch that fits into one: new dictionaries, then the batch.
    fn encode(&mut self, batch: &RecordBatch) -> Result<Vec<FlightData>> {
        let batch = compacted(batch)?;
        let mut messages = Vec::new();
        let growing = self.options.clone().with_dictionary_handling(DictionaryHandling::Delta);
        for piece in self.dictionaries.pieces(&batch, self.limits.bytes)? {
            let (dictionaries, _) = self.run(&piece, &growing)?;
            messages.extend(dictionaries.into_iter().map(flight_data));
        }
        let options = self.options.clone();
        let (dictionaries, data) = self.run(&batch, &options)?;
        messages.extend(dictionaries.into_iter().map(flight_data));
        messages.push(flight_data(data));
        Ok(messages)
    }

    fn run(&mut self, batch: &RecordBatch, options: &IpcWriteOptions) -> Result<(Vec<EncodedData>, EncodedData)> {
        self.generator
            .encode(batch, &mut self.tracker, options, &mut self.context)
            .map_err(|error| Error::internal(format!("a batch could not be encoded: {error}")).with_source(error))
    }
}

fn flight_data(encoded: EncodedData) -> FlightData {
    FlightData::new().with_data_header(encoded.ipc_message).with_data_body(encoded.arrow_data)
}

/// `batch` with columns of views holding no more than their own bytes.
fn compacted(batch: &RecordBatch) -> Result<RecordBatch> {
    let is_view = |data_type: &DataType| matches!(data_type, DataType::Utf8View | DataType::BinaryView);
    if !batch.schema_ref().fields().iter().any(|field| is_view(field.data_type())) {
        return Ok(batch.clone());
    }
    let columns = batch
        .columns()
        .iter()
        .map(|column| match column.data_type() {
            DataType::Utf8View => Arc::new(column.as_string_view().gc()) as ArrayRef,
            DataType::BinaryView => Arc::new(column.as_binary_view().gc()),
            _ => ArrayRef::clone(column),
        })
        .collect();
    RecordBatch::try_new(batch.schema(), columns)
        .map_err(|error| Error::internal("a batch could not be compacted").with_source(error))
}
