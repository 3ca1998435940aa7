mod balance;
mod chart;
mod facts;
mod icon;
mod mosaic;
mod notice;
mod tables;

pub use balance::Balance;
pub use chart::{Bar, BarChart, UptimeStrip};
pub use facts::{Fact, JobBadge, Moment, ReceiptBadge};
pub use icon::Icon;
pub use mosaic::Mosaic;
pub use notice::{Breadcrumbs, EmptyState, ExplorerTabs, FailureNotice, Pager, SearchBox};
pub use tables::{DeviceTable, Downloads, PublicJobTable, ReceiptTable, ShareTable, class_name, short};
