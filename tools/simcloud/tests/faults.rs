//! Each kind of fault, how often it strikes, and the admin paths that set it.

mod support;

use std::time::{Duration, Instant};

use simcloud::{Fault, FaultKind};
use support::{Reply, Scene, ask, parse, pattern, send};
use tokio::io::AsyncReadExt;

const SIZE: usize = 1_000_000;

/// A scene with `open/a` and `open/b/c`, and a fault set by its admin path.
async fn scene(fault: &str) -> Scene {
    let scene = Scene::new().await;
    scene.file("open/a", pattern(SIZE));
    scene.file("open/b/c", pattern(SIZE));
    scene.admin("POST", "/_sim/fault", fault).await;
    scene
}

async fn statuses(scene: &Scene, method: &str, path: &str, times: usize) -> Vec<u16> {
    let mut found = Vec::new();
    for _ in 0..times {
        found.push(scene.ask(method, path, &[]).await.status);
    }
    found
}

fn is_whole(reply: &Reply) -> bool {
    reply.status == 200 && reply.body == pattern(SIZE)
}

#[tokio::test]
async fn status() {
    let scene = scene(r#"{"kind": "status", "status": 503}"#).await;
    let reply = scene.get("/open/a").await;
    assert_eq!(reply.status, 503);
    assert!(reply.text().contains("<Code>SlowDown</Code>"), "{}", reply.text());
    let head = scene.ask("HEAD", "/open/a", &[]).await;
    assert_eq!((head.status, head.body.len()), (503, 0));
    scene.admin("DELETE", "/_sim/fault", "").await;
    assert!(is_whole(&scene.get("/open/a").await));
    scene.server.set_fault(Fault::new(FaultKind::Status(404)));
    assert!(scene.get("/open/a").await.text().contains("NoSuchKey"));
    scene.server.clear_faults();
    assert!(is_whole(&scene.get("/open/a").await));
    assert_eq!(scene.server.stats().faults_injected, 3);
}

#[tokio::test]
async fn every_and_count() {
    let fault = r#"{"kind": "status", "status": 500, "every": 3, "count": 2}"#;
    let scene = scene(fault).await;
    let found = statuses(&scene, "GET", "/open/a", 10).await;
    assert_eq!(found, [200, 200, 500, 200, 200, 500, 200, 200, 200, 200]);
    let stats = scene.server.stats();
    assert!(stats.faults.is_empty() && stats.faults_injected == 2);
}

#[tokio::test]
async fn pattern_and_methods() {
    let fault = r#"{"kind": "status", "status": 500, "match": "open/b/", "methods": ["GET", "LIST"]}"#;
    let scene = scene(fault).await;
    assert_eq!(statuses(&scene, "GET", "/open/a", 2).await, [200, 200]);
    assert_eq!(statuses(&scene, "GET", "/open/b/c", 2).await, [500, 500]);
    assert_eq!(statuses(&scene, "HEAD", "/open/b/c", 1).await, [200]);
    assert_eq!(statuses(&scene, "GET", "/open?list-type=2&prefix=b/", 1).await, [500]);
    assert_eq!(statuses(&scene, "GET", "/open?list-type=2", 1).await, [200]);
    let active = &scene.server.stats().faults[0];
    assert_eq!((active.matched, active.injected), (3, 3));
}

#[tokio::test]
async fn several_at_once() {
    let scene = scene(r#"{"kind": "status", "status": 500, "every": 2}"#).await;
    scene.admin("POST", "/_sim/fault", r#"{"kind": "status", "status": 404, "match": "/b/"}"#).await;
    let delay = r#"{"kind": "slow", "delay_ms": 100, "every": 2}"#;
    let active = scene.admin("POST", "/_sim/fault", delay).await;
    assert_eq!(active.as_array().unwrap().len(), 3);
    assert_eq!(statuses(&scene, "GET", "/open/a", 1).await, [200]);
    let begun = Instant::now();
    assert_eq!(statuses(&scene, "GET", "/open/b/c", 1).await, [500]);
    assert!(begun.elapsed() >= Duration::from_millis(100));
    assert_eq!(statuses(&scene, "GET", "/open/b/c", 1).await, [404]);
}

#[tokio::test]
async fn slow() {
    let scene = scene(r#"{"kind": "slow", "delay_ms": 300, "every": 2}"#).await;
    for slow in [false, true] {
        let begun = Instant::now();
        assert!(is_whole(&scene.get("/open/a").await));
        assert_eq!(begun.elapsed() >= Duration::from_millis(300), slow);
    }
}

#[tokio::test]
async fn stall() {
    let scene = scene(r#"{"kind": "stall"}"#).await;
    for (method, heads) in [("GET", true), ("HEAD", false)] {
        let mut stream = send(scene.server.address(), method, "/open/a", &[], "").await;
        let mut bytes = Vec::new();
        let end = stream.read_to_end(&mut bytes);
        assert!(tokio::time::timeout(Duration::from_millis(300), end).await.is_err());
        let reply = parse(&bytes);
        assert_eq!(reply.status == 200, heads, "{method}");
        assert!(reply.body.is_empty());
        assert_eq!(scene.server.stats().in_flight, 1);
        drop(stream);
        let begun = Instant::now();
        while scene.server.stats().in_flight > 0 {
            assert!(begun.elapsed() < Duration::from_secs(5), "{method}: not noticed");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    assert_eq!(scene.server.log()[0].bytes, 0);
}

#[tokio::test]
async fn short() {
    let scene = scene(r#"{"kind": "short"}"#).await;
    let reply = scene.get("/open/a").await;
    assert_eq!((reply.status, reply.length()), (200, SIZE));
    assert!(reply.body == pattern(SIZE)[..SIZE / 2], "{}", reply.body.len());
    let ranged = scene.ask("GET", "/open/a", &[("range", "bytes=100-109")]).await;
    assert_eq!((ranged.status, ranged.length(), ranged.body.len()), (206, 10, 5));
    let log = scene.server.log();
    assert_eq!((log[0].bytes, log[1].bytes), (SIZE as u64 / 2, 5));
}

#[tokio::test]
async fn reset() {
    let scene = scene(r#"{"kind": "reset", "count": 1}"#).await;
    let reply = scene.get("/open/a").await;
    assert_eq!((reply.status, reply.body.len()), (0, 0));
    assert!(is_whole(&scene.get("/open/a").await));
    assert_eq!(scene.server.log()[0].status, 0);
}

#[tokio::test]
async fn corrupt() {
    let scene = scene(r#"{"kind": "corrupt", "count": 2}"#).await;
    for headers in [&[][..], &[("range", "bytes=0-0")][..]] {
        let reply = ask(scene.server.address(), "GET", "/open/a", headers, "").await;
        let content = &pattern(SIZE)[..reply.length()];
        assert_eq!(reply.body.len(), content.len());
        let wrong = reply.body.iter().zip(content).filter(|(one, other)| one != other).count();
        assert_eq!(wrong, 1);
    }
    assert!(is_whole(&scene.get("/open/a").await));
    assert!(std::fs::read(scene.path("open/a")).unwrap() == pattern(SIZE));
}

#[tokio::test]
async fn faults_that_make_no_sense_are_refused() {
    let scene = Scene::new().await;
    for text in [
        "",
        "{}",
        r#"{"kind": "none"}"#,
        r#"{"kind": "status"}"#,
        r#"{"kind": "status", "status": 99}"#,
        r#"{"kind": "slow"}"#,
        r#"{"kind": "stall", "delay_ms": 5}"#,
        r#"{"kind": "reset", "every": 0}"#,
        r#"{"kind": "reset", "method": ["GET"]}"#,
        r#"{"kind": "reset", "methods": ["get"]}"#,
    ] {
        let reply = ask(scene.server.address(), "POST", "/_sim/fault", &[], text).await;
        assert_eq!(reply.status, 400, "{text}");
        assert!(reply.text().contains("error"), "{text}");
    }
    assert_eq!(ask(scene.server.address(), "GET", "/_sim/none", &[], "").await.status, 404);
    assert!(scene.server.stats().faults.is_empty());
}

/// A caller who may get objects and not list them cannot tell what is missing from what is forbidden.
#[tokio::test]
async fn unlisted() {
    let scene = scene(r#"{"kind": "unlisted", "match": "open/b"}"#).await;
    assert!(is_whole(&scene.get("/open/b/c").await));
    let refused = scene.get("/open/b/missing").await;
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("<Code>AccessDenied</Code>"), "{}", refused.text());
    let head = scene.ask("HEAD", "/open/b/missing", &[]).await;
    assert_eq!((head.status, head.body.len()), (403, 0));
    assert_eq!(scene.get("/open?list-type=2&prefix=b/").await.status, 403);
    assert_eq!(scene.get("/open?list-type=2&prefix=a").await.status, 200);
    assert_eq!(scene.get("/open/missing").await.status, 404);
}
