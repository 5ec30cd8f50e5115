//! The names that a scenario gives to objects, and their SIDs.

use std::collections::BTreeMap;

use pointsman_engine::{EventKind, PublicEvent};

#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    sids: BTreeMap<String, String>,
    names: BTreeMap<String, String>,
    /// Objects made so far for each pair or Task.
    counts: BTreeMap<String, u32>,
}

impl Names {
    pub(crate) fn add(&mut self, name: &str, sid: &str) {
        self.sids.insert(name.to_string(), sid.to_string());
        self.names.insert(sid.to_string(), name.to_string());
    }

    /// The name of an object; its SID when it has none.
    pub(crate) fn name(&self, sid: &str) -> String {
        self.names.get(sid).cloned().unwrap_or_else(|| sid.to_string())
    }

    /// The SID of a named object. What looks like a SID stands for itself.
    pub(crate) fn sid(&self, name: &str) -> Result<String, String> {
        let name = canonical(name);
        match self.sids.get(&name) {
            Some(sid) => Ok(sid.clone()),
            None if name.len() == 34 => Ok(name),
            None => Err(format!("nothing is named {name}")),
        }
    }

    /// Puts `$Name` for SIDs.
    pub(crate) fn shorten(&self, text: &str) -> String {
        let word = |word: &str| self.names.get(word).map_or_else(|| word.to_string(), |name| format!("${name}"));
        text.split(' ').map(word).collect::<Vec<_>>().join(" ")
    }

    /// Puts SIDs for `$Name`.
    pub(crate) fn expand(&self, text: &str) -> Result<String, String> {
        let mut expanded = String::new();
        let mut rest = text;
        while let Some(start) = rest.find('$') {
            expanded.push_str(&rest[..start]);
            rest = &rest[start + 1..];
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
            expanded.push_str(&self.sid(&rest[..end])?);
            rest = &rest[end..];
        }
        expanded.push_str(rest);
        Ok(expanded)
    }

    /// Names reservations and transfers as their first events come by: `R(T1,Ann)`, then `R2(T1,Ann)`; `X(T1)`.
    pub(crate) fn follow(&mut self, event: &PublicEvent) {
        let Some(task) = &event.task else { return };
        let task = self.name(&task.sid.to_string());
        if let (EventKind::ReservationCreated, Some(reservation), Some(worker)) =
            (event.kind, &event.reservation, &event.worker)
        {
            let of = format!("({task},{})", self.name(&worker.sid.to_string()));
            self.number("R", &of, &reservation.sid.to_string());
        }
        if let (EventKind::TaskTransferInitiated, Some(transfer)) = (event.kind, &event.transfer) {
            self.number("X", &format!("({task})"), &transfer.sid.to_string());
        }
    }

    fn number(&mut self, letter: &str, of: &str, sid: &str) {
        let count = self.counts.entry(format!("{letter}{of}")).or_default();
        *count += 1;
        let name = if *count == 1 { format!("{letter}{of}") } else { format!("{letter}{count}{of}") };
        self.add(&name, sid);
    }
}

/// `R1(…)` is `R(…)`.
fn canonical(name: &str) -> String {
    match name
        .strip_prefix("R1(")
        .map(|rest| ("R(", rest))
        .or_else(|| name.strip_prefix("X1(").map(|rest| ("X(", rest)))
    {
        Some((start, rest)) => format!("{start}{rest}"),
        None => name.to_string(),
    }
}
