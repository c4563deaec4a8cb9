//! `[site.NAME.action.NAME]`: walked and checked like a source, its mistakes told with their places.
//!
//! What does not belong here: what the keys mean when it runs (`actions`).

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use serde::Deserialize;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, is_secret_key};
use super::keys::{self, Schema, Spot};
use super::model::{Entry, Site};
use super::walk::Walk;
use super::{leaf, show, suggest};
use crate::actions::{Action, ActionSpec, ActionTable, PROMPT, Words};
use crate::domain::SourceId;
use crate::io::secret::{self, SecretRef};
use crate::ui::keymap::Keymap;

/// What an action names, with the places, looked at when all is known.
#[derive(Debug)]
pub(super) struct Named {
    /// Who names it.
    action: SourceId,
    after: Vec<(String, Range<usize>)>,
    poll: Option<Vec<(String, Range<usize>)>>,
    scope: Vec<(String, Range<usize>)>,
    key: Option<(String, Range<usize>)>,
}

/// What an action's names lead to: what follows it, what is looked at afterwards, its key.
type Found = (Vec<SourceId>, Vec<SourceId>, Option<String>);

/// Secrets of sources that an action might print; files with their whole path.
pub(super) fn secrets_of(sources: &[Entry]) -> Vec<SecretRef> {
    let mut known = Vec::new();
    for entry in sources {
        for (_, reference) in entry.config.secrets() {
            let reference = match reference {
                SecretRef::File(path) => SecretRef::File(entry.context.base.join(path)),
                other => other.clone(),
            };
            if !known.contains(&reference) {
                known.push(reference);
            }
        }
    }
    known
}

impl Walk<'_> {
    /// All actions of a site.
    pub(super) fn actions(&mut self, site: &Site, value: &Spot<'_>) {
        let shape = format!("[site.{}.action.NAME]", site.name);
        let DeValue::Table(actions) = value.get_ref() else {
            return self.error(value.span(), "`action` has a table for each action", format!("write {shape}"));
        };
        let schema = schemars::schema_for!(ActionTable).to_value();
        let own = Schema::new(&schema);
        if actions.iter().any(|(_, value)| !matches!(value.get_ref(), DeValue::Table(_))) {
            self.error(value.span(), "an action needs a name", format!("write {shape}, such as [site.{}.action.deploy]", site.name));
        }
        for (key, value) in keys::in_order(actions) {
            if let DeValue::Table(table) = value.get_ref()
                && own.key(key.get_ref()).is_none()
            {
                self.action(site, key, value, table, own);
            } else if let DeValue::Table(_) = value.get_ref()
                && !actions.iter().any(|(_, value)| !matches!(value.get_ref(), DeValue::Table(_)))
            {
                self.error(key.span(), format!("`{}` is a key of an action, and no name of one", key.get_ref()), format!("write {shape}"));
            }
        }
    }

    fn action(&mut self, site: &Site, key: &toml::Spanned<std::borrow::Cow<'_, str>>, value: &Spot<'_>, table: &DeTable<'_>, schema: Schema<'_>) {
        let named = self.name("an action", key);
        let here = value.span();
        keys::secret_places(table, Some(schema), &mut self.out.secrets);
        let mut own = table.clone();
        keys::take_unknown(&mut own, schema, &[], &mut self.out.told);
        let Some(read) = leaf::read(&own, &here, self.around.broken, ActionTable::deserialize, &mut self.out.told) else { return };
        let place = |path: &[&str]| keys::place_of(&own, here.clone(), &path.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>());
        let Some(id) = named.then(|| SourceId::new(&site.name, "action", key.get_ref()).ok()).flatten() else { return };

        let steps = self.steps(&read, &own, &here, place);
        if read.timeout.get().is_zero() {
            self.error(place(&["timeout"]), "`timeout` is nothing: no command ends in no time", "write a time such as \"15m\"");
        }
        let base = site.directory.clone().unwrap_or_else(|| self.texts.folder(here.start));
        for (name, reference) in &read.env {
            let span = place(&["env", name]);
            if name.is_empty() || name.contains(['=', '\0']) || name.contains(char::is_whitespace) {
                self.error(span.clone(), format!("\"{name}\" is no name of a variable"), "");
            }
            if matches!(reference, SecretRef::Literal(_)) {
                if is_secret_key(name) {
                    let help = "write { env = \"NAME\" }, { file = \"path\" } or { command = [\"program\", \"argument\"] }";
                    self.out.secrets.push(span.clone());
                    self.out.told.push(Diagnostic::warning(span, "a secret is written into the file", help));
                }
            } else if let Err(error) = secret::present(reference, &base, self.around.variable) {
                // The rest of the configuration is good without it; the action says so again when it is run.
                self.out.told.push(Diagnostic::warning(span, format!("this action cannot run: {}", error.message), error.remedy));
            }
        }
        let each = |words: &Words, key: &str| -> Vec<(String, Range<usize>)> {
            words.0.iter().enumerate().map(|(at, word)| (word.clone(), place(&[key, &at.to_string()]))).collect()
        };
        let scope = read.scope.unwrap_or_default();
        self.named.push(Named {
            action: id.clone(),
            after: read.after.as_ref().map(|words| each(words, "after")).unwrap_or_default(),
            poll: read.poll.as_ref().map(|words| each(words, "poll")),
            scope: each(&scope, "scope"),
            key: read.key.map(|key| (key, place(&["key"]))),
        });
        self.out.shown.push(show::table(&["site", &site.name, "action", id.name()], self.texts, &own, &DeTable::new(), schema));
        let directory = read.directory.map_or_else(|| base.clone(), |directory| base.join(directory));
        let directory = if directory.as_os_str().is_empty() { ".".into() } else { directory };
        let polls = read.poll.map_or_else(|| format!("all of {}", site.name), |words| words.0.join(", "));
        let spec = ActionSpec {
            title: read.title.unwrap_or_else(|| id.name().to_owned()),
            scope: scope.0.into_iter().map(|word| word.trim_end_matches("/*").to_owned()).collect(),
            steps,
            prompt: read.prompt,
            confirm: read.confirm,
            dangerous: read.dangerous,
            timeout: read.timeout.get(),
            directory: directory.display().to_string(),
            env: read.env.keys().cloned().collect(),
            after: Vec::new(),
            output: read.output,
            key: None,
            poll: Vec::new(),
            polls,
            runbook: read.runbook,
            id,
        };
        self.out.actions.push(Action { spec, directory, base, env: read.env.into_iter().collect(), known: Vec::new(), redact: Vec::new() });
    }

    /// The argument vectors, from `run` or `steps`.
    fn steps(&mut self, read: &ActionTable, own: &DeTable<'_>, here: &Range<usize>, place: impl Fn(&[&str]) -> Range<usize>) -> Vec<Vec<String>> {
        let (steps, key) = match (&read.run, &read.steps) {
            (Some(_), Some(_)) => {
                self.error(place(&["steps"]), "an action has `run` or `steps`, not both", "make `run` the first of the steps");
                return Vec::new();
            }
            (Some(run), None) => (vec![run.clone()], "run"),
            (None, Some(steps)) => (steps.clone(), "steps"),
            (None, None) => {
                // One that could not be read was told already.
                if !self.around.broken && !own.contains_key("run") && !own.contains_key("steps") {
                    self.error(here.clone(), "an action needs the key `run` or `steps`", "add `run = [\"program\", \"argument\"]`");
                }
                return Vec::new();
            }
        };
        if steps.is_empty() {
            self.error(place(&[key]), "there is no step", "write at least one: [[\"program\", \"argument\"]]");
        }
        for (at, step) in steps.iter().enumerate() {
            let at = at.to_string();
            let span = if key == "run" { place(&["run"]) } else { place(&["steps", &at]) };
            match step.first() {
                None => self.error(span, "an empty command", "write the program and its arguments: [\"program\", \"argument\"]"),
                Some(program) if program.trim().is_empty() => {
                    self.error(span, "an empty command", "write the program and its arguments: [\"program\", \"argument\"]");
                }
                Some(program) if program.contains(PROMPT) => {
                    self.error(span, "the program itself is not asked for", format!("`{PROMPT}` may stand in the arguments"));
                }
                Some(_) => {}
            }
            if step.iter().any(|part| part.contains('\0')) {
                let span = if key == "run" { place(&["run"]) } else { place(&["steps", &at]) };
                self.error(span, "an argument cannot hold a NUL character", "");
            }
        }
        let asks = steps.iter().flatten().any(|part| part.contains(PROMPT));
        if read.prompt.is_some() && !asks {
            self.error(place(&["prompt"]), "the answer to `prompt` is not used", format!("write `{PROMPT}` where it belongs in the arguments"));
        }
        if read.prompt.is_none() && asks {
            self.error(place(&[key]), format!("`{PROMPT}` stands in the arguments and nothing is asked"), "add `prompt = \"which version?\"`");
        }
        steps
    }

    /// What actions name is there, no action follows itself, and keys are free.
    pub(super) fn check_actions(&mut self) {
        let named = std::mem::take(&mut self.named);
        let keymap = Keymap::new(&self.out.keys).unwrap_or_default();
        let actions: HashSet<SourceId> = named.iter().map(|one| one.action.clone()).collect();
        let sources: Vec<SourceId> = self.needs.iter().map(|(id, _)| id.clone()).collect();
        let mut keys: BTreeMap<(String, String), SourceId> = BTreeMap::new();
        let mut found: BTreeMap<SourceId, Found> = BTreeMap::new();
        for one in &named {
            let site = one.action.site().to_owned();
            let of_site: Vec<&SourceId> = sources.iter().filter(|id| id.site() == site).collect();
            let mut after = Vec::new();
            for (word, span) in &one.after {
                let target = SourceId::parse(&format!("{site}/{word}")).ok().filter(|id| id.kind() == "action" && actions.contains(id));
                let asks = |target: &SourceId| self.out.actions.iter().any(|action| action.spec.id == *target && action.spec.prompt.is_some());
                match target {
                    Some(target) if asks(&target) => {
                        let help = "only the first of a row of actions may ask for something";
                        self.error(span.clone(), format!("\"{word}\" has a `prompt`, and nobody is asked when it follows another"), help);
                    }
                    Some(target) => after.push(target),
                    None => {
                        let known: Vec<&str> = actions.iter().filter(|id| id.site() == site && **id != one.action).map(SourceId::within_site).collect();
                        let help = suggest::nearest(word, known)
                            .map_or_else(|| "write \"action/NAME\" of the same site".to_owned(), |near| format!("did you mean \"{near}\"?"));
                        self.error(span.clone(), format!("\"{word}\" is no action of the site `{site}`"), help);
                    }
                }
            }
            let mut poll = Vec::new();
            for (word, span) in one.poll.iter().flatten().chain(&one.scope) {
                let kind = word.trim_end_matches("/*");
                let matching: Vec<SourceId> = of_site.iter().filter(|id| id.within_site() == word || id.kind() == kind).map(|id| (*id).clone()).collect();
                if matching.is_empty() {
                    let near = suggest::nearest(word, of_site.iter().map(|id| id.within_site()));
                    let help =
                        near.map_or_else(|| "write a kind or kind/name of a source of the same site".to_owned(), |near| format!("did you mean \"{near}\"?"));
                    self.error(span.clone(), format!("\"{word}\" names no source of the site `{site}`"), help);
                }
                if one.poll.iter().flatten().any(|(_, place)| place == span) {
                    poll.extend(matching.into_iter().filter(|id| !poll.contains(id)).collect::<Vec<_>>());
                }
            }
            if one.poll.is_none() {
                poll = of_site.into_iter().cloned().collect();
            }
            let mut bound = None;
            if let Some((key, span)) = &one.key {
                match keymap.free_for_action(key) {
                    Err(error) => self.error(span.clone(), error.to_string(), ""),
                    Ok(key) => match keys.get(&(site.clone(), key.clone())) {
                        Some(other) => self.error(
                            span.clone(),
                            format!("the key {key} is bound to {} of this site already", other.within_site()),
                            "give one of them another key",
                        ),
                        None => {
                            keys.insert((site.clone(), key.clone()), one.action.clone());
                            bound = Some(key);
                        }
                    },
                }
            }
            found.insert(one.action.clone(), (after, poll, bound));
        }
        for one in &named {
            if follows_itself(&found, &one.action)
                && let Some((_, span)) = one.after.first()
            {
                self.error(span.clone(), "an action cannot follow itself, also not by way of others", "take one of them out");
            }
        }
        for action in &mut self.out.actions {
            if let Some((after, poll, key)) = found.remove(&action.spec.id) {
                (action.spec.after, action.spec.poll, action.spec.key) = (after, poll, key);
            }
        }
    }
}

fn follows_itself(found: &BTreeMap<SourceId, Found>, id: &SourceId) -> bool {
    let (mut next, mut seen) = (vec![id.clone()], HashSet::new());
    while let Some(here) = next.pop() {
        for after in found.get(&here).map(|(after, ..)| after.as_slice()).unwrap_or_default() {
            if after == id {
                return true;
            }
            if seen.insert(after.clone()) {
                next.push(after.clone());
            }
        }
    }
    false
}
