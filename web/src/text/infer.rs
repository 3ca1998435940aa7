//! Words of the program `infer`.

texts! { InferText {
    run_model: "A model", "模型";
    run_model_hint: "ONNX over the rows of arrays.", "对数组各行运行 ONNX。";
    model: "Model", "模型";
    model_hint: "ONNX, operator set 7 to 28; or a .zip of it with its data files.", "ONNX，算子集 7 至 28；或含其数据文件的 .zip。";
    input: "Input", "输入";
    input_hint: "A .npy file whose first dimension counts rows. For several inputs, several files named after them, or one .npz.", ".npy 文件，第一维为行数。多输入时选择以输入命名的多个文件，或一个 .npz。";
} }
