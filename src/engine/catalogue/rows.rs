//! Entries of a page as the columns of a batch.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Int64Array, ListArray, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use arrow::record_batch::RecordBatch;

use super::schema::{self, feature_fields};
use crate::error::{Error, Result};
use crate::model::artifact::{Artifact, ArtifactKind};
use crate::model::criteria::Moment;
use crate::model::lookup::LabelEntry;
use crate::model::page::{CollectionEntry, Entry, Member};
use crate::model::request::RegistryTable;

/// Rows of `artifacts`.
pub(super) fn artifacts(entries: Vec<Entry>) -> Result<RecordBatch> {
    let found: Vec<Artifact> = entries
        .into_iter()
        .filter_map(|entry| if let Entry::Artifact(one) = entry { Some(one) } else { None })
        .collect();
    let features: Vec<Vec<(&String, &String)>> = found.iter().map(features_of).collect();
    let lengths = found.iter().map(|one| one.labels.len());
    let labels = lists(DataType::Utf8, lengths, texts(found.iter().flat_map(|one| &one.labels)))?;
    let of_feature: ArrayRef = texts(features.iter().flatten().map(|(feature, _)| *feature));
    let of_label: ArrayRef = texts(features.iter().flatten().map(|(_, label)| *label));
    let pairs = StructArray::try_new(feature_fields(), vec![of_feature, of_label], None)
        .map_err(|error| Error::internal("features of artifacts").with_source(error))?;
    let pairs = lists(DataType::Struct(feature_fields()), features.iter().map(Vec::len), Arc::new(pairs))?;
    let flags: BooleanArray = found.iter().map(|one| Some(one.is_latest)).collect();
    batch(
        RegistryTable::Artifacts,
        vec![
            texts(found.iter().map(|one| &one.uid)),
            texts(found.iter().map(|one| &one.key)),
            counts(found.iter().map(|one| Some(u64::from(one.version))))?,
            Arc::new(flags),
            texts(found.iter().map(|one| &one.suffix)),
            Arc::new(found.iter().map(|one| Some(kind(one.kind))).collect::<StringArray>()),
            texts(found.iter().map(|one| &one.url)),
            counts(found.iter().map(|one| Some(one.size)))?,
            counts(found.iter().map(|one| one.n_files))?,
            counts(found.iter().map(|one| one.n_observations))?,
            texts(found.iter().map(|one| &one.etag)),
            Arc::new(found.iter().map(|one| one.description.as_deref()).collect::<StringArray>()),
            moments(found.iter().map(|one| &one.created_at)),
            texts(found.iter().map(|one| &one.created_by)),
            labels,
            pairs,
        ],
    )
}

/// Rows of `collections`.
pub(super) fn collections(entries: Vec<Entry>) -> Result<RecordBatch> {
    let of = |entry| if let Entry::Collection(one) = entry { Some(one) } else { None };
    let found: Vec<CollectionEntry> = entries.into_iter().filter_map(of).collect();
    batch(
        RegistryTable::Collections,
        vec![
            texts(found.iter().map(|one| &one.uid)),
            texts(found.iter().map(|one| &one.key)),
            counts(found.iter().map(|one| Some(one.n_artifacts)))?,
            Arc::new(found.iter().map(|one| one.description.as_deref()).collect::<StringArray>()),
            moments(found.iter().map(|one| &one.created_at)),
            texts(found.iter().map(|one| &one.created_by)),
        ],
    )
}

/// Rows of `labels`: of each label one by itself, then one for each feature.
pub(super) fn labels(found: &[LabelEntry]) -> Result<RecordBatch> {
    let rows: Vec<(&String, Option<&str>, u64)> = found
        .iter()
        .flat_map(|label| {
            let features = label.features.iter();
            let features = features.map(|feature| (&label.name, Some(feature.name.as_str()), feature.n_artifacts));
            std::iter::once((&label.name, None, label.n_artifacts)).chain(features)
        })
        .collect();
    batch(
        RegistryTable::Labels,
        vec![
            texts(rows.iter().map(|(name, _, _)| *name)),
            Arc::new(rows.iter().map(|(_, feature, _)| *feature).collect::<StringArray>()),
            counts(rows.iter().map(|(_, _, count)| Some(*count)))?,
        ],
    )
}

/// Rows of `members`.
pub(super) fn members(found: &[Member]) -> Result<RecordBatch> {
    batch(
        RegistryTable::Members,
        vec![
            texts(found.iter().map(|one| &one.collection_uid)),
            texts(found.iter().map(|one| &one.collection_key)),
            counts(found.iter().map(|one| Some(one.position)))?,
            texts(found.iter().map(|one| &one.artifact_uid)),
            texts(found.iter().map(|one| &one.artifact_key)),
            counts(found.iter().map(|one| Some(u64::from(one.version))))?,
        ],
    )
}

fn features_of(artifact: &Artifact) -> Vec<(&String, &String)> {
    let mut pairs = Vec::new();
    for (feature, labels) in &artifact.features {
        pairs.extend(labels.iter().map(|label| (feature, label)));
    }
    pairs
}

fn batch(table: RegistryTable, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    RecordBatch::try_new(schema::of(table), columns)
        .map_err(|error| Error::internal("rows of the registry").with_source(error))
}

fn texts<'a>(values: impl Iterator<Item = &'a String>) -> ArrayRef {
    // An iterator over lists of lists does not say how long it is, which the array asks for.
    let values: Vec<&String> = values.collect();
    Arc::new(StringArray::from_iter_values(values))
}

fn counts(values: impl Iterator<Item = Option<u64>>) -> Result<ArrayRef> {
    let signed = |count: u64| {
        i64::try_from(count).map_err(|_| Error::data_loss(format!("the registry holds the number {count}, above 2^63")))
    };
    let values: Vec<Option<i64>> = values.map(|count| count.map(signed).transpose()).collect::<Result<_>>()?;
    Ok(Arc::new(Int64Array::from(values)))
}

/// What is no time is null.
fn moments<'a>(values: impl Iterator<Item = &'a String>) -> ArrayRef {
    let values: Vec<Option<i64>> = values.map(|text| Moment::parse(text).ok().map(Moment::microseconds)).collect();
    Arc::new(TimestampMicrosecondArray::from(values).with_timezone("+00:00"))
}

fn lists(item: DataType, lengths: impl Iterator<Item = usize>, values: ArrayRef) -> Result<ArrayRef> {
    let field = Arc::new(Field::new_list_field(item, false));
    ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), values, None)
        .map(|list| Arc::new(list) as ArrayRef)
        .map_err(|error| Error::internal("labels of artifacts").with_source(error))
}

fn kind(kind: ArtifactKind) -> &'static str {
    match kind {
        ArtifactKind::Hdf5 => "hdf5",
        ArtifactKind::H5ad => "h5ad",
        ArtifactKind::Zarr => "zarr",
        ArtifactKind::Parquet => "parquet",
        ArtifactKind::Other => "other",
    }
}
