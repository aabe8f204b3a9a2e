//! Workers that hang, crash, are killed or whose client goes away.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sliceflight::error::Kind;

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

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_fails_its_request_only() {
    const MEMORY: u64 = (1 << 30) + 1;
    let (folder, delay) = (Folder::new(), Arc::<Delay>::default());
    let library = library(program(), 1, MEMORY, MINUTE);
    let file = folder.open(Some(library), &delay).await;
    read(&file, "rows").await.unwrap();
    delay.set(Duration::from_millis(1500));
    let before = delay.reads.load(Ordering::SeqCst);
    // The block cache of the worker has the metadata of what it opened; this dataset was not.
    let (kill, request) = (processes(MEMORY), read(&file, "nested"));
    assert_eq!(kill.len(), 1);
    let killed = async {
        let _ = before;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(std::process::Command::new("kill").args(["-9", &kill[0].to_string()]).status().unwrap().success());
    };
    let (result, ()) = tokio::join!(request, killed);
    if let Err(error) = result {
        assert_eq!(error.kind(), Kind::Unavailable, "{error}");
        assert!(error.message().contains("'nested'") && error.message().contains("signal: 9"), "{error}");
    }
    delay.set(Duration::ZERO);
    read(&file, "rows").await.unwrap();
    assert_ne!(processes(MEMORY), kill, "another process");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_takes_too_long_is_ended() {
    const MEMORY: u64 = (1 << 30) + 2;
    let (folder, delay) = (Folder::new(), Arc::<Delay>::default());
    let file = folder.open(Some(library(program(), 1, MEMORY, Duration::from_secs(20))), &delay).await;
    let hung = script("sleep 600");
    let slow = folder.open(None, &delay).await;
    drop(slow);
    read(&file, "own").await.unwrap();
    assert_eq!(processes(MEMORY).len(), 1);
    drop(file);
    until("workers end with their server", || processes(MEMORY).is_empty()).await;

    let start = Instant::now();
    let short = library(hung.1.clone(), 1, MEMORY, Duration::from_millis(400));
    let file = folder.open(Some(short), &delay).await;
    let error = read(&file, "own").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error}");
    assert!(error.message().contains("limits.hdf5_worker_time") && error.message().contains("'own'"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    // What needs no worker is served.
    read(&file, "own_source").await.unwrap();
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
        ("printf '\\377\\377\\377\\377\\377\\377\\377\\377'; sleep 600", "ended unexpectedly"),
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
    let file = folder.open(Some(library(program(), 1, MEMORY, MINUTE)), &delay).await;
    read(&file, "own").await.unwrap();
    let before = processes(MEMORY);
    delay.set(Duration::from_millis(300));
    let reads = delay.reads.load(Ordering::SeqCst);
    let request = tokio::time::timeout(Duration::from_millis(100), read(&file, "large")).await;
    assert!(request.is_err() || delay.reads.load(Ordering::SeqCst) == reads, "it was in the middle");
    delay.set(Duration::ZERO);
    read(&file, "rows").await.unwrap();
    assert_eq!(processes(MEMORY), before, "the same process");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_confined() {
    let folder = Folder::new();
    // Less memory than the program itself needs: it does not start, and the request says so.
    let file = folder.open(Some(library(program(), 1, 1 << 20, MINUTE)), &Arc::default()).await;
    let error = read(&file, "rows").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error}");
}
