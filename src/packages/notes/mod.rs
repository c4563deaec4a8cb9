//! Release notes of a package: which page its metadata names for them, what stands there between two versions, which lines warn.
//!
//! Pages are asked for at the addresses that the index's metadata gives, and nowhere else: over TLS, by name and not by number, bounded in
//! size and time, kept for a day. A redirect is followed on the same host only (and from a file of GitHub to where it serves such files).
//!
//! | file | what lives there |
//! | --- | --- |
//! | `meta` | the links of a release's metadata; pure |
//! | `markup` | pages of any sort as headings, items and lines; pure |
//! | `sections` | what is said of each version, and which words warn; pure |
//! | `client` | asking, keeping |
//!
//! What does not belong here: when they are asked for (`state::details`), how they look (`ui`).

pub mod client;
pub mod markup;
pub mod meta;
pub mod sections;
