//! What can be done to an issue, and how the API is told. Pure.
//!
//! What does not belong here: sending it (`client`), offering it (`mod`).
//!
//! Facts: Sentry's OpenAPI document, `PUT organizations/{org}/issues/{id}/`; GlitchTip knows `status` only.

use serde_json::json;

use super::client::Server;
use crate::domain::IssueState;

/// What can be done to an issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Done with.
    Resolve,
    /// Put aside until it comes much more often.
    ArchiveUntilEscalating,
    /// Put aside.
    ArchiveForever,
    /// Open again.
    Unresolve,
}

impl Change {
    /// The status it is asked for by.
    pub const fn status(self) -> &'static str {
        match self {
            Self::Resolve => "resolved",
            Self::ArchiveUntilEscalating | Self::ArchiveForever => "ignored",
            Self::Unresolve => "unresolved",
        }
    }

    /// How the issue stands after it.
    pub const fn state(self) -> IssueState {
        match self {
            Self::Resolve => IssueState::Resolved,
            Self::ArchiveUntilEscalating | Self::ArchiveForever => IssueState::Archived,
            Self::Unresolve => IssueState::Ongoing,
        }
    }

    /// The body of the request.
    pub fn body(self, server: Server) -> serde_json::Value {
        let substatus = match self {
            Self::ArchiveUntilEscalating => "archived_until_escalating",
            Self::ArchiveForever => "archived_forever",
            Self::Resolve | Self::Unresolve => "",
        };
        // GlitchTip knows the status only.
        if substatus.is_empty() || server == Server::GlitchTip {
            json!({ "status": self.status() })
        } else {
            json!({ "status": self.status(), "substatus": substatus })
        }
    }
}
