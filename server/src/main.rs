//! `policyd`.

fn main() {}
