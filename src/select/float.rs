//! NumPy's meaning of numbers in comparisons, written into an expression before types are matched.
//!
//! SQL engines differ from pandas in three ways that would select other rows:
//! * a literal next to a `Float32` column widens the column; NumPy gives the literal the column's type,
//!   so that `x <= 0.05` holds for the nearest `Float32` of 0.05;
//! * Arrow orders floats totally: NaN above all, −0 below 0; IEEE compares NaN as false and −0 as 0;
//! * text next to a number is cast to and fro; pandas refuses it, and so does this.
//!
//! Ordered categoricals compare by category in pandas and by text in SQL, so `<` and its like are
//! refused for them by name. Sits between parsing and type coercion; evaluates nothing.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, DataFusionError, ExprSchema, ScalarValue};
use datafusion::logical_expr::expr::{Between, InList};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator, binary_expr, lit};

use crate::error::{Error, Result};

/// `expression` with NumPy's meaning of its comparisons.
///
/// # Errors
/// `InvalidArgument` for text compared with a number, `Unimplemented` for the order of categories.
pub(super) fn as_numpy(expression: Expr, schema: &DFSchema) -> Result<Expr> {
    let rewritten = expression.transform_up(|part| {
        let changed = match part {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => binary(*left, op, *right, schema),
            Expr::Between(between) => between_bounds(between, schema),
            Expr::InList(list) => in_list(list, schema),
            other => return Ok(Transformed::no(other)),
        };
        changed.map(Transformed::yes).map_err(|error| DataFusionError::External(Box::new(error)))
    });
    match rewritten {
        Ok(rewritten) => Ok(rewritten.data),
        Err(DataFusionError::External(error)) => match error.downcast::<Error>() {
            Ok(error) => Err(*error),
            Err(error) => Err(Error::internal("rewriting an expression").with_source(error)),
        },
        Err(error) => Err(Error::internal("rewriting an expression").with_source(error)),
    }
}

/// Whether rows may be left out by column statistics, and early, when they do not meet the condition:
/// statistics leave NaN out, so a NaN must not meet it; and evaluating it must not be able to fail,
/// since errors lose their kind on the way through the decoder. To be asked before simplification,
/// which may turn a negation into a comparison that looks the same.
pub(super) fn prunable(condition: &Expr, schema: &DFSchema) -> bool {
    let without_floats = || {
        let is_float = |column: &Column| {
            !schema.field_from_column(column).is_ok_and(|field| !value_type(field.data_type()).is_floating())
        };
        !condition.column_refs().into_iter().any(is_float)
    };
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And | Operator::Or, right }) => {
            prunable(left, schema) && prunable(right, schema)
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            is_plain(left) && is_plain(right) && (is_positive(*op) || *op == Operator::NotEq && without_floats())
        }
        Expr::InList(InList { expr, list, negated }) => {
            is_plain(expr) && list.iter().all(is_plain) && (!negated || without_floats())
        }
        Expr::IsNull(side) | Expr::IsNotNull(side) => is_plain(side),
        Expr::Like(like) => is_plain(&like.expr) && is_plain(&like.pattern),
        Expr::Not(inner) => prunable(inner, schema) && without_floats(),
        other => is_plain(other),
    }
}

fn is_plain(side: &Expr) -> bool {
    matches!(side, Expr::Column(_) | Expr::Literal(..))
}

fn is_positive(operator: Operator) -> bool {
    matches!(operator, Operator::Eq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq)
}

fn binary(left: Expr, operator: Operator, right: Expr, schema: &DFSchema) -> Result<Expr> {
    match operator {
        Operator::Eq | Operator::NotEq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq => {
            compare(left, operator, right, schema)
        }
        Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide | Operator::Modulo => {
            let (left, right) = same_float(left, right, schema);
            Ok(binary_expr(left, operator, right))
        }
        _ => Ok(binary_expr(left, operator, right)),
    }
}

fn between_bounds(between: Between, schema: &DFSchema) -> Result<Expr> {
    let Between { expr, negated, low, high } = between;
    let within =
        compare((*expr).clone(), Operator::GtEq, *low, schema)?.and(compare(*expr, Operator::LtEq, *high, schema)?);
    Ok(if negated { Expr::Not(Box::new(within)) } else { within })
}

fn in_list(list: InList, schema: &DFSchema) -> Result<Expr> {
    let InList { expr, list, negated } = list;
    for element in &list {
        check_comparable(&expr, element, Operator::Eq, schema)?;
    }
    let Some(float) = float_type(&expr, schema) else {
        return Ok(Expr::InList(InList { expr, list, negated }));
    };
    let (literals, others): (Vec<Expr>, Vec<Expr>) =
        list.into_iter().partition(|element| matches!(element, Expr::Literal(..)));
    let mut values: Vec<Expr> = literals.into_iter().map(|literal| as_float(literal, &float)).collect();
    if values.iter().any(is_zero) {
        values.extend([zero(&float, false), zero(&float, true)]);
    }
    let mut matches = Expr::InList(InList { expr: expr.clone(), list: values, negated: false });
    for other in others {
        matches = matches.or(compare((*expr).clone(), Operator::Eq, other, schema)?);
    }
    Ok(if negated { Expr::Not(Box::new(matches)) } else { matches })
}

/// A comparison; a literal stands on the right afterwards when the other side is a float.
fn compare(left: Expr, operator: Operator, right: Expr, schema: &DFSchema) -> Result<Expr> {
    check_comparable(&left, &right, operator, schema)?;
    let (left, right) = same_float(left, right, schema);
    let (left, operator, right) = match (&left, operator.swap()) {
        (Expr::Literal(..), Some(swapped)) => (right, swapped, left),
        _ => (left, operator, right),
    };
    let sides = [float_type(&left, schema), float_type(&right, schema)];
    match (sides, &right) {
        ([None, None], _) => Ok(binary_expr(left, operator, right)),
        ([Some(float), _], Expr::Literal(value, _)) if !value.is_null() => {
            Ok(compare_literal(left, operator, right, &float))
        }
        (_, Expr::Literal(..)) => Ok(binary_expr(left, operator, right)),
        ([left_float, right_float], _) => Ok(compare_columns((left, left_float), operator, (right, right_float))),
    }
}

/// A float compared with a number: both zeros are one, and NaN meets only `!=`.
fn compare_literal(left: Expr, operator: Operator, literal: Expr, float: &DataType) -> Expr {
    let (plus, minus) = (zero(float, false), zero(float, true));
    let at_zero = is_zero(&literal);
    match operator {
        Operator::Eq if at_zero => left.clone().eq(plus).or(left.eq(minus)),
        Operator::NotEq if at_zero => left.clone().not_eq(plus).and(left.not_eq(minus)),
        Operator::Lt => left.clone().lt(if at_zero { minus } else { literal }).and(above_nan(left, float)),
        Operator::LtEq => left.clone().lt_eq(if at_zero { plus } else { literal }).and(above_nan(left, float)),
        Operator::Gt => left.clone().gt(if at_zero { plus } else { literal }).and(below_nan(left, float)),
        Operator::GtEq => left.clone().gt_eq(if at_zero { minus } else { literal }).and(below_nan(left, float)),
        _ => binary_expr(left, operator, literal),
    }
}

/// Two columns compared, at least one of floats: adding 0 makes both zeros one, NaN is looked for.
fn compare_columns(
    (left, left_float): (Expr, Option<DataType>),
    operator: Operator,
    (right, right_float): (Expr, Option<DataType>),
) -> Expr {
    let one_zero = |side: Expr, float: &Option<DataType>| match float {
        Some(float) => side + zero(float, false),
        None => side,
    };
    let equal_or_ordered = if operator == Operator::NotEq { Operator::Eq } else { operator };
    let mut met =
        binary_expr(one_zero(left.clone(), &left_float), equal_or_ordered, one_zero(right.clone(), &right_float));
    for (side, float) in [(left, left_float), (right, right_float)] {
        if let Some(float) = float {
            met = met.and(above_nan(side.clone(), &float)).and(below_nan(side, &float));
        }
    }
    if operator == Operator::NotEq { Expr::Not(Box::new(met)) } else { met }
}

/// False for a NaN with its sign bit set, which Arrow orders below everything.
fn above_nan(side: Expr, float: &DataType) -> Expr {
    side.gt_eq(number(f64::NEG_INFINITY, float))
}

/// False for a NaN, which Arrow orders above everything.
fn below_nan(side: Expr, float: &DataType) -> Expr {
    side.lt_eq(number(f64::INFINITY, float))
}

/// A literal next to a float takes the float's type.
fn same_float(left: Expr, right: Expr, schema: &DFSchema) -> (Expr, Expr) {
    let is_literal = |side: &Expr| matches!(side, Expr::Literal(..));
    match (is_literal(&left), is_literal(&right)) {
        (false, true) => match float_type(&left, schema) {
            Some(float) => (left, as_float(right, &float)),
            None => (left, right),
        },
        (true, false) => match float_type(&right, schema) {
            Some(float) => (as_float(left, &float), right),
            None => (left, right),
        },
        _ => (left, right),
    }
}

fn float_type(side: &Expr, schema: &DFSchema) -> Option<DataType> {
    side.get_type(schema).ok().filter(DataType::is_floating)
}

/// A numeric literal as a literal of `float`; anything else as it is.
fn as_float(literal: Expr, float: &DataType) -> Expr {
    let Expr::Literal(value, _) = &literal else { return literal };
    let value = match value {
        ScalarValue::Float64(Some(value)) => *value,
        ScalarValue::Int64(Some(value)) => *value as f64,
        ScalarValue::UInt64(Some(value)) => *value as f64,
        _ => return literal,
    };
    number(value, float)
}

fn number(value: f64, float: &DataType) -> Expr {
    lit(match float {
        DataType::Float16 => ScalarValue::Float16(Some(half::f16::from_f64(value))),
        DataType::Float32 => ScalarValue::Float32(Some(value as f32)),
        _ => ScalarValue::Float64(Some(value)),
    })
}

fn zero(float: &DataType, negative: bool) -> Expr {
    number(if negative { -0.0 } else { 0.0 }, float)
}

fn is_zero(side: &Expr) -> bool {
    match side {
        Expr::Literal(ScalarValue::Float16(Some(value)), _) => value.to_f32() == 0.0,
        Expr::Literal(ScalarValue::Float32(Some(value)), _) => *value == 0.0,
        Expr::Literal(ScalarValue::Float64(Some(value)), _) => *value == 0.0,
        _ => false,
    }
}

fn check_comparable(left: &Expr, right: &Expr, operator: Operator, schema: &DFSchema) -> Result<()> {
    for side in [left, right] {
        if !matches!(operator, Operator::Eq | Operator::NotEq) && is_ordered_categorical(side, schema) {
            return Err(Error::unimplemented(format!(
                "{operator} on the ordered categorical {side}: compare it with IN or = instead"
            )));
        }
    }
    let (Ok(left_type), Ok(right_type)) = (left.get_type(schema), right.get_type(schema)) else { return Ok(()) };
    let (left_value, right_value) = (value_type(&left_type), value_type(&right_type));
    let mixed =
        |text: &DataType, other: &DataType| text.is_string() && (other.is_numeric() || *other == DataType::Boolean);
    if mixed(left_value, right_value) || mixed(right_value, left_value) {
        return Err(Error::invalid(format!(
            "{left} is {left_value} and {right} is {right_value}: text and other values do not compare"
        )));
    }
    Ok(())
}

fn is_ordered_categorical(side: &Expr, schema: &DFSchema) -> bool {
    let Expr::Column(column) = side else { return false };
    schema.field_from_column(column).is_ok_and(|field| field.dict_is_ordered() == Some(true))
}

fn value_type(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, value) => value.as_ref(),
        other => other,
    }
}
