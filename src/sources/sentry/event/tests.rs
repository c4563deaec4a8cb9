use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::Level;

const SENTRY: &[u8] = include_bytes!("../fixtures/event.json");
const GLITCHTIP: &[u8] = include_bytes!("../fixtures/glitchtip_event.json");
const RAW: &[u8] = include_bytes!("../fixtures/raw_event.json");

fn has<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

#[test]
fn a_whole_event_is_read_down_to_the_line() {
    let event = event(SENTRY).unwrap();
    let kinds: Vec<_> = event.exceptions.iter().map(|one| (one.kind.as_str(), one.value.as_str(), one.link)).collect();
    assert_eq!(kinds, [("CheckoutError", "no total", Link::Cause), ("KeyError", "'currency'", Link::Unknown)]);
    assert_eq!((event.exceptions[0].module.as_deref(), event.exceptions[0].handled), (Some("orders.errors"), Some(false)));
    // Where it was raised comes first.
    let frames: Vec<_> = event.exceptions[0].frames.iter().map(|frame| (frame.place(), frame.in_app)).collect();
    assert_eq!(frames, [("orders/views.py:41".to_owned(), true), ("django/core/handlers/exception.py:55".to_owned(), false)]);
    let frame = &event.exceptions[1].frames[0];
    assert_eq!(frame.source[1], (88, "    currency = self.session[\"basket\"][\"currency\"]".to_owned()));
    assert_eq!((frame.absolute.as_deref(), frame.function.as_deref()), (Some("/srv/shop/basket/pricing.py"), Some("Basket.total")));
    assert_eq!(has(&frame.locals, "lines"), Some("[1, 2, {sku: 'A'}]"));
    assert_eq!(event.at.unwrap().to_rfc3339(), "2026-08-22T21:04:55+00:00");
    assert_eq!((event.release.as_deref(), event.environment.as_deref(), event.server.as_deref()), (Some("shop@4.2.0"), Some("production"), Some("web1")));
    assert_eq!((event.previous.as_deref(), event.next.as_deref()), (Some("aa010f6c52e2446c9fd8af4d9b2b21aa"), None));
    assert_eq!(has(&event.contexts, "runtime"), Some("CPython 3.12.3"));
    assert_eq!(has(&event.contexts, "attempt"), Some("2"));
    assert_eq!(event.notes, ["Event is too old: timestamp", "clock drift"]);
    assert_eq!(event.message, None);
    let crumbs: Vec<_> = event.breadcrumbs.iter().map(|crumb| (crumb.category.as_str(), crumb.message.as_str(), crumb.level)).collect();
    assert_eq!(crumbs[0], ("httplib", "GET http://rates.internal/latest 200", Level::Info));
    assert_eq!(crumbs[1], ("query", "SELECT \"basket_line\".\"id\" FROM \"basket_line\"", Level::Info));
    assert_eq!(crumbs[2], ("navigation", "/basket/ → /checkout/", Level::Warning));
    assert_eq!(crumbs[3], ("basket", "{basket: 7781, token: ***}", Level::Error));
    assert!(event.breadcrumbs[1].at.is_some() && event.breadcrumbs[3].at.is_none());
    let request = event.request.unwrap();
    assert_eq!((request.method.as_deref(), request.url.as_str()), (Some("POST"), "https://shop.example/checkout/"));
    assert_eq!(has(&request.headers, "Host"), Some("shop.example"));
}

#[test]
fn what_lets_one_be_somebody_is_masked_everywhere() {
    for bytes in [SENTRY, GLITCHTIP] {
        let event = event(bytes).unwrap();
        let text = serde_json::to_string(&event).unwrap();
        for secret in ["hunter2", "sessionid=abc", "Bearer abc", "q-secret", "s3cr3t", "\"123\"", "k123", "u:pw", "ana@", "'abc'"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        assert!(text.contains("***"));
    }
    let event = event(SENTRY).unwrap();
    assert_eq!((event.user.as_deref(), has(&event.tags, "user")), (Some("7"), None));
    let request = event.request.unwrap();
    assert_eq!((has(&request.headers, "Cookie"), has(&request.query, "token"), has(&request.query, "step")), (Some("***"), Some("***"), Some("2")));
    for (name, secret) in [("Authorization", true), ("X-CSRFToken", true), ("DB_PASSWORD", true), ("auth", true), ("author", false), ("session", false)] {
        assert_eq!(is_secret(name), secret, "{name}");
    }
}

#[test]
fn glitchtip_has_frames_of_both_sorts() {
    let event = event(GLITCHTIP).unwrap();
    let frames = &event.exceptions[0].frames;
    assert_eq!(frames.iter().map(Frame::place).collect::<Vec<_>>(), ["basket/rates.py:7", "basket/pricing.py:88", "django/core/handlers/base.py"]);
    assert_eq!(frames[0].source, [(5, "import x".to_owned()), (6, "def rate():".to_owned()), (7, "    return rates[code]".to_owned()), (8, String::new())]);
    assert_eq!(frames[1].source.len(), 3);
    assert_eq!(event.place(), Some((0, 0)));
    let request = event.request.unwrap();
    assert_eq!((has(&request.query, "a"), request.body.as_deref()), (Some("1"), Some("card=4111&password=***")));
    assert_eq!((event.user.as_deref(), event.server.as_deref()), (Some("7"), Some("web2")));
}

#[test]
fn the_raw_event_of_an_sdk_is_read_too() {
    let event = event(RAW).unwrap();
    let kinds: Vec<_> = event.exceptions.iter().map(|one| (one.kind.as_str(), one.link)).collect();
    assert_eq!(kinds, [("RuntimeError", Link::Context), ("ValueError", Link::Unknown)]);
    assert_eq!(event.exceptions[1].frames[0].source.last().unwrap(), &(3, "raise ValueError('bad')".to_owned()));
    assert_eq!((event.message.as_deref(), event.release.as_deref(), has(&event.tags, "team")), (Some("failed for x"), Some("v214"), Some("shop")));
    assert_eq!(event.id.len(), 32);
}

#[test]
fn an_event_without_an_exception_says_what_it_can() {
    let of = |value: Value| of_value(&value);
    let threads = of(json!({"entries": [{"type": "threads", "data": {"values": [
        {"id": 1, "current": true, "stacktrace": {"frames": [{"function": "idle"}]}},
        {"id": 2, "crashed": true, "stacktrace": {"frames": [{"function": "main"}, {"symbol": "abort", "errors": [{"type": "native_missing_dsym"}]}]}}]}}]}));
    let functions: Vec<_> = threads.exceptions[0].frames.iter().map(|frame| frame.function.as_deref().unwrap()).collect();
    assert_eq!((functions, threads.exceptions[0].kind.as_str(), threads.notes[0].as_str()), (vec!["abort", "main"], "", "native missing dsym"));
    let traced = of(
        json!({"entries": [{"type": "stacktrace", "data": {"frames": [{"filename": "a.py", "lineNo": 4}]}}, {"type": "message", "data": {"formatted": "x"}}]}),
    );
    assert_eq!((traced.exceptions[0].frames[0].place().as_str(), traced.message.as_deref()), ("a.py:4", Some("x")));
    let policy = of(json!({"entries": [{"type": "csp", "data": {"effective_directive": "img-src", "blocked_uri": "https://x.example"}}]}));
    assert_eq!(policy.message.as_deref(), Some("the page's policy img-src kept https://x.example out"));
    let message = of(json!({"entries": [{"type": "message", "data": {"message": "only %s"}}, {"type": "exception", "data": null}]}));
    assert_eq!((message.message.as_deref(), message.exceptions.len()), (Some("only %s"), 0));
    // Frames stand apart from an exception without any.
    let apart = of(json!({"exception": {"values": [{"type": "E"}]}, "threads": [{"crashed": true, "stacktrace": {"frames": [{"function": "f"}]}}]}));
    assert_eq!((apart.exceptions.len(), apart.exceptions[0].frames.len()), (1, 1));
}

#[test]
fn minified_frames_are_shown_as_they_are_and_said_to_be() {
    let event = event(include_bytes!("../../../../fuzz/corpus/event/minified.json")).unwrap();
    let frame = &event.exceptions[0].frames[0];
    assert_eq!((frame.place().as_str(), frame.source[0].1.chars().count()), ("https://shop.example/app.min.js:1", 401));
    assert_eq!(
        event.notes,
        [
            "the frames are as the program sent them: not symbolicated",
            "3 exceptions of the chain were left out by the tracker",
            "Source code was not found: https://shop.example/app.min.js"
        ]
    );
}

#[test]
fn a_huge_event_is_cut_and_says_so() {
    let vars: serde_json::Map<String, Value> = (0..200).map(|n| (format!("v{n}"), json!("x".repeat(9_000)))).collect();
    let frames: Vec<Value> =
        (0..400).map(|n| json!({"filename": format!("f{n}.py"), "lineNo": n, "inApp": true, "vars": vars, "context": [[n, "y".repeat(9_000)]]})).collect();
    let values: Vec<Value> = (0..60).map(|_| json!({"type": "E", "value": "z".repeat(90_000), "stacktrace": {"frames": frames[..20]}})).collect();
    let of = |value: Value| {
        let event = of_value(&value);
        let kept: usize = serde_json::to_string(&event).unwrap().len();
        assert!(kept < 2 * KEPT, "{kept}");
        event
    };
    let long = of(json!({"exception": {"values": [{"type": "E", "stacktrace": {"frames": frames}}]}}));
    assert_eq!(long.exceptions[0].frames.len(), 120);
    assert_eq!(long.exceptions[0].frames[0].path, "f399.py", "the innermost stay");
    assert!(long.notes.iter().any(|note| note == "280 outer frames are left out") && long.notes.iter().any(|note| note.contains("larger than 1024 KiB")));
    let many = of(json!({"exception": {"values": values}, "breadcrumbs": vec![json!({"message": "m".repeat(9_000)}); 4_000]}));
    assert!(many.exceptions.len() == 20 && many.breadcrumbs.len() == 60);
}

#[test]
fn no_event_is_no_event() {
    for (body, words) in [("", "ends in the middle"), ("{\"id\":", "ends in the middle"), ("[]", "no event"), ("<html>", "not JSON")] {
        assert!(event(body.as_bytes()).unwrap_err().contains(words), "{body}");
    }
    assert_eq!(event(b"{}").unwrap(), ErrorEvent::default());
    assert_eq!(event(include_bytes!("../../../../fuzz/corpus/event/odd.json")).unwrap().exceptions.len(), 2);
}

#[test]
fn the_spread_of_tags_and_the_first_release_are_read() {
    let spread = spread(include_bytes!("../../../../fuzz/corpus/event/tags.json")).unwrap();
    let values = vec![("from before the deploy".to_owned(), 408), ("new".to_owned(), 4)];
    assert_eq!(spread, [TagSpread { key: "session".to_owned(), total: 412, values }]);
    assert!(super::spread(b"{}").is_err() && super::spread(b"").is_err());
    for (body, expected) in [
        (r#"{"firstRelease":{"version":"v214"}}"#, Some("v214")),
        (r#"{"firstRelease":"v214"}"#, Some("v214")),
        (r#"{"firstRelease":null}"#, None),
        ("[]", None),
        ("", None),
    ] {
        assert_eq!(first_release(body.as_bytes()).as_deref(), expected, "{body}");
    }
}

/// The event of an SDK as the server gives it back: parts in `entries`, frames in camel case with numbered source.
fn as_served(raw: &Value) -> Value {
    let mut exception = raw["exception"].clone();
    for one in exception["values"].as_array_mut().unwrap() {
        for frame in one["stacktrace"]["frames"].as_array_mut().unwrap() {
            let line = frame["lineno"].as_u64().unwrap();
            let of = |name: &str| frame[name].as_array().cloned().unwrap_or_default();
            let texts = of("pre_context").into_iter().chain([frame["context_line"].clone()]).chain(of("post_context"));
            let context: Vec<Value> = (line - of("pre_context").len() as u64..).zip(texts).map(|(number, text)| json!([number, text])).collect();
            *frame = json!({"filename": frame["filename"], "absPath": frame["abs_path"], "module": frame["module"], "function": frame["function"], "lineNo": line,
                "colNo": null, "inApp": frame["in_app"], "context": context, "vars": frame["vars"]});
        }
    }
    let tags: Vec<Value> = raw["tags"].as_object().unwrap().iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
    let headers: Vec<Value> = raw["request"]["headers"].as_object().unwrap().iter().map(|(key, value)| json!([key, value])).collect();
    json!({"id": raw["event_id"], "eventID": raw["event_id"], "dateCreated": raw["timestamp"], "platform": raw["platform"], "tags": tags, "contexts": raw["contexts"],
        "release": {"version": raw["release"]}, "entries": [
            {"type": "exception", "data": {"values": exception["values"], "hasSystemFrames": true, "excOmitted": null}},
            {"type": "breadcrumbs", "data": raw["breadcrumbs"]},
            {"type": "request", "data": {"method": raw["request"]["method"], "url": raw["request"]["url"], "query": [["voucher", "SUMMER"]], "headers": headers}}]})
}

/// What the SDK that is installed here sends for a failing Django view. `ROUNDS_TEST_PYTHON` names its Python.
#[tokio::test]
async fn what_the_installed_sdk_sends_is_understood() {
    use crate::io::exec::{Limits, Program, run};
    let python = std::env::var("ROUNDS_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let limits = Limits::within(std::time::Duration::from_secs(120));
    let probe = run(&Program::new(vec![python.clone(), "-c".into(), "import django, sentry_sdk".into()]), limits).await;
    if !probe.is_ok_and(|output| output.ending.success()) {
        assert!(
            std::env::var_os("ROUNDS_REQUIRE_TOOLS").is_none(),
            "sentry-sdk and Django are not installed for {python}: name a Python in ROUNDS_TEST_PYTHON"
        );
        eprintln!("skipped: sentry-sdk and Django are not installed for {python}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("shop.py");
    std::fs::write(&script, include_str!("../fixtures/django_sdk.py")).unwrap();
    let output = run(&Program::new(vec![python, script.display().to_string()]), limits).await.unwrap();
    assert!(output.ending.success(), "{}", output.last_error_line());
    let raw: Value = serde_json::from_slice(&output.stdout).unwrap();
    for (shape, value) in [("as it was sent", raw.clone()), ("as it is served", as_served(&raw))] {
        let event = event(value.to_string().as_bytes()).unwrap();
        let kinds: Vec<_> = event.exceptions.iter().map(|one| (one.kind.as_str(), one.value.as_str())).collect();
        assert_eq!(kinds, [("CheckoutError", "no total"), ("KeyError", "'currency'")], "{shape}");
        assert_eq!(event.exceptions[0].handled, Some(false));
        let frame = &event.exceptions[1].frames[0];
        assert_eq!((frame.path.as_str(), frame.function.as_deref(), frame.in_app), ("shop.py", Some("total"), true), "{shape}");
        let own = frame.source.iter().find(|(number, _)| Some(*number) == frame.line).unwrap();
        assert_eq!(own.1, "    return basket[\"currency\"], lines", "{shape}");
        assert!(frame.locals.iter().any(|(name, _)| name == "basket"), "{shape} {frame:?}");
        assert!(event.exceptions[0].frames.iter().any(|frame| !frame.in_app && frame.path.starts_with("django/")), "{shape}");
        assert_eq!((event.release.as_deref(), has(&event.tags, "session")), (Some("v214"), Some("from before the deploy")), "{shape}");
        assert!(event.breadcrumbs.iter().any(|crumb| crumb.message == "basket 7781 loaded"), "{shape}");
        let request = event.request.as_ref().unwrap();
        assert_eq!((request.method.as_deref(), has(&request.query, "voucher")), (Some("GET"), Some("SUMMER")), "{shape}");
        assert!(!serde_json::to_string(&event).unwrap().contains("hunter2-of-the-header"), "{shape}");
    }
}

fn any_event() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from)
    ];
    let keys = prop::sample::select(vec![
        "entries",
        "type",
        "data",
        "values",
        "exception",
        "stacktrace",
        "frames",
        "context",
        "vars",
        "lineNo",
        "lineno",
        "context_line",
        "pre_context",
        "threads",
        "crashed",
        "request",
        "headers",
        "query",
        "breadcrumbs",
        "timestamp",
        "tags",
        "key",
        "value",
        "contexts",
        "user",
        "id",
        "errors",
        "message",
        "url",
        "csp",
        "topValues",
        "count",
        "excOmitted",
        "mechanism",
        "release",
        "version",
    ]);
    leaf.prop_recursive(6, 80, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((keys.clone(), inner), 0..8)
                .prop_map(|pairs| Value::Object(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_document_is_read_or_refused(value in any_event(), part in prop::sample::select(vec!["exception", "threads", "breadcrumbs", "request", "csp"])) {
        fuzz(value.to_string().as_bytes());
        fuzz(json!({"entries": [{"type": part, "data": value.clone()}]}).to_string().as_bytes());
        fuzz(json!([{"key": "k", "topValues": value}]).to_string().as_bytes());
    }
}
