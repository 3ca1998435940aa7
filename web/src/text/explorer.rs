//! Words of the public record.

use wire::explorer::ReceiptState;

texts! { ExplorerText {
    share_devices: "Who computed it", "计算者";
    backend: "Backend", "后端";
    model_hash: "Program (BLAKE3)", "程序（BLAKE3）";
    public_description: "Every tile was computed on lent GPUs and checked before it was paid.", "每个分块都由出借的 GPU 计算，先验证后付款。";
    tiles_verified_of: "tiles verified", "个分块已验证";
    overview: "Overview", "概览";
    search_ids: "Search by id or its beginning", "按 ID 或其开头搜索";
    search_help: "Write the first four characters or more of a device, a published job or a receipt.", "输入设备、已发布任务或凭证 ID 的前四位或更多字符。";
    nothing_found: "Nothing begins with that", "没有匹配的内容";
    native: "native", "本地";
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
    tiles_today: "Tiles verified today", "今日已验证分块";
    no_receipts: "No receipts yet", "还没有凭证";
    no_receipts_help: "A receipt appears as soon as a device has committed its first tiles.", "设备提交首批分块后即会出现凭证。";
    utilisation: "Used in the last 7 days", "近 7 天使用率";
    work_today: "Work today", "今日计算量";
    credits_today: "Credits settled today", "今日结算积分";
    jobs_running: "Jobs running", "运行中的任务";
    jobs_done: "Jobs done", "已完成任务";
    supply: "Supply by class and backend", "按类别与后端的供给";
    nobody_online: "No device is online", "没有在线设备";
    chart_tiles: "Tiles verified, each ten minutes", "每十分钟验证的分块";
    chart_credits: "Credits settled, each ten minutes", "每十分钟结算的积分";
    chart_devices: "Devices online, mean of ten minutes", "在线设备（十分钟均值）";
    chart_use: "Capacity used", "算力使用率";
    latest_jobs: "Published jobs", "已发布任务";
    latest_receipts: "Latest receipts", "最新凭证";
    no_published_jobs: "No job is published yet", "还没有已发布的任务";
    published_jobs: "Published jobs", "已发布任务";
    private_jobs_hint: "Jobs are private until their owner publishes them; private ones count in the overview alone.", "任务默认私有，由所有者决定是否发布；私有任务只计入概览。";
    online_only: "Online only", "仅在线";
    no_devices: "No device matches", "没有匹配的设备";
    devices_description: "Every device that ever lent its GPU, by verified work, with its checks and earnings.", "所有出借过 GPU 的设备，按已验证工作量排列，附验证记录与收益。";
    challenge: "Last challenge", "最近一次挑战";
    challenge_failed: "failed", "未通过";
    line: "Line, down / up", "网络（下行／上行）";
    uptime: "Uptime of 30 days", "30 天在线时间";
    first_seen: "First seen", "首次出现";
    last_seen: "Last seen", "最近出现";
    suspended_until: "Suspended until", "暂停至";
    receipts_description: "Every statement that a device has signed about its tiles, newest first.", "设备对其分块签名的全部声明，最新在前。";
    how_checked: "How it was checked", "如何验证";
    check_rule: "A value passes when it is within 10⁻⁴ of the reference, relative to it, plus 2·10⁻⁵ of the tile's largest value.", "数值与参考值之差不超过参考值的 10⁻⁴ 加上分块最大值的 2·10⁻⁵ 即为通过。";
    checked_recomputed: "The edge computed drawn tiles again on its reference kernels, and they agreed:", "边缘服务器用参考内核复算抽取的分块，结果一致：";
    checked_pending: "The device has signed; the check is under way.", "设备已签名，验证进行中。";
    checked_rejected: "A tile that was computed again differed. Nothing was paid for it.", "复算的分块不一致，未付款。";
    checked_void: "It came to nothing: its tiles were settled by another, or its device failed a later check.", "已作废：分块由他人结算，或设备在之后的验证中失败。";
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
    rerun_needs_script: "This needs JavaScript and WebGPU; everything else on this page does not.", "此功能需要 JavaScript 和 WebGPU，页面其余内容不需要。";
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
