//! `/pointsman/v1/Clock`: time under control. Reference: extensions, section 2.

use pointsman_api::errors;
use pointsman_api::{Answer, ApiError, Call, ClockMove, ClockReading, clock_move, render_clock};
use pointsman_engine::Timestamp;

use super::App;
use crate::clock_control::MoveError;
use crate::configuration::ClockMode;

pub(super) async fn shown(app: &App) -> Answer {
    answer(app, app.clock_control.next_deadline().await)
}

pub(super) async fn moved(app: &App, call: &Call) -> Answer {
    if app.clock.mode() == ClockMode::System {
        return refused(MoveError::SystemMode);
    }
    let moved = match clock_move(call) {
        Ok(ClockMove::Advance(duration)) => app.clock_control.advance(duration).await,
        Ok(ClockMove::Until(instant)) => app.clock_control.until(instant).await,
        Err(error) => return error.answer(),
    };
    answer(app, moved)
}

fn answer(app: &App, next_deadline: Result<Option<Timestamp>, MoveError>) -> Answer {
    match next_deadline {
        Ok(next_deadline) => render_clock(&ClockReading {
            now: app.clock.now(),
            is_virtual: app.clock.mode() == ClockMode::Virtual,
            next_deadline,
        }),
        Err(error) => refused(error),
    }
}

fn refused(error: MoveError) -> Answer {
    let invalid = |problem: &str| ApiError::new(&errors::CLOCK_MOVE, &[("problem", &problem)]);
    let error = match error {
        MoveError::SystemMode => ApiError::new(&errors::CONFLICT, &[("message", &error)]),
        MoveError::NotQuiet => ApiError::new(&errors::GATEWAY_TIMEOUT, &[("message", &error)]),
        MoveError::TooFar => invalid("the clock cannot be moved past the year 2200"),
        MoveError::Past => invalid("Until must not be before the present instant of the clock"),
        MoveError::Unavailable => ApiError::unavailable(),
    };
    error.answer()
}
