//! The shortest script that still fails: delta debugging over its steps.

use super::{DifferenceKind, Failure, run};
use crate::limits::SHRINK_RUNS_MAX;
use crate::script::Script;

/// Leaves out steps, many at a time and then single ones, as long as the routers still differ in the same way.
pub fn shrink(mut script: Script, kind: DifferenceKind) -> (Script, Failure) {
    let mut runs = 0;
    let mut fails = |script: &Script| {
        runs += 1;
        if SHRINK_RUNS_MAX < runs {
            return None;
        }
        run(script).err().filter(|failure| failure.difference.kind == kind)
    };
    let Some(mut failure) = fails(&script) else {
        let failure = run(&script).err();
        return (script, failure.expect("a script fails again when it is run again"));
    };
    script.steps.truncate(failure.step + 1);
    let mut chunk = script.steps.len() / 2;
    while 0 < chunk {
        let mut shorter_once = false;
        let mut from = 0;
        while from < script.steps.len() {
            let mut shorter = script.clone();
            shorter.steps.drain(from..(from + chunk).min(script.steps.len()));
            match fails(&shorter) {
                Some(found) => {
                    shorter.steps.truncate(found.step + 1);
                    script = shorter;
                    failure = found;
                    shorter_once = true;
                }
                None => from += chunk,
            }
        }
        if !shorter_once || chunk > 1 {
            chunk /= 2;
        }
    }
    (script, failure)
}
