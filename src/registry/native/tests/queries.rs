//! Random artifacts under random criteria: what SQL answers is what plain Rust filters, whatever the pages.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rusqlite::Connection;

use super::{NativeRegistry, NewArtifact, new};
use crate::model::artifact::{Artifact, ArtifactKind};
use crate::model::criteria::{CountRange, Criteria, FeatureLabel, KeyPattern, Moment, TimeRange};
use crate::model::page::{Entry, Position};
use crate::model::request::Source;
use crate::registry::native::NewCollection;

const KEYS: [&str; 8] = ["a/x.h5ad", "a/y.h5ad", "a/yz", "b", "b/[x", "ä", "a", "B/x.zarr"];
const SUFFIXES: [&str; 3] = [".h5ad", ".zarr", ""];
const KINDS: [ArtifactKind; 3] = [ArtifactKind::H5ad, ArtifactKind::Zarr, ArtifactKind::Other];
const LABELS: [&str; 3] = ["blood", "lung", "Blood cells"];
const FEATURES: [Option<&str>; 3] = [None, Some("tissue"), Some("organ")];
const DAYS: [&str; 3] = ["2026-01-01", "2026-01-02", "2026-01-03"];
const USERS: [&str; 2] = ["", "me"];
const TEXTS: [Option<&str>; 4] = [None, Some("Peripheral BLOOD"), Some("100% a_b"), Some("lung cells")];

/// One registration.
#[derive(Clone, Debug)]
struct Given {
    key: usize,
    suffix: usize,
    kind: usize,
    labels: Vec<(usize, usize)>,
    day: usize,
    user: usize,
    size: u64,
    rows: Option<u64>,
    text: usize,
    trashed: bool,
    member: bool,
}

fn given() -> impl Strategy<Value = Given> {
    let of = |values: usize| 0..values;
    let labels = prop::collection::vec((of(LABELS.len()), of(FEATURES.len())), 0..3);
    let names = (of(KEYS.len()), of(SUFFIXES.len()), of(KINDS.len()), labels);
    let numbers = (of(DAYS.len()), of(USERS.len()), 0_u64..4, prop::option::of(0_u64..3), of(TEXTS.len()));
    (names, numbers, prop::bool::weighted(0.2), prop::bool::weighted(0.3)).prop_map(
        |((key, suffix, kind, labels), (day, user, size, rows, text), trashed, member)| Given {
            key,
            suffix,
            kind,
            labels,
            day,
            user,
            size,
            rows,
            text,
            trashed,
            member,
        },
    )
}

fn range() -> impl Strategy<Value = Option<CountRange>> {
    let bound = || prop::option::of(0_u64..4);
    prop::option::weighted(0.15, (bound(), bound())).prop_map(|range| {
        let (min, max) = range?;
        Some(CountRange { min, max: max.map(|max| max.max(min.unwrap_or(0))) })
    })
}

fn criteria() -> impl Strategy<Value = Criteria> {
    fn one<T: Clone + std::fmt::Debug + 'static>(
        values: &[T],
        weight: f64,
    ) -> impl Strategy<Value = Option<T>> + use<T> {
        prop::option::weighted(weight, prop::sample::select(values.to_vec()))
    }
    let patterns = ["a/x.h5ad", "*", "a/*", "?", "*x*", "[ab]", "[^a]*", "b/[[]x", "a/y?", "no", "*.h5ad", "ä"];
    let labels = prop::collection::vec((0..LABELS.len() + 1, 0..FEATURES.len()), 0..3);
    let labels = prop_oneof![3 => Just(Vec::new()), 2 => labels];
    let days = prop::option::weighted(0.2, (prop::option::of(0_usize..3), prop::option::of(0_usize..3)));
    let names = (
        one(&patterns, 0.3),
        one(&["a", "a/", "b/", "ä", ""], 0.2),
        one(&SUFFIXES, 0.15),
        one(&KINDS, 0.15),
        labels,
        one(&["members", "none"], 0.15),
    );
    let words = one(&["blood", "lung cel", "x", "a y", "H5AD", "tissue", "periph blood"], 0.2);
    let texts = (one(&USERS, 0.15), days, one(&["blood", "%", "_", "CELLS", "", "\\"], 0.15), words);
    let flags = (prop::bool::weighted(0.3), prop::bool::weighted(0.15));
    (names, texts, flags, range(), range()).prop_map(|(names, texts, (all_versions, trashed), size, n_observations)| {
        let (key, key_prefix, suffix, kind, labels, collection) = names;
        let (created_by, days, description, search) = texts;
        let moment = |day: Option<usize>| day.map(|day| Moment::parse(DAYS[day]).unwrap());
        let label = |(name, feature): (usize, usize)| FeatureLabel {
            name: LABELS.get(name).unwrap_or(&"unknown").to_string(),
            feature: FEATURES[feature].map(str::to_owned),
        };
        Criteria {
            key: key.map(|key| KeyPattern::parse(key).unwrap()),
            key_prefix: key_prefix.map(str::to_owned),
            suffix: suffix.map(str::to_owned),
            kind,
            labels: labels.into_iter().map(label).collect(),
            collection: collection.map(str::to_owned),
            created_by: created_by.map(str::to_owned),
            created_at: days.map(|(from, to)| TimeRange { from: moment(from), to: moment(to) }),
            description: description.map(str::to_owned),
            search: search.map(str::to_owned),
            entry_type: Some(crate::model::criteria::EntryType::Artifact),
            all_versions,
            trashed,
            size,
            n_observations,
            ..Criteria::default()
        }
    })
}

/// Whether the pattern takes the key, one character after the other.
fn globbed(pattern: &[char], key: &[char]) -> bool {
    match (pattern, key) {
        ([], []) => true,
        (['*', rest @ ..], _) => (0..=key.len()).any(|skipped| globbed(rest, &key[skipped..])),
        (['[', '^', set, ']', rest @ ..], [first, key @ ..]) => set != first && globbed(rest, key),
        (['[', a, ']', rest @ ..], [first, key @ ..]) => a == first && globbed(rest, key),
        (['[', a, b, ']', rest @ ..], [first, key @ ..]) => (a == first || b == first) && globbed(rest, key),
        (['?', rest @ ..], [_, key @ ..]) => globbed(rest, key),
        ([one, rest @ ..], [first, key @ ..]) => one != &'[' && one == first && globbed(rest, key),
        _ => false,
    }
}

fn words_of(text: &str) -> Vec<String> {
    let words = text.split(|character: char| !character.is_alphanumeric());
    // The index takes accents away.
    words.filter(|word| !word.is_empty()).map(|word| word.to_lowercase().replace('ä', "a")).collect()
}

fn found_by(words: &str, artifact: &Artifact) -> bool {
    let description = artifact.description.as_deref().unwrap_or("");
    let all = [words_of(&artifact.key), words_of(description), words_of(&artifact.labels.join(" "))].concat();
    words_of(words).iter().all(|word| all.iter().any(|known| known.starts_with(word.as_str())))
}

fn meets(criteria: &Criteria, artifact: &Artifact, member: bool) -> bool {
    let chars = |text: &str| text.chars().collect::<Vec<_>>();
    let within = |range: Option<CountRange>, count: Option<u64>| {
        let Some(CountRange { min, max }) = range else { return true };
        match count {
            Some(count) => min.is_none_or(|min| min <= count) && max.is_none_or(|max| count <= max),
            None => min.is_none() && max.is_none(),
        }
    };
    let labelled = |label: &FeatureLabel| match &label.feature {
        None => artifact.labels.contains(&label.name),
        Some(feature) => artifact.features.get(feature).is_some_and(|names| names.contains(&label.name)),
    };
    let lower = |text: &str| text.to_ascii_lowercase();
    let at = Moment::parse(&artifact.created_at).unwrap();
    let state = match (criteria.trashed, criteria.all_versions || criteria.collection.is_some()) {
        (true, _) => artifact.trashed_at.is_some(),
        (false, true) => artifact.trashed_at.is_none(),
        (false, false) => artifact.is_latest,
    };
    state
        && criteria.key.as_ref().is_none_or(|key| globbed(&chars(key.text()), &chars(&artifact.key)))
        && criteria.key_prefix.as_ref().is_none_or(|prefix| artifact.key.starts_with(prefix.as_str()))
        && criteria.suffix.as_ref().is_none_or(|suffix| artifact.suffix == *suffix)
        && criteria.kind.is_none_or(|kind| artifact.kind == kind)
        && criteria.labels.iter().all(labelled)
        && criteria.collection.as_ref().is_none_or(|name| name == "members" && member)
        && criteria.created_by.as_ref().is_none_or(|user| artifact.created_by == *user)
        && criteria.created_at.and_then(|range| range.from).is_none_or(|from| at >= from)
        && criteria.created_at.and_then(|range| range.to).is_none_or(|to| at < to)
        && within(criteria.size, Some(artifact.size))
        && within(criteria.n_observations, artifact.n_observations)
        && criteria
            .description
            .as_ref()
            .is_none_or(|text| artifact.description.as_ref().is_some_and(|known| lower(known).contains(&lower(text))))
        && criteria.search.as_ref().is_none_or(|words| found_by(words, artifact))
}

/// Registers all; gives the artifacts as they are then, and whether they are members of a collection.
async fn fill(registry: &NativeRegistry, all: &[Given]) -> Vec<(Artifact, bool)> {
    let mut members = Vec::new();
    let mut uids = Vec::new();
    for (number, given) in all.iter().enumerate() {
        let label = |(name, feature): &(usize, usize)| FeatureLabel {
            name: LABELS[*name].into(),
            feature: FEATURES[*feature].map(str::to_owned),
        };
        let artifact = NewArtifact {
            suffix: SUFFIXES[given.suffix].into(),
            kind: KINDS[given.kind],
            size: given.size,
            n_observations: given.rows,
            description: TEXTS[given.text].map(str::to_owned),
            labels: given.labels.iter().map(label).collect(),
            created_by: USERS[given.user].into(),
            ..new(KEYS[given.key], &format!("e{number}"))
        };
        let uid = registry.register(artifact).await.unwrap().artifact.uid;
        let sql = "UPDATE artifacts SET created_at = ?2 WHERE uid = ?1";
        let at = format!("{}T00:00:00.000Z", DAYS[given.day]);
        Connection::open(registry.path()).unwrap().execute(sql, (&uid, at)).unwrap();
        if given.member && !given.trashed {
            members.push(Source::Uid(uid.clone()));
        }
        uids.push(uid);
    }
    if !members.is_empty() {
        let collection = NewCollection { key: "members".into(), members: members.clone(), ..NewCollection::default() };
        registry.create_collection(collection).await.unwrap();
    }
    for (uid, _) in uids.iter().zip(all).filter(|(_, given)| given.trashed) {
        registry.trash(&Source::Uid(uid.clone()), false).await.unwrap();
    }
    let mut artifacts = Vec::new();
    for uid in uids {
        let source = Source::Uid(uid);
        artifacts.push((registry.artifact(&source).await.unwrap(), members.contains(&source)));
    }
    artifacts
}

/// All pages of `limit` entries.
async fn paged(registry: &NativeRegistry, criteria: &Criteria, limit: u64) -> Vec<Artifact> {
    let mut after: Option<Position> = None;
    let mut all = Vec::new();
    loop {
        let part = registry.part(criteria, after, limit).await.unwrap();
        assert!(part.entries.len() as u64 <= limit);
        for entry in part.entries {
            let Entry::Artifact(artifact) = entry else { panic!("not an artifact") };
            all.push(artifact);
        }
        after = part.next;
        if after.is_none() {
            return all;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn sql_answers_what_plain_code_filters(
        all in prop::collection::vec(given(), 0..14),
        asked in prop::collection::vec(criteria(), 12),
        limit in 1_u64..6,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (_folder, registry) = super::empty().await;
            let artifacts = fill(&registry, &all).await;
            for criteria in &asked {
                let mut expected: Vec<&Artifact> = artifacts
                    .iter()
                    .filter(|(artifact, member)| meets(criteria, artifact, *member))
                    .map(|(artifact, _)| artifact)
                    .collect();
                let order = |artifact: &&Artifact| (artifact.key.clone(), std::cmp::Reverse(artifact.version));
                expected.sort_by_key(order);
                let mut found = paged(&registry, criteria, limit).await;
                if criteria.search.is_some() {
                    // The order is the rank, which only the index knows.
                    found.sort_by_key(|artifact| order(&artifact));
                }
                let expected: Vec<Artifact> = expected.into_iter().cloned().collect();
                assert_eq!(found, expected, "{criteria:?}");
            }
        });
    }

    #[test]
    fn patterns_match_as_in_sqlite(pattern in "[ab*?\\[\\]^-]{0,8}", keys in prop::collection::vec("[ab*?\\[\\]^-]{0,6}", 8)) {
        let connection = Connection::open_in_memory().unwrap();
        if let Ok(read) = KeyPattern::parse(pattern.as_str()) {
            for key in keys {
                let expected: bool =
                    connection.query_row("SELECT ?2 GLOB ?1", (&pattern, &key), |row| row.get(0)).unwrap();
                prop_assert_eq!(read.matches(&key), expected, "{} {}", pattern, key);
                prop_assert!(!expected || key.starts_with(read.literal_prefix()));
            }
        }
    }
}

#[tokio::test]
async fn labels_are_looked_up_with_their_counts() {
    use crate::model::lookup::{FeatureCount, LabelEntry, Lookup};
    let (_folder, registry) = super::empty().await;
    let label =
        |name: &str, feature: Option<&str>| FeatureLabel { name: name.into(), feature: feature.map(Into::into) };
    for (key, labels) in [
        ("one", vec![label("lung", Some("tissue")), label("blood", None)]),
        ("two", vec![label("lung", Some("tissue")), label("lung", Some("organ"))]),
        ("three", vec![label("lung", None), label("Lung_2", None)]),
    ] {
        registry.register(NewArtifact { labels, ..new(key, "e") }).await.unwrap();
    }
    // Older versions and the trash do not count.
    registry.register(NewArtifact { labels: vec![label("blood", None)], ..new("one", "e2") }).await.unwrap();
    registry.label(&super::key("one"), &[label("gone", None)]).await.unwrap();
    registry.unlabel(&super::key("one"), &[label("gone", None)]).await.unwrap();
    let entry = |name: &str, n_artifacts: u64, features: &[(&str, u64)]| LabelEntry {
        name: name.into(),
        n_artifacts,
        features: features
            .iter()
            .map(|(name, count)| FeatureCount { name: (*name).into(), n_artifacts: *count })
            .collect(),
    };
    let lung = entry("lung", 2, &[("organ", 1), ("tissue", 1)]);
    let all = [entry("Lung_2", 1, &[]), entry("blood", 1, &[]), lung.clone()];
    let text = |text: &str| Some(text.to_owned());
    for (lookup, expected) in [
        (Lookup::default(), all.to_vec()),
        (Lookup { prefix: text("l"), ..Lookup::default() }, vec![lung.clone()]),
        (Lookup { search: text("LUNG"), ..Lookup::default() }, vec![all[0].clone(), lung.clone()]),
        (Lookup { search: text("_"), ..Lookup::default() }, vec![all[0].clone()]),
        (Lookup { feature: text("tissue"), ..Lookup::default() }, vec![lung.clone()]),
        (Lookup { feature: text("none"), ..Lookup::default() }, vec![]),
    ] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let part = registry.labels(&lookup, after, 1).await.unwrap();
            found.extend(part.entries);
            after = part.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, expected, "{lookup:?}");
    }
    let by_key = |artifact: Artifact| (artifact.labels, artifact.features);
    let (labels, features) = by_key(registry.artifact(&super::key("two")).await.unwrap());
    assert_eq!(labels, ["lung"]);
    let expected = [("organ", vec!["lung".to_owned()]), ("tissue", vec!["lung".to_owned()])];
    assert_eq!(features, BTreeMap::from(expected.map(|(name, labels)| (name.to_owned(), labels))));
}
