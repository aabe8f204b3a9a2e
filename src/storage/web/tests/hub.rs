//! Repositories of Hugging Face: commits, redirects to the CDN, listings.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::server::{Asked, Scripted, Told};
use crate::error::Kind;
use crate::storage::reader::ObjectIdentity;
use crate::storage::{StorageOptions, Storages};

const FIRST: &str = "1111111111111111111111111111111111111111";
const SECOND: &str = "2222222222222222222222222222222222222222";

/// What a commit holds: path and content. Files in `large/` lie at the CDN.
type Tree = Vec<(&'static str, &'static [u8])>;

/// A hub with one dataset `o/r`, and its CDN.
struct Hub {
    hub: Scripted,
    cdn: Scripted,
    /// The commits; the last is `main`.
    commits: Arc<Mutex<Vec<(&'static str, Tree)>>>,
    /// How often the CDN still refuses.
    refusals: Arc<AtomicUsize>,
}

impl Hub {
    async fn start() -> Self {
        let tree: Tree = vec![("small.txt", b"hello"), ("large/a.bin", b"0123456789"), ("large/b/c d.bin", b"abc")];
        let commits = Arc::new(Mutex::new(vec![(FIRST, tree)]));
        let refusals = Arc::new(AtomicUsize::new(0));
        let (kept, left) = (Arc::clone(&commits), Arc::clone(&refusals));
        let cdn = Scripted::start(move |asked| {
            if left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                return Told::status(403);
            }
            let (_, commit, path) = split(asked.target.split('?').next().unwrap());
            match content(&kept.lock().unwrap(), commit, &path) {
                Some((_, bytes)) => Told::ranged(asked, bytes).with("etag", "\"of-the-cdn\""),
                None => Told::status(404),
            }
        })
        .await;
        let (kept, address) = (Arc::clone(&commits), cdn.url());
        let hub = Scripted::start(move |asked| answer(asked, &kept.lock().unwrap(), &address)).await;
        Self { hub, cdn, commits, refusals }
    }

    fn storages(&self, root: &str, more: &[(&str, &str)]) -> Storages {
        let storages = Storages::new(StorageOptions::default());
        let (endpoint, cdn) = (self.hub.url(), self.cdn.address.clone());
        let mut options = vec![("endpoint", endpoint.as_str()), ("redirects", cdn.as_str())];
        options.extend(more);
        if !more.iter().any(|(name, _)| *name == "token") {
            options.push(("anonymous", "true"));
        }
        let options: BTreeMap<_, _> =
            options.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        storages.add(root, options).unwrap();
        storages
    }

    fn push(&self, commit: &'static str, tree: Tree) {
        self.commits.lock().unwrap().push((commit, tree));
    }
}

fn split(target: &str) -> (&str, &str, String) {
    let mut parts = target.trim_start_matches('/').splitn(5, '/');
    let (kind, _, _, _) = (parts.next().unwrap(), parts.next(), parts.next(), ());
    let rest = target.split("/resolve/").nth(1).unwrap_or("");
    let (commit, path) = rest.split_once('/').unwrap_or((rest, ""));
    (kind, commit, path.replace("%20", " "))
}

fn content<'a>(
    commits: &'a [(&'static str, Tree)],
    revision: &str,
    path: &str,
) -> Option<(&'static str, &'a &'static [u8])> {
    let (commit, tree) = match revision {
        "main" => commits.last()?,
        revision => commits.iter().find(|(commit, _)| *commit == revision)?,
    };
    tree.iter().find(|(name, _)| *name == path).map(|(_, bytes)| (*commit, bytes))
}

/// An id of content, as stable as a hash.
fn id(bytes: &[u8]) -> String {
    format!("id-{}-{}", bytes.len(), bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>())
}

fn answer(asked: &Asked, commits: &[(&'static str, Tree)], cdn: &str) -> Told {
    if let Some(rest) = asked.target.strip_prefix("/api/datasets/o/r/") {
        return api(rest, commits);
    }
    if !asked.target.starts_with("/datasets/o/r/resolve/") {
        return Told::status(401);
    }
    let (_, revision, path) = split(&asked.target);
    let Some((commit, bytes)) = content(commits, revision, &path) else { return Told::status(404) };
    if path.starts_with("large/") {
        let place = format!("{cdn}/x/resolve/{commit}/{}?Signature=secret", path.replace(' ', "%20"));
        return Told::redirect(place)
            .with("X-Repo-Commit", commit)
            .with("X-Linked-Etag", format!("\"{}\"", id(bytes)))
            .with("X-Linked-Size", bytes.len().to_string());
    }
    Told::ranged(asked, bytes).with("X-Repo-Commit", commit).with("ETag", format!("W/\"{}\"", id(bytes)))
}

/// Two entries a page.
fn api(rest: &str, commits: &[(&'static str, Tree)]) -> Told {
    if rest == "revision/main" {
        return Told::whole(format!("{{\"sha\": \"{}\", \"more\": 1}}", commits.last().unwrap().0).as_bytes());
    }
    let (path, query) = rest.split_once('?').unwrap();
    let Some(rest) = path.strip_prefix("tree/") else { return Told::status(404) };
    let (commit, folder) = rest.split_once('/').unwrap_or((rest, ""));
    let Some((_, tree)) = commits.iter().find(|(name, _)| *name == commit) else { return Told::status(404) };
    let start: usize = query.split("cursor=").nth(1).map_or(0, |cursor| cursor.parse().unwrap());
    let below: Vec<_> =
        tree.iter().filter(|(path, _)| folder.is_empty() || path.starts_with(&format!("{folder}/"))).collect();
    if below.is_empty() {
        return Told::status(404).with("X-Error-Code", "EntryNotFound");
    }
    let entry = |(path, bytes): &&(&str, &[u8])| {
        let lfs = if path.starts_with("large/") {
            format!(", \"lfs\": {{\"oid\": \"{}\", \"size\": {}, \"pointerSize\": 9}}", id(bytes), bytes.len())
        } else {
            String::new()
        };
        let oid = if lfs.is_empty() { id(bytes) } else { "pointer".into() };
        format!("{{\"type\": \"file\", \"oid\": \"{oid}\", \"size\": {}, \"path\": \"{path}\"{lfs}}}", bytes.len())
    };
    let mut entries: Vec<String> = below.iter().skip(start).take(2).map(entry).collect();
    entries.insert(0, "{\"type\": \"directory\", \"oid\": \"t\", \"size\": 0, \"path\": \"large\"}".into());
    let told = Told::whole(format!("[{}]", entries.join(",")).as_bytes());
    if start + 2 < below.len() {
        told.with("Link", format!("</api/datasets/o/r/{path}?recursive=true&cursor={}>; rel=\"next\"", start + 2))
    } else {
        told
    }
}

#[tokio::test]
async fn files_are_read_from_the_commit_that_the_branch_stood_for() {
    let hub = Hub::start().await;
    let storages = hub.storages("hf://datasets/o/r", &[("token", "sesame")]);
    let url = "hf://datasets/o/r/large/a.bin";
    let identity = storages.head(url).await.unwrap();
    let etag = format!("{}@{FIRST}", id(b"0123456789"));
    assert_eq!((identity.size, identity.etag.as_str(), identity.url.as_str()), (10, etag.as_str(), url));
    assert!(hub.cdn.log().is_empty(), "the metadata come before the redirect");

    hub.push(SECOND, vec![("large/a.bin", b"9876543210")]);
    let reader = storages.open(identity).await.unwrap();
    assert_eq!(reader.read(2..5).await.unwrap(), "234");
    assert_eq!(reader.read(0..10).await.unwrap(), "0123456789");
    let asked = hub.hub.log();
    assert_eq!(asked.len(), 2, "the place at the CDN is remembered: {asked:?}");
    assert_eq!(asked[1].target, format!("/datasets/o/r/resolve/{FIRST}/large/a.bin"));
    assert!(asked.iter().all(|asked| asked.header("authorization") == Some("Bearer sesame")));
    let at_cdn = hub.cdn.log();
    assert_eq!(
        at_cdn.iter().map(|asked| asked.header("range").unwrap()).collect::<Vec<_>>(),
        ["bytes=2-4", "bytes=0-9"]
    );
    assert!(at_cdn.iter().all(|asked| asked.header("authorization").is_none() && asked.header("if-match").is_none()));

    let now = storages.head(url).await.unwrap();
    assert!(now.etag.ends_with(SECOND));
    let reader = storages.open(now).await.unwrap();
    assert_eq!(reader.read(0..10).await.unwrap(), "9876543210");
}

#[tokio::test]
async fn small_files_come_from_the_hub_itself() {
    let hub = Hub::start().await;
    let storages = hub.storages("hf://datasets/o/r", &[]);
    let identity = storages.head("hf://datasets/o/r/small.txt").await.unwrap();
    assert_eq!((identity.size, identity.etag.clone()), (5, format!("{}@{FIRST}", id(b"hello"))));
    assert_eq!(storages.open(identity).await.unwrap().read(1..4).await.unwrap(), "ell");
    assert!(hub.cdn.log().is_empty());
    assert!(hub.hub.log().iter().all(|asked| asked.header("authorization").is_none()));
}

#[tokio::test]
async fn a_place_that_is_over_is_asked_for_anew() {
    let hub = Hub::start().await;
    let storages = hub.storages("hf://datasets/o/r", &[]);
    let identity = storages.head("hf://datasets/o/r/large/a.bin").await.unwrap();
    let reader = storages.open(identity).await.unwrap();
    reader.read(0..1).await.unwrap();
    hub.refusals.store(1, Ordering::Relaxed);
    assert_eq!(reader.read(1..2).await.unwrap(), "1");
    assert_eq!((hub.hub.log().len(), hub.cdn.log().len()), (3, 3));
    hub.refusals.store(2, Ordering::Relaxed);
    let error = reader.read(1..2).await.unwrap_err();
    assert_eq!(error.kind(), Kind::PermissionDenied);
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
}

#[tokio::test]
async fn folders_are_listed_page_by_page_and_agree_with_heads() {
    let hub = Hub::start().await;
    let storages = hub.storages("hf://datasets/o/r", &[]);
    let files = storages.list_files("hf://datasets/o/r").await.unwrap();
    let paths: Vec<_> = files.iter().map(|file| (file.path.as_str(), file.size)).collect();
    assert_eq!(paths, [("large/a.bin", 10), ("large/b/c d.bin", 3), ("small.txt", 5)]);
    assert_eq!(storages.meter().snapshot().list, 2);
    for file in &files {
        let url = format!("hf://datasets/o/r/{}", file.path);
        assert_eq!(storages.head(&url).await.unwrap().etag, file.etag, "{url}");
    }
    hub.push(SECOND, vec![("other", b"x")]);
    let pinned = storages.pinned_folder("hf://datasets/o/r", &files).await.unwrap();
    assert_eq!(pinned.read("large/b/c d.bin", None).await.unwrap().unwrap(), "abc");
    let below = storages.list_files(&format!("hf://datasets/o/r@{FIRST}/large")).await;
    assert_eq!(below.unwrap_err().kind(), Kind::PermissionDenied, "another revision is another root");
    let fixed = hub.storages(&format!("hf://datasets/o/r@{FIRST}"), &[]);
    let below = fixed.list_files(&format!("hf://datasets/o/r/large@{FIRST}")).await.unwrap();
    assert_eq!(below.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["a.bin", "b/c d.bin"]);
    assert!(fixed.list_files(&format!("hf://datasets/o/r/nothing@{FIRST}")).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_not_there_or_not_allowed_is_said() {
    let hub = Hub::start().await;
    let storages = hub.storages("hf://datasets/o/r", &[]);
    let missing = storages.head("hf://datasets/o/r/nothing.bin").await.unwrap_err();
    assert_eq!(missing.message(), "object hf://datasets/o/r/nothing.bin does not exist");
    let gone = ObjectIdentity {
        url: "hf://datasets/o/r/small.txt".into(),
        etag: format!("{}@{SECOND}", id(b"hello")),
        version: None,
        size: 5,
    };
    let error = storages.open(gone.clone()).await.unwrap().read(0..1).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound, "its commit is gone: {error}");
    let other = ObjectIdentity { etag: format!("other@{FIRST}"), ..gone };
    let error = storages.open(other).await.unwrap().read(0..1).await.unwrap_err();
    assert_eq!(error.kind(), Kind::FailedPrecondition, "{error}");
    let outside = storages.head("hf://datasets/o/other/x").await.unwrap_err();
    assert_eq!(outside.kind(), Kind::PermissionDenied);
    let private = hub.storages("hf://datasets/o/private", &[]);
    let error = private.head("hf://datasets/o/private/x").await.unwrap_err();
    assert!(error.kind() == Kind::PermissionDenied && error.message().contains("gated"), "{error}");
    let away = Storages::new(StorageOptions::default());
    let endpoint =
        BTreeMap::from([("endpoint".to_owned(), hub.hub.url()), ("anonymous".to_owned(), "true".to_owned())]);
    away.add("hf://datasets/o/r", endpoint).unwrap();
    let identity = away.head("hf://datasets/o/r/large/a.bin").await.unwrap();
    let error = away.open(identity).await.unwrap().read(0..1).await.unwrap_err();
    assert!(error.kind() == Kind::PermissionDenied && error.message().contains("redirects"), "{error}");
    assert!(!error.message().contains("secret"), "{error}");
}

#[test]
fn roots_name_a_repository() {
    let storages = Storages::new(StorageOptions::default());
    for root in ["hf://", "hf://datasets", "hf://datasets/o", "hf://o"] {
        assert_eq!(storages.add(root, BTreeMap::new()).unwrap_err().kind(), Kind::InvalidArgument, "{root}");
    }
    let options = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
    for (name, value) in
        [("endpoint", "https://u:secret@h"), ("endpoint", "secret"), ("anonymous", "secret"), ("x", "secret")]
    {
        let error = storages.add("hf://o/r", options(name, value)).unwrap_err();
        assert!(error.message().contains(name) && !error.message().contains("secret"), "{error}");
    }
    storages.add("hf://o/r", options("anonymous", "true")).unwrap();
    let location = storages.resolve("hf://o/r/a/b.h5").unwrap();
    assert_eq!((location.path.as_ref(), location.url.as_str()), ("o/r/a/b.h5", "hf://o/r/a/b.h5"));
}
