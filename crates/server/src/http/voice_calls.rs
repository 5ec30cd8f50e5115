//! `/pointsman/v1/voice/…`: what the voice provider asks of the bridge. Reference: events-and-callbacks, section 11.
//!
//! There are no credentials in such a request; the provider signs it with the token of the account there.

use hyper::Method;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE};
use pointsman_api::form::{self, Fields};
use pointsman_api::{self as api, Answer, ApiError, errors};
use pointsman_dispatcher::{Input, Reply, VoiceCallback, VoiceCallbackKind};
use pointsman_token::{Url, signature};

use super::{App, Received};
use crate::engines;

/// Whether the path belongs to the bridge.
pub(super) fn is_path(path: &str) -> bool {
    path.starts_with(VoiceCallbackKind::PREFIX)
}

pub(super) async fn answer(app: &App, received: &Received<'_>) -> Answer {
    let not_found = || ApiError::not_found(received.path).answer();
    let Some(auth_token) = &app.voice_auth_token else { return not_found() };
    let Some(kind) = VoiceCallbackKind::of(received.path) else { return not_found() };
    if !matches!(*received.method, Method::GET | Method::POST) {
        return api::method_not_allowed(received.method.as_str(), received.path, "GET, POST").answer();
    }
    let (query, form) = match fields(received) {
        Ok(fields) => fields,
        Err(error) => return error.answer(),
    };
    if !is_signed(received, app.voice_callback_url.as_deref(), auth_token, &form) {
        return ApiError::wrong_credentials().answer();
    }
    if !app.health.can_commit() {
        return super::cannot_commit().answer();
    }
    let callback = Box::new(VoiceCallback { kind, path: received.path.into(), query, form });
    let engines = match callback.workspace() {
        Some(workspace) => std::slice::from_ref(engines::of(&app.engines, workspace)),
        // The address does not say where: the thread that has it answers.
        None => &app.engines[..],
    };
    for engine in engines {
        let callback = callback.clone();
        match super::wait(engine.request(|ticket| Input::Voice { ticket, callback })).await {
            Ok((Reply::Voice(None), _)) => {}
            Ok((Reply::Voice(Some(answer)), _)) | Err(answer) => return answer,
            Ok((
                Reply::Answer(_)
                | Reply::History { .. }
                | Reply::Server(_)
                | Reply::Workspaces(_)
                | Reply::Barrier { .. },
                _,
            )) => unreachable!("the provider is answered"),
        }
    }
    callback.answer_in_vain()
}

/// Query and form. Providers send forms, or nothing with GET.
fn fields(received: &Received<'_>) -> Result<(Fields, Fields), ApiError> {
    let query = form::decode_urlencoded(received.query.as_bytes())?;
    if received.body.is_empty() {
        return Ok((query, Fields::new()));
    }
    api::check_body(received.body, received.header(&CONTENT_ENCODING))?;
    let media_type = received.header(&CONTENT_TYPE).unwrap_or_default();
    if !media_type.trim().to_ascii_lowercase().starts_with("application/x-www-form-urlencoded") {
        let expected = "application/x-www-form-urlencoded";
        return Err(ApiError::new(&errors::MEDIA_TYPE, &[("expected", &expected)]));
    }
    Ok((query, form::decode_urlencoded(received.body)?))
}

/// Whether the provider sent it, and to this address.
///
/// - `callback_url`: what the addresses that were given out begin with, where it is set. Who wrote the address into
///   TwiML may have taken the one that clients use.
fn is_signed(received: &Received<'_>, callback_url: Option<&str>, auth_token: &str, form: &Fields) -> bool {
    let given = received.headers.get(signature::HEADER).and_then(|value| value.to_str().ok());
    let Some(given) = given else { return false };
    let separator = if received.query.is_empty() { "" } else { "?" };
    let parameters: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let is_signed_for = |base_url: &str| {
        let url = Url::parse(&format!("{base_url}{}{separator}{}", received.path, received.query));
        url.is_ok_and(|url| signature::verify(auth_token, &url, &parameters, given))
    };
    callback_url.is_some_and(is_signed_for) || is_signed_for(&received.base_url)
}
