//! The input is an HDF5 file: open it, ask every node for its meaning, read chunks of its arrays.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use sliceflight::format::Hierarchy;
use sliceflight::format::hdf5::Hdf5File;
use sliceflight::model::chunk::ChunkLocation;
use sliceflight::model::index_store::NoIndexStore;
use sliceflight::storage::reader::RangeReader;
use sliceflight_fuzz::{MemoryObject, read_all, run};

fuzz_target!(|input: &[u8]| {
    run(async {
        let object = MemoryObject::new(input);
        let reader: Arc<dyn RangeReader> = Arc::clone(&object) as _;
        let Ok(file) = Hdf5File::open(reader, Arc::new(NoIndexStore)).await else { return };
        let hierarchy = Hierarchy::Hdf5(Arc::new(file));
        read_all(&hierarchy, async |location| match location {
            ChunkLocation::Range { offset, length, .. } => {
                object.read(*offset..offset.saturating_add(*length)).await.map(Some)
            }
            _ => Ok(None),
        })
        .await;
    });
});
