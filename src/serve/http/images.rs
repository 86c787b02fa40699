//! `PUT /images`: a scan or a mask comes in as it is, for callers who share no disk with the server.

use super::beside::{Beside, Refusal, UPLOADS_EACH, aside};
use crate::serve::who::Who;
use crate::service::{Caller, Code, Fault, ReceivedImage, Service, too_large};
use axum::Extension;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Pieces that may wait for the disk.
const WAITING: usize = 4;

/// Receives an image: 201 with its URI, or 200 where it was there already.
pub(super) async fn receive(
    State(beside): State<Arc<Beside>>,
    Extension(who): Extension<Who>,
    request: Request,
) -> Result<Response, Refusal> {
    let received = accept(&beside, who, request).await;
    match &received {
        Ok((image, new)) => {
            beside.meter.uploaded(Ok((image.bytes, *new)));
            tracing::info!(bytes = image.bytes, new, "image received");
        }
        Err(refusal) => {
            beside.meter.uploaded(Err(refusal.fault.code));
            tracing::info!(code = refusal.fault.code.as_str(), "image refused");
        }
    }
    let (image, new) = received?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    let place = [(header::LOCATION, format!("/images/{}", image.sha256))];
    Ok((status, place, Json(image)).into_response())
}

/// What the PUT said of an image, while it is there. Asking does not put off its going.
pub(super) async fn look(
    State(beside): State<Arc<Beside>>,
    Extension(who): Extension<Who>,
    Path(sha256): Path<String>,
) -> Result<Json<ReceivedImage>, Refusal> {
    let image = aside(move || {
        let image = beside.service.image(&who.caller, &sha256);
        image.map_err(|fault| beside.service.told(&who.caller, fault))
    });
    Ok(Json(image.await?))
}

/// Deletes an image.
pub(super) async fn delete(
    State(beside): State<Arc<Beside>>,
    Extension(who): Extension<Who>,
    Path(sha256): Path<String>,
) -> Result<StatusCode, Refusal> {
    let deleted = aside(move || {
        let deleted = beside.service.delete_image(&who.caller, &sha256);
        deleted.map_err(|fault| beside.service.told(&who.caller, fault))
    });
    deleted.await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn accept(beside: &Beside, who: Who, request: Request) -> Result<(ReceivedImage, bool), Refusal> {
    check(request.headers(), beside.max_upload)?;
    // Held until the file is whole, so that neither the disk nor the descriptors run out.
    let Some(_place) = beside.uploads.try_take(&who.turn, UPLOADS_EACH) else {
        let fault = Fault::new(Code::Busy, "As many images are arriving as the server takes at once.");
        return Err(fault.hint("Try again in 5 s.").into());
    };
    let _arriving = beside.meter.uploading();
    let (pieces, arriving) = mpsc::channel(WAITING);
    let (service, caller, limit) = (beside.service.clone(), who.caller, beside.max_upload);
    let writing = tokio::spawn(aside(move || {
        let written = write(&service, &caller, limit, arriving);
        written.map_err(|fault| service.told(&caller, fault))
    }));
    let sent = send(request.into_body(), pieces).await;
    let written = writing.await.unwrap_or(Ok(None)).map_err(|fault| match fault.code {
        Code::InvalidArgument => Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, fault),
        _ => fault.into(),
    })?;
    sent?;
    written.ok_or_else(|| Refusal::from(broken_off()))
}

/// What can be refused before a byte is read.
fn check(headers: &HeaderMap, limit: u64) -> Result<(), Refusal> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let promised = text(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    if promised.is_some_and(|length| length > limit) {
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, too_large(limit)));
    }
    let form = text(header::CONTENT_TYPE).is_some_and(|kind| kind.starts_with("multipart/"));
    let encoded = text(header::CONTENT_ENCODING).is_some_and(|coding| !coding.eq_ignore_ascii_case("identity"));
    if form || encoded {
        let what = if form {
            "a form"
        } else {
            "a body with a Content-Encoding"
        };
        let fault = Fault::new(
            Code::BadImage,
            format!("{what} was sent where the file itself is expected."),
        );
        return Err(fault
            .hint("Send the bytes of the .nii or .nii.gz file as the body, as `curl -T scan.nii.gz` does.")
            .into());
    }
    Ok(())
}

/// Hands the body on piece by piece, and a `None` behind its last. A receiver that has gone is an end, too: it says why.
async fn send(mut body: Body, pieces: mpsc::Sender<Option<Bytes>>) -> Result<(), Refusal> {
    loop {
        let piece = match body.frame().await {
            None => None,
            // Also where it came too slowly, which the guard tells the sender.
            Some(Err(_)) => return Err(broken_off().into()),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => Some(data),
                Err(_trailers) => continue,
            },
        };
        let last = piece.is_none();
        if pieces.send(piece).await.is_err() || last {
            return Ok(());
        }
    }
}

/// Writes what arrives. Nothing is kept, and nothing left, where the pieces end without a `None`.
fn write(
    service: &Service,
    caller: &Caller,
    limit: u64,
    mut arriving: mpsc::Receiver<Option<Bytes>>,
) -> Result<Option<(ReceivedImage, bool)>, Fault> {
    let mut upload = service.receive_image(caller, limit)?;
    while let Some(piece) = arriving.blocking_recv() {
        match piece {
            Some(bytes) => upload.write(&bytes)?,
            None => return service.keep_image(upload).map(Some),
        }
    }
    Ok(None)
}

fn broken_off() -> Fault {
    Fault::new(
        Code::InvalidArgument,
        "The file broke off before its end, so nothing was kept.",
    )
    .hint("Send it again.")
}
