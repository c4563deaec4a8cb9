//! Every parser of outside bytes takes its corpus and small changes of it without a panic. The same bodies run under `cargo fuzz`.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::{any, prop};
use proptest::sample::Index;
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestRunner};

/// One target of `fuzz/`.
struct Target {
    name: &'static str,
    body: fn(&[u8]),
}

const TARGETS: &[Target] = &[
    Target { name: "config", body: config },
    Target { name: "sentry", body: rounds::sources::sentry::fuzz_answer },
    Target { name: "event", body: rounds::sources::sentry::fuzz_event },
    Target { name: "advisories", body: rounds::packages::advisories::fuzz },
    Target { name: "life", body: rounds::packages::life::fuzz },
    Target { name: "backup_command", body: rounds::sources::backup_command::fuzz },
    Target { name: "files", body: rounds::sources::files::fuzz },
    Target { name: "heroku_backups", body: rounds::sources::heroku_backups::fuzz },
    Target { name: "healthchecks", body: rounds::sources::healthchecks::fuzz },
    Target { name: "log", body: rounds::sources::log::fuzz },
    Target { name: "http", body: rounds::sources::http::fuzz },
    Target { name: "manifests", body: rounds::packages::manifests::fuzz },
    Target { name: "simple", body: rounds::packages::indexes::simple::fuzz },
];

fn config(bytes: &[u8]) {
    let _ = rounds::config::parse(bytes, None, rounds::config::trust::Standing::Never, &|_| None).map_err(|error| error.render(false, 80));
}

fn fuzz_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let dir = fuzz_dir().join("corpus").join(name);
    let files = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
}

#[test]
fn every_target_has_its_file_its_line_and_a_corpus() {
    let manifest: toml::Table = fs::read_to_string(fuzz_dir().join("Cargo.toml")).unwrap().parse().unwrap();
    let mut listed: Vec<&str> = manifest["bin"].as_array().unwrap().iter().map(|bin| bin["name"].as_str().unwrap()).collect();
    let mut here: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    listed.sort_unstable();
    here.sort_unstable();
    assert_eq!(listed, here);
    for target in TARGETS {
        assert!(fuzz_dir().join("fuzz_targets").join(format!("{}.rs", target.name)).is_file(), "{}", target.name);
        assert!(!corpus(target.name).is_empty(), "{}", target.name);
    }
}

#[test]
fn the_corpus_and_small_changes_of_it_panic_nowhere() {
    for target in TARGETS {
        let seeds = corpus(target.name);
        for seed in &seeds {
            (target.body)(seed);
        }
        let change = (any::<Index>(), any::<Index>(), any::<u8>(), 0..4u8);
        let strategy = (any::<Index>(), prop::collection::vec(change, 1..6)).prop_map(move |(seed, changes)| {
            let mut bytes = seed.get(&seeds).clone();
            for (from, to, byte, what) in changes {
                if bytes.is_empty() {
                    bytes.push(byte);
                    continue;
                }
                let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
                match what {
                    0 => bytes[from] = byte,
                    1 => bytes.insert(from, byte),
                    2 => bytes.truncate(from),
                    _ => bytes.extend_from_within(from.min(to)..from.max(to)),
                }
                bytes.truncate(64 << 10);
            }
            bytes
        });
        let mut runner = TestRunner::new(Config { cases: 200, failure_persistence: None, ..Config::default() });
        runner
            .run(&strategy, |bytes| {
                (target.body)(&bytes);
                Ok(())
            })
            .unwrap_or_else(|error| panic!("{}: {error}", target.name));
    }
}
