//! What a command works on: a registry file, or a running server.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use serde_json::{Map, Value};

use super::Common;
use crate::config::Config;
use crate::engine::{BatchStream, Engine, EngineOptions};
use crate::error::{Error, Result};
use crate::flight::{act, client::Client};
use crate::model::request::SliceRequest;
use crate::ticket::encode_request;

/// Entries of one page.
const PAGE: u64 = 1_000;

/// Does actions and gets slices.
#[derive(Debug)]
pub(super) enum Target {
    /// An engine of this process.
    Local(Arc<Engine>),
    /// A server.
    Remote(Client),
}

impl Common {
    /// The configuration of this process with the common flags over it, and `flags` over those.
    pub(super) fn configuration(&self, mut flags: Vec<(&'static str, String)>) -> Result<Config> {
        flags.extend(self.registry.clone().map(|path| ("registry", path)));
        Config::from_process(self.config.as_deref(), flags)
    }

    /// Connects to the server, or opens the registry.
    pub(super) async fn target(&self) -> Result<Target> {
        match &self.server {
            Some(url) => Client::connect(url).await.map(Target::Remote),
            None => {
                let config = self.configuration(Vec::new())?;
                let options = EngineOptions { user: user(), ..config.engine_options() };
                Engine::open(options).await.map(Target::Local)
            }
        }
    }
}

impl Target {
    /// Does an action; one JSON value per result.
    pub(super) async fn action(&self, name: &str, body: &Value) -> Result<Vec<Value>> {
        self.action_bytes(name, body.to_string().into_bytes()).await
    }

    /// Does an action that answers in pages: all results of all pages, up to `limit`.
    pub(super) async fn pages(
        &self,
        name: &str,
        mut body: Map<String, Value>,
        limit: Option<u64>,
    ) -> Result<Vec<Value>> {
        let mut entries = Vec::new();
        loop {
            let left = limit.map(|limit| limit.saturating_sub(entries.len() as u64));
            body.insert("limit".into(), left.unwrap_or(PAGE).min(PAGE).into());
            entries.extend(self.action(name, &Value::Object(body.clone())).await?);
            let is_page = |last: &Value| last.get("type").and_then(Value::as_str) == Some("page");
            let Some(Value::Object(mut page)) = entries.pop_if(|last| is_page(last)) else { return Ok(entries) };
            if limit.is_some_and(|limit| entries.len() as u64 >= limit) {
                return Ok(entries);
            }
            body.insert("page_token".into(), page.remove("next_page_token").unwrap_or_default());
        }
    }

    /// Does an action that has one result.
    pub(super) async fn one(&self, name: &str, body: &Value) -> Result<Value> {
        first(name, self.action(name, body).await?)
    }

    /// What a slice would read.
    pub(super) async fn explain(&self, request: &SliceRequest) -> Result<Value> {
        first("explain", self.action_bytes("explain", encode_request(request)).await?)
    }

    /// Streams a slice: its schema, and its batches in order.
    pub(super) async fn get(&self, request: &SliceRequest) -> Result<(SchemaRef, BatchStream)> {
        match self {
            Self::Local(engine) => {
                let slice = engine.prepare(request, &[]).await?;
                Ok((slice.schema(), slice.stream(None)))
            }
            Self::Remote(client) => client.get(request).await,
        }
    }

    async fn action_bytes(&self, name: &str, body: Vec<u8>) -> Result<Vec<Value>> {
        match self {
            Self::Local(engine) => act(engine, name, &body).await,
            Self::Remote(client) => client.action(name, body).await,
        }
    }
}

/// Whoever runs the command, as the environment says; nobody checks it.
fn user() -> String {
    let names = ["USER", "LOGNAME", "USERNAME"];
    names.into_iter().find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty())).unwrap_or_default()
}

fn first(name: &str, results: Vec<Value>) -> Result<Value> {
    let found = results.len();
    results
        .into_iter()
        .next()
        .filter(|_| found == 1)
        .ok_or_else(|| Error::data_loss(format!("action '{name}' has {found} results, expected one")))
}
