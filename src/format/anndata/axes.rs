//! Which of AnnData's axes the dimensions of a node follow.

use crate::model::tree::{Tree, normalise};

/// An axis of an AnnData object: the frame that describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Axis {
    /// Observations (cells).
    Observations,
    /// Variables (genes).
    Variables,
    /// Variables of `raw`.
    RawVariables,
}

impl Axis {
    /// Path of the axis's frame below the root of the AnnData.
    pub fn frame_path(self) -> &'static str {
        match self {
            Self::Observations => "obs",
            Self::Variables => "var",
            Self::RawVariables => "raw/var",
        }
    }
}

/// The axes that the first dimensions of the node at `path`, below the root of an AnnData, follow;
/// dimensions beyond have none.
/// Empty for nodes that belong to no axis: `uns`, generic paths, and the arrays that a column or a
/// matrix is stored as (`obs/cell_type/categories`, `layers/counts/indptr`). Below `obsm` and `varm` a
/// path does not tell a frame's column from a part of a matrix: [`is_part`] does.
pub fn axes_of(path: &str) -> &'static [Axis] {
    use Axis::{Observations, RawVariables, Variables};
    let path = normalise(path);
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["X"] | ["layers", _] => &[Observations, Variables],
        ["raw", "X"] | ["raw.X"] => &[Observations, RawVariables],
        ["raw", "var"] | ["raw", "var", _] | ["raw", "varm", ..] | ["raw.var"] | ["raw.var", _] | ["raw.varm", ..] => {
            &[RawVariables]
        }
        ["obs"] | ["obs", _] | ["obsm", ..] => &[Observations],
        ["var"] | ["var", _] | ["varm", ..] => &[Variables],
        ["obsp", _] => &[Observations, Observations],
        ["varp", _] => &[Variables, Variables],
        _ => &[],
    }
}

/// Whether the node at `path` is one of the arrays that an element above it is stored as: then it
/// follows no axis, though the element may. Columns of data frames are elements of their own.
pub fn is_part(tree: &Tree, path: &str) -> bool {
    let path = normalise(path);
    let Some((parent, _)) = path.rsplit_once('/') else { return false };
    match tree.text_attribute(parent, "encoding-type") {
        Some(encoding) => !matches!(encoding, "dataframe" | "dict" | "raw" | "anndata" | "MuData" | ""),
        None => tree.text_attribute(parent, "h5sparse_format").is_some(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::tree::Node;

    #[test]
    fn parts_of_elements_follow_no_axis() {
        for path in ["layers/counts/data", "obs/cell_type/categories", "obsp/graph/indptr", "raw/X/data", "X/indices"] {
            assert!(axes_of(path).is_empty(), "{path}");
        }
        for path in ["obs/cell_type", "obsm/X_pca", "obsm/frame/column", "raw/var/gene", "varm/PCs"] {
            assert_eq!(axes_of(path).len(), 1, "{path}");
        }
        assert_eq!(axes_of("layers/counts").len(), 2);
    }

    #[test]
    fn a_frame_has_columns_and_a_matrix_parts() {
        let group = |encoding: &str| {
            let attributes = json!({ "encoding-type": encoding }).as_object().cloned().unwrap_or_default();
            Node::Group { attributes }
        };
        let mut tree = Tree::default();
        for (path, encoding) in [("obsm", "dict"), ("obsm/frame", "dataframe"), ("obsm/graph", "csr_matrix")] {
            tree.nodes.insert(path.to_owned(), group(encoding));
        }
        assert!(!is_part(&tree, "obsm/graph") && !is_part(&tree, "obsm/frame/column"));
        assert!(is_part(&tree, "obsm/graph/data"));
    }
}
