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

/// Ports that were free a moment ago.
fn port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Starts a server, killed with its group when the task is aborted; waits until it listens.
async fn serve(argv: Vec<String>, base: &Path, port: u16) -> tokio::task::JoinHandle<()> {
    let program = Program::new(argv).directory(base);
    let running = tokio::spawn(async move {
        let output = exec::run(&program, Limits::within(Duration::from_secs(180))).await;
        eprintln!("the server ended: {output:?}");
    });
    for _ in 0..600 {
        if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            break;
        }
        assert!(!running.is_finished(), "the server ended");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    running
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
    let python = std::env::var("ROUNDS_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let probe = exec::run(&Program::new(vec![python.clone(), "-c".into(), "import gunicorn".into()]), Limits::within(Duration::from_secs(60))).await;
    if !probe.is_ok_and(|output| output.ending.success()) {
        assert!(std::env::var_os("ROUNDS_REQUIRE_TOOLS").is_none(), "gunicorn is not installed for {python}: name a Python in ROUNDS_TEST_PYTHON");
        eprintln!("skipped: gunicorn is not installed for {python}");
        return;
    }
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
