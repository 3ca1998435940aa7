//! Where a request comes from: the connection's other end, or what a trusted proxy says of it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

/// The client's address, as limits go by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// `None` for a request that came over no connection.
    pub fn of(parts: &Parts, trusted: &[IpNet]) -> Option<Self> {
        let ConnectInfo(peer) = parts.extensions.get::<ConnectInfo<SocketAddr>>()?;
        Some(Self(limit_key(client(peer.ip().to_canonical(), &parts.headers, trusted))))
    }
}

pub fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|network| network.contains(&address))
}

/// One subscriber has a whole /64 of IPv6, and could else be a new stranger with each request.
pub fn limit_key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

/// Proxies append the address that they were connected from, so the list is read from its end for as long as
/// those who wrote it are trusted. What comes before is whatever a client made up.
fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let mut nearest = peer;
    for hop in forwarded(headers).into_iter().rev() {
        if !is_trusted(nearest, trusted) {
            return nearest;
        }
        match hop {
            Some(hop) => nearest = hop,
            None => return nearest,
        }
    }
    nearest
}

/// Who forwarded for whom, the nearest last; `None` for what is no address. `X-Forwarded-For`, and without one
/// `Forwarded`.
fn forwarded(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let list = |name: &'static str| -> Vec<&str> {
        let values = headers.get_all(HeaderName::from_static(name)).iter();
        values.flat_map(|value| value.to_str().unwrap_or_default().split(',')).collect()
    };
    let plain = list("x-forwarded-for");
    if !plain.is_empty() {
        return plain.into_iter().map(address).collect();
    }
    let for_of = |element: &str| {
        let mut pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
        let (_, value) = pairs.find(|(name, _)| name.eq_ignore_ascii_case("for"))?;
        address(value.trim_matches('"'))
    };
    list("forwarded").into_iter().map(for_of).collect()
}

/// `203.0.113.9`, `203.0.113.9:4711`, `2001:db8::9`, `[2001:db8::9]` or `[2001:db8::9]:4711`.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<IpAddr>().ok();
    let with_port = || Some(text.parse::<SocketAddr>().ok()?.ip());
    text.parse::<IpAddr>().ok().or_else(bare).or_else(with_port).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(peer: &str, headers: &[(&'static str, &'static str)], expected: &str) {
        let trusted = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap());
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        assert_eq!(client(peer.parse().unwrap(), &map, &trusted), expected.parse::<IpAddr>().unwrap());
    }

    #[test]
    fn limits_go_by_a_trusted_proxys_forwarded_address_and_by_nobody_elses() {
        let forwarded = "x-forwarded-for";
        check("203.0.113.9", &[], "203.0.113.9");
        check("203.0.113.9", &[(forwarded, "198.51.100.1")], "203.0.113.9");
        check("10.0.0.1", &[(forwarded, "198.51.100.1")], "198.51.100.1");
        check("10.0.0.1", &[(forwarded, "6.6.6.6, 198.51.100.1, 10.0.0.2")], "198.51.100.1");
        check("10.0.0.1", &[(forwarded, "6.6.6.6"), (forwarded, "198.51.100.1")], "198.51.100.1");
        check("10.0.0.1", &[(forwarded, "6.6.6.6, unknown")], "10.0.0.1");
        check("10.0.0.1", &[(forwarded, "[2001:db8::9]:4711")], "2001:db8::9");
        check("fd00::1", &[("forwarded", "for=6.6.6.6, for=\"[2001:db8::9]\";proto=https")], "2001:db8::9");
        check("10.0.0.1", &[("forwarded", "proto=https;for=198.51.100.1:80")], "198.51.100.1");
        check("10.0.0.1", &[], "10.0.0.1");
    }

    #[test]
    fn limits_go_by_64_bits_of_an_ipv6_address() {
        let key = |text: &str| limit_key(text.parse().unwrap()).to_string();

        assert_eq!(key("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(key("::ffff:203.0.113.9"), "203.0.113.9");
        assert_eq!(key("203.0.113.9"), "203.0.113.9");
    }
}
