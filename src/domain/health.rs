//! Health: one probe of an endpoint, its phases, and what was expected of it.

use serde::{Deserialize, Serialize};

use super::SourceError;

/// What one probe says of the observed thing, before thresholds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every expectation held.
    Ok,
    /// It answers, but over a warning limit.
    Degraded,
    /// It does not answer, or not as expected.
    Down,
}

/// The time each part of a probe took, in milliseconds; a part that did not happen is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Phases {
    /// Name resolution.
    pub resolve: Option<f64>,
    /// TCP connect.
    pub connect: Option<f64>,
    /// TLS handshake.
    pub tls: Option<f64>,
    /// From the request sent to the first byte of the answer: the server's own time.
    pub first_byte: Option<f64>,
    /// The rest of the body.
    pub transfer: Option<f64>,
}

/// One thing that was expected, and what was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Expectation {
    /// `status`, `latency`, `body`, `header content-type`, `json /status`, …
    pub name: String,
    /// Whether it held.
    pub ok: bool,
    /// What a failure means: degraded or down.
    #[serde(default = "down")]
    pub level: Verdict,
    /// What was expected, for reading.
    pub expected: String,
    /// What was seen, for reading; outside text is already clipped, not yet cleaned for a terminal.
    pub seen: String,
}

fn down() -> Verdict {
    Verdict::Down
}

/// The latency limits of the configuration, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct LatencyLimits {
    /// Over this it is degraded.
    pub warning_ms: Option<f64>,
    /// Over this it is down.
    pub critical_ms: Option<f64>,
}

/// One probe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// The judgement of this one probe.
    pub verdict: Verdict,
    /// HTTP status, where there is one.
    pub status_code: Option<u16>,
    /// From the start of the probe to the last byte; absent when there was no answer.
    pub latency_ms: Option<f64>,
    /// Where the time went.
    pub phases_ms: Phases,
    /// What was expected and seen.
    pub expectations: Vec<Expectation>,
    /// Limits that rules and graphs compare with.
    #[serde(default)]
    pub limits: LatencyLimits,
    /// Method and path, for lists: `GET /basket/`.
    #[serde(default)]
    pub request: String,
    /// Size of the body that was read, in bytes.
    #[serde(default)]
    pub body_bytes: u64,
    /// Why there was no answer, where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<SourceError>,
    /// Whether this was while a maintenance window was open: looked at and not judged, it counts in no uptime.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub silenced: bool,
}

impl Health {
    /// One line: `200 in 34 ms`, `500 in 212 ms, expected 200`, `connection refused`.
    #[must_use]
    pub fn summary(&self) -> String {
        if let Some(error) = &self.error {
            return error.message.clone();
        }
        let latency = self.latency_ms.map_or_else(|| "no answer".to_owned(), super::time::millis_text);
        let seen = match self.status_code {
            Some(code) => format!("{code} in {latency}"),
            None => latency,
        };
        match self.expectations.iter().filter(|e| !e.ok).max_by_key(|e| e.level) {
            None => seen,
            Some(e) if e.name == "status" => format!("{seen}, expected {}", e.expected),
            Some(e) if e.name == "latency" => format!("{seen}, limit {}", e.expected),
            Some(e) => format!("{seen}, {}: {}, expected {}", e.name, e.seen, e.expected),
        }
    }
}
