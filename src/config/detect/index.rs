//! Where packages come from: pip's, uv's, Poetry's and PDM's own settings. Credentials in an address are never kept.

use toml::{Table, Value};

use super::{Place, Project, address, has_end, ini};

/// Package indexes that the project names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Indexes {
    /// The one that is asked first.
    pub index: Option<(String, Place)>,
    /// Others.
    pub extra: Vec<(String, Place)>,
    /// Addresses with credentials or variables in them, which are not copied.
    pub unread: Vec<Place>,
}

impl Indexes {
    fn take(&mut self, text: &str, place: &Place, main: bool) {
        for text in text.split_whitespace() {
            match address(text) {
                Some(url) if main && self.index.is_none() => self.index = Some((url, place.clone())),
                Some(url) => {
                    let known = self.index.iter().chain(&self.extra).any(|(known, _)| *known == url);
                    if !known && !main {
                        self.extra.push((url, place.clone()));
                    }
                }
                None => self.unread.push(place.clone()),
            }
        }
    }
}

/// Looks for them: what is nearest to the project first.
#[must_use]
pub fn look(project: &Project, venv: Option<&str>, manifests: &[super::manifests::Manifest]) -> Indexes {
    let mut found = Indexes::default();
    uv_and_others(project, &mut found);
    for manifest in manifests.iter().filter(|manifest| has_end(&manifest.path, "txt")) {
        requirements(project, &manifest.path, &mut found);
    }
    let mut pip: Vec<(String, Option<String>)> =
        vec![("pip.conf".to_owned(), project.read("pip.conf")), (".pip/pip.conf".to_owned(), project.read(".pip/pip.conf"))];
    pip.extend(venv.map(|venv| format!("{venv}/pip.conf")).map(|path| (path.clone(), project.read(&path))));
    pip.push(("/etc/pip.conf".to_owned(), project.read_system("/etc/pip.conf")));
    for (path, text) in pip {
        let Some(text) = text else { continue };
        for (key, main) in [("index-url", true), ("extra-index-url", false)] {
            for section in ["global", "install"] {
                if let Some((value, line)) = ini::value(&text, section, key) {
                    found.take(&value, &Place::new(&path, line), main);
                }
            }
        }
    }
    found
}

fn requirements(project: &Project, path: &str, found: &mut Indexes) {
    for (number, line) in project.read(path).unwrap_or_default().lines().enumerate() {
        let mut words = line.trim().split(|c: char| c.is_whitespace() || c == '=');
        let main = match words.next() {
            Some("-i" | "--index-url") => true,
            Some("--extra-index-url") => false,
            _ => continue,
        };
        let value = line.trim().split_once(['=', ' ']).map(|(_, value)| value.trim()).unwrap_or_default();
        found.take(value.split(" #").next().unwrap_or_default(), &Place::new(path, number + 1), main);
    }
}

fn uv_and_others(project: &Project, found: &mut Indexes) {
    let read = |path: &str| project.read(path).and_then(|text| Some((text.parse::<Table>().ok()?, text)));
    if let Some((table, text)) = read("uv.toml") {
        uv(&table, &text, "uv.toml", found);
    }
    let Some((table, text)) = read("pyproject.toml") else { return };
    let Some(tool) = table.get("tool").and_then(Value::as_table) else { return };
    if let Some(table) = tool.get("uv").and_then(Value::as_table) {
        uv(table, &text, "pyproject.toml", found);
    }
    for name in ["poetry", "pdm"] {
        let sources = tool.get(name).and_then(|tool| tool.get("source")).and_then(Value::as_array);
        for source in sources.into_iter().flatten().filter_map(Value::as_table) {
            let Some(url) = source.get("url").and_then(Value::as_str) else { continue };
            let priority = source.get("priority").and_then(Value::as_str).unwrap_or("primary");
            let main = matches!(priority, "primary" | "default") && source.get("secondary").and_then(Value::as_bool) != Some(true);
            found.take(url, &place_of(&text, url, "pyproject.toml"), main);
        }
    }
}

fn uv(table: &Table, text: &str, path: &str, found: &mut Indexes) {
    for index in table.get("index").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_table) {
        if let Some(url) = index.get("url").and_then(Value::as_str) {
            found.take(url, &place_of(text, url, path), index.get("default").and_then(Value::as_bool) == Some(true));
        }
    }
    if let Some(url) = table.get("index-url").and_then(Value::as_str) {
        found.take(url, &place_of(text, url, path), true);
    }
    for url in table.get("extra-index-url").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        found.take(url, &place_of(text, url, path), false);
    }
}

/// Where a value stands, by looking for it.
fn place_of(text: &str, value: &str, path: &str) -> Place {
    let line = text.lines().position(|line| line.contains(value)).map_or(1, |at| at + 1);
    Place::new(path, line)
}
