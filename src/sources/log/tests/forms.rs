//! What real programs write, format by format, and the configuration that names them.

use super::*;

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
    fs::write(folder.path().join("basket/views.py"), include_str!("../fixtures/django_site.py")).unwrap();
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
