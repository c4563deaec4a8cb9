//! Issues, packages, backups and deploys.

use super::*;

#[test]
fn new_and_returned_issues_are_findings_and_ongoing_ones_are_not() {
    let (mut state, id) = with("sentry", Capability::Issues);
    let items =
        vec![issue("1", IssueState::New, 61), issue("2", IssueState::Regressed, 3), issue("3", IssueState::Ongoing, 900), issue("4", IssueState::Archived, 9)];
    update(&mut state, poll(&id, 0, Ok(vec![Data::Issues(Issues { total: 4, items, server: "sentry".into(), ..Issues::default() })])), at(0));
    let found: Vec<_> = state.world.findings.iter().map(|f| (f.severity, f.title.as_str(), f.users)).collect();
    assert_eq!(
        found,
        [
            (Severity::Critical, "New: KeyError: 'currency' in basket/pricing.py", Some(61)),
            (Severity::Warning, "Back: KeyError: 'currency' in basket/pricing.py", Some(3)),
        ]
    );
    update(&mut state, poll(&id, 30, Err(SourceError::auth("the token has expired", "make a new one"))), at(30));
    assert!(state.world.findings.iter().any(|f| f.title == "Errors of x not known: the token has expired"));
    assert_eq!(state.world.sources[&crate::domain::SourceId::parse(&id).unwrap()].issues.as_ref().unwrap().1.items.len(), 4, "the last good list stays");
    // A list of which a page did not come takes nothing away.
    let mut part = poll(
        &id,
        60,
        Ok(vec![Data::Issues(Issues { total: 4, items: vec![issue("2", IssueState::Ongoing, 3)], server: "sentry".into(), ..Issues::default() })]),
    );
    if let Msg::Polled(Polled { result: Ok(collected), .. }) = &mut part {
        collected.complete = false;
    }
    update(&mut state, part, at(60));
    let known = &state.world.sources[&crate::domain::SourceId::parse(&id).unwrap()].issues.as_ref().unwrap().1;
    let ids: Vec<(&str, IssueState)> = known.items.iter().map(|issue| (issue.id.as_str(), issue.state)).collect();
    assert_eq!(ids, [("2", IssueState::Ongoing), ("1", IssueState::New), ("3", IssueState::Ongoing), ("4", IssueState::Archived)]);
}

#[test]
fn packages_are_one_finding_and_a_part_answer_keeps_the_rest() {
    let (mut state, id) = with("python", Capability::Packages);
    let package = |name: &str, bump: Option<Bump>, cvss: Option<f64>| Package {
        name: name.into(),
        installed: Some("1.0".into()),
        latest: Some("2.0".into()),
        wanted: Some("1.1".into()),
        bump,
        cure: cvss.map(|_| "1.1".into()),
        advisories: cvss
            .map(|score| Advisory {
                id: "GHSA-1".into(),
                aliases: vec![],
                severity: None,
                cvss: Some(score),
                fixed_in: vec!["1.1".into()],
                ..Advisory::default()
            })
            .into_iter()
            .collect(),
        ..Package::default()
    };
    let seen = |items| vec![Data::Packages(Packages { manifest: "requirements.txt".into(), items, ..Packages::default() })];
    update(&mut state, poll(&id, 0, Ok(seen(vec![package("a", Some(Bump::Major), None), package("b", Some(Bump::Patch), None)]))), at(0));
    let finding = &state.world.findings[0];
    assert_eq!((finding.severity, finding.title.as_str()), (Severity::Info, "2 packages are outdated: 1 major, 1 patch"));
    update(&mut state, poll(&id, 30, Ok(seen(vec![package("a", Some(Bump::Major), Some(7.5)), package("b", None, None)]))), at(30));
    let finding = &state.world.findings[0];
    assert_eq!((finding.severity, finding.title.as_str()), (Severity::Warning, "a 1.0 → 1.1 cures 1 advisory, CVSS 7.5"));
    let Msg::Polled(mut part) = poll(&id, 60, Ok(seen(vec![Package { name: "a".into(), problem: Some("no answer".into()), ..Package::default() }]))) else {
        unreachable!()
    };
    part.result.as_mut().unwrap().complete = false;
    update(&mut state, Msg::Polled(part), at(60));
    assert_eq!(state.world.findings[0].severity, Severity::Warning, "what was known of it stays");
}

#[test]
fn a_late_backup_breaks_its_promise() {
    let hour = 3_600;
    for (age_h, complaints, expected) in [
        (20, vec![], None),
        (33, vec![], Some((Severity::Warning, "Backup x is late: 33 h of 26 h"))),
        (60, vec![], Some((Severity::Critical, "Backup x is late: 2 d of 26 h"))),
        (20, vec!["shrank 38 %: 254 MiB, median 411 MiB".to_owned()], Some((Severity::Warning, "Backup x shrank 38 %: 254 MiB, median 411 MiB"))),
    ] {
        let (mut state, id) = with("files", Capability::Backup);
        let backup = Backup {
            last_success: Some(at(-age_h * hour)),
            snapshots: 5,
            tool: "files".into(),
            place: "/backups".into(),
            max_age_s: Some(26 * 3_600),
            complaints,
            ..Backup::default()
        };
        update(&mut state, poll(&id, 0, Ok(vec![Data::Backup(Box::new(backup))])), at(0));
        assert_eq!(state.world.findings.first().map(|f| (f.severity, f.title.as_str())), expected, "{age_h}");
        assert!(state.world.findings.len() <= 1);
    }
}

#[test]
fn a_long_list_comes_in_parts_and_what_is_in_it_no_more_goes() {
    let (mut state, id) = with("sentry", Capability::Issues);
    let part = |from: u64, names: &[&str], ids: &[&str], complete: bool, at_s: i64| {
        let items = names.iter().map(|name| issue(name, IssueState::Ongoing, 1)).collect();
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        let mut msg = poll(&id, at_s, Ok(vec![Data::Issues(Issues { total: 9, items, server: "sentry".into(), from, ids, saved: vec![] })]));
        if let Msg::Polled(Polled { result: Ok(collected), .. }) = &mut msg {
            collected.complete = complete;
        }
        msg
    };
    let source = crate::domain::SourceId::parse(&id).unwrap();
    let known =
        |state: &State| state.world.sources[&source].issues.as_ref().unwrap().1.items.iter().map(|issue| issue.id.clone()).collect::<Vec<_>>().join(" ");
    let kept = |effects: Vec<Effect>| effects.iter().any(|effect| matches!(effect, Effect::KeepPoll(_)));
    assert!(kept(update(&mut state, part(0, &["1", "2"], &[], false, 0), at(0))));
    assert!(!kept(update(&mut state, part(2, &["3", "4"], &[], false, 1), at(1))), "the rest of a long list is not for the journal");
    update(&mut state, part(4, &["5"], &["1", "2", "3", "5"], false, 2), at(2));
    assert_eq!(known(&state), "1 2 3 5");
    // The beginning is read again: what moved there is there once, what is not in the list is gone.
    update(&mut state, part(0, &["5", "2"], &["2", "3", "5"], false, 60), at(60));
    assert_eq!(known(&state), "5 2 3");
    assert!(state.world.sources[&source].issues.as_ref().unwrap().1.ids.is_empty());
    update(&mut state, part(0, &["2"], &[], true, 120), at(120));
    assert_eq!(known(&state), "2");
}

#[test]
fn a_deploy_that_a_tracker_tells_counts_beside_those_that_people_tell() {
    let (mut state, id) = with("sentry", Capability::Issues);
    state.world.sites.push(SiteState { name: "shop".into(), environment: Some("production".into()), ..SiteState::default() });
    let release = |version: &str, s: i64| crate::domain::Release {
        version: format!("shop@{version}"),
        short: Some(version.to_owned()),
        created_at: None,
        released_at: None,
        deploys: vec![crate::domain::Deploy { environment: "production".into(), at: at(s), name: None, url: None }],
        commits: vec![],
        commit_count: 0,
        new_issues: 0,
        issues: vec![],
    };
    let told = |items: Vec<crate::domain::Release>, s: i64| {
        poll(&id, s, Ok(vec![Data::Issues(Issues::default()), Data::Release(crate::domain::Releases { items, environment: None })]))
    };
    let deploys = |state: &State| state.world.events.iter().filter(|event| matches!(event.kind, TransitionKind::Deploy { .. })).count();
    update(&mut state, told(vec![release("v1", 10)], 20), at(20));
    assert_eq!((state.world.sites[0].release.clone(), deploys(&state)), (Some(("v1".into(), at(10))), 0), "what was there before is no news");
    update(&mut state, told(vec![release("v2", 30), release("v1", 10)], 40), at(40));
    assert_eq!((state.world.sites[0].release.clone(), deploys(&state)), (Some(("v2".into(), at(30))), 1));
    assert_eq!(state.world.events.back().unwrap().sentence, "deployed v2, as sentry/x tells");
    // What people tell later is right, and an older word does not undo it.
    let kind = TransitionKind::Deploy { version: "v3".into(), by: "ana".into() };
    update(&mut state, Msg::Events(vec![Transition { at: at(50), site: "shop".into(), source: None, kind, sentence: String::new() }]), at(50));
    update(&mut state, told(vec![release("v2", 30)], 60), at(60));
    assert_eq!(state.world.sites[0].release, Some(("v3".into(), at(50))));
}
