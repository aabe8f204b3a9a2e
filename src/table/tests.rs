use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int32Type, Int64Type};
use serde_json::{Value, json};

use super::*;
use crate::error::Kind;
use store::CountingStore;

mod ahead;
mod store;

fn fixture(path: &str) -> Vec<u8> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    std::fs::read(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The notebook's shards in the order of their paths, or those of the given louvains.
async fn shards(store: &Arc<CountingStore>, louvains: &[&str]) -> TableSource {
    let mut files = Vec::new();
    for louvain in louvains {
        let path = format!("louvain={louvain}/f926014888d64a7c9abd583f68951739-0.parquet");
        files.push(store.file(&path, fixture(&format!("notebook/sharded_parquet/{path}"))).await);
    }
    TableSource { files }
}

const LOUVAINS: [&str; 11] = ["0", "1", "10", "2", "3", "4", "5", "6", "7", "8", "9"];

async fn generated(store: &Arc<CountingStore>, names: &[&str]) -> TableSource {
    let mut files = Vec::new();
    for name in names {
        files.push(store.file(&format!("{name}.parquet"), fixture(&format!("tables/{name}.parquet"))).await);
    }
    TableSource { files }
}

async fn open_table(source: TableSource) -> Table {
    open(source, TableOptions::default()).await.unwrap()
}

async fn collect(table: &Table, request: &ScanRequest) -> Result<Vec<RecordBatch>> {
    let schema = table.output_schema(request)?;
    let batches: Vec<RecordBatch> = table.scan(request.clone()).await?.try_collect().await?;
    for batch in &batches {
        assert_eq!(batch.schema(), schema);
        assert!(batch.num_rows() > 0);
    }
    Ok(batches)
}

async fn count(table: &Table, request: &ScanRequest) -> usize {
    collect(table, request).await.unwrap().iter().map(RecordBatch::num_rows).sum()
}

async fn failure(source: TableSource, request: &ScanRequest) -> Error {
    match open(source, TableOptions::default()).await {
        Ok(table) => collect(&table, request).await.unwrap_err(),
        Err(error) => error,
    }
}

fn cell(column: &ArrayRef, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Dictionary(..) => {
            let plain = arrow::compute::cast(column, &DataType::Utf8).unwrap();
            json!(plain.as_string::<i32>().value(row))
        }
        DataType::Utf8 => json!(column.as_string::<i32>().value(row)),
        DataType::Boolean => json!(column.as_boolean().value(row)),
        DataType::Int32 => json!(column.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => json!(column.as_primitive::<Int64Type>().value(row)),
        DataType::Float32 => json!(f64::from(column.as_primitive::<Float32Type>().value(row))),
        DataType::Float64 => json!(column.as_primitive::<Float64Type>().value(row)),
        other => panic!("{other}"),
    }
}

fn records(batches: &[RecordBatch]) -> Vec<Value> {
    let rows = |batch: &RecordBatch| {
        (0..batch.num_rows())
            .map(|row| batch.columns().iter().map(|column| cell(column, row)).collect())
            .collect::<Vec<Value>>()
    };
    batches.iter().flat_map(rows).collect()
}

fn pyarrow_type(data_type: &DataType) -> String {
    match data_type {
        DataType::Dictionary(key, value) => {
            format!("dictionary<values={}, indices={}, ordered=0>", pyarrow_type(value), pyarrow_type(key))
        }
        DataType::Utf8 => "string".to_owned(),
        DataType::Boolean => "bool".to_owned(),
        DataType::Float32 => "float".to_owned(),
        DataType::Float64 => "double".to_owned(),
        other => other.to_string().to_lowercase(),
    }
}

fn request(case: &Value) -> ScanRequest {
    let texts = |value: &Value| {
        value.as_array().map(|names| names.iter().map(|name| name.as_str().unwrap().to_owned()).collect())
    };
    ScanRequest {
        columns: texts(&case["columns"]),
        filter: case["where"].as_str().map(str::to_owned),
        limit: case["limit"].as_u64(),
        offset: case["offset"].as_u64(),
        hive: case["hive"].as_bool().unwrap(),
        rows: case["rows"].as_array().map(|rows| rows[0].as_u64().unwrap()..rows[1].as_u64().unwrap()),
        batch_rows: None,
    }
}

fn columns(names: &[&str]) -> Option<Vec<String>> {
    Some(names.iter().map(|name| (*name).to_owned()).collect())
}

fn filtered(filter: &str, names: &[&str]) -> ScanRequest {
    ScanRequest { filter: Some(filter.to_owned()), columns: columns(names), ..ScanRequest::default() }
}

fn oracle() -> Value {
    serde_json::from_slice(&fixture("tables/tables.json")).unwrap()
}

#[tokio::test]
async fn answers_what_pyarrow_answers() {
    let store = Arc::new(CountingStore::default());
    let tables = [
        ("shards", open_table(shards(&store, &LOUVAINS).await).await),
        ("pair", open_table(shards(&Arc::default(), &["0", "1"]).await).await),
        ("grouped", open_table(generated(&store, &["grouped"]).await).await),
        ("nan", open_table(generated(&store, &["nan"]).await).await),
    ];
    let oracle = oracle();
    for case in oracle["cases"].as_array().unwrap() {
        let table = &tables.iter().find(|(name, _)| case["table"] == *name).unwrap().1;
        for batch_rows in [None, Some(3)] {
            let request = ScanRequest { batch_rows, ..request(case) };
            let batches = collect(table, &request).await.unwrap_or_else(|error| panic!("{}: {error:?}", case["name"]));
            assert_eq!(json!(records(&batches)), case["answer"], "{} of {}", case["name"], case["table"]);
            let schema = table.output_schema(&request).unwrap();
            let names: Vec<&String> = schema.fields().iter().map(|field| field.name()).collect();
            let types: Vec<String> = schema.fields().iter().map(|field| pyarrow_type(field.data_type())).collect();
            assert_eq!(
                (json!(names), json!(types)),
                (case["names"].clone(), case["types"].clone()),
                "{}",
                case["name"]
            );
            assert!(batches.iter().all(|batch| batch.num_rows() <= batch_rows.unwrap_or(usize::MAX)));
        }
    }
}

#[tokio::test]
async fn schema_metadata_is_kept_in_every_batch() {
    let store = Arc::new(CountingStore::default());
    let table = open_table(shards(&store, &["0", "1"]).await).await;
    let expected = oracle()["pandas"].as_str().unwrap().to_owned();
    assert_eq!(table.schema().metadata().get("pandas"), Some(&expected));
    let request = ScanRequest { hive: true, columns: columns(&["louvain", "index"]), ..ScanRequest::default() };
    let batches = collect(&table, &request).await.unwrap();
    assert_eq!(batches[0].schema().metadata().get("pandas"), Some(&expected));
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 20);
}

#[tokio::test]
async fn rows_are_counted_from_footers() {
    let store = Arc::new(CountingStore::default());
    let table = open_table(shards(&store, &LOUVAINS).await).await;
    assert_eq!((store.taken().0, table.file_count()), (1, 11));
    assert_eq!(table.count_rows().await.unwrap(), 70);
    assert_eq!(store.taken().0, 10);
    assert_eq!(table.count_rows().await.unwrap(), 70);
    assert_eq!(store.taken().0, 0);
}

#[tokio::test]
async fn known_row_counts_save_footers() {
    let store = Arc::new(CountingStore::default());
    let mut source = shards(&store, &LOUVAINS).await;
    let counts = open_table(source.clone()).await.row_counts().await.unwrap();
    source.files.iter_mut().zip(&counts).for_each(|(file, rows)| file.rows = Some(*rows));
    let table = open_table(source.clone()).await;
    store.taken();
    assert_eq!(table.count_rows().await.unwrap(), 70);
    assert_eq!(store.taken().0, 0);
    assert_eq!(count(&table, &ScanRequest { rows: Some(69..70), ..ScanRequest::default() }).await, 1);
    assert_eq!(store.objects(), ["louvain=9/f926014888d64a7c9abd583f68951739-0.parquet"]);

    source.files[1].rows = Some(8);
    let error = failure(source, &ScanRequest::default()).await;
    assert_eq!(error.kind(), Kind::FailedPrecondition);
    assert!(error.message().contains("louvain=1/") && error.message().contains("has 7 rows, expected 8"), "{error}");
}

#[tokio::test]
async fn categories_that_do_not_fit_the_first_files_index_are_refused() {
    let store = Arc::new(CountingStore::default());
    let table = open_table(generated(&store, &["many_kinds"]).await).await;
    assert_eq!(count(&table, &ScanRequest::default()).await, 300);
    let error = failure(generated(&store, &["narrow", "many_kinds"]).await, &ScanRequest::default()).await;
    assert_eq!(error.kind(), Kind::FailedPrecondition, "{error:?}");
    assert!(error.message().contains("many_kinds.parquet"), "{error}");
}

#[tokio::test]
async fn the_head_reads_only_the_first_file() {
    let store = Arc::new(CountingStore::default());
    let table = open_table(shards(&store, &LOUVAINS).await).await;
    store.taken();
    assert_eq!(count(&table, &ScanRequest { limit: Some(5), ..ScanRequest::default() }).await, 5);
    assert_eq!(store.objects(), ["louvain=0/f926014888d64a7c9abd583f68951739-0.parquet"]);
    assert_eq!(count(&table, &ScanRequest { limit: Some(0), ..ScanRequest::default() }).await, 0);
    assert_eq!(store.taken().0, 0);
}

#[tokio::test]
async fn a_partition_filter_reads_only_its_files() {
    let store = Arc::new(CountingStore::default());
    let table = open_table(shards(&store, &LOUVAINS).await).await;
    store.taken();
    let request = ScanRequest { hive: true, ..filtered("louvain IN (3, 10)", &["index"]) };
    let rows = count(&table, &request).await;
    assert!(rows > 0);
    let read = store.objects();
    assert!(read.len() == 2 && read[0].starts_with("louvain=10/") && read[1].starts_with("louvain=3/"), "{read:?}");
}

#[tokio::test]
async fn projection_pruning_and_ranges_read_less() {
    let store = Arc::new(CountingStore::default());
    let table = open_table(generated(&store, &["grouped"]).await).await;
    store.taken();
    let all = ScanRequest::default();
    assert_eq!(count(&table, &all).await, 2000);
    let (_, whole) = store.taken();
    assert!(whole > 50_000, "{whole}");
    let bytes = async |request: &ScanRequest, rows: usize| {
        assert_eq!(count(&table, request).await, rows, "{request:?}");
        store.taken().1
    };
    let note = bytes(&ScanRequest { columns: columns(&["note"]), ..all.clone() }, 2000).await;
    assert!(note < whole * 3 / 4, "{note} of {whole}");
    let one_group = bytes(&filtered("id >= 400 AND id < 600", &["note"]), 200).await;
    assert!(one_group < note / 4, "{one_group} of {note}");
    assert_eq!(bytes(&filtered("id > 100000", &["note"]), 0).await, 0);
    let range = bytes(&ScanRequest { rows: Some(400..600), columns: columns(&["note"]), ..all.clone() }, 200).await;
    assert!(range < note / 5, "{range} of {note}");
    let empty = bytes(&ScanRequest { rows: Some(400..400), ..all }, 0).await;
    assert_eq!(empty, 0);
}

#[tokio::test]
async fn a_filter_reads_only_the_pages_that_may_meet_it() {
    let store = Arc::new(CountingStore::default());
    let table = open_table(generated(&store, &["paged"]).await).await;
    store.taken();
    let all = ScanRequest { columns: columns(&["payload"]), ..ScanRequest::default() };
    assert_eq!(count(&table, &all).await, 10_000);
    let (_, whole) = store.taken();
    // The decoder reads a filter's columns in whole batches.
    let one = ScanRequest { batch_rows: Some(512), ..filtered("id = 7500", &["payload"]) };
    assert_eq!(count(&table, &one).await, 1);
    let (_, page) = store.taken();
    assert!(page < whole / 3, "{page} of {whole}");
}

#[tokio::test]
async fn ranges_of_rows_put_together_are_the_table() {
    let store = Arc::new(CountingStore::default());
    let source = TableSource { files: [shards(&store, &LOUVAINS).await.files].concat() };
    let table = open_table(source).await;
    let whole = records(&collect(&table, &ScanRequest::default()).await.unwrap());
    for step in [1_usize, 7, 13, 69, 70] {
        let mut parts = Vec::new();
        for start in (0..70_usize).step_by(step) {
            let rows: Range<u64> = start as u64..(start + step).min(70) as u64;
            parts.extend(records(
                &collect(&table, &ScanRequest { rows: Some(rows), ..ScanRequest::default() }).await.unwrap(),
            ));
        }
        assert_eq!(parts, whole, "{step}");
    }
}

#[tokio::test]
async fn no_columns_still_count_rows() {
    let store = Arc::new(CountingStore::default());
    let table = open_table(generated(&store, &["grouped"]).await).await;
    assert_eq!(count(&table, &ScanRequest { columns: Some(vec![]), ..ScanRequest::default() }).await, 2000);
    assert_eq!(count(&table, &filtered("id < 10", &[])).await, 10);
}

#[tokio::test]
async fn files_that_differ_are_refused_by_name() {
    let store = Arc::new(CountingStore::default());
    let all = ScanRequest::default();
    let error = failure(generated(&store, &["base", "lacking"]).await, &all).await;
    assert_eq!(error.kind(), Kind::FailedPrecondition);
    assert_eq!(
        error.message(),
        "memory:///lacking.parquet lacks the column \"b\" of type Utf8 that the table's first file has"
    );
    let error = failure(generated(&store, &["base", "other_type"]).await, &all).await;
    assert_eq!(error.kind(), Kind::FailedPrecondition);
    assert!(
        error.message().contains("column \"a\" of memory:///other_type.parquet is Int32")
            && error.message().contains("expected Int64"),
        "{error}"
    );
}

#[tokio::test]
async fn files_that_fit_are_read_by_the_first_ones_schema() {
    let store = Arc::new(CountingStore::default());
    let table = open_table(generated(&store, &["base", "empty", "extra"]).await).await;
    let rows = records(&collect(&table, &ScanRequest::default()).await.unwrap());
    assert_eq!(rows, [json!([1, "x"]), json!([2, "y"]), json!([1, "x"]), json!([2, "y"])]);
    for names in [["narrow", "wide"], ["wide", "narrow"]] {
        let table = open_table(generated(&store, &names).await).await;
        let mut rows = records(&collect(&table, &ScanRequest::default()).await.unwrap());
        if names[0] == "wide" {
            rows.rotate_left(3);
        }
        assert_eq!(json!(rows), json!([["x"], ["y"], ["x"], ["y"], ["z"], [null]]));
    }
}

#[tokio::test]
async fn a_replaced_or_missing_file_is_named() {
    let store = Arc::new(CountingStore::default());
    let all = ScanRequest::default();
    let replace = async |name: &str| store.file(&format!("{name}.parquet"), fixture("tables/grouped.parquet")).await;
    let source = generated(&store, &["base", "extra"]).await;
    replace("extra").await;
    let error = failure(source, &all).await;
    assert_eq!(
        (error.kind(), error.message().contains("extra.parquet changed")),
        (Kind::FailedPrecondition, true),
        "{error}"
    );

    // Replaced after its footer was read.
    let table = open_table(generated(&store, &["base"]).await).await;
    replace("base").await;
    let error = collect(&table, &all).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.message().contains("base.parquet changed")),
        (Kind::FailedPrecondition, true),
        "{error}"
    );

    let source = generated(&store, &["base", "extra"]).await;
    store.remove("extra.parquet").await;
    let error = failure(source, &all).await;
    assert_eq!((error.kind(), error.message()), (Kind::NotFound, "memory:///extra.parquet does not exist"));
}

#[tokio::test]
async fn a_failing_store_is_unavailable() {
    let store = Arc::new(CountingStore::default());
    let table = open_table(generated(&store, &["base"]).await).await;
    store.failing.store(true, Ordering::Relaxed);
    let error = collect(&table, &ScanRequest::default()).await.unwrap_err();
    assert!(
        error.kind() == Kind::Unavailable && error.is_retryable() && error.message().contains("base.parquet"),
        "{error:?}"
    );
}

#[tokio::test]
async fn broken_files_are_data_loss_and_named() {
    let store = Arc::new(CountingStore::default());
    let whole = fixture("tables/grouped.parquet");
    let mut scrambled = whole.clone();
    scrambled[200..20_000].iter_mut().for_each(|byte| *byte = byte.wrapping_mul(31).wrapping_add(7));
    let mut long_footer = whole.clone();
    let length = long_footer.len();
    long_footer[length - 8..length - 4].copy_from_slice(&0x0fff_ffff_u32.to_le_bytes());
    let mut other_footer = whole.clone();
    other_footer[length - 3000..length - 2000].fill(0xff);
    // A schema of one column, no rows, and 2,147,483,647 row groups of which none is there.
    let crafted = [
        b"\x15\x02\x19\x2c\x48\x01r\x15\x02\0\x15\x02\x25\x02\x18\x01a\0".as_slice(),
        b"\x16\0\x19\xfc\xff\xff\xff\xff\x07",
    ]
    .concat();
    let broken = [
        ("cut", whole[..whole.len() / 2].to_vec()),
        ("text", b"this is a text file and no parquet at all".to_vec()),
        ("short", b"PAR1".to_vec()),
        ("nothing", Vec::new()),
        ("scrambled", scrambled),
        ("long_footer", long_footer),
        ("other_footer", other_footer),
        ("many_groups", [b"PAR1".as_slice(), &crafted, &(crafted.len() as u32).to_le_bytes(), b"PAR1"].concat()),
        ("only_tail", [vec![0; 100], whole[whole.len() - 9000..].to_vec()].concat()),
    ];
    for (name, bytes) in broken {
        let source = TableSource { files: vec![store.file(&format!("{name}.parquet"), bytes).await] };
        let error = failure(source, &ScanRequest::default()).await;
        assert_eq!(error.kind(), Kind::DataLoss, "{name}: {error:?}");
        assert!(error.message().contains(&format!("memory:///{name}.parquet")), "{name}: {error}");
        assert!(name != "many_groups" || error.message().contains("2147483647 row groups stated"), "{error}");
    }
}

#[tokio::test]
async fn bad_requests_are_refused() {
    let store = Arc::new(CountingStore::default());
    let table = open_table(shards(&store, &["0"]).await).await;
    let rows = |rows: Range<u64>| ScanRequest { rows: Some(rows), ..ScanRequest::default() };
    let backwards = rows(Range { start: 3, end: 2 });
    let cases = [
        (
            ScanRequest { columns: columns(&["nope"]), ..ScanRequest::default() },
            Kind::NotFound,
            "\"nope\" not found; columns: cell_type, n_genes, percent_mito, index",
        ),
        (ScanRequest { columns: columns(&["louvain"]), ..ScanRequest::default() }, Kind::NotFound, "louvain"),
        (
            ScanRequest { columns: columns(&["index", "index"]), ..ScanRequest::default() },
            Kind::InvalidArgument,
            "twice",
        ),
        (filtered("louvain = 1", &["index"]), Kind::NotFound, "louvain"),
        (filtered("n_genes", &["index"]), Kind::InvalidArgument, "Boolean"),
        (filtered("1 / (n_genes - n_genes) = 1", &["index"]), Kind::InvalidArgument, "ivide by zero"),
        (rows(0..14), Kind::OutOfRange, "table of 13"),
        (backwards, Kind::InvalidArgument, "end before they start"),
        (ScanRequest { limit: Some(1), ..rows(0..1) }, Kind::InvalidArgument, "does not go together"),
    ];
    for (request, kind, words) in cases {
        let error = collect(&table, &request).await.unwrap_err();
        assert!(error.kind() == kind && error.message().contains(words), "{request:?}: {error:?}");
    }
    let error = open(TableSource::default(), TableOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidArgument);
}

#[tokio::test]
async fn dropping_the_stream_stops_reading() {
    let store = Arc::new(CountingStore::default());
    let options = TableOptions { ahead_bytes: 0, concurrent_footers: 2, ..TableOptions::default() };
    let table = open(shards(&store, &LOUVAINS).await, options).await.unwrap();
    store.taken();
    let mut batches = table.scan(ScanRequest { batch_rows: Some(1), ..ScanRequest::default() }).await.unwrap();
    batches.next().await.unwrap().unwrap();
    drop(batches);
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    let read = store.objects().len();
    assert!(read <= 5, "{read} files");
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert_eq!(store.taken().0, 0);
}

#[tokio::test]
async fn footers_beyond_the_bound_are_read_again() {
    let store = Arc::new(CountingStore::default());
    let options = TableOptions { kept_footer_bytes: 0, ..TableOptions::default() };
    let table = open(generated(&store, &["base"]).await, options).await.unwrap();
    assert_eq!(count(&table, &ScanRequest::default()).await, 2);
    assert_eq!(store.requests.lock().unwrap().iter().filter(|(_, range)| range.end == 708).count(), 2);
}

#[tokio::test]
async fn local_files_are_read_too() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = fixture("tables/grouped.parquet");
    std::fs::write(folder.path().join("grouped.parquet"), &bytes).unwrap();
    let file = TableFile {
        url: "file:///grouped.parquet".to_owned(),
        store: Arc::new(object_store::local::LocalFileSystem::new_with_prefix(folder.path()).unwrap()),
        path: Path::from("grouped.parquet"),
        size: bytes.len() as u64,
        etag: String::new(),
        rows: None,
        hive: Vec::new(),
    };
    let table = open_table(TableSource { files: vec![file] }).await;
    assert_eq!(count(&table, &filtered("id >= 1990", &["note"])).await, 10);
}
