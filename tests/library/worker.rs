//! Workers that hang, crash, are killed or whose client goes away.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sliceflight::error::Kind;
use sliceflight::format::Hierarchy;
use sliceflight::format::hdf5::Library;
use sliceflight::model::tree::Node;

use crate::folder::{Delay, Folder, library, program, read};

const MINUTE: Duration = Duration::from_secs(60);

/// Processes of workers that were started with this `--memory`.
fn processes(memory: u64) -> Vec<u32> {
    let memory = memory.to_string();
    let entries = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.split(|byte| *byte == 0).any(|word| word == memory.as_bytes())
    })
    .collect()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < MINUTE, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The one worker has the file open for `other`: a read for `file` opens it again, which asks for ranges
/// that take `delay`.
async fn slow_pair(library: &Arc<Library>, delay: &Arc<Delay>, folder: &Folder) -> (Hierarchy, Hierarchy) {
    let file = folder.open(Some(Arc::clone(library)), delay).await;
    let other = folder.open(Some(Arc::clone(library)), delay).await;
    read(&other, "rows").await.unwrap();
    (file, other)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_fails_its_request_only() {
    const MEMORY: u64 = (1 << 30) + 1;
    let (folder, delay) = (Folder::new(), Arc::<Delay>::default());
    let library = library(program(), 1, MEMORY, MINUTE);
    let (file, other) = slow_pair(&library, &delay, &folder).await;
    let kill = processes(MEMORY);
    assert_eq!(kill.len(), 1);
    delay.set(Duration::from_secs(2));
    let before = delay.reads.load(Ordering::SeqCst);
    let killed = async {
        until("a range is asked for", || delay.reads.load(Ordering::SeqCst) > before).await;
        assert!(std::process::Command::new("kill").args(["-9", &kill[0].to_string()]).status().unwrap().success());
    };
    let (result, ()) = tokio::join!(read(&file, "nested"), killed);
    let error = result.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error}");
    assert!(error.message().contains("'nested'") && error.message().contains("signal: 9"), "{error}");
    delay.set(Duration::ZERO);
    read(&file, "nested").await.unwrap();
    read(&other, "rows").await.unwrap();
    let fresh = processes(MEMORY);
    assert_ne!(fresh, kill, "another process");

    // One that dies while it is idle fails nobody.
    assert!(std::process::Command::new("kill").args(["-9", &fresh[0].to_string()]).status().unwrap().success());
    read(&file, "nested").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_takes_too_long_is_ended() {
    const MEMORY: u64 = (1 << 30) + 2;
    let (folder, delay) = (Folder::new(), Arc::<Delay>::default());
    let file = folder.open(Some(library(program(), 1, MEMORY, MINUTE)), &delay).await;
    read(&file, "own").await.unwrap();
    assert_eq!(processes(MEMORY).len(), 1);
    drop(file);
    until("workers end with their server", || processes(MEMORY).is_empty()).await;

    let (_keep, hung) = script("exec sleep 600");
    let start = Instant::now();
    let short = library(hung, 1, MEMORY, Duration::from_millis(400));
    let file = folder.open(Some(short), &delay).await;
    let error = read(&file, "own").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error}");
    assert!(error.message().contains("limits.hdf5_worker_time") && error.message().contains("'own'"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    // What needs no worker is served.
    read(&file, "own_source").await.unwrap();
    // The shape of this one was not found when the file was opened; the next request opens it anew.
    let Some(Node::Unreadable { reason }) = file.tree().get("counted") else { panic!("not refused") };
    assert!(reason.contains("limits.hdf5_worker_time") && file.is_outdated(), "{reason}");
}

/// A program that does `body` in place of a worker.
fn script(body: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("worker");
    std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    (folder, path)
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_crash_or_talk_nonsense_are_told_by_name() {
    let folder = Folder::new();
    for (body, words) in [
        ("kill -SEGV $$", "signal: 11"),
        ("exit 3", "exit status: 3"),
        ("printf '\\377\\377\\377\\377\\377\\377\\377\\377'; exec sleep 600", "ended unexpectedly"),
    ] {
        let (_keep, path) = script(body);
        let file = folder.open(Some(library(path, 1, 1 << 30, MINUTE)), &Arc::default()).await;
        for _ in 0..2 {
            let error = read(&file, "rows").await.unwrap_err();
            assert_eq!(error.kind(), Kind::Unavailable, "{error}");
            assert!(error.message().contains(words) && error.message().contains("'rows'"), "{body}: {error}");
        }
    }
    let file = folder.open(Some(library("/nowhere/at/all".into(), 1, 1 << 30, MINUTE)), &Arc::default()).await;
    assert_eq!(read(&file, "rows").await.unwrap_err().kind(), Kind::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_frees_its_worker() {
    const MEMORY: u64 = (1 << 30) + 3;
    let (folder, delay) = (Folder::new(), Arc::<Delay>::default());
    let library = library(program(), 1, MEMORY, MINUTE);
    let (file, other) = slow_pair(&library, &delay, &folder).await;
    let before = (processes(MEMORY), delay.reads.load(Ordering::SeqCst));
    delay.set(Duration::from_secs(1));
    let gone = async {
        until("a range is asked for", || delay.reads.load(Ordering::SeqCst) > before.1).await;
    };
    tokio::select! {
        result = read(&file, "nested") => panic!("answered: {result:?}"),
        () = gone => {}
    }
    delay.set(Duration::ZERO);
    let start = Instant::now();
    read(&other, "rows").await.unwrap();
    read(&file, "nested").await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    assert_eq!(processes(MEMORY), before.0, "the same process");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_confined() {
    let folder = Folder::new();
    // Less memory than the program itself needs: it does not start, and the request says so.
    let file = folder.open(Some(library(program(), 1, 1 << 20, MINUTE)), &Arc::default()).await;
    let error = read(&file, "rows").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error}");
}
