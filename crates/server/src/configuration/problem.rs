//! What can be wrong with a configuration, told so that it can be mended.

use std::fmt;
use std::path::PathBuf;

use super::Origin;

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    #[error("failed to read {}", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{}, line {line}: {message}", path.display())]
    Syntax { path: PathBuf, line: usize, message: String },
    #[error("{}", lines(problems))]
    Settings { problems: Vec<Problem> },
}

/// One mistake.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Problem {
    UnknownKey {
        key: String,
        origin: Origin,
        nearest: Option<&'static str>,
    },
    Refused {
        key: &'static str,
        origin: Origin,
        given: String,
        accepts: &'static str,
    },
    /// Only one of sid and token of the first account was set.
    HalfAccount,
    /// The voice API lacks its address, its account or its token.
    HalfVoice,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::UnknownKey { key, origin, nearest } => {
                write!(formatter, "{origin}: there is no setting {key}")?;
                match nearest {
                    Some(nearest) => write!(formatter, "; did you mean {nearest}?"),
                    None => write!(formatter, "; `pointsman config show` lists them all"),
                }
            }
            Problem::Refused { key, origin, given, accepts } => {
                write!(formatter, "{origin}: {key} = {given} is not accepted: expected {accepts}")
            }
            Problem::HalfVoice => {
                formatter.write_str("voice.base_url, voice.account_sid and voice.auth_token must be set together")
            }
            Problem::HalfAccount => {
                formatter.write_str("POINTSMAN_ACCOUNT_SID and POINTSMAN_AUTH_TOKEN must be set together")
            }
        }
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}

/// The candidate that a reader most likely meant, if any is near.
pub(super) fn nearest<'a, T: AsRef<str> + ?Sized + 'a>(
    text: &str,
    candidates: impl Iterator<Item = &'a T>,
) -> Option<&'a T> {
    candidates
        .map(|candidate| (edit_distance(text, candidate.as_ref()), candidate))
        .filter(|(distance, _)| *distance <= 2)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions and replacements of bytes between two texts.
fn edit_distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, byte) in from.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, other) in to.bytes().enumerate() {
            let replaced = diagonal + usize::from(byte != other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}
