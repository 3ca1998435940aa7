//! Replicas of the edge over a `PostgreSQL` cluster of their own, behind a balancer that leads to those that are ready.

use std::sync::Arc;
use std::time::Duration;

use client::Client;
use futures::future::join_all;
use reqwest::Url;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::edge::Trial;
use crate::postgres::{self, free_port};
use crate::proxy::Proxy;
use crate::stack::Stack;
use crate::until::until;

const REPLICAS: usize = 3;
/// Between two looks at who is ready.
const LOOK: Duration = Duration::from_millis(200);
/// A replica that does not say that it is ready for so long is not.
const READY_WITHIN: Duration = Duration::from_secs(1);
const ANSWERS_WITHIN: Duration = Duration::from_mins(2);

pub struct Fleet {
    /// Its edges are the replicas, in their order.
    pub stack: Stack,
    /// Between each replica and the database.
    lines: Vec<Proxy>,
    /// None serves one replica with an embedded database.
    server: Option<Url>,
    balancer: Arc<Proxy>,
    ready: watch::Receiver<usize>,
    _balancing: JoinSet<()>,
}

impl Fleet {
    pub async fn start() -> Self {
        Self::start_in(Trial::default()).await
    }

    pub async fn start_in(trial: Trial) -> Self {
        let server = tokio::task::spawn_blocking(|| postgres::start("off")).await.expect("PostgreSQL should start");
        let server: Url = server.parse().expect("a server's address should be a URL");
        let mut stack = Stack::over_cluster(server.as_str().trim_end_matches('/'), trial).await;
        let mut through_line: Url = stack.database_url().parse().expect("a database's address should be a URL");
        let mut lines = Vec::new();
        for _ in 0..REPLICAS {
            let line = Proxy::start(server.port()).await;
            through_line.set_port(Some(line.port())).expect("a server's address should have a port");
            stack.start_edge_over(through_line.as_str()).await;
            lines.push(line);
        }
        Self::balanced(stack, lines, Some(server)).await
    }

    /// One replica with an embedded database, behind a balancer all the same.
    pub async fn alone_in(trial: Trial) -> Self {
        Self::balanced(Stack::start_in(free_port(), trial).await, Vec::new(), None).await
    }

    async fn balanced(mut stack: Stack, lines: Vec<Proxy>, server: Option<Url>) -> Self {
        let ports: Vec<u16> = stack.edges().iter().map(|edge| edge.port).collect();
        let (balancer, mut balancing) = (Arc::new(Proxy::start([]).await), JoinSet::new());
        let (sender, ready) = watch::channel(0);
        balancing.spawn(balance(Arc::clone(&balancer), ports.clone(), sender));
        let fleet = Self { stack, lines, server, balancer, ready, _balancing: balancing };
        fleet.are_ready(ports.len()).await;
        fleet
    }

    /// Between the world and the replicas.
    pub fn balancer(&self) -> &Proxy {
        &self.balancer
    }

    /// Between a replica and the database, if that is a server.
    pub fn line(&self, replica: usize) -> Option<&Proxy> {
        self.lines.get(replica)
    }

    /// Where the balancer listens.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.balancer.port())
    }

    /// An account at the balancer.
    pub async fn customer(&self) -> anyhow::Result<Client> {
        let account = wire::NewAccount { name: "Ada".to_owned() };
        let opened = Client::open_account(&self.url(), &account).await?;
        Ok(Client::new(&self.url(), &opened.key)?)
    }

    /// Waits until the balancer leads to so many.
    pub async fn are_ready(&self, replicas: usize) {
        let mut ready = self.ready.clone();
        let counted = tokio::time::timeout(ANSWERS_WITHIN, ready.wait_for(|ready| *ready == replicas));
        assert!(counted.await.is_ok(), "{replicas} replicas should be ready");
    }

    /// A replica reaches the database no more.
    pub fn cut_off(&self, replica: usize) {
        self.lines[replica].lead_to([]);
    }

    pub fn join(&self, replica: usize) {
        self.lines[replica].lead_to(self.server.as_ref().and_then(Url::port));
    }

    /// The database crashes, and is started again.
    pub async fn restart_database(&self) {
        let folder = "select setting from pg_settings where name = 'data_directory'";
        let folder: String = until("the database answers", ANSWERS_WITHIN, async || {
            sqlx::query_scalar(folder).fetch_one(&self.stack.try_database().await.ok()?).await.ok()
        })
        .await;
        let restart = move || {
            let program = postgres::programs().join("pg_ctl").display().to_string();
            let log = format!("{folder}/log");
            let arguments = ["-D", &folder, "-m", "immediate", "-l", &log, "-w", "-s", "restart"];
            postgres::output(&mut postgres::as_postgres(&program, &arguments))
        };
        tokio::task::spawn_blocking(restart).await.expect("the database should start again");
        until("the database answers", ANSWERS_WITHIN, async || {
            sqlx::query("select 1").execute(&self.stack.try_database().await.ok()?).await.ok()
        })
        .await;
    }
}

/// Leads to whoever is ready, as balancers do.
async fn balance(proxy: Arc<Proxy>, replicas: Vec<u16>, ready: watch::Sender<usize>) {
    let http = reqwest::Client::new();
    let mut look = tokio::time::interval(LOOK);
    loop {
        look.tick().await;
        let asked = replicas.iter().map(async |&port| {
            let request = http.get(format!("http://127.0.0.1:{port}/v1/ready")).timeout(READY_WITHIN);
            let answer = request.send().await.ok()?;
            answer.status().is_success().then_some(port)
        });
        let found: Vec<u16> = join_all(asked).await.into_iter().flatten().collect();
        proxy.lead_to(found.iter().copied());
        ready.send_if_modified(|before| std::mem::replace(before, found.len()) != found.len());
    }
}
