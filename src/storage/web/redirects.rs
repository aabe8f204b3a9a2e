//! Where a redirect may lead: to the root's own origin, and to hosts that its options name.

use std::sync::Arc;

use url::Url;

use super::addresses::Addresses;

/// Most redirects of one request.
pub(crate) const MOST_REDIRECTS: usize = 5;

/// The redirects that one root allows.
#[derive(Clone, Debug)]
pub(crate) struct Redirects {
    /// Where the root lies.
    origin: Url,
    hosts: Vec<HostPattern>,
    addresses: Arc<Addresses>,
}

/// Hosts by name: `host`, `host:port`, or `*.domain` for all below a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostPattern {
    name: String,
    below: bool,
    /// The usual port of the scheme where none is named.
    port: Option<u16>,
}

impl HostPattern {
    /// A pattern as the options write it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (below, rest) = text.strip_prefix("*.").map_or((false, text), |rest| (true, rest));
        let parsed = Url::parse(&format!("scheme://{rest}")).ok()?;
        let plain = matches!(parsed.path(), "" | "/") && parsed.query().is_none() && parsed.fragment().is_none();
        let name = parsed.host_str().filter(|name| !name.is_empty() && !name.contains('*'))?;
        let bare = parsed.username().is_empty() && parsed.password().is_none();
        // As special schemes spell it: addresses in their usual form, names in lower case.
        let spelled = Url::parse(&format!("http://{name}")).ok()?.host_str()?.to_owned();
        (plain && bare && (!below || rest.contains('.'))).then_some(Self { name: spelled, below, port: parsed.port() })
    }

    fn fits(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else { return false };
        let named = match self.below {
            false => host == self.name,
            true => host.strip_suffix(self.name.as_str()).is_some_and(|above| above.len() > 1 && above.ends_with('.')),
        };
        let port = if self.port.is_some() { url.port_or_known_default() == self.port } else { url.port().is_none() };
        named && port
    }
}

impl Redirects {
    pub(crate) fn new(origin: Url, hosts: Vec<HostPattern>, addresses: Arc<Addresses>) -> Self {
        Self { origin, hosts, addresses }
    }

    /// Whether `url` has the scheme, host and port of the root.
    pub(crate) fn is_own(&self, url: &Url) -> bool {
        let port = |url: &Url| url.port_or_known_default();
        (url.scheme(), url.host_str(), port(url)) == (self.origin.scheme(), self.origin.host_str(), port(&self.origin))
    }

    /// Why a redirect to `target` is not followed, if so. Names the host, never path or query: these may hold a
    /// signature.
    pub(crate) fn refuse(&self, target: &Url) -> Option<String> {
        let host = target.host_str().unwrap_or("no host");
        let shown = target.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        if !matches!(target.scheme(), "http" | "https") {
            return Some(format!("the store redirects to the scheme {}, which is not followed", target.scheme()));
        }
        if !target.username().is_empty() || target.password().is_some() {
            return Some(format!("the store redirects to a user name at {shown}, which is not followed"));
        }
        if self.is_own(target) {
            return None;
        }
        if self.origin.scheme() == "https" && target.scheme() == "http" {
            return Some(format!("the store redirects from https to http://{shown}, which is not followed"));
        }
        if !self.hosts.iter().any(|pattern| pattern.fits(target)) {
            let scheme = target.scheme();
            return Some(format!(
                "the store redirects to {scheme}://{shown}, which its option redirects does not name"
            ));
        }
        let inner = "which is an address that the storage root may not reach";
        (!self.addresses.allows_literal(target)).then(|| format!("the store redirects to {shown}, {inner}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redirects(root: &str, hosts: &[&str]) -> Redirects {
        let origin = Url::parse(root).unwrap();
        let hosts = hosts.iter().map(|host| HostPattern::parse(host).unwrap()).collect();
        Redirects::new(origin.clone(), hosts, Arc::new(Addresses::of(&origin)))
    }

    #[test]
    fn only_named_hosts_are_followed() {
        let allowed = redirects("https://data.example.org/a", &["cdn.example.org", "*.hf.co", "files.org:8443"]);
        for (target, follows) in [
            ("https://data.example.org/elsewhere?x=1", true),
            ("https://data.example.org:443/b", true),
            ("https://CDN.example.org/x", true),
            ("https://a.b.hf.co/x", true),
            ("https://files.org:8443/x", true),
            ("https://data.example.org:444/b", false),
            ("http://data.example.org/b", false),
            ("http://cdn.example.org/x", false),
            ("https://cdn.example.org:81/x", false),
            ("https://hf.co/x", false),
            ("https://evilhf.co/x", false),
            ("https://files.org/x", false),
            ("https://other.org/x", false),
            ("https://user@cdn.example.org/x", false),
            ("ftp://cdn.example.org/x", false),
            ("file:///etc/passwd", false),
            ("https://169.254.169.254/latest", false),
            ("https://127.0.0.1/x", false),
        ] {
            let refused = allowed.refuse(&Url::parse(target).unwrap());
            assert_eq!(refused.is_none(), follows, "{target}: {refused:?}");
            assert!(refused.is_none_or(|reason| !reason.contains("latest") && !reason.contains("/x")), "{target}");
        }
    }

    #[test]
    fn a_named_address_must_be_within_reach() {
        let public = redirects("https://data.example.org", &["169.254.169.254", "10.0.0.1", "8.8.8.8"]);
        for (target, follows) in
            [("https://169.254.169.254/", false), ("https://10.0.0.1/", false), ("https://8.8.8.8/", true)]
        {
            assert_eq!(public.refuse(&Url::parse(target).unwrap()).is_none(), follows, "{target}");
        }
        let inner = redirects("http://127.0.0.1:80", &["10.0.0.1", "169.254.169.254"]);
        assert_eq!(inner.refuse(&Url::parse("http://10.0.0.1/").unwrap()), None);
        assert!(inner.refuse(&Url::parse("http://169.254.169.254/").unwrap()).is_some());
    }

    #[test]
    fn patterns_are_hosts() {
        for text in ["", "*", "*.org/x", "https://a.org", "a.org/x", "a.org?x", "u@a.org", "*.*.org", "*.org"] {
            assert_eq!(HostPattern::parse(text), None, "{text}");
        }
        assert!(HostPattern::parse("localhost:81").is_some() && HostPattern::parse("[::1]:81").is_some());
    }
}
