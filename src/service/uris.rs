//! What results' files are called: `sat://results/{result_id}/{file}`.

pub(super) const RESULTS: &str = "sat://results/";
/// What a result's scan is called among its files, although it is none of them.
pub(super) const DISPLAY: &str = "display/image.nii.gz";

/// URI of a result's file.
pub(super) fn uri(result_id: &str, file: &str) -> String {
    format!("{RESULTS}{result_id}/{file}")
}

/// The id in a URI `sat://results/{result_id}/display/image.nii.gz`.
pub fn displayed(uri: &str) -> Option<&str> {
    let id = uri.strip_prefix(RESULTS)?.strip_suffix(DISPLAY)?;
    id.strip_suffix('/').filter(|id| !id.contains('/'))
}

/// What kind of file a name promises.
pub(crate) fn mime_of(file: &str) -> &'static str {
    match file.rsplit('.').next() {
        Some("gz") => "application/gzip",
        Some("png") => "image/png",
        Some("json") => "application/json",
        Some("dcm") => "application/dicom",
        Some("txt" | "ctbl") => "text/plain",
        _ => "application/octet-stream",
    }
}
