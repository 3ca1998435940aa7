//! What a refusal says in Chinese, with what it names: a message a reason, arguments in braces.

/// By reason, in the order of the alphabet.
const MESSAGES: &[(&str, &str)] = &[
    ("argument_changed", "“{name}”被两次传给会修改它的函数“{function}”，请先将它（或其中一部分）复制到变量中"),
    ("argument_count", "参数个数不符：应为 {expected} 个，实为 {found} 个"),
    ("argument_type", "传给“{function}”的第 {number} 个参数类型不符"),
    ("argument_used_twice", "“{name}”被传给同时按名称使用它的函数“{function}”，请先将它（或其中一部分）复制到变量中"),
    ("array_fault", "“{name}”不是可用的数组"),
    ("array_too_large", "“{name}”过大"),
    ("arrays_too_large", "生成的数组有 {bytes} 字节，此处最多保存 {most} 字节；请将各行分到多个任务中"),
    ("atomic", "“{name}”是原子变量。各记录相互独立，不能使用原子操作"),
    ("bad_delimiter", "分隔符须为一个 ASCII 字符，且不能是引号"),
    (
        "barrier_after_return",
        "屏障之前可能已有调用返回；屏障要写在 main 中工作组全体都会到达之处：循环和分支之外，或从一个常量数到另一个常量的循环之内",
    ),
    (
        "barrier_in_branch",
        "屏障所在的分支或循环，可能有调用到不了；屏障要写在 main 中工作组全体都会到达之处：循环和分支之外，或从一个常量数到另一个常量的循环之内",
    ),
    (
        "barrier_in_function",
        "屏障位于函数内；屏障要写在 main 中工作组全体都会到达之处：循环和分支之外，或从一个常量数到另一个常量的循环之内",
    ),
    (
        "barrier_in_loop",
        "无法得知屏障所在的循环会转多少圈；屏障要写在 main 中工作组全体都会到达之处：循环和分支之外，或从一个常量数到另一个常量的循环之内",
    ),
    ("barriers_too_often", "含屏障的循环每条记录需 {operations} 次运算；上限为 {most}"),
    ("binding_kind", "绑定 {binding} 的“{name}”须声明为 `{kind}`"),
    ("blocks_too_deep", "代码块嵌套超过 {most} 层（每个 else if 都更深一层，可改用 switch 或函数）"),
    ("bool_in_binding", "“{name}”含有 bool，不能用于绑定；请改用 u32，并与 0 比较"),
    ("builtin_not_readable", "内核不能读取内建变量“{name}”"),
    ("calls_too_deep", "函数调用超过 {most} 层"),
    ("cannot_assign", "赋值语句左侧不可赋值"),
    ("cannot_be_made_safe", "无法为该内核加上安全检查，请简化写法"),
    ("capability", "内核用到了此处不支持的 WebGPU 功能“{name}”"),
    ("cell_misfit", "“{column}”列的 {value} 超出 {wanted} 的范围（{place}）"),
    ("channel_numbers", "{what} 应为一个数，或每个通道一个数（共 {channels} 个）"),
    ("column_count", "模型的输入“{name}”每行需要 {wanted} 个值，而表格有 {found} 列：{columns}；请指定使用或排除的列"),
    ("column_twice", "表格有多列都叫“{column}”，请改用列的序号"),
    ("column_type", "“{column}”列不是数值，请排除该列"),
    ("columns_unnamed", "模型的输入为 {names}，与表格的列名不符：{columns}；请指明各输入使用的列"),
    ("comment_not_ended", "块注释没有结束"),
    ("compile_limit", "编译超出了此服务器的限制（{megabytes} MB 或 {seconds} 秒），请缩小或简化"),
    ("compiler_gave_up", "编译器无法处理该内核"),
    ("component_address", "不能取向量分量的地址"),
    ("compressed", "“{name}”是压缩的，请转换后再提交，或用 numpy.savez 保存"),
    ("conditions_too_deep", "条件嵌套 {depth} 层，超出该设备驱动（llvmpipe）的能力"),
    ("const_assert", "const_assert 的条件不成立"),
    ("convert_limit", "转换此文件超出了服务器的限制（{megabytes} MB 或 {seconds} 秒），请分成多个任务，或缩小图片"),
    ("cost_too_large", "金额过大"),
    ("d_type", "输入的类型为 {found}，不受支持；请转换后再提交，或用 array.astype('<f4') 转换后保存"),
    ("damaged_file", "文件无法读取，可能已损坏：{reason}"),
    ("damaged_picture", "“{file}”无法读取，可能已损坏：{reason}"),
    ("data_type", "“{tensor}”的类型为 {found}，设备不支持，请将模型转换为 float32"),
    ("deadline_out_of_range", "期限须为 1 秒至 1 年"),
    ("dimensions", "输入有 {found} 个维度，最多 8 个"),
    ("duplicate_name", "有两个张量都叫“{tensor}”，名称不能重复"),
    ("empty_array", "“{name}”的形状为 [{shape}]，不含任何值"),
    ("empty_file", "文件为空，请重新上传"),
    ("empty_row", "“{name}”的形状为 [{shape}]，每行不含任何值"),
    ("entry_point_name", "入口函数名为“{name}”，应为 @compute fn main"),
    ("entry_points", "共有 {found} 个入口函数，应只有一个：@compute fn main"),
    ("expected_found", "此处应为{expected}，实为 {found}"),
    ("extension", "`{name}` 需要并非所有设备都具备的功能，请去掉（16 位浮点请改用 f32）"),
    ("extension_not_enabled", "使用“{name}”前需要 enable，但内核不支持该扩展"),
    ("extension_not_supported", "不支持扩展“{name}”"),
    (
        "external_data",
        "“{tensor}”的数据在另一个文件中，请将模型及其数据文件打包为一个 .zip，或保存为单个文件（save_as_external_data=False）",
    ),
    ("external_file", "“{tensor}”的数据文件“{location}”不在上传内容中或长度不足，请将它与模型一起放入 .zip"),
    (
        "fixed_batch",
        "模型的批大小固定为 {batch}，不能改变；请以批大小 1 或可变批大小导出（dynamic_axes、dynamic_shapes）",
    ),
    ("fixed_length", "“{name}”必须是不定长数组：array<T>"),
    (
        "foreign_variable",
        "内核中不允许有变量“{name}”：只能使用第 0 组的绑定 0（var<storage, read>）、绑定 1（var<storage, read_write>）、绑定 2（var<uniform>），以及 private 和 workgroup 变量",
    ),
    ("fortran_order", "数组按列存储（Fortran 顺序），请转换后再提交，或保存 numpy.ascontiguousarray(array)"),
    (
        "fortran_too_large",
        "“{name}”按列存储（Fortran 顺序），有 {bytes} 字节，最多可转换 {most} 字节；请保存 numpy.ascontiguousarray(array)",
    ),
    ("fuel_below_barriers", "含屏障的循环每条记录需 {operations} 次运算，而燃料只有 {fuel}；请给足燃料，或不填"),
    ("header", "输入的文件头没有写明普通的数值类型（对象数组不行）；请用 array.astype('<f4') 转换后保存"),
    ("header_cut_short", "文件在 .npy 文件头内中断，请重新保存或上传"),
    ("header_too_long", "文件头声明有 {bytes} 字节，最多读取 {most} 字节"),
    ("inconsistent_types", "两侧的类型不一致"),
    ("index_outside", "下标 {index} 超出范围"),
    ("input_arity", "节点“{node}”（{operator}）有 {found} 个输入，需要 {expected} 个"),
    ("input_count", "模型有 {expected} 个输入，却给出了 {found} 个"),
    ("input_elements", "每条输入记录为 {bytes} 字节，不是元素大小（{stride} 字节）的整数倍"),
    ("input_shape", "模型的输入“{input}”形状为 {expected}，给出的是 {found}"),
    ("input_twice", "input 与 inputs 只能提供一个"),
    ("input_type", "模型的输入“{name}”为 {expected}，数组为 {found}；请用 array.astype('{expected}') 转换后保存"),
    ("insufficient_funds", "任务最多需要 {cost} 积分，账户余额不足；请充值或减少行数"),
    ("int_range", "“{tensor}”中有 {value}，int64 值在此须能用 32 位表示"),
    ("integer_too_wide", "“{name}”的第 {place} 个值为 {value}，int64 值在此须能用 32 位表示"),
    ("invalid_constant", "常量“{name}”无效"),
    ("invalid_entry_point", "入口函数“{name}”无效"),
    ("invalid_field", "没有字段“{name}”"),
    ("invalid_file_names", "文件名过多或过长，或含控制字符"),
    ("invalid_function", "函数“{name}”无效：类型或用法有误"),
    ("invalid_name", "名称最多 128 个字符，且不能含控制字符"),
    ("invalid_number", "数字的写法有误"),
    ("invalid_type", "类型“{name}”无效"),
    ("invalid_variable", "变量“{name}”无效"),
    ("kernel_not_text", "内核不是 UTF-8 文本"),
    ("kernel_params", "参数大小与内核的绑定 2 不符（内核：{expected} 字节，参数：{found} 字节）"),
    ("kernel_too_long", "内核有 {bytes} 字节，最多 {most} 字节"),
    ("layout_unknown", "模型没有写明通道所在的维度，请选择维度顺序 nchw 或 nhwc"),
    ("lease_too_long", "全部输入输出的名称和形状在每份租约中占 {bytes} 字节，最多 {most} 字节；请缩短名称或减少数量"),
    ("local_address_space", "局部变量不能位于地址空间“{name}”"),
    ("locals_too_large", "“{name}”的变量占 {bytes} 字节，最多 {most} 字节"),
    ("long_line", "第 {line} 行超过 {most} 字节，是否有引号没有闭合？"),
    ("members_elsewhere", "结构体成员的位置会发生变化，请去掉 @size 和 @align"),
    ("missing_attribute", "变量“{name}”缺少属性“{attribute}”"),
    ("missing_input", "缺少模型的输入“{name}”；全部输入：{names}"),
    ("missing_return", "函数“{name}”无论从哪条路径结束都必须返回值，请在末尾写上 return"),
    ("missing_tensor", "节点“{node}”读取的“{tensor}”没有来源：图中有环，或缺少张量"),
    ("missing_text", "“{text}”不是数字，不能替代缺失值"),
    ("missing_type", "无法确定类型，请写明类型或初始值"),
    ("missing_value", "“{column}”列缺少值（{place}）；请填写缺失值的替代数字，或修改表格"),
    ("mixes_rows", "节点“{node}”混合了一批中的各行，无法按行拆分；请始终以第一维为批"),
    ("model_without_input", "模型没有输入，无法运行"),
    ("model_without_output", "模型没有输出"),
    ("must_be_positive", "此值须大于零"),
    ("needs_batch", "“{name}”缺少批维度：请在最前面加一维"),
    ("needs_cast", "模型以 {wanted} 读取“{name}”，而数组为 {found}；请勾选“转换数值类型”（--cast）"),
    ("needs_integer_tolerance", "内核以浮点计算、以整数作答，末位误差可能改变结果：请说明整数最多可相差多少"),
    ("needs_tolerance", "内核使用浮点计算，各设备末位不同：请填写容差"),
    ("negative_index", "下标为负，超出范围"),
    ("negative_size", "形状 {shape} 中有负数，尺寸须为非负整数"),
    ("nested_too_deep", "花括号嵌套过深"),
    (
        "no_checker_fits",
        "需要 {device_bytes} 的缓冲区，在线的复算设备都不够大；每块 {tile_flops} 次运算，服务器自身无法复算。请减少每块行数，或减小每行所需",
    ),
    ("no_conversion", "不能将 {found} 自动转换为 {expected}"),
    ("no_device_fits", "需要 {device_bytes} 的缓冲区，在线设备最大只有 {largest}；请减少每块行数，或减小每行所需"),
    ("no_input", "请提供 input 或 inputs"),
    ("no_inputs", "模型没有输入，无从运行"),
    ("no_integers_to_tolerate", "输出中没有整数，请去掉整数容差"),
    (
        "no_list",
        "“{column}”列第 {row} 行没有列表，而其他行有 {wanted} 个值；请修改表格或排除该列（缺失值的替代数字只用于列表中的单个值）",
    ),
    (
        "no_list_yet",
        "“{column}”列保存列表，但前面的各行都没有列表，无法得知列表长度；请排除该列，或将有列表的行移到前面",
    ),
    ("no_number", "“{column}”列的“{text}”不是数字（{place}）；请排除该列或修改表格"),
    ("no_output", "缺少存放输出记录的 @group(0) @binding(1) var<storage, read_write>"),
    ("no_picture_input", "模型读取“{name}”的形状为 {shape}，不像图片；若是图片，请填写大小和维度顺序"),
    ("no_pictures", "压缩包中既没有数组（.npy）也没有图片；若不应如此，请重新保存或上传"),
    ("no_records", "输入中没有记录"),
    ("no_rows", "“{name}”没有行，请至少提供一行"),
    ("no_table_rows", "表格没有数据行，请至少提供一行"),
    (
        "no_value",
        "此处的值在编译内核时就要算出，却没有结果（如除以零、溢出、负数的平方根）；若确有此意，请改用 var 变量",
    ),
    ("no_workgroup_size", "计算入口函数缺少 @workgroup_size"),
    (
        "nobody_checks",
        "没有人能验证他人设备的计算结果：此服务器没有复算设备，在线的可信设备也不足两个账户。请在自己的设备上运行（隐私选“自有”），或联系运营方",
    ),
    ("node_not_constant", "节点“{node}”需要在运行前就确定“{tensor}”：须为常量，或只由形状算出"),
    ("not_a_pointer", "* 的操作对象必须是指针"),
    ("not_a_reference", "此处必须是引用"),
    ("not_array", "“{name}”不是 .npy 数组"),
    ("not_constant", "此处须为常量表达式"),
    ("not_constructible", "类型“{name}”不能构造"),
    ("not_independent", "各记录相互独立，此写法不能用于内核"),
    ("not_npy", "输入不是 .npy 文件，请用 numpy.save 保存"),
    ("not_npz", "输入不是 .npz 文件，请用 numpy.savez 保存"),
    ("not_numbers", "“{name}”的类型为 {found}，不是普通数值；请用 array.astype('<f4') 转换后保存"),
    ("not_onnx", "不是 ONNX 模型，请用 torch.onnx.export 等工具导出"),
    ("not_picture", "“{file}”不是可读取的图片（JPEG、PNG、WebP、GIF、BMP），请将它移出压缩包或转换格式"),
    ("not_text", "第 {line} 行不是 UTF-8 文本，请将表格另存为 CSV UTF-8"),
    ("not_writable", "此处不可写入，只能写入变量"),
    ("nothing_returned", "函数没有返回值"),
    ("nothing_to_tolerate", "内核只用整数计算，无需容差，请去掉"),
    ("number_out_of_range", "数值超出该类型的范围"),
    ("one_wanted", "输入“{input}”需要一个数组，而文件中有 {found} 个"),
    ("only_names", "表格没有数据行：唯一的一行被当作了列名；若它是数据，请将“首行”设为“数据”（--header no）"),
    ("only_single_values", "所有输入都是单个值；数组的第一维应为行数"),
    ("opset", "模型使用算子集 {found}，超出支持范围；请用 opset_version=17 导出"),
    ("other_resize", "{what} 仅用于缩放方式 {rule}"),
    ("output_elements", "每条输出记录为 {bytes} 字节，不是元素大小（{stride} 字节）的整数倍"),
    ("output_type", "输出“{output}”的类型 {dtype} 无法存入 .npy"),
    ("outside", "“{name}”超出文件末尾，文件不完整，请重新保存或上传"),
    ("over_limit", "任务最多需要 {cost} 积分，上限为 {limit}；请提高上限或减少行数"),
    ("overflow", "形状 [{shape}] 过大"),
    ("override", "“{name}”是 override 常量，请改用 const，或放入绑定 2 的参数"),
    ("packing", "“{name}”已加密，或压缩方式不是 deflate，请重新打包"),
    ("params_too_large", "参数占 {bytes} 字节，最多 {most} 字节"),
    ("part_too_large", "传入该部分的副本后，函数的变量占 {bytes} 字节，最多 {most} 字节；请传入整个变量，或更小的部分"),
    ("partial_record", "输入有 {bytes} 字节，不是每条记录 {record_bytes} 字节的整数倍：可能被截断或有多余内容"),
    ("picture_file", "“{file}”超过 {most} 字节"),
    ("picture_number", "{what} 的值 {value} 无效"),
    ("picture_shape", "{made} 与模型不符：模型读取“{name}”的形状为 {wanted}"),
    ("picture_too_large", "“{file}”有 {width}×{height} 像素，最多 {most} 像素"),
    ("pictures_for_which", "模型有多个输入：{names}；请指明图片用于哪一个"),
    ("pixel_value", "模型以 {dtype} 读取“{name}”，像素值不能为 {value}；请去掉除数、均值和标准差"),
    ("planner_gave_up", "无法为该模型制定计算方案"),
    ("pointer_space", "函数只能接收指向 function 和 private 变量的指针；其他变量请在函数中直接按名称使用"),
    ("port_type", "模型以 {dtype} 读取“{name}”，而数组不能以该类型发送"),
    (
        "private_part_passed",
        "私有变量“{name}”的一部分被传给“{function}”；请改传函数内的变量（ptr<function>），并在前后复制",
    ),
    ("private_too_large", "private 变量占 {bytes} 字节，最多 {most} 字节"),
    ("ragged_line", "第 {line} 行有 {found} 个值，而首行有 {columns} 个"),
    ("ragged_list", "“{column}”列第 {row} 行的列表有 {found} 个值，而首行有 {wanted} 个"),
    ("read_only", "“{name}”只能读取；请写入绑定 1，或自己声明的变量"),
    ("record_bytes", "每条记录 {found} 字节；须为 4 的倍数，4 至 {most} 字节"),
    ("record_size", "每条记录 {bytes} 字节；须为 4 的倍数，最多 {most} 字节"),
    (
        "records_too_heavy",
        "每块 {tile_rows} 条记录需要 {tile_ops} 次运算和 {tile_bytes} 字节，最多 {ops_max} 次和 {bytes_max} 字节；请减少每块记录数或减小记录",
    ),
    ("recursive", "“{name}”的声明引用了自身"),
    ("redefinition", "“{name}”重复定义"),
    ("repeated_attribute", "属性“{name}”重复"),
    ("reserved_word", "“{name}”是保留字，不能用作名称"),
    ("rows_differ", "“{name}”有 {found} 行，“{other}”有 {rows} 行；行数须一致"),
    ("shape", "节点“{node}”的形状不符：{found}"),
    ("shared_too_large", "各行共用的输入超过 {most} 字节，请把“{name}”存入模型"),
    ("size", "形状需要 {expected} 字节，文件有 {found} 字节：可能被截断或有多余内容"),
    ("size_unknown", "模型没有写明图片大小，请填写宽和高"),
    ("skipped_let", "“continue”跳过了“continuing”要读取的 let；请改用在“continue”之前声明的 var"),
    ("slow_array", "该设备的驱动（llvmpipe）编译 {words} 个字的数组需数分钟；最多 {most} 个字"),
    ("switch_selector", "switch 的选择值须为整数，且类型一致"),
    ("tensor_size", "“{tensor}”应有 {expected} 个值，实有 {found} 个，文件已损坏"),
    ("texture", "“{name}”涉及纹理或采样器，而内核只有记录和参数；请将要读取的数据放入记录"),
    ("tile_records", "该内核每块最多 {most} 条记录（65,535 个工作组）"),
    ("tile_rows", "该输入每块可有 {least} 至 {most} 行"),
    (
        "tile_too_heavy",
        "每块 {tile_rows} 行需要 {tile_flops} 次运算和 {tile_bytes} 字节，最多能验证 {flops_max} 次和 {bytes_max} 字节；请减少每块行数，或使用较小的模型",
    ),
    ("too_deep", "括号、类型或代码块嵌套过深，请将内层部分单独命名"),
    ("too_large", "节点“{node}”会产生 2³¹ 个值以上的张量，请减小形状"),
    ("too_long", "节点“{node}”需要调用内核 {steps} 次，超出上限；请缩短序列，或减少每块行数"),
    ("too_many", "文件中有 {found} 个数组，过多"),
    ("too_many_arguments", "传给“{function}”的参数过多"),
    ("too_many_in_file", "文件内容过多：{found}，最多 {most}"),
    ("too_many_inputs", "最多可提供 {most} 个输入"),
    ("too_many_rows", "{rows} 行过多"),
    ("too_many_straight_operations", "每条记录在循环外需要 {operations} 次运算，最多 {most} 次"),
    ("too_much_fuel", "每条记录最多 {most} 次运算，请减少每条记录的工作量"),
    ("too_much_written", "内核经安全改写后有 {expressions} 个表达式；上限为 {most}"),
    ("twice", "文件中有两个数组都叫“{name}”"),
    ("types_too_deep", "类型嵌套超过 {most} 层"),
    (
        "uniform_layout",
        "“{name}”的布局不能用于 uniform：其中数组的元素和内层结构体须占 16 字节的整数倍，例如 array<vec4f, n>",
    ),
    ("uniform_load", "workgroupUniformLoad 读取的元素在工作组内并不相同"),
    ("unknown_access", "未知的访问方式“{name}”"),
    ("unknown_address_space", "未知的地址空间“{name}”"),
    ("unknown_attribute", "未知的属性“{name}”"),
    ("unknown_blob", "账户中没有该文件，请重新上传"),
    ("unknown_builtin", "未知的内建变量“{name}”"),
    ("unknown_column", "表格没有“{column}”列；全部列：{columns}"),
    ("unknown_extension", "未知的扩展“{name}”"),
    ("unknown_file", "无法识别的文件。可读取 .npy、.npz、CSV、Parquet、图片（JPEG、PNG、WebP、GIF、BMP）或图片的 .zip"),
    ("unknown_identifier", "找不到名称“{name}”的定义"),
    ("unknown_input", "模型没有名为“{name}”的输入；全部输入：{names}"),
    ("unknown_type", "未知的类型“{name}”"),
    ("unnamed", "模型有多个输入：{names}；请指明文件用于哪一个，或发送包含全部输入的 .npz"),
    ("unnamed_array", "模型的输入有 {names}；请按名称分别提供，或提供一个 .npz"),
    ("unrolled", "节点“{node}”展开后的循环过长，请缩短序列"),
    ("unsupported_attribute", "节点“{node}”的属性 {attribute} 的用法不受支持"),
    ("unsupported_operator", "节点“{node}”使用了不支持的算子 {operator}"),
    ("unsupported_type", "节点“{node}”（{operator}）不支持 {dtype}，请先转换为 float32"),
    ("unused_result", "函数的返回值没有被使用"),
    ("value_misfit", "“{name}”第 {row} 行的值 {value} 超出 {wanted} 的范围"),
    (
        "vec3_elements",
        "每条记录有 {bytes} 字节，不是元素大小（{stride} 字节）的整数倍：数组中的每个 vec3 占 16 字节；请将每条记录设为 16 字节，或逐个读取其中的数",
    ),
    ("version", "文件是版本 {version} 的 .npy，只能读取版本 1、2、3"),
    ("wgsl", "WGSL 代码有误"),
    ("wide_number", "内核不支持类型“{name}”，数字均为 32 位：f32、i32、u32"),
    ("workgroup_shape", "工作组为 {x}×{y}×{z}；记录沿 x 排列：@workgroup_size(n)，n 为 1 至 {most}"),
    ("workgroup_too_large", "workgroup 变量占 {bytes} 字节，最多 {most} 字节"),
    ("wrong_type", "“{name}”的类型应为 {expected}，实为 {found}"),
];

/// What naga expects, where it says so in words: how these begin.
const TOKENS: &[(&str, &str)] = &[
    ("identifier", "标识符"),
    ("LHS expression", "可赋值的表达式"),
    ("expression", "表达式"),
    ("assignment", "赋值或自增、自减"),
    ("switch item", "switch 的分支或右花括号"),
    ("workgroup size separator", "逗号或右括号"),
    ("global item", "全局声明或文件结尾"),
    ("variable access", "变量"),
    ("function name", "函数名"),
    ("next argument", "下一个参数或列表结尾"),
    ("the `diagnostic`", "diagnostic 属性"),
    ("statement", "语句"),
    ("for loop initializer", "for 的初始语句"),
    ("for loop update", "for 的更新语句"),
    ("number", "数字"),
    ("operation", "运算符"),
    ("logical operation", "逻辑运算符"),
    ("bitshift", "移位运算符"),
    ("increment", "++"),
    ("decrement", "--"),
    ("template args", "尖括号"),
    ("end", "文件结尾"),
];

/// Arguments that somebody wrote: digits in these are no amount.
const WRITTEN: &[&str] = &[
    "column", "columns", "file", "function", "input", "line", "name", "node", "other", "output", "tensor", "text",
    "value",
];

/// An amount in groups of three digits, as the page's own are; all else as it is.
fn grouped(name: &str, value: &str) -> String {
    let is_amount = !WRITTEN.contains(&name) && value.bytes().all(|byte| byte.is_ascii_digit());
    match value.parse() {
        Ok(amount) if is_amount => crate::format::count(amount),
        _ => value.to_owned(),
    }
}

/// A reason's message with its arguments in their places. `None` for a reason that is not known here.
pub(super) fn message(detail: &wire::Detail) -> Option<String> {
    let found = MESSAGES.binary_search_by_key(&detail.reason.as_str(), |(reason, _)| reason).ok()?;
    let mut parts = MESSAGES[found].1.split('{');
    let mut message = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap_or((part, ""));
        let value = detail.arguments.get(name).map_or(crate::format::UNKNOWN, String::as_str);
        let token = TOKENS
            .iter()
            .find(|(english, _)| detail.reason == "expected_found" && name == "expected" && value.starts_with(english));
        let line = value.strip_prefix("line ").or_else(|| value.strip_prefix("row ")).filter(|_| name == "place");
        match line {
            Some(line) => message.extend(["第 ", line, " 行"]),
            None => match token {
                Some((_, chinese)) => message.push_str(chinese),
                None => message.push_str(&grouped(name, value)),
            },
        }
        message.push_str(rest);
    }
    Some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(reason: &str, arguments: &[(&str, &str)]) -> Option<String> {
        let arguments = arguments.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        message(&wire::Detail { reason: reason.to_owned(), arguments })
    }

    #[test]
    fn a_reason_says_what_it_names_in_its_place() {
        assert_eq!(said("unknown_identifier", &[("name", "foo")]).unwrap(), "找不到名称“foo”的定义");
        assert_eq!(said("tile_rows", &[("most", "64")]).unwrap(), "该输入每块可有 – 至 64 行");
        assert_eq!(
            said("record_bytes", &[("found", "2"), ("most", "16777216")]).unwrap(),
            "每条记录 2 字节；须为 4 的倍数，4 至 16,777,216 字节"
        );
        assert!(said("unknown_identifier", &[("name", "10000")]).unwrap().contains("“10000”"), "a name is no amount");
        assert_eq!(
            said("expected_found", &[("expected", "expression"), ("found", "\"}\"")]).unwrap(),
            "此处应为表达式，实为 \"}\""
        );
        let missing = said("missing_value", &[("column", "a"), ("place", "line 5")]).unwrap();
        assert!(missing.contains("（第 5 行）"), "{missing}");
        assert_eq!(said("something_newer", &[]), None);
    }

    #[test]
    fn reasons_are_in_order_so_that_each_is_found() {
        assert!(MESSAGES.is_sorted_by_key(|(reason, _)| reason));
    }
}
