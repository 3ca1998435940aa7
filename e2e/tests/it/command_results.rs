//! The `tessera` command where something comes between an order and its result.

use std::process::{Command as Program, Stdio};

use e2e::digits;
use e2e::stack::Stack;
use serde_json::Value;
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use wire::JobId;

use crate::command::{INFER, Shell, events, hear, interrupt, refusal, text, with};

/// A done job's id.
async fn done(shell: &Shell) -> String {
    let output = shell.run(&with(&["--json"], &with(&INFER, &["--output", "done.npy"]))).await;
    let last = events(&output.stdout).pop().unwrap_or_else(|| panic!("{}", text(&output.stderr)));
    std::fs::remove_file(shell.folder.join("done.npy")).unwrap();
    last["id"].as_str().unwrap().to_owned()
}

fn make_pipe(shell: &Shell, name: &str) {
    assert!(Program::new("mkfifo").arg(shell.folder.join(name)).status().unwrap().success());
}

#[tokio::test]
async fn a_pipe_that_nobody_reads_can_be_left() {
    let mut stack = Stack::start().await;
    stack.start_worker("worker", &["--backend", "cpu"]);
    let shell = Shell::new(&stack).await;
    let id = done(&shell).await;
    make_pipe(&shell, "pipe.npy");

    for signal in ["-INT", "-TERM", "-HUP"] {
        let (child, mut said) = shell.start(&["job", "result", &id, "--output", "pipe.npy"]);
        hear(&mut said, "waiting for somebody to read 'pipe.npy'").await;
        interrupt(&child, signal);
        hear(&mut said, &format!("nothing was written: `tessera job result {id}`")).await;
        assert_eq!(child.wait_with_output().await.unwrap().status.code(), Some(130), "{signal}");
    }
    let (child, mut said) = shell.start(&with(&["--json"], &with(&INFER, &["--output", "pipe.npy"])));
    let waiting: Value = serde_json::from_str(&hear(&mut said, "waiting for somebody to read").await).unwrap();
    assert_eq!(waiting["message"], "waiting for somebody to read 'pipe.npy'");
    interrupt(&child, "-INT");
    hear(&mut said, "nothing was submitted").await;
    assert_eq!(child.wait_with_output().await.unwrap().status.code(), Some(130));
}

#[tokio::test]
async fn whoever_leaves_while_the_result_comes_down_hears_that_the_job_is_done() {
    let mut stack = Stack::start().await;
    stack.start_worker("worker", &["--backend", "cpu"]);
    let shell = Shell::new(&stack).await;
    make_pipe(&shell, "pipe.npy");
    let mut command = shell.signed_in(&with(&INFER, &["--output", "pipe.npy"]));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut pipe = File::open(shell.folder.join("pipe.npy")).await.unwrap();
    let id = hear(&mut said, "job ").await.split(' ').nth(1).unwrap().to_owned();
    // The rest is larger than a pipe holds.
    pipe.read_u8().await.unwrap();

    interrupt(&child, "-INT");

    hear(&mut said, &format!("Job {id} is done: `tessera job result {id}`")).await;
    assert_eq!(child.wait().await.unwrap().code(), Some(130));
    drop(pipe);
}

#[tokio::test]
async fn whoever_waits_for_a_job_that_is_not_begun_to_be_watched_outlives_a_server_that_is_away() {
    let mut stack = Stack::start().await;
    stack.start_worker("worker", &["--backend", "cpu"]);
    let shell = Shell::new(&stack).await;
    let id = done(&shell).await;
    stack.kill_edge();

    let (watcher, mut watched) = shell.start(&["job", "watch", &id, "--output", "watched.npy"]);
    let (fetcher, mut fetched) = shell.start(&["job", "result", &id, "--output", "fetched.npy"]);
    // Beyond what other commands wait.
    for said in [&mut watched, &mut fetched] {
        for _ in 0..5 {
            hear(said, "trying again").await;
        }
    }
    stack.start_edge().await;

    for child in [watcher, fetcher] {
        assert!(child.wait_with_output().await.unwrap().status.success());
    }
    assert_eq!(shell.files(), ["digits.npy", "digits.onnx", "fetched.npy", "watched.npy"]);
}

#[tokio::test]
async fn in_json_each_line_is_an_object_and_the_result_has_standard_output_to_itself() {
    let mut stack = Stack::start().await;
    let shell = Shell::new(&stack).await;
    let (child, mut said) = shell.start(&with(&["--json"], &with(&INFER, &["--output", "out.npy"])));
    let progress: Value = serde_json::from_str(&hear(&mut said, "progress").await).unwrap();
    assert_eq!((progress["event"].as_str(), progress["verified_tiles"].as_u64()), (Some("progress"), Some(0)));
    interrupt(&child, "-INT");
    let farewell: Value = serde_json::from_str(&hear(&mut said, "interrupted").await).unwrap();
    let left = child.wait_with_output().await.unwrap();
    let job = events(&left.stdout).remove(0);
    assert_eq!(farewell["job"], job["id"], "it is named on standard output, too");

    let id = job["id"].as_str().unwrap();
    let early = refusal(&shell.run(&["--json", "job", "result", id]).await);
    assert_eq!((early["code"].as_str(), early["job"].as_str()), (Some("job_not_done"), Some(id)));
    assert!(early["next"].as_str().unwrap().contains("--partial"), "{early}");
    let unknown = JobId::from_parts(1, [0; 10]).to_string();
    let unknown_job = refusal(&shell.run(&["--json", "job", "show", &unknown]).await);
    assert_eq!((unknown_job["code"].as_str(), unknown_job["job"].as_str()), (Some("not_found"), Some(&*unknown)));

    stack.start_worker("worker", &["--backend", "cpu"]);
    let output = shell.run(&with(&["--json"], &with(&INFER, &["--output", "-"]))).await;
    assert_eq!(digits::floats(&output.stdout).len(), digits::ROWS * digits::CLASSES);
    let events_said = events(&output.stderr);
    let (first, last) = (events_said.first().unwrap(), events_said.last().unwrap());
    assert_eq!((first["event"].as_str(), first["state"].as_str()), (Some("submitted"), Some("running")));
    assert_eq!((last["event"].as_str(), last["state"].as_str()), (Some("ended"), Some("done")));
    assert_eq!(last["bytes"].as_u64(), Some(output.stdout.len().try_into().unwrap()));

    let written = events(&shell.run(&["--json", "job", "watch", id]).await.stdout).remove(0);
    let path = written["path"].as_str().unwrap();
    assert_eq!(std::fs::metadata(path).unwrap().len(), written["bytes"].as_u64().unwrap());
}

#[tokio::test]
async fn what_goes_wrong_with_an_answer_leaves_the_way_to_the_result() {
    let mut stack = Stack::start().await;
    stack.start_worker("worker", &["--backend", "cpu"]);
    let shell = Shell::new(&stack).await;

    let full = shell.run(&with(&INFER, &["--output", "/dev/full"])).await;
    let said = text(&full.stderr);
    assert_eq!(full.status.code(), Some(2), "{said}");
    assert!(said.contains("'/dev/full' could not be written: No space left on device"), "{said}");
    assert!(said.contains("its result: tessera job result "), "{said}");

    let mut command = shell.signed_in(&with(&["--json"], &with(&INFER, &["--output", "out.npy"])));
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let child = command.stdout(full).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().await.unwrap();
    assert_eq!((child.status.code(), refusal(&child)["code"].as_str()), (Some(1), Some("output")));
    assert!(refusal(&child)["job"].is_string());
    assert!(shell.files().contains(&"out.npy".to_owned()), "the result is written all the same");
}

#[tokio::test]
async fn a_file_keeps_its_mode_a_link_stays_one_and_standard_output_has_several_names() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let mut stack = Stack::start().await;
    stack.start_worker("worker", &["--backend", "cpu"]);
    let shell = Shell::new(&stack).await;
    let id = done(&shell).await;
    let (file, link) = (shell.folder.join("file.npy"), shell.folder.join("link.npy"));
    std::fs::write(&file, "").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    symlink("file.npy", &link).unwrap();

    assert!(shell.run(&["job", "result", &id, "--output", "link.npy"]).await.status.success());
    assert!(link.is_symlink());
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let printed = shell.run(&["job", "result", &id, "--output", "/dev/stdout"]).await;
    assert_eq!(printed.stdout, std::fs::read(&file).unwrap(), "{}", text(&printed.stderr));
    let partial = shell.run(&["job", "result", &id, "--partial"]).await;
    assert!(text(&partial.stdout).contains(&format!("digits-{id}.partial.npz")), "{}", text(&partial.stderr));
}

#[tokio::test]
async fn options_that_would_do_nothing_are_refused() {
    let stack = Stack::start().await;
    let shell = Shell::new(&stack).await;
    std::fs::write(shell.folder.join("table.csv"), "a,b\n1,2\n").unwrap();

    for (arguments, reason) in [
        (with(&INFER, &["--output", "o.npy", "--detach"]), "cannot be used with"),
        (with(&["quote"], &with(&INFER, &["--limit", "1"])), "a quote submits nothing: leave out --limit"),
        (with(&["quote"], &with(&INFER, &["--detach"])), "a quote submits nothing: leave out --detach"),
        (with(&["quote"], &with(&INFER, &["--output", "o.npy"])), "a quote submits nothing: leave out --output"),
        (
            with(&INFER, &["--columns", "a"]),
            "--columns is for tables (CSV, Parquet), and 'digits.npy' is none: leave it out",
        ),
        (with(&INFER, &["--header", "no"]), "--header is for CSV files"),
        (with(&INFER, &["--mean", "0.5"]), "--mean is for pictures"),
        (with(&INFER, &["--mean", "nan"]), "'nan' is no finite number"),
        (with(&INFER, &["--filter", "bilinear"]), "--filter is for pictures"),
        (with(&INFER, &["--picture-names", "n.txt"]), "--picture-names is for a zip or a folder of pictures"),
        (with(&INFER, &["--picture-names", "o.npy", "--output", "o.npy"]), "is the file of --output too"),
        (with(&["quote"], &with(&INFER, &["--size", "8"])), "--size is for pictures"),
        (vec!["infer", "--model", "digits.onnx", "--input", "x="], "--input x=: the file is missing behind '='"),
        (
            vec!["infer", "--model", "digits.onnx", "--input", "table.csv", "--cast"],
            "--cast is for arrays (.npy, .npz)",
        ),
    ] {
        let refused = shell.run(&arguments).await;
        assert_eq!(refused.status.code(), Some(2));
        assert!(text(&refused.stderr).contains(reason), "{}", text(&refused.stderr));
    }
    let (blobs,): (i64,) = stack.row("select count(*) from blob where $1 = $1", "").await;
    assert_eq!(blobs, 0, "nothing was uploaded before");
    let help = text(&shell.run(&["quote", "infer", "--help"]).await.stdout);
    assert!(help.contains("--tile-rows") && !help.contains("--limit") && !help.contains("--output"), "{help}");
}

#[tokio::test]
async fn an_order_that_is_given_twice_is_one_job_and_one_that_waits_too_long_ends_by_itself() {
    let stack = Stack::start().await;
    let shell = Shell::new(&stack).await;
    let order = with(&["--json"], &with(&INFER, &["--detach", "--idempotency-key", "november-1"]));

    let ids =
        [shell.run(&order).await, shell.run(&order).await].map(|output| events(&output.stdout).remove(0)["id"].clone());
    assert_eq!(ids[0], ids[1]);

    let ended = shell.run(&with(&INFER, &["--output", "out.npy", "--deadline", "1s"])).await;
    assert_eq!(ended.status.code(), Some(4), "{}", text(&ended.stderr));
    assert!(text(&ended.stderr).contains("deadline_passed"), "{}", text(&ended.stderr));
}

#[tokio::test]
async fn a_named_profile_goes_before_the_environment_and_a_key_goes_to_no_other_server() {
    let stack = Stack::start().await;
    let shell = Shell::new(&stack).await;
    let config = format!("[profiles.home]\nurl = '{}'\nkey = '{}'\n", shell.url, shell.key);
    std::fs::write(shell.folder.join("config.toml"), config).unwrap();
    let away = |arguments: &[&str]| {
        let mut command = shell.command(arguments);
        command.env("TESSERA_URL", "http://127.0.0.1:9").env("TESSERA_KEY", "tsk_other");
        command
    };

    let named = away(&["--config", "config.toml", "--profile", "home", "account"]).output().await.unwrap();
    assert!(named.status.success(), "{}", text(&named.stderr));
    let home = ["--config", "config.toml", "--profile", "home"];
    let order = with(&home, &with(&INFER, &["--json", "--detach"]));
    let job = events(&away(&order).output().await.unwrap().stdout).remove(0);
    let id = job["id"].as_str().unwrap();
    let early = away(&with(&home, &["job", "result", id])).output().await.unwrap();
    let way = format!("tessera --profile home --config config.toml job watch {id}");
    assert!(text(&early.stderr).contains(&way), "{}", text(&early.stderr));
    let mixed = away(&["--json", "--url", &shell.url, "account"]).output().await.unwrap();
    assert_eq!((mixed.status.code(), refusal(&mixed)["code"].as_str()), (Some(2), Some("no_key")));
    let mut empty = shell.command(&["--config", "config.toml", "account"]);
    let empty =
        empty.env("TESSERA_URL", "").env("TESSERA_KEY", "").env("TESSERA_PROFILE", "home").output().await.unwrap();
    assert!(empty.status.success(), "an empty variable says nothing: {}", text(&empty.stderr));

    std::fs::create_dir_all(shell.folder.join(".config/tessera/config.toml")).unwrap();
    let unreadable = shell.run(&["account"]).await;
    assert_eq!((unreadable.status.code(), text(&unreadable.stderr)), (Some(0), String::new()), "it is not needed");
    let needed = shell.command(&["account"]).output().await.unwrap();
    assert_eq!(needed.status.code(), Some(2));
    assert!(text(&needed.stderr).contains("the configuration file"), "{}", text(&needed.stderr));
}
