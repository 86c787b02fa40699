//! What a report mentions, and what of it is worth segmenting.
#![allow(clippy::unwrap_used, clippy::panic)]

use sat_mcp::anatomy::{Catalogue, Offered, Resolver};
use sat_mcp::volume::Modality;

#[test]
#[ignore]
fn probe() {
    let all = Resolver::new(Catalogue::load(), &Offered::everything("sat", Catalogue::load()));
    for line in std::fs::read_to_string("/tmp/ht-probe.txt").unwrap().lines() {
        let (modality, text) = line.split_once('\t').unwrap();
        let modality = match modality {
            "ct" => Modality::Ct,
            "mri" => Modality::Mri,
            _ => Modality::Pet,
        };
        let found = all.mentions(&text.replace("\\n", "\n"), modality);
        println!("=== {} {text}\n{}", modality.as_str(), found.text());
    }
}
