//! Listings: order, prefixes, delimiters, pages.

mod support;

use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::path::Path;
use support::{Scene, tags};

/// A scene whose bucket `open` has these keys.
async fn scene(keys: &[&str]) -> Scene {
    let scene = Scene::new().await;
    for key in keys {
        scene.file(&format!("open/{key}"), key);
    }
    scene
}

/// Keys and common prefixes of one page.
async fn page(scene: &Scene, query: &str) -> (Vec<String>, Vec<String>, String) {
    let reply = scene.get(&format!("/open?list-type=2&{query}")).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let xml = reply.text();
    let rolled = tags(&xml, "CommonPrefixes").iter().flat_map(|tag| tags(tag, "Prefix")).collect();
    (tags(&xml, "Key"), rolled, xml)
}

#[tokio::test]
async fn keys_come_in_byte_order() {
    let scene = scene(&["a/b", "a.b", "a0", "a/c/d", "B", "é", "a-b/x"]).await;
    std::fs::create_dir(scene.path("open/nothing")).unwrap();
    let (keys, rolled, xml) = page(&scene, "").await;
    assert_eq!(keys, ["B", "a-b/x", "a.b", "a/b", "a/c/d", "a0", "é"]);
    assert!(rolled.is_empty());
    assert_eq!(tags(&xml, "KeyCount"), ["7"]);
    assert_eq!(tags(&xml, "IsTruncated"), ["false"]);
    assert_eq!(tags(&xml, "Size")[0], "1");
    let etag = scene.get("/open/B").await.header("etag").unwrap().to_owned();
    assert_eq!(tags(&xml, "ETag")[0].replace("&quot;", "\""), etag);
}

#[tokio::test]
async fn prefix_and_delimiter() {
    let scene = scene(&["a/b", "a/c/d", "a/c/e", "a/f", "ab/x", "b"]).await;
    std::fs::create_dir(scene.path("open/nothing")).unwrap();
    let cases: [(&str, &[&str], &[&str]); 9] = [
        ("delimiter=/", &["b"], &["a/", "ab/"]),
        ("delimiter=/&prefix=a/", &["a/b", "a/f"], &["a/c/"]),
        ("delimiter=/&prefix=a", &[], &["a/", "ab/"]),
        ("delimiter=/&prefix=a/c", &[], &["a/c/"]),
        ("prefix=a/c/", &["a/c/d", "a/c/e"], &[]),
        ("prefix=a/c/e", &["a/c/e"], &[]),
        ("prefix=none/x", &[], &[]),
        ("prefix=a//", &[], &[]),
        ("delimiter=c&prefix=a/", &["a/b", "a/f"], &["a/c"]),
    ];
    for (query, keys, rolled) in cases {
        let (found_keys, found_rolled, _) = page(&scene, query).await;
        assert_eq!(found_keys, keys, "{query}");
        assert_eq!(found_rolled, rolled, "{query}");
    }
}

#[tokio::test]
async fn start_after_and_max_keys() {
    let scene = scene(&["a", "b/x", "b/y", "c"]).await;
    assert_eq!(page(&scene, "start-after=a").await.0, ["b/x", "b/y", "c"]);
    assert_eq!(page(&scene, "start-after=b/x").await.0, ["b/y", "c"]);
    assert_eq!(page(&scene, "start-after=b/x&delimiter=/").await.1, ["b/"]);
    assert_eq!(page(&scene, "start-after=z").await.0, Vec::<String>::new());
    let (keys, _, xml) = page(&scene, "max-keys=0").await;
    assert!(keys.is_empty() && xml.contains("<IsTruncated>false<"));
    let (keys, _, xml) = page(&scene, "max-keys=4").await;
    assert!(keys.len() == 4 && xml.contains("<IsTruncated>false<"));
    assert_eq!(scene.get("/open?list-type=2&continuation-token=x").await.status, 400);
}

#[tokio::test]
async fn small_pages_join_to_the_whole() {
    let scene = scene(&["a", "b/x", "b/y", "b/z/1", "c", "d/x", "e.f", "e/x"]).await;
    for base in ["", "delimiter=/", "prefix=b/", "delimiter=/&prefix=b/", "delimiter=x"] {
        let (keys, rolled, _) = page(&scene, base).await;
        for size in 1..4 {
            let (mut joined_keys, mut joined_rolled) = (Vec::new(), Vec::new());
            let mut token = String::new();
            loop {
                let (more_keys, more_rolled, xml) = page(&scene, &format!("{base}&max-keys={size}{token}")).await;
                assert!(more_keys.len() + more_rolled.len() <= size);
                joined_keys.extend(more_keys);
                joined_rolled.extend(more_rolled);
                match tags(&xml, "NextContinuationToken").first() {
                    Some(next) => token = format!("&continuation-token={}", next.replace('/', "%2F")),
                    None => break,
                }
            }
            assert_eq!((&joined_keys, &joined_rolled), (&keys, &rolled), "{base} by {size}");
        }
    }
}

#[tokio::test]
async fn more_than_a_thousand_keys() {
    let scene = Scene::new().await;
    for number in 0..2345 {
        scene.file(&format!("closed/part {}/object+{number:05}", number % 7), "x");
    }
    let client = scene.client("closed", "testsecret");
    let found: Vec<_> = client.list(None).try_collect().await.unwrap();
    assert_eq!(found.len(), 2345);
    assert!(found.is_sorted_by(|one, next| one.location < next.location));
    assert_eq!(scene.server.stats().by_method["LIST"], 3);
    let some: Vec<_> = client.list(Some(&Path::from("part 3"))).try_collect().await.unwrap();
    assert_eq!(some.len(), 335);
    let rolled = client.list_with_delimiter(None).await.unwrap();
    assert_eq!(rolled.common_prefixes.len(), 7);
}

#[tokio::test]
async fn file_operations_show_at_once() {
    let scene = scene(&["a", "b"]).await;
    std::fs::remove_file(scene.path("open/a")).unwrap();
    scene.file("open/c/d", "x");
    assert_eq!(page(&scene, "").await.0, ["b", "c/d"]);
}
