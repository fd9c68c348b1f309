//! The smiley role: one emoji over HTTP/1.1 (FACES.md 2.5).

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use serde_json::json;

use super::super::Container;
use super::dice::{Dice, Fate};
use super::names;
use super::reply::{Call, Identity};

struct Smiley {
    identity: Identity,
    dice: Dice,
    entity: &'static str,
}

/// The role's service.
pub fn router(container: &Container) -> Router {
    let (name, entity) = names::smiley(container.var("SMILEY"));
    let dice = Dice::new("Smiley", container);
    super::log(
        container,
        "Smiley",
        &format!("smiley {name}, {}", dice.describe()),
    );
    let smiley = Arc::new(Smiley {
        identity: Identity::new(container),
        dice,
        entity,
    });
    Router::new().fallback(move |request| answer(smiley.clone(), request))
}

async fn answer(smiley: Arc<Smiley>, request: Request<Body>) -> Response<Body> {
    let call = Call::read(&request);
    if let Some(early) = call.early(&smiley.identity) {
        return early;
    }
    match smiley.dice.throw().await {
        Fate::Good => call.answer(&smiley.identity, 200, json!({"smiley": smiley.entity})),
        Fate::Bad(status, why) => call.answer(&smiley.identity, status, json!({"errors": [why]})),
    }
}
