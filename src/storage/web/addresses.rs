//! Which addresses a web root may reach: the Internet always, inner networks only where the root itself is there, and
//! never what only machines of a cloud may ask (link-local addresses, at which clouds give out credentials).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};

use url::{Host, Url};

/// How near an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Somewhere in the Internet.
    Public,
    /// This machine, or a private network.
    Inner,
    /// Link-local, multicast, or no address of a machine.
    Never,
}

/// The addresses that the requests of one root may go to.
#[derive(Debug)]
pub(crate) struct Addresses {
    /// Hosts that may lie in an inner network: that of the root, and the proxy.
    named: Vec<String>,
    /// Whether the root itself lies in an inner network.
    inner: AtomicBool,
}

impl Addresses {
    /// The addresses that the root at `root` may reach.
    pub(crate) fn of(root: &Url) -> Self {
        let inner = literal(root).is_some_and(|address| reach(address) == Reach::Inner);
        Self { named: root.host_str().map(str::to_owned).into_iter().collect(), inner: AtomicBool::new(inner) }
    }

    /// The same, with the host of a proxy.
    pub(crate) fn with_proxy(mut self, proxy: &Url) -> Self {
        self.named.extend(proxy.host_str().map(str::to_owned));
        self
    }

    /// Whether a request to `host` may go to `address`. Learns from the root's own addresses where it lies.
    pub(crate) fn allows(&self, host: &str, address: IpAddr) -> bool {
        match reach(address) {
            Reach::Public => true,
            Reach::Never => false,
            Reach::Inner => {
                if self.named.first().is_some_and(|root| root == host) {
                    self.inner.store(true, Ordering::Relaxed);
                }
                self.inner.load(Ordering::Relaxed) || self.named.iter().any(|named| named == host)
            }
        }
    }

    /// Whether a request may go to `url`, as far as its host is an address; names are looked at when they are resolved.
    pub(crate) fn allows_literal(&self, url: &Url) -> bool {
        literal(url).is_none_or(|address| self.allows(url.host_str().unwrap_or_default(), address))
    }
}

/// The address that is the host of `url`.
pub(crate) fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(IpAddr::V4(address)),
        Host::Ipv6(address) => Some(IpAddr::V6(address)),
        Host::Domain(_) => None,
    }
}

/// How near `address` is (IANA's registries of special-purpose addresses).
pub(crate) fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(address) => reach_v4(address),
        IpAddr::V6(address) => embedded(address).map_or_else(|| reach_v6(address), reach_v4),
    }
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    let [first, second, third, _] = address.octets();
    match (first, second, third) {
        (0 | 224.., _, _) | (169, 254, _) => Reach::Never,
        (10 | 127, _, _) | (172, 16..=31, _) | (192, 168, _) | (100, 64..=127, _) | (198, 18..=19, _) | (192, 0, 0) => {
            Reach::Inner
        }
        _ => Reach::Public,
    }
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    let [first, second, .., last] = address.segments();
    match first {
        _ if address.is_loopback() => Reach::Inner,
        _ if address.is_unspecified() => Reach::Never,
        0xfe80..=0xfebf | 0xff00..=0xffff => Reach::Never,
        // The metadata service of AWS.
        0xfd00 if second == 0x0ec2 && last == 0x0254 => Reach::Never,
        0xfc00..=0xfdff | 0xfec0..=0xfeff => Reach::Inner,
        _ => Reach::Public,
    }
}

/// The IPv4 address that an IPv6 address stands for: mapped, compatible, 6to4 or NAT64.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let joined = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(joined(high, low)),
        [0, 0, 0, 0, 0, 0, high, low] if high > 0 => Some(joined(high, low)),
        [0x2002, high, low, ..] => Some(joined(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart() {
        for (address, expected) in [
            ("8.8.8.8", Reach::Public),
            ("172.15.0.1", Reach::Public),
            ("172.32.0.1", Reach::Public),
            ("2606:4700::1111", Reach::Public),
            ("127.0.0.1", Reach::Inner),
            ("127.9.9.9", Reach::Inner),
            ("10.1.2.3", Reach::Inner),
            ("172.16.0.1", Reach::Inner),
            ("192.168.0.1", Reach::Inner),
            ("100.100.100.200", Reach::Inner),
            ("::1", Reach::Inner),
            ("fd12::1", Reach::Inner),
            ("::ffff:10.0.0.1", Reach::Inner),
            ("2002:0a00:0001::1", Reach::Inner),
            ("169.254.169.254", Reach::Never),
            ("169.254.0.1", Reach::Never),
            ("0.0.0.0", Reach::Never),
            ("255.255.255.255", Reach::Never),
            ("224.0.0.1", Reach::Never),
            ("::", Reach::Never),
            ("fe80::1", Reach::Never),
            ("fd00:ec2::254", Reach::Never),
            ("::ffff:169.254.169.254", Reach::Never),
            ("::169.254.169.254", Reach::Never),
            ("64:ff9b::169.254.169.254", Reach::Never),
            ("2002:a9fe:a9fe::1", Reach::Never),
        ] {
            assert_eq!(reach(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn inner_networks_are_reached_from_inner_roots_only() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let public = Addresses::of(&Url::parse("https://data.example.org/x").unwrap());
        assert!(public.allows("cdn.example.org", address("8.8.8.8")));
        assert!(!public.allows("cdn.example.org", address("10.0.0.1")), "the root is not known to be inner");
        assert!(public.allows("data.example.org", address("10.0.0.7")), "the operator named it");
        assert!(public.allows("cdn.example.org", address("10.0.0.1")), "the root lies there too");
        assert!(!public.allows("data.example.org", address("169.254.169.254")), "never");
        let inner = Addresses::of(&Url::parse("http://127.0.0.1:81").unwrap());
        assert!(inner.allows("127.0.0.1", address("127.0.0.1")) && inner.allows("x", address("192.168.1.1")));
        let proxied = Addresses::of(&Url::parse("http://a.org").unwrap());
        let proxied = proxied.with_proxy(&Url::parse("http://proxy:3128").unwrap());
        assert!(proxied.allows("proxy", address("10.0.0.1")) && !proxied.allows("b.org", address("10.0.0.1")));
    }

    #[test]
    fn hosts_that_are_addresses_are_seen_in_every_spelling() {
        let public = Addresses::of(&Url::parse("https://data.example.org").unwrap());
        for host in
            ["169.254.169.254", "0xa9fea9fe", "2852039166", "0251.0376.0251.0376", "[::ffff:a9fe:a9fe]", "127.1"]
        {
            assert!(!public.allows_literal(&Url::parse(&format!("http://{host}/latest")).unwrap()), "{host}");
        }
        assert!(public.allows_literal(&Url::parse("http://8.8.8.8/").unwrap()));
        assert!(public.allows_literal(&Url::parse("http://name/").unwrap()), "names are looked at later");
    }
}
