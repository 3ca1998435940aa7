//! How often one address, account or lease may do what costs us something, and how much of it at once.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::sync::OwnedSemaphorePermit;
use wire::{AccountId, ErrorCode, LeaseId};

use super::client_address::ClientAddress;
use super::error::{ApiError, Refusal};
use crate::memory::MemoryBudget;

/// Who is counted. An account's and an address's requests are counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    Address(IpAddr),
    Account(AccountId),
    Lease(LeaseId),
}

impl From<ClientAddress> for Subject {
    fn from(address: ClientAddress) -> Self {
        Self::Address(address.0)
    }
}

impl From<AccountId> for Subject {
    fn from(account: AccountId) -> Self {
        Self::Account(account)
    }
}

impl From<LeaseId> for Subject {
    fn from(lease: LeaseId) -> Self {
        Self::Lease(lease)
    }
}

/// The actions, and how often a minute each may be done.
macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident: $per_minute:literal,)+) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Action {
            $($(#[$doc])* $name,)+
        }

        impl Action {
            const ALL: &[Self] = &[$(Self::$name),+];

            const fn per_minute(self) -> u32 {
                match self {
                    $(Self::$name => $per_minute,)+
                }
            }
        }
    };
}

actions! {
    OpenAccount: 30,
    /// A device's socket is opened.
    OpenSocket: 600,
    /// Samples of published jobs, whose hashes we have to work out.
    Sample: 240,
    MakeDeviceCode: 30,
    /// A kernel is passed through the gate for nothing.
    CheckKernel: 240,
    /// A first tile is tried.
    Trial: 60,
    /// A job is quoted or submitted: its model is planned, or its kernel passed through the gate.
    Order: 240,
    /// A plan is made for a tab.
    Plan: 600,
    /// A customer's file is stored.
    Upload: 600,
    /// A lease's output is sent: once, and again where the connection broke.
    Output: 4,
    /// Names are searched.
    Search: 240,
    /// A page is drawn that is not kept.
    DrawPage: 600,
}

pub struct Limits {
    /// In the order of the actions.
    limiters: Vec<DefaultKeyedRateLimiter<Subject>>,
    pub connections: InFlight<IpAddr>,
    pub uploads: InFlight<AccountId>,
    pub orders: InFlight<AccountId>,
    /// Of request bodies.
    pub bodies: MemoryBudget,
}

/// How long a body waits for others to be done with.
const BODY_WAITS: Duration = Duration::from_secs(10);
/// Uploads of one account at once.
const UPLOADS_AT_ONCE: u32 = 8;
/// Orders of one account that are read and planned at once.
const ORDERS_AT_ONCE: u32 = 4;

impl Limits {
    /// `body_bytes_max` of request bodies in memory, and connections of one address at once.
    pub fn new(body_bytes_max: u64, connections_per_address: u32) -> Self {
        let quota = |action: &Action| {
            Quota::per_minute(NonZeroU32::new(action.per_minute()).expect("a quota should not be zero"))
        };
        Self {
            limiters: Action::ALL.iter().map(|action| RateLimiter::keyed(quota(action))).collect(),
            connections: InFlight::new(connections_per_address),
            uploads: InFlight::new(UPLOADS_AT_ONCE),
            orders: InFlight::new(ORDERS_AT_ONCE),
            bodies: MemoryBudget::new(body_bytes_max),
        }
    }

    /// Counts one request.
    pub fn check(&self, action: Action, subject: impl Into<Subject>) -> Result<(), ApiError> {
        let limiter = &self.limiters[action as usize];
        limiter.check_key(&subject.into()).map_err(|not_yet| {
            let wait = not_yet.wait_time_from(DefaultClock::default().now());
            let secs = wait.as_secs() + 1;
            rate_limited(format!("too many requests; try again in {secs} seconds"), secs)
        })
    }

    /// Room in memory for a body, or for as much of it as is held at once.
    pub async fn hold_body(&self, bytes: u64) -> Result<OwnedSemaphorePermit, ApiError> {
        let permit = tokio::time::timeout(BODY_WAITS, self.bodies.hold(bytes)).await;
        let message = "the server is busy with other uploads; try again in a moment";
        permit.ok().and_then(Result::ok).ok_or_else(|| overloaded(message))
    }

    /// Forgets whoever has not asked for a while.
    pub fn shrink(&self) {
        self.limiters.iter().for_each(RateLimiter::retain_recent);
    }
}

pub fn overloaded(message: &str) -> ApiError {
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Overloaded, message).retry_after(2).into()
}

pub fn rate_limited(message: impl Into<String>, retry_secs: u64) -> ApiError {
    Refusal::new(StatusCode::TOO_MANY_REQUESTS, ErrorCode::RateLimited, message).retry_after(retry_secs).into()
}

/// How many of something each key has under way.
#[derive(Debug)]
pub struct InFlight<K> {
    most: u32,
    counts: Arc<Mutex<HashMap<K, u32>>>,
}

/// One of them; it ends when this is dropped.
#[derive(Debug)]
pub struct Entry<K: Eq + Hash> {
    key: K,
    counts: Arc<Mutex<HashMap<K, u32>>>,
}

impl<K: Copy + Eq + Hash> InFlight<K> {
    fn new(most: u32) -> Self {
        Self { most, counts: Arc::default() }
    }

    /// `None` when the key has as many as it may.
    pub fn try_enter(&self, key: K) -> Option<Entry<K>> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(key).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        drop(counts);
        Some(Entry { key, counts: Arc::clone(&self.counts) })
    }

    pub fn count(&self, key: K) -> u32 {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied().unwrap_or(0)
    }

    pub fn enter(&self, key: K, what: &str) -> Result<Entry<K>, ApiError> {
        self.try_enter(key).ok_or_else(|| {
            let message = format!("at most {} {what} at once; wait for one of them to end", self.most);
            rate_limited(message, 1)
        })
    }
}

impl<K: Eq + Hash> Drop for Entry<K> {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_under_way_is_counted_until_it_ends() {
        let uploads = InFlight::new(2);

        let first = uploads.try_enter(1).unwrap();
        let second = uploads.try_enter(1).unwrap();

        assert!(uploads.try_enter(1).is_none());
        assert!(uploads.try_enter(2).is_some());
        drop(first);
        assert!(uploads.try_enter(1).is_some());
        drop(second);
        assert!(uploads.counts.lock().unwrap().is_empty(), "nobody is remembered");
    }

    #[test]
    fn every_action_is_counted_by_its_own_limiter() {
        assert!(Action::ALL.iter().enumerate().all(|(index, action)| *action as usize == index));
    }
}
