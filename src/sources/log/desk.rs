//! The thread that follows the files of all log sources, and what is done when a file system does not answer: a read of a dead network
//! mount never returns, so the thread is left to it, the others go on in a new one, and the source that held it gets one of its own.
//!
//! What does not belong here: following (`follow`).

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::follow::{Follower, GATHER, LOOK, LOOK_BLIND, Order};
use crate::domain::SourceError;
use crate::io::watch::{Waker, Watch, Woken};

/// How long one look at the files of one source may take before its file system counts as one that does not answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Sources known to have held a thread.
const SUSPECTS: usize = 256;

/// Stops the following when dropped.
#[derive(Debug)]
pub struct Handle(Waker);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.wake();
    }
}

/// What the thread is doing.
#[derive(Debug)]
struct Pulse {
    since: Instant,
    within: Option<Vec<String>>,
}

#[derive(Debug)]
struct Desk {
    orders: Arc<Mutex<Vec<Order>>>,
    pulse: Arc<Mutex<Pulse>>,
    left: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
    waker: Waker,
    /// The one source it is for; `None`: for all.
    only: Option<Vec<String>>,
}

/// The threads.
#[derive(Debug)]
pub struct Desks {
    shared: Option<Desk>,
    alone: Vec<Desk>,
    suspects: Vec<Vec<String>>,
    patience: Duration,
}

static DESKS: Mutex<Desks> = Mutex::new(Desks::new(PATIENCE));

/// Begins to follow. The thread is started with the first order.
///
/// # Errors
/// When the system gives no thread or file descriptor; when the files of this source do not answer.
pub fn follow(order: Order) -> Result<Handle, SourceError> {
    DESKS.lock().unwrap_or_else(PoisonError::into_inner).follow(order)
}

fn key(order: &Order) -> Vec<String> {
    order.patterns.iter().map(|pattern| order.base.join(pattern).display().to_string()).collect()
}

impl Desk {
    fn start(only: Option<Vec<String>>) -> std::io::Result<Self> {
        let (watch, waker) = Watch::new()?;
        let desk = Self {
            orders: Arc::new(Mutex::new(Vec::new())),
            pulse: Arc::new(Mutex::new(Pulse { since: Instant::now(), within: None })),
            left: Arc::new(AtomicBool::new(false)),
            ended: Arc::new(AtomicBool::new(false)),
            waker,
            only,
        };
        let (orders, pulse, left, ended) = (Arc::clone(&desk.orders), Arc::clone(&desk.pulse), Arc::clone(&desk.left), Arc::clone(&desk.ended));
        let alone = desk.only.is_some();
        std::thread::Builder::new().name("rounds-log".to_owned()).spawn(move || {
            work(watch, &orders, &pulse, &left, alone);
            ended.store(true, Ordering::Release);
        })?;
        Ok(desk)
    }

    /// The source whose files have held the thread for too long.
    fn stuck(&self, patience: Duration) -> Option<Vec<String>> {
        let pulse = self.pulse.lock().unwrap_or_else(PoisonError::into_inner);
        pulse.within.clone().filter(|_| pulse.since.elapsed() >= patience)
    }

    fn take(&self, order: Order) -> Handle {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).push(order);
        self.waker.wake();
        Handle(self.waker.clone())
    }
}

impl Desks {
    const fn new(patience: Duration) -> Self {
        Self { shared: None, alone: Vec::new(), suspects: Vec::new(), patience }
    }

    fn follow(&mut self, order: Order) -> Result<Handle, SourceError> {
        let failed = |error: std::io::Error| SourceError::config(format!("files cannot be followed: {error}"), "raise the limit of open files (ulimit -n)");
        if let Some(desk) = &self.shared
            && let Some(stuck) = desk.stuck(self.patience)
        {
            // Should it ever come back, it ends.
            desk.left.store(true, Ordering::Release);
            self.shared = None;
            if !self.suspects.contains(&stuck) && self.suspects.len() < SUSPECTS {
                self.suspects.push(stuck);
            }
        }
        self.alone.retain(|desk| !desk.ended.load(Ordering::Acquire));
        let key = key(&order);
        if self.suspects.contains(&key) {
            if let Some(desk) = self.alone.iter().find(|desk| desk.only.as_ref() == Some(&key)) {
                if desk.stuck(self.patience).is_some() {
                    let message = format!("the file system of {} does not answer", key.join(", "));
                    let error =
                        SourceError { message, remedy: "look at the mount: `df` on it hangs as well".to_owned(), ..SourceError::timeout(self.patience) };
                    return Err(error);
                }
                return Ok(desk.take(order));
            }
            let desk = Desk::start(Some(key)).map_err(failed)?;
            let handle = desk.take(order);
            self.alone.push(desk);
            return Ok(handle);
        }
        let desk = match &mut self.shared {
            Some(desk) => desk,
            none => none.insert(Desk::start(None).map_err(failed)?),
        };
        Ok(desk.take(order))
    }
}

/// The thread.
fn work(mut watch: Watch, orders: &Mutex<Vec<Order>>, pulse: &Mutex<Pulse>, left: &AtomicBool, alone: bool) {
    let mut followers: Vec<Follower> = Vec::new();
    let mut scratch = vec![0; 256 << 10];
    let mut woken = Woken::default();
    let mut next_look = Instant::now();
    let beat = |within: Option<Vec<String>>| *pulse.lock().unwrap_or_else(PoisonError::into_inner) = Pulse { since: Instant::now(), within };
    loop {
        let now = Instant::now();
        let new: Vec<Order> = std::mem::take(&mut *orders.lock().unwrap_or_else(PoisonError::into_inner));
        for order in new {
            followers.push(Follower::new(order, now));
        }
        let before = followers.len();
        let look = now >= next_look;
        let mut more = false;
        let mut read = false;
        let mut due: Option<Instant> = None;
        followers.retain_mut(|follower| {
            if left.load(Ordering::Acquire) {
                return false;
            }
            beat(Some(key(&follower.order)));
            // A fault in one must not end the following of the others.
            let turn = std::panic::catch_unwind(AssertUnwindSafe(|| follower.turn(&mut watch, &mut scratch, &woken, look, now)));
            let turn = turn.unwrap_or_else(|_| {
                let _ = follower.order.to.try_send(Err(SourceError::protocol("following the log crashed; it is begun anew")));
                None
            });
            let Some(turn) = turn else { return false };
            more |= turn.more;
            read |= turn.read;
            due = [due, turn.due].into_iter().flatten().min();
            true
        });
        beat(None);
        if left.load(Ordering::Acquire) || alone && followers.is_empty() && before > 0 {
            return;
        }
        if followers.len() < before {
            // Watches of what nobody follows any more would wake us for nothing.
            watch.clear();
            for follower in &followers {
                follower.watch(&mut watch);
            }
        }
        if look {
            let blind = !watch.has_notices() || followers.iter().any(Follower::is_untold);
            next_look = now + if blind { LOOK_BLIND } else { LOOK };
        }
        if more {
            woken = watch.wait(Some(Duration::ZERO));
            continue;
        }
        if read {
            std::thread::sleep(GATHER);
        }
        let until = if followers.is_empty() { None } else { Some(due.map_or(next_look, |due| due.min(next_look))) };
        woken = watch.wait(until.map(|until| until.saturating_duration_since(Instant::now())));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use tokio::sync::mpsc;

    use super::*;
    use crate::domain::ErrorKind;
    use crate::sources::log::{Delivery, Memory, Settings};

    type Batches = mpsc::Receiver<Result<Delivery, SourceError>>;

    fn order(base: &Path, name: &str) -> (Order, Batches) {
        let (to, batches) = mpsc::channel(2);
        (Order { patterns: vec![name.to_owned()], base: base.to_owned(), settings: Settings::default(), memory: Memory::default(), to }, batches)
    }

    fn next(batches: &mut Batches) -> Option<Delivery> {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(60) {
            match batches.try_recv() {
                Ok(Ok(delivery)) if delivery.batch.lines > 0 => return Some(delivery),
                Ok(_) | Err(mpsc::error::TryRecvError::Empty) => std::thread::sleep(Duration::from_millis(10)),
                Err(mpsc::error::TryRecvError::Disconnected) => return None,
            }
        }
        None
    }

    #[test]
    fn a_file_system_that_does_not_answer_holds_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.log", super::super::follow::HANGS] {
            fs::write(folder.path().join(name), "one\n").unwrap();
        }
        let hang = folder.path().join("hang");
        fs::write(&hang, "").unwrap();
        let mut desks = Desks::new(Duration::from_millis(200));
        let (held, _held_batches) = order(folder.path(), super::super::follow::HANGS);
        let _held = desks.follow(held).unwrap();
        // Until the thread is in it, and for longer than it may.
        while desks.shared.as_ref().unwrap().stuck(Duration::from_millis(200)).is_none() {
            std::thread::sleep(Duration::from_millis(20));
        }
        let (well, mut batches) = order(folder.path(), "a.log");
        let _well = desks.follow(well).unwrap();
        assert_eq!(next(&mut batches).unwrap().batch.lines, 1);
        // Asked for again it gets a thread of its own, and then the reason.
        let (again, _again_batches) = order(folder.path(), super::super::follow::HANGS);
        let _again = desks.follow(again).unwrap();
        while desks.alone[0].stuck(Duration::from_millis(200)).is_none() {
            std::thread::sleep(Duration::from_millis(20));
        }
        let (third, _) = order(folder.path(), super::super::follow::HANGS);
        let error = desks.follow(third).unwrap_err();
        assert!(error.kind == ErrorKind::Timeout && error.message.contains("does not answer"), "{error:?}");
        fs::write(folder.path().join("a.log"), "one\ntwo\n").unwrap();
        assert!(next(&mut batches).is_some());
        // It answers again.
        fs::remove_file(&hang).unwrap();
        let began = Instant::now();
        let followed = loop {
            let (order, mut batches) = order(folder.path(), super::super::follow::HANGS);
            match desks.follow(order) {
                Ok(handle) => break next(&mut batches).map(|_| handle),
                Err(_) if began.elapsed() < Duration::from_secs(60) => std::thread::sleep(Duration::from_millis(20)),
                Err(error) => panic!("{error:?}"),
            }
        };
        assert!(followed.is_some());
    }
}
