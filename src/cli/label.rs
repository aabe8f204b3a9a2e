//! `label`: attaches labels to an artifact.

use clap::Args;

use super::source::Named;
use super::{Common, print};
use crate::error::Result;

/// Options of `label`.
#[derive(Debug, Args)]
pub(super) struct Label {
    #[command(flatten)]
    named: Named,
    /// Labels to attach; created when new.
    #[arg(required = true, value_name = "NAME")]
    labels: Vec<String>,
}

impl Label {
    pub(super) async fn run(self, common: &Common) -> Result<()> {
        let mut body = self.named.body();
        if let Some(fields) = body.as_object_mut() {
            fields.insert("labels".into(), self.labels.into());
        }
        let artifact = common.target().await?.one("label", &body).await?;
        if common.json {
            return print::json(&artifact);
        }
        let labels = artifact.get("labels").and_then(|labels| labels.as_array().cloned()).unwrap_or_default();
        let labels: Vec<_> = labels.iter().filter_map(|label| label.as_str()).collect();
        print::line(&format!("labels: {}", labels.join(", ")))
    }
}
