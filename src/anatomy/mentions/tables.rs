//! Word tables of the scan. English; all in lower case.

/// Words for two sides.
pub(super) const BOTH: &[&str] = &["both", "bilateral", "bilat"];

/// Words that names contain but neither begin nor end with.
pub(super) const JOINING: &[&str] = &[
    "and", "or", "with", "without", "between", "excluding", "around", "to",
];

/// Words of a range.
pub(super) const TO: &[&str] = &["to", "through", "thru"];

/// `left` or `right`, as reports write them.
pub(super) fn side(word: &str) -> Option<&'static str> {
    match word {
        "left" | "l" | "lt" => Some("left"),
        "right" | "r" | "rt" => Some("right"),
        _ => None,
    }
}

/// Short words of names that are words and no abbreviations.
pub(super) const SHORT_WORDS: &[&str] = &[
    "axis", "bone", "bones", "cord", "cyst", "disc", "disk", "eye", "eyes", "fat", "gut", "head", "hip", "hips", "horn",
    "lens", "lip", "lips", "lobe", "lung", "mass", "pons", "rib", "ribs", "scar", "skin", "vein", "womb",
];

/// Words that are names but mean nothing by themselves in a report.
pub(super) const NEVER_ALONE: &[&str] = &[
    "abnormalities", "abnormality", "areas", "body", "cor", "globus", "level", "levels", "matter", "mouth",
    "ren",
];

/// Names that are mere adjectives before another noun: "bone marrow", "fat necrosis".
pub(super) const MODIFIERS: &[&str] = &["bone", "fat"];

/// Words that are the last part of many names, evened out: alone they ask back, behind a word that says which they mean
/// something else.
pub(super) const GENERAL: &[&str] = &[
    "artery", "cartilage", "cava", "cortex", "edema", "embolus", "gland", "gyrus", "hemisphere", "horn", "infarct",
    "infarction", "lamina", "lobe", "medulla", "nerve", "orbit", "pelvis", "scar", "vein", "ventricle",
];

/// Words before one of those that do not say which.
pub(super) const NEUTRAL: &[&str] = &[
    "a", "acute", "adjacent", "an", "and", "any", "are", "as", "at", "both", "by", "chronic", "compressed", "dilated",
    "distended", "enlarged", "entire", "evolving", "extensive", "focal", "for", "from", "has", "have", "in", "into",
    "is", "large", "left", "mild", "minimal", "moderate", "new", "no", "normal", "of", "old", "on", "or", "possible",
    "prominent", "recent", "right", "severe", "slight", "small", "subtle", "that", "the", "this", "to",
    "unremarkable", "visualized", "whole", "with", "within", "without",
];

/// Phrases that contain a name and mean something else.
pub(super) const OTHER_THINGS: &[&str] = &[
    "air fluid level", "air fluid levels", "axis deviation", "body mass", "bone algorithm", "bone density",
    "bone scan", "bone window", "bone windows", "brain window", "brain windows", "breast feeding", "cancer screening",
    "disc space narrowing", "drain into", "drain to", "drains into", "drains to", "fat plane", "fat planes", "fat sat", "fat saturated", "fat saturation", "fat stranding",
    "fat suppressed", "fat suppression", "gallbladder bed", "gallbladder fossa", "heart failure", "heart rate",
    "iliac spine", "iliac spines", "ischial spine", "ischial spines", "kidney function", "liver function",
    "liver protocol", "liver window", "liver windows", "long axis", "lung cancer screening", "lung protocol",
    "lung window", "lung windows", "mass effect", "nasal spine", "optic disc", "optic discs", "optic disk",
    "prostate bed", "renal fossa", "short axis", "skin fold", "skin folds", "skin marker", "spermatic cord",
    "spermatic cords", "splenic bed", "splenic fossa", "stroke volume", "thyroid bed", "thyroid cartilage",
    "thyroid function", "tibial spine", "tibial spines", "tumor board", "tumor marker", "tumor markers",
    "tumour markers", "umbilical cord", "vocal cord", "vocal cords",
];

/// Abbreviations and words that prose uses for something else, too: they count only beside one of the words in [`COMPANY`], and where it
/// has none for them never.
pub(super) const DOUBTFUL: &[&str] = &[
    "acc", "axis", "bg", "cc", "cia", "cor", "cst", "cva", "f2", "f3", "gm", "gp", "ian", "la", "lk",
    "nac", "pv", "ra", "rk", "sn", "spl", "ub", "v3", "v4",
];

const HEART: &[&str] = &[
    "dilated", "enlarged", "dilatation", "enlargement", "volume", "la", "ra", "lv", "rv", "laa", "atrium", "atria", "atrial", "ventricle", "ventricles", "ventricular", "heart",
    "cardiac", "chambers", "chamber", "mpa", "pulmonary",
];
const BRAIN: &[&str] = &[
    "acc", "bg", "cc", "cst", "gm", "gp", "sn", "wm", "nac", "brain", "cerebral", "callosum", "genu", "splenium",
    "putamen", "caudate", "thalamus", "thalami", "lobe", "cortex", "white", "grey", "gray", "nucleus", "infarct",
    "stroke", "ischemia", "brainstem",
];
const BELLY: &[&str] = &[
    "kidney", "kidneys", "rk", "lk", "liver", "bladder", "portal", "splenic", "smv", "cyst", "stone", "ub", "ivc",
];

const NECK: &[&str] = &["atlantoaxial", "atlas", "c1", "c2", "dens", "odontoid"];

/// Which words make a doubtful abbreviation a sure one.
pub(super) const COMPANY: &[(&str, &[&str])] = &[
    ("acc", BRAIN),
    ("axis", NECK),
    ("bg", BRAIN),
    ("cc", BRAIN),
    ("cst", BRAIN),
    ("gm", BRAIN),
    ("gp", BRAIN),
    ("la", HEART),
    ("lk", BELLY),
    ("nac", BRAIN),
    ("pv", BELLY),
    ("ra", HEART),
    ("rk", BELLY),
    ("sn", BRAIN),
    ("ub", BELLY),
];

/// Words, evened out, that make a name something found: SAT was taught none of these, and offers what lies near.
pub(super) const FINDINGS: &[&str] = &[
    "abscess", "adenoma", "adenopathy", "air", "aneurysm", "ascites", "atelectasis", "calculus", "cancer", "catheter",
    "choledocholithiasis", "cholelithiasis", "collection", "consolidation", "cyst", "dissection", "diverticulitis", "diverticulosis", "diverticulum", "drain",
    "effusion", "embolus", "emphysema", "fibroid", "gallstone", "ggo", "hemangioma", "hematoma", "hemorrhage", "hernia",
    "hydrocephalus", "hydronephrosis", "hydroureter", "infiltrate", "lacune", "leiomyoma", "lesion", "lymphadenopathy", "macroadenoma", "mass",
    "metastasis", "microadenoma", "microbleed", "myoma", "nephrolithiasis", "nodule", "opacity", "pacemaker", "pneumonia",
    "pneumoperitoneum", "pneumothorax", "polyp", "pseudocyst", "sdh", "shunt", "stent", "stone", "thrombosis",
    "thrombus", "tube", "tumor", "urolithiasis", "varice", "varix", "ventriculomegaly",
];

/// Words behind an adjective that are no nouns.
pub(super) const NO_NOUNS: &[&str] = &[
    "and", "are", "but", "can", "does", "for", "from", "had", "has", "have", "into", "may", "nor", "not", "than", "that",
    "the", "then", "this", "was", "were", "which", "with", "within", "without",
];
/// Nouns behind the adjective of an organ that are not in the organ, or nothing to be seen.
pub(super) const NOT_THE_ORGAN: &[&str] = &[
    "access", "angiogram", "angiography", "aqueduct", "arrest", "arterial", "arteries", "artery", "bed", "biliary",
    "biopsy", "canal", "catheter", "catheterization", "cistern", "cisterns", "clinic", "colic", "contrast",
    "device", "devices", "dialysis", "drainage", "duct", "ductal", "ducts", "emptying", "encephalopathy", "enzymes", "event", "events", "failure", "fissure", "flexure",
    "fossa", "function", "functions", "ganglia", "ganglion", "gating", "hernia", "hernias", "hila", "hilar", "hilum", "hypertension", "implant",
    "implants", "insufficiency", "lead", "leads", "ligament", "ligaments", "line", "lymph", "murmur", "nerve", "nerves", "node", "nodes", "output", "pacemaker", "pacemakers", "palsy", "panel", "phase",
    "portal", "protocol", "recess", "reflux", "region", "scan", "sheath", "sinus", "space", "spaces", "stent", "sulci", "sulcus", "surgery", "symptoms",
    "transit", "tube", "ultrasound", "urethra", "valve", "valves", "valvular", "varices", "vascular", "vascularity", "vasculature", "vein", "veins", "venous",
    "vessel", "vessels", "window", "windows",
];

/// Units and counts behind a number that is no level and no rib.
pub(super) const UNITS: &[&str] = &[
    "cc", "cm", "cm2", "cm3", "cms", "day", "days", "degree", "degrees", "f", "g", "gy", "hounsfield", "hours", "hu",
    "kev", "kg", "kv", "kvp", "l", "mas", "mci", "mg", "mgy", "min", "minutes", "ml", "mm", "mm2", "mm3", "month",
    "months", "mhz", "ms", "mbq", "percent", "sec", "seconds", "slices", "t", "tesla", "times", "week", "weeks",
    "year", "years", "yo",
];

/// MR words behind T1 and T2.
pub(super) const SIGNAL: &[&str] = &[
    "axial", "bright", "contrast", "coronal", "dark", "dixon", "elongation", "fast", "fat", "flair", "fs", "fse",
    "gradient", "gre", "haste", "high", "hyper", "hyperintense", "hyperintensities", "hyperintensity", "hypo",
    "hypointense", "hypointensity", "image", "images", "imaging", "intense", "isointense", "low", "map", "mapping",
    "maps", "mprage", "post", "postcontrast", "precontrast", "prolongation", "propeller", "relaxation", "sagittal",
    "sequence", "sequences", "shine", "shortening", "signal", "space", "spin", "star", "stir", "time", "times", "tse",
    "values", "vibe", "w", "weighted", "weighting", "wi",
];
/// MR words before them.
pub(super) const BEFORE_SIGNAL: &[&str] = &[
    "3d", "axial", "coronal", "heavily", "high", "hyperintense", "hypointense", "increased", "isointense", "low",
    "multiplanar", "native", "post", "postcontrast", "pre", "precontrast", "sagittal", "saturated", "suppressed",
    "transverse", "weighted",
];
/// Words beside T1 and T2 that make them vertebrae on MR, too.
pub(super) const SPINE: &[&str] = &[
    "body", "compression", "disc", "disk", "endplate", "fracture", "level", "levels", "pedicle", "process",
    "superior", "vertebra", "vertebrae", "vertebral",
];
/// Words behind a level that belong to it.
pub(super) const VERTEBRA: &[&str] = &[
    "vertebra", "vertebrae", "vertebral", "body", "bodies", "level", "levels",
];
/// Words behind a level that make it something else.
pub(super) const NOT_THE_BONE: &[&str] = &[
    "dermatome", "dermatomes", "ganglia", "ganglion", "myotome", "nerve", "nerves", "radiculopathy", "root", "roots",
    "dermatomal",
];

/// Words that make two levels the disc between them.
pub(super) const DISC: &[&str] = &[
    "annular", "annulus", "bulge", "bulges", "bulging", "desiccated", "desiccation", "disc", "discs", "disk", "disks",
    "extruded", "extrusion", "extrusions", "herniated", "herniation", "herniations", "interspace", "protruding",
    "protrusion", "protrusions", "sequestration",
];
/// Words that make them the bones.
pub(super) const BONE: &[&str] = &[
    "bodies", "body", "bone", "bony", "compression", "corpectomy", "endplate", "endplates", "fracture", "fractured",
    "fractures", "fused", "fusion", "hardware", "instrumentation", "laminectomy", "marrow", "metastases", "metastasis",
    "pedicle", "pedicles", "screws", "vertebra", "vertebrae", "vertebral",
];
/// Words behind a number that make it a count of something else: "L2 and 3 other levels".
pub(super) const COUNTED: &[&str] = &[
    "additional", "further", "large", "larger", "more", "new", "old", "other", "others", "prior", "small", "smaller",
];

/// Words between a side, a number and "rib".
pub(super) const RIB_PLACES: &[&str] = &[
    "anterior", "anterolateral", "lateral", "medial", "posterior", "posterolateral", "posteromedial",
];
/// First to twelfth.
pub(super) const ORDINALS: [&str; 12] = [
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
    "twelfth",
];

/// Words that make a segment one of the liver's.
pub(super) const LIVER: &[&str] = &["liver", "hepatic", "couinaud"];
/// Words before a segment of something else.
pub(super) const OTHER_SEGMENTS: &[&str] = &[
    "lung", "pulmonary", "bronchopulmonary", "bowel", "spinal", "arterial", "lad", "rca",
];
