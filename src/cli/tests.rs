//! Options to requests, URLs to storage roots, and what is shown and written.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeListArray, Float32Array, Int32Array, StringArray};
use arrow::datatypes::{DataType, Field, Int8Type};
use arrow::record_batch::RecordBatch;
use clap::{CommandFactory, Parser};
use serde_json::json;

use super::location::{absolute_url, storage_root};
use super::output::{Form, Output};
use super::slice_options::rows_selector;
use super::{Cli, Command, explain, inspect, table, tree};
use crate::error::Kind;
use crate::model::request::{Layout, Partitioning, Selector, SliceRequest, Source};

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

fn request(arguments: &str) -> SliceRequest {
    let arguments = ["sliceflight", "get"].into_iter().chain(arguments.split('|'));
    match Cli::try_parse_from(arguments).unwrap().command {
        Command::Get(get) => get.request().unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn options_say_a_request() {
    let keyed = || SliceRequest {
        source: Source::Key { key: "k".into(), version: None },
        node: "X".into(),
        ..SliceRequest::default()
    };
    assert_eq!(request("k|X"), keyed());
    assert_eq!(request("u|--uid").source, Source::Uid("u".into()));
    assert_eq!(request("c|--collection").source, Source::Collection("c".into()));
    let slice = Selector::Slice { start: Some(-5), stop: None, step: None };
    assert_eq!(
        request("k|X|--obs-where|a > 1|--rows|-5:|--var-names|A,B|--layout|wide|--limit|3"),
        SliceRequest {
            obs: vec![Selector::Where("a > 1".into()), slice.clone()],
            var: vec![Selector::Names(vec!["A".into(), "B".into()])],
            layout: Layout::Wide,
            limit: Some(3),
            ..keyed()
        }
    );
    assert_eq!(request("k|X|--var-where|b|--hive|--with-index|--squeeze").var, [Selector::Where("b".into())]);
    assert_eq!(request("k|X|--rows|-5:"), SliceRequest { axes: vec![vec![slice]], ..keyed() });
    assert_eq!(request("k|--hive").partitioning, Partitioning::Hive);
    assert_eq!(request("k|--columns|a,b|--where|a = 1").columns, Some(vec!["a".into(), "b".into()]));
    assert_eq!(request("k|X|--slice|-3:, 1"), SliceRequest { numpy_slice: Some("-3:, 1".into()), ..keyed() });
    assert!(Cli::try_parse_from(["sliceflight", "get", "k", "--slice", "1", "--rows", "1"]).is_err());
    assert!(Cli::try_parse_from(["sliceflight", "ls", "--server", "grpc://x:1", "--registry", "y"]).is_err());
}

#[test]
fn rows() {
    let slice = |start, stop, step| Selector::Slice { start, stop, step };
    for (text, expected) in [
        ("0:10", slice(Some(0), Some(10), None)),
        ("::-1", slice(None, None, Some(-1))),
        (":", slice(None, None, None)),
        ("7", Selector::Integer(7)),
        ("3, 1,-1", Selector::Index(vec![3, 1, -1])),
    ] {
        assert_eq!(rows_selector(text).unwrap(), expected, "{text}");
    }
    for text in ["", "a", "1:2:3:4", "::0", "1,", "1:x"] {
        assert_eq!(rows_selector(text).unwrap_err().kind(), Kind::InvalidArgument, "{text}");
    }
}

#[test]
fn storage_roots() {
    for (url, root) in [
        ("s3://bucket/a/b.h5ad", "s3://bucket"),
        ("file:///data/a/b.h5ad", "file:///data/a"),
        ("file:///data/a/store.zarr/", "file:///data/a"),
        ("https://host:81/a/b/file.h5ad", "https://host:81/a/b"),
        ("hf://datasets/o/r/a/b.parquet", "hf://datasets/o/r"),
        ("hf://datasets/o/r@v1/a/b@2x.parquet", "hf://datasets/o/r@v1"),
        ("hf://datasets/o/r/a/b.parquet@v1", "hf://datasets/o/r@v1"),
        ("hf://o/r/a/b.h5", "hf://o/r"),
        ("abfss://c@account.dfs.core.windows.net/a/b", "abfss://c@account.dfs.core.windows.net"),
    ] {
        let found = storage_root(&absolute_url(url).unwrap()).unwrap();
        assert_eq!(found.trim_end_matches('/'), root);
    }
    assert!(storage_root(&absolute_url("s3:///x").unwrap()).is_err());
    assert_eq!(absolute_url("no/such/file").unwrap_err().kind(), Kind::NotFound);
    let folder = tempfile::tempdir().unwrap();
    let url = absolute_url(folder.path().to_str().unwrap()).unwrap();
    assert_eq!(url.to_file_path().unwrap(), folder.path().canonicalize().unwrap());
}

#[test]
fn summaries_as_text() {
    let anndata = json!({
        "kind": "anndata", "shape": [70, 765],
        "attributes": {"obs": ["cell_type", "index"], "varm": ["PCs"]},
        "X": {"shape": [70, 765], "dtype": "float32", "encoding": "array"},
    });
    assert_eq!(
        inspect::text(&anndata),
        "AnnData object with n_obs × n_vars = 70 × 765\n    obs: ['cell_type', 'index']\n    varm: ['PCs']\n    \
         X: float32 array"
    );
    let view = json!({"shape": [3, 4], "attributes": {}, "X": null});
    let mudata =
        json!({"kind": "anndata", "view": "mudata", "shape": [3, 9], "attributes": {}, "views": {"mod/a": view}});
    let expected = "MuData object with n_obs × n_vars = 3 × 9\nmod/a: AnnData object with n_obs × n_vars = 3 × 4";
    assert_eq!(inspect::text(&mudata), expected);
    let loom = json!({"kind": "anndata", "view": "loom", "shape": [3, 9], "attributes": {}});
    assert_eq!(inspect::text(&loom), "AnnData object with n_obs × n_vars = 3 × 9 (stored as loom)");
    let store = json!({"kind": "zarr", "view": "spatialdata", "nodes": [], "views": {"tables/t": view}});
    assert_eq!(inspect::text(&store).lines().next(), Some("tables/t: AnnData object with n_obs × n_vars = 3 × 4"));
    let table = json!({"kind": "table", "n_rows": 20, "n_files": 2, "schema": [{"name": "a", "type": "int64"}]});
    assert_eq!(inspect::text(&table), "Table of 20 rows in 2 files\n    a: int64");
    let hdf5 = json!({"kind": "hdf5", "nodes": [
        {"path": "", "kind": "group"}, {"path": "a/b", "kind": "array", "shape": [3, 4], "dtype": "int8"},
    ]});
    assert_eq!(inspect::text(&hdf5), "/     group\n/a/b  array  (3, 4)  int8");
    assert_eq!(inspect::text(&json!({"kind": "new"})), "{\n  \"kind\": \"new\"\n}");
    let files = json!({"files": [{"path": "part-0.parquet", "size": 2048}]});
    assert_eq!(tree::lines(&files).unwrap(), ["/part-0.parquet  2.0 KiB"]);
}

fn sample() -> RecordBatch {
    let dictionary: arrow::array::DictionaryArray<Int8Type> = ["x", "y"].into_iter().collect();
    RecordBatch::try_from_iter([
        ("n", Arc::new(Int32Array::from(vec![Some(1), None])) as ArrayRef),
        ("text", Arc::new(StringArray::from(vec!["a".repeat(50), "b,\n".into()]))),
        ("category", Arc::new(dictionary)),
    ])
    .unwrap()
}

#[test]
fn a_preview_cuts_long_cells() {
    let text = table::preview(&sample().schema(), &[sample()]).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], format!("{:<4}  {:<32}  category", "n", "text"));
    assert_eq!(lines[1], format!("{:<4}  {}…  x", "1", "a".repeat(31)));
    assert_eq!(lines[2], format!("null  {:<32}  y", "b, "));
}

#[test]
fn files_hold_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let batch = sample();
    for name in ["out.arrow", "out.parquet", "out.csv"] {
        let path = folder.path().join(name);
        let mut output = Output::create(&path, Output::form(&path).unwrap(), &batch.schema()).unwrap();
        assert!(!path.exists());
        output.write(&batch).unwrap();
        output.finish().unwrap();
    }
    let arrow = std::fs::File::open(folder.path().join("out.arrow")).unwrap();
    let read: Vec<_> = arrow::ipc::reader::FileReader::try_new(arrow, None).unwrap().map(Result::unwrap).collect();
    assert_eq!(read, std::slice::from_ref(&batch));
    let parquet = std::fs::File::open(folder.path().join("out.parquet")).unwrap();
    let reader =
        parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(parquet).unwrap().build().unwrap();
    assert_eq!(reader.map(Result::unwrap).map(|batch| batch.num_rows()).sum::<usize>(), 2);
    let csv = std::fs::read_to_string(folder.path().join("out.csv")).unwrap();
    assert_eq!(csv, format!("n,text,category\n1,{},x\n,\"b,\n\",y\n", "a".repeat(50)));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
}

#[test]
fn a_file_that_is_not_finished_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.parquet");
    let mut output = Output::create(&path, Form::Parquet, &sample().schema()).unwrap();
    output.write(&sample()).unwrap();
    drop(output);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn what_cannot_be_written_is_named() {
    let error = Output::form(Path::new("out.xlsx")).unwrap_err();
    assert!(error.message().contains("out.xlsx") && error.message().contains(".parquet"), "{error}");
    let values = Arc::new(Float32Array::from(vec![1.0, 2.0]));
    let field = Arc::new(Field::new("item", DataType::Float32, true));
    let list = FixedSizeListArray::new(field, 2, values, None);
    let batch = RecordBatch::try_from_iter([("X_pca", Arc::new(list) as ArrayRef)]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let error = Output::create(&folder.path().join("o.csv"), Form::Csv, &batch.schema()).err().unwrap();
    assert_eq!(error.kind(), Kind::Unimplemented);
    assert!(error.message().contains("'X_pca'"), "{error}");
}

#[test]
fn an_explanation_is_a_sentence_and_its_ranges() {
    let plan = json!({
        "artifact": {"key": "a.h5ad"}, "node": "X", "shape_before": [70, 765], "shape_after": [2, 765],
        "requests": 1, "bytes": 3060, "ranges": [{"array": "X", "object": null, "offset": 94884, "length": 3060, "chunks": 1}],
    });
    assert_eq!(
        explain::text(&plan),
        "a.h5ad X (2 × 765 of 70 × 765): 1 requests, 3060 bytes\n\
         OFFSET  LENGTH  CHUNKS  ARRAY  OBJECT\n94884   3060    1       X"
    );
    let plan = json!({
        "artifact": {"collection": "c"}, "node": "", "shape_before": [70, 4], "shape_after": [null, 4],
        "requests": null, "bytes": null, "bytes_at_most": 900, "files": [{"object": "s3://b/1.parquet", "row_groups": 1, "bytes_at_most": 900}],
    });
    assert_eq!(
        explain::text(&plan),
        "c (? × 4 of 70 × 4): at most 900 bytes of 1 files\n\
         ROW GROUPS  BYTES AT MOST  FILE\n1           900            s3://b/1.parquet"
    );
}
