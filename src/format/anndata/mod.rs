//! AnnData meaning as a view over a tree of HDF5 or zarr nodes: which nodes make a data frame, a
//! sparse matrix, a categorical. It reads nothing: everything is said by attributes and shapes.
//!
//! Encodings are those of anndata's registry (`encoding-type`, `encoding-version`); files older than
//! 0.7 carry none and are known by their compound data sets (see [`legacy`]).

pub mod axes;
pub mod frame;
pub mod legacy;
pub mod meaning;
pub mod summary;

use crate::model::tree::{Node, Tree};

/// Whether the tree is an AnnData file: by its root encoding, or by the layout of older files.
pub fn is_anndata(tree: &Tree) -> bool {
    if tree.text_attribute("", "encoding-type") == Some("anndata") {
        return true;
    }
    let table = |name: &str| match tree.get(name) {
        Some(Node::Array(array)) => matches!(array.data_type, crate::model::data_type::DataType::Struct { .. }),
        Some(Node::Group { attributes }) => attributes.contains_key("_index"),
        _ => false,
    };
    table("obs") && table("var")
}
