//! Reading a Django log: lines to events, levels, exact traceback groups. `cargo bench --bench log`.

#![expect(clippy::expect_used, reason = "a measurement that cannot go on says where by panicking")]

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use divan::{Bencher, counter::BytesCount};
use rounds::io::exec::{self, Limits, Program};
use rounds::sources::log::Settings;
use rounds::sources::log::digest::Stream;
use rounds::sources::log::stamp::Zone;
use rounds::sources::log::tally::Tally;

fn main() {
    // For measuring beside another program: the text as a file, and one reading of a file with its peak of resident memory.
    if let Some(path) = std::env::var_os("ROUNDS_BENCH_WRITE") {
        std::fs::write(path, django(megabytes() << 20)).expect("room on the disk");
        return;
    }
    if let Some(path) = std::env::var_os("ROUNDS_BENCH_FILE") {
        let begun = Instant::now();
        digest_file(Path::new(&path));
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("no peak is told");
        println!("{:.2} s, {peak}", begun.elapsed().as_secs_f64());
        return;
    }
    if !std::env::args().any(|arg| arg == "--test" || arg == "--list") {
        beside();
    }
    divan::main();
}

/// How much text.
fn megabytes() -> usize {
    std::env::var("ROUNDS_BENCH_MB").ok().and_then(|mb| mb.parse().ok()).unwrap_or(256)
}

/// About this many bytes of the verbose format: requests, slow queries, and a traceback of one of 60 kinds each hundredth line.
fn django(size: usize) -> Vec<u8> {
    let mut text = String::with_capacity(size + 4_096);
    let mut n = 0u64;
    while text.len() < size {
        n += 1;
        let (hour, minute, second, ms) = (n / 360_000 % 24, n / 6_000 % 60, n / 100 % 60, n % 1_000);
        let stamp = format!("2026-11-20 {hour:02}:{minute:02}:{second:02},{ms:03}");
        if n.is_multiple_of(100) {
            let kind = n / 100 % 60;
            text.push_str(&format!("ERROR {stamp} log 4242 140079419317120 Internal Server Error: /basket/{n}/\nTraceback (most recent call last):\n"));
            text.push_str("  File \"/srv/shop/.venv/lib/python3.12/site-packages/django/core/handlers/exception.py\", line 55, in inner\n    response = get_response(request)\n               ^^^^^^^^^^^^^^^^^^^^^\n");
            text.push_str("  File \"/srv/shop/.venv/lib/python3.12/site-packages/django/core/handlers/base.py\", line 197, in _get_response\n    response = wrapped_callback(request, *callback_args, **callback_kwargs)\n");
            text.push_str(&format!("  File \"/srv/shop/basket/pricing.py\", line {kind}, in total_{kind}\n    currency = self.session[\"basket\"][\"currency\"]\nKeyError: 'currency {n}'\n"));
        } else if n.is_multiple_of(37) {
            text.push_str(&format!("WARNING {stamp} utils 4242 140079419317120 slow query 0.{ms:03} s: SELECT id FROM catalog_product\n"));
        } else {
            text.push_str(&format!("INFO {stamp} basehttp 4242 140079419317120 \"GET /search/?q={n} HTTP/1.1\" 200 {}\n", 1_000 + n % 9_000));
        }
    }
    text.into_bytes()
}

/// A C pass over the same text, where there is a compiler; its figures stand before ours.
fn beside() {
    let folder = tempfile::tempdir().expect("a directory");
    let (source, program, log) = (folder.path().join("pass.c"), folder.path().join("pass"), folder.path().join("x.log"));
    let megabytes = megabytes();
    let text = django(megabytes << 20);
    std::fs::write(&source, include_str!("log_pass.c")).expect("a file");
    std::fs::write(&log, &text).expect("room on the disk");
    let words = |words: &[&std::ffi::OsStr]| words.iter().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let run = |argv| runtime.block_on(exec::run(&Program::new(argv), Limits::within(Duration::from_secs(300))));
    let built = run(words(&["cc".as_ref(), "-O2".as_ref(), "-o".as_ref(), program.as_os_str(), source.as_os_str()]));
    let rate = |seconds: f64| text.len() as f64 / seconds / 1e9;
    let mut c = None;
    // In turn, so that what else the machine does hits both alike.
    let (mut ours, mut theirs, mut from_disk) = (f64::MAX, f64::MAX, f64::MAX);
    for _ in 0..7 {
        if built.as_ref().is_ok_and(|output| output.ending.success())
            && let Ok(output) = run(words(&[program.as_os_str(), log.as_os_str(), "1".as_ref()]))
        {
            let said = output.stdout_text();
            let figures: Vec<f64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
            theirs = theirs.min(figures[0]);
            c = Some(figures[3]);
        }
        let begun = Instant::now();
        let lines = digest(divan::black_box(&text));
        ours = ours.min(begun.elapsed().as_secs_f64());
        assert_eq!(lines, memchr::memchr_iter(b'\n', &text).count() as u64);
        let begun = Instant::now();
        digest_file(&log);
        from_disk = from_disk.min(begun.elapsed().as_secs_f64());
    }
    println!("lines, levels, exact groups of {megabytes} MiB, best of 7: {:.2} GB/s in memory, {:.2} GB/s from a file", rate(ours), rate(from_disk));
    match c {
        Some(groups) => println!("one C pass beside it: {:.2} GB/s, {groups} groups; ratio {:.2}", rate(theirs), theirs / ours),
        None => println!("no C compiler: nothing to compare with"),
    }
}

/// The same from a file, in the pieces in which files are followed.
fn digest_file(path: &Path) {
    let seen: DateTime<Utc> = DateTime::UNIX_EPOCH;
    let (mut tally, mut stream, mut piece) = (Tally::new(settings(), 200), Stream::new(0, false), vec![0; 256 << 10]);
    let mut file = File::open(path).expect("the file");
    while let Ok(read) = file.read(&mut piece) {
        if read == 0 {
            break;
        }
        stream.feed(&piece[..read], seen, &mut tally);
    }
    stream.end(seen, &mut tally);
    divan::black_box(tally.take(&[], seen));
}

fn settings() -> Settings {
    Settings { zone: Zone::Named(chrono_tz::Europe::Berlin), ..Settings::default() }
}

fn digest(text: &[u8]) -> u64 {
    let seen: DateTime<Utc> = DateTime::UNIX_EPOCH;
    let mut tally = Tally::new(settings(), 200);
    let mut stream = Stream::new(0, false);
    for piece in text.chunks(256 << 10) {
        stream.feed(piece, seen, &mut tally);
    }
    stream.end(seen, &mut tally);
    let batch = tally.take(&[], seen);
    assert_eq!(batch.groups.len(), 60);
    batch.lines
}

#[divan::bench(sample_count = 20)]
fn levels_and_groups(bencher: Bencher) {
    let text = django(64 << 20);
    bencher.counter(BytesCount::of_slice(&text)).bench_local(|| digest(divan::black_box(&text)));
}

#[divan::bench(sample_count = 20)]
fn lines_alone(bencher: Bencher) {
    let text = django(64 << 20);
    bencher.counter(BytesCount::of_slice(&text)).bench_local(|| memchr::memchr_iter(b'\n', divan::black_box(&text)).count());
}
