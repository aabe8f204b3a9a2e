//! Which of AnnData's axes the dimensions of a node follow.

use crate::model::tree::normalise;

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

/// The axes that the first dimensions of the node at `path`, below the root of an AnnData, follow; dimensions beyond have none.
/// Empty for nodes that belong to no axis (`uns`, generic paths).
pub fn axes_of(path: &str) -> &'static [Axis] {
    use Axis::{Observations, RawVariables, Variables};
    let path = normalise(path);
    let mut parts = path.split('/');
    match (parts.next().unwrap_or(""), parts.next()) {
        ("X", None) | ("layers", Some(_)) => &[Observations, Variables],
        ("raw", Some("X")) | ("raw.X", None) => &[Observations, RawVariables],
        ("raw", Some("var" | "varm")) | ("raw.var" | "raw.varm", _) => &[RawVariables],
        ("obs" | "obsm", _) => &[Observations],
        ("var" | "varm", _) => &[Variables],
        ("obsp", Some(_)) => &[Observations, Observations],
        ("varp", Some(_)) => &[Variables, Variables],
        _ => &[],
    }
}
