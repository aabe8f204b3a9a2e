//! The command: its one line, its flags, its end.

mod support;

use std::process::Stdio;
use std::time::Duration;

use support::ask;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;

#[tokio::test]
async fn says_where_it_listens_and_stops_on_signals() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("open")).unwrap();
    std::fs::write(folder.path().join("open/a"), "hello").unwrap();
    for signal in ["-TERM", "-INT"] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_simcloud"))
            .arg("--root")
            .arg(folder.path())
            .args(["--listen", "127.0.0.1:0", "--anonymous-bucket", "open", "--latency-ms", "1"])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).await.unwrap();
        let address = line.trim_end().strip_prefix("listening on http://").unwrap().parse().unwrap();
        assert_eq!(ask(address, "GET", "/open/a", &[], "").await.body, b"hello");
        let process = child.id().unwrap().to_string();
        Command::new("kill").args([signal, &process]).status().await.unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(5), child.wait()).await;
        assert!(ended.expect("still running").unwrap().success());
        let mut rest = String::new();
        output.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "");
    }
}

#[tokio::test]
async fn refuses_a_root_that_is_not_there() {
    let status = Command::new(env!("CARGO_BIN_EXE_simcloud"))
        .args(["--root", "/no/such/folder"])
        .stderr(Stdio::null())
        .status()
        .await
        .unwrap();
    assert!(!status.success());
}
