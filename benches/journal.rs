//! The journal: bytes a sample on disk, ranges of a month, the first frame's snapshot.
//!
//! `cargo bench --bench journal` prints the sizes first and then times; with `ROUNDS_BENCH_MONTH=DIR` it only fills the journal of that
//! directory with a month of a hundred sources, to start a program on and look at its memory. The series is a random walk in milliseconds with one
//! decimal, as health checks store it; probes come each ten seconds with a few milliseconds of jitter.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on stops")]

use std::path::Path;
use std::time::Duration;

use rounds::config::model;
use rounds::domain::{Data, Health, LatencyLimits, Observation, Phases, SourceId, Timestamp, Verdict};
use rounds::journal::{FILE, Identity, Journal, Reader, read_snapshot};
use rounds::sources::Collected;
use rounds::state::msg::Polled;

const STEP_S: i64 = 10;
const MONTH: i64 = 30 * 86_400 / STEP_S;

/// A small generator, so that every run measures the same walk.
struct Walk {
    seed: u64,
    ms: f64,
}

impl Walk {
    fn uniform(&mut self) -> f64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        (self.seed >> 11) as f64 / (1u64 << 53) as f64
    }

    /// One step with a standard deviation of two milliseconds.
    fn next(&mut self) -> f64 {
        let gauss: f64 = (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0;
        self.ms = (self.ms + 2.0 * gauss).max(0.3);
        (self.ms * 10.0).round() / 10.0
    }
}

fn source(number: u64) -> SourceId {
    SourceId::new("shop", "http", &format!("page-{number}")).unwrap()
}

/// The month ends now, so that nothing is too old to be kept.
fn at(index: i64, jitter_ms: i64) -> Timestamp {
    static BEGIN: std::sync::OnceLock<i64> = std::sync::OnceLock::new();
    let begin = BEGIN.get_or_init(|| rounds::io::clock::now().timestamp() - MONTH * STEP_S);
    Timestamp::from_timestamp_millis((begin + index * STEP_S) * 1_000 + jitter_ms).unwrap()
}

fn polled(source: &SourceId, at: Timestamp, ms: f64) -> Polled {
    let health = Health {
        verdict: Verdict::Ok,
        status_code: Some(200),
        latency_ms: Some(ms),
        phases_ms: Phases::default(),
        expectations: Vec::new(),
        limits: LatencyLimits::default(),
        request: "GET /health/".to_owned(),
        body_bytes: 100,
        error: None,
        silenced: false,
    };
    let observations = vec![Observation { at, data: Data::Health(health) }];
    Polled { source: source.clone(), started: at, at, result: Ok(Collected { observations, problems: Vec::new(), complete: true }), next_at: None }
}

/// Writes the last `samples` of the month of `series` walks through the front door; answers the bytes of the file that are used.
fn fill(dir: &Path, series: u64, samples: i64) -> u64 {
    let settings = model::Journal { keep: Duration::from_hours(400 * 24), url: None, redact: Vec::new() };
    let journal = Journal::open(dir, &settings, Identity::of_this_process()).journal.unwrap();
    let mut walks: Vec<Walk> = (0..series).map(|number| Walk { seed: 0x9e37_79b9 + number * 7_919, ms: 40.0 }).collect();
    let mut sent = 0;
    for index in MONTH - samples..MONTH {
        for (number, walk) in walks.iter_mut().enumerate() {
            let jitter = (walk.uniform() * 5.0) as i64;
            journal.keep_poll(polled(&source(number as u64), at(index, jitter), walk.next()));
            sent += 1;
            if sent % 4_000 == 0 {
                assert!(journal.flush(Duration::from_secs(60)));
            }
            // As the hourly round does.
            if sent % 100_000 == 0 {
                assert!(journal.purge(Duration::from_secs(600)));
            }
        }
    }
    assert!(journal.flush(Duration::from_secs(60)));
    assert_eq!(journal.lost(), 0);
    assert!(journal.purge(Duration::from_secs(600)));
    drop(journal);
    std::fs::metadata(dir.join(FILE)).unwrap().len() - Reader::open(dir).unwrap().stats().unwrap().free_bytes
}

/// Fills the journal of a directory with a month of a hundred sources, to start a dashboard on and measure its memory.
fn month_of_a_hundred(dir: &Path) {
    let settings = model::Journal { keep: Duration::from_hours(400 * 24), url: None, redact: Vec::new() };
    let journal = Journal::open(dir, &settings, Identity::of_this_process()).journal.unwrap();
    let now = rounds::io::clock::now();
    let (mut when, mut count) = (now - chrono::TimeDelta::days(30), 0_u32);
    let mut walk = Walk { seed: 7, ms: 120.0 };
    while when < now {
        for number in 0..100 {
            journal.keep_poll(polled(&source(number), when, walk.next()));
        }
        count += 1;
        if count.is_multiple_of(20) {
            assert!(journal.flush(Duration::from_secs(60)));
        }
        // Every ten seconds in the last three hours, which are held in memory, every ten minutes before.
        when += if now - when < chrono::TimeDelta::hours(3) { chrono::TimeDelta::seconds(STEP_S) } else { chrono::TimeDelta::minutes(10) };
    }
    assert!(journal.flush(Duration::from_secs(60)) && journal.lost() == 0);
}

fn main() {
    if let Some(dir) = std::env::var_os("ROUNDS_BENCH_MONTH") {
        return month_of_a_hundred(Path::new(&dir));
    }
    for (series, samples, what) in [(20, 8_640, "a day"), (2, MONTH, "a month, of which raw points two days")] {
        let dir = tempfile::tempdir().unwrap();
        let began = std::time::Instant::now();
        let size = fill(dir.path(), series, samples);
        let all = series as f64 * samples as f64;
        println!("{series} series x {samples} samples ({what}): {:.2} B a sample, {:.0} samples/s", size as f64 / all, all / began.elapsed().as_secs_f64());
        for (name, bytes) in Reader::open(dir.path()).unwrap().block_bytes().unwrap() {
            println!("  {name}: {:.2} B a sample", bytes as f64 / all);
        }
    }
    divan::main();
}

/// A month of one series and the last polls of a hundred others, made once.
fn month() -> &'static Path {
    static DIR: std::sync::OnceLock<tempfile::TempDir> = std::sync::OnceLock::new();
    DIR.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path(), 1, MONTH);
        fill(dir.path(), 100, 3);
        dir
    })
    .path()
}

#[divan::bench(sample_count = 200)]
fn range_of_30_days_in_200_columns(bencher: divan::Bencher<'_, '_>) {
    let reader = Reader::open(month()).unwrap();
    bencher.bench_local(|| reader.range(&source(0), at(0, 0), at(MONTH, 0), Duration::from_hours(4)).unwrap());
}

#[divan::bench(sample_count = 50)]
fn range_of_30_days_in_minutes(bencher: divan::Bencher<'_, '_>) {
    let reader = Reader::open(month()).unwrap();
    bencher.bench_local(|| reader.range(&source(0), at(0, 0), at(MONTH, 0), Duration::from_secs(60)).unwrap());
}

#[divan::bench(sample_count = 100)]
fn hours_days_and_samples_of_a_source(bencher: divan::Bencher<'_, '_>) {
    let reader = Reader::open(month()).unwrap();
    bencher.bench_local(|| reader.history(&source(0), at(MONTH, 0)).unwrap());
}

#[divan::bench(sample_count = 100)]
fn snapshot_of_the_first_frame(bencher: divan::Bencher<'_, '_>) {
    bencher.bench_local(|| read_snapshot(month()).unwrap());
}
