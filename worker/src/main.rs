//! The native agent's command line.

#[cfg(not(target_arch = "wasm32"))]
fn main() -> anyhow::Result<()> {
    agent::main()
}

#[cfg(not(target_arch = "wasm32"))]
mod key_file;

/// The browser's Web Worker is `browser.rs`.
#[cfg(target_arch = "wasm32")]
fn main() {}

#[cfg(not(target_arch = "wasm32"))]
mod agent {
    use std::io::Write;
    #[cfg(unix)]
    use std::path::Path;
    use std::path::PathBuf;

    use anyhow::Context;
    use clap::Parser;
    use gpu_kernels::device::{Cpu, Device, Gpu, GpuError, budget};
    use tracing_subscriber::EnvFilter;
    use worker::engine::Engine;
    use worker::hello::Credentials;
    use worker::identity::Identity;
    use worker::link::native::run;
    use worker::session::Options;

    use crate::key_file::{device_key, key_file};

    /// Compilers of shaders recurse.
    const STACK_BYTES: usize = 16 << 20;

    /// Lends this machine's GPU, or its CPU, to the network.
    #[derive(clap::Parser)]
    #[command(name = "tessera-worker", version)]
    struct Arguments {
        #[command(subcommand)]
        command: Command,
    }

    #[derive(clap::Subcommand)]
    enum Command {
        /// Work until stopped.
        Run(Run),
        /// Print this device's id, and make its key if there is none.
        Id {
            /// Where the device's own key is kept; made on first use.
            #[arg(long, env = "TESSERA_DEVICE_KEY_FILE")]
            device_key_file: Option<PathBuf>,
        },
    }

    #[derive(clap::Args)]
    struct Run {
        /// The edge's address.
        #[arg(long, env = "TESSERA_URL", default_value = "http://127.0.0.1:8080")]
        url: String,
        /// An account's key, to earn for that account; without one the device earns as a guest. The environment variable
        /// `TESSERA_WORKER_KEY` stands in for it.
        #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
        key: Option<String>,
        /// A device code from the lend page, to link this machine to your account. It works once.
        #[arg(long, conflicts_with = "key")]
        code: Option<String>,
        /// Recompute for the operator what the server cannot, unpaid. The server must know this device
        /// (`edge-api --checker ID`).
        #[arg(long, conflicts_with_all = ["key", "code"])]
        checker: bool,
        /// Work for this job alone. It is a job of the account that the device earns for, by --key, --code or a link of before.
        #[arg(long, value_name = "JOB", conflicts_with = "checker")]
        only_job: Option<wire::JobId>,
        /// Where the device's own key is kept; made on first use.
        #[arg(long, env = "TESSERA_DEVICE_KEY_FILE")]
        device_key_file: Option<PathBuf>,
        /// The share of time that the device may be busy, in percent.
        #[arg(long, default_value = "100", value_parser = clap::value_parser!(u8).range(5..=100))]
        duty: u8,
        /// Run models alone, and no customer's kernel.
        #[arg(long, conflicts_with = "checker")]
        models_only: bool,
        /// What computes. `auto` takes a GPU, and the CPU where there is none but a software adapter.
        #[arg(long, value_enum, default_value = "auto")]
        backend: Backend,
    }

    impl Run {
        /// A checker earns for nobody, and a code says by itself for whom; the customer's own `TESSERA_KEY` is not asked.
        fn account_key(&self) -> Option<String> {
            let of_environment = || std::env::var("TESSERA_WORKER_KEY").ok().filter(|key| !key.is_empty());
            if self.checker || self.code.is_some() { None } else { self.key.clone().or_else(of_environment) }
        }

        /// Says whom the device earns for where its owner may not think of it. The server alone knows of a link of before.
        fn say_who_earns(&self) {
            if self.checker || self.code.is_some() || self.account_key().is_some() {
                return;
            }
            match self.only_job {
                None => tracing::info!(
                    "no account was named: this device earns as a guest, unless it was linked before; \
                     --key or --code links it, and what it has earned comes along"
                ),
                Some(job) => tracing::warn!(
                    %job,
                    "no account was named: unless this device was linked to the job's account before, it gets no work; \
                     say --key or --code"
                ),
            }
        }
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
    enum Backend {
        Auto,
        Gpu,
        Cpu,
    }

    pub(crate) fn main() -> anyhow::Result<()> {
        let filter =
            EnvFilter::try_from_env("TESSERA_LOG").unwrap_or_else(|_unset| EnvFilter::new("info,wgpu=warn,naga=warn"));
        tracing_subscriber::fmt()
            // It would panic where its log cannot be written, as on a full disk.
            .log_internal_errors(false)
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .init();
        let arguments = match Arguments::parse().command {
            Command::Run(arguments) => arguments,
            Command::Id { device_key_file } => {
                let identity = Identity::from_secret(&device_key(&key_file(device_key_file)?)?);
                writeln!(std::io::stdout(), "{}", identity.device()).context("standard output cannot be written")?;
                return Ok(());
            }
        };
        rustls::crypto::ring::default_provider()
            .install_default()
            .map_err(|_twice| anyhow::anyhow!("a TLS provider is installed already"))?;
        let key_file = key_file(arguments.device_key_file.clone())?;
        let identity = Identity::from_secret(&device_key(&key_file)?);
        #[cfg(unix)]
        if let Some(folder) = key_file.parent() {
            have_runtime_folder(folder);
        }
        tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(STACK_BYTES).build()?.block_on(
            async move {
                let device = open(arguments.backend).await?;
                let info = device.info();
                tracing::info!(name = info.name, backend = info.backend, software = info.software, "device");
                arguments.say_who_earns();
                let backend = arguments.backend;
                let engine = Engine::new(device, identity).reopen_with(move || Box::pin(open(backend)));
                let options = Options {
                    account: Credentials {
                        key: arguments.account_key(),
                        code: arguments.code,
                        checker: arguments.checker,
                        only_job: arguments.only_job,
                    },
                    duty_percent: arguments.duty,
                    models_only: arguments.models_only,
                };
                let stop = async {
                    if let Err(error) = stop_requested().await {
                        tracing::error!(%error, "signals cannot be received");
                    }
                };
                Ok(run(&engine, &arguments.url, options, stop).await?)
            },
        )
    }

    /// Mesa complains on standard error where nobody has said where sockets go. This process becomes itself once more, with a
    /// folder of its user's.
    #[cfg(unix)]
    fn have_runtime_folder(folder: &Path) {
        const VARIABLE: &str = "XDG_RUNTIME_DIR";
        if std::env::var_os(VARIABLE).is_none()
            && let (Ok(program), Ok(folder)) = (std::env::current_exe(), std::path::absolute(folder))
        {
            let mut again = std::process::Command::new(program);
            again.args(std::env::args_os().skip(1)).env(VARIABLE, folder);
            let error = std::os::unix::process::CommandExt::exec(&mut again);
            tracing::debug!(%error, "the worker could not be started anew");
        }
    }

    /// A hardware GPU where there is one. The CPU's own vector code is many times as fast as a software
    /// adapter, a GPU's interface over that same CPU, which is only taken when asked for.
    async fn open(backend: Backend) -> Result<Device, GpuError> {
        let cpu = |kernels| Device::Cpu(Cpu::open(budget::NATIVE, kernels));
        if backend == Backend::Cpu {
            return Ok(cpu(None));
        }
        match Gpu::open(budget::NATIVE).await {
            Ok(gpu) if backend == Backend::Gpu || !gpu.info.software => Ok(Device::Gpu(Box::new(gpu))),
            Err(error) if backend == Backend::Gpu => Err(error),
            Ok(gpu) => {
                tracing::info!(adapter = gpu.info.name, "only a software adapter: models go to the CPU, kernels to it");
                Ok(cpu(Some(gpu)))
            }
            Err(error) => {
                tracing::info!(%error, "computing on the CPU");
                Ok(cpu(None))
            }
        }
    }

    async fn stop_requested() -> std::io::Result<()> {
        #[cfg(unix)]
        {
            let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
            tokio::select! {
                _ = terminate.recv() => Ok(()),
                interrupted = tokio::signal::ctrl_c() => interrupted,
            }
        }
        #[cfg(not(unix))]
        tokio::signal::ctrl_c().await
    }
}
