//! A throw-away PostgreSQL server for tests of tools that back one up: in a directory of its own, on a unix socket, as an unprivileged
//! user where the tests run as root (the server refuses to). For tests only.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::unistd::User;
use tempfile::TempDir;

use crate::io::exec::{self, Limits, Output, Program, Running};

/// A server that runs until this is dropped.
pub struct Cluster {
    dir: TempDir,
    user: Option<User>,
    bin: PathBuf,
    server: Option<Running>,
}

/// Where the programs of the newest version are.
fn programs() -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = glob::glob("/usr/lib/postgresql/*/bin/initdb").unwrap().filter_map(Result::ok).collect();
    found.sort();
    found.pop().or_else(|| super::tool("initdb")).and_then(|initdb| initdb.parent().map(Path::to_path_buf))
}

impl Cluster {
    /// Starts one with these further lines of configuration, which are told its directory. `None`: skip the test; the reason is printed.
    pub async fn start(settings: impl FnOnce(&Path) -> String) -> Option<Self> {
        let bin = programs()?;
        let root = nix::unistd::geteuid().is_root();
        let user = if root { Some(["postgres", "nobody"].iter().find_map(|name| User::from_name(name).unwrap()).unwrap()) } else { None };
        // In memory where that is possible: a restore waits for the disk with each of a thousand files.
        let dir = tempfile::Builder::new().prefix("rd").tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let mut this = Self { dir, user, bin, server: None };
        this.give(this.path());
        for folder in ["data", "s"] {
            this.folder(folder);
        }
        let data = this.at("data");
        this.ok(&["initdb", "-D", &data, "-A", "trust", "-U", "postgres", "--no-sync"]).await;
        let mut text = fs::read_to_string(this.path().join("data/postgresql.conf")).unwrap();
        text.push_str(&format!(
            "listen_addresses = ''\nunix_socket_directories = '{}'\nfsync = off\ndynamic_shared_memory_type = mmap\nshared_buffers = 4MB\n{}\n",
            this.at("s"),
            settings(this.path())
        ));
        fs::write(this.path().join("data/postgresql.conf"), text).unwrap();
        let mut server = exec::start(&this.program(&["postgres", "-D", &data])).unwrap();
        // What it says is dropped as it comes.
        for stream in
            [server.take_stdout().map(|s| Box::new(s) as Box<dyn tokio::io::AsyncRead + Unpin + Send>), server.take_stderr().map(|s| Box::new(s) as _)]
        {
            tokio::spawn(async move { tokio::io::copy(&mut stream.unwrap(), &mut tokio::io::sink()).await });
        }
        this.server = Some(server);
        let begun = Instant::now();
        while !this.run(&["pg_isready", "-q", "-h", &this.at("s")]).await.ending.success() {
            assert!(begun.elapsed() < Duration::from_secs(60), "the server did not start");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Some(this)
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A path in it.
    pub fn at(&self, name: &str) -> String {
        self.path().join(name).to_str().unwrap().to_owned()
    }

    /// Gives what is there to the user.
    pub fn give(&self, path: &Path) {
        if let Some(user) = &self.user {
            chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
        }
    }

    /// Makes a folder of the user's.
    pub fn folder(&self, name: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        self.give(&path);
        path
    }

    /// The words by which a program is run as that user.
    pub fn command(&self, tool: &str) -> Vec<String> {
        let program = self.bin.join(tool);
        let tool = if program.is_file() { program.to_str().unwrap().to_owned() } else { tool.to_owned() };
        match &self.user {
            Some(user) => ["runuser", "-u", &user.name, "--", &tool].map(str::to_owned).to_vec(),
            None => vec![tool],
        }
    }

    /// The name of that user.
    pub fn user(&self) -> String {
        let own = || User::from_uid(nix::unistd::geteuid()).unwrap().unwrap();
        self.user.clone().unwrap_or_else(own).name
    }

    /// A program as that user.
    pub fn program(&self, argv: &[&str]) -> Program {
        let words = argv[1..].iter().map(|&word| word.to_owned());
        Program::new(self.command(argv[0]).into_iter().chain(words).collect()).directory(self.path())
    }

    /// Runs a program as that user.
    pub async fn run(&self, argv: &[&str]) -> Output {
        exec::run(&self.program(argv), Limits::within(Duration::from_secs(120))).await.unwrap()
    }

    /// The same of one that must end well; what it printed.
    pub async fn ok(&self, argv: &[&str]) -> String {
        let output = self.run(argv).await;
        assert!(output.ending.success(), "{argv:?}: {}: {} {}", output.ending, output.stdout_text(), String::from_utf8_lossy(&output.stderr));
        output.stdout_text()
    }

    /// Puts two orders into it, one table of them in a table space of its own.
    pub async fn fill(&self) {
        let space = self.folder("space");
        let sql = format!(
            "CREATE TABLESPACE far LOCATION '{}'; CREATE TABLE orders (id integer, created timestamptz DEFAULT now()); \
             CREATE TABLE archived (id integer) TABLESPACE far; INSERT INTO orders VALUES (1), (2); INSERT INTO archived VALUES (1);",
            space.display()
        );
        for statement in sql.split_terminator(';') {
            self.ok(&["psql", "-X", "-q", "-h", &self.at("s"), "-U", "postgres", "-c", statement]).await;
        }
    }

    /// Ends it well, so that nothing of it stays behind.
    pub async fn stop(mut self) {
        let data = self.at("data");
        self.run(&["pg_ctl", "-D", &data, "-m", "immediate", "-w", "stop"]).await;
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
    }
}
