//! Finds events in bytes: lines, and the lines under them that belong to them. The same bytes give the same events however
//! they are cut into pieces. Memory is bounded: a line past [`LINE`] is cut, an event past it ends.
//!
//! What does not belong here: where the bytes come from (`io::tail`), counting (`tally`).

use chrono::{DateTime, Utc};

use super::head::{self, Family, Head};
use super::shape::mix;
use super::stamp::{self, Span};
use super::tally::{Raw, Tally};
use super::trace::{self, Trace};
use super::{Settings, forms};
use crate::domain::{Level, LogPlace};

/// Bytes of one line, and of one event, that are looked at.
pub const LINE: usize = 1 << 20;

/// How long an event that may go on is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wait {
    /// It can be told at once.
    No,
    /// An error: its traceback may be on the way.
    Short,
    /// A traceback that is not yet at its end.
    Long,
}

#[derive(Debug, Clone, Copy)]
struct Pending {
    start: usize,
    end: usize,
    head: Head,
    trace: Trace,
    hash: Option<u64>,
}

/// One sequence of bytes: a file, or what followed it under the same name.
#[derive(Debug)]
pub struct Stream {
    file: u16,
    /// Device and inode of what is read, where it is a file.
    id: Option<(u64, u64)>,
    /// Where in the file the next byte stands.
    next: u64,
    /// UTF-16, by the mark at its front.
    wide: Option<Wide>,
    /// The first byte of such a mark, when it came alone.
    mark: Option<u8>,
    /// Bytes of the pending event and of the line that has not ended.
    carry: Vec<u8>,
    /// How much of `carry` are whole lines.
    scanned: usize,
    pending: Option<Pending>,
    /// Within the rest of a line past the bound.
    skipping: bool,
    /// Lines that continue an event that is not kept: it was too long, or began before we did.
    swallow: bool,
    /// Family of the event that is being swallowed.
    swallowed: Option<Pending>,
}

impl Stream {
    /// Of this file; `mid`: we begin within it, so that lines under an event we did not see are left out.
    pub fn new(file: u16, mid: bool) -> Self {
        Self { file, id: None, next: 0, wide: None, mark: None, carry: Vec::new(), scanned: 0, pending: None, skipping: false, swallow: mid, swallowed: None }
    }

    /// Of this file of the system, from this byte on, so that its events know their place.
    #[must_use]
    pub fn at(mut self, id: (u64, u64), offset: u64) -> Self {
        (self.id, self.next) = (Some(id), offset);
        self
    }

    /// Of a file that begins with these bytes: with the mark of UTF-16 it is read as that.
    #[must_use]
    pub fn beginning(mut self, head: &[u8]) -> Self {
        if self.next > 0
            && let Some(big) = Wide::marked(head)
        {
            self.wide = Some(Wide { big, held: Vec::new(), skip: self.next % 2 == 1 });
            self.id = None;
        }
        self
    }

    /// Bytes taken that have not become an event yet.
    pub fn held(&self) -> usize {
        // In UTF-16 nearly all characters of a log take two bytes where we hold one.
        self.wide.as_ref().map_or(self.carry.len(), |wide| 2 * self.carry.len() + wide.held.len())
    }

    /// Whether an event is waiting for more, and how long that is worth waiting for.
    pub fn wait(&self) -> Option<Wait> {
        let pending = self.pending.as_ref()?;
        Some(match pending.trace {
            trace if trace.open() => Wait::Long,
            Trace::None if pending.head.level < Level::Warning || pending.head.family.is_json() => Wait::No,
            _ => Wait::Short,
        })
    }

    /// Takes bytes; whole events go to `tally`.
    pub fn feed(&mut self, bytes: &[u8], seen: DateTime<Utc>, tally: &mut Tally) {
        if let Some(first) = self.mark.take() {
            let bytes = [&[first], bytes].concat();
            return self.feed(&bytes, seen, tally);
        }
        if self.next == 0 && self.wide.is_none() {
            if let [first @ (0xfe | 0xff)] = bytes {
                self.mark = Some(*first);
                return;
            }
            if let Some(big) = Wide::marked(bytes) {
                self.wide = Some(Wide { big, held: Vec::new(), skip: false });
                self.id = None;
                // The mark itself is no text.
                return self.feed(&bytes[2..], seen, tally);
            }
        }
        if let Some(wide) = &mut self.wide {
            let text = wide.narrow(bytes);
            self.take(text.as_bytes(), seen, tally);
        } else {
            self.take(bytes, seen, tally);
        }
    }

    fn take(&mut self, bytes: &[u8], seen: DateTime<Utc>, tally: &mut Tally) {
        let mut bytes = bytes;
        // Whatever buffer is gone over from here on, its end stands there.
        self.next += bytes.len() as u64;
        if self.skipping {
            let Some(end) = memchr::memchr(b'\n', bytes) else { return };
            self.skipping = false;
            bytes = &bytes[end + 1..];
        }
        if self.carry.is_empty() {
            // A writer that goes on at its old place after its file was emptied leaves a hole: zeros, perhaps gigabytes of them.
            bytes = &bytes[zeros(bytes)..];
        }
        if !self.carry.is_empty() {
            bytes = self.join(bytes, seen, tally);
        }
        if self.carry.is_empty() {
            let from = self.scanned;
            let rest = self.scan(bytes, from, seen, tally);
            self.carry.extend_from_slice(&bytes[rest..]);
        }
        if self.carry.len() - self.scanned > LINE {
            // The line goes on past the bound: what there is of it is the line.
            let carry = std::mem::take(&mut self.carry);
            let scanned = self.scanned;
            tally.count_lines(1);
            self.line(&carry, scanned, carry.len(), seen, tally);
            self.skipping = true;
            // A line past the bound ends its event, so that nothing of the buffer is needed any more.
            self.scanned = 0;
        }
        if self.carry.capacity() > 4 * LINE {
            self.carry.shrink_to(LINE);
        }
    }

    /// Puts what waits together with the front of the new bytes, line by line, until an event begins within them, so that no more than the
    /// waiting event is copied. Gives what is still to be gone over; `scanned` is how much of it was.
    fn join<'a>(&mut self, bytes: &'a [u8], seen: DateTime<Utc>, tally: &mut Tally) -> &'a [u8] {
        let mut carry = std::mem::take(&mut self.carry);
        let (end, mut taken, mut lines) = (self.next, 0, 0);
        while let Some(line_end) = memchr::memchr(b'\n', &bytes[taken..]) {
            let (at, held) = (self.scanned, carry.len());
            carry.extend_from_slice(&bytes[taken..=taken + line_end]);
            let line = taken;
            taken += line_end + 1;
            self.next = end - (bytes.len() - taken) as u64;
            self.line(&carry, at, carry.len() - 1, seen, tally);
            lines += 1;
            self.scanned = carry.len();
            let start = self.pending.as_ref().map_or(carry.len(), |pending| pending.start);
            if start >= held {
                // Nothing before the new bytes is needed any more: what is left stands in them.
                if let Some(pending) = &mut self.pending {
                    (pending.start, pending.end) = (pending.start - held + line, pending.end - held + line);
                }
                (self.next, self.scanned) = (end, taken);
                tally.count_lines(lines);
                carry.clear();
                self.carry = carry;
                return bytes;
            }
            if start > 0 && start >= at {
                // The event that began in the line that was cut.
                carry.drain(..start);
                self.shift(start);
                self.scanned = carry.len();
            }
        }
        self.next = end;
        tally.count_lines(lines);
        carry.extend_from_slice(&bytes[taken..]);
        self.carry = carry;
        &[]
    }

    /// What was before this place is gone.
    fn shift(&mut self, start: usize) {
        if let Some(pending) = &mut self.pending {
            pending.start -= start;
            pending.end -= start;
        }
    }

    /// Goes over the whole lines from `from`; gives the place from which bytes are still needed.
    fn scan(&mut self, buffer: &[u8], from: usize, seen: DateTime<Utc>, tally: &mut Tally) -> usize {
        let mut at = from;
        let mut lines = 0;
        for end in memchr::memchr_iter(b'\n', &buffer[from..]) {
            let end = from + end;
            self.line(buffer, at, end, seen, tally);
            lines += 1;
            at = end + 1;
        }
        tally.count_lines(lines);
        let start = self.pending.as_ref().map_or(at, |pending| pending.start);
        self.shift(start);
        self.scanned = at - start;
        start
    }

    /// One whole line.
    fn line(&mut self, buffer: &[u8], start: usize, end: usize, seen: DateTime<Utc>, tally: &mut Tally) {
        let start = start + zeros(&buffer[start..end]);
        let long = end - start > LINE;
        let mut end = if long { start + LINE } else { end };
        if end > start && buffer[end - 1] == b'\r' {
            end -= 1;
        }
        let line = &buffer[start..end];
        if line.is_empty() {
            return;
        }
        let indented = matches!(line[0], b' ' | b'\t');
        let head = if indented { None } else { read(line, tally.settings()) };
        if head.is_none() {
            let before = if self.swallow { self.swallowed.as_mut() } else { self.pending.as_mut() };
            if let Some(pending) = before {
                if let Some(next) = continues(pending, line, indented) {
                    pending.hash = hash(pending, next, line);
                    pending.trace = next;
                    if next.is_crash() {
                        pending.head.level = pending.head.level.max(Level::Error);
                    }
                    if self.swallow {
                        return;
                    }
                    if end - pending.start > LINE || long {
                        self.swallowed = self.pending;
                        self.flush(buffer, seen, tally);
                        self.swallow = true;
                    } else {
                        pending.end = end;
                    }
                    return;
                }
            } else if self.swallow && indented {
                return;
            }
        }
        if let Some(head) = head
            && head.family.is_relay()
            && !long
            && self.relayed(line, &head, end)
        {
            return;
        }
        self.flush(buffer, seen, tally);
        (self.swallow, self.swallowed) = (false, None);
        let mut pending = Pending { start, end, head: head.unwrap_or_else(|| head::plain(line)), trace: Trace::None, hash: None };
        if head.is_none()
            && let Some(begun) = trace::begins(line)
        {
            pending.head = Head { level: Level::Error, ..pending.head };
            if begun == Trace::Frames {
                pending.trace = Trace::Frames;
                pending.hash = Some(3);
            }
        }
        self.pending = Some(pending);
        if long {
            self.swallowed = self.pending;
            self.flush(buffer, seen, tally);
            self.swallow = true;
        }
    }

    /// A relay puts its head before each line of a traceback: within it is one event like any other.
    fn relayed(&mut self, line: &[u8], head: &Head, end: usize) -> bool {
        let Some(pending) = self.pending.as_mut().filter(|pending| pending.head.family == head.family && !self.swallow) else { return false };
        let inner = &line[forms::inner_start(line, head).min(line.len())..];
        let indented = inner.first().is_some_and(|b| matches!(b, b' ' | b'\t'));
        let begins = inner.starts_with(trace::START);
        if !(indented || begins || pending.trace != Trace::None) || end - pending.start > LINE || !indented && !begins && head::read_inner(inner).is_some() {
            return false;
        }
        let next = match pending.trace.next(inner) {
            Some(next) => next,
            None if begins && pending.trace == Trace::None && pending.head.level >= Level::Warning => Trace::Frames,
            None => return false,
        };
        pending.hash = hash(pending, next, inner);
        (pending.trace, pending.end) = (next, end);
        true
    }

    fn flush(&mut self, buffer: &[u8], seen: DateTime<Utc>, tally: &mut Tally) {
        if let Some(pending) = self.pending.take() {
            let place = self.id.map(|id| LogPlace { id, offset: (self.next + pending.start as u64).saturating_sub(buffer.len() as u64) });
            tally.add(&Raw { text: &buffer[pending.start..pending.end], head: pending.head, file: self.file, seen, trace: pending.hash, place });
        }
    }

    /// Nothing more came: the pending event is whole. A line that has not ended stays.
    pub fn settle(&mut self, seen: DateTime<Utc>, tally: &mut Tally) {
        if self.pending.is_some() {
            let mut carry = std::mem::take(&mut self.carry);
            self.flush(&carry, seen, tally);
            carry.drain(..self.scanned);
            self.scanned = 0;
            self.carry = carry;
        }
    }

    /// The bytes end here: a line without an end is a line.
    pub fn end(&mut self, seen: DateTime<Utc>, tally: &mut Tally) {
        if let Some(first) = self.mark.take() {
            self.take(&[first], seen, tally);
        }
        let carry = std::mem::take(&mut self.carry);
        if self.scanned + zeros(&carry[self.scanned..]) < carry.len() {
            tally.count_lines(1);
            self.line(&carry, self.scanned, carry.len(), seen, tally);
        }
        self.flush(&carry, seen, tally);
        // A file that goes on after this is one that is written anew.
        *self = Self { id: self.id, ..Self::new(self.file, false) };
    }
}

fn zeros(bytes: &[u8]) -> usize {
    if bytes.first() == Some(&0) { bytes.iter().position(|b| *b != 0).unwrap_or(bytes.len()) } else { 0 }
}

/// Text in UTF-16, as it comes in pieces.
#[derive(Debug)]
struct Wide {
    big: bool,
    /// Bytes of a character that is not whole yet.
    held: Vec<u8>,
    /// We begin within a character: its rest is left out.
    skip: bool,
}

impl Wide {
    /// Whether a text begins with the mark, and which.
    fn marked(head: &[u8]) -> Option<bool> {
        match head {
            [0xfe, 0xff, ..] => Some(true),
            [0xff, 0xfe, ..] => Some(false),
            _ => None,
        }
    }

    fn narrow(&mut self, bytes: &[u8]) -> String {
        let skip = usize::from(std::mem::take(&mut self.skip)).min(bytes.len());
        self.held.extend_from_slice(&bytes[skip..]);
        let (pairs, _) = self.held.as_chunks::<2>();
        let mut units: Vec<u16> = pairs.iter().map(|pair| if self.big { u16::from_be_bytes(*pair) } else { u16::from_le_bytes(*pair) }).collect();
        // The first half of a pair waits for the other.
        if units.last().is_some_and(|unit| (0xd800..0xdc00).contains(unit)) {
            units.pop();
        }
        self.held.drain(..2 * units.len());
        String::from_utf16_lossy(&units)
    }
}

/// The head by the settings: any family, one, or the configured pattern.
fn read(line: &[u8], settings: &Settings) -> Option<Head> {
    if let Some(pattern) = &settings.pattern {
        let found = pattern.captures(line)?;
        let part = |name: &str| found.name(name).map(|part| (part.start(), part.end()));
        let level = part("level").map(|(from, to)| &line[from..to]);
        let level = level.and_then(|word| head::level(word).or_else(|| head::level(&word.to_ascii_uppercase())));
        let stamp = part("time").map(|(start, end)| match stamp::span(line, start) {
            Some(span) => Span { len: end - start, minute: span.minute.min(end - start), start },
            None => Span { start, len: end - start, minute: 0 },
        });
        return Some(Head { family: Family::Custom, level: level.unwrap_or(Level::Info), stamp, message: part("message").map_or(0, |(start, _)| start) });
    }
    let Some(wanted) = settings.family else { return head::read(line) };
    let python = |family| matches!(family, Family::Python | Family::Gunicorn | Family::Verbose);
    head::read(line).filter(|head| head.family == wanted || python(wanted) && python(head.family))
}

/// Whether a line without a head belongs to the event before it, and where its traceback stands after it.
fn continues(pending: &Pending, line: &[u8], indented: bool) -> Option<Trace> {
    if let Some(next) = pending.trace.next(line) {
        return Some(next);
    }
    debug_assert!(!indented, "an indented line always continues");
    if line.starts_with(trace::START) {
        // After an informational line a traceback is a crash of its own; after any other it is what that line tells of
        // (Django's template engine logs tracebacks at the level debug).
        let told = pending.trace == Trace::None && (pending.head.level >= Level::Warning || pending.head.level == Level::Debug);
        return (told && !pending.head.family.is_json()).then_some(Trace::Frames);
    }
    pending.head.family.strict().then_some(pending.trace)
}

/// The running hash of a traceback: all of its lines but the values of exceptions, which differ from time to time.
fn hash(pending: &Pending, next: Trace, line: &[u8]) -> Option<u64> {
    match (pending.trace, next) {
        (Trace::None, Trace::None) => None,
        // Addresses and arguments stand among the calls: such an event is looked at each time.
        (_, Trace::Php | Trace::Go) => None,
        (Trace::Frames, Trace::Closed) => Some(mix(pending.hash.unwrap_or(4), &line[..memchr::memchr(b':', line).unwrap_or(line.len())])),
        (Trace::Closed, Trace::Closed) => pending.hash,
        _ => Some(mix(pending.hash.unwrap_or(5), line)),
    }
}
