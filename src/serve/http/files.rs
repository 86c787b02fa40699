//! `GET /results/{id}/{file}`: a result's files as they lie in the store, with ranges and conditions.

use super::beside::{Beside, Refusal, aside};
use crate::serve::who::Who;
use crate::service::ResourceFile;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use tower::ServiceExt;
use tower_http::services::ServeFile;

/// The file that stands for the whole result.
const WHOLE: &str = "result.json";

/// A file of a result.
pub(super) async fn fetch(
    State(beside): State<Arc<Beside>>,
    Extension(who): Extension<Who>,
    Path((id, file)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Refusal> {
    serve(beside, who, id, file, request).await
}

/// The result's `result.json`.
pub(super) async fn whole(
    State(beside): State<Arc<Beside>>,
    Extension(who): Extension<Who>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    serve(beside, who, id, WHOLE.to_owned(), request).await
}

async fn serve(
    beside: Arc<Beside>,
    who: Who,
    id: String,
    file: String,
    mut request: Request,
) -> Result<Response, Refusal> {
    let looking = beside.clone();
    let (file, seen) = aside(move || {
        let found = looking
            .service
            .resource(&who.caller, &format!("sat://results/{id}/{file}"));
        let found = found.map_err(|fault| looking.service.told(&who.caller, fault))?;
        // Noted in the time of result.json, which would change its own ETag each time.
        if found.name != WHOLE {
            looking.service.store().use_result(&id);
        }
        let seen = looking.service.seen_otherwise(&who.caller, &found)?;
        Ok((found, seen))
    })
    .await?;
    if let Some(seen) = seen {
        let mut response = Response::new(Body::from(seen));
        let json = HeaderValue::from_static(file.mime);
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        describe(&mut response, &file);
        return Ok(response);
    }
    if request.headers().contains_key(header::RANGE) && !still_the_same(&file, request.headers()).await {
        request.headers_mut().remove(header::RANGE);
    }
    // The path is the store's, and the request's own is not looked at.
    let served = ServeFile::new(&file.path).oneshot(request).await;
    let mut response = match served {
        Ok(response) => response.map(Body::new),
        Err(never) => match never {},
    };
    if response.status().is_success() {
        beside.meter.fetched();
    }
    if response.status() != StatusCode::NOT_FOUND {
        describe(&mut response, &file);
        return Ok(response.into_response());
    }
    // It was pruned between the two looks.
    let gone = crate::store::StoreError::NoFile {
        id: String::new(),
        file: file.name,
    };
    Err(crate::service::Fault::from(gone).into())
}

/// Whether the part that is asked for fits the parts that the caller has. ServeFile leaves `If-Range` (RFC 9110, 13.1.5) to others.
async fn still_the_same(file: &ResourceFile, headers: &HeaderMap) -> bool {
    let Some(had) = headers.get(header::IF_RANGE) else {
        return true;
    };
    let mut look = Request::new(Body::empty());
    *look.method_mut() = Method::HEAD;
    let looked = ServeFile::new(&file.path).oneshot(look).await;
    // A date is no strong validator: two files may be of one second.
    looked.is_ok_and(|now| now.headers().get(header::ETAG) == Some(had))
}

/// Says what the file is and how it is called, and that it is the caller's own.
fn describe(response: &mut Response<Body>, file: &ResourceFile) {
    let headers = response.headers_mut();
    if headers.contains_key(header::CONTENT_TYPE) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.mime));
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Kept by nobody on the way, and asked for again before it is shown again: the caller may have lost the right to it.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if let Ok(called) = HeaderValue::from_str(&disposition(&file.name)) {
        headers.insert(header::CONTENT_DISPOSITION, called);
    }
}

/// RFC 6266: the name in ASCII for old clients, and as it is, in the coding of RFC 8187, where that differs.
fn disposition(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let ascii: String = name.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    match ascii == name {
        true => format!("attachment; filename=\"{ascii}\""),
        false => {
            let bytes = name.bytes().map(|byte| match plain(byte.into()) {
                true => char::from(byte).to_string(),
                false => format!("%{byte:02X}"),
            });
            format!(
                "attachment; filename=\"{ascii}\"; filename*=UTF-8''{}",
                bytes.collect::<String>()
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_called_by_its_name_in_any_alphabet() {
        assert_eq!(
            disposition("left_lung.nii.gz"),
            "attachment; filename=\"left_lung.nii.gz\""
        );
        assert_eq!(
            disposition("größe \".nii\n"),
            "attachment; filename=\"gr__e__.nii_\"; filename*=UTF-8''gr%C3%B6%C3%9Fe%20%22.nii%0A"
        );
    }
}
