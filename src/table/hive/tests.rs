use object_store::memory::InMemory;
use object_store::path::Path;

use super::*;
use crate::error::Kind;

fn infer(files: &[&[(&str, &str)]]) -> Result<Partitions> {
    let file = |hive: &[(&str, &str)]| {
        Arc::new(TableFile {
            url: "memory:///x".to_owned(),
            store: Arc::new(InMemory::new()),
            path: Path::from("x"),
            size: 0,
            etag: String::new(),
            rows: None,
            hive: hive.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        })
    };
    Partitions::infer(&files.iter().map(|hive| file(hive)).collect::<Vec<_>>())
}

fn column(values: &[&str]) -> (DataType, Vec<ScalarValue>) {
    let files: Vec<Vec<(&str, &str)>> = values.iter().map(|value| vec![("k", *value)]).collect();
    let partitions = infer(&files.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
    let values = (0..values.len()).map(|file| partitions.values(file)[0].clone()).collect();
    (partitions.fields()[0].data_type().clone(), values)
}

fn text(value: &str) -> ScalarValue {
    ScalarValue::Utf8(Some(value.to_owned()))
}

#[test]
fn types_follow_the_values() {
    let int32 = |value| ScalarValue::Int32(Some(value));
    let int64 = |value| ScalarValue::Int64(Some(value));
    assert_eq!(column(&["0", "-10"]), (DataType::Int32, vec![int32(0), int32(-10)]));
    assert_eq!(column(&["0", "3000000000"]), (DataType::Int64, vec![int64(0), int64(3_000_000_000)]));
    assert_eq!(column(&["7", "07"]), (DataType::Utf8, vec![text("7"), text("07")]));
    assert_eq!(column(&["1", "b"]), (DataType::Utf8, vec![text("1"), text("b")]));
    assert_eq!(column(&["1", NULL]), (DataType::Int32, vec![int32(1), ScalarValue::Int32(None)]));
    assert_eq!(column(&[NULL]), (DataType::Utf8, vec![ScalarValue::Utf8(None)]));
    assert_eq!(column(&["T%20cell%2F1", "%C3%A9"]), (DataType::Utf8, vec![text("T cell/1"), text("é")]));
    assert_eq!(column(&["99999999999999999999"]).0, DataType::Utf8);
}

#[test]
fn folders_keep_their_order_and_may_lack() {
    let partitions = infer(&[&[("b", "1"), ("a", "x")], &[("a", "y")]]).unwrap();
    let names: Vec<&str> = partitions.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["b", "a"]);
    assert_eq!(partitions.values(1), [ScalarValue::Int32(None), text("y")]);
}

#[test]
fn malformed_folders_are_refused() {
    for folders in [&[("k", "%4")][..], &[("k", "%zz")], &[("k", "%ff")], &[("k", "1"), ("k", "2")]] {
        assert_eq!(infer(&[folders]).unwrap_err().kind(), Kind::InvalidArgument, "{folders:?}");
    }
}
