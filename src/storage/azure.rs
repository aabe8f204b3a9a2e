//! The client of one container of Azure Blob Storage: environment, then the options of the root, checked by name.
//!
//! Two things that Azure and its client do differently are made even here: a listing gives ETags without the quotes that
//! every other answer has, and there are no ranges counted from the end.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::azure::{MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::list::{PaginatedListOptions, PaginatedListResult, PaginatedListStore};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetRange, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result as StoreResult,
};

use super::cloud::{self, CloudRoot};
use super::options::StorageOptions;
use crate::error::Result;

/// Names of the options that a root may have.
const OPTIONS: [&str; 14] = [
    "access_key",
    "account",
    "allow_http",
    "anonymous",
    "authority_host",
    "client_id",
    "client_secret",
    "endpoint",
    "federated_token_file",
    "sas_token",
    "skip_signature",
    "tenant_id",
    "token",
    "use_azure_cli",
];

/// A client for the container of `authority`, `container` or `container@account.dfs.core.windows.net`, with `AZURE_*`
/// variables under the options of the root.
///
/// # Errors
/// `InvalidArgument` naming an option that is unknown or has a bad value; values are not shown.
pub(crate) fn client(
    authority: &str,
    given: &BTreeMap<String, String>,
    options: &StorageOptions,
) -> Result<AzureContainer> {
    let (container, host) = authority.split_once('@').unwrap_or((authority, ""));
    let account = host.split('.').next().filter(|account| !account.is_empty());
    let url = if account.is_some() { format!("abfss://{authority}") } else { format!("az://{authority}") };
    let root = CloudRoot { url, options: &OPTIONS };
    let mut builder = MicrosoftAzureBuilder::from_env();
    let mut allow_http = false;
    for (name, value) in given {
        match name.as_str() {
            "allow_http" => allow_http = root.flag(name, value)?,
            "endpoint" => {
                allow_http |= root.endpoint(name, value)?.to_ascii_lowercase().starts_with("http://");
                builder = builder.with_endpoint(value.clone());
            }
            _ => builder = with_option(builder, &root, name, value)?,
        }
    }
    if let Some(account) = account {
        builder = builder.with_account(account);
    }
    let made = builder
        .with_container_name(container)
        .with_client_options(cloud::client_options(options, allow_http))
        .with_retry(cloud::no_retry(options))
        .with_http_connector(cloud::connector(options))
        .build();
    made.map(AzureContainer).map_err(|_| root.no_client())
}

fn with_option(
    builder: MicrosoftAzureBuilder,
    root: &CloudRoot<'_>,
    name: &str,
    value: &str,
) -> Result<MicrosoftAzureBuilder> {
    use object_store::azure::AzureConfigKey;
    let short = name.strip_prefix("azure_").unwrap_or(name);
    Ok(match short.strip_prefix("storage_").unwrap_or(short) {
        "access_key" | "account_key" => builder.with_access_key(value),
        "account" | "account_name" => builder.with_account(value),
        "anonymous" | "skip_signature" => builder.with_skip_signature(root.flag(name, value)?),
        "authority_host" => builder.with_authority_host(root.endpoint(name, value)?),
        "client_id" => builder.with_client_id(value),
        "client_secret" => builder.with_client_secret(value),
        "federated_token_file" => builder.with_federated_token_file(value),
        "sas_token" | "sas_key" => builder.with_config(AzureConfigKey::SasKey, value),
        "tenant_id" => builder.with_tenant_id(value),
        "token" | "bearer_token" => builder.with_bearer_token_authorization(value),
        "use_azure_cli" => builder.with_use_azure_cli(root.flag(name, value)?),
        _ => return Err(root.unknown(name)),
    })
}

/// One container.
#[derive(Debug)]
pub(crate) struct AzureContainer(MicrosoftAzure);

impl fmt::Display for AzureContainer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[async_trait]
impl PaginatedListStore for AzureContainer {
    async fn list_paginated(
        &self,
        prefix: Option<&str>,
        options: PaginatedListOptions,
    ) -> StoreResult<PaginatedListResult> {
        let offset = options.offset.clone();
        let mut page = self.0.list_paginated(prefix, options).await?;
        // Azure's listing begins at the offset, not after it.
        page.result.objects.retain(|object| offset.as_deref().is_none_or(|offset| object.location.as_ref() > offset));
        for object in &mut page.result.objects {
            object.e_tag = object.e_tag.take().map(quoted);
        }
        Ok(page)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for AzureContainer {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> StoreResult<PutResult> {
        self.0.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> StoreResult<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, mut options: GetOptions) -> StoreResult<GetResult> {
        if let (Some(GetRange::Suffix(length)), false) = (&options.range, options.head) {
            let length = *length;
            let head = GetOptions { range: None, head: true, ..options.clone() };
            let found = self.0.get_opts(location, head).await?.meta;
            options.range = Some(GetRange::Bounded(found.size.saturating_sub(length)..found.size));
            options.if_match = found.e_tag;
        }
        self.0.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> StoreResult<Vec<Bytes>> {
        self.0.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, StoreResult<Path>>) -> BoxStream<'static, StoreResult<Path>> {
        self.0.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        self.0.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        self.0.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> StoreResult<()> {
        self.0.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> StoreResult<()> {
        self.0.rename_opts(from, to, options).await
    }
}

/// An ETag as answers to reads give it.
fn quoted(tag: String) -> String {
    if tag.starts_with(['"', 'W']) { tag } else { format!("\"{tag}\"") }
}
