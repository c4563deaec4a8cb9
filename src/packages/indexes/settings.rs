//! Where the address of the index comes from, when the configuration does not name it: the environment, uv's and pip's files,
//! the project. No address is written into rounds.
//!
//! What does not belong here: asking the interpreter (`sources::python`), credentials by host (`netrc`).

use std::fmt;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// One address, and where it stands. Its `Debug` shows only that.
#[derive(Clone, PartialEq, Eq)]
pub struct Named {
    /// As written; it may hold credentials.
    pub url: String,
    /// For reading: `PIP_INDEX_URL`, a file's path.
    pub origin: String,
}

impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "index named by {}", self.origin)
    }
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The index.
    pub main: Option<Named>,
    /// Those beside it.
    pub extra: Vec<Named>,
    /// Who is to be asked for passwords, by pip or by uv; the nearest setting.
    pub keyring: Option<Keyring>,
}

/// Whether the command `keyring` is asked for the password that an address lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyring {
    /// `subprocess` or `import`: it is. Whatever else is said (`auto`, `disabled`), it is not.
    pub asked: bool,
    /// Where that stands.
    pub origin: String,
}

impl Found {
    fn main(&mut self, url: &str, origin: &str) {
        if self.main.is_none() && usable(url) {
            self.main = Some(Named { url: url.trim().to_owned(), origin: origin.to_owned() });
        }
    }

    fn keyring(&mut self, provider: &str, origin: &str) {
        // pip's own `auto` asks only where it may ask a person, which is never the case here.
        let asked = matches!(provider.trim(), "subprocess" | "import");
        self.keyring.get_or_insert_with(|| Keyring { asked, origin: origin.to_owned() });
    }

    fn extra(&mut self, url: &str, origin: &str) {
        if self.extra.len() < 8 && usable(url) && !self.extra.iter().any(|one| one.url == url.trim()) {
            self.extra.push(Named { url: url.trim().to_owned(), origin: origin.to_owned() });
        }
    }
}

/// Folders and `${VARIABLES}` are none that can be asked.
fn usable(url: &str) -> bool {
    let url = url.trim();
    (url.starts_with("https://") || url.starts_with("http://")) && !url.contains("${")
}

/// Where to look: what a process finds around it.
pub struct Surroundings<'a> {
    /// Reads a variable of the environment.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The home folder.
    pub home: Option<PathBuf>,
    /// The root of the system's files: `/`, or a test's folder.
    pub root: PathBuf,
}

impl fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").field("home", &self.home).field("root", &self.root).finish_non_exhaustive()
    }
}

/// Looks in this order, the first that names an index winning: environment, the project's files, uv's, pip's (environment's own,
/// user's, system's). Blocks.
#[must_use]
pub fn find(around: &Surroundings<'_>, project: &Path, venv: Option<&Path>) -> Found {
    let mut found = Found::default();
    for name in ["PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"] {
        if let Some(text) = (around.variable)(name) {
            found.main(after_name(&text), name);
        }
    }
    for name in ["PIP_EXTRA_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_INDEX"] {
        if let Some(text) = (around.variable)(name) {
            text.split_whitespace().for_each(|url| found.extra(after_name(url), name));
        }
    }
    for name in ["PIP_KEYRING_PROVIDER", "UV_KEYRING_PROVIDER"] {
        if let Some(text) = (around.variable)(name) {
            found.keyring(&text, name);
        }
    }
    let config = (around.variable)("XDG_CONFIG_HOME").filter(|dir| dir.starts_with('/')).map(PathBuf::from);
    let config = config.or_else(|| around.home.as_ref().map(|home| home.join(".config")));
    let below = |path: &str| around.root.join(path);
    toml_file(&project.join("pyproject.toml"), true, &mut found);
    let uv = [
        (around.variable)("UV_CONFIG_FILE").map(PathBuf::from),
        Some(project.join("uv.toml")),
        config.as_ref().map(|dir| dir.join("uv/uv.toml")),
        Some(below("etc/uv/uv.toml")),
    ];
    uv.into_iter().flatten().for_each(|path| toml_file(&path, false, &mut found));
    let pip = [
        (around.variable)("PIP_CONFIG_FILE").map(PathBuf::from),
        venv.map(|venv| venv.join("pip.conf")),
        config.map(|dir| dir.join("pip/pip.conf")),
        around.home.as_ref().map(|home| home.join(".pip/pip.conf")),
        around.home.as_ref().map(|home| home.join("Library/Application Support/pip/pip.conf")),
        Some(below("etc/xdg/pip/pip.conf")),
        Some(below("etc/pip.conf")),
    ];
    for path in pip.into_iter().flatten() {
        if let Some(text) = small(&path) {
            pip_conf(&text, &path.display().to_string(), &mut found);
        }
    }
    if let Some(main) = &found.main {
        let url = main.url.clone();
        found.extra.retain(|one| one.url != url);
    }
    found
}

/// `name=https://…`, as uv lets people write it.
fn after_name(text: &str) -> &str {
    let text = text.trim();
    match text.split_once('=') {
        Some((name, url)) if !name.contains([':', '/']) => url,
        _ => text,
    }
}

fn small(path: &Path) -> Option<String> {
    let about = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
    (about.len() <= 1 << 20).then(|| std::fs::read(path).ok())?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn toml_file(path: &Path, project: bool, found: &mut Found) {
    let Some(table) = small(path).and_then(|text| text.parse::<Table>().ok()) else { return };
    let origin = path.display().to_string();
    if !project {
        return uv(&Value::Table(table), &origin, found);
    }
    let Some(tool) = table.get("tool") else { return };
    if let Some(table) = tool.get("uv") {
        uv(table, &origin, found);
    }
    for key in [("poetry", "source"), ("pdm", "source")] {
        for source in tool.get(key.0).and_then(|tool| tool.get(key.1)).and_then(Value::as_array).into_iter().flatten() {
            let Some(url) = source.get("url").and_then(Value::as_str) else { continue };
            match source.get("priority").and_then(Value::as_str) {
                Some("supplemental" | "secondary") => found.extra(url, &origin),
                Some("explicit") => {}
                _ if source.get("secondary").and_then(Value::as_bool) == Some(true) => found.extra(url, &origin),
                _ => found.main(url, &origin),
            }
        }
    }
}

/// uv's settings: `index-url`, `extra-index-url`, and tables of `[[index]]`.
fn uv(table: &Value, origin: &str, found: &mut Found) {
    let pip = table.get("pip");
    for table in [Some(table), pip].into_iter().flatten() {
        if let Some(provider) = table.get("keyring-provider").and_then(Value::as_str) {
            found.keyring(provider, origin);
        }
        if let Some(url) = table.get("index-url").and_then(Value::as_str) {
            found.main(url, origin);
        }
        for url in table.get("extra-index-url").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            found.extra(url, origin);
        }
    }
    for index in table.get("index").and_then(Value::as_array).into_iter().flatten() {
        let Some(url) = index.get("url").and_then(Value::as_str) else { continue };
        let is = |key: &str| index.get(key).and_then(Value::as_bool) == Some(true);
        if is("default") {
            found.main(url, origin);
        } else if !is("explicit") {
            found.extra(url, origin);
        }
    }
}

/// pip's file: `index-url` and `extra-index-url` under `[global]`, values going on where a line begins with a blank.
fn pip_conf(text: &str, origin: &str, found: &mut Found) {
    let (mut global, mut key) = (false, String::new());
    for line in text.lines() {
        let bare = line.trim();
        if bare.is_empty() || bare.starts_with(['#', ';']) {
            continue;
        }
        let value = if let Some(section) = bare.strip_prefix('[') {
            global = section.trim_end_matches(']').trim().eq_ignore_ascii_case("global");
            key.clear();
            continue;
        } else if line.starts_with([' ', '\t']) && !key.is_empty() {
            bare
        } else {
            let Some(at) = bare.find(['=', ':']) else { continue };
            key = bare[..at].trim().to_ascii_lowercase().replace('_', "-");
            bare[at + 1..].trim()
        };
        match key.as_str() {
            "index-url" if global => found.main(value, origin),
            "keyring-provider" if global => found.keyring(value, origin),
            "extra-index-url" if global => value.split_whitespace().for_each(|url| found.extra(url, origin)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn put(root: &Path, name: &str, text: &str) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn look(root: &Path, variables: &[(&str, &str)]) -> Found {
        let variable = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let around = Surroundings { variable: &variable, home: Some(root.join("home")), root: root.join("root") };
        find(&around, &root.join("project"), Some(&root.join("venv")))
    }

    fn main(found: &Found) -> &str {
        found.main.as_ref().map_or("", |named| named.url.as_str())
    }

    #[test]
    fn the_nearest_setting_wins() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        assert_eq!(look(root, &[]), Found::default());
        let steps = [
            ("root/etc/pip.conf", "[global]\nindex-url = https://index.example/system\nextra-index-url =\n  https://a.example/\n  https://b.example/\n"),
            ("home/.config/pip/pip.conf", "[install]\nindex-url=https://index.example/not\n[global]\nindex_url: https://index.example/user\n"),
            ("venv/pip.conf", "# mine\n[global]\nindex-url=https://index.example/venv"),
            ("home/.config/uv/uv.toml", "index-url = \"https://index.example/uv\"\n[[index]]\nurl = \"https://c.example/\"\n"),
            ("project/pyproject.toml", "[[tool.uv.index]]\nurl = \"https://index.example/project\"\ndefault = true\n"),
        ];
        for (name, text) in steps {
            put(root, name, text);
            let expected = text.split("https://index.example/").last().unwrap().split(['"', '\n']).next().unwrap();
            assert!(main(&look(root, &[])).ends_with(expected), "{name}");
        }
        let found = look(root, &[]);
        let extra: Vec<&str> = found.extra.iter().map(|named| named.url.as_str()).collect();
        assert_eq!(extra, ["https://c.example/", "https://a.example/", "https://b.example/"]);
        let found = look(root, &[("UV_DEFAULT_INDEX", "mine=https://index.example/uv-env"), ("PIP_INDEX_URL", " https://me:hush@index.example/env ")]);
        assert_eq!(main(&found), "https://me:hush@index.example/env");
        assert!(!format!("{found:?}").contains("hush"));
        assert_eq!(main(&look(root, &[("PIP_INDEX_URL", "https://${TOKEN}@index.example/")])), "https://index.example/project");
    }

    #[test]
    fn a_keyring_is_asked_where_pip_or_uv_would() {
        let dir = tempfile::tempdir().unwrap();
        let of = |variables: &[(&str, &str)]| look(dir.path(), variables).keyring.map(|keyring| keyring.asked);
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[("UV_KEYRING_PROVIDER", "subprocess")]), Some(true));
        assert_eq!(of(&[("PIP_KEYRING_PROVIDER", "auto")]), Some(false));
        put(dir.path(), "home/.config/pip/pip.conf", "[global]\nkeyring-provider = import\n");
        assert_eq!(of(&[]), Some(true));
        put(dir.path(), "project/pyproject.toml", "[tool.uv]\nkeyring-provider = \"disabled\"\n");
        assert_eq!(of(&[]), Some(false), "the nearest setting wins");
    }

    #[test]
    fn poetry_sources_have_priorities_and_damage_is_absence() {
        let dir = tempfile::tempdir().unwrap();
        put(
            dir.path(),
            "project/pyproject.toml",
            "[[tool.poetry.source]]\nname = \"a\"\nurl = \"https://a.example/\"\npriority = \"supplemental\"\n[[tool.poetry.source]]\nname = \"b\"\nurl = \"https://b.example/\"\n[[tool.poetry.source]]\nurl = \"https://c.example/\"\npriority = \"explicit\"\n",
        );
        let found = look(dir.path(), &[]);
        assert_eq!((main(&found), found.extra.len()), ("https://b.example/", 1));
        put(dir.path(), "project/pyproject.toml", "[[tool.poetry.source\nurl = ");
        put(dir.path(), "venv/pip.conf", "\u{0}[global\nindex-url\n = x");
        assert_eq!(look(dir.path(), &[]), Found::default());
    }
}
