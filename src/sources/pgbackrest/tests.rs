//! pgBackRest itself, with a server of its own; what it prints in other states; tools that misbehave.

use std::fs;

use serde_json::{Value, json};

use super::super::Common;
use super::super::contract::commands::{self, Faulty, kind_of};
use super::*;
use crate::actions::drill::tests::drilled;
use crate::domain::{Backup, ErrorKind, SourceId, Timestamp};
use crate::testing::postgres::Cluster;
use crate::testing::tool as installed;

fn context(base: &Path) -> BuildContext {
    BuildContext {
        id: SourceId::parse("shop/pgbackrest/main").unwrap(),
        // The tool runs at low priority, and the machine may be busy.
        common: Common { timeout: Some(Duration::from_secs(900)), ..Common::default() },
        base: base.to_owned(),
        trusted: true,
        zone: None,
        cache: None,
        state: None,
    }
}

fn config(text: &str) -> Config {
    toml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

async fn look(config: &Config, base: &Path) -> Result<Backup, SourceError> {
    let mut built = config.build(&context(base)).unwrap();
    match built.source.collect().await?.observations.remove(0).data {
        Data::Backup(backup) => Ok(*backup),
        other => panic!("{other:?}"),
    }
}

/// One stanza after the other through all that happens to it: a server takes a while to make.
#[tokio::test]
async fn a_real_stanza_in_every_state() {
    if installed("pgbackrest").is_none() {
        return;
    }
    let settings = |dir: &Path| format!("archive_mode = on\narchive_command = 'pgbackrest --config={}/c.conf --stanza=main archive-push %p'\n", dir.display());
    let Some(cluster) = Cluster::start(settings).await else { return };
    let dir = cluster.path().to_owned();
    for folder in ["repo", "log", "lock", "spool"] {
        cluster.folder(folder);
    }
    let at = |name: &str| cluster.at(name);
    let text = format!(
        "[global]\nrepo1-path={}\nrepo1-retention-full=2\nlog-path={}\nlock-path={}\nspool-path={}\nstart-fast=y\ncompress-type=none\n\n[main]\npg1-path={}\npg1-socket-path={}\npg1-user=postgres\n",
        at("repo"),
        at("log"),
        at("lock"),
        at("spool"),
        at("data"),
        at("s"),
    );
    fs::write(dir.join("c.conf"), text).unwrap();
    let conf = format!("--config={}", at("c.conf"));
    let keys = format!("stanza = \"main\"\nconfig = \"c.conf\"\ncommand = {:?}\nretention = 1\ncheck = {{ every = \"7d\" }}", cluster.command("pgbackrest"));
    let main = config(&keys);
    assert_eq!(main.check(), []);

    let error = look(&main, &dir).await.unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Nothing, "stanza main: missing stanza path"));
    cluster.ok(&["pgbackrest", &conf, "--stanza=main", "stanza-create"]).await;
    let error = look(&main, &dir).await.unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Nothing, "stanza main: no valid backups"));

    cluster.fill().await;
    cluster.ok(&["pgbackrest", &conf, "--stanza=main", "--type=full", "backup"]).await;
    cluster.ok(&["pgbackrest", &conf, "--stanza=main", "--type=incr", "backup"]).await;
    let seen = look(&main, &dir).await.unwrap();
    assert_eq!((seen.complaints.clone(), seen.snapshots), (Vec::<String>::new(), 2));
    assert!(seen.age_s.unwrap() < 600 && seen.size_bytes.unwrap() > 10 << 20 && seen.repository_bytes.unwrap() > 10 << 20);
    let kinds: Vec<_> = seen.copies.iter().map(|copy| copy.kind.as_deref().unwrap()).collect();
    assert_eq!((kinds, seen.places.len()), (vec!["full", "incremental"], 1));
    let last = seen.copies.last().unwrap();
    assert!(last.tags[0] == "repo1" && last.tags[1].starts_with("wal 00000001") && last.started.is_some(), "{last:?}");

    let repository = main.repository(&context(&dir)).unwrap().unwrap();
    assert_eq!(repository.protects(), [dir.join("repo"), dir.join("data")]);
    let checked = repository.check().await.unwrap();
    assert_eq!((checked.ok, checked.message.as_str(), checked.depth.as_str()), (true, "", "all data"));
    let copies = repository.copies().await.unwrap();
    // What is started on a restored copy archives nothing into the repository that it came from.
    let asserts = "assert = { tables = [\"orders\"], rows = { orders = 2, archived = 1 }, newest = { \"orders.created\" = \"1h\" }, \
        command = [\"grep\", \"-q\", \"^archive_mode = 'off'\", \"data/postgresql.auto.conf\"] }";
    let tried = config(&format!("{keys}\ndrill = {{ scratch = \"drill\", {asserts} }}")).repository(&context(&dir)).unwrap().unwrap();
    let before = fs::read_dir(dir.join("repo/archive/main/15-1")).map_or(0, Iterator::count);
    let drill = drilled(tried, &dir, &dir.join("drill")).await.unwrap();
    assert!(drill.ok && drill.assertions.len() == 6, "{drill:#?}");
    assert_eq!((drill.copy.as_deref(), drill.phases.len()), (Some(copies[1].name.as_str()), 4));
    assert_eq!(fs::read_dir(dir.join("repo/archive/main/15-1")).map_or(0, Iterator::count), before, "the drill archived nothing");
    assert!(repository.by_hand(&copies[0]).contains("--set="));
    let odd = Copy { name: "--pg1-path=/".to_owned(), ..copies[0].clone() };
    assert!(repository.restore(&odd, &dir.join("repo")).await.is_err());

    // A file of the repository is damaged: pgBackRest ends with 0 all the same.
    let full = dir.join("repo/backup/main").join(&copies[0].name).join("pg_data/base/1/1259");
    let mut bytes = fs::read(&full).unwrap();
    bytes[100] ^= 0xff;
    fs::write(&full, bytes).unwrap();
    let checked = repository.check().await.unwrap();
    assert!(!checked.ok && checked.message.contains("checksum invalid: 1"), "{checked:?}");

    every_broken_state_is_told(&cluster, &keys, &copies).await;

    a_failed_run_is_told_by_the_log(&cluster, &conf, &keys).await;

    let unknown = config(&keys.replace("\"main\"", "\"other\""));
    assert_eq!(look(&unknown, &dir).await.unwrap_err().kind, ErrorKind::Nothing);
    let lost = look(&config(&keys.replace("c.conf", "lost.conf")), &dir).await.unwrap_err();
    assert!(lost.kind == ErrorKind::Missing && lost.message.contains("unable to open missing file"), "{lost:?}");
    for info in ["backup.info", "backup.info.copy"] {
        fs::remove_file(dir.join("repo/backup/main").join(info)).unwrap();
    }
    assert_eq!(look(&main, &dir).await.unwrap_err().kind, ErrorKind::Nothing);
    // The tool runs as an unprivileged user, here too.
    fs::set_permissions(dir.join("repo"), std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
    let denied = look(&main, &dir).await.unwrap_err();
    assert!(denied.kind == ErrorKind::Missing && denied.message.contains("Permission denied"), "{denied:?}");
    fs::set_permissions(dir.join("repo"), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    cluster.stop().await;
}

/// The tool made to fail: `info` knows nothing of it, its log does.
async fn a_failed_run_is_told_by_the_log(cluster: &Cluster, conf: &str, keys: &str) {
    let backups = cluster.path().join("repo/backup/main");
    let mode = |mode| fs::set_permissions(&backups, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    mode(0o500);
    assert!(!cluster.run(&["pgbackrest", conf, "--stanza=main", "--type=full", "backup"]).await.ending.success());
    mode(0o700);
    let seen = look(&config(keys), cluster.path()).await.unwrap();
    let failure = seen.last_failure.unwrap();
    assert!(seen.complaints[0].starts_with("the last run failed: [047]: unable to create path"), "{:?}", seen.complaints);
    assert!(seen.last_success < failure.ended && failure.started < failure.ended, "{failure:?}");
    assert!(failure.output[0].contains("backup command begin") && failure.output.last().unwrap().ends_with("aborted with exception [047]"), "{failure:#?}");
    assert!(failure.output.iter().all(|line| !line.contains("completed successfully")), "the runs before it are not its: {failure:#?}");
    // Killed, it tells no end; one that came after it shows that it is over.
    let killed = fs::read_to_string(cluster.path().join("log/main-backup.log")).unwrap();
    let begin = killed.lines().rfind(|line| line.contains("backup command begin")).unwrap();
    let text = format!("{}\n{begin}\n", &killed[..killed.rfind("-----PROCESS").unwrap()]);
    fs::write(cluster.path().join("killed.log"), text).unwrap();
    let named = |name: &str| config(&format!("{keys}\njob_log = \"{name}\""));
    assert_eq!(look(&named("killed.log"), cluster.path()).await.unwrap().last_failure, None, "it may still be at it");
    let mut none = named("none.log").build(&context(cluster.path())).unwrap();
    let told = none.source.collect().await.unwrap();
    assert!(told.complete && told.problems[0].message.contains("none.log cannot be read: no such file"), "{:?}", told.problems);
    cluster.ok(&["pgbackrest", conf, "--stanza=main", "--type=incr", "backup"]).await;
    let seen = look(&config(keys), cluster.path()).await.unwrap();
    assert_eq!((seen.complaints.len(), seen.last_failure.map(|failure| failure.output.len())), (0, Some(failure.output.len())), "history is kept");
}

/// What damages a repository.
type Break<'a> = &'a dyn Fn(&Path);

/// A repository broken in each way: on a copy of it, by the tool itself. `info` of some of them is well: then the tool's own check tells.
async fn every_broken_state_is_told(cluster: &Cluster, keys: &str, copies: &[Copy]) {
    let settings = fs::read_to_string(cluster.path().join("c.conf")).unwrap();
    let (full, newest) = (copies[0].name.as_str(), copies[1].name.as_str());
    let (info, manifest) = ("backup/main/backup.info", format!("backup/main/{newest}/backup.manifest"));
    let both = |name: &str| [name.to_owned(), format!("{name}.copy")];
    let (infos, archives, manifests) = (both(info), both("archive/main/archive.info"), both(&manifest));
    let remove = |names: &[String], at: &Path| names.iter().for_each(|name| fs::remove_file(at.join(name)).unwrap());
    let empty = |names: &[String], at: &Path| names.iter().for_each(|name| fs::write(at.join(name), "").unwrap());
    let half = |names: &[String], at: &Path| {
        for name in names {
            let whole = fs::read(at.join(name)).unwrap();
            fs::write(at.join(name), &whole[..whole.len() / 2]).unwrap();
        }
    };
    let states: [(&str, Break<'_>, &str, &str); 13] = [
        ("its list of zero bytes", &|at| empty(&infos, at), "invalid checksum", ""),
        ("half its list", &|at| half(&infos, at), "FormatError", ""),
        ("no list of the archive", &|at| remove(&archives, at), "archive.info", ""),
        ("a list of the archive of zero bytes", &|at| empty(&archives, at), "archive.info", ""),
        ("no archive", &|at| fs::remove_dir_all(at.join("archive/main/15-1")).unwrap(), "is not in the archive", ""),
        ("an empty repository", &|at| ["archive", "backup"].iter().for_each(|name| fs::remove_dir_all(at.join(name)).unwrap()), "missing stanza path", ""),
        ("no repository", &|at| fs::remove_dir_all(at).unwrap(), "missing stanza path", ""),
        ("a file in its place", &|at| fs::remove_dir_all(at).and_then(|()| fs::write(at, "x")).unwrap(), "Not a directory", ""),
        ("another key", &|_| {}, "cipher header invalid", ""),
        ("a copy that is gone", &|at| fs::remove_dir_all(at.join("backup/main").join(full)).unwrap(), "", "file missing"),
        ("no manifest", &|at| remove(&manifests, at), "", "manifest missing"),
        ("a manifest of zero bytes", &|at| empty(&manifests, at), "", "status: invalid"),
        ("a file of zero bytes", &|at| empty(&[format!("backup/main/{full}/pg_data/base/1/1249")], at), "", "invalid checksum"),
    ];
    for (state, damage, told, checked) in states {
        let place = cluster.path().join("broken repo");
        cluster.ok(&["cp", "-a", &cluster.at("repo"), place.to_str().unwrap()]).await;
        damage(&place);
        let key = if state == "another key" { "\nrepo1-cipher-type=aes-256-cbc\nrepo1-cipher-pass=guessed-wrong" } else { "" };
        let changed = settings.replace(&format!("{}\n", cluster.at("repo")), &format!("{}{key}\n", place.display()));
        fs::write(cluster.path().join("broken.conf"), changed).unwrap();
        let broken = config(&keys.replace("c.conf", "broken.conf"));
        let said = match look(&broken, cluster.path()).await {
            Err(error) => error.message,
            Ok(seen) => seen.complaints.join("; "),
        };
        assert!(said.contains(told) && said.is_empty() == told.is_empty(), "{state}: {said:?}");
        if told.is_empty() {
            let repository = broken.repository(&context(cluster.path())).unwrap().unwrap();
            let check = repository.check().await.unwrap();
            assert!(!check.ok && check.message.contains(checked), "{state}: {check:?}");
        }
        let _ = if place.is_dir() { fs::remove_dir_all(&place) } else { fs::remove_file(&place) };
    }
    // What is odd and no damage: one of two lists, a lock whose holder is gone, a place with spaces, a backup that broke off.
    let place = cluster.path().join("odd repo");
    cluster.ok(&["cp", "-a", &cluster.at("repo"), place.to_str().unwrap()]).await;
    fs::write(place.join(info), "").unwrap();
    fs::write(cluster.path().join("lock/main-backup.lock"), "999999\n").unwrap();
    cluster.give(&cluster.path().join("lock/main-backup.lock"));
    cluster.folder("odd repo/backup/main/20991231-235959F");
    let changed = settings.replace(&format!("{}\n", cluster.at("repo")), &format!("{}\n", place.display()));
    fs::write(cluster.path().join("broken.conf"), changed).unwrap();
    let seen = look(&config(&keys.replace("c.conf", "broken.conf")), cluster.path()).await.unwrap();
    assert_eq!((seen.complaints.clone(), seen.snapshots, seen.locks.len()), (Vec::<String>::new(), 2, 0));
    assert!(seen.runs.iter().all(|run| run.ok.is_some()), "none runs: {:?}", seen.runs);
}

fn stanza(now: Timestamp, change: impl FnOnce(&mut Value)) -> String {
    let stop = now.timestamp() - 3_600;
    let mut value = json!([{"name": "main", "cipher": "none", "status": {"code": 0, "message": "ok", "lock": {"backup": {"held": false}}},
        "db": [{"id": 1, "repo-key": 1, "system-id": 7710201999574300942u64, "version": "15"}],
        "repo": [{"key": 1, "cipher": "none", "status": {"code": 0, "message": "ok"}}],
        "archive": [{"id": "15-1", "min": "000000010000000000000001", "max": "000000010000000000000004", "database": {"id": 1, "repo-key": 1}}],
        "backup": [{"label": "20261120-104136F", "type": "full", "prior": null, "reference": null, "error": false,
            "timestamp": {"start": stop - 2, "stop": stop}, "lsn": {"start": "0/2000028", "stop": "0/2000100"},
            "archive": {"start": "000000010000000000000002", "stop": "000000010000000000000002"},
            "info": {"size": 22992596, "delta": 22992596, "repository": {"size": 3043477, "delta": 3043477}},
            "database": {"id": 1, "repo-key": 1}, "backrest": {"format": 5, "version": "2.45"}}]}]);
    change(&mut value[0]);
    value.to_string()
}

#[test]
fn what_info_says_is_not_taken_for_better_than_it_is() {
    let now = clock::now();
    let judged = |change: &dyn Fn(&mut Value)| {
        let (mut backup, problems) = parse::info(&stanza(now, change), "main", now)?;
        parse::behind(&mut backup, 93_600, now);
        Ok::<_, SourceError>((backups::judge(backup, &Promise::default(), now), problems.len()))
    };
    let (fine, problems) = judged(&|_| {}).unwrap();
    assert_eq!((fine.complaints.len(), problems, fine.age_s), (0, 0, Some(3_600)));
    let (running, _) = judged(&|it| it["status"]["lock"]["backup"]["held"] = json!(true)).unwrap();
    assert_eq!((running.runs.len(), running.runs[0].ok), (1, None));
    let second = json!({"key": 2, "status": {"code": 99, "message": "[HostConnectError] unable to connect"}});
    for (change, words) in [
        (&(|it: &mut Value| it["backup"][0]["error"] = json!(true)) as &dyn Fn(&mut Value), "20261120-104136F: page checksums are wrong"),
        (
            &|it: &mut Value| it["archive"][0]["max"] = Value::Null,
            "20261120-104136F: its WAL 000000010000000000000002 to 000000010000000000000002 is not in the archive",
        ),
        (
            &|it: &mut Value| it["archive"][0]["min"] = json!("000000010000000000000003"),
            "20261120-104136F: its WAL 000000010000000000000002 to 000000010000000000000002 is not in the archive",
        ),
    ] {
        let (seen, _) = judged(change).unwrap();
        assert_eq!((seen.last_success, seen.complaints.as_slice()), (None, &[words.to_owned()][..]));
    }
    let (future, _) = judged(&|it| it["backup"][0]["timestamp"]["stop"] = json!(now.timestamp() + 86_400)).unwrap();
    assert!(future.complaints.iter().any(|said| said.contains("in the future")), "{:?}", future.complaints);
    assert_eq!((future.last_success, future.places[0].newest), (None, None), "it is not the newest good one");
    let (two, problems) = judged(&|it| {
        it["repo"].as_array_mut().unwrap().push(second.clone());
        it["status"] = json!({"code": 4, "message": "different across repos"});
    })
    .unwrap();
    assert_eq!(
        (two.complaints.as_slice(), problems),
        (&["repo2: [HostConnectError] unable to connect".to_owned(), "repo2 is behind: no good copy".to_owned()][..], 1)
    );
    let error = judged(&|it| (it["backup"], it["status"]) = (json!([]), json!({"code": 99, "message": "other"}))).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Missing);
    for text in ["[]", "{}", "[{\"name\":\"main\"}]"] {
        assert_eq!(parse::info(text, "main", now).unwrap_err().kind, ErrorKind::Protocol, "{text}");
    }
    assert!(parse::verified("", &[]).is_err());
    let end = "P00   INFO: verify command end: completed successfully";
    let labels = ["20261121-212517F".to_owned()];
    let verified = |lines: &str| parse::verified(&format!("P00   INFO: stanza: main\n{lines}\n{end}"), &labels).unwrap();
    let well = "status: ok\n archiveId: 15-1, total WAL checked: 4, total valid WAL: 4\n  missing: 0, checksum invalid: 0, size invalid: 0, other: 0\n \
        backup: 20261121-212517F, status: valid, total files checked: 964, total valid files: 964\n  missing: 0, checksum invalid: 0, size invalid: 0, other: 0";
    assert_eq!(verified(well), [""; 0]);
    for (from, to, bad) in [
        ("status: valid, total files checked: 964", "status: manifest missing, total files checked: 0", "status: manifest missing"),
        ("other: 0\n backup", "other: 12\n backup", "other: 12"),
        ("212517F", "999999F", "20261121-212517F: nothing is said of it"),
        ("archiveId: 15-1,", "archiveId: none found", "none found"),
    ] {
        let found = verified(&well.replace(from, to));
        assert!(found.len() == 1 && found[0].contains(bad), "{found:?}");
    }
}

#[tokio::test]
async fn the_source_keeps_the_contract_of_commands() {
    let answer = stanza(clock::now(), |_| {});
    let answers = commands::suite(&answer, |tool| {
        let mut context = context(Path::new("/"));
        context.common.timeout = Some(commands::TIMEOUT);
        config(&format!("stanza = \"main\"\ncommand = [{:?}]", tool.to_str().unwrap())).build(&context).unwrap().source
    })
    .await;
    for (faulty, kind) in [
        (Faulty::Missing, ErrorKind::Missing),
        (Faulty::Silent, ErrorKind::Protocol),
        (Faulty::Half, ErrorKind::Protocol),
        (Faulty::Flood, ErrorKind::TooLarge),
        (Faulty::Hang, ErrorKind::Timeout),
        (Faulty::Fails, ErrorKind::Missing),
        (Faulty::FailsAfterAnswer, ErrorKind::Missing),
        (Faulty::Killed, ErrorKind::Missing),
    ] {
        assert_eq!(kind_of(&answers, faulty), Some(kind), "{faulty:?}");
    }
}

#[test]
fn wrong_values_are_told_and_an_untrusted_configuration_runs_nothing() {
    let keys = |text: &str| config(text).check().into_iter().map(|complaint| complaint.path.join(".")).collect::<Vec<_>>();
    assert_eq!(keys("stanza = \"--config=x\"\ncommand = []\nmax_age = \"0s\"\ncheck = { every = \"1m\" }"), ["stanza", "command", "max_age", "check.every"]);
    let mut untrusted = context(Path::new("/"));
    untrusted.trusted = false;
    let config = config("stanza = \"main\"");
    assert!(config.build(&untrusted).is_err() && config.repository(&untrusted).unwrap().is_err());
    assert_eq!(config.commands(), [["pgbackrest"]]);
}
