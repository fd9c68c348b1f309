//! The smiley role: one emoji over HTTP/1.1 (FACES.md 2.5).

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use serde_json::json;

use super::dice::{Dice, Fate};
use super::names;
use super::reply::Call;
use super::role::{Edition, Role};

struct Smiley {
    role: Role,
    dice: Dice,
    name: &'static str,
    entity: &'static str,
}

/// The role's service.
pub fn router(role: Role) -> Router {
    let (name, entity) = names::smiley(role.var("SMILEY"), role.edition);
    let dice = role.dice();
    role.log(&format!("smiley {name}"));
    let smiley = Arc::new(Smiley {
        role,
        dice,
        name,
        entity,
    });
    Router::new().fallback(move |request| answer(smiley.clone(), request))
}

async fn answer(smiley: Arc<Smiley>, request: Request<Body>) -> Response<Body> {
    let start = Instant::now();
    let call = Call::read(&request);
    let role = &smiley.role;
    let early = call.about(role, smiley.dice.rate());
    if let Some(early) = early.or_else(|| call.early(role)) {
        return early;
    }
    let complete = |fields| call.completed(role, &smiley.dice, fields);
    let response = match smiley.dice.throw().await {
        Fate::Good => call.answer(role, 200, complete(json!({"smiley": smiley.entity}))),
        Fate::Bad(429, why) if role.edition == Edition::Candidate => {
            let fields = json!({"smiley": names::KABOOM, "errors": [why]});
            call.answer(role, 429, complete(fields))
        }
        Fate::Bad(status, why) => call.failure(role, status, why),
    };
    let status = response.status().as_u16();
    role.answered(smiley.name, status, start.elapsed(), &call.describe(role));
    response
}
