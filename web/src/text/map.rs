//! Words of the program `map`.

texts! { MapText {
    run_kernel: "A kernel of your own", "自己的内核";
    run_kernel_hint: "WGSL over the records of a file: one invocation a record.", "对文件各记录运行 WGSL：每条记录一次调用。";
    kernel: "Kernel (WGSL)", "内核（WGSL）";
    kernel_hint: "Entry point main. Binding 0 holds the input records, 1 the output records, 2 parameters. Loops have fuel, and indices stay in bounds.", "入口 main。绑定 0 为输入记录，1 为输出记录，2 为参数。循环有燃料限制，索引不会越界。";
    kernel_passed: "Checked. At most", "已检查。每条记录最多";
    ops_a_record: "operations a record", "次运算";
    loops_in_lines: "loops in lines", "循环所在行";
    go_there: "Show the place", "定位";
    record_bytes: "Bytes of a record", "每条记录字节数";
    out_bytes: "Bytes of a result", "每条结果字节数";
    fuel: "Fuel of a record", "每条记录燃料";
    fuel_hint: "Fuel: operations that a record's loops may take; you pay for those used. Left empty: what they need, where the text tells. A record that runs out ends the job with the loop's line.", "燃料：每条记录的循环可用的运算次数，按实际用量计费。留空则按循环所需自动确定。耗尽时任务结束并指出循环所在行。";
    tile_records: "Records of a tile", "每块记录数";
    by_server: "automatic", "自动";
    same_result: "When two results are the same", "何时两份结果相同";
    same_unknown: "Said as soon as the kernel has passed.", "内核检查通过后显示。";
    same_exact: "Your kernel computes with integers alone, so two results are the same in every bit. There is nothing to state.", "内核只用整数计算，两份结果须逐位相同，无需设定。";
    same_floats: "Your kernel computes with floats, whose last bits differ between devices: two are the same within |a − b| ≤ relative · |b| + absolute.", "内核使用浮点数，各设备的末位会有差异：当 |a − b| ≤ 相对容差 · |b| + 绝对容差时视为相同。";
    example: "Start from an example", "从示例开始";
    example_hint: "It takes the place of the kernel below, with records to try it with.", "将替换下方的内核，并附带可试用的记录。";
    load_example: "Load it with its sample", "载入示例及数据";
    example_mandelbrot: "A picture of the Mandelbrot set (integers)", "曼德博集合图像（整数）";
    example_options: "Option prices by Monte Carlo (floats)", "蒙特卡洛期权定价（浮点）";
    example_hashes: "A hash search with SHA-256 (integers)", "SHA-256 哈希搜索（整数）";
    typed_params: "Parameters, as numbers", "参数（数字）";
    typed_params_hint: "A number a word of four bytes: 2.0 and 1e-3 are float32, -3 is int32, 7 and 0x1f are uint32. Or choose a file.", "每个数字占四字节：2.0、1e-3 为 float32，-3 为 int32，7、0x1f 为 uint32。也可选择文件。";
    no_number: "This is no number", "不是数字";
    rtol: "Relative tolerance", "相对容差";
    atol: "Absolute tolerance", "绝对容差";
    units: "Integers differ by at most", "整数最大差值";
    fraction: "In a share of", "差异占比";
    bits: "Bits of an integer", "整数位数";
    units_hint: "Your kernel computes with floats and answers in integers. Devices round differently, so say how far apart two integers may be, and in what share of a tile (1: all of them). Where a word holds four bytes, an integer has 8 bits.", "内核以浮点计算、以整数作答。各设备舍入不同，请说明两个整数最多可差多少，以及一个分块中可有多大比例不同（1 为全部）。若一个字含四个字节，则整数为 8 位。";
    params: "Parameters, as a file", "参数（文件）";
    params_hint: "What binding 2 holds, byte for byte.", "绑定 2 的内容，逐字节。";
    records: "Records", "记录";
    records_hint: "The input records, one after another.", "输入记录，依次排列。";
} }
