//! The source against a strict stand-in and against the contract's faults, over real sockets.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::super::contract::{self, Faulty, Page, SECRET, Server, kind_of};
use super::super::{Cadence, Collected, Common, Source};
use super::client::period_text;
use super::*;
use crate::demo::sentry::{Flavour, Seen, Setup, TOKEN, Tracker, serve};
use crate::domain::{CronState, Data, ErrorKind, Issue, IssueState, Issues, SourceId};
use crate::io::clock;

/// A stand-in that serves, and where.
pub(super) struct Place {
    tracker: Arc<Tracker>,
    address: SocketAddr,
}

impl Place {
    pub(super) fn of(setup: Setup) -> Self {
        Self::at(setup, Duration::from_secs(30))
    }

    /// At this time of the demonstration's story.
    fn at(setup: Setup, t: Duration) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let tracker = Arc::new(Tracker::new(setup));
        // Ends with the test's runtime.
        tokio::spawn(serve(listener, Arc::clone(&tracker), move || t));
        Self { tracker, address }
    }

    pub(super) fn built(&self, keys: &str) -> Built {
        built(&format!("url = \"http://{}\"\n{keys}", self.address)).unwrap()
    }

    pub(super) async fn examined(&self, keys: &str) -> Vec<Examined> {
        config(&format!("url = \"http://{}\"\n{keys}", self.address)).examine(&context()).await
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.tracker.seen()
    }

    /// Method and path of what was asked, without the query.
    fn asked(&self) -> Vec<String> {
        self.seen().iter().map(|seen| format!("{} {}", seen.method, seen.target.split('?').next().unwrap())).collect()
    }
}

pub(super) const KEYS: &str = "organization = \"acme\"\nproject = \"shop\"\ntoken = \"sntryu_demonstration\"";

fn context() -> BuildContext {
    BuildContext {
        id: SourceId::parse("shop/sentry/errors").unwrap(),
        common: Common { timeout: Some(Duration::from_secs(10)), ..Common::default() },
        base: std::env::temp_dir(),
        trusted: true,
        zone: None,
        cache: None,
        state: None,
    }
}

fn config(keys: &str) -> Config {
    toml::from_str(keys).unwrap_or_else(|error| panic!("{keys}: {error}"))
}

fn built(keys: &str) -> Result<Built, SourceError> {
    let config = config(keys);
    assert_eq!(config.check(), [], "{keys}");
    config.build(&context())
}

/// All parts of one poll, one after the other; what the last of them says of each sort, with the issues of all.
async fn whole(source: &mut Box<dyn Source>) -> Collected {
    let mut all: Option<Collected> = None;
    for _ in 0..200 {
        let mut part = source.collect().await.unwrap();
        if let Some(known) = all.take() {
            let fresh: std::collections::HashSet<String> = issues(&part).items.iter().map(|issue| issue.id.clone()).collect();
            let more = issues(&part).from > 0;
            let Data::Issues(last) = &mut part.observations[0].data else { panic!("{part:?}") };
            if more {
                last.items.extend(issues(&known).items.iter().filter(|issue| !fresh.contains(&issue.id)).cloned());
                part.observations.extend(known.observations.into_iter().skip(1));
            }
        }
        all = Some(part);
        if source.cadence() != Cadence::More {
            break;
        }
    }
    all.unwrap()
}

fn issues(collected: &Collected) -> &Issues {
    let Some(Data::Issues(issues)) = collected.observations.first().map(|observation| &observation.data) else { panic!("no issues: {collected:?}") };
    issues
}

fn issue<'a>(collected: &'a Collected, short_id: &str) -> &'a Issue {
    issues(collected).items.iter().find(|issue| issue.short_id == short_id).unwrap_or_else(|| panic!("no {short_id}: {collected:?}"))
}

#[tokio::test]
async fn the_issues_of_a_project_are_read() {
    let place = Place::of(Setup::default());
    let mut built = place.built(KEYS);
    let collected = built.source.collect().await.unwrap();
    assert!(collected.complete && collected.problems.is_empty());
    let new = issue(&collected, "SHOP-4K2");
    assert_eq!((new.title.as_str(), new.state, new.unhandled), ("KeyError: 'currency'", IssueState::New, Some(true)));
    assert_eq!((new.events, new.users), (144, Some(21)));
    assert_eq!((new.hours.len(), new.hours.iter().sum::<u64>()), (24, 144));
    assert_eq!(issue(&collected, "SHOP-31C").state, IssueState::Regressed);
    assert_eq!((issues(&collected).total, issues(&collected).server.as_str()), (5, "sentry"));
    // What stands beside comes after it, once; what was found out once is not asked again.
    assert_eq!(built.source.cadence(), Cadence::More);
    let list = "GET /api/0/organizations/acme/issues/";
    let beside = built.source.collect().await.unwrap();
    assert_eq!((built.source.cadence(), beside.complete, issues(&beside).items.len()), (Cadence::Every(EVERY), true, 5));
    let asked = place.asked();
    assert_eq!(asked[..3], ["GET /api/settings/", "GET /api/0/organizations/acme/", list]);
    let below: Vec<&str> = asked[3..].iter().map(|asked| asked.trim_start_matches("GET /api/0/organizations/acme/")).collect();
    let jobs = ["projects/", "monitors/", "monitors/sync-prices/checkins/", "stats_v2/"];
    assert_eq!(below, [&jobs[..], &["releases/", "releases/shop@v214/commits/", "issues/", "releases/shop@v213/commits/"]].concat());
    built.source.collect().await.unwrap();
    assert_eq!(place.asked().last().unwrap(), list);
    assert_eq!((place.asked().len(), built.source.cadence()), (asked.len() + 1, Cadence::Every(EVERY)));
    let seen = place.seen();
    assert_eq!(seen.iter().map(|seen| seen.with_token).collect::<Vec<_>>()[..3], [false, true, true]);
    assert!(seen[2].target.contains("query=is%3Aunresolved&limit=100&project=shop&statsPeriod=24h&groupStatsPeriod=24h&collapse=filtered"), "{:?}", seen[2]);
}

fn beside<T>(collected: &Collected, of: impl Fn(&Data) -> Option<&T>) -> &T {
    collected.observations.iter().find_map(|observation| of(&observation.data)).unwrap_or_else(|| panic!("{collected:?}"))
}

#[tokio::test]
async fn what_stands_beside_the_issues_is_read() {
    // The deploy of v214 was sixteen seconds after the start.
    let place = Place::at(Setup::default(), Duration::from_secs(40));
    let mut built = place.built(KEYS);
    let all = whole(&mut built.source).await;
    assert_eq!(all.problems, []);
    let releases = beside(&all, |data| if let Data::Release(releases) = data { Some(releases) } else { None });
    let newest = &releases.items[0];
    assert_eq!((newest.version.as_str(), newest.said(), newest.commits.len(), newest.new_issues), ("shop@v214", "v214", 2, 1));
    assert_eq!((newest.commits[0].title.as_str(), newest.commits[0].author.as_deref()), ("Prices in the customer's currency", Some("mara")));
    assert_eq!(newest.issues[0].short_id, "SHOP-4K2");
    let (runs, since) = releases.in_force(Some("production")).unwrap();
    assert_eq!((runs.said(), (clock::now() - since).num_seconds().abs_diff(24) < 15), ("v214", true));
    assert_eq!(issue(&all, "SHOP-4K2").first_release.as_deref(), Some("v214"));
    assert_eq!(issue(&all, "SHOP-31C").first_release, None);
    let crons = beside(&all, |data| if let Data::Crons(crons) = data { Some(crons) } else { None });
    let bad: Vec<_> = crons.bad().map(|(cron, run)| (cron.slug.as_str(), run.environment.as_str(), run.state, run.bad)).collect();
    assert_eq!(bad, [("sync-prices", "production", CronState::Missed, 1)], "neither the muted nor the switched off");
    let intake = beside(&all, |data| if let Data::Intake(intake) = data { Some(intake) } else { None });
    assert_eq!((intake.accepted, intake.lost(), intake.filtered(), intake.of.as_str()), (12_410, 386, 1_204, "shop"));
    // Taken back: what ran before runs again, by its second deploy.
    let place = Place::at(Setup::default(), Duration::from_secs(60));
    let all = whole(&mut place.built(KEYS).source).await;
    let releases = beside(&all, |data| if let Data::Release(releases) = data { Some(releases) } else { None });
    assert_eq!(releases.in_force(None).unwrap().0.said(), "v213");
    assert!(place.asked().contains(&"GET /api/0/organizations/acme/releases/shop@v213/deploys/".to_owned()));
}

#[tokio::test]
async fn what_may_not_be_seen_is_told_once_and_what_is_not_there_never() {
    let reader = Setup { tokens: vec![(TOKEN.to_owned(), vec!["event:read", "project:read"])], ..Setup::default() };
    let place = Place::of(reader);
    let mut built = place.built(KEYS);
    let all = whole(&mut built.source).await;
    assert_eq!(issues(&all).items.len(), 5, "the list stays");
    let subjects: Vec<&str> = all.problems.iter().map(|problem| problem.subject.as_str()).collect();
    assert_eq!(subjects, ["cron monitors", "events that were not kept"]);
    assert!(all.problems[0].message.contains("it needs org:read (403)"), "{:?}", all.problems);
    let before = place.asked().len();
    assert_eq!(whole(&mut built.source).await.problems, []);
    assert_eq!(place.asked().len(), before + 1, "and not asked for again");
    for flavour in [Flavour::OldSentry, Flavour::GlitchTip] {
        let place = Place::of(Setup { flavour, ..Setup::default() });
        let all = whole(&mut place.built(KEYS).source).await;
        assert_eq!(all.problems, [], "{flavour:?}");
        assert!(all.observations.iter().all(|observation| !matches!(observation.data, Data::Crons(_) | Data::Intake(_))), "{flavour:?}");
    }
    let tip = Place::of(Setup { flavour: Flavour::GlitchTip, ..Setup::default() });
    whole(&mut tip.built(KEYS).source).await;
    assert!(tip.asked().iter().all(|asked| !asked.contains("monitors") && !asked.contains("stats_v2") && !asked.contains("deploys")), "{:?}", tip.asked());
}

#[tokio::test]
async fn saved_queries_are_lists_of_their_own() {
    let keys = format!(
        "{KEYS}\nsort = \"freq\"\n[queries]\narchived = \"is:archived\"\nunhandled = \"is:unresolved error.unhandled:true\"\nwrong = \"no-such-thing\""
    );
    let place = Place::of(Setup::default());
    let mut built = place.built(&keys);
    let all = whole(&mut built.source).await;
    let saved: Vec<_> = issues(&all).saved.iter().map(|saved| (saved.name.as_str(), saved.total, saved.items.len())).collect();
    assert_eq!(saved, [("archived", 1, 1), ("unhandled", 2, 2), ("wrong", 0, 0)]);
    assert_eq!(issues(&all).saved[0].items[0].short_id, "SHOP-1QD");
    assert!(issues(&all).items.iter().all(|issue| issue.short_id != "SHOP-1QD"), "it is not mixed into the list");
    assert_eq!(issues(&all).find("5032").unwrap().state, IssueState::Archived);
    assert!(built.service.unwrap().offers(&key("5032")).iter().any(|offer| offer.id == "unresolve"));
    let targets: Vec<String> = place.seen().into_iter().map(|seen| seen.target).filter(|target| target.contains("/issues/?")).collect();
    assert!(targets[0].contains("&sort=freq") && targets.iter().any(|target| target.contains("query=is%3Aarchived&")), "{targets:?}");
    let problem = |keys: &str| config(&format!("organization = \"acme\"\n{keys}")).check().into_iter().map(|one| one.path.join(".")).collect::<Vec<_>>();
    assert_eq!(problem("queries = { mine = \"assigned:me\" }"), Vec::<String>::new());
    assert_eq!(problem("queries = { \"My own\" = \"x\", b = \" \" }"), ["queries.My own", "queries.b"]);
    let many: Vec<String> = (0..9).map(|n| format!("q{n} = \"x\"")).collect();
    assert_eq!(problem(&format!("queries = {{ {} }}", many.join(", "))), ["queries"]);
}

#[tokio::test]
async fn ten_thousand_issues_come_in_parts_and_go_when_they_are_gone() {
    let place = Place::of(Setup { crowd: 12_000, ..Setup::default() });
    let mut built = place.built(KEYS);
    let first = built.source.collect().await.unwrap();
    assert_eq!((issues(&first).items.len(), issues(&first).total, first.complete), (100, 12_005, false));
    assert_eq!((built.source.cadence(), place.asked().len()), (Cadence::More, 3), "the first page is shown at once");
    let rest = built.source.collect().await.unwrap();
    assert_eq!((issues(&rest).items.len(), issues(&rest).from, rest.complete), (500, 0, false));
    let mut met: std::collections::HashSet<String> = issues(&rest).items.iter().map(|issue| issue.id.clone()).collect();
    let mut parts = Vec::new();
    while built.source.cadence() == Cadence::More {
        let part = built.source.collect().await.unwrap();
        let part = issues(&part);
        if part.from > 0 {
            assert!(part.items.len() <= 500 && part.from as usize == met.len(), "{} {}", part.from, part.items.len());
            met.extend(part.items.iter().map(|issue| issue.id.clone()));
            parts.push(part.ids.len());
        }
    }
    assert_eq!((met.len(), parts.len(), *parts.last().unwrap()), (10_000, 19, 10_000), "a cap, and then it is said which there are");
    assert!(parts[..18].iter().all(|ids| *ids == 0));
    // Whoever is resolved is missed in the next look at the beginning.
    let gone = issues(&rest).items[1].id.clone();
    built.service.unwrap().perform(&call(&gone, "resolve")).await.unwrap();
    let next = built.source.collect().await.unwrap();
    assert!(!issues(&next).ids.contains(&gone) && issues(&next).ids.len() >= 9_999, "{}", issues(&next).ids.len());
    assert_eq!(built.source.cadence(), Cadence::Every(EVERY), "and is not walked again so soon");
}

#[tokio::test]
async fn every_page_is_read_also_after_a_short_one_up_to_a_bound() {
    let place = Place::of(Setup { crowd: 220, gaps: true, ..Setup::default() });
    let collected = whole(&mut place.built(KEYS).source).await;
    let crowd = issues(&collected).items.iter().filter(|issue| issue.culprit.as_deref() == Some("crowd")).count();
    assert_eq!(crowd, (9_001..=9_220).filter(|id| id % 3 != 0).count(), "a short page is no last page");
    assert_eq!(issues(&collected).total, 225);
    assert!(collected.complete);
    let large = Place::of(Setup { crowd: 2_000, ..Setup::default() });
    let collected = whole(&mut large.built(KEYS).source).await;
    assert_eq!((issues(&collected).items.len(), issues(&collected).total), (2_005, 2_005));
    let lists = large.asked().iter().filter(|asked| asked.ends_with("/issues/")).count();
    assert_eq!(lists, 22, "each page once, and what the release brought");
}

#[tokio::test]
async fn a_page_that_fails_costs_that_page() {
    let place = Place::of(Setup { crowd: 300, broken_page: Some(2), ..Setup::default() });
    let collected = whole(&mut place.built(KEYS).source).await;
    assert_eq!((issues(&collected).items.len(), collected.complete), (100, false));
    assert_eq!(collected.problems[0].subject, "page 2 of the issues");
    assert!(collected.problems[0].message.contains("its error 5f1e8c"), "{collected:?}");
}

#[tokio::test]
async fn old_servers_and_glitchtip_are_asked_as_they_understand() {
    let old = Place::of(Setup { flavour: Flavour::OldSentry, ..Setup::default() });
    let mut built = old.built(KEYS);
    let collected = whole(&mut built.source).await;
    assert_eq!(issue(&collected, "SHOP-4K2").state, IssueState::New, "first seen a moment ago");
    assert_eq!(issue(&collected, "SHOP-31C").state, IssueState::Ongoing);
    let before = old.seen().len();
    built.source.collect().await.unwrap();
    assert_eq!(old.seen().len(), before + 1, "the project's number is known now");
    assert!(old.seen()[before].target.contains("&project=41&"));

    let tip = Place::of(Setup { flavour: Flavour::GlitchTip, crowd: 120, ..Setup::default() });
    let built_tip = tip.built(KEYS);
    let mut source = built_tip.source;
    let collected = whole(&mut source).await;
    assert_eq!((issues(&collected).server.as_str(), issues(&collected).items.len()), ("glitchtip", 125));
    let new = issue(&collected, "SHOP-4K2");
    assert_eq!((new.users, new.hours.iter().sum::<u64>(), new.hours.len()), (None, 144, 24));
    let list = tip.seen().into_iter().find(|seen| seen.target.contains("/issues/?")).unwrap();
    assert!(list.target.contains("query=is%3Aunresolved&limit=100&project=41"), "{list:?}");
    let service = built_tip.service.unwrap();
    let detail = service.detail(&key("5512"), None).await.unwrap();
    assert_eq!(event(&detail).exceptions[0].frames[0].place(), "basket/pricing.py:88");
    service.perform(&call("5466", "archive")).await.unwrap();
    assert_eq!(tip.seen().last().unwrap().body, "{\"status\":\"ignored\"}");
}

#[tokio::test]
async fn the_token_goes_to_the_region_and_nowhere_else() {
    let region = Place::of(Setup::default());
    let front = Place::of(Setup { region: Some(format!("http://{}", region.address)), ..Setup::default() });
    front.built(KEYS).source.collect().await.unwrap();
    assert_eq!(front.asked(), ["GET /api/settings/", "GET /api/0/organizations/acme/"]);
    assert_eq!(region.asked(), ["GET /api/0/organizations/acme/issues/"]);
    // Another name is not believed, whoever says it.
    let other = format!("http://localhost:{}", region.address.port());
    let front = Place::of(Setup { region: Some(other), ..Setup::default() });
    front.built(KEYS).source.collect().await.unwrap();
    assert_eq!((front.asked().len(), region.asked().len()), (3, 1));

    let trusts = |url: &str, to: &str| {
        let wire = Wire {
            url: server(url).unwrap(),
            organization: "acme".into(),
            project: None,
            token: None,
            timeout: TIMEOUT,
            context: context(),
            kept: Mutex::default(),
        };
        wire.trusts(&Url::parse(to).unwrap())
    };
    for (url, to, expected) in [
        ("https://sentry.io", "https://us2.sentry.io", true),
        ("https://de.sentry.io", "https://us.sentry.io", true),
        ("https://sentry.io", "http://us.sentry.io", false),
        ("https://sentry.io", "https://us.sentry.io.evil.example", false),
        ("https://sentry.io", "https://evilsentry.io", false),
        ("https://errors.example", "https://eu.errors.example", true),
        ("https://errors.example", "https://us.sentry.io", false),
        ("https://errors.example", "http://localhost:9000", false),
        ("http://10.0.0.1", "http://1.10.0.0.1.example", false),
    ] {
        assert_eq!(trusts(url, to), expected, "{url} {to}");
    }
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let scopes = |scopes: &[&'static str]| vec![(TOKEN.to_owned(), scopes.to_vec())];
    let other = "organization = \"acme\"\nproject = \"shoop\"\ntoken = \"sntryu_demonstration\"";
    let wrong = "organization = \"acme\"\nproject = \"shop\"\ntoken = \"sntryu_wrong\"";
    let nobody = "organization = \"nobody\"\ntoken = \"sntryu_demonstration\"";
    for (setup, keys, kind, message, remedy) in [
        (Setup { tokens: scopes(&["org:read"]), ..Setup::default() }, KEYS, ErrorKind::Auth, "it needs event:read (403)", "the scope event:read"),
        (Setup::default(), wrong, ErrorKind::Auth, "refuses the token (401): Invalid token", "make a new token"),
        (Setup::default(), other, ErrorKind::Config, "the token sees no project shoop in acme", "it sees blog, shop"),
        (Setup::default(), nobody, ErrorKind::Status, "has no organization nobody", "check `organization`"),
        (Setup { broken_page: Some(1), ..Setup::default() }, KEYS, ErrorKind::Status, "500 (its error 5f1e8c)", "500"),
        (
            Setup { blind: true, ..Setup::default() },
            "organization = \"acme\"\nquery = \"is:new nothing-like-it\"\ntoken = \"sntryu_demonstration\"",
            ErrorKind::Nothing,
            "the token sees no project of acme",
            "add the token's owner",
        ),
    ] {
        let place = Place::of(setup);
        let error = place.built(keys).source.collect().await.unwrap_err();
        assert_eq!(error.kind, kind, "{error:?}");
        assert!(error.message.contains(message) && error.remedy.contains(remedy), "{error:?}");
        assert!(!error.message.contains("sntryu_"), "{error:?}");
    }
    // A token that may read issues only is enough.
    let place = Place::of(Setup { tokens: scopes(&["event:read"]), ..Setup::default() });
    assert_eq!(issues(&place.built(KEYS).source.collect().await.unwrap()).items.len(), 5);
    // No issue at all, and projects to have them: that is all well.
    let keys = "organization = \"acme\"\nproject = \"blog\"\ntoken = \"sntryu_demonstration\"";
    let place = Place::of(Setup::default());
    let mut built = place.built(keys);
    assert_eq!(issues(&whole(&mut built.source).await).total, 0);
    whole(&mut built.source).await;
    assert_eq!(place.asked().iter().filter(|asked| asked.ends_with("/projects/")).count(), 2, "whether there are any, and its number");
}

#[tokio::test]
async fn a_limit_is_kept_before_it_refuses() {
    // Two requests in two seconds: the third waits for the next window instead of being refused.
    let place = Place::of(Setup { crowd: 200, allowance: Some(2), ..Setup::default() });
    let mut built = place.built(KEYS);
    let collected = whole(&mut built.source).await;
    assert_eq!((issues(&collected).items.len(), collected.complete), (205, true), "{:?}", collected.problems);
}

#[tokio::test]
async fn a_limit_that_was_passed_says_when_to_come_back() {
    let place = Place::of(Setup { allowance: Some(0), ..Setup::default() });
    let error = place.built(KEYS).source.collect().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::RateLimited);
    assert!((1..=60).contains(&error.retry_after_s.unwrap()) && error.message.contains("too frequently"), "{error:?}");
}

pub(super) fn key(item: &str) -> ItemKey {
    ItemKey { source: SourceId::parse("shop/sentry/errors").unwrap(), item: item.to_owned() }
}

fn call(item: &str, offer: &str) -> Call {
    Call { key: key(item), offer: offer.to_owned(), arguments: BTreeMap::new() }
}

#[tokio::test]
async fn an_issue_is_resolved_archived_and_opened_again() {
    let place = Place::of(Setup::default());
    let Built { mut source, service, .. } = place.built(KEYS);
    let service = service.unwrap();
    source.collect().await.unwrap();
    let undone_by = |item: &str, id: &str| service.offers(&key(item)).into_iter().find(|offer| offer.id == id).map(|offer| offer.undo.unwrap());
    for id in ["resolve", "archive", "archive_forever"] {
        assert_eq!(undone_by("5466", id).as_deref(), Some("unresolve"));
    }
    for (offer, body, message) in [
        ("resolve", r#"{"status":"resolved"}"#, "issue 5466 is resolved"),
        ("unresolve", r#"{"status":"unresolved"}"#, "issue 5466 is open again"),
        ("archive", r#"{"status":"ignored","substatus":"archived_until_escalating"}"#, "issue 5466 is archived until it escalates"),
        ("unresolve", r#"{"status":"unresolved"}"#, "issue 5466 is open again"),
        ("archive_forever", r#"{"status":"ignored","substatus":"archived_forever"}"#, "issue 5466 is archived for ever"),
    ] {
        let outcome = service.perform(&call("5466", offer)).await.unwrap();
        assert_eq!(outcome.message, message);
        let seen = place.seen().pop().unwrap();
        assert_eq!((seen.method.as_str(), seen.target.as_str(), seen.body.as_str()), ("PUT", "/api/0/organizations/acme/issues/5466/", body));
    }
    assert_eq!((undone_by("5466", "resolve"), undone_by("5466", "unresolve")), (Some("archive".into()), Some("archive".into())));
    assert_eq!(undone_by("5466", "archive"), None);
    // What was changed is seen also in what was read before, and in the next list it is gone.
    assert_eq!(issue(&source.collect().await.unwrap(), "SHOP-41B").state, IssueState::Archived);
    let collected = source.collect().await.unwrap();
    assert!(issues(&collected).items.iter().all(|issue| issue.id != "5466"), "the change is seen in the next list");
    // Without one issue's own id nothing is sent: it would change them all.
    let before = place.seen().len();
    for item in ["", "5466/../5401", "?id=", " "] {
        assert_eq!(service.perform(&call(item, "resolve")).await.unwrap_err().kind, ErrorKind::Config);
        assert!(service.offers(&key(item)).is_empty());
    }
    let elsewhere = Call { key: ItemKey { source: SourceId::parse("blog/sentry/errors").unwrap(), item: "5466".into() }, ..call("5466", "resolve") };
    assert!(service.perform(&elsewhere).await.is_err());
    assert!(service.perform(&call("5466", "delete")).await.is_err());
    assert_eq!(place.seen().len(), before);
    // A token that may only read.
    let reader = Setup { tokens: vec![(TOKEN.to_owned(), vec!["org:read", "event:read"])], ..Setup::default() };
    let place = Place::of(reader);
    let error = place.built(KEYS).service.unwrap().perform(&call("5466", "resolve")).await.unwrap_err();
    assert!(error.message.contains("it needs event:write"), "{error:?}");
}

fn event(detail: &Detail) -> &crate::domain::ErrorEvent {
    match &detail.body {
        DetailBody::Event(event) => event,
        DetailBody::Lines(_) | DetailBody::Folder(_) | DetailBody::Notes(_) => panic!("{detail:?}"),
    }
}

#[tokio::test]
async fn a_detail_is_an_event_down_to_the_line_and_its_neighbours() {
    for flavour in [Flavour::Sentry, Flavour::OldSentry, Flavour::GlitchTip] {
        let place = Place::of(Setup { flavour, ..Setup::default() });
        let Built { mut source, service, .. } = place.built(KEYS);
        source.collect().await.unwrap();
        let service = service.unwrap();
        let before = place.seen().len();
        let detail = service.detail(&key("5512"), None).await.unwrap();
        let latest = event(&detail);
        assert_eq!((latest.exceptions[0].kind.as_str(), latest.exceptions[0].value.as_str()), ("KeyError", "'currency'"));
        assert_eq!(latest.place(), Some((0, 0)));
        assert_eq!((latest.first_release.as_deref(), latest.release.as_deref()), (Some("v214"), Some("v214")), "{flavour:?}");
        assert!(latest.spread.iter().any(|tag| tag.key == "session") && !format!("{latest:?}").contains("visitor@"), "{latest:?}");
        assert_eq!(detail.link.as_deref(), Some("https://acme.tracker.example/issues/5512/"));
        // An event, the tags, the issue; old servers are asked twice for each.
        let asked = place.seen().len() - before;
        assert_eq!(asked, if flavour == Flavour::OldSentry { 6 } else { 3 }, "{flavour:?}");
        // A neighbour asks for nothing but itself.
        let previous = latest.previous.clone().unwrap();
        let detail = service.detail(&key("5512"), Some(&previous)).await.unwrap();
        assert_eq!((event(&detail).next.as_ref(), event(&detail).spread.len()), (Some(&latest.id), latest.spread.len()));
        assert_eq!(place.seen().len() - before - asked, if flavour == Flavour::OldSentry { 2 } else { 1 });
        let error = service.detail(&key("1"), None).await.unwrap_err();
        assert!(error.message.contains("keeps no event"), "{error:?}");
        assert_eq!(service.detail(&key("5512"), Some("../../x")).await.unwrap_err().kind, crate::domain::ErrorKind::Config);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_is_told() {
    let page = Page::json(r#"[{"id":"1","shortId":"SHOP-1","title":"KeyError: 'a'","status":"unresolved","count":"3"}]"#);
    let answers = contract::suite(&page, |server: &Server| -> Box<dyn Source> {
        let keys = format!("url = \"{}\"\norganization = \"acme\"\ntoken = \"{SECRET}\"", server.url(""));
        let mut context = context();
        context.common.timeout = Some(contract::TIMEOUT);
        config(&keys).build(&context).unwrap().source
    })
    .await;
    let of = |faulty: Faulty| &answers.iter().find(|(of, _)| *of == faulty).unwrap().1;
    assert_eq!(issues(of(Faulty::Ok).as_ref().unwrap()).items.len(), 1);
    for (faulty, kind) in [
        (Faulty::Empty, ErrorKind::Protocol),
        (Faulty::EmptyBody, ErrorKind::Protocol),
        (Faulty::Partial, ErrorKind::Protocol),
        (Faulty::Unauthorized, ErrorKind::Auth),
        (Faulty::NotFound, ErrorKind::Status),
        (Faulty::RateLimited, ErrorKind::RateLimited),
        (Faulty::ServerError, ErrorKind::Status),
        (Faulty::Html, ErrorKind::Protocol),
        (Faulty::HalfBody, ErrorKind::Protocol),
        (Faulty::HalfHead, ErrorKind::Protocol),
        (Faulty::Endless, ErrorKind::TooLarge),
        (Faulty::Gigabyte, ErrorKind::TooLarge),
        (Faulty::Hang, ErrorKind::Timeout),
        (Faulty::Drip, ErrorKind::Timeout),
        (Faulty::Refused, ErrorKind::Connect),
        (Faulty::Garbage, ErrorKind::Protocol),
        (Faulty::Controls, ErrorKind::Protocol),
        (Faulty::Redirects, ErrorKind::Protocol),
        (Faulty::TlsPlain, ErrorKind::Tls),
        (Faulty::TlsHalf, ErrorKind::Tls),
    ] {
        assert_eq!(kind_of(&answers, faulty), Some(kind), "{faulty:?}: {:?}", of(faulty));
    }
    for faulty in [Faulty::EndlessHead, Faulty::BadChunks, Faulty::TlsOk, Faulty::TlsExpired, Faulty::TlsWrongName, Faulty::TlsSelfSigned] {
        assert!(of(faulty).is_err(), "{faulty:?}");
    }
    assert_eq!(of(Faulty::RateLimited).as_ref().unwrap_err().retry_after_s, Some(7));
}

#[test]
fn keys_are_checked() {
    let places = |keys: &str| config(keys).check().into_iter().map(|complaint| (complaint.path.join("."), complaint.warning)).collect::<Vec<_>>();
    let wrong = |key: &str| vec![(key.to_owned(), false)];
    assert_eq!(places("organization = \"acme\""), []);
    assert_eq!(places("organization = \"acme\"\nurl = \"https://errors.example/api/0/\""), []);
    assert_eq!(places("organization = \"acme\"\nurl = \"http://errors.example\""), [("url".to_owned(), true)]);
    assert_eq!(places("organization = \"acme\"\nurl = \"ftp://errors.example\""), wrong("url"));
    assert_eq!(places("organization = \"acme\"\nurl = \"https://me:pw@errors.example\""), wrong("url"));
    assert_eq!(places("organization = \"a/b\""), wrong("organization"));
    assert_eq!(places("organization = \"acme\"\nproject = \"-1\""), wrong("project"));
    assert_eq!(places("organization = \"acme\"\nperiod = \"91d\""), wrong("period"));
    assert_eq!(places("organization = \"acme\"\nenvironment = \"\""), wrong("environment"));
    for (url, expected) in [
        ("https://sentry.io", "https://sentry.io/"),
        ("https://errors.example/api/0/", "https://errors.example/"),
        ("https://example.org/sentry/", "https://example.org/sentry"),
    ] {
        assert_eq!(server(url).unwrap().as_str(), expected);
    }
    for (seconds, text) in [(86_400, "24h"), (14 * 86_400, "14d"), (7_200, "2h"), (90, "90s"), (120, "2m")] {
        assert_eq!(period_text(Duration::from_secs(seconds)), text);
    }
}

#[test]
fn what_must_be_there_is_told() {
    let reach = |keys: &str| config(keys).reaches(&context());
    assert_eq!(reach("organization = \"acme\"\nurl = \"http://127.0.0.1:9000\""), [Reach::Tcp("127.0.0.1".into(), 9000)]);
    assert!(!format!("{:?}", config("organization = \"acme\"\ntoken = \"sntryu_x\"")).contains("sntryu_x"));
}
