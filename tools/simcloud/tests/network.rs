//! The network profile: latency, bandwidth of one body, bandwidth of all.

mod support;

use std::time::{Duration, Instant};

use futures::future::join_all;
use simcloud::{Config, Profile, Server};
use support::{Scene, ask, pattern};

async fn timed(scene: &Scene, path: &str) -> Duration {
    let begun = Instant::now();
    assert_eq!(scene.get(path).await.status, 200);
    begun.elapsed()
}

#[tokio::test]
async fn latency() {
    let profile = Profile { latency_ms: 60.0, ..Profile::default() };
    let scene = Scene::with_profile(profile).await;
    scene.file("open/a", "hello");
    let mut took: Vec<Duration> = Vec::new();
    for _ in 0..9 {
        took.push(timed(&scene, "/open/a").await);
    }
    took.sort();
    assert!(took[0] >= Duration::from_millis(60), "{took:?}");
    assert!(took[4] < Duration::from_millis(200), "{took:?}");
    let mut quickest = Duration::MAX;
    for _ in 0..5 {
        let begun = Instant::now();
        scene.admin("GET", "/_sim/stats", "").await;
        quickest = quickest.min(begun.elapsed());
    }
    assert!(quickest < Duration::from_millis(60), "admin is delayed");
}

#[tokio::test]
async fn bandwidth_of_one_body() {
    let profile = Profile { connection_mbps: Some(20.0), ..Profile::default() };
    let scene = Scene::with_profile(profile).await;
    scene.file("open/a", pattern(4_000_000));
    timed(&scene, "/open/a").await;
    let took = timed(&scene, "/open/a").await;
    assert!(took >= Duration::from_millis(190) && took < Duration::from_secs(1), "{took:?}");
    let begun = Instant::now();
    join_all((0..8).map(|_| scene.get("/open/a"))).await;
    assert!(begun.elapsed() < Duration::from_millis(1400), "bodies do not share it");
}

#[tokio::test]
async fn bandwidth_of_all() {
    let profile = Profile { total_mbps: Some(20.0), ..Profile::default() };
    let scene = Scene::with_profile(profile).await;
    scene.file("open/a", pattern(1_000_000));
    timed(&scene, "/open/a").await;
    let begun = Instant::now();
    join_all((0..4).map(|_| scene.get("/open/a"))).await;
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(190) && took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test]
async fn profile_changes_at_run_time() {
    let scene = Scene::new().await;
    scene.file("open/a", "hello");
    scene.admin("POST", "/_sim/profile", r#"{"latency_ms": 150}"#).await;
    assert!(timed(&scene, "/open/a").await >= Duration::from_millis(150));
    let profile = scene.admin("POST", "/_sim/profile", "{}").await;
    assert_eq!(profile["latency_ms"], 0.0);
    assert!(timed(&scene, "/open/a").await < Duration::from_millis(150));
    for text in [r#"{"latency": 1}"#, r#"{"latency_ms": -1}"#, r#"{"total_mbps": 0}"#] {
        let reply = ask(scene.server.address(), "POST", "/_sim/profile", &[], text).await;
        assert_eq!(reply.status, 400, "{text}");
    }
    assert!(scene.server.set_profile(Profile { jitter_ms: -1.0, ..Profile::default() }).is_err());
}

#[tokio::test]
async fn etags_known_at_the_start_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("open/deep")).unwrap();
    std::fs::write(folder.path().join("open/deep/a"), "hello").unwrap();
    let config = Config {
        root: folder.path().to_path_buf(),
        anonymous_buckets: vec!["open".to_owned()],
        warm_etags: true,
        ..Config::default()
    };
    let server = Server::start(config).await.unwrap();
    let reply = ask(server.address(), "HEAD", "/open/deep/a", &[], "").await;
    assert_eq!(reply.header("etag"), Some("\"5d41402abc4b2a76b9719d911017c592\""));
}

#[tokio::test]
async fn start_refuses_what_makes_no_sense() {
    let nowhere = Config { root: "/no/such/folder".into(), ..Config::default() };
    assert!(Server::start(nowhere).await.is_err());
    let profile = Profile { latency_ms: f64::NAN, ..Profile::default() };
    assert!(Server::start(Config { profile, ..Config::default() }).await.is_err());
}

#[tokio::test]
async fn shutdown_lets_requests_end() {
    let scene = Scene::with_profile(Profile { latency_ms: 200.0, ..Profile::default() }).await;
    scene.file("open/a", "hello");
    let Scene { server, folder } = scene;
    let address = server.address();
    let asking = tokio::spawn(async move { ask(address, "GET", "/open/a", &[], "").await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.shutdown().await;
    assert_eq!(asking.await.unwrap().body, b"hello");
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    drop(folder);
}
