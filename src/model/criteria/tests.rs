//! What the JSON of criteria means, and what is refused with which words.

use serde_json::{Value, json};

use super::*;
use crate::error::Kind;

fn read(value: Value) -> Result<Criteria> {
    let Value::Object(fields) = value else { unreachable!("not an object: {value}") };
    Criteria::from_json(fields)
}

#[test]
fn every_field_has_its_form() {
    let labels = json!(["a", {"name": "b"}, {"name": "c", "feature": "f"}]);
    let all = json!({
        "type": "artifact", "key": "a/*.h5ad", "key_prefix": "a/", "suffix": ".h5ad", "kind": "h5ad", "label": "x",
        "labels": labels, "collection": "cells", "created_by": "me", "created_at": {"from": "2026-01-02"},
        "size": {"min": 1, "max": 1}, "n_observations": {"max": 7}, "description": "d", "search": "two words",
        "all_versions": true, "trashed": true, "limit": 3, "page_token": "t",
    });
    let criteria = read(all.clone()).unwrap();
    assert_eq!(criteria.entry_type, Some(EntryType::Artifact));
    assert_eq!(criteria.kind, Some(ArtifactKind::H5ad));
    assert_eq!(criteria.size, Some(CountRange { min: Some(1), max: Some(1) }));
    let label =
        |name: &str, feature: Option<&str>| FeatureLabel { name: name.into(), feature: feature.map(Into::into) };
    assert_eq!(criteria.labels, [label("a", None), label("b", None), label("c", Some("f"))]);
    assert_eq!(criteria.all_labels()[0], label("x", None));
    // The other way round it is the same, in the shorter forms.
    let mut shown = all;
    shown["labels"][1] = json!("b");
    shown["created_at"]["from"] = json!("2026-01-02T00:00:00.000000Z");
    assert_eq!(serde_json::to_value(&criteria).unwrap(), shown);
    assert_eq!(read(shown).unwrap(), criteria);
    assert_eq!(serde_json::to_value(Criteria::default()).unwrap(), json!({}));
    assert_eq!(read(json!({"key": null, "size": {"min": null}})).unwrap().key, None);
}

#[test]
fn what_is_wrong_is_named() {
    let rows = [
        (json!({"color": "red"}), &["unknown field `color`", "key_prefix", "page_token"][..]),
        (json!({"key": 3}), &["'key'", "3", "string"]),
        (json!({"key": "a[b"}), &["'key'", "\"a[b\"", "without its ']'"]),
        (json!({"key": "a[]"}), &["'key'", "without its ']'"]),
        (json!({"kind": "h5"}), &["'kind'", "`h5`", "`h5ad`"]),
        (json!({"type": "label"}), &["'type'", "`label`", "`collection`"]),
        (json!({"limit": 5, "suffix": []}), &["'suffix'", "string"]),
        (json!({"labels": "a"}), &["'labels'", "\"a\""]),
        (json!({"labels": [1]}), &["'labels'", "the name of a label"]),
        (json!({"labels": [{"feature": "f"}]}), &["'labels'", "`name`"]),
        (json!({"labels": [{"name": "a", "of": "f"}]}), &["'labels'", "`of`", "`feature`"]),
        (json!({"labels": vec!["a"; MAX_LABELS + 1]}), &["'labels'", "65", "64"]),
        (json!({"created_at": {"from": "yesterday"}}), &["'created_at'", "\"yesterday\"", "RFC 3339"]),
        (json!({"created_at": {"since": "2026-01-01"}}), &["'created_at'", "`since`", "`from`"]),
        (json!({"created_at": {"from": "2026-01-02", "to": "2026-01-01"}}), &["'created_at'", "after its to"]),
        (json!({"size": {"min": 3, "max": 2}}), &["'size'", "min 3", "max 2"]),
        (json!({"n_observations": {"min": -1}}), &["'n_observations'", "-1"]),
        (json!({"size": {"from": 1}}), &["'size'", "`from`", "`min`"]),
        (json!({"search": " -. "}), &["'search'", "no word"]),
        (json!({"search": "a ".repeat(MAX_WORDS + 1)}), &["'search'", "33 words", "32"]),
        (json!({"description": "a\0"}), &["'description'", "character 0"]),
        (json!({"label": "a".repeat(MAX_TEXT_BYTES + 1)}), &["'label'", "4097", "4096"]),
        (json!({"all_versions": "yes"}), &["'all_versions'", "boolean"]),
        (json!({"limit": 1.5}), &["'limit'", "1.5"]),
    ];
    for (criteria, words) in rows {
        let error = read(criteria.clone()).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidArgument);
        for word in words {
            assert!(error.message().contains(word), "'{word}' is not in: {error}");
        }
    }
}

#[test]
fn moments_are_read_strictly_and_rounded_up() {
    let rows = [
        ("1970-01-01", Some((0, "1970-01-01T00:00:00.000Z"))),
        ("1970-01-01T01:00:00+01:00", Some((0, "1970-01-01T00:00:00.000Z"))),
        ("1969-12-31T23:59:59.9995Z", Some((-500, "1970-01-01T00:00:00.000Z"))),
        ("1970-01-01T00:00:00.0000001Z", Some((1, "1970-01-01T00:00:00.001Z"))),
        ("2024-02-29 12:00:00.123Z", Some((1_709_208_000_123_000, "2024-02-29T12:00:00.123Z"))),
        ("2024-02-29T12:00:00.123001Z", Some((1_709_208_000_123_001, "2024-02-29T12:00:00.124Z"))),
        ("2023-02-29", None),
        ("2024-2-29", None),
        ("2024-02-29T12:00:00", None),
        ("+024-02-29", None),
        ("+10000-01-01", None),
        ("", None),
        ("1700000000", None),
    ];
    for (text, expected) in rows {
        let moment = Moment::parse(text);
        let found = moment.as_ref().ok().map(|moment| (moment.microseconds(), moment.to_milliseconds()));
        assert_eq!(found, expected.map(|(count, text)| (count, text.to_owned())), "{text}");
    }
}

#[test]
fn patterns_match_as_globs() {
    let rows = [
        ("a/b.h5ad", "a/b.h5ad", true),
        ("a/b.h5ad", "a/b.h5ad2", false),
        ("a/*.h5ad", "a/x/y.h5ad", true),
        ("a/*.h5ad", "a/x.zarr", false),
        ("?", "ä", true),
        ("?", "", false),
        ("*", "", true),
        ("[a-c]x", "bx", true),
        ("[^a-c]x", "bx", false),
        ("[]]", "]", true),
        ("[^]]", "]", false),
        ("[[]", "[", true),
        ("[a-]", "-", true),
        ("*a*b*c", "xxaxxbxxc", true),
        ("*a*b*c", "xxbxxaxxc", false),
        ("A", "a", false),
    ];
    for (pattern, key, expected) in rows {
        assert_eq!(KeyPattern::parse(pattern).unwrap().matches(key), expected, "{pattern} {key}");
    }
    assert_eq!(KeyPattern::parse("a/b*c").unwrap().literal_prefix(), "a/b");
    assert!(KeyPattern::parse("a/b").unwrap().is_exact());
}

#[test]
fn collections_meet_what_they_have() {
    let wants = |value: Value| {
        let criteria = read(value).unwrap();
        (criteria.wants_artifacts(), criteria.wants_collections())
    };
    assert_eq!(wants(json!({})), (true, true));
    assert_eq!(wants(json!({"key": "a*", "description": "x", "created_by": "me", "limit": 3})), (true, true));
    assert_eq!(wants(json!({"type": "collection"})), (false, true));
    assert_eq!(wants(json!({"type": "artifact"})), (true, false));
    assert_eq!(wants(json!({"type": "collection", "labels": ["a"]})), (false, false));
    for artifacts_only in [json!({"label": "a"}), json!({"search": "a"}), json!({"size": {}}), json!({"trashed": true})]
    {
        assert_eq!(wants(artifacts_only), (true, false));
    }
}
