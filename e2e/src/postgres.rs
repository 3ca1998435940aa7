//! A `PostgreSQL` cluster for tests: `TEST_DATABASE_URL`, or one of our own on a free port, which ends
//! with the process that asked for it.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Ends the cluster and removes its folder once our end of its standard input is closed, however
/// this process ends.
const KEEPER: &str = r#"
"$1"/postgres -D "$2" -p "$3" -k "$2" -h 127.0.0.1 -c fsync="$4" -c max_connections=400 >"$2/log" 2>&1 &
cat >/dev/null
"$1"/pg_ctl -D "$2" -m fast -s stop
rm -rf "$2"
"#;

const ANSWERS_WITHIN: Duration = Duration::from_mins(2);

static CLUSTER: OnceLock<String> = OnceLock::new();
static KEPT: Mutex<Vec<Child>> = Mutex::new(Vec::new());

/// A port that nobody listens on, given out once. It is none that the system gives to connections: such a one may be taken
/// before its server listens, or while that is started anew.
pub fn free_port() -> u16 {
    const FIRST: u64 = 12_000;
    const PORTS: u64 = 20_000;
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        // Its keys are random.
        let random = RandomState::new().hash_one(given.len());
        let port = u16::try_from(FIRST + random % PORTS).expect("a port should have two bytes");
        if given.insert(port) && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// The URL of a cluster's server, without a database.
pub fn server_url() -> String {
    CLUSTER
        .get_or_init(|| match std::env::var("TEST_DATABASE_URL") {
            Ok(url) => url.trim_end_matches('/').to_owned(),
            Err(_unset) => start("off"),
        })
        .clone()
}

/// Starts a cluster of one's own; returns its server's URL. Its commits wait for the disk where `fsync` is `on`: nobody pulls
/// the plug of a test.
pub fn start(fsync: &str) -> String {
    let folder = output(&mut as_postgres("mktemp", &["-d", "-t", "tessera-pg.XXXXXX"]));
    let programs = programs();
    let initdb = programs.join("initdb");
    let arguments = ["-D", &folder, "-U", "postgres", "-A", "trust", "--no-sync"];
    output(&mut as_postgres(&initdb.display().to_string(), &arguments));
    let port = free_port();
    let (programs_folder, port_number) = (programs.display().to_string(), port.to_string());
    let keeper = as_postgres("sh", &["-c", KEEPER, "keeper", &programs_folder, &folder, &port_number, fsync])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("PostgreSQL should start: run make setup");
    KEPT.lock().unwrap_or_else(PoisonError::into_inner).push(keeper);
    let begun = Instant::now();
    let ready = programs.join("pg_isready");
    while !Command::new(&ready)
        .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-q"])
        .status()
        .is_ok_and(|status| status.success())
    {
        assert!(
            begun.elapsed() < ANSWERS_WITHIN,
            "PostgreSQL should answer within {ANSWERS_WITHIN:?}; see {folder}/log"
        );
        std::thread::yield_now();
    }
    format!("postgres://postgres@127.0.0.1:{port}")
}

/// `PostgreSQL` refuses to run as root.
pub fn as_postgres(program: &str, arguments: &[&str]) -> Command {
    let is_root = output(Command::new("id").arg("-u")) == "0";
    let mut command = if is_root { Command::new("runuser") } else { Command::new(program) };
    if is_root {
        command.args(["-u", "postgres", "--", program]);
    }
    command.args(arguments).current_dir("/");
    command
}

/// What a program writes; it must succeed.
pub fn output(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("a program should run: run make setup");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Debian keeps the server's programs off the path, in a folder a version.
pub fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL should be installed: run make setup");
    let mut versions: Vec<PathBuf> = versions.filter_map(Result::ok).map(|entry| entry.path().join("bin")).collect();
    versions.sort();
    versions.pop().expect("PostgreSQL should be installed: run make setup")
}
