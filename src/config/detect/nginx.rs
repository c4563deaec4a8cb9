//! nginx: the sites that hand requests on to this project, their names and logs.

use super::{Place, Project, host_of, mentions};

/// One `server` that is the project's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its first real name.
    pub host: String,
    /// Whether it speaks TLS.
    pub tls: bool,
    /// Its log files.
    pub logs: Vec<(String, Place)>,
    /// Where it stands.
    pub place: Place,
}

/// One directive: its words and line.
#[derive(Debug, Clone)]
struct Directive {
    words: Vec<String>,
    line: usize,
    /// The blocks it stands in, by number, outermost first.
    within: Vec<usize>,
}

/// Looks for them. `bind` is where the application listens, if that is known.
#[must_use]
pub fn look(project: &Project, name: &str, bind: Option<&str>) -> Vec<Server> {
    let mut found = Vec::new();
    for folder in ["/etc/nginx/sites-enabled", "/etc/nginx/conf.d", "/etc/nginx/vhosts.d"] {
        for file in project.system_names(folder).into_iter().take(200) {
            let path = format!("{folder}/{file}");
            if let Some(text) = project.read_system(&path) {
                servers(&text, &path, project, name, bind, &mut found);
            }
        }
    }
    found
}

fn servers(text: &str, path: &str, project: &Project, name: &str, bind: Option<&str>, found: &mut Vec<Server>) {
    let directives = directives(text);
    let is = |directive: &Directive, word: &str| directive.words.first().is_some_and(|first| first == word);
    let reaches = |value: &str| mentions(value, project, name) || bind.is_some_and(|bind| value.contains(bind.trim_start_matches("unix:")));
    // An upstream is ours when one of its servers is.
    let upstreams: Vec<&str> = directives
        .iter()
        .filter(|one| is(one, "upstream"))
        .filter_map(|upstream| {
            let block = block_of(upstream)?;
            let ours = directives.iter().any(|one| is(one, "server") && one.within.contains(&block) && one.words[1..].iter().any(|word| reaches(word)));
            upstream.words.get(1).filter(|word| ours || *word == name).map(String::as_str)
        })
        .collect();
    for server in directives.iter().filter(|one| is(one, "server")) {
        let Some(block) = block_of(server) else { continue };
        let own: Vec<&Directive> = directives.iter().filter(|one| one.within.contains(&block) && one.line >= server.line).collect();
        let ours = own.iter().any(|one| {
            let tells = ["proxy_pass", "uwsgi_pass", "root", "alias"].iter().any(|word| is(one, word));
            tells
                && one.words[1..]
                    .iter()
                    .any(|word| reaches(word) || upstreams.iter().any(|upstream| word.ends_with(&format!("//{upstream}")) || word == upstream))
        });
        let host = own
            .iter()
            .find(|one| is(one, "server_name"))
            .and_then(|one| one.words[1..].iter().find_map(|name| host_of(name).filter(|host| host.contains('.'))));
        if let Some(host) = host.filter(|_| ours) {
            let tls = own.iter().any(|one| is(one, "ssl_certificate") || (is(one, "listen") && one.words.iter().any(|word| word == "ssl")));
            let logs = own
                .iter()
                .filter(|one| is(one, "access_log") || is(one, "error_log"))
                .filter_map(|one| {
                    one.words.get(1).filter(|path| path.starts_with('/') && !path.contains('$')).map(|log| (log.clone(), Place::new(path, one.line)))
                })
                .collect();
            found.push(Server { host, tls, logs, place: Place::new(path, server.line) });
        }
    }
}

/// The number of the block that a directive opens: it is the last of what it stands in.
fn block_of(directive: &Directive) -> Option<usize> {
    directive.within.last().copied().filter(|_| directive.words.last().is_some_and(|word| word == "{"))
}

/// The directives of a text. One that opens a block stands in that block, and ends in `{`.
fn directives(text: &str) -> Vec<Directive> {
    let (mut all, mut within, mut blocks) = (Vec::new(), Vec::new(), 0);
    let (mut words, mut word, mut begun) = (Vec::<String>::new(), String::new(), 0);
    for (number, line) in text.lines().enumerate().take(20_000) {
        let mut quote = None;
        for c in line.chars() {
            match (quote, c) {
                (Some(open), c) if c == open => quote = None,
                (Some(_), c) => word.push(c),
                (None, '#') if word.is_empty() => break,
                (None, '"' | '\'') => quote = Some(c),
                (None, c) if c.is_whitespace() || matches!(c, ';' | '{' | '}') => {
                    if !word.is_empty() {
                        if words.is_empty() {
                            begun = number + 1;
                        }
                        words.push(std::mem::take(&mut word));
                    }
                    match c {
                        ';' if !words.is_empty() => all.push(Directive { words: std::mem::take(&mut words), line: begun, within: within.clone() }),
                        '{' => {
                            blocks += 1;
                            within.push(blocks);
                            words.push("{".to_owned());
                            all.push(Directive { words: std::mem::take(&mut words), line: begun.max(1), within: within.clone() });
                        }
                        '}' => {
                            within.pop();
                            words.clear();
                        }
                        _ => {}
                    }
                }
                (None, c) => word.push(c),
            }
        }
        if !word.is_empty() {
            if words.is_empty() {
                begun = number + 1;
            }
            words.push(std::mem::take(&mut word));
        }
        // Nothing of a server nests so deep, and its copies would grow with the square.
        if within.len() > 32 {
            return all;
        }
    }
    all
}
