//! What borgmatic says on standard error: its own lines, those of borg, and pages about a system log that it could not write to. Pure.

/// The lines that say something of the repositories.
pub fn telling(lines: &[String]) -> Vec<String> {
    let mut all = Vec::new();
    let mut page = false;
    for line in lines {
        // Python's own complaint about a log handler ends with the arguments of the message.
        if line.starts_with("--- Logging error ---") {
            page = true;
        } else if page && line.starts_with("Arguments:") {
            page = false;
        } else if !page && !line.starts_with("Need some help") && !line.starts_with("Command '") && line != "summary:" {
            all.push(line.clone());
        }
    }
    all
}

/// The repositories that failed, as borgmatic calls them.
pub fn failed(lines: &[String]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let names =
        lines.iter().filter_map(|line| line.strip_suffix(": Error running actions for repository").or_else(|| line.strip_suffix(": Error running actions")));
    for name in names {
        if !all.iter().any(|other| other == name) {
            all.push(name.to_owned());
        }
    }
    all
}

/// Whether borgmatic handed borg an option that this borg does not know: 1.7 does that with a pattern for archives.
pub fn unknown_option(lines: &[String]) -> bool {
    lines.iter().any(|line| line.contains("unrecognized arguments"))
}

/// Whether borgmatic could not read its configuration.
pub fn no_configuration(lines: &[String]) -> Option<&str> {
    let words = ["No valid configuration files found", "Error parsing configuration file", "Configuration files not found"];
    let at = lines.iter().position(|line| words.iter().any(|word| line.contains(word)))?;
    lines.get(at).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_about_a_system_log_are_left_out() {
        let text = "passphrase supplied in BORG_PASSPHRASE is incorrect.\n/b: Error running actions for repository\n--- Logging error ---\nTraceback\n\
                    ConnectionRefusedError: [Errno 111] Connection refused\nMessage: 'x'\nArguments: ()\nsummary:\n/b: Error running actions for repository\n\
                    Command '('borg', 'list')' returned non-zero exit status 2.\nNeed some help? https://x";
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let told = telling(&lines);
        assert_eq!(told.len(), 3, "{told:?}");
        assert_eq!(failed(&told), ["/b"]);
        assert!(!unknown_option(&told) && no_configuration(&told).is_none());
    }
}
