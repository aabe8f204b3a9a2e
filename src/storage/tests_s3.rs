//! Storage over a simulated S3: conditions, faults, patience, secrets, counters.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use simcloud::{Config, Fault, FaultKind, Server};
use tempfile::TempDir;

use super::reader::Edge;
use super::*;
use crate::error::Kind;

const SIZE: usize = 300_000;
const SECRET: &str = "testsecret";

struct Cloud {
    folder: TempDir,
    server: Server,
    storages: Storages,
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|place| (place * 31 % 251) as u8).collect()
}

/// Repeats soon and not often.
fn hasty() -> StorageOptions {
    StorageOptions { request_timeout: Duration::from_secs(30), ..impatient() }
}

/// Waits and repeats little, so that a test of giving up is short.
fn impatient() -> StorageOptions {
    StorageOptions {
        request_timeout: Duration::from_secs(1),
        retry: RetryPolicy {
            max_retries: 3,
            total_time: Duration::from_secs(5),
            first_pause: Duration::from_millis(5),
            longest_pause: Duration::from_millis(20),
        },
        ..StorageOptions::default()
    }
}

async fn cloud(options: StorageOptions) -> Cloud {
    let folder = TempDir::new().unwrap();
    for bucket in ["bucket", "open"] {
        std::fs::create_dir_all(folder.path().join(bucket).join("sub")).unwrap();
        std::fs::write(folder.path().join(bucket).join("object"), bytes(SIZE)).unwrap();
        std::fs::write(folder.path().join(bucket).join("sub/a b=1"), "ab").unwrap();
    }
    let config = Config { root: folder.path().into(), anonymous_buckets: vec!["open".into()], ..Config::default() };
    let server = Server::start(config).await.unwrap();
    let storages = Storages::new(options);
    storages.add("s3://bucket", signed(&server, SECRET)).unwrap();
    storages.add("s3://open", unsigned(&server)).unwrap();
    Cloud { folder, server, storages }
}

fn signed(server: &Server, secret: &str) -> BTreeMap<String, String> {
    let options = [
        ("endpoint", server.url()),
        ("access_key_id", "test".into()),
        ("secret_access_key", secret.into()),
        ("region", "us-east-1".into()),
    ];
    options.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn unsigned(server: &Server) -> BTreeMap<String, String> {
    BTreeMap::from([("endpoint".to_owned(), server.url()), ("anonymous".to_owned(), "true".to_owned())])
}

impl Cloud {
    fn fault(&self, methods: &[&str], every: u64, count: Option<u64>, kind: FaultKind) {
        let methods = methods.iter().map(|method| (*method).to_owned()).collect();
        self.server.set_fault(Fault { methods, every, count, ..Fault::new(kind) });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_read_carries_the_version_and_a_replaced_object_is_refused() {
    let Cloud { folder, server, storages } = cloud(StorageOptions::default()).await;
    let identity = storages.head("s3://bucket/object").await.unwrap();
    let reader = storages.open(identity.clone()).await.unwrap();
    assert_eq!(reader.read(7..99).await.unwrap(), bytes(99)[7..]);
    assert_eq!(reader.read_cached(0..10).await.unwrap(), bytes(10));
    let gets: Vec<_> = server.log().into_iter().filter(|entry| entry.method == "GET").collect();
    assert!(gets.len() == 2 && gets.iter().all(|entry| entry.if_match.as_ref() == Some(&identity.etag)), "{gets:?}");

    std::fs::write(folder.path().join("bucket/object"), vec![1; SIZE]).unwrap();
    let now = storages.head("s3://bucket/object").await.unwrap();
    assert_ne!(now.etag, identity.etag);
    let error = reader.read(0..10_000).await.unwrap_err();
    assert_eq!(error.kind(), Kind::FailedPrecondition);
    let expected = format!(
        "object s3://bucket/object changed since it was registered or opened: expected ETag {}, found {}",
        identity.etag, now.etag
    );
    assert_eq!(error.message(), expected);
    assert_eq!(reader.read_cached(100_000..100_001).await.unwrap_err().kind(), Kind::FailedPrecondition);
    std::fs::remove_file(folder.path().join("bucket/object")).unwrap();
    let error = reader.read(0..10).await.unwrap_err();
    assert!(error.kind() == Kind::NotFound && error.message().contains("s3://bucket/object"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_503_every_third_time_goes_unnoticed() {
    let cloud = cloud(hasty()).await;
    cloud.fault(&[], 3, None, FaultKind::Status(503));
    let reader = cloud.storages.open(cloud.storages.head("s3://bucket/object").await.unwrap()).await.unwrap();
    for start in (0..30_000).step_by(1000) {
        assert_eq!(
            reader.read(start..start + 1000).await.unwrap(),
            bytes(40_000)[start as usize..start as usize + 1000]
        );
    }
    assert_eq!(cloud.storages.list_files("s3://bucket").await.unwrap().len(), 2);
    let (counted, seen) = (cloud.storages.meter().snapshot(), cloud.server.stats());
    assert!(seen.faults_injected >= 10);
    assert_eq!(counted.retries, seen.faults_injected);
    assert_eq!(counted.requests(), seen.requests);
    assert_eq!(counted.bytes, 30_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_always_answers_503_is_given_up_in_bounded_time() {
    let cloud = cloud(hasty()).await;
    let identity = cloud.storages.head("s3://bucket/object").await.unwrap();
    cloud.fault(&[], 1, None, FaultKind::Status(503));
    let reader = cloud.storages.open(identity).await.unwrap();
    let started = Instant::now();
    let error = reader.read(0..10).await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(6));
    assert_eq!((error.kind(), error.is_retryable()), (Kind::Unavailable, true));
    let expected = "object s3://bucket/object could not be read in 4 attempts: the store answered with status 503";
    assert_eq!(error.message(), expected);
    assert_eq!(cloud.server.stats().by_method["GET"], 4);
    assert_eq!(cloud.storages.list_files("s3://bucket").await.unwrap_err().kind(), Kind::Unavailable);
    assert_eq!(cloud.storages.is_folder("s3://bucket/sub").await.unwrap_err().kind(), Kind::Unavailable);
    let folder = cloud.storages.folder("s3://bucket/sub").await.unwrap();
    assert_eq!(folder.read("absent", None).await.unwrap_err().kind(), Kind::Unavailable);
    cloud.server.clear_faults();
    assert_eq!(folder.read("absent", None).await.unwrap(), None);
    assert_eq!(reader.read(0..10).await.unwrap(), bytes(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_break_off_stall_or_never_come_are_completed() {
    for (kind, at_least) in [
        (FaultKind::Short, 1),
        (FaultKind::Reset, 1),
        (FaultKind::Stall, 1),
        (FaultKind::Slow(1500), 1),
        (FaultKind::Status(429), 1),
        (FaultKind::Status(500), 1),
    ] {
        let cloud = cloud(impatient()).await;
        let identity = cloud.storages.head("s3://bucket/object").await.unwrap();
        cloud.fault(&["GET"], 1, Some(2), kind);
        let reader = cloud.storages.open(identity.clone()).await.unwrap();
        assert_eq!(reader.read(5..SIZE as u64).await.unwrap(), bytes(SIZE)[5..], "{kind:?}");
        assert!(cloud.storages.meter().snapshot().retries >= at_least, "{kind:?}");
        // What was asked for again is of the same version.
        let gets: Vec<_> = cloud.server.log().into_iter().filter(|entry| entry.method == "GET").collect();
        assert!(gets.iter().all(|entry| entry.if_match.as_ref() == Some(&identity.etag)), "{kind:?}: {gets:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_always_break_off_or_stall_are_given_up() {
    for kind in [FaultKind::Stall, FaultKind::Reset] {
        let cloud = cloud(impatient()).await;
        let identity = cloud.storages.head("s3://bucket/object").await.unwrap();
        cloud.fault(&["GET"], 1, None, kind);
        let started = Instant::now();
        let error = cloud.storages.open(identity).await.unwrap().read(0..SIZE as u64).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable, "{kind:?}: {error:?}");
        assert!(started.elapsed() < Duration::from_secs(10), "{kind:?}");
        assert!(error.message().contains("s3://bucket/object") && error.message().contains("4 attempts"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_replaced_while_its_body_is_resumed_is_refused() {
    let cloud = cloud(hasty()).await;
    let identity = cloud.storages.head("s3://bucket/object").await.unwrap();
    let location = cloud.storages.resolve("s3://bucket/object").unwrap();
    cloud.fault(&["GET"], 1, Some(1), FaultKind::Short);
    let mut body = location.store.get(&location.path).await.unwrap().into_stream();
    let first = body.try_next().await.unwrap().unwrap();
    assert!(first.len() < SIZE);
    std::fs::write(cloud.folder.path().join("bucket/object"), vec![1; SIZE]).unwrap();
    let error = loop {
        match body.try_next().await {
            Ok(piece) => assert!(piece.is_some(), "the stream ended as if it were whole"),
            Err(error) => break error,
        }
    };
    assert_eq!(error_of(error, &identity.url).kind(), Kind::FailedPrecondition);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_access_names_the_url_and_no_secret() {
    let cloud = cloud(hasty()).await;
    let storages = Storages::new(hasty());
    storages.add("s3://bucket", signed(&cloud.server, "wrongsecret")).unwrap();
    let error = storages.head("s3://bucket/object").await.unwrap_err();
    assert!(error.kind() == Kind::PermissionDenied && error.message().contains("s3://bucket/object"), "{error}");
    let listed = storages.list_files("s3://bucket/sub").await.unwrap_err();
    assert!(listed.kind() == Kind::PermissionDenied && listed.message().contains("s3://bucket/sub"), "{listed}");
    let folder = storages.folder("s3://bucket").await.unwrap();
    let read = folder.read("object", None).await.unwrap_err();
    assert_eq!(read.kind(), Kind::PermissionDenied);
    let ranged = folder.read("object", Some(0..4)).await.unwrap_err();
    for error in [error, listed, read, ranged] {
        let shown = format!("{error:?} {error}");
        assert!(!shown.contains("wrongsecret") && !shown.contains("AccessKey") && !shown.contains("test/"), "{shown}");
    }
    assert_eq!(cloud.server.stats().requests, 4);
    storages.add("s3://bucket", unsigned(&cloud.server)).unwrap();
    assert_eq!(storages.head("s3://bucket/object").await.unwrap_err().kind(), Kind::PermissionDenied);
    assert_eq!(cloud.storages.head("s3://open/object").await.unwrap().size, SIZE as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_not_there_is_unavailable() {
    let storages = Storages::new(impatient());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let options = [("endpoint", endpoint.as_str()), ("access_key_id", "id"), ("secret_access_key", "hush")];
    storages.add("s3://bucket", options.map(|(name, value)| (name.into(), value.into())).into()).unwrap();
    let error = storages.head("s3://bucket/object").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(
        error.message().contains("4 attempts: no connection") && !format!("{error:?}").contains("hush"),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn listings_cross_pages_in_byte_order_and_count_each_page() {
    let cloud = cloud(StorageOptions { listed_objects: 2600, ..StorageOptions::default() }).await;
    let many = cloud.folder.path().join("bucket/many");
    std::fs::create_dir(&many).unwrap();
    (0..2500).for_each(|number| std::fs::write(many.join(format!("{number}")), "x").unwrap());
    let before = cloud.storages.meter().snapshot();
    let files = cloud.storages.list_files("s3://bucket/many").await.unwrap();
    assert_eq!(cloud.storages.meter().snapshot().since(&before).list, 3);
    let mut expected: Vec<String> = (0..2500).map(|number: u32| number.to_string()).collect();
    expected.sort();
    assert_eq!(files.iter().map(|file| &file.path).collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
    let identity = cloud.storages.head("s3://bucket/many/0").await.unwrap();
    assert_eq!((files[0].size, &files[0].etag), (identity.size, &identity.etag));
    assert_eq!(cloud.storages.list_files("s3://bucket/man").await.unwrap(), []);
    assert!(cloud.storages.is_folder("s3://bucket/many").await.unwrap());
    assert!(!cloud.storages.is_folder("s3://bucket/object").await.unwrap());
    assert_eq!(cloud.storages.list_files("s3://bucket").await.unwrap().len(), 2502);
    (2500..2700).for_each(|number| std::fs::write(many.join(format!("{number}")), "x").unwrap());
    let error = cloud.storages.list_files("s3://bucket/many").await.unwrap_err();
    assert!(error.kind() == Kind::ResourceExhausted && error.message().contains("2600"), "{error}");
    let store = cloud.storages.store_for("s3://bucket").unwrap();
    let flat = store.list_with_delimiter(None).await.unwrap();
    assert_eq!(flat.common_prefixes, [Path::from("many"), Path::from("sub")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_literal_and_roots_hold_prefixes() {
    let cloud = cloud(hasty()).await;
    let storages = Storages::new(hasty());
    storages.add("s3://bucket/sub", signed(&cloud.server, SECRET)).unwrap();
    assert_eq!(storages.head("s3://bucket/sub/a b=1").await.unwrap().size, 2);
    let folder = storages.folder("s3://bucket/sub").await.unwrap();
    assert_eq!(folder.list("").await.unwrap(), ["a b=1"]);
    assert_eq!(folder.read("a b=1", None).await.unwrap().unwrap(), "ab");
    assert_eq!(folder.read("a b=1", Some(1..2)).await.unwrap().unwrap(), "b");
    for outside in [1..3, 2..3, 5..6] {
        assert_eq!(folder.read("a b=1", Some(outside)).await.unwrap_err().kind(), Kind::DataLoss);
    }
    assert_eq!(storages.head("s3://bucket/object").await.unwrap_err().kind(), Kind::PermissionDenied);
    assert_eq!(storages.head("s3://bucket/sub/absent").await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_requests_are_in_flight_than_allowed() {
    let cloud = cloud(StorageOptions { requests_in_flight: 3, ..StorageOptions::default() }).await;
    let identity = cloud.storages.head("s3://bucket/object").await.unwrap();
    cloud.fault(&["GET"], 1, None, FaultKind::Slow(20));
    let reader = cloud.storages.open(identity).await.unwrap();
    let reads = (0..20_u64).map(|part| reader.read(part * 1000..part * 1000 + 1000));
    let read = futures::future::try_join_all(reads).await.unwrap();
    assert_eq!(read.concat(), bytes(20_000));
    assert_eq!(cloud.server.stats().max_in_flight, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_read_frees_its_permit() {
    let cloud = cloud(StorageOptions { requests_in_flight: 1, ..StorageOptions::default() }).await;
    let identity = cloud.storages.head("s3://bucket/object").await.unwrap();
    let reader = cloud.storages.open(identity).await.unwrap();
    cloud.fault(&["GET"], 1, Some(1), FaultKind::Stall);
    let given_up = tokio::time::timeout(Duration::from_millis(200), reader.read(0..SIZE as u64)).await;
    assert!(given_up.is_err());
    let next = tokio::time::timeout(Duration::from_secs(5), reader.read(0..10)).await;
    assert_eq!(next.unwrap().unwrap(), bytes(10));
}

#[tokio::test]
async fn ends_of_objects_are_one_request_and_tell_the_size() {
    let cloud = cloud(hasty()).await;
    let files = cloud.storages.list_files("s3://bucket").await.unwrap();
    let whole = bytes(SIZE);
    let pinned = cloud.storages.pinned_folder("s3://bucket", &files).await.unwrap();
    let plain = cloud.storages.folder("s3://bucket").await.unwrap();
    let local = cloud.storages.add(cloud.folder.path().join("bucket").to_str().unwrap(), BTreeMap::new()).unwrap().url;
    let local = cloud.storages.folder(&local).await.unwrap();
    for folder in [pinned, plain, local] {
        for length in [1, 1000, SIZE - 1, SIZE] {
            let before = cloud.storages.meter().snapshot();
            let start = folder.read_edge("object", Edge::Start, length as u64).await.unwrap().unwrap();
            assert_eq!((start.0.as_ref(), start.1), (&whole[..length], SIZE as u64));
            let end = folder.read_edge("object", Edge::End, length as u64).await.unwrap().unwrap();
            assert_eq!((end.0.as_ref(), end.1), (&whole[SIZE - length..], SIZE as u64));
            assert_eq!(cloud.storages.meter().snapshot().since(&before).requests(), 2);
        }
        for (path, edge, length) in
            [("object", Edge::Start, SIZE + 1), ("object", Edge::End, SIZE + 1), ("sub/a b=1", Edge::End, 3)]
        {
            let error = folder.read_edge(path, edge, length as u64).await.unwrap_err();
            assert_eq!(error.kind(), Kind::DataLoss, "{edge:?} {length}: {error:?}");
            assert!(error.message().contains("cut off"), "{error:?}");
        }
        assert_eq!(folder.read_edge("nothing", Edge::End, 1).await.unwrap(), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_look_is_one_request_and_what_came_is_not_read_again() {
    let Cloud { folder, server, storages } = cloud(StorageOptions::default()).await;
    let asked = storages.head("s3://bucket/object").await.unwrap();
    server.reset();
    assert_eq!(storages.first_look("s3://bucket/object", 200_000, 0).await.unwrap(), asked);
    let reader = storages.open(asked).await.unwrap();
    // Three whole blocks came, of a fourth a part.
    assert_eq!(reader.read_cached(5..196_608).await.unwrap(), bytes(196_608)[5..]);
    let log = server.log();
    assert!(log.len() == 1 && log[0].method == "GET" && log[0].range == Some([0, 200_000]), "{log:?}");
    assert_eq!(reader.read_cached(196_600..196_610).await.unwrap(), bytes(196_610)[196_600..]);
    assert_eq!(server.log().len(), 2);

    // Of an object that is replaced, the version that was looked at is meant.
    std::fs::write(folder.path().join("bucket/object"), vec![1; SIZE]).unwrap();
    let now = storages.first_look("s3://bucket/object", 200_000, 0).await.unwrap();
    assert_ne!(&now, reader.identity());
    assert_eq!(reader.read_cached(5..15).await.unwrap(), bytes(15)[5..]);
    assert_eq!(storages.open(now).await.unwrap().read_cached(5..15).await.unwrap(), [1; 10][..]);
    assert_eq!(reader.read_cached(290_000..290_001).await.unwrap_err().kind(), Kind::FailedPrecondition);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_look_may_bring_the_end_as_well() {
    let Cloud { folder: _folder, server, storages } = cloud(StorageOptions::default()).await;
    let asked = storages.head("s3://bucket/object").await.unwrap();
    server.reset();
    assert_eq!(storages.first_look("s3://bucket/object", 65_536, 65_536).await.unwrap(), asked);
    let reader = storages.open(asked).await.unwrap();
    let last = SIZE / 65_536 * 65_536;
    assert_eq!(reader.read_cached(last as u64..SIZE as u64).await.unwrap(), bytes(SIZE)[last..]);
    assert_eq!(reader.read_cached(0..65_536).await.unwrap(), bytes(65_536));
    assert_eq!(server.log().len(), 2);
    let small = storages.first_look("s3://bucket/sub/a b=1", 65_536, 65_536).await.unwrap();
    assert_eq!(small, storages.head("s3://bucket/sub/a b=1").await.unwrap());
    assert_eq!(storages.open(small).await.unwrap().read_cached(0..2).await.unwrap().len(), 2);
    assert_eq!(server.log().iter().filter(|entry| entry.method == "GET").count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_look_finds_what_asking_finds() {
    let cloud = cloud(impatient()).await;
    std::fs::write(cloud.folder.path().join("bucket/empty"), "").unwrap();
    for (name, size) in [("sub/a b=1", 2), ("empty", 0)] {
        let url = format!("s3://bucket/{name}");
        let found = cloud.storages.first_look(&url, 1000, 0).await.unwrap();
        assert_eq!(found, cloud.storages.head(&url).await.unwrap());
        assert_eq!(found.size, size);
    }
    for (url, kind) in [
        ("s3://bucket/missing", Kind::NotFound),
        ("s3://bucket", Kind::NotFound),
        ("s3://bucket/sub", Kind::NotFound),
        ("s3://other/object", Kind::PermissionDenied),
    ] {
        let [asked, looked] =
            [cloud.storages.head(url).await.unwrap_err(), cloud.storages.first_look(url, 1000, 0).await.unwrap_err()];
        assert_eq!((looked.kind(), looked.message()), (kind, asked.message()));
    }
    cloud.fault(&[], 1, None, FaultKind::Status(503));
    let error = cloud.storages.first_look("s3://bucket/object", 1000, 0).await.unwrap_err();
    assert!(error.kind() == Kind::Unavailable && error.message().contains("s3://bucket/object"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_look_only_asks_where_the_cache_has_no_room() {
    let Cloud { folder: _folder, server, storages } =
        cloud(StorageOptions { cache_bytes: 3999, ..StorageOptions::default() }).await;
    storages.first_look("s3://bucket/object", 1000, 0).await.unwrap();
    let log = server.log();
    assert!(log.len() == 1 && log[0].method == "HEAD", "{log:?}");
}
