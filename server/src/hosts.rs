//! Under which names the server is asked, without authentication.
//!
//! A browser on this machine reaches what listens on loopback, and so does every page that it shows: by sending requests to
//! this address (`Origin` says so), or by letting a name of its own point here and asking for that (`Host` says so; DNS
//! rebinding). Requests are therefore taken under our own names only. Where callers prove who they are, no page can do that
//! for them, and names do not matter.
//!
//! # Rules
//!
//! - Ours are `localhost` and names below it, loopback addresses, the address that is listened on, and `ALLOWED_HOSTS`. Where
//!   all addresses are listened on, every address is ours: nobody can make one of theirs point here.
//! - Ports do not count in `Host`: they may be forwarded.
//! - `Origin` is the server itself, with its port as `Host` has it, or one of `ALLOWED_HOSTS` on any port.
//! - A request that names no host is not one of a browser.

use crate::error::{Code, ServiceError};
use http::uri::Uri;
use http::{HeaderMap, HeaderValue, header};
use std::net::IpAddr;

/// Names of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts {
    listens_on: IpAddr,
    /// How most requests name it, without a port: told without taking it apart.
    usual: String,
    /// In lower case, without a port.
    allowed: Vec<String>,
}

fn foreign(header: &str, value: &[u8]) -> ServiceError {
    ServiceError::new(
        Code::ForeignHost,
        format!(
            "`{header}: {}` is not a name of this server, and authentication is off; add the name to ALLOWED_HOSTS",
            String::from_utf8_lossy(value).escape_debug()
        ),
    )
}

/// The host of `host`, `host:port`, `[address]` or `[address]:port`; `None` for anything else.
fn without_port(authority: &str) -> Option<&str> {
    if authority.is_empty() || authority.contains(['@', '/', '?', '#', '\\', ' ']) {
        return None;
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            (address, port.strip_prefix(':').or(port.is_empty().then_some(""))?)
        }
        None => authority.split_once(':').unwrap_or((authority, "")),
    };
    (!host.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())).then_some(host)
}

/// Whether `ALLOWED_HOSTS` can hold it: a name or an address, without a port.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let address = text.parse::<IpAddr>().is_ok();
    address || (without_port(text) == Some(text) && !text.contains('*'))
}

impl Hosts {
    /// The names of a server that listens on this address, and more that it is known by.
    #[must_use]
    pub fn of(listens_on: IpAddr, allowed: &[String]) -> Self {
        let named = if listens_on.is_unspecified() {
            IpAddr::from([127, 0, 0, 1])
        } else {
            listens_on
        };
        Self {
            listens_on,
            usual: match named {
                IpAddr::V4(address) => address.to_string(),
                IpAddr::V6(address) => format!("[{address}]"),
            },
            allowed: allowed.iter().map(|name| name.to_ascii_lowercase()).collect(),
        }
    }

    /// Whether a request is for this server, and not from a page of another.
    ///
    /// # Errors
    ///
    /// [`Code::ForeignHost`].
    pub fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), ServiceError> {
        let named = uri.authority().map(|authority| authority.as_str());
        if let Some(authority) = named
            && !self.names_us(authority.as_bytes())
        {
            return Err(foreign("Host", authority.as_bytes()));
        }
        for value in headers.get_all(header::HOST) {
            if !self.names_us(value.as_bytes()) {
                return Err(foreign("Host", value.as_bytes()));
            }
        }
        if !headers.contains_key(header::ORIGIN) {
            return Ok(());
        }
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let own = named.or_else(|| headers.get(header::HOST)?.to_str().ok());
        match origins.find(|origin| !self.is_own_page(origin, own)) {
            None => Ok(()),
            Some(origin) => Err(foreign("Origin", origin.as_bytes())),
        }
    }

    /// Whether a host, with or without a port, is ours.
    fn names_us(&self, authority: &[u8]) -> bool {
        let usual = match authority.strip_prefix(self.usual.as_bytes()) {
            Some([]) => true,
            Some([b':', port @ ..]) => port.iter().all(u8::is_ascii_digit),
            _ => false,
        };
        let parsed = || {
            // Names in other letters travel as ASCII.
            let text = std::str::from_utf8(authority)
                .ok()
                .filter(|text| text.is_ascii())?;
            Some(self.is_ours(without_port(text)?))
        };
        usual || parsed().unwrap_or(false)
    }

    fn is_allowed(&self, host: &str) -> bool {
        self.allowed
            .iter()
            .any(|allowed| allowed.eq_ignore_ascii_case(host))
    }

    fn is_ours(&self, host: &str) -> bool {
        if let Ok(address) = host.parse::<IpAddr>() {
            return address.to_canonical().is_loopback()
                || address == self.listens_on
                || self.listens_on.is_unspecified()
                || self.is_allowed(host);
        }
        let host = host.strip_suffix('.').unwrap_or(host);
        let local = host.len().checked_sub("localhost".len()).is_some_and(|at| {
            let (before, end) = host.split_at_checked(at).unwrap_or_default();
            end.eq_ignore_ascii_case("localhost") && (before.is_empty() || before.ends_with('.'))
        });
        local || self.is_allowed(host)
    }

    /// Whether a page of this origin is one of the server that is asked for as `own`.
    fn is_own_page(&self, origin: &HeaderValue, own: Option<&str>) -> bool {
        let authority = origin.to_str().ok().and_then(|origin| {
            let (scheme, authority) = origin.split_once("://")?;
            matches!(scheme, "http" | "https").then_some(authority)
        });
        let Some(authority) = authority else {
            // As `null`, which pages without an origin of their own send.
            return false;
        };
        let same = own.is_some_and(|own| own.eq_ignore_ascii_case(authority));
        same || without_port(authority).is_some_and(|host| self.is_allowed(host))
    }
}

#[cfg(test)]
mod tests {
    use super::{Hosts, is_name};
    use http::{HeaderMap, HeaderValue, Uri, header};

    fn headers(host: &str, origin: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(host).unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_str(origin).unwrap());
        }
        headers
    }

    fn hosts(address: &str) -> Hosts {
        let allowed = ["Policy.internal".to_owned(), "192.0.2.7".to_owned()];
        Hosts::of(address.parse().unwrap(), &allowed)
    }

    #[test]
    fn only_our_own_names_are_ours() {
        let (local, all) = (hosts("127.0.0.1"), hosts("0.0.0.0"));
        let uri = Uri::from_static("/api/v1/policies");
        for (host, by_local, by_all) in [
            ("localhost", true, true),
            ("LocalHost:3000", true, true),
            ("app.localhost.:3000", true, true),
            ("127.0.0.1:9", true, true),
            ("127.9.9.9", true, true),
            ("[::1]:3000", true, true),
            ("[::1]", true, true),
            ("policy.internal:80", true, true),
            ("192.0.2.7", true, true),
            ("10.0.0.1:3000", false, true),
            ("[2001:db8::1]", false, true),
            ("evil.example", false, false),
            ("evillocalhost", false, false),
            ("localhost.evil.example", false, false),
            ("127.0.0.1.evil.example", false, false),
            ("policy.internal.evil.example", false, false),
            ("127.0.0.1@evil.example", false, false),
            ("localhost:x", false, false),
            ("localhost:1:2", false, false),
            ("localhost/evil.example", false, false),
            ("[::1", false, false),
            ("[::1]x", false, false),
            ("", false, false),
            (":3000", false, false),
        ] {
            assert_eq!(
                local.check(&uri, &headers(host, None)).is_ok(),
                by_local,
                "{host}"
            );
            assert_eq!(all.check(&uri, &headers(host, None)).is_ok(), by_all, "{host}");
        }
        let mut twice = headers("localhost", None);
        twice.append(header::HOST, HeaderValue::from_static("evil.example"));
        assert!(local.check(&uri, &twice).is_err());
        let mut odd = HeaderMap::new();
        for host in [&b"localh\xf6st"[..], "é.localhost".as_bytes()] {
            odd.insert(header::HOST, HeaderValue::from_bytes(host).unwrap());
            assert!(local.check(&uri, &odd).is_err());
        }
        assert!(local.check(&uri, &HeaderMap::new()).is_ok());
        // As HTTP/2 and proxies say it.
        for (uri, ours) in [("http://localhost:1/x", true), ("http://evil.example/x", false)] {
            let uri = uri.parse().unwrap();
            assert_eq!(local.check(&uri, &HeaderMap::new()).is_ok(), ours, "{uri}");
            assert!(local.check(&uri, &headers("evil.example", None)).is_err());
        }
    }

    #[test]
    fn only_our_own_pages_may_ask() {
        let (hosts, uri) = (hosts("127.0.0.1"), Uri::from_static("/"));
        for (host, origin, taken) in [
            ("localhost:3000", "http://localhost:3000", true),
            ("localhost:3000", "https://LOCALHOST:3000", true),
            ("localhost", "http://localhost", true),
            ("localhost:3000", "http://policy.internal:8080", true),
            ("localhost:3000", "http://localhost:8080", false),
            ("localhost:3000", "http://127.0.0.1:3000", false),
            ("localhost:3000", "http://evil.example", false),
            ("localhost:3000", "null", false),
            ("localhost:3000", "", false),
            ("localhost:3000", "file://localhost:3000", false),
            ("localhost:3000", "chrome-extension://localhost:3000", false),
        ] {
            let answer = hosts.check(&uri, &headers(host, Some(origin)));
            assert_eq!(answer.is_ok(), taken, "{host} {origin}");
        }
        let mut twice = headers("localhost", Some("http://localhost"));
        twice.append(header::ORIGIN, HeaderValue::from_static("http://evil.example"));
        assert!(hosts.check(&uri, &twice).is_err());
    }

    #[test]
    fn names_have_no_ports() {
        for name in ["policy.internal", "10.0.0.1", "::1", "a"] {
            assert!(is_name(name), "{name}");
        }
        for name in [
            "",
            "a:80",
            "http://a",
            "a/b",
            "*",
            "*.internal",
            "[::1]",
            "a b",
            "u@a",
        ] {
            assert!(!is_name(name), "{name}");
        }
    }
}
