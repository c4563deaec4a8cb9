//! What services of backups say in the same words: a folder of a copy, a copy by its name. Pure.

use super::Entry;
use crate::domain::time::{rfc3339, size_text};
use crate::domain::{Copy, SourceError};

/// The copy that an item names: by its name, or the newest.
///
/// # Errors
/// When there is none of that name.
pub fn chosen<'a>(copies: &'a [Copy], item: &str) -> Result<&'a Copy, SourceError> {
    let named = match item {
        "" | "latest" | "newest" => copies.last(),
        name => copies.iter().rev().find(|copy| copy.name == name),
    };
    named.ok_or_else(|| SourceError::nothing(format!("there is no copy \"{item}\""), "it may have been removed by retention; look again"))
}

/// A folder of a copy, a line for each name.
#[must_use]
pub fn lines(copy: &str, under: &str, files: &[Entry]) -> Vec<String> {
    let mut lines = vec![format!("{copy}:/{}", under.trim_matches('/'))];
    if files.is_empty() {
        lines.push("nothing is in it".to_owned());
    }
    for file in files {
        let size = if file.folder { "folder".to_owned() } else { file.size.map_or_else(String::new, size_text) };
        let changed = file.changed.map_or_else(String::new, rfc3339);
        let slash = if file.folder { "/" } else { "" };
        lines.push(format!("{size:>9}  {changed:20}  {}{slash}", file.path));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_told_a_line_each() {
        let entry = |path: &str, folder, size| Entry { path: path.to_owned(), folder, size, changed: None };
        let told = lines("4f2a", "/srv/", &[entry("srv/db", true, None), entry("srv/a b", false, Some(2_048))]);
        assert_eq!(told, ["4f2a:/srv", "   folder                        srv/db/", " 2.00 KiB                        srv/a b"]);
        assert_eq!(lines("4f2a", "", &[]), ["4f2a:/", "nothing is in it"]);
    }

    #[test]
    fn a_copy_is_found_by_its_name() {
        let copies: Vec<Copy> = ["a", "b"].map(|name| Copy { name: name.to_owned(), ..Copy::default() }).into();
        assert_eq!(chosen(&copies, "a").unwrap().name, "a");
        assert_eq!(chosen(&copies, "").unwrap().name, "b");
        assert!(chosen(&copies, "c").is_err() && chosen(&[], "").is_err());
    }
}
