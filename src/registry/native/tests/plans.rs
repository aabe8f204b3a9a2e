//! How much of a large registry a page reads: indexes are used, and the work does not grow with the registry.

use rusqlite::{Connection, StatementStatus, TransactionBehavior};
use serde_json::{Value, json};

use super::{NativeRegistry, labels, new};
use crate::model::criteria::Criteria;
use crate::model::page::Entry;
use crate::registry::native::query::Query;
use crate::registry::native::{NewArtifact, artifact};

/// Adds `count` artifacts: one in two has the label `half`, one in fifty `rare`.
fn fill(registry: &NativeRegistry, count: u32) {
    let mut connection = Connection::open(registry.path()).unwrap();
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    let numbers =
        format!("WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {count}) ");
    let statements = [
        "INSERT INTO families (id, key, stem, next_version) SELECT n + 100, \
            printf('project%02d/sample%06d.h5ad', n % 40, n), printf('%016d', n), 1 FROM numbers",
        "INSERT INTO artifacts (id, family_id, uid, key, version, is_latest, suffix, kind, url, size, n_observations, \
            etag, description, created_at, created_by) SELECT n + 100, n + 100, printf('%016d0000', n), \
            printf('project%02d/sample%06d.h5ad', n % 40, n), 0, 1, iif(n % 2, '.h5ad', '.zarr'), \
            iif(n % 2, 'h5ad', 'zarr'), printf('s3://bucket/%d', n), n, n, 'e', 'words', \
            '2026-01-01T00:00:00.000Z', iif(n % 3, 'me', 'you') FROM numbers",
        "INSERT INTO labelled SELECT a.id, l.id, '', 1, 1, a.key, a.uid FROM artifacts a, labels l \
            WHERE a.id >= 100 AND (l.name = 'half' AND a.id % 2 = 0 OR l.name = 'rare' AND a.id % 50 = 0)",
        "INSERT INTO artifact_search (rowid, key, description, labels) SELECT id, key, description, '' \
            FROM artifacts WHERE id >= 100",
    ];
    for statement in statements {
        let with = if statement.contains("FROM numbers") { numbers.as_str() } else { "" };
        transaction.execute(&format!("{with}{statement}"), []).unwrap();
    }
    transaction.commit().unwrap();
}

async fn large(count: u32) -> (tempfile::TempDir, NativeRegistry) {
    let (folder, registry) = super::empty().await;
    registry.register(NewArtifact { labels: labels(&["half", "rare"]), ..new("a", "e") }).await.unwrap();
    fill(&registry, count);
    (folder, registry)
}

/// The plan of a first page, as SQLite explains it, and the steps that its machine takes for it.
async fn cost(registry: &NativeRegistry, criteria: &Value) -> (String, i32) {
    let Value::Object(fields) = criteria.clone() else { panic!("not an object") };
    let criteria = Criteria::from_json(fields).unwrap();
    registry
        .read(move |transaction| {
            let query = Query::new(transaction, &criteria, None)?.unwrap();
            let sql = query.sql(51, 0);
            let mut explained = transaction.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let lines = explained.query_map(query.values(), |row| row.get::<_, String>(3)).unwrap();
            let plan: Vec<String> = lines.map(Result::unwrap).collect();
            let mut statement = transaction.prepare(&sql).unwrap();
            let mut rows = statement.query(query.values()).unwrap();
            while let Some(row) = rows.next().unwrap() {
                artifact::from_row(row).unwrap();
            }
            drop(rows);
            Ok((plan.join("; "), statement.get_status(StatementStatus::VmStep)))
        })
        .await
        .unwrap()
}

#[tokio::test]
async fn pages_read_about_what_they_show() {
    let (_small_folder, small) = large(2_000).await;
    let (_large_folder, large) = large(20_000).await;
    let rows = [
        (json!({}), "artifacts_listed", true),
        (json!({"key": "project01/sample000041.h5ad"}), "artifacts_key", true),
        (json!({"key_prefix": "project03/"}), "artifacts_listed", true),
        (json!({"key": "project03/*"}), "artifacts_listed", true),
        (json!({"suffix": ".zarr"}), "artifacts_suffix", true),
        (json!({"kind": "h5ad", "key_prefix": "project03/"}), "artifacts_kind", true),
        (json!({"created_by": "me"}), "artifacts_created_by", true),
        (json!({"label": "half"}), "labelled_latest", true),
        (json!({"label": "rare"}), "labelled_latest", true),
        (json!({"labels": ["half", "rare"]}), "labelled_latest", true),
        (json!({"label": "half", "all_versions": true}), "labelled_any", true),
        (json!({"all_versions": true}), "artifacts_key", true),
        (json!({"trashed": true}), "artifacts_trashed", true),
        (json!({"size": {"min": 100, "max": 180}}), "artifacts_size", false),
        (json!({"n_observations": {"max": 70}}), "artifacts_n_observations", false),
        (json!({"size": {"min": 100}}), "artifacts_listed", true),
        (json!({"search": "sample000777"}), "VIRTUAL TABLE", false),
        (json!({"search": "words"}), "VIRTUAL TABLE", true),
    ];
    for (criteria, index, in_order) in rows {
        let (plan, steps) = cost(&large, &criteria).await;
        assert!(plan.contains(index), "{criteria}: {plan}");
        assert_eq!(plan.contains("TEMP B-TREE"), !in_order, "{criteria}: {plan}");
        let (_, before) = cost(&small, &criteria).await;
        assert!(steps < 20_000 && steps <= before * 2 + 500, "{criteria}: {before} steps, then {steps}: {plan}");
    }
}

/// Uids of all that has the words, in pages of `limit`.
async fn found(registry: &NativeRegistry, words: &str, limit: u64) -> Vec<String> {
    let criteria = Criteria { search: Some(words.into()), ..Criteria::default() };
    let (mut uids, mut after) = (Vec::new(), None);
    loop {
        let part = registry.part(&criteria, after, limit).await.unwrap();
        for entry in part.entries {
            let Entry::Artifact(artifact) = entry else { panic!("not an artifact") };
            uids.push(artifact.uid);
        }
        after = part.next;
        if after.is_none() {
            return uids;
        }
    }
}

#[tokio::test]
async fn words_of_many_artifacts_give_the_newest_first() {
    let (_folder, registry) = large(2_500).await;
    let all = found(&registry, "words", 600).await;
    let newest: Vec<String> = (0..2_500).rev().map(|number| format!("{number:016}0000")).collect();
    assert_eq!(all, newest);
    // The one whose description is nothing but the word is the best of a few.
    let best = registry.register(NewArtifact { description: Some("project07".into()), ..new("z", "e") }).await.unwrap();
    let ranked = found(&registry, "project07", 10).await;
    assert_eq!((ranked.len(), &ranked[0]), (63 + 1, &best.artifact.uid));
    let mut once = ranked.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), ranked.len());
}

#[tokio::test]
async fn the_next_page_begins_where_the_last_one_ended() {
    let (_folder, registry) = large(5_000).await;
    let criteria = Criteria { label: Some("half".into()), ..Criteria::default() };
    let first = registry.part(&criteria, None, 2_000).await.unwrap();
    let Some(after) = first.next else { panic!("there is more") };
    let steps = registry
        .read(move |transaction| {
            let query = Query::new(transaction, &criteria, Some(&after))?.unwrap();
            let mut statement = transaction.prepare(&query.sql(10, 0)).unwrap();
            let count = statement.query_map(query.values(), |_| Ok(())).unwrap().count();
            assert_eq!(count, 10);
            Ok(statement.get_status(StatementStatus::VmStep))
        })
        .await
        .unwrap();
    assert!(steps < 2_000, "{steps}");
}
