//! The field table: every path that the policies read or change, once, in canonical spelling.
//!
//! Part of `resolve`. A path is matched key by key against the known context fields, so that `llm.max_tokens` and
//! `llm.maxTokens` become one field that accepts both spellings in requests; what lies outside the known context keeps
//! its own spelling. Fields that a derived field is computed from enter the table with it, and it names them (rule V3 of the bytecode).

use crate::context::{self, Computed, ContextField, FieldType};
use crate::schema::{ContextSchema, Lookup};
use crate::types::TypeSet;
use policy_bytecode::FieldIdx;
use policy_bytecode::module::{Derived, Field, PathSegment};
use policy_grammar::Diagnostic;
use policy_grammar::ast::{FieldPath, Segment};
use policy_grammar::codes::Code;
use policy_grammar::source::Spanned;
use std::collections::HashMap;

/// A field with what is known about it.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldInfo {
    /// As it goes into the module. What is computed has its arguments once it stands in a [`FieldTable`].
    pub field: Field,
    /// What computes it, when it is computed.
    pub computed: Option<Computed>,
    /// Canonical spelling.
    pub path: FieldPath,
    /// What it can hold, missing aside.
    pub types: TypeSet,
    /// What its elements can be, for arrays.
    pub items: TypeSet,
    /// The only strings it can be, when the schema says so.
    pub strings: Option<Vec<String>>,
    /// What is suspicious about the path.
    pub suspicion: Option<Suspicion>,
    /// Whether the context table or the schema describes it.
    pub known: bool,
}

/// Why a path is probably not what was meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Suspicion {
    /// All keys of `parent` are known, and this is none of them.
    UnknownKey {
        /// The object.
        parent: String,
        /// A key with a similar name.
        near: Option<String>,
    },
    /// The first key is nearly that of a known object.
    NearRoot {
        /// The path with that object.
        near: String,
    },
    /// The path goes on below a value that holds nothing.
    BelowScalar {
        /// The value's path.
        parent: String,
        /// Its type.
        ty: String,
    },
}

impl Suspicion {
    /// What to say of a path that is read.
    pub(crate) fn diagnostic(&self, path: &Spanned<FieldPath>) -> Diagnostic {
        let shown = path.value.to_string();
        match self {
            Self::UnknownKey { parent, .. } => {
                let d = Diagnostic::new(
                    Code::UnknownField,
                    path.span,
                    format!("`{shown}` is not a known field of `{parent}`"),
                )
                .label("requests never hold this");
                self.advise(d, path)
            }
            Self::NearRoot { .. } => {
                let message = format!("`{shown}` is not a known field");
                self.advise(Diagnostic::new(Code::UnknownField, path.span, message), path)
            }
            Self::BelowScalar { parent, ty } => Diagnostic::new(
                Code::UnknownField,
                path.span,
                format!("`{shown}` leads nowhere: `{parent}` is of type {ty}"),
            )
            .label("always missing"),
        }
    }

    /// Adds what is probably meant, and the path with it.
    pub(crate) fn advise(&self, d: Diagnostic, path: &Spanned<FieldPath>) -> Diagnostic {
        let (near, whole) = match self {
            Self::UnknownKey {
                parent,
                near: Some(near),
            } => {
                let mut whole = path.value.clone();
                let key = FieldPath::parse(parent)
                    .ok()
                    .and_then(|parent| whole.segments.get_mut(parent.segments.len()));
                let whole = match key {
                    Some(key @ Segment::Key(_)) => {
                        *key = Segment::Key(near.clone());
                        Some(whole.to_string())
                    }
                    Some(Segment::Index(_) | Segment::FromEnd(_)) | None => None,
                };
                (near, whole)
            }
            Self::NearRoot { near } => (near, Some(near.clone())),
            Self::UnknownKey { near: None, .. } | Self::BelowScalar { .. } => return d,
        };
        let d = d.help(format!("did you mean `{near}`?"));
        match whole {
            // In quotes it is right wherever a path may stand, in YAML and in JSON.
            Some(whole) if !whole.contains(['"', '\\']) => d.fix(path.span, format!("\"{whole}\"")),
            Some(_) | None => d,
        }
    }

    /// Whether another path is probably meant.
    fn is_misspelt(&self) -> bool {
        match self {
            Self::UnknownKey { near, .. } => near.is_some(),
            Self::NearRoot { .. } => true,
            Self::BelowScalar { .. } => false,
        }
    }
}

/// What is suspicious about a path that a request is to hold, as policies are told of paths that they read.
///
/// * `all` — also of a key that nobody knows and that is like none: requests may hold what policies do not know.
#[must_use]
pub fn unknown_field(path: &Spanned<FieldPath>, all: bool) -> Option<Diagnostic> {
    let suspicion = describe(&path.value, None).suspicion?;
    (all || suspicion.is_misspelt()).then(|| suspicion.diagnostic(path))
}

/// See the module documentation.
#[derive(Debug, Clone, Default)]
pub struct FieldTable {
    entries: Vec<FieldInfo>,
    by_canonical: HashMap<FieldPath, FieldIdx>,
    /// Spelling as written → entry, so that a path is matched against the context once.
    by_spelling: HashMap<FieldPath, FieldIdx>,
}

impl FieldTable {
    /// All fields, in order of first use.
    #[must_use]
    pub fn entries(&self) -> &[FieldInfo] {
        &self.entries
    }

    /// The field at `index`.
    #[must_use]
    pub fn get(&self, index: FieldIdx) -> Option<&FieldInfo> {
        self.entries.get(index.index())
    }

    /// The entry of `path`, added together with the inputs of a derived field when it is new. A path into a derived field
    /// brings that field with it: what it reads is what was computed, never what was sent.
    pub(crate) fn intern(&mut self, path: &FieldPath, schema: Option<&ContextSchema>) -> FieldIdx {
        if let Some(&known) = self.by_spelling.get(path) {
            return known;
        }
        let info = describe(path, schema);
        let id = match self.by_canonical.get(&info.path) {
            Some(&id) => id,
            None => {
                let id = FieldIdx(u32::try_from(self.entries.len()).unwrap_or(u32::MAX));
                self.by_canonical.insert(info.path.clone(), id);
                let computed = info.computed;
                let above = derived_above(&info.path);
                self.entries.push(info);
                if let Some(above) = above {
                    self.intern(&above, schema);
                }
                let args = computed.map_or(&[][..], |computed| computed.args);
                let intern = |arg: &&str| {
                    let segments = arg.split('.').map(|key| Segment::Key(key.to_owned())).collect();
                    self.intern(&FieldPath { segments }, schema)
                };
                let args = args.iter().map(intern).collect();
                let own = self.entries.get_mut(id.index());
                if let Some(derived) = own.and_then(|info| info.field.derived.as_mut()) {
                    derived.args = args;
                }
                id
            }
        };
        self.by_spelling.insert(path.clone(), id);
        id
    }
}

/// The known field of `parent.key`, also by its alias; `parent` is empty at the top.
fn known_child(parent: &str, key: &str) -> Option<&'static ContextField> {
    let below = |path: &'static str| match parent {
        "" => Some(path),
        _ => path.strip_prefix(parent)?.strip_prefix('.'),
    };
    context::FIELDS.iter().find(|f| {
        below(f.path).is_some_and(|rest| (rest == key || f.aliases.contains(&key)) && !rest.contains('.'))
    })
}

/// Dotted spelling of a path of keys only.
pub(crate) fn dotted(field: &Field) -> Option<String> {
    field
        .path
        .iter()
        .map(|s| match s {
            PathSegment::Key { name, .. } => Some(name.as_str()),
            PathSegment::Index(_) | PathSegment::FromEnd(_) => None,
        })
        .collect::<Option<Vec<_>>>()
        .map(|keys| keys.join("."))
}

/// Whether a path is that of a derived field, or leads into one.
pub(crate) fn is_computed(path: &[PathSegment]) -> bool {
    context::FIELDS
        .iter()
        .filter(|field| field.derived.is_some())
        .any(|field| {
            let mut rest = path.iter();
            let mut keys = field.path.split('.');
            keys.all(|key| matches!(rest.next(), Some(PathSegment::Key { name, .. }) if name == key))
        })
}

/// The derived field that a canonical path leads into, if it leads further.
pub(crate) fn derived_above(path: &FieldPath) -> Option<FieldPath> {
    context::FIELDS
        .iter()
        .filter(|field| field.derived.is_some())
        .find_map(|field| {
            let mut rest = path.segments.iter();
            let mut keys = field.path.split('.');
            let inside = keys.all(|key| matches!(rest.next(), Some(Segment::Key(own)) if own == key));
            let steps = path.segments.len() - rest.len();
            (inside && rest.len() > 0).then(|| FieldPath {
                segments: path.segments.iter().take(steps).cloned().collect(),
            })
        })
}

/// The segments of the module's field for an already canonical path.
pub(crate) fn describe(path: &FieldPath, schema: Option<&ContextSchema>) -> FieldInfo {
    let mut canonical = Vec::with_capacity(path.segments.len());
    let mut segments = Vec::with_capacity(path.segments.len());
    // The known field that the steps so far lead to; `None` once they have left the known context.
    let mut at: Option<&'static ContextField> = None;
    let mut inside = true;
    let mut suspicion = None;
    for (i, segment) in path.segments.iter().enumerate() {
        let found = match segment {
            Segment::Key(key) if inside => known_child(at.map_or("", |f| f.path), key),
            Segment::Key(_) | Segment::Index(_) | Segment::FromEnd(_) => None,
        };
        if inside && found.is_none() && i > 0 {
            suspicion = at.and_then(|parent| suspect(parent, segment));
        }
        match (segment, found) {
            (Segment::Key(_), Some(field)) => {
                let name = field.path.rsplit('.').next().unwrap_or(field.path).to_owned();
                canonical.push(Segment::Key(name.clone()));
                segments.push(PathSegment::Key {
                    name,
                    aliases: field.aliases.iter().map(|alias| (*alias).to_owned()).collect(),
                });
            }
            (Segment::Key(key), None) => {
                canonical.push(segment.clone());
                segments.push(PathSegment::Key {
                    name: key.clone(),
                    aliases: Vec::new(),
                });
            }
            (Segment::Index(n), _) => {
                canonical.push(segment.clone());
                segments.push(PathSegment::Index(*n));
            }
            (Segment::FromEnd(n), _) => {
                canonical.push(segment.clone());
                segments.push(PathSegment::FromEnd(*n));
            }
        }
        inside &= found.is_some();
        if inside {
            at = found;
        }
    }
    let canonical = FieldPath { segments: canonical };
    let exact = if inside { at } else { None };
    let computed = exact.and_then(|f| f.derived);
    let mut info = FieldInfo {
        field: Field {
            path: segments,
            derived: computed.map(|computed| Derived {
                intrinsic: computed.intrinsic.id(),
                args: Vec::new(),
            }),
        },
        computed,
        types: exact.map_or(TypeSet::ANY, |f| TypeSet::of_field(f.ty)),
        items: match exact.map(|f| f.ty) {
            Some(FieldType::StringArray) => TypeSet::STRING,
            _other => TypeSet::ANY,
        },
        strings: None,
        // Whatever lies below `metadata` is known to be free.
        known: exact.is_some() || at.is_some_and(|f| f.path == "metadata"),
        suspicion,
        path: canonical,
    };
    if at.is_none() {
        info.suspicion = near_root(&info.path);
    }
    if exact.is_none() {
        apply_schema(&mut info, schema);
    }
    info
}

fn apply_schema(info: &mut FieldInfo, schema: Option<&ContextSchema>) {
    match schema.map(|s| s.lookup(&info.path)) {
        Some(Lookup::Known(node)) => {
            info.types = node.types;
            info.items = node.items.as_ref().map_or(TypeSet::ANY, |n| n.types);
            info.strings.clone_from(&node.strings);
            info.known = true;
            info.suspicion = None;
        }
        Some(Lookup::Absent(parent)) => {
            let key = info.path.segments.iter().rev().find_map(|s| match s {
                Segment::Key(key) => Some(key.as_str()),
                Segment::Index(_) | Segment::FromEnd(_) => None,
            });
            info.known = false;
            info.suspicion = Some(Suspicion::UnknownKey {
                parent: "the context schema".to_owned(),
                near: key.and_then(|key| nearest(key, parent.properties.keys().map(String::as_str))),
            });
        }
        Some(Lookup::Open) | None => {}
    }
}

/// What is odd about going from the known field `parent` to an unknown `segment`.
fn suspect(parent: &ContextField, segment: &Segment) -> Option<Suspicion> {
    let below = |ty: FieldType| {
        Some(Suspicion::BelowScalar {
            parent: parent.path.to_owned(),
            ty: ty.as_str().to_owned(),
        })
    };
    match (parent.ty, segment) {
        (FieldType::Object, Segment::Key(key)) if context::CLOSED_OBJECTS.contains(&parent.path) => {
            let siblings = context::FIELDS
                .iter()
                .filter_map(|f| {
                    f.path
                        .rsplit_once('.')
                        .map(|(object, last)| (object, last, f.aliases))
                })
                .filter(|(object, ..)| *object == parent.path)
                .flat_map(|(_, last, aliases)| std::iter::once(last).chain(aliases.iter().copied()));
            Some(Suspicion::UnknownKey {
                parent: parent.path.to_owned(),
                near: nearest(key, siblings),
            })
        }
        (FieldType::String | FieldType::Number | FieldType::Bool, _) => below(parent.ty),
        (FieldType::StringArray | FieldType::Array, Segment::Key(_)) => below(parent.ty),
        (FieldType::Object | FieldType::StringArray | FieldType::Array | FieldType::Any, _) => None,
    }
}

/// The path of a known field that `path` is but for a mistake in its first key: its letters' case, or one edit where
/// the rest of the path is known below the other key. Further off, a first key is a name of the gateway's own.
fn near_root(path: &FieldPath) -> Option<Suspicion> {
    let (Segment::Key(first), rest) = path.segments.split_first()? else {
        return None;
    };
    let next = match rest.first() {
        Some(Segment::Key(key)) => Some(key.as_str()),
        Some(Segment::Index(_) | Segment::FromEnd(_)) | None => None,
    };
    let root = context::FIELDS
        .iter()
        .map(|field| field.path)
        .filter(|root| !root.contains('.'))
        .find(|root| {
            root.eq_ignore_ascii_case(first)
                || (strsim::osa_distance(first, root) == 1
                    && next.is_some_and(|key| known_child(root, key).is_some()))
        })?;
    let mut near = path.clone();
    if let Some(segment) = near.segments.first_mut() {
        *segment = Segment::Key(root.to_owned());
    }
    Some(Suspicion::NearRoot {
        near: near.to_string(),
    })
}

/// Edits between a word and the one that it is taken for, at most.
const FARTHEST: usize = 3;
/// Bytes beyond which a word is taken for no spelling mistake: nobody has names as long, and distances take time.
const LONGEST_WORD: usize = 128;

/// The most similar of `names`, when one is near enough to be a spelling mistake. Names whose length is too different are
/// passed over without a look at their letters.
pub(crate) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    if name.len() > LONGEST_WORD {
        return None;
    }
    let lower = name.to_lowercase();
    let length = lower.chars().count();
    names
        .filter(|candidate| {
            candidate.len() <= LONGEST_WORD && candidate.chars().count().abs_diff(length) <= FARTHEST
        })
        .map(|candidate| (strsim::osa_distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len().min(name.len()) / 3).clamp(1, FARTHEST))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate.to_owned())
}
