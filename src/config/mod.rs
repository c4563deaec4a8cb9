//! The configuration: found, walked, checked, explained. It opens no source and runs no command.

pub mod model;
pub mod value;
