//! The codec chain of an array: which codecs are served, and building the chain from metadata.
//!
//! Only codecs whose results were compared with the reference writer's are served; every other one
//! is refused by name, even where the library has it. Transposition, shards, texts and byte order are the
//! library's; what lies between those and the stored bytes are [`Step`]s.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use zarrs::array::codec::api::{ArrayToBytesCodecTraits, BytesToBytesCodecTraits};
use zarrs::array::codec::{ShardingCodec, ShardingCodecConfiguration};
use zarrs::array::{Array, ArrayCreateError, ArrayMetadata, ArrayMetadataV2, CodecChain};
use zarrs::metadata::v3::MetadataV3;
use zarrs::plugin::PluginCreateError;

use super::bounded::Bounded;
use super::filter::Filter;
use super::shard::Sharding;
use super::step::Step;
use super::structured;
use crate::error::{Error, Result, ResultExt};
use crate::model::data_type::DataType;
use crate::model::swap::Swap;
use crate::model::time::NOT_A_TIME;
use crate::model::tree::ArrayNode;

/// Codecs of version 3 that are served.
pub const V3_CODECS: [&str; 28] = [
    "bytes",
    "vlen-utf8",
    "vlen-bytes",
    "transpose",
    "sharding_indexed",
    "blosc",
    "zstd",
    "gzip",
    "crc32c",
    "numcodecs.blosc",
    "numcodecs.zstd",
    "numcodecs.gzip",
    "numcodecs.zlib",
    "numcodecs.bz2",
    "numcodecs.lz4",
    "numcodecs.lzma",
    "numcodecs.pcodec",
    "numcodecs.shuffle",
    "numcodecs.fletcher32",
    "numcodecs.crc32",
    "numcodecs.crc32c",
    "numcodecs.adler32",
    "numcodecs.delta",
    "numcodecs.fixedscaleoffset",
    "numcodecs.astype",
    "numcodecs.quantize",
    "numcodecs.bitround",
    "numcodecs.packbits",
];
/// Filters and compressors of version 2 that are served.
pub const V2_CODECS: [&str; 21] = [
    "vlen-utf8",
    "vlen-bytes",
    "blosc",
    "zstd",
    "gzip",
    "zlib",
    "bz2",
    "lz4",
    "lzma",
    "pcodec",
    "shuffle",
    "fletcher32",
    "crc32",
    "crc32c",
    "adler32",
    "delta",
    "fixedscaleoffset",
    "astype",
    "quantize",
    "bitround",
    "packbits",
];

/// What the library needs to decode chunks of one array.
#[derive(Debug)]
pub(super) struct Codecs {
    pub(super) chain: CodecChain,
    pub(super) data_type: zarrs::array::DataType,
    pub(super) fill_value: zarrs::array::FillValue,
    /// What to reverse in each decoded element, and in the fill value: fields of structured types.
    pub(super) swaps: Vec<Swap>,
}

impl Codecs {
    fn of(chain: CodecChain, library: &Array<()>, swaps: Vec<Swap>) -> Self {
        Self { chain, data_type: library.data_type().clone(), fill_value: library.fill_value().clone(), swaps }
    }
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
    let named = || format!("array '{path}'");
    let mut document = array.storage.clone();
    as_library_type(&mut document, &array.data_type).with_context(named)?;
    let swaps = match array.storage.get("dtype") {
        Some(dtype @ Value::Array(_)) => structured::swaps_v2(dtype)
            .map_err(|description| Error::unimplemented(format!("array '{path}': {description} is not supported")))?,
        _ => Vec::new(),
    };
    check_byte_order(path, array)?;
    if version(array) == Some(3) {
        let inner = Sharding::of(&array.storage).map(|sharding| sharding.codecs);
        // What is decoded is an inner chunk of a shard where those are read one by one.
        let codecs = inner.or_else(|| array.storage.get("codecs").cloned());
        let list = codecs.as_ref().and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if let Some(fields) = document.as_object_mut() {
            fields.insert("codecs".into(), Value::Array(plain(list)));
        }
        let library = library(path, ArrayMetadata::V3(typed(document).with_context(named)?))?;
        let chain = chain(list, &numpy_type(&array.data_type)).with_context(named)?;
        return Ok(Codecs::of(chain, &library, swaps));
    }
    let steps = taken_steps(&mut document).with_context(named)?;
    let library = library(path, ArrayMetadata::V2(typed::<ArrayMetadataV2>(document).with_context(named)?))?;
    let plain = library.codecs();
    let to_bytes = Arc::clone(plain.array_to_bytes_codec());
    let chain = CodecChain::new(plain.array_to_array_codecs().to_vec(), to_bytes, bounded(steps));
    Ok(Codecs::of(chain, &library, swaps))
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
            let name = name(codec);
            if !V3_CODECS.contains(&name) {
                return Err(refuse(name, &V3_CODECS));
            }
            lists.push(codec.pointer("/configuration/codecs"));
            lists.push(codec.pointer("/configuration/index_codecs"));
        }
    }
    Ok(())
}

fn name(codec: &Value) -> &str {
    codec.as_str().or_else(|| codec.get("name")?.as_str()).unwrap_or_default()
}

fn typed<T: serde::de::DeserializeOwned>(document: Value) -> Result<T> {
    serde_json::from_value(document)
        .map_err(|error| Error::data_loss(format!("metadata cannot be read: {error}")).with_source(error))
}

/// The library's array, for its types.
fn library(path: &str, metadata: ArrayMetadata) -> Result<Array<()>> {
    Array::new_with_metadata(Arc::new(()), "/", metadata).map_err(|error| match error {
        ArrayCreateError::InvalidFillValueMetadata { .. } => Error::data_loss(format!("array '{path}': {error}")),
        other => Error::unimplemented(format!("array '{path}' is not supported: {other}")),
    })
}

/// Takes the steps out of the filters and the compressor of a version 2 document, in the order in which
/// they were applied when written.
fn taken_steps(document: &mut Value) -> Result<Vec<Step>> {
    let mut elements = document.get("dtype").and_then(Value::as_str).unwrap_or_default().to_owned();
    let Some(fields) = document.as_object_mut() else { return Ok(Vec::new()) };
    let filters = fields.insert("filters".into(), Value::Null).unwrap_or_default();
    let compressor = fields.insert("compressor".into(), Value::Null).filter(|compressor| !compressor.is_null());
    let filters = filters.as_array().cloned().unwrap_or_default();
    let (mut kept, mut steps) = (Vec::new(), Vec::new());
    for codec in filters.into_iter().chain(compressor) {
        let id = codec.get("id").and_then(Value::as_str).unwrap_or_default();
        let configuration = codec.as_object().cloned().unwrap_or_default();
        match Step::of(id, &configuration, &elements)? {
            Some(step) => {
                if let Step::Filter(filter) = &step {
                    elements = filter.stored_type(&elements);
                }
                steps.push(step);
            }
            None if steps.is_empty() => kept.push(codec),
            None => return Err(Error::unimplemented(format!("codec '{id}' behind another one is not supported"))),
        }
    }
    if !kept.is_empty() {
        fields.insert("filters".into(), Value::Array(kept));
    }
    Ok(steps)
}

/// The step that a version 3 codec is; `elements` is the numpy type of what it encodes.
fn step(codec: &Value, elements: &str) -> Result<Option<Step>> {
    let id = match name(codec) {
        short @ ("blosc" | "zstd" | "gzip" | "crc32c") => short,
        name => match name.strip_prefix("numcodecs.") {
            Some(id) => id,
            None => return Ok(None),
        },
    };
    let mut configuration: Map<String, Value> =
        codec.get("configuration").and_then(Value::as_object).cloned().unwrap_or_default();
    if id == "shuffle" && configuration.get("elementsize").is_none_or(Value::is_null) {
        let size: String = elements.chars().filter(char::is_ascii_digit).collect();
        configuration.insert("elementsize".into(), json!(size.parse::<u64>().ok()));
    }
    Step::of(id, &configuration, elements)
}

/// The codecs of a version 3 `list` that are the library's: no steps, and of shards what their inner
/// chunks are.
fn plain(list: &[Value]) -> Vec<Value> {
    let little = || json!({"name": "bytes", "configuration": {"endian": "little"}});
    let is_filter = |codec: &Value| matches!(step(codec, "<u8"), Ok(Some(Step::Filter(_))));
    let filtered = list.iter().any(is_filter);
    let mut plain = Vec::new();
    for codec in list {
        match name(codec) {
            "sharding_indexed" => {
                let inner = codec.pointer("/configuration/codecs").and_then(Value::as_array);
                let inner = self::plain(inner.map(Vec::as_slice).unwrap_or_default());
                plain.extend(inner.into_iter().filter(|codec| name(codec) != "transpose"));
            }
            "numcodecs.pcodec" => plain.push(little()),
            "bytes" if filtered => plain.push(little()),
            "bytes" | "vlen-utf8" | "vlen-bytes" | "transpose" => plain.push(codec.clone()),
            other if other.starts_with("numcodecs.") || V3_CODECS.contains(&other) => {}
            _ => plain.push(codec.clone()),
        }
    }
    plain
}

/// A chain whose steps are bounded, those inside shards included; `elements` is the numpy type of the
/// array's elements.
fn chain(list: &[Value], elements: &str) -> Result<CodecChain> {
    let refused = |error: PluginCreateError| Error::unimplemented(format!("its codecs are not supported: {error}"));
    let plain: Vec<MetadataV3> = typed(Value::Array(plain(list)))?;
    let plain = CodecChain::from_metadata(&plain).map_err(refused)?;
    let sharding = list.iter().find(|codec| name(codec) == "sharding_indexed");
    let to_bytes: Arc<dyn ArrayToBytesCodecTraits> = match sharding {
        Some(codec) => Arc::new(shards(codec, elements)?),
        None => Arc::clone(plain.array_to_bytes_codec()),
    };
    let steps = steps(list, elements)?;
    Ok(CodecChain::new(plain.array_to_array_codecs().to_vec(), to_bytes, bounded(steps)))
}

/// The steps of a version 3 `list`. Filters of elements come before the codec that makes bytes of them:
/// they are steps on its bytes instead, which needs these to be in one order.
fn steps(list: &[Value], elements: &str) -> Result<Vec<Step>> {
    let (mut elements, mut steps) = (elements.to_owned(), Vec::new());
    let mut is_bytes = false;
    let is_big = |codec: &Value| codec.pointer("/configuration/endian").and_then(Value::as_str) == Some("big");
    for codec in list {
        let on_elements = match step(codec, &elements)? {
            Some(Step::Filter(filter)) if is_bytes || !is_little(&filter) => Some(name(codec)),
            Some(Step::Filter(filter)) => {
                elements = filter.stored_type(&elements);
                steps.push(Step::Filter(filter));
                None
            }
            Some(step) => {
                is_bytes |= step == Step::Pcodec;
                steps.push(step);
                None
            }
            None => {
                is_bytes |= name(codec) != "transpose";
                (!steps.is_empty() && (name(codec) != "bytes" || is_big(codec))).then(|| name(codec))
            }
        };
        if let Some(name) = on_elements {
            return Err(Error::unimplemented(format!("codec '{name}' beside a filter of elements is not supported")));
        }
    }
    let is_numcodecs = |step: &Step| matches!(step, Step::Filter(_) | Step::Pcodec);
    if steps.iter().any(is_numcodecs) && list.iter().any(|codec| name(codec) == "transpose") {
        return Err(Error::unimplemented("codec 'transpose' before a codec of numcodecs is not supported"));
    }
    Ok(steps)
}

fn is_little(filter: &Filter) -> bool {
    filter.is_little_endian()
}

/// The codec of shards whose inner chunks have bounded steps.
fn shards(codec: &Value, elements: &str) -> Result<ShardingCodec> {
    let corrupt = |error: serde_json::Error| {
        Error::data_loss(format!("codec 'sharding_indexed' cannot be read: {error}")).with_source(error)
    };
    let configuration = codec.get("configuration").cloned().unwrap_or_default();
    let list = |field: &str| configuration.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
    let (inner, index) = (list("codecs"), list("index_codecs"));
    let shard = match serde_json::from_value(configuration).map_err(corrupt)? {
        ShardingCodecConfiguration::V1(shard) => shard,
        _ => return Err(Error::unimplemented("this configuration of sharding_indexed is not known")),
    };
    let inner = Arc::new(chain(&inner, elements)?);
    let index = Arc::new(chain(&index, "<u8")?);
    Ok(ShardingCodec::new(shard.chunk_shape, inner, index, shard.index_location))
}

fn bounded(steps: Vec<Step>) -> Vec<Arc<dyn BytesToBytesCodecTraits>> {
    steps.into_iter().map(|step| Arc::new(Bounded(step)) as Arc<dyn BytesToBytesCodecTraits>).collect()
}

/// numpy's type string of little-endian elements; empty where filters of numbers cannot apply.
fn numpy_type(data_type: &DataType) -> String {
    let kind = match data_type {
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => 'i',
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => 'u',
        DataType::Float16 | DataType::Float32 | DataType::Float64 => 'f',
        DataType::Boolean => 'b',
        _ => return String::new(),
    };
    format!("<{kind}{}", data_type.item_size())
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
