//! `config` and `trust` as a shell sees them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use crate::cli::Place;

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
