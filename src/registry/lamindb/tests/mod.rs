//! Instances in SQLite files: what others do to the file, and what is asked of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::Connection;

use super::{Instance, InstanceOptions};
use crate::error::{Error, Kind, Result};
use crate::model::criteria::{Criteria, FeatureLabel};
use crate::model::object_files::ObjectFiles;
use crate::model::page::{Entry, Position};
use crate::model::request::Source;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/lamindb");

/// No object store.
#[derive(Debug)]
struct NoFiles;

#[async_trait]
impl ObjectFiles for NoFiles {
    async fn etag(&self, url: &str) -> Result<String> {
        Err(Error::not_found(url))
    }

    async fn names(&self, url: &str) -> Result<Vec<String>> {
        Err(Error::not_found(url))
    }

    async fn download(&self, url: &str, _etag: &str, _to: &Path, _most_bytes: u64) -> Result<()> {
        Err(Error::not_found(url))
    }
}

/// An instance of a generation in a folder of its own.
fn written(generation: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lamin.db");
    let sql = std::fs::read_to_string(format!("{FIXTURES}/{generation}.sql")).unwrap();
    connected(&path).execute_batch(&sql).unwrap();
    (folder, path)
}

/// A connection that writes; the reduced tables refer to some that are not there.
fn connected(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    connection
}

fn options(folder: &tempfile::TempDir, path: &Path) -> InstanceOptions {
    // Tests look for changes themselves.
    InstanceOptions::new(path.to_str().unwrap(), Duration::from_secs(3600), folder.path().to_path_buf(), 64 << 20)
}

async fn opened(generation: &str) -> (tempfile::TempDir, Connection, Instance) {
    let (folder, path) = written(generation);
    let instance = Instance::open(options(&folder, &path), Arc::new(NoFiles)).await.unwrap();
    (folder, connected(&path), instance)
}

async fn keys(instance: &Instance, criteria: Criteria) -> Vec<String> {
    let part = instance.part(&criteria, None, 1000).await.unwrap();
    let key = |entry| match entry {
        Entry::Artifact(artifact) => artifact.key,
        Entry::Collection(collection) => collection.key,
    };
    part.entries.into_iter().map(key).collect()
}

fn uid(text: &str) -> Source {
    Source::Uid(text.to_owned())
}

#[tokio::test]
async fn both_generations_are_read() {
    for (generation, artifacts, entries) in [("v1.3", 6, 7), ("v2.12", 11, 14)] {
        let (_folder, _, instance) = opened(generation).await;
        let found = keys(&instance, Criteria::default()).await;
        assert_eq!(found.len(), entries, "{found:?}");
        assert!(found[..artifacts].is_sorted() && found[artifacts..].is_sorted());
        let artifact = instance.artifact(&Source::Key { key: "pbmc68k.h5ad".into(), version: None }).await.unwrap();
        assert_eq!(artifact.url, format!("file:///data/lamindb/{generation}/pbmc68k.h5ad"));
        assert_eq!(artifact.recorded.as_ref().unwrap().hash.as_deref(), Some("8wRXf-S7ryyoLmrNTImo6Q"));
        assert!(artifact.etag.is_empty() && artifact.labels.contains(&"setosa".to_owned()));
    }
}

#[tokio::test]
async fn keys_of_a_named_instance_begin_with_its_name() {
    let (folder, path) = written("v2.12");
    let remap = [("/data".to_owned(), "s3://bucket".to_owned())].into();
    let options = options(&folder, &path).with_name(Some("lab".into())).with_remap(remap).with_hashes(false);
    let instance = Instance::open(options, Arc::new(NoFiles)).await.unwrap();
    let artifact = instance.artifact(&uid("KcSN")).await.unwrap();
    assert_eq!(artifact.key, "lab/KcSNAJkHNA8AO0920000");
    assert_eq!(artifact.url, "s3://bucket/lamindb/v2.12/.lamindb/KcSNAJkHNA8AO0920000.h5ad");
    assert_eq!(artifact.recorded.unwrap().hash, None);
    assert_eq!(instance.storages().await.unwrap()[0].0, "s3://bucket/lamindb/v2.12");
    assert_eq!(instance.collection("lab/h5ads").await.unwrap().artifacts.len(), 2);
}

#[tokio::test]
async fn nothing_of_copies_and_mirrors_is_left() {
    let (folder, _, instance) = opened("v1.3").await;
    let names =
        || std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    assert_eq!(names(), ["lamin.db"]);
    // The mirror answers all the same, on each of its connections.
    let asked = (0..20).map(|_| keys(&instance, Criteria::default()));
    assert!(futures::future::join_all(asked).await.iter().all(|found| found.len() == 7));
}

#[tokio::test]
async fn a_half_done_transaction_is_taken_back_in_the_copy() {
    let (_folder, writer, instance) = opened("v2.12").await;
    // What does not fit into this cache is written into the file before the end.
    writer.execute_batch("PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN EXCLUSIVE").unwrap();
    writer.execute_batch("UPDATE lamindb_artifact SET key = 'half', description = hex(zeroblob(20000))").unwrap();
    instance.refresh().await.unwrap();
    assert!(keys(&instance, Criteria::default()).await.contains(&"testfile.hdf5".to_owned()));
    writer.execute_batch("COMMIT").unwrap();
    assert!(instance.refresh().await.unwrap());
    let found = instance.artifact(&Source::Key { key: "half".into(), version: None }).await.unwrap_err();
    assert_eq!(found.kind(), Kind::InvalidArgument, "{found}");
    assert!(found.message().contains("ambiguous"), "{found}");
    assert!(!instance.refresh().await.unwrap(), "nothing changed since");
}

#[tokio::test]
async fn a_write_ahead_log_is_read_with_its_database() {
    let (_folder, writer, instance) = opened("v2.12").await;
    writer.execute_batch("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0").unwrap();
    writer.execute_batch("UPDATE lamindb_artifact SET key = 'logged' WHERE id = 2").unwrap();
    assert!(instance.refresh().await.unwrap());
    assert!(keys(&instance, Criteria::default()).await.contains(&"logged".to_owned()));
}

#[tokio::test]
async fn trouble_leaves_the_old_answers() {
    let (folder, writer, instance) = opened("v2.12").await;
    drop(writer);
    let path = folder.path().join("lamin.db");
    let (before, content) = (keys(&instance, Criteria::default()).await, std::fs::read(&path).unwrap());
    let damages: [(&[u8], &[Kind]); 4] = [
        (&content[..content.len() / 2], &[Kind::DataLoss, Kind::FailedPrecondition]),
        (b"no database, but long enough to look", &[Kind::FailedPrecondition]),
        (b"", &[Kind::FailedPrecondition]),
        (&[0x1f, 0x8b, 1, 2, 3], &[Kind::DataLoss]),
    ];
    for (bytes, kinds) in damages {
        std::fs::write(&path, bytes).unwrap();
        let error = instance.refresh().await.unwrap_err();
        assert!(kinds.contains(&error.kind()), "{error:?}");
        assert_eq!(keys(&instance, Criteria::default()).await, before);
    }
    std::fs::remove_file(&path).unwrap();
    assert_eq!(instance.refresh().await.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(keys(&instance, Criteria::default()).await, before);
}

#[tokio::test]
async fn requests_end_on_the_mirror_that_they_began_with() {
    let (_folder, writer, instance) = opened("v2.12").await;
    let (other, stop) = (instance.clone(), Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let stopped = Arc::clone(&stop);
    let asking = tokio::spawn(async move {
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            assert_eq!(keys(&other, Criteria::default()).await.len(), 14);
        }
    });
    for round in 0..10 {
        writer.execute("UPDATE lamindb_artifact SET description = ?1", [round.to_string()]).unwrap();
        assert!(instance.refresh().await.unwrap());
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    asking.await.unwrap();
}

#[tokio::test]
async fn every_page_size_gives_the_same_entries() {
    let (_folder, writer, instance) = opened("v2.12").await;
    writer.execute_batch("UPDATE lamindb_artifact SET key = 'same' WHERE id IN (1, 2, 5)").unwrap();
    instance.refresh().await.unwrap();
    let all = [
        Criteria { all_versions: true, ..Criteria::default() },
        Criteria { search: Some("virt".into()), ..Criteria::default() },
    ];
    for criteria in all {
        let whole = keys(&instance, criteria.clone()).await;
        assert!(whole.len() > 2);
        for limit in 1..=whole.len() as u64 + 1 {
            let (mut found, mut after): (Vec<String>, Option<Position>) = (Vec::new(), None);
            loop {
                let part = instance.part(&criteria, after, limit).await.unwrap();
                assert!(part.entries.len() as u64 <= limit);
                found.extend(part.entries.into_iter().map(|entry| match entry {
                    Entry::Artifact(artifact) => artifact.key,
                    Entry::Collection(collection) => collection.key,
                }));
                after = part.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(found, whole, "pages of {limit}");
        }
    }
}

#[tokio::test]
async fn the_latest_of_a_stem_is_meant_and_several_stems_are_not_guessed() {
    let (_folder, writer, instance) = opened("v2.12").await;
    assert_eq!(instance.artifact(&uid("mONPQbCnv2hKBMEE")).await.unwrap().uid, "mONPQbCnv2hKBMEE0001");
    assert_eq!(instance.artifact(&uid("h")).await.unwrap_err().kind(), Kind::InvalidArgument);
    assert_eq!(instance.artifact(&uid("nothing")).await.unwrap_err().kind(), Kind::NotFound);
    // Whoever trashes the latest leaves none that is called so.
    writer.execute_batch("UPDATE lamindb_artifact SET branch_id = -1 WHERE uid = 'mONPQbCnv2hKBMEE0001'").unwrap();
    instance.refresh().await.unwrap();
    assert_eq!(instance.artifact(&uid("mONPQbCnv2hKBMEE")).await.unwrap().uid, "mONPQbCnv2hKBMEE0000");
    let key = Source::Key { key: "virt/df.parquet".into(), version: None };
    assert_eq!(instance.artifact(&key).await.unwrap().uid, "mONPQbCnv2hKBMEE0000");
}

#[tokio::test]
async fn a_database_over_the_limit_is_refused() {
    let (folder, path) = written("v2.12");
    let (text, scratch) = (path.to_str().unwrap(), folder.path().to_path_buf());
    let options = InstanceOptions::new(text, Duration::from_secs(3600), scratch, 100_000);
    let error = Instance::open(options, Arc::new(NoFiles)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::ResourceExhausted, "{error}");
}

/// 12,000 artifacts `many/<number>` with the label `setosa`, of which each thousandth has `experiment 1` too.
fn fill(writer: &Connection) {
    let sql = "WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 12099) \
        INSERT INTO lamindb_artifact (id, uid, key, suffix, is_latest, _key_is_virtual, _overwrite_versions, \
            storage_id, created_by_id) \
        SELECT i, printf('%016d0000', i), printf('many/%06d', i), '', 1, 0, 0, 1, 1 FROM n; \
        INSERT INTO lamindb_artifactulabel (artifact_id, ulabel_id, created_by_id) \
        SELECT id, 1, 1 FROM lamindb_artifact WHERE id >= 100; \
        INSERT INTO lamindb_artifactrecord (artifact_id, record_id, created_by_id) \
        SELECT id, 1, 1 FROM lamindb_artifact WHERE id >= 100 AND id % 1000 = 0;";
    writer.execute_batch(sql).unwrap();
}

/// Keys of all pages, in order.
async fn paged(instance: &Instance, criteria: &Criteria) -> Vec<String> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let part = instance.part(criteria, after, 700).await.unwrap();
        found.extend(part.entries.into_iter().map(|entry| match entry {
            Entry::Artifact(artifact) => artifact.key,
            Entry::Collection(collection) => collection.key,
        }));
        after = part.next;
        if after.is_none() {
            return found;
        }
    }
}

#[tokio::test]
async fn common_and_rare_labels_and_words_find_the_same_on_every_page() {
    let (_folder, writer, instance) = opened("v2.12").await;
    fill(&writer);
    instance.refresh().await.unwrap();
    let number = |number: usize| format!("many/{number:06}");
    let labelled = |names: &[&str]| {
        let labels = names.iter().map(|name| (*name).into()).map(|name| FeatureLabel { name, feature: None });
        Criteria { labels: labels.collect(), ..Criteria::default() }
    };
    let mut common: Vec<String> = (100..12_100).map(number).collect();
    common.push("pbmc68k.h5ad".into());
    assert_eq!(paged(&instance, &labelled(&["setosa"])).await, common);
    let mut rare: Vec<String> = (1..=12).map(|thousands| number(1000 * thousands)).collect();
    rare.push("pbmc68k.h5ad".into());
    assert_eq!(paged(&instance, &labelled(&["experiment 1"])).await, rare);
    assert_eq!(paged(&instance, &labelled(&["experiment 1", "setosa"])).await, rare);
    // Words that so many have are not ranked: the newest come first.
    let searched = |words: &str| Criteria { search: Some(words.into()), ..Criteria::default() };
    let newest: Vec<String> = (100..12_100).rev().map(number).collect();
    assert_eq!(paged(&instance, &searched("many")).await, newest);
    assert_eq!(paged(&instance, &searched("many 011999")).await, [number(11_999)]);
}

#[tokio::test]
async fn members_are_listed_by_collection_and_place() {
    let (_folder, _, instance) = opened("v2.12").await;
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let part = instance.members_part(after, 2).await.unwrap();
        found.extend(part.entries.into_iter().map(|one| (one.collection_key, one.position, one.artifact_uid)));
        after = part.next;
        if after.is_none() {
            break;
        }
    }
    let expected = [
        ("csc", 0, "KcSNAJkHNA8AO0920000"),
        ("h5ads", 0, "Cm2CcxhVWuXM6Mz10000"),
        ("h5ads", 1, "O63rH8ut65J9p7Y20000"),
        ("sharded_parquet_collection", 0, "7BdQrKxIMnYPXpCg0000"),
        ("sharded_parquet_collection", 1, "IMLX0ycgRFAa72Gm0000"),
    ];
    assert_eq!(found, expected.map(|(key, position, uid)| (key.to_owned(), position, uid.to_owned())));
}
