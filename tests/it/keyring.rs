//! Passwords of private indexes from the real `keyring`, with its file backend in a home of the test's own: as pip and as uv are told to ask it.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::sync::Arc;

use rounds::demo::index::{self, Catalogue, Counters, Page, Release};
use serde_json::Value;

use crate::cli::{Place, code, run, stderr, stdout};
use crate::upgrade::command;

const PASSWORD: &str = "hush-7c1e4a90";

/// The folder with `keyring` and its plaintext backend; `None`: the test is skipped.
fn keyring() -> Option<PathBuf> {
    let python = std::env::var_os("ROUNDS_TEST_PYTHON").map(PathBuf::from);
    let has = |python: &PathBuf| {
        command(&python.display().to_string()).args(["-c", "import keyring, keyrings.alt.file, uv"]).output().is_ok_and(|output| output.status.success())
    };
    let found = python.filter(has).and_then(|python| Some(python.parent()?.to_owned())).filter(|bin| bin.join("keyring").is_file());
    if found.is_none() {
        assert!(std::env::var_os("ROUNDS_REQUIRE_TOOLS").is_none_or(|value| value != "1"), "keyring with keyrings.alt and uv are not installed");
        eprintln!("skipped: no keyring with keyrings.alt in ROUNDS_TEST_PYTHON");
    }
    found
}

/// An index that lets in one person with one password.
fn private_index() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // ana:hush-7c1e4a90
    let authorization = Some("Basic YW5hOmh1c2gtN2MxZTRhOTA=".to_owned());
    let releases = ["1.0", "1.4"].map(|version| Release { at: Some("2026-11-17T00:00:00Z".to_owned()), ..Release::new(version) }).to_vec();
    let pages = [("till".to_owned(), Page::Releases(releases, None))].into();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(index::serve(listener, Arc::new(Catalogue { pages, authorization, ..Catalogue::default() }), Arc::new(Counters::default())))
    });
    address.to_string()
}

struct Person {
    place: Place,
    bin: PathBuf,
    address: String,
}

impl Person {
    /// A program of the folder, or rounds, at home there.
    fn at_home(&self, program: Option<&str>, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut asked = match program {
            Some(program) => {
                let mut asked = command(&self.bin.join(program).display().to_string());
                let home = self.place.path().join("home");
                asked
                    .env_clear()
                    .env("HOME", &home)
                    .env("XDG_DATA_HOME", home.join(".data"))
                    .env("XDG_CONFIG_HOME", home.join(".config"))
                    .current_dir(self.place.path().join("work"));
                asked.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
                asked
            }
            None => self.place.command(),
        };
        // pip does not ask a `keyring` that is beside itself.
        let tools = self.place.path().join("tools");
        if !tools.exists() {
            fs::create_dir(&tools).unwrap();
            std::os::unix::fs::symlink(self.bin.join("keyring"), tools.join("keyring")).unwrap();
        }
        asked.env("PATH", format!("{}:/usr/bin:/bin", tools.display())).env("PYTHON_KEYRING_BACKEND", "keyrings.alt.file.PlaintextKeyring");
        asked.args(arguments).envs(variables.iter().copied());
        run(&mut asked)
    }

    fn keeps(&self, service: &str) {
        let mut asked = command(&self.bin.join("keyring").display().to_string());
        asked.args(["set", service, "ana"]).env("HOME", self.place.path().join("home")).env("XDG_DATA_HOME", self.place.path().join("home/.data"));
        asked.env("PYTHON_KEYRING_BACKEND", "keyrings.alt.file.PlaintextKeyring").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = asked.spawn().unwrap();
        child.stdin.take().unwrap().write_all(format!("{PASSWORD}\n").as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    fn deps(&self, variables: &[(&str, &str)]) -> (Value, String) {
        let state = self.place.path().join("state").display().to_string();
        // Nothing that was kept: each has to ask.
        let _ = fs::remove_dir_all(self.place.path().join("state/cache"));
        let output = self.at_home(None, &["--config", "r.toml", "--state-dir", &state, "deps", "--json", "--all"], variables);
        let all = format!("{}{}", stdout(&output), stderr(&output));
        assert!(!all.contains(PASSWORD), "{all}");
        (serde_json::from_str(&stdout(&output)).unwrap_or_else(|error| panic!("{error}: {} {all}", code(&output))), all)
    }

    fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.place.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }
}

fn latest(document: &Value) -> Option<&str> {
    document["items"][0]["latest"].as_str()
}

#[test]
fn the_real_keyring_gives_the_password_where_pip_or_uv_ask_it() {
    let Some(bin) = keyring() else { return };
    let person = Person { place: Place::new(), bin, address: private_index() };
    let url = format!("http://ana@{}/simple/", person.address);
    person.put("work/requirements.txt", "till==1.0\n");
    person.put("work/r.toml", "[site.shop.python.app]\nmanifest = \"requirements.txt\"\nosv = false\neol = false\n");
    let pip = |text: &str| person.put("home/.config/pip/pip.conf", text);

    // pip as it is set up without it: nobody is asked, and the index lets nobody in.
    pip(&format!("[global]\nindex-url = {url}\n"));
    let (document, all) = person.deps(&[]);
    assert!(document["error"]["kind"] == "auth" && latest(&document).is_none(), "{all}");

    // pip's own setting; the password stands at the host and port, where pip looks.
    pip(&format!("[global]\nindex-url = {url}\nkeyring-provider = subprocess\n"));
    let (document, all) = person.deps(&[]);
    assert!(all.contains("has no password of ana"), "not kept yet: {all}");
    person.keeps(&person.address);
    let (document_now, all) = person.deps(&[]);
    assert_eq!(latest(&document_now), Some("1.4"), "{all} {document}");
    let listed = person.at_home(Some("pip"), &["index", "versions", "till", "--disable-pip-version-check"], &[]);
    assert!(stdout(&listed).contains("1.4"), "pip gets in by the same setting: {listed:?}");
    // Its variable says the same, and another provider says no.
    pip(&format!("[global]\nindex-url = {url}\n"));
    assert_eq!(latest(&person.deps(&[("PIP_KEYRING_PROVIDER", "subprocess")]).0), Some("1.4"));
    assert_eq!(latest(&person.deps(&[("PIP_KEYRING_PROVIDER", "disabled")]).0), None);
    fs::remove_file(person.place.path().join("home/.config/pip/pip.conf")).unwrap();

    // uv's, by the whole address first.
    let other = Person { address: private_index(), place: Place::new(), bin: person.bin.clone() };
    let url = format!("http://ana@{}/simple/", other.address);
    other.put("work/requirements.txt", "till==1.0\n");
    other.put("work/r.toml", "[site.shop.python.app]\nmanifest = \"requirements.txt\"\nosv = false\neol = false\n");
    other.put("home/.config/uv/uv.toml", &format!("keyring-provider = \"subprocess\"\n[[index]]\nurl = \"{url}\"\ndefault = true\n"));
    other.keeps(&format!("http://{}/simple/", other.address));
    let (document, all) = other.deps(&[]);
    assert_eq!(latest(&document), Some("1.4"), "{all}");
    let compiled = other.at_home(Some("uv"), &["pip", "compile", "--no-cache", "--no-deps", "--no-build", "requirements.txt"], &[]);
    assert!(!stderr(&compiled).contains("401") && !stderr(&compiled).contains("redentials"), "uv gets in by the same setting: {compiled:?}");
}
