//! Drawing on a picture: text, rectangles, single points with transparency.

use ab_glyph::{Font, FontRef, Glyph, PxScale, ScaleFont, point};
use image::{Rgb, RgbImage};

/// DejaVu Sans, Latin letters and some signs only; its licence lies beside it.
const FONT: &[u8] = include_bytes!("font/DejaVuSans-latin.ttf");

/// Where text is anchored at its x.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A picture being drawn.
pub(super) struct Canvas {
    pub picture: RgbImage,
    font: Option<FontRef<'static>>,
}

impl Canvas {
    pub fn new(width: u32, height: u32, background: [u8; 3]) -> Canvas {
        Canvas {
            picture: RgbImage::from_pixel(width, height, Rgb(background)),
            font: FontRef::try_from_slice(FONT).ok(), // built in: there, and proved by a test
        }
    }

    /// Mixes `colour` over a pixel; outside the picture nothing happens.
    pub fn blend(&mut self, x: i32, y: i32, colour: [u8; 3], alpha: f32) {
        let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else {
            return;
        };
        if let Some(pixel) = self.picture.get_pixel_mut_checked(x, y) {
            for (below, above) in pixel.0.iter_mut().zip(colour) {
                *below = (f32::from(*below) * (1.0 - alpha) + f32::from(above) * alpha).round() as u8;
            }
        }
    }

    /// A filled rectangle.
    pub fn fill(&mut self, [x, y, width, height]: [i32; 4], colour: [u8; 3], alpha: f32) {
        for y in y..y + height {
            for x in x..x + width {
                self.blend(x, y, colour, alpha);
            }
        }
    }

    /// A rectangle's border, `thick` pixels inwards.
    pub fn frame(&mut self, [x, y, width, height]: [i32; 4], thick: i32, colour: [u8; 3]) {
        self.fill([x, y, width, thick], colour, 1.0);
        self.fill([x, y + height - thick, width, thick], colour, 1.0);
        self.fill([x, y + thick, thick, height - 2 * thick], colour, 1.0);
        self.fill([x + width - thick, y + thick, thick, height - 2 * thick], colour, 1.0);
    }

    /// Width of a line of text in pixels.
    pub fn width(&self, text: &str, size: f32) -> f32 {
        self.glyphs(text, size).1
    }

    /// Text whose letters' middle is at height `y`.
    pub fn text(&mut self, text: &str, size: f32, [x, y]: [i32; 2], anchor: Anchor, colour: [u8; 3]) {
        let (glyphs, width) = self.glyphs(text, size);
        let left = x as f32
            - match anchor {
                Anchor::Start => 0.0,
                Anchor::Middle => width / 2.0,
                Anchor::End => width,
            };
        let baseline = y as f32 + size * 0.32; // half the height of capitals
        let Some(font) = self.font.clone() else { return };
        for mut glyph in glyphs {
            glyph.position.x += left;
            glyph.position.y += baseline;
            let Some(outline) = font.outline_glyph(glyph) else {
                continue;
            };
            let corner = outline.px_bounds().min;
            outline.draw(|gx, gy, cover| {
                self.blend(
                    corner.x as i32 + gx as i32,
                    corner.y as i32 + gy as i32,
                    colour,
                    cover.min(1.0),
                );
            });
        }
    }

    /// Text that stays readable over an image: with a dark rim.
    pub fn text_over(&mut self, text: &str, size: f32, [x, y]: [i32; 2], anchor: Anchor, colour: [u8; 3]) {
        for (dx, dy) in [(-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (1, 1), (-1, 1), (1, -1)] {
            self.text(text, size, [x + dx, y + dy], anchor, [0, 0, 0]);
        }
        self.text(text, size, [x, y], anchor, colour);
    }

    /// A direction's letter around a middle point. A capital I in a face without serifs is a bar, so it gets them.
    pub fn side_letter(&mut self, letter: &str, [x, y]: [i32; 2], colour: [u8; 3]) {
        const SIZE: f32 = 20.0;
        if letter == "I" {
            let half = (SIZE * 0.365) as i32;
            for serif in [y - half, y + half - 2] {
                self.fill([x - 5, serif - 1, 10, 4], [0, 0, 0], 1.0);
            }
            self.text_over(letter, SIZE, [x, y], Anchor::Middle, colour);
            for serif in [y - half, y + half - 2] {
                self.fill([x - 4, serif, 8, 2], colour, 1.0);
            }
        } else {
            self.text_over(letter, SIZE, [x, y], Anchor::Middle, colour);
        }
    }

    /// `text` cut to fit into `room` pixels, with an ellipsis where something was cut.
    pub fn fitted(&self, text: &str, size: f32, room: f32) -> String {
        if self.width(text, size) <= room {
            return text.to_owned();
        }
        let mut letters: Vec<char> = text.chars().collect();
        while letters.pop().is_some() {
            let cut: String = letters.iter().collect::<String>().trim_end().to_owned() + "…";
            if self.width(&cut, size) <= room {
                return cut;
            }
        }
        String::new()
    }

    /// Glyphs on a line that starts at 0, and its width. Letters that the font lacks become a replacement sign.
    fn glyphs(&self, text: &str, size: f32) -> (Vec<Glyph>, f32) {
        let Some(font) = &self.font else {
            return (Vec::new(), 0.0);
        };
        // A font's size is that of its em; ab_glyph asks for ascent minus descent.
        let em = font.units_per_em().unwrap_or(2048.0);
        let scale = PxScale::from(size * font.height_unscaled() / em);
        let scaled = font.as_scaled(scale);
        let (mut at, mut last, mut out) = (0.0, None, Vec::new());
        for letter in text.chars() {
            let mut id = font.glyph_id(letter);
            if id.0 == 0 {
                id = font.glyph_id('\u{fffd}');
            }
            at += last.map_or(0.0, |last| scaled.kern(last, id));
            out.push(id.with_scale_and_position(scale, point(at, 0.0)));
            at += scaled.h_advance(id);
            last = Some(id);
        }
        (out, at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_font_draws_letters_with_and_without_accents() {
        let mut canvas = Canvas::new(200, 40, [0, 0, 0]);
        assert!(canvas.width("hippocampus", 16.0) > 60.0);
        canvas.text("Ménière – 3.4 mL", 16.0, [4, 20], Anchor::Start, [255, 255, 255]);
        assert!(canvas.picture.pixels().filter(|p| p.0[0] > 200).count() > 100);
    }

    #[test]
    fn long_text_is_cut_to_its_room() {
        let canvas = Canvas::new(1, 1, [0, 0, 0]);
        let cut = canvas.fitted("left superior temporal gyrus", 16.0, 120.0);
        assert!(cut.ends_with('…') && canvas.width(&cut, 16.0) <= 120.0, "{cut}");
        assert_eq!(canvas.fitted("brain", 16.0, 120.0), "brain");
    }
}
