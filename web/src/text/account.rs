//! Words of signing in, and of what an account has.

texts! { AccountText {
    available: "Available", "可用";
    held: "Held", "冻结";
    development: "Development server: its credits come from a faucet and are worth nothing.", "开发服务器：积分来自水龙头，没有任何价值。";
    open_account: "Open a development account", "开通开发账户";
    account_opened: "Account opened. This is its key, shown only now; the command line wants it:", "账户已开通。密钥只显示这一次，命令行需要它：";
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
    unlink_explanation: "It is disconnected at once, earns for you no more and gets none of your private jobs. What it has earned stays yours. A new device code links it again.", "设备将立即断开，不再为您赚取，也不再收到您的私有任务。已赚取的仍归您。使用新的设备码可再次关联。";
    devices_i_lend: "Devices I lend", "我出借的设备";
    no_devices_lent: "No device is linked to this account", "尚无设备关联到此账户";
    no_devices_lent_help: "Open the lend page while signed in, or give the native worker a device code.", "登录后打开出借页面，或为本地程序提供设备码。";
    movements: "Movements, summed over ten seconds each", "资金变动（每十秒汇总）";
    when: "When", "时间";
    what: "What", "类型";
    purse: "Purse", "钱包";
    settings: "Settings", "设置";
    language: "Language", "语言";
    theme_system: "As the system", "跟随系统";
    theme_light: "Light", "浅色";
    theme_dark: "Dark", "深色";
    entry_faucet: "Faucet", "水龙头";
    entry_settle: "Settled", "结算";
    entry_mature: "Matured", "到期";
    entry_void: "Taken back", "收回";
    entry_unknown: "not known yet", "暂无数据";
    entry_claim: "Claimed from a guest", "从访客账户领取";
    entry_judge: "For checking others' tiles", "复核他人分块";
} }

impl AccountText {
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
