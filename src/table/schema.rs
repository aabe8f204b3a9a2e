//! The Arrow schema of a parquet file, and whether a later file agrees with the first.

use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::ParquetMetaData;

use crate::error::{Error, Result};

/// The Arrow schema of a file: the stored Arrow schema where there is one, with all metadata.
///
/// # Errors
/// `Unimplemented` naming the file when Arrow has no type for a column.
pub(super) fn of_footer(footer: &ParquetMetaData, url: &str) -> Result<Schema> {
    let metadata = footer.file_metadata();
    parquet_to_arrow_schema(metadata.schema_descr(), metadata.key_value_metadata())
        .map_err(|error| Error::unimplemented(format!("{url}: the schema cannot be read: {error}")).with_source(error))
}

/// Checks that the file at `url` has every column of `reference` with its type. Dictionaries may have
/// indices of another width, as pandas chooses it by the number of categories: gives whether one has.
///
/// # Errors
/// `FailedPrecondition` naming the file, the column, the expected and the found type.
pub(super) fn check(reference: &Schema, footer: &ParquetMetaData, url: &str) -> Result<bool> {
    let found = of_footer(footer, url)?;
    let mut recoded = false;
    for expected in reference.fields() {
        let name = expected.name();
        let column = found.field_with_name(name).map_err(|_| {
            Error::failed_precondition(format!(
                "{url} lacks the column {name:?} of type {} that the table's first file has",
                expected.data_type()
            ))
        })?;
        if !agree(expected, column) {
            return Err(Error::failed_precondition(format!(
                "column {name:?} of {url} is {}, expected {} as in the table's first file",
                described(column),
                described(expected)
            )));
        }
        recoded |= expected.data_type() != column.data_type();
    }
    Ok(recoded)
}

fn agree(expected: &Field, found: &Field) -> bool {
    let same_type = match (expected.data_type(), found.data_type()) {
        (DataType::Dictionary(_, expected), DataType::Dictionary(_, found)) => expected == found,
        (expected, found) => expected == found,
    };
    same_type && (expected.is_nullable() || !found.is_nullable())
}

fn described(field: &Field) -> String {
    let nullable = if field.is_nullable() { "nullable" } else { "not nullable" };
    format!("{} ({nullable})", field.data_type())
}
