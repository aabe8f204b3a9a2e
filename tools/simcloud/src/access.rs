//! Who may do what: signed requests everything, unsigned ones may read the
//! anonymous buckets.
//!
//! Signatures themselves are checked by `s3s` before this is asked: a wrong one
//! is refused for anonymous buckets too.

use async_trait::async_trait;
use s3s::access::{S3Access, S3AccessContext};
use s3s::{S3Result, s3_error};

/// The operations that need no signature on an anonymous bucket.
const READS: [&str; 5] = ["GetObject", "HeadObject", "ListObjectsV2", "HeadBucket", "GetBucketLocation"];

/// The rule, with the buckets that may be read by all.
#[derive(Debug)]
pub(crate) struct Access {
    /// Names of the anonymous buckets.
    pub(crate) anonymous_buckets: Vec<String>,
}

#[async_trait]
impl S3Access for Access {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        if context.credentials().is_some() {
            return Ok(());
        }
        let bucket = context.s3_path().get_bucket_name();
        let open = bucket.is_some_and(|name| self.anonymous_buckets.iter().any(|open| open == name));
        if open && READS.contains(&context.s3_op().name()) {
            return Ok(());
        }
        Err(s3_error!(AccessDenied, "Signature is required"))
    }
}
