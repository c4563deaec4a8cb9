//! Reading a Django log: lines to events, levels, exact traceback groups. `cargo bench --bench log`.

use chrono::{DateTime, Utc};
use divan::{Bencher, counter::BytesCount};
use rounds::sources::log::Settings;
use rounds::sources::log::digest::Stream;
use rounds::sources::log::stamp::Zone;
use rounds::sources::log::tally::Tally;

fn main() {
    divan::main();
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
