//! rounds: is it all right now, and what upkeep does it need, by when?
//!
//! Sources turn the world into typed observations; one synchronous function, [`state`]'s `update`, is the only thing that changes
//! state; rules are pure functions from state to findings; the screen, the verbs, the JSON and the report are views of that state.
//!
//! | room | what lives there |
//! | --- | --- |
//! | [`domain`] | the vocabulary: ids, time, observations, findings; pure |
//! | [`rules`] | one file for each question an on-call asks; pure |
//! | [`state`] | the reducer: world, view, messages, effects, commands; pure |
//! | [`sources`] | one folder for each integration, the table of kinds, the runner |
//! | [`actions`] | runs and audits every change of the outside world that a person asked for |
//! | [`backups`] | what backup sources share: promises, repositories, judging, running tools |
//! | [`packages`] | what dependency sources share: manifests, indexes, versions |
//! | [`journal`] | the history kept on disk |
//! | [`io`] | ports to the world: HTTP clients, file tails, commands, secrets |
//! | [`config`] | the configuration walked, its diagnostics, trust |
//! | [`ui`] | draws the state |
//! | [`report`] | text, JSON and the Nagios line from the same state |
//! | [`app`] | composition root, event loop, terminal guard, signals |
//! | [`demo`] | the built-in demonstration site |
//! | [`cli`] | one file for each verb |

pub mod actions;
pub mod app;
pub mod backups;
pub mod cli;
pub mod config;
pub mod demo;
pub mod domain;
pub mod io;
pub mod journal;
pub mod packages;
pub mod report;
pub mod rules;
pub mod sources;
pub mod state;
#[cfg(test)]
pub mod testing;
pub mod ui;
