//! GET and HEAD: ranges, conditions, what is absent, and keys that try to leave.

mod support;

use std::os::unix::fs::PermissionsExt;

use support::{Scene, pattern};

#[tokio::test]
async fn whole_object() {
    let scene = Scene::new().await;
    let content = pattern(3_000_001);
    scene.file("open/folder/a b.bin", &content);
    let reply = scene.get("/open/folder/a%20b.bin").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.length(), content.len());
    assert!(reply.body == content);
    assert_eq!(reply.header("accept-ranges"), Some("bytes"));
    assert!(reply.header("last-modified").unwrap().ends_with(" GMT"));
    assert_eq!(reply.header("content-range"), None);
}

#[tokio::test]
async fn etag_is_the_md5() {
    let scene = Scene::new().await;
    scene.file("open/a", "hello");
    for method in ["GET", "HEAD"] {
        let reply = scene.ask(method, "/open/a", &[]).await;
        assert_eq!(reply.header("etag"), Some("\"5d41402abc4b2a76b9719d911017c592\""));
    }
}

#[tokio::test]
async fn ranges() {
    let scene = Scene::new().await;
    let content = pattern(2_000_000);
    scene.file("open/a", &content);
    let cases = [
        ("bytes=0-0", 0..1),
        ("bytes=10-19", 10..20),
        ("bytes=600000-1999998", 600_000..1_999_999),
        ("bytes=1999990-", 1_999_990..2_000_000),
        ("bytes=1999990-5000000", 1_999_990..2_000_000),
        ("bytes=-7", 1_999_993..2_000_000),
        ("bytes=-3000000", 0..2_000_000),
    ];
    for (header, expected) in cases {
        let reply = scene.ask("GET", "/open/a", &[("range", header)]).await;
        assert_eq!(reply.status, 206, "{header}");
        assert!(reply.body == content[expected.clone()], "{header}");
        let spelt = format!("bytes {}-{}/2000000", expected.start, expected.end - 1);
        assert_eq!(reply.header("content-range"), Some(spelt.as_str()));
        let head = scene.ask("HEAD", "/open/a", &[("range", header)]).await;
        assert_eq!((head.length(), head.body.len()), (expected.len(), 0), "{header}");
    }
}

#[tokio::test]
async fn ranges_that_cannot_be() {
    let scene = Scene::new().await;
    scene.file("open/a", "0123456789");
    scene.file("open/empty", "");
    for (path, header, size) in [
        ("/open/a", "bytes=10-", 10),
        ("/open/a", "bytes=-0", 10),
        ("/open/empty", "bytes=0-", 0),
        ("/open/empty", "bytes=-1", 0),
    ] {
        let reply = scene.ask("GET", path, &[("range", header)]).await;
        assert_eq!(reply.status, 416, "{header}");
        assert_eq!(reply.header("content-range"), Some(format!("bytes */{size}").as_str()));
        assert!(reply.text().contains("<Code>InvalidRange</Code>"));
    }
    assert_eq!(scene.get("/open/empty").await.status, 200);
}

#[tokio::test]
async fn conditions_on_the_etag() {
    let scene = Scene::new().await;
    scene.file("open/a", "hello");
    let etag = "\"5d41402abc4b2a76b9719d911017c592\"";
    let list = format!("\"x\", {etag}");
    let cases = [
        ("if-match", etag, 200),
        ("if-match", "*", 200),
        ("if-match", list.as_str(), 200),
        ("if-match", "\"x\"", 412),
        ("if-none-match", etag, 304),
        ("if-none-match", "*", 304),
        ("if-none-match", "\"x\"", 200),
    ];
    for method in ["GET", "HEAD"] {
        for (name, value, status) in cases {
            let reply = scene.ask(method, "/open/a", &[(name, value)]).await;
            assert_eq!(reply.status, status, "{method} {name}: {value}");
            if status == 304 {
                assert_eq!((reply.header("etag"), reply.body.len()), (Some(etag), 0));
            }
        }
    }
    let ranged = scene.ask("GET", "/open/a", &[("if-match", "\"x\""), ("range", "bytes=0-1")]).await;
    assert_eq!(ranged.status, 412);
}

#[tokio::test]
async fn conditions_on_the_time() {
    let scene = Scene::new().await;
    scene.file("open/a", "hello");
    let changed = scene.get("/open/a").await.header("last-modified").unwrap().to_owned();
    let (before, after) = ("Mon, 01 Jan 2001 00:00:00 GMT", "Thu, 01 Jan 2099 00:00:00 GMT");
    let cases = [
        ("if-modified-since", before, 200),
        ("if-modified-since", changed.as_str(), 304),
        ("if-modified-since", after, 304),
        ("if-unmodified-since", before, 412),
        ("if-unmodified-since", changed.as_str(), 200),
        ("if-unmodified-since", after, 200),
    ];
    for (name, value, status) in cases {
        let reply = scene.ask("GET", "/open/a", &[(name, value)]).await;
        assert_eq!(reply.status, status, "{name}: {value}");
    }
}

#[tokio::test]
async fn replaced_file_has_a_new_etag() {
    let scene = Scene::new().await;
    for how in ["in place", "by rename"] {
        scene.file("open/a", "first");
        let old = scene.get("/open/a").await.header("etag").unwrap().to_owned();
        if how == "in place" {
            scene.file("open/a", "again");
        } else {
            scene.file("new", "again");
            std::fs::rename(scene.path("new"), scene.path("open/a")).unwrap();
        }
        let refused = scene.ask("GET", "/open/a", &[("if-match", &old)]).await;
        assert_eq!(refused.status, 412, "{how}");
        let reply = scene.get("/open/a").await;
        assert_eq!(reply.body, b"again", "{how}");
        assert_ne!(reply.header("etag"), Some(old.as_str()), "{how}");
    }
    std::fs::remove_file(scene.path("open/a")).unwrap();
    assert_eq!(scene.get("/open/a").await.status, 404);
}

#[tokio::test]
async fn absent_objects_and_buckets() {
    let scene = Scene::new().await;
    scene.file("open/folder/a", "x");
    for path in ["/open/none", "/open/folder", "/open/folder/", "/open/folder/a/b", "/open/none/x"] {
        for method in ["GET", "HEAD"] {
            assert_eq!(scene.ask(method, path, &[]).await.status, 404, "{method} {path}");
        }
        assert!(scene.get(path).await.text().contains("NoSuchKey"), "{path}");
    }
    std::fs::remove_dir_all(scene.path("open")).unwrap();
    assert!(scene.get("/open/a").await.text().contains("NoSuchBucket"));
    assert_eq!(scene.ask("HEAD", "/open", &[]).await.status, 404);
}

#[tokio::test]
async fn keys_do_not_leave_the_root() {
    let scene = Scene::new().await;
    scene.file("outside", "secret");
    scene.file("closed/a", "secret");
    for path in [
        "/open/../outside",
        "/open/%2e%2e/outside",
        "/open/..%2foutside",
        "/open/x/../../closed/a",
        "/open/%2fetc/passwd",
        "/open//etc/passwd",
        "/open/.%2e%2fclosed%2fa",
        "/open/../../../../../../etc/passwd",
    ] {
        let reply = scene.get(path).await;
        assert!((400..500).contains(&reply.status), "{path} {}", reply.status);
        assert!(!reply.text().contains("secret") && !reply.text().contains("root:"), "{path}");
    }
    let listed = scene.get("/open?list-type=2&prefix=..%2Fclosed%2F").await;
    assert!(!listed.text().contains("<Contents>"), "{}", listed.text());
}

#[tokio::test]
async fn file_cut_while_it_is_read_breaks_the_body() {
    let scene = Scene::new().await;
    scene.file("open/a", pattern(64 << 20));
    let address = scene.server.address();
    let mut stream = support::send(address, "GET", "/open/a", &[], "").await;
    let mut bytes = vec![0; 1000];
    tokio::io::AsyncReadExt::read_exact(&mut stream, &mut bytes).await.unwrap();
    std::fs::OpenOptions::new().write(true).open(scene.path("open/a")).unwrap().set_len(10).unwrap();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut bytes).await;
    assert!(bytes.len() < 64 << 20);
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let scene = Scene::new().await;
    scene.file("open/a", "hello");
    let mut stream = tokio::net::TcpStream::connect(scene.server.address()).await.unwrap();
    for _ in 0..3 {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        stream.write_all(b"GET /open/a HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"hello") {
            assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0);
        }
    }
}

#[tokio::test]
async fn unreadable_file_is_refused() {
    let scene = Scene::new().await;
    scene.file("open/a", "hello");
    let shut = std::fs::Permissions::from_mode(0o000);
    std::fs::set_permissions(scene.path("open/a"), shut).unwrap();
    // The superuser reads it all the same.
    let status = scene.get("/open/a").await.status;
    assert!(status == 403 || status == 200, "{status}");
}
