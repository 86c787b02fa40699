//! The three tools as their callers see them: names, words and schemas.

use super::{icons, schema, viewer};
use crate::anatomy::{ListAnswer, ListRequest};
use crate::service::{MeasureAnswer, MeasureRequest, Omissions, SegmentAnswer, SegmentRequest};
use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use std::sync::{Arc, LazyLock};

pub(super) const LIST_ANATOMY: &str = "list_anatomy";
pub(super) const SEGMENT: &str = "segment";
pub(super) const MEASURE_VOLUME: &str = "measure_volume";

const LIST_ANATOMY_WORDS: &str = "Look up what can be segmented and under which names, before calling segment: the \
catalogue of SAT, a neural network that outlines anatomical structures, lesions and tumours in CT, MRI and PET scans when given their names. \
Give `query` one structure from the user or a report (\"left kidney\", \"ventricles\", \"liver tumour\") and `modality` the kind of \
scan. The best matches come first: `score` 0.8 or more means that segment accepts the phrase as this class, less is a \
suggestion. `available` says whether the loaded model can find it. Without a query it lists everything, page by page. \
Costs nothing; needs no scan.";

const SEGMENT_WORDS: &str = "Find structures in a 3-D scan by name and measure them. Give the scan as `image` (the path of a NIfTI file or a DICOM series; \
over HTTP the sat://images/… that PUT /images returned for it), its `modality` and one or many `targets` (names: see list_anatomy); \
asking for many at once costs hardly more than one. For each target you get a \
mask file on the scan's own grid, the volume in mL, centre, longest diameter, number of parts, mean intensity and \
whether the image's edge cuts it off; for all together a label map and a preview picture with outlines. Takes seconds to \
minutes; `status: running` means call again with the same arguments. Asking again for a finished result returns it at \
once. A target that is not there gives an empty mask with a warning, not an error. Unknown names give an error with the \
nearest known ones. Automatic and approximate: pass the warnings on with the numbers; not a diagnosis.";

const MEASURE_VOLUME_WORDS: &str = "Measure masks again, or masks that segment did not make: volume in mL, centre, longest \
diameter, connected parts, edges that cut it off; with `image` also intensities (Hounsfield units for CT); with `reference` also \
agreement with a second mask on the same grid (Dice, surface Dice at 1 mm, Hausdorff distance 95 %, volume difference). Takes a \
`result_id` of segment, or any mask, label map or DICOM SEG as `mask`: a path, or the sat://results/… of one. segment's own answer already has the \
usual numbers. Writes nothing.";

/// The tools, always in this order. Where there are archives, two of them `reach_out`.
pub(super) fn all(reach_out: bool) -> &'static [Tool] {
    static HERE: LazyLock<Vec<Tool>> = LazyLock::new(|| made(false));
    static REACHING: LazyLock<Vec<Tool>> = LazyLock::new(|| made(true));
    match reach_out {
        true => &REACHING,
        false => &HERE,
    }
}

fn made(reach_out: bool) -> Vec<Tool> {
    vec![
        tool(LIST_ANATOMY, "What can be segmented", LIST_ANATOMY_WORDS, true, false)
            .with_icons(icons::list_anatomy())
            .with_input(schema::input::<ListRequest>())
            .with_raw_output_schema(Arc::new(schema::output::<ListAnswer>(&Omissions::of_list()))),
        tool(SEGMENT, "Segment a scan by names", SEGMENT_WORDS, false, reach_out)
            .with_icons(icons::segment())
            .with_input(schema::input::<SegmentRequest>())
            .with_raw_output_schema(Arc::new(schema::output::<SegmentAnswer>(&Omissions::of_segment())))
            .with_meta(viewer::of_tool()),
        tool(MEASURE_VOLUME, "Measure masks", MEASURE_VOLUME_WORDS, true, reach_out)
            .with_icons(icons::measure_volume())
            .with_input(schema::input::<MeasureRequest>())
            .with_raw_output_schema(Arc::new(schema::output::<MeasureAnswer>(&Omissions::of_measure()))),
    ]
}

/// The tool of this name.
pub(super) fn named(name: &str, reach_out: bool) -> Option<&'static Tool> {
    all(reach_out).iter().find(|tool| tool.name == name)
}

/// None of them destroys anything, or does more when called twice: an archive that is sent an object again keeps the one it has.
fn tool(name: &'static str, title: &str, words: &'static str, read_only: bool, reaches_out: bool) -> Tool {
    let hints = ToolAnnotations::new()
        .read_only(read_only)
        .idempotent(true)
        .destructive(false)
        .open_world(reaches_out);
    Tool::new(name, words, JsonObject::new())
        .with_title(title)
        .with_annotations(hints)
}

trait WithInput {
    fn with_input(self, schema: JsonObject) -> Tool;
}

impl WithInput for Tool {
    fn with_input(mut self, schema: JsonObject) -> Tool {
        self.input_schema = Arc::new(schema);
        self
    }
}
