//! The registry's tables over a registry of our own.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use futures::TryStreamExt;
use tempfile::TempDir;

use super::*;
use crate::error::Kind;
use crate::model::criteria::FeatureLabel;
use crate::model::request::Source;
use crate::registry::native::{NewArtifact, NewCollection};

async fn filled(count: u64) -> (TempDir, Arc<Registry>) {
    let folder = TempDir::new().unwrap();
    let registry = Registry::open(folder.path().join("r.db")).await.unwrap();
    let label =
        |name: &str, feature: Option<&str>| FeatureLabel { name: name.into(), feature: feature.map(Into::into) };
    for number in 0..count {
        let new = NewArtifact {
            key: format!("k{number}"),
            url: format!("s3://b/k{number}"),
            suffix: if number % 2 == 0 { ".h5ad" } else { ".zarr" }.into(),
            size: number,
            etag: "e".into(),
            labels: vec![label("all", None), label("x", Some("f"))],
            ..NewArtifact::default()
        };
        registry.native().register(new).await.unwrap();
    }
    let key = |key: &str| Source::Key { key: key.into(), version: None };
    let members = vec![key("k2"), key("k1")];
    let set = NewCollection { key: "set".into(), members, ..NewCollection::default() };
    registry.native().create_collection(set).await.unwrap();
    (folder, Arc::new(registry))
}

async fn rows(catalogue: &Catalogue) -> RecordBatch {
    let batches: Vec<RecordBatch> = catalogue.stream().try_collect().await.unwrap();
    arrow::compute::concat_batches(&catalogue.schema, &batches).unwrap()
}

#[tokio::test]
async fn rows_meet_the_condition_and_have_the_columns() {
    let (_folder, registry) = filled(7).await;
    let columns = ["size".to_owned(), "labels".to_owned()];
    let sizes = async |condition: Option<&str>, offset: u64, limit: u64| {
        let registry = Arc::clone(&registry);
        let mut catalogue = Catalogue::new(registry, RegistryTable::Artifacts, Some(&columns), condition).unwrap();
        (catalogue.offset, catalogue.limit) = (offset, limit);
        let rows = rows(&catalogue).await;
        assert_eq!(rows.num_columns(), 2);
        rows.column(0).as_primitive::<Int64Type>().values().to_vec()
    };
    assert_eq!(sizes(None, 0, u64::MAX).await, [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(sizes(Some("suffix = '.h5ad' AND size > 1"), 0, u64::MAX).await, [2, 4, 6]);
    assert_eq!(sizes(Some("suffix = '.h5ad'"), 1, 2).await, [2, 4]);
    assert_eq!(sizes(Some("created_at > '2020-01-01T00:00:00Z' AND n_files IS NULL"), 5, 9).await, [5, 6]);
    assert_eq!(sizes(Some("key = 'none'"), 0, 9).await, Vec::<i64>::new());
    assert_eq!(sizes(None, 0, 0).await, Vec::<i64>::new());
}

#[tokio::test]
async fn every_table_has_its_rows() {
    let (_folder, registry) = filled(3).await;
    let whole = async |table| rows(&Catalogue::new(Arc::clone(&registry), table, None, None).unwrap()).await;
    let artifacts = whole(RegistryTable::Artifacts).await;
    assert_eq!(artifacts.num_rows(), 3);
    let labels = artifacts.column_by_name("labels").unwrap().as_list::<i32>().value(0);
    assert_eq!(labels.as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["all", "x"]);
    let features = artifacts.column_by_name("features").unwrap().as_list::<i32>().value(2);
    assert_eq!(features.as_struct().column(0).as_string::<i32>().value(0), "f");
    assert_eq!(artifacts.column_by_name("created_at").unwrap().null_count(), 0);
    assert_eq!(whole(RegistryTable::Collections).await.num_rows(), 1);
    let members = whole(RegistryTable::Members).await;
    let keys = members.column_by_name("artifact_key").unwrap().as_string::<i32>();
    assert_eq!(keys.iter().flatten().collect::<Vec<_>>(), ["k2", "k1"]);
    let labels = whole(RegistryTable::Labels).await;
    let shown: Vec<_> = labels.column(0).as_string::<i32>().iter().zip(labels.column(1).as_string::<i32>()).collect();
    assert_eq!(shown, [(Some("all"), None), (Some("x"), None), (Some("x"), Some("f"))]);
}

#[tokio::test]
async fn pages_follow_one_another() {
    let (_folder, registry) = filled(3).await;
    let statement = "WITH RECURSIVE n (n) AS (SELECT 10 UNION ALL SELECT n + 1 FROM n WHERE n < 2509) \
        INSERT INTO labels (name) SELECT printf('l%05d', n) FROM n";
    let path = registry.native().path().to_owned();
    tokio::task::spawn_blocking(move || crate::registry::native::execute(&path, statement)).await.unwrap();
    let labels = "INSERT INTO labelled SELECT 1, id, '', 1, 1, 'k0', (SELECT uid FROM artifacts WHERE id = 1) \
        FROM labels WHERE name LIKE 'l%'";
    let path = registry.native().path().to_owned();
    tokio::task::spawn_blocking(move || crate::registry::native::execute(&path, labels)).await.unwrap();
    let catalogue = Catalogue::new(registry, RegistryTable::Labels, None, None).unwrap();
    let batches: Vec<RecordBatch> = catalogue.stream().try_collect().await.unwrap();
    assert!(batches.len() >= 3 && batches.iter().all(|batch| batch.num_rows() <= 2_000));
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 2_500 + 3);
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let (_folder, registry) = filled(3).await;
    let new = |columns: Option<&[String]>, condition: Option<&str>| {
        Catalogue::new(Arc::clone(&registry), RegistryTable::Labels, columns, condition).unwrap_err()
    };
    let unknown = new(Some(&["nam".to_owned()]), None);
    assert!(unknown.kind() == Kind::NotFound && unknown.message().contains("n_artifacts"), "{unknown}");
    let twice = new(Some(&["name".to_owned(), "name".to_owned()]), None);
    assert_eq!(twice.kind(), Kind::InvalidArgument);
    assert_eq!(new(None, Some("size > 1")).kind(), Kind::NotFound);
    assert_eq!(new(None, Some("name +")).kind(), Kind::InvalidArgument);
    let all = SliceRequest { node: "X".into(), ..SliceRequest::default() };
    assert!(refuse_other(&all).unwrap_err().message().contains("node"));
}
