//! Names of an array's dimensions, as the conventions of each format write them.
//!
//! zarr version 3 has a field `dimension_names`; xarray writes the attribute `_ARRAY_DIMENSIONS` into
//! version 2 (and netCDF's zarr too); HDF5 has dimension scales (`DIMENSION_LIST`, references to the
//! datasets that are called like the dimensions) and labels (`DIMENSION_LABELS`).

use serde_json::Value;

use crate::model::tree::ArrayNode;

/// The name of each dimension of `array`, `None` for one without a name; `None` altogether when there are
/// no names, or not as many as dimensions.
pub fn dimension_names(array: &ArrayNode) -> Option<Vec<Option<String>>> {
    let attribute = |name: &str| array.attributes.get(name);
    let found = [
        array.storage.get("dimension_names").and_then(|names| each(names, text)),
        attribute("_ARRAY_DIMENSIONS").and_then(|names| each(names, text)),
        attribute("DIMENSION_LIST").and_then(|scales| each(scales, scale)),
        attribute("DIMENSION_LABELS").and_then(|labels| each(labels, text)),
    ];
    let fits = |names: &Vec<Option<String>>| names.len() == array.shape.len() && names.iter().any(Option::is_some);
    found.into_iter().flatten().find(fits)
}

fn each(list: &Value, name: impl Fn(&Value) -> Option<String>) -> Option<Vec<Option<String>>> {
    Some(list.as_array()?.iter().map(name).collect())
}

/// A name that is one.
fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The name of the first dataset that a dimension refers to.
fn scale(references: &Value) -> Option<String> {
    let reference = references.as_array().map_or(Some(references), |list| list.first())?;
    let path = reference.get("reference")?.as_str()?;
    text(&Value::from(path.rsplit('/').next().unwrap_or(path)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::dimension_names;
    use crate::model::tree::Tree;

    /// The names of an array of two dimensions with these storage fields and attributes.
    fn names(storage: serde_json::Value, attributes: serde_json::Value) -> Option<Vec<Option<String>>> {
        let array = json!({ "Array": {
            "shape": [2, 3], "data_type": "Int8", "chunk_shape": [2, 3], "filters": [], "partly_readable": false,
            "attributes": attributes, "storage": storage,
        }});
        let tree: Tree = serde_json::from_value(json!({ "nodes": { "a": array } })).unwrap();
        dimension_names(tree.array("a").unwrap())
    }

    #[test]
    fn names_come_from_the_first_convention_that_names_every_dimension() {
        let some = |names: [Option<&str>; 2]| Some(names.map(|name| name.map(str::to_owned)).to_vec());
        let rows = [
            (json!({"dimension_names": ["y", "x"]}), json!({}), some([Some("y"), Some("x")])),
            (json!({"dimension_names": ["y", null]}), json!({}), some([Some("y"), None])),
            (json!({"dimension_names": null}), json!({"_ARRAY_DIMENSIONS": ["a", "b"]}), some([Some("a"), Some("b")])),
            (json!({"dimension_names": [null, null]}), json!({}), None),
            (json!({}), json!({"_ARRAY_DIMENSIONS": ["a"]}), None),
            (json!({}), json!({"_ARRAY_DIMENSIONS": "a"}), None),
            (
                json!({}),
                json!({"DIMENSION_LIST": [[{"reference": "/grid/lat"}], [{"reference": "/lon"}]]}),
                some([Some("lat"), Some("lon")]),
            ),
            (json!({}), json!({"DIMENSION_LIST": "vlen"}), None),
            (json!({}), json!({"DIMENSION_LABELS": ["", "x"]}), some([None, Some("x")])),
            (json!({}), json!({}), None),
        ];
        for (storage, attributes, expected) in rows {
            assert_eq!(names(storage.clone(), attributes.clone()), expected, "{storage} {attributes}");
        }
    }
}
