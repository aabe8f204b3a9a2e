//! The named bounds of what a request may hold. They are checked before anything is allocated that
//! grows with them.

/// Largest ticket or command, in bytes. A mask needs one bit per position, so this is enough for a
/// mask over 134 million cells in protobuf.
pub const MAX_TICKET_BYTES: usize = 16 << 20;

/// Deepest nesting of objects and lists in a JSON request.
pub const MAX_JSON_DEPTH: usize = 16;

/// Most values in a JSON request; longer index lists and masks go in protobuf.
pub const MAX_JSON_ITEMS: usize = 2 << 20;

/// Most texts (names, columns) or positions in one protobuf request.
pub const MAX_LIST_ITEMS: usize = 4 << 20;

/// Most selectors, axes and other messages in one protobuf request.
pub const MAX_MESSAGES: usize = 4096;
