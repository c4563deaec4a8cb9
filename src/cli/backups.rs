//! `rounds backups`: the backups page as a verb: each data set against its promise, one of them whole, restores and checks.

use std::time::Duration;

use serde_json::{Value, json};

use super::drill::{self, CheckArgs};
use super::{Context, Exit, Failure, check, load};
use crate::app::pass;
use crate::backups::{Entry, schedule};
use crate::config::model;
use crate::domain::time::{human, parse_duration, rfc3339, since};
use crate::domain::{Backup, Capability, Copy, SourceError, Status, Timestamp, size_text};
use crate::io::clock;
use crate::journal::read_snapshot;
use crate::report::{clean, json as document, tables};
use crate::state::SourceState;

/// Copies, runs and names that are printed of one data set.
const SHOWN: usize = 12;

/// Its flags: those of `list`, which is what it does without a word.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub what: Option<What>,
    /// Without one: the list.
    #[command(flatten)]
    pub list: List,
}

/// What can be done with backups.
#[derive(Debug, clap::Subcommand)]
pub enum What {
    /// Print how the data sets stand
    List(List),
    /// Print one data set: its copies, runs, checks and drills, and how a person restores it
    Show(Show),
    /// Restore a copy into a scratch place and look whether what must hold does
    Drill(drill::Args),
    /// Let the tool check what it keeps
    Check(CheckArgs),
}

/// Flags of `list`.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Only these data sets: site/kind/name, or all of a site or of a site/kind
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// Print one JSON document, one item for each data set
    #[arg(long)]
    pub json: bool,
    /// How long looking may take
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_duration)]
    pub timeout: Duration,
}

/// Flags of `show`.
#[derive(Debug, clap::Args)]
pub struct Show {
    /// Which data set: site/kind/name
    #[arg(value_name = "ID")]
    pub id: String,
    /// List what this copy holds
    #[arg(long, value_name = "COPY")]
    pub files: Option<String>,
    /// Of it, what lies directly below this folder
    #[arg(long, value_name = "DIR", requires = "files", default_value = "")]
    pub under: String,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
    /// How long looking may take
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_duration)]
    pub timeout: Duration,
}

/// Does what is asked; looks once and prints how the data sets stand.
///
/// # Errors
/// A wrong configuration; with `--json` it is in the document as well.
pub fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    match &args.what {
        None => list(&args.list, context),
        Some(What::List(args)) => list(args, context),
        Some(What::Show(args)) => told(args.json, context, show(args, context)),
        Some(What::Drill(args)) => drill::run(args, context),
        Some(What::Check(args)) => drill::check(args, context),
    }
}

fn told(as_json: bool, context: &Context, done: Result<Exit, Failure>) -> Result<Exit, Failure> {
    done.inspect_err(|failure| {
        if as_json && !matches!(failure, Failure::ClosedPipe) {
            // The failure itself is told next; nobody is left to be told when standard output is closed.
            let line = document::line(&document::no_items(&failure.as_source_error(), clock::now()));
            let _ = line.map(|line| context.print(&line));
        }
    })
}

fn list(args: &List, context: &Context) -> Result<Exit, Failure> {
    let mut config = match check::configured(&args.ids, context) {
        Ok(config) => config,
        Err(failure) => return told(args.json, context, Err(failure)),
    };
    config.sources.retain(is_backup);
    let known = load::state_dir(context).as_deref().and_then(read_snapshot);
    let state = pass::once(&config, args.timeout, known.as_ref())?;
    // Nothing was looked at, which is not the same as nothing found.
    let nothing = state.world.sources.is_empty().then(|| SourceError::nothing("no backup is watched: nothing was looked at", "write [site.NAME.files.NAME]"));
    let text = if args.json {
        document::line(&document::items(state.world.sources.values().map(document::backup_item).collect(), clock::now()).unless(nothing.as_ref()))?
    } else {
        tables::backups(&state.world, clock::now(), context.signs())
    };
    context.print(&text)?;
    // What could not be looked at is a failure of this verb, not a verdict about the site.
    let unseen = state.world.sources.values().any(|source| source.status == Status::Unknown);
    Ok(Exit(u8::from(unseen || nothing.is_some())))
}

fn is_backup(entry: &model::Entry) -> bool {
    entry.config.spec(&entry.context).capability == Capability::Backup
}

/// One data set, whole.
fn show(args: &Show, context: &Context) -> Result<Exit, Failure> {
    let mut config = check::configured(std::slice::from_ref(&args.id), context)?;
    config.sources.retain(is_backup);
    let [entry] = config.sources.as_slice() else {
        let names: Vec<&str> = config.sources.iter().map(|entry| entry.id.as_str()).collect();
        return Err(Failure::Usage(match names.as_slice() {
            [] => format!("{} is no backup", clean(&args.id)),
            several => format!("\"{}\" may be {}: write it whole", clean(&args.id), several.join(" or ")),
        }));
    };
    let repository = entry.config.repository(&entry.context);
    if let Some(copy) = &args.files {
        let repository = match repository {
            Some(Ok(repository)) => repository,
            Some(Err(error)) => return Err(Failure::Usage(format!("{}; {}", error.message, error.remedy))),
            None => return Err(Failure::Usage(format!("{} keeps nothing that could be looked into from here", entry.id))),
        };
        if !config.trusted {
            return Err(Failure::Usage("this configuration may not run commands: read it, then run `rounds trust`".to_owned()));
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("rounds-io").enable_all().build()?;
        let listed = runtime.block_on(async { tokio::time::timeout(args.timeout, repository.files(copy, &args.under)).await });
        runtime.shutdown_background();
        let entries = match listed {
            Ok(Ok(entries)) => entries,
            Ok(Err(error)) => return Err(Failure::Other(anyhow::anyhow!("{}; {}", error.message, error.remedy))),
            Err(_) => return Err(Failure::Other(anyhow::anyhow!("not listed within {}; --timeout gives it longer", human(args.timeout)))),
        };
        context.print(&if args.json {
            document::line(&document::items(entries.iter().map(file_item).collect(), clock::now()))?
        } else {
            files_text(&entries)
        })?;
        return Ok(Exit::OK);
    }
    let known = load::state_dir(context).as_deref().and_then(read_snapshot);
    let state = pass::once(&config, args.timeout, known.as_ref())?;
    let Some(source) = state.world.sources.values().next() else {
        return Err(Failure::Usage("the source is paused: nothing was looked at".to_owned()));
    };
    let now = clock::now();
    let by_hand = |copy: &Copy| repository.as_ref().and_then(|repository| repository.as_ref().ok()).map(|repository| repository.by_hand(copy));
    let text = if args.json {
        let mut item = document::backup_item(source);
        if let (Some(fields), Some((_, backup))) = (item.as_object_mut(), &source.backup) {
            fields.insert("by_hand".to_owned(), newest(backup).and_then(by_hand).into());
            fields.insert("drill_words".to_owned(), schedule::words(source, now).into());
            fields.insert("drill_due".to_owned(), schedule::due_at(source, schedule::Job::Drill).map(rfc3339).into());
            fields.insert("check_due".to_owned(), schedule::due_at(source, schedule::Job::Check).map(rfc3339).into());
        }
        document::line(&document::items(vec![item], now))?
    } else {
        whole(source, now, by_hand, context)
    };
    context.print(&text)?;
    Ok(Exit(u8::from(source.status == Status::Unknown)))
}

fn newest(backup: &Backup) -> Option<&Copy> {
    backup.copies.iter().rev().find(|copy| copy.complete != Some(false))
}

fn file_item(entry: &Entry) -> Value {
    json!({ "path": entry.path, "folder": entry.folder, "size_bytes": entry.size, "changed": entry.changed.map(rfc3339) })
}

fn files_text(entries: &[Entry]) -> String {
    let line = |entry: &Entry| {
        let size = if entry.folder { "-".to_owned() } else { entry.size.map_or_else(|| "?".to_owned(), size_text) };
        let changed = entry.changed.map_or_else(|| "-".to_owned(), |at| at.format("%Y-%m-%d %H:%M").to_string());
        format!("{size:>10}  {changed:<16}  {}{}\n", clean(&entry.path), if entry.folder { "/" } else { "" })
    };
    if entries.is_empty() { "nothing lies there\n".to_owned() } else { entries.iter().map(line).collect() }
}

/// One data set for reading.
fn whole(source: &SourceState, now: Timestamp, by_hand: impl Fn(&Copy) -> Option<String>, context: &Context) -> String {
    let mut text = tables::backups_of(&[source], now, context.signs());
    let mut row = |name: &str, words: String| text.push_str(&format!("  {name:<9} {}\n", clean(&words)));
    let Some((_, backup)) = &source.backup else { return text };
    let ago = |at: Timestamp| format!("{} ago", human(since(at, now)));
    backup.complaints.iter().for_each(|complaint| row("odd", complaint.clone()));
    row("in", backup.place.clone());
    for place in &backup.places {
        let newest = place.newest.map_or_else(|| "nothing good".to_owned(), ago);
        let here = if place.same_machine == Some(true) { ", on the machine that it protects" } else { "" };
        row("place", format!("{}: {newest}{here}", place.name));
    }
    if let Some(check) = &backup.check {
        row(
            "check",
            format!(
                "{} {}: {}{}",
                ago(check.at),
                if check.ok { "well" } else { "failed" },
                check.depth,
                if check.message.is_empty() { String::new() } else { format!(", {}", check.message) }
            ),
        );
    }
    row("drill", schedule::words(source, now).unwrap_or_else(|| "never restored; none is promised".to_owned()));
    if let Some(at) = backup.next_at {
        row("next", rfc3339(at));
    }
    if let Some(run) = &backup.last_failure {
        let at = run.ended.or(run.started).map_or_else(|| "?".to_owned(), rfc3339);
        row("failed", format!("{at}{}", if run.message.is_empty() { String::new() } else { format!(": {}", run.message) }));
        run.output.iter().for_each(|line| row("printed", line.clone()));
    }
    for lock in &backup.locks {
        let since = lock.since.map_or_else(String::new, |at| format!(" for {}", human(since(at, now))));
        row("lock", format!("{}{since}{}", lock.holder, if lock.stale { ", which has ended" } else { "" }));
    }
    if let Some(at) = backup.full_on {
        row("full on", at.format("%-d %b %Y").to_string());
    }
    for run in backup.runs.iter().rev().take(SHOWN) {
        let at = run.ended.or(run.started).map_or_else(|| "?".to_owned(), rfc3339);
        let how = match run.ok {
            Some(true) => "well",
            Some(false) => "failed",
            None => "runs, or nobody saw its end",
        };
        row("run", format!("{at} {how}{}", if run.message.is_empty() { String::new() } else { format!(": {}", run.message) }));
    }
    for copy in backup.copies.iter().rev().take(SHOWN) {
        let size = copy.size_bytes.map_or_else(|| "?".to_owned(), size_text);
        row(
            "copy",
            format!("{} {size:>10}  {}{}", rfc3339(copy.at), copy.name, copy.problem.as_deref().map_or(String::new(), |problem| format!("  {problem}"))),
        );
    }
    if let Some(command) = newest(backup).and_then(by_hand) {
        row("restore", command);
    }
    if let Some(drill) = &backup.drill {
        text.push_str(&format!("  last drill: {}\n", drill::phases(drill)));
        drill.assertions.iter().for_each(|assertion| text.push_str(&format!("    {}", drill::assertion_line(assertion, context.signs()))));
    }
    text
}
