//! The steps of a slice, each by itself: `make bench-micro`, or `MICRO_DATA=FOLDER cargo bench` after `data.py FOLDER`.

use std::hint::black_box;
use std::sync::Arc;

use arrow::array::{DictionaryArray, Float32Array, Int8Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType as ArrowType, Field, Int8Type, Schema};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use micro_bench::{engine, first_chunk, read, request};
use sliceflight::model::chunk::ChunkLocation;
use sliceflight::model::data_type::DataType;
use sliceflight::model::request::Selector;
use sliceflight::model::selection::{AxisSelection, Run};
use sliceflight::model::tree::ArrayNode;
use sliceflight::plan::requests::{Merging, requests};
use sliceflight::plan::tasks::tasks;
use sliceflight::read::scatter::copy_elements;
use sliceflight::select::predicate::Predicate;
use tokio::runtime::Runtime;

const CHUNKS: u64 = 100_000;
const FILTER_ROWS: usize = 1_000_000;

/// Chunks as the reference writers compress them.
fn decode(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let mut group = criterion.benchmark_group("decode");
    for (name, file, path) in [
        ("deflate, csr indices", "arrays.h5", "indices"),
        ("deflate, csr counts", "arrays.h5", "counts"),
        ("shuffle + deflate, grid", "arrays.h5", "grid"),
        ("blosc lz4, csr indices", "v2.zarr", "indices"),
        ("zstd, csr indices", "v3.zarr", "indices"),
    ] {
        let chunk = runtime.block_on(first_chunk(file, path)).expect("the files of data.py");
        group.throughput(Throughput::Bytes(chunk.decoded));
        group.bench_function(name, |bencher| {
            bencher.iter(|| chunk.decoder.decode(Some(chunk.bytes.clone()), &chunk.location).expect("it decodes"));
        });
    }
    group.finish();
}

/// Which chunks, and which requests, of an array of 100,000 chunks of which each tenth is far from the one before.
fn plan(criterion: &mut Criterion) {
    let node = ArrayNode {
        shape: vec![CHUNKS * 1000],
        is_null: false,
        data_type: DataType::Float32,
        chunk_shape: vec![1000],
        filters: vec!["deflate".into()],
        partly_readable: false,
        attributes: Default::default(),
        storage: serde_json::Value::Null,
    };
    let place = |chunk: u64| ChunkLocation::Range {
        offset: chunk * 2000 + chunk / 10 * 1_000_000,
        length: 1900,
        filter_mask: 0,
    };
    let mut group = criterion.benchmark_group("plan");
    let scattered: Arc<[u64]> = (0..CHUNKS).map(|chunk| chunk * 1000 + chunk * 7919 % 1000).collect();
    for (name, selection) in [
        ("all of 100,000 chunks", AxisSelection::all(CHUNKS * 1000)),
        ("an element of each of 100,000 chunks", AxisSelection::Indices(scattered)),
    ] {
        let selection = [selection];
        let wanted = tasks(&node, &selection).expect("a plan");
        let locations: Vec<_> = (0..wanted.len() as u64).map(place).collect();
        group.throughput(Throughput::Elements(wanted.len() as u64));
        group.bench_function(BenchmarkId::new("tasks", name), |bencher| {
            bencher.iter(|| tasks(&node, black_box(&selection)).expect("a plan"));
        });
        let merging = Merging::with_gap(64 << 10, 16);
        group.bench_function(BenchmarkId::new("merged requests", name), |bencher| {
            bencher.iter(|| requests(&node, &wanted, &locations, black_box(merging)).expect("requests"));
        });
    }
    group.finish();
}

/// Rows out of decoded chunks: the copy alone, and slices of files that the engine holds decoded.
fn assemble(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("assemble");
    let (rows, columns) = (4096_u64, 1024_u64);
    let source = vec![1_u8; (rows * columns * 4) as usize];
    let run = |start, count, destination| Run { start, step: 1, count, destination };
    for (name, picked) in [("1,000 scattered rows of a chunk", 1000), ("every row of a chunk", rows)] {
        let runs: Vec<Run> = match picked {
            1000 => (0..1000).map(|row| run(row * 4, 1, row)).collect(),
            _ => vec![run(0, rows, 0)],
        };
        let runs: [Arc<[Run]>; 2] = [runs.into(), [run(0, columns, 0)].into()];
        let shape = [picked, columns];
        group.throughput(Throughput::Bytes(picked * columns * 4));
        group.bench_function(BenchmarkId::new("copy", name), |bencher| {
            bencher.iter_batched_ref(
                || vec![0_u8; (picked * columns * 4) as usize],
                |target| copy_elements((&source, &[rows, columns]), (target, &shape), &runs, 4).expect("a copy"),
                BatchSize::LargeInput,
            );
        });
    }
    let runtime = Runtime::new().expect("a runtime");
    let engine = runtime.block_on(engine(&["arrays.h5", "cells.h5ad"])).expect("an engine");
    let index = |count: i64, step: i64| vec![Selector::Index((0..count).map(|row| row * step % 20_000).collect())];
    for (name, key, node, axes, bytes) in [
        ("1,000 scattered rows, dense", "arrays.h5", "rows", vec![index(1000, 8)], 1000 * 1024 * 4),
        ("1,000 scattered rows, csr", "cells.h5ad", "X", vec![index(1000, 17)], 1000 * 340 * 8),
        ("50 genes of all cells, csr", "cells.h5ad", "X", vec![vec![], index(50, 97)], 20_000 * 50 * 68 / 1000 * 8),
    ] {
        let wanted = sliceflight::model::request::SliceRequest { axes, ..request(key, node) };
        // Chunks are kept when they are asked for again.
        for _ in 0..2 {
            runtime.block_on(read(&engine, &wanted)).expect("a slice");
        }
        group.throughput(Throughput::Bytes(bytes));
        group.bench_function(BenchmarkId::new("slice", name), |bencher| {
            bencher.iter(|| runtime.block_on(read(&engine, &wanted)).expect("a slice"));
        });
    }
    group.finish();
}

/// Conditions over a million rows of obs.
fn filter(criterion: &mut Criterion) {
    let types = ["B cells", "Dendritic cells", "CD14+ Monocytes", "NK cells", "T cells"];
    let keys = Int8Array::from_iter_values((0..FILTER_ROWS).map(|row| (row * 31 % types.len()) as i8));
    let types = DictionaryArray::<Int8Type>::new(keys, Arc::new(StringArray::from_iter_values(types)));
    let mito = Float32Array::from_iter_values((0..FILTER_ROWS).map(|row| (row * 7919 % 10_000) as f32 / 1e5));
    let schema = Arc::new(Schema::new(vec![
        Field::new_dictionary("cell_type", ArrowType::Int8, ArrowType::Utf8, false),
        Field::new("percent_mito", ArrowType::Float32, false),
    ]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(types), Arc::new(mito)]).expect("a batch");
    let mut group = criterion.benchmark_group("filter");
    group.throughput(Throughput::Elements(FILTER_ROWS as u64));
    for (name, text) in [
        ("a number", "percent_mito <= 0.05"),
        ("categories", "cell_type IN ('Dendritic cells', 'CD14+ Monocytes')"),
        ("both", "cell_type IN ('Dendritic cells', 'CD14+ Monocytes') AND percent_mito <= 0.05"),
    ] {
        let predicate = Predicate::parse(text, Arc::clone(&schema)).expect("a condition");
        group.bench_function(name, |bencher| bencher.iter(|| predicate.evaluate(&batch).expect("an answer")));
    }
    group.bench_function("parsing alone", |bencher| {
        let text = "cell_type IN ('Dendritic cells', 'CD14+ Monocytes') AND percent_mito <= 0.05";
        bencher.iter(|| Predicate::parse(black_box(text), Arc::clone(&schema)).expect("a condition"));
    });
    group.finish();
}

criterion_group!(steps, decode, plan, assemble, filter);
criterion_main!(steps);
