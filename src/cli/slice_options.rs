//! The options that say a slice, shared by `get` and `explain`.

use clap::{Args, ValueEnum};

use super::source::Named;
use crate::error::{Error, Result};
use crate::model::request::{Join, Layout, Partitioning, Selector, SliceRequest};

/// A slice of one node.
#[derive(Clone, Debug, Args)]
pub(super) struct SliceOptions {
    #[command(flatten)]
    named: Named,
    /// Path of the node: obs, X, layers/counts, /group/dataset. Default: the artifact's own.
    #[arg(value_name = "NODE")]
    node: Option<String>,
    /// SQL condition over obs.
    #[arg(long, value_name = "SQL")]
    obs_where: Option<String>,
    /// SQL condition over var.
    #[arg(long, value_name = "SQL")]
    var_where: Option<String>,
    /// Names of obs, in this order.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    obs_names: Vec<String>,
    /// Names of var, in this order.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    var_names: Vec<String>,
    /// SQL condition over the columns of a table.
    #[arg(long = "where", value_name = "SQL")]
    filter: Option<String>,
    /// Rows as in Python: 0:10, -5:, ::2, 7 or 3,1,-1.
    #[arg(long, value_name = "SLICE", allow_hyphen_values = true)]
    rows: Option<String>,
    /// All axes in the NumPy spelling: "0:100, ::2, ...".
    #[arg(
        long,
        value_name = "SLICES",
        allow_hyphen_values = true,
        conflicts_with_all = ["rows", "obs_where", "var_where", "obs_names", "var_names"]
    )]
    slice: Option<String>,
    /// Columns of a table, in this order.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    columns: Option<Vec<String>>,
    /// At most so many rows.
    #[arg(long)]
    limit: Option<u64>,
    /// Rows skipped before the first.
    #[arg(long)]
    offset: Option<u64>,
    /// Form of the answer.
    #[arg(long, value_enum, default_value_t = LayoutName::Auto)]
    layout: LayoutName,
    /// Add the columns of hive partitions.
    #[arg(long)]
    hive: bool,
    /// Columns of obs joined to each row of an array.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    with_obs: Vec<String>,
    /// Join the obs index to each row of an array.
    #[arg(long)]
    with_index: bool,
    /// How a collection of AnnData becomes one: the variables and columns of all members, or of any.
    #[arg(long, value_enum)]
    join: Option<JoinName>,
    /// Drop axes selected by a single integer.
    #[arg(long)]
    squeeze: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LayoutName {
    Auto,
    Rows,
    Wide,
    Sparse,
    Dense,
    Coo,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum JoinName {
    Inner,
    Outer,
}

impl SliceOptions {
    /// The request that the options say.
    ///
    /// # Errors
    /// `InvalidArgument` for rows that are no slice.
    pub(super) fn request(&self) -> Result<SliceRequest> {
        let obs = selectors(&self.obs_where, &self.obs_names, self.rows.as_deref())?;
        let var = selectors(&self.var_where, &self.var_names, None)?;
        // Rows alone are those of any array; with other selectors they are AnnData's observations.
        let by_position = self.obs_where.is_none() && self.obs_names.is_empty() && var.is_empty();
        let (obs, axes) = match by_position {
            true if !obs.is_empty() => (Vec::new(), vec![obs]),
            _ => (obs, Vec::new()),
        };
        Ok(SliceRequest {
            source: self.named.source(),
            node: self.node.clone().unwrap_or_default(),
            obs,
            var,
            axes,
            numpy_slice: self.slice.clone(),
            columns: self.columns.clone(),
            filter: self.filter.clone(),
            limit: self.limit,
            offset: self.offset,
            partitioning: if self.hive { Partitioning::Hive } else { Partitioning::None },
            with_obs: self.with_obs.clone(),
            with_index: self.with_index,
            layout: match self.layout {
                LayoutName::Auto => Layout::Auto,
                LayoutName::Rows => Layout::Rows,
                LayoutName::Wide => Layout::Wide,
                LayoutName::Sparse => Layout::Sparse,
                LayoutName::Dense => Layout::Dense,
                LayoutName::Coo => Layout::Coo,
            },
            squeeze: self.squeeze,
            join: self.join.map(|join| match join {
                JoinName::Inner => Join::Inner,
                JoinName::Outer => Join::Outer,
            }),
            ..SliceRequest::default()
        })
    }
}

/// The selectors of one axis: the condition, then the names, then the rows of what is left.
fn selectors(condition: &Option<String>, names: &[String], rows: Option<&str>) -> Result<Vec<Selector>> {
    let mut list = Vec::new();
    list.extend(condition.clone().map(Selector::Where));
    if !names.is_empty() {
        list.push(Selector::Names(names.to_vec()));
    }
    if let Some(rows) = rows {
        list.push(rows_selector(rows)?);
    }
    Ok(list)
}

/// `start:stop:step`, one position, or positions with commas.
pub(super) fn rows_selector(text: &str) -> Result<Selector> {
    let wrong = || Error::invalid(format!("--rows '{text}': expected start:stop:step, a position or positions 3,1,-1"));
    let number = |part: &str| part.trim().parse::<i64>().map_err(|_| wrong());
    if text.contains(',') {
        return text.split(',').map(number).collect::<Result<_>>().map(Selector::Index);
    }
    if !text.contains(':') {
        return number(text).map(Selector::Integer);
    }
    let bound = |part: Option<&str>| part.filter(|part| !part.trim().is_empty()).map(number).transpose();
    let mut parts = text.split(':');
    let (start, stop, step) = (bound(parts.next())?, bound(parts.next())?, bound(parts.next())?);
    if parts.next().is_some() || step == Some(0) {
        return Err(wrong());
    }
    Ok(Selector::Slice { start, stop, step })
}
