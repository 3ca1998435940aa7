//! Words of the documentation's frame. The server alone renders it, so no bundle carries them.

texts! { DocsText {
    docs: "Documentation", "文档";
    docs_short: "Docs", "文档";
    api: "API", "API";
    reference: "API reference", "API 参考";
    reference_lead: "Every operation of Tessera's HTTP API: what it takes, answers and refuses, with an example.", "Tessera HTTP API 的全部接口：参数、响应、错误和示例。";
    downloads: "Downloads", "下载";
    downloads_lead: "The command runs jobs from a terminal and from scripts; the worker lends a machine's GPU. Each is one file that needs nothing else.", "命令行工具用于在终端和脚本中运行任务；出借程序用于出借本机的 GPU。二者都是单个文件，无需安装其他组件。";
    no_downloads: "This server has no programs to download. They can be built from the source, as below.", "此服务器没有提供可下载的程序，可按下文从源代码构建。";
    the_command: "The command", "命令行工具";
    the_worker: "The worker", "出借程序";
    program: "Program", "程序";
    system: "System", "系统";
    size: "Size", "大小";
    install_command: "Install the command", "安装命令行工具";
    install_command_lead: "Downloads it, compares its checksum, and puts it where a shell finds it:", "下载、核对校验和，并放到终端能找到的位置：";
    install_worker: "Install and start the worker", "安装并启动出借程序";
    install_worker_lead: "The script fetches the worker for this machine from here, compares its checksum, and starts it:", "脚本会从本站下载适合本机的出借程序，核对校验和后启动：";
    other_systems: "Other systems", "其他系统";
    other_systems_lead: "Only the systems in the table were built here. Anywhere else that Rust runs, the source builds both:", "本站只提供表中列出的系统版本。其他支持 Rust 的系统可从源代码构建：";
    pages: "All pages", "全部页面";
    search: "Search headings", "搜索标题";
    search_title: "Search the documentation", "搜索文档";
    nothing_found: "No heading says", "没有标题包含";
    in_english: "This page is written in English.", "本页仅有英文。";
    key_hint: "Operations marked with a key want an account's key:", "标有“密钥”的接口需要账户密钥：";
    wants_key: "key", "密钥";
    all_operations: "All operations", "全部接口";
    parameters: "Parameters", "参数";
    request_body: "Request body", "请求正文";
    answers: "Answers", "响应";
    refusals: "Refusals", "错误响应";
    example: "Example", "示例";
    required: "required", "必填";
    array_of: "array of", "数组：";
    map_of: "by name:", "按名称：";
    one_of: "One of:", "其中之一：";
    schemas: "Schemas", "数据结构";
    fields: "Fields", "字段";
    kind: "Type", "类型";
    place: "In", "位置";
    meaning: "Meaning", "含义";
    code: "Code", "代码";
    status: "Status", "状态码";
    operation: "Operation", "接口";
    method: "Method", "方法";
} }
