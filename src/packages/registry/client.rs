//! Asking a registry for one package: conditionally, within a size; a token goes to its own host only.
//!
//! What does not belong here: which packages are asked for (`look`), what a document says (`npm`, `cargo`).

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, RETRY_AFTER};
use url::Url;

use super::{cargo, npm};
use crate::domain::SourceError;
use crate::io::secret::Secret;
use crate::io::{api, clock};
use crate::packages::ecosystem::Ecosystem;
use crate::packages::indexes::cache::{Cache, Kept};
use crate::packages::indexes::simple::Project;
use crate::packages::notes::meta::{self, Meta};

/// The largest document that is read, unpacked, in bytes.
const LIMIT: u64 = 32 << 20;
/// One request.
const TIMEOUT: Duration = Duration::from_secs(30);
/// An answer is not asked for again within this, in seconds.
const FRESH_S: u64 = 300;

/// One registry. Its `Debug` shows no credentials.
#[derive(Clone)]
pub struct Registry {
    base: Url,
    token: Option<Secret>,
    ecosystem: Ecosystem,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.shown())
    }
}

impl Registry {
    /// From an address; `sparse+` before it is borne. What stands before an `@` is taken as the password.
    ///
    /// # Errors
    /// When it is no address of a registry; the text does not repeat it.
    pub fn new(text: &str, ecosystem: Ecosystem) -> Result<Self, String> {
        let text = text.trim();
        if text.starts_with("registry+") || text.starts_with("git+") {
            return Err("it is an index in git, and only sparse ones can be asked".to_owned());
        }
        let mut base = Url::parse(text.strip_prefix("sparse+").unwrap_or(text)).map_err(|error| format!("it is no address: {error}"))?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err("it does not begin with https: or http:".to_owned());
        }
        let token = base.password().map(|password| Secret::new(password.to_owned()));
        // Only an address that cannot hold credentials refuses these, and such a one was refused above.
        let _ = base.set_username("");
        let _ = base.set_password(None);
        base.set_query(None);
        base.set_fragment(None);
        if !base.path().ends_with('/') {
            let path = format!("{}/", base.path());
            base.set_path(&path);
        }
        Ok(Self { base, token, ecosystem })
    }

    /// With this token, where it has none of its own.
    #[must_use]
    pub fn with_token(mut self, token: Option<Secret>) -> Self {
        self.token = self.token.or(token);
        self
    }

    /// Its address, without credentials.
    #[must_use]
    pub fn shown(&self) -> &str {
        self.base.as_str()
    }

    /// Its host and port.
    #[must_use]
    pub fn reach(&self) -> Option<(String, u16)> {
        Some((self.base.host_str()?.trim_matches(['[', ']']).to_owned(), self.base.port_or_known_default()?))
    }

    fn url(&self, name: &str) -> Option<Url> {
        // The slash of a scope is written as npm writes it.
        let place = if self.ecosystem == Ecosystem::Cargo { cargo::path(name) } else { name.replace('/', "%2f") };
        self.base.join(&place).ok()
    }

    fn is_name(&self, name: &str) -> bool {
        if self.ecosystem == Ecosystem::Cargo { cargo::is_name(name) } else { npm::is_name(name) }
    }

    /// What the registry knows of a package, and why it did not answer; with an error, what it said last.
    pub async fn ask(&self, name: &str, cache: &Arc<Cache>) -> (Option<Arc<Project>>, Option<SourceError>) {
        if !self.is_name(name) {
            return (None, Some(SourceError::config("it is no name that a registry could have", "look at the lock file")));
        }
        let (reading, base, key) = (Arc::clone(cache), self.base.as_str().to_owned(), name.to_owned());
        let kept = tokio::task::spawn_blocking(move || reading.get(&base, &key)).await.ok().flatten();
        let now = clock::now().timestamp();
        if let Some(kept) = kept.as_ref().filter(|kept| (0..FRESH_S.cast_signed()).contains(&(now - kept.asked_at_s))) {
            return (Some(Arc::clone(&kept.project)), None);
        }
        match self.request(name, kept.as_ref()).await {
            Ok(fresh) => {
                let project = Arc::clone(&fresh.project);
                let (writing, base, key) = (Arc::clone(cache), self.base.as_str().to_owned(), name.to_owned());
                // An answer that is not kept is asked for again.
                let _ = tokio::task::spawn_blocking(move || writing.put(&base, &key, &fresh)).await;
                (Some(project), None)
            }
            Err(error) => (kept.map(|kept| kept.project), Some(error)),
        }
    }

    /// What it says of a release beside its versions: an address of npm's registry has a document for each, an index of crates names in its
    /// `config.json` who knows more. `None` when nobody does.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn about(&self, name: &str, version: &str) -> Result<Option<Meta>, SourceError> {
        if !self.is_name(name) {
            return Ok(None);
        }
        let url = if self.ecosystem == Ecosystem::Npm {
            self.base.join(&format!("{}/{version}", name.replace('/', "%2f"))).ok()
        } else {
            let Some(config) = self.base.join("config.json").ok() else { return Ok(None) };
            let told = self.document(config).await?.and_then(|body| serde_json::from_slice::<serde_json::Value>(&body).ok());
            let api = told.and_then(|told| Url::parse(told.get("api")?.as_str()?).ok());
            // Who else it names is asked over TLS only.
            let api = api.filter(|api| api.scheme() == "https" || (api::is_loopback(api) && api::is_loopback(&self.base)));
            api.and_then(|mut api| {
                api.path_segments_mut().ok()?.pop_if_empty().extend(["api", "v1", "crates", name]);
                Some(api)
            })
        };
        let Some(url) = url else { return Ok(None) };
        Ok(self.document(url).await?.and_then(|body| meta::registry(&body)))
    }

    /// Whether this registry is on this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        api::is_loopback(&self.base)
    }

    /// A document; the token goes to the registry's own place only.
    async fn document(&self, url: Url) -> Result<Option<Vec<u8>>, SourceError> {
        let mut request = api::client(&url)?.get(url.clone()).timeout(TIMEOUT).header(ACCEPT, "application/json");
        let own = (url.scheme(), url.host_str(), url.port_or_known_default()) == (self.base.scheme(), self.base.host_str(), self.base.port_or_known_default());
        if let Some(token) = self.token.as_ref().filter(|_| own) {
            let scheme = if self.ecosystem == Ecosystem::Npm { "Bearer " } else { "" };
            request = request.header(AUTHORIZATION, format!("{scheme}{}", token.expose()));
        }
        let mut response = request.send().await.map_err(|error| api::failure(&error, &url, TIMEOUT))?;
        match response.status().as_u16() {
            200 => api::body(&mut response, LIMIT, TIMEOUT).await.map(Some),
            404 | 405 | 406 | 410 | 451 => Ok(None),
            code => Err(SourceError::status(code, format!("the registry answers {code}"))),
        }
    }

    async fn request(&self, name: &str, kept: Option<&Kept>) -> Result<Kept, SourceError> {
        let url = self.url(name).ok_or_else(|| SourceError::config(format!("{name} makes no address"), "look at the lock file"))?;
        let mut request = api::client(&url)?.get(url.clone()).timeout(TIMEOUT);
        if self.ecosystem == Ecosystem::Npm {
            request = request.header(ACCEPT, "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8");
        }
        if let Some(token) = &self.token {
            let scheme = if self.ecosystem == Ecosystem::Npm { "Bearer " } else { "" };
            request = request.header(AUTHORIZATION, format!("{scheme}{}", token.expose()));
        }
        match kept {
            Some(Kept { etag: Some(etag), .. }) => request = request.header(IF_NONE_MATCH, etag),
            Some(Kept { modified: Some(modified), .. }) => request = request.header(IF_MODIFIED_SINCE, modified),
            _ => {}
        }
        let mut response = request.send().await.map_err(|error| api::failure(&error, &url, TIMEOUT))?;
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (etag, modified, wait) = (header(ETAG), header(LAST_MODIFIED), header(RETRY_AFTER));
        let asked_at_s = clock::now().timestamp();
        match (response.status().as_u16(), kept) {
            (200, _) => {
                let body = api::body(&mut response, LIMIT, TIMEOUT).await?;
                let ecosystem = self.ecosystem;
                let read = tokio::task::spawn_blocking(move || if ecosystem == Ecosystem::Cargo { cargo::project(&body) } else { npm::project(&body) });
                let project = read.await.map_err(|_| SourceError::protocol("the answer could not be read"))?.map_err(SourceError::protocol)?;
                Ok(Kept { etag, modified, asked_at_s, max_age_s: FRESH_S, project: Arc::new(project) })
            }
            (304, Some(kept)) => Ok(Kept { asked_at_s, ..kept.clone() }),
            (code @ (401 | 403 | 407), _) => Err(SourceError::auth(
                format!("the registry refuses us ({code})"),
                "give a token that may read it: in .npmrc, or in the address as https://:TOKEN@…",
            )),
            // A sparse index answers 404, 410 or 451 for what it does not have.
            (code @ (404 | 410 | 451), _) => {
                Err(SourceError { remedy: "look at the name; a private package needs its own registry".to_owned(), ..SourceError::status(code, UNKNOWN) })
            }
            (429, _) => {
                let seconds = wait.and_then(|text| text.trim().parse::<u64>().ok()).map(|seconds| Duration::from_secs(seconds.min(86_400)));
                Err(SourceError::rate_limited("the registry asks for patience (429)", seconds))
            }
            (code @ 300..=399, _) => Err(SourceError {
                remedy: "if that is right, let `index` name the new address".to_owned(),
                ..SourceError::status(code, "the registry sends us elsewhere")
            }),
            (code, _) => Err(SourceError::status(code, format!("the registry answers {code}"))),
        }
    }
}

/// What is said of a package that a registry does not have.
pub const UNKNOWN: &str = "the registry does not know it";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart_and_credentials_are_not_shown() {
        let registry = Registry::new("sparse+https://:hush-token@index.example/crates", Ecosystem::Cargo).unwrap();
        assert_eq!((registry.shown(), format!("{registry:?}").contains("hush")), ("https://index.example/crates/", false));
        assert_eq!(registry.url("serde").unwrap().as_str(), "https://index.example/crates/se/rd/serde");
        let registry = Registry::new("https://registry.example", Ecosystem::Npm).unwrap();
        assert_eq!(registry.url("@shop/till").unwrap().as_str(), "https://registry.example/@shop%2ftill");
        for wrong in ["registry+https://x.example/git", "ftp://x", "x"] {
            assert!(Registry::new(wrong, Ecosystem::Cargo).is_err(), "{wrong}");
        }
    }
}
