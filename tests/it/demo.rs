//! The demonstration, seen by the ordinary configuration and the ordinary sources.

use std::time::Duration;

use rounds::config::{self, Config, trust::Standing};
use rounds::demo::{Options, Site};
use rounds::domain::{Data, Health, Level, Package, Verdict};
use rounds::sources::Collected;

fn load(site: &Site) -> Config {
    let path = site.config_path();
    let loaded =
        config::parse(&std::fs::read(&path).unwrap(), Some(&path), Standing::Trusted, &|_| None).unwrap_or_else(|e| panic!("{}", e.render(false, 120)));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings.lines());
    loaded.config
}

/// One pass over the sources that are on.
async fn pass(config: &Config) -> Vec<(String, Collected)> {
    let mut all = Vec::new();
    for entry in &config.sources {
        let mut built = entry.config.build(&entry.context).unwrap();
        if built.spec.enabled {
            let collected = tokio::time::timeout(Duration::from_secs(30), built.source.collect()).await.unwrap();
            all.push((entry.id.to_string(), collected.unwrap_or_else(|error| panic!("{}: {error}", entry.id))));
        }
    }
    all
}

fn health<'a>(all: &'a [(String, Collected)], id: &str) -> &'a Health {
    let (_, collected) = all.iter().find(|(one, _)| one == id).unwrap();
    collected.observations.iter().find_map(|o| if let Data::Health(health) = &o.data { Some(health) } else { None }).unwrap()
}

#[tokio::test]
async fn in_calm_every_endpoint_is_well_and_the_certificate_is_seen() {
    let site = Site::temporary(Options::default()).unwrap();
    let all = pass(&load(&site)).await;
    assert_eq!(all.iter().filter(|(id, _)| id.contains("/http/")).count(), 9);
    for (id, _) in all.iter().filter(|(id, _)| id.contains("/http/")) {
        let health = health(&all, id);
        assert_eq!(health.verdict, Verdict::Ok, "{id}: {:?}", health.expectations);
    }
    let (_, feed) = all.iter().find(|(id, _)| id == "blog/http/feed").unwrap();
    let certificate = feed.observations.iter().find_map(|o| if let Data::Certificate(c) = &o.data { Some(c) } else { None }).unwrap();
    assert!(certificate.chain_ok, "{:?}", certificate.problem);
    assert_eq!(certificate.host, "blog.localhost");
}

#[tokio::test]
async fn in_trouble_the_basket_is_down_and_the_log_bursts() {
    let site = Site::temporary(Options { begin: Duration::from_secs(20), ..Options::default() }).unwrap();
    // Some of the visitors' lines, so that the first look at the log has something to read.
    let log = site.dir().join("logs/shop/django.log");
    for _ in 0..200 {
        if std::fs::read_to_string(&log).unwrap().matches("KeyError: 'currency'").count() >= 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let all = pass(&load(&site)).await;
    let basket = health(&all, "shop/http/basket");
    assert_eq!((basket.verdict, basket.status_code), (Verdict::Down, Some(500)));
    assert_eq!(health(&all, "shop/http/search").verdict, Verdict::Degraded);
    assert_eq!(health(&all, "shop/http/home").verdict, Verdict::Ok);

    let (_, django) = all.iter().find(|(id, _)| id == "shop/log/django").unwrap();
    let batch = django.observations.iter().find_map(|o| if let Data::Log(batch) = &o.data { Some(batch) } else { None }).unwrap();
    assert!(batch.levels[&Level::Error] >= 1 && batch.levels[&Level::Info] >= 1, "{:?}", batch.levels);
    let group = &batch.groups[0];
    assert_eq!(group.title, "KeyError: 'currency'");
    assert!(group.culprit.contains("basket/pricing.py:88"), "{}", group.culprit);
}

fn packages<'a>(all: &'a [(String, Collected)], id: &str) -> (&'a [Package], &'a Collected) {
    let (_, collected) = all.iter().find(|(one, _)| one == id).unwrap();
    let found = collected.observations.iter().find_map(|o| if let Data::Packages(packages) = &o.data { Some(packages) } else { None });
    (&found.unwrap().items, collected)
}

#[tokio::test]
async fn the_packages_are_compared_with_a_real_index() {
    let site = Site::temporary(Options::default()).unwrap();
    let all = pass(&load(&site)).await;
    let (shop, collected) = packages(&all, "shop/python/app");
    let row = |items: &[Package], name: &str| {
        let one = items.iter().find(|one| one.name == name).unwrap_or_else(|| panic!("{name}: {items:?}"));
        [one.installed.clone(), one.wanted.clone(), one.latest.clone(), one.held_by.clone()].map(Option::unwrap_or_default).join(" ")
    };
    for (name, expected) in [
        ("django", "5.2.15 5.2.19 6.1.3 <5.3"),
        ("redis", "5.2.1 5.2.1 7.1.0 celery <6"),
        ("pillow", "11.3.0 11.3.0 12.2.0 pinned"),
        ("celery", "5.5.3 5.6.2 5.6.2 "),
        ("tea-weights", "0.3b1 0.4rc1 0.4rc1 "),
        ("teapot-labels", "1.4.0   "),
    ] {
        assert_eq!(row(shop, name), expected, "{name}");
    }
    let django = shop.iter().find(|one| one.name == "django").unwrap();
    assert!(django.place.as_deref().is_some_and(|place| place.ends_with("requirements.txt:3")) && django.direct == Some(true), "{django:?}");
    assert_eq!(collected.problems.iter().map(|problem| problem.subject.as_str()).collect::<Vec<_>>(), ["teapot-labels"]);
    assert!(collected.complete && !shop.iter().any(|one| one.yanked));

    let (blog, collected) = packages(&all, "blog/python/app");
    assert_eq!(row(blog, "django"), "4.2.30 4.2.30 5.2.19 <5", "its interpreter is too old for 6.1");
    let withdrawn: Vec<_> = blog.iter().filter(|one| one.yanked).map(|one| (one.name.as_str(), one.yanked_reason.as_deref())).collect();
    assert_eq!(withdrawn, [("markdown-x", Some("escapes links twice"))]);
    assert!(collected.problems.is_empty(), "{:?}", collected.problems);
}

#[tokio::test]
async fn the_dumps_are_whole_and_the_last_of_the_blog_shrank() {
    let site = Site::temporary(Options::default()).unwrap();
    let all = pass(&load(&site)).await;
    let backup = |id: &str| {
        let (_, collected) = all.iter().find(|(one, _)| one == id).unwrap();
        collected.observations.iter().find_map(|o| if let Data::Backup(backup) = &o.data { Some(backup.clone()) } else { None }).unwrap()
    };
    let shop = backup("shop/files/db");
    assert_eq!((shop.snapshots, shop.complaints), (14, Vec::<String>::new()));
    assert!((6 * 3_600..7 * 3_600).contains(&shop.age_s.unwrap()), "{:?}", shop.age_s);
    assert!(shop.copies.windows(2).all(|two| (two[1].at - two[0].at).num_hours() == 24));
    let blog = backup("blog/files/dump");
    assert!(blog.complaints.len() == 1 && blog.complaints[0].starts_with("shrank 38 %"), "{:?}", blog.complaints);
    for newest in [shop.copies.last(), blog.copies.last()] {
        assert_eq!(newest.unwrap().complete, Some(true));
    }
}
