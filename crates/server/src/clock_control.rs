//! Moves the virtual clock through deadlines and waits for quiet. Reference: extensions, section 2.

use std::sync::Arc;

use pointsman_dispatcher::{Input, Reply};
use pointsman_engine::{DurationMs, Timestamp};
use pointsman_store::Position;
use tokio::sync::{Mutex, mpsc, oneshot};

use crate::clock::Clock;
use crate::configuration::ClockMode;
use crate::deliveries::{DeliveryMessage, Idle};
use crate::engines::{EngineHandles, Work};
use crate::limits;
use crate::projector::ProjectorHandle;

/// Everything that must be at rest before time may move.
pub(crate) struct ClockControl {
    pub(crate) clock: Arc<Clock>,
    pub(crate) engines: EngineHandles,
    pub(crate) deliveries: mpsc::Sender<DeliveryMessage>,
    pub(crate) projector: ProjectorHandle,
    /// Two moves go one after the other.
    pub(crate) moving: Mutex<()>,
}

/// Why the clock was not moved, or not as far as asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum MoveError {
    #[error("The clock runs with the system; start the server with --clock virtual")]
    SystemMode,
    #[error("Until lies before the present instant of the clock")]
    Past,
    #[error("The clock cannot be moved past the year 2200")]
    TooFar,
    #[error("The server did not become quiet within 300 seconds; the clock stands at the instant that was reached")]
    NotQuiet,
    #[error("The store cannot commit")]
    Unavailable,
}

/// What a pass through all engine threads has shown.
struct Pass {
    next_deadline: Option<Timestamp>,
    /// The journal's end as of the last reply.
    position: Position,
}

impl ClockControl {
    /// The earliest timer of all workspaces, or the end of the first pause of a callback that has failed.
    pub(crate) async fn next_deadline(&self) -> Result<Option<Timestamp>, MoveError> {
        let of_engines = self.pass().await?.next_deadline;
        let (asked, told) = oneshot::channel();
        self.deliveries.send(DeliveryMessage::NextDeadline(asked)).await.map_err(|_| MoveError::Unavailable)?;
        let of_deliveries = told.await.map_err(|_| MoveError::Unavailable)?;
        Ok([of_engines, of_deliveries].into_iter().flatten().min())
    }

    /// Moves time forward by a duration. Returns the next deadline.
    pub(crate) async fn advance(&self, duration: DurationMs) -> Result<Option<Timestamp>, MoveError> {
        self.check_mode()?;
        let _moving = self.moving.lock().await;
        self.move_to(self.clock.now().plus(duration)).await
    }

    /// Moves time forward to an instant. Returns the next deadline.
    pub(crate) async fn until(&self, instant: Timestamp) -> Result<Option<Timestamp>, MoveError> {
        self.check_mode()?;
        let _moving = self.moving.lock().await;
        if instant < self.clock.now() {
            return Err(MoveError::Past);
        }
        self.move_to(instant).await
    }

    fn check_mode(&self) -> Result<(), MoveError> {
        match self.clock.mode() {
            ClockMode::System => Err(MoveError::SystemMode),
            ClockMode::Virtual => Ok(()),
        }
    }

    async fn move_to(&self, target: Timestamp) -> Result<Option<Timestamp>, MoveError> {
        if limits::CLOCK_MAX < target {
            return Err(MoveError::TooFar);
        }
        let moved = async {
            loop {
                let next = self.quiet().await?;
                match next.filter(|next| *next <= target) {
                    Some(next) => {
                        self.clock.move_to(next);
                        self.tick();
                    }
                    None if self.clock.now() < target => {
                        self.clock.move_to(target);
                        self.tick();
                    }
                    None => return Ok(next),
                }
            }
        };
        tokio::time::timeout(limits::QUIET_TIMEOUT, moved).await.unwrap_or(Err(MoveError::NotQuiet))
    }

    /// Waits until nothing is left to do at the present instant. Returns the next deadline, which lies ahead.
    async fn quiet(&self) -> Result<Option<Timestamp>, MoveError> {
        loop {
            let before = self.deliveries_idle().await?.added;
            let pass = self.pass().await?;
            if pass.next_deadline.is_some_and(|deadline| deadline <= self.clock.now()) {
                self.tick();
                continue;
            }
            // Whatever the pass has caused is handed over by now; nothing new means that all is at rest.
            let idle = self.deliveries_idle().await?;
            if idle.added != before {
                continue;
            }
            self.projector.reach(pass.position).await.map_err(|_| MoveError::Unavailable)?;
            return Ok([pass.next_deadline, idle.next_deadline].into_iter().flatten().min());
        }
    }

    /// Waits until every callback so far has ended or pauses.
    async fn deliveries_idle(&self) -> Result<Idle, MoveError> {
        let (idle, told) = oneshot::channel();
        self.deliveries.send(DeliveryMessage::WhenIdle(idle)).await.map_err(|_| MoveError::Unavailable)?;
        told.await.map_err(|_| MoveError::Unavailable)
    }

    /// Waits until every engine thread has done and committed what was sent to it before.
    async fn pass(&self) -> Result<Pass, MoveError> {
        let asked: Vec<_> =
            self.engines.iter().map(|engine| engine.ask_always(|ticket| Input::Barrier { ticket })).collect();
        let mut pass = Pass { next_deadline: None, position: Position::ZERO };
        for answer in asked {
            match answer.await {
                Ok(Ok((Reply::Barrier { next_deadline }, position))) => {
                    pass.next_deadline = [pass.next_deadline, next_deadline].into_iter().flatten().min();
                    pass.position = pass.position.max(position);
                }
                Ok(Ok((
                    Reply::Answer(_)
                    | Reply::History { .. }
                    | Reply::Voice(_)
                    | Reply::Server(_)
                    | Reply::Workspaces(_),
                    _,
                ))) => {
                    unreachable!("a barrier has its own reply")
                }
                Ok(Err(_)) | Err(_) => return Err(MoveError::Unavailable),
            }
        }
        Ok(pass)
    }

    fn tick(&self) {
        for engine in self.engines.iter() {
            engine.send(Work::Input { input: Input::Tick, responder: None, counted: false });
        }
    }

    /// Lets everything fire that came due while the server was down, and waits until it is durable.
    pub(crate) async fn start(&self) -> Result<(), MoveError> {
        self.tick();
        self.pass().await.map(drop)
    }
}
