//! Repositories that real servers on loopback have, reached by restic's own means: REST, S3, SFTP.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::testing::backups::{deaf, refused, told};
use crate::testing::sshd::Sshd;
use crate::testing::{port, serve};

/// A password in an address, and the keys of a service.
const HUSH: &str = "hush-hush-hush";

/// What restic is told of a repository: its address, and more of its environment as the configuration has it.
struct At {
    address: String,
    env: String,
    /// Options of its own.
    options: Vec<String>,
}

impl At {
    fn keys(&self, shop: &Shop, program: &Path) -> String {
        let command: Vec<String> = std::iter::once(program.display().to_string()).chain(self.options.iter().cloned()).collect();
        let (cache, env) = (shop.path("cache-of-rounds"), &self.env);
        format!("repository = {:?}\npassword = \"open-sesame\"\ncommand = {command:?}\nenv = {{ RESTIC_CACHE_DIR = {cache:?}{env} }}", self.address)
    }

    async fn refused(&self, shop: &Shop, patience: Duration) -> SourceError {
        let error = refused(&config(&self.keys(shop, Path::new("restic"))), &context(shop.dir.path()), patience).await;
        assert!(!format!("{error:?}").contains(HUSH), "{error:?}");
        error
    }
}

const LONG: Duration = Duration::from_secs(300);

/// A snapshot there is told, browsed, checked and restored by a whole drill; nothing of ours is in the arguments of restic or in what is told.
async fn is_like_one_at_hand(shop: &Shop, at: &At, place: &str) {
    let options: Vec<&str> = at.options.iter().map(String::as_str).collect();
    shop.run(&[options.as_slice(), &["init"]].concat()).await;
    let then = (clock::now() - chrono::TimeDelta::hours(3)).format("%Y-%m-%d %H:%M:%S").to_string();
    shop.run(&[options.as_slice(), &["backup", "data", "--host", "web1", "--time", &then]].concat()).await;
    let (program, notes) = shop.noting().await;
    let scratch = shop.path("scratch");
    fs::create_dir(&scratch).unwrap();
    let drill = format!("drill = {{ scratch = {scratch:?}, assert.files = [\"**/dump.sql\"] }}");
    let keys = format!("{}\n{drill}", at.keys(shop, &program));
    let seen = look(shop.dir.path(), &keys).await.unwrap();
    assert_eq!((verdict(&seen, clock::now()), seen.snapshots, seen.complaints.as_slice()), (Verdict::Ok, 1, [].as_slice()));
    assert_eq!((seen.copies[0].size_bytes, seen.places[0].name.as_str()), (Some(50_003), place));
    assert!(seen.repository_bytes.is_some_and(|bytes| bytes > 50_000) && seen.free_bytes.is_none());
    let repository = desk_of(shop, &keys);
    let below = repository.files(&seen.copies[0].name, "data/a b").await.unwrap();
    assert_eq!(below[0].path, "data/a b/new\nline;$(touch oops)");
    let check = repository.check().await.unwrap();
    assert!(check.ok, "{check:?}");
    let drill = drilled(repository, shop.dir.path(), &scratch).await.unwrap();
    assert!(drill.ok && !drill.assertions.is_empty(), "{drill:?}");
    let notes = fs::read_to_string(notes).unwrap();
    assert!(notes.contains("snapshots") && notes.contains("restore") && notes.contains("check"), "{notes}");
    for told in [notes, format!("{seen:?}{check:?}{drill:?}")] {
        assert!(!told.contains(HUSH) && !told.contains("open-sesame"), "{told}");
    }
}

#[tokio::test]
async fn a_repository_behind_rest_is_like_one_at_hand() {
    let (Some(mut shop), Some(rclone)) = (bare(), testing::tool("rclone")) else { return };
    let port = port();
    let words = ["serve", "restic", "--config", "/dev/null", "--addr", &format!("127.0.0.1:{port}"), "--user", "me", "--pass", HUSH, "served"];
    let argv = std::iter::once(rclone.display().to_string()).chain(words.map(str::to_owned)).collect();
    fs::create_dir(shop.path("served")).unwrap();
    let server = serve(argv, shop.dir.path(), port).await;
    let at =
        |user: &str, port: u16, folder: &str| At { address: format!("rest:http://{user}@127.0.0.1:{port}/{folder}/"), env: String::new(), options: Vec::new() };
    let good = at(&format!("me:{HUSH}"), port, "shop");
    shop.set("RESTIC_REPOSITORY", &good.address);
    is_like_one_at_hand(&shop, &good, "127.0.0.1").await;

    let stranger = at("me:guessed", port, "shop").refused(&shop, LONG).await;
    told(&stranger, ErrorKind::Auth, &["refuses us", "401", "me:***@"]);
    let missing = at(&format!("me:{HUSH}"), port, "nowhere").refused(&shop, LONG).await;
    told(&missing, ErrorKind::Missing, &["there is no repository at rest:http://me:***@127.0.0.1"]);
    // A pack is gone: restic tries again and again, and is not let.
    for pack in files(&shop.path("served/shop/data")) {
        fs::remove_file(pack).unwrap();
    }
    let _ = fs::remove_dir_all(shop.path("cache-of-rounds"));
    let keys = good.keys(&shop, Path::new("restic"));
    let seen = look(shop.dir.path(), &keys).await.unwrap();
    assert!(seen.complaints[0].starts_with("is damaged: restic gets no further: Load(<data/"), "{:?}", seen.complaints);
    let check = desk_of(&shop, &keys).check().await.unwrap();
    assert!(!check.ok && check.message.contains("does not exist"), "{check:?}");
    assert!(files(&shop.path("served/shop")).iter().all(|path| !path.to_string_lossy().contains("/locks/")), "the check left its lock");

    server.abort();
    let _ = server.await;
    let down = good.refused(&shop, LONG).await;
    told(&down, ErrorKind::Connect, &["is not reached", "connection refused"]);
    let (_listener, silent) = deaf().await;
    let unheard = at(&format!("me:{HUSH}"), silent, "shop").refused(&shop, Duration::from_secs(2)).await;
    told(&unheard, ErrorKind::Timeout, &["did not end within 2s and said nothing"]);
    assert!(unheard.remedy.contains("rest:http://me:***@127.0.0.1"), "{unheard:?}");
}

#[tokio::test]
async fn a_repository_in_s3_is_like_one_at_hand() {
    let (Some(mut shop), Some(python)) = (bare(), testing::python("moto.server").await) else { return };
    let port = port();
    let argv = [&python, "-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()].map(str::to_owned);
    let server = serve(argv.to_vec(), shop.dir.path(), port).await;
    let env = |id: &str| format!(", AWS_ACCESS_KEY_ID = \"{id}\", AWS_SECRET_ACCESS_KEY = \"{HUSH}\"");
    let at = |port: u16, path: &str, env: &str| At { address: format!("s3:http://127.0.0.1:{port}/{path}"), env: env.to_owned(), options: Vec::new() };
    let good = at(port, "shop-bucket/nightly", &env("AKIASHOP"));
    for (name, value) in [("RESTIC_REPOSITORY", good.address.as_str()), ("AWS_ACCESS_KEY_ID", "AKIASHOP"), ("AWS_SECRET_ACCESS_KEY", HUSH)] {
        shop.set(name, value);
    }
    is_like_one_at_hand(&shop, &good, "s3").await;

    let missing = at(port, "no-such-bucket/nightly", &env("AKIASHOP")).refused(&shop, LONG).await;
    told(&missing, ErrorKind::Missing, &["there is no repository at s3:http://127.0.0.1", "bucket does not exist"]);
    let missing = at(port, "shop-bucket/weekly", &env("AKIASHOP")).refused(&shop, LONG).await;
    told(&missing, ErrorKind::Missing, &["there is no repository at s3:http://127.0.0.1"]);
    // From now on it looks who asks.
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let strict = "POST /moto-api/reset-auth HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 1\r\nConnection: close\r\n\r\n0";
    stream.write_all(strict.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("200 OK"), "{answer}");
    let stranger = at(port, "shop-bucket/nightly", &env("AKIASTRANGER")).refused(&shop, LONG).await;
    told(&stranger, ErrorKind::Auth, &["refuses us", "Access Key Id"]);

    server.abort();
    let _ = server.await;
    let down = good.refused(&shop, LONG).await;
    told(&down, ErrorKind::Connect, &["is not reached", "connection refused"]);
    let (_listener, silent) = deaf().await;
    let unheard = at(silent, "shop-bucket/nightly", &env("AKIASHOP")).refused(&shop, Duration::from_secs(2)).await;
    told(&unheard, ErrorKind::Timeout, &["did not end within 2s"]);
}

#[tokio::test]
async fn a_repository_behind_sftp_is_like_one_at_hand() {
    let (Some(mut shop), Some(mut sshd)) = (bare(), Sshd::start().await) else { return };
    let base = shop.dir.path().display().to_string();
    let at = |sshd: &Sshd, key: &str, folder: &str| {
        let client = format!("sftp.command={} 127.0.0.1 -s sftp", sshd.client(key).join(" "));
        At { address: format!("sftp:127.0.0.1:{base}/{folder}"), env: String::new(), options: vec!["-o".to_owned(), client] }
    };
    let good = at(&sshd, "key", "far repo");
    shop.set("RESTIC_REPOSITORY", &good.address);
    is_like_one_at_hand(&shop, &good, "127.0.0.1").await;

    // restic does not always pass on what ssh said.
    let unheard = |error: &SourceError| error.message.contains("unable to start the sftp session") && error.remedy.contains("run `ssh`");
    let stranger = at(&sshd, "stranger", "far repo").refused(&shop, LONG).await;
    if !unheard(&stranger) {
        told(&stranger, ErrorKind::Auth, &["refuses us", "Permission denied (publickey"]);
    }
    told(&at(&sshd, "key", "nowhere").refused(&shop, LONG).await, ErrorKind::Missing, &["there is no repository at sftp:127.0.0.1:"]);
    sshd.stop().await;
    let down = good.refused(&shop, LONG).await;
    told(&down, ErrorKind::Connect, &["is not reached", if unheard(&down) { "" } else { "Connection refused" }]);
    let (_listener, silent) = deaf().await;
    sshd.port = silent;
    let unheard = at(&sshd, "key", "far repo").refused(&shop, Duration::from_secs(2)).await;
    told(&unheard, ErrorKind::Timeout, &["did not end within 2s and said nothing"]);
}
