//! SpatialData stores: tables are AnnData views, images and labels are arrays by path, points and shapes
//! are parquet files inside the store, which are no nodes of it.

use super::view::View;
use crate::error::{Error, Result};
use crate::model::tree::{Node, Tree, join};

/// Groups that hold tables: `table` in the first versions.
const TABLES: [&str; 2] = ["tables", "table"];

/// Whether the tree is a SpatialData store.
pub fn is_spatialdata(tree: &Tree) -> bool {
    tree.attributes("").is_some_and(|attributes| attributes.contains_key("spatialdata_attrs"))
}

/// The tables, by path.
pub(super) fn tables(tree: &Tree) -> Vec<View> {
    let members = |group: &&'static str| {
        let group = *group;
        tree.children(group).into_iter().map(move |name| join(group, name)).collect::<Vec<_>>()
    };
    TABLES.iter().flat_map(members).filter_map(|path| View::at(tree, &path)).collect()
}

/// Refuses elements that are parquet files.
///
/// # Errors
/// `Unimplemented` naming the element and what to do.
pub(super) fn refuse_parquet(tree: &Tree, path: &str) -> Result<()> {
    let mut parts = path.split('/');
    let (Some(kind @ ("points" | "shapes")), Some(name)) = (parts.next(), parts.next()) else { return Ok(()) };
    let element = format!("{kind}/{name}");
    let Some(Node::Group { .. }) = tree.get(&element) else { return Ok(()) };
    // The first versions kept the coordinates of shapes as arrays.
    let has_arrays = tree.children(&element).iter().any(|child| tree.array(&join(&element, child)).is_ok());
    if !is_spatialdata(tree) || has_arrays {
        return Ok(());
    }
    Err(Error::unimplemented(format!(
        "'{element}' of a SpatialData store is parquet: register '{element}/{kind}.parquet' as an artifact of its own"
    )))
}
