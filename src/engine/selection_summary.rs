//! What a request selected, in one line of JSON: for the schema's metadata.

use serde_json::json;

use crate::model::request::{Selector, SliceRequest};

/// What the selection of a request is, in one line of JSON: for the schema's metadata.
pub(super) fn selection_summary(request: &SliceRequest) -> serde_json::Value {
    let axis = |selectors: &[Selector]| selectors.iter().map(selector_summary).collect::<Vec<_>>();
    let mut summary = serde_json::Map::new();
    if !request.obs.is_empty() {
        summary.insert("obs".into(), json!(axis(&request.obs)));
    }
    if !request.var.is_empty() {
        summary.insert("var".into(), json!(axis(&request.var)));
    }
    if !request.axes.is_empty() {
        summary.insert("axes".into(), json!(request.axes.iter().map(|one| axis(one)).collect::<Vec<_>>()));
    }
    let mut put = |name: &str, value: Option<serde_json::Value>| {
        if let Some(value) = value {
            summary.insert(name.to_owned(), value);
        }
    };
    put("slice", request.numpy_slice.as_ref().map(|text| json!(text)));
    put("where", request.filter.as_ref().map(|text| json!(text)));
    put("limit", request.limit.map(|limit| json!(limit)));
    put("offset", request.offset.map(|offset| json!(offset)));
    serde_json::Value::Object(summary)
}

/// One selector; long lists are told by their length.
fn selector_summary(selector: &Selector) -> serde_json::Value {
    match selector {
        Selector::All => json!({ "all": true }),
        Selector::Slice { start, stop, step } => json!({ "slice": { "start": start, "stop": stop, "step": step } }),
        Selector::Index(indices) => json!({ "index": { "count": indices.len() } }),
        Selector::Integer(position) => json!({ "integer": position }),
        Selector::Mask { bits, .. } => json!({ "mask": { "bytes": bits.len() } }),
        Selector::Names(names) => json!({ "names": { "count": names.len() } }),
        Selector::Where(text) => json!({ "where": text }),
    }
}
