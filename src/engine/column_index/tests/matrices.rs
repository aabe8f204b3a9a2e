//! Matrices in local folders, and slices of them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use futures::TryStreamExt;
use serde_json::json;

use crate::engine::column_index::{ColumnIndexOptions, ColumnIndexes, Matrix};
use crate::engine::hierarchy::{ColumnSlice, resolve_request, sparse_at};
use crate::error::Result;
use crate::format::Hierarchy;
use crate::format::zarr::ZarrStore;
use crate::format::zarr::write::{ArrayWriter, write_group};
use crate::model::data_type::DataType;
use crate::model::index_store::NoIndexStore;
use crate::model::request::SliceRequest;
use crate::model::tree::Attributes;
use crate::read::context::ReadContext;
use crate::read::windowed;
use crate::storage::{StorageOptions, Storages, absolute_url};

/// Slices of the stored axis, each with the positions and values of its entries in stored order.
pub(super) type Slices = Vec<Vec<(u32, f32)>>;

/// Enough for everything.
pub(super) fn context() -> ReadContext {
    ReadContext::new(64 << 20, 32 << 20, 2, 4, Duration::from_secs(60))
}

/// Writes `slices`, each of `across` positions, as a matrix stored by the axis `major`.
pub(super) fn write(folder: &Path, slices: &Slices, across: u64, major: usize) {
    let mut indices = ArrayWriter::new(folder, "indices", &DataType::Int32).unwrap();
    let mut data = ArrayWriter::new(folder, "data", &DataType::Float32).unwrap();
    let mut indptr = ArrayWriter::new(folder, "indptr", &DataType::Int32).unwrap();
    let mut end = 0_i32;
    indptr.append(&end.to_le_bytes()).unwrap();
    for slice in slices {
        for (position, value) in slice {
            indices.append(&position.to_le_bytes()).unwrap();
            data.append(&value.to_le_bytes()).unwrap();
        }
        end += slice.len() as i32;
        indptr.append(&end.to_le_bytes()).unwrap();
    }
    for array in [indices, data, indptr] {
        array.finish().unwrap();
    }
    let count = slices.len() as u64;
    let mut attributes = Attributes::new();
    attributes.insert("encoding-type".into(), json!(if major == 0 { "csr_matrix" } else { "csc_matrix" }));
    attributes.insert("encoding-version".into(), json!("0.1.0"));
    attributes.insert("shape".into(), json!(if major == 0 { [count, across] } else { [across, count] }));
    write_group(folder, attributes).unwrap();
}

/// The matrix in `folder`, pinned to the files that are there.
pub(super) async fn open(folder: &Path) -> Hierarchy {
    let storages = Storages::new(StorageOptions::default());
    let url = storages.add(&absolute_url(folder.to_str().unwrap()).unwrap(), Default::default()).unwrap().url;
    let files = storages.list_files(&url).await.unwrap();
    let identity = format!("{url}\n{files:?}");
    let folder = storages.pinned_folder(&url, &files).await.unwrap();
    Hierarchy::Zarr(Arc::new(ZarrStore::open(folder, &identity, Arc::new(NoIndexStore)).await.unwrap()))
}

pub(super) fn matrix(hierarchy: &Hierarchy) -> Matrix {
    Matrix::of(hierarchy, &sparse_at(hierarchy, "").unwrap()).unwrap()
}

/// Indexes in `folder`, of at most `max_bytes`.
pub(super) async fn indexes(folder: &Path, max_bytes: u64, after: u64) -> Arc<ColumnIndexes> {
    let folder = folder.to_owned();
    ColumnIndexes::open(&ColumnIndexOptions { folder, max_bytes, after }).await.unwrap()
}

/// The batches of a slice as one, and what an index has to do with it.
pub(super) async fn read(
    context: &ReadContext,
    hierarchy: &Hierarchy,
    request: &SliceRequest,
    indexes: Option<&Arc<ColumnIndexes>>,
) -> Result<(RecordBatch, Option<ColumnSlice>)> {
    let resolved = resolve_request(context, hierarchy, request, indexes).await?;
    let (schema, rows) = (resolved.answer.schema(), 0..resolved.answer.rows());
    let batches: Vec<_> = windowed::stream(context, resolved.answer, rows).try_collect().await?;
    Ok((arrow::compute::concat_batches(&schema, &batches).unwrap(), resolved.columns))
}
