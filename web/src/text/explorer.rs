//! Words of the public record.

use wire::explorer::{ChartRange, ReceiptState};

texts! { ExplorerText {
    share_devices: "Who computed it", "由谁计算";
    backend: "Backend", "后端";
    model_hash: "Program (BLAKE3)", "程序（BLAKE3）";
    public_description: "Every tile was computed on lent devices and checked before it was paid.", "每个分块都由出借的设备计算，先验证后付款。";
    tiles_verified_of: "tiles verified", "个分块已验证";
    overview: "Overview", "概览";
    search_ids: "Search names, hardware, ids", "搜索名称、硬件或 ID";
    search_hint: "Name, hardware or id", "名称、硬件或 ID";
    search_help: "Search by the name of a published job, by a device's hardware, or by the first four characters or more of any id. Private jobs are never found.", "可按已发布任务的名称、设备的硬件名称搜索，也可输入任意 ID 的前四位或更多字符。私有任务不会被搜到。";
    nothing_found: "Nothing was found", "没有找到相关内容";
    native: "native", "本地程序";
    tab: "tab", "标签页";
    online: "Online", "在线";
    offline: "Offline", "离线";
    software: "(software)", "（软件）";
    class: "Class", "类别";
    checks: "Checks passed / failed", "验证通过／失败";
    checks_passed: "Checks passed", "验证通过";
    checks_failed: "Checks failed", "验证失败";
    receipt: "Receipt", "凭证";
    received: "Received", "收到时间";
    recomputed_short: "Recomputed", "复算";
    private: "private", "私有";
    devices_online: "Devices online", "在线设备";
    measured_speed: "Measured speed", "实测速度";
    tiles_today: "Tiles today (UTC)", "今日已验证分块（UTC）";
    no_receipts: "No receipts yet", "还没有凭证";
    no_receipts_help: "A receipt appears as soon as a device has committed its first tiles.", "设备提交首批分块后即会出现凭证。";
    utilisation: "Used in the last 7 days", "近 7 天使用率";
    work_today: "Work today (UTC)", "今日计算量（UTC）";
    credits_today: "Credits settled today (UTC)", "今日结算积分（UTC）";
    jobs_running: "Jobs running", "运行中的任务";
    jobs_done: "Jobs done", "已完成任务";
    supply: "Supply by class and backend", "在线算力（按类别与后端）";
    nobody_online: "No device is online", "没有在线设备";
    csv_for_excel: "CSV for Excel", "CSV（Excel）";
    files_are_utc: "Times in these files are UTC.", "文件中的时间均为 UTC。";
    charts: "Over time", "历史走势";
    chart_ranges: "How far back", "时间范围";
    range_hour: "1 h", "1 小时";
    range_day: "24 h", "24 小时";
    range_week: "7 d", "7 天";
    range_month: "30 d", "30 天";
    period_minutes: "A bar is ten minutes; the last one is not over yet.", "每根柱代表十分钟，最后一根尚未结束。";
    period_hour: "A bar is an hour; the last one is not over yet.", "每根柱代表一小时，最后一根尚未结束。";
    period_hours: "A bar is six hours; the last one is not over yet.", "每根柱代表六小时，最后一根尚未结束。";
    chart_tiles: "Tiles verified", "已验证分块（个）";
    chart_credits: "Credits settled", "已结算积分";
    chart_devices: "Devices online (mean)", "在线设备（平均台数）";
    devices_unit: "devices", "台设备";
    chart_use: "Capacity used (%)", "算力使用率（%）";
    latest_jobs: "Published jobs", "已发布任务";
    latest_receipts: "Latest receipts", "最新凭证";
    no_published_jobs: "No job is published yet", "还没有已发布的任务";
    published_jobs: "Published jobs", "已发布任务";
    private_jobs_hint: "Jobs are private until their owner publishes them; private ones count in the overview alone.", "任务默认不公开，由所有者决定是否发布；未发布的任务只计入概览数字。";
    online_only: "Online only", "仅在线";
    no_devices: "No device matches", "没有匹配的设备";
    devices_description: "Every device that ever lent its GPU, by verified work, with its checks and earnings.", "所有出借过 GPU 的设备，按已验证的计算量排列，并附验证记录与收益。";
    challenge: "Last challenge", "最近一次挑战";
    challenge_failed: "failed", "未通过";
    line: "Line, down / up", "网络（下行／上行）";
    uptime: "Uptime of 30 days", "近 30 天在线时长";
    first_seen: "First seen", "首次出现";
    last_seen: "Last seen", "最近出现";
    suspended_until: "Suspended until", "停用至";
    receipts_description: "Every statement that a device has signed about its tiles, newest first.", "设备为其分块签署的全部声明，按时间倒序排列。";
    how_checked: "How it was checked", "如何验证";
    check_rule: "A value passes when it is within 10⁻⁴ of the reference, relative to it, plus 2·10⁻⁵ of the tile's largest value.", "数值与参考值之差不超过参考值的 10⁻⁴ 加上分块最大值的 2·10⁻⁵ 即为通过。";
    checked_recomputed: "{again} of {tiles} tiles were drawn and computed again, and agreed.", "已抽取并复算 {tiles} 个分块中的 {again} 个，结果一致。";
    checked_by_edge: "This server computed {again} of {tiles} tiles again with its references, and they agreed.", "本服务器用参考实现复算了 {tiles} 个分块中的 {again} 个，结果一致。";
    checked_by_checker: "One of the operator's checkers computed {again} of {tiles} tiles again, and they agreed.", "运营方的复算设备复算了 {tiles} 个分块中的 {again} 个，结果一致。";
    checked_by_quorum: "Devices of other accounts, with standing of their own, computed {again} of {tiles} tiles again, and they agreed.", "其他账户的有信誉设备复算了 {tiles} 个分块中的 {again} 个，结果一致。";
    checked_by_owner: "Nobody computed it again: the device is its customer's own.", "无人复算：该设备属于任务客户本人。";
    checked_private: "How it was checked is public once its job is.", "任务公开后，其验证方式才会公开。";
    checked_none_drawn: "No tile of it was drawn: the device's earlier verified work is worth more than this lease.", "未抽取分块：该设备此前已验证的工作价值高于本租约。";
    rule_exact: "Two results are the same when every byte is.", "两份结果逐字节相同才算一致。";
    rule_floats: "Two floats are the same when |a − b| ≤ RTOL·|b| + ATOL, as the job's customer stated: RTOL {rtol}, ATOL {atol}.", "两个浮点数满足 |a − b| ≤ RTOL·|b| + ATOL 即视为一致，由任务客户设定：RTOL 为 {rtol}，ATOL 为 {atol}。";
    rule_integers: "Integers may be apart by so many units, in so much of a tile: {units}, {share} %.", "整数允许的差值（单位）及其在分块中的最大占比：{units}，{share} %。";
    checked_pending: "The device has signed; the check is under way.", "设备已签名，验证进行中。";
    checked_rejected: "A tile that was computed again differed. Nothing was paid for it.", "复算的分块不一致，未付款。";
    checked_void: "It came to nothing: its tiles were settled by another, or its device failed a later check.", "已作废：分块已由其他设备结算，或该设备未通过之后的验证。";
    statement: "What was signed", "签名内容";
    statement_lead: "The device's Ed25519 key signed these fields, before any tile was drawn for the check.", "设备的 Ed25519 密钥在抽取验证分块之前对以下字段签名。";
    statement_private: "Its job is private: the statement is for its owner alone.", "其任务为私有，声明仅对所有者可见。";
    signed_bytes: "The signed bytes, in hex", "被签名的字节（十六进制）";
    lease: "Lease", "租约";
    merkle_root: "Merkle root of the tiles' output hashes", "分块输出哈希的 Merkle 根";
    output_hash: "Output (BLAKE3)", "输出（BLAKE3）";
    device_time: "Device's clock", "设备时钟";
    signer: "Signed by", "签名者";
    signature: "Signature", "签名";
    paid: "Paid", "已支付";
    rerun_title: "Compute a tile again, here", "在此复算一个分块";
    rerun_lead: "Your own device computes one tile of this job, drawn at random, and holds it against what the other one signed.", "用您自己的设备复算随机抽取的一个分块，并与设备签名的结果对比。";
    rerun: "Compute a tile again", "复算一个分块";
    rerun_another: "Compute another tile", "再复算一个分块";
    rerunning: "Computing…", "计算中…";
    rerun_needs_script: "This needs JavaScript, and for a kernel WebGPU too: models run on any processor. Everything else on this page needs neither.", "此功能需要 JavaScript；复算内核还需要 WebGPU，模型则可在任何处理器上运行。页面其余内容都不需要。";
    rerun_agrees: "It agrees: your device and the signed receipt say the same.", "一致：您的设备与已签名凭证的结果相同。";
    rerun_differs: "It differs from the signed receipt.", "与已签名凭证不一致。";
    values_agree: "Values agree", "数值一致";
    under_root: "Under the signed root", "属于已签名的根";
    signature_holds: "Signature holds", "签名有效";
    largest_difference: "Largest difference", "最大差异";
    first_values: "First values of the tile", "分块的前几个值";
    computed_here: "Computed here", "本机计算";
    signed_there: "Signed for", "已签名结果";
    yes: "yes", "是";
    no: "no", "否";
    receipt_pending: "Being checked", "验证中";
    receipt_accepted: "Accepted", "已接受";
    receipt_matured: "Paid", "已付款";
    receipt_void: "Void", "作废";
    receipt_rejected: "Rejected", "被拒绝";
} }

impl ExplorerText {
    pub fn chart_range(&self, range: ChartRange) -> &'static str {
        match range {
            ChartRange::Hour => self.range_hour,
            ChartRange::Day => self.range_day,
            ChartRange::Week => self.range_week,
            ChartRange::Month => self.range_month,
        }
    }

    /// What a bar of a chart stands for.
    pub fn chart_period(&self, range: ChartRange) -> &'static str {
        match range {
            ChartRange::Hour | ChartRange::Day => self.period_minutes,
            ChartRange::Week => self.period_hour,
            ChartRange::Month => self.period_hours,
        }
    }

    pub fn receipt_state(&self, state: ReceiptState) -> &'static str {
        match state {
            ReceiptState::Pending => self.receipt_pending,
            ReceiptState::Accepted => self.receipt_accepted,
            ReceiptState::Matured => self.receipt_matured,
            ReceiptState::Void => self.receipt_void,
            ReceiptState::Rejected => self.receipt_rejected,
        }
    }
}
