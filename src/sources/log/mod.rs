//! (being furnished)
use super::{BuildContext, Built, Complaint, SourceConfig, SourceSpec};
use crate::domain::SourceError;

/// Keys.
#[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {}

impl SourceConfig for Config {
    fn check(&self) -> Vec<Complaint> {
        Vec::new()
    }
    fn secrets(&self) -> Vec<(Vec<String>, &crate::io::secret::SecretRef)> {
        Vec::new()
    }
    fn build(&self, _: &BuildContext) -> Result<Built, SourceError> {
        Err(SourceError::config("not yet", ""))
    }
    fn spec(&self, _: &BuildContext) -> SourceSpec {
        unreachable!()
    }
}
