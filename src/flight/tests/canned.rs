//! A Flight service whose tickets name canned answers, under the same guard as the real one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest, HandshakeResponse,
    PollInfo, PutResult, SchemaResult,
};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::error::{Error, Result};
use crate::flight::deadline::Deadline;
use crate::flight::direct::handed_over;
use crate::flight::encode::messages;
use crate::flight::guard::Guard;
use crate::flight::split::MessageLimits;
use crate::model::request::Source;
use crate::ticket::{MAX_TICKET_BYTES, Ticket, decode_ticket};

/// Serves canned answers; counts the batches that were made and the streams that are alive.
#[derive(Clone, Default)]
pub(super) struct Canned {
    pub(super) made: Arc<AtomicUsize>,
    pub(super) alive: Arc<AtomicUsize>,
    pub(super) stop: CancellationToken,
}

/// Counts a stream as alive until it is dropped.
struct Alive(Arc<AtomicUsize>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

pub(super) fn batch(rows: i64) -> RecordBatch {
    RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from_iter_values(0..rows)) as ArrayRef)]).unwrap()
}

impl Canned {
    /// Batches for ever, one each `pause`.
    fn endless(&self, rows: i64, pause: Duration) -> impl Stream<Item = Result<RecordBatch>> + Send + use<> {
        self.alive.fetch_add(1, Ordering::SeqCst);
        let state = (Arc::clone(&self.made), Alive(Arc::clone(&self.alive)));
        stream::unfold(state, move |state| async move {
            tokio::time::sleep(pause).await;
            state.0.fetch_add(1, Ordering::SeqCst);
            Some((Ok(batch(rows)), state))
        })
    }

    fn answer(&self, ticket: &str) -> Result<(SchemaRef, BoxStream<'static, Result<RecordBatch>>)> {
        let batches = match ticket {
            "endless" => self.endless(10, Duration::from_millis(1)).boxed(),
            "flood" => self.endless(1 << 17, Duration::ZERO).boxed(),
            "large" => stream::iter([Ok(batch(2_000_000))]).boxed(),
            "empty" => stream::empty().boxed(),
            "fails" => stream::iter([Ok(batch(3)), Err(Error::failed_precondition("object changed"))]).boxed(),
            "panics" => stream::iter([1]).map(|_| panic!("a fault on purpose")).boxed(),
            "hangs" => stream::pending().boxed(),
            "refused" => return Err(Error::not_found("no artifact 'refused'")),
            "panics at once" => panic!("a fault on purpose"),
            _ => return Err(Error::invalid("unknown ticket")),
        };
        Ok((batch(0).schema(), batches))
    }
}

type Answers<T> = BoxStream<'static, Result<T, Status>>;

#[tonic::async_trait]
impl FlightService for Canned {
    type HandshakeStream = Answers<HandshakeResponse>;
    type ListFlightsStream = Answers<FlightInfo>;
    type DoGetStream = Answers<FlightData>;
    type DoPutStream = Answers<PutResult>;
    type DoExchangeStream = Answers<FlightData>;
    type DoActionStream = Answers<arrow_flight::Result>;
    type ListActionsStream = Answers<ActionType>;

    async fn do_get(&self, request: Request<arrow_flight::Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        let deadline = Deadline::from_metadata(request.metadata()).unwrap();
        let guard = Guard { call: "DoGet", deadline, stop: self.stop.clone() };
        let ticket = request.into_inner().ticket;
        let Ok(Ticket::Request(request)) = decode_ticket(&ticket, MAX_TICKET_BYTES) else {
            return Err(Status::invalid_argument("not a request"));
        };
        let Source::Key { key, .. } = request.source else { return Err(Status::invalid_argument("not a key")) };
        let messages = guard
            .run(async {
                let (schema, batches) = self.answer(&key)?;
                messages(&schema, batches, MessageLimits::new(2 << 20, 3 << 20, None, None))
            })
            .await?;
        Ok(handed_over(guard.stream(messages)))
    }

    async fn handshake(
        &self,
        _: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn list_flights(&self, _: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn get_flight_info(&self, _: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn poll_flight_info(&self, _: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn get_schema(&self, _: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn do_put(&self, _: Request<Streaming<FlightData>>) -> Result<Response<Self::DoPutStream>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn do_exchange(&self, _: Request<Streaming<FlightData>>) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(Status::unimplemented(""))
    }

    /// Answers with the body, twice.
    async fn do_action(&self, request: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        let result = arrow_flight::Result { body: request.into_inner().body };
        Ok(Response::new(stream::iter([Ok(result.clone()), Ok(result)]).boxed()))
    }

    async fn list_actions(&self, _: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        Err(Status::unimplemented(""))
    }
}
