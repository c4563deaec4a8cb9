//! Packages that go by semantic versions: what a lock file of npm or Cargo pins, against what a registry has.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `listed` | what a lock file lists, whatever its tool |
//! | `npm` | `package-lock.json` in its versions 1 to 3, npm's ranges, a registry's short documents |
//! | `cargo` | `Cargo.lock`, `Cargo.toml` beside it, a sparse index |
//! | `client` | asking a registry conditionally, answers kept on disk |
//! | `look` | one poll: read, ask, compare |
//!
//! What does not belong here: configuration (`sources::npm`, `sources::cargo`).

pub mod cargo;
pub mod client;
pub mod listed;
pub mod look;
pub mod npm;
