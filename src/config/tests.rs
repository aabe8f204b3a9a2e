//! Layers, values and mistakes of the configuration.

use std::path::PathBuf;
use std::time::Duration;

use super::key::KEYS;
use super::value::Raw;
use super::{Config, Layers};
use crate::engine::{LaminDb, MergeGap};
use crate::error::{Kind, Result};

const EXAMPLE: &str = include_str!("../../sliceflight.toml");

fn load(file: &str, environment: &[(&str, &str)], flags: &[(&'static str, &str)]) -> Result<Config> {
    Config::load(Layers {
        file: Some((PathBuf::from("s.toml"), file.into())),
        environment: environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        flags: flags.iter().map(|(name, value)| (*name, (*value).into())).collect(),
    })
}

#[test]
fn the_example_file_documents_every_key_and_equals_the_defaults() {
    assert_eq!(load(EXAMPLE, &[], &[]).unwrap(), Config::default());
    for key in KEYS {
        let (section, name) = key.name.rsplit_once('.').unwrap_or(("", key.name));
        assert!(EXAMPLE.contains(&format!("\n{name} = ")), "{} is not in sliceflight.toml", key.name);
        assert!(section.is_empty() || EXAMPLE.contains(&format!("[{section}]")), "{section}");
    }
    // The commented tables are examples that parse.
    let commented = |header: &str| -> String {
        let lines = EXAMPLE.lines().skip_while(|line| *line != header);
        lines.map_while(|line| line.strip_prefix("# ")).map(|line| line.to_owned() + "\n").collect()
    };
    let storages = load(&commented("# [[storage]]"), &[], &[]).unwrap().storages;
    assert_eq!((storages.len(), storages[0].root.as_str()), (3, "s3://my-bucket/data"));
    assert_eq!(storages[2].options["redirects"], "cdn.example.org");
    let instance = load(&commented("# [[lamindb]]"), &[], &[]).unwrap().instances.swap_remove(0);
    let defaults = LaminDb::new("s3://my-bucket/instance");
    assert_eq!(instance.name.as_deref(), Some("lab"));
    assert_eq!((&instance.url, instance.refresh), (&defaults.url, defaults.refresh));
    assert_eq!((instance.database_bytes, instance.check_hashes), (defaults.database_bytes, defaults.check_hashes));
}

#[test]
fn later_layers_win() {
    let file = "listen = '0.0.0.0:1'\nregistry = 'a.db'\n[limits]\nmemory_budget = '2 GiB'";
    let environment = [("SLICEFLIGHT_LISTEN", "0.0.0.0:2"), ("SLICEFLIGHT_LIMITS_DRAIN_TIME", "5s"), ("PATH", "x")];
    let config = load(file, &environment, &[("listen", "0.0.0.0:3")]).unwrap();
    assert_eq!(config.listen, "0.0.0.0:3");
    assert_eq!(config.registry, PathBuf::from("a.db"));
    assert_eq!(config.limits.memory_budget, 2 << 30);
    assert_eq!(config.transport.drain_time, Duration::from_secs(5));
    assert_eq!(load(file, &environment, &[]).unwrap().listen, "0.0.0.0:2");
}

#[test]
fn every_mistake_is_reported_at_once_with_its_key() {
    let file = "lissen = 'x'\nallow_register = 'perhaps'\n[limits]\nmemory_budget = 'lots'\nmessage_bytes = '4 MiB'\n\
                drain_time = 30\ndecode_threads = -1\n[limts]\na = 1\n[[storage]]\noptions = { key = [1] }\nrot = 's3://b'";
    let environment = [("SLICEFLIGHT_NONSENSE", "1"), ("SLICEFLIGHT_LOG", "=x=")];
    let error = load(file, &environment, &[("listen", "nowhere")]).unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidArgument);
    for words in [
        "s.toml: lissen: unknown key",
        "s.toml: allow_register: expected true or false, found 'perhaps'",
        "s.toml: limits.memory_budget: expected a size such as '64 MiB' or 1000000, found 'lots'",
        "s.toml: limits.message_bytes: 4194304 bytes is over the maximum of 3670016",
        "s.toml: limits.drain_time: expected a time such as '30s' or '100ms', found 30",
        "s.toml: limits.decode_threads: expected a whole number of at least 0, found -1",
        "s.toml: limts: unknown key",
        "s.toml: storage[0].options.key: expected a text",
        "s.toml: storage[0].rot: unknown key",
        "s.toml: storage[0].root: missing",
        "SLICEFLIGHT_NONSENSE: no such key",
        "SLICEFLIGHT_LOG: expected a log filter",
        "--listen: expected HOST:PORT, found 'nowhere'",
    ] {
        assert!(error.message().contains(words), "'{words}' is not in: {error}");
    }
    assert_eq!(error.message().lines().count(), 14, "{error}");
}

#[test]
fn values_must_fit_together() {
    let error = load("[limits]\nmemory_budget = '100 MiB'\nrequests_in_flight = 3", &[], &[]).unwrap_err();
    assert!(error.message().contains("limits.stream_memory"), "{error}");
    assert!(error.message().contains("limits.requests_in_flight_per_stream"), "{error}");
}

#[test]
fn secrets_are_never_shown() {
    let file = "[[storage]]\nroot = 's3://b'\noptions = { aws_secret_access_key = 'hush', aws_region = 'r' }";
    let config = load(file, &[], &[]).unwrap();
    assert_eq!(config.storages[0].options["aws_secret_access_key"], "hush");
    for shown in [format!("{config:?}"), format!("{:?}", config.engine_options())] {
        assert!(!shown.contains("hush") && shown.contains("aws_secret_access_key"), "{shown}");
    }
    // A line that does not parse may hold a secret, so it is not quoted.
    let error = load("[[storage]]\noptions = { aws_secret_access_key = 'hush }", &[], &[]).unwrap_err();
    assert!(error.message().contains("line 2") && !error.message().contains("hush"), "{error}");
}

#[test]
fn sizes_and_durations() {
    let size = |text: &str| Raw::Text(text.into()).size().ok();
    for (text, expected) in [
        ("64 MiB", Some(64 << 20)),
        ("2MiB", Some(2 << 20)),
        ("1000000", Some(1_000_000)),
        ("5 GB", Some(5_000_000_000)),
        ("7 b", Some(7)),
        ("1.5 MiB", None),
        ("-1", None),
        ("MiB", None),
        ("3 MiX", None),
        ("99999999 TiB", None),
        ("", None),
    ] {
        assert_eq!(size(text), expected, "{text}");
    }
    let duration = |text: &str| Raw::Text(text.into()).duration().ok();
    for (text, expected) in [
        ("30s", Some(Duration::from_secs(30))),
        ("100 ms", Some(Duration::from_millis(100))),
        ("5m", Some(Duration::from_secs(300))),
        ("1h", Some(Duration::from_secs(3600))),
        ("30", None),
        ("s", None),
    ] {
        assert_eq!(duration(text), expected, "{text}");
    }
}

#[test]
fn the_merge_gap_is_auto_or_a_size() {
    let gap =
        |text: &str| load(&format!("[limits]\nmerge_gap = {text}"), &[], &[]).map(|config| config.limits.merge_gap);
    assert_eq!(gap("'auto'").unwrap(), MergeGap::Auto);
    assert_eq!(gap("'64 KiB'").unwrap(), MergeGap::Bytes(64 << 10));
    assert_eq!(gap("0").unwrap(), MergeGap::Bytes(0));
    let error = gap("'wide'").unwrap_err();
    assert!(error.message().contains("limits.merge_gap: expected 'auto' or a size"), "{error}");
}
