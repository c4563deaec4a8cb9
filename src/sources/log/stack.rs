//! What the lines of a traceback say, whole: the chain of exceptions with their frames and source lines, of Python and of what Java, Node,
//! Ruby, Go and PHP print. Pure.
//!
//! What does not belong here: which lines belong to an event (`digest`, `trace`), telling errors apart (`group`).

use std::sync::LazyLock;

use regex::Regex;

use super::group;
use super::trace::{self, Parsed};
use crate::domain::{ErrorEvent, EventRequest, Exception, Frame, Link, LogEvent};

/// Frames of one exception.
const FRAMES: usize = 200;
/// Exceptions of a chain.
const CHAIN: usize = 16;
/// Lines of source that one frame shows.
const SOURCE: usize = 8;

/// One exception; frames outermost first.
#[derive(Debug, Default, Clone, PartialEq)]
struct Raised {
    kind: String,
    title: String,
    frames: Vec<Called>,
    /// How the one before it in the text led to it.
    link: Link,
    notes: Vec<String>,
}

#[derive(Debug, Default, Clone, PartialEq)]
struct Called {
    path: String,
    line: u32,
    function: String,
    source: Vec<String>,
}

/// What tells two errors apart, of a traceback of any language; `None`: there is none in it.
pub fn parse(message: &str, detail: &[String]) -> Option<Parsed> {
    if let Some(parsed) = trace::parse(detail.iter().map(String::as_str)) {
        return Some(parsed);
    }
    let first = others(message, detail).into_iter().next()?;
    let frames = first.frames.into_iter().map(|called| trace::Frame { path: called.path, line: called.line, function: called.function }).collect();
    Some(Parsed { kind: first.kind, title: first.title, frames, inner: Vec::new() })
}

/// The event of a log as an error tracker would tell it. `before`: the lines shortly before it, oldest first.
pub fn event(event: &LogEvent, project: &[String]) -> ErrorEvent {
    let python = python(&event.detail);
    let platform = (!python.is_empty()).then(|| "python".to_owned());
    // In the text of Python the exception that ended it comes last, in all others first.
    let chain: Vec<Raised> = if python.is_empty() { others(&event.message, &event.detail) } else { python.into_iter().rev().collect() };
    let notes = chain.iter().flat_map(|raised| raised.notes.iter().cloned()).collect();
    let exceptions: Vec<Exception> = chain
        .into_iter()
        .map(|raised| {
            let (kind, value) = raised.title.split_once(": ").filter(|(kind, _)| *kind == raised.kind).unwrap_or((&raised.kind, ""));
            let name = group::class(kind);
            let module = kind.strip_suffix(name).map(|module| module.trim_end_matches(['.', ':', '\\'])).filter(|module| !module.is_empty());
            Exception {
                kind: name.to_owned(),
                value: value.to_owned(),
                module: module.map(str::to_owned),
                handled: None,
                frames: raised.frames.into_iter().rev().map(|called| frame(called, project)).collect(),
                link: raised.link,
            }
        })
        .collect();
    let url = ["Internal Server Error: ", "Service Unavailable: "].iter().find_map(|words| event.message.strip_prefix(words));
    ErrorEvent {
        at: Some(event.at),
        message: Some(event.message.clone()).filter(|message| !message.is_empty()),
        exceptions,
        request: url.map(|url| EventRequest { url: url.to_owned(), ..EventRequest::default() }),
        platform,
        notes,
        ..ErrorEvent::default()
    }
}

fn frame(called: Called, project: &[String]) -> Frame {
    let first = called.line;
    let source = called.source.into_iter().enumerate().map(|(at, text)| (first.saturating_add(u32::try_from(at).unwrap_or(0)), text)).collect();
    Frame {
        in_app: group::in_app(&called.path, project),
        path: group::short(&called.path, project).to_owned(),
        absolute: Some(called.path),
        module: None,
        function: Some(called.function).filter(|name| !name.is_empty()),
        line: (first > 0).then_some(first),
        source,
        locals: Vec::new(),
    }
}

/// The chain of a Python traceback in the order of its text.
fn python(lines: &[String]) -> Vec<Raised> {
    let mut chain: Vec<Raised> = Vec::new();
    let mut within = false;
    let mut link = Link::Unknown;
    for line in lines {
        let (line, deeper) = match line.strip_prefix("  | ").or_else(|| line.strip_prefix("  + ")) {
            Some(outer) => (outer, false),
            None => (line.as_str(), line.starts_with("    ") && line.trim_start().starts_with(['|', '+']) && !chain.is_empty()),
        };
        if deeper {
            let inner = line.trim_start().trim_start_matches(['|', ' ']);
            if let Some(raised) = chain.last_mut().filter(|raised| raised.notes.len() < 16)
                && line.trim_start().starts_with("| ")
                && !line.trim_start().starts_with("|  ")
                && trace::kind(inner).is_some()
                && inner.contains(':')
            {
                raised.notes.push(format!("in the group: {inner}"));
            }
            continue;
        }
        if line.starts_with("Traceback (most recent call last):") || line.starts_with("Exception Group Traceback (most recent call last):") {
            if chain.len() >= CHAIN {
                chain.remove(0);
            }
            chain.push(Raised { link: std::mem::take(&mut link), ..Raised::default() });
            within = true;
            continue;
        }
        // Django's mails name the exception within the sentence.
        let sentence = line.trim_start();
        if sentence.starts_with("The above exception") && sentence.contains("direct cause of the following") {
            link = Link::Cause;
            continue;
        }
        if sentence.starts_with("During handling of the above exception") {
            link = Link::Context;
            continue;
        }
        let Some(raised) = chain.last_mut() else { continue };
        if !within {
            if !line.is_empty() && link == Link::Unknown && raised.notes.len() < 16 && !line.starts_with("+-") {
                raised.notes.push(line.to_owned());
            }
        } else if let Some(at) = trace::frame(line) {
            if raised.frames.len() < FRAMES {
                raised.frames.push(Called { path: at.path, line: at.line, function: at.function, source: Vec::new() });
            }
        } else if line.starts_with([' ', '\t']) {
            let carets = line.chars().all(|c| matches!(c, ' ' | '^' | '~' | '\t'));
            if let Some(called) = raised.frames.last_mut().filter(|called| !carets && called.source.len() < SOURCE) {
                called.source.push(line.strip_prefix("    ").unwrap_or(line).to_owned());
            }
        } else if !line.is_empty() {
            line.clone_into(&mut raised.title);
            trace::kind(line).unwrap_or(line).clone_into(&mut raised.kind);
            within = false;
        }
    }
    chain.retain(|raised| !raised.kind.is_empty() || !raised.frames.is_empty());
    // What links two stands with the one that ended it: the later in the text.
    chain
}

struct Shapes {
    java: Regex,
    node: Regex,
    ruby: Regex,
    php: Regex,
    go: Regex,
}

static SHAPES: LazyLock<Option<Shapes>> = LazyLock::new(|| {
    Some(Shapes {
        java: Regex::new(r"^at (?:[\w.-]+(?:@[\w.-]+)?/)?([\w.$<>]+)\.([\w$<>]+)\((?:[\w.$-]+?(?::(\d+))?|Native Method|Unknown Source)\)").ok()?,
        node: Regex::new(r"^at (?:async )?(?:(.+?) \()?((?:file://|node:|/|[A-Za-z]:\\|\w|\.)[^()]*?):(\d+):\d+\)?$").ok()?,
        ruby: Regex::new(r"^(?:from )?(\S+\.(?:rb|erb|rake|ru)):(\d+):in [`'](.+?)'(?:: (.*) \(([A-Z][\w:]*)\))?$").ok()?,
        php: Regex::new(r"^#\d+ (\S+)\((\d+)\): (.+?)\(").ok()?,
        go: Regex::new(r"^(/\S+\.go|[A-Za-z]:\\\S+\.go):(\d+)").ok()?,
    })
});

/// The chain of any other language: the exception that ended it first, then its causes.
fn others(message: &str, detail: &[String]) -> Vec<Raised> {
    let Some(shapes) = SHAPES.as_ref() else { return Vec::new() };
    let mut chain: Vec<Raised> = Vec::new();
    // The call of Go whose place is on the next line.
    let mut call: Option<String> = None;
    let number = |text: Option<regex::Match<'_>>| text.and_then(|text| text.as_str().parse().ok()).unwrap_or(0);
    for (at, whole) in std::iter::once(message).chain(detail.iter().map(String::as_str)).enumerate() {
        let line = whole.trim();
        let called = if let Some(found) = shapes.java.captures(line) {
            Some(Called { path: found[1].to_owned(), line: number(found.get(3)), function: found[2].to_owned(), source: Vec::new() })
        } else if let Some(found) = shapes.node.captures(line) {
            let function = found.get(1).map_or("", |name| name.as_str());
            Some(Called { path: found[2].to_owned(), line: number(found.get(3)), function: function.to_owned(), source: Vec::new() })
        } else if let Some(found) = shapes.php.captures(line) {
            Some(Called { path: found[1].to_owned(), line: number(found.get(2)), function: found[3].to_owned(), source: Vec::new() })
        } else if let Some(found) = shapes.ruby.captures(line) {
            if let (Some(value), Some(kind)) = (found.get(4), found.get(5)) {
                chain.push(Raised { kind: kind.as_str().to_owned(), title: format!("{}: {}", kind.as_str(), value.as_str()), ..Raised::default() });
            }
            Some(Called { path: found[1].to_owned(), line: number(found.get(2)), function: found[3].to_owned(), source: Vec::new() })
        } else if let Some(found) = shapes.go.captures(line) {
            // Only the goroutine that failed, which is written first.
            let function = call.take().unwrap_or_default();
            Some(Called { path: found[1].to_owned(), line: number(found.get(2)), function, source: Vec::new() })
        } else {
            None
        };
        if let Some(called) = called {
            if chain.is_empty() {
                // Frames under a message that names no type: the message is what is known.
                chain.push(Raised { kind: trace::kind(message).unwrap_or_default().to_owned(), title: message.to_owned(), ..Raised::default() });
            }
            let runtime = called.function == "panic" || called.path.contains("/runtime/panic.go");
            if let Some(raised) = chain.last_mut().filter(|raised| raised.frames.len() < FRAMES && !runtime) {
                raised.frames.push(called);
            }
            continue;
        }
        if line.starts_with("goroutine ") && chain.iter().any(|raised| !raised.frames.is_empty()) {
            break;
        }
        if !whole.starts_with([' ', '\t'])
            && line.ends_with(')')
            && let Some(end) = line.rfind('(').filter(|end| !line[..*end].contains(' '))
        {
            call = Some(line[..end].rsplit('/').next().unwrap_or_default().to_owned());
            continue;
        }
        if chain.len() < CHAIN
            && let Some((kind, value)) = header(line, at == 0)
        {
            let caused = line.starts_with("Caused by: ");
            if caused && let Some(before) = chain.last_mut() {
                before.link = Link::Cause;
            } else if !chain.is_empty() {
                continue;
            }
            let mut raised =
                Raised { kind: kind.to_owned(), title: if value.is_empty() { kind.to_owned() } else { format!("{kind}: {value}") }, ..Raised::default() };
            // PHP names the place within the sentence.
            if let Some((value, place)) = value.rsplit_once(" in /")
                && let Some((path, number)) = place.rsplit_once(':')
                && let Ok(number) = number.parse()
            {
                raised.title = format!("{kind}: {value}");
                raised.frames.push(Called { path: format!("/{path}"), line: number, ..Called::default() });
            }
            chain.push(raised);
        }
    }
    // Only what has frames is a traceback.
    if chain.iter().all(|raised| raised.frames.is_empty()) {
        return Vec::new();
    }
    for raised in &mut chain {
        raised.frames.reverse();
    }
    chain
}

/// Type and value of the line that names an exception.
fn header(line: &str, first: bool) -> Option<(&str, &str)> {
    let caused = line.strip_prefix("Caused by: ");
    if let Some(value) = line.strip_prefix("panic: ").or_else(|| line.strip_prefix("fatal error: ")) {
        return Some(("panic", value));
    }
    let rest = caused
        .or_else(|| line.strip_prefix("PHP Fatal error:  Uncaught "))
        .or_else(|| line.strip_prefix("Fatal error: Uncaught "))
        .or_else(|| line.strip_prefix("Uncaught "))
        .or_else(|| line.strip_prefix("Exception in thread \"").and_then(|rest| rest.split_once("\" ")).map(|(_, rest)| rest))
        .unwrap_or(line);
    let kind = trace::kind(rest)?;
    let like_one = ["Exception", "Error", "Throwable", "Fault", "Failure"].iter().any(|end| kind.ends_with(end));
    let value = rest[kind.len()..].trim_start_matches(':').trim();
    (like_one || caused.is_some() || (first && rest.len() < line.len())).then_some((kind, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> (String, Vec<String>) {
        let mut lines = text.lines().map(str::to_owned);
        (lines.next().unwrap_or_default(), lines.collect())
    }

    const JAVA: &str = "Exception in thread \"main\" java.lang.IllegalStateException: basket 17 is closed
\tat com.shop.basket.Basket.total(Basket.java:88)
\tat com.shop.web.BasketView.get(BasketView.java:41)
\tat org.springframework.web.Dispatcher.run(Dispatcher.java:9)
Caused by: java.io.IOException: gone
\tat com.shop.basket.Store.read(Store.java:12)
\t... 3 more";
    const NODE: &str = "TypeError: Cannot read properties of undefined (reading 'currency')
    at Basket.total (/srv/shop/basket/pricing.js:88:20)
    at /srv/shop/basket/views.js:41:3
    at Layer.handle (/srv/shop/node_modules/express/lib/router/layer.js:95:5)
    at node:internal/process/task_queues:95:5";
    const RUBY: &str = "/srv/shop/basket/pricing.rb:88:in 'total': no currency 17 (KeyError)
\tfrom /srv/shop/basket/views.rb:41:in 'get'
\tfrom /usr/lib/ruby/gems/3.3/gems/rack-3.0/lib/rack.rb:1:in 'call'";
    const GO: &str = "panic: runtime error: index out of range [5] with length 3
goroutine 1 [running]:
main.total(0xc000012345, 0x5)
\t/srv/shop/basket/pricing.go:88 +0x1d
main.main()
\t/srv/shop/main.go:12 +0x85
exit status 2";
    const PHP: &str = "PHP Fatal error:  Uncaught InvalidArgumentException: no currency 17 in /srv/shop/basket/Pricing.php:88
Stack trace:
#0 /srv/shop/basket/View.php(41): Basket->total()
#1 /srv/shop/vendor/laravel/Route.php(9): call_user_func()
#2 {main}
  thrown in /srv/shop/basket/Pricing.php on line 88";

    #[test]
    fn what_other_languages_print_is_read() {
        for (text, kind, title, inner, own) in [
            (JAVA, "java.lang.IllegalStateException", "java.lang.IllegalStateException: basket 17 is closed", ("com.shop.basket.Basket", 88, "total"), 2),
            (NODE, "TypeError", "TypeError: Cannot read properties of undefined (reading 'currency')", ("/srv/shop/basket/pricing.js", 88, "Basket.total"), 2),
            (RUBY, "KeyError", "KeyError: no currency 17", ("/srv/shop/basket/pricing.rb", 88, "total"), 2),
            (GO, "panic", "panic: runtime error: index out of range [5] with length 3", ("/srv/shop/basket/pricing.go", 88, "main.total"), 2),
            (PHP, "InvalidArgumentException", "InvalidArgumentException: no currency 17", ("/srv/shop/basket/Pricing.php", 88, ""), 2),
        ] {
            let (message, detail) = lines(text);
            let parsed = parse(&message, &detail).unwrap();
            assert_eq!((parsed.kind.as_str(), parsed.title.as_str()), (kind, title));
            let last = parsed.frames.last().unwrap();
            assert_eq!((last.path.as_str(), last.line, last.function.as_str()), inner, "{text}");
            assert_eq!(parsed.frames.iter().filter(|frame| group::in_app(&frame.path, &[])).count(), own, "{text}");
        }
        assert_eq!(parse("done: 3 of 4", &["  indented remark".to_owned()]), None);
    }

    #[test]
    fn every_line_of_them_is_one_event() {
        for text in [JAVA, NODE, RUBY, GO, PHP] {
            let mut lines = text.lines();
            let mut state = trace::begins(lines.next().unwrap().as_bytes()).unwrap();
            for line in lines {
                state = state.next(line.as_bytes()).unwrap_or_else(|| panic!("{line}"));
            }
            assert_eq!(state.next(b"2026-11-20 03:12:01 INFO next"), None);
        }
        for line in ["Errors: 3", "Error", "starting server", "GET / 200", "exception"] {
            assert_eq!(trace::begins(line.as_bytes()), None, "{line}");
        }
    }

    fn told(message: &str, text: &str) -> ErrorEvent {
        let at = chrono::DateTime::from_timestamp(1_763_608_000, 0).unwrap();
        let detail = text.lines().map(str::to_owned).collect();
        event(&LogEvent { at, level: crate::domain::Level::Error, file: 0, message: message.to_owned(), detail, fingerprint: None, place: None }, &[])
    }

    #[test]
    fn a_chain_is_told_from_its_end_with_source_and_request() {
        let event = told(
            "Internal Server Error: /basket/",
            "Traceback (most recent call last):
  File \"/srv/shop/basket/pricing.py\", line 88, in total
    currency = self.session[\"currency\"]
               ~~~~~~~~~~~~^^^^^^^^^^^^
KeyError: 'currency'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File \"/srv/shop/.venv/lib/python3.13/site-packages/django/core/handlers/base.py\", line 197, in _get_response
    response = wrapped_callback(request)
  File \"/srv/shop/basket/views.py\", line 41, in get
    return Response(total)
shop.errors.BasketError: bad basket 17
basket id 17",
        );
        assert_eq!(event.request.as_ref().unwrap().url, "/basket/");
        let [last, first] = event.exceptions.as_slice() else { panic!("{event:?}") };
        assert_eq!(
            (last.kind.as_str(), last.value.as_str(), last.module.as_deref(), last.link),
            ("BasketError", "bad basket 17", Some("shop.errors"), Link::Cause)
        );
        assert_eq!(last.frames[0].source, [(41, "return Response(total)".to_owned())]);
        assert!(last.frames[0].in_app && !last.frames[1].in_app);
        assert_eq!((first.kind.as_str(), first.value.as_str(), first.link), ("KeyError", "'currency'", Link::Unknown));
        assert_eq!(first.frames[0].place(), "basket/pricing.py:88");
        assert_eq!(event.place(), Some((0, 0)));
        assert_eq!(event.notes, ["basket id 17"]);
    }

    #[test]
    fn an_error_without_a_traceback_is_its_message() {
        let event = told("payment gateway refused order 17", "");
        assert_eq!((event.message.as_deref(), event.exceptions.len()), (Some("payment gateway refused order 17"), 0));
    }
}
