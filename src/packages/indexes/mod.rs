//! Who knows versions: package indexes, asked with as little on the wire as they allow.
//!
//! What does not belong here: which packages there are (`manifests`), the verdict (`compare`).
//!
//! | file | what lives there |
//! | --- | --- |
//! | `simple` | one answer of the simple index, JSON or HTML, boiled down to releases; pure |
//! | `client` | asking: conditional, bounded, credentials to their own host only |
//! | `lane` | the connections to one server |
//! | `cache` | what was answered last, on disk, boiled down |
//! | `prune` | what of it goes again |
//! | `settings` | where the address of the index comes from |
//! | `netrc` | credentials by host |

pub mod cache;
pub mod client;
mod lane;
pub mod netrc;
mod prune;
pub mod settings;
pub mod simple;

#[cfg(test)]
mod tests;
