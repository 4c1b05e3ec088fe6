//! Ports for servers that must be told theirs before they start.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::process;
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, bail};

/// Below those that Linux hands out for port 0 and for outgoing connections, so that none of these takes one meanwhile.
const FIRST: u16 = 10_000;
const COUNT: u16 = 20_000;

/// A port of 127.0.0.1 that is free and that nothing else in this process is given.
///
/// # Errors
/// If no port is free.
pub fn reserve() -> Result<u16> {
    reserve_with(0)
}

/// As [`reserve`]; the port `above` it is free as well.
///
/// # Errors
/// If no such ports are free.
pub fn reserve_with(above: u16) -> Result<u16> {
    static RESERVED: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut reserved = RESERVED.lock().unwrap_or_else(PoisonError::into_inner);
    // Processes that run side by side begin at different places.
    let begin = u16::try_from(process::id().wrapping_mul(97) % u32::from(COUNT))?;
    for step in 0..COUNT {
        let port = FIRST + (begin + step) % COUNT;
        let ports = BTreeSet::from([port, port + above]);
        if ports.is_disjoint(&reserved) && ports.iter().all(|port| is_free(*port)) {
            reserved.extend(ports);
            return Ok(port);
        }
    }
    bail!("no free ports")
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_no_port_twice() {
        let ports = [reserve_with(1).unwrap(), reserve().unwrap(), reserve_with(77).unwrap()];
        let taken = [ports[0], ports[0] + 1, ports[1], ports[2], ports[2] + 77];
        assert_eq!(BTreeSet::from(taken).len(), taken.len());
        assert!(taken.iter().all(|port| *port < 32_768));
    }
}
