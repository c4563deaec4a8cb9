//! `rounds errors`: the errors page as a verb: the issues of trackers and the error groups of logs, in one list, and what can be done
//! to them.

pub mod change;
pub mod find;
pub mod show;

use self::change::{Flags, Wanted};
use super::{Context, Exit, Failure, check, load};
use crate::app::pass;
use crate::config::model::Config;
use crate::domain::time::parse_duration;
use crate::domain::{Capability, SourceError, Status};
use crate::io::clock;
use crate::journal::{Redactor, read_snapshot};
use crate::report::{json, tables};
use crate::state::saved;

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

/// What can be done with errors.
#[derive(Debug, clap::Subcommand)]
pub enum What {
    /// Print the issues of error trackers and the error groups of logs
    List(List),
    /// Print one issue and its latest event
    Show(Show),
    /// Resolve issues: now, in the next release, in a release or in a commit
    Resolve(Resolve),
    /// Archive issues: until they escalate, for ever, for a time, or until there are more events or users
    Archive(Archive),
    /// Open issues again
    Unresolve(Plain),
    /// Give issues to somebody, or to nobody
    Assign(Assign),
    /// Mark issues as reviewed
    Review(Plain),
}

/// Flags of `show`.
#[derive(Debug, clap::Args)]
pub struct Show {
    /// Which: a short id (SHOP-4K2), a number, or site/kind/name#id
    #[arg(value_name = "ID")]
    pub id: String,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
    /// How long looking may take
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_duration)]
    pub timeout: std::time::Duration,
}

/// Flags of what asks for nothing more.
#[derive(Debug, clap::Args)]
pub struct Plain {
    /// Which, and how.
    #[command(flatten)]
    pub flags: Flags,
}

/// Flags of `resolve`.
#[derive(Debug, clap::Args)]
pub struct Resolve {
    /// Which, and how.
    #[command(flatten)]
    pub flags: Flags,
    /// Once the next release is out
    #[arg(long, conflicts_with_all = ["in_release", "in_commit"])]
    pub in_next_release: bool,
    /// By this release: its version, or latest
    #[arg(long, value_name = "VERSION", conflicts_with = "in_commit")]
    pub in_release: Option<String>,
    /// By this commit of --repository
    #[arg(long, value_name = "COMMIT", requires = "repository")]
    pub in_commit: Option<String>,
    /// The commit's repository, as the tracker calls it: acme/shop
    #[arg(long, value_name = "NAME", requires = "in_commit")]
    pub repository: Option<String>,
}

/// Flags of `archive`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("until").multiple(false))]
pub struct Archive {
    /// Which, and how.
    #[command(flatten)]
    pub flags: Flags,
    /// Until it comes much more often; this is so when nothing else is said
    #[arg(long, group = "until")]
    pub until_escalating: bool,
    /// For ever
    #[arg(long, group = "until")]
    pub forever: bool,
    /// For so long: 2h, 7d
    #[arg(long = "for", value_name = "DURATION", group = "until")]
    pub time: Option<String>,
    /// Until it came so many times more
    #[arg(long, value_name = "N", group = "until")]
    pub events: Option<String>,
    /// Until it hit so many users more
    #[arg(long, value_name = "N", group = "until")]
    pub users: Option<String>,
}

/// Flags of `assign`.
#[derive(Debug, clap::Args)]
pub struct Assign {
    /// Which, and how.
    #[command(flatten)]
    pub flags: Flags,
    /// To whom: me, nobody, #team, an address or a login name
    #[arg(long, value_name = "WHO")]
    pub to: String,
}

impl Resolve {
    fn wanted(&self) -> Wanted {
        match (&self.in_release, &self.in_commit) {
            (Some(release), _) => Wanted { offer: "resolve_in_release", answers: vec![("release", release.clone())] },
            (None, Some(commit)) => {
                let repository = self.repository.clone().unwrap_or_default();
                Wanted { offer: "resolve_in_commit", answers: vec![("repository", repository), ("commit", commit.clone())] }
            }
            (None, None) => Wanted::plain(if self.in_next_release { "resolve_in_next_release" } else { "resolve" }),
        }
    }
}

impl Archive {
    fn wanted(&self) -> Wanted {
        let answers = [("archive_for", "for", &self.time), ("archive_events", "events", &self.events), ("archive_users", "users", &self.users)];
        let answered = answers.into_iter().find_map(|(offer, name, answer)| Some(Wanted { offer, answers: vec![(name, answer.clone()?)] }));
        answered.unwrap_or_else(|| Wanted::plain(if self.forever { "archive_forever" } else { "archive" }))
    }
}

impl Assign {
    fn wanted(&self) -> Wanted {
        match self.to.as_str() {
            "me" => Wanted::plain("assign_me"),
            "nobody" | "" => Wanted::plain("assign_nobody"),
            who => Wanted { offer: "assign", answers: vec![("to", who.to_owned())] },
        }
    }
}

/// Flags of `list`.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Only of these sources: site/kind/name, or all of a site or of a site/kind
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// Only what this saved query of the trackers gives, by its name in the configuration
    #[arg(long, value_name = "NAME")]
    pub query: Option<String>,
    /// Print one JSON document, one item for each issue
    #[arg(long)]
    pub json: bool,
    /// How long looking may take
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_duration)]
    pub timeout: std::time::Duration,
}

/// Looks once and prints the issues.
///
/// # Errors
/// A wrong configuration; with `--json` it is in the document as well.
pub fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let args = match &args.what {
        Some(What::List(list)) => list,
        None => &args.list,
        Some(What::Show(args)) => return shown(args, context),
        Some(What::Resolve(args)) => return change::run(&args.wanted(), &args.flags, context),
        Some(What::Archive(args)) => return change::run(&args.wanted(), &args.flags, context),
        Some(What::Unresolve(args)) => return change::run(&Wanted::plain("unresolve"), &args.flags, context),
        Some(What::Assign(args)) => return change::run(&args.wanted(), &args.flags, context),
        Some(What::Review(args)) => return change::run(&Wanted::plain("review"), &args.flags, context),
    };
    let mut config = match check::configured(&args.ids, context) {
        Ok(config) => config,
        Err(failure) => {
            if args.json {
                context.print(&json::line(&json::no_items(&failure.as_source_error(), clock::now()))?)?;
            }
            return Err(failure);
        }
    };
    config.sources.retain(|entry| matches!(entry.config.spec(&entry.context).capability, Capability::Issues | Capability::Log));
    // What is new or resolved in a log is told by what was known before.
    let known = super::load::state_dir(context).as_deref().and_then(read_snapshot);
    if let Some(name) = &args.query
        && let Err(failure) = only_with(&mut config, name)
    {
        if args.json {
            context.print(&json::line(&json::no_items(&failure.as_source_error(), clock::now()))?)?;
        }
        return Err(failure);
    }
    let mut state = pass::once(&config, args.timeout, known.as_ref())?;
    if let Some(name) = &args.query {
        saved::only(&mut state.world, name);
    }
    let sources = || state.world.sources.values();
    // Nothing was looked at, which is not the same as nothing found.
    let nothing = state
        .world
        .sources
        .is_empty()
        .then(|| SourceError::nothing("no error tracker and no log is watched: nothing was asked", "write [site.NAME.sentry.NAME]"));
    let text = if args.json {
        json::line(&json::items(json::error_items(&state.world, clock::now()), clock::now()).and_unknown(sources()).unless(nothing.as_ref()))?
    } else {
        tables::errors(&state.world, clock::now(), context.signs())
    };
    context.print(&text)?;
    // What could not be looked at is a failure of this verb, not a verdict about the site.
    let unseen = sources().any(|source| source.status == Status::Unknown);
    Ok(Exit(u8::from(unseen || nothing.is_some())))
}

/// Prints one issue.
fn shown(args: &Show, context: &Context) -> Result<Exit, Failure> {
    let look = || -> Result<_, Failure> {
        let mut config = load::config(context)?;
        find::narrow(&mut config);
        let doors = find::doors(&config);
        let known = super::load::state_dir(context).as_deref().and_then(read_snapshot);
        let meant = find::meant(std::slice::from_ref(&args.id), &config, &doors, args.timeout, known.as_ref())?;
        let Some(one) = meant.into_iter().next() else { return Err(Failure::Usage("nothing is called so".to_owned())) };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("rounds-io").enable_all().build()?;
        let mut detail = doors.get(&one.key.source).and_then(|door| runtime.block_on(door.detail(&one.key, None)));
        if let Some(Ok(detail)) = &mut detail {
            Redactor::new(&config.journal.redact).unwrap_or_default().detail(detail);
        }
        runtime.shutdown_background();
        Ok((one, detail))
    };
    let (one, detail) = match look() {
        Ok(found) => found,
        Err(failure) => {
            if args.json {
                context.print(&json::line(&json::no_items(&failure.as_source_error(), clock::now()))?)?;
            }
            return Err(failure);
        }
    };
    let failed = matches!(detail, Some(Err(_)));
    let text = if args.json { json::line(&json::items(vec![show::data(&one, detail.as_ref())], clock::now()))? } else { show::text(&one, detail.as_ref()) };
    context.print(&text)?;
    Ok(Exit(u8::from(failed)))
}

/// Leaves only the trackers that have a saved query of this name.
fn only_with(config: &mut Config, name: &str) -> Result<(), Failure> {
    let mut known: Vec<String> = config.sources.iter().flat_map(|entry| entry.config.saved_queries()).collect();
    config.sources.retain(|entry| entry.config.saved_queries().iter().any(|known| known == name));
    if !config.sources.is_empty() {
        return Ok(());
    }
    known.sort();
    known.dedup();
    let known =
        if known.is_empty() { "none is configured; write `queries` in [site.NAME.sentry.NAME]".to_owned() } else { format!("there is {}", known.join(", ")) };
    Err(Failure::Usage(format!("no saved query is named {name}: {known}")))
}
