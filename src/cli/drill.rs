//! `rounds drill ID`: a copy restored into a scratch place, asserted on, and taken away again; recorded before and after. Also the
//! tool's own check of what it keeps (`rounds backups check ID`).
//!
//! What does not belong here: the drill itself (`actions::drill`).

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{Context, Exit, Failure, act, load};
use crate::actions::drill::{self, Broken, Evidence, Order, Outcome, Said};
use crate::actions::{ActionSpec, audit, written};
use crate::app;
use crate::backups::schedule::{self, Job};
use crate::backups::{AssertConfig, DrillConfig, DrillInto};
use crate::config::model::Config;
use crate::domain::time::{duration_text, human};
use crate::domain::{Assertion, Drill, SourceId};
use crate::io::clock;
use crate::journal::{Identity, Journal};
use crate::report::text::Signs;
use crate::report::{clean, json as document};
use crate::state::acting::run_id;

/// Flags of a drill.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which data set: site/kind/name, or its site or name where that is enough
    #[arg(value_name = "ID")]
    pub id: String,
    /// This copy, by its name or the beginning of it, instead of the newest
    #[arg(long, value_name = "NAME")]
    pub copy: Option<String>,
    /// What applies to a check too.
    #[command(flatten)]
    pub common: Common,
}

/// Flags of a check.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// Which data set: site/kind/name, or its site or name where that is enough
    #[arg(value_name = "ID")]
    pub id: String,
    /// What applies to a drill too.
    #[command(flatten)]
    pub common: Common,
}

/// Flags of both.
#[derive(Debug, clap::Args)]
pub struct Common {
    /// Do not ask
    #[arg(long, value_name = "SITE", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub yes: Option<String>,
    /// Print one JSON document with one item: the evidence
    #[arg(long)]
    pub json: bool,
}

/// Tries a restore: exit code 0 when all held, 1 when not or when it was stopped, 64 when nothing was begun.
///
/// # Errors
/// What kept it from beginning; with `--json` it is in the document as well.
pub fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    told(&args.common, context, carried_out(Job::Drill, &args.id, args.copy.as_deref(), &args.common, context))
}

/// Lets a tool check what it keeps: exit codes as for a drill.
///
/// # Errors
/// As for a drill.
pub fn check(args: &CheckArgs, context: &Context) -> Result<Exit, Failure> {
    told(&args.common, context, carried_out(Job::Check, &args.id, None, &args.common, context))
}

fn told(common: &Common, context: &Context, done: Result<Exit, Failure>) -> Result<Exit, Failure> {
    done.inspect_err(|failure| {
        if common.json && !matches!(failure, Failure::ClosedPipe) {
            // The failure itself is told next; nobody is left to be told when standard output is closed.
            let line = document::line(&document::no_items(&failure.as_source_error(), clock::now()));
            let _ = line.map(|line| context.print(&line));
        }
    })
}

fn carried_out(job: Job, id: &str, copy: Option<&str>, common: &Common, context: &Context) -> Result<Exit, Failure> {
    let config = load::config(context)?;
    if context.global.read_only {
        return Err(Failure::Usage("read-only: nothing is begun".to_owned()));
    }
    if !config.trusted {
        let path = config.path.as_ref().map(|path| clean(&path.display().to_string())).unwrap_or_default();
        return Err(Failure::Usage(format!(
            "{path} was found in the working directory and is not trusted as it is now: read it, then run `rounds trust {path}`"
        )));
    }
    let (spec, order) = named(job, id, &config)?;
    let order = Order { copy: copy.map(str::to_owned), ..order };
    let site = order.source.site();
    if let Some(name) = common.yes.as_deref().filter(|name| !name.is_empty() && *name != site) {
        return Err(Failure::Usage(format!("--yes={} is not the site of {}: nothing was begun", clean(name), order.source)));
    }
    confirmed(common, &spec, &order)?;
    let (outcome, took) = recorded(common, context, &config, &spec, &order)?;
    let evidence = match &outcome.result {
        Ok(evidence) => evidence,
        Err(Broken::Stopped) => return Err(Failure::Other(anyhow::anyhow!("stopped; what was made is taken away"))),
        Err(refused) => return Err(Failure::Usage(refused.to_string())),
    };
    context.print(&if common.json { as_json(&order, evidence)? } else { text(&order.source, evidence, took, context.signs()) })?;
    Ok(Exit(u8::from(!evidence.ok())))
}

/// The data set that was meant.
fn named(job: Job, text: &str, config: &Config) -> Result<(ActionSpec, Order), Failure> {
    let all: Vec<(ActionSpec, Order)> = drill::orders(config).into_iter().filter(|(_, order)| order.job == job).collect();
    let is_meant = |id: &SourceId| {
        id.as_str() == text || id.name() == text || id.within_site() == text || id.site() == text || format!("{}/{}", id.site(), id.kind()) == text
    };
    let names = |of: &[&(ActionSpec, Order)]| of.iter().map(|(_, order)| order.source.as_str().to_owned()).collect::<Vec<_>>();
    let meant: Vec<&(ActionSpec, Order)> = all.iter().filter(|(_, order)| is_meant(&order.source)).collect();
    match meant.as_slice() {
        [(spec, order)] => Ok((spec.clone(), order.clone())),
        [] => {
            // One that cannot be made here says why.
            let entry = config.sources.iter().find(|entry| is_meant(&entry.id));
            let why = entry.map(|entry| match entry.config.repository(&entry.context) {
                Some(Err(error)) => format!("{}: {}; {}", entry.id, error.message, error.remedy),
                Some(Ok(_)) => format!("{} has no check of its own: a drill looks at a copy as a whole", entry.id),
                None => format!("{} keeps nothing that could be restored from here", entry.id),
            });
            Err(Failure::Usage(why.unwrap_or_else(|| match all.as_slice() {
                [] => format!("no data set is watched that a {} could be made of", job.word()),
                all => format!("there is no data set \"{}\"; there are: {}", clean(text), names(&all.iter().collect::<Vec<_>>()).join(", ")),
            })))
        }
        several => Err(Failure::Usage(format!("\"{}\" may be {}: write it whole", clean(text), names(several).join(" or ")))),
    }
}

/// What must hold, in words.
fn asserted(assert: &AssertConfig) -> Vec<String> {
    let mut all: Vec<String> = assert.files.iter().map(|pattern| format!("{pattern} is there and not empty")).collect();
    all.extend(assert.tables.iter().map(|table| format!("table {table} is there")));
    all.extend(assert.rows.iter().map(|(table, least)| format!("rows of {table} at least {least}")));
    all.extend(assert.newest.iter().map(|(column, most)| format!("newest {column} at most {} before the copy", duration_text(most.get()))));
    all.extend(assert.same.map(|count| format!("{count} files are the same as in the source")));
    all.extend(assert.command.as_ref().map(|argv| format!("{} ends well", written(argv))));
    all
}

/// What the confirmation says.
fn question(spec: &ActionSpec, order: &Order) -> String {
    let mut rows: Vec<(&str, String)> = Vec::new();
    if order.job == Job::Drill {
        let config: DrillConfig = order.repository.drill();
        rows.push(("restores", order.copy.clone().unwrap_or_else(|| "the newest good copy".to_owned())));
        rows.push(("into", config.scratch.clone().unwrap_or_else(|| "the system's folder for temporary files".to_owned())));
        let loads = match (config.into, config.server.is_some()) {
            (Some(DrillInto::Files), _) => "nothing".to_owned(),
            (_, true) => "a scratch database on the configured server, where it is a dump of PostgreSQL".to_owned(),
            (Some(DrillInto::Sqlite), _) => "SQLite".to_owned(),
            (Some(DrillInto::Postgres), _) => "a throw-away PostgreSQL server".to_owned(),
            (None, _) => "what fits it".to_owned(),
        };
        rows.push(("loads", loads));
        let asserts = asserted(&config.assert);
        rows.extend(asserts.iter().enumerate().map(|(at, words)| (if at == 0 { "asserts" } else { "" }, words.clone())));
    }
    rows.push(("changes", spec.confirm.clone().unwrap_or_default()));
    rows.push(("limit", human(order.limit())));
    let lines: Vec<String> = rows.iter().map(|(name, words)| format!("  {name:<8} {}\n", clean(words))).collect();
    format!("{}\n{}", clean(&drill::title(order.job, &order.source)), lines.concat())
}

fn confirmed(common: &Common, spec: &ActionSpec, order: &Order) -> Result<(), Failure> {
    if common.yes.is_some() {
        return Ok(());
    }
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(Failure::Usage(format!(
            "nobody can be asked here: it is no terminal; write --yes to begin the {} without asking",
            drill::title(order.job, &order.source)
        )));
    }
    act::tell(&question(spec, order));
    if act::ask("Enter begins, anything else leaves it: ")?.is_empty() { Ok(()) } else { Err(Failure::Usage("nothing was begun".to_owned())) }
}

/// Does it with a record before and after, like an action.
fn recorded(common: &Common, context: &Context, config: &Config, spec: &ActionSpec, order: &Order) -> Result<(Outcome, Duration), Failure> {
    let journal = load::state_dir(context).and_then(|dir| {
        let opened = Journal::open(&dir, &config.journal, Identity::of_this_process());
        if let Some(trouble) = opened.trouble {
            super::complain(&trouble.notice(clock::now()).text);
        }
        opened.journal
    });
    let journal = journal.as_ref();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("rounds-io").enable_all().build()?;
    let stop = CancellationToken::new();
    let signal = {
        let _entered = runtime.enter();
        act::stopped_by_signals(&stop)?
    };
    let by = app::person();
    let record = drill::begun(order, &run_id(&format!("{by}.{}", std::process::id()), clock::now(), 0), &by, clock::now());
    act::keep(journal, record.clone());
    let quiet = common.json && !io::stderr().is_terminal();
    let mut tell = |said| {
        if quiet {
            return;
        }
        match said {
            Said::Doing(words) => super::complain(&words),
            Said::Line(line) => act::tell(&format!("  {}\n", clean(&line))),
        }
    };
    let begun = Instant::now();
    let outcome = runtime.block_on(drill::carry_out(order, &record, &stop, &mut tell));
    signal.abort();
    let took = begun.elapsed();
    let mut end = outcome.end(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    if outcome.result == Err(Broken::Stopped) {
        end.words = format!("stopped by {by}");
    }
    let ended = audit::ended(&record, end, &spec.title, clock::now());
    for transition in outcome.told(&order.source).into_iter().chain(ended) {
        act::keep(journal, transition);
    }
    runtime.shutdown_background();
    Ok((outcome, took))
}

fn as_json(order: &Order, evidence: &Evidence) -> Result<String, Failure> {
    let mut item = match evidence {
        Evidence::Drill(drill) => serde_json::to_value(drill),
        Evidence::Check(check) => serde_json::to_value(check),
    }
    .map_err(anyhow::Error::from)?;
    if let Some(fields) = item.as_object_mut() {
        fields.insert("source".to_owned(), order.source.as_str().into());
        fields.insert("job".to_owned(), Value::from(order.job.word()));
    }
    Ok(document::line(&document::items(vec![item], clock::now()))?)
}

/// One assertion as a line.
pub(super) fn assertion_line(assertion: &Assertion, signs: Signs) -> String {
    let sign = match (assertion.ok, signs) {
        (true, Signs::Utf8) => "✔",
        (false, Signs::Utf8) => "✖",
        (true, Signs::Ascii) => "+",
        (false, Signs::Ascii) => "x",
    };
    format!("{sign} {}: {}\n", clean(&assertion.name), clean(&assertion.seen))
}

/// What each part of a drill took: `restore 1.2 s, load 2.9 s`.
pub(super) fn phases(drill: &Drill) -> String {
    let parts: Vec<String> = drill.phases.iter().map(|(phase, seconds)| format!("{phase} {}", schedule::took(*seconds))).collect();
    parts.join(", ")
}

fn text(source: &SourceId, evidence: &Evidence, took: Duration, signs: Signs) -> String {
    let mut text = format!("{source}: {}\n", clean(&evidence.words()));
    if let Evidence::Drill(drill) = evidence {
        if let Some(copy) = &drill.copy {
            text.push_str(&format!("copy    {}\n", clean(copy)));
        }
        text.push_str(&format!("took    {}\n", phases(drill)));
        drill.assertions.iter().for_each(|assertion| text.push_str(&assertion_line(assertion, signs)));
    } else {
        text.push_str(&format!("took    {}\n", schedule::took(took.as_secs_f64())));
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::{Cli, Verb, backups};
    use super::*;

    #[test]
    fn the_words_are_understood() {
        let parse = |words: &[&str]| Cli::try_parse_from(["rounds"].iter().chain(words)).map(|cli| cli.verb);
        assert!(matches!(parse(&["drill", "db", "--copy", "a1", "--yes"]), Ok(Some(Verb::Drill(args))) if args.copy.as_deref() == Some("a1")));
        assert!(matches!(
            parse(&["backups", "drill", "db", "--json"]),
            Ok(Some(Verb::Backups(backups::Args { what: Some(backups::What::Drill(args)), .. }))) if args.common.json
        ));
        assert!(matches!(parse(&["backups", "shop", "--json"]), Ok(Some(Verb::Backups(args))) if args.what.is_none() && args.list.ids == ["shop"]));
        assert!(parse(&["drill"]).is_err());
    }

    #[test]
    fn what_must_hold_is_said_before() {
        let config: DrillConfig = toml::from_str(
            "assert = { files = [\"*.sql\"], tables = [\"a\"], rows = { a = 5 }, newest = { \"a.b\" = \"26h\" }, same = 3, command = [\"./look\"] }",
        )
        .unwrap();
        let said = asserted(&config.assert);
        assert_eq!(said.len(), 6);
        assert_eq!(said[3], "newest a.b at most 1d2h before the copy");
    }
}
