//! The restore drill from the command line: a real dump of SQLite, a real journal, what is said and kept.

use std::fs;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::cli::{Place, code, configure, json, stderr, stdout};

/// A dump with so many orders, an hour old.
fn dump(place: &Place, rows: u32) {
    let mut text = "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE orders (id INTEGER, mark TEXT);\n".to_owned();
    for row in 0..rows {
        text.push_str(&format!("INSERT INTO orders VALUES({row},'it''s one; really');\n"));
    }
    text.push_str("COMMIT;\n");
    let folder = place.path().join("work/copies");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("shop-1.sql.gz");
    let mut encoder = GzEncoder::new(fs::File::create(&path).unwrap(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap().set_modified((rounds::io::clock::now() - chrono::TimeDelta::hours(1)).into()).unwrap();
}

/// The program with its configuration named, which is trusted then.
fn run(place: &Place, arguments: &[&str]) -> std::process::Output {
    place.run(&[&["--config", "rounds.toml"], arguments].concat())
}

const KEYS: &str = "[site.shop.files.db]\npath = \"copies/shop-*.sql.gz\"\n\
    drill = { every = \"30d\", scratch = \"scratch\", assert = { tables = [\"orders\"], rows = { orders = 100 } } }\n";

#[test]
fn a_drill_from_the_command_line_is_told_kept_and_taken_away() {
    let place = Place::new();
    configure(&place, KEYS);
    dump(&place, 150);
    // Nobody can be asked here.
    let output = run(&place, &["drill", "db"]);
    assert_eq!(code(&output), 64, "{output:?}");
    assert!(stderr(&output).contains("write --yes"), "{}", stderr(&output));
    let output = run(&place, &["drill", "db", "--yes"]);
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    let said = stdout(&output);
    assert!(
        said.contains("shop/files/db: restored in") && said.contains("4 of 4 assertions held") && said.contains("rows of orders at least 100: 150"),
        "{said}"
    );
    // It stays with the data set, though the look of another run knows nothing of it.
    let listed = json(&run(&place, &["backups", "--json"]));
    assert_eq!(listed["items"][0]["drill"]["ok"], true, "{listed}");
    let shown = stdout(&run(&place, &["backups", "show", "shop/files/db"]));
    assert!(shown.contains("4 of 4 assertions held; next due in 29 days"), "{shown}");
    // A failing one is told with its reason, and its exit code.
    dump(&place, 9);
    let output = run(&place, &["backups", "drill", "shop/files/db", "--yes", "--json"]);
    assert_eq!(code(&output), 1);
    let item = json(&output)["items"][0].clone();
    assert_eq!((item["ok"].as_bool(), item["problem"].as_str()), (Some(false), Some("rows of orders at least 100: 9")), "{item}");
    let check = run(&place, &["check", "--json"]);
    let findings = json(&check)["findings"].as_array().unwrap().clone();
    let failed = findings.iter().find(|one| one["id"] == "shop/files/db#drill").unwrap();
    assert_eq!((failed["severity"].as_str(), failed["title"].as_str()), (Some("critical"), Some("Restore of db failed: rows of orders at least 100: 9")));
    assert!(!place.path().join("work/scratch").exists(), "nothing is left");
    assert_eq!(fs::read_dir(place.path().join("work/copies")).unwrap().count(), 1);
}

#[test]
fn what_cannot_be_drilled_is_refused_before_anything_is_made() {
    let place = Place::new();
    configure(&place, &KEYS.replace("\"scratch\"", "\"copies/below\""));
    dump(&place, 150);
    let output = run(&place, &["drill", "db", "--yes", "--json"]);
    assert_eq!(code(&output), 64);
    assert!(stderr(&output).contains("which a drill must not touch"), "{}", stderr(&output));
    assert_eq!(json(&output)["items"].as_array().map(Vec::len), Some(0));
    let output = run(&place, &["drill", "nothing", "--yes"]);
    assert!(stderr(&output).contains("there are: shop/files/db"), "{}", stderr(&output));
    assert_eq!(code(&run(&place, &["drill", "db", "--yes=blog"])), 64);
    assert_eq!(code(&run(&place, &["--read-only", "drill", "db", "--yes"])), 64);
    assert_eq!(fs::read_dir(place.path().join("work/copies")).unwrap().count(), 1);
}

/// How the runs that the journal knows of stand: begun, or the words of their end.
fn runs(place: &Place) -> Vec<String> {
    let snapshot = rounds::journal::read_snapshot(&place.path().join("home/.state/rounds")).unwrap();
    let told = |event: &rounds::domain::Transition| match &event.kind {
        rounds::domain::TransitionKind::Action { ended, .. } => Some(ended.as_ref().map_or_else(|| "begun".to_owned(), |end| end.words.clone())),
        _ => None,
    };
    snapshot.events.iter().filter_map(told).collect()
}

#[test]
fn killed_right_after_it_began_its_beginning_is_known_and_its_end_told() {
    let place = Place::new();
    dump(&place, 150);
    // The first thing that a drill does is to ask for the copies: then nothing is made yet.
    let (work, pid) = (place.path().join("work"), place.path().join("work/pid"));
    let hangs = format!("command = [\"sh\", \"-c\", \"echo $$ > {0}.part; mv {0}.part {0}; exec sleep 600\"]\n", pid.display());
    configure(&place, &KEYS.replace("drill = ", &format!("{hangs}drill = ")));
    let mut killed = place.command().args(["--config", "rounds.toml", "drill", "db", "--yes"]).spawn().unwrap();
    let begun = std::time::Instant::now();
    let listing = loop {
        let number = fs::read_to_string(&pid).ok().and_then(|text| text.trim().parse::<i32>().ok());
        if let Some(number) = number {
            break number;
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "the copies were not asked for");
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    killed.kill().unwrap();
    killed.wait().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(listing), nix::sys::signal::Signal::SIGKILL).unwrap();
    assert_eq!(runs(&place), ["begun"]);
    assert!(!work.join("scratch").exists());
    // The next one of the same set ends it, and is none the worse.
    configure(&place, KEYS);
    let output = run(&place, &["drill", "db", "--yes"]);
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    let runs = runs(&place);
    assert!(runs.len() == 4 && runs.iter().any(|words| words.starts_with("broken off")), "{runs:?}");
}
