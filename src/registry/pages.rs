//! Pages over all registries that are served, one after the other: each by itself is asked for a part.

use futures::stream::{self, BoxStream, StreamExt};

use serde::Serialize;

use super::Registry;
use super::lamindb::Instance;
use crate::error::{Error, Result};
use crate::model::criteria::Criteria;
use crate::model::lookup::{LabelEntry, Lookup};
use crate::model::page::{self, DEFAULT_LIMIT, Entry, Member, Page, PageToken, Part, Position};

/// Name of our own registry in page tokens.
const OURS: &str = "";

/// Stands for the query for members in page tokens.
const MEMBERS: &str = "members";

impl Registry {
    /// One page of the artifacts and then the collections that meet the criteria: artifacts by key with the
    /// newest version first, or by rank when words are searched.
    ///
    /// # Errors
    /// `InvalidArgument` for a page token of another query, `Unavailable` when a registry cannot be read.
    pub async fn page(&self, criteria: &Criteria) -> Result<Page<Entry>> {
        self.paged(&criteria.unpaged(), criteria.page_token.as_deref(), criteria.limit).await
    }

    /// All that meets the criteria, up to their limit, read page by page as it is asked for.
    pub fn entries(&self, criteria: Criteria) -> BoxStream<'static, Result<Entry>> {
        let left = criteria.limit.unwrap_or(u64::MAX);
        let state = Some((self.clone(), criteria, left));
        stream::unfold(state, |state| async {
            let (registry, mut criteria, left) = state?;
            criteria.limit = Some(left.min(DEFAULT_LIMIT));
            let page = match registry.page(&criteria).await {
                Ok(page) => page,
                Err(error) => return Some((vec![Err(error)], None)),
            };
            let left = left.saturating_sub(page.entries.len() as u64);
            criteria.page_token = page.next_page_token.filter(|_| left > 0);
            let next = criteria.page_token.is_some().then_some((registry, criteria, left));
            Some((page.entries.into_iter().map(Ok).collect::<Vec<_>>(), next))
        })
        .flat_map(stream::iter)
        .boxed()
    }

    /// One page of the labels that a look-up asks for, by name. A label that several registries have is there
    /// once for each.
    ///
    /// # Errors
    /// As [`Registry::page`].
    pub async fn labels(&self, lookup: &Lookup) -> Result<Page<LabelEntry>> {
        self.paged(&lookup.unpaged(), lookup.page_token.as_deref(), lookup.limit).await
    }

    /// One page of the members of all collections, by key of the collection and place in it.
    ///
    /// # Errors
    /// As [`Registry::page`].
    pub async fn members(&self, page_token: Option<&str>) -> Result<Page<Member>> {
        let place = self.place(page_token, &MEMBERS)?;
        let part = match place.registry.as_str() {
            OURS => self.native.members_part(place.after, DEFAULT_LIMIT).await?,
            name => self.instance(name)?.members_part(place.after, DEFAULT_LIMIT).await?,
        };
        let next = self.following(&place.registry, part.next);
        let next_page_token = next.map(|next| PageToken::text(&MEMBERS, &next.registry, next.after)).transpose()?;
        Ok(Page { entries: part.entries, next_page_token })
    }

    /// Names of the registries, in the order in which they are asked.
    fn names(&self) -> Vec<String> {
        std::iter::once(OURS.to_owned()).chain(self.instances.iter().map(token_name)).collect()
    }

    /// One page of what `query` asks for, from one registry after the other.
    async fn paged<Q: Query>(&self, query: &Q, token: Option<&str>, limit: Option<u64>) -> Result<Page<Q::Entry>> {
        let mut place = self.place(token, query)?;
        let limit = page::page_size(limit);
        let mut entries = Vec::new();
        loop {
            let left = limit.saturating_sub(entries.len() as u64);
            let part = query.part(self, &place.registry, place.after, left).await?;
            entries.extend(part.entries);
            let Some(next) = self.following(&place.registry, part.next) else {
                return Ok(Page { entries, next_page_token: None });
            };
            place = next;
            if entries.len() as u64 >= limit {
                let text = PageToken::text(query, &place.registry, place.after);
                return Ok(Page { entries, next_page_token: (limit > 0).then_some(text).transpose()? });
            }
        }
    }

    fn instance(&self, name: &str) -> Result<&Instance> {
        self.instances.iter().find(|instance| token_name(instance) == name).ok_or_else(|| unknown(name))
    }

    fn place(&self, token: Option<&str>, query: &impl Serialize) -> Result<Place> {
        let Some(token) = token else { return Ok(Place { registry: OURS.to_owned(), after: None }) };
        let PageToken { registry, after, .. } = PageToken::read(token, query)?;
        if !self.names().contains(&registry) {
            return Err(unknown(&registry));
        }
        Ok(Place { registry, after })
    }

    /// Where it goes on after a part of `name`: in the same registry, or at the start of the one after it.
    fn following(&self, name: &str, next: Option<Position>) -> Option<Place> {
        if next.is_some() {
            return Some(Place { registry: name.to_owned(), after: next });
        }
        let mut names = self.names().into_iter().skip_while(|one| one != name);
        names.nth(1).map(|registry| Place { registry, after: None })
    }
}

/// What is asked of each registry by itself.
trait Query: Serialize + Sync {
    type Entry: Send;

    /// At most `limit` entries of the registry called `name`, from `after` on.
    fn part(
        &self,
        registry: &Registry,
        name: &str,
        after: Option<Position>,
        limit: u64,
    ) -> impl Future<Output = Result<Part<Self::Entry>>> + Send;
}

impl Query for Criteria {
    type Entry = Entry;

    async fn part(&self, registry: &Registry, name: &str, after: Option<Position>, limit: u64) -> Result<Part<Entry>> {
        match name {
            OURS => registry.native.part(self, after, limit).await,
            _ => registry.instance(name)?.part(self, after, limit).await,
        }
    }
}

impl Query for Lookup {
    type Entry = LabelEntry;

    async fn part(
        &self,
        registry: &Registry,
        name: &str,
        after: Option<Position>,
        limit: u64,
    ) -> Result<Part<LabelEntry>> {
        match name {
            OURS => registry.native.labels(self, after, limit).await,
            _ => registry.instance(name)?.labels(self, after, limit).await,
        }
    }
}

struct Place {
    registry: String,
    after: Option<Position>,
}

/// Name of an instance in page tokens; that of one without a name is not empty either.
fn token_name(instance: &Instance) -> String {
    format!("lamindb:{}", instance.name().unwrap_or_default())
}

fn unknown(name: &str) -> Error {
    Error::invalid(format!("'page_token' names the registry {name:?}, which is not served"))
}
