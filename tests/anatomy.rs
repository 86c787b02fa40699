//! What people call things, and what the program takes it for.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "common/resolvers.rs"]
mod resolvers;

use proptest::prelude::*;
use resolvers::{MINI, MODALITIES, SAT};
use sat_mcp::anatomy::{Catalogue, ListRequest, Offered, OfferedClass, ResolveError, Resolved, Resolver};
use sat_mcp::volume::Modality;

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
