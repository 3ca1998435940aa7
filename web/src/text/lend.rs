//! Words of lending a device, and of what that would earn.

use wire::lend::{PauseReason, Phase};

texts! { LendText {
    lend_lead: "Your GPU computes tiles of other people's jobs in this tab. You earn for every tile that passes its check.", "您的 GPU 在此标签页中计算他人任务的分块。每个通过验证的分块都有收益。";
    start: "Start lending", "开始出借";
    stop: "Stop", "停止";
    compute_with: "Compute with", "计算方式";
    with_gpu: "the GPU (WebGPU)", "GPU（WebGPU）";
    with_cpu: "the processor (slower; models alone)", "处理器（较慢，仅限模型）";
    with_software: "a software GPU (slowest; kernels too)", "软件模拟 GPU（最慢，可运行内核）";
    duty: "How much of the device", "设备占用上限";
    stay_hidden: "Go on while this tab is hidden", "标签页隐藏时继续";
    stay_hidden_hint: "Off: the tab gives its work back as soon as you look elsewhere.", "关闭时：切换到别处后立即归还工作。";
    battery: "Go on while on battery", "使用电池时继续";
    now_doing: "Now", "当前";
    in_hand: "in hand: ", "正在处理：";
    refused: "Leases refused", "被拒绝的租约";
    connecting: "Connecting", "连接中";
    waiting: "Waiting for work", "等待工作";
    computing: "Computing", "计算中";
    paused_hidden: "Paused: the tab is hidden", "已暂停：标签页被隐藏";
    paused_battery: "Paused: on battery", "已暂停：使用电池";
    stopped: "Stopped", "已停止";
    idle: "Not started", "未开始";
    no_webgpu: "This browser has no GPU to lend", "此浏览器没有可出借的 GPU";
    only_software: "The only GPU here is emulated by the processor", "这里只有由处理器模拟的 GPU";
    lend_cpu: "Lend the processor instead", "改为出借处理器";
    lend_cpu_help: "The processor computes models with its own vector code: slower than a GPU, and paid by the same tiles. It runs no kernels.", "处理器使用自身的向量指令计算模型：比 GPU 慢，按同样的分块计酬，但不运行内核。";
    lend_software: "Use the software GPU all the same", "仍使用软件模拟 GPU";
    no_webgpu_help: "For a GPU, use a current Chrome or Edge (113 or newer), Safari 26, or Firefox 141 on Windows; switch on hardware acceleration in the browser's settings and update the graphics driver. Or run the native worker:", "如需出借 GPU，请使用新版 Chrome 或 Edge（113 以上）、Safari 26 或 Windows 上的 Firefox 141；在浏览器设置中开启硬件加速并更新显卡驱动。也可以运行本地程序：";
    stopped_because: "Lending stopped:", "出借已停止：";
    device_lost: "the GPU broke down three times in a row. Close other programs that use it or update the graphics driver, then start again.", "GPU 连续三次出现故障。请关闭其他占用 GPU 的程序或更新显卡驱动，然后重新开始。";
    storage_failed: "this browser keeps no device key for the page. Leave private mode, or allow the site to store data.", "浏览器无法为本页保存设备密钥。请退出无痕模式，或允许本站存储数据。";
    lends_elsewhere: "most likely this same device lends in another tab or window, and only one of them can. Go on there, or stop it there and start again here.", "很可能同一设备正在另一个标签页或窗口中出借，而同时只能有一个。请在那边继续，或在那边停止后再从这里开始。";
    sample_failed: "the work could not be fetched or computed.", "无法获取或完成该计算。";
    guest_note: "No account is needed: this browser keeps a device key, and the earnings belong to it. Sign in to have them on an account; clearing the site's data loses an unlinked key.", "无需账户：浏览器保存设备密钥，收益归该密钥所有。登录后收益归入账户；清除网站数据会丢失未关联的密钥。";
    tab_sees: "What runs here", "这里运行什么";
    calculator_lead: "Measures this device for ten seconds, and says what lending it would earn at the present price and the use of the last seven days.", "用十秒测量本机，并按当前价格和过去七天的使用率估算出借收益。";
    your_device: "Your device", "您的设备";
    measure: "Measure this device", "测量本机";
    measuring: "Measuring for ten seconds…", "正在测量（十秒）…";
    hours_a_day: "Hours a day", "每天小时数";
    duty_share: "Share of the device (%)", "设备占用（%）";
    amount_from_to: "This takes a number from 0 to", "请输入数字，范围为 0 至";
    watts: "Power while computing, beyond idle (W)", "计算时额外功率（W）";
    electricity: "Electricity (credits a kWh)", "电价（积分／kWh）";
    a_month: "In a month", "每月";
    would_earn: "Would earn", "预计收入";
    would_cost: "Electricity", "电费";
    would_keep: "Left over", "净收益";
    assumptions: "Assumptions", "假设";
    assume_price: "Price of a million CU:", "每百万 CU 价格：";
    assume_fee: "The platform keeps:", "平台费用：";
    assume_utilisation: "Of the time that devices took work, they worked, in the last seven days:", "过去七天，设备在接单时间中实际工作的比例：";
    unknown: "not known yet", "暂无数据";
    assume_cu: "A CU is 10¹² operations of verified work; your speed is that of 1024³ float32 matrix products, other programs run slower.", "一个 CU 是 10¹² 次已验证的运算；速度以 1024³ 的 float32 矩阵乘法测得，其他程序会更慢。";
    assume_month: "A month is thirty days. Nothing is paid for being online without work.", "一个月按三十天计。仅在线而无工作不付费。";
    no_worker: "This browser lets no Web Worker start. Leave private mode, or use another browser.", "此浏览器无法启动 Web Worker。请退出隐私模式或更换浏览器。";
    now_title: "This device", "本设备";
    rules_title: "Your rules", "您的规则";
    rules_kept: "Kept by this browser; they hold at once.", "保存在此浏览器中，立即生效。";
    busy: "Duty cycle", "占用率";
    stop_after: "Stop after", "多久后停止";
    never: "Never", "不停止";
    minutes: "minutes", "分钟";
    hour: "hour", "小时";
    hours: "hours", "小时";
    only_hours: "Only at these hours", "仅在以下时段";
    from: "From", "从";
    to: "To", "到";
    battery_hint: "Off: lending pauses when the charger is unplugged.", "关闭时：拔下电源即暂停。";
    earns_for_account: "This device earns for your account.", "此设备的收益归入您的账户。";
    frames_idle: "While lending, this line shows how smoothly the page is drawn.", "出借时，此处显示页面绘制的流畅度。";
    page_smoothness: "Page", "页面";
    frames_per_second: "frames/s", "帧/秒";
    slowest: "slowest", "最慢";
    device_log: "What ran on this device", "本设备运行记录";
    device_log_hint: "The public record: every receipt that this device has signed.", "公开记录：本设备签名的每张凭证。";
    device_page: "Its public page", "公开页面";
    nothing_ran: "Nothing has run here yet.", "尚未运行任何内容。";
    native_title: "Lend a whole machine", "出借整台机器";
    native_lead: "The native worker runs without a browser, on Vulkan, Metal or DirectX 12. One command installs and starts it:", "本地程序无需浏览器，支持 Vulkan、Metal 和 DirectX 12。一条命令即可安装并启动：";
    make_code: "Put a device code into the command", "在命令中加入设备码";
    code_hint: "The code links that machine to your account, once, within fifteen minutes.", "设备码在十五分钟内有效，可将该机器关联到您的账户一次。";
    code_needs_account: "Without an account it earns as a guest. To link it to yours:", "没有账户时以访客身份获得收益。要关联账户：";
    paused_schedule: "Paused: outside your hours", "已暂停：不在设定时段";
    what_would_i_earn: "What would I earn?", "我能赚多少？";
    tab_can: "What this tab does and sees", "标签页能做什么、看到什么";
    tab_can_compute: "It runs numeric kernels in WebGPU's sandbox, in pieces of at most about 50 milliseconds.", "在 WebGPU 沙箱中运行数值计算，每次不超过约 50 毫秒。";
    tab_can_data: "It fetches models and rows of open jobs, and uploads what it computed.", "下载公开任务的模型与数据行，并上传计算结果。";
    tab_can_name: "It tells the network your adapter's name and speed, which are public with what it earned.", "向网络报告适配器名称和速度，这些信息与收益一同公开。";
    tab_can_key: "It keeps a device key in this browser, with which it signs its results.", "在此浏览器中保存设备密钥，用于签名结果。";
    tab_cannot: "What it cannot do", "它不能做什么";
    tab_cannot_code: "Run JavaScript or native code of a customer's. A model is data for kernels of ours. A customer's own kernel is WGSL that the gate has read and rewritten: every loop has fuel, every index stays in bounds, and it reaches nothing but its records. “Models only” runs none of these.", "运行客户的 JavaScript 或本机代码。模型只是供我们的内核使用的数据；客户自己的内核是 WGSL，须先经内核审查器读取并改写：每个循环都有燃料限制，每个下标都不越界，只能访问它自己的记录。选择“仅运行模型”则一个客户内核也不运行。";
    models_only: "Models only", "仅运行模型";
    models_only_hint: "No customer's own kernel runs on this device; fewer jobs fit it. Set it before you start.", "本设备不运行客户自己的内核，可承接的任务会少一些。请在开始前设置。";
    cannot_compile: "A customer's kernel does not compile on this device. Its work went back at once, to other devices; you lose nothing.", "某客户的内核无法在本设备上编译。相关工作已立即交还给其他设备，您没有任何损失。";
    restarted: "The GPU broke down and was opened anew. Your figures are kept.", "GPU 出现故障，已重新打开。您的数据均已保留。";
    given_back: "A lease could not be computed, and went back to the network.", "一份租约未能完成计算，已交还网络。";
    trouble_details: "What was said", "详细信息";
    tab_cannot_files: "Read your files, other tabs, camera, microphone or place.", "读取您的文件、其他标签页、摄像头、麦克风或位置。";
    tab_cannot_hang: "Hold your GPU: stop, hide the tab or unplug, and it gives its work back.", "占住 GPU：停止、隐藏标签页或拔下电源，它就归还工作。";
    tab_cannot_hide: "Hide what it did: every receipt stands in the public record below your device's key.", "隐藏记录：每张凭证都公开记录在设备密钥名下。";
} }

impl LendText {
    pub fn phase(&self, phase: Phase) -> &'static str {
        match phase {
            Phase::Connecting => self.connecting,
            Phase::Waiting => self.waiting,
            Phase::Computing => self.computing,
            Phase::Paused(PauseReason::Hidden) => self.paused_hidden,
            Phase::Paused(PauseReason::Battery) => self.paused_battery,
            Phase::Paused(PauseReason::Schedule) => self.paused_schedule,
            Phase::Stopped => self.stopped,
        }
    }
}
