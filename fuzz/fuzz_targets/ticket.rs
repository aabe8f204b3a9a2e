//! The input is a ticket. What is read is written and read again to the same; a NumPy slice and a
//! `where` expression in it are parsed.
#![no_main]

use std::sync::{Arc, LazyLock};

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use libfuzzer_sys::fuzz_target;
use sliceflight::model::request::{Selector, SliceRequest, Source};
use sliceflight::select::numpy;
use sliceflight::select::predicate::Predicate;
use sliceflight::ticket::{MAX_TICKET_BYTES, Ticket, decode_command, decode_ticket, encode_request};

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let categories = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8));
    Arc::new(Schema::new(vec![
        Field::new("cell_type", categories, true),
        Field::new("percent_mito", DataType::Float32, true),
        Field::new("n_genes", DataType::Int64, true),
        Field::new("index", DataType::Utf8, true),
    ]))
});

fn check(request: &SliceRequest) {
    if let Some(text) = &request.numpy_slice {
        let _ = numpy::parse(text, 3);
    }
    let selectors = request.obs.iter().chain(&request.var).chain(request.axes.iter().flatten());
    for selector in selectors {
        if let Selector::Where(text) = selector {
            let _ = Predicate::parse(text, Arc::clone(&SCHEMA));
        }
    }
    if let Some(text) = &request.filter {
        let _ = Predicate::parse(text, Arc::clone(&SCHEMA));
    }
    // What protobuf cannot say: keys that begin as a Flight SQL command does, or as JSON, which white space
    // may stand before.
    if let Source::Key { key, .. } = &request.source
        && (key.starts_with("type.googleapis.com/") || key.starts_with(|first: char| first == '{' || first.is_whitespace()))
    {
        return;
    }
    let written = encode_request(request);
    let again = decode_command(&written, MAX_TICKET_BYTES);
    assert_eq!(again.ok().as_ref(), Some(request), "a request that was written is read as another");
}

fuzz_target!(|input: &[u8]| {
    match decode_ticket(input, MAX_TICKET_BYTES) {
        Ok(Ticket::Request(request)) => check(&request),
        Ok(Ticket::Server(ticket)) => check(&ticket.request),
        Err(_) => {}
    }
});
