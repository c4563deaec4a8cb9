//! Whole drills of a small repository: a folder of SQLite dumps, archives and PostgreSQL dumps, restored by copying.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::backups::{CheckConfig, DrillConfig, Entry, Restored};
use crate::domain::{Copy, SourceError};
use crate::io::clock;
use crate::io::exec::{self, Limits, Program};
use crate::sources::BoxFuture;

/// Every file of a folder is a copy; one is restored by copying it.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) dir: PathBuf,
    pub(crate) drill: DrillConfig,
    /// So long a restore takes at least.
    pub(crate) takes: Duration,
    /// A restore gives a tree of files, not one dump.
    pub(crate) tree: bool,
}

impl crate::backups::Repository for Folder {
    fn drill(&self) -> DrillConfig {
        self.drill.clone()
    }

    fn check_plan(&self) -> Option<CheckConfig> {
        Some(CheckConfig::default())
    }

    fn copies(&self) -> BoxFuture<'_, Result<Vec<Copy>, SourceError>> {
        Box::pin(async {
            let entries = fs::read_dir(&self.dir).map_err(|error| SourceError::missing(error.to_string(), "look"))?;
            let copy = |entry: fs::DirEntry| {
                let about = entry.metadata().unwrap();
                Copy { name: entry.file_name().into_string().unwrap(), at: about.modified().unwrap().into(), size_bytes: Some(about.len()), ..Copy::default() }
            };
            Ok(entries.map(|entry| copy(entry.unwrap())).collect())
        })
    }

    fn files<'a>(&'a self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<Vec<Entry>, SourceError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn restore<'a>(&'a self, copy: &'a Copy, into: &'a Path) -> BoxFuture<'a, Result<Restored, SourceError>> {
        Box::pin(async move {
            tokio::time::sleep(self.takes).await;
            let to = into.join(&copy.name);
            fs::copy(self.dir.join(&copy.name), &to).map_err(|error| SourceError::protocol(error.to_string()))?;
            Ok(if self.tree { Restored::Files } else { Restored::Dump(to) })
        })
    }

    fn check(&self) -> BoxFuture<'_, Result<crate::domain::Check, SourceError>> {
        Box::pin(async { Ok(crate::domain::Check { at: clock::now(), ok: true, depth: "structure only".into(), message: String::new() }) })
    }

    fn by_hand(&self, _: &Copy) -> String {
        "cp".into()
    }

    fn protects(&self) -> Vec<PathBuf> {
        vec![self.dir.clone()]
    }
}

/// A whole drill of a data set of a real tool.
pub(crate) async fn drilled(repository: Arc<dyn crate::backups::Repository>, base: &Path, scratch: &Path) -> Result<Drill, Broken> {
    let order = Order {
        source: SourceId::parse("shop/tool/main").unwrap(),
        job: Job::Drill,
        repository,
        copy: None,
        base: base.to_owned(),
        work: base.join("work"),
        redact: Vec::new(),
    };
    let record = begun(&order, "run", "ana", clock::now());
    let outcome = carry_out(&order, &record, &CancellationToken::new(), &mut |_| {}).await;
    assert!(!scratch.exists() || fs::read_dir(scratch).unwrap().count() == 0, "the scratch place is still there");
    match outcome.result? {
        Evidence::Drill(drill) => Ok(*drill),
        other @ Evidence::Check(_) => panic!("{other:?}"),
    }
}

/// A place for one test.
struct Here {
    dir: tempfile::TempDir,
}

impl Here {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("copies")).unwrap();
        // Servers of another user work below it.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self { dir }
    }

    fn copies(&self) -> PathBuf {
        self.dir.path().join("copies")
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.copies().join(name), bytes).unwrap();
    }

    fn order(&self, keys: &str, with: impl FnOnce(&mut Folder)) -> Order {
        let mut drill: DrillConfig = toml::from_str(keys).unwrap();
        drill.scratch.get_or_insert_with(|| "scratch".to_owned());
        let mut folder = Folder { dir: self.copies(), drill, takes: Duration::ZERO, tree: false };
        with(&mut folder);
        Order {
            source: SourceId::parse("shop/files/db").unwrap(),
            job: Job::Drill,
            repository: Arc::new(folder),
            copy: None,
            base: self.dir.path().to_owned(),
            work: self.dir.path().join("work"),
            redact: Vec::new(),
        }
    }

    async fn run(&self, order: &Order) -> Outcome {
        self.run_until(order, &CancellationToken::new()).await
    }

    async fn run_until(&self, order: &Order, stop: &CancellationToken) -> Outcome {
        let record = begun(order, "run", "ana", clock::now());
        carry_out(order, &record, stop, &mut |_| {}).await
    }

    async fn drill(&self, order: &Order) -> Drill {
        match self.run(order).await.result {
            Ok(Evidence::Drill(drill)) => *drill,
            other => panic!("no drill: {other:?}"),
        }
    }

    /// Nothing is left of a drill, and the repository is as it was.
    fn is_clean(&self) {
        assert!(!self.dir.path().join("scratch").exists(), "the scratch place is still there");
        let marks = fs::read_dir(self.dir.path().join("work/drills")).unwrap().filter(|entry| entry.as_ref().unwrap().path().join("begun.json").exists());
        assert_eq!(marks.count(), 0);
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// A dump of SQLite as text, whose newest order is a few minutes old.
fn dump(rows: u32) -> String {
    let mut text = "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE orders (id INTEGER, created TEXT);\n".to_owned();
    let at = (clock::now() - chrono::TimeDelta::minutes(5)).format("%Y-%m-%d %H:%M:%S");
    for row in 0..rows {
        text.push_str(&format!("INSERT INTO orders VALUES({row},'{at}');\n"));
    }
    text + "COMMIT;\n"
}

const SQLITE: &str = "assert.tables = [\"orders\"]\nassert.rows = { orders = 100 }\nassert.newest = { \"orders.created\" = \"1h\" }\n\
    assert.command = [\"sh\", \"-c\", \"test -f \\\"$ROUNDS_DRILL_DATABASE\\\" && pwd\"]";

#[tokio::test]
async fn a_good_copy_is_restored_measured_and_taken_away() {
    let here = Here::new();
    here.put("db.sql.gz", &gzip(&dump(150)));
    let drill = here.drill(&here.order(SQLITE, |_| {})).await;
    assert!(drill.ok, "{drill:#?}");
    let names: Vec<&str> = drill.assertions.iter().map(|assertion| assertion.name.as_str()).collect();
    assert_eq!(names.len(), 6, "{names:?}");
    assert_eq!(drill.assertions[3].seen, "150");
    assert_eq!(drill.phases.iter().map(|(phase, _)| phase.as_str()).collect::<Vec<_>>(), ["restore", "load", "assert", "clean"]);
    assert_eq!((drill.copy.as_deref(), drill.problem), (Some("db.sql.gz"), None));
    here.is_clean();
    assert_eq!(fs::read_dir(here.copies()).unwrap().count(), 1);
}

#[tokio::test]
async fn what_does_not_hold_is_told_and_cleaned_too() {
    let here = Here::new();
    here.put("db.sql.gz", &gzip(&dump(7)));
    let drill = here.drill(&here.order(SQLITE, |_| {})).await;
    assert_eq!((drill.ok, drill.problem.as_deref()), (false, Some("rows of orders at least 100: 7")));
    assert_eq!(drill.assertions.iter().filter(|assertion| assertion.ok).count(), 5);
    here.put("db.sql.gz", &gzip(&dump(7))[..90]);
    let drill = here.drill(&here.order(SQLITE, |_| {})).await;
    assert!(!drill.ok && drill.problem.as_deref().unwrap().contains("gzip does not unpack"), "{drill:?}");
    let refused = here.run(&here.order(SQLITE, |folder| folder.dir = "/no/such".into())).await.result.unwrap_err();
    assert!(refused.to_string().starts_with("the copies could not be listed"), "{refused}");
    here.is_clean();
}

#[tokio::test]
async fn a_tree_of_files_is_looked_at_without_a_database() {
    let here = Here::new();
    here.put("db.sql.gz", &gzip(&dump(7)));
    let order = here.order("into = \"files\"\nassert.files = [\"*.gz\", \"gone\"]", |folder| folder.tree = true);
    let drill = here.drill(&order).await;
    assert_eq!(drill.problem.as_deref(), Some("gone is there and not empty: no such file"));
    assert_eq!(drill.phases.iter().map(|(phase, _)| phase.as_str()).collect::<Vec<_>>(), ["restore", "assert", "clean"]);
    here.is_clean();
}

#[tokio::test]
async fn it_refuses_what_is_no_scratch_place_and_what_does_not_fit() {
    let here = Here::new();
    here.put("db.sql.gz", &gzip(&dump(7)));
    let refused = async |keys: &str| here.run(&here.order(keys, |_| {})).await.result.unwrap_err().to_string();
    assert!(refused("scratch = \"copies\"").await.contains("which a drill must not touch"));
    assert!(refused("scratch = \"copies/new\"").await.contains("is inside"));
    assert!(refused("scratch = \".\"").await.contains("holds"));
    let mut order = here.order("", |_| {});
    order.copy = Some("older".into());
    assert!(here.run(&order).await.result.unwrap_err().to_string().contains("no good copy \"older\""));
    assert_eq!(fs::read_dir(here.copies()).unwrap().count(), 1);
    here.is_clean();
}

#[tokio::test]
async fn a_second_one_does_not_start_and_a_stopped_one_leaves_nothing() {
    let here = Here::new();
    here.put("db.sql.gz", &gzip(&dump(7)));
    let order = here.order("", |folder| folder.takes = Duration::from_secs(600));
    let stop = CancellationToken::new();
    let second = async {
        let scratch = here.dir.path().join("scratch");
        while fs::read_dir(&scratch).map_or(0, Iterator::count) == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let refused = here.run(&here.order("", |_| {})).await.result.unwrap_err().to_string();
        let mut check = here.order("", |_| {});
        check.job = Job::Check;
        let checked = here.run(&check).await.result;
        stop.cancel();
        (refused, checked)
    };
    let (first, (refused, checked)) = tokio::join!(here.run_until(&order, &stop), second);
    assert_eq!(first.result, Err(Broken::Stopped));
    assert!(refused.contains("runs already"), "{refused}");
    assert!(checked.unwrap_err().to_string().contains("runs already"));
    here.is_clean();
    // Afterwards both may.
    assert!(here.drill(&here.order("", |_| {})).await.ok);
    let mut check = here.order("", |_| {});
    check.job = Job::Check;
    assert_eq!(here.run(&check).await.result.unwrap().words(), "well: structure only");
    here.is_clean();
}

#[tokio::test]
async fn what_a_killed_one_left_is_taken_away_by_the_next() {
    let here = Here::new();
    here.put("db.sql.gz", &gzip(&dump(7)));
    let order = here.order("", |folder| folder.takes = Duration::from_secs(600));
    let scratch = here.dir.path().join("scratch");
    {
        let stop = CancellationToken::new();
        let killed = here.run_until(&order, &stop);
        tokio::pin!(killed);
        while fs::read_dir(&scratch).map_or(0, Iterator::count) == 0 {
            let _ = tokio::time::timeout(Duration::from_millis(20), &mut killed).await;
        }
        // Dropped in the middle of it, as when the process dies.
    }
    assert_eq!(fs::read_dir(&scratch).unwrap().count(), 1);
    let outcome = here.run(&here.order("", |_| {})).await;
    assert!(outcome.result.is_ok_and(|evidence| evidence.ok()));
    let closed = outcome.closed.unwrap();
    assert!(matches!(closed.kind, TransitionKind::Action { ended: Some(ActionEnd { ok: false, .. }), .. }), "{closed:?}");
    assert_eq!(fs::read_dir(&scratch).map_or(0, Iterator::count), 0, "both are gone");
}

#[tokio::test]
async fn a_limit_ends_it() {
    let here = Here::new();
    here.put("db.sql.gz", &gzip(&dump(7)));
    let drill = here.drill(&here.order("timeout = \"1s\"", |folder| folder.takes = Duration::from_secs(600))).await;
    assert!(!drill.ok && drill.problem.unwrap().contains("did not end within"));
    here.is_clean();
}

/// The programs of PostgreSQL, or why the test is skipped.
fn postgres_here() -> Option<PathBuf> {
    match postgres::programs(None) {
        Ok(bin) => Some(bin),
        Err(said) => {
            assert!(std::env::var_os("ROUNDS_REQUIRE_TOOLS").is_none(), "{said}");
            eprintln!("skipped: {said}");
            None
        }
    }
}

fn postgres_dump() -> String {
    let newest = clock::now() - chrono::TimeDelta::minutes(5);
    format!(
        "--\n-- PostgreSQL database dump\n--\n\nSET client_encoding = 'UTF8';\nCREATE TABLE public.orders (\n    id integer NOT NULL,\n    created timestamp with time zone\n);\n\
         ALTER TABLE public.orders OWNER TO \"shop-owner\";\nCOPY public.orders (id, created) FROM stdin;\n1\t2026-01-01 00:00:00+00\n2\t{newest}\n\\.\n\n\
         GRANT SELECT ON TABLE public.orders TO reader;\n--\n-- PostgreSQL database dump complete\n--\n\n"
    )
}

const POSTGRES: &str = "assert.tables = [\"orders\"]\nassert.rows = { \"public.orders\" = 2 }\nassert.newest = { \"orders.created\" = \"1h\" }";

#[tokio::test]
async fn a_dump_is_loaded_into_a_throw_away_server() {
    if postgres_here().is_none() {
        return;
    }
    let here = Here::new();
    here.put("db.sql.gz", &gzip(&postgres_dump()));
    let drill = here.drill(&here.order(POSTGRES, |_| {})).await;
    assert!(drill.ok, "{drill:#?}");
    assert_eq!(drill.assertions.len(), 4);
    here.is_clean();
    // One that reaches for the shell is loaded nowhere.
    here.put("db.sql.gz", &gzip(&postgres_dump().replace("SET client", "\\! touch /tmp/rounds-drill-was-here\nSET client")));
    let drill = here.drill(&here.order(POSTGRES, |_| {})).await;
    assert!(!drill.ok && drill.problem.as_deref().unwrap().contains("\\!, which no dump does"), "{drill:?}");
    // What fails in the middle is told in the server's words.
    here.put("db.sql.gz", &gzip(&postgres_dump().replace("2\t2026", "x\t2026").replace("\n2\t", "\nx\t")));
    let drill = here.drill(&here.order(POSTGRES, |_| {})).await;
    assert!(drill.problem.as_deref().unwrap().contains("invalid input syntax for type integer"), "{drill:?}");
    here.is_clean();
}

/// A server that stands for a person's own, on a socket in a folder.
async fn own_server(here: &Here) -> (postgres::Database, String) {
    let home = here.dir.path().join("own");
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o755)).unwrap();
    let database = postgres::start(&home, postgres::Data::New, None, None).await.unwrap();
    let address = format!("postgres:///postgres?host={}&port=5432&user=rounds", home.join("pg/s").display());
    (database, address)
}

#[tokio::test]
async fn a_scratch_database_on_a_persons_server_comes_and_goes() {
    let Some(bin) = postgres_here() else { return };
    let here = Here::new();
    let (own, address) = own_server(&here).await;
    own.ask("CREATE DATABASE shop").await.unwrap();
    let keys = format!("server = \"{address}\"\n{POSTGRES}");
    here.put("a.sql", postgres_dump().as_bytes());
    let drill = here.drill(&here.order(&keys, |_| {})).await;
    assert!(drill.ok, "roles of another server are no fault of the copy: {drill:#?}");
    // The dump of a whole server would drop and make databases by name.
    here.put("a.sql", postgres_dump().replace("SET client", "DROP DATABASE shop;\n\\connect postgres\nSET client").as_bytes());
    let drill = here.drill(&here.order(&keys, |_| {})).await;
    assert!(!drill.ok && drill.problem.as_deref().unwrap().contains("reaches beyond one database"), "{drill:?}");
    // A dump in pg_dump's own format, of a database with the same names.
    own.ask("CREATE TABLE orders (id integer, created timestamptz)").await.unwrap();
    own.ask("INSERT INTO orders VALUES (1, now()), (2, now())").await.unwrap();
    let custom = here.copies().join("a.sql");
    let argv = ["-h".to_owned(), here.dir.path().join("own/pg/s").display().to_string(), "-U".into(), "rounds".into(), "-Fc".into(), "-f".into()];
    let argv = [vec![bin.join("pg_dump").display().to_string()], argv.to_vec(), vec![custom.display().to_string(), "postgres".into()]].concat();
    let made = exec::run(&Program::new(argv), Limits::within(Duration::from_secs(60))).await.unwrap();
    assert!(made.ending.success(), "{}", made.last_error_line());
    let drill = here.drill(&here.order(&keys, |_| {})).await;
    assert!(drill.ok, "{drill:#?}");
    let names = own.ask("SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database").await.unwrap();
    assert_eq!(names, "postgres shop template0 template1", "nothing is left on the server");
    here.is_clean();
    drop(own.end().await);
}

#[tokio::test]
async fn a_restored_server_without_a_known_role_lets_a_drill_in() {
    if postgres_here().is_none() {
        return;
    }
    let here = Here::new();
    let (own, _) = own_server(&here).await;
    own.ask("CREATE TABLE orders (id integer)").await.unwrap();
    own.end().await;
    let scratch = here.dir.path().canonicalize().unwrap().join("scratch");
    let data = scratch.join("copy/data");
    fs::create_dir_all(scratch.join("copy")).unwrap();
    fs::rename(here.dir.path().join("own/pg/data"), &data).unwrap();
    // Its only role is `rounds`, which a drill cannot know.
    let mut restored = postgres::start(&scratch, postgres::Data::Restored(data), None, None).await.unwrap();
    restored.choose(&["orders"]).await.unwrap();
    assert_eq!(restored.rows("orders").await, Ok(0));
    restored.end().await;
}
