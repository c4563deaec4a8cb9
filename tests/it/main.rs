//! One test binary: whole-app runs, the command line, the terminal, the configuration, the layering.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where by panicking")]

mod actions;
mod cli;
mod config;
mod demo;
mod docs;
mod drill;
mod fuzz;
mod journal;
mod keyring;
mod layering;
mod pty;
mod secrets;
mod sentry;
mod several;
mod upgrade;
mod upgrade_dashboard;
mod upgrade_django;
mod upgrade_limits;
mod wall;
mod watch;
mod whole_app;
