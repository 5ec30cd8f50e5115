//! Makes one HTTP request of a callback. What to send, how long to wait and what follows is decided by the dispatcher.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pointsman_dispatcher::{Attempt, AttemptResult, ReportMethod};
use pointsman_token::Host;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, Client, Response, redirect};

use crate::clock;
use crate::configuration::Callbacks;
use crate::limits;
use crate::logging::chain;
use crate::networks::NetworkRules;

/// Sends callbacks: no redirects, no proxy, addresses within the network rules.
#[derive(Clone, Debug)]
pub(crate) struct CallbackClient {
    rules: Arc<NetworkRules>,
    certificates: Vec<Certificate>,
    allow_insecure: bool,
    /// reqwest sets time-outs per client, addresses set them per callback.
    clients: Arc<Mutex<BTreeMap<ClientKey, Client>>>,
    /// When receivers last answered, by scheme, host and port: until when one of their connections may be kept.
    answered: Arc<Mutex<BTreeMap<String, Instant>>>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct ClientKey {
    connect_timeout_ms: u32,
    read_timeout_ms: u32,
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
            certificates,
            allow_insecure: settings.allow_insecure,
            clients: Arc::default(),
            answered: Arc::default(),
        };
        // Whatever is wrong with TLS shows now rather than at the first callback.
        let usual = ClientKey {
            connect_timeout_ms: 5_000,
            read_timeout_ms: 15_000,
            server_name_indication: true,
            is_trusted: false,
            keeps_connections: true,
        };
        client.build(usual).map_err(CallbackClientError::Tls)?;
        Ok(client)
    }

    /// Makes the request and reads as much of the answer as is wanted.
    pub(crate) async fn send(&self, attempt: &Attempt) -> AttemptResult {
        let total = Duration::from_millis(attempt.total_timeout_ms.into());
        match tokio::time::timeout(total, self.exchange(attempt)).await {
            Ok(Ok(result)) => result,
            Ok(Err(error)) => failure(&error),
            Err(_elapsed) => AttemptResult::TimedOut,
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
            connect_timeout_ms: attempt.connect_timeout_ms,
            read_timeout_ms: attempt.read_timeout_ms,
            server_name_indication: attempt.url.overrides().server_name_indication,
            is_trusted: attempt.is_trusted,
            keeps_connections: true,
        };
        let receiver = attempt.url.receiver();
        let sent = match self.request(key, attempt).await {
            // A receiver may close a connection that was kept in the moment in which it is used again. That says
            // nothing of the receiver: what was asked there is asked on a connection of its own.
            Err(error) if is_unanswered(&error) && self.may_be_kept(&receiver) => {
                self.request(ClientKey { keeps_connections: false, ..key }, attempt).await
            }
            sent => sent,
        };
        let mut response = sent?;
        self.note_answer(receiver);
        let status = response.status().as_u16();
        let content_type = response.headers().get("content-type");
        let content_type = content_type.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut body = Vec::new();
        while body.len() < attempt.answer_bytes_max
            && let Some(chunk) = response.chunk().await?
        {
            let wanted = chunk.len().min(attempt.answer_bytes_max - body.len());
            body.extend_from_slice(&chunk[..wanted]);
        }
        Ok(AttemptResult::Answered { status, content_type, body })
    }

    async fn request(&self, key: ClientKey, attempt: &Attempt) -> Result<Response, reqwest::Error> {
        let (client, url) = (self.client(key)?, attempt.url.request_url().clone());
        let mut request = match attempt.method {
            ReportMethod::Get => client.get(url),
            ReportMethod::Post => client.post(url),
        };
        for (name, value) in &attempt.headers {
            request = request.header(*name, value);
        }
        request.body(attempt.body.clone()).send().await
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
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        if limits::HTTP_CLIENTS_MAX <= clients.len() {
            clients.pop_first();
        }
        let client = self.build(key)?;
        clients.insert(key, client.clone());
        Ok(client)
    }

    fn build(&self, key: ClientKey) -> Result<Client, reqwest::Error> {
        let mut builder = Client::builder()
            .http1_only()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(Duration::from_millis(key.connect_timeout_ms.into()))
            .read_timeout(Duration::from_millis(key.read_timeout_ms.into()))
            .pool_idle_timeout(limits::CALLBACK_IDLE_TIMEOUT)
            .pool_max_idle_per_host(if key.keeps_connections { limits::CALLBACK_IDLE_PER_HOST_MAX } else { 0 })
            .tls_sni(key.server_name_indication)
            .tls_danger_accept_invalid_certs(self.allow_insecure);
        if !key.is_trusted {
            builder = builder.dns_resolver(Arc::new(RuledResolver { rules: Arc::clone(&self.rules) }));
        }
        for certificate in &self.certificates {
            builder = builder.add_root_certificate(certificate.clone());
        }
        builder.build()
    }
}

/// Looks names up with the system's resolver and drops the addresses that the rules forbid.
#[derive(Debug)]
struct RuledResolver {
    rules: Arc<NetworkRules>,
}

impl Resolve for RuledResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let rules = Arc::clone(&self.rules);
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let (allowed, forbidden): (Vec<_>, Vec<_>) =
                found.into_iter().partition(|address| rules.allows(address.ip()));
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
