//! Who knows weaknesses: OSV, and where it is off or does not answer, the package index's own list. What several databases say of
//! one flaw is joined, and what was said last stays when nobody answers now.
//!
//! What does not belong here: versions that are out (`indexes`), what a person must do (`rules::dependencies`).
//!
//! | file | what lives there |
//! | --- | --- |
//! | `record` | one record, boiled down: names, severity, which versions it is about; pure |
//! | `osv` | the shapes of OSV's answers; pure |
//! | `listed` | the list that a Python index keeps with each release; pure |
//! | `judge` | records of one package made into advisories, ignores and the smallest cure; pure |
//! | `audit` | one audit of a set of packages: who is asked in turn, what is said when nobody answers |
//! | `client` | asking OSV: batches, pages, details |
//! | `store` | what was said last, on disk |

pub mod audit;
pub mod client;
pub mod judge;
pub mod listed;
pub mod osv;
pub mod record;
pub mod store;

/// Any bytes are read without a panic, by every reader; for `fuzz/`.
pub fn fuzz(bytes: &[u8]) {
    for ecosystem in super::ecosystem::Ecosystem::ALL {
        if let Ok(record) = osv::record(bytes, ecosystem) {
            for affected in &record.affected {
                let _ = affected.holds(ecosystem, "1.2.3");
                let _ = affected.fixed_after(ecosystem, "1.2.3");
            }
        }
        let _ = listed::read(bytes, "basket", ecosystem);
    }
    let _ = osv::batch(bytes);
}
