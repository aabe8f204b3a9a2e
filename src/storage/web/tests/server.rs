//! A web server whose answers a test scripts: one function from request to answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) target: String,
    /// By lower-case name.
    pub(super) headers: HashMap<String, String>,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The range that was asked for, cut to `length`.
    pub(super) fn range(&self, length: usize) -> Option<std::ops::Range<usize>> {
        let (first, last) = self.header("range")?.strip_prefix("bytes=")?.split_once('-')?;
        if first.is_empty() {
            return Some(length - last.parse::<usize>().unwrap().min(length)..length);
        }
        let end = if last.is_empty() { length } else { last.parse::<usize>().unwrap() + 1 };
        Some(first.parse().unwrap()..end.min(length))
    }
}

/// Status of an answer that never comes: the connection stays open.
pub(super) const SILENCE: u16 = 0;

/// An answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
    /// Whether the length is left out, so that the body ends with the connection.
    pub(super) without_length: bool,
}

impl Told {
    pub(super) fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    pub(super) fn whole(body: &[u8]) -> Self {
        Self { status: 200, body: body.to_vec(), ..Self::default() }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn redirect(location: impl Into<String>) -> Self {
        Self::status(302).with("location", location)
    }

    /// The range that was asked for, else the whole.
    pub(super) fn ranged(asked: &Asked, body: &[u8]) -> Self {
        match asked.range(body.len()) {
            Some(range) if range.start >= body.len() => Self::status(416),
            Some(range) => Self { status: 206, body: body[range.clone()].to_vec(), ..Self::default() }
                .with("content-range", format!("bytes {}-{}/{}", range.start, range.end - 1, body.len())),
            None => Self::whole(body),
        }
    }
}

/// A running server and what it was asked.
pub(super) struct Scripted {
    pub(super) address: String,
    log: Arc<Mutex<Vec<Asked>>>,
}

impl Scripted {
    pub(super) async fn start(answer: impl Fn(&Asked) -> Told + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (log, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(answer));
        let kept = Arc::clone(&log);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                tokio::spawn(async move { serve(stream, answer.as_ref(), &log).await });
            }
        });
        Self { address, log: kept }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn log(&self) -> Vec<Asked> {
        self.log.lock().unwrap().clone()
    }
}

async fn serve(stream: TcpStream, answer: &(impl Fn(&Asked) -> Told + ?Sized), log: &Mutex<Vec<Asked>>) -> Option<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    loop {
        let first = lines.next_line().await.ok()??;
        let mut words = first.split(' ').map(str::to_owned);
        let mut asked = Asked { method: words.next()?, target: words.next()?, headers: HashMap::new() };
        loop {
            let line = lines.next_line().await.ok()??;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':')?;
            asked.headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        log.lock().unwrap().push(asked.clone());
        let told = answer(&asked);
        if told.status == SILENCE {
            std::future::pending::<()>().await;
        }
        let mut text = format!("HTTP/1.1 {} Status\r\n", told.status);
        for (name, value) in &told.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        let ends = told.without_length;
        text.push_str(&if ends {
            "connection: close\r\n\r\n".into()
        } else {
            format!("content-length: {}\r\n\r\n", told.body.len())
        });
        write.write_all(text.as_bytes()).await.ok()?;
        if asked.method != "HEAD" {
            write.write_all(&told.body).await.ok()?;
        }
        if ends {
            return None;
        }
    }
}
