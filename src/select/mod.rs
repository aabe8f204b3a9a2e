//! From selectors to positions: which rows and columns a slice asks for.
//!
//! Sits between the request (`model::request::Selector`) and planning, which wants an
//! [`crate::model::selection::AxisSelection`] per axis. Reads an axis's table only through
//! [`axis::AxisTable`], and of it only the columns that a filter names. Does not read array data and
//! does not know formats.

pub mod axis;
mod category;
mod float;
pub mod numpy;
pub mod predicate;
mod slice;
pub(crate) mod sql;
