//! What the tests of logs share: texts read in pieces, a source over real files and everything it has told.

mod bytes;
mod commands;
mod files;
mod forms;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use chrono::{DateTime, Utc};
use proptest::prelude::*;

use super::digest::{LINE, Stream};
use super::tally::Tally;
use super::*;
use crate::domain::{ErrorKind, Level, LogEvent, LogNotice, SourceId};
use crate::sources::Common;

fn seen() -> DateTime<Utc> {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

fn settings() -> Settings {
    Settings { zone: stamp::Zone::Named(chrono_tz::UTC), ..Settings::default() }
}

fn many(range: std::ops::Range<u32>, line: impl Fn(u32) -> String) -> String {
    range.map(line).collect::<Vec<_>>().concat()
}

/// Everything a text gives, in pieces of these sizes.
fn read_with(settings: Settings, text: &[u8], pieces: &[usize]) -> LogBatch {
    let mut tally = Tally::new(settings, 1_000);
    let mut stream = Stream::new(0, false).at((1, 2), 0);
    let (mut rest, mut sizes) = (text, pieces.iter().cycle());
    while !rest.is_empty() {
        let size = sizes.next().copied().unwrap_or(rest.len()).clamp(1, rest.len());
        stream.feed(&rest[..size], seen(), &mut tally);
        rest = &rest[size..];
    }
    stream.end(seen(), &mut tally);
    tally.take(&["x.log".to_owned()], seen())
}

fn read(text: &str) -> LogBatch {
    read_with(settings(), text.as_bytes(), &[])
}

fn messages(batch: &LogBatch) -> Vec<&str> {
    batch.events.iter().map(|event| event.message.as_str()).collect()
}

fn config(text: &str) -> Config {
    toml::from_str(text).unwrap()
}

fn context(base: &Path, trusted: bool) -> BuildContext {
    BuildContext {
        id: SourceId::parse("shop/log/django").unwrap(),
        common: Common::default(),
        base: base.to_owned(),
        trusted,
        zone: Some(chrono_tz::UTC),
        cache: None,
        state: None,
    }
}

/// A source under test, and everything it has told.
struct Bench {
    config: Config,
    context: BuildContext,
    source: Box<dyn Source>,
    told: Vec<String>,
    notices: Vec<LogNotice>,
    levels: u64,
    problems: Vec<Problem>,
}

impl Bench {
    fn new(base: &Path, text: &str) -> Self {
        let (config, context) = (config(text), context(base, true));
        let source = config.build(&context).unwrap().source;
        Self { config, context, source, told: Vec::new(), notices: Vec::new(), levels: 0, problems: Vec::new() }
    }

    async fn collect(&mut self) -> Result<(), SourceError> {
        match self.source.collect().await {
            Ok(collected) => {
                for observation in collected.observations {
                    let Data::Log(batch) = observation.data else { panic!("no log") };
                    self.levels += batch.levels.values().sum::<u64>();
                    self.told.extend(batch.events.into_iter().map(|event| event.message));
                    self.notices.extend(batch.marks.into_iter().map(|mark| mark.notice));
                }
                self.problems = collected.problems;
                Ok(())
            }
            Err(error) => {
                // As the runner does.
                self.source = self.config.build(&self.context).unwrap().source;
                Err(error)
            }
        }
    }

    /// Collects until `last` was told.
    async fn until(&mut self, last: &str) {
        let found = tokio::time::timeout(Duration::from_secs(60), async {
            while !self.told.iter().any(|told| told == last) {
                if self.collect().await.is_err() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        });
        assert!(found.await.is_ok(), "{last} never came; told: {:?}", self.told);
    }

    /// Collects until there was such a notice.
    async fn until_notice(&mut self, notice: LogNotice) {
        let found = tokio::time::timeout(Duration::from_secs(60), async {
            while !self.notices.contains(&notice) {
                if self.collect().await.is_err() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        });
        assert!(found.await.is_ok(), "{notice:?} never came: {:?}", self.notices);
    }
}

fn append(path: &Path, text: &str) {
    OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// What Django writes with each of its formats.
const FIXTURES: [(&str, &str, &str); 6] = [
    ("default", "django", include_str!("../fixtures/django-5.2-default.log")),
    ("verbose", "verbose", include_str!("../fixtures/django-5.2-verbose.log")),
    ("std", "python", include_str!("../fixtures/django-5.2-std.log")),
    ("basic", "python", include_str!("../fixtures/django-5.2-basic.log")),
    ("dash", "python", include_str!("../fixtures/django-5.2-dash.log")),
    ("json", "json", include_str!("../fixtures/django-5.2-json.log")),
];
