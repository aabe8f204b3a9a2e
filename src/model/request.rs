//! What a client asks for: the slice request, free of any wire format.

use serde::{Deserialize, Serialize};

/// A slice of one node of one artifact (or collection), and the shape in which it is wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SliceRequest {
    /// Which artifact or collection.
    pub source: Source,
    /// Path of the node; empty means the artifact's default.
    pub node: String,
    /// Selectors of AnnData's observations: every dimension of the node that follows them.
    pub obs: Vec<Selector>,
    /// Selectors of AnnData's variables: every dimension of the node that follows them.
    pub var: Vec<Selector>,
    /// Selectors per dimension, by position; not together with `obs` and `var`.
    pub axes: Vec<Vec<Selector>>,
    /// The NumPy spelling of `axes` (`0:100, ::2, ...`), as the client wrote it; `axes` is empty then.
    pub numpy_slice: Option<String>,
    /// Columns of a table, in the asked order; empty means all.
    pub columns: Option<Vec<String>>,
    /// SQL boolean expression over the table's columns.
    pub filter: Option<String>,
    /// Substrait `ExtendedExpression` bytes over the table's columns.
    pub substrait_filter: Option<Vec<u8>>,
    /// At most so many rows.
    pub limit: Option<u64>,
    /// Rows skipped before the first.
    pub offset: Option<u64>,
    /// Whether hive partition columns are added.
    pub partitioning: Partitioning,
    /// How the members of a collection of AnnData become one; none where there is nothing to join.
    pub join: Option<Join>,
    /// Columns of obs joined to each row of an array.
    pub with_obs: Vec<String>,
    /// Whether the obs index is joined to each row of an array.
    pub with_index: bool,
    /// Form of the answer.
    pub layout: Layout,
    /// Whether single-integer axes are dropped.
    pub squeeze: bool,
    /// Largest body of one record batch, in bytes.
    pub max_batch_bytes: Option<u64>,
    /// Most rows of one record batch.
    pub max_batch_rows: Option<u64>,
}

/// Which artifact or collection a request names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// An artifact by key (a collection of that key when no artifact has it); the latest version
    /// unless one is named.
    Key {
        /// The key.
        key: String,
        /// The four-character version suffix of the uid, or a version number.
        version: Option<String>,
    },
    /// An artifact by uid, full or a unique prefix.
    Uid(String),
    /// A collection by key or uid.
    Collection(String),
    /// A URL inside a registered storage root.
    Url(String),
    /// What is registered, as a table.
    Registry(RegistryTable),
}

/// A table of what is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegistryTable {
    /// Artifacts: all versions that are not in the trash.
    Artifacts,
    /// Collections.
    Collections,
    /// Labels, with the features of which they are values.
    Labels,
    /// Members of collections.
    Members,
}

impl RegistryTable {
    /// All tables.
    pub const ALL: [Self; 4] = [Self::Artifacts, Self::Collections, Self::Labels, Self::Members];

    /// Its name in requests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Artifacts => "artifacts",
            Self::Collections => "collections",
            Self::Labels => "labels",
            Self::Members => "members",
        }
    }

    /// The table of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }
}

impl Default for Source {
    fn default() -> Self {
        Self::Key { key: String::new(), version: None }
    }
}

/// One step of narrowing an axis; several compose left to right.
#[derive(Clone, Debug, PartialEq)]
pub enum Selector {
    /// Every position.
    All,
    /// A half-open slice with Python's meaning.
    Slice {
        /// First position, counted from the end when negative.
        start: Option<i64>,
        /// First position not taken, counted from the end when negative.
        stop: Option<i64>,
        /// Distance, not 0.
        step: Option<i64>,
    },
    /// Positions, counted from the end when negative; order and duplicates kept.
    Index(Vec<i64>),
    /// One position that keeps the axis (dropped with `squeeze`).
    Integer(i64),
    /// One bit per position, least significant bit first within a byte.
    Mask {
        /// The packed bits.
        bits: Vec<u8>,
        /// Number of positions; when unknown the axis must fit in the bytes exactly.
        length: Option<u64>,
    },
    /// Names of the axis, in the asked order.
    Names(Vec<String>),
    /// SQL boolean expression over the axis's table.
    Where(String),
}

/// Form in which an array is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// What the storage suggests: dense rows, or sparse rows or columns.
    #[default]
    Auto,
    /// One Arrow row per row of the array.
    Rows,
    /// One column per column of the array.
    Wide,
    /// Sparse by the stored axis.
    Sparse,
    /// Dense rows, also of a sparse array.
    Dense,
    /// Row index, column index, value.
    Coo,
}

/// How the variables and columns of several AnnData become those of one, as in `anndata.concat`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Join {
    /// Those that all members have.
    #[default]
    Inner,
    /// Those that any member has; the gaps are filled.
    Outer,
}

/// Which partition columns a folder of shards gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Partitioning {
    /// None, as pyarrow does by default.
    #[default]
    None,
    /// `name=value` folders become columns at the end.
    Hive,
}
