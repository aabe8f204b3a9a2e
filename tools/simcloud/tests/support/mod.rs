//! What the tests share: a server over a temporary folder, raw HTTP, and a
//! signing client.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::{ClientOptions, RetryConfig};
use simcloud::{Config, Profile, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A server with the buckets `open` (anonymous) and `closed`.
pub struct Scene {
    pub server: Server,
    pub folder: tempfile::TempDir,
}

impl Scene {
    pub async fn new() -> Self {
        Self::with_profile(Profile::default()).await
    }

    pub async fn with_profile(profile: Profile) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for bucket in ["open", "closed"] {
            std::fs::create_dir(folder.path().join(bucket)).unwrap();
        }
        let config = Config {
            root: folder.path().to_path_buf(),
            anonymous_buckets: vec!["open".to_owned()],
            profile,
            ..Config::default()
        };
        let server = Server::start(config).await.unwrap();
        Self { server, folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file by plain file operations.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// A signing client without retries.
    pub fn client(&self, bucket: &str, secret: &str) -> AmazonS3 {
        AmazonS3Builder::new()
            .with_endpoint(self.server.url())
            .with_region("us-east-1")
            .with_bucket_name(bucket)
            .with_access_key_id("test")
            .with_secret_access_key(secret)
            .with_client_options(ClientOptions::new().with_allow_http(true))
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
            .build()
            .unwrap()
    }

    pub async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
        ask(self.server.address(), method, path, headers, "").await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[]).await
    }

    /// Sends an admin request and gives its JSON.
    pub async fn admin(&self, method: &str, path: &str, body: &str) -> serde_json::Value {
        let reply = ask(self.server.address(), method, path, &[], body).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        serde_json::from_slice(&reply.body).unwrap()
    }
}

/// An answer as it came over the wire.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn length(&self) -> usize {
        self.header("content-length").unwrap().parse().unwrap()
    }
}

/// Sends one request on its own connection and reads until it closes. A status of
/// 0 says that no answer came.
pub async fn ask(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let mut stream = send(address, method, path, headers, body).await;
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    // A reset after the answer is an end like any other.
    let _ = tokio::time::timeout(Duration::from_secs(20), read).await.expect("no end of the answer");
    parse(&bytes)
}

/// Sends one request and leaves the answer to be read.
pub async fn send(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

pub fn parse(bytes: &[u8]) -> Reply {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Reply { status: 0, headers: Vec::new(), body: bytes.to_vec() };
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines
        .map(|line| line.split_once(": ").unwrap_or((line, "")))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    Reply { status, headers, body: bytes[end + 4..].to_vec() }
}

/// Bytes that differ from place to place.
pub fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|place| (place ^ (place >> 8) ^ (place >> 16)) as u8).collect()
}

/// All texts between `<tag>` and `</tag>`.
pub fn tags(xml: &str, tag: &str) -> Vec<String> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    xml.split(&open).skip(1).map(|rest| rest.split(&close).next().unwrap().to_owned()).collect()
}
