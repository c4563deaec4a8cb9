//! The vocabulary of rounds: pure types and functions, without clock, network, files or environment.
//!
//! What does not belong here: how a source speaks to the outside (`sources`), how a finding is derived (`rules`),
//! how anything looks (`ui`, `report`).

pub mod backup;
pub mod book;
pub mod certificate;
pub mod cron;
pub mod error;
pub mod event;
pub mod finding;
pub mod health;
pub mod histogram;
pub mod id;
pub mod intake;
pub mod issue;
pub mod life;
pub mod log;
pub mod notes;
pub mod observation;
pub mod package;
pub mod release;
pub mod status;
pub mod time;
pub mod transition;

pub use backup::{Assertion, Backup, Check, Copy, Drill, JobRun, Lock, Place};
pub use book::{Book, BookGroup, Deed, Noted};
pub use certificate::{Certificate, ChainLink};
pub use cron::{Cron, CronRun, CronState, Crons};
pub use error::{ErrorKind, SourceError};
pub use event::{Breadcrumb, CodeLine, ErrorEvent, EventRequest, Exception, Frame, Link, TagSpread};
pub use finding::{Acknowledgement, Block, Bound, Comparison, Finding, Happened, Severity, Term};
pub use health::{Expectation, Health, LatencyLimits, Phases, Verdict};
pub use histogram::Histogram;
pub use id::{FindingId, IdError, SiteName, SourceId};
pub use intake::{Dropped, Intake};
pub use issue::{Issue, IssueState, Issues, Saved};
pub use life::{LifeLine, LifeLines, NextRelease, Phase};
pub use log::{
    AccessMinute, AccessPath, Level, LogAccess, LogBatch, LogEvent, LogFile, LogFrom, LogGroup, LogLimits, LogMark, LogNotice, LogPast, LogPlace, LogQuery,
};
pub use notes::{NoteLine, NoteWord, Notes, ReleaseNotes};
pub use observation::{Capability, Data, Observation, Problem};
pub use package::{Advisory, Borne, Bump, Need, Out, Package, Packages};
pub use release::{Brought, Commit, Deploy, Release, Releases};
pub use status::Status;
pub use time::Timestamp;
pub use time::size_text;
pub use transition::{ActionEnd, Transition, TransitionKind};
