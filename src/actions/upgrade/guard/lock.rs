//! An upgrade where a tool keeps a lock file: uv, poetry, pipenv, pdm.
//!
//! A pin in the manifest is changed where it stands, as a person would; then the tool locks. Where the manifest allows a range, or
//! does not name the package, it must come out as it was. Of these tools only uv can be told a version without it. The others are
//! given the version in the manifest for a moment; then the manifest is taken back from git, and they lock once more: all keep what is
//! locked and still allowed.
//!
//! What does not belong here: the commands (`locker`), the places in the manifest (`declared`).

use std::path::Path;

use super::super::Broken;
use super::super::declared::{self, Declared};
use super::super::locker::Locker;
use super::super::plan::Rung;
use super::{Failure, Guard};
use crate::packages::versions::Version;

/// A manifest or a lock file is not larger than this, in bytes.
const LIMIT: u64 = 64 << 20;

fn failure(why: impl Into<String>) -> Failure {
    Failure { why: why.into(), tail: Vec::new() }
}

impl Guard<'_, '_> {
    /// Lets the tool lock this version: whether it knows the package.
    pub(super) async fn lock(&mut self, by: Locker, folder: &Path, rung: &Rung) -> Result<Result<bool, Failure>, Broken> {
        let at = self.folder.join(folder);
        let (manifest, lock) = (at.join(by.manifest()), at.join(by.lock()));
        let text = match read(&manifest) {
            Ok(text) => text,
            Err(why) => return Ok(Err(failure(format!("{}: {why}", by.manifest())))),
        };
        let all = declared::all(&text, by, self.interpreter.as_ref());
        let named: Vec<&Declared> = all.iter().filter(|one| one.name == rung.name).collect();
        if named.is_empty() && self.locked(&rung.name).is_none() {
            return Ok(Ok(false));
        }
        if let Some(range) = Version::parse(&rung.to).and_then(|to| named.iter().find(|one| one.holds(&to)).and_then(|one| one.constraint.as_ref())) {
            return Ok(Err(failure(format!("{} allows only {range} of it", by.manifest()))));
        }
        let pins: Vec<&Declared> = named.iter().filter(|one| one.pinned()).copied().collect();
        let pinned = !pins.is_empty();
        // uv is told the version beside the manifest.
        let places = if pinned || by == Locker::Uv { &pins } else { &named };
        if !places.is_empty() {
            let written =
                declared::at_version(&text, places, &rung.to).and_then(|text| std::fs::write(&manifest, text).map_err(|error| error.kind().to_string()));
            if let Err(why) = written {
                return Ok(Err(failure(format!("{}: {why}", by.manifest()))));
            }
        }
        let before = read(&lock).unwrap_or_default();
        let develop = by == Locker::Pipenv && only_develop(&before, &rung.name);
        let program = self.look.locker.clone();
        let argv = if named.is_empty() { by.ask_for(&program, &rung.name, &rung.to, develop) } else { by.relock(&program, &rung.name, &rung.to, develop) };
        if let Some(failure) = self.locks(by, &argv, &at).await? {
            return Ok(Err(failure));
        }
        if pinned || by == Locker::Uv {
            return Ok(Ok(true));
        }
        let (copy, place) = (self.place.copy(), self.look.below.join(folder).join(by.manifest()));
        let place = format!(":(literal,top){}", place.display());
        self.must_git(&["checkout", "--quiet", "HEAD", "--", &place], &copy, "the manifest could not be put back").await?;
        let argv = if by == Locker::Pipenv {
            // It locks all anew or what it was told; so its sum of the manifest, which is as it was, is put back, and it looks itself.
            if let Err(why) = with_sum_of(&lock, &before) {
                return Ok(Err(failure(format!("{}: {why}", by.lock()))));
            }
            vec![program.path.clone(), "verify".to_owned()]
        } else {
            by.relock(&program, &rung.name, &rung.to, develop)
        };
        Ok(self.locks(by, &argv, &at).await?.map_or(Ok(true), Err))
    }

    async fn locks(&mut self, by: Locker, argv: &[String], folder: &Path) -> Result<Option<Failure>, Broken> {
        let ran = self.commands.run(argv, folder).await?;
        Ok(ran.failed.map(|words| Failure { why: format!("{} does not allow it: {words}", by.word()), tail: ran.tail }))
    }
}

fn read(path: &Path) -> Result<String, String> {
    match path.metadata() {
        Ok(about) if about.len() > LIMIT => Err("it is too large".to_owned()),
        Ok(_) => std::fs::read_to_string(path).map_err(|error| error.kind().to_string()),
        Err(error) => Err(error.kind().to_string()),
    }
}

/// Whether a `Pipfile.lock` has it for development only.
fn only_develop(lock: &str, name: &str) -> bool {
    let lock: serde_json::Value = serde_json::from_str(lock).unwrap_or_default();
    lock["default"].get(name).is_none() && lock["develop"].get(name).is_some()
}

/// The sum of the `Pipfile` in its lock file.
fn sum(lock: &str) -> Option<String> {
    let lock: serde_json::Value = serde_json::from_str(lock).ok()?;
    lock["_meta"]["hash"]["sha256"].as_str().filter(|sum| sum.len() == 64).map(str::to_owned)
}

/// Writes the earlier text's sum into the lock file.
fn with_sum_of(lock: &Path, before: &str) -> Result<(), String> {
    let now = read(lock)?;
    let (Some(new), Some(old)) = (sum(&now), sum(before)) else { return Err("its sum of the Pipfile is not there".to_owned()) };
    std::fs::write(lock, now.replacen(&new, &old, 1)).map_err(|error| error.kind().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_put_back_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let lock = |sum: &str, version: &str| {
            format!(
                "{{\n  \"_meta\": {{\"hash\": {{\"sha256\": \"{}\"}}}},\n  \"develop\": {{\"till\": {{\"version\": \"=={version}\"}}}}\n}}\n",
                sum.repeat(64)
            )
        };
        let path = dir.path().join("Pipfile.lock");
        std::fs::write(&path, lock("b", "1.1")).unwrap();
        with_sum_of(&path, &lock("a", "1.0")).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), lock("a", "1.1"));
        assert!(with_sum_of(&path, "{}").is_err());
        assert!(only_develop(&lock("a", "1"), "till") && !only_develop(&lock("a", "1"), "basket"));
    }
}
