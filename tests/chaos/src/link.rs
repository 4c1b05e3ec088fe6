use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How a way between two servers is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Open,
    /// Connections stay, and nothing goes through.
    Stalled,
    /// Connections break, and there are no new ones.
    Cut,
}

/// Ports that lead to ports of a server.
#[derive(Debug)]
pub(crate) struct Link {
    port: u16,
    way: watch::Sender<Way>,
    _listening: JoinSet<()>,
}

impl Link {
    /// Listens at a port of its own, and as far above it for each of `above`.
    pub(crate) async fn to(port: u16, above: &[u16]) -> Result<Self> {
        let (way, watched) = watch::channel(Way::Open);
        for _ in 0..100 {
            let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let own = first.local_addr()?.port();
            let mut sockets = vec![(first, port)];
            for above in above {
                if let Some(own) = own.checked_add(*above)
                    && let Ok(socket) = TcpListener::bind((Ipv4Addr::LOCALHOST, own)).await
                {
                    sockets.push((socket, port + above));
                }
            }
            if sockets.len() > above.len() {
                let mut listening = JoinSet::new();
                for (socket, target) in sockets {
                    listening.spawn(listen(socket, (Ipv4Addr::LOCALHOST, target).into(), watched.clone()));
                }
                return Ok(Self { port: own, way, _listening: listening });
            }
        }
        None.context("no free ports")
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

async fn listen(socket: TcpListener, target: SocketAddr, way: watch::Receiver<Way>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = socket.accept() => {
                let Ok((from, _)) = accepted else { return };
                connections.spawn(carry(from, target, way.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Carries bytes both ways until either side ends or the way is cut.
async fn carry(from: TcpStream, target: SocketAddr, mut way: watch::Receiver<Way>) {
    let (onward, back) = (way.clone(), way.clone());
    let carried = async {
        let to = TcpStream::connect(target).await?;
        from.set_nodelay(true)?;
        to.set_nodelay(true)?;
        let ((from_read, from_write), (to_read, to_write)) = (from.into_split(), to.into_split());
        tokio::try_join!(pump(from_read, to_write, onward), pump(to_read, from_write, back))
    };
    tokio::select! {
        _ = carried => {}
        _ = way.wait_for(|way| *way == Way::Cut) => {}
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut way: watch::Receiver<Way>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = from.read(&mut buffer).await?;
        // Who made it is gone, and so is the connection.
        let _ = way.wait_for(|way| *way != Way::Stalled).await;
        match buffer.get(..count) {
            Some([]) | None => return to.shutdown().await,
            Some(bytes) => to.write_all(bytes).await?,
        }
    }
}
