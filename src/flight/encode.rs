//! Record batches as Flight messages: the schema first, dictionaries when they change, and batches
//! cut so that each message is within its limits.
//!
//! The cutting is our own, by exact sizes: the encoder of arrow-flight cuts by the memory of whole
//! buffers, which is wrong for slices. Batches without rows are sent only for their dictionaries.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::ipc::writer::{DictionaryHandling, DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow::record_batch::RecordBatch;
use futures::Stream;
use futures::StreamExt;
use futures::stream;

use super::dictionary::LargeDictionaries;
use super::message::Message;
use super::pieces::{Pieces, holds_dictionary};
use super::size::{check_schema, message_size};
use super::split::{MessageLimits, fitting_rows};
use crate::engine::BatchStream;
use crate::error::{Error, Result};

/// Largest single row, in bytes: protobuf ends at 2 GiB.
const LARGEST_ROW: usize = 1 << 30;

/// The messages of an answer: its schema at once, then the batches as they come. Dropping it drops
/// `batches`.
///
/// # Errors
/// `Unimplemented` naming a column whose type cannot be sent.
pub(super) fn messages(
    schema: &SchemaRef,
    batches: BatchStream,
    limits: MessageLimits,
) -> Result<impl Stream<Item = Result<Message>> + Send + use<>> {
    let (encoder, first) = Encoder::new(schema, limits)?;
    let remaining = Remaining { encoder, batches, current: None, cut: Vec::new(), ready: Vec::new() };
    Ok(stream::once(std::future::ready(Ok(first))).chain(stream::try_unfold(remaining, Remaining::next)))
}

/// What is still to be sent.
struct Remaining {
    encoder: Encoder,
    batches: BatchStream,
    /// A batch and its first row that is not yet cut off.
    current: Option<(RecordBatch, usize)>,
    /// What is cut off: pieces of large dictionaries, then rows; the next one last.
    cut: Vec<Cut>,
    /// Encoded messages, the next one last.
    ready: Vec<Message>,
}

/// A part of a batch that is encoded at once.
enum Cut {
    /// No rows, only dictionaries that grow.
    Dictionaries(RecordBatch),
    /// Rows that fit into a message.
    Rows(RecordBatch),
}

impl Remaining {
    async fn next(mut self) -> Result<Option<(Message, Self)>> {
        loop {
            if let Some(message) = self.ready.pop() {
                return Ok(Some((message, self)));
            }
            if let Some(cut) = self.cut.pop() {
                self.ready = self.encoder.encode(&cut)?;
                self.ready.reverse();
            } else if let Some((batch, start)) = self.current.take().filter(|(batch, start)| *start < batch.num_rows())
            {
                let rows = fitting_rows(&batch, start, self.encoder.limits);
                self.cut = self.encoder.cut(&batch, start, rows)?;
                self.cut.reverse();
                self.current = Some((batch, start + rows));
            } else {
                match self.batches.next().await {
                    None => return Ok(None),
                    Some(batch) => {
                        let batch = self.encoder.check(batch?)?;
                        if batch.num_rows() == 0 && has_dictionary(&batch) {
                            self.cut = self.encoder.cut(&batch, 0, 0)?;
                            self.cut.reverse();
                        }
                        self.current = Some((batch, 0));
                    }
                }
            }
        }
    }
}

/// Whether a batch without rows still says something: the values that its rows could have.
fn has_dictionary(batch: &RecordBatch) -> bool {
    batch.columns().iter().any(|column| matches!(column.data_type(), DataType::Dictionary(..)))
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
    has_dictionaries: bool,
    /// Encodes rows without copying them; none where they have to be copied.
    pieces: Option<Pieces>,
}

impl Encoder {
    /// The encoder and the schema message.
    fn new(schema: &SchemaRef, limits: MessageLimits) -> Result<(Self, Message)> {
        check_schema(schema)?;
        let options = IpcWriteOptions::default();
        let mut encoder = Self {
            schema: Arc::clone(schema),
            limits,
            generator: IpcDataGenerator::default(),
            context: IpcWriteContext::default(),
            tracker: DictionaryTracker::new(false),
            pieces: Pieces::new(schema, &options)?,
            options,
            dictionaries: LargeDictionaries::default(),
            has_dictionaries: schema.fields().iter().any(|field| holds_dictionary(field.data_type())),
        };
        let message =
            encoder.generator.schema_to_bytes_with_dictionary_tracker(schema, &mut encoder.tracker, &encoder.options);
        Ok((encoder, message.into()))
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

    /// The rows `start..start + rows`, after the pieces of large dictionaries that are new.
    fn cut(&mut self, batch: &RecordBatch, start: usize, rows: usize) -> Result<Vec<Cut>> {
        let size = message_size(batch, start, rows);
        if size > LARGEST_ROW {
            return Err(Error::resource_exhausted(format!(
                "row {start} of a batch has {size} bytes, the limit of a message is {LARGEST_ROW}"
            )));
        }
        let part = compacted(&batch.slice(start, rows))?;
        let pieces = self.dictionaries.pieces(&part, self.limits.dictionary_bytes)?;
        Ok(pieces.into_iter().map(Cut::Dictionaries).chain([Cut::Rows(part)]).collect())
    }

    /// The messages of a part: dictionaries that are new, then the rows.
    fn encode(&mut self, cut: &Cut) -> Result<Vec<Message>> {
        match cut {
            Cut::Dictionaries(batch) => Ok(self.generate(batch, DictionaryHandling::Delta)?.0),
            Cut::Rows(batch) if self.pieces.is_none() => {
                let (mut messages, rows) = self.generate(batch, DictionaryHandling::Resend)?;
                messages.push(rows);
                Ok(messages)
            }
            Cut::Rows(batch) => {
                let mut messages = Vec::new();
                if self.has_dictionaries {
                    messages = self.generate(&batch.slice(0, 0), DictionaryHandling::Resend)?.0;
                }
                if let Some(pieces) = &mut self.pieces {
                    messages.push(pieces.message(batch)?);
                }
                Ok(messages)
            }
        }
    }

    /// New dictionaries and the rows, copied.
    fn generate(&mut self, batch: &RecordBatch, handling: DictionaryHandling) -> Result<(Vec<Message>, Message)> {
        let options = self.options.clone().with_dictionary_handling(handling);
        let (dictionaries, rows) = self
            .generator
            .encode(batch, &mut self.tracker, &options, &mut self.context)
            .map_err(|error| Error::internal(format!("a batch could not be encoded: {error}")).with_source(error))?;
        Ok((dictionaries.into_iter().map(Message::from).collect(), rows.into()))
    }
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
