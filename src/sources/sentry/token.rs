//! The token: from the configuration, else where people have put one already.
//!
//! What does not belong here: sending it (`client`).
//!
//! `SENTRY_AUTH_TOKEN` and `~/.sentryclirc` (`[auth] token`, `[defaults] url`) are those of Sentry's own command-line client; its
//! documentation, "Configuration and authentication". A token found there was given for one server, and goes to no other.

use std::path::PathBuf;

use url::Url;

use crate::domain::SourceError;
use crate::io::secret::{self, Secret, SecretRef};
use crate::sources::BuildContext;

/// Where people's tokens are for, when nothing says otherwise.
pub const HOSTED: &str = "https://sentry.io";
/// The file is not longer than this.
const FILE_BYTES: u64 = 64 << 10;

/// Gets the token.
///
/// # Errors
/// When there is none, with every place that was looked at.
pub async fn find(configured: Option<&SecretRef>, context: &BuildContext, server: &Url) -> Result<Secret, SourceError> {
    if let Some(reference) = configured {
        return secret::resolve(reference, &context.base, context.trusted).await;
    }
    let variable = |name: &str| std::env::var(name).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    if let Some(token) = variable("SENTRY_AUTH_TOKEN")
        && (context.trusted || is_for(variable("SENTRY_URL").as_deref(), server))
    {
        return Ok(Secret::new(token));
    }
    let file = directories::BaseDirs::new().map(|dirs| dirs.home_dir().join(".sentryclirc"));
    let found = match file {
        Some(file) => tokio::task::spawn_blocking(move || read(file)).await.ok().flatten(),
        None => None,
    };
    if let Some(rc) = found
        && let Some(token) = rc.token
        && is_for(rc.url.as_deref(), server)
    {
        return Ok(Secret::new(token));
    }
    Err(SourceError::missing(
        "there is no token: `token` is not configured, SENTRY_AUTH_TOKEN is not set, and ~/.sentryclirc has none for this server",
        "make one with the scopes org:read, project:read and event:read, and write token = { env = \"SENTRY_AUTH_TOKEN\" } or another reference",
    ))
}

/// Whether a token given for `of` may be sent to this server.
fn is_for(of: Option<&str>, server: &Url) -> bool {
    let Ok(of) = Url::parse(of.unwrap_or(HOSTED)) else { return false };
    let (Some(of_host), Some(host)) = (of.host_str(), server.host_str()) else { return false };
    let under = host == of_host || host.strip_suffix(of_host).is_some_and(|rest| rest.ends_with('.'));
    under && of.scheme() == server.scheme() && of.port_or_known_default() == server.port_or_known_default()
}

/// What `~/.sentryclirc` says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Rc {
    token: Option<String>,
    url: Option<String>,
}

fn read(file: PathBuf) -> Option<Rc> {
    let about = std::fs::metadata(&file).ok()?;
    if !about.is_file() || about.len() > FILE_BYTES {
        return None;
    }
    Some(rc(&std::fs::read_to_string(file).ok()?))
}

/// Sections in brackets, keys with `=`, comments with `#` and `;`.
fn rc(text: &str) -> Rc {
    let mut found = Rc::default();
    let mut section = String::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name.trim().to_ascii_lowercase();
        } else if let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with(['#', ';'])) {
            let value = Some(value.trim().trim_matches('"').to_owned()).filter(|value| !value.is_empty());
            match (section.as_str(), key.trim()) {
                ("auth", "token") => found.token = value,
                ("defaults", "url") => found.url = value,
                _ => {}
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_the_command_line_client_is_read() {
        let text = "# mine\n[defaults]\nurl = https://errors.example/\norg=acme\n\n[auth]\ntoken = sntryu_1\n;token=old\n[other]\ntoken=x\n";
        assert_eq!(rc(text), Rc { token: Some("sntryu_1".into()), url: Some("https://errors.example/".into()) });
        assert_eq!(rc("[auth]\ntoken=\n=\n[auth"), Rc::default());
    }

    #[test]
    fn a_token_goes_only_where_it_was_given_for() {
        for (of, server, may) in [
            (None, "https://sentry.io", true),
            (None, "https://de.sentry.io", true),
            (None, "https://errors.example", false),
            (None, "https://evilsentry.io", false),
            (None, "https://sentry.io.evil.example", false),
            (None, "http://sentry.io", false),
            (Some("https://errors.example/"), "https://errors.example", true),
            (Some("https://errors.example:8443/"), "https://errors.example", false),
            (Some("not an address"), "https://sentry.io", false),
        ] {
            assert_eq!(is_for(of, &Url::parse(server).unwrap()), may, "{of:?} {server}");
        }
    }
}
