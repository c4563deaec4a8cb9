//! INI files as pip, sentry-cli and supervisor write them: sections, `key = value`, indented lines that go on.

/// A value and its line, from 1. Values over several lines are joined by line ends.
#[must_use]
pub fn value(text: &str, section: &str, key: &str) -> Option<(String, usize)> {
    entries(text).into_iter().find(|entry| entry.section == section && entry.key == key).map(|entry| (entry.value, entry.line))
}

/// One `key = value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its section, without brackets.
    pub section: String,
    /// Its key.
    pub key: String,
    /// Its value, trimmed.
    pub value: String,
    /// Its line, from 1.
    pub line: usize,
}

/// All entries of a text, in order.
#[must_use]
pub fn entries(text: &str) -> Vec<Entry> {
    let (mut all, mut section): (Vec<Entry>, String) = (Vec::new(), String::new());
    for (number, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            section = name.trim().to_owned();
            continue;
        }
        if line.starts_with([' ', '\t'])
            && let Some(last) = all.last_mut().filter(|last| last.section == section)
        {
            if !last.value.is_empty() {
                last.value.push('\n');
            }
            last.value.push_str(trimmed);
            continue;
        }
        if let Some((key, value)) = trimmed.split_once(['=', ':']) {
            // Supervisor begins a comment with a blank and a semicolon.
            let value = value.split(" ;").next().unwrap_or_default();
            all.push(Entry { section: section.clone(), key: key.trim().to_owned(), value: value.trim().to_owned(), line: number + 1 });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_comments_and_lines_that_go_on_are_read() {
        let text = "[global]\n# no\nindex-url = https://index.example/simple ; ours\nextra-index-url =\n    https://a.example/\n    https://b.example/\n\n[x]\nindex-url: y\n";
        assert_eq!(value(text, "global", "index-url"), Some(("https://index.example/simple".into(), 3)));
        assert_eq!(value(text, "global", "extra-index-url"), Some(("https://a.example/\nhttps://b.example/".into(), 4)));
        assert_eq!(value(text, "x", "index-url"), Some(("y".into(), 9)));
        assert_eq!(value(text, "y", "index-url"), None);
    }
}
