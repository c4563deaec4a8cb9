//! A copy that a command of the user's brings: for what lies where rounds itself cannot read.

use std::path::Path;
use std::time::Duration;

use super::dump::unpack;
use super::{Restored, tool};
use crate::domain::SourceError;
use crate::sources::Complaint;

/// Stands for the copy in the command.
const COPY: &str = "{copy}";
/// Stands for the directory that it is to be put into.
const INTO: &str = "{into}";

/// What is wrong with such a command.
#[must_use]
pub fn complaint(argv: &[String]) -> Option<Complaint> {
    let has = |what: &str| argv.iter().any(|word| word.contains(what));
    let message = if argv.first().is_none_or(|tool| tool.trim().is_empty()) {
        "the command is empty"
    } else if !has(COPY) || !has(INTO) {
        "the command does not say what to bring, or where to"
    } else {
        return None;
    };
    let help = "write such as [\"scp\", \"backup1:{copy}\", \"{into}/\"]".to_owned();
    Some(Complaint { path: vec!["fetch".to_owned()], message: message.to_owned(), help, warning: false })
}

/// A text as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The command for this copy. `ssh` hands its words to a shell, so a name is quoted for it; a name is never an option.
///
/// # Errors
/// When the name cannot be handed to a program safely.
pub fn argv(command: &[String], copy: &str, into: &str) -> Result<Vec<String>, SourceError> {
    if copy.starts_with('-') || copy.contains('\0') {
        return Err(SourceError::config(format!("a copy with the name {copy:?} is not fetched"), "rename it there"));
    }
    let is_ssh = command.first().is_some_and(|tool| tool.rsplit('/').next() == Some("ssh"));
    let copy = if is_ssh { quoted(copy) } else { copy.to_owned() };
    // The copy last: what its name holds is not read again.
    Ok(command.iter().map(|word| word.split(COPY).map(|part| part.replace(INTO, into)).collect::<Vec<_>>().join(&copy)).collect())
}

/// Lets the command bring the copy into this empty directory, and takes it out of its packing there.
///
/// # Errors
/// When the command fails or brings nothing; those of unpacking.
pub async fn run(command: &[String], base: &Path, copy: &str, into: &Path, timeout: Duration) -> Result<Restored, SourceError> {
    let program = tool::program(argv(command, copy, &into.to_string_lossy())?, &[]).directory(base);
    let output = tool::run(&program, timeout).await?;
    if !output.ending.success() {
        let message = format!("{}: {}: {}", program.tool(), output.ending, output.last_error_line());
        return Err(SourceError::missing(message.trim_end_matches([':', ' ']), "run the command of `fetch` by hand as this user and look what it says"));
    }
    unpack::settle(into, timeout).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(all: &[&str]) -> Vec<String> {
        all.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn names_are_words_and_never_options() {
        let scp = words(&["scp", "backup1:{copy}", "{into}/"]);
        assert_eq!(argv(&scp, "/srv/a {into} b.gz", "/tmp/x").unwrap(), ["scp", "backup1:/srv/a {into} b.gz", "/tmp/x/"]);
        assert_eq!(argv(&words(&["ssh", "h", "get", "{copy}", "{into}"]), "a'; rm -rf /", "/t").unwrap()[3], "'a'\\''; rm -rf /'");
        assert!(argv(&scp, "-oProxyCommand=x", "/t").is_err());
        assert!(complaint(&scp).is_none());
        assert!(complaint(&[]).is_some() && complaint(&words(&["scp", "{copy}"])).is_some());
    }
}
