//! Asking for the dates of products: once a day, conditionally; what was said last stays, then the copy that comes with the program.
//!
//! What does not belong here: reading the answer (`dates`).

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{ETAG, IF_NONE_MATCH, LOCATION, RETRY_AFTER};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::dates::{self, Product};
use super::lines;
use crate::domain::{LifeLines, Problem, SourceError};
use crate::io::{api, clock};
use crate::packages::kept;

/// The service, where no other is named.
pub const DEFAULT: &str = "https://endoflife.date/api/v1";
/// Changes whenever what is kept changes its shape or meaning.
const SHAPE: &str = "dates-1";
/// One request.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The largest answer, in bytes.
const LIMIT: u64 = 4 << 20;

/// What is kept of one product.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    etag: Option<String>,
    asked_at_s: i64,
    product: Product,
}

/// The service, as one source asks it.
#[derive(Debug)]
pub struct Dates {
    base: Url,
    folder: Option<PathBuf>,
    fresh: Duration,
}

/// What is known of a product.
#[derive(Debug)]
pub struct Known {
    /// The dates, fresh, of before, or of the copy.
    pub product: Option<Product>,
    /// Why they are not fresh.
    pub error: Option<SourceError>,
}

impl Dates {
    /// At this address. An answer younger than `fresh` is not asked for again.
    ///
    /// # Errors
    /// When it is no address; the text does not repeat it.
    pub fn new(address: &str, folder: Option<&Path>, fresh: Duration) -> Result<Self, String> {
        let mut base = Url::parse(address.trim()).map_err(|error| format!("it is no address: {error}"))?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err("it does not begin with https: or http:".to_owned());
        }
        base.set_query(None);
        base.set_fragment(None);
        Ok(Self { base, folder: folder.map(|folder| folder.join(SHAPE)), fresh })
    }

    /// Its host and port.
    #[must_use]
    pub fn reach(&self) -> Option<(String, u16)> {
        Some((self.base.host_str()?.trim_matches(['[', ']']).to_owned(), self.base.port_or_known_default()?))
    }

    /// Whether a text may name a product.
    #[must_use]
    pub fn is_product(name: &str) -> bool {
        !name.is_empty()
            && name.len() <= 80
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.+".contains(&b))
            && !name.starts_with('.')
    }

    /// The dates of a product.
    pub async fn ask(&self, name: &str, deadline: Instant) -> Known {
        if !Self::is_product(name) {
            return Known {
                product: None,
                error: Some(SourceError::config(format!("{name:?} is no name of a product"), "names are lower case: `postgresql`")),
            };
        }
        let path = self.folder.as_ref().map(|folder| folder.join(kept::short(self.base.as_str())).join(format!("{name}.json")));
        let reading = path.clone();
        let kept: Option<Kept> = tokio::task::spawn_blocking(move || kept::read(&reading?, LIMIT)).await.ok().flatten();
        let now = clock::now().timestamp();
        let fresh = i64::try_from(self.fresh.as_secs()).unwrap_or(0);
        if let Some(kept) = kept.as_ref().filter(|kept| (0..fresh).contains(&(now - kept.asked_at_s))) {
            return Known { product: Some(kept.product.clone()), error: None };
        }
        let asked = timeout_at(deadline, self.request(name, kept.as_ref())).await.unwrap_or_else(|_| Err(SourceError::timeout(TIMEOUT)));
        match asked {
            Ok(fresh) => {
                let product = fresh.product.clone();
                if let Some(path) = path {
                    // A disk that is full or read-only costs the next poll some bytes, and nothing else.
                    let _ = tokio::task::spawn_blocking(move || kept::write(&path, &fresh)).await;
                }
                Known { product: Some(product), error: None }
            }
            Err(error) => Known { product: kept.map(|kept| kept.product).or_else(|| dates::embedded(name)), error: Some(error) },
        }
    }

    async fn request(&self, name: &str, kept: Option<&Kept>) -> Result<Kept, SourceError> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["products", name]);
        }
        let mut moved = 0;
        loop {
            let client = api::client(&url)?;
            let mut request = client.get(url.clone()).timeout(TIMEOUT);
            if let Some(etag) = kept.and_then(|kept| kept.etag.as_ref()) {
                request = request.header(IF_NONE_MATCH, etag);
            }
            let mut response = request.send().await.map_err(|error| api::failure(&error, &url, TIMEOUT))?;
            let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
            let (etag, location, wait) = (header(ETAG), header(LOCATION), header(RETRY_AFTER));
            let asked_at_s = clock::now().timestamp();
            match response.status().as_u16() {
                200 => {
                    let body = api::body(&mut response, LIMIT, TIMEOUT).await?;
                    let product = dates::answer(&body).map_err(SourceError::protocol)?;
                    return Ok(Kept { etag, asked_at_s, product });
                }
                304 => {
                    let Some(kept) = kept else { return Err(SourceError::protocol("nothing changed since nothing was known")) };
                    return Ok(Kept { asked_at_s, ..kept.clone() });
                }
                // Products are renamed, and each path is a folder; on the same host only.
                301 | 302 | 307 | 308 if moved < 3 => {
                    let to = location.and_then(|to| url.join(&to).ok()).filter(|to| to.host_str() == url.host_str() && to.scheme() == url.scheme());
                    url = to.ok_or_else(|| SourceError::status(301, "the service of support dates sends us elsewhere"))?;
                    moved += 1;
                }
                404 => {
                    return Err(SourceError {
                        remedy: "look at the name: `products` takes those of endoflife.date, such as `postgresql`".to_owned(),
                        ..SourceError::status(404, format!("{name} is no product that the service of support dates knows"))
                    });
                }
                401 | 403 => return Err(SourceError::auth("the service of support dates refuses us", "check the address")),
                429 => {
                    let wait = wait.and_then(|text| text.trim().parse::<u64>().ok()).map(|s| Duration::from_secs(s.min(86_400)));
                    return Err(SourceError::rate_limited("the service of support dates asks for patience (429)", wait));
                }
                code => return Err(SourceError::status(code, format!("the service of support dates answers {code}"))),
            }
        }
    }
}

/// A version that is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// As the dates name the product.
    pub product: String,
    /// As seen.
    pub version: String,
    /// Where it was seen.
    pub seen: String,
}

/// The life lines of what is used, what could not be looked up, and why nothing could where that is so. Without a service the copy has to do.
pub async fn look(service: Option<&Dates>, used: &[Used], deadline: Instant) -> (LifeLines, Vec<Problem>, Option<SourceError>) {
    let python =
        used.iter().find(|one| one.product == "python").and_then(|one| crate::packages::versions::Version::parse(&one.version)).map(|one| one.series());
    let (mut found, mut problems, mut first) = (LifeLines::default(), Vec::new(), None);
    let today = clock::now().date_naive();
    for one in used {
        let known = match service {
            Some(service) => service.ask(&one.product, deadline).await,
            None => Known { product: dates::embedded(&one.product), error: None },
        };
        let made_at = known.product.as_ref().and_then(|product| product.made_at);
        if let Some(error) = known.error {
            let message = match made_at {
                Some(at) => format!("{}; dates of {} are used", error.message, at.format("%-d %b %Y")),
                None => error.message.clone(),
            };
            problems.push(Problem { subject: one.product.clone(), message });
            first = first.or(Some(error));
        }
        let Some(product) = known.product else { continue };
        let line = lines::line(&product, &one.version, python.filter(|_| product.name == "django"), today, &one.seen);
        if line.cycle.is_none() {
            problems.push(Problem { subject: one.product.clone(), message: format!("no dates are known for version {}", line.version) });
        }
        found.items.push(line);
        found.embedded |= product.embedded;
        found.dates_at = [found.dates_at, made_at].into_iter().flatten().min();
    }
    lines::sort(&mut found.items);
    let nothing = found.items.is_empty().then_some(first).flatten();
    (found, problems, nothing)
}
