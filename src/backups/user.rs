//! Whom a tool runs as, by the words that stand before it. Pure.
//!
//! What does not belong here: giving such a user a place to write to (`actions::drill`).

/// Programs that run another one as another user, root when they are not told whom.
const BECOME: [&str; 3] = ["sudo", "doas", "runuser"];

/// The user's name or number, where the words say that it is another one than ours.
#[must_use]
pub fn of(words: &[String]) -> Option<String> {
    let mut user = None;
    let mut words = words.iter().map(String::as_str).peekable();
    while let Some(word) = words.next() {
        let name = word.rsplit('/').next().unwrap_or(word);
        let (short, long) = match name {
            name if BECOME.contains(&name) => {
                user = Some("root".to_owned());
                ("-u", "--user")
            }
            "setpriv" => ("--reuid", "--reuid"),
            _ => continue,
        };
        // Its own options come first, and end where one that is none stands.
        while let Some(option) = words.next_if(|word| word.starts_with('-')) {
            if option == "--" {
                break;
            }
            let given = if option == short || option == long {
                words.next()
            } else {
                option.strip_prefix(long).and_then(|rest| rest.strip_prefix('=')).or_else(|| option.strip_prefix(short).filter(|_| !option.starts_with("--")))
            };
            if let Some(given) = given {
                user = Some(given.trim_start_matches('#').to_owned());
            } else if ["-g", "--group", "-C", "-h", "-p", "-r", "-t", "-T"].contains(&option) && name != "setpriv" {
                // These have a value.
                words.next();
            }
        }
    }
    user
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_before_a_tool_tell_its_user() {
        for (words, user) in [
            ("pgbackrest", None),
            ("/usr/bin/pgbackrest", None),
            ("sudo pgbackrest", Some("root")),
            ("sudo -n -u postgres pgbackrest", Some("postgres")),
            ("sudo -upostgres pgbackrest", Some("postgres")),
            ("sudo --user=postgres -g backup -- pgbackrest", Some("postgres")),
            ("sudo -g backup -u postgres pgbackrest", Some("postgres")),
            ("nice -n 5 runuser -u barman -- /usr/bin/barman", Some("barman")),
            ("setpriv --reuid=26 --regid 26 --clear-groups pgbackrest", Some("26")),
            ("setpriv --reuid postgres --init-groups pgbackrest", Some("postgres")),
            ("sudo -u #26 pgbackrest", Some("26")),
            ("nice pgbackrest -u other", None),
        ] {
            let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
            assert_eq!(of(&words).as_deref(), user, "{words:?}");
        }
    }
}
