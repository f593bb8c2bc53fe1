//! Rows of tables as texts hold them: CSV, CSV with semicolons, TSV, Markdown. What a column is called stands in its first
//! line, which may be far above the number.
//!
//! A table is lines one below another with the same separators, as many of them in each. Its first line is the header. The
//! state goes forward with the pass and reads each line once, and only when a detector asks.

/// Separators, in the order in which they are believed.
const SEPARATORS: [u8; 4] = [b'|', b'\t', b';', b','];
/// Longest line of a table.
const LONGEST_LINE: usize = LANE as usize;
/// The largest number that a lane of [`LANES`] holds.
const LANE: u64 = (1 << LANE_BITS) - 1;
const LANE_BITS: u32 = 12;

/// What a byte adds to the counts of a line: a lane for each separator, and one for quotation marks.
static LANES: [u64; 256] = lanes();

const fn lanes() -> [u64; 256] {
    let mut lanes = [0; 256];
    let mut lane = 0;
    while lane < SEPARATORS.len() {
        lanes[SEPARATORS[lane] as usize] = 1 << (lane as u32 * LANE_BITS);
        lane += 1;
    }
    lanes[b'"' as usize] = 1 << (lane as u32 * LANE_BITS);
    lanes
}
/// Longest name of a column.
const LONGEST_CELL: usize = 48;

/// Where in a table the pass is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Table {
    /// Start of the next line.
    next: usize,
    /// The line before it.
    line: usize,
    /// The separator of the lines so far, and how many of it stand in each; 0 outside of tables.
    separator: u8,
    count: usize,
    /// Start of the header.
    header: usize,
    /// A place in the line, and how many separators stand before it.
    seen: usize,
    column: usize,
    /// A quotation mark is open there.
    quoted: bool,
}

impl Table {
    /// The header of the column that `position` stands in, and the number of bytes that were read. Positions must not
    /// decrease.
    pub(super) fn header_of<'t>(&mut self, text: &'t [u8], position: usize) -> (Option<&'t [u8]>, usize) {
        let mut read = 0;
        if is_in_first_line(text, position) {
            return (None, read);
        }
        if self.next <= position && self.next < text.len() {
            read = self.go_to(text, position.min(text.len() - 1));
        }
        if self.header >= self.line || self.separator == 0 {
            return (None, read);
        }
        if position >= self.seen {
            read += position - self.seen;
            let (column, quoted) = count(&text[self.seen..position], self.separator, self.quoted);
            (self.seen, self.column, self.quoted) = (position, self.column + column, quoted);
        }
        let header = text.get(self.header..self.line).unwrap_or(&[]);
        let cell = header
            .split(|b| *b == self.separator || *b == b'\n')
            .nth(self.column)
            .filter(|cell| cell.len() <= LONGEST_CELL && is_name(cell));
        (cell, read + self.column + LONGEST_CELL)
    }

    /// Goes on to the line that `position` stands in, which is a later one. Returns the number of bytes that were read.
    ///
    /// Lines far before it are not read: what stands in them is forgotten at the first line that has nothing in common with
    /// the line above it.
    fn go_to(&mut self, text: &[u8], position: usize) -> usize {
        let floor = self.next;
        let start_before =
            |end: usize| memchr::memrchr(b'\n', &text[floor..end]).map_or(floor, |line| floor + line + 1);
        let mut start = start_before(position);
        let end = memchr::memchr(b'\n', &text[position..]).map_or(text.len(), |length| position + length);
        let mut read = end - start;
        let mut below = counts(&text[start..end]);
        let last = (start, end, below);
        while start > floor {
            let above = start_before(start - 1);
            let found = counts(&text[above..start - 1]);
            read += start - above;
            if !(found.iter().zip(below)).any(|(above, below)| *above == below && below > 0) {
                // Whatever the table above is, it ends there.
                self.separator = 0;
                break;
            }
            (start, below) = (above, found);
        }
        while start < last.0 {
            let end = memchr::memchr(b'\n', &text[start..]).map_or(text.len(), |length| start + length);
            read += end - start;
            self.enter(start, end, counts(&text[start..end]));
            start = end + 1;
        }
        self.enter(last.0, last.1, last.2);
        read
    }

    /// Goes to the line `start..end`, the next one, in which `counts` separators stand.
    fn enter(&mut self, start: usize, end: usize, counts: [usize; SEPARATORS.len()]) {
        let known = SEPARATORS
            .iter()
            .position(|separator| *separator == self.separator);
        let goes_on = known.is_some_and(|known| counts[known] == self.count);
        if !goes_on {
            let first = counts.iter().position(|count| *count > 0);
            self.separator = first.map_or(0, |first| SEPARATORS[first]);
            self.count = first.map_or(0, |first| counts[first]);
            self.header = start;
        }
        self.line = start;
        self.next = end + 1;
        (self.seen, self.column, self.quoted) = (start, 0, false);
    }
}

/// Whether no line ends before `position`, so that there is no header above it. `false` is no answer.
pub(super) fn is_in_first_line(text: &[u8], position: usize) -> bool {
    /// Further on, looking each time would add up.
    const NEAR: usize = 128;
    position <= NEAR
        && text
            .get(..position)
            .is_some_and(|before| memchr::memchr(b'\n', before).is_none())
}

/// Whether a cell may be the name of a column. Lines of programs and of JSON have as many commas each as rows of a table have,
/// and hold what gives a value to a name.
fn is_name(cell: &[u8]) -> bool {
    !cell.iter().any(|byte| matches!(byte, b':' | b'=' | b'{' | b'}'))
}

/// How many of each separator stand in `line`, outside of quotation marks; none in a line that is too long for a table.
fn counts(line: &[u8]) -> [usize; SEPARATORS.len()] {
    if line.len() > LONGEST_LINE {
        return [0; SEPARATORS.len()];
    }
    let sum: u64 = line.iter().map(|byte| LANES[usize::from(*byte)]).sum();
    let lane = |lane: usize| (sum >> (lane as u32 * LANE_BITS) & LANE) as usize;
    let quoted = lane(SEPARATORS.len()) > 0;
    let mut counts = [0; SEPARATORS.len()];
    for (index, found) in counts.iter_mut().enumerate() {
        *found = match lane(index) {
            0 => 0,
            _ if quoted => count(line, SEPARATORS[index], false).0,
            all => all,
        };
    }
    counts
}

/// How many of `separator` stand in `line` outside of quotation marks, and whether one is open at its end.
fn count(line: &[u8], separator: u8, mut quoted: bool) -> (usize, bool) {
    let mut count = 0;
    for &byte in line {
        quoted ^= byte == b'"';
        count += usize::from(byte == separator && !quoted);
    }
    (count, quoted)
}
