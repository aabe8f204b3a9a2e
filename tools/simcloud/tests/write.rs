//! Writes: put, multipart, delete, buckets.

mod support;

use object_store::path::Path;
use object_store::{
    Error, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion,
};
use support::{Scene, pattern};

#[tokio::test]
async fn put_and_get() {
    let scene = Scene::new().await;
    let client = scene.client("closed", "testsecret");
    let path = Path::from("deep/er/a b+c.bin");
    let content = pattern(1_500_000);
    let put = client.put(&path, PutPayload::from(content.clone())).await.unwrap();
    assert!(std::fs::read(scene.path("closed/deep/er/a b+c.bin")).unwrap() == content);
    let found = client.get(&path).await.unwrap();
    assert_eq!(found.meta.e_tag, put.e_tag);
    assert!(found.bytes().await.unwrap() == content);
    assert_eq!(std::fs::read_dir(scene.path(".simcloud")).unwrap().count(), 0);
}

#[tokio::test]
async fn conditional_put() {
    let scene = Scene::new().await;
    let client = scene.client("closed", "testsecret");
    let path = Path::from("a");
    let create = PutOptions::from(PutMode::Create);
    let first = client.put_opts(&path, "one".into(), create.clone()).await.unwrap();
    let again = client.put_opts(&path, "two".into(), create).await;
    assert!(matches!(again, Err(Error::AlreadyExists { .. })), "{again:?}");
    let version = UpdateVersion { e_tag: first.e_tag, version: None };
    let update = PutOptions::from(PutMode::Update(version));
    client.put_opts(&path, "three".into(), update.clone()).await.unwrap();
    let stale = client.put_opts(&path, "four".into(), update).await;
    assert!(matches!(stale, Err(Error::Precondition { .. })), "{stale:?}");
    assert_eq!(std::fs::read(scene.path("closed/a")).unwrap(), b"three");
}

#[tokio::test]
async fn keys_that_cannot_be_stored() {
    let scene = Scene::new().await;
    let client = scene.client("closed", "testsecret");
    scene.file("closed/a", "file");
    scene.file("closed/b/c", "file");
    assert!(client.put(&Path::from("a/x"), "x".into()).await.is_err());
    assert!(client.put(&Path::from("b"), "x".into()).await.is_err());
    assert!(scene.server.log().iter().all(|entry| entry.status == 400));
    assert_eq!(std::fs::read_dir(scene.path(".simcloud")).unwrap().count(), 0);
}

#[tokio::test]
async fn multipart() {
    let scene = Scene::new().await;
    let client = scene.client("closed", "testsecret");
    let path = Path::from("big");
    let content = pattern(11_000_000);
    let mut upload = client.put_multipart(&path).await.unwrap();
    for part in content.chunks(5 << 20) {
        upload.put_part(PutPayload::from(part.to_vec())).await.unwrap();
    }
    let done = upload.complete().await.unwrap();
    let found = client.get(&path).await.unwrap();
    assert_eq!(found.meta.e_tag, done.e_tag);
    assert!(found.bytes().await.unwrap() == content);
    assert_eq!(std::fs::read_dir(scene.path(".simcloud")).unwrap().count(), 0);
}

#[tokio::test]
async fn multipart_given_up() {
    let scene = Scene::new().await;
    let client = scene.client("closed", "testsecret");
    let mut upload = client.put_multipart(&Path::from("big")).await.unwrap();
    upload.put_part(PutPayload::from(pattern(5 << 20))).await.unwrap();
    upload.abort().await.unwrap();
    assert!(!scene.path("closed/big").exists());
    assert_eq!(std::fs::read_dir(scene.path(".simcloud")).unwrap().count(), 0);
}

#[tokio::test]
async fn delete() {
    let scene = Scene::new().await;
    let client = scene.client("closed", "testsecret");
    scene.file("closed/x/y/a", "1");
    scene.file("closed/x/b", "2");
    client.delete(&Path::from("x/y/a")).await.unwrap();
    assert!(!scene.path("closed/x/y").exists() && scene.path("closed/x/b").exists());
    client.delete(&Path::from("x/b")).await.unwrap();
    assert!(!scene.path("closed/x").exists() && scene.path("closed").exists());
    let missing = client.get(&Path::from("x/b")).await;
    assert!(matches!(missing, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn upload_cut_short_leaves_nothing() {
    use tokio::io::AsyncWriteExt;
    let scene = Scene::new().await;
    let client = scene.client("closed", "testsecret");
    let span = std::time::Duration::from_secs(60);
    let path = Path::from("a");
    let url = object_store::signer::Signer::signed_url(&client, "PUT".parse().unwrap(), &path, span).await.unwrap();
    let target = format!("{}?{}", url.path(), url.query().unwrap());
    let head = format!("PUT {target} HTTP/1.1\r\nhost: {}\r\n", scene.server.address());
    let mut stream = tokio::net::TcpStream::connect(scene.server.address()).await.unwrap();
    stream.write_all(format!("{head}content-length: 100\r\n\r\nhalf").as_bytes()).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    drop(stream);
    for _ in 0..100 {
        if scene.server.stats().in_flight == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    // The folder is there because the upload was begun, and empty because it failed.
    assert_eq!(std::fs::read_dir(scene.path(".simcloud")).unwrap().count(), 0);
    assert!(!scene.path("closed/a").exists());
}
