//! Storage in postgres.
