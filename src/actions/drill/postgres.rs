//! PostgreSQL: a throw-away server in the scratch place, or a scratch database on a person's own server; loading a dump, asking.
//!
//! The throw-away server listens on a socket in the scratch place only, writes nothing outside it, archives nothing, and belongs to an
//! unprivileged user where we are root (the server refuses to run as root). It ends with the run, however that ends: it is in a process
//! group that is killed when it is dropped.
//! On a person's server only one database is made, of a random name, and dropped again.
//!
//! What does not belong here: what must hold (`assert`), what a dump would do (`script`).

use std::ffi::OsStr;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::unistd::{Gid, Uid, User};
use tokio::io::AsyncReadExt as _;

use super::place::{self, PREFIX};
use super::script::Seen;
use crate::io::exec::{self, Limits, Program, Running};
use crate::io::secret::Secret;

/// Variables that would lead a client elsewhere.
const THEIRS: [&str; 23] = [
    "PGHOST",
    "PGHOSTADDR",
    "PGPORT",
    "PGDATABASE",
    "PGUSER",
    "PGPASSWORD",
    "PGPASSFILE",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGOPTIONS",
    "PGSSLMODE",
    "PGSSLCERT",
    "PGSSLKEY",
    "PGSSLROOTCERT",
    "PGSSLCRL",
    "PGREQUIRESSL",
    "PGCHANNELBINDING",
    "PGTARGETSESSIONATTRS",
    "PGAPPNAME",
    "PGDATA",
    "PGCLIENTENCODING",
    "PGTZ",
    "PSQL_PAGER",
];
/// Parameters of an address that a client takes as variables (PostgreSQL documentation, "Environment Variables" of libpq).
const PARAMETERS: [(&str, &str); 10] = [
    ("host", "PGHOST"),
    ("port", "PGPORT"),
    ("user", "PGUSER"),
    ("password", "PGPASSWORD"),
    ("sslmode", "PGSSLMODE"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("channel_binding", "PGCHANNELBINDING"),
    ("options", "PGOPTIONS"),
];
/// A socket's path is not longer than this on any system we run on, with the name of its file.
const SOCKET: usize = 80;
/// How long one short question may take to connect, in seconds.
const CONNECTING: &str = "15";
/// How long a server that is asked to end may take.
const ENDING: Duration = Duration::from_secs(20);
/// The last bytes of a server's log that are kept.
const LOG: usize = 8 << 10;
/// Errors of a load that are told.
const TOLD: usize = 3;

/// A database that can be asked. Dropping it ends a throw-away server.
pub(super) struct Database {
    bin: PathBuf,
    /// How a client reaches it; without the database's name.
    reach: Vec<(String, Secret)>,
    /// The database that was loaded.
    pub name: String,
    /// The person's server keeps it until it is dropped.
    pub on_server: bool,
    server: Option<Server>,
}

/// A throw-away server.
struct Server {
    running: Running,
    socket: PathBuf,
    log: Arc<Mutex<Vec<u8>>>,
}

/// The folder of PostgreSQL's programs: of this major version, else of the newest.
pub(super) fn programs(version: Option<u32>) -> Result<PathBuf, String> {
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    // Debian keeps them beside each other, not in PATH; so do the packages of the PostgreSQL project for Red Hat's systems.
    for (root, prefix, end) in [("/usr/lib/postgresql", "", "bin"), ("/usr", "pgsql-", "bin"), ("/usr/local/lib/postgresql", "", "bin")] {
        for entry in fs::read_dir(root).into_iter().flatten().filter_map(Result::ok) {
            let major = entry.file_name().to_str().and_then(|name| name.strip_prefix(prefix)?.parse::<u32>().ok());
            let bin = entry.path().join(end);
            if let Some(major) = major.filter(|_| bin.join("postgres").is_file()) {
                found.push((major, bin));
            }
        }
    }
    found.sort();
    let wanted = match version {
        Some(version) => found.iter().find(|(major, _)| *major == version),
        None => found.last(),
    };
    if let Some((_, bin)) = wanted {
        return Ok(bin.clone());
    }
    let in_path =
        std::env::var_os("PATH").into_iter().flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>()).find(|dir| dir.join("postgres").is_file());
    match (in_path, version) {
        (Some(bin), None) => Ok(bin),
        // The server itself says so when it is of another version.
        (Some(bin), Some(_)) if found.is_empty() => Ok(bin),
        (_, Some(version)) => Err(format!("PostgreSQL {version} is not installed here: install its server, or let `drill.server` name one")),
        (_, None) => Err("PostgreSQL is not installed here: install its server, or let `drill.server` name one".to_owned()),
    }
}

/// Whom a server is run as where we are root.
fn unprivileged() -> Result<Option<User>, String> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(None);
    }
    ["postgres", "nobody"]
        .into_iter()
        .find_map(|name| User::from_name(name).ok().flatten().filter(|user| !user.uid.is_root()))
        .map(Some)
        .ok_or_else(|| "there is no user \"postgres\" or \"nobody\" to run a server as".to_owned())
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
pub(super) enum Data {
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
pub(super) fn socket_place(scratch: &Path) -> Option<PathBuf> {
    let usual = scratch.join("pg/s");
    (usual.as_os_str().len() > SOCKET).then(|| std::env::temp_dir().join(format!("{PREFIX}{}", place::random_name())))
}

/// Starts a throw-away server below `scratch` and gives it once it answers.
pub(super) async fn start(scratch: &Path, data: Data, socket: Option<PathBuf>) -> Result<Database, String> {
    let user = unprivileged()?;
    let version = match &data {
        Data::New => None,
        Data::Restored(data) => Some(version_of(data)?),
    };
    let bin = programs(version)?;
    let (home, scratch) = (scratch.join("pg"), scratch.to_owned());
    let restored = matches!(data, Data::Restored(_));
    let work = {
        let (home, user, socket) = (home.clone(), user.clone(), socket.clone());
        move || -> Result<(PathBuf, PathBuf, Option<String>), String> {
            folder(&home, user.as_ref())?;
            let socket = socket.unwrap_or_else(|| home.join("s"));
            folder(&socket, user.as_ref())?;
            let (place, owner) = match data {
                Data::New => (home.join("data"), None),
                Data::Restored(data) => {
                    let owner = data.metadata().ok().and_then(|about| User::from_uid(Uid::from_raw(about.uid())).ok().flatten());
                    leads_nowhere(&data, &scratch)?;
                    ready(&data, user.as_ref())?;
                    (data, owner.map(|user| user.name))
                }
            };
            for (name, text) in
                [("postgresql.conf", settings(&home, &socket, restored)), ("hba.conf", "local all all trust\n".to_owned()), ("ident.conf", String::new())]
            {
                let path = home.join(name);
                fs::write(&path, text).map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
                if let Some(user) = &user {
                    let _ = std::os::unix::fs::chown(&path, Some(user.uid.as_raw()), Some(user.gid.as_raw()));
                }
            }
            Ok((place, socket, owner))
        }
    };
    let (place, socket, owner) = tokio::task::spawn_blocking(work).await.map_err(|_| "the place of the server could not be made".to_owned())??;
    let as_user = |argv: Vec<String>| {
        let program = clean(Program::new(argv)).directory(&home).low_priority();
        match &user {
            Some(user) => program.as_user(user.uid.as_raw(), user.gid.as_raw()),
            None => program,
        }
    };
    let path = |name: &str| bin.join(name).to_string_lossy().into_owned();
    let shown = place.to_string_lossy().into_owned();
    if !restored {
        let argv = [&path("initdb"), "-D", &shown, "-U", "rounds", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"];
        let made = exec::run(&as_user(argv.map(str::to_owned).to_vec()), Limits::within(Duration::from_secs(300))).await.map_err(|error| error.to_string())?;
        if !made.ending.success() {
            return Err(format!("the throw-away server could not be made: {}", made.last_error_line()));
        }
    }
    let config = home.join("postgresql.conf");
    let mut argv = vec![path("postgres"), "-D".to_owned(), shown];
    argv.extend(["-c".to_owned(), format!("config_file={}", config.display())]);
    if restored {
        // What was set on the live server comes with its data (`postgresql.auto.conf`) and counts more than a file of ours.
        for (name, value) in overrides(&home, &socket) {
            argv.extend(["-c".to_owned(), format!("{name}={value}")]);
        }
    }
    let mut running = exec::start(&as_user(argv)).map_err(|error| error.to_string())?;
    let log = Arc::new(Mutex::new(Vec::new()));
    if let Some(stdout) = running.take_stdout() {
        tokio::spawn(drain(stdout, Arc::clone(&log)));
    }
    if let Some(stderr) = running.take_stderr() {
        tokio::spawn(drain(stderr, Arc::clone(&log)));
    }
    let mut server = Server { running, socket: socket.clone(), log };
    server.answers(&place).await?;
    let text = |text: &str| Secret::new(text.to_owned());
    let mut database = Database {
        bin,
        reach: vec![("PGHOST".to_owned(), text(&socket.to_string_lossy())), ("PGPORT".to_owned(), text("5432")), ("PGUSER".to_owned(), text("rounds"))],
        name: "postgres".to_owned(),
        on_server: false,
        server: Some(server),
    };
    if restored {
        database.log_in(owner).await?;
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
    fs::set_permissions(data, std::os::unix::fs::PermissionsExt::from_mode(0o700)).map_err(failed)?;
    if let Some(user) = user {
        give(data, user.uid, user.gid).map_err(failed)?;
        // It has to be reached by its user.
        for above in data.ancestors().skip(1).take_while(|above| above.file_name() != Some(OsStr::new("copy"))) {
            let _ = fs::set_permissions(above, std::os::unix::fs::PermissionsExt::from_mode(0o711));
        }
        if let Some(copy) = data.ancestors().find(|above| above.file_name() == Some(OsStr::new("copy"))) {
            let _ = fs::set_permissions(copy, std::os::unix::fs::PermissionsExt::from_mode(0o711));
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
         synchronous_commit = off\nautovacuum = off\nmax_wal_senders = 0\nmax_connections = 20\nshared_buffers = 64MB\nhuge_pages = off\n\
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

/// English, and led nowhere by the environment of this process.
fn clean(program: Program) -> Program {
    let program = THEIRS.iter().fold(program, |program, name| program.without(name));
    program.env("LC_ALL", Secret::new("C.UTF-8".to_owned())).env("TZ", Secret::new("UTC".to_owned()))
}

/// How a client reaches the server of an address: `postgres://user:password@host:port/database?sslmode=require`.
pub(super) fn reach(address: &Secret) -> Result<(Vec<(String, Secret)>, String), String> {
    let wrong = || "`drill.server` is no address: write postgres://user@host:port/".to_owned();
    let url = url::Url::parse(address.expose().trim()).map_err(|_| wrong())?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err(wrong());
    }
    let plain = |text: &str| percent(text);
    let mut reach: Vec<(String, String)> = Vec::new();
    let mut put = |name: &str, value: String| {
        if !value.is_empty() {
            reach.push((name.to_owned(), value));
        }
    };
    put("PGHOST", url.host_str().map_or_else(String::new, |host| plain(host).trim_matches(['[', ']']).to_owned()));
    put("PGPORT", url.port().map_or_else(String::new, |port| port.to_string()));
    put("PGUSER", plain(url.username()));
    put("PGPASSWORD", url.password().map_or_else(String::new, plain));
    for (name, value) in url.query_pairs() {
        match PARAMETERS.iter().find(|(parameter, _)| *parameter == name) {
            Some((_, variable)) => put(variable, value.into_owned()),
            None if name == "application_name" || name == "connect_timeout" => {}
            None => return Err(format!("`drill.server`: the parameter {name} is not known")),
        }
    }
    let database = plain(url.path().trim_start_matches('/'));
    let database = if database.is_empty() { "postgres".to_owned() } else { database };
    Ok((reach.into_iter().map(|(name, value)| (name, Secret::new(value))).collect(), database))
}

/// A part of an address without its percent signs.
fn percent(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok()).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match digits.filter(|_| *byte == b'%') {
            Some(value) => {
                bytes.push(value);
                rest = &after[2..];
            }
            None => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Makes a scratch database of this name on a person's server.
pub(super) async fn create(address: &Secret, name: &str) -> Result<Database, String> {
    let (reach, first) = reach(address)?;
    let bin = client()?;
    let mut database = Database { bin, reach, name: first, on_server: true, server: None };
    database.ask(&format!("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'", quoted(name))).await?;
    name.clone_into(&mut database.name);
    Ok(database)
}

/// Drops a scratch database, by its name, from a person's server.
pub(super) async fn drop_database(address: &Secret, name: &str) -> Result<(), String> {
    let random = name.strip_prefix("rounds_drill_").is_some_and(|rest| rest.len() == 16 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if !random {
        return Err(format!("{name} is no scratch database"));
    }
    let (reach, first) = reach(address)?;
    let database = Database { bin: client()?, reach, name: first, on_server: true, server: None };
    match database.ask(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(name))).await {
        // Before version 13 nothing can be forced.
        Err(said) if said.contains("syntax error") => database.ask(&format!("DROP DATABASE IF EXISTS {}", quoted(name))).await.map(drop),
        other => other.map(drop),
    }
}

/// The folder of the client programs; empty: they are in PATH.
fn client() -> Result<PathBuf, String> {
    let in_path = std::env::var_os("PATH").into_iter().flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>()).any(|dir| dir.join("psql").is_file());
    if in_path { Ok(PathBuf::new()) } else { programs(None).map_err(|_| "psql is not installed here: install PostgreSQL's client programs".to_owned()) }
}

/// A name as a statement writes it: `"schema"."table"`.
fn quoted(name: &str) -> String {
    name.split('.').map(|part| format!("\"{}\"", part.replace('"', "\"\""))).collect::<Vec<_>>().join(".")
}

/// A text as a statement writes it.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

impl Database {
    fn program(&self, name: &str, arguments: &[&str], database: &str) -> Program {
        let program = if self.bin.as_os_str().is_empty() { name.to_owned() } else { self.bin.join(name).to_string_lossy().into_owned() };
        let argv = std::iter::once(program).chain(arguments.iter().map(|&argument| argument.to_owned())).collect();
        let text = |text: &str| Secret::new(text.to_owned());
        let program = clean(Program::new(argv)).low_priority().env("PGCONNECT_TIMEOUT", text(CONNECTING)).env("PGAPPNAME", text("rounds drill"));
        self.reach.iter().fold(program, |program, (name, value)| program.env(name, value.clone())).env("PGDATABASE", text(database))
    }

    /// Variables by which a program of a person's reaches it.
    pub(super) fn variables(&self) -> Vec<(String, Secret)> {
        let mut all = self.reach.clone();
        all.push(("PGDATABASE".to_owned(), Secret::new(self.name.clone())));
        all
    }

    /// One statement's answer: rows by line, columns by `|`. The caller bounds its time.
    pub(super) async fn ask(&self, sql: &str) -> Result<String, String> {
        self.ask_in(sql, &self.name).await
    }

    async fn ask_in(&self, sql: &str, database: &str) -> Result<String, String> {
        let program = self.program("psql", &["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql], database);
        let output = exec::run(&program, Limits::within(super::LIMIT)).await.map_err(|error| error.to_string())?;
        if output.ending.success() {
            return Ok(output.stdout_text().trim_end_matches('\n').to_owned());
        }
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let line = text.lines().map(str::trim).find(|line| line.contains("ERROR:") || line.contains("FATAL:")).or(text.lines().last()).unwrap_or_default();
        Err(line.chars().filter(|c| !c.is_control()).take(300).collect::<String>().trim_start_matches("ERROR:").trim().to_owned())
    }

    /// Finds a role that may ask a restored server, which has none of ours.
    async fn log_in(&mut self, owner: Option<String>) -> Result<(), String> {
        let mut last = String::new();
        for role in [Some("postgres".to_owned()), owner].into_iter().flatten() {
            self.reach.retain(|(name, _)| name != "PGUSER");
            self.reach.push(("PGUSER".to_owned(), Secret::new(role)));
            match self.ask_in("SELECT 1", "template1").await {
                Ok(_) => return Ok(()),
                Err(said) => last = said,
            }
        }
        Err(format!("the restored server lets nobody in: {last}"))
    }

    /// Takes the database of a restored server that has most of these tables; without tables the only one, or the largest.
    pub(super) async fn choose(&mut self, tables: &[&str]) -> Result<(), String> {
        let sql = "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY datname = 'postgres', pg_database_size(oid) DESC";
        let names = self.ask_in(sql, "template1").await?;
        let mut best: Option<(usize, String)> = None;
        for name in names.lines().filter(|name| !name.is_empty()).take(100) {
            let mut count = 0;
            for table in tables {
                count += usize::from(self.ask_in(&has(table), name).await? == "t");
            }
            if best.as_ref().is_none_or(|(most, _)| count > *most) {
                best = Some((count, name.to_owned()));
            }
        }
        let (_, name) = best.ok_or("the restored server has no database")?;
        self.name = name;
        Ok(())
    }

    /// Makes the roles that a dump names, so that it loads as it would at home. Only on a throw-away server.
    pub(super) async fn make_roles(&self, seen: &Seen) -> Result<(), String> {
        if self.on_server || seen.roles.is_empty() {
            return Ok(());
        }
        let statements: Vec<String> = seen
            .roles
            .iter()
            .filter(|role| !role.starts_with("pg_"))
            .map(|role| {
                let made = format!("CREATE ROLE {}", format_args!("\"{}\"", role.replace('"', "\"\"")));
                format!("DO $do$ BEGIN EXECUTE {}; EXCEPTION WHEN duplicate_object THEN NULL; END $do$;", literal(&made))
            })
            .collect();
        self.ask(&statements.join("\n")).await.map(drop)
    }

    /// Loads a dump as text. What only fails for want of a role of the live server is passed over, and counted.
    pub(super) async fn load_plain(&self, dump: &Path) -> Result<u64, String> {
        let file = dump.to_string_lossy().into_owned();
        let program = self.program("psql", &["-X", "-q", "-o", "/dev/null", "-v", "VERBOSITY=verbose", "-v", "SHOW_CONTEXT=never", "-f", &file], &self.name);
        self.loaded(&program).await
    }

    /// Loads a dump in one of pg_dump's own formats.
    pub(super) async fn load_archive(&self, dump: &Path) -> Result<u64, String> {
        let file = dump.to_string_lossy().into_owned();
        let program = self.program("pg_restore", &["--no-owner", "--no-privileges", "-d", &self.name, &file], &self.name);
        self.loaded(&program).await
    }

    async fn loaded(&self, program: &Program) -> Result<u64, String> {
        let limits = Limits { stderr_bytes: 4 << 20, ..Limits::within(super::LIMIT) };
        let output = exec::run(program, limits).await.map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let (mut passed, mut errors) = (0, Vec::new());
        for line in text.lines().filter(|line| line.contains("ERROR:") || line.contains("FATAL:") || line.starts_with("pg_restore: error: ")) {
            // 42704: undefined object (PostgreSQL documentation, "PostgreSQL Error Codes").
            if self.on_server && line.contains("42704") && line.contains("role ") {
                passed += 1;
            } else {
                errors.push(told(line));
            }
        }
        if !errors.is_empty() {
            let more = if errors.len() > TOLD { format!(" and {} more", errors.len() - TOLD) } else { String::new() };
            errors.truncate(TOLD);
            return Err(format!("{}{more}", errors.join("; ")));
        }
        if output.ending.success() || passed > 0 { Ok(passed) } else { Err(format!("{}: {}", output.ending, output.last_error_line())) }
    }

    /// Whether it has a table, or a view, of this name.
    pub(super) async fn has(&self, table: &str) -> Result<bool, String> {
        Ok(self.ask(&has(table)).await? == "t")
    }

    /// How many rows a table has.
    pub(super) async fn rows(&self, table: &str) -> Result<u64, String> {
        let said = self.ask(&format!("SELECT count(*) FROM {}", quoted(table))).await?;
        said.parse().map_err(|_| format!("the answer is no number: {said}"))
    }

    /// The largest value of a column, as text, in UTC.
    pub(super) async fn newest(&self, table: &str, column: &str) -> Result<Option<String>, String> {
        let column = format!("\"{}\"", column.replace('"', "\"\""));
        let said = self.ask(&format!("SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SELECT max({column})::text FROM {}", quoted(table))).await?;
        Ok(Some(said).filter(|said| !said.is_empty()))
    }

    /// Ends a throw-away server; what it leaves is taken away with the scratch place.
    pub(super) async fn end(mut self) -> Option<PathBuf> {
        let server = self.server.take()?;
        server.running.stop_within(ENDING).await;
        Some(server.socket)
    }
}

fn has(table: &str) -> String {
    format!("SELECT to_regclass({}) IS NOT NULL", literal(&quoted(table)))
}

/// An error of psql's without the file and place before it and the code in it.
fn told(line: &str) -> String {
    let text = line.split_once("ERROR:").or_else(|| line.split_once("FATAL:")).map_or(line, |(_, text)| text).trim();
    let text = match text.split_once(": ") {
        Some((code, rest)) if code.len() == 5 && code.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase()) => rest,
        _ => text,
    };
    text.trim_start_matches("pg_restore: error: ").chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached(address: &str) -> Result<(Vec<(String, String)>, String), String> {
        let (reach, database) = reach(&Secret::new(address.to_owned()))?;
        Ok((reach.into_iter().map(|(name, value)| (name, value.expose().to_owned())).collect(), database))
    }

    #[test]
    fn an_address_becomes_variables() {
        let (reach, database) = reached("postgres://ana:s%40c@db.example:5433/tmp?sslmode=require").unwrap();
        let pairs: Vec<String> = reach.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(pairs, ["PGHOST=db.example", "PGPORT=5433", "PGUSER=ana", "PGPASSWORD=s@c", "PGSSLMODE=require"]);
        assert_eq!(database, "tmp");
        let (reach, database) = reached("postgresql:///?host=/run/pg&user=x").unwrap();
        assert_eq!((reach[0].1.as_str(), database.as_str()), ("/run/pg", "postgres"));
        for odd in ["mysql://x/", "db.example", "postgres://x/?service=y"] {
            assert!(reached(odd).unwrap_err().contains("drill.server"), "{odd}");
        }
    }

    #[test]
    fn names_are_quoted_and_errors_are_short() {
        assert_eq!(quoted("public.od\"d"), "\"public\".\"od\"\"d\"");
        assert_eq!(told("psql:/tmp/x.sql:12: ERROR:  42P01: relation \"a\" does not exist"), "relation \"a\" does not exist");
        assert_eq!(told("pg_restore: error: could not open x"), "could not open x");
    }

    #[tokio::test]
    async fn only_scratch_databases_are_dropped() {
        let address = Secret::new("postgres://nobody@localhost:1/".to_owned());
        for name in ["shop", "rounds_drill_", "rounds_drill_x\"; DROP DATABASE shop", "rounds_drill_0123456789abcdeg"] {
            assert!(drop_database(&address, name).await.unwrap_err().contains("is no scratch database"), "{name}");
        }
    }

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
