//! Backups: variables of restic and borg, and dumps that a script or a crontab writes. Values of variables are not kept.

use super::{Place, Project, env_files};

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backups {
    /// Where `RESTIC_REPOSITORY` is set, and the names of its other variables.
    pub restic: Option<(Place, Vec<String>)>,
    /// Where `BORG_REPO` is set, and the names of its other variables.
    pub borg: Option<(Place, Vec<String>)>,
    /// Dumps by pattern: `/var/backups/shop-*.sql.gz`.
    pub dumps: Vec<(String, Place)>,
}

impl Backups {
    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.restic.is_none() && self.borg.is_none() && self.dumps.is_empty()
    }
}

/// Looks for them.
#[must_use]
pub fn look(project: &Project) -> Backups {
    let mut found = Backups::default();
    let (mut restic, mut borg) = (Vec::new(), Vec::new());
    for (place, name, _) in env_files::variables(project) {
        if name == "RESTIC_REPOSITORY" || name == "RESTIC_REPOSITORY_FILE" {
            found.restic.get_or_insert((place, Vec::new()));
        } else if name.starts_with("RESTIC_") && !restic.contains(&name) {
            restic.push(name);
        } else if name == "BORG_REPO" {
            found.borg.get_or_insert((place, Vec::new()));
        } else if name.starts_with("BORG_") && !borg.contains(&name) {
            borg.push(name);
        }
    }
    if let Some((_, names)) = &mut found.restic {
        *names = restic;
    }
    if let Some((_, names)) = &mut found.borg {
        *names = borg;
    }
    for (file, text) in env_files::scripts(project) {
        for (number, line) in text.lines().enumerate() {
            if let Some(pattern) = dump(line).filter(|pattern| !found.dumps.iter().any(|(known, _)| known == pattern)) {
                found.dumps.push((pattern, Place::new(&file, number + 1)));
            }
        }
    }
    found.dumps.truncate(20);
    found
}

/// The file that a line dumps a database into, with `*` for what changes from day to day.
fn dump(line: &str) -> Option<String> {
    const TOOLS: &[&str] = &["pg_dump", "mysqldump", "mariadb-dump", "mongodump", "sqlite3", "dumpdata"];
    const ENDS: &[&str] =
        &[".sql", ".dump", ".sql.gz", ".dump.gz", ".sql.zst", ".dump.zst", ".sqlite3", ".sqlite3.gz", ".db", ".db.gz", ".json.gz", ".tar", ".tar.gz", ".tgz"];
    let line = line.trim();
    if line.starts_with('#') || !TOOLS.iter().any(|tool| line.contains(tool)) {
        return None;
    }
    let line = changing(line);
    let mut words = line.split(|c: char| c.is_whitespace() || matches!(c, '>' | '|' | ';' | '"' | '\'' | '=' | '&' | '(' | ')'));
    let found = words.rfind(|word| word.starts_with('/') && word.len() < 400 && ENDS.iter().any(|end| word.ends_with(end)))?;
    // A folder that changes says too little about where copies are.
    let (folder, _) = found.rsplit_once('/')?;
    (!folder.is_empty() && !folder.contains('*')).then(|| found.to_owned())
}

/// Replaces `$(…)`, `` `…` ``, `${…}`, `$NAME` and `\%` of a shell by `*`.
fn changing(line: &str) -> String {
    let mut out = String::new();
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let end = match c {
            '$' => match chars.peek() {
                Some('(') => Some(')'),
                Some('{') => Some('}'),
                _ => {
                    while chars.peek().is_some_and(|c| c.is_ascii_alphanumeric() || *c == '_') {
                        chars.next();
                    }
                    None
                }
            },
            '`' => Some('`'),
            c => {
                out.push(c);
                continue;
            }
        };
        if let Some(end) = end {
            for c in chars.by_ref() {
                if c == end {
                    break;
                }
            }
        }
        if !out.ends_with('*') {
            out.push('*');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dumps_are_told_by_what_writes_them() {
        for (line, pattern) in [
            ("0 3 * * * pg_dump shop | gzip > /var/backups/shop-$(date +\\%F).sql.gz", Some("/var/backups/shop-*.sql.gz")),
            ("mysqldump shop > \"/srv/b/shop_${DAY}.sql\"", Some("/srv/b/shop_*.sql")),
            ("pg_dump -Fc -f /b/shop-`date`.dump shop", Some("/b/shop-*.dump")),
            ("pg_dump -f $DIR/shop.dump shop", None),
            ("# pg_dump > /var/backups/x.sql", None),
            ("cp a /var/backups/x.sql", None),
            ("pg_dump > /var/$X/x.sql", None),
        ] {
            assert_eq!(dump(line), pattern.map(str::to_owned), "{line}");
        }
    }
}
