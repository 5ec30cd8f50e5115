//! Which addresses callbacks may reach. Reference: events-and-callbacks, section 6; README, settings.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;
use url::{Host, Url};

use crate::configuration::Configuration;

/// Ranges that lead into somebody's own network, or nowhere.
const PRIVATE: &[&str] = &[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/128",
    "::1/128",
    "64:ff9b:1::/48",
    // Teredo: to a machine behind somebody's address translation.
    "2001::/32",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
];

/// The rules: what is allowed wins over what is denied; the rest is allowed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NetworkRules {
    allow: Vec<IpNet>,
    deny: Vec<IpNet>,
}

impl NetworkRules {
    /// The rules that a configuration means.
    ///
    /// - `listener`: where the server listens. One that only this machine can reach may call anything that this
    ///   machine can: nobody but its own users can set callbacks.
    pub fn new(configuration: &Configuration, listener: SocketAddr) -> NetworkRules {
        let is_local = match &configuration.public_url {
            Some(url) => is_loopback(url),
            None => listener.ip().is_loopback(),
        };
        let deny = match &configuration.callbacks.networks_deny {
            Some(deny) => deny.clone(),
            None if is_local => Vec::new(),
            None => PRIVATE.iter().map(|range| range.parse().expect("the ranges are networks")).collect(),
        };
        NetworkRules { allow: configuration.callbacks.networks_allow.clone(), deny }
    }

    /// Whether an address may be called. An IPv4 address in IPv6 clothes counts as what it is, and an IPv6 address that
    /// leads to an IPv4 address is denied with it.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let is_in = |networks: &[IpNet]| networks.iter().any(|network| network.contains(&address));
        let leads_to_allowed = || match address {
            IpAddr::V4(_) => true,
            IpAddr::V6(address) => embedded(address).is_none_or(|address| self.allows(address.into())),
        };
        is_in(&self.allow) || (!is_in(&self.deny) && leads_to_allowed())
    }
}

/// The IPv4 address that a translator or a tunnel takes out of an IPv6 address.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let (high, low) = match address.segments() {
        // Not in use, and this machine.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => return None,
        // IPv4-compatible (RFC 4291), translated (RFC 2765); NAT64 (RFC 6052).
        [0, 0, 0, 0, 0 | 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        // 6to4 (RFC 3056).
        | [0x2002, high, low, ..] => (high, low),
        _ => return None,
    };
    Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
}

fn is_loopback(url: &str) -> bool {
    let url = Url::parse(url).expect("the configuration was checked");
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(listener: &str, change: impl FnOnce(&mut Configuration)) -> NetworkRules {
        let mut configuration = Configuration::default();
        change(&mut configuration);
        NetworkRules::new(&configuration, listener.parse().unwrap())
    }

    #[track_caller]
    fn check(rules: &NetworkRules, address: &str, allowed: bool) {
        assert_eq!(rules.allows(address.parse().unwrap()), allowed, "{address}");
    }

    #[test]
    fn a_server_that_others_reach_does_not_call_private_addresses() {
        let rules = rules("0.0.0.0:8420", |_| ());
        for private in ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fe80::1", "::ffff:10.0.0.1", "fd00::1"] {
            check(&rules, private, false);
        }
        for public in ["203.0.113.5", "2001:db8::1", "172.32.0.1"] {
            check(&rules, public, true);
        }
    }

    #[test]
    fn an_address_that_leads_to_another_is_denied_with_it() {
        let public = rules("0.0.0.0:8420", |_| ());
        for private in [
            "64:ff9b::7f00:1",
            "64:ff9b::10.1.2.3",
            "2002:7f00:1::",
            "2002:a01:203::1",
            "::127.0.0.1",
            "::ffff:0:127.0.0.1",
            "2001:0:cb00:7105::1",
            "fec0::1",
        ] {
            check(&public, private, false);
        }
        for address in ["64:ff9b::203.0.113.5", "2002:cb00:7105::1", "::203.0.113.5", "2001:1::1"] {
            check(&public, address, true);
        }
        let own = rules("0.0.0.0:8420", |configuration| {
            configuration.callbacks.networks_deny = Some(vec!["203.0.113.0/24".parse().unwrap()]);
            configuration.callbacks.networks_allow = vec!["203.0.113.5/32".parse().unwrap()];
        });
        check(&own, "64:ff9b::203.0.113.4", false);
        check(&own, "64:ff9b::203.0.113.5", true);
        check(&own, "64:ff9b::127.0.0.1", true);
        check(&rules("127.0.0.1:8420", |_| ()), "64:ff9b::127.0.0.1", true);
    }

    #[test]
    fn a_server_that_only_its_machine_reaches_calls_everything() {
        check(&rules("127.0.0.1:8420", |_| ()), "10.1.2.3", true);
        let behind = |url: &str| rules("0.0.0.0:80", |configuration| configuration.public_url = Some(url.to_owned()));
        check(&behind("http://localhost:8420"), "127.0.0.1", true);
        check(&behind("https://route.example.com"), "127.0.0.1", false);
        let public = rules("127.0.0.1:80", |configuration| {
            configuration.public_url = Some("https://route.example.com".to_owned());
        });
        check(&public, "127.0.0.1", false);
    }

    #[test]
    fn what_is_allowed_wins_over_what_is_denied() {
        let rules = rules("127.0.0.1:80", |configuration| {
            configuration.callbacks.networks_deny = Some(vec!["0.0.0.0/0".parse().unwrap()]);
            configuration.callbacks.networks_allow = vec!["10.1.0.0/16".parse().unwrap()];
        });
        check(&rules, "10.1.2.3", true);
        check(&rules, "10.2.2.3", false);
        check(&rules, "203.0.113.5", false);
        check(&rules, "::1", true);
    }
}
