//! A lock file of 2,000 packages looked at with its advisories, answers of before at hand. `cargo bench --bench deps`.
//!
//! The look is that of a process that just began: it reads what is kept on disk. Goal: under half a second of processor time.

#![expect(clippy::expect_used, reason = "a measurement that cannot go on says where by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use divan::Bencher;
use rounds::demo::advisories::{self, Shelf};
use rounds::demo::index::{self, Catalogue, Counters, Page, Release};
use rounds::domain::{Data, SourceId};
use rounds::sources::python::Config;
use rounds::sources::{BuildContext, Common, SourceConfig};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// Packages of the lock file.
const PACKAGES: usize = 2_000;
/// Releases of each.
const RELEASES: usize = 40;
/// Every so many packages one has two flaws.
const FLAWED: usize = 10;
/// Looks of which one has the processor time told.
const LOOKS: u32 = 20;

fn main() {
    if !std::env::args().any(|arg| arg == "--test" || arg == "--list") {
        processor_time();
    }
    divan::main();
}

fn name(n: usize) -> String {
    format!("package-{n:04}")
}

/// A project with its lock file, and the services that know its packages.
struct Project {
    folder: tempfile::TempDir,
    text: String,
    runtime: Runtime,
    index: Arc<Counters>,
    shelf: Arc<Shelf>,
}

impl Project {
    /// Made, and looked at once, so that everything is kept.
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        let mut lock = "version = 1\n".to_owned();
        let mut direct = Vec::new();
        for n in 0..PACKAGES {
            // One in twenty is asked for by the project, which then asks for the nineteen after it.
            let asks: Vec<String> = if n % 20 == 0 { (n + 1..n + 20).map(|n| format!("{{ name = \"{}\" }}", name(n))).collect() } else { Vec::new() };
            if n % 20 == 0 {
                direct.push(format!("\"{}\"", name(n)));
            }
            let (name, asks) = (name(n), asks.join(", "));
            lock.push_str(&format!(
                "\n[[package]]\nname = \"{name}\"\nversion = \"1.7.0\"\nsource = {{ registry = \"https://index.example/simple\" }}\ndependencies = [{asks}]\nwheels = [{{ url = \"https://files.example/{name}-1.7.0-py3-none-any.whl\", hash = \"sha256:{}\" }}]\n",
                "0".repeat(64)
            ));
        }
        fs::write(folder.path().join("uv.lock"), lock).expect("a file");
        let project = format!("[project]\nname = \"shop\"\nversion = \"1\"\ndependencies = [{}]\n", direct.join(", "));
        fs::write(folder.path().join("pyproject.toml"), project).expect("a file");

        let releases: Vec<Release> =
            (0..RELEASES).map(|n| Release { at: Some(format!("20{:02}-03-01T00:00:00Z", 16 + n / 4)), ..Release::new(&format!("1.{n}.0")) }).collect();
        let pages: BTreeMap<String, Page> = (0..PACKAGES).map(|n| (name(n), Page::Releases(releases.clone(), None))).collect();
        let catalogue = Catalogue { pages, max_age_s: 3_600, ..Catalogue::default() };
        let records = (0..PACKAGES).step_by(FLAWED).flat_map(|n| ["1.9.0", "1.12.0"].map(|fixed| flaw(n, fixed))).collect();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        let listen = || TcpListener::bind("127.0.0.1:0").expect("a port");
        let (to_index, to_shelf) = (listen(), listen());
        let at = |listener: &TcpListener| listener.local_addr().expect("an address");
        let text =
            format!("manifest = \"uv.lock\"\npython = \"3.12\"\nindex = \"http://{}/simple/\"\nosv = \"http://{}\"\neol = false", at(&to_index), at(&to_shelf));
        let (index, shelf) = (Arc::new(Counters::default()), Arc::new(Shelf::of(records)));
        runtime.spawn(index::serve(to_index, Arc::new(catalogue), Arc::clone(&index)));
        runtime.spawn(advisories::serve(to_shelf, Arc::clone(&shelf)));
        let project = Self { folder, text, runtime, index, shelf };
        assert_eq!(project.look(), (PACKAGES, PACKAGES / FLAWED));
        project
    }

    fn context(&self) -> BuildContext {
        let base: &Path = self.folder.path();
        BuildContext {
            id: SourceId::parse("shop/python/app").expect("an id"),
            common: Common::default(),
            base: base.to_owned(),
            trusted: false,
            zone: None,
            cache: Some(base.join("cache")),
            state: None,
        }
    }

    /// Packages, and those of them that have weaknesses, as a process that just began finds them.
    fn look(&self) -> (usize, usize) {
        let mut source = toml::from_str::<Config>(&self.text).expect("a configuration").build(&self.context()).expect("a source").source;
        let collected = self.runtime.block_on(source.collect()).expect("an answer");
        let Data::Packages(packages) = &collected.observations[0].data else { panic!("packages are looked at") };
        assert!(packages.items.iter().all(|package| package.audited && package.latest.is_some()), "{:?}", collected.problems);
        (packages.items.len(), packages.items.iter().filter(|package| package.advisories.len() == 2).count())
    }

    fn asked(&self) -> u64 {
        self.index.requests.load(Ordering::Relaxed) + self.shelf.batches.load(Ordering::Relaxed) + self.shelf.details.load(Ordering::Relaxed)
    }
}

fn flaw(n: usize, fixed: &str) -> Value {
    json!({
        "id": format!("CVE-2026-{n:04}{}", fixed.replace('.', "")), "modified": "2026-11-01T00:00:00Z", "summary": "weak",
        "severity": [{ "type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H" }],
        "affected": [{ "package": { "name": name(n), "ecosystem": "PyPI" }, "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": fixed }] }] }],
    })
}

/// Processor time of this process so far, in seconds, all threads; `None` where the system does not tell. Its clock ticks a hundred
/// times a second (Linux, `proc_pid_stat(5)`).
fn spent() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    let words: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
    let ticks = |at: usize| words.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / 100.0)
}

/// What one look costs the processor, which a clock on the wall does not tell on a machine that does other work too.
fn processor_time() {
    let project = Project::new();
    let (asked, begun, before) = (project.asked(), Instant::now(), spent());
    for _ in 0..LOOKS {
        divan::black_box(project.look());
    }
    assert_eq!(project.asked(), asked, "everything was kept");
    let wall = begun.elapsed().as_secs_f64() / f64::from(LOOKS);
    let spent = before.zip(spent()).map(|(before, after)| format!("{:.3} s of processor time, ", (after - before) / f64::from(LOOKS)));
    println!("{PACKAGES} packages with advisories, all kept: {}{wall:.3} s on the clock", spent.unwrap_or_default());
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn a_lock_file_of_2000(bencher: Bencher<'_, '_>) {
    let project = Project::new();
    bencher.bench_local(|| project.look());
}
