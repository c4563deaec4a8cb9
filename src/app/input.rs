//! What comes from the terminal: a thread that waits for it, and its translation into messages.

use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crossterm::event::{self, Event as Input, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEventKind};
use tokio::sync::mpsc;

use super::Event;
use super::terminal::SCREEN_THREAD;
use crate::state::command::Scope;
use crate::state::first_run::Choice;
use crate::state::{Command, Msg, PromptKind, View};
use crate::ui::keymap::Keymap;

/// Where the thread that reads sends to: one dashboard may follow another in one process, and what is typed goes to the present one.
struct Desk {
    present: Mutex<Present>,
    changed: Condvar,
}

struct Present {
    reads: bool,
    events: Option<mpsc::Sender<Event>>,
    /// Dropping it wakes the thread from its wait for the terminal.
    waker: Option<EventStream>,
    /// Somebody else reads the terminal: the thread is to leave it alone.
    lent: bool,
    /// It does.
    stands_back: bool,
}

static DESK: Desk = Desk { present: Mutex::new(Present { reads: false, events: None, waker: None, lent: false, stands_back: false }), changed: Condvar::new() };

/// One wait for the terminal. It ends earlier for what comes, and when it is woken.
const WAIT: Duration = Duration::from_secs(24 * 3_600);
/// How long the thread may take to stand back.
const STAND_BACK: Duration = Duration::from_secs(2);

/// Starts the thread, or turns the one that reads already to these `events`: a second reader would take keys away. It costs nothing
/// while nobody types; it ends with the process.
///
/// # Errors
/// When no thread can be started.
pub fn start(events: mpsc::Sender<Event>) -> std::io::Result<()> {
    let mut present = DESK.present.lock().unwrap_or_else(PoisonError::into_inner);
    present.events = Some(events);
    DESK.changed.notify_all();
    if !std::mem::replace(&mut present.reads, true) {
        present.waker = Some(EventStream::new());
        let started = thread::Builder::new().name(format!("{SCREEN_THREAD}-in")).spawn(read_on);
        present.reads = started.is_ok();
        started?;
    }
    Ok(())
}

/// Leaves the terminal's input to somebody else. Gives whether nobody here reads it any more.
#[must_use]
pub fn lend() -> bool {
    let mut present = DESK.present.lock().unwrap_or_else(PoisonError::into_inner);
    present.lent = true;
    drop(present.waker.take());
    let waited = DESK.changed.wait_timeout_while(present, STAND_BACK, |present| present.reads && !present.stands_back);
    let (mut present, _) = waited.unwrap_or_else(PoisonError::into_inner);
    let done = present.stands_back || !present.reads;
    if !done {
        present.lent = false;
    }
    done
}

/// Reads the terminal's input again.
pub fn take_back() {
    let mut present = DESK.present.lock().unwrap_or_else(PoisonError::into_inner);
    // While the thread stands back: it could not be had while it waits for the terminal.
    if present.stands_back {
        present.waker = Some(EventStream::new());
    }
    present.lent = false;
    DESK.changed.notify_all();
}

/// Waits while somebody else reads the terminal.
fn stand_back() {
    let mut present = DESK.present.lock().unwrap_or_else(PoisonError::into_inner);
    if present.lent {
        present.stands_back = true;
        DESK.changed.notify_all();
        let waited = DESK.changed.wait_while(present, |present| present.lent);
        present = waited.unwrap_or_else(PoisonError::into_inner);
        present.stands_back = false;
    }
}

fn read_on() {
    loop {
        stand_back();
        // What is wrong with the terminal is told by reading.
        if let Ok(false) = event::poll(WAIT) {
            continue;
        }
        let input = event::read().ok();
        let gone = input.is_none();
        let mut wanted = true;
        while wanted {
            let events = reader_of_events();
            let event = input.clone().map_or(Event::TerminalGone, Event::Input);
            wanted = events.blocking_send(event).is_err();
            if wanted {
                // That dashboard has ended; the next one gets the key.
                let mut present = DESK.present.lock().unwrap_or_else(PoisonError::into_inner);
                if present.events.as_ref().is_some_and(mpsc::Sender::is_closed) {
                    present.events = None;
                }
            }
        }
        if gone {
            DESK.present.lock().unwrap_or_else(PoisonError::into_inner).reads = false;
            return;
        }
    }
}

/// The present dashboard's channel; waits for one while there is none.
fn reader_of_events() -> mpsc::Sender<Event> {
    let mut present = DESK.present.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if let Some(events) = &present.events {
            return events.clone();
        }
        present = DESK.changed.wait(present).unwrap_or_else(PoisonError::into_inner);
    }
}

/// What an input means where the reader stands; `None`: nothing.
#[must_use]
pub fn message(input: &Input, view: &View, keymap: &Keymap) -> Option<Msg> {
    match input {
        Input::Key(key) if key.kind == KeyEventKind::Release => None,
        Input::Key(key) => match &view.prompt {
            Some(prompt) => in_prompt(key, prompt.kind),
            None if view.first_run.is_some() && chosen(key).is_some() => chosen(key).map(Msg::Choose),
            None => {
                let acting = || if view.overlay.is_none() { keymap.action(key, view).map(Msg::ActKey) } else { None };
                keymap.command(key, view).map(Msg::Command).or_else(acting).or_else(|| elsewhere(key, view, keymap))
            }
        },
        Input::Paste(text) => Some(Msg::Paste(text.clone())),
        Input::Mouse(mouse) => match mouse.kind {
            MouseEventKind::Down(MouseButton::Left) => Some(Msg::Click(mouse.column, mouse.row)),
            MouseEventKind::ScrollDown => Some(Msg::Command(Command::Down)),
            MouseEventKind::ScrollUp => Some(Msg::Command(Command::Up)),
            _ => None,
        },
        // A terminal without a size says 0x0 (serial lines, some containers).
        Input::Resize(0, _) | Input::Resize(_, 0) => None,
        Input::Resize(columns, rows) => Some(Msg::Resize(*columns, *rows)),
        // Losing the focus changes nothing.
        Input::FocusGained | Input::FocusLost => None,
    }
}

/// A key that means something on other pages says where, instead of nothing.
fn elsewhere(key: &KeyEvent, view: &View, keymap: &Keymap) -> Option<Msg> {
    if view.overlay.is_some() || view.wall.is_some() || view.first_run.is_some() {
        return None;
    }
    let spec = keymap.elsewhere(key, view)?;
    let Scope::Pages(pages) = spec.scope else { return None };
    let pages: Vec<String> = pages.iter().map(|page| format!("{} {}", page.digit(), page.title())).collect();
    Some(Msg::Toast(format!("{}: on {}", spec.doc, pages.join(", "))))
}

/// A choice of the first screen by its own key.
fn chosen(key: &KeyEvent) -> Option<Choice> {
    let plain = (key.modifiers - KeyModifiers::SHIFT).is_empty();
    Choice::ALL.into_iter().find(|choice| plain && key.code == KeyCode::Char(choice.key()))
}

/// In a prompt keys are text, but for those that leave it, take it, or move in the list it narrows.
fn in_prompt(key: &KeyEvent, kind: PromptKind) -> Option<Msg> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let has_list = matches!(kind, PromptKind::Palette | PromptKind::Help);
    let command = match key.code {
        KeyCode::Enter => Command::Enter,
        KeyCode::Esc => Command::Back,
        KeyCode::Char('c') if control => Command::Interrupt,
        KeyCode::Char('z') if control => Command::Suspend,
        KeyCode::Char('l') if control => Command::Redraw,
        KeyCode::Up => Command::Up,
        KeyCode::Down => Command::Down,
        KeyCode::PageUp => Command::PageUp,
        KeyCode::PageDown => Command::PageDown,
        KeyCode::Char('p') if control && has_list => Command::Up,
        KeyCode::Char('n') if control && has_list => Command::Down,
        _ => return tui_input::backend::crossterm::to_input_request(&Input::Key(*key)).map(Msg::Edit),
    };
    Some(Msg::Command(command))
}

#[cfg(test)]
mod tests {
    use tui_input::{Input as Text, InputRequest};

    use super::*;
    use crate::state::Prompt;

    fn key(code: KeyCode, modifiers: KeyModifiers) -> Input {
        Input::Key(KeyEvent::new(code, modifiers))
    }

    #[test]
    fn in_a_prompt_letters_are_text_and_outside_they_are_commands() {
        let keymap = Keymap::default();
        let mut view = View::default();
        let j = key(KeyCode::Char('j'), KeyModifiers::NONE);
        assert_eq!(message(&j, &view, &keymap), Some(Msg::Command(Command::Down)));
        view.prompt = Some(Prompt { kind: PromptKind::Filter, input: Text::default() });
        assert_eq!(message(&j, &view, &keymap), Some(Msg::Edit(InputRequest::InsertChar('j'))));
        assert_eq!(message(&key(KeyCode::Enter, KeyModifiers::NONE), &view, &keymap), Some(Msg::Command(Command::Enter)));
        assert_eq!(message(&key(KeyCode::Esc, KeyModifiers::NONE), &view, &keymap), Some(Msg::Command(Command::Back)));
        assert_eq!(message(&key(KeyCode::Char('c'), KeyModifiers::CONTROL), &view, &keymap), Some(Msg::Command(Command::Interrupt)));
        assert_eq!(message(&Input::Paste("x".into()), &view, &keymap), Some(Msg::Paste("x".into())));
    }

    #[test]
    fn a_key_of_another_page_says_which() {
        let (keymap, mut view) = (Keymap::default(), View::default());
        let t = key(KeyCode::Char('t'), KeyModifiers::NONE);
        assert_eq!(message(&t, &view, &keymap), Some(Msg::Toast("go to a moment: on 4 logs".into())));
        assert_eq!(
            message(&key(KeyCode::Char('S'), KeyModifiers::NONE), &view, &keymap),
            Some(Msg::Toast("next order: on 2 health, 3 errors, 6 dependencies".into()))
        );
        view.page = crate::state::Page::Health;
        assert_eq!(message(&t, &view, &keymap), Some(Msg::Command(Command::Range)));
        assert_eq!(message(&key(KeyCode::Char('S'), KeyModifiers::NONE), &view, &keymap), Some(Msg::Command(Command::Sort)));
    }

    #[test]
    fn a_size_of_nothing_is_not_believed() {
        assert_eq!(message(&Input::Resize(0, 0), &View::default(), &Keymap::default()), None);
        assert_eq!(message(&Input::Resize(40, 10), &View::default(), &Keymap::default()), Some(Msg::Resize(40, 10)));
    }
}
