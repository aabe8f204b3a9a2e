//! What becomes of an index: damaged, dropped for others, of another version, half built.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::matrices::{context, indexes, matrix, open, read, write};
use crate::engine::column_index::ColumnIndexes;
use crate::error::Kind;
use crate::format::Hierarchy;
use crate::model::request::{Selector, SliceRequest};

struct Site {
    folder: tempfile::TempDir,
    hierarchy: Hierarchy,
}

impl Site {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("source");
        fs::create_dir(&source).unwrap();
        let row = |row: u32| vec![(row % 5, 1.5), (5 + row % 7, 2.0), (30, row as f32)];
        write(&source, &(0..3000).map(row).collect(), 40, 0);
        let hierarchy = open(&source).await;
        Self { folder, hierarchy }
    }

    async fn indexes(&self) -> Arc<ColumnIndexes> {
        indexes(&self.folder.path().join("indexes"), 1 << 20, 0).await
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("indexes").join("columns-v1")
    }

    /// Whether the index is used; the answer is right either way.
    async fn is_used(&self, indexes: &Arc<ColumnIndexes>) -> bool {
        let axes = vec![Vec::new(), vec![Selector::Index(vec![30, 2])]];
        let request = SliceRequest { axes, ..SliceRequest::default() };
        let (expected, _) = read(&context(), &self.hierarchy, &request, None).await.unwrap();
        let (found, columns) = read(&context(), &self.hierarchy, &request, Some(indexes)).await.unwrap();
        assert_eq!(found, expected);
        columns.unwrap().is_used()
    }
}

fn names(root: &Path) -> Vec<String> {
    fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found.retain(|path| !path.ends_with("lock"));
    found
}

/// Every file, changed, cut off or gone, before the index is opened and while it is open: never another answer,
/// and the index is built again.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_index_is_none() {
    let site = Site::new().await;
    let matrix = matrix(&site.hierarchy);
    let first = site.indexes().await;
    first.build(&context(), &matrix).await.unwrap();
    let count = files(&site.root()).len();
    assert_eq!(count, 8, "the record, the group, and two files of each array");
    for damage in 0..3 {
        for number in 0..count {
            for is_open in [false, true] {
                let indexes = site.indexes().await;
                indexes.build(&context(), &matrix).await.unwrap();
                if is_open {
                    assert!(indexes.find(&matrix).await.is_some());
                }
                let indexes = if is_open { indexes } else { site.indexes().await };
                let path = files(&site.root()).swap_remove(number);
                let mut content = fs::read(&path).unwrap();
                match damage {
                    0 => content[0] ^= 1,
                    1 => content.truncate(content.len() / 2),
                    _ => content.clear(),
                }
                if content.is_empty() {
                    fs::remove_file(&path).unwrap()
                } else {
                    fs::write(&path, content).unwrap()
                }
                site.is_used(&indexes).await;
                tokio::time::sleep(Duration::from_millis(5)).await;
                if !is_open {
                    assert!(indexes.find(&matrix).await.is_none(), "{damage} of {}", path.display());
                }
                drop(indexes);
                fs::remove_dir_all(site.root()).unwrap();
            }
        }
    }
    let indexes = site.indexes().await;
    indexes.build(&context(), &matrix).await.unwrap();
    assert!(site.is_used(&indexes).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_least_recently_used_goes_first() {
    let sites = [Site::new().await, Site::new().await, Site::new().await];
    let folder = tempfile::tempdir().unwrap();
    let built = |max_bytes| {
        let (sites, folder) = (&sites, &folder);
        async move {
            let indexes = indexes(folder.path(), max_bytes, 0).await;
            let mut results = Vec::new();
            for site in sites {
                results.push(indexes.build(&context(), &matrix(&site.hierarchy)).await);
                // Times of files are not finer than that everywhere.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            results
        }
    };
    let results = built(1 << 30).await;
    let size = results[0].as_ref().unwrap()["bytes"].as_u64().unwrap();
    let root = folder.path().join("columns-v1");
    assert_eq!(names(&root).len(), 3);
    // Runs and the finished index lie side by side for a while.
    let whole = 9000 * 8;
    let indexes = indexes(folder.path(), 2 * size + size / 2, 0).await;
    let kept = names(&root);
    assert_eq!(kept.len(), 2);
    assert!(!kept.contains(&matrix(&sites[0].hierarchy).name));
    drop(indexes);
    let refused = built(whole / 2).await;
    assert!(
        refused.iter().all(|result| {
            result.as_ref().is_err_and(|error| {
                error.kind() == Kind::ResourceExhausted && error.message().contains("column_index.max_bytes")
            })
        }) || names(&root).len() < 3
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_ask_build_once() {
    let site = Site::new().await;
    let (indexes, matrix, context) = (site.indexes().await, matrix(&site.hierarchy), context());
    let asked = (0..8).map(|_| indexes.build(&context, &matrix));
    let answers = futures::future::try_join_all(asked).await.unwrap();
    assert!(answers.iter().all(|answer| answer == &answers[0]));
    assert_eq!(names(&site.root()).len(), 1);
    assert!(super::super::lock(&indexes.builds).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_nobody_waits_for_stops_and_leaves_nothing() {
    let site = Site::new().await;
    let (indexes, matrix) = (site.indexes().await, matrix(&site.hierarchy));
    // Its turn does not come.
    let turn = indexes.turn.acquire().await.unwrap();
    let waiting = tokio::time::timeout(Duration::from_millis(50), indexes.build(&context(), &matrix)).await;
    assert!(waiting.is_err());
    drop(turn);
    for _ in 0..200 {
        if super::super::lock(&indexes.builds).is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(super::super::lock(&indexes.builds).is_empty());
    assert!(names(&site.root()).is_empty());
    indexes.build(&context(), &matrix).await.unwrap();
}

/// What a builder left that was killed goes with the next start; what one is at work on stays.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_builder_left_is_removed() {
    let site = Site::new().await;
    let indexes = site.indexes().await;
    let place = indexes.store.workplace("alive").unwrap();
    assert_eq!(indexes.store.workplace("alive").unwrap_err().kind(), Kind::Unavailable);
    let left = site.root().join("dead.building");
    fs::create_dir_all(left.join("data").join("c")).unwrap();
    fs::write(left.join("data").join("c").join("0"), b"half").unwrap();
    fs::write(left.join("lock"), b"").unwrap();
    site.indexes().await;
    assert_eq!(names(&site.root()), ["alive.building"]);
    drop(place);
    assert!(names(&site.root()).is_empty());
}

/// The first slice of another version builds its index, and the old one goes.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_source_is_indexed_anew() {
    let site = Site::new().await;
    let indexes = site.indexes().await;
    indexes.build(&context(), &matrix(&site.hierarchy)).await.unwrap();
    let old = names(&site.root());
    let source = site.folder.path().join("source");
    fs::remove_dir_all(&source).unwrap();
    fs::create_dir(&source).unwrap();
    write(&source, &(0..3000).map(|row| vec![(row % 5, 7.0), (30, -1.0)]).collect(), 40, 0);
    let changed = Site { hierarchy: open(&source).await, folder: site.folder };
    assert!(!changed.is_used(&indexes).await);
    indexes.asked(&context(), &matrix(&changed.hierarchy));
    for _ in 0..500 {
        if indexes.find(&matrix(&changed.hierarchy)).await.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(changed.is_used(&indexes).await);
    assert!(!names(&changed.root()).contains(&old[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_often_it_is_built() {
    let site = Site::new().await;
    let indexes = indexes(&site.folder.path().join("indexes"), 1 << 20, 3).await;
    let matrix = matrix(&site.hierarchy);
    for count in 1..=3 {
        assert!(!site.is_used(&indexes).await, "{count}");
        indexes.asked(&context(), &matrix);
        if count < 3 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(indexes.progress(&matrix).is_none() && names(&site.root()).is_empty());
        }
    }
    for _ in 0..500 {
        if indexes.find(&matrix).await.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(site.is_used(&indexes).await);
}
