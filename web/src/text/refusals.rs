//! What a refusal says in Chinese, and nothing in English: what exactly is refused, else what it is called.

use wire::{ErrorBody, ErrorCode};

use super::reasons;

pub(super) fn chinese(body: &ErrorBody) -> String {
    let said = body.detail.as_deref().and_then(reasons::message).unwrap_or_else(|| of_code(body.code).to_owned());
    match body.place {
        Some(place) => format!("第 {} 行第 {} 列：{said}", place.line, place.column),
        None => said,
    }
}

fn of_code(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::Unauthorized => "请登录",
        ErrorCode::ForeignOrigin => "请求来自其他网站的页面",
        ErrorCode::NotInDevelopment => "服务器不在开发模式，请向运营方申请账户",
        ErrorCode::NotFound => "不存在",
        ErrorCode::MethodNotAllowed => "此地址不接受该请求方法",
        ErrorCode::MalformedRequest => "请求格式有误",
        ErrorCode::TooLarge => "超出大小限制",
        ErrorCode::RateLimited => "请求过于频繁，请稍后再试",
        ErrorCode::Overloaded => "服务器繁忙，请稍后再试",
        ErrorCode::Draining => "服务器正在更替，请重新连接",
        ErrorCode::StorageFull => "存储空间已满",
        ErrorCode::UnknownBlob => "文件不存在，请重新上传",
        ErrorCode::InvalidModel => "不是可用的 ONNX 模型",
        ErrorCode::InvalidKernel => "内核有误或超出约定",
        ErrorCode::InvalidParams => "参数大小与内核不符",
        ErrorCode::UnsupportedOperator => "模型含有不支持的算子",
        ErrorCode::InvalidInput => "输入不是可读取的数组",
        ErrorCode::InputMismatch => "输入的行与模型不符",
        ErrorCode::NoRows => "输入没有行",
        ErrorCode::RowTooHeavy => "单行计算量过大，无法复算验证",
        ErrorCode::InvalidTileRows => "每块行数无效",
        ErrorCode::NoDeviceFits => "在线设备都装不下此模型",
        ErrorCode::InsufficientFunds => "余额不足",
        ErrorCode::OverLimit => "费用超过设定上限",
        ErrorCode::IdempotencyConflict => "幂等键已用于其他任务",
        ErrorCode::TooManyKeys => "密钥过多，请先吊销一个",
        ErrorCode::LastKey => "这是最后一个密钥，请先创建新的",
        ErrorCode::JobEnded => "任务已结束",
        ErrorCode::JobNotDone => "任务尚未完成",
        ErrorCode::ResultDamaged => "部分结果已在服务器上丢失，可下载其余部分",
        ErrorCode::RangeNotSatisfiable => "请求的范围超出了文件末尾",
        ErrorCode::UnknownLease => "租约不存在或已结束",
        ErrorCode::UnknownCode => "设备码无效、已使用或已过期，请重新生成",
        ErrorCode::MalformedFrame => "消息格式有误",
        ErrorCode::ProtocolVersion => "协议版本不符，请更新",
        ErrorCode::InvalidSignature => "签名无效",
        ErrorCode::ReplayedFrame => "消息重复，或同一设备已在别处连接",
        ErrorCode::OutputMissing => "输出尚未上传",
        ErrorCode::OutputTaken => "该租约已有另一份输出",
        ErrorCode::OutputSize => "输出大小不符",
        ErrorCode::CheckFailed => "验证失败",
        ErrorCode::Internal => "服务器出错，请重试",
    }
}
