//! `rounds act ID`: runs an action from a shell or a script, with the same confirmation and the same record as its key.

use std::io::{self, BufRead, IsTerminal, Write};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Context, Exit, Failure, load};
use crate::actions::{Action, Order, Progress, audit, runner, written};
use crate::app::{self, signals, signals::Signal};
use crate::config::model::Config;
use crate::domain::time::human;
use crate::domain::{SourceId, Transition};
use crate::io::clock;
use crate::journal::{Identity, Journal};
use crate::report::clean;
use crate::state::acting::{chain, find, needs_name, run_id};
use crate::state::{State, World};

/// How long the journal may take to write one record.
const KEEPING: Duration = Duration::from_secs(5);
/// What is said where an action cannot be asked about.
const NOT_A_TERMINAL: &str = "nobody can be asked here: it is no terminal";

/// Its flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which: site/action/name, or its name alone where only one site has it
    #[arg(value_name = "ID")]
    pub id: String,
    /// Run it without asking; a dangerous one on production needs the site's name here: --yes=SITE
    #[arg(long, value_name = "SITE", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub yes: Option<String>,
    /// The answer to what the action asks for
    #[arg(long, value_name = "TEXT")]
    pub answer: Option<String>,
}

/// Runs it: exit code 0 when it ended well, 1 when not, 64 when it was not run.
///
/// # Errors
/// No such action, an untrusted configuration, nobody to ask and no `--yes`.
pub fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let config = load::config(context)?;
    let state = app::initial_state(&config);
    let id = named(&args.id, &config)?;
    if context.global.read_only {
        return Err(Failure::Usage("read-only: nothing is run".to_owned()));
    }
    if let Some(path) = &state.world.untrusted {
        return Err(Failure::Usage(format!(
            "{path} was found in the working directory and is not trusted as it is now: read it, then run `rounds trust {path}`"
        )));
    }
    let answer = confirmed(args, &state, &id, context)?;

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("rounds-io").enable_all().build()?;
    let journal = load::state_dir(context).and_then(|dir| {
        let opened = Journal::open(&dir, &config.journal, Identity::of_this_process());
        if let Some(trouble) = opened.trouble {
            super::complain(&trouble.notice(clock::now()).text);
        }
        opened.journal
    });
    let stop = CancellationToken::new();
    let signal = {
        let _entered = runtime.enter();
        stopped_by_signals(&stop)?
    };
    let mut next = vec![(id, answer)];
    let (mut all_well, mut nth) = (true, 0);
    while let Some((id, answer)) = next.pop() {
        let Some(action) = config.actions.iter().find(|action| action.spec.id == id) else { continue };
        let order =
            Order { run: run_id(&format!("{}.{}", app::person(), std::process::id()), clock::now(), nth), by: app::person(), action: id, answer, whole: true };
        nth += 1;
        let well = runtime.block_on(one(action, &order, &stop, journal.as_ref(), context))?;
        all_well &= well;
        if well {
            next.extend(action.spec.after.iter().rev().map(|after| (after.clone(), None)));
        }
    }
    signal.abort();
    drop(journal);
    runtime.shutdown_background();
    Ok(if all_well { Exit::OK } else { Exit(1) })
}

/// The action that was meant.
fn named(text: &str, config: &Config) -> Result<SourceId, Failure> {
    let known: Vec<&SourceId> = config.actions.iter().map(|action| &action.spec.id).collect();
    let meant: Vec<&&SourceId> = known.iter().filter(|id| id.as_str() == text || id.name() == text || id.within_site() == text).collect();
    match meant.as_slice() {
        [one] => Ok((**one).clone()),
        [] if known.is_empty() => Err(Failure::Usage("the configuration has no action: [site.NAME.action.NAME] makes one".to_owned())),
        [] => {
            let known: Vec<&str> = known.into_iter().map(SourceId::as_str).collect();
            Err(Failure::Usage(format!("there is no action \"{}\"; there are: {}", clean(text), known.join(", "))))
        }
        several => {
            let several: Vec<&str> = several.iter().map(|id| id.as_str()).collect();
            Err(Failure::Usage(format!("\"{}\" may be {}: write it whole", clean(text), several.join(" or "))))
        }
    }
}

/// Asks, or takes `--yes` for the answer. Gives the answer to the action's own prompt.
fn confirmed(args: &Args, state: &State, id: &SourceId, context: &Context) -> Result<Option<String>, Failure> {
    let world = &state.world;
    let Some(spec) = find(world, id) else { return Err(Failure::Usage(format!("there is no action {id}"))) };
    let terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
    let mut answer = args.answer.clone().filter(|_| spec.prompt.is_some());
    if args.answer.is_some() && spec.prompt.is_none() {
        return Err(Failure::Usage(format!("{id} asks for nothing: leave --answer out")));
    }
    if let (None, Some(prompt)) = (&answer, &spec.prompt) {
        if !terminal {
            return Err(Failure::Usage(format!("{id} asks \"{}\": {NOT_A_TERMINAL}; give --answer", clean(prompt))));
        }
        answer = Some(ask(&format!("{} ", clean(prompt)))?);
    }
    if answer.as_deref().is_some_and(|answer| answer.trim().is_empty()) {
        return Err(Failure::Usage("nothing was answered, nothing was run".to_owned()));
    }
    let site = id.site();
    let typed = needs_name(world, spec);
    match args.yes.as_deref() {
        Some(name) if !name.is_empty() && name != site => {
            return Err(Failure::Usage(format!("--yes={} is not the site of {id}: nothing was run", clean(name))));
        }
        Some(name) if !name.is_empty() || !typed => return Ok(answer),
        Some(_) => return Err(Failure::Usage(format!("{id} is dangerous and {site} is in production: write --yes={site}"))),
        None => {}
    }
    if !terminal {
        let flag = if typed { format!("--yes={site}") } else { "--yes".to_owned() };
        return Err(Failure::Usage(format!("{NOT_A_TERMINAL}; write {flag} to run {id} without asking")));
    }
    tell(&question(world, spec, answer.as_deref(), context));
    let said = if typed { ask("This touches production. Type the name of the site to run it: ")? } else { ask("Enter runs it, anything else leaves it: ")? };
    let yes = if typed { said == site } else { said.is_empty() };
    if yes { Ok(answer) } else { Err(Failure::Usage("nothing was run".to_owned())) }
}

/// What the confirmation says.
fn question(world: &World, spec: &crate::actions::ActionSpec, answer: Option<&str>, context: &Context) -> String {
    let mut rows: Vec<(&str, String)> = Vec::new();
    for step in spec.filled(answer) {
        rows.push(("runs", written(&step)));
    }
    rows.push(("in", format!("{}   as {}   at most {}", spec.directory, app::person(), human(spec.timeout))));
    if !spec.env.is_empty() {
        rows.push(("with", spec.env.join(", ")));
    }
    rows.extend(spec.confirm.clone().map(|words| ("changes", words)));
    for next in chain(world, spec) {
        rows.push(("then", format!("if it ends well, {}: {}", next.id.within_site(), written(next.steps.first().map_or(&[], Vec::as_slice)))));
    }
    rows.extend(spec.runbook.clone().map(|page| ("runbook", page)));
    let known = load::state_dir(context).as_deref().and_then(crate::journal::read_snapshot).unwrap_or_default();
    for run in audit::running(known.events.iter(), &spec.id, clock::now()) {
        if let crate::domain::TransitionKind::Action { by, .. } = &run.began.kind {
            rows.push(("running", format!("{by} began it, and it has not ended")));
        }
    }
    let lines: Vec<String> = rows.iter().map(|(name, words)| format!("  {name:<8} {}\n", clean(words))).collect();
    format!("{}\n{}", clean(&format!("{}: {}", spec.id.site(), spec.title)), lines.concat())
}

pub(super) fn tell(text: &str) {
    // Nobody is left to be told when standard error is closed.
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

pub(super) fn ask(question: &str) -> Result<String, Failure> {
    tell(question);
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    // The end of the input is no Enter.
    if line.is_empty() {
        return Err(Failure::Usage("nothing was run".to_owned()));
    }
    Ok(line.trim().to_owned())
}

/// The signals that end a program stop what it runs, with its group; the end is recorded then too.
pub(super) fn stopped_by_signals(stop: &CancellationToken) -> io::Result<tokio::task::JoinHandle<()>> {
    let (events, mut events_in) = mpsc::channel(8);
    signals::start(&events)?;
    let stop = stop.clone();
    Ok(tokio::spawn(async move {
        while let Some(event) = events_in.recv().await {
            match event {
                app::Event::Signal(Signal::End(_)) => stop.cancel(),
                app::Event::Signal(Signal::Stop) if signals::can_stop() => signals::stop(),
                _ => {}
            }
        }
    }))
}

/// Runs one: recorded, run with its output on standard output, recorded. Gives whether it ended well.
async fn one(action: &Action, order: &Order, stop: &CancellationToken, journal: Option<&Journal>, context: &Context) -> Result<bool, Failure> {
    let spec = &action.spec;
    let begun = audit::begun(spec, spec.filled(order.answer.as_deref()), &order.run, &order.by, clock::now());
    keep(journal, begun.clone());
    let (lines, mut lines_in) = mpsc::unbounded_channel();
    let of = spec.steps.len();
    let tell = move |progress| lines.send(progress).is_ok();
    let running = runner::run(action, order, stop, tell);
    let printing = async {
        let mut open = true;
        while let Some(progress) = lines_in.recv().await {
            match progress {
                Progress::Step(at, crate::actions::StepState::Running) if of > 1 => super::complain(&format!("step {} of {of}", at + 1)),
                Progress::Step(..) => {}
                Progress::Output(lines, dropped) if open => {
                    if dropped > 0 {
                        super::complain(&format!("{dropped} lines are left out"));
                    }
                    let lines: Vec<String> = lines.iter().map(|line| format!("{}\n", clean(line))).collect();
                    // Whoever closed the pipe has what was wanted; the action goes on to its end.
                    open = context.print(&lines.concat()).is_ok();
                }
                Progress::Output(..) => {}
            }
        }
    };
    let (end, ()) = tokio::join!(running, printing);
    let well = end.ok;
    let mut end = end;
    if end.words == "stopped" {
        end.words = format!("stopped by {}", order.by);
    }
    super::complain(&format!("{}: {} after {}", spec.id, end.words, human(Duration::from_millis(end.took_ms))));
    if let Some(ended) = audit::ended(&begun, end, &spec.title, clock::now()) {
        keep(journal, ended);
    }
    Ok(well)
}

pub(super) fn keep(journal: Option<&Journal>, transition: Transition) {
    let Some(journal) = journal else { return };
    journal.keep_transition(transition);
    if !journal.flush(KEEPING) {
        super::complain("the journal did not take the record in time");
    }
}
