//! Fields, what computes them, and what is known of requests.

use super::Listing;
use super::text::{Aliases, path, separate, step};

impl Listing<'_> {
    pub(super) fn fields(&mut self) {
        self.section(".fields", self.module.fields.len());
        for (i, field) in self.module.fields.iter().enumerate() {
            let mut line = format!("  f{i}: ");
            path(&mut line, field, Aliases::Written);
            if let Some(derived) = &field.derived {
                line.push_str(" = ");
                match derived.intrinsic.row() {
                    Some(row) => line.push_str(row.name),
                    None => line.push_str(&format!("#{}", derived.intrinsic.0)),
                }
                line.push('(');
                for (n, arg) in derived.args.iter().enumerate() {
                    separate(&mut line, n);
                    line.push_str(&arg.to_string());
                }
                line.push(')');
            }
            self.line(&line);
        }
    }

    pub(super) fn known(&mut self) {
        if !self.full {
            return;
        }
        self.section(".known", self.module.known.len());
        for known in &self.module.known {
            let mut line = String::from("  ");
            if known.path.is_empty() {
                line.push_str("()");
            }
            for (n, name) in known.path.iter().enumerate() {
                step(&mut line, n, name);
            }
            line.push_str(": ");
            line.push_str(known.holds.as_str());
            if known.answered {
                line.push_str(" answered");
            }
            self.line(&line);
        }
    }
}
