//! Credentials by host, as `~/.netrc` has them (or the file that `NETRC` names).
//!
//! What does not belong here: sending them (`client`).

use std::path::PathBuf;

use crate::io::secret::Secret;

/// The user and password for a host: its own entry, else the default one.
#[must_use]
pub fn find(text: &str, host: &str) -> Option<(String, Secret)> {
    let mut words = text.lines().filter(|line| !line.trim_start().starts_with('#')).flat_map(str::split_whitespace);
    let (mut here, mut login, mut password) = (false, None, None);
    while let Some(word) = words.next() {
        match word {
            "machine" | "default" => {
                if here && password.is_some() {
                    break;
                }
                (login, password) = (None, None);
                here = word == "default" || words.next().is_some_and(|name| name.eq_ignore_ascii_case(host));
            }
            "login" | "user" if here => login = words.next().map(str::to_owned),
            "password" if here => password = words.next().map(|text| Secret::new(text.to_owned())),
            "login" | "user" | "password" | "account" => drop(words.next()),
            _ => {}
        }
    }
    here.then_some(())?;
    Some((login.unwrap_or_default(), password?))
}

/// Reads the file of this person. Blocks.
#[must_use]
pub fn of_this_person(host: &str) -> Option<(String, Secret)> {
    let path = match std::env::var_os("NETRC") {
        Some(path) => PathBuf::from(path),
        None => directories::BaseDirs::new()?.home_dir().join(".netrc"),
    };
    let about = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
    (about.len() <= 256 << 10).then(|| std::fs::read_to_string(&path).ok())?.and_then(|text| find(&text, host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_go_by_host() {
        let text =
            "# mine\nmachine index.example login me password hush\nmachine other.example\n  login you\n  password quiet\ndefault login any password all\n";
        let of = |host: &str| find(text, host).map(|(user, password)| (user, password.expose().to_owned()));
        assert_eq!(of("index.example"), Some(("me".into(), "hush".into())));
        assert_eq!(of("other.example"), Some(("you".into(), "quiet".into())));
        assert_eq!(of("third.example"), Some(("any".into(), "all".into())));
        assert!(find("machine a login", "a").is_none());
        assert!(find("machine", "a").is_none() && find("", "a").is_none());
    }
}
