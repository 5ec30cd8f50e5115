//! A running server: everything is started here, in order, and stopped in the opposite one.
//!
//! ```text
//! connections ──► engine threads ──► commit thread ──► projector thread
//!      ▲                ▲                  │
//!      └──── answers ───┼──────────────────┤
//!                       └── delivery task ◄┘          maintenance thread beside them
//! ```

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread::JoinHandle;

use pointsman_api::CorsOrigins;
use pointsman_dispatcher::{Batch, Deliveries, DeliverySettings, Shard, Telephony, VoiceApi};
use pointsman_engine::DurationMs;
use pointsman_store::{
    MemoryStore, OpenError, Options, Position, ReadError, SnapshotList, SqliteStore, Store, StreamId, WriteError,
};
use pointsman_token::basic::Credentials;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc, watch};

use crate::accounts::{self, AccountsError, AccountsKeeper, MadeAccount, random};
use crate::backlog;
use crate::callback_client::{CallbackClient, CallbackClientError};
use crate::clock::{self, Clock};
use crate::clock_control::ClockControl;
use crate::commit::{CommitRequest, Committer, Done};
use crate::configuration::{ClockMode, Configuration, Voice};
use crate::deliveries::{Delivered, DeliveryMessage, DeliveryTask};
use crate::engines::{self, EngineHandle, EngineHandles, EngineThread, Work};
use crate::health::Health;
use crate::http::{App, Rates, Replays, Streams, base_url::BaseUrl};
use crate::limits;
use crate::listener::{self, Purpose};
use crate::logging::chain;
use crate::maintenance::Maintenance;
use crate::metrics::Metrics;
use crate::networks::NetworkRules;
use crate::projector::{Projection, Projector};
use crate::recovery::{self, RecoveryError};
use crate::retention::Retention;
use crate::storage::{Opener, Storage};

/// A server that answers.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    made_account: Option<MadeAccount>,
    health: Arc<Health>,
    broken: Arc<AtomicBool>,
    stopping: watch::Sender<bool>,
    listeners: Vec<tokio::task::JoinHandle<()>>,
    deliveries: (mpsc::Sender<DeliveryMessage>, tokio::task::JoinHandle<()>),
    engines: (EngineHandles, Vec<JoinHandle<()>>),
    commits: crossbeam_channel::Sender<CommitRequest>,
    /// Commit, projector and maintenance threads, in the order in which they end.
    threads: Vec<JoinHandle<()>>,
    maintenance: crossbeam_channel::Sender<()>,
    storage: Arc<Storage>,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("cannot open the store")]
    Open(#[from] OpenError),
    #[error("cannot begin to write")]
    Begin(#[from] WriteError),
    #[error("cannot read the store")]
    Read(#[from] ReadError),
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    #[error(transparent)]
    Callbacks(#[from] CallbackClientError),
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    #[error("the store failed while overdue timers fired")]
    Overdue,
}

/// The store that a configuration names.
pub fn opener(configuration: &Configuration) -> Opener {
    if configuration.in_memory {
        let store = MemoryStore::new();
        Box::new(move || Ok(Box::new(store.clone())))
    } else {
        let directory = configuration.data_dir.clone();
        Box::new(move || Ok(Box::new(SqliteStore::open(&directory, &Options::default())?)))
    }
}

impl Server {
    /// Starts a server on the store that its configuration names, and returns when it is ready.
    pub async fn start(configuration: Configuration) -> Result<Server, StartError> {
        let open = opener(&configuration);
        Server::start_on(configuration, open).await
    }

    /// Starts a server on a given store.
    pub async fn start_on(configuration: Configuration, open: Opener) -> Result<Server, StartError> {
        // The address first: when it is taken, nothing has been touched.
        let listener = listen(configuration.listen).await?;
        let metrics_listener = match configuration.metrics.listen.filter(|_| configuration.metrics.enabled) {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let address = listener.local_addr().expect("a bound socket has an address");
        let rules = NetworkRules::new(&configuration, address);
        let client = CallbackClient::new(&configuration.callbacks, rules)?;

        let telephony = telephony(&configuration, address);
        let storage = Arc::new(Storage::open(open)?);
        let opened = tokio::task::block_in_place(|| open_state(&storage, &configuration, &telephony))?;
        let clock = Arc::new(Clock::start(configuration.clock, engines::newest_instant(&opened.shards)));
        let parts = Parts { configuration, telephony, listener, metrics_listener, address, client, storage, clock };
        parts.start(opened).await
    }

    /// Where it listens, with the port that was picked.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The account that was made up, to be told once.
    pub fn made_account(&self) -> Option<&MadeAccount> {
        self.made_account.as_ref()
    }

    /// Whether an engine thread keeps breaking assertions, so that only a restart may help.
    pub fn is_broken(&self) -> bool {
        self.broken.load(std::sync::atomic::Ordering::Acquire)
    }

    /// Stops: no new requests, what was accepted is finished and committed, workspaces get a snapshot.
    pub async fn stop(self) {
        self.health.set_stopping();
        self.stopping.send_replace(true);
        for listener in self.listeners {
            log_panic(listener.await.is_ok(), "listener");
        }
        let (deliveries, delivery_task) = self.deliveries;
        // When the task has ended already there is nobody to tell.
        let _ = deliveries.send(DeliveryMessage::Stop).await;
        log_panic(delivery_task.await.is_ok(), "delivery task");
        drop(self.maintenance);
        let (engines, engine_threads) = self.engines;
        let ended = tokio::task::spawn_blocking(move || {
            for engine in engines.iter() {
                engine.send(Work::Stop);
            }
            for thread in engine_threads {
                log_panic(thread.join().is_ok(), "engine thread");
            }
            let last =
                CommitRequest { generation: None, batch: Batch::default(), responders: Vec::new(), done: Done::Last };
            // When the commit thread has ended already there is nobody to tell.
            let _ = self.commits.send(last);
            for thread in self.threads {
                log_panic(thread.join().is_ok(), "thread");
            }
        });
        log_panic(ended.await.is_ok(), "stop");
        let closing = tokio::task::spawn_blocking(move || self.storage.close());
        match tokio::time::timeout(limits::STORE_CLOSE_TIMEOUT, closing).await {
            Ok(closed) => log_panic(closed.is_ok(), "close"),
            // Everything is stored; the next start does what closing would have done.
            Err(_elapsed) => tracing::info!("somebody still reads the store; it is left open"),
        }
    }
}

fn log_panic(ended_well: bool, what: &'static str) {
    if !ended_well {
        tracing::error!(what, "broke an assertion");
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, source })
}

/// What was read from the store.
struct Opened {
    epoch: pointsman_store::Epoch,
    accounts: AccountsKeeper,
    made_account: Option<MadeAccount>,
    snapshots: SnapshotList,
    shards: Vec<Shard>,
    deleted: Vec<StreamId>,
    position: Position,
    history_position: Position,
}

fn open_state(storage: &Storage, configuration: &Configuration, telephony: &Telephony) -> Result<Opened, StartError> {
    storage
        .with(|store| {
            let epoch = store.begin_epoch()?;
            if let Err(problem) = backlog::sort_older(store, epoch) {
                tracing::warn!(error = problem, "callbacks that wait are not sorted by where they go");
            }
            let (accounts, made_account) = open_accounts(store, epoch, configuration)?;
            let snapshots = store.snapshots()?;
            for damage in &snapshots.damaged {
                tracing::error!(error = chain(damage), "a snapshot is damaged; an older one is used");
            }
            let threads = configuration.threads.map_or_else(default_threads, |threads| threads as usize);
            let (shards, deleted) = restore_shards(store, &snapshots, (configuration, telephony), threads)?;
            let (position, history_position) = (store.last_position(), store.history_position());
            let workspaces: usize = shards.iter().map(|shard| shard.workspaces().count()).sum();
            tracing::info!(workspaces, threads, position = position.0, "recovered");
            Ok(Opened { epoch, accounts, made_account, snapshots, shards, deleted, position, history_position })
        })
        .expect("the store has just been opened")
}

fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(limits::ENGINE_THREADS_DEFAULT_MAX)
}

fn open_accounts(
    store: &(dyn Store + 'static),
    epoch: pointsman_store::Epoch,
    configuration: &Configuration,
) -> Result<(AccountsKeeper, Option<MadeAccount>), AccountsError> {
    let (mut accounts, mut sequence) = accounts::load(store)?;
    let mut made = None;
    let at = clock::real_time();
    if let Some((event, is_made_up)) = accounts::first_account(&accounts, &configuration.account, at) {
        sequence += 1;
        accounts::append(store, epoch, sequence, at, &event)?;
        accounts.evolve(&event);
        made = MadeAccount::of(&event).filter(|_| is_made_up);
    }
    Ok((AccountsKeeper::new(accounts, sequence), made))
}

/// Restores the shards side by side.
fn restore_shards(
    store: &dyn Store,
    snapshots: &SnapshotList,
    (configuration, telephony): (&Configuration, &Telephony),
    count: usize,
) -> Result<(Vec<Shard>, Vec<StreamId>), RecoveryError> {
    let restored: Vec<Result<(Shard, Vec<StreamId>), RecoveryError>> = std::thread::scope(|scope| {
        let restore = |index| {
            move || {
                let mut shard = Shard::new(configuration.limits, telephony.clone());
                let deleted = recovery::restore(&mut shard, store, snapshots, (index, count))?;
                Ok((shard, deleted))
            }
        };
        let threads: Vec<_> = (0..count).map(|index| scope.spawn(restore(index))).collect();
        threads.into_iter().map(|thread| thread.join().expect("recovery does not panic")).collect()
    });
    let mut shards = Vec::with_capacity(count);
    let mut deleted = Vec::new();
    for part in restored {
        let (shard, streams) = part?;
        shards.push(shard);
        deleted.extend(streams);
    }
    Ok((shards, deleted))
}

/// What the threads and tasks are made of.
struct Parts {
    configuration: Configuration,
    telephony: Telephony,
    listener: TcpListener,
    metrics_listener: Option<TcpListener>,
    address: SocketAddr,
    client: CallbackClient,
    storage: Arc<Storage>,
    clock: Arc<Clock>,
}

impl Parts {
    async fn start(self, opened: Opened) -> Result<Server, StartError> {
        let Parts { configuration, telephony, listener, metrics_listener, address, client, storage, clock } = self;
        let Opened { epoch, accounts, made_account, snapshots, shards, deleted, position, history_position } = opened;
        let count = shards.len();
        let health = Arc::new(Health::new());
        let metrics = Arc::new(Metrics::new());
        let accounts = Arc::new(accounts);
        let broken = Arc::new(AtomicBool::new(false));
        let generation = Arc::new(AtomicU64::new(0));
        let committed = Arc::new(AtomicU64::new(position.0));
        let (commits, commit_requests) = crossbeam_channel::bounded(limits::BATCHES_WAITING_MAX);
        let (projector, projector_handle) =
            Projector::new(Arc::clone(&storage), Arc::clone(&metrics), history_position);
        let (delivery_sender, delivery_messages) = mpsc::channel(limits::DELIVERY_MESSAGES_MAX);
        let overflown = Arc::new(AtomicBool::new(false));
        let workspace_number = 1 + shards
            .iter()
            .flat_map(Shard::workspaces)
            .map(|state| state.workspace().number)
            .max()
            .unwrap_or_default();

        let (handles, inboxes): (Vec<_>, Vec<_>) = (0..count).map(|_| EngineHandle::new()).unzip();
        let engines: EngineHandles = handles.into();
        let mut engine_threads = Vec::with_capacity(count);
        for ((index, shard), inbox) in shards.into_iter().enumerate().zip(inboxes) {
            let thread = EngineThread {
                index,
                count,
                shard,
                limits: configuration.limits,
                telephony: telephony.clone(),
                inbox,
                handle: engines[index].clone(),
                commits: commits.clone(),
                deliveries: delivery_sender.clone(),
                clock: Arc::clone(&clock),
                storage: Arc::clone(&storage),
                generation: 0,
                committed_position: Arc::clone(&committed),
                broken: Arc::clone(&broken),
            };
            engine_threads.push(thread.spawn().map_err(StartError::Thread)?);
        }
        // Streams that a crash has left over go once their events are in the history.
        projector_handle.committed(Projection { last: Position::ZERO, records: Vec::new(), deleted });
        let committer = Committer {
            storage: Arc::clone(&storage),
            epoch,
            generation,
            requests: commit_requests,
            projector: projector_handle.clone(),
            deliveries: delivery_sender.clone(),
            deliveries_overflown: Arc::clone(&overflown),
            engines: Arc::clone(&engines),
            health: Arc::clone(&health),
            metrics: Arc::clone(&metrics),
            committed: Arc::clone(&committed),
        };
        let (maintenance_sender, maintenance_receiver) = crossbeam_channel::bounded(0);
        let maintenance = Maintenance {
            storage: Arc::clone(&storage),
            clock: Arc::clone(&clock),
            snapshot_records: configuration.snapshot_records.into(),
            retention: Retention::new(&configuration),
            snapshots: snapshots
                .newest
                .iter()
                .map(|snapshot| (snapshot.stream, snapshot.sequence))
                .collect::<BTreeMap<_, _>>(),
            stopping: maintenance_receiver,
        };
        let threads = vec![
            spawn("commit", move || committer.run())?,
            spawn("projector", move || projector.run())?,
            spawn("maintenance", move || maintenance.run())?,
        ];
        let delivered = Arc::new(Delivered::default());
        let delivery_task = DeliveryTask {
            deliveries: Deliveries::new(delivery_settings(&configuration, epoch)),
            messages: delivery_messages,
            overflown,
            client,
            accounts: Arc::clone(&accounts),
            clock: Arc::clone(&clock),
            storage: Arc::clone(&storage),
            engines: Arc::clone(&engines),
            commits: commits.clone(),
            metrics: Arc::clone(&metrics),
            delivered: Arc::clone(&delivered),
        };
        let clock_control = ClockControl {
            clock: Arc::clone(&clock),
            engines: Arc::clone(&engines),
            deliveries: delivery_sender.clone(),
            projector: projector_handle.clone(),
            moving: Mutex::new(()),
        };
        clock_control.start().await.map_err(|_| StartError::Overdue)?;

        let (stopping, stop) = watch::channel(false);
        let app = Arc::new(App {
            base_url: BaseUrl {
                public_url: configuration.public_url.clone(),
                trusted_proxies: configuration.trusted_proxies.clone(),
                listener: address.to_string(),
            },
            cors: configuration.cors_origins.clone().map_or(CorsOrigins::All, CorsOrigins::Listed),
            retention: Retention::new(&configuration),
            serves_metrics: configuration.metrics.enabled && metrics_listener.is_none(),
            accounts,
            engines: Arc::clone(&engines),
            commits: commits.clone(),
            storage: Arc::clone(&storage),
            projector: projector_handle,
            clock: Arc::clone(&clock),
            clock_control,
            health: Arc::clone(&health),
            delivered,
            replays: Replays::default(),
            streams: Arc::new(Streams::new(Arc::clone(&metrics), stop.clone())),
            metrics,
            rates: Rates::new(configuration.rates.clone()),
            voice_auth_token: configuration.voice.auth_token.clone(),
            voice_callback_url: configuration.voice.callback_url.clone(),
            workspace_number: AtomicU64::new(workspace_number),
            request_seed: random(),
            requests: AtomicU64::new(0),
        });
        let connections_max = configuration.connections_max as usize;
        let mut listeners = vec![tokio::spawn(listener::serve(
            listener,
            Arc::clone(&app),
            Purpose::Everything,
            connections_max,
            stop.clone(),
        ))];
        if let Some(listener) = metrics_listener {
            let connections_max = limits::METRICS_CONNECTIONS_MAX;
            listeners.push(tokio::spawn(listener::serve(listener, app, Purpose::MetricsOnly, connections_max, stop)));
        }
        if configuration.clock == ClockMode::Virtual {
            tracing::info!("time moves only by POST /pointsman/v1/Clock");
        }
        Ok(Server {
            address,
            made_account,
            health,
            broken,
            stopping,
            listeners,
            deliveries: (delivery_sender, tokio::spawn(delivery_task.run())),
            engines: (engines, engine_threads),
            commits,
            threads,
            maintenance: maintenance_sender,
            storage,
        })
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StartError> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run).map_err(StartError::Thread)
}

/// What becomes of instructions that need calls.
///
/// - `address`: where this server listens, for the way back unless the operator names another.
fn telephony(configuration: &Configuration, address: SocketAddr) -> Telephony {
    let voice = &configuration.voice;
    if voice.assume_success {
        return Telephony::Assumed;
    }
    let (Some(base_url), Some(account)) = (&voice.base_url, &voice.account_sid) else { return Telephony::None };
    let callback_url = voice.callback_url.clone().or_else(|| configuration.public_url.clone());
    Telephony::Bridged(VoiceApi {
        account_url: format!("{base_url}/2010-04-01/Accounts/{account}"),
        callback_url: callback_url.unwrap_or_else(|| format!("http://{address}")),
    })
}

fn voice_authorization(voice: &Voice) -> Option<String> {
    let (username, password) = (voice.account_sid.clone()?, voice.auth_token.clone()?);
    Some(Credentials { username, password }.authorization())
}

fn delivery_settings(configuration: &Configuration, epoch: pointsman_store::Epoch) -> DeliverySettings {
    let callbacks = &configuration.callbacks;
    let guaranteed = DurationMs::from_seconds(callbacks.guaranteed_hours * 3_600);
    DeliverySettings {
        user_agent: callbacks.user_agent.clone(),
        guaranteed: callbacks.guaranteed.then_some(guaranteed),
        voice_authorization: voice_authorization(&configuration.voice),
        epoch: epoch.0,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn who_reads_the_store_for_long_does_not_keep_the_server() {
        let configuration =
            Configuration { listen: "127.0.0.1:0".parse().unwrap(), in_memory: true, ..Configuration::default() };
        let server = Server::start(configuration).await.unwrap();
        let storage = Arc::clone(&server.storage);
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let (begin, begun) = std::sync::mpsc::channel();
        let reading = std::thread::spawn(move || {
            storage.with(|_| {
                begin.send(()).unwrap();
                ended.recv()
            })
        });
        begun.recv().unwrap();
        tokio::time::timeout(Duration::from_secs(10), server.stop()).await.expect("it stops in time");
        drop(end);
        reading.join().unwrap().unwrap().unwrap_err();
    }
}
