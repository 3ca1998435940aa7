//! How often one address may do what costs us something.

use std::net::IpAddr;
use std::num::NonZeroU32;

use axum::http::StatusCode;
use governor::{DefaultKeyedRateLimiter, Quota};
use wire::ErrorCode;

use super::error::{ApiError, Refusal};

pub struct Limits {
    accounts: DefaultKeyedRateLimiter<IpAddr>,
    sockets: DefaultKeyedRateLimiter<IpAddr>,
    samples: DefaultKeyedRateLimiter<IpAddr>,
    codes: DefaultKeyedRateLimiter<IpAddr>,
    kernels: DefaultKeyedRateLimiter<IpAddr>,
    trials: DefaultKeyedRateLimiter<IpAddr>,
    plans: DefaultKeyedRateLimiter<IpAddr>,
}

impl Default for Limits {
    fn default() -> Self {
        let per_minute = |count| Quota::per_minute(NonZeroU32::new(count).expect("a quota should not be zero"));
        Self {
            accounts: governor::RateLimiter::keyed(per_minute(30)),
            sockets: governor::RateLimiter::keyed(per_minute(600)),
            samples: governor::RateLimiter::keyed(per_minute(240)),
            codes: governor::RateLimiter::keyed(per_minute(30)),
            kernels: governor::RateLimiter::keyed(per_minute(240)),
            trials: governor::RateLimiter::keyed(per_minute(60)),
            plans: governor::RateLimiter::keyed(per_minute(600)),
        }
    }
}

impl Limits {
    pub fn check_account(&self, from: IpAddr) -> Result<(), ApiError> {
        check(&self.accounts, from)
    }

    pub fn check_socket(&self, from: IpAddr) -> Result<(), ApiError> {
        check(&self.sockets, from)
    }

    /// Samples of published jobs, whose hashes we have to work out.
    pub fn check_sample(&self, from: IpAddr) -> Result<(), ApiError> {
        check(&self.samples, from)
    }

    /// Device codes made.
    pub fn check_code(&self, from: IpAddr) -> Result<(), ApiError> {
        check(&self.codes, from)
    }

    /// Kernels passed through the gate for nothing.
    pub fn check_kernel(&self, from: IpAddr) -> Result<(), ApiError> {
        check(&self.kernels, from)
    }

    /// First tiles tried.
    pub fn check_trial(&self, from: IpAddr) -> Result<(), ApiError> {
        check(&self.trials, from)
    }

    /// Plans made for tabs.
    pub fn check_plan(&self, from: IpAddr) -> Result<(), ApiError> {
        check(&self.plans, from)
    }

    /// Forgets addresses that have not asked for a while.
    pub fn shrink(&self) {
        self.accounts.retain_recent();
        self.sockets.retain_recent();
        self.samples.retain_recent();
        self.codes.retain_recent();
        self.kernels.retain_recent();
        self.trials.retain_recent();
        self.plans.retain_recent();
    }
}

fn check(limiter: &DefaultKeyedRateLimiter<IpAddr>, from: IpAddr) -> Result<(), ApiError> {
    limiter.check_key(&from).map_err(|_not_yet| {
        let message = "too many requests from this address; wait a minute";
        Refusal::new(StatusCode::TOO_MANY_REQUESTS, ErrorCode::RateLimited, message).into()
    })
}
