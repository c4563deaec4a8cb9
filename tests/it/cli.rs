//! The command line as a shell sees it: exit codes, what goes to which stream, and that it always ends.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a verb may take; far more than any needs, so that a hang fails instead of standing still.
const PATIENCE: Duration = Duration::from_secs(60);

/// A place of its own for one run: nothing of the person who runs the tests is read or written.
pub struct Place {
    pub dir: TempDir,
}

impl Place {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["home", "work", "state"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        Self { dir }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The program, with an environment of its own.
    pub fn command(&self) -> Command {
        #[expect(clippy::disallowed_methods, reason = "a test starts the program itself")]
        let mut command = Command::new(env!("CARGO_BIN_EXE_rounds"));
        let home = self.path().join("home");
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &home)
            .env("XDG_CONFIG_HOME", home.join(".config"))
            .env("XDG_STATE_HOME", home.join(".state"))
            .env("XDG_DATA_HOME", home.join(".data"))
            .env("LANG", "C.UTF-8")
            .env("TERM", "xterm-256color")
            .current_dir(self.path().join("work"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        run(self.command().args(arguments))
    }
}

/// Waits for the end, but not for ever.
pub fn run(command: &mut Command) -> Output {
    let mut child = command.spawn().unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let out = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        out.read_to_end(&mut bytes).map(|_| bytes)
    });
    let err = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        err.read_to_end(&mut bytes).map(|_| bytes)
    });
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begun.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{command:?} did not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    Output { status, stdout: out.join().unwrap().unwrap(), stderr: err.join().unwrap().unwrap() }
}

pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("ended by a signal: {output:?}"))
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_wrong_command_line_is_64_and_never_taken_for_critical() {
    let place = Place::new();
    for arguments in [&["dance"][..], &["--colour"], &["completions", "cmd.exe"], &["completions"], &["--color", "sometimes", "man"]] {
        let output = place.run(arguments);
        assert_eq!(code(&output), 64, "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}: {output:?}");
    }
}

#[test]
fn help_version_manual_and_completions_are_data() {
    let place = Place::new();
    for (arguments, holds) in [
        (&["--help"][..], "--read-only"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
        (&["man"], ".SH ROUNDS COMPLETIONS"),
        (&["completions", "bash"], "_rounds()"),
        (&["completions", "zsh"], "#compdef rounds"),
        (&["completions", "fish"], "complete -c rounds"),
    ] {
        let output = place.run(arguments);
        assert_eq!(code(&output), 0, "{arguments:?}");
        assert!(stdout(&output).contains(holds), "{arguments:?}");
        assert!(output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_closed_pipe_is_no_error() {
    let place = Place::new();
    for arguments in [&["man"][..], &["completions", "zsh"], &["--help"]] {
        let mut child = place.command().args(arguments).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(code(&output), 0, "{arguments:?}");
        assert_eq!(stderr(&output), "", "{arguments:?}");
    }
}
