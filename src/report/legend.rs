//! Names, colours and volumes below the pictures, in as many columns as they need.

use super::canvas::{Anchor, Canvas};
use super::style::{DIM, INK, MARGIN, Outline, WIDTH};

const SIZE: f32 = 17.0;
const LINE: i32 = 25;
const SWATCH: i32 = 14;
const FOOT: f32 = 13.0;
/// More entries than this aren't a picture's business.
const MOST: usize = 120;
const COLUMN_GAP: i32 = 30;

struct Entry {
    name: String,
    value: String,
    colour: [u8; 3],
    visible: bool,
    found: bool,
}

pub(super) struct Legend {
    entries: Vec<Entry>,
    columns: i32,
    column_width: i32,
    more: usize,
    hidden: bool,
}

impl Legend {
    /// Lays the entries out; `visible` says which of them the pictures show.
    pub fn new(canvas: &Canvas, targets: &[Outline<'_>], visible: &[bool]) -> Legend {
        let mut entries: Vec<Entry> = targets
            .iter()
            .zip(visible)
            .take(MOST)
            .map(|(target, &visible)| {
                let found = !target.mask.is_empty();
                let value = if found {
                    format!("{} mL", short(target.volume_ml))
                } else {
                    "not found".to_owned()
                };
                Entry {
                    name: target.name.to_owned(),
                    value,
                    colour: target.colour,
                    visible,
                    found,
                }
            })
            .collect();
        let room = WIDTH - 2 * MARGIN;
        let fixed = SWATCH + 9 + 14;
        let values = entries.iter().map(|e| canvas.width(&e.value, SIZE)).fold(0.0, f32::max);
        let names = entries.iter().map(|e| canvas.width(&e.name, SIZE)).fold(0.0, f32::max);
        // A single long name must not cost everyone a column.
        let widest = if entries.len() > 4 {
            names.min(330.0)
        } else {
            names.min(760.0)
        };
        for entry in &mut entries {
            entry.name = canvas.fitted(&entry.name, SIZE, widest);
        }
        let column_width = fixed + widest.ceil() as i32 + values.ceil() as i32;
        let fit = ((room + COLUMN_GAP) / (column_width + COLUMN_GAP)).max(1);
        // Few entries make short columns rather than one long row.
        let columns = fit.min(entries.len().div_ceil(3) as i32).max(1);
        let hidden = entries.iter().any(|e| e.found && !e.visible);
        Legend {
            entries,
            columns,
            column_width,
            more: targets.len().saturating_sub(MOST),
            hidden,
        }
    }

    fn lines(&self) -> i32 {
        self.entries.len().div_ceil(self.columns as usize) as i32
    }

    pub fn height(&self) -> i32 {
        let more = i32::from(self.more > 0) * LINE;
        8 + self.lines() * LINE + more + 12 + FOOT as i32
    }

    pub fn draw(&self, canvas: &mut Canvas, top: i32, caption: &str) {
        let lines = self.lines().max(1);
        for (n, entry) in self.entries.iter().enumerate() {
            let (column, line) = (n as i32 / lines, n as i32 % lines);
            let x = MARGIN + column * (self.column_width + COLUMN_GAP);
            let y = top + 8 + line * LINE + LINE / 2;
            let swatch = [x, y - SWATCH / 2, SWATCH, SWATCH];
            match (entry.found, entry.visible) {
                (true, true) => canvas.fill(swatch, entry.colour, 1.0),
                (true, false) => canvas.frame(swatch, 2, entry.colour),
                (false, _) => canvas.frame(swatch, 1, DIM),
            }
            let ink = if entry.found { INK } else { DIM };
            canvas.text(&entry.name, SIZE, [x + SWATCH + 9, y], Anchor::Start, ink);
            canvas.text(&entry.value, SIZE, [x + self.column_width, y], Anchor::End, ink);
        }
        let mut y = top + 8 + self.lines() * LINE;
        if self.more > 0 {
            let text = format!("… and {} more: see the table of measurements", self.more);
            canvas.text(&text, SIZE, [MARGIN, y + LINE / 2], Anchor::Start, DIM);
            y += LINE;
        }
        let mut left = format!("{caption}  ·  R and L are the patient's");
        if self.hidden {
            left += "  ·  hollow: not in these planes";
        }
        let y = y + 12 + FOOT as i32 / 2;
        canvas.text(&left, FOOT, [MARGIN, y], Anchor::Start, DIM);
        canvas.text(
            "sat-mcp  ·  not for diagnosis",
            FOOT,
            [WIDTH - MARGIN, y],
            Anchor::End,
            DIM,
        );
    }
}

/// Three digits, or all before the point.
fn short(ml: f64) -> String {
    if ml <= 0.0 {
        return "0".to_owned();
    }
    let places = (2 - ml.log10().floor() as i32).clamp(0, 6) as usize;
    format!("{ml:.places$}")
}
