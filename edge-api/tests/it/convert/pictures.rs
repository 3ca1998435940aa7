//! Pictures, beside what Pillow and numpy make of them.

use std::io::Cursor;

use image::{DynamicImage, GrayImage, ImageFormat, Rgb, RgbImage};
use wire::{ArraysToMake, DType, FileKind, PictureChannels, PictureLayout, PictureReading, Resize, ResizeFilter};
use zip::CompressionMethod;

use super::{floats, make, plain, port, read, refusal, zip};

/// The pattern, as Pillow writes it with `quality=30, progressive=True`.
const PROGRESSIVE: &[u8] = include_bytes!("progressive.jpg");

fn encoded(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    picture.into().write_to(&mut file, format).unwrap();
    file.into_inner()
}

/// numpy: `y, x = mgrid[0:47, 0:61]; stack([(5x + 3y) % 256, (xx + y) % 256, xy % 256], -1)`.
fn pattern() -> RgbImage {
    RgbImage::from_fn(61, 47, |x, y| {
        Rgb([5 * x + 3 * y, x * x + y, x * y].map(|value| u8::try_from(value % 256).unwrap()))
    })
}

fn png() -> Vec<u8> {
    encoded(pattern(), ImageFormat::Png)
}

fn with(pictures: PictureReading) -> ArraysToMake {
    ArraysToMake { pictures, ..plain() }
}

/// The bytes of the pattern at a size, pixel by pixel.
fn resized(width: u32, height: u32, reading: PictureReading) -> Vec<u8> {
    let channels = if reading.channels == Some(PictureChannels::Grey) { 1 } else { 3 };
    let ports = [port("x", DType::Uint8, &[None, None, None, Some(channels)])];
    let (_, out) = make(&png(), &ports, with(PictureReading { width: Some(width), height: Some(height), ..reading }));
    read(&out).2.to_vec()
}

/// The largest difference from what Pillow 13 says.
#[track_caller]
fn check(found: &[u8], pillow: &[u8], apart: u8) {
    assert_eq!(found.len(), pillow.len());
    let most = found.iter().zip(pillow).map(|(found, pillow)| found.abs_diff(*pillow)).max();
    assert!(most <= Some(apart), "{most:?} apart: {found:?}");
}

#[test]
fn pictures_are_resized_as_pillow_resizes_them() {
    let by = |filter| resized(5, 4, PictureReading { filter: Some(filter), ..PictureReading::default() });

    check(
        &by(ResizeFilter::Nearest),
        &[
            45, 41, 30, 105, 73, 90, 165, 137, 150, 225, 233, 210, 29, 105, 14, 81, 53, 102, 141, 85, 50, 201, 149,
            254, 5, 245, 202, 65, 117, 150, 117, 65, 174, 177, 97, 10, 237, 161, 102, 41, 1, 194, 101, 129, 30, 153,
            77, 246, 213, 109, 226, 17, 173, 206, 77, 13, 186, 137, 141, 166,
        ],
        0,
    );
    check(
        &by(ResizeFilter::Bilinear),
        &[
            53, 64, 44, 108, 122, 100, 169, 119, 115, 181, 136, 118, 60, 121, 118, 85, 75, 100, 140, 133, 133, 194,
            127, 127, 111, 132, 127, 63, 119, 128, 121, 85, 115, 175, 130, 127, 169, 132, 127, 61, 115, 126, 97, 127,
            126, 153, 92, 118, 197, 123, 127, 96, 130, 126, 74, 116, 124, 129, 138, 127,
        ],
        1,
    );
    check(
        &by(ResizeFilter::Bicubic),
        &[
            46, 60, 36, 105, 128, 100, 172, 117, 114, 194, 138, 117, 50, 119, 118, 80, 71, 100, 139, 141, 140, 209,
            125, 128, 108, 134, 128, 55, 118, 129, 116, 82, 114, 182, 135, 128, 178, 133, 128, 45, 112, 126, 100, 127,
            126, 151, 91, 116, 210, 124, 129, 85, 130, 126, 68, 115, 124, 136, 138, 127,
        ],
        1,
    );
    check(
        &by(ResizeFilter::Lanczos),
        &[
            44, 58, 33, 102, 130, 101, 174, 116, 114, 199, 139, 116, 47, 119, 117, 79, 69, 101, 134, 146, 147, 220,
            123, 128, 107, 134, 130, 47, 118, 130, 113, 81, 114, 188, 138, 128, 182, 132, 126, 36, 110, 126, 104, 128,
            125, 148, 92, 115, 217, 125, 130, 80, 129, 125, 64, 115, 124, 141, 138, 127,
        ],
        2,
    );
}

#[test]
fn grey_is_pillows_brightness() {
    let found = resized(5, 4, PictureReading { channels: Some(PictureChannels::Grey), ..PictureReading::default() });

    let pillow = [59, 116, 134, 147, 103, 81, 135, 147, 125, 104, 99, 144, 142, 100, 118, 113, 146, 119, 104, 133];
    check(&found, &pillow, 1);
}

#[test]
fn a_crop_is_torchvisions_resize_and_center_crop() {
    let reading = PictureReading { resize: Some(Resize::Crop), shorter_side: Some(8), ..PictureReading::default() };

    let found = resized(6, 6, reading);

    let torchvision = [
        99, 133, 122, 129, 127, 155, 160, 124, 142, 190, 108, 123, 220, 148, 126, 152, 138, 127, 117, 139, 165, 147,
        133, 113, 178, 130, 123, 208, 114, 134, 207, 136, 128, 60, 144, 127, 134, 145, 113, 164, 139, 139, 195, 136,
        124, 221, 119, 126, 125, 119, 128, 33, 143, 127, 152, 150, 124, 182, 136, 125, 213, 140, 132, 191, 125, 123,
        45, 118, 125, 48, 113, 128, 169, 129, 133, 199, 117, 124, 220, 140, 124, 98, 131, 133, 36, 108, 123, 65, 102,
        126, 187, 123, 129, 217, 121, 127, 170, 130, 125, 37, 137, 125, 53, 113, 127, 83, 108, 124,
    ];
    check(&found, &torchvision, 1);
}

#[test]
fn a_padded_picture_keeps_its_proportions_and_has_a_rim() {
    let found =
        resized(10, 10, PictureReading { resize: Some(Resize::Pad), pad_value: Some(7), ..PictureReading::default() });

    // 61 by 47 becomes 10 by 8, with a line above and one below.
    assert!(found[..30].iter().chain(&found[270..]).all(|value| *value == 7));
    assert!(found[30..270].iter().any(|value| *value != 7));
}

#[test]
fn values_are_scaled_as_numpy_scales_them_channel_by_channel() {
    let ports = [port("x", DType::Float32, &[None, Some(3), Some(2), Some(2)])];
    let (mean, std) = (vec![0.485, 0.456, 0.406], vec![0.229, 0.224, 0.225]);

    let picture = RgbImage::from_raw(2, 2, vec![0, 10, 20, 128, 64, 32, 255, 254, 253, 1, 2, 3]).unwrap();
    let picture = encoded(picture, ImageFormat::Png);

    let (made, out) = make(&picture, &ports, with(PictureReading { mean, std, ..PictureReading::default() }));

    let bits: Vec<u32> = floats(&out).into_iter().map(f32::to_bits).collect();
    let numpy = [
        0xc007_8bbd,
        0x3d97_af32,
        0x400f_ee1d,
        0xc006_732b,
        0xbfee_2997,
        0xbf6a_4ee0,
        0x401a_4ee0,
        0xc000_0b79,
        0xbfba_59a4,
        0xbf9f_9432,
        0x4026_baa4,
        0xbfe0_46ad,
    ];
    assert_eq!(bits, numpy);
    assert_eq!((made.kind, made.rows), (FileKind::Pictures, 1));
    let said = made.pictures.unwrap();
    assert_eq!(
        (said.width, said.layout, said.channels, said.filter, said.divide_by),
        (Some(2), Some(PictureLayout::Nchw), Some(PictureChannels::Rgb), Some(ResizeFilter::Bilinear), Some(255.0))
    );
}

#[test]
fn a_zip_of_pictures_is_read_in_the_order_of_names() {
    let of = |level: u8, format| encoded(GrayImage::from_pixel(3, 2, image::Luma([level])), format);
    let files = [
        ("cats/2.png", of(20, ImageFormat::Png)),
        ("__MACOSX/cats/._1.png", vec![1, 2, 3]),
        ("cats/1.bmp", of(10, ImageFormat::Bmp)),
        (".DS_Store", vec![0]),
        ("dogs/1.webp", encoded(RgbImage::from_pixel(3, 2, Rgb([30; 3])), ImageFormat::WebP)),
    ];
    let ports = [port("x", DType::Uint8, &[None, Some(1), Some(2), Some(2)])];

    let (made, out) = make(&zip(&files, CompressionMethod::Deflated), &ports, plain());

    assert_eq!(made.files, ["cats/1.bmp", "cats/2.png", "dogs/1.webp"]);
    assert_eq!(read(&out).1, [3, 1, 2, 2]);
    assert_eq!(read(&out).2, [10, 10, 10, 10, 20, 20, 20, 20, 30, 30, 30, 30]);
}

#[test]
fn a_picture_is_set_upright_as_its_camera_noted() {
    // A JPEG of 2 by 1 pixels, black and white, with a note to turn it to the right.
    let picture = RgbImage::from_fn(16, 8, |x, _| Rgb([if x < 8 { 0 } else { 255 }; 3]));
    let mut jpeg = encoded(picture, ImageFormat::Jpeg);
    let exif = b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    jpeg.splice(2..2, exif.iter().copied());
    let ports = [port("x", DType::Uint8, &[None, None, None, Some(1)])];
    let size = |width, height| with(PictureReading { width: Some(width), height: Some(height), ..Default::default() });

    let (_, out) = make(&jpeg, &ports, size(8, 16));

    let values = read(&out).2.to_vec();
    assert!(
        values[..32].iter().all(|value| *value < 40) && values[96..].iter().all(|value| *value > 215),
        "{values:?}"
    );
}

#[test]
fn a_picture_that_is_cut_short_is_damaged_and_what_a_camera_adds_behind_it_is_none() {
    let ports = [port("x", DType::Uint8, &[None, Some(3), Some(4), Some(4)])];
    let mut files: Vec<(String, Vec<u8>)> =
        [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Gif, ImageFormat::Bmp]
            .map(|format| (format!("{format:?}"), encoded(pattern(), format)))
            .to_vec();
    files.push(("progressive".to_owned(), PROGRESSIVE.to_vec()));
    for (name, whole) in files {
        make(&whole, &ports, plain());
        for cut in [whole.len() / 2, whole.len() * 9 / 10] {
            let (cut, named) = (whole[..cut].to_vec(), format!("'{name}' cannot be read, and may be damaged"));
            let found = refusal(&zip(&[(&name, cut.clone())], CompressionMethod::Stored), &ports, plain());
            assert!(found.starts_with("invalid_input file") && found.contains(&named), "{found}");
            assert!(refusal(&cut, &ports, plain()).contains("'the picture' cannot be read"), "{name}");
        }
    }
    for jpeg in [encoded(pattern(), ImageFormat::Jpeg), PROGRESSIVE.to_vec()] {
        assert!(refusal(&jpeg[..jpeg.len() - 2], &ports, plain()).contains("cut short"), "without its end alone");
        let trailing = [jpeg.as_slice(), b"\0\0trailing", &jpeg[..40]].concat();
        assert_eq!(make(&trailing, &ports, plain()).1, make(&jpeg, &ports, plain()).1);
    }
}

#[test]
fn channels_and_layout_may_be_said() {
    let picture = encoded(RgbImage::from_fn(2, 1, |x, _| Rgb([u8::try_from(x).unwrap(), 10, 20])), ImageFormat::Png);
    let free = [port("x", DType::Uint8, &[None, None, None, None])];
    let made = |channels, layout| {
        let reading = PictureReading {
            width: Some(2),
            height: Some(1),
            channels: Some(channels),
            layout: Some(layout),
            ..PictureReading::default()
        };
        let (made, out) = make(&picture, &free, with(reading));
        (made.arrays[0].shape.clone(), read(&out).2.to_vec())
    };

    assert_eq!(made(PictureChannels::Rgb, PictureLayout::Nhwc), (vec![1, 1, 2, 3], vec![0, 10, 20, 1, 10, 20]));
    assert_eq!(made(PictureChannels::Bgr, PictureLayout::Nhwc), (vec![1, 1, 2, 3], vec![20, 10, 0, 20, 10, 1]));
    assert_eq!(made(PictureChannels::Rgb, PictureLayout::Nchw), (vec![1, 3, 1, 2], vec![0, 1, 10, 10, 20, 20]));
    assert_eq!(made(PictureChannels::Bgr, PictureLayout::Nchw).1, [20, 20, 10, 10, 0, 1]);
}

#[test]
fn a_model_of_flat_pictures_takes_them_flat() {
    let grey = encoded(GrayImage::from_pixel(2, 2, image::Luma([255])), ImageFormat::Png);
    let (flat, plane) =
        (port("x", DType::Float32, &[None, Some(4)]), port("x", DType::Float32, &[None, Some(2), Some(2)]));
    let reading = PictureReading {
        width: Some(2),
        height: Some(2),
        channels: Some(PictureChannels::Grey),
        ..PictureReading::default()
    };

    let (made, out) = make(&grey, std::slice::from_ref(&flat), with(reading));
    assert_eq!((made.arrays[0].shape.clone(), floats(&out)), (vec![1, 4], vec![1.0; 4]));
    assert_eq!(make(&grey, &[plane], plain()).0.arrays[0].shape, [1, 2, 2]);
    assert!(refusal(&grey, &[flat], plain()).starts_with("input_mismatch pictures.width"));
}

#[test]
fn what_does_not_fit_pictures_is_refused_by_its_field() {
    let three = |size| port("x", DType::Float32, &[None, Some(3), Some(size), Some(size)]);
    let bytes = port("x", DType::Uint8, &[None, Some(3), Some(4), Some(4)]);
    let free = port("x", DType::Float32, &[None, None, None, None]);
    let text = port("x", DType::Int64, &[None, Some(1), Some(1), Some(1), Some(1)]);
    let empty = PictureReading::default;
    let side = |width| PictureReading { width: Some(width), height: Some(width), ..empty() };
    let cases = [
        ("input_mismatch pictures.layout", free.clone(), empty()),
        (
            "input_mismatch pictures.width",
            free.clone(),
            PictureReading { layout: Some(PictureLayout::Nchw), ..empty() },
        ),
        ("input_mismatch pictures:", three(4), side(5)),
        ("malformed_request pictures.width", free, PictureReading { layout: Some(PictureLayout::Nchw), ..side(9000) }),
        ("input_mismatch pictures:", three(4), PictureReading { channels: Some(PictureChannels::Grey), ..empty() }),
        ("malformed_request pictures.mean", three(4), PictureReading { mean: vec![1.0, 2.0], ..empty() }),
        ("malformed_request pictures.std", three(4), PictureReading { std: vec![0.0], ..empty() }),
        ("malformed_request pictures.divide_by", three(4), PictureReading { divide_by: Some(0.0), ..empty() }),
        ("malformed_request pictures.pad_value", three(4), PictureReading { pad_value: Some(1), ..empty() }),
        (
            "malformed_request pictures.shorter_side",
            three(4),
            PictureReading { resize: Some(Resize::Crop), shorter_side: Some(3), ..empty() },
        ),
        ("input_mismatch pictures.divide_by", bytes, PictureReading { divide_by: Some(2.0), ..empty() }),
        ("input_mismatch pictures:", text, empty()),
    ];
    for (expected, port, reading) in cases {
        let found = refusal(&png(), &[port], with(reading));
        assert!(found.starts_with(expected), "{expected}: {found}");
    }
    let two = [three(4), port("y", DType::Float32, &[None])];
    assert!(refusal(&png(), &two, plain()).starts_with("input_mismatch input: the model has several inputs, x, y"));
}

#[test]
fn what_is_no_picture_is_refused_by_its_files_name() {
    let ports = [port("x", DType::Uint8, &[None, Some(1), Some(2), Some(2)])];
    let of = |name: &str, bytes: Vec<u8>| {
        refusal(&zip(&[("good.png", png()), (name, bytes)], CompressionMethod::Stored), &ports, plain())
    };

    assert!(of("labels.csv", b"a,b".to_vec()).contains("'labels.csv' is no picture"));
    assert!(of("IMG_1.HEIC", b"\0\0\0\x18ftypheic".to_vec()).contains("save it as JPEG"));
    assert!(of("broken.png", png()[..200].to_vec()).contains("'broken.png' cannot be read"));
    let mut huge = encoded(GrayImage::new(1, 1), ImageFormat::Bmp);
    huge[18..22].copy_from_slice(&30_000u32.to_le_bytes());
    huge[22..26].copy_from_slice(&30_000u32.to_le_bytes());
    assert!(of("huge.bmp", huge).starts_with("too_large file: 'huge.bmp' has 30000x30000 pixels"));
    let many: Vec<(String, Vec<u8>)> = (0..9).map(|number| (format!("{number}.png"), png())).collect();
    let many: Vec<(&str, Vec<u8>)> = many.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
    let large = [port("x", DType::Float32, &[None, Some(3), Some(224), Some(224)])];
    assert!(refusal(&zip(&many, CompressionMethod::Stored), &large, plain()).starts_with("too_large file"));
}
