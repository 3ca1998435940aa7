//! A server as a process of its own, which can be killed, put to sleep and started again at the same address.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

/// It runs, or waits to be started again.
pub struct Edge {
    pub port: u16,
    /// Its way to the database.
    pub database_url: String,
    /// By how much its wall clock is off, for whoever moves it.
    pub clock: PathBuf,
    pub child: Option<Child>,
}

/// A child that is killed, and waited for, when it is dropped or stopped.
pub fn kill(child: &mut Child) {
    // It may have ended by itself.
    child.kill().unwrap_or_default();
    child.wait().map(drop).unwrap_or_default();
}

impl Edge {
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// A signal by its name, as `kill` takes it; nothing where no process is.
    pub fn signal(&self, signal: &str) {
        if let Some(pid) = self.pid() {
            let sent = Command::new("kill").args([signal, &pid.to_string()]).status();
            assert!(sent.is_ok_and(|status| status.success()), "the edge should take {signal}");
        }
    }

    /// SIGKILL: nothing is finished, nothing is written.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            kill(&mut child);
        }
    }

    /// How it ended, if nobody here ended it.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().and_then(|child| child.try_wait().ok().flatten())
    }

    /// From here on it can write to a file's first bytes alone; `None` gives it the disk back. Where SIGXFSZ is ignored, as
    /// [`Trial`] has it, what goes beyond is an error, as on a full disk.
    pub fn limit_files(&self, bytes: Option<u64>) {
        let Some(pid) = self.pid().and_then(|pid| Pid::from_raw(pid.cast_signed())) else { return };
        let set = prlimit(Some(pid), Resource::Fsize, Rlimit { current: bytes, maximum: None });
        set.expect("a process of one's own should take a limit");
    }

    /// Its wall clock, where it is on a harsh trial, is off by so many seconds a second from here on.
    pub fn move_clock(&self, seconds: i64) {
        std::fs::write(&self.clock, format!("{seconds:+}\n")).expect("a clock's file should be written");
    }
}

/// What an edge is started for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trial {
    /// Most tiles of one lease.
    pub lease_tiles_max: Option<u64>,
    /// Its disk may be full for a while, and its clock moved; and tiles are dear, so that sums say something.
    pub is_harsh: bool,
}

/// Ignores what a write beyond a limit on files would end it by, then becomes what it is given.
const WITHOUT_XFSZ: &str = r#"trap '' XFSZ; exec "$@""#;
/// Pico-credits of a CU, at which a row of the smallest model costs several micro-credits.
const DEAR: &str = "4000000000000000000";

impl Trial {
    pub fn command(&self, program: &Path, edge: &Edge) -> Command {
        let mut command = if self.is_harsh {
            edge.move_clock(0);
            let mut shell = Command::new("sh");
            shell.args(["-c", WITHOUT_XFSZ, "sh"]).arg(program).args(["--price", DEAR]);
            shell.env("LD_PRELOAD", clock_library()).env("FAKETIME_TIMESTAMP_FILE", &edge.clock);
            shell.envs([("FAKETIME_DONT_FAKE_MONOTONIC", "1"), ("FAKETIME_CACHE_DURATION", "1")]);
            shell
        } else {
            Command::new(program)
        };
        let tiles_max = self.lease_tiles_max.map(|tiles| ["--lease-tiles-max".to_owned(), tiles.to_string()]);
        command.args(tiles_max.into_iter().flatten());
        command
    }
}

/// What Debian's package `libfaketime` has, in a folder by the processor.
fn clock_library() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").expect("there should be libraries").filter_map(Result::ok);
    let mut found =
        folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1")).filter(|path| path.is_file());
    found.next().expect("libfaketime should be installed: run make setup")
}
