//! Whole projects on a disk: what is told of them, and that nothing of them leaks, runs or leads away.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::*;
use crate::config::{init, parse, trust::Standing};

fn put(root: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

struct Disk {
    dir: tempfile::TempDir,
}

impl Disk {
    fn new(project: &[(&str, &str)], system: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("work/shop")).unwrap();
        fs::create_dir_all(dir.path().join("system/etc")).unwrap();
        put(&dir.path().join("work/shop"), project);
        put(&dir.path().join("system"), system);
        Self { dir }
    }

    fn root(&self) -> std::path::PathBuf {
        self.dir.path().join("work/shop")
    }

    fn look(&self, variables: &[&str]) -> Detected {
        let variables: BTreeSet<String> = variables.iter().map(|name| (*name).to_owned()).collect();
        detect(&Project::new(&self.root(), &self.dir.path().join("system"), variables).unwrap())
    }
}

const SETTINGS: &str = r#"
from pathlib import Path
import os
BASE_DIR = Path(__file__).resolve().parent.parent.parent
SECRET_KEY = "hunter2-secret-key"
TIME_ZONE = 'Europe/Berlin'
ROOT_URLCONF = 'shop.urls'
LOG_DIR = Path('/var/log/shop')
INSTALLED_APPS = ['django.contrib.admin', 'basket', 'shop.catalogue', 'django_prometheus']
LOGGING = {
    'version': 1,
    'handlers': {
        'file': {'class': 'logging.handlers.WatchedFileHandler', 'filename': LOG_DIR / 'django.log'},
        'sql': {'class': 'logging.FileHandler', 'filename': os.path.join(BASE_DIR, 'logs', 'sql.log'), 'level': 'DEBUG'},
        'mail': {'class': 'logging.FileHandler', 'filename': os.environ['MAIL_LOG']},
    },
}
"#;

const PRODUCTION: &str = r#"
from .base import *
import sentry_sdk
DEBUG = False
ALLOWED_HOSTS = ['localhost', '127.0.0.1', '*', '.shop.example.com']
sentry_sdk.init(dsn="https://feedfacefeedface@o42.ingest.sentry.example/7")
DATABASES = {'default': {'PASSWORD': 'hunter2-database'}}
"#;

fn shop() -> Disk {
    Disk::new(
        &[
            ("manage.py", "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\nraise SystemExit('run')\n"),
            ("shop/settings/__init__.py", "from .base import *\n"),
            ("shop/settings/base.py", SETTINGS),
            ("shop/settings/production.py", PRODUCTION),
            ("shop/urls.py", "urlpatterns = [\n    path('admin/', admin.site.urls),\n    path('health/', include('health_check.urls')),\n]\n"),
            ("basket/apps.py", ""),
            ("requirements.txt", "--extra-index-url https://person:hunter2-index@index.example/private\nDjango==5.2.15\n"),
            ("requirements/dev.txt", ""),
            (".venv/pyvenv.cfg", "home = /usr/bin\nversion = 3.12.4\n"),
            (".venv/lib/python3.12/site-packages/django-5.2.15.dist-info/METADATA", ""),
            (".venv/lib/python3.12/site-packages/asgiref-3.9.0.dist-info/METADATA", ""),
            ("pip.conf", "[global]\nindex-url = https://index.example/simple\n"),
            ("Procfile", "web: gunicorn --env KEY=hunter2-procfile shop.wsgi\nworker: celery\n"),
            ("conf/gunicorn.conf.py", "bind = 'unix:/run/shop.sock'\nerrorlog = '/var/log/shop/gunicorn.log'\naccesslog = '-'\n"),
            (
                "fabfile.py",
                "from fabric import task\n@task\ndef deploy(c):\n    pass\n@task(hosts=['x'])\ndef roll_back(c):\n    pass\ndef helper(c):\n    pass\n",
            ),
            (".env", "RESTIC_REPOSITORY=s3:https://key:hunter2-restic@s3.example/b\nRESTIC_PASSWORD=hunter2-password\nSECRET=hunter2-env\n"),
            ("deploy/crontab", "PGPASSWORD=hunter2-pg\n0 3 * * * PGPASSWORD=hunter2-pg pg_dump shop | gzip > /var/backups/shop-$(date +\\%F).sql.gz\n"),
            (".sentryclirc", "[auth]\ntoken=hunter2-sentry\n[defaults]\nurl=https://sentry.example/\norg=acme\nproject=shop\n"),
            ("package-lock.json", "{}"),
        ],
        &[
            ("etc/supervisor/supervisord.conf", "[unix_http_server]\nfile=/var/run/supervisor.sock ; (socket)\n"),
            (
                "etc/supervisor/conf.d/shop.conf",
                "[program:web]\ncommand=/srv/shop/.venv/bin/gunicorn\nenvironment=KEY=\"hunter2-supervisor\"\nstderr_logfile=/var/log/supervisor/web.log\n",
            ),
            ("etc/supervisor/conf.d/other.conf", "[program:blog]\ncommand=/srv/blog/run\nstderr_logfile=/var/log/blog.log\n"),
            (
                "etc/nginx/sites-enabled/shop",
                "upstream app { server unix:/run/shop.sock; }\nserver { listen 80; server_name other.example; root /srv/blog; }\nserver {\n  listen 443 ssl; # tls\n  server_name shop.example.com;\n  access_log /var/log/nginx/shop.log;\n  location / { proxy_pass http://app; }\n}\n",
            ),
        ],
    )
}

#[test]
fn a_django_project_is_told_without_running_it() {
    let found = shop().look(&[]);
    let django = found.django.as_ref().unwrap();
    assert_eq!((found.kind(), found.name.as_str()), (Some("a Django project"), "shop"));
    assert_eq!(django.settings, ["shop/settings/production.py", "shop/settings/base.py"]);
    assert!(django.production && django.prometheus);
    assert_eq!(django.host, Some(("shop.example.com".into(), Place::new("shop/settings/production.py", 5))));
    assert_eq!(django.health, Some(("health/".into(), Place::new("shop/urls.py", 3))));
    assert_eq!(django.zone.as_ref().unwrap().0, "Europe/Berlin");
    assert_eq!(django.logs.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), ["/var/log/shop/django.log", "logs/sql.log"]);
    assert_eq!(django.unread_logs, [Place::new("shop/settings/base.py", 15)]);
    assert_eq!(django.apps, ["basket", "shop"]);
    let venv = found.venv.unwrap();
    assert_eq!((venv.packages, venv.python.as_deref(), venv.django.as_deref()), (2, Some("3.12.4"), Some("5.2.15")));
    assert_eq!(found.indexes.index, Some(("https://index.example/simple".into(), Place::new("pip.conf", 2))));
    assert_eq!((found.indexes.extra.len(), found.indexes.unread.len()), (0, 1));
    assert_eq!(found.processes.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["web", "worker"]);
    assert_eq!(found.fabfile.unwrap().tasks.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["deploy", "roll_back"]);
    let supervisor = found.supervisor.unwrap();
    assert_eq!((supervisor.programs, supervisor.url), (vec!["web".to_owned()], Some("unix:/var/run/supervisor.sock".to_owned())));
    assert_eq!(found.servers.iter().map(|server| (server.host.as_str(), server.tls)).collect::<Vec<_>>(), [("shop.example.com", true)]);
    let sentry = found.sentry.unwrap();
    assert_eq!((sentry.organization.as_deref(), sentry.project.as_deref(), sentry.token), (Some("acme"), Some("shop"), false));
    assert_eq!(found.backups.dumps[0].0, "/var/backups/shop-*.sql.gz");
    assert_eq!(found.backups.restic.unwrap(), (Place::new(".env", 1), vec!["RESTIC_PASSWORD".to_owned()]));
}

#[test]
fn what_is_written_is_right_says_where_it_is_from_and_holds_no_secret() {
    for (variables, beside) in [(&[][..], true), (&["SENTRY_AUTH_TOKEN"][..], false)] {
        let found = shop().look(variables);
        let set = |name: &str| variables.contains(&name).then(|| "x".to_owned());
        let text = init::text(&found, beside, &set);
        let loaded = parse(text.as_bytes(), Some(Path::new("/srv/shop/rounds.toml")), Standing::Never, &set)
            .unwrap_or_else(|error| panic!("{}\n{text}", error.render(false, 100)));
        let ids: Vec<String> = loaded.config.sources.iter().map(|entry| entry.id.to_string()).collect();
        for id in ["shop/http/home", "shop/log/django", "shop/log/nginx", "shop/files/dump"] {
            assert!(ids.iter().any(|known| known == id), "{id} is not among {ids:?}");
        }
        assert!(loaded.config.sources.iter().all(|entry| entry.config.commands().is_empty()), "something would be run");
        assert!(loaded.warnings.lines().is_empty(), "{:?}", loaded.warnings.lines());
        for secret in ["hunter2", "feedface"] {
            assert!(!text.contains(secret) && !format!("{:?}", found.rows()).contains(secret), "{secret} is in\n{text}");
        }
        for place in ["shop/settings/production.py:5", "shop/urls.py:3", "shop/settings/base.py:13", "deploy/crontab:2", "requirements.txt:1"] {
            assert!(text.contains(place), "{place} is not in\n{text}");
        }
        assert!(text.contains("#[site.shop.action.deploy]"));
        assert_eq!(text.contains("\ndirectory ="), !beside);
    }
}

#[test]
fn an_empty_folder_gives_an_example_that_is_right() {
    let found = Disk::new(&[], &[]).look(&[]);
    assert_eq!(found.kind(), None);
    let text = init::text(&found, true, &|_| None);
    let loaded = parse(text.as_bytes(), None, Standing::Never, &|_| None).unwrap();
    assert_eq!((loaded.config.sites.len(), loaded.config.sources.len()), (1, 0), "{text}");
}

#[test]
fn hostile_content_stays_a_comment_or_a_text() {
    let disk = Disk::new(
        &[
            ("manage.py", "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'p.settings')"),
            (
                "p/settings.py",
                "ALLOWED_HOSTS = ['a.example\"\\n[site.evil.log.x]\\ncommand=[\"sh\"]', 'b.example']\nLOGGING = {'filename': '/x\"\\n[site.evil]\\n\\x1b[2J\u{202e}.log'}\n",
            ),
            ("Procfile", "web\u{1b}[2J: x\n"),
            ("fabfile.py", "def a(): pass\n"),
            ("requirements.txt", "-i https://index.example/\u{1b}[2Jsimple\n"),
        ],
        &[],
    );
    let found = disk.look(&[]);
    let text = init::text(&found, true, &|_| None);
    let loaded = parse(text.as_bytes(), None, Standing::Never, &|_| None).unwrap();
    assert_eq!(loaded.config.sites.iter().map(|site| site.name.as_str()).collect::<Vec<_>>(), ["p"]);
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    assert_eq!(found.django.unwrap().host.unwrap().0, "b.example");
}

#[test]
fn nothing_is_followed_out_of_the_project_and_nothing_holds_it_up() {
    let disk = Disk::new(&[("inside.txt", "x")], &[]);
    let root = disk.root();
    fs::write(disk.dir.path().join("outside.env"), "SENTRY_DSN=https://feedfacefeedface@sentry.example/1\n").unwrap();
    std::os::unix::fs::symlink(disk.dir.path().join("outside.env"), root.join(".env")).unwrap();
    std::os::unix::fs::symlink("/", root.join("conf")).unwrap();
    nix::unistd::mkfifo(&root.join("Procfile"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::write(root.join("manage.py"), [0xff, 0xfe, 0, b'\'', b'(']).unwrap();
    // A settings module may name what it likes.
    fs::write(root.join("fabfile.py"), "def \n@task\n'''".repeat(2_000)).unwrap();
    let found = disk.look(&[]);
    assert!(found.sentry.is_none() && found.processes.is_empty() && found.gunicorn.is_none());
    let project = Project::new(&root, Path::new("/nowhere"), BTreeSet::new()).unwrap();
    assert_eq!(project.read("../../outside.env"), None);
    assert_eq!(project.read("/etc/hostname"), None);
    assert_eq!(project.read_system("/etc/hostname"), None);
    assert!(project.has("inside.txt") && Project::new(&root.join("inside.txt"), Path::new("/"), BTreeSet::new()).is_err());
}

#[test]
fn other_places_of_the_same_things() {
    for (files, check) in [
        (
            vec![
                ("src/manage.py", "DJANGO_SETTINGS_MODULE\nx('DJANGO_SETTINGS_MODULE', 'config.settings')"),
                ("src/config/settings.py", "ALLOWED_HOSTS = env.list('ALLOWED_HOSTS', default=['Shop.Example.org'])"),
            ],
            "shop.example.org",
        ),
        (
            vec![
                ("manage.py", "django; y['DJANGO_SETTINGS_MODULE'] = 'config.settings.local'"),
                ("config/settings/local.py", ""),
                ("config/settings/prod.py", "ALLOWED_HOSTS = ('shop.example.org',)"),
            ],
            "shop.example.org",
        ),
    ] {
        let found = Disk::new(&files, &[]).look(&[]);
        // The package says nothing, so the folder gives the name.
        assert_eq!(found.name, "shop");
        assert_eq!(found.address().unwrap().0, format!("https://{check}"));
    }
    let found = Disk::new(&[("pyproject.toml", "[project]\nname = 'x'\n[[tool.uv.index]]\nurl = 'https://index.example/simple'\ndefault = true\n[[tool.poetry.source]]\nurl = 'https://two.example/simple'\npriority = 'supplemental'\n"), ("uv.lock", ""), ("poetry.lock", "")], &[]).look(&[]);
    assert_eq!(found.kind(), Some("a Python project"));
    assert_eq!(found.manifests[0].path, "uv.lock");
    assert_eq!(found.indexes.index.unwrap().1, Place::new("pyproject.toml", 4));
    assert_eq!(found.indexes.extra[0].0, "https://two.example/simple");
}
