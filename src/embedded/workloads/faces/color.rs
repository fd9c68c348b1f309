//! The color role: one CSS colour over gRPC (FACES.md 3). The schema has no package.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use tonic::{Code, Status};

use super::dice::{Dice, Fate};
use super::names;
use super::role::Role;

/// `ColorRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ColorRequest {
    /// -1 if unknown.
    #[prost(int32, tag = "1")]
    pub row: i32,
    /// -1 if unknown.
    #[prost(int32, tag = "2")]
    pub column: i32,
}

/// `ColorResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ColorResponse {
    /// A CSS colour.
    #[prost(string, tag = "1")]
    pub color: String,
    /// Declared upstream, never filled.
    #[prost(string, tag = "2")]
    pub rate: String,
    /// Declared upstream, never filled.
    #[prost(string, repeated, tag = "3")]
    pub errors: Vec<String>,
}

struct Color {
    role: Role,
    dice: Dice,
    name: String,
    color: String,
}

/// The role's service.
pub fn router(role: Role) -> Router {
    let name = role.var("COLOR").unwrap_or("blue").to_owned();
    let color = names::color(&name);
    let dice = role.dice();
    role.log(&format!("color {name} {color}"));
    let color = Arc::new(Color {
        role,
        dice,
        name,
        color,
    });
    Router::new().fallback(move |request| answer(color.clone(), request))
}

async fn answer(color: Arc<Color>, request: Request<Body>) -> Response<Body> {
    let start = Instant::now();
    let path = request.uri().path().to_owned();
    let user = request
        .headers()
        .get(color.role.user_header.to_ascii_lowercase());
    let user = user.and_then(|v| v.to_str().ok()).unwrap_or("");
    let what = format!("{path} user {user}");
    let answering = color.clone();
    let response = match path.as_str() {
        "/ColorService/Center" | "/ColorService/Edge" => {
            let codec = tonic_prost::ProstCodec::<ColorResponse, ColorRequest>::default();
            let method = tower::service_fn(move |_: tonic::Request<ColorRequest>| {
                let color = answering.clone();
                async move {
                    match color.dice.throw().await {
                        Fate::Good => Ok(tonic::Response::new(ColorResponse {
                            color: color.color.clone(),
                            ..ColorResponse::default()
                        })),
                        Fate::Bad(429, why) => Err(Status::new(Code::ResourceExhausted, why)),
                        Fate::Bad(_, why) => Err(Status::new(Code::Internal, why)),
                    }
                }
            });
            tonic::server::Grpc::new(codec).unary(method, request).await
        }
        path => Status::unimplemented(format!("unknown method {path}")).into_http(),
    };
    // gRPC's status is a trailer; what fails at once has it among the headers.
    let failed = response.headers().contains_key("grpc-status");
    let status = if failed { 500 } else { 200 };
    color
        .role
        .answered(&color.name, status, start.elapsed(), &what);
    response.map(Body::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;

    #[test]
    fn the_bytes_of_the_specification() {
        let request = |row, column| ColorRequest { row, column }.encode_to_vec();
        assert_eq!(request(1, 2), [8, 1, 16, 2]);
        assert!(request(0, 0).is_empty());
        assert_eq!(request(-1, 0).len(), 11);
        let blue = ColorResponse {
            color: "#66CCEE".into(),
            ..ColorResponse::default()
        };
        assert_eq!(blue.encode_to_vec(), b"\x0a\x07#66CCEE");
    }
}
