//! How a backup tool is called: by itself, through `sudo`, or on another machine through `ssh`. Pure.
//!
//! What does not belong here: running it (`tool`), its arguments (its folder in `sources`).

/// Programs that run another one on this machine.
const LOCAL: [&str; 12] = ["sudo", "doas", "nice", "ionice", "chrt", "env", "timeout", "chronic", "runuser", "setpriv", "setsid", "stdbuf"];
/// Programs that run another one with another environment.
const OTHER_ENVIRONMENT: [&str; 2] = ["sudo", "doas"];

/// The program, what stands before it, and options of its own that stand behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix {
    argv: Vec<String>,
    /// Where the tool itself stands among them.
    tool: usize,
}

fn name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// A text as one word of a shell.
#[must_use]
pub fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=@%+".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

impl Prefix {
    /// As configured; the tool itself when nothing is.
    #[must_use]
    pub fn new(configured: Option<&[String]>, tool: &str) -> Self {
        let argv = configured.map_or_else(|| vec![tool.to_owned()], <[String]>::to_vec);
        // Behind it stand its own options: `restic -o sftp.command=ssh`. Under another name it is the first word or the last one.
        let first = argv.first().filter(|first| name(first).starts_with(tool)).map(|_| 0);
        let tool = first.or_else(|| argv.iter().rposition(|word| name(word) == tool)).unwrap_or(argv.len().saturating_sub(1));
        Self { argv, tool }
    }

    /// The words.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.argv
    }

    /// The words before the tool.
    fn before(&self) -> &[String] {
        &self.argv[..self.tool]
    }

    /// Whether the last hop is a shell on another machine, which reads the arguments once more.
    fn through_ssh(&self) -> bool {
        self.before().iter().any(|word| name(word) == "ssh")
    }

    /// Whether the tool runs where paths, processes and free space are not those of this machine: elsewhere, or in a container.
    #[must_use]
    pub fn elsewhere(&self) -> bool {
        self.through_ssh() || self.before().first().is_some_and(|first| !LOCAL.contains(&name(first)))
    }

    /// Whether our environment, and the secrets in it, may not come through.
    #[must_use]
    pub fn loses_environment(&self) -> bool {
        self.elsewhere() || self.before().iter().any(|word| OTHER_ENVIRONMENT.contains(&name(word)))
    }

    /// The whole vector for these arguments. What `ssh` hands to a shell is quoted, since names in a repository are not ours.
    #[must_use]
    pub fn with(&self, arguments: &[&str]) -> Vec<String> {
        let ssh = self.through_ssh();
        let one = |argument: &&str| if ssh { quoted(argument) } else { (*argument).to_owned() };
        self.argv.iter().cloned().chain(arguments.iter().map(one)).collect()
    }

    /// The same, with variables of the environment set over there too, where only a word of the command can do that.
    #[must_use]
    pub fn with_set(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Vec<String> {
        let mut argv = self.with(arguments);
        if self.through_ssh() && !self.before().iter().any(|word| OTHER_ENVIRONMENT.contains(&name(word))) {
            let words = std::iter::once("env".to_owned()).chain(variables.iter().map(|(name, value)| format!("{name}={}", quoted(value))));
            argv.splice(self.tool..self.tool, words);
        }
        argv
    }

    /// The same as one line for pasting into a shell.
    #[must_use]
    pub fn line(&self, arguments: &[&str]) -> String {
        self.with(arguments).iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(words: &[&str]) -> Prefix {
        Prefix::new(Some(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>()), "restic")
    }

    #[test]
    fn what_a_shell_would_read_again_is_quoted() {
        let ssh = prefix(&["ssh", "web1", "restic"]);
        assert_eq!(ssh.with(&["ls", "4f2", "/a b; rm -rf $HOME/'x'\n"])[3..], ["ls", "4f2", "'/a b; rm -rf $HOME/'\\''x'\\''\n'"]);
        assert_eq!(prefix(&["sudo", "restic"]).with(&["ls", "/a b"]), ["sudo", "restic", "ls", "/a b"]);
        assert_eq!(Prefix::new(None, "restic").line(&["restore", "4f2", "--target", "/tmp/a b", ""]), "restic restore 4f2 --target '/tmp/a b' ''");
        assert_eq!(ssh.with_set(&[("TZ", "UTC")], &["list"]), ["ssh", "web1", "env", "TZ=UTC", "restic", "list"]);
        let options = prefix(&["ssh", "web1", "restic", "--cacert", "ca"]);
        assert_eq!(options.with_set(&[("TZ", "UTC")], &["list"]), ["ssh", "web1", "env", "TZ=UTC", "restic", "--cacert", "ca", "list"]);
        assert_eq!(prefix(&["sudo", "borg"]).with_set(&[("TZ", "UTC")], &["list"]), ["sudo", "borg", "list"]);
    }

    #[test]
    fn where_it_runs_is_told_by_its_words() {
        for (words, elsewhere, loses) in [
            (&["restic"][..], false, false),
            (&["/opt/restic/restic-0.17"], false, false),
            (&["sudo", "-u", "backup", "restic"], false, true),
            (&["nice", "restic"], false, false),
            (&["ssh", "web1", "restic"], true, true),
            (&["sudo", "ssh", "web1", "restic"], true, true),
            (&["docker", "exec", "backup", "restic"], true, true),
            (&["docker", "exec", "restic", "restic"], true, true),
            (&["restic", "-o", "sftp.command=/usr/bin/ssh"], false, false),
            (&["/opt/restic-0.17", "--cacert", "sudo"], false, false),
            (&["sudo", "restic", "--cacert", "/etc/ssh"], false, true),
            (&["ssh", "web1", "restic", "-o", "sftp.connections=1"], true, true),
            (&["ssh", "web1", "/usr/local/bin/backup-tool"], true, true),
            (&["/srv/bin/backup-tool"], false, false),
        ] {
            let prefix = prefix(words);
            assert_eq!((prefix.elsewhere(), prefix.loses_environment()), (elsewhere, loses), "{words:?}");
        }
    }
}
