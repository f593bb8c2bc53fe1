//! Storage in sqlite.
