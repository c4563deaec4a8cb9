//! Mails of an IMAP folder, read from where the last look ended. The folder is opened by EXAMINE and mails are fetched by `BODY.PEEK`, so
//! nothing is marked as seen and nothing can be changed.
//!
//! Facts: RFC 3501, sections 6.3.2 (EXAMINE), 6.4.5 (`BODY.PEEK[]<…>`, a part of a mail), 2.3.1.1 (UIDs and UIDVALIDITY).
//! What does not belong here: what a mail says (`parse`).

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_imap::error::Error as ImapError;
use futures_util::TryStreamExt;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use url::Url;

use super::place::{AT_ONCE, Found, MAIL, Mail};
use crate::domain::{SourceError, Timestamp};
use crate::io::http;
use crate::io::secret::Secret;
use crate::sources::http::own_verifier;

/// A file of authorities is not larger.
const AUTHORITIES: u64 = 4 << 20;
/// Bytes of one look.
const BYTES: u64 = 64 << 20;
/// At the first look mails of so many days are read.
const DAYS: i64 = 14;
/// Mails of one request.
const CHUNK: usize = 50;

/// Where a folder is.
#[derive(Debug, Clone)]
pub struct Place {
    /// `imaps://host[:port]/FOLDER`, or `imap:` on this machine.
    pub url: Url,
    /// Whose.
    pub user: String,
    /// Authorities to verify the server with, instead of the system's.
    pub ca: Option<PathBuf>,
}

/// How far it was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    validity: Option<u32>,
    next: u32,
}

impl Place {
    /// The folder: the path of the address, `INBOX` without one.
    pub fn folder(&self) -> String {
        let path = percent_decoded(self.url.path().trim_matches('/'));
        if path.is_empty() { "INBOX".to_owned() } else { path }
    }

    fn port(&self) -> u16 {
        self.url.port().unwrap_or(if self.url.scheme() == "imaps" { 993 } else { 143 })
    }

    /// Host and port.
    pub fn address(&self) -> (String, u16) {
        (self.url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned(), self.port())
    }
}

/// `%20` and its like in a folder's name.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = (*first == b'%').then(|| after.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok())).flatten();
        match hex {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A connection that gives at most so many bytes: a server that talks without end must not fill memory.
#[derive(Debug)]
struct Capped<S> {
    inner: S,
    left: u64,
}

impl<S: AsyncRead + Unpin> AsyncRead for Capped<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(io::Error::other(TooMuch)));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(context, buffer);
        self.left = self.left.saturating_sub((buffer.filled().len() - before) as u64);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Capped<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

/// The server sent more than is read in one look.
#[derive(Debug, thiserror::Error)]
#[error("more than {} MB in one look", BYTES >> 20)]
struct TooMuch;

fn failed(error: ImapError) -> SourceError {
    match error {
        ImapError::Io(error) if error.get_ref().and_then(|inner| inner.downcast_ref::<TooMuch>()).is_some() => SourceError::too_large(BYTES),
        // The crate wraps what it could not parse, with all of its bytes.
        ImapError::Io(error) if matches!(error.kind(), io::ErrorKind::Other | io::ErrorKind::InvalidData) => {
            SourceError::protocol("what the mail server says is no IMAP that can be read")
        }
        ImapError::Io(error) => SourceError::protocol(format!("the mail server: {error}")),
        ImapError::No(said) | ImapError::Bad(said) => SourceError::protocol(format!("the mail server refused: {said}")),
        ImapError::ConnectionLost => SourceError::protocol("the mail server closed the connection"),
        other => SourceError::protocol(format!("the mail server's answer cannot be read: {other}")),
    }
}

/// Looks at the folder once.
///
/// # Errors
/// When the server cannot be reached, refuses, or cannot be understood.
pub async fn look(place: &Place, password: &Secret, memory: &mut Memory, now: Timestamp) -> Result<Found, SourceError> {
    let (host, port) = place.address();
    let unreachable = |error: &io::Error| SourceError::connect(format!("{host}:{port}: {error}"));
    let addresses = http::resolve(&host, port).await.map_err(|error| unreachable(&error))?;
    let stream = http::connect(&addresses).await.map_err(|error| unreachable(&error))?;
    if place.url.scheme() == "imaps" {
        let verifier = match &place.ca {
            Some(path) => own_verifier(&read_file(path).await?, path)?,
            None => http::platform_verifier().map_err(|error| SourceError::tls(error.to_string()))?,
        };
        let config = rustls::ClientConfig::builder_with_provider(http::provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| SourceError::tls(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        let name =
            ServerName::try_from(host.clone()).map_err(|_| SourceError::config(format!("\"{host}\" is no name of a server"), "write imaps://host/INBOX"))?;
        let untrusted = |error: io::Error| {
            let mut told = SourceError::tls(format!("{host}:{port}: {error}"));
            "renew or install the server's certificate; `ca` names authorities of your own".clone_into(&mut told.remedy);
            told
        };
        let secured = TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(untrusted)?;
        read(Capped { inner: secured, left: BYTES }, place, password, memory, now).await
    } else {
        read(Capped { inner: stream, left: BYTES }, place, password, memory, now).await
    }
}

/// The file of authorities.
async fn read_file(path: &Path) -> Result<Vec<u8>, SourceError> {
    let wrong = |error: io::Error| {
        SourceError::config(format!("{} cannot be read: {error}", path.display()), "`ca` names a PEM file with the certificates of your authorities")
    };
    let file = tokio::fs::File::open(path).await.map_err(wrong)?;
    let mut pem = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut tokio::io::AsyncReadExt::take(file, AUTHORITIES), &mut pem).await.map_err(wrong)?;
    Ok(pem)
}

async fn read<S>(stream: S, place: &Place, password: &Secret, memory: &mut Memory, now: Timestamp) -> Result<Found, SourceError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + std::fmt::Debug,
{
    let mut client = async_imap::Client::new(stream);
    let greeting = client.read_response().await.map_err(|error| failed(error.into()))?;
    if greeting.is_none() {
        return Err(SourceError::protocol("the mail server closed the connection without a word"));
    }
    let mut session = match client.login(&place.user, password.expose()).await {
        Ok(session) => session,
        Err((ImapError::No(said) | ImapError::Bad(said), _)) => {
            return Err(SourceError::auth(format!("the mail server refused the login of {}: {said}", place.user), "check `user` and `password`"));
        }
        Err((error, _)) => return Err(failed(error)),
    };
    let folder = place.folder();
    let mailbox = match session.examine(&folder).await {
        Ok(mailbox) => mailbox,
        Err(ImapError::No(said)) => return Err(SourceError::config(format!("there is no folder {folder}: {said}"), "name it in `url`, after the host")),
        Err(error) => return Err(failed(error)),
    };
    let same = memory.validity.is_some() && memory.validity == mailbox.uid_validity;
    let looked_back = !same;
    let query = if same { format!("UID {}:*", memory.next.max(1)) } else { format!("SINCE {}", (now - chrono::Duration::days(DAYS)).format("%d-%b-%Y")) };
    let mut uids: Vec<u32> = session.uid_search(&query).await.map_err(failed)?.into_iter().filter(|uid| !same || *uid >= memory.next).collect();
    uids.sort_unstable();
    let skipped = uids.len().saturating_sub(AT_ONCE);
    let mut found = Found { looked_back, skipped: skipped as u64, ..Found::default() };
    for chunk in uids[skipped..].chunks(CHUNK) {
        let set: Vec<String> = chunk.iter().map(ToString::to_string).collect();
        let answers = session.uid_fetch(set.join(","), format!("(UID INTERNALDATE BODY.PEEK[]<0.{MAIL}>)")).await.map_err(failed)?;
        let mut answers = std::pin::pin!(answers);
        while let Some(answer) = answers.try_next().await.map_err(failed)? {
            if let Some(body) = answer.body() {
                let came = answer.internal_date().map(|date| date.with_timezone(&chrono::Utc));
                found.mails.push(Mail { came, bytes: body[..body.len().min(MAIL)].to_vec() });
            }
        }
    }
    // An answer that breaks off looks like one that is over: only a server that still answers has told all of it.
    session.noop().await.map_err(failed)?;
    let last = uids.last().map_or(memory.next, |last| last.saturating_add(1));
    *memory = Memory { validity: mailbox.uid_validity, next: mailbox.uid_next.unwrap_or(0).max(last).max(if same { memory.next } else { 0 }) };
    // What was read is read, whether or not the server takes leave.
    let _ = session.logout().await;
    Ok(found)
}
