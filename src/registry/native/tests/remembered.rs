//! What is remembered of artifacts is never older than what any connection committed.

use super::*;

/// Whether the artifact of `source` would be given without being looked up.
fn is_remembered(registry: &NativeRegistry, source: &Source) -> bool {
    registry.remembered.get(source).0.is_some()
}

#[tokio::test]
async fn an_artifact_is_looked_up_once() {
    let (_folder, registry) = empty().await;
    registry.register(new("a", "1")).await.unwrap();
    let first = registry.artifact(&key("a")).await.unwrap();
    for source in [key("a"), Source::Uid(first.uid.clone()), Source::Url(first.url.clone())] {
        let found = registry.artifact(&source).await.unwrap();
        assert_eq!(found, first);
        assert!(is_remembered(&registry, &source), "{source:?}");
        assert_eq!(registry.artifact(&source).await.unwrap(), first);
    }
    assert!(!is_remembered(&registry, &version("a", "1")));
}

#[tokio::test]
async fn what_any_connection_commits_is_seen_at_once() {
    let (folder, registry) = empty().await;
    let other = NativeRegistry::open(folder.path().join("registry.db")).await.unwrap();
    for (writer, etag) in [(&registry, "1"), (&other, "2"), (&registry, "3"), (&other, "4")] {
        let written = writer.register(new("a", etag)).await.unwrap();
        for reader in [&registry, &other] {
            for _ in 0..2 {
                let found = reader.artifact(&key("a")).await.unwrap();
                assert_eq!((found.etag.as_str(), &found.uid), (etag, &written.artifact.uid));
            }
        }
    }
    let uid = registry.artifact(&key("a")).await.unwrap().uid;
    other.label(&Source::Uid(uid), &labels(&["blood"])).await.unwrap();
    assert_eq!(registry.artifact(&key("a")).await.unwrap().labels, ["blood"]);
    other.trash(&key("a"), false).await.unwrap();
    assert_eq!(registry.artifact(&key("a")).await.unwrap().etag, "3");
}

#[tokio::test]
async fn errors_are_not_remembered() {
    let (_folder, registry) = empty().await;
    assert_eq!(registry.artifact(&key("a")).await.unwrap_err().kind(), Kind::NotFound);
    registry.register(new("a", "1")).await.unwrap();
    assert_eq!(registry.artifact(&key("a")).await.unwrap().etag, "1");
}

#[tokio::test]
async fn an_artifact_of_many_files_is_looked_up_each_time() {
    let (_folder, registry) = empty().await;
    let file = |number: u64| PinnedFile { path: format!("c/{number}"), size: number, etag: "e".into() };
    registry.register(NewArtifact { files: (0..400).map(file).collect(), ..new("store", "1") }).await.unwrap();
    assert_eq!(registry.artifact(&key("store")).await.unwrap().files.len(), 400);
    assert!(!is_remembered(&registry, &key("store")));
}

/// Readers and writers at the same time: a reader never sees an older version than one that was there before it asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reader_goes_back() {
    let (folder, registry) = empty().await;
    registry.register(new("a", "0")).await.unwrap();
    let written = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let other = NativeRegistry::open(folder.path().join("registry.db")).await.unwrap();
    let done = Arc::clone(&written);
    let writing = tokio::spawn(async move {
        for etag in 1..40_u64 {
            other.register(new("a", &etag.to_string())).await.unwrap();
            done.store(etag, std::sync::atomic::Ordering::SeqCst);
        }
    });
    let mut seen = 0;
    while seen < 39 {
        let least = written.load(std::sync::atomic::Ordering::SeqCst);
        seen = registry.artifact(&key("a")).await.unwrap().etag.parse::<u64>().unwrap();
        assert!(seen >= least, "{seen} after {least}");
    }
    writing.await.unwrap();
}
