//! `rounds errors resolve ID…` and its like: what a tracker offers for its issues, taken up from a shell, with the same confirmation and
//! the same record as its key.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::find::{self, Meant};
use crate::actions::errand::{self, Results, subject};
use crate::actions::{Errand, Target};
use crate::app;
use crate::cli::act::{ask, keep, stopped_by_signals, tell};
use crate::cli::{Context, Exit, Failure, load};
use crate::config::model::Config;
use crate::domain::{SourceError, SourceId};
use crate::io::clock;
use crate::journal::{Identity, Journal, Redactor, read_snapshot};
use crate::report::{clean, json};
use crate::sources::door::Door;
use crate::sources::{Offer, Seen};
use crate::state::acting::{is_production, run_id};

/// Flags of every change.
#[derive(Debug, clap::Args)]
pub struct Flags {
    /// Which: a short id (SHOP-4K2), a number, or site/kind/name#id
    #[arg(value_name = "ID", required = true)]
    pub ids: Vec<String>,
    /// Do it without asking; what is dangerous on production needs the site's name here: --yes=SITE
    #[arg(long, value_name = "SITE", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub yes: Option<String>,
    /// Print one JSON document, one item for each issue
    #[arg(long)]
    pub json: bool,
    /// How long looking for the issues may take
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = crate::domain::time::parse_duration)]
    pub timeout: Duration,
}

/// What is told to one source: the offer, its arguments, and what it is for.
type Ready = (SourceId, Offer, BTreeMap<String, String>, Vec<Target>);

/// What is wanted: an offer's id, and the answers to what it asks, as a person writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The offer.
    pub offer: &'static str,
    /// Its answers by name.
    pub answers: Vec<(&'static str, String)>,
}

impl Wanted {
    /// An offer that asks for nothing.
    pub const fn plain(offer: &'static str) -> Self {
        Self { offer, answers: Vec::new() }
    }
}

/// Does it: exit code 0 when all of it was done, 1 when not, 64 when nothing was tried.
///
/// # Errors
/// No such issue, nothing that can be done to it, nobody to ask and no `--yes`.
pub fn run(wanted: &Wanted, flags: &Flags, context: &Context) -> Result<Exit, Failure> {
    match change(wanted, flags, context) {
        Err(failure) if flags.json => {
            context.print(&json::line(&json::no_items(&failure.as_source_error(), clock::now()))?)?;
            Err(failure)
        }
        other => other,
    }
}

fn change(wanted: &Wanted, flags: &Flags, context: &Context) -> Result<Exit, Failure> {
    if context.global.read_only {
        return Err(Failure::Usage("read-only: nothing is changed".to_owned()));
    }
    let mut config = load::config(context)?;
    find::narrow(&mut config);
    let doors = find::doors(&config);
    let known = load::state_dir(context).as_deref().and_then(read_snapshot);
    let meant = find::meant(&flags.ids, &config, &doors, flags.timeout, known.as_ref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("rounds-io").enable_all().build()?;
    let mut ready: Vec<Ready> = Vec::new();
    for one in &meant {
        let Some(door) = doors.get(&one.key.source) else { continue };
        let seen = one.issue.as_ref().map_or(Seen::Nothing, |(issue, server)| Seen::Issue(issue, server));
        let offers = runtime.block_on(door.offers(&one.key, seen)).map_err(|error| Failure::Usage(format!("{}; {}", error.message, error.remedy)))?;
        let offer = offered(wanted, one, &offers)?;
        let arguments = arguments(wanted, &offer)?;
        let target = Target { key: one.key.clone(), name: one.name.clone(), undo: offer.undo.clone() };
        match ready.iter_mut().find(|(source, ..)| *source == one.key.source) {
            Some((.., targets)) => targets.push(target),
            None => ready.push((one.key.source.clone(), offer, arguments, vec![target])),
        }
    }
    confirmed(&ready, &meant, flags, &config)?;
    let journal = load::state_dir(context).and_then(|dir| {
        let opened = Journal::open(&dir, &config.journal, Identity::of_this_process());
        if let Some(trouble) = opened.trouble {
            crate::cli::complain(&trouble.notice(clock::now()).text);
        }
        opened.journal
    });
    let stop = CancellationToken::new();
    let signal = {
        let _entered = runtime.enter();
        stopped_by_signals(&stop)?
    };
    let redaction = Redactor::new(&config.journal.redact).unwrap_or_default();
    let (mut all_well, mut items) = (true, Vec::new());
    for (nth, (source, offer, arguments, targets)) in ready.into_iter().enumerate() {
        let run = run_id(&format!("{}.{}", app::person(), std::process::id()), clock::now(), nth);
        let errand = Errand::new(&offer, arguments, targets, source, run, app::person());
        let begun = errand.begun(clock::now());
        keep(journal.as_ref(), begun.clone());
        let since = Instant::now();
        let mut results = runtime.block_on(told(doors.get(&errand.source).cloned(), &errand, &stop));
        for result in &mut results {
            redaction.outcome(result);
        }
        let end = errand.end(&results, u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX));
        all_well &= end.ok;
        let title = format!("{} {}", errand.title, errand.subject());
        if let Some(ended) = crate::actions::audit::ended(&begun, end, &title, clock::now()) {
            keep(journal.as_ref(), ended);
        }
        said(&errand, &results, flags.json, context, &mut items)?;
    }
    signal.abort();
    drop(journal);
    runtime.shutdown_background();
    if flags.json {
        context.print(&json::line(&json::items(items, clock::now()))?)?;
    }
    Ok(if all_well { Exit::OK } else { Exit(1) })
}

/// Tells it to the source, until a signal ends waiting for the answer.
async fn told(door: Option<Door>, errand: &Errand, stop: &CancellationToken) -> Results {
    tokio::select! {
        results = errand::run(door, errand) => results,
        () = stop.cancelled() => {
            let error = SourceError::config("stopped before the answer", "whether it was done is not known: look before trying again");
            errand.items.iter().map(|_| Err(error.clone())).collect()
        }
    }
}

/// The offer that is wanted, where it stands for this issue.
fn offered(wanted: &Wanted, one: &Meant, offers: &[Offer]) -> Result<Offer, Failure> {
    if let Some(offer) = offers.iter().find(|offer| offer.id == wanted.offer) {
        return Ok(offer.clone());
    }
    let stands = one.issue.as_ref().map_or_else(String::new, |(issue, _)| format!(": it is {}", issue.state.word()));
    let words = wanted.offer.replace('_', " ");
    let can: Vec<&str> = offers.iter().map(|offer| offer.title.as_str()).collect();
    let can = if can.is_empty() { "nothing can be done to it from here".to_owned() } else { format!("what can be done: {}", can.join(", ")) };
    Err(Failure::Usage(clean(&format!("{} cannot be told to {words}{stands}; {can}", one.name))))
}

/// The answers as arguments.
fn arguments(wanted: &Wanted, offer: &Offer) -> Result<BTreeMap<String, String>, Failure> {
    let mut arguments = BTreeMap::new();
    for ask in &offer.asks {
        let answer = wanted.answers.iter().find(|(name, _)| *name == ask.name).map(|(_, answer)| answer.as_str()).unwrap_or_default();
        let read = ask.form.read(answer).map_err(|why| Failure::Usage(format!("{} {} {why}", offer.title, ask.question)))?;
        arguments.insert(ask.name.clone(), read);
    }
    Ok(arguments)
}

/// Asks, or takes `--yes` for the answer.
fn confirmed(ready: &[Ready], meant: &[Meant], flags: &Flags, config: &Config) -> Result<(), Failure> {
    let state = app::initial_state(config);
    let typed = ready.iter().find(|(source, offer, ..)| offer.dangerous && is_production(&state.world, source.site())).map(|(source, ..)| source.site());
    match flags.yes.as_deref() {
        Some(name) if !name.is_empty() && ready.iter().any(|(source, ..)| source.site() != name) => {
            return Err(Failure::Usage(format!("--yes={} is not the site of all of these: nothing was changed", clean(name))));
        }
        Some(name) if !name.is_empty() || typed.is_none() => return Ok(()),
        Some(_) => {
            let site = typed.unwrap_or_default();
            return Err(Failure::Usage(format!("this is dangerous and {site} is in production: write --yes={site}")));
        }
        None => {}
    }
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        let flag = typed.map_or_else(|| "--yes".to_owned(), |site| format!("--yes={site}"));
        return Err(Failure::Usage(format!("nobody can be asked here: it is no terminal; write {flag} to do it without asking")));
    }
    for (source, offer, arguments, targets) in ready {
        let mut rows: Vec<(&str, String)> = Vec::new();
        let answers: Vec<String> = offer.asks.iter().filter_map(|ask| Some(format!("{} {}", ask.name, ask.form.written(arguments.get(&ask.name)?)))).collect();
        rows.push(("does", if answers.is_empty() { offer.title.clone() } else { format!("{}: {}", offer.title, answers.join(", ")) }));
        for target in targets {
            let title = meant.iter().find(|one| one.key == target.key).map(|one| one.title.as_str()).unwrap_or_default();
            rows.push(("to", format!("{}  {title}", target.name)));
        }
        rows.push(("calls", offer.calls.clone()));
        if let [_] = targets.as_slice() {
            rows.push(("changes", offer.changes.clone()));
        }
        if offer.undone.is_empty() {
            rows.push(("undone", "it cannot be undone from here".to_owned()));
        }
        let lines: Vec<String> = rows.iter().map(|(name, words)| format!("  {name:<8} {}\n", clean(words))).collect();
        tell(&format!("{}\n{}", clean(&format!("{source}: {} {}", offer.title, subject(targets))), lines.concat()));
    }
    let said = match typed {
        Some(_) => ask("This touches production. Type the name of the site to do it: ")?,
        None => ask("Enter does it, anything else leaves it: ")?,
    };
    if typed.map_or_else(|| said.is_empty(), |site| said == site) { Ok(()) } else { Err(Failure::Usage("nothing was changed".to_owned())) }
}

/// Says what became of each: what was done on standard output, what was not on standard error.
fn said(errand: &Errand, results: &Results, as_json: bool, context: &Context, items: &mut Vec<Value>) -> Result<(), Failure> {
    for (target, result) in errand.items.iter().zip(results) {
        if let Err(error) = result {
            crate::cli::complain(&format!("{}: {}; {}", target.name, error.message, error.remedy));
        }
        if as_json {
            items.push(json!({
                "source": errand.source,
                "id": target.key.item,
                "short_id": target.name,
                "change": errand.offer,
                "ok": result.is_ok(),
                "message": result.as_ref().map_or_else(|error| error.message.as_str(), |outcome| outcome.message.as_str()),
                "state": result.as_ref().ok().and_then(|outcome| outcome.now.state),
                "error": result.as_ref().err(),
            }));
        } else if let Ok(outcome) = result {
            context.print(&clean(&format!("{}: {}", target.name, outcome.message)))?;
            context.print("\n")?;
        }
    }
    Ok(())
}
