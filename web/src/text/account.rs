//! Words of signing in, and of what an account has.

texts! { AccountText {
    available: "Available", "可用";
    held: "Held", "冻结";
    development: "Development server: its credits come from a faucet and are worth nothing.", "这是开发服务器：积分为免费发放的测试积分，没有任何价值。";
    open_account: "Open a development account", "开通开发账户";
    first_key_title: "Keep your account's key", "请保存账户密钥";
    first_key_explanation: "It signs you in here, in the command and in the API, and it is shown this once. Nobody can give it to you again: without it the account and its credits are lost.", "密钥用于网页、命令行和 API 登录，只显示这一次，之后任何人都无法再次提供；丢失密钥即失去账户及其积分。";
    first_key_kept: "I have kept the key where I will find it", "我已将密钥保存在可靠的位置";
    first_key: "First key", "首个密钥";
    new_account: "New account", "新账户";
    key_made: "This is the new key", "新密钥";
    key_made_once: "It is shown this once.", "只显示这一次。";
    key_hide: "I have kept it", "我已保存";
    no_account_has_key: "No account has this key. See that all of it was pasted: it begins with tsk_.", "没有账户使用此密钥。请确认已完整粘贴：密钥以 tsk_ 开头。";
    no_key_typed: "Paste your account's key first: it begins with tsk_.", "请先粘贴账户密钥：以 tsk_ 开头。";
    key_label: "Account key", "账户密钥";
    not_signed_in: "This page belongs to an account. Open one, or sign in with a key.", "此页面属于某个账户。请开通账户或用密钥登录。";
    sign_in_title: "Sign in", "登录";
    sign_out: "Sign out", "退出登录";
    go_on: "Go on", "继续";
    session_ended: "Your session has ended. Sign in below; nothing you entered is lost.", "会话已结束。请在下方登录；您输入的内容不会丢失。";
    key: "Key", "密钥";
    keys: "Keys", "密钥";
    keys_hint: "A key signs in here, in the command line and in the API. It is shown once, when it is made.", "密钥用于网页、命令行和 API 登录，仅在创建时显示一次。";
    made: "Made", "创建时间";
    revoke: "Revoke", "吊销";
    revoke_title: "Revoke this key?", "吊销此密钥？";
    revoke_explanation: "Whatever uses it can no longer sign in. Sessions that were opened with it end at once, and devices that lend by it are disconnected.", "使用它的程序将无法再登录。用它打开的会话立即结束，用它出借的设备将断开。";
    key_revoked: "The key is revoked.", "密钥已吊销。";
    new_key_name: "Name of a new key", "新密钥名称";
    make_key: "Make a key", "创建密钥";
    credits_title: "Credits", "积分";
    unlink: "Unlink", "解除关联";
    unlink_title: "Unlink this device?", "解除此设备的关联？";
    unlink_explanation: "It is disconnected at once, earns for you no more and gets none of your private jobs. What it has earned stays yours. A new device code links it again.", "设备将立即断开，不再为您赚取收益，也不再接收您的私有任务。已赚取的收益仍归您所有。使用新的设备码可再次关联。";
    devices_i_lend: "Devices I lend", "我出借的设备";
    no_devices_lent: "No device is linked to this account", "尚无设备关联到此账户";
    no_devices_lent_help: "Open the lend page while signed in, or give the native worker a device code.", "登录后打开出借页面，或为本地程序提供设备码。";
    movements: "What each job moved", "各任务的资金变动";
    last_moved: "Last moved", "最近变动";
    other_movements: "Other movements", "其他变动";
    no_movements: "No job has moved any money yet.", "还没有任务产生资金变动。";
    private_job: "Somebody else's private job, of which a device of yours computed a part.", "他人的私有任务，您的设备参与了计算。";
    when: "When", "时间";
    what: "What", "类型";
    purse: "Purse", "余额类型";
    settings: "Settings", "设置";
    language: "Language", "语言";
    theme_system: "As the system", "跟随系统";
    theme_light: "Light", "浅色";
    theme_dark: "Dark", "深色";
    entry_faucet: "Faucet", "测试积分";
    entry_settle: "Settled", "结算";
    entry_mature: "Matured", "转为可用";
    entry_void: "Taken back", "撤销";
    entry_unknown: "not known yet", "暂无数据";
    entry_claim: "Claimed from a guest", "由访客账户转入";
    entry_judge: "For checking others' tiles", "复算他人分块的报酬";
} }

impl AccountText {
    /// A key's or an account's name; where nobody gave one, the server's word for it in the reader's language.
    pub fn given_name(&self, name: String) -> String {
        match name.as_str() {
            "First key" => self.first_key.to_owned(),
            "New account" => self.new_account.to_owned(),
            _ => name,
        }
    }

    /// A movement of money, by the word that the ledger has for it.
    pub fn ledger_kind(&self, kind: &str) -> &'static str {
        match kind {
            "faucet" => self.entry_faucet,
            "settle" => self.entry_settle,
            "mature" => self.entry_mature,
            "void" => self.entry_void,
            "claim" => self.entry_claim,
            "judge" => self.entry_judge,
            _ => self.entry_unknown,
        }
    }
}
