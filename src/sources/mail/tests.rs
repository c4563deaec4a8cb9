//! Mails as disks and servers hold them.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use super::*;
use crate::domain::{ErrorKind, SourceId};
use crate::sources::Common;

const BODY: &str = "Internal Server Error: /basket/17/

ValueError at /basket/17/
bad basket 17

Traceback (most recent call last):
  File \"/srv/shop/basket/views.py\", line 41, in get
    raise ValueError(f\"bad basket {n}\")
    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

Exception Type: ValueError at /basket/17/
Exception Value: bad basket 17
Request information:
USER: ana
";

pub(super) fn mail(n: u32) -> String {
    let body = BODY.replace("17", &n.to_string());
    format!(
        "Subject: [Django] ERROR (EXTERNAL IP): Internal Server Error: /basket/{n}/\nFrom: root@shop.example\nDate: Sat, 21 Nov 2026 09:24:{:02} -0000\n\n{body}",
        n % 60
    )
}

pub(super) fn context(dir: &Path) -> BuildContext {
    BuildContext {
        id: SourceId::parse("shop/mail/admins").unwrap(),
        common: Common::default(),
        base: dir.to_owned(),
        trusted: true,
        zone: None,
        cache: None,
        state: None,
    }
}

pub(super) fn built(dir: &Path, keys: &str) -> Box<dyn Source> {
    toml::from_str::<Config>(keys).unwrap().build(&context(dir)).unwrap().source
}

pub(super) async fn look(source: &mut dyn Source) -> Result<LogBatch, SourceError> {
    match source.collect().await?.observations.remove(0).data {
        Data::Log(batch) => Ok(batch),
        other => panic!("{other:?}"),
    }
}

fn settled(path: &Path) {
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(clock::now().timestamp()).unwrap() - 60);
    fs::File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
}

fn maildir(dir: &Path) {
    for part in ["new", "cur", "tmp"] {
        fs::create_dir_all(dir.join("Maildir").join(part)).unwrap();
    }
}

#[tokio::test]
async fn a_maildir_is_read_once_whatever_is_done_to_its_mails() {
    let dir = tempfile::tempdir().unwrap();
    maildir(dir.path());
    let box_ = dir.path().join("Maildir");
    fs::write(box_.join("new/1.a.web1"), mail(17)).unwrap();
    fs::write(box_.join("cur/2.b.web1:2,S"), mail(18)).unwrap();
    fs::write(box_.join("tmp/3.c.web1"), mail(19)).unwrap();
    fs::write(box_.join("cur/4.d.web1:2,S"), "Subject: lunch?\n\nFriday?\n").unwrap();
    fs::write(box_.join("cur/5.e.web1:2,S"), [0xff_u8, 0, 13, 10, 0xfe].repeat(1_000)).unwrap();
    let mut source = built(dir.path(), "path = \"Maildir\"");
    let batch = look(&mut *source).await.unwrap();
    assert!(batch.looked_back);
    let [group] = batch.groups.as_slice() else { panic!("{:?}", batch.groups) };
    assert_eq!((group.title.as_str(), group.culprit.as_str(), group.count), ("ValueError: bad basket 18", "basket/views.py:41 in get", 2).clone());
    assert_eq!((batch.lines, batch.events.len(), batch.format.as_str()), (4, 2, "mail"));
    // Read by a person, a flag added, one new: only that one is news.
    fs::rename(box_.join("new/1.a.web1"), box_.join("cur/1.a.web1:2,RS")).unwrap();
    fs::rename(box_.join("tmp/3.c.web1"), box_.join("new/3.c.web1")).unwrap();
    let batch = look(&mut *source).await.unwrap();
    assert_eq!((batch.looked_back, batch.lines, batch.groups[0].count), (false, 1, 1));
    assert_eq!(look(&mut *source).await.unwrap().lines, 0);
    // All is as it was.
    assert_eq!(fs::read_dir(box_.join("new")).unwrap().count(), 1);
    fs::remove_dir_all(&box_).unwrap();
    assert_eq!(look(&mut *source).await.unwrap_err().kind, ErrorKind::Missing);
}

#[tokio::test]
async fn an_mbox_is_read_from_where_it_was_left_and_anew_when_it_was_rewritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mbox");
    let entry = |n: u32| format!("From root@shop.example Sat Nov 21 09:24:45 2026\n{}\n>From here on\n\n", mail(n));
    fs::write(&path, entry(17) + &entry(18)).unwrap();
    settled(&path);
    let mut source = built(dir.path(), "path = \"mbox\"");
    assert_eq!(look(&mut *source).await.unwrap().groups[0].count, 2);
    assert_eq!(look(&mut *source).await.unwrap().lines, 0);
    // Being delivered: not before it is whole.
    let half = entry(19);
    fs::write(&path, entry(17) + &entry(18) + &half[..half.len() / 2]).unwrap();
    assert_eq!(look(&mut *source).await.unwrap().lines, 0);
    fs::write(&path, entry(17) + &entry(18) + &half).unwrap();
    settled(&path);
    fs::write(dir.path().join("mbox.lock"), "").unwrap();
    assert_eq!(look(&mut *source).await.unwrap().lines, 0, "whoever delivers holds it");
    fs::remove_file(dir.path().join("mbox.lock")).unwrap();
    let batch = look(&mut *source).await.unwrap();
    assert_eq!((batch.lines, batch.looked_back), (1, false));
    // A mail program removed the first one.
    fs::write(&path, entry(18) + &half).unwrap();
    settled(&path);
    let batch = look(&mut *source).await.unwrap();
    assert_eq!((batch.lines, batch.looked_back), (2, true));
    fs::write(&path, "2026-11-20 03:12:01 INFO started\n").unwrap();
    settled(&path);
    assert_eq!(look(&mut *source).await.unwrap_err().kind, ErrorKind::Config);
}

#[tokio::test]
async fn huge_and_many_mails_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    maildir(dir.path());
    let new = dir.path().join("Maildir/new");
    fs::write(new.join("0.big"), mail(17) + &"attachment ".repeat(1 << 20)).unwrap();
    for n in 0..600 {
        fs::write(new.join(format!("{n}.x")), mail(n)).unwrap();
    }
    let batch = look(&mut *built(dir.path(), "path = \"Maildir\"")).await.unwrap();
    assert_eq!((batch.lines, batch.groups.iter().map(|group| group.count).sum::<u64>(), batch.events.len()), (601, 500, EVENTS));
}

#[tokio::test]
async fn wrong_places_and_keys_are_told() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("folder")).unwrap();
    for (keys, kind) in [("path = \"none\"", ErrorKind::Missing), ("path = \"folder\"", ErrorKind::Config), ("path = \"/dev/null\"", ErrorKind::Config)] {
        assert_eq!(look(&mut *built(dir.path(), keys)).await.unwrap_err().kind, kind, "{keys}");
    }
    for (keys, word) in [
        ("", "need `path`"),
        ("path = \"a\"\nurl = \"imaps://b/INBOX\"", "not both"),
        ("path = \"a\"\nuser = \"ana\"", "of an IMAP folder"),
        ("url = \"https://mail.example/\"\nuser = \"a\"\npassword = { env = \"P\" }", "no IMAP folder"),
        ("url = \"imap://mail.example/\"\nuser = \"a\"\npassword = { env = \"P\" }", "bare"),
        ("url = \"imaps://ana:pw@mail.example/\"\nuser = \"a\"\npassword = { env = \"P\" }", "name or a password"),
        ("url = \"imaps://mail.example/\"\npassword = { env = \"P\" }", "needs `user`"),
        ("url = \"imaps://mail.example/\"\nuser = \"a\"", "needs `password`"),
        ("url = \"imap://127.0.0.1/\"\nuser = \"a\"\npassword = { env = \"P\" }\nca = \"ca.pem\"", "no certificate to verify"),
        ("path = \"a\"\nca = \"ca.pem\"", "of an IMAP folder"),
        ("path = \"a\"\nredact = [\"(\"]", "regular expression"),
    ] {
        let complaints = toml::from_str::<Config>(keys).unwrap().check();
        assert!(complaints.iter().any(|complaint| complaint.message.contains(word)), "{keys}: {complaints:?}");
    }
}

/// A server that is as strict as RFC 3501 where it matters here: it refuses what could change a folder or mark a mail.
async fn server(mails: Arc<std::sync::Mutex<Vec<(u32, String)>>>, validity: Arc<std::sync::atomic::AtomicU32>) -> u16 {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (mails, validity) = (mails.clone(), validity.clone());
            tokio::spawn(async move {
                let (read, mut write) = stream.into_split();
                let mut lines = BufReader::new(read).lines();
                write.write_all(b"* OK ready\r\n").await.unwrap();
                while let Ok(Some(line)) = lines.next_line().await {
                    let (tag, command) = line.split_once(' ').unwrap();
                    let known = mails.lock().unwrap().clone();
                    let mut answer = String::new();
                    let end = if command.starts_with("LOGIN ") {
                        if command.contains("open-sesame") { "OK done" } else { "NO wrong password" }
                    } else if command.starts_with("EXAMINE") && command.contains("INBOX") {
                        let next = known.last().map_or(1, |(uid, _)| uid + 1);
                        let validity = validity.load(std::sync::atomic::Ordering::Relaxed);
                        answer =
                            format!("* {} EXISTS\r\n* 0 RECENT\r\n* FLAGS ()\r\n* OK [UIDVALIDITY {validity}] x\r\n* OK [UIDNEXT {next}] x\r\n", known.len());
                        "OK [READ-ONLY] done"
                    } else if command.starts_with("EXAMINE") {
                        "NO no such folder"
                    } else if let Some(query) = command.strip_prefix("UID SEARCH ") {
                        // As servers do: `n:*` gives the last one even if it is below n.
                        let from: u32 = query.strip_prefix("UID ").and_then(|rest| rest.split(':').next()?.parse().ok()).unwrap_or(0);
                        let mut uids: Vec<u32> = known.iter().map(|(uid, _)| *uid).filter(|uid| *uid >= from).collect();
                        if uids.is_empty() {
                            uids.extend(known.last().map(|(uid, _)| *uid));
                        }
                        answer = format!("* SEARCH {}\r\n", uids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
                        "OK done"
                    } else if command.starts_with("UID FETCH ") && command.contains("BODY.PEEK[]<0.") && !command.contains("BODY[") {
                        let set = command.split(' ').nth(2).unwrap();
                        for wanted in set.split(',').filter_map(|uid| uid.parse::<u32>().ok()) {
                            if let Some(place) = known.iter().position(|(uid, _)| *uid == wanted) {
                                let body = &known[place].1;
                                answer += &format!(
                                    "* {} FETCH (UID {wanted} INTERNALDATE \"21-Nov-2026 09:24:45 +0000\" BODY[]<0> {{{}}}\r\n{body})\r\n",
                                    place + 1,
                                    body.len()
                                );
                            }
                        }
                        "OK done"
                    } else if command == "NOOP" {
                        "OK done"
                    } else if command == "LOGOUT" {
                        answer = "* BYE\r\n".to_owned();
                        "OK done"
                    } else {
                        "BAD this changes something"
                    };
                    if write.write_all(format!("{answer}{tag} {end}\r\n").as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

#[tokio::test]
async fn an_imap_folder_is_read_by_uid_and_never_changed() {
    let dir = tempfile::tempdir().unwrap();
    let mails = Arc::new(std::sync::Mutex::new(vec![(3, mail(17)), (7, mail(18))]));
    let validity = Arc::new(std::sync::atomic::AtomicU32::new(5));
    let port = server(mails.clone(), validity.clone()).await;
    fs::write(dir.path().join("pw"), "open-sesame\n").unwrap();
    let keys = |folder: &str, file: &str| format!("url = \"imap://127.0.0.1:{port}/{folder}\"\nuser = \"ops\"\npassword = {{ file = \"{file}\" }}");
    let mut source = built(dir.path(), &keys("INBOX", "pw"));
    let batch = look(&mut *source).await.unwrap();
    assert_eq!((batch.looked_back, batch.groups[0].count), (true, 2));
    let batch = look(&mut *source).await.unwrap();
    assert_eq!((batch.looked_back, batch.lines), (false, 0));
    mails.lock().unwrap().push((9, mail(19)));
    assert_eq!(look(&mut *source).await.unwrap().lines, 1);
    // The server made its folder anew.
    validity.store(6, std::sync::atomic::Ordering::Relaxed);
    let batch = look(&mut *source).await.unwrap();
    assert_eq!((batch.looked_back, batch.lines), (true, 3));
    fs::write(dir.path().join("wrong"), "guess\n").unwrap();
    assert_eq!(look(&mut *built(dir.path(), &keys("INBOX", "wrong"))).await.unwrap_err().kind, ErrorKind::Auth);
    assert_eq!(look(&mut *built(dir.path(), &keys("Nowhere", "pw"))).await.unwrap_err().kind, ErrorKind::Config);
}

#[tokio::test]
async fn servers_that_are_none_are_told_and_waited_for_in_bounds() {
    use tokio::io::AsyncWriteExt;
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("pw"), "open-sesame\n").unwrap();
    for (said, kind) in [
        (&b""[..], ErrorKind::Protocol),
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", ErrorKind::Protocol),
        (b"* BYE full\r\n", ErrorKind::Protocol),
        (b"\xff\xfe\r\n\r\n", ErrorKind::Protocol),
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.write_all(said).await;
            let _ = stream.shutdown().await;
        });
        let keys = format!("url = \"imap://127.0.0.1:{port}\"\nuser = \"ops\"\npassword = {{ file = \"pw\" }}");
        let mut source = built(dir.path(), &keys);
        let result = tokio::time::timeout(Duration::from_secs(20), look(&mut *source)).await.expect("it ends");
        assert_eq!(result.unwrap_err().kind, kind, "{said:?}");
        task.await.unwrap();
        // Nobody listens any more.
        assert_eq!(look(&mut *source).await.unwrap_err().kind, ErrorKind::Connect);
    }
}

/// What the Django that is installed here really mails. `ROUNDS_TEST_PYTHON` names its Python.
#[tokio::test]
async fn what_the_installed_django_mails_is_understood() {
    use crate::io::exec::{Limits, Program, run};
    let python = std::env::var("ROUNDS_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let limits = Limits::within(Duration::from_secs(120));
    let probe = run(&Program::new(vec![python.clone(), "-c".into(), "import django".into()]), limits).await;
    if !probe.is_ok_and(|output| output.ending.success()) {
        assert!(std::env::var_os("ROUNDS_REQUIRE_TOOLS").is_none(), "Django is not installed for {python}: name a Python in ROUNDS_TEST_PYTHON");
        eprintln!("skipped: Django is not installed for {python}");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("basket")).unwrap();
    let script = dir.path().join("basket/views.py");
    fs::write(&script, include_str!("fixtures/django_site.py")).unwrap();
    let sent = dir.path().join("sent");
    let output = run(&Program::new(vec![python, script.display().to_string(), sent.display().to_string()]), limits).await.unwrap();
    assert!(output.ending.success(), "{}", output.last_error_line());
    maildir(dir.path());
    // Mails of one second may share a file there, each ended by a line of dashes.
    let line = format!("\n{}\n", "-".repeat(79));
    for entry in fs::read_dir(&sent).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        for (number, mail) in text.split(&line).filter(|mail| !mail.trim().is_empty()).enumerate() {
            fs::write(dir.path().join("Maildir/new").join(format!("{}-{number}", path.file_stem().unwrap().display())), mail).unwrap();
        }
    }
    let batch = look(&mut *built(dir.path(), "path = \"Maildir\"")).await.unwrap();
    let found: Vec<(&str, &str, u64)> = batch.groups.iter().map(|group| (group.title.as_str(), group.culprit.as_str(), group.count)).collect();
    let basket = found.iter().find(|(title, ..)| title.starts_with("ValueError: bad basket 1")).unwrap();
    assert!(basket.0.ends_with("für Zoë") && basket.1.ends_with("in basket") && basket.2 == 2, "{found:?}");
    assert!(found.iter().any(|(title, culprit, count)| (*title, *culprit, *count) == ("payment refused order 17", "", 1)), "{found:?}");
}
