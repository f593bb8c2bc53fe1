//! The tables of one vocabulary, derived from its list of tokens (position = merge rank).
//!
//! | file | contents |
//! |---|---|
//! | `bytes.bin` | all tokens, one after the other |
//! | `starts.bin` | `u32` per token, plus one: where it starts in `bytes.bin` |
//! | `tokens.bin` | hash slots, bytes → token |
//! | `splits.bin` | two `u32` per token: what it was merged from (itself twice if it is no merge) |
//! | `pairs.bin` | hash slots, (left, right) → token |
//! | `prefixes.bin` | `u32` per token: its longest proper prefix that is a token |
//! | `trie_children.bin` | `u32` per trie node, plus one: its first child; children are consecutive |
//! | `trie_labels.bin` | byte per trie node: the byte on the edge into it; sorted among siblings |
//! | `trie_tokens.bin` | `u32` per trie node: the token that ends there |
//!
//! All numbers are little-endian. Node 0 is the root and node `1 + b` is reached by byte `b`: every single byte is a
//! token, which is checked here because both the upper bound (tokens ≤ bytes) and the search for the longest match
//! rest on it. `limits.rs` holds the length of the longest token, on which the lower bound rests.

use std::error::Error;
use std::path::Path;

use rustc_hash::FxHashMap as HashMap;
use tiktoken_rs::CoreBPE;

use crate::table_format::{EMPTY, ID_BITS, NO_TOKEN, can_be_neighbours, fingerprint, hash_bytes, hash_pair};

/// Derives all tables of `vocabulary` and writes them into the folder `out`.
pub(crate) fn write_tables(out: &Path, vocabulary: &CoreBPE) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(out)?;
    // The mergeable tokens are numbered from 0 without gaps; special tokens follow after a gap.
    let mut tokens = Vec::new();
    while let Ok(bytes) = vocabulary.decode_bytes(&[u32::try_from(tokens.len())?]) {
        tokens.push(bytes);
    }
    if !(90_000..(1 << ID_BITS) - 1).contains(&tokens.len()) {
        return Err(format!("{} tokens, which the slot layout does not expect", tokens.len()).into());
    }
    let mut by_bytes = HashMap::with_capacity_and_hasher(tokens.len(), Default::default());
    for (id, token) in (0u32..).zip(&tokens) {
        by_bytes.insert(token.as_slice(), id);
    }
    let (splits, pairs) = derive_merges(&tokens, &by_bytes)?;

    let mut starts = vec![0];
    for token in &tokens {
        starts.push(starts.last().copied().unwrap_or(0) + u32::try_from(token.len())?);
    }
    write(out, "bytes.bin", tokens.concat())?;
    write(out, "starts.bin", little_endian(starts))?;
    let keys = (0u32..).zip(&tokens).map(|(id, token)| (hash_bytes(token), id));
    write(out, "tokens.bin", little_endian(slots(keys, tokens.len())))?;
    let keys = (0u32..).zip(&splits).filter(|&(id, &(left, _))| left != id);
    let keys = keys.map(|(id, &(left, right))| (hash_pair(left, right), id));
    write(out, "pairs.bin", little_endian(slots(keys, pairs.len())))?;
    write(
        out,
        "splits.bin",
        little_endian(splits.iter().flat_map(|&(left, right)| [left, right])),
    )?;
    let prefixes = tokens
        .iter()
        .map(|token| longest_prefix(token, &by_bytes).unwrap_or(NO_TOKEN));
    write(out, "prefixes.bin", little_endian(prefixes))?;
    write_trie(out, &tokens)?;
    let longest = tokens.iter().map(Vec::len).max().unwrap_or(0);
    write(out, "limits.rs", format!("{longest}").into_bytes())
}

/// What each token was merged from, and the merges as a map.
type Merges = (Vec<(u32, u32)>, HashMap<(u32, u32), u32>);

/// Finds for each token the pair that merges into it: the only split of its bytes into two earlier tokens that may
/// stand side by side under the merges found so far.
fn derive_merges(tokens: &[Vec<u8>], by_bytes: &HashMap<&[u8], u32>) -> Result<Merges, Box<dyn Error>> {
    let mut splits: Vec<(u32, u32)> = Vec::with_capacity(tokens.len());
    let mut pairs = HashMap::with_capacity_and_hasher(tokens.len(), Default::default());
    for (id, token) in (0u32..).zip(tokens) {
        let split = (1..token.len()).rev().find_map(|at| {
            let (left, right) = token.split_at(at);
            let (&left, &right) = (by_bytes.get(left)?, by_bytes.get(right)?);
            let merge = |left, right| pairs.get(&(left, right)).copied();
            let earlier = left < id && right < id;
            let fits = earlier && can_be_neighbours(left, right, merge, |token| splits[token as usize]);
            fits.then_some((left, right))
        });
        match split {
            Some(pair) => {
                pairs.insert(pair, id);
                splits.push(pair);
            }
            None if token.len() == 1 => splits.push((id, id)),
            None => return Err(format!("token {id} is no merge of two earlier ones").into()),
        }
    }
    Ok((splits, pairs))
}

fn longest_prefix(token: &[u8], by_bytes: &HashMap<&[u8], u32>) -> Option<u32> {
    (1..token.len())
        .rev()
        .find_map(|end| by_bytes.get(&token[..end]).copied())
}

/// Hash slots for `(hash, token)` keys, at most half full.
fn slots(keys: impl Iterator<Item = (u64, u32)>, count: usize) -> Vec<u32> {
    let capacity = (count * 2).next_power_of_two();
    let mut slots = vec![EMPTY; capacity];
    for (hash, token) in keys {
        // Only the low bits count, so a 32-bit build host makes the same table.
        let mut at = hash as usize & (capacity - 1);
        while slots[at] != EMPTY {
            at = (at + 1) & (capacity - 1);
        }
        slots[at] = fingerprint(hash) << ID_BITS | token;
    }
    slots
}

/// Writes the trie in breadth-first order, so that the children of a node are consecutive.
fn write_trie(out: &Path, tokens: &[Vec<u8>]) -> Result<(), Box<dyn Error>> {
    let mut sorted: Vec<(&[u8], u32)> = tokens.iter().map(Vec::as_slice).zip(0..).collect();
    sorted.sort_unstable();
    // A node is a range of `sorted` that shares its first `depth` bytes.
    let mut level = vec![(0, sorted.len())];
    let (mut children, mut labels, mut ends) = (Vec::new(), vec![0], vec![NO_TOKEN]);
    let mut depth = 0;
    while !level.is_empty() {
        let mut next = Vec::new();
        for (start, end) in level {
            children.push(u32::try_from(labels.len())?);
            let mut at = start;
            while at < end {
                let (token, id) = sorted[at];
                let Some(&label) = token.get(depth) else {
                    at += 1; // the token that ends at this node itself
                    continue;
                };
                let run = sorted[at..end]
                    .iter()
                    .take_while(|(token, _)| token.get(depth) == Some(&label));
                let run_end = at + run.count();
                labels.push(label);
                ends.push(if token.len() == depth + 1 { id } else { NO_TOKEN });
                next.push((at, run_end));
                at = run_end;
            }
        }
        level = next;
        depth += 1;
    }
    children.push(u32::try_from(labels.len())?);
    let bytes_are_tokens =
        (1..=256).all(|node| ends[node] != NO_TOKEN && usize::from(labels[node]) == node - 1);
    if !bytes_are_tokens {
        return Err("some single byte is not a token".into());
    }
    write(out, "trie_children.bin", little_endian(children))?;
    write(out, "trie_labels.bin", labels)?;
    write(out, "trie_tokens.bin", little_endian(ends))
}

fn little_endian(numbers: impl IntoIterator<Item = u32>) -> Vec<u8> {
    numbers.into_iter().flat_map(u32::to_le_bytes).collect()
}

fn write(out: &Path, name: &str, bytes: Vec<u8>) -> Result<(), Box<dyn Error>> {
    std::fs::write(out.join(name), bytes)?;
    Ok(())
}
