//! Barman itself, with a server of its own; what it prints in other states; tools that misbehave.

use std::fs;

use serde_json::json;

use super::super::Common;
use super::super::contract::commands::{self, Faulty, kind_of};
use super::*;
use crate::actions::drill::tests::drilled;
use crate::domain::{Backup, ErrorKind, SourceId};
use crate::io::exec;
use crate::testing::postgres::Cluster;
use crate::testing::tool as installed;

fn context(base: &Path) -> BuildContext {
    BuildContext {
        id: SourceId::parse("shop/barman/main").unwrap(),
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

/// One server through all that happens to it: it takes a while to make.
#[tokio::test]
async fn a_real_server_in_every_state() {
    if installed("barman").is_none() {
        return;
    }
    let Some(cluster) = Cluster::start(|_| "wal_level = replica\nmax_wal_senders = 4\n".to_owned()).await else { return };
    let dir = cluster.path().to_owned();
    cluster.folder("home");
    let programs = PathBuf::from(cluster.command("initdb").pop().unwrap());
    let text = format!(
        "[barman]\nbarman_user = {}\nbarman_home = {home}\nbarman_lock_directory = {home}\nlog_file = {home}/log\nlog_level = INFO\n\n[main]\ndescription = main\nconninfo = host={socket} user=postgres dbname=postgres\nstreaming_conninfo = host={socket} user=postgres\nbackup_method = postgres\nstreaming_archiver = on\nslot_name = barman\ncreate_slot = auto\nminimum_redundancy = 1\nlast_backup_maximum_age = 1 DAYS\npath_prefix = {}\n",
        cluster.user(),
        programs.parent().unwrap().display(),
        home = cluster.at("home"),
        socket = cluster.at("s"),
    );
    fs::write(dir.join("b.conf"), text).unwrap();
    let conf = cluster.at("b.conf");
    let keys = format!("server = \"main\"\nconfig = \"b.conf\"\ncommand = {:?}\ncheck = {{ every = \"7d\", data = \"all\" }}", cluster.command("barman"));
    let main = config(&keys);
    assert_eq!(main.check(), []);
    let error = look(&main, &dir).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Nothing);

    cluster.ok(&["barman", "-c", &conf, "receive-wal", "--create-slot", "main"]).await;
    let mut receiving = exec::start(&cluster.program(&["barman", "-c", &conf, "receive-wal", "main"])).unwrap();
    let (mut out, mut err) = (receiving.take_stdout().unwrap(), receiving.take_stderr().unwrap());
    tokio::spawn(async move { tokio::io::copy(&mut out, &mut tokio::io::sink()).await });
    tokio::spawn(async move { tokio::io::copy(&mut err, &mut tokio::io::sink()).await });
    // The first WAL must have arrived before a backup may begin.
    for _ in 0..20 {
        if cluster.run(&["barman", "-c", &conf, "switch-wal", "--force", "--archive", "--archive-timeout", "5", "main"]).await.ending.success()
            && fs::read_dir(dir.join("home/main/wals")).is_ok_and(|mut all| all.next().is_some())
        {
            break;
        }
    }
    cluster.fill().await;
    cluster.ok(&["barman", "-c", &conf, "backup", "--immediate-checkpoint", "main"]).await;
    let mut seen = look(&main, &dir).await.unwrap();
    // Until the WAL that it needs has arrived it is no good copy.
    for _ in 0..20 {
        if seen.copies[0].complete != Some(false) {
            break;
        }
        assert_eq!((seen.last_success, seen.copies[0].problem.as_deref()), (None, Some("waits for its WAL")));
        cluster.run(&["barman", "-c", &conf, "switch-wal", "--force", "--archive", "--archive-timeout", "5", "main"]).await;
        // What `barman cron` does: the backup is taken for done only then.
        cluster.run(&["barman", "-c", &conf, "check-backup", "main", "latest"]).await;
        seen = look(&main, &dir).await.unwrap();
    }
    assert_eq!((seen.complaints.clone(), seen.snapshots), (Vec::<String>::new(), 1), "{seen:?}");
    assert!(seen.age_s.unwrap() < 600 && seen.size_bytes.unwrap() > 10 << 20 && seen.repository_bytes.is_some());
    let copy = seen.copies[0].clone();
    assert!(parse::is_id(&copy.name) && copy.started.is_some() && copy.added_bytes.is_some(), "{copy:?}");

    let repository = main.repository(&context(&dir)).unwrap().unwrap();
    assert_eq!(repository.protects(), [dir.join("home")]);
    let checked = repository.check().await.unwrap();
    assert_eq!((checked.ok, checked.message.as_str()), (true, ""));
    let asserts = "assert = { tables = [\"orders\"], rows = { orders = 2, archived = 1 }, newest = { \"orders.created\" = \"1h\" } }";
    let drill = format!("drill = {{ scratch = \"drill\", {asserts} }}");
    let tried = |keys: &str| config(&format!("{keys}\n{drill}")).repository(&context(&dir)).unwrap().unwrap();
    let drilled_by = async |keys: &str| drilled(tried(keys), &dir, &dir.join("drill")).await;
    let drill = drilled_by(&keys).await.unwrap();
    assert!(drill.ok && drill.assertions.len() == 5, "{drill:#?}");
    assert_eq!((drill.copy.as_deref(), drill.phases.len()), (Some(copy.name.as_str()), 4));
    assert!(repository.by_hand(&copy).contains("recover"));
    let odd = Copy { name: "--remote-ssh-command=x".to_owned(), ..copy.clone() };
    assert!(repository.restore(&odd, &dir.join("home")).await.is_err());

    every_broken_state_is_told(&cluster, &keys, &copy).await;

    // The tool made to fail before it could enter the backup into its list: its log tells of it, and not of what rounds asked.
    let mode = |mode| fs::set_permissions(dir.join("home/main/base"), std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    mode(0o500);
    assert!(!cluster.run(&["barman", "-c", &conf, "backup", "--immediate-checkpoint", "main"]).await.ending.success());
    mode(0o700);
    let seen = look(&main, &dir).await.unwrap();
    let failure = seen.last_failure.unwrap();
    assert!(seen.complaints.iter().any(|said| said.starts_with("the last run failed: Backup failed starting backup")), "{:?}", seen.complaints);
    assert!(failure.started > seen.last_success && failure.output.iter().any(|line| line.contains("Permission denied")), "{failure:#?}");
    assert!(failure.output[0].contains("ERROR: Backup failed starting backup"), "{failure:#?}");

    // Files of the copy are damaged: only what reads them tells, of each.
    let base = dir.join("home/main/base").join(&copy.name);
    for file in ["base/1/1259", "base/1/1249"] {
        let file = base.join("data").join(file);
        let mut bytes = fs::read(&file).unwrap();
        bytes[100] ^= 0xff;
        fs::write(&file, bytes).unwrap();
    }
    let checked = repository.check().await.unwrap();
    let said = &checked.message;
    assert!(!checked.ok && said.starts_with("verify backup failure on directory") && said.contains("base/1/1259") && said.contains("base/1/1249"), "{said}");

    let info = fs::read_to_string(base.join("backup.info")).unwrap();
    for (state, words) in [("FAILED", "failed: no space left"), ("WAITING_FOR_WALS", "waits for its WAL")] {
        fs::write(base.join("backup.info"), info.replace("status=DONE", &format!("status={state}")).replace("error=None", "error=no space left")).unwrap();
        let seen = look(&main, &dir).await.unwrap();
        assert_eq!(seen.last_success, None, "{state}");
        assert!(seen.complaints.iter().any(|said| said.contains(words)), "{state}: {:?}", seen.complaints);
    }
    fs::write(base.join("backup.info"), "").unwrap();
    assert_eq!(look(&main, &dir).await.unwrap().last_success, None, "a disk that was full left an empty record");
    let error = look(&config(&keys.replace("\"main\"", "\"other\"")), &dir).await.unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Config, "barman: Unknown server 'other'"));
    let lost = look(&config(&keys.replace("b.conf", "lost.conf")), &dir).await.unwrap_err();
    assert!(lost.kind == ErrorKind::Missing && lost.message.contains("does not exist"), "{lost:?}");
    receiving.stop().await;
    cluster.stop().await;
}

/// What damages Barman's folder, and its configuration.
type Break<'a> = &'a dyn Fn(&Path, &mut String);

/// Barman's folder broken in each way: on a copy of it, by the tool itself. Where nothing is told at a look, the tool's own check does.
async fn every_broken_state_is_told(cluster: &Cluster, keys: &str, copy: &Copy) {
    let base = format!("main/base/{}", copy.name);
    let (info, data) = (format!("{base}/backup.info"), format!("{base}/data"));
    let write = |at: PathBuf, bytes: &[u8]| fs::write(at, bytes).unwrap();
    let garbage = [0x93, 0xf9, 0xff, 0x00, 0x1b, 0x5b];
    let states: [(&str, Break<'_>, &str, &str); 16] = [
        ("a record of garbage", &|at, _| write(at.join(&info), &garbage), "barman broke off: 'utf-8' codec can't decode", ""),
        (
            "half a record",
            &|at, _| {
                let whole = fs::read(at.join(&info)).unwrap();
                write(at.join(&info), &whole[..whole.len() / 2]);
            },
            // By where it is cut it is a backup that did not end, or what cannot be read.
            "barman",
            "",
        ),
        ("no record", &|at, _| fs::remove_file(at.join(&info)).unwrap(), "barman has no backup of main", ""),
        ("a list of WAL of garbage", &|at, _| write(at.join("main/wals/xlog.db"), &garbage), "barman broke off: ", ""),
        ("no list of WAL", &|at, _| fs::remove_file(at.join("main/wals/xlog.db")).unwrap(), "wal archive: failed", ""),
        ("no copies", &|at, _| fs::remove_dir_all(at.join("main/base")).unwrap(), "barman has no backup of main", ""),
        ("an empty folder", &|at, _| fs::remove_dir_all(at.join("main")).unwrap(), "barman has no backup of main", ""),
        ("no folder", &|at, _| fs::remove_dir_all(at).unwrap(), "no backup of main", ""),
        ("a file in its place", &|at, _| fs::remove_dir_all(at).and_then(|()| fs::write(at, "x")).unwrap(), "Not a directory", ""),
        ("permission denied", &|at, _| fs::set_permissions(at, std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap(), "Permission denied", ""),
        ("another server", &|at, _| write(at.join("main/identity.json"), b"{\"systemid\": \"1\"}"), "systemid coherence: failed", ""),
        ("a server that is down", &|_, text| *text = text.replace("conninfo = host=", "conninfo = host=/nowhere"), "postgresql: failed", ""),
        (
            "a clock from the future",
            &|at, _| {
                let text = fs::read_to_string(at.join(&info)).unwrap();
                let year = &copy.name[..4];
                write(at.join(&info), text.replace(&format!("_time={year}-"), "_time=2099-").as_bytes());
            },
            "is dated in the future",
            "",
        ),
        ("the files of the copy are gone", &|at, _| fs::remove_dir_all(at.join(&data)).unwrap(), "", "verify backup failure"),
        ("a file of zero bytes", &|at, _| write(at.join(&data).join("base/1/1249"), b""), "", "verify backup failure"),
        (
            "its WAL is gone",
            &|at, _| fs::read_dir(at.join("main/wals")).unwrap().flatten().for_each(|one| drop(fs::remove_dir_all(one.path()))),
            "",
            "WAL that the newest copy needs is lost",
        ),
    ];
    let settings = fs::read_to_string(cluster.path().join("b.conf")).unwrap();
    for (state, damage, told, checked) in states {
        let place = cluster.path().join("broken home");
        cluster.run(&["cp", "-a", &cluster.at("home"), place.to_str().unwrap()]).await;
        let mut changed = settings.replace(&cluster.at("home"), place.to_str().unwrap());
        damage(&place, &mut changed);
        fs::write(cluster.path().join("broken.conf"), changed).unwrap();
        let broken = config(&keys.replace("b.conf", "broken.conf"));
        let (said, good) = match look(&broken, cluster.path()).await {
            Err(error) => (error.message, false),
            Ok(seen) => (seen.complaints.join("; "), seen.last_success.is_some()),
        };
        assert!(said.contains(told), "{state}: {said:?}");
        // Nothing receives into a copy of the folder, which is told of each.
        assert!(good == told.is_empty() || said.contains(": failed") || said.contains("future"), "{state}: {said:?}");
        if told.is_empty() {
            let repository = broken.repository(&context(cluster.path())).unwrap().unwrap();
            let check = repository.check().await.unwrap();
            assert!(!check.ok && check.message.contains(checked), "{state}: {check:?}");
        }
        let _ = fs::set_permissions(&place, std::os::unix::fs::PermissionsExt::from_mode(0o700));
        let _ = if place.is_dir() { fs::remove_dir_all(&place) } else { fs::remove_file(&place) };
    }
    fs::write(cluster.path().join("broken.conf"), "garbage[").unwrap();
    let error = look(&config(&keys.replace("b.conf", "broken.conf")), cluster.path()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Missing, "{error:?}");
}

#[test]
fn what_is_listed_is_not_taken_for_better_than_it_is() {
    let now = clock::now();
    let done = |id: &str, hours: i64, at_is_text: bool| {
        let at = (now - chrono::TimeDelta::hours(hours)).timestamp();
        let at = if at_is_text { json!(at.to_string()) } else { json!(at) };
        json!({"backup_id": id, "backup_type": "full", "status": "DONE", "end_time": "Fri Nov 20 10:43:00 2026", "end_time_timestamp": at,
            "size": "38.1 MiB", "size_bytes": 39906819, "wal_size_bytes": 100, "retention_status": "OBSOLETE"})
    };
    let listed = |rows: serde_json::Value| parse::list(&json!({"_INFO": ["x"], "main": rows}).to_string(), "main", None, |_| None);
    let seen = listed(json!([done("20261120T104256", 2, true), done("20261119T104256", 26, false)])).unwrap();
    assert_eq!((seen.copies.len(), seen.repository_bytes, seen.copies[0].tags.as_slice()), (2, Some(2 * 39_906_919), &["obsolete".to_owned()][..]));
    // The newest is at it; one that others came after is not.
    let seen = listed(
        json!([{"backup_id": "20261120T114256", "status": "STARTED"}, done("20261120T104256", 2, true), {"backup_id": "20261119T114256", "status": "STARTED"}]),
    )
    .unwrap();
    assert_eq!(seen.runs.iter().map(|run| run.ok).collect::<Vec<_>>(), [Some(false), None]);
    assert_eq!(seen.last_failure.as_ref().unwrap().message, "20261119T114256 began and did not end");
    assert!(seen.complaints.is_empty(), "what failed before the newest copy is history: {:?}", seen.complaints);
    // One without its time is no copy that is known to be there.
    let seen = listed(json!([{"backup_id": "20261120T114256", "status": "DONE"}])).unwrap();
    assert_eq!((seen.copies.len(), seen.runs[0].ok), (0, Some(false)));
    assert_eq!(listed(json!([])).unwrap_err().kind, ErrorKind::Nothing);
    for text in ["", "[]", "{\"_ERROR\": []}", "{\"main\": {}}", "{\"main\": [{}]}"] {
        assert_eq!(parse::list(text, "main", None, |_| None).unwrap_err().kind, ErrorKind::Protocol, "{text}");
    }
    let checks = json!({"main": {"postgresql": {"status": "FAILED", "hint": "no\u{7} route"}, "ssh": {"status": "OK", "hint": ""}, "new_one": {"status": "WARNING"},
            "backup_maximum_age": {"status": "FAILED", "hint": "6 days"}, "directories": {"status": "FAILED"}, "a_new_one": {"status": "FAILED"}}});
    assert_eq!(
        parse::failed_checks(&checks.to_string(), "main").unwrap(),
        ["directories: failed", "postgresql: failed (no route)", "backup maximum age: failed (6 days)", "a new one: failed", "new one: warning"],
        "what others follow from stands first"
    );
    assert!(parse::failed_checks("{\"main\": {}}", "main").is_err() && parse::failed_checks("{\"main\": []}", "main").is_err());
    let spaces = json!({"main": [{"backup_id": "a", "tablespaces": [{"name": "fast", "location": "/x"}, "slow:/y"]}]}).to_string();
    assert_eq!(parse::tablespaces(&spaces, "main", "a"), ["fast", "slow"]);
}

#[tokio::test]
async fn the_source_keeps_the_contract_of_commands() {
    let at = clock::now().timestamp() - 7_200;
    let answer = json!({"main": [{"backup_id": "20261120T104256", "status": "DONE", "end_time_timestamp": at.to_string(), "size_bytes": 1}]}).to_string();
    // The other two calls are answered well: what is tried is the list.
    let others = "case \"$*\" in *' check '*) echo '{\"main\":{\"ssh\":{\"status\":\"OK\"}}}';; *show-backup*) echo '{\"main\":{}}';; *) exec \"$0\";; esac";
    let answers = commands::suite(&answer, |tool| {
        let mut context = context(Path::new("/"));
        context.common.timeout = Some(commands::TIMEOUT);
        config(&format!("server = \"main\"\ncommand = [\"sh\", \"-c\", {others:?}, {:?}]", tool.to_str().unwrap())).build(&context).unwrap().source
    })
    .await;
    for (faulty, kind) in [
        (Faulty::Silent, ErrorKind::Protocol),
        (Faulty::Half, ErrorKind::Protocol),
        (Faulty::Flood, ErrorKind::TooLarge),
        (Faulty::Hang, ErrorKind::Timeout),
        (Faulty::Fails, ErrorKind::Missing),
    ] {
        assert_eq!(kind_of(&answers, faulty), Some(kind), "{faulty:?}");
    }
}

#[test]
fn wrong_values_are_told_and_an_untrusted_configuration_runs_nothing() {
    let keys = |text: &str| config(text).check().into_iter().map(|complaint| complaint.path.join(".")).collect::<Vec<_>>();
    assert_eq!(keys("server = \"all\"\ncommand = [\"\"]\nmax_age = \"0s\""), ["server", "command", "max_age"]);
    let mut untrusted = context(Path::new("/"));
    untrusted.trusted = false;
    let config = config("server = \"main\"");
    assert!(config.build(&untrusted).is_err() && config.repository(&untrusted).unwrap().is_err());
}
