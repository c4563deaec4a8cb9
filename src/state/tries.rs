//! What was tried with a data set's copies: restores into a scratch place, checks by its tool. No poll tells of them, so they are
//! joined into each one: what is shown, kept and judged is one thing.
//!
//! What does not belong here: trying (`actions::drill`), when it is due (`backups::schedule`).

use super::msg::Polled;
use super::view::View;
use super::world::World;
use crate::actions::ActionSpec;
use crate::backups::schedule::Job;
use crate::domain::backup::Check;
use crate::domain::{Backup, Copy, Data, Drill, SourceId, Timestamp, Transition, TransitionKind};

/// The last restore and the last check of one data set, and when each was last begun.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tried {
    /// The last restore.
    pub drill: Option<Drill>,
    /// The last check that was asked for.
    pub check: Option<Check>,
    /// When a restore was last begun, whatever came of it.
    pub drill_begun: Option<Timestamp>,
    /// When a check was last begun.
    pub check_begun: Option<Timestamp>,
}

impl Tried {
    fn drilled(&mut self, drill: &Drill) {
        if self.drill.as_ref().is_none_or(|known| known.at <= drill.at) {
            self.drill = Some(drill.clone());
        }
    }

    fn checked(&mut self, check: &Check) {
        if self.check.as_ref().is_none_or(|known| known.at <= check.at) {
            self.check = Some(check.clone());
        }
    }

    /// Puts it into what is known of the data set, where it is newer.
    fn put(&self, backup: &mut Backup) {
        if let Some(drill) = &self.drill
            && backup.drill.as_ref().is_none_or(|known| known.at < drill.at)
        {
            backup.drill = Some(drill.clone());
        }
        if let Some(check) = &self.check {
            if backup.check.as_ref().is_none_or(|known| known.at < check.at) {
                backup.check = Some(check.clone());
            }
            backup.checked_at = backup.checked_at.max(Some(check.at));
        }
    }
}

/// What a poll brings of it is remembered, and what was tried since is added to it.
pub(super) fn join(world: &mut World, polled: &mut Polled) {
    let Ok(collected) = &mut polled.result else { return };
    for observation in &mut collected.observations {
        let Data::Backup(backup) = &mut observation.data else { continue };
        let known = backup.drill.is_some() || backup.check.is_some();
        if !known && !world.tried.contains_key(&polled.source) {
            continue;
        }
        let tried = world.tried.entry(polled.source.clone()).or_default();
        if let Some(drill) = &backup.drill {
            tried.drilled(drill);
        }
        if let Some(check) = &backup.check {
            tried.checked(check);
        }
        tried.put(backup);
    }
}

/// Takes over what was tried before: of what a look gave last, and of what was told since.
pub fn recall(world: &mut World, polls: &[Polled], events: &[Transition]) {
    for polled in polls {
        let Ok(collected) = &polled.result else { continue };
        for observation in &collected.observations {
            let Data::Backup(backup) = &observation.data else { continue };
            if backup.drill.is_some() || backup.check.is_some() {
                let tried = world.tried.entry(polled.source.clone()).or_default();
                backup.drill.iter().for_each(|drill| tried.drilled(drill));
                backup.check.iter().for_each(|check| tried.checked(check));
            }
        }
    }
    for event in events {
        told(world, event);
    }
}

/// Takes note of a restore, a check or the beginning of one.
pub(super) fn told(world: &mut World, transition: &Transition) {
    if let TransitionKind::Action { steps, .. } = &transition.kind {
        if let Some((job, source)) = job_of(steps) {
            let tried = world.tried.entry(source).or_default();
            let begun = match job {
                Job::Drill => &mut tried.drill_begun,
                Job::Check => &mut tried.check_begun,
            };
            *begun = (*begun).max(Some(transition.at));
        }
        return;
    }
    let Some(source) = &transition.source else { return };
    match &transition.kind {
        TransitionKind::Drill(drill) => world.tried.entry(source.clone()).or_default().drilled(drill),
        TransitionKind::Checked(check) => world.tried.entry(source.clone()).or_default().checked(check),
        _ => return,
    }
    let Some(tried) = world.tried.get(source) else { return };
    if let Some((_, backup)) = world.sources.get_mut(source).and_then(|source| source.backup.as_mut()) {
        tried.put(backup);
    }
}

/// The copy that the cursor of the calendar is on: the newest good one of that day; today, the newest good one there is.
#[must_use]
pub fn copy_at(backup: &Backup, view: &View, now: Timestamp) -> Option<Copy> {
    let mut good = backup.copies.iter().rev().filter(|copy| copy.complete != Some(false));
    if view.day_back == 0 {
        return good.next().cloned();
    }
    let day = view.zone.date(now).checked_sub_days(chrono::Days::new(u64::from(view.day_back)))?;
    good.find(|copy| view.zone.date(copy.at) == day).cloned()
}

/// The id of what is tried with a data set: `shop/drill/restic.db`.
#[must_use]
pub fn id(job: Job, source: &SourceId) -> Option<SourceId> {
    SourceId::parse(&format!("{}/{}/{}.{}", source.site(), job.word(), source.kind(), source.name())).ok()
}

/// What a run of `rounds drill` or of a check is recorded as: the verb as it would be asked for.
#[must_use]
pub fn step(job: Job, source: &SourceId, copy: Option<&str>) -> Vec<String> {
    // `rounds check` is another verb, which only looks.
    let room = (job == Job::Check).then_some("backups");
    let words = ["rounds"].into_iter().chain(room).chain([job.word(), source.as_str()]);
    let mut step: Vec<String> = words.map(str::to_owned).collect();
    if let Some(copy) = copy {
        step.extend(["--copy".to_owned(), copy.to_owned()]);
    }
    step
}

/// The data set whose restore an action tries, where it is such a one.
#[must_use]
pub fn drilled(action: &ActionSpec) -> Option<SourceId> {
    job_of(&action.steps).filter(|(job, source)| *job == Job::Drill && id(*job, source).as_ref() == Some(&action.id)).map(|(_, source)| source)
}

/// What an action runs with this answer: to its prompt, or the copy that a restore takes.
#[must_use]
pub fn steps(action: &ActionSpec, answer: Option<&str>) -> Vec<Vec<String>> {
    match drilled(action) {
        Some(source) => vec![step(Job::Drill, &source, answer)],
        None => action.filled(answer),
    }
}

/// Which job of which data set a recorded run is of, where it is one of these.
#[must_use]
pub fn job_of(steps: &[Vec<String>]) -> Option<(Job, SourceId)> {
    match steps {
        [step] => {
            let words = step.strip_prefix(&["rounds".to_owned()])?;
            // Earlier ones were recorded without the room.
            let words = words.strip_prefix(&["backups".to_owned()]).unwrap_or(words);
            Some((Job::of(words.first()?)?, SourceId::parse(words.get(1)?).ok()?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Observation;
    use crate::sources::Collected;
    use crate::state::update::update;
    use crate::state::{Effect, Msg, State};
    use crate::ui::fixture::{id, now, story};

    fn drill(minutes: i64, ok: bool) -> Drill {
        Drill { at: now() + chrono::Duration::minutes(minutes), ok, seconds: 250.0, ..Drill::default() }
    }

    fn told(drill: Drill) -> Msg {
        let (at, kind) = (drill.at, TransitionKind::Drill(Box::new(drill)));
        Msg::Events(vec![Transition { at, site: "shop".into(), source: Some(id("shop/restic/db")), kind, sentence: String::new() }])
    }

    fn polled(minutes: i64) -> Msg {
        let at = now() + chrono::Duration::minutes(minutes);
        let backup = Backup { last_success: Some(now()), ..Backup::default() };
        let observations = vec![Observation { at, data: Data::Backup(Box::new(backup)) }];
        Msg::Polled(Polled {
            source: id("shop/restic/db"),
            started: at,
            at,
            result: Ok(Collected { observations, problems: vec![], complete: true }),
            next_at: None,
        })
    }

    fn known(state: &State) -> Option<Drill> {
        state.world.sources[&id("shop/restic/db")].backup.as_ref()?.1.drill.clone()
    }

    #[test]
    fn a_drill_stays_with_the_data_set_whatever_is_polled_and_is_kept_with_it() {
        let mut state = story();
        update(&mut state, told(drill(1, true)), now());
        assert_eq!(known(&state), Some(drill(1, true)), "at once");
        let effects = update(&mut state, polled(2), now() + chrono::Duration::minutes(2));
        assert_eq!(known(&state), Some(drill(1, true)), "after the next poll");
        let kept = effects.iter().find_map(|effect| if let Effect::KeepPoll(polled) = effect { Some(polled) } else { None }).unwrap();
        let Data::Backup(backup) = &kept.result.as_ref().unwrap().observations[0].data else { panic!("no backup") };
        assert_eq!(backup.drill, Some(drill(1, true)), "what is kept has it");
        // Told late: the newer one counts.
        update(&mut state, told(drill(-9, false)), now());
        assert_eq!(known(&state), Some(drill(1, true)));
    }

    #[test]
    fn what_is_remembered_of_the_last_run_goes_on() {
        let mut state = story();
        let at = now() + chrono::Duration::minutes(1);
        let backup = Backup { last_success: Some(now()), drill: Some(drill(0, false)), ..Backup::default() };
        let observations = vec![Observation { at, data: Data::Backup(Box::new(backup)) }];
        let result = Ok(Collected { observations, problems: vec![], complete: true });
        update(&mut state, Msg::Followed(Polled { source: id("shop/restic/db"), started: at, at, result, next_at: None }), at);
        update(&mut state, polled(2), now() + chrono::Duration::minutes(2));
        assert_eq!(known(&state), Some(drill(0, false)));
    }

    #[test]
    fn a_run_is_recorded_as_a_person_would_type_it_and_known_again() {
        let db = id("shop/restic/db");
        for (job, typed) in [(Job::Drill, "rounds drill shop/restic/db --copy ed7f"), (Job::Check, "rounds backups check shop/restic/db --copy ed7f")] {
            let step = step(job, &db, Some("ed7f"));
            assert_eq!(step.join(" "), typed);
            assert_eq!(job_of(&[step]), Some((job, db.clone())));
        }
        // As it was recorded before.
        let before = ["rounds", "check", "shop/restic/db"].map(str::to_owned).to_vec();
        assert_eq!(job_of(&[before]), Some((Job::Check, db)));
        for other in [&["rounds", "backups"][..], &["restic", "check", "shop/restic/db"], &["rounds", "deps", "shop/restic/db"], &[]] {
            assert_eq!(job_of(&[other.iter().map(|word| (*word).to_owned()).collect()]), None);
        }
    }
}
