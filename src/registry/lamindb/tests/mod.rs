//! Tests of instances.
