//! The color role: one CSS colour over gRPC (FACES.md 3). The schema has no package.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use tonic::{Code, Status};

use super::super::Container;
use super::dice::{Dice, Fate};
use super::names;

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
    dice: Dice,
    color: String,
}

/// The role's service.
pub fn router(container: &Container) -> Router {
    let color = names::color(container.var("COLOR"));
    let dice = Dice::new("Color", container);
    super::log(
        container,
        "Color",
        &format!("color {color}, {}", dice.describe()),
    );
    let color = Arc::new(Color { dice, color });
    Router::new().fallback(move |request| answer(color.clone(), request))
}

async fn answer(color: Arc<Color>, request: Request<Body>) -> Response<Body> {
    let response = match request.uri().path() {
        "/ColorService/Center" | "/ColorService/Edge" => {
            let codec = tonic_prost::ProstCodec::<ColorResponse, ColorRequest>::default();
            let method = tower::service_fn(move |_: tonic::Request<ColorRequest>| {
                let color = color.clone();
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
