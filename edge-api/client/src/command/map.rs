//! `tessera map`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use client::Client;
use wire::{Check, Fraction, IntegerBits, IntegerTolerance, Program, Tolerance};

use super::submit::{JobOptions, ProgramArguments, Uploaded};
use crate::failure::Failure;
use crate::notes::Notes;

#[derive(clap::Args)]
pub(crate) struct Map {
    /// The kernel, as WGSL: `main`, one invocation a record; binding 0 input records, binding 1 output
    /// records, binding 2 parameters.
    #[arg(long, allow_hyphen_values = true)]
    kernel: PathBuf,
    /// The records, one after another.
    #[arg(long, allow_hyphen_values = true)]
    input: PathBuf,
    /// Size of an input record, in bytes.
    #[arg(long)]
    record_bytes: u32,
    /// Size of an output record, in bytes.
    #[arg(long)]
    out_bytes: u32,
    /// Where the output records go, in the format of its ending: `.bin` (as they are), `.npy`, `.npz`, `.csv` or
    /// `.json`. `-` is standard output; left out, they go beside you, under the job's name.
    #[arg(long, allow_hyphen_values = true)]
    output: Option<PathBuf>,
    /// What `@binding(2)` holds.
    #[arg(long, allow_hyphen_values = true)]
    params: Option<PathBuf>,
    /// Operations that the loops of one record may take; left out, what they need at most, or a million where the
    /// kernel's text does not tell how often they turn.
    #[arg(long)]
    fuel: Option<u32>,
    /// Two outputs are the same in every byte. Integer kernels need not say so.
    #[arg(long, conflicts_with_all = ["tolerance", "tolerance_int"])]
    exact: bool,
    /// Two floats are the same within RTOL·|b| + ATOL; left out, 1e-4,1e-6.
    #[arg(long, value_name = "RTOL,ATOL", value_parser = parse_tolerance)]
    tolerance: Option<[Tolerance; 2]>,
    /// Integers that follow from floats are the same within UNITS; at most FRACTION of a tile's may differ at all, left
    /// out, 1.
    #[arg(long, value_name = "UNITS[,FRACTION]", value_parser = parse_units)]
    tolerance_int: Option<(u32, Fraction)>,
    /// Bits of such an integer: 32, or 16 or 8 where a word holds several.
    #[arg(long, value_name = "BITS", value_parser = parse_bits, default_value = "32", requires = "tolerance_int")]
    int_bits: IntegerBits,
    /// Records a tile; left out, the server chooses.
    #[arg(long)]
    tile_records: Option<u32>,
    #[command(flatten)]
    options: JobOptions,
}

impl Map {
    /// What the customer states; `None` where it is nothing.
    fn check(&self) -> Option<Check> {
        let bits = self.int_bits;
        let integers = self.tolerance_int.map(|(units, fraction)| IntegerTolerance { units, fraction, bits });
        match (self.exact, self.tolerance, integers) {
            (true, _, _) => Some(Check::Exact),
            (false, None, None) => None,
            (false, None, Some(integers)) => Some(Check::within(integers)),
            (false, Some([rtol, atol]), integers) => Some(Check::Tolerance { rtol, atol, integers }),
        }
    }
}

fn parse_units(text: &str) -> Result<(u32, Fraction), String> {
    let (units, fraction) = text.split_once(',').map_or((text, None), |(units, fraction)| (units, Some(fraction)));
    let units = units.trim().parse().map_err(|_malformed| format!("'{units}' is no whole number"))?;
    let Some(fraction) = fraction else { return Ok((units, Fraction::default())) };
    let value: f32 = fraction.trim().parse().map_err(|_malformed| format!("'{fraction}' is no number"))?;
    Ok((units, Fraction::try_from(value).map_err(str::to_owned)?))
}

fn parse_bits(text: &str) -> Result<IntegerBits, String> {
    let bits: u8 = text.parse().map_err(|_malformed| format!("'{text}' is no number"))?;
    IntegerBits::try_from(bits).map_err(str::to_owned)
}

fn parse_tolerance(text: &str) -> Result<[Tolerance; 2], String> {
    let number = |text: &str| {
        let value: f32 = text.trim().parse().map_err(|_malformed| format!("'{text}' is no number"))?;
        Tolerance::try_from(value).map_err(str::to_owned)
    };
    let (rtol, atol) = text.split_once(',').ok_or("write two numbers with a comma between, like 1e-4,1e-6")?;
    Ok([number(rtol)?, number(atol)?])
}

impl ProgramArguments for Map {
    async fn upload(&self, client: &Client, _notes: &Notes) -> Result<Uploaded, Failure> {
        let kernel = client.upload(&self.kernel).await?.hash;
        let params = match &self.params {
            Some(path) => Some(client.upload(path).await?.hash),
            None => None,
        };
        let input = client.upload(&self.input).await?.hash;
        let program = Program::Map(wire::Map {
            kernel,
            input,
            record_bytes: self.record_bytes,
            out_bytes: self.out_bytes,
            params,
            fuel: self.fuel,
            check: self.check(),
            tile_records: self.tile_records,
        });
        Ok(program.into())
    }

    fn code(&self) -> &Path {
        &self.kernel
    }

    fn output(&self) -> Option<&Path> {
        self.output.as_deref()
    }

    fn files(&self) -> BTreeMap<String, &Path> {
        let files = [("kernel", Some(&self.kernel)), ("input", Some(&self.input)), ("params", self.params.as_ref())];
        files.into_iter().filter_map(|(field, path)| Some((field.to_owned(), path?.as_path()))).collect()
    }

    fn options(&self) -> &JobOptions {
        &self.options
    }
}
