//! Storage over a simulated S3.
