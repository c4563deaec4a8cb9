//! When a run that tells of the same trouble again and again is not waited for any longer.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Of a line that is looked at for trouble.
const LONGEST_LINE: usize = 16 << 10;

/// When a run is not worth waiting for any longer: it tells of the same trouble again and again.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// So long after the first line that told of a trouble, the next one that does ends the run.
    pub lasts: Duration,
    /// The trouble that a line of standard error tells of.
    pub trouble: fn(&str) -> Option<&str>,
}

/// Troubles that are told apart.
const TROUBLES: usize = 64;

impl Patience {
    /// Whether what came last on standard error is its end: `line` is what is not whole yet, `since` when each trouble was told of first.
    pub(super) fn is_over(self, piece: &[u8], line: &mut Vec<u8>, since: &mut HashMap<String, Instant>) -> bool {
        let mut over = false;
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            if line.len() < LONGEST_LINE {
                line.extend_from_slice(part);
            }
            if part.ends_with(b"\n") {
                if let Some(trouble) = (self.trouble)(String::from_utf8_lossy(line).trim()) {
                    match since.get(trouble) {
                        Some(since) => over |= since.elapsed() >= self.lasts,
                        None if since.len() < TROUBLES => drop(since.insert(trouble.to_owned(), Instant::now())),
                        None => {}
                    }
                }
                line.clear();
            }
        }
        over
    }
}
