//! Proxies that the environment names: one that cannot be used is refused, where it would be passed over.

use std::ffi::OsString;
use std::net::IpAddr;

use crate::error::ClientError;

const SCHEMES: [&str; 6] = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];

/// Refuses the variable that names the proxy for a server of this scheme, unless it names one, or the host is reached without.
pub(crate) fn check(scheme: &str, host: &str, variable: impl Fn(&str) -> Option<OsString>) -> Result<(), ClientError> {
    // As reqwest has it: the first that is there counts, though it be empty.
    let direct = ["NO_PROXY", "no_proxy"].into_iter().find_map(|name| variable(name)?.into_string().ok());
    if direct.is_some_and(|direct| direct.split(',').any(|entry| covers(entry.trim(), host))) {
        return Ok(());
    }
    let names = if scheme == "https" { ["HTTPS_PROXY", "https_proxy"] } else { ["HTTP_PROXY", "http_proxy"] };
    let mut names = names.into_iter().chain(["ALL_PROXY", "all_proxy"]);
    let said = names.find_map(|name| Some((name, variable(name).filter(|value| !value.is_empty())?)));
    match said {
        // It may have a password, and is not shown.
        Some((name, value)) if !value.to_str().is_some_and(is_proxy) => {
            Err(ClientError::Proxy { variable: name.to_owned() })
        }
        _ => Ok(()),
    }
}

/// Whether an entry of `NO_PROXY` names the host, by the rules of reqwest, which are curl's: an address, a network of them, a
/// domain with all below it, or `*` for every name.
fn covers(entry: &str, host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = host.parse::<IpAddr>() {
        return holds(entry, address);
    }
    let domain = entry.strip_prefix('.').unwrap_or(entry);
    let (domain, host) = (domain.to_ascii_lowercase(), host.to_ascii_lowercase());
    let below = host.strip_suffix(&domain).filter(|_| !domain.is_empty());
    entry == "*" || below.is_some_and(|below| below.is_empty() || below.ends_with('.'))
}

fn holds(entry: &str, address: IpAddr) -> bool {
    let (network, len) = entry.split_once('/').map_or((entry, None), |(network, len)| (network, Some(len)));
    let Ok(network) = network.parse::<IpAddr>() else { return false };
    let (differing, bits) = match (network, address) {
        (IpAddr::V4(one), IpAddr::V4(other)) => ((one.to_bits() ^ other.to_bits()).into(), 32),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits(), 128),
        _ => return false,
    };
    let len = len.map_or(Ok(bits), str::parse::<u32>).ok().filter(|len| *len <= bits);
    len.is_some_and(|len| u128::checked_shr(differing, bits - len).unwrap_or_default() == 0)
}

/// Without a scheme it is HTTP's.
fn is_proxy(value: &str) -> bool {
    let (scheme, rest) = value.split_once("://").unwrap_or(("http", value));
    let parsed = reqwest::Url::parse(&format!("http://{rest}")).ok();
    SCHEMES.contains(&scheme.to_ascii_lowercase().as_str())
        && !value.contains(char::is_whitespace)
        && parsed.is_some_and(|parsed| parsed.has_host())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(scheme: &str, variables: &[(&str, &str)]) -> Result<(), String> {
        let value = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        check(scheme, "jobs.example.org", value).map_err(|error| error.to_string())
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_refused_by_its_variable() {
        for usable in
            ["http://127.0.0.1:3128", "127.0.0.1:3128", "https://me:secret@proxy/", "socks5h://[::1]:1080", ""]
        {
            assert_eq!(checked("http", &[("HTTP_PROXY", usable)]), Ok(()), "{usable}");
        }
        for junk in ["junk://x", "ftp://proxy:21", "http://", "://x", "http://a b:1"] {
            let refused = checked("http", &[("HTTP_PROXY", junk)]).unwrap_err();
            assert!(refused.starts_with("what HTTP_PROXY says is no proxy's address"), "{junk}: {refused}");
        }
        assert!(checked("https", &[("all_proxy", "ftp://x")]).unwrap_err().contains("all_proxy"));
    }

    #[test]
    fn only_the_variable_that_is_asked_matters() {
        assert_eq!(checked("https", &[("HTTP_PROXY", "junk://x")]), Ok(()));
        assert_eq!(checked("http", &[("HTTP_PROXY", "http://proxy:1"), ("ALL_PROXY", "junk://x")]), Ok(()));
    }

    #[test]
    fn a_proxy_does_not_matter_to_a_host_that_is_reached_without() {
        let junk = ("ALL_PROXY", "junk://x");
        for direct in ["*", "jobs.example.org", "example.org", ".Example.org", "a.b, org ,c"] {
            assert_eq!(checked("https", &[junk, ("NO_PROXY", direct)]), Ok(()), "{direct}");
            assert_eq!(checked("http", &[junk, ("no_proxy", direct)]), Ok(()), "{direct}");
        }
        for others in ["", "ample.org", "other.org", ".", "127.0.0.1", "www.jobs.example.org"] {
            assert!(checked("http", &[junk, ("NO_PROXY", others)]).is_err(), "{others}");
        }
        assert!(checked("http", &[junk, ("NO_PROXY", ""), ("no_proxy", "*")]).is_err(), "the first counts");
    }

    #[test]
    fn addresses_without_a_proxy_may_be_named_by_their_network() {
        for (entry, host) in [
            ("127.0.0.1", "127.0.0.1"),
            ("192.168.1.0/24", "192.168.1.42"),
            ("0.0.0.0/0", "10.0.0.1"),
            ("::1", "[::1]"),
            ("fd00::/8", "[fd12::1]"),
        ] {
            assert!(covers(entry, host), "{entry} {host}");
        }
        for (entry, host) in [
            ("192.168.1.0/24", "192.168.2.42"),
            ("192.168.1.0/33", "192.168.1.0"),
            ("::/0", "10.0.0.1"),
            ("*", "10.0.0.1"),
            ("1", "127.0.0.1"),
        ] {
            assert!(!covers(entry, host), "{entry} {host}");
        }
    }
}
