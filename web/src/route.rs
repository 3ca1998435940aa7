//! Every page's address.

use std::fmt;

use wire::explorer::Hit;
use wire::{DeviceId, JobId, LeaseId};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    Landing,
    Jobs,
    NewJob,
    Job(JobId),
    Lend,
    Account,
    Calculator,
    Status,
    Explorer,
    Devices,
    Device(DeviceId),
    PublicJobs,
    PublicJob(JobId),
    Receipts,
    Receipt(LeaseId),
    Search,
    Docs(DocsPage),
}

/// A page of the documentation. Which guides there are is the server's to know: it has their texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocsPage {
    Index,
    /// Programs to take away.
    Downloads,
    /// By its address under `/docs/`.
    Guide(&'static str),
    Api,
}

/// The table of addresses. A page without a row does not compile.
macro_rules! addresses {
    ($($address:literal => $page:ident $(($($field:tt)+))?;)+) => {
        impl Page {
            /// Every page's address, with names in braces for what differs between pages of one kind.
            pub const ADDRESSES: &[&str] = &[$($address),+];

            /// The page's address, with names in braces for what differs between pages of its kind.
            #[expect(unused_variables, reason = "the table names what differs")]
            pub fn address(self) -> &'static str {
                match self {
                    $(Self::$page $(($($field)+))? => $address,)+
                }
            }

            pub fn path(self) -> String {
                self.to_string()
            }
        }

        impl fmt::Display for Page {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match *self {
                    $(Self::$page $(($($field)+))? => path!(f, $address $($($field)+)?),)+
                }
            }
        }
    };
}

macro_rules! path {
    ($f:ident, $address:literal) => {
        $f.write_str($address)
    };
    ($f:ident, $address:literal $($field:tt)+) => {
        write!($f, $address)
    };
}

addresses! {
    "/" => Landing;
    "/jobs" => Jobs;
    "/jobs/new" => NewJob;
    "/jobs/{id}" => Job(id);
    "/lend" => Lend;
    "/account" => Account;
    "/calculator" => Calculator;
    "/status" => Status;
    "/explorer" => Explorer;
    "/explorer/devices" => Devices;
    "/explorer/devices/{id}" => Device(id);
    "/explorer/jobs" => PublicJobs;
    "/explorer/jobs/{id}" => PublicJob(id);
    "/explorer/receipts" => Receipts;
    "/explorer/receipts/{id}" => Receipt(id);
    "/explorer/search" => Search;
    "/docs" => Docs(DocsPage::Index);
    "/docs/api" => Docs(DocsPage::Api);
    "/docs/downloads" => Docs(DocsPage::Downloads);
    "/docs/{slug}" => Docs(DocsPage::Guide(slug));
}

impl Page {
    /// The page at a path. `None` where there is none.
    pub fn parse(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        match parts.as_slice() {
            [""] => Some(Self::Landing),
            ["jobs"] => Some(Self::Jobs),
            ["jobs", "new"] => Some(Self::NewJob),
            ["jobs", id] => id.parse().ok().map(Self::Job),
            ["lend"] => Some(Self::Lend),
            ["account"] => Some(Self::Account),
            ["calculator"] => Some(Self::Calculator),
            ["status"] => Some(Self::Status),
            ["explorer"] => Some(Self::Explorer),
            ["explorer", "devices"] => Some(Self::Devices),
            ["explorer", "devices", id] => id.parse().ok().map(Self::Device),
            ["explorer", "jobs"] => Some(Self::PublicJobs),
            ["explorer", "jobs", id] => id.parse().ok().map(Self::PublicJob),
            ["explorer", "receipts"] => Some(Self::Receipts),
            ["explorer", "receipts", id] => id.parse().ok().map(Self::Receipt),
            ["explorer", "search"] => Some(Self::Search),
            ["docs"] => Some(Self::Docs(DocsPage::Index)),
            ["docs", "api"] => Some(Self::Docs(DocsPage::Api)),
            ["docs", "downloads"] => Some(Self::Docs(DocsPage::Downloads)),
            _ => None,
        }
    }

    /// Whether everyone sees the same page: it knows no session and may be kept by caches.
    pub fn is_public(self) -> bool {
        match self {
            Self::Landing
            | Self::Calculator
            | Self::Status
            | Self::Explorer
            | Self::Devices
            | Self::Device(_)
            | Self::PublicJobs
            | Self::PublicJob(_)
            | Self::Receipts
            | Self::Receipt(_)
            | Self::Search
            | Self::Docs(_) => true,
            Self::Jobs | Self::NewJob | Self::Job(_) | Self::Lend | Self::Account => false,
        }
    }

    /// Whether there is something on it to press that only scripts can do. A page of the record says so at the place.
    pub fn needs_scripts(self) -> bool {
        !self.is_public() || self == Self::Calculator
    }

    /// Whether the page has a picture for link previews.
    pub fn has_preview(self) -> bool {
        self.is_public() && self != Self::Search
    }

    /// The page of what a search found.
    pub fn of_hit(hit: &Hit) -> Self {
        match hit {
            Hit::Device { id, .. } => Self::Device(*id),
            Hit::Job { id, .. } => Self::PublicJob(*id),
            Hit::Receipt { id } => Self::Receipt(*id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_leads_back_to_its_page() {
        let job = JobId::from_parts(1, [7; 10]);
        let pages = [
            Page::Landing,
            Page::Jobs,
            Page::NewJob,
            Page::Job(job),
            Page::Lend,
            Page::Account,
            Page::Calculator,
            Page::Status,
            Page::Explorer,
            Page::Devices,
            Page::Device(DeviceId([3; 32])),
            Page::PublicJobs,
            Page::PublicJob(job),
            Page::Receipts,
            Page::Receipt(LeaseId([4; 16])),
            Page::Search,
            Page::Docs(DocsPage::Index),
            Page::Docs(DocsPage::Api),
            Page::Docs(DocsPage::Downloads),
        ];
        for page in pages {
            assert_eq!(Page::parse(&page.path()), Some(page));
            let shape = |path: &str| path.split('/').map(|part| part.starts_with('{')).collect::<Vec<_>>();
            assert_eq!(shape(page.address()).len(), shape(&page.path()).len(), "{}", page.address());
            assert!(Page::ADDRESSES.contains(&page.address()));
        }
    }

    #[test]
    fn what_is_no_address_has_no_page() {
        for path in ["", "jobs", "/jobs/", "/jobs/1", "/explorer/devices/zz", "/explorer/jobs/x/y", "/../etc", "//"] {
            assert_eq!(Page::parse(path), None, "{path}");
        }
    }
}
