//! The `tessera` command, as people and scripts use it.

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use e2e::digits;
use e2e::stack::{Stack, program};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

const WITHIN: Duration = Duration::from_mins(3);

pub(crate) struct Shell {
    pub url: String,
    pub key: String,
    pub folder: PathBuf,
}

impl Shell {
    pub(crate) async fn new(stack: &Stack) -> Self {
        let (_, key) = stack.customer().await.unwrap();
        let folder = stack.folder().join("shell");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::copy(digits::file("digits.onnx"), folder.join("digits.onnx")).unwrap();
        std::fs::copy(digits::file("digits.npy"), folder.join("digits.npy")).unwrap();
        Self { url: stack.url(), key, folder }
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        // Whoever runs the tests in the background has them ignore signals, and so would the command.
        let mut command = Command::new("env");
        command.arg("--default-signal").arg(program("tessera"));
        let settings = ["TESSERA_URL", "TESSERA_KEY", "TESSERA_PROFILE", "TESSERA_CONFIG", "HOME", "XDG_CONFIG_HOME"];
        settings.iter().for_each(|name| {
            command.env_remove(name);
        });
        command.env("HOME", &self.folder).current_dir(&self.folder).args(arguments).kill_on_drop(true);
        command
    }

    /// With the server and a key.
    pub(crate) fn signed_in(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(arguments);
        command.env("TESSERA_URL", &self.url).env("TESSERA_KEY", &self.key);
        command
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Output {
        self.signed_in(arguments).output().await.unwrap()
    }

    /// Started, with its standard error to be read.
    pub(crate) fn start(&self, arguments: &[&str]) -> (Child, Lines<BufReader<ChildStderr>>) {
        let mut command = self.signed_in(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stderr.take().unwrap()).lines();
        (child, said)
    }

    pub(crate) fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

pub(crate) const INFER: [&str; 5] = ["infer", "--model", "digits.onnx", "--input", "digits.npy"];

pub(crate) fn with<'a>(first: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [first, more].concat()
}

pub(crate) async fn hear(said: &mut Lines<BufReader<ChildStderr>>, wanted: &str) -> String {
    let heard = tokio::time::timeout(WITHIN, async {
        loop {
            let line = said.next_line().await.unwrap().expect("the command should go on");
            if line.contains(wanted) {
                return line;
            }
        }
    });
    heard.await.unwrap_or_else(|_elapsed| panic!("waited for '{wanted}' in vain"))
}

pub(crate) fn interrupt(child: &Child, signal: &str) {
    let id = child.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args([signal, &id]).status().unwrap().success());
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The last line on standard error, where each is JSON.
pub(crate) fn refusal(output: &Output) -> Value {
    events(&output.stderr).pop().expect("something should be said")
}

/// Lines of JSON.
pub(crate) fn events(said: &[u8]) -> Vec<Value> {
    let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    text(said).lines().map(line).collect()
}

#[tokio::test]
async fn a_job_is_named_at_once_and_goes_on_without_whoever_waits_for_it() {
    let mut stack = Stack::start().await;
    let shell = Shell::new(&stack).await;
    let (child, mut said) = shell.start(&with(&INFER, &["--output", "out.npy"]));
    let named = hear(&mut said, "job ").await;
    let id = named.split(' ').nth(1).unwrap().to_owned();
    assert!(named.ends_with(&format!("{}/jobs/{id}", shell.url)), "{named}");

    interrupt(&child, "-INT");
    let farewell = hear(&mut said, "goes on and costs").await;
    let left = child.wait_with_output().await.unwrap();
    assert_eq!(left.status.code(), Some(130));
    assert!(farewell.contains(&format!("`tessera job watch {id}`")), "{farewell}");
    assert!(farewell.contains(&format!("`tessera job cancel {id}`")), "{farewell}");
    assert_eq!(shell.files(), ["digits.npy", "digits.onnx"], "nothing half written is left");

    stack.start_worker("worker", &["--backend", "cpu"]);
    let watched = shell.run(&["job", "watch", &id]).await;
    assert!(watched.status.success(), "{}", text(&watched.stderr));
    let written = format!("digits-{id}.npy");
    assert_eq!(shell.files(), vec![written.clone(), "digits.npy".to_owned(), "digits.onnx".to_owned()]);
    let result = std::fs::read(shell.folder.join(written)).unwrap();
    assert_eq!(digits::floats(&result).len(), digits::ROWS * digits::CLASSES);

    let (child, mut said) = shell.start(&["job", "watch", &id, "--no-result"]);
    assert!(child.wait_with_output().await.unwrap().status.success(), "one that has ended is no wait");
    assert_eq!(said.next_line().await.unwrap(), None);
}

#[tokio::test]
async fn whoever_follows_a_job_outlives_a_server_that_is_away_and_says_so() {
    let mut stack = Stack::start().await;
    let shell = Shell::new(&stack).await;
    let (child, mut said) = shell.start(&with(&INFER, &["--output", "out.npy"]));
    hear(&mut said, "job ").await;

    stack.kill_edge();
    for _ in 0..3 {
        hear(&mut said, "trying again").await;
    }
    stack.start_edge().await;
    stack.start_worker("worker", &["--backend", "cpu"]);
    let ended = child.wait_with_output().await.unwrap();

    assert!(ended.status.success(), "{}", text(&ended.stdout));
    assert_eq!(shell.files(), ["digits.npy", "digits.onnx", "out.npy"]);
}

#[tokio::test]
async fn where_there_is_no_terminal_a_line_says_now_and_then_how_far_it_is() {
    let stack = Stack::start().await;
    let shell = Shell::new(&stack).await;
    let (child, mut said) = shell.start(&with(&INFER, &["--output", "out.npy"]));

    let line = hear(&mut said, " tiles, ").await;
    assert!(line.contains("0 devices at work, 0.000000 credits"), "{line}");
    interrupt(&child, "-TERM");
    assert_eq!(child.wait_with_output().await.unwrap().status.code(), Some(130));
}

#[tokio::test]
async fn nothing_is_uploaded_where_the_result_cannot_be_written() {
    let stack = Stack::start().await;
    let shell = Shell::new(&stack).await;
    std::fs::create_dir(shell.folder.join("folder.npy")).unwrap();
    std::os::unix::fs::symlink("nowhere/out.npy", shell.folder.join("link.npy")).unwrap();
    let long = format!("{}.npy", "n".repeat(300));
    for (output, reason) in [
        ("nowhere/out.npy", "there is no folder 'nowhere'"),
        ("folder.npy", "is a folder"),
        ("folder.npy/", "is a folder"),
        (&long, "could not be written"),
        ("link.npy", "'link.npy' could not be written: there is no folder './nowhere'"),
        ("/proc/out.npy", "'/proc/out.npy' could not be written: the folder '/proc' takes no new files"),
        ("./digits.npy", "--output ./digits.npy is a file that the command reads: name another"),
    ] {
        let refused = shell.run(&with(&INFER, &["--output", output])).await;
        assert_eq!(refused.status.code(), Some(2));
        assert!(text(&refused.stderr).contains(reason), "{}", text(&refused.stderr));
    }
    let (blobs,): (i64,) = stack.row("select count(*) from blob where $1 = $1", "").await;
    assert_eq!(blobs, 0);
}

#[tokio::test]
async fn what_goes_wrong_is_json_where_that_is_asked_for() {
    let stack = Stack::start().await;
    let shell = Shell::new(&stack).await;

    let usage = shell.run(&["--json", "infer"]).await;
    assert_eq!((usage.status.code(), refusal(&usage)["code"].as_str()), (Some(2), Some("usage")));
    let no_key = shell.command(&["--json", "account"]).output().await.unwrap();
    assert_eq!((no_key.status.code(), refusal(&no_key)["code"].as_str()), (Some(2), Some("no_key")));
    let away =
        shell.command(&["--json", "--url", "http://127.0.0.1:9", "--key", "k", "account"]).output().await.unwrap();
    assert_eq!((away.status.code(), refusal(&away)["code"].as_str()), (Some(1), Some("unreachable")));
    let junk = shell.signed_in(&["--json", "account"]).env("HTTP_PROXY", "junk://x").output().await.unwrap();
    assert_eq!((junk.status.code(), refusal(&junk)["code"].as_str()), (Some(2), Some("proxy")));
    assert!(refusal(&junk)["message"].as_str().unwrap().starts_with("what HTTP_PROXY says is no proxy's address"));
    let unknown =
        shell.command(&["--json", "--url", &shell.url, "--key", "tsk_wrong", "account"]).output().await.unwrap();
    assert_eq!((unknown.status.code(), refusal(&unknown)["code"].as_str()), (Some(3), Some("unauthorized")));
    std::fs::write(shell.folder.join("empty.npy"), "").unwrap();
    let empty =
        shell.run(&["--json", "infer", "--model", "digits.onnx", "--input", "empty.npy", "--output", "o.npy"]).await;
    assert_eq!((empty.status.code(), refusal(&empty)["message"].as_str()), (Some(2), Some("'empty.npy' is empty")));
}

#[tokio::test]
async fn in_json_the_job_comes_first_and_its_end_last() {
    let mut stack = Stack::start().await;
    stack.start_worker("worker", &["--backend", "cpu"]);
    let shell = Shell::new(&stack).await;

    let output = shell.run(&with(&["--json"], &with(&INFER, &["--output", "out.npy"]))).await;

    let jobs: Vec<Value> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [first, last] = &jobs[..] else { panic!("{jobs:?}") };
    assert_eq!((first["state"].as_str(), last["state"].as_str()), (Some("running"), Some("done")));
    assert_eq!(first["page"], format!("{}/jobs/{}", shell.url, first["id"].as_str().unwrap()));
}

#[tokio::test]
async fn a_reader_that_has_had_enough_is_no_panic_and_a_result_goes_where_it_is_sent() {
    let mut stack = Stack::start().await;
    stack.start_worker("worker", &["--backend", "cpu"]);
    let shell = Shell::new(&stack).await;

    let output = shell.run(&with(&INFER, &["--output", "-"])).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(digits::floats(&output.stdout).len(), digits::ROWS * digits::CLASSES);

    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = shell.signed_in(&["account"]);
    let child = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let closed = child.wait_with_output().await.unwrap();
    assert_eq!((closed.status.code(), text(&closed.stderr)), (Some(141), String::new()));
}

#[tokio::test]
async fn files_may_be_called_as_they_like() {
    let mut stack = Stack::start().await;
    stack.start_worker("worker", &["--backend", "cpu"]);
    let shell = Shell::new(&stack).await;
    for name in ["-digits.npy", "a=b.npy", "数字 é.npy", "back\\slash.npy"] {
        std::fs::copy(digits::file("digits.npy"), shell.folder.join(name)).unwrap();
        let out = format!("out {name}");
        for input in [name.to_owned(), format!("x={name}")] {
            let input = if input.starts_with("x=") { input.replacen('x', &model_input(), 1) } else { input };
            let arguments = ["infer", "--model", "digits.onnx", "--input", &input, "--output", &out];
            let output = shell.run(&arguments).await;
            assert!(output.status.success(), "{input}: {}", text(&output.stderr));
        }
        assert!(shell.files().contains(&out));
    }
    let bytes = |name: &[u8]| std::os::unix::ffi::OsStringExt::from_vec(name.to_vec());
    let (name, named): (std::ffi::OsString, _) =
        (bytes(b"caf\xe9.npy"), bytes(&[model_input().as_bytes(), b"=caf\xe9.npy"].concat()));
    std::fs::copy(digits::file("digits.npy"), shell.folder.join(&name)).unwrap();
    for input in [&name, &named] {
        let mut command = shell.signed_in(&["infer", "--model", "digits.onnx", "--output", "out.npy", "--input"]);
        let output = command.arg(input).output().await.unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
}

/// What the sample's model calls its input.
fn model_input() -> String {
    use onnx::proto::Model;
    use prost::Message;
    let model = Model::decode(&std::fs::read(digits::file("digits.onnx")).unwrap()[..]).unwrap();
    model.graph.unwrap().input[0].name.clone()
}

#[tokio::test]
async fn a_profile_has_the_server_and_the_key() {
    let stack = Stack::start().await;
    let shell = Shell::new(&stack).await;
    let config = format!("default = 'home'\n[profiles.home]\nurl = '{}'\nkey = '{}'\n", shell.url, shell.key);
    let place = shell.folder.join(".config/tessera");
    std::fs::create_dir_all(&place).unwrap();
    std::fs::write(place.join("config.toml"), config).unwrap();

    let shown = shell.command(&["account"]).output().await.unwrap();
    assert!(shown.status.success(), "{}", text(&shown.stderr));
    let unknown = shell.command(&["--profile", "away", "account"]).output().await.unwrap();
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("there are: home"), "{}", text(&unknown.stderr));
}

#[tokio::test]
async fn quotes_keys_devices_models_and_pages_are_had_by_the_command() {
    let mut stack = Stack::start().await;
    stack.start_worker("worker", &["--backend", "cpu"]);
    let shell = Shell::new(&stack).await;
    let answer = async |arguments: &[&str]| {
        let output = shell.run(arguments).await;
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    };

    let quote = answer(&with(&["quote"], &INFER)).await;
    assert!(quote.contains("cost      0.0") && quote.contains("credits at most"), "{quote}");
    assert_eq!(answer(&["job", "list"]).await, "", "a quote is no job");
    assert_eq!(text(&shell.run(&["job", "list"]).await.stderr), "No jobs yet.\n");
    let model = answer(&["model", "check", "digits.onnx"]).await;
    assert!(model.contains("[?, 1, 8, 8]") && model.contains("[10] a row"), "{model}");
    let made: Value = serde_json::from_str(&answer(&["--json", "key", "make", "--name", "ci"]).await).unwrap();
    let id = made["key"]["id"].as_str().unwrap().to_owned();
    assert!(answer(&["key", "list"]).await.contains(&id));
    answer(&["key", "revoke", &id]).await;
    assert!(!answer(&["key", "list"]).await.contains(&id));
    assert!(answer(&["device", "link"]).await.starts_with("code "));
    assert_eq!(answer(&["device", "list"]).await, "");
    assert!(answer(&["completions", "bash"]).await.contains("_tessera"));

    let done = answer(&with(&["--json"], &with(&INFER, &["--output", "out.npy"]))).await;
    let job: Value = serde_json::from_str(done.lines().last().unwrap()).unwrap();
    let id = job["id"].as_str().unwrap();
    let published = answer(&["publish", id]).await;
    assert!(published.contains("open, published"), "{published}");
    assert!(published.contains(&format!("public    {}/explorer/jobs/{id}\n", shell.url)), "{published}");
    let page = reqwest::get(format!("{}/explorer/jobs/{id}", shell.url)).await.unwrap();
    assert!(page.status().is_success());
    assert!(!answer(&["job", "unpublish", id]).await.contains("published"));
    let limited = shell.run(&with(&INFER, &["--output", "o.npy", "--limit", "0.000000"])).await;
    assert_eq!(limited.status.code(), Some(3), "{}", text(&limited.stderr));
}

#[tokio::test]
async fn a_worker_earns_for_an_account_where_that_is_said_and_not_because_its_owner_is_a_customer_too() {
    let stack = Stack::start().await;
    let (client, key) = stack.customer().await.unwrap();
    for (variable, linked) in [("TESSERA_KEY", 0), ("TESSERA_WORKER_KEY", 1)] {
        let mut worker = Command::new(program("tessera-worker"));
        let file = stack.folder().join(variable);
        worker.args(["run", "--backend", "cpu", "--url", &stack.url(), "--device-key-file"]).arg(&file);
        worker.env_remove("TESSERA_WORKER_KEY").env(variable, &key).stderr(Stdio::piped()).kill_on_drop(true);
        let mut worker = worker.spawn().unwrap();
        let mut said = BufReader::new(worker.stderr.take().unwrap()).lines();

        if linked == 0 {
            hear(&mut said, "this device earns as a guest").await;
        }
        let connected = hear(&mut said, "connected").await;

        assert!(connected.contains("earned=0.000000"), "the device has earned nothing: {connected}");
        assert_eq!(client.devices().await.unwrap().len(), linked, "{variable}");
    }
}

#[tokio::test]
async fn a_closed_standard_error_stops_no_job_and_loses_no_result() {
    let mut stack = Stack::start().await;
    stack.start_worker("worker", &["--backend", "cpu"]);
    let shell = Shell::new(&stack).await;
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let name = "数".repeat(128);
    let mut command = shell.signed_in(&with(&INFER, &["--name", &name]));

    let ended = command.stdout(Stdio::null()).stderr(writer).status().await.unwrap();

    assert_eq!(ended.code(), Some(0));
    let written: Vec<String> = shell.files().into_iter().filter(|file| file.starts_with('数')).collect();
    assert!(matches!(&written[..], [one] if one.len() < 255 && one.ends_with(".npy")), "{written:?}");
}
