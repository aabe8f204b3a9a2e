//! What a node means, by its encoding.

use super::awkward::{self, Awkward};
use super::frame::{self, Frame};
use super::legacy;
use crate::error::{Error, Result};
use crate::model::data_type::DataType;
use crate::model::tree::{ArrayNode, Node, Tree, join, normalise};

/// Encodings of arrays whose elements are their meaning; the codes of a categorical of anndata 0.7 are
/// known by their attribute `categories`.
const ARRAY_ENCODINGS: [(&str, &str); 9] = [
    ("", ""),
    ("array", "0.2.0"),
    ("bytes", "0.2.0"),
    ("categorical", "0.1.0"),
    ("null", "0.1.0"),
    ("numeric-scalar", "0.2.0"),
    ("rec-array", "0.2.0"),
    ("string", "0.2.0"),
    ("string-array", "0.2.0"),
];

/// What a node of a tree means.
#[derive(Clone, Debug, PartialEq)]
pub enum Meaning {
    /// A dense array, or one field of a compound array.
    Column(Column),
    /// A compressed sparse matrix.
    Sparse(Sparse),
    /// An awkward array: lists, records and options in flat buffers.
    Awkward(Awkward),
    /// A table with an index.
    Frame(Frame),
    /// A group without a meaning of its own (a mapping, `uns`, a generic group).
    Group,
}

/// Where the values of one column (or of an array) come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// A whole array.
    Array {
        /// Path of the array.
        path: String,
    },
    /// A matrix that is stored with its axes swapped.
    Transposed {
        /// Path of the matrix.
        path: String,
    },
    /// One field of a compound array.
    Field {
        /// Path of the compound array.
        path: String,
        /// Name of the field.
        field: String,
    },
    /// Codes into categories; a negative code is null.
    Categorical {
        /// Integer codes.
        codes: Box<Column>,
        /// Path of the one-dimensional array of categories.
        categories: String,
        /// Whether the categories have an order.
        ordered: bool,
    },
    /// Values and a mask whose true means null.
    Nullable {
        /// Path of the values.
        values: String,
        /// Path of the mask.
        mask: String,
    },
}

/// A compressed sparse matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Sparse {
    /// Path of the group.
    pub path: String,
    /// The axis whose slices are stored together: 0 for CSR (rows), 1 for CSC (columns).
    pub major: usize,
    /// Rows and columns.
    pub shape: [u64; 2],
}

impl Sparse {
    /// Path of the row (CSR) or column (CSC) pointers.
    pub fn indptr(&self) -> String {
        join(&self.path, "indptr")
    }

    /// Path of the indices on the other axis.
    pub fn indices(&self) -> String {
        join(&self.path, "indices")
    }

    /// Path of the values.
    pub fn data(&self) -> String {
        join(&self.path, "data")
    }
}

impl Column {
    /// The array that is read first, whose first axis gives the number of rows.
    pub fn main_path(&self) -> &str {
        match self {
            Self::Array { path } | Self::Transposed { path } | Self::Field { path, .. } => path,
            Self::Categorical { codes, .. } => codes.main_path(),
            Self::Nullable { values, .. } => values,
        }
    }

    /// Shape of the column: rows, then the shape of one element.
    ///
    /// # Errors
    /// As [`Tree::array`].
    pub fn shape(&self, tree: &Tree) -> Result<Vec<u64>> {
        let mut shape = tree.array(self.main_path())?.shape.clone();
        if let Self::Transposed { .. } = self {
            shape.reverse();
        }
        if let Self::Field { .. } = self
            && let DataType::FixedArray { dimensions, .. } = self.stored_type(tree)?
        {
            shape.extend(dimensions);
        }
        Ok(shape)
    }

    /// Elements of one stored chunk along each dimension of [`Column::shape`] that is stored as one.
    ///
    /// # Errors
    /// As [`Tree::array`].
    pub fn chunk_shape(&self, tree: &Tree) -> Result<Vec<u64>> {
        let mut shape = tree.array(self.main_path())?.chunk_shape.clone();
        if let Self::Transposed { .. } = self {
            shape.reverse();
        }
        Ok(shape)
    }

    /// The stored element type of the column's main array or field.
    ///
    /// # Errors
    /// `NotFound` for a missing field, otherwise as [`Tree::array`].
    pub fn stored_type(&self, tree: &Tree) -> Result<DataType> {
        let array = tree.array(self.main_path())?;
        match self {
            Self::Field { path, field } => field_of(array, path, field),
            Self::Categorical { codes, .. } => codes.stored_type(tree),
            Self::Array { .. } | Self::Transposed { .. } | Self::Nullable { .. } => Ok(array.data_type.clone()),
        }
    }
}

/// The type of `field` of the compound array at `path`.
fn field_of(array: &ArrayNode, path: &str, field: &str) -> Result<DataType> {
    let DataType::Struct { fields, .. } = &array.data_type else {
        return Err(Error::not_found(format!("array '{path}' has no fields, asked for '{field}'")));
    };
    fields.iter().find(|candidate| candidate.name == field).map(|found| found.data_type.clone()).ok_or_else(|| {
        let names: Vec<_> = fields.iter().map(|field| field.name.as_str()).collect();
        Error::not_found(format!("no field '{field}' in '{path}'; it has [{}]", names.join(", ")))
    })
}

/// What the node at `path` means.
///
/// # Errors
/// `NotFound` for a missing node, `Unimplemented` for an encoding that is not known (named with its
/// version) or an unreadable node, `DataLoss` for an encoding whose parts are missing.
pub fn meaning(tree: &Tree, path: &str) -> Result<Meaning> {
    let path = legacy::alias(tree, &normalise(path));
    match tree.get(&path) {
        Some(Node::Array(array)) => {
            check_array_encoding(&path, array)?;
            Ok(array_meaning(tree, &path, array))
        }
        Some(Node::Group { .. }) => group_meaning(tree, &path),
        Some(Node::Unreadable { reason }) => Err(Error::unimplemented(format!("node '{path}': {reason}"))),
        None => parent_meaning(tree, &path),
    }
}

/// Refuses an array whose encoding says that it is more than its elements; other writers' attributes of
/// that name are none of anndata's and have no version.
fn check_array_encoding(path: &str, array: &ArrayNode) -> Result<()> {
    let text = |name: &str| array.attributes.get(name).and_then(|value| value.as_str());
    match (text("encoding-type"), text("encoding-version")) {
        (Some(encoding), Some(version)) if !ARRAY_ENCODINGS.contains(&(encoding, version)) => {
            Err(unknown_encoding(path, encoding, version))
        }
        _ => Ok(()),
    }
}

fn unknown_encoding(path: &str, encoding: &str, version: &str) -> Error {
    Error::unimplemented(format!(
        "node '{path}' has encoding-type '{encoding}' version '{version}', which is not supported"
    ))
}

/// A node that is not in the tree may be a field of a compound array, or a column of a frame.
fn parent_meaning(tree: &Tree, path: &str) -> Result<Meaning> {
    let (parent, name) = path.rsplit_once('/').ok_or_else(|| tree.missing(path))?;
    match tree.get(parent) {
        Some(Node::Array(array)) if matches!(array.data_type, DataType::Struct { .. }) => {
            if let Meaning::Frame(frame) = array_meaning(tree, parent, array) {
                let (_, column) = frame.column(name)?;
                return Ok(Meaning::Column(column.clone()));
            }
            field_of(array, parent, name)?;
            Ok(Meaning::Column(Column::Field { path: parent.to_owned(), field: name.to_owned() }))
        }
        _ => Err(tree.missing(path)),
    }
}

fn array_meaning(tree: &Tree, path: &str, array: &ArrayNode) -> Meaning {
    if let Some(frame) = legacy::compound_frame(tree, path, array) {
        return Meaning::Frame(frame);
    }
    if let Some(column) = frame::series_of_old_frame(tree, path) {
        return Meaning::Column(column);
    }
    Meaning::Column(Column::Array { path: path.to_owned() })
}

fn group_meaning(tree: &Tree, path: &str) -> Result<Meaning> {
    if let Some(sparse) = legacy::sparse(tree, path)? {
        return Ok(Meaning::Sparse(sparse));
    }
    let Some(encoding) = tree.text_attribute(path, "encoding-type") else { return Ok(Meaning::Group) };
    let version = tree.text_attribute(path, "encoding-version").unwrap_or("");
    match (encoding, version) {
        ("anndata" | "raw" | "dict" | "MuData", "0.1.0") => Ok(Meaning::Group),
        ("", "") => Ok(Meaning::Group),
        ("csr_matrix", "0.1.0") => sparse(tree, path, 0).map(Meaning::Sparse),
        ("csc_matrix", "0.1.0") => sparse(tree, path, 1).map(Meaning::Sparse),
        ("awkward-array", "0.1.0") => awkward::awkward(tree, path).map(Meaning::Awkward),
        ("dataframe", "0.1.0" | "0.2.0") => frame::frame(tree, path).map(Meaning::Frame),
        ("categorical", "0.2.0") => categorical(tree, path).map(Meaning::Column),
        ("nullable-integer" | "nullable-boolean" | "nullable-string-array", "0.1.0") => {
            let (values, mask) = (join(path, "values"), join(path, "mask"));
            tree.array(&values)?;
            tree.array(&mask)?;
            Ok(Meaning::Column(Column::Nullable { values, mask }))
        }
        _ => Err(unknown_encoding(path, encoding, version)),
    }
}

fn categorical(tree: &Tree, path: &str) -> Result<Column> {
    let ordered = tree.attributes(path).and_then(|all| all.get("ordered")).is_some_and(truth);
    let (codes, categories) = (join(path, "codes"), join(path, "categories"));
    check_codes(tree, &codes)?;
    tree.array(&categories)?;
    Ok(Column::Categorical { codes: Box::new(Column::Array { path: codes }), categories, ordered })
}

/// Checks that the codes of a categorical are integers.
pub(super) fn check_codes(tree: &Tree, path: &str) -> Result<()> {
    let array = tree.array(path)?;
    if array.data_type.is_integer() {
        return Ok(());
    }
    Err(Error::data_loss(format!(
        "codes '{path}' of a categorical: expected integers, found {}",
        array.data_type.name()
    )))
}

/// Whether an attribute says true: a boolean, or an integer other than 0 as older files have it.
pub(super) fn truth(value: &serde_json::Value) -> bool {
    value.as_bool().unwrap_or_else(|| value.as_i64().is_some_and(|number| number != 0))
}

/// The sparse matrix at `path`, with its parts and shape checked against each other.
pub(super) fn sparse(tree: &Tree, path: &str, major: usize) -> Result<Sparse> {
    let attributes = tree.attributes(path);
    let shape = ["shape", "h5sparse_shape"]
        .iter()
        .find_map(|name| attributes?.get(*name)?.as_array())
        .map(|values| values.iter().map(|value| value.as_u64()).collect::<Vec<_>>());
    let Some([Some(rows), Some(columns)]) = shape.as_deref() else {
        return Err(Error::data_loss(format!("sparse matrix '{path}': expected an attribute shape of two lengths")));
    };
    checked(tree, Sparse { path: path.to_owned(), major, shape: [*rows, *columns] })
}

/// `sparse`, when its parts fit its shape and each other.
pub(super) fn checked(tree: &Tree, sparse: Sparse) -> Result<Sparse> {
    let (path, major) = (&sparse.path, sparse.major);
    let length = |path: &str| -> Result<u64> {
        let array = tree.array(path)?;
        match array.shape.as_slice() {
            [length] => Ok(*length),
            shape => Err(Error::data_loss(format!("array '{path}': expected one dimension, found shape {shape:?}"))),
        }
    };
    let pointers = length(&sparse.indptr())?;
    let expected = sparse.shape[major].saturating_add(1);
    if pointers != expected {
        return Err(Error::data_loss(format!(
            "sparse matrix '{path}': expected {expected} pointers for shape {:?}, found {pointers}",
            sparse.shape
        )));
    }
    let (indices, data) = (length(&sparse.indices())?, length(&sparse.data())?);
    if indices != data {
        return Err(Error::data_loss(format!("sparse matrix '{path}': {indices} indices but {data} values")));
    }
    Ok(sparse)
}
