//! Bodies and scans, a line at a time.

use super::AsmError;
use super::cursor::Cursor;
use crate::ids::{BodyIdx, FieldIdx, PredIdx};
use crate::quantifier::{Body as ItemBody, ItemOperand, ItemTest, Node, Subject};
use crate::scan::{Literal, OnHit, Scan, Scanned};

impl Cursor<'_> {
    /// A line of a body: its head, or a node.
    pub(super) fn body_line(&mut self, bodies: &mut Vec<ItemBody>) -> Result<(), AsmError> {
        self.skip_space();
        let start = self.at;
        let word = self.word();
        let Some(body) = bodies.last_mut().filter(|_| !word.starts_with(BodyIdx::PREFIX)) else {
            self.at = start;
            self.entry(BodyIdx::PREFIX, bodies.len())?;
            bodies.push(ItemBody::default());
            return self.end();
        };
        let node = match word {
            "and" => Node::And(self.nodes()?),
            "or" => Node::Or(self.nodes()?),
            "not" => Node::Not(self.index("n")?),
            "pred" => {
                let negated = self.eat("not ");
                Node::Pred {
                    pred: PredIdx(self.index(PredIdx::PREFIX)?),
                    negated,
                }
            }
            "test" => {
                let negated = self.eat("not ");
                let subject = match self.item()? {
                    Some(path) => Subject::Item(path),
                    None => Subject::Field(FieldIdx(self.index(FieldIdx::PREFIX)?)),
                };
                let op = self.op()?;
                let operand = match self.item()? {
                    Some(path) => ItemOperand::Item(path),
                    None => ItemOperand::Plain(self.operand()?),
                };
                Node::Test(ItemTest {
                    op,
                    subject,
                    operand,
                    negated,
                })
            }
            _unknown => return Err(self.error_at(start, "`and`, `or`, `not`, `pred` or `test` is expected")),
        };
        body.nodes.push(node);
        self.end()
    }

    pub(super) fn nodes(&mut self) -> Result<Vec<u32>, AsmError> {
        let mut nodes = Vec::new();
        while !self.at_end() {
            nodes.push(self.index("n")?);
        }
        Ok(nodes)
    }

    /// A line of a scan: its head, a literal, or a predicate.
    pub(super) fn scan_line(&mut self, scans: &mut Vec<Scan>) -> Result<(), AsmError> {
        self.skip_space();
        let start = self.at;
        let word = self.word();
        match (word, scans.last_mut()) {
            ("literal", Some(scan)) => {
                let folded = self.quoted()?;
                let exact = if self.eat("exact") {
                    self.quoted()?
                } else {
                    String::new()
                };
                scan.literals.push(Literal { folded, exact });
            }
            ("predicate", Some(scan)) => {
                let scanned = self.scanned()?;
                scan.predicates.push(scanned);
            }
            _head => {
                self.at = start;
                self.entry("s", scans.len())?;
                scans.push(Scan {
                    field: FieldIdx(self.index(FieldIdx::PREFIX)?),
                    literals: Vec::new(),
                    predicates: Vec::new(),
                });
            }
        }
        self.end()
    }

    pub(super) fn scanned(&mut self) -> Result<Scanned, AsmError> {
        let predicate = PredIdx(self.index(PredIdx::PREFIX)?);
        self.skip_space();
        let start = self.at;
        let on_hit = match self.word() {
            "true" => OnHit::True,
            "search" => OnHit::Search,
            "near" => OnHit::Near {
                min: self.integer()?,
                max: self.integer()?,
            },
            _unknown => return Err(self.error_at(start, "`true`, `search` or `near` is expected")),
        };
        let mut literals = Vec::new();
        while !self.at_end() {
            literals.push(self.index("l")?);
        }
        Ok(Scanned {
            predicate,
            literals,
            on_hit,
        })
    }
}
