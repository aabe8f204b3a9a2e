//! What a request asks for, read from its head without the S3 layer.
//!
//! It serves the log, the counters and the choice of faults. It checks nothing:
//! a request that S3 refuses is described all the same.

use hyper::header::{HeaderName, IF_MATCH};
use hyper::{Method, Request};

/// The parts of a request that are logged and matched against faults.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// The HTTP method, or `LIST` for a listing of objects or buckets.
    pub(crate) method: String,
    /// The bucket, empty where all buckets are meant.
    pub(crate) bucket: String,
    /// The object's key; for a listing its prefix.
    pub(crate) key: String,
    /// The If-Match header.
    pub(crate) if_match: Option<String>,
}

impl Question {
    /// Reads the head of `request`.
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        let path = decode(request.uri().path());
        let path = path.strip_prefix('/').unwrap_or(&path);
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let query = request.uri().query().unwrap_or("");
        let listing = request.method() == Method::GET && key.is_empty() && field(query, "location").is_none();
        let (method, key) = if listing {
            ("LIST".to_owned(), field(query, "prefix").unwrap_or_default())
        } else {
            (request.method().as_str().to_owned(), key.to_owned())
        };
        Self { method, bucket: bucket.to_owned(), key, if_match: header(request, IF_MATCH) }
    }

    /// `bucket/key`, the name of the object in counters and fault patterns.
    pub(crate) fn target(&self) -> String {
        format!("{}/{}", self.bucket, self.key)
    }
}

/// A header as text.
fn header<B>(request: &Request<B>, name: HeaderName) -> Option<String> {
    let value = request.headers().get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// The decoded value of a query field, empty where it has none.
fn field(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (left, right) = pair.split_once('=').unwrap_or((pair, ""));
        (left == name).then(|| decode(&right.replace('+', " ")))
    })
}

/// Undoes percent-encoding; bytes that are not UTF-8 become U+FFFD.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(escaped.unwrap_or(bytes[at]));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{Question, decode};

    fn of(uri: &str) -> Question {
        Question::of(&hyper::Request::get(uri).body(()).unwrap())
    }

    #[test]
    fn names_object_and_listing() {
        let object = of("/bucket/a%20b/c");
        assert_eq!((object.method.as_str(), object.target().as_str()), ("GET", "bucket/a b/c"));
        let listing = of("/bucket?list-type=2&prefix=x%2Fy");
        assert_eq!((listing.method.as_str(), listing.target().as_str()), ("LIST", "bucket/x/y"));
        assert_eq!(of("/bucket?location").method, "GET");
    }

    #[test]
    fn odd_escapes_stay() {
        assert_eq!(decode("a%2"), "a%2");
        assert_eq!(decode("%zz%41%é"), "%zzA%é");
    }
}
