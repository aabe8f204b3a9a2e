//! Slices from an index against the same slices without one; what happens to an index that is damaged, too large
//! or of another version; sorting on disk against sorting in memory.

mod matrices;
mod serving;
mod sorting;
mod upkeep;
