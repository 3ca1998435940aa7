//! Words of the program `infer`.

texts! { InferText {
    run_model: "A model", "模型";
    run_model_hint: "ONNX over the rows of arrays.", "对数组各行运行 ONNX。";
    try_sample: "Try with the sample", "使用示例";
    try_sample_hint: "A small model that reads handwritten digits, and 1,797 of them.", "识别手写数字的小模型和 1,797 个样本。";
    model: "Model", "模型";
    model_hint: "ONNX, operator set 7 to 28; or a .zip of it with its data files.", "ONNX，算子集 7 至 28；或含其数据文件的 .zip。";
    input: "Input", "输入";
    input_hint: "The rows: .npy or .npz, CSV, Parquet, a picture or a .zip of pictures. For several inputs, a .npy each, named after it, or one .npz.", "数据行：.npy 或 .npz、CSV、Parquet、一张图片，或图片的 .zip。多输入时选择以输入命名的多个 .npy，或一个 .npz。";
    zip_pictures: "Several pictures are sent as one .zip.", "多张图片请打包为一个 .zip。";
    reading_file: "Reading the file …", "正在读取文件……";
    rows: "rows", "行";
    no_number: "This is no number", "这不是数字";
    cast: "Convert number types", "转换数值类型";
    cast_hint: "Where the model reads another type, such as float32 for float64; a value that does not fit is refused.", "当模型读取的类型不同时转换，例如 float64 转为 float32；放不下的值会被拒绝。";
    add_batch: "It is one row", "这是一行数据";
    add_batch_hint: "Puts the axis that counts rows in front of an array that lacks it.", "为缺少行维度的数组在最前面补上该维度。";
    table: "How the table is read", "表格的读取方式";
    table_hint: "All columns feed the model in their order, unless some are left out or named. Columns go by name, by number from one, or by range.", "默认按顺序使用所有列，也可排除或指定部分列。列可写列名、从一开始的序号，或范围。";
    leave_out: "Columns left out", "排除的列";
    columns: "Columns used", "使用的列";
    header: "First line", "首行";
    header_yes: "Names", "列名";
    header_no: "Values", "数据";
    by_itself: "Found out", "自动判断";
    missing: "For missing values", "缺失值替换为";
    pictures: "How pictures are read", "图片的读取方式";
    pictures_hint: "Rows are in the order of the files' names. A value of 0 to 255 is divided, less the mean, divided by the deviation; with one number, or one a channel.", "各行按文件名排序。像素值 0 至 255 先除以除数，减去均值，再除以标准差；可写一个数，或每个通道一个数。";
    size: "Width × height", "宽 × 高";
    resize: "To that size", "缩放方式";
    stretch: "Stretched", "拉伸";
    crop: "Covered, the middle cut out", "铺满后居中裁剪";
    pad: "Fitted in, the rest filled", "完整放入后填充";
    shorter_side: "Shorter side before cutting", "裁剪前的短边";
    filter: "Filter", "滤波器";
    channels: "Channels", "通道";
    layout: "Order of axes", "维度顺序";
    as_model: "As the model reads", "与模型一致";
    divide_by: "Divided by", "除数";
    mean: "Mean", "均值";
    std: "Deviation", "标准差";
} }
