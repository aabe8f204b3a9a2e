//! What each wire form decodes to, what is refused and with which words, and round trips.

use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::error::{Error, Kind, Result};
use crate::model::artifact::Pin;
use crate::model::request::{Join, Layout, Partitioning, Selector, SliceRequest, Source};

fn keyed(key: &str) -> SliceRequest {
    SliceRequest { source: Source::Key { key: key.into(), version: None }, ..SliceRequest::default() }
}

fn decode(json: &str) -> Result<SliceRequest> {
    decode_command(json.as_bytes(), MAX_TICKET_BYTES)
}

/// Checks that `json` (without the key) decodes to `expected`.
fn check(json: &str, expected: SliceRequest) {
    assert_eq!(decode(json).unwrap(), expected, "{json}");
}

fn refused(result: Result<SliceRequest>, kind: Kind, words: &[&str]) {
    let error: Error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    for word in words {
        assert!(error.message().contains(word), "'{word}' is not in: {error}");
    }
}

#[test]
fn json_forms() {
    let axes = |axes: Vec<Vec<Selector>>| SliceRequest { axes, ..keyed("k") };
    let obs = |selector: Selector| SliceRequest { obs: vec![selector], ..keyed("k") };
    let names = |values: &[&str]| Selector::Names(values.iter().map(|name| (*name).into()).collect());
    check(r#"{"key": "k"}"#, keyed("k"));
    check(" \t\r\n {\"key\": \"k\"}", keyed("k"));
    check("\n{\"key\": \"k\"}", keyed("k"));
    check(r#"{"key": "k", "node": null}"#, keyed("k"));
    let registry = Source::Registry(crate::model::request::RegistryTable::Members);
    check(r#"{"registry": "members"}"#, SliceRequest { source: registry, ..SliceRequest::default() });
    check(r#"{"uid": "abc"}"#, SliceRequest { source: Source::Uid("abc".into()), ..SliceRequest::default() });
    check(r#"{"url": "s3://b/k"}"#, SliceRequest { source: Source::Url("s3://b/k".into()), ..SliceRequest::default() });
    check(
        r#"{"key": "k", "version": "2"}"#,
        SliceRequest { source: Source::Key { key: "k".into(), version: Some("2".into()) }, ..SliceRequest::default() },
    );
    check(
        r#"{"key": "k", "obs": {"where": "a > 1"}, "var": [{"names": ["A"]}, {"all": true}]}"#,
        SliceRequest { var: vec![names(&["A"]), Selector::All], ..obs(Selector::Where("a > 1".into())) },
    );
    check(
        r#"{"key": "k", "var": {"names": {"values": ["A", "A"]}}}"#,
        SliceRequest { var: vec![names(&["A", "A"])], ..keyed("k") },
    );
    check(
        r#"{"key": "k", "axes": [{"index": [3, -1, "7"]}, [{"integer": -2}], {"selectors": [{"all": true}]}, {}]}"#,
        axes(vec![vec![Selector::Index(vec![3, -1, 7])], vec![Selector::Integer(-2)], vec![Selector::All], vec![]]),
    );
    check(
        r#"{"key": "k", "obs": {"slice": {"stop": "-10", "step": 2.0}}}"#,
        obs(Selector::Slice { start: None, stop: Some(-10), step: Some(2) }),
    );
    check(
        r#"{"key": "k", "obs": {"mask": [true, false, true, false, false, false, false, false, true]}}"#,
        obs(Selector::Mask { bits: vec![5, 1], length: Some(9) }),
    );
    check(
        r#"{"key": "k", "slice": "0:100, ::2"}"#,
        SliceRequest { numpy_slice: Some("0:100, ::2".into()), ..keyed("k") },
    );
}

#[test]
fn json_scalars_take_both_spellings() {
    for json in [
        r#"{"key":"k","with_obs":["a"],"with_index":true,"max_batch_bytes":"1000","max_batch_rows":5,"layout":"coo"}"#,
        r#"{"key":"k","withObs":["a"],"withIndex":true,"maxBatchBytes":1000,"maxBatchRows":"5","layout":"LAYOUT_COO"}"#,
    ] {
        check(
            json,
            SliceRequest {
                with_obs: vec!["a".into()],
                with_index: true,
                max_batch_bytes: Some(1000),
                max_batch_rows: Some(5),
                layout: Layout::Coo,
                ..keyed("k")
            },
        );
    }
    for (json, bytes) in
        [("+/8=", vec![0xfb, 0xff]), ("-_8", vec![0xfb, 0xff]), ("AQI=", vec![1, 2]), ("AQI", vec![1, 2])]
    {
        let expected = SliceRequest { substrait_filter: Some(bytes), ..keyed("k") };
        check(&format!(r#"{{"key":"k","filter":"{json}"}}"#), expected);
    }
    for json in [r#""hive""#, r#""PARTITIONING_HIVE""#, "1"] {
        let expected = SliceRequest { partitioning: Partitioning::Hive, ..keyed("k") };
        check(&format!(r#"{{"key":"k","partitioning":{json}}}"#), expected);
    }
    for json in [r#""outer""#, r#""JOIN_OUTER""#, "2"] {
        let expected = SliceRequest { join: Some(Join::Outer), ..keyed("k") };
        check(&format!(r#"{{"key":"k","join":{json}}}"#), expected);
    }
    check(r#"{"key":"k","columns":[]}"#, SliceRequest { columns: Some(vec![]), ..keyed("k") });
}

#[test]
fn json_errors_name_the_field() {
    let invalid = |json: &str, words: &[&str]| refused(decode(json), Kind::InvalidArgument, words);
    invalid(r#"{"key": "k", "colums": []}"#, &["'colums'", "columns", "with_obs"]);
    invalid(r#"{"key": "k", "obs": {"were": "x"}}"#, &["'were'", "'obs'", "where"]);
    invalid(r#"{"key": 3}"#, &["'key'", "expected a text", "the number 3"]);
    invalid(r#"{"key": "k", "limit": -1}"#, &["'limit'", "at least 0", "-1"]);
    invalid(r#"{"key": "k", "limit": 1.5}"#, &["'limit'", "1.5"]);
    invalid(r#"{"key": "k", "limit": 18446744073709551616}"#, &["'limit'"]);
    invalid(r#"{"key": "k", "obs": {"index": [1, "x"]}}"#, &["'obs.index[1]'", "'x'"]);
    invalid(r#"{"key": "k", "obs": [{"all": true}, {}]}"#, &["'obs[1]'", "without a kind"]);
    invalid(r#"{"key": "k", "obs": {"all": false}}"#, &["'obs' selector 0", "'all' is false"]);
    invalid(r#"{"key": "k", "obs": {"names": ["A"], "where": "x"}}"#, &["'obs'", "several kinds"]);
    invalid(r#"{"key": "k", "obs": "0:10"}"#, &["'obs'", "a selector object"]);
    invalid(r#"{"key": "k", "obs": {"slice": {"step": 0}}}"#, &["'step'", "0"]);
    invalid(r#"{"key": "k", "obs": {"mask": {"bits": "AA==", "length": 9}}}"#, &["length 9 needs 2 bytes, found 1"]);
    invalid(r#"{"key": "k", "obs": {"mask": [1]}}"#, &["'obs.mask[0]'", "true or false"]);
    invalid(r#"{"key": "k", "obs": {"all": true}, "axes": [{"all": true}]}"#, &["'obs'/'var'", "'axes'"]);
    invalid(r#"{"key": "k", "var": {"all": true}, "slice": "1"}"#, &["'obs'/'var'", "'slice'"]);
    invalid(r#"{"key": "k", "axes": [{"all": true}], "slice": "1"}"#, &["'axes'", "'slice'"]);
    invalid(r#"{"key": "k", "where": "a", "filter": "AA=="}"#, &["'where'", "'filter'"]);
    invalid(r#"{"key": "k", "filter": "***"}"#, &["'filter'", "base64"]);
    invalid(r#"{"key": "k", "uid": "u"}"#, &["several sources"]);
    invalid(r#"{"registry": "artifact"}"#, &["'registry' is 'artifact'", "artifacts"]);
    invalid(r#"{"registry": "artifacts", "version": "1"}"#, &["'version'", "'registry'"]);
    invalid(r#"{"uid": "u", "version": "1"}"#, &["'version'", "'uid'"]);
    invalid(r#"{"node": "X"}"#, &["no source", "'key'"]);
    invalid(r#"{"key": ""}"#, &["'key' is empty"]);
    invalid(r#"{"key": "k", "layout": "tall"}"#, &["'layout'", "coo", "tall"]);
    invalid(r#"{"key": "k", "max_batch_rows": 0}"#, &["'max_batch_rows'"]);
    invalid(r#"{"key": "k", "key": "l"}"#, &["'key' is given twice"]);
    invalid(r#"{"key": "k", "with_obs": [], "withObs": []}"#, &["'with_obs' is given twice"]);
    invalid(r#"{"key": "k""#, &["malformed JSON"]);
    invalid(r#"{"key": "k"} {}"#, &["malformed JSON"]);
    invalid("", &["empty"]);
    invalid(" \n", &["empty"]);
}

#[test]
fn limits_are_named_with_their_value() {
    let long = vec![b'{'; 100];
    refused(decode_command(&long, 99), Kind::ResourceExhausted, &["command has 100 bytes", "99"]);
    let deep = format!(r#"{{"key": {}"#, "[".repeat(MAX_JSON_DEPTH));
    refused(decode(&deep), Kind::ResourceExhausted, &["deeper than 16"]);
    let many = format!(r#"{{"key":"k","obs":{{"index":[1{}]}}}}"#, ",1".repeat(MAX_JSON_ITEMS));
    refused(decode(&many), Kind::ResourceExhausted, &[&MAX_JSON_ITEMS.to_string()]);
    let selectors = wire::SliceRequest {
        obs: vec![wire::Selector { kind: Some(wire::selector::Kind::All(true)) }; MAX_MESSAGES],
        ..wire::SliceRequest::default()
    };
    let result = decode_command(&selectors.encode_to_vec(), MAX_TICKET_BYTES);
    refused(result, Kind::ResourceExhausted, &[&MAX_MESSAGES.to_string()]);
    // Brackets and commas inside a text do not count.
    let key = "[,".repeat(MAX_JSON_DEPTH + 1);
    check(&format!(r#"{{"key":"{key}\"{key}"}}"#), keyed(&format!("{key}\"{key}")));
}

#[test]
fn protobuf_is_strict() {
    let invalid = |bytes: &[u8], words: &[&str]| {
        refused(decode_command(bytes, MAX_TICKET_BYTES), Kind::InvalidArgument, words);
    };
    let request = encode_request(&keyed("k"));
    let with = |extra: &[u8]| [request.as_slice(), extra].concat();
    invalid(&with(&[0x7a, 0]), &["no field number 15"]);
    invalid(&with(&[0xd0, 0x01, 1]), &["no field number 26"]);
    invalid(&with(&[0xca, 0x01, 1, b'a']), &["SliceRequest", "several"]);
    invalid(&[0xca, 0x01, 1, b'a'], &["'registry' is 'a'", "artifacts, collections, labels, members"]);
    invalid(&with(&[0xc0, 0x01, 3]), &["'join' is 3"]);
    invalid(&with(&[0x3a, 2, 0x42, 0]), &["Selector", "no field number 8"]);
    invalid(&with(&[0x12, 1, b'u']), &["SliceRequest", "several"]);
    invalid(&with(&[0x3a, 4, 0x08, 1, 0x38, 2]), &["Selector", "several"]);
    invalid(&with(&[0x32, 5, b'X']), &["cut off"]);
    invalid(&with(&[0xff]), &["malformed protobuf"]);
    invalid(&[0x0a, 1, 0xff], &["malformed protobuf"]);
    invalid(&with(&[0x3a, 0]), &["'obs' selector 0", "no kind"]);
    invalid(&with(&[0xa0, 0x01, 9]), &["'layout' is 9"]);
    invalid(b"hello", &["not JSON"]);
    invalid(b"SFT1", &["server ticket"]);
}

#[test]
fn flight_sql_is_refused_by_name() {
    let url = b"type.googleapis.com/arrow.flight.protocol.sql.CommandGetSqlInfo";
    let mut any = vec![0x0a, url.len() as u8];
    any.extend_from_slice(url);
    any.extend_from_slice(&[0x12, 0]);
    for result in [decode_command(&any, MAX_TICKET_BYTES), decode_ticket(&any, MAX_TICKET_BYTES).map(|_| keyed("k"))] {
        refused(result, Kind::Unimplemented, &["CommandGetSqlInfo"]);
    }
}

#[test]
fn paths() {
    assert_eq!(for_path(&["k"]).unwrap(), keyed("k"));
    assert_eq!(for_path(&["k", "obsm", "X_pca"]).unwrap(), SliceRequest { node: "obsm/X_pca".into(), ..keyed("k") });
    refused(for_path::<&str>(&[]), Kind::InvalidArgument, &["empty path"]);
    refused(for_path(&["", "X"]), Kind::InvalidArgument, &["empty key"]);
}

#[test]
fn the_requests_of_the_documentation_are_read() {
    let blocks = include_str!("../../docs/wire.md").split("```json request\n").skip(1);
    let requests: Vec<_> = blocks.map(|block| decode(block.split("```").next().unwrap()).unwrap()).collect();
    assert_eq!(requests.len(), 6);
    assert_eq!((requests[0].obs.len(), requests[0].var.len()), (1, 1));
    assert_eq!(requests[1].axes.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1, 0]);
}

#[test]
fn a_key_of_any_length_is_not_taken_for_json() {
    // A newline is the tag of the key; a length of 123 is the byte `{`, others are spaces.
    for length in 1..400 {
        for begin in ["k", "{"] {
            let request = keyed(&format!("{begin}{}", "k".repeat(length - 1)));
            assert_eq!(decode_command(&encode_request(&request), MAX_TICKET_BYTES).unwrap(), request, "{length}");
        }
    }
}

fn any_selector() -> impl Strategy<Value = Selector> {
    prop_oneof![
        Just(Selector::All),
        (any::<Option<i64>>(), any::<Option<i64>>(), any::<Option<i64>>())
            .prop_map(|(start, stop, step)| { Selector::Slice { start, stop, step: step.filter(|step| *step != 0) } }),
        any::<Vec<i64>>().prop_map(Selector::Index),
        any::<i64>().prop_map(Selector::Integer),
        any::<Vec<u8>>().prop_map(|bits| Selector::Mask { length: Some(bits.len() as u64 * 8), bits }),
        any::<Vec<u8>>().prop_map(|bits| Selector::Mask { bits, length: None }),
        any::<Vec<String>>().prop_map(Selector::Names),
        any::<String>().prop_map(Selector::Where),
    ]
}

fn any_selectors() -> impl Strategy<Value = Vec<Selector>> {
    prop::collection::vec(any_selector(), 0..3)
}

fn any_source() -> impl Strategy<Value = Source> {
    // No key begins with a quote: see `is_json`.
    prop_oneof![
        ("[^\"}{\\s].{0,200}", any::<Option<String>>()).prop_map(|(key, version)| Source::Key { key, version }),
        ".{1,40}".prop_map(Source::Uid),
        ".{1,40}".prop_map(Source::Collection),
        proptest::sample::select(crate::model::request::RegistryTable::ALL.to_vec()).prop_map(Source::Registry),
        ".{1,200}".prop_map(Source::Url),
    ]
}

prop_compose! {
    fn any_request()(
        source in any_source(),
        node in ".{0,40}",
        (obs, var) in (any_selectors(), any_selectors()),
        axes in prop::collection::vec(any_selectors(), 0..4),
        numpy_slice in any::<Option<String>>(),
        columns in any::<Option<Vec<String>>>(),
        filter in any::<Option<String>>(),
        substrait_filter in any::<Option<Vec<u8>>>(),
        (limit, offset) in any::<(Option<u64>, Option<u64>)>(),
        with_obs in any::<Vec<String>>(),
        (with_index, squeeze, hive) in any::<(bool, bool, bool)>(),
        join in prop::sample::select(vec![None, Some(Join::Inner), Some(Join::Outer)]),
        layout in prop::sample::select(vec![
            Layout::Auto, Layout::Rows, Layout::Wide, Layout::Sparse, Layout::Dense, Layout::Coo,
        ]),
        (max_batch_bytes, max_batch_rows) in prop::option::of(1_u64..).prop_flat_map(|bytes| {
            (Just(bytes), prop::option::of(1_u64..))
        }),
    ) -> SliceRequest {
        let named = !obs.is_empty() || !var.is_empty();
        let axes = if named { Vec::new() } else { axes };
        let numpy_slice = numpy_slice.filter(|_| axes.is_empty() && !named);
        let substrait_filter = substrait_filter.filter(|_| filter.is_none());
        let partitioning = if hive { Partitioning::Hive } else { Partitioning::None };
        SliceRequest {
            source, node, obs, var, axes, numpy_slice, columns, filter, substrait_filter, limit, offset, partitioning,
            with_obs, with_index, layout, squeeze, max_batch_bytes, max_batch_rows, join,
        }
    }
}

proptest! {
    #[test]
    fn a_request_survives_protobuf(request in any_request()) {
        prop_assert_eq!(decode_command(&encode_request(&request), MAX_TICKET_BYTES).unwrap(), request);
    }

    #[test]
    fn a_server_ticket_survives(
        request in any_request(),
        rows in prop::option::of((any::<u32>(), any::<u32>())),
        pins in prop::collection::vec(("[a-z]{20}", ".{0,20}"), 0..4),
    ) {
        let ticket = ServerTicket {
            request,
            rows: rows.map(|(start, count)| start.into()..u64::from(start) + u64::from(count)),
            pins: pins.into_iter().map(|(uid, etag)| Pin { uid, etag }).collect(),
        };
        let bytes = ticket.encode();
        prop_assert!(bytes.starts_with(SERVER_TICKET_PREFIX));
        prop_assert_eq!(decode_ticket(&bytes, MAX_TICKET_BYTES).unwrap(), Ticket::Server(ticket));
    }

    #[test]
    fn no_bytes_panic(bytes in any::<Vec<u8>>(), prefix in prop::sample::select(vec!["", "SFT1", "{", "\n", "{\"key\":"])) {
        let bytes = [prefix.as_bytes(), &bytes].concat();
        let _ = decode_ticket(&bytes, MAX_TICKET_BYTES);
        let _ = decode_command(&bytes, MAX_TICKET_BYTES);
    }

    #[test]
    fn bytes_cut_or_changed_never_panic(request in any_request(), at in any::<prop::sample::Index>(), value in any::<u8>()) {
        let mut bytes = ServerTicket { request, rows: Some(3..9), pins: Vec::new() }.encode();
        let at = at.index(bytes.len());
        let _ = decode_ticket(&bytes[..at], MAX_TICKET_BYTES);
        bytes[at] = value;
        let _ = decode_ticket(&bytes, MAX_TICKET_BYTES);
    }
}
