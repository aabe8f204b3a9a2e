//! Which nodes lie below a group, as far as its encoding and attributes tell: what can be read of a store
//! that cannot be listed. Pure; a node that is named here need not be there.

use serde_json::Value;

use crate::model::tree::{Attributes, join};

/// Deepest nesting of the form of an awkward array that is looked through.
const MAX_DEPTH: usize = 64;

/// A node that a group's attributes name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name below the group.
    pub name: String,
    /// Whether the group makes no sense without it.
    pub required: bool,
}

/// What an AnnData holds at most.
const ANNDATA: [&str; 8] = ["X", "layers", "obsm", "varm", "obsp", "varp", "uns", "raw"];
/// What the shared axes of a MuData hold at most.
const MUDATA: [&str; 8] = ["obsm", "varm", "obsp", "varp", "uns", "obsmap", "varmap", "mod"];

/// Parts of a sparse matrix.
const SPARSE: [&str; 3] = ["data", "indices", "indptr"];

/// The members of the group with these attributes; `None` where they do not tell them (mappings such as
/// `layers` or `uns`, generic groups).
pub fn named(attributes: &Attributes) -> Option<Vec<Member>> {
    let text = |name: &str| attributes.get(name).and_then(Value::as_str);
    // The group of the modalities of a MuData.
    if let Some(names) = attributes.get("mod-order").and_then(Value::as_array) {
        return Some(names.iter().filter_map(Value::as_str).map(str::to_owned).map(required).collect());
    }
    if text("h5sparse_format").is_some() {
        return Some(members(&SPARSE, &[]));
    }
    match text("encoding-type")? {
        "anndata" => Some(members(&["obs", "var"], &ANNDATA)),
        "MuData" => Some(members(&["obs", "var"], &MUDATA)),
        "raw" => Some(members(&["X", "var"], &["varm"])),
        "csr_matrix" | "csc_matrix" => Some(members(&SPARSE, &[])),
        "categorical" => Some(members(&["codes", "categories"], &[])),
        "nullable-integer" | "nullable-boolean" | "nullable-string-array" => Some(members(&["values", "mask"], &[])),
        "dataframe" => Some(columns(attributes)),
        "awkward-array" => {
            let form: Value = serde_json::from_str(text("form")?).ok()?;
            let mut names = Vec::new();
            buffers(&form, 0, &mut names);
            Some(names.into_iter().map(required).collect())
        }
        _ => None,
    }
}

/// What a root is looked at for that does not say what it is, as those that anndata wrote before 0.8.
pub fn of_plain_root() -> Vec<Member> {
    members(&[], &["obs", "var"]).into_iter().chain(members(&[], &ANNDATA)).collect()
}

/// The path of the categories of an array at `path` with these attributes, which anndata 0.7 wrote beside the
/// columns of a data frame.
pub fn categories(path: &str, attributes: &Attributes) -> Option<String> {
    let relative = attributes.get("categories")?.as_str()?;
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    Some(join(parent, relative))
}

fn required(name: String) -> Member {
    Member { name, required: true }
}

fn members(always: &[&str], perhaps: &[&str]) -> Vec<Member> {
    let member = |required: bool| move |name: &&str| Member { name: (*name).to_owned(), required };
    always.iter().map(member(true)).chain(perhaps.iter().map(member(false))).collect()
}

/// The columns of a data frame, and its index.
fn columns(attributes: &Attributes) -> Vec<Member> {
    let index = attributes.get("_index").and_then(Value::as_str);
    let order = match attributes.get("column-order") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(name)) => vec![name.as_str()],
        _ => Vec::new(),
    };
    let names = order.into_iter().filter(|name| Some(*name) != index).chain(index);
    let mut found: Vec<Member> = names.map(str::to_owned).map(required).collect();
    found.retain(|member| !member.name.is_empty());
    found
}

/// Names of the buffers of a form and of those below it.
fn buffers(form: &Value, depth: usize, names: &mut Vec<String>) {
    if depth > MAX_DEPTH {
        return;
    }
    let roles: &[&str] = match form.get("class").and_then(Value::as_str).unwrap_or_default() {
        "NumpyArray" => &["data"],
        "ListOffsetArray" => &["offsets"],
        "ListArray" => &["starts", "stops"],
        "IndexedArray" | "IndexedOptionArray" => &["index"],
        "ByteMaskedArray" | "BitMaskedArray" => &["mask"],
        _ => &[],
    };
    if let Some(key) = form.get("form_key").and_then(Value::as_str) {
        names.extend(roles.iter().map(|role| format!("{key}-{role}")));
    }
    let contents = form.get("contents").and_then(Value::as_array).into_iter().flatten();
    for content in form.get("content").into_iter().chain(contents) {
        buffers(content, depth + 1, names);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names(attributes: Value) -> Option<Vec<String>> {
        let found = named(attributes.as_object().unwrap())?;
        Some(found.into_iter().map(|member| member.name).collect())
    }

    #[test]
    fn encodings_tell_their_parts() {
        let of = |encoding: &str| names(json!({ "encoding-type": encoding }));
        assert_eq!(of("csc_matrix").unwrap(), ["data", "indices", "indptr"]);
        assert_eq!(of("categorical").unwrap(), ["codes", "categories"]);
        assert_eq!(of("nullable-boolean").unwrap(), ["values", "mask"]);
        assert_eq!(of("raw").unwrap(), ["X", "var", "varm"]);
        assert_eq!((of("dict"), of("array"), names(json!({}))), (None, None, None));
        assert_eq!(names(json!({ "mod-order": ["rna", "atac"] })).unwrap(), ["rna", "atac"]);
    }

    #[test]
    fn a_frame_has_its_columns_and_its_index_once() {
        let frame = json!({ "encoding-type": "dataframe", "_index": "barcode", "column-order": ["a", "barcode", "b"] });
        assert_eq!(names(frame).unwrap(), ["a", "b", "barcode"]);
        let frame = json!({ "encoding-type": "dataframe", "_index": "i", "column-order": "only" });
        assert_eq!(names(frame).unwrap(), ["only", "i"]);
    }

    #[test]
    fn buffers_of_an_awkward_array_are_those_of_its_form() {
        let leaf = |key: &str| json!({ "class": "NumpyArray", "form_key": key });
        let list = json!({ "class": "ListOffsetArray", "form_key": "node1", "content": leaf("node2") });
        let option = json!({ "class": "ByteMaskedArray", "form_key": "node3", "content": leaf("node4") });
        let form = json!({ "class": "RecordArray", "form_key": "node0", "contents": [list, option] }).to_string();
        let found = names(json!({ "encoding-type": "awkward-array", "form": form })).unwrap();
        assert_eq!(found, ["node1-offsets", "node2-data", "node3-mask", "node4-data"]);
    }

    #[test]
    fn categories_lie_beside_the_column() {
        let attributes = json!({ "categories": "__categories/kind" });
        let found = categories("obs/kind", attributes.as_object().unwrap());
        assert_eq!(found.as_deref(), Some("obs/__categories/kind"));
    }
}
