//! Awkward arrays (`awkward-array` 0.1.0): lists, records and options in flat buffers.
//! Unions of types are refused.
//!
//! The group's attribute `form` is a form of the awkward library (version 2) as JSON; the buffers of
//! its nodes are arrays of the group, named `<form key>-<role>`. Reads nothing but attributes and
//! shapes.

use serde_json::Value;

use crate::error::{Error, Result, ResultExt};
use crate::model::tree::{Tree, join};

/// Deepest nesting of forms that is read.
const MAX_DEPTH: usize = 64;

/// An awkward array.
#[derive(Clone, Debug, PartialEq)]
pub struct Awkward {
    /// Path of the group.
    pub path: String,
    /// Number of rows.
    pub length: u64,
    /// What each row is.
    pub form: Form,
}

/// How the elements of one node are laid out. Texts are paths of buffers.
#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    /// No element at all, of no known type.
    Empty,
    /// Elements of a primitive type.
    Values {
        /// One element each.
        data: String,
    },
    /// Texts or byte strings.
    Text {
        /// Where each starts, and where the last ends.
        offsets: String,
        /// Their bytes.
        data: String,
        /// Whether they are texts.
        is_text: bool,
    },
    /// Lists of any length, back to back.
    List {
        /// Where each starts, and where the last ends.
        offsets: String,
        /// What the lists hold.
        content: Box<Form>,
    },
    /// Lists anywhere in their content.
    ListRanges {
        /// Where each starts.
        starts: String,
        /// Where each ends.
        stops: String,
        /// What the lists hold.
        content: Box<Form>,
    },
    /// Lists of one length.
    FixedList {
        /// Elements of each list.
        size: u64,
        /// What the lists hold.
        content: Box<Form>,
    },
    /// Named fields; those of a tuple are named by their position.
    Record {
        /// The fields in order.
        fields: Vec<(String, Form)>,
    },
    /// Elements of the content in another order.
    Indexed {
        /// Position in the content; negative for a missing value where that is optional.
        index: String,
        /// Whether values may be missing.
        optional: bool,
        /// What is pointed to.
        content: Box<Form>,
    },
    /// Values of which some are missing.
    Masked {
        /// One byte, or one bit, each.
        mask: String,
        /// Whether a set byte or bit marks a value that is there.
        valid_when: bool,
        /// Where the mask is one of bits: whether the least significant comes first.
        bits: Option<bool>,
        /// The values.
        content: Box<Form>,
    },
}

/// The awkward array of the group at `path`.
///
/// # Errors
/// `DataLoss` for an attribute or a buffer that is missing or no form, `Unimplemented` naming a kind of
/// form that is not served.
pub(super) fn awkward(tree: &Tree, path: &str) -> Result<Awkward> {
    let attributes = tree.attributes(path);
    let attribute = |name: &str| {
        let found = attributes.and_then(|all| all.get(name));
        found.ok_or_else(|| Error::data_loss(format!("awkward array '{path}': expected an attribute '{name}'")))
    };
    let length = attribute("length")?.as_u64();
    let length = length.ok_or_else(|| Error::data_loss(format!("awkward array '{path}': length is no count")))?;
    let text = attribute("form")?.as_str().unwrap_or_default();
    let json: Value = serde_json::from_str(text)
        .map_err(|error| Error::data_loss(format!("awkward array '{path}': its form is no JSON")).with_source(error))?;
    let parser = Parser { tree, path };
    let form = parser.form(&json, 0).with_context(|| format!("awkward array '{path}'"))?;
    Ok(Awkward { path: path.to_owned(), length, form })
}

struct Parser<'a> {
    tree: &'a Tree,
    path: &'a str,
}

impl Parser<'_> {
    fn form(&self, json: &Value, depth: usize) -> Result<Form> {
        if depth > MAX_DEPTH {
            return Err(Error::resource_exhausted(format!("its form is nested deeper than {MAX_DEPTH} levels")));
        }
        let class = json.get("class").and_then(Value::as_str).unwrap_or_default();
        match class {
            "EmptyArray" => Ok(Form::Empty),
            "NumpyArray" => self.values(json),
            "ListOffsetArray" => self.list(json, depth),
            "ListArray" => {
                self.no_text(json, class)?;
                let (starts, stops) = (self.buffer(json, "starts")?, self.buffer(json, "stops")?);
                Ok(Form::ListRanges { starts, stops, content: self.content(json, depth)? })
            }
            "RegularArray" => {
                self.no_text(json, class)?;
                let size = json.get("size").and_then(Value::as_u64);
                let size = size.ok_or_else(|| Error::data_loss("a RegularArray has no size"))?;
                Ok(Form::FixedList { size, content: self.content(json, depth)? })
            }
            "RecordArray" => self.record(json, depth),
            "IndexedArray" | "IndexedOptionArray" => {
                let (index, optional) = (self.buffer(json, "index")?, class == "IndexedOptionArray");
                Ok(Form::Indexed { index, optional, content: self.content(json, depth)? })
            }
            "ByteMaskedArray" | "BitMaskedArray" => {
                let flag = |name: &str| json.get(name).and_then(Value::as_bool);
                let valid_when = flag("valid_when").ok_or_else(|| Error::data_loss("a mask has no valid_when"))?;
                let bits = (class == "BitMaskedArray").then(|| flag("lsb_order").unwrap_or(true));
                let mask = self.buffer(json, "mask")?;
                Ok(Form::Masked { mask, valid_when, bits, content: self.content(json, depth)? })
            }
            "UnmaskedArray" => self.content(json, depth).map(|content| *content),
            other => Err(Error::unimplemented(format!("a form of class '{other}' is not supported"))),
        }
    }

    fn values(&self, json: &Value) -> Result<Form> {
        if json.get("inner_shape").and_then(Value::as_array).is_some_and(|shape| !shape.is_empty()) {
            return Err(Error::unimplemented("a NumpyArray with an inner_shape is not supported"));
        }
        Ok(Form::Values { data: self.buffer(json, "data")? })
    }

    fn list(&self, json: &Value, depth: usize) -> Result<Form> {
        let offsets = self.buffer(json, "offsets")?;
        let is_text = match meaning_of(json) {
            Some("string") => true,
            Some("bytestring") => false,
            _ => return Ok(Form::List { offsets, content: self.content(json, depth)? }),
        };
        match *self.content(json, depth)? {
            Form::Values { data } => Ok(Form::Text { offsets, data, is_text }),
            _ => Err(Error::data_loss("the content of texts is no array of bytes")),
        }
    }

    fn record(&self, json: &Value, depth: usize) -> Result<Form> {
        let contents = self.contents(json, depth)?;
        let names = match json.get("fields") {
            Some(Value::Array(names)) => {
                names.iter().map(|name| name.as_str().unwrap_or_default().to_owned()).collect()
            }
            _ => (0..contents.len()).map(|at| at.to_string()).collect::<Vec<_>>(),
        };
        if names.len() != contents.len() {
            return Err(Error::data_loss(format!("a record has {} fields of {} names", contents.len(), names.len())));
        }
        Ok(Form::Record { fields: names.into_iter().zip(contents).collect() })
    }

    fn content(&self, json: &Value, depth: usize) -> Result<Box<Form>> {
        let content = json.get("content").ok_or_else(|| Error::data_loss("a form has no content"))?;
        self.form(content, depth + 1).map(Box::new)
    }

    fn contents(&self, json: &Value, depth: usize) -> Result<Vec<Form>> {
        let contents = json.get("contents").and_then(Value::as_array);
        let contents = contents.ok_or_else(|| Error::data_loss("a form has no contents"))?;
        contents.iter().map(|content| self.form(content, depth + 1)).collect()
    }

    fn no_text(&self, json: &Value, class: &str) -> Result<()> {
        match meaning_of(json) {
            Some(text @ ("string" | "bytestring")) => {
                Err(Error::unimplemented(format!("a {class} of {text}s is not supported")))
            }
            _ => Ok(()),
        }
    }

    /// Path of the buffer `role` of the form `json`: an array of one dimension.
    fn buffer(&self, json: &Value, role: &str) -> Result<String> {
        let key = json.get("form_key").and_then(Value::as_str);
        let key = key.ok_or_else(|| Error::data_loss("a form has no form_key"))?;
        let path = join(self.path, &format!("{key}-{role}"));
        match self.tree.array(&path)?.shape.as_slice() {
            [_] => Ok(path),
            shape => Err(Error::data_loss(format!("buffer '{path}': expected one dimension, found shape {shape:?}"))),
        }
    }
}

/// What a list means beyond being one: `string`, `bytestring`, or a behaviour that does not matter here.
fn meaning_of(json: &Value) -> Option<&str> {
    json.get("parameters")?.get("__array__")?.as_str()
}
