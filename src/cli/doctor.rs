//! `rounds doctor`: what rounds needs of its surroundings, one line each, with what to do about what is missing.
//!
//! It runs nothing of the configuration but what gives a token, and that only when it is trusted. Names are resolved, connections opened
//! and closed; what can tell more of itself (a tracker: which program it is and what a token may; a log: its format) is asked once.

use std::fs;
use std::io::IsTerminal;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::{Context, Exit, Failure, load};

use crate::app::terminal;
use crate::config::model::{Config, Entry};
use crate::domain::time::millis_text;
use crate::io::secret::{self, Known, SecretRef};
use crate::journal;
use crate::report::clean;
use crate::report::text::Signs;
use crate::sources::{Examined, Reach, Verdict};
use crate::ui::theme::{Theme, sequence};

/// How long one name or connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long one source may be examined; less where its own time limit is.
const EXAMINING: Duration = Duration::from_secs(15);
/// Looked at in one go; the rest waits.
const PARALLEL: usize = 32;

/// Its flags.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// How one line is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Ok,
    Warning,
    Bad,
}

/// One line: what, what was seen, what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    sign: Sign,
    what: String,
    seen: String,
    remedy: String,
}

impl Line {
    fn ok(what: impl Into<String>, seen: impl Into<String>) -> Self {
        Self { sign: Sign::Ok, what: what.into(), seen: seen.into(), remedy: String::new() }
    }

    fn warning(what: impl Into<String>, seen: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { sign: Sign::Warning, what: what.into(), seen: seen.into(), remedy: remedy.into() }
    }

    fn bad(what: impl Into<String>, seen: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { sign: Sign::Bad, what: what.into(), seen: seen.into(), remedy: remedy.into() }
    }

    fn text(&self, signs: Signs) -> String {
        let sign = match (self.sign, signs) {
            (Sign::Ok, Signs::Utf8) => "✔",
            (Sign::Ok, Signs::Ascii) => "+",
            (Sign::Warning, Signs::Utf8) => "▲",
            (Sign::Warning, Signs::Ascii) => "!",
            (Sign::Bad, Signs::Utf8) => "✖",
            (Sign::Bad, Signs::Ascii) => "X",
        };
        let remedy = if self.remedy.is_empty() { String::new() } else { format!("; {}", clean(&self.remedy)) };
        format!("{sign} {:<14} {}{remedy}\n", clean(&self.what), clean(&self.seen))
    }
}

/// Looks and prints. Exit code 1 when something does not work.
///
/// # Errors
/// When standard output cannot be written to.
pub fn run(_: &Args, context: &Context) -> Result<Exit, Failure> {
    let mut bad = false;
    let mut say = |lines: Vec<Line>| -> Result<(), Failure> {
        bad |= lines.iter().any(|line| line.sign == Sign::Bad);
        let text: String = lines.iter().map(|line| line.text(context.signs())).collect();
        context.print(&text)
    };
    let config = match load::config(context) {
        Ok(config) => {
            say(vec![configuration(&config)])?;
            say(credentials(&config))?;
            say(tools(&config))?;
            say(reachability(&config))?;
            say(examined(&config)?)?;
            Some(config)
        }
        Err(failure) => {
            let remedy = failure.as_source_error().remedy;
            say(vec![Line::bad("configuration", failure.to_string().lines().next().unwrap_or_default(), remedy)])?;
            None
        }
    };
    say(authorities(std::env::var_os("SSL_CERT_FILE").map(PathBuf::from).as_deref()))?;
    say(this_terminal(context, config.as_ref()))?;
    if terminal::is_drawable() {
        context.print(&swatch(&load::theme(context, config.as_ref())))?;
    }
    say(vec![state_directory(load::state_dir(context).as_deref())])?;
    Ok(Exit(u8::from(bad)))
}

fn configuration(config: &Config) -> Line {
    let from = config.path.as_ref().map_or_else(|| "made in the program".to_owned(), |path| path.display().to_string());
    let count = |count: usize, what: &str| if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") };
    let seen = format!("{from}: {}, {}", count(config.sites.len(), "site"), count(config.sources.len(), "source"));
    let runs = |entry: &Entry| !entry.config.commands().is_empty() || entry.config.secrets().iter().any(|(_, secret)| matches!(secret, SecretRef::Command(_)));
    if config.sources.is_empty() {
        Line::warning("configuration", seen, "nothing is watched yet")
    } else if !config.trusted && config.sources.iter().any(runs) {
        Line::warning("configuration", format!("{seen}; not trusted yet, so it runs none of its commands"), "read it, then: rounds trust")
    } else {
        Line::ok("configuration", seen)
    }
}

/// Whether what secrets refer to is there. Their content is not read into anything that is shown.
fn credentials(config: &Config) -> Vec<Line> {
    let mut lines = Vec::new();
    for entry in &config.sources {
        for (path, secret) in entry.config.secrets() {
            let what = format!("{} {}", entry.id, path.join("."));
            lines.push(match secret {
                SecretRef::Env(name) if std::env::var_os(name).is_some_and(|value| !value.is_empty()) => {
                    Line::ok("credential", format!("{what}: ${name} is set"))
                }
                SecretRef::Env(name) => Line::bad("credential", format!("{what}: ${name} is not set"), format!("export {name}")),
                SecretRef::File(file) => secret_file(&what, &entry.context.base.join(file)),
                SecretRef::Command(argv) => match argv.first().filter(|tool| find_tool(tool).is_some()) {
                    Some(tool) => Line::ok("credential", format!("{what}: {tool} will be asked")),
                    None => Line::bad("credential", format!("{what}: its command is not installed"), "install it or name another"),
                },
                SecretRef::Literal(_) => {
                    Line::warning("credential", format!("{what} is written out in the configuration"), "use { env }, { file } or { command }")
                }
            });
        }
    }
    lines
}

fn secret_file(what: &str, file: &Path) -> Line {
    match fs::metadata(file) {
        Err(error) => Line::bad("credential", format!("{what}: {}: {error}", file.display()), "make the file readable for you"),
        Ok(meta) if fs::File::open(file).is_err() || !meta.is_file() => {
            Line::bad("credential", format!("{what}: {} cannot be read", file.display()), "make the file readable for you")
        }
        Ok(meta) if meta.permissions().mode() & 0o007 != 0 => {
            Line::warning("credential", format!("{what}: everybody can read {}", file.display()), format!("chmod o= {}", file.display()))
        }
        Ok(_) => Line::ok("credential", format!("{what}: {} is there", file.display())),
    }
}

/// The programs that sources run.
fn tools(config: &Config) -> Vec<Line> {
    let mut seen = std::collections::BTreeSet::new();
    let mut lines = Vec::new();
    for entry in &config.sources {
        for argv in entry.config.commands() {
            let Some(tool) = argv.into_iter().next().filter(|tool| seen.insert(tool.clone())) else { continue };
            lines.push(match find_tool(&tool) {
                Some(path) => Line::ok("tool", format!("{tool} is {}", path.display())),
                None => Line::bad("tool", format!("{tool}, for {}, is not installed", entry.id), "install it, or write its whole path"),
            });
        }
    }
    lines
}

/// Where a program is: searched in `PATH` unless it has a slash.
fn find_tool(tool: &str) -> Option<PathBuf> {
    let runs = |path: &Path| fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0);
    if tool.contains('/') {
        return Some(PathBuf::from(tool)).filter(|path| runs(path));
    }
    std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join(tool)).find(|path| runs(path))
}

/// What the other ends tell of themselves, all at a time, each within its own time limit.
fn examined(config: &Config) -> std::io::Result<Vec<Line>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("rounds-io").enable_all().build()?;
    let entries = || config.sources.iter().filter(|entry| entry.config.spec(&entry.context).enabled);
    let all = futures_util::future::join_all(entries().map(|entry| async move {
        let limit = entry.config.spec(&entry.context).timeout.min(EXAMINING);
        secret::remember_literals(&entry.config.secrets());
        match tokio::time::timeout(limit, entry.config.examine(&entry.context)).await {
            Ok(told) => told,
            Err(_) => vec![Examined::bad("no answer in time", "see above whether it can be reached")],
        }
    }));
    let told = runtime.block_on(all);
    // A name that is being resolved cannot be cancelled and must not keep us.
    runtime.shutdown_background();
    let known = Known::of_process();
    let line = |entry: &Entry, one: Examined| {
        let sign = match one.verdict {
            Verdict::Good => Sign::Ok,
            Verdict::Odd => Sign::Warning,
            Verdict::Bad => Sign::Bad,
        };
        let hidden = |text: String| known.all().iter().fold(text, |text, secret| text.replace(secret.expose(), "***"));
        Line { sign, what: entry.id.kind().to_owned(), seen: hidden(format!("{}: {}", entry.id, one.seen)), remedy: hidden(one.remedy) }
    };
    Ok(entries().zip(told).flat_map(|(entry, told)| told.into_iter().map(move |one| line(entry, one))).collect())
}

/// Each distinct server and file once, several at a time: a silent one costs its time-out, not the sum of all.
fn reachability(config: &Config) -> Vec<Line> {
    let mut wanted: Vec<Reach> =
        config.sources.iter().filter(|entry| entry.config.spec(&entry.context).enabled).flat_map(|entry| entry.config.reaches(&entry.context)).collect();
    wanted.sort();
    wanted.dedup();
    let mut lines = Vec::new();
    for some in wanted.chunks(PARALLEL) {
        let waiting: Vec<_> = some
            .iter()
            .map(|reach| {
                let (tell, told) = mpsc::channel();
                let wanted = reach.clone();
                // A thread of its own, because resolving a name cannot be given a time-out; it is left behind when it takes longer.
                std::thread::spawn(move || tell.send(look(&wanted)));
                (reach, told)
            })
            .collect();
        for (reach, told) in waiting {
            lines.push(told.recv_timeout(CONNECT * 2).unwrap_or_else(|_| unreachable_line(reach, "no answer, or its name could not be resolved in time")));
        }
    }
    lines
}

fn unreachable_line(reach: &Reach, why: &str) -> Line {
    match reach {
        Reach::Tcp(host, port) => Line::bad("reach", format!("{host}:{port}: {why}"), "check the address, the network and HTTPS_PROXY"),
        Reach::Files(path) => Line::bad("reach", format!("{}: {why}", path.display()), "check the path and the right to read it"),
    }
}

fn look(reach: &Reach) -> Line {
    match reach {
        Reach::Tcp(host, port) => {
            let begun = Instant::now();
            let addresses = match (host.as_str(), *port).to_socket_addrs() {
                Ok(addresses) => addresses.collect::<Vec<_>>(),
                Err(error) => return unreachable_line(reach, &format!("the name does not resolve ({error})")),
            };
            let mut last = "the name has no address".to_owned();
            for address in addresses {
                match TcpStream::connect_timeout(&address, CONNECT) {
                    Ok(_) => return Line::ok("reach", format!("{host}:{port} accepts connections, {}", millis_text(begun.elapsed().as_secs_f64() * 1_000.0))),
                    Err(error) => last = error.to_string(),
                }
            }
            unreachable_line(reach, &last)
        }
        Reach::Files(path) => files(path),
    }
}

fn files(path: &Path) -> Line {
    let text = path.to_string_lossy();
    if text.contains(['*', '?', '[']) {
        // The part before the first wildcard must be a directory that can be listed; what matches may come later.
        let fixed: PathBuf = path.components().take_while(|part| !part.as_os_str().to_string_lossy().contains(['*', '?', '['])).collect();
        return match fs::read_dir(&fixed) {
            Ok(_) => Line::ok("reach", format!("{text}: {} can be listed", fixed.display())),
            Err(error) => Line::bad("reach", format!("{}: {error}", fixed.display()), "check the path and the right to read it"),
        };
    }
    match fs::File::open(path) {
        Ok(_) => Line::ok("reach", format!("{text} can be read")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Line::warning("reach", format!("{text} is not there yet"), "it is read from its start when it appears")
        }
        Err(error) => Line::bad("reach", format!("{text}: {error}"), "check the path and the right to read it"),
    }
}

/// A wrong `SSL_CERT_FILE` is not noticed when clients are made; every certificate then just looks unknown.
fn authorities(file: Option<&Path>) -> Vec<Line> {
    let Some(file) = file else { return Vec::new() };
    let what = format!("SSL_CERT_FILE {}", file.display());
    vec![match fs::read(file) {
        Err(error) => Line::bad("authorities", format!("{what}: {error}"), "correct or unset it: no certificate can be verified so"),
        Ok(bytes) => match memchr::memmem::find_iter(&bytes, b"-----BEGIN CERTIFICATE-----").count() {
            0 => Line::bad("authorities", format!("{what} holds no certificate"), "give it a PEM file of authorities, or unset it"),
            count => Line::ok("authorities", format!("{what} holds {count}")),
        },
    }]
}

fn this_terminal(context: &Context, config: Option<&Config>) -> Vec<Line> {
    let term = std::env::var("TERM").unwrap_or_default();
    if !terminal::is_drawable() {
        let why = if !std::io::stdout().is_terminal() {
            "standard output is no terminal"
        } else if !std::io::stdin().is_terminal() {
            "standard input is no terminal"
        } else {
            "TERM is dumb or not set"
        };
        return vec![Line::warning("terminal", format!("{why}: there is the text summary, no dashboard"), "")];
    }
    let (columns, rows) = terminal::size();
    let size = format!("{term}, {columns}x{rows}, {}", load::looks(context, config));
    let mut lines = vec![if columns >= 80 && rows >= 24 {
        Line::ok("terminal", size)
    } else if columns >= 40 && rows >= 10 {
        Line::warning("terminal", size, "80x24 shows every column that decides something")
    } else {
        Line::bad("terminal", size, "rounds needs 40x10")
    }];
    if !super::is_utf8_locale() {
        lines.push(Line::warning("locale", "not UTF-8, so signs are ASCII", "set LANG, for example to C.UTF-8"));
    }
    lines
}

/// Where the journal lives: whether it is, or can be, made and written.
fn state_directory(dir: Option<&Path>) -> Line {
    let Some(dir) = dir else {
        return Line::warning("journal", "no HOME and no XDG_STATE_HOME, so nothing is kept", "set one, or give --state-dir");
    };
    let shown = dir.display();
    // The nearest directory that is there says whether the rest can be made.
    let Some(there) = dir.ancestors().find(|parent| parent.exists()) else {
        return Line::bad("journal", format!("{shown} cannot be made"), "give another --state-dir");
    };
    if !there.is_dir() {
        return Line::bad("journal", format!("{} is no directory", there.display()), "give another --state-dir");
    }
    match nix::unistd::access(there, nix::unistd::AccessFlags::W_OK | nix::unistd::AccessFlags::X_OK) {
        Ok(()) if there == dir => journal_version(dir),
        Ok(()) => Line::ok("journal", format!("{shown} will be made at the first start")),
        Err(error) => Line::bad("journal", format!("{}: {}", there.display(), error.desc()), "make it writable, or give another --state-dir"),
    }
}

/// Whether the journal that is there can be used by this version.
fn journal_version(dir: &Path) -> Line {
    let shown = dir.display();
    match journal::version_in(dir) {
        Ok(None) => Line::ok("journal", format!("{shown} can be written; no journal is there yet")),
        Ok(Some(found)) if found > journal::VERSION => {
            let seen = format!("{shown}: version {found}, and this rounds knows version {}", journal::VERSION);
            Line::bad("journal", seen, "update rounds, or give another --state-dir; it is left untouched")
        }
        Ok(Some(found)) if found < journal::VERSION => {
            Line::ok("journal", format!("{shown} can be written; version {found} becomes {} at the next start", journal::VERSION))
        }
        Ok(Some(found)) => Line::ok("journal", format!("{shown} can be written; version {found}")),
        Err(error) => Line::bad("journal", format!("{shown}: {error}"), "the next start moves a damaged one aside"),
    }
}

/// The fifteen styles by name, each in its own: what cannot be told apart here cannot be told apart on the pages.
fn swatch(theme: &Theme) -> String {
    let mut text = String::new();
    for row in theme.named().chunks(8) {
        text.push_str("                ");
        for (name, style) in row {
            text.push_str(&format!(" {}{name}\u{1b}[0m", sequence(*style)));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::theme::{Depth, Name, ThemeSettings};

    #[test]
    fn a_line_says_what_to_do_and_nothing_harmful() {
        let line = Line::bad("reach", "shop\u{1b}[2J:80: refused", "look");
        assert_eq!(line.text(Signs::Utf8), "✖ reach          shop:80: refused; look\n");
        assert_eq!(Line::ok("tool", "x").text(Signs::Ascii), "+ tool           x\n");
    }

    #[test]
    fn a_wrong_file_of_authorities_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        assert_eq!(authorities(Some(&file))[0].sign, Sign::Bad);
        fs::write(&file, "nothing").unwrap();
        assert_eq!(authorities(Some(&file))[0].sign, Sign::Bad);
        fs::write(&file, "-----BEGIN CERTIFICATE-----\n").unwrap();
        assert_eq!(authorities(Some(&file))[0].sign, Sign::Ok);
        assert!(authorities(None).is_empty());
    }

    #[test]
    fn a_refused_connection_and_a_missing_file_are_told() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        assert_eq!(look(&Reach::Tcp("127.0.0.1".into(), port)).sign, Sign::Bad);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(look(&Reach::Tcp("127.0.0.1".into(), listener.local_addr().unwrap().port())).sign, Sign::Ok);
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(files(&dir.path().join("a.log")).sign, Sign::Warning);
        assert_eq!(files(&dir.path().join("*.log")).sign, Sign::Ok);
        assert_eq!(files(&dir.path().join("none/*.log")).sign, Sign::Bad);
    }

    #[test]
    fn a_journal_is_judged_by_its_version_and_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        assert!(state_directory(Some(dir.path())).seen.contains("no journal is there yet"));
        drop(journal::Journal::open(dir.path(), &crate::config::model::Journal::default(), journal::Identity::of_this_process()));
        let line = state_directory(Some(dir.path()));
        assert!(line.sign == Sign::Ok && line.seen.contains(&format!("version {}", journal::VERSION)), "{line:?}");
        // Where SQLite keeps `user_version` in the header of its file (sqlite.org/fileformat2.html, 1.3).
        let file = dir.path().join(journal::FILE);
        let mut bytes = fs::read(&file).unwrap();
        bytes[60..64].copy_from_slice(&999_u32.to_be_bytes());
        fs::write(&file, &bytes).unwrap();
        let line = state_directory(Some(dir.path()));
        assert!(line.sign == Sign::Bad && line.seen.contains("version 999"), "{line:?}");
        assert_eq!(fs::read(&file).unwrap(), bytes);
        fs::write(&file, "no database at all, but long enough to be taken for one".repeat(20)).unwrap();
        assert_eq!(state_directory(Some(dir.path())).sign, Sign::Bad);
    }

    #[test]
    fn the_swatch_names_all_fifteen_in_their_own_style() {
        let swatch = swatch(&Theme::new(ThemeSettings { depth: Depth::True, ..ThemeSettings::default() }));
        assert!(Theme::default().named().iter().all(|(name, _)| swatch.contains(&format!("m{name}\u{1b}[0m"))), "{swatch:?}");
        for part in ["\u{1b}[0;32mok", "\u{1b}[0;31mcrit", "\u{1b}[0;48;2;38;43;51mselection", "\u{1b}[0;38;2;138;144;153mdim"] {
            assert!(swatch.contains(part), "{part:?} is not in {swatch:?}");
        }
        let mono = super::swatch(&Theme::new(ThemeSettings { name: Name::Mono, ..ThemeSettings::default() }));
        assert!(!mono.contains(";3") && mono.contains("\u{1b}[0;7mselection"));
    }

    #[test]
    fn the_state_directory_is_judged_by_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(state_directory(Some(dir.path())).sign, Sign::Ok);
        assert_eq!(state_directory(Some(&dir.path().join("a/b"))).sign, Sign::Ok);
        fs::write(dir.path().join("file"), "").unwrap();
        assert_eq!(state_directory(Some(&dir.path().join("file/b"))).sign, Sign::Bad);
        assert_eq!(state_directory(None).sign, Sign::Warning);
    }
}
