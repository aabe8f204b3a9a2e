use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::error::Kind;
use crate::model::selection::AxisSelection;
use crate::select::axis::{NoTable, resolve};

/// Positions per axis of an array of `shape`.
fn positions(text: &str, shape: &[u64]) -> Result<Vec<Vec<u64>>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    parse(text, shape.len())?
        .iter()
        .zip(shape)
        .map(|(selectors, length)| runtime.block_on(resolve(selectors, *length, &NoTable)))
        .map(|selection| selection.map(|selection| selection.positions()))
        .collect()
}

fn numbers(value: &Value) -> Vec<u64> {
    value.as_array().unwrap().iter().map(|number| number.as_u64().unwrap()).collect()
}

fn fixture() -> Value {
    serde_json::from_str(include_str!("../../../tests/fixtures/slices/slices.json")).unwrap()
}

#[test]
fn selects_what_numpy_selects_and_refuses_what_it_refuses() {
    for case in fixture()["cases"].as_array().unwrap() {
        let (text, shape) = (case["text"].as_str().unwrap(), numbers(&case["shape"]));
        let found = positions(text, &shape);
        match case["axes"].as_array() {
            Some(axes) => {
                let expected: Vec<Vec<u64>> = axes.iter().map(numbers).collect();
                assert_eq!(found.unwrap_or_else(|error| panic!("{text} of {shape:?}: {error}")), expected, "{text}");
            }
            None => {
                let kind = found.expect_err(&format!("{text} of {shape:?}")).kind();
                assert!(matches!(kind, Kind::InvalidArgument | Kind::OutOfRange), "{text}: {kind:?}");
            }
        }
    }
}

#[test]
fn small_slices_are_pythons() {
    for row in fixture()["slices_of_7"].as_array().unwrap() {
        let bound = |place: usize| row[place].as_i64();
        let found = crate::select::slice::slice(bound(0), bound(1), bound(2), 7).unwrap();
        assert_eq!(found.positions(), numbers(&row[3]), "{row}");
        assert_eq!(found.len(), found.positions().len() as u64);
    }
}

#[test]
fn says_what_is_wrong() {
    let cases = [
        ("..., ...", 3, "more than one ellipsis"),
        ("1, 2, 3", 2, "names 3 axes, the array has 2"),
        ("None", 2, "add an axis"),
        ("True", 2, "mask"),
        ("[[1]]", 2, "list within a list"),
        ("[1", 2, "does not close"),
        ("1::2::3", 1, "colons"),
        ("1,,2", 3, "empty place"),
        ("99999999999999999999", 1, "64 bits"),
        ("::0", 1, "is 0"),
        ("x", 1, "\"x\""),
    ];
    for (text, dimensions, words) in cases {
        let error = parse(text, dimensions).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidArgument, "{text}");
        assert!(error.message().contains(words), "{text}: {error}");
    }
    assert_eq!(parse(&" ".repeat(MAX_TEXT_BYTES + 1), 1).unwrap_err().kind(), Kind::ResourceExhausted);
}

/// Python's slice by walking: `start`, `start + step`, … within the axis.
fn walk(start: Option<i64>, stop: Option<i64>, step: i64, length: i64) -> Vec<u64> {
    let wrap = |bound: i64| if bound < 0 { bound + length } else { bound };
    let (first, end) = match step > 0 {
        true => (start.map_or(0, |start| wrap(start).max(0)), stop.map_or(length, |stop| wrap(stop).min(length))),
        false => {
            let first = start.map_or(length - 1, |start| wrap(start).min(length - 1));
            (first, stop.map_or(-1, |stop| wrap(stop).max(-1)))
        }
    };
    let mut positions = Vec::new();
    let mut position = first;
    while (step > 0 && position < end) || (step < 0 && position > end) {
        positions.push(position as u64);
        position += step;
    }
    positions
}

proptest! {
    #[test]
    fn slices_are_pythons(
        start in proptest::option::of(-60_i64..60),
        stop in proptest::option::of(-60_i64..60),
        step in (-70_i64..70).prop_filter("0 is refused", |step| *step != 0),
        length in 0_u64..50,
    ) {
        let spelled = |bound: Option<i64>| bound.map(|bound| bound.to_string()).unwrap_or_default();
        let text = format!("{}:{}:{step}", spelled(start), spelled(stop));
        let found = positions(&text, &[length]).unwrap();
        prop_assert_eq!(&found[0], &walk(start, stop, step, length as i64));
    }

    #[test]
    fn extreme_bounds_stay_within_the_axis(start: Option<i64>, stop: Option<i64>, step: i64, length: u64) {
        prop_assume!(step != 0);
        let found = crate::select::slice::slice(start, stop, Some(step), length).unwrap();
        prop_assert!(found.check(length).is_ok());
        if let AxisSelection::Range { start, count, .. } = found {
            prop_assert!(count == 0 || start < length);
        }
    }

    #[test]
    fn no_text_is_fatal(text in "[-0-9:,.\\[\\] a-zN∞]{0,24}", dimensions in 0_usize..4) {
        if let Ok(axes) = parse(&text, dimensions) {
            prop_assert_eq!(axes.len(), dimensions);
        }
    }
}
