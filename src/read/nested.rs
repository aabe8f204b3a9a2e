//! Answers for mappings (`uns`): one row, one struct column, nested as the members are stored.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListArray, NullArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType as ArrowType, Field, Fields, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::array::{ArrayPlan, Caching, plan_array};
use super::awkward::AwkwardAnswer;
use super::column::ColumnReader;
use super::context::ReadContext;
use super::frame::{FrameAnswer, column_reader};
use super::sparse::{Form, SparseAnswer};
use super::to_arrow::{arrow_error, struct_array};
use super::windowed::{Window, Windowed};
use crate::error::{Error, Result};
use crate::format::Hierarchy;
use crate::format::anndata::meaning::{Column, Meaning, meaning};
use crate::model::selection::AxisSelection;
use crate::model::tree::{Tree, join};

/// Deepest nesting of groups that is answered.
const MAX_DEPTH: usize = 32;

/// The members of a group, as one row.
#[derive(Debug)]
pub struct NestedAnswer {
    hierarchy: Hierarchy,
    group: Member,
    schema: SchemaRef,
}

/// One member of a mapping.
#[derive(Debug)]
struct Member {
    field: Field,
    bytes: u64,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// No value.
    Null,
    /// One value.
    Scalar(Box<ColumnReader>),
    /// As many values as the array has rows.
    List(Box<ColumnReader>, u64),
    /// The one column of a sparse matrix or an awkward array: a list of its rows.
    Rows(Arc<dyn Windowed>),
    /// A data frame: a list of its rows, each a struct.
    Table(Arc<dyn Windowed>),
    /// A mapping.
    Group(Vec<Member>),
}

impl NestedAnswer {
    /// All members of the group at `path`, as a column `name`.
    ///
    /// # Errors
    /// `Unimplemented` naming a member that is not served, `ResourceExhausted` for too deep nesting.
    pub fn new(hierarchy: Hierarchy, path: &str, name: &str) -> Result<Self> {
        let group = group(&hierarchy, path, name, 0)?;
        let schema = Arc::new(Schema::new(vec![group.field.clone()]));
        Ok(Self { hierarchy, group, schema })
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        if let Kind::Group(members) = &self.group.kind { members.len() } else { 0 }
    }

    /// Whether the group has no members.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn group(hierarchy: &Hierarchy, path: &str, name: &str, depth: usize) -> Result<Member> {
    let members = members(hierarchy, path, depth)?;
    let fields: Fields = members.iter().map(|member| member.field.clone()).collect();
    let bytes = members.iter().fold(0, |total: u64, member| total.saturating_add(member.bytes));
    Ok(Member { field: Field::new(name, ArrowType::Struct(fields), false), bytes, kind: Kind::Group(members) })
}

fn members(hierarchy: &Hierarchy, path: &str, depth: usize) -> Result<Vec<Member>> {
    if depth > MAX_DEPTH {
        return Err(Error::resource_exhausted(format!("group '{path}' is nested deeper than {MAX_DEPTH} levels")));
    }
    let children = hierarchy.tree().children(path);
    children.into_iter().map(|name| member(hierarchy, &join(path, name), name, depth)).collect()
}

fn member(hierarchy: &Hierarchy, path: &str, name: &str, depth: usize) -> Result<Member> {
    let tree = hierarchy.tree();
    match meaning(tree, path)? {
        Meaning::Column(column) => column_member(tree, name, column),
        Meaning::Group => group(hierarchy, path, name, depth + 1),
        Meaning::Sparse(sparse) => {
            let [rows, columns] = sparse.shape;
            let (major, minor) = if sparse.major == 0 { (rows, columns) } else { (columns, rows) };
            let (major, minor) = (AxisSelection::all(major), AxisSelection::all(minor));
            let bytes = tree.array(&sparse.data())?.element_count()?.saturating_mul(16);
            let answer = SparseAnswer::new(hierarchy.clone(), sparse, name, major, minor, Form::Lists)?;
            let schema = answer.schema();
            Ok(rows_member(name, schema.field(0).clone(), bytes, Kind::Rows(Arc::new(answer))))
        }
        Meaning::Awkward(awkward) => {
            let rows = AxisSelection::all(awkward.length);
            let answer = AwkwardAnswer::new(hierarchy.clone(), awkward, name, rows)?;
            let bytes = answer.estimated_row_bytes().saturating_mul(answer.rows());
            Ok(rows_member(name, answer.schema().field(0).clone(), bytes, Kind::Rows(Arc::new(answer))))
        }
        Meaning::Frame(frame) => {
            let names: Vec<String> = frame.columns.iter().map(|(name, _)| name.clone()).collect();
            let rows = AxisSelection::all(frame.rows);
            let answer = FrameAnswer::new(hierarchy.clone(), &frame, &names, rows, Caching::Bypass)?;
            let bytes = answer.estimated_row_bytes().saturating_mul(frame.rows);
            let item = Field::new("item", ArrowType::Struct(answer.schema().fields().clone()), false);
            Ok(rows_member(name, item, bytes, Kind::Table(Arc::new(answer))))
        }
    }
}

fn rows_member(name: &str, item: Field, bytes: u64, kind: Kind) -> Member {
    let metadata = item.metadata().clone();
    let item = Field::new("item", item.data_type().clone(), item.is_nullable());
    let field = Field::new(name, ArrowType::List(Arc::new(item)), false).with_metadata(metadata);
    Member { field, bytes, kind }
}

fn column_member(tree: &Tree, name: &str, column: Column) -> Result<Member> {
    let shape = column.shape(tree)?;
    let array = tree.array(column.main_path())?;
    if array.is_null || tree.text_attribute(column.main_path(), "encoding-type") == Some("null") {
        return Ok(Member { field: Field::new(name, ArrowType::Null, true), bytes: 1, kind: Kind::Null });
    }
    let reader = Box::new(column_reader(tree, name, column)?);
    let Some(rows) = shape.first().copied() else {
        let bytes = reader.row_bytes;
        return Ok(Member { field: reader.field.clone(), bytes, kind: Kind::Scalar(reader) });
    };
    let bytes = rows.saturating_mul(reader.row_bytes);
    let item = Arc::new(reader.field.clone().with_name("item"));
    Ok(Member { field: Field::new(name, ArrowType::List(item), false), bytes, kind: Kind::List(reader, rows) })
}

/// The one value of a member: an array of length 1.
fn value<'a>(
    context: &'a ReadContext,
    hierarchy: &'a Hierarchy,
    member: &'a Member,
) -> BoxFuture<'a, Result<ArrayRef>> {
    async move {
        match &member.kind {
            Kind::Null => Ok(Arc::new(NullArray::new(1)) as ArrayRef),
            Kind::Scalar(reader) => reader.read(context, hierarchy, &AxisSelection::all(1), Caching::Keep).await,
            Kind::List(reader, rows) => {
                let items = reader.read(context, hierarchy, &AxisSelection::all(*rows), Caching::Keep).await?;
                list_of(&member.field, items)
            }
            Kind::Rows(answer) | Kind::Table(answer) => {
                let mut parts = Vec::new();
                for block in answer.blocks(0..answer.rows()) {
                    for window in answer.windows(context, block).await? {
                        parts.push(answer.read(context, window).await?);
                    }
                }
                let schema = answer.schema();
                let batch = arrow::compute::concat_batches(&schema, &parts).map_err(arrow_error)?;
                let items: ArrayRef = match &member.kind {
                    Kind::Table(_) => Arc::new(StructArray::from(batch)),
                    _ => Arc::clone(batch.column(0)),
                };
                list_of(&member.field, items)
            }
            Kind::Group(members) => {
                let mut arrays = Vec::with_capacity(members.len());
                for member in members {
                    arrays.push(value(context, hierarchy, member).await?);
                }
                struct_array(members.iter().map(|member| member.field.clone()).collect(), arrays, 1)
            }
        }
    }
    .boxed()
}

/// One list that holds all `items`.
fn list_of(field: &Field, items: ArrayRef) -> Result<ArrayRef> {
    let ArrowType::List(item) = field.data_type() else {
        return Err(Error::internal("a list member has another type"));
    };
    let length = i32::try_from(items.len()).map_err(|_| Error::resource_exhausted("a list of more than 2^31 items"))?;
    let list = ListArray::try_new(Arc::clone(item), OffsetBuffer::new(vec![0, length].into()), items, None);
    Ok(Arc::new(list.map_err(arrow_error)?))
}

#[async_trait]
impl Windowed for NestedAnswer {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn rows(&self) -> u64 {
        1
    }

    fn bytes(&self) -> Option<u64> {
        None
    }

    fn blocks(&self, rows: Range<u64>) -> Vec<Range<u64>> {
        if rows.is_empty() { Vec::new() } else { vec![rows] }
    }

    async fn windows(&self, context: &ReadContext, block: Range<u64>) -> Result<Vec<Window>> {
        if self.group.bytes > context.window_bytes {
            return Err(Error::resource_exhausted(format!(
                "the group holds about {} bytes, more than the {} of one window: ask for its members one by one",
                self.group.bytes, context.window_bytes
            )));
        }
        Ok(vec![Window { rows: block, bytes: self.group.bytes, spans: Vec::new() }])
    }

    async fn read(&self, context: &ReadContext, _window: Window) -> Result<RecordBatch> {
        let column = value(context, &self.hierarchy, &self.group).await?;
        RecordBatch::try_new(self.schema(), vec![column]).map_err(arrow_error)
    }

    async fn plan(&self, context: &ReadContext, _window: Window) -> Result<Vec<(String, ArrayPlan)>> {
        let mut plans = Vec::new();
        let mut pending: Vec<&Member> = vec![&self.group];
        while let Some(member) = pending.pop() {
            match &member.kind {
                Kind::Null => {}
                Kind::Group(members) => pending.extend(members),
                Kind::Rows(answer) | Kind::Table(answer) => {
                    for block in answer.blocks(0..answer.rows()) {
                        for window in answer.windows(context, block).await? {
                            plans.extend(answer.plan(context, window).await?);
                        }
                    }
                }
                Kind::Scalar(reader) | Kind::List(reader, _) => {
                    for path in reader.paths() {
                        let shape = &self.hierarchy.tree().array(path)?.shape;
                        let all: Vec<_> = shape.iter().map(|length| AxisSelection::all(*length)).collect();
                        plans.push((path.to_owned(), plan_array(context, &self.hierarchy, path, &all).await?));
                    }
                }
            }
        }
        Ok(plans)
    }
}
