//! Which source needs which: every name leads to a source of the same site, and none needs itself, also not by way of others.

use std::collections::{BTreeMap, HashSet};

use super::diagnostic::Diagnostic;
use super::suggest;
use super::walk::{Need, Walk};

impl Walk<'_> {
    /// Every `needs` names a source of the same site, and none needs itself, also not by way of others.
    pub(super) fn check_needs(&mut self) {
        let all: BTreeMap<String, &[Need]> = self.needs.iter().map(|(id, needs)| (id.to_string(), needs.as_slice())).collect();
        let mut told = Vec::new();
        for (id, needs) in &self.needs {
            for (need, span) in needs {
                let target = format!("{}/{need}", id.site());
                if !all.contains_key(&target) {
                    let near: Vec<&str> =
                        all.keys().filter_map(|other| other.strip_prefix(&format!("{}/", id.site()))).filter(|other| *other != id.within_site()).collect();
                    let help = suggest::nearest(need, near)
                        .map_or_else(|| "write kind/name of a source of the same site".to_owned(), |near| format!("did you mean \"{near}\"?"));
                    told.push(Diagnostic::error(span.clone(), format!("\"{need}\" is no source of the site `{}`", id.site()), help));
                } else if reaches(&all, &target, id.as_str()) {
                    let message =
                        if target == id.as_str() { "a source cannot need itself".to_owned() } else { format!("\"{need}\" needs this source in turn") };
                    told.push(Diagnostic::error(span.clone(), message, "take one of them out"));
                }
            }
        }
        self.out.told.append(&mut told);
    }
}

/// Whether `from` is `to` or needs it, directly or not.
fn reaches(all: &BTreeMap<String, &[Need]>, from: &str, to: &str) -> bool {
    let mut seen = HashSet::new();
    let mut next = vec![from.to_owned()];
    while let Some(here) = next.pop() {
        if here == to {
            return true;
        }
        if seen.insert(here.clone())
            && let (Some(needs), Some((site, _))) = (all.get(&here), here.split_once('/'))
        {
            next.extend(needs.iter().map(|(need, _)| format!("{site}/{need}")));
        }
    }
    false
}
