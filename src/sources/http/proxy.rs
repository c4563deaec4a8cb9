//! Through a proxy: where it is, and a tunnel through it.
//!
//! What does not belong here: which proxy is used (`connect`), and reading the environment (`io::http`).

use std::future::ready;
use std::io;
use std::task::{Context, Poll};

use hyper::Uri;
use hyper_util::client::legacy::connect::proxy::{SocksV4, SocksV5, Tunnel};
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::TokioIo;
use tower::Service;

use super::connect::Failure;
use super::stream::BoxIo;

/// Where a proxy is.
pub struct Proxy {
    /// `http`, `https`, `socks5`, …
    pub scheme: String,
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl Proxy {
    /// Reads it from what was configured or stood in the environment.
    pub fn of(proxy: &Intercept) -> Self {
        let uri = proxy.uri();
        let scheme = uri.scheme_str().unwrap_or("http").to_owned();
        let usual = match scheme.as_str() {
            "https" => 443,
            "http" => 80,
            _ => 1080,
        };
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        Self { port: uri.port_u16().unwrap_or(usual), scheme, host }
    }

    /// Says that it was the proxy and not the endpoint.
    pub fn blamed(&self, failure: Failure) -> Failure {
        match failure {
            Failure::There(mut error) => {
                error.message = format!("the proxy {}:{}: {}", self.host, self.port, error.message);
                Failure::There(error)
            }
            here @ Failure::Here(_) => here,
        }
    }
}

/// Asks a proxy to pass bytes on to `target`.
pub async fn tunnel(proxy: &Intercept, scheme: &str, target: Uri, stream: BoxIo) -> Result<BoxIo, String> {
    let at = proxy.uri().clone();
    let connector = Ready(Some(TokioIo::new(stream)));
    let result = match scheme {
        "http" | "https" => {
            let mut tunnel = Tunnel::new(at, connector);
            if let Some(authorization) = proxy.basic_auth() {
                tunnel = tunnel.with_auth(authorization.clone());
            }
            tunnel.call(target).await.map_err(|error| plain_chain(&error))
        }
        "socks4" | "socks4a" => SocksV4::new(at, connector).local_dns(scheme == "socks4").call(target).await.map_err(|error| plain_chain(&error)),
        _ => {
            let mut socks = SocksV5::new(at, connector).local_dns(scheme == "socks5");
            if let Some((user, password)) = proxy.raw_auth() {
                socks = socks.with_auth(user.to_owned(), password.to_owned());
            }
            socks.call(target).await.map_err(|error| plain_chain(&error))
        }
    };
    result.map(TokioIo::into_inner)
}

/// Gives the connection to the proxy that already stands.
struct Ready(Option<TokioIo<BoxIo>>);

impl Service<Uri> for Ready {
    type Response = TokioIo<BoxIo>;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<TokioIo<BoxIo>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(self.0.take().ok_or_else(|| io::Error::other("connected already")))
    }
}

/// The innermost reason of an error, where it has one.
fn plain_chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
