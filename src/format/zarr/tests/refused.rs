//! What is not served is refused by a name, and the rest of the store is still there.

use super::folder::{MemoryFolder, fetch, open};
use crate::error::Kind;

const V3: &str = r#"{"zarr_format": 3, "node_type": "array", "shape": [4], "data_type": "int32", "fill_value": 0,
 "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2]}},
 "chunk_key_encoding": {"name": "default"}, "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}]}"#;
const V2: &str = r#"{"zarr_format": 2, "shape": [4], "chunks": [2], "dtype": "<i4", "fill_value": 0,
 "order": "C", "filters": null, "compressor": null}"#;

/// Opening `document` with `from` replaced by `to`, then locating and decoding its first chunk.
async fn outcome(document: &str, from: &str, to: &str) -> (Kind, String) {
    assert!(document.contains(from), "{from}");
    let name = if document == V3 { "zarr.json" } else { ".zarray" };
    let folder = MemoryFolder::of(&[(name, &document.replace(from, to))]);
    let result = async {
        let store = open(folder).await?;
        let bytes = fetch(&store, "", &[0]).await?;
        store.decoder("")?.decode(bytes)
    };
    let error = result.await.expect_err(to);
    (error.kind(), error.message().to_owned())
}

#[tokio::test]
async fn metadata_that_is_not_served_is_refused_and_corrupt_metadata_is_data_loss() {
    let bytes = r#"{"name": "bytes", "configuration": {"endian": "little"}}"#;
    let sharded = r#"{"name": "sharding_indexed", "configuration": {"chunk_shape": [2],
        "codecs": [{"name": "packbits"}], "index_codecs": [{"name": "bytes"}]}}"#;
    let turn = r#"{"name": "transpose", "configuration": {"order": [0]}}"#;
    let turned_pcodec = format!(r#"{turn}, {{"name": "numcodecs.pcodec"}}"#);
    let delta = r#"{"name": "numcodecs.delta", "configuration": {"dtype": "<i4"}}"#;
    let big_delta = format!("{delta}, {}", bytes.replace("little", "big"));
    let rows: Vec<(&str, &str, &str, Kind, &str)> = vec![
        (V3, "\"regular\"", "\"rectilinear\"", Kind::Unimplemented, "'rectilinear'"),
        (V3, "\"shape\"", "\"layers\": {}, \"shape\"", Kind::Unimplemented, "'layers'"),
        (V3, "\"shape\"", "\"storage_transformers\": [{\"name\": \"tea\"}], \"shape\"", Kind::Unimplemented, "'tea'"),
        (V3, "\"default\"", "\"morton\"", Kind::Unimplemented, "'morton'"),
        (V3, "\"int32\"", "\"int4\"", Kind::Unimplemented, "'int4'"),
        (V3, "\"int32\"", "{\"name\": \"numpy.datetime64\"}", Kind::Unimplemented, "'numpy.datetime64'"),
        (V3, "\"bytes\"", "\"packbits\"", Kind::Unimplemented, "'packbits'"),
        (V3, bytes, sharded, Kind::Unimplemented, "'packbits'"),
        (V3, "[4]", "[4, 4]", Kind::DataLoss, "number of dimensions"),
        (V3, "[4]", "[-4]", Kind::DataLoss, "shape"),
        (V3, "[2]", "[0]", Kind::DataLoss, "chunk length of 0"),
        (V3, "[2]", "[1000000000]", Kind::ResourceExhausted, "MAX_CHUNK_BYTES"),
        (V3, "[2]", "[18446744073709551615]", Kind::ResourceExhausted, "MAX_CHUNK_BYTES"),
        (V3, "\"array\"", "\"tensor\"", Kind::DataLoss, "node_type"),
        (V3, "\"zarr_format\": 3", "\"zarr_format\": 4", Kind::DataLoss, "zarr.json"),
        (V3, "\"fill_value\": 0", "\"fill_value\": \"zero\"", Kind::DataLoss, "fill value"),
        (V3, bytes, "5", Kind::DataLoss, "name"),
        (V3, bytes, "", Kind::Unimplemented, "missing array to bytes codec"),
        (V2, "\"<i4\"", "\"<M8[Y]\"", Kind::Unimplemented, "'<M8[Y]'"),
        (V2, "\"<i4\"", "\"<c32\"", Kind::Unimplemented, "'<c32'"),
        (V2, "\"<i4\"", "\"|V0\"", Kind::Unimplemented, "'|V0'"),
        (V3, "\"int32\"", "{\"name\": \"struct\"}", Kind::Unimplemented, "'struct'"),
        (V2, "\"<i4\"", "\"|O\"", Kind::Unimplemented, "objects with filters []"),
        (V2, "\"<i4\"", "[[\"a\", \"|O\"]]", Kind::Unimplemented, "structured"),
        (V2, "\"filters\": null", "\"filters\": [{\"id\": \"pickle\"}]", Kind::Unimplemented, "'pickle'"),
        (V2, "\"compressor\": null", "\"compressor\": {\"id\": \"snappy\"}", Kind::Unimplemented, "'snappy'"),
        (V2, "\"filters\": null", "\"filters\": [{\"id\": \"categorize\"}]", Kind::Unimplemented, "'categorize'"),
        (V2, "\"compressor\": null", "\"compressor\": {\"id\": \"zfpy\"}", Kind::Unimplemented, "'zfpy'"),
        (
            V2,
            "\"compressor\": null",
            "\"compressor\": {\"id\": \"lzma\", \"format\": 3}",
            Kind::Unimplemented,
            "'lzma'",
        ),
        (
            V2,
            "\"compressor\": null",
            "\"compressor\": {\"id\": \"delta\", \"dtype\": \"<c8\"}",
            Kind::Unimplemented,
            "'<c8'",
        ),
        (V2, "\"filters\": null", "\"filters\": [{\"id\": \"fixedscaleoffset\"}]", Kind::DataLoss, "'offset'"),
        (V3, bytes, r#"{"name": "numcodecs.zfpy"}"#, Kind::Unimplemented, "'numcodecs.zfpy'"),
        (V3, bytes, r#"{"name": "gdeflate"}"#, Kind::Unimplemented, "'gdeflate'"),
        (V3, bytes, &turned_pcodec, Kind::Unimplemented, "'transpose' before"),
        (V3, bytes, &big_delta, Kind::Unimplemented, "'bytes' beside a filter"),
        (V2, "\"C\"", "\"K\"", Kind::DataLoss, "order"),
        (V2, "\"zarr_format\": 2", "\"zarr_format\": 1", Kind::DataLoss, ".zarray"),
        (V2, "[2]", "[2, 2]", Kind::DataLoss, "number of dimensions"),
        (V2, "\"fill_value\": 0", "\"fill_value\": [1]", Kind::DataLoss, "fill value"),
        (V2, "\"fill_value\": 0", "\"dimension_separator\": \"../\", \"fill_value\": 0", Kind::DataLoss, "chunk keys"),
    ];
    for (document, from, to, kind, words) in rows {
        let (found, message) = outcome(document, from, to).await;
        assert_eq!(found, kind, "{to}: {message}");
        assert!(message.contains(words), "{to}: {message}");
    }
}

/// A position outside the grid is no chunk.
#[tokio::test]
async fn positions_outside_the_grid_are_errors() {
    let store = open(MemoryFolder::of(&[("zarr.json", V3)])).await.unwrap();
    assert!(store.locate("", &[vec![0], vec![1]]).await.is_ok());
    for position in [vec![2], vec![], vec![0, 0], vec![u64::MAX]] {
        let error = store.locate("", &[vec![0], position]).await.unwrap_err();
        assert_eq!(error.kind(), Kind::OutOfRange);
    }
    assert_eq!(store.locate("nowhere", &[]).await.unwrap_err().kind(), Kind::NotFound);
}
