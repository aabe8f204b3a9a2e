//! Writes one-dimensional arrays of a zarr version 3 store into a local folder, piece by piece.
//!
//! For copies that the server keeps by itself; nothing here ever writes user data. An array is cut into inner
//! chunks that are shuffled, compressed and checked one by one, many to a shard, so that a few elements are read
//! by few bytes; any reader of the format opens it. The thread blocks.
//!
//! ```text
//! append(elements) ──▶ inner chunk: bytes ▶ shuffle ▶ zstd ▶ crc32c ──▶ shard: chunks, then their index
//! ```

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::model::data_type::DataType;
use crate::model::tree::Attributes;

/// Elements of an inner chunk: what is read and decoded for a few elements.
pub const CHUNK_ELEMENTS: usize = 1 << 15;
/// Inner chunks of a shard: 4 Mi elements in a file.
const SHARD_CHUNKS: usize = 128;
/// zstd's level: the fast end, as whoever writes is in the way of others.
const LEVEL: i32 = 1;
/// What the index of a shard says of an inner chunk that is not there.
const ABSENT: (u64, u64) = (u64::MAX, u64::MAX);

/// One file of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenFile {
    /// Path below the store's folder.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
}

/// Writes one array from its first element to its last.
#[derive(Debug)]
pub struct ArrayWriter {
    folder: PathBuf,
    name: String,
    type_name: &'static str,
    item_size: usize,
    /// Elements that do not fill an inner chunk yet.
    pending: Vec<u8>,
    shard: Option<Shard>,
    elements: u64,
    files: Vec<WrittenFile>,
}

/// A shard that is being written.
#[derive(Debug)]
struct Shard {
    file: File,
    path: String,
    length: u64,
    chunks: Vec<(u64, u64)>,
}

impl ArrayWriter {
    /// A writer of the array `name` of elements of `data_type` in the store at `folder`.
    ///
    /// # Errors
    /// `Unimplemented` for elements that are neither numbers nor booleans, `Unavailable` when the folder
    /// cannot be made.
    pub fn new(folder: &Path, name: &str, data_type: &DataType) -> Result<Self> {
        let type_name = type_name(data_type)?;
        fs::create_dir_all(folder.join(name).join("c")).map_err(|error| unwritten(name, error))?;
        Ok(Self {
            folder: folder.to_owned(),
            name: name.to_owned(),
            type_name,
            item_size: data_type.item_size(),
            pending: Vec::new(),
            shard: None,
            elements: 0,
            files: Vec::new(),
        })
    }

    /// Appends little-endian elements.
    ///
    /// # Errors
    /// `Unavailable` when the disk fails.
    pub fn append(&mut self, mut elements: &[u8]) -> Result<()> {
        let whole = CHUNK_ELEMENTS * self.item_size;
        self.elements += (elements.len() / self.item_size) as u64;
        while !elements.is_empty() {
            let taken = (whole - self.pending.len()).min(elements.len());
            let (head, rest) = elements.split_at(taken);
            self.pending.extend_from_slice(head);
            elements = rest;
            if self.pending.len() == whole {
                self.write_chunk()?;
            }
        }
        Ok(())
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        let shard = self.shard.as_ref().map_or(0, |shard| shard.length);
        self.files.iter().fold(shard, |total, file| total.saturating_add(file.size))
    }

    /// Writes what is left and the array's document; gives the files in order.
    ///
    /// # Errors
    /// As [`ArrayWriter::append`].
    pub fn finish(mut self) -> Result<Vec<WrittenFile>> {
        if !self.pending.is_empty() {
            // The rest of the last chunk is beyond the end of the array.
            self.pending.resize(CHUNK_ELEMENTS * self.item_size, 0);
            self.write_chunk()?;
        }
        self.finish_shard()?;
        let document = self.document();
        let path = format!("{}/zarr.json", self.name);
        self.files.push(write_document(&self.folder, &path, &document)?);
        Ok(self.files)
    }

    fn write_chunk(&mut self) -> Result<()> {
        let pending = std::mem::take(&mut self.pending);
        let shuffled = shuffled(&pending, self.item_size);
        let mut encoded = zstd::bulk::compress(&shuffled, LEVEL).map_err(|error| unwritten(&self.name, error))?;
        encoded.extend(crc32c::crc32c(&encoded).to_le_bytes());
        self.pending = pending;
        self.pending.clear();
        let number = self.files.len();
        let mut shard = match self.shard.take() {
            Some(shard) => shard,
            None => {
                let path = format!("{}/c/{number}", self.name);
                let file = File::create(self.folder.join(&path)).map_err(|error| unwritten(&path, error))?;
                Shard { file, path, length: 0, chunks: Vec::new() }
            }
        };
        shard.file.write_all(&encoded).map_err(|error| unwritten(&shard.path, error))?;
        shard.chunks.push((shard.length, encoded.len() as u64));
        shard.length += encoded.len() as u64;
        let is_full = shard.chunks.len() == SHARD_CHUNKS;
        self.shard = Some(shard);
        if is_full { self.finish_shard() } else { Ok(()) }
    }

    /// Writes the index behind the inner chunks.
    fn finish_shard(&mut self) -> Result<()> {
        let Some(mut shard) = self.shard.take() else { return Ok(()) };
        shard.chunks.resize(SHARD_CHUNKS, ABSENT);
        let entries = shard.chunks.iter().flat_map(|(offset, length)| [*offset, *length]);
        let mut index: Vec<u8> = entries.flat_map(u64::to_le_bytes).collect();
        index.extend(crc32c::crc32c(&index).to_le_bytes());
        shard.file.write_all(&index).map_err(|error| unwritten(&shard.path, error))?;
        self.files.push(WrittenFile { path: shard.path, size: shard.length + index.len() as u64 });
        Ok(())
    }

    fn document(&self) -> Value {
        let bytes = json!({"name": "bytes", "configuration": {"endian": "little"}});
        let mut codecs = vec![bytes.clone()];
        if self.item_size > 1 {
            let configuration = json!({"elementsize": self.item_size});
            codecs.push(json!({"name": "numcodecs.shuffle", "configuration": configuration}));
        }
        codecs.push(json!({"name": "zstd", "configuration": {"level": LEVEL, "checksum": false}}));
        codecs.push(json!({"name": "crc32c"}));
        let sharding = json!({
            "chunk_shape": [CHUNK_ELEMENTS],
            "codecs": codecs,
            "index_codecs": [bytes, {"name": "crc32c"}],
            "index_location": "end",
        });
        json!({
            "zarr_format": 3,
            "node_type": "array",
            "shape": [self.elements],
            "data_type": self.type_name,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [CHUNK_ELEMENTS * SHARD_CHUNKS]}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": match self.type_name.split(char::is_numeric).next() {
                Some("bool") => json!(false),
                Some("float") => json!(0.0),
                _ => json!(0),
            },
            "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
            "attributes": {},
            "storage_transformers": [],
        })
    }
}

/// Writes the document of the store's root group.
///
/// # Errors
/// `Unavailable` when the disk fails.
pub fn write_group(folder: &Path, attributes: Attributes) -> Result<WrittenFile> {
    let document = json!({"zarr_format": 3, "node_type": "group", "attributes": attributes});
    write_document(folder, "zarr.json", &document)
}

fn write_document(folder: &Path, path: &str, document: &Value) -> Result<WrittenFile> {
    let text = document.to_string();
    fs::write(folder.join(path), &text).map_err(|error| unwritten(path, error))?;
    Ok(WrittenFile { path: path.to_owned(), size: text.len() as u64 })
}

/// The name of a type whose elements lie in a chunk as they are in memory.
fn type_name(data_type: &DataType) -> Result<&'static str> {
    Ok(match data_type {
        DataType::Boolean => "bool",
        DataType::Int8 => "int8",
        DataType::Int16 => "int16",
        DataType::Int32 => "int32",
        DataType::Int64 => "int64",
        DataType::UInt8 => "uint8",
        DataType::UInt16 => "uint16",
        DataType::UInt32 => "uint32",
        DataType::UInt64 => "uint64",
        DataType::Float16 => "float16",
        DataType::Float32 => "float32",
        DataType::Float64 => "float64",
        other => return Err(Error::unimplemented(format!("elements of {} are not written", other.name()))),
    })
}

/// All first bytes of the elements, then all second bytes, and so on.
fn shuffled(elements: &[u8], item_size: usize) -> Vec<u8> {
    if item_size <= 1 {
        return elements.to_vec();
    }
    let mut planes = Vec::with_capacity(elements.len());
    for byte in 0..item_size {
        planes.extend(elements.iter().skip(byte).step_by(item_size));
    }
    planes
}

fn unwritten(path: &str, error: std::io::Error) -> Error {
    Error::unavailable(format!("'{path}' cannot be written: {}", error.kind())).with_source(error)
}
