//! What a scanner says of a text: safe, unsafe, or nothing that can be used.

use crate::failure::Failure;
use crate::json::objects;
use serde::{Deserialize, Serialize};

/// What is known of a text.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Verdict {
    /// The scanner looked, and says explicitly that the text is valid.
    Safe(Report),
    /// The scanner looked, and says explicitly that the text is not valid.
    Unsafe(Report),
    /// Nothing is known, and why. Treat it as unsafe.
    Unknown(Failure),
}

impl Verdict {
    /// Whether a scanner looked and found nothing. False for what is unknown.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        matches!(self, Self::Safe(_))
    }

    /// What was found; `None` where nothing is known.
    #[must_use]
    pub fn report(&self) -> Option<&Report> {
        match self {
            Self::Safe(report) | Self::Unsafe(report) => Some(report),
            Self::Unknown(_) => None,
        }
    }
}

/// What scanners found. Holds places in the text, and not the text itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The highest risk that a scanner sees, from 0 (none) to 1.
    pub risk_score: f64,
    /// What each scanner says; never empty.
    pub scanners: Vec<ScannerReport>,
}

/// What one scanner says.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScannerReport {
    /// The name of the scanner.
    pub scanner: String,
    /// Whether it finds the text valid.
    pub is_valid: bool,
    /// The risk that it sees, from 0 (none) to 1.
    pub risk_score: f64,
    /// What the risk is put together from.
    #[serde(deserialize_with = "objects")]
    pub risk_factors: Vec<RiskFactor>,
    /// What it found where.
    #[serde(deserialize_with = "objects")]
    pub entities: Vec<Entity>,
}

/// A reason for a risk.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct RiskFactor {
    /// What it is, in the scanner's words.
    pub description: String,
    /// How bad it is, in the scanner's words.
    pub severity: String,
    /// What it adds to the risk.
    pub score: f64,
}

/// Something that was found in the text.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entity {
    /// What it is.
    pub entity_type: String,
    /// Where it begins, as the scanner counts.
    pub start: u64,
    /// Where it ends, as the scanner counts.
    pub end: u64,
    /// How sure the scanner is; `None` where it does not say.
    pub confidence: Option<f64>,
}
