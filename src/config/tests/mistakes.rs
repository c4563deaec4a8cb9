//! Right files, and what is told of wrong ones: every mistake in one run, each at its place.

use super::*;

#[test]
fn a_right_file_becomes_its_sites_and_sources_in_its_order() {
    let loaded = read(RIGHT).unwrap_or_else(|error| panic!("{}", error.render(false, 100)));
    assert!(loaded.warnings.is_empty());
    let config = loaded.config;
    assert_eq!(config.sites.iter().map(|site| site.name.as_str()).collect::<Vec<_>>(), ["shop", "blog"]);
    assert_eq!(config.sources.iter().map(|source| source.id.as_str()).collect::<Vec<_>>(), ["shop/http/home", "shop/http/api", "blog/log/all"]);
    assert_eq!(config.sites[0].directory.as_deref(), Some(Path::new("srv")));
    assert_eq!(config.journal.keep.as_secs(), 30 * 86_400);
    let every: Vec<_> = config.sources.iter().map(|source| source.context.common.every.map(|every| every.as_secs())).collect();
    assert_eq!(every, [Some(10), Some(60), None]);
    assert_eq!(config.sources[1].context.common.needs, ["http/home"]);
    assert_eq!(config.sources[0].context.base, Path::new("srv"));
    assert_eq!(config.sources[0].context.zone, Some(chrono_tz::Europe::Berlin));
    // The default stands under the source's own keys, also inside tables, but a secret is one or the other.
    let first = format!("{:?}", config.sources[0].config);
    assert!(
        first.contains("warning: Some(1s)") && first.contains("critical: Some(2s)") && first.contains("failures: 2") && first.contains("env SET"),
        "{first}"
    );
    let second = format!("{:?}", config.sources[1].config);
    assert!(second.contains(r#"{"A": "1", "B": "2"}"#) && second.contains("file /dev/null"), "{second}");
}

#[test]
fn every_error_is_told_in_one_run_at_its_place() {
    insta::assert_snapshot!(
        told(
            r#"
[site.shop]
titel = "Shop"

[site.shop.http.home]
url = "https://shop.example/"
metod = "GET"
expect.statuss = [200]
expect.latency = { warn = "1s", critical = "soon" }
retry_every = 5
failures = "three"
latency = "1s"

[site.shop.http.api]
method = "GET"
interval = "30s"
timeout = "0s"

[jurnal]
keep = "1y"
"#
        ),
        @r#"
error: unknown key `titel` of a site
 --> rounds.toml:3:1
  |
3 | titel = "Shop"
  | ^^^^^
  |
  = help: did you mean `title`?

error: unknown key `metod`
 --> rounds.toml:7:1
  |
7 | metod = "GET"
  | ^^^^^
  |
  = help: did you mean `method`?

error: unknown key `statuss`
 --> rounds.toml:8:8
  |
8 | expect.statuss = [200]
  |        ^^^^^^^
  |
  = help: did you mean `status`?

error: unknown key `warn`
 --> rounds.toml:9:20
  |
9 | expect.latency = { warn = "1s", critical = "soon" }
  |                    ^^^^
  |
  = help: did you mean `warning`?

error: "soon" is not a duration
 --> rounds.toml:9:44
  |
9 | expect.latency = { warn = "1s", critical = "soon" }
  |                                            ^^^^^^
  |
  = help: write a number and a unit, such as "500ms", "30s", "5m", "26h" or "14d"

error: a duration needs its unit, in quotes
  --> rounds.toml:10:15
   |
10 | retry_every = 5
   |               ^
   |
   = help: write "5s" for 5 seconds

error: expected a whole number that fits, found the text "three"
  --> rounds.toml:11:12
   |
11 | failures = "three"
   |            ^^^^^^^

error: unknown key `latency`
  --> rounds.toml:12:1
   |
12 | latency = "1s"
   | ^^^^^^^
   |
   = help: did you mean `expect.latency`?

error: `http` needs the key `url`
  --> rounds.toml:14:1
   |
14 | [site.shop.http.api]
   | ^^^^^^^^^^^^^^^^^^^^
   |
   = help: add `url = …`

error: unknown key `interval`
  --> rounds.toml:16:1
   |
16 | interval = "30s"
   | ^^^^^^^^
   |
   = help: rounds calls it `every`

error: `timeout` is nothing: no answer comes in no time
  --> rounds.toml:17:11
   |
17 | timeout = "0s"
   |           ^^^^
   |
   = help: write a time such as "10s"

error: unknown key `jurnal`
  --> rounds.toml:19:2
   |
19 | [jurnal]
   |  ^^^^^^
   |
   = help: did you mean `journal`?
"#
    );
}

#[test]
fn shapes_that_are_nearly_right_get_a_sentence_of_their_own() {
    insta::assert_snapshot!(
        told(
            r#"
[site]
title = "x"
[site.shop.http]
url = "https://shop.example/"
expect.status = [200]
[site.Shop_1.http.Home]
url = "https://shop.example/"
[[site.a.http]]
url = "https://shop.example/"
[site.a]
log = "/var/log/x.log"
[site.b.htpp.home]
[site.b.sentry.main]
[site.b.http]
[http.home]
"#
        ),
        @r#"
error: a site needs a name
 --> rounds.toml:3:1
  |
3 | title = "x"
  | ^^^^^
  |
  = help: write [site.NAME], and `title` below it

error: a source of the kind `http` needs a name
 --> rounds.toml:4:1
  |
4 | [site.shop.http]
  | ^^^^^^^^^^^^^^^^
  |
  = help: write [site.shop.http.NAME], such as [site.shop.http.home]

error: "Shop_1" is no name of a site: lower-case letters, digits, `.`, `_` and `-`, beginning with a letter or digit
 --> rounds.toml:7:7
  |
7 | [site.Shop_1.http.Home]
  |       ^^^^^^
  |
  = help: write `shop_1`; `title` may be any text

error: "Home" is no name of a source: lower-case letters, digits, `.`, `_` and `-`, beginning with a letter or digit
 --> rounds.toml:7:19
  |
7 | [site.Shop_1.http.Home]
  |                   ^^^^
  |
  = help: write `home`; `title` may be any text

error: `http` is no list: each source has a name
 --> rounds.toml:9:1
  |
9 | [[site.a.http]]
  | ^^^^^^^^^^^^^^^
  |
  = help: write [site.a.http.NAME] for each

error: `log` is a kind of source
  --> rounds.toml:12:7
   |
12 | log = "/var/log/x.log"
   |       ^^^^^^^^^^^^^^^^
   |
   = help: write [site.a.log.NAME]

error: unknown kind `htpp`
  --> rounds.toml:13:9
   |
13 | [site.b.htpp.home]
   |         ^^^^
   |
   = help: did you mean `http`?

error: this version does not know the kind `sentry` yet
  --> rounds.toml:14:9
   |
14 | [site.b.sentry.main]
   |         ^^^^^^
   |
   = help: it knows http and log

error: a source of the kind `http` needs a name
  --> rounds.toml:15:1
   |
15 | [site.b.http]
   | ^^^^^^^^^^^^^
   |
   = help: write [site.b.http.NAME], such as [site.b.http.home]

error: unknown key `http`
  --> rounds.toml:16:2
   |
16 | [http.home]
   |  ^^^^
   |
   = help: `http` is a kind of source: write [site.NAME.http.NAME]
"#
    );
}

#[test]
fn all_syntax_errors_are_told_and_what_follows_from_them_is_not() {
    insta::assert_snapshot!(
        told("[site.shop.http.home]\r\nurl = https://shop.example/\r\nevery = 30s\r\nmetod = \"GET\"\r\npassword = hush\r\n[site.shop.http.home]\r\nurl = \"a\"\r\nurl = \"b\"\r\n"),
        @r#"
error: a text stands in quotes
 --> rounds.toml:2:7
  |
2 | url = https://shop.example/
  |       ^^^^^^^^^^^^^^^^^^^^^
  |
  = help: put it in quotes

error: a text stands in quotes
 --> rounds.toml:3:9
  |
3 | every = 30s
  |         ^^^
  |
  = help: put it in quotes

error: unknown key `metod`
 --> rounds.toml:4:1
  |
4 | metod = "GET"
  | ^^^^^
  |
  = help: did you mean `method`?

error: a text stands in quotes
 --> rounds.toml:5:12
  |
5 | password = ****
  |            ^^^^
  |
  = help: put it in quotes

error: this was written before
 --> rounds.toml:6:17
  |
6 | [site.shop.http.home]
  |                 ^^^^
  |
  = help: take one of them out

error: this was written before
 --> rounds.toml:7:1
  |
7 | url = "a"
  | ^^^
  |
  = help: take one of them out

error: this was written before
 --> rounds.toml:8:1
  |
8 | url = "b"
  | ^^^
  |
  = help: take one of them out
"#
    );
}

#[test]
fn keys_that_clash_are_told_at_the_command() {
    let told = told("[keys]\npoll = \"j\"\nsort = [\"ctrl-nothing\"]\n");
    assert!(told.contains("rounds.toml:2:1") && told.contains("the key j is bound to both"), "{told}");
    assert!(told.contains("rounds.toml:3:1") && told.contains("is not a key"), "{told}");
    assert_eq!(self::told("[keys]\npoll = \"X\"\n"), "right\n");
}

#[test]
fn secrets_are_looked_for_and_never_shown() {
    insta::assert_snapshot!(
        told(
            r#"
[site.shop.http.a]
url = "https://shop.example/"
password = "hush"
[site.shop.http.b]
url = "https://me:hush@shop.example/"
password = { env = "UNSET" }
[site.shop.http.c]
url = "https://shop.example/"
password = { file = "no/such/file" }
[site.shop.http.d]
url = "https://shop.example/"
password = { env = "A", file = "b" }
[site.shop.http.e]
url = "https://shop.example/"
password = 12345678
[site.shop.http.f]
url = "https://shop.example/"
enabled = false
password = { env = "UNSET" }
"#
        ),
        @r#"
warning: a secret is written into the file
 --> rounds.toml:4:12
  |
4 | password = ******
  |            ^^^^^^
  |
  = help: write { env = "NAME" }, { file = "path" } or { command = ["program", "argument"] }

error: the environment variable UNSET is not set
 --> rounds.toml:7:12
  |
7 | password = { env = "UNSET" }
  |            ^^^^^^^^^^^^^^^^^
  |
  = help: export UNSET in the environment rounds is started from, or name the secret by `file` or `command`

error: the secret file no/such/file cannot be read: it is not there
  --> rounds.toml:10:12
   |
10 | password = { file = "no/such/file" }
   |            ^^^^^^^^^^^^^^^^^^^^^^^^^
   |
   = help: create it with the secret as its first line, or correct the path

error: a secret has exactly one of `env`, `file` and `command`
  --> rounds.toml:13:12
   |
13 | password = { env = "A", file = "b" }
   |            ^^^^^^^^^^^^^^^^^^^^^^^^^

error: a number is no secret
  --> rounds.toml:16:12
   |
16 | password = ********
   |            ^^^^^^^^
   |
   = help: write { env = "NAME" }, { file = "path" } or { command = ["program", "argument"] }
"#
    );
}

#[test]
fn what_is_not_served_yet_is_said_and_starts() {
    insta::assert_snapshot!(
        told("[round.morning]\nitems = []\n[offline]\nanchors = [\"gateway.example:53\"]\n[defaults.sentry]\nurl = \"x\"\n[journal]\nurl = \"postgresql://me:hush@db/x\"\n"),
        @r#"
right
warning: `round` is not served yet by this version
 --> rounds.toml:1:2
  |
1 | [round.morning]
  |  ^^^^^
  |
  = help: it is read and changes nothing

warning: this version does not know the kind `sentry` yet
 --> rounds.toml:5:11
  |
5 | [defaults.sentry]
  |           ^^^^^^
  |
  = help: it is read and changes nothing

warning: a journal in PostgreSQL is not served yet by this version
 --> rounds.toml:8:7
  |
8 | url = "postgresql://me:****@db/x"
  |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: history is kept in the embedded journal
"#
    );
}

#[test]
fn an_untrusted_file_says_what_it_does_not_run() {
    let text = "[site.a.http.b]\nurl = \"x:y\"\ncommand = [\"true\"]\n";
    let read = |standing| parse_with(PROBES, text.as_bytes(), Some(Path::new("rounds.toml")), standing, &|_| None).unwrap();
    let never = read(Standing::Never);
    assert!(!never.config.trusted && !never.config.sources[0].context.trusted);
    insta::assert_snapshot!(never.warnings.render(false, 120), @r#"
warning: this configuration was found in the working directory and is not trusted: the one source that runs a command stays unknown
--> rounds.toml
 = help: read it, then run `rounds trust rounds.toml`
"#);
    assert!(read(Standing::Changed).warnings.lines()[0].contains("was changed since it was trusted"));
    let trusted = read(Standing::Trusted);
    assert!(trusted.config.trusted && trusted.warnings.is_empty() && trusted.config.sources[0].context.trusted);
}

#[test]
fn a_file_that_is_no_text_is_told_by_line() {
    let error = parse_with(PROBES, b"a = \"\xff\xfe\"\nb = 1\nc = \"\xc3\"\n", Some(Path::new("rounds.toml")), Standing::Trusted, &|_| None).unwrap_err();
    insta::assert_snapshot!(error.render(false, 120), @r#"
error: not UTF-8
 --> rounds.toml:1:6
  |
1 | a = "��"
  |      ^
  |
  = help: save the file as UTF-8

error: not UTF-8
 --> rounds.toml:3:6
  |
3 | c = "�"
  |      ^
  |
  = help: save the file as UTF-8
"#);
}

#[test]
fn an_empty_file_is_right() {
    for text in ["", "\u{feff}", "\n# nothing\r\n"] {
        assert_eq!(told(text), "right\n");
    }
}
