//! One fault: which requests it strikes, how often, and what it does to them.
//!
//! The JSON form is strict: an unknown field, kind or method is refused, so that
//! a test does not pass because its fault was misspelt.

use serde::{Deserialize, Serialize};

/// What befalls a request that is struck. An answer without a body (HEAD, 304) is
/// not changed by `Short` and `Corrupt`; under `Stall` its headers do not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// An error answer with this status instead of the object.
    Status(u16),
    /// This many milliseconds more before the first byte.
    Slow(u64),
    /// The headers come, the body never does.
    Stall,
    /// The body is cut after half and the connection closed.
    Short,
    /// The connection is closed before the answer's headers.
    Reset,
    /// One byte in the middle of the body is flipped.
    Corrupt,
    /// As S3 answers a caller who may get objects and not list them: listings are refused with status 403,
    /// and so is what does not exist.
    Unlisted,
}

/// A fault to be injected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Document", into = "Document")]
pub struct Fault {
    /// Strikes only requests whose `bucket/key` contains this; empty for all.
    pub pattern: String,
    /// Strikes only these methods (`GET`, `HEAD`, `LIST`, `PUT`, …); empty for all.
    pub methods: Vec<String>,
    /// Strikes every so many-th matching request; 1 for each.
    pub every: u64,
    /// Ends after so many strikes.
    pub count: Option<u64>,
    /// What it does.
    pub kind: FaultKind,
}

impl Fault {
    /// A fault of `kind` that strikes every request until it is cleared.
    pub fn new(kind: FaultKind) -> Self {
        Self { pattern: String::new(), methods: Vec::new(), every: 1, count: None, kind }
    }

    /// Whether the fault is meant for requests of this method and `bucket/key`.
    pub(crate) fn matches(&self, method: &str, target: &str) -> bool {
        let method_meant = self.methods.is_empty() || self.methods.iter().any(|name| name == method);
        method_meant && target.contains(&self.pattern)
    }
}

/// The methods a fault may name.
const METHODS: [&str; 6] = ["GET", "HEAD", "LIST", "PUT", "POST", "DELETE"];

/// The JSON form of a fault.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default, rename = "match")]
    pattern: String,
    #[serde(default)]
    methods: Vec<String>,
    #[serde(default = "one")]
    every: u64,
    #[serde(default)]
    count: Option<u64>,
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delay_ms: Option<u64>,
}

/// The default of `every`.
fn one() -> u64 {
    1
}

impl TryFrom<Document> for Fault {
    type Error = String;

    fn try_from(document: Document) -> Result<Self, String> {
        if document.every == 0 {
            return Err("every must be 1 or more".to_owned());
        }
        if let Some(name) = document.methods.iter().find(|name| !METHODS.contains(&name.as_str())) {
            return Err(format!("unknown method {name}; known are {}", METHODS.join(", ")));
        }
        let kind = kind(&document)?;
        let Document { pattern, methods, every, count, .. } = document;
        Ok(Self { pattern, methods, every, count, kind })
    }
}

/// The kind a document names, with its one parameter.
fn kind(document: &Document) -> Result<FaultKind, String> {
    let parameters = (document.status, document.delay_ms);
    match (document.kind.as_str(), parameters) {
        ("status", (Some(status @ 200..=599), None)) => Ok(FaultKind::Status(status)),
        ("status", _) => Err("kind status needs status (200 to 599) and no delay_ms".to_owned()),
        ("slow", (None, Some(delay))) => Ok(FaultKind::Slow(delay)),
        ("slow", _) => Err("kind slow needs delay_ms and no status".to_owned()),
        ("stall", (None, None)) => Ok(FaultKind::Stall),
        ("short", (None, None)) => Ok(FaultKind::Short),
        ("reset", (None, None)) => Ok(FaultKind::Reset),
        ("corrupt", (None, None)) => Ok(FaultKind::Corrupt),
        ("unlisted", (None, None)) => Ok(FaultKind::Unlisted),
        (name @ ("stall" | "short" | "reset" | "corrupt" | "unlisted"), _) => {
            Err(format!("kind {name} takes neither status nor delay_ms"))
        }
        (name, _) => {
            Err(format!("unknown kind {name}; known are status, slow, stall, short, reset, corrupt, unlisted"))
        }
    }
}

impl From<Fault> for Document {
    fn from(fault: Fault) -> Self {
        let (kind, status, delay_ms) = match fault.kind {
            FaultKind::Status(status) => ("status", Some(status), None),
            FaultKind::Slow(delay) => ("slow", None, Some(delay)),
            FaultKind::Stall => ("stall", None, None),
            FaultKind::Short => ("short", None, None),
            FaultKind::Reset => ("reset", None, None),
            FaultKind::Corrupt => ("corrupt", None, None),
            FaultKind::Unlisted => ("unlisted", None, None),
        };
        let Fault { pattern, methods, every, count, .. } = fault;
        Self { pattern, methods, every, count, kind: kind.to_owned(), status, delay_ms }
    }
}
