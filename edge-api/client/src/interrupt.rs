//! Ctrl-C, SIGTERM and SIGHUP: the first one is heeded where a job can still be named, the second one at once.

use tokio::sync::watch;

/// How often the user said to stop.
#[derive(Clone, Debug)]
pub(crate) struct Interrupts(watch::Receiver<u32>);

impl Interrupts {
    /// Counts from here on.
    pub(crate) fn listen() -> std::io::Result<Self> {
        let (sender, receiver) = watch::channel(0);
        let mut signals = Signals::new()?;
        tokio::spawn(async move {
            loop {
                signals.next().await;
                sender.send_modify(|count| *count += 1);
            }
        });
        Ok(Self(receiver))
    }

    /// Once they have said so.
    pub(crate) async fn first(&mut self) {
        self.at_least(1).await;
    }

    pub(crate) async fn second(&mut self) {
        self.at_least(2).await;
    }

    pub(crate) fn is_any(&self) -> bool {
        *self.0.borrow() > 0
    }

    async fn at_least(&mut self, count: u32) {
        if self.0.wait_for(|seen| *seen >= count).await.is_err() {
            // Nobody listens any more.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(unix)]
struct Signals(Vec<tokio::signal::unix::Signal>);

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let heeded = kinds.into_iter().filter(|kind| {
            let is_ignored = is_ignored(kind.as_raw_value());
            // Where that cannot be known, `nohup` is believed to be at work.
            !is_ignored.unwrap_or(*kind == SignalKind::hangup())
        });
        Ok(Self(heeded.map(signal).collect::<Result<_, _>>()?))
    }

    async fn next(&mut self) {
        if self.0.is_empty() {
            return std::future::pending().await;
        }
        futures::future::select_all(self.0.iter_mut().map(|signal| Box::pin(signal.recv()))).await;
    }
}

/// `nohup` and a shell's `&` have a process ignore signals, and it has to go on doing so. Linux alone says without unsafe code.
#[cfg(unix)]
fn is_ignored(signal: i32) -> Option<bool> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    mask.map(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}
