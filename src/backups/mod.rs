//! What backup sources share: the promises of a data set, what its copies say of it, running a backup tool, and the repository
//! that a restore drill takes a copy from.
//!
//! What does not belong here: one tool's output (its folder in `sources`), the verdict on a promise (`rules::backups`), a drill
//! itself (`actions::drill`).
//!
//! | file | what lives there |
//! | --- | --- |
//! | `clusters` | what pgBackRest and Barman share: calling the tool |
//! | `dump` | what a dump is, whether it is whole, taking it out of its packing |
//! | `fetch` | a copy that a command of the user's brings |
//! | `plan` | keys that every kind of backup has: promises, `check`, `drill` |
//! | `joblog` | the log file that a tool keeps of its own runs, joined to what is known |
//! | `judge` | what the copies say of the data set; pure |
//! | `schedule` | when a restore or a check is due, and which begins next; pure |
//! | `repository` | where copies are taken from: listing, restoring, checking |
//! | `tool` | running a backup tool: quiet, at low priority, never twice at once |
//! | `prefix` | how it is called: by itself, through sudo, on another machine; pure |
//! | `caller` | one tool for one repository, its secrets resolved |
//! | `address` | the address of a repository, which may hold a password |
//! | `keys` | keys that restic, borg and borgmatic have in common; pure |
//! | `look` | one look at a data set whose tool is asked |
//! | `growth` | the next copy, and the day the disk is full; pure |
//! | `disk` | free space, and holders of locks, on this machine |
//! | `desk` | what can be known and done beyond the poll, for any repository |
//! | `places` | whether a repository is on the machine that it protects; pure |
//! | `once` | a listing that several data sets of one repository share |
//! | `kept` | what was measured, kept in the cache |
//! | `user` | whom a tool runs as, by the words before it; pure |

pub mod address;
pub mod caller;
pub mod clusters;
pub mod desk;
pub mod disk;
pub mod dump;
pub mod fetch;
pub mod growth;
pub mod joblog;
pub mod judge;
pub mod kept;
pub mod keys;
pub mod look;
pub mod once;
pub mod places;
pub mod plan;
pub mod prefix;
pub mod repository;
pub mod schedule;
pub mod tool;
pub mod user;

pub use desk::Desk;
pub use judge::judge;
pub use plan::{AssertConfig, CheckConfig, DrillConfig, Into as DrillInto, Promise};
pub use repository::{Entry, Folder, Repository, Restored, Unlocking};
