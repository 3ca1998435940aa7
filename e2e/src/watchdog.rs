//! A test that stands still ends the run with its server's log, in place of keeping it waiting for ever.

use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// The slowest journey takes two minutes beside others on two cores.
const A_TEST_WITHIN: Duration = Duration::from_secs(900);
/// Bytes of the log's end that are shown.
const LOG_SHOWN: usize = 4_000;

/// Dropped in time, it does nothing.
pub struct Watchdog {
    /// Its end is what is waited for.
    _alive: SyncSender<()>,
}

impl Watchdog {
    /// Watches the test of this thread, whose server writes `log`; `None` where no test runs, as in the demo.
    #[expect(clippy::disallowed_methods, reason = "a runtime that stands still wakes nobody")]
    pub fn start(log: PathBuf) -> Option<Self> {
        let thread = std::thread::current();
        let test = thread.name().filter(|name| name.contains("::"))?.to_owned();
        let (alive, dropped) = sync_channel(0);
        std::thread::spawn(move || {
            if dropped.recv_timeout(A_TEST_WITHIN) == Err(RecvTimeoutError::Timeout) {
                // Which test it is counts more than a log that cannot be read.
                let log = std::fs::read(log).unwrap_or_default();
                let end = String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_SHOWN)..]).into_owned();
                eprintln!("{test} has stood still for {A_TEST_WITHIN:?}; its server's log ends:\n{end}");
                std::process::exit(101);
            }
        });
        Some(Self { _alive: alive })
    }
}
