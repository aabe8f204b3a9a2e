//! Watches HTTP requests, so that what came of each is known as a value and not only as a text.
//!
//! Sits between the object store client and its HTTP client. A request carries an [`Outcome`] slot in
//! its extensions; the answer's status or the kind of transport failure is written there. It does not
//! repeat, count or change anything.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};

/// What came of one HTTP request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The status of the answer.
    Status(u16),
    /// There was no answer.
    Transport(HttpErrorKind),
}

/// Where the outcome of a request is written.
#[derive(Clone, Debug, Default)]
pub(crate) struct OutcomeSlot(Arc<Mutex<Option<Outcome>>>);

impl OutcomeSlot {
    pub(crate) fn get(&self) -> Option<Outcome> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, outcome: Outcome) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    }
}

/// Makes HTTP clients that are watched.
#[derive(Debug, Default)]
pub(crate) struct WatchingConnector;

impl HttpConnector for WatchingConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(WatchedService { client }))
    }
}

#[derive(Debug)]
struct WatchedService {
    client: HttpClient,
}

#[async_trait]
impl HttpService for WatchedService {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let slot = request.extensions().get::<OutcomeSlot>().cloned();
        let answer = self.client.execute(request).await;
        if let Some(slot) = slot {
            slot.set(match &answer {
                Ok(answer) => Outcome::Status(answer.status().as_u16()),
                Err(error) => Outcome::Transport(error.kind()),
            });
        }
        answer
    }
}
