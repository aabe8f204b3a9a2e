//! The columns of the joined observations: which there are, of which type, and where each member has them.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::datatypes::{DataType as ArrowType, Field};
use futures::stream::{self, StreamExt, TryStreamExt};

use super::UID_COLUMN;
use super::member::{Member, Members};
use crate::error::{Error, Result, ResultExt};
use crate::model::index_join::intersection;
use crate::model::request::Join;
use crate::model::selection::AxisSelection;
use crate::read::array::Caching;
use crate::read::context::ReadContext;
use crate::read::frame::{FrameAnswer, column_reader};
use crate::read::united::categories::{Categories, UnitedCategories, unite};
use crate::read::united::columns::{Source, UnitedColumn};
use crate::read::united::promote;
use crate::read::windowed::{Window, Windowed};

/// Members whose categories are read at the same time.
const READING: usize = 8;

/// Most categories of all members of one column together.
const MAX_CATEGORIES: usize = 16 * 1024 * 1024;

/// United categories of more than this are not kept for the next request.
const KEPT_CATEGORIES: usize = 65_536;

/// Type of the codes of categoricals whose categories are not united (filters compare values).
fn any_categories(value: &ArrowType) -> ArrowType {
    ArrowType::Dictionary(Box::new(ArrowType::Int32), Box::new(value.clone()))
}

/// Names of all columns in order, the index last.
///
/// # Errors
/// `InvalidArgument` when the index is called like the column of uids.
pub(super) fn names(members: &Members, join: Join) -> Result<Vec<String>> {
    let own = |member: &Member| -> Vec<String> {
        let columns = member.obs.columns.iter().map(|(name, _)| name.clone());
        columns.filter(|name| Some(name) != member.obs.index.as_ref()).collect()
    };
    let mut lists = members.all().iter().map(own);
    let first = lists.next().unwrap_or_default();
    let mut names = lists.fold(first, |mut all, list| match join {
        Join::Inner => intersection(all, &list),
        Join::Outer => {
            let known: std::collections::HashSet<String> = all.iter().cloned().collect();
            all.extend(list.into_iter().filter(|name| !known.contains(name)));
            all
        }
    });
    // A column of that name gives way, at its place.
    if !names.iter().any(|name| name == UID_COLUMN) {
        names.push(UID_COLUMN.to_owned());
    }
    let index = index(members);
    if names.contains(&index) {
        return Err(Error::invalid(format!("'{index}' is the index of the observations and a column of theirs")));
    }
    names.push(index);
    Ok(names)
}

/// Name of the index: that of all members, or anndata's name of an index without one.
pub(super) fn index(members: &Members) -> String {
    let mut names = members.all().iter().map(|member| member.obs.index.as_deref().unwrap_or("_index"));
    let first = names.next().unwrap_or("_index");
    if names.all(|name| name == first) { first.to_owned() } else { "_index".to_owned() }
}

/// How one column is united.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) name: String,
    /// The name of the column in each member; none where it has none.
    own: Vec<Option<String>>,
    kind: PlanKind,
    nullable: bool,
    /// Whether any member's categories have an order.
    ordered: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum PlanKind {
    /// Uids of the members.
    Uids,
    /// Values of one type.
    Plain(ArrowType),
    /// Categoricals of all members that have it, with values of one type.
    Categorical(ArrowType),
}

impl Plan {
    /// How the column `name` of the joined observations is united.
    ///
    /// # Errors
    /// `Unimplemented` naming types that cannot be united, and those of one member's column.
    pub(super) fn new(members: &Members, name: &str) -> Result<Self> {
        let own = members.all().iter().map(|member| own_name(members, member, name)).collect::<Vec<_>>();
        if name == UID_COLUMN {
            let none = vec![None; own.len()];
            return Ok(Self { name: name.into(), own: none, kind: PlanKind::Uids, nullable: false, ordered: false });
        }
        let mut united: Option<(ArrowType, &Member)> = None;
        let (mut nullable, mut ordered, mut categorical) = (own.iter().any(Option::is_none), false, true);
        for (member, own) in members.all().iter().zip(&own) {
            let Some(own) = own else { continue };
            let field = field_of(member, own).with_context(|| member.named())?;
            nullable |= field.is_nullable();
            ordered |= field.dict_is_ordered().unwrap_or(false);
            categorical &= matches!(field.data_type(), ArrowType::Dictionary(..));
            let before = united.as_ref().map_or(field.data_type(), |(before, _)| before);
            let Some(together) = promote::of_columns(before, field.data_type()) else {
                let first = united.as_ref().map_or(member, |(_, first)| *first);
                return Err(Error::unimplemented(format!(
                    "column '{name}' is {before} in '{}' and {} in '{}': they cannot be united",
                    first.artifact.key,
                    field.data_type(),
                    member.artifact.key
                )));
            };
            united = Some((together, united.map_or(member, |(_, first)| first)));
        }
        let (value, _) = united.ok_or_else(|| Error::not_found(format!("no column '{name}'")))?;
        let kind = if categorical { PlanKind::Categorical(value) } else { PlanKind::Plain(value) };
        Ok(Self { name: name.to_owned(), own, kind, nullable, ordered })
    }

    /// Name of the column in the member at `at`.
    pub(super) fn own(&self, at: usize) -> Option<&str> {
        self.own.get(at)?.as_deref()
    }

    /// The column without looking at categories, and where the member at `at` has it, whose own answer
    /// has the columns `given`.
    pub(super) fn unread(&self, members: &Members) -> UnitedColumn {
        let (data_type, ordered) = match &self.kind {
            PlanKind::Uids => return uids(members),
            PlanKind::Plain(value) => (value.clone(), false),
            PlanKind::Categorical(value) => (any_categories(value), self.ordered),
        };
        let field = Field::new(&self.name, data_type, self.nullable).with_dict_is_ordered(ordered);
        UnitedColumn { field, categories: None }
    }

    /// The column with its categories, which are read from all members that have it.
    ///
    /// # Errors
    /// The errors of reading and of uniting them.
    pub(super) async fn read(&self, context: &ReadContext, members: &Members) -> Result<Ready> {
        let plain = |value: &ArrowType| UnitedColumn {
            field: Field::new(&self.name, value.clone(), self.nullable),
            categories: None,
        };
        let PlanKind::Categorical(value) = &self.kind else {
            return Ok(Ready { column: self.unread(members), categories: None });
        };
        let united = self.categories(context, members, value).await;
        Ok(match united.with_context(|| format!("column '{}'", self.name))? {
            None => Ready { column: plain(value), categories: None },
            Some(united) => {
                let values = Arc::clone(&united.values);
                let column = UnitedColumn::categorical(&self.name, values, united.ordered, true);
                Ready { column, categories: Some(united) }
            }
        })
    }

    /// The united categories, from the cache or anew.
    async fn categories(
        &self,
        context: &ReadContext,
        members: &Members,
        value: &ArrowType,
    ) -> Result<Option<Arc<UnitedCategories>>> {
        let mut known = members.categories.lock().await;
        if let Some(united) = known.get(&self.name) {
            return Ok(united.clone());
        }
        let reads =
            members.all().iter().zip(&self.own).filter_map(|(member, own)| own.as_ref().map(|own| (member, own)));
        let reads: Vec<_> = reads.map(|(member, own)| categories_of(context, member, own, value)).collect();
        let lists: Vec<Categories> = stream::iter(reads).buffered(READING).try_collect().await?;
        let count = lists.iter().fold(0_usize, |total, list| total.saturating_add(list.values.len()));
        if count > MAX_CATEGORIES {
            return Err(Error::resource_exhausted(format!("{count} categories, at most {MAX_CATEGORIES} are united")));
        }
        let united = context.decode(move || unite(&lists)).await?.map(Arc::new);
        if count <= KEPT_CATEGORIES {
            known.put(self.name.clone(), united.clone());
        }
        Ok(united)
    }

    /// Where the member at `at` has the column, when its own answer has the columns `given`.
    pub(super) fn source(&self, at: usize, given: &[String], categories: Option<&UnitedCategories>) -> Result<Source> {
        if self.kind == PlanKind::Uids {
            let code = i32::try_from(at).map_err(|_| Error::internal("more members than codes"))?;
            return Ok(Source::Constant(code));
        }
        let Some(own) = self.own(at) else { return Ok(Source::Missing) };
        let place = given.iter().position(|name| name == own);
        let place = place.ok_or_else(|| Error::internal("a column of a member that was not asked for"))?;
        let Some(categories) = categories else { return Ok(Source::Column(place)) };
        // Places of categories are those of the members that have the column.
        let before = self.own.iter().take(at).flatten().count();
        let places = categories.places.get(before).ok_or_else(|| Error::internal("no categories of a member"))?;
        Ok(Source::Categorical(place, Arc::clone(places)))
    }
}

/// A column whose type is known, with its categories.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) column: UnitedColumn,
    pub(super) categories: Option<Arc<UnitedCategories>>,
}

/// The column of uids.
fn uids(members: &Members) -> UnitedColumn {
    let uids = members.all().iter().map(|member| member.artifact.uid.as_str());
    let uids: ArrayRef = Arc::new(StringArray::from_iter_values(uids));
    UnitedColumn::categorical(UID_COLUMN, uids, false, false)
}

/// The name under which `member` has the column `name`: the index is each member's own.
fn own_name(members: &Members, member: &Member, name: &str) -> Option<String> {
    if name == index(members) {
        return member.obs.index.clone();
    }
    let has = member.obs.columns.iter().any(|(own, _)| own == name) && member.obs.index.as_deref() != Some(name);
    has.then(|| name.to_owned())
}

fn field_of(member: &Member, name: &str) -> Result<Field> {
    let (_, column) = member.obs.column(name)?;
    Ok(column_reader(member.hierarchy.tree(), name, column.clone())?.field)
}

/// The categories of one member's column, as values of type `value`.
async fn categories_of(context: &ReadContext, member: &Member, name: &str, value: &ArrowType) -> Result<Categories> {
    let none = AxisSelection::all(0);
    let answer = FrameAnswer::new(member.hierarchy.clone(), &member.obs, &[name.to_owned()], none, Caching::Keep)?;
    // An answer without rows still has all categories.
    let batch = answer.read(context, Window { rows: 0..0, bytes: 0, spans: Vec::new() }).await;
    let batch = batch.with_context(|| member.named())?;
    let categories = batch.column(0).as_any_dictionary_opt();
    let categories = categories.ok_or_else(|| Error::internal("a categorical without categories"))?;
    let values = arrow::compute::cast(categories.values(), value)
        .map_err(|error| Error::unimplemented(format!("categories as {value}: {error}")))?;
    let ordered = answer.schema().field(0).dict_is_ordered().unwrap_or(false);
    Ok(Categories { values, ordered, has_rows: member.obs.rows > 0 })
}
