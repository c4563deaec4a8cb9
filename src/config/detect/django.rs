//! Django: `manage.py`, the settings it names, and what stands in them that rounds can use.

use super::python::{self, Token};
use super::{Place, Project, host_of};

/// So many settings files are read in a chain of imports.
const CHAIN: usize = 8;
/// Names of settings for production, the better ones first.
const PRODUCTION: &[&str] = &["production", "prod", "live"];
/// Names that say nothing about a project.
const GENERIC: &[&str] =
    &["config", "conf", "core", "project", "src", "app", "apps", "settings", "mysite", "backend", "server", "web", "django", "code", "site"];

/// What was found of a Django project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Django {
    /// `manage.py`, from the project's folder.
    pub manage: String,
    /// The settings module, `shop.settings.production`.
    pub module: Option<String>,
    /// The settings files, the one that overrules first.
    pub settings: Vec<String>,
    /// Whether the settings are those of production.
    pub production: bool,
    /// The first host of `ALLOWED_HOSTS` that is one.
    pub host: Option<(String, Place)>,
    /// A path that looks like a health endpoint: `health/`.
    pub health: Option<(String, Place)>,
    /// `TIME_ZONE`, when it is a zone.
    pub zone: Option<(String, Place)>,
    /// Log files named in `LOGGING`.
    pub logs: Vec<(String, Place)>,
    /// File handlers of `LOGGING` whose file cannot be told without running the settings.
    pub unread_logs: Vec<Place>,
    /// `INSTALLED_APPS` that are folders of this project.
    pub apps: Vec<String>,
    /// Whether `django_prometheus` is installed.
    pub prometheus: bool,
    /// The Sentry DSN or the variable it comes from.
    pub sentry: Option<(super::sentry::Dsn, Place)>,
}

impl Django {
    /// A name for the site: the package of the settings unless it is a generic one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.module.as_deref().and_then(|module| module.split('.').next()).filter(|name| !GENERIC.contains(name))
    }
}

/// One settings file, read.
struct Settings {
    file: String,
    tokens: Vec<Token>,
}

/// Looks for it.
#[must_use]
pub fn look(project: &Project) -> Option<Django> {
    let (manage, folder) = manage(project)?;
    let mut django = Django { manage: manage.clone(), module: module(project, &manage), ..Django::default() };
    let chain = settings(project, &mut django, &folder);
    django.settings = chain.iter().map(|one| one.file.clone()).collect();
    read(project, &mut django, &chain, &folder);
    Some(django)
}

/// `manage.py` here or in a folder of the project.
fn manage(project: &Project) -> Option<(String, String)> {
    let is_it = |path: &str| project.read(path).is_some_and(|text| text.contains("django") || text.contains("DJANGO_SETTINGS_MODULE"));
    if is_it("manage.py") {
        return Some(("manage.py".to_owned(), String::new()));
    }
    let mut folders = project.names("");
    folders.truncate(200);
    folders.into_iter().map(|folder| (format!("{folder}/manage.py"), format!("{folder}/"))).find(|(path, _)| is_it(path))
}

/// The module that a file names as `DJANGO_SETTINGS_MODULE`.
fn module(project: &Project, file: &str) -> Option<String> {
    let tokens = python::tokens(&project.read(file)?);
    let at = tokens.iter().position(|token| token.text() == Some("DJANGO_SETTINGS_MODULE"))?;
    tokens[at + 1..].iter().take(4).find_map(Token::text).filter(|name| is_module(name)).map(str::to_owned)
}

fn is_module(name: &str) -> bool {
    !name.is_empty() && name.split('.').all(|part| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_'))
}

/// The settings files: those of production if there are some, else those that `manage.py` names; and what they import.
fn settings(project: &Project, django: &mut Django, folder: &str) -> Vec<Settings> {
    let Some(named) = django.module.clone() else { return Vec::new() };
    let mut candidates: Vec<String> = PRODUCTION.iter().map(|name| format!("{named}.{name}")).collect();
    if let Some((package, _)) = named.rsplit_once('.') {
        candidates.extend(PRODUCTION.iter().map(|name| format!("{package}.{name}")));
    }
    let is_production = |module: &str| module.rsplit('.').next().is_some_and(|last| PRODUCTION.contains(&last));
    candidates.push(named);
    let file_of = |module: &str| {
        let path = format!("{folder}{}", module.replace('.', "/"));
        [format!("{path}.py"), format!("{path}/__init__.py")].into_iter().find(|path| project.has(path))
    };
    let Some((module, file)) = candidates.into_iter().find_map(|module| file_of(&module).map(|file| (module, file))) else { return Vec::new() };
    django.production = is_production(&module);
    django.module = Some(module.clone());
    let mut chain: Vec<Settings> = Vec::new();
    let mut wanted = vec![(module, file)];
    while let Some((module, file)) = wanted.pop() {
        if chain.len() >= CHAIN || chain.iter().any(|known| known.file == file) {
            continue;
        }
        let Some(text) = project.read(&file) else { continue };
        let tokens = python::tokens(&text);
        let package =
            if file.ends_with("__init__.py") { module.clone() } else { module.rsplit_once('.').map(|(package, _)| package.to_owned()).unwrap_or_default() };
        let mut found: Vec<(String, String)> = python::statements(&tokens)
            .filter_map(|statement| imported(statement, &package))
            .filter_map(|module| file_of(&module).map(|file| (module, file)))
            .collect();
        // The last import overrules those before it; the stack gives its top first.
        wanted.append(&mut found);
        chain.push(Settings { file, tokens });
    }
    chain
}

/// The module of `from X import *`.
fn imported(statement: &[Token], package: &str) -> Option<String> {
    if !statement.first()?.is_word("from") || !statement.iter().any(|token| token.is_sign('*')) {
        return None;
    }
    let until = statement.iter().position(|token| token.is_word("import"))?;
    let mut dots = 0;
    let mut words = Vec::new();
    for token in &statement[1..until] {
        match token.word() {
            Some(word) => words.push(word),
            None if token.is_sign('.') && words.is_empty() => dots += 1,
            None => {}
        }
    }
    if dots == 0 {
        return Some(words.join("."));
    }
    let mut whole: Vec<&str> = package.split('.').filter(|part| !part.is_empty()).collect();
    for _ in 1..dots {
        whole.pop();
    }
    whole.extend(words);
    Some(whole.join("."))
}

/// A setting from the first file that gives it.
fn setting<'s>(chain: &'s [Settings], name: &str) -> Option<(&'s Settings, usize, &'s [Token])> {
    chain.iter().find_map(|file| python::value(&file.tokens, name).map(|(line, value)| (file, line, value)))
}

fn read(project: &Project, django: &mut Django, chain: &[Settings], folder: &str) {
    for file in chain {
        if django.host.is_none()
            && let Some((line, value)) = python::value(&file.tokens, "ALLOWED_HOSTS")
        {
            let host = value.iter().find_map(|token| Some((real_host(token.text()?)?, token.line)));
            django.host = host.map(|(host, at)| (host, Place::new(&file.file, at.max(line))));
        }
    }
    if let Some((file, line, value)) = setting(chain, "TIME_ZONE") {
        let zone = value.iter().find_map(Token::text).filter(|zone| zone.parse::<chrono_tz::Tz>().is_ok());
        django.zone = zone.map(|zone| (zone.to_owned(), Place::new(&file.file, line)));
    }
    for file in chain {
        for (_, value) in python::value(&file.tokens, "INSTALLED_APPS").into_iter().chain(python::value(&file.tokens, "LOCAL_APPS")) {
            for app in value.iter().filter_map(Token::text) {
                let root = app.split('.').next().unwrap_or_default();
                django.prometheus |= root == "django_prometheus";
                if is_module(app) && project.has_folder(&format!("{folder}{root}")) && !django.apps.iter().any(|known| known == root) {
                    django.apps.push(root.to_owned());
                }
            }
        }
    }
    logs(django, chain);
    django.health = health(project, chain, folder);
    django.sentry = chain.iter().find_map(|file| super::sentry::in_settings(&file.tokens).map(|(dsn, line)| (dsn, Place::new(&file.file, line))));
}

/// A host that can be asked from outside.
fn real_host(text: &str) -> Option<String> {
    let host = host_of(text.trim_start_matches('.'))?;
    let local = host == "localhost" || host.ends_with(".localhost") || host.starts_with("127.") || host == "0.0.0.0" || host == "testserver";
    (!local && host.contains('.')).then_some(host)
}

/// `'filename': …` of the handlers in `LOGGING`.
fn logs(django: &mut Django, chain: &[Settings]) {
    let names = |name: &str| setting(chain, name).map(|(file, _, value)| (file.file.clone(), value.to_vec()));
    let Some((file, _, value)) = setting(chain, "LOGGING") else { return };
    let mut at = 0;
    while at + 2 < value.len() {
        let is_key = matches!(value[at].text(), Some("filename")) && value[at + 1].is_sign(':');
        at += 1;
        if !is_key {
            continue;
        }
        let begin = at + 1;
        let (mut depth, mut end) = (0_usize, begin);
        while let Some(token) = value.get(end) {
            if depth == 0 && (token.is_sign(',') || token.is_sign('}')) {
                break;
            }
            if token.is_sign('(') || token.is_sign('[') || token.is_sign('{') {
                depth += 1;
            } else if token.is_sign(')') || token.is_sign(']') || token.is_sign('}') {
                depth = depth.saturating_sub(1);
            }
            end += 1;
        }
        let place = Place::new(&file.file, value[begin.min(value.len() - 1)].line);
        match python::path(&value[begin..end], &file.file, &names) {
            Some(path) if !django.logs.iter().any(|(known, _)| *known == path) => django.logs.push((path, place)),
            Some(_) => {}
            None => django.unread_logs.push(place),
        }
        at = end;
    }
}

/// A path in the URLs that people call a health endpoint.
fn health(project: &Project, chain: &[Settings], folder: &str) -> Option<(String, Place)> {
    const NAMES: &[&str] =
        &["health", "healthz", "healthcheck", "health-check", "health_check", "ht", "heartbeat", "__heartbeat__", "ping", "status", "livez", "readyz"];
    let urls = setting(chain, "ROOT_URLCONF").and_then(|(_, _, value)| value.iter().find_map(Token::text)).filter(|name| is_module(name))?;
    let file = format!("{folder}{}.py", urls.replace('.', "/"));
    let tokens = python::tokens(&project.read(&file)?);
    let found = tokens.windows(3).find_map(|three| {
        let called = three[0].word().is_some_and(|word| matches!(word, "path" | "re_path" | "url")) && three[1].is_sign('(');
        let route = three[2].text()?.trim_start_matches('^').trim_end_matches('$');
        let plain = route.trim_end_matches('/').trim_end_matches('?');
        (called && NAMES.contains(&plain)).then(|| (route.replace('?', ""), three[2].line))
    })?;
    Some((found.0, Place::new(&file, found.1)))
}
