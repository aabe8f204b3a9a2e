//! The registry over files in temporary folders.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::error::Kind;
use crate::model::artifact::{Artifact, ArtifactKind, PinnedFile};
use crate::model::criteria::{Criteria, EntryType, FeatureLabel};
use crate::model::index_store::IndexStore;
use crate::model::page::Entry;
use crate::model::request::Source;

mod change;
mod plans;
mod queries;
mod remembered;

async fn empty() -> (TempDir, NativeRegistry) {
    let folder = TempDir::new().unwrap();
    let registry = NativeRegistry::open(folder.path().join("registry.db")).await.unwrap();
    (folder, registry)
}

fn new(key: &str, etag: &str) -> NewArtifact {
    NewArtifact {
        key: key.into(),
        url: format!("s3://bucket/{key}"),
        suffix: ".h5ad".into(),
        kind: ArtifactKind::H5ad,
        size: 10,
        etag: etag.into(),
        ..NewArtifact::default()
    }
}

pub(super) fn labels(names: &[&str]) -> Vec<FeatureLabel> {
    names.iter().map(|name| FeatureLabel { name: (*name).to_owned(), feature: None }).collect()
}

/// All artifacts that meet the criteria, up to their limit.
pub(super) async fn listed(registry: &NativeRegistry, criteria: Criteria) -> Vec<Artifact> {
    let part = registry.part(&criteria, None, criteria.limit.unwrap_or(100_000)).await.unwrap();
    let artifact = |entry| if let Entry::Artifact(artifact) = entry { Some(artifact) } else { None };
    part.entries.into_iter().filter_map(artifact).collect()
}

async fn searched(registry: &NativeRegistry, words: &str, limit: Option<u64>) -> Vec<Artifact> {
    listed(registry, Criteria { search: Some(words.into()), limit, ..Criteria::default() }).await
}

fn key(key: &str) -> Source {
    Source::Key { key: key.into(), version: None }
}

fn version(key: &str, version: &str) -> Source {
    Source::Key { key: key.into(), version: Some(version.into()) }
}

#[tokio::test]
async fn a_registered_artifact_is_found_as_it_was_given() {
    let (_folder, registry) = empty().await;
    let given = NewArtifact {
        kind: ArtifactKind::Parquet,
        n_files: Some(2),
        n_observations: Some(70),
        description: Some("shards".into()),
        files: vec![
            PinnedFile { path: "b.parquet".into(), size: 4, etag: "\"2\"".into() },
            PinnedFile { path: "a/x.parquet".into(), size: 6, etag: "\"1\"".into() },
        ],
        labels: labels(&["immune", "blood"]),
        ..new("shards", "digest")
    };
    let Registered { artifact, created } = registry.register(given.clone()).await.unwrap();
    assert!(created && artifact.is_latest && artifact.version == 0);
    assert_eq!((artifact.uid.len(), &artifact.uid[16..]), (20, "0000"));
    assert_eq!(artifact.labels, ["blood", "immune"]);
    assert_eq!(artifact.files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["a/x.parquet", "b.parquet"]);
    assert_eq!((artifact.kind, artifact.n_files, artifact.n_observations), (ArtifactKind::Parquet, Some(2), Some(70)));
    assert!(artifact.created_at.ends_with('Z') && artifact.created_at.len() == 24, "{}", artifact.created_at);
    for source in [
        key("shards"),
        version("shards", "0"),
        version("shards", "0000"),
        Source::Uid(artifact.uid.clone()),
        Source::Uid(artifact.uid[..5].into()),
        Source::Url(given.url.clone()),
    ] {
        assert_eq!(registry.artifact(&source).await.unwrap(), artifact, "{source:?}");
    }
}

#[tokio::test]
async fn the_same_content_changes_nothing_and_other_content_is_a_version() {
    let (_folder, registry) = empty().await;
    let first = registry.register(new("k", "e1")).await.unwrap().artifact;
    let again = NewArtifact { labels: labels(&["l"]), description: Some("d".into()), ..new("k", "e1") };
    let again = registry.register(again).await.unwrap();
    assert!(!again.created);
    assert_eq!(again.artifact.uid, first.uid);
    assert_eq!(
        (again.artifact.labels.as_slice(), again.artifact.description.as_deref()),
        (&["l".to_owned()][..], Some("d"))
    );
    for (number, other) in [
        (1, new("k", "e2")),
        (2, NewArtifact { size: 11, ..new("k", "e2") }),
        (3, NewArtifact { url: "s3://other/k".into(), size: 11, ..new("k", "e2") }),
        (4, new("k", "e1")),
    ] {
        let Registered { artifact, created } = registry.register(other).await.unwrap();
        assert!(created && artifact.is_latest);
        assert_eq!(
            (artifact.version, &artifact.uid[..16], &artifact.uid[16..]),
            (number, &first.uid[..16], &*format!("000{number}"))
        );
        assert_eq!(registry.artifact(&key("k")).await.unwrap().uid, artifact.uid);
    }
    assert!(!registry.artifact(&version("k", "0000")).await.unwrap().is_latest);
    assert_eq!(registry.artifact(&version("k", "1")).await.unwrap().etag, "e2");
    assert_eq!(registry.artifact(&Source::Uid(first.uid[..16].into())).await.unwrap().version, 4);
}

#[tokio::test]
async fn unknown_and_ambiguous_names_say_what_is_near() {
    let (_folder, registry) = empty().await;
    let mut uids = Vec::new();
    // 63 stems over 62 first characters: two share one.
    for number in 0..63 {
        uids.push(registry.register(new(&format!("lndb/data{number}.h5ad"), "e")).await.unwrap().artifact.uid);
    }
    let error = registry.artifact(&key("lndb/dota7.h5ad")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(error.message().contains("lndb/data7.h5ad"), "{error}");
    assert!(error.message().matches("lndb/data").count() <= 5, "{error}");

    let mut firsts: HashMap<String, Vec<&String>> = HashMap::new();
    uids.iter().for_each(|uid| firsts.entry(uid[..1].into()).or_default().push(uid));
    let (prefix, shared) = firsts.iter().find(|(_, uids)| uids.len() > 1).unwrap();
    let error = registry.artifact(&Source::Uid(prefix.clone())).await.unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidArgument);
    assert!(shared.iter().any(|uid| error.message().contains(uid.as_str())), "{error}");

    for (source, kind) in [
        (key("nothing like it"), Kind::NotFound),
        (version("lndb/data1.h5ad", "7"), Kind::NotFound),
        (version("lndb/data1.h5ad", "x"), Kind::InvalidArgument),
        (Source::Uid("not a uid!".into()), Kind::InvalidArgument),
        (Source::Uid(String::new()), Kind::InvalidArgument),
        (Source::Url("s3://bucket/unknown".into()), Kind::NotFound),
        (Source::Collection("c".into()), Kind::InvalidArgument),
    ] {
        assert_eq!(registry.artifact(&source).await.unwrap_err().kind(), kind, "{source:?}");
    }
    let secret = registry.artifact(&Source::Url("s3://user:secret@bucket/k".into())).await.unwrap_err();
    assert!(!format!("{secret:?}").contains("secret"));
}

#[tokio::test]
async fn malformed_registrations_are_refused() {
    let (_folder, registry) = empty().await;
    for bad in [
        new("", "e"),
        new("a\nb", "e"),
        new(&"k".repeat(1025), "e"),
        NewArtifact { url: "no url".into(), ..new("k", "e") },
        NewArtifact { url: "s3://id:secret@bucket/k".into(), ..new("k", "e") },
        NewArtifact { url: "s3://bucket/k?X-Amz-Signature=secret".into(), ..new("k", "e") },
        NewArtifact { labels: labels(&[" "]), ..new("k", "e") },
        NewArtifact { size: u64::MAX, ..new("k", "e") },
    ] {
        let error = registry.register(bad.clone()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidArgument, "{bad:?}");
        assert!(!error.message().contains("secret"), "{error}");
    }
    assert!(listed(&registry, Criteria::default()).await.is_empty());
}

#[tokio::test]
async fn lists_by_prefix_label_suffix_and_limit() {
    let (_folder, registry) = empty().await;
    for (name, suffix, label) in
        [("a/1", ".h5ad", "x"), ("a/2", ".zarr", "y"), ("b/1", ".h5ad", "y"), ("a_3", ".h5ad", "x")]
    {
        registry
            .register(NewArtifact { suffix: suffix.into(), labels: labels(&[label]), ..new(name, "e") })
            .await
            .unwrap();
    }
    registry.register(new("a/1", "e2")).await.unwrap();
    let text = |text: &str| Some(text.to_owned());
    for (criteria, expected) in [
        (Criteria::default(), vec!["a/1", "a/2", "a_3", "b/1"]),
        (Criteria { key_prefix: text("a/"), ..Criteria::default() }, vec!["a/1", "a/2"]),
        (Criteria { key_prefix: text("%"), ..Criteria::default() }, vec![]),
        (Criteria { suffix: text(".h5ad"), ..Criteria::default() }, vec!["a/1", "a_3", "b/1"]),
        (Criteria { label: text("x"), ..Criteria::default() }, vec!["a_3"]),
        (Criteria { label: text("x"), all_versions: true, ..Criteria::default() }, vec!["a/1", "a_3"]),
        (Criteria { label: text("y"), suffix: text(".zarr"), ..Criteria::default() }, vec!["a/2"]),
        (Criteria { limit: Some(2), ..Criteria::default() }, vec!["a/1", "a/2"]),
        (Criteria { limit: Some(0), ..Criteria::default() }, vec![]),
    ] {
        let found = listed(&registry, criteria.clone()).await;
        assert_eq!(found.iter().map(|artifact| artifact.key.as_str()).collect::<Vec<_>>(), expected, "{criteria:?}");
    }
}

#[tokio::test]
async fn searches_words_of_key_description_and_labels() {
    let (_folder, registry) = empty().await;
    let described = NewArtifact { description: Some("peripheral blood cells".into()), ..new("lndb/pbmc68k.h5ad", "e") };
    registry.register(described).await.unwrap();
    registry.register(NewArtifact { labels: labels(&["blood"]), ..new("other.h5ad", "e") }).await.unwrap();
    registry.label(&key("other.h5ad"), &labels(&["spatial"])).await.unwrap();
    for (words, expected) in [
        ("pbmc68k", vec!["lndb/pbmc68k.h5ad"]),
        ("pbmc", vec!["lndb/pbmc68k.h5ad"]),
        ("PBMC68K.h5ad", vec!["lndb/pbmc68k.h5ad"]),
        ("spatial", vec!["other.h5ad"]),
        ("peripheral blood", vec!["lndb/pbmc68k.h5ad"]),
        ("absent blood", vec![]),
        ("", vec![]),
        ("\" OR *", vec![]),
        ("NEAR( AND ) key:", vec![]),
        ("\"", vec![]),
        ("a\"b' -- ; ^ {x} : *", vec![]),
        ("\0", vec![]),
    ] {
        let found = searched(&registry, words, None).await;
        assert_eq!(found.iter().map(|artifact| artifact.key.as_str()).collect::<Vec<_>>(), expected, "{words:?}");
    }
    assert_eq!(searched(&registry, "blood", None).await.len(), 2);
    assert_eq!(searched(&registry, "blood", Some(1)).await.len(), 1);
    registry.remove(&key("other.h5ad"), true).await.unwrap();
    assert_eq!(searched(&registry, "spatial", None).await, []);
}

#[tokio::test]
async fn collections_keep_order_and_hold_their_members() {
    let (_folder, registry) = empty().await;
    for name in ["one", "two", "three"] {
        registry.register(new(name, "e")).await.unwrap();
    }
    let given = |members: &[&str]| NewCollection {
        key: "set".into(),
        members: members.iter().map(|name| key(name)).collect(),
        description: None,
        created_by: "me".into(),
    };
    let made = registry.create_collection(given(&["two", "one"])).await.unwrap();
    let keys: Vec<_> = made.artifacts.iter().map(|artifact| artifact.key.as_str()).collect();
    assert_eq!(keys, ["two", "one"]);
    assert_eq!(registry.create_collection(given(&["two", "one"])).await.unwrap(), made);
    assert_eq!(registry.collection("set").await.unwrap(), made);
    assert_eq!(registry.collection(&made.uid[..8]).await.unwrap(), made);
    let collections = Criteria { entry_type: Some(EntryType::Collection), ..Criteria::default() };
    let Entry::Collection(shown) = registry.part(&collections, None, 10).await.unwrap().entries.remove(0) else {
        panic!("not a collection")
    };
    assert_eq!(shown, made.clone().into());

    let other_order = registry.create_collection(given(&["one", "two"])).await.unwrap_err();
    assert_eq!(other_order.kind(), Kind::FailedPrecondition);
    for bad in [given(&[]), given(&["one", "one"])] {
        assert_eq!(registry.create_collection(bad).await.unwrap_err().kind(), Kind::InvalidArgument);
    }
    assert_eq!(registry.create_collection(given(&["four"])).await.unwrap_err().kind(), Kind::NotFound);
    let unknown = registry.collection("sett").await.unwrap_err();
    assert!(unknown.kind() == Kind::NotFound && unknown.message().ends_with("near matches: set"), "{unknown}");
    assert_eq!(registry.register(new("set", "e")).await.unwrap_err().kind(), Kind::FailedPrecondition);

    // A newer version of a member does not change the collection, and the member stays.
    registry.register(new("one", "e2")).await.unwrap();
    assert_eq!(registry.collection("set").await.unwrap().artifacts[1].version, 0);
    let refused = registry.remove(&key("one"), true).await.unwrap_err();
    assert!(refused.kind() == Kind::FailedPrecondition && refused.message().contains("\"set\""), "{refused}");
    assert_eq!(registry.artifact(&key("one")).await.unwrap().version, 1);
    registry.remove_collection("set").await.unwrap();
    assert_eq!(registry.remove(&key("one"), true).await.unwrap(), 2);
}

#[tokio::test]
async fn removing_the_latest_makes_the_one_before_the_latest() {
    let (_folder, registry) = empty().await;
    let labelled = NewArtifact { labels: labels(&["l"]), ..new("k", "e0") };
    let stem = registry.register(labelled).await.unwrap().artifact.uid[..16].to_owned();
    registry.register(new("k", "e1")).await.unwrap();
    registry.register(new("k", "e2")).await.unwrap();
    assert_eq!(registry.remove(&version("k", "1"), false).await.unwrap(), 1);
    assert_eq!(registry.artifact(&key("k")).await.unwrap().version, 2);
    assert_eq!(registry.remove(&key("k"), false).await.unwrap(), 1);
    assert_eq!(registry.artifact(&key("k")).await.unwrap().version, 0);
    // A uid that once named other content is not given again.
    assert_eq!(registry.register(new("k", "e3")).await.unwrap().artifact.version, 3);
    assert_eq!(registry.remove(&key("k"), true).await.unwrap(), 2);
    assert_eq!(registry.remove(&key("k"), true).await.unwrap_err().kind(), Kind::NotFound);
    let again = registry.register(new("k", "e0")).await.unwrap().artifact;
    assert!(again.version == 0 && again.uid[..16] != stem && again.labels.is_empty());
}

#[tokio::test]
async fn observations_are_noted() {
    let (_folder, registry) = empty().await;
    let uid = registry.register(new("k", "e")).await.unwrap().artifact.uid;
    registry.set_n_observations(&uid, 70).await.unwrap();
    assert_eq!(registry.artifact(&key("k")).await.unwrap().n_observations, Some(70));
    assert_eq!(registry.set_n_observations("none", 1).await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn storages_are_kept_without_secrets() {
    let (_folder, registry) = empty().await;
    registry.add_storage("s3://bucket", "s3", Some("public")).await.unwrap();
    registry.add_storage("file:///data", "local", None).await.unwrap();
    registry.add_storage("s3://bucket", "s3", Some("private")).await.unwrap();
    let found: Vec<_> =
        registry.list_storages().await.unwrap().into_iter().map(|root| (root.url, root.options_name)).collect();
    assert_eq!(found, [("file:///data".into(), None), ("s3://bucket".into(), Some("private".into()))]);
    let error = registry.add_storage("s3://id:secret@bucket", "s3", None).await.unwrap_err();
    assert!(error.kind() == Kind::InvalidArgument && !error.message().contains("secret"));
    registry.remove_storage("file:///data").await.unwrap();
    assert_eq!(registry.remove_storage("file:///data").await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn indexes_are_found_for_the_same_identity_and_the_oldest_make_room() {
    let folder = TempDir::new().unwrap();
    let options = RegistryOptions { index_bytes: 100, ..RegistryOptions::default() };
    let registry = NativeRegistry::open_with(folder.path().join("r.db"), options).await.unwrap();
    registry.save("object\nv1", "chunks", vec![1; 40]).await.unwrap();
    registry.save("object\nv1", "tree", vec![2; 40]).await.unwrap();
    assert_eq!(registry.load("object\nv1", "chunks").await.unwrap(), Some(vec![1; 40]));
    assert_eq!(registry.load("object\nv2", "chunks").await.unwrap(), None);
    // Saved anew: the newest now, so "tree" is the oldest.
    registry.save("object\nv1", "chunks", vec![3; 50]).await.unwrap();
    registry.save("object\nv2", "chunks", vec![4; 50]).await.unwrap();
    assert_eq!(registry.load("object\nv1", "tree").await.unwrap(), None);
    assert_eq!(registry.load("object\nv1", "chunks").await.unwrap(), Some(vec![3; 50]));
    assert_eq!(registry.load("object\nv2", "chunks").await.unwrap(), Some(vec![4; 50]));
    let error = registry.save("object", "giant", vec![0; 101]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::ResourceExhausted);
    assert_eq!(registry.load("object\nv2", "chunks").await.unwrap(), Some(vec![4; 50]));
}

#[tokio::test]
async fn what_was_written_is_there_after_opening_anew_and_from_a_second_registry() {
    let (folder, registry) = empty().await;
    registry.register(new("k", "e")).await.unwrap();
    let second = NativeRegistry::open(folder.path().join("registry.db")).await.unwrap();
    second.register(new("k", "e2")).await.unwrap();
    assert_eq!(registry.artifact(&key("k")).await.unwrap().version, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn registrations_at_the_same_time_make_each_one_version() {
    let (_folder, registry) = empty().await;
    let tasks: Vec<_> = (0..20)
        .map(|number| {
            let registry = registry.clone();
            tokio::spawn(async move { registry.register(new("k", &format!("e{number}"))).await })
        })
        .collect();
    for task in tasks {
        assert!(task.await.unwrap().unwrap().created);
    }
    let all = listed(&registry, Criteria { all_versions: true, ..Criteria::default() }).await;
    assert_eq!(all.iter().map(|artifact| artifact.version).collect::<Vec<_>>(), (0..20).rev().collect::<Vec<_>>());
    assert_eq!(all.iter().filter(|artifact| artifact.is_latest).count(), 1);
}

#[tokio::test]
async fn files_that_are_no_registry_are_refused_by_path() {
    let folder = TempDir::new().unwrap();
    let text = folder.path().join("text.db");
    std::fs::write(
        &text,
        "this is no database, and long enough to have had a header of one hundred bytes in it, had it been one",
    )
    .unwrap();
    let foreign = folder.path().join("foreign.db");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    let newer = folder.path().join("newer.db");
    drop(NativeRegistry::open(&newer).await.unwrap());
    let raised = "INSERT INTO migrations VALUES (99, 'later', 'now')";
    Connection::open(&newer).unwrap().execute_batch(raised).unwrap();
    let cases = [
        (text, Kind::FailedPrecondition),
        (foreign.clone(), Kind::FailedPrecondition),
        (newer, Kind::FailedPrecondition),
        (folder.path().join("missing/r.db"), Kind::NotFound),
        (folder.path().to_path_buf(), Kind::Unavailable),
    ];
    for (path, kind) in cases {
        let error = NativeRegistry::open(&path).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.message().contains(path.to_str().unwrap()), "{error}");
    }
    let tables = "SELECT group_concat(name) FROM sqlite_schema";
    let tables: String = Connection::open(&foreign).unwrap().query_row(tables, [], |row| row.get(0)).unwrap();
    assert_eq!(tables, "t");
}

const VICTIM: &str = "SLICEFLIGHT_TEST_REGISTRY";

/// Not a test of its own: the process that `survives_a_kill_during_registrations` kills.
#[tokio::test]
async fn registers_until_killed() {
    let Ok(path) = std::env::var(VICTIM) else { return };
    let registry = NativeRegistry::open(path).await.unwrap();
    let run = std::process::id();
    let files: Vec<_> = (0..200)
        .map(|number| PinnedFile { path: format!("part-{number}"), size: 1, etag: format!("{number}") })
        .collect();
    for round in 0_u64.. {
        let labels = labels(&[&format!("label{}", round % 7)]);
        let family = format!("family{}", round % 5);
        registry
            .register(NewArtifact { files: files.clone(), labels, ..new(&family, &format!("{run}-{round}")) })
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn survives_a_kill_during_registrations() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("registry.db");
    for round in 1..=5 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "registry::native::tests::registers_until_killed", "--nocapture"])
            .env(VICTIM, &path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let before = count(&path);
        while count(&path) < before + 10 {
            assert!(child.try_wait().unwrap().is_none(), "the child ended by itself");
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_micros(1700 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        check_whole(&path).await;
    }
}

/// Artifacts in the file, none while it has no tables.
fn count(path: &Path) -> i64 {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE;
    let Ok(connection) = Connection::open_with_flags(path, flags) else { return 0 };
    connection.busy_timeout(Duration::from_secs(5)).unwrap();
    connection.query_row("SELECT count(*) FROM artifacts", [], |row| row.get(0)).unwrap_or(0)
}

async fn check_whole(path: &Path) {
    let registry = NativeRegistry::open(path).await.unwrap();
    let connection = Connection::open(path).unwrap();
    let one = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let integrity: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(integrity, "ok");
    let journal: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(journal, "wal");
    assert_eq!(one("SELECT count(*) FROM pragma_foreign_key_check"), 0);
    let families = one("SELECT count(*) FROM families");
    assert!((1..=5).contains(&families));
    assert_eq!(one("SELECT count(*) FROM artifacts WHERE is_latest = 1"), families);
    let highest = "SELECT count(*) FROM artifacts a WHERE is_latest = 1 AND version = \
        (SELECT max(version) FROM artifacts b WHERE b.family_id = a.family_id)";
    assert_eq!(one(highest), families);
    let artifacts = one("SELECT count(*) FROM artifacts");
    assert_eq!(one("SELECT count(*) FROM files"), 200 * artifacts);
    assert_eq!(one("SELECT count(*) FROM labelled"), artifacts);
    assert_eq!(one("SELECT count(*) FROM artifact_search"), artifacts);
    assert_eq!(listed(&registry, Criteria::default()).await.len() as i64, families);
}
