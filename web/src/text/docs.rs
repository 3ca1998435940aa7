//! Words of the documentation's frame. The server alone renders it, so no bundle carries them.

texts! { DocsText {
    docs: "Documentation", "文档";
    docs_short: "Docs", "文档";
    api: "API", "API";
    reference: "API reference", "API 参考";
    reference_lead: "Every operation of Tessera's HTTP API: what it takes, answers and refuses, with an example.", "Tessera HTTP API 的全部操作：参数、回答、拒绝和示例。";
    pages: "All pages", "全部页面";
    search: "Search headings", "搜索标题";
    search_title: "Search the documentation", "搜索文档";
    nothing_found: "No heading says", "没有标题包含";
    in_english: "This page is written in English.", "本页仅有英文。";
    key_hint: "Operations marked with a key want an account's key:", "标有密钥的操作需要账户密钥：";
    wants_key: "key", "密钥";
    all_operations: "All operations", "全部操作";
    parameters: "Parameters", "参数";
    request_body: "Request body", "请求正文";
    answers: "Answers", "回答";
    refusals: "Refusals", "拒绝";
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
    operation: "Operation", "操作";
    method: "Method", "方法";
} }
