//! The shortest script that still fails: delta debugging over its steps.

use crate::limits::SHRINK_RUNS_MAX;
use crate::script::Script;

/// Leaves out steps, many at a time and then single ones, as long as the script fails in the same way.
///
/// - `again`: runs a script; its failure, if it is of the kind that is sought.
/// - `step`: the index of the step at which a failure showed; what comes after it is not needed.
pub(crate) fn shrink<F>(
    mut script: Script,
    again: impl Fn(&Script) -> Option<F>,
    step: impl Fn(&F) -> usize,
) -> (Script, F) {
    let mut failure = again(&script).expect("a script fails again when it is run again");
    script.steps.truncate(step(&failure) + 1);
    let mut runs = 1;
    let mut chunk = script.steps.len() / 2;
    while 0 < chunk && runs < SHRINK_RUNS_MAX {
        let mut shorter_once = false;
        let mut from = 0;
        while from < script.steps.len() && runs < SHRINK_RUNS_MAX {
            let mut shorter = script.clone();
            shorter.steps.drain(from..(from + chunk).min(script.steps.len()));
            runs += 1;
            match again(&shorter) {
                Some(found) => {
                    shorter.steps.truncate(step(&found) + 1);
                    (script, failure, shorter_once) = (shorter, found, true);
                }
                None => from += chunk,
            }
        }
        // Single steps are tried again until none can be left out.
        if 1 < chunk || !shorter_once {
            chunk /= 2;
        }
    }
    (script, failure)
}

#[cfg(test)]
mod tests {
    use pointsman_engine::{Limits, Ordering, Tasking, Timestamp};

    use super::*;
    use crate::naive::Canary;
    use crate::script::Step;

    #[test]
    fn only_the_steps_that_a_failure_needs_are_left() {
        let step = |at| Step { at: Timestamp(at), command: None, created: None, offers: Vec::new() };
        let script = Script {
            start: Timestamp(0),
            tasking: Tasking::Multi,
            prioritize: Ordering::Fifo,
            limits: Limits::default(),
            canary: Canary::None,
            steps: (0..100).map(step).collect(),
        };
        // Fails at step 71, if step 13 and step 40 went before.
        let again = |script: &Script| {
            let position = |at| script.steps.iter().position(|step| step.at == Timestamp(at));
            position(13)?;
            position(40)?;
            position(71)
        };
        let (script, failed) = shrink(script, again, |step| *step);
        let left: Vec<i64> = script.steps.iter().map(|step| step.at.0).collect();
        assert_eq!((left, failed), (vec![13, 40, 71], 2));
    }
}
