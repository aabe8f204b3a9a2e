//! `name=value` folders as columns: names, types and each file's values.
//!
//! Types follow pyarrow: `Int32` when every value is an integer that fits, `Int64` when a larger one
//! is among them, else text. Only integers written the one usual way count (`7`, not `07`), so that no
//! value changes by becoming a number.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;

use super::TableFile;
use crate::error::{Error, Result};

/// How Hive writes a missing value.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// Partition columns of a table, in the order of its folders.
#[derive(Debug)]
pub(super) struct Partitions {
    fields: Vec<FieldRef>,
    values: Vec<Vec<ScalarValue>>,
}

impl Partitions {
    /// Columns of the folders of `files`; a file without a folder has null there.
    pub(super) fn infer(files: &[Arc<TableFile>]) -> Result<Self> {
        let decoded = files.iter().map(|file| decode(file)).collect::<Result<Vec<_>>>()?;
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in decoded.iter().flatten() {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        let columns: Vec<Vec<Option<&str>>> = names.iter().map(|name| column(&decoded, name)).collect();
        let types: Vec<DataType> = columns.iter().map(|values| data_type(values)).collect();
        let fields = names.iter().zip(&types).map(|(name, found)| Arc::new(Field::new(*name, found.clone(), true)));
        let row = |index: usize| {
            let values = columns.iter().map(move |values| values.get(index).copied().flatten());
            values.zip(&types).map(|(value, found)| scalar(value, found)).collect()
        };
        Ok(Self { fields: fields.collect(), values: (0..files.len()).map(row).collect() })
    }

    /// The columns.
    pub(super) fn fields(&self) -> &[FieldRef] {
        &self.fields
    }

    /// The values of file `index`, one per column.
    pub(super) fn values(&self, index: usize) -> &[ScalarValue] {
        self.values.get(index).map(Vec::as_slice).unwrap_or_default()
    }
}

type Folders = Vec<(String, Option<String>)>;

fn decode(file: &TableFile) -> Result<Folders> {
    let mut folders: Folders = Vec::with_capacity(file.hive.len());
    for (name, value) in &file.hive {
        let name = percent_decode(name, &file.url)?;
        if folders.iter().any(|(other, _)| *other == name) {
            return Err(Error::invalid(format!("{}: partition folder {name:?} occurs twice in the path", file.url)));
        }
        let value = if value == NULL { None } else { Some(percent_decode(value, &file.url)?) };
        folders.push((name, value));
    }
    Ok(folders)
}

fn column<'a>(files: &'a [Folders], name: &str) -> Vec<Option<&'a str>> {
    let value =
        |folders: &'a Folders| folders.iter().find(|(found, _)| found == name).and_then(|(_, value)| value.as_deref());
    files.iter().map(value).collect()
}

fn data_type(values: &[Option<&str>]) -> DataType {
    let integers: Option<Vec<i64>> = values.iter().flatten().map(|value| integer(value)).collect();
    match integers {
        Some(integers) if integers.is_empty() => DataType::Utf8,
        Some(integers) if integers.iter().all(|integer| i32::try_from(*integer).is_ok()) => DataType::Int32,
        Some(_) => DataType::Int64,
        None => DataType::Utf8,
    }
}

/// An integer whose text is the usual one.
fn integer(text: &str) -> Option<i64> {
    text.parse::<i64>().ok().filter(|integer| integer.to_string() == text)
}

fn scalar(value: Option<&str>, data_type: &DataType) -> ScalarValue {
    let number = value.and_then(integer);
    match data_type {
        DataType::Int32 => ScalarValue::Int32(number.and_then(|number| i32::try_from(number).ok())),
        DataType::Int64 => ScalarValue::Int64(number),
        _ => ScalarValue::Utf8(value.map(str::to_owned)),
    }
}

/// `%20` and its like as the bytes they stand for.
fn percent_decode(text: &str, url: &str) -> Result<String> {
    let wrong = || Error::invalid(format!("{url}: partition folder {text:?} is not percent-encoded UTF-8"));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let (digits, after) = after.split_first_chunk::<2>().ok_or_else(wrong)?;
        let digit = |place: u8| char::from(place).to_digit(16).ok_or_else(wrong);
        let [high, low] = *digits;
        bytes.push(u8::try_from(digit(high)? * 16 + digit(low)?).map_err(|_| wrong())?);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

#[cfg(test)]
mod tests;
