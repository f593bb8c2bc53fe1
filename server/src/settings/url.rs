//! URLs in settings: all of it for the request, and less for whoever reads logs, answers and errors.
//!
//! # Invariants
//!
//! - User, password and the values of the query are shown nowhere: they are credentials as often as not.
//! - What cannot be taken apart for certain is not shown at all.

use super::value::percent_encoded;
use http::Uri;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

/// A URL of http or https. It prints without what may be a credential.
#[derive(Clone, PartialEq, Eq)]
pub struct Url(String);

impl Url {
    /// `None` where it is no URL, or another kind.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let uri = text.parse::<Uri>().ok()?;
        let known = matches!(uri.scheme_str(), Some("http" | "https"));
        (known && place(&uri).is_some()).then(|| Self(text.to_owned()))
    }

    /// All of it, for the request.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Where a redirect leads to, with the credentials of this URL; `None` where that is another server, or less protected.
    #[must_use]
    pub fn redirected(&self, location: &str) -> Option<Self> {
        let from = self.0.parse::<Uri>().ok()?;
        let (scheme, authority) = (from.scheme_str()?, from.authority()?);
        let to = if location.starts_with("//") {
            format!("{scheme}:{location}").parse::<Uri>().ok()?
        } else if location.starts_with('/') {
            format!("{scheme}://{authority}{location}").parse().ok()?
        } else {
            location.parse::<Uri>().ok()?
        };
        let (target, encrypted) = (to.authority()?, to.scheme_str()? == "https");
        let port = |uri: &Uri| match (uri.port_u16(), uri.scheme_str()) {
            (Some(port), _) => port,
            (None, Some("https")) => 443,
            (None, _) => 80,
        };
        let same = scheme == to.scheme_str()? && port(&from) == port(&to);
        let upgraded = scheme == "http" && encrypted && port(&from) == 80 && port(&to) == 443;
        if !target.host().eq_ignore_ascii_case(authority.host()) || !(same || upgraded) {
            return None;
        }
        let credentials = authority
            .as_str()
            .rsplit_once('@')
            .map_or("", |(before, _)| before);
        let at = if credentials.is_empty() { "" } else { "@" };
        let place = place(&to)?;
        let path = to.path_and_query().map_or("/", |path| path.as_str());
        Self::parse(&format!("{}://{credentials}{at}{place}{path}", to.scheme_str()?))
    }

    /// The same with this path, where it has none.
    #[must_use]
    pub fn or_path(self, path: &str) -> Self {
        let (_, behind) = self.0.split_once("://").unwrap_or(("", &self.0));
        match behind.find(['/', '?', '#']) {
            None => Self(format!("{}{path}", self.0)),
            Some(at) if &behind[at..] == "/" => Self(format!("{}{path}", self.0.trim_end_matches('/'))),
            Some(_) => self,
        }
    }

    /// Whether it holds a user or a password.
    #[must_use]
    pub fn has_credentials(&self) -> bool {
        let uri = self.0.parse::<Uri>().ok();
        uri.is_none_or(|uri| {
            uri.authority()
                .is_none_or(|authority| authority.as_str().contains('@'))
        })
    }

    /// Whether it is of this machine: `localhost` or a loopback address.
    #[must_use]
    pub fn is_local(&self) -> bool {
        let uri = self.0.parse::<Uri>().ok();
        uri.as_ref().and_then(Uri::host).is_some_and(|host| {
            let address = host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .parse::<IpAddr>();
            host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
        })
    }

    /// Whether it is https.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.0
            .get(..6)
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"))
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redacted(&self.0))
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

/// Host and port; `None` where they may be the beginning of a password, as in `http://user:pass/word@host`.
fn place(uri: &Uri) -> Option<String> {
    let authority = uri.authority()?;
    let host = authority.host();
    let place = match authority.port_u16() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let written = authority.as_str();
    let written = written.rsplit_once('@').map_or(written, |(_, place)| place);
    (!host.is_empty() && written == place && !uri.path().contains('@')).then_some(place)
}

/// A URL without what may be a credential.
pub(crate) fn redacted(url: &str) -> String {
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    let parts = url.parse::<Uri>().ok().and_then(|uri| Some((place(&uri)?, uri)));
    let Some((place, uri)) = parts else {
        return format!("{scheme}://***");
    };
    let mut shown = format!("{scheme}://{place}{}", uri.path());
    for (i, pair) in uri
        .query()
        .into_iter()
        .flat_map(|query| query.split('&'))
        .enumerate()
    {
        shown.push(if i == 0 { '?' } else { '&' });
        if let Some((name, _)) = pair.split_once('=') {
            shown.push_str(name);
            shown.push('=');
        }
        shown.push_str("***");
    }
    shown
}

/// What the URL of a server says, by the settings that say the same in parts. What it leaves open is not there.
pub(crate) type Said = BTreeMap<&'static str, String>;

/// A part of a URL, decoded.
fn decoded(text: &str) -> Option<String> {
    percent_encoding::percent_decode_str(text)
        .decode_utf8()
        .ok()
        .map(std::borrow::Cow::into_owned)
}

/// What a URL of PostgreSQL says. `None` where it cannot be taken apart.
pub(crate) fn postgres_says(text: &str) -> Option<Said> {
    let url = ::url::Url::parse(text).ok()?;
    let mut said = Said::new();
    let mut say = |name, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            said.insert(name, value);
        }
    };
    say("DATABASE_HOST", url.host_str().and_then(decoded));
    say("DATABASE_PORT", url.port().map(|port| port.to_string()));
    say("DATABASE_USERNAME", decoded(url.username()));
    say("DATABASE_PASSWORD", url.password().and_then(decoded));
    say("DATABASE_NAME", decoded(url.path().trim_start_matches('/')));
    for (key, value) in url.query_pairs() {
        let name = match &*key {
            "host" | "hostaddr" => "DATABASE_HOST",
            "port" => "DATABASE_PORT",
            "user" => "DATABASE_USERNAME",
            "password" => "DATABASE_PASSWORD",
            "dbname" => "DATABASE_NAME",
            "sslmode" | "ssl-mode" => "DATABASE_SSL_MODE",
            "sslrootcert" | "ssl-root-cert" | "ssl-ca" => "DATABASE_SSL_ROOT_CERT",
            _ => continue,
        };
        say(name, Some(value.into_owned()));
    }
    Some(said)
}

/// What a URL of Redis says. `None` where it cannot be taken apart.
pub(crate) fn redis_says(text: &str) -> Option<Said> {
    let url = ::url::Url::parse(text).ok()?;
    let parts = [
        ("REDIS_HOST", url.host_str().and_then(decoded)),
        ("REDIS_PORT", url.port().map(|port| port.to_string())),
        ("REDIS_USERNAME", decoded(url.username())),
        ("REDIS_PASSWORD", url.password().and_then(decoded)),
        ("REDIS_DB", decoded(url.path().trim_start_matches('/'))),
        ("REDIS_TLS_ENABLED", Some((url.scheme() == "rediss").to_string())),
    ];
    let said = parts
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.filter(|v| !v.is_empty())?)));
    Some(said.collect())
}

/// A URL of Redis with what it left open. `None` where it cannot be taken apart.
pub(crate) fn redis_with(text: &str, parts: &Said) -> Option<String> {
    let mut url = ::url::Url::parse(text).ok()?;
    for (name, value) in parts {
        match *name {
            "REDIS_PORT" => url.set_port(Some(value.parse().ok()?)).ok()?,
            // The library leaves `%` as it is, and whoever reads the URL would decode it.
            "REDIS_USERNAME" => url.set_username(&percent_encoded(value)).ok()?,
            "REDIS_PASSWORD" => url.set_password(Some(&percent_encoded(value))).ok()?,
            "REDIS_DB" => url.set_path(&format!("/{value}")),
            _ => return None,
        }
    }
    Some(url.into())
}

/// A text of somebody else, such as the error of a library, with every URL in it as [`Url`] prints it.
#[must_use]
pub fn scrubbed(text: &str) -> String {
    let ends = |c: char| c.is_whitespace() || "\"'`<>".contains(c);
    let mut out = String::new();
    for piece in text.split_inclusive(ends) {
        let word = piece.trim_end_matches(ends);
        let scheme = word.find("://").map(|at| {
            let letters = word[..at].chars().rev();
            at - letters.take_while(char::is_ascii_alphanumeric).count()
        });
        match scheme.and_then(|start| word.split_at_checked(start)) {
            Some((before, url)) => {
                out.push_str(before);
                out.push_str(&redacted(url));
            }
            None => out.push_str(word),
        }
        out.push_str(&piece[word.len()..]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Url, redacted, scrubbed};

    #[test]
    fn nothing_that_may_be_a_credential_is_shown() {
        let cases = [
            (
                "http://127.0.0.1:18082/x.bundle",
                "http://127.0.0.1:18082/x.bundle",
            ),
            (
                "https://user:pa55w0rd@host:8443/x.bundle?sig=S3CRET&v=1&S3CRET#S3CRET",
                "https://host:8443/x.bundle?sig=***&v=***&***",
            ),
            ("https://S3CRET@host", "https://host/"),
            ("http://user:pa55@[::1]:80/x", "http://[::1]:80/x"),
            // No URLs, or others than they look like.
            ("http://user:pa55/w0rd@host/x", "http://***"),
            ("http://user:55/w0rd@host/x", "http://***"),
            ("http://user:pa55 w0rd@host/x", "http://***"),
            ("ftp://user:pa55@host/x", "ftp://host/x"),
        ];
        for (url, shown) in cases {
            assert_eq!(redacted(url), shown);
            assert_eq!(
                scrubbed(&format!("bad uri: {url}")).split(' ').nth(2),
                shown.into()
            );
        }
        let url = Url::parse(cases[1].0).unwrap();
        assert_eq!(format!("{url} {url:?}"), format!("{0} Url({0})", cases[1].1));
        assert_eq!(url.expose(), cases[1].0);
    }

    #[test]
    fn texts_around_urls_stay() {
        assert_eq!(
            scrubbed("cannot use `(http://u:p@h/x?k=v` at all, http://h/y: why"),
            "cannot use `(http://h/x?k=***` at all, http://h/y: why"
        );
        assert_eq!(scrubbed("connection refused\n"), "connection refused\n");
    }

    #[test]
    fn redirects_lead_to_the_same_server_only() {
        let followed = |from: &str, to: &str| {
            let url = Url::parse(from).unwrap().redirected(to)?;
            Some(url.expose().to_owned())
        };
        for (from, to, expected) in [
            ("http://host/a", "/b?c=d", Some("http://host/b?c=d")),
            ("http://u:p@host:81/a", "/b", Some("http://u:p@host:81/b")),
            (
                "http://u:p@host:81/a",
                "http://HOST:81/b",
                Some("http://u:p@HOST:81/b"),
            ),
            ("http://host/a", "http://host:80/b", Some("http://host:80/b")),
            ("http://host/a", "https://host/b", Some("https://host/b")),
            ("https://host/a", "//host/b", Some("https://host/b")),
            ("https://host/a", "http://host/b", None),
            ("http://host/a", "http://host:81/b", None),
            ("http://host:81/a", "https://host/b", None),
            ("http://host/a", "http://other/b", None),
            ("http://host/a", "//other/b", None),
            ("http://host/a", "http://host.other/b", None),
            ("http://host/a", "http://x@other/b", None),
            ("http://host/a", "http://host@other/b", None),
            ("http://host/a", "file:///etc/passwd", None),
            ("http://host/a", "b", None),
            ("http://host/a", "", None),
        ] {
            assert_eq!(followed(from, to).as_deref(), expected, "{from} {to}");
        }
    }

    #[test]
    fn only_http_and_https_are_taken() {
        for text in [
            "ftp://host/x",
            "http://",
            "host/x",
            "http://user:pa55/w0rd@host",
            "",
        ] {
            assert_eq!(Url::parse(text), None, "{text}");
        }
        assert!(Url::parse("HTTPS://host").unwrap().is_encrypted());
        assert!(!Url::parse("http://host").unwrap().is_encrypted());
    }
}
