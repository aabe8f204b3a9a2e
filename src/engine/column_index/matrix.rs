//! The matrix that an index is of: what names it, what it is made of, and whether there can be an index.

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::format::Hierarchy;
use crate::format::anndata::meaning::Sparse;
use crate::model::data_type::DataType;

/// One version of one sparse matrix.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Matrix {
    /// Name of its index: a digest of all that follows.
    pub(super) name: String,
    /// URL of the artifact.
    pub(super) url: String,
    /// What the contents of the artifact are known by: URL, ETag or version, size.
    pub(super) identity: String,
    pub(super) hierarchy: Hierarchy,
    pub(super) sparse: Sparse,
}

/// The parts of a matrix as building reads them.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    pub(super) index_type: DataType,
    pub(super) value_type: DataType,
    /// Stored entries, those outside all rows too.
    pub(super) entries: u64,
    /// Slices of the stored axis (rows of CSR).
    pub(super) rows: u64,
    /// Length of the other axis (columns of CSR).
    pub(super) columns: u32,
    /// Entries of the larger chunk of the two arrays.
    pub(super) chunk: u64,
}

impl Matrix {
    /// The matrix `sparse` of `hierarchy`; none when its contents may change under the same name.
    pub(in crate::engine) fn of(hierarchy: &Hierarchy, sparse: &Sparse) -> Option<Self> {
        let identity = hierarchy.identity()?;
        let parts = [sparse.indptr(), sparse.indices(), sparse.data()];
        if parts.iter().any(|path| hierarchy.reads_elsewhere(path)) {
            return None;
        }
        let url = identity.lines().next().unwrap_or_default().to_owned();
        let name = digest(&format!("{identity}\n{}\n{}\n{:?}", sparse.path, sparse.major, sparse.shape));
        Some(Self { name, url, identity, hierarchy: hierarchy.clone(), sparse: sparse.clone() })
    }

    /// The axis whose positions an index finds: the one that the matrix is not stored by.
    pub(super) fn across(&self) -> usize {
        1 - self.sparse.major
    }

    /// What building reads.
    ///
    /// # Errors
    /// `Unimplemented` for elements that an index does not hold, and for axes of 2^32 positions.
    pub(super) fn parts(&self) -> Result<Parts> {
        let (tree, sparse) = (self.hierarchy.tree(), &self.sparse);
        let (indices, data) = (tree.array(&sparse.indices())?, tree.array(&sparse.data())?);
        let chunk = |shape: &[u64]| shape.first().copied().unwrap_or(1);
        let (rows, columns) = (sparse.shape[sparse.major], sparse.shape[self.across()]);
        let short = |length: u64| u32::try_from(length).ok().filter(|length| *length < u32::MAX);
        let (Some(_), Some(columns)) = (short(rows), short(columns)) else {
            return Err(Error::unimplemented(format!(
                "a column index of '{}': an axis of its shape {:?} is longer than 2^32 - 2",
                sparse.path, sparse.shape
            )));
        };
        if !is_number(&data.data_type) {
            return Err(Error::unimplemented(format!("a column index of {} values", data.data_type.name())));
        }
        Ok(Parts {
            index_type: indices.data_type.clone(),
            value_type: data.data_type.clone(),
            entries: data.element_count()?,
            rows,
            columns,
            chunk: chunk(&indices.chunk_shape).max(chunk(&data.chunk_shape)).max(1),
        })
    }
}

/// A name for `text`: 64 hexadecimal digits.
pub(super) fn digest(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether elements are numbers or booleans, that lie in memory as they are written.
fn is_number(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32
            | DataType::UInt64
            | DataType::Float16
            | DataType::Float32
            | DataType::Float64
            | DataType::Boolean
    )
}

/// Stored indices as columns, each below `columns`.
///
/// # Errors
/// `DataLoss` for an index outside its axis, `Unimplemented` for indices that are no integers.
pub(super) fn columns_of(data_type: &DataType, bytes: &[u8], columns: u32) -> Result<Vec<u32>> {
    macro_rules! read {
        ($type:ty) => {{
            let (items, _) = bytes.as_chunks::<{ size_of::<$type>() }>();
            items
                .iter()
                .map(|item| {
                    let index = <$type>::from_le_bytes(*item);
                    u32::try_from(index).ok().filter(|index| *index < columns).ok_or_else(|| {
                        Error::data_loss(format!("index {index} is outside an axis of length {columns}"))
                    })
                })
                .collect()
        }};
    }
    match data_type {
        DataType::Int8 => read!(i8),
        DataType::Int16 => read!(i16),
        DataType::Int32 => read!(i32),
        DataType::Int64 => read!(i64),
        DataType::UInt8 => read!(u8),
        DataType::UInt16 => read!(u16),
        DataType::UInt32 => read!(u32),
        DataType::UInt64 => read!(u64),
        other => Err(Error::unimplemented(format!("sparse indices of {}", other.name()))),
    }
}
