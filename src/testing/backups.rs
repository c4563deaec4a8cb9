//! What the tests of backup tools share: a folder with something to keep, the tool run in it, one look at a data set. For tests only.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::domain::{Backup, Data, ErrorKind, SourceError, SourceId};
use crate::io::exec::{self, Limits, Program};
use crate::io::secret::Secret;
use crate::sources::{BuildContext, Common, SourceConfig};

/// What damages a repository.
pub type Break<'a> = &'a dyn Fn(&Path);

/// Bytes that no tool makes smaller.
pub fn noise() -> Vec<u8> {
    let mut state = 7_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..50_000).map(next).collect()
}

/// A trusted configuration, asked so often that no look takes another one's listing.
pub fn context(id: &str, base: &Path) -> BuildContext {
    BuildContext {
        id: SourceId::parse(id).unwrap(),
        common: Common { every: Some(Duration::from_millis(1)), timeout: Some(Duration::from_secs(600)), ..Common::default() },
        base: base.to_owned(),
        trusted: true,
        zone: None,
        cache: None,
        state: None,
    }
}

/// One look.
pub async fn look(config: &impl SourceConfig, context: &BuildContext) -> Result<Backup, SourceError> {
    let collected = config.build(context).unwrap().source.collect().await?;
    assert_eq!(collected.problems, [], "nothing was left out");
    match collected.observations.into_iter().next().unwrap().data {
        Data::Backup(backup) => Ok(*backup),
        other => panic!("{other:?}"),
    }
}

/// Somebody who takes a connection and never says a word, until this is dropped; and where.
pub async fn deaf() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// An error says this, and what to do about it.
pub fn told(error: &SourceError, kind: ErrorKind, words: &[&str]) {
    assert_eq!(error.kind, kind, "{error:?}");
    assert!(!error.remedy.is_empty() && words.iter().all(|words| error.message.contains(words)), "{error:?}");
}

/// A look that fails within its time limit; the machine may be busy.
pub async fn refused(config: &impl SourceConfig, context: &BuildContext, limit: Duration) -> SourceError {
    let began = Instant::now();
    let context = BuildContext { common: Common { timeout: Some(limit), ..context.common.clone() }, ..context.clone() };
    let error = look(config, &context).await.unwrap_err();
    assert!(began.elapsed() < limit + Duration::from_secs(60), "{error:?} after {:?}", began.elapsed());
    error
}

/// The files below a folder, the largest last.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort_by_key(|path| fs::metadata(path).unwrap().len());
    found
}

/// A folder with what is to be kept, and the environment of the tool that keeps it.
pub struct Shop {
    /// Where all of it lies; a repository on this machine is its `repo`.
    pub dir: TempDir,
    tool: &'static str,
    env: Vec<(String, String)>,
}

impl Shop {
    /// With a dump and a name that is none for a shell, in the folder `data`. `None`: the tool is not installed.
    pub fn new(tool: &'static str, data: &str) -> Option<Self> {
        super::tool(tool)?;
        let shop = Self { dir: tempfile::tempdir().unwrap(), tool, env: vec![("TZ".to_owned(), "UTC".to_owned())] };
        fs::create_dir_all(shop.path(data).join("a b")).unwrap();
        fs::write(shop.path(data).join("a b/new\nline;$(touch oops)"), "one").unwrap();
        fs::write(shop.path(data).join("dump.sql"), noise()).unwrap();
        Some(shop)
    }

    /// With this in the environment of the tool; what was there under the name is replaced.
    pub fn set(&mut self, name: &str, value: impl AsRef<Path>) {
        self.env.retain(|(other, _)| other != name);
        self.env.push((name.to_owned(), value.as_ref().to_str().unwrap().to_owned()));
    }

    /// A name in its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Not at low priority, as the program would: what a test waits for.
    pub fn program(&self, argv: &[&str]) -> Program {
        let program = Program::new(argv.iter().map(|&word| word.to_owned()).collect()).directory(self.dir.path());
        self.env.iter().fold(program, |program, (name, value)| program.env(name, Secret::new(value.clone())))
    }

    async fn done(&self, argv: &[&str]) {
        let output = exec::run(&self.program(argv), Limits::within(Duration::from_secs(300))).await.unwrap();
        assert!(output.ending.success(), "{argv:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Lets the tool do something, which succeeds.
    pub async fn run(&self, arguments: &[&str]) {
        self.done(&[&[self.tool], arguments].concat()).await;
    }

    /// The repository again, in another folder.
    pub async fn copied(&self, to: &str) -> PathBuf {
        self.done(&["cp", "-a", "repo", to]).await;
        self.path(to)
    }

    /// The tool under its own name, noting each word that it is called with; and where it is noted.
    pub async fn noting(&self) -> (PathBuf, PathBuf) {
        let (folder, notes) = (self.path("noting"), self.path("noted"));
        fs::create_dir_all(&folder).unwrap();
        let real = super::tool(self.tool).unwrap();
        let text = format!("printf '%s\\n' \"$@\" >>{notes:?}\nexec {real:?} \"$@\"");
        crate::sources::contract::commands::script(&folder.join(self.tool), &text).await;
        (folder.join(self.tool), notes)
    }
}
