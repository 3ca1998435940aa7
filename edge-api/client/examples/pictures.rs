//! Cuts the pictures of a folder into the blocks that `map/sharpen.wgsl` filters, and puts what comes
//! back together: `pictures cut FOLDER BLOCKS`, `pictures join FOLDER FILTERED INTO`.

#![expect(clippy::print_stdout, reason = "a command's answer goes to standard output")]

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::Parser;
use image::RgbaImage;

/// Pixels of a block's side, and with its surroundings.
const BLOCK: u32 = 8;
const WIDE: u32 = BLOCK + 2;

#[derive(clap::Parser)]
#[command(about = "Pictures as records of a kernel")]
enum Command {
    /// Write the blocks of every PNG and JPEG in a folder, in the order of their names.
    Cut { folder: PathBuf, blocks: PathBuf },
    /// Write the filtered pictures as PNG into another folder.
    Join { folder: PathBuf, filtered: PathBuf, into: PathBuf },
}

fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Cut { folder, blocks } => cut(&folder, &blocks),
        Command::Join { folder, filtered, into } => join(&folder, &filtered, &into),
    }
}

fn pictures(folder: &Path) -> anyhow::Result<Vec<(PathBuf, RgbaImage)>> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|ending| ["png", "jpg", "jpeg"].iter().any(|e| ending == *e)));
    files.sort();
    ensure!(!files.is_empty(), "there is no .png or .jpg in {}", folder.display());
    let open = |file: PathBuf| {
        let picture = image::open(&file).with_context(|| format!("{} is no picture", file.display()))?;
        Ok((file, picture.to_rgba8()))
    };
    files.into_iter().map(open).collect()
}

/// The corners of a picture's blocks, row by row; those at the edges reach beyond it.
fn corners(picture: &RgbaImage) -> impl Iterator<Item = (u32, u32)> + use<> {
    let (across, down) = (picture.width().div_ceil(BLOCK), picture.height().div_ceil(BLOCK));
    (0..down).flat_map(move |y| (0..across).map(move |x| (x * BLOCK, y * BLOCK)))
}

fn cut(folder: &Path, blocks: &Path) -> anyhow::Result<()> {
    let mut file = std::io::BufWriter::new(std::fs::File::create(blocks)?);
    let mut count = 0;
    for (_, picture) in pictures(folder)? {
        for (left, top) in corners(&picture) {
            for place in 0..WIDE * WIDE {
                // Beyond the edge lies the edge's own pixel.
                let at = |first: u32, step: u32, size: u32| (first + step).saturating_sub(1).min(size - 1);
                let x = at(left, place % WIDE, picture.width());
                let y = at(top, place / WIDE, picture.height());
                file.write_all(&picture.get_pixel(x, y).0)?;
            }
            count += 1;
        }
    }
    file.flush()?;
    println!("{count} blocks of {} bytes", WIDE * WIDE * 4);
    Ok(())
}

fn join(folder: &Path, filtered: &Path, into: &Path) -> anyhow::Result<()> {
    let mut file = std::io::BufReader::new(std::fs::File::open(filtered)?);
    std::fs::create_dir_all(into)?;
    for (path, mut picture) in pictures(folder)? {
        for (left, top) in corners(&picture) {
            for place in 0..BLOCK * BLOCK {
                let mut pixel = [0; 4];
                file.read_exact(&mut pixel).context("there are fewer filtered blocks than the pictures have")?;
                let (x, y) = (left + place % BLOCK, top + place / BLOCK);
                if x < picture.width() && y < picture.height() {
                    picture.put_pixel(x, y, image::Rgba(pixel));
                }
            }
        }
        let name = path.file_stem().context("a picture should have a name")?;
        picture.save(into.join(name).with_extension("png"))?;
    }
    ensure!(file.read(&mut [0])? == 0, "there are more filtered blocks than the pictures have");
    Ok(())
}
