//! Follows the output of a command, such as `ssh web1 tail -F …`. A command that ends is a lost connection, told at once.
//!
//! What does not belong here: starting programs (`io::exec`), beginning anew after an end (the runner builds the source again,
//! waiting longer each time).

use std::path::PathBuf;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::digest::{Stream, Wait};
use super::follow::{BATCH_EVERY, EVENTS, FIRST_EVENTS, HEARTBEAT};
use super::tally::Tally;
use super::{Delivery, Memory, Settings};
use crate::domain::{LogMark, LogNotice, Problem, SourceError};
use crate::io::clock;
use crate::io::exec::{self, Program};

/// Bytes of standard error that are kept to say why it ended.
const ERRORS: usize = 4 << 10;
/// How long standard error may be held open after the end.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Runs until the command ends or nobody listens. The command's group is killed when this future is dropped.
pub async fn follow(argv: Vec<String>, base: PathBuf, settings: Settings, again: bool, to: mpsc::Sender<Result<Delivery, SourceError>>) {
    let name = argv.join(" ");
    let mut program = Program::new(argv);
    if base.is_dir() {
        program = program.directory(&base);
    }
    let mut running = match exec::start(&program) {
        Ok(running) => running,
        Err(error) => {
            let _ = to.send(Err(error.into())).await;
            return;
        }
    };
    let (Some(mut stdout), Some(mut stderr)) = (running.take_stdout(), running.take_stderr()) else { return };
    let files = vec![name];
    let mut tally = Tally::new(settings, FIRST_EVENTS);
    // Many commands begin with what was there before.
    tally.look_back();
    let mut stream = Stream::new(0, false);
    let mut errors: Vec<u8> = Vec::new();
    let (mut piece, mut wrong) = (vec![0; 64 << 10], vec![0; 1 << 10]);
    let mut errors_open = true;
    let mut last_read = Instant::now();
    let mut last_sent: Option<Instant> = None;
    // A command that says nothing yet may still be connecting: it is not told to be well before it has said something or stayed.
    let begun = last_read;
    let ended = loop {
        let settle = stream.wait().map(|wait| {
            last_read
                + match wait {
                    Wait::No => Duration::ZERO,
                    Wait::Short => Duration::from_millis(40),
                    Wait::Long => Duration::from_secs(1),
                }
        });
        let deliver = match last_sent {
            _ if tally.is_empty() => last_sent.map_or(begun + Duration::from_secs(2), |last| last + HEARTBEAT),
            Some(last) => last + BATCH_EVERY,
            // The first batch is what came in one go.
            None => last_read + Duration::from_millis(50),
        };
        tokio::select! {
            biased;
            () = to.closed() => return,
            read = stdout.read(&mut piece) => match read {
                Ok(0) => break None,
                Ok(read) => {
                    // Only what speaks is connected.
                    if again && last_read <= begun {
                        tally.mark(LogMark { at: clock::now(), file: 0, notice: LogNotice::Reconnected });
                    }
                    last_read = Instant::now();
                    stream.feed(&piece[..read], clock::now(), &mut tally);
                    // A flood must not keep the batches waiting, nor this thread from others.
                    if last_sent.is_some_and(|last| last.elapsed() < BATCH_EVERY) || tally.is_empty() || to.capacity() == 0 {
                        tokio::task::yield_now().await;
                        continue;
                    }
                    if last_sent.is_none() && begun.elapsed() < BATCH_EVERY * 2 {
                        continue;
                    }
                }
                Err(error) => break Some(error),
            },
            read = stderr.read(&mut wrong), if errors_open => {
                match read {
                    Ok(read) if read > 0 => {
                        errors.extend_from_slice(&wrong[..read]);
                        let over = errors.len().saturating_sub(ERRORS);
                        errors.drain(..over);
                    }
                    _ => errors_open = false,
                }
                continue;
            }
            () = sleep_until(settle.unwrap_or(begun)), if settle.is_some() => {
                stream.settle(clock::now(), &mut tally);
                continue;
            }
            () = sleep_until(deliver), if to.capacity() > 0 || last_sent.is_none() => {}
            permit = to.reserve(), if to.capacity() == 0 => {
                if permit.is_err() { return; }
                continue;
            }
        }
        if let Ok(permit) = to.try_reserve() {
            let mut delivery = delivery(&mut tally, &files);
            if last_read <= begun {
                // A quiet log looks the same: whoever reads this can tell.
                delivery
                    .problems
                    .push(Problem { subject: program.tool().to_owned(), message: "has printed nothing yet; it may still be connecting".to_owned() });
            }
            permit.send(Ok(delivery));
            tally.set_limit(EVENTS);
            last_sent = Some(Instant::now());
        }
    };
    stream.end(clock::now(), &mut tally);
    if !tally.is_empty() && to.send(Ok(delivery(&mut tally, &files))).await.is_err() {
        return;
    }
    if errors_open {
        let _ = tokio::time::timeout(LAST_WORDS, async {
            while let Ok(read) = stderr.read(&mut wrong).await {
                if read == 0 || errors.len() > ERRORS {
                    break;
                }
                errors.extend_from_slice(&wrong[..read]);
            }
        })
        .await;
    }
    let how = match tokio::time::timeout(LAST_WORDS, running.wait()).await {
        Ok(Ok(ending)) => ending.to_string(),
        _ => ended.map_or_else(|| "its output ended".to_owned(), |error| error.to_string()),
    };
    let text = String::from_utf8_lossy(&errors);
    let said: String = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().chars().filter(|c| !c.is_control()).take(200).collect();
    let message = if said.is_empty() { format!("{} ended: {how}", program.tool()) } else { format!("{} ended: {how}: {said}", program.tool()) };
    let error = SourceError { remedy: "run the command by hand; it has to keep running, as `tail -F` does".to_owned(), ..SourceError::connect(message) };
    let _ = to.send(Err(error)).await;
}

fn delivery(tally: &mut Tally, files: &[String]) -> Delivery {
    Delivery { batch: tally.take(files, clock::now()), problems: Vec::new(), memory: Memory { begun: true, files: files.to_vec(), ..Memory::default() } }
}
