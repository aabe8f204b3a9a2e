//! Files that `get` writes. A file appears under its name only when it is whole.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufWriter, Stdout, Write};
use std::path::{Path, PathBuf};

use arrow::csv;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::ipc::writer::{FileWriter, StreamWriter};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;

use super::print::stdout_error;
use crate::error::{Error, Result};

/// How batches are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Arrow IPC stream on stdout.
    Stdout,
    /// Arrow IPC file.
    Arrow,
    /// Parquet.
    Parquet,
    /// CSV with a header.
    Csv,
}

enum Writer {
    Stdout(Box<StreamWriter<BufWriter<Stdout>>>),
    Arrow(Box<FileWriter<BufWriter<File>>>),
    Parquet(Box<ArrowWriter<File>>),
    Csv(Box<csv::Writer<BufWriter<File>>>),
}

/// A file being written.
pub(super) struct Output {
    writer: Writer,
    /// Where the bytes are now, and where they go in the end; none for stdout.
    file: Option<Partial>,
}

/// A file under a temporary name, removed when it is dropped before it is whole.
struct Partial {
    temporary: PathBuf,
    whole: PathBuf,
}

impl Output {
    /// The form that `path` asks for: `-`, or by its suffix.
    ///
    /// # Errors
    /// `InvalidArgument` for another suffix.
    pub(super) fn form(path: &Path) -> Result<Form> {
        if path == Path::new("-") {
            return Ok(Form::Stdout);
        }
        match path.extension().and_then(|suffix| suffix.to_str()) {
            Some("arrow") => Ok(Form::Arrow),
            Some("parquet") => Ok(Form::Parquet),
            Some("csv") => Ok(Form::Csv),
            _ => Err(Error::invalid(format!(
                "output '{}': expected a file ending in .arrow, .parquet or .csv, or -",
                path.display()
            ))),
        }
    }

    /// Begins to write batches of `schema`.
    ///
    /// # Errors
    /// `Unimplemented` naming a nested column that CSV cannot hold, `Unavailable` when the file cannot
    /// be written.
    pub(super) fn create(path: &Path, form: Form, schema: &SchemaRef) -> Result<Self> {
        if form == Form::Csv {
            check_flat(schema)?;
        }
        if form == Form::Stdout {
            let writer = StreamWriter::try_new(BufWriter::new(std::io::stdout()), schema).map_err(failed)?;
            return Ok(Self { writer: Writer::Stdout(Box::new(writer)), file: None });
        }
        let partial = Partial { temporary: temporary_name(path), whole: path.to_owned() };
        let file = File::create(&partial.temporary).map_err(|error| {
            Error::unavailable(format!("cannot write '{}'", partial.temporary.display())).with_source(error)
        })?;
        let writer = match form {
            Form::Parquet => {
                Writer::Parquet(Box::new(ArrowWriter::try_new(file, SchemaRef::clone(schema), None).map_err(failed)?))
            }
            Form::Csv => Writer::Csv(Box::new(csv::Writer::new(BufWriter::new(file)))),
            Form::Arrow | Form::Stdout => {
                Writer::Arrow(Box::new(FileWriter::try_new(BufWriter::new(file), schema).map_err(failed)?))
            }
        };
        let mut output = Self { writer, file: Some(partial) };
        // A CSV writer writes its header with the first batch, also when that has no rows.
        if form == Form::Csv {
            output.write(&RecordBatch::new_empty(SchemaRef::clone(schema)))?;
        }
        Ok(output)
    }

    /// Writes a batch.
    ///
    /// # Errors
    /// `Cancelled` when the reader of stdout went away, `Unavailable` when the file cannot be written.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match &mut self.writer {
            Writer::Stdout(writer) => writer.write(batch).map_err(stdout_failed),
            Writer::Arrow(writer) => writer.write(batch).map_err(failed),
            Writer::Parquet(writer) => writer.write(batch).map_err(failed),
            Writer::Csv(writer) => writer.write(batch).map_err(failed),
        }
    }

    /// Ends the file and gives it its name.
    ///
    /// # Errors
    /// As [`Output::write`].
    pub(super) fn finish(self) -> Result<()> {
        match self.writer {
            Writer::Stdout(mut writer) => {
                writer.finish().map_err(stdout_failed)?;
                writer.get_mut().flush().map_err(stdout_error)?;
            }
            Writer::Arrow(mut writer) => {
                writer.finish().map_err(failed)?;
                writer.get_mut().flush().map_err(failed)?;
            }
            Writer::Parquet(writer) => drop(writer.close().map_err(failed)?),
            Writer::Csv(writer) => writer.into_inner().flush().map_err(failed)?,
        }
        self.file.map_or(Ok(()), Partial::keep)
    }
}

impl Partial {
    fn keep(self) -> Result<()> {
        std::fs::rename(&self.temporary, &self.whole)
            .map_err(|error| Error::unavailable(format!("cannot write '{}'", self.whole.display())).with_source(error))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After `keep` there is no such file any more.
        drop(std::fs::remove_file(&self.temporary));
    }
}

fn temporary_name(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".partial");
    name.into()
}

fn check_flat(schema: &Schema) -> Result<()> {
    match schema.fields().iter().find(|field| is_nested(field.data_type())) {
        None => Ok(()),
        Some(field) => Err(Error::unimplemented(format!(
            "column '{}' of type {} cannot be written as CSV; use .arrow or .parquet, or layout wide",
            field.name(),
            field.data_type()
        ))),
    }
}

fn is_nested(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_nested(values),
        other => other.is_nested(),
    }
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::unavailable("the output cannot be written").with_source(error)
}

fn stdout_failed(error: arrow::error::ArrowError) -> Error {
    match error {
        arrow::error::ArrowError::IoError(_, error) => stdout_error(error),
        other => failed(other),
    }
}
