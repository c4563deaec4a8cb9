//! Odd bytes, floods, and any bytes in any pieces.

use super::*;

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
