//! Building the column index of a matrix because somebody asks for it.

use serde_json::{Value, json};

use super::column_index::Matrix;
use super::{Engine, Found, hierarchy};
use crate::error::{Error, Result, ResultExt};
use crate::model::request::Source;

impl Engine {
    /// Builds the column index of the sparse matrix at `node` of an artifact, when there is none of this version
    /// of it. Waits until it is there, or only begins when `wait` is false. Gives
    /// `{"artifact": …, "node": …, "state": "ready" | "building", …}`. A build for which nobody waits any more
    /// stops, unless it was begun without waiting.
    ///
    /// # Errors
    /// `FailedPrecondition` when the server keeps no column indexes, `InvalidArgument` for a node that is no
    /// sparse matrix, `Unimplemented` for one that has no index, `ResourceExhausted` naming the bound that it
    /// does not fit, and the errors of reading.
    pub async fn build_index(&self, source: &Source, node: &str, wait: bool) -> Result<Value> {
        let Some(indexes) = &self.column_indexes else {
            return Err(Error::failed_precondition(
                "this server keeps no column indexes (column_index.folder is not set)",
            ));
        };
        let artifact = match self.find(source).await? {
            Found::Artifact(artifact) => artifact,
            Found::Collection(collection) => {
                return Err(Error::unimplemented(format!(
                    "column indexes of collection '{}': build those of its artifacts",
                    collection.key
                )));
            }
        };
        let open = self.hierarchy(&artifact, node).await?;
        let named = || format!("artifact '{}'", artifact.key);
        let sparse = hierarchy::sparse_at(&open, node).with_context(named)?;
        let Some(matrix) = Matrix::of(&open, &sparse) else {
            return Err(Error::unimplemented(format!(
                "artifact '{}': a column index of '{node}', whose contents are not pinned to a version",
                artifact.key
            )));
        };
        let context = self.context_at(&artifact.url);
        let built = if wait { indexes.build(&context, &matrix).await } else { indexes.begin(&context, &matrix).await };
        let mut answer = json!({ "artifact": artifact.key, "node": node });
        if let (Value::Object(answer), Value::Object(built)) = (&mut answer, built.with_context(named)?) {
            answer.extend(built);
        }
        Ok(answer)
    }
}
