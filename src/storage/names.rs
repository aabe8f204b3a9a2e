//! What lies right below a folder, without what lies deeper.

use super::failure::error_of;
use super::storages::{Location, Storages};
use crate::error::Result;

impl Storages {
    /// Names of the objects right below the folder `url`, in no order.
    ///
    /// # Errors
    /// As [`Self::list_files`].
    pub async fn names(&self, url: &str) -> Result<Vec<String>> {
        let Location { store, path, url, .. } = self.resolve(url)?;
        let listed = store.list_with_delimiter(Some(&path)).await.map_err(|error| error_of(error, &url))?;
        Ok(listed.objects.iter().filter_map(|object| object.location.filename().map(str::to_owned)).collect())
    }
}
