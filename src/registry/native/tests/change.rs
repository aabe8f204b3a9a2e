//! Changing the registry: trash, labels, members, descriptions, and files of an older schema.

use rusqlite::Connection;

use super::*;
use crate::model::page::Entry;

fn of_feature(name: &str, feature: &str) -> FeatureLabel {
    FeatureLabel { name: name.into(), feature: Some(feature.into()) }
}

#[tokio::test]
async fn the_trash_hides_and_gives_back() {
    let (_folder, registry) = empty().await;
    let label = || labels(&["l"]);
    let first = registry.register(NewArtifact { labels: label(), ..new("k", "e0") }).await.unwrap().artifact;
    let second = registry.register(NewArtifact { labels: label(), ..new("k", "e1") }).await.unwrap().artifact;
    let by_label = || Criteria { label: Some("l".into()), ..Criteria::default() };
    let trash = || Criteria { trashed: true, ..Criteria::default() };

    assert_eq!(registry.trash(&Source::Uid(second.uid.clone()), false).await.unwrap(), 1);
    assert_eq!(registry.artifact(&key("k")).await.unwrap().uid, first.uid);
    assert_eq!(listed(&registry, by_label()).await[0].uid, first.uid);
    assert_eq!(listed(&registry, trash()).await[0].uid, second.uid);
    // Only the full uid shows it.
    let shown = registry.artifact(&Source::Uid(second.uid.clone())).await.unwrap();
    assert!(shown.trashed_at.is_some() && !shown.is_latest);
    assert_eq!(registry.artifact(&Source::Uid(second.uid[..16].into())).await.unwrap().uid, first.uid);
    let hidden = registry.artifact(&version("k", "1")).await.unwrap_err();
    assert!(hidden.kind() == Kind::NotFound && hidden.message().contains("trash"), "{hidden}");

    assert_eq!(registry.trash(&key("k"), true).await.unwrap(), 1);
    assert!(listed(&registry, Criteria::default()).await.is_empty());
    assert!(searched(&registry, "k", None).await.is_empty());
    for gone in [key("k"), Source::Uid(first.uid[..16].into()), Source::Url(first.url.clone())] {
        assert_eq!(registry.artifact(&gone).await.unwrap_err().kind(), Kind::NotFound, "{gone:?}");
    }
    let again = registry.trash(&Source::Uid(first.uid.clone()), false).await.unwrap_err();
    assert_eq!(again.kind(), Kind::FailedPrecondition);

    // What is registered meanwhile is newer than what comes back.
    let third = registry.register(new("k", "e0")).await.unwrap().artifact;
    assert_eq!(third.version, 2);
    assert_eq!(registry.restore(&key("k")).await.unwrap(), 2);
    assert_eq!(registry.artifact(&key("k")).await.unwrap().uid, third.uid);
    assert_eq!(registry.restore(&key("k")).await.unwrap_err().kind(), Kind::FailedPrecondition);
    registry.trash(&Source::Uid(third.uid.clone()), false).await.unwrap();
    assert_eq!(registry.artifact(&key("k")).await.unwrap().uid, second.uid);
    assert_eq!(listed(&registry, by_label()).await[0].uid, second.uid);
    registry.restore(&Source::Uid(third.uid.clone())).await.unwrap();
    assert_eq!(registry.artifact(&key("k")).await.unwrap().uid, third.uid);
    assert!(listed(&registry, by_label()).await.is_empty());

    registry.trash(&key("k"), true).await.unwrap();
    assert_eq!(registry.remove(&key("k"), true).await.unwrap(), 3);
    assert!(listed(&registry, trash()).await.is_empty());
}

#[tokio::test]
async fn members_are_not_moved_to_the_trash() {
    let (_folder, registry) = empty().await;
    registry.register(new("k", "e")).await.unwrap();
    let set = NewCollection { key: "set".into(), members: vec![key("k")], ..NewCollection::default() };
    registry.create_collection(set).await.unwrap();
    let refused = registry.trash(&key("k"), true).await.unwrap_err();
    assert!(refused.kind() == Kind::FailedPrecondition && refused.message().contains("\"set\""), "{refused}");
    assert!(registry.artifact(&key("k")).await.unwrap().is_latest);
}

#[tokio::test]
async fn labels_come_and_go_with_their_features() {
    let (_folder, registry) = empty().await;
    registry.register(new("k", "e")).await.unwrap();
    let both = [of_feature("lung", "tissue"), of_feature("lung", "organ")];
    let labelled = registry.label(&key("k"), &both).await.unwrap();
    assert_eq!(labelled.labels, ["lung"]);
    assert_eq!(labelled.features.keys().collect::<Vec<_>>(), ["organ", "tissue"]);
    assert_eq!(searched(&registry, "lung", None).await.len(), 1);
    let left = registry.unlabel(&key("k"), &both[..1]).await.unwrap();
    assert_eq!((left.labels.as_slice(), left.features.len()), (&["lung".to_owned()][..], 1));
    // With its last feature a label goes that was not given by itself.
    let left = registry.unlabel(&key("k"), &both[1..]).await.unwrap();
    assert!(left.labels.is_empty() && left.features.is_empty());
    assert!(searched(&registry, "lung", None).await.is_empty());
    registry.label(&key("k"), &[labels(&["lung"]).remove(0), both[0].clone()]).await.unwrap();
    assert_eq!(registry.unlabel(&key("k"), &both[..1]).await.unwrap().labels, ["lung"]);
    let missing = registry.unlabel(&key("k"), &[labels(&["lung"]).remove(0), both[0].clone()]).await.unwrap_err();
    assert!(missing.kind() == Kind::NotFound && missing.message().contains("tissue"), "{missing}");
    assert_eq!(registry.artifact(&key("k")).await.unwrap().labels, ["lung"]);
    let malformed = registry.label(&key("k"), &[of_feature("a", " ")]).await.unwrap_err();
    assert_eq!(malformed.kind(), Kind::InvalidArgument);
}

#[tokio::test]
async fn members_come_and_go() {
    let (_folder, registry) = empty().await;
    for name in ["one", "two", "three"] {
        registry.register(new(name, "e")).await.unwrap();
    }
    let set = NewCollection { key: "set".into(), members: vec![key("one"), key("two")], ..NewCollection::default() };
    registry.create_collection(set).await.unwrap();
    let keys = |collection: crate::model::artifact::Collection| {
        collection.artifacts.into_iter().map(|artifact| artifact.key).collect::<Vec<_>>()
    };
    // The version that is a member goes, also when there is a newer one.
    registry.register(new("one", "e2")).await.unwrap();
    let changed = registry.change_members("set", &[key("three"), key("one")], &[key("one")]).await.unwrap();
    assert_eq!(changed.artifacts[2].version, 1);
    assert_eq!(keys(changed), ["two", "three", "one"]);
    for (add, remove, kind) in [
        (vec![key("two")], vec![], Kind::InvalidArgument),
        (vec![], vec![key("four")], Kind::NotFound),
        (vec![key("four")], vec![], Kind::NotFound),
        (vec![], vec![key("one"), key("two"), key("three")], Kind::InvalidArgument),
    ] {
        assert_eq!(registry.change_members("set", &add, &remove).await.unwrap_err().kind(), kind, "{add:?} {remove:?}");
    }
    assert_eq!(keys(registry.collection("set").await.unwrap()), ["two", "three", "one"]);
    let part = registry.members_part(None, 2).await.unwrap();
    let rest = registry.members_part(part.next, 2).await.unwrap();
    let all: Vec<_> = part.entries.iter().chain(&rest.entries).map(|one| (one.position, &*one.artifact_key)).collect();
    assert_eq!(all, [(0, "two"), (1, "three"), (2, "one")]);
    assert_eq!(rest.next, None);
}

#[tokio::test]
async fn descriptions_change() {
    let (_folder, registry) = empty().await;
    registry.register(new("k", "e")).await.unwrap();
    registry.describe(&key("k"), Some("spleen")).await.unwrap();
    assert_eq!(searched(&registry, "spleen", None).await[0].description.as_deref(), Some("spleen"));
    registry.describe(&key("k"), None).await.unwrap();
    assert!(searched(&registry, "spleen", None).await.is_empty());
    let set = NewCollection { key: "set".into(), members: vec![key("k")], ..NewCollection::default() };
    registry.create_collection(set).await.unwrap();
    registry.describe_collection("set", Some("cells")).await.unwrap();
    let criteria = Criteria { description: Some("CELL".into()), ..Criteria::default() };
    let found = registry.part(&criteria, None, 10).await.unwrap().entries;
    assert!(matches!(&found[..], [Entry::Collection(one)] if one.key == "set"), "{found:?}");
}

#[tokio::test]
async fn a_file_of_the_first_schema_is_brought_up_to_date() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("r.db");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch(include_str!("../migrations/0001_start.sql")).unwrap();
    connection
        .execute_batch(
            "PRAGMA application_id = 0x736c6674;
            CREATE TABLE migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL) STRICT;
            INSERT INTO migrations VALUES (1, 'start', '');
            INSERT INTO families VALUES (1, 'k', 'aaaaaaaaaaaaaaaa', 2);
            INSERT INTO artifacts VALUES
                (1, 1, 'aaaaaaaaaaaaaaaa0000', 'k', 0, 0, '', 'other', 's3://b/k', 1, NULL, NULL, 'e', NULL, ''),
                (2, 1, 'aaaaaaaaaaaaaaaa0001', 'k', 1, 1, '', 'other', 's3://b/k', 1, NULL, NULL, 'f', NULL, '');
            INSERT INTO labels VALUES (1, 'l');
            INSERT INTO artifact_labels VALUES (1, 1), (2, 1);",
        )
        .unwrap();
    drop(connection);
    let registry = NativeRegistry::open(&path).await.unwrap();
    let by_label = Criteria { label: Some("l".into()), ..Criteria::default() };
    assert_eq!(listed(&registry, by_label.clone()).await.len(), 1);
    let all = listed(&registry, Criteria { all_versions: true, ..by_label }).await;
    let shown: Vec<_> = all.iter().map(|one| (one.version, one.labels.len(), one.created_by.as_str())).collect();
    assert_eq!(shown, [(1, 1, ""), (0, 1, "")]);
}
