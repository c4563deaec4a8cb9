//! Ports to the world, each with a fake for tests.

pub mod apart;
pub mod api;
pub mod back;
pub mod clock;
pub mod exec;
pub mod http;
pub mod lend;
pub mod net;
pub mod secret;
pub mod service;
pub mod tail;
pub mod watch;
pub mod zone;
