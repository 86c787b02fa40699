//! What a report mentions, and what of it is worth segmenting.
#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;
use sat_mcp::anatomy::{Catalogue, Kind, Mention, Mentions, Offered, OfferedClass, Resolver, Section, report_text};
use sat_mcp::volume::Modality;
use std::fmt::Write;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

static SAT: LazyLock<Resolver> =
    LazyLock::new(|| Resolver::new(Catalogue::load(), &Offered::everything("sat", Catalogue::load())));

fn modality(word: &str) -> Modality {
    match word {
        "ct" => Modality::Ct,
        "mri" => Modality::Mri,
        "pet" => Modality::Pet,
        other => panic!("{other} is no modality"),
    }
}

/// A mention as the tables write it: `text -> name [flags]`.
fn told(mention: &Mention) -> String {
    let text = mention.text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut told = format!("{text} -> {}", mention.name.as_deref().unwrap_or("?"));
    let flags: Vec<&str> = [
        (mention.negated, "negated"),
        (mention.history, "history"),
        (mention.uncertain, "uncertain"),
        (mention.section == Some(Section::Technique), "technique"),
        (mention.section == Some(Section::Comparison), "comparison"),
    ]
    .into_iter()
    .filter_map(|(is, flag)| is.then_some(flag))
    .chain(mention.problem.as_ref().map(|problem| problem.code.as_str()))
    .collect();
    if !flags.is_empty() {
        let _ = write!(told, " [{}]", flags.join(", "));
    }
    told
}

fn all_told(found: &Mentions) -> String {
    found.mentions.iter().map(told).collect::<Vec<_>>().join(" | ")
}

#[test]
fn typical_phrases_give_the_names_that_a_reader_would_mark() {
    let mut wrong = String::new();
    let mut count = 0;
    for line in include_str!("data/anatomy/reports/snippets.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .skip(1)
    {
        let cells: Vec<&str> = line.split('\t').collect();
        let report = cells[1].replace("\\n", "\n");
        let found = all_told(&SAT.mentions(&report, modality(cells[0])));
        if found != cells[2] {
            let _ = writeln!(wrong, "{}\n  found    {found}\n  expected {}", cells[1], cells[2]);
        }
        count += 1;
    }
    assert!(count >= 60);
    assert!(wrong.is_empty(), "{wrong}");
}

/// The mentions of a whole report as a table: line, column, then as for the phrases.
fn table(found: &Mentions) -> String {
    let mut table = String::from("line\tcolumn\tmention\n");
    for mention in &found.mentions {
        let _ = writeln!(table, "{}\t{}\t{}", mention.line, mention.column, told(mention));
    }
    for target in &found.targets {
        let _ = writeln!(table, "\t\ttarget: {target}");
    }
    for left_out in &found.left_out {
        let _ = writeln!(table, "\t\tleft out: {}: {}", left_out.target, left_out.reason);
    }
    table
}

#[test]
fn whole_reports_give_their_mentions_targets_and_what_is_left_out() {
    let reports = [
        (
            Modality::Ct,
            include_str!("data/anatomy/reports/abdomen_ct.txt"),
            include_str!("data/anatomy/reports/abdomen_ct.tsv"),
        ),
        (
            Modality::Mri,
            include_str!("data/anatomy/reports/brain_mri.txt"),
            include_str!("data/anatomy/reports/brain_mri.tsv"),
        ),
        (
            Modality::Pet,
            include_str!("data/anatomy/reports/neck_pet.txt"),
            include_str!("data/anatomy/reports/neck_pet.tsv"),
        ),
    ];
    for (modality, report, expected) in reports {
        assert_eq!(
            table(&SAT.mentions(report, modality)),
            expected,
            "{}",
            modality.as_str()
        );
    }
}

#[test]
fn a_range_of_levels_or_ribs_stands_for_each_of_them() {
    for (report, first, last, count) in [
        ("L2 to L4", "lumbar vertebrae 2 (l2)", "lumbar vertebrae 4 (l4)", 3),
        (
            "L2 through L4 vertebrae",
            "lumbar vertebrae 2 (l2)",
            "lumbar vertebrae 4 (l4)",
            3,
        ),
        ("T11-L2", "thoracic vertebrae 11 (t11)", "lumbar vertebrae 2 (l2)", 4),
        ("C5/6", "cervical vertebrae 5 (c5)", "cervical vertebrae 6 (c6)", 2),
        ("ribs 4-7 on the left", "left rib 4", "left rib 7", 4),
        ("4th to 7th left ribs", "left rib 4", "left rib 7", 4),
        ("right ribs 8 through 10", "right rib 8", "right rib 10", 3),
        (
            "segments 5-8 of the liver",
            "right anterior inferior segment of liver",
            "right anterior superior segment of liver",
            4,
        ),
    ] {
        let found = SAT.mentions(&format!("Seen at {report}."), Modality::Ct);
        let classes: Vec<&str> = found
            .mentions
            .iter()
            .flat_map(|mention| match &mention.composed_of {
                Some(parts) => parts.iter().map(String::as_str).collect(),
                None => vec![mention.name.as_deref().unwrap()],
            })
            .collect();
        assert!(
            found.mentions.iter().all(|mention| mention.text == report),
            "{report}: {}",
            all_told(&found)
        );
        assert_eq!(
            (classes.first(), classes.last(), classes.len()),
            (Some(&first), Some(&last), count),
            "{report}"
        );
    }
}

#[test]
fn a_cue_says_which_words_flag_a_mention_and_a_target_needs_one_mention_that_counts() {
    let found = SAT.mentions(
        "No pleural effusion. Status post splenectomy. Spleen: normal.",
        Modality::Ct,
    );
    let cue = found.mentions[0].cue.as_ref().unwrap();
    assert_eq!((cue.text.as_str(), cue.start, cue.end), ("No", 0, 2));
    assert_eq!(found.mentions[0].kind, Kind::Abnormality);
    assert_eq!(found.mentions[1].cue.as_ref().unwrap().text, "splenectomy");
    assert_eq!(found.targets, ["Spleen"]);
    assert_eq!(found.left_out.len(), 1);
    assert_eq!(found.left_out[0].reason, "negated (\"No\")");
}

#[test]
fn what_the_model_lacks_is_told_apart_from_what_it_has() {
    let class = |name: &str| OfferedClass {
        name: name.into(),
        modalities: vec![Modality::Mri],
        ..OfferedClass::default()
    };
    let small = Offered {
        model: "small".into(),
        classes: vec![class("left thalamus"), class("right thalamus")],
    };
    let resolver = Resolver::new(Catalogue::load(), &small);
    let found = resolver.mentions("The thalami and the liver are normal.", Modality::Mri);
    assert_eq!(found.model.as_deref(), Some("small"));
    assert_eq!(found.targets, ["thalami"]);
    assert_eq!(found.mentions[0].composed_of.as_ref().map(Vec::len), Some(2));
    assert_eq!(found.mentions[0].available, Some(true));
    assert_eq!(found.mentions[1].available, Some(false));
    assert_eq!(found.mentions[1].problem.as_ref().unwrap().code, "not_in_model");
    let json = serde_json::to_value(found.without_model()).unwrap();
    assert!(json.get("model").is_none() && json["mentions"][0].get("available").is_none());
}

#[test]
fn bytes_that_are_no_report_are_refused_with_the_fault() {
    let told = |bytes: &[u8]| report_text("r.txt", bytes.to_vec()).unwrap_err().to_string();
    assert!(told(b" \n\t").contains("r.txt: the report is empty"));
    assert!(told(b"liver \xff").contains("offset 6"));
    assert!(told(&vec![b'a'; (1 << 20) + 1]).contains("more than 1048576 bytes"));
    assert_eq!(report_text("r.txt", b"liver".to_vec()).unwrap(), "liver");
}

#[test]
fn the_schema_of_the_answer_stands_by_itself() {
    let schema = serde_json::to_string(&schemars::schema_for!(Mentions)).unwrap();
    assert!(schema.contains("left_out") && !schema.contains("$ref"), "{schema}");
}

/// The promises that hold for any text.
fn holds(report: &str, modality: Modality) {
    let found = SAT.mentions(report, modality);
    let letters: Vec<char> = report.chars().collect();
    for mention in &found.mentions {
        let slice: String = letters[mention.start..mention.end].iter().collect();
        assert_eq!(slice, mention.text);
        let line = report.chars().take(mention.start).filter(|c| *c == '\n').count() + 1;
        assert_eq!(line, mention.line);
        if let Some(cue) = &mention.cue {
            let slice: String = letters[cue.start..cue.end].iter().collect();
            assert_eq!(slice, cue.text);
        }
    }
    for target in &found.targets {
        assert!(SAT.resolve(target, modality, false).is_ok(), "{target}");
    }
    assert!(found.mentions.is_sorted_by_key(|mention| mention.start));
    assert_eq!(found, SAT.mentions(report, modality));
    assert!(!found.text().is_empty());
}

/// Words that the scan looks at closely.
const WORDS: &[&str] = &[
    "left",
    "right",
    "L",
    "R",
    "both",
    "and",
    "or",
    ",",
    ";",
    ".",
    ":",
    "/",
    "-",
    "(",
    ")",
    "to",
    "the",
    "of",
    "in",
    "on",
    "no",
    "not seen",
    "absent",
    "history of",
    "possible",
    "?",
    "L2",
    "L4",
    "T1",
    "T2",
    "C7",
    "S1",
    "weighted",
    "rib",
    "ribs",
    "4th",
    "7",
    "segment",
    "IV",
    "liver",
    "kidney",
    "kidneys",
    "cyst",
    "renal artery",
    "vein",
    "upper",
    "lower",
    "lobe",
    "lobes",
    "lung",
    "ventricles",
    "superior",
    "inferior",
    "vena cava",
    "splenectomy",
    "nephrectomy",
    "partial",
    "HISTORY:",
    "FINDINGS:",
    "PE",
    "RA",
    "LV",
    "CC",
    "2.5",
    "cm",
    "disc",
    "gall",
    "bladder",
    "hippocampas",
    "\n",
    "\n\n",
    "\r\n",
    "é",
    "腎",
    "𝕏",
    "\u{301}",
    "\u{0}",
    "gluteus",
    "maximus",
    "medius",
    "hippocampal",
    "hepatic",
    "splenic",
    "adrenal",
    "lesion",
    "atrophy",
    "resection of",
    "transplant",
    "renal vein",
    "measures",
    "is unchanged",
    "COMPARISON:",
    "CT",
    "stone",
    "atlas",
    "axis",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_gets_an_answer_whose_places_and_targets_hold(report in "\\PC{0,120}") {
        for modality in [Modality::Ct, Modality::Mri, Modality::Pet] {
            holds(&report, modality);
        }
    }

    #[test]
    fn so_does_any_heap_of_the_words_that_matter(words in prop::collection::vec(prop::sample::select(WORDS), 0..40), glue in "[ ]{0,1}") {
        for modality in [Modality::Ct, Modality::Mri, Modality::Pet] {
            holds(&words.join(if glue.is_empty() { " " } else { "" }), modality);
            holds(&words.join(" "), modality);
        }
    }
}

#[test]
fn adjectives_without_a_noun_are_of_nothing() {
    let targets = |report: &str| SAT.mentions(report, Modality::Ct).targets;
    assert!(
        targets("Small lesion, hepatic and splenic")
            .iter()
            .all(|name| !name.contains("spleen") && name != "liver")
    );
    assert_eq!(targets("hippocampal and hippocampal"), Vec::<String>::new());
    assert_eq!(targets("hepatic and splenic atrophy"), ["liver", "spleen"]);
    // the last of a list may have a name of its own, which is then the others' noun, too
    let among = |report: &str, organs: &[&str]| {
        let found = targets(report);
        assert!(
            organs.iter().all(|organ| found.contains(&(*organ).to_owned())),
            "{report}: {found:?}"
        );
    };
    among("hepatic, renal cysts", &["liver", "renal cysts"]);
    among(
        "hepatic and splenic and renal cysts",
        &["liver", "spleen", "renal cysts"],
    );
    among("hepatic and adrenal lesions", &["liver"]);
    among(
        "hepatic, splenic, pulmonary, pancreatic and adrenal lesions",
        &["liver", "spleen", "lung", "pancreas"],
    );
    among(
        "hepatic, splenic, gastric, pancreatic, colonic and renal cysts",
        &["liver", "pancreas", "colon"],
    );
}

#[test]
fn long_reports_take_time_in_proportion() {
    let texts = [
        "The liver, spleen and both kidneys are normal; no pleural effusion, no pulmonary nodule. ",
        "no pe, ",
        "left and right and ",
        "L1, ",
        "kidney ",
        "left ",
        "right 4th ",
        "no cyst, ",
        "L1 to ",
        "a",
        "splenectomy, spleen, ",
        "absent ",
        "rib 1, 2, 3, ",
        "prior cyst measures ",
        "right hepatic and splenic lesion, ",
        "resection of the the liver and ",
        "COMPARISON: a. ",
        "CT ",
        "L4-5 disc ",
        "\n",
    ];
    let mut reports: Vec<String> = texts
        .iter()
        .map(|text| text.repeat((1 << 20) / text.len() / 4))
        .collect();
    reports.push("rib ".to_owned() + &"1, 2, ".repeat(40_000));
    let word = |i: u32| {
        i.to_string()
            .bytes()
            .map(|digit| char::from(digit - b'0' + b'k'))
            .collect::<String>()
            + "ation "
    };
    reports.push((0..30_000).map(word).collect());
    for report in reports {
        let start = Instant::now();
        SAT.mentions(&report, Modality::Ct);
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "{:?} took {:?}",
            &report[..20],
            start.elapsed()
        );
    }
}
