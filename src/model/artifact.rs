//! Artifacts, collections and labels as the registry knows them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One version of a data set: a file, a folder of shards, or a zarr store.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Artifact {
    /// 16 base62 characters shared by all versions, then 4 for the version.
    pub uid: String,
    /// The name under which people find it.
    pub key: String,
    /// Number of the version, from 0.
    pub version: u32,
    /// Whether no newer version of the key exists.
    pub is_latest: bool,
    /// Suffix of the key, with the dot; composite for `.anndata.zarr`; empty for a folder of shards.
    pub suffix: String,
    /// What the artifact is.
    pub kind: ArtifactKind,
    /// URL of the file or folder, without secrets.
    pub url: String,
    /// Size in bytes, all files together.
    pub size: u64,
    /// Number of files of a folder; none for a single file.
    pub n_files: Option<u64>,
    /// Number of rows or observations, where known.
    pub n_observations: Option<u64>,
    /// ETag of a single file, or a digest of the ETags of a folder's files.
    pub etag: String,
    /// Free text.
    pub description: Option<String>,
    /// When the version was registered, RFC 3339 in UTC.
    pub created_at: String,
    /// Who registered it; empty where that is not known.
    #[serde(default)]
    pub created_by: String,
    /// When it was moved to the trash, RFC 3339 in UTC; none while it is not there.
    #[serde(default)]
    pub trashed_at: Option<String>,
    /// Names of its labels, each once, in byte order.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Of the labels that are values of a feature, the names by feature.
    #[serde(default)]
    pub features: BTreeMap<String, Vec<String>>,
    /// The files of a folder of shards or a zarr store of not too many objects, in byte order of the path;
    /// the archive itself, with an empty path, for a zarr store in a zip archive; empty for other files.
    #[serde(default)]
    pub files: Vec<PinnedFile>,
    /// What a registry that pins nothing wrote down of the content; none of what our own registry pinned. With
    /// it, an empty `etag` means that nobody has looked at the content yet.
    #[serde(skip)]
    pub recorded: Option<Box<Recorded>>,
}

/// The content of an artifact as a LaminDB instance describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Digest of the content: 22 characters of URL-safe base64.
    pub hash: Option<String>,
    /// How it was made: `md5`, `md5-N` (the ETag of an upload in N parts), `sha1-fl`, `md5-d`, …
    pub hash_type: Option<String>,
    /// Size in bytes, all files together.
    pub size: Option<u64>,
    /// Why the content must not be read, where that is so.
    pub refusal: Option<String>,
}

/// One file of an artifact as it was at registration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PinnedFile {
    /// Path below the artifact's URL; empty for the artifact's own single file.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// ETag, quoted as the store gave it.
    pub etag: String,
}

/// An artifact as it was when a ticket was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// uid of the artifact.
    pub uid: String,
    /// Its ETag.
    pub etag: String,
}

/// How an artifact is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ArtifactKind {
    /// An HDF5 file.
    Hdf5,
    /// An HDF5 file with AnnData meaning.
    H5ad,
    /// A zarr store (a folder); AnnData meaning is found in its attributes.
    Zarr,
    /// One parquet file, or a folder of them.
    Parquet,
    /// Any other file; it is listed, never read.
    #[default]
    Other,
}

impl ArtifactKind {
    /// What a single file is, by the end of its name (`x.h5ad`, `.h5ad`).
    pub fn of_file(name: &str) -> Self {
        match name.rsplit_once('.').map(|(_, extension)| extension) {
            Some("h5ad") => Self::H5ad,
            Some("h5" | "hdf5" | "h5mu" | "loom" | "nc") => Self::Hdf5,
            Some("parquet" | "pq") => Self::Parquet,
            _ => Self::Other,
        }
    }
}

/// An ordered set of artifacts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Collection {
    /// 16 + 4 base62 characters.
    pub uid: String,
    /// The name under which people find it.
    pub key: String,
    /// Members in order.
    pub artifacts: Vec<Artifact>,
    /// Free text.
    pub description: Option<String>,
    /// When it was created, RFC 3339 in UTC.
    pub created_at: String,
    /// Who created it; empty where that is not known.
    #[serde(default)]
    pub created_by: String,
}
