//! What people call things, and what the program takes it for.
#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;
use sat_mcp::anatomy::{
    Catalogue, Detail, Laterality, ListRequest, Offered, OfferedClass, ResolveError, Resolved, Resolver,
};
use sat_mcp::volume::Modality;
use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Instant;

const MODALITIES: [Modality; 3] = [Modality::Ct, Modality::Mri, Modality::Pet];

static SAT: LazyLock<Resolver> =
    LazyLock::new(|| Resolver::new(Catalogue::load(), &Offered::everything("sat", Catalogue::load())));
static MINI: LazyLock<Resolver> = LazyLock::new(|| Resolver::new(Catalogue::load(), &mini()));

/// The structures that the shipped model offers.
fn mini() -> Offered {
    let unsided = [
        "brain",
        "brainstem",
        "cerebellum",
        "third ventricle",
        "fourth ventricle",
    ]
    .map(str::to_owned);
    let sided = [
        "thalamus",
        "caudate nucleus",
        "putamen",
        "pallidum",
        "hippocampus",
        "amygdala",
        "lateral ventricle",
        "cerebral white matter",
    ];
    let sided = sided
        .iter()
        .flat_map(|name| [format!("left {name}"), format!("right {name}")]);
    let class = |name: String| OfferedClass {
        experimental: name.contains("amygdala"),
        name,
        modalities: vec![Modality::Mri],
        region: Some("brain".into()),
        ..OfferedClass::default()
    };
    Offered {
        model: "mini".into(),
        classes: unsided.into_iter().chain(sided).map(class).collect(),
    }
}

fn modality(word: &str) -> Modality {
    MODALITIES
        .into_iter()
        .find(|modality| modality.as_str() == word)
        .unwrap()
}

fn table(text: &str) -> impl Iterator<Item = (&str, &Resolver, Modality, &str)> {
    text.lines().filter(|line| !line.starts_with('#')).skip(1).map(|line| {
        let cells: Vec<&str> = line.split('\t').collect();
        let resolver = if cells[1] == "sat" { &*SAT } else { &*MINI };
        (cells[0], resolver, modality(cells[2]), cells[3])
    })
}

fn told(found: Result<Resolved, ResolveError>) -> String {
    match found {
        Ok(Resolved::Class { name, score, .. }) => {
            assert!(score >= 0.8);
            name
        }
        Ok(Resolved::Union { parts, .. }) => format!("union: {}", parts.join(" + ")),
        Ok(Resolved::Untrained { phrase, .. }) => format!("untrained: {phrase}"),
        Err(ResolveError::NotAName { .. }) => "not_a_name".into(),
        Err(ResolveError::Ambiguous { .. }) => "ambiguous".into(),
        Err(ResolveError::NotInModality { name, .. }) => format!("not_in_modality: {name}"),
        Err(ResolveError::NotInModel { name, .. }) => format!("not_in_model: {name}"),
        Err(ResolveError::Unknown { candidates, .. }) => {
            format!(
                "unknown: {}",
                candidates.first().map_or("", |candidate| candidate.name.as_str())
            )
        }
    }
}

#[test]
fn what_people_say_is_taken_for_what_they_mean() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for (phrase, resolver, modality, expected) in table(include_str!("data/anatomy/phrases.tsv")) {
        let found = told(resolver.resolve(phrase, modality, false));
        if found != expected {
            wrong.push(format!("{phrase} ({}): {found}, not {expected}", modality.as_str()));
        }
        count += 1;
    }
    assert!(count >= 200);
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_is_no_class_or_not_here_is_refused_with_the_right_reason() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for (phrase, resolver, modality, expected) in table(include_str!("data/anatomy/refusals.tsv")) {
        let found = told(resolver.resolve(phrase, modality, false));
        let fits = if expected == "unknown" {
            found.starts_with("unknown")
        } else {
            found == expected
        };
        if !fits {
            wrong.push(format!("{phrase} ({}): {found}, not {expected}", modality.as_str()));
        }
        count += 1;
    }
    assert!(count >= 40);
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Every name and synonym of the catalogue.
fn all_phrases() -> Vec<(&'static str, &'static str, bool)> {
    let mut phrases = Vec::new();
    for class in Catalogue::load().classes() {
        phrases.push((class.name.as_str(), class.name.as_str(), true));
        phrases.extend(
            class
                .synonyms
                .iter()
                .map(|synonym| (synonym.as_str(), class.name.as_str(), false)),
        );
    }
    phrases
}

#[test]
fn every_name_and_synonym_means_its_class_wherever_sat_was_taught_it() {
    let mut wrong = Vec::new();
    for (phrase, name, is_name) in all_phrases() {
        let class = Catalogue::load().class(name).unwrap();
        for (modality, _) in &class.scans {
            match SAT.resolve(phrase, *modality, false) {
                Ok(Resolved::Class { name: found, score, .. }) if found == name => {
                    let expected = if is_name { 1.0 } else { 0.9 };
                    if score < expected {
                        wrong.push(format!("{phrase}: {score}"));
                    }
                }
                other => wrong.push(format!("{phrase} ({}): {}, not {name}", modality.as_str(), told(other))),
            }
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

/// The list's promise: 0.8 or more exactly when `segment` takes the phrase for this name (where the model has it at all).
fn list_agrees_with_resolve(resolver: &Resolver, phrase: &str, modality: Modality) -> Result<(), String> {
    let request = ListRequest {
        query: Some(phrase.into()),
        modality: Some(modality),
        limit: Some(200),
        ..Default::default()
    };
    let answer = resolver.list(&request).map_err(|error| error.to_string())?;
    let taken = match resolver.resolve(phrase, modality, false) {
        Ok(Resolved::Class { name, score, .. } | Resolved::Union { name, score, .. }) => {
            Some((name, Some(score), true))
        }
        Err(ResolveError::NotInModel { name, .. }) => Some((name, None, false)),
        _ => None,
    };
    let accepted: Vec<_> = answer.items.iter().filter(|item| item.score.unwrap() >= 0.8).collect();
    match (&taken, accepted.as_slice()) {
        (None, []) => Ok(()),
        (Some((name, score, available)), [item])
            if item.name == *name
                && item.available == *available
                && score.is_none_or(|score| Some(score) == item.score) =>
        {
            Ok(())
        }
        _ => Err(format!(
            "{phrase} ({}): list {accepted:?}, resolve {taken:?}",
            modality.as_str()
        )),
    }
}

#[test]
fn the_list_and_segment_agree_about_every_name_synonym_and_phrase_of_the_tables() {
    let tables = [
        include_str!("data/anatomy/phrases.tsv"),
        include_str!("data/anatomy/refusals.tsv"),
    ];
    let mut phrases: Vec<&str> = all_phrases().into_iter().map(|(phrase, ..)| phrase).collect();
    phrases.extend(tables.iter().flat_map(|text| table(text).map(|(phrase, ..)| phrase)));
    phrases.sort_unstable();
    phrases.dedup();
    // every fifth on the whole model, all on the small one
    for (i, phrase) in phrases.iter().enumerate() {
        for modality in MODALITIES {
            list_agrees_with_resolve(&MINI, phrase, modality).unwrap();
            if i % 5 == 0 {
                list_agrees_with_resolve(&SAT, phrase, modality).unwrap();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_slip_never_changes_the_side_or_the_level(pick in 0usize..10_000, at in 0usize..100, letter in "[a-z0-9]", how in 0..4) {
        let phrases = all_phrases();
        let (phrase, name, _) = phrases[pick % phrases.len()];
        let mut letters: Vec<char> = phrase.chars().collect();
        let at = at % letters.len();
        let letter = letter.chars().next().unwrap();
        match how {
            0 => { letters.remove(at); }
            1 => letters.insert(at, letter),
            2 => letters[at] = letter,
            _ => if at + 1 < letters.len() { letters.swap(at, at + 1) },
        }
        let typed: String = letters.into_iter().collect();
        let side = |name: &str| (name.contains("left"), name.contains("right"));
        let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
        for modality in MODALITIES {
            let found = match SAT.resolve(&typed, modality, false) {
                Ok(Resolved::Class { name, score, .. }) if score < 0.9 => name,
                _ => continue,
            };
            prop_assert_eq!(side(&found), side(name), "{} -> {}", typed, found);
            prop_assert_eq!(digits(&found), digits(name), "{} -> {}", typed, found);
        }
    }

    #[test]
    fn any_text_gets_an_answer_and_the_list_agrees(text in "\\PC{0,40}", words in prop::collection::vec("[a-z]{1,9}", 0..4)) {
        for phrase in [text, words.join(" ")] {
            for modality in MODALITIES {
                let found = MINI.resolve(&phrase, modality, false);
                if !matches!(found, Err(ResolveError::NotAName { .. })) {
                    prop_assert!(list_agrees_with_resolve(&MINI, &phrase, modality).is_ok());
                }
            }
        }
    }

    #[test]
    fn case_order_and_punctuation_do_not_matter(pick in 0usize..10_000, turn in 0usize..6) {
        let classes = Catalogue::load().classes();
        let class = &classes[pick % classes.len()];
        // a number without its word ("4 l5 disc") would be another name: only the figureless are turned
        if class.name.chars().any(|c| c.is_ascii_digit()) || class.scans.is_empty() {
            return Ok(());
        }
        let mut words: Vec<&str> = class.name.split(' ').collect();
        let turn = turn % words.len();
        words.rotate_left(turn);
        let phrase = words.join(", ").to_uppercase();
        let found = SAT.resolve(&phrase, class.scans[0].0, false);
        prop_assert_eq!(found, Ok(Resolved::Class { name: class.name.clone(), score: 1.0, experimental: false }), "{}", phrase);
    }
}

#[test]
fn text_that_can_be_no_name_is_an_argument_error_and_never_an_experiment() {
    for phrase in ["", "   ", "\u{7}\u{1b}", "—", &"kidney ".repeat(1500)] {
        let error = SAT.resolve(phrase, Modality::Ct, true).unwrap_err();
        assert_eq!(error.code(), "invalid_argument");
        assert!(error.to_string().len() < 200 && !error.hint().is_empty());
    }
    let found = SAT.resolve("left\u{0}\tkidney\n", Modality::Ct, false);
    assert!(matches!(found, Ok(Resolved::Class { name, .. }) if name == "left kidney"));
}

#[test]
fn an_untrained_phrase_is_tried_only_where_the_caller_asks_for_it() {
    let found = SAT.resolve("  kidney\tstone ", Modality::Ct, true);
    assert_eq!(
        found,
        Ok(Resolved::Untrained {
            phrase: "kidney stone".into(),
            prompt: "kidney stone".into(),
            why: "\"kidney stone\" is no class that SAT or the loaded model knows".into(),
        })
    );
    // What SAT knows but this model does not is tried by SAT's name for it, and not called unknown.
    let found = MINI.resolve("L kidney", Modality::Mri, true);
    assert_eq!(
        found,
        Ok(Resolved::Untrained {
            phrase: "L kidney".into(),
            prompt: "left kidney".into(),
            why: "the model mini does not have \"left kidney\"".into(),
        })
    );
    assert!(matches!(
        SAT.resolve("R kidney", Modality::Ct, true),
        Ok(Resolved::Class { .. })
    ));
}

#[test]
fn errors_say_what_would_work_and_offer_what_the_model_has() {
    let error = MINI.resolve("left temporal horn", Modality::Mri, false).unwrap_err();
    assert_eq!(error.code(), "not_in_model");
    assert_eq!(error.candidates()[0].name, "left lateral ventricle");
    assert!(
        error
            .candidates()
            .iter()
            .all(|candidate| candidate.available && candidate.score < 0.8)
    );

    let error = MINI.resolve("basal ganglia", Modality::Mri, false).unwrap_err();
    let names: Vec<&str> = error
        .candidates()
        .iter()
        .map(|candidate| candidate.name.as_str())
        .collect();
    assert!(names.contains(&"left putamen"), "{names:?}");

    let error = SAT.resolve("left cochlea", Modality::Mri, false).unwrap_err();
    assert_eq!(
        (error.code(), error.candidates()[0].name.as_str()),
        ("not_in_modality", "cochlea")
    );
    assert_eq!(error.to_string(), "\"left cochlea\" was taught in CT only, not in MR");

    let error = SAT.resolve("portal vein", Modality::Ct, false).unwrap_err();
    assert!(error.to_string().contains("as one class"), "{error}");
    assert_eq!(error.hint(), "Near and available: \"portal vein and splenic vein\".");

    let error = SAT.resolve("vena cava", Modality::Ct, false).unwrap_err();
    assert_eq!(
        error.hint(),
        "Say which: \"inferior vena cava\", \"superior vena cava\"."
    );
}

#[test]
fn a_run_of_levels_is_a_union_and_a_dash_between_neighbours_asks_where_it_may_be_the_disc() {
    let found = SAT.resolve("L2 to L4", Modality::Ct, false);
    let levels =
        |numbers: std::ops::RangeInclusive<u8>| numbers.map(|n| format!("lumbar vertebrae {n} (l{n})")).collect();
    assert_eq!(
        found,
        Ok(Resolved::Union {
            phrase: "L2 to L4".into(),
            name: "L2 to L4".into(),
            parts: levels(2..=4),
            score: 0.9,
            experimental: false
        })
    );
    let parts = |phrase: &str, modality| match SAT.resolve(phrase, modality, false) {
        Ok(Resolved::Union { parts, .. }) => parts,
        other => panic!("{phrase}: {other:?}"),
    };
    assert_eq!(parts("L4 to L5", Modality::Mri), levels(4..=5));
    assert_eq!(
        parts("left ribs 4-6", Modality::Ct),
        ["left rib 4", "left rib 5", "left rib 6"]
    );
    assert_eq!(parts("liver segments VI-VII", Modality::Ct).len(), 2);
    for (modality, place) in [(Modality::Mri, 0), (Modality::Ct, 2)] {
        let error = SAT.resolve("L4-L5", modality, false).unwrap_err();
        assert_eq!(error.code(), "ambiguous_target");
        assert!(
            error.candidates()[place]
                .name
                .starts_with("intervertebral disc between"),
            "CT has none, but it may be meant"
        );
    }
    let error = SAT.resolve("C2-C4", Modality::Mri, false).unwrap_err();
    assert_eq!(error.to_string(), "\"C2 to C4\" was taught in CT only, not in MR");
    assert_eq!(
        MINI.resolve("L2 to L4", Modality::Mri, false).unwrap_err().code(),
        "not_in_model"
    );
    for phrase in ["L2 to L4", "L4-L5", "T11-L2", "left ribs 4-6", "C2 to C4"] {
        for modality in MODALITIES {
            list_agrees_with_resolve(&SAT, phrase, modality).unwrap();
            list_agrees_with_resolve(&MINI, phrase, modality).unwrap();
        }
    }
}

#[test]
fn no_other_organ_is_offered_for_a_shared_word() {
    let names = |phrase: &str, resolver: &Resolver, modality| -> Vec<String> {
        let error = resolver.resolve(phrase, modality, false).unwrap_err();
        assert!(
            error.candidates().iter().all(|near| !near.instead),
            "{phrase}: {error:?}"
        );
        error.candidates().iter().map(|near| near.name.clone()).collect()
    };
    for (phrase, wrong) in [
        ("rectum", "straight gyrus"),
        ("hip", "hippocampus"),
        ("spinal cord", "heart ventricle"),
        ("optic nerve", "vestibular schwannoma"),
    ] {
        assert!(
            !names(phrase, &SAT, Modality::Mri).contains(&wrong.to_owned()),
            "{phrase}"
        );
    }
    assert!(!names("lateral ventricle", &SAT, Modality::Ct).contains(&"left heart ventricle".to_owned()));
    let beside = names("corpus callosum", &MINI, Modality::Mri);
    assert!(
        beside.contains(&"lateral ventricle".to_owned()),
        "what lies beside it: {beside:?}"
    );
    assert_eq!(names("left cochlea", &SAT, Modality::Mri)[0], "cochlea", "kin first");
}

#[test]
fn both_may_be_said_of_what_holds_both_sides() {
    for (phrase, expected) in [
        ("bilateral pleural effusions", "lung effusion"),
        ("both renal arteries", "renal artery"),
        ("bilateral pulmonary emboli", "pulmonary embolism"),
    ] {
        assert_eq!(told(SAT.resolve(phrase, Modality::Ct, false)), expected);
    }
    assert!(SAT.resolve("both livers", Modality::Ct, false).is_err());
}

#[test]
fn a_question_back_is_asked_with_a_side_too() {
    for (phrase, first) in [
        ("left ilium", "left hip"),
        ("both psoas muscles", "iliopsoas"),
        ("right ovary", "gonad"),
        ("left vertebral body", "vertebrae"),
    ] {
        let error = SAT.resolve(phrase, Modality::Ct, false).unwrap_err();
        assert_eq!(error.code(), "unknown_target", "{phrase}");
        assert_eq!(error.candidates()[0].name, first, "{phrase}");
        assert!(error.to_string().contains("SAT"), "{error}");
    }
    for phrase in ["rkidney", "lkidney"] {
        assert!(
            SAT.resolve(phrase, Modality::Ct, false).is_err(),
            "{phrase}: a side would be lost"
        );
    }
}

#[test]
fn a_list_says_why_a_query_is_none_here() {
    let note = |query: &str, modality| {
        let request = ListRequest {
            query: Some(query.into()),
            modality: Some(modality),
            ..Default::default()
        };
        SAT.list(&request).unwrap().note.unwrap_or_default()
    };
    assert_eq!(
        note("spinal cord", Modality::Mri),
        "\"spinal cord\" was taught in CT only, not in MR"
    );
    assert!(note("liver and spleen", Modality::Ct).contains("several structures"));
}

#[test]
fn several_structures_in_one_phrase_are_told_apart() {
    let error = SAT.resolve("kidney and spleen", Modality::Ct, false).unwrap_err();
    assert_eq!(error.code(), "unknown_target");
    assert_eq!(
        error.to_string(),
        "\"kidney and spleen\" is no class that SAT or the loaded model knows. It names several structures: give each as a \
         target of its own"
    );
    let names: Vec<&str> = error
        .candidates()
        .iter()
        .map(|candidate| candidate.name.as_str())
        .collect();
    assert_eq!(names, ["kidney", "spleen"]);
    let error = SAT
        .resolve("liver, spleen / L kidney & T12", Modality::Ct, false)
        .unwrap_err();
    assert_eq!(error.candidates().len(), 4);
    // One of them unknown, or one thing with an "and" in its name: nothing is claimed.
    assert!(
        !SAT.resolve("kidney and urethra", Modality::Ct, false)
            .unwrap_err()
            .to_string()
            .contains("several")
    );
    assert!(SAT.resolve("portal and splenic vein", Modality::Ct, false).is_ok());
}

#[test]
fn a_weak_class_is_said_to_be_weak() {
    let found = MINI.resolve("left amygdala", Modality::Mri, false);
    assert!(matches!(found, Ok(Resolved::Class { experimental: true, .. })));
    let found = MINI.resolve("amygdala", Modality::Mri, false);
    assert!(matches!(found, Ok(Resolved::Union { experimental: true, .. })));
}

#[test]
fn a_model_may_describe_a_class_once_for_each_modality() {
    let class = |modality, experimental, synonym: &str| OfferedClass {
        name: "hippocampus".into(),
        modalities: vec![modality],
        synonyms: vec![synonym.into()],
        experimental,
        ..OfferedClass::default()
    };
    let classes = vec![
        class(Modality::Ct, true, "seahorse"),
        class(Modality::Mri, false, "sea horse of the brain"),
    ];
    let resolver = Resolver::new(
        Catalogue::load(),
        &Offered {
            model: "twice".into(),
            classes,
        },
    );
    for (phrase, modality, weak) in [
        ("seahorse", Modality::Mri, false),
        ("sea horse of the brain", Modality::Ct, true),
    ] {
        let found = resolver.resolve(phrase, modality, false);
        assert_eq!(
            found,
            Ok(Resolved::Class {
                name: "hippocampus".into(),
                score: 0.9,
                experimental: weak
            })
        );
    }
}

#[test]
fn the_list_is_the_whole_catalogue_whatever_the_model_and_says_what_is_available() {
    for (modality, classes) in [(None, 451), (Some(Modality::Pet), 3)] {
        let answer = SAT
            .list(&ListRequest {
                modality,
                limit: Some(200),
                ..Default::default()
            })
            .unwrap();
        assert_eq!(answer.total, classes);
        assert!(answer.items.iter().all(|item| item.available && item.score.is_none()));
    }
    let counted = |modality: Modality| {
        SAT.list(&ListRequest {
            modality: Some(modality),
            ..Default::default()
        })
        .unwrap()
        .total
    };
    assert_eq!(MODALITIES.map(counted).iter().sum::<usize>(), 498);
    let answer = MINI.list(&ListRequest::default()).unwrap();
    // with the model's own: fourth ventricle, left and right lateral ventricle, left and right cerebral white matter
    assert_eq!((answer.total, answer.items.len()), (456, 50));
    assert_eq!(answer.model, "mini");
    assert!(
        answer.items.iter().take(21).all(|item| item.available),
        "what the model has comes first"
    );
    let own = MINI
        .list(&ListRequest {
            query: Some("fourth ventricle".into()),
            ..Default::default()
        })
        .unwrap();
    assert!(own.items[0].available && own.items[0].training_scans == Default::default());
}

#[test]
fn pages_join_to_the_whole_without_repeats_and_cursors_stay_with_their_query() {
    let mut request = ListRequest {
        modality: Some(Modality::Mri),
        limit: Some(37),
        ..Default::default()
    };
    let mut names = Vec::new();
    loop {
        let page = SAT.list(&request).unwrap();
        names.extend(page.items.into_iter().map(|item| item.name));
        match page.next_cursor {
            Some(cursor) => request.cursor = Some(cursor),
            None => {
                assert_eq!(names.len(), page.total);
                break;
            }
        }
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 189);
    let cursor = SAT
        .list(&ListRequest {
            limit: Some(5),
            ..Default::default()
        })
        .unwrap()
        .next_cursor;
    let other = ListRequest {
        cursor: cursor.clone(),
        modality: Some(Modality::Ct),
        ..Default::default()
    };
    assert!(SAT.list(&other).unwrap_err().to_string().contains("without a cursor"));
    let other = ListRequest {
        cursor,
        ..Default::default()
    };
    assert!(
        SAT.list(&other).is_ok(),
        "another limit is another page size, not another list"
    );
    for cursor in ["", "x", "0.", "zz.deadbeef", "ffffffffffffffffffff.00000000"] {
        assert!(
            SAT.list(&ListRequest {
                cursor: Some(cursor.into()),
                ..Default::default()
            })
            .is_err(),
            "{cursor}"
        );
    }
}

#[test]
fn arguments_out_of_range_are_refused_with_what_works() {
    for limit in [0, -1, 201, i64::MAX] {
        let error = SAT
            .list(&ListRequest {
                limit: Some(limit),
                ..Default::default()
            })
            .unwrap_err();
        assert_eq!(error.code(), "invalid_argument");
        assert!(error.to_string().contains("1 to 200"));
    }
    let error = SAT
        .list(&ListRequest {
            region: Some("elbow".into()),
            ..Default::default()
        })
        .unwrap_err();
    assert!(error.to_string().contains("upper limb"), "{error}");
    let found = SAT
        .list(&ListRequest {
            region: Some("Head_and_Neck".into()),
            ..Default::default()
        })
        .unwrap();
    assert!(found.items.iter().all(|item| item.region == "head and neck"));
    assert!(
        SAT.list(&ListRequest {
            query: Some("x".repeat(10_000)),
            ..Default::default()
        })
        .is_err()
    );
    let blank = SAT
        .list(&ListRequest {
            query: Some("  ".into()),
            ..Default::default()
        })
        .unwrap();
    assert_eq!(blank.total, 451, "a blank query is no query");
}

#[test]
fn detail_says_how_much_and_a_summary_shows_only_the_synonym_that_matched() {
    let ask = |detail| {
        SAT.list(&ListRequest {
            query: Some("IVC".into()),
            detail,
            ..Default::default()
        })
        .unwrap()
    };
    let (summary, full) = (ask(None), ask(Some(Detail::Full)));
    assert_eq!(summary.items[0].name, "inferior vena cava");
    assert_eq!(summary.items[0].synonyms, ["ivc"]);
    assert_eq!(summary.items[0].score, Some(0.9));
    assert!(full.items[0].synonyms.len() > 2);
    let full = SAT
        .list(&ListRequest {
            query: Some("left lung".into()),
            detail: Some(Detail::Full),
            ..Default::default()
        })
        .unwrap();
    assert_eq!(
        full.items[0].parts.as_ref().unwrap(),
        &["left lung lower lobe", "left lung upper lobe"]
    );
    assert_eq!(full.items[0].part_of.as_deref(), Some("lung"));
}

#[test]
fn results_are_sorted_by_score_then_by_name() {
    for query in ["kidney", "temporal", "ventricle", "l4", "hippo"] {
        let answer = SAT
            .list(&ListRequest {
                query: Some(query.into()),
                limit: Some(200),
                ..Default::default()
            })
            .unwrap();
        assert!(answer.total > 0, "{query}");
        let keys: Vec<_> = answer
            .items
            .iter()
            .map(|item| (-item.score.unwrap(), item.name.clone()))
            .collect();
        assert!(
            keys.is_sorted_by(|a, b| a.0 < b.0 || (a.0 == b.0 && a.1 < b.1)),
            "{query}"
        );
    }
}

#[test]
fn a_list_of_one_side_has_that_side_only_and_its_cursor_goes_with_it() {
    let ask = |laterality, cursor: Option<String>| {
        SAT.list(&ListRequest {
            laterality,
            cursor,
            modality: Some(Modality::Mri),
            region: Some("Brain".into()),
            limit: Some(10),
            ..Default::default()
        })
    };
    let left = ask(Some(Laterality::Left), None).unwrap();
    assert!(left.total > 20 && left.items.iter().all(|item| item.laterality == Some(Laterality::Left)));
    let cursor = left.next_cursor.clone();
    assert!(ask(Some(Laterality::Left), cursor.clone()).is_ok());
    assert!(ask(Some(Laterality::Right), cursor.clone()).is_err() && ask(None, cursor).is_err());
}

#[test]
fn all_that_is_known_of_a_class_is_in_the_list_in_full() {
    let ask = |detail| {
        let answer = SAT.list(&ListRequest {
            query: Some("L kidney".into()),
            modality: Some(Modality::Ct),
            limit: Some(3),
            detail: Some(detail),
            ..Default::default()
        });
        answer.unwrap().items[0].clone()
    };
    let full = ask(Detail::Full);
    assert_eq!(full.name, "left kidney");
    assert!(full.definition.as_deref().unwrap().contains("makes urine"));
    assert!(full.neighbours.unwrap().contains(&"spleen".to_owned()));
    let codes = full.codes.unwrap();
    let schemes: Vec<&str> = codes.iter().map(|code| code.scheme.as_str()).collect();
    assert_eq!(schemes, ["SCT", "UBERON", "FMA"]);
    assert_eq!(
        (codes[0].value.as_str(), codes[0].modifier),
        ("64033007", Some(Laterality::Left))
    );
    let short = ask(Detail::Summary);
    assert!(short.definition.is_some() && short.neighbours.is_none() && short.codes.is_none());
}

#[test]
fn the_text_of_a_list_stands_alone() {
    let ask = |query: &str| {
        MINI.list(&ListRequest {
            query: Some(query.into()),
            limit: Some(5),
            ..Default::default()
        })
        .unwrap()
        .text()
    };
    let text = ask("L caudate");
    assert!(
        text.contains(
            "\nThe query means:\n- left caudate nucleus (left caudate): MR 30 scans; brain. C-shaped nucleus"
        ),
        "{text}"
    );
    assert!(ask("pons").contains("SAT was taught the brainstem as a whole."));
    assert!(ask("ventricle").contains("say which"));
    assert!(ask("xyzzy").contains("Nothing near"));
    assert!(ask("thalamus").contains("joined from left thalamus + right thalamus"));
}

/// Printed with `cargo nextest run --no-capture`; not asserted, machines differ.
#[test]
fn how_long_loading_resolving_and_listing_take() {
    let start = Instant::now();
    let catalogue = Catalogue::load();
    println!("catalogue {:?}", start.elapsed());
    let offered = Offered::everything("sat", catalogue);
    let start = Instant::now();
    let resolver = Resolver::new(catalogue, &offered);
    println!("resolver {:?}", start.elapsed());
    let mut times: HashMap<&str, f64> = HashMap::new();
    let queries = [
        "left kidney",
        "L caudate",
        "hypocampus",
        "left superior temporal gyrus",
        "kidney stone in the left ureter",
        "v",
    ];
    for query in queries {
        let request = ListRequest {
            query: Some(query.into()),
            limit: Some(20),
            ..Default::default()
        };
        let start = Instant::now();
        for _ in 0..50 {
            std::hint::black_box(resolver.list(&request).unwrap());
        }
        times.insert(query, start.elapsed().as_secs_f64() / 50.0 * 1e6);
    }
    for (query, micros) in times {
        println!("list {query:?}: {micros:.0} µs");
    }
    let start = Instant::now();
    for _ in 0..50 {
        std::hint::black_box(
            resolver
                .list(&ListRequest {
                    limit: Some(200),
                    ..Default::default()
                })
                .unwrap(),
        );
    }
    println!("list all: {:.0} µs", start.elapsed().as_secs_f64() / 50.0 * 1e6);
}
