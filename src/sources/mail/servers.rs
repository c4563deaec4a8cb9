//! A real IMAP server, and servers that do everything wrong. For tests only.

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::tests::{built, context, look, mail};
use super::*;
use crate::config::model::Entry;
use crate::domain::ErrorKind;
use crate::sources::contract::Authority;
use crate::sources::runner;
use crate::testing::{port, serve, tool};

/// Dovecot on two loopback ports, for one maildir, with a certificate of an authority of its own.
struct Dovecot {
    directory: tempfile::TempDir,
    plain: u16,
    secure: u16,
    running: tokio::task::JoinHandle<()>,
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl Dovecot {
    async fn start() -> Option<Self> {
        let program = tool("dovecot")?;
        let directory = tempfile::tempdir().unwrap();
        let (d, plain, secure) = (directory.path().display().to_string(), port(), port());
        let authority = Authority::new();
        let (certificate, key) = authority.issue("localhost");
        for (name, text) in
            [("ca.pem", authority.pem()), ("cert.pem", certificate), ("key.pem", key), ("pw", "open-sesame\n".into()), ("wrong", "guess\n".into())]
        {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        for name in ["run", "home", "Maildir", "Maildir/new", "Maildir/cur", "Maildir/tmp"] {
            std::fs::create_dir(directory.path().join(name)).unwrap();
            std::fs::set_permissions(directory.path().join(name), std::fs::Permissions::from_mode(0o777)).unwrap();
        }
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        // It never reads mail as root; without root it can be nobody but us.
        let me = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap();
        let group = nix::unistd::Group::from_gid(nix::unistd::getegid()).unwrap().unwrap().name;
        let (user, ours) = if nix::unistd::geteuid().is_root() {
            ("uid=nobody gid=nogroup".to_owned(), String::new())
        } else {
            let chroots = "service anvil {\n chroot =\n}\nservice imap-login {\n chroot =\n}\nservice stats {\n chroot =\n}\n";
            let ours = format!("default_internal_user = {0}\ndefault_internal_group = {group}\ndefault_login_user = {0}\n{chroots}", me.name);
            (format!("uid={} gid={group}", me.name), ours)
        };
        let text = format!(
            "base_dir = {d}/run\nlog_path = {d}/log\nprotocols = imap\nlisten = 127.0.0.1\nssl = yes\nssl_cert = <{d}/cert.pem\nssl_key = <{d}/key.pem\n\
             disable_plaintext_auth = no\nmail_location = maildir:{d}/Maildir\npassdb {{\n driver = static\n args = password=open-sesame\n}}\n\
             userdb {{\n driver = static\n args = {user} home={d}/home\n}}\n{ours}\
             service imap-login {{\n inet_listener imap {{\n port = {plain}\n }}\n inet_listener imaps {{\n port = {secure}\n ssl = yes\n }}\n}}\n"
        );
        std::fs::write(directory.path().join("conf"), text).unwrap();
        let argv = [program.display().to_string(), "-F".into(), "-c".into(), format!("{d}/conf")];
        let running = serve(argv.to_vec(), directory.path(), plain).await;
        Some(Self { directory, plain, secure, running })
    }

    fn deliver(&self, name: &str, text: &str) {
        let path = self.directory.path().join("Maildir/new").join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    }

    /// Names of mails with their flags.
    fn mails(&self) -> Vec<String> {
        let of = |part: &str| std::fs::read_dir(self.directory.path().join("Maildir").join(part)).unwrap().map(move |entry| entry.unwrap().file_name());
        let mut all: Vec<String> = of("new").chain(of("cur")).map(|name| name.to_string_lossy().into_owned()).collect();
        all.sort();
        all
    }
}

#[tokio::test]
async fn a_folder_of_a_real_server_is_read_and_left_as_it_is() {
    let Some(server) = Dovecot::start().await else { return };
    let dir = server.directory.path();
    for n in [17, 18] {
        server.deliver(&format!("{n}.a.host"), &mail(n));
    }
    let keys = |scheme: &str, folder: &str, password: &str, more: &str| {
        let (host, port) = if scheme == "imap" { ("127.0.0.1", server.plain) } else { ("localhost", server.secure) };
        format!("url = \"{scheme}://{host}:{port}/{folder}\"\nuser = \"ops\"\npassword = {{ file = \"{password}\" }}\n{more}")
    };
    let plain = built(dir, &keys("imap", "INBOX", "pw", ""));
    let secure = built(dir, &keys("imaps", "INBOX", "pw", "ca = \"ca.pem\""));
    for mut source in [plain, secure] {
        let before = server.mails();
        let batch = look(&mut *source).await.unwrap();
        assert_eq!(
            (batch.looked_back, batch.lines, batch.groups[0].count, batch.groups[0].culprit.as_str()),
            (true, before.len() as u64, before.len() as u64, "basket/views.py:41 in get")
        );
        assert_eq!(look(&mut *source).await.unwrap().lines, 0);
        let next = format!("{}.b.host", 19 + before.len());
        server.deliver(&next, &mail(19));
        let batch = look(&mut *source).await.unwrap();
        assert_eq!((batch.looked_back, batch.lines, batch.groups[0].count), (false, 1, 1));
        // Nothing was marked as seen, moved or removed.
        let mut expected = before;
        expected.push(next);
        expected.sort();
        assert_eq!(server.mails(), expected);
    }
    for (keys, kind, words) in [
        (keys("imap", "INBOX", "wrong", ""), ErrorKind::Auth, "refused the login of ops"),
        (keys("imap", "Nowhere", "pw", ""), ErrorKind::Config, "there is no folder Nowhere"),
        (keys("imaps", "INBOX", "pw", ""), ErrorKind::Tls, "certificate"),
        (keys("imaps", "INBOX", "pw", "ca = \"pw\""), ErrorKind::Config, "holds no certificate"),
        (keys("imaps", "INBOX", "pw", "ca = \"none.pem\""), ErrorKind::Config, "cannot be read"),
    ] {
        let error = look(&mut *built(dir, &keys)).await.unwrap_err();
        assert!(error.kind == kind && error.message.contains(words) && !error.remedy.is_empty(), "{keys}: {error:?}");
    }
    // Plain where TLS is spoken, and the other way round.
    let crossed = format!("url = \"imaps://localhost:{}\"\nuser = \"ops\"\npassword = {{ file = \"pw\" }}\nca = \"ca.pem\"", server.plain);
    assert_eq!(look(&mut *built(dir, &crossed)).await.unwrap_err().kind, ErrorKind::Tls);
}

/// What a server does wrong, after it has greeted and let in where that is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Accepts and says nothing.
    Hang,
    /// One byte of a greeting now and then.
    Drip,
    /// A greeting without end.
    EndlessGreeting,
    /// Lines without end instead of an answer to EXAMINE.
    EndlessAnswer,
    /// Says nothing to EXAMINE.
    HangLater,
    /// Announces a mail of a gigabyte, and sends it.
    Gigabyte,
    /// Closes in the middle of a mail.
    HalfMail,
    /// Closes after the login.
    Gone,
    /// Refuses the login, and repeats the password.
    Echo,
    /// Answers with control characters and an escape sequence.
    Controls,
    /// No mail has a number.
    BadNumbers,
}

const PASSWORD: &str = "hush-7f3a91c2";

/// Serves one fault until the test's runtime ends.
async fn faulty(fault: Fault) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (read, mut write) = stream.into_split();
                let mut lines = BufReader::new(read).lines();
                let piece = vec![b'x'; 64 << 10];
                match fault {
                    Fault::Hang => std::future::pending().await,
                    Fault::Drip => {
                        for byte in b"* OK ".iter().chain(std::iter::repeat(&b'x')) {
                            if write.write_all(&[*byte]).await.is_err() {
                                return;
                            }
                            tokio::time::sleep(Duration::from_millis(100)).await;
                        }
                    }
                    Fault::EndlessGreeting => while write.write_all(&piece).await.is_ok() {},
                    _ => {}
                }
                let _ = write.write_all(b"* OK ready\r\n").await;
                while let Ok(Some(line)) = lines.next_line().await {
                    let (tag, command) = line.split_once(' ').unwrap_or((&line, ""));
                    let answer = match (fault, command.split(' ').next().unwrap_or_default()) {
                        (Fault::Echo, "LOGIN") => format!("{tag} NO not with {PASSWORD}\r\n"),
                        (Fault::Controls, "LOGIN") => format!("{tag} NO \u{1b}]52;c;x\u{7} no\r\n"),
                        (Fault::Gone, "EXAMINE") => return,
                        (Fault::HangLater, "EXAMINE") => std::future::pending().await,
                        (Fault::EndlessAnswer, "EXAMINE") => {
                            while write.write_all(&b"* 1 EXISTS\r\n".repeat(5_000)).await.is_ok() {}
                            return;
                        }
                        (_, "EXAMINE") => format!("* 1 EXISTS\r\n* OK [UIDVALIDITY 5] x\r\n* OK [UIDNEXT 9] x\r\n{tag} OK done\r\n"),
                        (Fault::BadNumbers, "UID") => format!("* SEARCH a b -3\r\n{tag} OK done\r\n"),
                        (_, "UID") if command.starts_with("UID SEARCH") => format!("* SEARCH 8\r\n{tag} OK done\r\n"),
                        (Fault::Gigabyte | Fault::HalfMail, "UID") => {
                            let _ = write.write_all(b"* 1 FETCH (UID 8 BODY[]<0> {1073741824}\r\n").await;
                            let mut sent = 0;
                            while (fault == Fault::Gigabyte || sent < 3) && write.write_all(&piece).await.is_ok() {
                                sent += 1;
                            }
                            return;
                        }
                        _ => format!("{tag} OK done\r\n"),
                    };
                    if write.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_of_a_server_is_told_in_time_and_keeps_the_secret() {
    const LIMIT: Duration = Duration::from_secs(3);
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("pw"), format!("{PASSWORD}\n")).unwrap();
    let late = AtomicBool::new(false);
    for (fault, kinds) in [
        (Fault::Hang, &[ErrorKind::Timeout][..]),
        (Fault::Drip, &[ErrorKind::Timeout]),
        (Fault::HangLater, &[ErrorKind::Timeout]),
        // A slow machine may need longer for it than there is.
        (Fault::EndlessGreeting, &[ErrorKind::TooLarge, ErrorKind::Protocol, ErrorKind::Timeout]),
        (Fault::EndlessAnswer, &[ErrorKind::TooLarge, ErrorKind::Protocol, ErrorKind::Timeout]),
        (Fault::Gigabyte, &[ErrorKind::TooLarge, ErrorKind::Protocol, ErrorKind::Timeout]),
        (Fault::HalfMail, &[ErrorKind::Protocol]),
        (Fault::Gone, &[ErrorKind::Protocol]),
        (Fault::Echo, &[ErrorKind::Auth]),
        (Fault::Controls, &[ErrorKind::Auth]),
        (Fault::BadNumbers, &[ErrorKind::Protocol]),
    ] {
        let port = faulty(fault).await;
        let keys = format!("url = \"imap://127.0.0.1:{port}\"\nuser = \"ops\"\npassword = {{ file = \"pw\" }}");
        let config: Config = toml::from_str(&keys).unwrap();
        let mut context = context(dir.path());
        context.common.timeout = Some(LIMIT);
        let entry = Entry { id: context.id.clone(), config: Arc::new(config), context };
        let begun = Instant::now();
        let polled = runner::once(vec![entry], LIMIT * 2, 1).await.remove(0);
        late.fetch_or(begun.elapsed() > LIMIT * 2 + Duration::from_secs(5), Ordering::Relaxed);
        let Err(error) = polled.result else { panic!("{fault:?} was not noticed") };
        assert!(kinds.contains(&error.kind), "{fault:?}: {error:?}");
        assert!(!error.message.contains(PASSWORD) && !error.remedy.is_empty(), "{fault:?}: {error:?}");
    }
    assert!(!late.load(Ordering::Relaxed), "a fault held the poll for longer than its time");
}
