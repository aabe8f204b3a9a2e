//! A batch with a column of every kind that is sent.

use std::sync::Arc;

use arrow::array::builder::{
    FixedSizeListBuilder, Float32Builder, Int32Builder, ListBuilder, MapBuilder, StringBuilder, StringDictionaryBuilder,
};
use arrow::array::*;
use arrow::datatypes::{DataType, Field, Fields, Int8Type, Schema, i256};
use arrow::record_batch::RecordBatch;

/// A text for row `row`, often longer than what fits into a view.
fn text(row: usize) -> String {
    "é".repeat(row * 7 % 23)
}

fn every(row: usize, step: usize) -> bool {
    row.is_multiple_of(step)
}

/// `rows` rows; some columns have nulls only in the second half.
pub(super) fn batch(rows: usize) -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = scalars(rows).into_iter().chain(nested(rows)).collect();
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let schema = Schema::new(fields).with_metadata([("node".to_owned(), "zoo".to_owned())].into());
    RecordBatch::try_new(Arc::new(schema), columns.into_iter().map(|(_, array)| array).collect()).unwrap()
}

fn scalars(rows: usize) -> Vec<(&'static str, ArrayRef)> {
    let some = |row: usize| (row < rows / 2 || !every(row, 3)).then_some(row);
    let texts = || (0..rows).map(|row| some(row).map(text));
    let dictionary: DictionaryArray<Int8Type> =
        (0..rows).map(|row| some(row).map(|row| ["a", "bb", "ccc"][row % 3])).collect();
    vec![
        ("null", Arc::new(NullArray::new(rows))),
        ("int32", Arc::new((0..rows).map(|row| some(row).map(|row| row as i32)).collect::<Int32Array>())),
        ("uint8", Arc::new((0..rows).map(|row| Some(row as u8)).collect::<UInt8Array>())),
        ("float64", Arc::new((0..rows).map(|row| some(row).map(|row| row as f64)).collect::<Float64Array>())),
        ("boolean", Arc::new((0..rows).map(|row| some(row).map(|row| every(row, 2))).collect::<BooleanArray>())),
        ("timestamp", Arc::new((0..rows).map(|row| Some(row as i64)).collect::<TimestampNanosecondArray>())),
        (
            "interval",
            Arc::new(IntervalMonthDayNanoArray::from_iter(
                (0..rows).map(|row| some(row).map(|row| arrow::datatypes::IntervalMonthDayNano::new(row as i32, 1, 2))),
            )),
        ),
        (
            "decimal",
            Arc::new((0..rows).map(|row| some(row).map(|row| i256::from(row as i64))).collect::<Decimal256Array>()),
        ),
        ("utf8", Arc::new(texts().collect::<StringArray>())),
        ("large_utf8", Arc::new(texts().collect::<LargeStringArray>())),
        ("binary", Arc::new(texts().map(|text| text.map(String::into_bytes)).collect::<BinaryArray>())),
        ("utf8_view", Arc::new(texts().collect::<StringViewArray>())),
        (
            "fixed_binary",
            Arc::new(
                FixedSizeBinaryArray::try_from_sparse_iter_with_size(
                    (0..rows).map(|row| some(row).map(|row| [row as u8; 5])),
                    5,
                )
                .unwrap(),
            ),
        ),
        ("dictionary", Arc::new(dictionary)),
    ]
}

fn nested(rows: usize) -> Vec<(&'static str, ArrayRef)> {
    let mut ints = ListBuilder::new(Int32Builder::new());
    let mut texts = ListBuilder::new(StringBuilder::new());
    let mut categories = ListBuilder::new(StringDictionaryBuilder::<Int8Type>::new());
    let mut fixed = FixedSizeListBuilder::new(Float32Builder::new(), 7);
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    for row in 0..rows {
        for position in 0..row % 5 {
            ints.values().append_option((!every(position + row, 4)).then_some(position as i32));
            texts.values().append_value(text(row + position));
            categories.values().append_value(["x", "y"][position % 2]);
            map.keys().append_value(text(position));
            map.values().append_value(position as i32);
        }
        ints.append(!every(row, 11));
        texts.append(true);
        categories.append(true);
        map.append(true).unwrap();
        (0..7).for_each(|position| fixed.values().append_value((row * 7 + position) as f32));
        fixed.append(row < rows / 2 || !every(row, 5));
    }
    let fields = Fields::from(vec![
        Field::new("index", DataType::Int32, false),
        Field::new("name", DataType::Utf8, true),
        Field::new("flag", DataType::Boolean, false),
    ]);
    let structure = StructArray::new(
        fields,
        vec![
            Arc::new((0..rows as i32).collect::<Int32Array>()),
            Arc::new((0..rows).map(|row| every(row, 2).then(|| text(row))).collect::<StringArray>()),
            Arc::new((0..rows).map(|row| Some(every(row, 3))).collect::<BooleanArray>()),
        ],
        Some((0..rows).map(|row| !every(row, 9)).collect::<Vec<_>>().into()),
    );
    vec![
        ("ints", Arc::new(ints.finish())),
        ("texts", Arc::new(texts.finish())),
        ("categories", Arc::new(categories.finish())),
        ("fixed", Arc::new(fixed.finish())),
        ("map", Arc::new(map.finish())),
        ("structure", Arc::new(structure)),
        ("sparse", Arc::new(sparse(rows))),
    ]
}

/// Rows of a CSR matrix: a large list of structs.
fn sparse(rows: usize) -> LargeListArray {
    let lengths = (0..rows).map(|row| row % 4);
    let entries: usize = lengths.clone().sum();
    let fields =
        Fields::from(vec![Field::new("index", DataType::Int64, false), Field::new("value", DataType::Float32, false)]);
    let values = StructArray::new(
        fields.clone(),
        vec![
            Arc::new((0..entries as i64).collect::<Int64Array>()),
            Arc::new((0..entries).map(|entry| Some(entry as f32)).collect::<Float32Array>()),
        ],
        None,
    );
    let offsets = arrow::buffer::OffsetBuffer::from_lengths(lengths);
    LargeListArray::new(Arc::new(Field::new("item", DataType::Struct(fields), false)), offsets, Arc::new(values), None)
}
