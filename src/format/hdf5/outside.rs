//! Datasets that are not read by their chunk table, because their elements lie in other objects or they are
//! refused by name here: which of them are served, in which pieces they are read, and by whom.

use std::sync::Arc;

use bytes::Bytes;
use hdf5_worker::protocol::{Command, MAX_ELEMENT_BYTES, Message};

use super::dataset::{DatasetStorage, Layout};
use super::decoder::MAX_CHUNK_BYTES;
use super::external::read_external;
use super::library::{Library, Session};
use super::offer::{self, Prospect};
use super::others::Others;
use crate::error::{Error, Kind, Result};
use crate::model::chunk::{ChunkLocation, Hyperslab};
use crate::model::data_type::DataType;
use crate::model::tree::{ArrayNode, Attributes, Node, Tree};
use crate::storage::reader::{RangeReader, Siblings};

/// Bytes that are read as one of a dataset that has no chunks of its own; at least one element.
const TILE_BYTES: u64 = 1 << 20;
/// Virtual datasets of one file whose shape is asked for when it is opened.
const MAX_UNLIMITED: usize = 1000;
/// Bytes of elements that libhdf5 gives at once.
pub(crate) const MAX_GIVEN_BYTES: u64 = MAX_ELEMENT_BYTES;
/// Datasets of one file that are refused here and offered to libhdf5 when it is opened.
const MAX_OFFERED: usize = 1000;

/// What a file may use beside its own bytes.
#[derive(Clone, Debug, Default)]
pub struct Outside {
    /// Opens the objects that the file names. Without it, datasets that need any are refused.
    pub siblings: Option<Arc<dyn Siblings>>,
    /// libhdf5. Without it, virtual datasets are refused, and it is not offered what is refused here.
    pub library: Option<Arc<Library>>,
}

/// [`Outside`] for one open file.
#[derive(Debug)]
pub(crate) struct Elsewhere {
    others: Arc<Others>,
    library: Option<(Arc<Library>, Arc<Session>)>,
}

impl Elsewhere {
    pub(crate) fn new(reader: Arc<dyn RangeReader>, outside: Outside) -> Self {
        let others = Arc::new(Others::new(Arc::clone(&reader), outside.siblings));
        let library = outside.library.map(|library| {
            let session = Arc::new(library.session(reader, Arc::clone(&others)));
            (library, session)
        });
        Self { others, library }
    }

    /// Makes the tree true for what is there now: refuses what cannot be read, asks libhdf5 for shapes that
    /// depend on other files, and offers it what is refused here: arrays of the tree, and the objects at the
    /// paths of `refused`, which have these attributes.
    pub(crate) async fn settle(&self, tree: &mut Tree, refused: Vec<(String, Attributes)>) {
        let (mut asked, mut offered) = (0, 0);
        for (path, node) in &mut tree.nodes {
            let Node::Array(array) = node else { continue };
            match self.outside(path, array, &mut asked).await {
                Err(reason) => *node = Node::Unreadable { reason },
                Ok(()) => self.offer_array(path, array, &mut offered).await,
            }
        }
        for (path, attributes) in refused {
            let Some(node) = tree.nodes.get_mut(&path) else { continue };
            let Node::Unreadable { reason } = node else { continue };
            let mut array = offer::unknown(attributes);
            match self.offer(&path, &mut array, Prospect::Unknown, &mut offered).await {
                Ok(()) => *node = Node::Array(array),
                Err(note) => *reason = format!("{reason} ({note})"),
            }
        }
    }

    /// Whether a dataset that lies in other objects can be read, with the shape that it has now.
    async fn outside(&self, path: &str, array: &mut ArrayNode, asked: &mut usize) -> Result<(), String> {
        match kind(array) {
            Some("External") if !self.others.are_known() => Err("dataset whose data lies in external files".into()),
            Some("Virtual") if self.library.is_none() || !self.others.are_known() => Err(
                "virtual dataset (its data lies in other datasets): only a build with the feature libhdf5 reads it, \
                 with limits.hdf5_workers above 0"
                    .to_owned(),
            ),
            Some("Virtual") => self.reshape(path, array, asked).await,
            _ => Ok(()),
        }
    }

    async fn offer_array(&self, path: &str, array: &mut ArrayNode, offered: &mut usize) {
        let Some(prospect) = offer::refusal(array) else { return };
        if let Err(note) = self.offer(path, array, prospect, offered).await {
            offer::note(array, &note);
        }
    }

    /// Makes `array` one that libhdf5 reads, if it does; else says so.
    async fn offer(
        &self,
        path: &str,
        array: &mut ArrayNode,
        prospect: Prospect,
        offered: &mut usize,
    ) -> Result<(), String> {
        if self.library.is_none() {
            return Err(prospect.note().to_owned());
        }
        *offered += 1;
        if *offered > MAX_OFFERED {
            return Err(format!("libhdf5 is asked for {MAX_OFFERED} such datasets of a file only"));
        }
        let error = match self.ask(Command::Offer { path: absolute(path) }).await {
            Ok((Message::Offered { shape }, encoded)) => match offer::accept(array, shape, &encoded) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            },
            Ok((answer, _)) => Error::data_loss(format!("libhdf5 answers {answer:?}")),
            Err(error) => error,
        };
        let said = error.message().strip_prefix("libhdf5: ").unwrap_or(error.message());
        if matches!(error.kind(), Kind::Unimplemented | Kind::DataLoss) {
            return Err(format!("libhdf5 cannot read it either: {said}"));
        }
        // The next request may have more luck.
        self.others.renew();
        Err(format!("libhdf5 could not be asked: {said}"))
    }

    /// Gives a virtual dataset without a fixed shape the shape that it has now, or says why not.
    async fn reshape(&self, path: &str, array: &mut ArrayNode, asked: &mut usize) -> Result<(), String> {
        let unlimited = array.storage.pointer("/layout/Virtual/unlimited") == Some(&true.into());
        if !unlimited || array.is_null {
            return Ok(());
        }
        *asked += 1;
        if *asked > MAX_UNLIMITED {
            return Err(format!("virtual dataset: the file has more than {MAX_UNLIMITED} without a fixed shape"));
        }
        self.shape_now(path, array).await.map_err(|error| {
            // The next request may have more luck.
            self.others.renew();
            format!("virtual dataset: {error}")
        })
    }

    async fn shape_now(&self, path: &str, array: &mut ArrayNode) -> Result<()> {
        match self.ask(Command::Describe { path: absolute(path) }).await? {
            (Message::Described { shape: Some(shape) }, _) if shape.len() == array.shape.len() => {
                array.chunk_shape = tile(&shape, DatasetStorage::of(array)?.element_size);
                array.shape = shape;
                array.element_count().map(drop)
            }
            (answer, _) => Err(Error::data_loss(format!("libhdf5 describes it as {answer:?}"))),
        }
    }

    /// The elements of `hyperslab`, as stored, or texts each behind its `u32` length.
    pub(crate) async fn read(
        &self,
        path: &str,
        array: &ArrayNode,
        storage: &DatasetStorage,
        hyperslab: &Hyperslab,
    ) -> Result<Bytes> {
        let expected = bytes_of(&hyperslab.count, storage.element_size)?;
        match &storage.layout {
            Layout::External { pieces } => {
                let before = position(&array.shape, &hyperslab.start)?;
                let start = before.checked_mul(storage.element_size);
                let range = start.and_then(|start| Some(start..start.checked_add(expected)?));
                let range = range.ok_or_else(|| Error::data_loss("the elements have no place in 64 bits"))?;
                read_external(&self.others, pieces, range).await
            }
            Layout::Virtual { .. } | Layout::Library {} => {
                let Hyperslab { start, count } = hyperslab.clone();
                let converted = matches!(storage.layout, Layout::Library {});
                match self.ask(Command::Read { path: absolute(path), start, count, converted }).await? {
                    (Message::Elements, payload) if payload.len() as u64 == expected => Ok(Bytes::from(payload)),
                    (Message::Texts, payload) if array.data_type == DataType::String => Ok(Bytes::from(payload)),
                    (answer, payload) => Err(Error::data_loss(format!(
                        "libhdf5 answers {answer:?} with {} bytes, expected {expected}",
                        payload.len()
                    ))),
                }
            }
            _ => Err(Error::internal("the dataset lies in the file itself")),
        }
    }

    /// Whether pins of other objects should be renewed.
    pub(crate) fn is_outdated(&self) -> bool {
        self.others.is_outdated()
    }

    async fn ask(&self, command: Command) -> Result<(Message, Vec<u8>)> {
        let Some((library, session)) = &self.library else {
            return Err(Error::unimplemented("this build has no libhdf5"));
        };
        library.ask(session, command).await
    }
}

/// Whether the dataset is virtual.
pub(crate) fn is_virtual(array: &ArrayNode) -> bool {
    kind(array) == Some("Virtual")
}

/// Whether libhdf5 reads the dataset.
pub(crate) fn is_by_library(array: &ArrayNode) -> bool {
    matches!(kind(array), Some("Virtual" | "Library"))
}

/// The kind of layout of a dataset that is not read by a chunk table, without parsing what else is kept of it.
fn kind(array: &ArrayNode) -> Option<&'static str> {
    let layout = array.storage.get("layout")?;
    ["External", "Virtual", "Library"].into_iter().find(|kind| layout.get(kind).is_some())
}

/// Where the chunk at `position` lies.
///
/// # Errors
/// `OutOfRange` for a position outside the grid.
pub(crate) fn locate(array: &ArrayNode, position: &[u64]) -> Result<ChunkLocation> {
    let grid = array.grid();
    if array.is_null || position.len() != grid.len() || position.iter().zip(&grid).any(|(at, count)| at >= count) {
        return Err(Error::out_of_range(format!("chunk {position:?} of a grid of {grid:?}")));
    }
    let start: Vec<u64> = position.iter().zip(&array.chunk_shape).map(|(at, length)| at * length).collect();
    let left = array.shape.iter().zip(&start).map(|(length, start)| length - start);
    let count = left.zip(&array.chunk_shape).map(|(left, length)| left.min(*length)).collect();
    Ok(ChunkLocation::Elsewhere(Hyperslab { start, count }))
}

/// The shape in which elements are read: as many rows as fit [`TILE_BYTES`], or as much of one. In C order
/// each tile is one run of elements, also where it is cut off by the edge of the array.
pub(crate) fn tile(shape: &[u64], element_size: u64) -> Vec<u64> {
    let mut room = (TILE_BYTES / element_size.max(1)).max(1);
    let mut tile: Vec<u64> = shape
        .iter()
        .rev()
        .map(|length| {
            let taken = (*length).clamp(1, room);
            room = if taken < *length { 1 } else { (room / taken).max(1) };
            taken
        })
        .collect();
    tile.reverse();
    tile
}

fn bytes_of(count: &[u64], element_size: u64) -> Result<u64> {
    let bytes = count.iter().try_fold(element_size, |total, length| total.checked_mul(*length));
    bytes.filter(|bytes| *bytes <= MAX_CHUNK_BYTES).ok_or_else(|| {
        Error::resource_exhausted(format!(
            "{count:?} elements of {element_size} bytes are read at once, at most {MAX_CHUNK_BYTES} bytes may be"
        ))
    })
}

/// The number of the element at `position`, in C order.
fn position(shape: &[u64], position: &[u64]) -> Result<u64> {
    let index =
        shape.iter().zip(position).try_fold(0_u64, |index, (length, at)| index.checked_mul(*length)?.checked_add(*at));
    index.ok_or_else(|| Error::data_loss(format!("position {position:?} has no number in 64 bits")))
}

fn absolute(path: &str) -> String {
    format!("/{}", crate::model::tree::normalise(path))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn tiles_are_single_runs_of_bounded_size(shape in proptest::collection::vec(0_u64..3000, 0..4), size in 1_u64..300_000) {
            let tile = tile(&shape, size);
            let elements: u64 = tile.iter().product();
            prop_assert!(elements >= 1 && (elements == 1 || elements * size <= TILE_BYTES), "{tile:?}");
            // Behind the first axis that is more than one element, every axis is whole.
            let first = tile.iter().position(|length| *length > 1).unwrap_or(tile.len());
            for axis in first + 1..tile.len() {
                prop_assert_eq!(tile[axis], shape[axis].max(1), "{:?}", tile);
            }
        }
    }

    #[test]
    fn tiles_use_the_room_they_have() {
        assert_eq!(tile(&[1000, 1024], 8), [128, 1024]);
        assert_eq!(tile(&[3, 2000, 1000], 4), [1, 262, 1000]);
        assert_eq!(tile(&[5, 10], 8), [5, 10]);
        assert_eq!(tile(&[7], 2 << 20), [1]);
        assert_eq!(tile(&[], 8), [0_u64; 0]);
    }
}
