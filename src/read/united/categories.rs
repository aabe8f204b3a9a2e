//! The categories of several categoricals become those of one.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use arrow::datatypes::DataType as ArrowType;
use arrow::row::{Row, RowConverter, SortField};

use super::natural;
use crate::error::{Error, Result};
use crate::model::index_join::union;
use crate::read::to_arrow::arrow_error;

/// Categories of one member.
#[derive(Clone, Debug)]
pub struct Categories {
    /// The categories, of the type that all members' have together.
    pub values: ArrayRef,
    /// Whether they have an order.
    pub ordered: bool,
    /// Whether the member has rows.
    pub has_rows: bool,
}

/// Categories of all members together.
#[derive(Clone, Debug)]
pub struct UnitedCategories {
    /// The categories.
    pub values: ArrayRef,
    /// Whether they have an order.
    pub ordered: bool,
    /// For each member the place of each of its categories.
    pub places: Vec<Arc<[i32]>>,
}

/// Unites categories as `anndata.concat` does: a categorical without an order has all categories, in the
/// order of the first member's when these are all, else in natural order. One with an order keeps it
/// when all members have the same. None when only the values can be united, not the categories.
///
/// # Errors
/// `DataLoss` for a category that stands twice or is null, `Unimplemented` for categories without a
/// natural order.
pub fn unite(members: &[Categories]) -> Result<Option<UnitedCategories>> {
    let arrays: Vec<&dyn Array> = members.iter().map(|member| member.values.as_ref()).collect();
    let Some(first) = arrays.first() else { return Ok(None) };
    if arrays.iter().any(|array| array.null_count() > 0) {
        return Err(Error::data_loss("a category is null"));
    }
    let all = arrow::compute::concat(&arrays).map_err(arrow_error)?;
    let converter = RowConverter::new(vec![SortField::new(first.data_type().clone())]).map_err(arrow_error)?;
    let rows = converter.convert_columns(&[Arc::clone(&all)]).map_err(arrow_error)?;
    let mut start = 0;
    let mut lists: Vec<Vec<Row<'_>>> = Vec::with_capacity(members.len());
    for array in &arrays {
        lists.push((start..start + array.len()).map(|at| rows.row(at)).collect());
        start += array.len();
    }
    let mut place_in_all: HashMap<Row<'_>, u32> = HashMap::new();
    for (at, row) in (0_u32..).zip(rows.iter()) {
        place_in_all.entry(row).or_insert(at);
    }
    let Some(order) = order(members, &lists, &all, &place_in_all)? else { return Ok(None) };
    let places: HashMap<Row<'_>, i32> = order.iter().copied().zip(0..).collect();
    let place_of = |list: &Vec<Row<'_>>| list.iter().map(|row| places.get(row).copied().unwrap_or(-1)).collect();
    let taken: UInt32Array = order.iter().map(|row| place_in_all.get(row).copied()).collect();
    Ok(Some(UnitedCategories {
        values: arrow::compute::take(&all, &taken, None).map_err(arrow_error)?,
        ordered: members.iter().any(|member| member.ordered),
        places: lists.iter().map(place_of).collect(),
    }))
}

/// All categories in the order of the united ones; none when orders contradict each other.
fn order<'a>(
    members: &[Categories],
    lists: &[Vec<Row<'a>>],
    all: &ArrayRef,
    place_in_all: &HashMap<Row<'a>, u32>,
) -> Result<Option<Vec<Row<'a>>>> {
    let mut together: Vec<Row<'a>> = Vec::new();
    for (at, list) in lists.iter().enumerate() {
        let mut sorted = list.clone();
        sorted.sort_unstable();
        if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Error::data_loss("a category stands twice among its like"));
        }
        together = if at == 0 { list.clone() } else { union(together, list) };
    }
    if members.iter().any(|member| member.ordered) {
        let mut some = members.iter().zip(lists).filter(|(_, list)| !list.is_empty()).peekable();
        let same = some.peek().is_some() && some.all(|(member, list)| member.ordered && *list == together);
        return Ok(same.then_some(together));
    }
    let first = members.iter().zip(lists).find(|(member, _)| member.has_rows);
    match first {
        Some((_, list)) if list.len() == together.len() => Ok(Some(list.clone())),
        _ => natural_order(together, all, place_in_all).map(Some),
    }
}

fn natural_order<'a>(
    mut together: Vec<Row<'a>>,
    all: &ArrayRef,
    place_in_all: &HashMap<Row<'a>, u32>,
) -> Result<Vec<Row<'a>>> {
    if all.data_type() != &ArrowType::Utf8 {
        together.sort_unstable();
        return Ok(together);
    }
    let texts = all.as_string::<i32>();
    let text = |row: &Row<'a>| place_in_all.get(row).map_or("", |at| texts.value(*at as usize));
    let mut keyed = Vec::with_capacity(together.len());
    for row in together {
        keyed.push((natural::key(text(&row))?, row));
    }
    // Stable: texts of the same key stay as they were.
    keyed.sort_by(|(left, _), (right, _)| left.cmp(right));
    Ok(keyed.into_iter().map(|(_, row)| row).collect())
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray};

    use super::*;

    fn texts(values: &[&str], ordered: bool) -> Categories {
        Categories { values: Arc::new(StringArray::from(values.to_vec())), ordered, has_rows: true }
    }

    /// Categories, whether ordered, and the places of each member's.
    fn united(members: &[Categories]) -> Option<(Vec<String>, bool, Vec<Vec<i32>>)> {
        unite(members).unwrap().map(|found| {
            let values = found.values.as_string::<i32>().iter().map(|text| text.unwrap().to_owned()).collect();
            (values, found.ordered, found.places.iter().map(|places| places.to_vec()).collect())
        })
    }

    fn expected(values: &[&str], ordered: bool, places: &[&[i32]]) -> Option<(Vec<String>, bool, Vec<Vec<i32>>)> {
        let places = places.iter().map(|places| places.to_vec()).collect();
        Some((values.iter().map(|value| (*value).to_owned()).collect(), ordered, places))
    }

    /// As anndata 0.12.19 with pandas 2.3 unites them.
    #[test]
    fn categories_are_united_as_anndata_does() {
        let check = |members: &[Categories], wanted| assert_eq!(united(members), wanted, "{members:?}");
        check(&[texts(&["b", "a"], false)], expected(&["b", "a"], false, &[&[0, 1]]));
        check(
            &[texts(&["B10", "B2"], false), texts(&["a", "B2"], false)],
            expected(&["B2", "B10", "a"], false, &[&[1, 0], &[2, 0]]),
        );
        check(
            &[texts(&["c", "a", "b"], false), texts(&["a"], false)],
            expected(&["c", "a", "b"], false, &[&[0, 1, 2], &[1]]),
        );
        check(
            &[texts(&["a"], false), texts(&["c", "a", "b"], false)],
            expected(&["a", "b", "c"], false, &[&[0], &[2, 0, 1]]),
        );
        let scale = ["low", "mid", "high"];
        check(
            &[texts(&scale, true), texts(&[], true), texts(&scale, true)],
            expected(&scale, true, &[&[0, 1, 2], &[], &[0, 1, 2]]),
        );
        check(&[texts(&scale, true), texts(&["low", "high"], true)], None);
        check(&[texts(&scale, true), texts(&scale, false)], None);
        check(&[texts(&["x"], true), texts(&["y"], false)], None);
    }

    #[test]
    fn numbers_are_sorted_and_repeated_categories_refused() {
        let numbers = |values: &[i64]| Categories {
            values: Arc::new(Int64Array::from(values.to_vec())),
            ordered: false,
            has_rows: true,
        };
        let found = unite(&[numbers(&[10, -2]), numbers(&[9])]).unwrap().unwrap();
        assert_eq!(found.values.as_primitive::<arrow::datatypes::Int64Type>().values(), &[-2, 9, 10]);
        assert!(unite(&[texts(&["a", "a"], false)]).unwrap_err().to_string().contains("twice"));
    }
}
