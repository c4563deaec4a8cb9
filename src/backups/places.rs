//! Where a repository is, for the view of places: on the machine that it protects, or not. Pure.

use std::path::Path;

use super::disk::{self, Disk};
use crate::domain::Timestamp;
use crate::domain::backup::Place;

/// What an address says of where it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Where<'a> {
    /// To a path of this machine.
    Here(&'a Path, Disk),
    /// To another machine, by its name.
    Server(String),
    /// To a service that is no machine of ours.
    Service(String),
}

/// The place of a repository whose newest copy was made on the machine `of`, where that is known. `here` is the name of this machine.
#[must_use]
pub fn place(at: &Where<'_>, of: Option<&str>, here: &str, newest: Option<Timestamp>) -> Place {
    let protects = |machine: &str| of.map(|of| disk::same_host(of, machine));
    let (name, same_machine) = match at {
        Where::Here(path, disk) => {
            let same = match disk.remote {
                Some(true) => Some(false),
                Some(false) => protects(here),
                None => None,
            };
            (path.display().to_string(), same)
        }
        Where::Server(server) if ["localhost", "127.0.0.1", "::1"].contains(&server.as_str()) => (server.clone(), protects(here)),
        Where::Server(server) => (server.clone(), protects(server)),
        Where::Service(name) => (name.clone(), Some(false)),
    };
    Place { name, newest, same_machine }
}

/// The machine in the part of an address that names one: `me@nas1:22`, `[::1]:22`.
#[must_use]
pub fn host_of(authority: &str) -> Option<String> {
    let host = authority.rsplit('@').next()?;
    let host = host.strip_prefix('[').map_or_else(|| host.split(':').next().unwrap_or(host), |rest| rest.split(']').next().unwrap_or(rest));
    (!host.is_empty()).then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_beside_what_it_protects_is_told() {
        let disk = |remote| Disk { free_bytes: None, remote };
        let here = |remote| Where::Here(Path::new("/b"), disk(remote));
        for (at, of, expected) in [
            (here(Some(false)), Some("web1"), Some(true)),
            (here(Some(true)), Some("web1"), Some(false)),
            (here(Some(false)), Some("web2"), Some(false)),
            (here(None), Some("web1"), None),
            (here(Some(false)), None, None),
            (Where::Server("nas1".into()), Some("web1"), Some(false)),
            (Where::Server("web1.example".into()), Some("web1"), Some(true)),
            (Where::Server("localhost".into()), Some("web1"), Some(true)),
            (Where::Service("s3".into()), Some("web1"), Some(false)),
        ] {
            assert_eq!(place(&at, of, "web1", None).same_machine, expected, "{at:?}");
        }
        for (authority, expected) in [("me@nas1:22", Some("nas1")), ("[::1]:22", Some("::1")), ("nas1", Some("nas1")), ("", None), ("me@", None)] {
            assert_eq!(host_of(authority).as_deref(), expected, "{authority}");
        }
    }
}
