use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Which addresses an upstream may lie at, whatever its name resolves to.
///
/// Names are resolved by the host and every answer is judged, so that neither a forged answer nor a name that changes
/// its mind reaches a database, an administration port or a cloud's metadata service beside us.
#[derive(Debug, Clone)]
pub(super) struct Networks {
    allowed: Vec<IpNet>,
    /// The operator wrote the address itself, which is as clear as allowing its network.
    literal: Option<IpAddr>,
}

impl Networks {
    pub(super) fn new(allowed: Vec<IpNet>, literal: Option<IpAddr>) -> Self {
        Self { allowed, literal: literal.map(|address| address.to_canonical()) }
    }

    /// Whether `address` may be dialled: never a special one; within `allowed` if anything is allowed by name;
    /// else any public one, and the literal one.
    pub(super) fn permit(&self, address: IpAddr) -> bool {
        // `::ffff:169.254.169.254` is 169.254.169.254 to the kernel, so it must be to us.
        let address = address.to_canonical();
        if is_special(address) {
            return false;
        }
        if self.literal == Some(address) {
            return true;
        }
        if self.allowed.is_empty() { !is_private(address) } else { self.is_allowed(address) }
    }

    fn is_allowed(&self, address: IpAddr) -> bool {
        self.allowed.iter().any(|network| network.contains(&address))
    }
}

/// Loopback, private and shared address space: ours or our neighbours', reached only on request.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            let shared = first == 100 && (64..128).contains(&second);
            address.is_loopback() || address.is_private() || shared
        }
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local(),
    }
}

/// Addresses that are nobody's API, by the IANA special-purpose registries: no grant opens them.
fn is_special(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_special_v4(address),
        IpAddr::V6(address) => is_special_v6(address),
    }
}

fn is_special_v4(address: Ipv4Addr) -> bool {
    match address.octets() {
        [0 | 224..=255, ..] => true,  // this network, multicast, reserved, broadcast
        [169, 254, ..] => true,       // link-local, where clouds keep their metadata
        [100, 100, 100, 200] => true, // metadata of one cloud, inside shared address space
        [192, 0, 0, _] => true,       // protocol assignments
        [198, 18 | 19, ..] => true,   // benchmarks
        _ => address.is_documentation(),
    }
}

fn is_special_v6(address: Ipv6Addr) -> bool {
    if address.is_loopback() {
        return false;
    }
    match address.segments() {
        [0, 0, 0, 0, 0, 0, _, _] => true,              // unspecified, IPv4-compatible
        [0x64, 0xff9b, ..] => true,                    // NAT64: an IPv4 address in disguise
        [0x2002, ..] => true,                          // 6to4, likewise
        [0x2001, 0, ..] => true,                       // Teredo, likewise
        [0x2001, 0xdb8, ..] => true,                   // documentation
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] => true, // metadata of one cloud, inside private space
        [0xfec0..=0xfeff, ..] => true,                 // site-local, deprecated
        _ => address.is_unicast_link_local() || address.is_multicast(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(networks: &[&str], literal: Option<&str>, address: &str) -> bool {
        let allowed = networks.iter().map(|network| network.parse().unwrap()).collect();
        Networks::new(allowed, literal.map(|address| address.parse().unwrap()))
            .permit(address.parse().unwrap())
    }

    #[test]
    fn refuses_special_addresses_whatever_is_allowed() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "100.100.100.200",
            "192.0.0.192",
            "192.0.2.1",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::7f00:1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "2001::1",
            "2001:db8::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!permits(&["0.0.0.0/0", "::/0"], Some(address), address), "{address}");
        }
    }

    #[test]
    fn refuses_private_addresses_nobody_allowed() {
        for address in [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "::1",
            "fd12::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(!permits(&[], None, address), "{address}");
            assert!(permits(&[], Some(address), address), "{address} written out");
            assert!(permits(&["0.0.0.0/0", "::/0"], None, address), "{address} allowed");
        }
    }

    #[test]
    fn refuses_addresses_outside_the_networks_allowed() {
        assert!(permits(&["10.20.0.0/16"], None, "10.20.3.4"));
        assert!(!permits(&["10.20.0.0/16"], None, "10.21.3.4"));
        assert!(!permits(&["10.20.0.0/16"], None, "8.8.8.8"));
    }

    #[test]
    fn permits_public_addresses() {
        assert!(permits(&[], None, "212.42.96.1"));
        assert!(permits(&[], None, "2a00:1450::1"));
    }
}
