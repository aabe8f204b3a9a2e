//! Messages of pieces against those that the IPC generator writes, byte for byte, and what of them is copied.

use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::Buffer;
use arrow::datatypes::{Int32Type, Schema};
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use proptest::prelude::*;

use super::zoo;
use crate::flight::frames::{COPIED_BYTES, Frames, JOINED_BYTES};
use crate::flight::message::Message;
use crate::flight::pieces::Pieces;

fn frames(message: Message) -> Vec<Bytes> {
    let mut frames = Frames::default();
    message.write(&mut frames).unwrap();
    std::iter::from_fn(|| frames.next_at_once()).collect()
}

fn pieces(schema: &Schema) -> Pieces {
    Pieces::new(schema, &IpcWriteOptions::default()).unwrap().unwrap()
}

fn message(batch: &RecordBatch) -> Message {
    pieces(batch.schema_ref()).message(batch).unwrap()
}

/// The bytes that tonic and prost make of what the generator gives.
fn generated(batch: &RecordBatch) -> Vec<u8> {
    use prost::Message as _;
    let (mut tracker, options) = (DictionaryTracker::new(false), IpcWriteOptions::default());
    let generator = IpcDataGenerator::default();
    generator.schema_to_bytes_with_dictionary_tracker(batch.schema_ref(), &mut tracker, &options);
    let (_, rows) = generator.encode(batch, &mut tracker, &options, &mut IpcWriteContext::default()).unwrap();
    let data = arrow_flight::FlightData {
        data_header: rows.ipc_message.into(),
        data_body: rows.arrow_data.into(),
        ..Default::default()
    };
    let mut bytes = vec![0];
    bytes.extend((data.encoded_len() as u32).to_be_bytes());
    data.encode(&mut bytes).unwrap();
    bytes
}

fn check(batch: &RecordBatch) {
    assert!(frames(message(batch)).concat() == generated(batch), "{} rows of {:?}", batch.num_rows(), batch.schema());
}

/// The columns of the zoo but for the nested dictionary.
fn plain_zoo(rows: usize) -> RecordBatch {
    let batch = zoo::batch(rows);
    let kept: Vec<usize> =
        (0..batch.num_columns()).filter(|at| batch.schema().field(*at).name() != "categories").collect();
    batch.project(&kept).unwrap()
}

#[test]
fn batches_without_rows_or_columns() {
    for batch in [plain_zoo(0), plain_zoo(20).slice(7, 0), plain_zoo(20).project(&[]).unwrap()] {
        check(&batch);
    }
}

#[test]
fn one_encoder_serves_all_batches_of_a_stream() {
    let mut pieces = pieces(plain_zoo(0).schema_ref());
    for rows in [3, 0, 70, 1] {
        let batch = plain_zoo(rows);
        assert_eq!(frames(pieces.message(&batch).unwrap()).concat(), generated(&batch));
    }
}

#[test]
fn a_nested_dictionary_is_left_to_the_generator() {
    let schema = zoo::batch(0).schema();
    assert!(Pieces::new(&schema, &IpcWriteOptions::default()).unwrap().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_kind_of_column_is_as_generated(rows in 0_usize..300, offset in 0_usize..70, end in 0_usize..20) {
        check(&plain_zoo(rows + offset + end).slice(offset, rows));
    }

    #[test]
    fn every_column_alone_is_as_generated(column in 0_usize..20, rows in 1_usize..200, offset in 0_usize..70) {
        let batch = plain_zoo(rows + offset);
        check(&batch.project(&[column % batch.num_columns()]).unwrap().slice(offset, rows));
    }

    /// Lengths around those at which frames begin and end, in any order.
    #[test]
    fn frames_hold_the_bytes_in_order(lengths in prop::collection::vec(
        prop_oneof![0_usize..100, COPIED_BYTES - 2..COPIED_BYTES + 2, 0..2 * JOINED_BYTES], 0..20,
    )) {
        let buffers: Vec<Buffer> = lengths
            .iter()
            .enumerate()
            .map(|(number, length)| Buffer::from_vec((0..*length).map(|at| (at * 7 + number) as u8).collect::<Vec<_>>()))
            .collect();
        let expected = buffers.iter().flat_map(|buffer| buffer.as_slice()).copied().collect::<Vec<u8>>();
        let found = frames(Message::new(Buffer::from_vec(vec![9_u8]), buffers));
        prop_assert!(found.concat().ends_with(&expected));
        let long = lengths.iter().filter(|length| **length >= COPIED_BYTES).count();
        let short: usize = lengths.iter().filter(|length| **length < COPIED_BYTES).sum();
        prop_assert!(found.len() <= 2 * long + 1 + short / JOINED_BYTES, "{} frames of {lengths:?}", found.len());
        prop_assert!(found.iter().all(|frame| !frame.is_empty()));
    }
}

/// The buffer of a column of `rows` numbers, and batches of it.
fn numbers(rows: usize) -> (Buffer, RecordBatch) {
    let column = Int32Array::from_iter_values(0..rows as i32);
    let buffer = column.values().inner().clone();
    (buffer, RecordBatch::try_from_iter([("n", Arc::new(column) as ArrayRef)]).unwrap())
}

#[test]
fn long_buffers_are_sent_from_where_they_lie() {
    let (buffer, batch) = numbers(1 << 20);
    for (start, length) in [(0, 1 << 20), (5, 1 << 19), (12_345, COPIED_BYTES / 4)] {
        let frames = frames(message(&batch.slice(start, length)));
        let long: Vec<_> = frames.iter().filter(|frame| frame.len() >= COPIED_BYTES).collect();
        assert_eq!(long.len(), 1);
        assert_eq!((long[0].as_ptr(), long[0].len()), (buffer[4 * start..].as_ptr(), 4 * length));
        let others: usize = frames.iter().map(Bytes::len).sum::<usize>() - long[0].len();
        assert!(frames.len() <= 3 && others < 600, "{} frames, {others} bytes", frames.len());
    }
}

#[test]
fn texts_lists_and_keys_are_not_copied_either() {
    let texts = StringArray::from_iter_values((0..20_000).map(|row| format!("text {row:>10}")));
    let values = Float64Array::from_iter_values((0..80_000).map(f64::from));
    let item = Arc::new(arrow::datatypes::Field::new("item", values.data_type().clone(), false));
    let list = FixedSizeListArray::new(item, 4, Arc::new(values.clone()), None);
    let keys = Int32Array::from_iter_values((0..20_000).map(|row| row % 2));
    let codes = DictionaryArray::<Int32Type>::new(keys.clone(), Arc::new(StringArray::from(vec!["a", "b"])));
    let expected = [texts.value_data().as_ptr(), values.values().inner().as_ptr(), keys.values().inner().as_ptr()];
    let columns: [(&str, ArrayRef); 3] =
        [("texts", Arc::new(texts)), ("list", Arc::new(list)), ("codes", Arc::new(codes))];
    let frames = frames(message(&RecordBatch::try_from_iter(columns).unwrap()));
    for pointer in expected {
        assert!(frames.iter().any(|frame| frame.as_ptr() == pointer));
    }
}

#[test]
fn many_short_columns_share_frames() {
    let columns =
        (0..500).map(|number| (format!("c{number}"), Arc::new(Int32Array::from_iter_values(0..256)) as ArrayRef));
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let frames = frames(message(&batch));
    assert_eq!(frames.concat(), generated(&batch));
    assert!(frames.len() <= 9, "{}", frames.len());
}

#[test]
fn memory_is_held_until_its_frame_is_gone() {
    let (buffer, batch) = numbers(1 << 16);
    let frames = frames(message(&batch));
    drop(batch);
    assert_eq!(buffer.strong_count(), 2);
    drop(frames);
    assert_eq!(buffer.strong_count(), 1);
}
