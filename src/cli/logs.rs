//! `rounds logs`: the logs page as a verb: what is in the logs now by level and group, or their lines, also as they come.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};

use regex::Regex;

use super::{Color, Context, Exit, Failure, check};
use crate::app::lines::{self, News, Wanted};
use crate::app::pass;
use crate::config::model::Config;
use crate::domain::time::parse_duration;
use crate::domain::{Capability, ErrorKind, Level, SourceError, SourceId, Status};
use crate::io::{clock, zone};
use crate::report::{json, log_lines, text};
use crate::state::logview::moment::parse_moment;
use crate::state::view::ZoneName;

/// Newest events of each log in the summary, and at the beginning of following.
const NEWEST: usize = 20;
/// Newest events where something is looked for.
const MATCHES: usize = 1_000;

/// Its flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only these logs: site/log/name, or all of a site
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// Go on with what comes, until interrupted or the reader of the pipe ends
    #[arg(long, short)]
    pub follow: bool,
    /// Only events since then: 2h, 03:00, yesterday 18:00, 2026-11-20 03:00; older files are read for it
    #[arg(long, value_name = "MOMENT")]
    pub since: Option<String>,
    /// Only events of this level and above: debug, info, warning, error, critical
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    pub level: Option<Level>,
    /// Only events in which this is found; several times: all of them. Older files are read for it
    #[arg(long, value_name = "REGEX", value_parser = lines::pattern)]
    pub grep: Vec<Regex>,
    /// No events in which this is found
    #[arg(long, value_name = "REGEX", value_parser = lines::pattern)]
    pub exclude: Vec<Regex>,
    /// Print one JSON document, one item for each log; with --follow one document a line for each event
    #[arg(long)]
    pub json: bool,
    /// How many of the newest events to print [default: 20 of each log; 1000 where something is looked for; all with --since]
    #[arg(long, short = 'n', value_name = "N")]
    pub lines: Option<usize>,
    /// How long reading may take
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_duration)]
    pub timeout: std::time::Duration,
}

fn level(text: &str) -> Result<Level, String> {
    let wanted = text.to_ascii_lowercase();
    let named = |level: &Level| level.word() == wanted || (wanted == "warn" && *level == Level::Warning);
    Level::ALL.into_iter().find(named).ok_or_else(|| "write debug, info, warning, error or critical".to_owned())
}

/// Reads the logs once and prints what is in them.
///
/// # Errors
/// A wrong configuration or moment; with `--json` it is in the document as well.
pub fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let asked = check::configured(&args.ids, context).and_then(|config| {
        let wanted = wanted(args, &config)?;
        Ok((config, wanted))
    });
    let (mut config, wanted) = match asked {
        Ok(asked) => asked,
        Err(failure) => {
            if args.json {
                context.print(&json::line(&json::no_items(&failure.as_source_error(), clock::now()))?)?;
            }
            return Err(failure);
        }
    };
    config.sources.retain(|entry| entry.config.spec(&entry.context).capability == Capability::Log);
    let state = pass::once(&config, args.timeout, None)?;
    // Nothing was looked at, which is not the same as nothing found.
    let nothing = state.world.sources.is_empty().then(|| SourceError::nothing("no log is watched: nothing was read", "write [site.NAME.log.NAME]"));
    // A log that could not be read is a failure of this verb, not a verdict about the site.
    let unread = state.world.sources.values().any(|source| source.status == Status::Unknown);
    let exit = Exit(u8::from(unread || nothing.is_some()));
    if wanted.is_all() && !args.follow {
        let most = args.lines.unwrap_or(NEWEST);
        let text = if args.json {
            json::line(&json::items(state.world.sources.values().map(json::log_item).collect(), clock::now()).unless(nothing.as_ref()))?
        } else {
            text::logs(&state.world, clock::now(), most, context.signs())
        };
        context.print(&text)?;
        return Ok(exit);
    }
    let most = args.lines.unwrap_or(match (wanted.since, args.follow) {
        (Some(_), _) => lines::MOST,
        (None, true) => NEWEST,
        (None, false) => MATCHES,
    });
    let gathered = lines::gather(&config, &state, &wanted, most, args.timeout)?;
    for problem in &gathered.problems {
        eprintln!("rounds: {}", log_lines::clean(problem));
    }
    let style = log_lines::Style { colours: colours(context), signs: context.signs() };
    if args.json && !args.follow {
        let items = state.world.sources.values().map(|source| log_lines::with_events(json::log_item(source), &gathered.lines, &source.spec.id));
        context.print(&json::line(&json::items(items.collect(), clock::now()).unless(nothing.as_ref()))?)?;
        return Ok(exit);
    }
    let print = |lines: &[log_lines::Line]| -> Result<(), Failure> {
        let text: String = lines.iter().map(|line| if args.json { log_lines::json_line(line) } else { log_lines::text_line(line, style) }).collect();
        if text.is_empty() { Ok(()) } else { context.print(&text) }
    };
    if let Some(nothing) = nothing {
        eprintln!("rounds: {}; {}", nothing.message, nothing.remedy);
        return Ok(exit);
    }
    for source in state.world.sources.values().filter(|source| source.status == Status::Unknown) {
        let why = source.error.as_ref().map_or("it was not read", |error| error.message.as_str());
        eprintln!("rounds: {}: {}", source.spec.id, log_lines::clean(why));
    }
    print(&gathered.lines)?;
    if args.follow { follow(&config, &wanted, print) } else { Ok(exit) }
}

fn wanted(args: &Args, config: &Config) -> Result<Wanted, Failure> {
    let now = clock::now();
    let zone = config.ui.zone.map_or_else(|| zone::machine(now), ZoneName::Named);
    let since = args.since.as_deref().map(|text| parse_moment(text, now, zone)).transpose();
    let since = since.map_err(|said| Failure::Usage(format!("--since: {said}")))?;
    Ok(Wanted { since, least: args.level, grep: args.grep.clone(), exclude: args.exclude.clone() })
}

/// Prints what comes; messages about the logs themselves go to standard error.
fn follow(config: &Config, wanted: &Wanted, print: impl Fn(&[log_lines::Line]) -> Result<(), Failure>) -> Result<Exit, Failure> {
    let mut failed = Ok(Exit(0));
    let mut trouble: BTreeMap<SourceId, ErrorKind> = BTreeMap::new();
    lines::follow(config, wanted, |news| {
        match news {
            News::Lines(lines) => {
                for line in &lines {
                    trouble.remove(&line.source);
                }
                if let Err(failure) = print(&lines) {
                    failed = Err(failure);
                }
            }
            News::Skipped(_, 0) => {}
            News::Skipped(source, events) => eprintln!("rounds: {source}: {events} lines skipped, too many came at once"),
            News::Failed(source, error) => {
                // Once, not at each try.
                if trouble.insert(source.clone(), error.kind) != Some(error.kind) {
                    eprintln!("rounds: {source}: {}", log_lines::clean(&error.message));
                }
            }
        }
        failed.is_ok()
    })?;
    failed
}

/// Whether lines have colours: on a terminal, unless told otherwise.
fn colours(context: &Context) -> bool {
    match context.global.color {
        Color::Never => false,
        Color::Always => true,
        Color::Auto => io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    }
}
