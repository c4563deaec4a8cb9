//! What pgBackRest and Barman share: calling the tool with what stands before it, and reading the paths of its configuration.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::prefix::Prefix;
use super::tool;
use crate::domain::SourceError;
use crate::io::exec::Output;

/// A configuration that is larger is none.
const LARGEST: u64 = 1 << 20;

/// Errors that are told of one run.
const ERRORS: usize = 12;
/// Of them as one sentence.
const SENTENCE: usize = 1_200;

/// What was found, as one sentence that is not longer than a screen.
#[must_use]
pub fn sentence(found: &[String]) -> String {
    let mut text = String::new();
    for (at, one) in found.iter().enumerate() {
        if at > 0 && text.len() + one.len() > SENTENCE {
            text.push_str(&format!("; and {} more", found.len() - at));
            break;
        }
        text.push_str(if at > 0 { "; " } else { "" });
        text.push_str(one);
    }
    text
}

/// The tool as it is called: by itself, or behind words such as `sudo -u postgres` or `ssh db1`.
#[derive(Debug, Clone)]
pub struct Caller {
    prefix: Prefix,
    /// What is called, for taking turns: one repository is read by one at a time.
    turn: String,
}

impl Caller {
    /// As configured; the tool itself when nothing is.
    #[must_use]
    pub fn new(configured: Option<&[String]>, tool: &str, set: &str) -> Self {
        let prefix = Prefix::new(configured, tool);
        Self { turn: format!("{} {set}", prefix.words().join(" ")), prefix }
    }

    /// The words that stand before the arguments.
    #[must_use]
    pub fn words(&self) -> &[String] {
        self.prefix.words()
    }

    /// Whether the tool runs where the paths of this machine are not its own.
    #[must_use]
    pub fn elsewhere(&self) -> bool {
        self.words().iter().any(|word| ["ssh", "docker", "podman", "kubectl"].contains(&word.rsplit('/').next().unwrap_or_default()))
    }

    /// As one line for pasting into a shell.
    #[must_use]
    pub fn line(&self, arguments: &[&str]) -> String {
        self.prefix.line(arguments)
    }

    /// Runs it to its end, one at a time.
    ///
    /// # Errors
    /// When it cannot be started, takes too long or prints too much. How it ended is the caller's to judge.
    pub async fn run(&self, arguments: &[&str], timeout: Duration) -> Result<Output, SourceError> {
        let _turn = tool::turn(&self.turn).await;
        tool::run(&tool::program(self.prefix.with(arguments), &[]), timeout).await
    }

    /// What a run tells went wrong, a line each, bounded; what it begins its lines with is left out.
    #[must_use]
    pub fn errors(output: &Output) -> Vec<String> {
        let (errors, printed) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
        let tells = |line: &&str| line.contains("ERROR: ") || line.contains("error: ");
        let one = |line: &str| {
            let line = line.rsplit_once("error: ").or_else(|| line.split_once("ERROR: ")).map_or(line, |(_, rest)| rest);
            line.chars().filter(|c| !c.is_control()).take(200).collect::<String>()
        };
        errors.lines().chain(printed.lines()).filter(tells).take(ERRORS).map(one).collect()
    }

    /// The error of a run that failed: the first line that says what went wrong, from either output.
    #[must_use]
    pub fn failure(&self, output: &Output) -> SourceError {
        let (errors, printed) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
        let lines = || errors.lines().chain(printed.lines()).map(str::trim).filter(|line| !line.is_empty());
        let line = lines().find(|line| line.contains("ERROR")).or_else(|| lines().next_back()).unwrap_or_default();
        let line: String = line.chars().filter(|c| !c.is_control()).take(300).collect();
        let tool = self.words().last().map_or("", String::as_str);
        let message = format!("{tool}: {}: {line}", output.ending);
        SourceError::missing(
            message.trim_end_matches([':', ' ']),
            "run the tool by hand as this user and look what it says; `command` can put such as sudo before it",
        )
    }
}

/// A configuration as text; empty where it cannot be read.
#[must_use]
pub fn text(configuration: &Path) -> String {
    let small = std::fs::metadata(configuration).is_ok_and(|about| about.is_file() && about.len() <= LARGEST);
    let text = small.then(|| std::fs::read(configuration).ok()).flatten().unwrap_or_default();
    String::from_utf8_lossy(&text).into_owned()
}

/// The value that a configuration of the tool gives to a key, by the first of these sections that has it.
#[must_use]
pub fn setting(configuration: &Path, sections: &[String], key: &str) -> Option<String> {
    let text = text(configuration);
    let mut section = "";
    let mut found: Vec<Option<&str>> = vec![None; sections.len()];
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.trim();
        } else if let Some((_, value)) = line.split_once('=').filter(|(name, value)| name.trim() == key && !value.trim().is_empty())
            && let Some(at) = sections.iter().position(|wanted| wanted == section)
        {
            found[at] = Some(value.trim());
        }
    }
    found.into_iter().flatten().next().map(str::to_owned)
}

/// The paths that a configuration of the tool gives to these keys.
#[must_use]
pub fn paths(configuration: &Path, is_key: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let text = text(configuration);
    let pairs = text.lines().filter_map(|line| line.split_once('=')).filter(|(key, _)| is_key(key.trim()));
    pairs.map(|(_, path)| PathBuf::from(path.trim())).filter(|path| path.is_absolute()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_told_as_a_bounded_sentence() {
        let found: Vec<String> = (0..40).map(|at| format!("{at} {}", "x".repeat(100))).collect();
        let said = sentence(&found);
        assert!(said.len() < 1_300 && said.starts_with("0 xx") && said.ends_with("; and 29 more"), "{said}");
        assert_eq!((sentence(&[]), sentence(&found[..1])), (String::new(), found[0].clone()));
    }

    #[test]
    fn words_are_quoted_where_a_shell_reads_them() {
        let words = |all: &[&str]| all.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let ssh = Caller::new(Some(&words(&["ssh", "db1", "pgbackrest"])), "pgbackrest", "main");
        assert_eq!(ssh.prefix.with(&["--stanza=a b", "info"]), ["ssh", "db1", "pgbackrest", "'--stanza=a b'", "info"]);
        assert!(ssh.elsewhere());
        let plain = Caller::new(None, "barman", "main");
        assert_eq!(plain.line(&["recover", "a b"]), "barman recover 'a b'");
        assert!(!plain.elsewhere());
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("c.conf");
        std::fs::write(&file, "[global]\nrepo1-path = /srv/repo\n#x\n[main]\npg1-path=/srv/pg\nlog=/x\npg2-path=relative\n").unwrap();
        assert_eq!(paths(&file, |key| key.ends_with("-path")), [PathBuf::from("/srv/repo"), PathBuf::from("/srv/pg")]);
        assert!(paths(dir.path(), |_| true).is_empty());
        let of = |sections: &[&str], key: &str| setting(&file, &words(sections), key);
        assert_eq!(of(&["main", "global"], "repo1-path").as_deref(), Some("/srv/repo"));
        assert_eq!((of(&["main", "global"], "log").as_deref(), of(&["global"], "log"), of(&["main"], "#x")), (Some("/x"), None, None));
    }
}
