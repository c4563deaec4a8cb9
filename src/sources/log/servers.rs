//! What real servers write, read: nginx, gunicorn, and the journal where there is one. For tests only.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::domain::{Level, LogEvent, SourceId};
use crate::io::exec::{self, Limits, Program};
use crate::sources::Common;
use crate::testing::sshd::Sshd;
use crate::testing::{port, serve};

/// Everything a source tells until `enough`.
struct Told {
    source: Box<dyn Source>,
    events: Vec<LogEvent>,
    formats: Vec<String>,
    statuses: [u64; 5],
    durations: u64,
}

impl Told {
    fn new(base: &Path, text: &str) -> Self {
        let id = SourceId::parse("shop/log/real").unwrap();
        let context = BuildContext { id, common: Common::default(), base: base.to_owned(), trusted: true, zone: None, cache: None, state: None };
        let config: Config = toml::from_str(text).unwrap();
        assert!(config.check().is_empty(), "{:?}", config.check());
        Self { source: config.build(&context).unwrap().source, events: Vec::new(), formats: Vec::new(), statuses: [0; 5], durations: 0 }
    }

    async fn until(&mut self, enough: impl Fn(&Self) -> bool) {
        let begun = std::time::Instant::now();
        while !enough(self) {
            assert!(begun.elapsed() < Duration::from_secs(90), "never enough: {:?} {:?}", self.events, self.statuses);
            let Ok(Ok(collected)) = tokio::time::timeout(Duration::from_secs(1), self.source.collect()).await else { continue };
            for observation in collected.observations {
                let Data::Log(batch) = observation.data else { panic!("no log") };
                self.formats = batch.about.iter().map(|file| file.format.clone()).chain([batch.format]).collect();
                self.events.extend(batch.events);
                for minute in batch.access.iter().flat_map(|access| &access.minutes) {
                    for (into, count) in self.statuses.iter_mut().zip(minute.statuses) {
                        *into += count;
                    }
                    self.durations += minute.latency_ms.count();
                }
            }
        }
    }
}

async fn get(port: u16, path: &str) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: a \"quoted\" one\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut answer)).await;
}

#[tokio::test]
async fn what_nginx_writes_is_understood() {
    let Some(nginx) = crate::testing::tool("nginx") else { return };
    let directory = tempfile::tempdir().unwrap();
    let (d, port) = (directory.path().display(), port());
    let text = format!(
        "daemon off; master_process off; pid {d}/pid; error_log {d}/error.log info; events {{ }}\n\
         http {{ client_body_temp_path {d}/b; proxy_temp_path {d}/p; fastcgi_temp_path {d}/f; uwsgi_temp_path {d}/u; scgi_temp_path {d}/s;\n\
         log_format timed '$host $remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \"$http_referer\" \"$http_user_agent\" rt=$request_time uct=\"$upstream_connect_time\"';\n\
         log_format bare '$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \"$http_referer\" \"$http_user_agent\" $request_time';\n\
         log_format object escape=json '{{\"time\":\"$time_iso8601\",\"request\":\"$request\",\"status\":\"$status\",\"request_time\":\"$request_time\"}}';\n\
         access_log {d}/combined.log combined; access_log {d}/timed.log timed; access_log {d}/bare.log bare; access_log {d}/object.log object;\n\
         server {{ listen 127.0.0.1:{port}; location /ok/ {{ return 200 'ok'; }} location /broken/ {{ return 503; }}\n\
         location /file/ {{ root {d}; }} }} }}\n"
    );
    fs::write(directory.path().join("n.conf"), text).unwrap();
    let argv = [nginx.display().to_string(), "-p".into(), d.to_string(), "-c".into(), format!("{d}/n.conf")];
    let running = serve(argv.to_vec(), directory.path(), port).await;
    for n in 0..6 {
        get(port, &format!("/ok/{n}/?q=\"{n}\"")).await;
    }
    get(port, "/broken/").await;
    get(port, "/file/none").await;
    for (name, durations) in [("combined.log", 0), ("timed.log", 8), ("bare.log", 8), ("object.log", 8)] {
        let mut told = Told::new(directory.path(), &format!("path = '{name}'"));
        told.until(|told| told.statuses.iter().sum::<u64>() >= 8).await;
        assert_eq!((told.statuses, told.durations), ([0, 6, 0, 1, 1], durations), "{name}: {:?}", told.events);
        assert_eq!(told.formats[0], if name == "object.log" { "json" } else { "access" }, "{name}");
        let levels = |level| told.events.iter().filter(|event| event.level == level).count();
        assert_eq!((levels(Level::Error), levels(Level::Warning)), (1, 1), "{name}: {:?}", told.events);
        let now = clock::now();
        assert!(told.events.iter().all(|event| (now - event.at).num_seconds().abs() < 3_600), "{name}");
    }
    let mut told = Told::new(directory.path(), "path = 'error.log'");
    let missing = |event: &LogEvent| event.level == Level::Error && event.message.contains("file/none");
    told.until(|told| told.events.iter().any(missing)).await;
    assert_eq!(told.formats[0], "nginx");
    running.abort();
    let _ = running.await;
}

#[tokio::test]
async fn what_gunicorn_writes_is_understood() {
    let Some(python) = crate::testing::python("gunicorn").await else { return };
    let directory = tempfile::tempdir().unwrap();
    let port = port();
    let application = "def app(environ, start):\n    path = environ['PATH_INFO']\n    if path == '/crash/':\n        raise KeyError('currency')\n    start('503 No' if path == '/broken/' else '200 OK', [])\n    return [b'ok']\n";
    fs::write(directory.path().join("shop_app.py"), application).unwrap();
    let form = r#"%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s" %(D)s"#;
    let bind = format!("127.0.0.1:{port}");
    let argv = [&python, "-m", "gunicorn", "-b", &bind, "-w", "1", "--access-logfile", "access.log", "--access-logformat", form]
        .into_iter()
        .chain(["--error-logfile", "error.log", "shop_app:app"])
        .map(str::to_owned);
    let running = serve(argv.collect(), directory.path(), port).await;
    for path in ["/a/", "/b/", "/broken/", "/crash/"] {
        get(port, path).await;
    }
    let mut told = Told::new(directory.path(), "path = 'access.log'");
    told.until(|told| told.statuses.iter().sum::<u64>() >= 3).await;
    // Some versions log the request that crashed, others do not.
    let failed = told.statuses[4];
    assert_eq!((told.statuses[1], told.durations, told.formats[0].as_str()), (2, 2 + failed, "access"), "{:?}", told.events);
    assert!((1..=2).contains(&failed), "{:?}", told.events);
    let mut told = Told::new(directory.path(), "path = 'error.log'");
    told.until(|told| told.events.iter().any(|event| event.detail.iter().any(|line| line.contains("KeyError")))).await;
    assert_eq!(told.formats[0], "gunicorn");
    assert!(told.events.iter().any(|event| event.level == Level::Info && event.message.contains("Booting worker")));
    running.abort();
    let _ = running.await;
}

#[tokio::test]
async fn what_the_journal_of_systemd_prints_is_understood() {
    let (Some(journalctl), Some(remote)) = (crate::testing::tool("journalctl"), crate::testing::tool("systemd-journal-remote")) else { return };
    let directory = tempfile::tempdir().unwrap();
    // The export format (systemd.io/JOURNAL_EXPORT_FORMATS): a text of several lines or of other bytes has its length before it.
    let mut export = Vec::new();
    let traceback =
        "Internal Server Error: /x\nTraceback (most recent call last):\n  File \"/srv/shop/basket/views.py\", line 13, in total\n    f()\nKeyError: 'currency'";
    let now = clock::now().timestamp_micros();
    let messages: [(&[u8], u8); 5] =
        [(b"all is well", 6), ("caf\u{e9} is shut".as_bytes(), 4), (b"caf\xe9 \x1b[31mred\x1b[0m", 4), (traceback.as_bytes(), 3), (b"out of memory", 2)];
    for (at, (message, priority)) in (1_i64..).zip(messages) {
        let at = now - 10_000_000 + at * 1_000_000;
        let head = format!(
            "__REALTIME_TIMESTAMP={at}\n__MONOTONIC_TIMESTAMP={}\n_BOOT_ID=6c7a1f1c0cf84bd1a8c10e8e5d9a0000\n_MACHINE_ID=6c7a1f1c0cf84bd1a8c10e8e5d9a0001\n\
             PRIORITY={priority}\nSYSLOG_IDENTIFIER=shop\n_PID=12\n_SYSTEMD_UNIT=shop.service\nMESSAGE\n",
            at - now + 10_000_000
        );
        export.extend_from_slice(head.as_bytes());
        export.extend_from_slice(&(message.len() as u64).to_le_bytes());
        export.extend_from_slice(message);
        export.extend_from_slice(b"\n\n");
    }
    fs::write(directory.path().join("export"), export).unwrap();
    let made = Program::new(vec![remote.display().to_string(), "-o".into(), "x.journal".into(), "export".into()]).directory(directory.path());
    let made = exec::run(&made, Limits::within(Duration::from_secs(60))).await.unwrap();
    assert!(made.ending.success(), "{made:?}");
    let mut told = Told::new(directory.path(), &format!("command = ['sh', '-c', '{} -o json --file x.journal; exec sleep 600']", journalctl.display()));
    told.until(|told| told.events.len() >= 5).await;
    assert_eq!(told.formats.last().unwrap(), "journald");
    let seen: Vec<(Level, &str)> = told.events.iter().map(|event| (event.level, event.message.as_str())).collect();
    let expected = [
        (Level::Info, "all is well"),
        (Level::Warning, "caf\u{e9} is shut"),
        (Level::Warning, "caf\u{e9} \u{1b}[31mred\u{1b}[0m"),
        (Level::Error, "Internal Server Error: /x"),
        (Level::Critical, "out of memory"),
    ];
    assert_eq!(seen, expected);
    assert_eq!(told.events[3].detail.last().unwrap(), "KeyError: 'currency'");
    assert!(told.events.iter().all(|event| (clock::now() - event.at).num_seconds().abs() < 120), "{:?}", told.events);
}

/// A remote command as the configuration writes it.
fn command(sshd: &Sshd, remote: &str) -> String {
    let argv: Vec<String> = sshd.client("key").into_iter().chain(["127.0.0.1".to_owned(), remote.to_owned()]).collect();
    format!("command = {argv:?}")
}

#[tokio::test]
async fn a_log_on_another_machine_is_followed_and_a_lost_connection_is_seen_at_once() {
    use crate::config::model::Entry;
    use crate::domain::{ErrorKind, LogNotice};
    use crate::sources::runner::{Runner, RunnerOptions};
    use crate::state::Msg;
    let Some(mut remote) = Sshd::start().await else { return };
    let log = remote.directory.path().join("app.log");
    fs::write(&log, "").unwrap();
    let write = |line: &str| {
        let mut file = fs::OpenOptions::new().append(true).open(&log).unwrap();
        std::io::Write::write_all(&mut file, format!("ERROR:shop:{line}\n").as_bytes()).unwrap();
    };
    // The first line tells which process serves the connection, to be killed as a network does.
    let text = command(&remote, &format!("echo INFO:shop:served by $PPID; exec tail -n0 -F {}", log.display()));
    let id = SourceId::parse("shop/log/remote").unwrap();
    let context = BuildContext {
        id: id.clone(),
        common: Common::default(),
        base: remote.directory.path().to_owned(),
        trusted: true,
        zone: None,
        cache: None,
        state: None,
    };
    let config: Config = toml::from_str(&text).unwrap();
    assert!(config.check().is_empty());
    let (tx, mut messages) = mpsc::channel(64);
    let runner = Runner::start(vec![Entry { id, config: Arc::new(config), context }], &tx, &RunnerOptions::default());
    let mut notices: Vec<LogNotice> = Vec::new();
    let mut events: Vec<String> = Vec::new();
    let mut errors: Vec<(std::time::Instant, SourceError)> = Vec::new();
    // Takes in what comes until `enough`.
    macro_rules! until {
        ($what:literal, $enough:expr) => {
            let begun = std::time::Instant::now();
            while !$enough {
                assert!(begun.elapsed() < Duration::from_secs(90), "{} never came: {events:?} {errors:?}", $what);
                let Ok(Some(Msg::Polled(polled))) = tokio::time::timeout(Duration::from_secs(1), messages.recv()).await else { continue };
                match polled.result {
                    Ok(collected) => {
                        for observation in collected.observations {
                            let Data::Log(batch) = observation.data else { panic!("no log") };
                            events.extend(batch.events.into_iter().map(|event| event.message));
                            notices.extend(batch.marks.into_iter().map(|mark| mark.notice));
                        }
                    }
                    Err(error) => errors.push((std::time::Instant::now(), error)),
                }
            }
        };
    }
    let served = |events: &[String]| events.iter().filter_map(|event| event.strip_prefix("shop:served by ")?.parse::<i32>().ok()).collect::<Vec<_>>();
    until!("the connection", !served(&events).is_empty());
    // `tail` may open the file a moment after the shell spoke.
    tokio::time::sleep(Duration::from_millis(500)).await;
    write("one");
    until!("a remote line", events.iter().any(|event| event == "shop:one"));
    assert!(errors.is_empty(), "{errors:?}");

    let killed = std::time::Instant::now();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(served(&events)[0]), nix::sys::signal::Signal::SIGKILL).unwrap();
    until!("the loss", !errors.is_empty());
    let (at, error) = &errors[0];
    assert!(error.kind == ErrorKind::Connect && error.message.contains("ssh ended"), "{error:?}");
    assert!(at.duration_since(killed) < Duration::from_secs(15), "it was seen {:?} later", at.duration_since(killed));
    until!("the next connection", served(&events).len() == 2);
    assert!(notices.contains(&LogNotice::Reconnected), "{notices:?}");
    tokio::time::sleep(Duration::from_millis(500)).await;
    write("two");
    until!("a line after it", events.iter().any(|event| event == "shop:two"));

    // The machine is gone: asked again, and less and less often.
    let before = errors.len();
    remote.stop().await;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(served(&events)[1]), nix::sys::signal::Signal::SIGKILL).unwrap();
    until!("three refusals", errors.len() >= before + 4);
    let gaps: Vec<Duration> = errors[before..].windows(2).map(|two| two[1].0.duration_since(two[0].0)).collect();
    assert!(gaps[1] > gaps[0] && gaps[2] > gaps[1], "{gaps:?}");
    assert!(errors.last().unwrap().1.message.contains("refused"), "{errors:?}");
    remote.serve().await;
    until!("the connection after the outage", served(&events).len() == 3);
    remote.stop().await;
    runner.stop().await;
}
