//! Every kernel with every text that its shader may have. The browser's tests read this too.

use gpu_kernels::dtype::{DType, Repr};
use gpu_kernels::kernels::{Kernel, elementwise, pool, reduce, scan, scatter};

const REPRS: [Repr; 3] = [Repr::F32, Repr::I32, Repr::U32];

pub(crate) fn all_kernels() -> Vec<Kernel> {
    let mut all = vec![Kernel::Softmax, Kernel::Norm, Kernel::Resample, Kernel::Gather];
    for repr in REPRS {
        all.extend([Kernel::Matmul { repr, half: false }, Kernel::TopK(repr)]);
        all.extend([true, false].map(|tiled| Kernel::Conv { repr, tiled, half: false }));
        all.extend([pool::Mode::Max, pool::Mode::ArgMax].map(|mode| Kernel::Pool { repr, mode }));
        all.extend([scan::Op::Sum, scan::Op::Prod].map(|op| Kernel::Scan { repr, op }));
        let ops = [scatter::Op::Set, scatter::Op::Add, scatter::Op::Mul, scatter::Op::Max, scatter::Op::Min];
        all.extend(ops.map(|op| Kernel::Scatter { repr, op }));
        for op in REDUCTIONS {
            all.extend([true, false].map(|wide| Kernel::Reduce(reduce::Key { op, repr, wide })));
        }
        all.extend((1..=8).map(|rank| Kernel::Elementwise(elementwise::Key { insts: everything(repr).insts, rank })));
    }
    all.push(Kernel::Matmul { repr: Repr::F32, half: true });
    all.extend([true, false].map(|tiled| Kernel::Conv { repr: Repr::F32, tiled, half: true }));
    let averages = [pool::Mode::Average, pool::Mode::AveragePadded, pool::Mode::Sum];
    all.extend(averages.map(|mode| Kernel::Pool { repr: Repr::F32, mode }));
    all
}

const REDUCTIONS: [reduce::Op; 10] = [
    reduce::Op::Sum,
    reduce::Op::Prod,
    reduce::Op::Max,
    reduce::Op::Min,
    reduce::Op::SumSquare,
    reduce::Op::SumAbs,
    reduce::Op::ArgMax,
    reduce::Op::ArgMin,
    reduce::Op::ArgMaxLast,
    reduce::Op::ArgMinLast,
];

/// A program with as many inputs as there may be, and everything that it may do to a representation.
fn everything(repr: Repr) -> elementwise::Program {
    use elementwise::{Binary, Unary};

    let mut p = elementwise::Program::default();
    let first = p.load(repr);
    let mut value = first;
    let mut unary = vec![Unary::Neg, Unary::Abs, Unary::Sign];
    let mut binary = vec![Binary::Add, Binary::Sub, Binary::Mul, Binary::Div, Binary::Pow, Binary::Mod, Binary::Rem];
    binary.extend([Binary::Max, Binary::Min]);
    match repr {
        Repr::F32 => {
            unary.extend([Unary::Ceil, Unary::Floor, Unary::Round, Unary::Trunc, Unary::Sqrt, Unary::Exp, Unary::Log]);
            unary.extend([Unary::Sin, Unary::Cos, Unary::Tan, Unary::Asin, Unary::Acos, Unary::Atan, Unary::Sinh]);
            unary.extend([Unary::Cosh, Unary::Tanh, Unary::Asinh, Unary::Acosh, Unary::Atanh, Unary::Erf]);
            unary.extend([Unary::Sigmoid, Unary::Softplus, Unary::Wrap(DType::F16), Unary::Wrap(DType::BF16)]);
            binary.push(Binary::DivExact);
        }
        Repr::I32 => unary.extend([Unary::Not, Unary::Wrap(DType::I8), Unary::Wrap(DType::I16)]),
        Repr::U32 => {
            unary.remove(0);
            unary.extend([Unary::Not, Unary::Wrap(DType::U8), Unary::Wrap(DType::U16)]);
        }
    }
    if repr != Repr::F32 {
        binary.extend([Binary::And, Binary::Or, Binary::Xor, Binary::Shl, Binary::Shr]);
    }
    for op in unary {
        value = p.un(op, value);
    }
    let others: Vec<_> = (1..elementwise::INPUTS_MAX).map(|_| p.load(repr)).collect();
    for (i, op) in binary.into_iter().enumerate() {
        value = p.bin(op, value, others[i % others.len()]);
    }
    let tests = [Binary::Eq, Binary::Lt, Binary::Le].map(|op| p.bin(op, value, first));
    let flag = tests.into_iter().reduce(|a, b| p.bin(Binary::Or, a, b)).unwrap();
    let number = p.number(3, repr);
    value = p.select(flag, value, number);
    let [whole, unsigned] = [Unary::ToI32, Unary::ToU32].map(|op| p.un(op, value));
    let [whole, unsigned] = [whole, unsigned].map(|a| p.un(Unary::ToF32, a));
    p.bin(Binary::Add, whole, unsigned);
    p
}
