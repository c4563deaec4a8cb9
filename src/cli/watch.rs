//! `rounds watch`: the collector without a screen, for a server or a service manager.

use std::net::SocketAddr;

use anyhow::anyhow;

use super::{Context, Exit, Failure, dashboard, load};
use crate::app::reload::{Load, Read};
use crate::app::watch::{Options, watch};
use crate::config::model::Config;

/// Its flags.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Serve /metrics and /health here instead of where [watch] says; "none" serves nothing
    #[arg(long, value_name = "ADDRESS", value_parser = place)]
    pub listen: Option<Place>,
}

/// Where to serve; `None`: nowhere. A type of its own, as `Option<Option<_>>` means something else to the reader of flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(pub Option<SocketAddr>);

fn place(text: &str) -> Result<Place, String> {
    if text == "none" {
        return Ok(Place(None));
    }
    let address: SocketAddr = text.parse().map_err(|_| "write an address with a port, such as 127.0.0.1:9911, or none".to_owned())?;
    if address.ip().is_loopback() {
        Ok(Place(Some(address)))
    } else {
        Err("other machines reach it: `listen_to_others = true` in [watch] allows that, a flag does not".to_owned())
    }
}

/// Runs until SIGTERM or SIGINT; SIGHUP reads the configuration again.
///
/// # Errors
/// No or a wrong configuration, no state directory, a place to listen that is taken.
pub fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let config = at(args.listen, load::config(context)?);
    let Some(path) = config.path.clone() else { return Err(Failure::Usage("there is no configuration".to_owned())) };
    let Some(state_dir) = load::state_dir(context) else {
        return Err(Failure::Usage("there is no state directory to keep history in: name one with --state-dir".to_owned()));
    };
    let (load, listen) = (dashboard::reload(path, context).load, args.listen);
    let load: Load = Box::new(move || load().map(|read| Read { config: at(listen, read.config), ..read }));
    let options = Options { config, state_dir, read_only: context.global.read_only, load };
    watch(options).map(|_| Exit::OK).map_err(|error| Failure::Other(anyhow!(error)))
}

/// The configuration with the flag's place.
fn at(listen: Option<Place>, mut config: Config) -> Config {
    if let Some(Place(listen)) = listen {
        config.watch.listen = listen;
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_listens_on_loopback_or_nowhere() {
        assert_eq!(place("none"), Ok(Place(None)));
        assert!(place("127.0.0.1:9912").is_ok() && place("[::1]:9912").is_ok());
        assert!(place("0.0.0.0:9912").unwrap_err().contains("listen_to_others"));
        assert!(place("9912").unwrap_err().contains("127.0.0.1:9911"));
    }
}
