//! Cases, groups of them, and how a group is measured.

use policy_primitives::pii::{Confidence, Findings, PiiType, scan};

/// One text, and what it holds.
#[derive(Debug)]
pub(crate) struct Case {
    text: String,
    /// Type and place of the only thing to find; `None` for a text that holds nothing.
    want: Option<(PiiType, usize, usize)>,
    /// Where it comes from, for the list of what is wrong.
    of: &'static str,
}

impl Case {
    /// `around` with `value` at its `§`.
    pub(crate) fn find(kind: PiiType, around: &str, value: &str) -> Case {
        let start = around.find('§').unwrap();
        Case {
            text: around.replace('§', value),
            want: Some((kind, start, start + value.len())),
            of: "",
        }
    }

    /// A text in which nothing is to be found.
    pub(crate) fn nothing(text: String) -> Case {
        Case {
            text,
            want: None,
            of: "",
        }
    }

    pub(crate) fn of(mut self, of: &'static str) -> Case {
        self.of = of;
        self
    }

    /// Whether the scan is right: the whole value is covered by a finding of its type that does not reach further than a
    /// quarter of its length or eight bytes beyond it.
    fn is_right(&self, findings: &mut Findings) -> bool {
        scan(&self.text, findings);
        let mut counted = findings
            .iter()
            .filter(|found| found.confidence >= Confidence::Medium);
        match self.want {
            None => counted.next().is_none(),
            Some((kind, start, end)) => counted.any(|found| {
                let spare = (end - start).div_ceil(4).max(8);
                let same = found.kind == kind
                    || kind == PiiType::ApiKey && matches!(found.kind, PiiType::Jwt | PiiType::PrivateKey);
                same && found.start <= start
                    && found.end >= end
                    && found.start + spare >= start
                    && found.end <= end + spare
            }),
        }
    }
}

/// Cases of one kind.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) name: &'static str,
    cases: Vec<Case>,
}

/// How many cases of a group are right, and some that are not.
#[derive(Debug)]
pub(crate) struct Score {
    pub(crate) name: &'static str,
    pub(crate) right: usize,
    pub(crate) all: usize,
    pub(crate) wrong: Vec<String>,
}

impl Score {
    /// Tenths of a per cent, rounded down: a group with one case wrong is never whole.
    pub(crate) fn permille(&self) -> usize {
        self.right * 1000 / self.all.max(1)
    }

    /// The share in per cent, as the documentation prints it.
    pub(crate) fn per_cent(&self) -> String {
        format!("{}.{}", self.permille() / 10, self.permille() % 10)
    }
}

impl Group {
    pub(crate) fn new(name: &'static str) -> Group {
        Group {
            name,
            cases: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, case: Case) {
        self.cases.push(case);
    }

    /// Scans every case.
    pub(crate) fn score(&self) -> Score {
        let mut findings = Findings::new();
        let mut score = Score {
            name: self.name,
            right: 0,
            all: self.cases.len(),
            wrong: Vec::new(),
        };
        for case in &self.cases {
            if case.is_right(&mut findings) {
                score.right += 1;
            } else {
                let found: Vec<_> = findings
                    .iter()
                    .map(|found| {
                        (
                            found.kind.name(),
                            found.confidence.name(),
                            &case.text[found.start..found.end],
                        )
                    })
                    .collect();
                score
                    .wrong
                    .push(format!("{} {:?} found {found:?}", case.of, case.text));
            }
        }
        score
    }
}
