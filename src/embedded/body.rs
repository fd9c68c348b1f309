//! The body type of everything that the embedded cluster serves and forwards.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Sleep;

/// Whatever can go wrong while a body streams.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A streamed body.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

/// A body that is at hand whole.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// A streaming body behind one type.
pub fn boxed<B>(body: B) -> Body
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    body.map_err(Into::into).boxed_unsync()
}

/// What [`gather`] got.
pub enum Gathered {
    /// The whole body.
    Whole(Bytes),
    /// Its beginning and what is still to come.
    Streaming(Body),
}

/// Collects a body if it ends soon and is no larger than `most`.
pub async fn gather(mut body: Body, most: usize, soon: Duration) -> Gathered {
    let mut kept: Vec<Frame<Bytes>> = Vec::new();
    let mut size = 0;
    let until = tokio::time::Instant::now() + soon;
    loop {
        let frame = match tokio::time::timeout_at(until, body.frame()).await {
            Ok(frame) => frame,
            Err(_) => break,
        };
        match frame {
            None if kept.iter().all(Frame::is_data) => {
                let data = kept.into_iter().filter_map(|f| f.into_data().ok());
                return Gathered::Whole(data.flatten().collect());
            }
            // Trailers of a request are too rare to be kept.
            None => break,
            Some(Ok(frame)) => {
                size += frame.data_ref().map_or(0, Bytes::len);
                kept.push(frame);
            }
            Some(Err(error)) => {
                let broken = futures::stream::once(async { Err(error) });
                let kept = futures::stream::iter(kept.into_iter().map(Ok));
                return Gathered::Streaming(boxed(StreamBody::new(kept.chain(broken))));
            }
        }
        if size > most {
            break;
        }
    }
    let kept = futures::stream::iter(kept.into_iter().map(Ok));
    let rest = kept.chain(http_body_util::BodyStream::new(body));
    Gathered::Streaming(boxed(StreamBody::new(rest)))
}

/// A body that breaks off when its time is up.
pub fn with_deadline(body: Body, left: Duration) -> Body {
    Deadline {
        body,
        sleep: Box::pin(tokio::time::sleep(left)),
    }
    .boxed_unsync()
}

struct Deadline {
    body: Body,
    sleep: Pin<Box<Sleep>>,
}

impl HttpBody for Deadline {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.sleep.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err("the route's timeout ended the response".into())));
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
