use std::sync::Arc;
use std::sync::Mutex;

use arrow::array::{Int32Array, Int64Array, StringArray, StringDictionaryBuilder};
use arrow::datatypes::{Field, Int8Type, Schema};
use proptest::prelude::*;

use super::*;
use crate::error::Kind;

/// Six cells; remembers which columns were read.
#[derive(Debug, Default)]
struct Cells {
    names: Option<Vec<Option<&'static str>>>,
    read: Mutex<Vec<Vec<String>>>,
}

const NAMES: [Option<&str>; 6] = [Some("a"), Some("b"), Some("c"), Some("b"), None, Some("f")];

#[async_trait]
impl AxisTable for Cells {
    fn schema(&self) -> SchemaRef {
        let dictionary = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8));
        Arc::new(Schema::new(vec![
            Field::new("cell_type", dictionary, true),
            Field::new("n_genes", DataType::Int64, true),
        ]))
    }

    async fn names(&self) -> Result<ArrayRef> {
        Ok(Arc::new(StringArray::from(self.names.clone().unwrap_or(NAMES.to_vec()))))
    }

    async fn columns(&self, names: &[String]) -> Result<RecordBatch> {
        self.read.lock().unwrap().push(names.to_vec());
        let mut cells = StringDictionaryBuilder::<Int8Type>::new();
        cells.extend([Some("B"), Some("T"), Some("B"), None, Some("T"), Some("B")]);
        let genes = Int64Array::from(vec![Some(1), Some(2), Some(3), None, Some(5), Some(6)]);
        let all = RecordBatch::try_new(self.schema(), vec![Arc::new(cells.finish()), Arc::new(genes)]).unwrap();
        let indices: Vec<usize> = names.iter().map(|name| self.schema().index_of(name).unwrap()).collect();
        Ok(all.project(&indices).unwrap())
    }
}

fn run(selectors: &[Selector], length: u64, table: &dyn AxisTable) -> Result<AxisSelection> {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(resolve(selectors, length, table))
}

fn positions(selectors: &[Selector]) -> Vec<u64> {
    run(selectors, 6, &Cells::default()).unwrap().positions()
}

fn error(selectors: &[Selector]) -> Error {
    run(selectors, 6, &Cells::default()).unwrap_err()
}

fn slice(start: Option<i64>, stop: Option<i64>, step: Option<i64>) -> Selector {
    Selector::Slice { start, stop, step }
}

fn names(names: &[&str]) -> Selector {
    Selector::Names(names.iter().map(|name| (*name).to_owned()).collect())
}

fn filter(text: &str) -> Selector {
    Selector::Where(text.to_owned())
}

fn mask(bits: &[u8], length: Option<u64>) -> Selector {
    Selector::Mask { bits: bits.to_vec(), length }
}

#[test]
fn selectors_give_positions_in_the_asked_order() {
    let cases: &[(&[Selector], &[u64])] = &[
        (&[], &[0, 1, 2, 3, 4, 5]),
        (&[Selector::All], &[0, 1, 2, 3, 4, 5]),
        (&[slice(None, None, Some(-2))], &[5, 3, 1]),
        (&[Selector::Integer(-1)], &[5]),
        (&[Selector::Index(vec![5, -6, 2, 2])], &[5, 0, 2, 2]),
        (&[Selector::Index(vec![])], &[]),
        (&[mask(&[0b10_1001], None)], &[0, 3, 5]),
        (&[mask(&[0b10_1001], Some(6))], &[0, 3, 5]),
        (&[names(&["f", "a"])], &[5, 0]),
        (&[names(&["a", "a"])], &[0, 0]),
        (&[filter("cell_type = 'B'")], &[0, 2, 5]),
        (&[filter("n_genes > 2")], &[2, 4, 5]),
        (&[filter("1 = 1")], &[0, 1, 2, 3, 4, 5]),
        (&[slice(None, None, Some(-1)), filter("cell_type = 'B'")], &[5, 2, 0]),
        (&[filter("cell_type = 'B'"), slice(Some(1), None, None)], &[2, 5]),
        (&[filter("cell_type = 'B'"), Selector::Integer(-1)], &[5]),
        (&[filter("cell_type = 'B'"), mask(&[0b101], Some(3))], &[0, 5]),
        (&[filter("cell_type = 'B'"), names(&["f", "c"])], &[5, 2]),
        (&[slice(Some(2), None, None), names(&["b"])], &[3]),
        (&[Selector::Index(vec![4, 2, 2]), filter("n_genes < 4")], &[2, 2]),
        (&[filter("cell_type = 'B'"), filter("n_genes > 1"), Selector::Index(vec![1, 0])], &[5, 2]),
        (&[slice(None, None, Some(9_223_372_036_854_775_807)), slice(None, None, Some(i64::MAX))], &[0]),
    ];
    for (selectors, expected) in cases {
        assert_eq!(positions(selectors), *expected, "{selectors:?}");
    }
}

#[test]
fn neighbours_become_a_range() {
    let found = run(&[filter("n_genes < 4")], 6, &Cells::default()).unwrap();
    assert_eq!(found, AxisSelection::Range { start: 0, step: 1, count: 3 });
}

#[test]
fn a_filter_reads_only_the_columns_it_names() {
    let cells = Cells::default();
    run(&[filter("n_genes > 2"), filter("1 = 1")], 6, &cells).unwrap();
    assert_eq!(*cells.read.lock().unwrap(), [["n_genes"]]);
}

#[test]
fn says_what_is_wrong() {
    let cases: &[(&[Selector], Kind, &str)] = &[
        (&[Selector::Integer(6)], Kind::OutOfRange, "index 6 is out of range for an axis of length 6"),
        (&[Selector::Integer(i64::MIN)], Kind::OutOfRange, "-9223372036854775808"),
        (&[Selector::Index(vec![0, -7])], Kind::OutOfRange, "index -7"),
        (&[slice(Some(0), Some(3), None), Selector::Integer(3)], Kind::OutOfRange, "length 3"),
        (&[slice(None, None, Some(0))], Kind::InvalidArgument, "step is 0"),
        (&[mask(&[0xff], None)], Kind::InvalidArgument, "beyond its 6 positions"),
        (&[mask(&[0x3f], Some(5))], Kind::InvalidArgument, "mask has 5 positions, expected 6"),
        (&[mask(&[0x3f, 0], None)], Kind::InvalidArgument, "mask has 2 bytes, expected 1"),
        (&[mask(&[], Some(6))], Kind::InvalidArgument, "mask has 0 bytes, expected 1"),
        (&[filter("cell_type = 'B'"), mask(&[1], Some(6))], Kind::InvalidArgument, "expected 3"),
        (&[names(&["a", "x", "y"])], Kind::NotFound, "\"x\", \"y\""),
        (&[names(&["1", "2", "3", "4", "5", "6", "7"])], Kind::NotFound, "\"5\" and 2 more"),
        (&[names(&["b"])], Kind::InvalidArgument, "\"b\" is not unique"),
        (&[slice(Some(0), Some(1), None), names(&["c"])], Kind::NotFound, "\"c\""),
        (&[Selector::Index(vec![0, 0]), names(&["a"])], Kind::InvalidArgument, "not unique"),
        (&[filter("louvain = '1'")], Kind::NotFound, "louvain"),
        (&[filter("n_genes")], Kind::InvalidArgument, "Int64"),
    ];
    for (selectors, kind, words) in cases {
        let error = error(selectors);
        assert_eq!(error.kind(), *kind, "{selectors:?}: {error:?}");
        assert!(error.message().contains(words), "{selectors:?}: {error}");
    }
}

#[test]
fn a_plain_array_has_neither_names_nor_a_table() {
    for selector in [names(&["a"]), filter("n > 1"), filter("true")] {
        assert_eq!(run(&[selector], 6, &NoTable).unwrap_err().kind(), Kind::InvalidArgument);
    }
    assert_eq!(run(&[Selector::Integer(1)], 6, &NoTable).unwrap().positions(), [1]);
}

#[test]
fn a_table_of_another_length_is_corrupt() {
    assert_eq!(run(&[filter("n_genes > 2")], 7, &Cells::default()).unwrap_err().kind(), Kind::DataLoss);
    assert_eq!(run(&[names(&["a"])], 7, &Cells::default()).unwrap_err().kind(), Kind::DataLoss);
}

#[test]
fn too_many_positions_are_refused() {
    let many = vec![0_i64; MAX_POSITIONS as usize + 1];
    assert_eq!(error(&[Selector::Index(many)]).kind(), Kind::ResourceExhausted);
}

#[test]
fn names_that_are_no_text_are_refused() {
    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    assert_eq!(text(&numbers).unwrap_err().kind(), Kind::InvalidArgument);
}

proptest! {
    /// A mask after any selection keeps the elements whose bit is set.
    #[test]
    fn masks_keep_the_set_bits(bits in proptest::collection::vec(any::<bool>(), 0..70)) {
        let mut packed = vec![0_u8; bits.len().div_ceil(8)];
        for (place, _) in bits.iter().enumerate().filter(|(_, bit)| **bit) {
            packed[place / 8] |= 1 << (place % 8);
        }
        let expected: Vec<u64> = (0..bits.len() as u64).filter(|place| bits[*place as usize]).collect();
        let found = run(&[mask(&packed, None)], bits.len() as u64, &NoTable).unwrap();
        prop_assert_eq!(found.positions(), expected);
    }

    /// Composing selectors is selecting from the list that the ones before left.
    #[test]
    fn selectors_compose_left_to_right(
        steps in proptest::collection::vec(
            (proptest::option::of(-9_i64..9), proptest::option::of(-9_i64..9), 1_i64..4, any::<bool>(),
             proptest::collection::vec(0_usize..20, 0..6), any::<bool>()),
            0..5,
        ),
    ) {
        let mut expected: Vec<u64> = (0..20).collect();
        let mut selectors = Vec::new();
        for (start, stop, step, backward, picks, is_slice) in steps {
            if is_slice {
                let step = if backward { -step } else { step };
                let places = crate::select::slice::slice(start, stop, Some(step), expected.len() as u64).unwrap().positions();
                expected = places.iter().map(|place| expected[*place as usize]).collect();
                selectors.push(super::tests::slice(start, stop, Some(step)));
            } else {
                let picks: Vec<usize> = picks.into_iter().filter(|pick| *pick < expected.len()).collect();
                selectors.push(Selector::Index(picks.iter().map(|pick| *pick as i64).collect()));
                expected = picks.iter().map(|pick| expected[*pick]).collect();
            }
        }
        prop_assert_eq!(run(&selectors, 20, &NoTable).unwrap().positions(), expected);
    }
}
