//! Signatures: needed, checked, and not needed for anonymous buckets.

mod support;

use std::time::Duration;

use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use support::Scene;

#[tokio::test]
async fn signed_requests_are_answered() {
    let scene = Scene::new().await;
    scene.file("closed/a", "hello");
    scene.file("open/a", "hello");
    for bucket in ["closed", "open"] {
        let client = scene.client(bucket, "testsecret");
        let bytes = client.get(&Path::from("a")).await.unwrap().bytes().await.unwrap();
        assert_eq!(bytes.as_ref(), b"hello");
    }
}

#[tokio::test]
async fn wrong_secret_is_refused() {
    let scene = Scene::new().await;
    scene.file("closed/a", "hello");
    let client = scene.client("closed", "wrong");
    let path = Path::from("a");
    assert!(client.get(&path).await.unwrap_err().to_string().contains("403"));
    assert!(client.head(&path).await.is_err());
    assert!(client.put(&path, PutPayload::from_static(b"x")).await.is_err());
    assert!(client.list_with_delimiter(None).await.is_err());
    assert!(scene.server.log().iter().all(|entry| entry.status == 403));
    assert_eq!(std::fs::read(scene.path("closed/a")).unwrap(), b"hello");
}

#[tokio::test]
async fn unsigned_reads_only_of_the_anonymous_bucket() {
    let scene = Scene::new().await;
    scene.file("closed/a", "hello");
    scene.file("open/a", "hello");
    for (method, path) in [
        ("GET", "/closed/a"),
        ("HEAD", "/closed/a"),
        ("GET", "/closed?list-type=2"),
        ("HEAD", "/closed"),
        ("GET", "/closed?location"),
        ("GET", "/"),
        ("PUT", "/open/b"),
        ("DELETE", "/open/a"),
        ("PUT", "/newbucket"),
        ("POST", "/open/b?uploads"),
    ] {
        assert_eq!(scene.ask(method, path, &[]).await.status, 403, "{method} {path}");
    }
    for (method, path) in [
        ("GET", "/open/a"),
        ("HEAD", "/open/a"),
        ("GET", "/open?list-type=2"),
        ("HEAD", "/open"),
        ("GET", "/open?location"),
    ] {
        assert_eq!(scene.ask(method, path, &[]).await.status, 200, "{method} {path}");
    }
    assert!(scene.path("open/a").exists() && !scene.path("newbucket").exists());
}

#[tokio::test]
async fn presigned_address() {
    let scene = Scene::new().await;
    scene.file("closed/a", "hello");
    let client = scene.client("closed", "testsecret");
    let span = Duration::from_secs(60);
    let url = client.signed_url("GET".parse().unwrap(), &Path::from("a"), span).await.unwrap();
    let address = format!("{}?{}", url.path(), url.query().unwrap());
    assert_eq!(scene.get(&address).await.body, b"hello");
    let client = scene.client("closed", "wrong");
    let url = client.signed_url("GET".parse().unwrap(), &Path::from("a"), span).await.unwrap();
    let forged = format!("{}?{}", url.path(), url.query().unwrap());
    assert_eq!(scene.get(&forged).await.status, 403);
}
