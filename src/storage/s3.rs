//! The client of one S3 bucket: environment, then the options of the root, checked by name.

use std::collections::BTreeMap;
use std::time::Duration;

use object_store::ClientConfigKey;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};

use super::cloud::{self, CloudRoot, WHOLE_REQUEST};
use super::options::StorageOptions;
use crate::error::Result;

/// Names of the options that a root may have.
const OPTIONS: [&str; 9] = [
    "access_key_id",
    "allow_http",
    "anonymous",
    "endpoint",
    "region",
    "secret_access_key",
    "session_token",
    "skip_signature",
    "virtual_hosted_style",
];

/// A client for `bucket` with `AWS_*` variables under the options of the root.
///
/// # Errors
/// `InvalidArgument` naming an option that is unknown or has a bad value; values are not shown.
pub(crate) fn client(bucket: &str, given: &BTreeMap<String, String>, options: &StorageOptions) -> Result<AmazonS3> {
    let root = CloudRoot { url: format!("s3://{bucket}"), options: &OPTIONS };
    let mut builder = AmazonS3Builder::from_env();
    for (name, value) in given {
        builder = with_option(builder, &root, name, value)?;
    }
    let endpoint = [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint]
        .into_iter()
        .find_map(|key| builder.get_config_value(&key));
    if endpoint.is_some_and(|endpoint| endpoint.to_ascii_lowercase().starts_with("http://")) {
        builder = builder.with_allow_http(true);
    }
    let milliseconds = |duration: Duration| format!("{}ms", duration.as_millis().max(1));
    let made = builder
        .with_bucket_name(bucket)
        .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::ConnectTimeout), milliseconds(options.connect_timeout))
        .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::Timeout), milliseconds(WHOLE_REQUEST))
        .with_retry(cloud::no_retry(options))
        .with_http_connector(cloud::connector(options))
        .build();
    made.map_err(|_| root.no_client())
}

fn with_option(builder: AmazonS3Builder, root: &CloudRoot<'_>, name: &str, value: &str) -> Result<AmazonS3Builder> {
    // object_store and the environment know the same options with this prefix.
    Ok(match name.strip_prefix("aws_").unwrap_or(name) {
        "access_key_id" => builder.with_access_key_id(value),
        "allow_http" => builder.with_allow_http(root.flag(name, value)?),
        "anonymous" | "skip_signature" => builder.with_skip_signature(root.flag(name, value)?),
        "endpoint" => builder
            .with_config(AmazonS3ConfigKey::S3Endpoint, root.endpoint(name, value)?)
            .with_config(AmazonS3ConfigKey::Endpoint, value),
        "region" => builder.with_region(value),
        "secret_access_key" => builder.with_secret_access_key(value),
        "session_token" => builder.with_token(value),
        "virtual_hosted_style" => builder.with_virtual_hosted_style_request(root.flag(name, value)?),
        _ => return Err(root.unknown(name)),
    })
}
