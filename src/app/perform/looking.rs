//! What is looked at because a person asked: an item's detail, the file of a frame, older lines of a log, the way out, a link.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Hands;
use crate::app::dashboard::Dashboard;
use crate::app::editor;
use crate::domain::{LogQuery, SourceError, SourceId, Timestamp};
use crate::io::exec::{self, Limits, Program};
use crate::io::net;
use crate::sources::{self, ItemKey};
use crate::state::Msg;
use crate::state::details::Told;
use crate::state::effect::FramePlace;

/// How long a program that opens a link may take to hand it on.
const OPENING: Duration = Duration::from_secs(20);

impl Hands {
    /// Asks a source what it knows of an item.
    pub(super) fn look_at(&self, key: ItemKey, part: Option<String>, dashboard: &mut Dashboard, now: Timestamp) {
        let Some(door) = self.runner.door(&key.source) else {
            dashboard.take(Msg::Detail(Box::new(Told { key, part, result: None })), now);
            return;
        };
        let (messages, redaction) = (self.messages.clone(), Arc::clone(&self.redaction));
        self.runtime.spawn(async move {
            let mut result = door.detail(&key, part.as_deref()).await;
            if let Some(Ok(detail)) = &mut result {
                redaction.detail(detail);
            }
            // The loop has ended when this fails.
            let _ = messages.send(Msg::Detail(Box::new(Told { key, part, result }))).await;
        });
    }

    /// Looks for the file of a frame, beside the loop: a disk may be slow.
    pub(super) fn find_frame(&self, place: FramePlace, dashboard: &mut Dashboard, now: Timestamp) {
        let Some(directory) = self.directories.get(&place.source).cloned() else {
            dashboard.take(Msg::FrameHere(None, place.line), now);
            return;
        };
        let messages = self.messages.clone();
        self.runtime.spawn_blocking(move || {
            let found = editor::find(&directory, &place.path, place.absolute.as_deref());
            // The loop has ended when this fails.
            let _ = messages.blocking_send(Msg::FrameHere(found, place.line));
        });
    }

    /// Looks whether the way out is there; one look at a time.
    pub(super) fn look_at_network(&self) {
        let way = Arc::clone(&self.network);
        if way.looking.swap(true, Ordering::AcqRel) {
            return;
        }
        let messages = self.messages.clone();
        self.runtime.spawn(async move {
            let network = net::look(&way.anchors, &way.targets).await;
            way.looking.store(false, Ordering::Release);
            // The loop has ended when this fails.
            let _ = messages.send(Msg::Network(network)).await;
        });
    }

    /// Reads a page of older events of a log, beside the loop.
    pub(super) fn read_log_back(&self, source: SourceId, query: Box<LogQuery>) {
        let reading = self.pasts.get(&source).map(|past| past.before((*query).clone()));
        let messages = self.messages.clone();
        self.runtime.spawn(async move {
            let result = match reading {
                Some(reading) => {
                    let read = reading.await;
                    // A page may be large.
                    tokio::task::spawn_blocking(move || sources::masked(read))
                        .await
                        .unwrap_or_else(|_| Err(SourceError::protocol("what was read could not be masked")))
                }
                None => Err(SourceError::nothing("only what was read since the start is there", "a log in files can be read further back")),
            };
            // The loop has ended when this fails.
            let _ = messages.send(Msg::LogPast { source, query, result }).await;
        });
    }

    /// Opens a link where there is something to open it with, else shows it.
    pub(super) fn open(&self, link: String, dashboard: &mut Dashboard, now: Timestamp) {
        let Some(mut argv) = opener(&link) else {
            dashboard.take(Msg::Toast(link), now);
            return;
        };
        argv.push(link.clone());
        let messages = self.messages.clone();
        self.runtime.spawn(async move {
            let opened = exec::run(&Program::new(argv), Limits::within(OPENING)).await;
            if !opened.is_ok_and(|output| output.ending.success()) {
                // The loop is gone when this fails, and nobody waits for the link.
                let _ = messages.send(Msg::Toast(link)).await;
            }
        });
    }
}

/// The program that opens links: `$BROWSER` (its first word list), else the desktop's, where there is a desktop. Only web addresses are
/// handed to it: a configuration or a log must not start anything else.
fn opener(link: &str) -> Option<Vec<String>> {
    if !(link.starts_with("https://") || link.starts_with("http://")) {
        return None;
    }
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    if let Some(browser) = set("BROWSER") {
        let first = browser.split(':').next().unwrap_or_default();
        return Some(first.split_whitespace().filter(|word| *word != "%s").map(str::to_owned).collect());
    }
    let desktop = set("WAYLAND_DISPLAY").or_else(|| set("DISPLAY")).is_some();
    if cfg!(target_os = "macos") { Some(vec!["open".to_owned()]) } else { desktop.then(|| vec!["xdg-open".to_owned()]) }
}
