//! Kernels that were once refused, or answered wrongly, by some device, with what they must answer. A test runs each
//! natively, and one in Chromium.

use gate::Contract;

/// A kernel over records, and its right answer.
pub(crate) struct Customer {
    pub(crate) name: &'static str,
    pub(crate) kernel: &'static str,
    pub(crate) contract: Contract,
    pub(crate) params: Vec<u8>,
    pub(crate) input: Vec<u8>,
    pub(crate) output: Vec<u8>,
    /// The answer is floats, near enough at this.
    pub(crate) tolerance: Option<f32>,
}

pub(crate) fn customers() -> Vec<Customer> {
    vec![
        pointers_to_parts(),
        constants(),
        layout_of_parameters(),
        workgroup_loops(),
        trigonometry(),
        computed_as_it_runs(),
    ]
}

fn words(values: impl IntoIterator<Item = u32>) -> Vec<u8> {
    values.into_iter().flat_map(u32::to_le_bytes).collect()
}

fn floats(values: impl IntoIterator<Item = f32>) -> Vec<u8> {
    words(values.into_iter().map(f32::to_bits))
}

fn place(index: u32) -> usize {
    usize::try_from(index).expect("an index should fit")
}

fn contract(record_bytes: u32, out_bytes: u32) -> Contract {
    Contract { record_bytes, out_bytes, fuel: Some(1000) }
}

fn pointers_to_parts() -> Customer {
    let records: Vec<[u32; 2]> = (0..100).map(|i: u32| [i.wrapping_mul(0x9e37_79b9), i * i]).collect();
    let answer = |&[x, by]: &[u32; 2]| {
        let mut cells = [1, 2, 3];
        cells[place(by % 3)] += 100;
        [x.wrapping_add(by), cells[0] + cells[1] * 2 + cells[2] * 3]
    };
    Customer {
        name: "pointers_to_parts",
        kernel: include_str!("pointers_to_parts.wgsl"),
        contract: contract(8, 8),
        params: Vec::new(),
        output: words(records.iter().flat_map(answer)),
        input: words(records.concat()),
        tolerance: None,
    }
}

fn constants() -> Customer {
    let records: Vec<u32> = (0..100).collect();
    let steps = [1.0 / 7.0, 1e-20, 16_777_216.0, 0.3];
    let big = 1u32 << 30;
    let answer = |&x: &u32| {
        let floats = [f32::MAX, f32::MIN, f32::MIN_POSITIVE, f32::from(1u16 << (x & 15))];
        let more = [steps[place(x & 3)], 1.0 / 3.0, 1.0, 0.0];
        let words = [u32::MAX >> 5, 27, 1 << 31, x + big / 4 + 1];
        let last = [4u32, 0u32.wrapping_sub(8), 12].map(|side| side.wrapping_sub(big));
        let floats = floats.into_iter().chain(more).map(f32::to_bits);
        floats.chain(words).chain(last).chain([u32::MAX >> 1]).collect::<Vec<u32>>()
    };
    Customer {
        name: "constants",
        kernel: include_str!("constants.wgsl"),
        contract: contract(4, 64),
        params: Vec::new(),
        output: words(records.iter().flat_map(answer)),
        input: words(records),
        tolerance: None,
    }
}

fn layout_of_parameters() -> Customer {
    let turn: [[f32; 3]; 3] = [[0.25, 0.5, 0.75], [1.0, 1.25, 1.5], [1.75, 2.0, 2.25]];
    let (skew, list) = ([[0.5f32, -1.5], [2.5, 0.25]], [[0.0f32, 10.0, 20.0, 30.0], [40.0, 50.0, 60.0, 70.0]]);
    let (scale, offset, direction) = (0.5f32, [1.0f32, -2.0, 3.0], [0.125f32, 0.25, 0.5]);
    let mut params = floats([scale, 0.0, 0.0, 0.0, offset[0], offset[1], offset[2], 0.0]);
    turn.iter().for_each(|column| params.extend(floats([column[0], column[1], column[2], 0.0])));
    params.extend(floats(skew.concat().into_iter().chain(list.concat()).chain(direction).chain([7.5, -1.0, -2.0])));
    // The count, the last in sixteen bytes, then the far one at the next multiple of sixteen, in thirty-two.
    params.extend(words([2, 0u32.wrapping_sub(9), 0, 0, 0]));
    params.resize(params.len().next_multiple_of(16), 0);
    params.extend(floats([100.0, 200.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]));

    let records: Vec<[f32; 4]> =
        (0..100u8).map(|i| [f32::from(i) / 8.0, 3.0 - f32::from(i), f32::from(i % 7), f32::from(i % 5)]).collect();
    let answer = |(index, p): (usize, &[f32; 4])| {
        let which = index % 5 % 2;
        let moved: [f32; 3] = std::array::from_fn(|i| p[i] * scale + offset[i]);
        let turned = |row: usize| (0..3).map(|column| turn[column][row] * moved[column]).sum::<f32>();
        let skewed = |row: usize| skew[0][row] * p[0] + skew[1][row] * p[1];
        let extra = [skew[which][1], turn[which][2], turn[2][which], -9.0];
        let third: [f32; 4] = std::array::from_fn(|i| list[which][i] + extra[i]);
        let lit = (0..3).map(|i| direction[i] * p[i]).sum::<f32>();
        let first = [turned(0), turned(1), turned(2), 7.5, skewed(0), skewed(1), -1.0, -2.0];
        first.into_iter().chain(third).chain([lit, 100.0, 200.0, list[1 - which][which]]).collect::<Vec<f32>>()
    };
    Customer {
        name: "layout_of_parameters",
        kernel: include_str!("layout_of_parameters.wgsl"),
        contract: contract(16, 64),
        params,
        output: floats(records.iter().enumerate().flat_map(answer)),
        input: floats(records.concat()),
        tolerance: Some(1e-5),
    }
}

fn workgroup_loops() -> Customer {
    let records: Vec<u32> = (0..100).map(|i: u32| i.wrapping_mul(0x9e37_79b9) >> 12).collect();
    let answer = |group: &[u32]| {
        // What lies past the last record reads the last one.
        let full: Vec<u32> = (0..64).map(|lane| group[lane.min(group.len() - 1)]).collect();
        let mut sorted = full.clone();
        sorted.sort_unstable();
        let most = sorted[63];
        let sums = full.iter().scan(0u32, |sum, word| {
            *sum = sum.wrapping_add(*word);
            Some(*sum)
        });
        let rows = sums.zip(sorted).zip(0u32..).map(|((sum, sorted), lane)| [sum, most, sorted, 3 * lane]);
        rows.take(group.len()).collect::<Vec<_>>()
    };
    Customer {
        name: "workgroup_loops",
        kernel: include_str!("workgroup_loops.wgsl"),
        contract: Contract { record_bytes: 4, out_bytes: 16, fuel: None },
        params: words([3, 5]),
        output: words(records.chunks(64).flat_map(answer).flatten()),
        input: words(records),
        tolerance: None,
    }
}

fn trigonometry() -> Customer {
    let angles: Vec<f32> = (0..75u8).map(|i| f32::from(i) - 37.0).collect();
    let answer = |a: &f32| {
        let share = a / 40.0;
        let turned = [a.sin(), (a + 0.5).sin(), a.cos(), share.tan()];
        turned.into_iter().chain([share.asin(), share.acos(), a.atan(), share.atan2(-0.25)]).collect::<Vec<f32>>()
    };
    Customer {
        name: "trigonometry",
        kernel: include_str!("trigonometry.wgsl"),
        contract: contract(4, 32),
        params: Vec::new(),
        output: floats(angles.iter().flat_map(answer)),
        input: floats(angles),
        tolerance: Some(2e-6),
    }
}

fn computed_as_it_runs() -> Customer {
    let records: Vec<u32> = (0..100).collect();
    let half = |x: u32| x.checked_ilog2().map_or(0, |power| (power + 15) << 10 | (x << (10 - power)) & 0x3ff);
    let answer = |&x: &u32| [x, x << 8, x, 0, 3, 0x3800 << 16 | half(x), 4 * x + 1, x + 2];
    Customer {
        name: "computed_as_it_runs",
        kernel: include_str!("computed_as_it_runs.wgsl"),
        contract: contract(4, 32),
        params: Vec::new(),
        output: words(records.iter().flat_map(answer)),
        input: words(records),
        tolerance: None,
    }
}

impl Customer {
    /// Panics where this is not the right answer.
    pub(crate) fn check(&self, found: &[u8]) {
        let name = self.name;
        assert_eq!(found.len(), self.output.len(), "{name}");
        for (at, (found, expected)) in found.as_chunks::<4>().0.iter().zip(self.output.as_chunks::<4>().0).enumerate() {
            match self.tolerance {
                None => assert_eq!(found, expected, "{name}: word {at}"),
                Some(most) => {
                    let [found, expected] = [found, expected].map(|word| f32::from_le_bytes(*word));
                    let near = (found - expected).abs() <= most * expected.abs() + most;
                    assert!(near, "{name}: word {at} is {found}, not {expected}");
                }
            }
        }
    }
}
