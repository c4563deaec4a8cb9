//! The guarded upgrade of a real Django project: its own tests, `check --deploy` and `makemigrations --check` decide.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use serde_json::Value;

use crate::cli::{code, stderr, stdout};
use crate::upgrade::{Shop, command, fates};

const MANAGE: &str = "import os, sys\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site_settings')\nfrom django.core.management import execute_from_command_line\nexecute_from_command_line(sys.argv)\n";
const SETTINGS: &str = "SECRET_KEY = 'x' * 60\nALLOWED_HOSTS = ['shop.example']\nINSTALLED_APPS = ['stockroom', 'gate', 'bell']\nDATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': ':memory:'}}\nDEFAULT_AUTO_FIELD = 'django.db.models.BigAutoField'\nROOT_URLCONF = 'site_settings'\nurlpatterns = []\n";
const TESTS: &str = "from django.test import TestCase\nfrom stockroom.models import Item\nimport bell\n\nclass Shop(TestCase):\n    def test_items(self):\n        Item.objects.create(name='pot')\n        self.assertEqual(Item.objects.count(), 1)\n        self.assertEqual(bell.SOUND, 'ding')\n";
const REQUIREMENTS: &str = "lender==1.0\nstockroom==1.0\ngate==1.0\nbell==1.0\n";

/// Writes small Django apps as wheels. 1.1 of `stockroom` changes its model without a migration, that of `gate` brings an error of the
/// deployment check, that of `bell` is harmless and 2.0 of it breaks a test. `lender` lends the Django of the tests' environment:
/// installing all of it anew for each step would take minutes.
const WRITE: &str = r#"
import sys, zipfile
folder, lent = sys.argv[1:]
FIELD = "models.CharField(max_length=20)"
MIGRATION = f"from django.db import migrations, models\nclass Migration(migrations.Migration):\n    initial = True\n    operations = [migrations.CreateModel('Item', [('id', models.BigAutoField(primary_key=True, auto_created=True, serialize=False, verbose_name='ID')), ('name', {FIELD})])]\n"
model = lambda more: f"from django.db import models\nclass Item(models.Model):\n    name = {FIELD}\n{more}"
gate = lambda answer: f"from django.apps import AppConfig\nfrom django.core.checks import Error, register\nclass GateConfig(AppConfig):\n    name = 'gate'\n    def ready(self):\n        register(lambda app_configs, **more: {answer}, 'gate', deploy=True)\n"
all = {
    ("lender", "1.0"): {"lender.pth": lent + "\n"},
    ("bell", "1.0"): {"bell/__init__.py": "SOUND = 'ding'\n"},
    ("bell", "1.1"): {"bell/__init__.py": "SOUND = 'ding'\n"},
    ("bell", "2.0"): {"bell/__init__.py": "SOUND = 'dong'\n"},
    ("gate", "1.0"): {"gate/__init__.py": "", "gate/apps.py": gate("[]")},
    ("gate", "1.1"): {"gate/__init__.py": "", "gate/apps.py": gate("[Error('the gate is open', id='gate.E001')]")},
}
for version, more in [("1.0", ""), ("1.1", "    colour = models.CharField(max_length=9, default='red')\n")]:
    all["stockroom", version] = {"stockroom/__init__.py": "", "stockroom/models.py": model(more), "stockroom/migrations/__init__.py": "", "stockroom/migrations/0001_initial.py": MIGRATION}
for (name, version), files in all.items():
    info = f"{name}-{version}.dist-info"
    files |= {f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    with zipfile.ZipFile(f"{folder}/{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
        wheel.writestr(f"{info}/RECORD", "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"]))
"#;

/// Where the tests' Django is, with what it needs; `None`: the test is skipped.
fn django() -> Option<PathBuf> {
    let python = std::env::var_os("ROUNDS_TEST_PYTHON");
    let ask = "import django, asgiref, sqlparse, os; print(os.path.dirname(os.path.dirname(django.__file__)))";
    let found = python.and_then(|python| command(&python.to_string_lossy()).args(["-c", ask]).output().ok()).filter(|output| output.status.success());
    if found.is_none() {
        assert!(std::env::var_os("ROUNDS_REQUIRE_TOOLS").is_none_or(|value| value != "1"), "Django is not installed, and no test may be skipped");
        eprintln!("skipped: no Django in ROUNDS_TEST_PYTHON");
    }
    Some(PathBuf::from(stdout(&found?).trim()))
}

#[test]
fn a_real_django_project_names_who_needs_a_migration_and_who_breaks_the_check() {
    let Some(packages) = django() else { return };
    let files = [("manage.py", MANAGE), ("site_settings.py", SETTINGS), ("tests.py", TESTS), ("requirements.txt", REQUIREMENTS)];
    let Some(shop) = Shop::new(&files, "manifest = \"requirements.txt\"") else { return };
    let lent = shop.place.path().join("lent");
    fs::create_dir(&lent).unwrap();
    for entry in fs::read_dir(&packages).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().to_lowercase();
        if ["django", "asgiref", "sqlparse"].iter().any(|wanted| name == *wanted || name.starts_with(&format!("{wanted}-"))) {
            symlink(entry.path(), lent.join(entry.file_name())).unwrap();
        }
    }
    let made = command("python3").args(["-c", WRITE]).arg(shop.place.path().join("wheels")).arg(&lent).status().unwrap();
    assert!(made.success());
    let config = shop.place.path().join("work/r.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("[\"python\", \"check.py\"]", "[\"python\", \"manage.py\", \"test\"]")).unwrap();

    let run = |more: &[&str]| {
        let output = shop.run(&[&["app", "--yes", "--json"], more].concat());
        let document: Value = serde_json::from_str(&stdout(&output)).unwrap_or_default();
        (output, document)
    };
    let (output, document) = run(&["--all"]);
    assert_eq!(
        fates(&document),
        ["bell 1.1: kept", "gate 1.1: rolled_back", "stockroom 1.1: rolled_back", "bell 2.0: rolled_back"],
        "{document:#} {}",
        stderr(&output)
    );
    let item = |at: usize| format!("{} {}", document["items"][at]["why"], document["items"][at]["output"]);
    assert!(item(1).contains("manage.py check --deploy failed") && item(1).contains("the gate is open"), "{}", item(1));
    assert!(item(2).contains("makemigrations --check") && item(2).contains("colour"), "{}", item(2));
    assert!(item(3).contains("manage.py test failed") && item(3).contains("dong"), "{}", item(3));
    assert_eq!(document["checks"].as_array().map(Vec::len), Some(4), "{document:#}");
    shop.is_clean();

    // A check that is red before anything is changed decides nothing, and that is told.
    let change = |file: &str, from: &str, to: &str| {
        let path = shop.dir().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        fs::write(&path, text.replace(from, to)).unwrap();
        shop.git(&["commit", "--quiet", "--amend", "--no-edit", "--all"]);
    };
    change("site_settings.py", "BigAutoField", "AutoField");
    let (output, document) = run(&["bell==1.1", "gate"]);
    assert_eq!(fates(&document), ["bell 1.1: kept", "gate 1.1: rolled_back"], "{document:#} {}", stderr(&output));
    let notes = document["notes"].to_string();
    assert!(notes.contains("makemigrations --check --dry-run failed before anything was changed"), "{notes}");

    // Red tests tell nothing at all: it ends there.
    change("tests.py", "'ding'", "'clang'");
    let (output, document) = run(&["bell"]);
    let said = format!("{}{}", stderr(&output), document["error"]);
    assert!(code(&output) == 1 && said.contains("manage.py test fails before anything is changed") && said.contains("FAILED (failures=1)"), "{output:?}");
    shop.is_clean();
}
