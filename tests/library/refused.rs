//! Datasets that the parser or the decoder refuses by name: libhdf5 is offered them, and gives what it can exactly.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use sliceflight::error::Kind;
use sliceflight::format::Hierarchy;
use sliceflight::format::hdf5::Library;
use sliceflight::model::data_type::DataType;
use sliceflight::model::selection::AxisSelection;
use sliceflight::model::tree::Node;
use sliceflight::read::array::{Caching, Values, read_array};
use sliceflight::read::context::ReadContext;

use crate::folder::{Delay, Folder, fixture, library, program, read};
use crate::served::crc;

const MEMORY: u64 = 1 << 30;

fn workers() -> Arc<Library> {
    library(program(), 1, MEMORY, Duration::from_secs(60))
}

async fn open(library: Option<Arc<Library>>) -> (Folder, Hierarchy) {
    let folder = Folder::of("refused");
    let file = folder.open_file("refused.h5", library, &Arc::default()).await.unwrap();
    (folder, file)
}

fn expected() -> Value {
    serde_json::from_slice(&std::fs::read(fixture("refused/expected.json")).unwrap()).unwrap()
}

/// What is said of a dataset that stays refused: its node's reason, or why it is not read.
async fn refusal(file: &Hierarchy, path: &str) -> String {
    let error = read(file, path).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unimplemented, "{path}: {error}");
    error.message().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_gives_exactly_is_served_and_the_rest_refused_with_its_reason() {
    let (_folder, file) = open(Some(workers())).await;
    let mut served = 0;
    for (path, entry) in expected().as_object().unwrap() {
        if entry.is_null() {
            let words = refusal(&file, path).await;
            assert!(words.contains("libhdf5 cannot read it either: "), "{path}: {words}");
            continue;
        }
        let values = read(&file, path).await.unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(serde_json::json!(file.tree().array(path).unwrap().shape), entry["shape"], "{path}");
        assert_eq!(entry["crc"], crc(&values), "{path}");
        served += 1;
    }
    assert!(served >= 19, "{served}");
    for (path, words) in [
        ("long_double", "no float type holds 16 bytes"),
        ("regions", "references are not given"),
        ("float_of_a_byte", "no float type holds 1 bytes"),
        ("sequences_of_12_bits", "parts of variable length"),
        ("nested_40_deep", "types nest too deep"),
        ("time", "time class"),
        ("applied", "no filter"),
    ] {
        let found = refusal(&file, path).await;
        assert!(found.contains(words), "{path}: {found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_attributes_and_parts_are_those_of_the_file() {
    let (_folder, file) = open(Some(workers())).await;
    let tree = file.tree();
    assert_eq!(tree.array("compound").unwrap().attributes["unit"], "none");
    assert_eq!(tree.array("large_chunks").unwrap().attributes["unit"], "none", "of one that the parser gave up");
    assert_eq!(tree.array("left_out").unwrap().filters, ["zfp"]);
    let DataType::Enumeration { members, .. } = &tree.array("enumeration_of_12_bits").unwrap().data_type else {
        panic!("no enumeration")
    };
    assert_eq!(serde_json::json!(members), serde_json::json!([["low", -2000], ["one", 1], ["high", 2000]]));
    assert_eq!(tree.array("complex_of_brain").unwrap().data_type.name(), "complex64");

    let context = ReadContext::new(1 << 30, 1 << 27, 2, 8, Duration::from_secs(60));
    let rows = [39_u64, 0, 7, 7];
    let selection = [AxisSelection::Indices(rows.to_vec().into())];
    let path = "integer_of_60_bits_in_16_bytes";
    let part = read_array(&context, &file, path, &selection, Caching::Bypass).await.unwrap();
    let whole = read(&file, path).await.unwrap();
    let (Values::Fixed(part), Values::Fixed(whole)) = (part.values, whole.values) else { panic!("texts") };
    for (place, row) in rows.into_iter().enumerate() {
        let row = usize::try_from(row).unwrap();
        assert_eq!(part.as_slice()[place * 8..][..8], whole.as_slice()[row * 8..][..8], "{row}");
    }
}

/// What a build without libhdf5 says of it is what a build with it does.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_without_it_is_true() {
    let (folder, without) = open(None).await;
    let library = workers();
    let with = folder.open_file("refused.h5", Some(library), &Arc::default()).await.unwrap();
    let (mut promised, mut refused) = (0, 0);
    for path in expected().as_object().unwrap().keys() {
        let Err(error) = read(&without, path).await else { continue };
        let helps = error.message().contains("feature libhdf5 reads it");
        let does_not = error.message().contains("does not serve it either");
        let served = read(&with, path).await.is_ok();
        assert!(!helps || served, "{path}: {error}");
        assert!(!does_not || !served, "{path}: {error}");
        promised += usize::from(helps);
        refused += usize::from(does_not);
    }
    assert!(promised >= 17 && refused >= 4, "{promised} promised, {refused} refused");
}

/// Opening a file in which nothing is refused starts no worker, and one with many refused datasets asks for a
/// bounded number.
#[tokio::test(flavor = "multi_thread")]
async fn it_is_asked_for_little() {
    let nobody = || Some(library("/nowhere/at/all".into(), 1, MEMORY, Duration::from_secs(60)));
    let folder = Folder::of("shared");
    let delay = Arc::<Delay>::default();
    let plain = folder.open_file("shared_kinds.h5", None, &delay).await.unwrap();
    let reads = delay.reads.swap(0, Ordering::SeqCst);
    let asked = folder.open_file("shared_kinds.h5", nobody(), &delay).await.unwrap();
    assert_eq!(plain.tree(), asked.tree(), "nothing was asked");
    assert_eq!(reads, delay.reads.load(Ordering::SeqCst), "no range more");

    let folder = Folder::of("refused");
    let file = folder.open_file("crowd.h5", nobody(), &Arc::default()).await.unwrap();
    let (mut failed, mut left) = (0, 0);
    for node in file.tree().nodes.values() {
        let Node::Array(array) = node else { continue };
        let DataType::Unsupported { description, .. } = &array.data_type else { panic!("{array:?}") };
        failed += usize::from(description.contains("libhdf5 could not be asked: "));
        left += usize::from(description.contains("asked for 1000 such datasets of a file only"));
    }
    assert_eq!((failed, left), (1000, 100));
    assert!(file.is_outdated(), "the next request may have more luck");
}
