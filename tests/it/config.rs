//! `config` and `trust` as a shell sees them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use crate::cli::Place;
use crate::several::Server;

const RIGHT: &str = r#"
[defaults.http]
every = "10s"

[site.shop]
title = "Shop"

[site.shop.http.home]
url = "https://shop.example/"
bearer = { command = ["pass", "show", "shop token"] }
"#;

fn texts(output: &Output) -> (Option<i32>, String, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn place(text: &str) -> Place {
    let place = Place::new();
    let file = place.path().join("work/rounds.toml");
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    place
}

#[test]
fn a_wrong_configuration_is_told_whole_and_exits_64() {
    let place = place("[site.shop.http.home]\nurl = 5\nmetod = \"GET\"\n");
    for verb in ["check", "show"] {
        let (code, out, err) = texts(&place.run(&["config", verb]));
        assert_eq!((code, out.as_str()), (Some(64), ""));
        assert!(err.contains("rounds.toml:2:7") && err.contains("rounds.toml:3:1") && err.contains("did you mean `method`?"), "{err}");
        assert!(!err.contains('\u{1b}'), "colour where nobody reads it");
    }
}

#[test]
fn a_right_one_is_counted_and_shown_with_where_each_value_came_from() {
    let place = place(RIGHT);
    let (code, out, _) = texts(&place.run(&["config", "check"]));
    assert!(code == Some(0) && out.ends_with("rounds.toml: right, 1 site, 1 source\n"), "{out}");
    let (code, out, _) = texts(&place.run(&["config", "show"]));
    assert_eq!(code, Some(0));
    let row = |key: &str| out.lines().find(|line| line.starts_with(key)).unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(row("url"), "url = \"https://shop.example/\" # line 9");
    assert_eq!(row("every"), "every = \"10s\" # [defaults.http], line 3");
    assert_eq!(row("timeout"), "timeout = \"10s\" # default");
    assert!(out.parse::<toml::Table>().is_ok(), "what is shown is a configuration:\n{out}");
}

#[test]
fn nothing_found_says_where_was_looked() {
    let place = Place::new();
    let (code, out, err) = texts(&place.run(&["config", "check"]));
    assert_eq!((code, out.as_str()), (Some(64), ""));
    assert!(err.contains("work/rounds.toml") && err.contains(".config/rounds/config.toml") && err.contains("--config"), "{err}");
    let (code, _, err) = texts(&place.run(&["--config", "none.toml", "config", "check"]));
    assert!(code == Some(64) && err.contains("none.toml: the file is not there"), "{err}");
}

#[test]
fn a_project_is_trusted_as_it_is_and_no_longer_when_it_changed() {
    let place = place(RIGHT);
    let check = || texts(&place.run(&["config", "check"])).2;
    assert!(check().contains("is not trusted"));
    let (code, out, _) = texts(&place.run(&["trust"]));
    assert_eq!(code, Some(0));
    assert!(out.contains("shop/http/home: pass show \"shop token\""), "{out}");
    assert_eq!(check(), "");
    fs::write(place.path().join("work/rounds.toml"), format!("{RIGHT}# changed\n")).unwrap();
    assert!(check().contains("was changed since it was trusted"));
    // Named, it is trusted.
    assert_eq!(texts(&place.run(&["--config", "rounds.toml", "config", "check"])).2, "");
}

#[test]
fn the_schema_is_json() {
    let (code, out, _) = texts(&Place::new().run(&["config", "schema"]));
    let schema: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(code == Some(0) && schema["properties"]["site"].is_object());
}

#[test]
fn several_files_are_one_configuration_and_are_trusted_together() {
    let place = place("include = [\"conf.d/*.toml\"]\n[site.shop]\ntitle = \"Shop\"\n");
    let folder = place.path().join("work/conf.d");
    fs::create_dir(&folder).unwrap();
    let put = |name: &str, text: &str| {
        fs::write(folder.join(name), text).unwrap();
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o644)).unwrap();
    };
    put("http.toml", "[site.shop.http.home]\nurl = \"https://shop.example/\"\nbearer = { command = [\"pass\", \"show\", \"x\"] }\n");
    put("blog.toml", "[site.blog.http.home]\nurl = \"https://blog.example/\"\n");
    let (code, out, err) = texts(&place.run(&["config", "check"]));
    assert!(code == Some(0) && out.ends_with("rounds.toml: right, 2 sites, 2 sources, 2 files included\n"), "{out}");
    assert!(err.contains("is not trusted"), "{err}");
    let (code, out, _) = texts(&place.run(&["trust"]));
    assert!(code == Some(0) && out.contains("conf.d/http.toml") && out.contains("shop/http/home: pass show x"), "{out}");
    assert_eq!(texts(&place.run(&["config", "check"])).2, "");
    put("blog.toml", "[site.blog.http.home]\nurl = \"https://blog.example/feed/\"\n");
    assert!(texts(&place.run(&["config", "check"])).2.contains("was changed since it was trusted"));
    put("again.toml", "[site.shop.http.home]\nurl = \"https://shop.example/\"\n");
    let (code, _, err) = texts(&place.run(&["config", "check"]));
    assert!(code == Some(64) && err.contains("`site.shop.http.home` stands in two files: also conf.d/again.toml line 1"), "{err}");
    assert!(err.contains("conf.d/http.toml:1:17"), "{err}");
    // What others may write is not trusted, wherever it stands.
    fs::remove_file(folder.join("again.toml")).unwrap();
    fs::set_permissions(folder.join("blog.toml"), fs::Permissions::from_mode(0o666)).unwrap();
    let (code, _, err) = texts(&place.run(&["trust"]));
    assert!(code == Some(64) && err.contains("others may write") && err.contains("blog.toml"), "{err}");
}

#[test]
fn defaults_of_a_kind_reach_its_sources_and_give_way_to_their_own_keys() {
    let server = Server::answering(500);
    let sources = format!(
        "[site.shop.http.home]\nurl = \"http://127.0.0.1:{0}/\"\n[site.shop.http.api]\nurl = \"http://127.0.0.1:{0}/\"\nexpect.status = [200]\n",
        server.port
    );
    let place = place(&format!("[defaults.http]\nexpect.status = [500]\n{sources}"));
    assert_eq!(texts(&place.run(&["check", "shop/http/home"])).0, Some(0));
    assert_eq!(texts(&place.run(&["check", "shop/http/api"])).0, Some(2));
    fs::write(place.path().join("work/rounds.toml"), sources).unwrap();
    assert_eq!(texts(&place.run(&["check", "shop/http/home"])).0, Some(2));
}

#[test]
fn anchors_tell_a_machine_that_is_cut_off_from_a_site_that_is_down() {
    // A closed port of this machine, by an address that is not known to be this machine's.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let anchor = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let source = format!("[site.shop.http.home]\nurl = \"http://0.0.0.0:{closed}/\"\n");
    let place = place("");
    let check = |anchor: u16| {
        fs::write(place.path().join("work/rounds.toml"), format!("[offline]\nanchors = [\"127.0.0.1:{anchor}\"]\n{source}")).unwrap();
        let (code, out, err) = texts(&place.run(&["check"]));
        (code, format!("{out}{err}"))
    };
    let (code, text) = check(anchor.local_addr().unwrap().port());
    assert!(code == Some(2) && text.contains("CRITICAL"), "the anchor answers, so the site is down: {text}");
    let (code, text) = check(closed);
    assert!(code == Some(3) && !text.contains("CRITICAL shop"), "nothing answers, so nothing is said of the site: {text}");
}
