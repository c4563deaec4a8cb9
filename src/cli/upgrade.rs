//! `rounds upgrade ID PACKAGE…`: packages upgraded in a copy, kept where the project's own tests pass, given as a branch.
//!
//! What does not belong here: the upgrade itself (`actions::upgrade`).

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Context, Exit, Failure, act, load};
use crate::actions::audit;
use crate::actions::errand::headline;
use crate::actions::upgrade::{self, Broken, Fate, Item, Look, Order, Place, Project, Reach, Report, Said, Wish};
use crate::app::{self, pass};
use crate::config::model::{Config, Entry};
use crate::domain::time::{human, parse_duration};
use crate::domain::{ActionEnd, Bump, Notes, Packages, SourceError, Transition, TransitionKind};
use crate::io::clock;
use crate::journal::{Identity, Journal};
use crate::report::{clean, json as document};
use crate::sources::door::Door;
use crate::sources::{Detail, DetailBody, ItemKey};
use crate::state::acting::run_id;

/// How long the indexes and who knows advisories may take.
const ASKING: Duration = Duration::from_secs(180);
/// How long reading release notes may take, and of how many packages they are read.
const READING: Duration = Duration::from_secs(30);
const NOTED: usize = 100;
/// How often it is looked whether the process that started this is there.
const LOOKING: Duration = Duration::from_millis(500);
/// Lines of a failure that the text report shows; the log has more.
const SHOWN: usize = 6;

/// Its flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which project: site/python/name, or its site or name where that is enough
    #[arg(value_name = "ID")]
    pub id: String,
    /// Which packages: NAME, or NAME==VERSION
    #[arg(value_name = "PACKAGE")]
    pub packages: Vec<String>,
    /// Whatever is outdated or has advisories
    #[arg(long, conflicts_with = "packages")]
    pub all: bool,
    /// Go no further than patch releases
    #[arg(long, group = "limit")]
    pub patch: bool,
    /// Go no further than minor releases
    #[arg(long, group = "limit")]
    pub minor: bool,
    /// Go to major releases too, as without a limit
    #[arg(long, group = "limit")]
    pub major: bool,
    /// Do not ask
    #[arg(long, value_name = "SITE", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub yes: Option<String>,
    /// Look and show what would be tried; make nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Also where no `test` is configured: what installs is kept
    #[arg(long)]
    pub untested: bool,
    /// Print one JSON document, one item for each upgrade
    #[arg(long)]
    pub json: bool,
    /// How long one command may take
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = parse_duration)]
    pub step_timeout: Duration,
    /// How long all of it may take
    #[arg(long, value_name = "DURATION", default_value = "2h", value_parser = parse_duration)]
    pub timeout: Duration,
    /// The run as whoever started this records it
    #[arg(long, hide = true, value_name = "RUN")]
    pub recorded: Option<String>,
}

/// Upgrades: exit code 0 when all that was wanted is kept, 1 when some of it is not, 64 when nothing was begun.
///
/// # Errors
/// What kept it from beginning or going on; with `--json` it is in the document as well.
pub fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    run_all(args, context).inspect_err(|failure| {
        if args.json && !matches!(failure, Failure::ClosedPipe) {
            // The failure itself is told next; nobody is left to be told when standard output is closed.
            let line = document::line(&document::no_items(&failure.as_source_error(), clock::now()));
            let _ = line.map(|line| context.print(&line));
        }
    })
}

fn run_all(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let wishes: Vec<Wish> = args.packages.iter().map(|text| Wish::parse(text)).collect::<Result<_, _>>().map_err(Failure::Usage)?;
    if wishes.is_empty() && !args.all {
        return Err(Failure::Usage("name the packages, or write --all".to_owned()));
    }
    let mut config = load::config(context)?;
    if context.global.read_only {
        return Err(Failure::Usage("read-only: nothing is upgraded".to_owned()));
    }
    if !config.trusted {
        let path = config.path.as_ref().map(|path| clean(&path.display().to_string())).unwrap_or_default();
        return Err(Failure::Usage(format!(
            "{path} was found in the working directory and is not trusted as it is now: read it, then run `rounds trust {path}`"
        )));
    }
    let (entry, project) = named(&args.id, &config)?;
    let site = project.id.site().to_owned();
    if let Some(name) = args.yes.as_deref().filter(|name| !name.is_empty() && *name != site) {
        return Err(Failure::Usage(format!("--yes={} is not the site of {}: nothing was done", clean(name), project.id)));
    }
    let Some(work) = load::cache_dir(context) else {
        return Err(Failure::Usage("there is no cache directory to make the copy in: name one with --state-dir".to_owned()));
    };
    config.sources = vec![entry];
    config.sites.retain(|known| known.name == site);
    let mut packages = asked(&config)?;
    // A version that a person names is wanted whatever is known of the others.
    let is_named = !wishes.is_empty() && wishes.iter().all(|wish| wish.version.is_some());
    if let (Some(why), None, false) = (&packages.advisories_problem, &packages.advisories_from, is_named) {
        let remedy = "try again when it answers, name the versions (NAME==VERSION), or let the source ask nobody (`osv = false`)";
        return Err(Failure::Usage(format!("what must be upgraded first is not known: {why}; {remedy}")));
    }
    upgrade::complete(&project.manifests, &mut packages.items);
    let limit = if args.patch {
        Bump::Patch
    } else if args.minor {
        Bump::Minor
    } else {
        Bump::Major
    };
    let age = project.cooldown.and_then(|age| chrono::Duration::from_std(age).ok());
    let reach = Reach { bump: limit, before: age.and_then(|age| clock::now().checked_sub_signed(age)) };
    let order = Order {
        plan: upgrade::plan(&packages.items, &wishes, reach),
        packages: packages.items,
        project,
        step_limit: args.step_timeout,
        limit: args.timeout,
        untested: args.untested,
        work,
        day: clock::now().format("%Y-%m-%d").to_string(),
        redact: config.journal.redact.clone(),
        notes: BTreeMap::new(),
    };
    if order.plan.rungs.is_empty() {
        return nothing_to_do(&order, args, context);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("rounds-io").enable_all().build()?;
    let look = runtime.block_on(upgrade::look(&order)).map_err(failure)?;
    if args.dry_run {
        let report = Report { items: upgrade::planned(&order), base: look.head.clone(), tool: look.tool(), notes: look.notes.clone(), ..Report::default() };
        context.print(&if args.json { as_json(&order, &report, true)? } else { question(&order, &look) })?;
        return Ok(Exit::OK);
    }
    confirmed(args, &order, &look)?;
    let mut order = order;
    order.notes = noted(&config, &order, &runtime);
    let done = recorded(args, context, &config, &order, &look, &runtime);
    runtime.shutdown_background();
    let (report, took) = done?;
    context.print(&if args.json { as_json(&order, &report, false)? } else { text(&order, &report, took, context) })?;
    Ok(Exit(u8::from(!report.all_kept())))
}

/// What projects say of their releases, as far as that can be had soon: the messages of the commits are good without it.
fn noted(config: &Config, order: &Order, runtime: &tokio::runtime::Runtime) -> BTreeMap<String, Notes> {
    let Some(entry) = config.sources.first() else { return BTreeMap::new() };
    let (door, id) = (Door::new(entry.clone()), &order.project.id);
    let names: BTreeSet<&str> = order.plan.rungs.iter().take(NOTED).map(|rung| rung.name.as_str()).collect();
    let found = Mutex::new(BTreeMap::new());
    let looks = stream::iter(names).for_each_concurrent(4, |name| {
        let (door, found) = (&door, &found);
        async move {
            let key = ItemKey { source: id.clone(), item: name.to_owned() };
            if let Some(Ok(Detail { body: DetailBody::Notes(notes), .. })) = door.detail(&key, None).await {
                found.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), *notes);
            }
        }
    });
    // What was read by then is told.
    let _ = runtime.block_on(async { tokio::time::timeout(READING, looks).await });
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// The source that was meant, and its project.
fn named(text: &str, config: &Config) -> Result<(Entry, Project), Failure> {
    let known: Vec<(&Entry, Project)> = config.sources.iter().filter_map(|entry| Some((entry, entry.config.project(&entry.context)?))).collect();
    let meant: Vec<&(&Entry, Project)> = known
        .iter()
        .filter(|(entry, _)| {
            let id = &entry.id;
            id.as_str() == text || id.name() == text || id.within_site() == text || id.site() == text || format!("{}/{}", id.site(), id.kind()) == text
        })
        .collect();
    let names = |all: &mut dyn Iterator<Item = &Entry>| all.map(|entry| entry.id.as_str().to_owned()).collect::<Vec<_>>();
    match meant.as_slice() {
        [(entry, project)] => Ok(((*entry).clone(), project.clone())),
        [] if known.is_empty() => Err(Failure::Usage("no Python project is watched: write [site.NAME.python.NAME] with `manifest`".to_owned())),
        [] => {
            let known = names(&mut known.iter().map(|(entry, _)| *entry));
            Err(Failure::Usage(format!("there is no project \"{}\"; there are: {}", clean(text), known.join(", "))))
        }
        several => {
            let several = names(&mut several.iter().map(|(entry, _)| *entry));
            Err(Failure::Usage(format!("\"{}\" may be {}: write it whole", clean(text), several.join(" or "))))
        }
    }
}

/// What the indexes and who knows advisories say now.
fn asked(config: &Config) -> Result<Packages, Failure> {
    let state = pass::once(config, ASKING, None)?;
    let Some(source) = state.world.sources.values().next() else {
        return Err(Failure::Usage("the source is paused: nothing was asked".to_owned()));
    };
    match (&source.packages, &source.error) {
        (Some((_, packages)), None) => Ok(packages.clone()),
        (_, Some(error)) => Err(Failure::Usage(format!("the versions that are out are not known: {}; {}", error.message, error.remedy))),
        (None, None) => Err(Failure::Usage("the versions that are out are not known: nothing was answered in time".to_owned())),
    }
}

fn failure(broken: Broken) -> Failure {
    match broken {
        Broken::Refused(..) => Failure::Usage(broken.to_string()),
        Broken::Failed(why, tail) => {
            let tail: Vec<String> = upgrade::telling(&tail, SHOWN).iter().map(|line| format!("\n  | {line}")).collect();
            Failure::Other(anyhow::anyhow!("{why}{}", tail.concat()))
        }
        Broken::Late | Broken::Stopped => Failure::Other(anyhow::anyhow!("{broken}")),
    }
}

/// The failure of a run, and where all that was printed is.
fn logged(broken: Broken, place: &Place) -> Failure {
    let has_output = matches!(&broken, Broken::Failed(_, tail) if !tail.is_empty());
    match failure(broken) {
        Failure::Other(error) if has_output => Failure::Other(anyhow::anyhow!("{error}\n  the whole log: {}", place.log().display())),
        other => other,
    }
}

fn nothing_to_do(order: &Order, args: &Args, context: &Context) -> Result<Exit, Failure> {
    let report = Report { items: upgrade::planned(order), ..Report::default() };
    context.print(&if args.json {
        as_json(order, &report, args.dry_run)?
    } else {
        let lines: Vec<String> = report.items.iter().map(|item| row(item, context)).collect();
        format!("{}\n{}", headline(&order.project.id, "nothing to upgrade", "nothing was made"), lines.concat())
    })?;
    Ok(Exit(u8::from(!report.all_kept())))
}

/// What the confirmation and `--dry-run` say.
fn question(order: &Order, look: &Look) -> String {
    let project = &order.project;
    let mut rows: Vec<(&str, String)> = Vec::new();
    for item in upgrade::planned(order) {
        let words = match item.status {
            Fate::Planned => format!("{} {} to {}{}", item.name, item.from.unwrap_or_default(), item.to.unwrap_or_default(), cures(&item.cures)),
            _ => format!("{}: {}", item.name, item.why.unwrap_or_default()),
        };
        rows.push((item.phase.map_or("leaves", upgrade::Phase::word), words));
    }
    rows.push(("by", format!("{} in a copy of {}", look.tool(), look.top.display())));
    let test = project.test.as_ref().map_or_else(|| "nothing but that it installs".to_owned(), |test| crate::actions::written(test));
    rows.push(("tested", test));
    rows.push(("gives", format!("the branch {}, neither pushed nor checked out", look.branch)));
    rows.push(("limits", format!("{} a command, {} in all, {} MiB on the disk", human(order.step_limit), human(order.limit), look.needs.div_ceil(1 << 20))));
    rows.extend(look.notes.iter().map(|note| ("note", note.clone())));
    let lines: Vec<String> = rows.iter().map(|(name, words)| format!("  {name:<8} {}\n", clean(words))).collect();
    format!("{}: upgrade\n{}", project.id, lines.concat())
}

fn cures(ids: &[String]) -> String {
    if ids.is_empty() { String::new() } else { format!("   cures {}", ids.join(", ")) }
}

fn confirmed(args: &Args, order: &Order, look: &Look) -> Result<(), Failure> {
    if args.yes.is_some() {
        return Ok(());
    }
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(Failure::Usage(format!("nobody can be asked here: it is no terminal; write --yes to upgrade {} without asking", order.project.id)));
    }
    act::tell(&question(order, look));
    if act::ask("Enter begins, anything else leaves it: ")?.is_empty() { Ok(()) } else { Err(Failure::Usage("nothing was upgraded".to_owned())) }
}

/// Runs it with a record before and after, like an action.
fn recorded(
    args: &Args,
    context: &Context,
    config: &Config,
    order: &Order,
    look: &Look,
    runtime: &tokio::runtime::Runtime,
) -> Result<(Report, Duration), Failure> {
    let place = Place::take(&order.work, &look.top).map_err(failure)?;
    // Whoever runs this as a part of something keeps the record of it.
    let journal = load::state_dir(context).filter(|_| args.recorded.is_none()).and_then(|dir| {
        let opened = Journal::open(&dir, &config.journal, Identity::of_this_process());
        if let Some(trouble) = opened.trouble {
            super::complain(&trouble.notice(clock::now()).text);
        }
        opened.journal
    });
    let journal = journal.as_ref();
    let title = format!("upgrade {}", order.project.id);
    if let Some(before) = place.broken_off().and_then(|text| serde_json::from_str::<Transition>(&text).ok()) {
        let end = ActionEnd { ok: false, words: "broken off; what it left is taken away".to_owned(), took_ms: 0 };
        if let Some(ended) = audit::ended(&before, end, &title, clock::now()) {
            act::keep(journal, ended);
        }
        place.forget();
    }
    let begun = begun(args, order, look);
    if let Ok(text) = serde_json::to_string(&begun) {
        place.remember(&text);
    }
    act::keep(journal, begun.clone());
    let stop = CancellationToken::new();
    let signal = {
        let _entered = runtime.enter();
        act::stopped_by_signals(&stop)?
    };
    let watch = args.recorded.is_some().then(|| runtime.spawn(stopped_with_the_parent(stop.clone())));
    let started = Instant::now();
    let quiet = args.json && !io::stderr().is_terminal();
    let mut tell = |said: Said| {
        if quiet {
            return;
        }
        match said {
            Said::Doing(words) => super::complain(&words),
            Said::Command(words) => act::tell(&format!("$ {}\n", clean(&words))),
            Said::Line(line) => act::tell(&format!("  {}\n", clean(&line))),
        }
    };
    let done = runtime.block_on(upgrade::run(order, look, &place, &stop, &mut tell));
    signal.abort();
    if let Some(watch) = watch {
        watch.abort();
    }
    let took = started.elapsed();
    let (ok, words) = match &done {
        Ok(report) => (report.all_kept(), report.words()),
        Err(Broken::Stopped) => (false, format!("stopped by {}", app::person())),
        Err(broken) => (false, broken.to_string()),
    };
    let end = ActionEnd { ok, words, took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX) };
    if let Some(ended) = audit::ended(&begun, end, &title, clock::now()) {
        act::keep(journal, ended);
    }
    place.forget();
    Ok((done.map_err(|broken| logged(broken, &place))?, took))
}

/// Stops it when whoever started it is gone without a word: nobody would record its end.
async fn stopped_with_the_parent(stop: CancellationToken) {
    let parent = nix::unistd::getppid();
    while nix::unistd::getppid() == parent {
        tokio::time::sleep(LOOKING).await;
    }
    stop.cancel();
}

/// The record before it runs. Its step is the verb as it was asked for.
fn begun(args: &Args, order: &Order, look: &Look) -> Transition {
    let by = app::person();
    let id = &order.project.id;
    let now = clock::now();
    let wanted = order.plan.rungs.iter().map(|rung| format!("{}=={}", rung.name, rung.to));
    let step = ["rounds", "upgrade", id.as_str()].into_iter().map(str::to_owned).chain(wanted).take(64).collect();
    Transition {
        at: now,
        site: id.site().to_owned(),
        source: Some(id.clone()),
        sentence: format!("{by} began: upgrade {id}"),
        kind: TransitionKind::Action {
            run: args.recorded.clone().unwrap_or_else(|| run_id(&format!("{by}.{}", std::process::id()), now, 0)),
            by,
            steps: vec![step],
            directory: look.top.join(&look.below).display().to_string(),
            limit_s: args.timeout.as_secs().saturating_add(60),
            ended: None,
        },
    }
}

fn as_json(order: &Order, report: &Report, dry_run: bool) -> Result<String, Failure> {
    let items: Vec<Value> = report
        .items
        .iter()
        .filter_map(|item| serde_json::to_value(item).ok())
        .map(|mut item| {
            if let Some(fields) = item.as_object_mut() {
                fields.insert("source".to_owned(), order.project.id.as_str().into());
            }
            item
        })
        .collect();
    let nothing: Option<SourceError> = None;
    let whole = serde_json::to_value(document::items(items, clock::now()).unless(nothing.as_ref())).map_err(anyhow::Error::from)?;
    let mut whole = whole;
    if let Some(fields) = whole.as_object_mut() {
        let log = report.log.as_ref().map(|path| path.display().to_string());
        fields.insert("branch".to_owned(), json!(report.branch));
        fields.insert("base".to_owned(), json!(report.base));
        fields.insert("tool".to_owned(), json!(report.tool));
        fields.insert("checks".to_owned(), json!(report.checks));
        fields.insert("notes".to_owned(), json!(report.notes));
        fields.insert("log".to_owned(), json!(log));
        fields.insert("dry_run".to_owned(), json!(dry_run));
    }
    Ok(document::line(&whole)?)
}

fn row(item: &Item, context: &Context) -> String {
    let utf8 = matches!(context.signs(), crate::report::text::Signs::Utf8);
    let sign = match (item.status, utf8) {
        (Fate::Kept, true) => "✔ kept",
        (Fate::Kept, false) => "+ kept",
        (Fate::RolledBack, true) => "✖ rolled back",
        (Fate::RolledBack, false) => "x rolled back",
        (Fate::Planned, _) => "  to try",
        (Fate::Left, true) => "‖ not tried",
        (Fate::Left, false) => "| not tried",
        (Fate::Current, _) => "  current",
    };
    let mut line = format!("{sign:<14} {}", item.name);
    if let (Some(from), Some(to)) = (&item.from, &item.to) {
        line.push_str(&format!(" {from} to {to}"));
    }
    line.push_str(&item.phase.map(|phase| format!("  {}", phase.word())).unwrap_or_default());
    line.push_str(&item.commit.as_ref().map(|commit| format!("  {}", commit.get(..9).unwrap_or(commit))).unwrap_or_default());
    line.push_str(&item.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default());
    line.push_str(&cures(&item.cures));
    let mut text = format!("{}\n", clean(&line));
    for line in upgrade::telling(&item.output, SHOWN) {
        text.push_str(&format!("               | {}\n", clean(&line)));
    }
    text
}

/// The report for a person.
fn text(order: &Order, report: &Report, took: Duration, context: &Context) -> String {
    let mut text = headline(&order.project.id, &clean(&report.words()), &human(took)) + "\n";
    report.items.iter().for_each(|item| text.push_str(&row(item, context)));
    for note in &report.notes {
        text.push_str(&format!("note           {}\n", clean(note)));
    }
    if let Some(branch) = &report.branch {
        text.push_str(&format!("look           git log -p {}..{branch}\n", report.base.get(..9).unwrap_or(&report.base)));
        text.push_str(&format!("take           git merge {branch}\n"));
    }
    if let Some(log) = &report.log {
        text.push_str(&format!("log            {}\n", clean(&log.display().to_string())));
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::{Cli, Verb};

    #[test]
    fn limits_exclude_each_other_and_names_exclude_all() {
        let parse = |words: &[&str]| Cli::try_parse_from(["rounds", "upgrade", "app"].iter().chain(words)).map(|cli| cli.verb);
        assert!(matches!(parse(&["django", "--patch", "--yes"]), Ok(Some(Verb::Upgrade(args))) if args.patch && args.yes.as_deref() == Some("")));
        assert!(matches!(parse(&["--all", "--yes=shop"]), Ok(Some(Verb::Upgrade(args))) if args.yes.as_deref() == Some("shop")));
        assert!(parse(&["--patch", "--minor"]).is_err());
        assert!(parse(&["django", "--all"]).is_err());
    }
}
