//! The `tessera` command.

/// A line on standard error. Nobody may be listening there, which is no reason to stop.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write;
        writeln!(std::io::stderr(), $($text)*).unwrap_or_default();
    }};
}
pub(crate) use say;

mod command;
mod config;
mod context;
mod failure;
mod interrupt;
mod notes;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use client::Client;

use self::command::print::print_text;
use self::command::{ProgramCommand, account, device, job, key, model, quote};
use self::config::{Profile, Said, text_variable, variable};
use self::context::Context;
use self::failure::{Failure, Next};
use self::interrupt::Interrupts;
use self::notes::Notes;

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    the server could not be reached, or failed
  2    wrong usage, a missing key, or a file that cannot be read or written
  3    the request was refused
  4    the job ended without a result
  130  interrupted; a job that was submitted goes on
  141  whoever read the output closed it

Amounts are in credits. In JSON they are in micro-credits, and a price in pico-credits a CU, as the API has them.
Server and key: --url and --key, else what --profile names, else TESSERA_URL and TESSERA_KEY, else what TESSERA_PROFILE
or the configuration file names. A key that stands beside a server is sent to no other.
The configuration file, ~/.config/tessera/config.toml or what --config or TESSERA_CONFIG names:
  default = \"work\"
  [profiles.work]
  url = \"https://…\"
  key = \"tsk_…\"
Proxies, http and socks5: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY.";

/// Runs jobs on the Tessera network.
#[derive(clap::Parser)]
#[command(name = "tessera", version, after_help = EXIT_CODES)]
struct Arguments {
    /// The server's address, else that in `TESSERA_URL`; left out, <http://127.0.0.1:8080>.
    #[arg(long, global = true)]
    url: Option<String>,
    /// The account's key, else that in `TESSERA_KEY`.
    #[arg(long, global = true)]
    key: Option<String>,
    /// The profile of the configuration file that has server and key; it goes before the environment.
    #[arg(long, value_name = "NAME", global = true)]
    profile: Option<String>,
    /// The configuration file, else that in `TESSERA_CONFIG`.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Answer in JSON, also what went wrong: each line of either output is an object.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    #[command(flatten)]
    Program(ProgramCommand),
    /// Say what a job would be and cost, and submit nothing.
    #[command(subcommand)]
    Quote(quote::QuoteCommand),
    /// Look at jobs, follow them and change them.
    #[command(subcommand)]
    Job(job::JobCommand),
    /// Give a job a public page, where anybody can compute its tiles again.
    Publish(job::JobArgument),
    /// Look at models before there are rows.
    #[command(subcommand)]
    Model(model::ModelCommand),
    /// Show the account, or open one on a development server.
    Account(account::AccountCommand),
    /// Make and revoke the account's keys.
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// The account's devices.
    #[command(subcommand)]
    Device(device::DeviceCommand),
    /// Print what a shell needs to complete this command.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

impl Command {
    /// The job that it was told, which what goes wrong is about.
    fn job(&self) -> Option<wire::JobId> {
        match self {
            Self::Job(command) => command.job(),
            Self::Publish(job) => Some(job.id),
            Self::Program(_)
            | Self::Quote(_)
            | Self::Model(_)
            | Self::Account(_)
            | Self::Key(_)
            | Self::Device(_)
            | Self::Completions { .. } => None,
        }
    }
}

fn main() -> ExitCode {
    let said: Vec<OsString> = std::env::args_os().collect();
    let arguments = match Arguments::try_parse_from(&said) {
        Ok(arguments) => arguments,
        Err(error) => return refuse_usage(&error, said.iter().any(|argument| argument == "--json")),
    };
    let ended = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Start);
    let ended = ended.and_then(|runtime| {
        let ended = runtime.block_on(run(&arguments));
        // A thread may stand at a pipe that nobody opens.
        runtime.shutdown_background();
        ended
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report(arguments.json, &arguments.called());
            failure.exit_code()
        }
    }
}

impl Arguments {
    /// How to call the command for the same account, but for the key, which is nobody's to read.
    fn called(&self) -> String {
        let config = self.config.as_ref().map(|path| path.display().to_string());
        let flags = [("--url", self.url.as_ref()), ("--profile", self.profile.as_ref()), ("--config", config.as_ref())];
        let said = flags.into_iter().filter_map(|(flag, value)| Some(format!(" {flag} {}", value?)));
        said.fold("tessera".to_owned(), |called, flag| called + &flag)
    }
}

/// Help and version are what was asked for; the rest is wrong usage.
fn refuse_usage(error: &clap::Error, json: bool) -> ExitCode {
    if json && error.use_stderr() {
        let failure = Failure::Usage { message: error.to_string().trim().to_owned() };
        failure.report(json, "tessera");
        return failure.exit_code();
    }
    // Whoever reads may have gone.
    error.print().unwrap_or_default();
    if error.use_stderr() { 2.into() } else { ExitCode::SUCCESS }
}

async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let json = arguments.json;
    if let Command::Completions { shell } = &arguments.command {
        let mut script = Vec::new();
        clap_complete::generate(*shell, &mut Arguments::command(), "tessera", &mut script);
        return print_text(&String::from_utf8_lossy(&script));
    }
    let interrupts = Interrupts::listen().map_err(Failure::Signals)?;
    let notes = Notes::new(json);
    let opens_account = matches!(&arguments.command, Command::Account(account) if account.open);
    let account = said(arguments).account(!opens_account)?;
    if let Some(failure) = &account.warning {
        notes.warn(&format!("{}; it is passed over", failure::reason(failure)));
    }
    let key = if opens_account { String::new() } else { account.key? };
    let client = Client::new(&account.url, &key)?.with_patience(context::brief(&notes));
    let context = Context { client, notes, json, interrupts };
    let ended = match &arguments.command {
        Command::Program(program) => return program.run(&context).await,
        Command::Job(command) => job::run(&context, command).await,
        command => context.unless_interrupted(Failure::Interrupted, at_once(&context, command)).await,
    };
    ended.map_err(|failure| match arguments.command.job() {
        Some(id) => failure.of_job(id, Next::Nothing),
        None => failure,
    })
}

/// What ends by itself soon.
async fn at_once(context: &Context, command: &Command) -> Result<(), Failure> {
    match command {
        Command::Quote(program) => program.run(context).await,
        Command::Publish(job) => job::publish(context, job.id).await,
        Command::Model(command) => model::run(context, command).await,
        Command::Account(account) if account.open => account::open(context).await,
        Command::Account(_) => account::show(context).await,
        Command::Key(command) => key::run(context, command).await,
        Command::Device(command) => device::run(context, command).await,
        Command::Program(_) | Command::Job(_) | Command::Completions { .. } => Ok(()),
    }
}

/// What the command line and the environment say of server and key.
fn said(arguments: &Arguments) -> Said {
    let flag = |said: &Option<String>| said.clone().filter(|text| !text.trim().is_empty());
    Said {
        flags: Profile { url: flag(&arguments.url), key: flag(&arguments.key) },
        environment: Profile { url: text_variable("TESSERA_URL"), key: text_variable("TESSERA_KEY") },
        profile: arguments.profile.clone(),
        usual_profile: text_variable("TESSERA_PROFILE"),
        file: arguments.config.clone().or_else(|| variable("TESSERA_CONFIG").map(PathBuf::from)),
    }
}
