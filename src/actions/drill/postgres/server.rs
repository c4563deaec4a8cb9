//! A throw-away server in the scratch place.
//!
//! It listens on a socket in the scratch place only, writes nothing outside it, archives nothing, and belongs to an unprivileged user where
//! we are root (the server refuses to run as root). It ends with the run, however that ends: it is in a process group that is killed when it
//! is dropped.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::unistd::{Gid, Uid, User};
use tokio::io::AsyncReadExt as _;

use super::super::place::{self, PREFIX};
use super::{Database, clean, programs};
use crate::io::exec::{self, Limits, Program, Running};
use crate::io::secret::Secret;

/// A socket's path is not longer than this on any system we run on, with the name of its file.
const SOCKET: usize = 80;
/// How long a server that is asked to end may take.
const ENDING: Duration = Duration::from_secs(20);
/// A role that a drill makes on a restored server where it knows none.
const OURS: &str = "rounds_drill";
/// The last bytes of a server's log that are kept.
const LOG: usize = 8 << 10;

/// A throw-away server.
pub(super) struct Server {
    running: Running,
    socket: PathBuf,
    log: Arc<Mutex<Vec<u8>>>,
}

/// Whom a server is run as where we are root: whom the copy was restored as, so that what it restores from can be read, else somebody with
/// few rights.
fn unprivileged(restored_as: Option<&User>) -> Result<Option<User>, String> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(None);
    }
    let usual = || ["postgres", "nobody"].into_iter().find_map(|name| User::from_name(name).ok().flatten().filter(|user| !user.uid.is_root()));
    let user = restored_as.filter(|user| !user.uid.is_root()).cloned().or_else(usual);
    user.map(Some).ok_or_else(|| "there is no user \"postgres\" or \"nobody\" to run a server as".to_owned())
}

/// Gives a folder and all in it to a user. Links are given, not followed. Blocks.
fn give(path: &Path, uid: Uid, gid: Gid) -> std::io::Result<()> {
    let mut waiting = vec![path.to_owned()];
    while let Some(path) = waiting.pop() {
        std::os::unix::fs::lchown(&path, Some(uid.as_raw()), Some(gid.as_raw()))?;
        if path.symlink_metadata()?.is_dir() {
            for entry in fs::read_dir(&path)? {
                waiting.push(entry?.path());
            }
        }
    }
    Ok(())
}

/// Whether nothing in a restored data directory leads out of it: a table space or a log of the live server would be written to. Blocks.
fn leads_nowhere(data: &Path, scratch: &Path) -> Result<(), String> {
    let folders = [data.to_owned(), data.join("pg_tblspc")];
    for folder in folders {
        for entry in fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok) {
            let Ok(target) = fs::read_link(entry.path()) else { continue };
            let target = folder.join(target);
            let real = target.canonicalize().unwrap_or(target);
            if !real.starts_with(scratch) {
                return Err(format!("{} leads to {}, outside the scratch place", entry.path().display(), real.display()));
            }
        }
    }
    Ok(())
}

/// What a server begins with.
pub(in crate::actions::drill) enum Data {
    /// Nothing: it is made.
    New,
    /// A restored data directory.
    Restored(PathBuf),
}

/// A folder that belongs to the user of the server. Blocks.
fn folder(path: &Path, user: Option<&User>) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{} cannot be made: {error}", path.display());
    DirBuilder::new().mode(0o700).create(path).map_err(failed)?;
    if let Some(user) = user {
        std::os::unix::fs::chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).map_err(failed)?;
    }
    Ok(())
}

/// A short place for the socket where the scratch place's path is too long for one: told before it is made, so that it is not forgotten.
pub(in crate::actions::drill) fn socket_place(scratch: &Path) -> Option<PathBuf> {
    let usual = scratch.join("pg/s");
    (usual.as_os_str().len() > SOCKET).then(|| std::env::temp_dir().join(format!("{PREFIX}{}", place::random_name())))
}

/// How the programs of one server are started.
struct Starter {
    bin: PathBuf,
    home: PathBuf,
    data: PathBuf,
    socket: PathBuf,
    user: Option<User>,
    /// What was set on the live server comes with its data (`postgresql.auto.conf`) and counts more than a file of ours.
    overrides: Vec<(&'static str, String)>,
}

impl Starter {
    fn path(&self, name: &str) -> String {
        self.bin.join(name).to_string_lossy().into_owned()
    }

    fn program(&self, argv: Vec<String>) -> Program {
        let program = clean(Program::new(argv)).directory(&self.home).low_priority();
        match &self.user {
            Some(user) => program.as_user(user.uid.as_raw(), user.gid.as_raw()),
            None => program,
        }
    }

    /// The words that follow the server's name.
    fn words(&self) -> Vec<String> {
        let config = format!("config_file={}", self.home.join("postgresql.conf").display());
        let mut words = vec!["-D".to_owned(), self.data.to_string_lossy().into_owned(), "-c".to_owned(), config];
        words.extend(self.overrides.iter().flat_map(|(name, value)| ["-c".to_owned(), format!("{name}={value}")]));
        words
    }

    /// Makes an empty one.
    async fn make(&self) -> Result<(), String> {
        let argv = [&self.path("initdb"), "-D", &self.data.to_string_lossy(), "-U", "rounds", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
            .map(str::to_owned);
        let made = exec::run(&self.program(argv.to_vec()), Limits::within(Duration::from_secs(300))).await.map_err(|error| error.to_string())?;
        if made.ending.success() { Ok(()) } else { Err(format!("the throw-away server could not be made: {}", made.last_error_line())) }
    }

    /// Starts it and gives it once it answers.
    async fn start(&self) -> Result<Server, String> {
        let argv = std::iter::once(self.path("postgres")).chain(self.words()).collect();
        let mut running = exec::start(&self.program(argv)).map_err(|error| error.to_string())?;
        let log = Arc::new(Mutex::new(Vec::new()));
        if let Some(stdout) = running.take_stdout() {
            tokio::spawn(drain(stdout, Arc::clone(&log)));
        }
        if let Some(stderr) = running.take_stderr() {
            tokio::spawn(drain(stderr, Arc::clone(&log)));
        }
        let mut server = Server { running, socket: self.socket.clone(), log };
        server.answers(&self.data).await?;
        Ok(server)
    }

    /// Makes a role that may look at everything, with no server running: in this mode it asks nobody who he is.
    async fn make_role(&self) -> Result<(), String> {
        let fixed = ["sh", "-c", "echo \"$0\" | \"$@\"", &format!("CREATE ROLE {OURS} SUPERUSER LOGIN"), &self.path("postgres"), "--single"].map(str::to_owned);
        let argv = fixed.into_iter().chain(self.words()).chain(["template1".to_owned()]).collect();
        let made = exec::run(&self.program(argv), Limits::within(Duration::from_secs(300))).await.map_err(|error| error.to_string())?;
        if made.ending.success() { Ok(()) } else { Err(format!("{}: {}", made.ending, made.last_error_line())) }
    }
}

/// Makes what a server needs beside its data. Blocks.
fn furnish(scratch: &Path, data: Data, socket: Option<PathBuf>, user: Option<User>, bin: PathBuf) -> Result<(Starter, Option<String>), String> {
    let home = scratch.join("pg");
    folder(&home, user.as_ref())?;
    let socket = socket.unwrap_or_else(|| home.join("s"));
    folder(&socket, user.as_ref())?;
    let (data, owner, overrides) = match data {
        Data::New => (home.join("data"), None, Vec::new()),
        Data::Restored(data) => {
            let owner = data.metadata().ok().and_then(|about| User::from_uid(Uid::from_raw(about.uid())).ok().flatten());
            leads_nowhere(&data, scratch)?;
            ready(&data, user.as_ref())?;
            (data, owner.map(|user| user.name), overrides(&home, &socket))
        }
    };
    let config = settings(&home, &socket, !overrides.is_empty());
    for (name, text) in [("postgresql.conf", config), ("hba.conf", "local all all trust\n".to_owned()), ("ident.conf", String::new())] {
        let path = home.join(name);
        fs::write(&path, text).map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
        if let Some(user) = &user {
            let _ = std::os::unix::fs::chown(&path, Some(user.uid.as_raw()), Some(user.gid.as_raw()));
        }
    }
    Ok((Starter { bin, home, data, socket, user, overrides }, owner))
}

/// Starts a throw-away server below `scratch` and gives it once it answers. `restored_as`: whom the tool wrote the copy as, where not as us.
pub(in crate::actions::drill) async fn start(scratch: &Path, data: Data, socket: Option<PathBuf>, restored_as: Option<&User>) -> Result<Database, String> {
    let user = unprivileged(restored_as)?;
    let version = match &data {
        Data::New => None,
        Data::Restored(data) => Some(version_of(data)?),
    };
    let bin = programs(version)?;
    let restored = matches!(data, Data::Restored(_));
    let scratch = scratch.to_owned();
    let work = tokio::task::spawn_blocking(move || furnish(&scratch, data, socket, user, bin));
    let (starter, owner) = work.await.map_err(|_| "the place of the server could not be made".to_owned())??;
    if !restored {
        starter.make().await?;
    }
    let text = |text: &str| Secret::new(text.to_owned());
    let reach = [("PGHOST", text(&starter.socket.to_string_lossy())), ("PGPORT", text("5432")), ("PGUSER", text("rounds"))];
    let mut database = Database {
        bin: starter.bin.clone(),
        reach: reach.map(|(name, value)| (name.to_owned(), value)).to_vec(),
        name: "postgres".to_owned(),
        on_server: false,
        server: Some(starter.start().await?),
    };
    if restored && database.log_in([Some("postgres".to_owned()), owner]).await.is_err() {
        // Its first role has another name, as that of an image of a container has.
        if let Some(server) = database.server.take() {
            server.end().await;
        }
        starter.make_role().await.map_err(|said| format!("the restored server lets nobody in, and no role could be made: {said}"))?;
        database.server = Some(starter.start().await?);
        database.log_in([Some(OURS.to_owned()), None]).await?;
    }
    Ok(database)
}

/// The major version of a data directory.
fn version_of(data: &Path) -> Result<u32, String> {
    let text = fs::read_to_string(data.join("PG_VERSION")).map_err(|error| format!("what was restored is no data directory of PostgreSQL: {error}"))?;
    let major = text.trim().split('.').next().and_then(|major| major.parse().ok());
    major
        .filter(|major| *major >= 12)
        .ok_or_else(|| format!("a data directory of version {} cannot be tried: 12 and later can", text.trim().chars().take(10).collect::<String>()))
}

/// Makes a restored data directory one that a server of ours may start on. Blocks.
fn ready(data: &Path, user: Option<&User>) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("the restored data directory: {error}");
    for name in ["postmaster.pid", "standby.signal"] {
        let path = data.join(name);
        if path.exists() {
            fs::remove_file(&path).map_err(failed)?;
            if name == "standby.signal" {
                // It is to come up by itself, not to follow the live one.
                fs::write(data.join("recovery.signal"), "").map_err(failed)?;
            }
        }
    }
    fs::set_permissions(data, PermissionsExt::from_mode(0o700)).map_err(failed)?;
    if let Some(user) = user {
        // All of the copy: table spaces lie beside the data. And the server has to reach it.
        let copy = data.ancestors().find(|above| above.file_name() == Some(OsStr::new("copy")));
        give(copy.unwrap_or(data), user.uid, user.gid).map_err(failed)?;
        for above in data.ancestors().skip(1).take_while(|above| above.file_name() != Some(OsStr::new("copy"))).chain(copy) {
            let _ = fs::set_permissions(above, PermissionsExt::from_mode(0o711));
        }
    }
    Ok(())
}

/// What holds on the command line too, where the data came with settings of its own.
fn overrides(home: &Path, socket: &Path) -> Vec<(&'static str, String)> {
    let file = |name: &str| home.join(name).to_string_lossy().into_owned();
    [
        ("listen_addresses", ""),
        ("port", "5432"),
        ("archive_mode", "off"),
        ("archive_command", ""),
        ("archive_cleanup_command", ""),
        ("recovery_end_command", ""),
        ("recovery_target_action", "promote"),
        ("primary_conninfo", ""),
        ("shared_preload_libraries", ""),
        ("session_preload_libraries", ""),
        ("local_preload_libraries", ""),
        ("ssl", "off"),
        ("logging_collector", "off"),
        ("log_destination", "stderr"),
        ("external_pid_file", ""),
        ("hot_standby", "off"),
        ("max_wal_senders", "0"),
        ("fsync", "off"),
        ("shared_buffers", "64MB"),
        ("huge_pages", "off"),
        // Under its own data, so that nothing of a server that was killed is left elsewhere.
        ("dynamic_shared_memory_type", "mmap"),
        // Where no memory may be written and run, as a service manager can ask for.
        ("jit", "off"),
    ]
    .into_iter()
    .map(|(name, value)| (name, value.to_owned()))
    .chain([("unix_socket_directories", socket.to_string_lossy().into_owned()), ("hba_file", file("hba.conf")), ("ident_file", file("ident.conf"))])
    .collect()
}

/// A server for one run: on a socket only, in no hurry to be safe.
fn settings(home: &Path, socket: &Path, restored: bool) -> String {
    let quoted = |path: &Path| path.to_string_lossy().replace('\'', "''");
    let mut text = format!(
        "listen_addresses = ''\nport = 5432\nunix_socket_directories = '{}'\nhba_file = '{}'\nident_file = '{}'\nfsync = off\nfull_page_writes = off\n\
         synchronous_commit = off\nautovacuum = off\nmax_wal_senders = 0\nmax_connections = 20\nshared_buffers = 64MB\nhuge_pages = off\ndynamic_shared_memory_type = mmap\njit = off\n\
         log_destination = 'stderr'\nlogging_collector = off\ntimezone = 'UTC'\nlc_messages = 'C'\n",
        quoted(socket),
        quoted(&home.join("hba.conf")),
        quoted(&home.join("ident.conf")),
    );
    if !restored {
        text.push_str("wal_level = minimal\nmaintenance_work_mem = 128MB\nmax_wal_size = 4GB\n");
    }
    text
}

async fn drain(mut pipe: impl tokio::io::AsyncRead + Unpin, log: Arc<Mutex<Vec<u8>>>) {
    let mut piece = vec![0; 4 << 10];
    while let Ok(read @ 1..) = pipe.read(&mut piece).await {
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        log.extend_from_slice(&piece[..read]);
        let over = log.len().saturating_sub(LOG);
        log.drain(..over);
    }
}

impl Server {
    /// Ends it. Gives where its socket was.
    pub(super) async fn end(self) -> PathBuf {
        self.running.stop_within(ENDING).await;
        self.socket
    }

    /// Waits until it answers. `postmaster.pid` tells its state in its last line.
    async fn answers(&mut self, data: &Path) -> Result<(), String> {
        let path = data.join("postmaster.pid");
        loop {
            if let Ok(ended) = tokio::time::timeout(Duration::from_millis(50), self.running.wait()).await {
                let how = ended.map_or_else(|error| error.to_string(), |ending| ending.to_string());
                return Err(format!("the throw-away server ended ({how}): {}", self.last_words()));
            }
            let text = tokio::fs::read_to_string(&path).await.unwrap_or_default();
            if text.lines().nth(7).is_some_and(|state| state.trim() == "ready") {
                return Ok(());
            }
        }
    }

    /// The line of its log that says most: the last fatal one, else the last.
    fn last_words(&self) -> String {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let fatal = lines.iter().rev().find(|line| ["FATAL", "PANIC", "ERROR"].iter().any(|word| line.contains(word)));
        fatal.or(lines.last()).map_or_else(|| "it said nothing".to_owned(), |line| line.chars().filter(|c| !c.is_control()).take(300).collect())
    }
}

impl Database {
    /// Takes the first of these roles that may ask a restored server, which has none of ours.
    async fn log_in(&mut self, roles: [Option<String>; 2]) -> Result<(), String> {
        let mut last = String::new();
        for role in roles.into_iter().flatten() {
            self.reach.retain(|(name, _)| name != "PGUSER");
            self.reach.push(("PGUSER".to_owned(), Secret::new(role)));
            match self.ask_in("SELECT 1", "template1").await {
                Ok(_) => return Ok(()),
                Err(said) => last = said,
            }
        }
        Err(format!("the restored server lets nobody in: {last}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_out_of_a_restored_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let scratch = dir.path().canonicalize().unwrap();
        let data = scratch.join("copy/main");
        fs::create_dir_all(data.join("pg_tblspc")).unwrap();
        fs::create_dir_all(scratch.join("copy/wal")).unwrap();
        std::os::unix::fs::symlink("../wal", data.join("pg_wal")).unwrap();
        assert_eq!(leads_nowhere(&data, &scratch), Ok(()));
        std::os::unix::fs::symlink("/var", data.join("pg_tblspc/16400")).unwrap();
        assert!(leads_nowhere(&data, &scratch).unwrap_err().contains("outside the scratch place"));
    }
}
