//! `FlightService` itself: each call decodes, asks the engine, encodes, under a [`Guard`].

use std::sync::Arc;

use arrow_flight::flight_service_server::FlightService;
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest, HandshakeResponse,
    PollInfo, PutResult, SchemaResult, Ticket,
};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use super::answer::Answer;
use super::aside::aside;
use super::deadline::Deadline;
use super::direct::handed_over;
use super::guard::Guard;
use super::status::to_status;
use super::{action, get, info, list};
use crate::config::Config;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::model::request::SliceRequest;

/// What the service takes from the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Largest ticket, command or action body, in bytes.
    pub max_ticket_bytes: usize,
    /// Aimed size of a record batch message, in bytes.
    pub message_bytes: u64,
    /// Aimed size of what one endpoint answers, in bytes.
    pub endpoint_bytes: u64,
    /// Whether clients may change the registry.
    pub allow_register: bool,
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        Self {
            max_ticket_bytes: usize::try_from(config.transport.max_ticket_bytes).unwrap_or(usize::MAX),
            message_bytes: config.transport.message_bytes,
            endpoint_bytes: config.transport.endpoint_bytes,
            allow_register: config.allow_register,
        }
    }
}

/// Serves one engine over Arrow Flight, by [`serve`](super::serve): elsewhere, `DoGet` answers with an error.
#[derive(Clone, Debug)]
pub struct Service {
    engine: Arc<Engine>,
    settings: Arc<Settings>,
    stop: CancellationToken,
}

impl Service {
    /// A service around `engine`; cancelling `stop` ends its running calls with `UNAVAILABLE`.
    pub fn new(engine: Arc<Engine>, settings: Settings, stop: CancellationToken) -> Self {
        Self { engine, settings: Arc::new(settings), stop }
    }

    fn guard(&self, call: &'static str, metadata: &MetadataMap) -> Result<Guard, Status> {
        let deadline = Deadline::from_metadata(metadata).map_err(|error| to_status(call, &error))?;
        Ok(Guard { call, deadline, stop: self.stop.clone() })
    }

    async fn flight_info(&self, descriptor: FlightDescriptor) -> Result<FlightInfo> {
        let (length, endpoint_bytes) = (descriptor.cmd.len(), self.settings.endpoint_bytes);
        let request = self.request_of(&descriptor).await?;
        let answer = Answer::of(self.engine.prepare(&request, &[]).await?).await?;
        aside(length, move || info::flight_info(descriptor, &request, &answer, endpoint_bytes)).await
    }

    async fn request_of(&self, descriptor: &FlightDescriptor) -> Result<SliceRequest> {
        let (descriptor, most) = (descriptor.clone(), self.settings.max_ticket_bytes);
        aside(descriptor.cmd.len(), move || info::request_of(&descriptor, most)).await
    }

    async fn schema(&self, descriptor: &FlightDescriptor) -> Result<SchemaResult> {
        let request = self.request_of(descriptor).await?;
        let slice = self.engine.prepare(&request, &[]).await?;
        Ok(SchemaResult { schema: info::schema_bytes(&slice.schema())? })
    }
}

type Answers<T> = BoxStream<'static, Result<T, Status>>;

#[tonic::async_trait]
impl FlightService for Service {
    type HandshakeStream = Answers<HandshakeResponse>;
    type ListFlightsStream = Answers<FlightInfo>;
    type DoGetStream = Answers<FlightData>;
    type DoPutStream = Answers<PutResult>;
    type DoExchangeStream = Answers<FlightData>;
    type DoActionStream = Answers<arrow_flight::Result>;
    type ListActionsStream = Answers<ActionType>;

    async fn handshake(
        &self,
        _request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        Err(unsupported("Handshake"))
    }

    async fn list_flights(&self, request: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        let guard = self.guard("ListFlights", request.metadata())?;
        let expression = request.into_inner().expression;
        let mut entries = guard.run(async { Ok(self.engine.entries(list::criteria(&expression)?).peekable()) }).await?;
        // What is wrong with the criteria is told before the stream begins.
        let first = guard.run(async { Ok(std::pin::Pin::new(&mut entries).next_if(Result::is_err).await) }).await?;
        if let Some(Err(error)) = first {
            return Err(to_status("ListFlights", &error));
        }
        Ok(Response::new(guard.stream(entries.map(|entry| list::entry_info(&entry?)))))
    }

    async fn get_flight_info(&self, request: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        let guard = self.guard("GetFlightInfo", request.metadata())?;
        guard.run(self.flight_info(request.into_inner())).await.map(Response::new)
    }

    async fn poll_flight_info(&self, request: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        let guard = self.guard("PollFlightInfo", request.metadata())?;
        let info = guard.run(self.flight_info(request.into_inner())).await?;
        // Without a descriptor to ask again: complete.
        let poll = PollInfo { info: Some(info), flight_descriptor: None, progress: Some(1.0), expiration_time: None };
        Ok(Response::new(poll))
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        let guard = self.guard("GetSchema", request.metadata())?;
        guard.run(self.schema(request.get_ref())).await.map(Response::new)
    }

    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        let guard = self.guard("DoGet", request.metadata())?;
        let ticket = request.into_inner().ticket;
        let messages = guard.run(get::get(&self.engine, &self.settings, ticket)).await?;
        Ok(handed_over(guard.stream(messages)))
    }

    async fn do_put(&self, _request: Request<Streaming<FlightData>>) -> Result<Response<Self::DoPutStream>, Status> {
        Err(unsupported("DoPut"))
    }

    async fn do_exchange(
        &self,
        _request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(unsupported("DoExchange"))
    }

    async fn do_action(&self, request: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        let guard = self.guard("DoAction", request.metadata())?;
        let Action { r#type, body } = request.into_inner();
        let length = body.len();
        let results = guard
            .run(async {
                let settings = &self.settings;
                let (allow_register, most) = (settings.allow_register, settings.max_ticket_bytes);
                let parse = move || action::parse(&r#type, &body, allow_register, most);
                action::run(&self.engine, aside(length, parse).await?).await
            })
            .await?;
        Ok(Response::new(guard.stream(results_of(results))))
    }

    async fn list_actions(&self, _request: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        let actions = action::ACTIONS.iter().map(|(name, description)| {
            Ok(ActionType { r#type: (*name).to_owned(), description: (*description).to_owned() })
        });
        Ok(Response::new(stream::iter(actions).boxed()))
    }
}

fn results_of(values: Vec<serde_json::Value>) -> impl Stream<Item = Result<arrow_flight::Result>> {
    stream::iter(values).map(|value| Ok(arrow_flight::Result { body: value.to_string().into() }))
}

fn unsupported(call: &'static str) -> Status {
    to_status(call, &Error::unimplemented(format!("{call} is not supported by this server")))
}
