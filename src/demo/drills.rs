//! The demonstration's restore drills: real ones of its real dumps, once the story has begun. The shop's holds, the blog's does not.
//!
//! What does not belong here: the drill itself (`actions::drill`).

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::actions::{audit, drill};
use crate::backups::schedule::Job;
use crate::config::{self, Search, TrustStore};
use crate::io::clock;
use crate::state::Msg;
use crate::state::acting::run_id;

/// Who begins them.
const BY: &str = "the schedule";
/// When the first one begins.
const BEGIN: Duration = Duration::from_secs(8);

/// Tries a restore of each data set that promises one, one after the other, and tells what came of it.
pub async fn run(path: PathBuf, state: PathBuf, tell: mpsc::Sender<Msg>) {
    tokio::time::sleep(BEGIN).await;
    for order in orders(&path, &state) {
        let title = drill::title(order.job, &order.source);
        let record = drill::begun(&order, &run_id("demo", clock::now(), 0), BY, clock::now());
        if tell.send(Msg::Tried(Box::new(record.clone()))).await.is_err() {
            return;
        }
        let begun = Instant::now();
        let outcome = drill::carry_out(&order, &record, &CancellationToken::new(), &mut |_| {}).await;
        let end = outcome.end(u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX));
        let ended = audit::ended(&record, end, &title, clock::now());
        for told in outcome.told(&order.source).into_iter().chain(ended) {
            // The dashboard was left when this fails.
            let _ = tell.send(Msg::Tried(Box::new(told))).await;
        }
    }
}

/// The data sets of the configuration that promise a drill.
fn orders(path: &Path, state: &Path) -> Vec<drill::Order> {
    let search = Search { explicit: Some(path.to_owned()), ..Search::default() };
    // A configuration that somebody changed meanwhile, and not well, has none.
    let Ok(mut loaded) = config::load(&search, &TrustStore::new(state), &|_| None) else { return Vec::new() };
    for entry in &mut loaded.config.sources {
        entry.context.state = Some(state.to_owned());
    }
    let orders = drill::orders(&loaded.config).into_iter().map(|(_, order)| order);
    orders.filter(|order| order.job == Job::Drill && order.repository.drill().every.is_some()).collect()
}
