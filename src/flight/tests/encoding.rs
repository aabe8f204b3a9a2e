//! Messages read back by arrow-flight's decoder: equal to what went in, and within their limits.

use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use arrow::ipc::{MessageHeader, root_as_message};
use arrow::record_batch::RecordBatch;
use arrow_flight::FlightData;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use futures::{StreamExt, TryStreamExt, stream};
use proptest::prelude::*;
use prost::Message as _;

use super::zoo;
use crate::error::{Error, Kind, Result};
use crate::flight::encode::messages;
use crate::flight::frames::Frames;
use crate::flight::message::Message;
use crate::flight::split::MessageLimits;

const WIDE: MessageLimits = MessageLimits { bytes: 2 << 20, rows: usize::MAX, dictionary_bytes: 2 << 20 };

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn encode(schema: &Arc<Schema>, batches: &[RecordBatch], limits: MessageLimits) -> Result<Vec<FlightData>> {
    let batches = stream::iter(batches.to_vec()).map(Ok).boxed();
    run(messages(schema, batches, limits)?.map(|message| received(message?)).try_collect())
}

/// The message that a client finds in the frames.
fn received(message: Message) -> Result<FlightData> {
    let mut frames = Frames::default();
    message.write(&mut frames)?;
    let bytes = std::iter::from_fn(|| frames.next_at_once()).collect::<Vec<_>>().concat();
    let (prefix, message) = bytes.split_at(5);
    assert_eq!(prefix, [&[0], &(message.len() as u32).to_be_bytes()[..]].concat());
    Ok(FlightData::decode(message).unwrap())
}

fn decode(messages: &[FlightData]) -> Vec<RecordBatch> {
    let data = stream::iter(messages.to_vec()).map(Ok::<_, FlightError>);
    run(FlightRecordBatchStream::new_from_flight_data(data).try_collect()).unwrap()
}

fn kind(message: &FlightData) -> MessageHeader {
    root_as_message(&message.data_header).unwrap().header_type()
}

/// Rows of a record batch message; nothing for others.
fn rows(message: &FlightData) -> Option<i64> {
    root_as_message(&message.data_header).unwrap().header_as_record_batch().map(|batch| batch.length())
}

/// Whether a dictionary message adds to the one before.
fn is_delta(message: &FlightData) -> Option<bool> {
    root_as_message(&message.data_header).unwrap().header_as_dictionary_batch().map(|batch| batch.isDelta())
}

/// Checks that `decoded` is `batch` in pieces.
fn check_pieces(decoded: &[RecordBatch], batch: &RecordBatch) {
    let mut start = 0;
    for piece in decoded {
        assert_eq!(piece, &batch.slice(start, piece.num_rows()), "from row {start}");
        start += piece.num_rows();
    }
    assert_eq!(start, batch.num_rows());
}

#[test]
fn an_empty_answer_is_its_schema() {
    let batch = zoo::batch(0);
    let messages = encode(&batch.schema(), &[], WIDE).unwrap();
    assert_eq!(messages.iter().map(kind).collect::<Vec<_>>(), [MessageHeader::Schema]);
    let plain = RecordBatch::new_empty(Arc::new(Schema::new(vec![Field::new("a", DataType::Int8, false)])));
    let messages = encode(&plain.schema(), std::slice::from_ref(&plain), WIDE).unwrap();
    assert_eq!(messages.iter().map(kind).collect::<Vec<_>>(), [MessageHeader::Schema]);
}

#[test]
fn a_batch_without_rows_sends_its_dictionaries() {
    let batch = zoo::batch(20).slice(0, 0);
    let messages = encode(&batch.schema(), std::slice::from_ref(&batch), WIDE).unwrap();
    assert!(messages.iter().any(|message| kind(message) == MessageHeader::DictionaryBatch));
    assert_eq!(decode(&messages), [batch]);
}

#[test]
fn the_schema_comes_before_the_first_batch_is_asked_for() {
    let schema = zoo::batch(0).schema();
    let never = stream::pending().boxed();
    let first = run(async {
        let messages = messages(&schema, never, WIDE).unwrap();
        received(std::pin::pin!(messages).next().await.unwrap().unwrap()).unwrap()
    });
    assert_eq!(kind(&first), MessageHeader::Schema);
}

#[test]
fn a_row_that_is_larger_than_a_message_is_sent_alone() {
    let texts = [10, 5000, 10, 10].map(|length| "x".repeat(length));
    let batch =
        RecordBatch::try_from_iter([("t", Arc::new(StringArray::from_iter_values(texts)) as ArrayRef)]).unwrap();
    let messages =
        encode(&batch.schema(), std::slice::from_ref(&batch), MessageLimits { bytes: 2000, ..WIDE }).unwrap();
    assert_eq!(messages.iter().filter_map(rows).collect::<Vec<_>>(), [1, 1, 2]);
    check_pieces(&decode(&messages), &batch);
}

#[test]
fn a_batch_of_another_schema_is_a_fault() {
    let error = encode(&zoo::batch(0).schema(), &[zoo::batch(3).project(&[1]).unwrap()], WIDE).unwrap_err();
    assert_eq!(error.kind(), Kind::Internal);
}

#[test]
fn an_error_keeps_its_kind_and_ends_the_stream() {
    let batch = zoo::batch(3);
    let batches = stream::iter([Ok(batch.clone()), Err(Error::data_loss("chunk 7 is cut off")), Ok(batch.clone())]);
    let messages = messages(&batch.schema(), batches.boxed(), WIDE).unwrap();
    let items: Vec<_> = run(messages.map(|message| received(message?)).collect());
    let (last, before) = items.split_last().unwrap();
    assert!(before.iter().all(Result::is_ok));
    assert_eq!(before.iter().flatten().filter_map(rows).collect::<Vec<_>>(), [3]);
    assert_eq!(last.as_ref().unwrap_err().kind(), Kind::DataLoss);
}

fn categories(values: &ArrayRef, keys: impl IntoIterator<Item = i32>) -> RecordBatch {
    let keys = Int32Array::from_iter_values(keys);
    let column = DictionaryArray::<Int32Type>::try_new(keys, ArrayRef::clone(values)).unwrap();
    let field = Field::new("c", column.data_type().clone(), true);
    RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![Arc::new(column)]).unwrap()
}

#[test]
fn dictionaries_are_sent_as_such_and_only_when_they_change() {
    let few: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
    let more: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
    let batches =
        [categories(&few, [0, 1, 1, 0]), categories(&few, [1]), categories(&more, [2, 2]), categories(&few, [0])];
    let messages = encode(&batches[0].schema(), &batches, MessageLimits { rows: 2, ..WIDE }).unwrap();
    let shown: Vec<_> = messages.iter().map(|message| (is_delta(message), rows(message))).collect();
    let (dictionary, batch) = ((Some(false), None), |rows| (None, Some(rows)));
    let expected = [(None, None), dictionary, batch(2), batch(2), batch(1), dictionary, batch(2), dictionary, batch(1)];
    assert_eq!(shown, expected);
    let decoded = decode(&messages);
    check_pieces(&decoded[..2], &batches[0]);
    assert_eq!(decoded[3], batches[2]);
    assert_eq!(decoded[4], batches[3]);
    assert!(matches!(decoded[0].schema().field(0).data_type(), DataType::Dictionary(_, _)));
}

#[test]
fn a_dictionary_larger_than_a_message_grows_by_pieces() {
    let values: ArrayRef =
        Arc::new(StringArray::from_iter_values((0..3000).map(|number| format!("name {number:>20}"))));
    let batch = categories(&values, (0..3000).rev());
    let limits = MessageLimits { bytes: 20_000, dictionary_bytes: 19_000, ..WIDE };
    let messages = encode(&batch.schema(), &[batch.clone(), batch.slice(5, 10)], limits).unwrap();
    let deltas: Vec<_> = messages.iter().filter_map(is_delta).collect();
    assert!(deltas.len() >= 4 && !deltas[0] && deltas[1..].iter().all(|delta| *delta), "{deltas:?}");
    assert!(messages.iter().all(|message| message.encoded_len() <= limits.bytes));
    let decoded = decode(&messages);
    let (last, first) = decoded.split_last().unwrap();
    check_pieces(first, &batch);
    assert_eq!(last, &batch.slice(5, 10));
}

#[test]
fn two_large_dictionaries_grow_together() {
    let values = |count: usize| -> ArrayRef {
        Arc::new(StringArray::from_iter_values((0..count).map(|number| format!("name {number:>20}"))))
    };
    let (left, right) = (categories(&values(3000), 0..2000), categories(&values(1200), (0..1200).chain(0..800)));
    let names = [("left", left.column(0)), ("right", right.column(0))];
    let batch = RecordBatch::try_from_iter(names.map(|(name, column)| (name, ArrayRef::clone(column)))).unwrap();
    let limits = MessageLimits { bytes: 20_000, dictionary_bytes: 19_000, ..WIDE };
    let messages = encode(&batch.schema(), std::slice::from_ref(&batch), limits).unwrap();
    assert!(messages.iter().all(|message| message.encoded_len() <= limits.bytes));
    check_pieces(&decode(&messages), &batch);
}

#[test]
fn a_nested_dictionary_larger_than_a_message_is_refused() {
    let error = encode(&zoo::batch(0).schema(), &[zoo::batch(50)], MessageLimits { dictionary_bytes: 100, ..WIDE })
        .unwrap_err();
    assert_eq!(error.kind(), Kind::ResourceExhausted);
    assert!(error.message().contains("'categories'") && error.message().contains("100"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn messages_hold_the_rows_within_the_limits(
        rows_in in 1_usize..400, offset in 0_usize..20, bytes in 4_000_usize..60_000, most in 1_usize..300,
    ) {
        let batch = zoo::batch(rows_in + offset).slice(offset, rows_in);
        let messages = encode(&batch.schema(), std::slice::from_ref(&batch), MessageLimits { bytes, rows: most, ..WIDE }).unwrap();
        for message in &messages {
            if let Some(rows) = rows(message) {
                prop_assert!(rows as usize <= most);
                prop_assert!(message.encoded_len() <= bytes || rows == 1, "{} bytes, {} rows", message.encoded_len(), rows);
            }
        }
        check_pieces(&decode(&messages), &batch);
    }
}
