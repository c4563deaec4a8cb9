//! Counts events by level and minute, groups errors, keeps the newest up to a bound, and makes batches of all that.
//! Memory is bounded whatever is poured in: what is not kept is counted.
//!
//! What does not belong here: finding events in bytes (`digest`), deciding when a batch is due (`follow`).

use std::collections::{BTreeMap, HashMap, VecDeque};

use chrono::{DateTime, Utc};

use super::Settings;
use super::access::{self, Request};
use super::group::{self, Identity};
use super::head::{Family, Head};
use super::shape::{mix, shape};
use super::text::decode;
use super::{forms, objects, stack, stamp, trace};
use crate::domain::book::UNDATED;
use crate::domain::{AccessMinute, AccessPath, Level, LogAccess, LogBatch, LogEvent, LogGroup, LogMark, LogNotice, LogPlace, Noted};

/// Bytes kept of one event: its beginning and its end.
const EVENT_KEPT: usize = 32 << 10;
/// Bytes of all kept events together.
const ALL_KEPT: usize = 4 << 20;
/// Characters of a message or of one line of a detail.
const LINE_KEPT: usize = 4 << 10;
/// Lines of a detail.
const DETAIL_KEPT: usize = 400;
/// Groups in one batch; events of further ones are counted by level only.
const GROUPS: usize = 2_000;
/// Groups remembered between batches.
const KNOWN: usize = 8_192;
/// Minutes in one batch; older ones are counted in its oldest.
const MINUTES: usize = 3_000;
/// Seconds of one group that are told apart in one batch.
const TIMES: usize = 4_096;
/// Paths of requests in one batch; requests to further ones are counted by minute only.
const PATHS: usize = 400;
/// Events of one file by which its format is told.
const REMEMBERED: u64 = 2_000;
/// Marks in one batch.
const MARKS: usize = 100;

/// One event as it stands in the buffer.
#[derive(Debug, Clone, Copy)]
pub struct Raw<'a> {
    /// All its lines.
    pub text: &'a [u8],
    /// What the first says.
    pub head: Head,
    /// Index of its file.
    pub file: u16,
    /// When it was read: its time when it names none.
    pub seen: DateTime<Utc>,
    /// Hash of its traceback without values; `None`: it has no traceback.
    pub trace: Option<u64>,
    /// Where it stands in its file.
    pub place: Option<LogPlace>,
}

#[derive(Debug)]
struct Kept {
    text: Vec<u8>,
    head: Head,
    file: u16,
    seen: DateTime<Utc>,
    group: Option<u32>,
    place: Option<LogPlace>,
}

#[derive(Debug)]
struct Group {
    identity: Identity,
    level: Level,
    count: u64,
    first: i64,
    last: i64,
    /// Second and how many, in the order of reading.
    times: Vec<(i64, u64)>,
}

/// What was counted since the last batch, and the groups known so far.
#[derive(Debug)]
pub struct Tally {
    settings: Settings,
    lines: u64,
    levels: [u64; 5],
    events: u64,
    minutes: BTreeMap<i64, [u64; 5]>,
    /// The minute of the last stamp, so that only the first line of a minute is computed.
    minute: i64,
    minute_counts: [u64; 5],
    minute_text: Vec<u8>,
    newest: VecDeque<Kept>,
    newest_bytes: usize,
    spare: Vec<Kept>,
    limit: usize,
    known: HashMap<u64, u32>,
    by_fingerprint: HashMap<String, u32>,
    groups: Vec<Group>,
    touched: Vec<u32>,
    /// By file, so that each shows its own; lately, so that one that changes its format is told as what it is now.
    families: BTreeMap<(u16, Family), u64>,
    family: (u16, Family, u64),
    requests: BTreeMap<i64, AccessMinute>,
    paths: HashMap<String, AccessPath>,
    marks: Vec<LogMark>,
    /// Whether what comes was there before us.
    looks_back: bool,
}

impl Tally {
    /// Nothing counted. The first batch keeps up to `limit` events.
    pub fn new(settings: Settings, limit: usize) -> Self {
        Self {
            settings,
            lines: 0,
            levels: [0; 5],
            events: 0,
            minutes: BTreeMap::new(),
            minute: i64::MIN,
            minute_counts: [0; 5],
            minute_text: Vec::new(),
            newest: VecDeque::new(),
            newest_bytes: 0,
            spare: Vec::new(),
            limit,
            known: HashMap::new(),
            by_fingerprint: HashMap::new(),
            groups: Vec::new(),
            touched: Vec::new(),
            families: BTreeMap::new(),
            family: (0, Family::Plain, 0),
            requests: BTreeMap::new(),
            paths: HashMap::new(),
            marks: Vec::new(),
            looks_back: false,
        }
    }

    /// What comes until the next batch was there before us: some of it may have been counted then.
    pub fn look_back(&mut self) {
        self.looks_back = true;
    }

    /// The settings it works by.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How many events the batches from now on keep.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Counts physical lines.
    pub fn count_lines(&mut self, lines: u64) {
        self.lines += lines;
    }

    /// Something happened to a file.
    pub fn mark(&mut self, mark: LogMark) {
        if self.marks.len() < MARKS {
            self.marks.push(mark);
        }
    }

    /// Whether there is anything to tell.
    pub fn is_empty(&self) -> bool {
        self.lines == 0 && self.events == 0 && self.marks.is_empty()
    }

    /// Counts one event.
    pub fn add(&mut self, raw: &Raw) {
        self.events += 1;
        let level = raw.head.level;
        self.levels[level as usize] += 1;
        if (self.family.0, self.family.1) == (raw.file, raw.head.family) {
            self.family.2 += 1;
        } else {
            self.close_family();
            self.family = (raw.file, raw.head.family, 1);
        }
        self.enter_minute(raw);
        self.minute_counts[level as usize] += 1;
        if access::may(raw.head.family) || raw.head.family == Family::Custom && self.settings.pattern_requests() {
            self.request(raw);
        }
        let grouped = level.is_error() || raw.trace.is_some() && level == Level::Warning;
        let group = if grouped { self.group(raw) } else { None };
        self.keep(raw, group);
    }

    fn close_family(&mut self) {
        let (file, family, count) = self.family;
        if count > 0 {
            *self.families.entry((file, family)).or_default() += count;
            self.family.2 = 0;
        }
    }

    /// Counts the request that an event tells of.
    fn request(&mut self, raw: &Raw) {
        let unit = self.settings.unit;
        let captures;
        let request = match raw.head.family {
            // Without the word there is no request, and no need to read the object once more.
            Family::Json | Family::Journald => {
                if memchr::memmem::find(raw.text, b"\"status").is_none() {
                    return;
                }
                objects::json_parts(raw.text).and_then(|parts| access::json_request(raw.text, &parts, unit))
            }
            Family::Custom => {
                captures = self.settings.pattern.as_ref().and_then(|pattern| pattern.captures(raw.text));
                captures.as_ref().and_then(|found| {
                    let part = |name: &str| found.name(name).map(|part| part.as_bytes());
                    let status = std::str::from_utf8(part("status")?).ok()?.parse().ok().filter(|status| (100..600).contains(status))?;
                    Some(Request {
                        path: part("path").unwrap_or_default(),
                        status,
                        duration_ms: part("duration").and_then(|figure| access::millis(figure, unit)),
                    })
                })
            }
            _ => access::request(raw.text, &raw.head, unit),
        };
        let Some(request) = request else { return };
        let class = usize::from(request.status / 100 - 1);
        let mut start = self.minute;
        if self.requests.len() >= MINUTES && !self.requests.contains_key(&start) {
            start = self.requests.keys().next().copied().unwrap_or(start);
        }
        let minute = self.requests.entry(start).or_default();
        minute.start = start;
        minute.statuses[class] += 1;
        let path = access::normalise(request.path);
        if !self.paths.contains_key(path.as_ref()) && self.paths.len() < PATHS {
            let path = path.clone().into_owned();
            let masked = self.settings.masked(&path);
            self.paths.insert(path, AccessPath { path: masked, ..AccessPath::default() });
        }
        let of_path = self.paths.get_mut(path.as_ref());
        if let Some(ms) = request.duration_ms {
            minute.latency_ms.add(ms);
        }
        if let Some(of_path) = of_path {
            of_path.statuses[class] += 1;
            if let Some(ms) = request.duration_ms {
                of_path.latency_ms.add(ms);
            }
        }
    }

    /// Makes the current minute that of the event.
    fn enter_minute(&mut self, raw: &Raw) {
        let text = match raw.head.stamp {
            Some(span) if span.minute > 0 => {
                let text = &raw.text[span.start..span.start + span.minute];
                if text == self.minute_text {
                    return;
                }
                text
            }
            _ => &[],
        };
        let minute = self.at(raw.text, &raw.head, raw.seen).timestamp().div_euclid(60) * 60;
        self.minute_text.clear();
        // A time without its day means another moment tomorrow: it is not remembered.
        if text.len() > 7 {
            self.minute_text.extend_from_slice(text);
        }
        if minute != self.minute {
            self.close_minute();
            self.minute = minute;
        }
    }

    fn close_minute(&mut self) {
        if self.minute_counts != [0; 5] {
            let mut minute = self.minute;
            if self.minutes.len() >= MINUTES && !self.minutes.contains_key(&minute) {
                minute = self.minutes.keys().next().copied().unwrap_or(minute);
            }
            let into = self.minutes.entry(minute).or_default();
            for (into, count) in into.iter_mut().zip(self.minute_counts) {
                *into += count;
            }
            self.minute_counts = [0; 5];
        }
    }

    /// The moment of an event.
    fn at(&self, text: &[u8], head: &Head, seen: DateTime<Utc>) -> DateTime<Utc> {
        let stamp = head.stamp.and_then(|span| text.get(span.start..span.start + span.len));
        stamp.and_then(|text| stamp::moment(text, self.settings.zone, seen)).unwrap_or(seen)
    }

    /// The second of an event whose minute is the current one.
    fn second(&self, raw: &Raw) -> i64 {
        let figures = raw.head.stamp.filter(|span| span.minute > 0 && span.len >= span.minute + 3).and_then(|span| {
            let at = span.start + span.minute + 1;
            raw.text.get(at..at + 2)
        });
        match figures {
            Some([tens @ b'0'..=b'9', ones @ b'0'..=b'9']) => self.minute + i64::from(tens - b'0') * 10 + i64::from(ones - b'0'),
            _ => self.at(raw.text, &raw.head, raw.seen).timestamp(),
        }
    }

    fn group(&mut self, raw: &Raw) -> Option<u32> {
        let key = match (raw.trace, raw.head.family) {
            (Some(key), _) => key,
            (None, Family::Json | Family::Journald) => objects::json_parts(raw.text).map_or(0, |parts| {
                let text = |place: Option<(usize, usize)>| place.map_or(&[][..], |(start, end)| &raw.text[start..end]);
                mix(mix(2, text(parts.message)), text(parts.exception))
            }),
            (None, _) => return self.message_group(raw),
        };
        let place = if let Some(place) = self.known.get(&key) { *place } else { self.identify(raw, key, None)? };
        self.count(place, raw)
    }

    /// The group of an event that is its message alone.
    fn message_group(&mut self, raw: &Raw) -> Option<u32> {
        let message = raw.text.get(raw.head.message..).unwrap_or_default();
        // Of several lines each says something by its figures: they may be calls.
        let flat = if memchr::memchr(b'\n', message).is_none() { shape(7, message) } else { None };
        let known = flat.and_then(|flat| self.known.get(&flat).copied());
        let place = match known {
            Some(place) => place,
            None => {
                let key = mix(1, message);
                match self.known.get(&key) {
                    Some(place) => *place,
                    None => self.identify(raw, key, flat)?,
                }
            }
        };
        self.count(place, raw)
    }

    /// Counts an event in its group.
    fn count(&mut self, place: u32, raw: &Raw) -> Option<u32> {
        let at = self.second(raw);
        // Asked only where it matters: of what was there before us.
        let dated = !self.looks_back
            || raw.head.stamp.is_some_and(|span| stamp::moment(&raw.text[span.start..span.start + span.len], self.settings.zone, raw.seen).is_some());
        let group = &mut self.groups[place as usize];
        if group.count == 0 {
            if self.touched.len() >= GROUPS {
                return None;
            }
            self.touched.push(place);
            (group.first, group.last) = (at, at);
        }
        let noted = if self.looks_back && !dated { UNDATED } else { at };
        let full = group.times.len() >= TIMES;
        match group.times.last_mut() {
            Some((second, count)) if *second == noted || full => *count += 1,
            _ => group.times.push((noted, 1)),
        }
        group.count += 1;
        group.level = group.level.max(raw.head.level);
        group.first = group.first.min(at);
        group.last = group.last.max(at);
        Some(place)
    }

    /// The slow path, for a text not seen lately. From then on it is known by `key`, or by its shape, where nothing but the message tells
    /// what it is: names of functions may differ in figures alone.
    fn identify(&mut self, raw: &Raw, key: u64, shape: Option<u64>) -> Option<u32> {
        let clipped = clip(raw.text);
        let event = self.event(&clipped, &raw.head, raw.file, raw.seen, None);
        let parsed = stack::parse(&event.message, &event.detail);
        let identity = group::identify(&event.message, parsed.as_ref(), &self.settings.project);
        if self.known.len() >= KNOWN {
            self.known.clear();
        }
        let key = shape.filter(|_| identity.culprit.is_empty()).unwrap_or(key);
        let place = if let Some(place) = self.by_fingerprint.get(&identity.fingerprint) {
            *place
        } else {
            let place = u32::try_from(self.groups.len()).ok().filter(|place| (*place as usize) < KNOWN + GROUPS)?;
            self.by_fingerprint.insert(identity.fingerprint.clone(), place);
            self.groups.push(Group { identity, level: raw.head.level, count: 0, first: 0, last: 0, times: Vec::new() });
            place
        };
        self.known.insert(key, place);
        Some(place)
    }

    /// Forgets groups when nothing refers to them by place: between batches. Within one, the bound of a batch holds.
    fn forget_groups(&mut self) {
        if self.touched.is_empty() && self.newest.iter().all(|kept| kept.group.is_none()) {
            self.groups.clear();
            self.by_fingerprint.clear();
            self.known.clear();
        }
    }

    fn keep(&mut self, raw: &Raw, group: Option<u32>) {
        let text = clip(raw.text);
        let fill = |kept: &mut Kept| {
            kept.text.clear();
            // One giant must not stay in memory for ever.
            kept.text.shrink_to(4 << 10);
            kept.text.extend_from_slice(&text);
            (kept.head, kept.file, kept.seen, kept.group, kept.place) = (raw.head, raw.file, raw.seen, group, raw.place);
        };
        let limit = self.limit.max(1);
        while self.newest.len() > limit {
            let Some(old) = self.newest.pop_front() else { break };
            self.newest_bytes -= old.text.len();
        }
        if self.newest.len() == limit {
            // The oldest makes room for the newest in its own place.
            self.newest.rotate_left(1);
            if let Some(kept) = self.newest.back_mut() {
                self.newest_bytes -= kept.text.len();
                fill(kept);
            }
        } else {
            let empty = || Kept { text: Vec::new(), head: raw.head, file: raw.file, seen: raw.seen, group, place: raw.place };
            let mut kept = self.spare.pop().unwrap_or_else(empty);
            fill(&mut kept);
            self.newest.push_back(kept);
        }
        self.newest_bytes += text.len();
        while self.newest_bytes > ALL_KEPT {
            let Some(old) = self.newest.pop_front() else { break };
            self.newest_bytes -= old.text.len();
        }
    }

    /// The event for reading.
    fn event(&self, text: &[u8], head: &Head, file: u16, seen: DateTime<Utc>, fingerprint: Option<String>) -> LogEvent {
        let at = self.at(text, head, seen);
        let clean = |line: &str| {
            let line: String = line.trim_end_matches('\r').chars().take(LINE_KEPT).collect();
            self.settings.masked(&line)
        };
        let (mut message, mut detail) = (String::new(), Vec::new());
        let parts = if head.family.is_json() { objects::json_parts(text) } else { None };
        if let Some(parts) = parts {
            let string = |place: (usize, usize)| {
                let raw = decode(&text[place.0..place.1]);
                // The journal of systemd writes what is no UTF-8, or holds control characters, as a list of bytes.
                let bytes = || serde_json::from_str::<Vec<u8>>(&raw).ok().map(|bytes| decode(&bytes).into_owned());
                serde_json::from_str::<String>(&raw).ok().or_else(bytes).unwrap_or_else(|| raw.into_owned())
            };
            let whole = parts.message.map_or_else(|| decode(text).into_owned(), string);
            let mut lines = whole.lines();
            message = clean(lines.next().unwrap_or_default());
            detail.extend(lines.map(clean));
            if let Some(place) = parts.exception.filter(|place| text[place.0] == b'"') {
                detail.extend(string(place).lines().take(DETAIL_KEPT).map(clean));
            }
        } else {
            let mut lines = text.split(|b| *b == b'\n');
            let first = decode(lines.next().unwrap_or_default());
            if first.starts_with("Traceback ") || first.trim_start().starts_with("+ Exception Group") {
                detail.push(clean(&first));
            } else {
                // The head ends before any letter of the message, so decoding the message alone is the same text.
                let raw = text.get(head.message..).and_then(|rest| rest.split(|b| *b == b'\n').next()).unwrap_or_default();
                message = if head.family == Family::Logfmt {
                    clean(&forms::logfmt_text(text.split(|b| *b == b'\n').next().unwrap_or_default()))
                } else {
                    clean(&decode(raw))
                };
            }
            let relayed = |line| if head.family.is_relay() { forms::unrelayed(line) } else { line };
            detail.extend(lines.map(|line| clean(&decode(relayed(line)))));
            if message.is_empty() && !detail.is_empty() {
                message = trace::parse(detail.iter().map(String::as_str)).map(|parsed| parsed.title).unwrap_or_default();
            }
        }
        while detail.last().is_some_and(|line| line.trim().is_empty()) {
            detail.pop();
        }
        if detail.len() > DETAIL_KEPT {
            // The end of a traceback says more than its middle.
            let cut = detail.len() - DETAIL_KEPT + 1;
            let from = DETAIL_KEPT / 4;
            detail.splice(from..from + cut, [format!("  … {cut} lines left out")]);
        }
        LogEvent { at, level: head.level, file, message, detail, fingerprint, place: None }
    }

    /// All since the last batch.
    pub fn take(&mut self, files: &[String], now: DateTime<Utc>) -> LogBatch {
        self.close_minute();
        // A time without its day means another moment in the next batch.
        self.minute_text.clear();
        let kept = std::mem::take(&mut self.newest);
        self.newest_bytes = 0;
        let skipped = self.events - kept.len() as u64;
        let events: Vec<LogEvent> = kept
            .iter()
            .map(|kept| {
                let fingerprint = kept.group.map(|place| self.groups[place as usize].identity.fingerprint.clone());
                LogEvent { place: kept.place, ..self.event(&kept.text, &kept.head, kept.file, kept.seen, fingerprint) }
            })
            .collect();
        self.spare.extend(kept);
        self.spare.truncate(64);
        let moment = |second: i64| DateTime::from_timestamp(second, 0).unwrap_or(now);
        let touched = std::mem::take(&mut self.touched);
        let book = touched
            .iter()
            .map(|place| {
                let group = &mut self.groups[*place as usize];
                let former = Some(group.identity.former.clone());
                Noted { fingerprint: group.identity.fingerprint.clone(), former, times: std::mem::take(&mut group.times) }
            })
            .collect();
        let groups = touched
            .into_iter()
            .map(|place| {
                let group = &mut self.groups[place as usize];
                LogGroup {
                    fingerprint: group.identity.fingerprint.clone(),
                    title: group.identity.title.clone(),
                    culprit: group.identity.culprit.clone(),
                    level: group.level,
                    count: std::mem::take(&mut group.count),
                    first_seen: moment(group.first),
                    last_seen: moment(group.last),
                }
            })
            .collect();
        let mut marks = std::mem::take(&mut self.marks);
        if skipped > 0 {
            let file = events.first().map_or(0, |event| event.file);
            marks.push(LogMark { at: now, file, notice: LogNotice::Skipped(skipped) });
        }
        let minutes = std::mem::take(&mut self.minutes);
        self.close_family();
        let access = (!self.requests.is_empty()).then(|| LogAccess {
            minutes: std::mem::take(&mut self.requests).into_values().collect(),
            paths: std::mem::take(&mut self.paths).into_values().collect(),
        });
        let batch = LogBatch {
            files: files.to_vec(),
            lines: std::mem::take(&mut self.lines),
            levels: Level::ALL.into_iter().zip(self.levels).filter(|(_, count)| *count > 0).collect(),
            minutes: minutes
                .into_iter()
                .flat_map(|(minute, counts)| {
                    Level::ALL.into_iter().zip(counts).filter(|(_, count)| *count > 0).map(move |(level, count)| (minute, level, count))
                })
                .collect(),
            groups,
            book,
            looked_back: std::mem::take(&mut self.looks_back),
            events,
            marks,
            skipped,
            format: self.format(),
            access,
            about: Vec::new(),
            limits: self.settings.limits,
        };
        self.fade();
        self.levels = [0; 5];
        self.events = 0;
        if self.groups.len() >= KNOWN {
            self.forget_groups();
        }
        batch
    }

    /// The family that most events are of; plain text only when nothing else was recognised in a tenth of them.
    fn format(&self) -> String {
        most(self.families.iter().map(|((_, family), count)| (*family, *count))).unwrap_or(Family::Plain).name().to_owned()
    }

    /// The same of one file; empty before anything was read of it.
    pub fn format_of(&self, file: u16) -> String {
        let counts = self.families.range((file, Family::Plain)..=(file, Family::Custom)).map(|((_, family), count)| (*family, *count));
        most(counts).map(Family::name).unwrap_or_default().to_owned()
    }

    /// What was seen long ago counts less and less, so that a file that changes its format is recognised anew.
    fn fade(&mut self) {
        let mut sums = BTreeMap::<u16, u64>::new();
        for ((file, _), count) in &self.families {
            *sums.entry(*file).or_default() += count;
        }
        self.families.retain(|(file, _), count| {
            if sums.get(file).is_some_and(|sum| *sum > REMEMBERED) {
                *count /= 2;
            }
            *count > 0
        });
    }
}

fn most(counts: impl Iterator<Item = (Family, u64)>) -> Option<Family> {
    let mut sums = BTreeMap::<Family, u64>::new();
    for (family, count) in counts {
        *sums.entry(family).or_default() += count;
    }
    let all: u64 = sums.values().sum();
    let most = sums.iter().filter(|(family, _)| **family != Family::Plain).max_by_key(|(_, count)| **count);
    (all > 0).then(|| most.filter(|(_, count)| **count * 10 >= all).map_or(Family::Plain, |(family, _)| *family))
}

/// The beginning and the end of an event past the bound, cut between lines where there are any.
fn clip(text: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    if text.len() <= EVENT_KEPT {
        return text.into();
    }
    let front = &text[..EVENT_KEPT / 4];
    let front = &front[..memchr::memrchr(b'\n', front).unwrap_or(front.len())];
    let back = &text[text.len() - EVENT_KEPT / 2..];
    let back = memchr::memchr(b'\n', back).map_or(&[][..], |at| &back[at..]);
    [front, b"\n  \xe2\x80\xa6", back].concat().into()
}
