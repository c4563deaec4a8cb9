//! PostgreSQL: a throw-away server in the scratch place, or a scratch database on a person's own server; loading a dump, asking.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `reach` | a person's own server: its address, a scratch database on it |
//! | `server` | a throw-away server in the scratch place |
//! | `load` | a dump into a database |
//!
//! What does not belong here: what must hold (`assert`), what a dump would do (`script`).

mod load;
mod reach;
mod server;

use std::fs;
use std::path::PathBuf;

pub(super) use self::reach::{create, drop_database, reach};
use self::server::Server;
pub(super) use self::server::{Data, socket_place, start};
use super::LIMIT;
use crate::io::exec::{self, Limits, Program};
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
/// How long one short question may take to connect, in seconds.
const CONNECTING: &str = "15";

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

/// English, and led nowhere by the environment of this process.
fn clean(program: Program) -> Program {
    let program = THEIRS.iter().fold(program, |program, name| program.without(name));
    program.env("LC_ALL", Secret::new("C.UTF-8".to_owned())).env("TZ", Secret::new("UTC".to_owned()))
}

/// A name as a statement writes it: `"schema"."table"`.
fn quoted(name: &str) -> String {
    name.split('.').map(|part| format!("\"{}\"", part.replace('"', "\"\""))).collect::<Vec<_>>().join(".")
}

/// A text as a statement writes it.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn has(table: &str) -> String {
    format!("SELECT to_regclass({}) IS NOT NULL", literal(&quoted(table)))
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
        let output = exec::run(&program, Limits::within(LIMIT)).await.map_err(|error| error.to_string())?;
        if output.ending.success() {
            return Ok(output.stdout_text().trim_end_matches('\n').to_owned());
        }
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let line = text.lines().map(str::trim).find(|line| line.contains("ERROR:") || line.contains("FATAL:")).or(text.lines().last()).unwrap_or_default();
        Err(line.chars().filter(|c| !c.is_control()).take(300).collect::<String>().trim_start_matches("ERROR:").trim().to_owned())
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
        Some(server.end().await)
    }
}
