//! Background tasks that keep the active policies those of their origin.
//!
//! Each ends when the token is cancelled, and none ends for any other reason: what fails is noted, and tried again.

pub mod bundle;
pub mod directory;
pub mod status;
pub mod store;
