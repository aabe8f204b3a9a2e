//! The variables of all members as one axis.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use futures::stream::{self, StreamExt};

use super::member::Member;
use crate::engine::axis_table::FrameTable;
use crate::error::{Error, Result, ResultExt};
use crate::format::anndata::axes::Axis;
use crate::model::index_join::{intersection, union};
use crate::model::request::Join;
use crate::read::context::ReadContext;
use crate::select::axis::AxisTable;

/// Members whose names are read at the same time.
const READING: usize = 8;

/// Most bytes of different lists of names that are joined.
const MAX_NAMES_BYTES: usize = 256 << 20;

/// Most bytes of the places of joined names among the members' own.
const MAX_PLACES_BYTES: usize = 256 << 20;

/// A joined name that a member does not have.
pub(super) const NONE: u32 = u32::MAX;

/// Joined names, and where each member has them.
#[derive(Debug)]
pub(super) struct JoinedAxis {
    /// Joined names.
    pub(super) names: ArrayRef,
    /// Name of the index.
    pub(super) index: String,
    /// For each member the place of each joined name among its own, or [`NONE`]; none when its names
    /// are the joined ones.
    pub(super) places: Vec<Option<Arc<[u32]>>>,
    /// Names of each member.
    pub(super) own: Vec<u64>,
}

impl JoinedAxis {
    /// Number of joined names.
    pub(super) fn len(&self) -> u64 {
        self.names.len() as u64
    }
}

/// Joins the names of `axis` of all `members`.
///
/// # Errors
/// `InvalidArgument` naming a member with a name twice, `ResourceExhausted` beyond the bounds, and the
/// errors of reading.
pub(super) async fn join(context: &ReadContext, members: &[Member], axis: Axis, join: Join) -> Result<JoinedAxis> {
    let mut lists = Lists::default();
    let mut index: Option<String> = None;
    let reads: Vec<_> = members.iter().map(|member| names_of(context, member, axis)).collect();
    let mut reads = stream::iter(reads).buffered(READING);
    let mut at = 0;
    while let Some(read) = reads.next().await {
        let (name, names) = read?;
        lists.add(names, members.get(at).map(Member::named).unwrap_or_default())?;
        index = match index {
            None => Some(name),
            // The name of an index that differs is lost.
            Some(known) if known != name => Some("_index".to_owned()),
            same => same,
        };
        at += 1;
    }
    let own = lists.of_member.iter().map(|at| lists.different.get(*at).map_or(0, |names| names.len() as u64));
    let own = own.collect();
    let (names, places) = context.decode(move || joined(&lists, join)).await?;
    Ok(JoinedAxis { names, index: index.unwrap_or_else(|| "_index".to_owned()), places, own })
}

/// Name and names of a member's index.
async fn names_of(context: &ReadContext, member: &Member, axis: Axis) -> Result<(String, StringArray)> {
    let frame = member.frame(axis)?;
    let index = frame.index.clone().unwrap_or_else(|| "_index".to_owned());
    let table = FrameTable::new(context.clone(), member.hierarchy.clone(), frame);
    let names = table.names().await.with_context(|| member.named())?;
    let names = names.as_string_opt::<i32>().ok_or_else(|| Error::internal("names are no texts"))?;
    Ok((index, names.clone()))
}

/// Lists of names; members with the same names share one.
#[derive(Default)]
struct Lists {
    different: Vec<StringArray>,
    of_member: Vec<usize>,
    by_digest: HashMap<u64, Vec<usize>>,
    bytes: usize,
}

impl Lists {
    fn add(&mut self, names: StringArray, member: String) -> Result<()> {
        let digest = digest(&names);
        let alike = self.by_digest.entry(digest).or_default();
        if let Some(same) = alike.iter().find(|at| self.different.get(**at) == Some(&names)) {
            self.of_member.push(*same);
            return Ok(());
        }
        check_unique(&names).with_context(|| member)?;
        self.bytes = self.bytes.saturating_add(names.get_array_memory_size());
        if self.bytes > MAX_NAMES_BYTES {
            let message = format!("different names of variables take more than {MAX_NAMES_BYTES} bytes");
            return Err(Error::resource_exhausted(message));
        }
        alike.push(self.different.len());
        self.of_member.push(self.different.len());
        self.different.push(names);
        Ok(())
    }
}

fn digest(names: &StringArray) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    names.iter().for_each(|name| name.hash(&mut hasher));
    hasher.finish()
}

fn check_unique(names: &StringArray) -> Result<()> {
    let mut seen = std::collections::HashSet::with_capacity(names.len());
    for name in names {
        let name = name.ok_or_else(|| Error::invalid("a variable has no name, and joins by name need one"))?;
        if !seen.insert(name) {
            return Err(Error::invalid(format!("the variable '{name}' stands twice, and joins by name need one")));
        }
    }
    Ok(())
}

type Places = Vec<Option<Arc<[u32]>>>;

fn joined(lists: &Lists, join: Join) -> Result<(ArrayRef, Places)> {
    let mut different = lists.different.iter().map(|names| names.iter().flatten().collect::<Vec<&str>>());
    let first = different.next().unwrap_or_default();
    let together = different.fold(first, |all, names| match join {
        Join::Inner => intersection(all, &names),
        Join::Outer => union(all, &names),
    });
    let bytes = together.len().saturating_mul(lists.different.len()).saturating_mul(size_of::<u32>());
    if bytes > MAX_PLACES_BYTES {
        return Err(Error::resource_exhausted(format!(
            "{} joined variables of {} different lists need {bytes} bytes, at most {MAX_PLACES_BYTES} are possible",
            together.len(),
            lists.different.len()
        )));
    }
    let mut of_list: Places = Vec::with_capacity(lists.different.len());
    for names in &lists.different {
        of_list.push(places(names, &together)?);
    }
    let places = lists.of_member.iter().map(|at| of_list.get(*at).cloned().flatten()).collect();
    Ok((Arc::new(StringArray::from_iter_values(together)), places))
}

/// The place of each of `together` among `names`; none when they are the same.
fn places(names: &StringArray, together: &[&str]) -> Result<Option<Arc<[u32]>>> {
    if names.len() == together.len() && names.iter().flatten().eq(together.iter().copied()) {
        return Ok(None);
    }
    if u32::try_from(names.len()).is_err() {
        return Err(Error::resource_exhausted(format!("{} variables, at most 2^32 - 1 are joined", names.len())));
    }
    let own: HashMap<&str, u32> = names.iter().flatten().zip(0..).collect();
    Ok(Some(together.iter().map(|name| own.get(name).copied().unwrap_or(NONE)).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists(members: &[&[&str]]) -> Lists {
        let mut lists = Lists::default();
        for (at, names) in members.iter().enumerate() {
            lists.add(StringArray::from(names.to_vec()), format!("member {at}")).unwrap();
        }
        lists
    }

    #[test]
    fn names_are_joined_and_found() {
        let lists = lists(&[&["b", "a"], &["c", "a"], &["b", "a"]]);
        assert_eq!((lists.different.len(), lists.of_member.clone()), (2, vec![0, 1, 0]));
        let check = |join: Join, names: &[&str], expected: [Option<&[u32]>; 3]| {
            let (found, places) = joined(&lists, join).unwrap();
            assert_eq!(found.as_string::<i32>(), &StringArray::from(names.to_vec()));
            let places: Vec<_> = places.iter().map(|places| places.as_deref()).collect();
            assert_eq!(places, expected);
        };
        check(Join::Inner, &["a"], [Some(&[1]), Some(&[1]), Some(&[1])]);
        check(Join::Outer, &["a", "b", "c"], [Some(&[1, 0, NONE]), Some(&[1, NONE, 0]), Some(&[1, 0, NONE])]);
    }

    #[test]
    fn the_same_names_need_no_places() {
        let lists = lists(&[&["b", "a"], &["b", "a"]]);
        for join in [Join::Inner, Join::Outer] {
            let (names, places) = joined(&lists, join).unwrap();
            assert_eq!(names.as_string::<i32>(), &StringArray::from(vec!["b", "a"]));
            assert_eq!(places, [None, None]);
        }
    }

    #[test]
    fn a_name_that_stands_twice_is_refused_with_its_member() {
        let error = Lists::default().add(StringArray::from(vec!["a", "a"]), "artifact 'k'".into()).unwrap_err();
        assert_eq!(error.kind(), crate::error::Kind::InvalidArgument);
        assert!(error.to_string().contains("artifact 'k'") && error.to_string().contains("'a'"), "{error}");
    }
}
