//! Operators that are left out, and why: the words of a refusal.

/// Operators that are left out, and why.
pub const NOT_SUPPORTED: &[(&str, &str)] = &[
    ("Bernoulli", RANDOM),
    ("CausalConvWithState", NEW),
    ("Compress", VALUES),
    ("DeformConv", RARE),
    ("Det", RARE),
    ("ImageDecoder", "it reads files"),
    ("LinearAttention", NEW),
    ("MaxUnpool", RARE),
    ("NegativeLogLikelihoodLoss", TRAINING),
    ("NonMaxSuppression", VALUES),
    ("NonZero", VALUES),
    ("OptionalGetElement", SEQUENCE),
    ("OptionalHasElement", SEQUENCE),
    ("RandomNormal", RANDOM),
    ("RandomNormalLike", RANDOM),
    ("RandomUniform", RANDOM),
    ("RandomUniformLike", RANDOM),
    ("RegexFullMatch", TEXT),
    ("RoiAlign", "detectors choose what it reads by NonMaxSuppression"),
    ("SequenceMap", SEQUENCE),
    ("SoftmaxCrossEntropyLoss", TRAINING),
    ("StringConcat", TEXT),
    ("StringNormalizer", TEXT),
    ("StringSplit", TEXT),
    ("SwiGLU", NEW),
    ("TensorScatter", NEW),
    ("TfIdfVectorizer", TEXT),
    ("Unique", VALUES),
    ("ai.onnx.preview.FlexAttention", NEW),
    ("com.microsoft.DynamicQuantizeLSTM", "leave LSTM out of the operators that are quantized"),
];

const NEW: &str = "no exporter writes it yet";

const RARE: &str = "none of the common families uses it";

const VALUES: &str = "the shape of its output depends on values, and memory is planned before the run";

const SEQUENCE: &str = "tensors are all that is kept on a device";

const TEXT: &str = "strings have no place on a device";

const RANDOM: &str = "a tile must give the same answer wherever it is computed";

const TRAINING: &str = "models are run here, not trained";

/// The end of a refusal's sentence: the reason where there is one, or what there is instead.
pub(crate) fn unsupported_reason(operator: &str, known: impl Iterator<Item = &'static str>) -> String {
    match NOT_SUPPORTED.iter().find(|(name, _)| *name == operator) {
        Some((_, reason)) if !reason.is_empty() => format!(": {reason}"),
        _ => format!("; it has {}", known.collect::<Vec<_>>().join(", ")),
    }
}
