//! A folder of 100,000 dump files gone through and judged. `cargo bench --bench backups`.

#![expect(clippy::expect_used, reason = "a measurement that cannot go on says where by panicking")]

use std::fs;

use divan::Bencher;
use rounds::sources::files::judge_folder;

const FILES: usize = 100_000;
const DUMP: &str = "-- MySQL dump 10.13\nINSERT INTO t VALUES (1);\n-- Dump completed on 2026-11-20  3:00:00\n";

fn main() {
    divan::main();
}

/// What this process has in memory at most so far, in KiB, where the system tells.
fn most() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn a_folder_of_100_000(bencher: Bencher<'_, '_>) {
    let folder = tempfile::tempdir().expect("a directory");
    for n in 0..FILES {
        fs::write(folder.path().join(format!("shop-{n:06}.sql")), DUMP).expect("a file");
    }
    let pattern = format!("{}/*.sql", folder.path().display());
    let before = most();
    bencher.bench_local(|| judge_folder(&pattern).expect("a folder"));
    println!("{} KiB of memory more at the most", most() - before);
}
