//! A server as people reach it, its clock, and the checkers that are connected to it.

use std::time::Duration;

use tokio::time::Instant;
use wire::Micros;

use super::finding::{Finding, failed, ok, skipped, warning};
use super::place::Place;
use crate::http::install_tls;

const PATIENCE: Duration = Duration::from_secs(10);
/// The time in an answer's head is in whole seconds.
const CLOCK_OFF_MAX_SECS: i64 = 3;

pub async fn look(place: &Place, now: Micros, findings: &mut Vec<Finding>) {
    install_tls();
    let client = match reqwest::Client::builder().timeout(PATIENCE).build() {
        Ok(client) => client,
        Err(error) => {
            findings.push(failed("server", error.to_string(), "look at the certificates of this machine"));
            return;
        }
    };
    match &place.public_url {
        Some(url) => health(&client, url.trim_end_matches('/'), now, findings).await,
        None => findings.push(skipped("server", "say --public-url to have one asked")),
    }
    findings.push(checkers(&client, place).await);
}

async fn health(client: &reqwest::Client, url: &str, now: Micros, findings: &mut Vec<Finding>) {
    let since = Instant::now();
    let answer = match client.get(format!("{url}/v1/health")).send().await {
        Ok(answer) => answer,
        Err(error) => {
            let message = format!("{url} cannot be reached: {}", chain(&error));
            findings.push(failed("server", message, "is it running, and does the proxy in front of it lead there?"));
            return;
        }
    };
    let millis = since.elapsed().as_secs_f64() * 1000.0;
    findings.push(if answer.status().is_success() {
        ok("server", format!("{url} is well, and says so in {millis:.1} ms"))
    } else {
        let message = format!("{url}/v1/health answers {}", answer.status());
        failed("server", message, "its log says why: it cannot reach its database, or the proxy leads elsewhere")
    });
    let date = answer.headers().get("date").and_then(|date| date.to_str().ok());
    if let Some(seconds) = date.and_then(|date| httpdate::parse_http_date(date).ok()).and_then(seconds) {
        let off = seconds - now / 1_000_000;
        let message = format!("the server's is {} s off this machine's", off.abs());
        findings.push(if off.abs() <= CLOCK_OFF_MAX_SECS {
            ok("clock", message)
        } else {
            failed("clock", message, "have both machines follow a time server")
        });
    }
}

fn seconds(time: std::time::SystemTime) -> Option<i64> {
    i64::try_from(time.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs()).ok()
}

fn chain(error: &reqwest::Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.last().map_or_else(|| error.to_string(), ToString::to_string)
}

/// A checker is on no list of devices: how many are connected is in a server's metrics.
async fn checkers(client: &reqwest::Client, place: &Place) -> Finding {
    let named = place.checkers.len();
    if named == 0 {
        return ok(
            "checkers",
            "none is named: kernels need devices of two other accounts, and heavy models are refused",
        );
    }
    let of_server = || Some(format!("{}/metrics", place.public_url.as_deref()?.trim_end_matches('/')));
    let url = place.metrics_url.clone().or_else(|| place.metrics_token.is_some().then(of_server).flatten());
    let Some(url) = url else {
        return skipped("checkers", "say --metrics-url, or --public-url and --metrics-token, to see who is connected");
    };
    let mut request = client.get(&url);
    if let Some(token) = &place.metrics_token {
        request = request.bearer_auth(token);
    }
    let text = async { request.send().await?.error_for_status()?.text().await }.await;
    let text = match text {
        Ok(text) => text,
        Err(error) => {
            let message = format!("{url} does not say who is connected: {}", chain(&error));
            return failed("checkers", message, "look at --metrics-url and --metrics-token");
        }
    };
    let connected = text.lines().find_map(|line| line.strip_prefix(CONNECTED)?.trim().parse::<usize>().ok());
    match connected {
        Some(0) => failed("checkers", format!("none of {named} is connected to the server that answered"), START),
        Some(connected) if connected < named => {
            warning("checkers", format!("{connected} of {named} are connected to the server that answered"), START)
        }
        Some(connected) => ok("checkers", format!("{connected} of {named} are connected")),
        None => failed("checkers", format!("{url} is not a server's metrics"), "look at --metrics-url"),
    }
}

const CONNECTED: &str = "tessera_devices_connected{class=\"checker\"}";
const START: &str = "start tessera-worker run --checker with that key, and see that its log says it is connected";
