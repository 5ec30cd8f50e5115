//! Connection overrides that have no effect: the log tells of them. Reference: events-and-callbacks, section 12.3.

use std::collections::BTreeSet;

use pointsman_engine::{Sid, Workspace};
use pointsman_record::delivery::{Content, Delivery};
use pointsman_token::CallbackUrl;

use crate::limits::{OVERRIDES_TOLD_MAX, REASON_CHARS_MAX};

/// Number in the error dictionary.
const OVERRIDES_IGNORED: u32 = 11_243;

/// What the log has told, so that it tells nothing twice.
#[derive(Debug, Default)]
pub(crate) struct OverridesTold(BTreeSet<(Sid<Workspace>, Ignored)>);

/// Parts of an address that have no effect, without what may be secret in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Ignored {
    /// Scheme, host and port.
    receiver: String,
    /// Separated by commas.
    keys: String,
}

impl OverridesTold {
    /// Tells of what a delivery's addresses ask for in vain, the first time.
    pub(crate) fn tell(&mut self, delivery: &Delivery) {
        let fallback_url = match &delivery.content {
            Content::Assignment { event: _, fallback_url } => fallback_url.as_deref(),
            Content::Event(_) | Content::Report { .. } => None,
            // The operator's own address.
            Content::Voice { .. } => return,
        };
        for url in [Some(&*delivery.url), fallback_url].into_iter().flatten() {
            if let Some(ignored) = ignored(url).filter(|ignored| self.is_new(delivery.workspace, ignored)) {
                let Ignored { receiver, keys } = ignored;
                let workspace_sid = delivery.workspace;
                tracing::warn!(code = OVERRIDES_IGNORED, %workspace_sid, receiver, keys, "connection overrides ignored");
            }
        }
    }

    fn is_new(&mut self, workspace: Sid<Workspace>, ignored: &Ignored) -> bool {
        let line = (workspace, ignored.clone());
        if self.0.contains(&line) {
            return false;
        }
        if self.0.len() == OVERRIDES_TOLD_MAX {
            // Rather a line twice than none.
            self.0.clear();
        }
        self.0.insert(line)
    }
}

fn ignored(url: &str) -> Option<Ignored> {
    let has_fragment = url.contains('#');
    let url = has_fragment.then(|| CallbackUrl::parse(url).ok())??;
    let keys: Vec<&str> = url.ignored_overrides().iter().map(|part| part.key.as_str()).collect();
    (!keys.is_empty())
        .then(|| Ignored { receiver: url.receiver(), keys: keys.join(",").chars().take(REASON_CHARS_MAX).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expected: Option<(&str, &str)>) {
        let found = ignored(url);
        assert_eq!(found.as_ref().map(|found| (&*found.receiver, &*found.keys)), expected, "{url}");
    }

    #[test]
    fn keys_without_effect_are_named_and_no_secret() {
        check("https://app.example.org/events", None);
        check("https://app.example.org/events#rc=2&e=dublin", None);
        let secret = "https://ann:secret@app.example.org:8443/secret?token=secret#rc=6&ct=100&rt=99&foo=secret&tt=abc";
        check(secret, Some(("https://app.example.org:8443", "rc,rt,foo,tt")));
        check("no address#rc=6", None);
        for length in [REASON_CHARS_MAX, REASON_CHARS_MAX + 1] {
            let url = format!("http://app.example.org/#{}", "k".repeat(length));
            check(&url, Some(("http://app.example.org", &"k".repeat(REASON_CHARS_MAX))));
        }
    }

    #[test]
    fn nothing_is_told_twice_until_so_much_was_told() {
        let mut told = OverridesTold::default();
        let workspace = Sid::from_bytes([1; 16]);
        let line = |number: usize| Ignored { receiver: number.to_string(), keys: "rc".to_string() };
        for number in 0..OVERRIDES_TOLD_MAX {
            assert!(told.is_new(workspace, &line(number)));
            assert!(!told.is_new(workspace, &line(number)));
        }
        assert!(told.is_new(workspace, &line(OVERRIDES_TOLD_MAX)));
        assert_eq!(told.0.len(), 1);
        assert!(told.is_new(Sid::from_bytes([2; 16]), &line(OVERRIDES_TOLD_MAX)), "of another Workspace");
    }
}
