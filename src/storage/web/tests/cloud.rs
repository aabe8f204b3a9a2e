//! Clients of cloud stores against scripted servers: what leads elsewhere is not followed, options are not shown.

use std::collections::BTreeMap;

use super::server::{Asked, Scripted, Told};
use crate::error::Kind;
use crate::storage::{RetryPolicy, StorageKind, StorageOptions, Storages};

fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn storages() -> Storages {
    let retry = RetryPolicy { max_retries: 0, ..RetryPolicy::default() };
    Storages::new(StorageOptions { retry, ..StorageOptions::default() })
}

/// A root of every cloud at `endpoint`.
fn roots(endpoint: &str) -> [(&'static str, StorageKind, BTreeMap<String, String>); 4] {
    let azure = format!("{endpoint}/account");
    let account = [("endpoint", azure.as_str()), ("account", "account"), ("access_key", "aHVzaA==")];
    [
        ("s3://bucket/in", StorageKind::S3, options(&[("endpoint", endpoint), ("anonymous", "true")])),
        ("gs://bucket/in", StorageKind::Gcs, options(&[("endpoint", endpoint), ("token", "hush")])),
        ("az://bucket/in", StorageKind::Azure, options(&account)),
        ("abfss://bucket@account.dfs.core.windows.net/in", StorageKind::Azure, options(&account)),
    ]
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let other = Scripted::start(|asked| Told::ranged(asked, b"stolen").with("etag", "\"x\"")).await;
    let target = other.url();
    let server = Scripted::start(move |_: &Asked| Told::status(307).with("location", format!("{target}/x"))).await;
    let storages = storages();
    for (root, kind, options) in roots(&server.url()) {
        assert_eq!(storages.add(root, options).unwrap().kind, kind);
        let asked = server.log().len();
        let error = storages.head(&format!("{root}/x.h5ad")).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable, "{root}: {error}");
        assert!(error.message().contains(&format!("{root}/x.h5ad")) && error.message().contains("307"), "{error}");
        assert_eq!(server.log().len(), asked + 1, "{root}");
    }
    assert!(other.log().is_empty(), "nobody went there");
}

#[tokio::test]
async fn credentials_go_to_the_store_and_refusals_are_told_without_them() {
    let server = Scripted::start(|_: &Asked| Told { status: 403, ..Told::whole(b"<Error>hush AKID</Error>") }).await;
    let storages = storages();
    for (root, _, options) in roots(&server.url()) {
        storages.add(root, options).unwrap();
        let error = storages.head(&format!("{root}/x.h5ad")).await.unwrap_err();
        assert_eq!(error.message(), format!("object {root}/x.h5ad: the store refuses access"));
        assert!(!format!("{error:?}").contains("hush"), "{error:?}");
    }
    let sent: Vec<_> =
        server.log().iter().map(|asked| asked.header("authorization").unwrap_or("").to_owned()).collect();
    assert_eq!((sent[0].as_str(), sent[1].as_str()), ("", "Bearer hush"));
    assert!(sent[2].starts_with("SharedKey account:") && sent[3].starts_with("SharedKey account:"), "{sent:?}");
}

#[test]
fn options_are_checked_by_name_and_not_shown() {
    let storages = storages();
    for (root, name) in [
        ("gs://b", "region"),
        ("gs://b", "endpoint"),
        ("gs://b", "service_account_key"),
        ("gs://b", "anonymous"),
        ("az://b", "region"),
        ("az://b", "endpoint"),
        ("az://b", "allow_http"),
        ("az://b", "authority_host"),
        ("abfss://b@account.dfs.core.windows.net", "use_azure_cli"),
    ] {
        let error = storages.add(root, options(&[(name, "hush")])).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidArgument, "{root} {name}: {error}");
        assert!(error.message().contains(root) && !error.message().contains("hush"), "{error}");
    }
    let unnamed = storages.add("az://b", options(&[("access_key", "aHVzaA==")])).unwrap_err();
    assert!(unnamed.message().contains("account"), "{unnamed}");
}

#[test]
fn spellings_of_a_store_are_one_root() {
    let storages = storages();
    let account = || options(&[("account", "account"), ("access_key", "aHVzaA==")]);
    for (root, expected) in [
        ("gcs://bucket/a/", "gs://bucket/a"),
        ("abfs://container/a", "az://container/a"),
        ("azure://container/a", "az://container/a"),
        ("adl://container/a", "az://container/a"),
        ("abfs://c@account.blob.core.windows.net/a", "abfss://c@account.dfs.core.windows.net/a"),
    ] {
        let given = if root.starts_with("gcs") { options(&[("anonymous", "true")]) } else { account() };
        assert_eq!(storages.add(root, given).unwrap().url, expected);
    }
    assert_eq!(storages.resolve("abfss://container/a/b").unwrap().url, "az://container/a/b");
    for (url, kind) in [
        ("abfss://c@account.dfs.core.windows.net.evil.org/a", Kind::InvalidArgument),
        ("abfss://c@other.dfs.core.windows.net/a/b", Kind::PermissionDenied),
        ("abfss://c:hush@account.dfs.core.windows.net/a/b", Kind::InvalidArgument),
        ("az://container/a/../b", Kind::PermissionDenied),
        ("gs://bucket/ab", Kind::PermissionDenied),
        ("gs://user@bucket/a", Kind::InvalidArgument),
    ] {
        let error = storages.resolve(url).unwrap_err();
        assert_eq!(error.kind(), kind, "{url}: {error}");
        assert!(!error.message().contains("hush"), "{error}");
    }
}

#[tokio::test]
async fn azure_listings_have_the_etags_of_reads_and_suffixes_become_ranges() {
    let server = Scripted::start(|asked| {
        if asked.target.contains("comp=list") {
            let blob = |name: &str| {
                format!(
                    "<Blob><Name>in/{name}</Name><Properties><Last-Modified>Sun, 06 Nov 1994 08:49:37 GMT\
                     </Last-Modified><Etag>0x1</Etag><Content-Length>6</Content-Length>\
                     <Content-Type>text/plain</Content-Type></Properties></Blob>"
                )
            };
            let text = format!(
                "<?xml version=\"1.0\"?><EnumerationResults><Blobs>{}{}</Blobs><NextMarker/></EnumerationResults>",
                blob("a"),
                blob("b")
            );
            return Told::whole(text.as_bytes());
        }
        let stored = Told::ranged(asked, b"abcdef");
        stored.with("etag", "\"0x1\"").with("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")
    })
    .await;
    let storages = storages();
    let (root, _, options) = roots(&server.url()).into_iter().nth(2).unwrap();
    storages.add(root, options).unwrap();
    let files = storages.list_files(root).await.unwrap();
    assert_eq!(
        files.iter().map(|file| (file.path.as_str(), file.etag.as_str())).collect::<Vec<_>>(),
        [("a", "\"0x1\""), ("b", "\"0x1\"")]
    );
    assert_eq!(storages.head("az://bucket/in/a").await.unwrap().etag, files[0].etag);
    let folder = storages.folder(root).await.unwrap();
    let (end, size) = folder.read_edge("a", crate::storage::reader::Edge::End, 2).await.unwrap().unwrap();
    assert_eq!((end.as_ref(), size), (b"ef".as_slice(), 6));
    assert_eq!(server.log().last().unwrap().header("if-match"), Some("\"0x1\""), "of the version that was measured");
    let location = storages.resolve("az://bucket/in").unwrap();
    let after: Vec<_> = futures::TryStreamExt::try_collect(
        location.store.list_with_offset(Some(&location.path), &object_store::path::Path::from("in/a")),
    )
    .await
    .unwrap();
    assert_eq!(after.len(), 1, "not the offset itself");
}
