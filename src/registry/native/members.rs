//! Changing which artifacts a collection holds.

use std::collections::HashSet;

use rusqlite::{Transaction, params};

use super::collection::{self, MEMBERS, member_ids, resolve};
use super::{NativeRegistry, failure, find};
use crate::error::{Error, Result};
use crate::model::artifact::Collection;
use crate::model::page::{Member, Part, Position};
use crate::model::request::Source;
use crate::registry::parts;

impl NativeRegistry {
    /// At most `limit` members of all collections, by key of the collection and place in it, from `after` on.
    ///
    /// # Errors
    /// `Unavailable` when the database cannot be read.
    pub async fn members_part(&self, after: Option<Position>, limit: u64) -> Result<Part<Member>> {
        self.read(move |transaction| members_part(transaction, after, limit)).await
    }

    /// Takes members out of a collection, then adds others at its end.
    ///
    /// # Errors
    /// `NotFound` as [`NativeRegistry::artifact`] and [`NativeRegistry::collection`] and for what is no
    /// member, `InvalidArgument` for one that is a member already, and when none or more than 100,000 would be
    /// left. Nothing is changed then.
    pub async fn change_members(&self, key_or_uid: &str, add: &[Source], remove: &[Source]) -> Result<Collection> {
        let name = key_or_uid.to_owned();
        let (add, remove) = (add.to_vec(), remove.to_vec());
        self.write(move |transaction| {
            let id = collection::require(transaction, &name)?;
            let mut members = member_ids(transaction, id)?;
            let gone = remove.iter().map(|source| member(transaction, id, source));
            let gone: HashSet<i64> = gone.collect::<Result<_>>()?;
            members.retain(|member| !gone.contains(member));
            let kept: HashSet<i64> = members.iter().copied().collect();
            for added in resolve(transaction, &add)? {
                if kept.contains(&added) {
                    let key = super::register::by_id(transaction, added)?.artifact.key;
                    return Err(Error::invalid(format!("the artifact {key:?} is a member of {name:?} already")));
                }
                members.push(added);
            }
            replace(transaction, id, &members)?;
            collection::find(transaction, &name)
        })
        .await
    }
}

fn members_part(transaction: &Transaction<'_>, after: Option<Position>, limit: u64) -> Result<Part<Member>> {
    let (key, place) = parts::member_place(after)?;
    let sql = format!(
        "SELECT c.uid, c.key, m.position, a.uid, a.key, a.version FROM collections c \
         CROSS JOIN collection_members m ON m.collection_id = c.id CROSS JOIN artifacts a ON a.id = m.artifact_id \
         WHERE c.key >= ?1 AND (c.key > ?1 OR m.position > ?2) ORDER BY c.key, m.position LIMIT {}",
        limit + 1
    );
    let mut statement = transaction.prepare_cached(&sql).map_err(failure::of)?;
    let rows = statement.query_map(params![key, place], parts::member).map_err(failure::of)?;
    Ok(parts::members(rows.collect::<rusqlite::Result<_>>().map_err(failure::of)?, limit))
}

/// The member that `source` names: of a key without a version, the version that is a member.
fn member(transaction: &Transaction<'_>, collection: i64, source: &Source) -> Result<i64> {
    let found = match source {
        Source::Key { key, version: None } => {
            let sql = "SELECT a.id FROM collection_members m JOIN artifacts a ON a.id = m.artifact_id \
                WHERE m.collection_id = ?1 AND a.key = ?2";
            let mut statement = transaction.prepare_cached(sql).map_err(failure::of)?;
            let rows = statement.query_map(params![collection, key], |row| row.get(0)).map_err(failure::of)?;
            rows.collect::<rusqlite::Result<Vec<i64>>>().map_err(failure::of)?
        }
        _ => {
            let id = find::artifact(transaction, source)?.id;
            let sql = "SELECT artifact_id FROM collection_members WHERE collection_id = ?1 AND artifact_id = ?2";
            let mut statement = transaction.prepare_cached(sql).map_err(failure::of)?;
            let rows = statement.query_map([collection, id], |row| row.get(0)).map_err(failure::of)?;
            rows.collect::<rusqlite::Result<Vec<i64>>>().map_err(failure::of)?
        }
    };
    let named = match source {
        Source::Key { key, .. } => key.as_str(),
        Source::Uid(name) | Source::Url(name) | Source::Collection(name) => name,
        Source::Registry(table) => table.name(),
    };
    match found.as_slice() {
        [id] => Ok(*id),
        [] => Err(Error::not_found(format!("{named:?} is no member of the collection"))),
        several => {
            let count = several.len();
            Err(Error::invalid(format!("{count} versions of {named:?} are members: name one by its uid")))
        }
    }
}

fn replace(transaction: &Transaction<'_>, id: i64, members: &[i64]) -> Result<()> {
    if members.is_empty() || members.len() > MEMBERS {
        let found = members.len();
        return Err(Error::invalid(format!("a collection has 1 to {MEMBERS} members, it would have {found}")));
    }
    transaction.execute("DELETE FROM collection_members WHERE collection_id = ?1", [id]).map_err(failure::of)?;
    collection::insert_members(transaction, id, members)
}
