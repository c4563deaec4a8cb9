//! Where the program finds a tracker's token, and that it tells it to nobody.

use rounds::demo::sentry::TOKEN;
use rounds::demo::{Options, Site};

use crate::cli::{Place, run, stderr, stdout};

#[test]
fn a_token_that_people_have_set_already_is_used_and_never_told() {
    let site = Site::temporary(Options::default()).unwrap();
    let url = format!("http://127.0.0.1:{}", site.ports().tracker);
    let place = Place::new();
    let config = place.path().join("rounds.toml");
    std::fs::write(&config, format!("[site.shop.sentry.errors]\nurl = \"{url}\"\norganization = \"acme\"\nproject = \"shop\"\n")).unwrap();
    let rc = place.path().join("home/.sentryclirc");
    let seen = |variable: Option<(&str, &str)>| {
        let mut command = place.command();
        command.args(["--config", config.to_str().unwrap(), "check", "--json"]).envs(variable);
        let output = run(&mut command);
        let (said, messages) = (stdout(&output), stderr(&output));
        assert!(!said.contains(TOKEN) && !messages.contains(TOKEN), "{said}{messages}");
        let source = serde_json::from_str::<serde_json::Value>(&said).unwrap()["sources"][0].clone();
        (source["status"].as_str().unwrap().to_owned(), source["error"]["message"].as_str().unwrap_or_default().to_owned())
    };
    let (status, message) = seen(None);
    assert!(status == "unknown" && message.starts_with("there is no token"), "{message}");
    assert_eq!(seen(Some(("SENTRY_AUTH_TOKEN", TOKEN))), ("ok".to_owned(), String::new()));
    // One that is for the hosted service is not shown to another server.
    std::fs::write(&rc, format!("[auth]\ntoken={TOKEN}\n")).unwrap();
    assert!(seen(None).1.starts_with("there is no token"));
    std::fs::write(&rc, format!("[defaults]\nurl={url}/\n[auth]\ntoken={TOKEN}\n")).unwrap();
    assert_eq!(seen(None), ("ok".to_owned(), String::new()));
    std::fs::write(&rc, format!("[defaults]\nurl={url}/\n[auth]\ntoken=sntryu_old\n")).unwrap();
    let (_, message) = seen(None);
    assert!(message.contains("refuses the token (401)") && !message.contains("sntryu_old"), "{message}");
    // Nothing that was kept on disk holds it.
    let mut folders = vec![place.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path != rc {
                let bytes = std::fs::read(&path).unwrap();
                assert!(memchr::memmem::find(&bytes, TOKEN.as_bytes()).is_none(), "{}", path.display());
            }
        }
    }
}
