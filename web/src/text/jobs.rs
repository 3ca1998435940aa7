//! Words of ordering a job and watching it, whatever its program.

use wire::{CheckedBy, DisputeState, JobEventKind, JobState, Obstacle, Privacy};

texts! { JobsText {
    new_job: "New job", "新建任务";
    new_job_lead: "A model or a kernel of your own, over your data. You pay for verified tiles only.", "用模型或自己编写的内核处理数据，只为通过验证的分块付费。";
    what_to_run: "What to run", "运行内容";
    try_tile: "Run one tile here, free", "在本机免费运行一块";
    trying: "Running one tile…", "正在运行一块…";
    try_tile_hint: "Your own device computes the first tile in this page: its output and its time, before you pay anything.", "在付费前，由您自己的设备在本页计算第一块：查看输出和耗时。";
    alone_here: "The whole job, here alone", "仅本机完成全部任务";
    name_hint: "Optional. Shown if you publish the job.", "可选。发布任务后公开显示。";
    privacy: "Who may see the data", "谁可以看到数据";
    open: "Open", "公开";
    open_hint: "Any device computes it, strangers' browser tabs among them: they can see your model and your input.", "任何设备都可计算，包括陌生人的浏览器标签页：他们能看到您的模型和输入。";
    known: "Known", "已认证";
    known_hint: "Devices of accounts that the operator has verified.", "仅限运营方已认证账户的设备。";
    own: "Own", "自有";
    own_hint: "Only devices of this account.", "仅限本账户的设备。";
    quote: "Quote", "报价";
    quote_wait: "Choose what to run and its input: the quote comes at once.", "选择运行内容和输入后立即报价。";
    checking: "Uploading and checking…", "正在上传并检查…";
    cost_at_most: "Costs at most", "最高费用";
    output_shape: "Output row", "输出行形状";
    output: "Output", "输出";
    runs_whole: "This model cannot be cut into rows, so one device computes the arrays as they are.", "该模型无法按行拆分，因此由一台设备整体计算这些数组。";
    devices_now: "Devices that can run it now", "当前可用设备";
    no_devices_yet: "No device is connected yet; the job will wait for one.", "目前没有设备在线，任务将等待设备接入。";
    submit: "Submit", "提交";
    submitting: "Submitting…", "正在提交…";
    no_account: "You need an account to run a job.", "运行任务需要账户。";
    mosaic: "Tiles of this job", "本任务的分块";
    tiles_waiting: "Waiting", "等待中";
    tiles_unverified: "Not yet verified", "尚未验证";
    tiles_left: "Not verified", "未验证";
    tiles_checking: "Computed, being checked", "已计算，正在验证";
    tiles_verified: "Verified", "已验证";
    cost_per_thousand: "Cost of a thousand rows", "每千行费用";
    preview: "A look at the result", "结果预览";
    first_rows_verified: "The first {rows} rows are verified.", "前 {rows} 行已验证。";
    all_rows_verified: "All {rows} rows are verified.", "全部 {rows} 行已验证。";
    all_in_download: "All of them are in the download.", "完整结果请下载。";
    row: "row", "行";
    class: "Class", "类别";
    classes: "Rows by class: the place of a row's largest value, or its integer", "各类别的行数：按每行最大值的位置或整数值";
    first_rows: "First rows", "前几行";
    repeat: "Repeat this job in code", "用代码重复此任务";
    repeat_hint: "Each runs as it stands with your account's key in TESSERA_KEY: it orders the same job over the same files, waits, and writes the result beside you. It costs no more than was held for this job.", "在 TESSERA_KEY 中设置账户密钥后即可直接运行：用相同文件提交相同任务，等待完成，并将结果写入当前目录。费用不超过本任务冻结的金额。";
    repeat_command: "The command", "命令行";
    limit: "Pay at most", "最多支付";
    limit_hint: "In credits. Left empty: what the quote says.", "单位为积分。留空则为报价金额。";
    no_amount: "This is no amount of credits, which looks like 0.25.", "这不是积分金额，应形如 0.25。";
    deadline: "Deadline", "完成期限";
    deadline_hint: "After so long the job ends by itself. What is verified then is paid, the rest is free again. Left empty: it waits.", "到期后任务自动结束：已验证的部分付款，其余金额解冻。留空则一直等待。";
    deadline_unit: "Unit of the deadline", "完成期限的单位";
    no_time: "A deadline is a second to a year away.", "期限须为 1 秒至 1 年。";
    minutes: "minutes", "分钟";
    hours: "hours", "小时";
    days: "days", "天";
    full_stop: ". ", "。";
    needs: "It needs", "需要";
    largest_has: ", and the largest here has", "，而此处最大的设备只有";
    no_device: "No device is connected.", "没有设备在线。";
    no_device_help: "The job waits for one. You can compute it yourself: in this browser, or with the worker on a machine of yours.", "任务会等待。您也可以自己计算：使用本浏览器，或在您的机器上运行出借程序。";
    no_own_device: "None of your own devices is connected.", "您自己的设备均不在线。";
    no_own_device_help: "Connect one with your key or a device code, or choose who else may see the data.", "请用密钥或设备码连接一台，或选择允许其他设备查看数据。";
    no_own_device_now: "Let this device compute it below, or connect one with your key or a device code. Or cancel the job, and run it again with another choice of who may see the data.", "可在下方让本机参与计算，或用密钥或设备码连接一台；也可取消任务，重新选择谁可以看到数据后再次运行。";
    no_known_device: "No device of a verified account is connected.", "没有已认证账户的设备在线。";
    no_known_device_help: "The job waits for one, or choose “Open”.", "任务会等待；也可以选择“公开”。";
    no_known_device_now: "The job waits for one. Or cancel it, and run it again as “Open”.", "任务会等待；也可取消任务，以“公开”重新运行。";
    too_small: "Every connected device is too small.", "在线设备的内存都不够。";
    too_small_help: "Use fewer rows a tile or a smaller model, or wait for a larger device.", "请减少每块行数或使用更小的模型，或等待更大的设备。";
    too_small_now: "The job waits for a larger one. Or cancel it, and run it again with fewer rows a tile or a smaller model.", "任务会等待更大的设备；也可取消任务，减少每块行数或换用更小的模型后重新运行。";
    no_kernel_device: "No connected device runs customers' kernels.", "在线设备均不运行客户内核。";
    no_kernel_device_help: "The job waits for one that does: a native worker, or a tab with WebGPU.", "任务会等待：需要本地程序或支持 WebGPU 的标签页。";
    all_unfit: "The connected devices have said that they cannot compile or compute it.", "在线设备均表示无法编译或计算此任务。";
    all_unfit_help: "The job waits for another. A simpler kernel, or fewer rows a tile, may help.", "任务会等待其他设备。简化内核或减少每块行数可能有帮助。";
    all_unfit_now: "The job waits for another. Or cancel it, and run it again with a simpler kernel, or fewer rows a tile.", "任务会等待其他设备；也可取消任务，简化内核或减少每块行数后重新运行。";
    all_at_rest: "The devices that could do it take no work now.", "能够计算的设备目前不接收任务。";
    all_at_rest_help: "They rest, are paused, or are suspended. The job waits for them.", "它们正在休息、已暂停或被暂时停用。任务会等待它们恢复。";
    no_checker: "No checker is connected.", "没有复算设备在线。";
    no_checker_help: "Devices may compute it, but nothing is paid or handed out before an operator's checker has looked at it. Ask the operator, or wait.", "设备可以计算，但在运营方的复算设备检查之前不会付款也不会交付。请联系运营方或等待。";
    checker_too_small: "Every connected checker is too small.", "在线复算设备的内存都不够。";
    few_judges: "Nobody is connected who could check it.", "没有可以验证它的设备在线。";
    few_judges_help: "Devices of two other accounts with standing have to be connected. The job waits for them.", "需要两个其他账户的有信誉设备在线。任务会等待。";
    at_work: "Devices at work", "工作中的设备";
    of_held: " of held ", "，已冻结 ";
    waiting_for_devices: "No device is at work yet. Compute here too, or wait for others.", "尚无设备在工作。可让本机参与计算，或等待其他设备。";
    compute_here_title: "This device", "本机";
    compute_here_hint: "This browser computes along, for this job alone and within your limits of the lend page. What it computes is paid back to you, less the fee.", "本浏览器参与计算，仅限此任务，并遵守您在出借页设定的限制。其计算所得返还给您，扣除平台费。";
    compute_here: "Compute here too", "本机也参与计算";
    verified_here: "verified here", "已在本机验证";
    start_here: "Begin on this device at once", "立即在本机开始";
    start_here_hint: "This browser computes along while others join.", "其他设备加入期间，本浏览器参与计算。";
    download: "Download result", "下载结果";
    cancel: "Cancel job", "取消任务";
    publish: "Publish", "发布";
    unpublish: "Unpublish", "取消发布";
    published_at: "Published: anyone can read", "已发布，任何人可查看：";
    public_page: "its public page", "公开页面";
    reconnecting: "The connection was lost; trying again. The job goes on.", "连接中断，正在重试。任务仍在继续。";
    running: "Running", "运行中";
    done: "Done", "已完成";
    cancelled: "Cancelled", "已取消";
    nondeterministic: "Ended: devices disagree", "已结束：设备结果不一致";
    failed: "Failed", "失败";
    out_of_fuel: "The kernel ran out of fuel: the loop in line", "内核耗尽燃料，循环所在行：";
    too_many_turns: "The kernel's loop turned more than 65,000 times: line", "内核的循环超过 65,000 次，所在行：";
    too_many_turns_help: "No loop turns more often: put a longer one inside another, or see that it ends.", "单个循环最多执行 65,000 次：请将更长的循环拆成嵌套循环，或检查循环能否结束。";
    out_of_fuel_help: "Give the records more fuel, or less to do, and run it again.", "请增加每条记录的燃料或减少工作量后重新运行。";
    peak_memory: "Memory a device needs", "设备所需内存";
    checked_by_label: "Checked by", "验证方式";
    by_edge: "the server's processor", "服务器处理器";
    by_checker: "an operator's device", "运营方设备";
    by_quorum: "devices of other accounts", "其他账户的设备";
    by_owner: "nobody: your own devices compute it", "无需他人验证：由您自己的设备计算";
    search_jobs: "Name or id", "名称或 ID";
    progress: "Progress", "进度";
    privacy_short: "Privacy", "隐私";
    copy_link: "Copy link", "复制链接";
    no_jobs: "No jobs yet", "还没有任务";
    no_jobs_help: "A job is a model and an array. The first one takes a minute.", "任务由模型和数组组成。提交第一个只需一分钟。";
    no_jobs_match: "No job matches", "没有匹配的任务";
    show_all: "Show all jobs", "显示全部任务";
    throughput: "Throughput", "吞吐量";
    tiles_per_step: "Tiles settled over time", "随时间结算的分块";
    bar_is: "A bar is {time}.", "每根柱代表 {time}。";
    nothing_settled: "Nothing was settled.", "没有结算任何分块。";
    timeline: "Timeline", "时间线";
    log: "Log", "日志";
    log_more: "Earlier ones", "更早的记录";
    time_left: "Time left", "剩余时间";
    run_again: "Run again with changes", "修改后重新运行";
    job_cancelled: "The job is cancelled; the rest of its hold is free.", "任务已取消，剩余冻结金额已释放。";
    job_published: "The job is published.", "任务已发布。";
    job_unpublished: "The job is private again.", "任务已恢复为私有。";
    cancel_title: "Cancel this job?", "取消此任务？";
    cancel_explanation: "Tiles verified so far stay paid, and can be downloaded; the rest of the hold is free again.", "已验证的分块仍需付费，并可下载；其余冻结金额释放。";
    publish_title: "Publish this job?", "发布此任务？";
    publish_explanation: "Anyone can then read its name, figures, devices and receipts, download its model, and compute any of its tiles again with that tile's input and output. You can take it back; what was copied stays copied.", "任何人都可查看其名称、数据、设备和凭证，下载模型，并用任一分块的输入输出复算。可以撤回，但已被复制的内容无法收回。";
    unpublish_title: "Take this job off the explorer?", "取消发布此任务？";
    unpublish_explanation: "Its page, model and tiles are no longer readable by others. Its receipts stay, without naming the job.", "他人将无法再查看其页面、模型和分块。凭证会保留，但不再显示所属任务。";
    put_back: "What you had typed is here again. Files have to be chosen once more.", "您之前输入的内容已恢复，文件需要重新选择。";
    from_earlier_job: "From the earlier job", "来自先前任务";
    uploading: "uploading…", "上传中…";
    no_file: "No file chosen", "未选择文件";
    or_drop: "Choose it, or drop it here.", "点击选择，或拖放到此处。";
    empty_file: "the file is empty. Choose another.", "文件为空，请重新选择。";
    folder_dropped: "this is a folder. Drop the file itself.", "这是文件夹，请拖放文件本身。";
    nothing_dropped: "That was no file. Drop a file from your disk.", "这不是文件，请拖放磁盘上的文件。";
    quote_refused: "A field or a file has to be mended; see beside it what to do.", "有字段或文件需要修改，请查看其旁的说明。";
    takes_whole: "A whole number is needed here, at most 4,294,967,295.", "此处须为整数，最大 4,294,967,295。";
    takes_tolerance: "A number is needed here, zero or more, such as 1e-4.", "此处须为不小于零的数，如 1e-4。";
    takes_share: "A number from 0 to 1 is needed here.", "此处须为 0 至 1 的数。";
    takes_bits: "8, 16 or 32.", "8、16 或 32。";
    time_unknown: "unknown until the first tile", "首个分块完成前未知";
    takes_about: "Takes about", "预计耗时";
    quote_hint: "Held when you submit; only verified tiles are paid from it.", "提交时冻结，只从中支付已验证的分块。";
    publish_help: "The owner of a job publishes it from the job's page.", "任务所有者可在任务页面发布。";
    event_submitted: "Submitted; the cost is held", "已提交，费用已冻结";
    event_started: "First tiles verified", "首批分块通过验证";
    download_partial: "Download what was verified", "下载已验证的部分";
    disputes: "Tiles that devices disagree about", "设备结果不一致的分块";
    disputes_hint: "Others compute such a tile again before anyone is blamed. Both outputs from where they differ by more than they may:", "此类分块会由其他设备重新计算，之后才会追究责任。两份输出从差异超出容差之处的值：";
    signed_by: "Signed by", "签名设备";
    values_from: "from value", "起始值序号";
    recomputed_as: "Recomputed as", "重新计算的结果";
    no_output: "no output: it ran out of fuel", "无输出：燃料耗尽";
    dispute_open: "being computed again", "正在重新计算";
    dispute_device_wrong: "the device was wrong", "该设备有误";
    dispute_checker_wrong: "the checker was wrong", "验证方有误";
    dispute_not_reproducible: "not reproducible", "不可复现";
    event_disputed: "Two devices disagree about a tile: others compute it again", "两台设备对某个分块的结果不一致：由其他设备重新计算";
    event_check_failed: "A check failed: its tiles are done again", "验证失败：分块将重新计算";
    event_cannot_compile: "A device cannot compile the kernel, and gets no more of it", "有设备无法编译该内核，不再分配给它";
    cannot_compile: "Devices cannot compile the kernel.", "设备无法编译该内核。";
    cannot_compute: "No device can compute a tile of it.", "有一个分块没有设备能够计算。";
    cannot_compute_help: "Use fewer rows a tile, or look at the input.", "请减少每个分块的行数，或检查输入。";
    cannot_compile_help: "Write it more simply, and tell the operator.", "请简化内核，并告知运营方。";
    event_published: "Published", "已发布";
    event_unpublished: "Taken off the explorer", "已取消发布";
    event_done: "Done: every tile verified", "已完成：全部分块通过验证";
    event_cancelled: "Cancelled", "已取消";
    event_failed: "Failed: the kernel cannot finish", "失败：内核无法完成";
    event_deadline_passed: "Its deadline passed: the job ended by itself", "期限已到：任务自动结束";
    deadline_passed: "Its deadline passed before it was done.", "任务未能在期限内完成。";
    part_is_paid: "What was verified is paid, and can be downloaded; the rest of the hold is free again.", "已验证的部分已付款并可下载，其余冻结金额已释放。";
    nothing_is_paid: "Nothing was verified, so nothing is paid; all of the hold is free again.", "没有分块通过验证，因此未付款，冻结金额已全部释放。";
    event_nondeterministic: "Ended: devices disagree", "已结束：设备结果不一致";
} }

impl JobsText {
    pub fn job_state(&self, state: JobState) -> &'static str {
        match state {
            JobState::Running => self.running,
            JobState::Done => self.done,
            JobState::Cancelled => self.cancelled,
            JobState::Nondeterministic => self.nondeterministic,
            JobState::Failed => self.failed,
        }
    }

    /// A privacy class and what it means.
    pub fn privacy_class(&self, privacy: Privacy) -> (&'static str, &'static str) {
        match privacy {
            Privacy::Open => (self.open, self.open_hint),
            Privacy::Known => (self.known, self.known_hint),
            Privacy::Own => (self.own, self.own_hint),
        }
    }

    /// Why nobody does a job now, and what would change it.
    pub fn obstacle(&self, obstacle: Obstacle) -> (&'static str, &'static str) {
        match obstacle {
            Obstacle::NoDevice => (self.no_device, self.no_device_help),
            Obstacle::NoOwnDevice => (self.no_own_device, self.no_own_device_help),
            Obstacle::NoKnownDevice => (self.no_known_device, self.no_known_device_help),
            Obstacle::Memory { .. } => (self.too_small, self.too_small_help),
            Obstacle::NoKernelDevice => (self.no_kernel_device, self.no_kernel_device_help),
            Obstacle::AllUnfit => (self.all_unfit, self.all_unfit_help),
            Obstacle::AllAtRest => (self.all_at_rest, self.all_at_rest_help),
            Obstacle::NoChecker => (self.no_checker, self.no_checker_help),
            Obstacle::CheckerMemory { .. } => (self.checker_too_small, self.too_small_help),
            Obstacle::FewJudges => (self.few_judges, self.few_judges_help),
        }
    }

    /// The same of a job that is submitted, whose order nobody changes any more.
    pub fn obstacle_now(&self, obstacle: Obstacle) -> (&'static str, &'static str) {
        let (what, remedy) = self.obstacle(obstacle);
        let remedy = match obstacle {
            Obstacle::NoOwnDevice => self.no_own_device_now,
            Obstacle::NoKnownDevice => self.no_known_device_now,
            Obstacle::Memory { .. } | Obstacle::CheckerMemory { .. } => self.too_small_now,
            Obstacle::AllUnfit => self.all_unfit_now,
            _ => remedy,
        };
        (what, remedy)
    }

    /// Who recomputes a job's tiles.
    pub fn checked_by(&self, checked_by: CheckedBy) -> &'static str {
        match checked_by {
            CheckedBy::Edge => self.by_edge,
            CheckedBy::Checker => self.by_checker,
            CheckedBy::Quorum => self.by_quorum,
            CheckedBy::Owner => self.by_owner,
        }
    }

    /// What a dispute came to.
    pub fn dispute_state(&self, state: DisputeState) -> &'static str {
        match state {
            DisputeState::Open => self.dispute_open,
            DisputeState::DeviceWrong => self.dispute_device_wrong,
            DisputeState::CheckerWrong => self.dispute_checker_wrong,
            DisputeState::NotReproducible => self.dispute_not_reproducible,
        }
    }

    /// What happened to a job.
    pub fn job_event(&self, kind: JobEventKind) -> &'static str {
        match kind {
            JobEventKind::Submitted => self.event_submitted,
            JobEventKind::Started => self.event_started,
            JobEventKind::Disputed => self.event_disputed,
            JobEventKind::CheckFailed => self.event_check_failed,
            JobEventKind::CannotCompile => self.event_cannot_compile,
            JobEventKind::Published => self.event_published,
            JobEventKind::Unpublished => self.event_unpublished,
            JobEventKind::Done => self.event_done,
            JobEventKind::Cancelled => self.event_cancelled,
            JobEventKind::Nondeterministic => self.event_nondeterministic,
            JobEventKind::Failed => self.event_failed,
            JobEventKind::DeadlinePassed => self.event_deadline_passed,
        }
    }
}
