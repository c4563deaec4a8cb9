//! Sentry: a DSN in the settings or in an environment file, and `.sentryclirc`. Keys and tokens are never kept.

use super::python::Token;
use super::{Place, Project, env_files, ini};

/// What a DSN says, without its key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dsn {
    /// The address of the service, `https://sentry.io`; `None` when only a variable is named.
    pub url: Option<String>,
    /// The organization, where the address names it by number.
    pub organization: Option<String>,
    /// The project's number.
    pub project: Option<String>,
    /// The environment variable that holds it.
    pub variable: Option<String>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sentry {
    /// The address of the service.
    pub url: Option<String>,
    /// The organization's name or number.
    pub organization: Option<String>,
    /// The project's name or number.
    pub project: Option<String>,
    /// Where it was seen, and as what: `DSN`, `.sentryclirc`.
    pub seen: Vec<(String, Place)>,
    /// Whether `SENTRY_AUTH_TOKEN` is set here.
    pub token: bool,
}

/// The DSN in a settings file: as an address, else by the name of its variable.
pub(super) fn in_settings(tokens: &[Token]) -> Option<(Dsn, usize)> {
    let address = tokens.iter().find_map(|token| Some((dsn(token.text()?)?, token.line)));
    address.or_else(|| {
        let named = tokens.iter().find(|token| token.text().is_some_and(|text| text.ends_with("SENTRY_DSN")))?;
        Some((Dsn { variable: named.text().map(str::to_owned), ..Dsn::default() }, named.line))
    })
}

/// Reads `https://KEY@HOST/PROJECT`, of which the key is forgotten at once.
pub(super) fn dsn(text: &str) -> Option<Dsn> {
    let url = url::Url::parse(text.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let key = url.username();
    if key.len() < 8 || !key.chars().all(|c| c.is_ascii_alphanumeric()) {
        return None;
    }
    let path = url.path().trim_matches('/');
    let (before, project) = path.rsplit_once('/').map_or(("", path), |(before, project)| (before, project));
    if project.is_empty() || !project.chars().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let host = url.host_str()?;
    // The hosted service takes events under `oN.ingest[.REGION].`, and its API answers without.
    let mut labels: Vec<&str> = host.split('.').collect();
    let organization = labels.first().and_then(|first| first.strip_prefix('o')).filter(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit()));
    let organization = organization.filter(|_| labels.get(1) == Some(&"ingest")).map(str::to_owned);
    if organization.is_some() {
        labels.drain(..2);
    }
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let folder = if before.is_empty() { String::new() } else { format!("/{before}") };
    let address = format!("{}://{}{port}{folder}", url.scheme(), labels.join("."));
    Some(Dsn { url: Some(address), organization, project: Some(project.to_owned()), variable: None })
}

/// Looks for it. `settings` is what the settings say.
#[must_use]
pub fn look(project: &Project, settings: Option<&(Dsn, Place)>) -> Option<Sentry> {
    let mut sentry = Sentry { token: project.is_set("SENTRY_AUTH_TOKEN"), ..Sentry::default() };
    let mut take = |dsn: Dsn| {
        sentry.url = sentry.url.take().or(dsn.url);
        sentry.organization = sentry.organization.take().or(dsn.organization);
        sentry.project = sentry.project.take().or(dsn.project);
    };
    let mut seen = Vec::new();
    // Names that a person wrote for tools are better than numbers.
    if let Some(text) = project.read(".sentryclirc") {
        let value = |section: &str, key: &str| ini::value(&text, section, key).map(|(value, _)| value);
        let address = value("defaults", "url").and_then(|url| super::address(&url));
        take(Dsn { url: address, organization: value("defaults", "org"), project: value("defaults", "project"), variable: None });
        seen.push((".sentryclirc".to_owned(), Place::new(".sentryclirc", 1)));
    }
    if let Some((dsn, place)) = settings {
        take(dsn.clone());
        seen.push(("DSN".to_owned(), place.clone()));
    }
    for (place, name, text) in env_files::variables(project) {
        if name.ends_with("SENTRY_DSN")
            && let Some(dsn) = dsn(&text)
        {
            take(dsn);
            seen.push(("DSN".to_owned(), place));
        }
    }
    sentry.seen = seen;
    (!sentry.seen.is_empty()).then_some(sentry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dsn_gives_the_address_and_never_its_key() {
        for (text, url, organization, project) in [
            ("https://0123456789abcdef@sentry.example/7", "https://sentry.example", None, "7"),
            ("https://0123456789abcdef:feed@sentry.example:8443/deep/7", "https://sentry.example:8443/deep", None, "7"),
            ("https://0123456789abcdef@o42.ingest.us.sentry.example/7", "https://us.sentry.example", Some("42"), "7"),
        ] {
            let dsn = dsn(text).unwrap();
            assert_eq!((dsn.url.as_deref(), dsn.organization.as_deref(), dsn.project.as_deref()), (Some(url), organization, Some(project)));
            assert!(!format!("{dsn:?}").contains("0123456789abcdef"));
        }
        for text in ["https://sentry.example/7", "https://0123456789abcdef@sentry.example/x", "", "postgres://0123456789abcdef@db/7"] {
            assert_eq!(dsn(text), None, "{text}");
        }
    }
}
