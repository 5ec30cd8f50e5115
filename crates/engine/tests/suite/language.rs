//! Reads scenario files into blocks and steps. The grammar is described in `scenarios/README.md`.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// A line of a scenario file, for messages and for rewriting.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) file: Arc<str>,
    /// Counted from 1.
    pub(crate) number: usize,
    pub(crate) text: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.number)
    }
}

/// What is wrong with a scenario itself, and where.
#[derive(Debug)]
pub(crate) struct Fault(pub(crate) String);

impl Fault {
    pub(crate) fn at(line: &Line, what: impl fmt::Display) -> Self {
        Self(format!("{line}: {what}\n    {}", line.text))
    }
}

#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) name: String,
    pub(crate) is_scenario: bool,
    lines: Vec<Line>,
}

/// All blocks of all files, in order.
#[derive(Debug, Default)]
pub(crate) struct Library {
    blocks: Vec<Block>,
    by_name: BTreeMap<String, usize>,
}

/// When a step happens, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// After the zero of the scenario.
    At(i64),
    /// After the step before.
    After(i64),
}

#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) line: Line,
    pub(crate) when: When,
    /// Set-up: its events are not compared, and it may not be refused.
    pub(crate) given: bool,
    /// Belongs to the scenario itself rather than to one that it uses, and stands once in the file.
    pub(crate) own: bool,
    pub(crate) command: String,
    /// Lines that say the rules of a Workflow.
    pub(crate) rules: Vec<Line>,
    pub(crate) checks: Vec<Check>,
}

#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) line: Line,
    pub(crate) kind: CheckKind,
    /// What follows the keyword.
    pub(crate) text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CheckKind {
    Expect,
    Alert,
    Refused,
    Answer,
    State,
    Next,
}

/// A scenario with everything that it uses, in order.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) name: String,
    /// Weekday and time of day of second 0.
    pub(crate) zero: Zero,
    pub(crate) steps: Vec<Step>,
}

/// An instant of the week: 0 is Monday.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Zero {
    pub(crate) weekday: u32,
    pub(crate) second_of_day: u32,
}

const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const ZERO: Zero = Zero { weekday: 1, second_of_day: 8 * 3600 + 5 * 60 };

impl Library {
    /// Reads every `*.scenario` file of a folder.
    pub(crate) fn open(folder: &Path) -> Result<Self, Fault> {
        let mut paths: Vec<_> = fs::read_dir(folder)
            .map_err(|error| Fault(format!("{}: {error}", folder.display())))?
            .map(|entry| entry.expect("a readable folder").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "scenario"))
            .collect();
        paths.sort();
        let mut library = Self::default();
        for path in paths {
            let text = fs::read_to_string(&path).map_err(|error| Fault(format!("{}: {error}", path.display())))?;
            library.add(&path.to_string_lossy(), &text)?;
        }
        Ok(library)
    }

    pub(crate) fn add(&mut self, file: &str, text: &str) -> Result<(), Fault> {
        let file: Arc<str> = file.into();
        for (index, text) in text.lines().enumerate() {
            let line = Line { file: file.clone(), number: index + 1, text: text.to_string() };
            let trimmed = text.trim();
            if trimmed.is_empty() || trimmed.starts_with('#') {
                continue;
            }
            let (keyword, rest) = split_word(trimmed);
            if keyword == "fixture" || keyword == "scenario" {
                let name = split_word(rest).0.to_string();
                if self.by_name.insert(name.clone(), self.blocks.len()).is_some() {
                    return Err(Fault::at(&line, format_args!("{name} exists already")));
                }
                self.blocks.push(Block { name, is_scenario: keyword == "scenario", lines: Vec::new() });
            } else {
                let Some(block) = self.blocks.last_mut() else {
                    return Err(Fault::at(&line, "this belongs to no scenario"));
                };
                block.lines.push(line);
            }
        }
        Ok(())
    }

    /// The names of the scenarios, in the order of the files.
    pub(crate) fn scenarios(&self) -> impl Iterator<Item = &str> {
        self.blocks.iter().filter(|block| block.is_scenario).map(|block| block.name.as_str())
    }

    /// A scenario, with what it uses in front.
    pub(crate) fn plan(&self, name: &str) -> Result<Plan, Fault> {
        let mut plan = Plan { name: name.to_string(), zero: ZERO, steps: Vec::new() };
        let block = self.by_name.get(name).map(|index| &self.blocks[*index]);
        self.add_block(block.expect("a known scenario"), true, &mut plan)?;
        Ok(plan)
    }

    fn add_block(&self, block: &Block, own: bool, plan: &mut Plan) -> Result<(), Fault> {
        let mut lines = block.lines.iter();
        while let Some(line) = lines.next() {
            let trimmed = line.text.trim();
            let (keyword, rest) = split_word(trimmed);
            match keyword {
                "source" => {}
                "uses" => {
                    let used = self.by_name.get(rest).map(|index| &self.blocks[*index]);
                    let used = used.ok_or_else(|| Fault::at(line, "there is no such block"))?;
                    self.add_block(used, false, plan)?;
                }
                "repeat" => {
                    let (from, to) = repeat_range(rest).ok_or_else(|| Fault::at(line, "expected `repeat N to M`"))?;
                    let body: Vec<_> = lines.by_ref().take_while(|line| line.text.trim() != "end").collect();
                    for n in from..=to {
                        for line in &body {
                            let text = line.text.replace("<n>", &number(n)).replace("<n+1>", &number(n + 1));
                            add_line(&Line { text, ..(*line).clone() }, false, plan)?;
                        }
                    }
                }
                _ => add_line(line, own, plan)?,
            }
        }
        Ok(())
    }
}

/// The number of a reservation as names show it: nothing for the first.
fn number(n: u32) -> String {
    if n == 1 { String::new() } else { n.to_string() }
}

fn repeat_range(text: &str) -> Option<(u32, u32)> {
    let (from, to) = text.split_once(" to ")?;
    Some((from.trim().parse().ok()?, to.trim().parse().ok()?))
}

fn add_line(line: &Line, own: bool, plan: &mut Plan) -> Result<(), Fault> {
    let trimmed = line.text.trim();
    let (keyword, rest) = split_word(trimmed);
    match keyword {
        "zero" => plan.zero = zero(rest).ok_or_else(|| Fault::at(line, "expected a time of day, hh:mm:ss"))?,
        "given" => {
            let (when, command) = match split_word(rest) {
                ("at", timed) => {
                    let (when, command) = split_word(timed);
                    (instant(when).ok_or_else(|| Fault::at(line, "expected seconds after `at`"))?, command)
                }
                _ => (When::After(0), rest),
            };
            plan.steps.push(step(line, when, true, own, command));
        }
        "at" => {
            let (when, command) = split_word(rest);
            let when = instant(when).ok_or_else(|| Fault::at(line, "expected seconds after `at`"))?;
            plan.steps.push(step(line, when, false, own, command));
        }
        _ => {
            let Some(step) = plan.steps.last_mut() else { return Err(Fault::at(line, "no step before this line")) };
            if matches!(keyword, "filter" | "target" | "default" | "configuration") {
                step.rules.push(line.clone());
                return Ok(());
            }
            let (kind, text) = match keyword {
                "expect" => (CheckKind::Expect, rest),
                "refused" => (CheckKind::Refused, rest),
                "answer" => (CheckKind::Answer, rest),
                "state" => (CheckKind::State, rest),
                "next" => (CheckKind::Next, rest),
                "engine:" => match split_word(rest) {
                    ("alert", text) => (CheckKind::Alert, text),
                    ("state", text) => (CheckKind::State, text),
                    _ => return Err(Fault::at(line, "the engine has no such check")),
                },
                _ => return Err(Fault::at(line, format_args!("unknown keyword `{keyword}`"))),
            };
            step.checks.push(Check { line: line.clone(), kind, text: text.to_string() });
        }
    }
    Ok(())
}

fn step(line: &Line, when: When, given: bool, own: bool, command: &str) -> Step {
    let (line, command) = (line.clone(), command.to_string());
    Step { line, when, given, own, command, rules: Vec::new(), checks: Vec::new() }
}

fn instant(text: &str) -> Option<When> {
    match text.strip_prefix('+') {
        Some(text) => milliseconds(text).map(When::After),
        None => milliseconds(text).map(When::At),
    }
}

/// Seconds with up to three decimals.
pub(crate) fn milliseconds(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    if decimals.len() > 3 || !(whole.to_string() + decimals).bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let decimals: i64 = format!("{decimals:0<3}").parse().ok()?;
    Some(sign * (whole.parse::<i64>().ok()? * 1000 + decimals))
}

/// The reverse of [`milliseconds`].
pub(crate) fn seconds(milliseconds: i64) -> String {
    let sign = if milliseconds < 0 { "-" } else { "" };
    let (whole, decimals) = (milliseconds.abs() / 1000, milliseconds.abs() % 1000);
    if decimals == 0 {
        format!("{sign}{whole}")
    } else {
        let text = format!("{sign}{whole}.{decimals:03}");
        text.trim_end_matches('0').to_string()
    }
}

fn zero(text: &str) -> Option<Zero> {
    let (weekday, time) = match split_word(text) {
        (time, "") => (ZERO.weekday, time),
        (day, time) => (WEEKDAYS.iter().position(|name| *name == day)? as u32, time),
    };
    let parts: Vec<u32> = time.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [hours, minutes, seconds] = parts[..] else { return None };
    Some(Zero { weekday, second_of_day: hours * 3600 + minutes * 60 + seconds })
}

/// The first word and what follows it.
pub(crate) fn split_word(text: &str) -> (&str, &str) {
    let text = text.trim();
    match text.find(char::is_whitespace) {
        Some(end) => (&text[..end], text[end..].trim_start()),
        None => (text, ""),
    }
}

/// Words at blanks; quoted text, `{…}`, `[…]` and `(…)` hold together.
pub(crate) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut depth, mut quoted, mut escaped) = (0, false, false);
    for character in text.chars() {
        if character.is_whitespace() && depth == 0 && !quoted {
            if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            continue;
        }
        match character {
            '"' if !escaped => quoted = !quoted,
            '{' | '[' | '(' if !quoted => depth += 1,
            '}' | ']' | ')' if !quoted => depth -= 1,
            _ => {}
        }
        escaped = character == '\\' && !escaped;
        word.push(character);
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// `Key=value`; the quotes of a quoted value are taken off.
pub(crate) fn pair(word: &str) -> Option<(&str, String)> {
    let (key, value) = word.split_once('=')?;
    let is_key =
        key.starts_with(char::is_alphabetic) && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
    is_key.then(|| (key, unquoted(value)))
}

pub(crate) fn unquoted(text: &str) -> String {
    match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(inner) => inner.replace("\\\"", "\""),
        None => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_hold_quotes_and_brackets_together() {
        let found = words(r#"create task T1 {"a": [1, 2]} Reason="so \"it\" is" R(T1,Ann)"#);
        assert_eq!(found, ["create", "task", "T1", r#"{"a": [1, 2]}"#, r#"Reason="so \"it\" is""#, "R(T1,Ann)"]);
        assert_eq!(pair(&found[4]), Some(("Reason", r#"so "it" is"#.to_string())));
    }

    #[test]
    fn seconds_are_read_and_printed_alike() {
        for text in ["0", "-300", "5.5", "0.001", "86405"] {
            assert_eq!(seconds(milliseconds(text).unwrap()), text);
        }
        assert_eq!(milliseconds("1.0001"), None);
        assert_eq!(milliseconds("one"), None);
    }
}
