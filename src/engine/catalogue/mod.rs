//! What is registered, as Arrow tables: one row per artifact, collection, label or member.
//!
//! Between a request (or, later, SQL) and the registries: pages are read one after the other as the stream is
//! asked, each becomes a batch, and of it the rows that meet the condition are passed on. Nothing is held but
//! one page. Rows that are added or removed meanwhile may be there or not; all others are there once.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use futures::StreamExt;
use futures::stream::{self, BoxStream};

use super::slice::{Answer, Slice};
use super::{BatchStream, Engine};
use crate::error::{Error, Result, ResultExt};
use crate::model::request::{Layout, RegistryTable, SliceRequest};
use crate::registry::Registry;
use crate::select::predicate::Predicate;

mod pages;
mod rows;
mod schema;
#[cfg(test)]
mod tests;

/// A table of the registry, and which part of it is wanted.
#[derive(Clone, Debug)]
pub(super) struct Catalogue {
    registry: Arc<Registry>,
    table: RegistryTable,
    /// Places of the columns among those of the table.
    columns: Vec<usize>,
    schema: SchemaRef,
    predicate: Option<Predicate>,
    offset: u64,
    limit: u64,
}

impl Catalogue {
    /// The part of a table that has `columns` (all when none are named), meets `condition`, and of what does
    /// `limit` rows from `offset` on.
    ///
    /// # Errors
    /// `NotFound` for an unknown column, `InvalidArgument` for one named twice and for a malformed condition.
    pub(super) fn new(
        registry: Arc<Registry>,
        table: RegistryTable,
        columns: Option<&[String]>,
        condition: Option<&str>,
    ) -> Result<Self> {
        let full = schema::of(table);
        let columns = match columns {
            None => (0..full.fields().len()).collect(),
            Some(names) => places(&full, names)?,
        };
        let schema =
            full.project(&columns).map_err(|error| Error::internal("columns of the registry").with_source(error))?;
        let predicate = condition.map(|text| Predicate::parse(text, Arc::clone(&full))).transpose()?;
        Ok(Self { registry, table, columns, schema: Arc::new(schema), predicate, offset: 0, limit: u64::MAX })
    }

    /// The rows, in the order of the registry.
    pub(super) fn stream(&self) -> BatchStream {
        let state = (self.clone(), pages::all(&self.registry, self.table));
        stream::unfold(Some(state), |state| async {
            let (mut catalogue, mut pages): (Self, BoxStream<'static, Result<RecordBatch>>) = state?;
            loop {
                if catalogue.limit == 0 {
                    return None;
                }
                match pages.next().await?.and_then(|batch| catalogue.finish(&batch)) {
                    Ok(batch) if batch.num_rows() == 0 => {}
                    Ok(batch) => return Some((Ok(batch), Some((catalogue, pages)))),
                    Err(error) => return Some((Err(error), None)),
                }
            }
        })
        .boxed()
    }

    /// The rows of a page that are wanted, with the columns that are.
    fn finish(&mut self, page: &RecordBatch) -> Result<RecordBatch> {
        let unexpected = |error| Error::internal("rows of the registry").with_source(error);
        let met = match &self.predicate {
            Some(predicate) => filter_record_batch(page, &predicate.evaluate(page)?).map_err(unexpected)?,
            None => page.clone(),
        };
        let rows = met.num_rows();
        let skipped = usize::try_from(self.offset).unwrap_or(usize::MAX).min(rows);
        let taken = usize::try_from(self.limit).unwrap_or(usize::MAX).min(rows - skipped);
        self.offset -= skipped as u64;
        self.limit -= taken as u64;
        let met = met.slice(skipped, taken);
        let columns = self.columns.iter().filter_map(|place| met.columns().get(*place).map(Arc::clone)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(taken));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options).map_err(unexpected)
    }
}

impl Engine {
    /// The slice of a table of the registry.
    pub(super) fn prepare_catalogue(&self, request: &SliceRequest, table: RegistryTable) -> Result<Slice> {
        let name = table.name();
        refuse_other(request).with_context(|| format!("registry '{name}'"))?;
        let registry = Arc::clone(&self.registry);
        let columns = request.columns.as_deref();
        let mut catalogue = Catalogue::new(registry, table, columns, request.filter.as_deref())
            .with_context(|| format!("registry '{name}'"))?;
        catalogue.offset = request.offset.unwrap_or(0);
        catalogue.limit = request.limit.unwrap_or(u64::MAX);
        let metadata = [("sliceflight.registry".to_owned(), name.to_owned())].into();
        let width = catalogue.schema.fields().len() as u64;
        let known = schema::of(table).fields().len() as u64;
        Ok(Slice {
            schema: Arc::new(catalogue.schema.as_ref().clone().with_metadata(metadata)),
            sources: Vec::new(),
            collection: None,
            node: name.to_owned(),
            shape_before: vec![None, Some(known)],
            shape_after: vec![None, Some(width)],
            context: self.context.clone(),
            answer: Answer::Registry(Arc::new(catalogue)),
            columns: None,
            contents: None,
        })
    }
}

/// Refuses what a table of the registry does not have.
fn refuse_other(request: &SliceRequest) -> Result<()> {
    let selects = !(request.obs.is_empty() && request.var.is_empty() && request.axes.is_empty());
    let given = [
        (!request.node.is_empty(), "node"),
        (selects || request.numpy_slice.is_some(), "obs, var, axes and slice"),
        (request.layout != Layout::Auto, "layout"),
        (request.squeeze, "squeeze"),
        (request.with_index || !request.with_obs.is_empty(), "with_index and with_obs"),
        (request.join.is_some(), "join"),
        (request.partitioning != crate::model::request::Partitioning::None, "partitioning"),
    ];
    if let Some((_, name)) = given.into_iter().find(|(given, _)| *given) {
        return Err(Error::invalid(format!(
            "{name} do not go with the registry: use columns, where, limit and offset"
        )));
    }
    if request.substrait_filter.is_some() {
        return Err(Error::unimplemented("substrait filters (field 'filter') are not supported, use 'where'"));
    }
    Ok(())
}

fn places(full: &arrow::datatypes::Schema, names: &[String]) -> Result<Vec<usize>> {
    let mut seen = HashSet::new();
    let place = |name: &String| {
        if !seen.insert(name.clone()) {
            return Err(Error::invalid(format!("column {name:?} is asked for twice")));
        }
        full.index_of(name).map_err(|_| {
            let there: Vec<&str> = full.fields().iter().map(|field| field.name().as_str()).collect();
            Error::not_found(format!("column {name:?} not found; columns: {}", there.join(", ")))
        })
    };
    names.iter().map(place).collect()
}
