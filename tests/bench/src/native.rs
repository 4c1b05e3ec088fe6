//! What an integrator would write by hand without adapters: the same call, answered natively.
//!
//! It does the same work: HTTP, the client's right, the contract's pattern and schemas, the same statement on the same kind
//! of pool within a time limit, the same log line and the same metrics of a request. It lacks only the adapter, and what
//! keeps adapters apart.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use jsonschema::Validator;
use serde::Serialize;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use uuk_identifiers::{ClientId, ServiceId};
use uuk_transport::{ClientAuthentication, Listener, ListenerConfig, ListenerLimits};

const SERVICE: &str = "KG/GOV/70000001/registry/person";
const TIME_MAX: Duration = Duration::from_secs(30);

/// The handler on a port of its own.
pub(crate) struct Native {
    pub(crate) address: String,
    server: JoinHandle<()>,
    stop: CancellationToken,
}

struct Handler {
    rights: HashMap<ServiceId, HashSet<ClientId>>,
    database: SqlitePool,
    request: Validator,
    answer: Validator,
}

#[derive(Serialize)]
struct Person {
    pin: String,
    surname: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    patronymic: Option<String>,
    birth_date: String,
    sex: String,
}

impl Native {
    /// Serves the register in `database`.
    pub(crate) async fn serve(database: &Path, statement: &Path) -> Result<Self> {
        let options = SqliteConnectOptions::new().filename(database).read_only(true);
        let statement: Arc<str> = std::fs::read_to_string(statement)?.replace(":pin", "?1").into();
        let handler = Arc::new(Handler {
            rights: HashMap::from([(SERVICE.parse()?, HashSet::from([uuk_e2e::CLIENT.parse()?]))]),
            database: SqlitePoolOptions::new().max_connections(8).connect_with(options).await?,
            request: jsonschema::validator_for(&serde_json::json!({
                "type": "object", "required": ["pin"], "additionalProperties": false,
                "properties": { "pin": { "type": "string", "pattern": "^[0-9]{14}$" } },
            }))?,
            answer: jsonschema::options().should_validate_formats(true).build(&serde_json::json!({
                "type": "object", "required": ["pin", "surname", "name", "birth_date", "sex"],
                "additionalProperties": false,
                "properties": {
                    "pin": { "type": "string", "pattern": "^[0-9]{14}$" },
                    "surname": { "type": "string", "maxLength": 100 },
                    "name": { "type": "string", "maxLength": 100 },
                    "patronymic": { "type": "string", "maxLength": 100 },
                    "birth_date": { "type": "string", "format": "date" },
                    "sex": { "enum": ["male", "female"] },
                },
            }))?,
        });
        let listener = Listener::bind(ListenerConfig {
            address: ([127, 0, 0, 1], 0).into(),
            authentication: ClientAuthentication::None,
            identity: None,
            client_certificates: Vec::new(),
            client_authorities: Vec::new(),
            limits: ListenerLimits::default(),
        })?;
        let address = listener.address().to_string();
        let stop = CancellationToken::new();
        let answer = move |request: http::Request<_>, _| {
            let (handler, statement) = (Arc::clone(&handler), Arc::clone(&statement));
            async move { handler.respond(&request, &statement).await }
        };
        let server = tokio::spawn(listener.run(answer, stop.clone()));
        Ok(Self { address, server, stop })
    }

    pub(crate) async fn end(self) -> Result<()> {
        self.stop.cancel();
        Ok(self.server.await?)
    }
}

impl Handler {
    async fn respond(&self, request: &http::Request<Incoming>, statement: &str) -> Response<Full<Bytes>> {
        let started = Instant::now();
        let client = request.headers().get("x-road-client").and_then(|value| value.to_str().ok());
        let id = Uuid::new_v4().to_string();
        let answered = match self.may_call(request.uri().path(), client) {
            true => tokio::time::timeout(TIME_MAX, self.person(request.uri().path(), statement)).await,
            false => Ok(None),
        };
        let (status, answer) = match answered {
            Ok(Some(answer)) => (StatusCode::OK, answer),
            Ok(None) => (StatusCode::NOT_FOUND, Vec::new()),
            Err(_) => (StatusCode::GATEWAY_TIMEOUT, Vec::new()),
        };
        let duration = started.elapsed();
        let duration_ms = duration.as_secs_f64() * 1_000.0;
        tracing::info!(
            xroad.id = id,
            service.id = SERVICE,
            client.id = client,
            operation = "get",
            plugin.name = "native",
            plugin.version = "1.0.0",
            status = status.as_u16(),
            duration_ms,
            "Answered {SERVICE} get with {} in {duration_ms:.2} ms",
            status.as_u16()
        );
        let labels = [
            ("plugin", "native".to_owned()),
            ("operation", "get".to_owned()),
            ("code", status.as_str().to_owned()),
        ];
        metrics::counter!("native_requests_total", &labels).increment(1);
        metrics::histogram!("native_request_seconds", &labels).record(duration.as_secs_f64());
        let mut response = Response::new(Full::new(answer.into()));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert("x-road-id", id);
        }
        response
    }

    /// Whether the client has a right to the service that the path names.
    fn may_call(&self, path: &str, client: Option<&str>) -> bool {
        let service = path.strip_prefix("/r1/").and_then(|names| {
            let end = names.match_indices('/').nth(4).map_or(names.len(), |(index, _)| index);
            names.get(..end)?.parse().ok()
        });
        let rights = service.and_then(|service: ServiceId| self.rights.get(&service));
        let client = client.and_then(|client| client.parse().ok());
        rights.zip(client).is_some_and(|(clients, client)| clients.contains(&client))
    }

    async fn person(&self, path: &str, statement: &str) -> Option<Vec<u8>> {
        let pin = path.rsplit('/').next()?;
        if !self.request.is_valid(&serde_json::json!({ "pin": pin })) {
            return None;
        }
        let statement = sqlx::AssertSqlSafe(statement.to_owned());
        let row: (String, String, String, Option<String>, String, String) =
            sqlx::query_as(statement).bind(pin).fetch_optional(&self.database).await.ok()??;
        let (pin, surname, name, patronymic, birth_date, sex) = row;
        let person = Person { pin, surname, name, patronymic, birth_date, sex };
        let answer = serde_json::to_value(&person).ok()?;
        self.answer.is_valid(&answer).then(|| answer.to_string().into_bytes())
    }
}
