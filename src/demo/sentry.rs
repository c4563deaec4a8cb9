//! A stand-in for an error tracker, as strict as the real ones: Sentry's API as far as rounds asks it, and where GlitchTip and
//! old Sentry servers differ. The demonstration's tracker, and that of the source's tests.
//!
//! What does not belong here: which issues there are (`issues`), and what rounds makes of the answers (`sources::sentry`).
//!
//! Facts: Sentry's OpenAPI document and its `api/base.py` (paging), `api/exceptions.py` (details of refusals),
//! `middleware/ratelimit.py` (the 429 is a bare JSON string); GlitchTip's sources.

mod lists;
mod serving;

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use hyper::Method;
use serde_json::{Value, json};

pub use self::serving::serve;
use super::beside;
use super::changes::{self, Edit};
use super::issues::{self, Row, Standing};
use super::occurrences;
use crate::domain::Timestamp;

/// The demonstration's organization and project.
pub const ORGANIZATION: &str = "acme";
/// The project's slug, and its number.
pub const PROJECT: &str = "shop";
pub(super) const PROJECT_ID: &str = "41";
/// The demonstration's token; it opens nothing but this stand-in.
pub const TOKEN: &str = "sntryu_demonstration";
/// What a token that may do all has.
pub const SCOPES: [&str; 4] = ["org:read", "project:read", "event:read", "event:write"];

/// Which server it is like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Flavour {
    /// Sentry as it is.
    #[default]
    Sentry,
    /// A Sentry of years ago: projects by number only, no substatus, no events below the organization.
    OldSentry,
    /// GlitchTip.
    GlitchTip,
}

/// How the stand-in is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// Which server it is like.
    pub flavour: Flavour,
    /// Tokens with their scopes.
    pub tokens: Vec<(String, Vec<&'static str>)>,
    /// Further issues, to have several pages.
    pub crowd: u64,
    /// Whether every third issue is dropped after the page was cut, as the real server does, so that pages are short.
    pub gaps: bool,
    /// Requests to each endpoint in one window of two seconds; the headers that tell of it come only with it.
    pub allowance: Option<u32>,
    /// What the organization says its region is.
    pub region: Option<String>,
    /// No project can be seen with any token.
    pub blind: bool,
    /// The page of the list, counted from one, that fails.
    pub broken_page: Option<usize>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            flavour: Flavour::Sentry,
            tokens: vec![(TOKEN.to_owned(), SCOPES.to_vec())],
            crowd: 0,
            gaps: false,
            allowance: None,
            region: None,
            blind: false,
            broken_page: None,
        }
    }
}

/// One request as it came, for tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    /// Whether it had a token.
    pub with_token: bool,
    /// The body.
    pub body: String,
}

/// What was changed through the API.
#[derive(Debug, Clone, Copy)]
struct Changed {
    standing: Standing,
    /// The issue's events when it was changed: more of them bring it back.
    events: u64,
}

#[derive(Debug, Default)]
struct State {
    changed: HashMap<u64, Changed>,
    /// Who has been given an issue.
    given: HashMap<u64, Option<&'static str>>,
    windows: HashMap<String, (Instant, u32)>,
    seen: VecDeque<Seen>,
}

/// The stand-in.
#[derive(Debug)]
pub struct Tracker {
    setup: Setup,
    state: Mutex<State>,
}

/// One request, whatever carried it.
struct Ask<'a> {
    method: &'a Method,
    path: &'a str,
    query: Vec<(String, String)>,
    token: Option<&'a str>,
    body: &'a [u8],
}

impl Ask<'_> {
    fn first(&self, key: &str) -> Option<&str> {
        self.query.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

/// One answer.
#[derive(Debug)]
struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Option<Value>,
}

impl Reply {
    fn of(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), body: Some(body) }
    }

    fn detail(status: u16, detail: &str) -> Self {
        Self::of(status, json!({ "detail": detail }))
    }

    fn told(told: Result<Value, beside::Refused>) -> Self {
        told.map_or_else(|(status, detail)| Self::detail(status, detail), |body| Self::of(200, body))
    }

    fn gone() -> Self {
        Self::detail(404, "The requested resource does not exist")
    }
}

impl Tracker {
    /// A stand-in that nobody has asked yet.
    pub fn new(setup: Setup) -> Self {
        Self { setup, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The requests that came, oldest first.
    pub fn seen(&self) -> Vec<Seen> {
        self.state().seen.iter().cloned().collect()
    }

    /// The issues at `t`, with what was changed.
    fn rows(&self, t: Duration) -> Vec<Row> {
        let state = self.state();
        let mut rows = issues::rows(t);
        rows.extend(issues::crowd(self.setup.crowd));
        for row in &mut rows {
            if let Some(changed) = state.changed.get(&row.id) {
                let more = row.events > changed.events;
                row.standing = if more && changed.standing == Standing::Resolved { Standing::Regressed } else { changed.standing };
            }
            if let Some(who) = state.given.get(&row.id) {
                row.assignee = *who;
            }
        }
        rows
    }

    /// Answers one request at `t` of the story.
    fn answer(&self, ask: &Ask<'_>, t: Duration, now: Timestamp) -> Reply {
        if ask.path == "/api/settings/" && self.setup.flavour == Flavour::GlitchTip {
            return Reply::of(
                200,
                json!({"socialApps": [], "billingEnabled": false, "iPaidForGlitchTip": false, "enableUserRegistration": true, "version": "5.1.0"}),
            );
        }
        let below = ask.path.strip_prefix("/api/0/");
        let Some(path) = below.and_then(|path| if path.is_empty() { Some(path) } else { path.strip_suffix('/') }) else { return Reply::gone() };
        let Some(token) = ask.token else { return Reply::detail(401, "Authentication credentials were not provided.") };
        let Some((_, scopes)) = self.setup.tokens.iter().find(|(known, _)| known == token) else { return Reply::detail(401, "Invalid token") };
        let parts: Vec<&str> = path.split('/').collect();
        let get = *ask.method == Method::GET;
        if let ["organizations", organization, ..] = parts.as_slice()
            && *organization != ORGANIZATION
        {
            return Reply::gone();
        }
        let mut limits = Vec::new();
        if let Some(allowance) = self.setup.allowance {
            match self.count(&format!("{} {}", ask.method, parts.last().unwrap_or(&"")), allowance, now) {
                Ok(headers) => limits = headers,
                Err(reply) => return reply,
            }
        }
        let scope = match parts.as_slice() {
            [""] | ["organizations", _] | ["organizations", _, "monitors" | "stats_v2" | "teams", ..] => "org:read",
            ["organizations", _, "releases", ..] => "project:read",
            ["organizations", _, "projects"] => "project:read",
            _ if get => "event:read",
            _ => "event:write",
        };
        if parts.as_slice() != [""] && !scopes.contains(&scope) {
            return Reply::detail(403, "You do not have permission to perform this action.");
        }
        let flavour = self.setup.flavour;
        let mut reply = match parts.as_slice() {
            ["organizations", _] if get => {
                let region = self.setup.region.as_ref().map_or_else(|| json!({}), |region| json!({"organizationUrl": region, "regionUrl": region}));
                Reply::of(200, json!({"id": "1", "slug": ORGANIZATION, "links": region}))
            }
            ["organizations", _, "projects"] if get && self.setup.blind => Reply::of(200, json!([])),
            ["organizations", _, "projects"] if get => {
                Reply::of(200, json!([{"id": "40", "slug": "blog", "name": "Blog"}, {"id": PROJECT_ID, "slug": PROJECT, "name": "Shop"}]))
            }
            // Who asks, and what may be done; not every server tells it.
            [""] if get && flavour == Flavour::Sentry => {
                Reply::of(200, json!({"version": "0", "auth": {"scopes": scopes}, "user": {"id": "7", "username": "ana"}}))
            }
            [""] if get => Reply::of(200, json!({"version": "0", "auth": null, "user": null})),
            ["organizations", _, "releases"] if get => Reply::told(beside::releases(&ask.query, t, now)),
            ["organizations", _, "releases", version, "deploys"] if get && flavour != Flavour::GlitchTip => {
                Reply::told(beside::deploys_of(&unescaped(version), &ask.query, t, now))
            }
            ["organizations", _, "releases", version, "commits"] if get => Reply::told(beside::commits(&unescaped(version), &ask.query, now)),
            // Of another kind altogether.
            ["organizations", _, "monitors"] if get && flavour == Flavour::GlitchTip => Reply::of(
                200,
                json!([{"id": "1", "slug": "home", "name": "home", "monitorType": "GET", "isUp": false, "environments": [{"name": "x", "status": "error"}]}]),
            ),
            ["organizations", _, "monitors"] if get && flavour == Flavour::Sentry => Reply::told(beside::monitors(&ask.query, now)),
            ["organizations", _, "monitors", slug, "checkins"] if get && flavour == Flavour::Sentry => Reply::told(beside::checkins(slug, &ask.query, now)),
            ["organizations", _, "stats_v2"] if get && flavour == Flavour::GlitchTip => {
                Reply::of(422, json!({"detail": [{"loc": ["query", "start"], "msg": "Field required", "type": "missing"}]}))
            }
            ["organizations", _, "stats_v2"] if get && flavour == Flavour::Sentry => Reply::told(beside::outcomes(&ask.query)),
            ["organizations", _, "issues"] if get => self.list(ask, t, now),
            ["organizations", _, "issues"] if *ask.method == Method::PUT => self.change_several(ask, t),
            ["organizations", _, "shortids", name] if get => match self.rows(t).into_iter().find(|row| row.short_id == *name) {
                Some(row) => Reply::of(
                    200,
                    json!({"organizationSlug": ORGANIZATION, "projectSlug": PROJECT, "groupId": row.id.to_string(), "shortId": name, "group": self.issue(&row, now)}),
                ),
                None => Reply::gone(),
            },
            ["organizations", _, "teams"] if get => {
                let teams = changes::PEOPLE.iter().filter(|(kind, ..)| *kind == "team");
                Reply::of(200, teams.map(|(_, id, name)| json!({"id": id, "slug": name, "name": name})).collect())
            }
            ["organizations", _, "issues-stats"] if get && flavour == Flavour::GlitchTip => self.stats(ask, t, now),
            ["organizations", _, "issues", id] if *ask.method == Method::PUT => self.change(id, ask.body, t, now),
            ["organizations", _, "issues", id, what @ ..] if get && flavour == Flavour::Sentry => self.below(id, what, t, now),
            ["issues", id, what @ ..] if get => self.below(id, what, t, now),
            _ => Reply::gone(),
        };
        reply.headers.extend(limits);
        reply
    }

    /// Counts one request; the headers that tell of the window, or the refusal.
    fn count(&self, endpoint: &str, allowance: u32, now: Timestamp) -> Result<Vec<(&'static str, String)>, Reply> {
        const WINDOW: Duration = Duration::from_secs(2);
        let mut state = self.state();
        let window = state.windows.entry(endpoint.to_owned()).or_insert((Instant::now(), 0));
        if window.0.elapsed() >= WINDOW {
            *window = (Instant::now(), 0);
        }
        window.1 += 1;
        let left = WINDOW.saturating_sub(window.0.elapsed());
        let reset = now + TimeDelta::milliseconds(left.as_millis() as i64 + 999);
        let headers = vec![
            ("x-sentry-rate-limit-limit", allowance.to_string()),
            ("x-sentry-rate-limit-remaining", allowance.saturating_sub(window.1).to_string()),
            ("x-sentry-rate-limit-reset", reset.timestamp().to_string()),
        ];
        if window.1 > allowance {
            let words = format!("You are attempting to use this endpoint too frequently. Limit is {allowance} requests in 2 seconds");
            return Err(Reply { status: 429, headers, body: Some(Value::String(words)) });
        }
        Ok(headers)
    }

    fn one(&self, id: &str, t: Duration, now: Timestamp) -> Reply {
        let found = self.rows(t).into_iter().find(|row| row.id.to_string() == id);
        found.map_or_else(Reply::gone, |row| Reply::of(200, self.issue(&row, now)))
    }

    fn change(&self, id: &str, body: &[u8], t: Duration, now: Timestamp) -> Reply {
        let Some(row) = self.rows(t).into_iter().find(|row| row.id.to_string() == id) else { return Reply::gone() };
        match changes::read(body, self.setup.flavour == Flavour::GlitchTip) {
            Ok(edit) => {
                self.apply(&row, edit);
                self.one(id, t, now)
            }
            Err(complaint) => Reply::of(400, complaint),
        }
    }

    /// One change of the issues whose ids stand in the query, and of no others.
    fn change_several(&self, ask: &Ask<'_>, t: Duration) -> Reply {
        let ids: Vec<&str> = ask.query.iter().filter(|(key, _)| key == "id").map(|(_, id)| id.as_str()).collect();
        // Without ids this would change every issue there is; nobody may want that here.
        if ids.is_empty() || ids.len() != ask.query.len() || ids.len() > 1_000 {
            return Reply::detail(409, "A change of all issues at once");
        }
        let edit = match changes::read(ask.body, self.setup.flavour == Flavour::GlitchTip) {
            Ok(edit) => edit,
            Err(complaint) => return Reply::of(400, complaint),
        };
        // Ids that are not known are passed over in silence.
        let rows: Vec<Row> = self.rows(t).into_iter().filter(|row| ids.contains(&row.id.to_string().as_str())).collect();
        for row in &rows {
            self.apply(row, edit);
        }
        if rows.is_empty() {
            return Reply { status: 204, headers: Vec::new(), body: None };
        }
        Reply::of(200, serde_json::from_slice(ask.body).unwrap_or_default())
    }

    fn apply(&self, row: &Row, edit: Edit) {
        let mut state = self.state();
        match edit {
            Edit::Standing(standing) => {
                state.changed.insert(row.id, Changed { standing, events: row.events });
            }
            Edit::Assign(who) => {
                state.given.insert(row.id, who);
            }
            // A new one is known then.
            Edit::Reviewed if row.standing == Standing::New => {
                state.changed.insert(row.id, Changed { standing: Standing::Ongoing, events: row.events });
            }
            Edit::Reviewed => {}
        }
    }

    /// One event of an issue, the spread of its tags, or the issue itself.
    fn below(&self, id: &str, what: &[&str], t: Duration, now: Timestamp) -> Reply {
        let Some(row) = self.rows(t).into_iter().find(|row| row.id.to_string() == id) else { return Reply::gone() };
        let version = version_at(t.saturating_sub(row.last));
        match what {
            [] => {
                let mut issue = self.issue(&row, now);
                if let Value::Object(fields) = &mut issue {
                    fields.insert("firstRelease".to_owned(), json!({"version": version_at(t.saturating_sub(row.first))}));
                }
                Reply::of(200, issue)
            }
            ["tags"] => Reply::of(200, occurrences::tags(&row, &version)),
            ["events", which] => match occurrences::number(&row, which) {
                Some(number) => Reply::of(200, occurrences::event(&row, number, &version, now)),
                None => Reply::gone(),
            },
            _ => Reply::gone(),
        }
    }
}

/// What was deployed at `t`.
fn version_at(t: Duration) -> String {
    let deploys = super::script::deploys(Duration::ZERO, t);
    deploys.into_iter().rev().find(|deploy| deploy.site == PROJECT).map_or_else(|| "v213".to_owned(), |deploy| deploy.version)
}

/// A part of a path as it was meant.
fn unescaped(part: &str) -> String {
    let text = part.replace('+', "%2B");
    url::form_urlencoded::parse(text.as_bytes()).next().map_or_else(String::new, |(decoded, _)| decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::clock;

    fn ask(tracker: &Tracker, method: &Method, target: &str, token: Option<&str>, body: &str, t: u64) -> (u16, Value, String) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let reply = tracker.answer(&Ask { method, path, query, token, body: body.as_bytes() }, Duration::from_secs(t), clock::now());
        let link = reply.headers.iter().find(|(name, _)| *name == "link").map(|(_, value)| value.clone()).unwrap_or_default();
        (reply.status, reply.body.unwrap_or_default(), link)
    }

    #[test]
    fn it_is_strict() {
        let tracker = Tracker::new(Setup { tokens: vec![(TOKEN.to_owned(), SCOPES.to_vec()), ("reader".to_owned(), vec!["event:read"])], ..Setup::default() });
        let list = "/api/0/organizations/acme/issues/";
        for (method, target, token, status) in [
            (Method::GET, list, Some(TOKEN), 200),
            (Method::GET, "/api/0/organizations/acme/issues", Some(TOKEN), 404),
            (Method::GET, list, None, 401),
            (Method::GET, list, Some("other"), 401),
            (Method::GET, "/api/0/organizations/acme/projects/", Some("reader"), 403),
            (Method::GET, "/api/0/organizations/other/issues/", Some(TOKEN), 404),
            (Method::GET, "/api/0/organizations/acme/issues/?limit=101", Some(TOKEN), 400),
            (Method::GET, "/api/0/organizations/acme/issues/?per_page=5", Some(TOKEN), 400),
            (Method::GET, "/api/0/organizations/acme/issues/?statsPeriod=soon", Some(TOKEN), 400),
            (Method::GET, "/api/0/organizations/acme/issues/?cursor=x", Some(TOKEN), 400),
            (Method::PUT, list, Some(TOKEN), 409),
            (Method::PUT, "/api/0/organizations/acme/issues/?query=is%3Aunresolved", Some(TOKEN), 409),
            (Method::PUT, "/api/0/organizations/acme/issues/?id=1", Some(TOKEN), 204),
            (Method::PUT, "/api/0/organizations/acme/issues/?id=5466&id=5401", Some(TOKEN), 200),
            (Method::PUT, "/api/0/organizations/acme/issues/5466/", Some("reader"), 403),
            (Method::PUT, "/api/0/organizations/acme/issues/1/", Some(TOKEN), 404),
            (Method::DELETE, "/api/0/organizations/acme/issues/5466/", Some(TOKEN), 404),
            (Method::GET, "/api/settings/", None, 404),
        ] {
            assert_eq!(ask(&tracker, &method, target, token, "{\"status\":\"resolved\"}", 0).0, status, "{method} {target}");
        }
        for body in ["", "[]", "{}", "{\"status\":\"gone\"}", "{\"status\":\"resolved\",\"discard\":true}"] {
            assert_eq!(ask(&tracker, &Method::PUT, "/api/0/organizations/acme/issues/5466/", Some(TOKEN), body, 0).0, 400, "{body}");
        }
    }

    #[test]
    fn a_change_is_seen_in_the_next_list() {
        let tracker = Tracker::new(Setup::default());
        let ids = |search: &str, t: u64| {
            let (_, body, _) = ask(&tracker, &Method::GET, &format!("/api/0/organizations/acme/issues/?query={search}"), Some(TOKEN), "", t);
            body.as_array().unwrap().iter().map(|issue| issue["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let put = |id: &str, body: &str, t: u64| ask(&tracker, &Method::PUT, &format!("/api/0/organizations/acme/issues/{id}/"), Some(TOKEN), body, t).0;
        assert!(ids("is:unresolved", 0).contains(&"5466".to_owned()));
        assert_eq!(put("5466", "{\"status\":\"resolved\"}", 0), 200);
        assert!(!ids("is:unresolved", 0).contains(&"5466".to_owned()));
        assert!(ids("is:resolved", 0).contains(&"5466".to_owned()));
        // What goes on after it was resolved is back.
        assert_eq!(put("5512", "{\"status\":\"resolved\"}", 30), 200);
        assert!(!ids("is:unresolved", 30).contains(&"5512".to_owned()));
        assert!(ids("is:regressed", 40).contains(&"5512".to_owned()));
    }

    #[test]
    fn pages_are_linked_and_may_be_short() {
        let tracker = Tracker::new(Setup { crowd: 20, gaps: true, ..Setup::default() });
        let (_, body, link) = ask(&tracker, &Method::GET, "/api/0/organizations/acme/issues/?limit=10", Some(TOKEN), "", 0);
        assert!(body.as_array().unwrap().len() < 10);
        assert!(link.contains("rel=\"next\"; results=\"true\"; cursor=\"0:10:0\"") && link.contains("rel=\"previous\"; results=\"false\""), "{link}");
    }
}
