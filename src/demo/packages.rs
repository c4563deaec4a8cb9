//! The demonstration's packages: for each site a manifest, an environment as installers leave it, and what the index holds.
//!
//! An environment is only the files that tell what is installed. What the index holds can be installed, though, and each project has a
//! test, so that an upgrade can be tried in it. What does not belong here: the server (`index`), the bytes of a wheel (`wheels`), reading
//! any of it back (`packages`).

use std::fs;
use std::path::Path;

use super::advisories::Shelf;
use super::index::{Catalogue, Page, Release};
use super::{Error, wheels, write_new};
use crate::domain::Timestamp;
use crate::packages::life::dates;

/// Moves a version in `requirements.txt`, as `upgrade` of the configuration.
const LOCK: &str = r#""""Moves one version of requirements.txt, as pip-compile would. `rounds upgrade` runs it in a copy."""
import re, sys

name, version = sys.argv[1:]
with open("requirements.txt") as file:
    text, count = re.subn(rf"(?im)^({re.escape(name)}==)\S+", rf"\g<1>{version}", file.read())
if not count:
    sys.exit(f"{name} is not in requirements.txt")
with open("requirements.txt", "w") as file:
    file.write(text)
"#;
/// The shop's own package, which no index has: its wheel is in the project.
const OWN: &str = "teapot-labels";

/// One site's packages.
#[derive(Debug, Clone, Copy)]
pub struct Project {
    /// Its folder below the demonstration's directory, which has `requirements.txt`, what it was made of, and `venv`.
    pub folder: &'static str,
    /// The interpreter of its environment.
    python: &'static str,
    /// What a person asks for: `requirements.in`.
    declared: &'static str,
    /// `requirements.txt`.
    locked: &'static str,
    /// Its test.
    check: &'static str,
    /// Name, version, what it asks of others.
    installed: &'static [(&'static str, &'static str, &'static [&'static str])],
}

/// The shop's and the blog's.
pub const PROJECTS: [Project; 2] = [
    Project {
        folder: "shop",
        python: "3.12.7",
        declared: "# What the shop stands on. Page 6 and `rounds deps` compare it with venv/ beside it and with the index.\n\
                   \n\
                   Django>=5.2,<5.3\n\
                   celery>=5.5,<6\n\
                   gunicorn\n\
                   pillow==11.3.0          # the next major version drops a format that the catalogue needs\n\
                   psycopg>=3.2\n\
                   redis>=5\n\
                   tea-weights>=0.3b1      # has only pre-releases so far\n\
                   teapot-labels==1.4.0    # the shop's own: this index does not know it\n",
        locked: "# What is deployed: requirements.in with all that it brings along. lock.py moves a version.\n\
                 --find-links wheels\n\
                 Django==5.2.15    # via -r requirements.in\n\
                 celery==5.5.3    # via -r requirements.in\n\
                 gunicorn==25.0.1    # via -r requirements.in\n\
                 pillow==11.3.0    # via -r requirements.in\n\
                 psycopg==3.2.9    # via -r requirements.in\n\
                 redis==5.2.1    # via -r requirements.in\n\
                 tea-weights==0.3b1    # via -r requirements.in\n\
                 teapot-labels==1.4.0    # via -r requirements.in\n\
                 asgiref==3.11.0    # via django\n\
                 kombu==5.6.2    # via celery\n\
                 sqlparse==0.5.5    # via django\n",
        check: "\"\"\"The shop's tests, as small as can be. `rounds upgrade` runs them in a copy.\"\"\"\n\
                import celery, django, gunicorn, pillow, psycopg, redis, tea_weights, teapot_labels\n\
                \n\
                assert django.__version__.startswith(\"5.2.\"), \"the templates are written for Django 5.2\"\n\
                assert pillow.__version__.startswith(\"11.\"), \"the catalogue needs a format that this one dropped\"\n\
                print(\"the shop's tests pass with Django\", django.__version__)\n",
        installed: &[
            ("Django", "5.2.15", &["asgiref>=3.8.1,<4", "sqlparse>=0.3.1"]),
            ("asgiref", "3.11.0", &[]),
            ("celery", "5.5.3", &["kombu>=5.5.2,<5.7", "redis<6,>=4.5.2"]),
            ("gunicorn", "25.0.1", &[]),
            ("kombu", "5.6.2", &[]),
            ("pillow", "11.3.0", &[]),
            ("psycopg", "3.2.9", &[]),
            ("redis", "5.2.1", &[]),
            ("sqlparse", "0.5.5", &[]),
            ("tea-weights", "0.3b1", &[]),
            ("teapot-labels", "1.4.0", &[]),
        ],
    },
    Project {
        folder: "blog",
        python: "3.10.14",
        declared: "# What the blog stands on.\n\
                   \n\
                   Django<5\n\
                   markdown-x>=3.8\n\
                   whitenoise\n",
        locked: "# What is deployed: requirements.in with all that it brings along. lock.py moves a version.\n\
                 \n\
                 Django==4.2.30    # via -r requirements.in\n\
                 markdown-x==3.8.1    # via -r requirements.in\n\
                 whitenoise==6.9.0    # via -r requirements.in\n\
                 asgiref==3.11.0    # via django\n\
                 sqlparse==0.5.5    # via django\n",
        check: "\"\"\"The blog's tests. `rounds upgrade` runs them in a copy.\"\"\"\n\
                import django, markdown_x, whitenoise\n\
                \n\
                print(\"the blog's tests pass with markdown-x\", markdown_x.__version__)\n",
        installed: &[
            ("Django", "4.2.30", &["asgiref>=3.6.0,<4", "sqlparse>=0.3.1"]),
            ("asgiref", "3.11.0", &[]),
            ("markdown-x", "3.8.1", &[]),
            ("sqlparse", "0.5.5", &[]),
            ("whitenoise", "6.9.0", &[]),
        ],
    },
];

/// What the index holds: name, version, days since it came, what it asks of the interpreter, why it was withdrawn.
const RELEASES: &[(&str, &str, i64, &str, Option<&str>)] = &[
    ("asgiref", "3.11.0", 300, ">=3.9", None),
    ("celery", "5.5.3", 420, ">=3.8", None),
    ("celery", "5.6.2", 30, ">=3.9", None),
    ("django", "4.2.30", 230, ">=3.8", None),
    ("django", "5.2.15", 80, ">=3.10", None),
    ("django", "5.2.18", 16, ">=3.10", None),
    ("django", "5.2.19", 4, ">=3.10", None),
    ("django", "6.1.2", 34, ">=3.12", None),
    ("django", "6.1.3", 4, ">=3.12", None),
    ("gunicorn", "25.0.1", 90, ">=3.10", None),
    ("gunicorn", "25.0.3", 12, ">=3.10", None),
    ("kombu", "5.6.2", 120, ">=3.9", None),
    ("markdown-x", "3.8.1", 61, ">=3.9", Some("escapes links twice")),
    ("markdown-x", "3.8.2", 40, ">=3.9", None),
    ("pillow", "11.3.0", 500, ">=3.9", None),
    ("pillow", "12.2.0", 51, ">=3.10", None),
    ("psycopg", "3.2.9", 560, ">=3.8", None),
    ("psycopg", "3.3.1", 9, ">=3.10", None),
    ("redis", "5.2.1", 700, ">=3.8", None),
    ("redis", "7.1.0", 72, ">=3.10", None),
    ("sqlparse", "0.5.5", 200, ">=3.8", None),
    ("tea-weights", "0.3b1", 150, ">=3.10", None),
    ("tea-weights", "0.4rc1", 17, ">=3.10", None),
    ("whitenoise", "6.9.0", 640, ">=3.9", None),
    ("whitenoise", "6.11.0", 65, ">=3.9", None),
];

/// What a package asks of others, in all of its releases.
fn requires(name: &str) -> &'static [&'static str] {
    let all = PROJECTS.iter().flat_map(|project| project.installed);
    all.filter(|(one, ..)| one.eq_ignore_ascii_case(name)).map(|(.., requires)| *requires).next().unwrap_or_default()
}

/// What the index answers, with times that suit `now`.
pub fn catalogue(now: Timestamp) -> Catalogue {
    let notes = NOTES.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let mut catalogue = Catalogue { notes, ..Catalogue::default() };
    for (name, version, days, python, yanked) in RELEASES {
        let at = now - chrono::Duration::days(*days);
        let release = Release {
            at: Some(at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)),
            requires_python: Some((*python).to_owned()),
            yanked: yanked.map(str::to_owned),
            ..Release::new(version)
        };
        catalogue.wheels.insert(wheels::file(name, version), wheels::make(name, version, requires(name), python));
        let page = catalogue.pages.entry((*name).to_owned()).or_insert_with(|| Page::Releases(Vec::new(), None));
        if let Page::Releases(releases, _) = page {
            releases.push(release);
        }
    }
    catalogue
}

/// What the projects say of their releases.
const NOTES: &[(&str, &str)] = &[
    (
        "django",
        "# Release notes\n\n## 6.1.3\n- Fixed a crash in the admin's date hierarchy.\n\n## 6.1\n### Features removed in 6.1\n- `django.utils.itercompat` is gone.\n- Dropped support for Python 3.11.\n\n## 5.2.19\n- Fixed a regression in `QuerySet.union()`.\n\n## 5.2.18\n- CVE-2026-48001: denial of service in `Truncator` with long HTML.\n- CVE-2026-48002: log injection through the request path.\n\n## 5.2.17\n- Fixed a crash in the admin.\n",
    ),
    (
        "redis",
        "# Changes\n\n## 7.1.0\n- `Redis.from_url()` no longer takes `charset`.\n- The `hiredis` extra is deprecated.\n\n## 6.0.0\n- Breaking: asynchronous locks are released with their connection.\n",
    ),
    (
        "celery",
        "Changes\n=======\n\n5.6.2\n-----\n\n* Workers end their warm shutdown in time.\n\n5.6.0\n-----\n\n* Task results may have a time of their own.\n",
    ),
    ("psycopg", "# psycopg\n\n## 3.3.1\n- Fixed a leak of prepared statements.\n"),
];

/// What the service of advisories knows: name, ids, what it is, vector, the run of affected versions, days since it was made known.
type Weakness = (&'static str, [&'static str; 2], &'static str, &'static str, [&'static str; 2], i64);
const WEAKNESSES: &[Weakness] = &[
    (
        "django",
        ["GHSA-5v2x-9f3q-pp2c", "CVE-2026-48001"],
        "denial of service in Truncator with long HTML",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H",
        ["5.2", "5.2.18"],
        16,
    ),
    (
        "django",
        ["GHSA-9c7m-2r8h-x4vj", "CVE-2026-48002"],
        "log injection through the request path",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:L/A:N",
        ["5.2", "5.2.18"],
        16,
    ),
    (
        "pillow",
        ["GHSA-8ghj-8ffq-7qfm", "CVE-2026-51234"],
        "out of bounds read in a decoder",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N",
        ["0", "12.2.0"],
        51,
    ),
];

/// What the service of advisories answers, with times that suit `now`.
pub fn shelf(now: Timestamp) -> Shelf {
    let record = |(name, [id, alias], summary, vector, [from, fixed], days): &Weakness| {
        let at = (now - chrono::Duration::days(*days)).to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        serde_json::json!({
            "id": id, "aliases": [alias], "modified": at, "published": at, "summary": summary, "schema_version": "1.6.7",
            "severity": [{ "type": "CVSS_V3", "score": vector }],
            "affected": [{
                "package": { "name": name, "ecosystem": "PyPI" },
                "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": from }, { "fixed": fixed }] }],
            }],
            "references": [{ "type": "ADVISORY", "url": format!("https://advisories.example/{id}") }],
        })
    };
    // The dates are those that came with the program: they are facts and no part of the story.
    let dates = ["django", "python", "postgresql"].into_iter().filter_map(|name| Some((name.to_owned(), dates::raw(name)?)));
    Shelf { products: dates.collect(), ..Shelf::of(WEAKNESSES.iter().map(record).collect()) }
}

/// Writes the manifests and the environments below `dir`.
///
/// # Errors
/// When a file is there already or cannot be written.
pub fn write(dir: &Path) -> Result<(), Error> {
    for project in PROJECTS {
        let (folder, venv) = (dir.join(project.folder), dir.join(project.folder).join("venv"));
        let series = project.python.rsplit_once('.').map_or(project.python, |(series, _)| series);
        let site = venv.join(format!("lib/python{series}/site-packages"));
        make(&site)?;
        let files = [("requirements.in", project.declared), ("requirements.txt", project.locked), ("check.py", project.check), ("lock.py", LOCK)];
        for (name, text) in files.into_iter().chain([(".gitignore", "venv/\n")]) {
            write_new(&folder.join(name), text)?;
        }
        for (name, version, _) in project.installed.iter().filter(|(name, ..)| *name == OWN) {
            make(&folder.join("wheels"))?;
            let path = folder.join("wheels").join(wheels::file(name, version));
            fs::write(&path, wheels::make(name, version, &[], "").bytes).map_err(|e| Error::io("write", &path, e))?;
        }
        write_new(&venv.join("pyvenv.cfg"), &format!("home = /usr/bin\ninclude-system-site-packages = false\nversion = {}\n", project.python))?;
        for (name, version, requires) in project.installed {
            let info = site.join(format!("{}-{version}.dist-info", name.to_lowercase().replace('-', "_")));
            make(&info)?;
            let requires: String = requires.iter().flat_map(|one| ["Requires-Dist: ", one, "\n"]).collect();
            write_new(&info.join("METADATA"), &format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}"))?;
            write_new(&info.join("INSTALLER"), "pip\n")?;
            // As pip marks what a person asked for.
            if project.declared.lines().any(|line| line.starts_with(name)) {
                write_new(&info.join("REQUESTED"), "")?;
            }
        }
    }
    Ok(())
}

fn make(folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(|e| Error::io("make the directory", folder, e))
}
