//! SQL text to a DataFusion expression over one schema, with everything refused that is not a plain
//! row-by-row expression.
//!
//! Bounds the text and its nesting before the recursive parser sees it. Column names keep their case;
//! names with spaces, dots or of keywords are written in double quotes. Does not evaluate.

use std::ops::ControlFlow;
use std::sync::LazyLock;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DataFusionError, SchemaError};
use datafusion::execution::context::SessionState;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::{Expr, Volatility};
use datafusion::prelude::SessionConfig;
use datafusion::sql::sqlparser::ast::{Expr as SqlExpr, visit_expressions};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::error::{Error, Result};

/// Longest text of an expression, in bytes.
pub(super) const MAX_TEXT_BYTES: usize = 64 * 1024;

/// Most operators on the way from the outermost expression to the innermost: what bounds the depth of
/// the tree that is built, walked and dropped recursively (twice as many fit on a 2 MiB stack in a debug
/// build). Elements of a list count one by one.
pub(super) const MAX_OPERATORS: usize = 256;

/// Longest part of the text that an error repeats, in characters.
const MAX_TEXT_IN_ERROR: usize = 200;

/// Most columns that an error lists.
const MAX_COLUMNS_IN_ERROR: usize = 50;

/// Functions and operators an expression may use; built once, never changed.
static FUNCTIONS: LazyLock<SessionState> = LazyLock::new(|| {
    let mut options = ConfigOptions::new();
    options.sql_parser.enable_ident_normalization = false;
    let config = SessionConfig::from(options).with_information_schema(false);
    SessionStateBuilder::new().with_config(config).with_default_features().build()
});

/// The expression that `text` spells over the columns of `schema`; types are not yet matched.
///
/// # Errors
/// `InvalidArgument` when the text does not parse or names something that is not a plain expression,
/// `NotFound` for an unknown column, `ResourceExhausted` beyond the bounds.
pub(super) fn parse(text: &str, schema: &DFSchema) -> Result<Expr> {
    check_bounds(text)?;
    let dialect = FUNCTIONS.config().options().sql_parser.dialect;
    let parsed = FUNCTIONS.sql_to_expr_with_alias(text, &dialect).map_err(|error| explain(error, text, schema))?;
    if let Some(alias) = &parsed.alias {
        return Err(Error::invalid(format!("expression has trailing text {:?}: {}", alias.value, shown(text))));
    }
    refuse_queries(&parsed.expr, text)?;
    let expression =
        FUNCTIONS.create_logical_expr_from_sql_expr(parsed, schema).map_err(|error| explain(error, text, schema))?;
    refuse_functions(&expression)?;
    Ok(expression)
}

/// Functions that a filter may call: what they make of a row is at most about as large as the row, so
/// that a short text cannot ask for endless memory (as `repeat` or nested `replace` could).
const SUPPORTED_FUNCTIONS: &[&str] = &[
    "array_element",
    "array_has",
    "array_has_all",
    "array_has_any",
    "array_length",
    "ascii",
    "bit_length",
    "btrim",
    "cardinality",
    "character_length",
    "coalesce",
    "contains",
    "date_part",
    "date_trunc",
    "ends_with",
    "find_in_set",
    "get_field",
    "greatest",
    "initcap",
    "least",
    "left",
    "lower",
    "ltrim",
    "make_array",
    "nullif",
    "nvl",
    "nvl2",
    "octet_length",
    "regexp_count",
    "regexp_like",
    "reverse",
    "right",
    "rtrim",
    "split_part",
    "starts_with",
    "strpos",
    "substr",
    "substr_index",
    "to_date",
    "to_timestamp",
    "upper",
];

/// What DataFusion said about an expression, as an error for the person who wrote it.
pub(super) fn explain(error: DataFusionError, text: &str, schema: &DFSchema) -> Error {
    let found = match error.find_root() {
        DataFusionError::SchemaError(schema_error, _) => match schema_error.as_ref() {
            SchemaError::FieldNotFound { field, .. } => Some(unknown_column(&field.name, schema)),
            _ => None,
        },
        DataFusionError::SQL(parser_error, _) => {
            Some(Error::invalid(format!("expression does not parse: {parser_error}: {}", shown(text))))
        }
        _ => None,
    };
    let message = || {
        let words = error.strip_backtrace();
        let first = words.lines().next().unwrap_or_default().trim_end_matches('.');
        Error::invalid(format!("expression is not valid: {first}: {}", shown(text)))
    };
    found.unwrap_or_else(message).with_source(error)
}

/// `NotFound` naming the column and those there are.
fn unknown_column(name: &str, schema: &DFSchema) -> Error {
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    Error::not_found(format!(
        "column {name:?} not found; columns: {} (text is written in single quotes)",
        listed(&names)
    ))
}

/// Names for an error message, at most [`MAX_COLUMNS_IN_ERROR`].
pub(crate) fn listed(names: &[&str]) -> String {
    let shown = names.iter().take(MAX_COLUMNS_IN_ERROR).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MAX_COLUMNS_IN_ERROR) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The text, shortened for a message.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT_IN_ERROR) {
        Some((end, _)) => format!("{:?}… ({} bytes)", text.get(..end).unwrap_or_default(), text.len()),
        None => format!("{text:?}"),
    }
}

fn check_bounds(text: &str) -> Result<()> {
    if text.len() > MAX_TEXT_BYTES {
        let found = text.len();
        return Err(Error::resource_exhausted(format!(
            "expression of {found} bytes, at most {MAX_TEXT_BYTES} are possible"
        )));
    }
    let tokens = Tokenizer::new(&GenericDialect {}, text)
        .tokenize()
        .map_err(|error| Error::invalid(format!("expression does not parse: {error}: {}", shown(text))))?;
    let depth = nesting(&tokens);
    if depth > MAX_OPERATORS {
        return Err(Error::resource_exhausted(format!(
            "expression nests {depth} operators, at most {MAX_OPERATORS} are possible (many values fit in one IN list): {}",
            shown(text)
        )));
    }
    Ok(())
}

/// An upper bound of the expression tree's depth: operators between two commas add up, and inside
/// parentheses the deepest element counts.
fn nesting(tokens: &[Token]) -> usize {
    let mut outer: Vec<Level> = Vec::new();
    let mut level = Level::default();
    for token in tokens {
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => outer.push(std::mem::take(&mut level)),
            Token::RParen | Token::RBracket | Token::RBrace => {
                if let Some(around) = outer.pop() {
                    level = around.with_inner(level);
                }
            }
            Token::Comma => level.end_element(),
            Token::Whitespace(_) | Token::Number(..) | Token::SingleQuotedString(_) | Token::Period | Token::EOF => {}
            Token::Word(word) if word.keyword == Keyword::NoKeyword || word.quote_style.is_some() => {}
            _ => level.operators += 1,
        }
    }
    while let Some(around) = outer.pop() {
        level = around.with_inner(level);
    }
    level.depth()
}

/// What stands between two parentheses, or outside all of them.
#[derive(Default)]
struct Level {
    operators: usize,
    inner: usize,
    deepest: usize,
}

impl Level {
    fn end_element(&mut self) {
        self.deepest = self.deepest.max(self.operators + self.inner);
        (self.operators, self.inner) = (0, 0);
    }

    fn depth(mut self) -> usize {
        self.end_element();
        self.deepest
    }

    fn with_inner(mut self, inner: Self) -> Self {
        self.inner = self.inner.max(inner.depth() + 1);
        self
    }
}

/// Refuses what would need other tables, before anything looks for them.
fn refuse_queries(expression: &SqlExpr, text: &str) -> Result<()> {
    let refused = visit_expressions(expression, |part| match part {
        SqlExpr::Subquery(_) | SqlExpr::Exists { .. } | SqlExpr::InSubquery { .. } => ControlFlow::Break("a subquery"),
        SqlExpr::Function(function) if function.over.is_some() => ControlFlow::Break("a window function"),
        SqlExpr::Wildcard(_) | SqlExpr::QualifiedWildcard(..) => ControlFlow::Break("a wildcard"),
        _ => ControlFlow::Continue(()),
    });
    match refused {
        ControlFlow::Break(what) => Err(Error::invalid(format!("expression uses {what}: {}", shown(text)))),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// Refuses what does not give the same answer for the same row each time, what is not computed row by
/// row, and functions that are not in the list.
fn refuse_functions(expression: &Expr) -> Result<()> {
    let mut refused: Option<String> = None;
    let mut unsupported: Option<String> = None;
    let walked = expression.apply(|part| {
        match part {
            Expr::ScalarFunction(call) if call.func.signature().volatility != Volatility::Immutable => {
                refused = Some(format!("function {}, whose answer changes from call to call", call.func.name()));
            }
            Expr::ScalarFunction(call) if !SUPPORTED_FUNCTIONS.contains(&call.func.name()) => {
                unsupported = Some(call.func.name().to_owned());
            }
            Expr::AggregateFunction(call) => {
                refused = Some(format!("aggregate function {}", call.func.name()));
            }
            Expr::WindowFunction(call) => {
                refused = Some(format!("window function {}", call.fun.name()));
            }
            Expr::Placeholder(_) | Expr::ScalarVariable(..) => {
                refused = Some("a placeholder".to_owned());
            }
            Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::Unnest(_) => {
                refused = Some("a subquery".to_owned());
            }
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    });
    walked.map_err(|error| Error::internal("walking an expression").with_source(error))?;
    if let Some(what) = refused {
        return Err(Error::invalid(format!("expression uses {what}")));
    }
    if let Some(name) = unsupported {
        let there = SUPPORTED_FUNCTIONS.join(", ");
        return Err(Error::unimplemented(format!("function {name} is not supported in a filter; supported: {there}")));
    }
    Ok(())
}
