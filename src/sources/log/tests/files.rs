//! Real files that are written, renamed, emptied, removed and replaced while they are followed.

use super::*;

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
