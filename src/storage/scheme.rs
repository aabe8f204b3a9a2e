//! The schemes of URLs that storage reads, and what follows them: bucket, container, host or kind of repository.
//!
//! Several spellings of one store become one: `gcs://` is `gs://`, and `abfs://container`, `azure://container` and
//! `adl://container` are `az://container`.

use url::Url;

use super::location::redact;
use crate::error::{Error, Result};

/// What can be read, for messages.
const SUPPORTED: &str = "file, s3, gs, az, abfss, http, https and hf";

/// Kinds of URLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// A file of this machine; no authority.
    File,
    /// `s3://bucket`.
    S3,
    /// `gs://bucket`.
    Gs,
    /// `az://container`; the account is an option.
    Az,
    /// `abfss://container@account.dfs.core.windows.net`.
    Abfss,
    /// `http://host[:port]`.
    Http,
    /// `https://host[:port]`.
    Https,
    /// `hf://datasets`, `hf://spaces`, or `hf://owner` for models, which have no authority.
    HuggingFace,
}

impl Scheme {
    /// Scheme and authority out of what stands before and after `://`.
    ///
    /// # Errors
    /// `InvalidArgument` for an unknown scheme, and for an authority that does not fit it.
    pub(crate) fn parse(scheme: &str, authority: &str, url: &str) -> Result<(Self, String)> {
        let plain = |scheme: Self| {
            check_bucket(authority, url)?;
            Ok((scheme, authority.to_owned()))
        };
        match scheme {
            "file" if authority.is_empty() || authority == "localhost" => Ok((Self::File, String::new())),
            "file" => Err(Error::invalid(format!("expected file:///path, found {}", redact(url)))),
            "s3" => plain(Self::S3),
            "gs" | "gcs" => plain(Self::Gs),
            "az" | "azure" | "adl" => plain(Self::Az),
            "abfs" | "abfss" => match authority.split_once('@') {
                None => plain(Self::Az),
                Some((container, host)) => Ok((Self::Abfss, azure_authority(container, host, url)?)),
            },
            "http" => Ok((Self::Http, web_authority(scheme, authority, url)?)),
            "https" => Ok((Self::Https, web_authority(scheme, authority, url)?)),
            "hf" => Ok((Self::HuggingFace, authority.to_owned())),
            _ => Err(Error::invalid(format!("unknown storage scheme {scheme:?}; supported are {SUPPORTED}"))),
        }
    }

    /// What stands before `://`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::S3 => "s3",
            Self::Gs => "gs",
            Self::Az => "az",
            Self::Abfss => "abfss",
            Self::Http => "http",
            Self::Https => "https",
            Self::HuggingFace => "hf",
        }
    }

    /// Whether parts of the path are percent-encoded in the URL; else they are the names themselves.
    pub(crate) fn is_encoded(self) -> bool {
        matches!(self, Self::File | Self::Http | Self::Https)
    }
}

fn check_bucket(bucket: &str, url: &str) -> Result<()> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'$');
    if bucket.is_empty() || bucket.len() > 255 || !bucket.bytes().all(allowed) || bucket.starts_with('.') {
        return Err(Error::invalid(format!(
            "expected s3://bucket/key, gs://bucket/name or az://container/name with a valid bucket name, found {}",
            redact(url)
        )));
    }
    Ok(())
}

/// `container@account.dfs.core.windows.net`; the same account under `blob` is the same store.
fn azure_authority(container: &str, host: &str, url: &str) -> Result<String> {
    check_bucket(container, url)?;
    let account = host.strip_suffix(".dfs.core.windows.net").or_else(|| host.strip_suffix(".blob.core.windows.net"));
    match account {
        Some(account) if !account.is_empty() && account.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            Ok(format!("{container}@{account}.dfs.core.windows.net"))
        }
        _ => Err(Error::invalid(format!(
            "expected abfss://container@account.dfs.core.windows.net/name, found {}",
            redact(url)
        ))),
    }
}

/// `host[:port]` as clients spell it: lower case, addresses in their usual form, no port where it is the usual one.
fn web_authority(scheme: &str, authority: &str, url: &str) -> Result<String> {
    let refuse =
        |what: &str| Error::invalid(format!("expected {scheme}://host[:port]/path {what}, found {}", redact(url)));
    if authority.contains(['@', '\\', '#', '?']) {
        return Err(refuse("without a user name (credentials are options of the storage)"));
    }
    let parsed = Url::parse(&format!("{scheme}://{authority}/")).map_err(|_| refuse("with a valid host"))?;
    let host = parsed.host_str().filter(|host| !host.is_empty()).ok_or_else(|| refuse("with a host"))?;
    Ok(parsed.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}
