//! The events of the demonstration's issues, down to the line of code: what the tracker answers when one issue is looked at. Pure.
//!
//! Their frames are those of the tracebacks in the logs, with the source around the application's own lines and the locals there.
//! What does not belong here: which issues there are (`issues`), who may ask (`sentry`).

use serde_json::{Value, json};

use super::dice;
use super::issues::Row;
use crate::domain::Timestamp;
use crate::domain::time::rfc3339;

/// One event in so many is of a session that began after the deploy.
const NEWER_SESSION: u64 = 103;
/// Where the shop's own code lies.
const HOME: &str = "/srv/shop/";
/// Where what it uses lies.
const LIBRARIES: &str = "/site-packages/";

const BASKET: &str = include_str!("tracebacks/basket.txt");
const SEARCH: &str = include_str!("tracebacks/search.txt");
/// How every request begins.
const OUTER: usize = 7;

/// What is known of a line of the shop's own code.
struct Place {
    path: &'static str,
    line: u32,
    function: &'static str,
    /// The number of the first line of `source`.
    from: u32,
    source: &'static [&'static str],
    locals: &'static [(&'static str, &'static str)],
}

const PLACES: [Place; 9] = [
    Place {
        path: "basket/vouchers.py",
        line: 31,
        function: "apply",
        from: 29,
        source: &[
            "def apply(basket, code):",
            "    # Codes are case-blind.",
            "    voucher = Voucher.objects.get(code__iexact=code)",
            "    basket.voucher = voucher",
        ],
        locals: &[("basket", "<Basket 7402>"), ("code", "'SUMMER'")],
    },
    Place {
        path: "basket/pricing.py",
        line: 88,
        function: "Basket.total",
        from: 84,
        source: &[
            "",
            "@property",
            "def total(self):",
            "    lines = self.session[\"basket\"][\"lines\"]",
            "    currency = self.session[\"basket\"][\"currency\"]",
            "    return sum(convert(line, currency) for line in lines)",
            "",
            "def convert(line, currency):",
        ],
        locals: &[
            ("self.session[\"basket\"]", "{\"lines\": […3], \"voucher\": None}"),
            ("lines", "[<Line teapot-3>, <Line cup-1>, <Line cup-2>]"),
            ("self", "<Basket 7781>"),
        ],
    },
    Place {
        path: "basket/views.py",
        line: 41,
        function: "BasketView.get",
        from: 38,
        source: &["class BasketView(APIView):", "", "    def get(self, request):", "        return Response(Basket(request.session).total)", ""],
        locals: &[("request", "<rest_framework.request.Request: GET '/api/basket/'>"), ("self", "<basket.views.BasketView object>")],
    },
    Place {
        path: "catalog/views.py",
        line: 29,
        function: "SearchView.get",
        from: 27,
        source: &[
            "    def get(self, request):",
            "        index = Index.current()",
            "        hits = index.query(request.GET[\"q\"].split(), self.facets(request))",
            "        return render(request, \"search.html\", {\"hits\": hits})",
        ],
        locals: &[("request", "<WSGIRequest: GET '/search/?q=teapot'>"), ("index", "<Index products-7>")],
    },
    Place {
        path: "catalog/index.py",
        line: 64,
        function: "Index.query",
        from: 60,
        source: &[
            "    def query(self, words, facets):",
            "        answer = self.ask(words, facets, limit=LIMIT)",
            "        if answer is not None:",
            "            return answer",
            "        raise TimeoutError(f\"index did not answer within {LIMIT} s\")",
        ],
        locals: &[("words", "['teapot']"), ("facets", "{'colour': None, 'price': (0, 40)}"), ("answer", "None")],
    },
    Place {
        path: "catalog/imports.py",
        line: 112,
        function: "update_prices",
        from: 110,
        source: &["    for row in rows:", "        product = Product(sku=row.sku, price=row.price)", "        product.save()", "        seen.add(row.sku)"],
        locals: &[("row", "Row(sku='teapot-3', price=Decimal('34.00'))"), ("seen", "{…212}")],
    },
    Place {
        path: "payment/gateway.py",
        line: 57,
        function: "authorise",
        from: 55,
        source: &[
            "    try:",
            "        answer = gateway.post(\"/authorise\", order.as_request(), timeout=LIMIT)",
            "        answer.raise_for_status()",
            "    except Timeout as error:",
            "        raise TimeoutError(f\"payment gateway did not answer within {LIMIT} s\") from error",
        ],
        locals: &[("order", "<Order 20931>"), ("api_token", "'live_0192'")],
    },
    Place {
        path: "orders/tasks.py",
        line: 23,
        function: "send_receipt",
        from: 21,
        source: &["@task(retries=3)", "def send_receipt(order_id):", "    receipt(order_id).send()"],
        locals: &[("order_id", "20931")],
    },
    Place { path: "stores/views.py", line: 19, function: "map", from: 19, source: &[], locals: &[] },
];

/// How one issue comes about.
#[derive(Default)]
struct Story {
    /// The traceback whose frames it has; else those of any request.
    traceback: Option<&'static str>,
    /// The shop's own code where there is no traceback, outermost first: path and line.
    own: &'static [(&'static str, u32)],
    /// What led there: type and value.
    cause: Option<(&'static str, &'static str)>,
    method: &'static str,
    path: &'static str,
}

fn story(row: &Row) -> Story {
    let get = Story { method: "GET", path: "/", ..Story::default() };
    match row.short_id.as_str() {
        "SHOP-4K2" => Story { traceback: Some(BASKET), path: "/api/basket/", ..get },
        "SHOP-4KX" => Story { traceback: Some(SEARCH), path: "/search/", ..get },
        "SHOP-3ZQ" => {
            Story { traceback: Some(SEARCH), cause: Some(("QueryCanceled", "canceling statement due to statement timeout")), path: "/search/", ..get }
        }
        "SHOP-31C" => Story { own: &[("catalog/imports.py", 112)], cause: Some(("UniqueViolation", "Key (sku)=(teapot-3) already exists.")), ..get },
        "SHOP-41B" => Story {
            own: &[("payment/gateway.py", 57)],
            cause: Some(("ReadTimeout", "HTTPSConnectionPool(host='pay.example', port=443): Read timed out.")),
            method: "POST",
            path: "/checkout/",
            ..get
        },
        "SHOP-2XA" => Story { own: &[("orders/tasks.py", 23)], path: "", ..get },
        "SHOP-2ZT" => Story { own: &[("basket/vouchers.py", 31)], method: "POST", path: "/api/basket/voucher/", ..get },
        "SHOP-1QD" => Story { own: &[("stores/views.py", 19)], path: "/stores/map/", ..get },
        _ => Story { path: "", ..get },
    }
}

/// The id of an issue's event of this number, counted from one.
fn id(row: &Row, number: u64) -> String {
    format!("{:016x}{number:016x}", row.id)
}

/// The number of the event that this names: `latest`, `oldest`, or an id.
pub fn number(row: &Row, which: &str) -> Option<u64> {
    match which {
        "latest" | "recommended" => Some(row.events),
        "oldest" => Some(1),
        _ => (1..=row.events).find(|number| id(row, *number) == which),
    }
}

fn server(row: &Row, number: u64) -> &'static str {
    if dice::roll(row.id + number) % 100 < 51 { "web1" } else { "web2" }
}

const fn session(number: u64) -> &'static str {
    if number.is_multiple_of(NEWER_SESSION) { "from after the deploy" } else { "from before the deploy" }
}

fn frame(path: &str, line: u32, function: &str, code: &str) -> Value {
    let own = path.strip_prefix(HOME).filter(|path| !path.starts_with("venv/"));
    let filename = own.or_else(|| path.split_once(LIBRARIES).map(|(_, rest)| rest)).unwrap_or_else(|| path.rsplit('/').next().unwrap_or(path));
    let module = filename.trim_end_matches(".py").replace('/', ".");
    let place = PLACES.iter().find(|place| own == Some(place.path) && place.line == line);
    let context: Vec<Value> = match place {
        Some(place) => place.source.iter().zip(place.from..).map(|(text, number)| json!([number, text])).collect(),
        None if code.is_empty() => Vec::new(),
        None => vec![json!([line, format!("    {code}")])],
    };
    let vars: serde_json::Map<String, Value> =
        place.map_or(&[][..], |place| place.locals).iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
    json!({
        "filename": filename, "absPath": path, "module": module, "function": place.map_or(function, |place| place.function), "lineNo": line, "colNo": null,
        "inApp": own.is_some(), "context": context, "vars": if vars.is_empty() { Value::Null } else { Value::Object(vars) }, "package": null,
        "platform": "python", "errors": null
    })
}

/// The frames of a traceback, outermost first.
fn frames(traceback: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut lines = traceback.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((path, rest)) = line.trim().strip_prefix("File \"").and_then(|rest| rest.split_once("\", line ")) else { continue };
        let (number, function) = rest.split_once(", in ").unwrap_or((rest, ""));
        let code = lines.peek().map_or("", |code| code.trim());
        all.push(frame(path, number.parse().unwrap_or(0), function, code));
    }
    all
}

fn stacktrace(story: &Story) -> Value {
    let frames = match story.traceback {
        Some(traceback) => frames(traceback),
        None => {
            let outer: Vec<Value> = if story.path.is_empty() { Vec::new() } else { frames(BASKET).into_iter().take(OUTER).collect() };
            outer.into_iter().chain(story.own.iter().map(|(path, line)| frame(&format!("{HOME}{path}"), *line, "", ""))).collect()
        }
    };
    json!({"frames": frames, "framesOmitted": null, "hasSystemFrames": true, "registers": null})
}

/// One event of an issue, in the server's shape; `version` is what was deployed then.
pub fn event(row: &Row, number: u64, version: &str, now: Timestamp) -> Value {
    let story = story(row);
    let before = row.events.saturating_sub(number);
    let span = row.first.saturating_sub(row.last).as_millis() as u64 / row.events.max(1);
    let at = now - row.last - std::time::Duration::from_millis(before.saturating_mul(span));
    let ago = |ms: i64| (at - chrono::TimeDelta::milliseconds(ms)).to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    let url = format!("https://shop.example{}", story.path);
    let mut values = Vec::new();
    if let Some((kind, value)) = story.cause {
        let inner: Vec<Value> = story.own.iter().map(|(path, line)| frame(&format!("{HOME}{path}"), *line, "", "")).collect();
        values.push(json!({"type": kind, "value": value, "module": null, "mechanism": {"type": "chained", "handled": row.handled, "source": "__cause__",
            "exception_id": 1, "parent_id": 0}, "stacktrace": {"frames": inner}, "rawStacktrace": null}));
    }
    values.push(
        json!({"type": row.kind, "value": row.value, "module": null, "mechanism": {"type": "django", "handled": row.handled}, "stacktrace": stacktrace(&story),
        "rawStacktrace": null}),
    );
    let mut entries = vec![json!({"type": "exception", "data": {"values": values, "hasSystemFrames": true, "excOmitted": null}})];
    if !story.path.is_empty() {
        entries.push(json!({"type": "breadcrumbs", "data": {"values": [
            {"timestamp": ago(4_100), "type": "http", "category": "http", "level": "info", "message": null, "data": {"method": "GET", "url": "/session/", "status_code": 200}},
            {"timestamp": ago(210), "type": "default", "category": "query", "level": "info", "message": "SELECT sku, count FROM basket_line WHERE basket_id = %s", "data": null},
            {"timestamp": ago(20), "type": "default", "category": "basket", "level": "info", "message": format!("basket {} loaded", 7_000 + number), "data": null}]}}));
        entries.push(json!({"type": "request", "data": {"method": story.method, "url": url, "query": [], "data": null,
            "headers": [["Accept", "application/json"], ["Cookie", "sessionid=demonstration"], ["Host", "shop.example"], ["User-Agent", "Mozilla/5.0 Firefox/128"]],
            "cookies": [["sessionid", "demonstration"]], "env": {}}}));
    }
    json!({
        "eventID": id(row, number), "id": id(row, number), "groupID": row.id.to_string(), "projectID": "41", "title": format!("{}: {}", row.kind, row.value),
        "message": "", "culprit": row.culprit, "location": null, "platform": "python", "type": "error", "dateCreated": rfc3339(at), "dateReceived": rfc3339(at),
        "user": {"id": (number % row.users.max(1) + 1).to_string(), "email": "visitor@shop.example"},
        "tags": [{"key": "environment", "value": "demonstration"}, {"key": "release", "value": version}, {"key": "server_name", "value": server(row, number)},
            {"key": "session", "value": session(number)}, {"key": "browser", "value": "Firefox 128"}, {"key": "user", "value": "id:7"}],
        "contexts": {"runtime": {"name": "CPython", "version": "3.11.9", "type": "runtime"}, "browser": {"name": "Firefox", "version": "128", "type": "browser"}},
        "context": {}, "packages": {}, "sdk": {"name": "sentry.python.django", "version": "2.30.0"},
        "entries": entries, "release": {"version": version}, "errors": [],
        "nextEventID": (number < row.events).then(|| id(row, number + 1)), "previousEventID": (number > 1).then(|| id(row, number - 1))
    })
}

/// How the tags are spread over all events of an issue.
pub fn tags(row: &Row, version: &str) -> Value {
    let spread = |key: &str, values: Vec<(&str, u64)>| {
        let total: u64 = values.iter().map(|(_, count)| count).sum();
        let top: Vec<Value> =
            values.iter().filter(|(_, count)| *count > 0).map(|(value, count)| json!({"key": key, "name": value, "value": value, "count": count})).collect();
        json!({"key": key, "name": key, "totalValues": total, "uniqueValues": top.len(), "topValues": top})
    };
    let all = row.events;
    let newer = all / NEWER_SESSION;
    let first = (1..=all.min(5_000)).filter(|number| server(row, *number) == "web1").count() as u64;
    Value::Array(vec![
        spread("release", vec![(version, all)]),
        spread("server_name", vec![("web1", first), ("web2", all.saturating_sub(first))]),
        spread("session", vec![("from before the deploy", all - newer), ("from after the deploy", newer)]),
        spread("browser", vec![("Firefox 128", all)]),
        spread("user", vec![("id:7", all)]),
    ])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::demo::issues;
    use crate::sources::sentry::event::{of_value, spread};

    #[test]
    fn every_event_has_its_neighbours_and_leads_to_a_line() {
        let now = crate::io::clock::now();
        for row in issues::rows(Duration::from_secs(40)) {
            let latest = event(&row, row.events, "v214", now);
            assert_eq!(number(&row, latest["id"].as_str().unwrap()), Some(row.events));
            let read = of_value(&latest);
            let (exception, frame) = read.place().unwrap();
            assert!(read.exceptions[exception].frames[frame].in_app, "{}", row.short_id);
            assert_eq!((read.next, read.exceptions[0].kind.as_str()), (None, row.kind.as_str()));
            if let Some(previous) = read.previous {
                let before = of_value(&event(&row, number(&row, &previous).unwrap(), "v214", now));
                assert!(before.at <= read.at && before.next == Some(read.id), "{}", row.short_id);
            }
        }
    }

    #[test]
    fn the_story_is_told_to_the_line() {
        let row = issues::rows(Duration::from_secs(48)).into_iter().find(|row| row.short_id == "SHOP-4K2").unwrap();
        let read = of_value(&event(&row, row.events, "v214", crate::io::clock::now()));
        let frame = &read.exceptions[0].frames[0];
        assert_eq!(frame.place(), "basket/pricing.py:88");
        assert!(frame.source.contains(&(88, "    currency = self.session[\"basket\"][\"currency\"]".to_owned())));
        assert_eq!((frame.locals.len(), read.exceptions[0].frames.len()), (3, 17));
        let spread = spread(tags(&row, "v214").to_string().as_bytes()).unwrap();
        let session = spread.iter().find(|tag| tag.key == "session").unwrap();
        assert!(session.values[0].1 * 10 > session.total * 9, "{session:?}");
    }
}
