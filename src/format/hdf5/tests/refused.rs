//! What is refused by name, in a build without libhdf5: it says whether libhdf5 would help, and it spoils
//! nothing else of the file.

use super::corpus::read_all;
use super::memory::open_fixture;
use crate::error::Kind;
use crate::format::hdf5::Hdf5File;
use crate::model::data_type::DataType;
use crate::model::tree::Node;

/// Why the dataset is not read.
async fn refusal(file: &Hdf5File, path: &str) -> String {
    let error = read_all(file, path).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unimplemented, "{path}: {error}");
    error.message().to_owned()
}

#[tokio::test]
async fn refusals_say_whether_libhdf5_helps() {
    let file = open_fixture("refused/refused.h5").await;
    const HELPS: &str = "a build with the feature libhdf5 reads it, with limits.hdf5_workers above 0";
    const NOT: &str = "a build with the feature libhdf5 does not serve it either";
    for (path, words) in [
        ("array_of_i3", HELPS),
        ("compound_gzip", HELPS),
        ("nested", HELPS),
        ("enumeration_of_12_bits", HELPS),
        ("enumeration_of_i3", HELPS),
        ("complex_of_brain", HELPS),
        ("integer_of_60_bits_in_16_bytes", HELPS),
        ("double_in_16_bytes", HELPS),
        ("many_swaps_gzip", HELPS),
        ("long_double", NOT),
        ("regions", NOT),
        ("float_of_a_byte", NOT),
        ("sequences_of_12_bits", NOT),
        ("time", NOT),
        ("left_out", "has the filter zfp (id 32013): not supported (libhdf5 does not have it either"),
        ("applied", "has the filter zfp (id 32013): not supported (libhdf5 does not have it either"),
        ("large_chunks", "chunks of 2^32 elements or more"),
        ("large_chunks", "may read it"),
        ("nested_40_deep", "nests deeper than 32 levels"),
    ] {
        let found = refusal(&file, path).await;
        assert!(found.contains(words), "{path}: {found}");
    }
}

#[tokio::test]
async fn filters_are_no_matter_where_nothing_was_written() {
    let file = open_fixture("refused/refused.h5").await;
    assert_eq!(read_all(&file, "unwritten").await.unwrap(), vec![0; 12 * 5 * 4]);
}

#[tokio::test]
async fn unknown_messages_and_odd_names_spoil_nothing_else() {
    let file = open_fixture("refused/unknown.h5").await;
    let tree = file.tree();
    for path in ["", "group", "group/data"] {
        let attributes = match tree.get(path) {
            Some(Node::Group { attributes }) => attributes,
            Some(Node::Array(array)) => &array.attributes,
            other => panic!("{path}: {other:?}"),
        };
        assert_eq!(attributes["known"], 1, "{path}");
        let odd: Vec<_> = attributes.iter().filter(|(name, _)| name.starts_with("(unreadable attribute")).collect();
        assert_eq!(odd.len(), 1, "{path}: {attributes:?}");
        assert_eq!(odd[0].1["unsupported"], "attribute message version 9");
        assert_eq!(attributes.len(), 2);
    }
    assert_eq!(read_all(&file, "group/data").await.unwrap().len(), 32);
    assert_eq!(read_all(&file, "data").await.unwrap().len(), 48);

    let links: Vec<&str> = tree.nodes.keys().filter_map(|path| path.strip_prefix("links/")).collect();
    assert_eq!(links.len(), 3, "{links:?}");
    assert!(tree.array("links/before").is_ok() && tree.array("links/after").is_ok());
    let odd = links.iter().find(|name| name.starts_with("(unreadable link")).unwrap();
    let Some(Node::Unreadable { reason }) = tree.get(&format!("links/{odd}")) else { panic!("{odd}") };
    assert_eq!(reason, "link message version 9");

    let Some(Node::Group { attributes }) = tree.get("temp \\xb0C") else { panic!("{:?}", tree.nodes.keys()) };
    assert_eq!(attributes["\\xe9"], 5);
    assert_eq!(read_all(&file, "temp \\xb0C/d\\xe9bit").await.unwrap(), [0, 0, 1, 0, 2, 0]);
    let DataType::Struct { fields, .. } = &tree.array("micro").unwrap().data_type else { panic!("no struct") };
    assert_eq!(fields[0].name, "\\xb5m");
    let Some(Node::Unreadable { reason }) = tree.get("shapeless") else { panic!("not refused") };
    assert!(reason.contains("dataspace") && reason.contains("may read it"), "{reason}");
}
