//! The page of the network's health.

use wire::status::{PartState, StatusPart, Trouble};

texts! { StatusText {
    title: "Network status", "网络状态";
    lead: "Each part as a server found it at its last look, and over ninety days. Servers look every fifteen seconds.", "各部分由服务器最近一次检查的结果，以及九十天的记录。服务器每十五秒检查一次。";
    all_well: "Everything works", "一切正常";
    some_wrong: "Something does not work", "部分功能异常";
    unknown_now: "No server has looked within a minute", "一分钟内没有服务器检查过";
    looked_at: "Last look", "最近检查";
    edge: "Servers", "服务器";
    database: "Database", "数据库";
    blobs: "Files", "文件存储";
    devices: "Devices", "设备";
    checks: "Checks and payment", "验证与结算";
    up: "Works", "正常";
    down: "Does not work", "异常";
    idle: "Idle, no job waits", "无设备，也无任务";
    unknown: "Not known", "未知";
    latency: "Latency", "延迟";
    waits: "Oldest receipt waits", "最早的凭证已等待";
    late: "Scheduling delay", "调度延迟";
    running: "Running", "运行中";
    connected: "Connected", "已连接";
    up_of_known: "Worked, of the time known", "已知时间内的可用率";
    known: "Known of ninety days", "九十天内已知的时间";
    days_hint: "A bar a day: green for the time that a part worked, red on top for the time that it did not. What is left out is not known.", "每天一条：绿色为正常时间，上方红色为异常时间，空白处为未知。";
    days_well: "no trouble", "无异常";
    days_of: "Ninety days", "九十天";
    days_poor: "days with trouble", "天有异常";
    incidents: "Incidents", "事件";
    no_incidents: "None within ninety days.", "九十天内没有事件。";
    incidents_hint: "What two looks in a row found wrong, the latest first. Times are as exact as the looks: to fifteen seconds.", "连续两次检查均发现的问题，最近的在前。时间精确到检查间隔，即十五秒。";
    part: "Part", "部分";
    what: "What was wrong", "问题";
    began: "Began", "开始";
    ended: "Ended", "结束";
    lasted: "Lasted", "持续";
    goes_on: "Goes on", "仍在持续";
    unreachable: "It did not answer, or not as it should", "无响应或响应异常";
    no_servers: "No server ran", "没有服务器运行";
    no_devices: "A job waited and no device was connected", "有任务等待，但没有设备连接";
    receipts_wait: "Receipts waited for more than ten minutes", "凭证等待超过十分钟";
} }

impl StatusText {
    pub fn part_name(&self, part: StatusPart) -> &'static str {
        match part {
            StatusPart::Edge => self.edge,
            StatusPart::Database => self.database,
            StatusPart::Blobs => self.blobs,
            StatusPart::Devices => self.devices,
            StatusPart::Checks => self.checks,
        }
    }

    pub fn state(&self, state: PartState) -> &'static str {
        match state {
            PartState::Up => self.up,
            PartState::Down => self.down,
            PartState::Idle => self.idle,
            PartState::Unknown => self.unknown,
        }
    }

    pub fn trouble(&self, trouble: Trouble) -> &'static str {
        match trouble {
            Trouble::Unreachable => self.unreachable,
            Trouble::NoServers => self.no_servers,
            Trouble::NoDevices => self.no_devices,
            Trouble::ReceiptsWait => self.receipts_wait,
        }
    }
}
