//! Older events: from where the followed files were first read, backward through them and their rotated and packed neighbours, a
//! bounded page at a time. Blocks are read from the end and digested forward, so that events are the same as when followed.
//!
//! What does not belong here: reading files in pieces (`io::back`), following (`follow`), what a person looks for (`state::logview`).

use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::digest::Stream;
use super::tally::Tally;
use super::{BoxFuture, Settings, regex_error};
use crate::domain::{LogEvent, LogFrom, LogPast, LogPlace, LogQuery, Problem, SourceError, Timestamp};
use crate::io::back::{self, Link, Pieces};
use crate::io::{clock, tail};
use crate::sources::Past;

/// Events of a page unless asked otherwise, and at most.
const PAGE: usize = 500;
const MOST: usize = 5_000;
/// Bytes looked at for one page, unpacked, and for how long.
const BYTES: u64 = 256 << 20;
const LONG: Duration = Duration::from_secs(2);
/// For how long a packed file may be unpacked.
const UNPACK: Duration = Duration::from_secs(20);
/// When a file system that does not answer is given up on.
const STUCK: Duration = Duration::from_secs(30);
/// Bytes read at once; more when no event ends within them.
const BLOCK: u64 = 256 << 10;
const BLOCK_MOST: u64 = 8 << 20;
/// The front of a block that only tells where events begin: nearly all events are shorter.
const WARM: u64 = 64 << 10;
/// Followed names.
const FILES: usize = 256;

/// Reads one source back.
#[derive(Debug)]
pub struct Reader {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    patterns: Vec<String>,
    base: PathBuf,
    settings: Settings,
    /// The packed file that was read last, with its window: paging through it unpacks it once for each window.
    packed: Mutex<Option<Pieces>>,
}

impl Reader {
    /// Of the files that these patterns name.
    #[must_use]
    pub fn new(patterns: Vec<String>, base: PathBuf, settings: Settings) -> Self {
        Self { inner: Arc::new(Inner { patterns, base, settings, packed: Mutex::new(None) }) }
    }
}

impl Past for Reader {
    fn before(&self, query: LogQuery) -> BoxFuture<'static, Result<LogPast, SourceError>> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            let page = tokio::task::spawn_blocking(move || inner.page(&query));
            match tokio::time::timeout(STUCK, page).await {
                Ok(Ok(page)) => page,
                Ok(Err(_)) => Err(SourceError::protocol("reading the log back crashed")),
                Err(_) => Err(SourceError::timeout(STUCK)),
            }
        })
    }
}

/// What events must be like.
struct Wanted<'a> {
    query: &'a LogQuery,
    grep: Option<regex::Regex>,
    /// The same in bytes, where a block without it needs no further look.
    plain: Option<&'a [u8]>,
}

impl Wanted<'_> {
    fn takes(&self, event: &LogEvent) -> bool {
        self.query.least.is_none_or(|least| event.level >= least)
            && self.query.since.is_none_or(|since| event.at >= since)
            && self.grep.as_ref().is_none_or(|grep| grep.is_match(&event.message) || event.detail.iter().any(|line| grep.is_match(line)))
    }

    fn rules_out(&self, bytes: &[u8]) -> bool {
        self.plain.is_some_and(|plain| memchr::memmem::find(bytes, plain).is_none())
    }
}

/// The files of one name, gone through backward.
struct Back {
    file: u16,
    name: String,
    links: Vec<Link>,
    index: usize,
    pieces: Option<Pieces>,
    /// Where in the current file what is not yet read ends; `None`: its end.
    end: Option<u64>,
    /// Where the newest event begins that was taken, or the place behind which all was taken.
    position: Option<LogPlace>,
    at: Option<Timestamp>,
    /// Only events before this: their place could not be found.
    until: Option<Timestamp>,
    /// Read and not taken, oldest first.
    ready: Vec<LogEvent>,
    over: bool,
}

impl Back {
    fn new(live: &Path, file: u16, from: Option<&LogFrom>, problems: &mut Vec<Problem>) -> Self {
        let name = live.display().to_string();
        let (links, unread) = back::chain(live);
        problems.extend(unread.iter().map(|path| Problem { subject: path.display().to_string(), message: "is packed in a way that is not read".to_owned() }));
        let mut this = Self { file, name, links, index: 0, pieces: None, end: None, position: None, at: None, until: None, ready: Vec::new(), over: false };
        let Some(from) = from else { return this };
        (this.position, this.at) = (from.place, from.at);
        let Some(place) = from.place else { return this };
        match this.links.iter().position(|link| link.id == place.id) {
            Some(index) if place.offset == u64::MAX => this.index = index,
            // A file that was copied and emptied is shorter now; what it was is its first neighbour.
            Some(index) if !this.links[index].packed && this.links[index].size < place.offset => {
                let copy = this.links.get(index + 1).is_some_and(|link| !link.packed && link.size >= place.offset);
                if copy {
                    (this.index, this.end) = (index + 1, Some(place.offset));
                } else {
                    this.until = from.at;
                }
            }
            Some(index) => (this.index, this.end) = (index, Some(place.offset)),
            None => this.until = from.at,
        }
        this
    }

    /// Where a next page begins.
    fn from(&self) -> LogFrom {
        let place = if !self.ready.is_empty() {
            self.position
        } else if let Some(link) = self.links.get(self.index) {
            Some(LogPlace { id: link.id, offset: self.end.unwrap_or(u64::MAX) })
        } else {
            // All was read: the place before everything.
            self.links.last().map(|link| LogPlace { id: link.id, offset: 0 })
        };
        // A time that stood in for a place still does, until events of before it were found.
        let at = if self.until.is_some() { self.until.min(self.at.or(self.until)) } else { self.at };
        LogFrom { file: self.name.clone(), place, at }
    }

    /// Reads one block further back. Gives how many bytes that took.
    fn refill(&mut self, inner: &Inner, wanted: &Wanted<'_>, stop: &dyn Fn() -> bool) -> Result<u64, Problem> {
        let Some(link) = self.links.get(self.index) else {
            self.over = true;
            return Ok(0);
        };
        let told = |error: &std::io::Error| Problem { subject: link.path.display().to_string(), message: format!("cannot be read: {error}") };
        if self.pieces.as_ref().is_none_or(|pieces| pieces.link().id != link.id) {
            let held = if link.packed { inner.packed.lock().unwrap_or_else(PoisonError::into_inner).take() } else { None };
            let pieces = match held.filter(|held| held.link() == link) {
                Some(held) => Ok(held),
                None => Pieces::open(link),
            };
            self.pieces = Some(pieces.map_err(|error| told(&error))?);
        }
        let Some(pieces) = &mut self.pieces else { return Ok(0) };
        let before = pieces.unpacked();
        let end = match self.end {
            Some(end) => end,
            None => pieces.size(stop).map_err(|error| told(&error))?,
        };
        if end == 0 {
            (self.index, self.end) = (self.index + 1, None);
            return Ok(pieces.unpacked() - before);
        }
        self.position = Some(LogPlace { id: link.id, offset: end });
        let seen = link.modified.map_or_else(clock::now, Timestamp::from);
        let (mut block, mut taken) = (BLOCK, 0);
        let events = loop {
            let start = end.saturating_sub(block);
            let bytes = pieces.read(start, end, stop).map_err(|error| told(&error))?;
            taken += bytes.len() as u64;
            // The first line is whole only at the front of the file.
            let front = if start == 0 { 0 } else { memchr::memchr(b'\n', &bytes).map_or(bytes.len(), |at| at + 1) };
            if wanted.rules_out(&bytes) && start > 0 && front < bytes.len() {
                // What begins in the last bytes before may go on here: that much is read again.
                let overlap = memchr::memchr(b'\n', &bytes[bytes.len().min(WARM as usize)..]).map_or(bytes.len(), |at| WARM as usize + at + 1);
                let next = start + overlap as u64;
                self.end = Some(if next < end { next } else { start + front as u64 });
                break Vec::new();
            }
            let mut tally = Tally::new(inner.settings.clone(), usize::MAX);
            let mut stream = Stream::new(self.file, start > 0).at(link.id, start + front as u64);
            stream.feed(&bytes[front..], seen, &mut tally);
            stream.end(seen, &mut tally);
            let all = tally.take(&[], seen).events;
            let sure = if start == 0 { 0 } else { start + WARM };
            let offset = |event: &LogEvent| event.place.map_or(0, |place| place.offset);
            let mut events: Vec<LogEvent> = all.iter().filter(|event| offset(event) >= sure).cloned().collect();
            if events.is_empty() && start > 0 {
                if block < BLOCK_MOST {
                    block *= 4;
                    continue;
                }
                events = all;
            }
            // A line longer than all this is passed over.
            self.end = Some(if start == 0 { 0 } else { events.first().map_or(start, offset) });
            break events;
        };
        let too_old = wanted.query.since.is_some_and(|since| !events.is_empty() && events.iter().all(|event| event.at < since));
        self.ready = events.into_iter().filter(|event| wanted.takes(event) && self.until.is_none_or(|until| event.at < until)).collect();
        taken += pieces.unpacked() - before;
        if too_old {
            self.over = true;
        }
        Ok(taken)
    }

    fn pop(&mut self) -> Option<LogEvent> {
        let event = self.ready.pop()?;
        (self.position, self.at) = (event.place, Some(event.at));
        Some(event)
    }
}

impl Inner {
    /// The names that are followed: archives that a glob gives are read as what they are.
    fn live(&self) -> Vec<PathBuf> {
        let mut found: Vec<(PathBuf, bool)> = Vec::new();
        for pattern in &self.patterns {
            let (files, _) = tail::expand(&self.base, pattern, 4 * FILES);
            let named = !tail::is_glob(pattern);
            found.extend(files.into_iter().map(|file| (file, named)));
        }
        let names: Vec<PathBuf> = found.iter().map(|(path, _)| path.clone()).collect();
        found.retain(|(path, named)| *named || !(back::is_packed(path) || names.iter().any(|live| back::is_archive(path, live))));
        let mut live: Vec<PathBuf> = Vec::new();
        for (path, _) in found {
            if !live.contains(&path) && live.len() < FILES {
                live.push(path);
            }
        }
        live
    }

    fn page(&self, query: &LogQuery) -> Result<LogPast, SourceError> {
        let wrong = |error: regex::Error| {
            SourceError::config(format!("not a regular expression: {}", regex_error(&error)), "put a backslash before what is meant as it is")
        };
        let grep = query.grep.as_deref().map(regex::Regex::new).transpose().map_err(wrong)?;
        // A pattern without special characters must stand in the bytes as it is; one with a quote or a letter beyond ASCII may be escaped.
        let is_plain = |text: &&str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b' ' | b'_' | b':' | b'=' | b','));
        let plain = query.grep.as_deref().filter(is_plain).map(str::as_bytes);
        let wanted = Wanted { query, grep, plain };
        let limit = if query.limit == 0 { PAGE } else { query.limit.min(MOST) };
        let begun = Instant::now();
        let stop = || begun.elapsed() > UNPACK;
        let (mut files, mut problems) = (query.files.clone(), Vec::new());
        let mut backs: Vec<Back> = Vec::new();
        for live in self.live() {
            let name = live.display().to_string();
            let place = files.iter().position(|known| *known == name).unwrap_or_else(|| {
                files.push(name.clone());
                files.len() - 1
            });
            let from = query.from.iter().find(|from| from.file == name);
            backs.push(Back::new(&live, u16::try_from(place).unwrap_or(u16::MAX), from, &mut problems));
        }
        let (mut events, mut bytes) = (Vec::new(), 0);
        'page: while events.len() < limit {
            for back in &mut backs {
                while back.ready.is_empty() && !back.over {
                    if bytes >= BYTES || begun.elapsed() > LONG {
                        break 'page;
                    }
                    match back.refill(self, &wanted, &stop) {
                        Ok(read) => bytes += read,
                        Err(problem) => {
                            problems.push(problem);
                            (back.index, back.end, back.pieces) = (back.index + 1, None, None);
                        }
                    }
                }
            }
            let newest = |left: &&mut Back, right: &&mut Back| match (left.ready.last(), right.ready.last()) {
                (Some(left), Some(right)) => left.at.cmp(&right.at),
                (left, right) => left.is_some().cmp(&right.is_some()),
            };
            let Some(event) = backs.iter_mut().max_by(|left, right| -> Ordering { newest(left, right) }).and_then(Back::pop) else { break };
            events.push(event);
        }
        events.reverse();
        let more = backs.iter().any(|back| !(back.over && back.ready.is_empty()));
        let next = more.then(|| backs.iter().map(Back::from).collect());
        if let Some(pieces) = backs.into_iter().filter_map(|back| back.pieces).find(|pieces| pieces.link().packed) {
            *self.packed.lock().unwrap_or_else(PoisonError::into_inner) = Some(pieces);
        }
        Ok(LogPast { events, files, next, bytes, problems })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write;

    use super::*;
    use crate::domain::Level;
    use crate::sources::log::stamp::Zone;

    fn reader(folder: &Path, pattern: &str) -> Reader {
        let settings = Settings { zone: Zone::Named(chrono_tz::UTC), ..Settings::default() };
        Reader::new(vec![pattern.to_owned()], folder.to_owned(), settings)
    }

    fn lines(range: std::ops::Range<u32>) -> String {
        let level = |n| if n % 100 == 0 { "ERROR" } else { "INFO" };
        range.map(|n| format!("2026-11-20 {:02}:{:02}:{:02} {} a: line {n}\n", n / 3_600, n / 60 % 60, n % 60, level(n))).collect::<Vec<_>>().concat()
    }

    fn write_gz(path: &Path, text: &str) {
        let mut packer = flate2::write::GzEncoder::new(File::create(path).unwrap(), flate2::Compression::fast());
        packer.write_all(text.as_bytes()).unwrap();
        packer.finish().unwrap();
    }

    /// All pages of a query, oldest first, and how many there were.
    fn all(reader: &Reader, query: LogQuery) -> (Vec<LogEvent>, usize) {
        let (mut query, mut events, mut pages) = (query, Vec::new(), 0);
        loop {
            let page = reader.inner.page(&query).unwrap();
            assert!(page.problems.is_empty(), "{:?}", page.problems);
            pages += 1;
            events.splice(0..0, page.events);
            match page.next {
                Some(next) => query.from = next,
                None => return (events, pages),
            }
            assert!(pages < 1_000, "it never ends");
        }
    }

    #[test]
    fn pages_go_back_through_rotated_and_packed_files() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        write_gz(&at("x.log.2.gz"), &lines(0..20_000));
        fs::write(at("x.log.1"), lines(20_000..40_000)).unwrap();
        fs::write(at("x.log"), lines(40_000..50_000)).unwrap();
        let reader = reader(folder.path(), "x.log");
        let (events, pages) = all(&reader, LogQuery { limit: 777, ..LogQuery::default() });
        assert_eq!((events.len(), pages), (50_000, 50_000 / 777 + 1));
        for (n, event) in events.iter().enumerate() {
            assert_eq!(event.message, format!("a: line {n}"));
        }
        // From the middle, as the page does that holds the newest thousand.
        let from = vec![LogFrom { file: at("x.log").display().to_string(), place: events[45_000].place, at: Some(events[45_000].at) }];
        let page = reader.inner.page(&LogQuery { from: from.clone(), limit: 10, ..LogQuery::default() }).unwrap();
        assert_eq!(page.events.last().unwrap().message, "a: line 44999");
        // A rotation between two pages changes nothing.
        fs::remove_file(at("x.log.2.gz")).unwrap();
        write_gz(&at("x.log.2.gz"), &lines(20_000..40_000));
        fs::rename(at("x.log"), at("x.log.1")).unwrap();
        fs::write(at("x.log"), lines(50_000..50_010)).unwrap();
        let page = reader.inner.page(&LogQuery { from: from.clone(), limit: 10, ..LogQuery::default() }).unwrap();
        assert_eq!(page.events.last().unwrap().message, "a: line 44999");
        // Nor does packing, once the time tells the place.
        fs::remove_file(at("x.log.1")).unwrap();
        write_gz(&at("x.log.1.gz"), &lines(40_000..50_000));
        let page = reader.inner.page(&LogQuery { from, limit: 10, ..LogQuery::default() }).unwrap();
        assert_eq!(page.events.last().unwrap().message, "a: line 44999");
    }

    #[test]
    fn what_is_looked_for_is_found_in_old_files() {
        let folder = tempfile::tempdir().unwrap();
        write_gz(&folder.path().join("x.log.1.gz"), &lines(0..30_000));
        fs::write(folder.path().join("x.log"), lines(30_000..60_000)).unwrap();
        let reader = reader(folder.path(), "x.log");
        for grep in ["line 12345", "line 1234(5)$"] {
            let (events, _) = all(&reader, LogQuery { grep: Some(grep.to_owned()), ..LogQuery::default() });
            assert_eq!(events.iter().map(|event| event.message.as_str()).collect::<Vec<_>>(), ["a: line 12345"], "{grep}");
        }
        let (events, _) = all(&reader, LogQuery { least: Some(Level::Error), ..LogQuery::default() });
        assert_eq!(events.len(), 600);
        let since = "2026-11-20T10:00:00Z".parse().unwrap();
        let (events, _) = all(&reader, LogQuery { since: Some(since), ..LogQuery::default() });
        assert_eq!((events.len(), events[0].at), (24_000, since));
        assert!(reader.inner.page(&LogQuery { grep: Some("(".to_owned()), ..LogQuery::default() }).is_err());
    }

    #[test]
    fn files_are_merged_by_time_and_keep_the_askers_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let both = lines(0..2_000);
        let odd: String = both.split_inclusive('\n').skip(1).step_by(2).collect();
        let even: String = both.split_inclusive('\n').step_by(2).collect();
        fs::write(folder.path().join("a.log"), odd).unwrap();
        fs::write(folder.path().join("b.log"), even).unwrap();
        fs::write(folder.path().join("b.log.1"), "").unwrap();
        let reader = reader(folder.path(), "*.log*");
        let files = vec![folder.path().join("b.log").display().to_string()];
        let (events, _) = all(&reader, LogQuery { files, limit: 99, ..LogQuery::default() });
        assert_eq!(events.len(), 2_000);
        for (n, event) in events.iter().enumerate() {
            assert_eq!((event.message.as_str(), event.file), (format!("a: line {n}").as_str(), (n % 2) as u16));
        }
    }

    #[test]
    fn tracebacks_and_giants_are_whole_events() {
        let folder = tempfile::tempdir().unwrap();
        let mut text = String::new();
        for n in 0..3_000 {
            text.push_str(&format!("ERROR:a:broke {n}\nTraceback (most recent call last):\n  File \"/srv/a.py\", line {n}, in f\n    f()\nKeyError: {n}\n"));
            if n == 1_500 {
                text.push_str(&"x".repeat(9 << 20));
                text.push('\n');
            }
        }
        fs::write(folder.path().join("x.log"), &text).unwrap();
        let (events, _) = all(&reader(folder.path(), "x.log"), LogQuery { limit: 100, ..LogQuery::default() });
        let broke: Vec<&LogEvent> = events.iter().filter(|event| event.message.contains("broke")).collect();
        assert!(broke.len() >= 2_999, "{}", broke.len());
        assert!(broke.iter().all(|event| event.detail.len() >= 4));
    }

    #[test]
    fn ten_gigabytes_are_read_from_their_end_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        let mut file = File::create(&path).unwrap();
        std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(10 << 30)).unwrap();
        file.write_all(format!("\n{}", lines(0..5_000)).as_bytes()).unwrap();
        let page = reader(folder.path(), "x.log").inner.page(&LogQuery::default()).unwrap();
        assert_eq!(page.events.len(), PAGE);
        assert!(page.bytes < 4 << 20, "{}", page.bytes);
    }
}
