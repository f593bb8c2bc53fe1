//! Addresses and networks of `in_cidr`.
//!
//! Shared by the checks at compile time, the verifier and the VM, so that all of them give one answer. IPv4 and IPv6
//! are two worlds: an IPv4-mapped address (`::ffff:10.0.0.1`) is the IPv4 address that it holds, a network inside
//! `::ffff:0:0/96` is an IPv4 network, and no IPv6 network, `::/0` included, holds an IPv4 address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// First bits of IPv4-mapped addresses.
const MAPPED: u8 = 96;

/// One address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    /// IPv4, also when it was written as a mapped IPv6 address.
    V4(u32),
    /// Every other IPv6 address.
    V6(u128),
}

impl Address {
    /// Reads a text that is exactly one address: no port, brackets, zone or white space.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text.parse::<IpAddr>().ok()?.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => Self::V6(address.to_bits()),
        })
    }
}

/// One network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// First address and number of fixed bits.
    V4(u32, u8),
    /// First address and number of fixed bits.
    V6(u128, u8),
}

/// Why a text is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkProblem {
    /// It is not an address, or the length behind the slash is none.
    Malformed,
    /// Bits behind the length are set; this network is what it is part of.
    HostBits(Network),
}

impl Network {
    /// Reads `10.0.0.0/8`, `2001:db8::/32`, or a bare address, which is a network of one.
    ///
    /// # Errors
    ///
    /// [`NetworkProblem`].
    pub fn parse(text: &str) -> Result<Self, NetworkProblem> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkProblem::Malformed)?;
        let bits: u8 = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            Some(text) => prefix_length(text)
                .filter(|n| *n <= bits)
                .ok_or(NetworkProblem::Malformed)?,
            None => bits,
        };
        let (written, network) = match address {
            IpAddr::V4(address) => (
                u128::from(address.to_bits()),
                Self::V4(address.to_bits() & mask4(length), length),
            ),
            IpAddr::V6(address) => (
                address.to_bits(),
                Self::V6(address.to_bits() & mask6(length), length),
            ),
        };
        let exact = match network {
            Self::V4(first, _) => u128::from(first) == written,
            Self::V6(first, _) => first == written,
        };
        let network = network.canonical();
        if exact {
            Ok(network)
        } else {
            Err(NetworkProblem::HostBits(network))
        }
    }

    /// A network of mapped addresses as the IPv4 network that it is.
    fn canonical(self) -> Self {
        let Self::V6(first, length) = self else {
            return self;
        };
        match (
            Ipv6Addr::from_bits(first).to_ipv4_mapped(),
            length.checked_sub(MAPPED),
        ) {
            (Some(address), Some(length)) => Self::V4(address.to_bits(), length),
            _other => self,
        }
    }

    /// Whether `address` is in it.
    #[must_use]
    pub fn holds(self, address: Address) -> bool {
        match (self, address) {
            (Self::V4(first, length), Address::V4(address)) => address & mask4(length) == first,
            (Self::V6(first, length), Address::V6(address)) => address & mask6(length) == first,
            (Self::V4(..), Address::V6(_)) | (Self::V6(..), Address::V4(_)) => false,
        }
    }
}

impl fmt::Display for Network {
    /// As [`Network::parse`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(first, length) => write!(f, "{}/{length}", Ipv4Addr::from_bits(*first)),
            Self::V6(first, length) => write!(f, "{}/{length}", Ipv6Addr::from_bits(*first)),
        }
    }
}

/// Decimal digits without a sign or a leading zero.
fn prefix_length(text: &str) -> Option<u8> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let plain = digits && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

fn mask4(length: u8) -> u32 {
    u32::MAX
        .checked_shl(32_u32.saturating_sub(u32::from(length)))
        .unwrap_or(0)
}

fn mask6(length: u8) -> u128 {
    u128::MAX
        .checked_shl(128_u32.saturating_sub(u32::from(length)))
        .unwrap_or(0)
}

/// Many networks, in the form in which an address is looked up: O(log n).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Networks {
    /// First and last addresses of runs, ascending, without overlaps.
    v4: Box<[(u32, u32)]>,
    v6: Box<[(u128, u128)]>,
}

impl Networks {
    /// O(n log n).
    #[must_use]
    pub fn new(networks: impl IntoIterator<Item = Network>) -> Self {
        let mut v4 = Vec::new();
        let mut v6 = Vec::new();
        for network in networks {
            match network {
                Network::V4(first, length) => v4.push((first, first | !mask4(length))),
                Network::V6(first, length) => v6.push((first, first | !mask6(length))),
            }
        }
        Self {
            v4: merged(v4),
            v6: merged(v6),
        }
    }

    /// Whether one of them holds `address`.
    #[must_use]
    pub fn hold(&self, address: Address) -> bool {
        match address {
            Address::V4(address) => within(&self.v4, address),
            Address::V6(address) => within(&self.v6, address),
        }
    }
}

/// Networks are apart or inside each other, so of two that meet the later one ends inside the earlier.
fn merged<T: Ord + Copy>(mut runs: Vec<(T, T)>) -> Box<[(T, T)]> {
    runs.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
    runs.dedup_by(|later, earlier| later.0 <= earlier.1);
    runs.into()
}

fn within<T: Ord + Copy>(runs: &[(T, T)], address: T) -> bool {
    let after = runs.partition_point(|(first, _)| *first <= address);
    let run = after.checked_sub(1).and_then(|at| runs.get(at));
    run.is_some_and(|(_, last)| address <= *last)
}

#[cfg(test)]
mod tests {
    use super::{Address, Network, NetworkProblem, Networks};

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    #[test]
    fn addresses() {
        assert_eq!(address("10.0.0.1"), Address::V4(0x0a00_0001));
        assert_eq!(address("::ffff:10.0.0.1"), address("10.0.0.1"));
        assert_eq!(address("::FFFF:a00:1"), address("10.0.0.1"));
        assert_eq!(address("::1"), Address::V6(1));
        assert_eq!(address("::10.0.0.1"), Address::V6(0x0a00_0001));
        for text in [
            "",
            " 10.0.0.1",
            "10.0.0.1 ",
            "10.0.0.1:80",
            "[::1]",
            "fe80::1%eth0",
            "10.0.0",
            "010.0.0.1",
            "0x0a.0.0.1",
            "10.0.0.1, 10.0.0.2",
            "10.0.0.0/8",
            "167772161",
            "10.0.0.1\n",
        ] {
            assert_eq!(Address::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn networks() {
        let fits = |network: &str, text: &str| Network::parse(network).unwrap().holds(address(text));
        assert!(fits("10.0.0.0/8", "10.255.0.1") && !fits("10.0.0.0/8", "11.0.0.0"));
        assert!(fits("10.0.0.7", "10.0.0.7") && !fits("10.0.0.7", "10.0.0.8"));
        assert!(fits("0.0.0.0/0", "255.255.255.255") && !fits("0.0.0.0/0", "::1"));
        assert!(fits("::/0", "2001:db8::1") && !fits("::/0", "10.0.0.1") && !fits("::/0", "::ffff:10.0.0.1"));
        assert!(fits("::ffff:10.0.0.0/104", "10.9.9.9") && fits("10.0.0.0/8", "::ffff:10.9.9.9"));
        assert!(fits("::ffff:0:0/96", "1.2.3.4"));
        assert!(fits("2001:db8::/32", "2001:db8:ffff::") && !fits("2001:db8::/32", "2001:db9::"));
        assert_eq!(
            Network::parse("::ffff:10.0.0.0/104").unwrap().to_string(),
            "10.0.0.0/8"
        );
        for text in [
            "",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/08",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            "10.0.0.0/255.0.0.0",
            "::/129",
            "10.0.0.0/256",
            " 10.0.0.0/8",
            "10.0.0.0 /8",
            "10.0.0.0-10.0.0.9",
            "10.*",
        ] {
            assert_eq!(Network::parse(text), Err(NetworkProblem::Malformed), "{text:?}");
        }
        for (text, fixed) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("2001:db8::1/32", "2001:db8::/32"),
            ("::ffff:10.1.2.3/104", "10.0.0.0/8"),
            ("1.0.0.0/0", "0.0.0.0/0"),
        ] {
            match Network::parse(text) {
                Err(NetworkProblem::HostBits(network)) => {
                    assert_eq!(network.to_string(), fixed);
                    assert_eq!(Network::parse(fixed), Ok(network));
                }
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn many_networks_hold_what_one_of_them_holds() {
        let list = [
            "10.0.0.0/8",
            "10.1.0.0/16",
            "9.255.255.255",
            "11.0.0.0/32",
            "192.168.0.0/16",
            "10.0.0.0/9",
            "::1",
            "2001:db8::/32",
            "2001:db8:1::/48",
            "::ffff:172.16.0.0/108",
        ]
        .map(|text| Network::parse(text).unwrap());
        let all = Networks::new(list);
        for text in [
            "10.0.0.0",
            "10.255.255.255",
            "9.255.255.254",
            "9.255.255.255",
            "11.0.0.0",
            "11.0.0.1",
            "172.16.0.1",
            "172.32.0.0",
            "::1",
            "::2",
            "2001:db8:1::5",
            "2001:db7::",
            "255.255.255.255",
            "::",
        ] {
            let address = address(text);
            assert_eq!(all.hold(address), list.iter().any(|n| n.holds(address)), "{text}");
        }
        assert!(!Networks::default().hold(address("::1")));
    }
}
