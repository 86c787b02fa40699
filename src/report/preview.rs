//! The preview picture: three planes through the targets, outlined, with sides, scale and legend.
//!
//! It answers at a glance: is it the right scan, the right way round, and are the outlines where they belong? Pictures
//! are radiological (the patient's right on the left) and their pixels isotropic, whatever the stored grid is.

use image::RgbImage;

use super::canvas::{Anchor, Canvas};
use super::legend;
use super::planes::{self, Planes};
use super::slices::{Frame, Patch, Profile, View};
use super::style::{INK, MARGIN, Outline, PAGE, WIDTH};
use super::window::Window;
use crate::volume::{Modality, Volume};

/// Why a picture could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The PNG encoder failed.
    #[error("the preview could not be encoded as PNG")]
    Png(#[from] image::ImageError),
}

const GAP: i32 = 10;
/// A row of pictures is no taller than this, and a millimetre no larger than that.
const TALLEST: f64 = 860.0;
const LARGEST_MM: f64 = 8.0;
const SOFT: [u8; 3] = [205, 208, 214];
const TICK: [u8; 3] = [255, 214, 90];
/// Rows of three planes: a second one only for targets that the first doesn't show.
const ROWS: usize = 2;

/// Draws `targets` over `volume`. Masks of another grid are named in the legend but not drawn.
pub fn preview(volume: &Volume, targets: &[Outline<'_>], modality: Modality) -> RgbImage {
    let frame = Frame::new(volume.grid());
    let fits = |t: &Outline<'_>| t.mask.grid().shape() == volume.grid().shape();
    let drawable: Vec<Outline<'_>> = targets.iter().filter(|t| fits(t)).copied().collect();
    let profiles: Vec<Profile> = drawable
        .iter()
        .map(|t| Profile::new(&t.mask.unpack(), &frame))
        .collect();
    let main = (0..drawable.len())
        .filter(|&n| !drawable[n].mask.is_empty())
        .max_by_key(|&n| drawable[n].mask.count());
    let names: Vec<&str> = targets.iter().map(|t| t.name).collect();
    let window = Window::choose(
        volume,
        modality,
        main.map(|n| drawable[n].mask.unpack()).as_ref(),
        &names,
    );
    let (rows, seen) = planes::choose(&profiles, main, &frame, ROWS);
    let field = planes::field(volume, modality, &profiles, &frame);
    let scene = Scene::new(volume, &drawable, frame, field, window);

    let mut seen = seen.into_iter();
    let visible: Vec<bool> = targets
        .iter()
        .map(|t| fits(t) && seen.next().unwrap_or(false))
        .collect();
    let row_height = scene.row_height();
    let pictures = rows.len() as i32 * (row_height + GAP);
    let mut canvas = Canvas::new(WIDTH as u32, 1, PAGE);
    let legend = legend::Legend::new(&canvas, targets, &visible);
    let height = MARGIN + pictures + legend.height() + MARGIN;
    canvas.picture = RgbImage::from_pixel(WIDTH as u32, height as u32, image::Rgb(PAGE));
    let tops = (0..).map(|n| MARGIN + n * (row_height + GAP));
    let rows: Vec<(i32, &Planes)> = tops.zip(&rows).collect();
    rows.iter()
        .for_each(|(top, planes)| scene.draw_images(&mut canvas, *top, planes));
    // Target by target, so that only one mask is unpacked at a time.
    for target in &scene.targets {
        scene.draw_target(&mut canvas, target, &rows);
    }
    rows.iter()
        .for_each(|(top, planes)| scene.annotate_row(&mut canvas, *top, planes));
    let tilt = View::ALL
        .map(|view| scene.frame.tilt(view))
        .into_iter()
        .fold(0.0, f64::max);
    let tilted = if tilt >= 2.0 {
        format!("  ·  planes as stored, {tilt:.0}° oblique")
    } else {
        String::new()
    };
    legend.draw(
        &mut canvas,
        MARGIN + pictures,
        &format!("{}{tilted}", scene.window.caption),
    );
    canvas.picture
}

/// A picture as PNG.
pub fn png(picture: &RgbImage) -> Result<Vec<u8>, ReportError> {
    use image::ImageEncoder;
    use image::codecs::png::{CompressionType, FilterType, PngEncoder};
    let mut bytes = Vec::new();
    PngEncoder::new_with_quality(&mut bytes, CompressionType::Default, FilterType::Adaptive).write_image(
        picture.as_raw(),
        picture.width(),
        picture.height(),
        image::ExtendedColorType::Rgb8,
    )?;
    Ok(bytes)
}

/// What all pictures of a preview share.
struct Scene<'a> {
    volume: &'a Volume,
    targets: Vec<Outline<'a>>,
    frame: Frame,
    /// First and last voxel shown along each view axis.
    field: [(usize, usize); 3],
    window: Window,
    /// Pixels per voxel along each view axis; the same number of pixels per millimetre along all.
    zoom: [f64; 3],
    pixels_per_mm: f64,
}

impl<'a> Scene<'a> {
    fn new(
        volume: &'a Volume,
        targets: &[Outline<'a>],
        frame: Frame,
        field: [(usize, usize); 3],
        window: Window,
    ) -> Scene<'a> {
        let spacing = frame.grid.spacing();
        let mm: [f64; 3] = std::array::from_fn(|a| (field[a].1 - field[a].0 + 1) as f64 * spacing[a]);
        let across: f64 = View::ALL.iter().map(|v| mm[v.axes()[0]]).sum();
        let down = View::ALL.iter().map(|v| mm[v.axes()[1]]).fold(0.0, f64::max);
        let room = f64::from(WIDTH - 2 * MARGIN - 2 * GAP);
        let pixels_per_mm = (room / across).min(TALLEST / down).min(LARGEST_MM);
        // Large masks first, so that small ones lie on top of them.
        let mut targets = targets.to_vec();
        targets.sort_by_key(|t| std::cmp::Reverse(t.mask.count()));
        Scene {
            volume,
            targets,
            frame,
            field,
            window,
            zoom: spacing.map(|s| s * pixels_per_mm),
            pixels_per_mm,
        }
    }

    /// Pixels along a view axis.
    fn length(&self, axis: usize) -> i32 {
        let (low, high) = self.field[axis];
        (((high - low + 1) as f64 * self.zoom[axis]).floor() as i32).max(1)
    }

    fn row_height(&self) -> i32 {
        View::ALL.iter().map(|v| self.length(v.axes()[1])).max().unwrap_or(1)
    }

    /// Where the three pictures of a row lie, side by side in the middle of the page: the picture, and the box it is centred in.
    fn places(&self, top: i32) -> [(View, [i32; 4], [i32; 4]); 3] {
        let widths = View::ALL.map(|v| self.length(v.axes()[0]));
        let mut left = (WIDTH - widths.iter().sum::<i32>() - 2 * GAP) / 2;
        let tall = self.row_height();
        std::array::from_fn(|n| {
            let (view, width) = (View::ALL[n], widths[n]);
            let height = self.length(view.axes()[1]);
            let place = [left, top + (tall - height) / 2, width, height];
            let around = [left, top, width, tall];
            left += width + GAP;
            (view, place, around)
        })
    }

    fn draw_images(&self, canvas: &mut Canvas, top: i32, planes: &Planes) {
        for (n, (view, place, around)) in self.places(top).into_iter().enumerate() {
            canvas.fill(around, [0, 0, 0], 1.0);
            self.draw_image(canvas, view, planes[n], place);
        }
    }

    fn draw_target(&self, canvas: &mut Canvas, target: &Outline<'_>, rows: &[(i32, &Planes)]) {
        let mask = target.mask.unpack();
        for (top, planes) in rows {
            for (n, (view, place, _)) in self.places(*top).into_iter().enumerate() {
                if let Some(patch) = Patch::new(&mask, &self.frame, view, planes[n]) {
                    self.draw_patch(canvas, &patch, view, place, target.colour);
                }
            }
        }
    }

    fn annotate_row(&self, canvas: &mut Canvas, top: i32, planes: &Planes) {
        for (n, (view, place, around)) in self.places(top).into_iter().enumerate() {
            self.draw_ticks(canvas, view, planes, place);
            self.annotate(canvas, view, planes[n], around);
        }
    }

    /// The voxel coordinate at the middle of a pixel.
    fn voxel(&self, axis: usize, pixel: i32) -> f64 {
        (f64::from(pixel) + 0.5) / self.zoom[axis] - 0.5 + self.field[axis].0 as f64
    }

    fn draw_image(&self, canvas: &mut Canvas, view: View, at: usize, [left, top, width, height]: [i32; 4]) {
        let [across, down, _] = view.axes();
        let slice = self.frame.slice(self.volume, view, at);
        let rows = slice.values.len() / slice.width;
        let columns: Vec<Taps> = (0..width)
            .map(|x| Taps::new(self.voxel(across, x), self.zoom[across], slice.width))
            .collect();
        for y in 0..height {
            // Down first, into one row of voxels; then across.
            let taps = Taps::new(self.voxel(down, y), self.zoom[down], rows);
            let row: Vec<f32> = (0..slice.width)
                .map(|x| taps.mix(|n| self.window.shade(slice.values[x + slice.width * n])))
                .collect();
            for (x, taps) in columns.iter().enumerate() {
                let grey = (taps.mix(|n| row[n]).clamp(0.0, 1.0) * 255.0).round() as u8;
                canvas.blend(left + x as i32, top + y, [grey; 3], 1.0);
            }
        }
    }

    /// A light fill and an outline two pixels wide that follows the mask's edge between voxels.
    fn draw_patch(&self, canvas: &mut Canvas, patch: &Patch, view: View, place: [i32; 4], colour: [u8; 3]) {
        let [across, down, _] = view.axes();
        let pixel = |axis: usize, voxel: f64| ((voxel - self.field[axis].0 as f64) * self.zoom[axis]).round() as i32;
        let (x0, x1) = (
            pixel(across, patch.left as f64 - 0.5) - 2,
            pixel(across, (patch.left + patch.width) as f64 + 0.5) + 2,
        );
        let (y0, y1) = (
            pixel(down, patch.top as f64 - 0.5) - 2,
            pixel(down, (patch.top + patch.height) as f64 + 0.5) + 2,
        );
        let (width, height) = ((x1 - x0 + 1) as usize, (y1 - y0 + 1) as usize);
        let mut field = vec![0.0; width * height];
        for (n, value) in field.iter_mut().enumerate() {
            let (x, y) = (x0 + (n % width) as i32, y0 + (n / width) as i32);
            *value = self.cover(patch, across, down, x, y);
        }
        // Where pixels are larger than voxels a thin structure covers no pixel by half, and must still be seen.
        let most = field.iter().copied().fold(0.0, f64::max);
        let edge = if most > 0.7 { 0.5 } else { most / 2.0 };
        for y in 1..height - 1 {
            for x in 1..width - 1 {
                let at = x + width * y;
                let slope =
                    ((field[at + 1] - field[at - 1]) / 2.0).hypot((field[at + width] - field[at - width]) / 2.0);
                let inside = ((field[at] - edge) / slope.max(1e-9)).clamp(-9.0, 9.0); // pixels from the edge
                let line = (1.5 - (inside - 0.25).abs()).clamp(0.0, 1.0) * 0.95;
                let fill = (inside + 0.5).clamp(0.0, 1.0) * 0.16;
                let (px, py) = (x0 + x as i32, y0 + y as i32);
                if px >= 0 && py >= 0 && px < place[2] && py < place[3] {
                    canvas.blend(place[0] + px, place[1] + py, colour, line.max(fill) as f32);
                }
            }
        }
    }

    /// How much of a pixel lies inside a mask.
    fn cover(&self, patch: &Patch, across: usize, down: usize, x: i32, y: i32) -> f64 {
        let (u, v) = (self.voxel(across, x), self.voxel(down, y));
        let (du, dv) = (0.25 / self.zoom[across], 0.25 / self.zoom[down]);
        if self.zoom[across].min(self.zoom[down]) >= 1.0 {
            return patch.at(u, v);
        }
        [(-du, -dv), (du, -dv), (-du, dv), (du, dv)]
            .iter()
            .map(|(a, b)| patch.at(u + a, v + b))
            .sum::<f64>()
            / 4.0
    }

    /// Short strokes at the image's edges where the row's other planes cut it.
    fn draw_ticks(&self, canvas: &mut Canvas, view: View, planes: &Planes, [left, top, width, height]: [i32; 4]) {
        let [across, down, _] = view.axes();
        for (n, other) in View::ALL.into_iter().enumerate().filter(|(_, other)| *other != view) {
            let axis = other.axes()[2];
            let at = ((planes[n] as f64 + 0.5 - self.field[axis].0 as f64) * self.zoom[axis]) as i32;
            if axis == across {
                canvas.fill([left + at, top, 1, 9], TICK, 0.9);
                canvas.fill([left + at, top + height - 9, 1, 9], TICK, 0.9);
            } else if axis == down {
                canvas.fill([left, top + at, 9, 1], TICK, 0.9);
                canvas.fill([left + width - 9, top + at, 9, 1], TICK, 0.9);
            }
        }
    }

    /// Letters at the sides, what the plane is, and how long a stretch is.
    fn annotate(&self, canvas: &mut Canvas, view: View, plane: usize, [left, top, width, height]: [i32; 4]) {
        let [west, east, north, south] = view.letters();
        let (middle, centre) = (left + width / 2, top + height / 2);
        canvas.side_letter(west, [left + 21, centre], INK);
        canvas.side_letter(east, [left + width - 21, centre], INK);
        canvas.side_letter(north, [middle, top + 21], INK);
        canvas.side_letter(south, [middle, top + height - 20], INK);

        let through = view.axes()[2];
        let mut inside = [0, 1, 2].map(|a| (self.field[a].0 + self.field[a].1) as f64 / 2.0);
        inside[through] = plane as f64;
        let mm = self.frame.grid.to_world(inside)[through];
        let sign = if mm <= -0.5 { "−" } else { "" };
        let long = format!("{}  {} {sign}{:.0} mm", view.name(), ["x", "y", "z"][through], mm.abs());
        let fits = canvas.width(&long, 14.0) < width as f32 / 2.0 - 20.0;
        let caption = if fits { long.as_str() } else { view.name() };
        canvas.text_over(caption, 14.0, [left + 8, top + 13], Anchor::Start, SOFT);
        if view == View::Axial {
            self.scale_bar(canvas, [left, top, width, height]);
        }
    }

    fn scale_bar(&self, canvas: &mut Canvas, [left, top, width, height]: [i32; 4]) {
        let fits = |mm: &&f64| **mm * self.pixels_per_mm <= f64::from(width) * 0.28;
        let Some(mm) = [100.0, 50.0, 20.0, 10.0, 5.0, 2.0, 1.0].iter().find(fits) else {
            return;
        };
        let long = (mm * self.pixels_per_mm).round() as i32;
        let (x, y) = (left + 10, top + height - 14);
        canvas.fill([x - 1, y - 1, long + 2, 4], [0, 0, 0], 0.8);
        canvas.fill([x, y, long, 2], INK, 1.0);
        for end in [x, x + long - 2] {
            canvas.fill([end - 1, y - 5, 4, 11], [0, 0, 0], 0.8);
            canvas.fill([end, y - 4, 2, 9], INK, 1.0);
        }
        canvas.text_over(
            &format!("{mm:.0} mm"),
            14.0,
            [x + long / 2, y - 13],
            Anchor::Middle,
            INK,
        );
    }
}

/// Weights of the voxels that make up a pixel: Catmull-Rom, stretched over the pixel where that is larger than a voxel.
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

impl Taps {
    fn new(voxel: f64, zoom: f64, length: usize) -> Taps {
        let stretch = (1.0 / zoom).max(1.0);
        let reach = 2.0 * stretch;
        let low = (voxel - reach).ceil() as isize;
        let high = (voxel + reach).floor() as isize;
        let last = length as isize - 1;
        let first = low.clamp(0, last) as usize;
        let mut weights = vec![0.0; (high.clamp(0, last) as usize) - first + 1];
        let mut sum = 0.0;
        for n in low..=high {
            let weight = catmull_rom((n as f64 - voxel) / stretch);
            weights[n.clamp(0, last) as usize - first] += weight as f32; // the edge repeats
            sum += weight as f32;
        }
        if sum != 0.0 {
            weights.iter_mut().for_each(|w| *w /= sum);
        }
        Taps { first, weights }
    }

    fn mix(&self, value: impl Fn(usize) -> f32) -> f32 {
        self.weights
            .iter()
            .enumerate()
            .map(|(n, weight)| weight * value(self.first + n))
            .sum()
    }
}

fn catmull_rom(x: f64) -> f64 {
    let x = x.abs();
    if x < 1.0 {
        1.5 * x * x * x - 2.5 * x * x + 1.0
    } else if x < 2.0 {
        -0.5 * x * x * x + 2.5 * x * x - 4.0 * x + 2.0
    } else {
        0.0
    }
}
