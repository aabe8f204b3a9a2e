//! Slices with an index and without.

use proptest::prelude::*;

use super::matrices::{Slices, context, indexes, matrix, open, read, write};
use crate::model::request::{Layout, Selector, SliceRequest};

/// Slices with repeated and unsorted positions and explicit zeros; the length of the other axis.
fn matrices() -> impl Strategy<Value = (Slices, u64)> {
    (1_u64..7, any::<bool>()).prop_flat_map(|(across, is_sorted)| {
        let entry = (0..across as u32, -2_i8..3).prop_map(|(position, value)| (position, f32::from(value)));
        let slices = proptest::collection::vec(proptest::collection::vec(entry, 0..9), 1..9);
        slices.prop_map(move |mut slices| {
            if is_sorted {
                slices.iter_mut().for_each(|slice| slice.sort_by_key(|(position, _)| *position));
            }
            (slices, across)
        })
    })
}

/// Positions below any length once they are taken modulo it, in any order and several times.
fn positions() -> impl Strategy<Value = Vec<i64>> {
    let any_order = proptest::collection::vec(0_i64..64, 0..8);
    prop_oneof![
        any_order.clone(),
        any_order.prop_map(|mut positions| {
            positions.sort_unstable();
            positions.dedup();
            positions
        })
    ]
}

fn within(positions: &[i64], length: u64) -> Vec<Selector> {
    vec![Selector::Index(positions.iter().map(|position| position % length as i64).collect())]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The answer is the same to the last bit and in the same order, whatever is selected in whatever form.
    #[test]
    fn an_index_changes_no_answer(
        (slices, across) in matrices(),
        major in 0_usize..2,
        asked in proptest::collection::vec((positions(), proptest::option::of(positions())), 1..4),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("source");
        std::fs::create_dir(&source).unwrap();
        write(&source, &slices, across, major);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let (hierarchy, context) = (open(&source).await, context());
            let indexes = indexes(&folder.path().join("indexes"), 1 << 30, 0).await;
            indexes.build(&context, &matrix(&hierarchy)).await.unwrap();
            for (minor, majors) in &asked {
                let mut axes = vec![Vec::new(), Vec::new()];
                axes[1 - major] = within(minor, across);
                axes[major] = majors.as_ref().map(|majors| within(majors, slices.len() as u64)).unwrap_or_default();
                for layout in [Layout::Auto, Layout::Rows, Layout::Sparse, Layout::Dense, Layout::Coo] {
                    let request = SliceRequest { axes: axes.clone(), layout, ..SliceRequest::default() };
                    let (expected, columns) = read(&context, &hierarchy, &request, None).await.unwrap();
                    assert!(columns.is_none());
                    let (found, columns) = read(&context, &hierarchy, &request, Some(&indexes)).await.unwrap();
                    assert_eq!(found, expected, "{request:?}");
                    let is_part = columns.as_ref().is_some_and(|columns| columns.is_used());
                    // Every position in order is the matrix as it is stored.
                    let is_whole = minor.iter().map(|position| *position as u64 % across).eq(0..across);
                    assert!(is_part || (is_whole && columns.is_none()), "{request:?}");
                }
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_slices_of_the_stored_axis_need_no_index() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    std::fs::create_dir(&source).unwrap();
    write(&source, &vec![vec![(0, 1.0), (2, 2.0)], vec![(1, 3.0)]], 3, 0);
    let hierarchy = open(&source).await;
    let indexes = indexes(&folder.path().join("indexes"), 1 << 30, 0).await;
    let request = SliceRequest { axes: vec![vec![Selector::Integer(1)]], ..SliceRequest::default() };
    let (_, columns) = read(&context(), &hierarchy, &request, Some(&indexes)).await.unwrap();
    assert!(columns.is_none());
}
