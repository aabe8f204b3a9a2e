//! Kinds of storage, as the registry and listings name them.

use super::scheme::Scheme;

/// Kinds of storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageKind {
    /// A folder of this machine.
    Local,
    /// A bucket of S3 or of a store that speaks its protocol, or a prefix in it.
    S3,
    /// A bucket of Google Cloud Storage, or a prefix in it.
    Gcs,
    /// A container of Azure Blob Storage, or a prefix in it.
    Azure,
    /// A web server, or a path of it. It has no listing.
    Http,
    /// A repository of Hugging Face, or a folder in it.
    HuggingFace,
}

impl StorageKind {
    /// The name under which the registry keeps the kind.
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::S3 => "s3",
            Self::Gcs => "gcs",
            Self::Azure => "azure",
            Self::Http => "http",
            Self::HuggingFace => "hugging_face",
        }
    }

    /// Whether objects lie in a cloud's store, where every request takes a while and listings are to be had.
    pub fn is_cloud(self) -> bool {
        matches!(self, Self::S3 | Self::Gcs | Self::Azure)
    }

    pub(crate) fn of(scheme: Scheme) -> Self {
        match scheme {
            Scheme::File => Self::Local,
            Scheme::S3 => Self::S3,
            Scheme::Gs => Self::Gcs,
            Scheme::Az | Scheme::Abfss => Self::Azure,
            Scheme::Http | Scheme::Https => Self::Http,
            Scheme::HuggingFace => Self::HuggingFace,
        }
    }
}
