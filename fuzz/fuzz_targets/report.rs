//! Radiology reports: whatever text comes has mentions that lie where they say and targets that `segment` takes, or is refused in words.
//! The first byte says whether the rest is the text, or numbers of words: changed letters alone hardly ever spell an organ.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sat_mcp::anatomy::{Catalogue, Offered, Resolver, report_text};
use sat_mcp::volume::Modality;

static SAT: LazyLock<Resolver> =
    LazyLock::new(|| Resolver::new(Catalogue::load(), &Offered::everything("sat", Catalogue::load())));

/// The names' own words, with the words and marks that stand between them in reports.
static WORDS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let between = include_str!("report_words.txt").lines();
    let names = Catalogue::load().classes().iter().flat_map(|class| class.name.split(' '));
    let mut words: Vec<&str> = between.chain(names).collect();
    words.sort_unstable();
    words.dedup();
    words
});

fuzz_target!(|data: &[u8]| {
    let Some((how, rest)) = data.split_first() else {
        return;
    };
    let bytes = match how & 1 {
        0 => rest.to_vec(),
        _ => {
            let numbers = rest.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
            let words: Vec<&str> = numbers.map(|number| WORDS[usize::from(number) % WORDS.len()]).collect();
            words.join(if how & 2 == 0 { " " } else { "" }).into_bytes()
        }
    };
    let modality = [Modality::Ct, Modality::Mri, Modality::Pet][usize::from(how >> 2) % 3];
    let Ok(report) = report_text("report.txt", bytes) else {
        return;
    };
    let found = SAT.mentions(&report, modality);
    for mention in &found.mentions {
        let slice: String = report.chars().skip(mention.start).take(mention.end - mention.start).collect();
        assert_eq!(slice, mention.text);
    }
    for target in &found.targets {
        assert!(SAT.resolve(target, modality, false).is_ok(), "{target}");
    }
    assert!(!found.text().is_empty());
});
