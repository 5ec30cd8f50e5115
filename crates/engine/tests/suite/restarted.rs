//! An engine that is restored from a snapshot before every turn and takes a turn of its own for every deadline. What
//! happens must be the same as in an engine that runs on and takes all that is due in one turn.

use pointsman_engine::{Command, Engine, Event, Limits, Rejection, Reply, State, Timestamp, TurnRecord};

/// Deadlines of one step; more would be a timer that fires for ever.
const DEADLINES_MAX: usize = 10_000;

pub(crate) struct Restarted {
    engine: Engine,
    record: TurnRecord,
}

impl Restarted {
    pub(crate) fn new(state: &State) -> Self {
        Self { engine: restored(state), record: TurnRecord::default() }
    }

    pub(crate) const fn state(&self) -> &State {
        self.engine.state()
    }

    /// Moves to an instant, and runs the command there if there is one.
    pub(crate) fn run(&mut self, at: Timestamp, command: Option<Command>) -> Option<Result<Reply, Rejection>> {
        for _ in 0..DEADLINES_MAX {
            let Some(due) = self.engine.next_deadline().filter(|due| *due <= at) else {
                let mut turn = self.engine.begin(at);
                let reply = command.map(|command| turn.apply(command));
                let record = turn.finish();
                self.keep(record);
                return reply;
            };
            let record = self.engine.begin(due).finish();
            self.keep(record);
            self.engine = restored(self.engine.state());
        }
        panic!("a timer fires for ever");
    }

    fn keep(&mut self, record: TurnRecord) {
        self.record.events.extend(record.events);
        self.record.published.extend(record.published);
        self.record.alerts.extend(record.alerts);
    }

    /// Panics unless the other engine made the same events.
    pub(crate) fn compare(&self, record: &TurnRecord) {
        assert_eq!(self.record.published, record.published, "a restarted engine publishes the same");
        assert_eq!(self.record.alerts, record.alerts, "a restarted engine raises the same alerts");
        assert_eq!(facts(&self.record), facts(record), "a restarted engine makes the same events");
    }
}

fn restored(state: &State) -> Engine {
    Engine::restore(State::from_snapshot(state.snapshot()), Limits::default())
}

/// The events without repetitions of the time, which each turn begins with.
fn facts(record: &TurnRecord) -> Vec<&Event> {
    let mut now = None;
    let is_new = |event: &&Event| {
        let Event::TimeAdvanced { at } = event else { return true };
        now.replace(*at) != Some(*at)
    };
    record.events.iter().filter(is_new).collect()
}
