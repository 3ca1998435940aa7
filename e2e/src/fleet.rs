//! Three replicas of the edge over a `PostgreSQL` cluster of their own, behind a balancer that leads to those that are ready.

use std::time::Duration;

use client::Client;
use futures::future::join_all;
use reqwest::Url;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::postgres;
use crate::proxy::Proxy;
use crate::stack::Stack;
use crate::until::until;

/// Between two looks at who is ready.
const LOOK: Duration = Duration::from_millis(200);
/// A replica that does not say that it is ready for so long is not.
const READY_WITHIN: Duration = Duration::from_secs(1);
const ANSWERS_WITHIN: Duration = Duration::from_mins(2);

pub struct Fleet {
    /// The first replica is its edge, and the other two are its others.
    pub stack: Stack,
    /// Between the second replica and the database.
    line: Proxy,
    server: Url,
    balancer: u16,
    ready: watch::Receiver<usize>,
    _balancing: JoinSet<()>,
}

impl Fleet {
    pub async fn start() -> Self {
        let server = tokio::task::spawn_blocking(|| postgres::start("off")).await.expect("PostgreSQL should start");
        let server: Url = server.parse().expect("a server's address should be a URL");
        let mut stack = Stack::start_on_cluster(server.as_str().trim_end_matches('/')).await;
        let line = Proxy::start(server.port()).await;
        let mut through_line: Url = stack.database_url().parse().expect("a database's address should be a URL");
        through_line.set_port(Some(line.port())).expect("a server's address should have a port");
        let second = stack.start_edge_over(through_line.as_str()).await;
        let direct = stack.database_url().to_owned();
        let third = stack.start_edge_over(&direct).await;
        let proxy = Proxy::start([]).await;
        let (balancer, mut balancing) = (proxy.port(), JoinSet::new());
        let (sender, ready) = watch::channel(0);
        balancing.spawn(balance(proxy, [stack.port(), second, third], sender));
        let fleet = Self { stack, line, server, balancer, ready, _balancing: balancing };
        fleet.are_ready(3).await;
        fleet
    }

    /// Where the balancer listens.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.balancer)
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

    /// The second replica reaches the database no more.
    pub fn cut_second_off(&self) {
        self.line.lead_to([]);
    }

    pub fn join_second(&self) {
        self.line.lead_to(self.server.port());
    }

    /// The database crashes, and is started again.
    pub async fn restart_database(&self) {
        let database = self.stack.database().await;
        let folder = sqlx::query_scalar("select setting from pg_settings where name = 'data_directory'");
        let folder: String = folder.fetch_one(&database).await.expect("the database should answer");
        let restart = move || {
            let program = postgres::programs().join("pg_ctl").display().to_string();
            let log = format!("{folder}/log");
            let arguments = ["-D", &folder, "-m", "immediate", "-l", &log, "-w", "-s", "restart"];
            postgres::output(&mut postgres::as_postgres(&program, &arguments))
        };
        tokio::task::spawn_blocking(restart).await.expect("the database should start again");
        until("the database answers", ANSWERS_WITHIN, async || {
            let conn = self.stack.database().await;
            sqlx::query("select 1").execute(&conn).await.ok()
        })
        .await;
    }
}

/// Leads to whoever is ready, as balancers do.
async fn balance(proxy: Proxy, replicas: [u16; 3], ready: watch::Sender<usize>) {
    let http = reqwest::Client::new();
    let mut look = tokio::time::interval(LOOK);
    loop {
        look.tick().await;
        let asked = replicas.map(async |port| {
            let request = http.get(format!("http://127.0.0.1:{port}/v1/ready")).timeout(READY_WITHIN);
            let answer = request.send().await.ok()?;
            answer.status().is_success().then_some(port)
        });
        let found: Vec<u16> = join_all(asked).await.into_iter().flatten().collect();
        proxy.lead_to(found.iter().copied());
        ready.send_if_modified(|before| std::mem::replace(before, found.len()) != found.len());
    }
}
