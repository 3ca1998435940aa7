mod balance;
mod chart;
mod facts;
mod icon;
mod mosaic;
mod notice;
mod obstacle;
mod tables;

pub use balance::Balance;
pub use chart::{Bar, BarChart, ChartRanges, UptimeStrip};
pub use facts::{Ago, Fact, JobBadge, Moment, ReceiptBadge};
pub use icon::Icon;
pub use mosaic::{Mosaic, TileCounts};
pub use notice::{Breadcrumbs, EmptyState, ExplorerTabs, FailureNotice, Pager, SearchBox};
pub use obstacle::ObstacleNotice;
pub use tables::{DeviceTable, Downloads, FoldedReceipts, PublicJobTable, ReceiptTable, ShareTable, class_name, short};
