//! Every element and attribute of every fixture equals what h5py reads.

use libdeflater::crc32;
use serde_json::Value;

use super::memory::{fixture, open_fixture};
use crate::error::{Kind, Result};
use crate::format::hdf5::Hdf5File;
use crate::model::chunk::{ChunkLocation, Elements};
use crate::model::data_type::{DataType, HEAP_REFERENCE_SIZE, Padding};
use crate::model::swap;
use crate::model::tree::{ArrayNode, Node};

/// All elements of an array, in C order, as bytes of the item size.
pub(super) async fn read_all(file: &Hdf5File, path: &str) -> Result<Vec<u8>> {
    let array = file.tree().array(path)?.clone();
    let item = array.data_type.item_size();
    let decoder = file.decoder(path)?;
    let positions = product(&array.grid());
    let locations = file.locate(path, &positions).await?;
    let mut whole = vec![0xaa; array.element_count()? as usize * item];
    for (position, location) in positions.iter().zip(&locations) {
        let encoded = match location {
            ChunkLocation::Range { offset, length, .. } => Some(file.reader().read(*offset..offset + length).await?),
            _ => None,
        };
        let Elements::Fixed(chunk) = decoder.decode(encoded, location)? else { panic!("texts") };
        assert_eq!(chunk.len() as u64, array.chunk_bytes(), "chunk {position:?} of {path}");
        copy(&array, position, &chunk, &mut whole, item);
    }
    Ok(whole)
}

fn product(grid: &[u64]) -> Vec<Vec<u64>> {
    grid.iter().fold(vec![Vec::new()], |positions, count| {
        let extend = |position: Vec<u64>| (0..*count).map(move |at| [position.as_slice(), &[at]].concat());
        positions.into_iter().flat_map(extend).collect()
    })
}

/// Element by element, so slow that it is right.
fn copy(array: &ArrayNode, position: &[u64], chunk: &[u8], whole: &mut [u8], item: usize) {
    for (number, inside) in product(&array.chunk_shape).into_iter().enumerate() {
        let at: Vec<u64> =
            inside.iter().zip(position).zip(&array.chunk_shape).map(|((at, chunk), size)| at + chunk * size).collect();
        if at.iter().zip(&array.shape).all(|(at, length)| at < length) {
            let to = at.iter().zip(&array.shape).fold(0, |to, (at, length)| to * length + at) as usize;
            whole[to * item..(to + 1) * item].copy_from_slice(&chunk[number * item..(number + 1) * item]);
        }
    }
}

fn texts_crc<'a>(texts: impl Iterator<Item = &'a [u8]>) -> u32 {
    let mut all = Vec::new();
    for text in texts {
        all.extend_from_slice(&(text.len() as u32).to_le_bytes());
        all.extend_from_slice(text);
    }
    crc32(&all)
}

fn trimmed(text: &[u8], padding: Padding) -> &[u8] {
    match padding {
        Padding::NullTerminated => text.split(|byte| *byte == 0).next().unwrap(),
        Padding::NullPadded => &text[..text.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)],
        Padding::SpacePadded => &text[..text.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1)],
    }
}

/// Checks the type's name and the checksum of `bytes` against what h5py found.
async fn compare(file: &Hdf5File, data_type: &DataType, bytes: &[u8], name: &Value, crc: &Value, path: &str) {
    match data_type {
        DataType::Struct { fields, size } => {
            assert_eq!(name, "struct", "{path}");
            let expected = crc.as_object().unwrap();
            assert_eq!(fields.len(), expected.len(), "{path}");
            for field in fields {
                let item = field.data_type.item_size();
                let start = field.offset as usize;
                let column: Vec<u8> =
                    bytes.chunks_exact(*size as usize).flat_map(|row| row[start..start + item].to_vec()).collect();
                let entry = &expected[&field.name];
                let path = format!("{path}.{}", field.name);
                Box::pin(compare(file, &field.data_type, &column, &entry[0], &entry[1], &path)).await;
            }
        }
        DataType::String => {
            let texts = file.resolve_texts(bytes, 1 << 20).await.unwrap();
            assert_eq!(texts.len(), bytes.len() / HEAP_REFERENCE_SIZE, "{path}");
            let found = texts_crc((0..texts.len()).map(|index| texts.get(index).unwrap()));
            assert_eq!((name, crc), (&"str".into(), &found.into()), "{path}");
        }
        DataType::Enumeration { base, .. } => Box::pin(compare(file, base, bytes, name, crc, path)).await,
        DataType::Reference => {
            let (addresses, _) = bytes.as_chunks::<8>();
            let path_of = |address: &[u8; 8]| match u64::from_le_bytes(*address) {
                0 => String::new(),
                address => format!("/{}", file.object_path(address).unwrap()),
            };
            let paths: Vec<String> = addresses.iter().map(path_of).collect();
            let found = texts_crc(paths.iter().map(String::as_bytes));
            assert_eq!((name, crc), (&data_type.name().into(), &found.into()), "{path}");
        }
        DataType::List { element, swaps } => {
            let size = element.item_size();
            let found = file.resolve_sequences(bytes, size, 1 << 20).await.unwrap();
            let mut all = Vec::new();
            for index in 0..found.len() {
                let mut items = found.get(index).unwrap().to_vec();
                swap::reverse(&mut items, size, swaps);
                all.extend_from_slice(&((items.len() / size) as u32).to_le_bytes());
                all.extend_from_slice(&items);
            }
            assert_eq!((name, crc), (&data_type.name().into(), &crc32(&all).into()), "{path}");
        }
        DataType::FixedString { length, padding } => {
            let found = texts_crc(bytes.chunks_exact(*length as usize).map(|text| trimmed(text, *padding)));
            assert_eq!((name, crc), (&data_type.name().into(), &found.into()), "{path}");
        }
        DataType::FixedArray { dimensions, .. } => {
            assert_eq!((name, crc), (&format!("array{dimensions:?}").into(), &crc32(bytes).into()), "{path}");
        }
        _ => assert_eq!((name, crc), (&data_type.name().into(), &crc32(bytes).into()), "{path}"),
    }
}

fn compare_attributes(found: &crate::model::tree::Attributes, expected: &Value, path: &str) {
    let expected = expected.as_object().unwrap();
    let names = |map: &serde_json::Map<String, Value>| {
        let mut names: Vec<String> = map.keys().cloned().collect();
        names.sort();
        names
    };
    assert_eq!(names(found), names(expected), "attributes of {path}");
    for (name, value) in expected {
        if value == "unsupported" {
            assert!(found[name]["unsupported"].is_string(), "{path}@{name}: {}", found[name]);
        } else {
            assert_eq!(&found[name], value, "{path}@{name}");
        }
    }
}

async fn check(fixture_name: &str) -> usize {
    let file = open_fixture(fixture_name).await;
    let base = fixture_name.rsplit('/').next().unwrap();
    let beside = fixture(&format!("{fixture_name}.json"));
    let json = if beside.exists() { beside } else { fixture(&format!("hdf5/{base}.json")) };
    let text = std::fs::read_to_string(json).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    let expected = expected.as_object().unwrap();
    let mut paths: Vec<&String> = expected.keys().collect();
    paths.sort();
    assert_eq!(file.tree().nodes.keys().collect::<Vec<_>>(), paths, "nodes of {fixture_name}");
    let mut compared = 0;
    for (path, entry) in expected {
        let path_in = format!("{fixture_name}:{path}");
        match file.tree().get(path).unwrap() {
            Node::Unreadable { reason } => assert_eq!(entry, "unreadable", "{path_in}: {reason}"),
            Node::Group { attributes } => {
                assert_eq!(entry["group"], true, "{path_in}");
                compare_attributes(attributes, &entry["attributes"], &path_in);
            }
            Node::Array(array) => {
                compare_attributes(&array.attributes, &entry["attributes"], &path_in);
                assert_eq!(array.is_null, entry["null"] == true, "{path_in}");
                if array.is_null {
                    continue;
                }
                assert_eq!(serde_json::json!(array.shape), entry["shape"], "{path_in}");
                if entry["chunks"].is_array() {
                    assert_eq!(serde_json::json!(array.chunk_shape), entry["chunks"], "{path_in}");
                } else {
                    assert_eq!(array.chunk_shape, array.shape, "{path_in}");
                }
                if let DataType::Unsupported { description, .. } = &array.data_type {
                    assert_eq!(entry["type"], "unsupported", "{path_in}");
                    let error = file.decoder(path).unwrap_err();
                    assert_eq!(error.kind(), Kind::Unimplemented, "{path_in}");
                    assert!(error.message().contains(description.as_str()), "{error}");
                    continue;
                }
                let bytes = read_all(&file, path).await.unwrap();
                compare(&file, &array.data_type, &bytes, &entry["type"], &entry["crc"], &path_in).await;
                compared += 1;
            }
        }
    }
    compared
}

macro_rules! corpus {
    ($($test:ident: $file:literal, $least:literal;)*) => {
        $(#[tokio::test]
        async fn $test() {
            let compared = check($file).await;
            assert!(compared >= $least, "{compared} arrays compared");
        })*
    };
}

corpus! {
    types_earliest: "hdf5/types_earliest.h5", 30;
    types_v108: "hdf5/types_v108.h5", 30;
    types_latest: "hdf5/types_latest.h5", 30;
    chunks_earliest: "hdf5/chunks_earliest.h5", 45;
    chunks_latest: "hdf5/chunks_latest.h5", 55;
    fills_earliest: "hdf5/fills_earliest.h5", 20;
    fills_latest: "hdf5/fills_latest.h5", 20;
    strings_earliest: "hdf5/strings_earliest.h5", 9;
    strings_v108: "hdf5/strings_v108.h5", 9;
    strings_latest: "hdf5/strings_latest.h5", 9;
    attributes_earliest: "hdf5/attributes_earliest.h5", 1;
    attributes_v108: "hdf5/attributes_v108.h5", 1;
    attributes_latest: "hdf5/attributes_latest.h5", 1;
    links_earliest: "hdf5/links_earliest.h5", 14;
    links_latest: "hdf5/links_latest.h5", 14;
    paged: "hdf5/paged.h5", 9;
    chunk_order: "hdf5_index/order_latest.h5", 17;
    filter_zstd: "hdf5/filter_zstd.h5", 13;
    filter_lz4: "hdf5/filter_lz4.h5", 20;
    filter_blosc: "hdf5/filter_blosc.h5", 53;
    filter_blosc2_codecs: "hdf5/filter_blosc2_codecs.h5", 80;
    filter_blosc2_shapes: "hdf5/filter_blosc2_shapes.h5", 30;
    filter_blosc2_pytables: "hdf5/filter_blosc2_pytables.h5", 12;
    filter_bitshuffle: "hdf5/filter_bitshuffle.h5", 27;
    filter_bzip2: "hdf5/filter_bzip2.h5", 13;
    filter_szip: "hdf5/filter_szip.h5", 33;
    filter_scaleoffset: "hdf5/filter_scaleoffset.h5", 68;
    filter_nbit: "hdf5/filter_nbit.h5", 9;
    layout_matlab: "hdf5/layout_matlab.h5", 7;
    layout_netcdf: "hdf5/layout_netcdf.h5", 4;
    native_complex: "hdf5/native_complex.h5", 2;
    shared_all_list: "shared/shared_all_list.h5", 61;
    shared_all_tree: "shared/shared_all_tree.h5", 61;
    shared_kinds: "shared/shared_kinds.h5", 61;
    shared_some: "shared/shared_some.h5", 49;
    pbmc68k: "notebook/pbmc68k.h5ad", 20;
    variants: "notebook/variants.h5ad", 40;
    csc: "notebook/csc.h5ad", 8;
    testfile: "notebook/testfile.hdf5", 1;
}

#[tokio::test]
async fn short_addresses() {
    let file = open_fixture("hdf5/small_addresses.h5").await;
    let Some(Node::Array(array)) = file.tree().get("compound") else { panic!("not listed") };
    assert!(array.data_type.name().contains("without 8-byte addresses"), "{}", array.data_type.name());
    let text = std::fs::read_to_string(fixture("hdf5/small_addresses.h5.json")).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    for path in ["contiguous", "chunked", "compressed", "long", "unwritten", "chunked_numbers", "group/data"] {
        let array = file.tree().array(path).unwrap().clone();
        let bytes = read_all(&file, path).await.unwrap();
        let entry = &expected[path];
        compare(&file, &array.data_type, &bytes, &entry["type"], &entry["crc"], path).await;
    }
    let Some(attributes) = file.tree().attributes("group") else { panic!("no attributes") };
    compare_attributes(attributes, &expected["group"]["attributes"], "group");
}

#[tokio::test]
async fn refusals_name_what_is_refused() {
    let file = open_fixture("hdf5/filter_refused.h5").await;
    for (path, id) in [("zfp", 32013), ("sz3", 32024)] {
        assert_eq!(file.tree().array(path).unwrap().filters, [path]);
        let error = file.decoder(path).unwrap_err();
        assert_eq!(error.kind(), Kind::Unimplemented);
        for word in [format!("'{path}'"), format!("{path} (id {id})"), "memory://".into()] {
            assert!(error.message().contains(&word), "{error}");
        }
    }
    assert!(file.decoder("blosc2").is_ok());
    let file = open_fixture("hdf5/chunks_latest.h5").await;
    assert_eq!(file.tree().array("lzf_shuffle_fletcher").unwrap_err().kind(), Kind::NotFound);
    assert_eq!(file.tree().array("noise_lzf_shuffle_fletcher").unwrap().filters, ["shuffle", "lzf", "fletcher32"]);

    let file = open_fixture("hdf5/types_latest.h5").await;
    let name = |path: &str| file.tree().array(path).unwrap().data_type.name();
    assert_eq!(name("bfloat16"), "float32");
    assert_eq!(name("enum"), "enum{BLUE: 2, GREEN: 1, RED: 0} of uint8");
    assert_eq!(name("ragged"), "list[int32]");
    assert_eq!(name("complex"), "complex128");
    assert_eq!(name("opaque_time"), "datetime64[s]");
    assert_eq!(name("reference"), "object reference");
    assert_eq!(name("bool"), "bool");

    let file = open_fixture("hdf5/links_latest.h5").await;
    let reason = |path: &str| match file.tree().get(path) {
        Some(Node::Unreadable { reason }) => reason.clone(),
        other => panic!("{path}: {other:?}"),
    };
    assert!(reason("virtual").starts_with("virtual dataset"));
    assert!(reason("raw").contains("external files"));
    assert!(reason("external").contains("'/x' in the file 'other.h5'"));
    assert_eq!(reason("dangling"), "soft link to '/nowhere/at/all': there is no 'nowhere'");
    assert!(reason("ping").contains("perhaps a cycle"));
    assert_eq!(reason("group/inner/root"), "link back to the group '/', which contains it");
    assert_eq!(reason("group/up"), "link back to the group '/group', which contains it");
    let canonical = file.tree().canonical("/group/inner//root/to_group/inner/back/up/inner/deep/");
    assert_eq!(canonical, "to_group/inner/deep");
    assert!(file.tree().array(&canonical).is_ok());
    assert!(reason("type").contains("named datatype"));
}

#[tokio::test]
async fn positions_outside_the_grid_are_refused() {
    let file = open_fixture("hdf5/chunks_latest.h5").await;
    for position in [vec![4, 0], vec![0, 3], vec![0], vec![0, 0, 0]] {
        let error = file.locate("fixed_gzip", std::slice::from_ref(&position)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::OutOfRange, "{position:?}");
    }
    assert_eq!(file.locate("/fixed_gzip/", &[vec![3, 2]]).await.unwrap().len(), 1);
    let file = open_fixture("hdf5/fills_latest.h5").await;
    let found = file.locate("default", &[vec![1, 1], vec![0, 0]]).await.unwrap();
    assert_eq!(found[0], ChunkLocation::Missing);
    assert!(matches!(found[1], ChunkLocation::Range { length: 16, .. }), "{found:?}");
    assert_eq!(file.locate("little_i4_unwritten", &[vec![0]]).await.unwrap(), [ChunkLocation::Missing]);
    let file = open_fixture("hdf5/types_latest.h5").await;
    assert_eq!(file.locate("empty", &[vec![0, 0]]).await.unwrap_err().kind(), Kind::OutOfRange);
    assert_eq!(file.locate("null", &[vec![]]).await.unwrap_err().kind(), Kind::OutOfRange);
}

#[tokio::test]
async fn parts_of_unfiltered_chunks_decode() {
    let file = open_fixture("hdf5/chunks_latest.h5").await;
    assert!(file.tree().array("big_endian_none").unwrap().partly_readable);
    assert!(!file.tree().array("big_endian_gzip").unwrap().partly_readable);
    let whole = read_all(&file, "big_endian_none").await.unwrap();
    let location = file.locate("big_endian_none", &[vec![0, 0]]).await.unwrap().remove(0);
    let ChunkLocation::Range { offset, .. } = location else { panic!("{location:?}") };
    let decoder = file.decoder("big_endian_none").unwrap();
    let bytes = file.reader().read(offset + 8..offset + 24).await.unwrap();
    let Elements::Fixed(part) = decoder.decode_part(bytes.clone()).unwrap() else { panic!("texts") };
    assert_eq!(part, whole[8..24]);
    assert_eq!(decoder.decode_part(bytes.slice(1..)).unwrap_err().kind(), Kind::DataLoss);
}
