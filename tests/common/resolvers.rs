//! The catalogue as seen with two models: one that offers all of SAT's classes, and one like the shipped one.
#![allow(dead_code)] // each test file uses its part

use sat_mcp::anatomy::{Catalogue, Offered, OfferedClass, Resolver};
use sat_mcp::volume::Modality;
use std::sync::LazyLock;

pub const MODALITIES: [Modality; 3] = [Modality::Ct, Modality::Mri, Modality::Pet];

pub static SAT: LazyLock<Resolver> =
    LazyLock::new(|| Resolver::new(Catalogue::load(), &Offered::everything("sat", Catalogue::load())));
pub static MINI: LazyLock<Resolver> = LazyLock::new(|| Resolver::new(Catalogue::load(), &mini()));

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
