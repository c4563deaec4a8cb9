//! One commit for one upgrade, and what its message says.
//!
//! What does not belong here: the branch (`guard`).

use super::super::Broken;
use super::super::plan::{self, Rung};
use super::Guard;
use crate::domain::{NoteWord, Notes};
use crate::packages::notes::sections;
use crate::report::clean;

/// Lines of notes in a commit's message, and characters of one.
const NOTED: usize = 6;
const NOTE: usize = 160;

impl Guard<'_, '_> {
    /// One commit for one upgrade.
    pub(super) async fn commit(&mut self, rung: &Rung, from: &str, batch: &[Rung]) -> Result<(), Broken> {
        let copy = self.place.copy();
        if self.order.project.command.is_some() {
            self.must_git(&["add", "--update"], &copy, "the change could not be committed").await?;
        } else {
            let files: Vec<String> = self.files().iter().map(|file| format!(":(literal,top){}", self.look.below.join(file).display())).collect();
            let mut arguments = vec!["add", "--"];
            arguments.extend(files.iter().map(String::as_str));
            self.must_git(&arguments, &copy, "the change could not be committed").await?;
        }
        let message = self.message(rung, from, batch);
        let arguments = ["commit", "--quiet", "--no-verify", "--no-gpg-sign", "-m", &message];
        self.must_git(&arguments, &copy, "the change could not be committed").await
    }

    pub(super) fn message(&self, rung: &Rung, from: &str, batch: &[Rung]) -> String {
        let package = self.order.packages.iter().find(|package| package.name == rung.name);
        let advisories = package.map_or(&[][..], |package| &package.advisories);
        let mut text = format!("Upgrade {} from {from} to {}\n", rung.name, rung.to);
        for advisory in plan::cured(advisories, from, &rung.to) {
            let about: Vec<&str> = advisory.severity.iter().chain(&advisory.summary).map(String::as_str).collect();
            let names: Vec<&str> = std::iter::once(&advisory.id).chain(&advisory.aliases).map(String::as_str).collect();
            let about = if about.is_empty() { String::new() } else { format!(": {}", about.join(", ")) };
            text.push_str(&format!("\nCures {}{about}", clean(&names.join(", ")), about = clean(&about)));
        }
        text.push_str(&self.order.notes.get(&rung.name).map_or_else(String::new, |notes| said(notes, from, &rung.to)));
        let checks: Vec<String> = self.checks.iter().map(|check| self.shown(&check.argv)).collect();
        text.push_str(&format!("\nChecked with: {}", checks.join("; ")));
        let beside: Vec<String> = batch.iter().filter(|other| other.name != rung.name).map(|other| format!("{} {}", other.name, other.to)).collect();
        if !beside.is_empty() {
            text.push_str(&format!("\nChecked together with: {}", beside.join(", ")));
        }
        text.push('\n');
        text
    }
}

/// What is said of the releases between two versions, for a commit's message: what warns first, a few lines.
fn said(notes: &Notes, from: &str, to: &str) -> String {
    let releases = sections::between(&notes.releases, from, Some(to));
    let mut lines: Vec<(Option<NoteWord>, String)> =
        releases.iter().flat_map(|release| release.lines.iter().map(|line| (line.word, format!("{}: {}", release.version, line.text)))).collect();
    let all = lines.len();
    // Stable: what warns of the same stays in its order.
    lines.sort_by_key(|(word, _)| word.map_or(u8::MAX, |word| word as u8));
    lines.truncate(NOTED);
    if lines.is_empty() {
        return String::new();
    }
    let mut text = format!("\nNotes ({}):", clean(&notes.read_in));
    for (_, line) in &lines {
        let line = clean(line);
        let cut: String = line.chars().take(NOTE).collect();
        text.push_str(&format!("\n- {cut}{}", if cut.len() < line.len() { "…" } else { "" }));
    }
    if all > lines.len() {
        text.push_str(&format!("\n- and {} more", all - lines.len()));
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{NoteLine, ReleaseNotes};

    #[test]
    fn notes_of_a_commit_are_few_and_what_warns_comes_first() {
        let lines = |texts: &[&str]| texts.iter().map(|text| NoteLine { text: (*text).to_owned(), word: sections::word(text) }).collect::<Vec<_>>();
        let release = |version: &str, texts: &[&str]| ReleaseNotes { version: version.to_owned(), lines: lines(texts), more: 0 };
        let old = release("1.2", &["a fix", "the drawer was removed", "a\u{1b}[2Jb"]);
        let releases = vec![release("2.0", &["all is new"]), old, release("1.1", &["c", "d", "e", "f"])];
        let notes = Notes { releases, read_in: "docs.example".to_owned(), problem: None };
        let text = said(&notes, "1.0", "1.2");
        assert!(text.starts_with("\nNotes (docs.example):\n- 1.2: the drawer was removed\n- 1.2: a fix\n"), "{text}");
        assert!(text.ends_with("- and 1 more\n") && !text.contains('\u{1b}') && !text.contains("2.0"), "{text}");
        assert_eq!(said(&notes, "2.0", "2.1"), "");
    }
}
