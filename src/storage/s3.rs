//! The client of one S3 bucket: environment, then the options of the root, checked by name.

use std::collections::BTreeMap;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::{ClientConfigKey, RetryConfig};

use super::options::StorageOptions;
use super::watch::WatchingConnector;
use crate::error::{Error, Result};

/// Bound of a whole request in the HTTP client. Our own timeouts (head of the answer, stalled body)
/// strike long before; a long body that keeps coming may take its time.
const WHOLE_REQUEST: Duration = Duration::from_secs(3600);

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
    let mut builder = AmazonS3Builder::from_env();
    for (name, value) in given {
        builder = with_option(builder, bucket, name, value)?;
    }
    let endpoint = [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint]
        .into_iter()
        .find_map(|key| builder.get_config_value(&key));
    if endpoint.is_some_and(|endpoint| endpoint.to_ascii_lowercase().starts_with("http://")) {
        builder = builder.with_allow_http(true);
    }
    let seconds = |duration: Duration| format!("{}ms", duration.as_millis().max(1));
    // The client never repeats: `requests` does, and counts every attempt.
    let no_retry = RetryConfig { max_retries: 0, retry_timeout: options.retry.total_time, ..RetryConfig::default() };
    builder
        .with_bucket_name(bucket)
        .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::ConnectTimeout), seconds(options.connect_timeout))
        .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::Timeout), seconds(WHOLE_REQUEST))
        .with_retry(no_retry)
        .with_http_connector(WatchingConnector)
        .build()
        .map_err(|_| {
            Error::invalid(format!("no S3 client for s3://{bucket}: check its endpoint, region and credential options"))
        })
}

fn with_option(builder: AmazonS3Builder, bucket: &str, name: &str, value: &str) -> Result<AmazonS3Builder> {
    let flag = || match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Error::invalid(format!("storage option {name} of s3://{bucket} must be true or false"))),
    };
    // object_store and the environment know the same options with this prefix.
    Ok(match name.strip_prefix("aws_").unwrap_or(name) {
        "access_key_id" => builder.with_access_key_id(value),
        "allow_http" => builder.with_allow_http(flag()?),
        "anonymous" | "skip_signature" => builder.with_skip_signature(flag()?),
        "endpoint" => builder
            .with_config(AmazonS3ConfigKey::S3Endpoint, checked_endpoint(bucket, value)?)
            .with_config(AmazonS3ConfigKey::Endpoint, value),
        "region" => builder.with_region(value),
        "secret_access_key" => builder.with_secret_access_key(value),
        "session_token" => builder.with_token(value),
        "virtual_hosted_style" => builder.with_virtual_hosted_style_request(flag()?),
        _ => {
            let known = OPTIONS.join(", ");
            return Err(Error::invalid(format!("unknown storage option {name:?} of s3://{bucket}; known are {known}")));
        }
    })
}

/// An endpoint is shown in logs: it may not hold a password.
fn checked_endpoint<'a>(bucket: &str, endpoint: &'a str) -> Result<&'a str> {
    let refuse = || Error::invalid(format!("storage option endpoint of s3://{bucket} must be http(s)://host[:port]"));
    let url = url::Url::parse(endpoint).map_err(|_| refuse())?;
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    if plain && matches!(url.scheme(), "http" | "https") && url.host().is_some() { Ok(endpoint) } else { Err(refuse()) }
}
