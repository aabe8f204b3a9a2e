//! The client of one bucket of Google Cloud Storage: environment, then the options of the root, checked by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use object_store::StaticCredentialProvider;
use object_store::gcp::{GcpCredential, GoogleCloudStorage, GoogleCloudStorageBuilder};

use super::cloud::{self, CloudRoot};
use super::options::StorageOptions;
use crate::error::Result;

/// Names of the options that a root may have.
const OPTIONS: [&str; 7] = [
    "anonymous",
    "application_credentials",
    "endpoint",
    "service_account_key",
    "service_account_path",
    "skip_signature",
    "token",
];

/// A client for `bucket` with `GOOGLE_*` variables (and the credentials that `gcloud` left) under the options of the
/// root.
///
/// # Errors
/// `InvalidArgument` naming an option that is unknown or has a bad value; values are not shown.
pub(crate) fn client(
    bucket: &str,
    given: &BTreeMap<String, String>,
    options: &StorageOptions,
) -> Result<GoogleCloudStorage> {
    let root = CloudRoot { url: format!("gs://{bucket}"), options: &OPTIONS };
    let mut builder = GoogleCloudStorageBuilder::from_env();
    for (name, value) in given {
        builder = with_option(builder, &root, name, value)?;
    }
    let made = builder
        .with_bucket_name(bucket)
        .with_client_options(cloud::client_options(options, true))
        .with_retry(cloud::no_retry(options))
        .with_http_connector(cloud::connector(options))
        .build();
    made.map_err(|_| root.no_client())
}

fn with_option(
    builder: GoogleCloudStorageBuilder,
    root: &CloudRoot<'_>,
    name: &str,
    value: &str,
) -> Result<GoogleCloudStorageBuilder> {
    Ok(match name.strip_prefix("google_").unwrap_or(name) {
        "anonymous" | "skip_signature" => builder.with_skip_signature(root.flag(name, value)?),
        "application_credentials" => builder.with_application_credentials(value),
        "endpoint" | "base_url" => builder.with_base_url(root.endpoint(name, value)?),
        "service_account_key" => builder.with_service_account_key(value),
        "service_account_path" | "service_account" => builder.with_service_account_path(value),
        "token" => {
            let credential = GcpCredential { bearer: value.to_owned() };
            builder.with_credentials(Arc::new(StaticCredentialProvider::new(credential)))
        }
        _ => return Err(root.unknown(name)),
    })
}
