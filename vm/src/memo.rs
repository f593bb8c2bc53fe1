//! Memo cells: what an evaluation keeps of predicates and functions that several places ask.

use policy_bytecode::Outcome;

/// Memo cells: outcomes of shared predicates. Clearing costs what was written, not what exists.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    /// 0 = unknown, else 1 + outcome.
    cells: Vec<u8>,
    touched: Vec<u32>,
}

impl Memo {
    pub(crate) fn of(cells: usize) -> Self {
        Self {
            cells: vec![0; cells],
            touched: Vec::with_capacity(cells),
        }
    }

    #[inline]
    pub(crate) fn clear(&mut self) {
        for cell in self.touched.drain(..) {
            if let Some(c) = self.cells.get_mut(cell as usize) {
                *c = 0;
            }
        }
    }

    #[inline]
    pub(crate) fn get(&self, cell: u32) -> u8 {
        self.cells.get(cell as usize).copied().unwrap_or(0)
    }

    /// The outcome that a cell keeps.
    #[inline]
    pub(crate) fn outcome(&self, cell: u32) -> Option<Outcome> {
        match self.get(cell) {
            1 => Some(Outcome::False),
            2 => Some(Outcome::True),
            3 => Some(Outcome::Error),
            _unknown => None,
        }
    }

    #[inline]
    pub(crate) fn set(&mut self, cell: u32, state: u8) {
        if let Some(c) = self.cells.get_mut(cell as usize) {
            *c = state;
            self.touched.push(cell);
        }
    }
}
