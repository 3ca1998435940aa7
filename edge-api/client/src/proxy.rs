//! Proxies that the environment names: one that cannot be used is refused, where it would be passed over.

use std::ffi::OsString;

use crate::error::ClientError;

const SCHEMES: [&str; 6] = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];

/// Refuses the variable that names the proxy for a server of this scheme, unless it names one.
pub(crate) fn check(scheme: &str, variable: impl Fn(&str) -> Option<OsString>) -> Result<(), ClientError> {
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
        check(scheme, value).map_err(|error| error.to_string())
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
}
