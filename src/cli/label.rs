//! `label`: attaches labels to an artifact, or takes them off.

use clap::Args;
use serde_json::{Value, json};

use super::source::Named;
use super::{Common, list, print};
use crate::error::Result;

/// Options of `label`.
#[derive(Debug, Args)]
pub(super) struct Label {
    #[command(flatten)]
    named: Named,
    /// Labels to attach; created when new.
    #[arg(required = true, value_name = "NAME")]
    labels: Vec<String>,
    /// Feature of which the labels are values.
    #[arg(long)]
    feature: Option<String>,
    /// Take the labels off instead.
    #[arg(long)]
    remove: bool,
}

impl Label {
    pub(super) async fn run(self, common: &Common) -> Result<()> {
        let mut body = self.named.body();
        let label = |name: &String| match &self.feature {
            Some(feature) => json!({"name": name, "feature": feature}),
            None => json!(name),
        };
        if let Some(fields) = body.as_object_mut() {
            fields.insert("labels".into(), self.labels.iter().map(label).collect::<Vec<Value>>().into());
        }
        let action = if self.remove { "unlabel" } else { "label" };
        let artifact = common.target().await?.one(action, &body).await?;
        if common.json {
            return print::json(&artifact);
        }
        print::line(&format!("labels: {}", list::labels(&artifact)))
    }
}
