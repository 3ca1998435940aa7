mod balance;
mod chart;
mod facts;
#[cfg(feature = "ssr")]
mod fixed_table;
mod icon;
mod mosaic;
mod notice;
mod obstacle;
mod table;
mod tables;

pub use balance::Balance;
pub use chart::{Bar, BarChart, ChartRanges, UptimeStrip};
pub use facts::{Ago, Fact, JobBadge, Moment, ReceiptBadge};
pub use icon::Icon;
pub use mosaic::{Mosaic, TileCounts};
pub use notice::{Breadcrumbs, EmptyState, ExplorerTabs, FailureNotice, Pager, SearchBox};
pub use obstacle::ObstacleNotice;
pub use table::{Row, Table};
pub use tables::{
    Downloads, FoldedReceipts, Whose, class_name, device_table, job_table, receipt_table, share_table, short,
};
