//! Configured paths, followed all at once: a bit for each key of each path, and one for its end.
//!
//! The bit of a key is set in a [`State`] when the keys before it were those of the path. A step keeps the bits whose key is
//! the next one, and moves them on by one. A bit is set or not, so no context makes a state grow.

/// How far the paths have been followed, and other sets of their keys.
#[derive(Debug, Clone)]
pub(super) struct State {
    first: u64,
    /// What does not fit there; all sets of some paths have the same length. Most paths fit.
    rest: Option<Box<[u64]>>,
}

impl State {
    fn set(&mut self, bit: usize) {
        let word = match bit.checked_sub(64) {
            None => Some(&mut self.first),
            Some(bit) => self.rest.as_deref_mut().and_then(|rest| rest.get_mut(bit / 64)),
        };
        if let Some(word) = word {
            *word |= 1 << (bit % 64);
        }
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.first == 0 && self.rest.iter().all(|rest| rest.iter().all(|word| *word == 0))
    }

    /// The bits that both have, moved on by one.
    #[inline]
    fn step(&self, keys: &Self) -> Self {
        let kept = self.first & keys.first;
        let rest = match (&self.rest, &keys.rest) {
            (Some(rest), Some(keys)) => Some(Self::step_on(kept >> 63, rest, keys)),
            _ => None,
        };
        Self {
            first: kept << 1,
            rest,
        }
    }

    #[cold]
    fn step_on(mut carry: u64, rest: &[u64], keys: &[u64]) -> Box<[u64]> {
        let words = rest.iter().zip(keys).map(|(word, keys)| {
            let kept = word & keys;
            let moved = kept << 1 | carry;
            carry = kept >> 63;
            moved
        });
        words.collect()
    }

    fn add(&mut self, other: &Self) {
        self.first |= other.first;
        if let (Some(rest), Some(other)) = (&mut self.rest, &other.rest) {
            for (word, other) in rest.iter_mut().zip(other) {
                *word |= other;
            }
        }
    }

    /// Whether they have a bit in common.
    #[inline]
    fn meets(&self, other: &Self) -> bool {
        let rest = self.rest.iter().zip(&other.rest);
        self.first & other.first != 0
            || rest
                .into_iter()
                .any(|(rest, other)| rest.iter().zip(other).any(|(word, other)| word & other != 0))
    }
}

/// The keys of paths that a key is, for each of its parts.
#[derive(Debug, Default)]
pub(super) struct Matches {
    parts: Vec<State>,
    /// That of the only part, where it fits there.
    one: Option<u64>,
}

/// The paths, one after another.
#[derive(Debug)]
pub(super) struct Paths {
    /// By bit: a [`plain`] key; `None` at the end of a path.
    keys: Vec<Option<String>>,
    /// First keys.
    root: State,
    ends: State,
    /// Keys that are `*`.
    any: State,
    /// Keys that are numbers, which elements of arrays have, and their bits.
    numbers: Vec<(usize, usize)>,
}

impl Paths {
    /// Keys with dots between.
    pub(super) fn new(paths: &[String]) -> Self {
        let mut keys = Vec::new();
        let mut first = Vec::new();
        for path in paths {
            first.push(keys.len());
            keys.extend(path.split('.').map(|key| Some(plain(key))));
            keys.push(None);
        }
        let none = State {
            first: 0,
            rest: (keys.len() > 64).then(|| vec![0; (keys.len() - 64).div_ceil(64)].into()),
        };
        let (mut root, mut ends, mut any) = (none.clone(), none.clone(), none);
        first.into_iter().for_each(|bit| root.set(bit));
        let mut numbers = Vec::new();
        for (bit, key) in keys.iter().enumerate() {
            match key.as_deref() {
                None => ends.set(bit),
                Some("*") => any.set(bit),
                Some(key) => {
                    let number = key.parse().ok().filter(|n: &usize| n.to_string() == key);
                    numbers.extend(number.map(|number| (number, bit)));
                }
            }
        }
        Self {
            keys,
            root,
            ends,
            any,
            numbers,
        }
    }

    /// The state of a whole context.
    pub(super) fn root(&self) -> State {
        self.root.clone()
    }

    /// The keys of paths that `key` is, for each of its parts: a key with a dot in it reads like two.
    pub(super) fn matches(&self, key: &str) -> Matches {
        let parts = key.split('.').map(|part| {
            let part = plain(part);
            let mut keys = self.any.clone();
            for (bit, key) in self.keys.iter().enumerate() {
                if key.as_deref() == Some(part.as_str()) {
                    keys.set(bit);
                }
            }
            keys
        });
        let parts: Vec<State> = parts.collect();
        let one = match parts.as_slice() {
            [State { first, rest: None }] => Some(*first),
            _ => None,
        };
        Matches { one, parts }
    }

    /// The state of a member of an object, whose key has these [`Paths::matches`].
    #[inline(always)]
    pub(super) fn member(object: &State, matches: &Matches) -> State {
        match (matches.one, &object.rest) {
            (Some(keys), None) => State {
                first: (object.first & keys) << 1,
                rest: None,
            },
            _ => Self::any_member(object, matches),
        }
    }

    #[cold]
    fn any_member(object: &State, matches: &Matches) -> State {
        let parts = matches.parts.iter();
        parts.fold(object.clone(), |state, part| state.step(part))
    }

    /// The state of an element of an array, which also stands at the path of the array.
    #[inline]
    pub(super) fn element(&self, array: &State, index: usize) -> State {
        let mut state = array.clone();
        if array.is_empty() {
            return state;
        }
        if self.numbers.iter().any(|(number, _)| *number == index) {
            let mut keys = self.any.clone();
            let numbers = self.numbers.iter().filter(|(number, _)| *number == index);
            numbers.for_each(|(_, bit)| keys.set(*bit));
            state.add(&array.step(&keys));
        } else {
            state.add(&array.step(&self.any));
        }
        state
    }

    /// Whether a path ends here.
    #[inline]
    pub(super) fn end(&self, state: &State) -> bool {
        state.meets(&self.ends)
    }
}

/// A key without case, `_` and `-`.
pub(super) fn plain(key: &str) -> String {
    key.chars()
        .filter(|c| !matches!(c, '_' | '-'))
        .flat_map(char::to_lowercase)
        .collect()
}
