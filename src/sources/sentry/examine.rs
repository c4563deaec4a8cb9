//! What `rounds doctor` tells of a tracker: which program answers, and which scopes its token lacks.
//!
//! What does not belong here: asking for issues (`list`), what a refusal means (`refusal`).
//!
//! Facts: Sentry's and GlitchTip's `GET /api/0/` tells the version and, of a token, its scopes; a Bugsink answers below
//! `/api/canonical/0/` instead.

use url::Url;

use super::client::{Client, Server};
use super::facts;
use super::refusal::Endpoint;
use super::wire::{Answer, Ask};
use crate::domain::SourceError;
use crate::io::api;
use crate::sources::Examined;

/// What reading needs, and what changes need.
const READING: [&str; 3] = ["org:read", "project:read", "event:read"];
const CHANGING: &str = "event:write";

/// Looks once.
pub async fn look(client: &Client) -> Examined {
    match found(client).await {
        Ok(examined) => examined,
        Err(error) => Examined::bad(error.message, error.remedy),
    }
}

async fn found(client: &Client) -> Result<Examined, SourceError> {
    let url = &client.wire.url;
    let place = api::place(url);
    let host = url.host_str().unwrap_or_default();
    let server = client.server().await?;
    let secret = client.wire.token().await?;
    let index = client.wire.ask(Ask::get(Endpoint::Organization, url, &["0"], &[])).await?;
    if index.status == 401 {
        return Err(client.wire.good(index, Endpoint::Organization, Some(&secret)).err().unwrap_or_else(|| SourceError::protocol("an odd answer")));
    }
    let scopes = if index.is_good() { facts::scopes(&index.body) } else { None };
    let program = match server {
        Server::GlitchTip => "GlitchTip".to_owned(),
        Server::Sentry if host == "sentry.io" || host.ends_with(".sentry.io") => "Sentry, hosted".to_owned(),
        Server::Sentry if is_index(&index) => "Sentry, self-hosted".to_owned(),
        Server::Sentry if is_bugsink(client, url).await => {
            let seen = format!("{place} is a Bugsink, which speaks an API of its own");
            return Ok(Examined::bad(seen, "write it as [site.NAME.bugsink.NAME]"));
        }
        Server::Sentry => "a server like Sentry".to_owned(),
    };
    let base = client.base(server).await?;
    let region = if api::place(&base) == place { String::new() } else { format!(", its region {}", api::place(&base)) };
    let found = format!("{place} is {program}{region}");
    Ok(match scopes {
        Some(scopes) => judged(&found, &lacking(&scopes)),
        None => judged(&found, &tried(client, &base, server).await?),
    })
}

/// Which scopes are missing; a scope of more power holds those of less.
fn lacking(scopes: &[String]) -> Vec<&'static str> {
    let has = |wanted: &str| {
        let (of, right) = wanted.split_once(':').unwrap_or((wanted, ""));
        let enough: &[&str] = if right == "read" { &["read", "write", "admin"] } else { &["write", "admin"] };
        scopes.iter().any(|scope| scope.split_once(':').is_some_and(|(known, right)| known == of && enough.contains(&right)))
    };
    READING.into_iter().chain([CHANGING]).filter(|wanted| !has(wanted)).collect()
}

fn judged(found: &str, lacking: &[&'static str]) -> Examined {
    let reading: Vec<&str> = lacking.iter().copied().filter(|scope| *scope != CHANGING).collect();
    if !reading.is_empty() {
        let seen = format!("{found}; the token lacks {}", reading.join(", "));
        let remedy = "make a new token with these scopes, and put it where `token` points";
        // Issues can be read without the others; what stands beside them cannot.
        return if reading.contains(&"event:read") { Examined::bad(seen, remedy) } else { Examined::odd(seen, remedy) };
    }
    if lacking.contains(&CHANGING) {
        return Examined::good(format!("{found}; the token may read, and without {CHANGING} change nothing"));
    }
    Examined::good(format!("{found}; the token has the scopes it needs"))
}

/// Where the server does not tell scopes: what it refuses. Whether it would take a change is not tried.
async fn tried(client: &Client, base: &Url, server: Server) -> Result<Vec<&'static str>, SourceError> {
    let organization = client.wire.organization.as_str();
    let mut lacking = Vec::new();
    for (endpoint, path) in [
        (Endpoint::Organization, &["0", "organizations", organization][..]),
        (Endpoint::Projects, &["0", "organizations", organization, "projects"]),
        (Endpoint::Issues, &["0", "organizations", organization, "issues"]),
    ] {
        let query: &[(&str, &str)] = if endpoint == Endpoint::Issues { &[("query", "is:unresolved"), ("limit", "1")] } else { &[] };
        // GlitchTip has no such page of an organization for every token.
        if endpoint == Endpoint::Organization && server == Server::GlitchTip {
            continue;
        }
        let answer = client.wire.ask(Ask::get(endpoint, base, path, query)).await?;
        match answer.status {
            403 => lacking.push(endpoint.scope()),
            404 => return Err(client.accept(answer, endpoint).await.err().unwrap_or_else(|| SourceError::protocol("an odd answer"))),
            _ => {}
        }
    }
    Ok(lacking)
}

/// Whether this is how the root of the API answers.
fn is_index(answer: &Answer) -> bool {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(&answer.body) else { return false };
    answer.is_good() && value.get("version").is_some() && value.get("auth").is_some()
}

/// Whether a Bugsink answers, asked without the token.
async fn is_bugsink(client: &Client, url: &Url) -> bool {
    let answer = client.wire.ask(Ask::get(Endpoint::Settings, url, &["canonical", "0", "projects"], &[])).await;
    answer.is_ok_and(|answer| matches!(answer.status, 401 | 403) && serde_json::from_slice::<serde_json::Value>(&answer.body).is_ok())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{KEYS, Place};
    use super::*;
    use crate::demo::sentry::{Flavour, Setup, TOKEN};
    use crate::sources::Verdict;

    #[test]
    fn a_scope_of_more_power_is_enough() {
        for (scopes, lacks) in [
            (&["org:read", "project:read", "event:read", "event:write"][..], &[][..]),
            (&["org:admin", "project:write", "event:admin"], &[]),
            (&["project:read", "event:read"], &["org:read", "event:write"]),
            (&["org:ci"], &["org:read", "project:read", "event:read", "event:write"]),
        ] {
            let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
            assert_eq!(lacking(&scopes), lacks, "{scopes:?}");
        }
    }

    #[tokio::test]
    async fn the_server_is_named_with_what_the_token_lacks() {
        let token = |scopes: &[&'static str]| vec![(TOKEN.to_owned(), scopes.to_vec())];
        let all = crate::demo::sentry::SCOPES;
        for (flavour, tokens, verdict, words) in [
            (Flavour::Sentry, token(&all), Verdict::Good, "is Sentry, self-hosted; the token has the scopes it needs"),
            (Flavour::Sentry, token(&all[..3]), Verdict::Good, "may read, and without event:write change nothing"),
            (Flavour::Sentry, token(&["event:read"]), Verdict::Odd, "Sentry, self-hosted; the token lacks org:read, project:read"),
            (Flavour::Sentry, vec![], Verdict::Bad, "refuses the token (401)"),
            // They do not tell the scopes: what is refused tells them.
            (Flavour::OldSentry, token(&["org:read", "event:read"]), Verdict::Odd, "Sentry, self-hosted; the token lacks project:read"),
            (Flavour::GlitchTip, token(&["project:read"]), Verdict::Bad, "is GlitchTip; the token lacks event:read"),
            (Flavour::GlitchTip, token(&all), Verdict::Good, "is GlitchTip; the token has"),
        ] {
            let place = Place::of(Setup { flavour, tokens, ..Setup::default() });
            let told = place.examined(KEYS).await;
            assert_eq!(told.len(), 1);
            assert!(told[0].verdict == verdict && told[0].seen.contains(words), "{flavour:?}: {told:?}");
            assert_eq!(told[0].verdict == Verdict::Good, told[0].remedy.is_empty(), "{told:?}");
        }
    }
}
