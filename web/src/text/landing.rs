//! Words of the landing page.

texts! { LandingText {
    hero: "GPU compute from everyone, checked before it is paid", "人人都能提供的 GPU 算力，先验证，后付款";
    hero_lead: "Send a model and your data. GPUs in data centres, on desks and in browser tabs compute it tile by tile; each tile is checked, and you pay for what passes.", "提交模型与数据，由数据中心、桌面和浏览器标签页中的 GPU 逐块计算。每个分块都经验证，只为通过的部分付费。";
    lease_mosaic: "The latest verified leases, a tile each", "最近通过验证的租约，每格一份";
    no_leases_yet: "No lease was verified in the last day. Lend a GPU and the first tile is yours.", "过去一天没有通过验证的租约。出借 GPU，第一块由您完成。";
    how_title: "How it works", "运作方式";
    how_cut: "Cut", "切分";
    how_cut_text: "Your job is cut into tiles: pure functions of a model and some rows, so any of them can be done anywhere, and again.", "任务被切成分块：每块都是模型与若干行的纯函数，可在任何地方计算，也可重算。";
    how_lend: "Lent", "租出";
    how_lend_text: "Ranges of tiles are lent to devices that fit: strangers' tabs, verified machines, or your own alone, as you choose.", "按您的选择，分块租给合适的设备：陌生人的标签页、已认证的机器，或仅您自己的设备。";
    how_check: "Checked", "验证";
    how_check_text: "A device signs its result before anyone knows which tiles are drawn. Those are computed again; one that differs voids the rest.", "设备先签名，之后才抽取分块复算。若有不符，其余一并作废。";
    how_pay: "Paid", "付款";
    how_pay_text: "What passes is paid, once, in one transaction with its receipt. What is not computed is never paid.", "通过的部分与凭证在同一事务中一次付清。未计算的部分绝不收费。";
    promises: "What you can count on", "您可以信赖的";
    promise_verified: "You pay for verified tiles only; the rest of what was set aside comes back.", "只为已验证的分块付费，其余冻结金额全部退回。";
    promise_refund: "No first hour: a job costs what its tiles cost, and its sum alone is rounded up, to 0.000001 credits.", "不收起步费：费用按分块计算，仅任务总额向上取整到 0.000001 积分。";
    promise_guest: "A tab is a guest: it keeps to your limits, and rests when you look elsewhere.", "标签页只是客人：遵守您设定的限制，您离开时即停止计算。";
    promise_public: "Receipts are public and signed. Anyone can compute a published tile again.", "凭证公开且有签名，任何人都可复算已发布的分块。";
    see_network: "See the network", "查看网络";
    prices: "What a job costs here", "任务费用";
    a_million_rows: "A million rows of", "每一百万行";
    prices_hint: "Operations times the present price of a CU (10¹² of them). The quote of your own job is exact, and the most it can cost.", "按运算次数乘以当前的 CU（10¹² 次运算）价格计算。您的任务会得到精确的报价，它就是费用上限。";
} }
