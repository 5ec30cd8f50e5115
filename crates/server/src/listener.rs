//! Accepts connections and runs HTTP/1.1 on them, within bounds.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http_body_util::Either;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::http::{self, App};
use crate::limits;
use crate::patience::Patience;

/// Which requests a listener answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    Everything,
    MetricsOnly,
}

/// Serves until `stopping` becomes true, then finishes what was accepted.
///
/// - At most `connections_max` connections are open; further ones wait in the system's queue.
pub(crate) async fn serve(
    listener: TcpListener,
    app: Arc<App>,
    purpose: Purpose,
    connections_max: usize,
    mut stopping: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(connections_max));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stopping) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = accept(&listener, &places) => match accepted {
                Ok((stream, peer, place)) => {
                    let app = Arc::clone(&app);
                    connections.spawn(connection(stream, peer, app, purpose, stopping.clone(), place));
                }
                Err(error) => {
                    // Too many open files, most likely: going on at once would only burn time.
                    tracing::warn!(%error, "failed to accept a connection");
                    tokio::time::sleep(limits::ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let drained =
        tokio::time::timeout(limits::DRAIN_TIMEOUT, async { while connections.join_next().await.is_some() {} });
    if drained.await.is_err() {
        tracing::warn!(connections = connections.len(), "closing connections that do not end");
        connections.shutdown().await;
    }
}

/// Returns when the server is told to stop.
pub(crate) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // Whoever could tell is gone: that is the same.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.expect("the semaphore is never closed");
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, place))
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    app: Arc<App>,
    purpose: Purpose,
    mut stopping: watch::Receiver<bool>,
    place: OwnedSemaphorePermit,
) {
    // Answers and frames are written whole, so nothing is gained by waiting for more.
    let _ = stream.set_nodelay(true);
    let streams = Arc::new(AtomicBool::new(false));
    let does_stream = Arc::clone(&streams);
    let service = service_fn(move |request| {
        let (app, streams) = (Arc::clone(&app), Arc::clone(&does_stream));
        async move {
            match purpose {
                Purpose::Everything => {
                    let answer = http::answer(app, peer, request).await;
                    let is_stream = answer.as_ref().is_ok_and(|answer| matches!(answer.body(), Either::Right(_)));
                    streams.store(is_stream, Ordering::Release);
                    answer
                }
                Purpose::MetricsOnly => Ok(http::answer_metrics_only(&app, &request)),
            }
        }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // As the hosted service spells them, for clients that compare names as they are.
        .title_case_headers(true)
        .header_read_timeout(limits::HEAD_TIMEOUT)
        .max_headers(limits::REQUEST_HEADERS_MAX)
        .max_buf_size(limits::REQUEST_HEAD_BYTES_MAX);
    let stream = Patience::new(stream, limits::WRITE_TIMEOUT);
    let mut served = pin!(builder.serve_connection(TokioIo::new(stream), service).with_upgrades());
    let outcome = tokio::select! {
        outcome = served.as_mut() => outcome,
        () = stopped(&mut stopping) => {
            served.as_mut().graceful_shutdown();
            if streams.load(Ordering::Acquire) {
                // A stream has ended by now; what its reader does not take is in the history.
                tokio::time::timeout(limits::EVENT_STREAM_DRAIN_TIMEOUT, served).await.unwrap_or(Ok(()))
            } else {
                served.await
            }
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%peer, %error, "connection ended early");
    }
    drop(place);
}
