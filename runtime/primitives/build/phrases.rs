//! Words and phrases of prompt injection: from `data/injection.txt` to tables.
//!
//! The format stands at the top of that file. Phrases become a tree: a node is a set of words that may stand within some
//! words of its parent's, and phrases that begin alike share their nodes. Each word has the list of its nodes, the deepest
//! first, so that one word never takes two steps of a phrase.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Write as _;

use crate::letters::{Letter, MAX_WORD, SEED, beginning, letter, place, step};
use crate::look_alikes::plain;

/// Categories, as `src/injection/types.rs` numbers them.
const CATEGORIES: [&str; 7] = [
    "override",
    "persona",
    "extraction",
    "delimiters",
    "forced_prefix",
    "authority",
    "tool_orders",
];

/// Groups of hints that there may be.
const MAX_HINTS: usize = 128;
/// Nodes that one word may have: the bound of the work for a word.
const MAX_NODES_OF_WORD: usize = 200;

/// The number of the word in a sentence, at most, with which a phrase with `^` begins.
const INTO_SENTENCE: u8 = 2;

/// Words about what stands around a phrase, as `src/injection/types.rs` numbers their bits.
const ROLES: [&str; 4] = ["not", "told", "quoting", "named"];

/// One step of a phrase: at most so many words after the step before, one of these.
#[derive(Debug, Clone)]
struct Step {
    gap: u8,
    words: BTreeSet<u16>,
    optional: bool,
    /// The sentence ends behind it.
    last: bool,
}

/// What a phrase says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hit {
    category: usize,
    /// The group of hints, or none where the phrase stands for itself.
    hint: Option<usize>,
}

#[derive(Debug)]
struct Node {
    parent: usize,
    gap: u8,
    depth: usize,
    words: BTreeSet<u16>,
    last: bool,
    hit: Option<Hit>,
}

#[derive(Debug, Default)]
struct Lexicon {
    ids: BTreeMap<String, u16>,
    spellings: Vec<String>,
}

impl Lexicon {
    fn id(&mut self, spelling: String) -> Result<u16, Box<dyn Error>> {
        if spelling.is_empty() || spelling.len() > MAX_WORD {
            return Err(format!("`{spelling}` has no length that a word may have").into());
        }
        if let Some(id) = self.ids.get(&spelling) {
            return Ok(*id);
        }
        // 0 stands for no word.
        let id = u16::try_from(self.spellings.len() + 1)?;
        self.ids.insert(spelling.clone(), id);
        self.spellings.push(spelling);
        Ok(id)
    }
}

/// The word as a normalised text spells it, without accents.
fn spell(word: &str) -> String {
    let mut out = String::new();
    for c in word.chars() {
        let mut base = None;
        unicode_normalization::char::decompose_canonical(c, |part| base = base.or(Some(plain(part))));
        match base {
            Some(base) if base.is_ascii() => out.push(base.to_ascii_lowercase()),
            _ => match letter(plain(c)) {
                Letter::Plain(spelt) => out.push_str(spelt),
                Letter::Latin(byte) => out.push(char::from(byte)),
                Letter::Mark => {}
                Letter::Other | Letter::Unspaced | Letter::None => out.push(plain(c)),
            },
        }
    }
    out
}

/// Whether it is a sign and no word.
fn is_sign(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_punctuation())
}

struct Parser<'s> {
    lexicon: Lexicon,
    classes: BTreeMap<&'s str, BTreeSet<u16>>,
    roles: BTreeMap<u16, u8>,
    hints: Vec<&'s str>,
    nodes: Vec<Node>,
}

/// The tables as Rust source.
pub(crate) fn tables(source: &str) -> Result<String, Box<dyn Error>> {
    let mut parser = Parser {
        lexicon: Lexicon::default(),
        classes: BTreeMap::new(),
        roles: BTreeMap::new(),
        hints: Vec::new(),
        // The root.
        nodes: vec![Node {
            parent: 0,
            gap: 0,
            depth: 0,
            words: BTreeSet::new(),
            last: false,
            hit: None,
        }],
    };
    for (number, line) in source.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with("# ") || line == "#" {
            continue;
        }
        parser
            .line(line)
            .map_err(|e| format!("data/injection.txt:{}: {e}", number + 1))?;
    }
    parser.write()
}

impl<'s> Parser<'s> {
    fn line(&mut self, line: &'s str) -> Result<(), Box<dyn Error>> {
        let (head, rest) = line.split_once(": ").ok_or("no `: ` after what it is")?;
        if let Some(name) = head.strip_prefix('@') {
            let mut words = BTreeSet::new();
            for item in rest.split_whitespace() {
                words.extend(self.word_or_class(item)?);
            }
            self.classes.entry(name).or_default().extend(words);
            return Ok(());
        }
        if let Some(role) = head.strip_prefix('%') {
            let bit = ROLES.iter().position(|r| *r == role).ok_or("an unknown role")?;
            for item in rest.split_whitespace() {
                for word in self.word_or_class(item)? {
                    *self.roles.entry(word).or_default() |= 1 << bit;
                }
            }
            return Ok(());
        }
        let (category, hint) = match head.split_once('?') {
            Some((category, hint)) => (category, Some(hint)),
            None => (head, None),
        };
        let category = CATEGORIES
            .iter()
            .position(|c| *c == category)
            .ok_or_else(|| format!("`{category}` is no category"))?;
        let hint = match hint {
            Some("") => return Err("a hint without a name".into()),
            Some(name) => Some(match self.hints.iter().position(|h| *h == name) {
                Some(at) => at,
                None => {
                    self.hints.push(name);
                    self.hints.len() - 1
                }
            }),
            None => None,
        };
        let steps = self.steps(rest)?;
        self.expand(&steps, &mut Vec::new(), Hit { category, hint })
    }

    fn word_or_class(&mut self, item: &str) -> Result<BTreeSet<u16>, Box<dyn Error>> {
        if let Some(class) = item.strip_prefix('@') {
            let words = self.classes.get(class);
            return Ok(words.ok_or_else(|| format!("no class `{class}` yet"))?.clone());
        }
        let item = if item == "\\@" { "@" } else { item };
        let spelt = if is_sign(item) {
            item.to_owned()
        } else {
            spell(item)
        };
        if !is_sign(item) && spelt.contains(|c: char| c.is_ascii() && !c.is_ascii_alphanumeric()) {
            return Err(format!("`{item}` is more than one word").into());
        }
        Ok(BTreeSet::from([self.lexicon.id(spelt)?]))
    }

    fn steps(&mut self, text: &str) -> Result<Vec<Step>, Box<dyn Error>> {
        let mut steps: Vec<Step> = Vec::new();
        let mut gap = 0;
        for item in text.split_whitespace() {
            if item == "^" && steps.is_empty() {
                gap = INTO_SENTENCE;
                continue;
            }
            if item == "$" {
                steps.last_mut().ok_or("`$` before the first step")?.last = true;
                continue;
            }
            if let Ok(words) = item.parse::<u8>() {
                gap = words;
                continue;
            }
            let (item, optional) = match item.strip_suffix('?') {
                Some(item) if !item.is_empty() => (item, true),
                _ => (item, false),
            };
            // An apostrophe ends a word.
            let alternatives: Vec<&str> = item.split('|').filter(|i| !i.is_empty()).collect();
            let parts: Vec<&str> = match alternatives.as_slice() {
                [one] if !is_sign(one) && one.contains('\'') => one.split('\'').collect(),
                _ => vec![item],
            };
            for part in parts {
                let mut words = BTreeSet::new();
                // The markup of chats has the sign of alternatives in it.
                if part.contains("<|") {
                    words.extend(self.word_or_class(part)?);
                } else {
                    for alternative in part.split('|').filter(|a| !a.is_empty()) {
                        words.extend(self.word_or_class(alternative)?);
                    }
                }
                steps.push(Step {
                    gap,
                    words,
                    optional,
                    last: false,
                });
                gap = 0;
            }
        }
        if steps.is_empty() || steps.iter().all(|s| s.optional) {
            return Err("a phrase without a word".into());
        }
        Ok(steps)
    }

    /// Adds the phrase with and without each optional step. The gap before a step that is left out stays.
    fn expand(&mut self, rest: &[Step], taken: &mut Vec<Step>, hit: Hit) -> Result<(), Box<dyn Error>> {
        let Some((first, more)) = rest.split_first() else {
            return self.add(taken, hit);
        };
        taken.push(first.clone());
        self.expand(more, taken, hit)?;
        taken.pop();
        if first.optional {
            let mut more = more.to_vec();
            if let Some(next) = more.first_mut() {
                next.gap = next.gap.max(first.gap);
            }
            self.expand(&more, taken, hit)?;
        }
        Ok(())
    }

    fn add(&mut self, steps: &[Step], hit: Hit) -> Result<(), Box<dyn Error>> {
        let mut at = 0;
        for (depth, step) in steps.iter().enumerate() {
            let gap = step.gap;
            let known = (1..self.nodes.len()).find(|&n| {
                let node = &self.nodes[n];
                node.parent == at
                    && node.depth == depth + 1
                    && node.gap == gap
                    && node.last == step.last
                    && node.words == step.words
            });
            at = match known {
                Some(node) => node,
                None => {
                    self.nodes.push(Node {
                        parent: at,
                        gap,
                        depth: depth + 1,
                        words: step.words.clone(),
                        last: step.last,
                        hit: None,
                    });
                    self.nodes.len() - 1
                }
            };
        }
        match self.nodes[at].hit {
            Some(other) if other != hit => Err("the phrase says something else already".into()),
            Some(_) | None => {
                self.nodes[at].hit = Some(hit);
                Ok(())
            }
        }
    }

    fn write(&self) -> Result<String, Box<dyn Error>> {
        if self.hints.len() > MAX_HINTS {
            return Err(format!("{} groups of hints, more than {MAX_HINTS}", self.hints.len()).into());
        }
        let mut of_word: Vec<Vec<usize>> = vec![Vec::new(); self.lexicon.spellings.len() + 1];
        for (n, node) in self.nodes.iter().enumerate().skip(1) {
            for word in &node.words {
                of_word[usize::from(*word)].push(n);
            }
        }
        let mut out = String::new();
        writeln!(out, "// Generated by build/phrases.rs from data/injection.txt.")?;
        writeln!(out, "pub(super) static NODES: [Node; {}] = [", self.nodes.len())?;
        for node in &self.nodes {
            let hit = match node.hit {
                None => "Hit::None".to_owned(),
                Some(Hit { category, hint: None }) => format!("Hit::Phrase({category})"),
                Some(Hit {
                    category,
                    hint: Some(group),
                }) => format!("Hit::Hint({category}, {group})"),
            };
            writeln!(out, "Node {{ last: {}, hit: {hit} }},", node.last)?;
        }
        writeln!(out, "];")?;
        let (mut lists, mut waits) = (Vec::new(), Vec::new());
        let mut words = String::new();
        let mut spellings = String::new();
        let mut ends = vec![0];
        for (id, nodes) in of_word.iter().enumerate() {
            let mut nodes = nodes.clone();
            if nodes.len() > MAX_NODES_OF_WORD {
                return Err(format!(
                    "`{}` is in {} steps, more than {MAX_NODES_OF_WORD}",
                    self.lexicon.spellings[id - 1],
                    nodes.len()
                )
                .into());
            }
            nodes.sort_by_key(|n| std::cmp::Reverse(self.nodes[*n].depth));
            let first = u16::try_from(lists.len())?;
            let first_steps = nodes.iter().filter(|n| self.nodes[**n].parent == 0).count();
            for node in nodes {
                let Node { parent, gap, .. } = self.nodes[node];
                let gap = if parent == 0 { gap } else { gap + 1 };
                waits.push(u32::from(gap) << 16 | u32::from(u16::try_from(parent)?));
                lists.push(u16::try_from(node)?);
            }
            let roles = u16::try_from(id)
                .ok()
                .and_then(|id| self.roles.get(&id))
                .copied()
                .unwrap_or(0);
            writeln!(
                words,
                "Word {{ first: {first}, starts: {}, end: {}, roles: {roles} }},",
                u16::try_from(lists.len() - first_steps)?,
                u16::try_from(lists.len())?
            )?;
            if id > 0 {
                spellings.push_str(&self.lexicon.spellings[id - 1]);
            }
            ends.push(spellings.len());
        }
        writeln!(
            out,
            "pub(super) static WORDS: [Word; {}] = [\n{words}];",
            of_word.len()
        )?;
        writeln!(
            out,
            "pub(super) static LISTS: [u16; {}] = {lists:?};",
            lists.len()
        )?;
        writeln!(
            out,
            "pub(super) static WAITS: [u32; {}] = {waits:?};",
            waits.len()
        )?;
        writeln!(out, "pub(super) static SPELLINGS: &str = {spellings:?};")?;
        writeln!(out, "pub(super) static ENDS: [u32; {}] = {ends:?};", ends.len())?;
        // Open addressing, a quarter full: most words of a text end at an empty slot.
        let count = (self.lexicon.spellings.len() * 4).next_power_of_two();
        let mut slots = vec![0u32; count];
        for (at, spelling) in self
            .lexicon
            .spellings
            .iter()
            .enumerate()
            .filter(|(_, s)| !is_sign(s))
        {
            let hash = spelling.bytes().fold(SEED, step);
            let (mut slot, tag) = place(hash, count);
            while slots[slot] != 0 {
                slot = (slot + 1) & (count - 1);
            }
            slots[slot] = u32::from(tag) << 16 | u32::try_from(at + 1)?;
        }
        writeln!(out, "pub(super) static SLOTS: [u32; {count}] = {slots:?};")?;
        let mut beginnings = vec![0u64; (1 << 15) / 64];
        for spelling in &self.lexicon.spellings {
            if let [a, b, c, ..] = spelling.as_bytes()
                && let Some(at) = beginning([*a, *b, *c])
            {
                beginnings[at / 64] |= 1 << (at % 64);
            }
        }
        writeln!(
            out,
            "static BEGINNINGS: [u64; {}] = {beginnings:?};",
            beginnings.len()
        )?;
        // Signs, longest first: the first one that stands there counts.
        let mut signs: Vec<(usize, &String)> = (1..)
            .zip(&self.lexicon.spellings)
            .filter(|(_, s)| is_sign(s))
            .collect();
        signs.sort_by_key(|(_, s)| (s.bytes().next(), std::cmp::Reverse(s.len())));
        writeln!(out, "pub(super) static SIGNS: [(&str, u16); {}] = [", signs.len())?;
        let firsts: Vec<u8> = signs.iter().filter_map(|(_, s)| s.bytes().next()).collect();
        for (id, sign) in signs {
            writeln!(out, "({sign:?}, {id}),")?;
        }
        writeln!(out, "];")?;
        let starts: Vec<usize> = (0..=u8::MAX)
            .map(|byte| {
                firsts
                    .iter()
                    .position(|first| *first == byte)
                    .unwrap_or(firsts.len())
            })
            .collect();
        writeln!(out, "static SIGN_STARTS: [u8; 256] = {starts:?};")?;
        writeln!(out, "pub(super) const HINTS: usize = {};", self.hints.len())?;
        Ok(out)
    }
}
