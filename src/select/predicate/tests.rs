use std::time::{Duration, Instant};

use arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array,
    StringArray,
};
use arrow::datatypes::{ArrowDictionaryKeyType, Field, Int8Type, Int16Type, Int32Type};

use proptest::prelude::*;

use super::*;
use crate::error::Kind;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

fn categories<K: ArrowDictionaryKeyType>(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(values.iter().copied().collect::<DictionaryArray<K>>())
}

fn table() -> RecordBatch {
    let cells = [Some("B"), Some("Dendritic cells"), None, Some("CD14+ Monocytes"), Some("B")];
    batch(vec![
        ("cell_type", categories::<Int8Type>(&cells)),
        ("group16", categories::<Int16Type>(&cells)),
        ("Group32", categories::<Int32Type>(&cells)),
        ("percent_mito", Arc::new(Float32Array::from(vec![0.01, 0.05, f32::NAN, 0.050_000_004, -0.0]))),
        ("score", Arc::new(Float64Array::from(vec![Some(1.5), Some(f64::NAN), None, Some(0.0), Some(-f64::NAN)]))),
        ("n_genes", Arc::new(Int64Array::from(vec![Some(10), None, Some(30), Some(40), Some(50)]))),
        ("is doublet", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None, Some(true), Some(false)]))),
        ("a.b", Arc::new(Int32Array::from(vec![1, 2, 3, 4, 5]))),
        ("select", Arc::new(Int16Array::from(vec![1, 2, 3, 4, 5]))),
        ("code", Arc::new(Int8Array::from(vec![0, 1, 0, 1, 0]))),
        ("name", Arc::new(StringArray::from(vec!["a", "b", "c", "d", "e"]))),
    ])
}

fn rows(text: &str) -> Vec<usize> {
    let table = table();
    let predicate = Predicate::parse(text, table.schema()).unwrap();
    let met = predicate.evaluate(&table).unwrap();
    assert_eq!(met.null_count(), 0, "{text}");
    (0..met.len()).filter(|row| met.value(*row)).collect()
}

fn error(text: &str) -> Error {
    Predicate::parse(text, table().schema()).unwrap_err()
}

#[test]
fn selects_the_rows_that_pandas_selects() {
    let cases: &[(&str, &[usize])] = &[
        ("cell_type = 'B'", &[0, 4]),
        ("'B' = cell_type", &[0, 4]),
        ("cell_type != 'B'", &[1, 3]),
        ("cell_type IN ('Dendritic cells', 'CD14+ Monocytes')", &[1, 3]),
        ("cell_type NOT IN ('B')", &[1, 3]),
        ("cell_type LIKE '%cells'", &[1]),
        ("cell_type IS NULL", &[2]),
        ("cell_type IS NOT NULL", &[0, 1, 3, 4]),
        ("cell_type < 'C'", &[0, 4]),
        ("cell_type = 'unknown'", &[]),
        ("group16 = 'B' OR group16 = 'CD14+ Monocytes'", &[0, 3, 4]),
        ("Group32 IN ('B', 'CD14+ Monocytes', 'x', 'y', 'z')", &[0, 3, 4]),
        ("\"is doublet\"", &[0, 3]),
        ("NOT \"is doublet\"", &[1, 4]),
        ("\"is doublet\" = false", &[1, 4]),
        ("n_genes > 10", &[2, 3, 4]),
        ("n_genes BETWEEN 30 AND 40", &[2, 3]),
        ("n_genes IS NULL", &[1]),
        ("\"a.b\" >= 4", &[3, 4]),
        ("\"select\" = 2", &[1]),
        ("code = 1", &[1, 3]),
        ("upper(name) IN ('A', 'E')", &[0, 4]),
        ("true", &[0, 1, 2, 3, 4]),
        ("1 = 2", &[]),
        ("NULL::boolean", &[]),
        ("cell_type IN ('Dendritic cells', 'B') AND percent_mito <= 0.05", &[0, 1, 4]),
    ];
    for (text, expected) in cases {
        assert_eq!(rows(text), *expected, "{text}");
    }
}

/// The expected rows are pandas' answers (NumPy 2 gives a Python number the column's type).
#[test]
fn floats_compare_as_in_numpy() {
    let cases: &[(&str, &[usize])] = &[
        ("percent_mito <= 0.05", &[0, 1, 4]),
        ("percent_mito < 0.05", &[0, 4]),
        ("percent_mito > 0.05", &[3]),
        ("percent_mito >= 0.05", &[1, 3]),
        ("0.05 >= percent_mito", &[0, 1, 4]),
        ("percent_mito = 0.05", &[1]),
        ("percent_mito != 0.05", &[0, 2, 3, 4]),
        ("percent_mito IN (0.05, 0.01)", &[0, 1]),
        ("percent_mito NOT IN (0.05, 0.01)", &[2, 3, 4]),
        ("percent_mito BETWEEN 0.01 AND 0.05", &[0, 1]),
        ("percent_mito * 2 <= 0.1", &[0, 1, 4]),
        ("percent_mito = 0", &[4]),
        ("percent_mito < 0", &[]),
        ("percent_mito >= 0", &[0, 1, 3, 4]),
        ("percent_mito <= 0.0", &[4]),
        ("percent_mito > 0", &[0, 1, 3]),
        ("percent_mito != 0", &[0, 1, 2, 3]),
        ("percent_mito IN (0, 7)", &[4]),
        ("NOT percent_mito > 0.05", &[0, 1, 2, 4]),
        ("percent_mito NOT BETWEEN 0.01 AND 0.05", &[2, 3, 4]),
        ("score > -1", &[0, 3]),
        ("score < 100", &[0, 3]),
        ("score = score", &[0, 3]),
        ("score <= percent_mito", &[3]),
        ("score != score", &[1, 4]),
        ("percent_mito IN (score, 0.05)", &[1]),
    ];
    for (text, expected) in cases {
        assert_eq!(rows(text), *expected, "{text}");
    }
}

#[test]
fn zeros_of_two_columns_are_equal() {
    let zeros = batch(vec![
        ("a", Arc::new(Float32Array::from(vec![0.0, -0.0, 1.0]))),
        ("b", Arc::new(Float32Array::from(vec![-0.0, 0.0, 1.0]))),
    ]);
    let count = |text: &str| Predicate::parse(text, zeros.schema()).unwrap().evaluate(&zeros).unwrap().true_count();
    assert_eq!((count("a = b"), count("a < b"), count("a >= b"), count("a != b")), (3, 0, 3, 0));
}

#[test]
fn asks_only_for_the_columns_it_needs() {
    let table = table();
    let predicate = Predicate::parse("n_genes > 1 AND cell_type = 'B'", table.schema()).unwrap();
    assert_eq!(predicate.columns(), ["cell_type", "n_genes"]);
    let only = table.project(&[5, 0]).unwrap();
    assert_eq!(predicate.evaluate(&only).unwrap().true_count(), 2);
    assert!(Predicate::parse("1 = 1", table.schema()).unwrap().columns().is_empty());
    assert_eq!(predicate.evaluate(&table.project(&[5]).unwrap()).unwrap_err().kind(), Kind::Internal);
}

#[test]
fn statistics_prune_only_by_what_nan_cannot_meet() {
    let conditions =
        |text: &str| Predicate::parse(text, table().schema()).unwrap().prunable_conditions().unwrap().len();
    assert_eq!(conditions("n_genes > 1 AND cell_type != 'B'"), 2);
    assert!(conditions("percent_mito > 0.05") >= 1);
    assert_eq!(conditions("percent_mito != 0.05"), 0);
    assert_eq!(conditions("\"is doublet\" AND NOT code = 1 AND name LIKE 'a%' AND score IS NULL"), 4);
    assert_eq!(conditions("n_genes / code = 1"), 0);
    assert_eq!(conditions("NOT percent_mito <= 0.05"), 0);
    assert_eq!(conditions("percent_mito NOT IN (0.05)"), 0);
    assert_eq!(conditions("(CASE WHEN percent_mito != 1 THEN 1 ELSE 0 END) = 1"), 0);
}

#[test]
fn refuses_what_is_no_filter() {
    let cases = [
        ("cell_type = ", Kind::InvalidArgument, "does not parse"),
        ("", Kind::InvalidArgument, "does not parse"),
        ("n_genes > 1; DROP TABLE obs", Kind::InvalidArgument, "does not parse"),
        ("n_genes > 1 surplus", Kind::InvalidArgument, "surplus"),
        ("cell_type = 'open", Kind::InvalidArgument, "does not parse"),
        ("louvain = '1'", Kind::NotFound, "\"louvain\""),
        ("louvain = '1'", Kind::NotFound, "cell_type, group16, Group32"),
        ("Cell_Type = 'B'", Kind::NotFound, "\"Cell_Type\""),
        ("cell_type = \"B\"", Kind::NotFound, "single quotes"),
        ("n_genes + 1", Kind::InvalidArgument, "Int64, expected Boolean"),
        ("NULL", Kind::InvalidArgument, "expected Boolean"),
        ("n_genes > (SELECT 1)", Kind::InvalidArgument, "subquery"),
        ("n_genes IN (SELECT x FROM other)", Kind::InvalidArgument, "subquery"),
        ("EXISTS (SELECT 1)", Kind::InvalidArgument, "subquery"),
        ("sum(n_genes) > 1", Kind::InvalidArgument, "aggregate function sum"),
        ("row_number() OVER () = 1", Kind::InvalidArgument, "window function"),
        ("no_such_function(n_genes)", Kind::InvalidArgument, "no_such_function"),
        ("uuid() = 'x'", Kind::InvalidArgument, "uuid"),
        ("now() > to_timestamp('2020-01-01')", Kind::InvalidArgument, "now"),
        ("length(repeat(name, 2000000000)) > 1", Kind::Unimplemented, "function repeat is not supported"),
        ("replace(name, 'a', 'aaaaaaaa') = 'a'", Kind::Unimplemented, "supported: array_element"),
        ("n_genes > $1", Kind::InvalidArgument, "placeholder"),
        ("cell_type = 3", Kind::InvalidArgument, "do not compare"),
        ("percent_mito <= '0.05'", Kind::InvalidArgument, "do not compare"),
        ("n_genes IN ('1')", Kind::InvalidArgument, "do not compare"),
    ];
    for (text, kind, words) in cases {
        let error = error(text);
        assert_eq!(error.kind(), kind, "{text}: {error:?}");
        assert!(error.message().contains(words), "{text}: {error}");
    }
}

#[test]
fn substrait_is_refused_by_name() {
    let error = Predicate::from_substrait(&[1, 2], table().schema()).unwrap_err();
    assert_eq!(error.kind(), Kind::Unimplemented);
}

proptest! {
    /// Conditions on codes against the same conditions on the texts themselves: unused categories, a
    /// category twice, one that is null, rows without one, and more categories than rows.
    #[test]
    fn categories_answer_as_their_texts(
        words in prop::collection::vec(prop::option::weighted(0.9, "[ABC][a-c]?"), 1..30),
        codes in prop::collection::vec(prop::option::weighted(0.8, 0_usize..30), 0..60),
        numbers in prop::collection::vec(0_i64..4, 60),
    ) {
        let codes: Vec<Option<i8>> = codes.iter().map(|code| code.map(|code| (code % words.len()) as i8)).collect();
        let values = Arc::new(StringArray::from(words.clone()));
        let dictionary = DictionaryArray::<Int8Type>::new(Int8Array::from(codes.clone()), values);
        let texts: StringArray = codes.iter().map(|code| code.and_then(|code| words[code as usize].as_deref())).collect();
        let rows = batch(vec![
            ("k", Arc::new(dictionary)),
            ("t", Arc::new(texts)),
            ("n", Arc::new(Int64Array::from(numbers[..codes.len()].to_vec()))),
        ]);
        for text in [
            "k = 'A'", "k != 'A'", "'B' < k", "k IN ('A', 'Bb')", "k NOT IN ('A', 'Bb')", "k IN ('A', NULL)",
            "k IS NULL", "k IS NOT NULL", "NOT (k = 'A' OR k LIKE 'B%')", "k BETWEEN 'A' AND 'B'",
            "upper(k) = 'AA' AND n > 1", "n = 2 OR k = 'C'", "(k = 'A') = (n = 1)", "k = t", "k IS DISTINCT FROM 'A'",
            "starts_with(k, 'B') AND NOT (n = 0 AND k = 'Bb')", "(k = 'A') IS NOT TRUE", "coalesce(k, 'A') = 'A'",
            "k = NULL OR n = 1",
        ] {
            let of_texts = text.replace("k", "t").replace("LItE", "LIKE");
            let met = |text: &str| Predicate::parse(text, rows.schema()).unwrap().evaluate(&rows).unwrap();
            prop_assert_eq!(met(text), met(&of_texts), "{}", text);
        }
    }
}

#[test]
fn conditions_on_a_category_are_decided_once() {
    let table = table();
    let places = |text: &str| Predicate::parse(text, table.schema()).unwrap().by_category.len();
    assert_eq!(places("cell_type IN ('B', 'x') AND n_genes > 1"), 1);
    assert_eq!(places("cell_type = 'B' OR (NOT group16 = 'B' AND n_genes > 1)"), 2);
    assert_eq!(places("NOT (cell_type = 'B' OR cell_type IS NULL)"), 1);
    // Two columns, no category, and what could fail for a category that no row has.
    assert_eq!(places("cell_type = name"), 0);
    assert_eq!(places("name = 'a'"), 0);
    assert_eq!(places("cell_type::int = 1"), 0);
}

#[test]
fn order_of_categories_is_refused() {
    let key = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8));
    #[expect(deprecated, reason = "the only way to say that categories are ordered")]
    let ordered = Field::new_dict("stage", key, true, 0, true);
    let schema = Arc::new(Schema::new(vec![ordered]));
    assert_eq!(Predicate::parse("stage < 'late'", Arc::clone(&schema)).unwrap_err().kind(), Kind::Unimplemented);
    assert!(Predicate::parse("stage IN ('late', 'early')", schema).is_ok());
}

#[test]
fn values_that_cannot_be_computed_with_are_the_callers_fault() {
    let table = table();
    for text in ["10 / (code - code) = 1", "name::int = 1"] {
        let error =
            Predicate::parse(text, table.schema()).and_then(|predicate| predicate.evaluate(&table)).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidArgument, "{text}: {error:?}");
    }
}

#[test]
fn columns_of_the_same_name_are_refused() {
    let field = Field::new("a", DataType::Int8, true);
    let schema = Arc::new(Schema::new(vec![field.clone(), field]));
    assert_eq!(Predicate::parse("a = 1", schema).unwrap_err().kind(), Kind::InvalidArgument);
}

#[test]
fn nesting_and_size_are_bounded() {
    let started = Instant::now();
    let deep = [
        format!("{}n_genes > 1{}", "(".repeat(10_000), ")".repeat(10_000)),
        "(".repeat(10_000),
        "NOT ".repeat(10_000) + "true",
        "-".repeat(10_000) + "n_genes > 1",
        format!("n_genes {} > 1", "+ 1 ".repeat(10_000)),
        format!("true{}", " OR true".repeat(7_000)),
        format!("{}1{} = 1", "abs(".repeat(8_000), ")".repeat(8_000)),
        "CASE WHEN ".repeat(5_000),
        format!("n_genes{} = 1", "::int".repeat(8_000)),
        format!("n_genes{} = 1", "[1]".repeat(8_000)),
        " ".repeat(70_000),
    ];
    for text in deep {
        let kind = error(&text).kind();
        assert!(matches!(kind, Kind::ResourceExhausted | Kind::InvalidArgument), "{kind:?}");
    }
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[test]
fn as_many_operators_as_are_allowed_fit_on_the_stack() {
    let text = ["n_genes = 10"; sql::MAX_OPERATORS.div_ceil(2)].join(" OR ");
    assert_eq!(rows(&text), [0]);
    let text = format!("n_genes = 10 {}", "+ 0 ".repeat(sql::MAX_OPERATORS - 1));
    assert_eq!(rows(&text), [0]);
    let text = (0..sql::MAX_OPERATORS / 2).map(|n| format!("n_genes != {}", n + 11)).collect::<Vec<_>>();
    assert_eq!(rows(&text.join(" AND ")), [0]);
}

#[test]
fn a_long_list_is_one_operator() {
    let started = Instant::now();
    let list = (0..20_000).map(|value| (value % 10).to_string()).collect::<Vec<_>>().join(",");
    assert_eq!(rows(&format!("n_genes IN (10,{list})")), [0]);
    assert_eq!(rows(&format!("percent_mito IN ({list})")), [4]);
    let list = (0..10_000).map(|value| format!("'{}'", value % 1000)).collect::<Vec<_>>().join(",");
    assert_eq!(rows(&format!("cell_type IN ('B',{list})")), [0, 4]);
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[test]
fn many_rows_are_evaluated_in_parts() {
    let rows = 3 * ROWS_AT_A_TIME + 5;
    let numbers =
        batch(vec![("n", Arc::new((0..rows as i64).map(|n| (n % 7 != 0).then_some(n)).collect::<Int64Array>()))]);
    let predicate = Predicate::parse("n % 3 = 0", numbers.schema()).unwrap();
    let expected: Vec<bool> = (0..rows).map(|n| n % 7 != 0 && n % 3 == 0).collect();
    assert_eq!(predicate.evaluate(&numbers).unwrap(), BooleanArray::from(expected));
}

#[test]
fn usual_functions_are_there() {
    for text in [
        "substring(name, 1, 1) = 'a'",
        "position('a' in name) = 1",
        "trim(name) = 'a'",
        "length(name || name) = 2 AND name = 'a'",
        "coalesce(n_genes, 0) = 10",
        "regexp_like(name, '^a$')",
        "name ~ '^a$'",
        "starts_with(cell_type, 'B') AND n_genes < 20",
        "name SIMILAR TO 'a'",
        "lower(cell_type) LIKE 'b' AND char_length(name) = 1 AND n_genes = 10",
        "array_has([1, 2], n_genes / 10) AND code = 0",
        "extract(year FROM to_timestamp('2020-01-01')) = 2020 AND n_genes = 10",
    ] {
        assert_eq!(rows(text), [0], "{text}");
    }
}
