//! The computed size of a range of rows against what the IPC encoder writes for it.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, Schema, UnionFields, UnionMode};
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow::record_batch::RecordBatch;
use proptest::prelude::*;

use super::zoo;
use crate::error::Kind;
use crate::flight::size::{body_size, check_schema, header_size};
use crate::flight::split::{MessageLimits, fitting_rows, largest};

/// Header and body bytes of the message of a batch.
fn encoded(batch: &RecordBatch) -> (usize, usize) {
    let (generator, options) = (IpcDataGenerator::default(), IpcWriteOptions::default());
    let mut tracker = DictionaryTracker::new(false);
    generator.schema_to_bytes_with_dictionary_tracker(batch.schema_ref(), &mut tracker, &options);
    let (_, data) = generator.encode(batch, &mut tracker, &options, &mut IpcWriteContext::default()).unwrap();
    (data.ipc_message.len(), data.arrow_data.len())
}

/// Rows of one column, with views compacted as they are before sending.
fn cut(column: &ArrayRef, start: usize, length: usize) -> ArrayRef {
    let part = column.slice(start, length);
    if part.data_type() == &DataType::Utf8View { Arc::new(part.as_string_view().gc()) } else { part }
}

/// Checks every column of `batch` for the given rows.
fn check(batch: &RecordBatch, start: usize, length: usize) {
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let schema = Arc::new(Schema::new(vec![Arc::clone(field)]));
        let part = RecordBatch::try_new(schema, vec![cut(column, start, length)]).unwrap();
        let (header, body) = encoded(&part);
        let name = field.name();
        assert_eq!(body_size(std::slice::from_ref(column), start, length), body, "'{name}' rows {start}+{length}");
        let bound = header_size(part.schema_ref().fields());
        assert!(header <= bound && bound <= header + 400, "'{name}': header {header}, bound {bound}");
    }
}

#[test]
fn a_slice_does_not_carry_its_parent() {
    // 3 of 4000 rows: every column is small, although its buffers are not.
    let batch = zoo::batch(4000).slice(1990, 2000);
    check(&batch, 500, 3);
    for column in batch.columns() {
        let size = body_size(std::slice::from_ref(column), 500, 3);
        assert!(size <= 1024, "{}: {size}", column.data_type());
    }
}

#[test]
fn empty_ranges_have_their_size_too() {
    check(&zoo::batch(20), 0, 0);
    check(&zoo::batch(20), 20, 0);
    check(&zoo::batch(0), 0, 0);
}

#[test]
fn types_that_cannot_be_cut_are_refused_by_name() {
    let item = Arc::new(Field::new("item", DataType::Utf8View, true));
    for data_type in [
        DataType::ListView(Arc::new(Field::new("item", DataType::Int8, true))),
        DataType::List(item),
        DataType::Union(UnionFields::empty(), UnionMode::Sparse),
    ] {
        let error = check_schema(&Schema::new(vec![Field::new("odd", data_type, true)])).unwrap_err();
        assert_eq!(error.kind(), Kind::Unimplemented);
        assert!(error.message().contains("'odd'"), "{error}");
    }
    check_schema(&zoo::batch(1).schema()).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn sizes_are_exact(rows in 0_usize..300, offset in 0_usize..40, start: prop::sample::Index, end: prop::sample::Index) {
        let batch = zoo::batch(rows + offset).slice(offset, rows);
        let (start, end) = (start.index(rows + 1), end.index(rows + 1));
        check(&batch, start.min(end), start.abs_diff(end));
    }

    #[test]
    fn the_most_rows_that_fit(rows in 1_usize..200, bytes in 64_usize..200_000, most in 1_usize..250) {
        let batch = zoo::batch(rows);
        let limits = MessageLimits { bytes, rows: most, dictionary_bytes: 1 };
        let fits = |count: usize| super::super::size::message_size(&batch, 0, count) <= bytes;
        let naive = (1..=rows.min(most)).take_while(|count| fits(*count)).last().unwrap_or(1);
        prop_assert_eq!(fitting_rows(&batch, 0, limits), naive);
    }

    #[test]
    fn largest_is_found(most in 1_usize..1000, bound in 0_usize..1200) {
        prop_assert_eq!(largest(most, |number| number <= bound), bound.clamp(1, most));
    }
}

#[test]
fn requests_narrow_the_limits_and_never_widen_them() {
    let limits = |bytes, rows| MessageLimits::new(20_000, 35_000, bytes, rows);
    let expected = |bytes, rows| MessageLimits { bytes, rows, dictionary_bytes: 35_000 - 4096 };
    assert_eq!(limits(None, None), expected(20_000, usize::MAX));
    assert_eq!(limits(Some(30_000), Some(7)), expected(30_000, 7));
    assert_eq!(limits(Some(1), None), expected(1, usize::MAX));
    assert_eq!(limits(Some(1 << 40), None), expected(35_000, usize::MAX));
}
