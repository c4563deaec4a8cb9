//! What a dump is, whether it is whole, and taking it out of its packing. Reads one file (or one folder of a dump) of this machine.
//!
//! What does not belong here: which files there are (`sources::files`), loading a dump into a database (`actions::drill`).
//!
//! | file | what lives there |
//! | --- | --- |
//! | `form` | what it is, by its beginning and its name; pure |
//! | `whole` | whether it is whole |
//! | `archive` | the structure of pg_dump's custom and directory formats |
//! | `tar` | the structure of a tar archive |
//! | `zstd` | reading what zstd packed |
//! | `sqlite` | letting SQLite look at its own file |
//! | `unpack` | a copy taken out of its packing, into a directory |

pub mod archive;
pub mod form;
mod sqlite;
pub mod tar;
#[cfg(test)]
mod tests;
pub mod unpack;
pub mod whole;
pub mod zstd;

pub use form::Form;
pub use whole::{Whole, look};

/// The judgement of any bytes as a dump, for fuzzing: must not panic.
pub fn fuzz(bytes: &[u8]) {
    let stop = std::sync::atomic::AtomicBool::new(false);
    let _ = whole::of_bytes(bytes, &stop);
    let _ = archive::toc(&mut std::io::Cursor::new(bytes));
    let _ = tar::walk(&mut std::io::Cursor::new(bytes), |_| {});
}
