//! Roots of web servers: versions, ranges, redirects, secrets.

use std::collections::BTreeMap;
use std::time::Duration;

use super::server::{Asked, SILENCE, Scripted, Told};
use crate::error::{Error, Kind};
use crate::storage::{RetryPolicy, StorageKind, StorageOptions, Storages};

const DAY: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn storages() -> Storages {
    Storages::new(StorageOptions {
        retry: RetryPolicy { max_retries: 2, first_pause: Duration::from_millis(1), ..RetryPolicy::default() },
        ..StorageOptions::default()
    })
}

/// The first 10 bytes of the object, and the rest, at the version that is there now.
async fn read(storages: &Storages, url: &str) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let identity = storages.head(url).await?;
    let size = identity.size;
    let reader = storages.open(identity).await?;
    Ok((reader.read(0..10).await?.to_vec(), reader.read(10..size).await?.to_vec()))
}

fn content() -> Vec<u8> {
    (0..100u8).collect()
}

fn tagged(told: Told) -> Told {
    told.with("etag", "\"v1\"")
}

#[tokio::test]
async fn a_strong_etag_goes_with_every_read() {
    let server = Scripted::start(|asked| tagged(Told::ranged(asked, &content()))).await;
    let storages = storages();
    let root = storages.add(&format!("{}/data/", server.url()), options(&[])).unwrap();
    assert_eq!((root.url, root.kind), (format!("{}/data", server.url()), StorageKind::Http));
    let url = format!("{}/data/a%20b%2B.h5", server.url());
    assert_eq!(read(&storages, &url).await.unwrap(), (content()[..10].to_vec(), content()[10..].to_vec()));
    let log = server.log();
    let methods: Vec<_> = log.iter().map(|asked| (asked.method.as_str(), asked.target.as_str())).collect();
    assert_eq!(methods, [("HEAD", "/data/a%20b+.h5"), ("GET", "/data/a%20b+.h5"), ("GET", "/data/a%20b+.h5")]);
    assert!(log[1..].iter().all(|asked| asked.header("if-match") == Some("\"v1\"")));
    assert!(log.iter().all(|asked| asked.header("accept-encoding") == Some("identity")));
    let counted = storages.meter().snapshot();
    assert_eq!((counted.head, counted.get, counted.bytes), (1, 2, 100));
}

#[tokio::test]
async fn without_a_strong_etag_the_next_best_is_compared() {
    type Change = fn(Told) -> Told;
    let cases: [(Change, Change, Option<&str>); 3] = [
        (|told| told.with("etag", "W/\"v1\""), |told| told.with("etag", "W/\"v2\""), None),
        (
            |told| told.with("last-modified", DAY),
            |told| told.with("last-modified", "Sun, 06 Nov 1994 08:49:38 GMT"),
            Some(DAY),
        ),
        (
            |told| told,
            |mut told| {
                told.headers.retain(|(name, _)| *name != "content-range");
                told.with("content-range", "bytes 0-9/101")
            },
            None,
        ),
    ];
    for (before, after, condition) in cases {
        let changed = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let seen = std::sync::Arc::clone(&changed);
        let server = Scripted::start(move |asked| {
            let told = Told::ranged(asked, &content());
            if seen.load(std::sync::atomic::Ordering::Relaxed) { after(told) } else { before(told) }
        })
        .await;
        let storages = storages();
        storages.add(&server.url(), options(&[("pin_by_size", "true")])).unwrap();
        let identity = storages.head(&format!("{}/x", server.url())).await.unwrap();
        let reader = storages.open(identity.clone()).await.unwrap();
        assert_eq!(reader.read(0..10).await.unwrap(), content()[..10]);
        assert_eq!(server.log()[1].header("if-unmodified-since"), condition);
        assert_eq!(server.log()[1].header("if-match"), None, "a weak one never matches");
        changed.store(true, std::sync::atomic::Ordering::Relaxed);
        let error = reader.read(0..10).await.unwrap_err();
        assert_eq!(error.kind(), Kind::FailedPrecondition, "{}: {error}", identity.etag);
        assert!(error.message().contains(&identity.etag), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_tells_no_version_is_refused_unless_its_size_will_do() {
    let server = Scripted::start(|asked| Told::ranged(asked, &content())).await;
    let storages = storages();
    storages.add(&server.url(), options(&[])).unwrap();
    let url = format!("{}/x", server.url());
    let error = storages.head(&url).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unimplemented);
    assert!(error.message().contains("neither an ETag nor a time of modification"), "{error}");
    storages.add(&server.url(), options(&[("pin_by_size", "true")])).unwrap();
    assert_eq!(storages.head(&url).await.unwrap().etag, "size: 100");
}

#[tokio::test]
async fn a_date_of_this_second_is_waited_out() {
    let server = Scripted::start(|_| Told::whole(&content()).with("last-modified", DAY).with("date", DAY)).await;
    let storages = storages();
    storages.add(&server.url(), options(&[])).unwrap();
    let error = storages.head(&format!("{}/x", server.url())).await.unwrap_err();
    assert_eq!((error.kind(), server.log().len()), (Kind::Unavailable, 3));
    assert!(error.message().contains("less than a second ago"), "{error}");
}

#[tokio::test]
async fn servers_without_ranges_are_read_whole_when_small_and_refused_by_name_when_not() {
    let server = Scripted::start(|_| tagged(Told::whole(&content()))).await;
    let url = format!("{}/x", server.url());
    let storages = storages();
    storages.add(&server.url(), options(&[("whole_object_bytes", "100")])).unwrap();
    assert_eq!(read(&storages, &url).await.unwrap(), (content()[..10].to_vec(), content()[10..].to_vec()));
    let folder = storages.folder(&server.url()).await.unwrap();
    assert_eq!(folder.read("x", Some(37..38)).await.unwrap().unwrap(), [37u8][..]);
    assert_eq!(
        folder.read_edge("x", crate::storage::reader::Edge::End, 3).await.unwrap().unwrap().0,
        [97u8, 98, 99][..]
    );
    storages.add(&server.url(), options(&[("whole_object_bytes", "99")])).unwrap();
    let error = read(&storages, &url).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unimplemented);
    let expected = format!(
        "object {url}: the server sent all 100 bytes where a range was asked for; objects of at most 99 bytes \
         (option whole_object_bytes) are read from servers without ranges"
    );
    assert_eq!(error.message(), expected);
}

#[tokio::test]
async fn servers_without_head_or_length_are_asked_for_the_first_byte() {
    for status in [405, 501, 200] {
        let server = Scripted::start(move |asked| {
            let body = if asked.method == "HEAD" {
                Told { without_length: true, ..Told::status(status) }
            } else {
                Told::ranged(asked, &content())
            };
            tagged(body)
        })
        .await;
        let storages = storages();
        storages.add(&server.url(), options(&[])).unwrap();
        let identity = storages.head(&format!("{}/x", server.url())).await.unwrap();
        assert_eq!((identity.size, identity.etag.as_str()), (100, "\"v1\""));
        assert_eq!(server.log()[1].header("range"), Some("bytes=0-0"));
    }
    let server = Scripted::start(|_| tagged(Told { without_length: true, ..Told::whole(&content()) })).await;
    let storages = storages();
    storages.add(&server.url(), options(&[])).unwrap();
    let error = storages.head(&format!("{}/x", server.url())).await.unwrap_err();
    assert!(error.kind() == Kind::Unimplemented && error.message().contains("how large"), "{error}");
}

#[tokio::test]
async fn answers_that_are_not_what_was_asked_are_errors() {
    type Script = fn(&Asked) -> Told;
    let cases: [(Script, Kind); 6] = [
        (
            |_| Told { status: 206, ..Told::whole(b"0123456789") }.with("content-range", "bytes 1-10/100"),
            Kind::Unavailable,
        ),
        (
            |_| Told { status: 206, ..Told::whole(b"0123456789") }.with("content-range", "bytes 0-9/*"),
            Kind::Unimplemented,
        ),
        (|_| Told { status: 206, ..Told::whole(b"0123456789") }, Kind::Unimplemented),
        (
            |_| Told { status: 206, ..Told::whole(b"0123456789") }.with("content-range", "bytes 9-0/100"),
            Kind::Unimplemented,
        ),
        (|asked| Told::ranged(asked, &content()).with("content-encoding", "gzip"), Kind::Unimplemented),
        (|_| Told::status(403), Kind::PermissionDenied),
    ];
    for (number, (script, kind)) in cases.into_iter().enumerate() {
        let server = Scripted::start(move |asked| {
            tagged(if asked.method == "HEAD" { Told::whole(&content()) } else { script(asked) })
        })
        .await;
        let storages = storages();
        storages.add(&server.url(), options(&[])).unwrap();
        let error = read(&storages, &format!("{}/x", server.url())).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{number}: {error}");
        assert!(error.message().contains("/x"), "{error}");
    }
}

#[tokio::test]
async fn failing_servers_are_asked_again_and_given_up() {
    let server = Scripted::start(|_| Told::status(503)).await;
    let storages = storages();
    storages.add(&server.url(), options(&[])).unwrap();
    let url = format!("{}/x", server.url());
    let error = storages.head(&url).await.unwrap_err();
    assert_eq!(
        error.message(),
        format!("object {url} could not be read in 3 attempts: the store answered with status 503")
    );
    assert_eq!((server.log().len(), storages.meter().snapshot().retries), (3, 2));
    storages.add(&server.url(), options(&[("retry_attempts", "0")])).unwrap();
    storages.head(&url).await.unwrap_err();
    assert_eq!(server.log().len(), 4, "a root may have its own patience");
    assert_eq!(storages.head(&format!("{}/../x", server.url())).await.unwrap_err().kind(), Kind::PermissionDenied);
}

#[tokio::test]
async fn folders_cannot_be_listed_and_are_no_objects() {
    let server = Scripted::start(|asked| match asked.target.as_str() {
        "/store.zarr" => Told::redirect("/store.zarr/"),
        _ => Told::status(404),
    })
    .await;
    let storages = storages();
    storages.add(&server.url(), options(&[])).unwrap();
    let error = storages.head(&format!("{}/store.zarr/", server.url())).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound, "{error}");
    let error = storages.list_files(&server.url()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unimplemented);
    assert!(error.message().contains("cannot be listed"), "{error}");
    let folder = storages.folder(&server.url()).await.unwrap();
    assert_eq!(folder.read("absent", None).await.unwrap(), None);
    assert_eq!(folder.list("").await.unwrap_err().kind(), Kind::Unimplemented);
}

#[tokio::test]
async fn redirects_stay_where_the_root_allows() {
    let cdn = Scripted::start(|asked| tagged(Told::ranged(asked, &content()))).await;
    let target = cdn.url();
    let server = Scripted::start(move |asked| match asked.target.as_str() {
        "/own" => Told::redirect("/moved?x=1"),
        "/moved?x=1" => tagged(Told::ranged(asked, &content())),
        "/cdn" => Told::redirect(format!("{target}/x?signature=secret")),
        "/metadata" => Told::redirect("http://169.254.169.254/latest/secret"),
        "/mapped" => Told::redirect("http://[::ffff:a9fe:a9fe]/latest/secret"),
        "/file" => Told::redirect("file:///etc/passwd"),
        "/loop" => Told::redirect("/loop"),
        _ => Told::status(302),
    })
    .await;
    let url = |path: &str| format!("{}/{path}", server.url());
    let storages = storages();
    storages.add(&server.url(), options(&[("token", "sesame")])).unwrap();
    assert_eq!(read(&storages, &url("own")).await.unwrap().0, content()[..10]);
    for path in ["cdn", "metadata", "mapped", "file", "loop", "nowhere"] {
        let error = storages.head(&url(path)).await.unwrap_err();
        let expected = if matches!(path, "loop" | "nowhere") { Kind::Unavailable } else { Kind::PermissionDenied };
        assert_eq!(error.kind(), expected, "{path}: {error}");
        assert!(error.message().contains(path) && !error.message().contains("secret"), "{error}");
    }
    assert!(cdn.log().is_empty(), "nobody was asked");

    let hosts = format!("cdn.example.org,{},169.254.169.254", cdn.address);
    storages.add(&server.url(), options(&[("token", "sesame"), ("redirects", &hosts)])).unwrap();
    assert_eq!(read(&storages, &url("cdn")).await.unwrap().1, content()[10..]);
    assert!(cdn.log().iter().all(|asked| asked.header("authorization").is_none()), "the token stays at home");
    assert!(
        cdn.log().iter().skip(1).all(|asked| asked.header("range").is_some() && asked.header("if-match").is_some())
    );
    assert!(server.log().iter().all(|asked| asked.header("authorization") == Some("Bearer sesame")));
    let error = storages.head(&url("metadata")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::PermissionDenied, "not even when it is named: {error}");
}

#[tokio::test]
async fn hosts_that_resolve_to_inner_addresses_are_inner() {
    let inner = Scripted::start(|asked| tagged(Told::ranged(asked, &content()))).await;
    let port = inner.address.rsplit_once(':').unwrap().1.to_owned();
    let storages = storages();
    storages.add(&format!("http://localhost:{port}"), options(&[])).unwrap();
    assert_eq!(read(&storages, &format!("http://localhost:{port}/x")).await.unwrap().0, content()[..10]);
}

#[test]
fn credentials_and_link_local_hosts_are_no_roots() {
    let storages = storages();
    for (root, kind) in [
        ("http://169.254.169.254/latest", Kind::PermissionDenied),
        ("http://0xa9fea9fe", Kind::PermissionDenied),
        ("http://2852039166/", Kind::PermissionDenied),
        ("http://[fe80::1]/", Kind::PermissionDenied),
        ("http://[::ffff:169.254.169.254]/", Kind::PermissionDenied),
        ("http://0.0.0.0:80/", Kind::PermissionDenied),
        ("http://user:secret@host/", Kind::InvalidArgument),
        ("http:///x", Kind::InvalidArgument),
        ("http://host/x?secret=1", Kind::InvalidArgument),
        ("http://host/x#part", Kind::InvalidArgument),
        ("http://host/%2e%2e/x", Kind::PermissionDenied),
    ] {
        let error = storages.add(root, options(&[])).unwrap_err();
        assert_eq!(error.kind(), kind, "{root}: {error}");
        assert!(!error.message().contains("secret"), "{error}");
    }
    for (name, value) in [
        ("token", "sec\nret"),
        ("redirects", "https://secret.org/x"),
        ("whole_object_bytes", "secret"),
        ("pin_by_size", "secret"),
        ("proxy", "secret"),
        ("password", "secret"),
        ("region", "secret"),
    ] {
        let error = storages.add("https://host", options(&[(name, value)])).unwrap_err();
        assert!(error.kind() == Kind::InvalidArgument && error.message().contains(name), "{name}: {error}");
        assert!(!error.message().contains(value), "{error}");
    }
    let both = options(&[("username", "user:name"), ("password", "secret")]);
    assert!(storages.add("https://host", both).unwrap_err().message().contains("colon"));
    assert!(storages.roots().is_empty());
}

#[test]
fn spellings_of_a_host_are_one_root() {
    let storages = storages();
    storages.add("HTTPS://Data.Example.ORG:443/a/", options(&[])).unwrap();
    let location = storages.resolve("https://data.example.org/a/x%2By.h5").unwrap();
    assert_eq!((location.url.as_str(), location.path.as_ref()), ("https://data.example.org/a/x+y.h5", "a/x+y.h5"));
    for (url, kind) in [
        ("https://data.example.org/ab/x", Kind::PermissionDenied),
        ("http://data.example.org/a/x", Kind::PermissionDenied),
        ("https://data.example.org:444/a/x", Kind::PermissionDenied),
        ("https://data.example.org.evil/a/x", Kind::PermissionDenied),
        ("https://data.example.org/a/../b", Kind::PermissionDenied),
        ("https://data.example.org/a/%2e%2e/b", Kind::PermissionDenied),
        ("https://data.example.org/a/%252e%252e/b", Kind::PermissionDenied),
        ("https://data.example.org/a/b%2fc", Kind::PermissionDenied),
        ("https://data.example.org/a/b%5cc", Kind::PermissionDenied),
        ("https://data.example.org/a//b", Kind::PermissionDenied),
        ("https://data.example.org@evil/a/b", Kind::InvalidArgument),
        ("https://evil\\@data.example.org/a/b", Kind::InvalidArgument),
    ] {
        assert_eq!(storages.resolve(url).unwrap_err().kind(), kind, "{url}");
    }
}

#[tokio::test]
async fn a_public_root_is_not_led_to_inner_names() {
    let inner = Scripted::start(|asked| tagged(Told::ranged(asked, &content()))).await;
    let port = inner.address.rsplit_once(':').unwrap().1.to_owned();
    let origin = url::Url::parse("http://data.example.org/").unwrap();
    let web = super::super::options::WebOptions::default();
    let fetcher = super::super::client::fetcher(&origin, &web, &[], None, Duration::from_secs(1)).unwrap();
    let url = url::Url::parse(&format!("http://localhost:{port}/x")).unwrap();
    let never = super::super::fetcher::never;
    let failure = fetcher.send(&http::Method::GET, url, &http::HeaderMap::new(), never).await.unwrap_err();
    assert_eq!((failure.kind, failure.retry), (Kind::PermissionDenied, false), "{failure}");
    assert!(inner.log().is_empty(), "it was not connected to");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_root_may_have_a_narrower_bound_of_requests() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counting, peak) = (Arc::clone(&now), Arc::clone(&most));
    let server = Scripted::start(move |asked| {
        peak.fetch_max(counting.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(20));
        counting.fetch_sub(1, Ordering::SeqCst);
        tagged(Told::ranged(asked, &content()))
    })
    .await;
    for (bound, expected) in [("1", 1), ("3", 3)] {
        most.store(0, Ordering::SeqCst);
        let storages = storages();
        storages.add(&server.url(), options(&[("requests_in_flight", bound)])).unwrap();
        let identity = storages.head(&format!("{}/x", server.url())).await.unwrap();
        let reader = storages.open(identity).await.unwrap();
        let reads = (0..12).map(|at| reader.read(at..at + 1));
        for read in futures::future::join_all(reads).await {
            read.unwrap();
        }
        assert!(most.load(Ordering::SeqCst) <= expected, "{bound}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn slow_servers_are_given_up_in_the_time_of_their_root() {
    let server = Scripted::start(|_| Told::status(SILENCE)).await;
    let storages = storages();
    let patience = options(&[("request_timeout", "50ms"), ("retry_attempts", "1")]);
    storages.add(&server.url(), patience).unwrap();
    let url = format!("{}/x", server.url());
    let error = storages.head(&url).await.unwrap_err();
    assert_eq!(error.message(), format!("object {url} could not be read in 2 attempts: no answer within 50ms"));
}
