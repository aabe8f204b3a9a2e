//! Gathered elements to Arrow, off the threads that wait for the network where it takes a while.
//!
//! Sits between reading and [`super::to_arrow`]. Numbers become Arrow without a copy and stay where they
//! are; booleans, texts of fixed length and structs are rewritten element by element, which is work for
//! the decode pool. References into heaps have to be read first, so what holds them stays.

use arrow::array::ArrayRef;
use futures::FutureExt;

use super::array::Values;
use super::context::ReadContext;
use super::to_arrow::{Source, text_array, to_arrow_within};
use crate::error::{Error, Result};
use crate::format::Hierarchy;
use crate::model::data_type::DataType;

/// `count` elements as one Arrow array, on the pool where many are rewritten; sequences are read within
/// the bounds of `context`.
///
/// # Errors
/// Those of [`super::to_arrow`].
pub(super) async fn converted(
    context: &ReadContext,
    hierarchy: &Hierarchy,
    data_type: &DataType,
    values: Values,
    count: usize,
) -> Result<ArrayRef> {
    match values {
        Values::Text(texts) if *data_type != DataType::Binary => {
            context.compute(texts.bytes.len() as u64, move || text_array(texts)).await
        }
        Values::Fixed(buffer) if is_rewritten(data_type) => {
            let (hierarchy, data_type) = (hierarchy.clone(), data_type.clone());
            let convert = move || {
                let source = Source { hierarchy: &hierarchy, context: None };
                let converted = to_arrow_within(source, &data_type, Values::Fixed(buffer), count, 0).now_or_never();
                converted.unwrap_or_else(|| Err(Error::internal("elements without references had to wait")))
            };
            context.compute((count as u64).saturating_mul(8), convert).await
        }
        values => {
            let source = Source { hierarchy, context: Some(context) };
            to_arrow_within(source, data_type, values, count, 0).await
        }
    }
}

/// Whether elements are written anew for Arrow and hold no references, as far as is known.
fn is_rewritten(data_type: &DataType) -> bool {
    match data_type {
        DataType::Boolean | DataType::FixedString { .. } | DataType::FixedUtf32 { .. } => true,
        DataType::Timestamp(_) | DataType::Duration(_) => true,
        DataType::Struct { fields, .. } => fields.iter().all(|field| never_waits(&field.data_type)),
        DataType::FixedArray { element, .. } => is_rewritten(element),
        _ => false,
    }
}

fn never_waits(data_type: &DataType) -> bool {
    is_rewritten(data_type)
        || match data_type {
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => true,
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => true,
            DataType::Float16 | DataType::Float32 | DataType::Float64 => true,
            DataType::FixedArray { element, .. } => never_waits(element),
            DataType::Enumeration { base, .. } => never_waits(base),
            _ => false,
        }
}
