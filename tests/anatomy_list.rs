//! What `list_anatomy` says of the catalogue.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "common/resolvers.rs"]
mod resolvers;

use resolvers::{MINI, MODALITIES, SAT};
use sat_mcp::anatomy::{Catalogue, Detail, Laterality, ListRequest, Offered, Resolver};
use sat_mcp::volume::Modality;
use std::collections::HashMap;
use std::time::Instant;

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
