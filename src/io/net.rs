//! Whether this machine is cut off, on positive evidence only: no default route, or no anchor answers.
//!
//! Nothing here runs by itself; it is asked when something failed to connect. What does not belong here: what being cut off means for
//! what is known (`state::offline`).

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::domain::SourceId;
use crate::state::msg::Network;

/// How long an anchor may take to accept.
const ANCHOR: Duration = Duration::from_secs(3);
/// How long a name may take to resolve, where it is asked whether it is near.
const RESOLVE: Duration = Duration::from_secs(1);

pub use crate::config::model::Place;

/// Looks. `watched` are the sources that need the network, with what they connect to; those of them that are near (loopback, a
/// network that this machine is part of) are never excused.
pub async fn look(anchors: &[Place], watched: &[(SourceId, Vec<Place>)]) -> Network {
    let routes = Routes::of_system();
    let text = if anchors.is_empty() {
        match &routes {
            Some(routes) if !routes.has_default() => "there is no route to anywhere".to_owned(),
            _ => return Network::Online,
        }
    } else {
        let answers = join_all(anchors.iter().map(|(host, port)| timeout(ANCHOR, TcpStream::connect((host.as_str(), *port))))).await;
        if answers.iter().any(|answer| matches!(answer, Ok(Ok(_)))) {
            return Network::Online;
        }
        "nothing answers".to_owned()
    };
    let routes = routes.unwrap_or_default();
    let far = join_all(watched.iter().map(|(id, places)| {
        let routes = &routes;
        async move {
            let near = join_all(places.iter().map(|(host, _)| is_near(host, routes))).await;
            (!near.contains(&true)).then(|| id.clone())
        }
    }));
    Network::Offline { text, excused: far.await.into_iter().flatten().collect::<BTreeSet<_>>() }
}

/// Whether a host is certainly this machine, going by its name alone.
#[must_use]
pub fn is_this_machine(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Whether a host is reached without the way out: its failure is its own.
async fn is_near(host: &str, routes: &Routes) -> bool {
    if is_this_machine(host) {
        return true;
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return routes.is_near(address);
    }
    match timeout(RESOLVE, lookup_host((host, 0))).await {
        Ok(Ok(addresses)) => {
            let mut addresses = addresses.peekable();
            addresses.peek().is_some() && addresses.all(|address| routes.is_near(address.ip()))
        }
        // A name that cannot be asked for is a thing of the way out.
        _ => false,
    }
}

/// The routing table of this machine, as far as it matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routes {
    /// Network and length of its prefix; 0 is a default route.
    v4: Vec<(Ipv4Addr, u32)>,
    v6: Vec<(Ipv6Addr, u32)>,
}

/// The route is usable (`RTF_UP`) and refuses nothing (`RTF_REJECT`); flags of linux/route.h.
const UP: u32 = 0x1;
const REJECT: u32 = 0x200;

impl Routes {
    /// Reads them; `None` where the system does not tell, which is evidence of nothing.
    #[must_use]
    pub fn of_system() -> Option<Self> {
        let v4 = std::fs::read_to_string("/proc/net/route").ok()?;
        // A machine without IPv6 has no such file.
        let v6 = std::fs::read_to_string("/proc/net/ipv6_route").unwrap_or_default();
        Some(Self::parse(&v4, &v6))
    }

    /// From the text of `/proc/net/route` and `/proc/net/ipv6_route` (proc(5)): hexadecimal, the former in the machine's byte order.
    #[must_use]
    pub fn parse(v4: &str, v6: &str) -> Self {
        let hex = |text: &str| u32::from_str_radix(text, 16).ok();
        let usable = |flags: u32| flags & UP != 0 && flags & REJECT == 0;
        let old = v4.lines().skip(1).filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [interface, destination, _, flags, _, _, _, mask, ..] = fields.as_slice() else { return None };
            let address = Ipv4Addr::from(hex(destination)?.to_ne_bytes());
            (*interface != "lo" && usable(hex(flags)?)).then_some((address, hex(mask)?.count_ones()))
        });
        let new = v6.lines().filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [destination, prefix, _, _, _, _, _, _, flags, interface] = fields.as_slice() else { return None };
            let address = Ipv6Addr::from(u128::from_str_radix(destination, 16).ok()?);
            (*interface != "lo" && usable(hex(flags)?)).then_some((address, hex(prefix)?))
        });
        Self { v4: old.collect(), v6: new.collect() }
    }

    /// Whether there is a way out, by either family.
    #[must_use]
    pub fn has_default(&self) -> bool {
        self.v4.iter().any(|(_, prefix)| *prefix == 0) || self.v6.iter().any(|(_, prefix)| *prefix == 0)
    }

    /// Whether an address is this machine's own or of a network that it has a route of its own to.
    #[must_use]
    pub fn is_near(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let covers = |(network, prefix): &(Ipv4Addr, u32)| {
                    *prefix > 0 && (u32::from(address) ^ u32::from(*network)).checked_shr(32 - (*prefix).min(32)).unwrap_or(0) == 0
                };
                address.is_loopback() || self.v4.iter().any(covers)
            }
            IpAddr::V6(address) => {
                let covers = |(network, prefix): &(Ipv6Addr, u32)| {
                    *prefix > 0 && (u128::from(address) ^ u128::from(*network)).checked_shr(128 - (*prefix).min(128)).unwrap_or(0) == 0
                };
                address.is_loopback() || self.v6.iter().any(covers)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n";

    /// An address as the file writes it on this machine.
    fn written(address: [u8; 4]) -> String {
        format!("{:08X}", u32::from_ne_bytes(address))
    }

    fn line(interface: &str, network: [u8; 4], flags: &str, mask: [u8; 4]) -> String {
        format!("{interface}\t{}\t00000000\t{flags}\t0\t0\t0\t{}\t0\t0\t0\n", written(network), written(mask))
    }

    #[test]
    fn a_way_out_is_a_default_route_that_is_up_and_refuses_nothing() {
        let lan = line("eth0", [10, 1, 0, 0], "0001", [255, 255, 0, 0]);
        let out = line("eth0", [0; 4], "0003", [0; 4]);
        let down = line("eth0", [0; 4], "0002", [0; 4]);
        let zero = "00000000000000000000000000000000";
        let v6 =
            |flags: &str, interface: &str| format!("{zero} 00 {zero} 00 fd000000000000000000000000000001 00000400 00000002 00000000 {flags}     {interface}\n");
        for (v4, v6, way_out) in [
            (String::new(), String::new(), false),
            (lan.clone(), String::new(), false),
            (format!("{lan}{out}"), String::new(), true),
            (format!("{lan}{down}"), String::new(), false),
            (lan.clone(), v6("00000003", "eth0"), true),
            // What a machine without IPv6 to the outside has: an unreachable default on the loopback interface.
            (lan.clone(), v6("00200200", "lo"), false),
            (lan.clone(), v6("00000203", "eth0"), false),
            ("garbage \u{0}\n\n1 2".to_owned(), "zz zz".to_owned(), false),
        ] {
            assert_eq!(Routes::parse(&format!("{HEAD}{v4}"), &v6).has_default(), way_out, "{v4:?} {v6:?}");
        }
        let routes = Routes::parse(&format!("{HEAD}{lan}{out}"), "");
        for (address, near) in [("10.1.2.3", true), ("10.2.2.3", false), ("127.9.9.9", true), ("::1", true), ("2001:db8::1", false), ("::ffff:10.1.0.1", true)]
        {
            assert_eq!(routes.is_near(address.parse().unwrap()), near, "{address}");
        }
    }

    #[tokio::test]
    async fn an_anchor_that_answers_means_that_we_are_not_cut_off() {
        let open = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = ("127.0.0.1".to_owned(), open.local_addr().unwrap().port());
        let closed = {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            ("127.0.0.1".to_owned(), listener.local_addr().unwrap().port())
        };
        let far = SourceId::parse("shop/http/far").unwrap();
        let watched = [
            (far.clone(), vec![("203.0.113.7".to_owned(), 443)]),
            (SourceId::parse("shop/http/here").unwrap(), vec![("127.0.0.1".to_owned(), 80)]),
            (SourceId::parse("shop/http/own").unwrap(), vec![("shop.localhost".to_owned(), 80)]),
        ];
        assert_eq!(look(&[closed.clone(), there], &watched).await, Network::Online);
        assert_eq!(look(&[closed], &watched).await, Network::Offline { text: "nothing answers".to_owned(), excused: BTreeSet::from([far]) });
    }
}
