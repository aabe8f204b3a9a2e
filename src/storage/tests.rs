//! Storage over local files.
