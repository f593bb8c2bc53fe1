//! One decision as bytes: what a journal keeps of it, without the names of fields, and cheap to write and to read.
//!
//! ```text
//! record:  version (1) │ flags (1) │ id (16, where flagged) │ seq │ at_ms │ errors │ duration_ns
//!          │ request_id │ namespace │ subject │ decision │ revision │ reason (where flagged)
//!          │ matched_rules │ matched_policies │ context (where flagged)
//! number:  seven bits in a byte, the lowest first; the highest bit says that more follow. A sign is the lowest bit
//! text:    its length as a number, then UTF-8
//! list:    how many, as a number, then texts
//! ```
//!
//! # Invariants
//!
//! - A record has one form: what [`read_binary`] takes, [`push_binary`] writes back byte for byte.
//! - [`read_binary`] takes any bytes, never panics, and allocates no more than a fixed multiple of their number: a length
//!   is compared with what is left before it is believed.
//! - Every version that was ever written is read.
//!
//! # Not done here
//!
//! Where a record begins and ends, and whether its bytes are those that were written: that is for the frame around it.

use crate::storage::model::{DecisionId, DecisionRecord};

/// The form that is written.
const VERSION: u8 = 1;

/// There is an id.
const ID: u8 = 1;
/// There is a reason.
const REASON: u8 = 1 << 1;
/// There is a context.
const CONTEXT: u8 = 1 << 2;
/// It came from a cache.
const CACHED: u8 = 1 << 3;

/// Bytes of an id.
const ID_BYTES: usize = 16;
/// Bytes of version, flags, id and numbers, usually, and of the lengths of texts.
const HEAD: usize = 64;

/// Why bytes are no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BinaryError {
    /// They end too early.
    #[error("the bytes of a decision end too early")]
    Short,
    /// A later version may know how to read them.
    #[error("decisions of version {0} are not known here")]
    Version(u8),
    /// They say what no version writes: flags, numbers or texts that cannot be, or more bytes than a record has.
    #[error("the bytes are not those of a decision")]
    Malformed,
}

/// Appends a record.
pub fn push_binary(record: &DecisionRecord, out: &mut Vec<u8>) {
    let texts = [
        &record.request_id,
        &record.namespace,
        &record.subject,
        &record.decision,
        &record.revision,
    ];
    let optional = [record.reason.as_ref(), record.context.as_ref()];
    let lists = [&record.matched_rules, &record.matched_policies];
    let bytes = texts
        .into_iter()
        .chain(optional.into_iter().flatten())
        .chain(lists.into_iter().flatten())
        .fold(HEAD, |sum, text| sum + text.len() + 1);
    out.reserve(bytes);
    let flag = |is: bool, flag: u8| if is { flag } else { 0 };
    let flags = flag(record.id.is_some(), ID)
        | flag(record.reason.is_some(), REASON)
        | flag(record.context.is_some(), CONTEXT)
        | flag(record.cached, CACHED);
    out.extend([VERSION, flags]);
    if let Some(id) = &record.id {
        out.extend_from_slice(id.as_bytes());
    }
    push_number(record.seq, out);
    push_number(folded(record.at_ms), out);
    push_number(record.errors.into(), out);
    push_number(record.duration_ns, out);
    for text in texts {
        push_text(text, out);
    }
    if let Some(reason) = &record.reason {
        push_text(reason, out);
    }
    for list in lists {
        push_number(list.len() as u64, out);
        for text in list {
            push_text(text, out);
        }
    }
    if let Some(context) = &record.context {
        push_text(context, out);
    }
}

/// The record that these bytes are.
///
/// # Errors
///
/// [`BinaryError`] where they are none.
pub fn read_binary(bytes: &[u8]) -> Result<DecisionRecord, BinaryError> {
    let mut reader = Reader(bytes);
    match reader.byte()? {
        VERSION => {}
        version => return Err(BinaryError::Version(version)),
    }
    let flags = reader.byte()?;
    if flags & !(ID | REASON | CONTEXT | CACHED) != 0 {
        return Err(BinaryError::Malformed);
    }
    let has = |flag: u8| flags & flag != 0;
    // Fields are read in the order in which they stand here.
    let record = DecisionRecord {
        id: has(ID).then(|| reader.id()).transpose()?,
        seq: reader.number()?,
        at_ms: unfolded(reader.number()?),
        errors: u32::try_from(reader.number()?).map_err(|_| BinaryError::Malformed)?,
        duration_ns: reader.number()?,
        request_id: reader.text()?,
        namespace: reader.text()?,
        subject: reader.text()?,
        decision: reader.text()?,
        revision: reader.text()?,
        reason: has(REASON).then(|| reader.text()).transpose()?,
        matched_rules: reader.list()?,
        matched_policies: reader.list()?,
        context: has(CONTEXT).then(|| reader.text()).transpose()?,
        cached: has(CACHED),
    };
    match reader.0 {
        [] => Ok(record),
        [..] => Err(BinaryError::Malformed),
    }
}

fn push_text(text: &str, out: &mut Vec<u8>) {
    push_number(text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
}

fn push_number(mut number: u64, out: &mut Vec<u8>) {
    while number > 0x7F {
        out.push((number & 0x7F) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A number with its sign in the lowest bit, so that small ones of both signs are short.
fn folded(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

fn unfolded(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

/// What is left to read.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn byte(&mut self) -> Result<u8, BinaryError> {
        let (first, rest) = self.0.split_first().ok_or(BinaryError::Short)?;
        self.0 = rest;
        Ok(*first)
    }

    fn take(&mut self, length: u64) -> Result<&'b [u8], BinaryError> {
        let length = usize::try_from(length).map_err(|_| BinaryError::Short)?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or(BinaryError::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn id(&mut self) -> Result<DecisionId, BinaryError> {
        DecisionId::try_from(self.take(ID_BYTES as u64)?).map_err(|_| BinaryError::Malformed)
    }

    fn number(&mut self) -> Result<u64, BinaryError> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7F);
            if bits << shift >> shift != bits {
                return Err(BinaryError::Malformed);
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                // A number has one form: no zeros in front.
                return match byte == 0 && shift > 0 {
                    true => Err(BinaryError::Malformed),
                    false => Ok(number),
                };
            }
        }
        Err(BinaryError::Malformed)
    }

    fn text(&mut self) -> Result<String, BinaryError> {
        let length = self.number()?;
        let text = str::from_utf8(self.take(length)?).map_err(|_| BinaryError::Malformed)?;
        Ok(text.to_owned())
    }

    fn list(&mut self) -> Result<Vec<String>, BinaryError> {
        let count = self.number()?;
        // Every text has a byte for its length at least.
        let count = usize::try_from(count).map_err(|_| BinaryError::Short)?;
        if count > self.0.len() {
            return Err(BinaryError::Short);
        }
        let mut list = Vec::with_capacity(count);
        for _ in 0..count {
            list.push(self.text()?);
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests;
