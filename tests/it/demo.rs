//! The demonstration, seen by the ordinary configuration and the ordinary sources.

use std::time::Duration;

use rounds::config::{self, Config, trust::Standing};
use rounds::demo::{Options, Site};
use rounds::domain::{Data, Health, Level, Verdict};
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
