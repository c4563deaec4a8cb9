//! A dump into a database, as text or in one of pg_dump's own formats.

use std::path::Path;

use super::super::LIMIT;
use super::super::script::Seen;
use super::{Database, literal};
use crate::io::exec::{self, Limits, Program};

/// Errors of a load that are told.
const TOLD: usize = 3;

impl Database {
    /// Makes the roles that a dump names, so that it loads as it would at home. Only on a throw-away server.
    pub(in crate::actions::drill) async fn make_roles(&self, seen: &Seen) -> Result<(), String> {
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
    pub(in crate::actions::drill) async fn load_plain(&self, dump: &Path) -> Result<u64, String> {
        let file = dump.to_string_lossy().into_owned();
        let program = self.program("psql", &["-X", "-q", "-o", "/dev/null", "-v", "VERBOSITY=verbose", "-v", "SHOW_CONTEXT=never", "-f", &file], &self.name);
        self.loaded(&program).await
    }

    /// Loads a dump in one of pg_dump's own formats.
    pub(in crate::actions::drill) async fn load_archive(&self, dump: &Path) -> Result<u64, String> {
        let file = dump.to_string_lossy().into_owned();
        let program = self.program("pg_restore", &["--no-owner", "--no-privileges", "-d", &self.name, &file], &self.name);
        self.loaded(&program).await
    }

    async fn loaded(&self, program: &Program) -> Result<u64, String> {
        let limits = Limits { stderr_bytes: 4 << 20, ..Limits::within(LIMIT) };
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
    use super::super::quoted;
    use super::*;

    #[test]
    fn names_are_quoted_and_errors_are_short() {
        assert_eq!(quoted("public.od\"d"), "\"public\".\"od\"\"d\"");
        assert_eq!(told("psql:/tmp/x.sql:12: ERROR:  42P01: relation \"a\" does not exist"), "relation \"a\" does not exist");
        assert_eq!(told("pg_restore: error: could not open x"), "could not open x");
    }
}
