//! Makes one HTTP request of a callback. What to send, how long to wait and what follows is decided by the dispatcher.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pointsman_dispatcher::{Attempt, AttemptResult, Urgency};
use pointsman_token::Host;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, Client, Response, redirect};
use tower::BoxError;
use tower::util::MapFutureLayer;

use crate::clock;
use crate::configuration::Callbacks;
use crate::limits;
use crate::logging::chain;
use crate::lookups::{Asker, Lookups};
use crate::networks::NetworkRules;

/// The process, and the system, has as many files open as it may: the same on every Unix.
const EMFILE: i32 = 24;
const ENFILE: i32 = 23;

/// Sends callbacks: no redirects, no proxy, addresses within the network rules.
#[derive(Clone, Debug)]
pub(crate) struct CallbackClient {
    rules: Arc<NetworkRules>,
    lookups: Lookups,
    certificates: Vec<Certificate>,
    allow_insecure: bool,
    /// Made when they are needed first, and never given up: there are few, whatever addresses ask for.
    clients: Arc<Mutex<BTreeMap<ClientKey, Client>>>,
    /// When receivers last answered, by scheme, host and port: until when one of their connections may be kept.
    answered: Arc<Mutex<BTreeMap<String, Instant>>>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct ClientKey {
    /// One of [`limits::CONNECT_TIMEOUT_STEPS_MS`]: each address of a name gets its part of so much time. When a
    /// connection is given up is said by the attempt.
    connect_timeout_ms: u32,
    server_name_indication: bool,
    /// Network rules do not count.
    is_trusted: bool,
    /// Connections are kept for the next request.
    keeps_connections: bool,
}

/// The client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CallbackClientError {
    #[error("failed to read callbacks.ca_file {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("callbacks.ca_file {} holds no certificates in PEM form", path.display())]
    Certificates { path: PathBuf },
    #[error("failed to set up TLS for callbacks")]
    Tls(#[source] reqwest::Error),
}

/// The network rules refuse every address of a host.
#[derive(Debug, thiserror::Error)]
#[error("callbacks may not reach {address}, an address of {host} (settings callbacks.networks.allow and .deny)")]
struct Forbidden {
    host: String,
    address: IpAddr,
}

/// A connection was not there in time.
#[derive(Debug, thiserror::Error)]
#[error("no connection within {} ms{}", timeout.as_millis(), stage.reason())]
struct NotConnected {
    timeout: Duration,
    stage: Stage,
}

/// How far an attempt has come on its way to a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    LookupWaits,
    LookingUp,
    Connecting,
}

impl Stage {
    fn reason(self) -> &'static str {
        match self {
            Stage::LookupWaits => ": too many names of this workspace are being looked up",
            Stage::LookingUp => ": the name servers have not answered",
            Stage::Connecting => "",
        }
    }
}

/// What the resolver and the connector must know of the attempt that needs them. reqwest tells them nothing.
#[derive(Clone, Debug)]
struct Connecting {
    asker: Asker,
    timeout: Duration,
    stage: Arc<Mutex<Stage>>,
}

impl Connecting {
    fn is_at(&self, stage: Stage) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    fn not_connected(&self) -> NotConnected {
        let stage = *self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        NotConnected { timeout: self.timeout, stage }
    }
}

tokio::task_local! {
    /// That of the attempt that a task makes.
    static CONNECTING: Connecting;
}

impl CallbackClient {
    pub(crate) fn new(settings: &Callbacks, rules: NetworkRules) -> Result<CallbackClient, CallbackClientError> {
        let certificates = match &settings.ca_file {
            None => Vec::new(),
            Some(path) => {
                let pem =
                    std::fs::read(path).map_err(|source| CallbackClientError::Read { path: path.clone(), source })?;
                match Certificate::from_pem_bundle(&pem) {
                    Ok(certificates) if !certificates.is_empty() => certificates,
                    Ok(_) | Err(_) => return Err(CallbackClientError::Certificates { path: path.clone() }),
                }
            }
        };
        let client = CallbackClient {
            rules: Arc::new(rules),
            lookups: Lookups::new(),
            certificates,
            allow_insecure: settings.allow_insecure,
            clients: Arc::default(),
            answered: Arc::default(),
        };
        // Whatever is wrong with TLS shows now rather than at the first callback.
        let usual = ClientKey {
            connect_timeout_ms: 5_000,
            server_name_indication: true,
            is_trusted: false,
            keeps_connections: true,
        };
        client.client(usual).map_err(CallbackClientError::Tls)?;
        Ok(client)
    }

    /// Makes the request and reads as much of the answer as is wanted.
    pub(crate) async fn send(&self, attempt: &Attempt) -> AttemptResult {
        let total = Duration::from_millis(attempt.total_timeout_ms.into());
        let connecting = Connecting {
            asker: Asker {
                account: attempt.delivery.account,
                workspace: attempt.delivery.workspace,
                is_urgent: Urgency::of(&attempt.delivery.content) == Urgency::Urgent,
            },
            timeout: Duration::from_millis(attempt.connect_timeout_ms.into()),
            stage: Arc::new(Mutex::new(Stage::Connecting)),
        };
        let until = tokio::time::Instant::from_std(clock::instant() + total);
        loop {
            let exchange = CONNECTING.scope(connecting.clone(), self.exchange(attempt));
            match tokio::time::timeout_at(until, exchange).await {
                Ok(Ok(result)) => return result,
                // That is nothing of the receiver's, and soon there may be one.
                Ok(Err(error))
                    if lacks_files(&error) && clock::instant() + limits::CALLBACK_FILES_PAUSE < until.into_std() =>
                {
                    tracing::debug!(error = error.source().map(chain), "a callback waits for a file");
                    tokio::time::sleep(limits::CALLBACK_FILES_PAUSE).await;
                }
                Ok(Err(error)) => return failure(&error),
                Err(_elapsed) => return AttemptResult::TimedOut,
            }
        }
    }

    async fn exchange(&self, attempt: &Attempt) -> Result<AttemptResult, reqwest::Error> {
        // Addresses in the URL itself are never looked up.
        let address = match attempt.url.host() {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(IpAddr::from(address)),
            Host::Ipv6(address) => Some(IpAddr::from(address)),
        };
        let is_refused = |address: &IpAddr| !attempt.is_trusted && !self.rules.allows(*address);
        if let Some(address) = address.filter(is_refused) {
            let forbidden = Forbidden { host: address.to_string(), address };
            return Ok(AttemptResult::Broken { reason: forbidden.to_string() });
        }
        let key = ClientKey {
            connect_timeout_ms: connect_timeout_step(attempt.connect_timeout_ms),
            server_name_indication: attempt.url.overrides().server_name_indication,
            is_trusted: attempt.is_trusted,
            keeps_connections: !attempt.is_made_once,
        };
        let receiver = attempt.url.receiver();
        let sent = match self.request(key, attempt).await {
            // A receiver may close a connection that was kept in the moment in which it is used again. That says
            // nothing of the receiver: what was asked there is asked on a connection of its own.
            Err(error) if key.keeps_connections && is_unanswered(&error) && self.may_be_kept(&receiver) => {
                self.request(ClientKey { keeps_connections: false, ..key }, attempt).await
            }
            sent => sent,
        };
        let Some(mut response) = sent? else { return Ok(AttemptResult::TimedOut) };
        self.note_answer(receiver);
        let status = response.status().as_u16();
        let content_type = response.headers().get("content-type");
        let content_type = content_type.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut body = Vec::new();
        while body.len() < attempt.answer_bytes_max {
            let Ok(chunk) = tokio::time::timeout(read_timeout(attempt), response.chunk()).await else {
                return Ok(AttemptResult::TimedOut);
            };
            let Some(chunk) = chunk? else { break };
            let wanted = chunk.len().min(attempt.answer_bytes_max - body.len());
            body.extend_from_slice(&chunk[..wanted]);
        }
        Ok(AttemptResult::Answered { status, content_type, body })
    }

    /// `None`: no answer began in time.
    async fn request(&self, key: ClientKey, attempt: &Attempt) -> Result<Option<Response>, reqwest::Error> {
        let (client, url) = (self.client(key)?, attempt.url.request_url().clone());
        let mut request = match &attempt.form {
            None => client.get(url),
            Some(form) => client.post(url).body(form.clone()),
        };
        for (name, value) in &attempt.headers {
            request = request.header(*name, value);
        }
        tokio::time::timeout(read_timeout(attempt), request.send()).await.ok().transpose()
    }

    /// Whether a request to a receiver may have gone over a connection that was kept from an earlier one.
    fn may_be_kept(&self, receiver: &str) -> bool {
        let answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.get(receiver).is_some_and(|last| last.elapsed() <= limits::CALLBACK_KEPT_MAX)
    }

    fn note_answer(&self, receiver: String) {
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        if limits::CALLBACK_RECEIVERS_MAX <= answered.len() {
            answered.retain(|_, last| last.elapsed() <= limits::CALLBACK_KEPT_MAX);
        }
        if answered.len() < limits::CALLBACK_RECEIVERS_MAX || answered.contains_key(&receiver) {
            answered.insert(receiver, clock::instant());
        }
    }

    fn client(&self, key: ClientKey) -> Result<Client, reqwest::Error> {
        let clients = || self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients().get(&key) {
            return Ok(client.clone());
        }
        // It reads the certificates of the system: others need not wait for that. Who is late takes the first one's.
        let client = self.build(key)?;
        Ok(clients().entry(key).or_insert(client).clone())
    }

    fn build(&self, key: ClientKey) -> Result<Client, reqwest::Error> {
        let mut builder = Client::builder()
            .http1_only()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(Duration::from_millis(key.connect_timeout_ms.into()))
            .connector_layer(MapFutureLayer::new(connected_in_time))
            .pool_idle_timeout(limits::CALLBACK_IDLE_TIMEOUT)
            .pool_max_idle_per_host(if key.keeps_connections { limits::CALLBACK_IDLE_PER_HOST_MAX } else { 0 })
            .tls_sni(key.server_name_indication)
            .tls_danger_accept_invalid_certs(self.allow_insecure);
        let rules = if key.is_trusted { None } else { Some(Arc::clone(&self.rules)) };
        builder = builder.dns_resolver(Arc::new(Resolver { rules, lookups: self.lookups.clone() }));
        for certificate in &self.certificates {
            builder = builder.add_root_certificate(certificate.clone());
        }
        builder.build()
    }
}

/// The time-out of the client that an attempt goes over: the smallest that is not less than its own.
fn connect_timeout_step(connect_timeout_ms: u32) -> u32 {
    let mut steps = limits::CONNECT_TIMEOUT_STEPS_MS.into_iter();
    steps.find(|step| connect_timeout_ms <= *step).expect("the last step is the most that an address may ask for")
}

fn read_timeout(attempt: &Attempt) -> Duration {
    Duration::from_millis(attempt.read_timeout_ms.into())
}

/// Gives a connection up that is not there in time, as the attempt that asks for it says.
fn connected_in_time<T>(
    connecting: impl Future<Output = Result<T, BoxError>> + Send,
) -> impl Future<Output = Result<T, BoxError>> + Send {
    let attempt = CONNECTING.get();
    // Begins here, before the time-out of the client, which may be the same.
    let connecting = tokio::time::timeout(attempt.timeout, connecting);
    async move { connecting.await.unwrap_or_else(|_elapsed| Err(attempt.not_connected().into())) }
}

/// Looks names up and drops the addresses that the rules forbid.
#[derive(Debug)]
struct Resolver {
    /// `None`: every address may be called.
    rules: Option<Arc<NetworkRules>>,
    lookups: Lookups,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (rules, lookups) = (self.rules.clone(), self.lookups.clone());
        let attempt = CONNECTING.get();
        Box::pin(async move {
            let host = name.as_str().to_owned();
            attempt.is_at(Stage::LookupWaits);
            let begun = || attempt.is_at(Stage::LookingUp);
            let found = lookups.addresses(attempt.asker, host.clone(), begun).await?;
            attempt.is_at(Stage::Connecting);
            let is_allowed = |address: &SocketAddr| rules.as_ref().is_none_or(|rules| rules.allows(address.ip()));
            let (allowed, forbidden): (Vec<_>, Vec<_>) = found.into_iter().partition(is_allowed);
            match (allowed.is_empty(), forbidden.first()) {
                (true, Some(address)) => {
                    let address = address.ip();
                    Err(Box::new(Forbidden { host, address }) as Box<dyn Error + Send + Sync>)
                }
                (true, None) => Err(io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address")).into()),
                (false, _) => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

/// Whether a connection was there and ended before an answer came.
fn is_unanswered(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(error) = inner.downcast_ref::<hyper::Error>()
            && (error.is_incomplete_message() || error.is_canceled() || error.is_closed())
        {
            return true;
        }
        if let Some(error) = inner.downcast_ref::<io::Error>() {
            return matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe);
        }
        cause = inner.source();
    }
    false
}

/// Whether this server, or its machine, has as many files open as it may.
fn lacks_files(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(error) = inner.downcast_ref::<io::Error>() {
            return matches!(error.raw_os_error(), Some(EMFILE | ENFILE));
        }
        cause = inner.source();
    }
    false
}

/// What an error of the exchange means for the delivery.
fn failure(error: &reqwest::Error) -> AttemptResult {
    let mut cause: Option<&dyn Error> = Some(error);
    while let Some(inner) = cause {
        if let Some(forbidden) = inner.downcast_ref::<Forbidden>() {
            return AttemptResult::Broken { reason: forbidden.to_string() };
        }
        cause = inner.source();
    }
    // reqwest repeats the URL, which may hold what is nobody's business.
    let reason = error.source().map_or_else(|| "the request failed".to_owned(), chain);
    if error.is_connect() {
        AttemptResult::ConnectFailed { reason }
    } else if error.is_timeout() {
        AttemptResult::TimedOut
    } else {
        AttemptResult::Broken { reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_time_out_an_address_asks_for_there_is_a_client_that_waits_long_enough() {
        for timeout in pointsman_token::limits::CONNECT_TIMEOUT_MS.map(u32::from) {
            let step = connect_timeout_step(timeout);
            assert!(timeout <= step && step <= (timeout * 5 / 2).max(250), "{timeout}: {step}");
        }
    }
}
