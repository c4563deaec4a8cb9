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

// ---- what real Django and Python write ----

const FIXTURES: [(&str, &str, &str); 6] = [
    ("default", "django", include_str!("fixtures/django-5.2-default.log")),
    ("verbose", "verbose", include_str!("fixtures/django-5.2-verbose.log")),
    ("std", "python", include_str!("fixtures/django-5.2-std.log")),
    ("basic", "python", include_str!("fixtures/django-5.2-basic.log")),
    ("dash", "python", include_str!("fixtures/django-5.2-dash.log")),
    ("json", "json", include_str!("fixtures/django-5.2-json.log")),
];

/// The same seven failures in every format: six errors of which five have different tracebacks, a 404.
fn assert_django(name: &str, format: &str, text: &str) {
    let batch = read(text);
    assert_eq!(batch.format, format, "{name}");
    let errors: Vec<&LogEvent> = batch.events.iter().filter(|event| event.level.is_error()).collect();
    let internal: Vec<&&LogEvent> = errors.iter().filter(|event| event.message.contains("Internal Server Error: /")).collect();
    assert_eq!(internal.len(), 5, "{name}: {:?}", messages(&batch));
    for event in internal {
        assert!(event.detail.first().unwrap().contains("Traceback (most recent call last):"), "{name}: {event:?}");
        assert!(event.detail.len() > 5, "{name}");
    }
    assert!(batch.events.iter().any(|event| event.level == Level::Warning && event.message.contains("Not Found: /nope/")), "{name}");
    let group =
        |title: &str| batch.groups.iter().find(|group| group.title.starts_with(title)).unwrap_or_else(|| panic!("{name}: no {title}: {:?}", batch.groups));
    assert_eq!(group("KeyError: 'currency'").culprit, "basket/views.py:13 in total", "{name}");
    assert_eq!(group("ValueError: bad basket 17").culprit, "basket/views.py:18 in chained", "{name}");
    assert_eq!(group("RuntimeError: while handling").count, 1, "{name}");
    assert_eq!(group("ExceptionGroup: two (2 sub-exceptions)").culprit, "basket/views.py:23 in group", "{name}");
    assert!(group("SyntaxError: ").culprit.starts_with("x.py:1"), "{name}");
    assert_eq!(batch.lines, text.lines().count() as u64, "{name}");
    // Counts, minutes and events say the same.
    let by_level: u64 = batch.levels.values().sum();
    assert_eq!(by_level, batch.events.len() as u64, "{name}");
    assert_eq!(by_level, batch.minutes.iter().map(|(_, _, count)| count).sum::<u64>(), "{name}");
}

#[test]
fn what_django_writes_is_understood_in_every_format() {
    for (name, format, text) in FIXTURES {
        assert_django(name, format, text);
    }
}

/// The Django that is installed here, not only the one whose output was kept. `ROUNDS_TEST_PYTHON` names its Python.
#[tokio::test]
async fn what_the_installed_django_writes_is_understood() {
    use crate::io::exec::{Limits, Program, run};
    let python = std::env::var("ROUNDS_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let limits = Limits::within(Duration::from_secs(120));
    let probe = run(&Program::new(vec![python.clone(), "-c".into(), "import django".into()]), limits).await;
    if !probe.is_ok_and(|output| output.ending.success()) {
        assert!(std::env::var_os("ROUNDS_REQUIRE_TOOLS").is_none(), "Django is not installed for {python}: name a Python in ROUNDS_TEST_PYTHON");
        eprintln!("skipped: Django is not installed for {python}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("basket")).unwrap();
    fs::write(folder.path().join("basket/views.py"), include_str!("fixtures/django_site.py")).unwrap();
    let script = folder.path().join("basket/views.py").display().to_string();
    for (name, format, _) in FIXTURES.into_iter().filter(|(name, _, _)| *name != "json") {
        let output = run(&Program::new(vec![python.clone(), script.clone(), name.to_owned()]), limits).await.unwrap();
        assert!(output.ending.success(), "{}", output.last_error_line());
        assert_django(name, format, &String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn the_same_error_is_the_same_group_in_every_format() {
    let of = |text: &str| read(text).groups.into_iter().find(|group| group.title == "KeyError: 'currency'").unwrap().fingerprint;
    let first = of(FIXTURES[0].2);
    for (name, _, text) in FIXTURES {
        assert_eq!(of(text), first, "{name}");
    }
}

#[test]
fn a_line_without_a_head_belongs_to_the_one_before_where_all_have_heads() {
    let batch = read("2026-11-20 03:12:01,123 INFO shop: one\ntwo\n\nthree\n2026-11-20 03:12:02,123 INFO shop: next\n");
    assert_eq!(messages(&batch), ["shop: one", "shop: next"]);
    assert_eq!(batch.events[0].detail, ["two", "", "three"]);
    let plain = read("one\ntwo\n  under two\n");
    assert_eq!(messages(&plain), ["one", "two"]);
    assert_eq!(plain.events[1].detail, ["  under two"]);
}

#[test]
fn a_crash_after_an_informational_line_is_an_error_of_its_own() {
    let batch = read("2026-11-20 03:12:01,123 INFO shop: fine\nTraceback (most recent call last):\n  File \"a.py\", line 1, in f\nKeyError: 1\n");
    assert_eq!(messages(&batch), ["shop: fine", "KeyError: 1"]);
    assert_eq!(batch.levels[&Level::Error], 1);
    // Django's template engine tells of missing variables so; that is no error.
    let debug = read(
        "DEBUG 2026-11-20 03:12:01,123 base 1 2 Exception while resolving variable\nTraceback (most recent call last):\n  File \"a.py\", line 1, in f\nKeyError: 1\n",
    );
    assert_eq!(debug.levels, [(Level::Debug, 1)].into());
}

#[test]
fn times_levels_and_minutes() {
    let batch = read("2026-11-20 03:12:01,500 ERROR a: x 1\n2026-11-20 03:12:59 ERROR a: x 2\n2026-11-20 03:13:00 WARNING a: y\nno time\n");
    assert_eq!(batch.events[0].at, "2026-11-20T03:12:01.500Z".parse::<DateTime<Utc>>().unwrap());
    let minute = "2026-11-20T03:12:00Z".parse::<DateTime<Utc>>().unwrap().timestamp();
    assert_eq!(batch.minutes, [(minute, Level::Error, 2), (minute + 60, Level::Warning, 1)]);
    assert_eq!((batch.groups.len(), batch.groups[0].count), (1, 2));
    assert_eq!(batch.groups[0].first_seen.timestamp(), minute + 1);
    assert_eq!(batch.groups[0].last_seen.timestamp(), minute + 59);
}

#[test]
fn a_configured_pattern_reads_other_formats() {
    let settings = Settings { pattern: Some(regex::bytes::Regex::new(r"^(?<time>\S+ \S+) <(?<level>\w+)> (?<message>.*)").unwrap()), ..settings() };
    let batch = read_with(settings, b"2026-11-20 03:12:01 <error> it broke\nmore of it\n2026-11-20 03:12:02 <info> fine\n", &[]);
    assert_eq!(messages(&batch), ["it broke", "fine"]);
    assert_eq!((batch.format.as_str(), batch.levels[&Level::Error], batch.events[0].detail.len()), ("pattern", 1, 1));
}

#[test]
fn a_format_can_be_forced() {
    let settings = Settings { family: Some(head::Family::Plain), ..settings() };
    let batch = read_with(settings, b"2026-11-20 03:12:01 one\ntwo\n", &[]);
    assert_eq!(messages(&batch), ["2026-11-20 03:12:01 one", "two"]);
}

#[test]
fn secrets_are_masked_wherever_they_stand() {
    let settings = Settings { redact: vec![regex::Regex::new(r"token=\S+").unwrap()], ..settings() };
    let text = "ERROR:a:bad token=hush1\nERROR:a:x\nTraceback (most recent call last):\n  File \"a.py\", line 1, in f\n    get('token=hush2')\nKeyError: token=hush3\n{\"level\":\"error\",\"message\":\"token=hush4\"}\n";
    let batch = read_with(settings, text.as_bytes(), &[]);
    let all = format!("{batch:?}");
    assert!(!all.contains("hush") && all.contains("bad ***"), "{all}");
}

// ---- odd bytes and floods ----

#[test]
fn odd_bytes_are_kept_as_text() {
    let batch = read_with(settings(), b"ERROR:a:caf\xe9 \x00 \x1b]52;c;x\x07\r\nINFO:a:\xff\xfe\n", &[]);
    assert_eq!(messages(&batch), ["a:caf\u{e9} \0 \x1b]52;c;x\x07", "a:\u{ff}\u{fe}"]);
}

#[test]
fn a_giant_line_is_one_line_and_costs_little() {
    let mut text = b"ERROR:a:".to_vec();
    text.resize(10 << 20, b'x');
    text.extend_from_slice(b"\nINFO:a:next\n");
    for pieces in [vec![], vec![65_536], vec![1 << 20]] {
        let batch = read_with(settings(), &text, &pieces);
        assert_eq!((batch.lines, batch.events.len()), (2, 2), "{pieces:?}");
        assert!(batch.events[0].message.len() < 64 << 10);
        assert_eq!(batch.events[1].message, "a:next");
    }
}

#[test]
fn an_endless_traceback_ends() {
    let mut text = "ERROR:a:x\nTraceback (most recent call last):\n".to_owned();
    for n in 0..60_000 {
        text.push_str(&format!("  File \"/srv/a.py\", line {n}, in f\n"));
    }
    text.push_str("RecursionError: deep\nINFO:a:after\n");
    let batch = read(&text);
    assert_eq!(batch.lines, 60_004);
    assert_eq!((batch.levels[&Level::Error], batch.levels[&Level::Info]), (1, 1));
    assert!(batch.events[0].detail.len() <= 401);
}

#[test]
fn a_flood_is_counted_exactly_and_kept_in_bounds() {
    let mut tally = Tally::new(settings(), 200);
    let mut stream = Stream::new(0, false);
    let text: String =
        many(0..50_000, |n| format!("2026-11-20 03:{:02}:01,123 {} a: user {n} did it\n", n / 1_000, if n % 10 == 0 { "ERROR" } else { "INFO" }));
    for piece in text.as_bytes().chunks(60_000) {
        stream.feed(piece, seen(), &mut tally);
    }
    stream.settle(seen(), &mut tally);
    let batch = tally.take(&[], seen());
    assert_eq!((batch.lines, batch.levels[&Level::Error], batch.levels[&Level::Info]), (50_000, 5_000, 45_000));
    assert_eq!((batch.events.len(), batch.skipped), (200, 49_800));
    assert_eq!(batch.events[199].message, "a: user 49999 did it");
    assert_eq!((batch.groups.len(), batch.groups[0].count), (1, 5_000));
    assert!(batch.marks.iter().any(|mark| mark.notice == LogNotice::Skipped(49_800)));
    assert_eq!(batch.minutes.len(), 100);
    assert!(tally.is_empty());
    assert_eq!(tally.take(&[], seen()).events.len(), 0);
}

#[test]
fn groups_without_number_stay_in_bounds() {
    let mut tally = Tally::new(settings(), 200);
    let mut stream = Stream::new(0, false);
    let letters = |mut n: u32| {
        let mut word = String::new();
        while n > 0 {
            word.push(char::from(b'a' + (n % 26) as u8));
            n /= 26;
        }
        word
    };
    for round in 0..5u32 {
        let text: String = many(0..5_000, |n| format!("ERROR:a:{} broke\n", letters(1 + n + round * 5_000)));
        stream.feed(text.as_bytes(), seen(), &mut tally);
        stream.settle(seen(), &mut tally);
        let batch = tally.take(&[], seen());
        assert_eq!(batch.levels[&Level::Error], 5_000);
        assert!(batch.groups.len() <= 2_000);
    }
}

/// What the fuzzer runs: any bytes, in any pieces, and the sums hold.
fn check_bytes(bytes: &[u8], pieces: &[usize]) {
    // Text in UTF-16 has its own test: its lines do not end at bytes.
    if matches!(bytes, [0xfe, 0xff, ..] | [0xff, 0xfe, ..]) {
        return;
    }
    let batch = read_with(settings(), bytes, pieces);
    let whole = read_with(settings(), bytes, &[]);
    assert_eq!(batch, whole);
    assert_eq!(batch.levels.values().sum::<u64>(), batch.events.len() as u64 + batch.skipped);
    assert_eq!(batch.levels.values().sum::<u64>(), batch.minutes.iter().map(|(_, _, count)| count).sum::<u64>());
    for event in &batch.events {
        // Its place is where its first line begins.
        let at = event.place.unwrap().offset as usize;
        assert!(at == 0 || matches!(bytes[at - 1], b'\n' | 0), "{event:?}");
        assert!(bytes.len() > at && bytes[at] != b'\n');
    }
    let ends = memchr::memchr_iter(b'\n', bytes).count() as u64;
    let rest = bytes.rsplit(|b| *b == b'\n').next().unwrap_or_default();
    assert_eq!(batch.lines, ends + u64::from(rest.iter().any(|b| *b != 0)));
}

#[test]
fn odd_corpus() {
    let corpus: [&[u8]; 12] = [
        b"",
        b"\n\n\n",
        b"\r\n\r\n",
        b"Traceback (most recent call last):",
        b"Traceback (most recent call last):\nTraceback (most recent call last):\nTraceback (most recent call last):\n",
        b"  File \"x\", line 99999999999999999999, in f\nKeyError",
        b"{\"message\": \"\\ud800\", \"level\": {}}\n{\"a\":[[[[[[\n{\"message\":\"a\\nb\"}\n",
        b"[20/Nov/2026 99:99:99] \"GET / HTTP/1.1\" 999 1\n[\n[]\n[ERROR]\n",
        b"ERROR\nERROR:\nERROR 2026-11-20 03:12:01\nERROR 2026-11-20 03:12:01 m 1 2\n",
        b"<999>x\n<>\n<1\nNov 20 03:12:01\nNov 20 03:12:01 h\n",
        b"ERROR:a:'\"'\"'\"'\"'\nERROR:a:0x\nERROR:a:@\nERROR:a:\xc3\xa9@\xc3\xa9'\xc3\xa9'\n",
        b"\xef\xbb\xbfERROR:a:bom\n\x00\x00\x00\n\x1b[31mERROR\x1b[0m x\n",
    ];
    for bytes in corpus {
        check_bytes(bytes, &[1]);
        check_bytes(bytes, &[3, 7]);
    }
    for (_, _, text) in FIXTURES {
        check_bytes(text.as_bytes(), &[1]);
        check_bytes(text.as_bytes(), &[17, 1_000, 3]);
    }
}

fn loglike() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        Just("ERROR 2026-11-20 03:12:01,123 log 1 2 Internal Server Error: /x".to_owned()),
        Just("2026-11-20 03:12:01,123 INFO a: b".to_owned()),
        Just("[20/Nov/2026 03:12:01] \"GET / HTTP/1.1\" 200 12".to_owned()),
        Just("Internal Server Error: /x".to_owned()),
        Just("Traceback (most recent call last):".to_owned()),
        Just("  File \"/srv/a.py\", line 1, in f".to_owned()),
        Just("    do()".to_owned()),
        Just("KeyError: 'x'".to_owned()),
        Just("During handling of the above exception, another exception occurred:".to_owned()),
        Just("  + Exception Group Traceback (most recent call last):".to_owned()),
        Just("  | ExceptionGroup: two".to_owned()),
        Just(r#"{"level":"error","message":"m","exc_info":"Traceback (most recent call last):\n  File \"a\", line 1, in f\nKeyError"}"#.to_owned()),
        Just(String::new()),
        ".{0,40}",
    ];
    (proptest::collection::vec((line, prop_oneof![Just("\n"), Just("\r\n"), Just("\n")]), 0..40), any::<bool>()).prop_map(|(lines, end)| {
        let mut bytes: Vec<u8> = lines.iter().flat_map(|(line, end)| line.bytes().chain(end.bytes())).collect();
        if end {
            bytes.pop();
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn pieces_give_the_same_as_the_whole(bytes in loglike(), pieces in proptest::collection::vec(1usize..60, 1..8)) {
        check_bytes(&bytes, &pieces);
    }

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400), pieces in proptest::collection::vec(1usize..60, 1..4)) {
        check_bytes(&bytes, &pieces);
    }
}

#[test]
fn pieces_around_the_bound_of_a_line() {
    for len in [LINE - 1, LINE, LINE + 1, LINE + 2] {
        for head in ["", "ERROR:a:x\n", "ERROR:a:x\n  "] {
            let mut bytes = head.as_bytes().to_vec();
            bytes.resize(head.len() + len, b'y');
            bytes.extend_from_slice(b"\n  under\nERROR:a:next\n");
            check_bytes(&bytes, &[LINE / 3, 5]);
            check_bytes(&bytes, &[LINE + 1]);
        }
    }
}

// ---- configuration ----

fn config(text: &str) -> Config {
    toml::from_str(text).unwrap()
}

#[test]
fn a_configuration_is_checked() {
    for (text, complaints) in [
        ("path = 'x.log'", vec![]),
        ("path = ['x.log', '/var/log/*.log']\nzone = 'Europe/Berlin'\nformat = 'auto'\nredact = ['a+']\nproject = '/srv/shop'", vec![]),
        ("command = ['tail', '-F', 'x']", vec![]),
        ("pattern = '(?<level>\\w+)'\npath = 'x'", vec![]),
        ("", vec!["a log needs `path` or `command`"]),
        ("path = 'x'\ncommand = ['y']", vec!["a log has `path` or `command`, not both"]),
        ("path = []", vec!["the list is empty"]),
        ("path = ''", vec!["the path is empty"]),
        ("path = 'x[.log'", vec!["\"x[.log\" is not a glob: invalid range pattern"]),
        ("command = []", vec!["the command is empty"]),
        ("path = 'x'\nformat = 'xml'", vec!["there is no format \"xml\""]),
        ("path = 'x'\nzone = 'Berlin'", vec!["there is no zone \"Berlin\""]),
        ("path = 'x'\npattern = '(?<lvl>x)'", vec!["the group \"lvl\" means nothing"]),
        ("path = 'x'\npattern = 'x'", vec!["no named group"]),
        ("path = 'x'\npattern = '('", vec!["not a regular expression: unclosed group"]),
        ("path = 'x'\nredact = ['[']", vec!["\"[\" is not a regular expression: unclosed character class"]),
    ] {
        let found: Vec<String> = config(text).check().into_iter().map(|complaint| complaint.message).collect();
        assert_eq!(found, complaints, "{text}");
    }
    assert!(toml::from_str::<Config>("path = 3").unwrap_err().to_string().contains("a text or a list of texts"));
    assert!(toml::from_str::<Config>("paths = 'x'").is_err());
}

// ---- following real files ----

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

#[tokio::test]
async fn the_first_look_has_the_last_thousand_lines_and_then_it_follows() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("x.log");
    append(&log, &many(0..5_000, |n| format!("INFO:a:{n}\n")));
    let mut bench = Bench::new(folder.path(), "path = 'x.log'");
    bench.collect().await.unwrap();
    bench.until("a:4999").await;
    assert_eq!((bench.told.len(), bench.told[0].as_str()), (1_000, "a:4000"));
    append(&log, "INFO:a:new\nINFO:a:par");
    bench.until("a:new").await;
    append(&log, "tial\n");
    bench.until("a:partial").await;
    assert_eq!(bench.told.len(), 1_002);
    assert!(bench.notices.is_empty(), "{:?}", bench.notices);
}

#[tokio::test]
async fn a_rename_loses_nothing_even_of_a_late_writer() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("x.log");
    append(&log, "one\n");
    let mut bench = Bench::new(folder.path(), "path = '*.log*'");
    bench.until("one").await;
    let mut late = OpenOptions::new().append(true).open(&log).unwrap();
    late.write_all(b"two\n").unwrap();
    fs::rename(&log, folder.path().join("x.log.1")).unwrap();
    late.write_all(b"three\n").unwrap();
    append(&log, "four\n");
    late.write_all(b"five\n").unwrap();
    bench.until("four").await;
    bench.until("five").await;
    late.write_all(b"six\n").unwrap();
    append(&log, "seven\n");
    bench.until("six").await;
    bench.until("seven").await;
    let mut told = bench.told.clone();
    told.sort();
    assert_eq!(told, ["five", "four", "one", "seven", "six", "three", "two"]);
    assert_eq!(bench.notices, [LogNotice::Rotated]);
}

#[tokio::test]
async fn copy_and_truncate_is_no_new_text() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("x.log");
    let lines: String = many(0..100, |n| format!("line number {n} of the first file\n"));
    append(&log, &lines);
    let mut bench = Bench::new(folder.path(), "path = '*.log'");
    bench.until("line number 99 of the first file").await;
    // A name that is not told by its form.
    fs::copy(&log, folder.path().join("old-x.log")).unwrap();
    OpenOptions::new().write(true).open(&log).unwrap().set_len(0).unwrap();
    append(&log, "after\n");
    bench.until("after").await;
    append(&log, "more\n");
    bench.until("more").await;
    assert_eq!(bench.told.len(), 102);
    assert!(bench.notices.contains(&LogNotice::Truncated));
}

#[tokio::test]
async fn a_file_written_anew_past_the_old_place_is_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("x.log");
    append(&log, "old one\nold two\n");
    let mut bench = Bench::new(folder.path(), "path = 'x.log'");
    bench.until("old two").await;
    // In one step for the follower: same file, longer, other text.
    fs::write(&log, "new one\nnew two\nnew three\n").unwrap();
    bench.until("new three").await;
    assert_eq!(bench.told, ["old one", "old two", "new one", "new two", "new three"]);
    assert_eq!(bench.notices, [LogNotice::Truncated]);
}

#[tokio::test]
async fn deleted_and_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("x.log");
    append(&log, "one\n");
    let mut bench = Bench::new(folder.path(), "path = 'x.log'");
    bench.until("one").await;
    fs::remove_file(&log).unwrap();
    append(&log, "two\n");
    bench.until("two").await;
    assert_eq!(bench.told, ["one", "two"]);
    assert_eq!(bench.notices, [LogNotice::Rotated]);
}

#[tokio::test]
async fn a_file_that_is_not_there_is_an_error_until_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("late/x.log");
    let mut bench = Bench::new(folder.path(), "path = 'late/x.log'");
    let error = bench.collect().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Missing);
    assert!(!error.remedy.is_empty());
    fs::create_dir(folder.path().join("late")).unwrap();
    // All of it, not only the last thousand lines.
    append(&log, &many(0..1_500, |n| format!("{n}\n")));
    bench.until("1499").await;
    assert_eq!(bench.levels, 1_500);
    assert_eq!(bench.notices.iter().filter(|notice| **notice == LogNotice::Appeared).count(), 1);
}

#[tokio::test]
async fn a_file_that_goes_is_told_and_comes_back_without_doubling() {
    let folder = tempfile::tempdir().unwrap();
    let (log, away) = (folder.path().join("x.log"), folder.path().join("away"));
    append(&log, "one\n");
    let mut bench = Bench::new(folder.path(), "path = 'x.log'");
    bench.until("one").await;
    fs::rename(&log, &away).unwrap();
    bench.until_notice(LogNotice::Gone).await;
    let mut error = None;
    for _ in 0..20 {
        error = bench.collect().await.err();
        if error.is_some() {
            break;
        }
    }
    assert_eq!(error.unwrap().kind, ErrorKind::Missing);
    append(&log, "two\n");
    bench.until("two").await;
    assert_eq!(bench.told, ["one", "two"]);
}

#[tokio::test]
async fn a_glob_gains_files() {
    let folder = tempfile::tempdir().unwrap();
    append(&folder.path().join("a.log"), "one\n");
    append(&folder.path().join("a.log.1"), "an archive\n");
    append(&folder.path().join("a.log.2.gz"), "packed\n");
    let mut bench = Bench::new(folder.path(), "path = '*.log*'");
    bench.until("one").await;
    append(&folder.path().join("b.log"), "two\nthree\n");
    bench.until("three").await;
    assert_eq!(bench.told, ["one", "two", "three"]);
    assert_eq!(bench.notices, [LogNotice::Appeared]);
}

#[tokio::test]
async fn what_is_no_file_is_said_and_never_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("dir.log")).unwrap();
    nix::unistd::mkfifo(&folder.path().join("pipe.log"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    append(&folder.path().join("a.log"), "one\n");
    for (name, what) in [("dir.log", "a directory"), ("pipe.log", "a pipe")] {
        let mut bench = Bench::new(folder.path(), &format!("path = '{name}'"));
        let error = bench.collect().await.unwrap_err();
        assert!(error.kind == ErrorKind::Config && error.message.contains(what), "{error:?}");
        // Beside a file that works it is a problem.
        let mut bench = Bench::new(folder.path(), &format!("path = ['a.log', '{name}']"));
        bench.until("one").await;
        assert!(bench.problems.len() == 1 && bench.problems[0].message.contains(what), "{:?}", bench.problems);
    }
}

#[tokio::test]
async fn a_traceback_in_two_writes_is_one_event() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("x.log");
    append(&log, "INFO:a:start\n");
    let mut bench = Bench::new(folder.path(), "path = 'x.log'");
    bench.until("a:start").await;
    append(&log, "ERROR:a:broke\nTraceback (most recent call last):\n  File \"a.py\", line 1, in f\n");
    tokio::time::sleep(Duration::from_millis(150)).await;
    append(&log, "    f()\nKeyError: 1\nINFO:a:end\n");
    bench.until("a:end").await;
    assert_eq!(bench.told, ["a:start", "a:broke", "a:end"]);
}

#[tokio::test]
async fn nothing_is_lost_between_a_batch_and_the_next_source() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("x.log");
    append(&log, "one\n");
    let mut bench = Bench::new(folder.path(), "path = 'x.log'");
    bench.until("one").await;
    append(&log, "two\nthr");
    // Dropped before it was delivered: the source is built anew, as after a panic.
    bench.source = bench.config.build(&bench.context).unwrap().source;
    append(&log, "ee\n");
    bench.until("three").await;
    assert_eq!(bench.told, ["one", "two", "three"]);
}

#[tokio::test]
async fn a_flood_into_a_file_is_counted_to_the_last_line() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("x.log");
    append(&log, "start\n");
    let mut bench = Bench::new(folder.path(), "path = 'x.log'");
    bench.until("start").await;
    let text: String = many(0..20_000, |n| format!("INFO:a:{n}\n"));
    for _ in 0..10 {
        append(&log, &text);
    }
    append(&log, "INFO:a:last\n");
    bench.until("a:last").await;
    assert_eq!(bench.levels, 200_002);
    assert!(bench.told.len() < 20_000);
}

// ---- commands ----

#[tokio::test]
async fn a_command_is_followed_and_its_end_is_an_error_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let script = "echo INFO:a:one; echo ERROR:a:two; sleep 0.3; echo INFO:a:three; echo host unreachable >&2; exit 255";
    let mut bench = Bench::new(folder.path(), &format!("command = ['sh', '-c', '{script}']"));
    bench.until("a:three").await;
    let mut error = None;
    for _ in 0..5 {
        error = bench.collect().await.err();
        if error.is_some() {
            break;
        }
    }
    let error = error.unwrap();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Connect, "sh ended: exit code 255: host unreachable"));
    assert_eq!(bench.told, ["a:one", "a:two", "a:three"]);
    bench.until_notice(LogNotice::Reconnected).await;
}

#[tokio::test]
async fn a_command_needs_trust_and_a_program() {
    let folder = tempfile::tempdir().unwrap();
    let marker = folder.path().join("ran");
    let text = format!("command = ['touch', '{}']", marker.display());
    let error = config(&text).build(&context(folder.path(), false)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Config);
    assert!(error.remedy.contains("rounds trust"));
    assert!(!marker.exists());
    assert_eq!(config(&text).commands().len(), 1);
    let mut bench = Bench::new(folder.path(), "command = ['rounds-no-such-tool']");
    assert_eq!(bench.collect().await.unwrap_err().kind, ErrorKind::Missing);
}

#[tokio::test]
async fn dropping_the_source_ends_its_command() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(folder.path(), "command = ['sh', '-c', 'echo $$ > pid; echo INFO:a:up; sleep 600']");
    bench.until("a:up").await;
    let pid = fs::read_to_string(folder.path().join("pid")).unwrap();
    bench.source = config("path = 'x'").build(&bench.context).unwrap().source;
    for _ in 0..200 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        if stat.is_empty() || stat.contains(") Z ") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the command still runs");
}

// ---- formats, each file on its own ----

#[test]
fn every_form_is_recognised_and_its_time_read() {
    let at = "2026-11-20T03:12:01Z".parse::<DateTime<Utc>>().unwrap();
    for (format, line, level, message) in [
        ("logfmt", r#"time=2026-11-20T03:12:01Z level=error msg="it broke" user=17"#, Level::Error, "it broke user=17"),
        ("nginx", "2026/11/20 03:12:01 [error] 7#7: *1 open() failed", Level::Error, "7#7: *1 open() failed"),
        ("apache", "[Fri Nov 20 03:12:01.000000 2026] [core:error] [pid 12] [client 192.0.2.1:1] AH1: broke", Level::Error, "AH1: broke"),
        ("journald", r#"{"__REALTIME_TIMESTAMP":"1795144321000000","PRIORITY":"3","MESSAGE":"it broke","_PID":"1"}"#, Level::Error, "it broke"),
        ("json", r#"{"log":"ERROR:a:it broke\n","stream":"stderr","time":"2026-11-20T03:12:01.0Z"}"#, Level::Error, "ERROR:a:it broke"),
        ("json", r#"{"level":50,"time":1795144321000,"pid":1,"hostname":"a","msg":"it broke"}"#, Level::Error, "it broke"),
        ("json", r#"{"@timestamp":"2026-11-20T03:12:01.000Z","log":{"level":"ERROR"},"message":"it broke"}"#, Level::Error, "it broke"),
        ("json", r#"{"event":"it broke","level":"error","timestamp":"2026-11-20T03:12:01Z"}"#, Level::Error, "it broke"),
        ("heroku", "2026-11-20T03:12:01.000000+00:00 app[web.1]: ERROR:a:it broke", Level::Error, "ERROR:a:it broke"),
        ("syslog", "2026-11-20T04:12:01+01:00 web1 shop[12]: ERROR it broke", Level::Error, "shop[12]: ERROR it broke"),
        ("syslog", "Nov 20 03:12:01 web1 shop[12]: ERROR it broke", Level::Error, "shop[12]: ERROR it broke"),
        ("syslog", "<131>1 2026-11-20T03:12:01Z web1 shop 12 - - it broke", Level::Error, "it broke"),
        ("gunicorn", "[2026-11-20 03:12:01 +0000] [123] [ERROR] it broke", Level::Error, "it broke"),
        ("access", r#"192.0.2.1 - - [20/Nov/2026:03:12:01 +0000] "GET / HTTP/1.1" 500 12"#, Level::Error, r#""GET / HTTP/1.1" 500 12"#),
    ] {
        let batch = read(&format!("{line}\n"));
        assert_eq!(
            (batch.format.as_str(), batch.events[0].at, batch.events[0].level, batch.events[0].message.as_str()),
            (format, at, level, message),
            "{line}"
        );
    }
}

#[test]
fn a_traceback_through_a_relay_is_one_event() {
    for front in ["2026-11-20T03:12:01.000000+00:00 app[web.1]: ", "Nov 20 03:12:01 web1 shop[12]: ", "2026-11-20T03:12:01+00:00 web1 shop[12]: "] {
        let text: String = [
            "ERROR:django.request:Internal Server Error: /x",
            "Traceback (most recent call last):",
            "  File \"/srv/a.py\", line 1, in f",
            "    f()",
            "KeyError: 1",
            "INFO:a:next",
        ]
        .map(|line| format!("{front}{line}\n"))
        .concat();
        let batch = read(&text);
        assert_eq!(batch.events.len(), 2, "{:?}", batch.events);
        assert_eq!(batch.events[0].detail, ["Traceback (most recent call last):", "  File \"/srv/a.py\", line 1, in f", "    f()", "KeyError: 1"]);
        assert_eq!((batch.groups[0].title.as_str(), batch.groups[0].culprit.as_str()), ("KeyError: 1", "srv/a.py:1 in f"));
    }
}

#[test]
fn a_file_that_changes_its_format_is_recognised_anew() {
    let mut tally = Tally::new(settings(), 10);
    let mut stream = Stream::new(0, false);
    let feed = |tally: &mut Tally, stream: &mut Stream, line: &str| {
        stream.feed(many(0..3_000, |n| line.replace('#', &n.to_string())).as_bytes(), seen(), tally);
        stream.settle(seen(), tally);
        tally.take(&[], seen()).format
    };
    assert_eq!(feed(&mut tally, &mut stream, "2026-11-20 03:12:01,123 INFO a: line #\n"), "python");
    assert_eq!(tally.format_of(0), "python");
    let json = "{\"level\":\"info\",\"message\":\"line #\"}\n";
    for _ in 0..2 {
        feed(&mut tally, &mut stream, json);
    }
    assert_eq!((feed(&mut tally, &mut stream, json).as_str(), tally.format_of(0).as_str(), tally.format_of(1).as_str()), ("json", "json", ""));
}

// ---- requests ----

#[test]
fn an_access_log_gives_rates_shares_and_percentiles() {
    let text = many(0..1_000, |n| {
        let (status, seconds) = if n % 50 == 0 { (502, "2.500") } else { (200, "0.100") };
        format!("192.0.2.1 - - [20/Nov/2026:03:{:02}:01 +0000] \"GET /order/{n}/?a=b HTTP/1.1\" {status} 12 \"-\" \"curl/8\" {seconds}\n", n / 500)
    });
    let access = read(&text).access.unwrap();
    assert_eq!((access.minutes.len(), access.minutes[0].requests(), access.minutes[1].statuses), (2, 500, [0, 490, 0, 0, 10]));
    let p = |q| access.minutes[0].latency_ms.quantile(q).unwrap();
    assert!((99.0..101.0).contains(&p(0.5)) && (2_470.0..2_530.0).contains(&p(0.99)), "{} {}", p(0.5), p(0.99));
    assert_eq!(access.paths.len(), 1);
    assert_eq!((access.paths[0].path.as_str(), access.paths[0].statuses), ("/order/#/", [0, 980, 0, 0, 20]));
    // Without number the paths stay in bounds, and no request is lost.
    let text = many(0..5_000, |n| {
        let word: String = n.to_string().chars().map(|c| char::from(b'a' + (c as u8 - b'0'))).collect();
        format!("192.0.2.1 - - [20/Nov/2026:03:12:01 +0000] \"GET /{word} HTTP/1.1\" 200 12\n")
    });
    let access = read(&text).access.unwrap();
    assert_eq!(access.minutes[0].requests(), 5_000);
    assert!(access.paths.len() <= 400);
    assert_eq!(read("2026-11-20 03:12:01,123 INFO a: line\n").access, None);
}

#[test]
fn a_pattern_can_name_requests() {
    let config =
        config("path = 'x'\npattern = '^(?<time>\\S+) (?<status>\\d+) (?<path>\\S+) (?<duration>\\S+)'\nduration = 'ms'\nexpect.errors = { warning = 1 }");
    assert!(config.check().is_empty());
    let settings = config.settings(&context(Path::new("/"), true)).unwrap();
    assert_eq!(settings.limits.unwrap().errors, (Some(0.01), None));
    let access = read_with(settings, b"2026-11-20T03:12:01Z 500 /a/17 250\n", &[]).access.unwrap();
    assert_eq!((access.paths[0].path.as_str(), access.paths[0].statuses[4]), ("/a/#", 1));
    assert!((247.0..253.0).contains(&access.minutes[0].latency_ms.quantile(0.5).unwrap()));
}

#[test]
fn what_is_expected_is_checked() {
    for (text, complaints) in [
        (
            "path = 'x'\nexpect.errors = { warning = 1, critical = 5 }\nexpect.latency = { warning = '500ms', critical = '2s' }\nsilence = '15m'\nmax_size = '2GiB'",
            vec![],
        ),
        ("path = 'x'\nexpect.errors = { warning = 101 }", vec!["a percentage is between 0 and 100"]),
        ("path = 'x'\nexpect.errors = { warning = 5, critical = 1 }", vec!["critical is below warning"]),
        ("path = 'x'\nexpect.latency = { warning = '2s', critical = '1s' }", vec!["critical is below warning"]),
        ("path = 'x'\nsilence = '0s'", vec!["no time at all is always over"]),
    ] {
        let found: Vec<String> = config(text).check().into_iter().map(|complaint| complaint.message).collect();
        assert_eq!(found, complaints, "{text}");
    }
    assert!(toml::from_str::<Config>("path = 'x'\nexpect.error = 3").is_err());
}

// ---- odd files ----

#[test]
fn wide_text_is_read_as_text() {
    let text = "ERROR:a:caf\u{e9} \u{1f600}\nINFO:a:next\n";
    for big in [false, true] {
        let mut bytes = if big { vec![0xfe, 0xff] } else { vec![0xff, 0xfe] };
        bytes.extend(text.encode_utf16().flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }));
        for size in [1, 3, bytes.len()] {
            let mut tally = Tally::new(settings(), 100);
            let mut stream = Stream::new(0, false).at((1, 2), 0);
            for piece in bytes.chunks(size) {
                stream.feed(piece, seen(), &mut tally);
            }
            stream.end(seen(), &mut tally);
            let batch = tally.take(&[], seen());
            assert_eq!(messages(&batch), ["a:caf\u{e9} \u{1f600}", "a:next"], "{big} {size}");
        }
    }
}

#[test]
fn zeros_that_a_truncation_leaves_are_no_text() {
    let mut bytes = vec![0; 100_000];
    bytes.extend_from_slice(b"ERROR:a:after\nINFO:a:next\n");
    assert_eq!(messages(&read_with(settings(), &bytes, &[4_096])), ["a:after", "a:next"]);
}

#[tokio::test]
async fn ten_gigabytes_are_opened_at_their_end_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.log");
    let mut file = fs::File::create(&path).unwrap();
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(10 << 30)).unwrap();
    file.write_all(b"\nINFO:a:one\nINFO:a:two\n").unwrap();
    let mut bench = Bench::new(folder.path(), "path = 'x.log'");
    let begun = std::time::Instant::now();
    bench.until("a:two").await;
    // Reading all of it takes longer than that on any machine.
    assert!(begun.elapsed() < Duration::from_secs(20));
    append(&path, "INFO:a:three\n");
    bench.until("a:three").await;
}

#[tokio::test]
async fn a_line_of_fifty_megabytes_is_one_line_and_the_next_one_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.log");
    append(&path, "INFO:a:before\n");
    let mut bench = Bench::new(folder.path(), "path = 'x.log'");
    bench.until("a:before").await;
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"ERROR:a:giant ").unwrap();
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..50 {
        file.write_all(&piece).unwrap();
    }
    file.write_all(b"\nINFO:a:after\n").unwrap();
    bench.until("a:after").await;
    assert_eq!((bench.told.len(), bench.levels), (3, 3));
    assert!(bench.told[1].starts_with("a:giant xxx") && bench.told[1].len() < 64 << 10, "{}", bench.told[1].len());
    // Read back it is passed over in bounded pieces, and what stands before it is reached.
    let past = config("path = 'x.log'").past(&context(folder.path(), true)).unwrap().unwrap();
    let (mut query, mut events) = (crate::domain::LogQuery::default(), Vec::new());
    for _ in 0..100 {
        let page = past.before(query.clone()).await.unwrap();
        events.splice(0..0, page.events);
        let Some(next) = page.next else { break };
        query.from = next;
    }
    let messages: Vec<&str> = events.iter().map(|event| event.message.as_str()).collect();
    assert_eq!((messages.first(), messages.last()), (Some(&"a:before"), Some(&"a:after")), "{} events", messages.len());
}

#[tokio::test]
async fn a_mount_that_vanishes_is_told_and_read_again_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let (mount, away) = (folder.path().join("mount"), folder.path().join("away"));
    fs::create_dir(&mount).unwrap();
    append(&mount.join("x.log"), "INFO:a:one\n");
    for pattern in ["mount/x.log", "mount/*.log"] {
        let mut bench = Bench::new(folder.path(), &format!("path = '{pattern}'"));
        bench.until("a:one").await;
        fs::rename(&mount, &away).unwrap();
        let told = tokio::time::timeout(Duration::from_secs(60), async {
            loop {
                if bench.collect().await.is_err_and(|error| error.message.contains("mount/")) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        told.await.unwrap_or_else(|_| panic!("{pattern}: never told"));
        // The same file is back, and has grown meanwhile: nothing is lost, nothing is told twice.
        append(&away.join("x.log"), &format!("INFO:a:two of {}\n", pattern.len()));
        fs::rename(&away, &mount).unwrap();
        bench.until(&format!("a:two of {}", pattern.len())).await;
        assert_eq!(bench.told.iter().filter(|told| *told == "a:one").count(), 1, "{pattern}: {:?}", bench.told);
    }
}

#[test]
fn a_clock_that_jumps_loses_no_line_and_no_order() {
    // An hour back, then a day on, then ten years back: a machine without a battery that finds its time server.
    let text = [("2026-11-20 11", 0), ("2026-11-20 10", 100), ("2026-11-21 11", 200), ("2016-11-20 11", 300), ("2026-11-20 12", 400)]
        .map(|(hour, from)| many(from..from + 100, |n| format!("{hour}:{:02}:01,000 ERROR a: line {n}\n", n % 60)))
        .concat();
    let batch = read(&text);
    assert_eq!((batch.lines, batch.levels[&Level::Error], batch.groups[0].count), (500, 500, 500));
    assert_eq!(batch.minutes.iter().map(|(_, _, count)| count).sum::<u64>(), 500);
    assert_eq!(messages(&batch), (0..500).map(|n| format!("a: line {n}")).collect::<Vec<_>>());
    assert_eq!(batch.groups[0].first_seen.to_rfc3339(), "2016-11-20T11:00:01+00:00");
    // Read back from the file in pages they stand as they were written.
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x.log"), &text).unwrap();
    let past = config("path = 'x.log'").past(&context(folder.path(), true)).unwrap().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut query, mut events) = (crate::domain::LogQuery { limit: 77, ..Default::default() }, Vec::new());
    loop {
        let page = runtime.block_on(past.before(query.clone())).unwrap();
        events.splice(0..0, page.events);
        let Some(next) = page.next else { break };
        query.from = next;
    }
    let told: Vec<&str> = events.iter().map(|event| event.message.as_str()).collect();
    assert_eq!(told, messages(&batch));
}

#[tokio::test]
async fn a_file_that_becomes_something_else_is_said_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("x.log");
    append(&log, "INFO:a:one\n");
    let mut bench = Bench::new(folder.path(), "path = 'x.log'");
    bench.until("a:one").await;
    for what in ["a directory", "a pipe"] {
        fs::rename(&log, folder.path().join("away")).unwrap();
        if what == "a pipe" {
            nix::unistd::mkfifo(&log, nix::sys::stat::Mode::S_IRWXU).unwrap();
        } else {
            fs::create_dir(&log).unwrap();
        }
        let told = tokio::time::timeout(Duration::from_secs(60), async {
            loop {
                match bench.collect().await {
                    Ok(()) if bench.problems.iter().any(|problem| problem.message.contains(what)) => break,
                    Err(error) if error.message.contains(what) => break,
                    _ => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        });
        told.await.unwrap_or_else(|_| panic!("never told of {what}"));
        if what == "a pipe" {
            fs::remove_file(&log).unwrap();
        } else {
            fs::remove_dir(&log).unwrap();
        }
        fs::remove_file(folder.path().join("away")).unwrap();
        let line = format!("INFO:a:after {what}\n");
        append(&log, &line);
        bench.until(line.trim_end().trim_start_matches("INFO:")).await;
    }
}

#[tokio::test]
async fn files_are_told_of_with_their_format() {
    let folder = tempfile::tempdir().unwrap();
    append(&folder.path().join("a.log"), "2026-11-20 03:12:01,123 ERROR a: one\n");
    append(&folder.path().join("a.log.1"), "old\n");
    append(&folder.path().join("b.log"), "{\"level\":\"info\",\"message\":\"two\"}\n");
    let source = config("path = '*.log'").build(&context(folder.path(), true)).unwrap().source;
    let mut source = source;
    let batch = loop {
        let collected = source.collect().await.unwrap();
        if let Some(Observation { data: Data::Log(batch), .. }) = collected.observations.into_iter().next() {
            break batch;
        }
    };
    let of = |n: usize| (batch.about[n].format.as_str(), batch.about[n].rotates, batch.about[n].free_bytes.is_some());
    assert_eq!((of(0), of(1)), (("python", true, true), ("json", false, true)));
    assert_eq!(batch.about[0].begins.unwrap(), "2026-11-20T03:12:01.123Z".parse::<DateTime<Utc>>().unwrap());
}

// ---- commands that misbehave ----

#[tokio::test]
async fn a_command_that_ends_at_once_is_an_error_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(folder.path(), "command = ['sh', '-c', 'echo no route to host >&2; exit 255']");
    for _ in 0..3 {
        let mut error = None;
        for _ in 0..20 {
            error = bench.collect().await.err();
            if error.is_some() {
                break;
            }
        }
        let error = error.unwrap();
        assert!(error.kind == ErrorKind::Connect && error.message.ends_with("no route to host"), "{error:?}");
    }
    assert!(bench.told.is_empty());
}

#[tokio::test]
async fn a_command_that_floods_is_counted_and_stays_in_bounds() {
    let folder = tempfile::tempdir().unwrap();
    // A million lines as fast as they come.
    let mut bench = Bench::new(folder.path(), "command = ['sh', '-c', 'yes INFO:a:flood | head -n 1000000; echo INFO:a:last; exec sleep 600']");
    bench.until("a:last").await;
    assert_eq!(bench.levels, 1_000_001);
    assert!(bench.told.len() < 200_000 && bench.notices.iter().any(|notice| matches!(notice, LogNotice::Skipped(_))));
}

#[tokio::test]
async fn the_whole_group_of_a_command_ends_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(folder.path(), "command = ['sh', '-c', 'sleep 600 & echo $! > child; echo INFO:a:up; wait']");
    bench.until("a:up").await;
    let child = fs::read_to_string(folder.path().join("child")).unwrap();
    bench.source = config("path = 'x'").build(&bench.context).unwrap().source;
    for _ in 0..400 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.trim())).unwrap_or_default();
        if stat.is_empty() || stat.contains(") Z ") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("a child of the command still runs");
}

#[tokio::test]
async fn a_command_that_says_nothing_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(folder.path(), "command = ['sh', '-c', 'while ! [ -e go ]; do sleep 0.1; done; echo INFO:a:up; exec sleep 600']");
    while bench.problems.is_empty() {
        bench.collect().await.unwrap();
    }
    assert!(bench.problems[0].message.contains("printed nothing yet"));
    append(&folder.path().join("go"), "");
    bench.until("a:up").await;
    assert!(bench.problems.is_empty());
}
