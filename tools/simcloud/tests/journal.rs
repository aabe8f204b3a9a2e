//! Counters, the log and their reset.

mod support;

use std::time::Duration;

use simcloud::{Fault, FaultKind};
use support::{Scene, pattern};

#[tokio::test]
async fn counters() {
    let scene = Scene::new().await;
    scene.file("open/a", pattern(1000));
    scene.file("open/b", pattern(300_000));
    scene.get("/open/a").await;
    scene.ask("GET", "/open/a", &[("range", "bytes=10-19")]).await;
    scene.get("/open/b").await;
    scene.ask("HEAD", "/open/b", &[]).await;
    scene.ask("PUT", "/open/b", &[]).await;
    let list = scene.get("/open?list-type=2").await.body.len() as u64;
    let stats = scene.server.stats();
    assert_eq!(stats.requests, 6);
    let by_method: Vec<(&str, u64)> = stats.by_method.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    assert_eq!(by_method, [("GET", 3), ("HEAD", 1), ("LIST", 1), ("PUT", 1)]);
    let a = stats.by_object["open/a"];
    assert_eq!((a.requests, a.bytes_sent), (2, 1010));
    assert_eq!(stats.by_object["open/b"].requests, 3);
    assert!(stats.bytes_sent >= 301_010 + list);
    assert_eq!((stats.in_flight, stats.max_in_flight), (0, 1));
    let json = scene.admin("GET", "/_sim/stats", "").await;
    assert_eq!(json["by_object"]["open/a"]["bytes_sent"], 1010);
    assert_eq!(json["requests"], 6);
}

#[tokio::test]
async fn log() {
    let scene = Scene::new().await;
    scene.file("open/a b", pattern(1000));
    scene.get("/open/a%20b").await;
    scene.ask("GET", "/open/a%20b", &[("range", "bytes=-10"), ("if-match", "*")]).await;
    scene.ask("HEAD", "/open/a%20b", &[]).await;
    scene.get("/open?list-type=2&prefix=a").await;
    scene.get("/open/none").await;
    let log = scene.admin("GET", "/_sim/log", "").await;
    let rows = log.as_array().unwrap();
    let text = |row: usize, name: &str| rows[row][name].to_string();
    assert_eq!(rows.len(), 5);
    assert_eq!((text(0, "range"), text(0, "bytes"), text(0, "seq")), ("[0,1000]".into(), "1000".into(), "0".into()));
    assert_eq!((text(1, "range"), text(1, "status")), ("[990,1000]".into(), "206".into()));
    assert_eq!((text(1, "if_match"), text(0, "if_match")), ("\"*\"".into(), "null".into()));
    assert_eq!((text(2, "method"), text(2, "range")), ("\"HEAD\"".into(), "null".into()));
    assert_eq!((text(3, "method"), text(3, "key")), ("\"LIST\"".into(), "\"a\"".into()));
    assert_eq!((text(4, "status"), text(4, "range")), ("404".into(), "null".into()));
    assert_eq!(text(0, "key"), "\"a b\"");
    assert!(rows[0]["millis"].as_f64().unwrap() > 0.0);
    assert!(rows[0]["arrived"].as_f64() <= rows[1]["arrived"].as_f64());
}

#[tokio::test]
async fn reset() {
    let scene = Scene::new().await;
    scene.file("open/a", "hello");
    scene.server.set_fault(Fault::new(FaultKind::Slow(1)));
    scene.get("/open/a").await;
    scene.admin("POST", "/_sim/reset", "").await;
    let stats = scene.server.stats();
    assert_eq!((stats.requests, stats.bytes_sent, stats.faults_injected), (0, 0, 0));
    assert!(stats.by_object.is_empty() && scene.server.log().is_empty());
    assert_eq!(stats.faults.len(), 1);
    scene.get("/open/a").await;
    assert_eq!(scene.server.log()[0].seq, 0);
}

#[tokio::test]
async fn in_flight_through_a_reset() {
    let scene = Scene::new().await;
    scene.file("open/a", "hello");
    scene.server.set_fault(Fault::new(FaultKind::Slow(300)));
    let asks = async { tokio::join!(scene.get("/open/a"), scene.get("/open/a"), scene.get("/open/a")) };
    let watch = async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        assert_eq!(scene.server.stats().in_flight, 3);
        scene.server.reset();
    };
    tokio::join!(asks, watch);
    let stats = scene.server.stats();
    assert_eq!((stats.in_flight, stats.max_in_flight, stats.requests), (0, 3, 0));
    assert!(scene.server.log().is_empty());
}

#[tokio::test]
async fn log_is_complete_when_the_answer_is() {
    let scene = Scene::new().await;
    scene.file("open/a", pattern(700_000));
    for count in 1..50 {
        scene.get("/open/a").await;
        assert_eq!(scene.server.log().len(), count);
        assert_eq!(scene.server.stats().bytes_sent, 700_000 * count as u64);
    }
}
