//! Answers that the data plane makes itself.

use http::header::{self, HeaderName, HeaderValue};
use http::{Response, StatusCode};

use crate::embedded::body::{Body, full};
use crate::embedded::percent;
use crate::embedded::routing::decision::Refusal;
use crate::embedded::routing::flavor::Flavor;

/// An error. A gRPC call gets its status as trailers that stand alone ("Trailers-Only"), as Envoy
/// answers it.
pub fn refusal(refusal: &Refusal, grpc: bool) -> Response<Body> {
    let linkerd = refusal.flavor == Flavor::Linkerd;
    let mut response = match (grpc, linkerd) {
        (true, _) => Response::new(full("")),
        (false, true) => plain(refusal.status, String::new()),
        (false, false) => return plain(refusal.status, refusal.why.clone()),
    };
    let headers = response.headers_mut();
    // Linkerd's proxy tells of its own errors in a field; the body is empty.
    if linkerd && let Ok(why) = HeaderValue::from_str(&refusal.why) {
        headers.insert(HeaderName::from_static("l5d-proxy-error"), why);
    }
    if !grpc {
        return response;
    }
    let kind = HeaderValue::from_static("application/grpc");
    headers.insert(header::CONTENT_TYPE, kind);
    let status = HeaderValue::from(u16::from(refusal.grpc));
    headers.insert(HeaderName::from_static("grpc-status"), status);
    // It holds printable ASCII but for `%`.
    let why = percent::encode(&refusal.why, |b| matches!(b, b' '..=b'~') && b != b'%');
    if let Ok(message) = HeaderValue::from_str(&why) {
        headers.insert(HeaderName::from_static("grpc-message"), message);
    }
    response
}

/// Plain text with a status.
pub fn plain(status: u16, text: String) -> Response<Body> {
    let mut response = Response::new(full(text));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = HeaderValue::from_static("text/plain");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// A redirect.
pub fn redirect(status: u16, location: &str) -> Response<Body> {
    let mut response = plain(status, String::new());
    if let Ok(location) = location.parse() {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linkerd_tells_of_its_errors_in_a_field() {
        let refused = Refusal::new(504, "upstream request timeout");
        let ours = refusal(&refused, false);
        assert!(!ours.headers().contains_key("l5d-proxy-error"));
        let linkerds = refusal(&refused.clone().by(Flavor::Linkerd), false);
        assert_eq!(linkerds.status(), 504);
        assert_eq!(
            linkerds.headers()["l5d-proxy-error"],
            "upstream request timeout"
        );
        let grpc = refusal(&refused.by(Flavor::Linkerd), true);
        assert_eq!(grpc.headers()["grpc-status"], "4");
        assert!(grpc.headers().contains_key("l5d-proxy-error"));
    }
}
