//! A TCP proxy before several servers, in turn, or before one that it can be cut off from. What goes through it can be
//! delayed, and broken off.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Bytes that are carried at a time.
const CARRIED: usize = 16 << 10;

/// What befalls whatever goes through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Road {
    /// What is on its way now arrives so much later, and whatever comes behind it.
    delay: Duration,
    /// How often all connections were broken off.
    breaks: u64,
}

/// It ends when it is dropped, with all that goes through it.
pub struct Proxy {
    port: u16,
    upstreams: watch::Sender<BTreeSet<u16>>,
    road: watch::Sender<Road>,
    _accepting: JoinSet<()>,
}

impl Proxy {
    pub async fn start(upstreams: impl IntoIterator<Item = u16>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port should be free");
        let port = listener.local_addr().expect("a listener should have an address").port();
        let upstreams = watch::Sender::new(upstreams.into_iter().collect());
        let mut accepting = JoinSet::new();
        let road = watch::Sender::new(Road::default());
        accepting.spawn(accept(listener, upstreams.subscribe(), road.subscribe()));
        Self { port, upstreams, road, _accepting: accepting }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// From here on connections are led to these alone, and those to others break off.
    pub fn lead_to(&self, upstreams: impl IntoIterator<Item = u16>) {
        let upstreams: BTreeSet<u16> = upstreams.into_iter().collect();
        self.upstreams.send_if_modified(|before| std::mem::replace(before, upstreams.clone()) != upstreams);
    }

    /// From here on all that goes through is so much later. What is held back comes at once where nothing is delayed any more.
    pub fn delay(&self, delay: Duration) {
        self.road.send_modify(|road| road.delay = delay);
    }

    /// Breaks off each connection that is open.
    pub fn break_off(&self) {
        self.road.send_modify(|road| road.breaks += 1);
    }
}

async fn accept(listener: TcpListener, upstreams: watch::Receiver<BTreeSet<u16>>, road: watch::Receiver<Road>) {
    let (mut connections, mut turn) = (JoinSet::new(), 0);
    loop {
        tokio::select! {
            Some(_ended) = connections.join_next() => {}
            accepted = listener.accept() => {
                turn += 1;
                let Ok((client, _)) = accepted else { continue };
                let port = {
                    let open = upstreams.borrow();
                    open.iter().nth(turn % open.len().max(1)).copied()
                };
                // Where there is nowhere to lead it, it is closed.
                if let Some(port) = port {
                    connections.spawn(carry(client, port, upstreams.clone(), road.clone()));
                }
            }
        }
    }
}

async fn carry(
    client: TcpStream,
    port: u16,
    mut upstreams: watch::Receiver<BTreeSet<u16>>,
    mut road: watch::Receiver<Road>,
) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    // Nagle's algorithm would hold frames back.
    if client.set_nodelay(true).and_then(|()| server.set_nodelay(true)).is_err() {
        return;
    }
    let breaks = road.borrow().breaks;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (there, back) = (one_way(from_client, to_server, road.clone()), one_way(from_server, to_client, road.clone()));
    tokio::select! {
        // Either end may close or break off.
        _ended = async { tokio::try_join!(there, back) } => {}
        _cut = upstreams.wait_for(|open| !open.contains(&port)) => {}
        _broken = road.wait_for(|road| road.breaks > breaks) => {}
    }
}

async fn one_way(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut road: watch::Receiver<Road>,
) -> std::io::Result<()> {
    let mut bytes = vec![0; CARRIED];
    loop {
        let read = from.read(&mut bytes).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        let delay = road.borrow().delay;
        if !delay.is_zero() {
            // It is over after the delay, or with it.
            drop(tokio::time::timeout(delay, road.wait_for(|road| road.delay.is_zero())).await);
        }
        to.write_all(&bytes[..read]).await?;
    }
}
