//! Statuses, descriptors, `FlightInfo`, criteria and action bodies.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use arrow_flight::{FlightDescriptor, IpcMessage};
use serde_json::json;
use tonic::Code;

use crate::error::{Error, Kind};
use crate::flight::action::{self, ACTIONS, Call};
use crate::flight::answer::Answer;
use crate::flight::status::{code, from_status, kind, to_status};
use crate::flight::{entry, info, list};
use crate::model::artifact::Pin;
use crate::model::artifact::{Artifact, Collection, PinnedFile};
use crate::model::page::Entry;
use crate::model::request::{Selector, SliceRequest, Source};
use crate::ticket::{MAX_TICKET_BYTES, Ticket, decode_ticket};

const KINDS: [(Kind, Code); 13] = [
    (Kind::NotFound, Code::NotFound),
    (Kind::InvalidArgument, Code::InvalidArgument),
    (Kind::OutOfRange, Code::OutOfRange),
    (Kind::FailedPrecondition, Code::FailedPrecondition),
    (Kind::Unimplemented, Code::Unimplemented),
    (Kind::ResourceExhausted, Code::ResourceExhausted),
    (Kind::PermissionDenied, Code::PermissionDenied),
    (Kind::Unauthenticated, Code::Unauthenticated),
    (Kind::Unavailable, Code::Unavailable),
    (Kind::DataLoss, Code::DataLoss),
    (Kind::Cancelled, Code::Cancelled),
    (Kind::DeadlineExceeded, Code::DeadlineExceeded),
    (Kind::Internal, Code::Internal),
];

#[test]
fn each_kind_has_its_code_and_comes_back() {
    for (kind_in, expected) in KINDS {
        assert_eq!(code(kind_in), expected);
        assert_eq!(kind(expected), kind_in);
    }
    let error = Error::data_loss("chunk 3 is cut off").with_source(std::io::Error::other("secret path"));
    let status = to_status("Test", &error);
    assert_eq!(status.message(), "chunk 3 is cut off");
    assert_eq!(from_status(&status).message(), "chunk 3 is cut off");
}

fn answer(rows: u64, partition: u64) -> Answer {
    Answer {
        schema: Arc::new(Schema::new(vec![Field::new("a", DataType::Int8, true)])),
        total_rows: Some(rows),
        total_bytes: None,
        pins: vec![Pin { uid: "u".into(), etag: "\"e\"".into() }],
        summary: json!({"artifact": "k"}),
        // As if each row had one byte.
        partitions: Box::new(move |target| {
            let step = target.max(partition);
            (0..rows.div_ceil(step)).map(|number| number * step..((number + 1) * step).min(rows)).collect()
        }),
    }
}

fn request() -> SliceRequest {
    SliceRequest { source: Source::Key { key: "k".into(), version: None }, ..SliceRequest::default() }
}

#[test]
fn an_info_says_what_is_known_and_echoes_its_descriptor() {
    let descriptor = FlightDescriptor::new_cmd(b" {\"key\": \"k\"}".to_vec());
    let answer = answer(25, 10);
    let request = info::request_of(&descriptor, MAX_TICKET_BYTES).unwrap();
    let found = info::flight_info(descriptor.clone(), &request, &answer, 10).unwrap();
    assert_eq!(found.flight_descriptor, Some(descriptor));
    assert_eq!((found.total_records, found.total_bytes, found.ordered), (25, -1, true));
    assert_eq!(found.app_metadata, br#"{"artifact":"k"}"#.as_slice());
    assert_eq!(Schema::try_from(IpcMessage(found.schema)).unwrap(), *answer.schema);
    let mut rows = Vec::new();
    for endpoint in &found.endpoint {
        assert_eq!(endpoint.location[0].uri, "arrow-flight-reuse-connection://?");
        let Ticket::Server(ticket) =
            decode_ticket(&endpoint.ticket.as_ref().unwrap().ticket, MAX_TICKET_BYTES).unwrap()
        else {
            panic!("not a server ticket")
        };
        assert_eq!((&ticket.request, &ticket.pins), (&request, &answer.pins));
        rows.push(ticket.rows.unwrap());
    }
    assert_eq!(rows, [0..10, 10..20, 20..25]);
}

#[test]
fn a_small_answer_and_one_of_unknown_length_have_one_endpoint() {
    for answer in [answer(5, 10), answer(0, 10)] {
        let found = info::flight_info(FlightDescriptor::default(), &request(), &answer, 10).unwrap();
        let ticket = &found.endpoint[0].ticket.as_ref().unwrap().ticket;
        let Ticket::Server(ticket) = decode_ticket(ticket, MAX_TICKET_BYTES).unwrap() else { panic!() };
        assert_eq!((found.endpoint.len(), ticket.rows), (1, None));
    }
}

#[test]
fn many_endpoints_of_a_long_request_do_not_outgrow_a_message() {
    let mask = Selector::Mask { bits: vec![255; 300_000], length: None };
    let request = SliceRequest { axes: vec![vec![mask]], ..request() };
    let found = info::flight_info(FlightDescriptor::default(), &request, &answer(1000, 1), 1).unwrap();
    assert!((2..=6).contains(&found.endpoint.len()), "{}", found.endpoint.len());
}

#[test]
fn descriptors() {
    let path = FlightDescriptor::new_path(vec!["k".into(), "layers".into(), "raw".into()]);
    assert_eq!(info::request_of(&path, 100).unwrap(), SliceRequest { node: "layers/raw".into(), ..request() });
    let error = info::request_of(&FlightDescriptor::default(), 100).unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidArgument);
}

#[test]
fn criteria_are_nothing_or_json() {
    assert!(list::criteria(b"").unwrap().label.is_none());
    assert_eq!(list::criteria(br#"{"label": "l", "limit": 3}"#).unwrap().label.as_deref(), Some("l"));
    let error = list::criteria(br#"{"lable": "l"}"#).unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidArgument);
    assert!(error.message().contains("lable") && error.message().contains("key_prefix"), "{error}");
}

#[test]
fn entries() {
    let artifact = Artifact {
        key: "k".into(),
        n_observations: Some(7),
        files: vec![PinnedFile::default()],
        ..Artifact::default()
    };
    let json = entry::artifact_json(&artifact).unwrap();
    assert_eq!((&json["type"], &json["key"], json.get("files")), (&json!("artifact"), &json!("k"), None));
    let found = list::entry_info(&Entry::Artifact(artifact.clone())).unwrap();
    assert_eq!((found.total_records, found.schema.len()), (7, 0));
    assert_eq!(found.flight_descriptor.unwrap().path, Vec::<String>::new());
    let latest = Artifact { is_latest: true, ..artifact.clone() };
    let found = list::entry_info(&Entry::Artifact(latest)).unwrap();
    assert_eq!(found.flight_descriptor.unwrap().path, ["k"]);
    let collection = Collection { key: "c".into(), artifacts: vec![artifact], ..Collection::default() };
    let json = entry::entry_json(&Entry::Collection(collection.into())).unwrap();
    assert_eq!((&json["type"], &json["artifacts"][0]["key"]), (&json!("collection"), &json!("k")));
}

#[test]
fn action_bodies() {
    let parse = |name: &str, body: &str| action::parse(name, body.as_bytes(), true, 1000);
    let key = |key: &str| Source::Key { key: key.into(), version: None };
    assert!(matches!(parse("describe", r#"{"key": "k"}"#).unwrap(), Call::Describe(source) if source == key("k")));
    assert!(matches!(parse("tree", r#"{"uid": "u"}"#).unwrap(), Call::Tree(Source::Uid(uid)) if uid == "u"));
    assert!(matches!(parse("search", "").unwrap(), Call::Search(_)));
    assert!(matches!(parse("explain", r#"{"key": "k"}"#).unwrap(), Call::Explain(slice) if *slice == request()));
    assert!(matches!(
        parse("label", r#"{"key": "k", "labels": ["a"]}"#).unwrap(),
        Call::Label(source, labels) if source == key("k") && labels[0].name == "a"
    ));
    assert!(matches!(
        parse("register", r#"{"url": "s3://b/k"}"#).unwrap(),
        Call::Register(registration) if registration.url == "s3://b/k"
    ));
    assert!(matches!(
        parse("create_collection", r#"{"key": "c", "artifacts": ["a"]}"#).unwrap(),
        Call::CreateCollection(_)
    ));
    assert!(matches!(parse("remove", r#"{"collection": "c"}"#).unwrap(), Call::Remove(Source::Collection(_))));
}

#[test]
fn action_errors() {
    let refused = |name: &str, body: &str, kind: Kind, words: &[&str]| {
        let error = action::parse(name, body.as_bytes(), true, 100).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        words.iter().for_each(|word| assert!(error.message().contains(word), "'{word}' is not in: {error}"));
    };
    let invalid = Kind::InvalidArgument;
    refused("describe", r#"{"kye": "k"}"#, invalid, &["'describe'", "kye", "uid"]);
    refused("describe", r#"{"key": 3}"#, invalid, &["integer `3`"]);
    refused("describe", "{}", invalid, &["exactly one of 'key'"]);
    refused("describe", r#"{"key": "k", "uid": "u"}"#, invalid, &["exactly one"]);
    refused("tree", r#"{"uid": "u", "version": "1"}"#, invalid, &["'version'"]);
    refused("tree", r#"{"key": "k", "labels": []}"#, invalid, &["'labels'"]);
    refused("label", r#"{"key": "k"}"#, invalid, &["'labels'"]);
    refused("register", "{}", invalid, &["url"]);
    refused("register", "not json", invalid, &["'register'"]);
    refused("explain", "{", invalid, &["'explain'"]);
    refused("explode", "{}", Kind::Unimplemented, &["'explode'", "describe"]);
    refused("describe", &" ".repeat(101), Kind::ResourceExhausted, &["101", "100"]);
}

#[test]
fn changes_need_permission_before_their_body_is_read() {
    for (name, _) in ACTIONS {
        let result = action::parse(name, b"not json", false, 100);
        let expected = match name {
            "describe" | "tree" | "search" | "lookup" | "explain" => Kind::InvalidArgument,
            _ => Kind::PermissionDenied,
        };
        assert_eq!(result.unwrap_err().kind(), expected, "{name}");
    }
}

#[test]
fn the_bodies_of_the_documentation_are_read() {
    let mut seen = Vec::new();
    for block in include_str!("../../../docs/wire.md").split("```json action:").skip(1) {
        let (name, body) = block.split("```").next().unwrap().split_once('\n').unwrap();
        action::parse(name, body.as_bytes(), true, 1000).unwrap();
        seen.push(name);
    }
    for (name, _) in ACTIONS {
        assert!(seen.contains(&name), "{name} has no example");
    }
}
