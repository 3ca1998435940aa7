//! A TCP proxy before several servers, in turn, or before one that it can be cut off from.

use std::collections::BTreeSet;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// It ends when it is dropped, with all that goes through it.
pub struct Proxy {
    port: u16,
    upstreams: watch::Sender<BTreeSet<u16>>,
    _accepting: JoinSet<()>,
}

impl Proxy {
    pub async fn start(upstreams: impl IntoIterator<Item = u16>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port should be free");
        let port = listener.local_addr().expect("a listener should have an address").port();
        let upstreams = watch::Sender::new(upstreams.into_iter().collect());
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, upstreams.subscribe()));
        Self { port, upstreams, _accepting: accepting }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// From here on connections are led to these alone, and those to others break off.
    pub fn lead_to(&self, upstreams: impl IntoIterator<Item = u16>) {
        let upstreams: BTreeSet<u16> = upstreams.into_iter().collect();
        self.upstreams.send_if_modified(|before| std::mem::replace(before, upstreams.clone()) != upstreams);
    }
}

async fn accept(listener: TcpListener, upstreams: watch::Receiver<BTreeSet<u16>>) {
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
                    connections.spawn(carry(client, port, upstreams.clone()));
                }
            }
        }
    }
}

async fn carry(mut client: TcpStream, port: u16, mut upstreams: watch::Receiver<BTreeSet<u16>>) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    // Nagle's algorithm would hold frames back.
    if client.set_nodelay(true).and_then(|()| server.set_nodelay(true)).is_err() {
        return;
    }
    tokio::select! {
        // Either end may close or break off.
        _ended = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
        _cut = upstreams.wait_for(|open| !open.contains(&port)) => {}
    }
}
