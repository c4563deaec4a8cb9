//! The demonstration's projects as git repositories, so that an upgrade can be tried in them.
//!
//! What does not belong here: the files themselves (`packages`), the upgrade (`actions::upgrade`).

use std::path::{Path, PathBuf};

use super::packages::PROJECTS;
use crate::actions::upgrade::Git;

/// Commits what is in the projects below `dir`. Where there is no git, they are none, and an upgrade says so.
pub async fn make(dir: PathBuf) {
    for project in PROJECTS {
        // Nothing else of the demonstration needs it.
        let _ = commit(&dir.join(project.folder)).await;
    }
}

async fn commit(folder: &Path) -> Result<(), String> {
    let git = Git(folder.to_owned());
    let words: [&[&str]; 5] = [
        &["-c", "init.defaultBranch=main", "init", "--quiet"],
        // Its own, so that it needs none of the person who looks on; not signed.
        &["config", "user.name", "rounds demo"],
        &["config", "user.email", "demo@localhost"],
        &["add", "--all"],
        &["commit", "--quiet", "--no-verify", "--no-gpg-sign", "--message", "Begin"],
    ];
    for arguments in words {
        git.ask(arguments).await?;
    }
    Ok(())
}
