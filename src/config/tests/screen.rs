//! Actions, keys, themes and the wall.

use super::*;

const ACTIONS: &str = r#"
[site.shop]
directory = "/srv/shop"

[site.shop.http.home]
url = "https://shop.example/"

[site.shop.http.basket]
url = "https://shop.example/basket/"

[site.shop.action.deploy]
run = ["fab", "prod", "deploy", "--ref", "{prompt}"]
prompt = "which version?"
title = "Deploy"
scope = "http/basket"
dangerous = true
timeout = "15m"
directory = "deploy"
env = { STAGE = "production", TOKEN = { env = "TOKEN" } }
after = "action/warm"
key = "D"
poll = ["http/*"]

[site.shop.action.warm]
steps = [["curl", "-sf", "https://shop.example/"], ["true"]]
output = "quiet"
"#;

#[test]
fn an_action_becomes_what_it_says() {
    let config = read(&ACTIONS.replace("\"TOKEN\"", "\"SET\"")).unwrap().config;
    assert_eq!(config.actions.len(), 2);
    let deploy = &config.actions[0];
    assert_eq!(deploy.spec.id.as_str(), "shop/action/deploy");
    assert_eq!(deploy.directory, Path::new("/srv/shop/deploy"));
    assert_eq!(deploy.spec.filled(Some("v1 x"))[0].last().map(String::as_str), Some("v1 x"));
    assert_eq!(deploy.spec.after.iter().map(crate::domain::SourceId::as_str).collect::<Vec<_>>(), ["shop/action/warm"]);
    assert_eq!(deploy.spec.poll.len(), 2);
    assert_eq!((deploy.spec.key.as_deref(), deploy.spec.timeout), (Some("D"), std::time::Duration::from_secs(900)));
    assert_eq!(deploy.spec.env, ["STAGE", "TOKEN"]);
    let fit = |id: &str| deploy.spec.fit(&crate::domain::SourceId::parse(id).unwrap());
    assert!(fit("shop/http/basket") < fit("shop/http/home"));
    // Without `poll` all of the site is looked at afterwards.
    assert_eq!(config.actions[1].spec.poll.len(), 2);
    assert_eq!(config.actions[1].spec.steps.len(), 2);
}

#[test]
fn mistakes_of_actions_are_told_at_their_places() {
    for (change, expected) in [
        (("title = \"Deploy\"", "titel = \"Deploy\""), &["unknown key `titel`", "did you mean `title`?"][..]),
        (("dangerous = true", "dangerous = 1"), &["expected `true` or `false`"]),
        (("timeout = \"15m\"", "timeout = 15"), &["a duration needs its unit"]),
        (("timeout = \"15m\"", "timeout = \"0s\""), &["`timeout` is nothing"]),
        (("after = \"action/warm\"", "after = \"action/wram\""), &["\"action/wram\" is no action of the site `shop`", "did you mean \"action/warm\"?"]),
        (("after = \"action/warm\"", "after = [\"action/deploy\"]"), &["has a `prompt`"]),
        (("output = \"quiet\"", "after = \"action/warm\""), &["an action cannot follow itself"]),
        (("poll = [\"http/*\"]", "poll = [\"htp\"]"), &["\"htp\" names no source of the site `shop`"]),
        (("scope = \"http/basket\"", "scope = \"http/baskt\""), &["did you mean \"http/basket\"?"]),
        (("prompt = \"which version?\"", ""), &["`{prompt}` stands in the arguments and nothing is asked"]),
        (("\"{prompt}\"", "\"v1\""), &["the answer to `prompt` is not used"]),
        (("\"fab\", \"prod\"", "\"{prompt}\""), &["the program itself is not asked for"]),
        (("[[\"curl\", \"-sf\", \"https://shop.example/\"], [\"true\"]]", "[[\"curl\"], []]"), &["an empty command"]),
        (("output = \"quiet\"", "run = [\"true\"]"), &["`run` or `steps`, not both"]),
        (("steps = [[\"curl\", \"-sf\", \"https://shop.example/\"], [\"true\"]]", ""), &["needs the key `run` or `steps`"]),
        (("output = \"quiet\"", "output = \"loud\""), &["\"loud\" is not possible here"]),
        (("key = \"D\"", "key = \"a\""), &["the key a is bound to acknowledge already"]),
        (("key = \"D\"", "key = \"ctrl-k\""), &["the key ctrl-k is never bound"]),
        (("key = \"D\"", "key = \"DD\""), &["\"DD\" is not a key"]),
        (("output = \"quiet\"", "key = \"D\""), &["the key D is bound to action/deploy of this site already"]),
        (("[site.shop.action.warm]", "[site.shop.action]"), &["an action needs a name"]),
        (("[site.shop.action.warm]", "[site.shop.action.Warm]"), &["is no name of an action"]),
        (("[site.shop.action.warm]", "[action.warm]"), &["write [site.NAME.action.NAME]"]),
    ] {
        assert!(ACTIONS.contains(change.0), "{change:?}");
        let told = told(&ACTIONS.replacen(change.0, change.1, 1));
        for part in expected {
            assert!(told.contains(part), "{change:?}: {part}\n{told}");
        }
        assert!(told.contains("rounds.toml:"), "no place: {told}");
    }
}

#[test]
fn an_action_without_its_secret_is_told_and_stops_nothing() {
    let loaded = parse(ACTIONS.as_bytes(), None, Standing::Trusted, &|_| None).unwrap();
    assert!(loaded.warnings.render(false, 120).contains("this action cannot run: the environment variable TOKEN is not set"));
    let literal = ACTIONS.replace("TOKEN = { env = \"TOKEN\" }", "API_TOKEN = \"hunter2-hunter2\"");
    let loaded = parse(literal.as_bytes(), None, Standing::Trusted, &|_| None).unwrap();
    let said = format!("{}{}{:?}", loaded.warnings.render(false, 120), show::text(&loaded), loaded.config);
    assert!(said.contains("a secret is written into the file") && !said.contains("hunter2"), "{said}");
    assert!(show::text(&loaded).contains("[site.shop.action.deploy]"));
    let untrusted = parse(ACTIONS.as_bytes(), None, Standing::Never, &|_| Some("x".to_owned())).unwrap();
    assert!(untrusted.warnings.render(false, 120).contains("its actions do not run") && !untrusted.config.trusted);
}

#[test]
fn the_wall_is_configured_and_a_wall_that_shows_nothing_is_refused() {
    let wall = |text: &str| parse_with(PROBES, text.as_bytes(), Some(Path::new("rounds.toml")), Standing::Trusted, &|_| None).map(|loaded| loaded.config.wall);
    assert_eq!(wall("").unwrap(), Settings::default());
    assert_eq!(wall("[wall]\n").unwrap(), Settings::default());
    let asked = wall("[wall]\nrotate = \"1m\"\npages = [\"sites\", \"health\"]\nwarnings = true\n").unwrap();
    let pages = vec![WallPage::Sites, WallPage::Page(crate::state::Page::Health)];
    assert_eq!(asked, Settings { rotate: std::time::Duration::from_secs(60), pages, warnings: true });
    for (text, said) in [
        ("rotate = \"10ms\"", "a page that nobody can read"),
        ("pages = []", "a wall without pages"),
        ("pages = [\"sight\"]", "sites"),
        ("turn = \"20s\"", "unknown key `turn`"),
    ] {
        let told = told(&format!("[wall]\n{text}\n"));
        assert!(told.contains(said) && !told.starts_with("right"), "{told}");
    }
}

#[test]
fn a_theme_is_a_name_or_a_table() {
    let read = |text: &str| parse(text.as_bytes(), Some(Path::new("rounds.toml")), Standing::Trusted, &|_| None);
    for (text, name, background, dim) in [
        ("[ui]\ntheme = \"deutan\"\n", Some("deutan"), None, None),
        ("[ui]\ntheme.background = \"light\"\ntheme.dim = \"attribute\"\n", None, Some("light"), Some("attribute")),
        ("[ui.theme]\nname = \"contrast\"\n", Some("contrast"), None, None),
        ("[ui]\nmouse = true\n", None, None, None),
    ] {
        let ui = read(text).unwrap_or_else(|error| panic!("{}", error.render(false, 100))).config.ui;
        assert_eq!((ui.theme.as_deref(), ui.background.as_deref(), ui.dim.as_deref()), (name, background, dim), "{text}");
    }
    for (text, place, help) in [
        ("[ui]\ntheme = \"drak\"\n", "rounds.toml:2:9", "did you mean `dark`?"),
        ("[ui]\ntheme.backgroud = \"light\"\n", "rounds.toml:2:7", "background"),
        ("[ui]\ntheme.dim = \"atribute\"\n", "rounds.toml:2:13", "did you mean `attribute`?"),
    ] {
        let told = read(text).unwrap_err().render(false, 100);
        assert!(told.contains(place) && told.contains(help), "{told}");
    }
}
