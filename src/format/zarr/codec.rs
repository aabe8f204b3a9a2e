//! The codec chain of an array: which codecs are served, and building the chain from metadata.
//!
//! Only codecs whose results were compared with the reference writer's are served; every other one
//! is refused by name, even where the library has it.

use std::sync::Arc;

use serde_json::{Value, json};
use zarrs::array::codec::api::ArrayToBytesCodecTraits;
use zarrs::array::codec::{ShardingCodec, ShardingCodecConfiguration};
use zarrs::array::{Array, ArrayCreateError, ArrayMetadata, ArrayMetadataV2, ArrayMetadataV3, CodecChain};
use zarrs::metadata::v3::MetadataV3;
use zarrs::plugin::PluginCreateError;

use super::bounded::bounded;
use super::shard::Sharding;
use super::structured;
use crate::error::{Error, Result};
use crate::model::data_type::DataType;
use crate::model::swap::Swap;
use crate::model::time::NOT_A_TIME;
use crate::model::tree::ArrayNode;

/// Codecs of version 3 that are served.
pub const V3_CODECS: [&str; 13] = [
    "bytes",
    "vlen-utf8",
    "vlen-bytes",
    "transpose",
    "sharding_indexed",
    "blosc",
    "zstd",
    "gzip",
    "crc32c",
    "numcodecs.zlib",
    "numcodecs.bz2",
    "numcodecs.shuffle",
    "numcodecs.fletcher32",
];
/// Filters and compressors of version 2 that are served.
pub const V2_CODECS: [&str; 9] =
    ["vlen-utf8", "vlen-bytes", "blosc", "zstd", "gzip", "zlib", "bz2", "shuffle", "fletcher32"];

/// What the library needs to decode chunks of one array.
#[derive(Debug)]
pub(super) struct Codecs {
    pub(super) chain: CodecChain,
    pub(super) data_type: zarrs::array::DataType,
    pub(super) fill_value: zarrs::array::FillValue,
    /// What to reverse in each decoded element, and in the fill value: fields of structured types.
    pub(super) swaps: Vec<Swap>,
}

/// The codecs of `array`, which errors name as `path`.
///
/// # Errors
/// `Unimplemented` naming the type or codec that is not served, `DataLoss` for metadata that
/// contradicts itself.
pub(super) fn codecs(path: &str, array: &ArrayNode) -> Result<Codecs> {
    if let DataType::Unsupported { description, .. } = &array.data_type {
        return Err(Error::unimplemented(format!("array '{path}': {description} is not supported")));
    }
    check_served(path, array)?;
    let corrupt = |error: serde_json::Error| {
        Error::data_loss(format!("array '{path}': metadata cannot be read: {error}")).with_source(error)
    };
    let mut document = array.storage.clone();
    as_library_type(&mut document, &array.data_type).map_err(|error| error.context(format!("array '{path}'")))?;
    let is_v3 = version(array) == Some(3);
    let swaps = match array.storage.get("dtype") {
        Some(dtype @ Value::Array(_)) => structured::swaps_v2(dtype)
            .map_err(|description| Error::unimplemented(format!("array '{path}': {description} is not supported")))?,
        _ => Vec::new(),
    };
    check_byte_order(path, array)?;
    let (metadata, codec_list) = if is_v3 {
        let metadata: ArrayMetadataV3 = serde_json::from_value(document).map_err(corrupt)?;
        // What is decoded is an inner chunk of a shard where those are read one by one.
        let list = match Sharding::of(&array.storage) {
            Some(sharding) => serde_json::from_value(sharding.codecs).map_err(corrupt)?,
            None => metadata.codecs.clone(),
        };
        (ArrayMetadata::V3(metadata), Some(list))
    } else {
        let metadata: ArrayMetadataV2 = serde_json::from_value(document).map_err(corrupt)?;
        (ArrayMetadata::V2(metadata), None)
    };
    let refused = |error: String| Error::unimplemented(format!("array '{path}' is not supported: {error}"));
    let library = Array::new_with_metadata(Arc::new(()), "/", metadata).map_err(|error| match error {
        ArrayCreateError::InvalidFillValueMetadata { .. } => Error::data_loss(format!("array '{path}': {error}")),
        other => refused(other.to_string()),
    })?;
    let chain = match codec_list {
        Some(list) => chain(&list).map_err(|error| refused(error.to_string()))?,
        None => with_bounds(&library.codecs(), Arc::clone(library.codecs().array_to_bytes_codec())),
    };
    Ok(Codecs { chain, data_type: library.data_type().clone(), fill_value: library.fill_value().clone(), swaps })
}

/// The version of the format that `array` is written in.
pub(super) fn version(array: &ArrayNode) -> Option<u64> {
    array.storage.get("zarr_format")?.as_u64()
}

/// Whether every codec is served, those inside shards included.
fn check_served(path: &str, array: &ArrayNode) -> Result<()> {
    let refuse = |name: &str, served: &[&str]| {
        let served = served.join(", ");
        Error::unimplemented(format!("array '{path}': codec '{name}' is not supported; supported are {served}"))
    };
    if version(array) == Some(2) {
        let refused = array.filters.iter().find(|name| !V2_CODECS.contains(&name.as_str()));
        return refused.map_or(Ok(()), |name| Err(refuse(name, &V2_CODECS)));
    }
    let mut lists = vec![array.storage.get("codecs")];
    while let Some(list) = lists.pop() {
        for codec in list.and_then(Value::as_array).into_iter().flatten() {
            let name = codec.as_str().or_else(|| codec.get("name")?.as_str()).unwrap_or_default();
            if !V3_CODECS.contains(&name) {
                return Err(refuse(name, &V3_CODECS));
            }
            lists.push(codec.pointer("/configuration/codecs"));
            lists.push(codec.pointer("/configuration/index_codecs"));
        }
    }
    Ok(())
}

/// A chain whose decompressors are bounded, those inside shards included.
fn chain(list: &[MetadataV3]) -> Result<CodecChain, PluginCreateError> {
    let plain = CodecChain::from_metadata(list)?;
    let sharding = list.iter().find(|codec| codec.name() == "sharding_indexed");
    let to_bytes: Arc<dyn ArrayToBytesCodecTraits> = match sharding {
        Some(codec) => match codec.to_typed_configuration::<ShardingCodecConfiguration>()? {
            ShardingCodecConfiguration::V1(shard) => Arc::new(ShardingCodec::new(
                shard.chunk_shape,
                Arc::new(chain(&shard.codecs)?),
                Arc::new(chain(&shard.index_codecs)?),
                shard.index_location,
            )),
            _ => return Err(PluginCreateError::Other("this configuration of sharding_indexed is not known".into())),
        },
        None => Arc::clone(plain.array_to_bytes_codec()),
    };
    Ok(with_bounds(&plain, to_bytes))
}

/// `plain` with `to_bytes` in its middle and bounded decompressors.
fn with_bounds(plain: &CodecChain, to_bytes: Arc<dyn ArrayToBytesCodecTraits>) -> CodecChain {
    let decompressors = plain.bytes_to_bytes_codecs().iter().map(bounded).collect();
    CodecChain::new(plain.array_to_array_codecs().to_vec(), to_bytes, decompressors)
}

/// Refuses fields of version 3 in big-endian order: raw bytes have none to the library.
fn check_byte_order(path: &str, array: &ArrayNode) -> Result<()> {
    let codecs = array.storage.get("codecs").map(Value::to_string).unwrap_or_default();
    if codecs.contains(r#""endian":"big""#) && is_raw(array.storage.get("data_type"), &array.data_type) {
        return Err(Error::unimplemented(format!("array '{path}': big-endian structured elements are not supported")));
    }
    Ok(())
}

/// Whether elements of the type that `stored` describes are raw bytes to the library. It knows complex
/// numbers, which have a name and no fields.
fn is_raw(stored: Option<&Value>, data_type: &DataType) -> bool {
    match data_type {
        DataType::Struct { .. } => {
            let name = stored.and_then(|stored| stored.as_str().or_else(|| stored.get("name")?.as_str()));
            name.is_none_or(|name| name == "structured")
        }
        data_type => matches!(data_type, DataType::Opaque { .. }),
    }
}

/// Rewrites type and fill value of `document` where the library knows them by other words:
/// fixed-length byte texts and structured elements are raw bytes to it, times are integers. In version
/// 2 a fill value that is not set is the empty text, zero or no time, and the number 0, which older
/// writers set for every type, is the text `0` of a variable-length one, as the reference reader has
/// both.
fn as_library_type(document: &mut Value, data_type: &DataType) -> Result<()> {
    let Some(fields) = document.as_object_mut() else { return Ok(()) };
    let is_v3 = fields.contains_key("data_type");
    let field = if is_v3 { "data_type" } else { "dtype" };
    let unset = !is_v3 && fields.get("fill_value").is_none_or(|fill| fill.is_null() || fill.as_u64() == Some(0));
    let number_type = || match fields.get("dtype").and_then(Value::as_str) {
        Some(text) if text.starts_with('>') => ">i8",
        Some(_) => "<i8",
        None => "int64",
    };
    let (name, fill) = match data_type {
        DataType::FixedString { .. } | DataType::Struct { .. } | DataType::Opaque { .. }
            if is_raw(fields.get(field), data_type) || data_type.is_text() =>
        {
            let size = data_type.item_size();
            let stored = fields.get("fill_value").filter(|_| !unset || data_type.is_text());
            let name = if is_v3 { format!("r{}", size.saturating_mul(8)) } else { format!("|V{size}") };
            (Some(name), Some(json!(fixed_fill(stored, size)?)))
        }
        DataType::Struct { .. } if unset => (None, Some(json!([0.0, 0.0]))),
        DataType::Timestamp(_) | DataType::Duration(_) => {
            let stored = fields.get("fill_value").unwrap_or(&Value::Null);
            let is_none = stored.as_str() == Some("NaT") || stored.is_null();
            (Some(number_type().to_owned()), Some(if is_none { json!(NOT_A_TIME) } else { stored.clone() }))
        }
        DataType::Binary => ((!is_v3).then(|| "|VX".to_owned()), unset.then(|| json!(""))),
        DataType::FixedUtf32 { .. } if !is_v3 && fields.get("fill_value").is_none_or(Value::is_null) => {
            (None, Some(json!("")))
        }
        DataType::String if !is_v3 && fields.get("fill_value").and_then(Value::as_u64) == Some(0) => {
            (None, Some(json!("0")))
        }
        _ => (None, None),
    };
    name.and_then(|name| fields.insert(field.into(), json!(name)));
    fill.and_then(|fill| fields.insert("fill_value".into(), fill));
    Ok(())
}

/// The bytes of a fixed-length fill value: base64 in both versions or a list of bytes, padded with null
/// bytes.
fn fixed_fill(stored: Option<&Value>, length: usize) -> Result<Vec<u8>> {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    let corrupt = || Error::data_loss(format!("fill value {stored:?} is not base64 of at most {length} bytes"));
    let mut fill = match stored {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(text)) => BASE64_STANDARD.decode(text).map_err(|_| corrupt())?,
        Some(Value::Array(bytes)) => {
            let byte = |byte: &Value| byte.as_u64().and_then(|byte| u8::try_from(byte).ok()).ok_or_else(corrupt);
            bytes.iter().map(byte).collect::<Result<_>>()?
        }
        Some(_) => return Err(corrupt()),
    };
    if fill.len() > length {
        return Err(corrupt());
    }
    fill.resize(length, 0);
    Ok(fill)
}
