//! Storage over local files: the allow-list, pinned reads, the block cache.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::symlink;
use std::sync::Arc;

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use proptest::prelude::*;
use tempfile::TempDir;

use super::reader::ObjectIdentity;
use super::*;
use crate::error::{Error, Kind};

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|place| (place * 31 % 251) as u8).collect()
}

/// A folder with a root `data` in it, and something secret beside it.
fn with_root(options: StorageOptions) -> (TempDir, Storages, String) {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir_all(data.join("sub/deep")).unwrap();
    std::fs::write(data.join("object"), bytes(1000)).unwrap();
    std::fs::write(data.join("sub/a b=1%.bin"), bytes(10)).unwrap();
    std::fs::write(data.join("sub/deep/z"), bytes(3)).unwrap();
    std::fs::create_dir(folder.path().join("data2")).unwrap();
    std::fs::write(folder.path().join("data2/secret"), "secret").unwrap();
    let storages = Storages::new(options);
    let root = storages.add(data.to_str().unwrap(), BTreeMap::new()).unwrap().url;
    (folder, storages, root)
}

fn small_blocks() -> StorageOptions {
    StorageOptions { block_bytes: 100, largest_request_bytes: 300, ..StorageOptions::default() }
}

#[tokio::test]
async fn reads_exact_ranges_of_the_pinned_version() {
    let (_folder, storages, root) = with_root(StorageOptions::default());
    let identity = storages.head(&format!("{root}/object")).await.unwrap();
    assert_eq!((identity.size, identity.url.as_str()), (1000, &*format!("{root}/object")));
    let reader = storages.open(identity).await.unwrap();
    let expected = bytes(1000);
    for range in [0..1, 0..1000, 999..1000, 500..500, 1000..1000, 17..423] {
        let wanted = &expected[range.start as usize..range.end as usize];
        assert_eq!(reader.read(range.clone()).await.unwrap(), wanted, "{range:?}");
        assert_eq!(reader.read_cached(range.clone()).await.unwrap(), wanted, "{range:?}");
    }
    let reversed = std::ops::Range { start: 5, end: 4 };
    for range in [0..1001, 1000..1001, reversed, u64::MAX - 1..u64::MAX] {
        assert_eq!(reader.read(range.clone()).await.unwrap_err().kind(), Kind::DataLoss, "{range:?}");
        assert_eq!(reader.read_cached(range).await.unwrap_err().kind(), Kind::DataLoss);
    }
}

#[tokio::test]
async fn a_replaced_or_removed_file_is_noticed() {
    let (folder, storages, root) = with_root(StorageOptions::default());
    let identity = storages.head(&format!("{root}/object")).await.unwrap();
    let reader = storages.open(identity.clone()).await.unwrap();
    reader.read(0..10).await.unwrap();
    let other = folder.path().join("other");
    std::fs::write(&other, bytes(1000)).unwrap();
    std::fs::rename(other, folder.path().join("data/object")).unwrap();
    let now = storages.head(&identity.url).await.unwrap();
    let error = reader.read(0..10).await.unwrap_err();
    assert_eq!(error.kind(), Kind::FailedPrecondition);
    let expected = format!(
        "object {} changed since it was registered or opened: expected ETag {}, found {}",
        identity.url, identity.etag, now.etag
    );
    assert_eq!(error.message(), expected);
    std::fs::remove_file(folder.path().join("data/object")).unwrap();
    let error = reader.read(0..10).await.unwrap_err();
    assert!(error.kind() == Kind::NotFound && error.message().contains(&identity.url), "{error}");
}

#[tokio::test]
async fn a_file_written_to_in_place_is_noticed() {
    let (folder, storages, root) = with_root(StorageOptions::default());
    let identity = storages.head(&format!("{root}/object")).await.unwrap();
    let reader = storages.open(identity.clone()).await.unwrap();
    let object = folder.path().join("data/object");
    let answer = storages.resolve(&identity.url).unwrap().store.get(&Path::from("object")).await.unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    std::fs::write(&object, vec![1; 1000]).unwrap();
    // The open file is the same one, with other bytes in it.
    let mixed = exact::bytes_of(answer, 1 << 20, &identity.url).await.unwrap_err();
    assert_eq!(mixed.kind(), Kind::FailedPrecondition);
    assert_eq!(reader.read(0..10).await.unwrap_err().kind(), Kind::FailedPrecondition);
    let wrong = ObjectIdentity { size: 999, ..storages.head(&identity.url).await.unwrap() };
    let error = storages.open(wrong).await.unwrap().read(0..10).await.unwrap_err();
    assert!(
        error.kind() == Kind::FailedPrecondition && error.message().contains("expected 999 bytes, found 1000"),
        "{error}"
    );
}

#[tokio::test]
async fn nothing_outside_the_roots_can_be_named() {
    let (folder, storages, root) = with_root(StorageOptions::default());
    let data = folder.path().join("data");
    symlink(folder.path().join("data2/secret"), data.join("link")).unwrap();
    symlink(folder.path().join("data2"), data.join("folder")).unwrap();
    symlink(data.join("object"), data.join("inside")).unwrap();
    let refused = [
        "/../data2/secret",
        "/sub/../../data2/secret",
        "/%2e%2e/data2/secret",
        "/%2E%2e/data2/secret",
        "/.%2e/data2/secret",
        "/%252e%252e/data2/secret",
        "/..%2fdata2%2fsecret",
        "/sub%2fdeep/z",
        "/sub//deep/z",
        "//etc/passwd",
        "/./object",
        "/sub\\deep",
        "/%5c",
        "/object%00",
        "/object\0",
        "/a\nb",
        "2/secret",
        "/link",
        "/folder/secret",
    ];
    for below in refused {
        let error = storages.head(&format!("{root}{below}")).await.unwrap_err();
        assert_eq!(error.kind(), Kind::PermissionDenied, "{below}: {error}");
        assert!(error.message().contains("file:///"), "{below}: {error}");
    }
    for outside in
        ["file:///etc/passwd", "file:///", "s3://bucket/key", "FILE:///etc/passwd", "file://localhost/etc/passwd"]
    {
        assert_eq!(storages.head(outside).await.unwrap_err().kind(), Kind::PermissionDenied, "{outside}");
    }
    for (bad, kind) in [
        ("/etc/passwd", Kind::InvalidArgument),
        ("file://host/etc", Kind::InvalidArgument),
        ("s3://", Kind::InvalidArgument),
        ("s3:///key", Kind::InvalidArgument),
        ("ftp://host/x", Kind::InvalidArgument),
        ("gs://bucket/x", Kind::PermissionDenied),
        ("https://host/x", Kind::PermissionDenied),
        ("hf://datasets/x", Kind::PermissionDenied),
    ] {
        assert_eq!(storages.resolve(bad).unwrap_err().kind(), kind, "{bad}");
    }
    assert_eq!(storages.head(&format!("{root}/inside")).await.unwrap().size, 1000);
    let store = storages.store_for(&root).unwrap();
    assert!(store.list_with_delimiter(Some(&Path::from("folder"))).await.is_err());
    assert!(store.list_with_delimiter(Some(&Path::from("sub"))).await.is_ok());
    let listed = storages.list_files(&root).await.unwrap_err();
    assert_eq!(listed.kind(), Kind::PermissionDenied);
    let reader = storages.folder(&root).await.unwrap();
    for path in ["../data2/secret", "sub/../../data2/secret", "link", "folder/secret", "/object", "%2e%2e/data2/secret"]
    {
        assert_eq!(reader.read(path, None).await.unwrap_err().kind(), Kind::PermissionDenied, "{path}");
    }
}

#[tokio::test]
async fn pipes_are_not_waited_for() {
    let (folder, storages, root) = with_root(StorageOptions::default());
    let pipe = folder.path().join("data/pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let waited = tokio::time::timeout(std::time::Duration::from_secs(5), storages.head(&format!("{root}/pipe"))).await;
    assert_eq!(waited.unwrap().unwrap_err().kind(), Kind::PermissionDenied);
}

#[test]
fn the_longest_root_wins_and_prefixes_match_whole_parts() {
    let storages = Storages::new(StorageOptions::default());
    for root in ["s3://bucket/pre", "s3://bucket/pre/deep/", "s3://other"] {
        storages.add(root, BTreeMap::from([("anonymous".into(), "true".into())])).unwrap();
    }
    let root_of = |url: &str| storages.resolve(url).map(|location| location.root).map_err(|error| error.kind());
    assert_eq!(root_of("s3://bucket/pre/x"), Ok("s3://bucket/pre".into()));
    assert_eq!(root_of("s3://bucket/pre/deep/x"), Ok("s3://bucket/pre/deep".into()));
    assert_eq!(root_of("s3://bucket/pre/deeper"), Ok("s3://bucket/pre".into()));
    assert_eq!(root_of("s3://bucket/pre"), Ok("s3://bucket/pre".into()));
    assert_eq!(root_of("s3://bucket/prefix2"), Err(Kind::PermissionDenied));
    assert_eq!(root_of("s3://bucket"), Err(Kind::PermissionDenied));
    assert_eq!(root_of("s3://Bucket/pre/x"), Err(Kind::PermissionDenied));
    assert_eq!(root_of("s3://bucket/pre/%2e%2e/x"), Err(Kind::PermissionDenied));
    let location = storages.resolve("s3://other/a b/100%.csv/").unwrap();
    assert_eq!((location.url.as_str(), location.path.as_ref()), ("s3://other/a b/100%.csv", "a b/100%.csv"));
}

#[test]
fn options_are_checked_by_name_and_nothing_secret_is_shown() {
    let storages = Storages::new(StorageOptions::default());
    let add = |root: &str, name: &str, value: &str| {
        storages.add(root, BTreeMap::from([(name.to_owned(), value.to_owned())])).map_err(|error| error.to_string())
    };
    assert!(add("s3://b", "endpont", "hush").unwrap_err().contains("\"endpont\""));
    assert!(add("s3://b", "anonymous", "hush").unwrap_err().contains("anonymous"));
    assert!(add("s3://b", "endpoint", "http://id:hush@host").unwrap_err().contains("endpoint"));
    assert!(add("/tmp", "region", "hush").unwrap_err().contains("\"region\""));
    for (root, name, value) in [
        ("s3://b", "endpont", "hush"),
        ("s3://b", "anonymous", "hush"),
        ("s3://b", "endpoint", "http://id:hush@host"),
        ("/tmp", "region", "hush"),
    ] {
        assert!(!add(root, name, value).unwrap_err().contains("hush"));
    }
    let keys = BTreeMap::from([("secret_access_key".into(), "hush".into()), ("access_key_id".into(), "hushid".into())]);
    storages.add("s3://kept", keys).unwrap();
    let location = storages.resolve("s3://kept/x").unwrap();
    assert!(!format!("{storages:?} {location:?} {}", location.store).contains("hush"));
    for url in ["s3://id:hush@kept/x", "s3://kept/x?X-Amz-Signature=hush", "file://id:hush@host/x"] {
        let error = storages.resolve(url).unwrap_err();
        assert!(!format!("{error:?}").contains("hush"), "{error:?}");
    }
    assert_eq!(storages.add("/does/not/exist", BTreeMap::new()).unwrap_err().kind(), Kind::NotFound);
}

#[test]
fn local_paths_become_urls_and_back() {
    let folder = TempDir::new().unwrap();
    let odd = folder.path().join("a b#1%41?ü");
    std::fs::create_dir(&odd).unwrap();
    let url = absolute_url(odd.to_str().unwrap()).unwrap();
    assert!(url.starts_with("file:///") && url.ends_with("a%20b%231%2541%3F%C3%BC"), "{url}");
    assert_eq!(absolute_url(&url).unwrap(), url);
    let storages = Storages::new(StorageOptions::default());
    assert_eq!(storages.add(odd.to_str().unwrap(), BTreeMap::new()).unwrap().url, url);
    assert!(absolute_url("src").unwrap().ends_with("/src"));
    assert!(!absolute_url("src/../src").unwrap().contains(".."));
}

#[test]
fn paths_below_a_url_are_joined_literally() {
    let join = |url: &str, path: &str| join_url(url, path).map_err(|error| error.kind());
    assert_eq!(join("file:///a", "b c/d%41.bin"), Ok("file:///a/b%20c/d%2541.bin".into()));
    assert_eq!(join("s3://bucket", "b c/d%41.bin"), Ok("s3://bucket/b c/d%41.bin".into()));
    assert_eq!(join("s3://bucket/a/", ""), Ok("s3://bucket/a".into()));
    for bad in ["..", "a/../b", "/a", "a//b", "a/", "a\\b", "%2e%2e/a"] {
        assert_eq!(join("s3://bucket/a", bad), Err(Kind::PermissionDenied), "{bad}");
    }
}

#[tokio::test]
async fn a_removed_root_is_closed() {
    let (_folder, storages, root) = with_root(StorageOptions::default());
    assert!(storages.remove(&root) && !storages.remove(&root));
    assert_eq!(storages.head(&format!("{root}/object")).await.unwrap_err().kind(), Kind::PermissionDenied);
}

#[tokio::test]
async fn lists_files_in_byte_order_and_within_the_bound() {
    let (_folder, storages, root) = with_root(StorageOptions::default());
    let files = storages.list_files(&root).await.unwrap();
    let found: Vec<_> = files.iter().map(|file| (file.path.as_str(), file.size)).collect();
    assert_eq!(found, [("object", 1000), ("sub/a b=1%.bin", 10), ("sub/deep/z", 3)]);
    let below = storages.list_files(&format!("{root}/sub/")).await.unwrap();
    assert_eq!(below.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["a b=1%.bin", "deep/z"]);
    let odd = storages.head(&format!("{root}/sub/a%20b=1%25.bin")).await.unwrap();
    assert_eq!((odd.size, &odd.etag), (10, &below[0].etag));
    assert_eq!(storages.list_files(&format!("{root}/absent")).await.unwrap(), []);
    assert!(storages.is_folder(&root).await.unwrap() && storages.is_folder(&format!("{root}/sub")).await.unwrap());
    assert!(!storages.is_folder(&format!("{root}/object")).await.unwrap());
    assert!(!storages.is_folder(&format!("{root}/su")).await.unwrap());
    let (_folder, storages, root) = with_root(StorageOptions { listed_objects: 2, ..StorageOptions::default() });
    assert_eq!(storages.list_files(&root).await.unwrap_err().kind(), Kind::ResourceExhausted);
}

#[tokio::test]
async fn a_folder_reader_tells_missing_from_failing() {
    let (_folder, storages, root) = with_root(StorageOptions::default());
    let reader = storages.folder(&root).await.unwrap();
    let expected = bytes(1000);
    assert_eq!(reader.read("object", None).await.unwrap().unwrap(), expected);
    assert_eq!(reader.read("object", Some(10..20)).await.unwrap().unwrap(), expected[10..20]);
    assert_eq!(reader.read("object", Some(10..10)).await.unwrap().unwrap(), "");
    for absent in ["absent", "sub", "object/below", "sub/deep/absent"] {
        assert_eq!(reader.read(absent, None).await.unwrap(), None, "{absent}");
        assert_eq!(reader.read(absent, Some(0..1)).await.unwrap(), None, "{absent}");
    }
    for range in [990..1001, 1000..1001, 2000..2001, 1001..1001] {
        assert_eq!(reader.read("object", Some(range.clone())).await.unwrap_err().kind(), Kind::DataLoss, "{range:?}");
    }
    assert_eq!(reader.list("").await.unwrap(), ["object", "sub/a b=1%.bin", "sub/deep/z"]);
    assert_eq!(reader.list("sub/").await.unwrap(), ["sub/a b=1%.bin", "sub/deep/z"]);
    assert_eq!(reader.list("sub/de").await.unwrap(), ["sub/deep/z"]);
    assert_eq!(reader.list("ob").await.unwrap(), ["object"]);
    assert_eq!(reader.list("absent/").await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn large_reads_are_refused_before_memory_is_taken() {
    let (_folder, storages, root) = with_root(StorageOptions { largest_read_bytes: 100, ..StorageOptions::default() });
    let reader = storages.open(storages.head(&format!("{root}/object")).await.unwrap()).await.unwrap();
    assert_eq!(reader.read(0..100).await.unwrap().len(), 100);
    assert_eq!(reader.read(0..101).await.unwrap_err().kind(), Kind::ResourceExhausted);
    assert_eq!(reader.read_cached(0..101).await.unwrap_err().kind(), Kind::ResourceExhausted);
    let folder = storages.folder(&root).await.unwrap();
    assert_eq!(folder.read("object", None).await.unwrap_err().kind(), Kind::ResourceExhausted);
    assert_eq!(folder.read("object", Some(0..101)).await.unwrap_err().kind(), Kind::ResourceExhausted);
}

#[tokio::test]
async fn blocks_are_fetched_once_and_neighbours_together() {
    let (_folder, storages, root) = with_root(small_blocks());
    let reader = storages.open(storages.head(&format!("{root}/object")).await.unwrap()).await.unwrap();
    // (read, requests it needs, bytes it moves): blocks of 100, requests of at most 300.
    for (range, requests, moved) in
        [(250..260, 1, 100), (210..290, 0, 0), (100..400, 2, 200), (0..1000, 3, 700), (0..1000, 0, 0)]
    {
        let before = storages.meter().snapshot();
        let found = reader.read_cached(range.clone()).await.unwrap();
        assert_eq!(found, bytes(1000)[range.start as usize..range.end as usize]);
        let spent = storages.meter().snapshot().since(&before);
        assert_eq!((spent.get, spent.bytes), (requests, moved), "{range:?}");
    }
    assert!(storages.cached_bytes() >= 1000);
}

#[tokio::test]
async fn the_cache_stays_within_its_bytes() {
    let options = StorageOptions { cache_bytes: 600, ..small_blocks() };
    let (_folder, storages, root) = with_root(options);
    let reader = storages.open(storages.head(&format!("{root}/object")).await.unwrap()).await.unwrap();
    for start in (0..1000).step_by(50) {
        assert_eq!(reader.read_cached(start..start + 50).await.unwrap().len(), 50);
        assert!(storages.cached_bytes() <= 600);
    }
    assert!(storages.cached_bytes() > 0);
}

#[tokio::test]
async fn the_meter_counts_every_kind() {
    let (_folder, storages, root) = with_root(StorageOptions::default());
    let identity = storages.head(&format!("{root}/object")).await.unwrap();
    let reader = storages.open(identity).await.unwrap();
    reader.read(0..10).await.unwrap();
    reader.read(10..30).await.unwrap();
    storages.list_files(&root).await.unwrap();
    let store = storages.store_for(&root).unwrap();
    store.get_ranges(&Path::from("object"), &[0..5, 900..905, 6..9]).await.unwrap();
    let counted = storages.meter().snapshot();
    let expected = MeterSnapshot { get: 3, head: 1, list: 1, retries: 0, bytes: 30 + 905 };
    assert_eq!(counted, expected);
    assert_eq!(counted.requests(), 5);
}

#[tokio::test]
async fn a_query_engine_sees_only_pinned_versions() {
    let (folder, storages, root) = with_root(StorageOptions::default());
    let identity = storages.head(&format!("{root}/object")).await.unwrap();
    let location = storages.resolve(&identity.url).unwrap();
    let objects = HashMap::from([(location.path.clone(), identity.clone())]);
    let store = PinnedStore::new(location.store, objects, Arc::clone(storages.options()));
    let ranges = store.get_ranges(&location.path, &[5..9, 0..2, 100..100]).await.unwrap();
    assert_eq!(
        ranges.iter().map(|range| range.to_vec()).collect::<Vec<_>>(),
        [bytes(9)[5..].to_vec(), bytes(2), vec![]]
    );
    assert_eq!(store.head(&location.path).await.unwrap().size, 1000);
    let unlisted = store.get(&Path::from("sub/deep/z")).await.unwrap_err();
    assert_eq!(error_of(unlisted, &root).kind(), Kind::NotFound);
    assert!(store.put(&location.path, "x".into()).await.is_err() && store.delete(&location.path).await.is_err());
    let other = folder.path().join("other");
    std::fs::write(&other, bytes(1000)).unwrap();
    std::fs::rename(other, folder.path().join("data/object")).unwrap();
    let changed = store.get_ranges(&location.path, std::slice::from_ref(&(0..2))).await.unwrap_err();
    assert!(matches!(changed, object_store::Error::Precondition { .. }));
    // As a query engine wraps it.
    let wrapped = std::io::Error::other(parquet::errors::ParquetError::External(Box::new(changed)));
    let error = find_error(&wrapped, "unused").unwrap();
    assert_eq!(error.kind(), Kind::FailedPrecondition);
    assert!(error.message().contains(&identity.url) && error.message().contains(&identity.etag), "{error}");
    assert!(find_error(&Error::internal("x"), "u").is_some() && find_error(&std::io::Error::other("x"), "u").is_none());
}

#[tokio::test]
async fn an_identity_outside_the_roots_is_not_opened() {
    let (_folder, storages, _) = with_root(StorageOptions::default());
    let identity = ObjectIdentity { url: "file:///etc/passwd".into(), ..ObjectIdentity::default() };
    assert_eq!(storages.open(identity).await.unwrap_err().kind(), Kind::PermissionDenied);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn cached_reads_equal_the_bytes(
        reads in prop::collection::vec((0..1000_u64, 0..400_u64), 1..8), block in 1..300_u64, request in 1..500_u64, cache in 0..2000_u64,
    ) {
        let options = StorageOptions {
            block_bytes: block, largest_request_bytes: request, cache_bytes: cache, ..StorageOptions::default()
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (_folder, storages, root) = with_root(options);
            let reader = storages.open(storages.head(&format!("{root}/object")).await.unwrap()).await.unwrap();
            for (start, length) in reads {
                let range = start..(start + length).min(1000);
                let expected = &bytes(1000)[range.start as usize..range.end as usize];
                prop_assert_eq!(&reader.read_cached(range).await.unwrap(), expected);
                prop_assert!(storages.cached_bytes() <= cache);
            }
            Ok(())
        })?;
    }
}
