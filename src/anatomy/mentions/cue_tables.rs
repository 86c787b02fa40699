//! The phrases of [`cues`](super::cues), in lower case; signs between words are left out ("s/p" is "s p").

/// What follows is not there.
pub(super) const NONE_OF: &[&str] = &[
    "absence of", "agenesis of", "absent", "cannot see", "clear of", "denied", "denies", "denying",
    "did not demonstrate", "did not reveal", "did not show", "does not demonstrate", "does not reveal",
    "does not show", "excludes", "fails to reveal", "free of", "lack of", "lacks", "negative for", "neither",
    "never had", "no longer seen", "no longer visualized", "not consistent with", "not suggestive of", "no", "no convincing", "no evidence for", "no evidence of", "no findings of", "no signs of",
    "no sign of", "no suggestion of", "non visualization of", "nonvisualization of", "nonvisualisation of", "not demonstrate", "rules out",
    "ruled out for", "without", "without evidence of", "interval resolution of",
    "resolved",
];

/// What came before is not there.
pub(super) const IS_NOT: &[&str] = &[
    "absent", "are absent", "has been excluded", "has been removed", "has resolved", "have resolved",
    "have been removed", "has been resected", "is absent", "negative", "no longer present", "no longer seen",
    "no longer visible", "no longer visualized", "none", "not demonstrated", "not detected", "not evident",
    "not identified", "not noted", "not present", "not seen", "not visible", "not visualised", "not visualized",
    "removed", "resected", "resolved", "ruled out", "surgically absent", "surgically removed", "was removed",
    "was resected", "excluded", "unlikely", "nonvisualized",
];

/// What follows was, once.
pub(super) const HISTORY_OF: &[&str] = &[
    "h o", "history", "history of", "hx", "hx of", "post operative status", "s p", "status post", "past history of",
    "treated for", "pmh",
];

/// What follows was found before.
pub(super) const EARLIER: &[&str] = &[
    "previous", "previously diagnosed", "prior", "previously treated",
];

/// What came before is there now, whatever was said of its past.
pub(super) const STILL: &[&str] = &[
    "again demonstrated", "again noted", "again seen", "are larger", "are now", "are smaller", "are stable", "are unchanged",
    "continues to", "has decreased", "has enlarged", "has grown", "has increased", "has progressed", "has shrunk",
    "have decreased", "have enlarged", "have grown", "have increased", "have progressed", "have shrunk", "is larger",
    "is now", "is smaller", "is stable", "is unchanged", "measure", "measures", "measuring", "now", "persist",
    "persists", "remain", "remains", "stable", "unchanged",
];

/// What follows may be there.
pub(super) const PERHAPS: &[&str] = &[
    "assess for", "cannot exclude", "can not exclude", "concern for", "concerning for", "could be", "could represent",
    "differential includes", "equivocal for", "evaluate for", "if", "likely", "may be", "may represent",
    "might represent", "most likely", "not exclude", "possibility of", "possible", "possibly", "potential",
    "presumed", "probable", "probably", "query", "question of", "questionable", "r o", "rule out", "suggesting",
    "suggestion of", "suggestive of", "suggests", "suspect", "suspected", "suspicion of", "suspicion for",
    "suspicious for", "to exclude", "versus", "vs", "worrisome for", "favor", "favored to represent",
    "likely representing", "compatible with possible",
];

/// What came before may be there.
pub(super) const IS_PERHAPS: &[&str] = &[
    "cannot be excluded", "cannot be ruled out", "can not be excluded", "could be present", "is favored", "is likely",
    "is not excluded", "is possible", "is probable", "is questioned", "is suspected", "may be present",
    "not be excluded", "not excluded", "not ruled out", "suspected",
];

/// Phrases that only look like cues.
pub(super) const NOTHING: &[&str] = &[
    "gram negative", "no change", "no interval change", "no significant change", "no significant interval change",
    "no substantial change", "no appreciable change", "no definite change", "no decrease", "no enlargement",
    "no growth", "no increase", "no interval increase", "no interval growth", "no progression",
    "no significant increase", "no other change", "no significant interval increase", "not only", "none of which", "none of these", "none of the", "not necessarily",
    "not seen on prior", "not seen on the prior", "not seen on previous", "not seen previously",
    "not previously seen", "not present on prior", "not present on the prior", "not identified on prior",
    "not identified on the prior", "not visualized on prior", "without change", "without significant change",
    "without interval change", "without contrast", "without intravenous contrast", "without iv contrast",
    "with and without contrast", "if clinically", "if indicated", "if needed", "likely unchanged", "no further",
    "not resected", "not removed", "partially resected", "partly resected", "incompletely resected",
];

/// Words that end a cue's reach.
pub(super) const END: &[&str] = &[
    "although", "apart from", "aside from", "because", "besides", "but", "except", "except for", "however",
    "nevertheless", "other than", "otherwise", "still", "there are", "there is", "though", "whereas", "which",
    "while", "yet", "are present", "is present", "are seen", "is seen", "is noted", "secondary to", "due to",
    "adjacent to", "in this patient with", "in patient with", "patient with", "now with",
];

/// Examinations: what is "prior" to them is compared with, not a finding.
pub(super) const EXAMINATIONS: &[&str] = &[
    "ct", "cts", "exam", "exams", "examination", "examinations", "imaging", "mr", "mri", "mris", "pet", "radiograph",
    "radiographs", "report", "scan", "scans", "studies", "study", "ultrasound", "us", "xray",
];
