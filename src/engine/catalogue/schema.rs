//! Columns of the registry's tables. The table in `docs/wire.md` says what they mean.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

use crate::model::request::RegistryTable;

/// The schema of a table.
pub(super) fn of(table: RegistryTable) -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, false);
    let maybe_text = |name: &str| Field::new(name, DataType::Utf8, true);
    let count = |name: &str| Field::new(name, DataType::Int64, false);
    let maybe_count = |name: &str| Field::new(name, DataType::Int64, true);
    let flag = |name: &str| Field::new(name, DataType::Boolean, false);
    let fields = match table {
        RegistryTable::Artifacts => vec![
            text("uid"),
            text("key"),
            count("version"),
            flag("is_latest"),
            text("suffix"),
            text("kind"),
            text("url"),
            count("size"),
            maybe_count("n_files"),
            maybe_count("n_observations"),
            text("etag"),
            maybe_text("description"),
            moment("created_at"),
            text("created_by"),
            Field::new("labels", DataType::new_list(DataType::Utf8, false), false),
            Field::new("features", DataType::new_list(DataType::Struct(feature_fields()), false), false),
        ],
        RegistryTable::Collections => vec![
            text("uid"),
            text("key"),
            count("n_artifacts"),
            maybe_text("description"),
            moment("created_at"),
            text("created_by"),
        ],
        RegistryTable::Labels => vec![text("name"), maybe_text("feature"), count("n_artifacts")],
        RegistryTable::Members => vec![
            text("collection_uid"),
            text("collection_key"),
            count("position"),
            text("artifact_uid"),
            text("artifact_key"),
            count("version"),
        ],
    };
    Arc::new(Schema::new(fields))
}

/// The parts of a label that is the value of a feature.
pub(super) fn feature_fields() -> Fields {
    Fields::from(vec![Field::new("feature", DataType::Utf8, false), Field::new("label", DataType::Utf8, false)])
}

fn moment(name: &str) -> Field {
    Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())), true)
}
