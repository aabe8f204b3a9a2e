//! The joined matrices: X, layers, raw/X and obsm.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{DataType as ArrowType, Schema};
use arrow::record_batch::RecordBatch;

use super::axis::{JoinedAxis, NONE};
use super::member::Member;
use super::resolve::Resolver;
use super::table::VariablesTable;
use crate::engine::hierarchy::Resolved;
use crate::error::{Error, Result, ResultExt};
use crate::format::anndata::axes::{Axis, axes_of};
use crate::format::anndata::meaning::{Column, Meaning, Sparse};
use crate::model::request::{Join, Layout};
use crate::model::selection::AxisSelection;
use crate::read::column::ColumnReader;
use crate::read::dense::DenseAnswer;
use crate::read::sparse::turned::TurnedAnswer;
use crate::read::sparse::{Form, SparseAnswer};
use crate::read::to_arrow::arrow_type;
use crate::read::united::aligned::{AlignedAnswer, Gap, Rows};
use crate::read::united::concat::{ConcatAnswer, MemberAnswer};
use crate::read::united::filled::FilledAnswer;
use crate::read::united::promote;
use crate::read::wide::WideAnswer;
use crate::read::windowed::Windowed;
use crate::select::axis::NoTable;

/// What a member has at the node.
enum Own {
    Dense { column: Column, shape: Vec<u64>, value: ArrowType },
    Sparse { sparse: Sparse, value: ArrowType, wide: bool },
    Missing,
}

/// Where the joined columns come from.
enum Columns {
    /// Variables, by name.
    Named(Arc<JoinedAxis>),
    /// Columns of obsm, by position: their joined number, and each member's.
    Counted(u64, Vec<u64>),
}

impl Columns {
    fn len(&self) -> u64 {
        match self {
            Self::Named(axis) => axis.len(),
            Self::Counted(width, _) => *width,
        }
    }

    /// Columns of the member at `at`.
    fn own(&self, at: usize) -> u64 {
        let own = match self {
            Self::Named(axis) => axis.own.get(at),
            Self::Counted(_, own) => own.get(at),
        };
        own.copied().unwrap_or(0)
    }

    /// The member's place of each joined column; none where places are the same.
    fn places(&self, at: usize) -> Option<Arc<[u32]>> {
        match self {
            Self::Named(axis) => axis.places.get(at).cloned().flatten(),
            Self::Counted(width, _) if self.own(at) >= *width => None,
            Self::Counted(width, _) => {
                let own = self.own(at);
                let place = |column: u64| u32::try_from(column).ok().filter(|_| column < own).unwrap_or(NONE);
                Some((0..*width).map(place).collect())
            }
        }
    }
}

/// Selected columns of a member, and where they stand in the answer.
#[derive(Clone)]
struct Chosen {
    own: AxisSelection,
    places: Option<Arc<[u32]>>,
}

impl Resolver<'_> {
    /// The matrix at the node.
    pub(super) async fn matrix(&self) -> Result<Resolved> {
        self.no_table_fields()?;
        let own = self.own()?;
        let columns = self.columns_of(&own).await?;
        let tail = self.check(&own, &columns)?;
        let rank = 2 + tail.len();
        let selectors = self.selectors(rank)?;
        let of_axis = |axis: usize| selectors.get(axis).map_or(&[][..], Vec::as_slice);
        let rows = self.limited(self.rows(of_axis(0)).await?);
        let chosen = match &columns {
            Columns::Named(axis) => self.columns(1, of_axis(1), axis.len(), &VariablesTable(axis)).await?,
            Columns::Counted(width, _) => self.columns(1, of_axis(1), *width, &NoTable).await?,
        };
        let mut trailing = Vec::with_capacity(tail.len());
        for (axis, length) in (2..).zip(&tail) {
            trailing.push(self.columns(axis, of_axis(axis), *length, &NoTable).await?);
        }
        let before = [vec![self.members.rows(), columns.len()], tail].concat();
        let after: Vec<u64> =
            [rows.len(), chosen.len()].into_iter().chain(trailing.iter().map(AxisSelection::len)).collect();
        let united = Arc::new(self.united(&own, &columns, &after)?);
        let (order, parts) = self.split(&rows)?;
        let mut choices: HashMap<usize, Chosen> = HashMap::new();
        let mut answers = Vec::with_capacity(parts.len());
        for (at, rows) in &parts {
            let places = columns.places(*at);
            // Members with the same variables share their places, and so what is chosen of them.
            let shared = places.as_ref().map_or(0, |places| Arc::as_ptr(places).cast::<u32>() as usize);
            let choice = match &columns {
                Columns::Named(_) => {
                    choices.entry(shared).or_insert_with(|| choose(&chosen, places.as_deref())).clone()
                }
                Columns::Counted(..) => choose(&chosen, places.as_deref()),
            };
            let member = self.members.all().get(*at).ok_or_else(|| Error::internal("no such member"))?;
            let own = own.get(*at).ok_or_else(|| Error::internal("no such member"))?;
            let answer = self.aligned(member, own, rows.clone(), choice, &trailing, &united);
            let answer = answer.with_context(|| member.named())?;
            answers.push(MemberAnswer { name: member.artifact.key.clone(), answer });
        }
        let empty = RecordBatch::new_empty(Arc::new(Schema::new(vec![united.field.clone()])));
        let answer: Arc<dyn Windowed> = Arc::new(ConcatAnswer::new(answers, order.clone(), empty));
        let answer = self.spread(answer, &columns, &chosen)?;
        let answer = self.with_columns(answer, &order, &parts).await?;
        Ok(self.resolved(answer, before, after))
    }

    /// What each member has at the node.
    fn own(&self) -> Result<Vec<Own>> {
        let own: Vec<Own> = self.members.all().iter().map(|member| self.own_of(member)).collect::<Result<_>>()?;
        let without = own.iter().position(|own| matches!(own, Own::Missing));
        let Some(member) = without.and_then(|at| self.members.all().get(at)) else { return Ok(own) };
        // X and raw are those of all members or of none; elements of mappings are joined as columns are.
        let filled =
            self.join == Join::Outer && ["layers", "obsm"].contains(&self.node.split('/').next().unwrap_or(""));
        if filled && own.iter().any(|own| !matches!(own, Own::Missing)) {
            return Ok(own);
        }
        Err(Error::not_found(format!("no node '{}' in {}", self.node, member.named())))
    }

    fn own_of(&self, member: &Member) -> Result<Own> {
        let tree = member.hierarchy.tree();
        let refused = |what: &str| {
            Err(Error::unimplemented(format!("'{}' is {what} in {}, which is not joined", self.node, member.named())))
        };
        match member.meaning(self.node)? {
            None => Ok(Own::Missing),
            Some(Meaning::Column(column @ Column::Array { .. })) => {
                let shape = column.shape(tree)?;
                if shape.len() < 2 {
                    return refused("no matrix");
                }
                let value = arrow_type(&column.stored_type(tree)?).with_context(|| member.named())?;
                Ok(Own::Dense { column, shape, value })
            }
            Some(Meaning::Sparse(sparse)) => {
                let value = arrow_type(&tree.array(&sparse.data())?.data_type).with_context(|| member.named())?;
                let index = arrow_type(&tree.array(&sparse.indices())?.data_type).with_context(|| member.named())?;
                let wide = matches!(index, ArrowType::Int64 | ArrowType::UInt64 | ArrowType::UInt32);
                Ok(Own::Sparse { sparse, value, wide })
            }
            Some(Meaning::Column(_)) => refused("no plain array"),
            Some(Meaning::Frame(_)) => refused("a data frame"),
            Some(_) => refused("a group or an element without rows"),
        }
    }

    /// Which columns there are: variables by name, or as many as all members have, or any.
    async fn columns_of(&self, own: &[Own]) -> Result<Columns> {
        if let Some(axis @ (Axis::Variables | Axis::RawVariables)) = axes_of(self.node).get(1).copied() {
            return Ok(Columns::Named(self.members.axis(self.context, axis, self.join).await?));
        }
        let widths: Vec<u64> = own.iter().map(|own| own.shape().map_or(0, |shape| shape[1])).collect();
        let present = own.iter().zip(&widths).filter(|(own, _)| !matches!(own, Own::Missing)).map(|(_, width)| *width);
        let width = match self.join {
            Join::Inner => present.min(),
            Join::Outer => present.max(),
        };
        Ok(Columns::Counted(width.unwrap_or(0), widths))
    }

    /// Checks the members' shapes; the lengths beyond rows and columns, which all members share.
    fn check(&self, own: &[Own], columns: &Columns) -> Result<Vec<u64>> {
        let mut tail: Option<Vec<u64>> = None;
        for (at, (member, own)) in self.members.all().iter().zip(own).enumerate() {
            let Some(shape) = own.shape() else { continue };
            if shape[0] != member.obs.rows || shape[1] != columns.own(at) {
                return Err(Error::data_loss(format!(
                    "node '{}' of {} has shape {shape:?}, its axes {} and {} positions",
                    self.node,
                    member.named(),
                    member.obs.rows,
                    columns.own(at)
                )));
            }
            let own_tail = shape.get(2..).unwrap_or_default().to_vec();
            let same_width = own_tail.is_empty() || columns.places(at).is_none() && columns.own(at) == columns.len();
            if !same_width || tail.as_ref().is_some_and(|tail| *tail != own_tail) {
                return Err(Error::unimplemented(format!(
                    "'{}' has shape {shape:?} in {}: arrays of more than two dimensions are joined where all members' rows have the same shape",
                    self.node,
                    member.named()
                )));
            }
            tail = Some(own_tail);
        }
        let missing = own.iter().any(|own| matches!(own, Own::Missing));
        let tail = tail.unwrap_or_default();
        if missing && !tail.is_empty() {
            return Err(Error::unimplemented(format!(
                "'{}' has more than two dimensions, and not all members have it",
                self.node
            )));
        }
        Ok(tail)
    }

    /// The rows of the answer: entries or all values, of the type that all members' values have together.
    fn united(&self, own: &[Own], columns: &Columns, shape: &[u64]) -> Result<Rows> {
        let any_sparse = own.iter().any(|own| matches!(own, Own::Sparse { .. }));
        let entries = match (self.request.layout, any_sparse) {
            (Layout::Coo, _) => return Err(self.unserved_layout("read member by member")),
            (Layout::Sparse, false) => return Err(self.unserved_layout("a dense array")),
            (Layout::Wide, _) if shape.len() > 2 => return Err(self.unserved_layout("of more than two dimensions")),
            (Layout::Dense | Layout::Wide, _) => false,
            (Layout::Auto | Layout::Rows | Layout::Sparse, any_sparse) => any_sparse,
        };
        let value = self.value_type(own, columns, any_sparse)?;
        if entries {
            let wide = own.iter().any(|own| matches!(own, Own::Sparse { wide: true, .. }));
            let wide = wide || i32::try_from(shape[1]).is_err();
            let index = if wide { ArrowType::Int64 } else { ArrowType::Int32 };
            return Ok(Rows::entries(self.name(), &index, value, [shape[0], shape[1]]));
        }
        let gap = match any_sparse || value == ArrowType::Boolean || !is_float(&value) {
            true => Gap::Zero,
            false => Gap::Nan,
        };
        Rows::values(self.name(), value, shape.get(1..).unwrap_or_default(), gap)
    }

    /// The type of the values of all members, as numpy and anndata promote them.
    fn value_type(&self, own: &[Own], columns: &Columns, any_sparse: bool) -> Result<ArrowType> {
        let mut united: Option<ArrowType> = None;
        for (at, (member, own)) in self.members.all().iter().zip(own).enumerate() {
            let lacks = || columns.places(at).is_some_and(|places| places.contains(&NONE));
            let stored = match own {
                // anndata fills with matrices of its own type where it has no column to go by.
                Own::Missing => &ArrowType::Float64,
                _ if columns.own(at) == 0 && columns.len() > 0 => &ArrowType::Float64,
                Own::Dense { value, .. } | Own::Sparse { value, .. } => value,
            };
            let value = if !any_sparse && lacks() { promote::with_gaps(stored) } else { Some(stored.clone()) };
            let value = value.ok_or_else(|| {
                Error::unimplemented(format!(
                    "'{}' of {} is {stored}, which has no value for missing columns: use join inner",
                    self.node,
                    member.named()
                ))
            })?;
            let together = match &united {
                None => Some(value.clone()).filter(|value| promote::of_arrays(value, value).is_some()),
                Some(before) => promote::of_arrays(before, &value),
            };
            united = Some(together.ok_or_else(|| {
                Error::unimplemented(format!("'{}' of {} is {value}, which is not joined", self.node, member.named()))
            })?);
        }
        united.ok_or_else(|| Error::not_found(format!("no node '{}'", self.node)))
    }

    /// The rows of one member, with the columns of the answer.
    fn aligned(
        &self,
        member: &Member,
        own: &Own,
        rows: AxisSelection,
        chosen: Chosen,
        trailing: &[AxisSelection],
        united: &Arc<Rows>,
    ) -> Result<Arc<dyn Windowed>> {
        let (hierarchy, name) = (member.hierarchy.clone(), self.name());
        let count = rows.len();
        let answer: Arc<dyn Windowed> = match own {
            Own::Missing => return Ok(Arc::new(FilledAnswer::new(Arc::clone(united), count))),
            _ if chosen.own.is_empty() => return Ok(Arc::new(FilledAnswer::new(Arc::clone(united), count))),
            Own::Sparse { sparse, .. } => {
                let form = if united.are_entries() { Form::Lists } else { Form::Dense };
                if sparse.major == 0 {
                    Arc::new(SparseAnswer::new(hierarchy, sparse.clone(), name, rows, chosen.own, form)?)
                } else {
                    let (context, sparse) = (self.context, sparse.clone());
                    Arc::new(TurnedAnswer::new(context, hierarchy, sparse, name, chosen.own, rows, form)?)
                }
            }
            Own::Dense { column, .. } => {
                let tree = member.hierarchy.tree();
                let chunk_rows = tree.array(column.main_path())?.chunk_shape.first().copied().unwrap_or(1);
                let inner = std::iter::once(chosen.own).chain(trailing.iter().cloned()).collect();
                let reader = ColumnReader::new(tree, name, column.clone(), inner)?;
                Arc::new(DenseAnswer::new(hierarchy, reader, rows, chunk_rows))
            }
        };
        Ok(Arc::new(AlignedAnswer::new(answer, Arc::clone(united), chosen.places)))
    }

    /// `answer` with one column per chosen column, when that is asked for.
    fn spread(
        &self,
        answer: Arc<dyn Windowed>,
        columns: &Columns,
        chosen: &AxisSelection,
    ) -> Result<Arc<dyn Windowed>> {
        if self.request.layout != Layout::Wide {
            return Ok(answer);
        }
        let names: Vec<String> = match columns {
            Columns::Counted(..) => chosen.positions().iter().map(u64::to_string).collect(),
            Columns::Named(axis) => {
                let names = axis.names.as_string::<i32>();
                chosen.positions().iter().map(|position| names.value(*position as usize).to_owned()).collect()
            }
        };
        Ok(Arc::new(WideAnswer::new(answer, &names)?))
    }
}

impl Own {
    fn shape(&self) -> Option<&[u64]> {
        match self {
            Self::Dense { shape, .. } => Some(shape),
            Self::Sparse { sparse, .. } => Some(&sparse.shape),
            Self::Missing => None,
        }
    }
}

/// Which of a member's columns are `chosen`, and where they stand among these.
fn choose(chosen: &AxisSelection, places: Option<&[u32]>) -> Chosen {
    let Some(places) = places else { return Chosen { own: chosen.clone(), places: None } };
    let (mut own, mut stand) = (Vec::new(), Vec::new());
    for (at, column) in (0_u32..).zip(chosen.positions()) {
        let place = usize::try_from(column).ok().and_then(|column| places.get(column)).copied();
        if let Some(place) = place.filter(|place| *place != NONE) {
            own.push(u64::from(place));
            stand.push(at);
        }
    }
    let all = stand.len() as u64 == chosen.len();
    Chosen { own: AxisSelection::Indices(own.into()), places: (!all).then(|| stand.into()) }
}

fn is_float(value: &ArrowType) -> bool {
    matches!(value, ArrowType::Float16 | ArrowType::Float32 | ArrowType::Float64)
}
