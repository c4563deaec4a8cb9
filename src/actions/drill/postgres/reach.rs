//! A person's own server: its address, and a scratch database on it, of a random name, that is dropped again. Nothing else is touched there.

use std::path::PathBuf;

use super::{Database, programs, quoted};
use crate::io::secret::Secret;

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

/// How a client reaches the server of an address: `postgres://user:password@host:port/database?sslmode=require`.
pub(in crate::actions::drill) fn reach(address: &Secret) -> Result<(Vec<(String, Secret)>, String), String> {
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
pub(in crate::actions::drill) async fn create(address: &Secret, name: &str) -> Result<Database, String> {
    let (reach, first) = reach(address)?;
    let bin = client()?;
    let mut database = Database { bin, reach, name: first, on_server: true, server: None };
    database.ask(&format!("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'", quoted(name))).await?;
    name.clone_into(&mut database.name);
    Ok(database)
}

/// Drops a scratch database, by its name, from a person's server.
pub(in crate::actions::drill) async fn drop_database(address: &Secret, name: &str) -> Result<(), String> {
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

    #[tokio::test]
    async fn only_scratch_databases_are_dropped() {
        let address = Secret::new("postgres://nobody@localhost:1/".to_owned());
        for name in ["shop", "rounds_drill_", "rounds_drill_x\"; DROP DATABASE shop", "rounds_drill_0123456789abcdeg"] {
            assert!(drop_database(&address, name).await.unwrap_err().contains("is no scratch database"), "{name}");
        }
    }
}
