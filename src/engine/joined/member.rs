//! The open members of a collection of AnnData.

use std::collections::HashMap;
use std::sync::Arc;

use lru::LruCache;
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use super::axis::{self, JoinedAxis};
use crate::error::{Error, Kind, Result, ResultExt};
use crate::format::Hierarchy;
use crate::format::anndata::axes::Axis;
use crate::format::anndata::frame::Frame;
use crate::format::anndata::legacy::alias;
use crate::format::anndata::meaning::Meaning;
use crate::format::anndata::summary::summary;
use crate::format::anndata::view::View;
use crate::model::artifact::Artifact;
use crate::model::request::Join;
use crate::read::context::ReadContext;
use crate::read::united::categories::UnitedCategories;

/// Columns whose united categories are kept.
const KEPT_COLUMNS: std::num::NonZeroUsize = std::num::NonZeroUsize::new(64).unwrap();

/// One AnnData of a collection.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) artifact: Artifact,
    pub(super) hierarchy: Hierarchy,
    pub(super) obs: Frame,
    view: View,
}

impl Member {
    /// The AnnData in `hierarchy`.
    ///
    /// # Errors
    /// `Unimplemented` when it is none, `DataLoss` when it has no table of observations.
    pub(super) fn new(artifact: Artifact, hierarchy: Hierarchy) -> Result<Self> {
        let Some(view) = View::at(hierarchy.tree(), "") else {
            return Err(Error::unimplemented("it is no AnnData, and only these are read as one"));
        };
        let obs = view.frame(hierarchy.tree(), Axis::Observations)?;
        Ok(Self { artifact, hierarchy, obs, view })
    }

    /// What its node at `path` means; none when it has no such node.
    pub(super) fn meaning(&self, path: &str) -> Result<Option<Meaning>> {
        match self.view.meaning(self.hierarchy.tree(), &alias(self.hierarchy.tree(), path)) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == Kind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| self.named()),
        }
    }

    /// The table of one of its axes.
    pub(super) fn frame(&self, axis: Axis) -> Result<Frame> {
        match axis {
            Axis::Observations => Ok(self.obs.clone()),
            _ => self.view.frame(self.hierarchy.tree(), axis).with_context(|| self.named()),
        }
    }

    /// What it has, for listings.
    fn summary(&self) -> Value {
        summary(self.hierarchy.tree(), &self.view)
    }

    /// `artifact 'key'`, for messages.
    pub(super) fn named(&self) -> String {
        format!("artifact '{}'", self.artifact.key)
    }
}

/// All members of a collection, in order, and what was learnt of them together.
#[derive(Debug)]
pub(in crate::engine) struct Members {
    members: Vec<Member>,
    /// Joined axes: variables and variables of raw, by each join.
    axes: Mutex<HashMap<(Axis, Join), Arc<JoinedAxis>>>,
    /// United categories by column; none where only values can be united.
    pub(super) categories: Mutex<LruCache<String, Option<Arc<UnitedCategories>>>>,
}

impl Members {
    pub(super) fn new(members: Vec<Member>) -> Self {
        Self { members, axes: Mutex::default(), categories: Mutex::new(LruCache::new(KEPT_COLUMNS)) }
    }

    /// The members in order.
    pub(super) fn all(&self) -> &[Member] {
        &self.members
    }

    /// Observations of all members.
    pub(super) fn rows(&self) -> u64 {
        self.members.iter().fold(0, |total, member| total.saturating_add(member.obs.rows))
    }

    /// Observations of each member.
    pub(super) fn lengths(&self) -> Vec<u64> {
        self.members.iter().map(|member| member.obs.rows).collect()
    }

    /// The joined variables; the names of all members are read once.
    ///
    /// # Errors
    /// `InvalidArgument` naming a member with a name twice, and the errors of reading.
    pub(super) async fn axis(&self, context: &ReadContext, axis: Axis, join: Join) -> Result<Arc<JoinedAxis>> {
        let mut known = self.axes.lock().await;
        if let Some(joined) = known.get(&(axis, join)) {
            return Ok(Arc::clone(joined));
        }
        let joined = Arc::new(axis::join(context, &self.members, axis, join).await?);
        known.insert((axis, join), Arc::clone(&joined));
        Ok(joined)
    }

    /// The attributes that a joined AnnData has, with their members: obs has `columns`.
    pub(super) fn attributes(&self, columns: Vec<String>) -> Value {
        let summaries: Vec<Value> = self.members.iter().map(Member::summary).collect();
        let names = |summary: &Value, attribute: &str| -> Vec<String> {
            let names = summary["attributes"][attribute].as_array().into_iter().flatten();
            names.filter_map(|name| name.as_str().map(str::to_owned)).collect()
        };
        let mut attributes = Map::new();
        for attribute in ["layers", "obs", "obsm"] {
            let common = match attribute {
                "obs" => columns.clone(),
                _ => {
                    let mut lists = summaries.iter().map(|summary| names(summary, attribute));
                    let first = lists.next().unwrap_or_default();
                    lists.fold(first, |all, list| crate::model::index_join::intersection(all, &list))
                }
            };
            if !common.is_empty() {
                attributes.insert(attribute.to_owned(), json!(common));
            }
        }
        Value::Object(attributes)
    }

    /// What X is in each member: its type and encoding, joined by commas where they differ.
    pub(super) fn summary_of_x(&self) -> Value {
        let of = |name: &str| {
            let mut found: Vec<String> = Vec::new();
            for member in &self.members {
                let word = member.summary()["X"][name].as_str().unwrap_or("none").to_owned();
                if !found.contains(&word) {
                    found.push(word);
                }
            }
            found.join(", ")
        };
        json!({ "dtype": of("dtype"), "encoding": of("encoding") })
    }
}
