//! Text in aligned columns.

use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::error::{Error, Result};

/// Widest cell and most columns of a preview.
const CELL_CHARACTERS: usize = 32;
const COLUMNS: usize = 12;

/// Rows of cells, each column as wide as its widest cell, two spaces apart.
pub(super) fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The rows of `batches` as a table: the first columns, long cells cut.
///
/// # Errors
/// `Internal` when a value has no text.
pub(super) fn preview(schema: &Schema, batches: &[RecordBatch]) -> Result<String> {
    let hidden = schema.fields().len().saturating_sub(COLUMNS);
    let mut header: Vec<_> = schema.fields().iter().take(COLUMNS).map(|field| cut(field.name())).collect();
    if hidden > 0 {
        header.push(format!("… {hidden} more columns"));
    }
    let mut rows = vec![header];
    let no_text = |error| Error::internal("a value has no text").with_source(error);
    let options = FormatOptions::default().with_null("null");
    for batch in batches {
        let columns = batch
            .columns()
            .iter()
            .take(COLUMNS)
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
            .collect::<Result<Vec<_>, _>>()
            .map_err(no_text)?;
        for row in 0..batch.num_rows() {
            let cells = columns.iter().map(|column| Ok(cut(&column.value(row).try_to_string()?)));
            rows.push(cells.collect::<Result<_, _>>().map_err(no_text)?);
        }
    }
    Ok(aligned(&rows))
}

fn cut(text: &str) -> String {
    let text = text.replace(['\n', '\t', '\r'], " ");
    if text.chars().count() <= CELL_CHARACTERS {
        return text;
    }
    text.chars().take(CELL_CHARACTERS - 1).chain(['…']).collect()
}
