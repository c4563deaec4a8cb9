//! The contract of sources that run a tool, whatever the tool does: programs with scripted faults, and the harness that runs a
//! source against each of them. For tests only.
//!
//! A source's tests call [`suite`] with what the tool prints when all is well and a way to build the source for a tool at a path:
//!
//! ```ignore
//! let answers = commands::suite("[]", |tool| source_with(tool)).await;
//! assert_eq!(commands::kind_of(&answers, Faulty::Hang), Some(ErrorKind::Timeout));
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;

use super::{Collected, SECRET, Source};
use crate::domain::{Data, ErrorKind, SourceError};
use crate::io::exec::{self, Limits, Program};

/// The time limit that sources under test are given.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// Past the time limit by this much a poll is late, also on a loaded machine.
const SLACK: Duration = Duration::from_secs(20);

/// What the tool does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Faulty {
    /// Answers well.
    Ok,
    /// Is not installed.
    Missing,
    /// Is there and may not be run.
    Forbidden,
    /// Ends well and prints nothing.
    Silent,
    /// Ends well after half of its answer.
    Half,
    /// Ends well after bytes that are no answer: control characters, a NUL, invalid UTF-8.
    Garbage,
    /// Ends well after words for people.
    Words,
    /// Prints without end.
    Flood,
    /// Prints a good answer, and a lot of errors beside it.
    FloodOfErrors,
    /// Prints nothing and does not end.
    Hang,
    /// Does not end when asked to either.
    HangDeaf,
    /// Fails, and says why with control characters.
    Fails,
    /// Prints a good answer and fails.
    FailsAfterAnswer,
    /// Prints its whole environment and fails.
    Tells,
    /// Ends well after `null`.
    Null,
    /// Ends well after a document so deep that a reader may run out of stack.
    Deep,
    /// Is killed by somebody after half of its answer.
    Killed,
    /// Answers well and leaves a child behind that holds its output.
    LeavesChild,
}

impl Faulty {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Ok,
        Self::Missing,
        Self::Forbidden,
        Self::Silent,
        Self::Half,
        Self::Garbage,
        Self::Words,
        Self::Flood,
        Self::FloodOfErrors,
        Self::Hang,
        Self::HangDeaf,
        Self::Fails,
        Self::FailsAfterAnswer,
        Self::Tells,
        Self::Null,
        Self::Deep,
        Self::Killed,
        Self::LeavesChild,
    ];

    /// Whether the answer is whole, so that it may be judged good.
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Ok | Self::FloodOfErrors | Self::LeavesChild)
    }

    fn script(self) -> &'static str {
        match self {
            Self::Ok | Self::Missing | Self::Forbidden => "cat \"$0.answer\"",
            Self::Silent => "exit 0",
            Self::Half => "cat \"$0.half\"",
            Self::Garbage => "printf '\\033]52;c;aGk=\\007 \\000 \\377\\376 {\"a\\001\\n'",
            Self::Words => "echo 'Please log in first.'; echo 'See the manual.'",
            Self::Flood => "exec yes '{\"copies\": [ '",
            Self::FloodOfErrors => "head -c 300000 /dev/zero | tr '\\000' x >&2; cat \"$0.answer\"",
            Self::Hang => "exec sleep 600",
            Self::HangDeaf => "trap '' TERM INT HUP; sleep 600; sleep 600",
            Self::Fails => "printf 'first\\n\\033]52;c;aGk=\\007it went wrong\\n' >&2; exit 3",
            Self::FailsAfterAnswer => "cat \"$0.answer\"; exit 1",
            Self::Tells => "env >&2; env; exit 1",
            Self::Null => "echo null",
            Self::Deep => "head -c 300000 /dev/zero | tr '\\000' '['",
            Self::Killed => "cat \"$0.half\"; kill -9 $$",
            Self::LeavesChild => "cat \"$0.answer\"; sleep 600 &",
        }
    }
}

/// Makes an executable script. Another process writes it: one that this process held open while a test beside it starts a program
/// could not be run ("text file busy").
pub async fn script(path: &Path, text: &str) {
    let draft = path.with_extension("draft");
    fs::write(&draft, format!("#!/bin/sh\n{text}\n")).unwrap();
    let argv = ["install", "-m", "755", draft.to_str().unwrap(), path.to_str().unwrap()];
    let program = Program::new(argv.map(str::to_owned).to_vec());
    assert!(exec::run(&program, Limits::within(Duration::from_secs(60))).await.unwrap().ending.success());
}

async fn tool(folder: &Path, faulty: Faulty, answer: &str) -> PathBuf {
    let path = folder.join("tool");
    let mut half = answer.len() / 2;
    while !answer.is_char_boundary(half) {
        half -= 1;
    }
    fs::write(folder.join("tool.answer"), answer).unwrap();
    fs::write(folder.join("tool.half"), &answer[..half]).unwrap();
    match faulty {
        Faulty::Missing => {}
        Faulty::Forbidden => fs::write(&path, "#!/bin/sh\n").unwrap(),
        _ => script(&path, faulty.script()).await,
    }
    path
}

/// What each fault gave.
pub type Answers = Vec<(Faulty, Result<Collected, SourceError>)>;

/// Runs a source of its own against each fault and asserts the contract: it neither panics nor outlives its time limit, what it says is
/// bounded, its errors have one line and a remedy, nothing it says holds a secret, and what is not whole is never good.
pub async fn suite(answer: &str, make: impl Fn(&Path) -> Box<dyn Source>) -> Answers {
    let make = &make;
    // Several at a time: some only wait.
    let tries = futures_util::stream::iter(Faulty::ALL).map(|faulty| async move {
        let folder = tempfile::tempdir().unwrap();
        let path = tool(folder.path(), faulty, answer).await;
        let mut source = make(&path);
        let started = Instant::now();
        let result = tokio::time::timeout(TIMEOUT + SLACK, source.collect()).await;
        let result = result.unwrap_or_else(|_| panic!("{faulty:?}: not done {:?} after the start", started.elapsed()));
        let text = format!("{result:?}");
        assert!(text.len() <= 256 << 10, "{faulty:?}: what was seen is not bounded");
        assert!(!text.contains(SECRET), "{faulty:?}: a secret is told: {text}");
        match &result {
            Err(error) => {
                assert!(!error.message.is_empty() && !error.remedy.is_empty(), "{faulty:?}: {error:?}");
                assert!(!error.message.contains(char::is_control), "{faulty:?}: one clean line: {error:?}");
                assert!(!faulty.is_good(), "{faulty:?}: {error:?}");
            }
            Ok(collected) => {
                let good = |data: &Data| match data {
                    Data::Backup(backup) => backup.last_success.is_some() && backup.complaints.is_empty(),
                    _ => true,
                };
                let seen = collected.observations.iter().any(|observation| good(&observation.data));
                assert_eq!(seen, faulty.is_good(), "{faulty:?}: {collected:?}");
            }
        }
        (faulty, result)
    });
    tries.buffered(4).collect().await
}

/// The kind of error a fault gave.
pub fn kind_of(answers: &Answers, faulty: Faulty) -> Option<ErrorKind> {
    let (_, result) = answers.iter().find(|(of, _)| *of == faulty)?;
    result.as_ref().err().map(|error| error.kind)
}
