//! Until when releases of products are supported: the dates, where they come from, and what they mean for a version that is used.
//!
//! What does not belong here: whether an end needs a person (`rules::eol`), which versions are used (the sources).
//!
//! | file | what lives there |
//! | --- | --- |
//! | `dates` | the shape of the dates, of the service and of the copy that comes with the program; pure |
//! | `lines` | a version and the dates made into a life line; pure |
//! | `client` | asking the service, and what it said last |

pub mod client;
pub mod dates;
pub mod lines;

/// Any bytes are read without a panic; for `fuzz/`.
pub fn fuzz(bytes: &[u8]) {
    if let Ok(product) = dates::answer(bytes) {
        for version in ["3.12.1", "16", "5.2", ""] {
            let _ = lines::line(&product, version, None, chrono::NaiveDate::MIN, "fuzz");
        }
    }
}
