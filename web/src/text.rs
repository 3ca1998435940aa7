//! Every word on the screen, in both languages. A text that one language lacks does not compile.

use leptos::prelude::*;
use wire::lend::{PauseReason, Phase};
use wire::{JobState, Privacy};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lang {
    #[default]
    En,
    Zh,
}

impl Lang {
    /// The tag of `<html lang>`.
    pub fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Zh => "zh-CN",
        }
    }

    /// From a tag, or the first understood entry of an `Accept-Language` list.
    pub fn parse(text: &str) -> Option<Self> {
        text.split(',').find_map(|entry| match entry.trim().get(..2) {
            Some("en") => Some(Self::En),
            Some("zh") => Some(Self::Zh),
            _ => None,
        })
    }

    pub fn text(self) -> &'static Text {
        match self {
            Self::En => &EN,
            Self::Zh => &ZH,
        }
    }
}

/// The page's words.
pub fn text() -> &'static Text {
    use_context::<Lang>().unwrap_or_default().text()
}

macro_rules! texts {
    ($($name:ident: $en:literal, $zh:literal;)*) => {
        pub struct Text { $(pub $name: &'static str,)* }
        static EN: Text = Text { $($name: $en,)* };
        static ZH: Text = Text { $($name: $zh,)* };
    };
}

texts! {
    skip: "Skip to content", "跳到正文";
    nav: "Main", "主导航";
    run_a_job: "Run a job", "运行任务";
    lend: "Lend your GPU", "出借 GPU";
    footer: "Tessera: open compute. Every tile is checked before it is paid.", "Tessera：开放算力。每个分块先验证，后付款。";
    other_language: "中文", "English";
    new_job: "New job", "新建任务";
    new_job_lead: "A model and an array in, an array out. You pay for verified tiles only.", "输入模型与数组，输出数组。只为通过验证的分块付费。";
    model: "Model", "模型";
    model_hint: "ONNX, operator set 13 or newer, float32, one input and one output.", "ONNX，算子集 13 或更新，float32，单输入单输出。";
    input: "Input", "输入";
    input_hint: "A .npy file of float32 rows; the first dimension counts them.", "float32 的 .npy 文件；第一维是行数。";
    name: "Name", "名称";
    name_hint: "Optional. Shown if you publish the job.", "可选。发布任务后公开显示。";
    privacy: "Who may see the data", "谁可以看到数据";
    open: "Open", "公开";
    open_hint: "Any device computes it, strangers' browser tabs among them: they can see your model and your input.", "任何设备都可计算，包括陌生人的浏览器标签页：他们能看到您的模型和输入。";
    known: "Known", "已认证";
    known_hint: "Devices of accounts that the operator has verified.", "仅限运营方已认证账户的设备。";
    own: "Own", "自有";
    own_hint: "Only devices of this account.", "仅限本账户的设备。";
    quote: "Quote", "报价";
    quote_wait: "Choose a model and an input: the quote comes at once.", "选择模型和输入后立即报价。";
    checking: "Uploading and checking…", "正在上传并检查…";
    rows: "Rows", "行数";
    tiles: "Tiles", "分块";
    work: "Work", "计算量";
    cost_at_most: "Costs at most", "最高费用";
    credits: "credits", "积分";
    output_shape: "Output row", "输出行形状";
    devices_now: "Devices that can run it now", "当前可用设备";
    no_devices_yet: "No device is connected yet; the job will wait for one.", "目前没有设备在线；任务会等待。";
    submit: "Submit", "提交";
    submitting: "Submitting…", "正在提交…";
    account: "Account", "账户";
    available: "Available", "可用";
    held: "Held", "冻结";
    pending: "Pending", "待结算";
    development: "Development server: its credits come from a faucet and are worth nothing.", "开发服务器：积分来自水龙头，没有任何价值。";
    no_account: "You need an account to run a job.", "运行任务需要账户。";
    open_account: "Open a development account", "开通开发账户";
    account_opened: "Account opened. This is its key, shown only now; the command line wants it:", "账户已开通。密钥只显示这一次，命令行需要它：";
    sign_in: "Sign in with a key", "使用密钥登录";
    sign_in_button: "Sign in", "登录";
    key_label: "Account key", "账户密钥";
    job: "Job", "任务";
    loading: "Loading…", "加载中…";
    mosaic: "Tiles of this job", "本任务的分块";
    verified: "Verified", "已验证";
    recomputed: "Recomputed by a checker", "经复算";
    at_work: "Devices at work", "工作中的设备";
    devices: "Devices", "设备";
    cost: "Cost", "费用";
    of_held: "of held", "／冻结";
    took: "Took", "耗时";
    waiting_for_devices: "No device is at work yet. Lend this computer's GPU, or wait for others.", "尚无设备在工作。可出借本机 GPU，或等待其他设备。";
    download: "Download result", "下载结果";
    cancel: "Cancel job", "取消任务";
    publish: "Publish", "发布";
    unpublish: "Unpublish", "取消发布";
    published_at: "Published: anyone can read", "已发布，任何人可查看：";
    public_page: "its public page", "公开页面";
    reconnecting: "The connection was lost; trying again. The job goes on.", "连接中断，正在重试。任务仍在继续。";
    started: "Started", "开始时间";
    running: "Running", "运行中";
    done: "Done", "已完成";
    cancelled: "Cancelled", "已取消";
    nondeterministic: "Ended: devices disagree", "已结束：设备结果不一致";
    not_found: "There is nothing here", "这里什么都没有";
    not_found_lead: "The address is wrong, or what it names is not published.", "地址有误，或内容尚未发布。";
    not_signed_in: "This page belongs to an account. Sign in to see it.", "此页面属于某个账户，请登录查看。";
    lend_lead: "Your GPU computes tiles of other people's jobs in this tab. You earn for every tile that passes its check.", "您的 GPU 在此标签页中计算他人任务的分块。每个通过验证的分块都有收益。";
    start: "Start lending", "开始出借";
    stop: "Stop", "停止";
    duty: "How much of the GPU", "GPU 占用上限";
    stay_hidden: "Go on while this tab is hidden", "标签页隐藏时继续";
    stay_hidden_hint: "Off: the tab gives its work back as soon as you look elsewhere.", "关闭时：切换到别处后立即归还工作。";
    battery: "Go on while on battery", "使用电池时继续";
    tiles_verified: "Tiles verified", "已验证分块";
    earned: "Earned", "已赚取";
    now_doing: "Now", "当前";
    in_hand: "tiles in hand", "个分块处理中";
    gpu: "GPU", "GPU";
    speed: "Speed", "速度";
    refused: "Leases refused", "被拒绝的租约";
    device: "Device", "设备";
    connecting: "Connecting", "连接中";
    waiting: "Waiting for work", "等待工作";
    computing: "Computing", "计算中";
    paused_hidden: "Paused: the tab is hidden", "已暂停：标签页被隐藏";
    paused_battery: "Paused: on battery", "已暂停：使用电池";
    stopped: "Stopped", "已停止";
    idle: "Not started", "未开始";
    no_webgpu: "This browser has no WebGPU", "此浏览器不支持 WebGPU";
    no_webgpu_help: "Lending needs WebGPU and a graphics adapter. Use a current Chrome or Edge (113 or newer), Safari 26, or Firefox 141 on Windows; switch on hardware acceleration in the browser's settings and update the graphics driver. Or run the native worker:", "出借需要 WebGPU 和图形适配器。请使用新版 Chrome 或 Edge（113 以上）、Safari 26 或 Windows 上的 Firefox 141；在浏览器设置中开启硬件加速并更新显卡驱动。也可以运行本地程序：";
    stopped_because: "Lending stopped:", "出借已停止：";
    guest_note: "No account is needed: this browser keeps a device key, and the earnings belong to it. Clearing the site's data loses it.", "无需账户：浏览器保存设备密钥，收益归该密钥所有。清除网站数据会丢失它。";
    tab_sees: "What runs here", "这里运行什么";
    tab_sees_text: "Only numeric kernels in WebGPU's sandbox: never the customer's code, never your files, camera or location. Work goes out in pieces of at most about 50 milliseconds.", "只在 WebGPU 沙箱中运行数值计算：绝不运行客户代码，绝不访问您的文件、摄像头或位置。每次提交的工作不超过约 50 毫秒。";
    explorer: "Explorer", "浏览器";
    share_devices: "Who computed it", "计算者";
    backend: "Backend", "后端";
    receipts: "Receipts", "凭证";
    price: "Price of a CU", "每 CU 价格";
    model_hash: "Model (BLAKE3)", "模型（BLAKE3）";
    public_description: "Every tile was computed on lent GPUs and checked before it was paid.", "每个分块都由出借的 GPU 计算，先验证后付款。";
    tiles_verified_of: "tiles verified", "个分块已验证";
    server_failed: "The server could not be reached. Nothing you entered is lost; try again.", "无法连接服务器。您输入的内容不会丢失，请重试。";
}

impl Text {
    pub fn job_state(&self, state: JobState) -> &'static str {
        match state {
            JobState::Running => self.running,
            JobState::Done => self.done,
            JobState::Cancelled => self.cancelled,
            JobState::Nondeterministic => self.nondeterministic,
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

    pub fn phase(&self, phase: Phase) -> &'static str {
        match phase {
            Phase::Connecting => self.connecting,
            Phase::Waiting => self.waiting,
            Phase::Computing => self.computing,
            Phase::Paused(PauseReason::Hidden) => self.paused_hidden,
            Phase::Paused(PauseReason::Battery) => self.paused_battery,
            Phase::Stopped => self.stopped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_language_that_is_understood_is_taken() {
        assert_eq!(Lang::parse("de-CH,zh-TW;q=0.9,en;q=0.8"), Some(Lang::Zh));
        assert_eq!(Lang::parse("en-GB"), Some(Lang::En));
        assert_eq!(Lang::parse("fr, 文"), None);
    }
}
